/*
 * A thread that is stopped while it looks at the heap, inside a section of core/rcu: whoever allocates
 * goes on as if it were not there, and it keeps little memory from going back. Who waits for it is
 * valloc_cleanup, in threads of its own.
 *
 * What is shown is that the others' work comes to its end while the reader is stopped. With
 * VL_TEST_LENGTH the reader is stopped for ten seconds, and how long calls take is measured and printed.
 */
#include "support.h"

#include "valloc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { WORKERS = 3, ROUNDS = 2000, SMALL = 64, BIG = 3, BLOCKS = 20, STOPPED_MS = 10 * 1000 };

#define PINNED_MAX (64 * MB)

/* Many times what a call takes, for machines that have other things to do. */
enum { CALL_MS_MAX = 2000 };

/* valloc's own functions, from the library that is preloaded. */
static struct {
    int (*regions)(int (*)(const struct valloc_region *, void *), void *);
    int (*owns)(const void *);
    size_t (*usable_size)(const void *);
    size_t (*cleanup_level)(MemoryAllocator *, int);
    int (*init)(MemoryAllocator *, int, int);
    void *(*block)(MemoryAllocator *, size_t);
    void (*give)(MemoryAllocator *, void *);
    void (*destroy)(MemoryAllocator *);
} vl;

static bool find_functions(const char *test)
{
    if (!only_on_valloc(test))
        return false;
    *(void **)&vl.regions = dlsym(RTLD_DEFAULT, "valloc_regions");
    *(void **)&vl.owns = dlsym(RTLD_DEFAULT, "valloc_owns");
    *(void **)&vl.usable_size = dlsym(RTLD_DEFAULT, "valloc_usable_size");
    *(void **)&vl.cleanup_level = dlsym(RTLD_DEFAULT, "valloc_cleanup_level");
    *(void **)&vl.init = dlsym(RTLD_DEFAULT, "valloc_init");
    *(void **)&vl.block = dlsym(RTLD_DEFAULT, "valloc_block");
    *(void **)&vl.give = dlsym(RTLD_DEFAULT, "free_valloc");
    *(void **)&vl.destroy = dlsym(RTLD_DEFAULT, "valloc_destroy");
    return true;
}

/* --- The reader --- */

static struct {
    pthread_t thread;
    pid_t id;
    sem_t inside;
    _Atomic bool leave, left;
} reader;

static int stay(const struct valloc_region *region, void *unused)
{
    (void)region;
    (void)unused;
    reader.id = (pid_t)syscall(SYS_gettid);
    sem_post(&reader.inside);
    while (!reader.leave)
        sched_yield();
    return 1;
}

static void *read_heap(void *unused)
{
    ck_assert_int_eq(vl.regions(stay, NULL), 1);
    reader.left = true;
    return unused;
}

static void start_reader(void)
{
    sem_init(&reader.inside, 0, 0);
    ck_assert_int_eq(pthread_create(&reader.thread, NULL, read_heap, NULL), 0);
    sem_wait(&reader.inside);
}

/* --- How it is stopped: by a signal's handler, or by a tracer, as SIGSTOP stops --- */

static sem_t stopped, released;

static void lie_still(int signal)
{
    (void)signal;
    sem_post(&stopped);
    while (sem_wait(&released) != 0) {
    }
}

static bool stop_by_signal(void)
{
    sem_init(&stopped, 0, 0);
    sem_init(&released, 0, 0);
    signal(SIGRTMIN + 4, lie_still);
    ck_assert_int_eq(syscall(SYS_tgkill, getpid(), reader.id, SIGRTMIN + 4), 0);
    sem_wait(&stopped);
    return true;
}

static void release_from_signal(void)
{
    sem_post(&released);
}

static int to_tracer[2], from_tracer[2];

