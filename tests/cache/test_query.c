/* cache/query: what is said of blocks, of what lies between them, and of wild pointers, also while the
 * address space they lead into is taken away. */
#include "tests/world.h"

#include <sched.h>
#include <unistd.h>


enum { NODES = 3 };

static void set_up(void)
{
    begin_world(NODES);
}

/* Every kind of block: known at its start, unknown anywhere else, unknown once it has gone back. */
static void check_block(size_t size)
{
    char *block = vl_alloc(size);
    ck_assert_ptr_nonnull(block);
    size_t usable = vl_usable_size(block);
    ck_assert_uint_eq(vl_query_bytes(block), usable);
    ck_assert_uint_eq(vl_query_bytes(block + 1), 0);
    ck_assert_uint_eq(vl_query_bytes(block + usable / 2), 0);
    ck_assert_uint_eq(vl_query_bytes(block + usable - 1), 0);
    ck_assert(vl_query_owns(block));
    ck_assert(vl_query_owns(block + usable - 1));
    vl_free(block);
    vl_trim();
    ck_assert_uint_eq(vl_query_bytes(block), 0);
}

START_TEST(blocks_of_every_kind)
{
    static const size_t sizes[] = {1,          16,      100,     1024,    5000,   32768, 200000,
                                   256 * 1024, 300000, 1 << 20, 5 << 20, 64 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check_block(sizes[i]);
}
END_TEST

/* Each object of a span is known, and none between two; the free ones are not. */
START_TEST(neighbours)
{
    char *blocks[100];
    for (int i = 0; i < 100; i++)
        blocks[i] = vl_alloc(48);
    for (int i = 0; i < 100; i += 2)
        vl_free(blocks[i]);
    vl_trim();
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_eq(vl_query_bytes(blocks[i]), i % 2 == 0 ? 0 : 48);
        ck_assert_uint_eq(vl_query_bytes(blocks[i] + 16), 0);
    }
}
END_TEST

START_TEST(wild_pointers)
{
    static const uintptr_t wild[] = {0, 1, 4096, UINTPTR_MAX, (uintptr_t)1 << 47};
    int local;
    vl_free(vl_alloc(1 << 20));
    vl_free(vl_alloc(1));
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++) {
        ck_assert(!vl_query_owns((void *)wild[i]));
        ck_assert_uint_eq(vl_query_bytes((void *)wild[i]), 0);
        ck_assert_int_eq(vl_query_node((void *)wild[i]), -1);
    }
    ck_assert(!vl_query_owns(&local));
    ck_assert_uint_eq(vl_query_bytes(&local), 0);
    /* Reserved, but never used. */
    for (uint32_t i = 0; i < vl_slice_count; i++)
        for (size_t at = 0; at < vl_slices[i].size; at += vl_slices[i].size / 64) {
            char *pointer = (char *)vl_slices[i].start + at;
            ck_assert_int_eq(vl_query_owns(pointer), at < vl_slices[i].writable);
            if (at >= vl_slices[i].writable)
                ck_assert_uint_eq(vl_query_bytes(pointer), 0);
        }
}
END_TEST

static void *node_of_a_block(void *node)
{
    void *block = vl_alloc(100);
    *(int *)node = vl_query_node(block);
    vl_free(block);
    return NULL;
}

START_TEST(memory_lies_on_the_thread_s_node)
{
    int seen = -2;
    run_on((unsigned)_i, node_of_a_block, &seen);
    ck_assert_int_eq(seen, _i);
}
END_TEST

/* --- While it is taken away --- */

enum { FAR = 10 }; /* runs of 600,000 bytes: more than a slice of 4 MB holds */

static _Atomic size_t retired;

static void *retire(void *unused)
{
    (void)unused;
    vl_set_release(&retired, vl_place_retire(true));
    return NULL;
}

/* Found in a section, a slice stays with its class map and tables until the section ends. */
START_TEST(a_slice_stays_as_long_as_it_is_looked_at)
{
    pthread_t retiring;
    vl_options.va_reserve_bytes = 4 * MB;
    begin_bare_world(1);
    if (_i == 1)
        vl_rcu_load();
    char *runs[FAR];
    for (int i = 0; i < FAR; i++)
        runs[i] = vl_alloc(600000);
    char *block = runs[FAR - 1];
    ck_assert(vl_slice_of(block) != vl_slice_of(runs[0]));
    enum vl_rcu_section section = vl_rcu_read();
    const struct vl_slice *slice = vl_slice_of(block);
    const _Atomic uint8_t *map = vl_slice_class(slice, block);
    for (int i = 0; i < FAR; i++)
        vl_free(runs[i]);
    ck_assert_int_eq(pthread_create(&retiring, NULL, retire, NULL), 0);
    while (vl_slice_of(block) != NULL)
        sched_yield();
    usleep(20 * 1000); /* without waiting, it would be gone by now */
    ck_assert_uint_eq(vl_get(map), VL_CLASS_NONE);
    ck_assert_uint_eq(vl_query_bytes(block), 0);
    vl_rcu_done(section);
    pthread_join(retiring, NULL);
    ck_assert_uint_gt(retired, 4 * MB);
}
END_TEST

/* Not for the thread sanitizer, which sees no order in what liburcu does. */
#ifndef __SANITIZE_THREAD__

enum { ASKERS = 2, ROUNDS = 300 };

static struct {
    _Atomic(char *) last;
    _Atomic bool over;
} race;

static void *ask_on(void *unused)
{
    (void)unused;
    while (!vl_get(&race.over)) {
        const char *pointer = vl_get_acquire(&race.last);
        for (size_t i = 0; i < 50; i++)
            require(vl_query_bytes(pointer + i * 4096) <= 1 << 20);
    }
    return NULL;
}

/* Fills more than one slice and empties them; those that are not the first go. */
static bool come_and_go(void)
{
    char *runs[FAR];
    for (int i = 0; i < FAR; i++)
        runs[i] = vl_alloc(600000);
    vl_set_release(&race.last, runs[FAR - 1]);
    for (int i = 0; i < FAR; i++)
        vl_free(runs[i]);
    return vl_place_retire(true) != 0;
}

START_TEST(asked_while_slices_come_and_go)
{
    pthread_t asking[ASKERS];
    unsigned gone = 0;
    vl_options.va_reserve_bytes = 4 * MB;
    begin_bare_world(1);
    come_and_go();
    for (int i = 0; i < ASKERS; i++)
        ck_assert_int_eq(pthread_create(&asking[i], NULL, ask_on, NULL), 0);
    for (int i = 0; i < ROUNDS; i++)
        gone += come_and_go();
    vl_set(&race.over, true);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(asking[i], NULL);
    ck_assert_uint_gt(gone, 0);
}
END_TEST

#endif

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/query");
    TCase *pointers = tcase_create("pointers");
    TCase *races = timed_case("race", 60);

    tcase_add_checked_fixture(pointers, set_up, NULL);
    tcase_add_test(pointers, blocks_of_every_kind);
    tcase_add_test(pointers, neighbours);
    tcase_add_test(pointers, wild_pointers);
    tcase_add_loop_test(pointers, memory_lies_on_the_thread_s_node, 0, NODES);
    suite_add_tcase(suite, pointers);

    tcase_add_loop_test(races, a_slice_stays_as_long_as_it_is_looked_at, 0, 2);
#ifndef __SANITIZE_THREAD__
    tcase_add_test(races, asked_while_slices_come_and_go);
#endif
    suite_add_tcase(suite, races);
    return suite;
}
