/* hugepage/big_heap on huge pages of the kernel's pool, over the false system: whole pages, a pool
 * that runs short, blocks that are cut and grow, pages that do not come or go back. */
#include "tests/hugepage/held_blocks.h"

#include <errno.h>

enum { POOL = 64 };

static void start_world_of_hugetlb(void)
{
    start_world();
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    fake_os_set_pool(POOL);
}

static void check_pool(unsigned pages, unsigned refused)
{
    ck_assert_uint_eq(fake_os_hugetlb_pages((char *)heap.slice->start, SLICE_SIZE), pages);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_bytes), pages * VL_REGION_SIZE);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_refused), refused);
    ck_assert_uint_eq(heap.pieces, 0);
    ck_assert(vl_extents_valid(&heap.extents));
}

/* Whole huge pages only: the slack behind a block is not the block's. */
START_TEST(whole_pages_of_the_pool)
{
    char *small = take(2 * MB - 1), *whole = take(2 * MB), *more = take(7 * MB);
    check_pool(4, 0);
    ck_assert_uint_eq(fake_os_hugetlb_pages(whole, 2 * MB), 1);
    ck_assert_uint_eq(fake_os_hugetlb_pages(more, 6 * MB), 3);
    memset(more, 1, 7 * MB);
    give(small);
    give(more);
    check_pool(1, 0);
    ck_assert_uint_eq(fake_os_pool(), POOL - 1);
    ck_assert_uint_eq(fake_os_last(FAKE_RENEW, more)->size, 7 * MB);
    char *again;
    ck_assert(take_zeroed(7 * MB, &again)); /* take_aligned looks */
    check_pool(4, 0);
    give(again);
    give(whole);
    check_pool(0, 0);
    ck_assert_uint_eq(fake_os_pool(), POOL);
    check_nothing_is_lost(false);
}
END_TEST

