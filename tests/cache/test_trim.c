/* cache/trim: what was freed goes back to the system, wherever it lay; what is in use stays. */
#include "tests/world.h"

enum { NODES = 3 };

static void *nothing;

static void set_up(void)
{
    begin_world(NODES);
    vl_options.purge_delay_ms = VL_TIME_NEVER; /* nothing goes back but by trim */
}

/* All regions are without memory, each once given back. */
static void check_all_returned(void)
{
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
    ck_assert_uint_eq(stats.cached_blocks, 0);
    ck_assert_uint_eq(stats.span_free_bytes, 0);
    ck_assert_uint_eq(stats.regions_active, 0);
    ck_assert_uint_eq(stats.regions_empty, 0);
    ck_assert_uint_ge(stats.purged_bytes, stats.regions_clean << VL_REGION_SHIFT);
    for (uint32_t i = 0; i < vl_slice_count; i++)
        for (uint32_t r = 0; vl_slices[i].kind == VL_SLICE_NODE && r < vl_page_heaps[i].fresh; r++)
            ck_assert_ptr_nonnull(
                fake_os_last(FAKE_ADVISE_DISCARD, (char *)vl_slices[i].start + r * VL_REGION_SIZE));
}

static void *work_in_all_sizes(void *unused)
{
    enum { BLOCKS = 2000 };
    void *blocks[BLOCKS] = {NULL};
    uint64_t state = test_seed();
    (void)unused;
    for (size_t step = 0; step < 3 * BLOCKS; step++) {
        void **block = &blocks[random_next(&state) % BLOCKS];
        vl_free(*block);
        *block = vl_alloc(random_size(&state, step % 8 == 0 ? 1 << 20 : 2048));
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        vl_free(blocks[i]);
    return NULL;
}

START_TEST(everything_goes_back)
{
    work_in_all_sizes(nothing);
    for (unsigned node = 0; node < NODES; node++)
        run_on(node, work_in_all_sizes, nothing);
    struct vl_stats before = stats_now();
    ck_assert_uint_eq(before.purged_bytes, 0);
    size_t returned = vl_trim();
    ck_assert_uint_ge(returned, (before.regions_active + before.regions_empty) << VL_REGION_SHIFT);
    ck_assert_uint_eq(stats_now().purged_bytes, returned);
    check_all_returned();
    ck_assert_uint_eq(vl_trim(), 0);
}
END_TEST

/* After a trim the heap works as before it, and reads as zero where it is fresh. */
START_TEST(heap_works_after_a_trim)
{
    for (int round = 0; round < 5; round++) {
        work_in_all_sizes(nothing);
        vl_trim();
        check_all_returned();
        unsigned char *block = vl_alloc_zeroed(1, 700000);
        ck_assert(is_zero(block, 700000));
        memset(block, 1, 700000);
        vl_free(block);
    }
}
END_TEST

START_TEST(what_is_in_use_stays)
{
    enum { COUNT = 3000 };
    static void *blocks[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = vl_alloc(i + 1);
        pattern_fill(blocks[i], i + 1, i);
    }
    for (unsigned i = 0; i < COUNT; i += 2)
        vl_free(blocks[i]);
    vl_trim();
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(stats.small_blocks, COUNT / 2);
    for (unsigned i = 1; i < COUNT; i += 2) {
        require(pattern_damage(blocks[i], i + 1, i) == i + 1);
        vl_free(blocks[i]);
    }
    vl_trim();
    check_all_returned();
}
END_TEST

START_TEST(kept_big_blocks_go_back)
{
    enum { BIG = 16 << 20 };
    void *block = vl_alloc(BIG);
    memset(block, 1, BIG);
    vl_free(block);
    ck_assert_uint_eq(stats_now().big_kept_bytes, BIG);
    ck_assert_uint_ge(vl_trim(), BIG);
    ck_assert_uint_eq(stats_now().big_kept_bytes, 0);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_DISCARD, block));
}
END_TEST

static pthread_barrier_t all_alive;

/* All threads are born, and hold objects, before the first dies. */
static void *hold_together(void *unused)
{
    void *blocks[50];
    (void)unused;
    for (unsigned i = 0; i < 50; i++)
        blocks[i] = vl_alloc(1000);
    pthread_barrier_wait(&all_alive);
    for (unsigned i = 0; i < 50; i++)
        vl_free(blocks[i]);
    return NULL;
}

