/*
 * elf_file - what the head of an ELF file tells of it.
 *
 * 32-bit files and those of other machines are read too: that they are such is what is asked.
 */
#ifndef VL_RUN_ELF_FILE_H
#define VL_RUN_ELF_FILE_H

#include <stdbool.h>

struct elf_file {
    unsigned bits;    /* 32 or 64 */
    unsigned machine; /* EM_... */
    bool is_shared;   /* ET_DYN: a library, or a program that runs at any address */
    bool has_linker;  /* names a dynamic linker (PT_INTERP); a static program does not */
};

/* False if the file is none, or cannot be read. */
bool elf_file_read(int fd, struct elf_file *elf);

#endif
