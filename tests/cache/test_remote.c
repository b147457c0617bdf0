/*
 * Blocks between nodes: where they come from, how they get home from other nodes' threads, what is
 * bounded on the way, and how a thread that has moved finds a new home.
 */
#include "tests/world.h"

enum { NODES = 8 };

static void *nothing;

static void set_up(void)
{
    begin_world(NODES);
}

static uint64_t objects_out(unsigned node, unsigned class)
{
    const struct vl_central *central = &vl_node_heaps[node].classes[class].central;
    return (uint64_t)central->spans * vl_size_classes[class].objects - central->objects_free;
}

static uint32_t regions_made(void)
{
    struct vl_stats stats = stats_now();
    return (uint32_t)(stats.regions_active + stats.regions_empty + stats.regions_clean);
}

/* --- A batch of blocks that threads take and free --- */

struct batch {
    size_t size;
    unsigned count;
    void **blocks;
};

static void *take_batch(void *shared)
{
    const struct batch *batch = shared;
    for (unsigned i = 0; i < batch->count; i++) {
        batch->blocks[i] = vl_alloc(batch->size);
        memset(batch->blocks[i], 1, batch->size < 16 ? batch->size : 16);
    }
    return NULL;
}

static void *free_batch(void *shared)
{
    const struct batch *batch = shared;
    for (unsigned i = 0; i < batch->count; i++)
        vl_free(batch->blocks[i]);
    return NULL;
}

static void check_nodes(const struct batch *batch, unsigned node)
{
    for (unsigned i = 0; i < batch->count; i++)
        require(vl_slice_of(batch->blocks[i])->node == node);
}

/* --- Where blocks come from --- */

START_TEST(blocks_come_from_the_node_of_the_thread)
{
    static const size_t sizes[] = {
        1, 64, 1024, 1025, 30000, VL_SMALL_MAX, VL_SMALL_MAX + 1, VL_BIG_MIN - 1};
    void *blocks[20];
    unsigned node = (unsigned)_i;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct batch batch = {sizes[i], 20, blocks};
        run_on(node, take_batch, &batch);
        check_nodes(&batch, node);
    }
    ck_assert_uint_eq(count_slices(VL_SLICE_NODE), 1);
}
END_TEST

static void *take_aligned(void *unused)
{
    (void)unused;
    for (size_t align = 32; align <= VL_REGION_SIZE; align *= 2) {
        void *block = vl_alloc_aligned(align, 100);
        ck_assert(is_aligned(block, align));
        ck_assert_uint_eq(node_of(block), 5);
    }
    return NULL;
}

START_TEST(aligned_blocks_come_from_the_node_of_the_thread)
{
    run_on(5, take_aligned, nothing);
}
END_TEST

/* --- How they get home --- */

/* Twenty times to another node and back: the home node serves the same blocks again, and grows no
 * more. */
START_TEST(blocks_freed_elsewhere_are_used_again_at_home)
{
    enum { COUNT = 3000 };
    static void *blocks[COUNT];
    struct batch batch = {(size_t)_i, COUNT, blocks};
    unsigned class = vl_class_of_size(batch.size);
    uint32_t spans = 0, regions = 0;
    for (unsigned round = 0; round < 20; round++) {
        run_on(1, take_batch, &batch);
        check_nodes(&batch, 1);
        run_on(2 + round % 3, free_batch, &batch);
        if (round == 2) {
            spans = vl_node_heaps[1].classes[class].central.spans;
            regions = regions_made();
        } else if (round > 2) {
            ck_assert_uint_le(vl_node_heaps[1].classes[class].central.spans, spans);
            ck_assert_uint_eq(regions_made(), regions);
        }
    }
    for (unsigned node = 2; node < NODES; node++)
        ck_assert_uint_eq(vl_node_heaps[node].classes[class].central.spans, 0);
}
END_TEST

START_TEST(exit_sends_what_is_in_the_outbox)
{
    void *blocks[30];
    struct batch batch = {64, 30, blocks};
    unsigned class = vl_class_of_size(64);
    run_on(1, take_batch, &batch);
    uint64_t out = objects_out(1, class);
    run_on(2, free_batch, &batch);
    ck_assert_uint_eq(objects_out(1, class), out - 30);
}
END_TEST

