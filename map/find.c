#include "map/find.h"

#include "map/heap.h"
#include "run/message.h"
#include "valloc_version.h"

#include <elf.h>
#include <link.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beyond these it is no file of a linker's. */
enum { HEADERS_MAX = 512, NOTES_MAX = 1 << 16 };

struct search {
    struct tables *tables;
    bool found;
    bool other; /* valloc, but one whose tables are not known here */
    char other_version[sizeof((struct vl_layout *)0)->version + 1];
};

/* ---- what a note leads to ---- */

/* The address that a word of the note is about: `word` is its place in struct vl_layout_note. */
static uint64_t place(uint64_t note, size_t word, int64_t distance)
{
    return note + word + (uint64_t)distance;
}

/* The shape must be the same, as no number of another format can be trusted. */
static bool is_known(const struct vl_layout *layout)
{
    return layout->bytes == sizeof *layout && layout->format == VL_LAYOUT_FORMAT &&
           layout->page_shift == VL_PAGE_SHIFT && layout->region_shift == VL_REGION_SHIFT &&
           layout->grain_shift == VL_GRAIN_SHIFT && layout->slices_max <= UINT16_MAX;
}

static void note_other(struct search *search, const struct vl_layout *layout)
{
    search->other = true;
    memcpy(search->other_version, layout->version, sizeof layout->version);
    heap_clean_name(search->other_version, sizeof search->other_version);
}

static void follow(const struct remote *remote, uint64_t at, struct search *search)
{
    struct vl_layout_note note;
    struct tables tables = {0};
    if (!remote_read(remote, at, &note, sizeof note) ||
        !remote_read(remote, place(at, offsetof(struct vl_layout_note, layout), note.layout),
                     &tables.layout, sizeof tables.layout) ||
        memcmp(tables.layout.magic, VL_LAYOUT_MAGIC, sizeof tables.layout.magic) != 0)
        return;
    if (!is_known(&tables.layout)) {
        note_other(search, &tables.layout);
        return;
    }
    tables.slices = place(at, offsetof(struct vl_layout_note, slices), note.slices);
    tables.page_heaps = place(at, offsetof(struct vl_layout_note, page_heaps), note.page_heaps);
    tables.big_heaps = place(at, offsetof(struct vl_layout_note, big_heaps), note.big_heaps);
    if (!remote_read(remote,
                     place(at, offsetof(struct vl_layout_note, slice_count), note.slice_count),
                     &tables.slice_count, sizeof tables.slice_count) ||
        tables.slice_count > tables.layout.slices_max)
        return;
    if (!search->found || tables.slice_count > search->tables->slice_count)
        *search->tables = tables;
    search->found = true;
}

/* ---- notes of a file ---- */

static size_t padded(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

/* Notes of another alignment than ours are other people's. */
static void read_notes(const struct remote *remote, uint64_t at, const unsigned char *notes,
                       size_t size, struct search *search)
{
    ElfW(Nhdr) head;
    size_t offset = 0;
    while (size - offset >= sizeof head) {
        memcpy(&head, notes + offset, sizeof head);
        size_t name = offset + sizeof head, content = name + padded(head.n_namesz);
        size_t next = content + padded(head.n_descsz);
        if (head.n_namesz > size || head.n_descsz > size || next > size)
            return;
        if (head.n_namesz == sizeof VL_LAYOUT_OWNER &&
            memcmp(notes + name, VL_LAYOUT_OWNER, sizeof VL_LAYOUT_OWNER) == 0) {
            if (head.n_descsz == sizeof(struct vl_layout_note))
                follow(remote, at + content, search);
            else
                search->other = true;
        }
        offset = next;
    }
}

static void read_note_segment(const struct remote *remote, uint64_t at, size_t size,
                              struct search *search)
{
    if (size == 0 || size > NOTES_MAX)
        return;
    unsigned char *notes = heap_memory(NULL, size);
    if (remote_read(remote, at, notes, size))
        read_notes(remote, at, notes, size, search);
    free(notes);
}

/* What was added to the file's addresses when it was mapped: its first byte is at `start` now. */
static bool find_bias(const ElfW(Phdr) * headers, unsigned count, uint64_t start, uint64_t *bias)
{
    for (unsigned i = 0; i < count; i++)
        if (headers[i].p_type == PT_LOAD && headers[i].p_offset == 0) {
            *bias = start - headers[i].p_vaddr;
            return true;
        }
    return false;
}

static void look_into(const struct remote *remote, uint64_t start, void *argument)
{
    ElfW(Ehdr) file;
    ElfW(Phdr) headers[HEADERS_MAX];
    uint64_t bias;
    if (!remote_read(remote, start, &file, sizeof file) ||
        memcmp(file.e_ident, ELFMAG, SELFMAG) != 0 || file.e_ident[EI_CLASS] != ELFCLASS64 ||
        file.e_phentsize != sizeof headers[0] || file.e_phnum > HEADERS_MAX ||
        !remote_read(remote, start + file.e_phoff, headers, file.e_phnum * sizeof headers[0]) ||
        !find_bias(headers, file.e_phnum, start, &bias))
        return;
    for (unsigned i = 0; i < file.e_phnum; i++)
        if (headers[i].p_type == PT_NOTE)
            read_note_segment(remote, bias + headers[i].p_vaddr, headers[i].p_filesz, argument);
}

void find_tables(const struct remote *remote, struct tables *tables)
{
    struct search search = {.tables = tables};
    remote_visit_images(remote, look_into, &search);
    if (search.found)
        return;
    if (search.other)
        give_up(
            STATUS_FAILED,
            "%ld: its valloc%s%s has tables that this valloc-map (%s) does not know: use the one "
            "that came with it",
            (long)remote->pid, search.other_version[0] ? " " : "", search.other_version,
            VALLOC_VERSION);
    if (!remote_lives(remote))
        give_up(STATUS_FAILED, "%ld: the process has ended", (long)remote->pid);
    give_up(STATUS_FAILED, "%ld: %s does not run under valloc", (long)remote->pid, remote->name);
}
