/*
 * cache/front: random work through every entry point, on one and on several nodes and threads; no
 * memory at any moment; errno.
 */
#include "tests/model.h"

/* --- A model at random --- */

enum { OWN = 100, SHARED = 64 };

static _Atomic(void *) shared[SHARED];
static size_t steps;

/* Works on blocks of its own, and now and then swaps one with whoever else is there. */
static void *work(void *number)
{
    void *own[OWN] = {NULL};
    uint64_t state = test_seed() * 8 + (uintptr_t)number + 1;
    for (size_t step = 0; step < steps; step++) {
        void **place = &own[random_next(&state) % OWN];
        if (random_next(&state) % 4 == 0)
            *place = atomic_exchange(&shared[random_next(&state) % SHARED], *place);
        else
            model_step(place, &state);
    }
    for (unsigned i = 0; i < OWN; i++)
        model_give(own[i]);
    return NULL;
}

static void check_nothing_is_left(void)
{
    for (unsigned i = 0; i < SHARED; i++)
        model_give(atomic_exchange(&shared[i], NULL));
    vl_trim();
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
    ck_assert_uint_eq(stats.small_blocks + stats.big_blocks, 0);
    ck_assert_uint_eq(stats.cached_blocks, 0);
}

static const struct {
    unsigned threads, nodes;
    size_t steps;
} crowds[] = {{1, 1, 100000}, {1, 2, 20000}, {2, 1, 50000},
              {4, 2, 30000},  {8, 1, 20000}, {8, 8, 20000}};
#define CROWDS ((int)(sizeof crowds / sizeof crowds[0]))

START_TEST(random_work)
{
    steps = scaled(crowds[_i].steps);
    begin_bare_world(crowds[_i].nodes);
    run_together(crowds[_i].threads, crowds[_i].nodes, work);
    check_nothing_is_left();
}
END_TEST

/* Blocks wander through generations of short-lived threads on two nodes, each of which moves once:
 * hand-over, births, exits and new homes at the same time. */
static void *live_shortly(void *number)
{
    uint64_t state = test_seed() + (uintptr_t)number;
    for (unsigned i = 0; i < 300; i++) {
        void *block = atomic_exchange(&shared[random_next(&state) % SHARED], NULL);
        if (i == 150)
            move_to(random_next(&state) % 2);
        model_step(&block, &state);
        model_give(atomic_exchange(&shared[random_next(&state) % SHARED], block));
    }
    return NULL;
}

static void *parent_of_many(void *number)
{
    for (uintptr_t child = 0; child < scaled(25); child++)
        run_on((unsigned)child % 2, live_shortly, (void *)(child * 16 + (uintptr_t)number));
    return NULL;
}

START_TEST(generations_on_two_nodes)
{
    begin_bare_world(2);
    run_together(4, 2, parent_of_many);
    check_nothing_is_left();
}
END_TEST

/* With purges, trims and statistics all the while. */
static _Atomic bool working;

static void *disturb(void *unused)
{
    (void)unused;
    while (vl_get(&working)) {
        vl_trim();
        stats_now();
        vl_place_purge(0);
        vl_os->yield();
    }
    return NULL;
}

static _Atomic unsigned workers_left;

static void *work_until_all_have(void *number)
{
    if (number == NULL)
        return disturb(NULL);
    work(number);
    if (atomic_fetch_sub(&workers_left, 1) == 1)
        vl_set(&working, false);
    return NULL;
}

START_TEST(random_work_under_trim_and_purge)
{
    enum { WORKERS = 3 };
    steps = scaled(20000);
    begin_bare_world(2);
    vl_options.purge_delay_ms = 0;
    vl_set(&working, true);
    vl_set(&workers_left, WORKERS);
    run_together(WORKERS + 1, 2, work_until_all_have);
    check_nothing_is_left();
}
END_TEST

/* --- Sizes --- */

START_TEST(every_small_size_has_its_bytes)
{
    begin_world(1);
    for (size_t size = 0; size <= 5000; size++) {
        char *block = vl_alloc(size);
        require(block != NULL && is_aligned(block, 16));
        require(vl_usable_size(block) >= size && vl_usable_size(block) == vl_good_size(1, size));
        memset(block, 1, vl_usable_size(block));
        vl_free(block);
    }
    ck_assert_uint_eq(stats_now().small_blocks, 0);
}
END_TEST

START_TEST(absurd_sizes_are_refused)
{
    static const size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 4096, PTRDIFF_MAX};
    size_t size = sizes[_i];
    begin_world(1);
    void *block = model_fill(vl_alloc(100), 100, 1);
    assert_refused(vl_alloc(size), ENOMEM);
    assert_refused(vl_alloc_zeroed(1, size), ENOMEM);
    assert_refused(vl_alloc_zeroed(size / 2, 3), ENOMEM);
    assert_refused(vl_alloc_aligned(64, size), ENOMEM);
    assert_refused(vl_alloc_aligned((size_t)1 << 63, 1), ENOMEM);
    assert_refused(vl_resize(block, size), ENOMEM);
    ck_assert(model_is_whole(block));
    vl_free(block);
}
END_TEST

