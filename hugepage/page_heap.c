#include "hugepage/page_heap.h"

#include "hugepage/holding.h"
#include "hugepage/hugetlb.h"
#include "hugepage/limit.h"

#include <string.h>

/* Empty regions that big blocks do not get; above it, a third of the most that were in use. */
enum { KEPT_MIN = 8 };

/* Fewer regions at the end are not worth the call that gives their records back. */
enum { RETREAT_MIN = 16 };

_Static_assert(sizeof(struct vl_region) <= UINT16_MAX, "a slice holds it in 16 bits");

struct vl_slice_plan vl_page_heap_plan(unsigned node, size_t size)
{
    enum vl_hugepage_mode mode = vl_options.hugepage_mode;
    bool from_start = mode == VL_HUGEPAGE_ALWAYS;
    return (struct vl_slice_plan){
        .kind = VL_SLICE_NODE,
        .node = node,
        .size = size,
        .unit_shift = VL_REGION_SHIFT,
        .unit_bytes = sizeof(struct vl_region),
        .small_pages = from_start                   ? 0
                       : mode == VL_HUGEPAGE_NEVER ? SIZE_MAX
                                                   : vl_round_up(vl_options.huge_start_bytes,
                                                                 VL_REGION_SIZE),
        .huge = mode != VL_HUGEPAGE_NEVER,
        .pool = vl_hugetlb_wanted(),
    };
}

void vl_page_heap_start(struct vl_page_heap *heap, struct vl_slice *slice)
{
    vl_lock(&heap->lock); /* another thread may still be looking at the slot's former heap */
    heap->slice = slice;
    vl_region_set_clear(&heap->active);
    heap->closed = false;
    vl_set(&heap->reserved, 0);
    vl_thp_start(&heap->thp, slice);
    vl_unlock(&heap->lock);
}

/* Under the lock, when regions have come to hold memory or hold it no longer. */
static void tell_limit(struct vl_page_heap *heap)
{
    uint64_t regions =
        vl_get(&heap->regions_active) + vl_get(&heap->regions_empty) + heap->fetching;
    vl_limit_tell(&heap->told, regions << VL_REGION_SHIFT);
}

static struct vl_region *region_with_memory(struct vl_page_heap *heap)
{
    struct vl_region *region = heap->empty.first;
    if (region != NULL) {
        vl_region_unlink(&heap->empty, region);
        vl_count(&heap->regions_empty, -1u);
    }
    return region;
}

/* One whose memory went back, or one never used; NULL if all are in use or not yet writable. */
static struct vl_region *region_without_memory(struct vl_page_heap *heap)
{
    struct vl_region *region = heap->clean.first;
    if (region != NULL) {
        vl_region_unlink(&heap->clean, region);
        region->state = VL_REGION_FRESH; /* on no list, it is not CLEAN */
        vl_count(&heap->regions_clean, -1u);
        return region;
    }
    size_t end = ((size_t)heap->fresh + 1) << VL_REGION_SHIFT;
    if (end > vl_get_acquire(&heap->slice->writable))
        return NULL;
    region = vl_slice_unit(heap->slice, heap->fresh++);
    region->slice = heap->slice->number;
    region->state = VL_REGION_FRESH;
    return region;
}

/* A region that was not in use is. */
static void count_active(struct vl_page_heap *heap, struct vl_region *region)
{
    vl_region_reset(region);
    region->state = VL_REGION_ACTIVE;
    vl_count(&heap->regions_active, 1);
    if (vl_get(&heap->regions_active) > vl_get(&heap->regions_active_max))
        vl_set(&heap->regions_active_max, vl_get(&heap->regions_active));
    tell_limit(heap);
}

static void activate(struct vl_page_heap *heap, struct vl_region *region)
{
    count_active(heap, region);
    vl_region_set_add(&heap->active, region);
}

