#include "core/slice.h"

VL_SPARSE struct vl_slice vl_slices[VL_SLICES_MAX];
_Atomic uint32_t vl_slice_count;
_Atomic uint64_t vl_slice_refusals;

/* Slots handed out; a slice is published once all earlier slots are. */
static _Atomic uint32_t slots_taken;

/* Data becomes writable in steps that double with the slice, between these. */
#define STEP_MIN (2 * VL_REGION_SIZE)
#define STEP_MAX ((size_t)1 << 30)

/*
 * The class map begins this far into a page. Some processors take a load for a store shortly before
 * it whose address has the same last 12 bits, and wait. The busiest objects lie where pages begin, and
 * what `free` reads for the first pages should not look like them. Any odd place does.
 */
enum { CLASS_MAP_SKEW = 1728 };

static size_t class_map_bytes(const struct vl_slice_plan *plan)
{
    if (plan->kind >= VL_SLICE_BIG)
        return 0;
    return vl_round_up(CLASS_MAP_SKEW + (plan->size >> VL_PAGE_SHIFT), vl_os_page_size);
}

static size_t unit_table_bytes(const struct vl_slice_plan *plan)
{
    return vl_round_up((plan->size >> plan->unit_shift) * plan->unit_bytes, vl_os_page_size);
}

/* In a slice this small, address space is short: what aligning it has left over goes back. */
#define SHORT_SLICE ((size_t)1 << 30)

static void unreserve_between(uintptr_t start, uintptr_t end)
{
    if (start < end)
        vl_os->unreserve((void *)start, end - start);
}

/* Reserves tables and data in one piece; data begins on a region. Returns its start, or 0. */
static uintptr_t reserve(const struct vl_slice_plan *plan, char **tables)
{
    size_t table_bytes = class_map_bytes(plan) + unit_table_bytes(plan);
    size_t total = table_bytes + plan->size + VL_REGION_SIZE;
    char *space = vl_os->reserve(total);
    if (space == NULL)
        return 0;
    uintptr_t data = vl_round_up((uintptr_t)space + table_bytes, VL_REGION_SIZE);
    *tables = (char *)data - table_bytes;
    if (plan->size < SHORT_SLICE) {
        unreserve_between((uintptr_t)space, (uintptr_t)*tables);
        unreserve_between(data + plan->size, (uintptr_t)space + total);
        space = *tables;
        total = table_bytes + plan->size;
    }
    if (vl_os->protect(*tables, table_bytes, VL_ACCESS_READ) == 0)
        return data;
    vl_os->unreserve(space, total);
    return 0;
}

/* Advice only: where the kernel refuses, the slice works without. */
static void advise(const struct vl_slice_plan *plan, char *tables, uintptr_t data)
{
    size_t plain = vl_min(plan->small_pages, plan->size);
    vl_os->advise(tables, data - (uintptr_t)tables + plain, VL_ADVICE_SMALL);
    if (plan->huge && plan->size > plain)
        vl_os->advise((void *)(data + plain), plan->size - plain, VL_ADVICE_HUGE);
}

/* Kernels that know no weights spread evenly; those that prefer one node only get the slice's first. */
static int spread(const struct vl_slice *slice, void *start, size_t size)
{
    int error = vl_os->spread(start, size, slice->spread, (enum vl_spread)slice->how);
    if (error != 0 && slice->how == VL_SPREAD_WEIGHTED)
        error = vl_os->spread(start, size, slice->spread, VL_SPREAD_EVENLY);
    if (error != 0 && slice->how == VL_SPREAD_NEAREST)
        error = vl_os->bind(start, size, slice->bind_node, false);
    return error;
}

void vl_slice_bind(const struct vl_slice *slice, void *start, size_t size)
{
    int error = 0;
    if (slice->spread != NULL)
        error = spread(slice, start, size);
    else if (slice->bind)
        error = vl_os->bind(start, size, slice->bind_node, false);
    if (error != 0)
        vl_add(&vl_slice_refusals, 1);
}

static void publish(uint32_t number)
{
    uint32_t before = number;
    while (!vl_swap_if(&vl_slice_count, &before, number + 1)) {
        before = number;
        vl_os->yield(); /* an earlier slot is about to be published; numa/place makes one at a time */
    }
}

static bool change_state(struct vl_slice *slice, uint8_t from, uint8_t to)
{
    return vl_get(&slice->state) == from &&
           atomic_compare_exchange_strong(&slice->state, &from, to);
}

/* Whether a slot's slices are of this sort. Who walks over the slots may read that of one that has been
 * retired since and is taken up again, so it never changes. */
static bool is_of_sort(const struct vl_slice *slice, const struct vl_slice_plan *plan)
{
    return slice->kind == plan->kind && slice->node == plan->node && slice->huge == plan->huge &&
           slice->pool == plan->pool && slice->bind == plan->bind;
}

/* The slot of a retired slice of the same sort, taken, or NULL. Slices are made by one thread at a time
 * where that matters (numa/place.c); the exchange makes it safe anyway. */
static struct vl_slice *take_retired(const struct vl_slice_plan *plan)
{
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (struct vl_slice *slice = vl_slices; slice < vl_slices + count; slice++)
        if (is_of_sort(slice, plan) && change_state(slice, VL_SLICE_RETIRED, VL_SLICE_BUSY))
            return slice;
    return NULL;
}

