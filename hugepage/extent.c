#include "hugepage/extent.h"

/* Bins are searched for a fit this far, before the next larger bin, where anything fits. */
enum { FIT_TRIES = 8 };

static vl_grain_id id_of(const struct vl_extents *extents, const struct vl_extent *extent)
{
    return (vl_grain_id){vl_extent_first_grain(extents, extent) + 1};
}

struct vl_extent *vl_extent_after(const struct vl_extents *extents, const struct vl_extent *extent)
{
    uint32_t next = vl_extent_first_grain(extents, extent) + extent->grains;
    return next >= extents->lone_end && next < extents->fresh ? &extents->table[next] : NULL;
}

struct vl_extent *vl_extent_before(const struct vl_extents *extents,
                                   const struct vl_extent *extent)
{
    uint32_t first = vl_extent_first_grain(extents, extent);
    return first <= extents->lone_end ? NULL : vl_extent_at(extents, extents->table[first - 1].first);
}

/* Writes down an extent's bounds at both its ends. */
static void set_bounds(struct vl_extents *extents, struct vl_extent *extent, uint32_t grains)
{
    extent->grains = grains;
    extent[grains - 1].first = id_of(extents, extent);
}

static struct vl_extent_bins *bins_of(struct vl_extents *extents, const struct vl_extent *extent)
{
    return extent->state == VL_EXTENT_DIRTY ? &extents->dirty : &extents->clean;
}

/* By age: what is left of an extent of which a part was taken is as old as the whole was. */
static void age_link(struct vl_extents *extents, struct vl_extent *extent)
{
    struct vl_extent *newer = NULL, *older = vl_extent_at(extents, extents->newest);
    while (older != NULL && older->freed_ms > extent->freed_ms) {
        newer = older;
        older = vl_extent_at(extents, older->older);
    }
    vl_grain_id id = id_of(extents, extent);
    extent->older = older != NULL ? id_of(extents, older) : (vl_grain_id){0};
    extent->newer = newer != NULL ? id_of(extents, newer) : (vl_grain_id){0};
    if (newer != NULL)
        newer->older = id;
    else
        extents->newest = id;
    if (older != NULL)
        older->newer = id;
    else
        extents->oldest = id;
}

static void age_unlink(struct vl_extents *extents, struct vl_extent *extent)
{
    struct vl_extent *older = vl_extent_at(extents, extent->older);
    struct vl_extent *newer = vl_extent_at(extents, extent->newer);
    if (older != NULL)
        older->newer = extent->newer;
    else
        extents->oldest = extent->newer;
    if (newer != NULL)
        newer->older = extent->older;
    else
        extents->newest = extent->older;
}

void vl_extent_forget_age(struct vl_extents *extents, struct vl_extent *extent)
{
    if (!extent->ageless)
        age_unlink(extents, extent);
    extent->ageless = true;
}

/* Puts a free extent into its lists. */
static void file(struct vl_extents *extents, struct vl_extent *extent)
{
    struct vl_extent_bins *bins = bins_of(extents, extent);
    unsigned bin = vl_extent_bin(extent->grains);
    struct vl_extent *second = vl_extent_at(extents, bins->first[bin]);
    extent->next = bins->first[bin];
    extent->prev = (vl_grain_id){0};
    bins->first[bin] = id_of(extents, extent);
    if (second != NULL)
        second->prev = bins->first[bin];
    bins->occupied[bin / 64] |= (uint64_t)1 << (bin % 64);
    if (extent->state == VL_EXTENT_DIRTY) {
        extent->ageless = false;
        age_link(extents, extent);
        extents->grains_dirty += extent->grains;
    }
}

static void unfile(struct vl_extents *extents, struct vl_extent *extent)
{
    struct vl_extent_bins *bins = bins_of(extents, extent);
    unsigned bin = vl_extent_bin(extent->grains);
    struct vl_extent *next = vl_extent_at(extents, extent->next);
    struct vl_extent *prev = vl_extent_at(extents, extent->prev);
    if (next != NULL)
        next->prev = extent->prev;
    if (prev != NULL)
        prev->next = extent->next;
    else
        bins->first[bin] = extent->next;
    if (bins->first[bin].plus_one == 0)
        bins->occupied[bin / 64] &= ~((uint64_t)1 << (bin % 64));
    if (extent->state == VL_EXTENT_DIRTY) {
        vl_extent_forget_age(extents, extent);
        extents->grains_dirty -= extent->grains;
    }
}

