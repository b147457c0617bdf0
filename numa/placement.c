#include "numa/placement.h"

bool vl_placement_ordered;

static bool has_several(void)
{
    return vl_topology.known > 1;
}

/* Written in the start: from which size on a tier is for, if it has nodes; and what is its place. */
static struct vl_tiers tiers;
static uint64_t tier_bytes[VL_TIERS];
static unsigned tier_places[VL_TIERS];

static void note_tier(enum vl_tier tier, uint64_t bytes, void *unused)
{
    (void)unused;
    unsigned nodes = 0, first = 0;
    for (unsigned node = VL_NODES_MAX; node-- > 0;)
        if (vl_node_mask_has(&tiers.nodes[tier], node)) {
            first = node;
            nodes++;
        }
    tier_places[tier] = nodes == 1 ? first : VL_PLACE_TIER + tier;
    tier_bytes[tier] = nodes == 0 ? UINT64_MAX : bytes;
}

static bool has_tiers(void)
{
    bool any = false;
    for (enum vl_tier tier = 0; tier < VL_TIERS; tier++)
        any = any || tier_bytes[tier] != UINT64_MAX;
    return any;
}

void vl_placement_start(void)
{
    for (enum vl_tier tier = 0; tier < VL_TIERS; tier++)
        tier_bytes[tier] = UINT64_MAX;
    if (vl_topology.bind && vl_options.tier != NULL) {
        vl_tiers_find(&tiers, &vl_topology.allowed);
        vl_tiers_read(vl_options.tier, note_tier, NULL);
    }
    vl_placement_ordered =
        vl_topology.bind && (vl_options.large_policy != VL_LARGE_FIRST_TOUCH || has_tiers());
}

const struct vl_node_mask *vl_placement_tier(enum vl_tier tier)
{
    return &tiers.nodes[tier];
}

/* The tier with the largest size of those that the block has; VL_TIERS: none. */
static enum vl_tier tier_for(size_t bytes)
{
    enum vl_tier found = VL_TIERS;
    for (enum vl_tier tier = 0; tier < VL_TIERS; tier++)
        if (bytes >= tier_bytes[tier] &&
            (found == VL_TIERS || tier_bytes[tier] > tier_bytes[found]))
            found = tier;
    return found;
}

unsigned vl_placement_order(size_t bytes, const struct vl_holding *holder)
{
    if (holder != NULL && vl_get(&holder->node) >= 0)
        return VL_PLACE_ANYWHERE;
    enum vl_tier tier = tier_for(bytes);
    if (tier != VL_TIERS)
        return tier_places[tier];
    switch (vl_options.large_policy) {
    case VL_LARGE_LOCAL:
        return vl_placement_here();
    case VL_LARGE_INTERLEAVE:
        return VL_PLACE_EVENLY;
    case VL_LARGE_WEIGHTED:
        return VL_PLACE_WEIGHTED;
    default:
        return VL_PLACE_ANYWHERE;
    }
}

bool vl_placement_on(int node, unsigned *place)
{
    *place = has_several() ? (unsigned)node : VL_PLACE_ANYWHERE;
    if (node < 0 || node >= VL_NODES_MAX)
        return false;
    return vl_topology.known == 0 || vl_node_mask_has(&vl_topology.allowed, (unsigned)node);
}

unsigned vl_placement_here(void)
{
    return has_several() ? vl_topology.ids[vl_topology_near(&vl_topology)] : VL_PLACE_ANYWHERE;
}

unsigned vl_placement_spread(void)
{
    return has_several() ? VL_PLACE_EVENLY : VL_PLACE_ANYWHERE;
}

void vl_placement_plan(unsigned place, struct vl_slice_plan *plan)
{
    plan->kind = VL_SLICE_PLACED;
    plan->node = place;
    if (place < VL_NODES_MAX) {
        plan->bind = true;
        plan->bind_node = place;
    } else if (place >= VL_PLACE_TIER) {
        plan->spread = &tiers.nodes[place - VL_PLACE_TIER];
        plan->how = VL_SPREAD_NEAREST;
        while (!vl_node_mask_has(plan->spread, plan->bind_node))
            plan->bind_node++;
    } else {
        plan->spread = &vl_topology.allowed;
        plan->how = place == VL_PLACE_WEIGHTED ? VL_SPREAD_WEIGHTED : VL_SPREAD_EVENLY;
    }
}

void vl_placement_name(unsigned place, struct vl_text *text)
{
    if (place < VL_NODES_MAX) {
        vl_text_str(text, "node ");
        vl_text_u64(text, place);
    } else {
        vl_text_str(text, place == VL_PLACE_EVENLY     ? "interleaved"
                          : place == VL_PLACE_WEIGHTED ? "interleaved by weight"
                          : place < VL_PLACE_ANYWHERE
                              ? vl_tier_name((enum vl_tier)(place - VL_PLACE_TIER))
                              : "first touch");
    }
}

const char *vl_placement_idle(void)
{
    if (vl_placement_ordered || !vl_placement_is_asked())
        return NULL;
    return vl_options.numa_mode == VL_NUMA_OFF ? "VALLOC_NUMA is off"
           : vl_topology.chosen                ? "this process has a memory policy of its own"
           : vl_topology.known == 0            ? "the kernel does not tell what nodes there are"
           : vl_topology.known == 1            ? "there is one node"
                                               : "there are no such nodes";
}
