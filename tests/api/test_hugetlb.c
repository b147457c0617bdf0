/*
 * VALLOC_HUGEPAGE=hugetlb on the machine's own pool of huge pages: programs get what there is of it,
 * work where it ends, print nothing, and leave it as full as it was.
 *
 * Where the size of the pool cannot be set (it takes root), or others use it, the tests are skipped.
 */
#include "support.h"

#include "tests/api/pool.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#define ROLE_VARIABLE "VL_TEST_ROLE"

enum { HUGE_PAGE_KB = 2048 };

/* A figure of /proc/meminfo; without malloc. */
static long pool_figure(const char *name)
{
    char text[8192];
    int file = open("/proc/meminfo", O_RDONLY);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    text[length < 0 ? 0 : length] = '\0';
    if (file >= 0)
        close(file);
    const char *at = strstr(text, name);
    return at == NULL ? -1 : strtol(at + strlen(name), NULL, 10);
}

/* --- What the programs do --- */

enum { BLOCKS = 24, OBJECTS = 10000, OBJECT_SIZE = 600 };

struct load {
    char *blocks[BLOCKS];
    size_t sizes[BLOCKS];
    char *objects[OBJECTS];
};

static void fill(struct load *load, uint64_t seed)
{
    uint64_t random = seed;
    for (size_t i = 0; i < BLOCKS; i++) {
        load->sizes[i] = MB + random_next(&random) % (2 * MB);
        load->blocks[i] = i % 2 == 0 ? malloc(load->sizes[i]) : calloc(1, load->sizes[i]);
        child_assert(load->blocks[i] != NULL);
        child_assert(i % 2 == 0 || is_zero(load->blocks[i], load->sizes[i]));
        pattern_fill(load->blocks[i], load->sizes[i], seed + i);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        load->objects[i] = malloc(OBJECT_SIZE);
        child_assert(load->objects[i] != NULL);
        memset(load->objects[i], (char)i, OBJECT_SIZE);
    }
}

static void check(const struct load *load, uint64_t seed)
{
    for (size_t i = 0; i < BLOCKS; i++)
        child_assert(pattern_damage(load->blocks[i], load->sizes[i], seed + i) == load->sizes[i]);
    for (size_t i = 0; i < OBJECTS; i++)
        child_assert(load->objects[i][0] == (char)i &&
                     memcmp(load->objects[i], load->objects[i] + 1, OBJECT_SIZE - 1) == 0);
}

/* Every other block to half its size, the rest to twice. */
static void resize(struct load *load, uint64_t seed)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t kept = load->sizes[i], bytes = i % 2 == 0 ? kept / 2 : kept * 2;
        load->blocks[i] = realloc(load->blocks[i], bytes);
        child_assert(load->blocks[i] != NULL);
        kept = kept < bytes ? kept : bytes;
        child_assert(pattern_damage(load->blocks[i], kept, seed + i) == kept);
        pattern_fill(load->blocks[i], bytes, seed + i);
        load->sizes[i] = bytes;
    }
}

static void write_again(struct load *load, uint64_t seed)
{
    for (size_t i = 0; i < BLOCKS; i++)
        pattern_fill(load->blocks[i], load->sizes[i], seed + i);
    for (size_t i = 0; i < OBJECTS; i++)
        memset(load->objects[i], (char)i, OBJECT_SIZE);
}

static void drop(struct load *load)
{
    for (size_t i = 0; i < BLOCKS; i++)
        free(load->blocks[i]);
    for (size_t i = 0; i < OBJECTS; i++)
        free(load->objects[i]);
}

static void *work(void *seed_shared)
{
    static _Thread_local struct load load;
    uint64_t seed = (uintptr_t)seed_shared;
    for (int round = 0; round < 2; round++) {
        fill(&load, seed);
        check(&load, seed);
        resize(&load, seed);
        check(&load, seed);
        drop(&load);
    }
    return NULL;
}

/* What it finds in the pool when the heap is at its largest, for the parent to read. */
static void tell_pool(void)
{
    dprintf(STDOUT_FILENO, "%ld free\n", pool_figure("HugePages_Free:"));
}

