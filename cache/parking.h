/*
 * parking - caches of threads that are gone, for the threads that come.
 *
 *      CPU      0     1     2     3            of one node; a number for each, modulo VL_PARKING_STACKS
 *             +-----+-----+-----+-----+
 *             |  o  |     | o o |     |        each an idstack of caches, with all that they hold
 *             +-----+-----+-----+-----+
 *
 * A thread that comes takes the one that was left last on the CPU where it runs, if there is one: what it
 * holds is in that CPU's memory caches. Servers that hand their work on from thread to thread would
 * otherwise get, each time, what another CPU has just written. If there is none, any of the node's.
 *
 * What lies here serves nobody, so it is bounded, by count and by bytes; who finds it full empties its
 * cache first.
 *
 *               put     get     is_full
 *      any      yes     yes     yes       any number of threads, no lock
 */
#ifndef VL_CACHE_PARKING_H
#define VL_CACHE_PARKING_H

#include "cache/thread.h"

/* Parks a cache of the node, which now is nobody's. */
void vl_parking_put(struct vl_cache *cache);

/* Takes one from the node's, NULL if there is none. */
struct vl_cache *vl_parking_get(unsigned node);

/* Whether a cache that holds `bytes` is to be emptied before it is parked. Of several threads that ask
 * at the same time each may find that it is not. */
bool vl_parking_is_full(unsigned node, int64_t bytes);

/* How many there are, as far as none comes or goes meanwhile. */
unsigned vl_parking_count(unsigned node);

#endif
