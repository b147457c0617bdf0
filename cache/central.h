/*
 * central - the spans of one class in one heap, behind a lock.
 *
 *      list 0: up to a quarter free      1: up to half      2: more      3: all free
 *
 * Objects are taken from the fullest span first, so that the emptier ones get a chance to become
 * empty and go back. A full span is in no list; of the empty ones a single one is kept, if small. Threads
 * come here for a magazine's worth of objects at a time, and only when the depot has none.
 *
 * No other lock is ever taken under this one: spans are made before and unmade after.
 */
#ifndef VL_CACHE_CENTRAL_H
#define VL_CACHE_CENTRAL_H

#include "cache/span.h"

enum { VL_SPAN_LISTS = 4, VL_SPAN_EMPTY = VL_SPAN_LISTS - 1, VL_SPAN_FULL = VL_SPAN_LISTS };

enum { VL_MIXED_MAX = 64 };

struct vl_central {
    _Alignas(VL_CACHE_LINE) struct vl_lock lock; /* protects all of it, and the spans */
    vl_span_id lists[VL_SPAN_LISTS];
    /* Written under the lock, read by anybody as statistics. */
    _Atomic uint32_t spans;
    _Atomic uint64_t objects_free;
};

struct vl_heap;

/* Up to `count` objects of `class` of a heap; of another node's if this one is a node's and has none.
 * Ascending as far as they are of one span. 0 if there is no memory. */
unsigned vl_central_take(struct vl_heap *heap, unsigned class, void **objects, unsigned count);

/* Gives back objects of `class`, of whichever heaps. Dies if one was not in use; `function` is what
 * the program called. */
void vl_central_give(unsigned class, void *const *objects, unsigned count, const char *function);

/* The same with up to VL_MIXED_MAX objects of any classes, which outboxes have brought: counted. */
extern _Atomic uint64_t vl_arrived_blocks, vl_arrived_bytes;
void vl_central_give_mixed(void *const *objects, unsigned count, const char *function);

/* Whether an object of `class` begins at a pointer into `slice` and is not among the free ones of its
 * span: in use, or in a cache. */
bool vl_central_has_out(const struct vl_slice *slice, unsigned class, const void *pointer);

/* The bitmap of the free objects of the span of `class` that begins at `start`; returns the number of
 * its objects, 0 if there is no such span any more. */
unsigned vl_central_copy(const struct vl_slice *slice, unsigned class, const char *start,
                         uint64_t free[VL_SPAN_WORDS_MAX]);

/* Unmakes the spans of `class` that are empty. */
void vl_central_release_empty(struct vl_heap *heap, unsigned class);

/* All centrals of a heap forget their spans, which are no more. */
void vl_central_forget(struct vl_heap *heap);

/* Child of a fork: frees a heap's locks; where one was held, builds the lists anew from the spans. */
void vl_central_after_fork(struct vl_heap *heap);

#endif