/* However many threads are gone: what each has left in its cache goes back. */
START_TEST(caches_of_the_gone_are_emptied)
{
    enum { THREADS_MAX = 200 };
    unsigned count = (unsigned)_i;
    pthread_t threads[THREADS_MAX];
    pthread_barrier_init(&all_alive, NULL, count);
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_together, NULL), 0);
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(stats_now().caches, count);
    vl_trim();
    check_all_returned();
}
END_TEST

/* Caches that are parked stay parked, and are adopted after it. */
static void *own_cache(void *unused)
{
    (void)unused;
    vl_free(vl_alloc(10));
    return vl_cache_self;
}

START_TEST(parked_caches_stay_in_use)
{
    void *cache = run_on(1, own_cache, nothing);
    vl_trim();
    ck_assert_ptr_eq(run_on(1, own_cache, nothing), cache);
}
END_TEST

START_TEST(nothing_is_lost_where_the_kernel_refuses)
{
    work_in_all_sizes(nothing);
    fake_os_fail_from(FAKE_ADVISE_DISCARD, 1, EINVAL);
    ck_assert_uint_eq(vl_trim(), 0);
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
    ck_assert_uint_eq(stats.purged_bytes, 0);
    unsigned char *block = vl_alloc_zeroed(1, 700000);
    ck_assert(is_zero(block, 700000));
    vl_free(block);
}
END_TEST

/* --- Threads that trim at the same time --- */

static void set_up_bare(void)
{
    begin_bare_world(1);
    vl_options.purge_delay_ms = VL_TIME_NEVER;
}

enum { TRIMMERS = 6, TRIM_ROUNDS = 60, HELD_BLOCKS = 120, HELD_SIZE = 500 << 10 };

/* 60 MB in blocks of which each has its thread's mark at both ends: what two own is seen. */
static void *trim_and_trim(void *number)
{
    char **blocks = calloc(HELD_BLOCKS, sizeof *blocks), mark = (char)(*(int *)number + 1);
    for (int round = 0; round < TRIM_ROUNDS; round++) {
        for (int i = 0; i < HELD_BLOCKS; i++) {
            require((blocks[i] = vl_alloc(HELD_SIZE)) != NULL);
            blocks[i][0] = blocks[i][HELD_SIZE - 1] = mark;
        }
        for (int i = 0; i < HELD_BLOCKS; i++) {
            require(blocks[i][0] == mark && blocks[i][HELD_SIZE - 1] == mark);
            vl_free(blocks[i]);
        }
        vl_trim();
    }
    free(blocks);
    return NULL;
}

START_TEST(many_trim_at_the_same_time)
{
    pthread_t threads[TRIMMERS];
    int numbers[TRIMMERS];
    for (int i = 0; i < TRIMMERS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, trim_and_trim, &numbers[i]), 0);
    }
    for (int i = 0; i < TRIMMERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    vl_trim();
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
    ck_assert_uint_eq(stats.regions_active + stats.regions_empty, 0);
    struct vl_page_heap *heap = &vl_page_heaps[0];
    ck_assert_uint_eq(vl_get(&heap->regions_clean), heap->fresh);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/trim");
    TCase *trim = timed_case("trim", 20);
    tcase_add_checked_fixture(trim, set_up, NULL);
    tcase_add_test(trim, everything_goes_back);
    tcase_add_test(trim, heap_works_after_a_trim);
    tcase_add_test(trim, what_is_in_use_stays);
    tcase_add_test(trim, kept_big_blocks_go_back);
    tcase_add_loop_test(trim, caches_of_the_gone_are_emptied, 1, 4);
    tcase_add_loop_test(trim, caches_of_the_gone_are_emptied, 63, 67);
    tcase_add_loop_test(trim, caches_of_the_gone_are_emptied, 200, 201);
    tcase_add_test(trim, parked_caches_stay_in_use);
    tcase_add_test(trim, nothing_is_lost_where_the_kernel_refuses);
    suite_add_tcase(suite, trim);

    TCase *threads = timed_case("threads", 60);
    tcase_add_checked_fixture(threads, set_up_bare, NULL);
    tcase_add_test(threads, many_trim_at_the_same_time);
    suite_add_tcase(suite, threads);
    return suite;
}
