/*
 * extent_model - extents as a row of grains, each of which knows its state and whether an extent
 * begins there. Every answer is found by walking along the row.
 *
 * The file that includes it says how long the row is: MODEL_GRAINS.
 */
#ifndef VL_TESTS_EXTENT_MODEL_H
#define VL_TESTS_EXTENT_MODEL_H

#include "hugepage/extent.h"

#include <check.h>
#include <string.h>

struct model_grain {
    uint8_t state;
    bool begins;
    uint64_t freed_ms;
};

/* The real thing and its model, in one copyable piece. */
struct extent_world {
    struct vl_extents extents;
    struct vl_extent table[MODEL_GRAINS];
    struct model_grain row[MODEL_GRAINS + 1]; /* one more: the end of the row is a border, too */
    uint32_t fresh;
    uint64_t now_ms;
};

/* The copy of a world has a table of its own. */
static inline struct vl_extents *extents_of(struct extent_world *world)
{
    world->extents.table = world->table;
    return &world->extents;
}

static inline struct vl_extent *extent_at(struct extent_world *world, uint32_t first)
{
    return &extents_of(world)->table[first];
}

/* --- The model --- */

static inline uint32_t model_grains(const struct extent_world *world, uint32_t first)
{
    uint32_t end = first + 1;
    while (end < world->fresh && !world->row[end].begins)
        end++;
    return end - first;
}

static inline void model_set(struct extent_world *world, uint32_t first, uint32_t grains,
                             enum vl_extent_state state)
{
    for (uint32_t i = 0; i < grains; i++)
        world->row[first + i] = (struct model_grain){(uint8_t)state, i == 0, world->now_ms};
}

/* The border at `grain` goes if both its sides are free in the same way; all of it was then freed
 * as late as its latest part. */
static inline void model_join(struct extent_world *world, uint32_t grain)
{
    if (grain == 0 || grain >= world->fresh || !world->row[grain].begins ||
        world->row[grain].state == VL_EXTENT_USED ||
        world->row[grain - 1].state != world->row[grain].state ||
        (world->row[grain].state == VL_EXTENT_DIRTY && world->extents.dirty_apart))
        return;
    uint32_t first = grain - 1;
    while (!world->row[first].begins)
        first--;
    uint64_t freed = vl_max(world->row[first].freed_ms, world->row[grain].freed_ms);
    world->row[grain].begins = false;
    for (uint32_t i = first; i == first || (i < world->fresh && !world->row[i].begins); i++)
        world->row[i].freed_ms = freed;
}

static inline bool model_is_free(const struct extent_world *world, uint32_t first)
{
    return world->row[first].state != VL_EXTENT_USED;
}

/* Grains of the smallest extent of `state` that has enough, or 0. */
static inline uint32_t model_best_fit(const struct extent_world *world, enum vl_extent_state state,
                                      uint32_t grains)
{
    uint32_t best = 0;
    for (uint32_t first = 0; first < world->fresh; first += model_grains(world, first)) {
        uint32_t here = model_grains(world, first);
        if (world->row[first].state == state && here >= grains && (best == 0 || here < best))
            best = here;
    }
    return best;
}

/* --- Both agree --- */

