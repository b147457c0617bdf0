/*
 * lock - a word: free, held, or held with sleepers.
 *
 *      FREE --lock--> HELD --lock by another--> CONTENDED        unlock: -> FREE, and wakes one
 *                                                                sleeper if it was CONTENDED
 *
 * Held for tens of nanoseconds, so a waiter spins a little before it sleeps in the kernel. Rules:
 * a thread holds at most one lock of ours at a time (so there is no order to get wrong: verify
 * builds check it), and no system call is made while it is held.
 *
 * Fork: nothing is taken before a fork. In the child every lock word is reset, and whatever a
 * lock that was found held protects is rebuilt from its primary data (cache/fork.c).
 */
#ifndef VL_CORE_LOCK_H
#define VL_CORE_LOCK_H

#include "core/atomic.h"
#include "core/bits.h"

enum { VL_LOCK_FREE, VL_LOCK_HELD, VL_LOCK_CONTENDED };

struct vl_lock {
    _Atomic uint32_t word;
};

void vl_lock_slow(struct vl_lock *lock);
void vl_unlock_slow(struct vl_lock *lock);

/* In verify builds: counts the locks this thread holds; more than one is a mistake of ours. */
#ifdef VL_VERIFY
void vl_lock_noted(int change);
#else
static inline void vl_lock_noted(int change)
{
    (void)change;
}
#endif

static inline void vl_lock(struct vl_lock *lock)
{
    uint32_t seen = VL_LOCK_FREE;
    vl_lock_noted(+1);
    if (vl_unlikely(!atomic_compare_exchange_strong_explicit(
            &lock->word, &seen, VL_LOCK_HELD, memory_order_acquire, memory_order_relaxed)))
        vl_lock_slow(lock);
}

static inline void vl_unlock(struct vl_lock *lock)
{
    vl_lock_noted(-1);
    if (vl_unlikely(atomic_exchange_explicit(&lock->word, VL_LOCK_FREE, memory_order_release) ==
                    VL_LOCK_CONTENDED))
        vl_unlock_slow(lock);
}

/* Child of a fork only: frees the lock, and tells whether somebody held it. */
static inline bool vl_lock_reset(struct vl_lock *lock)
{
    if (vl_get(&lock->word) == VL_LOCK_FREE)
        return false; /* and its page stays shared with the parent */
    vl_set(&lock->word, VL_LOCK_FREE);
    return true;
}

#endif