/* A region that is not in use; NULL if there is none to be had at once. *opens: it had no memory. */
static struct vl_region *unused_region(struct vl_page_heap *heap, bool *opens)
{
    struct vl_region *region = region_with_memory(heap);
    *opens = region == NULL && !heap->slice->pool && vl_limit_allows(VL_REGION_SIZE);
    if (*opens)
        region = region_without_memory(heap);
    if (*opens && region != NULL)
        vl_thp_enter(heap, region);
    return region;
}

/* Takes a run from an active region or from one that becomes active. */
static bool take_locked(struct vl_page_heap *heap, struct vl_wish wish, struct vl_run *run)
{
    if (!vl_region_room_is_due(vl_get(&heap->regions_active), vl_get(&heap->pages_used)))
        wish.room = 0;
    if (!vl_region_set_take(&heap->active, wish, run)) {
        bool opens;
        struct vl_region *region = unused_region(heap, &opens);
        if (region == NULL)
            return false;
        activate(heap, region);
        vl_region_set_take(&heap->active, wish, run);
        run->opens = opens;
    }
    vl_count(&heap->pages_used, wish.pages);
    return true;
}

/* Makes room for one more region than there are. */
static bool extend(struct vl_page_heap *heap)
{
    vl_lock(&heap->lock);
    bool open = !heap->closed;
    size_t end = ((size_t)heap->fresh + 1) << VL_REGION_SHIFT;
    heap->away += open;
    vl_unlock(&heap->lock);
    bool extended = open && vl_slice_extend(heap->slice, end);
    vl_lock(&heap->lock);
    heap->away -= open;
    vl_unlock(&heap->lock);
    return extended;
}

/* Puts an unused region, on no list so far, where it belongs; a LOST one belongs nowhere. */
static void file_unused(struct vl_page_heap *heap, struct vl_region *region,
                        enum vl_region_state state)
{
    region->state = (uint8_t)state;
    region->emptied_ms = vl_os->clock_ms();
    heap->lost = heap->lost || state == VL_REGION_LOST;
    if (state == VL_REGION_LOST)
        return;
    bool clean = state == VL_REGION_CLEAN;
    vl_region_link(clean ? &heap->clean : &heap->empty, region);
    vl_count(clean ? &heap->regions_clean : &heap->regions_empty, 1);
    tell_limit(heap);
}

/* Makes a region without memory one that can be used, if possible with a page of the kernel's pool.
 * False if there is none. */
static bool provide(struct vl_page_heap *heap)
{
    vl_lock(&heap->lock);
    struct vl_region *region = heap->closed ? NULL : region_without_memory(heap);
    if (region != NULL)
        vl_region_reset(region);
    heap->away += region != NULL;
    vl_unlock(&heap->lock);
    if (region == NULL)
        return false;
    /* It is on no list now, so nobody else touches it. */
    enum vl_hugetlb_result result =
        vl_hugetlb_take(heap->slice, vl_region_start(region), VL_REGION_SIZE);
    vl_lock(&heap->lock);
    heap->away--;
    region->hugetlb = result == VL_HUGETLB_TAKEN;
    vl_count(&heap->hugetlb_bytes, region->hugetlb ? VL_REGION_SIZE : 0);
    vl_count(&heap->hugetlb_refused, !region->hugetlb);
    file_unused(heap, region, result == VL_HUGETLB_LOST ? VL_REGION_LOST : VL_REGION_EMPTY);
    vl_unlock(&heap->lock);
    vl_limit_watch();
    return true;
}

/* Makes an unused region to be had at once; false if that is impossible, or not allowed. */
static bool make_room(struct vl_page_heap *heap)
{
    if (!vl_limit_allows(VL_REGION_SIZE))
        return false;
    return (heap->slice->pool && provide(heap)) || extend(heap);
}

/* A region without memory has come into use; `used`: what of it the caller has and is about to use, or NULL.
 * Without the lock. */
static void opened(struct vl_page_heap *heap, struct vl_region *region, char *used)
{
    vl_thp_opened(heap, region, used);
    vl_limit_watch();
}

