/* hugepage/stock over the false system: as much as the pool has, taken by node, moved into place before the
 * kernel is asked, and none of it in the child of a fork. */
#include "hugepage/hugetlb.h"
#include "hugepage/stock.h"
#include "tests/hugepage/node_slice.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* A slice of node 5; the caller runs on node 3. */
static void start_world(void)
{
    begin_slice(64 * MB, 0);
    fake_os_set_where(3, 3);
}

static char *stock_up(int node, unsigned pages)
{
    size_t got;
    fake_os_set_pool(pages);
    char *start = vl_stock_map(pages * VL_REGION_SIZE, &got);
    ck_assert_ptr_nonnull(start);
    ck_assert_uint_eq(got, pages * VL_REGION_SIZE);
    ck_assert_uint_eq(fake_os_pool(), 0);
    vl_stock_add(node, start, got, got);
    return start;
}

/* Whatever the pool has, of whatever is asked for. */
START_TEST(as_much_as_there_is)
{
    for (unsigned pool = 0; pool <= 9; pool++)
        for (unsigned wished = 0; wished <= 20; wished++) {
            size_t got;
            fake_os_set_pool(pool);
            char *start = vl_stock_map(wished * VL_REGION_SIZE + 4096, &got);
            size_t expected = (wished < pool ? wished : pool) * VL_REGION_SIZE;
            ck_assert_uint_eq(got, expected);
            ck_assert_int_eq(start != NULL, expected != 0);
            if (start != NULL)
                vl_os->unreserve(start, got);
        }
    ck_assert_uint_eq(fake_os_reserved(), slice->mapped);
}
END_TEST

START_TEST(what_was_not_populated_goes_back)
{
    size_t got;
    fake_os_set_pool(8);
    char *start = vl_stock_map(8 * VL_REGION_SIZE, &got);
    vl_stock_add(5, start, got, 3 * VL_REGION_SIZE);
    ck_assert_uint_eq(fake_os_pool(), 5);
    ck_assert_uint_eq(vl_stock_left(), 3 * VL_REGION_SIZE);
    fake_os_set_pool(2);
    start = vl_stock_map(2 * VL_REGION_SIZE, &got);
    vl_stock_add(5, start, got, 0);
    ck_assert_uint_eq(fake_os_pool(), 2);
    ck_assert_uint_eq(vl_stock_left(), 3 * VL_REGION_SIZE);
}
END_TEST

START_TEST(each_node_has_its_own)
{
    char *far = stock_up(7, 4), *own = stock_up(5, 4), *here = stock_up(3, 4);
    ck_assert_ptr_eq(vl_stock_take(slice, VL_REGION_SIZE), own);
    slice->bind = false; /* as that of big blocks: who asks, touches */
    ck_assert_ptr_eq(vl_stock_take(slice, 2 * VL_REGION_SIZE), here);
    fake_os_set_where(7, 7);
    ck_assert_ptr_eq(vl_stock_take(slice, 4 * VL_REGION_SIZE), far);
    ck_assert_ptr_null(vl_stock_take(slice, VL_REGION_SIZE));
    slice->bind = true;
    ck_assert_ptr_null(vl_stock_take(slice, 4 * VL_REGION_SIZE));
    ck_assert_ptr_eq(vl_stock_take(slice, 3 * VL_REGION_SIZE), own + VL_REGION_SIZE);
    ck_assert_uint_eq(vl_stock_left(), 2 * VL_REGION_SIZE);
}
END_TEST

/* What is to be spread lies on one node already. */
START_TEST(nothing_for_what_is_spread)
{
    static const struct vl_node_mask nodes = {{0xff}};
    stock_up(0, 2);
    slice->bind = false;
    slice->spread = &nodes;
    ck_assert_ptr_null(vl_stock_take(slice, VL_REGION_SIZE));
    ck_assert_uint_eq(vl_stock_left(), 2 * VL_REGION_SIZE);
}
END_TEST

/* Though it is the only one. */
START_TEST(a_node_s_stock_is_not_for_threads_elsewhere)
{
    char *start = stock_up(5, 2);
    slice->bind = false;
    ck_assert_ptr_null(vl_stock_take(slice, VL_REGION_SIZE));
    fake_os_set_where(5, 5);
    ck_assert_ptr_eq(vl_stock_take(slice, VL_REGION_SIZE), start);
}
END_TEST

