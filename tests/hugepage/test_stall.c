/* hugepage/stall over the false system: which touches are timed, what is held against huge pages, for
 * how long. */
#include "tests/api/support.h"

#include "hugepage/stall.h"
#include "tests/fake_os.h"

#include <errno.h>

#define QUICK UINT64_C(100000)
#define SLOW  UINT64_C(5000000)

enum { TIMED_EACH = 16, FIRST_HOLD_MS = 1000, LONGEST_HOLD_MS = 64 * 1000 };

static char region[VL_REGION_SIZE];

static void touch(uint64_t ns, uint64_t compactions)
{
    fake_os_set_touch(ns, compactions);
    vl_stall_first_touch(region, region);
}

/* A first touch finds out how many compactions there were before. */
static void start_world(void)
{
    fake_os_install();
    touch(QUICK, 7);
}

static void touch_until_timed(uint64_t ns, uint64_t compactions)
{
    for (int i = 0; i < TIMED_EACH; i++)
        touch(ns, compactions);
}

START_TEST(quick_touches_hold_nothing)
{
    for (uint64_t i = 0; i < 100; i++)
        touch(QUICK, 8 + i);
    ck_assert(!vl_stall_is_held());
    ck_assert_uint_eq(vl_get(&vl_stall_holds), 0);
}
END_TEST

/* Each look at the clock moves it. */
START_TEST(one_in_sixteen_is_timed)
{
    fake_os_set_touch(QUICK, 7);
    uint64_t start = vl_os->clock_ns();
    for (int i = 0; i < 10 * TIMED_EACH; i++)
        vl_stall_first_touch(region, region);
    ck_assert_uint_eq((vl_os->clock_ns() - start) / QUICK, 2 * 10 + 1);
}
END_TEST

static bool was_populated(void)
{
    return fake_os_last(FAKE_ADVISE_POPULATE, region + VL_REGION_SIZE - vl_os_page_size) != NULL;
}

/* Timed or not, in every mode; where the kernel cannot, by what is the caller's. */
START_TEST(every_one_is_touched)
{
    static const enum vl_hugepage_mode modes[] = {VL_HUGEPAGE_AUTO, VL_HUGEPAGE_THP,
                                                  VL_HUGEPAGE_ALWAYS};
    vl_options.hugepage_mode = modes[_i];
    memset(region, 1, sizeof region);
    for (int i = 0; i < 2 * TIMED_EACH; i++) {
        fake_os_forget();
        vl_stall_first_touch(region, region + 100);
        ck_assert(was_populated());
        ck_assert_int_eq(region[100], 1);
    }
    fake_os_fail_from(FAKE_ADVISE_POPULATE, 1, EINVAL);
    vl_stall_first_touch(region, region + 100);
    ck_assert_int_eq(region[100], 0);
    region[100] = 1;
    for (size_t i = 0; i < sizeof region; i++)
        ck_assert_int_eq(region[i], 1);
}
END_TEST

START_TEST(slow_without_compaction_is_no_stall)
{
    touch_until_timed(SLOW, 7);
    ck_assert(!vl_stall_is_held());
}
END_TEST

START_TEST(slow_with_compaction_is)
{
    touch_until_timed(SLOW, 8);
    ck_assert(vl_stall_is_held());
    ck_assert_uint_eq(vl_get(&vl_stall_holds), 1);
    fake_os_sleep(FIRST_HOLD_MS - 1);
    ck_assert(vl_stall_is_held());
    fake_os_sleep(1);
    ck_assert(!vl_stall_is_held());
}
END_TEST

START_TEST(a_kernel_that_does_not_say_is_believed_slow)
{
    touch_until_timed(SLOW, UINT64_MAX);
    ck_assert(vl_stall_is_held());
}
END_TEST

/* The next touch after a hold is timed at once. */
START_TEST(each_hold_in_a_row_is_twice_as_long)
{
    uint64_t compactions = 8;
    touch_until_timed(SLOW, compactions);
    for (uint64_t length = FIRST_HOLD_MS; length < LONGEST_HOLD_MS; length *= 2) {
        fake_os_sleep(length);
        ck_assert(!vl_stall_is_held());
        touch(SLOW, ++compactions);
        fake_os_sleep(2 * length - 1);
        ck_assert(vl_stall_is_held());
        fake_os_sleep(1);
        ck_assert(!vl_stall_is_held());
        fake_os_set_clock(vl_os->clock_ms() - 2 * length);
    }
    fake_os_sleep(LONGEST_HOLD_MS);
    touch(SLOW, ++compactions);
    fake_os_sleep(LONGEST_HOLD_MS - 1);
    ck_assert(vl_stall_is_held());
    fake_os_sleep(1);
    ck_assert(!vl_stall_is_held());
}
END_TEST

START_TEST(a_quick_touch_makes_the_next_hold_short_again)
{
    touch_until_timed(SLOW, 8);
    fake_os_sleep(FIRST_HOLD_MS);
    touch(SLOW, 9);
    fake_os_sleep(2 * FIRST_HOLD_MS);
    touch(QUICK, 9);
    touch_until_timed(SLOW, 10);
    ck_assert(vl_stall_is_held());
    fake_os_sleep(FIRST_HOLD_MS);
    ck_assert(!vl_stall_is_held());
}
END_TEST

START_TEST(a_slow_collapse_counts_as_well)
{
    vl_stall_watch_collapse(SLOW); /* that is not slow, for a collapse */
    ck_assert(!vl_stall_is_held());
    vl_stall_watch_collapse(20 * SLOW);
    ck_assert(!vl_stall_is_held());
    fake_os_set_touch(QUICK, 8);
    vl_stall_watch_collapse(20 * SLOW);
    ck_assert(vl_stall_is_held());
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("stall");
    TCase *all = tcase_create("touches and holds");
    tcase_add_checked_fixture(all, start_world, NULL);
    tcase_add_test(all, quick_touches_hold_nothing);
    tcase_add_test(all, one_in_sixteen_is_timed);
    tcase_add_loop_test(all, every_one_is_touched, 0, 3);
    tcase_add_test(all, slow_without_compaction_is_no_stall);
    tcase_add_test(all, slow_with_compaction_is);
    tcase_add_test(all, a_kernel_that_does_not_say_is_believed_slow);
    tcase_add_test(all, each_hold_in_a_row_is_twice_as_long);
    tcase_add_test(all, a_quick_touch_makes_the_next_hold_short_again);
    tcase_add_test(all, a_slow_collapse_counts_as_well);
    suite_add_tcase(suite, all);
    return suite;
}
