/* hugepage/big_thp over the false system: small pages while the heap is small, huge ones from then on,
 * promotion, and doing without where they are slow to come. */
#include "hugepage/stall.h"
#include "tests/hugepage/big_heap_world.h"

enum { FRONT_MB = 16, HOLD_MS = 1000 };

static bool covers_all(const struct fake_os_record *advice)
{
    return advice != NULL && advice->start == (void *)heap.slice->start &&
           advice->size == SLICE_SIZE;
}

static void start_small(void)
{
    fake_os_install();
    vl_options.huge_start_bytes = FRONT_MB * MB;
    start_heap();
}

static bool was_collapsed(const char *stretch)
{
    const struct fake_os_record *record = fake_os_last(FAKE_ADVISE_COLLAPSE, stretch);
    return record != NULL && record->start == stretch && record->size == 2 * MB;
}

/* --- Front --- */

START_TEST(a_small_heap_stays_small)
{
    ck_assert(vl_slice_is_small(heap.slice, 0));
    char *first = take(FRONT_MB * MB / 2);
    take(FRONT_MB * MB / 2);
    give(first);
    take(FRONT_MB * MB / 2); /* what is kept serves again */
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), 0);
    ck_assert(vl_slice_is_small(heap.slice, SLICE_SIZE - 1));
}
END_TEST

START_TEST(outgrown_all_is_huge_at_once)
{
    take((FRONT_MB - 1) * MB);
    char *block = take(MB + MB / 2);
    ck_assert(covers_all(fake_os_last(FAKE_ADVISE_HUGE, block)));
    ck_assert(!vl_slice_is_small(heap.slice, 0));
    for (unsigned i = 0; i < 8; i++)
        take(4 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 1);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 0);
}
END_TEST

START_TEST(a_large_block_is_huge_from_its_first_byte)
{
    char *block = take(FRONT_MB * MB + 1);
    ck_assert(covers_all(fake_os_last(FAKE_ADVISE_HUGE, block)));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), 0);
}
END_TEST

START_TEST(what_fails_is_no_reason)
{
    bool zeroed;
    char *block = take(MB), *behind = take(MB);
    ck_assert_ptr_null(vl_big_heap_take(&heap, SLICE_SIZE + 1, 1, NULL, &zeroed));
    ck_assert_ptr_null(vl_big_heap_take(&heap, SLICE_SIZE - MB, 1, NULL, &zeroed));
    ck_assert(!vl_big_heap_resize(&heap, block, SLICE_SIZE + 1));
    ck_assert(!vl_big_heap_resize(&heap, block, 2 * FRONT_MB * MB)); /* the other is in the way */
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0);
    give(behind);
}
END_TEST

/* As long as it moves, both places count as in use. */
START_TEST(a_block_that_moves_counts_once)
{
    char *block = take(FRONT_MB * MB / 2 + 2 * MB);
    ck_assert_ptr_nonnull(vl_big_heap_move(&heap, block, FRONT_MB * MB));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0);
}
END_TEST

/* Kept memory has small pages, which are made huge ones for who wants these. */
START_TEST(who_wants_huge_pages_gets_no_kept_small_ones)
{
    struct vl_holding holding = {.hugepage_mode = VL_HUGEPAGE_ALWAYS, .node = -1, .bind_node = -1};
    bool zeroed;
    char *kept = take_dirty(6 * MB);
    give(kept);
    ck_assert_ptr_eq(vl_big_heap_take(&heap, 6 * MB, 1, &holding, &zeroed), kept);
    ck_assert(!zeroed);
    for (size_t offset = 0; offset < 6 * MB; offset += 2 * MB)
        ck_assert(was_collapsed(kept + offset));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), 3);
}
END_TEST

/* Another thread was about to note the length of an extent. */
START_TEST(a_front_torn_by_a_fork_is_left_alone)
{
    take(4 * MB);
    vl_set(&heap.lock.word, VL_LOCK_HELD);
    heap.extents.fresh += VL_HUGE_GRAINS;
    vl_big_heap_after_fork(&heap);
    char *block = take(4 * MB);
    for (unsigned i = 0; i < 3; i++)
        take(FRONT_MB * MB + MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 1);
    ck_assert(was_collapsed(block) && was_collapsed(block + 2 * MB));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), 2);
}
END_TEST

