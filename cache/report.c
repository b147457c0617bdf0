#include "cache/report.h"

#include "valloc.h"

#include "cache/init.h"
#include "cache/reserve.h"
#include "cache/stats.h"
#include "numa/numa.h"

#include <unistd.h>

/* What is to be reported. */
struct facts {
    struct vl_stats stats;
    struct vl_residents residents;
};

static void take(struct facts *facts)
{
    vl_stats_take(&facts->stats);
    vl_residents_take(&facts->residents);
}

static void say_resident(struct vl_text *text, const struct facts *facts)
{
    const struct vl_resident *now = &facts->residents.process;
    vl_text_item(text, "valloc " VALLOC_VERSION ": peak ", facts->residents.peak,
                 " resident; now ");
    vl_text_item(text, "", now->all, ", ");
    vl_text_percent(text, now->huge, now->all);
    vl_text_str(text, " of it in huge pages; ");
    vl_text_counted(text, facts->stats.nodes, "node");
    vl_text_str(text, ", ");
    vl_text_counted(text, facts->stats.caches, "thread cache");
}

static void say_used(struct vl_text *text, const struct vl_stats *stats)
{
    vl_text_item(text, "\nvalloc: in use ", vl_stats_used(stats), ": small ");
    vl_text_item(text, "", stats->small_bytes, " in ");
    vl_text_counted(text, stats->small_blocks, "block");
    vl_text_item(text, ", runs ", stats->run_bytes, ", big ");
    vl_text_item(text, "", stats->big_bytes, " in ");
    vl_text_counted(text, stats->big_blocks, "block");
}

static void say_free(struct vl_text *text, const struct vl_stats *stats)
{
    vl_text_item(text, "\nvalloc: free: in caches ", stats->cached_bytes, ", in spans ");
    vl_text_item(text, "", stats->span_free_bytes, ", in empty regions ");
    vl_text_item(text, "", stats->regions_empty << VL_REGION_SHIFT, ", of big blocks ");
    vl_text_item(text, "", stats->big_kept_bytes, "; returned so far ");
    vl_text_item(text, "", stats->purged_bytes, "");
}

/* Huge pages that were meant to be there and are not. */
static void say_what_is_missing(struct vl_text *text, const struct vl_stats *stats)
{
    if (stats->promotions_refused != 0)
        vl_text_figure(text, " (", stats->promotions_refused, " refused)");
    if (stats->holds != 0) {
        vl_text_str(text, ", held back ");
        vl_text_counted(text, stats->holds, "time");
    }
    bool off = vl_options.hugepage_mode != VL_HUGEPAGE_NEVER &&
               vl_os->thp_mode() == VL_THP_MODE_NEVER;
    vl_text_str(text, off ? "; this machine has transparent huge pages switched off" : "");
}

static void say_regions(struct vl_text *text, const struct facts *facts)
{
    const struct vl_stats *stats = &facts->stats;
    vl_text_figure(text, "\nvalloc: regions of 2 MB: ", stats->regions_active, " active, ");
    vl_text_figure(text, "", stats->regions_empty, " empty, ");
    vl_text_figure(text, "", stats->regions_clean, " returned; huge pages: ");
    vl_text_figure(text, "", vl_resident_faults_avoided(&facts->residents.process),
                   " page faults avoided, ");
    vl_text_counted(text, stats->regions_small, "region");
    vl_text_figure(text, " still without, ", stats->promoted, " promoted");
    say_what_is_missing(text, stats);
}

static void say_pool(struct vl_text *text, const struct vl_stats *stats)
{
    if (!vl_hugetlb_wanted() && stats->hugetlb_bytes == 0)
        return;
    vl_text_item(text, "\nvalloc: hugetlb: ", stats->hugetlb_bytes, ", ");
    vl_text_counted(text, stats->hugetlb_refused, "fallback");
    if (vl_options.hugepage_mode != VL_HUGEPAGE_GIANT)
        return;
    vl_text_item(text, "; of it in pages of 1 GB ", stats->giant_bytes, ", ");
    vl_text_counted(text, stats->giant_refused, "fallback");
}