/* --- No memory at the kth call --- */

enum { CALLS_MAX = 80 };

static const size_t scene_sizes[] = {1,      100,    1000,   5000,    40000,
                                     200000, 500000, 900000, 1 << 20, 3 << 20};
enum { SCENE_SIZES = sizeof scene_sizes / sizeof scene_sizes[0] };

/* What came of an attempt: a block that is right, or NULL and ENOMEM. */
static void *checked(void *block, size_t size)
{
    if (block == NULL)
        ck_assert_int_eq(errno, ENOMEM);
    else
        ck_assert_int_eq(errno, 1234);
    errno = 1234;
    return block == NULL || size < MODEL_MIN ? block : model_fill(block, size, size);
}

static void *scene_on_another_node(void *unused)
{
    (void)unused;
    errno = 1234;
    for (unsigned i = 0; i < SCENE_SIZES; i++)
        vl_free(checked(vl_alloc(scene_sizes[i]), scene_sizes[i]));
    return NULL;
}

/* Every kind of call, at every size; gives how many did not get what they asked for. */
static unsigned play_scene(void)
{
    void *blocks[3][SCENE_SIZES];
    unsigned refused = 0;
    errno = 1234;
    for (unsigned i = 0; i < SCENE_SIZES; i++) {
        size_t size = scene_sizes[i];
        blocks[0][i] = checked(vl_alloc(size), size);
        blocks[1][i] = checked(vl_alloc_zeroed(1, size), size);
        blocks[2][i] = checked(vl_alloc_aligned(8192, size), size);
    }
    for (unsigned kind = 0; kind < 3; kind++)
        for (unsigned i = 0; i < SCENE_SIZES; i++) {
            size_t size = scene_sizes[i], other = scene_sizes[SCENE_SIZES - 1 - i];
            void *block = blocks[kind][i];
            if (block == NULL) {
                refused++;
                continue;
            }
            require(size < MODEL_MIN || model_is_whole(block));
            void *resized = vl_resize(block, other);
            ck_assert_msg(resized != NULL || other > size, "a block that shrinks was refused");
            refused += resized == NULL;
            blocks[kind][i] = resized == NULL ? block : resized;
            require(size < MODEL_MIN || model_is_whole_to(blocks[kind][i], vl_min(size, other)));
            checked(resized, 0);
        }
    for (unsigned kind = 0; kind < 3; kind++)
        for (unsigned i = 0; i < SCENE_SIZES; i++)
            vl_free(blocks[kind][i]);
    ck_assert_int_eq(errno, 1234);
    run_on(1, scene_on_another_node, NULL);
    return refused;
}

static void check_scene_leaves_nothing(void)
{
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
    ck_assert_uint_eq(stats.small_blocks + stats.big_blocks, 0);
}

/* Either it is not noticed or somebody is told; in the end nothing is lost, and all works. */
static void survive(void (*plan)(enum fake_os_call call, unsigned nth, int error), unsigned nth)
{
    begin_world(2);
    plan(FAKE_ANY, nth, ENOMEM);
    play_scene();
    play_scene();
    fake_os_heal();
    check_scene_leaves_nothing();
    ck_assert_uint_eq(play_scene(), 0);
    check_scene_leaves_nothing();
    vl_trim();
    ck_assert_uint_eq(stats_now().regions_active, 0);
}

START_TEST(one_call_fails)
{
    survive(fake_os_fail, (unsigned)_i);
}
END_TEST

START_TEST(all_calls_fail_from_here)
{
    survive(fake_os_fail_from, (unsigned)_i);
}
END_TEST

/* The two above reach every call there is. */
START_TEST(scene_has_been_tried_to_its_end)
{
    begin_world(2);
    fake_os_forget();
    ck_assert_uint_eq(play_scene(), 0);
    ck_assert_uint_lt(fake_os_count(FAKE_ANY), CALLS_MAX);
    ck_assert_uint_gt(fake_os_count(FAKE_ANY), CALLS_MAX / 8);
}
END_TEST

/* The very start, too: pools, topology, the first slice. */
START_TEST(start_without_memory)
{
    fake_os_install();
    fake_os_fail_from(FAKE_RESERVE, 1 + (unsigned)_i, ENOMEM);
    assert_refused(vl_alloc(100), ENOMEM);
    assert_refused(vl_alloc((size_t)2 << 20), ENOMEM);
    vl_free(NULL);
    fake_os_heal();
    void *big = vl_alloc((size_t)2 << 20);
    ck_assert_ptr_nonnull(big);
    vl_free(big);
}
END_TEST

