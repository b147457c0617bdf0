#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cache/reserve.h"

#include "cache/helper.h"
#include "numa/numa.h"

#include <errno.h>

#define STEP_BYTES  ((size_t)32 << 20) /* populated in one call: time is looked at in between */
enum { THREADS_PER_NODE_MAX = 16 };

/* What the machine is left with: a process that takes all there is gets killed for it. */
enum { LEFT_SHARE = 16 };

/* Of the address space, or of what can be written, that the process may have (ulimit -v, -d). */
enum { SPACE_SHARE = 4 };

/* A node's part. */
struct part {
    uint64_t wished;
    char *start;
    size_t size;
    struct vl_page_heap *heap; /* whose regions they are; NULL: pages of the pool */
    _Atomic size_t next; /* offset of the next step: whoever adds to it does it */
    _Atomic size_t end;  /* offset of the first step that was not done */
};

static VL_SPARSE struct {
    struct part parts[VL_NODE_INDEX_MAX];
    uint64_t deadline_ms;
    _Atomic uint32_t running; /* threads; the one that waits sleeps on it as a futex */
    struct vl_os_output output; /* standard error as it was at the start */
    struct vl_reserve_report report;
} reserve;

_Atomic bool vl_reserve_wanted;
static _Atomic bool done; /* release: the report is complete */

/* --- What is asked for --- */

static void lack(enum vl_reserve_lack why)
{
    if (reserve.report.lack == VL_RESERVE_WHOLE)
        reserve.report.lack = why;
}

static void wish(int node, uint64_t bytes, void *unused)
{
    (void)unused;
    reserve.report.wished += bytes;
    for (unsigned i = 0; i < vl_topology.count; i++) {
        bool whole = vl_topology.count == 1 && node <= 0;
        if (node < 0 || whole || vl_topology.ids[i] == node)
            reserve.parts[i].wished += node < 0 ? bytes / vl_topology.count : bytes;
    }
}

void vl_reserve_start(void)
{
    if (vl_options.reserve == NULL || !vl_amounts_read(vl_options.reserve, wish, NULL) ||
        reserve.report.wished == 0)
        return;
    reserve.report.asked = true;
    vl_os_keep_output(&reserve.output, 2);
    vl_set(&vl_reserve_wanted, true);
}

/* --- How much of it can be had --- */

static uint64_t parts_sum(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < vl_topology.count; i++)
        sum += reserve.parts[i].wished;
    return sum;
}

/* Each part shrinks by the same share. */
static void shrink_to(uint64_t allowed, enum vl_reserve_lack why)
{
    uint64_t sum = parts_sum();
    if (sum <= allowed)
        return;
    lack(why);
    for (unsigned i = 0; i < vl_topology.count; i++)
        reserve.parts[i].wished =
            (uint64_t)((double)reserve.parts[i].wished / (double)sum * (double)allowed);
}

/* Pages of the pool are no longer part of what the machine has for others. */
static void shrink_to_memory(uint64_t more)
{
    struct vl_cgroup group = vl_cgroup_read();
    uint64_t room = group.limit == UINT64_MAX    ? UINT64_MAX
                    : group.limit <= group.used ? 0
                                                 : group.limit - group.used;
    room = vl_min(room, vl_os->available_bytes());
    if (!vl_hugetlb_wanted() && room != UINT64_MAX)
        shrink_to(room - vl_min(room, room / LEFT_SHARE + more), VL_RESERVE_MEMORY);
}

/* `more` is what the program is about to take besides. */
static void shrink_to_limits(uint64_t more)
{
    struct vl_limits limits = vl_limits_now();
    uint64_t most = vl_min(limits.soft, limits.hard);
    if (most != UINT64_MAX)
        shrink_to(most - vl_min(most, limits.held + more), VL_RESERVE_LIMIT);
    most = vl_min(vl_os->address_limit(), vl_os->data_limit());
    if (most != UINT64_MAX)
        shrink_to(most / SPACE_SHARE, VL_RESERVE_LIMIT);
}

