/*
 * numa/topology: orders made by distance functions of every kind, and what a probe makes of what the
 * system says.
 */
#include "tests/api/support.h"

#include "numa/numa.h"

static struct vl_topology topology;

static void set_ids(const uint16_t *ids, unsigned count)
{
    topology.count = topology.known = count;
    memcpy(topology.ids, ids, count * sizeof *ids);
}

static void set_first_ids(unsigned count)
{
    uint16_t ids[VL_NODE_INDEX_MAX];
    for (unsigned i = 0; i < count; i++)
        ids[i] = (uint16_t)i;
    set_ids(ids, count);
}

/* What holds of any order: each node's begins with itself and names every node once, and a node
 * that has memory is its own nearest. */
static void check_order_is_whole(void)
{
    for (unsigned from = 0; from < topology.count; from++) {
        bool seen[VL_NODE_INDEX_MAX] = {false};
        ck_assert_uint_eq(topology.nearest[from][0], from);
        for (unsigned i = 0; i < topology.count; i++) {
            unsigned index = topology.nearest[from][i];
            if (index >= topology.count || seen[index])
                ck_abort_msg("the order of %u holds %u twice, or wrongly", from, index);
            seen[index] = true;
        }
        ck_assert_uint_eq(topology.index_of[topology.ids[from]], from);
    }
    for (unsigned node = 0; node < VL_NODES_MAX; node++)
        if (topology.index_of[node] >= topology.count)
            ck_abort_msg("node %u has no index", node);
}

static void check_order_ascends(vl_distance_fn *distance)
{
    for (unsigned from = 0; from < topology.count; from++)
        for (unsigned i = 2; i < topology.count; i++) {
            const uint8_t *order = topology.nearest[from];
            int nearer = distance(topology.ids[from], topology.ids[order[i - 1]]);
            int farther = distance(topology.ids[from], topology.ids[order[i]]);
            /* Ties by number, so that they come out the same each time. */
            if (nearer > farther || (nearer == farther && order[i - 1] > order[i]))
                ck_abort_msg("from %u, %u comes before %u", from, order[i - 1], order[i]);
        }
}

static void check_order(vl_distance_fn *distance)
{
    vl_topology_order(&topology, distance);
    check_order_is_whole();
    check_order_ascends(distance);
}

/* --- Distances --- */

static int on_a_line(int from, int to)
{
    return 10 + abs(from - to);
}

static int on_a_ring_of_8(int from, int to)
{
    int steps = abs(from - to) % 8;
    return 10 + (steps > 4 ? 8 - steps : steps);
}

/* Not the same there and back. */
static int downstream(int from, int to)
{
    return 10 + (to - from + 1024) % 1024;
}

static int two_sockets(int from, int to)
{
    return from == to ? 10 : from / 4 == to / 4 ? 12 : 32;
}

static int all_the_same(int from, int to)
{
    return from == to ? 10 : 20;
}

/* What libnuma says where it cannot know. */
static int unknown(int from, int to)
{
    (void)from;
    (void)to;
    return 0;
}

/* Node 2 has memory of its own beside it that is nearer to others than theirs. */
static int self_is_not_nearest(int from, int to)
{
    return from == to ? 40 : 20 + abs(from - to);
}

static vl_distance_fn *const distances[] = {
    on_a_line, on_a_ring_of_8, downstream, two_sockets, all_the_same, unknown, self_is_not_nearest,
};
#define DISTANCES ((int)(sizeof distances / sizeof distances[0]))

START_TEST(any_distance_gives_a_whole_order)
{
    static const unsigned counts[] = {1, 2, 3, 4, 8, 17, 63, VL_NODE_INDEX_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        set_first_ids(counts[i]);
        check_order(distances[_i]);
    }
}
END_TEST

START_TEST(order_on_a_ring)
{
    static const uint8_t expected[8] = {3, 2, 4, 1, 5, 0, 6, 7};
    set_first_ids(8);
    check_order(on_a_ring_of_8);
    ck_assert_mem_eq(topology.nearest[3], expected, sizeof expected);
}
END_TEST

