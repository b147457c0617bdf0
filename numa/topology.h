/*
 * topology - which NUMA nodes we may use, and which is near which.
 *
 * Nodes are known by an index, 0 .. count-1, over the nodes this process is allowed to take memory
 * from; the kernel's numbers, which may be sparse, appear only here. On a machine with one such
 * node, with VALLOC_NUMA=off, or where the user has chosen a memory policy (numactl), there is one
 * index, nothing is bound, and none of this costs anything. Indices from there to known-1 have no heaps:
 * they are for blocks whose place the program has named (placement.h).
 *
 * vl_topology_probe runs inside the first malloc: one system call. vl_topology_refine runs in the
 * library's constructor, only where there are several nodes, and asks libnuma for distances, which
 * order the fallbacks and give memory-less nodes their nearest neighbour.
 */
#ifndef VL_NUMA_TOPOLOGY_H
#define VL_NUMA_TOPOLOGY_H

#include "core/core.h"

/* Nodes with a heap of their own; more share the heaps of these. */
enum { VL_NODE_INDEX_MAX = 64 };

struct vl_topology {
    unsigned count; /* nodes with heaps */
    unsigned known; /* nodes that we may use, at least as many; 0: nobody tells */
    bool bind;                          /* slices prefer their node's memory */
    bool chosen;                        /* the process has a memory policy of its own */
    struct vl_node_mask allowed;        /* all nodes that we may use, by the kernel's numbers */
    uint16_t ids[VL_NODE_INDEX_MAX];    /* the kernel's number of each index */
    uint8_t index_of[VL_NODES_MAX];     /* of a node of the kernel's, or of its nearest neighbour */
    /* Indices by distance from each, itself first. */
    uint8_t nearest[VL_NODE_INDEX_MAX][VL_NODE_INDEX_MAX];
};

extern struct vl_topology vl_topology;

void vl_topology_probe(struct vl_topology *topology, enum vl_numa_mode mode);
/* Whether a probe would find more than one node. */
bool vl_topology_has_several(enum vl_numa_mode mode);
void vl_topology_refine(struct vl_topology *topology);

/* Distance between two of the kernel's nodes; 10 is the node itself. */
typedef int vl_distance_fn(int from, int to);

/* Pure: fills index_of and nearest. */
void vl_topology_order(struct vl_topology *topology, vl_distance_fn *distance);

/* Index of the node this thread runs on, or of the nearest: among those with heaps, and of all. */
unsigned vl_topology_here(const struct vl_topology *topology);
unsigned vl_topology_near(const struct vl_topology *topology);

#endif
