/*
 * cache/stats: in a quiet process every figure of what is in use is exact, wherever freed blocks lie,
 * and zero once all is freed.
 */
#include "tests/world.h"

#include "valloc.h"

static void *nothing;

static void set_up(void)
{
    begin_world(2);
}

static void check_used(uint64_t small_bytes, uint64_t small_blocks, uint64_t run_bytes,
                       uint64_t big_bytes, uint64_t big_blocks)
{
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(stats.small_bytes, small_bytes);
    ck_assert_uint_eq(stats.small_blocks, small_blocks);
    ck_assert_uint_eq(stats.run_bytes, run_bytes);
    ck_assert_uint_eq(stats.big_bytes, big_bytes);
    ck_assert_uint_eq(stats.big_blocks, big_blocks);
    ck_assert_uint_eq(vl_stats_used(&stats), small_bytes + run_bytes + big_bytes);
}

START_TEST(nothing_at_first)
{
    struct vl_stats stats = stats_now(), zero = {.nodes = 2};
    ck_assert_mem_eq(&stats, &zero, sizeof zero);
}
END_TEST

/* After every single call, over every class. */
START_TEST(small_blocks_are_counted_to_the_last)
{
    enum { EACH = 3 };
    static void *blocks[VL_CLASSES][EACH];
    uint64_t bytes = 0, count = 0;
    for (unsigned class = 1; class < VL_CLASSES; class ++)
        for (unsigned i = 0; i < EACH; i++) {
            blocks[class][i] = vl_alloc(vl_size_classes[class].size);
            bytes += vl_size_classes[class].size;
            check_used(bytes, ++count, 0, 0, 0);
        }
    for (unsigned class = 1; class < VL_CLASSES; class ++)
        for (unsigned i = 0; i < EACH; i++) {
            vl_free(blocks[class][i]);
            bytes -= vl_size_classes[class].size;
            check_used(bytes, --count, 0, 0, 0);
        }
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(sizes_are_those_of_the_class)
{
    void *block = vl_alloc(129);
    check_used(vl_usable_size(block), 1, 0, 0, 0);
    vl_free(block);
    check_used(0, 0, 0, 0, 0);
}
END_TEST

START_TEST(runs_are_counted_in_pages)
{
    void *one = vl_alloc(VL_SMALL_MAX + 1), *two = vl_alloc(VL_BIG_MIN - 1);
    ck_assert_uint_eq(vl_usable_size(one), VL_SMALL_MAX + VL_PAGE_SIZE);
    check_used(0, 0, vl_usable_size(one) + vl_usable_size(two), 0, 0);
    vl_free(one);
    check_used(0, 0, VL_BIG_MIN, 0, 0);
    vl_free(two);
    check_used(0, 0, 0, 0, 0);
}
END_TEST

START_TEST(big_blocks_are_counted_in_grains)
{
    void *one = vl_alloc(VL_BIG_MIN), *two = vl_alloc((size_t)5 << 20);
    check_used(0, 0, 0, VL_BIG_MIN + ((uint64_t)5 << 20), 2);
    two = vl_resize(two, (size_t)9 << 20);
    check_used(0, 0, 0, VL_BIG_MIN + ((uint64_t)9 << 20), 2);
    two = vl_resize(two, (size_t)4 << 20);
    check_used(0, 0, 0, VL_BIG_MIN + ((uint64_t)4 << 20), 2);
    vl_free(one);
    check_used(0, 0, 0, (uint64_t)4 << 20, 1);
    vl_free(two);
    check_used(0, 0, 0, 0, 0);
}
END_TEST

/* In use, in a cache, in a depot or in a span: each object is counted once. */
START_TEST(every_object_is_somewhere)
{
    enum { COUNT = 5000 };
    static void *blocks[COUNT];
    unsigned class = vl_class_of_size(64);
    const struct vl_central *central = &vl_node_heaps[0].classes[class].central;
    for (unsigned i = 0; i < 2 * COUNT; i++) {
        if (i < COUNT)
            blocks[i] = vl_alloc(64);
        else
            vl_free(blocks[i - COUNT]);
        if (i % 97 != 0)
            continue;
        struct vl_stats stats = stats_now();
        require(stats.small_blocks == (i < COUNT ? i + 1 : 2 * COUNT - i - 1));
        require(stats.small_blocks + stats.cached_blocks + stats.span_free_bytes / 64 ==
                (uint64_t)central->spans * vl_size_classes[class].objects);
        require(stats.cached_bytes == stats.cached_blocks * 64);
    }
}
END_TEST

static void *leave_blocks(void *blocks_shared)
{
    void **blocks = blocks_shared;
    for (unsigned i = 0; i < 100; i++)
        blocks[i] = vl_alloc(64);
    vl_free(blocks[99]);
    return NULL;
}

/* Caches of threads that are gone count as caches still. */
START_TEST(threads_that_are_gone_are_counted)
{
    void *blocks[100];
    run_on(0, leave_blocks, blocks);
    check_used(99 * 64, 99, 0, 0, 0);
    ck_assert_uint_eq(stats_now().caches, 1);
    ck_assert_uint_gt(stats_now().cached_blocks, 0);
}
END_TEST

/* Blocks on their way home to another node are free: in a thread's outbox as well as in a node's
 * inbox. */
START_TEST(blocks_on_their_way_home_are_free)
{
    enum { COUNT = 1000 };
    static void *blocks[COUNT];
    vl_free(vl_alloc(64));
    for (unsigned i = 0; i < COUNT; i += 100)
        run_on(1, leave_blocks, blocks + i);
    for (unsigned i = 0; i < COUNT; i++)
        if (i % 100 != 99)
            vl_free(blocks[i]);
    check_used(0, 0, 0, 0, 0);
}
END_TEST

static void *allocate_much(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 300; i++)
        vl_free(vl_alloc(1 + i * 5000));
    return NULL;
}

