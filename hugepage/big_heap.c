#include "hugepage/big_heap.h"

#include "hugepage/hugetlb.h"
#include "hugepage/limit.h"
#include "hugepage/move.h"

/* Extents looked at in a row before others get the lock. */
enum { LOOKED_AT_ONCE = 1024 };

/* Pieces of moved blocks that there may be in all: the kernel allows a process 65530 mappings. */
enum { PIECES_IN_ALL = 2048 };

/*
 * How much freed memory is kept, at most: as much as makes, with what is in use, the most that ever was
 * in use. Demand that comes back finds its memory, and the process is no larger than it had to be.
 * A little more is kept in any case, so that a heap at its peak has something to hand.
 */
enum { DIRTY_SHARE = 8 };
#define DIRTY_MIN ((uint64_t)16 << 20)

struct vl_slice_plan vl_big_heap_plan(size_t size)
{
    enum vl_hugepage_mode mode = vl_options.hugepage_mode;
    bool from_start = mode == VL_HUGEPAGE_ALWAYS || vl_options.huge_start_bytes == 0;
    return (struct vl_slice_plan){
        .kind = VL_SLICE_BIG,
        .size = size,
        .unit_shift = VL_GRAIN_SHIFT,
        .unit_bytes = sizeof(struct vl_extent),
        .small_pages = from_start && mode != VL_HUGEPAGE_NEVER ? 0 : SIZE_MAX,
        .huge = mode != VL_HUGEPAGE_NEVER,
    };
}

void vl_big_heap_start(struct vl_big_heap *heap, struct vl_slice *slice, bool reuse_exact)
{
    vl_lock(&heap->lock); /* another thread may still be looking at the slot's former heap */
    heap->slice = slice;
    heap->extents = (struct vl_extents){.table = (struct vl_extent *)slice->units,
                                        .dirty_apart = reuse_exact};
    heap->closed = heap->move_failed = false;
    vl_big_thp_start(&heap->thp, slice);
    heap->pieces = 0;
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
    vl_limit_tell(&heap->told, used + vl_get(&heap->bytes_dirty));
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
    uint64_t used = vl_get(&heap->bytes_used), most = vl_get(&heap->bytes_used_max);
    return vl_max(vl_max(DIRTY_MIN, most / DIRTY_SHARE), most - used);
}

/* Of a block that begins on a huge page, this share of it may lie idle behind its end. */
enum { SLACK_SHARE = 8 };

/* Whether a block had better begin where another ends. */
static bool is_packed(const struct vl_big_heap *heap, size_t bytes)
{
    size_t slack = vl_round_up(bytes, VL_REGION_SIZE) - bytes;
    return slack > bytes / SLACK_SHARE && !heap->extents.dirty_apart && !vl_hugetlb_wanted();
}

static size_t block_align(const struct vl_big_heap *heap, size_t bytes)
{
    return bytes < VL_REGION_SIZE || is_packed(heap, bytes) ? VL_GRAIN_SIZE : VL_REGION_SIZE;
}

bool vl_big_heap_has_room(struct vl_big_heap *heap, size_t bytes, size_t align)
{
    size_t size = vl_get(&heap->slice->size);
    if (bytes > size || align > size)
        return false;
    vl_lock(&heap->lock);
    size_t end = fresh_end(heap, grains_for(bytes), vl_max(align, VL_REGION_SIZE));
    bool open = !heap->closed; /* one that is closed is about to be hidden */
    vl_unlock(&heap->lock);
    return open && end << VL_GRAIN_SHIFT <= size;
}

/* A block as vl_big_heap_take gives it, of the slice's own memory, and nobody's yet; `more`: what is to be
 * held beyond what is held now, as far as the limit has not been asked about it. */
