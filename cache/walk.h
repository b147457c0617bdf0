/*
 * walk - every region and every block of the heap, one after the other.
 *
 * Nobody is stopped meanwhile: what was there all the time is visited once, what comes or goes may be
 * or not. Locks are held to copy what is said of one region or span, never while the visitor is
 * called, which may therefore use the heap. The whole walk is a section of core/rcu: what is visited
 * stays mapped.
 *
 * What lies in a magazine is free, and only the magazine knows. So a walk over blocks first notes all
 * that magazines hold, in a bitmap of its own: a bit for each 16 bytes of the slice.
 */
#ifndef VL_CACHE_WALK_H
#define VL_CACHE_WALK_H

#include "hugepage/hugepage.h"

enum vl_part_kind { VL_PART_REGION, VL_PART_BIG };

/* 2 MB of a node's heap, or a big block. */
struct vl_part {
    enum vl_part_kind kind;
    char *start;
    size_t size;
    size_t used; /* bytes in blocks, caches and spans; of a big block, what its owner may write */
    bool resident; /* holds memory, as far as we know */
    int node;      /* the kernel's number of the node it prefers; -1: where it is touched first */
};

/* Anything but 0 ends the walk, which returns it. */
typedef int vl_visit_part(const struct vl_part *part, void *argument);
typedef int vl_visit_block(void *start, size_t bytes, void *argument);

int vl_walk_parts(vl_visit_part *visit, void *argument);

/* -1 if there is no memory for its bitmap. */
int vl_walk_blocks(vl_visit_block *visit, void *argument);

#endif
