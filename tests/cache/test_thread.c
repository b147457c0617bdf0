/*
 * cache/thread: a cache's way from thread to thread, what it holds and may hold, what threads do that
 * are gone, and the fill modes.
 */
#include "tests/world.h"

static void *nothing;

static uint32_t caches_made(void)
{
    return vl_pool_end(&vl_cache_pool) - 1;
}

static enum vl_cache_state state_now(void)
{
    return vl_get(&vl_cache_self->state);
}

static void set_up(void)
{
    begin_world(1);
}

/* --- From birth to after death --- */

static pthread_key_t late_key;
static enum vl_cache_state state_at_birth, state_in_life, state_after;

/* Runs after the cache has been parked: its key is younger than the library's own. */
static void look_after_death(void *block)
{
    state_after = state_now();
    vl_free(block);
    block = vl_alloc(200);
    memset(block, 1, 200);
    vl_free(block);
    vl_free(vl_alloc((size_t)300 << 10));
    vl_free(vl_alloc((size_t)2 << 20));
}

static void *live_and_die(void *unused)
{
    (void)unused;
    state_at_birth = state_now();
    void *block = vl_alloc(100);
    state_in_life = state_now();
    pthread_setspecific(late_key, block);
    return vl_cache_self;
}

START_TEST(states_of_a_life)
{
    ck_assert_int_eq(pthread_key_create(&late_key, look_after_death), 0);
    struct vl_cache *cache = run_on(0, live_and_die, nothing);
    ck_assert_int_eq(state_at_birth, VL_CACHE_START);
    ck_assert_int_eq(state_in_life, VL_CACHE_OWNED);
    ck_assert_int_eq(state_after, VL_CACHE_GONE);
    ck_assert_int_eq(cache->state, VL_CACHE_PARKED);
    ck_assert_int_eq(cache->inside, 0);
}
END_TEST

START_TEST(last_frees_borrow_and_leak_nothing)
{
    ck_assert_int_eq(pthread_key_create(&late_key, look_after_death), 0);
    run_on(0, live_and_die, nothing);
    uint32_t caches = caches_made(), magazines = vl_pool_end(&vl_magazine_pool);
    for (size_t i = 0; i < scaled(1000); i++)
        run_on(0, live_and_die, nothing);
    ck_assert_uint_eq(caches_made(), caches);
    ck_assert_uint_eq(vl_pool_end(&vl_magazine_pool), magazines);
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
}
END_TEST

/* A free, of all calls, as the first of a thread. */
static void *free_first(void *block)
{
    vl_free(NULL);
    vl_free(block);
    return vl_cache_self;
}

START_TEST(first_call_may_be_a_free)
{
    void *block = vl_alloc(100);
    ck_assert_ptr_ne(run_on(0, free_first, block), vl_cache_self);
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(stats.small_blocks, 0);
}
END_TEST

/* --- Adoption --- */

static void *use_cache(void *unused)
{
    (void)unused;
    vl_free(vl_alloc(100));
    return vl_cache_self;
}

START_TEST(cache_goes_to_the_next_on_its_node)
{
    begin_world(3);
    void *first = run_on(1, use_cache, nothing);
    void *elsewhere = run_on(2, use_cache, nothing);
    ck_assert_ptr_ne(first, elsewhere);
    for (int i = 0; i < 10; i++) {
        ck_assert_ptr_eq(run_on(1, use_cache, nothing), first);
        ck_assert_ptr_eq(run_on(2, use_cache, nothing), elsewhere);
    }
    ck_assert_uint_eq(caches_made(), 2);
}
END_TEST

static void *take_and_give_back(void *unused)
{
    void *block = vl_alloc(100);
    (void)unused;
    vl_free(block);
    return block;
}

/* What the last owner left in the magazines serves the next: the same block, and none from the
 * spans. */
START_TEST(adopted_cache_is_warm)
{
    const struct vl_central *central = &vl_node_heaps[0].classes[vl_class_of_size(100)].central;
    void *block = run_on(0, take_and_give_back, nothing);
    uint64_t objects_free = central->objects_free;
    for (int i = 0; i < 5; i++)
        ck_assert_ptr_eq(run_on(0, take_and_give_back, nothing), block);
    ck_assert_uint_eq(central->objects_free, objects_free);
}
END_TEST

