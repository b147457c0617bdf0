#include "hugepage/holding.h"

static bool has_room(const struct vl_holding *holding, size_t pages)
{
    uint64_t used = vl_get(&holding->pages_used);
    return used <= holding->pages_max && pages <= holding->pages_max - used;
}

bool vl_holding_has_room(struct vl_holding *holding, size_t pages)
{
    vl_lock(&holding->lock);
    bool room = has_room(holding, pages);
    vl_unlock(&holding->lock);
    return room;
}

bool vl_holding_take(struct vl_holding *holding, struct vl_wish wish, struct vl_run *run)
{
    vl_lock(&holding->lock);
    uint64_t small = vl_get(&holding->pages_used) - vl_get(&holding->big_pages);
    if (!vl_region_room_is_due(vl_get(&holding->regions), small))
        wish.room = 0;
    bool taken = has_room(holding, wish.pages) && vl_region_set_take(&holding->active, wish, run);
    if (taken)
        vl_count(&holding->pages_used, wish.pages);
    vl_unlock(&holding->lock);
    return taken;
}

bool vl_holding_lengthen(struct vl_holding *holding, struct vl_region *region, unsigned page,
                         unsigned more)
{
    vl_lock(&holding->lock);
    bool longer =
        has_room(holding, more) && vl_region_set_lengthen(&holding->active, region, page, more);
    vl_count(&holding->pages_used, longer ? more : 0);
    vl_unlock(&holding->lock);
    return longer;
}

/* Under the lock: a region that is in no set any more leaves. */
static void depart(struct vl_holding *holding)
{
    vl_count(&holding->regions, -1u);
    holding->away++;
}

bool vl_holding_take_dirty(struct vl_holding *holding, struct vl_region *region, unsigned page,
                           struct vl_run *run)
{
    vl_lock(&holding->lock);
    bool taken = vl_get(&region->holder) == holding &&
                 vl_region_set_take_dirty(&holding->active, region, page, run);
    vl_count(&holding->pages_used, taken ? run->pages : 0);
    vl_unlock(&holding->lock);
    return taken;
}

struct vl_region *vl_holding_give(struct vl_holding *holding, struct vl_region *region,
                                  unsigned page, bool clean)
{
    vl_lock(&holding->lock);
    unsigned pages = vl_region_set_give(&holding->active, region, page);
    if (clean)
        vl_region_clean(region, page, pages);
    vl_count(&holding->pages_used, -(uint64_t)pages);
    bool emptied = region->run_count == 0;
    if (emptied)
        depart(holding);
    vl_unlock(&holding->lock);
    return emptied ? region : NULL;
}

static struct vl_region *first_of(const struct vl_region_set *set)
{
    for (unsigned word = 0; word < VL_REGION_BUCKET_WORDS; word++)
        if (set->occupied[word] != 0)
            return set->buckets[word * 64 + vl_lowest_bit(set->occupied[word])].first;
    return NULL;
}

struct vl_region *vl_holding_pop(struct vl_holding *holding)
{
    vl_lock(&holding->lock);
    struct vl_region *region = first_of(&holding->active);
    if (region != NULL) {
        vl_region_set_remove(&holding->active, region);
        vl_count(&holding->pages_used, -(uint64_t)region->pages_used);
        depart(holding);
    }
    vl_unlock(&holding->lock);
    return region;
}

void vl_holding_expect(struct vl_holding *holding)
{
    vl_lock(&holding->lock);
    holding->away++;
    vl_unlock(&holding->lock);
}

/* Under the lock. */
static void enter(struct vl_holding *holding, struct vl_region *region)
{
    vl_region_set_add(&holding->active, region);
    vl_count(&holding->regions, 1);
    vl_count(&holding->pages_used, region->pages_used);
}

void vl_holding_add(struct vl_holding *holding, struct vl_region *region)
{
    vl_lock(&holding->lock);
    holding->away--;
    if (region != NULL)
        enter(holding, region);
    vl_unlock(&holding->lock);
}

void vl_holding_returned(struct vl_holding *holding)
{
    vl_lock(&holding->lock);
    holding->away--;
    vl_unlock(&holding->lock);
}

enum { PAGES_PER_GRAIN = VL_GRAIN_SIZE / VL_PAGE_SIZE };

/* Under the lock. */
static void count_big(struct vl_holding *holding, int blocks, int64_t grains)
{
    vl_count(&holding->big_blocks, (uint64_t)blocks);
    vl_count(&holding->big_pages, (uint64_t)(grains * PAGES_PER_GRAIN));
    vl_count(&holding->pages_used, (uint64_t)(grains * PAGES_PER_GRAIN));
}

/* What leads on from a block is written before what leads to it: a fork may stop us anywhere, and the
 * list is followed by held_next alone then. */
void vl_holding_note(struct vl_holding *holding, struct vl_extent *extent)
{
    vl_lock(&holding->lock);
    extent->held_next = holding->big;
    extent->held_prev = NULL;
    extent->holder = holding;
    if (holding->big != NULL)
        holding->big->held_prev = extent;
    atomic_signal_fence(memory_order_release);
    holding->big = extent;
    count_big(holding, 1, extent->grains);
    vl_unlock(&holding->lock);
}

/* Under the lock. */
static void forget(struct vl_holding *holding, struct vl_extent *extent)
{
    if (extent->held_prev != NULL)
        extent->held_prev->held_next = extent->held_next;
    else
        holding->big = extent->held_next;
    if (extent->held_next != NULL)
        extent->held_next->held_prev = extent->held_prev;
    extent->holder = NULL;
    count_big(holding, -1, -(int64_t)extent->grains);
}

