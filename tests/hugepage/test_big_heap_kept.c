/* Memory that hugepage/big_heap keeps, over the false system: for whom, how long by a clock set by
 * hand, and how much of it. */
#include "tests/hugepage/big_heap_world.h"

START_TEST(kept_for_any_size)
{
    char *block = take_dirty(4 * MB), *again;
    give(block);
    ck_assert(!take_zeroed(2 * MB, &again));
    ck_assert_ptr_eq(again, block);
    ck_assert(!take_zeroed(2 * MB, &again));
    ck_assert_ptr_eq(again, block + 2 * MB);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 0);
}
END_TEST

START_TEST(kept_for_the_same_size_only)
{
    char *block = take_dirty(4 * MB), *fence = take(MB), *other;
    give(block);
    ck_assert(take_zeroed(2 * MB, &other));
    ck_assert(take_zeroed(4 * MB + 1, &other));
    ck_assert(take_zeroed(4 * MB - VL_GRAIN_SIZE, &other));
    ck_assert(!take_zeroed(4 * MB - 1, &other)); /* the same in grains */
    ck_assert_ptr_eq(other, block);
    give(fence);
}
END_TEST

/* A program that frees all its arrays and takes them again, as in each of its time steps. */
START_TEST(kept_for_the_next_time_step)
{
    char *arrays[3], *again;
    for (int i = 0; i < 3; i++)
        arrays[i] = take_dirty(4 * MB);
    for (int i = 0; i < 3; i++)
        give(arrays[i]);
    for (int i = 0; i < 3; i++)
        ck_assert(!take_zeroed(4 * MB, &again));
}
END_TEST

/* Two blocks that shared a huge page: neither could go back alone. */
START_TEST(both_halves_of_a_huge_page_go_back)
{
    char *fence = take(2 * MB), *first = take_dirty(MB), *second = take_dirty(MB);
    ck_assert_ptr_eq(first, fence + 2 * MB);
    ck_assert_ptr_eq(second, first + MB);
    give(first);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, 0), 0);
    give(second);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, 0), 2 * MB);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 0);
    check_discards();
}
END_TEST

START_TEST(kept_until_second_10)
{
    char *block = take_dirty(4 * MB), *again;
    give(block);
    fake_os_sleep(DELAY_MS - 1);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, DELAY_MS), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 4 * MB);
    fake_os_sleep(1);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, DELAY_MS), 4 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 1);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 0);
    ck_assert_uint_eq(vl_get(&heap.purged_bytes), 4 * MB);
    ck_assert(is_zero(block, 4 * MB));
    ck_assert(take_zeroed(4 * MB, &again));
}
END_TEST

START_TEST(a_freed_block_purges_the_old_ones)
{
    char *old = take_dirty(4 * MB), *fence = take(MB), *young = take_dirty(4 * MB);
    give(old);
    fake_os_sleep(DELAY_MS);
    give(young);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_DISCARD, old));
    ck_assert_ptr_null(fake_os_last(FAKE_ADVISE_DISCARD, young));
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 4 * MB);
    give(fence);
}
END_TEST

/* What is left of an old extent is as old as it was. */
START_TEST(a_rest_keeps_its_age)
{
    char *old = take_dirty(8 * MB), *fence = take(2 * MB), *young = take_dirty(4 * MB);
    give(old);
    fake_os_sleep(DELAY_MS / 2);
    give(young);
    char *part = take(6 * MB);
    ck_assert_ptr_eq(part, old);
    fake_os_sleep(DELAY_MS / 2);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, DELAY_MS), 2 * MB);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_DISCARD, old + 6 * MB));
    give(fence);
}
END_TEST

START_TEST(never_purged)
{
    vl_options.purge_delay_ms = VL_TIME_NEVER;
    give(take_dirty(4 * MB));
    fake_os_sleep(1000 * DELAY_MS);
    give(take_dirty(2 * MB));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
}
END_TEST

/* The huge page in which a block ends is free as a whole, though the block used a part of it. */
START_TEST(the_last_huge_page_goes_back)
{
    char *block = take_dirty(3 * MB), *fence = take(2 * MB);
    give(block);
    vl_big_heap_purge(&heap, 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 0);
    check_discards();

    /* Nothing is left between the two that would keep them from being one again. */
    give(fence);
    vl_big_heap_purge(&heap, 0);
    ck_assert_ptr_eq(take(6 * MB), block);
}
END_TEST

/* As much as VALLOC_LARGE_CACHE says; beyond it, the oldest goes back. */
START_TEST(no_more_than_the_limit)
{
    char *blocks[3];
    vl_options.large_cache_bytes = 8 * MB;
    for (int i = 0; i < 3; i++) {
        blocks[i] = take_dirty(4 * MB);
        take(2 * MB); /* keeps them apart */
    }
    give(blocks[1]);
    fake_os_sleep(1);
    give(blocks[0]);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 8 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    fake_os_sleep(1);
    give(blocks[2]);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 8 * MB);
    ck_assert_uint_eq(vl_get(&heap.purged_bytes), 4 * MB);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_DISCARD, blocks[1]));
}
END_TEST

/* What is in use and what is kept, together: as much as ever was in use. */
START_TEST(kept_up_to_the_most_in_use)
{
    char *all[6];
    vl_options.large_cache_bytes = VL_SIZE_AUTO;
    for (int i = 0; i < 6; i++)
        all[i] = take(32 * MB);
    ck_assert_uint_eq(vl_get(&heap.bytes_used_max), 192 * MB);
    for (int i = 0; i < 6; i++)
        give(all[i]);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 192 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
}
END_TEST

/* At the peak an eighth of it, where other memory than what was kept had to be taken. */
START_TEST(kept_at_the_peak)
{
    char *all[5];
    vl_options.large_cache_bytes = VL_SIZE_AUTO;
    heap.extents.dirty_apart = true; /* only for the same size */
    for (int i = 0; i < 5; i++)
        all[i] = take(32 * MB);
    give(all[1]);
    give(all[3]);
    take(60 * MB);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 156 * MB);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 64 * MB);
    give(take(2 * MB));
    ck_assert_uint_le(vl_get(&heap.bytes_dirty), 20 * MB);
    ck_assert_uint_ge(vl_get(&heap.purged_bytes), 46 * MB);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("big_heap_kept");
    TCase *kept = timed_case("kept", 30);
    TCase *exact = tcase_create("exact");

    tcase_add_checked_fixture(kept, start_world, NULL);
    tcase_add_test(kept, kept_for_any_size);
    tcase_add_test(kept, kept_until_second_10);
    tcase_add_test(kept, a_freed_block_purges_the_old_ones);
    tcase_add_test(kept, a_rest_keeps_its_age);
    tcase_add_test(kept, never_purged);
    tcase_add_test(kept, both_halves_of_a_huge_page_go_back);
    tcase_add_test(kept, the_last_huge_page_goes_back);
    tcase_add_test(kept, no_more_than_the_limit);
    tcase_add_test(kept, kept_up_to_the_most_in_use);
    tcase_add_test(kept, kept_at_the_peak);
    suite_add_tcase(suite, kept);

    tcase_add_checked_fixture(exact, start_world_of_many_nodes, NULL);
    tcase_add_test(exact, kept_for_the_same_size_only);
    tcase_add_test(exact, kept_for_the_next_time_step);
    tcase_add_test(exact, both_halves_of_a_huge_page_go_back);
    suite_add_tcase(suite, exact);
    return suite;
}
