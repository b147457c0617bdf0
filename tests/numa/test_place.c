/*
 * numa/place: on which node and in which slice memory is found, what is tried when there is none, and
 * what is asked of the system for it.
 */
#include "tests/world.h"

#include <unistd.h>

enum { WHOLE = VL_REGION_PAGES };

/* Kernel numbers with gaps, so that a number taken for an index is noticed. */
static void begin_sparse_world(void)
{
    static const unsigned ids[] = {2, 5, 9};
    fake_os_install();
    fake_os_set_nodes(ids, 3);
    start_here();
    ck_assert_uint_eq(vl_topology.count, 3);
}

/* The node a run of `pages` was taken from, or -1. */
static int take_pages(unsigned node, unsigned pages)
{
    struct vl_run run;
    if (!vl_place_run(node, vl_wish_for(pages), &run))
        return -1;
    const struct vl_slice *slice = vl_slice_of(run.start);
    ck_assert_ptr_eq(slice, run.slice);
    ck_assert_int_eq(slice->kind, VL_SLICE_NODE);
    memset(run.start, 1, VL_PAGE_SIZE);
    return slice->node;
}

/* --- Slices of nodes --- */

START_TEST(slices_are_made_when_needed)
{
    begin_sparse_world();
    ck_assert_uint_eq(vl_slice_count, 0);
    ck_assert_int_eq(take_pages(1, 1), 1);
    ck_assert_uint_eq(vl_slice_count, 1);
    ck_assert_int_eq(take_pages(1, WHOLE), 1);
    ck_assert_uint_eq(vl_slice_count, 1);
    ck_assert_ptr_eq(vl_place_home(1), &vl_slices[0]);
    ck_assert_ptr_eq(vl_place_home(2), &vl_slices[1]);
    ck_assert_uint_eq(vl_slices[1].node, 2);
    ck_assert_int_eq(take_pages(2, 3), 2);
    ck_assert_int_eq(take_pages(0, 3), 0);
    ck_assert_uint_eq(vl_slice_count, 3);
}
END_TEST

/* The whole of a node's slice prefers the kernel's node of this number. */
START_TEST(slices_are_bound_to_their_node)
{
    static const unsigned ids[] = {2, 5, 9};
    begin_sparse_world();
    for (unsigned node = 0; node < 3; node++) {
        const struct vl_slice *slice = vl_place_home(node);
        char *start = (char *)slice->start;
        const struct fake_os_record *first = fake_os_last(FAKE_BIND, start);
        const struct fake_os_record *last = fake_os_last(FAKE_BIND, start + slice->size - 1);
        ck_assert_ptr_nonnull(first);
        ck_assert_ptr_eq(first, last);
        ck_assert_uint_eq(first->node, ids[node]);
        ck_assert_ptr_eq(fake_os_last(FAKE_BIND, slice->units), first);
    }
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 3);
}
END_TEST

START_TEST(refused_binding_does_no_harm)
{
    begin_sparse_world();
    fake_os_fail_from(FAKE_BIND, 1, EPERM);
    fake_os_fail_from(FAKE_ADVISE_HUGE, 1, EINVAL);
    fake_os_fail_from(FAKE_ADVISE_SMALL, 1, EINVAL);
    for (int node = 0; node < 3; node++)
        ck_assert_int_eq(take_pages((unsigned)node, 4), node);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 3);
}
END_TEST

START_TEST(nothing_is_bound_on_one_node)
{
    begin_world(1);
    bool zeroed;
    ck_assert_int_eq(take_pages(0, 1), 0);
    ck_assert_ptr_nonnull(vl_place_big(VL_BIG_MIN, 1, NULL, &zeroed));
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 0);
}
END_TEST

static void install_with_policy(void)
{
    fake_os_install();
    fake_os_set_policy_chosen(true);
}

static void install_with_numa_off(void)
{
    fake_os_install();
    vl_options.numa_mode = VL_NUMA_OFF;
}

static void install_with_failing_probe(void)
{
    fake_os_install();
    fake_os_fail_from(FAKE_ALLOWED_NODES, 1, EPERM);
}

static void (*const single_node_worlds[])(void) = {install_with_policy, install_with_numa_off,
                                                   install_with_failing_probe};

START_TEST(nothing_is_bound_where_nobody_wants_it)
{
    single_node_worlds[_i]();
    start_here();
    ck_assert_uint_eq(vl_topology.count, 1);
    ck_assert_int_eq(take_pages(0, 1), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_WHERE), 0);
}
END_TEST

/* --- When there is none --- */

