#include "hugepage/page_heap.h"

#include "hugepage/holding.h"
#include "hugepage/hugetlb.h"

#include <string.h>

/* Empty regions that big blocks do not get; above it, a third of the most that were in use. */
enum { KEPT_MIN = 8 };

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
        .pool = mode == VL_HUGEPAGE_HUGETLB,
    };
}

void vl_page_heap_start(struct vl_page_heap *heap, struct vl_slice *slice)
{
    vl_lock(&heap->lock); /* another thread may still be looking at the slot's former heap */
    heap->slice = slice;
    for (int i = 0; i < VL_POPULATIONS; i++)
        vl_region_set_clear(&heap->active[i]);
    heap->closed = false;
    vl_unlock(&heap->lock);
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
        vl_count(&heap->regions_clean, -1u);
        return region;
    }
    size_t end = ((size_t)heap->fresh + 1) << VL_REGION_SHIFT;
    if (end > vl_get_acquire(&heap->slice->writable))
        return NULL;
    region = vl_slice_unit(heap->slice, heap->fresh++);
    region->slice = heap->slice->number;
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
}

static void activate(struct vl_page_heap *heap, struct vl_region *region,
                     enum vl_population population)
{
    count_active(heap, region);
    region->population = (uint8_t)population;
    vl_region_set_add(&heap->active[population], region);
}

/* A region that is not in use; NULL if there is none to be had at once. */
static struct vl_region *unused_region(struct vl_page_heap *heap)
{
    struct vl_region *region = region_with_memory(heap);
    return region != NULL || heap->slice->pool ? region : region_without_memory(heap);
}

/* Takes a run from an active region or from one that becomes active. */
static bool take_locked(struct vl_page_heap *heap, unsigned pages, unsigned align,
                        enum vl_population population, struct vl_run *run)
{
    struct vl_region_set *set = &heap->active[population];
    if (!vl_region_set_take(set, pages, align, run)) {
        struct vl_region *region = unused_region(heap);
        if (region == NULL)
            return false;
        activate(heap, region, population);
        vl_region_set_take(set, pages, align, run);
    }
    vl_count(&heap->pages_used, pages);
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
    return true;
}

/* Makes an unused region to be had at once; false if that is impossible. */
static bool make_room(struct vl_page_heap *heap)
{
    return (heap->slice->pool && provide(heap)) || extend(heap);
}

bool vl_page_heap_take(struct vl_page_heap *heap, unsigned pages, unsigned align,
                       enum vl_population population, struct vl_run *run)
{
    bool taken;
    do {
        vl_lock(&heap->lock);
        taken = !heap->closed && take_locked(heap, pages, align, population, run);
        vl_unlock(&heap->lock);
    } while (!taken && make_room(heap));
    return taken;
}

