/*
 * audit - of each node: where the memory of its heap lies, who frees its blocks, who lives there.
 *
 * Put together on demand from what is known anyway: statistics, counts of what goes between nodes
 * (numa/traffic.h), and the kernel's word for a sample of the pages (numa/census.h). Nobody is stopped,
 * nothing is allocated, and the work is bounded: it grows with the number of caches and nodes, not with
 * the heap. All of it is one section of core/rcu.
 */
#ifndef VL_CACHE_AUDIT_H
#define VL_CACHE_AUDIT_H

#include "numa/numa.h"

struct vl_audit_node {
    int id;                                  /* the kernel's number; -1: one heap for all */
    uint32_t threads;                        /* whose home it is */
    uint64_t used_bytes;                     /* of its heap, by the program */
    struct vl_node_memory memory;            /* of the machine; 0 where that is not known */
    uint64_t freed_elsewhere;                /* its blocks, by threads of other nodes */
    uint64_t freed_of_others;                /* other nodes' blocks, by its threads */
    uint64_t rehomed, fallbacks;             /* as in numa/traffic.h */
};

/* 7 KB, which even the smallest stack of a thread has room for, once. */
struct vl_audit {
    unsigned count; /* of nodes with a heap; with one, there is little to say */
    bool balances;  /* the kernel moves pages after threads */
    uint32_t threads;
    uint64_t caches;
    uint64_t freed;               /* blocks so far that no cache kept */
    uint64_t freed_remotely;      /* of these, on another node than their heap's */
    struct vl_traffic_pair worst; /* of that, between which nodes most */
    struct vl_census census;
    struct vl_audit_node nodes[VL_NODE_INDEX_MAX];
};

void vl_audit_take(struct vl_audit *audit);

#endif
