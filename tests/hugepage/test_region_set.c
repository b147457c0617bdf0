/* hugepage/region_set: the classes of runs, and the pick against a search through all regions. */
#include "tests/api/support.h"

#include "hugepage/region_set.h"

enum { REGIONS = 48 };

static struct vl_slice slice;
static struct vl_region_set set;
static bool present[REGIONS];

static void start_empty(void)
{
    slice.unit_bytes = sizeof(struct vl_region);
    slice.unit_shift = VL_REGION_SHIFT;
    slice.units = map_table(REGIONS * sizeof(struct vl_region));
    set = (struct vl_region_set){0};
    memset(present, 0, sizeof present);
}

static struct vl_region *region_at(unsigned number)
{
    return vl_slice_unit(&slice, number);
}

/* --- Classes --- */

/* The shortest longest run of each class: every length to 16, then eight to a doubling. */
static unsigned class_start(unsigned class)
{
    if (class <= 16)
        return class;
    unsigned doubling = (class - 16) / 8, step = (class - 16) % 8;
    return (8 + step) << (doubling + 1);
}

START_TEST(classes_of_runs)
{
    unsigned class = 0;
    for (unsigned pages = 0; pages <= VL_REGION_PAGES; pages++) {
        if (class + 1 < VL_RUN_CLASSES && class_start(class + 1) <= pages)
            class ++;
        ck_assert_uint_eq(vl_run_class(pages), class);
    }
    ck_assert_uint_eq(class, VL_RUN_CLASSES - 1);
}
END_TEST

/* --- Links --- */

START_TEST(a_list_is_last_in_first_out_from_either_end)
{
    struct vl_region_list list = {NULL, NULL};
    for (unsigned i = 0; i < REGIONS; i++)
        vl_region_link(&list, region_at(i));
    ck_assert_ptr_eq(list.first, region_at(REGIONS - 1));
    ck_assert_ptr_eq(list.last, region_at(0));
    ck_assert_ptr_null(region_at(0)->next);
    ck_assert_ptr_null(region_at(REGIONS - 1)->prev);
    for (unsigned i = 1; i < REGIONS; i++) {
        ck_assert_ptr_eq(region_at(i)->next, region_at(i - 1));
        ck_assert_ptr_eq(region_at(i - 1)->prev, region_at(i));
    }

    /* From the middle, from both ends, then the only one. */
    vl_region_unlink(&list, region_at(5));
    ck_assert_ptr_eq(region_at(6)->next, region_at(4));
    ck_assert_ptr_eq(region_at(4)->prev, region_at(6));
    vl_region_unlink(&list, region_at(0));
    ck_assert_ptr_eq(list.last, region_at(1));
    vl_region_unlink(&list, region_at(REGIONS - 1));
    ck_assert_ptr_eq(list.first, region_at(REGIONS - 2));
    for (unsigned i = 1; i < REGIONS - 1; i++)
        if (i != 5)
            vl_region_unlink(&list, region_at(i));
    ck_assert_ptr_null(list.first);
    ck_assert_ptr_null(list.last);
}
END_TEST

/* --- The pick --- */

static unsigned quarter_free(const struct vl_region *region)
{
    unsigned pages_free = VL_REGION_PAGES - region->pages_used;
    unsigned quarter = VL_REGION_PAGES / 4;
    for (unsigned i = 0; i < 4; i++)
        if (pages_free <= (i + 1) * quarter)
            return i;
    return 3;
}

/* What the pick goes by: the smaller, the better. */
static unsigned rank(const struct vl_region *region)
{
    unsigned class = 0;
    while (class + 1 < VL_RUN_CLASSES && class_start(class + 1) <= region->free_run_max)
        class ++;
    return class * 4 + quarter_free(region);
}

/* Regions count whose class promises the run, whatever its length in the class. */
static bool surely_fits(const struct vl_region *region, unsigned pages)
{
    return class_start(rank(region) / 4) >= pages;
}

/* The best of those that surely fit, or one of the run's own class, which is better still: there the
 * first few are looked at. */
static void check_pick(unsigned pages)
{
    const struct vl_region *picked = vl_region_set_pick(&set, pages);
    unsigned best = UINT32_MAX, own_class = 0, fitting = 0;
    for (unsigned i = 0; i < REGIONS; i++) {
        const struct vl_region *region = region_at(i);
        if (!present[i])
            continue;
        if (surely_fits(region, pages))
            best = (unsigned)vl_min(best, rank(region));
        if (rank(region) / 4 == vl_run_class(pages)) {
            own_class++;
            fitting += region->free_run_max >= pages;
        }
    }
    if (picked == NULL) {
        ck_assert_uint_eq(best, UINT32_MAX);
        ck_assert(fitting == 0 || own_class > 8);
        return;
    }
    ck_assert(present[((const char *)picked - slice.units) / sizeof *picked]);
    ck_assert_uint_ge(picked->free_run_max, pages);
    if (fitting != 0 && own_class <= 8)
        ck_assert_uint_eq(rank(picked) / 4, vl_run_class(pages));
    ck_assert_uint_le(rank(picked), best);
}

