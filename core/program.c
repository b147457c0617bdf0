#include "core/program.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

struct headers {
    const ElfW(Phdr) *first;
    size_t count;
    uintptr_t bias; /* of an address in memory over the one in the file */
};

static const ElfW(Phdr) *header_of(const struct headers *headers, uint32_t type)
{
    for (size_t i = 0; i < headers->count; i++)
        if (headers->first[i].p_type == type)
            return &headers->first[i];
    return NULL;
}

static struct headers own_headers(void)
{
    struct headers headers = {
        .first = (const ElfW(Phdr) *)getauxval(AT_PHDR),
        .count = getauxval(AT_PHNUM),
    };
    if (headers.first == NULL)
        headers.count = 0;
    const ElfW(Phdr) *self = header_of(&headers, PT_PHDR);
    if (self != NULL)
        headers.bias = (uintptr_t)headers.first - self->p_vaddr;
    return headers;
}

bool vl_program_holds(const void *address)
{
    struct headers headers = own_headers();
    for (size_t i = 0; i < headers.count; i++) {
        const ElfW(Phdr) *header = &headers.first[i];
        uintptr_t offset = (uintptr_t)address - (headers.bias + header->p_vaddr);
        if (header->p_type == PT_LOAD && offset < header->p_memsz)
            return true;
    }
    return false;
}

struct relocations {
    const ElfW(Rela) *first;
    size_t bytes;
};

/* What the dynamic linker is told about the program. Taken from here and not from the tables of symbols,
 * which do not tell how many symbols they hold. */
struct dynamic {
    const ElfW(Sym) *symbols;
    const char *names;
    struct relocations data, calls;
};

static struct dynamic read_dynamic(const struct headers *headers, const ElfW(Dyn) *entry)
{
    struct dynamic dynamic = {0};
    for (; entry->d_tag != DT_NULL; entry++) {
        /* glibc has made addresses of these, others leave what the file says. */
        uintptr_t address = entry->d_un.d_ptr;
        if (address < headers->bias)
            address += headers->bias;
        switch (entry->d_tag) {
        case DT_SYMTAB:
            dynamic.symbols = (const ElfW(Sym) *)address;
            break;
        case DT_STRTAB:
            dynamic.names = (const char *)address;
            break;
        case DT_RELA:
            dynamic.data.first = (const ElfW(Rela) *)address;
            break;
        case DT_RELASZ:
            dynamic.data.bytes = entry->d_un.d_val;
            break;
        case DT_JMPREL:
            dynamic.calls.first = (const ElfW(Rela) *)address;
            break;
        case DT_PLTRELSZ:
            dynamic.calls.bytes = entry->d_un.d_val;
            break;
        default:
            break;
        }
    }
    return dynamic;
}

static bool is_among(const struct relocations *relocations, const struct dynamic *dynamic,
                     const char *symbol)
{
    size_t count = relocations->first == NULL ? 0 : relocations->bytes / sizeof(ElfW(Rela));
    for (size_t i = 0; i < count; i++) {
        size_t index = ELF64_R_SYM(relocations->first[i].r_info);
        if (index != 0 && dynamic->symbols[index].st_shndx == SHN_UNDEF &&
            strcmp(dynamic->names + dynamic->symbols[index].st_name, symbol) == 0)
            return true;
    }
    return false;
}

bool vl_program_needs(const char *symbol)
{
    struct headers headers = own_headers();
    const ElfW(Phdr) *header = header_of(&headers, PT_DYNAMIC);
    if (header == NULL)
        return false; /* linked statically */
    struct dynamic dynamic =
        read_dynamic(&headers, (const ElfW(Dyn) *)(headers.bias + header->p_vaddr));
    return dynamic.symbols != NULL && dynamic.names != NULL &&
           (is_among(&dynamic.data, &dynamic, symbol) ||
            is_among(&dynamic.calls, &dynamic, symbol));
}
