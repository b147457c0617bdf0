/*
 * stats - what the heap holds, added up on demand from what the layers know anyway.
 *
 * Nothing is counted on the fast path: what is in use is what the spans have handed out, less what
 * lies in depots and caches. Sums are taken without stopping anybody, so while other threads run
 * they are a moment's approximation; in a quiet process they are exact.
 */
#ifndef VL_CACHE_STATS_H
#define VL_CACHE_STATS_H

#include "cache/resident.h"
#include "hugepage/hugepage.h"
#include "numa/numa.h"

struct vl_stats {
    uint64_t small_bytes, small_blocks;   /* in use by the program */
    uint64_t cached_bytes, cached_blocks; /* free, in depots and threads' caches */
    uint64_t span_free_bytes;             /* free, in spans */
    uint64_t run_bytes;                   /* in use, 256 KB to 1 MB */
    uint64_t big_bytes, big_blocks;       /* in use, from 1 MB */
    uint64_t big_kept_bytes;              /* free, with memory */
    uint64_t regions_active, regions_empty, regions_clean;
    uint64_t regions_small;                /* with memory in small pages, and not to stay so */
    uint64_t promoted, promotions_refused; /* stretches of 2 MB made huge pages so far */
    uint64_t holds;                        /* times that huge pages were done without for a while */
    uint64_t heap_bytes;      /* that can be written: the address space in use */
    uint64_t purged_bytes;    /* given back so far */
    uint64_t hugetlb_bytes;   /* of the kernel's pool */
    uint64_t hugetlb_refused; /* regions and big blocks so far that the pool had no pages for */
    uint64_t giant_bytes;     /* of hugetlb_bytes, in pages of 1 GB */
    uint64_t giant_refused; /* big blocks so far that got fewer of these than they have gigabytes */
    uint64_t caches;          /* thread caches made */
    uint64_t nodes;
};

void vl_stats_take(struct vl_stats *stats);

/* In use by the program, all kinds. */
static inline uint64_t vl_stats_used(const struct vl_stats *stats)
{
    return stats->small_bytes + stats->run_bytes + stats->big_bytes;
}

/* In use by the program of each node's heap, in bytes; big blocks and those of allocator objects are of none.
 * The caller is in a section of core/rcu. */
void vl_stats_used_by_node(uint64_t used[VL_NODE_INDEX_MAX]);

/* What lies in slices that are of a node: all but big blocks. */
struct vl_node_stats {
    uint64_t regions_active, regions_empty, regions_clean, regions_small;
    uint64_t purged_bytes;
    struct vl_resident resident;
};

void vl_stats_take_node(struct vl_node_stats *stats, unsigned node,
                        const struct vl_residents *residents);

#endif
