/*
 * The races of docs/concurrency.md ("Eight races"): one thread is stopped where it hurts, another does
 * its worst, the first goes on. No luck is needed: a thread stops in a call to the system, where the
 * test lets it lie until it has done what it wants.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "tests/world.h"

#include <dlfcn.h>
#include <semaphore.h>
#include <sys/mman.h>

/* --- A thread that stops --- */

enum where { NOWHERE, AT_TEST, AT_WAIT, AT_YIELD, AT_DISCARD, AT_RENEW, AT_MOVE, AT_SYNCHRONIZE };

static sem_t reached, go_on;
static _Thread_local unsigned stops_at; /* a bit for each place */
static struct {
    void (*body)(void);
    unsigned stops_at;
    bool exits; /* it will stop in what follows the body, or end unseen */
    pthread_t thread;
    enum where where; /* it is stopped; NOWHERE: it has ended */
} stopper;

static void stop(enum where where)
{
    if (!(stops_at >> where & 1))
        return;
    stopper.where = where;
    sem_post(&reached);
    sem_wait(&go_on);
}

static void *run_stopper(void *unused)
{
    (void)unused;
    stops_at = stopper.stops_at;
    stopper.body();
    if (stopper.exits)
        return NULL;
    stopper.where = NOWHERE;
    sem_post(&reached);
    return NULL;
}

/* Runs body() in a thread until it comes to one of these places, or to its end. */
static void run_until(void (*body)(void), unsigned places)
{
    sem_init(&reached, 0, 0);
    sem_init(&go_on, 0, 0);
    stopper.body = body;
    stopper.stops_at = places;
    ck_assert_int_eq(pthread_create(&stopper.thread, NULL, run_stopper, NULL), 0);
    sem_wait(&reached);
}

static void go_on_until_next(void)
{
    sem_post(&go_on);
    sem_wait(&reached);
}

static void run_to_the_end(void)
{
    while (stopper.where != NOWHERE)
        go_on_until_next();
    pthread_join(stopper.thread, NULL);
}

/* --- The world: one node, slices of 4 MB, nothing goes back by itself --- */

static struct vl_os hooked;

static void stopping_wait(const void *word, uint32_t expected)
{
    if (stops_at >> AT_WAIT & 1)
        stop(AT_WAIT); /* that it wakes for no reason does no harm */
    else
        vl_os_linux.wait(word, expected);
}

static void stopping_yield(void)
{
    stop(AT_YIELD);
    vl_os_linux.yield();
}

/* Nobody's patience ends. */
static uint64_t stopped_clock(void)
{
    return 1000;
}

static _Atomic unsigned collapses;

static int stopping_advise(void *start, size_t size, enum vl_advice advice)
{
    collapses += advice == VL_ADVICE_COLLAPSE;
    const struct vl_slice *slice = vl_slice_of(start);
    if (advice == VL_ADVICE_DISCARD && slice != NULL && slice != &vl_slices[0])
        stop(AT_DISCARD);
    return vl_os_linux.advise(start, size, advice);
}

static int stopping_renew(void *start, size_t size)
{
    stop(AT_RENEW);
    return vl_os_linux.renew(start, size);
}

/* What mremap does, for kernels that cannot. */
static int stopping_move(void *from, size_t size, void *to)
{
    stop(AT_MOVE);
    memcpy(to, from, size);
    return vl_os_linux.advise(from, size, VL_ADVICE_DISCARD);
}

static void set_up(void)
{
    vl_options.va_reserve_bytes = 4 * MB;
    vl_options.purge_delay_ms = VL_TIME_NEVER;
    begin_bare_world(1);
    hooked = *vl_os;
    hooked.wait = stopping_wait;
    hooked.yield = stopping_yield;
    hooked.clock_ms = stopped_clock;
    hooked.advise = stopping_advise;
    hooked.renew = stopping_renew;
    hooked.move = stopping_move;
    vl_os = &hooked;
}

/* liburcu is ours: there is none, or one that has grace periods with an end of their own. Without it
 * sections are counted, and one can ask whether one is open without waiting for it. */
