/*
 * purger - a thread that gives free memory back while the program does nothing (VALLOC_PURGE_THREAD).
 *
 * Without it, memory that has been free for VALLOC_PURGE_DELAY goes back in some thread's slow path; a
 * program that falls idle after a burst keeps it. There is no such thread unless asked for: on a
 * compute node it would be noise.
 *
 *      none  --a slow path-->  looks every quarter of the delay  --nothing is free-->  sleeps
 *        ^                              ^                                                |
 *        |                              +------------------a slow path-------------------+
 *      in the child of a fork
 *
 * It takes no signals, inherits the CPUs of the thread that makes it, and allocates nothing.
 */
#ifndef VL_CACHE_PURGER_H
#define VL_CACHE_PURGER_H

#include "core/core.h"

/* From a slow path with nothing under way, now and then: wakes the thread, or makes it, if it may. */
void vl_purger_wake(bool may_make);

/* Child of a fork: there is none. */
void vl_purger_after_fork(void);

#endif
