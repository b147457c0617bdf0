/* figures - the sums over parts, and the sentences that tell them. */
#ifndef VL_MAP_FIGURES_H
#define VL_MAP_FIGURES_H

#include "map/heap.h"

struct figures {
    uint64_t resident, huge, pool; /* bytes; of all parts */
    uint64_t regions, region[PART_STATES];
    uint64_t region_used, region_size; /* bytes; of regions in use */
    uint64_t extents, extent[PART_STATES];
    uint64_t extent_size[PART_STATES]; /* bytes of address space */
};

void figures_add(struct figures *figures, const struct part *part, enum stretch_kind kind);
struct figures figures_of(const struct heap *heap);

enum { SENTENCE = 320 };

/* "97 % of 1.2 GB in huge pages; 412 regions: 380 active (83 % full), 20 empty, 12 clean" */
void figures_headline(const struct figures *figures, enum page_source pages, char text[SENTENCE]);

/* The same without what there is none of, for one section of the picture. */
void figures_sentence(const struct figures *figures, enum page_source pages, char text[SENTENCE]);

/* "1.2 GB" */
void figures_bytes(uint64_t bytes, char text[16]);

/* Whole percent; 100 and 0 only if it is all or nothing. */
unsigned figures_percent(uint64_t part, uint64_t whole);

#endif
