/* cache/reserve: memory fetched ahead of need, once it is seen that there will be one; by node, by threads,
 * and no more than can be had. */
#include "tests/world.h"

#include "cache/reserve.h"

#include <errno.h>
#include <sys/wait.h>

enum { START = 32 << 20 };

static int quiet_fd = -1; /* what standard error was; the line about what is missing goes to a file */

static void set_up(const char *amounts, unsigned nodes)
{
    FILE *said = tmpfile();
    ck_assert_ptr_nonnull(said);
    quiet_fd = dup(2);
    dup2(fileno(said), 2);
    vl_options.reserve = amounts;
    vl_options.huge_start_bytes = START;
    begin_world(nodes);
}

static void said(char *line, size_t size)
{
    ssize_t length = pread(2, line, size - 1, 0);
    line[length < 0 ? 0 : length] = '\0';
}

static uint64_t empty_on(unsigned node)
{
    uint64_t regions = 0;
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++)
        if (vl_slices[i].kind == VL_SLICE_NODE && vl_slices[i].node == node)
            regions += vl_get(&vl_page_heaps[i].regions_empty);
    return regions << VL_REGION_SHIFT;
}

static struct vl_reserve_report grow(void)
{
    vl_free(vl_alloc(START));
    return vl_reserve_report();
}

static void check_whole(uint64_t bytes)
{
    char line[200];
    struct vl_reserve_report report = grow();
    ck_assert(report.done);
    ck_assert_int_eq(report.lack, VL_RESERVE_WHOLE);
    ck_assert_uint_eq(report.got, bytes);
    said(line, sizeof line);
    ck_assert_str_eq(line, "");
}

static void check_lack(enum vl_reserve_lack lack, uint64_t least, uint64_t most)
{
    char line[200];
    struct vl_reserve_report report = grow();
    ck_assert_int_eq(report.lack, lack);
    ck_assert_uint_ge(report.got, least);
    ck_assert_uint_le(report.got, most);
    said(line, sizeof line);
    ck_assert_ptr_nonnull(strstr(line, "valloc: VALLOC_HUGEPAGE_RESERVE: got "));
    ck_assert_ptr_nonnull(strstr(line, vl_reserve_lack_text(lack)));
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
}

START_TEST(a_small_program_gets_none)
{
    set_up("100M", 1);
    for (int i = 0; i < 20000; i++)
        ck_assert_ptr_nonnull(vl_alloc(1000));
    ck_assert_ptr_nonnull(vl_alloc(4 * MB));
    ck_assert(!vl_reserve_report().done);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_POPULATE), 0);
}
END_TEST

START_TEST(one_that_grows_does)
{
    set_up("100M", 1);
    for (int i = 0; i < 40000; i++)
        ck_assert_ptr_nonnull(vl_alloc(1000));
    ck_assert(vl_reserve_report().done);
    ck_assert_uint_eq(vl_reserve_report().got, 100 * MB);
}
END_TEST

START_TEST(so_does_a_big_block_before_it_is_taken)
{
    set_up("100M", 1);
    check_whole(100 * MB);
    ck_assert_uint_eq(empty_on(0), 100 * MB);
    ck_assert_uint_gt(vl_reserve_report().threads, 1);
}
END_TEST

/* No region is opened, and none goes back with age; at a trim all do. */
START_TEST(it_is_used_first_and_kept)
{
    set_up("100M", 1);
    vl_options.purge_delay_ms = _i * 1000;
    check_whole(100 * MB);
    static void *blocks[80];
    for (int i = 0; i < 80; i++)
        blocks[i] = vl_alloc(1000 * 1000);
    ck_assert_uint_eq(empty_on(0), 20 * MB); /* two in a region */
    for (int i = 0; i < 80; i++)
        vl_free(blocks[i]);
    fake_os_sleep(5000);
    vl_place_purge((uint64_t)vl_options.purge_delay_ms);
    ck_assert_uint_ge(empty_on(0), 98 * MB);
    ck_assert_uint_le(empty_on(0), 100 * MB);
    vl_trim();
    ck_assert_uint_eq(empty_on(0), 0);
}
END_TEST

START_TEST(a_part_for_each_node)
{
    set_up("64M", 4);
    check_whole(64 * MB);
    for (unsigned node = 0; node < 4; node++)
        ck_assert_uint_eq(empty_on(node), 16 * MB);
}
END_TEST

START_TEST(nodes_by_number)
{
    set_up("3:20M,1:10M", 4);
    check_whole(30 * MB);
    ck_assert_uint_eq(empty_on(0), 0);
    ck_assert_uint_eq(empty_on(1), 10 * MB);
    ck_assert_uint_eq(empty_on(2), 0);
    ck_assert_uint_eq(empty_on(3), 20 * MB);
}
END_TEST

START_TEST(a_node_that_is_not_there)
{
    set_up("1:10M,9:20M", 4);
    check_lack(VL_RESERVE_NODE, 10 * MB, 10 * MB);
}
END_TEST

START_TEST(no_more_than_the_machine_has)
{
    set_up("200M", 2);
    fake_os_set_available(64 * MB);
    check_lack(VL_RESERVE_MEMORY, 24 * MB, 28 * MB); /* less a block of 32 and what is to be left */
}
END_TEST

START_TEST(no_more_than_the_limit)
{
    vl_options.limit_hard = (int64_t)(100 * MB);
    set_up("200M", 1);
    check_lack(VL_RESERVE_LIMIT, 64 * MB, 68 * MB);
    ck_assert_uint_le(vl_limits_now().held, 100 * MB);
}
END_TEST

