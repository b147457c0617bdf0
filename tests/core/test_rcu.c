/* core/rcu: sections counted and of liburcu's, writers that wait and that do not, the child of a fork.
 * Real time and real threads: the library knows no false system. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "tests/api/support.h"

#include "core/rcu.h"

#include "core/atomic.h"
#include "core/os.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

/* Tests run twice: without the library, and with it. */
static void start(int with_library)
{
    if (with_library)
        vl_rcu_load();
}

static bool library_is_there(void)
{
#ifdef HAVE_LIBURCU
    return dlopen(VL_LIBURCU_SONAME, RTLD_NOW | RTLD_LOCAL) != NULL;
#else
    return false;
#endif
}

START_TEST(nobody_is_waited_for)
{
    start(_i);
    ck_assert_int_eq(vl_rcu_quiet(), _i == 0 || !library_is_there());
    ck_assert(vl_rcu_wait());
}
END_TEST

/* A writer that waited for its own section would wait for ever. */
START_TEST(own_section)
{
    start(_i);
    enum vl_rcu_section outer = vl_rcu_read(), inner = vl_rcu_read();
    ck_assert_int_eq(outer == VL_RCU_LIBRARY, _i == 1 && library_is_there());
    ck_assert(!vl_rcu_wait());
    ck_assert(!vl_rcu_quiet());
    vl_rcu_done(inner);
    ck_assert(!vl_rcu_wait());
    vl_rcu_done(outer);
    ck_assert(vl_rcu_wait());
}
END_TEST

/* One that began before the library was there, and is over after. */
START_TEST(counted_section_outlives_the_loading)
{
    enum vl_rcu_section before = vl_rcu_read();
    vl_rcu_load();
    enum vl_rcu_section after = vl_rcu_read();
    ck_assert_int_ne(before, VL_RCU_LIBRARY);
    vl_rcu_done(before);
    ck_assert(!vl_rcu_wait());
    vl_rcu_done(after);
    ck_assert(vl_rcu_wait());
}
END_TEST

#ifdef HAVE_LIBURCU
/* A program that uses liburcu itself, and frees or trims inside a section of its own. */
START_TEST(section_of_the_program)
{
    void *library = dlopen(VL_LIBURCU_SONAME, RTLD_NOW | RTLD_GLOBAL);
    void (*lock)(void), (*unlock)(void);
    if (library == NULL)
        return;
    *(void **)&lock = dlsym(library, "urcu_bp_read_lock");
    *(void **)&unlock = dlsym(library, "urcu_bp_read_unlock");
    vl_rcu_load();
    lock();
    ck_assert(!vl_rcu_wait());
    unlock();
    ck_assert(vl_rcu_wait());
}
END_TEST
#endif

/* --- Reader and writer --- */

/* A reader that stays in its section until it is told to leave. */
struct stay {
    _Atomic bool inside, leave, left;
};

static void *stay_inside(void *argument)
{
    struct stay *stay = argument;
    enum vl_rcu_section section = vl_rcu_read();
    vl_set_release(&stay->inside, true);
    while (!vl_get_acquire(&stay->leave))
        sched_yield();
    vl_set_release(&stay->left, true);
    vl_rcu_done(section);
    return NULL;
}

static void *wait_for_all(void *argument)
{
    struct stay *stay = argument;
    ck_assert(vl_rcu_wait());
    ck_assert(vl_get_acquire(&stay->left));
    return NULL;
}

START_TEST(writer_waits_for_reader)
{
    struct stay stay = {false};
    pthread_t reader, writer;
    start(_i);
    ck_assert_int_eq(pthread_create(&reader, NULL, stay_inside, &stay), 0);
    while (!vl_get_acquire(&stay.inside))
        sched_yield();
    ck_assert(!vl_rcu_quiet());
    ck_assert_int_eq(pthread_create(&writer, NULL, wait_for_all, &stay), 0);
    usleep(20 * 1000); /* the writer is likely to be waiting by now */
    vl_set_release(&stay.leave, true);
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
}
END_TEST