START_TEST(figures_of_the_heap)
{
    run_on(0, allocate_much, nothing);
    run_on(1, allocate_much, nothing);
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
    ck_assert_uint_eq(stats.nodes, 2);
    ck_assert_uint_eq(stats.caches, 2);
    uint64_t writable = 0;
    for (uint32_t i = 0; i < vl_slice_count; i++)
        writable += vl_get(&vl_slices[i].writable);
    ck_assert_uint_eq(stats.heap_bytes, writable);
    ck_assert_uint_gt(stats.regions_active, 0);
    ck_assert_uint_gt(stats.big_kept_bytes, 0);
}
END_TEST

/* --- What is printed --- */

static const char *printed(void (*print)(int fd))
{
    static char text[1 << 16];
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    print(ends[1]);
    close(ends[1]);
    ssize_t length = read(ends[0], text, sizeof text - 1);
    ck_assert_int_gt(length, 0);
    close(ends[0]);
    text[length] = '\0';
    return text;
}

START_TEST(summary_names_what_is_in_use)
{
    vl_alloc(64);
    vl_alloc((size_t)3 << 20);
    const char *text = printed(vl_report_print);
    ck_assert_ptr_nonnull(strstr(text, "small 64 B in 1 block,"));
    ck_assert_ptr_nonnull(strstr(text, "big 3.0 MB in 1 block\n"));
    ck_assert_ptr_nonnull(strstr(text, "2 nodes, 1 thread cache\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nvalloc: regions of 2 MB: 1 active, 0 empty, 0 returned; "));
    ck_assert_ptr_nonnull(strstr(text, "\nvalloc: node 0: "));
    ck_assert_ptr_nonnull(strstr(text, "\nvalloc: node 1: 0 B resident, "));
    ck_assert_ptr_null(strstr(text, "switched off"));
    ck_assert_int_eq(text[strlen(text) - 1], '\n');
    fake_os_set_thp_mode(VL_THP_MODE_NEVER);
    ck_assert_ptr_nonnull(strstr(printed(vl_report_print), "switched off"));
}
END_TEST

START_TEST(hugetlb_is_named_where_it_is_asked_for)
{
    ck_assert_ptr_null(strstr(printed(vl_report_print), "hugetlb"));
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    fake_os_set_pool(3);
    vl_alloc(64);
    vl_alloc((size_t)9 << 20);
    vl_alloc((size_t)5 << 20);
    ck_assert_ptr_nonnull(strstr(printed(vl_report_print), "\nvalloc: hugetlb: 6.0 MB, 1 fallback\n"));
    const char *text = printed(vl_report_print_json);
    ck_assert_ptr_nonnull(strstr(text, "\"hugetlb_bytes\": 6291456, \"hugetlb_fallbacks\": 1,"));
    struct valloc_stat stat;
    valloc_get_stat(&stat);
    ck_assert_uint_eq(stat.hugetlb, 6 << 20);
    ck_assert_uint_eq(stat.fallbacks, 1);
}
END_TEST

