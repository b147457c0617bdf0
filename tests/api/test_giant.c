/*
 * VALLOC_HUGEPAGE=hugetlb:1G on the machine's own pool of pages of 1 GB: blocks get what there is of
 * it, work where it ends, and leave it as full as it was. On a machine that has no such pages, one
 * line says so.
 *
 * Where the size of the pool cannot be set, or not as many pages can be had, the tests are skipped.
 * Blocks are touched in a few places, so that the machine needs little memory beside the pool.
 */
#include "support.h"

#include "tests/api/pool.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define ROLE_VARIABLE "VL_TEST_ROLE"

static const char no_giants[] =
    "valloc: VALLOC_HUGEPAGE=hugetlb:1G: this machine has no pages of 1 GB; using hugetlb\n";

/* A figure of the pool, -1 if the machine has none; without malloc. */
static long giants(const char *name)
{
    char text[100];
    snprintf(text, sizeof text, "/sys/kernel/mm/hugepages/hugepages-1048576kB/%s", name);
    int file = open(text, O_RDONLY);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    text[length < 0 ? 0 : length] = '\0';
    return length <= 0 ? -1 : strtol(text, NULL, 10);
}

static bool set_giants(long pages)
{
    int file = open("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", O_WRONLY);
    bool written = file >= 0 && dprintf(file, "%ld", pages) > 0;
    if (file >= 0)
        close(file);
    return written && giants("nr_hugepages") == pages;
}

/* --- What the programs do --- */

#define STEP (GB / 4)

static void mark(char *block, size_t bytes, char first)
{
    for (size_t at = 0; at < bytes; at += STEP)
        block[at] = (char)(first + (char)(at / STEP));
    block[bytes - 1] = first;
}

static void check(const char *block, size_t bytes, char first)
{
    for (size_t at = 0; at < bytes; at += STEP)
        child_assert(block[at] == (char)(first + (char)(at / STEP)));
}

static char *take(size_t bytes, char first)
{
    char *block = opaque(malloc(bytes));
    child_assert(block != NULL);
    mark(block, bytes, first);
    return block;
}

/* Pages left in the pool, for the parent to read. */
static void tell(const char *when)
{
    dprintf(STDOUT_FILENO, "%s %ld\n", when, giants("free_hugepages"));
}

static void play_work(void)
{
    size_t bytes = GB + 100 * MB;
    char *zeroed = opaque(calloc(1, bytes));
    child_assert(zeroed != NULL);
    for (size_t at = 0; at < bytes; at += STEP)
        child_assert(zeroed[at] == 0);
    mark(zeroed, bytes, 1);
    char *block = take(2 * GB, 2);
    tell("held");
    check(zeroed, bytes, 1);
    check(block, 2 * GB, 2);
    free(block);
    free(zeroed);
    tell("freed");
    malloc_trim(0); /* what was ordinary memory is not kept */
    take(GB, 3);    /* for the figures at the end */
}

/* To less than half: the first time it is cut between its pages, the second time it is copied. */
static void play_realloc(void)
{
    char *block = take(2 * GB, 1);
    tell("held");
    block = realloc(block, GB - 100 * MB);
    check(block, GB - 100 * MB, 1);
    tell("cut");
    block = realloc(block, 300 * MB);
    check(block, 300 * MB, 1);
    tell("copied");
    free(block);
}

static int wait_for(pid_t child)
{
    int status;
    child_assert(waitpid(child, &status, 0) == child);
    return status;
}

/*
 * Half of the pool is used, and the other half is for what the child writes. Some kernels do not give
 * all children the page: these may die when they read it, but not read anything else.
 */
static void play_fork(void)
{
    enum { CHILDREN = 20 };
    char *block = take(GB, 1);
    tell("held");
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        if (child == 0) {
            check(block, GB, 1);
            mark(block, GB, 2);
            check(block, GB, 2);
            free(block);
            _exit(0);
        }
        int status = wait_for(child);
        child_assert(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
        check(block, GB, 1);
    }
    mark(block, GB, 3);
    free(block);
}