static pthread_barrier_t all_alive;

static void *live_together(void *unused)
{
    (void)unused;
    vl_free(vl_alloc(100));
    pthread_barrier_wait(&all_alive);
    return NULL;
}

START_TEST(caches_are_bounded_by_live_threads)
{
    enum { THREADS = 8, NODES = 2 };
    begin_world(NODES);
    pthread_barrier_init(&all_alive, NULL, THREADS);
    for (int generation = 0; generation < 50; generation++) {
        run_together(THREADS, NODES, live_together);
        ck_assert_uint_eq(caches_made(), THREADS);
    }
}
END_TEST

/* --- What a cache holds --- */

static size_t held_by(const struct vl_cache *cache)
{
    size_t bytes = 0;
    for (unsigned class = 1; class < VL_CLASSES; class ++)
        bytes += vl_cache_count(cache, class) * (size_t)vl_size_classes[class].size;
    return bytes;
}

/* Three magazines' worth of blocks of every class, then all of them free: each class could fill its
 * two magazines. Beyond the budget, only the loaded ones may. */
START_TEST(budget_is_kept)
{
    enum { BLOCKS = 3 * VL_CLASSES * VL_MAGAZINE_CAPACITY_MAX };
    static void *blocks[BLOCKS];
    size_t count = 0, loaded_max = 0, held_max = 0;
    vl_options.thread_cache_bytes = 256 << 10;
    for (unsigned class = 1; class < VL_CLASSES; class ++) {
        const struct vl_size_class *c = &vl_size_classes[class];
        loaded_max += (size_t)c->size * c->capacity;
        for (unsigned i = 0; i < 3u * c->capacity; i++)
            blocks[count++] = vl_alloc(c->size);
    }
    while (count > 0) {
        vl_free(blocks[--count]);
        held_max = vl_max(held_max, held_by(vl_cache_self));
    }
    ck_assert_uint_gt(held_max, vl_options.thread_cache_bytes / 2);
    ck_assert_uint_le(held_max, vl_options.thread_cache_bytes + loaded_max);
    vl_cache_flush(vl_cache_self);
    ck_assert_uint_eq(held_by(vl_cache_self), 0);
}
END_TEST

/* So many slow paths, with small objects. */
static void pass_slow_paths(unsigned count)
{
    unsigned class = vl_class_of_size(16);
    while (count > 0) {
        count -= vl_cache_count(vl_cache_self, class) == 0;
        vl_alloc(16);
    }
}

/* What a refill brings, and a free puts into a magazine with room, no slow path of another class weighs: all
 * is weighed now and then. None of these is so large that it goes for that alone. */
START_TEST(budget_is_kept_of_what_comes_by_itself)
{
    vl_options.thread_cache_bytes = 256 << 10;
    for (unsigned class = vl_class_of_size(1024); class <= vl_class_of_size(4096); class ++)
        vl_free(vl_alloc(vl_size_classes[class].size));
    ck_assert_uint_gt(held_by(vl_cache_self), vl_options.thread_cache_bytes);
    pass_slow_paths(300);
    ck_assert_uint_le(held_by(vl_cache_self), vl_options.thread_cache_bytes);
}
END_TEST

/* Large objects that lie idle go, however little the cache holds; small ones stay. */
START_TEST(large_objects_are_not_kept_for_long)
{
    unsigned large = vl_class_of_size(8000), small = vl_class_of_size(4000);
    vl_free(vl_alloc(8000));
    vl_free(vl_alloc(4000));
    pass_slow_paths(600); /* they had a slow path each, before the first 256 were over */
    ck_assert_uint_eq(vl_cache_count(vl_cache_self, large), 0);
    ck_assert_uint_ne(vl_cache_count(vl_cache_self, small), 0);
}
END_TEST

/* Of a class that a thread frees and does not allocate, it keeps less than a magazine; one that
 * allocates, too, keeps the spare. */
