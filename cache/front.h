/*
 * front - malloc and free themselves: the paths a program takes billions of times, and no other.
 *
 *      vl_alloc    size -> class (a byte) -> top of its magazine -> object
 *      vl_free     pointer -> offset in the home slice -> class (a byte) -> top of its magazine
 *
 * Both are a straight line with two or three branches, all predicted, and no call, lock, fence or
 * division; whatever is not the ordinary case falls into the slow path by the tests the ordinary
 * case needs anyway: a bin that is empty or full (cache/magazine.h), a size too large, a pointer not
 * in the home slice. The thread-local pointer is read once per call and never kept across one.
 */
#ifndef VL_CACHE_FRONT_H
#define VL_CACHE_FRONT_H

#include "cache/thread.h"

void *vl_alloc_slow(size_t size);
void vl_free_slow(void *block);

/* What a call of any kind comes to; who calls this counts it. */
void *vl_take_block(size_t size);

/* `slow` is what counts the call under its name. */
static inline void *vl_alloc_or(void *(*slow)(size_t size), size_t size)
{
    struct vl_cache *cache = vl_cache_self;
    if (vl_unlikely(size > VL_SIZE_TABLE_MAX))
        return slow(size);
    unsigned class = cache->class_of[size];
    void **top = cache->top[class];
    void *object = *top;
    if (vl_unlikely(object == NULL))
        return slow(size);
    vl_own_set(&cache->top[class], top + 1);
    return object;
}

static inline void *vl_alloc(size_t size)
{
    return vl_alloc_or(vl_alloc_slow, size);
}

static inline void vl_free(void *block)
{
    struct vl_cache *cache = vl_cache_self;
    uintptr_t offset = (uintptr_t)block - cache->home_start;
    if (vl_unlikely(offset >= cache->home_size))
        return vl_free_slow(block);
    unsigned class = vl_get(&cache->home_map[offset >> VL_PAGE_SHIFT]);
    void **top = cache->top[class];
    if (vl_unlikely(vl_magazine_is_full(top)))
        return vl_free_slow(block);
    top[-1] = block;
    /* In this order also for a signal handler, and for the child of another thread's fork. */
    atomic_signal_fence(memory_order_release);
    vl_own_set(&cache->top[class], top - 1);
}

/* The rest of the interface, in terms of these. NULL with ENOMEM where memory is short; sizes above
 * PTRDIFF_MAX are refused. */
void *vl_alloc_zeroed(size_t count, size_t size);
void *vl_resize(void *block, size_t size);
/* As VALLOC_FILL=junk from now on: fresh blocks with the complement of `byte`, freed ones with `byte`;
 * 0: no more. Other threads follow when they next run out of a class. */
void vl_fill_with(uint8_t byte);
/* VALLOC_FILL: what every block is filled with, if it is, when it is given out and when it comes back. Of a
 * block that comes back wrongly, vl_fill_freed dies in the name of `function`. */
void *vl_fill_fresh(void *block, size_t size);
void vl_fill_freed(void *block, const char *function);
/* As VALLOC_COUNT=1 from now on, or no more; other threads follow likewise. */
void vl_count_calls(bool on);
/* `align` is a power of two. */
void *vl_alloc_aligned(size_t align, size_t size);
size_t vl_usable_size(const void *block);
/* What vl_usable_size would say of a block of `size`, taken at a multiple of `align`. */
size_t vl_good_size(size_t align, size_t size);

#endif