void vl_holding_forget(struct vl_holding *holding, struct vl_extent *extent)
{
    vl_lock(&holding->lock);
    forget(holding, extent);
    vl_unlock(&holding->lock);
}

void vl_holding_resized(struct vl_holding *holding, int64_t grains_more)
{
    vl_lock(&holding->lock);
    count_big(holding, 0, grains_more);
    vl_unlock(&holding->lock);
}

struct vl_extent *vl_holding_pop_big(struct vl_holding *holding)
{
    vl_lock(&holding->lock);
    struct vl_extent *extent = holding->big;
    if (extent != NULL)
        forget(holding, extent);
    vl_unlock(&holding->lock);
    return extent;
}

void vl_holding_visit(struct vl_holding *holding, vl_visit_region *visit, void *argument)
{
    vl_lock(&holding->lock);
    for (unsigned bucket = 0; bucket < VL_REGION_BUCKETS; bucket++)
        for (struct vl_region *region = holding->active.buckets[bucket].first; region != NULL;
             region = region->next)
            visit(region, argument);
    vl_unlock(&holding->lock);
}

void vl_holding_settle(struct vl_holding *holding, struct vl_extent *extent, void *start,
                       size_t size)
{
    int bind_node = vl_get(&holding->bind_node);
    if (bind_node < 0)
        return;
    vl_lock(&holding->lock);
    extent->stray = VL_STRAY;
    vl_unlock(&holding->lock);
    vl_os->bind(start, size, (unsigned)bind_node, true);
}

/* --- Migration --- */

static void mark_due(struct vl_region *region, void *unused)
{
    (void)unused;
    region->stray = VL_STRAY_DUE;
}

enum { MOVED_AT_ONCE = 64 };

struct due_regions {
    struct vl_region *regions[MOVED_AT_ONCE];
    unsigned count;
};

static void collect_due(struct vl_region *region, void *due_regions)
{
    struct due_regions *due = due_regions;
    if (region->stray == VL_STRAY_DUE && due->count < MOVED_AT_ONCE)
        due->regions[due->count++] = region;
}

/* With the lock held for one region at a time: it cannot go back meanwhile, and others wait for no more
 * than 2 MB. One that has gone back since it was collected is not due any more. */
static int move_region(struct vl_holding *holding, struct vl_region *region, unsigned node)
{
    int error = 0;
    vl_lock(&holding->lock);
    if (vl_get(&region->holder) == holding && region->stray == VL_STRAY_DUE) {
        region->stray = VL_STRAY;
        error = vl_os->bind(vl_region_start(region), VL_REGION_SIZE, node, true);
    }
    vl_unlock(&holding->lock);
    return error;
}

static int move_regions(struct vl_holding *holding, unsigned node)
{
    struct due_regions due;
    int error = 0;
    do {
        due.count = 0;
        vl_holding_visit(holding, collect_due, &due);
        for (unsigned i = 0; i < due.count && error == 0; i++)
            error = move_region(holding, due.regions[i], node);
    } while (due.count != 0 && error == 0);
    return error;
}

/* Likewise, a block at a time. */
static int move_next_big(struct vl_holding *holding, unsigned node, vl_locate_big *locate,
                         bool *found)
{
    int error = 0;
    vl_lock(&holding->lock);
    struct vl_extent *extent = holding->big;
    while (extent != NULL && extent->stray != VL_STRAY_DUE)
        extent = extent->held_next;
    *found = extent != NULL;
    if (*found) {
        extent->stray = VL_STRAY;
        error = vl_os->bind(locate(extent), (size_t)extent->grains << VL_GRAIN_SHIFT, node, true);
    }
    vl_unlock(&holding->lock);
    return error;
}

int vl_holding_migrate(struct vl_holding *holding, int bind_node, vl_locate_big *locate)
{
    vl_set(&holding->bind_node, bind_node);
    vl_holding_visit(holding, mark_due, NULL);
    vl_lock(&holding->lock);
    for (struct vl_extent *extent = holding->big; extent != NULL; extent = extent->held_next)
        extent->stray = VL_STRAY_DUE;
    vl_unlock(&holding->lock);
    int error = move_regions(holding, (unsigned)bind_node);
    for (bool found = true; found && error == 0;)
        error = move_next_big(holding, (unsigned)bind_node, locate, &found);
    return error;
}

static void find_again(struct vl_holding *holding, const struct vl_slice *slice)
{
    size_t count = vl_get(&slice->writable) >> VL_REGION_SHIFT;
    for (size_t number = 0; number < count; number++) {
        struct vl_region *region = vl_slice_unit(slice, number);
        if (vl_get(&region->holder) != holding)
            continue;
        vl_region_recount(region);
        enter(holding, region);
    }
}

/* Follows the list of big blocks forwards, which is whole, and mends the rest. */
static void recount_big(struct vl_holding *holding)
{
    vl_set(&holding->big_blocks, 0);
    vl_set(&holding->big_pages, 0);
    struct vl_extent *before = NULL;
    for (struct vl_extent *at = holding->big; at != NULL; before = at, at = at->held_next) {
        at->held_prev = before;
        count_big(holding, 1, at->grains);
    }
}

void vl_holding_after_fork(struct vl_holding *holding)
{
    bool torn = vl_lock_reset(&holding->lock) || holding->away != 0;
    if (!torn)
        return;
    holding->away = 0;
    vl_region_set_clear(&holding->active);
    vl_set(&holding->regions, 0);
    vl_set(&holding->pages_used, 0);
    recount_big(holding);
    for (uint32_t i = 0; i < vl_get(&vl_slice_count); i++)
        if (vl_slices[i].kind == VL_SLICE_OBJECT)
            find_again(holding, &vl_slices[i]);
}
