#include "hugepage/limit.h"

/* Growth of the heaps after which the group is looked at again. */
#define WATCHED_EACH ((uint64_t)32 << 20)

/* Growth beyond the soft limit after which threads are asked to flush again: what is in use does not
 * shrink by asking. */
enum { ASKED_EACH_SHARE = 16 };
#define ASKED_EACH_MIN ((uint64_t)4 << 20)

_Atomic uint32_t vl_limit_requests;

static struct {
    bool any, of_group;
    _Atomic uint64_t soft, hard; /* in force now */
} limits = {.soft = UINT64_MAX, .hard = UINT64_MAX};

static _Atomic uint64_t held, refusals;
/* Refusals do not make it look more often than this. */
enum { LOOK_AGAIN_MS = 100 };

static _Atomic uint64_t looked_ms;  /* after a refusal, when */
static _Atomic uint64_t watched_at; /* what was held when the group was looked at last, */
static _Atomic uint64_t asked_at;   /* and when threads were asked to flush; 0: below the limit */

/* Of the group's limit, or without one of the machine's memory, less what others use. */
static uint64_t share_of(int64_t option, const struct vl_cgroup *group, uint64_t own)
{
    uint64_t whole = group->limit != UINT64_MAX ? group->limit : vl_os->memory_bytes();
    uint64_t allowed = whole / 100 * (uint64_t)vl_limit_percent(option);
    uint64_t others = group->limit != UINT64_MAX && group->used > own ? group->used - own : 0;
    return allowed > others ? allowed - others : 0;
}

static uint64_t limit_of(int64_t option, const struct vl_cgroup *group, uint64_t own)
{
    return option == VL_LIMIT_NONE          ? UINT64_MAX
           : vl_limit_percent(option) != 0 ? share_of(option, group, own)
                                            : (uint64_t)option;
}

static void look_at_group(uint64_t own)
{
    struct vl_cgroup group = {.limit = UINT64_MAX};
    if (limits.of_group)
        group = vl_cgroup_read();
    vl_set(&limits.soft, limit_of(vl_options.limit_soft, &group, own));
    vl_set(&limits.hard, limit_of(vl_options.limit_hard, &group, own));
}

void vl_limit_start(void)
{
    limits.any = vl_options.limit_soft != VL_LIMIT_NONE || vl_options.limit_hard != VL_LIMIT_NONE;
    limits.of_group = vl_limit_percent(vl_options.limit_soft) != 0 ||
                      vl_limit_percent(vl_options.limit_hard) != 0;
    if (limits.any)
        look_at_group(vl_get(&held));
}

void vl_limit_tell(uint64_t *told, uint64_t now)
{
    if (now == *told)
        return;
    vl_add(&held, now - *told);
    *told = now;
}

bool vl_limit_allows(uint64_t more)
{
    if (vl_likely(!limits.any))
        return true;
    uint64_t hard = vl_get(&limits.hard), own = vl_get(&held);
    return more <= hard && own <= hard - more;
}

static void watch_soft(uint64_t own)
{
    uint64_t soft = vl_get(&limits.soft), asked = vl_get(&asked_at);
    if (own <= soft) {
        if (asked != 0)
            vl_set(&asked_at, 0);
        return;
    }
    uint64_t step = vl_max(soft / ASKED_EACH_SHARE, ASKED_EACH_MIN);
    if (asked != 0 && own < asked + step)
        return;
    vl_set(&asked_at, own);
    vl_add(&vl_limit_requests, 1);
}

void vl_limit_watch(void)
{
    if (vl_likely(!limits.any))
        return;
    uint64_t own = vl_get(&held), watched = vl_get(&watched_at);
    if (limits.of_group && own - watched >= WATCHED_EACH) { /* also if it has shrunk */
        vl_set(&watched_at, own);
        look_at_group(own);
    }
    watch_soft(own);
}

void vl_limit_after_fork(uint64_t told)
{
    vl_set_if_other(&held, told);
}

void vl_limit_refused(void)
{
    if (!limits.any)
        return;
    vl_add(&refusals, 1);
    uint64_t now = vl_os->clock_ms();
    if (!limits.of_group || now - vl_get(&looked_ms) < LOOK_AGAIN_MS)
        return;
    vl_set(&looked_ms, now);
    look_at_group(vl_get(&held));
}

struct vl_limits vl_limits_now(void)
{
    return (struct vl_limits){
        .held = vl_get(&held),
        .soft = vl_get(&limits.soft),
        .hard = vl_get(&limits.hard),
        .refusals = vl_get(&refusals),
    };
}
