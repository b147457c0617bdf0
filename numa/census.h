/*
 * census - on which nodes the memory of the heap lies: what the kernel says of its pages.
 *
 *      slice   [  .   .  .    .   .  | . .    .   .  . ]     pages asked about, one in each stretch
 *                0   0  0    3   0    0 -    0   0  0        where they lie; -: never touched
 *
 * A small heap is asked about page by page; of a larger one, so many pages in all, spread evenly, each
 * of which stands for its stretch. So it takes the same time however large the heap is, and no lock: pages
 * are named to the kernel, and nothing of them is looked at here.
 *
 * The caller is in a section of core/rcu: slices stay what they are.
 */
#ifndef VL_NUMA_CENSUS_H
#define VL_NUMA_CENSUS_H

#include "numa/topology.h"

/* In bytes, as far as they are in memory. */
struct vl_census_node {
    uint64_t held;     /* of the slices that prefer this node, without those of allocator objects */
    uint64_t away;     /* of these, on other nodes */
    int away_node;     /* where most of that lies, by the kernel's number; -1: nowhere */
    uint64_t here;     /* of all slices, on this node */
    uint64_t here_big; /* of these, big blocks */
    uint64_t
        here_free; /* of these, such as lie where they were touched first: nobody has named a place */
};

struct vl_census {
    bool known; /* false: the kernel does not tell, and all else is 0 */
    uint64_t pages_asked, pages_found;
    struct vl_census_node nodes[VL_NODE_INDEX_MAX];
};

void vl_census_take(struct vl_census *census);

/* Pure: the nth of `count` pages out of `pages`, count <= pages; one in each of `count` equal stretches. */
size_t vl_census_page(size_t nth, size_t count, size_t pages);

#endif