/* The extent of a bin that fits best among the first few, or NULL. */
static struct vl_extent *best_in_bin(const struct vl_extents *extents, vl_grain_id first,
                                     uint32_t grains)
{
    struct vl_extent *best = NULL;
    struct vl_extent *extent = vl_extent_at(extents, first);
    for (int i = 0; i < FIT_TRIES && extent != NULL; i++) {
        if (extent->grains >= grains && (best == NULL || extent->grains < best->grains))
            best = extent;
        extent = vl_extent_at(extents, extent->next);
    }
    return best;
}

struct vl_extent *vl_extent_find(struct vl_extents *extents, const struct vl_extent_bins *bins,
                                 uint32_t grains)
{
    unsigned from = vl_extent_bin(grains);
    struct vl_extent *best = best_in_bin(extents, bins->first[from], grains);
    if (best != NULL)
        return best;
    for (unsigned word = ++from / 64; word < VL_EXTENT_BIN_WORDS; word++) {
        uint64_t bits = bins->occupied[word];
        if (word == from / 64)
            bits &= ~0ull << (from % 64);
        if (bits != 0)
            return best_in_bin(extents, bins->first[word * 64 + vl_lowest_bit(bits)], grains);
    }
    return NULL;
}

/* A new extent of `state` over grains that belong to none at the moment. */
static struct vl_extent *make(struct vl_extents *extents, uint32_t first, uint32_t grains,
                              const struct vl_extent *like)
{
    struct vl_extent *extent = &extents->table[first];
    *extent = (struct vl_extent){.first = extent->first, .state = like->state,
                                 .freed_ms = like->freed_ms};
    set_bounds(extents, extent, grains);
    return extent;
}

struct vl_extent *vl_extent_carve(struct vl_extents *extents, struct vl_extent *from,
                                  uint32_t first, uint32_t grains)
{
    uint32_t start = vl_extent_first_grain(extents, from);
    uint32_t end = start + from->grains;
    struct vl_extent was = *from;
    unfile(extents, from);
    if (first > start)
        file(extents, make(extents, start, first - start, &was));
    if (first + grains < end)
        file(extents, make(extents, first + grains, end - first - grains, &was));
    struct vl_extent *taken = make(extents, first, grains, &(struct vl_extent){0});
    taken->state = VL_EXTENT_USED;
    extents->grains_used += grains;
    return taken;
}

struct vl_extent *vl_extent_seize(struct vl_extents *extents, struct vl_extent *from,
                                  uint32_t first, uint32_t grains)
{
    uint32_t end = first + grains, at = first;
    while (at < end) {
        uint32_t from_end = vl_extent_first_grain(extents, from) + from->grains;
        uint32_t part_end = from_end < end ? from_end : end;
        struct vl_extent *part = vl_extent_carve(extents, from, at, part_end - at);
        if (at != first)
            part->state = VL_EXTENT_NONE;
        at = part_end;
        from = &extents->table[at];
    }
    set_bounds(extents, &extents->table[first], grains);
    return &extents->table[first];
}

static bool joins(const struct vl_extents *extents, uint8_t state, uint8_t neighbour)
{
    return state == neighbour && !(state == VL_EXTENT_DIRTY && extents->dirty_apart);
}

/* Files a free extent, after joining it with neighbours of the same state. */
static struct vl_extent *coalesce(struct vl_extents *extents, struct vl_extent *extent)
{
    struct vl_extent *next = vl_extent_after(extents, extent);
    if (next != NULL && joins(extents, extent->state, next->state)) {
        unfile(extents, next);
        set_bounds(extents, extent, extent->grains + next->grains);
        next->state = VL_EXTENT_NONE;
    }
    struct vl_extent *prev = vl_extent_before(extents, extent);
    if (prev != NULL && joins(extents, extent->state, prev->state)) {
        unfile(extents, prev);
        prev->freed_ms = extent->freed_ms;
        set_bounds(extents, prev, prev->grains + extent->grains);
        extent->state = VL_EXTENT_NONE;
        extent = prev;
    }
    file(extents, extent);
    return extent;
}

struct vl_extent *vl_extent_unfold(struct vl_extents *extents, uint32_t grains)
{
    uint32_t first = extents->fresh;
    extents->fresh += grains;
    return coalesce(extents, make(extents, first, grains,
                                  &(struct vl_extent){.state = VL_EXTENT_CLEAN}));
}

/* A dirty neighbour that had nothing to give back may have now: it shares a huge page with what is free. */
static void recall_age(struct vl_extents *extents, struct vl_extent *neighbour)
{
    if (neighbour == NULL || neighbour->state != VL_EXTENT_DIRTY || !neighbour->ageless)
        return;
    neighbour->ageless = false;
    age_link(extents, neighbour);
}

