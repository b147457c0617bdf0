/*
 * region_set - the regions in use by one population of one slice, by which should be used next.
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
 * Every function wants the page heap's lock.
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
    vl_region_id first;
    vl_region_id last;
};

struct vl_region_set {
    const struct vl_slice *slice;
    uint64_t occupied[VL_REGION_BUCKET_WORDS];
    struct vl_region_list buckets[VL_REGION_BUCKETS];
};

void vl_region_set_add(struct vl_region_set *set, struct vl_region *region);
void vl_region_set_remove(struct vl_region_set *set, struct vl_region *region);

/* Puts a region whose runs have changed where it now belongs. */
void vl_region_set_update(struct vl_region_set *set, struct vl_region *region);

/* The region to take a run of `pages` from, or NULL. */
struct vl_region *vl_region_set_pick(const struct vl_region_set *set, unsigned pages);

/* Forgets every region. */
void vl_region_set_clear(struct vl_region_set *set);

/* Links of regions: shared by the sets and by the page heap's lists of empty regions. */
static inline struct vl_region *vl_region_at(const struct vl_slice *slice, vl_region_id id)
{
    return id.plus_one == 0 ? NULL : vl_slice_unit(slice, id.plus_one - 1);
}

static inline vl_region_id vl_region_id_of(const struct vl_slice *slice,
                                           const struct vl_region *region)
{
    size_t distance = (size_t)((const char *)region - slice->units);
    return (vl_region_id){(uint32_t)(distance / sizeof *region) + 1};
}

void vl_region_link(const struct vl_slice *slice, struct vl_region_list *list,
                    struct vl_region *region);
void vl_region_unlink(const struct vl_slice *slice, struct vl_region_list *list,
                      struct vl_region *region);

#endif
