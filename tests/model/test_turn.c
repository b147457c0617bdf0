/* core/turn and core/lock in every order of three threads: one at a time, none sleeps for ever. */
#include "tests/api/support.h"

#include "core/lock.c"
#include "core/turn.c"

static struct {
    struct vl_turn turn;
    struct vl_lock lock;
    bool inside;
    bool done;
    unsigned entered;
} world;

static const struct vl_os model_os = {.wait = explore_wait, .wake = explore_wake};

static void start_world(void)
{
    vl_os = &model_os;
    explore_watch(&world, sizeof world);
#ifdef VL_VERIFY
    explore_thread_local(&locks_held, sizeof locks_held);
#endif
}

static void enter(void)
{
    explore_assert(!world.inside);
    world.inside = true;
    explore_point();
    world.inside = false;
    world.entered++;
}

static struct explore three(const char *name, void (*body)(void), void (*check)(void))
{
    start_world();
    return (struct explore){.name = name,
                            .threads = {body, body, body},
                            .check = check,
                            .preemptions = EXPLORE_EVERY_ORDER,
                            .spurious = 1};
}

/* --- Turn --- */

/* What takes long is done once; who has waited finds it done. */
static void want_it_done(void)
{
    while (!world.done) {
        if (!vl_turn_take(&world.turn))
            continue;
        if (!world.done) {
            enter();
            world.done = true;
        }
        vl_turn_end(&world.turn);
    }
}

static void check_done_once(void)
{
    explore_assert(world.entered == 1);
    explore_assert(world.turn.word == VL_TURN_FREE);
}

START_TEST(it_is_done_once)
{
    struct explore scenario = three("turn", want_it_done, check_done_once);
    ck_assert_pstr_eq(explore(&scenario).violation, NULL);
}
END_TEST

START_TEST(a_torn_turn_is_found)
{
    struct explore scenario = three("torn turn", want_it_done, check_done_once);
    scenario.fault = (struct explore_fault){EXPLORE_TORN, &world.turn.word, 0};
    ck_assert_ptr_nonnull(explore(&scenario).violation);
}
END_TEST

/* --- Lock --- */

static void lock_and_enter(void)
{
    vl_lock(&world.lock);
    enter();
    vl_unlock(&world.lock);
}

static void check_all_entered(void)
{
    explore_assert(world.entered == 3);
    explore_assert(world.lock.word == VL_LOCK_FREE);
}

static void check_two_entered(void)
{
    explore_assert(world.entered == 2);
    explore_assert(world.lock.word == VL_LOCK_FREE);
}

/* A hundred looks before it sleeps are many places to be stopped in: two threads in every order,
 * three with so many preemptions. */
START_TEST(one_at_a_time_and_all_get_it)
{
    struct explore scenario = three("lock", lock_and_enter, check_all_entered);
    scenario.preemptions = 2;
    ck_assert_pstr_eq(explore(&scenario).violation, NULL);
}
END_TEST

START_TEST(so_do_two_in_every_order)
{
    struct explore scenario = three("lock of two", lock_and_enter, check_two_entered);
    scenario.threads[2] = NULL;
    ck_assert_pstr_eq(explore(&scenario).violation, NULL);
}
END_TEST

START_TEST(a_torn_lock_is_found)
{
    struct explore scenario = three("torn lock", lock_and_enter, check_all_entered);
    scenario.fault = (struct explore_fault){EXPLORE_TORN, &world.lock.word, 0};
    ck_assert_ptr_nonnull(explore(&scenario).violation);
}
END_TEST

/* Takes the word as HELD after it has slept: who still sleeps is forgotten. */
static void forget_sleepers(void)
{
    while (atomic_exchange(&world.lock.word, VL_LOCK_HELD) != VL_LOCK_FREE) {
        vl_set(&world.lock.word, VL_LOCK_CONTENDED);
        vl_os->wait(&world.lock.word, VL_LOCK_CONTENDED);
    }
    enter();
    vl_unlock(&world.lock);
}

START_TEST(a_lost_wake_up_is_found)
{
    struct explore scenario = three("lost", forget_sleepers, check_all_entered);
    ck_assert_ptr_nonnull(explore(&scenario).violation);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("model of turn and lock");
    TCase *turn = timed_case("turn", 120);
    TCase *lock = timed_case("lock", 120);

    tcase_add_test(turn, it_is_done_once);
    tcase_add_test(turn, a_torn_turn_is_found);
    suite_add_tcase(suite, turn);

    tcase_add_test(lock, one_at_a_time_and_all_get_it);
    tcase_add_test(lock, so_do_two_in_every_order);
    tcase_add_test(lock, a_torn_lock_is_found);
    tcase_add_test(lock, a_lost_wake_up_is_found);
    suite_add_tcase(suite, lock);
    return suite;
}
