#include "hugepage/stall.h"

enum { TIMED_EACH = 16, HOLD_MIN_MS = 1000, HOLD_MAX_MS = 64 * 1000 };

/* A huge page is cleared in a tenth of this; one collapsed is found, filled and put in place. */
#define SLOW_TOUCH_NS    UINT64_C(1000000)
#define SLOW_COLLAPSE_NS UINT64_C(30000000)

_Atomic uint32_t vl_stall_holds;

static _Atomic uint32_t touches;     /* that asked to be timed */
static _Atomic uint64_t held_until;  /* on the clock of ms; 0: never was */
static _Atomic uint32_t last_hold;   /* in ms; 0: the latest touch that was timed was quick */
static _Atomic uint64_t compactions; /* the kernel's count when it was last read, plus one */

static bool is_asked(void)
{
    return vl_options.hugepage_mode == VL_HUGEPAGE_AUTO;
}

bool vl_stall_is_held(void)
{
    uint64_t until = vl_get(&held_until);
    return until != 0 && is_asked() && vl_os->clock_ms() < until;
}

static void hold(void)
{
    uint32_t longer = 2 * vl_get(&last_hold);
    uint32_t length = longer < HOLD_MIN_MS ? HOLD_MIN_MS : longer < HOLD_MAX_MS ? longer : HOLD_MAX_MS;
    vl_set(&last_hold, length);
    vl_set(&held_until, vl_os->clock_ms() + length);
    vl_add(&vl_stall_holds, 1);
}

/* Whether the kernel has compacted memory since this was last asked, or does not say. */
static bool has_compacted(void)
{
    uint64_t before = vl_get(&compactions), now = vl_os->compactions() + 1;
    vl_set(&compactions, now);
    return now == 0 || (before != 0 && now != before);
}

static void judge(uint64_t ns, uint64_t slow)
{
    if (ns < slow)
        vl_set(&last_hold, 0);
    else if (has_compacted())
        hold();
}

/* The first, each sixteenth, and each while a hold is not yet forgotten. */
static bool is_due(void)
{
    return vl_add(&touches, 1) % TIMED_EACH == 0 || vl_get(&last_hold) != 0;
}

/* By its end, from where the kernel is quicker to clear it (populate_ends in core/os_linux.c). Not by an access:
 * others may have the end by now, and have made it one that cannot be written to. Kernels before 5.14 know no
 * other way. */
static void touch(char *region, char *used)
{
    char *end = region + VL_REGION_SIZE;
    if (vl_os->advise(end - vl_os_page_size, vl_os_page_size, VL_ADVICE_POPULATE) != 0)
        *(volatile char *)used = 0;
}

void vl_stall_first_touch(char *region, char *used)
{
    if (!is_asked() || !is_due()) {
        touch(region, used);
        return;
    }
    if (vl_get(&compactions) == 0)
        has_compacted(); /* what to compare with */
    uint64_t start = vl_os->clock_ns();
    touch(region, used);
    judge(vl_os->clock_ns() - start, SLOW_TOUCH_NS);
}

void vl_stall_watch_collapse(uint64_t ns)
{
    if (is_asked() && ns >= SLOW_COLLAPSE_NS && has_compacted())
        hold();
}
