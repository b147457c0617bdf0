/* hugepage/big_heap in the child of a fork, over the false system: lists that are torn, blocks that
 * are not. */
#include "tests/hugepage/held_blocks.h"

START_TEST(fork_with_the_lock_free_changes_nothing)
{
    uint64_t random = test_seed();
    churn(300, &random);
    struct vl_big_heap before = heap;
    vl_big_heap_after_fork(&heap);
    ck_assert_mem_eq(&heap, &before, sizeof heap);
}
END_TEST

/* As a thread may have left the lists that was stopped anywhere in its work. */
static void tear(uint64_t *random)
{
    struct vl_extent_bins *both[] = {&heap.extents.dirty, &heap.extents.clean};
    heap.lock.word = random_next(random) % 2 == 0 ? VL_LOCK_HELD : VL_LOCK_CONTENDED;
    for (int i = 0; i < 2; i++) {
        for (unsigned word = 0; word < VL_EXTENT_BIN_WORDS; word++)
            both[i]->occupied[word] = random_next(random);
        for (unsigned bin = 0; bin < VL_EXTENT_BINS; bin++)
            both[i]->first[bin].plus_one = (uint32_t)random_next(random);
    }
    heap.extents.newest.plus_one = heap.extents.oldest.plus_one = 0x7fffffff;
    heap.extents.grains_dirty = random_next(random);
    for (uint32_t grain = 0; grain < heap.extents.fresh; grain++) {
        struct vl_extent *extent = &heap.extents.table[grain];
        if (extent->state == VL_EXTENT_USED)
            continue; /* links are those of free ones */
        extent->next.plus_one = extent->prev.plus_one = (uint32_t)random_next(random);
        extent->older.plus_one = extent->newer.plus_one = (uint32_t)random_next(random);
    }
}

START_TEST(fork_with_the_lock_held)
{
    uint64_t random = test_seed();
    churn(300, &random);
    while (held_count > 10)
        drop(held_count - 1);
    tear(&random);
    vl_big_heap_after_fork(&heap);
    ck_assert_uint_eq(heap.lock.word, VL_LOCK_FREE);
    for (unsigned i = 0; i < held_count; i++)
        check_block(&held[i]);
    churn(1000, &random);
    drop_all();
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 0);
    ck_assert_uint_eq(vl_get(&heap.blocks_used), 0);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("big_heap_fork");
    TCase *fork = timed_case("fork", 60);

    tcase_add_checked_fixture(fork, start_world, NULL);
    tcase_add_test(fork, fork_with_the_lock_free_changes_nothing);
    tcase_add_test(fork, fork_with_the_lock_held);
    suite_add_tcase(suite, fork);
    return suite;
}
