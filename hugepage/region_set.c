#include "hugepage/region_set.h"

#include <string.h>

static unsigned bucket_of(const struct vl_region *region)
{
    unsigned pages_free = VL_REGION_PAGES - region->pages_used;
    unsigned quarter = pages_free == 0 ? 0 : (pages_free - 1) * 4 / VL_REGION_PAGES;
    return vl_run_class(region->free_run_max) * 4 + quarter;
}

void vl_region_link(const struct vl_slice *slice, struct vl_region_list *list,
                    struct vl_region *region)
{
    vl_region_id id = vl_region_id_of(slice, region);
    struct vl_region *second = vl_region_at(slice, list->first);
    region->next = list->first;
    region->prev = (vl_region_id){0};
    list->first = id;
    if (second != NULL)
        second->prev = id;
    else
        list->last = id;
}

void vl_region_unlink(const struct vl_slice *slice, struct vl_region_list *list,
                      struct vl_region *region)
{
    struct vl_region *next = vl_region_at(slice, region->next);
    struct vl_region *prev = vl_region_at(slice, region->prev);
    if (next != NULL)
        next->prev = region->prev;
    else
        list->last = region->prev;
    if (prev != NULL)
        prev->next = region->next;
    else
        list->first = region->next;
}

void vl_region_set_add(struct vl_region_set *set, struct vl_region *region)
{
    unsigned bucket = bucket_of(region);
    region->bucket = (uint16_t)bucket;
    vl_region_link(set->slice, &set->buckets[bucket], region);
    set->occupied[bucket / 64] |= (uint64_t)1 << (bucket % 64);
}

void vl_region_set_remove(struct vl_region_set *set, struct vl_region *region)
{
    unsigned bucket = region->bucket;
    vl_region_unlink(set->slice, &set->buckets[bucket], region);
    if (set->buckets[bucket].first.plus_one == 0)
        set->occupied[bucket / 64] &= ~((uint64_t)1 << (bucket % 64));
}

void vl_region_set_update(struct vl_region_set *set, struct vl_region *region)
{
    if (bucket_of(region) == region->bucket)
        return;
    vl_region_set_remove(set, region);
    vl_region_set_add(set, region);
}

/* Regions of the wanted run's own class are looked at one by one, as many as this. */
enum { FIT_TRIES = 8 };

/* A class holds regions whose longest runs differ a little: one whose run is long enough. */
static struct vl_region *pick_in_class(const struct vl_region_set *set, unsigned class,
                                       unsigned pages)
{
    int tries = FIT_TRIES;
    for (unsigned bucket = class * 4; bucket < class * 4 + 4; bucket++) {
        struct vl_region *region = vl_region_at(set->slice, set->buckets[bucket].first);
        for (; region != NULL && tries > 0; tries--) {
            if (region->free_run_max >= pages)
                return region;
            region = vl_region_at(set->slice, region->next);
        }
    }
    return NULL;
}

struct vl_region *vl_region_set_pick(const struct vl_region_set *set, unsigned pages)
{
    unsigned class = vl_run_class(pages);
    struct vl_region *fit = pick_in_class(set, class, pages);
    if (fit != NULL)
        return fit;
    unsigned from = (class + 1) * 4; /* every run of a higher class is long enough */
    for (unsigned word = from / 64; word < VL_REGION_BUCKET_WORDS; word++) {
        uint64_t bits = set->occupied[word];
        if (word == from / 64)
            bits &= ~0ull << (from % 64);
        if (bits != 0)
            return vl_region_at(set->slice, set->buckets[word * 64 + vl_lowest_bit(bits)].first);
    }
    return NULL;
}

void vl_region_set_clear(struct vl_region_set *set)
{
    memset(set->occupied, 0, sizeof set->occupied);
    memset(set->buckets, 0, sizeof set->buckets);
}
