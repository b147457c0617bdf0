/* numa/traffic: of the pairs of nodes, those with the most frees between them. */
#include "tests/world.h"

enum { NODES = 8, PAIRS = 4 };

static struct vl_traffic_pair pairs[NODES * NODES];

static void set_up(void)
{
    begin_world(NODES);
}

static void add(unsigned from, unsigned to, unsigned batches, unsigned blocks)
{
    for (unsigned i = 0; i < batches; i++)
        vl_traffic_freed(from, to, blocks / batches);
}

static void check_pair(unsigned i, unsigned from, unsigned to, uint64_t batches, uint64_t blocks)
{
    ck_assert_uint_eq(pairs[i].from, from);
    ck_assert_uint_eq(pairs[i].to, to);
    ck_assert_uint_eq(pairs[i].batches, batches);
    ck_assert_uint_eq(pairs[i].blocks, blocks);
}

START_TEST(none_at_first)
{
    ck_assert_uint_eq(vl_traffic_largest(pairs, PAIRS), 0);
}
END_TEST

START_TEST(largest_come_first)
{
    add(1, 0, 2, 20);
    add(7, 6, 1, 30);
    add(0, 1, 1, 10);
    ck_assert_uint_eq(vl_traffic_largest(pairs, PAIRS), 3);
    check_pair(0, 7, 6, 1, 30);
    check_pair(1, 1, 0, 2, 20);
    check_pair(2, 0, 1, 1, 10);
}
END_TEST

/* A node's own runs are not between nodes. */
START_TEST(diagonal_is_left_out)
{
    add(3, 3, 1, 1000);
    add(3, 4, 1, 1);
    ck_assert_uint_eq(vl_traffic_largest(pairs, PAIRS), 1);
    check_pair(0, 3, 4, 1, 1);
}
END_TEST

/* Whatever the order in which they come, and with some that are alike. */
START_TEST(as_many_as_there_is_room_for)
{
    for (unsigned from = 0; from < NODES; from++)
        for (unsigned to = 0; to < NODES; to++)
            if (from != to)
                add(from, to, 1, 1 + (from * 5 + to * 3) % 29);
    unsigned count = vl_traffic_largest(pairs, NODES * NODES);
    ck_assert_uint_eq(count, NODES * (NODES - 1));
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        sum += pairs[i].blocks;
        ck_assert(i == 0 || pairs[i - 1].blocks >= pairs[i].blocks);
    }
    uint64_t expected = 0;
    for (unsigned from = 0; from < NODES; from++)
        for (unsigned to = 0; to < NODES; to++)
            expected += vl_get(&vl_traffic[from].to[to].blocks);
    ck_assert_uint_eq(sum, expected);
    struct vl_traffic_pair few[PAIRS + 1] = {[PAIRS] = {.blocks = 99}};
    ck_assert_uint_eq(vl_traffic_largest(few, PAIRS), PAIRS);
    ck_assert_uint_eq(few[PAIRS].blocks, 99);
    ck_assert_mem_eq(few, pairs, PAIRS * sizeof *few);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("numa/traffic");
    TCase *largest = tcase_create("largest");
    tcase_add_checked_fixture(largest, set_up, NULL);
    tcase_add_test(largest, none_at_first);
    tcase_add_test(largest, largest_come_first);
    tcase_add_test(largest, diagonal_is_left_out);
    tcase_add_test(largest, as_many_as_there_is_room_for);
    suite_add_tcase(suite, largest);
    return suite;
}
