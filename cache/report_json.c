/* What VALLOC_STATS=json prints: one object, on one line. */
#include "cache/report.h"

#include "valloc.h"

#include "cache/advice.h"
#include "cache/reserve.h"
#include "cache/stats.h"
#include "numa/numa.h"

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

#define PUT_FIGURES(text, ...)                                \
    put_figures((text), (const struct figure[]){__VA_ARGS__}, \
                sizeof((const struct figure[]){__VA_ARGS__}) / sizeof(struct figure))

static uint64_t limit_or_zero(uint64_t limit)
{
    return limit == UINT64_MAX ? 0 : limit;
}

static void put_process(struct vl_text *text, const struct vl_stats *s,
                        const struct vl_residents *residents)
{
    const struct vl_resident *now = &residents->process;
    struct vl_limits limits = vl_limits_now();
    struct vl_reserve_report reserve = vl_reserve_report();
    PUT_FIGURES(text, {"peak_resident_bytes", residents->peak}, {"resident_bytes", now->all},
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

/* A node takes up to 700 bytes, a place 150. */
enum { ROOM = 1024 };

/* What has no room beside the next part goes first: with many nodes the line is written in pieces. */
static void make_room(struct vl_text *text, int fd)
{
    if (text->len < text->size - ROOM)
        return;
    vl_text_write(text, fd);
    *text = vl_text_on(text->buf, text->size);
}

static void put_nodes(struct vl_text *text, int fd, const struct vl_residents *residents,
                      const struct vl_audit *audit)
{
    for (unsigned node = 0; node < audit->count; node++) {
        make_room(text, fd);
        put_node(text, node, residents, audit);
    }
}

static void put_places(struct vl_text *text, int fd)
{
    bool first = true;
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++)
        if (vl_place_begins(&vl_slices[i])) {
            make_room(text, fd);
            put_place(text, vl_slices[i].node, first);
            first = false;
        }
}

void vl_report_print_json(int fd)
{
    char buffer[16384];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct vl_stats stats;
    struct vl_residents residents;
    struct vl_audit audit;
    vl_stats_take(&stats);
    vl_residents_take(&residents);
    vl_audit_take(&audit);
    vl_text_str(&text, "{\"valloc\": \"" VALLOC_VERSION "\", ");
    put_process(&text, &stats, &residents);
    put_audit(&text, &audit);
    vl_text_str(&text, ", \"per_node\": [");
    put_nodes(&text, fd, &residents, &audit);
    vl_text_str(&text, "], \"per_place\": [");
    put_places(&text, fd);
    vl_text_str(&text, "]}");
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
}
