/*
 * region - 2 MB of address space on one node, handed out as runs of pages.
 *
 *      page 0                                                   page 255
 *      +--------+----+----------+--------+---------------------+
 *      | run A  | B  |  (free)  | run C  |   never handed out  |
 *      +--------+----+----------+--------+---------------------+
 * used  11111111 1111            11111111                            a bit per page
 * dirty 11111111 1111 1111        11111111                           used is a subset of dirty
 *
 * `dirty` are the pages handed out since the region last had no memory: the others read as zero.
 * `head` and `last` lead from any page of a run to its first page and from there to its last.
 *
 *  FRESH --take--> ACTIVE --last run given--> EMPTY --purge--> CLEAN         moved only by the
 *                    ^------------take----------'                |           holder of the page
 *                    ^------------take---------------------------'           heap's lock
 *
 * Those CLEAN at the end of the slice's are as if FRESH again when their records go back.
 *
 * LOST: what is mapped here is not known any more, it is never used again.
 *
 * The functions here are the facts of one region: no lock, no list, no system call. Which region
 * to use is region_set's business, when to purge page_heap's.
 *
 * Invariants: pages_used == number of bits in `used`; free_run_max == length of the longest run of
 * clear bits; run_count == number of runs. vl_region_valid recomputes all three.
 */
#ifndef VL_HUGEPAGE_REGION_H
#define VL_HUGEPAGE_REGION_H

#include "core/core.h"

#define VL_REGION_WORDS ((VL_REGION_PAGES + 63) / 64)

/* Room for what the owner of a run wants to keep about it (cache/span.h): notes for each of its pages, and
 * further ones for the few runs that need more, lowest first, so that those of a region are together. */
enum { VL_PAGE_NOTES = 28, VL_FURTHER_NOTES = 64 };

enum vl_region_state {
    VL_REGION_FRESH,
    VL_REGION_ACTIVE,
    VL_REGION_EMPTY,
    VL_REGION_CLEAN,
    VL_REGION_LOST
};

struct vl_holding;

struct vl_region {
    _Alignas(VL_TABLE_ALIGN) uint64_t used[VL_REGION_WORDS];
    uint64_t dirty[VL_REGION_WORDS];
    uint16_t pages_used;
    uint16_t free_run_max;
    uint16_t run_count;
    uint8_t state;
    uint16_t bucket; /* of region_set, while ACTIVE */
    bool hugetlb;    /* its memory is a page of the kernel's pool */
    bool small;      /* its memory is in small pages, though the slice is to have huge ones (thp.h) */
    uint8_t stray;   /* its memory prefers another node than its slice's (holding.h) */
    uint16_t slice;  /* its number */
    uint64_t emptied_ms;
    struct vl_region *next, *prev; /* in the set or list it is in */
    /* Who has leased it (holding.h); NULL: the slice's own heap. Changed under that heap's lock. */
    _Atomic(struct vl_holding *) holder;
    uint8_t head[VL_REGION_PAGES];
    /* Written under the lock while a run has an owner, who grows it; read by him, and by who asks about a
     * pointer, without. */
    _Atomic uint8_t last[VL_REGION_PAGES];
    /* Further notes in use: a bit each, changed by anybody who owns a run. Acquire and release: who takes
     * one comes after all that its last owner did with it. */
    _Atomic uint64_t further_used[VL_REGION_WORDS];
    _Alignas(uint32_t) unsigned char notes[VL_REGION_PAGES][VL_PAGE_NOTES];
    _Alignas(VL_CACHE_LINE) unsigned char further[VL_REGION_PAGES][VL_FURTHER_NOTES];
};

/* What a region in use costs: two small pages, with the first few further notes. */
_Static_assert(offsetof(struct vl_region, further[4]) <= 2 * VL_TABLE_ALIGN, "see docs/numbers.md");

/* What is asked for: so many pages, at a multiple of `align`, a power of two and at most a region's. One that
 * is going to grow wishes for `room`, free pages behind it, and gets it if a region in use has it: at the
 * upper end of what is free, while all others are taken from the lower. */
struct vl_wish {
    unsigned pages, align, room;
    bool soon; /* it is about to be used: its memory can come at once */
};

/* Of a run that is about to be used, as is. */
static inline struct vl_wish vl_wish_for(unsigned pages)
{
    return (struct vl_wish){.pages = pages, .align = 1, .soon = true};
}

/* A run of pages just taken. */
struct vl_run {
    struct vl_slice *slice;
    struct vl_region *region;
    char *start;
    unsigned page; /* in its region */
    unsigned pages;
    bool zeroed;
    bool opens; /* it is the first of a region that had no memory */
};

/* A region without runs. `dirty` stays: it says what the memory holds. */
void vl_region_reset(struct vl_region *region);

/* First page of the lowest free run of `pages` pages at a multiple of `align`, or -1; and of the highest. */
int vl_region_find(const struct vl_region *region, unsigned pages, unsigned align);
int vl_region_find_last(const struct vl_region *region, unsigned pages, unsigned align);

/* Takes the free pages [first, first+pages) as one run. True if they were all clean. */
bool vl_region_take(struct vl_region *region, unsigned first, unsigned pages);

/* Gives back the run that begins at `first`; returns its length. */
unsigned vl_region_give(struct vl_region *region, unsigned first);

/* The run that begins at `first` gets `more` pages behind it; false if they are not all free. */
bool vl_region_lengthen(struct vl_region *region, unsigned first, unsigned more);

/* Further notes for a run that is in use: their number. There are as many as pages. */
unsigned vl_region_take_further(struct vl_region *region);
void vl_region_give_further(struct vl_region *region, unsigned number);

/* The first run of free pages from `page` on that hold memory: its length, or 0. */
unsigned vl_region_find_dirty(const struct vl_region *region, unsigned page, unsigned *first);

/* The memory of free pages went to the system: they read as zero. */
void vl_region_clean(struct vl_region *region, unsigned first, unsigned pages);

/* Recomputes the counts from the bitmap, whatever was under way when a fork stopped the world: pages that a
 * run was just about to get are free. Tells whether any page is in use. */
bool vl_region_recount(struct vl_region *region);

static inline bool vl_region_is_used(const struct vl_region *region, unsigned page)
{
    return region->used[page / 64] >> (page % 64) & 1;
}

static inline unsigned vl_region_run_pages(const struct vl_region *region, unsigned first)
{
    return vl_get(&region->last[first]) - first + 1u;
}

/* Where regions are, and what is in them: `slice` is one that consists of regions. */
static inline struct vl_region *vl_region_of(const struct vl_slice *slice, const void *pointer)
{
    return vl_slice_unit(slice, ((uintptr_t)pointer - slice->start) >> VL_REGION_SHIFT);
}

static inline unsigned vl_page_in_region(const struct vl_slice *slice, const void *pointer)
{
    return (unsigned)(((uintptr_t)pointer - slice->start) >> VL_PAGE_SHIFT) % VL_REGION_PAGES;
}

static inline char *vl_region_start(const struct vl_region *region)
{
    const struct vl_slice *slice = &vl_slices[region->slice];
    size_t number = (size_t)((const char *)region - slice->units) / sizeof *region;
    return (char *)slice->start + (number << VL_REGION_SHIFT);
}

bool vl_region_valid(const struct vl_region *region);

#endif
