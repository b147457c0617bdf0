#include "numa/tier.h"

#include "numa/topology.h"

const char *vl_tier_root = "";

/* Numbers of the kernel's tiers that are looked for: DRAM is 4, and what takes five times as long 22. */
enum { KERNEL_TIERS = 64 };

const char *vl_tier_name(enum vl_tier tier)
{
    static const char names[VL_TIERS][4] = {"hbm", "cxl"};
    return names[tier];
}

/* --- Files --- */

enum { PATH_SIZE = 256, FILE_SIZE = 1024 };

/* The number in a path is between `before` and `after`. "" if there is no such file. */
static void read_file(char text[FILE_SIZE], const char *before, unsigned number, const char *after)
{
    char buffer[PATH_SIZE];
    struct vl_text path = vl_text_on(buffer, sizeof buffer);
    vl_text_str(&path, vl_tier_root);
    vl_text_str(&path, before);
    vl_text_u64(&path, number);
    vl_text_str(&path, after);
    vl_os_read_file(buffer, text, FILE_SIZE);
}

static void read_node_file(char text[FILE_SIZE], unsigned node, const char *name)
{
    read_file(text, "/sys/devices/system/node/node", node, name);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *after_number(const char *text)
{
    while (is_digit(*text))
        text++;
    return text;
}

/* "/sys/devices/system/node/online" and the like. */
static void read_nodes(const char *name, struct vl_node_mask *mask)
{
    char buffer[PATH_SIZE], text[FILE_SIZE];
    struct vl_text path = vl_text_on(buffer, sizeof buffer);
    vl_text_str(&path, vl_tier_root);
    vl_text_str(&path, "/sys/devices/system/node/");
    vl_text_str(&path, name);
    vl_os_read_file(buffer, text, sizeof text);
    vl_text_list(text, mask->words, VL_NODES_MAX);
}

/* --- What is known of nodes --- */

enum { UNKNOWN = UINT8_MAX };

struct facts {
    struct vl_node_mask online, cpus; /* all nodes; those with processors */
    uint64_t bandwidth;               /* the best of the latter, in MB/s; 0 if it is not known */
    uint8_t lowest, highest;          /* of them, the kernel's tiers */
    uint8_t tiers[VL_NODES_MAX];
};

/* As seen by the processors that are nearest, in MB/s; 0 if the firmware does not tell. */
static uint64_t bandwidth_of(unsigned node)
{
    char text[FILE_SIZE];
    read_node_file(text, node, "/access1/initiators/read_bandwidth");
    if (text[0] == '\0')
        read_node_file(text, node, "/access0/initiators/read_bandwidth");
    return vl_text_number(text, 10);
}

/* To the nearest node with processors. The file has a number for each node that is online. */
static unsigned distance_of(const struct facts *facts, unsigned node)
{
    char text[FILE_SIZE];
    read_node_file(text, node, "/distance");
    const char *at = text;
    size_t least = UNKNOWN;
    for (unsigned other = 0; is_digit(*at) && other < VL_NODES_MAX; other++) {
        if (!vl_node_mask_has(&facts->online, other))
            continue;
        if (vl_node_mask_has(&facts->cpus, other))
            least = vl_min(least, vl_text_number(at, 10));
        at = after_number(at);
        at += *at == ' ';
    }
    return (unsigned)least;
}

static void note_tier(struct facts *facts, unsigned tier, const struct vl_node_mask *nodes)
{
    for (unsigned node = 0; node < VL_NODES_MAX; node++) {
        if (!vl_node_mask_has(nodes, node))
            continue;
        facts->tiers[node] = (uint8_t)tier;
        if (vl_node_mask_has(&facts->cpus, node)) {
            facts->lowest = (uint8_t)vl_min(facts->lowest, tier);
            facts->highest = (uint8_t)vl_max(facts->highest, tier);
        }
    }
}

static void read_tiers(struct facts *facts)
{
    for (unsigned node = 0; node < VL_NODES_MAX; node++)
        facts->tiers[node] = UNKNOWN;
    facts->lowest = UNKNOWN;
    facts->highest = 0;
    for (unsigned tier = 0; tier < KERNEL_TIERS; tier++) {
        char text[FILE_SIZE];
        struct vl_node_mask nodes;
        read_file(text, "/sys/devices/virtual/memory_tiering/memory_tier", tier, "/nodelist");
        vl_text_list(text, nodes.words, VL_NODES_MAX);
        note_tier(facts, tier, &nodes);
    }
}

static void read_facts(struct facts *facts)
{
    read_nodes("online", &facts->online);
    read_nodes("has_cpu", &facts->cpus);
    facts->bandwidth = 0;
    for (unsigned node = 0; node < VL_NODES_MAX; node++)
        if (vl_node_mask_has(&facts->cpus, node))
            facts->bandwidth = vl_max(facts->bandwidth, bandwidth_of(node));
    read_tiers(facts);
}

/* --- Which tier --- */

/* VL_TIERS: neither bandwidth nor the kernel's tiers tell. */
static enum vl_tier tier_of(const struct facts *facts, unsigned node)
{
    uint64_t bandwidth = facts->bandwidth == 0 ? 0 : bandwidth_of(node);
    if (bandwidth != 0)
        return bandwidth > facts->bandwidth ? VL_TIER_HBM : VL_TIER_CXL;
    uint8_t tier = facts->tiers[node];
    if (tier == UNKNOWN || facts->lowest == UNKNOWN)
        return VL_TIERS;
    return tier < facts->lowest ? VL_TIER_HBM : tier > facts->highest ? VL_TIER_CXL : VL_TIERS;
}

/* The guess for those that are left. */
static void divide_by_distance(struct vl_tiers *tiers, const struct facts *facts,
                               const struct vl_node_mask *left)
{
    unsigned nearest = UINT_MAX, farthest = 0;
    for (unsigned node = 0; node < VL_NODES_MAX; node++)
        if (vl_node_mask_has(left, node)) {
            nearest = (unsigned)vl_min(nearest, distance_of(facts, node));
            farthest = (unsigned)vl_max(farthest, distance_of(facts, node));
        }
    for (unsigned node = 0; node < VL_NODES_MAX; node++)
        if (vl_node_mask_has(left, node)) {
            bool near = nearest < farthest && distance_of(facts, node) == nearest;
            vl_node_mask_add(&tiers->nodes[near ? VL_TIER_HBM : VL_TIER_CXL], node);
        }
}

void vl_tiers_find(struct vl_tiers *tiers, const struct vl_node_mask *allowed)
{
    struct facts facts;
    struct vl_node_mask left = {{0}};
    *tiers = (struct vl_tiers){.nodes = {{{0}}}};
    read_facts(&facts);
    for (unsigned node = 0; node < VL_NODES_MAX; node++) {
        if (!vl_node_mask_has(allowed, node) || !vl_node_mask_has(&facts.online, node) ||
            vl_node_mask_has(&facts.cpus, node))
            continue;
        enum vl_tier tier = tier_of(&facts, node);
        vl_node_mask_add(tier < VL_TIERS ? &tiers->nodes[tier] : &left, node);
    }
    divide_by_distance(tiers, &facts, &left);
}