static bool library_there;
static pthread_mutex_t grace_period = PTHREAD_MUTEX_INITIALIZER;

static void library_lock(void)
{
}

static int library_ongoing(void)
{
    return 0;
}

static void library_synchronize(void)
{
    pthread_mutex_lock(&grace_period);
    stop(AT_SYNCHRONIZE);
    pthread_mutex_unlock(&grace_period);
}

void *dlopen(const char *name, int flags)
{
    (void)name;
    (void)flags;
    return library_there ? &library_there : NULL;
}

void *dlsym(void *restrict library, const char *restrict name)
{
    void (*function)(void) = strcmp(name, "urcu_bp_synchronize_rcu") == 0 ? library_synchronize
                             : strcmp(name, "urcu_bp_read_ongoing") == 0
                                 ? (void (*)(void))library_ongoing
                                 : library_lock;
    void *address;
    (void)library;
    memcpy(&address, &function, sizeof address);
    return address;
}

/* --- A slice that can go: the second --- */

enum { SIZE = 15000, BLOCKS_MAX = 800 }; /* a cache holds two */

static void *blocks[BLOCKS_MAX];
static unsigned blocks_taken;

/* A block in the second slice; the first one is full. */
static char *fill_first_slice(void)
{
    void *block;
    do {
        ck_assert_uint_lt(blocks_taken, BLOCKS_MAX);
        block = blocks[blocks_taken++] = vl_alloc(SIZE);
        ck_assert_ptr_nonnull(block);
    } while (vl_slice_of(block) == &vl_slices[0]);
    ck_assert_ptr_eq(vl_slice_of(block), &vl_slices[1]);
    return block;
}

static void free_blocks(void)
{
    while (blocks_taken > 0)
        vl_free(blocks[--blocks_taken]);
}

static void empty_slices(void)
{
    free_blocks();
    vl_trim();
}

static void *retire_at_once(void *unused)
{
    (void)unused;
    return (void *)vl_place_retire(false);
}

/* In a thread that has no section open itself. */
static bool something_goes(void)
{
    return run_on(0, retire_at_once, NULL) != NULL;
}

/* --- b. Caches are flushed while threads come and go --- */

/* A cache with a part of a magazine of one class. */
static void fill_cache(void)
{
    ck_assert_ptr_nonnull(vl_alloc(SIZE));
}

static void *own_cache(void *unused)
{
    vl_free(vl_alloc(1));
    return (void)unused, vl_cache_self;
}

static struct vl_cache *flushed;

enum { PARKED = 8 }; /* then who ends empties its cache */
static pthread_barrier_t all_have_one;

static void *have_a_cache(void *unused)
{
    own_cache(NULL);
    pthread_barrier_wait(&all_have_one);
    return unused;
}

static void fill_parking(void)
{
    pthread_barrier_init(&all_have_one, NULL, PARKED);
    run_together(PARKED, 1, have_a_cache);
}

static void fill_cache_and_exit(void)
{
    fill_cache();
    flushed = vl_cache_self;
    stop(AT_TEST);
}

/* Until the last object has left it, it belongs to the thread that ends. */
START_TEST(b_cache_of_a_thread_that_ends_has_no_other_owner)
{
    struct vl_central *central = &vl_node_heaps[0].classes[vl_class_of_size(SIZE)].central;
    stopper.exits = true;
    fill_parking();
    run_until(fill_cache_and_exit, 1 << AT_TEST | 1 << AT_WAIT);
    vl_lock(&central->lock);
    go_on_until_next();
    vl_unlock(&central->lock);
    ck_assert_int_eq(stopper.where, AT_WAIT);
    vl_cache_flush_parked();
    ck_assert_ptr_ne(run_on(0, own_cache, NULL), flushed);
    sem_post(&go_on);
    pthread_join(stopper.thread, NULL);
    ck_assert_uint_eq(vl_cache_count(flushed, vl_class_of_size(SIZE)), 0);
    ck_assert_ptr_eq(run_on(0, own_cache, NULL), flushed);
}
END_TEST

