/*
 * Threads that come and go: what they leave behind, what others free for them, what their
 * destructors do after valloc's own, and that none of it makes memory grow.
 *
 * Growth is counted in resident bytes, between a point where everything is warm and the end.
 */
#include "support.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

/* --- Growth --- */

struct growth {
    size_t resident_at_start;
};

static void growth_start(struct growth *growth)
{
    growth->resident_at_start = resident_bytes();
}

static void growth_check(const struct growth *growth, size_t limit)
{
    size_t resident = resident_bytes();

    ck_assert_msg(resident <= growth->resident_at_start + limit,
                  "resident memory rose from %zu to %zu KB, expected at most %zu KB more",
                  growth->resident_at_start / KB, resident / KB, limit / KB);
}

/* --- Births and deaths --- */

enum { ALIVE = 16, BLOCKS_LEFT = 20 };

/* What a dead thread leaves for another to free. */
struct legacy {
    void *blocks[BLOCKS_LEFT];
};

static void *live_and_leave(void *legacy_shared)
{
    struct legacy *legacy = legacy_shared;

    for (size_t i = 0; i < BLOCKS_LEFT; i++) {
        free(legacy->blocks[i]);
        free(memset(malloc(i * 100 + 1), 1, i * 100 + 1));
        legacy->blocks[i] = memset(malloc(i * 50 + 1), 1, i * 50 + 1);
    }
    return NULL;
}

static void run_generations(size_t count)
{
    static struct legacy legacies[ALIVE];
    pthread_t threads[ALIVE];

    for (size_t generation = 0; generation < count; generation++) {
        for (int i = 0; i < ALIVE; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, live_and_leave, &legacies[i]), 0);
        for (int i = 0; i < ALIVE; i++)
            ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
}

START_TEST(births_and_deaths_do_not_grow)
{
    struct growth growth;

    run_generations(scaled(100));
    growth_start(&growth);
    run_generations(scaled(900));
    growth_check(&growth, 2 * MB);
}
END_TEST

/* --- Destructors of thread-specific data --- */

enum { KEYS = 64 };

static pthread_key_t keys[KEYS];
static atomic_size_t destructor_calls;

/* Its value is a block; replaces it until the last round that POSIX grants. The key's own
 * number of rounds is kept in the block. */
static void allocate_in_destructor(void *value)
{
    int *block = value;
    int round = block[0];
    int key = block[1];

    atomic_fetch_add(&destructor_calls, 1);
    free(block);
    free(memset(malloc(100), 1, 100));
    if (round + 1 == PTHREAD_DESTRUCTOR_ITERATIONS)
        return;
    block = malloc(64);
    block[0] = round + 1;
    block[1] = key;
    pthread_setspecific(keys[key], block);
}

static void *set_every_key(void *unused)
{
    (void)unused;
    for (int key = 0; key < KEYS; key++) {
        int *block = malloc(64);

        block[0] = 0;
        block[1] = key;
        if (pthread_setspecific(keys[key], block) != 0)
            ck_abort_msg("pthread_setspecific of key %d", key);
    }
    return NULL;
}

