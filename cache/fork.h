/*
 * fork - the one duty of making the heap whole again in the child.
 *
 * Nothing is done before a fork, in particular no lock is taken: a prepare handler that waits for a
 * lock of ours, while glibc's stdio locks are about to be taken, would turn their order around and
 * deadlock against getline and fflush in other threads; and forks that run at the same time would
 * wait for one another.
 *
 * The child has one thread. What it inherits is what other threads had stored up to some instant
 * each, so a structure is whole unless its lock is found held. The child
 *
 *      frees every lock, and where it was held, rebuilds lists and counts from bitmaps (regions,
 *      spans) or sets aside what was free (big blocks): primary data is written so that any prefix
 *      of the stores leaves it meaningful;
 *      parks the caches of threads that were not inside a slow path, to be used by threads to come.
 *
 * The child does so in the handler of pthread_atfork, or, if that has not run yet, before the first
 * thing it wants of us: another handler may allocate, and _Fork and clone run none. What tells it is a
 * word that the kernel wipes in children (MADV_WIPEONFORK), watched from the second thread on:
 * before, nobody else can have been busy.
 *
 * Lost to the child are the objects that were on the way between two structures, at most a magazine
 * per thread, and the caches of threads inside a slow path. Lock-free words are whole at any time.
 */
#ifndef VL_CACHE_FORK_H
#define VL_CACHE_FORK_H

#include "core/core.h"

/* Registers the child's handler, once: as early as possible, as handlers run in that order and may
 * allocate. */
void vl_fork_start(void);

/* In the child, before anything is allocated. Also what the tests call. */
void vl_fork_child(void);

/* Has the kernel tell children that they are. Called by each thread but the first, when it gets its
 * cache. */
void vl_fork_watch(void);

/* False in a child that does not know it yet; NULL: it is not watched. */
extern _Atomic(_Atomic bool *) vl_fork_mark;
void vl_fork_notice_slow(void);

/* At the start of a slow path, with nothing under way. */
static inline void vl_fork_notice(void)
{
    _Atomic bool *mark = vl_get_acquire(&vl_fork_mark);
    if (vl_unlikely(mark != NULL && !vl_get(mark)))
        vl_fork_notice_slow();
}

#endif
