/*
 * region_model - a region as a child would keep it: one letter per page.
 *
 *      '.'  free, never touched        '#'  first page of a run
 *      ','  free, touched              '+'  its other pages
 *
 * Every answer is found by looking at all the letters. Works in whatever geometry the file that
 * includes it has.
 */
#ifndef VL_TESTS_REGION_MODEL_H
#define VL_TESTS_REGION_MODEL_H

#include "hugepage/region.h"

#include <check.h>
#include <string.h>

struct region_model {
    char pages[VL_REGION_PAGES + 1]; /* a string */
};

static inline struct region_model region_model_new(void)
{
    struct region_model model;
    memset(model.pages, '.', VL_REGION_PAGES);
    model.pages[VL_REGION_PAGES] = '\0';
    return model;
}

static inline bool region_model_is_free(const struct region_model *model, unsigned page)
{
    return model->pages[page] == '.' || model->pages[page] == ',';
}

/* Free pages from `page` on, without a gap. */
static inline unsigned region_model_free_run(const struct region_model *model, unsigned page)
{
    unsigned pages = 0;
    while (page + pages < VL_REGION_PAGES && region_model_is_free(model, page + pages))
        pages++;
    return pages;
}

static inline unsigned region_model_longest(const struct region_model *model)
{
    unsigned longest = 0, length = 0;
    for (unsigned page = 0; page < VL_REGION_PAGES; page++) {
        length = region_model_is_free(model, page) ? length + 1 : 0;
        longest = (unsigned)vl_max(longest, length);
    }
    return longest;
}

static inline unsigned region_model_run_pages(const struct region_model *model, unsigned first)
{
    unsigned pages = 1;
    while (first + pages < VL_REGION_PAGES && model->pages[first + pages] == '+')
        pages++;
    return pages;
}

static inline int region_model_find(const struct region_model *model, unsigned pages,
                                    unsigned align)
{
    for (unsigned page = 0; page < VL_REGION_PAGES; page += align)
        if (region_model_free_run(model, page) >= pages)
            return (int)page;
    return -1;
}

/* True if all the pages were untouched. */
static inline bool region_model_take(struct region_model *model, unsigned first, unsigned pages)
{
    bool clean = memchr(&model->pages[first], ',', pages) == NULL;
    memset(&model->pages[first], '+', pages);
    model->pages[first] = '#';
    return clean;
}

static inline unsigned region_model_give(struct region_model *model, unsigned first)
{
    unsigned pages = region_model_run_pages(model, first);
    memset(&model->pages[first], ',', pages);
    return pages;
}

static inline bool region_model_lengthen(struct region_model *model, unsigned first, unsigned more)
{
    unsigned end = first + region_model_run_pages(model, first);
    if (region_model_free_run(model, end) < more)
        return false;
    memset(&model->pages[end], '+', more);
    return true;
}

/* Whether `region` says of each page what the model says; explained where it does not. */
static inline void region_model_check(const struct region_model *model,
                                      const struct vl_region *region)
{
    unsigned used = 0, runs = 0, head = 0;
    bool same = vl_region_valid(region);
    for (unsigned page = 0; page < VL_REGION_PAGES; page++) {
        bool is_used = !region_model_is_free(model, page);
        bool is_dirty = region->dirty[page / 64] >> (page % 64) & 1;
        same = same && vl_region_is_used(region, page) == is_used;
        same = same && is_dirty == (model->pages[page] != '.');
        if (model->pages[page] == '#') {
            head = page;
            runs++;
            same = same && vl_region_run_pages(region, page) == region_model_run_pages(model, page);
        }
        same = same && (!is_used || region->head[page] == head);
        used += is_used;
    }
    same = same && region->pages_used == used && region->run_count == runs &&
           region->free_run_max == region_model_longest(model);
    if (!same)
        ck_abort_msg("the region is not what it should be: %s (%u used, %u runs, longest %u)",
                     model->pages, region->pages_used, region->run_count, region->free_run_max);
}

static inline void region_model_check_find(const struct region_model *model,
                                           const struct vl_region *region, unsigned pages,
                                           unsigned align)
{
    int found = vl_region_find(region, pages, align);
    if (found != region_model_find(model, pages, align))
        ck_abort_msg("%u pages at a multiple of %u in %s: %d, not %d", pages, align, model->pages,
                     found, region_model_find(model, pages, align));
}

/* Takes and gives in both worlds; what they answer must agree. */
static inline void region_model_take_both(struct region_model *model, struct vl_region *region,
                                          unsigned first, unsigned pages)
{
    bool clean = vl_region_take(region, first, pages);
    if (clean != region_model_take(model, first, pages))
        ck_abort_msg("[%u, %u) taken, now %s: clean is %d", first, first + pages, model->pages,
                     clean);
}

static inline void region_model_give_both(struct region_model *model, struct vl_region *region,
                                          unsigned first)
{
    unsigned pages = vl_region_give(region, first);
    if (pages != region_model_give(model, first))
        ck_abort_msg("the run at %u given, now %s: %u pages", first, model->pages, pages);
}

static inline void region_model_lengthen_both(struct region_model *model, struct vl_region *region,
                                              unsigned first, unsigned more)
{
    bool longer = vl_region_lengthen(region, first, more);
    if (longer != region_model_lengthen(model, first, more))
        ck_abort_msg("the run at %u to get %u pages, now %s: %d", first, more, model->pages,
                     longer);
}

/* The next touched free pages from `page` on, which are cleaned in both worlds; where they end. */
static inline unsigned region_model_clean_both(struct region_model *model, struct vl_region *region,
                                               unsigned page)
{
    unsigned first = 0, count = vl_region_find_dirty(region, page, &first);
    size_t before = strcspn(&model->pages[page], ",");
    size_t length = strspn(&model->pages[page + before], ",");
    if (count != length || (count != 0 && first != page + before))
        ck_abort_msg("touched free pages from %u on in %s: %u at %u", page, model->pages, count,
                     first);
    if (count == 0)
        return VL_REGION_PAGES;
    vl_region_clean(region, first, count);
    memset(&model->pages[first], '.', count);
    return first + count;
}

#endif
