/*
 * thp - when a heap has transparent huge pages; a page heap, and what of it a big heap shares.
 *
 *      region   0          15 16 17 18 19 20                      FRONT  all that is in use is small
 *              | small      |  huge from the first touch           |
 *              +------------+--------------------------- - -       |  the heap outgrows it
 *              | s s h h s  |  h  h  h  h  h                       v
 *              +------------+--------------------------- - -      HUGE  <---------------------+
 *              | h h h h h  |  h  h  h  h  h  | small              |                          |
 *              +------------+-----------------+--------- - -       |  huge pages are slow     | time is
 *                                                                  v  to come (stall.h)       | over
 *                                                                 HELD  ----------------------+
 *
 * A small program shall stay small: the first VALLOC_HUGEPAGE_START bytes of a heap are small pages. One
 * that has outgrown them is not small, and gets huge pages from then on; with each PROMOTED_EACH-th
 * region that comes into use, one of those with small pages that is full of memory is made a huge
 * page. So nobody waits for all of them at once, and a large heap has none left. Where huge pages are
 * slow to come, fresh regions do without for a while, and are promoted later like the first ones.
 *
 * Advice to the kernel is about all of a slice, or all from somewhere on: three mappings at the most,
 * however large the heap. VALLOC_HUGEPAGE=thp never holds back, =always has no front either.
 */
#ifndef VL_HUGEPAGE_THP_H
#define VL_HUGEPAGE_THP_H

#include "hugepage/region.h"

struct vl_page_heap;

enum vl_thp_state {
    VL_THP_FRONT,
    VL_THP_HUGE,
    VL_THP_HELD,
    VL_THP_OFF /* there are none to be had */
};

/* Changed under the page heap's lock; what is atomic may be read by anybody. */
struct vl_thp {
    _Atomic uint8_t state;
    uint32_t opened;        /* regions that came into use without memory, in state HUGE */
    uint32_t next;          /* where the search for a region to promote goes on */
    _Atomic uint32_t small; /* regions with memory in small pages that might be huge ones */
    _Atomic uint32_t promoted, refused;
};

/* The state that a heap begins in, with such a slice; the one that follows, also because it is large now (the
 * front is left for HUGE in any case, which one step more may make HELD); and what the kernel is told of it,
 * about memory that comes to the slice from `from` on. Without a lock. */
enum vl_thp_state vl_thp_first(const struct vl_slice *slice);
enum vl_thp_state vl_thp_next(enum vl_thp_state state, bool outgrown);
void vl_thp_tell(struct vl_slice *slice, enum vl_thp_state state, size_t from);

/* Makes a stretch of 2 MB a huge page while others use it. False if the kernel refuses, as where it has no
 * memory any more. */
bool vl_thp_collapse(char *start);

void vl_thp_start(struct vl_thp *thp, const struct vl_slice *slice);

/* A region that has no memory comes into use, or one that has loses it. Under the lock. */
void vl_thp_enter(struct vl_page_heap *heap, struct vl_region *region);
void vl_thp_leave(struct vl_page_heap *heap, struct vl_region *region);

/* The heap is to be large: it leaves its front behind, if it has not yet, and what is full of it becomes
 * huge pages now. Without the lock. */
void vl_thp_outgrow(struct vl_page_heap *heap);

/* The same region; `used`: what of it the caller has and is about to use, or NULL. Without the lock: the rest
 * may be others' by now. */
void vl_thp_opened(struct vl_page_heap *heap, struct vl_region *region, char *used);

#endif