static void play_work(void)
{
    static struct load load;
    fill(&load, 1);
    tell_pool();
    work((void *)2);
    check(&load, 1);
    drop(&load);
    child_assert(strcmp(getenv("HUGETLB_VERBOSE"), "99") == 0);
}

static void play_threads(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        child_assert(pthread_create(&threads[i], NULL, work, (void *)(1 + i)) == 0);
    for (int i = 0; i < THREADS; i++)
        child_assert(pthread_join(threads[i], NULL) == 0);
    tell_pool();
}

/* The child reads what the parent wrote, and the parent goes on writing, with no page left. */
static void play_fork(void)
{
    static struct load load;
    fill(&load, 1);
    tell_pool();
    pid_t child = fork();
    if (child == 0) {
        check(&load, 1);
        _exit(0);
    }
    int status;
    child_assert(waitpid(child, &status, 0) == child && status == 0);
    check(&load, 1);
    resize(&load, 1);
    drop(&load);
}

/* The child is still there and shares all pages, and there is no page left for a copy. */
static void play_write_after_fork(void)
{
    static struct load load;
    int hold[2];
    char byte;
    fill(&load, 1);
    tell_pool();
    child_assert(pipe(hold) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    write_again(&load, 2);
    check(&load, 2);
    close(hold[1]);
    int status;
    child_assert(waitpid(child, &status, 0) == child);
    drop(&load);
}

static bool set_pool(long pages);

/* The administrator takes the pool away while half of it is used: what is used stays with us. */
static void play_shrink(void)
{
    static struct load load, more;
    fill(&load, 1);
    tell_pool();
    child_assert(set_pool(0) || pool_figure("HugePages_Free:") == 0);
    fill(&more, 2);
    check(&load, 1);
    check(&more, 2);
    resize(&load, 1);
    check(&load, 1);
    drop(&load);
    drop(&more);
}

static const struct role {
    const char *name;
    void (*play)(void);
} roles[] = {
    {"work", play_work},
    {"threads", play_threads},
    {"fork", play_fork},
    {"write-after-fork", play_write_after_fork},
    {"shrink", play_shrink},
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

static const char pool_file[] = "/proc/sys/vm/nr_hugepages";
static long pool_before = -1; /* -1: the pool is not ours to change */

static bool set_pool(long pages)
{
    int file = open(pool_file, O_WRONLY);
    bool written = file >= 0 && dprintf(file, "%ld", pages) > 0;
    if (file >= 0)
        close(file);
    return written && pool_figure("HugePages_Total:") == pages;
}

/* In the process that runs all tests, so that a test that dies leaves the machine as it was. */
static void borrow_pool(void)
{
    long pages = pool_figure("HugePages_Total:");
    if (!pool_lock() || pool_figure("Hugepagesize:") != HUGE_PAGE_KB ||
        pool_figure("HugePages_Free:") != pages || pool_figure("HugePages_Rsvd:") != 0)
        return;
    if (set_pool(pages + 1) || set_pool(0))
        pool_before = pages;
    set_pool(pages);
}

static void return_pool(void)
{
    if (pool_before >= 0)
        set_pool(pool_before);
    pool_unlock();
}

/* --- The tests --- */

/* What a test wants beside the role. */
static const char *reserve; /* VALLOC_HUGEPAGE_RESERVE, from the first allocation on, or NULL */
static bool in_group;

static void enter_role(void *role)
{
    if (reserve != NULL) {
        setenv("VALLOC_HUGEPAGE_RESERVE", reserve, 1);
        setenv("VALLOC_HUGEPAGE_START", "0", 1);
    }
    if (in_group && !pool_group_enter())
        _exit(125);
    setenv(ROLE_VARIABLE, role, 1);
    setenv("VALLOC_HUGEPAGE", "hugetlb", 1);
    setenv("VALLOC_STATS", "json", 1);
    setenv("HUGETLB_VERBOSE", "99", 1);
    setenv("HUGETLB_DEBUG", "1", 1);
    execl("/proc/self/exe", "test_hugetlb", (char *)NULL);
    _exit(126);
}

/* Runs a role with a pool of so many pages; false if the machine does not have them. `*lowest`:
 * pages that the role found left in it. */
static bool run_with_pool(const char *role, long pages, struct outcome *outcome, long *lowest,
                          const char *test)
{
    if (!only_on_valloc(test))
        return false;
    if (pool_before < 0 || !set_pool(pages)) {
        skip(test, pool_before < 0 ? "the pool of huge pages cannot be changed, or is in use"
                                   : "the machine has not so many huge pages");
        return false;
    }
    run_child(outcome, enter_role, (void *)role);
    ck_assert_msg(outcome->status == 0, "%s with %ld pages: %s: %s", role, pages,
                  describe_status(outcome->status), outcome->err);
    /* A line if less was reserved than was asked for, one object of figures, and nothing of libhugetlbfs. */
    const char *figures = outcome->err;
    if (reserve != NULL && strncmp(figures, "valloc: VALLOC_HUGEPAGE_RESERVE: got", 36) == 0)
        figures = strchr(figures, '\n') + 1;
    ck_assert_msg(strncmp(figures, "{\"valloc\"", 9) == 0, "printed: %s", outcome->err);
    ck_assert_ptr_eq(strchr(figures, '\n'), figures + strlen(figures) - 1);
    ck_assert_int_eq(sscanf(outcome->out, "%ld free", lowest), 1);
    ck_assert_int_eq(pool_figure("HugePages_Free:"), pool_figure("HugePages_Total:"));
    ck_assert_int_eq(pool_figure("HugePages_Rsvd:"), 0);
    return true;
}

START_TEST(no_pool)
{
    struct outcome outcome;
    long lowest;
    if (!run_with_pool("work", 0, &outcome, &lowest, __func__))
        return;
    ck_assert_uint_eq(pool_told(&outcome, "hugetlb_bytes"), 0);
    ck_assert_uint_gt(pool_told(&outcome, "hugetlb_fallbacks"), 0);
}
END_TEST

START_TEST(a_pool_of_one_page)
{
    struct outcome outcome;
    long lowest;
    if (!run_with_pool("work", 1, &outcome, &lowest, __func__))
        return;
    ck_assert_int_eq(lowest, 0);
    ck_assert_uint_gt(pool_told(&outcome, "hugetlb_fallbacks"), 0);
}
END_TEST

/* It ends in the middle of the work. */
START_TEST(a_pool_that_ends)
{
    struct outcome outcome;
    long lowest;
    if (!run_with_pool("work", 8, &outcome, &lowest, __func__))
        return;
    ck_assert_int_eq(lowest, 0);
    ck_assert_uint_gt(pool_told(&outcome, "hugetlb_fallbacks"), 0);
}
END_TEST

START_TEST(a_pool_of_64_pages)
{
    struct outcome outcome;
    long lowest;
    if (!run_with_pool("work", 64, &outcome, &lowest, __func__))
        return;
    ck_assert_int_lt(lowest, 64 - 8);
}
END_TEST

/* Four threads and 64 pages: they run into the end of the pool together. */
START_TEST(threads)
{
    static const long pools[] = {0, 1, 7, 64};
    struct outcome outcome;
    long lowest;
    run_with_pool("threads", pools[_i], &outcome, &lowest, __func__);
}
END_TEST

START_TEST(a_child_reads)
{
    struct outcome outcome;
    long lowest;
    if (run_with_pool("fork", 8, &outcome, &lowest, __func__))
        ck_assert_int_eq(lowest, 0);
}
END_TEST

START_TEST(a_parent_writes)
{
    struct outcome outcome;
    long lowest;
    if (run_with_pool("write-after-fork", 8, &outcome, &lowest, __func__))
        ck_assert_int_eq(lowest, 0);
}
END_TEST

START_TEST(a_pool_that_is_taken_away)
{
    struct outcome outcome;
    long lowest;
    if (run_with_pool("shrink", 64, &outcome, &lowest, __func__)) {
        ck_assert_int_lt(lowest, 64 - 8);
        ck_assert_int_eq(pool_figure("HugePages_Total:"), 0);
        ck_assert_uint_gt(pool_told(&outcome, "hugetlb_fallbacks"), 0);
    }
}
END_TEST

/* The kernel lets a group reserve more than it may use: what it refuses then would be a SIGBUS. */
START_TEST(a_group_that_may_have_few)
{
    struct outcome outcome;
    long lowest;
    if (!pool_group_limit("hugetlb.2MB.limit_in_bytes", 8L << 21)) {
        skip(__func__, "there is no control group for huge pages");
        return;
    }
    in_group = true;
    reserve = _i == 0 ? NULL : "64M";
    if (run_with_pool(_i == 2 ? "fork" : "work", 64, &outcome, &lowest, __func__)) {
        ck_assert_int_ge(lowest, 64 - 8);
        ck_assert_uint_gt(pool_told(&outcome, "hugetlb_fallbacks"), 0);
        ck_assert_uint_le(pool_told(&outcome, "reserve_got"), 8L << 21);
    }
}
END_TEST

START_TEST(a_reserve_is_used)
{
    struct outcome outcome;
    long lowest;
    reserve = "40M";
    if (run_with_pool("work", 64, &outcome, &lowest, __func__))
        ck_assert_uint_eq(pool_told(&outcome, "reserve_got"), 40L << 20);
}
END_TEST

static const struct {
    const char *role;
    long pages;
} short_reserves[] = {{"work", 0}, {"work", 1}, {"work", 8},
                      {"threads", 8}, {"fork", 8}, {"write-after-fork", 8}};

START_TEST(a_reserve_that_is_short)
{
    struct outcome outcome;
    long lowest;
    reserve = "64M";
    if (!run_with_pool(short_reserves[_i].role, short_reserves[_i].pages, &outcome, &lowest, __func__))
        return;
    unsigned long got = pool_told(&outcome, "reserve_got");
    unsigned long there = (unsigned long)short_reserves[_i].pages << 21;
    ck_assert_uint_le(got, there);
    /* One thread may have taken two pages before it was looked at; how many four have, nobody knows. */
    if (strcmp(short_reserves[_i].role, "threads") != 0) {
        ck_assert_int_eq(lowest, 0);
        ck_assert_uint_ge(got + (2 << 21), there);
    }
    ck_assert_ptr_nonnull(strstr(outcome.err, "of 64.0 MB: the kernel's pool has no more\n"));
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("api/hugetlb");
    TCase *pools = timed_case("pools", 60);
    tcase_add_unchecked_fixture(pools, borrow_pool, return_pool);
    tcase_add_test(pools, no_pool);
    tcase_add_test(pools, a_pool_of_one_page);
    tcase_add_test(pools, a_pool_that_ends);
    tcase_add_test(pools, a_pool_of_64_pages);
    tcase_add_loop_test(pools, threads, 0, 4);
    tcase_add_test(pools, a_child_reads);
    tcase_add_test(pools, a_parent_writes);
    tcase_add_test(pools, a_pool_that_is_taken_away);
    suite_add_tcase(suite, pools);

    TCase *groups = timed_case("groups", 60), *reserves = timed_case("reserves", 60);
    tcase_add_unchecked_fixture(groups, borrow_pool, return_pool);
    tcase_add_unchecked_fixture(groups, pool_group_make, pool_group_remove);
    tcase_add_loop_test(groups, a_group_that_may_have_few, 0, 3);
    suite_add_tcase(suite, groups);
    tcase_add_unchecked_fixture(reserves, borrow_pool, return_pool);
    tcase_add_test(reserves, a_reserve_is_used);
    tcase_add_loop_test(reserves, a_reserve_that_is_short, 0,
                        sizeof short_reserves / sizeof short_reserves[0]);
    suite_add_tcase(suite, reserves);
    return suite;
}