static void *fill_and_leave(void *unused)
{
    ck_assert_ptr_nonnull(vl_alloc(SIZE));
    return (void)unused, vl_cache_self;
}

/* Who flushes it for a thread that is gone has it alone. */
START_TEST(b_parked_cache_that_is_flushed_has_no_other_owner)
{
    struct vl_central *central = &vl_node_heaps[0].classes[vl_class_of_size(SIZE)].central;
    flushed = run_on(0, fill_and_leave, NULL);
    vl_lock(&central->lock);
    run_until(vl_cache_flush_parked, 1 << AT_WAIT);
    vl_unlock(&central->lock);
    ck_assert_int_eq(stopper.where, AT_WAIT);
    ck_assert_ptr_ne(run_on(0, own_cache, NULL), flushed);
    run_to_the_end();
    ck_assert_uint_eq(vl_cache_count(flushed, vl_class_of_size(SIZE)), 0);
}
END_TEST

/* The same for an allocator object. */

static struct vl_object *object;
static struct vl_cache *left_cache;

static void *use_and_leave(void *unused)
{
    void *taken[8];
    for (int i = 0; i < 8; i++)
        taken[i] = vl_object_take(object, SIZE, VL_STAYS);
    for (int i = 0; i < 8; i++)
        vl_object_give(object, taken[i], "free");
    left_cache = vl_object_cache(object);
    return unused;
}

static void *find_cache(void *unused)
{
    return (void)unused, vl_object_cache(object);
}

static void clean_object(void)
{
    vl_object_clean(object, 1);
}

START_TEST(b_cache_that_is_cleaned_has_no_other_owner)
{
    struct vl_object_plan plan = {.cached = true, .node = -1, .pages_max = UINT64_MAX};
    uint32_t number;
    uint64_t serial = vl_object_make(&plan, &number);
    object = vl_object_named(serial, number);
    run_on(0, use_and_leave, NULL);
    struct vl_central *central = &object->heap.classes[vl_class_of_size(SIZE)].central;
    vl_lock(&central->lock);
    run_until(clean_object, 1 << AT_WAIT);
    vl_unlock(&central->lock);
    ck_assert_int_eq(stopper.where, AT_WAIT);
    ck_assert_ptr_ne(run_on(0, find_cache, NULL), left_cache);
    run_to_the_end();
    void *second = run_on(0, find_cache, NULL);
    ck_assert(second == left_cache || vl_get(&left_cache->holder) == 0);
}
END_TEST

/* --- c. A question about a pointer, while what it leads to goes --- */

static char *asked;
static size_t answer;

static void ask(void)
{
    answer = vl_query_bytes(asked);
}

START_TEST(c_slice_stays_while_a_question_is_answered)
{
    asked = fill_first_slice();
    struct vl_central *central = &vl_node_heaps[0].classes[vl_class_of_size(SIZE)].central;
    vl_lock(&central->lock);
    run_until(ask, 1 << AT_WAIT);
    vl_unlock(&central->lock);
    ck_assert_int_eq(stopper.where, AT_WAIT);
    empty_slices();
    ck_assert(!something_goes());
    run_to_the_end();
    ck_assert_uint_eq(answer, 0);
    ck_assert(something_goes());
}
END_TEST

/* --- d. A walk, while what it is about to visit becomes something else --- */

static bool emptied;

static void empty_under_the_walk(void)
{
    if (emptied)
        return;
    emptied = true;
    empty_slices();
    require(!something_goes());
}

static int empty_at_second_slice(void *start, size_t bytes, void *unused)
{
    (void)bytes;
    (void)unused;
    if (vl_slice_of(start) == &vl_slices[1])
        empty_under_the_walk();
    return 0;
}

static int empty_at_second_slice_s_part(const struct vl_part *part, void *unused)
{
    return empty_at_second_slice(part->start, part->size, unused);
}

START_TEST(d_slice_stays_while_it_is_walked)
{
    fill_first_slice();
    if (_i == 0)
        ck_assert_int_eq(vl_walk_blocks(empty_at_second_slice, NULL), 0);
    else
        ck_assert_int_eq(vl_walk_parts(empty_at_second_slice_s_part, NULL), 0);
    ck_assert(emptied);
    ck_assert(something_goes());
}
END_TEST

