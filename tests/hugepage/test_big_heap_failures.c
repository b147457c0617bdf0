/* hugepage/big_heap over a false system whose calls fail: nothing is lost, or no more than must be,
 * and what did not go back is still there. */
#include "tests/hugepage/held_blocks.h"

#include <errno.h>

START_TEST(discard_fails)
{
    char *block = take_dirty(4 * MB), *again;
    give(block);
    fake_os_fail_from(FAKE_ADVISE_DISCARD, 1, EINVAL);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, 0), 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 4 * MB);
    ck_assert_uint_eq(vl_get(&heap.purged_bytes), 0);
    ck_assert(!take_zeroed(4 * MB, &again));
    ck_assert_ptr_eq(again, block);
    give(again);
    fake_os_heal();
    ck_assert_uint_eq(vl_big_heap_purge(&heap, 0), 4 * MB);
}
END_TEST

START_TEST(protect_fails)
{
    bool zeroed;
    for (unsigned nth = 1; nth <= 2; nth++) { /* units, data */
        fake_os_fail_from(FAKE_PROTECT, nth, ENOMEM);
        ck_assert_ptr_null(take_aligned(8 * MB, 1, &zeroed));
        check_counts();
        fake_os_heal();
    }
    for (unsigned nth = 1; held_count < 10; nth = nth % 4 + 1) {
        fake_os_fail(FAKE_PROTECT, nth, ENOMEM);
        hold(8 * MB, 1);
        check_counts();
    }
    fake_os_heal();
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(any_call_fails)
{
    uint64_t random = test_seed();
    for (unsigned nth = 1; nth <= 30; nth++) {
        fake_os_fail(FAKE_ANY, nth, ENOMEM);
        churn(150, &random);
        drop_all();
        vl_big_heap_purge(&heap, 0);
        check_counts();
    }
    fake_os_heal();
    check_nothing_is_lost(true);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("big_heap_failures");
    TCase *failures = timed_case("failures", 60);

    tcase_add_checked_fixture(failures, start_world, NULL);
    tcase_add_test(failures, discard_fails);
    tcase_add_test(failures, protect_fails);
    tcase_add_test(failures, any_call_fails);
    suite_add_tcase(suite, failures);
    return suite;
}
