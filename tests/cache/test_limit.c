/*
 * Limits, seen by a program: what asks for more gets NULL, what was kept for later serves first, and all
 * goes on when something is freed. Beyond the soft limit nothing free is kept.
 */
#include "tests/world.h"

#include <errno.h>
#include <sys/wait.h>

#define HARD (64 * MB)

static void set_up(void)
{
    vl_options.limit_hard = (int64_t)HARD;
    begin_world(2);
}

static void set_up_soft(void)
{
    vl_options.limit_soft = (int64_t)HARD;
    begin_world(1);
}

static uint64_t held(void)
{
    return vl_limits_now().held;
}

/* What the counts of the heaps say, too. */
static void check_held(void)
{
    struct vl_stats stats = stats_now();
    require(held() == ((stats.regions_active + stats.regions_empty) << VL_REGION_SHIFT) +
                          stats.big_bytes + stats.big_kept_bytes);
}

struct node {
    struct node *next;
};

static struct node *fill(size_t size)
{
    struct node *first = NULL, *node;
    while ((node = vl_alloc(size)) != NULL) {
        node->next = first;
        first = node;
        require(held() <= HARD);
    }
    ck_assert_int_eq(errno, ENOMEM);
    return first;
}

static size_t drop(struct node *first)
{
    size_t count = 0;
    while (first != NULL) {
        struct node *next = first->next;
        vl_free(first);
        first = next;
        count++;
    }
    return count;
}

static const size_t sizes[] = {64, 1000, 20000, 300 << 10, 900 << 10, 3 * MB, 60 * MB};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* Each size fills it, whatever was there before: that goes back. */
START_TEST(blocks_of_any_size)
{
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < SIZES; i++) {
            size_t count = drop(fill(sizes[i]));
            ck_assert_uint_ge(count * sizes[i], HARD * 3 / 4);
            check_held();
        }
}
END_TEST

START_TEST(too_much_at_once)
{
    ck_assert_ptr_null(vl_alloc(HARD + 1));
    ck_assert_ptr_null(vl_alloc(100 * GB));
    void *block = vl_alloc(HARD - 2 * MB);
    ck_assert_ptr_nonnull(block);
    check_held();
    vl_free(block);
}
END_TEST

START_TEST(realloc_keeps_what_it_cannot_enlarge)
{
    char *block = vl_alloc(20 * MB), *other = vl_alloc(20 * MB);
    memset(block, 7, 20 * MB);
    ck_assert_ptr_null(vl_resize(block, 60 * MB));
    ck_assert_int_eq(block[20 * MB - 1], 7);
    vl_free(other);
    block = vl_resize(block, 60 * MB);
    ck_assert_ptr_nonnull(block);
    ck_assert_int_eq(block[20 * MB - 1], 7);
    block = vl_resize(block, 2 * MB);
    check_held();
    vl_free(block);
}
END_TEST

/* Of a block that moves, both places are there for a moment, but not its memory twice. */
START_TEST(realloc_needs_no_more_than_it_adds)
{
    char *block = vl_alloc(40 * MB), *behind = vl_alloc(2 * MB);
    memset(block, 7, 40 * MB);
    block = vl_resize(block, 50 * MB);
    ck_assert_ptr_nonnull(block);
    ck_assert_int_eq(block[40 * MB - 1], 7);
    check_held();
    vl_free(block);
    vl_free(behind);
}
END_TEST

START_TEST(kept_memory_serves_the_same_again)
{
    void *block = vl_alloc(60 * MB);
    vl_free(block);
    ck_assert_ptr_eq(vl_alloc(60 * MB), block);
    vl_free(block);
}
END_TEST

/* The other node has nothing more, either. */
START_TEST(all_nodes_are_under_one_limit)
{
    struct node *first = fill(1000);
    ck_assert_ptr_null(vl_alloc(1 * MB));
    ck_assert_ptr_null(vl_alloc(30000));
    drop(first);
    void *block = vl_alloc(30000);
    ck_assert_ptr_nonnull(block);
    vl_free(block);
    check_held();
}
END_TEST

START_TEST(children_count_what_they_have)
{
    struct node *first = fill(4000);
    uint64_t before = held();
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        vl_free(vl_alloc(16)); /* notices the fork */
        bool right = held() == before && vl_alloc(3 * MB) == NULL;
        drop(first);
        _exit(right && vl_alloc(3 * MB) != NULL ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    drop(first);
}
END_TEST

/* Of 100 MB, 60 are free and kept, until the soft limit is passed once more. */
START_TEST(beyond_the_soft_one_nothing_free_is_kept)
{
    enum { BLOCKS = 100 };
    static void *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = vl_alloc(1 * MB);
    for (int i = 0; i < 60; i++)
        vl_free(blocks[i]);
    ck_assert_uint_gt(stats_now().big_kept_bytes, 10 * MB);
    for (int i = 0; i < 30 * 1024; i++) /* regions come, threads have slow paths */
        ck_assert_ptr_nonnull(vl_alloc(1024));
    ck_assert_uint_le(stats_now().big_kept_bytes, 2 * MB);
    ck_assert_uint_le(held(), 40 * MB + 30 * MB + 6 * MB);
    check_held();
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/limit");
    TCase *hard = tcase_create("hard"), *soft = tcase_create("soft");
    tcase_add_checked_fixture(hard, set_up, NULL);
    tcase_add_test(hard, blocks_of_any_size);
    tcase_add_test(hard, too_much_at_once);
    tcase_add_test(hard, realloc_keeps_what_it_cannot_enlarge);
    tcase_add_test(hard, realloc_needs_no_more_than_it_adds);
    tcase_add_test(hard, kept_memory_serves_the_same_again);
    tcase_add_test(hard, all_nodes_are_under_one_limit);
    tcase_add_test(hard, children_count_what_they_have);
    suite_add_tcase(suite, hard);
    tcase_add_checked_fixture(soft, set_up_soft, NULL);
    tcase_add_test(soft, beyond_the_soft_one_nothing_free_is_kept);
    suite_add_tcase(suite, soft);
    return suite;
}