/* --- Where it comes to lie --- */

static void find_pool(struct part *part, unsigned node)
{
    part->start = vl_stock_map(part->wished, &part->size);
    if (part->start == NULL) {
        part->size = 0;
        return;
    }
    if (vl_topology.bind)
        vl_os->bind(part->start, part->size, vl_topology.ids[node], false);
}

static void find_regions(struct part *part, unsigned node)
{
    struct vl_slice *slice = vl_place_home(node);
    if (slice == NULL)
        return;
    part->heap = &vl_page_heaps[slice->number];
    uint32_t regions = (uint32_t)vl_min(part->wished >> VL_REGION_SHIFT, UINT32_MAX);
    regions = vl_page_heap_reserve(part->heap, regions, &part->start);
    part->size = (size_t)regions << VL_REGION_SHIFT;
}

static void find_place(struct part *part, unsigned node)
{
    uint64_t whole = vl_round_down(part->wished, VL_REGION_SIZE);
    if (vl_hugetlb_wanted())
        find_pool(part, node);
    else
        find_regions(part, node);
    if (part->size < whole)
        lack(vl_hugetlb_wanted() ? VL_RESERVE_POOL : VL_RESERVE_MEMORY);
    vl_set(&part->end, part->size);
}

static void hand_over(struct part *part, unsigned node)
{
    size_t populated = vl_get_acquire(&part->end);
    reserve.report.got += populated;
    if (part->size == 0)
        return;
    if (part->heap == NULL) {
        vl_stock_add(vl_topology.bind ? (int)vl_topology.ids[node] : -1, part->start, part->size,
                     populated);
        return;
    }
    if (populated < part->size) /* steps behind it may have been done */
        vl_os->advise(part->start + populated, part->size - populated, VL_ADVICE_DISCARD);
    vl_page_heap_reserved(part->heap, part->start, (uint32_t)(part->size >> VL_REGION_SHIFT),
                          populated);
}

/* --- Fetching --- */

/* Steps are done in order, so all before the first that was not are there. Release: what is populated is
 * seen with it. */
static void stop_at(struct part *part, size_t offset)
{
    size_t end = vl_get(&part->end);
    while (offset < end && !vl_swap_if(&part->end, &end, offset)) {
    }
    vl_set(&part->next, part->size);
}

static _Atomic uint8_t fetch_lack;

static void fetch(struct part *part)
{
    for (;;) {
        size_t offset = vl_add(&part->next, STEP_BYTES);
        if (offset >= part->size)
            return;
        bool late = vl_os->clock_ms() >= reserve.deadline_ms;
        size_t size = vl_min(STEP_BYTES, part->size - offset);
        if (late || vl_os->advise(part->start + offset, size, VL_ADVICE_POPULATE) != 0) {
            vl_set(&fetch_lack, (uint8_t)(late                  ? VL_RESERVE_TIME
                                          : vl_hugetlb_wanted() ? VL_RESERVE_POOL
                                                                : VL_RESERVE_REFUSED));
            stop_at(part, offset);
            return;
        }
    }
}

static void *fetch_on_node(void *argument)
{
    struct part *part = argument;
    if (vl_topology.bind)
        vl_os->run_on(vl_topology.ids[part - reserve.parts]);
    fetch(part);
    /* The last thing it does: who waits may be gone right after. */
    if (atomic_fetch_sub_explicit(&reserve.running, 1, memory_order_release) == 1)
        vl_os->wake(&reserve.running, VL_WAKE_ALL);
    return NULL;
}

static unsigned threads_for(const struct part *part, unsigned node)
{
    size_t steps = (part->size + STEP_BYTES - 1) / STEP_BYTES;
    unsigned cpus = vl_os->node_cpus(vl_topology.bind ? vl_topology.ids[node] : 0);
    return (unsigned)vl_min(steps, vl_min(vl_max(cpus, 1), THREADS_PER_NODE_MAX));
}