static void say_reserve(struct vl_text *text)
{
    struct vl_reserve_report report = vl_reserve_report();
    if (!report.asked)
        return;
    vl_text_item(text, "\nvalloc: reserve ", report.wished, "");
    if (!report.done) {
        vl_text_str(text, ": not needed so far");
        return;
    }
    vl_text_item(text, ", got ", report.got, " in ");
    vl_text_u64(text, report.ms);
    vl_text_str(text, " ms by ");
    vl_text_counted(text, report.threads, "thread");
    if (report.lack != VL_RESERVE_WHOLE) {
        vl_text_str(text, ": ");
        vl_text_str(text, vl_reserve_lack_text(report.lack));
    }
    if (vl_hugetlb_wanted())
        vl_text_item(text, ", unused ", vl_stock_left(), "");
}

static void say_limit(struct vl_text *text, const char *name, uint64_t limit)
{
    if (limit != UINT64_MAX)
        vl_text_item(text, name, limit, "");
}

static void say_limits(struct vl_text *text)
{
    struct vl_limits limits = vl_limits_now();
    if (limits.soft == UINT64_MAX && limits.hard == UINT64_MAX)
        return;
    vl_text_item(text, "\nvalloc: held ", limits.held, "");
    say_limit(text, ", soft limit ", limits.soft);
    say_limit(text, ", hard limit ", limits.hard);
    vl_text_str(text, ", ");
    vl_text_counted(text, limits.refusals, "refusal");
}

/* Why there is one heap, where there could be more. */
static void say_one_heap(struct vl_text *text)
{
    if (vl_topology.count > 1 || !vl_topology_has_several(VL_NUMA_AUTO))
        return;
    vl_text_str(text, "\nvalloc: one heap for several nodes: ");
    vl_text_str(text, vl_options.numa_mode == VL_NUMA_OFF ? "VALLOC_NUMA=off"
                                                          : "the memory policy is the user's");
}

void vl_report_print(int fd)
{
    char buffer[1536];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct facts facts;
    take(&facts);
    say_resident(&text, &facts);
    say_used(&text, &facts.stats);
    say_free(&text, &facts.stats);
    say_regions(&text, &facts);
    say_pool(&text, &facts.stats);
    say_reserve(&text);
    say_limits(&text);
    say_one_heap(&text);
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
    if (vl_topology.count > 1)
        vl_report_nodes(fd, &facts.residents);
    vl_report_places(fd);
}

void vl_report_hugepages(struct vl_text *text, const struct vl_holding *holding)
{
    struct facts facts;
    take(&facts);
    const struct vl_resident *now = &facts.residents.process;
    uint64_t pool = facts.stats.hugetlb_bytes;
    vl_text_item(text, "hp_malloc: ", vl_get(&holding->pages_used) << VL_PAGE_SHIFT, " in use of ");
    vl_text_item(text, "", vl_holding_bytes(holding), ", ");
    vl_text_counted(text, vl_get(&holding->big_blocks), "big block");
    vl_text_item(text, "\nhp_malloc: the process has ", pool, " of the kernel's pool (");
    vl_text_counted(text, facts.stats.hugetlb_refused, "fallback");
    vl_text_item(text, ") and ", now->huge > pool ? now->huge - pool : 0,
                 " in transparent huge pages, of ");
    vl_text_item(text, "", now->all, "\n");
}

void vl_report_at_exit(int fd)
{
    bool asked = vl_options.stats_pid == 0 || vl_options.stats_pid == (uint32_t)getpid();
    if (!asked || !vl_start())
        return;
    if (vl_options.stats_mode == VL_STATS_SUMMARY)
        vl_report_print(fd);
    else if (vl_options.stats_mode == VL_STATS_JSON)
        vl_report_print_json(fd);
}
