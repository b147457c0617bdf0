#include "cache/audit.h"

#include "cache/fork.h"
#include "cache/stats.h"
#include "cache/thread.h"

#include <string.h>

/* Each count is read once: what is remote is part of all, whatever goes on meanwhile. */
static void take_pair(struct vl_audit *audit, unsigned from, unsigned to)
{
    uint64_t blocks = vl_get(&vl_traffic[from].to[to].blocks);
    audit->freed += blocks;
    if (from == to)
        return;
    audit->freed_remotely += blocks;
    audit->nodes[from].freed_of_others += blocks;
    audit->nodes[to].freed_elsewhere += blocks;
}

static void take_traffic(struct vl_audit *audit)
{
    for (unsigned from = 0; from < audit->count; from++) {
        audit->nodes[from].rehomed = vl_get(&vl_traffic[from].rehomed);
        audit->nodes[from].fallbacks = vl_get(&vl_traffic[from].fallbacks);
        for (unsigned to = 0; to < audit->count; to++)
            take_pair(audit, from, to);
    }
    vl_traffic_largest(&audit->worst, 1);
}

static void take_caches(struct vl_audit *audit)
{
    for (uint32_t id = 1; id < vl_pool_end(&vl_cache_pool); id++) {
        const struct vl_cache *cache = vl_pool_item(&vl_cache_pool, id);
        uint8_t state = vl_get_acquire(&cache->state);
        audit->freed += vl_get(&cache->passed_blocks);
        audit->caches += state == VL_CACHE_OWNED || state == VL_CACHE_PARKED;
        if (state == VL_CACHE_OWNED) {
            audit->nodes[vl_peek(&cache->node)].threads++;
            audit->threads++;
        }
    }
}

static void take_machine(struct vl_audit_node *node)
{
    if (vl_os->node_memory((unsigned)node->id, &node->memory) != 0)
        node->memory = (struct vl_node_memory){0, 0, 0};
}

static void take_several(struct vl_audit *audit)
{
    take_traffic(audit);
    vl_census_take(&audit->census);
    audit->balances = vl_os->balances();
    for (unsigned node = 0; node < audit->count; node++) {
        audit->nodes[node].id = vl_topology.ids[node];
        take_machine(&audit->nodes[node]);
    }
}

void vl_audit_take(struct vl_audit *audit)
{
    uint64_t used[VL_NODE_INDEX_MAX];
    memset(audit, 0, sizeof *audit);
    vl_fork_notice();
    enum vl_rcu_section section = vl_rcu_read();
    audit->count = vl_topology.count;
    audit->nodes[0].id = -1;
    take_caches(audit);
    vl_stats_used_by_node(used);
    for (unsigned node = 0; node < audit->count; node++)
        audit->nodes[node].used_bytes = used[node];
    if (audit->count > 1)
        take_several(audit);
    vl_rcu_done(section);
}