/* Nothing is fetched for what cannot be, nor taken from what is about to be used. */
START_TEST(the_block_that_comes_first)
{
    vl_options.limit_hard = (int64_t)(100 * MB);
    set_up("200M", 1);
    ck_assert_ptr_null(vl_alloc((size_t)1 << 60));
    ck_assert_ptr_null(vl_alloc(101 * MB));
    ck_assert(!vl_reserve_report().done);
    ck_assert_ptr_nonnull(vl_alloc(60 * MB));
    ck_assert_uint_le(vl_reserve_report().got, 40 * MB);
    ck_assert_uint_ge(vl_reserve_report().got, 36 * MB);
}
END_TEST

START_TEST(no_more_than_a_quarter_of_the_address_space)
{
    set_up("200M", 1);
    ck_assert_ptr_nonnull(vl_alloc(16));
    fake_os_set_address_limit(400 * MB);
    check_lack(VL_RESERVE_LIMIT, 98 * MB, 100 * MB);
}
END_TEST

/* What the stock holds does not stand in the way of what takes from it. */
START_TEST(a_limit_and_a_pool)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    vl_options.limit_hard = (int64_t)(100 * MB);
    set_up("200M", 1);
    fake_os_set_pool(60);
    ck_assert_ptr_nonnull(vl_alloc(START));
    ck_assert_uint_ge(vl_stock_left(), 30 * MB);
    for (int i = 0; i < 60; i++)
        ck_assert_ptr_nonnull(vl_alloc(1000 * 1000));
    ck_assert_uint_le(vl_limits_now().held, 100 * MB);
    vl_trim();
    ck_assert_uint_eq(vl_stock_left(), 0);
}
END_TEST

/* What was fetched behind the step that failed has gone back. */
START_TEST(a_step_that_is_refused)
{
    set_up("320M", 1);
    fake_os_fail(FAKE_ADVISE_POPULATE, 4, EINVAL);
    check_lack(VL_RESERVE_REFUSED, 0, 288 * MB);
    ck_assert_uint_eq(empty_on(0), vl_reserve_report().got);
    ck_assert_uint_gt(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    for (int i = 0; i < 200; i++)
        ck_assert_ptr_nonnull(vl_alloc(1000 * 1000));
}
END_TEST

static const struct vl_os *os_below;

static int populate_slowly(void *start, size_t size, enum vl_advice advice)
{
    if (advice == VL_ADVICE_POPULATE)
        fake_os_sleep(1000);
    return os_below->advise(start, size, advice);
}

START_TEST(no_longer_than_the_time)
{
    static struct vl_os slow;
    set_up("640M", 1);
    vl_options.reserve_time_ms = 5000;
    os_below = vl_os;
    slow = *vl_os;
    slow.advise = populate_slowly;
    vl_os = &slow;
    check_lack(VL_RESERVE_TIME, 32 * MB, 5 * 32 * MB);
}
END_TEST

START_TEST(of_the_pool)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    fake_os_set_pool(0);
    set_up("40M", 1);
    fake_os_set_pool(30);
    struct vl_reserve_report report = grow();
    ck_assert_int_eq(report.lack, VL_RESERVE_WHOLE);
    ck_assert_uint_eq(report.got, 40 * MB);
    ck_assert_uint_eq(vl_stock_left(), 8 * MB); /* the block had 16 pages of 20, and gave them back */
    ck_assert_uint_eq(fake_os_pool(), 26);
}
END_TEST

START_TEST(of_a_pool_that_is_short)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    set_up("400M", 2);
    fake_os_set_pool(60);
    check_lack(VL_RESERVE_POOL, 60 * VL_REGION_SIZE, 60 * VL_REGION_SIZE);
}
END_TEST

START_TEST(a_child_that_grows_makes_its_own)
{
    set_up("100M", 1);
    ck_assert_ptr_nonnull(vl_alloc(16));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(grow().got == 100 * MB ? 0 : 1);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert(!vl_reserve_report().done);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/reserve");
    TCase *regions = tcase_create("regions"), *lacks = tcase_create("lacks");
    TCase *pool = tcase_create("pool");

    tcase_add_test(regions, a_small_program_gets_none);
    tcase_add_test(regions, one_that_grows_does);
    tcase_add_test(regions, so_does_a_big_block_before_it_is_taken);
    tcase_add_loop_test(regions, it_is_used_first_and_kept, 0, 2);
    tcase_add_test(regions, a_part_for_each_node);
    tcase_add_test(regions, nodes_by_number);
    tcase_add_test(regions, a_child_that_grows_makes_its_own);
    suite_add_tcase(suite, regions);

    tcase_add_test(lacks, a_node_that_is_not_there);
    tcase_add_test(lacks, no_more_than_the_machine_has);
    tcase_add_test(lacks, no_more_than_the_limit);
    tcase_add_test(lacks, the_block_that_comes_first);
    tcase_add_test(lacks, no_more_than_a_quarter_of_the_address_space);
    tcase_add_test(lacks, a_step_that_is_refused);
    tcase_add_test(lacks, no_longer_than_the_time);
    suite_add_tcase(suite, lacks);

    tcase_add_test(pool, of_the_pool);
    tcase_add_test(pool, a_limit_and_a_pool);
    tcase_add_test(pool, of_a_pool_that_is_short);
    suite_add_tcase(suite, pool);
    return suite;
}
