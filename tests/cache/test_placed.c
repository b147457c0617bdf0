/*
 * cache/placed: blocks of which the program names the place, by the functions of valloc.h: that they lie
 * there, small and big, stay there when they grow, and are blocks like others in all else; and
 * VALLOC_LARGE_POLICY, which has all big blocks placed.
 */
#include "tests/world.h"

#include "valloc.h"

enum { NODES = 4 };

static void set_up(void)
{
    begin_world(NODES);
}

static const struct vl_slice *slice_of(const void *block)
{
    const struct vl_slice *slice = vl_slice_of(block);
    ck_assert_ptr_nonnull(slice);
    return slice;
}

/* The node that a block of any size is bound to. */
static int bound_to(const void *block)
{
    const struct vl_slice *slice = slice_of(block);
    return slice->bind ? slice->bind_node : -1;
}

static bool is_interleaved(const void *block)
{
    const struct vl_slice *slice = slice_of(block);
    return slice->kind == VL_SLICE_PLACED && slice->spread != NULL;
}

static const size_t sizes[] = {0, 1, 16, 100, 5000, 200000, 300000, MB - 1, MB, 5 * MB, 100 * MB};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* --- Places --- */

START_TEST(any_size_on_any_node)
{
    char *blocks[NODES][SIZES];
    for (int node = 0; node < NODES; node++)
        for (unsigned i = 0; i < SIZES; i++) {
            char *block = blocks[node][i] = valloc_onnode(sizes[i], node);
            ck_assert_ptr_nonnull(block);
            ck_assert(is_aligned(block, 16));
            ck_assert_uint_ge(vl_usable_size(block), sizes[i]);
            pattern_fill(block, sizes[i], (uint64_t)node + 1);
            ck_assert_int_eq(bound_to(block), node);
            ck_assert_int_eq(slice_of(block)->kind,
                             sizes[i] < MB ? VL_SLICE_NODE : VL_SLICE_PLACED);
        }
    for (int node = 0; node < NODES; node++)
        for (unsigned i = 0; i < SIZES; i++) {
            ck_assert_uint_eq(pattern_damage(blocks[node][i], sizes[i], (uint64_t)node + 1),
                              sizes[i]);
            vl_free(blocks[node][i]);
        }
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
}
END_TEST

START_TEST(interleaved_from_a_megabyte)
{
    for (unsigned i = 0; i < SIZES; i++) {
        void *block = valloc_interleaved(sizes[i]);
        ck_assert_ptr_nonnull(block);
        ck_assert_int_eq(is_interleaved(block), sizes[i] >= MB);
        vl_free(block);
    }
    ck_assert_uint_eq(fake_os_count(FAKE_SPREAD), 1);
}
END_TEST

static void *take_local(void *size)
{
    return valloc_local((uintptr_t)size);
}

START_TEST(local_is_where_the_caller_runs)
{
    for (unsigned node = 0; node < NODES; node++)
        for (unsigned i = 0; i < SIZES; i++) {
            void *block = run_on(node, take_local, (void *)sizes[i]);
            ck_assert_int_eq(bound_to(block), (int)node);
            vl_free(block);
        }
}
END_TEST

/* What threads elsewhere free of a node where nobody runs does not pile up. */
START_TEST(small_blocks_of_a_node_without_threads_come_back)
{
    enum { BLOCKS = 3000, ROUNDS = 20 };
    static void *blocks[BLOCKS];
    uint64_t held = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            blocks[i] = valloc_onnode(1000, 3);
            require(blocks[i] != NULL && node_of(blocks[i]) == 3);
        }
        if (round == 0)
            held = stats_now().heap_bytes;
        for (unsigned i = 0; i < BLOCKS; i++)
            vl_free(blocks[i]);
    }
    ck_assert_uint_eq(stats_now().heap_bytes, held);
}
END_TEST

START_TEST(refused_calls)
{
    begin_world(NODES);
    assert_refused(valloc_onnode(100, NODES), EINVAL);
    assert_refused(valloc_onnode(5 * MB, -1), EINVAL);
    assert_refused(valloc_onnode(SIZE_MAX, 1), ENOMEM);
    assert_refused(valloc_onnode(PTRDIFF_MAX, 1), ENOMEM);
    assert_refused(valloc_interleaved(SIZE_MAX), ENOMEM);
    assert_refused(valloc_local((size_t)PTRDIFF_MAX + 1), ENOMEM);
}
END_TEST

