/* core/turn: one thread at a time, no call where nobody waits, and sleepers that all wake. */
#include "tests/api/support.h"

#include "core/turn.h"
#include "tests/fake_os.h"

#include <pthread.h>
#include <sched.h>

enum { THREADS = 4 };

static struct vl_turn turn;

START_TEST(alone_it_makes_no_call)
{
    for (int i = 0; i < 1000; i++) {
        ck_assert(vl_turn_take(&turn));
        ck_assert_uint_eq(turn.word, VL_TURN_TAKEN);
        vl_turn_end(&turn);
        ck_assert_uint_eq(turn.word, VL_TURN_FREE);
    }
    ck_assert_uint_eq(fake_os_count(FAKE_WAIT), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_WAKE), 0);
}
END_TEST

START_TEST(reset_frees_what_is_not_mine)
{
    ck_assert(vl_turn_take(&turn));
    vl_turn_reset(&turn, true);
    ck_assert_uint_eq(turn.word, VL_TURN_TAKEN);
    vl_turn_reset(&turn, false);
    ck_assert(vl_turn_take(&turn));
    vl_turn_end(&turn);
}
END_TEST

static void *come_meanwhile(void *taken)
{
    *(bool *)taken = vl_turn_take(&turn);
    return NULL;
}

/* Asleep, not yielding: a waiter of a real-time class would keep the processor for itself. */
START_TEST(who_comes_meanwhile_sleeps_until_it_is_over)
{
    pthread_t threads[THREADS];
    bool taken[THREADS] = {true, true, true, true};
    ck_assert(vl_turn_take(&turn));
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_meanwhile, &taken[i]), 0);
    while (fake_os_count(FAKE_WAIT) < THREADS)
        sched_yield();
    vl_turn_end(&turn);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(!taken[i]);
    }
    ck_assert_uint_eq(fake_os_count(FAKE_YIELD), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_WAKE), 1);
    ck_assert_uint_eq(turn.word, VL_TURN_FREE);
}
END_TEST

static _Atomic unsigned inside, turns;

static void *take_often(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < scaled(20000); i++) {
        if (!vl_turn_take(&turn))
            continue;
        if (atomic_fetch_add(&inside, 1) != 0)
            ck_abort_msg("two threads have the turn");
        if (i % 64 == 0)
            sched_yield();
        atomic_fetch_add(&turns, 1);
        atomic_fetch_sub(&inside, 1);
        vl_turn_end(&turn);
    }
    return NULL;
}

START_TEST(one_at_a_time)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_often, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_gt(turns, 0);
    ck_assert_uint_eq(turn.word, VL_TURN_FREE);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("core/turn");
    TCase *turns_case = timed_case("turns", 20);
    tcase_add_checked_fixture(turns_case, fake_os_install, NULL);
    tcase_add_test(turns_case, alone_it_makes_no_call);
    tcase_add_test(turns_case, reset_frees_what_is_not_mine);
    tcase_add_test(turns_case, who_comes_meanwhile_sleeps_until_it_is_over);
    tcase_add_test(turns_case, one_at_a_time);
    suite_add_tcase(suite, turns_case);
    return suite;
}
