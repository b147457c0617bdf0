/*
 * region_set - the regions of one heap that are in use, by which should be used next.
 *
 * The next run comes from the region whose longest free run is the shortest that is long enough,
 * and among equals from the fullest: long runs survive, full regions fill up, sparse ones are left
 * alone until they empty and can go back.
 *
 *      bucket = class of free_run_max * 4 + quarter of the region that is free
 *
 *      occupied  0 0 1 0 0 0 1 1 0 ...     a bit per bucket: the pick is the lowest bit
 *                    |       | |           behind the wanted run's class, unless one of
 *                  region  region          the first regions of that class fits
 *
 * Every function wants the lock of the heap or holding that the set is in.
 */
#ifndef VL_HUGEPAGE_REGION_SET_H
#define VL_HUGEPAGE_REGION_SET_H

#include "hugepage/region.h"

/* Longest runs 0 .. 16 have a class each, then eight classes per doubling up to 256. */
enum {
    VL_RUN_CLASSES = 17 + 4 * 8,
    VL_REGION_BUCKETS = VL_RUN_CLASSES * 4,
    VL_REGION_BUCKET_WORDS = (VL_REGION_BUCKETS + 63) / 64
};

/* Class of regions whose longest free run is `pages`: rounds down. */
static inline unsigned vl_run_class(unsigned pages)
{
    if (pages <= 16)
        return pages;
    unsigned doubling = vl_log2(pages); /* 4 .. 8 */
    return 17 + (doubling - 4) * 8 + ((pages >> (doubling - 3)) & 7) - 1;
}

struct vl_region_list {
    struct vl_region *first, *last;
};

struct vl_region_set {
    uint64_t occupied[VL_REGION_BUCKET_WORDS];
    struct vl_region_list buckets[VL_REGION_BUCKETS];
};

void vl_region_set_add(struct vl_region_set *set, struct vl_region *region);
void vl_region_set_remove(struct vl_region_set *set, struct vl_region *region);

/* Puts a region whose runs have changed where it now belongs. */
void vl_region_set_update(struct vl_region_set *set, struct vl_region *region);

/* The region to take a run of `pages` from, or NULL. */
struct vl_region *vl_region_set_pick(const struct vl_region_set *set, unsigned pages);

/* Room behind runs that grow is free pages that others which look for room pass by. So it is looked for only
 * while no more is free, in regions in use, than four regions and a sixteenth. */
enum { VL_ROOMY_REGIONS = 4, VL_ROOMY_SHARE = 16 };

static inline bool vl_region_room_is_due(uint64_t regions, uint64_t pages_used)
{
    uint64_t pages = regions * VL_REGION_PAGES;
    return pages - pages_used <= VL_ROOMY_REGIONS * VL_REGION_PAGES + pages / VL_ROOMY_SHARE;
}

/* Takes a run; false if no region has one for sure. */
bool vl_region_set_take(struct vl_region_set *set, struct vl_wish wish, struct vl_run *run);

/* Takes the next free pages that hold memory, from `page` on, of a region of the set. False if there are
 * none, or the region is on its way into the set or out of it: nothing is in use in it then. Pages of the
 * kernel's pool go back as a whole only. */
bool vl_region_set_take_dirty(struct vl_region_set *set, struct vl_region *region, unsigned page,
                              struct vl_run *run);

/* Gives back the run that begins at `page` of a region; returns its length. A region that is empty then
 * is in the set no more. */
unsigned vl_region_set_give(struct vl_region_set *set, struct vl_region *region, unsigned page);

/* The run that begins at `page` of a region gets `more` pages behind it; false if they are not all free. */
bool vl_region_set_lengthen(struct vl_region_set *set, struct vl_region *region, unsigned page,
                            unsigned more);

/* Forgets every region. */
void vl_region_set_clear(struct vl_region_set *set);

/* Links of regions: shared by the sets and by the page heap's lists of empty regions. */
void vl_region_link(struct vl_region_list *list, struct vl_region *region);
void vl_region_unlink(struct vl_region_list *list, struct vl_region *region);

#endif
