/*
 * face - how a part looks: its colours and marks, as classes and patterns of the picture.
 *
 *      fill       fullness of what is in use, pale to dark; or free with memory, without, lost
 *      mark       what pages it has; none: huge ones
 *
 * Colours are ordered by lightness, so that they stay in order for any eye and in grey; what is not
 * fullness has a shape of its own.
 */
#ifndef VL_MAP_FACE_H
#define VL_MAP_FACE_H

#include "map/heap.h"

#include <stdio.h>

enum { FILLS = 9 }; /* of what is in use; behind them one for each other state */
enum fill { FILL_KEPT = FILLS, FILL_CLEAN, FILL_LOST };

enum mark { MARK_HUGE, MARK_MIXED, MARK_SMALL, MARK_POOL, MARK_NONE, MARKS };

struct face {
    unsigned fill;
    enum mark mark;
};

/* Of any number of parts together: the sums over them, each state by its bytes. */
struct mass {
    uint64_t state_size[PART_STATES];
    uint64_t used, resident, huge;
    uint64_t pool_size;
    uint64_t runs, count;
    uint64_t start, size;
    uint32_t object; /* of the first */
};

void mass_add(struct mass *mass, const struct part *part);
enum part_state mass_state(const struct mass *mass);

/* `known`: whether page kinds are. */
struct face face_of(const struct mass *mass, bool known);

/* A pale tile needs dark marks, a dark one pale ones. NULL: no mark. */
const char *face_mark_class(const struct face *face);

/* The style sheet, and the patterns for tiles of so many pixels. */
void face_write_styles(FILE *file, double tile);

#endif
