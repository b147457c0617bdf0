/*
 * placed - blocks whose place the program names: valloc_onnode, valloc_interleaved, valloc_local.
 *
 *      below 1 MB    of the heap of that node; what is to be spread, of the caller's own, as there is
 *                    nothing to spread
 *      from 1 MB     of the slices for that place (numa/placement.h), where realloc keeps it
 *
 * Where the place cannot be had the block comes from wherever there is memory.
 */
#ifndef VL_CACHE_PLACED_H
#define VL_CACHE_PLACED_H

#include "cache/heap.h"

/* NULL with ENOMEM where there is no memory anywhere. Who calls this counts it; */
void *vl_placed_take(unsigned place, size_t size);

/* or it counts as malloc. */
void *vl_placed_alloc(unsigned place, size_t size);

#endif