START_TEST(order_goes_by_the_way_there)
{
    static const uint8_t expected[4] = {2, 3, 0, 1};
    set_first_ids(4);
    check_order(downstream);
    ck_assert_mem_eq(topology.nearest[2], expected, sizeof expected);
}
END_TEST

START_TEST(sparse_ids_and_nodes_without_memory)
{
    static const uint16_t ids[] = {1, 8, 9, 200, 1023};
    static const struct {
        unsigned node, index;
    } expected[] = {{0, 0},   {1, 0},   {4, 0},   {5, 1},   {8, 1},   {9, 2},   {10, 2},
                    {104, 2}, {105, 3}, {200, 3}, {611, 3}, {612, 4}, {1023, 4}};
    set_ids(ids, 5);
    check_order(on_a_line);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        ck_assert_msg(topology.index_of[expected[i].node] == expected[i].index,
                      "node %u has index %u", expected[i].node,
                      topology.index_of[expected[i].node]);
}
END_TEST

/* --- What the system says --- */

static struct vl_os os;
static struct vl_node_mask allowed;
static int allowed_result, policy_result, where_result;
static unsigned calls_made, node_now;

static int give_allowed(struct vl_node_mask *mask)
{
    calls_made++;
    if (allowed_result == 0)
        *mask = allowed;
    return allowed_result;
}

static int give_policy(void)
{
    calls_made++;
    return policy_result;
}

static int give_where(unsigned *cpu, unsigned *node)
{
    calls_made++;
    *cpu = 0;
    *node = node_now;
    return where_result;
}

static void set_up_os(void)
{
    os = vl_os_linux;
    os.allowed_nodes = give_allowed;
    os.policy_chosen = give_policy;
    os.where = give_where;
    vl_os = &os;
}

static void allow(unsigned node)
{
    unsigned bits = 8 * sizeof allowed.words[0];
    allowed.words[node / bits] |= 1ul << (node % bits);
}

/* One index; asking where a thread is costs no call, and has one answer wherever it runs. */
static void check_single(void)
{
    ck_assert_uint_eq(topology.count, 1);
    ck_assert(!topology.bind);
    calls_made = 0;
    node_now = 3;
    ck_assert_uint_eq(vl_topology_here(&topology), 0);
    ck_assert_uint_eq(calls_made, 0);
}

START_TEST(probe_finds_the_allowed_nodes)
{
    allow(0);
    allow(2);
    allow(63);
    allow(64);
    allow(1023);
    vl_topology_probe(&topology, VL_NUMA_AUTO);
    ck_assert_uint_eq(topology.count, 5);
    ck_assert(topology.bind);
    static const uint16_t ids[] = {0, 2, 63, 64, 1023};
    ck_assert_mem_eq(topology.ids, ids, sizeof ids);
    check_order_is_whole();
    check_order_ascends(on_a_line);
}
END_TEST

START_TEST(probe_of_one_node_binds_nothing)
{
    allow(5);
    vl_topology_probe(&topology, VL_NUMA_AUTO);
    check_single();
}
END_TEST

START_TEST(probe_that_fails_leaves_one_node)
{
    static const int errors[] = {-EPERM, -ENOSYS, -EINVAL};
    allow(0);
    allow(1);
    allowed_result = errors[_i];
    vl_topology_probe(&topology, VL_NUMA_AUTO);
    check_single();
}
END_TEST

/* One heap; but a block may still be wanted on a node by name, or where the thread is. */
START_TEST(chosen_policy_wins)
{
    allow(0);
    allow(4);
    policy_result = 1;
    vl_topology_probe(&topology, VL_NUMA_AUTO);
    check_single();
    ck_assert(topology.chosen);
    ck_assert_uint_eq(topology.known, 2);
    node_now = 3;
    ck_assert_uint_eq(topology.ids[vl_topology_near(&topology)], 4);
}
END_TEST

