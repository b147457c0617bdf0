#include "numa/place.h"

#include "numa/traffic.h"

VL_SPARSE _Alignas(VL_TABLE_ALIGN) struct vl_page_heap vl_page_heaps[VL_SLICES_MAX];
VL_SPARSE _Alignas(VL_TABLE_ALIGN) struct vl_big_heap vl_big_heaps[VL_SLICES_MAX];

/* Address space a slice asks for: much more than there is memory, so that one is enough. */
#define NODE_SLICE_MIN ((uint64_t)64 << 30)
#define BIG_SLICE_MIN  ((uint64_t)256 << 30)

/* Smallest slice worth its bookkeeping, where address space is short. */
#define SHORT_SLICE_MIN ((uint64_t)4 << 20)

/* What the next slice of a kind asks for; less once that was too much. */
static struct {
    _Atomic size_t node_bytes;
    _Atomic size_t big_bytes;
    _Atomic size_t placed_bytes;
} slice_sizes;

static size_t power_of_two_below(uint64_t bytes)
{
    return (size_t)1 << vl_log2(bytes);
}

void vl_place_start(void)
{
    vl_topology_probe(&vl_topology, vl_options.numa_mode);
    vl_placement_start();
    vl_limit_start();
    uint64_t memory = vl_os->memory_bytes();
    uint64_t node = vl_max(NODE_SLICE_MIN, 4 * memory / vl_topology.count);
    if (vl_options.va_reserve_bytes != VL_SIZE_AUTO)
        node = vl_max(SHORT_SLICE_MIN, vl_options.va_reserve_bytes);
    uint64_t big = vl_max(BIG_SLICE_MIN, 8 * memory);
    uint64_t placed = vl_max(BIG_SLICE_MIN, 8 * memory / vl_max(vl_topology.known, 1));
    vl_set(&slice_sizes.node_bytes, power_of_two_below(vl_min(node, VL_SLICE_SIZE_MAX)));
    vl_set(&slice_sizes.big_bytes, power_of_two_below(vl_min(big, VL_SLICE_SIZE_MAX)));
    vl_set(&slice_sizes.placed_bytes, power_of_two_below(vl_min(placed, VL_SLICE_SIZE_MAX)));
}

static void prepare(struct vl_slice *slice)
{
    if (vl_slice_has_regions(slice))
        vl_page_heap_start(&vl_page_heaps[slice->number], slice);
    else
        vl_big_heap_start(&vl_big_heaps[slice->number], slice,
                          slice->kind == VL_SLICE_BIG && vl_topology.count > 1);
}

/* Makes a slice of `*size` bytes, of an eighth of the address space where ulimit -v bounds that, or
 * of half and half again of what was tried, down to `least`. Notes in `*size` what went. */
static bool make_slice(struct vl_slice_plan plan, _Atomic size_t *size, size_t least)
{
    size_t try = vl_get(size);
    uint64_t limit = vl_os->address_limit();
    if (limit / 8 < try)
        try = vl_max(power_of_two_below(limit / 8 + 1), SHORT_SLICE_MIN);
    plan.prepare = prepare;
    for (;; try /= 2) {
        plan.size = vl_max(try, least);
        if (vl_slice_create(&plan) != NULL) {
            vl_set(size, vl_min(vl_get(size), try));
            return true;
        }
        if (try <= least || try < SHORT_SLICE_MIN)
            return false;
    }
}

/* Slices of a kind, and of a node or place where they have one, in the order they were made. */
#define FOR_SLICES(slice, of_kind, of_node)                                                       \
    for (struct vl_slice *slice = vl_slices,                                                      \
                         *slices_end = vl_slices + vl_get_acquire(&vl_slice_count);               \
         slice < slices_end; slice++)                                                             \
        if (slice->kind == (of_kind) && ((of_kind) == VL_SLICE_BIG || slice->node == (of_node)))

