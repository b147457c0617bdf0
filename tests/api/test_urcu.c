/*
 * A program that uses liburcu (bp) itself: it allocates and frees inside its sections, asks valloc to
 * clean up there and elsewhere, has things freed by call_rcu, and forks. valloc waits for readers with
 * the same library; it must not wait for the section of the thread that asks.
 */
#include "support.h"

#include "valloc.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <urcu-bp.h>

enum { READERS = 3, ROUNDS = 2000, FORKS = 10, THINGS = 16 };

/* What readers look at: writers put another in its place, and the former is freed by call_rcu. */
struct thing {
    struct rcu_head head;
    size_t size;
    char *bytes; /* a block of its own, filled with a pattern */
};

static _Atomic(struct thing *) things[THINGS];
static atomic_uint things_made, things_freed;
static atomic_bool over;

/* valloc's, if it is there. */
static size_t (*cleanup_level)(MemoryAllocator *, int);
static size_t (*usable_size)(const void *);
static int (*walk)(int (*)(void *, size_t, void *), void *);

static void find_functions(void)
{
    *(void **)&cleanup_level = dlsym(RTLD_DEFAULT, "valloc_cleanup_level");
    *(void **)&usable_size = dlsym(RTLD_DEFAULT, "valloc_usable_size");
    *(void **)&walk = dlsym(RTLD_DEFAULT, "valloc_walk");
    if (usable_size != NULL)
        usable_size(&over); /* from now on valloc's sections are liburcu's */
}

static void clean_up(void)
{
    if (cleanup_level != NULL)
        cleanup_level(NULL, 3);
}

static struct thing *make_thing(uint64_t *random)
{
    struct thing *thing = malloc(sizeof *thing);
    ck_assert(thing != NULL);
    thing->size = random_next(random) % 50 == 0 ? MB + random_size(random, 2 * MB)
                                                : random_size(random, 16 * KB);
    thing->bytes = malloc(thing->size);
    ck_assert(thing->bytes != NULL);
    pattern_fill(thing->bytes, thing->size < 256 ? thing->size : 256, thing->size);
    atomic_fetch_add(&things_made, 1);
    return thing;
}

static void free_thing(struct rcu_head *head)
{
    struct thing *thing = caa_container_of(head, struct thing, head);
    memset(thing->bytes, 0, thing->size < 256 ? thing->size : 256);
    free(thing->bytes);
    free(thing);
    atomic_fetch_add(&things_freed, 1);
}

static void check_thing(const struct thing *thing)
{
    size_t size = thing->size < 256 ? thing->size : 256;
    if (pattern_damage(thing->bytes, size, thing->size) != size)
        ck_abort_msg("a reader sees a thing that was freed");
}

/* --- Inside a section --- */

static int stop_walk(void *block, size_t size, void *unused)
{
    return (void)block, (void)size, (void)unused, 1;
}

/* All of it would wait for ever if it waited for this section. */
static void ask_inside(unsigned round)
{
    if (round % 16 == 3)
        malloc_trim(0);
    if (round % 16 == 7)
        clean_up();
    if (round % 16 == 11 && walk != NULL)
        walk(stop_walk, NULL);
    if (usable_size != NULL)
        usable_size(things);
}

static void *read_on(void *seed)
{
    uint64_t random = test_seed() + (uintptr_t)seed;
    for (unsigned round = 0; round < scaled(ROUNDS); round++) {
        rcu_read_lock();
        void *blocks[8];
        for (int i = 0; i < 8; i++) {
            size_t size = random_size(&random, i == 0 ? 2 * MB : 4 * KB);
            blocks[i] = malloc(size);
            ck_assert(blocks[i] != NULL);
            *(char *)blocks[i] = 1;
        }
        const struct thing *thing = atomic_load(&things[random_next(&random) % THINGS]);
        if (thing != NULL)
            check_thing(thing);
        for (int i = 0; i < 8; i++)
            free(blocks[i]);
        ask_inside(round);
        rcu_read_lock(); /* sections may be nested */
        malloc_trim(0);
        rcu_read_unlock();
        if (thing != NULL)
            check_thing(thing);
        rcu_read_unlock();
    }
    return NULL;
}

/* --- Outside --- */

/* Half of the things are freed by liburcu's thread, half here, after all readers are gone. */
static void replace(unsigned number, struct thing *thing, bool wait)
{
    struct thing *former = atomic_exchange(&things[number], thing);
    if (former == NULL)
        return;
    if (wait) {
        synchronize_rcu();
        free_thing(&former->head);
    } else {
        call_rcu(&former->head, free_thing);
    }
}

static void *write_on(void *unused)
{
    uint64_t random = test_seed();
    for (unsigned round = 0; !atomic_load(&over); round++)
        replace((unsigned)(random_next(&random) % THINGS), make_thing(&random), round % 8 == 0);
    return unused;
}

static void *clean_on(void *unused)
{
    while (!atomic_load(&over)) {
        clean_up();
        malloc_trim(0);
    }
    return unused;
}

