/*
 * limit - how much memory the heaps may hold together.
 *
 *      0                        soft                  hard
 *      +-------------------------+---------------------+
 *      | held                    |  threads flush,     |  no more: what asks for memory gets none,
 *      |                         |  free memory goes   |  once all that is free has gone back
 *      |                         |  back at once       |
 *      +-------------------------+---------------------+
 *
 * Held are regions with memory, in use or empty, and big blocks, in use or kept. Each heap says what it
 * holds when that changes, under its own lock; asking is one load where there is no limit.
 *
 * A limit may be a share of what the process's cgroup allows. That is shared with other processes, so
 * now and then, as the heaps grow, what these use is subtracted: a limit may sink, and rise again.
 *
 * Who finds the soft limit passed cannot flush anything, as it is in the middle of something: it leaves
 * a request, which threads see to in their next slow path.
 */
#ifndef VL_HUGEPAGE_LIMIT_H
#define VL_HUGEPAGE_LIMIT_H

#include "core/core.h"

void vl_limit_start(void);

/* What a heap holds now, and what it said last. */
void vl_limit_tell(uint64_t *told, uint64_t now);

/* Whether so much more may be held. */
bool vl_limit_allows(uint64_t more);

/* After memory came, without a lock: looks at the soft limit, and at the group's other processes. */
void vl_limit_watch(void);

/* A request has found nothing, and is about to be tried once more: counted, and a limit that had sunk may
 * have risen. Without a lock. */
void vl_limit_refused(void);

/* Whether there is a request to flush and purge, newer than the caller's last one: which it notes. */
extern _Atomic uint32_t vl_limit_requests;
static inline bool vl_limit_is_pressed(uint32_t *last)
{
    uint32_t now = vl_get(&vl_limit_requests);
    bool pressed = now != *last;
    *last = now;
    return pressed;
}

/* For reports. UINT64_MAX: no limit. */
struct vl_limits {
    uint64_t held, soft, hard;
    uint64_t refusals; /* requests that found nothing at first */
};
struct vl_limits vl_limits_now(void);

/* Child of a fork: the sum of what the heaps have told. */
void vl_limit_after_fork(uint64_t told);

#endif