START_TEST(node_without_address_space_uses_the_nearest)
{
    begin_world(4);
    ck_assert_int_eq(take_pages(0, 1), 0);
    ck_assert_int_eq(take_pages(3, 1), 3);
    fake_os_fail_from(FAKE_RESERVE, 1, ENOMEM);
    ck_assert_ptr_null(vl_place_home(2));
    ck_assert_int_eq(take_pages(2, 1), 3); /* nearer to 2 than 0 is */
    ck_assert_int_eq(take_pages(1, 1), 0);
    fake_os_heal();
    ck_assert_int_eq(take_pages(2, 1), 2);
    ck_assert_ptr_nonnull(vl_place_home(1));
}
END_TEST

/* Memory runs out: all that is left is used, own node first, then by distance; then nothing. */
START_TEST(node_without_memory_uses_all_others_by_distance)
{
    static const unsigned order[] = {2, 1, 3, 0}; /* from 2; 1 and 3 are equally near */
    begin_world(4);
    for (unsigned node = 0; node < 4; node++)
        ck_assert_int_eq(take_pages(node, 1), node);
    fake_os_fail_from(FAKE_PROTECT, 1, ENOMEM);
    unsigned at = 0, found[4] = {0};
    for (int node; (node = take_pages(2, WHOLE)) >= 0;) {
        while (at < 4 && order[at] != (unsigned)node)
            at++;
        ck_assert_uint_lt(at, 4);
        found[at]++;
    }
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_gt(found[i], 0);
    fake_os_heal();
    ck_assert_int_eq(take_pages(2, WHOLE), 2);
}
END_TEST

/* What is short is memory: another slice would be of no use, and none is made. */
START_TEST(no_slice_is_made_for_want_of_memory)
{
    begin_world(2);
    ck_assert_int_eq(take_pages(0, 1), 0);
    fake_os_fail_from(FAKE_PROTECT, 1, ENOMEM);
    while (take_pages(0, WHOLE) >= 0) {
    }
    ck_assert_uint_eq(count_slices(VL_SLICE_NODE), 1);
}
END_TEST

START_TEST(full_slice_is_followed_by_another)
{
    enum { REGIONS = 20 };
    vl_options.va_reserve_bytes = 4 << 20;
    begin_world(2);
    for (int i = 0; i < REGIONS; i++)
        ck_assert_int_eq(take_pages(1, WHOLE), 1);
    ck_assert_uint_eq(count_slices(VL_SLICE_NODE), REGIONS / 2);
    ck_assert_ptr_eq(vl_place_home(1), &vl_slices[0]);
    ck_assert_uint_eq(vl_slices[0].size, 4 << 20);
}
END_TEST

/* ulimit -v: slices shrink to what there is, and nearly all of that can be had. */
START_TEST(short_address_space_is_used_in_small_slices)
{
    static const uint64_t limits[] = {64 << 20, 256 << 20, (uint64_t)2 << 30};
    uint64_t limit = limits[_i], taken = 0;
    fake_os_install();
    fake_os_set_address_limit(limit);
    start_here();
    unsigned nodes = vl_topology.count;
    ck_assert_uint_eq(nodes, 8);
    for (unsigned i = 0; take_pages(i % 2, WHOLE) >= 0; i++)
        taken += VL_REGION_SIZE;
    ck_assert_uint_ge(taken, limit / 2);
    ck_assert_uint_le(fake_os_reserved(), limit);
    ck_assert_uint_gt(count_slices(VL_SLICE_NODE), 1);
}
END_TEST

/* --- Many at a time --- */

static const struct vl_os *os_below;

/* Long enough for the other threads to come here as well. */
static void *reserve_slowly(size_t size)
{
    usleep(20 * 1000);
    return os_below->reserve(size);
}

static _Atomic unsigned yields;

static void count_yield(void)
{
    vl_add(&yields, 1);
    os_below->yield();
}

static struct vl_slice *homes[TOGETHER_MAX];

static void *find_home(void *number)
{
    homes[(uintptr_t)number] = vl_place_home(1);
    return NULL;
}

/* Terabytes each on a large machine: with one for every thread there is no room for all. */
START_TEST(one_home_for_all_threads)
{
    static struct vl_os slow_os;
    begin_bare_world(2);
    os_below = vl_os;
    slow_os = *vl_os;
    slow_os.reserve = reserve_slowly;
    slow_os.yield = count_yield;
    vl_os = &slow_os;
    run_together(8, 2, find_home);
    for (int i = 0; i < 8; i++)
        ck_assert_ptr_eq(homes[i], homes[0]);
    ck_assert_uint_eq(count_slices(VL_SLICE_NODE), 1);
    ck_assert_uint_eq(yields, 0); /* a waiter of a real-time class would starve the maker */
}
END_TEST