struct vl_extent *vl_extent_free(struct vl_extents *extents, struct vl_extent *extent,
                                 enum vl_extent_state state, uint64_t now_ms)
{
    VL_CHECK(extent->state == VL_EXTENT_USED);
    extents->grains_used -= extent->grains;
    extent->state = (uint8_t)state;
    extent->freed_ms = now_ms;
    extent->pieces = 0;
    extent->stray = 0;
    extent->hugetlb = false;
    extent = coalesce(extents, extent);
    recall_age(extents, vl_extent_before(extents, extent));
    recall_age(extents, vl_extent_after(extents, extent));
    return extent;
}

void vl_extent_lose(struct vl_extents *extents, struct vl_extent *extent)
{
    extents->grains_used -= extent->grains;
    extent->state = VL_EXTENT_LOST;
    extents->lost = true;
}

/* What lies behind the seam is the slice's own. */
static void split_hugetlb(struct vl_extent *extent, struct vl_extent *rest, uint32_t grains)
{
    uint32_t pool = extent->seam, giant = vl_extent_giant(extent);
    VL_CHECK(vl_extent_cut(extent, grains) == grains);
    vl_extent_set_hugetlb(extent, pool < grains ? pool : grains, giant < grains ? giant : grains);
    if (pool > grains)
        vl_extent_set_hugetlb(rest, pool - grains, giant > grains ? giant - grains : 0);
}

struct vl_extent *vl_extent_split(struct vl_extents *extents, struct vl_extent *extent,
                                  uint32_t grains)
{
    uint32_t first = vl_extent_first_grain(extents, extent);
    struct vl_extent *rest = make(extents, first + grains, extent->grains - grains,
                                  &(struct vl_extent){.state = VL_EXTENT_USED});
    set_bounds(extents, extent, grains);
    rest->stray = extent->stray;
    if (extent->hugetlb)
        split_hugetlb(extent, rest, grains);
    else if (extent->pieces != 0)
        extent->pieces = rest->pieces = VL_EXTENT_PIECES_MAX;
    return rest;
}

void vl_extent_join(struct vl_extents *extents, struct vl_extent *extent)
{
    struct vl_extent *next = extent + extent->grains;
    VL_CHECK(next->state == VL_EXTENT_USED && next->pieces == 0);
    next->state = VL_EXTENT_NONE;
    set_bounds(extents, extent, extent->grains + next->grains);
}

unsigned vl_extent_pieces(const struct vl_extent *extent, uint32_t grains[VL_EXTENT_PIECES_MAX])
{
    const struct vl_extent *at = extent;
    uint32_t rest = extent->grains;
    unsigned count = 0;
    while (count + 1 < extent->pieces) {
        grains[count] = at->seam;
        rest -= at->seam;
        at += grains[count++];
    }
    grains[count] = rest;
    return count + 1;
}

void vl_extent_set_pieces(struct vl_extent *extent, const uint32_t *grains, unsigned count)
{
    struct vl_extent *at = extent;
    uint32_t rest = extent->grains;
    for (unsigned i = 0; i < count; i++) {
        at->seam = grains[i];
        at += grains[i];
        rest -= grains[i];
    }
    /* Without a rest it would grow into memory of another piece, with no seam noted. */
    extent->pieces = rest == 0 ? VL_EXTENT_PIECES_MAX : (uint8_t)(count + 1);
}

void vl_extent_set_hugetlb(struct vl_extent *extent, uint32_t grains, uint32_t giant)
{
    VL_CHECK(giant <= grains && grains > 1);
    extent[1].seam = giant;
    extent->seam = grains;
    extent->hugetlb = true; /* last: the child of a fork may see what is done so far */
    extent->pieces = VL_EXTENT_PIECES_MAX;
}

bool vl_extents_valid(const struct vl_extents *extents)
{
    uint64_t used = 0, dirty = 0;
    if (extents->lone_end != 0)
        return true; /* in the child of a fork nobody knows any more */
    uint8_t previous = VL_EXTENT_NONE;
    for (uint32_t grain = 0; grain < extents->fresh;) {
        const struct vl_extent *extent = &extents->table[grain];
        if (extent->grains == 0 || extent->state == VL_EXTENT_NONE ||
            extents->table[grain + extent->grains - 1].first.plus_one != grain + 1)
            return false;
        if (vl_extent_is_free(extent) && joins(extents, extent->state, previous))
            return false; /* should have coalesced */
        previous = extent->state;
        used += extent->state == VL_EXTENT_USED ? extent->grains : 0;
        dirty += extent->state == VL_EXTENT_DIRTY ? extent->grains : 0;
        grain += extent->grains;
    }
    return used == extents->grains_used && dirty == extents->grains_dirty;
}