static struct vl_slice *first_slice(unsigned node)
{
    FOR_SLICES(slice, VL_SLICE_NODE, node)
    return slice;
    return NULL;
}

/* Closes a heap of which nothing is in use, but not a node's first, which threads call home. */
static bool close_if_idle(const struct vl_slice *slice)
{
    if (!vl_slice_has_regions(slice))
        return vl_big_heap_close(&vl_big_heaps[slice->number]);
    bool home = slice->kind == VL_SLICE_NODE && slice == first_slice(slice->node);
    return !home && vl_page_heap_close(&vl_page_heaps[slice->number]);
}

/* So many may wait for readers; then no more are hidden. A reader may be stopped, or be the program's
 * own section, in which it cleans up again and again: that must not use up all numbers. */
enum { WAITING_MAX = 8 };

static bool may_hide(void)
{
    unsigned waiting = 0;
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++)
        waiting += vl_get(&vl_slices[i].state) == VL_SLICE_HIDDEN;
    return waiting < WAITING_MAX;
}

/*
 * Takes idle slices away, as far as `readers_are_gone`, asked after they are hidden, says so; those
 * hidden in vain go the next time. Tells how much address space that was.
 */
static size_t retire_idle_slices(bool (*readers_are_gone)(void))
{
    bool hidden[VL_SLICES_MAX], any = false, hide = may_hide();
    uint32_t count = vl_get_acquire(&vl_slice_count);
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool live = vl_get_acquire(&vl_slices[i].state) == VL_SLICE_LIVE;
        if (hide && live && close_if_idle(&vl_slices[i]))
            vl_slice_hide(&vl_slices[i]);
        hidden[i] = vl_get_acquire(&vl_slices[i].state) == VL_SLICE_HIDDEN;
        any = any || hidden[i];
    }
    if (!any || !readers_are_gone())
        return 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += hidden[i] ? vl_slice_unmap(&vl_slices[i]) : 0;
    return bytes;
}

/* Without waiting. Asked before, too: a slice that is hidden in vain serves nobody. */
static size_t retire_if_quiet(void)
{
    return vl_rcu_quiet() ? retire_idle_slices(vl_rcu_quiet) : 0;
}

size_t vl_place_retire(bool wait)
{
    return wait ? retire_idle_slices(vl_rcu_wait) : retire_if_quiet();
}

/* The same, with what idle slices hold where ulimit -v bounds the address space: else it is not what
 * is missing, and the request is beyond reason. */
static bool make_slice_somehow(struct vl_slice_plan plan, _Atomic size_t *size, size_t least)
{
    if (make_slice(plan, size, least))
        return true;
    uint64_t limit = vl_os->address_limit();
    return limit != UINT64_MAX && least < limit && retire_if_quiet() != 0 &&
           make_slice(plan, size, least);
}

/*
 * One thread at a time makes a slice, so that threads that start together do not make one each. The
 * others wait for it and look again: true means that there may be a slice now. No lock is held over
 * the system calls. A hook of mmap that allocates comes back here in the making thread: it gets
 * nothing, and is served from cache/boot.
 */
static struct vl_turn slice_turn;
/* Slices made so far: who finds none that serves counts them before it looks, so that one that another
 * thread has made meanwhile is not made again. */
static _Atomic uint32_t slices_made;
static _Thread_local bool making __attribute__((tls_model("initial-exec")));

static bool find_slice(const struct vl_slice_plan *plan, _Atomic size_t *size, size_t least,
                       uint32_t seen)
{
    if (making)
        return false;
    if (!vl_turn_take(&slice_turn))
        return true;
    bool there = vl_get(&slices_made) != seen;
    if (!there) {
        making = true;
        there = make_slice_somehow(*plan, size, least);
        making = false;
        vl_set_release(&slices_made, vl_get(&slices_made) + there);
    }
    vl_turn_end(&slice_turn);
    return there;
}

bool vl_place_is_making(void)
{
    return making;
}

