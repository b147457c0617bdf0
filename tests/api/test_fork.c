/*
 * fork and its relatives, from programs whose other threads are in the middle of malloc: the
 * child can allocate and free at once, and nobody waits for a lock whose owner is gone.
 *
 * A child that hangs dies of SIGALRM, which the parent reports; a parent that hangs is
 * killed by the test's time limit.
 */
#include "support.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

enum { ALLOCATING_THREADS = 4, FORKING_THREADS = 4 };

static void mixed_operations(uint64_t seed, size_t count)
{
    enum { LIVE = 64 };
    char *blocks[LIVE] = {NULL};
    uint64_t random = seed * 2 + 1;

    for (size_t i = 0; i < count; i++) {
        size_t slot = random_next(&random) % LIVE;
        size_t size = random_size(&random, i % 50 == 0 ? 2 * MB : 32 * KB);

        if (i % 3 == 0) {
            blocks[slot] = realloc(blocks[slot], size);
        } else {
            free(blocks[slot]);
            blocks[slot] = i % 3 == 1 ? malloc(size) : aligned_alloc(256, size);
        }
        if (blocks[slot] == NULL)
            child_fail(__FILE__, __LINE__, "a block");
        blocks[slot][0] = blocks[slot][size - 1] = (char)i;
    }
    for (int slot = 0; slot < LIVE; slot++)
        free(blocks[slot]);
}

/* --- Threads that are always inside malloc --- */

static atomic_bool stop;

static void *keep_allocating(void *seed)
{
    uint64_t turn = (uintptr_t)seed;

    while (!atomic_load(&stop))
        mixed_operations(turn++, 200);
    return NULL;
}

static void start_threads(pthread_t *threads, size_t count, void *(*body)(void *))
{
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, body, (void *)(i + 1)), 0);
}

static void join_threads(pthread_t *threads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

/* --- Children --- */

static _Noreturn void child_body(size_t turn)
{
    limit_child_time();
    mixed_operations(turn, 1000);
    if (turn % 20 == 0)
        execl("/bin/true", "true", (char *)NULL);
    _exit(turn % 20 == 0 ? 1 : 0);
}

static void fork_and_wait(size_t turn)
{
    pid_t child = fork();

    if (child == 0)
        child_body(turn);
    expect_success(child);
}

START_TEST(from_a_program_of_many_threads)
{
    pthread_t threads[ALLOCATING_THREADS];

    start_threads(threads, ALLOCATING_THREADS, keep_allocating);
    for (size_t turn = 0; turn < scaled(120); turn++)
        fork_and_wait(turn);
    atomic_store(&stop, true);
    join_threads(threads, ALLOCATING_THREADS);
}
END_TEST

static void *keep_forking(void *thread)
{
    for (size_t turn = 0; turn < scaled(40); turn++) {
        fork_and_wait(turn * FORKING_THREADS + (uintptr_t)thread);
        mixed_operations(turn, 100);
    }
    return NULL;
}

START_TEST(many_threads_fork_at_once)
{
    pthread_t allocating[ALLOCATING_THREADS], forking[FORKING_THREADS];

    start_threads(allocating, ALLOCATING_THREADS, keep_allocating);
    start_threads(forking, FORKING_THREADS, keep_forking);
    join_threads(forking, FORKING_THREADS);
    atomic_store(&stop, true);
    join_threads(allocating, ALLOCATING_THREADS);
}
END_TEST

/* What the parent allocated is the child's too: intact, resizable, and free to be freed. */
START_TEST(the_child_inherits_the_heap)
{
    enum { COUNT = 2000 };
    static char *blocks[COUNT];
    pid_t child;

    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(i * 7 + 1);
        pattern_fill(blocks[i], i * 7 + 1, i);
    }
    child = fork();
    if (child == 0) {
        limit_child_time();
        for (size_t i = 0; i < COUNT; i++) {
            child_assert(pattern_damage(blocks[i], i * 7 + 1, i) == i * 7 + 1);
            if (i % 2 == 0)
                blocks[i] = realloc(blocks[i], i * 20 + 1);
            memset(blocks[i], 0, i * 7 + 1);
            free(blocks[i]);
        }
        _exit(0);
    }
    expect_success(child);
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(pattern_damage(blocks[i], i * 7 + 1, i), i * 7 + 1);
        free(blocks[i]);
    }
}
END_TEST

/* A child, its child, and so on; each waits for its own and passes a failure on. */
static _Noreturn void fork_chain(int length)
{
    pid_t child = 0;
    int status = 0;

    for (int link = 0; link < length && child == 0; link++) {
        limit_child_time();
        mixed_operations((uint64_t)link, 500);
        child = fork();
    }
    mixed_operations(0, 500);
    if (child != 0)
        child_assert(waitpid(child, &status, 0) == child && status == 0);
    _exit(0);
}

