/* hugepage/limit alone: what is allowed, when threads are asked to flush, what a group leaves. */
#include "tests/api/support.h"

#include "core/cgroup.h"
#include "hugepage/limit.h"
#include "tests/fake_os.h"
#include "tests/folders.h"

static uint64_t told, told_by_another;
static uint32_t seen;

static void start_with(int64_t soft, int64_t hard)
{
    fake_os_install();
    vl_options.limit_soft = soft;
    vl_options.limit_hard = hard;
    vl_limit_start();
}

static void hold(uint64_t bytes)
{
    vl_limit_tell(&told, bytes);
    vl_limit_watch();
}

START_TEST(without_limits_all_is_allowed)
{
    start_with(VL_LIMIT_NONE, VL_LIMIT_NONE);
    hold(50 * GB);
    ck_assert(vl_limit_allows(UINT64_MAX / 2));
    ck_assert(!vl_limit_is_pressed(&seen));
    ck_assert_uint_eq(vl_limits_now().hard, UINT64_MAX);
}
END_TEST

START_TEST(heaps_add_up)
{
    start_with(VL_LIMIT_NONE, 100 * MB);
    vl_limit_tell(&told, 30 * MB);
    vl_limit_tell(&told_by_another, 50 * MB);
    ck_assert_uint_eq(vl_limits_now().held, 80 * MB);
    ck_assert(vl_limit_allows(20 * MB));
    ck_assert(!vl_limit_allows(20 * MB + 1));
    vl_limit_tell(&told, 10 * MB);
    ck_assert(vl_limit_allows(40 * MB));
    ck_assert(!vl_limit_allows(UINT64_MAX));
    ck_assert_uint_eq(vl_limits_now().refusals, 0);
    vl_limit_refused();
    ck_assert_uint_eq(vl_limits_now().refusals, 1);
}
END_TEST

START_TEST(the_soft_one_asks_and_allows)
{
    start_with(64 * MB, VL_LIMIT_NONE);
    hold(64 * MB);
    ck_assert(!vl_limit_is_pressed(&seen));
    hold(66 * MB);
    ck_assert(vl_limit_is_pressed(&seen));
    ck_assert(!vl_limit_is_pressed(&seen));
    ck_assert(vl_limit_allows(GB));
    hold(68 * MB); /* too soon */
    ck_assert(!vl_limit_is_pressed(&seen));
    hold(70 * MB);
    ck_assert(vl_limit_is_pressed(&seen));
    hold(10 * MB);
    hold(65 * MB); /* anew */
    ck_assert(vl_limit_is_pressed(&seen));
}
END_TEST

static void put_number(const char *path, const char *name, uint64_t number)
{
    char text[64];
    snprintf(text, sizeof text, "%s%lu\n", name, (unsigned long)number);
    put_file(path, text);
}

static void put_group(uint64_t limit, uint64_t used)
{
    put_file("proc/self/cgroup", "0::/\n");
    put_number("sys/fs/cgroup/memory.max", "", limit);
    put_number("sys/fs/cgroup/memory.stat", "anon ", used);
}

START_TEST(a_share_of_the_group_less_what_others_use)
{
    make_folders();
    vl_cgroup_root = folders_root;
    put_group(GB, 0);
    start_with(VL_LIMIT_NONE - 25, VL_LIMIT_NONE - 50);
    ck_assert_uint_eq(vl_limits_now().soft, GB / 100 * 25);
    ck_assert_uint_eq(vl_limits_now().hard, GB / 100 * 50);
    hold(100 * MB);
    put_group(GB, 300 * MB); /* 200 of them are others' */
    hold(110 * MB);
    ck_assert_uint_eq(vl_limits_now().hard, GB / 100 * 50);
    hold(140 * MB);
    ck_assert_uint_eq(vl_limits_now().hard, GB / 100 * 50 - 160 * MB);
    ck_assert(vl_limit_allows(GB / 100 * 50 - 300 * MB));
    ck_assert(!vl_limit_allows(GB / 100 * 50 - 300 * MB + 1));
    put_group(GB, GB); /* nothing is left, which is no reason to underflow */
    hold(180 * MB);
    ck_assert_uint_eq(vl_limits_now().hard, 0);
    put_group(GB, 0); /* nobody can grow now; what is refused looks again, but not all the time */
    vl_limit_refused();
    ck_assert_uint_eq(vl_limits_now().hard, GB / 100 * 50);
    put_group(GB, GB);
    vl_limit_refused();
    ck_assert_uint_eq(vl_limits_now().hard, GB / 100 * 50);
    fake_os_sleep(100);
    vl_limit_refused();
    ck_assert_uint_eq(vl_limits_now().hard, 0);
    remove_folders();
}
END_TEST

START_TEST(without_a_group_a_share_of_the_machine)
{
    vl_cgroup_root = "/nonexistent";
    fake_os_install();
    fake_os_set_memory(10 * GB);
    vl_options.limit_hard = VL_LIMIT_NONE - 10;
    vl_limit_start();
    ck_assert_uint_eq(vl_limits_now().hard, 10 * GB / 100 * 10);
    ck_assert_uint_eq(vl_limits_now().soft, UINT64_MAX);
}
END_TEST

START_TEST(a_fork_counts_anew)
{
    start_with(VL_LIMIT_NONE, 100 * MB);
    vl_limit_tell(&told, 90 * MB);
    vl_limit_tell(&told_by_another, 5 * MB);
    vl_limit_after_fork(told);
    ck_assert_uint_eq(vl_limits_now().held, 90 * MB);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("limit");
    TCase *all = tcase_create("limit");
    tcase_add_test(all, without_limits_all_is_allowed);
    tcase_add_test(all, heaps_add_up);
    tcase_add_test(all, the_soft_one_asks_and_allows);
    tcase_add_test(all, a_share_of_the_group_less_what_others_use);
    tcase_add_test(all, without_a_group_a_share_of_the_machine);
    tcase_add_test(all, a_fork_counts_anew);
    suite_add_tcase(suite, all);
    return suite;
}
