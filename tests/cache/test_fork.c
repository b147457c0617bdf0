/*
 * cache/fork: the child's heap, whatever other threads were in the middle of. First in this process,
 * with locks that nobody will release and lists full of rubbish; then with real forks.
 */
#include "tests/model.h"

#include <sys/wait.h>

/* --- Blocks in use while it happens --- */

enum { IN_USE = 2000, FREED = 3000, NODES = 2 };

static void *in_use[IN_USE];

/* A heap with blocks in use, of all sizes on both nodes, and free ones in every structure. */
static void *furnish(void *number)
{
    static void *freed[FREED];
    uint64_t state = test_seed() + (uintptr_t)number;
    unsigned half = IN_USE / NODES, first = (unsigned)(uintptr_t)number * half;
    for (unsigned i = 0; i < FREED; i++) {
        freed[i] = model_take(&state);
        if (i < half)
            in_use[first + i] = model_take(&state);
    }
    for (unsigned i = 0; i < FREED; i++)
        if (i % 7 != 0)
            model_give(freed[i]);
    for (unsigned i = 0; i < FREED; i += 7)
        model_give(freed[i]);
    return NULL;
}

/* All that was in use is whole while as much again is taken, so nothing is handed out twice. */
static void check_heap_works(void)
{
    static void *others[IN_USE];
    uint64_t state = test_seed() * 3;
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < IN_USE; i++) {
            model_give(others[i]);
            others[i] = model_take(&state);
            require(others[i] != NULL);
        }
        for (unsigned i = 0; i < IN_USE; i++)
            require(model_is_whole(in_use[i]));
    }
    for (unsigned i = 0; i < IN_USE; i++) {
        model_give(in_use[i]);
        model_give(others[i]);
    }
}

/* --- Torn structures --- */

enum { TEAR_CENTRALS = 1, TEAR_PAGES = 2, TEAR_BIG = 4 };

static void tear(void *structure, size_t size)
{
    memset(structure, 0x5a, size);
}

static void tear_centrals(void)
{
    for (unsigned node = 0; node < NODES; node++)
        for (unsigned class = 1; class < VL_CLASSES; class ++) {
            struct vl_central *central = &vl_node_heaps[node].classes[class].central;
            vl_set(&central->lock.word, class % 2 == 0 ? VL_LOCK_HELD : VL_LOCK_CONTENDED);
            for (unsigned list = 0; list < VL_SPAN_LISTS; list++)
                for (vl_span_id id = central->lists[list], next; id != 0; id = next) {
                    next = vl_span_record(id)->next;
                    tear(vl_span_record(id), offsetof(struct vl_span, bits));
                }
            tear(central->lists, sizeof central->lists);
            vl_set(&central->spans, 12345);
            vl_set(&central->objects_free, 12345);
        }
}

static void tear_page_heap(struct vl_page_heap *heap)
{
    vl_set(&heap->lock.word, VL_LOCK_HELD);
    tear(heap->active.occupied, sizeof heap->active.occupied);
    tear(heap->active.buckets, sizeof heap->active.buckets);
    tear(&heap->empty, sizeof heap->empty);
    tear(&heap->clean, sizeof heap->clean);
    vl_set(&heap->pages_used, 12345);
    vl_set(&heap->regions_active, 12345);
    for (uint32_t i = 0; i < heap->fresh; i++) {
        struct vl_region *region = vl_slice_unit(heap->slice, i);
        tear(&region->next, sizeof region->next + sizeof region->prev);
        tear(&region->pages_used, sizeof region->pages_used);
        tear(&region->free_run_max, sizeof region->free_run_max);
        tear(&region->run_count, sizeof region->run_count);
        tear(&region->bucket, sizeof region->bucket);
    }
}

static void tear_big_heap(struct vl_big_heap *heap)
{
    struct vl_extents *extents = &heap->extents;
    vl_set(&heap->lock.word, VL_LOCK_HELD);
    tear(&extents->dirty, sizeof extents->dirty);
    tear(&extents->clean, sizeof extents->clean);
    tear(&extents->oldest, sizeof extents->oldest);
    tear(&extents->newest, sizeof extents->newest);
}

