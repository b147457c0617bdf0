/*
 * numa/census: a small heap is known page by page, a larger one by samples that are spread over it;
 * memory on a node that is not ours, and a kernel that does not tell.
 */
#include "tests/world.h"

#include "valloc.h"

enum { NODES = 8, RUN = 512 << 10, PAGES_MAX = 16384 + 256 * 2 * NODES };

static struct vl_census census;

static void set_up(void)
{
    begin_world(NODES);
}

/* --- Which pages --- */

START_TEST(each_stretch_has_its_page)
{
    static const size_t sizes[][2] = {{1, 1},     {256, 256},     {7, 10},
                                      {256, 511}, {16384, 65537}, {16384, (size_t)1 << 32}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t count = sizes[s][0], pages = sizes[s][1];
        for (size_t nth = 0; nth < count; nth++) {
            size_t page = vl_census_page(nth, count, pages);
            require(page >= nth * pages / count && page < (nth + 1) * pages / count);
        }
    }
}
END_TEST

/* Something every 512 pages, such as huge pages, is not met at one place all the time. */
START_TEST(pages_are_at_all_places_of_a_stretch)
{
    bool met[64] = {false};
    for (size_t nth = 0; nth < 4096; nth++)
        met[vl_census_page(nth, 4096, 4096 * 512) % 512 / 8] = true;
    for (unsigned i = 0; i < 64; i++)
        require(met[i]);
}
END_TEST

/* --- What there is --- */

static void *touch_runs(void *of_bytes)
{
    for (size_t bytes = *(size_t *)of_bytes; bytes >= RUN; bytes -= RUN)
        memset(vl_alloc(RUN), 1, RUN);
    return NULL;
}

static void touch_on(unsigned node, size_t bytes)
{
    run_on(node, touch_runs, &bytes);
}

START_TEST(nothing_at_first)
{
    vl_census_take(&census);
    ck_assert(census.known);
    ck_assert_uint_eq(census.pages_asked, 0);
    for (unsigned node = 0; node < NODES; node++) {
        ck_assert_uint_eq(census.nodes[node].here, 0);
        ck_assert_int_eq(census.nodes[node].away_node, -1);
    }
}
END_TEST

/* In whole regions, as the machine may have huge pages. */
START_TEST(memory_lies_where_it_was_bound)
{
    uint64_t sum = 0;
    for (unsigned node = 0; node < NODES; node++)
        touch_on(node, (1 + node % 2) * VL_REGION_SIZE);
    vl_census_take(&census);
    for (unsigned node = 0; node < NODES; node++) {
        ck_assert_uint_eq(census.nodes[node].held, (1 + node % 2) * VL_REGION_SIZE);
        ck_assert_uint_eq(census.nodes[node].here, (1 + node % 2) * VL_REGION_SIZE);
        ck_assert_uint_eq(census.nodes[node].away, 0);
        ck_assert_uint_eq(census.nodes[node].here_big, 0);
        ck_assert_int_eq(census.nodes[node].away_node, -1);
        sum += census.nodes[node].here;
    }
    ck_assert_uint_eq(census.pages_found, sum / vl_os_page_size);
}
END_TEST

/* Of each 8 pages: 5 on node 3, 2 on node 6, 1 on node 1. */
static unsigned scatter(const void *page)
{
    static const unsigned nodes[8] = {3, 6, 3, 1, 3, 6, 3, 3};
    return nodes[(uintptr_t)page / vl_os_page_size % 8];
}

START_TEST(what_lies_elsewhere_is_told)
{
    touch_on(3, 8 * RUN);
    fake_os_set_lies_function(scatter);
    vl_census_take(&census);
    ck_assert_uint_eq(census.nodes[3].held, 8 * RUN);
    ck_assert_uint_eq(census.nodes[3].away, 3 * RUN);
    ck_assert_int_eq(census.nodes[3].away_node, 6);
    ck_assert_uint_eq(census.nodes[3].here, 5 * RUN);
    ck_assert_uint_eq(census.nodes[6].here, 2 * RUN);
    ck_assert_uint_eq(census.nodes[6].held, 0);
    ck_assert_uint_eq(census.nodes[1].here, 1 * RUN);
}
END_TEST