/* A child, which calls nothing but the kernel. Its parent's end ends it. */
static _Noreturn void trace(pid_t thread)
{
    char answer = 'n';
    close(to_tracer[1]);
    read(to_tracer[0], &answer, 1); /* it has been allowed to */
    answer = 'n';
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) == 0 &&
        ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) == 0 && waitpid(thread, NULL, __WALL) == thread)
        answer = 'y';
    write(from_tracer[1], &answer, 1);
    read(to_tracer[0], &answer, 1);
    ptrace(PTRACE_DETACH, thread, NULL, NULL);
    _exit(0);
}

static pid_t tracer;

static void release_from_tracer(void)
{
    close(to_tracer[1]);
    expect_success(tracer);
}

static bool stop_by_tracer(void)
{
    char answer = 'n';
    ck_assert_int_eq(pipe(to_tracer), 0);
    ck_assert_int_eq(pipe(from_tracer), 0);
    tracer = fork();
    if (tracer == 0)
        trace(reader.id);
    ck_assert_int_gt(tracer, 0);
    close(to_tracer[0]);
    prctl(PR_SET_PTRACER, tracer, 0, 0, 0);
    ck_assert_int_eq(write(to_tracer[1], "g", 1), 1);
    ck_assert_int_eq(read(from_tracer[0], &answer, 1), 1);
    if (answer != 'y')
        release_from_tracer();
    return answer == 'y';
}

static const struct {
    bool (*stop)(void);
    void (*release)(void);
} ways[] = {{stop_by_signal, release_from_signal}, {stop_by_tracer, release_from_tracer}};

/* --- Time, which only the long run looks at --- */

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static _Thread_local uint64_t call_started_us, longest_us;

static void *begin_call(void)
{
    call_started_us = now_us();
    return NULL;
}

static void end_call(void)
{
    uint64_t took = now_us() - call_started_us;
    if (took > longest_us)
        longest_us = took;
}

#define TIMED(call) (begin_call(), call, end_call())

/* --- Those who allocate --- */

struct worker {
    pthread_t thread, cleaner;
    bool cleans;
    uint64_t random, until_us, rounds, longest_us;
    void *small[SMALL], *big[BIG];
};

/* Some of its pages. */
static void touch(char *block, size_t size)
{
    for (size_t at = 0; at < size; at += 64 * KB)
        block[at] = 1;
}

static void change_small(struct worker *worker)
{
    void **slot = &worker->small[random_next(&worker->random) % SMALL];
    size_t size = random_size(&worker->random, 64 * KB);
    TIMED(free(*slot));
    TIMED(*slot = malloc(size));
    ck_assert(*slot != NULL);
    memset(*slot, 1, size < 64 ? size : 64);
}

static void change_big(struct worker *worker)
{
    void **slot = &worker->big[random_next(&worker->random) % BIG];
    size_t size = MB + random_size(&worker->random, 8 * MB);
    if (*slot != NULL && random_next(&worker->random) % 2 == 0) {
        TIMED(*slot = realloc(*slot, size));
    } else {
        TIMED(free(*slot));
        TIMED(*slot = malloc(size));
    }
    ck_assert(*slot != NULL);
    touch(*slot, size);
    ck_assert_uint_ge(vl.usable_size(*slot), size);
}

static void use_object(struct worker *worker)
{
    MemoryAllocator object = {0, 0};
    int made;
    void *block;
    TIMED(made = vl.init(&object, 10, 1));
    ck_assert_int_eq(made, 0);
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = random_size(&worker->random, i == 0 ? 4 * MB : 16 * KB);
        TIMED(block = vl.block(&object, size));
        ck_assert(block != NULL);
        touch(block, size);
        if (i % 3 == 0)
            TIMED(vl.give(&object, block));
    }
    vl.cleanup_level(&object, 2);
    TIMED(vl.destroy(&object));
}

static void *clean_up(void *unused)
{
    vl.cleanup_level(NULL, 3);
    return unused;
}