/* Without the library nobody waits for a reader for ever. */
START_TEST(patience_ends)
{
    struct stay stay = {false};
    pthread_t reader;
    ck_assert_int_eq(pthread_create(&reader, NULL, stay_inside, &stay), 0);
    while (!vl_get_acquire(&stay.inside))
        sched_yield();
    ck_assert(!vl_rcu_wait());
    vl_set_release(&stay.leave, true);
    pthread_join(reader, NULL);
    ck_assert(vl_rcu_wait());
}
END_TEST

enum { READERS = 3, ROUNDS = 400, GONE = 0, THERE = 1 };

static struct {
    _Atomic(_Atomic int *) current; /* what readers find */
    _Atomic bool over;
} shared;

static void *read_on(void *argument)
{
    (void)argument;
    while (!vl_get(&shared.over)) {
        enum vl_rcu_section section = vl_rcu_read();
        for (int i = 0; i < 10; i++) {
            _Atomic int *found = vl_get_acquire(&shared.current);
            if (found != NULL && vl_get(found) != THERE)
                ck_abort_msg("seen after it was taken away");
        }
        vl_rcu_done(section);
    }
    return NULL;
}

/* What a writer has hidden, waited for and taken away is never seen gone by a reader. With the wait
 * left out, readers find it within a few rounds. */
START_TEST(nobody_sees_it_gone)
{
    static _Atomic int things[2];
    pthread_t readers[READERS];
    start(_i);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_on, NULL), 0);
    for (int round = 0; round < (_i == 0 ? ROUNDS : ROUNDS / 4); round++) {
        _Atomic int *thing = &things[round % 2];
        vl_set(thing, THERE);
        vl_set_release(&shared.current, thing);
        sched_yield();
        vl_set(&shared.current, NULL);
        if (!vl_rcu_wait())
            continue;
        vl_set(thing, GONE);
    }
    vl_set(&shared.over, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
}
END_TEST

/* --- Fork --- */

/* The sections of other threads are not there in the child; its own is, and ends there, too. */
START_TEST(child_of_a_fork)
{
    struct stay stay = {false};
    pthread_t reader;
    int status;
    start(_i);
    ck_assert_int_eq(pthread_create(&reader, NULL, stay_inside, &stay), 0);
    while (!vl_get_acquire(&stay.inside))
        sched_yield();
    enum vl_rcu_section section = vl_rcu_read();
    pid_t child = fork();
    if (child == 0) {
        vl_rcu_after_fork();
        bool inside = !vl_rcu_wait() && !vl_rcu_quiet();
        vl_rcu_done(section);
        _exit(inside && vl_rcu_wait() && vl_rcu_quiet() ? 0 : 1);
    }
    vl_rcu_done(section);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    vl_set_release(&stay.leave, true);
    pthread_join(reader, NULL);
    ck_assert(vl_rcu_wait());
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("rcu");
    TCase *sections = tcase_create("sections");
    TCase *threads = timed_case("threads", 60);
    TCase *forks = tcase_create("fork");

    tcase_add_loop_test(sections, nobody_is_waited_for, 0, 2);
    tcase_add_loop_test(sections, own_section, 0, 2);
    tcase_add_test(sections, counted_section_outlives_the_loading);
#ifdef HAVE_LIBURCU
    tcase_add_test(sections, section_of_the_program);
#endif
    suite_add_tcase(suite, sections);

    tcase_add_loop_test(threads, writer_waits_for_reader, 0, 2);
    tcase_add_test(threads, patience_ends);
    tcase_add_loop_test(threads, nobody_sees_it_gone, 0, 2);
    suite_add_tcase(suite, threads);

    tcase_add_loop_test(forks, child_of_a_fork, 0, 2);
    suite_add_tcase(suite, forks);
    return suite;
}
