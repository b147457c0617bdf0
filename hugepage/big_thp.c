#include "hugepage/big_thp.h"

#include "hugepage/big_heap.h"

void vl_big_thp_start(struct vl_big_thp *thp, const struct vl_slice *slice)
{
    vl_set(&thp->state, (uint8_t)vl_thp_first(slice));
    thp->front_next = thp->front_end = 0;
    vl_set(&thp->promoted, 0);
    vl_set(&thp->refused, 0);
}

/* What comes may be served from what is kept, so of these two the larger one counts. */
static bool is_outgrown(const struct vl_big_heap *heap, size_t more)
{
    uint64_t used = vl_get(&heap->bytes_used), kept = vl_get(&heap->bytes_dirty);
    uint64_t most = vl_options.huge_start_bytes, comes = vl_max((uint64_t)more, kept);
    return comes > most || used > most - comes;
}

void vl_big_thp_follow(struct vl_big_heap *heap, size_t more)
{
    struct vl_big_thp *thp = &heap->thp;
    enum vl_thp_state state = vl_get(&thp->state);
    enum vl_thp_state next = vl_thp_next(state, is_outgrown(heap, more));
    if (next == state)
        return;
    vl_lock(&heap->lock);
    /* Or another thread has seen to it. */
    bool changes = !heap->closed && vl_get(&thp->state) == state;
    if (changes)
        vl_set(&thp->state, (uint8_t)next);
    if (changes && state == VL_THP_FRONT && next == VL_THP_HUGE)
        thp->front_end = heap->extents.fresh;
    heap->away += changes;
    vl_unlock(&heap->lock);
    if (!changes)
        return;
    vl_thp_tell(heap->slice, next, 0);
    vl_lock(&heap->lock);
    heap->away--;
    vl_unlock(&heap->lock);
}

/* The next stretch of 2 MB of the front that belongs to one block. NULL if there is none any more: that is
 * known from then on. Under the lock. */
static char *next_of_front(struct vl_big_heap *heap)
{
    struct vl_big_thp *thp = &heap->thp;
    const struct vl_extent *table = heap->extents.table;
    for (uint32_t grain = 0; grain < thp->front_end; grain += table[grain].grains) {
        uint32_t end = (uint32_t)vl_min(grain + table[grain].grains, thp->front_end);
        uint32_t first = (uint32_t)vl_round_up(vl_max(grain, thp->front_next), VL_HUGE_GRAINS);
        if (table[grain].state != VL_EXTENT_USED || table[grain].hugetlb ||
            first + VL_HUGE_GRAINS > end)
            continue;
        thp->front_next = first + VL_HUGE_GRAINS;
        return (char *)heap->slice->start + ((size_t)first << VL_GRAIN_SHIFT);
    }
    thp->front_end = 0;
    return NULL;
}

/* Whether all of it has been written to, as far as its ends tell. */
static bool is_filled(const char *stretch)
{
    return vl_os->present(stretch) > 0 &&
           vl_os->present(stretch + VL_REGION_SIZE - vl_os_page_size) > 0;
}

void vl_big_thp_promote(struct vl_big_heap *heap)
{
    struct vl_big_thp *thp = &heap->thp;
    char *stretch = NULL;
    if (vl_get(&thp->state) != VL_THP_HUGE)
        return;
    vl_lock(&heap->lock);
    if (thp->front_end != 0 && !heap->closed)
        stretch = next_of_front(heap);
    heap->away += stretch != NULL;
    vl_unlock(&heap->lock);
    if (stretch == NULL)
        return;
    bool tried = is_filled(stretch), done = tried && vl_thp_collapse(stretch);
    vl_lock(&heap->lock);
    heap->away--;
    vl_count(&thp->promoted, done);
    vl_count(&thp->refused, tried && !done);
    vl_unlock(&heap->lock);
}
