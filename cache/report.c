#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cache/report.h"

#include "cache/advice.h"
#include "cache/init.h"
#include "cache/reserve.h"
#include "cache/stats.h"
#include "numa/numa.h"

#include <unistd.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unversioned"
#endif

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

static void item(struct vl_text *text, const char *before, uint64_t bytes, const char *after)
{
    vl_text_str(text, before);
    vl_text_bytes(text, bytes);
    vl_text_str(text, after);
}

static void number(struct vl_text *text, const char *before, uint64_t value, const char *after)
{
    vl_text_str(text, before);
    vl_text_u64(text, value);
    vl_text_str(text, after);
}

static void counted(struct vl_text *text, uint64_t count, const char *noun)
{
    vl_text_u64(text, count);
    vl_text_char(text, ' ');
    vl_text_str(text, noun);
    vl_text_str(text, count == 1 ? "" : "s");
}

/* --- For people --- */

static void say_resident(struct vl_text *text, const struct facts *facts)
{
    const struct vl_resident *now = &facts->residents.process;
    item(text, "valloc " PACKAGE_VERSION ": peak ", facts->residents.peak, " resident; now ");
    item(text, "", now->all, ", ");
    vl_text_percent(text, now->huge, now->all);
    vl_text_str(text, " of it in huge pages; ");
    counted(text, facts->stats.nodes, "node");
    vl_text_str(text, ", ");
    counted(text, facts->stats.caches, "thread cache");
}

static void say_used(struct vl_text *text, const struct vl_stats *stats)
{
    item(text, "\nvalloc: in use ", vl_stats_used(stats), ": small ");
    item(text, "", stats->small_bytes, " in ");
    counted(text, stats->small_blocks, "block");
    item(text, ", runs ", stats->run_bytes, ", big ");
    item(text, "", stats->big_bytes, " in ");
    counted(text, stats->big_blocks, "block");
}

static void say_free(struct vl_text *text, const struct vl_stats *stats)
{
    item(text, "\nvalloc: free: in caches ", stats->cached_bytes, ", in spans ");
    item(text, "", stats->span_free_bytes, ", in empty regions ");
    item(text, "", stats->regions_empty << VL_REGION_SHIFT, ", of big blocks ");
    item(text, "", stats->big_kept_bytes, "; returned so far ");
    item(text, "", stats->purged_bytes, "");
}

/* Huge pages that were meant to be there and are not. */
static void say_what_is_missing(struct vl_text *text, const struct vl_stats *stats)
{
    if (stats->promotions_refused != 0)
        number(text, " (", stats->promotions_refused, " refused)");
    if (stats->holds != 0) {
        vl_text_str(text, ", held back ");
        counted(text, stats->holds, "time");
    }
    bool off = vl_options.hugepage_mode != VL_HUGEPAGE_NEVER &&
               vl_os->thp_mode() == VL_THP_MODE_NEVER;
    vl_text_str(text, off ? "; this machine has transparent huge pages switched off" : "");
}

static void say_regions(struct vl_text *text, const struct facts *facts)
{
    const struct vl_stats *stats = &facts->stats;
    number(text, "\nvalloc: regions of 2 MB: ", stats->regions_active, " active, ");
    number(text, "", stats->regions_empty, " empty, ");
    number(text, "", stats->regions_clean, " returned; huge pages: ");
    number(text, "", vl_resident_faults_avoided(&facts->residents.process),
           " page faults avoided, ");
    counted(text, stats->regions_small, "region");
    number(text, " still without, ", stats->promoted, " promoted");
    say_what_is_missing(text, stats);
}

static void say_pool(struct vl_text *text, const struct vl_stats *stats)
{
    if (!vl_hugetlb_wanted() && stats->hugetlb_bytes == 0)
        return;
    item(text, "\nvalloc: hugetlb: ", stats->hugetlb_bytes, ", ");
    counted(text, stats->hugetlb_refused, "fallback");
    if (vl_options.hugepage_mode != VL_HUGEPAGE_GIANT)
        return;
    item(text, "; of it in pages of 1 GB ", stats->giant_bytes, ", ");
    counted(text, stats->giant_refused, "fallback");
}

static void say_reserve(struct vl_text *text)
{
    struct vl_reserve_report report = vl_reserve_report();
    if (!report.asked)
        return;
    item(text, "\nvalloc: reserve ", report.wished, "");
    if (!report.done) {
        vl_text_str(text, ": not needed so far");
        return;
    }
    item(text, ", got ", report.got, " in ");
    vl_text_u64(text, report.ms);
    vl_text_str(text, " ms by ");
    counted(text, report.threads, "thread");
    if (report.lack != VL_RESERVE_WHOLE) {
        vl_text_str(text, ": ");
        vl_text_str(text, vl_reserve_lack_text(report.lack));
    }
    if (vl_hugetlb_wanted())
        item(text, ", unused ", vl_stock_left(), "");
}

