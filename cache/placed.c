#include "cache/placed.h"

#include "cache/counters.h"
#include "cache/front.h"
#include "cache/init.h"
#include "cache/large.h"
#include "cache/trim.h"

#include <errno.h>

/* The heap of a node, unless that is where the thread's own cache takes from, or the place has none. */
static struct vl_heap *other_heap(unsigned place)
{
    if (place >= VL_NODES_MAX || vl_topology.count == 1)
        return NULL;
    unsigned index = vl_topology.index_of[place];
    bool own = vl_get(&vl_cache_self->state) == VL_CACHE_OWNED && vl_cache_self->node == index;
    return own ? NULL : &vl_node_heaps[index];
}

/* Past the thread's cache, which holds its own node's. Nobody may be at home there who would sort in what
 * is freed of it. */
static void *take_from(struct vl_heap *heap, size_t size)
{
    bool zeroed;
    void *block = NULL;
    unsigned class = vl_class_of_size(size);
    vl_inbox_open(heap->node);
    if (class == VL_CLASS_NONE)
        return vl_large_take(heap, size, VL_MIN_ALIGN, VL_STAYS, &zeroed);
    return vl_central_take(heap, class, &block, 1) == 1 ? block : NULL;
}

/* `heap`: of a small block. */
static void *take(struct vl_heap *heap, unsigned place, size_t size)
{
    bool zeroed;
    return heap != NULL ? take_from(heap, size) : vl_large_take_at(place, size, &zeroed);
}

void *vl_placed_take(unsigned place, size_t size)
{
    if (size > PTRDIFF_MAX || !vl_start())
        return vl_alloc_or(vl_take_block, size);
    struct vl_heap *heap = size < VL_BIG_MIN ? other_heap(place) : NULL;
    if (size < VL_BIG_MIN && heap == NULL)
        return vl_alloc_or(vl_take_block, size);
    void *block = take(heap, place, size);
    if (vl_unlikely(block == NULL)) {
        vl_trim_for_want();
        block = take(heap, place, size);
    }
    /* Called from a hook of the mmap that is to give us memory. */
    if (vl_unlikely(block == NULL) && vl_place_is_making())
        return vl_alloc_or(vl_take_block, size);
    if (vl_unlikely(block == NULL))
        errno = ENOMEM;
    return vl_fill_fresh(block, size);
}

void *vl_placed_alloc(unsigned place, size_t size)
{
    void *block = vl_placed_take(place, size);
    vl_note(VL_COUNT_MALLOC);
    return block;
}
