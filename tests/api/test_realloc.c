/*
 * realloc and reallocarray: what is kept, what is freed, and what a failure leaves.
 */
#include "support.h"

#include <malloc.h>

static void *resize(void *block, size_t size)
{
    return opaque(realloc(opaque(block), opaque_size(size)));
}

/* realloc, and the check that the first `kept` bytes of the pattern came along. */
static char *resize_and_check(char *block, size_t kept, size_t size, uint64_t seed)
{
    size_t damage;

    block = resize(block, size);
    ck_assert_msg(block != NULL, "realloc to %zu bytes: errno %d", size, errno);
    if (kept > size)
        kept = size;
    damage = pattern_damage(block, kept, seed);
    ck_assert_msg(damage == kept, "realloc of %zu to %zu bytes: byte %zu is wrong", kept, size,
                  damage);
    ck_assert_uint_ge(malloc_usable_size(block), size);
    pattern_fill(block, size, seed);
    return block;
}

START_TEST(null_is_malloc)
{
    char *block = resize(NULL, 100);

    ck_assert_ptr_nonnull(block);
    memset(block, 1, 100);
    free(block);
    block = resize(NULL, 0);
    ck_assert_ptr_nonnull(block);
    free(block);
}
END_TEST

/* Freed for certain: 2 GB would otherwise stay. */
START_TEST(size_zero_frees)
{
    size_t resident = resident_bytes();

    for (size_t turn = 0; turn < 1000; turn++) {
        size_t size = turn % 2 == 0 ? 2 * MB : 1000;
        void *block = malloc(size);

        memset(block, 1, size);
        ck_assert_msg(resize(block, 0) == NULL, "realloc(p, 0) gave a block");
        block = memset(malloc(size), 1, size);
        ck_assert_msg(opaque(reallocarray(block, opaque_size(0), 10)) == NULL,
                      "reallocarray(p, 0, 10) gave a block");
    }
    ck_assert_msg(resident_bytes() < resident + 64 * MB, "grown by %zu MB",
                  (resident_bytes() - resident) / MB);
}
END_TEST

START_TEST(grow_and_shrink_step_by_step)
{
    char *block = NULL;
    size_t size = 0;

    for (size_t next = 1; next <= 64 * MB; next = next + next / 2 + 1) {
        block = resize_and_check(block, size, next, 7);
        size = next;
    }
    while (size > 1) {
        size_t next = size - size / 3 - 1;

        if (next == 0)
            next = 1;
        block = resize_and_check(block, size, next, 7);
        size = next;
    }
    free(block);
}
END_TEST

START_TEST(grow_byte_by_byte)
{
    char *block = NULL;

    for (size_t size = 1; size <= 20000; size++) {
        block = resize(block, size);
        block[size - 1] = (char)size;
    }
    for (size_t size = 1; size <= 20000; size++)
        if (block[size - 1] != (char)size)
            ck_abort_msg("byte %zu is %d, expected %d", size - 1, block[size - 1], (char)size);
    free(block);
}
END_TEST

/* Many growing side by side, so that nobody can grow into a neighbour unseen. */
START_TEST(random_sizes_side_by_side)
{
    enum { LIVE = 50 };
    uint64_t random = test_seed();
    char *blocks[LIVE] = {NULL};
    size_t sizes[LIVE] = {0};

    for (size_t turn = 0; turn < scaled(20000); turn++) {
        size_t slot = random_next(&random) % LIVE;
        size_t size = random_size(&random, turn % 20 == 0 ? 8 * MB : 64 * KB);

        blocks[slot] = resize_and_check(blocks[slot], sizes[slot], size, slot);
        sizes[slot] = size;
    }
    for (size_t slot = 0; slot < LIVE; slot++) {
        ck_assert_uint_eq(pattern_damage(blocks[slot], sizes[slot], slot), sizes[slot]);
        free(blocks[slot]);
    }
}
END_TEST

START_TEST(big_to_big)
{
    static const size_t sizes[] = {MB,       3 * MB,  2 * MB,  2 * MB + 1, 100 * MB, 5 * MB,
                                   300 * KB, 40 * MB, 39 * MB, 100,        64 * MB,  1};
    char *block = NULL;
    size_t size = 0;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        block = resize_and_check(block, size, sizes[i], 3);
        size = sizes[i];
    }
    free(block);
}
END_TEST

START_TEST(contents_of_aligned_blocks_are_kept)
{
    for (size_t alignment = 16; alignment <= 8 * MB; alignment *= 8) {
        char *block = aligned_alloc(alignment, 1000);

        pattern_fill(block, 1000, alignment);
        block = resize_and_check(block, 1000, 100000, alignment);
        block = resize_and_check(block, 100000, 3 * MB, alignment);
        free(resize_and_check(block, 3 * MB, 10, alignment));
    }
}
END_TEST

START_TEST(up_to_the_usable_size)
{
    for (size_t size = 1; size <= 2 * MB; size = size * 2 + 3) {
        char *block = malloc(size);
        size_t usable = malloc_usable_size(block);

        pattern_fill(opaque(block), usable, size);
        free(resize_and_check(opaque(block), usable, usable, size));
    }
}
END_TEST

START_TEST(failure_leaves_the_block_alone)
{
    static const size_t sizes[] = {0, 1, 100, 40000, 300000, 3000000};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *block = opaque(malloc(sizes[i]));

        pattern_fill(block, sizes[i], i);
        assert_refused(resize(block, PTRDIFF_MAX), ENOMEM);
        assert_refused(resize(block, SIZE_MAX), ENOMEM);
        ck_assert_uint_eq(pattern_damage(block, sizes[i], i), sizes[i]);
        free(block);
    }
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("realloc");
    TCase *edges = timed_case("edges", 20);
    TCase *contents = timed_case("contents", 20);

    tcase_add_test(edges, null_is_malloc);
    tcase_add_test(edges, size_zero_frees);
    tcase_add_test(edges, failure_leaves_the_block_alone);
    tcase_add_test(contents, grow_and_shrink_step_by_step);
    tcase_add_test(contents, grow_byte_by_byte);
    tcase_add_test(contents, random_sizes_side_by_side);
    tcase_add_test(contents, big_to_big);
    tcase_add_test(contents, contents_of_aligned_blocks_are_kept);
    tcase_add_test(contents, up_to_the_usable_size);
    suite_add_tcase(suite, edges);
    suite_add_tcase(suite, contents);
    return suite;
}