START_TEST(children_fork_in_turn)
{
    pthread_t threads[ALLOCATING_THREADS];
    pid_t child;

    start_threads(threads, ALLOCATING_THREADS, keep_allocating);
    for (size_t turn = 0; turn < scaled(10); turn++) {
        child = fork();
        if (child == 0)
            fork_chain(8);
        expect_success(child);
    }
    atomic_store(&stop, true);
    join_threads(threads, ALLOCATING_THREADS);
}
END_TEST

static void *allocate_in_a_child(void *unused)
{
    (void)unused;
    mixed_operations(1, 1000);
    return NULL;
}

/* A forked server that makes threads of its own. */
START_TEST(the_child_makes_threads)
{
    pthread_t threads[ALLOCATING_THREADS];
    pid_t child;

    start_threads(threads, ALLOCATING_THREADS, keep_allocating);
    for (size_t turn = 0; turn < scaled(30); turn++) {
        child = fork();
        if (child == 0) {
            pthread_t own[4];

            limit_child_time();
            for (int i = 0; i < 4; i++)
                child_assert(pthread_create(&own[i], NULL, allocate_in_a_child, NULL) == 0);
            for (int i = 0; i < 4; i++)
                child_assert(pthread_join(own[i], NULL) == 0);
            _exit(0);
        }
        expect_success(child);
    }
    atomic_store(&stop, true);
    join_threads(threads, ALLOCATING_THREADS);
}
END_TEST

/* --- fork against stdio --- */

/*
 * Three locks in a ring, if malloc takes its own before fork and keeps them across it: fork wants
 * libc's list of open files; fflush(NULL) holds that list and wants one file; getline holds the
 * file and wants memory.
 */
static char long_line[64 * 1024];

static void *keep_reading_lines(void *unused)
{
    FILE *file = tmpfile();

    (void)unused;
    ck_assert_ptr_nonnull(file);
    memset(long_line, 'x', sizeof long_line - 1);
    long_line[sizeof long_line - 2] = '\n';
    fputs(long_line, file);
    while (!atomic_load(&stop)) {
        char *line = NULL;
        size_t size = 0;

        rewind(file);
        if (getline(&line, &size, file) != (ssize_t)sizeof long_line - 1)
            ck_abort_msg("getline: errno %d", errno);
        free(line);
    }
    fclose(file);
    return NULL;
}

static void *keep_flushing(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop))
        fflush(NULL);
    return NULL;
}

START_TEST(while_others_use_stdio)
{
    pthread_t readers[2], flushers[1];
    time_t end = time(NULL) + (time_t)scaled(2);
    size_t turn = 0;

    start_threads(readers, 2, keep_reading_lines);
    start_threads(flushers, 1, keep_flushing);
    do {
        fork_and_wait(++turn);
    } while (time(NULL) < end);
    atomic_store(&stop, true);
    join_threads(readers, 2);
    join_threads(flushers, 1);
}
END_TEST

/* --- Relatives of fork, which run no handlers --- */

static char *const arguments[] = {"true", NULL};
extern char **environ;

/* The child shares the parent's heap until it execs; shells and compilers allocate there. */
static pid_t vfork_and_use_the_heap(bool exec)
{
    pid_t child = vfork();

    if (child == 0) {
        free(memset(opaque(malloc(1000)), 1, 1000));
        free(opaque(malloc(3 * MB)));
        if (exec)
            execve("/bin/true", arguments, environ);
        _exit(exec ? 1 : 0);
    }
    return child;
}

START_TEST(vfork_and_allocate)
{
    for (size_t turn = 0; turn < scaled(200); turn++) {
        expect_success(vfork_and_use_the_heap(turn % 10 == 0));
        mixed_operations(turn, 50);
    }
}
END_TEST

START_TEST(posix_spawn_beside_allocating_threads)
{
    pthread_t threads[ALLOCATING_THREADS];

    start_threads(threads, ALLOCATING_THREADS, keep_allocating);
    for (size_t turn = 0; turn < scaled(50); turn++) {
        pid_t child = 0;

        ck_assert_int_eq(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ), 0);
        expect_success(child);
    }
    atomic_store(&stop, true);
    join_threads(threads, ALLOCATING_THREADS);
}
END_TEST

START_TEST(plain_fork_without_handlers)
{
    for (size_t turn = 1; turn <= scaled(200); turn++) {
        pid_t child = _Fork();

        if (child == 0)
            child_body(turn);
        expect_success(child);
        mixed_operations(turn, 50);
    }
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("fork");
    TCase *threads = timed_case("threads", 60);
    TCase *relatives = timed_case("relatives", 60);

    tcase_add_test(threads, from_a_program_of_many_threads);
    tcase_add_test(threads, many_threads_fork_at_once);
    tcase_add_test(threads, the_child_inherits_the_heap);
    tcase_add_test(threads, children_fork_in_turn);
    tcase_add_test(threads, the_child_makes_threads);
    tcase_add_test(threads, while_others_use_stdio);
    tcase_add_test(relatives, vfork_and_allocate);
    tcase_add_test(relatives, posix_spawn_beside_allocating_threads);
    tcase_add_test(relatives, plain_fork_without_handlers);
    suite_add_tcase(suite, threads);
    suite_add_tcase(suite, relatives);
    return suite;
}
