/*
 * child - runs a program as a child, and tells what it took.
 *
 * Who waits is not to be noticed: signals sent to us go on to the program, those of the terminal
 * reach it anyway, and in the end we can die as it did.
 *
 * The child is made by vfork(2). After fork(2) it would account for copies of our pages, and its
 * peak memory would not be less for it: the kernel has that begin at the parent's. Small programs
 * take fewer page faults than such copies are.
 */
#ifndef VL_RUN_CHILD_H
#define VL_RUN_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child_figures {
    double wall_s, user_s, sys_s;
    long rss_peak_kb; /* the highest of it and of the children it waited for */
    long minor_faults, major_faults;
    int error;  /* of the start; 0 if it has run, and only then the rest is something */
    int status; /* as from wait4(2) */
};

/* Set in the child's environment if `tell_pid`: statistics of itself, not of what it starts. */
#define CHILD_PID_VARIABLE "VALLOC_STATS_PID"

struct child_figures child_run(char **command, bool tell_pid);

/* Ends this process as the child ended: same exit status, or same signal. */
_Noreturn void child_end_like(int status);

#endif