START_TEST(outgrown_by_a_block_that_grows)
{
    char *block = take(FRONT_MB * MB - 2 * MB);
    ck_assert(vl_big_heap_resize(&heap, block, FRONT_MB * MB));
    ck_assert(vl_big_heap_resize(&heap, block, 4 * MB));
    ck_assert(vl_big_heap_resize(&heap, block, FRONT_MB * MB));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0);
    ck_assert(vl_big_heap_resize(&heap, block, FRONT_MB * MB + 1));
    ck_assert(covers_all(fake_os_last(FAKE_ADVISE_HUGE, block)));
}
END_TEST

/* As for hp_malloc. */
START_TEST(who_wants_huge_pages_has_them)
{
    struct vl_holding holding = {.hugepage_mode = VL_HUGEPAGE_ALWAYS, .node = -1, .bind_node = -1};
    bool zeroed;
    void *block = vl_big_heap_take(&heap, MB, 1, &holding, &zeroed);
    ck_assert(covers_all(fake_os_last(FAKE_ADVISE_HUGE, block)));
}
END_TEST

START_TEST(who_wants_none_changes_nothing)
{
    struct vl_holding holding = {.hugepage_mode = VL_HUGEPAGE_NEVER, .node = -1, .bind_node = -1};
    bool zeroed;
    ck_assert_ptr_nonnull(vl_big_heap_take(&heap, MB, 1, &holding, &zeroed));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0);
}
END_TEST

START_TEST(never_is_respected)
{
    fake_os_set_thp_mode(VL_THP_MODE_NEVER);
    for (unsigned i = 0; i < 8; i++)
        take(FRONT_MB * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE) + fake_os_count(FAKE_ADVISE_COLLAPSE), 0);
}
END_TEST

static void start_always(void)
{
    fake_os_install();
    vl_options.huge_start_bytes = FRONT_MB * MB;
    vl_options.hugepage_mode = VL_HUGEPAGE_ALWAYS;
    start_heap();
}

START_TEST(always_has_no_front)
{
    ck_assert(!vl_slice_is_small(heap.slice, 0));
    take(2 * FRONT_MB * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0); /* since it was made */
}
END_TEST

/* --- Promotion --- */

/* The first block has a stretch and a half, the second two, the third is free again. */
START_TEST(one_stretch_of_the_front_with_each_block)
{
    char *odd = take(3 * MB + 256 * KB), *even = take(4 * MB), *freed = take(4 * MB);
    ck_assert(is_aligned(odd, 2 * MB) && is_aligned(even, 2 * MB));
    give(freed);
    take(FRONT_MB * MB);
    ck_assert(was_collapsed(odd));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), 1);
    take(4 * MB); /* what is kept serves */
    ck_assert(was_collapsed(even));
    char *block = take(8 * MB);
    ck_assert(was_collapsed(even + 2 * MB));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), 3);
    ck_assert(vl_big_heap_resize(&heap, block, 10 * MB));
    ck_assert(was_collapsed(freed));
    for (unsigned i = 0; i < 8; i++)
        take(4 * MB);
    ck_assert_uint_eq(vl_get(&heap.thp.promoted), 5);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), 5);
}
END_TEST

START_TEST(what_was_not_written_is_left_alone)
{
    take(4 * MB);
    fake_os_fail_from(FAKE_PRESENT, 1, ENOENT);
    for (unsigned i = 0; i < 4; i++)
        take(FRONT_MB * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), 0);
    ck_assert_uint_eq(vl_get(&heap.thp.promoted) + vl_get(&heap.thp.refused), 0);
}
END_TEST

/* A huge page would lie on one node. */
START_TEST(what_is_spread_over_nodes_is_left_alone)
{
    static const struct vl_node_mask nodes;
    heap.slice->spread = &nodes;
    take(4 * MB);
    for (unsigned i = 0; i < 4; i++)
        take(FRONT_MB * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 1);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), 0);
}
END_TEST

