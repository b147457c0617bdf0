/*
 * hugepage/region with 8 pages: everything.
 *
 * Every picture that 8 pages can show (each free and clean, free and dirty, first of a run or
 * further in one) with every question and every change from it; and since what is left in unused
 * entries depends on the past, every sequence of changes too, as deep as time allows.
 */
#define VL_REGION_SHIFT 16

#include "tests/api/support.h"

#include "hugepage/region.c"
#include "tests/hugepage/region_model.h"

_Static_assert(VL_REGION_PAGES == 8, "the small geometry");

enum { PICTURES = 1 << 16, DEPTH = 6 };

/* The picture of this number; false if there is none: a '+' must follow a '#' or a '+'. */
static bool picture_of(unsigned number, struct region_model *model)
{
    char before = '.';
    *model = region_model_new();
    for (unsigned page = 0; page < VL_REGION_PAGES; page++, number /= 4) {
        char letter = ".,#+"[number % 4];
        if (letter == '+' && before != '#' && before != '+')
            return false;
        model->pages[page] = before = letter;
    }
    return true;
}

/* A region that has come to show this picture: dirty pages were each taken and given. */
static void build(struct vl_region *region, const struct region_model *model)
{
    memset(region, 0, sizeof *region);
    vl_region_reset(region);
    for (unsigned page = 0; page < VL_REGION_PAGES; page++)
        if (model->pages[page] == ',') {
            vl_region_take(region, page, 1);
            vl_region_give(region, page);
        }
    for (unsigned page = 0; page < VL_REGION_PAGES; page++)
        if (model->pages[page] == '#')
            vl_region_take(region, page, region_model_run_pages(model, page));
}

static void ask_everything(const struct region_model *model, const struct vl_region *region)
{
    for (unsigned pages = 1; pages <= VL_REGION_PAGES; pages++)
        for (unsigned align = 1; align <= VL_REGION_PAGES; align *= 2)
            region_model_check_find(model, region, pages, align);
}

static void change_everything(const struct region_model *model, const struct vl_region *region,
                              unsigned depth, unsigned long *changes);

/* A run gets as many pages more as there are, or tries to: beyond the region's end, too. */
static void lengthen_everything(const struct region_model *model, const struct vl_region *region,
                                unsigned first, unsigned depth, unsigned long *changes)
{
    for (unsigned more = 1; more <= VL_REGION_PAGES; more++) {
        struct region_model next_model = *model;
        struct vl_region next = *region;
        region_model_lengthen_both(&next_model, &next, first, more);
        region_model_check(&next_model, &next);
        if (strcmp(next_model.pages, model->pages) != 0)
            change_everything(&next_model, &next, depth - 1, changes);
        ++*changes;
    }
}

/* Tries each take, give and lengthening there is, and what may follow it, `depth` changes deep. */
static void change_everything(const struct region_model *model, const struct vl_region *region,
                              unsigned depth, unsigned long *changes)
{
    if (depth == 0)
        return;
    for (unsigned first = 0; first < VL_REGION_PAGES; first++) {
        unsigned most = region_model_free_run(model, first);
        for (unsigned pages = 1; pages <= most; pages++) {
            struct region_model next_model = *model;
            struct vl_region next = *region;
            region_model_take_both(&next_model, &next, first, pages);
            region_model_check(&next_model, &next);
            change_everything(&next_model, &next, depth - 1, changes);
            ++*changes;
        }
        if (model->pages[first] == '#') {
            struct region_model next_model = *model;
            struct vl_region next = *region;
            region_model_give_both(&next_model, &next, first);
            region_model_check(&next_model, &next);
            change_everything(&next_model, &next, depth - 1, changes);
            ++*changes;
            lengthen_everything(model, region, first, depth, changes);
        }
    }
}

START_TEST(every_picture)
{
    unsigned pictures = 0;
    unsigned long changes = 0;
    for (unsigned number = 0; number < PICTURES; number++) {
        struct region_model model;
        struct vl_region region;
        if (!picture_of(number, &model))
            continue;
        build(&region, &model);
        region_model_check(&model, &region);
        ask_everything(&model, &region);
        change_everything(&model, &region, 1, &changes);
        pictures++;
    }
    /* p(n) = 2 p(n-1) + p(n-1) + p(n-2) + ... + p(0): it ends in a free page, of two kinds, or in
     * a run of any length. p(8) is: */
    ck_assert_uint_eq(pictures, 15760);
    ck_assert_uint_gt(changes, 100000);
}
END_TEST

START_TEST(every_sequence)
{
    struct region_model model = region_model_new();
    struct vl_region region = {0};
    unsigned long changes = 0;
    vl_region_reset(&region);
    change_everything(&model, &region, DEPTH, &changes);
    ck_assert_uint_gt(changes, 1000000);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("region in small");
    TCase *everything = timed_case("everything", 120);

    tcase_add_test(everything, every_picture);
    tcase_add_test(everything, every_sequence);
    suite_add_tcase(suite, everything);
    return suite;
}
