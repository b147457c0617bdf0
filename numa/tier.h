/*
 * tier - memory that no processor has beside it: which is faster than theirs, and which is not.
 *
 *      hbm     high-bandwidth memory that is a node of its own      Xeon Max, Knights Landing
 *      cxl     memory behind a link, or any other that is slower
 *
 * The names are what such nodes mostly are. No file of the kernel says of what make memory is, so it is
 * told by what the kernel does say, of nodes with memory and no processors, in this order:
 *
 *      1. bandwidth      more than a node with processors has: hbm, else cxl. From the firmware's table
 *                        (HMAT): nodeN/access1/initiators/read_bandwidth, or access0 there
 *      2. kernel's tiers one of lower number than those of nodes with processors: hbm, of a higher one:
 *                        cxl. memory_tiering/memory_tierN/nodelist, since 6.1
 *      3. distance       a guess. Where there are several distances between such nodes and the nearest
 *                        processors, the nearest ones are hbm; all others are cxl
 *
 * A node that 1 does not decide comes to 2, and one that 2 does not decide to 3.
 */
#ifndef VL_NUMA_TIER_H
#define VL_NUMA_TIER_H

#include "core/core.h"

struct vl_tiers {
    struct vl_node_mask nodes[VL_TIERS];
};

/* Of the nodes that we may use. Reads some files for each. */
void vl_tiers_find(struct vl_tiers *tiers, const struct vl_node_mask *allowed);

const char *vl_tier_name(enum vl_tier tier);

/* "", or for tests a folder that holds sys. */
extern const char *vl_tier_root;

#endif
