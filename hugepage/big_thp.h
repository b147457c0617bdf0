/*
 * big_thp - when a big heap has transparent huge pages: the same states as a page heap's (thp.h).
 *
 *      FRONT   all blocks have small pages: a program with a few blocks, of which it may write but the
 *        |     first bytes, shall stay small
 *        |
 *        |     the heap holds more than VALLOC_HUGEPAGE_START
 *        v
 *      HUGE <--> HELD    memory that is touched first has huge pages, unless they are slow to come
 *
 * Whether the heap is small is asked when a block was taken or has grown, before its owner touches it: so all
 * of a large block has huge pages. What came before lies in the front, the first grains of the slice: with
 * each block that follows, one stretch of 2 MB of it, if a block fills it, is made a huge page. Memory of the
 * front that is kept and serves again has the pages that it has, unless who takes it wants huge ones.
 *
 * All of it is called for a block in use, without the lock: the heap is not closed meanwhile.
 */
#ifndef VL_HUGEPAGE_BIG_THP_H
#define VL_HUGEPAGE_BIG_THP_H

#include "hugepage/thp.h"

struct vl_big_heap;

/* Changed under the big heap's lock, but for the counts. */
struct vl_big_thp {
    _Atomic uint8_t state;              /* enum vl_thp_state */
    _Atomic uint32_t front_end;         /* grains before this are the front; 0: there is none yet */
    _Atomic uint32_t front_next;        /* those before this have been looked at */
    _Atomic uint32_t promoted, refused; /* stretches, so far */
};

void vl_big_thp_start(struct vl_big_thp *thp, const struct vl_slice *slice);

/* A block was taken or has grown. `fresh`: it has no memory so far; `wanted`: huge pages are, however small
 * the heap is. */
void vl_big_thp_follow(struct vl_big_heap *heap, const void *block, bool fresh, bool wanted);

/* Child of a fork in which the extents were torn. */
void vl_big_thp_forget(struct vl_big_thp *thp);

#endif