#define model_assert(condition, ...)                   \
    do {                                               \
        if (!(condition))                              \
            ck_abort_msg(#condition ": " __VA_ARGS__); \
    } while (0)

static inline void check_extents(struct extent_world *world)
{
    struct vl_extents *extents = extents_of(world);
    uint64_t used = 0, dirty = 0;
    model_assert(vl_extents_valid(extents), "at %u ms", (unsigned)world->now_ms);
    model_assert(extents->fresh == world->fresh, "%u", extents->fresh);
    for (uint32_t first = 0; first < world->fresh;) {
        const struct vl_extent *extent = &world->table[first];
        uint32_t grains = model_grains(world, first), next = first + grains;
        model_assert(extent->grains == grains, "%u: %u, not %u", first, extent->grains, grains);
        model_assert(extent->state == world->row[first].state, "%u: %u", first, extent->state);
        model_assert(extent->state != VL_EXTENT_DIRTY ||
                         extent->freed_ms == world->row[first].freed_ms,
                     "%u", first);
        /* A pointer into a block must not find an old block there. */
        for (uint32_t inner = first + 1; inner < next; inner++)
            model_assert(world->table[inner].state == VL_EXTENT_NONE, "%u", inner);
        model_assert(vl_extent_after(extents, extent) ==
                         (next < world->fresh ? &world->table[next] : NULL),
                     "%u", first);
        used += extent->state == VL_EXTENT_USED ? grains : 0;
        dirty += extent->state == VL_EXTENT_DIRTY ? grains : 0;
        first = next;
    }
    model_assert(extents->grains_used == used, "%u", (unsigned)used);
    model_assert(extents->grains_dirty == dirty, "%u", (unsigned)dirty);
}

/* The age list holds what is dirty, newest first, and leads back the same way. */
static inline void check_ages(struct extent_world *world)
{
    struct vl_extents *extents = extents_of(world);
    uint64_t listed = 0, freed_ms = UINT64_MAX;
    vl_grain_id newer = {0};
    for (vl_grain_id id = extents->newest; id.plus_one != 0;) {
        const struct vl_extent *extent = vl_extent_at(extents, id);
        model_assert(extent->state == VL_EXTENT_DIRTY, "%u", id.plus_one - 1);
        model_assert(extent->newer.plus_one == newer.plus_one, "%u", id.plus_one - 1);
        model_assert(extent->freed_ms <= freed_ms, "extent %u, freed at %u ms, after one of %u ms",
                     id.plus_one - 1, (unsigned)extent->freed_ms, (unsigned)freed_ms);
        freed_ms = extent->freed_ms;
        listed += extent->grains;
        newer = id;
        id = extent->older;
    }
    model_assert(extents->oldest.plus_one == newer.plus_one, "%u", newer.plus_one);
    model_assert(extents->grains_dirty == listed, "%u", (unsigned)listed);
}

/* What is found for this many grains is free in this way and long enough. */
static inline struct vl_extent *check_find(struct extent_world *world, enum vl_extent_state state,
                                           uint32_t grains)
{
    struct vl_extents *extents = extents_of(world);
    const struct vl_extent_bins *bins =
        state == VL_EXTENT_DIRTY ? &extents->dirty : &extents->clean;
    struct vl_extent *found = vl_extent_find(extents, bins, grains);
    model_assert(found == NULL || (found->state == state && found->grains >= grains), "%u grains",
                 grains);
    return found;
}

/* --- Both change --- */

static inline void unfold_both(struct extent_world *world, uint32_t grains)
{
    uint32_t first = world->fresh;
    world->fresh += grains;
    model_set(world, first, grains, VL_EXTENT_CLEAN);
    model_join(world, first);
    while (!world->row[first].begins)
        first--;
    struct vl_extent *whole = vl_extent_unfold(extents_of(world), grains);
    model_assert(whole == &world->table[first], "%u", first);
}

/* Grains of the free extent that begins at `from`, and of the free ones right after it. */
static inline uint32_t model_free_grains(const struct extent_world *world, uint32_t from)
{
    uint32_t end = from;
    while (end < world->fresh && model_is_free(world, end))
        end++;
    return end - from;
}

/* Out of one extent, or out of several that are free in different ways. */
static inline void take_both(struct extent_world *world, uint32_t from, uint32_t first,
                             uint32_t grains)
{
    bool one = first + grains <= from + model_grains(world, from);
    struct vl_extent *taken =
        one ? vl_extent_carve(extents_of(world), &world->table[from], first, grains)
            : vl_extent_seize(extents_of(world), &world->table[from], first, grains);
    model_assert(taken == &world->table[first], "%u", first);
    model_set(world, first, grains, VL_EXTENT_USED);
    world->row[first + grains].begins = true;
}

static inline void free_both(struct extent_world *world, uint32_t first, enum vl_extent_state state)
{
    uint32_t grains = model_grains(world, first);
    struct vl_extent *whole =
        vl_extent_free(extents_of(world), &world->table[first], state, world->now_ms);
    model_set(world, first, grains, state);
    model_join(world, first + grains);
    model_join(world, first);
    while (!world->row[first].begins)
        first--;
    model_assert(whole == &world->table[first], "%u", first);
}

static inline void split_both(struct extent_world *world, uint32_t first, uint32_t grains)
{
    struct vl_extent *rest = vl_extent_split(extents_of(world), &world->table[first], grains);
    model_assert(rest == &world->table[first + grains], "%u", first);
    world->row[first + grains].begins = true;
}

/* False if there is no other block behind. */
static inline bool join_both(struct extent_world *world, uint32_t first)
{
    uint32_t next = first + model_grains(world, first);
    if (next >= world->fresh || world->row[next].state != VL_EXTENT_USED)
        return false;
    vl_extent_join(extents_of(world), &world->table[first]);
    world->row[next].begins = false;
    return true;
}

#endif