START_TEST(places_are_named_where_there_are_any)
{
    ck_assert_ptr_null(strstr(printed(vl_report_print), "big blocks, "));
    ck_assert_ptr_nonnull(strstr(printed(vl_report_print_json), "\"per_place\": []}"));
    fake_os_fail_from(FAKE_SPREAD, 1, EPERM);
    valloc_onnode(5 << 20, 1);
    valloc_interleaved(3 << 20);
    const char *text = printed(vl_report_print);
    ck_assert_ptr_nonnull(strstr(text, "\nvalloc: big blocks, node 1: in use 5.0 MB in 1 block\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "\nvalloc: big blocks, interleaved: in use 3.0 MB in 1 block\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "\nvalloc: wishes for nodes that the kernel has refused: 1\n"));
    ck_assert_ptr_null(strstr(text, "no effect"));
    text = printed(vl_report_print_json);
    ck_assert_ptr_nonnull(strstr(text, "\"node_refusals\": 1,"));
    ck_assert_ptr_nonnull(strstr(text,
                                 "\"per_place\": [{\"place\": \"node 1\", \"big_bytes\": 5242880, "
                                 "\"big_blocks\": 1}, {\"place\": \"interleaved\", "));
}
END_TEST

static void *settle(void *unused)
{
    vl_alloc(64);
    return unused;
}

/* With figures as long as they can be. */
START_TEST(all_nodes_are_told)
{
    begin_world(VL_NODE_INDEX_MAX);
    for (unsigned node = 0; node < VL_NODE_INDEX_MAX; node++) {
        run_on(node, settle, nothing);
        vl_set(&vl_traffic[node].rehomed, UINT64_MAX);
        vl_set(&vl_traffic[node].fallbacks, UINT64_MAX);
        vl_set(&vl_traffic[node].to[(node + 1) % VL_NODE_INDEX_MAX].blocks, UINT64_MAX);
    }
    for (uint32_t i = 0; i < vl_get(&vl_slice_count); i++) {
        struct vl_page_heap *heap = &vl_page_heaps[i];
        vl_set(&heap->regions_active, UINT32_MAX);
        vl_set(&heap->regions_empty, UINT32_MAX);
        vl_set(&heap->regions_clean, UINT32_MAX);
        vl_set(&heap->thp.small, UINT32_MAX);
        vl_set(&heap->purged_bytes, UINT64_MAX);
    }
    const char *text = printed(vl_report_print_json);
    ck_assert_ptr_nonnull(strstr(text, ", {\"node\": 63, "));
    ck_assert_ptr_nonnull(strstr(text, ", \"freed_of_others\": 18446744073709551615}], "));
    ck_assert_str_eq(strchr(text, '\n'), "\n");
}
END_TEST

START_TEST(policy_without_effect_is_told)
{
    fake_os_install();
    fake_os_set_policy_chosen(true);
    vl_options.large_policy = VL_LARGE_LOCAL;
    start_here();
    const char *text = printed(vl_report_print);
    ck_assert_ptr_nonnull(strstr(text,
                                 "\nvalloc: VALLOC_LARGE_POLICY has no effect: this process has a "
                                 "memory policy of its own\n"));
}
END_TEST

static void *take_runs(void *blocks_shared)
{
    void **blocks = blocks_shared;
    for (unsigned i = 0; i < 16; i++)
        blocks[i] = memset(vl_alloc(512 << 10), 1, 512 << 10);
    return NULL;
}

static unsigned on_node_0(const void *page)
{
    (void)page;
    return 0;
}

START_TEST(nodes_are_audited)
{
    void *blocks[16];
    run_on(1, take_runs, blocks);
    for (unsigned i = 0; i < 5; i++)
        vl_free(blocks[i]);
    const char *text = printed(vl_report_print);
    ck_assert_ptr_nonnull(
        strstr(text, "\nvalloc: node 1: in use 5.5 MB, 0 B (0.0%) of its heap on other "
                     "nodes; here 8.0 MB, 0 B of it in big blocks; 0 threads, 0 came from "
                     "other nodes; 0 fallbacks; 5 of its blocks freed on other nodes\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "\nvalloc: frees that no cache kept: 5, 100.0% of them remote: 5 in 5 "
                     "batches on node 0 of node 1\n"));
    ck_assert_ptr_null(strstr(text, "advice"));
    fake_os_set_lies_function(on_node_0);
    text = printed(vl_report_print);
    ck_assert_ptr_nonnull(strstr(text, ", 8.0 MB (100.0%) of its heap on other nodes; here 0 B, "));
    ck_assert_ptr_nonnull(
        strstr(text, "\nvalloc: advice: 8.0 MB of node 1's heap lie on node 0, though "));
    text = printed(vl_report_print_json);
    ck_assert_ptr_nonnull(strstr(text, "\"frees\": 5, \"frees_remote\": 5, \"placement_known\": 1, "
                                       "\"advice\": \"8.0 MB of node 1's heap lie on node 0, "));
    ck_assert_ptr_nonnull(strstr(text, "\"used_bytes\": 5767168, \"held_bytes\": 8388608, "
                                       "\"away_bytes\": 8388608, \"here_bytes\": 0, "));
    fake_os_fail_from(FAKE_NODES_OF, 1, EPERM);
    text = printed(vl_report_print);
    ck_assert_ptr_nonnull(
        strstr(text, "\nvalloc: node 1: in use 5.5 MB, what lies on other nodes is unknown; "));
    ck_assert_ptr_null(strstr(text, "advice"));
    ck_assert_ptr_nonnull(
        strstr(printed(vl_report_print_json), "\"placement_known\": 0, \"advice\": \"\""));
}
END_TEST

