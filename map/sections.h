/*
 * sections - the parts of a heap as they are shown: a node, an allocator object, all big blocks.
 *
 * Slices are how the process reserves address space; who looks at a picture asks whose memory it
 * is.
 */
#ifndef VL_MAP_SECTIONS_H
#define VL_MAP_SECTIONS_H

#include "map/figures.h"

enum section_kind { SECTION_NODE, SECTION_OBJECT, SECTION_OTHERS, SECTION_NOBODY, SECTION_BIG };

struct section {
    enum section_kind kind;
    int number; /* node, or index of the object */
    struct figures figures;
    const struct part **parts; /* by address, within each stretch */
    size_t count;
};

struct sections {
    struct section *list;
    size_t count;
};

/* Objects beyond this many are shown together. */
enum { SECTION_OBJECTS_MAX = 32 };

/* In the order of their kinds. They point into the heap. */
struct sections sections_of(const struct heap *heap);
void sections_free(struct sections *sections);

enum { SECTION_TITLE = 96 };
void section_title(const struct heap *heap, const struct section *section,
                   char text[SECTION_TITLE]);

#endif
