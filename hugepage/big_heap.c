#include "hugepage/big_heap.h"

#define HUGE_GRAINS ((uint32_t)(VL_REGION_SIZE >> VL_GRAIN_SHIFT))

/* Freed memory kept without question; above it, a third of the most that was in use. */
#define DIRTY_MIN ((uint64_t)16 << 20)

struct vl_slice_plan vl_big_heap_plan(size_t size)
{
    return (struct vl_slice_plan){
        .kind = VL_SLICE_BIG,
        .size = size,
        .unit_shift = VL_GRAIN_SHIFT,
        .unit_bytes = sizeof(struct vl_extent),
        .small_pages = vl_options.hugepage_mode == VL_HUGEPAGE_NEVER ? SIZE_MAX : 0,
        .huge = vl_options.hugepage_mode != VL_HUGEPAGE_NEVER,
    };
}

void vl_big_heap_start(struct vl_big_heap *heap, struct vl_slice *slice, bool reuse_exact)
{
    vl_lock(&heap->lock); /* another thread may still be looking at the slot's former heap */
    heap->slice = slice;
    heap->extents = (struct vl_extents){.table = (struct vl_extent *)slice->units,
                                        .dirty_apart = reuse_exact};
    heap->closed = heap->move_failed = false;
    vl_unlock(&heap->lock);
}

static char *address(const struct vl_big_heap *heap, uint32_t grain)
{
    return (char *)heap->slice->start + ((size_t)grain << VL_GRAIN_SHIFT);
}

static uint32_t grain_of(const struct vl_big_heap *heap, const void *block)
{
    return (uint32_t)(((uintptr_t)block - heap->slice->start) >> VL_GRAIN_SHIFT);
}

static uint32_t grains_for(size_t bytes)
{
    return (uint32_t)((bytes + VL_GRAIN_SIZE - 1) >> VL_GRAIN_SHIFT);
}

/* Where a block would end that begins at the first fresh grain so aligned. */
static size_t fresh_end(const struct vl_big_heap *heap, uint32_t grains, size_t align)
{
    uintptr_t fresh = (uintptr_t)address(heap, heap->extents.fresh);
    return grain_of(heap, (void *)vl_round_up(fresh, align)) + (size_t)grains;
}

/* Copies the counts that others read. Under the lock. */
static void publish(struct vl_big_heap *heap)
{
    VL_CHECK(vl_extents_valid(&heap->extents));
    uint64_t used = heap->extents.grains_used << VL_GRAIN_SHIFT;
    vl_set(&heap->bytes_used, used);
    vl_set(&heap->bytes_dirty, heap->extents.grains_dirty << VL_GRAIN_SHIFT);
    if (used > vl_get(&heap->bytes_used_max))
        vl_set(&heap->bytes_used_max, used);
}

/* The extent of a block in use, or NULL where `block` is not the start of one. */
static struct vl_extent *extent_of(const struct vl_big_heap *heap, const void *block)
{
    uint32_t grain = grain_of(heap, block);
    if ((const char *)block != address(heap, grain) || grain >= heap->extents.fresh)
        return NULL;
    struct vl_extent *extent = &heap->extents.table[grain];
    return extent->state == VL_EXTENT_USED ? extent : NULL;
}

/* First grain of `extent` whose address is a multiple of `align`. */
static uint32_t aligned_grain(const struct vl_big_heap *heap, const struct vl_extent *extent,
                              size_t align)
{
    char *start = address(heap, vl_extent_first_grain(&heap->extents, extent));
    return grain_of(heap, (void *)vl_round_up((uintptr_t)start, align));
}

/* Memory that is kept: the same size again, or where it does not matter who touched it, any. */
static struct vl_extent *take_dirty(struct vl_big_heap *heap, uint32_t grains, size_t align)
{
    struct vl_extents *extents = &heap->extents;
    struct vl_extent *found = vl_extent_find(extents, &extents->dirty, grains);
    if (found == NULL || (heap->extents.dirty_apart && found->grains != grains))
        return NULL;
    uint32_t first = aligned_grain(heap, found, align);
    if (first + grains > vl_extent_first_grain(extents, found) + found->grains)
        return NULL;
    return vl_extent_carve(extents, found, first, grains);
}

