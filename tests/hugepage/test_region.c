/* hugepage/region in its true geometry: random runs against a model, and the edges of the words.
 * tests/exhaustive/test_region.c tries everything in a small one. */
#include "tests/api/support.h"

#include "tests/hugepage/region_model.h"

static struct vl_region region;
static struct region_model model;

static void start_empty(void)
{
    memset(&region, 0, sizeof region);
    vl_region_reset(&region);
    model = region_model_new();
    region_model_check(&model, &region);
}

/* --- Edges --- */

/* Runs that begin, end, fill and cross words of the bitmap. */
START_TEST(every_run_alone)
{
    for (unsigned first = 0; first < VL_REGION_PAGES; first++)
        for (unsigned pages = 1; first + pages <= VL_REGION_PAGES; pages++) {
            start_empty();
            region_model_take_both(&model, &region, first, pages);
            if (region.pages_used != pages || region.run_count != 1 ||
                region.free_run_max != region_model_longest(&model) ||
                vl_region_run_pages(&region, first) != pages || !vl_region_valid(&region))
                ck_abort_msg("run [%u, %u)", first, first + pages);
            region_model_give_both(&model, &region, first);
            if (region.free_run_max != VL_REGION_PAGES || region.pages_used != 0)
                ck_abort_msg("run [%u, %u) given back", first, first + pages);
        }
}
END_TEST

START_TEST(full)
{
    for (unsigned page = 0; page < VL_REGION_PAGES; page++)
        region_model_take_both(&model, &region, page, 1);
    region_model_check(&model, &region);
    ck_assert_uint_eq(region.free_run_max, 0);
    ck_assert_int_eq(vl_region_find(&region, 1, 1), -1);

    region_model_give_both(&model, &region, VL_REGION_PAGES - 1);
    ck_assert_int_eq(vl_region_find(&region, 1, 1), VL_REGION_PAGES - 1);
    ck_assert_int_eq(vl_region_find(&region, 2, 1), -1);
    ck_assert_int_eq(vl_region_find(&region, 1, 2), -1);
}
END_TEST

/* From any page to any other, across the words of the bitmap; not a page beyond the region's end. */
START_TEST(every_lengthening)
{
    for (unsigned first = 0; first < VL_REGION_PAGES; first += 21)
        for (unsigned more = 1; first + 1 + more <= VL_REGION_PAGES; more++) {
            start_empty();
            region_model_take_both(&model, &region, first, 1);
            region_model_lengthen_both(&model, &region, first, more);
            region_model_check(&model, &region);
            ck_assert_uint_eq(vl_region_run_pages(&region, first), 1 + more);
            ck_assert(!vl_region_lengthen(&region, first, VL_REGION_PAGES - first - more));
        }
}
END_TEST

START_TEST(reset_forgets_runs_but_not_what_memory_holds)
{
    region_model_take_both(&model, &region, 3, 70);
    vl_region_reset(&region);
    ck_assert(vl_region_valid(&region));
    ck_assert_uint_eq(region.pages_used, 0);
    ck_assert(!vl_region_take(&region, 72, 2));
    ck_assert(vl_region_take(&region, 74, 2));
}
END_TEST

/* --- Further notes --- */

/* As many as pages, the lowest first; one given back is the next, however full the others are. */
START_TEST(further_notes)
{
    uint64_t random = test_seed();
    for (unsigned number = 0; number < VL_REGION_PAGES; number++)
        ck_assert_uint_eq(vl_region_take_further(&region), number);
    for (int round = 0; round < 1000; round++) {
        unsigned one = (unsigned)random_next(&random) % VL_REGION_PAGES;
        unsigned other = (unsigned)random_next(&random) % VL_REGION_PAGES;
        if (one == other)
            continue;
        vl_region_give_further(&region, one);
        vl_region_give_further(&region, other);
        ck_assert_uint_eq(vl_region_take_further(&region), one < other ? one : other);
        ck_assert_uint_eq(vl_region_take_further(&region), one < other ? other : one);
    }
    vl_region_reset(&region);
    ck_assert_uint_eq(vl_region_take_further(&region), 0);
}
END_TEST

/* --- Random runs --- */

static void take_random(uint64_t *random)
{
    unsigned pages = (unsigned)random_size(random, 128);
    unsigned align = 1u << random_next(random) % 9;
    region_model_check_find(&model, &region, pages, align);
    int first = vl_region_find(&region, pages, align);
    if (first >= 0)
        region_model_take_both(&model, &region, (unsigned)first, pages);
}

static void give_random(uint64_t *random)
{
    unsigned page = (unsigned)(random_next(random) % VL_REGION_PAGES);
    if (vl_region_is_used(&region, page))
        region_model_give_both(&model, &region, region.head[page]);
}

static void lengthen_random(uint64_t *random)
{
    unsigned page = (unsigned)(random_next(random) % VL_REGION_PAGES);
    if (vl_region_is_used(&region, page))
        region_model_lengthen_both(&model, &region, region.head[page],
                                   (unsigned)random_size(random, 128));
}

static void clean_some(uint64_t *random)
{
    unsigned page = (unsigned)(random_next(random) % VL_REGION_PAGES);
    while (page < VL_REGION_PAGES && random_next(random) % 4 != 0)
        page = region_model_clean_both(&model, &region, page);
}

START_TEST(random_runs)
{
    uint64_t random = test_seed();
    for (size_t step = 0; step < scaled(20000); step++) {
        if (random_next(&random) % 2 == 0)
            take_random(&random);
        else
            give_random(&random);
        if (random_next(&random) % 4 == 0)
            lengthen_random(&random);
        if (random_next(&random) % 8 == 0)
            clean_some(&random);
        region_model_check(&model, &region);
    }
}
END_TEST

/* --- After a fork --- */

START_TEST(recounted)
{
    uint64_t random = test_seed();
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 5; i++)
            take_random(&random);
        give_random(&random);
        region.pages_used = (uint16_t)random_next(&random);
        region.run_count = (uint16_t)random_next(&random);
        region.free_run_max = (uint16_t)random_next(&random);
        bool used = vl_region_recount(&region);
        region_model_check(&model, &region);
        ck_assert_int_eq(used, region.pages_used != 0);
    }
    start_empty();
    ck_assert(!vl_region_recount(&region));
}
END_TEST

/* Stopped while a run got longer, before it was told: the pages are free. */
START_TEST(recounted_amid_a_lengthening)
{
    region_model_take_both(&model, &region, 60, 3);
    ck_assert(vl_region_lengthen(&region, 60, 20));
    vl_set(&region.last[60], 62);
    ck_assert(vl_region_recount(&region));
    memset(&model.pages[63], ',', 20);
    region_model_check(&model, &region);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("region");
    TCase *edges = timed_case("edges", 60);
    TCase *runs = timed_case("random", 60);
    TCase *fork = tcase_create("fork");

    tcase_add_checked_fixture(edges, start_empty, NULL);
    tcase_add_test(edges, every_run_alone);
    tcase_add_test(edges, full);
    tcase_add_test(edges, every_lengthening);
    tcase_add_test(edges, reset_forgets_runs_but_not_what_memory_holds);
    tcase_add_test(edges, further_notes);
    suite_add_tcase(suite, edges);

    tcase_add_checked_fixture(runs, start_empty, NULL);
    tcase_add_test(runs, random_runs);
    suite_add_tcase(suite, runs);

    tcase_add_checked_fixture(fork, start_empty, NULL);
    tcase_add_test(fork, recounted);
    tcase_add_test(fork, recounted_amid_a_lengthening);
    suite_add_tcase(suite, fork);
    return suite;
}
