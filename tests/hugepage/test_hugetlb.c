/* hugepage/hugetlb over the false system: the order of steps, a pool that runs short, each step
 * failing, what goes back, what libhugetlbfs may say; and pages of 1 GB, one after the other. */
#include "hugepage/hugetlb.h"
#include "tests/hugepage/node_slice.h"

#define STRETCH (2 * VL_REGION_SIZE)

static char *start; /* of a stretch of two pages */

static void start_world(void)
{
    begin_slice(16 * MB, 4 * MB);
    start = (char *)slice->start + 6 * MB;
    fake_os_set_pool(64);
    fake_os_forget();
}

static enum vl_hugetlb_result take(void)
{
    return vl_hugetlb_take(slice, start, STRETCH);
}

/* As it was before: fresh memory that can be written, none of it of the pool. */
static void check_untouched(void)
{
    ck_assert_uint_eq(fake_os_hugetlb_pages(start, STRETCH), 0);
    ck_assert(is_zero(start, STRETCH));
    memset(start, 1, STRETCH);
    memset(start, 0, STRETCH);
}

START_TEST(bound_before_populated_before_in_place)
{
    static const enum fake_os_call steps[] = {FAKE_MAP_HUGETLB, FAKE_BIND, FAKE_ADVISE_POPULATE,
                                              FAKE_REPLACE};
    const struct fake_os_record *made;
    ck_assert_int_eq(take(), VL_HUGETLB_TAKEN);
    ck_assert_uint_eq(fake_os_records(&made), 4);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(made[i].call, steps[i]);
        ck_assert_ptr_eq(made[i].start, made[0].start);
        ck_assert_uint_eq(made[i].size, STRETCH);
    }
    ck_assert_uint_eq(made[1].node, 5);
    ck_assert_ptr_eq(made[3].to, start);
    ck_assert_uint_eq(fake_os_hugetlb_pages(start, STRETCH), 2);
    ck_assert_uint_eq(fake_os_pool(), 62);
    memset(start, 1, STRETCH);
}
END_TEST

START_TEST(the_user_s_policy_is_left_alone)
{
    slice->bind = false;
    ck_assert_int_eq(take(), VL_HUGETLB_TAKEN);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 0);
}
END_TEST

/* A page's node is told by where it will lie, or each block's first page would be on the same. */
START_TEST(what_is_spread_is_mapped_for_its_place)
{
    static const struct vl_node_mask nodes = {{3}};
    ck_assert_int_eq(take(), VL_HUGETLB_TAKEN);
    slice->spread = &nodes;
    ck_assert_int_eq(vl_hugetlb_take(slice, start + STRETCH, STRETCH), VL_HUGETLB_TAKEN);
    const struct fake_os_record *made;
    ck_assert_uint_eq(fake_os_records(&made), 8);
    ck_assert_ptr_null(made[0].to);
    ck_assert_int_eq(made[4].call, FAKE_MAP_HUGETLB);
    ck_assert_ptr_eq(made[4].to, start + STRETCH);
}
END_TEST

START_TEST(given_back)
{
    ck_assert_int_eq(take(), VL_HUGETLB_TAKEN);
    memset(start, 1, STRETCH);
    fake_os_forget();
    ck_assert(vl_hugetlb_give(slice, start, STRETCH, 1));
    ck_assert_uint_eq(fake_os_pool(), 64);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_RENEW, start));
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_HUGE, start));
    ck_assert_uint_eq(fake_os_last(FAKE_BIND, start)->node, 5);
    check_untouched();
}
END_TEST

/* Of a pool of one page a stretch of two gets none. */
START_TEST(a_short_pool)
{
    fake_os_set_pool((unsigned)_i);
    ck_assert_int_eq(take(), VL_HUGETLB_SHORT);
    ck_assert_uint_eq(fake_os_count(FAKE_ANY), 1); /* and nothing to be put right */
    ck_assert_uint_eq(fake_os_pool(), (unsigned)_i);
    check_untouched();
}
END_TEST

START_TEST(populate_fails)
{
    fake_os_fail(FAKE_ADVISE_POPULATE, 1, EFAULT);
    ck_assert_int_eq(take(), VL_HUGETLB_SHORT);
    ck_assert_uint_eq(fake_os_pool(), 64);
    ck_assert_uint_eq(fake_os_count(FAKE_REPLACE), 0);
    check_untouched();
    ck_assert_int_eq(take(), VL_HUGETLB_TAKEN);
}
END_TEST

START_TEST(bind_fails)
{
    fake_os_fail(FAKE_BIND, 1, EPERM);
    ck_assert_int_eq(take(), VL_HUGETLB_TAKEN);
}
END_TEST

