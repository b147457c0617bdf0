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
 * `library`: &found once it is loaded. `counted`: counted sections that are open.
 *
 * A reader reads `library` or adds itself to `counted`, then looks for what it wants. A writer hides
 * that, then looks at both, by exchanges that change nothing: whatever comes after one of them in the
 * order of its word - a reader's addition, or the exchange that publishes the library and that a
 * reader has seen - has acquired what the writer did before, and finds nothing any more.
 */
static _Atomic(const struct library *) library;
static _Atomic uint32_t counted;

/* Sections of either kind that this thread has open. */
static _Thread_local uint32_t own_sections __attribute__((tls_model("initial-exec")));

enum { PATIENCE_MS = 1000 };

enum vl_rcu_section vl_rcu_read(void)
{
    const struct library *urcu = vl_get_acquire(&library);
    own_sections++;
    if (urcu != NULL) {
        urcu->read_lock();
        return VL_RCU_LIBRARY;
    }
    atomic_fetch_add_explicit(&counted, 1, memory_order_acq_rel);
    return VL_RCU_COUNTED;
}

void vl_rcu_done(enum vl_rcu_section section)
{
    own_sections--;
    if (section == VL_RCU_LIBRARY)
        found.read_unlock();
    /* In the child of a fork it has been counted since. */
    if (section == VL_RCU_COUNTED || vl_get_acquire(&library) == NULL)
        atomic_fetch_sub_explicit(&counted, 1, memory_order_acq_rel);
}

static bool none_counted(void)
{
    return atomic_fetch_add_explicit(&counted, 0, memory_order_acq_rel) == 0;
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
    return own_sections == 0 && none_counted() && latest_library() == NULL;
}

bool vl_rcu_wait(void)
{
    uint64_t started_ms = vl_os->clock_ms();
    if (own_sections != 0)
        return false;
    while (!none_counted()) {
        if (vl_os->clock_ms() - started_ms > PATIENCE_MS)
            return false;
        vl_os->yield();
    }
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
    vl_set(&counted, own_sections);
    vl_set_release(&library, NULL);
}
