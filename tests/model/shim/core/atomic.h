/*
 * atomic - core/atomic.h for model tests: the same names, and a decision of the explorer before
 * every access (tests/model/explore.h). Found before the true one, as its folder comes first.
 *
 * Orders are dropped: all accesses are made by one real thread, one after the other.
 */
#ifndef VL_CORE_ATOMIC_H
#define VL_CORE_ATOMIC_H

#include <stdatomic.h>

#include "tests/model/explore.h"

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit

/* In the type of what an atomic object holds; a statement, as callers may drop it. */
#define model_value(object, bits) __extension__({ (__typeof__(((void)0, *(object))))(bits); })

#define atomic_load_explicit(object, order) \
    model_value((object), explore_load((object), sizeof *(object)))
#define atomic_store_explicit(object, value, order) \
    explore_store((object), sizeof *(object), (uint64_t)(value))
#define atomic_exchange(object, value) \
    model_value((object), explore_exchange((object), sizeof *(object), (uint64_t)(value)))
#define atomic_exchange_explicit(object, value, order) atomic_exchange((object), (value))
#define atomic_fetch_add_explicit(object, value, order) \
    model_value((object), explore_add((object), sizeof *(object), (uint64_t)(value)))
#define atomic_fetch_sub_explicit(object, value, order) \
    model_value((object), explore_add((object), sizeof *(object), -(uint64_t)(value)))
#define atomic_compare_exchange_strong(object, expected, desired) \
    explore_swap_if((object), sizeof *(object), (expected), (uint64_t)(desired), false)
#define atomic_compare_exchange_strong_explicit(object, expected, desired, yes, no) \
    atomic_compare_exchange_strong((object), (expected), (desired))
#define atomic_compare_exchange_weak_explicit(object, expected, desired, yes, no) \
    explore_swap_if((object), sizeof *(object), (expected), (uint64_t)(desired), true)

/* What follows is as in the true one. */
#define vl_get(object)                atomic_load_explicit((object), memory_order_relaxed)
#define vl_set(object, value)         atomic_store_explicit((object), (value), memory_order_relaxed)
#define vl_get_acquire(object)        atomic_load_explicit((object), memory_order_acquire)
#define vl_set_release(object, value) atomic_store_explicit((object), (value), memory_order_release)
#define vl_add(object, value)         atomic_fetch_add_explicit((object), (value), memory_order_relaxed)
#define vl_set_if_other(object, value) ((void)(vl_get(object) != (value) && (vl_set((object), (value)), true)))
#define vl_swap_if(object, old, new)                                                    \
    atomic_compare_exchange_weak_explicit((object), (old), (new), memory_order_acq_rel, \
                                          memory_order_acquire)

/* Words with one writer, which others read as statistics only: no decision here, or a cache that is
 * flushed would be hundreds of them. Its memory is watched. */
#define vl_peek(object)           (*(object))
#define vl_own_set(object, value) (*(object) = (value))
#define vl_count(object, value)   ((void)(*(object) += (value)))

#endif