static void tear_heaps(enum vl_slice_kind kind)
{
    for (uint32_t i = 0; i < vl_slice_count; i++)
        if (vl_slices[i].kind != kind)
            continue;
        else if (kind == VL_SLICE_NODE)
            tear_page_heap(&vl_page_heaps[i]);
        else
            tear_big_heap(&vl_big_heaps[i]);
}

START_TEST(torn_structures_are_made_whole)
{
    begin_bare_world(NODES);
    run_on(1, furnish, (void *)1);
    furnish((void *)0);
    if (_i & TEAR_CENTRALS)
        tear_centrals();
    if (_i & TEAR_PAGES)
        tear_heaps(VL_SLICE_NODE);
    if (_i & TEAR_BIG)
        tear_heaps(VL_SLICE_BIG);
    vl_fork_child();
    check_heap_works();
    vl_trim();
    ck_assert_uint_eq(stats_now().cached_blocks, 0);
    ck_assert_uint_eq(stats_now().small_blocks, 0);
    ck_assert_uint_eq(stats_now().run_bytes, 0);
    ck_assert_uint_eq(stats_now().big_blocks, 0);
}
END_TEST

/* Without anything torn, nothing changes. */
START_TEST(whole_structures_stay)
{
    begin_bare_world(NODES);
    run_on(1, furnish, (void *)1);
    furnish((void *)0);
    struct vl_stats before = stats_now();
    vl_fork_child();
    struct vl_stats after = stats_now();
    ck_assert_mem_eq(&before, &after, sizeof before);
    check_heap_works();
}
END_TEST

/* --- Caches of other threads --- */

static pthread_barrier_t both;

static void *hold_cache_forever(void *inside)
{
    vl_free(vl_alloc(100));
    vl_set(&vl_cache_self->inside, inside != NULL);
    pthread_barrier_wait(&both);
    for (;;)
        pause();
    return NULL;
}

/* The cache of a thread that was between two calls is parked in the child, and serves the next; that
 * of a thread inside of one may be torn and is left alone. */
START_TEST(child_parks_the_caches_of_others)
{
    pthread_t thread;
    bool inside = _i != 0;
    begin_bare_world(1);
    vl_free(vl_alloc(100));
    pthread_barrier_init(&both, NULL, 2);
    ck_assert_int_eq(
        pthread_create(&thread, NULL, hold_cache_forever, inside ? (void *)&both : NULL), 0);
    pthread_barrier_wait(&both);
    pid_t child = fork();
    if (child == 0) {
        limit_child_time();
        child_assert(vl_parking_count(0) == (inside ? 0 : 1));
        child_assert(vl_get(&vl_cache_self->state) == VL_CACHE_OWNED);
        vl_free(vl_alloc(100));
        vl_trim();
        _exit(0);
    }
    expect_success(child);
    ck_assert_uint_eq(vl_parking_count(0), 0);
}
END_TEST

/* --- A handler that comes before ours --- */

static void (*in_child)(void);

static void run_in_child(void)
{
    if (in_child != NULL)
        in_child();
}

/* Handlers of children run in the order they were registered in; ours is in a constructor, too. */
__attribute__((constructor(101))) static void register_first(void)
{
    pthread_atfork(NULL, NULL, run_in_child);
}

static void *hold_locks_forever(void *unused)
{
    vl_free(vl_alloc(100));
    vl_set(&vl_page_heaps[0].lock.word, VL_LOCK_HELD);
    vl_set(&vl_node_heaps[0].classes[vl_class_of_size(100)].central.lock.word, VL_LOCK_CONTENDED);
    pthread_barrier_wait(&both);
    for (;;)
        pause();
    return unused;
}

static void *heirloom;

static void allocate_before_our_handler(void)
{
    limit_child_time();
    for (size_t size = 1; size < 4 * VL_BIG_MIN; size += size / 2 + 1)
        vl_free(vl_alloc(size));
    vl_free(heirloom);
    heirloom = vl_alloc(100);
}

static void free_before_our_handler(void)
{
    limit_child_time();
    vl_free(heirloom);
    heirloom = vl_alloc(100);
}

static void (*const early_handlers[])(void) = {allocate_before_our_handler, free_before_our_handler};