START_TEST(limit_counts_what_is_placed)
{
    vl_options.limit_hard = 64 * MB;
    begin_world(NODES);
    char *block = valloc_onnode(40 * MB, 2);
    ck_assert_ptr_nonnull(block);
    assert_refused(valloc_interleaved(40 * MB), ENOMEM);
    vl_free(block); /* kept, and given up for what is wanted elsewhere */
    block = valloc_interleaved(40 * MB);
    ck_assert(is_interleaved(block));
}
END_TEST

/* --- Growing and shrinking --- */

static char *check_resized(char *block, size_t had, size_t size, int node)
{
    block = vl_resize(block, size);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_ge(vl_usable_size(block), size);
    ck_assert_uint_eq(pattern_damage(block, vl_min(had, size), 1), vl_min(had, size));
    ck_assert_int_eq(bound_to(block), node);
    pattern_fill(block, size, 1);
    return block;
}

static const int move_errors[] = {0, ENOMEM};

/* Where it stands, by moving its pages, and, where the kernel does not move them, by copying. */
START_TEST(resized_blocks_stay_on_their_node)
{
    static const size_t steps[] = {3 * MB, 4 * MB,  20 * MB, 50 * MB, 2 * MB, MB,
                                   9 * MB, 70 * MB, 10000,   300000,  100};
    if (move_errors[_i] != 0)
        fake_os_fail_from(FAKE_MOVE, 1, move_errors[_i]);
    size_t had = 2 * MB;
    unsigned moves = 0;
    char *block = valloc_onnode(had, 3);
    pattern_fill(block, had, 1);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        void *before = block;
        valloc_onnode(MB, 3); /* may be in the way */
        if (steps[i] < MB && had < MB)
            break; /* a small block is one of its heap like others */
        block = check_resized(block, had, steps[i], 3);
        moves += before != block;
        had = steps[i];
    }
    ck_assert_uint_gt(moves, 2);
    vl_free(block);
}
END_TEST

START_TEST(interleaved_blocks_stay_interleaved)
{
    char *block = valloc_interleaved(2 * MB);
    pattern_fill(block, 2 * MB, 1);
    valloc_interleaved(MB);
    block = vl_resize(block, 60 * MB);
    ck_assert(is_interleaved(block));
    ck_assert_uint_eq(pattern_damage(block, 2 * MB, 1), 2 * MB);
    /* What was moved away is as the slice again. */
    fake_os_forget();
    vl_free(block);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_SPREAD, block));
}
END_TEST

START_TEST(full_slice_sends_them_to_the_next_of_their_place)
{
    fake_os_install();
    fake_os_set_address_limit(512 * MB);
    start_here();
    char *block = valloc_onnode(20 * MB, 2);
    const struct vl_slice *slice = slice_of(block);
    while (slice_of(valloc_onnode(20 * MB, 2)) == slice) {
    }
    pattern_fill(block, 20 * MB, 1);
    block = check_resized(block, 20 * MB, 40 * MB, 2);
    ck_assert_ptr_ne(slice_of(block), slice);
    vl_free(block);
}
END_TEST

/* --- Blocks like others --- */

START_TEST(statistics_count_them)
{
    valloc_onnode(5 * MB, 1);
    valloc_interleaved(3 * MB);
    valloc_onnode(300000, 2);
    valloc_onnode(100, 2);
    struct valloc_stat stat;
    valloc_get_stat(&stat);
    ck_assert_uint_eq(stat.used_big, 8 * MB);
    ck_assert_uint_eq(stat.big_count, 2);
    ck_assert_uint_eq(stat.used_runs, vl_round_up(300000, VL_PAGE_SIZE));
    ck_assert_uint_eq(stat.small_count, 1);
}
END_TEST

static int note_region(const struct valloc_region *region, void *nodes)
{
    if (region->big)
        ((int *)nodes)[region->size / MB] = region->node;
    return 0;
}

