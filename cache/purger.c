#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cache/purger.h"

#include "cache/helper.h"
#include "numa/numa.h"

#include <errno.h>
#include <pthread.h>

#define LOOK_EACH_MIN_MS UINT64_C(10)
#define LOOK_EACH_MAX_MS UINT64_C(1000)
enum { LOOKS_BY_DELAY = 4 };

enum purger_state {
    NONE, /* also while it is being made, and for ever if it cannot be */
    LOOKING,
    SLEEPING,
};

static _Atomic uint32_t state; /* the thread sleeps on it as a futex */
static _Atomic bool made;      /* or tried to */

static uint64_t pause_ms(void)
{
    uint64_t share = (uint64_t)vl_options.purge_delay_ms / LOOKS_BY_DELAY;
    return vl_max(LOOK_EACH_MIN_MS, vl_min(share, LOOK_EACH_MAX_MS));
}

/* With VALLOC_PURGE_DELAY=-1, which mallopt can set at any time, there is nothing to wait for. */
static bool has_work(void)
{
    return vl_options.purge_delay_ms >= 0 && vl_place_has_free();
}

static void *purge_for_ever(void *unused)
{
    pthread_setname_np(pthread_self(), "valloc-purge");
    for (;;) {
        vl_set(&state, LOOKING);
        while (has_work()) {
            vl_os->sleep_ms(pause_ms());
            if (vl_options.purge_delay_ms >= 0)
                vl_place_purge((uint64_t)vl_options.purge_delay_ms);
        }
        vl_set(&state, SLEEPING);
        vl_os->wait(&state, SLEEPING);
    }
    return unused;
}

static void make_once(void)
{
    int errno_before = errno;
    if (!atomic_exchange(&made, true))
        vl_helper_start(purge_for_ever, NULL);
    errno = errno_before;
}

void vl_purger_wake(bool may_make)
{
    if (!vl_options.purge_thread || vl_options.purge_delay_ms < 0)
        return;
    uint32_t sleeping = SLEEPING;
    if (!vl_get(&made)) {
        if (may_make)
            make_once();
    } else if (vl_get(&state) == SLEEPING &&
               atomic_compare_exchange_strong(&state, &sleeping, LOOKING))
        vl_os->wake(&state, 1);
}

void vl_purger_after_fork(void)
{
    vl_set_if_other(&state, NONE);
    vl_set_if_other(&made, false);
}