static void make_threads(void)
{
    for (unsigned node = 0; node < vl_topology.count; node++) {
        struct part *part = &reserve.parts[node];
        for (unsigned i = threads_for(part, node); i > 0; i--) {
            vl_add(&reserve.running, 1);
            if (!vl_helper_start(fetch_on_node, part)) {
                vl_add(&reserve.running, (uint32_t)-1);
                break;
            }
            reserve.report.threads++;
        }
    }
}

static void wait_for_all(void)
{
    uint32_t running;
    while ((running = vl_get_acquire(&reserve.running)) != 0)
        vl_os->wait(&reserve.running, running);
}

/* What no thread could be made for is done here. */
static void fetch_all(void)
{
    make_threads();
    for (unsigned node = 0; node < vl_topology.count; node++)
        fetch(&reserve.parts[node]);
    wait_for_all();
    if (vl_get(&fetch_lack) != VL_RESERVE_WHOLE)
        lack((enum vl_reserve_lack)vl_get(&fetch_lack));
}

/* --- What came of it --- */

const char *vl_reserve_lack_text(enum vl_reserve_lack why)
{
    static const char texts[][40] = {
        [VL_RESERVE_WHOLE] = "all is there",
        [VL_RESERVE_POOL] = "the kernel's pool has no more",
        [VL_RESERVE_MEMORY] = "there is no more memory",
        [VL_RESERVE_LIMIT] = "a limit does not allow more",
        [VL_RESERVE_TIME] = "the time was over",
        [VL_RESERVE_NODE] = "a node is missing",
        [VL_RESERVE_REFUSED] = "the kernel refused",
    };
    return texts[why];
}

static void tell_lack(const struct vl_reserve_report *report)
{
    char line[160];
    struct vl_text text = vl_text_on(line, sizeof line);
    vl_text_str(&text, "valloc: VALLOC_HUGEPAGE_RESERVE: got ");
    vl_text_bytes(&text, report->got);
    vl_text_str(&text, " of ");
    vl_text_bytes(&text, report->wished);
    vl_text_str(&text, ": ");
    vl_text_str(&text, vl_reserve_lack_text(report->lack));
    vl_text_line_end(&text);
    if (vl_os_is_output(&reserve.output))
        vl_os_say(reserve.output.fd, text.buf, text.len);
}

static void make(uint64_t more)
{
    uint64_t begin = vl_os->clock_ms();
    reserve.deadline_ms = begin + (uint64_t)vl_options.reserve_time_ms;
    if (parts_sum() + vl_topology.count <= reserve.report.wished)
        lack(VL_RESERVE_NODE); /* but for what does not divide evenly */
    shrink_to_memory(more);
    shrink_to_limits(more);
    for (unsigned node = 0; node < vl_topology.count; node++)
        find_place(&reserve.parts[node], node);
    fetch_all();
    for (unsigned node = 0; node < vl_topology.count; node++)
        hand_over(&reserve.parts[node], node);
    reserve.report.ms = vl_os->clock_ms() - begin;
    vl_set_release(&done, true);
    if (reserve.report.lack != VL_RESERVE_WHOLE)
        tell_lack(&reserve.report);
}

void vl_reserve_look(uint64_t more)
{
    uint64_t held = vl_limits_now().held;
    bool can_be = more < vl_os->memory_bytes() && vl_limit_allows(more);
    if (!can_be || held + more < vl_options.huge_start_bytes ||
        !atomic_exchange(&vl_reserve_wanted, false))
        return;
    int errno_before = errno;
    make(more);
    errno = errno_before;
}

struct vl_reserve_report vl_reserve_report(void)
{
    struct vl_reserve_report report = {.asked = reserve.report.asked,
                                       .wished = reserve.report.wished};
    if (!vl_get_acquire(&done))
        return report;
    report = reserve.report;
    report.done = true;
    return report;
}
