/*
 * counters - how many calls of each kind there were, to the last one, where somebody wants to know.
 *
 * The fast path has no room for a counter. So calls are counted only in a process that asks for it: by
 * VALLOC_COUNT=1, by valloc_count(), or because the program itself calls valloc_print_counters, which is
 * seen at its start. The fast path is closed then, as for VALLOC_FILL, and every call passes one of the
 * slow paths, which count.
 *
 * Threads add to lines of their own, as far as the lines go; nothing is lost when one ends, in a signal
 * handler or in the child of a fork.
 */
#ifndef VL_CACHE_COUNTERS_H
#define VL_CACHE_COUNTERS_H

#include "core/core.h"

enum vl_counter {
    VL_COUNT_MALLOC,  /* and what else gives a fresh block: new, aligned_alloc, valloc_block ... */
    VL_COUNT_CALLOC,
    VL_COUNT_REALLOC,
    VL_COUNT_FREE,    /* of a block; and delete, free_valloc ... */
    VL_COUNT_RECYCLE, /* of those: the block went to the thread's cache, for its next request */
    VL_COUNTERS
};

void vl_counter_add(enum vl_counter counter);
uint64_t vl_counter_sum(enum vl_counter counter);

static inline void vl_note(enum vl_counter counter)
{
    if (vl_unlikely(vl_options.count))
        vl_counter_add(counter);
}

/* At the start of the process: counts if the program will ask. */
void vl_counters_start(void);

#endif
