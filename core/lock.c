#include "core/lock.h"

#include "core/os.h"
#include "core/verify.h"

/* Long enough for a holder that runs to finish, short enough to be cheap when it does not. */
enum { SPINS = 100 };

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void vl_lock_slow(struct vl_lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        uint32_t seen = VL_LOCK_FREE;
        if (vl_get(&lock->word) == VL_LOCK_FREE &&
            atomic_compare_exchange_weak_explicit(&lock->word, &seen, VL_LOCK_HELD,
                                                  memory_order_acquire, memory_order_relaxed))
            return;
        pause_cpu();
    }
    /* From here on we may have slept, so we take it as CONTENDED: there may be other sleepers. */
    while (atomic_exchange_explicit(&lock->word, VL_LOCK_CONTENDED, memory_order_acquire) !=
           VL_LOCK_FREE)
        vl_os->wait(&lock->word, VL_LOCK_CONTENDED);
}

void vl_unlock_slow(struct vl_lock *lock)
{
    vl_os->wake(&lock->word, 1);
}

#ifdef VL_VERIFY
static _Thread_local int locks_held;

void vl_lock_noted(int change)
{
    locks_held += change;
    VL_CHECK(locks_held == 0 || locks_held == 1);
}
#endif