/* Kernels before 5.16: once is enough. */
START_TEST(replace_fails)
{
    fake_os_fail(FAKE_REPLACE, 1, EINVAL);
    ck_assert_int_eq(take(), VL_HUGETLB_SHORT);
    ck_assert_uint_eq(fake_os_pool(), 64);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_RENEW, start));
    check_untouched();
    ck_assert_int_eq(take(), VL_HUGETLB_SHORT);
    ck_assert_uint_eq(fake_os_count(FAKE_MAP_HUGETLB), 1);
}
END_TEST

/* The hole is somebody else's by now, or stays one. */
START_TEST(replace_fails_for_good)
{
    fake_os_fail(FAKE_REPLACE, 1, EINVAL);
    fake_os_fail(_i == 0 ? FAKE_PLUG : FAKE_RENEW, 1, _i == 0 ? EEXIST : ENOMEM);
    ck_assert_int_eq(take(), VL_HUGETLB_LOST);
    ck_assert_uint_eq(fake_os_pool(), 64);
}
END_TEST

/* The kernel has 65,530 mappings for a process, and the program wants most of them. */
START_TEST(no_end_of_stretches)
{
    vl_hugetlb_recount((1 << 14) - 1);
    ck_assert_int_eq(take(), VL_HUGETLB_TAKEN);
    ck_assert_int_eq(vl_hugetlb_take(slice, start + STRETCH, STRETCH), VL_HUGETLB_SHORT);
    ck_assert(vl_hugetlb_give(slice, start, STRETCH, 1));
    ck_assert_int_eq(vl_hugetlb_take(slice, start + STRETCH, STRETCH), VL_HUGETLB_TAKEN);
}
END_TEST

static const struct vl_os *under_hook;

/* As a hook of mmap that allocates. */
static void *map_with_hook(size_t size, unsigned page_shift, const void *place)
{
    ck_assert_int_eq(vl_hugetlb_take(slice, (char *)slice->start, STRETCH), VL_HUGETLB_SHORT);
    return under_hook->map_hugetlb(size, page_shift, place);
}

START_TEST(a_hook_that_allocates)
{
    struct vl_os os = *vl_os;
    under_hook = vl_os;
    os.map_hugetlb = map_with_hook;
    vl_os = &os;
    ck_assert_int_eq(take(), VL_HUGETLB_TAKEN);
    vl_os = under_hook;
    ck_assert_uint_eq(fake_os_pool(), 62);
}
END_TEST

START_TEST(sizes_of_the_machine)
{
    static const long sizes[] = {1l << 30, 1l << 21};
    vl_hugetlb_set_sizes(sizes, 1);
    ck_assert_int_eq(take(), VL_HUGETLB_SHORT);
    ck_assert_uint_eq(fake_os_count(FAKE_ANY), 0);
    vl_hugetlb_set_sizes(sizes, 2);
    ck_assert_int_eq(take(), VL_HUGETLB_TAKEN);
    vl_hugetlb_set_sizes(sizes, 0);
    ck_assert_int_eq(take(), VL_HUGETLB_SHORT);
}
END_TEST

/* What is found is the machine's business; the environment is as it was. */
START_TEST(libhugetlbfs_is_asked)
{
    char **before = environ;
    setenv("HUGETLB_VERBOSE", "99", 1);
    setenv("HUGETLB_DEBUG", "1", 1);
    before = environ;
    vl_hugetlb_refine();
    ck_assert_ptr_eq(environ, before);
    ck_assert_str_eq(getenv("HUGETLB_VERBOSE"), "99");
}
END_TEST

/* --- Pages of 1 GB --- */

enum { GIANTS = 8 };

static char *giant_start; /* at a multiple of 1 GB */

static void start_world_of_giants(void)
{
    fake_os_install();
    ck_assert_ptr_nonnull(vl_slice_create(&(struct vl_slice_plan){
        .kind = VL_SLICE_BIG,
        .size = 8 * GB,
        .unit_shift = VL_GRAIN_SHIFT,
        .unit_bytes = 64,
        .huge = true,
        .bind = true,
        .bind_node = 5,
        .prepare = note_slice,
    }));
    ck_assert(vl_slice_extend(slice, 8 * GB));
    giant_start = (char *)vl_round_up(slice->start, GB);
    vl_options.hugepage_mode = VL_HUGEPAGE_GIANT;
    fake_os_set_pool(64);
    fake_os_set_giants(GIANTS);
    fake_os_forget();
}

/* For three gigabytes and a half. */
static enum vl_hugetlb_result take_giants(size_t *got)
{
    return vl_hugetlb_take_giants(slice, giant_start, 3 * GB + GB / 2, got);
}