/* As under numactl: nobody knows where that is, so it is not for a slice that is to be on a node. */
START_TEST(a_stock_of_no_node_is_not_for_named_places)
{
    char *start = stock_up(-1, 2);
    ck_assert_ptr_null(vl_stock_take(slice, VL_REGION_SIZE));
    slice->bind = false;
    ck_assert_ptr_eq(vl_stock_take(slice, VL_REGION_SIZE), start);
}
END_TEST

/* Where nodes do not matter, nobody asks on which he is. */
START_TEST(a_stock_of_no_node_is_everybody_s)
{
    char *start = stock_up(-1, 2);
    slice->bind = false;
    fake_os_forget();
    ck_assert_ptr_eq(vl_stock_take(slice, VL_REGION_SIZE), start);
    ck_assert_uint_eq(fake_os_count(FAKE_WHERE), 0);
}
END_TEST

START_TEST(used_before_the_kernel_is_asked)
{
    char *stock = stock_up(5, 3), *start = (char *)slice->start;
    fake_os_forget();
    memset(stock, 7, 1);
    ck_assert_int_eq(vl_hugetlb_take(slice, start, 2 * VL_REGION_SIZE), VL_HUGETLB_TAKEN);
    ck_assert_uint_eq(fake_os_count(FAKE_MAP_HUGETLB) + fake_os_count(FAKE_ADVISE_POPULATE), 0);
    ck_assert_uint_eq(fake_os_hugetlb_pages(start, 2 * VL_REGION_SIZE), 2);
    ck_assert_int_eq(*start, 7); /* the very page */
    fake_os_set_pool(5);
    ck_assert_int_eq(vl_hugetlb_take(slice, start + 8 * MB, 2 * VL_REGION_SIZE), VL_HUGETLB_TAKEN);
    ck_assert_uint_eq(fake_os_count(FAKE_MAP_HUGETLB), 1);
    ck_assert_uint_eq(vl_stock_left(), VL_REGION_SIZE);
}
END_TEST

START_TEST(a_child_has_none)
{
    stock_up(5, 4);
    char *taken = vl_stock_take(slice, VL_REGION_SIZE);
    ck_assert_ptr_nonnull(taken);
    char *start = stock_up(7, 1);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        vl_stock_after_fork();
        bool none = vl_stock_left() == 0 && vl_stock_take(slice, VL_REGION_SIZE) == NULL;
        bool there = madvise(start, VL_REGION_SIZE, MADV_NORMAL) == 0;
        bool taken_there = madvise(taken, VL_REGION_SIZE, MADV_NORMAL) == 0;
        _exit(none && !there && taken_there ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(vl_stock_left(), 4 * VL_REGION_SIZE);
}
END_TEST

START_TEST(what_is_left_goes_back)
{
    char *start = stock_up(5, 4);
    ck_assert_ptr_eq(vl_stock_take(slice, VL_REGION_SIZE), start);
    vl_stock_release();
    ck_assert_uint_eq(vl_stock_left(), 0);
    ck_assert_uint_eq(fake_os_pool(), 3);
    ck_assert_ptr_null(vl_stock_take(slice, VL_REGION_SIZE));
    vl_stock_release();
    *start = 1; /* what was taken is still there */
}
END_TEST

START_TEST(a_piece_that_children_cannot_have_is_not_used)
{
    stock_up(5, 4);
    fake_os_fail(FAKE_ADVISE_INHERIT, 1, ENOMEM);
    ck_assert_ptr_null(vl_stock_take(slice, VL_REGION_SIZE));
    ck_assert_uint_eq(fake_os_pool(), 1);
    ck_assert_ptr_nonnull(vl_stock_take(slice, 3 * VL_REGION_SIZE));
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("hugepage/stock");
    TCase *stock = tcase_create("stock");
    tcase_add_checked_fixture(stock, start_world, NULL);
    tcase_add_test(stock, as_much_as_there_is);
    tcase_add_test(stock, what_was_not_populated_goes_back);
    tcase_add_test(stock, each_node_has_its_own);
    tcase_add_test(stock, a_node_s_stock_is_not_for_threads_elsewhere);
    tcase_add_test(stock, a_stock_of_no_node_is_not_for_named_places);
    tcase_add_test(stock, a_stock_of_no_node_is_everybody_s);
    tcase_add_test(stock, nothing_for_what_is_spread);
    tcase_add_test(stock, used_before_the_kernel_is_asked);
    tcase_add_test(stock, a_child_has_none);
    tcase_add_test(stock, what_is_left_goes_back);
    tcase_add_test(stock, a_piece_that_children_cannot_have_is_not_used);
    suite_add_tcase(suite, stock);
    return suite;
}
