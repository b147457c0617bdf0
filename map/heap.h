/*
 * heap - what is known of a heap that was looked at: the model between reading and drawing.
 *
 *      heap    -> stretches    slices of the process
 *              -> parts        regions of 2 MB, or big blocks and the free space among them
 *              -> objects      names of allocator objects that parts are of
 *
 * It is filled from a process (look.h) or from a dump (dump.h), neither of which can be trusted:
 * what is added here is checked here, so that who reads it need not.
 */
#ifndef VL_MAP_HEAP_H
#define VL_MAP_HEAP_H

#include "core/core.h"

/* Ends of the tool, for give_up of run/message.h. */
enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

enum stretch_kind { STRETCH_NODE, STRETCH_OBJECTS, STRETCH_BIG, STRETCH_KINDS };

/* Of a region, or of big blocks: in use; free with memory; free without; given up. */
enum part_state { PART_USED, PART_KEPT, PART_CLEAN, PART_LOST, PART_STATES };

struct part {
    uint64_t start, size;    /* address space */
    uint64_t used;           /* bytes given out, at most `size` */
    uint64_t resident, huge; /* bytes that hold memory; those in huge pages among them */
    uint32_t runs;           /* of a region */
    uint32_t object;         /* whose it is: index in `objects` plus one; 0: nobody's */
    uint8_t state;
    bool pool; /* its huge pages are the kernel's pool's */
};

struct stretch {
    enum stretch_kind kind;
    int node; /* the kernel's number; -1: it prefers none */
    uint64_t start, size;
    size_t first, count; /* its parts */
};

enum { OBJECT_NAME = 32, VERSION_NAME = 17, PROGRAM_NAME = 32 };

struct object {
    uint64_t serial;
    char name[OBJECT_NAME];
};

/* How it is known which pages are huge. */
enum page_source { PAGES_UNKNOWN, PAGES_SCANNED, PAGES_OF_MAPPINGS, PAGE_SOURCES };

struct heap {
    char version[VERSION_NAME]; /* of the library */
    char program[PROGRAM_NAME];
    long pid;
    enum page_source pages;
    bool torn; /* it changed while it was read: some parts may be wrong or missing */

    struct stretch *stretches;
    size_t stretch_count;
    struct part *parts;
    size_t part_count;
    struct object *objects;
    size_t object_count;
};

/* Bounds of what is taken for a heap: 32 TB of regions. */
enum { HEAP_PARTS_MAX = 1 << 24, HEAP_STRETCHES_MAX = 1 << 12, HEAP_OBJECTS_MAX = 1 << 16 };

/* Parts of the stretch added last are added in the order of their addresses. False, with nothing
 * done, if the addition makes no sense or is too much. */
bool heap_add_stretch(struct heap *heap, const struct stretch *stretch);
bool heap_add_part(struct heap *heap, const struct part *part);
bool heap_add_object(struct heap *heap, const struct object *object);

/* Takes back all parts of the stretch added last. */
void heap_empty_stretch(struct heap *heap);

void heap_free(struct heap *heap);

/* A name for people: ends within `size`, and has no character that a terminal or XML does not
 * like. */
void heap_clean_name(char *name, size_t size);

/* realloc that ends the tool where there is no memory. */
void *heap_memory(void *memory, size_t size);

#endif