/* So many, at the beginning, are pages of 1 GB; all can be written to. */
static void check_giants(unsigned pages)
{
    ck_assert_uint_eq(fake_os_giant_pages(giant_start, pages * GB), pages);
    ck_assert_uint_eq(fake_os_giant_pages((char *)slice->start, 8 * GB), pages);
    ck_assert_uint_eq(fake_os_hugetlb_pages((char *)slice->start, 8 * GB), 0);
    for (size_t at = 0; at < 4 * GB; at += GB / 2) {
        ck_assert_int_eq(giant_start[at], 0);
        giant_start[at] = 1;
        giant_start[at] = 0;
    }
}

static void check_steps(const struct fake_os_record *made, char *to)
{
    static const enum fake_os_call steps[] = {FAKE_MAP_HUGETLB, FAKE_BIND, FAKE_ADVISE_POPULATE,
                                              FAKE_REPLACE};
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(made[i].call, steps[i]);
        ck_assert_ptr_eq(made[i].start, made[0].start);
        ck_assert_uint_eq(made[i].size, GB);
    }
    ck_assert_uint_eq(made[0].page_size, GB);
    ck_assert_uint_eq(made[1].node, 5);
    ck_assert_ptr_eq(made[3].to, to);
}

START_TEST(whole_gigabytes_one_by_one)
{
    const struct fake_os_record *made;
    size_t got;
    ck_assert_int_eq(take_giants(&got), VL_HUGETLB_TAKEN);
    ck_assert_uint_eq(got, 3 * GB);
    ck_assert_uint_eq(fake_os_records(&made), 12);
    for (unsigned i = 0; i < 3; i++)
        check_steps(made + 4 * i, giant_start + i * GB);
    ck_assert_uint_eq(fake_os_giants(), GIANTS - 3);
    check_giants(3);
    ck_assert(vl_hugetlb_give(slice, giant_start, 3 * GB, 3));
    ck_assert_uint_eq(fake_os_giants(), GIANTS);
    check_giants(0);
}
END_TEST

START_TEST(as_many_as_the_pool_has)
{
    size_t got;
    fake_os_set_giants((unsigned)_i);
    ck_assert_int_eq(take_giants(&got), _i < 3 ? VL_HUGETLB_SHORT : VL_HUGETLB_TAKEN);
    ck_assert_uint_eq(got, (size_t)_i * GB);
    ck_assert_uint_eq(fake_os_count(FAKE_ANY), _i * 4 + (_i < 3)); /* nothing to be put right */
    ck_assert_uint_eq(fake_os_giants(), 0);
    check_giants((unsigned)_i);
}
END_TEST

START_TEST(none_where_they_would_not_fit)
{
    size_t got = 1;
    ck_assert_int_eq(vl_hugetlb_take_giants(slice, giant_start + 2 * MB, 3 * GB, &got),
                     VL_HUGETLB_SHORT);
    ck_assert_uint_eq(got, 0);
    ck_assert_int_eq(vl_hugetlb_take_giants(slice, giant_start, GB - 1, &got), VL_HUGETLB_SHORT);
    ck_assert_uint_eq(got, 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ANY), 0);
}
END_TEST

/* What came before stays; the next time begins anew. */
START_TEST(a_giant_that_does_not_come)
{
    size_t got;
    fake_os_fail(_i == 0 ? FAKE_MAP_HUGETLB : FAKE_ADVISE_POPULATE, 2, _i == 0 ? ENOMEM : EFAULT);
    ck_assert_int_eq(take_giants(&got), VL_HUGETLB_SHORT);
    ck_assert_uint_eq(got, GB);
    ck_assert_uint_eq(fake_os_giants(), GIANTS - 1);
    check_giants(1);
    ck_assert(vl_hugetlb_wants_giants());
}
END_TEST

/* Pages of 2 MB are another matter. */
START_TEST(a_giant_that_does_not_move)
{
    size_t got;
    fake_os_fail(FAKE_REPLACE, 2, EINVAL);
    ck_assert_int_eq(take_giants(&got), VL_HUGETLB_SHORT);
    ck_assert_uint_eq(got, GB);
    ck_assert_uint_eq(fake_os_giants(), GIANTS - 1);
    check_giants(1);
    ck_assert(!vl_hugetlb_wants_giants());
    ck_assert(vl_hugetlb_give(slice, giant_start, GB, 1));
    ck_assert_int_eq(take_giants(&got), VL_HUGETLB_SHORT);
    ck_assert_uint_eq(got, 0);
    ck_assert_int_eq(vl_hugetlb_take(slice, giant_start, STRETCH), VL_HUGETLB_TAKEN);
}
END_TEST