START_TEST(child_handler_before_ours_may_allocate)
{
    pthread_t thread;
    begin_bare_world(1);
    heirloom = vl_alloc(VL_SMALL_MAX + 1);
    in_child = early_handlers[_i];
    pthread_barrier_init(&both, NULL, 2);
    ck_assert_int_eq(pthread_create(&thread, NULL, hold_locks_forever, NULL), 0);
    pthread_barrier_wait(&both);
    pid_t child = fork();
    if (child == 0) {
        void *kept = heirloom; /* our handler left in peace what the other had done */
        child_assert(vl_usable_size(kept) >= 100);
        child_assert(vl_alloc(100) != kept);
        vl_free(kept);
        vl_trim();
        _exit(0);
    }
    expect_success(child);
}
END_TEST

/* --- Real forks --- */

enum { ALLOCATORS = 8, CHILD_OPERATIONS = 1000, CHILD_BLOCKS = 64, HEIRLOOMS = 200 };

static _Atomic bool busy;

static void *allocate_busily(void *number)
{
    void *blocks[CHILD_BLOCKS] = {NULL};
    uint64_t state = test_seed() + (uintptr_t)number;
    while (vl_get(&busy))
        model_step(&blocks[random_next(&state) % CHILD_BLOCKS], &state);
    for (unsigned i = 0; i < CHILD_BLOCKS; i++)
        model_give(blocks[i]);
    return NULL;
}

/* Only our own functions: glibc's malloc has its own troubles in such a child. */
static _Noreturn void live_as_child(void *const *heirlooms, uint64_t seed)
{
    void *blocks[CHILD_BLOCKS] = {NULL};
    uint64_t state = seed + 1;
    limit_child_time();
    for (unsigned i = 0; i < CHILD_OPERATIONS; i++) {
        unsigned char *zeroed = vl_alloc_zeroed(1, 1 + i * 10);
        child_assert(zeroed != NULL && is_zero(zeroed, 1 + i * 10));
        void *aligned = vl_alloc_aligned(64, i);
        child_assert(is_aligned(aligned, 64));
        vl_free(aligned);
        vl_free(vl_resize(zeroed, i % 50 == 0 ? VL_BIG_MIN : 2 * i + 1));
        void **block = &blocks[random_next(&state) % CHILD_BLOCKS];
        child_assert(*block == NULL || model_is_whole(*block));
        vl_free(*block);
        size_t size = model_random_size(&state);
        *block = vl_alloc(size);
        child_assert(*block != NULL);
        model_fill(*block, size, i);
    }
    for (unsigned i = 0; i < HEIRLOOMS; i++) {
        child_assert(model_is_whole(heirlooms[i]));
        vl_free(heirlooms[i]);
    }
    vl_trim();
    _exit(0);
}

static void *fork_often(void *heirlooms_shared)
{
    void **heirlooms = heirlooms_shared;
    uint64_t state = test_seed();
    for (unsigned i = 0; i < HEIRLOOMS; i++)
        heirlooms[i] = model_take(&state);
    for (unsigned i = 0; i < scaled(100); i++) {
        pid_t child = fork();
        if (child == 0)
            live_as_child(heirlooms, i);
        expect_success(child);
        model_step(&heirlooms[i % HEIRLOOMS], &state);
        if (heirlooms[i % HEIRLOOMS] == NULL)
            heirlooms[i % HEIRLOOMS] = model_take(&state);
    }
    vl_set(&busy, false);
    return NULL;
}

static void *fork_or_allocate(void *number)
{
    static void *heirlooms[HEIRLOOMS];
    return number == NULL ? fork_often(heirlooms) : allocate_busily(number);
}

START_TEST(children_of_a_busy_process)
{
    begin_bare_world(1 + (unsigned)_i);
    model_size_max = 1 << 20; /* a fork copies the page tables of all that is touched */
    vl_set(&busy, true);
    run_together(ALLOCATORS + 1, 1 + (unsigned)_i, fork_or_allocate);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/fork");

    TCase *torn = timed_case("torn", 20);
    tcase_add_test(torn, whole_structures_stay);
    tcase_add_loop_test(torn, torn_structures_are_made_whole, 1, 8);
    tcase_add_loop_test(torn, child_parks_the_caches_of_others, 0, 2);
    tcase_add_loop_test(torn, child_handler_before_ours_may_allocate, 0, 2);
    suite_add_tcase(suite, torn);

    TCase *real = timed_case("real", 60);
    tcase_add_loop_test(real, children_of_a_busy_process, 0, 2);
    suite_add_tcase(suite, real);
    return suite;
}