struct vl_region *vl_page_heap_lease(struct vl_page_heap *heap, struct vl_holding *holder)
{
    struct vl_region *region;
    do {
        vl_lock(&heap->lock);
        region = heap->closed ? NULL : unused_region(heap);
        if (region != NULL) {
            count_active(heap, region);
            vl_set(&region->holder, holder);
        }
        vl_unlock(&heap->lock);
    } while (region == NULL && make_room(heap));
    return region;
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
        return vl_hugetlb_give(heap->slice, start, VL_REGION_SIZE) ? VL_REGION_CLEAN
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

size_t vl_page_heap_purge(struct vl_page_heap *heap, uint64_t age_ms)
{
    return purge(heap, age_ms, 0, SIZE_MAX);
}

static uint32_t kept_limit(const struct vl_page_heap *heap)
{
    return (uint32_t)vl_max(KEPT_MIN, vl_get(&heap->regions_active_max) / 3);
}

size_t vl_page_heap_yield(struct vl_page_heap *heap, size_t most)
{
    uint32_t keep = kept_limit(heap);
    bool surplus = vl_get(&heap->regions_empty) > keep && vl_options.purge_delay_ms >= 0;
    return surplus ? purge(heap, 0, keep, most) : 0;
}

/* What an emptied region is the occasion for. */
static void purge_old(struct vl_page_heap *heap)
{
    if (vl_options.purge_delay_ms >= 0)
        purge(heap, (uint64_t)vl_options.purge_delay_ms, 0, SIZE_MAX);
}

static void give_own(struct vl_page_heap *heap, struct vl_region *region, unsigned page, bool clean)
{
    vl_lock(&heap->lock);
    unsigned pages = vl_region_set_give(&heap->active[region->population], region, page);
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

/* --- Free pages of regions in use --- */

static bool take_dirty(struct vl_page_heap *heap, struct vl_holding *holder,
                       struct vl_region *region, unsigned page, struct vl_run *run)
{
    if (holder != NULL)
        return vl_holding_take_dirty(holder, region, page, run);
    vl_lock(&heap->lock);
    bool taken = vl_get(&region->holder) == NULL &&
                 vl_region_set_take_dirty(&heap->active[region->population], region, page, run);
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
    heap->away++; /* it is not closed meanwhile */
    vl_unlock(&heap->lock);
    for (uint32_t number = 0; number < count; number++) {
        struct vl_region *region = vl_slice_unit(heap->slice, number);
        if (vl_get(&region->holder) == holder)
            bytes += strip_region(heap, holder, region);
    }
    vl_lock(&heap->lock);
    heap->away--;
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
    bool idle = !heap->closed && !heap->lost && heap->away == 0 &&
                vl_get(&heap->regions_active) == 0;
    if (idle) {
        vl_hugetlb_recount(-(int)(vl_get(&heap->hugetlb_bytes) >> VL_REGION_SHIFT));
        vl_set(&heap->hugetlb_bytes, 0);
        heap->closed = true;
        heap->empty = heap->clean = (struct vl_region_list){NULL, NULL};
        heap->fresh = 0;
        vl_set(&heap->regions_empty, 0);
        vl_set(&heap->regions_clean, 0);
    }
    vl_unlock(&heap->lock);
    return idle;
}

/* Puts a region on the list its bitmaps say it belongs to. Who has leased one sees to it himself. */
static void sort_in(struct vl_page_heap *heap, struct vl_region *region)
{
    region->slice = heap->slice->number; /* it may have been just about to be told */
    vl_count(&heap->hugetlb_bytes, region->hugetlb ? VL_REGION_SIZE : 0);
    if (region->state == VL_REGION_LOST)
        return;
    if (vl_get(&region->holder) != NULL) {
        vl_count(&heap->regions_active, 1);
        return;
    }
    bool used = vl_region_recount(region);
    if (used) {
        region->state = VL_REGION_ACTIVE;
        vl_region_set_add(&heap->active[region->population], region);
        vl_count(&heap->regions_active, 1);
    } else {
        file_unused(heap, region, VL_REGION_EMPTY);
    }
    vl_count(&heap->pages_used, region->pages_used);
}

void vl_page_heap_after_fork(struct vl_page_heap *heap)
{
    /* A region that was away is on no list either. */
    bool torn = vl_lock_reset(&heap->lock) || heap->away != 0;
    heap->away = 0;
    if (!torn)
        return;
    for (int i = 0; i < VL_POPULATIONS; i++)
        vl_region_set_clear(&heap->active[i]);
    heap->empty = heap->clean = (struct vl_region_list){NULL, NULL};
    vl_set(&heap->pages_used, 0);
    vl_set(&heap->regions_active, 0);
    vl_set(&heap->regions_empty, 0);
    vl_set(&heap->regions_clean, 0);
    vl_set(&heap->hugetlb_bytes, 0);
    for (uint32_t i = 0; i < heap->fresh; i++)
        sort_in(heap, vl_slice_unit(heap->slice, i));
}
