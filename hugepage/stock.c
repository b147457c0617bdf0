#include "hugepage/stock.h"

enum { STOCKS_MAX = 64 };

/* Under the lock, but for `count`: release, once a stock is written; it sinks in a child only. */
static struct {
    struct vl_lock lock;
    _Atomic uint32_t count;
    struct stock {
        int node;          /* -1: bound to none */
        char *start, *end; /* of what is left */
    } stocks[STOCKS_MAX];
} all;

/* Not in children, who would know nothing of it. */
static char *map(size_t size)
{
    char *start = vl_os->map_hugetlb(size, VL_REGION_SHIFT, NULL);
    if (start != NULL)
        vl_os->advise(start, size, VL_ADVICE_ALONE);
    return start;
}

/* The most that fits, by halves: the kernel's figure of free pages leaves out what others have set aside, and
 * what a cgroup allows. */
char *vl_stock_map(uint64_t bytes, size_t *got)
{
    size_t fits = 0, too_much = (size_t)vl_round_down(bytes, VL_REGION_SIZE);
    *got = too_much;
    char *start = too_much == 0 ? NULL : map(too_much);
    if (start != NULL)
        return start;
    while (too_much - fits > VL_REGION_SIZE) {
        size_t size = fits + vl_round_up((too_much - fits) / 2, VL_REGION_SIZE);
        start = vl_os->map_hugetlb(size, VL_REGION_SHIFT, NULL);
        if (start != NULL)
            vl_os->unreserve(start, size);
        *(start != NULL ? &fits : &too_much) = size;
    }
    *got = fits;
    return fits == 0 ? NULL : map(fits);
}

/* Under the lock. */
static uint64_t left(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < vl_get(&all.count); i++)
        bytes += (uint64_t)(all.stocks[i].end - all.stocks[i].start);
    return bytes;
}

void vl_stock_add(int node, char *start, size_t size, size_t populated)
{
    vl_lock(&all.lock);
    uint32_t count = vl_get(&all.count);
    if (count == STOCKS_MAX)
        populated = 0;
    if (populated != 0) {
        all.stocks[count] = (struct stock){node, start, start + populated};
        vl_set_release(&all.count, count + 1);
    }
    vl_unlock(&all.lock);
    if (populated < size)
        vl_os->unreserve(start + populated, size - populated);
}

/* The node of whose pages a slice may have some; -1: of no node's. `first`: of the first stock. */
static int node_for(const struct vl_slice *slice, int first)
{
    unsigned cpu, here;
    if (slice->bind)
        return slice->bind_node;
    return first >= 0 && vl_os->where(&cpu, &here) == 0 ? (int)here : first;
}

char *vl_stock_take(const struct vl_slice *slice, size_t size)
{
    uint32_t count = vl_get_acquire(&all.count);
    if (vl_likely(count == 0) || slice->spread != NULL)
        return NULL;
    int node = node_for(slice, all.stocks[0].node); /* either all are bound or none is */
    char *taken = NULL;
    vl_lock(&all.lock);
    for (uint32_t i = 0; i < count && taken == NULL; i++) {
        struct stock *stock = &all.stocks[i];
        if (stock->node == node && (size_t)(stock->end - stock->start) >= size) {
            taken = stock->start;
            stock->start += size;
        }
    }
    vl_unlock(&all.lock);
    if (taken == NULL || vl_os->advise(taken, size, VL_ADVICE_INHERIT) == 0)
        return taken;
    vl_os->unreserve(taken, size);
    return NULL;
}

void vl_stock_release(void)
{
    for (uint32_t i = 0; i < vl_get_acquire(&all.count); i++) {
        vl_lock(&all.lock);
        struct stock *stock = &all.stocks[i], old = *stock;
        stock->start = stock->end;
        vl_unlock(&all.lock);
        if (old.start != old.end)
            vl_os->unreserve(old.start, (size_t)(old.end - old.start));
    }
}

uint64_t vl_stock_left(void)
{
    vl_lock(&all.lock);
    uint64_t bytes = left();
    vl_unlock(&all.lock);
    return bytes;
}

void vl_stock_after_fork(void)
{
    vl_lock_reset(&all.lock);
    vl_set_if_other(&all.count, 0);
}