static int must_be_a_block(void *start, size_t bytes, void *unused)
{
    (void)unused;
    require(vl_query_bytes(start) == bytes);
    return 0;
}

static void walk(void)
{
    require(vl_walk_blocks(must_be_a_block, NULL) == 0);
}

/* Blocks of a quarter of the size come to lie where the one was that the walk has just found. */
START_TEST(d_span_that_was_made_anew_is_not_taken_for_the_former)
{
    enum { OTHER_SIZE = SIZE / 16, OTHERS_MAX = 5000 };
    char *block = vl_alloc(SIZE);
    char *start = vl_span_start(vl_span_of(vl_slice_of(block), block));
    struct vl_central *central = &vl_node_heaps[0].classes[vl_class_of_size(SIZE)].central;
    vl_lock(&central->lock);
    run_until(walk, 1 << AT_WAIT);
    vl_unlock(&central->lock);
    ck_assert_int_eq(stopper.where, AT_WAIT);
    vl_free(block);
    vl_trim();
    unsigned others = 0;
    while (vl_alloc(OTHER_SIZE) != start)
        ck_assert_uint_lt(++others, OTHERS_MAX);
    run_to_the_end();
}
END_TEST

/* --- e. A region whose memory is given back, while its slice goes --- */

static void purge_all(void)
{
    vl_place_purge(0);
}

START_TEST(e_slice_stays_while_it_is_purged)
{
    fill_first_slice();
    free_blocks();
    vl_cache_flush(vl_cache_self);
    vl_trim_depots(&vl_node_heaps[0]);
    vl_trim_spans(&vl_node_heaps[0]);
    run_until(purge_all, 1 << AT_DISCARD);
    ck_assert_int_eq(stopper.where, AT_DISCARD);
    ck_assert(!something_goes());
    run_to_the_end();
    ck_assert(something_goes());
}
END_TEST

/* There is no race with what does not happen: a region is made of huge pages when it is touched first,
 * never later. Who changes that needs more than the next test. */
START_TEST(e_nothing_is_collapsed)
{
    for (int round = 0; round < 3; round++) {
        fill_first_slice();
        vl_free(vl_alloc(8 * MB));
        empty_slices();
        vl_place_retire(true);
    }
    ck_assert_uint_eq(collapses, 0);
}
END_TEST

/* --- f. A block that moves, while it is asked for --- */

enum { BEFORE = 4 * MB, BETWEEN = 8 * MB, AFTER = 16 * MB };

static char *moving;
static void *moved;

static void move_on(void)
{
    moved = vl_resize(moving, AFTER);
}

static int count_visits(void *start, size_t bytes, void *visits)
{
    *(unsigned *)visits += start == moving && bytes == BETWEEN;
    return 0;
}

static unsigned visits_of_moving(void)
{
    unsigned visits = 0;
    ck_assert_int_eq(vl_walk_blocks(count_visits, &visits), 0);
    return visits;
}

static char *take_big(size_t size)
{
    char *block = vl_alloc(size);
    ck_assert_ptr_nonnull(block);
    block[0] = 42;
    return block;
}

/* It is a block until its owner has another; from then on nobody's, until it is free. */
START_TEST(f_moving_block_is_there_or_not)
{
    unsigned moves = 0, renewals = 0;
    vl_options.va_reserve_bytes = VL_SIZE_AUTO;
    char *first = take_big(BEFORE);
    take_big(MB); /* behind it, so that it cannot grow in its place */
    moving = vl_resize(first, BETWEEN);
    ck_assert_ptr_ne(moving, first);
    take_big(BETWEEN); /* too large for where the first was */
    run_until(move_on, 1 << AT_MOVE | 1 << AT_RENEW);
    for (; stopper.where != NOWHERE; go_on_until_next()) {
        bool there = stopper.where == AT_MOVE;
        ck_assert_uint_eq(vl_query_bytes(moving), there ? BETWEEN : 0);
        ck_assert_uint_eq(visits_of_moving(), there);
        ck_assert_uint_eq(vl_query_bytes(moving + VL_GRAIN_SIZE), 0);
        ck_assert_uint_eq(vl_query_bytes(moving + BETWEEN - VL_GRAIN_SIZE), 0);
        moves += there;
        renewals += !there;
    }
    run_to_the_end();
    ck_assert_uint_gt(moves, 0);
    ck_assert_uint_eq(renewals, 1);
    ck_assert_uint_eq(vl_query_bytes(moving), 0);
    ck_assert_uint_eq(vl_query_bytes(moved), AFTER);
    ck_assert_int_eq(*(char *)moved, 42);
}
END_TEST

