#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/rcu.h"

#include "core/atomic.h"
#include "core/os.h"

#include <stddef.h>
#include <string.h>

#ifdef HAVE_LIBURCU
#include <dlfcn.h>
#endif

struct library {
    void (*read_lock)(void);
    void (*read_unlock)(void);
    int (*read_ongoing)(void);
    void (*synchronize)(void);
};

static struct library found;

/*
 * `library`: &found once it is loaded. `counted`: open sections of each turn.
 *
 * A reader reads `library` or adds itself to one of `counted`, then looks for what it wants. A writer
 * hides that, then looks at all three words, by exchanges that change nothing: whatever comes after
 * one of these in the order of its word - a reader's addition, or the exchange that publishes the
 * library and that a reader has seen - has acquired what the writer did before, and finds nothing any
 * more. Whose turn it is makes no difference to that.
 */
static _Atomic(const struct library *) library;
static _Atomic uint32_t counted[2];
static _Atomic uint8_t turn;

/* Sections that this thread has open, by kind. */
static _Thread_local uint16_t own[3] __attribute__((tls_model("initial-exec")));

enum { PATIENCE_MS = 1000 };

static bool any_own(void)
{
    return own[VL_RCU_EVEN] + own[VL_RCU_ODD] + own[VL_RCU_LIBRARY] != 0;
}

enum vl_rcu_section vl_rcu_read(void)
{
    const struct library *urcu = vl_get_acquire(&library);
    enum vl_rcu_section section =
        urcu != NULL ? VL_RCU_LIBRARY : vl_get(&turn) == 0 ? VL_RCU_EVEN : VL_RCU_ODD;
    own[section]++;
    if (section == VL_RCU_LIBRARY)
        urcu->read_lock();
    else
        atomic_fetch_add_explicit(&counted[section], 1, memory_order_acq_rel);
    return section;
}

void vl_rcu_done(enum vl_rcu_section section)
{
    own[section]--;
    if (section == VL_RCU_LIBRARY) {
        found.read_unlock();
        if (vl_get_acquire(&library) != NULL)
            return;
        section = VL_RCU_EVEN; /* in the child of a fork, it has been counted so since */
    }
    atomic_fetch_sub_explicit(&counted[section], 1, memory_order_acq_rel);
}

static bool none_counted(unsigned which)
{
    return atomic_fetch_add_explicit(&counted[which], 0, memory_order_acq_rel) == 0;
}

static bool wait_for_counted(unsigned which)
{
    uint64_t started_ms = vl_os->clock_ms();
    while (!none_counted(which)) {
        if (vl_os->clock_ms() - started_ms > PATIENCE_MS)
            return false;
        vl_os->yield();
    }
    return true;
}

static const struct library *latest_library(void)
{
    const struct library *seen = NULL;
    atomic_compare_exchange_strong_explicit(&library, &seen, NULL, memory_order_acq_rel,
                                            memory_order_acquire);
    return seen;
}

bool vl_rcu_quiet(void)
{
    return !any_own() && none_counted(0) && none_counted(1) && latest_library() == NULL;
}

bool vl_rcu_wait(void)
{
    if (any_own())
        return false;
    uint8_t next = !vl_get(&turn);
    if (!wait_for_counted(next))
        return false;
    vl_set(&turn, next);
    if (!wait_for_counted(!next))
        return false;
    const struct library *urcu = latest_library();
    if (urcu == NULL)
        return true;
    if (urcu->read_ongoing())
        return false;
    urcu->synchronize();
    return true;
}

#ifdef HAVE_LIBURCU

static bool find(void *handle, const char *name, void *function)
{
    void *address = dlsym(handle, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

void vl_rcu_load(void)
{
    static _Atomic bool tried;
    if (vl_get(&tried) || atomic_exchange(&tried, true))
        return;
    /* Not closed again: threads have sections open, and its own destructors for when they end. */
    void *handle = dlopen(VL_LIBURCU_SONAME, RTLD_NOW | RTLD_LOCAL);
    if (handle != NULL && find(handle, "urcu_bp_read_lock", &found.read_lock) &&
        find(handle, "urcu_bp_read_unlock", &found.read_unlock) &&
        find(handle, "urcu_bp_read_ongoing", &found.read_ongoing) &&
        find(handle, "urcu_bp_synchronize_rcu", &found.synchronize))
        atomic_exchange_explicit(&library, &found, memory_order_acq_rel);
}

#else

void vl_rcu_load(void)
{
}

#endif

void vl_rcu_after_fork(void)
{
    uint32_t even = (uint32_t)own[VL_RCU_EVEN] + own[VL_RCU_LIBRARY];
    vl_set_if_other(&counted[VL_RCU_EVEN], even);
    vl_set_if_other(&counted[VL_RCU_ODD], own[VL_RCU_ODD]);
    vl_set_if_other(&library, NULL);
}
