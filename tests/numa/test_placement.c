/*
 * numa/placement: which place a wish comes to, in worlds of every kind, what the kernel is told of a place,
 * and that the user's own policy comes before the variable.
 */
#include "tests/world.h"

/* Node 64 does not fit into the first word of a mask. */
static void install_sparse(void)
{
    static const unsigned ids[] = {2, 5, 64};
    fake_os_install();
    fake_os_set_nodes(ids, 3);
}

static void begin_sparse(void)
{
    install_sparse();
    start_here();
}

static int place_on(int node)
{
    unsigned place;
    return vl_placement_on(node, &place) ? (int)place : -1;
}

/* --- Wishes --- */

START_TEST(nodes_are_places)
{
    begin_sparse();
    ck_assert_int_eq(place_on(2), 2);
    ck_assert_int_eq(place_on(5), 5);
    ck_assert_int_eq(place_on(64), 64);
    ck_assert_uint_eq(vl_placement_spread(), VL_PLACE_EVENLY);
    move_to(5);
    ck_assert_uint_eq(vl_placement_here(), 5);
    move_to(63); /* without memory: the nearest */
    ck_assert_uint_eq(vl_placement_here(), 64);
}
END_TEST

START_TEST(no_such_node)
{
    static const int none[] = {
        -1, 0, 1, 3, 63, 65, VL_NODES_MAX - 1, VL_NODES_MAX, VL_NODES_MAX + 2, INT_MIN, INT_MAX};
    begin_sparse();
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        ck_assert_msg(place_on(none[i]) == -1, "node %d", none[i]);
}
END_TEST

/* What a program asks for by name it gets, whatever numactl said. */
START_TEST(wishes_under_a_policy)
{
    install_sparse();
    fake_os_set_policy_chosen(true);
    start_here();
    ck_assert_uint_eq(vl_topology.count, 1);
    ck_assert_int_eq(place_on(5), 5);
    ck_assert_int_eq(place_on(3), -1);
    ck_assert_uint_eq(vl_placement_spread(), VL_PLACE_EVENLY);
    move_to(5);
    ck_assert_uint_eq(vl_placement_here(), 5);
}
END_TEST

START_TEST(one_node_is_anywhere)
{
    begin_world(1);
    ck_assert_int_eq(place_on(0), VL_PLACE_ANYWHERE);
    ck_assert_int_eq(place_on(1), -1);
    ck_assert_uint_eq(vl_placement_spread(), VL_PLACE_ANYWHERE);
    ck_assert_uint_eq(vl_placement_here(), VL_PLACE_ANYWHERE);
}
END_TEST

static void install_with_failing_probe(void)
{
    fake_os_install();
    fake_os_fail_from(FAKE_ALLOWED_NODES, 1, EPERM);
}

static void install_with_numa_off(void)
{
    fake_os_install();
    vl_options.numa_mode = VL_NUMA_OFF;
}

static void (*const silent_worlds[])(void) = {install_with_failing_probe, install_with_numa_off};

/* Nobody says what nodes there are: a number may be right. */
START_TEST(unknown_nodes_are_anywhere)
{
    silent_worlds[_i]();
    start_here();
    ck_assert_int_eq(place_on(0), VL_PLACE_ANYWHERE);
    ck_assert_int_eq(place_on(VL_NODES_MAX - 1), VL_PLACE_ANYWHERE);
    ck_assert_int_eq(place_on(-1), -1);
    ck_assert_int_eq(place_on(VL_NODES_MAX), -1);
    ck_assert_uint_eq(vl_placement_spread(), VL_PLACE_ANYWHERE);
    ck_assert_uint_eq(vl_placement_here(), VL_PLACE_ANYWHERE);
}
END_TEST

/* --- What the kernel is told --- */

START_TEST(plans)
{
    begin_sparse();
    struct vl_slice_plan plan = vl_big_heap_plan(0);
    vl_placement_plan(64, &plan);
    ck_assert_int_eq(plan.kind, VL_SLICE_PLACED);
    ck_assert_uint_eq(plan.node, 64);
    ck_assert(plan.bind);
    ck_assert_uint_eq(plan.bind_node, 64);
    ck_assert_ptr_null(plan.spread);
    static const enum vl_spread hows[] = {VL_SPREAD_EVENLY, VL_SPREAD_WEIGHTED};
    for (unsigned i = 0; i < 2; i++) {
        plan = vl_big_heap_plan(0);
        vl_placement_plan(VL_PLACE_EVENLY + i, &plan);
        ck_assert_int_eq(plan.kind, VL_SLICE_PLACED);
        ck_assert_uint_eq(plan.node, VL_PLACE_EVENLY + i);
        ck_assert(!plan.bind);
        ck_assert_int_eq(plan.how, hows[i]);
        for (unsigned node = 0; node < VL_NODES_MAX; node++)
            ck_assert_int_eq(vl_node_mask_has(plan.spread, node),
                             node == 2 || node == 5 || node == 64);
    }
}
END_TEST

