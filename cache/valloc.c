/* valloc - the functions of valloc.h. */
#include "valloc.h"

#include "cache/counters.h"
#include "cache/front.h"
#include "cache/init.h"
#include "cache/placed.h"
#include "cache/query.h"
#include "cache/report.h"
#include "cache/stats.h"
#include "cache/walk.h"
#include "hugepage/hugepage.h"

#include <errno.h>
#include <string.h>

const char *valloc_version(void)
{
    return VALLOC_VERSION;
}

void valloc_get_stat(struct valloc_stat *stat)
{
    struct vl_stats s;
    memset(stat, 0, sizeof *stat);
    if (!vl_start())
        return;
    vl_stats_take(&s);
    *stat = (struct valloc_stat){
        .used = vl_stats_used(&s),
        .used_small = s.small_bytes,
        .used_runs = s.run_bytes,
        .used_big = s.big_bytes,
        .small_count = s.small_blocks,
        .big_count = s.big_blocks,
        .free_cached = s.cached_bytes,
        .free_spans = s.span_free_bytes,
        .free_regions = s.regions_empty << VL_REGION_SHIFT,
        .free_big = s.big_kept_bytes,
        .returned = s.purged_bytes,
        .heap = s.heap_bytes,
        .nodes = (uint32_t)s.nodes,
        .thread_caches = (uint32_t)s.caches,
        .hugetlb = s.hugetlb_bytes,
        .fallbacks = s.hugetlb_refused,
        .nb_malloc = vl_counter_sum(VL_COUNT_MALLOC),
        .nb_free = vl_counter_sum(VL_COUNT_FREE),
        .nb_realloc = vl_counter_sum(VL_COUNT_REALLOC),
        .nb_calloc = vl_counter_sum(VL_COUNT_CALLOC),
        .nb_recyclage = vl_counter_sum(VL_COUNT_RECYCLE),
        .nb_mmap = vl_get(&vl_os_maps),
        .nb_munmap = vl_get(&vl_os_unmaps),
        .counts = vl_options.count,
    };
}

void *valloc_onnode(size_t size, int node)
{
    unsigned place = VL_PLACE_ANYWHERE;
    vl_start(); /* false from inside the start: no nodes are known then, and any number will do */
    if (vl_placement_on(node, &place))
        return vl_placed_alloc(place, size);
    errno = EINVAL;
    return NULL;
}

void *valloc_interleaved(size_t size)
{
    vl_start();
    return vl_placed_alloc(vl_placement_spread(), size);
}

void *valloc_local(size_t size)
{
    vl_start();
    return vl_placed_alloc(size < VL_BIG_MIN ? VL_PLACE_ANYWHERE : vl_placement_here(), size);
}

void valloc_count_calls(int on)
{
    if (vl_start())
        vl_count_calls(on != 0);
}

void valloc_print_stat(int fd)
{
    if (vl_start())
        vl_report_print(fd);
}

int valloc_owns(const void *pointer)
{
    return vl_query_owns(pointer);
}

size_t valloc_usable_size(const void *pointer)
{
    return vl_query_bytes(pointer);
}

int valloc_node_of(const void *pointer)
{
    return vl_query_node(pointer);
}

struct region_visitor {
    int (*visit)(const struct valloc_region *region, void *argument);
    void *argument;
};

static int visit_region(const struct vl_part *part, void *argument)
{
    const struct region_visitor *visitor = argument;
    struct valloc_region region = {
        .start = part->start,
        .size = part->size,
        .used = part->used,
        .big = part->kind == VL_PART_BIG,
        .resident = part->resident,
        .node = part->node,
    };
    return visitor->visit(&region, visitor->argument);
}

int valloc_regions(int (*visit)(const struct valloc_region *region, void *argument),
                   void *argument)
{
    struct region_visitor visitor = {visit, argument};
    return vl_walk_parts(visit_region, &visitor);
}

int valloc_walk(int (*visit)(void *block, size_t size, void *argument), void *argument)
{
    return vl_walk_blocks(visit, argument);
}