/* All of a block or nothing: half of it would leave the other half where it was not asked for. */
START_TEST(a_pool_that_is_short)
{
    static const unsigned pools[] = {0, 1, 3};
    fake_os_set_pool(pools[_i]);
    char *block = take_dirty(8 * MB);
    check_pool(0, 1);
    ck_assert_uint_eq(fake_os_pool(), pools[_i]);
    give(block);
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(a_pool_that_ends_half_way)
{
    fake_os_set_pool(10);
    for (unsigned i = 0; i < 8; i++)
        ck_assert(hold(4 * MB, 1));
    check_pool(10, 3);
    for (unsigned i = 0; i < held_count; i++)
        check_block(&held[i]);
    drop_all();
    check_pool(0, 3);
    ck_assert_uint_eq(fake_os_pool(), 10);
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(memory_that_is_kept_is_used_first)
{
    fake_os_set_pool(0);
    char *block = take_dirty(4 * MB);
    give(block);
    fake_os_set_pool(POOL);
    ck_assert_ptr_eq(take(4 * MB), block);
    check_pool(0, 1);
}
END_TEST

/* It is cut between two pages of the pool, if at all. */
START_TEST(a_block_on_hugetlb_gets_smaller)
{
    char *block = take_dirty(11 * MB);
    check_pool(5, 0);
    ck_assert(vl_big_heap_resize(&heap, block, 5 * MB));
    check_pool(3, 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 6 * MB);
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 5 * MB);
    ck_assert_uint_eq(fake_os_last(FAKE_RENEW, block + 6 * MB)->size, 5 * MB);
    ck_assert(vl_big_heap_resize(&heap, block, 5 * MB - 1));
    check_pool(3, 0);
    ck_assert(!is_zero(block, 5 * MB - 1));
    give(block);
    check_pool(0, 0);
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(a_block_is_cut_behind_hugetlb)
{
    char *block = take_dirty(3 * MB);
    ck_assert(vl_big_heap_resize(&heap, block, 2 * MB));
    check_pool(1, 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 2 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_RENEW), 0); /* the rest was the slice's own */
    give(block);
    check_nothing_is_lost(false);
}
END_TEST

/* It grows where it stands, into ordinary memory, and is copied where it cannot. */
START_TEST(a_block_on_hugetlb_grows)
{
    char *block = take(2 * MB);
    pattern_fill(block, 2 * MB, 7);
    ck_assert(vl_big_heap_resize(&heap, block, 6 * MB));
    check_pool(1, 0);
    ck_assert_ptr_null(vl_big_heap_move(&heap, block, 8 * MB));
    ck_assert_uint_eq(fake_os_count(FAKE_MOVE), 0);
    ck_assert_uint_eq(pattern_damage(block, 2 * MB, 7), 2 * MB);
    memset(block, 1, 6 * MB);
    give(block);
    check_pool(0, 0);
    check_nothing_is_lost(false);
}
END_TEST

/* The target of a move gets the pages of its source. */
START_TEST(a_block_of_ordinary_memory_moves)
{
    fake_os_set_pool(0);
    char *block = take(4 * MB), *fence = take(2 * MB);
    pattern_fill(block, 4 * MB, 7);
    fake_os_set_pool(POOL);
    char *moved = vl_big_heap_move(&heap, block, 6 * MB);
    ck_assert_ptr_nonnull(moved);
    ck_assert_uint_eq(pattern_damage(moved, 4 * MB, 7), 4 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_MAP_HUGETLB), 2); /* the two that got nothing */
    give(moved);
    give(fence);
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(a_block_whose_pages_do_not_come)
{
    fake_os_fail(FAKE_ADVISE_POPULATE, 1, EFAULT);
    char *block = take_dirty(4 * MB);
    check_pool(0, 1);
    ck_assert_uint_eq(fake_os_pool(), POOL);
    give(block);
}
END_TEST

START_TEST(a_block_that_is_lost)
{
    fake_os_fail(FAKE_REPLACE, 1, ENOMEM);
    fake_os_fail(FAKE_PLUG, 1, EEXIST);
    char *block = take_dirty(4 * MB);
    ck_assert_ptr_ne(block, (char *)heap.slice->start);
    ck_assert_uint_eq(vl_get(&heap.blocks_used), 1);
    give(block);
    ck_assert_uint_eq(count_lost(), 4 * MB >> VL_GRAIN_SHIFT);
    check_nothing_is_lost(true);
}
END_TEST

/* Pages that do not go back are no memory for anybody. */
START_TEST(a_block_that_does_not_go_back)
{
    char *block = take_dirty(4 * MB);
    fake_os_fail(FAKE_RENEW, 1, ENOMEM);
    give(block);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    ck_assert_uint_eq(count_lost(), 4 * MB >> VL_GRAIN_SHIFT);
    check_nothing_is_lost(true);
}
END_TEST

START_TEST(hugetlb_at_random)
{
    uint64_t random = test_seed();
    fake_os_set_pool(POOL / 16);
    churn(scaled(2000), &random);
    drop_all();
    check_pool(0, (unsigned)vl_get(&heap.hugetlb_refused));
    ck_assert_uint_gt(vl_get(&heap.hugetlb_refused), 0);
    ck_assert_uint_eq(fake_os_pool(), POOL / 16);
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(hugetlb_with_failures)
{
    uint64_t random = test_seed();
    for (unsigned nth = 1; nth <= 20; nth++) {
        fake_os_fail(FAKE_MAP_HUGETLB, nth, ENOMEM);
        fake_os_fail(FAKE_ADVISE_POPULATE, nth, EFAULT);
        fake_os_fail(FAKE_PROTECT, nth, ENOMEM);
        churn(100, &random);
    }
    fake_os_heal();
    drop_all();
    ck_assert_uint_eq(fake_os_pool(), POOL);
    check_nothing_is_lost(false);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("big_heap_hugetlb");
    TCase *hugetlb = timed_case("hugetlb", 60);

    tcase_add_checked_fixture(hugetlb, start_world_of_hugetlb, NULL);
    tcase_add_test(hugetlb, whole_pages_of_the_pool);
    tcase_add_loop_test(hugetlb, a_pool_that_is_short, 0, 3);
    tcase_add_test(hugetlb, a_pool_that_ends_half_way);
    tcase_add_test(hugetlb, memory_that_is_kept_is_used_first);
    tcase_add_test(hugetlb, a_block_on_hugetlb_gets_smaller);
    tcase_add_test(hugetlb, a_block_is_cut_behind_hugetlb);
    tcase_add_test(hugetlb, a_block_on_hugetlb_grows);
    tcase_add_test(hugetlb, a_block_of_ordinary_memory_moves);
    tcase_add_test(hugetlb, a_block_whose_pages_do_not_come);
    tcase_add_test(hugetlb, a_block_that_is_lost);
    tcase_add_test(hugetlb, a_block_that_does_not_go_back);
    tcase_add_test(hugetlb, hugetlb_at_random);
    tcase_add_test(hugetlb, hugetlb_with_failures);
    suite_add_tcase(suite, hugetlb);
    return suite;
}