/* Address space without memory; `spare` grains more make any alignment possible. */
static struct vl_extent *take_clean(struct vl_big_heap *heap, uint32_t grains, uint32_t spare,
                                    size_t align)
{
    struct vl_extents *extents = &heap->extents;
    struct vl_extent *found = vl_extent_find(extents, &extents->clean, grains + spare);
    if (found == NULL) {
        size_t writable = vl_get_acquire(&heap->slice->writable);
        if ((size_t)fresh_end(heap, grains, align) << VL_GRAIN_SHIFT > writable)
            return NULL;
        found = vl_extent_unfold(
            extents, (uint32_t)fresh_end(heap, grains, align) - extents->fresh);
    }
    return vl_extent_carve(extents, found, aligned_grain(heap, found, align), grains);
}

static size_t dirty_limit(const struct vl_big_heap *heap)
{
    if (vl_options.large_cache_bytes != VL_SIZE_AUTO)
        return vl_options.large_cache_bytes;
    return vl_max(DIRTY_MIN, vl_get(&heap->bytes_used_max) / 3);
}

static size_t block_align(size_t bytes, size_t align)
{
    return vl_max(align, bytes >= VL_REGION_SIZE ? VL_REGION_SIZE : VL_GRAIN_SIZE);
}

bool vl_big_heap_has_room(struct vl_big_heap *heap, size_t bytes, size_t align)
{
    size_t size = vl_get(&heap->slice->size);
    if (bytes > size || align > size)
        return false;
    vl_lock(&heap->lock);
    size_t end = fresh_end(heap, grains_for(bytes), block_align(bytes, align));
    vl_unlock(&heap->lock);
    return end << VL_GRAIN_SHIFT <= size;
}

/* `kept`: memory that earlier blocks have left may be used. */
static void *take(struct vl_big_heap *heap, size_t bytes, size_t align, bool kept, bool *zeroed)
{
    size_t size = vl_get(&heap->slice->size);
    if (bytes > size || align > size)
        return NULL;
    uint32_t grains = grains_for(bytes);
    align = block_align(bytes, align);
    uint32_t spare = (uint32_t)(align >> VL_GRAIN_SHIFT) - 1;
    for (;;) {
        vl_lock(&heap->lock);
        if (heap->closed) {
            vl_unlock(&heap->lock);
            return NULL;
        }
        struct vl_extent *extent = kept ? take_dirty(heap, grains, align) : NULL;
        *zeroed = extent == NULL;
        if (extent == NULL)
            extent = take_clean(heap, grains, spare, align);
        size_t end = fresh_end(heap, grains, align);
        heap->away += extent == NULL;
        if (extent != NULL) {
            extent->bytes = vl_round_up(bytes, vl_os_page_size);
            vl_count(&heap->blocks_used, 1);
            publish(heap);
        }
        vl_unlock(&heap->lock);
        if (extent != NULL)
            return address(heap, vl_extent_first_grain(&heap->extents, extent));
        bool extended = vl_slice_extend(heap->slice, end << VL_GRAIN_SHIFT);
        vl_lock(&heap->lock);
        heap->away--;
        vl_unlock(&heap->lock);
        if (!extended)
            return NULL;
    }
}

void *vl_big_heap_take(struct vl_big_heap *heap, size_t bytes, size_t align, bool *zeroed)
{
    return take(heap, bytes, align, true, zeroed);
}

/* A range of grains. */
struct range {
    uint32_t first, end;
};

/*
 * The whole huge pages that can go back with a dirty extent. One at its end may reach into a free
 * neighbour: a block's last huge page backs the free slack behind the block. Grains behind all
 * extents count as free; they become one.
 */
static struct range purge_range(struct vl_big_heap *heap, const struct vl_extent *extent)
{
    struct vl_extents *extents = &heap->extents;
    struct range range = {vl_extent_first_grain(extents, extent),
                          vl_extent_first_grain(extents, extent) + extent->grains};
    uint32_t low = (uint32_t)vl_round_down(range.first, HUGE_GRAINS);
    uint32_t high = (uint32_t)vl_round_up(range.end, HUGE_GRAINS);
    if (extents->fresh >= range.end && extents->fresh < high && extents->lone_end == 0 &&
        (size_t)high << VL_GRAIN_SHIFT <= vl_get_acquire(&heap->slice->writable))
        vl_extent_unfold(extents, high - extents->fresh);
    const struct vl_extent *before = vl_extent_before(extents, extent);
    const struct vl_extent *after = vl_extent_after(extents, extent);
    if (before != NULL && vl_extent_is_free(before) &&
        vl_extent_first_grain(extents, before) <= low)
        range.first = low;
    if (after != NULL && vl_extent_is_free(after) && range.end + after->grains >= high)
        range.end = high;
    range.first = (uint32_t)vl_round_up(range.first, HUGE_GRAINS);
    range.end = (uint32_t)vl_round_down(range.end, HUGE_GRAINS);
    return range;
}

