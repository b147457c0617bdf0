#include "hugepage/region_set.h"

#include <string.h>

static unsigned bucket_of(const struct vl_region *region)
{
    unsigned pages_free = VL_REGION_PAGES - region->pages_used;
    unsigned quarter = pages_free == 0 ? 0 : (pages_free - 1) * 4 / VL_REGION_PAGES;
    return vl_run_class(region->free_run_max) * 4 + quarter;
}

void vl_region_link(struct vl_region_list *list, struct vl_region *region)
{
    region->next = list->first;
    region->prev = NULL;
    if (list->first != NULL)
        list->first->prev = region;
    else
        list->last = region;
    list->first = region;
}

void vl_region_unlink(struct vl_region_list *list, struct vl_region *region)
{
    if (region->next != NULL)
        region->next->prev = region->prev;
    else
        list->last = region->prev;
    if (region->prev != NULL)
        region->prev->next = region->next;
    else
        list->first = region->next;
}

void vl_region_set_add(struct vl_region_set *set, struct vl_region *region)
{
    unsigned bucket = bucket_of(region);
    region->bucket = (uint16_t)bucket;
    vl_region_link(&set->buckets[bucket], region);
    set->occupied[bucket / 64] |= (uint64_t)1 << (bucket % 64);
}

void vl_region_set_remove(struct vl_region_set *set, struct vl_region *region)
{
    unsigned bucket = region->bucket;
    vl_region_unlink(&set->buckets[bucket], region);
    if (set->buckets[bucket].first == NULL)
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
        struct vl_region *region = set->buckets[bucket].first;
        for (; region != NULL && tries > 0; tries--) {
            if (region->free_run_max >= pages)
                return region;
            region = region->next;
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
            return set->buckets[word * 64 + vl_lowest_bit(bits)].first;
    }
    return NULL;
}

static void take_pages(struct vl_region_set *set, struct vl_region *region, unsigned page,
                       unsigned pages, struct vl_run *run)
{
    bool zeroed = vl_region_take(region, page, pages);
    vl_region_set_update(set, region);
    *run = (struct vl_run){
        .slice = &vl_slices[region->slice],
        .region = region,
        .start = vl_region_start(region) + page * VL_PAGE_SIZE,
        .page = page,
        .pages = pages,
        .zeroed = zeroed,
    };
}

/* The region to take a run from that has so much room behind it, and where it begins there. */
static struct vl_region *pick_place(const struct vl_region_set *set, struct vl_wish wish,
                                    unsigned room, unsigned *page)
{
    /* Any free run this long contains an aligned one; so does a whole region. */
    unsigned enough = (unsigned)vl_min(wish.pages + room + wish.align - 1, VL_REGION_PAGES);
    struct vl_region *region = vl_region_set_pick(set, enough);
    if (region != NULL)
        *page = (unsigned)(room != 0 ? vl_region_find_last(region, wish.pages + room, wish.align)
                                     : vl_region_find(region, wish.pages, wish.align));
    return region;
}

bool vl_region_set_take(struct vl_region_set *set, struct vl_wish wish, struct vl_run *run)
{
    unsigned page;
    struct vl_region *region = NULL;
    if (wish.room != 0 && wish.pages + wish.room <= VL_REGION_PAGES)
        region = pick_place(set, wish, wish.room, &page);
    if (region == NULL)
        region = pick_place(set, wish, 0, &page);
    if (region == NULL)
        return false;
    take_pages(set, region, page, wish.pages, run);
    return true;
}

bool vl_region_set_lengthen(struct vl_region_set *set, struct vl_region *region, unsigned page,
                            unsigned more)
{
    bool longer = vl_region_lengthen(region, page, more);
    if (longer)
        vl_region_set_update(set, region);
    return longer;
}

bool vl_region_set_take_dirty(struct vl_region_set *set, struct vl_region *region, unsigned page,
                              struct vl_run *run)
{
    unsigned first, pages = 0;
    if (region->state == VL_REGION_ACTIVE && region->run_count != 0 && !region->hugetlb)
        pages = vl_region_find_dirty(region, page, &first);
    if (pages != 0)
        take_pages(set, region, first, pages, run);
    return pages != 0;
}

unsigned vl_region_set_give(struct vl_region_set *set, struct vl_region *region, unsigned page)
{
    unsigned pages = vl_region_give(region, page);
    if (region->run_count == 0)
        vl_region_set_remove(set, region);
    else
        vl_region_set_update(set, region);
    return pages;
}

void vl_region_set_clear(struct vl_region_set *set)
{
    memset(set->occupied, 0, sizeof set->occupied);
    memset(set->buckets, 0, sizeof set->buckets);
}
