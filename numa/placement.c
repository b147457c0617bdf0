#include "numa/placement.h"

bool vl_placement_ordered;

static bool has_several(void)
{
    return vl_topology.known > 1;
}

void vl_placement_start(void)
{
    vl_placement_ordered = vl_topology.bind && vl_options.large_policy != VL_LARGE_FIRST_TOUCH;
}

unsigned vl_placement_order(const struct vl_holding *holder)
{
    if (holder != NULL && vl_get(&holder->node) >= 0)
        return VL_PLACE_ANYWHERE;
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
                                                       : "first touch");
    }
}

const char *vl_placement_idle(void)
{
    if (vl_placement_ordered || vl_options.large_policy == VL_LARGE_FIRST_TOUCH)
        return NULL;
    return vl_options.numa_mode == VL_NUMA_OFF ? "VALLOC_NUMA is off"
           : vl_topology.chosen                ? "this process has a memory policy of its own"
           : vl_topology.known == 0            ? "the kernel does not tell what nodes there are"
                                               : "there is one node";
}