static void *take(struct vl_big_heap *heap, size_t bytes, size_t align, size_t more, bool *zeroed)
{
    size_t size = vl_get(&heap->slice->size);
    if (bytes > size || align > size)
        return NULL;
    uint32_t grains = grains_for(bytes);
    align = vl_max(align, block_align(heap, bytes));
    uint32_t spare = (uint32_t)(align >> VL_GRAIN_SHIFT) - 1;
    for (;;) {
        vl_lock(&heap->lock);
        if (heap->closed) {
            vl_unlock(&heap->lock);
            return NULL;
        }
        struct vl_extent *extent = take_dirty(heap, grains, align);
        *zeroed = extent == NULL;
        if (extent == NULL && !vl_limit_allows(more)) {
            vl_unlock(&heap->lock);
            return NULL;
        }
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

/* Takes a block from its owner: USED still, but a second free finds no block here. NULL if there is
 * none. Under the lock. */
static struct vl_extent *withdraw(struct vl_big_heap *heap, void *block)
{
    struct vl_extent *extent = extent_of(heap, block);
    if (extent == NULL || extent->bytes == 0)
        return NULL;
    extent->bytes = 0;
    vl_count(&heap->blocks_used, -(uint64_t)1);
    return extent;
}

/* Writes off a block whose memory could not be moved into place: there may be a hole in it. */
static void lose(struct vl_big_heap *heap, void *block)
{
    vl_lock(&heap->lock);
    vl_extent_lose(&heap->extents, withdraw(heap, block));
    heap->move_failed = true;
    publish(heap);
    vl_unlock(&heap->lock);
}

/* What a new block is to have of the kernel's pools, and what it got of that. */
struct backing {
    size_t size, got;          /* bytes, all kinds */
    size_t giants, giants_got; /* of these in pages of 1 GB, which come first */
};

static enum vl_hugetlb_result take_pages(struct vl_big_heap *heap, char *block, struct backing *of)
{
    enum vl_hugetlb_result result = VL_HUGETLB_SHORT;
    if (of->giants != 0)
        result = vl_hugetlb_take_giants(heap->slice, block, of->giants, &of->giants_got);
    of->got = of->giants_got;
    if (result != VL_HUGETLB_LOST && of->got < of->size) {
        result = vl_hugetlb_take(heap->slice, block + of->got, of->size - of->got);
        of->got = result == VL_HUGETLB_TAKEN ? of->size : of->got;
    }
    return result;
}

static void note_pages(struct vl_big_heap *heap, void *block, const struct backing *of)
{
    vl_lock(&heap->lock);
    if (of->got != 0)
        vl_extent_set_hugetlb(extent_of(heap, block), (uint32_t)(of->got >> VL_GRAIN_SHIFT),
                              (uint32_t)(of->giants_got >> VL_GRAIN_SHIFT));
    vl_count(&heap->hugetlb_bytes, of->got);
    vl_count(&heap->hugetlb_refused, of->got < of->size);
    vl_count(&heap->giant_bytes, of->giants_got);
    vl_count(&heap->giant_refused, of->giants_got < of->giants);
    vl_unlock(&heap->lock);
}

/* Takes a block that holds nothing yet to the kernel's pools, as far as they have pages. False if it is
 * lost. */
static bool take_hugetlb(struct vl_big_heap *heap, void *block, size_t bytes)
{
    bool giants = vl_options.hugepage_mode == VL_HUGEPAGE_GIANT && bytes >= VL_GIANT_SIZE;
    size_t size = vl_round_down((size_t)grains_for(bytes) << VL_GRAIN_SHIFT, VL_REGION_SIZE);
    struct backing of = {.size = size, .giants = giants ? vl_round_down(size, VL_GIANT_SIZE) : 0};
    if (take_pages(heap, block, &of) != VL_HUGETLB_LOST) {
        note_pages(heap, block, &of);
        return true;
    }
    if (of.giants_got != 0)
        vl_hugetlb_give(heap->slice, block, of.giants_got,
                        (unsigned)(of.giants_got >> VL_GIANT_SHIFT));
    lose(heap, block);
    return false;
}

/* Notes a new block in its holder. */
static void hold(struct vl_big_heap *heap, void *block, struct vl_holding *holder)
{
    struct vl_extent *extent = &heap->extents.table[grain_of(heap, block)];
    if (holder == NULL)
        return;
    vl_holding_note(holder, extent);
    vl_holding_settle(holder, extent, block, (size_t)extent->grains << VL_GRAIN_SHIFT);
}

/* The holder, if there is one, of a block that is to be given back knows it no more. */
static void let_go(struct vl_extent *extent)
{
    if (extent->holder != NULL)
        vl_holding_forget(extent->holder, extent);
}

/* Whether a block is to have huge pages however small the heap is. */
static bool wants_huge(const struct vl_holding *holder)
{
    return holder != NULL && holder->hugepage_mode != VL_HUGEPAGE_AUTO &&
           holder->hugepage_mode != VL_HUGEPAGE_NEVER;
}

static bool wants_pool(const struct vl_holding *holder)
{
    bool own_wish = holder != NULL && holder->hugepage_mode != VL_HUGEPAGE_AUTO;
    return own_wish ? holder->hugepage_mode == VL_HUGEPAGE_HUGETLB : vl_hugetlb_wanted();
}

bool vl_big_heap_wants_giants(size_t bytes, const struct vl_holding *holder)
{
    return bytes >= VL_GIANT_SIZE && vl_hugetlb_wants_giants() && wants_pool(holder);
}

void *vl_big_heap_take(struct vl_big_heap *heap, size_t bytes, size_t align,
                       struct vl_holding *holder, bool *zeroed)
{
    void *block;
    bool pool = bytes >= VL_REGION_SIZE && wants_pool(holder);
    if (pool)
        align = vl_max(align, VL_REGION_SIZE);
    do
        block = take(heap, bytes, align, bytes, zeroed);
    while (block != NULL && *zeroed && pool && !take_hugetlb(heap, block, bytes));
    if (block == NULL)
        return NULL;
    vl_big_thp_follow(heap, block, *zeroed, wants_huge(holder));
    hold(heap, block, holder);
    return block;
}

struct vl_holding *vl_big_heap_holder(struct vl_big_heap *heap, const void *block)
{
    vl_lock(&heap->lock);
    const struct vl_extent *extent = extent_of(heap, block);
    struct vl_holding *holder = extent == NULL ? NULL : extent->holder;
    vl_unlock(&heap->lock);
    return holder;
}

/* A range of grains. */
struct range {
    uint32_t first, end;
};

/* Where the free extents before `extent` begin: the one that holds grain `enough`, as far as one has to
 * look, at the most; `extent` itself if its neighbour is in use. */
static struct vl_extent *free_since(const struct vl_extents *extents, struct vl_extent *extent,
                                    uint32_t enough)
{
    struct vl_extent *before = extent;
    while (before != NULL && vl_extent_is_free(before)) {
        extent = before;
        if (vl_extent_first_grain(extents, extent) <= enough)
            break;
        before = vl_extent_before(extents, extent);
    }
    return extent;
}

/* Where the free extents behind `extent` end: at `enough`, as far as one has to look, at the most. */
static uint32_t free_until(const struct vl_extents *extents, const struct vl_extent *extent,
                           uint32_t enough)
{
    uint32_t at = vl_extent_first_grain(extents, extent) + extent->grains;
    while (at >= extents->lone_end && at < extents->fresh && at < enough &&
           vl_extent_is_free(&extents->table[at]))
        at += extents->table[at].grains;
    return at < enough ? at : enough;
}

/*
 * The whole huge pages that can go back with a dirty extent. One at its end may reach into free
 * neighbours: a block's last huge page backs the free slack behind the block. Grains behind all
 * extents count as free; they become one. *holder is the extent in which the range begins.
 */
static struct range purge_range(struct vl_big_heap *heap, struct vl_extent *extent,
                                struct vl_extent **holder)
{
    struct vl_extents *extents = &heap->extents;
    uint32_t first = vl_extent_first_grain(extents, extent), end = first + extent->grains;
    uint32_t low = (uint32_t)vl_round_down(first, VL_HUGE_GRAINS);
    uint32_t high = (uint32_t)vl_round_up(end, VL_HUGE_GRAINS);
    if (extents->fresh >= end && extents->fresh < high && extents->lone_end == 0 &&
        (size_t)high << VL_GRAIN_SHIFT <= vl_get_acquire(&heap->slice->writable))
        vl_extent_unfold(extents, high - extents->fresh);
    *holder = free_since(extents, extent, low);
    if (vl_extent_first_grain(extents, *holder) > low) {
        *holder = extent;
        low = (uint32_t)vl_round_up(first, VL_HUGE_GRAINS);
    }
    end = free_until(extents, extent, high);
    return (struct range){low, (uint32_t)vl_round_down(end, VL_HUGE_GRAINS)};
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
        struct vl_extent *holder;
        struct range range = purge_range(heap, extent, &holder);
        if (range.first >= range.end) {
            vl_extent_forget_age(extents, extent); /* until a neighbour is freed */
            continue;
        }
        return vl_extent_seize(extents, holder, range.first, range.end - range.first);
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

/* What has come by mremap is a mapping of its own; a fresh one joins its neighbours'. False if the old
 * contents are still there, or a hole. */
static bool renew(const struct vl_big_heap *heap, const struct vl_extent *extent)
{
    char *start = address(heap, vl_extent_first_grain(&heap->extents, extent));
    size_t size = (size_t)extent->grains << VL_GRAIN_SHIFT;
    if (extent->hugetlb)
        return vl_hugetlb_give(heap->slice, start, size, vl_extent_stretches(extent));
    return vl_slice_renew(heap->slice, start, size) ||
           vl_os->advise(start, size, VL_ADVICE_DISCARD) == 0;
}

/* The pieces of a block that count towards those of all blocks. */
static unsigned counted_pieces(const struct vl_extent *extent)
{
    return extent->hugetlb ? 0 : extent->pieces;
}

/* When memory was freed that need not be kept: older than all other. */
enum { LONG_AGO = 0 };

/* Gives back an extent that was withdrawn. `state`: of memory that is the slice's own; pieces are
 * renewed. */
static void release(struct vl_big_heap *heap, struct vl_extent *extent,
                    enum vl_extent_state state, uint64_t now_ms)
{
    bool foreign = extent->pieces != 0 || extent->stray != VL_STRAY_NOT;
    bool lost = foreign && !renew(heap, extent);
    vl_lock(&heap->lock);
    heap->pieces -= counted_pieces(extent);
    if (extent->hugetlb)
        vl_count(&heap->hugetlb_bytes, -((uint64_t)extent->seam << VL_GRAIN_SHIFT));
    vl_count(&heap->giant_bytes, -((uint64_t)vl_extent_giant(extent) << VL_GRAIN_SHIFT));
    if (lost)
        vl_extent_lose(&heap->extents, extent);
    else
        vl_extent_free(&heap->extents, extent, foreign ? VL_EXTENT_CLEAN : state, now_ms);
    publish(heap);
    vl_unlock(&heap->lock);
    purge(heap, 0, dirty_limit(heap));
    if (vl_options.purge_delay_ms >= 0)
        purge(heap, (uint64_t)vl_options.purge_delay_ms, 0);
}

bool vl_big_heap_give(struct vl_big_heap *heap, void *block)
{
    vl_lock(&heap->lock);
    struct vl_extent *extent = withdraw(heap, block);
    vl_unlock(&heap->lock);
    if (extent == NULL)
        return false;
    let_go(extent);
    release(heap, extent, VL_EXTENT_DIRTY, vl_os->clock_ms());
    return true;
}

void *vl_big_heap_address(const struct vl_big_heap *heap, const struct vl_extent *extent)
{
    return address(heap, vl_extent_first_grain(&heap->extents, extent));
}

size_t vl_big_heap_drop(struct vl_big_heap *heap, struct vl_extent *extent)
{
    vl_lock(&heap->lock);
    withdraw(heap, vl_big_heap_address(heap, extent));
    vl_unlock(&heap->lock);
    size_t size = (size_t)extent->grains << VL_GRAIN_SHIFT;
    release(heap, extent, VL_EXTENT_DIRTY, LONG_AGO);
    purge(heap, vl_os->clock_ms() - LONG_AGO, 0);
    return size;
}

size_t vl_big_heap_bytes(struct vl_big_heap *heap, const void *block)
{
    vl_lock(&heap->lock);
    struct vl_extent *extent = extent_of(heap, block);
    size_t bytes = extent == NULL ? 0 : extent->bytes;
    vl_unlock(&heap->lock);
    return bytes;
}

bool vl_big_heap_next(struct vl_big_heap *heap, char **start, size_t *size, size_t *bytes)
{
    bool found = false;
    uint32_t grain = grain_of(heap, *start);
    vl_lock(&heap->lock);
    const struct vl_extent *table = heap->extents.table;
    for (uint32_t looked = 0; grain < heap->extents.fresh && !found; looked++) {
        const struct vl_extent *extent = &table[grain];
        found = extent->state == VL_EXTENT_USED && extent->bytes != 0;
        if (found) {
            *start = address(heap, grain);
            *size = (size_t)extent->grains << VL_GRAIN_SHIFT;
            *bytes = extent->bytes;
        }
        /* Where extents have joined since, this is the middle of one: its end will come. In the child of a
         * fork it may be one whose length another thread was about to note. */
        bool known = extent->state != VL_EXTENT_NONE && extent->grains != 0;
        grain += known ? extent->grains : 1;
        if (looked % LOOKED_AT_ONCE == LOOKED_AT_ONCE - 1) {
            vl_unlock(&heap->lock);
            vl_lock(&heap->lock);
        }
    }
    vl_unlock(&heap->lock);
    return found;
}

/*
 * Grows over the free extents behind it, and into what is fresh. Memory may be dirty: realloc promises
 * nothing about it. *end becomes where the slice has to be writable to, if that is what is missing.
 */
static bool grow_locked(struct vl_big_heap *heap, struct vl_extent *extent, uint32_t grains,
                        size_t *end)
{
    struct vl_extents *extents = &heap->extents;
    uint32_t first = vl_extent_first_grain(extents, extent), behind = first + extent->grains;
    uint32_t free_end = free_until(extents, extent, first + grains);
    if (free_end < first + grains) {
        if (free_end != extents->fresh)
            return false;
        *end = (size_t)(first + grains) << VL_GRAIN_SHIFT;
        if (*end > vl_get_acquire(&heap->slice->writable))
            return false;
        vl_extent_unfold(extents, first + grains - free_end);
    }
    vl_extent_seize(extents, &extents->table[behind], behind, grains - extent->grains);
    vl_extent_join(extents, extent);
    return true;
}

/* Under the lock. */
static struct vl_extent *cut(struct vl_big_heap *heap, struct vl_extent *extent, uint32_t grains)
{
    unsigned pieces = counted_pieces(extent), stretches = vl_extent_stretches(extent);
    struct vl_extent *rest = vl_extent_split(&heap->extents, extent, grains);
    heap->pieces += counted_pieces(extent) + counted_pieces(rest) - pieces;
    vl_hugetlb_recount((int)(vl_extent_stretches(extent) + vl_extent_stretches(rest) - stretches));
    return rest;
}

bool vl_big_heap_resize(struct vl_big_heap *heap, void *block, size_t bytes)
{
    if (bytes > vl_get(&heap->slice->size))
        return false;
    uint32_t grains = grains_for(bytes);
    struct vl_extent *rest = NULL;
    size_t end = 0;
    vl_lock(&heap->lock);
    struct vl_extent *extent = extent_of(heap, block);
    /* Freed meanwhile: the caller's next step dies of it. Or it would keep much more than it wants. */
    if (extent == NULL || extent->bytes == 0 || vl_extent_cut(extent, grains) / 2 > grains) {
        vl_unlock(&heap->lock);
        return false;
    }
    grains = vl_extent_cut(extent, grains);
    uint32_t grains_before = extent->grains;
    /* One that comes to hold huge pages has to begin on one. */
    bool may_grow = (uintptr_t)block % block_align(heap, bytes) == 0;
    bool fits = grains <= extent->grains || (may_grow && grow_locked(heap, extent, grains, &end));
    if (fits && grains < extent->grains)
        rest = cut(heap, extent, grains);
    if (fits)
        extent->bytes = vl_round_up(bytes, vl_os_page_size);
    struct vl_holding *holder = extent->holder;
    publish(heap);
    vl_unlock(&heap->lock);
    if (fits && holder != NULL) {
        vl_holding_resized(holder, (int64_t)extent->grains - grains_before);
        if (extent->grains > grains_before)
            vl_holding_settle(holder, extent, block, (size_t)extent->grains << VL_GRAIN_SHIFT);
    }
    if (rest != NULL)
        release(heap, rest, VL_EXTENT_DIRTY, vl_os->clock_ms());
    else if (fits)
        vl_big_thp_follow(heap, block, false, false);
    /* As long as the block is in use, the heap is not closed. */
    return fits || (end != 0 && vl_slice_extend(heap->slice, end) &&
                    vl_big_heap_resize(heap, block, bytes));
}

/* The grains of a block that may be moved to where there are `room`, and its pieces; 0 if it may not. */
static uint32_t movable_grains(struct vl_big_heap *heap, const void *block, uint32_t room,
                               uint32_t pieces[VL_EXTENT_PIECES_MAX])
{
    vl_lock(&heap->lock);
    const struct vl_extent *extent = extent_of(heap, block);
    bool movable = extent != NULL && extent->grains <= room && !heap->move_failed &&
                   (uintptr_t)block % VL_REGION_SIZE == 0 &&
                   extent->pieces < VL_EXTENT_PIECES_MAX && heap->pieces < PIECES_IN_ALL;
    uint32_t grains = movable ? extent->grains : 0;
    if (movable)
        vl_extent_pieces(extent, pieces);
    vl_unlock(&heap->lock);
    return grains;
}

/* Gives back a block that has moved: what went is empty now, what was copied is not. */
static void release_moved(struct vl_big_heap *heap, struct vl_extent *source,
                          const struct vl_moved *moved)
{
    uint64_t now_ms = vl_os->clock_ms();
    if (source->pieces == 0 && moved->grains < source->grains) {
        vl_lock(&heap->lock);
        struct vl_extent *rest = vl_extent_split(&heap->extents, source, moved->grains);
        vl_unlock(&heap->lock);
        release(heap, rest, VL_EXTENT_DIRTY, now_ms);
    }
    release(heap, source, moved->copied ? VL_EXTENT_DIRTY : VL_EXTENT_CLEAN, now_ms);
}

void *vl_big_heap_move(struct vl_big_heap *heap, void *block, size_t bytes)
{
    bool zeroed;
    struct vl_moved moved;
    uint32_t pieces[VL_EXTENT_PIECES_MAX];
    uint32_t grains = movable_grains(heap, block, grains_for(bytes), pieces);
    void *to = grains < VL_HUGE_GRAINS ? NULL : take(heap, bytes, VL_REGION_SIZE, 0, &zeroed);
    if (to == NULL)
        return NULL;
    if (!vl_move(block, to, pieces, grains, &moved)) {
        lose(heap, to);
        return NULL;
    }
    vl_lock(&heap->lock);
    struct vl_extent *extent = extent_of(heap, to), *source = withdraw(heap, block);
    vl_extent_set_pieces(extent, moved.pieces, moved.count);
    heap->pieces += extent->pieces;
    heap->move_failed = heap->move_failed || moved.failed;
    vl_unlock(&heap->lock);
    if (source == NULL)
        return to; /* another thread frees it meanwhile, which is misuse */
    if (source->holder != NULL)
        extent->stray = source->stray; /* the moved pages have brought what they prefer */
    hold(heap, to, source->holder);
    let_go(source);
    release_moved(heap, source, &moved);
    vl_big_thp_follow(heap, to, false, false);
    return to;
}

size_t vl_big_heap_purge(struct vl_big_heap *heap, uint64_t age_ms)
{
    return purge(heap, age_ms, 0);
}

bool vl_big_heap_close(struct vl_big_heap *heap)
{
    vl_lock(&heap->lock);
    /* What is LOST may be somebody else's mapping by now. */
    bool idle = !heap->closed && heap->away == 0 && heap->extents.grains_used == 0 &&
                !heap->extents.lost;
    if (idle) {
        heap->closed = true;
        heap->extents = (struct vl_extents){.table = heap->extents.table};
        vl_set(&heap->bytes_dirty, 0);
        vl_limit_tell(&heap->told, 0);
    }
    vl_unlock(&heap->lock);
    return idle;
}

/* The lists may be torn, the blocks in use are not: forgets what was free, to go on behind it. */
static void forget_free(struct vl_big_heap *heap)
{
    heap->extents = (struct vl_extents){
        .table = heap->extents.table,
        .dirty_apart = heap->extents.dirty_apart,
        .lost = heap->extents.lost,
        .fresh = heap->extents.fresh,
        .lone_end = heap->extents.fresh,
        .grains_used = heap->extents.grains_used,
    };
    vl_big_thp_forget(&heap->thp);
}

/*
 * Kernels with an error (seen in 6.18, with and without us) may have copied nothing of a page of 1 GB to
 * the child, where it would read as zero. There it is taken away: who needs it dies of SIGSEGV, and
 * who does not, such as a child that executes something, lives.
 */
static void guard_giants(char *block, size_t bytes)
{
    for (char *page = block; page < block + bytes; page += VL_GIANT_SIZE)
        if (vl_os->present(page) == 0)
            vl_os->protect(page, VL_GIANT_SIZE, VL_ACCESS_NONE);
}

static void guard_blocks(struct vl_big_heap *heap)
{
    char *block = (char *)heap->slice->start;
    size_t size, bytes;
    for (; vl_big_heap_next(heap, &block, &size, &bytes); block += size)
        guard_giants(block, (size_t)vl_extent_giant(extent_of(heap, block)) << VL_GRAIN_SHIFT);
}

void vl_big_heap_after_fork(struct vl_big_heap *heap)
{
    if (heap->away != 0)
        heap->away = 0;
    if (vl_lock_reset(&heap->lock))
        forget_free(heap);
    vl_limit_tell(&heap->told, vl_get(&heap->bytes_used) + vl_get(&heap->bytes_dirty));
    if (vl_get(&heap->giant_bytes) != 0)
        guard_blocks(heap);
}
