/*
 * big_thp - when a big heap has transparent huge pages: the same states as a page heap's (thp.h).
 *
 *      FRONT   all blocks have small pages: a program with a few blocks, of which it may write but the
 *        |     first bytes, shall stay small
 *        |
 *        |     the heap is about to hold more than VALLOC_HUGEPAGE_START
 *        v
 *      HUGE <--> HELD    memory that is touched first has huge pages, unless they are slow to come
 *
 * A large block is asked for before it is touched, so all of it has huge pages; what came before it lies
 * in the front: the first grains of the slice, up to what was in use then. With each block of fresh memory one
 * stretch of 2 MB in it, if a block fills it, is made a huge page.
 */
#ifndef VL_HUGEPAGE_BIG_THP_H
#define VL_HUGEPAGE_BIG_THP_H

#include "hugepage/thp.h"

struct vl_big_heap;

/* Changed under the big heap's lock; what is atomic may be read by anybody. */
struct vl_big_thp {
    _Atomic uint8_t state; /* enum vl_thp_state */
    uint32_t front_next;   /* grains of the front before this have been looked at */
    uint32_t front_end;    /* 0: there is none, or all of it has been */
    _Atomic uint32_t promoted, refused;
};

void vl_big_thp_start(struct vl_big_thp *thp, const struct vl_slice *slice);

/* Before a block is taken or grows, for which the heap will hold `more` bytes; SIZE_MAX: it is to have huge
 * pages in any case. Without the lock. */
void vl_big_thp_follow(struct vl_big_heap *heap, size_t more);

/* After a block of fresh memory was taken. Without the lock. */
void vl_big_thp_promote(struct vl_big_heap *heap);

#endif