static bool find_region_slice(struct vl_slice_plan plan, uint32_t seen)
{
    plan.bind = vl_topology.bind;
    plan.bind_node = vl_topology.ids[plan.node];
    return find_slice(&plan, &slice_sizes.node_bytes, SHORT_SLICE_MIN, seen);
}

static bool find_node_slice(unsigned node, uint32_t seen)
{
    return find_region_slice(vl_page_heap_plan(node, 0), seen);
}

bool vl_place_run_other(unsigned other, struct vl_wish wish, struct vl_run *run)
{
    FOR_SLICES(slice, VL_SLICE_NODE, other)
    if (vl_page_heap_take(&vl_page_heaps[slice->number], wish, run))
        return true;
    return false;
}

/* Whether every slice of a node is used to its end: if not, what is short is memory, and one more
 * slice would not help. */
static bool node_is_full(unsigned node)
{
    FOR_SLICES(slice, VL_SLICE_NODE, node)
    if (!vl_page_heap_is_full(&vl_page_heaps[slice->number]))
        return false;
    return true;
}

bool vl_place_run_own(unsigned node, struct vl_wish wish, struct vl_run *run)
{
    uint32_t seen;
    do {
        seen = vl_get_acquire(&slices_made);
        if (vl_place_run_other(node, wish, run))
            return true;
    } while (vl_limit_allows(VL_REGION_SIZE) && node_is_full(node) && find_node_slice(node, seen));
    return false;
}

bool vl_place_run(unsigned node, struct vl_wish wish, struct vl_run *run)
{
    if (vl_place_run_own(node, wish, run))
        return true;
    for (unsigned i = 1; i < vl_topology.count; i++)
        if (vl_place_run_other(vl_topology.nearest[node][i], wish, run)) {
            vl_add(&vl_traffic[node].fallbacks, 1);
            return true;
        }
    return false;
}

/* --- Allocator objects --- */

/* Regions with small pages that an object gets before any with huge ones: 10,000 objects with little in
 * each take little. */
enum { SMALL_REGIONS = 2 };

/* What the regions of a slice for objects are made of. */
enum pages {
    SMALL_PAGES,
    HUGE_PAGES,
    POOL_PAGES, /* huge pages of the kernel's pool, as far as it has any */
    PAGES_KINDS
};

static enum pages pages_of(const struct vl_slice *slice)
{
    return !slice->huge ? SMALL_PAGES : slice->pool ? POOL_PAGES : HUGE_PAGES;
}

static enum pages pages_of_mode(enum vl_hugepage_mode mode, uint32_t regions)
{
    switch (mode) {
    case VL_HUGEPAGE_NEVER:
        return SMALL_PAGES;
    case VL_HUGEPAGE_ALWAYS:
        return HUGE_PAGES;
    case VL_HUGEPAGE_HUGETLB:
    case VL_HUGEPAGE_GIANT:
        return regions < SMALL_REGIONS ? SMALL_PAGES : POOL_PAGES;
    default:
        return regions < SMALL_REGIONS ? SMALL_PAGES : HUGE_PAGES;
    }
}

/* What an object wishes, or else the process. */
static enum pages wanted_pages(const struct vl_holding *holding)
{
    if (holding->hugepage_mode == VL_HUGEPAGE_AUTO)
        return pages_of_mode(vl_options.hugepage_mode, vl_get(&holding->regions));
    return pages_of_mode(holding->hugepage_mode, SMALL_REGIONS);
}

static bool find_object_slice(unsigned node, enum pages pages, uint32_t seen)
{
    struct vl_slice_plan plan = vl_page_heap_plan(node, 0);
    plan.kind = VL_SLICE_OBJECT;
    plan.huge = pages != SMALL_PAGES;
    plan.pool = pages == POOL_PAGES;
    plan.small_pages = plan.huge ? 0 : SIZE_MAX;
    return find_region_slice(plan, seen);
}

