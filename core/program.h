/*
 * program - what the running program's own file tells, as the kernel and the dynamic linker have put it
 * into memory. Needs neither libc's list of libraries nor its lock: can be asked before anything else.
 */
#ifndef VL_CORE_PROGRAM_H
#define VL_CORE_PROGRAM_H

#include <stdbool.h>

/* Whether an address is the program's, not a library's. */
bool vl_program_holds(const void *address);

/* Whether the program takes this function or variable from a library. */
bool vl_program_needs(const char *symbol);

#endif