static void *take_interleaved(void *number)
{
    bool zeroed;
    homes[(uintptr_t)number] =
        vl_slice_of(vl_place_big_at(VL_PLACE_EVENLY, VL_BIG_MIN, 1, NULL, &zeroed));
    return NULL;
}

START_TEST(one_placed_slice_for_all_threads)
{
    static struct vl_os slow_os;
    begin_bare_world(2);
    os_below = vl_os;
    slow_os = *vl_os;
    slow_os.reserve = reserve_slowly;
    vl_os = &slow_os;
    run_together(8, 2, take_interleaved);
    for (int i = 0; i < 8; i++)
        ck_assert_ptr_eq(homes[i], homes[0]);
    ck_assert_uint_eq(count_slices(VL_SLICE_PLACED), 1);
    ck_assert_uint_eq(vl_place_use_at(VL_PLACE_EVENLY).blocks, 8);
}
END_TEST

/* --- Big blocks --- */

START_TEST(big_blocks_are_bound_to_no_node)
{
    bool zeroed;
    begin_world(4);
    char *block = vl_place_big(10 << 20, 1, NULL, &zeroed);
    ck_assert_ptr_nonnull(block);
    ck_assert(zeroed);
    ck_assert_int_eq(vl_slice_of(block)->kind, VL_SLICE_BIG);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 0);
    ck_assert_uint_eq(count_slices(VL_SLICE_NODE), 0);
}
END_TEST

START_TEST(big_block_larger_than_any_slice_gets_its_own)
{
    bool zeroed;
    fake_os_install();
    fake_os_set_address_limit(256 << 20);
    start_here();
    ck_assert_ptr_nonnull(vl_place_big(VL_BIG_MIN, 1, NULL, &zeroed));
    char *block = vl_place_big(100 << 20, VL_REGION_SIZE, NULL, &zeroed);
    ck_assert_ptr_nonnull(block);
    ck_assert(is_aligned(block, VL_REGION_SIZE));
    block[0] = block[(100 << 20) - 1] = 1;
    ck_assert_ptr_null(vl_place_big(300 << 20, 1, NULL, &zeroed));
    ck_assert_ptr_nonnull(vl_place_big(VL_BIG_MIN, 1, NULL, &zeroed));
}
END_TEST

/* Where address space is short, slices of which nothing is in use make room for others. */
START_TEST(idle_slices_make_room)
{
    enum { LIMIT = 256 << 20 };
    bool zeroed;
    fake_os_install();
    fake_os_set_address_limit(LIMIT);
    start_here();
    for (int round = 0; round < 20; round++) {
        void *block = vl_place_big((unsigned)(LIMIT / 4 + (round << 20)), 1, NULL, &zeroed);
        ck_assert_msg(block != NULL, "no room for the block of round %d", round);
        vl_large_give(vl_slice_of(block), block, "free");
    }
    for (uint64_t taken = 0; taken < LIMIT / 2; taken += VL_REGION_SIZE)
        ck_assert_int_eq(take_pages(0, WHOLE), 0);
    ck_assert_uint_le(fake_os_reserved(), LIMIT);
}
END_TEST

/* --- Big blocks that have a place --- */

static struct vl_slice *take_at(unsigned place, size_t bytes)
{
    bool zeroed;
    char *block = vl_place_big_at(place, bytes, 1, NULL, &zeroed);
    ck_assert_ptr_nonnull(block);
    block[0] = block[bytes - 1] = 1;
    return vl_slice_of(block);
}

/* One call for all blocks of a node, ever. */
START_TEST(placed_slice_is_bound_once)
{
    begin_sparse_world();
    const struct vl_slice *slice = take_at(5, 3 << 20);
    ck_assert_int_eq(slice->kind, VL_SLICE_PLACED);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 1);
    const struct fake_os_record *record = fake_os_last(FAKE_BIND, (void *)slice->start);
    ck_assert_uint_eq(record->node, 5);
    ck_assert_ptr_eq(fake_os_last(FAKE_BIND, (char *)slice->start + slice->size - 1), record);
    for (unsigned i = 0; i < 20; i++)
        ck_assert_ptr_eq(take_at(5, VL_BIG_MIN << i % 4), slice);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 1);
    ck_assert_uint_eq(fake_os_count(FAKE_SPREAD), 0);
    ck_assert_uint_eq(vl_slice_count, 1);
}
END_TEST

