/*
 * page_heap - the regions of one slice: runs of pages in and out.
 *
 * One lock, held for list and bitmap work only; address space is made writable, and memory given
 * back, with the lock released. A region that empties keeps its memory for a while
 * (VALLOC_PURGE_DELAY), as demand usually comes back: a program that works in steps finds all that
 * its last step freed. But where big blocks need memory meanwhile, regions yield theirs, so that a
 * program that first has small blocks and then big ones does not hold both; a third of all that were
 * ever in use together stays. Memory is returned in whole regions, because the kernel frees nothing
 * of a huge page until all of it is dropped.
 *
 * Of a slice for allocator objects, whole regions are leased to these (holding.h).
 *
 * With VALLOC_HUGEPAGE=hugetlb, a region without memory is taken to the kernel's pool before it is
 * used: it leaves its list, gets a page with the lock released or does not, and counts as EMPTY.
 */
#ifndef VL_HUGEPAGE_PAGE_HEAP_H
#define VL_HUGEPAGE_PAGE_HEAP_H

#include "hugepage/region_set.h"
#include "hugepage/thp.h"

struct vl_page_heap {
    struct vl_slice *slice;

    _Alignas(VL_CACHE_LINE) struct vl_lock lock; /* protects all below, and every region */
    struct vl_region_set active;
    struct vl_region_list empty; /* with memory; latest first */
    struct vl_region_list clean; /* without */
    uint32_t fresh;              /* regions from here on have never been used */
    uint32_t away;               /* threads that have a region off its list, or extend, without the lock */
    uint32_t guests;             /* others for whom it is not closed meanwhile */
    bool lost;                   /* some regions are LOST */
    bool closed;                 /* nothing is taken any more: the slice is retired */
    struct vl_thp thp;
    uint64_t told; /* to limit.h */
    uint32_t fetching;         /* regions whose memory is on its way (vl_page_heap_reserve) */
    _Atomic uint32_t reserved; /* with so many regions in use or empty, no memory goes back by itself */

    /* Written under the lock, read by anybody as statistics. */
    _Atomic uint64_t pages_used;
    _Atomic uint32_t regions_active; /* those leased included */
    _Atomic uint32_t regions_active_max;
    _Atomic uint32_t regions_empty;
    _Atomic uint32_t regions_clean;
    _Atomic uint64_t purged_bytes;
    _Atomic uint64_t hugetlb_bytes;
    _Atomic uint64_t hugetlb_refused; /* regions that did without */
};

/* `slice` was made with vl_page_heap_plan. */
void vl_page_heap_start(struct vl_page_heap *heap, struct vl_slice *slice);
struct vl_slice_plan vl_page_heap_plan(unsigned node, size_t size);

/* A run of pages; false if there is no memory or no room in the slice. */
bool vl_page_heap_take(struct vl_page_heap *heap, struct vl_wish wish, struct vl_run *run);

/*
 * Memory fetched ahead of need: regions never used leave the heap, up to `count`, and lie from *start on; how many
 * there are. The caller has memory come, and returns them all; the first `populated` bytes are reserved
 * then: what of them is free is not returned to the system for its age.
 */
uint32_t vl_page_heap_reserve(struct vl_page_heap *heap, uint32_t count, char **start);
void vl_page_heap_unreserve(struct vl_page_heap *heap); /* nothing is, from now on */
void vl_page_heap_reserved(struct vl_page_heap *heap, char *start, uint32_t count, size_t populated);

/* Gives back the run that begins at `page` of `region`. */
void vl_page_heap_give(struct vl_page_heap *heap, struct vl_region *region, unsigned page);

/* The run that begins at `page` of `region` gets `more` pages behind it; false if they are not all free. */
bool vl_page_heap_lengthen(struct vl_page_heap *heap, struct vl_region *region, unsigned page,
                           unsigned more);

/* A whole region leaves the heap for `holder`, who does with it what it likes, soon or not; NULL if there is
 * none. One that comes back is empty, and keeps its memory for a while like any other, or goes to the system. */
struct vl_region *vl_page_heap_lease(struct vl_page_heap *heap, struct vl_holding *holder,
                                     bool soon);
void vl_page_heap_return(struct vl_page_heap *heap, struct vl_region *region);
void vl_page_heap_return_memory(struct vl_page_heap *heap, struct vl_region *region);

/* Returns the memory of regions that have been empty for `age_ms`; tells how many bytes. */
size_t vl_page_heap_purge(struct vl_page_heap *heap, uint64_t age_ms);

/* Returns up to `most` bytes, of regions that are empty in any case, for others who need them; tells how
 * many. */
size_t vl_page_heap_yield(struct vl_page_heap *heap, size_t most);

/* Returns the memory of free pages in regions in use, those of a holder or, for NULL, the heap's own;
 * tells how many bytes. The huge pages that they are a part of come apart. */
size_t vl_page_heap_strip(struct vl_page_heap *heap, struct vl_holding *holder);

/* What can be said of a region while others use the heap. */
struct vl_region_view {
    uint8_t state;
    uint16_t pages_used;
    uint16_t run_pages[VL_REGION_PAGES]; /* at a run's first page: its length; else 0 */
};

/* The slice's region of this number as it is now; false if so many were never used. */
bool vl_page_heap_view(struct vl_page_heap *heap, uint32_t number, struct vl_region_view *view);

/* Whether its slice is used to the end, or closed: if so, another slice is what helps. */
bool vl_page_heap_is_full(struct vl_page_heap *heap);

/* Closes a heap of which nothing is in use, for its slice to be retired; false if something is. */
bool vl_page_heap_close(struct vl_page_heap *heap);

/* Child of a fork: frees the lock; if it was held, builds the lists anew from the regions. */
void vl_page_heap_after_fork(struct vl_page_heap *heap);

#endif
