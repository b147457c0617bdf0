/*
 * stall - whether the kernel is slow to find huge pages at present.
 *
 * Where no 2 MB of memory lie free in one piece, the first touch of memory that asks for huge pages makes
 * the kernel compact memory first: milliseconds, for this page and the next. So now and then a first
 * touch is timed. One that took long is held against huge pages if the kernel also counts more
 * compactions than before: a touch may be slow for reasons that small pages would not mend.
 *
 *                 slow touch, and compaction
 *       QUICK  ------------------------------->  HELD for HOLD_MIN, twice as long each time in a
 *         ^                                       row, HOLD_MAX at the most
 *         |            time is over                |
 *         +----------------------------------------+   the next touch is timed; if it is quick, the
 *                                                      next hold is short again
 *
 * It is the machine's memory, so there is one of these for the whole process. Only VALLOC_HUGEPAGE=auto
 * asks: with another mode nothing is timed, and nothing held. Threads may call all of it at the same
 * time: who loses a race times one touch more or less.
 */
#ifndef VL_HUGEPAGE_STALL_H
#define VL_HUGEPAGE_STALL_H

#include "core/core.h"

/* Whether to do without huge pages for now. */
bool vl_stall_is_held(void);

/* The first touch of a region that is to have a huge page, timed if one is due to be. `used` is the caller's,
 * who is about to use it; all else may be others' by now. */
void vl_stall_first_touch(char *region, char *used);

/* Takes note of what it took the kernel to make one huge page of small ones. */
void vl_stall_watch_collapse(uint64_t ns);

/* How often a hold has begun so far. */
extern _Atomic uint32_t vl_stall_holds;

#endif