/* Who asks sees a big block's record before it is changed or after. */
START_TEST(f_question_waits_for_a_record_that_is_changed)
{
    asked = take_big(BEFORE);
    struct vl_big_heap *heap = &vl_big_heaps[vl_slice_of(asked)->number];
    struct vl_extent *extent = &heap->extents.table[0];
    vl_lock(&heap->lock);
    size_t bytes = extent->bytes;
    extent->bytes = 12345;
    run_until(ask, 1 << AT_WAIT);
    extent->bytes = bytes;
    vl_unlock(&heap->lock);
    ck_assert_uint_eq(bytes, BEFORE);
    run_to_the_end();
    ck_assert_uint_eq(answer, BEFORE);
}
END_TEST

/* --- h. A fork, while another thread waits for readers --- */

static void retire_and_wait(void)
{
    vl_place_retire(true);
}

static sem_t inside, leave;

static void *stay_inside(void *unused)
{
    enum vl_rcu_section section = vl_rcu_read();
    sem_post(&inside);
    sem_wait(&leave);
    vl_rcu_done(section);
    return unused;
}

/* The reader will never leave in the child, nor will the one who waits for it give anything back. */
START_TEST(h_child_waits_for_no_thread_of_its_parent)
{
    pthread_t reader;
#ifndef HAVE_LIBURCU
    if (_i == 1)
        return;
#endif
    library_there = _i == 1;
    if (library_there)
        vl_rcu_load();
    fill_first_slice();
    empty_slices();
    sem_init(&inside, 0, 0);
    sem_init(&leave, 0, 0);
    ck_assert_int_eq(pthread_create(&reader, NULL, stay_inside, NULL), 0);
    sem_wait(&inside);
    run_until(retire_and_wait, 1 << AT_YIELD | 1 << AT_SYNCHRONIZE);
    ck_assert_int_eq(stopper.where, library_there ? AT_SYNCHRONIZE : AT_YIELD);
    pid_t child = fork();
    if (child == 0) {
        limit_child_time();
        vl_os = &vl_os_linux; /* whose patience ends */
        child_assert(vl_place_retire(true) > 4 * MB);
        child_assert(vl_alloc(SIZE) != NULL);
        _exit(0);
    }
    expect_success(child);
    sem_post(&leave);
    pthread_join(reader, NULL);
    run_to_the_end();
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("races");
    TCase *races = timed_case("races", 20);
    tcase_add_checked_fixture(races, set_up, NULL);
    tcase_add_test(races, b_cache_of_a_thread_that_ends_has_no_other_owner);
    tcase_add_test(races, b_parked_cache_that_is_flushed_has_no_other_owner);
    tcase_add_test(races, b_cache_that_is_cleaned_has_no_other_owner);
    tcase_add_test(races, c_slice_stays_while_a_question_is_answered);
    tcase_add_loop_test(races, d_slice_stays_while_it_is_walked, 0, 2);
    tcase_add_test(races, d_span_that_was_made_anew_is_not_taken_for_the_former);
    tcase_add_test(races, e_slice_stays_while_it_is_purged);
    tcase_add_test(races, e_nothing_is_collapsed);
    tcase_add_test(races, f_moving_block_is_there_or_not);
    tcase_add_test(races, f_question_waits_for_a_record_that_is_changed);
    tcase_add_loop_test(races, h_child_waits_for_no_thread_of_its_parent, 0, 2);
    suite_add_tcase(suite, races);
    return suite;
}
