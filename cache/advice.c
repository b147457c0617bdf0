#include "cache/advice.h"

/* Each share is one over the number, or per cent. */
enum {
    AWAY_SHARE = 10, /* of a heap's memory, on other nodes, */
    FULL_SHARE = 32, /* of a node's memory: with less free, or less than FULL_MIN, it is full */
    FILES_SHARE = 8, /* of a full node's memory: then it is files that fill it */
    FALLBACKS_MIN = 1,
    MOVES_MIN = 16, /* of threads, and */
    MOVES_PER_CACHE = 2,
    REMOTE_PERCENT = 20, /* of the frees that no cache keeps, and */
    REMOTE_MIN = 10000,
    ONE_SIDED_PERCENT = 90, /* of first-touch blocks, where fewer than half of the threads live */
};

#define FULL_MIN      ((uint64_t)16 << 20)
#define AWAY_MIN      ((uint64_t)4 << 20)
#define ONE_SIDED_MIN ((uint64_t)64 << 20)

/* A node of the kernel's, or some other one. */
static void node_name(struct vl_text *text, int id)
{
    if (id >= 0)
        vl_text_figure(text, "node ", (uint64_t)id, "");
    else
        vl_text_str(text, "nodes that are not allowed");
}

/* --- Memory that is not where it should be --- */

static bool is_full(const struct vl_audit_node *node)
{
    return node->memory.free_bytes < vl_max(node->memory.bytes / FULL_SHARE, FULL_MIN);
}

/* The kernel rather takes from the next node than drop them. */
static bool is_full_of_files(const struct vl_audit_node *node)
{
    return is_full(node) && node->memory.file_bytes >= node->memory.bytes / FILES_SHARE;
}

static void explain_away(struct vl_text *text, const struct vl_audit_node *node)
{
    if (node->memory.bytes == 0) {
        vl_text_str(text, ": see numastat(8)");
    } else if (is_full_of_files(node)) {
        vl_text_figure(text, ": node ", (uint64_t)node->id, " is full");
        vl_text_item(text, ", ", node->memory.file_bytes, "");
        vl_text_item(text, " of ", node->memory.bytes, " hold cached files");
        vl_text_str(text, ": see vm.zone_reclaim_mode and vm.drop_caches");
    } else if (is_full(node)) {
        vl_text_figure(text, ": node ", (uint64_t)node->id, " is full");
        vl_text_item(text, " (", node->memory.free_bytes, "");
        vl_text_item(text, " of ", node->memory.bytes, " free)");
        vl_text_str(text, ", let fewer threads or processes allocate there");
    } else {
        vl_text_figure(text, ", though node ", (uint64_t)node->id, "");
        vl_text_item(text, " has ", node->memory.free_bytes, " free");
        vl_text_str(text,
                    ": it was full then, or they were moved; migratepages(8) brings them back");
    }
}

/* By how much, if that is worth a word; else 0. */
static uint64_t much_away(const struct vl_census_node *node)
{
    return node->away >= AWAY_MIN && node->away >= node->held / AWAY_SHARE ? node->away : 0;
}

static bool find_away(const struct vl_audit *audit, struct vl_text *text)
{
    unsigned worst = 0;
    const struct vl_census_node *nodes = audit->census.nodes;
    for (unsigned node = 1; node < audit->count; node++)
        if (much_away(&nodes[node]) > much_away(&nodes[worst]))
            worst = node;
    if (much_away(&nodes[worst]) == 0)
        return false;
    vl_text_item(text, "", nodes[worst].away, "");
    vl_text_figure(text, " of node ", (uint64_t)audit->nodes[worst].id, "'s heap lie on ");
    node_name(text, nodes[worst].away_node);
    explain_away(text, &audit->nodes[worst]);
    return true;
}

static bool find_fallbacks(const struct vl_audit *audit, struct vl_text *text)
{
    unsigned worst = 0;
    for (unsigned node = 1; node < audit->count; node++)
        if (audit->nodes[node].fallbacks > audit->nodes[worst].fallbacks)
            worst = node;
    if (audit->nodes[worst].fallbacks < FALLBACKS_MIN)
        return false;
    vl_text_figure(text, "the heap of node ", (uint64_t)audit->nodes[worst].id, "");
    vl_text_figure(text, " could not grow, and took from other nodes ",
                   audit->nodes[worst].fallbacks,
                   " times: see ulimit -v, ulimit -d, vm.overcommit_memory and VALLOC_LIMIT_HARD");
    return true;
}

/* --- Threads that are not where they should be --- */

/* Of big blocks for which nobody has named a place. */
static uint64_t free_bytes(const struct vl_audit *audit)
{
    uint64_t sum = 0;
    for (unsigned node = 0; node < audit->count; node++)
        sum += audit->census.nodes[node].here_free;
    return sum;
}

static bool find_moving(const struct vl_audit *audit, struct vl_text *text)
{
    uint64_t moves = 0;
    for (unsigned node = 0; node < audit->count; node++)
        moves += audit->nodes[node].rehomed;
    if (moves < MOVES_MIN || moves < MOVES_PER_CACHE * audit->caches)
        return false;
    vl_text_figure(text, "threads have moved to another node ", moves,
                   " times, and left their memory");
    if (audit->balances && free_bytes(audit) != 0)
        vl_text_str(text, ", which the kernel moves after them (numa_balancing)");
    vl_text_str(text, ": bind threads, see valloc(7)");
    return true;
}

static bool find_remote(const struct vl_audit *audit, struct vl_text *text)
{
    if (audit->freed_remotely < REMOTE_MIN ||
        audit->freed_remotely * 100 < audit->freed * REMOTE_PERCENT)
        return false;
    vl_text_percent(text, audit->freed_remotely, audit->freed);
    vl_text_figure(text, " of frees are remote, most of them on node ",
                   (uint64_t)audit->nodes[audit->worst.from].id, "");
    vl_text_figure(text, " of blocks of node ", (uint64_t)audit->nodes[audit->worst.to].id,
                   ": bind threads that share blocks to one node, see valloc(7)");
    return true;
}

static bool find_one_sided(const struct vl_audit *audit, struct vl_text *text)
{
    unsigned most = 0, settled = 0;
    uint64_t sum = free_bytes(audit);
    const struct vl_census_node *nodes = audit->census.nodes;
    for (unsigned node = 0; node < audit->count; node++) {
        most = nodes[node].here_free > nodes[most].here_free ? node : most;
        settled += audit->nodes[node].threads != 0;
    }
    if (sum < ONE_SIDED_MIN || nodes[most].here_free * 100 < sum * ONE_SIDED_PERCENT ||
        settled < 2 || 2 * audit->nodes[most].threads >= audit->threads)
        return false;
    vl_text_percent(text, nodes[most].here_free, sum);
    vl_text_item(text, " of ", sum, " in big blocks lie");
    vl_text_figure(text, " on node ", (uint64_t)audit->nodes[most].id, "");
    vl_text_figure(text, ", threads run on ", settled,
                   " nodes: let each thread write first what it will use, see valloc(7)");
    return true;
}

enum vl_finding vl_advise(const struct vl_audit *audit, struct vl_text *text)
{
    return audit->count <= 1             ? VL_FINDING_NONE
           : find_away(audit, text)      ? VL_FINDING_AWAY
           : find_fallbacks(audit, text) ? VL_FINDING_FALLBACKS
           : find_moving(audit, text)    ? VL_FINDING_MOVING
           : find_remote(audit, text)    ? VL_FINDING_REMOTE
           : find_one_sided(audit, text) ? VL_FINDING_ONE_SIDED
                                         : VL_FINDING_NONE;
}