START_TEST(spread_slice_is_spread_once)
{
    static const enum vl_spread hows[] = {VL_SPREAD_EVENLY, VL_SPREAD_WEIGHTED};
    begin_sparse_world();
    const struct vl_slice *slice = take_at(VL_PLACE_EVENLY + (unsigned)_i, 3 << 20);
    for (unsigned i = 0; i < 20; i++)
        ck_assert_ptr_eq(take_at(VL_PLACE_EVENLY + (unsigned)_i, VL_BIG_MIN << i % 4), slice);
    const struct fake_os_record *record = fake_os_last(FAKE_SPREAD, (void *)slice->start);
    ck_assert_uint_eq(record->nodes, 1 << 2 | 1 << 5 | 1 << 9);
    ck_assert_int_eq(record->how, hows[_i]);
    ck_assert_ptr_eq(fake_os_last(FAKE_SPREAD, (char *)slice->start + slice->size - 1), record);
    ck_assert_uint_eq(fake_os_count(FAKE_SPREAD), 1);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 0);
}
END_TEST

static const unsigned places[] = {2, 5, 9, VL_PLACE_EVENLY, VL_PLACE_WEIGHTED, VL_PLACE_ANYWHERE};
enum { PLACES = sizeof places / sizeof places[0] };

/* No block of one place comes from the slices of another, new or kept. */
START_TEST(places_keep_apart)
{
    const struct vl_slice *slices[PLACES];
    begin_sparse_world();
    for (unsigned i = 0; i < PLACES; i++) {
        slices[i] = take_at(places[i], 3 << 20);
        for (unsigned other = 0; other < i; other++)
            ck_assert_ptr_ne(slices[i], slices[other]);
    }
    ck_assert_int_eq(slices[PLACES - 1]->kind, VL_SLICE_BIG);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < PLACES; i++) {
            bool zeroed;
            void *block = vl_place_big_at(places[i], 3 << 20, 1, NULL, &zeroed);
            ck_assert_ptr_eq(vl_slice_of(block), slices[i]);
            vl_large_give(slices[i], block, "free");
        }
    ck_assert_uint_eq(vl_slice_count, PLACES);
}
END_TEST

/* All that a place keeps is where it should be, whatever block it was of. First touch decides anew. */
START_TEST(kept_memory_of_a_place_serves_any_size)
{
    begin_sparse_world();
    for (unsigned i = 0; i < PLACES; i++) {
        bool zeroed;
        void *block = vl_place_big_at(places[i], 8 << 20, 1, NULL, &zeroed);
        vl_large_give(vl_slice_of(block), block, "free");
        vl_place_big_at(places[i], 4 << 20, 1, NULL, &zeroed);
        ck_assert_int_eq(zeroed, places[i] == VL_PLACE_ANYWHERE);
    }
}
END_TEST

START_TEST(refused_places_are_ordinary_memory)
{
    begin_sparse_world();
    fake_os_fail_from(FAKE_BIND, 1, EPERM);
    fake_os_fail_from(FAKE_SPREAD, 1, ENOSYS);
    for (unsigned i = 0; i < PLACES; i++)
        take_at(places[i], 3 << 20);
    ck_assert_uint_eq(vl_get(&vl_slice_refusals), PLACES - 1);
}
END_TEST

/* Where a place can have no slice, the others still have room. */
START_TEST(place_without_address_space_uses_first_touch)
{
    begin_sparse_world();
    const struct vl_slice *slice = take_at(VL_PLACE_ANYWHERE, 3 << 20);
    fake_os_fail_from(FAKE_RESERVE, 1, ENOMEM);
    ck_assert_ptr_eq(take_at(9, 3 << 20), slice);
    ck_assert_ptr_eq(take_at(VL_PLACE_EVENLY, 3 << 20), slice);
    fake_os_heal();
    ck_assert_uint_eq(take_at(9, 3 << 20)->bind_node, 9);
}
END_TEST

START_TEST(full_place_gets_another_slice)
{
    static const unsigned ids[] = {0, 1};
    fake_os_install();
    fake_os_set_nodes(ids, 2);
    fake_os_set_address_limit(256 << 20);
    start_here();
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(take_at(1, 10 << 20)->bind_node, 1);
    ck_assert_uint_gt(count_slices(VL_SLICE_PLACED), 2);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), count_slices(VL_SLICE_PLACED));
}
END_TEST

