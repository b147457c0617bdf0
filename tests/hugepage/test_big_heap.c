/* hugepage/big_heap over the false system: where blocks begin, how large they are and become
 * where they stand, what is no block, and a heap that is closed. */
#include "tests/hugepage/held_blocks.h"

START_TEST(plan_by_mode)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_AUTO;
    vl_options.huge_start_bytes = 0;
    struct vl_slice_plan plan = vl_big_heap_plan(GB);
    ck_assert_int_eq(plan.kind, VL_SLICE_BIG);
    ck_assert_uint_eq(plan.size, GB);
    ck_assert_uint_eq(plan.unit_bytes, sizeof(struct vl_extent));
    ck_assert_uint_eq(plan.small_pages, 0);
    ck_assert(plan.huge);
    ck_assert(!plan.bind);

    vl_options.huge_start_bytes = MB;
    plan = vl_big_heap_plan(GB);
    ck_assert_uint_eq(plan.small_pages, SIZE_MAX); /* for now */
    ck_assert(plan.huge);

    vl_options.hugepage_mode = VL_HUGEPAGE_ALWAYS;
    ck_assert_uint_eq(vl_big_heap_plan(GB).small_pages, 0);

    vl_options.hugepage_mode = VL_HUGEPAGE_NEVER;
    plan = vl_big_heap_plan(GB);
    ck_assert_uint_eq(plan.small_pages, SIZE_MAX);
    ck_assert(!plan.huge);
}
END_TEST

START_TEST(every_alignment)
{
    for (size_t align = 1; align <= 64 * MB; align *= 2) {
        bool zeroed;
        char *small = take_aligned(MB + 1, align, &zeroed);
        char *large = take_aligned(2 * MB + 1, align, &zeroed);
        if (small == NULL || large == NULL)
            ck_abort_msg("no block at a multiple of %zu", align);
        give(small);
        give(large);
    }
    check_counts();
}
END_TEST

/* Little more than a huge page each: two of them would lie in four huge pages, if each began on one. */
START_TEST(packed)
{
    enum { COUNT = 20 };
    char *first = take(2 * MB + 1), *block = first;
    for (unsigned i = 1; i < COUNT; i++) {
        block = take(2 * MB + 1);
        ck_assert_ptr_eq(block, first + i * (2 * MB + VL_GRAIN_SIZE));
    }
    ck_assert(is_aligned(take(16 * MB + 1), 2 * MB));
    ck_assert_ptr_null(vl_big_heap_move(&heap, block, 4 * MB)); /* it has no huge page to itself */
    ck_assert(vl_big_heap_resize(&heap, block, 2 * MB));
    ck_assert(vl_big_heap_resize(&heap, block, 2 * MB + 2));
    ck_assert(vl_big_heap_resize(&heap, block, MB));
    ck_assert(
        !vl_big_heap_resize(&heap, block, 2 * MB)); /* there is room, but it is on no huge page */
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), MB);
}
END_TEST

START_TEST(not_packed_on_many_nodes)
{
    for (unsigned i = 0; i < 4; i++)
        ck_assert(is_aligned(take(2 * MB + 1), 2 * MB));
}
END_TEST

START_TEST(random_blocks)
{
    uint64_t random = test_seed();
    churn(scaled(6000), &random);
    ck_assert_uint_gt(fake_os_count(FAKE_ADVISE_DISCARD), 10);
    ck_assert_uint_gt(fake_os_count(FAKE_RENEW), 10);
    check_discards();
    drop_all();
    vl_big_heap_purge(&heap, 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 0); /* nothing in use: no scrap is left */
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(too_large)
{
    bool zeroed;
    ck_assert_ptr_null(vl_big_heap_take(&heap, SLICE_SIZE + 1, 1, NULL, &zeroed));
    ck_assert_ptr_null(vl_big_heap_take(&heap, SIZE_MAX, 1, NULL, &zeroed));
    ck_assert_ptr_null(vl_big_heap_take(&heap, MB, 2 * SLICE_SIZE, NULL, &zeroed));
    ck_assert(!vl_big_heap_resize(&heap, take(MB), SIZE_MAX));
    check_discards();
}
END_TEST

START_TEST(room)
{
    size_t most = SLICE_SIZE; /* it begins on a huge page, as a block of this size must */
    ck_assert(vl_big_heap_has_room(&heap, most, 1));
    ck_assert(!vl_big_heap_has_room(&heap, most + 1, 1));
    ck_assert(!vl_big_heap_has_room(&heap, SIZE_MAX, 1));
    ck_assert(!vl_big_heap_has_room(&heap, MB, SLICE_SIZE * 2));
    give(take(most));
    ck_assert(!vl_big_heap_has_room(&heap, most, 1));
    ck_assert(vl_big_heap_has_room(&heap, VL_GRAIN_SIZE, 1) == (heap.extents.fresh < 4096));
}
END_TEST

START_TEST(what_is_no_block)
{
    char *block = take(3 * MB), *next = take(MB);
    const size_t offsets[] = {1, 16, 4096, VL_GRAIN_SIZE, 2 * MB, 3 * MB - VL_GRAIN_SIZE};
    for (unsigned i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        ck_assert_uint_eq(vl_big_heap_bytes(&heap, block + offsets[i]), 0);
        ck_assert(!vl_big_heap_give(&heap, block + offsets[i]));
    }
    ck_assert(!vl_big_heap_give(&heap, (char *)heap.slice->start + SLICE_SIZE - VL_GRAIN_SIZE));
    give(block);
    ck_assert(!vl_big_heap_give(&heap, block));
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 0);
    give(next);
    ck_assert(!vl_big_heap_give(&heap, next));
    check_counts();
}
END_TEST