/* Takes what can go back of the oldest dirty extent that is `age_ms` old and has any. */
static struct vl_extent *purge_candidate(struct vl_big_heap *heap, uint64_t age_ms)
{
    struct vl_extents *extents = &heap->extents;
    uint64_t now = vl_os->clock_ms();
    for (;;) {
        struct vl_extent *extent = vl_extent_at(extents, extents->oldest);
        if (extent == NULL || now - extent->freed_ms < age_ms)
            return NULL;
        struct range range = purge_range(heap, extent);
        if (range.first >= range.end) {
            vl_extent_forget_age(extents, extent); /* until a neighbour is freed */
            continue;
        }
        struct vl_extent *before = vl_extent_before(extents, extent);
        bool wider = range.first < vl_extent_first_grain(extents, extent);
        return vl_extent_seize(extents, wider ? before : extent, range.first,
                               range.end - range.first);
    }
}

/* Gives memory back, oldest first, until at most `keep` bytes are kept. */
static size_t purge(struct vl_big_heap *heap, uint64_t age_ms, uint64_t keep)
{
    size_t purged = 0;
    while (vl_get(&heap->bytes_dirty) > keep) {
        vl_lock(&heap->lock);
        struct vl_extent *extent = purge_candidate(heap, age_ms);
        if (extent != NULL)
            extent->bytes = 0; /* no block: nobody can free it */
        vl_unlock(&heap->lock);
        if (extent == NULL)
            return purged;
        uint32_t first = vl_extent_first_grain(&heap->extents, extent);
        size_t size = (size_t)extent->grains << VL_GRAIN_SHIFT;
        bool done = vl_os->advise(address(heap, first), size, VL_ADVICE_DISCARD) == 0;
        vl_lock(&heap->lock);
        vl_extent_free(&heap->extents, extent, done ? VL_EXTENT_CLEAN : VL_EXTENT_DIRTY,
                       vl_os->clock_ms());
        vl_count(&heap->purged_bytes, done ? size : 0);
        publish(heap);
        vl_unlock(&heap->lock);
        if (!done)
            return purged;
        purged += size;
    }
    return purged;
}

/* A block whose pages were moved has a mapping of its own; a fresh one joins its neighbours'. False if
 * the old contents are still there. */
static bool renew(const struct vl_big_heap *heap, uint32_t first, uint32_t grains)
{
    size_t size = (size_t)grains << VL_GRAIN_SHIFT;
    bool empty = vl_os->renew(address(heap, first), size) == 0 ||
                 vl_os->advise(address(heap, first), size, VL_ADVICE_DISCARD) == 0;
    bool never = vl_options.hugepage_mode == VL_HUGEPAGE_NEVER;
    vl_os->advise(address(heap, first), size, never ? VL_ADVICE_SMALL : VL_ADVICE_HUGE);
    return empty;
}

/* Gives back [first, first+grains), which is USED and on nobody's hands. */
static void release(struct vl_big_heap *heap, uint32_t first, uint32_t grains, bool moved)
{
    bool lost = moved && !renew(heap, first, grains); /* there may be a hole */
    struct vl_extent *extent = &heap->extents.table[first];
    vl_lock(&heap->lock);
    if (lost)
        vl_extent_lose(&heap->extents, extent);
    else
        vl_extent_free(&heap->extents, extent, moved ? VL_EXTENT_CLEAN : VL_EXTENT_DIRTY,
                       vl_os->clock_ms());
    publish(heap);
    vl_unlock(&heap->lock);
    purge(heap, 0, dirty_limit(heap));
    if (vl_options.purge_delay_ms >= 0)
        purge(heap, (uint64_t)vl_options.purge_delay_ms, 0);
}

bool vl_big_heap_give(struct vl_big_heap *heap, void *block)
{
    vl_lock(&heap->lock);
    struct vl_extent *extent = extent_of(heap, block);
    if (extent == NULL || extent->bytes == 0) {
        vl_unlock(&heap->lock);
        return false;
    }
    extent->bytes = 0; /* a second free finds no block here */
    uint32_t grains = extent->grains;
    bool moved = extent->moved;
    vl_count(&heap->blocks_used, -(uint64_t)1);
    vl_unlock(&heap->lock);
    release(heap, grain_of(heap, block), grains, moved);
    return true;
}

size_t vl_big_heap_bytes(struct vl_big_heap *heap, const void *block)
{
    vl_lock(&heap->lock);
    struct vl_extent *extent = extent_of(heap, block);
    size_t bytes = extent == NULL ? 0 : extent->bytes;
    vl_unlock(&heap->lock);
    return bytes;
}