START_TEST(consumers_keep_one_magazine)
{
    enum { BLOCKS = 6 * VL_MAGAZINE_CAPACITY_MAX };
    unsigned class = vl_class_of_size(64);
    void *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = vl_alloc(64);
    bool spare_kept = false;
    for (int i = 0; i < BLOCKS; i++) {
        vl_free(blocks[i]);
        unsigned held = vl_cache_count(vl_cache_self, class);
        spare_kept = spare_kept || held > VL_MAGAZINE_CAPACITY_MAX;
        ck_assert(i < 3 * VL_MAGAZINE_CAPACITY_MAX || held <= VL_MAGAZINE_CAPACITY_MAX);
    }
    ck_assert(spare_kept);
}
END_TEST

static void fill_and_empty(size_t size, unsigned count)
{
    void *blocks[1000];
    for (unsigned i = 0; i < count; i++)
        blocks[i] = vl_alloc(size);
    for (unsigned i = 0; i < count; i++)
        vl_free(blocks[i]);
}

/* Magazines let go are found again: waves of work make none beyond those of the first. */
START_TEST(magazines_are_used_again)
{
    uint32_t end = 0;
    for (int wave = 0; wave < 20; wave++) {
        for (unsigned class = 1; class <= vl_class_of_size(4096); class ++)
            fill_and_empty(vl_size_classes[class].size, 1000);
        vl_trim();
        if (wave == 0)
            end = vl_pool_end(&vl_magazine_pool);
        ck_assert_uint_eq(vl_pool_end(&vl_magazine_pool), end);
    }
}
END_TEST

/* A thread that asks for one object of a class is not given a whole magazine of them. */
START_TEST(refills_grow_with_demand)
{
    unsigned class = vl_class_of_size(64);
    unsigned before = 0, grown = 0;
    vl_alloc(64);
    unsigned first = vl_cache_count(vl_cache_self, class) + 1;
    ck_assert_uint_lt(first, vl_size_classes[class].capacity);
    for (int i = 0; i < 1000; i++) {
        before = vl_cache_count(vl_cache_self, class);
        vl_alloc(64);
        if (before == 0)
            grown = vl_cache_count(vl_cache_self, class) + 1;
    }
    ck_assert_uint_eq(grown, vl_size_classes[class].capacity);
}
END_TEST

/* Where no magazine can be made, objects come one by one from the spans, and go back there. */
START_TEST(works_without_magazines)
{
    unsigned class = vl_class_of_size(64);
    void *blocks[500];
    vl_alloc(1); /* a cache of its own */
    vl_cache_flush(vl_cache_self);
    vl_exchanges[0].empty.word = 0;
    uint32_t id_end = vl_magazine_pool.id_end;
    vl_magazine_pool.id_end = vl_pool_end(&vl_magazine_pool);
    for (unsigned i = 0; i < 500; i++) {
        blocks[i] = vl_alloc(64);
        ck_assert_ptr_nonnull(blocks[i]);
        pattern_fill(blocks[i], 64, i);
    }
    ck_assert(vl_magazine_is_null(vl_cache_self->top[class]));
    for (unsigned i = 0; i < 500; i++) {
        ck_assert_uint_eq(pattern_damage(blocks[i], 64, i), 64);
        vl_free(blocks[i]);
    }
    vl_magazine_pool.id_end = id_end;
    vl_free(vl_alloc(64));
    ck_assert(!vl_magazine_is_null(vl_cache_self->top[class]));
}
END_TEST

/* Where no cache can be made either, everything still works, straight from the spans. */
START_TEST(works_without_caches)
{
    static const size_t sizes[] = {1, 100, 5000, VL_SMALL_MAX, VL_SMALL_MAX + 1, VL_BIG_MIN};
    vl_cache_pool.id_end = 1;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *block = vl_alloc(sizes[i]);
        ck_assert_ptr_nonnull(block);
        pattern_fill(block, sizes[i], i);
        block = vl_resize(block, 2 * sizes[i]);
        ck_assert_uint_eq(pattern_damage(block, sizes[i], i), sizes[i]);
        vl_free(block);
    }
    ck_assert_int_eq(state_now(), VL_CACHE_START);
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
}
END_TEST

/* --- Fill modes --- */

static bool all_bytes(const unsigned char *block, size_t size, unsigned char byte)
{
    return size == 0 || (block[0] == byte && memcmp(block, block + 1, size - 1) == 0);
}

