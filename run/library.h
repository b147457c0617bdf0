/*
 * library - where libvalloc.so is, and how a program gets it.
 *
 * Looked for in this order: what VALLOC_LIBRARY names; the build tree that the tool lies in; the
 * place beside the tool where an install has it, so that an installed tree can be moved; the place
 * that configure was told.
 */
#ifndef VL_RUN_LIBRARY_H
#define VL_RUN_LIBRARY_H

#include "run/elf_file.h"

struct library {
    char *path; /* absolute */
    struct elf_file elf;
};

/* Ends the tool if there is none that can be preloaded. */
struct library library_find(void);

/* Puts the library before what LD_PRELOAD has already, or takes it out of there. */
void library_preload(const struct library *library);
void library_unload(const struct library *library);

#endif