bool vl_page_heap_take(struct vl_page_heap *heap, struct vl_wish wish, struct vl_run *run)
{
    bool taken;
    do {
        vl_lock(&heap->lock);
        taken = !heap->closed && take_locked(heap, wish, run);
        vl_unlock(&heap->lock);
    } while (!taken && make_room(heap));
    if (taken && run->opens)
        opened(heap, run->region, wish.soon ? run->start : NULL);
    return taken;
}

struct vl_region *vl_page_heap_lease(struct vl_page_heap *heap, struct vl_holding *holder,
                                     bool soon)
{
    struct vl_region *region;
    bool opens = false;
    do {
        vl_lock(&heap->lock);
        region = heap->closed ? NULL : unused_region(heap, &opens);
        if (region != NULL) {
            count_active(heap, region);
            vl_set(&region->holder, holder);
        }
        vl_unlock(&heap->lock);
    } while (region == NULL && make_room(heap));
    if (region != NULL && opens)
        opened(heap, region, soon ? vl_region_start(region) : NULL);
    return region;
}

/* --- Reserved --- */

uint32_t vl_page_heap_reserve(struct vl_page_heap *heap, uint32_t count, char **start)
{
    vl_thp_outgrow(heap);
    vl_lock(&heap->lock);
    size_t most = (vl_get(&heap->slice->size) >> VL_REGION_SHIFT) - heap->fresh;
    count = heap->closed ? 0 : (uint32_t)vl_min(count, most);
    size_t end = ((size_t)heap->fresh + count) << VL_REGION_SHIFT;
    heap->away++;
    vl_unlock(&heap->lock);
    vl_slice_extend(heap->slice, end);
    vl_lock(&heap->lock);
    size_t there = (vl_get_acquire(&heap->slice->writable) >> VL_REGION_SHIFT) - heap->fresh;
    count = (uint32_t)vl_min(count, there);
    *start = (char *)heap->slice->start + ((size_t)heap->fresh << VL_REGION_SHIFT);
    heap->fresh += count;
    heap->fetching += count;
    heap->away -= count == 0;
    tell_limit(heap);
    vl_unlock(&heap->lock);
    return count;
}

void vl_page_heap_reserved(struct vl_page_heap *heap, char *start, uint32_t count, size_t populated)
{
    uint32_t first = (uint32_t)(((uintptr_t)start - heap->slice->start) >> VL_REGION_SHIFT);
    uint32_t with = (uint32_t)(populated >> VL_REGION_SHIFT);
    /* The last one first: those at the beginning are taken first. Others get the lock in between. */
    for (uint32_t i = count; i-- > 0;) {
        struct vl_region *region = vl_slice_unit(heap->slice, first + i);
        vl_lock(&heap->lock);
        region->slice = heap->slice->number;
        vl_region_reset(region);
        heap->fetching--;
        if (i < with)
            vl_thp_enter(heap, region);
        file_unused(heap, region, i < with ? VL_REGION_EMPTY : VL_REGION_CLEAN);
        vl_count(&heap->reserved, i < with);
        heap->away -= i == 0;
        vl_unlock(&heap->lock);
    }
}

void vl_page_heap_unreserve(struct vl_page_heap *heap)
{
    vl_lock(&heap->lock);
    vl_set(&heap->reserved, 0);
    vl_unlock(&heap->lock);
}

/* Empty regions that the reserve keeps. */
static uint32_t reserve_floor(const struct vl_page_heap *heap)
{
    uint32_t active = vl_get(&heap->regions_active);
    uint32_t reserved = vl_get(&heap->reserved);
    return reserved > active ? reserved - active : 0;
}

/* The region that has been empty longest, if that is at least `age_ms` and more than `keep` are. */
static struct vl_region *purge_candidate(struct vl_page_heap *heap, uint64_t age_ms, uint32_t keep)
{
    struct vl_region *oldest = heap->empty.last;
    if (oldest == NULL || vl_get(&heap->regions_empty) <= keep ||
        vl_os->clock_ms() - oldest->emptied_ms < age_ms)
        return NULL;
    return oldest;
}

