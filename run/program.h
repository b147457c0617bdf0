/*
 * program - the program that is to run: where it is, and whether a library can be preloaded to it.
 *
 * The dynamic linker does not preload to a program that gains rights when it starts (setuid, file
 * capabilities), to one for another machine than the library's, and is not even there in a static
 * one: such programs would run, but not under valloc. For a script, its interpreter is looked at.
 */
#ifndef VL_RUN_PROGRAM_H
#define VL_RUN_PROGRAM_H

#include "run/library.h"

/* Ends the tool, and says why, if `name` would not run, or not with the library. */
void program_check(const char *name, const struct library *library);

#endif