static const size_t fill_sizes[] = {
    1, 16, 17, 100, 1024, 1025, 5000, VL_SMALL_MAX, VL_SMALL_MAX + 1, 600000, VL_BIG_MIN, 5 << 20};
#define FILL_SIZES ((int)(sizeof fill_sizes / sizeof fill_sizes[0]))

/* Twice over, so that the second block is one that was used and freed. */
static void check_fresh_bytes(size_t size, unsigned char byte)
{
    for (int round = 0; round < 2; round++) {
        unsigned char *block = vl_alloc(size), *aligned = vl_alloc_aligned(4096, size);
        ck_assert(all_bytes(block, size, byte));
        ck_assert(all_bytes(aligned, size, byte));
        memset(block, 0x77, size);
        memset(aligned, 0x77, size);
        unsigned char *zeroed = vl_alloc_zeroed(1, size);
        ck_assert(all_bytes(zeroed, size, 0));
        vl_free(block);
        vl_free(aligned);
        vl_free(zeroed);
    }
}

START_TEST(junk_in_fresh_blocks)
{
    vl_options.fill_mode = VL_FILL_JUNK;
    check_fresh_bytes(fill_sizes[_i], 0xa5);
}
END_TEST

START_TEST(zeroes_in_fresh_blocks)
{
    vl_options.fill_mode = VL_FILL_ZERO;
    check_fresh_bytes(fill_sizes[_i], 0);
}
END_TEST

START_TEST(junk_in_freed_blocks)
{
    size_t size = fill_sizes[_i];
    vl_options.fill_mode = VL_FILL_JUNK;
    unsigned char *block = vl_alloc(size);
    memset(block, 0x77, size);
    vl_free(block);
    ck_assert(all_bytes(opaque(block), size, 0x5a));
}
END_TEST

START_TEST(filling_keeps_what_is_in_use)
{
    vl_options.fill_mode = VL_FILL_JUNK;
    size_t size = fill_sizes[_i];
    unsigned char *block = vl_alloc(size), *neighbour = vl_alloc(size);
    pattern_fill(block, size, 1);
    vl_free(neighbour);
    size_t have = vl_usable_size(block);
    block = vl_resize(block, size + 100000);
    ck_assert_uint_eq(pattern_damage(block, size, 1), size);
    if (have < size + 100000)
        ck_assert(all_bytes(block + have, size + 100000 - have, 0xa5));
    block = vl_resize(block, size);
    ck_assert_uint_eq(pattern_damage(block, size, 1), size);
    vl_free(block);
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/thread");

    TCase *life = timed_case("life", 20);
    tcase_add_checked_fixture(life, set_up, NULL);
    tcase_add_test(life, states_of_a_life);
    tcase_add_test(life, last_frees_borrow_and_leak_nothing);
    tcase_add_test(life, first_call_may_be_a_free);
    tcase_add_test(life, cache_goes_to_the_next_on_its_node);
    tcase_add_test(life, adopted_cache_is_warm);
    tcase_add_test(life, caches_are_bounded_by_live_threads);
    suite_add_tcase(suite, life);

    TCase *contents = timed_case("contents", 20);
    tcase_add_checked_fixture(contents, set_up, NULL);
    tcase_add_test(contents, budget_is_kept);
    tcase_add_test(contents, budget_is_kept_of_what_comes_by_itself);
    tcase_add_test(contents, large_objects_are_not_kept_for_long);
    tcase_add_test(contents, consumers_keep_one_magazine);
    tcase_add_test(contents, magazines_are_used_again);
    tcase_add_test(contents, refills_grow_with_demand);
    tcase_add_test(contents, works_without_magazines);
    tcase_add_test(contents, works_without_caches);
    suite_add_tcase(suite, contents);

    TCase *fill = tcase_create("fill");
    tcase_add_checked_fixture(fill, set_up, NULL);
    tcase_add_loop_test(fill, junk_in_fresh_blocks, 0, FILL_SIZES);
    tcase_add_loop_test(fill, zeroes_in_fresh_blocks, 0, FILL_SIZES);
    tcase_add_loop_test(fill, junk_in_freed_blocks, 0, FILL_SIZES);
    tcase_add_loop_test(fill, filling_keeps_what_is_in_use, 0, FILL_SIZES);
    suite_add_tcase(suite, fill);
    return suite;
}
