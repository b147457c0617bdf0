/*
 * hugetlb - huge pages from the kernel's pool (vm.nr_hugepages), with VALLOC_HUGEPAGE=hugetlb.
 *
 * A stretch of a slice is taken to the pool before anything lies in it:
 *
 *      map        pages of the pool, somewhere; the kernel sets them aside for us
 *      bind       to the slice's node
 *      populate   all of them: one that is missing is an error now, and would be a SIGBUS later
 *      replace    the slice's own memory by them
 *
 * They are not mapped in place at once, because a mmap with MAP_FIXED that finds the pool empty has
 * unmapped what was there, and into that hole the mmap of another thread may fall. This way a pool
 * that is short, or a page that does not come, leaves the slice as it was, and the stretch gets
 * pages like any other. What goes back to the pool is replaced by fresh memory.
 *
 * Each stretch is a mapping of its own, of which the kernel allows a process 65,530.
 */
#ifndef VL_HUGEPAGE_HUGETLB_H
#define VL_HUGEPAGE_HUGETLB_H

#include "core/core.h"

enum vl_hugetlb_result {
    VL_HUGETLB_TAKEN,
    VL_HUGETLB_SHORT, /* nothing has changed */
    VL_HUGETLB_LOST   /* there may be a hole in the slice, or what another thread mapped there */
};

static inline bool vl_hugetlb_wanted(void)
{
    return vl_options.hugepage_mode == VL_HUGEPAGE_HUGETLB;
}

/* Takes whole huge pages of a slice to the pool; what they held is gone. */
enum vl_hugetlb_result vl_hugetlb_take(const struct vl_slice *slice, void *start, size_t size);

/* Gives such a stretch back, and what lies behind it; it reads as zero then. False if that was
 * refused, and what is mapped there is not known. */
bool vl_hugetlb_give(const struct vl_slice *slice, void *start, size_t size);

/* Some stretches were cut in two (a positive number), or went with their slice (a negative one). */
void vl_hugetlb_recount(int more);

/* Library's constructor: asks libhugetlbfs whether there are huge pages of a region's size. Where
 * it is missing, the first stretch finds that out. */
void vl_hugetlb_refine(void);

/* The same for a machine with huge pages of these sizes. */
void vl_hugetlb_set_sizes(const long *sizes, int count);

#endif