struct vl_slice *vl_slice_create(const struct vl_slice_plan *plan)
{
    char *tables;
    uintptr_t data = reserve(plan, &tables);
    if (data == 0)
        return NULL;
    advise(plan, tables, data); /* may call a hook that calls us: no number is claimed yet */
    struct vl_slice *again = take_retired(plan);
    uint32_t number = again != NULL ? again->number : vl_add(&slots_taken, 1);
    if (number >= VL_SLICES_MAX) {
        vl_os->unreserve(tables, data + plan->size - (uintptr_t)tables);
        return NULL;
    }

    struct vl_slice *slice = &vl_slices[number];
    vl_set(&slice->start, data);
    slice->tables = tables;
    slice->mapped = data + plan->size - (uintptr_t)tables;
    slice->class_map = (_Atomic uint8_t *)(tables + CLASS_MAP_SKEW);
    slice->units = tables + class_map_bytes(plan);
    vl_set(&slice->small_from, 0);
    vl_set(&slice->small_end, plan->small_pages);
    if (again == NULL) {
        slice->number = (uint16_t)number;
        slice->node = (uint16_t)plan->node;
        slice->kind = (uint8_t)plan->kind;
        slice->unit_shift = (uint8_t)plan->unit_shift;
        slice->unit_bytes = (uint16_t)plan->unit_bytes;
        slice->huge = plan->huge;
        slice->pool = plan->pool;
        slice->bind = plan->bind;
        slice->bind_node = (uint16_t)plan->bind_node;
        slice->spread = plan->spread;
        slice->how = (uint8_t)plan->how;
    }
    vl_slice_bind(slice, tables, slice->mapped);
    plan->prepare(slice);
    vl_set_release(&slice->size, plan->size);
    /* After its size: from now on it may be hidden again. */
    vl_set_release(&slice->state, VL_SLICE_LIVE);
    if (again == NULL)
        publish(number);
    return slice;
}

/* Makes the bytes [from, to) of a table writable, widened to whole pages of the machine. */
static bool write_table(char *table, size_t from, size_t to)
{
    uintptr_t start = vl_round_down((uintptr_t)table + from, vl_os_page_size);
    uintptr_t end = vl_round_up((uintptr_t)table + to, vl_os_page_size);
    return end == start || vl_os->protect((void *)start, end - start, VL_ACCESS_WRITE) == 0;
}

static bool extend_to(struct vl_slice *slice, size_t have, size_t goal)
{
    if (vl_slice_has_regions(slice) &&
        !write_table((char *)slice->class_map, have >> VL_PAGE_SHIFT, goal >> VL_PAGE_SHIFT))
        return false;
    size_t unit_from = (have >> slice->unit_shift) * slice->unit_bytes;
    size_t unit_to = (goal >> slice->unit_shift) * slice->unit_bytes;
    return write_table(slice->units, unit_from, unit_to) &&
           vl_os->protect((void *)(slice->start + have), goal - have, VL_ACCESS_WRITE) == 0;
}

bool vl_slice_extend(struct vl_slice *slice, size_t end)
{
    size_t have = vl_get_acquire(&slice->writable);
    if (end <= have)
        return true;
    size_t size = vl_get(&slice->size);
    if (end > size)
        return false;
    size_t step = vl_min(vl_max(have, STEP_MIN), STEP_MAX);
    size_t least = vl_round_up(end, VL_REGION_SIZE);
    size_t goal = vl_min(vl_max(least, have + step), size);
    if (!extend_to(slice, have, goal)) {
        goal = vl_min(least, size); /* memory is short: just what is needed */
        if (!extend_to(slice, have, goal))
            return false;
    }
    while (have < goal && !vl_swap_if(&slice->writable, &have, goal)) {
    }
    return true;
}

bool vl_slice_use_huge(struct vl_slice *slice)
{
    vl_set(&slice->small_end, 0);
    vl_set(&slice->small_from, 0);
    return vl_os->advise((void *)slice->start, vl_get(&slice->size), VL_ADVICE_HUGE) == 0;
}

bool vl_slice_use_small(struct vl_slice *slice, size_t from)
{
    size_t size = vl_get(&slice->size);
    vl_set(&slice->small_from, from);
    vl_set(&slice->small_end, size);
    return from >= size ||
           vl_os->advise((void *)(slice->start + from), size - from, VL_ADVICE_SMALL) == 0;
}

bool vl_slice_renew(const struct vl_slice *slice, void *start, size_t size)
{
    if (vl_os->renew(start, size) != 0)
        return false;
    bool small = vl_slice_is_small(slice, (uintptr_t)start - slice->start);
    vl_os->advise(start, size, small ? VL_ADVICE_SMALL : VL_ADVICE_HUGE);
    vl_slice_bind(slice, start, size);
    return true;
}

void vl_slice_hide(struct vl_slice *slice)
{
    size_t bytes = vl_get(&slice->writable);
    vl_set(&slice->size, 0);
    vl_set(&slice->writable, 0);
    /* Readers, who may be long, look at tables only. From HIDDEN on, others may unmap it. */
    vl_os->advise((void *)slice->start, bytes, VL_ADVICE_DISCARD);
    vl_set_release(&slice->state, VL_SLICE_HIDDEN);
}

size_t vl_slice_unmap(struct vl_slice *slice)
{
    if (!change_state(slice, VL_SLICE_HIDDEN, VL_SLICE_BUSY))
        return 0;
    size_t bytes = slice->mapped;
    vl_os->unreserve(slice->tables, bytes);
    vl_set_release(&slice->state, VL_SLICE_RETIRED);
    return bytes;
}

void vl_slices_after_fork(void)
{
    vl_set_if_other(&slots_taken, vl_get(&vl_slice_count));
}