START_TEST(one_heap_is_explained)
{
    static const char *const reasons[] = {NULL, "VALLOC_NUMA=off",
                                          "the memory policy is the user's"};
    char expected[80];
    fake_os_install();
    fake_os_set_nodes((unsigned[]){0, 1}, _i == 0 ? 1 : 2);
    fake_os_set_policy_chosen(_i == 2);
    ck_assert(vl_start());
    vl_options.numa_mode = _i == 1 ? VL_NUMA_OFF : VL_NUMA_AUTO;
    vl_place_start();
    vl_free(vl_alloc(64));
    const char *text = printed(vl_report_print);
    ck_assert_ptr_null(strstr(text, "valloc: node"));
    ck_assert_ptr_null(strstr(text, "unknown"));
    if (reasons[_i] == NULL) {
        ck_assert_ptr_null(strstr(text, "one heap")); /* "1 node" says it */
        return;
    }
    snprintf(expected, sizeof expected, "\nvalloc: one heap for several nodes: %s\n", reasons[_i]);
    ck_assert_ptr_nonnull(strstr(text, expected));
}
END_TEST

START_TEST(giants_are_named_where_they_are_asked_for)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_GIANT;
    fake_os_set_giants(1);
    vl_alloc((size_t)2 << 30);
    ck_assert_ptr_nonnull(strstr(
        printed(vl_report_print),
        "\nvalloc: hugetlb: 1.0 GB, 1 fallback; of it in pages of 1 GB 1.0 GB, 1 fallback\n"));
    ck_assert_ptr_nonnull(strstr(printed(vl_report_print_json),
                                 "\"hugetlb_bytes\": 1073741824, \"hugetlb_fallbacks\": 1, "
                                 "\"giant_bytes\": 1073741824, \"giant_fallbacks\": 1, "));
}
END_TEST

START_TEST(json_names_what_is_in_use)
{
    vl_alloc(64);
    vl_alloc((size_t)3 << 20);
    const char *text = printed(vl_report_print_json);
    ck_assert_ptr_nonnull(strstr(text, "\"small_bytes\": 64, \"small_blocks\": 1,"));
    ck_assert_ptr_nonnull(strstr(text, "\"big_bytes\": 3145728, \"big_blocks\": 1,"));
    ck_assert_ptr_nonnull(
        strstr(text, "\"nodes\": 2, \"frees\": 0, \"frees_remote\": 0, \"placement_known\": 1, "
                     "\"advice\": \"\", \"per_node\": [{\"node\": 0, "));
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/stats");

    TCase *used = tcase_create("used");
    tcase_add_checked_fixture(used, set_up, NULL);
    tcase_add_test(used, nothing_at_first);
    tcase_add_test(used, small_blocks_are_counted_to_the_last);
    tcase_add_test(used, sizes_are_those_of_the_class);
    tcase_add_test(used, runs_are_counted_in_pages);
    tcase_add_test(used, big_blocks_are_counted_in_grains);
    tcase_add_test(used, every_object_is_somewhere);
    tcase_add_test(used, threads_that_are_gone_are_counted);
    tcase_add_test(used, blocks_on_their_way_home_are_free);
    tcase_add_test(used, figures_of_the_heap);
    suite_add_tcase(suite, used);

    TCase *print = tcase_create("print");
    tcase_add_checked_fixture(print, set_up, NULL);
    tcase_add_test(print, summary_names_what_is_in_use);
    tcase_add_test(print, hugetlb_is_named_where_it_is_asked_for);
    tcase_add_test(print, places_are_named_where_there_are_any);
    tcase_add_test(print, policy_without_effect_is_told);
    tcase_add_test(print, giants_are_named_where_they_are_asked_for);
    tcase_add_test(print, json_names_what_is_in_use);
    tcase_add_test(print, nodes_are_audited);
    suite_add_tcase(suite, print);

    TCase *many = tcase_create("many nodes");
    tcase_add_test(many, all_nodes_are_told);
    suite_add_tcase(suite, many);

    TCase *one = tcase_create("one heap");
    tcase_add_loop_test(one, one_heap_is_explained, 0, 3);
    suite_add_tcase(suite, one);
    return suite;
}
