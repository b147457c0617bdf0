/*
 * pool - numbered items of one size for our own use, from address space of its own.
 *
 * Items are made in order and never given back to the system: an id, once made, stays valid, and
 * stale readers of an item read an item. Reuse is the business of whoever holds the ids (idstack).
 * Id 0 is never made.
 */
#ifndef VL_CORE_POOL_H
#define VL_CORE_POOL_H

#include "core/atomic.h"
#include "core/geometry.h"

struct vl_pool {
    char *items; /* set by vl_pool_start, before any other thread may look */
    uint32_t item_shift;
    uint32_t id_end;        /* ids are below this */
    _Atomic uint32_t next;  /* next id to make */
    _Atomic size_t writable; /* bytes from `items` that can be written; grows */
};

/* `space` is address space of vl_pool_space() bytes, aligned to the machine's pages. */
void vl_pool_start(struct vl_pool *pool, void *space, uint32_t item_shift, uint32_t id_end);

static inline size_t vl_pool_space(uint32_t item_shift, uint32_t id_end)
{
    return (size_t)id_end << item_shift;
}

/* `count` fresh items, zeroed, with consecutive ids: the first id, or 0 if there is no memory. */
uint32_t vl_pool_take(struct vl_pool *pool, uint32_t count);

static inline void *vl_pool_item(const struct vl_pool *pool, uint32_t id)
{
    return pool->items + ((size_t)id << pool->item_shift);
}

static inline uint32_t vl_pool_id(const struct vl_pool *pool, const void *item)
{
    return (uint32_t)((size_t)((const char *)item - pool->items) >> pool->item_shift);
}

/* Ids made so far are below this. */
static inline uint32_t vl_pool_end(const struct vl_pool *pool)
{
    return vl_get(&pool->next);
}

#endif
