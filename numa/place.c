#include "numa/place.h"

struct vl_page_heap vl_page_heaps[VL_SLICES_MAX];
struct vl_big_heap vl_big_heaps[VL_SLICES_MAX];

/* Address space a slice asks for: much more than there is memory, so that one is enough. */
#define NODE_SLICE_MIN ((uint64_t)64 << 30)
#define BIG_SLICE_MIN ((uint64_t)256 << 30)
#define SLICE_MAX ((uint64_t)16 << 40)

/* Smallest slice worth its bookkeeping, where address space is short. */
#define SHORT_SLICE_MIN ((uint64_t)4 << 20)

static struct {
    size_t node_bytes;
    size_t big_bytes;
} slice_sizes;

static size_t power_of_two_below(uint64_t bytes)
{
    return (size_t)1 << vl_log2(bytes);
}

void vl_place_start(void)
{
    vl_topology_probe(&vl_topology, vl_options.numa_mode);
    uint64_t memory = vl_os->memory_bytes();
    uint64_t node = vl_max(NODE_SLICE_MIN, 4 * memory / vl_topology.count);
    if (vl_options.va_reserve_bytes != VL_SIZE_AUTO)
        node = vl_max(SHORT_SLICE_MIN, vl_options.va_reserve_bytes);
    slice_sizes.node_bytes = power_of_two_below(vl_min(node, SLICE_MAX));
    slice_sizes.big_bytes =
        power_of_two_below(vl_min(vl_max(BIG_SLICE_MIN, 8 * memory), SLICE_MAX));
}

static void prepare(struct vl_slice *slice)
{
    if (slice->kind == VL_SLICE_NODE)
        vl_page_heap_start(&vl_page_heaps[slice->number], slice);
    else
        vl_big_heap_start(&vl_big_heaps[slice->number], slice, vl_topology.count > 1);
}

/* Makes a slice of `*size` bytes. Where that does not fit into the address space, notes in `*size`
 * an eighth of what the process may have, or half of what was tried, and makes that, down to
 * `least`. */
static bool make_slice(struct vl_slice_plan plan, size_t *size, size_t least)
{
    plan.prepare = prepare;
    plan.size = vl_max(*size, least);
    if (vl_slice_create(&plan) != NULL)
        return true;
    uint64_t limit = vl_os->address_limit();
    size_t try = limit / 8 < plan.size ? vl_max(power_of_two_below(limit / 8 + 1), SHORT_SLICE_MIN)
                                       : plan.size / 2;
    for (;; try /= 2) {
        plan.size = vl_max(try, least);
        if (vl_slice_create(&plan) != NULL) {
            *size = vl_min(*size, try);
            return true;
        }
        if (try <= least || try < SHORT_SLICE_MIN)
            return false;
    }
}

/* Slices of a kind, and for NODE slices of a node, in the order they were made. */
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

/* Retires slices of which nothing is in use, but not a node's first, which threads call home. */
static bool retire_idle_slices(void)
{
    bool any = false;
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (struct vl_slice *slice = vl_slices; slice < vl_slices + count; slice++) {
        bool idle = slice->kind == VL_SLICE_BIG
                        ? vl_big_heap_close(&vl_big_heaps[slice->number])
                        : slice != first_slice(slice->node) &&
                              vl_page_heap_close(&vl_page_heaps[slice->number]);
        if (idle)
            vl_slice_retire(slice);
        any = any || idle;
    }
    return any;
}

/* The same, with what idle slices hold if need be. */
static bool find_slice(struct vl_slice_plan plan, size_t *size, size_t least)
{
    return make_slice(plan, size, least) ||
           (retire_idle_slices() && make_slice(plan, size, least));
}

static bool make_node_slice(unsigned node)
{
    struct vl_slice_plan plan = vl_page_heap_plan(node, 0);
    plan.bind = vl_topology.bind;
    plan.bind_node = vl_topology.ids[node];
    return find_slice(plan, &slice_sizes.node_bytes, SHORT_SLICE_MIN);
}

static bool run_from_node(unsigned node, unsigned pages, unsigned align,
                          enum vl_population population, struct vl_run *run)
{
    FOR_SLICES(slice, VL_SLICE_NODE, node)
    if (vl_page_heap_take(&vl_page_heaps[slice->number], pages, align, population, run))
        return true;
    return false;
}

/* Whether every slice of a node is used to its end: if not, what is short is memory, and one more
 * slice would not help. */
static bool node_is_full(unsigned node)
{
    FOR_SLICES(slice, VL_SLICE_NODE, node)
    if (vl_get(&slice->writable) < vl_get(&slice->size))
        return false;
    return true;
}

bool vl_place_run(unsigned node, unsigned pages, unsigned align, enum vl_population population,
                  struct vl_run *run)
{
    if (run_from_node(node, pages, align, population, run))
        return true;
    if (node_is_full(node) && make_node_slice(node) &&
        run_from_node(node, pages, align, population, run))
        return true;
    for (unsigned i = 1; i < vl_topology.count; i++)
        if (run_from_node(vl_topology.nearest[node][i], pages, align, population, run))
            return true;
    return false;
}

static void *big_from_slices(size_t bytes, size_t align, bool *zeroed)
{
    FOR_SLICES(slice, VL_SLICE_BIG, 0)
    {
        void *block = vl_big_heap_take(&vl_big_heaps[slice->number], bytes, align, zeroed);
        if (block != NULL)
            return block;
    }
    return NULL;
}

static bool big_has_room(size_t bytes, size_t align)
{
    FOR_SLICES(slice, VL_SLICE_BIG, 0)
    if (vl_big_heap_has_room(&vl_big_heaps[slice->number], bytes, align))
        return true;
    return false;
}

void *vl_place_big(size_t bytes, size_t align, bool *zeroed)
{
    void *block = big_from_slices(bytes, align, zeroed);
    if (block != NULL || big_has_room(bytes, align))
        return block;
    /* Room for the block wherever the slice comes to lie. */
    size_t least = vl_round_up(bytes, VL_REGION_SIZE) + vl_max(align, VL_REGION_SIZE);
    if (!find_slice(vl_big_heap_plan(0), &slice_sizes.big_bytes, least))
        return NULL;
    return big_from_slices(bytes, align, zeroed);
}

struct vl_slice *vl_place_home(unsigned node)
{
    struct vl_slice *slice = first_slice(node);
    if (slice == NULL && make_node_slice(node))
        slice = first_slice(node);
    return slice;
}

size_t vl_place_purge(uint64_t age_ms)
{
    size_t purged = 0;
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (uint32_t i = 0; i < count; i++)
        purged += vl_slices[i].kind == VL_SLICE_NODE
                      ? vl_page_heap_purge(&vl_page_heaps[i], age_ms)
                      : vl_big_heap_purge(&vl_big_heaps[i], age_ms);
    return purged;
}

void vl_place_after_fork(void)
{
    vl_slices_after_fork();
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (uint32_t i = 0; i < count; i++)
        if (vl_slices[i].kind == VL_SLICE_NODE)
            vl_page_heap_after_fork(&vl_page_heaps[i]);
        else
            vl_big_heap_after_fork(&vl_big_heaps[i]);
}