/* The child is still there and shares all pages, and there is none left for a copy. */
static void play_write_after_fork(void)
{
    int hold[2];
    char byte;
    char *block = take(2 * GB, 1);
    tell("held");
    child_assert(pipe(hold) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    mark(block, 2 * GB, 2);
    check(block, 2 * GB, 2);
    close(hold[1]);
    child_assert(wait_for(child) == 0);
    free(block);
}

/* The administrator takes the pool away while half of it is used: what is used stays with us. */
static void play_shrink(void)
{
    char *block = take(GB, 1);
    tell("held");
    set_giants(0);
    child_assert(giants("free_hugepages") == 0);
    char *other = take(GB, 2);
    check(block, GB, 1);
    check(other, GB, 2);
    mark(block, GB, 3);
    free(other);
    free(block);
}

static void *work(void *number)
{
    char first = (char)(uintptr_t)number;
    for (int round = 0; round < 3; round++) {
        char *block = take(GB, first);
        check(block, GB, first);
        free(block);
    }
    return NULL;
}

/* They run into the end of the pool together. */
static void play_threads(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        child_assert(pthread_create(&threads[i], NULL, work, (void *)(10 * i)) == 0);
    for (int i = 0; i < THREADS; i++)
        child_assert(pthread_join(threads[i], NULL) == 0);
    tell("freed");
}

static const struct role {
    const char *name;
    void (*play)(void);
} roles[] = {
    {"work", play_work},     {"realloc", play_realloc},
    {"fork", play_fork},     {"write-after-fork", play_write_after_fork},
    {"shrink", play_shrink}, {"threads", play_threads},
};

__attribute__((constructor)) static void play_role(void)
{
    const char *name = getenv(ROLE_VARIABLE);
    for (size_t i = 0; name != NULL && i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(name, roles[i].name) == 0) {
            roles[i].play();
            exit(0);
        }
}

/* --- The pool --- */

static long giants_before = -1; /* -1: the pool is not ours to change */

/* In the process that runs all tests, so that a test that dies leaves the machine as it was. */
static void borrow_pool(void)
{
    long pages = giants("nr_hugepages");
    if (pool_lock() && pages >= 0 && giants("free_hugepages") == pages &&
        giants("resv_hugepages") == 0 && set_giants(pages))
        giants_before = pages;
}

static void return_pool(void)
{
    if (giants_before >= 0)
        set_giants(giants_before);
    pool_unlock();
}

/* --- The tests --- */

static bool in_group;

static void enter_role(void *role)
{
    if (in_group && !pool_group_enter())
        _exit(125);
    setenv(ROLE_VARIABLE, role, 1);
    setenv("VALLOC_HUGEPAGE", "hugetlb:1G", 1);
    setenv("VALLOC_STATS", "json", 1);
    execl("/proc/self/exe", "test_giant", (char *)NULL);
    _exit(126);
}

static void run_role(const char *role, struct outcome *outcome)
{
    run_child(outcome, enter_role, (void *)role);
    ck_assert_msg(outcome->status == 0, "%s: %s: %s", role, describe_status(outcome->status),
                  outcome->err);
}

/* Runs a role with a pool of so many pages; false if the machine does not have them. */
static bool run_with_pool(const char *role, long pages, struct outcome *outcome, const char *test)
{
    if (!only_on_valloc(test))
        return false;
    if (giants_before < 0 || !set_giants(pages)) {
        skip(test, giants_before < 0 ? "the pool of 1 GB pages cannot be changed, or is in use"
                                     : "the machine has not so many pages of 1 GB");
        return false;
    }
    run_role(role, outcome);
    ck_assert_msg(strncmp(outcome->err, "{\"valloc\"", 9) == 0, "printed: %s", outcome->err);
    ck_assert_int_eq(giants("free_hugepages"), giants("nr_hugepages"));
    ck_assert_int_eq(giants("resv_hugepages"), 0);
    return true;
}

/* What a role told of the pool. */
static long told(const struct outcome *outcome, const char *when)
{
    const char *at = strstr(outcome->out, when);
    ck_assert_msg(at != NULL, "no %s in: %s", when, outcome->out);
    return strtol(at + strlen(when), NULL, 10);
}

static const long pools[] = {2, 1, 0};

START_TEST(pools_of_all_sizes)
{
    struct outcome outcome;
    long pages = pools[_i];
    if (!run_with_pool("work", pages, &outcome, __func__))
        return;
    ck_assert_int_eq(told(&outcome, "held"), 0);
    ck_assert_int_eq(told(&outcome, "freed"), pages);
    unsigned long in_use = pool_told(&outcome, "giant_bytes");
    ck_assert_uint_eq(in_use, pages == 0 ? 0 : GB);
    ck_assert_uint_gt(pool_told(&outcome, "giant_fallbacks"), 0);
    ck_assert_uint_ge(pool_told(&outcome, "hugetlb_bytes"), in_use);
    ck_assert_uint_ge(pool_told(&outcome, "huge_bytes"), in_use);
    ck_assert_uint_ge(pool_told(&outcome, "\"resident_bytes"), in_use);
}
END_TEST

START_TEST(reallocated)
{
    struct outcome outcome;
    if (!run_with_pool("realloc", 2, &outcome, __func__))
        return;
    ck_assert_int_eq(told(&outcome, "held"), 0);
    ck_assert_int_eq(told(&outcome, "cut"), 1);
    ck_assert_int_eq(told(&outcome, "copied"), 2);
}
END_TEST

START_TEST(a_child_writes)
{
    struct outcome outcome;
    if (run_with_pool("fork", 2, &outcome, __func__))
        ck_assert_int_eq(told(&outcome, "held"), 1);
}
END_TEST

START_TEST(a_parent_writes)
{
    struct outcome outcome;
    if (run_with_pool("write-after-fork", 2, &outcome, __func__))
        ck_assert_int_eq(told(&outcome, "held"), 0);
}
END_TEST

START_TEST(a_pool_that_is_taken_away)
{
    struct outcome outcome;
    if (!run_with_pool("shrink", 2, &outcome, __func__))
        return;
    ck_assert_int_eq(told(&outcome, "held"), 1);
    ck_assert_int_eq(giants("nr_hugepages"), 0);
    ck_assert_uint_gt(pool_told(&outcome, "giant_fallbacks"), 0);
}
END_TEST

START_TEST(threads)
{
    struct outcome outcome;
    if (run_with_pool("threads", pools[_i], &outcome, __func__))
        ck_assert_int_eq(told(&outcome, "freed"), pools[_i]);
}
END_TEST

/* The kernel lets a group reserve more than it may use: what it refuses then would be a SIGBUS. */
START_TEST(a_group_that_may_have_one)
{
    struct outcome outcome;
    if (!pool_group_limit("hugetlb.1GB.limit_in_bytes", (long)GB)) {
        skip(__func__, "there is no control group for pages of 1 GB");
        return;
    }
    in_group = true;
    if (!run_with_pool("work", 2, &outcome, __func__))
        return;
    ck_assert_int_eq(told(&outcome, "held"), 1);
    ck_assert_int_eq(told(&outcome, "freed"), 2);
    ck_assert_uint_gt(pool_told(&outcome, "giant_fallbacks"), 0);
}
END_TEST

START_TEST(a_machine_without)
{
    struct outcome outcome;
    if (!only_on_valloc(__func__))
        return;
    if (giants("nr_hugepages") >= 0) {
        skip(__func__, "this machine has pages of 1 GB");
        return;
    }
    run_role("work", &outcome);
    ck_assert_msg(strncmp(outcome.err, no_giants, sizeof no_giants - 1) == 0, "printed: %s",
                  outcome.err);
    ck_assert_int_eq(outcome.err[sizeof no_giants - 1], '{');
    ck_assert_uint_eq(pool_told(&outcome, "giant_bytes"), 0);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("api/giant");
    TCase *cases = timed_case("pools", 120), *groups = timed_case("groups", 120);
    tcase_add_unchecked_fixture(cases, borrow_pool, return_pool);
    tcase_add_loop_test(cases, pools_of_all_sizes, 0, 1);
    tcase_add_test(cases, reallocated);
    tcase_add_test(cases, a_child_writes);
    tcase_add_test(cases, a_parent_writes);
    tcase_add_loop_test(cases, threads, 0, 3);
    tcase_add_loop_test(cases, pools_of_all_sizes, 1, 3);
    tcase_add_test(cases, a_pool_that_is_taken_away);
    tcase_add_test(cases, a_machine_without);
    suite_add_tcase(suite, cases);

    tcase_add_unchecked_fixture(groups, borrow_pool, return_pool);
    tcase_add_unchecked_fixture(groups, pool_group_make, pool_group_remove);
    tcase_add_test(groups, a_group_that_may_have_one);
    suite_add_tcase(suite, groups);
    return suite;
}