static const char *name_of(unsigned place)
{
    static char buffer[64];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    vl_placement_name(place, &text);
    buffer[text.len] = '\0';
    return buffer;
}

START_TEST(names)
{
    ck_assert_str_eq(name_of(0), "node 0");
    ck_assert_str_eq(name_of(1023), "node 1023");
    ck_assert_str_eq(name_of(VL_PLACE_EVENLY), "interleaved");
    ck_assert_str_eq(name_of(VL_PLACE_WEIGHTED), "interleaved by weight");
    ck_assert_str_eq(name_of(VL_PLACE_ANYWHERE), "first touch");
}
END_TEST

/* --- The variable --- */

static const struct {
    enum vl_large_policy policy;
    unsigned place;
} orders[] = {
    {VL_LARGE_FIRST_TOUCH, VL_PLACE_ANYWHERE},
    {VL_LARGE_LOCAL, 5},
    {VL_LARGE_INTERLEAVE, VL_PLACE_EVENLY},
    {VL_LARGE_WEIGHTED, VL_PLACE_WEIGHTED},
};
enum { ORDERS = sizeof orders / sizeof orders[0] };

START_TEST(ordered_by_the_variable)
{
    static struct vl_holding holding = {.node = -1};
    vl_options.large_policy = orders[_i].policy;
    begin_sparse();
    move_to(5);
    ck_assert_int_eq(vl_placement_ordered, orders[_i].policy != VL_LARGE_FIRST_TOUCH);
    ck_assert_uint_eq(vl_placement_order(VL_BIG_MIN, NULL), orders[_i].place);
    ck_assert_uint_eq(vl_placement_order(VL_BIG_MIN, &holding), orders[_i].place);
    holding.node = 0; /* it has a wish of its own */
    ck_assert_uint_eq(vl_placement_order(VL_BIG_MIN, &holding), VL_PLACE_ANYWHERE);
    ck_assert_ptr_null(vl_placement_idle());
}
END_TEST

static void install_with_policy(void)
{
    fake_os_install();
    fake_os_set_policy_chosen(true);
}

static void install_with_one_node(void)
{
    static const unsigned node = 0;
    fake_os_install();
    fake_os_set_nodes(&node, 1);
}

static const struct {
    void (*install)(void);
    const char *reason;
} idle_worlds[] = {
    {install_with_policy, "this process has a memory policy of its own"},
    {install_with_one_node, "there is one node"},
    {install_with_numa_off, "VALLOC_NUMA is off"},
    {install_with_failing_probe, "the kernel does not tell what nodes there are"},
};
enum { IDLE_WORLDS = sizeof idle_worlds / sizeof idle_worlds[0] };

START_TEST(variable_without_effect)
{
    bool zeroed;
    vl_options.large_policy = VL_LARGE_INTERLEAVE;
    idle_worlds[_i].install();
    start_here();
    ck_assert(!vl_placement_ordered);
    ck_assert_str_eq(vl_placement_idle(), idle_worlds[_i].reason);
    void *block = vl_place_big(VL_BIG_MIN, 1, NULL, &zeroed);
    ck_assert_int_eq(vl_slice_of(block)->kind, VL_SLICE_BIG);
    ck_assert_uint_eq(fake_os_count(FAKE_SPREAD) + fake_os_count(FAKE_BIND), 0);
}
END_TEST

START_TEST(nothing_ordered_is_not_idle)
{
    install_with_policy();
    start_here();
    ck_assert_ptr_null(vl_placement_idle());
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("numa/placement");

    TCase *wishes = tcase_create("wishes");
    tcase_add_test(wishes, nodes_are_places);
    tcase_add_test(wishes, no_such_node);
    tcase_add_test(wishes, wishes_under_a_policy);
    tcase_add_test(wishes, one_node_is_anywhere);
    tcase_add_loop_test(wishes, unknown_nodes_are_anywhere, 0, 2);
    suite_add_tcase(suite, wishes);

    TCase *told = tcase_create("told");
    tcase_add_test(told, plans);
    tcase_add_test(told, names);
    suite_add_tcase(suite, told);

    TCase *variable = tcase_create("variable");
    tcase_add_loop_test(variable, ordered_by_the_variable, 0, ORDERS);
    tcase_add_loop_test(variable, variable_without_effect, 0, IDLE_WORLDS);
    tcase_add_test(variable, nothing_ordered_is_not_idle);
    suite_add_tcase(suite, variable);
    return suite;
}