/* Gives the memory of a region back that is on no list; tells what it is then. */
static enum vl_region_state discard(struct vl_page_heap *heap, const struct vl_region *region)
{
    char *start = vl_region_start(region);
    if (region->hugetlb)
        return vl_hugetlb_give(heap->slice, start, VL_REGION_SIZE, 1) ? VL_REGION_CLEAN
                                                                      : VL_REGION_LOST;
    if (region->stray != VL_STRAY_NOT)
        return vl_slice_renew(heap->slice, start, VL_REGION_SIZE) ? VL_REGION_CLEAN
                                                                  : VL_REGION_LOST;
    bool given = vl_os->advise(start, VL_REGION_SIZE, VL_ADVICE_DISCARD) == 0;
    return given ? VL_REGION_CLEAN : VL_REGION_EMPTY;
}

/* Puts a region back after a purge; one that kept its memory begins its time anew. */
static void file_purged(struct vl_page_heap *heap, struct vl_region *region,
                        enum vl_region_state state)
{
    vl_count(&heap->hugetlb_bytes, region->hugetlb ? -VL_REGION_SIZE : 0);
    region->hugetlb = false;
    region->stray = VL_STRAY_NOT;
    if (state == VL_REGION_CLEAN) {
        vl_thp_leave(heap, region);
        memset(region->dirty, 0, sizeof region->dirty);
        vl_count(&heap->purged_bytes, VL_REGION_SIZE);
    }
    file_unused(heap, region, state);
}

/* Gives memory back, of the regions that have been empty longest, while more than `keep` are and it is
 * less than `most` bytes. */
static size_t purge(struct vl_page_heap *heap, uint64_t age_ms, uint32_t keep, size_t most)
{
    size_t purged = 0;
    while (purged < most) {
        vl_lock(&heap->lock);
        struct vl_region *region = purge_candidate(heap, age_ms, keep);
        if (region != NULL) {
            vl_region_unlink(&heap->empty, region);
            vl_count(&heap->regions_empty, -1u);
            heap->away++;
        }
        vl_unlock(&heap->lock);
        if (region == NULL)
            return purged;
        /* It is on no list now, so nobody else touches it. */
        enum vl_region_state state = discard(heap, region);
        vl_lock(&heap->lock);
        heap->away--;
        file_purged(heap, region, state);
        vl_unlock(&heap->lock);
        if (state != VL_REGION_CLEAN)
            return purged; /* locked memory, for one: nothing to be had for now */
        purged += VL_REGION_SIZE;
    }
    return purged;
}

/* The regions without memory at the end of those used so far: from which number on they lie, and that
 * many are on no list any more. Under the lock. */
static uint32_t detach_clean_end(struct vl_page_heap *heap)
{
    uint32_t first = heap->fresh;
    while (first > 0 &&
           ((struct vl_region *)vl_slice_unit(heap->slice, first - 1))->state == VL_REGION_CLEAN)
        first--;
    if (heap->fresh - first < RETREAT_MIN)
        return heap->fresh;
    for (uint32_t number = first; number < heap->fresh; number++) {
        struct vl_region *region = vl_slice_unit(heap->slice, number);
        vl_region_unlink(&heap->clean, region);
        region->state = VL_REGION_FRESH; /* another who retreats meanwhile shall not find it */
    }
    vl_count(&heap->regions_clean, first - heap->fresh);
    return first;
}

/* The regions [first, end) are as if never used, unless others were used for the first time meanwhile:
 * then they are clean again. Under the lock. */
static void forget_clean(struct vl_page_heap *heap, uint32_t first, uint32_t end)
{
    if (heap->fresh == end) {
        heap->fresh = first;
        return;
    }
    for (uint32_t number = first; number < end; number++) {
        struct vl_region *region = vl_slice_unit(heap->slice, number);
        region->slice = heap->slice->number;
        vl_region_reset(region);
        file_unused(heap, region, VL_REGION_CLEAN);
    }
}

