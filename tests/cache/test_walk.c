/* cache/walk: every block in use is visited once with its size, no other, while others work, too. */
#include "tests/world.h"

enum { NODES = 3, BLOCKS = 3000 };

static struct {
    char *start;
    size_t bytes;
    unsigned seen;
} held[BLOCKS];

static void set_up(void)
{
    begin_world(NODES);
}

static size_t bytes_of(unsigned number, uint64_t *random)
{
    return number % 100 == 0   ? MB + random_size(random, 8 * MB)
           : number % 20 == 0 ? 256 * 1024 + random_size(random, 700000)
                              : random_size(random, 4096);
}

static void *hold_some(void *argument)
{
    unsigned first = *(unsigned *)argument;
    uint64_t random = test_seed() + first;
    for (unsigned i = first; i < BLOCKS; i += NODES) {
        held[i].bytes = bytes_of(i, &random);
        held[i].start = vl_alloc(held[i].bytes);
    }
    return NULL;
}

static void *drop_some(void *argument)
{
    unsigned first = *(unsigned *)argument;
    for (unsigned i = first; i < BLOCKS; i += 4) {
        vl_free(held[i].start);
        held[i].start = NULL;
    }
    return NULL;
}

static int note_block(void *start, size_t bytes, void *others)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        if (held[i].start == start) {
            ck_assert_uint_eq(bytes, vl_usable_size(start));
            held[i].seen++;
            return 0;
        }
    ++*(unsigned *)others;
    return 0;
}

/* Blocks of threads on every node, of all kinds; some are freed by threads on other nodes than theirs:
 * these lie in magazines, outboxes, depots and spans. */
START_TEST(blocks_in_use_and_no_others)
{
    unsigned others = 0;
    ck_assert_int_eq(vl_walk_blocks(note_block, &others), 0);
    unsigned before = others;
    others = 0;
    for (unsigned node = 0; node < NODES; node++)
        run_on(node, hold_some, &node);
    for (unsigned node = 0; node < NODES; node++)
        run_on(node, drop_some, &node);
    ck_assert_int_eq(vl_walk_blocks(note_block, &others), 0);
    for (unsigned i = 0; i < BLOCKS; i++)
        ck_assert_uint_eq(held[i].seen, held[i].start != NULL);
    ck_assert_uint_eq(others, before);
}
END_TEST

static int stop_at_third(void *start, size_t bytes, void *visited)
{
    (void)start;
    (void)bytes;
    return ++*(unsigned *)visited == 3 ? 42 : 0;
}

START_TEST(ends_when_told)
{
    unsigned visited = 0;
    for (int i = 0; i < 100; i++)
        vl_alloc(100);
    ck_assert_int_eq(vl_walk_blocks(stop_at_third, &visited), 42);
    ck_assert_uint_eq(visited, 3);
}
END_TEST

START_TEST(no_memory)
{
    unsigned others = 0;
    vl_alloc(1);
    fake_os_fail(FAKE_RESERVE, 1, ENOMEM);
    ck_assert_int_eq(vl_walk_blocks(note_block, &others), -1);
    fake_os_fail(FAKE_PROTECT, 1, ENOMEM);
    ck_assert_int_eq(vl_walk_blocks(note_block, &others), -1);
    ck_assert_int_eq(vl_walk_blocks(note_block, &others), 0);
}
END_TEST

/* --- Parts --- */

struct sum {
    size_t used_small, used_big, big_size;
    unsigned regions, resident;
    int nodes[NODES];
};

static int add_part(const struct vl_part *part, void *argument)
{
    struct sum *sum = argument;
    if (part->kind == VL_PART_BIG) {
        ck_assert_int_eq(part->node, -1);
        sum->used_big += part->used;
        sum->big_size += part->size;
    } else {
        ck_assert_uint_eq(part->size, VL_REGION_SIZE);
        ck_assert(is_aligned(part->start, VL_REGION_SIZE));
        sum->used_small += part->used;
        sum->regions++;
        sum->resident += part->resident;
        sum->nodes[part->node]++;
    }
    return 0;
}

/* The regions add up to what the statistics say. */
START_TEST(parts_add_up)
{
    struct sum sum = {0};
    for (unsigned node = 0; node < NODES; node++)
        run_on(node, hold_some, &node);
    for (unsigned node = 0; node < NODES; node++)
        run_on(node, drop_some, &node);
    vl_trim();
    struct vl_stats stats = stats_now();
    ck_assert_int_eq(vl_walk_parts(add_part, &sum), 0);
    ck_assert_uint_eq(sum.regions,
                      stats.regions_active + stats.regions_empty + stats.regions_clean);
    ck_assert_uint_eq(sum.resident, stats.regions_active + stats.regions_empty);
    ck_assert_uint_eq(sum.big_size, stats.big_bytes);
    ck_assert_uint_le(sum.used_big, sum.big_size);
    ck_assert_uint_ge(sum.used_small, stats.small_bytes + stats.run_bytes);
    for (unsigned node = 0; node < NODES; node++)
        ck_assert_int_gt(sum.nodes[node], 0);
}
END_TEST

/* --- While others work --- */

static _Atomic bool over;

static void *work_on(void *argument)
{
    enum { SLOTS = 200 };
    void *slots[SLOTS] = {NULL};
    uint64_t random = *(unsigned *)argument;
    while (!vl_get(&over)) {
        unsigned slot = (unsigned)(random_next(&random) % SLOTS);
        vl_free(slots[slot]);
        slots[slot] = vl_alloc(bytes_of((unsigned)(random_next(&random) % 200), &random));
    }
    for (unsigned i = 0; i < SLOTS; i++)
        vl_free(slots[i]);
    return NULL;
}

/* What is in use all the time is visited exactly once, and the visitor may allocate. */
static int note_held(void *start, size_t bytes, void *unused)
{
    (void)bytes;
    (void)unused;
    vl_free(vl_alloc(100));
    for (unsigned i = 0; i < BLOCKS; i += 30)
        if (held[i].start == start)
            held[i].seen++;
    return 0;
}

START_TEST(while_others_work)
{
    enum { WORKERS = 2, WALKS = 10 };
    pthread_t workers[WORKERS];
    unsigned numbers[WORKERS], first = 0;
    begin_bare_world(1);
    for (first = 0; first < NODES; first++)
        hold_some(&first);
    for (unsigned i = 0; i < WORKERS; i++) {
        numbers[i] = i + 1;
        ck_assert_int_eq(pthread_create(&workers[i], NULL, work_on, &numbers[i]), 0);
    }
    for (int walk = 0; walk < WALKS; walk++)
        ck_assert_int_eq(vl_walk_blocks(note_held, NULL), 0);
    vl_set(&over, true);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    for (unsigned i = 0; i < BLOCKS; i += 30)
        ck_assert_uint_eq(held[i].seen, WALKS);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/walk");
    TCase *blocks = timed_case("blocks", 60);
    TCase *parts = tcase_create("parts");
    TCase *threads = timed_case("threads", 120);

    tcase_add_checked_fixture(blocks, set_up, NULL);
    tcase_add_test(blocks, blocks_in_use_and_no_others);
    tcase_add_test(blocks, ends_when_told);
    tcase_add_test(blocks, no_memory);
    suite_add_tcase(suite, blocks);

    tcase_add_checked_fixture(parts, set_up, NULL);
    tcase_add_test(parts, parts_add_up);
    suite_add_tcase(suite, parts);

    tcase_add_test(threads, while_others_work);
    suite_add_tcase(suite, threads);
    return suite;
}
