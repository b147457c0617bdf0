/*
 * pool - what the tests of the kernel's pools of huge pages share.
 *
 * The pools are the machine's: one test program at a time changes their sizes, and puts them back. A
 * control group of their own (the hugetlb controller of cgroups, mounted in a new folder) may have
 * a part of them only.
 */
#ifndef VL_TESTS_API_POOL_H
#define VL_TESTS_API_POOL_H

#include "support.h"

/* Waits for the other test programs; false if there are no pools. */
bool pool_lock(void);
void pool_unlock(void);

/* Fixtures; where the controller cannot be mounted, there is no group. */
void pool_group_make(void);
void pool_group_remove(void);

/* Writes a limit of the group; false if there is none. */
bool pool_group_limit(const char *file, long value);

/* This process goes there. */
bool pool_group_enter(void);

/* A figure of VALLOC_STATS=json that a child has printed. */
unsigned long pool_told(const struct outcome *outcome, const char *name);

#endif