START_TEST(walks_tell_their_node)
{
    int nodes[8] = {0};
    ck_assert_ptr_nonnull(valloc_onnode(5 * MB, 2));
    ck_assert_ptr_nonnull(valloc_interleaved(3 * MB));
    ck_assert_ptr_nonnull(vl_alloc(7 * MB));
    ck_assert_int_eq(valloc_regions(note_region, nodes), 0);
    ck_assert_int_eq(nodes[5], 2);
    ck_assert_int_eq(nodes[3], -1);
    ck_assert_int_eq(nodes[7], -1);
}
END_TEST

START_TEST(filled_and_counted)
{
    vl_fill_with(0x11);
    vl_count_calls(true);
    uint64_t before = vl_counter_sum(VL_COUNT_MALLOC);
    for (unsigned i = 1; i < SIZES; i++) {
        unsigned char *block = valloc_onnode(sizes[i], 2);
        ck_assert_uint_eq(block[0], 0xee);
        ck_assert_uint_eq(block[sizes[i] - 1], 0xee);
        valloc_local(sizes[i]);
    }
    ck_assert_uint_eq(vl_counter_sum(VL_COUNT_MALLOC), before + 2 * (SIZES - 1));
}
END_TEST

/* Where it stays, and where it moves. */
START_TEST(resizing_counts_as_that)
{
    vl_count_calls(true);
    void *block = valloc_onnode(20 * MB, 2);
    valloc_onnode(20 * MB, 2);
    fake_os_fail_from(FAKE_MOVE, 1, ENOMEM);
    uint64_t before = vl_counter_sum(VL_COUNT_MALLOC);
    block = vl_resize(block, 40 * MB);
    block = vl_resize(block, 1000);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq(vl_counter_sum(VL_COUNT_MALLOC), before);
    ck_assert_uint_eq(vl_counter_sum(VL_COUNT_REALLOC), 2);
}
END_TEST

/* Bound twice, by the object and by the slice: what the object wanted does not outlive it. */
START_TEST(objects_follow_the_variable)
{
    vl_options.large_policy = VL_LARGE_INTERLEAVE;
    begin_world(NODES);
    MemoryAllocator mesh = {0}, there = {0};
    struct valloc_opts opts = {.size = sizeof opts, .node_plus_one = 3};
    ck_assert_int_eq(valloc_init(&mesh, 0, 1), 0);
    ck_assert_int_eq(valloc_init_opts(&there, &opts), 0);
    void *block = valloc_block(&mesh, 3 * MB);
    ck_assert(is_interleaved(block));
    ck_assert(!is_interleaved(valloc_block(&there, 3 * MB)));
    ck_assert_int_eq(valloc_migrate(&mesh, 1), 0);
    ck_assert_uint_eq(fake_os_last(FAKE_BIND, block)->node, 1);
    fake_os_forget();
    valloc_destroy(&mesh);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_SPREAD, block));
    valloc_destroy(&there);
}
END_TEST

/* --- Worlds without places --- */

static void install_with_one_node(void)
{
    static const unsigned node = 0;
    fake_os_install();
    fake_os_set_nodes(&node, 1);
}

static void install_without_numa(void)
{
    fake_os_install();
    fake_os_fail_from(FAKE_ALLOWED_NODES, 1, ENOSYS);
}

static void install_with_refusals(void)
{
    fake_os_install();
    fake_os_fail_from(FAKE_BIND, 1, EPERM);
    fake_os_fail_from(FAKE_SPREAD, 1, EPERM);
}

static void (*const poor_worlds[])(void) = {install_with_one_node, install_without_numa,
                                            install_with_refusals};

START_TEST(calls_succeed_everywhere)
{
    poor_worlds[_i]();
    start_here();
    for (unsigned i = 0; i < SIZES; i++) {
        char *blocks[] = {valloc_onnode(sizes[i], 0), valloc_interleaved(sizes[i]),
                          valloc_local(sizes[i])};
        for (unsigned j = 0; j < 3; j++) {
            ck_assert_ptr_nonnull(blocks[j]);
            memset(blocks[j], 1, sizes[i]);
            blocks[j] = vl_resize(blocks[j], 2 * sizes[i] + 1);
            ck_assert_ptr_nonnull(blocks[j]);
            vl_free(blocks[j]);
        }
    }
    ck_assert_int_eq(vl_get(&vl_slice_refusals) != 0, _i == 2);
}
END_TEST

