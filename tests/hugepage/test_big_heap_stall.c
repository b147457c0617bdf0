/* hugepage/big_heap over the false system, when huge pages are slow to come: it does without them
 * for a while. */
#include "hugepage/stall.h"
#include "tests/hugepage/big_heap_world.h"

enum { HOLD_MS = 1000 };

/* A touch that the kernel has compacted memory for. */
static void stall(void)
{
    static char memory;
    fake_os_set_touch(1000, 1);
    vl_stall_watch_touch(&memory);
    for (uint64_t i = 0; !vl_stall_is_held() && i < 100; i++) {
        fake_os_set_touch(5000000, 2);
        vl_stall_watch_touch(&memory);
    }
}

static bool covers_all(const struct fake_os_record *advice)
{
    return advice != NULL && advice->start == (void *)heap.slice->start &&
           advice->size == SLICE_SIZE;
}

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
    Suite *suite = suite_create("big_heap_stall");
    TCase *hold = tcase_create("hold");

    tcase_add_checked_fixture(hold, start_world, NULL);
    tcase_add_test(hold, done_without_for_a_while);
    tcase_add_test(hold, renewed_without_for_a_while);
    tcase_add_test(hold, thp_does_not_hold_back);
    suite_add_tcase(suite, hold);
    return suite;
}
