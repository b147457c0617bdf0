/* numa_audit - valloc_numa_audit of valloc.h: an audit in the caller's structs, whatever version they are of. */
#include "valloc.h"

#include "cache/advice.h"
#include "cache/init.h"

#include <errno.h>
#include <string.h>

enum { TOLD = offsetof(struct valloc_numa_audit, node_count) };

/* What a caller does not know of yet is 0. */
static bool read_request(const struct valloc_numa_audit *given, struct valloc_numa_audit *audit)
{
    *audit = (struct valloc_numa_audit){0};
    if (given == NULL || given->size < TOLD)
        return false;
    memcpy(audit, given, TOLD);
    return (audit->node == NULL || audit->node_size >= sizeof audit->node->node) &&
           (audit->flow == NULL || audit->flow_size >= sizeof audit->flow->blocks);
}

static struct valloc_numa_node node_of(const struct vl_audit *from, unsigned node)
{
    const struct vl_audit_node *n = &from->nodes[node];
    const struct vl_census_node *census = &from->census.nodes[node];
    return (struct valloc_numa_node){
        .node = n->id,
        .threads = n->threads,
        .used = n->used_bytes,
        .held = census->held,
        .away = census->away,
        .away_node = from->census.known ? census->away_node : -1,
        .here = census->here,
        .here_big = census->here_big,
        .freed_elsewhere = n->freed_elsewhere,
        .freed_of_others = n->freed_of_others,
        .rehomed = n->rehomed,
        .fallbacks = n->fallbacks,
    };
}

/* The nth element of an array whose elements are larger than ours, or smaller. */
static void put_element(void *array, size_t nth, size_t size, const void *ours, size_t our_size)
{
    char *place = (char *)array + nth * size;
    memset(place, 0, size);
    memcpy(place, ours, vl_min(size, our_size));
}

static void put_nodes(const struct valloc_numa_audit *audit, const struct vl_audit *from)
{
    for (unsigned i = 0; audit->node != NULL && i < from->count && i < audit->node_max; i++) {
        struct valloc_numa_node node = node_of(from, i);
        put_element(audit->node, i, audit->node_size, &node, sizeof node);
    }
}

static void put_flows(const struct valloc_numa_audit *audit, const struct vl_audit *from)
{
    unsigned count = (unsigned)vl_min(from->count, audit->node_max);
    for (unsigned i = 0; audit->flow != NULL && i < count; i++)
        for (unsigned k = 0; k < count; k++) {
            const struct vl_traffic_count *sum = &vl_traffic[i].to[k];
            struct valloc_numa_flow flow = {vl_get(&sum->blocks), vl_get(&sum->batches)};
            if (i == k) /* what has no cache to go to is between no nodes */
                flow = (struct valloc_numa_flow){0, 0};
            put_element(audit->flow, (size_t)i * audit->node_max + k, audit->flow_size, &flow,
                        sizeof flow);
        }
}

static void put_sums(struct valloc_numa_audit *audit, const struct vl_audit *from)
{
    struct vl_text advice = vl_text_on(audit->advice, sizeof audit->advice);
    audit->node_count = from->count;
    audit->known = from->census.known;
    audit->pages_asked = from->census.pages_asked;
    audit->pages_found = from->census.pages_found;
    audit->frees = from->freed;
    audit->frees_remote = from->freed_remotely;
    audit->finding = (int)vl_advise(from, &advice);
}

int valloc_numa_audit(struct valloc_numa_audit *given)
{
    struct valloc_numa_audit audit;
    struct vl_audit from = {.count = 0};
    if (!read_request(given, &audit)) {
        errno = EINVAL;
        return -1;
    }
    if (vl_start())
        vl_audit_take(&from);
    put_nodes(&audit, &from);
    put_flows(&audit, &from);
    put_sums(&audit, &from);
    size_t ours = vl_min(given->size, sizeof audit);
    memcpy((char *)given + TOLD, (char *)&audit + TOLD, ours - TOLD);
    memset((char *)given + ours, 0, given->size - ours);
    return 0;
}
