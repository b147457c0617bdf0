/* core/idstack in every order of three threads: no item is lost, doubled, or above the limit. */
#include "tests/api/support.h"

#include "core/idstack.h"

enum { IDS = 4 };

/* Ids that a thread holds are marked; who takes one that is marked has got it from a stack that did
 * not own it. */
static struct world {
    struct vl_idstack stacks[2];
    _Atomic uint32_t links[IDS + 1];
    bool held[IDS + 1];
} world;

#define TAG (UINT64_MAX << (VL_ID_BITS + 16))

static _Atomic uint32_t *link_of(uint32_t id)
{
    return &world.links[id];
}

static uint32_t take(unsigned stack)
{
    uint32_t id = vl_idstack_pop(&world.stacks[stack], link_of);
    explore_assert(id <= IDS);
    explore_assert(!world.held[id]);
    world.held[id] = id != 0;
    return id;
}

static bool give(unsigned stack, uint32_t id, uint32_t limit)
{
    if (id == 0)
        return true;
    world.held[id] = false; /* before it can be popped; nobody has it meanwhile */
    bool given = vl_idstack_push(&world.stacks[stack], id, link_of, limit);
    explore_assert(vl_idstack_count(world.stacks[stack].word) <= limit);
    if (!given) {
        explore_assert(world.links[id] == 0);
        world.held[id] = true;
    }
    return given;
}

/* Each id is in one stack, as often as the counts say, or held. */
static void check_all_there(void)
{
    unsigned found = 0;
    for (unsigned stack = 0; stack < 2; stack++) {
        uint32_t count = vl_idstack_count(world.stacks[stack].word);
        for (; count > 0 && take(stack) != 0; count--) {
        }
        explore_assert(count == 0 && vl_idstack_top(world.stacks[stack].word) == 0);
    }
    for (uint32_t id = 1; id <= IDS; id++)
        found += world.held[id];
    explore_assert(found == IDS);
}

/* --- A stale pop --- */

static void take_one(void)
{
    take(0);
}

/* The top is the same as before and the count, too, but what lies below is not. */
static void exchange_what_lies_below(void)
{
    uint32_t top = take(0);
    take(0);
    give(0, 3, IDS);
    give(0, top, IDS);
}

static void take_and_give(void)
{
    give(0, take(0), IDS);
}

/* 2 lies on 1; 3 and 4 are in somebody's hands. */
static struct explore stale_pop(void)
{
    vl_idstack_push(&world.stacks[0], 1, link_of, IDS);
    vl_idstack_push(&world.stacks[0], 2, link_of, IDS);
    world.held[3] = world.held[4] = true;
    explore_watch(&world, sizeof world);
    return (struct explore){.name = "stale pop",
                            .threads = {take_one, exchange_what_lies_below, take_and_give},
                            .check = check_all_there,
                            .preemptions = EXPLORE_EVERY_ORDER,
                            .spurious = 1};
}

START_TEST(a_stale_pop_fails)
{
    struct explore scenario = stale_pop();
    ck_assert_pstr_eq(explore(&scenario).violation, NULL);
}
END_TEST

START_TEST(without_the_tag_it_succeeds)
{
    struct explore scenario = stale_pop();
    scenario.fault = (struct explore_fault){EXPLORE_BLIND, &world.stacks[0].word, ~TAG};
    ck_assert_ptr_nonnull(explore(&scenario).violation);
}
END_TEST

/* --- The limit --- */

static void give_1_take(void)
{
    give(0, 1, 2);
    take(0);
}

static void give_2(void)
{
    give(0, 2, 2);
}

static void give_3_give_4(void)
{
    give(0, 3, 2);
    give(0, 4, 2);
}

static struct explore limited(void)
{
    memset(world.held, true, sizeof world.held);
    world.held[0] = false;
    explore_watch(&world, sizeof world);
    return (struct explore){.name = "limit",
                            .threads = {give_1_take, give_2, give_3_give_4},
                            .check = check_all_there,
                            .preemptions = EXPLORE_EVERY_ORDER,
                            .spurious = 1};
}

START_TEST(the_limit_holds)
{
    struct explore scenario = limited();
    ck_assert_pstr_eq(explore(&scenario).violation, NULL);
}
END_TEST

START_TEST(without_one_swap_items_are_lost)
{
    struct explore scenario = limited();
    scenario.fault = (struct explore_fault){EXPLORE_TORN, &world.stacks[0].word, 0};
    ck_assert_ptr_nonnull(explore(&scenario).violation);
}
END_TEST

/* --- Two stacks --- */

static void move_there_and_back(void)
{
    give(1, take(0), IDS);
    give(0, take(1), IDS);
}

static void move_back_and_there(void)
{
    give(0, take(1), IDS);
    give(1, take(0), IDS);
}

static struct explore moving(void)
{
    for (uint32_t id = 1; id <= IDS; id++)
        vl_idstack_push(&world.stacks[id & 1], id, link_of, IDS);
    explore_watch(&world, sizeof world);
    return (struct explore){
        .name = "two stacks",
        .threads = {move_there_and_back, move_back_and_there, move_there_and_back},
        .check = check_all_there,
        .preemptions = EXPLORE_EVERY_ORDER};
}

START_TEST(items_move_between_stacks)
{
    struct explore scenario = moving();
    ck_assert_pstr_eq(explore(&scenario).violation, NULL);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("model of idstack");
    TCase *stale = timed_case("stale", 60);
    TCase *limit = timed_case("limit", 60);
    TCase *two = timed_case("two", 120);

    tcase_add_test(stale, a_stale_pop_fails);
    tcase_add_test(stale, without_the_tag_it_succeeds);
    suite_add_tcase(suite, stale);

    tcase_add_test(limit, the_limit_holds);
    tcase_add_test(limit, without_one_swap_items_are_lost);
    suite_add_tcase(suite, limit);

    tcase_add_test(two, items_move_between_stacks);
    suite_add_tcase(suite, two);
    return suite;
}