START_TEST(lost_with_giants)
{
    size_t got;
    fake_os_fail(FAKE_REPLACE, 3, EINVAL);
    fake_os_fail(FAKE_PLUG, 1, EEXIST);
    ck_assert_int_eq(take_giants(&got), VL_HUGETLB_LOST);
    ck_assert_uint_eq(got, 2 * GB);
    ck_assert_uint_eq(fake_os_giants(), GIANTS - 2);
    ck_assert(vl_hugetlb_give(slice, giant_start, got, 2));
    ck_assert_uint_eq(fake_os_giants(), GIANTS);
}
END_TEST

START_TEST(each_giant_is_a_stretch)
{
    size_t got;
    vl_hugetlb_recount((1 << 14) - 2);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(take_giants(&got), VL_HUGETLB_SHORT);
        ck_assert_uint_eq(got, 2 * GB);
        ck_assert(vl_hugetlb_give(slice, giant_start, 4 * GB, 2));
    }
}
END_TEST

/* What is printed, as a string. */
static const char *reported(void)
{
    static char text[200];
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    vl_hugetlb_report(ends[1]);
    close(ends[1]);
    ssize_t length = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    text[length < 0 ? 0 : length] = '\0';
    return text;
}

START_TEST(a_machine_without_giants)
{
    static const long sizes[] = {1l << 21, 1l << 30};
    size_t got;
    vl_hugetlb_set_sizes(sizes, 1);
    ck_assert(!vl_hugetlb_wants_giants());
    ck_assert_int_eq(take_giants(&got), VL_HUGETLB_SHORT);
    ck_assert_uint_eq(fake_os_count(FAKE_ANY), 0);
    ck_assert_int_eq(vl_hugetlb_take(slice, giant_start, STRETCH), VL_HUGETLB_TAKEN);
    ck_assert_str_eq(reported(), "valloc: VALLOC_HUGEPAGE=hugetlb:1G: this machine has no pages of "
                                 "1 GB; using hugetlb\n");
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    ck_assert_str_eq(reported(), "");
    vl_options.hugepage_mode = VL_HUGEPAGE_GIANT;
    vl_hugetlb_set_sizes(sizes, 2);
    ck_assert_str_eq(reported(), "");
    ck_assert(vl_hugetlb_wants_giants());
}
END_TEST

START_TEST(giants_where_they_are_asked_for)
{
    ck_assert(vl_hugetlb_wants_giants() && vl_hugetlb_wanted());
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    ck_assert(!vl_hugetlb_wants_giants() && vl_hugetlb_wanted());
    vl_options.hugepage_mode = VL_HUGEPAGE_ALWAYS;
    ck_assert(!vl_hugetlb_wants_giants() && !vl_hugetlb_wanted());
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("hugepage/hugetlb");
    TCase *steps = tcase_create("steps");
    TCase *failures = tcase_create("failures");
    TCase *machine = tcase_create("machine");

    tcase_add_checked_fixture(steps, start_world, NULL);
    tcase_add_test(steps, bound_before_populated_before_in_place);
    tcase_add_test(steps, the_user_s_policy_is_left_alone);
    tcase_add_test(steps, what_is_spread_is_mapped_for_its_place);
    tcase_add_test(steps, given_back);
    suite_add_tcase(suite, steps);

    tcase_add_checked_fixture(failures, start_world, NULL);
    tcase_add_loop_test(failures, a_short_pool, 0, 2);
    tcase_add_test(failures, populate_fails);
    tcase_add_test(failures, bind_fails);
    tcase_add_test(failures, replace_fails);
    tcase_add_loop_test(failures, replace_fails_for_good, 0, 2);
    tcase_add_test(failures, no_end_of_stretches);
    tcase_add_test(failures, a_hook_that_allocates);
    suite_add_tcase(suite, failures);

    tcase_add_checked_fixture(machine, start_world, NULL);
    tcase_add_test(machine, sizes_of_the_machine);
    tcase_add_test(machine, libhugetlbfs_is_asked);
    suite_add_tcase(suite, machine);

    TCase *giants = tcase_create("giants");
    tcase_add_checked_fixture(giants, start_world_of_giants, NULL);
    tcase_add_test(giants, whole_gigabytes_one_by_one);
    tcase_add_loop_test(giants, as_many_as_the_pool_has, 0, 4);
    tcase_add_test(giants, none_where_they_would_not_fit);
    tcase_add_loop_test(giants, a_giant_that_does_not_come, 0, 2);
    tcase_add_test(giants, a_giant_that_does_not_move);
    tcase_add_test(giants, lost_with_giants);
    tcase_add_test(giants, each_giant_is_a_stretch);
    tcase_add_test(giants, a_machine_without_giants);
    tcase_add_test(giants, giants_where_they_are_asked_for);
    suite_add_tcase(suite, giants);
    return suite;
}