START_TEST(idle_place_is_taken_away_and_made_again)
{
    bool zeroed;
    begin_sparse_world();
    take_at(VL_PLACE_ANYWHERE, VL_BIG_MIN);
    for (unsigned round = 0; round < 3; round++) {
        unsigned node = round % 2 == 0 ? 5 : 9;
        void *block = vl_place_big_at(node, VL_BIG_MIN, 1, NULL, &zeroed);
        void *other = vl_place_big_at(14 - node, VL_BIG_MIN, 1, NULL, &zeroed);
        ck_assert_uint_eq(fake_os_last(FAKE_BIND, block)->node, node);
        ck_assert_uint_eq(fake_os_last(FAKE_BIND, other)->node, 14 - node);
        ck_assert_uint_eq(vl_slice_of(block)->bind_node, node);
        ck_assert_uint_eq(vl_slice_count, 3);
        vl_large_give(vl_slice_of(block), block, "free");
        vl_large_give(vl_slice_of(other), other, "free");
        ck_assert_uint_gt(vl_place_retire(true), 0);
        ck_assert_ptr_null(vl_slice_of(block));
    }
    /* None is made for the place whose number comes first. */
    unsigned made = fake_os_count(FAKE_RESERVE);
    take_at(9, VL_BIG_MIN);
    ck_assert_uint_eq(fake_os_count(FAKE_RESERVE), made + 1);
}
END_TEST

/* What lies where another slice was is given back to the heap it is of. */
START_TEST(block_of_an_object_where_another_slice_was)
{
    bool zeroed;
    static const unsigned ids[] = {0, 1};
    struct vl_holding holding = {.node = -1, .pages_max = UINT64_MAX};
    fake_os_install();
    fake_os_set_nodes(ids, 2);
    fake_os_set_address_limit(256 << 20); /* small slices, which fit where another was */
    start_here();
    void *former = vl_place_big_at(1, VL_BIG_MIN, 1, NULL, &zeroed);
    const struct vl_slice *gone = vl_slice_of(former);
    vl_large_give(gone, former, "free");
    ck_assert_uint_gt(vl_place_retire(true), 0);
    char *block = vl_place_big(4 << 20, 1, &holding, &zeroed);
    ck_assert_ptr_nonnull(block);
    const struct vl_slice *slice = vl_slice_of(block);
    ck_assert_ptr_ne(slice, gone);
    ck_assert_ptr_eq(slice->tables, gone->tables);
    vl_place_dissolve(&holding);
    ck_assert_uint_eq(vl_big_heaps[slice->number].bytes_used, 0);
    ck_assert_uint_gt(vl_place_retire(true), 0);
}
END_TEST

START_TEST(use_of_places_is_told)
{
    begin_sparse_world();
    take_at(5, 3 << 20);
    take_at(5, 4 << 20);
    take_at(9, 5 << 20);
    take_at(VL_PLACE_ANYWHERE, 6 << 20);
    ck_assert_uint_eq(vl_place_use_at(5).bytes, 7 << 20);
    ck_assert_uint_eq(vl_place_use_at(5).blocks, 2);
    ck_assert_uint_eq(vl_place_use_at(9).blocks, 1);
    ck_assert_uint_eq(vl_place_use_at(2).blocks, 0);
    ck_assert_uint_eq(vl_place_use_at(VL_PLACE_EVENLY).bytes, 0);
}
END_TEST

/* --- Slices that are to go, while somebody looks at them --- */

/* The reader may be long: what its slice holds goes at once, only the address space waits for it. */
START_TEST(slice_that_waits_for_readers_holds_no_memory)
{
    enum { BLOCK = 100 << 20 };
    bool zeroed;
    begin_world(1);
    vl_options.purge_delay_ms = VL_TIME_NEVER;
    char *block = vl_place_big(BLOCK, 1, NULL, &zeroed);
    vl_large_give(vl_slice_of(block), block, "free");
    enum vl_rcu_section section = vl_rcu_read();
    ck_assert_uint_eq(vl_place_retire(true), 0);
    ck_assert_ptr_null(vl_slice_of(block));
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_DISCARD, block));
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_DISCARD, block + BLOCK - 1));
    vl_rcu_done(section);
    ck_assert_uint_gt(vl_place_retire(true), BLOCK);
}
END_TEST