/* Grows into the free neighbour. Its memory may be dirty: realloc promises nothing about it. */
static bool grow_locked(struct vl_big_heap *heap, struct vl_extent *extent, uint32_t grains)
{
    struct vl_extents *extents = &heap->extents;
    struct vl_extent *next = vl_extent_free_after(extents, extent);
    uint32_t missing = grains - extent->grains;
    if (next == NULL || next->grains < missing)
        return false;
    vl_extent_carve(extents, next, vl_extent_first_grain(extents, next), missing);
    struct vl_extent *taken = extent + extent->grains;
    taken->state = VL_EXTENT_NONE;
    extent->grains = grains;
    extent[grains - 1].first = (vl_grain_id){vl_extent_first_grain(extents, extent) + 1};
    return true;
}

bool vl_big_heap_resize(struct vl_big_heap *heap, void *block, size_t bytes)
{
    if (bytes > vl_get(&heap->slice->size))
        return false;
    uint32_t grains = grains_for(bytes), rest_first = 0, rest_grains = 0;
    vl_lock(&heap->lock);
    struct vl_extent *extent = extent_of(heap, block);
    if (extent == NULL || extent->bytes == 0) {
        vl_unlock(&heap->lock);
        return false; /* freed meanwhile: the caller's next step dies of it */
    }
    bool fits = grains <= extent->grains || grow_locked(heap, extent, grains);
    bool moved = extent->moved;
    if (fits && grains < extent->grains) {
        struct vl_extent *rest = vl_extent_split(&heap->extents, extent, grains);
        rest->bytes = 0;
        rest_first = vl_extent_first_grain(&heap->extents, rest);
        rest_grains = rest->grains;
    }
    if (fits)
        extent->bytes = vl_round_up(bytes, vl_os_page_size);
    publish(heap);
    vl_unlock(&heap->lock);
    if (rest_grains != 0)
        release(heap, rest_first, rest_grains, moved);
    return fits;
}

/* Whether the pages of a block can be moved, and how many bytes of them. */
static size_t movable_bytes(struct vl_big_heap *heap, const void *block)
{
    vl_lock(&heap->lock);
    struct vl_extent *extent = extent_of(heap, block);
    /* One that was moved before is a mapping of its own and a rest: mremap takes only one. */
    size_t bytes = extent == NULL || extent->moved || heap->move_failed ? 0 : extent->bytes;
    vl_unlock(&heap->lock);
    return bytes;
}

void *vl_big_heap_move(struct vl_big_heap *heap, void *block, size_t bytes)
{
    bool zeroed;
    size_t moved = vl_min(movable_bytes(heap, block), vl_round_up(bytes, vl_os_page_size));
    void *to = moved == 0 ? NULL : take(heap, bytes, 1, false, &zeroed);
    if (to == NULL)
        return NULL;
    int result = vl_os->move(block, moved, to);
    vl_lock(&heap->lock);
    if (result == 0) {
        extent_of(heap, to)->moved = true;
    } else {
        /* Kernels before 6.17 unmap the target before they refuse: there may be a hole. */
        vl_extent_lose(&heap->extents, extent_of(heap, to));
        vl_count(&heap->blocks_used, -(uint64_t)1);
        heap->move_failed = true;
        publish(heap);
    }
    vl_unlock(&heap->lock);
    if (result != 0)
        return NULL;
    vl_big_heap_give(heap, block);
    return to;
}

size_t vl_big_heap_purge(struct vl_big_heap *heap, uint64_t age_ms)
{
    return purge(heap, age_ms, 0);
}

bool vl_big_heap_close(struct vl_big_heap *heap)
{
    vl_lock(&heap->lock);
    bool idle = !heap->closed && heap->away == 0 && heap->extents.grains_used == 0;
    if (idle) {
        heap->closed = true;
        heap->extents = (struct vl_extents){.table = heap->extents.table};
        vl_set(&heap->bytes_dirty, 0);
    }
    vl_unlock(&heap->lock);
    return idle;
}

void vl_big_heap_after_fork(struct vl_big_heap *heap)
{
    heap->away = 0;
    if (!vl_lock_reset(&heap->lock))
        return;
    /* The lists may be torn, the blocks in use are not: forget what was free, go on behind it. */
    heap->extents = (struct vl_extents){
        .table = heap->extents.table,
        .dirty_apart = heap->extents.dirty_apart,
        .fresh = heap->extents.fresh,
        .lone_end = heap->extents.fresh,
        .grains_used = heap->extents.grains_used,
    };
}