/* Gives back the records of regions without memory, at the end of those used so far: they are 8 KB
 * each. Readers find zeros there, which are a region never used. */
static void retreat(struct vl_page_heap *heap)
{
    vl_lock(&heap->lock);
    uint32_t end = heap->closed ? 0 : heap->fresh;
    uint32_t first = heap->closed ? 0 : detach_clean_end(heap);
    heap->away += first < end;
    vl_unlock(&heap->lock);
    if (first == end)
        return;
    uintptr_t from = vl_round_up((uintptr_t)vl_slice_unit(heap->slice, first), vl_os_page_size);
    uintptr_t to = vl_round_down((uintptr_t)vl_slice_unit(heap->slice, end), vl_os_page_size);
    if (from < to)
        vl_os->advise((void *)from, to - from, VL_ADVICE_DISCARD);
    vl_lock(&heap->lock);
    heap->away--;
    forget_clean(heap, first, end);
    vl_unlock(&heap->lock);
}

size_t vl_page_heap_purge(struct vl_page_heap *heap, uint64_t age_ms)
{
    size_t purged = purge(heap, age_ms, reserve_floor(heap), SIZE_MAX);
    if (purged != 0)
        retreat(heap);
    return purged;
}

static uint32_t kept_limit(const struct vl_page_heap *heap)
{
    return (uint32_t)vl_max(KEPT_MIN, vl_get(&heap->regions_active_max) / 3);
}

size_t vl_page_heap_yield(struct vl_page_heap *heap, size_t most)
{
    uint32_t keep = (uint32_t)vl_max(kept_limit(heap), reserve_floor(heap));
    bool surplus = vl_get(&heap->regions_empty) > keep && vl_options.purge_delay_ms >= 0;
    return surplus ? purge(heap, 0, keep, most) : 0;
}

/* What an emptied region is the occasion for. */
static void purge_old(struct vl_page_heap *heap)
{
    if (vl_options.purge_delay_ms >= 0)
        purge(heap, (uint64_t)vl_options.purge_delay_ms, reserve_floor(heap), SIZE_MAX);
}

static void give_own(struct vl_page_heap *heap, struct vl_region *region, unsigned page, bool clean)
{
    vl_lock(&heap->lock);
    unsigned pages = vl_region_set_give(&heap->active, region, page);
    if (clean)
        vl_region_clean(region, page, pages);
    vl_count(&heap->pages_used, -(uint64_t)pages);
    bool emptied = region->run_count == 0;
    if (emptied) {
        vl_count(&heap->regions_active, -1u);
        file_unused(heap, region, VL_REGION_EMPTY);
    }
    vl_unlock(&heap->lock);
    if (emptied)
        purge_old(heap);
}

void vl_page_heap_return_memory(struct vl_page_heap *heap, struct vl_region *region)
{
    enum vl_region_state state = discard(heap, region);
    vl_lock(&heap->lock);
    vl_set(&region->holder, NULL);
    vl_count(&heap->regions_active, -1u);
    file_purged(heap, region, state);
    vl_unlock(&heap->lock);
}

void vl_page_heap_return(struct vl_page_heap *heap, struct vl_region *region)
{
    if (region->stray != VL_STRAY_NOT) {
        vl_page_heap_return_memory(heap, region);
        return;
    }
    vl_lock(&heap->lock);
    vl_set(&region->holder, NULL);
    vl_count(&heap->regions_active, -1u);
    file_unused(heap, region, VL_REGION_EMPTY);
    vl_unlock(&heap->lock);
    purge_old(heap);
}

/* `clean`: the memory of the run went to the system. */
static void give(struct vl_page_heap *heap, struct vl_region *region, unsigned page, bool clean)
{
    struct vl_holding *holder = vl_get(&region->holder);
    if (holder == NULL) {
        give_own(heap, region, page, clean);
    } else if (vl_holding_give(holder, region, page, clean) != NULL) {
        vl_page_heap_return(heap, region);
        vl_holding_returned(holder);
    }
}