/* A program that cleans up in a section of its own takes nothing away, however often. */
START_TEST(slices_that_wait_for_readers_are_few)
{
    enum { ROUNDS = 2 * VL_SLICES_MAX, WAITING = 20 };
    bool zeroed;
    begin_world(1);
    enum vl_rcu_section section = vl_rcu_read();
    for (int round = 0; round < ROUNDS; round++) {
        char *block = vl_place_big(VL_BIG_MIN, 1, NULL, &zeroed);
        ck_assert_ptr_nonnull(block);
        vl_large_give(vl_slice_of(block), block, "free");
        ck_assert_uint_eq(vl_place_retire(true), 0);
    }
    ck_assert_uint_lt(vl_slice_count, WAITING);
    vl_rcu_done(section);
    uint64_t reserved = fake_os_reserved();
    ck_assert_uint_ge(vl_place_retire(true), reserved / 2);
}
END_TEST

/* Closes all heaps of a kind that are idle, as who takes their slices away does; it goes on a little later. */
static unsigned close_idle_heaps(enum vl_slice_kind kind)
{
    unsigned closed = 0;
    for (uint32_t i = 1; i < vl_slice_count; i++)
        if (vl_slices[i].kind == kind)
            closed += kind >= VL_SLICE_BIG ? vl_big_heap_close(&vl_big_heaps[i])
                                           : vl_page_heap_close(&vl_page_heaps[i]);
    return closed;
}

static void take_and_give_run(void)
{
    struct vl_run run;
    ck_assert(vl_place_run(0, vl_wish_for(WHOLE), &run));
    ck_assert_ptr_ne(run.slice, &vl_slices[0]);
    vl_place_give_run(run.slice, run.start);
}

static void take_and_give_big(void)
{
    bool zeroed;
    void *block = vl_place_big(VL_BIG_MIN, 1, NULL, &zeroed);
    ck_assert_ptr_nonnull(block);
    vl_large_give(vl_slice_of(block), block, "free");
}

static void take_and_give_placed(void)
{
    bool zeroed;
    void *block = vl_place_big_at(VL_PLACE_EVENLY, VL_BIG_MIN, 1, NULL, &zeroed);
    ck_assert_ptr_nonnull(block);
    vl_large_give(vl_slice_of(block), block, "free");
}

static void take_and_give_region(void)
{
    static struct vl_holding holding = {.node = -1, .pages_max = UINT64_MAX};
    ck_assert(vl_place_lease(&holding, false));
    vl_place_dissolve(&holding);
}

static const struct {
    enum vl_slice_kind kind;
    void (*take_and_give)(void);
} going[] = {{VL_SLICE_NODE, take_and_give_run},
             {VL_SLICE_BIG, take_and_give_big},
             {VL_SLICE_PLACED, take_and_give_placed},
             {VL_SLICE_OBJECT, take_and_give_region}};

/* In a slice that is about to be hidden there is no room: another one has to be made. */
START_TEST(slice_that_is_going_has_no_room)
{
    struct vl_run run;
    vl_options.va_reserve_bytes = 16 << 20;
    begin_world(1);
    do
        ck_assert(vl_place_run(0, vl_wish_for(WHOLE), &run));
    while (run.slice == &vl_slices[0]);
    vl_place_give_run(run.slice, run.start);
    going[_i].take_and_give();
    uint32_t slices = vl_slice_count;
    ck_assert_uint_eq(close_idle_heaps(going[_i].kind), 1);
    going[_i].take_and_give();
    ck_assert_uint_eq(vl_slice_count, slices + 1);
}
END_TEST

enum { RUNS_MAX = 1000 };

static struct vl_run runs[RUNS_MAX];

/* Takes all there is and gives it back; tells how much that was. */
static unsigned take_and_give_all(void)
{
    unsigned taken = 0;
    while (taken < RUNS_MAX && vl_place_run(0, vl_wish_for(WHOLE), &runs[taken]))
        taken++;
    for (unsigned i = 0; i < taken; i++)
        vl_place_give_run(runs[i].slice, runs[i].start);
    return taken;
}

/* Where address space is short, malloc hides nothing that it cannot take away: it would serve nobody. */
START_TEST(slice_that_cannot_go_serves_on)
{
    bool zeroed;
    fake_os_install();
    fake_os_set_address_limit(256 << 20);
    start_here();
    unsigned taken = take_and_give_all();
    ck_assert_uint_gt(taken, 0);
    enum vl_rcu_section section = vl_rcu_read();
    ck_assert_ptr_null(vl_place_big(200 << 20, 1, NULL, &zeroed));
    ck_assert_uint_eq(vl_place_retire(false), 0);
    ck_assert_uint_eq(take_and_give_all(), taken);
    vl_rcu_done(section);
    ck_assert_ptr_nonnull(vl_place_big(100 << 20, 1, NULL, &zeroed));
}
END_TEST