static void say_limit(struct vl_text *text, const char *name, uint64_t limit)
{
    if (limit != UINT64_MAX)
        item(text, name, limit, "");
}

static void say_limits(struct vl_text *text)
{
    struct vl_limits limits = vl_limits_now();
    if (limits.soft == UINT64_MAX && limits.hard == UINT64_MAX)
        return;
    item(text, "\nvalloc: held ", limits.held, "");
    say_limit(text, ", soft limit ", limits.soft);
    say_limit(text, ", hard limit ", limits.hard);
    vl_text_str(text, ", ");
    counted(text, limits.refusals, "refusal");
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

static void print_node(int fd, unsigned node, const struct vl_residents *residents)
{
    char buffer[256];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct vl_node_stats stats;
    vl_stats_take_node(&stats, node, residents);
    number(&text, "valloc: node ", vl_topology.ids[node], ": ");
    item(&text, "", stats.resident.all, " resident, ");
    vl_text_percent(&text, stats.resident.huge, stats.resident.all);
    number(&text, " of it in huge pages; regions: ", stats.regions_active, " active, ");
    number(&text, "", stats.regions_empty, " empty, ");
    item(&text, "", stats.purged_bytes, " returned so far");
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
}

/* What is in memory of its heap, and lies where it should, or not. */
static void say_place(struct vl_text *text, const struct vl_census *census, unsigned node)
{
    const struct vl_census_node *place = &census->nodes[node];
    if (!census->known) {
        vl_text_str(text, ", what lies on other nodes is unknown");
        return;
    }
    item(text, ", ", place->away, " (");
    vl_text_percent(text, place->away, place->held);
    item(text, ") of its heap on other nodes; here ", place->here, ", ");
    item(text, "", place->here_big, " of it in big blocks");
}

static void print_audited(int fd, const struct vl_audit *audit, unsigned node)
{
    char buffer[384];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    const struct vl_audit_node *n = &audit->nodes[node];
    number(&text, "valloc: node ", (uint64_t)n->id, ": in use ");
    item(&text, "", n->used_bytes, "");
    say_place(&text, &audit->census, node);
    vl_text_str(&text, "; ");
    counted(&text, n->threads, "thread");
    number(&text, ", ", n->rehomed, " came from other nodes; ");
    counted(&text, n->fallbacks, "fallback");
    number(&text, "; ", n->freed_elsewhere, " of its blocks freed on other nodes");
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
}

/* Pairs of nodes that are told of, those with the most frees between them. */
enum { PAIRS_TOLD = 8 };

static void print_traffic(int fd, const struct vl_audit *audit)
{
    char buffer[1024];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct vl_traffic_pair pairs[PAIRS_TOLD];
    unsigned count = vl_traffic_largest(pairs, PAIRS_TOLD);
    number(&text, "valloc: frees that no cache kept: ", audit->freed, ", ");
    vl_text_percent(&text, audit->freed_remotely, audit->freed);
    vl_text_str(&text, " of them remote");
    for (unsigned i = 0; i < count; i++) {
        number(&text, i == 0 ? ": " : ", ", pairs[i].blocks, " in ");
        number(&text, "", pairs[i].batches, " batches on node ");
        number(&text, "", vl_topology.ids[pairs[i].from], " of node ");
        number(&text, "", vl_topology.ids[pairs[i].to], "");
    }
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
}

static void print_advice(int fd, const struct vl_audit *audit)
{
    char buffer[256];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    vl_text_str(&text, "valloc: advice: ");
    if (vl_advise(audit, &text) == VL_FINDING_NONE)
        return;
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
}

static void print_nodes(int fd, const struct vl_residents *residents)
{
    struct vl_audit audit;
    vl_audit_take(&audit);
    for (unsigned node = 0; node < audit.count; node++) {
        print_node(fd, node, residents);
        print_audited(fd, &audit, node);
    }
    print_traffic(fd, &audit);
    print_advice(fd, &audit);
}

/* Whether a slice is the first of its place. */
static bool begins_place(const struct vl_slice *slice)
{
    if (slice->kind != VL_SLICE_PLACED)
        return false;
    for (const struct vl_slice *before = vl_slices; before < slice; before++)
        if (before->kind == VL_SLICE_PLACED && before->node == slice->node)
            return false;
    return true;
}

static void print_place(int fd, unsigned place)
{
    char buffer[160];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct vl_place_use use = vl_place_use_at(place);
    vl_text_str(&text, "valloc: big blocks, ");
    vl_placement_name(place, &text);
    item(&text, ": in use ", use.bytes, " in ");
    counted(&text, use.blocks, "block");
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
}

static void print_refusals(int fd)
{
    char buffer[80];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    uint64_t refusals = vl_get(&vl_slice_refusals);
    if (refusals == 0)
        return;
    number(&text, "valloc: wishes for nodes that the kernel has refused: ", refusals, "\n");
    vl_text_write(&text, fd);
}

static void print_idle(int fd, const char *name, const char *reason)
{
    char buffer[128];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    vl_text_str(&text, "valloc: ");
    vl_text_str(&text, name);
    vl_text_str(&text, " has no effect: ");
    vl_text_str(&text, reason);
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
}

/* "hbm none", "cxl 2 3" */
static void put_tier(struct vl_text *text, enum vl_tier tier)
{
    const struct vl_node_mask *nodes = vl_placement_tier(tier);
    bool any = false;
    vl_text_str(text, vl_tier_name(tier));
    for (unsigned node = 0; node < VL_NODES_MAX; node++)
        if (vl_node_mask_has(nodes, node)) {
            number(text, " ", node, "");
            any = true;
        }
    vl_text_str(text, any ? "" : " none");
}

static void print_tiers(int fd)
{
    char buffer[256];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    vl_text_str(&text, "valloc: nodes without processors: ");
    put_tier(&text, VL_TIER_HBM);
    vl_text_str(&text, ", ");
    put_tier(&text, VL_TIER_CXL);
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
}

void vl_report_policy(int fd)
{
    const char *reason = vl_placement_idle();
    if (reason != NULL && vl_options.large_policy != VL_LARGE_FIRST_TOUCH)
        print_idle(fd, "VALLOC_LARGE_POLICY", reason);
    if (reason != NULL && vl_options.tier != NULL)
        print_idle(fd, "VALLOC_TIER", reason);
    if (vl_options.tier != NULL && vl_topology.bind)
        print_tiers(fd);
}

static void print_places(int fd)
{
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++)
        if (begins_place(&vl_slices[i]))
            print_place(fd, vl_slices[i].node);
    print_refusals(fd);
    vl_report_policy(fd);
}

