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
 * Lost to the child are the objects that were on the way between two structures, at most a magazine
 * per thread, and the caches of threads inside a slow path. Lock-free words are whole at any time.
 */
#ifndef VL_CACHE_FORK_H
#define VL_CACHE_FORK_H

/* Registers the child's handler, once: as early as possible, as handlers run in that order and may
 * allocate. */
void vl_fork_start(void);

/* In the child, before anything is allocated. Also what the tests call. */
void vl_fork_child(void);

#endif