/* --- Huge pages and what is returned --- */

static bool advised(enum fake_os_call call, uintptr_t address)
{
    return fake_os_last(call, (void *)address) != NULL;
}

START_TEST(huge_pages_from_the_start_option_on)
{
    vl_options.huge_start_bytes = 8 << 20;
    begin_world(2);
    const struct vl_slice *slice = vl_place_home(1);
    ck_assert(advised(FAKE_ADVISE_SMALL, slice->start));
    ck_assert(advised(FAKE_ADVISE_SMALL, slice->start + (8 << 20) - 1));
    ck_assert(!advised(FAKE_ADVISE_HUGE, slice->start + (8 << 20) - 1));
    ck_assert(advised(FAKE_ADVISE_HUGE, slice->start + (8 << 20)));
    ck_assert(!advised(FAKE_ADVISE_SMALL, slice->start + (8 << 20)));
    ck_assert(advised(FAKE_ADVISE_HUGE, slice->start + slice->size - 1));
}
END_TEST

START_TEST(no_huge_pages_where_they_are_forbidden)
{
    bool zeroed;
    vl_options.hugepage_mode = VL_HUGEPAGE_NEVER;
    begin_world(2);
    vl_place_home(1);
    ck_assert_ptr_nonnull(vl_place_big(VL_BIG_MIN, 1, NULL, &zeroed));
    ck_assert_uint_eq(vl_slice_count, 2);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert(advised(FAKE_ADVISE_SMALL, vl_slices[i].start));
        ck_assert(advised(FAKE_ADVISE_SMALL, vl_slices[i].start + vl_slices[i].size - 1));
    }
}
END_TEST

/* A page of the pool is bound before it is touched: the node is that of its heap. */
START_TEST(hugetlb_pages_are_bound_to_their_node)
{
    static const unsigned ids[] = {2, 5, 9};
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    begin_sparse_world();
    fake_os_set_pool(64);
    for (unsigned node = 0; node < 3; node++) {
        const struct fake_os_record *made;
        ck_assert_int_eq(take_pages(node, 1), (int)node);
        unsigned count = fake_os_records(&made);
        ck_assert_int_eq(made[count - 3].call, FAKE_BIND);
        ck_assert_uint_eq(made[count - 3].node, ids[node]);
        ck_assert_int_eq(made[count - 2].call, FAKE_ADVISE_POPULATE);
        ck_assert_int_eq(made[count - 1].call, FAKE_REPLACE);
    }
}
END_TEST

/* A big block with the address and pages of 1 GB that it shall have. */
static void check_giant_block(size_t bytes, struct vl_holding *holder, unsigned giants)
{
    bool zeroed;
    char *block = vl_place_big(bytes, 1, holder, &zeroed);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq(fake_os_giant_pages(block, bytes), giants);
    ck_assert(giants == 0 || is_aligned(block, GB));
    block[0] = block[bytes - 1] = 1;
    vl_large_give(vl_slice_of(block), block, "free");
}

/* Blocks of 1 GB and more begin where such pages can lie, whatever was there before. */
START_TEST(gigabytes_begin_at_gigabytes)
{
    bool zeroed;
    struct vl_holding holding = {.node = -1, .pages_max = UINT64_MAX};
    vl_options.hugepage_mode = VL_HUGEPAGE_GIANT;
    begin_world(2);
    fake_os_set_giants(4);
    ck_assert_ptr_nonnull(vl_place_big(VL_BIG_MIN, 1, NULL, &zeroed));
    check_giant_block(GB, NULL, 1);
    check_giant_block(3 * GB + 1, NULL, 3);
    check_giant_block(GB - 1, NULL, 0);
    check_giant_block(2 * GB, &holding, 2);
    holding.hugepage_mode = VL_HUGEPAGE_ALWAYS;
    check_giant_block(2 * GB, &holding, 0);
    ck_assert_uint_eq(fake_os_giants(), 4);
}
END_TEST

/* There is none to align it in, so it does without. */
START_TEST(gigabytes_where_address_space_is_short)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_GIANT;
    fake_os_install();
    fake_os_set_address_limit(GB + 512 * MB);
    start_here();
    check_giant_block(GB, NULL, 0);
}
END_TEST