/* Nobody will ever fetch what is sent to node 1: all but an inbox's worth goes all the way. */
START_TEST(inbox_nobody_opens_stays_small)
{
    enum { COUNT = 100000, INBOX_OBJECTS_MAX = 4096 };
    static void *blocks[COUNT];
    struct batch batch = {64, COUNT, blocks};
    unsigned class = vl_class_of_size(64);
    run_on(1, take_batch, &batch);
    ck_assert_uint_ge(objects_out(1, class), COUNT);
    run_on(2, free_batch, &batch);
    ck_assert_uint_le(objects_out(1, class), INBOX_OBJECTS_MAX);
    uint32_t regions = regions_made();
    run_on(1, take_batch, &batch);
    ck_assert_uint_eq(regions_made(), regions);
}
END_TEST

/* A batch of blocks of all nodes and several classes, freed by one thread: each gets home. */
START_TEST(outbox_of_many_nodes_and_classes)
{
    enum { EACH = 500 };
    static void *blocks[NODES][2][EACH];
    static const size_t sizes[2] = {48, 3000};
    static void *mixed[NODES * 2 * EACH];
    unsigned at = 0;
    for (unsigned node = 0; node < NODES; node++)
        for (int i = 0; i < 2; i++)
            run_on(node, take_batch, &(struct batch){sizes[i], EACH, blocks[node][i]});
    for (unsigned i = 0; i < EACH; i++)
        for (unsigned node = 0; node < NODES; node++)
            for (int kind = 0; kind < 2; kind++)
                mixed[at++] = blocks[node][kind][i];
    run_on(3, free_batch, &(struct batch){0, at, mixed});
    vl_trim();
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(stats.small_blocks, 0);
    ck_assert_uint_eq(stats.cached_blocks, 0);
    ck_assert_uint_eq(stats.regions_active, 0);
}
END_TEST

/* --- What is counted of that --- */

static uint64_t freed(unsigned from, unsigned to)
{
    return vl_get(&vl_traffic[from].to[to].blocks);
}

static uint64_t batches(unsigned from, unsigned to)
{
    return vl_get(&vl_traffic[from].to[to].batches);
}

/* All that was ever freed on a node but `to`. */
static uint64_t freed_in_all_but(unsigned from, unsigned to)
{
    uint64_t blocks = 0;
    for (unsigned node = 0; node < VL_NODE_INDEX_MAX; node++)
        blocks += node != to ? freed(from, node) : 0;
    return blocks;
}

static uint64_t passed(void)
{
    uint64_t blocks = 0;
    for (uint32_t id = 1; id < vl_pool_end(&vl_cache_pool); id++)
        blocks += vl_get(&((struct vl_cache *)vl_pool_item(&vl_cache_pool, id))->passed_blocks);
    return blocks;
}

START_TEST(frees_on_another_node_are_counted)
{
    enum { COUNT = 1000 };
    void *blocks[COUNT];
    struct batch batch = {64, COUNT, blocks};
    run_on(1, take_batch, &batch);
    run_on(2, free_batch, &batch);
    ck_assert_uint_eq(freed(2, 1), COUNT);
    ck_assert_uint_eq(batches(2, 1), (COUNT + 62) / 63);
    ck_assert_uint_eq(freed_in_all_but(2, 1), 0);
    ck_assert_uint_eq(freed_in_all_but(1, 1), 0);
    ck_assert_uint_eq(passed(), 0);
}
END_TEST

START_TEST(frees_of_many_nodes_are_told_apart)
{
    enum { EACH = 100 };
    static void *blocks[NODES * EACH];
    static void *of_node[EACH];
    for (unsigned node = 0; node < NODES; node++) {
        run_on(node, take_batch, &(struct batch){48, EACH - node, of_node});
        for (unsigned i = 0; i < EACH - node; i++)
            blocks[i * NODES + node] = of_node[i];
    }
    run_on(3, free_batch, &(struct batch){0, NODES * EACH, blocks}); /* NULL where there is none */
    for (unsigned node = 0; node < NODES; node++) {
        ck_assert_uint_eq(freed(3, node), node == 3 ? 0 : EACH - node);
        ck_assert_uint_eq(batches(3, node) != 0, node != 3);
    }
}
END_TEST