void vl_page_heap_give(struct vl_page_heap *heap, struct vl_region *region, unsigned page)
{
    give(heap, region, page, false);
}

static bool lengthen_own(struct vl_page_heap *heap, struct vl_region *region, unsigned page,
                         unsigned more)
{
    vl_lock(&heap->lock);
    bool longer = vl_region_set_lengthen(&heap->active, region, page, more);
    vl_count(&heap->pages_used, longer ? more : 0);
    vl_unlock(&heap->lock);
    return longer;
}

bool vl_page_heap_lengthen(struct vl_page_heap *heap, struct vl_region *region, unsigned page,
                           unsigned more)
{
    struct vl_holding *holder = vl_get(&region->holder);
    return holder == NULL ? lengthen_own(heap, region, page, more)
                          : vl_holding_lengthen(holder, region, page, more);
}

/* --- Free pages of regions in use --- */

static bool take_dirty(struct vl_page_heap *heap, struct vl_holding *holder,
                       struct vl_region *region, unsigned page, struct vl_run *run)
{
    if (holder != NULL)
        return vl_holding_take_dirty(holder, region, page, run);
    vl_lock(&heap->lock);
    bool taken = vl_get(&region->holder) == NULL &&
                 vl_region_set_take_dirty(&heap->active, region, page, run);
    vl_count(&heap->pages_used, taken ? run->pages : 0);
    vl_unlock(&heap->lock);
    return taken;
}

/* While their memory goes back, the pages are a run in use: nobody is given them. */
static size_t strip_region(struct vl_page_heap *heap, struct vl_holding *holder,
                           struct vl_region *region)
{
    struct vl_run run;
    size_t bytes = 0;
    for (unsigned page = 0; take_dirty(heap, holder, region, page, &run);) {
        uintptr_t start = (uintptr_t)run.start, end = start + (run.pages << VL_PAGE_SHIFT);
        uintptr_t inner = vl_round_up(start, vl_os_page_size);
        uintptr_t inner_end = vl_round_down(end, vl_os_page_size);
        size_t size = inner < inner_end ? inner_end - inner : 0;
        bool given = size != 0 &&
                     vl_os->advise((void *)inner, size, VL_ADVICE_DISCARD) == 0;
        give(heap, region, run.page, given && size == end - start);
        bytes += given ? size : 0;
        page = run.page + run.pages;
    }
    return bytes;
}

size_t vl_page_heap_strip(struct vl_page_heap *heap, struct vl_holding *holder)
{
    size_t bytes = 0;
    vl_lock(&heap->lock);
    uint32_t count = heap->closed ? 0 : heap->fresh;
    heap->guests++;
    vl_unlock(&heap->lock);
    for (uint32_t number = 0; number < count; number++) {
        struct vl_region *region = vl_slice_unit(heap->slice, number);
        if (vl_get(&region->holder) == holder)
            bytes += strip_region(heap, holder, region);
    }
    vl_lock(&heap->lock);
    heap->guests--;
    vl_count(&heap->purged_bytes, bytes);
    vl_unlock(&heap->lock);
    return bytes;
}

/* Under the lock of whose region it is. */
static void copy_view(const struct vl_region *region, struct vl_region_view *view)
{
    view->state = region->state;
    view->pages_used = region->pages_used;
    for (unsigned page = 0; page < VL_REGION_PAGES; page++) {
        bool begins = vl_region_is_used(region, page) && region->head[page] == page;
        view->run_pages[page] = (uint16_t)(begins ? vl_region_run_pages(region, page) : 0);
    }
}

