/*
 * cache/counters: where calls are counted, each one is, once, by whatever path it goes; elsewhere none.
 */
#include "tests/world.h"

#include "valloc.h"

enum { THREADS = 4, ROUNDS = 1000 };

static struct valloc_stat before;

static void set_up(void)
{
    begin_bare_world(2);
    valloc_count_calls(1);
    valloc_get_stat(&before);
}

/* What has been called since the last check. */
static void check_calls(uint64_t mallocs, uint64_t callocs, uint64_t reallocs, uint64_t frees)
{
    struct valloc_stat now;
    valloc_get_stat(&now);
    ck_assert_uint_eq(now.nb_malloc - before.nb_malloc, mallocs);
    ck_assert_uint_eq(now.nb_calloc - before.nb_calloc, callocs);
    ck_assert_uint_eq(now.nb_realloc - before.nb_realloc, reallocs);
    ck_assert_uint_eq(now.nb_free - before.nb_free, frees);
    before = now;
}

static const size_t sizes[] = {0, 1, 16, 1024, 1025, VL_SMALL_MAX, VL_SMALL_MAX + 1,
                               VL_BIG_MIN - 1, VL_BIG_MIN, VL_BIG_MIN * 5};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

START_TEST(a_call_counts_once)
{
    for (unsigned i = 0; i < SIZES; i++) {
        void *block = vl_alloc(sizes[i]);
        check_calls(1, 0, 0, 0);
        vl_free(block);
        check_calls(0, 0, 0, 1);
        block = vl_alloc_zeroed(1, sizes[i]);
        check_calls(0, 1, 0, 0);
        for (unsigned j = 0; j < SIZES; j++) {
            block = vl_resize(block, sizes[j] + 1);
            check_calls(0, 0, 1, 0);
        }
        vl_free(block);
        check_calls(0, 0, 0, 1);
        for (size_t align = 1; align <= VL_REGION_SIZE; align *= 8) {
            block = vl_alloc_aligned(align, sizes[i]);
            check_calls(1, 0, 0, 0);
            vl_free(block);
            check_calls(0, 0, 0, 1);
        }
    }
    vl_free(NULL);
    check_calls(0, 0, 0, 0);
    vl_free(vl_resize(NULL, 100));
    check_calls(0, 0, 1, 1);
}
END_TEST

/* More than the magazines hold, so that calls go through refill, overflow and swap. */
START_TEST(every_path_counts)
{
    static void *blocks[ROUNDS];
    for (unsigned i = 0; i < ROUNDS; i++)
        blocks[i] = vl_alloc(64);
    for (unsigned i = 0; i < ROUNDS; i++)
        vl_free(blocks[i]);
    check_calls(ROUNDS, 0, 0, ROUNDS);
}
END_TEST

START_TEST(a_block_kept_for_the_next_request_is_recycled)
{
    void *small = vl_alloc(64), *big = vl_alloc(VL_BIG_MIN);
    valloc_get_stat(&before);
    vl_free(small);
    vl_free(big);
    struct valloc_stat now;
    valloc_get_stat(&now);
    ck_assert_uint_eq(now.nb_recyclage - before.nb_recyclage, 1);
    ck_assert_ptr_eq(vl_alloc(64), small);
}
END_TEST

START_TEST(objects_count_as_well)
{
    MemoryAllocator mesh;
    ck_assert_int_eq(valloc_init(&mesh, 10, 2), 0);
    void *block = valloc_block(&mesh, 100);
    check_calls(1, 0, 0, 0);
    block = vl_resize(block, 1000);
    check_calls(0, 0, 1, 0);
    revalloc(&mesh, block);
    check_calls(0, 0, 0, 1);
    block = valloc_block(&mesh, 1000);
    vl_free(block);
    check_calls(1, 0, 0, 1);
    ThreadCache *cache = get_thread_cache(&mesh);
    cache_free(cache, cache_allocate(cache, 10), 10);
    check_calls(1, 0, 0, 1);
    free_valloc(valloc_default(), valloc_block(valloc_default(), 10));
    check_calls(1, 0, 0, 1);
    valloc_destroy(&mesh);
    check_calls(0, 0, 0, 0);
}
END_TEST

static void *work(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < ROUNDS; i++)
        vl_free(vl_resize(vl_alloc_zeroed(1, i), 2 * i));
    for (unsigned i = 0; i < ROUNDS; i++)
        vl_free(vl_alloc(i * 8));
    return NULL;
}

START_TEST(nothing_is_lost_when_threads_end)
{
    for (unsigned round = 0; round < 3; round++)
        run_together(THREADS, 2, work);
    struct valloc_stat now;
    valloc_get_stat(&now);
    /* libc's own for each thread comes on top in a program; here its malloc is another's. */
    ck_assert_uint_eq(now.nb_malloc - before.nb_malloc, 3 * THREADS * ROUNDS);
    ck_assert_uint_eq(now.nb_calloc - before.nb_calloc, 3 * THREADS * ROUNDS);
    ck_assert_uint_eq(now.nb_realloc - before.nb_realloc, 3 * THREADS * ROUNDS);
    ck_assert_uint_eq(now.nb_free - before.nb_free, 2 * 3 * THREADS * ROUNDS);
}
END_TEST

START_TEST(nobody_counts_unasked)
{
    valloc_count_calls(0);
    valloc_get_stat(&before);
    ck_assert_int_eq(before.counts, 0);
    vl_free(vl_alloc(10));
    vl_free(vl_alloc(VL_BIG_MIN));
    vl_free(vl_alloc_zeroed(10, 10));
    check_calls(0, 0, 0, 0);
}
END_TEST

START_TEST(calls_to_the_system_always_count)
{
    valloc_count_calls(0);
    valloc_get_stat(&before);
    void *space = vl_os->reserve(VL_REGION_SIZE);
    require(vl_os->renew(space, VL_REGION_SIZE) == 0);
    require(vl_os->unreserve(space, VL_REGION_SIZE) == 0);
    struct valloc_stat now;
    valloc_get_stat(&now);
    ck_assert_uint_eq(now.nb_mmap - before.nb_mmap, 2);
    ck_assert_uint_eq(now.nb_munmap - before.nb_munmap, 1);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/counters");
    TCase *calls = timed_case("calls", 60);
    tcase_add_checked_fixture(calls, set_up, NULL);
    tcase_add_test(calls, a_call_counts_once);
    tcase_add_test(calls, every_path_counts);
    tcase_add_test(calls, a_block_kept_for_the_next_request_is_recycled);
    tcase_add_test(calls, objects_count_as_well);
    tcase_add_test(calls, nothing_is_lost_when_threads_end);
    tcase_add_test(calls, nobody_counts_unasked);
    tcase_add_test(calls, calls_to_the_system_always_count);
    suite_add_tcase(suite, calls);
    return suite;
}
