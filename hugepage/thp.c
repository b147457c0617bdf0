#include "hugepage/thp.h"

#include "hugepage/page_heap.h"
#include "hugepage/stall.h"

enum {
    PROMOTED_EACH = 4,
    LOOKED_AT_ONCE = 64,  /* regions, in search of one to promote */
    DENSE_SHARE = 8,      /* no more than this part of one that is promoted is without memory */
    REFUSALS_MAX = 16,    /* then there is no use to try */
};

/* --- What fresh memory is --- */

enum vl_thp_state vl_thp_first(const struct vl_slice *slice)
{
    return !slice->huge ? VL_THP_OFF : vl_slice_is_small(slice, 0) ? VL_THP_FRONT : VL_THP_HUGE;
}

enum vl_thp_state vl_thp_next(enum vl_thp_state state, bool outgrown)
{
    if (state == VL_THP_FRONT && outgrown)
        return vl_os->thp_mode() == VL_THP_MODE_NEVER ? VL_THP_OFF : VL_THP_HUGE;
    if (state == VL_THP_HUGE || state == VL_THP_HELD)
        return vl_stall_is_held() ? VL_THP_HELD : VL_THP_HUGE;
    return state;
}

void vl_thp_tell(struct vl_slice *slice, enum vl_thp_state state, size_t from)
{
    if (state == VL_THP_HELD)
        vl_slice_use_small(slice, from);
    else if (state == VL_THP_HUGE)
        vl_slice_use_huge(slice);
}

void vl_thp_start(struct vl_thp *thp, const struct vl_slice *slice)
{
    vl_set(&thp->state, (uint8_t)vl_thp_first(slice));
    thp->opened = thp->next = 0;
    vl_set(&thp->small, 0);
    vl_set(&thp->promoted, 0);
    vl_set(&thp->refused, 0);
}

static size_t offset_of(const struct vl_page_heap *heap, const struct vl_region *region)
{
    return (size_t)(vl_region_start(region) - (char *)heap->slice->start);
}

void vl_thp_enter(struct vl_page_heap *heap, struct vl_region *region)
{
    region->small = heap->slice->huge && vl_slice_is_small(heap->slice, offset_of(heap, region));
    vl_count(&heap->thp.small, region->small);
}

void vl_thp_leave(struct vl_page_heap *heap, struct vl_region *region)
{
    vl_count(&heap->thp.small, -(uint32_t)region->small);
    region->small = false;
}

/* Follows what there is to know now: true if fresh regions get huge pages. */
static bool follow(struct vl_page_heap *heap, bool outgrown)
{
    enum vl_thp_state state = vl_get(&heap->thp.state), next = vl_thp_next(state, outgrown);
    if (next == state)
        return next == VL_THP_HUGE;
    vl_lock(&heap->lock);
    /* Or another thread has seen to it. */
    bool changes = !heap->closed && vl_get(&heap->thp.state) == state;
    size_t from = (size_t)heap->fresh << VL_REGION_SHIFT;
    if (changes)
        vl_set(&heap->thp.state, (uint8_t)next);
    heap->guests += changes;
    vl_unlock(&heap->lock);
    if (!changes)
        return next == VL_THP_HUGE;
    vl_thp_tell(heap->slice, next, from);
    vl_lock(&heap->lock);
    heap->guests--;
    vl_unlock(&heap->lock);
    return next == VL_THP_HUGE;
}

/* --- Promotion --- */

/* Counted upwards: what is without memory, counted down from all and compared, clang 14 takes for more. */
static bool is_dense(const struct vl_region *region)
{
    unsigned dirty = 0;
    for (unsigned word = 0; word < VL_REGION_WORDS; word++)
        dirty += vl_bit_count(region->dirty[word]);
    return dirty >= VL_REGION_PAGES - VL_REGION_PAGES / DENSE_SHARE;
}

/* The next region that is worth it, of those looked at; NULL if none is. Under the lock. */
static struct vl_region *next_candidate(struct vl_page_heap *heap)
{
    uint32_t looks = heap->fresh < LOOKED_AT_ONCE ? heap->fresh : LOOKED_AT_ONCE;
    for (; looks > 0; looks--) {
        heap->thp.next = heap->thp.next + 1 < heap->fresh ? heap->thp.next + 1 : 0;
        struct vl_region *region = vl_slice_unit(heap->slice, heap->thp.next);
        if (region->small && region->state == VL_REGION_ACTIVE &&
            vl_get(&region->holder) == NULL && is_dense(region))
            return region;
    }
    return NULL;
}

bool vl_thp_collapse(char *start)
{
    uint64_t began = vl_os->clock_ns();
    bool done = vl_os->advise(start, VL_REGION_SIZE, VL_ADVICE_COLLAPSE) == 0;
    vl_stall_watch_collapse(vl_os->clock_ns() - began);
    return done;
}

static bool is_due(struct vl_thp *thp)
{
    return thp->opened++ % PROMOTED_EACH == 0 && vl_get(&thp->small) != 0 &&
           vl_get(&thp->refused) < REFUSALS_MAX + vl_get(&thp->promoted);
}

/* False if there is none to promote, or it was refused. `due`: only if one is. */
static bool promote_one(struct vl_page_heap *heap, bool due)
{
    vl_lock(&heap->lock);
    bool tries = !heap->closed && (!due || is_due(&heap->thp));
    struct vl_region *region = tries ? next_candidate(heap) : NULL;
    char *start = region == NULL ? NULL : vl_region_start(region);
    heap->guests += region != NULL;
    vl_unlock(&heap->lock);
    if (region == NULL)
        return false;
    bool done = vl_thp_collapse(start);
    vl_lock(&heap->lock);
    heap->guests--;
    if (done)
        vl_thp_leave(heap, region);
    vl_count(done ? &heap->thp.promoted : &heap->thp.refused, 1);
    vl_unlock(&heap->lock);
    return done;
}

void vl_thp_outgrow(struct vl_page_heap *heap)
{
    if (heap->slice->huge && follow(heap, true))
        while (promote_one(heap, false)) {
        }
}

void vl_thp_opened(struct vl_page_heap *heap, struct vl_region *region, char *used)
{
    if (!heap->slice->huge || region->hugetlb)
        return;
    bool outgrown = !vl_slice_is_small(heap->slice, offset_of(heap, region));
    if (outgrown && used != NULL)
        vl_stall_first_touch(vl_region_start(region), used);
    if (follow(heap, outgrown))
        promote_one(heap, true);
}
