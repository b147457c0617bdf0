/*
 * helper - a thread of valloc's own.
 *
 * It belongs to nobody: it is detached, has a small stack, and takes none of the program's signals from
 * its first instruction on. To make it takes malloc, so it may be made only where malloc may be called.
 */
#ifndef VL_CACHE_HELPER_H
#define VL_CACHE_HELPER_H

#include <stdbool.h>

/* False if there is no thread to be had. */
bool vl_helper_start(void *(*run)(void *argument), void *argument);

#endif
