/*
 * extent - stretches of grains in a BIG slice: which are free, and which neighbours are.
 *
 *      grain   0        5     7                 20            32
 *              +--------+-----+-----------------+-------------+---------------- - -
 *              | used   |clean|      used       |   dirty     |  fresh
 *              +--------+-----+-----------------+-------------+---------------- - -
 *
 * Every grain below `fresh` belongs to one extent. What is known of it stands in the table entry of
 * its first grain; the entry of its last grain names the first, so both neighbours are found in one
 * step and free ones coalesce (boundary tags, kept outside the memory they describe).
 *
 *   USED   a block               DIRTY  free, holds memory        CLEAN  free, reads as zero
 *   LOST   what is mapped here is not known any more: never used again
 *
 * Only free extents of one state coalesce: clean memory stays known as such, which is what lets calloc
 * leave it untouched. Free extents lie in bins by size, eight per doubling. A DIRTY extent is
 * also on the age list, in the order of freed_ms; one that coalesces is as young as its youngest part.
 *
 *      first grain                            the pages of a USED extent may have come by mremap: then it
 *      +--------------+--------+---------+    consists of several mappings of the kernel's, pieces. The
 *      | piece        | piece  | rest    |    entry of each one's first grain names the next: `seam`. The
 *      +--------------+--------+---------+    rest is the slice's own mapping, as all free memory is.
 *
 * Pure bookkeeping: no lock, no system call; every function wants the big heap's lock.
 */
#ifndef VL_HUGEPAGE_EXTENT_H
#define VL_HUGEPAGE_EXTENT_H

#include "core/core.h"

enum vl_extent_state {
    VL_EXTENT_NONE,
    VL_EXTENT_USED,
    VL_EXTENT_DIRTY,
    VL_EXTENT_CLEAN,
    VL_EXTENT_LOST
};

/* Number of a grain, plus one: 0 is none. */
typedef struct {
    uint32_t plus_one;
} vl_grain_id;

struct vl_holding;

struct vl_extent {
    uint32_t grains;
    uint8_t state;
    union {
        bool ageless;  /* DIRTY, but not in the age list: there is nothing to give back */
        uint8_t stray; /* USED: it prefers a node (holding.h) */
    };
    uint8_t pieces;    /* USED: of how many; 0: all of it is the slice's own mapping */
    bool hugetlb;      /* USED: its first piece, up to the seam, is of the kernel's pool */
    vl_grain_id first; /* in the entry of the last grain: the extent's first */
    uint32_t seam;     /* USED: grains from here to the next piece; see also vl_extent_giant */
    uint64_t bytes;    /* USED: what the block's owner may write */
    union {
        struct { /* free */
            vl_grain_id next, prev;   /* in its bin */
            vl_grain_id older, newer; /* DIRTY: in the age list */
            uint64_t freed_ms;        /* DIRTY */
        };
        struct { /* USED, by an allocator object: these belong to its holding */
            struct vl_holding *holder;
            struct vl_extent *held_next, *held_prev;
        };
    };
};

enum { VL_EXTENT_BINS = 8 + 29 * 8, VL_EXTENT_BIN_WORDS = (VL_EXTENT_BINS + 63) / 64 };

struct vl_extent_bins {
    uint64_t occupied[VL_EXTENT_BIN_WORDS];
    vl_grain_id first[VL_EXTENT_BINS];
};

struct vl_extents {
    struct vl_extent *table; /* one entry per grain */
    bool lost;               /* some are LOST */
    bool dirty_apart;        /* DIRTY ones do not coalesce: each serves its own size again */
    uint32_t fresh;          /* grains from here on belong to no extent */
    uint32_t lone_end;       /* extents that begin before this never coalesce (after a fork) */
    struct vl_extent_bins dirty, clean;
    vl_grain_id newest, oldest; /* DIRTY ones by age */
    uint64_t grains_used, grains_dirty;
};

static inline struct vl_extent *vl_extent_at(const struct vl_extents *extents, vl_grain_id id)
{
    return id.plus_one == 0 ? NULL : &extents->table[id.plus_one - 1];
}

static inline bool vl_extent_is_free(const struct vl_extent *extent)
{
    return extent->state == VL_EXTENT_DIRTY || extent->state == VL_EXTENT_CLEAN;
}

static inline uint32_t vl_extent_first_grain(const struct vl_extents *extents,
                                             const struct vl_extent *extent)
{
    return (uint32_t)(extent - extents->table);
}

/* Bin of free extents of `grains`: exact below 8, then rounded down to eight steps per doubling. */
static inline unsigned vl_extent_bin(uint32_t grains)
{
    if (grains < 8)
        return grains;
    unsigned doubling = vl_log2(grains); /* 3 .. 31 */
    return doubling * 8 - 16 + ((grains >> (doubling - 3)) & 7);
}

