/*
 * Aligned blocks: every power of two up to 1 GB by every function that takes an
 * alignment, the alignments that are none, and 16 for who does not ask.
 */
#include "support.h"

#include <malloc.h>

static void *by_posix_memalign(size_t alignment, size_t size)
{
    void *block = NULL;

    return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

static const struct aligner {
    const char *name;
    void *(*ask)(size_t alignment, size_t size);
    size_t alignment_min;
} aligners[] = {
    {"posix_memalign", by_posix_memalign, sizeof(void *)},
    {"aligned_alloc", aligned_alloc, 1},
    {"memalign", memalign, 1},
};

enum { ALIGNER_COUNT = sizeof aligners / sizeof aligners[0] };

static void try_aligned(const struct aligner *aligner, size_t alignment, size_t size)
{
    char *block = opaque(aligner->ask(opaque_size(alignment), opaque_size(size)));
    size_t usable;

    ck_assert_msg(block != NULL, "%s(%zu, %zu): expected a block, errno %d", aligner->name,
                  alignment, size, errno);
    ck_assert_msg(is_aligned(block, alignment) && is_aligned(block, natural_alignment(size)),
                  "%s(%zu, %zu) = %p", aligner->name, alignment, size, (void *)block);
    usable = malloc_usable_size(block);
    ck_assert_msg(usable >= size, "%s(%zu, %zu): only %zu usable", aligner->name, alignment, size,
                  usable);
    pattern_fill(block, size, alignment);
    ck_assert_uint_eq(pattern_damage(block, size, alignment), size);
    free(block);
}

/* Sizes that are no multiple of the alignment are legal since C17. */
START_TEST(every_power_of_two)
{
    static const size_t sizes[] = {0, 1, 8, 15, 100, 1000, 4096, 5000, 65536, 300000, 3000000};

    for (size_t alignment = aligners[_i].alignment_min; alignment <= GB; alignment *= 2)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            try_aligned(&aligners[_i], alignment, sizes[i]);
}
END_TEST

/* More than one at a time, so that the second cannot be the first again. */
START_TEST(aligned_neighbours_do_not_overlap)
{
    enum { LIVE = 100 };
    char *blocks[LIVE];

    for (size_t alignment = 16; alignment <= 4 * MB; alignment *= 4) {
        size_t size = alignment / 4 + 24;

        for (int i = 0; i < LIVE; i++) {
            blocks[i] = aligners[_i].ask(alignment, size);
            ck_assert_ptr_nonnull(blocks[i]);
            pattern_fill(blocks[i], size, (uint64_t)i);
        }
        for (int i = 0; i < LIVE; i++) {
            ck_assert_uint_eq(pattern_damage(blocks[i], size, (uint64_t)i), size);
            ck_assert(is_aligned(blocks[i], alignment));
            free(blocks[i]);
        }
    }
}
END_TEST

START_TEST(no_alignment_asked_gives_the_natural_one)
{
    uint64_t random = test_seed();

    for (size_t turn = 0; turn < scaled(100000); turn++) {
        size_t size = turn < 5000 ? turn : random_size(&random, MB);
        void *block = opaque(turn % 2 == 0 ? malloc(size) : calloc(size, 1));

        if (!is_aligned(block, natural_alignment(size)))
            ck_abort_msg("block of %zu bytes at %p: expected a multiple of %zu", size, block,
                         natural_alignment(size));
        free(block);
    }
}
END_TEST

/* The block's pointer stays as it was: programs free it on the error path. */
START_TEST(posix_memalign_refuses_bad_alignments)
{
    static const size_t bad[] = {0, 1, 2, 3, 4, 5, 7, 12, 24, 40, 4097, 3 * GB, SIZE_MAX};
    void *untouched = &untouched;
    void *block = untouched;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int error = posix_memalign(&block, opaque_size(bad[i]), 100);

        ck_assert_msg(error == EINVAL, "posix_memalign(%zu): %d, expected EINVAL", bad[i], error);
        ck_assert_msg(block == untouched, "posix_memalign(%zu) touched the pointer", bad[i]);
    }
}
END_TEST

START_TEST(posix_memalign_out_of_memory)
{
    void *untouched = &untouched;
    void *block = untouched;

    for (size_t alignment = sizeof(void *); alignment != 0; alignment *= 2) {
        int error = posix_memalign(&block, alignment, opaque_size(PTRDIFF_MAX));

        ck_assert_msg(error == ENOMEM, "posix_memalign(%zu): %d, expected ENOMEM", alignment,
                      error);
        ck_assert_msg(block == untouched, "posix_memalign(%zu) touched the pointer", alignment);
    }
}
END_TEST

/* As C23 and glibc since 2.38 have it; older ones round up. */
START_TEST(aligned_alloc_refuses_bad_alignments)
{
    static const size_t bad[] = {0, 3, 5, 12, 24, 4097, SIZE_MAX};

    if (!only_on_valloc(__func__))
        return;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refused(aligned_alloc(opaque_size(bad[i]), 100), EINVAL);
}
END_TEST

/* memalign is older than any standard: it may refuse, or round up as glibc does. */
START_TEST(memalign_refuses_or_rounds_up_bad_alignments)
{
    static const size_t bad[] = {3, 5, 12, 24, 40, 4097};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t rounded_up = (size_t)1 << (64 - __builtin_clzll(bad[i]));
        void *block;

        errno = 0;
        block = opaque(memalign(opaque_size(bad[i]), 100));
        ck_assert_msg(block == NULL ? errno == EINVAL : is_aligned(block, rounded_up),
                      "memalign(%zu, 100) = %p, errno %d", bad[i], block, errno);
        free(block);
    }
}
END_TEST

START_TEST(alignment_beyond_memory_is_refused)
{
    for (int k = 48; k <= 63; k++) {
        size_t alignment = opaque_size((size_t)1 << k);

        assert_refused(aligned_alloc(alignment, 100), ENOMEM);
        assert_refused(memalign(alignment, 100), ENOMEM);
    }
}
END_TEST

START_TEST(whole_pages)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *(*pvalloc_here)(size_t) = entry_point("pvalloc");

    for (size_t size = 1; size <= 4 * MB; size = size * 3 + 1) {
        char *block = valloc(size);

        ck_assert(is_aligned(block, page));
        pattern_fill(block, size, size);
        ck_assert_uint_eq(pattern_damage(block, size, size), size);
        free(block);

        if (pvalloc_here == NULL)
            continue;
        block = pvalloc_here(size);
        ck_assert(is_aligned(block, page));
        ck_assert_uint_ge(malloc_usable_size(block), (size + page - 1) / page * page);
        pattern_fill(block, (size + page - 1) / page * page, size);
        free(block);
    }
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("alignment");
    TCase *good = timed_case("good", 20);
    TCase *bad = timed_case("bad", 20);

    tcase_add_loop_test(good, every_power_of_two, 0, ALIGNER_COUNT);
    tcase_add_loop_test(good, aligned_neighbours_do_not_overlap, 0, ALIGNER_COUNT);
    tcase_add_test(good, no_alignment_asked_gives_the_natural_one);
    tcase_add_test(good, whole_pages);
    tcase_add_test(bad, posix_memalign_refuses_bad_alignments);
    tcase_add_test(bad, posix_memalign_out_of_memory);
    tcase_add_test(bad, aligned_alloc_refuses_bad_alignments);
    tcase_add_test(bad, memalign_refuses_or_rounds_up_bad_alignments);
    tcase_add_test(bad, alignment_beyond_memory_is_refused);
    suite_add_tcase(suite, good);
    suite_add_tcase(suite, bad);
    return suite;
}
