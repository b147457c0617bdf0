/*
 * traffic - what goes from one node to another, counted where it is slow anyway.
 *
 *      of the heap of node   0        1        2
 *      freed on node 0       -        0        0         blocks and hand-overs: `to` of the row
 *                    1     41000      7        0
 *                    2       0        0        -
 *
 * A hand-over is an outbox that is sent (cache/thread.h), or a block too large for one; an outbox with
 * blocks of two nodes is one to each. The node of a thread is its home, where its cache is. On the
 * diagonal are only blocks that have no cache to go to. On a machine with one node nothing is counted.
 *
 * Threads add to the row of their own node, relaxed: sums, of which readers see some moment each.
 */
#ifndef VL_NUMA_TRAFFIC_H
#define VL_NUMA_TRAFFIC_H

#include "numa/topology.h"

struct vl_traffic_count {
    _Atomic uint64_t batches, blocks;
};

struct vl_traffic {
    _Alignas(VL_CACHE_LINE) struct vl_traffic_count to[VL_NODE_INDEX_MAX];
    _Atomic uint64_t rehomed;   /* times that a thread of another node has made this one its home */
    _Atomic uint64_t fallbacks; /* requests of its threads that another node's heap had to serve */
};

extern struct vl_traffic vl_traffic[VL_NODE_INDEX_MAX];

static inline void vl_traffic_freed(unsigned from, unsigned to, unsigned blocks)
{
    vl_add(&vl_traffic[from].to[to].batches, 1);
    vl_add(&vl_traffic[from].to[to].blocks, blocks);
}

/* A pair of nodes, by their indices, and what went between them so far. */
struct vl_traffic_pair {
    unsigned from, to;
    uint64_t batches, blocks;
};

/* The pairs of different nodes with the most blocks, those first; how many, at most `count`. */
unsigned vl_traffic_largest(struct vl_traffic_pair *pairs, unsigned count);

#endif
