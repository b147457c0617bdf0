/*
 * atomic - C11 orders under short names.
 *
 * vl_get / vl_set are relaxed: for words with one writer that others read as statistics, and for
 * words whose order is given by something else, which the caller names. Acquire, release and the
 * compare-and-swap of word-sized states are spelled out at each use.
 */
#ifndef VL_CORE_ATOMIC_H
#define VL_CORE_ATOMIC_H

#include <stdatomic.h>

#define vl_get(object) atomic_load_explicit((object), memory_order_relaxed)
#define vl_set(object, value) atomic_store_explicit((object), (value), memory_order_relaxed)
#define vl_get_acquire(object) atomic_load_explicit((object), memory_order_acquire)
#define vl_set_release(object, value) atomic_store_explicit((object), (value), memory_order_release)
#define vl_add(object, value) atomic_fetch_add_explicit((object), (value), memory_order_relaxed)

/* The same for a plain object that its one writer reads and writes without atomics, so that the
 * compiler is free to fold addresses (one instruction of malloc, one of free); others look at it
 * with vl_peek. Under the thread sanitizer the writer's stores are atomic, which it can follow. */
#define vl_peek(object) __atomic_load_n((object), __ATOMIC_RELAXED)
#ifdef __SANITIZE_THREAD__
#define vl_own_set(object, value) __atomic_store_n((object), (value), __ATOMIC_RELAXED)
#else
#define vl_own_set(object, value) (*(object) = (value))
#endif

/* For the child of a fork: a page that is not written stays its parent's, and costs no page fault. */
#define vl_set_if_other(object, value)                                                            \
    do {                                                                                          \
        if (vl_get(object) != (value))                                                            \
            vl_set((object), (value));                                                            \
    } while (0)

/* Counter with a single writer: no locked instruction. */
#define vl_count(object, value) vl_set((object), vl_get(object) + (value))

/* One try of a transition old -> new. Release: what was written before is seen by whoever reads
 * `new` with acquire. Acquire on both outcomes: `*old` may be followed. */
#define vl_swap_if(object, old, new)                                                              \
    atomic_compare_exchange_weak_explicit((object), (old), (new), memory_order_acq_rel,           \
                                          memory_order_acquire)

#endif