/* A region of the slices for objects of a node; *full: they are all used to their ends. */
static struct vl_region *lease_from(unsigned node, enum pages pages, struct vl_holding *holding,
                                    bool soon, bool *full)
{
    *full = true;
    FOR_SLICES(slice, VL_SLICE_OBJECT, node)
    {
        if (pages_of(slice) != pages)
            continue;
        struct vl_region *region = vl_page_heap_lease(&vl_page_heaps[slice->number], holding, soon);
        if (region != NULL)
            return region;
        *full = *full && vl_page_heap_is_full(&vl_page_heaps[slice->number]);
    }
    return NULL;
}

static struct vl_region *lease_on(unsigned node, enum pages pages, struct vl_holding *holding,
                                  bool soon)
{
    bool full;
    uint32_t seen;
    struct vl_region *region;
    do {
        seen = vl_get_acquire(&slices_made);
        region = lease_from(node, pages, holding, soon, &full);
    } while (region == NULL && full && vl_limit_allows(VL_REGION_SIZE) &&
             find_object_slice(node, pages, seen));
    return region;
}

/* Where address space is too short for a slice of each kind, another has to do; so have other nodes. */
static struct vl_region *lease(struct vl_holding *holding, bool soon)
{
    int wished = vl_get(&holding->node);
    unsigned node = wished >= 0 ? (unsigned)wished : vl_topology_here(&vl_topology);
    struct vl_region *region = lease_on(node, wanted_pages(holding), holding, soon);
    for (unsigned i = 0; i < vl_topology.count; i++)
        for (enum pages pages = 0; pages < PAGES_KINDS && region == NULL; pages++) {
            bool full;
            region = lease_from(vl_topology.nearest[node][i], pages, holding, soon, &full);
        }
    return region;
}

bool vl_place_lease(struct vl_holding *holding, bool soon)
{
    vl_holding_expect(holding);
    struct vl_region *region = lease(holding, soon);
    vl_holding_add(holding, region);
    return region != NULL;
}

bool vl_place_run_held(struct vl_holding *holding, struct vl_wish wish, struct vl_run *run)
{
    while (!vl_holding_take(holding, wish, run)) {
        if (!vl_holding_has_room(holding, wish.pages))
            return false;
        if (!vl_place_lease(holding, wish.soon))
            return false;
    }
    return true;
}

void vl_place_give_run(const struct vl_slice *slice, const void *start)
{
    vl_page_heap_give(&vl_page_heaps[slice->number], vl_region_of(slice, start),
                      vl_page_in_region(slice, start));
}

bool vl_place_lengthen_run(const struct vl_slice *slice, const void *start, unsigned more)
{
    return vl_page_heap_lengthen(&vl_page_heaps[slice->number], vl_region_of(slice, start),
                                 vl_page_in_region(slice, start), more);
}

/* The slice that the record of a big block is of. One that is gone may have lain there before: its size is 0. */
static struct vl_slice *slice_of_big(const struct vl_extent *extent)
{
    const char *entry = (const char *)extent;
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (struct vl_slice *slice = vl_slices; slice < vl_slices + count; slice++)
        if (vl_get_acquire(&slice->size) != 0 && !vl_slice_has_regions(slice) &&
            entry >= slice->units && entry < (char *)slice->start)
            return slice;
    return NULL;
}

static void *locate_big(const struct vl_extent *extent)
{
    return vl_big_heap_address(&vl_big_heaps[slice_of_big(extent)->number], extent);
}

void vl_place_begin(struct vl_holding *holding, int node)
{
    bool bind = node >= 0 && vl_topology.bind;
    vl_set(&holding->node, node);
    vl_set(&holding->bind_node, bind ? (int)vl_topology.ids[node] : -1);
}

int vl_place_migrate(struct vl_holding *holding, unsigned node)
{
    vl_set(&holding->node, (int)node);
    if (vl_topology.count == 1)
        return 0; /* all of it is there */
    return vl_holding_migrate(holding, vl_topology.ids[node], locate_big);
}

