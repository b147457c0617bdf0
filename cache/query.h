/*
 * query - what can be said of any pointer: ours or not, in use or not, even wild.
 *
 * The address space that a pointer leads into may be taken away by another thread meanwhile, so what
 * tables say is read inside a section of core/rcu. A block that was freed may count as one in use as
 * long as it lies in a cache: spans learn of it later.
 */
#ifndef VL_CACHE_QUERY_H
#define VL_CACHE_QUERY_H

#include <stdbool.h>
#include <stddef.h>

/* Whether it points into the heap, that is memory which blocks are taken from. */
bool vl_query_owns(const void *pointer);

/* Bytes of the block that begins there; 0 if none does. */
size_t vl_query_bytes(const void *pointer);

/* Number of the NUMA node that the memory there lies on; -1 if none has been touched there. */
int vl_query_node(const void *pointer);

#endif
