/*
 * find - where valloc is in another process.
 *
 * Each file that is mapped there with its ELF header is looked at: the note that cache/layout.h
 * describes says where the tables are. There may be several, as of a program that has valloc linked
 * in and preloaded; the heap in use is the one that has slices.
 */
#ifndef VL_MAP_FIND_H
#define VL_MAP_FIND_H

#include "cache/cache.h"
#include "map/remote.h"

/* Addresses in the other process. */
struct tables {
    struct vl_layout layout;
    uint64_t slices, page_heaps, big_heaps;
    uint32_t slice_count;
};

/* Ends the tool with a message if there is no valloc, or one that is not known here. */
void find_tables(const struct remote *remote, struct tables *tables);

#endif