static void one_round(struct worker *worker)
{
    for (int i = 0; i < 10; i++)
        change_small(worker);
    if (worker->rounds % 4 == 0)
        change_big(worker);
    if (worker->rounds % 16 == 0)
        use_object(worker);
    if (worker->rounds % 256 == 0)
        vl.cleanup_level(NULL, 2);
    /* In the middle, when others are busy. */
    if (worker->cleans && worker->rounds == ROUNDS / 2)
        ck_assert_int_eq(pthread_create(&worker->cleaner, NULL, clean_up, NULL), 0);
    worker->rounds++;
}

static void *work(void *shared)
{
    struct worker *worker = shared;
    while (worker->rounds < ROUNDS || now_us() < worker->until_us)
        one_round(worker);
    for (int i = 0; i < SMALL; i++)
        free(worker->small[i]);
    for (int i = 0; i < BIG; i++)
        free(worker->big[i]);
    worker->longest_us = longest_us;
    return NULL;
}

/* To its end. */
static void run_workers(struct worker *workers, bool clean, unsigned ms)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){
            .cleans = clean, .random = test_seed() + i, .until_us = now_us() + ms * 1000};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
}

static uint64_t report(const char *when, const struct worker *workers)
{
    uint64_t rounds = 0, longest = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        rounds += workers[i].rounds;
        longest = workers[i].longest_us > longest ? workers[i].longest_us : longest;
    }
    printf("%s: %llu rounds, longest call %llu us\n", when, (unsigned long long)rounds,
           (unsigned long long)longest);
    fflush(stdout);
    return longest;
}

/* --- The test --- */

/* Slices for big blocks and for objects in which nothing is in use; a place in the first of them. */
static char *leave_slices_idle(void)
{
    MemoryAllocator object = {0, 0};
    char *block = opaque(malloc(8 * MB));
    ck_assert_ptr_nonnull(block);
    touch(block, 8 * MB);
    ck_assert_int_eq(vl.init(&object, 1, 1), 0);
    ck_assert_ptr_nonnull(vl.block(&object, 100));
    vl.destroy(&object);
    free(opaque(block));
    return block;
}

START_TEST(nobody_who_allocates_waits_for_it)
{
    static struct worker alone[WORKERS], workers[WORKERS];
    pthread_t cleaner;
    unsigned ms = scaled(1) > 1 ? STOPPED_MS : 0;
    if (!find_functions(__func__))
        return;
    run_workers(alone, false, ms);
    char *gone = leave_slices_idle();
    start_reader();
    if (!ways[_i].stop()) {
        reader.leave = true;
        pthread_join(reader.thread, NULL);
        skip(__func__, "nobody may be traced here");
        return;
    }
    reader.leave = true; /* as soon as it goes on */
    ck_assert_int_eq(pthread_create(&cleaner, NULL, clean_up, NULL), 0);
    while (vl.owns(gone))
        sched_yield(); /* it is hidden: from now on the cleaner waits */

    uint64_t started_us = now_us();
    run_workers(workers, true, ms);
    uint64_t ended_us = now_us();
    ck_assert(!reader.left);
    vl.cleanup_level(NULL, 2);
    size_t while_stopped = resident_bytes();
    ck_assert(!reader.left);

    ways[_i].release();
    pthread_join(reader.thread, NULL);
    pthread_join(cleaner, NULL);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i].cleaner, NULL);
    ck_assert(reader.left);
    vl.cleanup_level(NULL, 3);
    size_t after = resident_bytes();

    report("nobody stopped", alone);
    uint64_t longest_us_of_all = report("a reader stopped", workers);
    printf("stopped for %llu ms; resident then %zu KB, afterwards %zu KB\n",
           (unsigned long long)(ended_us - started_us) / 1000, while_stopped / KB, after / KB);
    ck_assert_uint_le(while_stopped, after + PINNED_MAX);
    if (ms != 0)
        ck_assert_uint_le(longest_us_of_all, CALL_MS_MAX * 1000);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("a stopped reader");
    TCase *stopped_case = timed_case("stopped", 60);
    tcase_add_loop_test(stopped_case, nobody_who_allocates_waits_for_it, 0, 2);
    suite_add_tcase(suite, stopped_case);
    return suite;
}