/* An object's regions are those of the process. */
START_TEST(regions_of_objects_are_of_the_pool_with_giants)
{
    struct vl_holding holding = {.node = -1, .pages_max = UINT64_MAX};
    vl_options.hugepage_mode = VL_HUGEPAGE_GIANT;
    begin_world(2);
    fake_os_set_pool(8);
    for (int i = 0; i < 4; i++)
        ck_assert(vl_place_lease(&holding, false));
    ck_assert_uint_eq(fake_os_pool(), 8 - 2); /* the first two have small pages */
    ck_assert_int_eq(take_pages(0, 1), 0);
    ck_assert_uint_eq(fake_os_pool(), 8 - 3);
}
END_TEST

START_TEST(purge_reaches_every_heap)
{
    enum { BLOCK = 4 << 20 };
    struct vl_run run;
    bool zeroed;
    begin_world(3);
    vl_options.purge_delay_ms = 1000;
    for (unsigned node = 0; node < 3; node++) {
        ck_assert(vl_place_run(node, vl_wish_for(WHOLE), &run));
        vl_place_give_run(run.slice, run.start);
    }
    void *block = vl_place_big(BLOCK, 1, NULL, &zeroed);
    vl_large_give(vl_slice_of(block), block, "free");
    ck_assert_uint_eq(vl_place_purge(1000), 0);
    fake_os_sleep(999);
    ck_assert_uint_eq(vl_place_purge(1000), 0);
    fake_os_sleep(1);
    ck_assert_uint_eq(vl_place_purge(1000), 3 * VL_REGION_SIZE + BLOCK);
    ck_assert_uint_eq(vl_place_purge(0), 0);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("numa/place");

    TCase *slices = tcase_create("slices");
    tcase_add_test(slices, slices_are_made_when_needed);
    tcase_add_test(slices, slices_are_bound_to_their_node);
    tcase_add_test(slices, refused_binding_does_no_harm);
    tcase_add_test(slices, nothing_is_bound_on_one_node);
    tcase_add_loop_test(slices, nothing_is_bound_where_nobody_wants_it, 0, 3);
    tcase_add_test(slices, one_home_for_all_threads);
    suite_add_tcase(suite, slices);

    TCase *want = tcase_create("want");
    tcase_add_test(want, node_without_address_space_uses_the_nearest);
    tcase_add_test(want, node_without_memory_uses_all_others_by_distance);
    tcase_add_test(want, no_slice_is_made_for_want_of_memory);
    tcase_add_test(want, full_slice_is_followed_by_another);
    tcase_add_loop_test(want, short_address_space_is_used_in_small_slices, 0, 3);
    suite_add_tcase(suite, want);

    TCase *big = tcase_create("big");
    tcase_add_test(big, big_blocks_are_bound_to_no_node);
    tcase_add_test(big, big_block_larger_than_any_slice_gets_its_own);
    tcase_add_test(big, idle_slices_make_room);
    suite_add_tcase(suite, big);

    TCase *placed = tcase_create("placed");
    tcase_add_test(placed, placed_slice_is_bound_once);
    tcase_add_loop_test(placed, spread_slice_is_spread_once, 0, 2);
    tcase_add_test(placed, places_keep_apart);
    tcase_add_test(placed, kept_memory_of_a_place_serves_any_size);
    tcase_add_test(placed, refused_places_are_ordinary_memory);
    tcase_add_test(placed, place_without_address_space_uses_first_touch);
    tcase_add_test(placed, full_place_gets_another_slice);
    tcase_add_test(placed, idle_place_is_taken_away_and_made_again);
    tcase_add_test(placed, block_of_an_object_where_another_slice_was);
    tcase_add_test(placed, use_of_places_is_told);
    tcase_add_test(placed, one_placed_slice_for_all_threads);
    suite_add_tcase(suite, placed);

    TCase *readers = tcase_create("readers");
    tcase_add_test(readers, slice_that_waits_for_readers_holds_no_memory);
    tcase_add_loop_test(readers, slice_that_is_going_has_no_room, 0, 4);
    tcase_add_test(readers, slices_that_wait_for_readers_are_few);
    tcase_add_test(readers, slice_that_cannot_go_serves_on);
    suite_add_tcase(suite, readers);

    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, huge_pages_from_the_start_option_on);
    tcase_add_test(memory, no_huge_pages_where_they_are_forbidden);
    tcase_add_test(memory, hugetlb_pages_are_bound_to_their_node);
    tcase_add_test(memory, gigabytes_begin_at_gigabytes);
    tcase_add_test(memory, gigabytes_where_address_space_is_short);
    tcase_add_test(memory, regions_of_objects_are_of_the_pool_with_giants);
    tcase_add_test(memory, purge_reaches_every_heap);
    suite_add_tcase(suite, memory);
    return suite;
}
