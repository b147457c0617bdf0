/*
 * heap - what serves small objects of one origin: those of a NUMA node, or of an allocator object.
 *
 *      node heap       spans in the slices of its node
 *      object's heap   spans in regions that it has leased (hugepage/holding.h), which no other uses
 *
 * Both are spans behind a lock per class (central.h) and a depot of full magazines per class (magazine.h)
 * through which threads pass objects on. An object's heap lies in its record (object.h); these are
 * numbered and type-stable: whoever has found one may look at it at any time.
 */
#ifndef VL_CACHE_HEAP_H
#define VL_CACHE_HEAP_H

#include "cache/central.h"
#include "cache/magazine.h"

struct vl_heap {
    unsigned node; /* of a node heap */
    bool holds;    /* an object's: what it has lies in its holding */
    struct vl_holding holding;
    /* Side by side: a program with few classes has few of these pages. */
    struct vl_heap_class {
        struct vl_central central;
        struct vl_depot depot;
    } classes[VL_CLASSES];
};

extern struct vl_heap vl_node_heaps[VL_NODE_INDEX_MAX];

/* Records of 1 << VL_HEAP_SHIFT bytes which begin with a heap that holds. Empty until the first. */
enum { VL_HEAP_SHIFT = 15 };
extern struct vl_pool vl_heap_pool;

/* Address space for the pool; false if there is none. Once. */
bool vl_heap_pool_start(void);

/* Numbers the node heaps. */
void vl_heap_start(void);

/* All heaps, those of nodes first: NULL beyond the last. */
struct vl_heap *vl_heap_at(uint32_t number);

/* A run of pages of a heap; in want of them a node's takes another's. */
bool vl_heap_take_run(struct vl_heap *heap, struct vl_wish wish, struct vl_run *run);

static inline struct vl_heap *vl_heap_holding(struct vl_holding *holding)
{
    char *at = (char *)holding;
    return holding == NULL ? NULL : (void *)(at - offsetof(struct vl_heap, holding));
}

/* The heap of what lies at a place in a slice of regions; NULL where no object has leased it. */
static inline struct vl_heap *vl_heap_of(const struct vl_slice *slice, const void *object)
{
    if (slice->kind == VL_SLICE_NODE)
        return &vl_node_heaps[slice->node];
    return vl_heap_holding(vl_get(&vl_region_of(slice, object)->holder));
}

#endif