size_t vl_place_dissolve(struct vl_holding *holding)
{
    size_t bytes = 0;
    for (struct vl_region *region; (region = vl_holding_pop(holding)) != NULL;) {
        struct vl_slice *slice = &vl_slices[region->slice];
        vl_slice_mark(slice, vl_region_start(region), VL_REGION_PAGES, 0, 0);
        vl_page_heap_return_memory(&vl_page_heaps[region->slice], region);
        vl_holding_returned(holding);
        bytes += VL_REGION_SIZE;
    }
    for (struct vl_extent *extent; (extent = vl_holding_pop_big(holding)) != NULL;)
        bytes += vl_big_heap_drop(&vl_big_heaps[slice_of_big(extent)->number], extent);
    return bytes;
}

/* --- Big blocks --- */

static void *big_from_slices(enum vl_slice_kind kind, unsigned place, size_t bytes, size_t align,
                             struct vl_holding *holder, bool *zeroed)
{
    FOR_SLICES(slice, kind, place)
    {
        void *block = vl_big_heap_take(&vl_big_heaps[slice->number], bytes, align, holder, zeroed);
        if (block != NULL)
            return block;
    }
    return NULL;
}

static bool big_has_room(enum vl_slice_kind kind, unsigned place, size_t bytes, size_t align)
{
    FOR_SLICES(slice, kind, place)
    if (vl_big_heap_has_room(&vl_big_heaps[slice->number], bytes, align))
        return true;
    return false;
}

static bool find_big_slice(unsigned place, size_t bytes, size_t align, uint32_t seen)
{
    /* Room for the block wherever the slice comes to lie. */
    size_t least = vl_round_up(bytes, VL_REGION_SIZE) + vl_max(align, VL_REGION_SIZE);
    struct vl_slice_plan plan = vl_big_heap_plan(0);
    if (place == VL_PLACE_ANYWHERE)
        return find_slice(&plan, &slice_sizes.big_bytes, least, seen);
    vl_placement_plan(place, &plan);
    return find_slice(&plan, &slice_sizes.placed_bytes, least, seen);
}

/* Fresh memory is going to be touched: as much as that of what lies empty elsewhere may go. */
static void yield(size_t bytes)
{
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (uint32_t i = 0; i < count; i++) {
        size_t got = vl_slice_has_regions(&vl_slices[i])
                         ? vl_page_heap_yield(&vl_page_heaps[i], bytes)
                         : 0;
        bytes -= vl_min(got, bytes);
    }
}

static void *take_aligned(enum vl_slice_kind kind, unsigned place, size_t bytes, size_t align,
                          struct vl_holding *holder, bool *zeroed)
{
    void *block;
    uint32_t seen;
    do {
        seen = vl_get_acquire(&slices_made);
        block = big_from_slices(kind, place, bytes, align, holder, zeroed);
    } while (block == NULL && vl_limit_allows(bytes) && !big_has_room(kind, place, bytes, align) &&
             find_big_slice(place, bytes, align, seen));
    return block;
}

/* Where address space is short, it may begin anywhere, and does without pages of 1 GB. */
static void *take_big(enum vl_slice_kind kind, unsigned place, size_t bytes, size_t align,
                      struct vl_holding *holder, bool *zeroed)
{
    void *block = NULL;
    if (holder != NULL && !vl_holding_has_room(holder, bytes >> VL_PAGE_SHIFT))
        return NULL;
    if (align < VL_GIANT_SIZE && vl_big_heap_wants_giants(bytes, holder))
        block = take_aligned(kind, place, bytes, VL_GIANT_SIZE, holder, zeroed);
    if (block == NULL)
        block = take_aligned(kind, place, bytes, align, holder, zeroed);
    if (block != NULL && *zeroed) {
        yield(bytes);
        vl_limit_watch();
    }
    return block;
}

