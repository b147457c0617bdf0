/*
 * binding - threads that are bound to the CPUs of a node, one after the other, where the user asks for it
 * (VALLOC_BIND_THREADS).
 *
 *      threads, as they come     main  1  2  3  4  5  6  7
 *      spread                    0     1  2  3  0  1  2  3      nodes in turn
 *      compact, 2 CPUs each      0     0  1  1  2  2  3  3      as many on a node as it has CPUs for us
 *
 * A thread comes when it first allocates: before it gets its cache, which is of the node that it runs on.
 * The main thread counts first, and stays on its node: that is where the order begins. It is bound when
 * another thread comes; a process with one thread is left alone, as are the programs that it starts, which
 * would inherit that.
 *
 * Nobody is bound twice: where OpenMP, MPI or the batch system binds, or the process may not run on all CPUs
 * that it could be allowed, valloc says so in one line and does nothing. A thread that has seen to its affinity
 * itself is left alone: that is one whose CPUs are neither all nor those of a node, which are what threads
 * inherit. Nor does it decide.
 *
 *      UNDECIDED --first such thread but main--> BINDING or OFF    by one thread, others wait for it
 */
#ifndef VL_NUMA_BINDING_H
#define VL_NUMA_BINDING_H

#include "core/core.h"

/* Looks for others that bind, once, at the start, where threads are to be bound. */
void vl_binding_start(char *const *environment);

/* This thread comes. */
void vl_binding_come(void);

/* Child of a fork: its threads come anew. */
void vl_binding_after_fork(void);

/* Pure: the place of the nth thread, 0 is the main one, among places with so many CPUs each; the order begins
 * at `first`. */
unsigned vl_binding_place(enum vl_bind_mode mode, uint32_t nth, const uint16_t *cpus,
                          unsigned places, unsigned first);

/* Pure: the variable of an environment that tells somebody else to bind, or NULL. */
const char *vl_binding_rival(char *const *environment);

#endif
