/* core/lock: its three states, the calls it makes and does not make, exclusion, sleep and fork. */
#include "tests/api/support.h"

#include "core/lock.h"
#include "core/panic.h"
#include "tests/fake_os.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>

enum { THREADS = 4 };

static struct vl_lock lock;

START_TEST(alone_it_makes_no_call)
{
    ck_assert_uint_eq(lock.word, VL_LOCK_FREE);
    for (int i = 0; i < 1000; i++) {
        vl_lock(&lock);
        ck_assert_uint_eq(lock.word, VL_LOCK_HELD);
        vl_unlock(&lock);
        ck_assert_uint_eq(lock.word, VL_LOCK_FREE);
    }
    ck_assert_uint_eq(fake_os_count(FAKE_WAIT), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_WAKE), 0);
}
END_TEST

START_TEST(reset_tells_whether_it_was_held)
{
    ck_assert(!vl_lock_reset(&lock));
    lock.word = VL_LOCK_HELD;
    ck_assert(vl_lock_reset(&lock));
    ck_assert(!vl_lock_reset(&lock));
    lock.word = VL_LOCK_CONTENDED;
    ck_assert(vl_lock_reset(&lock));
    vl_lock(&lock);
    vl_unlock(&lock);
}
END_TEST

/* --- Sleepers --- */

static void *lock_once(void *argument)
{
    unsigned *turns = argument;
    vl_lock(&lock);
    ++*turns;
    vl_unlock(&lock);
    return NULL;
}

START_TEST(a_sleeper_is_woken)
{
    unsigned turns = 0;
    pthread_t sleepers[THREADS];

    vl_lock(&lock);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&sleepers[i], NULL, lock_once, &turns), 0);
    while (fake_os_count(FAKE_WAIT) < THREADS)
        sched_yield();
    ck_assert_uint_eq(lock.word, VL_LOCK_CONTENDED);
    ck_assert_uint_eq(fake_os_count(FAKE_WAKE), 0);
    vl_unlock(&lock);

    for (int i = 0; i < THREADS; i++)
        pthread_join(sleepers[i], NULL);
    ck_assert_uint_eq(turns, THREADS);
    ck_assert_uint_ge(fake_os_count(FAKE_WAKE), 1);
    ck_assert_uint_eq(lock.word, VL_LOCK_FREE);
}
END_TEST

/* --- Exclusion --- */

static unsigned long guarded[2]; /* equal whenever the lock is free */

static void *count_guarded(void *argument)
{
    unsigned long *torn = argument;
    for (size_t i = 0; i < scaled(20000); i++) {
        vl_lock(&lock);
        *torn += guarded[0] != guarded[1];
        guarded[0]++;
        if (i % 64 == 0)
            sched_yield(); /* so that others meet a lock that is held */
        guarded[1]++;
        vl_unlock(&lock);
    }
    return NULL;
}

START_TEST(one_at_a_time)
{
    pthread_t threads[THREADS];
    unsigned long torn[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_guarded, &torn[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(torn[i], 0);
    }
    ck_assert_uint_eq(guarded[0], THREADS * scaled(20000));
    ck_assert_uint_eq(guarded[1], THREADS * scaled(20000));
    ck_assert_uint_eq(lock.word, VL_LOCK_FREE);
}
END_TEST

/* --- Verify builds --- */

#ifdef VL_VERIFY
static jmp_buf after_fatal;

static void leave(const char *line)
{
    (void)line;
    longjmp(after_fatal, 1);
}

START_TEST(two_at_once_are_a_mistake)
{
    struct vl_lock other = {0};
    vl_panic_hook = leave;
    vl_lock(&lock);
    if (setjmp(after_fatal) == 0) {
        vl_lock(&other);
        ck_abort_msg("the second lock was given");
    }
    ck_assert_uint_eq(other.word, VL_LOCK_FREE);
}
END_TEST
#endif

Suite *vl_suite(void)
{
    Suite *suite = suite_create("lock");
    TCase *states = tcase_create("states");
    TCase *threads = timed_case("threads", 60);

    tcase_add_checked_fixture(states, fake_os_install, NULL);
    tcase_add_test(states, alone_it_makes_no_call);
    tcase_add_test(states, reset_tells_whether_it_was_held);
#ifdef VL_VERIFY
    tcase_add_test(states, two_at_once_are_a_mistake);
#endif
    suite_add_tcase(suite, states);

    tcase_add_checked_fixture(threads, fake_os_install, NULL);
    tcase_add_test(threads, a_sleeper_is_woken);
    tcase_add_test(threads, one_at_a_time);
    suite_add_tcase(suite, threads);
    return suite;
}
