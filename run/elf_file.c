#include "run/elf_file.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define OURS (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

static bool read_at(int fd, void *to, size_t size, uint64_t offset)
{
    return pread(fd, to, size, (off_t)offset) == (ssize_t)size;
}

/* The type of a program header is the first word of it in both classes. */
static bool has_linker(int fd, uint64_t offset, unsigned entry_size, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t type;
        if (!read_at(fd, &type, sizeof type, offset + (uint64_t)i * entry_size))
            return false;
        if (type == PT_INTERP)
            return true;
    }
    return false;
}

bool elf_file_read(int fd, struct elf_file *elf)
{
    union {
        unsigned char ident[EI_NIDENT];
        Elf32_Ehdr narrow;
        Elf64_Ehdr wide;
    } head = {0};

    if (!read_at(fd, &head, sizeof head.narrow, 0) || memcmp(head.ident, ELFMAG, SELFMAG) != 0)
        return false;
    /* Type and machine lie at the same place in both classes. */
    *elf = (struct elf_file){
        .bits = head.ident[EI_CLASS] == ELFCLASS32 ? 32 : 64,
        .machine = head.narrow.e_machine,
        .is_shared = head.narrow.e_type == ET_DYN,
    };
    if (head.ident[EI_DATA] != OURS)
        elf->machine = EM_NONE;
    else if (elf->bits == 32)
        elf->has_linker =
            has_linker(fd, head.narrow.e_phoff, head.narrow.e_phentsize, head.narrow.e_phnum);
    else if (read_at(fd, &head, sizeof head.wide, 0))
        elf->has_linker =
            has_linker(fd, head.wide.e_phoff, head.wide.e_phentsize, head.wide.e_phnum);
    return true;
}