/* False if it is not this holder's any more. */
static bool view_held(struct vl_holding *holder, const struct vl_region *region,
                      struct vl_region_view *view)
{
    vl_lock(&holder->lock);
    bool held = vl_get(&region->holder) == holder;
    if (held)
        copy_view(region, view);
    vl_unlock(&holder->lock);
    return held;
}

bool vl_page_heap_view(struct vl_page_heap *heap, uint32_t number, struct vl_region_view *view)
{
    const struct vl_region *region = vl_slice_unit(heap->slice, number);
    struct vl_holding *holder;
    do {
        vl_lock(&heap->lock);
        bool there = number < heap->fresh;
        holder = there ? vl_get(&region->holder) : NULL;
        if (there && holder == NULL)
            copy_view(region, view);
        vl_unlock(&heap->lock);
        if (!there)
            return false;
    } while (holder != NULL && !view_held(holder, region, view));
    return true;
}

bool vl_page_heap_is_full(struct vl_page_heap *heap)
{
    vl_lock(&heap->lock);
    bool open = !heap->closed && vl_get(&heap->slice->writable) < vl_get(&heap->slice->size);
    vl_unlock(&heap->lock);
    return !open;
}

bool vl_page_heap_close(struct vl_page_heap *heap)
{
    vl_lock(&heap->lock);
    /* What is LOST may be somebody else's mapping by now. */
    bool idle = !heap->closed && !heap->lost && heap->away == 0 && heap->guests == 0 &&
                vl_get(&heap->regions_active) == 0;
    if (idle) {
        vl_hugetlb_recount(-(int)(vl_get(&heap->hugetlb_bytes) >> VL_REGION_SHIFT));
        vl_set(&heap->hugetlb_bytes, 0);
        heap->closed = true;
        heap->empty = heap->clean = (struct vl_region_list){NULL, NULL};
        heap->fresh = 0;
        vl_set(&heap->regions_empty, 0);
        vl_set(&heap->regions_clean, 0);
        vl_set(&heap->thp.small, 0);
        tell_limit(heap);
    }
    vl_unlock(&heap->lock);
    return idle;
}

/* Puts a region on the list its bitmaps say it belongs to. Who has leased one sees to it himself. */
static void sort_in(struct vl_page_heap *heap, struct vl_region *region)
{
    region->slice = heap->slice->number; /* it may have been just about to be told */
    vl_count(&heap->hugetlb_bytes, region->hugetlb ? VL_REGION_SIZE : 0);
    vl_count(&heap->thp.small, region->small);
    if (region->state == VL_REGION_LOST)
        return;
    if (vl_get(&region->holder) != NULL) {
        vl_count(&heap->regions_active, 1);
        return;
    }
    bool used = vl_region_recount(region);
    if (used) {
        region->state = VL_REGION_ACTIVE;
        vl_region_set_add(&heap->active, region);
        vl_count(&heap->regions_active, 1);
    } else {
        file_unused(heap, region, VL_REGION_EMPTY);
    }
    vl_count(&heap->pages_used, region->pages_used);
}

/* Builds the lists anew from the regions. */
static void rebuild(struct vl_page_heap *heap)
{
    vl_region_set_clear(&heap->active);
    heap->empty = heap->clean = (struct vl_region_list){NULL, NULL};
    vl_set(&heap->pages_used, 0);
    vl_set(&heap->regions_active, 0);
    vl_set(&heap->regions_empty, 0);
    vl_set(&heap->regions_clean, 0);
    vl_set(&heap->hugetlb_bytes, 0);
    vl_set(&heap->thp.small, 0);
    for (uint32_t i = 0; i < heap->fresh; i++)
        sort_in(heap, vl_slice_unit(heap->slice, i));
}

void vl_page_heap_after_fork(struct vl_page_heap *heap)
{
    /* A region that was away is on no list either. */
    bool torn = vl_lock_reset(&heap->lock) || heap->away != 0;
    if (heap->guests != 0)
        heap->guests = 0;
    if (torn) {
        heap->away = heap->fetching = 0;
        rebuild(heap);
    }
    tell_limit(heap);
}
