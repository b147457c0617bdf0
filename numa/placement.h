/*
 * placement - where the pages of a big block are to lie, if not where they are first touched.
 *
 *      place                     the kernel is told           wanted by
 *      0 .. VL_NODES_MAX - 1     prefer this node             valloc_onnode, valloc_local,
 *                                                             VALLOC_LARGE_POLICY=local
 *      VL_PLACE_EVENLY           a page on each in turn       valloc_interleaved, ...=interleave
 *      VL_PLACE_WEIGHTED         so, by the nodes' weights    ...=weighted
 *      VL_PLACE_TIER + tier      prefer its nodes, of these   VALLOC_TIER, if the tier has several nodes
 *                                the nearest to who touches
 *      VL_PLACE_ANYWHERE         nothing                      all others
 *
 * A place is a number, and a node's is the kernel's of the node. Each has slices of its own (place.h),
 * made when a block is wanted there for the first time: the kernel is told of a slice once, and of no
 * block. It is a wish: what a full node does not have comes from another.
 *
 * The user comes first. Where the process has a memory policy of its own (numactl), the variables do
 * nothing; a program that names a place gets it, among the nodes that a cpuset leaves. With one node,
 * with VALLOC_NUMA=off, and where the kernel does not tell what nodes there are, every place is ANYWHERE.
 */
#ifndef VL_NUMA_PLACEMENT_H
#define VL_NUMA_PLACEMENT_H

#include "hugepage/hugepage.h"
#include "numa/tier.h"
#include "numa/topology.h"

enum {
    VL_PLACE_EVENLY = VL_NODES_MAX,
    VL_PLACE_WEIGHTED,
    VL_PLACE_TIER,
    VL_PLACE_ANYWHERE = VL_PLACE_TIER + VL_TIERS
};

/* After the nodes are known. */
void vl_placement_start(void);

/* One of the two variables has an effect: big blocks are asked about. */
extern bool vl_placement_ordered;

/* The place of an ordinary big block, then: of the tier with the largest size that it has, or else as
 * VALLOC_LARGE_POLICY says. An allocator object that has a node sees to that itself
 * (hugepage/holding.h). */
unsigned vl_placement_order(size_t bytes, const struct vl_holding *holder);

/* One of the kernel's nodes; false if there is none of that number, or it has no memory for us. */
bool vl_placement_on(int node, unsigned *place);

/* The node that this thread runs on, or the nearest with memory. */
unsigned vl_placement_here(void);

/* All nodes, evenly. */
unsigned vl_placement_spread(void);

/* What a slice for a place is to be, on top of what one for big blocks is. */
void vl_placement_plan(unsigned place, struct vl_slice_plan *plan);

/* "node 2", "interleaved" */
void vl_placement_name(unsigned place, struct vl_text *text);

/* Whether a variable is set. */
static inline bool vl_placement_is_asked(void)
{
    return vl_options.large_policy != VL_LARGE_FIRST_TOUCH || vl_options.tier != NULL;
}

/* Why nothing is ordered though a variable is set: "there is one node". NULL if that is not so. */
const char *vl_placement_idle(void);

/* The nodes of a tier; where VALLOC_TIER has an effect. */
const struct vl_node_mask *vl_placement_tier(enum vl_tier tier);

#endif
