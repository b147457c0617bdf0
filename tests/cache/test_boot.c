/* cache/boot: the few KB of the first moments: disjoint, aligned, finite, recognised again. */
#include "tests/api/support.h"

#include "cache/boot.h"

/* Takes blocks of `bytes` until there are no more; how many. */
static size_t take_all(size_t bytes, void **blocks, size_t max)
{
    size_t count = 0;
    while (count < max && (blocks[count] = vl_boot_take(bytes, 16)) != NULL)
        count++;
    return count;
}

START_TEST(blocks_are_aligned_disjoint_and_measured)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 1000, 24, 3, 512};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size_t align = (size_t)1 << i; /* 1 .. 512 */
        blocks[i] = vl_boot_take(sizes[i], align);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert(is_aligned(blocks[i], align) && is_aligned(blocks[i], 16));
        ck_assert_uint_ge(vl_boot_bytes(blocks[i]), sizes[i]);
        ck_assert(is_zero(blocks[i], sizes[i]));
        pattern_fill(blocks[i], vl_boot_bytes(blocks[i]), i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t bytes = vl_boot_bytes(blocks[i]);
        ck_assert_uint_ge(bytes, sizes[i]);
        ck_assert_uint_eq(pattern_damage(blocks[i], bytes, i), bytes);
    }
}
END_TEST

START_TEST(holds_its_own_blocks_and_nothing_else)
{
    static char elsewhere[64];
    void *blocks[2048];
    size_t count = take_all(16, blocks, 2048);
    ck_assert_uint_gt(count, 100);
    ck_assert_uint_lt(count, 2048);
    for (size_t i = 0; i < count; i++)
        ck_assert(vl_boot_holds(blocks[i]));
    ck_assert(!vl_boot_holds(elsewhere));
    ck_assert(!vl_boot_holds(NULL));
    ck_assert(!vl_boot_holds((char *)blocks[count - 1] + 64));
}
END_TEST

/* However much is left: what is given lies inside, above all the empty block at the very end. */
START_TEST(last_block_lies_inside)
{
    void *blocks[2048];
    vl_boot_take((size_t)_i, 16);
    size_t count = take_all(32, blocks, 2048);
    ck_assert_uint_lt(count, 2048);
    for (void *block; (block = vl_boot_take(0, 16)) != NULL;)
        ck_assert_msg(vl_boot_holds(block), "the empty block at the end is not held");
}
END_TEST

START_TEST(refuses_what_does_not_fit)
{
    ck_assert_ptr_null(vl_boot_take(64 << 10, 16));
    ck_assert_ptr_null(vl_boot_take(PTRDIFF_MAX, 16));
    ck_assert_ptr_null(vl_boot_take(1, 64 << 10));
    ck_assert_ptr_null(vl_boot_take(1, (size_t)1 << 62));
    ck_assert_ptr_nonnull(vl_boot_take(1, 16)); /* nothing was lost */
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/boot");
    TCase *boot = tcase_create("boot");
    tcase_add_test(boot, blocks_are_aligned_disjoint_and_measured);
    tcase_add_test(boot, holds_its_own_blocks_and_nothing_else);
    tcase_add_loop_test(boot, last_block_lies_inside, 0, 64);
    tcase_add_test(boot, refuses_what_does_not_fit);
    suite_add_tcase(suite, boot);
    return suite;
}