/* As liburcu wants it. The child has no thread but this one. */
static void fork_once(unsigned number)
{
    uint64_t random = number + 1;
    urcu_bp_before_fork();
    pid_t child = fork();
    if (child == 0) {
        urcu_bp_after_fork_child();
        limit_child_time();
        rcu_read_lock();
        free(malloc(random_size(&random, 4 * MB)));
        malloc_trim(0);
        clean_up();
        rcu_read_unlock();
        synchronize_rcu();
        malloc_trim(0);
        clean_up();
        child_assert(usable_size == NULL || usable_size(things) == 0);
        _exit(0);
    }
    urcu_bp_after_fork_parent();
    expect_success(child);
}

/* A child that leaves liburcu alone: whatever its threads were doing, valloc works there. */
static void fork_plainly(bool inside)
{
    if (inside)
        rcu_read_lock();
    pid_t child = fork();
    if (child == 0) {
        limit_child_time();
        for (size_t size = 1; size < 16 * MB; size *= 2)
            free(opaque(malloc(size)));
        malloc_trim(0);
        clean_up();
        child_assert(usable_size == NULL || usable_size(things) == 0);
        _exit(0);
    }
    if (inside)
        rcu_read_unlock();
    expect_success(child);
}

static void start(pthread_t *thread, void *(*body)(void *), uintptr_t number)
{
    ck_assert_int_eq(pthread_create(thread, NULL, body, (void *)number), 0);
}

static void free_all_things(void)
{
    for (unsigned i = 0; i < THINGS; i++)
        replace(i, NULL, false);
    rcu_barrier();
    ck_assert_uint_eq(things_freed, things_made);
}

START_TEST(a_program_with_sections_of_its_own)
{
    pthread_t readers[READERS], writer, cleaner;
    if (_i == 1)
        find_functions(); /* else valloc does not know of liburcu until the end */
    else
        *(void **)&cleanup_level = dlsym(RTLD_DEFAULT, "valloc_cleanup_level");
    for (uintptr_t i = 0; i < READERS; i++)
        start(&readers[i], read_on, i);
    start(&writer, write_on, 0);
    start(&cleaner, clean_on, 0);
    for (unsigned i = 0; i < FORKS; i++) {
        fork_once(i);
        fork_plainly(i % 2 == 0);
    }
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    atomic_store(&over, true);
    pthread_join(writer, NULL);
    pthread_join(cleaner, NULL);
    ck_assert_uint_gt(things_made, THINGS);
    free_all_things();
}
END_TEST

/* There is a slice that could go, and a section that keeps it. */
START_TEST(cleaning_up_inside_a_section)
{
    find_functions();
    free(opaque(malloc(4 * MB)));
    rcu_read_lock();
    clean_up();
    malloc_trim(0);
    rcu_read_unlock();
    free(opaque(malloc(4 * MB)));
    clean_up();
}
END_TEST

/* A thread whose first and last act is a section, and which frees in it what another has allocated. */
static void *free_inside(void *block)
{
    rcu_read_lock();
    free(block);
    malloc_trim(0);
    clean_up();
    rcu_read_unlock();
    return NULL;
}

START_TEST(threads_that_live_in_a_section)
{
    find_functions();
    for (unsigned i = 0; i < scaled(100); i++) {
        pthread_t thread;
        void *block = malloc(i % 10 == 0 ? 4 * MB : 100);
        ck_assert_int_eq(pthread_create(&thread, NULL, free_inside, block), 0);
        malloc_trim(0);
        pthread_join(thread, NULL);
    }
}
END_TEST

/* --- A lock of the program, held around malloc_trim and wanted in a section --- */

static pthread_mutex_t program_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool in_section;

static void *lock_inside(void *unused)
{
    rcu_read_lock();
    atomic_store(&in_section, true);
    pthread_mutex_lock(&program_lock);
    pthread_mutex_unlock(&program_lock);
    rcu_read_unlock();
    return unused;
}

/* Were malloc_trim to wait for sections, this would be a deadlock of the program, which knows nothing
 * of ours. There is a slice to be taken away. */
START_TEST(malloc_trim_under_a_lock_of_the_program)
{
    pthread_t thread;
    free(opaque(malloc(4 * MB)));
    find_functions();
    if (usable_size != NULL)
        usable_size(&thread); /* liburcu is known to us from now on */
    pthread_mutex_lock(&program_lock);
    ck_assert_int_eq(pthread_create(&thread, NULL, lock_inside, NULL), 0);
    while (!atomic_load(&in_section))
        sched_yield();
    malloc_trim(0);
    pthread_mutex_unlock(&program_lock);
    pthread_join(thread, NULL);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("a program that uses liburcu");
    TCase *sections = timed_case("sections", 30);
    tcase_add_loop_test(sections, a_program_with_sections_of_its_own, 0, 2);
    tcase_add_test(sections, cleaning_up_inside_a_section);
    tcase_add_test(sections, threads_that_live_in_a_section);
    tcase_add_test(sections, malloc_trim_under_a_lock_of_the_program);
    suite_add_tcase(suite, sections);
    return suite;
}