void *vl_place_big_at(unsigned place, size_t bytes, size_t align, struct vl_holding *holder,
                      bool *zeroed)
{
    void *block = NULL;
    if (place != VL_PLACE_ANYWHERE)
        block = take_big(VL_SLICE_PLACED, place, bytes, align, holder, zeroed);
    return block != NULL ? block
                         : take_big(VL_SLICE_BIG, VL_PLACE_ANYWHERE, bytes, align, holder, zeroed);
}

void *vl_place_big(size_t bytes, size_t align, struct vl_holding *holder, bool *zeroed)
{
    unsigned place =
        vl_unlikely(vl_placement_ordered) ? vl_placement_order(bytes, holder) : VL_PLACE_ANYWHERE;
    return vl_place_big_at(place, bytes, align, holder, zeroed);
}

bool vl_place_begins(const struct vl_slice *slice)
{
    if (slice->kind != VL_SLICE_PLACED)
        return false;
    for (const struct vl_slice *before = vl_slices; before < slice; before++)
        if (before->kind == VL_SLICE_PLACED && before->node == slice->node)
            return false;
    return true;
}

struct vl_place_use vl_place_use_at(unsigned place)
{
    struct vl_place_use use = {0, 0};
    FOR_SLICES(slice, VL_SLICE_PLACED, place)
    {
        use.bytes += vl_get(&vl_big_heaps[slice->number].bytes_used);
        use.blocks += vl_get(&vl_big_heaps[slice->number].blocks_used);
    }
    return use;
}

struct vl_slice *vl_place_home(unsigned node)
{
    struct vl_slice *slice;
    uint32_t seen;
    do {
        seen = vl_get_acquire(&slices_made);
        slice = first_slice(node);
    } while (slice == NULL && find_node_slice(node, seen));
    return slice;
}

void vl_place_unreserve(void)
{
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (uint32_t i = 0; i < count; i++)
        if (vl_slice_has_regions(&vl_slices[i]) && vl_get(&vl_page_heaps[i].reserved) != 0)
            vl_page_heap_unreserve(&vl_page_heaps[i]);
    vl_stock_release();
}

size_t vl_place_purge(uint64_t age_ms)
{
    size_t purged = 0;
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (uint32_t i = 0; i < count; i++)
        purged += vl_slice_has_regions(&vl_slices[i])
                      ? vl_page_heap_purge(&vl_page_heaps[i], age_ms)
                      : vl_big_heap_purge(&vl_big_heaps[i], age_ms);
    return purged;
}

bool vl_place_has_free(void)
{
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (uint32_t i = 0; i < count; i++)
        if (vl_slice_has_regions(&vl_slices[i]) ? vl_get(&vl_page_heaps[i].regions_empty) != 0
                                                : vl_get(&vl_big_heaps[i].bytes_dirty) != 0)
            return true;
    return false;
}

size_t vl_place_strip(struct vl_holding *holding)
{
    size_t bytes = 0;
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (uint32_t i = 0; i < count; i++)
        if (vl_slices[i].kind == (holding == NULL ? VL_SLICE_NODE : VL_SLICE_OBJECT))
            bytes += vl_page_heap_strip(&vl_page_heaps[i], holding);
    return bytes;
}

void vl_place_after_fork(void)
{
    vl_slices_after_fork();
    vl_stock_after_fork();
    vl_turn_reset(&slice_turn, making); /* what another thread was making is not made any more */
    uint32_t count = vl_get_acquire(&vl_slice_count);
    uint64_t told = 0;
    for (uint32_t i = 0; i < count; i++)
        if (vl_slice_has_regions(&vl_slices[i])) {
            vl_page_heap_after_fork(&vl_page_heaps[i]);
            told += vl_page_heaps[i].told;
        } else {
            vl_big_heap_after_fork(&vl_big_heaps[i]);
            told += vl_big_heaps[i].told;
        }
    vl_limit_after_fork(told);
}
