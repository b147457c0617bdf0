/* hugepage/big_heap on pages of 1 GB, over the false system: as many as the pool has and pages of
 * 2 MB for the rest, blocks that are cut and grow, a child that has not got its pages. */
#include "hugepage/hugetlb.h"
#include "tests/hugepage/big_heap_world.h"

#include <errno.h>

enum { GIANTS = 3 };

#define GIANT_SLICE (12 * GB)

static void start_world_of_giants(void)
{
    fake_os_install();
    vl_options.purge_delay_ms = DELAY_MS;
    vl_options.hugepage_mode = VL_HUGEPAGE_GIANT;
    struct vl_slice_plan plan = vl_big_heap_plan(GIANT_SLICE);
    plan.prepare = start_heap_on;
    ck_assert_ptr_nonnull(vl_slice_create(&plan));
    fake_os_set_giants(GIANTS);
    fake_os_set_pool(1000);
    fake_os_forget();
}

/* Few places are looked at: all of a gigabyte would take its time. */
static void mark_sparsely(char *block, size_t bytes, char mark)
{
    for (size_t at = 0; at < bytes; at += GB / 4)
        block[at] = mark;
    block[bytes - 1] = mark;
}

static void check_sparsely(const char *block, size_t bytes, char mark)
{
    for (size_t at = 0; at < bytes; at += GB / 4)
        ck_assert_int_eq(block[at], mark);
}

/* At a multiple of 1 GB, known to be zero, marked with 1; NULL if there is no room. */
static char *take_giant(size_t bytes)
{
    bool zeroed;
    char *block = vl_big_heap_take(&heap, bytes, GB, NULL, &zeroed);
    if (block == NULL)
        return NULL;
    ck_assert(is_aligned(block, GB));
    if (zeroed)
        check_sparsely(block, bytes, 0);
    mark_sparsely(block, bytes, 1);
    return block;
}

static void check_pools(unsigned giants, unsigned pages)
{
    char *start = (char *)heap.slice->start;
    ck_assert_uint_eq(fake_os_giant_pages(start, GIANT_SLICE), giants);
    ck_assert_uint_eq(fake_os_hugetlb_pages(start, GIANT_SLICE), pages);
    ck_assert_uint_eq(vl_get(&heap.giant_bytes), giants * GB);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_bytes), giants * GB + pages * VL_REGION_SIZE);
    ck_assert(vl_extents_valid(&heap.extents));
}

static void check_refusals(unsigned giants, unsigned pages)
{
    ck_assert_uint_eq(vl_get(&heap.giant_refused), giants);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_refused), pages);
}

/* All is free, and no stretch is counted that is not there, or not counted that is. */
static void check_giants_are_back(void)
{
    check_pools(0, 0);
    ck_assert_uint_eq(fake_os_giants(), GIANTS);
    ck_assert_uint_eq(vl_get(&heap.blocks_used), 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 0);
    vl_big_heap_purge(&heap, 0);
    vl_hugetlb_recount((1 << 14) - GIANTS);
    char *block = take_giant(GIANTS * GB), *beyond = take(2 * MB);
    check_pools(GIANTS, 0);
    give(block);
    give(beyond);
    vl_hugetlb_recount(GIANTS - (1 << 14));
}

START_TEST(whole_gigabytes_and_the_rest)
{
    size_t bytes = 2 * GB + 100 * MB + 4096;
    char *block = take_giant(bytes);
    check_pools(2, 50);
    check_refusals(0, 0);
    ck_assert_uint_eq(fake_os_giant_pages(block, 2 * GB), 2);
    ck_assert_uint_eq(fake_os_hugetlb_pages(block + 2 * GB, 100 * MB), 50);
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), bytes);
    give(block);
    check_giants_are_back();
    ck_assert_uint_eq(fake_os_pool(), 1000);
}
END_TEST