/* As it stands after some runs were taken and given: any longest run, and at least it free. */
static void change(struct vl_region *region, uint64_t *random)
{
    region->free_run_max = (uint16_t)(random_next(random) % (VL_REGION_PAGES + 1));
    unsigned used_max = VL_REGION_PAGES - region->free_run_max;
    region->pages_used = (uint16_t)(random_next(random) % (used_max + 1));
}

/* Adds a region, takes it out, or lets it change. */
static void step(uint64_t *random)
{
    unsigned number = (unsigned)(random_next(random) % REGIONS);
    struct vl_region *region = region_at(number);
    if (!present[number]) {
        change(region, random);
        vl_region_set_add(&set, region);
        present[number] = true;
    } else if (random_next(random) % 3 == 0) {
        vl_region_set_remove(&set, region);
        present[number] = false;
    } else {
        change(region, random);
        vl_region_set_update(&set, region);
    }
}

START_TEST(the_pick_is_the_best)
{
    uint64_t random = test_seed();
    for (size_t i = 0; i < scaled(10000); i++) {
        step(&random);
        check_pick(1 + (unsigned)(random_next(&random) % VL_REGION_PAGES));
        check_pick((unsigned)random_size(&random, 2 * VL_REGION_PAGES) % VL_REGION_PAGES + 1);
    }
}
END_TEST

/* One region alone, of every kind, asked for every length: whatever fits is found. */
START_TEST(what_is_found)
{
    struct vl_region *region = region_at(7);
    for (unsigned longest = 1; longest <= VL_REGION_PAGES; longest++) {
        region->free_run_max = (uint16_t)longest;
        region->pages_used = (uint16_t)((VL_REGION_PAGES - longest) / 2);
        vl_region_set_add(&set, region);
        for (unsigned pages = 1; pages <= VL_REGION_PAGES; pages++) {
            bool found = vl_region_set_pick(&set, pages) == region;
            if (found != (longest >= pages))
                ck_abort_msg("longest run %u, wanted %u: found is %d", longest, pages, found);
        }
        vl_region_set_remove(&set, region);
        ck_assert_ptr_null(vl_region_set_pick(&set, 1));
    }
}
END_TEST

START_TEST(a_region_that_keeps_its_bucket_keeps_its_place)
{
    for (unsigned i = 0; i < 3; i++) {
        region_at(i)->free_run_max = 8;
        region_at(i)->pages_used = 100;
        vl_region_set_add(&set, region_at(i));
    }
    ck_assert_ptr_eq(vl_region_set_pick(&set, 8), region_at(2));
    region_at(0)->pages_used = 101;
    vl_region_set_update(&set, region_at(0));
    ck_assert_ptr_eq(vl_region_set_pick(&set, 8), region_at(2));
    region_at(0)->pages_used = 200; /* now the fullest */
    vl_region_set_update(&set, region_at(0));
    ck_assert_ptr_eq(vl_region_set_pick(&set, 8), region_at(0));
}
END_TEST

START_TEST(cleared)
{
    uint64_t random = test_seed();
    for (int i = 0; i < 200; i++)
        step(&random);
    vl_region_set_clear(&set);
    memset(present, 0, sizeof present);
    for (unsigned pages = 1; pages <= VL_REGION_PAGES; pages++)
        check_pick(pages);
    for (int i = 0; i < 200; i++) {
        step(&random);
        check_pick(1 + (unsigned)(random_next(&random) % VL_REGION_PAGES));
    }
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("region_set");
    TCase *classes = tcase_create("classes");
    TCase *links = tcase_create("links");
    TCase *pick = timed_case("pick", 60);

    tcase_add_test(classes, classes_of_runs);
    suite_add_tcase(suite, classes);

    tcase_add_checked_fixture(links, start_empty, NULL);
    tcase_add_test(links, a_list_is_last_in_first_out_from_either_end);
    suite_add_tcase(suite, links);

    tcase_add_checked_fixture(pick, start_empty, NULL);
    tcase_add_test(pick, the_pick_is_the_best);
    tcase_add_test(pick, what_is_found);
    tcase_add_test(pick, a_region_that_keeps_its_bucket_keeps_its_place);
    tcase_add_test(pick, cleared);
    suite_add_tcase(suite, pick);
    return suite;
}