/* What goes home by itself: objects too large for an outbox, and runs. */
START_TEST(frees_of_large_blocks_are_counted)
{
    static const size_t sizes[] = {4097, VL_SMALL_MAX, VL_SMALL_MAX + 1, VL_BIG_MIN - 1};
    void *blocks[5];
    for (unsigned i = 0; i < 4; i++) {
        run_on(1, take_batch, &(struct batch){sizes[i], 5, blocks});
        run_on(5, free_batch, &(struct batch){sizes[i], 5, blocks});
        ck_assert_uint_eq(freed(5, 1), 5 * (i + 1));
        ck_assert_uint_eq(batches(5, 1), 5 * (i + 1));
    }
    run_on(1, take_batch, &(struct batch){VL_BIG_MIN, 5, blocks});
    run_on(5, free_batch, &(struct batch){VL_BIG_MIN, 5, blocks});
    ck_assert_uint_eq(freed(5, 1), 20); /* they are of no node */
    ck_assert_uint_eq(freed_in_all_but(5, 1), 0);
    run_on(1, take_batch, &(struct batch){VL_SMALL_MAX + 1, 5, blocks});
    run_on(1, free_batch, &(struct batch){VL_SMALL_MAX + 1, 5, blocks});
    ck_assert_uint_eq(freed(1, 1), 5);
    ck_assert_uint_eq(freed_in_all_but(1, 1), 0);
}
END_TEST

static void *free_while_away(void *batch)
{
    take_batch(batch);
    move_to(5);
    return free_batch(batch);
}

/* Who is elsewhere for a moment has not moved. */
START_TEST(frees_are_of_the_home)
{
    static const size_t sizes[] = {5000, VL_SMALL_MAX + 1};
    void *blocks[3];
    for (unsigned i = 0; i < 2; i++)
        run_on(1, free_while_away, &(struct batch){sizes[i], 3, blocks});
    ck_assert_uint_eq(freed(1, 1), 3); /* runs */
    ck_assert_uint_eq(freed_in_all_but(5, NODES), 0);
}
END_TEST

static void *take_and_free(void *batch)
{
    take_batch(batch);
    return free_batch(batch);
}

/* But for those that the cache keeps; with what a refill had brought beside them. */
START_TEST(frees_at_home_are_passed_on)
{
    enum { COUNT = 10000, KEPT_MAX = 2 * 63 };
    static void *blocks[COUNT];
    run_on(1, take_and_free, &(struct batch){64, COUNT, blocks});
    ck_assert_uint_eq(freed_in_all_but(1, NODES), 0);
    ck_assert_uint_le(passed(), COUNT + 63);
    ck_assert_uint_ge(passed(), COUNT - KEPT_MAX);
}
END_TEST

static void *take_flush_and_move(void *blocks)
{
    take_batch(&(struct batch){64, 3, blocks});
    vl_cache_flush(vl_cache_self);
    take_batch(&(struct batch){64, 3, blocks});
    move_to(2);
    for (size_t size = 1000; size < 10000; size += 500)
        vl_alloc(size);
    ck_assert_uint_eq(vl_cache_self->node, 2);
    return NULL;
}

/* A cache also gives back what the program has never had. */
START_TEST(flush_is_no_free)
{
    void *blocks[3];
    run_on(1, take_flush_and_move, blocks);
    vl_trim();
    ck_assert_uint_eq(passed(), 0);
}
END_TEST

START_TEST(one_node_counts_nothing)
{
    enum { COUNT = 10000 };
    static void *blocks[COUNT];
    begin_world(1);
    run_on(0, take_batch, &(struct batch){64, COUNT, blocks});
    run_on(5, free_batch, &(struct batch){64, COUNT, blocks});
    run_on(0, take_batch, &(struct batch){VL_SMALL_MAX + 1, 5, blocks});
    run_on(5, free_batch, &(struct batch){VL_SMALL_MAX + 1, 5, blocks});
    ck_assert_uint_eq(freed_in_all_but(0, NODES), 0);
    ck_assert_uint_eq(passed(), 0);
}
END_TEST

/* --- Free-only threads --- */

enum { FLOW = 1000 };
static pthread_barrier_t turn;
static void *flow[FLOW];
static size_t flow_rounds;

static struct {
    uint32_t regions, magazines, caches;
} early, late;