/* Of two gigabytes and 100 MB. */
static const struct {
    unsigned giants, pages;         /* in the pools */
    unsigned giants_got, pages_got; /* by the block */
} pools[] = {
    {0, 0, 0, 0},   {1, 0, 1, 0},     {2, 0, 2, 0},  {3, 0, 2, 0},   {0, 1000, 0, 0},
    {1, 561, 1, 0}, {1, 562, 1, 562}, {2, 49, 2, 0}, {2, 50, 2, 50}, {0, 1023, 0, 0},
};

START_TEST(pools_of_all_sizes)
{
    fake_os_set_giants(pools[_i].giants);
    fake_os_set_pool(pools[_i].pages);
    char *block = take_giant(2 * GB + 100 * MB);
    check_pools(pools[_i].giants_got, pools[_i].pages_got);
    check_refusals(pools[_i].giants_got < 2, pools[_i].pages_got == 0);
    ck_assert_uint_eq(fake_os_giants(), pools[_i].giants - pools[_i].giants_got);
    check_sparsely(block, 2 * GB, 1);
    give(block);
    check_pools(0, 0);
    ck_assert_uint_eq(fake_os_giants(), pools[_i].giants);
    ck_assert_uint_eq(fake_os_pool(), pools[_i].pages);
}
END_TEST

/* Nothing is left for pages of 2 MB, and nobody asks for any. */
START_TEST(nothing_but_gigabytes)
{
    fake_os_set_pool(0);
    char *block = take_giant(2 * GB);
    check_pools(2, 0);
    check_refusals(0, 0);
    ck_assert_uint_eq(fake_os_count(FAKE_MAP_HUGETLB), 2);
    give(block);
    check_giants_are_back();
}
END_TEST

START_TEST(a_block_below_a_gigabyte)
{
    char *block = take(GB - 2 * MB);
    check_pools(0, 511);
    check_refusals(0, 0);
    give(block);
    check_giants_are_back();
}
END_TEST

/* It could have pages of 1 GB, but for where it lies. */
START_TEST(a_gigabyte_that_begins_elsewhere)
{
    bool zeroed;
    char *first = take(2 * MB);
    char *block = is_aligned(first + 2 * MB, GB) ? take(2 * MB) : first;
    block = vl_big_heap_take(&heap, GB, 1, NULL, &zeroed);
    ck_assert(!is_aligned(block, GB));
    ck_assert_uint_eq(fake_os_giants(), GIANTS);
    ck_assert_uint_eq(fake_os_hugetlb_pages(block, GB), 512);
    check_refusals(1, 0);
}
END_TEST

START_TEST(asked_for_pages_of_2_mb_only)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    char *block = take_giant(GB);
    check_pools(0, 512);
    check_refusals(0, 0);
    give(block);
    ck_assert(!vl_big_heap_wants_giants(GB, NULL));
    vl_options.hugepage_mode = VL_HUGEPAGE_GIANT;
    ck_assert(vl_big_heap_wants_giants(GB, NULL));
    ck_assert(!vl_big_heap_wants_giants(GB - 1, NULL));
    ck_assert(
        !vl_big_heap_wants_giants(GB, &(struct vl_holding){.hugepage_mode = VL_HUGEPAGE_NEVER}));
    ck_assert(
        vl_big_heap_wants_giants(GB, &(struct vl_holding){.hugepage_mode = VL_HUGEPAGE_HUGETLB}));
}
END_TEST

/* A page less than 1 GB is no gigabyte, though it takes as many grains as one. */
START_TEST(almost_a_gigabyte)
{
    char *block = take(GB - 4096);
    check_pools(0, (unsigned)(GB / VL_REGION_SIZE));
    check_refusals(0, 0);
    give(block);
    check_giants_are_back();
}
END_TEST