static void run_threads_one_by_one(size_t count, void *(*body)(void *))
{
    for (size_t i = 0; i < count; i++) {
        pthread_t thread;

        ck_assert_int_eq(pthread_create(&thread, NULL, body, NULL), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
}

/* Keys made after valloc's own have destructors that run after its, and in each further round. */
START_TEST(destructors_allocate_and_free)
{
    struct growth growth;
    size_t warm = scaled(200), rest = scaled(2000);

    for (int key = 0; key < KEYS; key++)
        ck_assert_int_eq(pthread_key_create(&keys[key], allocate_in_destructor), 0);
    run_threads_one_by_one(warm, set_every_key);
    growth_start(&growth);
    run_threads_one_by_one(rest, set_every_key);
    growth_check(&growth, 2 * MB);
    ck_assert_uint_eq(atomic_load(&destructor_calls),
                      (warm + rest) * KEYS * PTHREAD_DESTRUCTOR_ITERATIONS);
}
END_TEST

static void free_value(void *value)
{
    free(value);
}

static void *only_free_in_destructor(void *unused)
{
    static atomic_size_t turn;

    (void)unused;
    pthread_setspecific(keys[0], memset(malloc(50000), 1, 50000));
    pthread_setspecific(keys[1], memset(malloc(atomic_fetch_add(&turn, 1) % 3000 + 1), 1, 1));
    return NULL;
}

START_TEST(what_destructors_free_is_not_lost)
{
    struct growth growth;

    for (int key = 0; key < 2; key++)
        ck_assert_int_eq(pthread_key_create(&keys[key], free_value), 0);
    run_threads_one_by_one(scaled(500), only_free_in_destructor);
    growth_start(&growth);
    run_threads_one_by_one(scaled(5000), only_free_in_destructor);
    growth_check(&growth, 2 * MB);
}
END_TEST

/* --- Frees after the owner has gone --- */

enum { ORPHANS = 2000 };

static void *allocate_orphans(void *orphans_shared)
{
    char **orphans = orphans_shared;

    for (size_t i = 0; i < ORPHANS; i++) {
        size_t size = i * 13 % 10000 + 1;

        orphans[i] = malloc(size);
        pattern_fill(orphans[i], size, i);
    }
    return NULL;
}

static void *free_orphans(void *orphans_shared)
{
    char **orphans = orphans_shared;

    for (size_t i = 0; i < ORPHANS; i++) {
        size_t size = i * 13 % 10000 + 1;

        if (pattern_damage(orphans[i], size, i) != size)
            ck_abort_msg("block %zu of a dead thread changed", i);
        free(orphans[i]);
    }
    return NULL;
}

static void run_orphans(size_t count)
{
    static char *orphans[ORPHANS];

    for (size_t turn = 0; turn < count; turn++) {
        pthread_t thread;

        ck_assert_int_eq(pthread_create(&thread, NULL, allocate_orphans, orphans), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        if (turn % 2 == 0) {
            free_orphans(orphans);
            continue;
        }
        ck_assert_int_eq(pthread_create(&thread, NULL, free_orphans, orphans), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
}

START_TEST(late_frees_by_others)
{
    struct growth growth;

    run_orphans(scaled(20));
    growth_start(&growth);
    run_orphans(scaled(100));
    growth_check(&growth, 24 * MB);
}
END_TEST

/* --- Producers and consumers --- */

enum { RING_PLACES = 4096 };

/* A ring of blocks from one thread to one other; a full ring makes the producer wait, so what is
 * in flight stays bounded and all growth is the allocator's. */
struct ring {
    _Alignas(64) atomic_size_t produced;
    _Alignas(64) atomic_size_t consumed;
    size_t count;
    void *places[RING_PLACES];
    struct growth growth;
};

static size_t ring_size(size_t index)
{
    return index % 64 == 0 ? 20000 : index * 37 % 1000 + 1;
}

static void *only_allocate(void *ring_shared)
{
    struct ring *ring = ring_shared;

    for (size_t i = 0; i < ring->count; i++) {
        size_t size = ring_size(i);

        while (i - atomic_load(&ring->consumed) == RING_PLACES)
            sched_yield();
        ring->places[i % RING_PLACES] = memset(malloc(size), (char)i, size);
        atomic_store(&ring->produced, i + 1);
    }
    return NULL;
}

static void *only_free(void *ring_shared)
{
    struct ring *ring = ring_shared;

    for (size_t i = 0; i < ring->count; i++) {
        char *block;

        while (atomic_load(&ring->produced) == i)
            sched_yield();
        block = ring->places[i % RING_PLACES];
        if (block[0] != (char)i || block[ring_size(i) - 1] != (char)i)
            ck_abort_msg("block %zu changed on its way", i);
        free(block);
        atomic_store(&ring->consumed, i + 1);
        if (i == ring->count / 5)
            growth_start(&ring->growth);
    }
    return NULL;
}

static void run_rings(struct ring *rings, size_t count)
{
    enum { RINGS_MAX = 4 };
    pthread_t threads[2 * RINGS_MAX];

    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(pthread_create(&threads[2 * i], NULL, only_allocate, &rings[i]), 0);
        ck_assert_int_eq(pthread_create(&threads[2 * i + 1], NULL, only_free, &rings[i]), 0);
    }
    for (size_t i = 0; i < 2 * count; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

/* All the time one thread allocates and never frees, the other frees and never allocates. */
START_TEST(a_thread_that_only_frees_does_not_grow)
{
    static struct ring ring;

    ring.count = scaled(2000000);
    run_rings(&ring, 1);
    growth_check(&ring.growth, 8 * MB);
}
END_TEST

START_TEST(producers_and_consumers)
{
    static struct ring rings[4];

    for (int i = 0; i < 4; i++)
        rings[i].count = scaled(200000);
    run_rings(rings, 4);
    growth_check(&rings[0].growth, 32 * MB);
}
END_TEST

/* --- What a thread may be --- */

/* More than stays in small pages. */
enum { HEAP_BLOCKS = 400, HEAP_BLOCK = 200 << 10 };

static void *build_a_heap(void *blocks)
{
    for (int i = 0; i < HEAP_BLOCKS; i++)
        ((void **)blocks)[i] = malloc(HEAP_BLOCK);
    return blocks;
}

static void drop_a_heap(void **blocks)
{
    for (int i = 0; i < HEAP_BLOCKS; i++)
        free(blocks[i]);
}

START_TEST(on_the_smallest_stack)
{
    static void *blocks[HEAP_BLOCKS];
    pthread_attr_t attributes;
    pthread_t thread;

    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, build_a_heap, blocks), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_ptr_nonnull(blocks[HEAP_BLOCKS - 1]);
    drop_a_heap(blocks);
}
END_TEST

static void *build_while_cancelled(void *blocks)
{
    pthread_cancel(pthread_self());
    build_a_heap(blocks);
    return blocks; /* not a point of cancellation, either */
}

START_TEST(malloc_is_no_point_of_cancellation)
{
    static void *blocks[HEAP_BLOCKS];
    pthread_t thread;
    void *result;

    ck_assert_int_eq(pthread_create(&thread, NULL, build_while_cancelled, blocks), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, blocks);
    drop_a_heap(blocks);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("threads");
    TCase *lives = timed_case("lives", 60);
    TCase *hands = timed_case("hands", 60);

    tcase_add_test(lives, births_and_deaths_do_not_grow);
    tcase_add_test(lives, destructors_allocate_and_free);
    tcase_add_test(lives, what_destructors_free_is_not_lost);
    tcase_add_test(hands, late_frees_by_others);
    tcase_add_test(hands, a_thread_that_only_frees_does_not_grow);
    tcase_add_test(hands, producers_and_consumers);
    suite_add_tcase(suite, lives);
    suite_add_tcase(suite, hands);

    TCase *kinds = timed_case("kinds", 20);
    tcase_add_test(kinds, on_the_smallest_stack);
    tcase_add_test(kinds, malloc_is_no_point_of_cancellation);
    suite_add_tcase(suite, kinds);
    return suite;
}