void vl_report_print(int fd)
{
    char buffer[1024];
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
        print_nodes(fd, &facts.residents);
    print_places(fd);
}

void vl_report_hugepages(struct vl_text *text, const struct vl_holding *holding)
{
    struct facts facts;
    take(&facts);
    const struct vl_resident *now = &facts.residents.process;
    uint64_t pool = facts.stats.hugetlb_bytes;
    item(text, "hp_malloc: ", vl_get(&holding->pages_used) << VL_PAGE_SHIFT, " in use of ");
    item(text, "", vl_holding_bytes(holding), ", ");
    counted(text, vl_get(&holding->big_blocks), "big block");
    item(text, "\nhp_malloc: the process has ", pool, " of the kernel's pool (");
    counted(text, facts.stats.hugetlb_refused, "fallback");
    item(text, ") and ", now->huge > pool ? now->huge - pool : 0, " in transparent huge pages, of ");
    item(text, "", now->all, "\n");
}

/* --- For programs --- */

struct figure {
    const char *name;
    uint64_t value;
};

static void put_figures(struct vl_text *text, const struct figure *figures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        vl_text_str(text, i == 0 ? "\"" : ", \"");
        vl_text_str(text, figures[i].name);
        vl_text_str(text, "\": ");
        vl_text_u64(text, figures[i].value);
    }
}

#define PUT_FIGURES(text, ...)                                                              \
    put_figures((text), (const struct figure[]){__VA_ARGS__},                               \
                sizeof((const struct figure[]){__VA_ARGS__}) / sizeof(struct figure))

static uint64_t limit_or_zero(uint64_t limit)
{
    return limit == UINT64_MAX ? 0 : limit;
}