static void *only_free(void *unused)
{
    (void)unused;
    for (size_t round = 0; round < flow_rounds; round++) {
        pthread_barrier_wait(&turn);
        for (unsigned i = 0; i < FLOW; i++)
            vl_free(flow[i]);
        pthread_barrier_wait(&turn);
    }
    return NULL;
}

static void note_growth(size_t round)
{
    if (round == flow_rounds / 10) {
        early.regions = regions_made();
        early.magazines = vl_pool_end(&vl_magazine_pool);
        early.caches = vl_pool_end(&vl_cache_pool);
    }
    late.regions = regions_made();
    late.magazines = vl_pool_end(&vl_magazine_pool);
    late.caches = vl_pool_end(&vl_cache_pool);
}

static void *only_allocate(void *unused)
{
    (void)unused;
    for (size_t round = 0; round < flow_rounds; round++) {
        for (unsigned i = 0; i < FLOW; i++)
            flow[i] = vl_alloc(64);
        pthread_barrier_wait(&turn);
        pthread_barrier_wait(&turn);
        note_growth(round);
    }
    return NULL;
}

static void *flow_side(void *number)
{
    return number == NULL ? only_allocate(NULL) : only_free(NULL);
}

/* One thread allocates, on node 0, another frees, on the same node or on another: after the first
 * tenth nothing grows any more, neither the heap nor what the blocks travel in. */
START_TEST(free_only_thread_does_not_grow)
{
    unsigned nodes = (unsigned)_i;
    flow_rounds = scaled(1000);
    begin_bare_world(NODES);
    pthread_barrier_init(&turn, NULL, 2);
    run_together(2, nodes, flow_side);
    ck_assert_uint_eq(late.regions, early.regions);
    ck_assert_uint_eq(late.caches, early.caches);
    ck_assert_msg(late.magazines <= early.magazines + 64,
                  "%u magazines after a tenth of the way, %u at its end", early.magazines,
                  late.magazines);
}
END_TEST

/* --- Moving --- */

static size_t next_size;

/* A block of a class not used before: one slow path. */
static unsigned node_of_slow_path(void)
{
    next_size += 16;
    return node_of(vl_alloc(next_size));
}

static void *move_for_good(void *unused)
{
    (void)unused;
    ck_assert_uint_eq(node_of_slow_path(), 0);
    void *before = vl_alloc(16);
    move_to(3);
    unsigned slow_paths = 0;
    while (node_of_slow_path() != 3)
        ck_assert_uint_lt(++slow_paths, 10);
    ck_assert_uint_eq(slow_paths, 2); /* the third goes there */
    ck_assert_uint_eq(vl_cache_self->node, 3);
    for (int i = 0; i < 200; i++)
        require(node_of(vl_alloc(16)) == 3); /* nothing of before is left in the magazines */
    vl_free(before);
    return NULL;
}

START_TEST(thread_that_has_moved_follows)
{
    run_on(0, move_for_good, nothing);
    ck_assert_uint_eq(vl_parking_count(3), 1);
    ck_assert_uint_eq(vl_parking_count(0), 0);
    ck_assert_uint_eq(vl_get(&vl_traffic[3].rehomed), 1);
    ck_assert_uint_eq(vl_get(&vl_traffic[0].rehomed), 0);
}
END_TEST

static void *move_to_and_fro(void *unused)
{
    (void)unused;
    for (int i = 0; i < 15; i++) {
        move_to(0);
        ck_assert_uint_eq(node_of_slow_path(), 0);
        move_to(3);
        ck_assert_uint_eq(node_of_slow_path(), 0);
        ck_assert_uint_eq(node_of_slow_path(), 0);
    }
    return NULL;
}

START_TEST(thread_that_comes_back_stays)
{
    run_on(0, move_to_and_fro, nothing);
    ck_assert_uint_eq(count_slices(VL_SLICE_NODE), 1);
    ck_assert_uint_eq(vl_get(&vl_traffic[3].rehomed), 0);
}
END_TEST

/* Only its objects of before go home from the new place; contents stay what they are. */
static void *move_and_free(void *unused)
{
    enum { COUNT = 500 };
    static void *blocks[COUNT];
    (void)unused;
    for (unsigned i = 0; i < COUNT; i++) {
        if (i == COUNT / 2)
            move_to(6);
        blocks[i] = vl_alloc(16 + i * 4);
        pattern_fill(blocks[i], 16 + i * 4, i);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(pattern_damage(blocks[i], 16 + i * 4, i), 16 + i * 4);
        vl_free(blocks[i]);
    }
    return NULL;
}