/* Under numactl there is one heap for small blocks; big ones go where the program says. */
START_TEST(named_places_come_before_numactl)
{
    fake_os_install();
    fake_os_set_policy_chosen(true);
    vl_options.large_policy = VL_LARGE_INTERLEAVE;
    start_here();
    ck_assert_int_eq(bound_to(valloc_onnode(5 * MB, 6)), 6);
    ck_assert_int_eq(bound_to(valloc_onnode(500, 6)), -1);
    ck_assert(is_interleaved(valloc_interleaved(5 * MB)));
    ck_assert_int_eq(bound_to(run_on(5, take_local, (void *)(5 * MB))), 5);
    ck_assert(!is_interleaved(vl_alloc(5 * MB)));
}
END_TEST

/* --- The variable --- */

static void *take_big(void *unused)
{
    (void)unused;
    return vl_alloc(5 * MB);
}

START_TEST(variable_places_big_blocks_only)
{
    static const enum vl_large_policy policies[] = {VL_LARGE_LOCAL, VL_LARGE_INTERLEAVE,
                                                    VL_LARGE_WEIGHTED};
    bool local = policies[_i] == VL_LARGE_LOCAL;
    vl_options.large_policy = policies[_i];
    begin_world(NODES);
    void *blocks[] = {run_on(2, take_big, NULL), vl_alloc_zeroed(5, MB),
                      vl_alloc_aligned(8 * MB, 100), vl_resize(vl_alloc(1000), 5 * MB)};
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(is_interleaved(blocks[i]), !local);
        if (local)
            ck_assert_int_eq(bound_to(blocks[i]), i == 0 ? 2 : 0);
    }
    ck_assert(is_zero(blocks[1], 5 * MB));
    ck_assert_int_eq(slice_of(vl_alloc(MB - 1))->kind, VL_SLICE_NODE);
    ck_assert_int_eq(slice_of(vl_alloc(100))->kind, VL_SLICE_NODE);
    ck_assert_uint_eq(count_slices(VL_SLICE_BIG), 0);
    for (unsigned i = 0; i < 4; i++)
        vl_free(blocks[i]);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/placed");

    TCase *places = timed_case("places", 20);
    tcase_add_checked_fixture(places, set_up, NULL);
    tcase_add_test(places, any_size_on_any_node);
    tcase_add_test(places, interleaved_from_a_megabyte);
    tcase_add_test(places, local_is_where_the_caller_runs);
    tcase_add_test(places, small_blocks_of_a_node_without_threads_come_back);
    suite_add_tcase(suite, places);

    TCase *want = timed_case("want", 20);
    tcase_add_test(want, refused_calls);
    tcase_add_test(want, full_slice_sends_them_to_the_next_of_their_place);
    tcase_add_test(want, limit_counts_what_is_placed);
    suite_add_tcase(suite, want);

    TCase *resize = timed_case("resize", 20);
    tcase_add_checked_fixture(resize, set_up, NULL);
    tcase_add_loop_test(resize, resized_blocks_stay_on_their_node, 0, 2);
    tcase_add_test(resize, interleaved_blocks_stay_interleaved);
    suite_add_tcase(suite, resize);

    TCase *alike = timed_case("alike", 20);
    tcase_add_checked_fixture(alike, set_up, NULL);
    tcase_add_test(alike, statistics_count_them);
    tcase_add_test(alike, walks_tell_their_node);
    tcase_add_test(alike, filled_and_counted);
    tcase_add_test(alike, resizing_counts_as_that);
    suite_add_tcase(suite, alike);

    TCase *poor = timed_case("poor", 20);
    tcase_add_loop_test(poor, calls_succeed_everywhere, 0, 3);
    tcase_add_test(poor, named_places_come_before_numactl);
    suite_add_tcase(suite, poor);

    TCase *variable = timed_case("variable", 20);
    tcase_add_loop_test(variable, variable_places_big_blocks_only, 0, 3);
    tcase_add_test(variable, objects_follow_the_variable);
    suite_add_tcase(suite, variable);
    return suite;
}
