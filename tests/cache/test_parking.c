/* cache/parking over the false system: which cache a thread that comes gets, and how much is kept in
 * those that wait. */
#include "tests/world.h"

#include <semaphore.h>

enum { CLASS_SIZE = 1000, CPUS = 4 };

/* A thread on a CPU of node 0, which does `work` there; gives the cache that it had. */
struct worker {
    unsigned cpu;
    void (*work)(void);
    sem_t *has_worked, *may_end; /* NULL: it is alone */
};

static void *work_there(void *worker_shared)
{
    const struct worker *worker = worker_shared;
    fake_os_set_where(worker->cpu, 0);
    vl_free(vl_alloc(1));
    struct vl_cache *cache = vl_cache_self;
    if (worker->work != NULL)
        worker->work();
    if (worker->may_end != NULL) {
        sem_post(worker->has_worked);
        sem_wait(worker->may_end);
    }
    return cache;
}

static struct vl_cache *run_on_cpu(unsigned cpu, void (*work)(void))
{
    struct worker worker = {cpu, work, NULL, NULL};
    pthread_t thread;
    void *cache;
    ck_assert_int_eq(pthread_create(&thread, NULL, work_there, &worker), 0);
    ck_assert_int_eq(pthread_join(thread, &cache), 0);
    return cache;
}

/* So many at the same time, each doing the same. They end in order, one after the other. */
static void run_at_once(unsigned count, unsigned cpus, void (*work)(void),
                        struct vl_cache *caches[TOGETHER_MAX])
{
    pthread_t threads[TOGETHER_MAX];
    struct worker workers[TOGETHER_MAX];
    sem_t has_worked, may_end[TOGETHER_MAX];
    sem_init(&has_worked, 0, 0);
    for (unsigned i = 0; i < count; i++) {
        sem_init(&may_end[i], 0, 0);
        workers[i] = (struct worker){i % cpus, work, &has_worked, &may_end[i]};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work_there, &workers[i]), 0);
    }
    for (unsigned i = 0; i < count; i++)
        sem_wait(&has_worked);
    for (unsigned i = 0; i < count; i++) {
        sem_post(&may_end[i]);
        ck_assert_int_eq(pthread_join(threads[i], (void **)&caches[i]), 0);
    }
}

static void start_world(void)
{
    begin_world(1);
}

static unsigned held(const struct vl_cache *cache)
{
    return vl_cache_count(cache, vl_class_of_size(CLASS_SIZE));
}

static void hold_some(void)
{
    vl_free(vl_alloc(CLASS_SIZE));
}

START_TEST(the_one_left_on_the_same_cpu)
{
    struct vl_cache *caches[TOGETHER_MAX];
    run_at_once(CPUS, CPUS, NULL, caches);
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        ck_assert_ptr_eq(run_on_cpu(cpu, NULL), caches[cpu]);
    for (unsigned cpu = CPUS; cpu-- > 0;)
        ck_assert_ptr_eq(run_on_cpu(cpu, NULL), caches[cpu]);
}
END_TEST

START_TEST(of_those_the_last)
{
    struct vl_cache *caches[TOGETHER_MAX], *last = NULL;
    run_at_once(CPUS, 1, NULL, caches);
    for (int i = 0; i < 10; i++) {
        struct vl_cache *cache = run_on_cpu(0, NULL);
        ck_assert(last == NULL || cache == last);
        last = cache;
    }
}
END_TEST

START_TEST(any_rather_than_a_new_one)
{
    struct vl_cache *cache = run_on_cpu(1, NULL);
    uint32_t caches = vl_pool_end(&vl_cache_pool);
    ck_assert_ptr_eq(run_on_cpu(0, NULL), cache);
    ck_assert_ptr_eq(run_on_cpu(1000, NULL), cache);
    ck_assert_ptr_eq(run_on_cpu(1, NULL), cache);
    ck_assert_uint_eq(vl_pool_end(&vl_cache_pool), caches);
}
END_TEST

START_TEST(it_keeps_what_it_holds)
{
    struct vl_cache *cache = run_on_cpu(0, hold_some);
    ck_assert_uint_gt(held(cache), 0);
    ck_assert_uint_eq(vl_parking_count(0), 1);
}
END_TEST

START_TEST(a_few_of_a_cpu_keep_what_they_hold)
{
    struct vl_cache *caches[TOGETHER_MAX];
    unsigned with = 0;
    run_at_once(TOGETHER_MAX, 1, hold_some, caches);
    for (unsigned i = 0; i < TOGETHER_MAX; i++)
        with += held(caches[i]) != 0;
    ck_assert_uint_ge(with, 1);
    ck_assert_uint_lt(with, TOGETHER_MAX / 2);
    ck_assert_uint_eq(vl_parking_count(0), TOGETHER_MAX);
}
END_TEST

/* All that there is of many classes. */
static void hold_much(void)
{
    enum { BLOCKS = 40, SMALLEST = 1000, LARGEST = 30000 };
    void *blocks[BLOCKS];
    for (size_t size = SMALLEST; size < LARGEST; size += size / 8) {
        for (int i = 0; i < BLOCKS; i++)
            blocks[i] = vl_alloc(size);
        for (int i = 0; i < BLOCKS; i++)
            vl_free(blocks[i]);
    }
}

static int64_t bytes_held(struct vl_cache *const *caches, unsigned count)
{
    int64_t bytes = 0;
    for (unsigned i = 0; i < count; i++)
        bytes += caches[i]->held_bytes;
    return bytes;
}

START_TEST(all_of_a_node_hold_no_more_than_4_mb)
{
    struct vl_cache *caches[TOGETHER_MAX];
    run_at_once(TOGETHER_MAX, TOGETHER_MAX, hold_much, caches);
    int64_t bytes = bytes_held(caches, TOGETHER_MAX);
    ck_assert_int_gt(bytes, 1 * MB);
    ck_assert_int_le(bytes, 4 * MB);
    /* What was taken and parked again is counted once. */
    for (int i = 0; i < 100; i++)
        run_on_cpu(0, NULL);
    vl_cache_flush_parked();
    ck_assert_int_eq(bytes_held(caches, TOGETHER_MAX), 0);
    run_at_once(TOGETHER_MAX, TOGETHER_MAX, hold_much, caches);
    ck_assert_int_gt(bytes_held(caches, TOGETHER_MAX), 1 * MB);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/parking");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, start_world, NULL);
    tcase_add_test(all, the_one_left_on_the_same_cpu);
    tcase_add_test(all, of_those_the_last);
    tcase_add_test(all, any_rather_than_a_new_one);
    tcase_add_test(all, it_keeps_what_it_holds);
    tcase_add_test(all, a_few_of_a_cpu_keep_what_they_hold);
    tcase_add_test(all, all_of_a_node_hold_no_more_than_4_mb);
    suite_add_tcase(suite, all);
    return suite;
}