START_TEST(moving_loses_nothing)
{
    run_on(0, move_and_free, nothing);
    vl_trim();
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
    ck_assert_uint_eq(stats.regions_active, 0);
}
END_TEST

/* A home that cannot be made: its threads live on another's memory, and give it back there. */
static void *live_in_exile(void *unused)
{
    void *blocks[200];
    (void)unused;
    for (unsigned i = 0; i < 200; i++) {
        blocks[i] = vl_alloc(100);
        require(vl_slice_of(blocks[i])->node == 0);
        pattern_fill(blocks[i], 100, i);
    }
    for (unsigned i = 0; i < 200; i++) {
        require(pattern_damage(blocks[i], 100, i) == 100);
        vl_free(blocks[i]);
    }
    return NULL;
}

START_TEST(thread_without_a_home_works)
{
    ck_assert_ptr_nonnull(vl_place_home(0));
    vl_free(vl_alloc(1));
    fake_os_fail_from(FAKE_RESERVE, 1, ENOMEM);
    for (int i = 0; i < 5; i++)
        run_on(4, live_in_exile, nothing);
    ck_assert_uint_gt(vl_get(&vl_traffic[4].fallbacks), 0);
    ck_assert_uint_eq(vl_get(&vl_traffic[0].fallbacks), 0);
    uint64_t fallbacks = vl_get(&vl_traffic[4].fallbacks);
    run_on(4, take_batch, &(struct batch){VL_SMALL_MAX + 1, 1, &(void *){NULL}});
    ck_assert_uint_eq(vl_get(&vl_traffic[4].fallbacks), fallbacks + 1);
    ck_assert_uint_eq(freed(4, 0), 5 * 200);
    vl_trim();
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), VL_SMALL_MAX + VL_PAGE_SIZE);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/remote");

    TCase *origin = tcase_create("origin");
    tcase_add_checked_fixture(origin, set_up, NULL);
    tcase_add_loop_test(origin, blocks_come_from_the_node_of_the_thread, 0, NODES);
    tcase_add_test(origin, aligned_blocks_come_from_the_node_of_the_thread);
    suite_add_tcase(suite, origin);

    TCase *home = timed_case("home", 20);
    tcase_add_checked_fixture(home, set_up, NULL);
    tcase_add_loop_test(home, blocks_freed_elsewhere_are_used_again_at_home, 63, 65);
    tcase_add_loop_test(home, blocks_freed_elsewhere_are_used_again_at_home, 2000, 2001);
    tcase_add_test(home, exit_sends_what_is_in_the_outbox);
    tcase_add_test(home, inbox_nobody_opens_stays_small);
    tcase_add_test(home, outbox_of_many_nodes_and_classes);
    suite_add_tcase(suite, home);

    TCase *counts = tcase_create("counts");
    tcase_add_checked_fixture(counts, set_up, NULL);
    tcase_add_test(counts, frees_on_another_node_are_counted);
    tcase_add_test(counts, frees_of_many_nodes_are_told_apart);
    tcase_add_test(counts, frees_of_large_blocks_are_counted);
    tcase_add_test(counts, frees_are_of_the_home);
    tcase_add_test(counts, frees_at_home_are_passed_on);
    tcase_add_test(counts, flush_is_no_free);
    suite_add_tcase(suite, counts);

    TCase *one = tcase_create("one node");
    tcase_add_test(one, one_node_counts_nothing);
    suite_add_tcase(suite, one);

    TCase *flow_case = timed_case("flow", 30);
    tcase_add_loop_test(flow_case, free_only_thread_does_not_grow, 1, 3);
    suite_add_tcase(suite, flow_case);

    TCase *move = tcase_create("move");
    tcase_add_checked_fixture(move, set_up, NULL);
    tcase_add_test(move, thread_that_has_moved_follows);
    tcase_add_test(move, thread_that_comes_back_stays);
    tcase_add_test(move, moving_loses_nothing);
    tcase_add_test(move, thread_without_a_home_works);
    suite_add_tcase(suite, move);
    return suite;
}
