/*
 * resident - what memory the kernel says there is, of the process and of each slice.
 *
 * From /proc/self/smaps, line by line: a mapping counts to the slice in which it begins, tables
 * included. Neighbours of one kind may be one mapping; what begins outside the slices is not the heap's.
 * Takes as long as the kernel needs to look at all pages: for reports.
 */
#ifndef VL_CACHE_RESIDENT_H
#define VL_CACHE_RESIDENT_H

#include "core/core.h"

/* In bytes. Pages of the kernel's pool do not count as resident with the kernel; here they do. */
struct vl_resident {
    uint64_t all;
    uint64_t huge; /* of it in huge pages of any kind */
};

struct vl_residents {
    struct vl_resident process;
    uint64_t peak; /* of the process, without pages of the pool */
    struct vl_resident slices[VL_SLICES_MAX];
};

/* All zero but the peak where there is no /proc. */
void vl_residents_take(struct vl_residents *residents);

/* Page faults there would have been more, had all that is in huge pages been in small ones. */
static inline uint64_t vl_resident_faults_avoided(const struct vl_resident *resident)
{
    uint64_t huge_pages = resident->huge >> VL_REGION_SHIFT;
    return huge_pages * (VL_REGION_SIZE / vl_os_page_size - 1);
}

#endif