/* A free extent of at least `grains` from `bins`, or NULL. Not taken yet. */
struct vl_extent *vl_extent_find(struct vl_extents *extents, const struct vl_extent_bins *bins,
                                 uint32_t grains);

/* Takes [first, first+grains) out of the free extent that holds it; what is left over before and
 * after stays free. The new extent is USED. */
struct vl_extent *vl_extent_carve(struct vl_extents *extents, struct vl_extent *from,
                                  uint32_t first, uint32_t grains);

/* Takes all of [first, first+grains), which begins in the free extent `from` and is free throughout,
 * as one USED extent. */
struct vl_extent *vl_extent_seize(struct vl_extents *extents, struct vl_extent *from,
                                  uint32_t first, uint32_t grains);

/* Turns the next `grains` fresh grains into a CLEAN extent, coalesced with one that ends there. */
struct vl_extent *vl_extent_unfold(struct vl_extents *extents, uint32_t grains);

/* Makes a USED extent DIRTY or CLEAN and coalesces it; returns the extent it became part of. */
struct vl_extent *vl_extent_free(struct vl_extents *extents, struct vl_extent *extent,
                                 enum vl_extent_state state, uint64_t now_ms);

/* Cuts a USED extent after `grains`; the rest becomes a USED extent of its own, returned. */
struct vl_extent *vl_extent_split(struct vl_extents *extents, struct vl_extent *extent,
                                  uint32_t grains);

/* Joins a USED extent with the one behind it, which is USED and not moved. */
void vl_extent_join(struct vl_extents *extents, struct vl_extent *extent);

/* One with as many pieces stays where it is: nobody knows its seams, or there are too many. */
enum { VL_EXTENT_PIECES_MAX = 16 };

/* Grains of each piece of a USED extent that has fewer than VL_EXTENT_PIECES_MAX; returns how many
 * there are, at least one. */
unsigned vl_extent_pieces(const struct vl_extent *extent, uint32_t grains[VL_EXTENT_PIECES_MAX]);

/* Notes down that the first `count` pieces have come by mremap, the rest being the slice's own. */
void vl_extent_set_pieces(struct vl_extent *extent, const uint32_t *grains, unsigned count);

#define VL_HUGE_GRAINS  ((uint32_t)(VL_REGION_SIZE >> VL_GRAIN_SHIFT))
#define VL_GIANT_GRAINS ((uint32_t)(VL_GIANT_SIZE >> VL_GRAIN_SHIFT))

/* Notes down that its first `grains` are pages of the kernel's pool, which mremap cannot move as
 * pieces, and the first `giant` of these pages of 1 GB. */
void vl_extent_set_hugetlb(struct vl_extent *extent, uint32_t grains, uint32_t giant);

/* How many of its grains are in pages of 1 GB. The entry of the second grain has it: that of an
 * extent with pages of the pool is never its last. */
static inline uint32_t vl_extent_giant(const struct vl_extent *extent)
{
    return extent->hugetlb ? extent[1].seam : 0;
}

/* Where such an extent may be cut that is to keep so many grains: between two pages of the pool, and
 * anywhere behind them. */
static inline uint32_t vl_extent_cut(const struct vl_extent *extent, uint32_t grains)
{
    if (grains < vl_extent_giant(extent))
        return (uint32_t)vl_round_up(grains, VL_GIANT_GRAINS);
    bool within = extent->hugetlb && grains < extent->seam;
    return within ? (uint32_t)vl_round_up(grains, VL_HUGE_GRAINS) : grains;
}

/* The stretches of the pool (hugetlb.h) that it consists of: each page of 1 GB, and all others. */
static inline unsigned vl_extent_stretches(const struct vl_extent *extent)
{
    uint32_t giant = vl_extent_giant(extent);
    return giant / VL_GIANT_GRAINS + (extent->hugetlb && extent->seam > giant);
}

/* The extents right before and after `extent`, or NULL. */
struct vl_extent *vl_extent_before(const struct vl_extents *extents,
                                   const struct vl_extent *extent);
struct vl_extent *vl_extent_after(const struct vl_extents *extents, const struct vl_extent *extent);

/* Writes a USED extent off. */
void vl_extent_lose(struct vl_extents *extents, struct vl_extent *extent);

/* Takes a DIRTY extent out of the age list, until it coalesces. */
void vl_extent_forget_age(struct vl_extents *extents, struct vl_extent *extent);

bool vl_extents_valid(const struct vl_extents *extents);

#endif
