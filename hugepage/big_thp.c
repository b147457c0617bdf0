#include "hugepage/big_thp.h"

#include "hugepage/big_heap.h"

void vl_big_thp_start(struct vl_big_thp *thp, const struct vl_slice *slice)
{
    vl_set(&thp->state, (uint8_t)vl_thp_first(slice));
    vl_set(&thp->front_next, 0);
    vl_set(&thp->front_end, 0);
}

void vl_big_thp_forget(struct vl_big_thp *thp)
{
    vl_set(&thp->front_end, 0);
}

/* Tells the kernel in which state the heap is, if that is a new one. */
static void enter(struct vl_big_heap *heap, const void *block, bool fresh, bool wanted)
{
    struct vl_big_thp *thp = &heap->thp;
    bool large =
        vl_get(&heap->bytes_used) + vl_get(&heap->bytes_dirty) > vl_options.huge_start_bytes;
    enum vl_thp_state state = vl_get(&thp->state);
    enum vl_thp_state next = vl_thp_next(vl_thp_next(state, large || wanted), false);
    if (next == state)
        return;
    uintptr_t offset = (uintptr_t)block - heap->slice->start;
    vl_lock(&heap->lock);
    bool changes = vl_get(&thp->state) == state; /* or another thread has seen to it */
    if (changes)
        vl_set(&thp->state, (uint8_t)next);
    if (changes && state == VL_THP_FRONT && next != VL_THP_OFF)
        vl_set(&thp->front_end, fresh ? (uint32_t)(offset >> VL_GRAIN_SHIFT) : heap->extents.fresh);
    vl_unlock(&heap->lock);
    if (changes)
        vl_thp_tell(heap->slice, next, 0);
}

/* --- Promotion --- */

static void promote(struct vl_big_heap *heap, char *stretch)
{
    bool done = vl_thp_collapse(stretch);
    vl_add(done ? &heap->thp.promoted : &heap->thp.refused, 1);
}

/*
 * The next stretch of 2 MB of the front that belongs to one block; NULL if there is none any more, which is
 * known from then on. In the child of a fork, extents before lone_end may be torn: it leaves them alone.
 * Under the lock.
 */
static char *next_of_front(struct vl_big_heap *heap)
{
    struct vl_big_thp *thp = &heap->thp;
    const struct vl_extent *table = heap->extents.table;
    uint32_t next = vl_get(&thp->front_next), front_end = vl_get(&thp->front_end);
    for (uint32_t grain = heap->extents.lone_end; grain < front_end; grain += table[grain].grains) {
        const struct vl_extent *extent = &table[grain];
        uint32_t end = (uint32_t)vl_min(grain + extent->grains, front_end);
        uint32_t first = (uint32_t)vl_round_up(vl_max(grain, next), VL_HUGE_GRAINS);
        bool block = extent->state == VL_EXTENT_USED && extent->bytes != 0 && !extent->hugetlb;
        if (!block || first + VL_HUGE_GRAINS > end)
            continue;
        vl_set(&thp->front_next, first + VL_HUGE_GRAINS);
        return (char *)heap->slice->start + ((size_t)first << VL_GRAIN_SHIFT);
    }
    vl_set(&thp->front_next, front_end);
    return NULL;
}

/* Whether all of it has been written to, as far as its ends tell. */
static bool is_filled(const char *stretch)
{
    return vl_os->present(stretch) > 0 &&
           vl_os->present(stretch + VL_REGION_SIZE - vl_os_page_size) > 0;
}

/* A huge page lies on one node: memory that is spread over several stays as it is. */
static void promote_next(struct vl_big_heap *heap)
{
    struct vl_big_thp *thp = &heap->thp;
    if (vl_get(&thp->front_next) >= vl_get(&thp->front_end) || heap->slice->spread != NULL)
        return;
    vl_lock(&heap->lock);
    char *stretch = next_of_front(heap);
    vl_unlock(&heap->lock);
    if (stretch != NULL && is_filled(stretch))
        promote(heap, stretch);
}

/* What a block has of the front, whose memory was kept. */
static void promote_block(struct vl_big_heap *heap, const char *block)
{
    size_t offset = (uintptr_t)block - heap->slice->start;
    size_t from = vl_round_up(offset, VL_REGION_SIZE), to = offset + vl_big_heap_bytes(heap, block);
    size_t front_end = (size_t)vl_get(&heap->thp.front_end) << VL_GRAIN_SHIFT;
    for (; from + VL_REGION_SIZE <= vl_min(to, front_end); from += VL_REGION_SIZE)
        promote(heap, (char *)heap->slice->start + from);
}

void vl_big_thp_follow(struct vl_big_heap *heap, const void *block, bool fresh, bool wanted)
{
    enter(heap, block, fresh, wanted);
    if (vl_get(&heap->thp.state) != VL_THP_HUGE)
        return;
    if (wanted && !fresh)
        promote_block(heap, block);
    else
        promote_next(heap);
}
