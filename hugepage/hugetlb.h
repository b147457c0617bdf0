/*
 * hugetlb - huge pages from the kernel's pools (vm.nr_hugepages), with VALLOC_HUGEPAGE=hugetlb.
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
 *
 * With VALLOC_HUGEPAGE=hugetlb:1G a big block that begins at a multiple of 1 GB has its whole gigabytes
 * in pages of 1 GB, as far as that pool goes. One page is a stretch, so that a pool that ends half-way
 * has given what it had:
 *
 *      1 GB      2 GB      3 GB        4 GB
 *      | giant   | giant   | 2 MB pages, or the slice's own      the pool had two of 1 GB
 *
 * They are mapped without a name (MAP_HUGETLB), not as a file of a mounted hugetlbfs, for which there
 * would have to be a mount that the user may write to, and a file number that the program may close.
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
    return vl_options.hugepage_mode == VL_HUGEPAGE_HUGETLB ||
           vl_options.hugepage_mode == VL_HUGEPAGE_GIANT;
}

/* Whether pages of 1 GB are asked for, and there may be any. */
bool vl_hugetlb_wants_giants(void);

/* Takes whole huge pages of a slice to the pool; what they held is gone. */
enum vl_hugetlb_result vl_hugetlb_take(const struct vl_slice *slice, void *start, size_t size);

/* Takes pages of 1 GB for the first gigabytes of [start, start + size), as many as it can get, none if
 * that does not begin at a multiple of 1 GB. *got: bytes of them, also where what follows is LOST. */
enum vl_hugetlb_result vl_hugetlb_take_giants(const struct vl_slice *slice, char *start,
                                              size_t size, size_t *got);

/* Gives so many stretches back, and what lies behind them; it reads as zero then. False if that was
 * refused, and what is mapped there is not known. */
bool vl_hugetlb_give(const struct vl_slice *slice, void *start, size_t size, unsigned stretches);

/* Some stretches were cut in two (a positive number), or went with their slice (a negative one). */
void vl_hugetlb_recount(int more);

/* Library's constructor: asks libhugetlbfs, or else the kernel, which sizes of huge pages there are.
 * Where neither tells, the first stretch finds that out. */
void vl_hugetlb_refine(void);

/* The same for a machine with huge pages of these sizes. */
void vl_hugetlb_set_sizes(const long *sizes, int count);

/* Says so where pages of 1 GB are asked for and the machine has none. */
void vl_hugetlb_report(int fd);

#endif
