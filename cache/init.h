/*
 * init - the start of everything, once, in the first call of any entry point.
 *
 * That first call may come from the dynamic linker, before any constructor, before libc knows the
 * environment. No lock is held while starting. A call that arrives meanwhile waits, unless it comes
 * from the starting thread itself (a hooked mmap that allocates): that one is served from cache/boot.
 *
 * What can wait until the library's constructor does: messages about the environment, distances
 * between nodes, the fork handlers. A process that never allocates, like true(1), maps nothing.
 */
#ifndef VL_CACHE_INIT_H
#define VL_CACHE_INIT_H

#include <stdbool.h>

/* True: ready. False: this very thread is busy starting. */
bool vl_start(void);

bool vl_started(void);

/* Child of a fork: forgets a start that another thread was busy with. */
void vl_start_after_fork(void);

/* The constructor's part, for programs that link the static library without it. */
void vl_start_late(void);

#endif