/* It is cut between two pages, if at all, and what it gives up goes back to the pool. */
START_TEST(a_giant_block_gets_smaller)
{
    char *block = take_giant(3 * GB + 100 * MB);
    check_pools(3, 50);
    ck_assert(vl_big_heap_resize(&heap, block, 3 * GB + 50 * MB - 1));
    check_pools(3, 25);
    ck_assert(vl_big_heap_resize(&heap, block, GB + GB / 2));
    check_pools(2, 0);
    ck_assert_uint_eq(fake_os_giants(), 1);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 2 * GB);
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), GB + GB / 2);
    check_sparsely(block, GB + GB / 2, 1);
    ck_assert(vl_big_heap_resize(&heap, block, GB / 2));
    check_pools(1, 0);
    give(block);
    check_giants_are_back();
}
END_TEST

/* For the tenth of a gigabyte it would keep all of it: let it be copied. */
START_TEST(a_giant_block_gets_too_small)
{
    char *block = take_giant(2 * GB);
    ck_assert(!vl_big_heap_resize(&heap, block, GB / 2 - VL_GRAIN_SIZE));
    ck_assert(!vl_big_heap_resize(&heap, block, 2 * MB));
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 2 * GB);
    check_pools(2, 0);
    check_sparsely(block, 2 * GB, 1);
    ck_assert_ptr_null(vl_big_heap_move(&heap, block, 3 * GB));
    give(block);
    check_giants_are_back();
}
END_TEST

START_TEST(a_giant_block_grows)
{
    char *block = take_giant(GB);
    ck_assert(vl_big_heap_resize(&heap, block, 2 * GB + 7 * MB));
    check_pools(1, 0);
    mark_sparsely(block, 2 * GB, 2);
    ck_assert(vl_big_heap_resize(&heap, block, GB + 3 * MB));
    check_pools(1, 0);
    check_sparsely(block, GB, 2);
    give(block);
    check_giants_are_back();
}
END_TEST

/* What it had got goes back; it is another block that the program has. */
START_TEST(a_giant_block_that_is_lost)
{
    fake_os_fail(FAKE_REPLACE, (unsigned)_i, EINVAL);
    fake_os_fail(FAKE_PLUG, 1, EEXIST);
    char *block = take_giant(2 * GB + 100 * MB);
    ck_assert(heap.extents.lost);
    ck_assert_uint_eq(vl_get(&heap.blocks_used), 1);
    bool giants_move = _i == 3; /* it was a page of 2 MB that did not */
    check_pools(giants_move ? 2 : 0, 0);
    check_sparsely(block, 2 * GB, 1);
    give(block);
    check_pools(0, 0);
    ck_assert_uint_eq(fake_os_giants(), GIANTS);
    ck_assert_uint_eq(fake_os_pool(), 1000);
}
END_TEST

START_TEST(giants_that_do_not_go_back)
{
    char *block = take_giant(2 * GB);
    fake_os_fail(FAKE_RENEW, 1, ENOMEM);
    give(block);
    ck_assert(heap.extents.lost);
    ck_assert_uint_eq(vl_get(&heap.giant_bytes), 0);
    ck_assert_ptr_nonnull(take_giant(2 * GB));
}
END_TEST

static bool is_accessible(char *page)
{
    const struct fake_os_record *made;
    for (unsigned i = fake_os_records(&made); i-- > 0;)
        if (made[i].call == FAKE_PROTECT && made[i].start == page)
            return made[i].access != VL_ACCESS_NONE;
    return true;
}

/* A page that the kernel has not given to the child is not read as zero there, but not at all. Where it
 * does not say, nothing is done. */
START_TEST(a_child_without_its_giants)
{
    char *plain = take(4 * MB), *block = take_giant(2 * GB + 100 * MB), *other = take_giant(GB);
    fake_os_forget();
    fake_os_fail(FAKE_PRESENT, 2, _i == 0 ? ENOENT : EPERM);
    vl_big_heap_after_fork(&heap);
    ck_assert_uint_eq(fake_os_count(FAKE_PRESENT), 3);
    ck_assert_uint_eq(fake_os_count(FAKE_PROTECT), _i == 0);
    ck_assert_int_eq(is_accessible(block + GB), _i != 0);
    ck_assert(is_accessible(block) && is_accessible(other) && is_accessible(plain));
    check_sparsely(block, GB, 1);
    give(block);
    give(other);
    give(plain);
    ck_assert_int_eq(block[GB], 0); /* ordinary memory */
    check_giants_are_back();
}
END_TEST