/* --- Resize --- */

START_TEST(smaller_and_larger_in_place)
{
    char *block = take_dirty(6 * MB), *fence = take(MB);
    ck_assert(vl_big_heap_resize(&heap, block, 2 * MB + 1));
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 2 * MB + vl_os_page_size);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 2 * MB + VL_GRAIN_SIZE + MB);

    /* Within the grain it has, then into what it gave up, then into the fence. */
    ck_assert(vl_big_heap_resize(&heap, block, 2 * MB + VL_GRAIN_SIZE));
    ck_assert(vl_big_heap_resize(&heap, block, 5 * MB));
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 5 * MB);
    ck_assert(vl_big_heap_resize(&heap, block, 6 * MB));
    ck_assert(!vl_big_heap_resize(&heap, block, 6 * MB + 1));
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 6 * MB);
    for (size_t i = 0; i < 2 * MB; i++)
        if (block[i] != 1)
            ck_abort_msg("byte %zu was lost", i);
    memset(block, 2, 6 * MB);

    give(fence);
    ck_assert(vl_big_heap_resize(&heap, block, 6 * MB + 1));
    ck_assert(!vl_big_heap_give(&heap, fence));
    give(block);
    check_counts();
}
END_TEST

START_TEST(the_rest_of_a_smaller_one_is_free)
{
    char *block = take_dirty(8 * MB);
    ck_assert(vl_big_heap_resize(&heap, block, 4 * MB));
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 4 * MB);
    ck_assert_ptr_eq(take(4 * MB), block + 4 * MB);
}
END_TEST

/* --- The end --- */

START_TEST(closed)
{
    bool zeroed;
    char *block = take(2 * MB);
    ck_assert(!vl_big_heap_close(&heap));
    give(block);
    ck_assert(vl_big_heap_close(&heap));
    ck_assert(!vl_big_heap_close(&heap));
    ck_assert_ptr_null(vl_big_heap_take(&heap, MB, 1, NULL, &zeroed));
    ck_assert(!vl_big_heap_give(&heap, block));
    ck_assert_uint_eq(vl_big_heap_purge(&heap, 0), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("big_heap");
    TCase *blocks = timed_case("blocks", 60);
    TCase *nodes = tcase_create("many nodes");
    TCase *resize = tcase_create("resize");
    TCase *end = tcase_create("end");

    tcase_add_checked_fixture(blocks, start_world, NULL);
    tcase_add_test(blocks, plan_by_mode);
    tcase_add_test(blocks, every_alignment);
    tcase_add_test(blocks, packed);
    tcase_add_test(blocks, random_blocks);
    tcase_add_test(blocks, too_large);
    tcase_add_test(blocks, room);
    tcase_add_test(blocks, what_is_no_block);
    suite_add_tcase(suite, blocks);

    tcase_add_checked_fixture(nodes, start_world_of_many_nodes, NULL);
    tcase_add_test(nodes, not_packed_on_many_nodes);
    suite_add_tcase(suite, nodes);

    tcase_add_checked_fixture(resize, start_world, NULL);
    tcase_add_test(resize, smaller_and_larger_in_place);
    tcase_add_test(resize, the_rest_of_a_smaller_one_is_free);
    suite_add_tcase(suite, resize);

    tcase_add_checked_fixture(end, start_world, NULL);
    tcase_add_test(end, closed);
    suite_add_tcase(suite, end);
    return suite;
}