START_TEST(known_nodes_are_those_allowed)
{
    allow(1);
    allow(64);
    vl_topology_probe(&topology, VL_NUMA_AUTO);
    ck_assert_uint_eq(topology.known, 2);
    ck_assert(!topology.chosen);
    for (unsigned node = 0; node < VL_NODES_MAX; node++)
        ck_assert_int_eq(vl_node_mask_has(&topology.allowed, node), node == 1 || node == 64);
    allowed_result = -EPERM;
    vl_topology_probe(&topology, VL_NUMA_AUTO);
    ck_assert_uint_eq(topology.known, 0);
    ck_assert(!vl_node_mask_has(&topology.allowed, 1));
}
END_TEST

START_TEST(numa_off_asks_nothing)
{
    allow(0);
    allow(1);
    vl_topology_probe(&topology, VL_NUMA_OFF);
    ck_assert_uint_eq(calls_made, 0);
    check_single();
}
END_TEST

/* A second probe keeps nothing of the first. */
START_TEST(probe_begins_anew)
{
    for (unsigned node = 0; node < 8; node++)
        allow(node);
    vl_topology_probe(&topology, VL_NUMA_AUTO);
    ck_assert_uint_eq(topology.count, 8);
    memset(&allowed, 0, sizeof allowed);
    allow(6);
    allow(7);
    vl_topology_probe(&topology, VL_NUMA_AUTO);
    ck_assert_uint_eq(topology.count, 2);
    ck_assert_uint_eq(topology.index_of[0], 0);
    ck_assert_uint_eq(topology.index_of[7], 1);
    check_order_is_whole();
}
END_TEST

START_TEST(more_nodes_than_heaps_share)
{
    for (unsigned node = 0; node < 2 * VL_NODE_INDEX_MAX; node++)
        allow(2 * node);
    vl_topology_probe(&topology, VL_NUMA_AUTO);
    ck_assert_uint_eq(topology.count, VL_NODE_INDEX_MAX);
    check_order_is_whole();
    for (unsigned node = 2 * VL_NODE_INDEX_MAX; node < VL_NODES_MAX; node++)
        ck_assert_uint_eq(topology.index_of[node], VL_NODE_INDEX_MAX - 1);
}
END_TEST

START_TEST(here_is_the_index_of_the_node)
{
    allow(4);
    allow(9);
    vl_topology_probe(&topology, VL_NUMA_AUTO);
    static const struct {
        unsigned node, index;
    } expected[] = {{4, 0}, {9, 1}, {0, 0}, {7, 1}, {1023, 1}, {1024, 0}, {UINT32_MAX, 0}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        node_now = expected[i].node;
        ck_assert_uint_eq(vl_topology_here(&topology), expected[i].index);
    }
    node_now = 9;
    where_result = -ENOSYS;
    ck_assert_uint_eq(vl_topology_here(&topology), 0);
}
END_TEST

START_TEST(refined_order_is_whole)
{
    allow(0);
    allow(1);
    allow(2);
    vl_topology_probe(&topology, VL_NUMA_AUTO);
    vl_topology_refine(&topology); /* libnuma knows this machine, not the nodes above */
    check_order_is_whole();
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("numa/topology");

    TCase *order = tcase_create("order");
    tcase_add_loop_test(order, any_distance_gives_a_whole_order, 0, DISTANCES);
    tcase_add_test(order, order_on_a_ring);
    tcase_add_test(order, order_goes_by_the_way_there);
    tcase_add_test(order, sparse_ids_and_nodes_without_memory);
    suite_add_tcase(suite, order);

    TCase *probe = tcase_create("probe");
    tcase_add_checked_fixture(probe, set_up_os, NULL);
    tcase_add_test(probe, probe_finds_the_allowed_nodes);
    tcase_add_test(probe, probe_of_one_node_binds_nothing);
    tcase_add_loop_test(probe, probe_that_fails_leaves_one_node, 0, 3);
    tcase_add_test(probe, chosen_policy_wins);
    tcase_add_test(probe, known_nodes_are_those_allowed);
    tcase_add_test(probe, numa_off_asks_nothing);
    tcase_add_test(probe, probe_begins_anew);
    tcase_add_test(probe, more_nodes_than_heaps_share);
    tcase_add_test(probe, here_is_the_index_of_the_node);
    tcase_add_test(probe, refined_order_is_whole);
    suite_add_tcase(suite, probe);
    return suite;
}