/* Another thread was about to note how long a free extent is. */
START_TEST(a_child_of_half_an_extent)
{
    char *block = take_giant(GB), *gap = take(4 * MB), *behind = take_giant(GB);
    give(gap);
    heap.extents.table[(size_t)(gap - (char *)heap.slice->start) >> VL_GRAIN_SHIFT].grains = 0;
    heap.lock.word = VL_LOCK_HELD;
    fake_os_forget();
    fake_os_fail(FAKE_PRESENT, 2, ENOENT);
    vl_big_heap_after_fork(&heap);
    ck_assert(is_accessible(block) && !is_accessible(behind));
}
END_TEST

/* One of those that a test holds is changed or given back, or there is one more. */
static void change_giants(char *blocks[4], size_t bytes[4], uint64_t *random)
{
    size_t i = random_next(random) % 4, size = (1 + random_next(random) % 12) * (GB / 4);
    if (blocks[i] == NULL) {
        blocks[i] = take_giant(bytes[i] = size);
        return;
    }
    check_sparsely(blocks[i], bytes[i], 1);
    if (random_next(random) % 2 == 0) {
        give(blocks[i]);
        blocks[i] = NULL;
    } else if (vl_big_heap_resize(&heap, blocks[i], size)) {
        bytes[i] = size;
        mark_sparsely(blocks[i], size, 1);
    }
}

START_TEST(giants_at_random)
{
    static const enum fake_os_call calls[] = {FAKE_MAP_HUGETLB, FAKE_ADVISE_POPULATE, FAKE_PROTECT,
                                              FAKE_ADVISE_HUGE};
    uint64_t random = test_seed();
    char *blocks[4] = {NULL};
    size_t bytes[4];
    for (unsigned i = 0; i < scaled(400); i++) {
        if (i % 4 == 0)
            fake_os_fail(calls[random_next(&random) % 4], 1 + random_next(&random) % 4, ENOMEM);
        change_giants(blocks, bytes, &random);
        unsigned there = fake_os_giant_pages((char *)heap.slice->start, GIANT_SLICE);
        ck_assert_uint_eq(fake_os_giants() + there, GIANTS);
        check_pools(there, 1000 - fake_os_pool());
    }
    fake_os_heal();
    for (unsigned i = 0; i < 4; i++)
        if (blocks[i] != NULL)
            give(blocks[i]);
    ck_assert_uint_gt(vl_get(&heap.giant_refused), 0);
    check_giants_are_back();
    ck_assert_uint_eq(fake_os_pool(), 1000);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("big_heap_giant");
    TCase *giants = timed_case("giants", 60);

    tcase_add_checked_fixture(giants, start_world_of_giants, NULL);
    tcase_add_test(giants, whole_gigabytes_and_the_rest);
    tcase_add_loop_test(giants, pools_of_all_sizes, 0, sizeof pools / sizeof pools[0]);
    tcase_add_test(giants, nothing_but_gigabytes);
    tcase_add_test(giants, a_block_below_a_gigabyte);
    tcase_add_test(giants, a_gigabyte_that_begins_elsewhere);
    tcase_add_test(giants, asked_for_pages_of_2_mb_only);
    tcase_add_test(giants, almost_a_gigabyte);
    tcase_add_test(giants, a_giant_block_gets_smaller);
    tcase_add_test(giants, a_giant_block_gets_too_small);
    tcase_add_test(giants, a_giant_block_grows);
    tcase_add_loop_test(giants, a_giant_block_that_is_lost, 1, 4);
    tcase_add_test(giants, giants_that_do_not_go_back);
    tcase_add_loop_test(giants, a_child_without_its_giants, 0, 2);
    tcase_add_test(giants, a_child_of_half_an_extent);
    tcase_add_test(giants, giants_at_random);
    suite_add_tcase(suite, giants);
    return suite;
}