START_TEST(refused_it_is_counted)
{
    take(4 * MB);
    fake_os_fail_from(FAKE_ADVISE_COLLAPSE, 1, EINVAL);
    for (unsigned i = 0; i < 4; i++)
        take(FRONT_MB * MB);
    ck_assert_uint_eq(vl_get(&heap.thp.refused), 2); /* each once */
    ck_assert_uint_eq(vl_get(&heap.thp.promoted), 0);
}
END_TEST

/* --- Holding back --- */

/* A touch that the kernel has compacted memory for. */
static void stall(void)
{
    static char region[VL_REGION_SIZE];
    fake_os_set_touch(1000, 1);
    vl_stall_first_touch(region, region);
    for (uint64_t i = 0; !vl_stall_is_held() && i < 100; i++) {
        fake_os_set_touch(5000000, 2);
        vl_stall_first_touch(region, region);
    }
}

START_TEST(the_front_is_left_for_small_pages_then)
{
    stall();
    take(2 * FRONT_MB * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0);
    ck_assert(vl_slice_is_small(heap.slice, 0));
    fake_os_sleep(HOLD_MS);
    char *block = take(MB);
    ck_assert(covers_all(fake_os_last(FAKE_ADVISE_HUGE, block)));
}
END_TEST

START_TEST(done_without_for_a_while)
{
    char *before = take(4 * MB);
    stall();
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 0);
    char *block = take(4 * MB);
    ck_assert(covers_all(fake_os_last(FAKE_ADVISE_SMALL, block)));
    take(4 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 1);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0);
    give(before);

    fake_os_sleep(HOLD_MS);
    block = take(4 * MB);
    ck_assert(covers_all(fake_os_last(FAKE_ADVISE_HUGE, block)));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 1);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 1);
}
END_TEST

/* Memory that comes anew meanwhile is as all other. */
START_TEST(renewed_without_for_a_while)
{
    char *moved = vl_big_heap_move(&heap, take_dirty(4 * MB), 4 * MB);
    stall();
    take(2 * MB);
    give(moved);
    ck_assert_uint_eq(fake_os_last(FAKE_ADVISE_SMALL, moved)->size, 4 * MB);
}
END_TEST

START_TEST(thp_does_not_hold_back)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_THP;
    stall();
    take(4 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 0);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("big_thp");
    TCase *front = tcase_create("front"), *promotion = tcase_create("promotion");
    TCase *always = tcase_create("always"), *slow = tcase_create("slow");
    TCase *hold = tcase_create("hold");

    tcase_add_checked_fixture(front, start_small, NULL);
    tcase_add_test(front, a_small_heap_stays_small);
    tcase_add_test(front, outgrown_all_is_huge_at_once);
    tcase_add_test(front, a_large_block_is_huge_from_its_first_byte);
    tcase_add_test(front, what_fails_is_no_reason);
    tcase_add_test(front, a_block_that_moves_counts_once);
    tcase_add_test(front, who_wants_huge_pages_gets_no_kept_small_ones);
    tcase_add_test(front, a_front_torn_by_a_fork_is_left_alone);
    tcase_add_test(front, outgrown_by_a_block_that_grows);
    tcase_add_test(front, who_wants_huge_pages_has_them);
    tcase_add_test(front, who_wants_none_changes_nothing);
    tcase_add_test(front, never_is_respected);
    suite_add_tcase(suite, front);

    tcase_add_checked_fixture(slow, start_small, NULL);
    tcase_add_test(slow, the_front_is_left_for_small_pages_then);
    suite_add_tcase(suite, slow);

    tcase_add_checked_fixture(always, start_always, NULL);
    tcase_add_test(always, always_has_no_front);
    suite_add_tcase(suite, always);

    tcase_add_checked_fixture(promotion, start_small, NULL);
    tcase_add_test(promotion, one_stretch_of_the_front_with_each_block);
    tcase_add_test(promotion, what_was_not_written_is_left_alone);
    tcase_add_test(promotion, what_is_spread_over_nodes_is_left_alone);
    tcase_add_test(promotion, refused_it_is_counted);
    suite_add_tcase(suite, promotion);

    tcase_add_checked_fixture(hold, start_world, NULL);
    tcase_add_test(hold, done_without_for_a_while);
    tcase_add_test(hold, renewed_without_for_a_while);
    tcase_add_test(hold, thp_does_not_hold_back);
    suite_add_tcase(suite, hold);
    return suite;
}
