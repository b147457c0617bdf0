/*
 * reserve - memory fetched ahead of need: VALLOC_HUGEPAGE_RESERVE.
 *
 *      asked:    8G (each node a part) or 0:4G,1:4G
 *      when:     once, as soon as the heaps hold VALLOC_HUGEPAGE_START, or are about to
 *      by whom:  threads of our own, some on each node, which end when it is done; who needed the memory
 *                waits for them
 *      which:    with VALLOC_HUGEPAGE=hugetlb pages of the kernel's pool (stock.h), for regions and big
 *                blocks; else the next regions of the nodes' heaps, in huge pages unless these are off
 *
 * Not at the start of the process: a variable reaches every child of a job script, and a shell that holds
 * 8 GB while it waits for the simulation is worse than none. Small programs never come that far.
 *
 * Big blocks have no reserve but the pool's, as their pages belong to the node whose thread touches them.
 *
 * Less comes where the pool, the machine, the cgroup, a limit or the time does not allow more. That is
 * said at once in a line on standard error, because somebody asked for it; the rest of the program
 * works as it would have without.
 */
#ifndef VL_CACHE_RESERVE_H
#define VL_CACHE_RESERVE_H

#include "core/core.h"

void vl_reserve_start(void);

extern _Atomic bool vl_reserve_wanted;
void vl_reserve_look(uint64_t more);

/* In a slow path, when nothing is under way and `more` bytes are about to be taken. */
static inline void vl_reserve_watch(uint64_t more)
{
    if (vl_unlikely(vl_get(&vl_reserve_wanted)))
        vl_reserve_look(more);
}

enum vl_reserve_lack {
    VL_RESERVE_WHOLE,
    VL_RESERVE_POOL,   /* the kernel's pool has no more */
    VL_RESERVE_MEMORY, /* nor has the machine, or the cgroup */
    VL_RESERVE_LIMIT,  /* VALLOC_LIMIT_HARD or _SOFT, ulimit -v or -d */
    VL_RESERVE_TIME,   /* VALLOC_RESERVE_TIME */
    VL_RESERVE_NODE,   /* no such node, or it may not be used */
    VL_RESERVE_REFUSED /* by the kernel */
};

struct vl_reserve_report {
    bool asked, done;
    uint64_t wished, got; /* bytes */
    uint64_t ms;
    unsigned threads;
    enum vl_reserve_lack lack; /* the first reason met with, where there is less than wished */
};
struct vl_reserve_report vl_reserve_report(void);

/* "the kernel's pool has no more" */
const char *vl_reserve_lack_text(enum vl_reserve_lack lack);

#endif
