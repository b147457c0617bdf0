/* The lines of a summary that are about nodes: their heaps, frees between them, places of big blocks. */
#include "cache/report.h"

#include "cache/advice.h"
#include "cache/stats.h"
#include "numa/numa.h"

/* --- Heaps of nodes --- */

static void print_node(int fd, unsigned node, const struct vl_residents *residents)
{
    char buffer[256];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct vl_node_stats stats;
    vl_stats_take_node(&stats, node, residents);
    vl_text_figure(&text, "valloc: node ", vl_topology.ids[node], ": ");
    vl_text_item(&text, "", stats.resident.all, " resident, ");
    vl_text_percent(&text, stats.resident.huge, stats.resident.all);
    vl_text_figure(&text, " of it in huge pages; regions: ", stats.regions_active, " active, ");
    vl_text_figure(&text, "", stats.regions_empty, " empty, ");
    vl_text_item(&text, "", stats.purged_bytes, " returned so far");
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
    vl_text_item(text, ", ", place->away, " (");
    vl_text_percent(text, place->away, place->held);
    vl_text_item(text, ") of its heap on other nodes; here ", place->here, ", ");
    vl_text_item(text, "", place->here_big, " of it in big blocks");
}

static void print_audited(int fd, const struct vl_audit *audit, unsigned node)
{
    char buffer[384];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    const struct vl_audit_node *n = &audit->nodes[node];
    vl_text_figure(&text, "valloc: node ", (uint64_t)n->id, ": in use ");
    vl_text_item(&text, "", n->used_bytes, "");
    say_place(&text, &audit->census, node);
    vl_text_str(&text, "; ");
    vl_text_counted(&text, n->threads, "thread");
    vl_text_figure(&text, ", ", n->rehomed, " came from other nodes; ");
    vl_text_counted(&text, n->fallbacks, "fallback");
    vl_text_figure(&text, "; ", n->freed_elsewhere, " of its blocks freed on other nodes");
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
    vl_text_figure(&text, "valloc: frees that no cache kept: ", audit->freed, ", ");
    vl_text_percent(&text, audit->freed_remotely, audit->freed);
    vl_text_str(&text, " of them remote");
    for (unsigned i = 0; i < count; i++) {
        vl_text_figure(&text, i == 0 ? ": " : ", ", pairs[i].blocks, " in ");
        vl_text_figure(&text, "", pairs[i].batches, " batches on node ");
        vl_text_figure(&text, "", vl_topology.ids[pairs[i].from], " of node ");
        vl_text_figure(&text, "", vl_topology.ids[pairs[i].to], "");
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

void vl_report_nodes(int fd, const struct vl_residents *residents)
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

/* --- Places --- */

static void print_place(int fd, unsigned place)
{
    char buffer[160];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct vl_place_use use = vl_place_use_at(place);
    vl_text_str(&text, "valloc: big blocks, ");
    vl_placement_name(place, &text);
    vl_text_item(&text, ": in use ", use.bytes, " in ");
    vl_text_counted(&text, use.blocks, "block");
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
    vl_text_figure(&text, "valloc: wishes for nodes that the kernel has refused: ", refusals, "\n");
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
            vl_text_figure(text, " ", node, "");
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

void vl_report_places(int fd)
{
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++)
        if (vl_place_begins(&vl_slices[i]))
            print_place(fd, vl_slices[i].node);
    print_refusals(fd);
    vl_report_policy(fd);
}