/* What is kept for later makes room: instead of a refusal, it goes back to the system. */
START_TEST(kept_memory_goes_before_a_refusal)
{
    fake_os_install();
    fake_os_set_address_limit((uint64_t)256 << 20);
    start_here();
    vl_options.purge_delay_ms = VL_TIME_NEVER;
    for (int round = 0; round < 10; round++) {
        void *block = vl_alloc(((size_t)60 + (unsigned)round) << 20);
        ck_assert_ptr_nonnull(block);
        vl_free(block);
    }
}
END_TEST

/* --- Growth --- */

/* A block that shares huge pages is copied when it grows, but then has some of its own, which are moved. */
START_TEST(a_block_that_grows_gets_huge_pages_of_its_own)
{
    begin_world(1);
    size_t bytes = 2 * MB + 1;
    vl_alloc(bytes);
    char *block = model_fill(vl_alloc(bytes), bytes, 1);
    ck_assert(!is_aligned(block, 2 * MB));
    vl_alloc(bytes);
    block = vl_resize(block, 5 * MB + 1);
    ck_assert(is_aligned(block, 2 * MB));
    ck_assert(model_is_whole(block));
    vl_alloc(2 * MB); /* in its way */
    unsigned moves = fake_os_count(FAKE_MOVE);
    block = vl_resize(block, 9 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_MOVE), moves + 1);
    ck_assert(is_aligned(block, 2 * MB));
    ck_assert(model_is_whole(block));
}
END_TEST

/* One that was small before, too: it is not put where others end in its huge pages. */
START_TEST(a_small_block_that_grows_gets_huge_pages_of_its_own)
{
    begin_world(1);
    size_t size = 2 * MB + 100000;
    void *packed = vl_alloc(size), *next = vl_alloc(size), *block = vl_alloc(20000);
    ck_assert(!is_aligned(packed, VL_REGION_SIZE) || !is_aligned(next, VL_REGION_SIZE));
    block = vl_resize(block, size);
    ck_assert(is_aligned(block, VL_REGION_SIZE));
    vl_free(block);
    vl_free(next);
    vl_free(packed);
}
END_TEST

/* --- errno --- */

/* Through every path, fast and slow. */
START_TEST(success_keeps_errno)
{
    begin_world(2);
    vl_options.purge_delay_ms = 0;
    for (int round = 0; round < 3; round++)
        ck_assert_uint_eq(play_scene(), 0);
    errno = 1234;
    vl_free(NULL);
    vl_usable_size(NULL);
    ck_assert_int_eq(errno, 1234);
}
END_TEST

/* It stays where it is, for want of memory to move to: that is no failure. */
START_TEST(shrinking_in_place_keeps_errno)
{
    begin_world(1);
    void *block = model_fill(vl_alloc(500000), 500000, 1);
    fake_os_fail_from(FAKE_ANY, 1, ENOMEM);
    while (vl_alloc(100000) != NULL) {
    }
    errno = 1234;
    ck_assert_ptr_eq(vl_resize(block, 100000), block);
    ck_assert_int_eq(errno, 1234);
    ck_assert(model_is_whole(block));
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/front");

    TCase *random = timed_case("random", 30);
    tcase_add_loop_test(random, random_work, 0, CROWDS);
    tcase_add_test(random, generations_on_two_nodes);
    tcase_add_test(random, random_work_under_trim_and_purge);
    suite_add_tcase(suite, random);

    TCase *sizes = tcase_create("sizes");
    tcase_add_test(sizes, every_small_size_has_its_bytes);
    tcase_add_loop_test(sizes, absurd_sizes_are_refused, 0, 4);
    suite_add_tcase(suite, sizes);

    TCase *want = timed_case("want", 20);
    tcase_add_loop_test(want, one_call_fails, 1, CALLS_MAX);
    tcase_add_loop_test(want, all_calls_fail_from_here, 1, CALLS_MAX);
    tcase_add_test(want, scene_has_been_tried_to_its_end);
    tcase_add_loop_test(want, start_without_memory, 0, 2);
    tcase_add_test(want, kept_memory_goes_before_a_refusal);
    suite_add_tcase(suite, want);

    TCase *growth = tcase_create("growth");
    tcase_add_test(growth, a_block_that_grows_gets_huge_pages_of_its_own);
    tcase_add_test(growth, a_small_block_that_grows_gets_huge_pages_of_its_own);
    suite_add_tcase(suite, growth);

    TCase *errno_case = tcase_create("errno");
    tcase_add_test(errno_case, success_keeps_errno);
    tcase_add_test(errno_case, shrinking_in_place_keeps_errno);
    suite_add_tcase(suite, errno_case);
    return suite;
}