static void put_process(struct vl_text *text, const struct facts *facts)
{
    const struct vl_stats *s = &facts->stats;
    const struct vl_resident *now = &facts->residents.process;
    struct vl_limits limits = vl_limits_now();
    struct vl_reserve_report reserve = vl_reserve_report();
    PUT_FIGURES(text, {"peak_resident_bytes", facts->residents.peak}, {"resident_bytes", now->all},
                {"huge_bytes", now->huge}, {"used_bytes", vl_stats_used(s)},
                {"small_bytes", s->small_bytes}, {"small_blocks", s->small_blocks},
                {"run_bytes", s->run_bytes}, {"big_bytes", s->big_bytes},
                {"big_blocks", s->big_blocks}, {"cached_bytes", s->cached_bytes},
                {"cached_blocks", s->cached_blocks}, {"span_free_bytes", s->span_free_bytes},
                {"big_kept_bytes", s->big_kept_bytes}, {"regions_active", s->regions_active},
                {"regions_empty", s->regions_empty}, {"regions_clean", s->regions_clean},
                {"regions_small", s->regions_small}, {"promoted", s->promoted},
                {"promotions_refused", s->promotions_refused}, {"holds", s->holds},
                {"faults_avoided", vl_resident_faults_avoided(now)}, {"heap_bytes", s->heap_bytes},
                {"purged_bytes", s->purged_bytes}, {"hugetlb_bytes", s->hugetlb_bytes},
                {"hugetlb_fallbacks", s->hugetlb_refused}, {"giant_bytes", s->giant_bytes},
                {"giant_fallbacks", s->giant_refused}, {"reserve_asked", reserve.wished},
                {"reserve_got", reserve.got}, {"held_bytes", limits.held},
                {"limit_soft", limit_or_zero(limits.soft)},
                {"limit_hard", limit_or_zero(limits.hard)}, {"refusals", limits.refusals},
                {"node_refusals", vl_get(&vl_slice_refusals)}, {"thread_caches", s->caches},
                {"nodes", s->nodes});
}

static void put_audit(struct vl_text *text, const struct vl_audit *audit)
{
    vl_text_str(text, ", ");
    PUT_FIGURES(text, {"frees", audit->freed}, {"frees_remote", audit->freed_remotely},
                {"placement_known", audit->census.known});
    vl_text_str(text, ", \"advice\": \"");
    vl_advise(audit, text);
    vl_text_char(text, '"');
}

static void put_audited(struct vl_text *text, const struct vl_audit *audit, unsigned node)
{
    const struct vl_audit_node *n = &audit->nodes[node];
    const struct vl_census_node *place = &audit->census.nodes[node];
    vl_text_str(text, ", ");
    PUT_FIGURES(text, {"used_bytes", n->used_bytes}, {"held_bytes", place->held},
                {"away_bytes", place->away}, {"here_bytes", place->here},
                {"here_big_bytes", place->here_big}, {"threads", n->threads},
                {"rehomed", n->rehomed}, {"fallbacks", n->fallbacks},
                {"freed_elsewhere", n->freed_elsewhere}, {"freed_of_others", n->freed_of_others});
}

static void put_node(struct vl_text *text, unsigned node, const struct vl_residents *residents,
                     const struct vl_audit *audit)
{
    struct vl_node_stats s;
    vl_stats_take_node(&s, node, residents);
    vl_text_str(text, node == 0 ? "{" : ", {");
    PUT_FIGURES(text, {"node", vl_topology.ids[node]}, {"resident_bytes", s.resident.all},
                {"huge_bytes", s.resident.huge}, {"regions_active", s.regions_active},
                {"regions_empty", s.regions_empty}, {"regions_clean", s.regions_clean},
                {"regions_small", s.regions_small}, {"purged_bytes", s.purged_bytes});
    put_audited(text, audit, node);
    vl_text_char(text, '}');
}

static void put_place(struct vl_text *text, unsigned place, bool first)
{
    struct vl_place_use use = vl_place_use_at(place);
    vl_text_str(text, first ? "{\"place\": \"" : ", {\"place\": \"");
    vl_placement_name(place, text);
    vl_text_str(text, "\", ");
    PUT_FIGURES(text, {"big_bytes", use.bytes}, {"big_blocks", use.blocks});
    vl_text_char(text, '}');
}

static void put_places(struct vl_text *text, size_t room)
{
    bool first = true;
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++)
        if (begins_place(&vl_slices[i]) && text->len < room) {
            put_place(text, vl_slices[i].node, first);
            first = false;
        }
}

void vl_report_print_json(int fd)
{
    /* A node takes up to 600 bytes, a place 100; with more of them and large figures, some are left out. */
    char buffer[32768];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct facts facts;
    struct vl_audit audit;
    take(&facts);
    vl_audit_take(&audit);
    vl_text_str(&text, "{\"valloc\": \"" PACKAGE_VERSION "\", ");
    put_process(&text, &facts);
    put_audit(&text, &audit);
    vl_text_str(&text, ", \"per_node\": [");
    for (unsigned node = 0; node < vl_topology.count; node++)
        if (text.len < sizeof buffer - 1024)
            put_node(&text, node, &facts.residents, &audit);
    vl_text_str(&text, "], \"per_place\": [");
    put_places(&text, sizeof buffer - 256);
    vl_text_str(&text, "]}");
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
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