/* They belong to no node. */
START_TEST(big_blocks_lie_where_they_lie)
{
    memset(vl_alloc(8 * MB), 1, 8 * MB);
    fake_os_set_lies_function(scatter);
    vl_census_take(&census);
    ck_assert_uint_eq(census.nodes[3].here_big, 5 * MB);
    ck_assert_uint_eq(census.nodes[3].here, 5 * MB);
    ck_assert_uint_eq(census.nodes[6].here_big, 2 * MB);
    ck_assert_uint_eq(census.nodes[3].here_free, census.nodes[3].here_big);
    for (unsigned node = 0; node < NODES; node++) {
        ck_assert_uint_eq(census.nodes[node].held, 0);
        ck_assert_uint_eq(census.nodes[node].away, 0);
    }
}
END_TEST

static unsigned on_node_7(const void *page)
{
    (void)page;
    return 7;
}

START_TEST(blocks_with_a_place_are_big_blocks)
{
    memset(valloc_onnode(8 * MB, 5), 1, 8 * MB);
    memset(valloc_interleaved(4 * MB), 1, 4 * MB);
    memset(vl_alloc(2 * MB), 1, 2 * MB);
    fake_os_set_lies_function(on_node_7);
    vl_census_take(&census);
    ck_assert_uint_eq(census.nodes[7].here, 14 * MB);
    ck_assert_uint_eq(census.nodes[7].here_big, 14 * MB);
    ck_assert_uint_eq(census.nodes[7].here_free, 2 * MB);
    ck_assert_uint_eq(census.nodes[5].held, 0);
}
END_TEST

static void about(uint64_t found, uint64_t expected)
{
    ck_assert_uint_ge(found, expected - expected / 20);
    ck_assert_uint_le(found, expected + expected / 20);
}

START_TEST(large_heap_is_known_by_samples)
{
    size_t bytes = 160 * MB;
    char *block = vl_alloc(bytes);
    memset(block, 1, bytes / 4);
    touch_on(3, 8 * RUN);
    fake_os_set_lies_function(scatter);
    vl_census_take(&census);
    ck_assert_uint_le(census.pages_asked, PAGES_MAX);
    ck_assert_uint_gt(census.pages_asked, PAGES_MAX / 4);
    about(census.nodes[3].here_big, bytes / 4 / 8 * 5);
    about(census.nodes[6].here_big, bytes / 4 / 8 * 2);
    about(census.nodes[3].held, 8 * RUN);
}
END_TEST

START_TEST(node_without_a_heap_is_elsewhere)
{
    static const unsigned ids[] = {2, 5, 9};
    fake_os_install();
    fake_os_set_nodes(ids, 3);
    start_here();
    run_on(5, touch_runs, &(size_t){VL_REGION_SIZE});
    vl_census_take(&census);
    ck_assert_uint_eq(census.nodes[1].held, VL_REGION_SIZE);
    ck_assert_uint_eq(census.nodes[1].away, 0);
    fake_os_set_lies_function(on_node_7);
    vl_census_take(&census);
    ck_assert_uint_eq(census.nodes[1].held, VL_REGION_SIZE);
    ck_assert_uint_eq(census.nodes[1].away, VL_REGION_SIZE);
    ck_assert_int_eq(census.nodes[1].away_node, -1);
    for (unsigned node = 0; node < 3; node++)
        ck_assert_uint_eq(census.nodes[node].here, 0);
}
END_TEST

/* At the first call, or later: what was found until then is not half an answer. */
START_TEST(refusal_makes_all_unknown)
{
    touch_on(1, 8 * RUN);
    fake_os_fail_from(FAKE_NODES_OF, (unsigned)_i, EPERM);
    vl_census_take(&census);
    struct vl_census none = {.known = false};
    ck_assert_mem_eq(&census, &none, sizeof none);
    fake_os_heal();
    vl_census_take(&census);
    ck_assert(census.known);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("numa/census");

    TCase *pages = tcase_create("pages");
    tcase_add_test(pages, each_stretch_has_its_page);
    tcase_add_test(pages, pages_are_at_all_places_of_a_stretch);
    suite_add_tcase(suite, pages);

    TCase *lies = tcase_create("lies");
    tcase_add_checked_fixture(lies, set_up, NULL);
    tcase_add_test(lies, nothing_at_first);
    tcase_add_test(lies, memory_lies_where_it_was_bound);
    tcase_add_test(lies, what_lies_elsewhere_is_told);
    tcase_add_test(lies, big_blocks_lie_where_they_lie);
    tcase_add_test(lies, blocks_with_a_place_are_big_blocks);
    tcase_add_test(lies, large_heap_is_known_by_samples);
    tcase_add_loop_test(lies, refusal_makes_all_unknown, 1, 3);
    suite_add_tcase(suite, lies);

    TCase *sparse = tcase_create("sparse");
    tcase_add_test(sparse, node_without_a_heap_is_elsewhere);
    suite_add_tcase(suite, sparse);
    return suite;
}
