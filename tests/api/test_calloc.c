/*
 * calloc gives zeroes, however dirty the memory was that it came from: just freed, purged by
 * malloc_trim, or left by another thread; and does not touch what was never used.
 */
#include "support.h"

#include <malloc.h>
#include <pthread.h>

static void *zeroed(size_t size)
{
    void *block = opaque(calloc(opaque_size(size), 1));

    if (block == NULL)
        ck_abort_msg("calloc of %zu bytes: errno %d", size, errno);
    if (!is_zero(block, size))
        ck_abort_msg("calloc of %zu bytes: not all zero", size);
    return block;
}

static void dirty_and_free(void *block)
{
    memset(block, 0xA5, malloc_usable_size(block));
    free(opaque(block));
}

/* One block at a time: the next calloc of that size most likely gets the very same memory. */
START_TEST(after_a_dirty_free)
{
    uint64_t random = test_seed();

    for (size_t turn = 0; turn < scaled(100000); turn++) {
        size_t size = random_size(&random, turn % 100 == 0 ? 4 * MB : 16 * KB);

        dirty_and_free(zeroed(size));
        if (turn % 1000 == 999)
            malloc_trim(0);
    }
}
END_TEST

/* Many blocks at once, freed in another order, some by malloc and some by calloc. */
START_TEST(among_many_dirty_blocks)
{
    enum { LIVE = 2000 };
    uint64_t random = test_seed();
    void **blocks = map_table(LIVE * sizeof *blocks);

    for (size_t turn = 0; turn < scaled(100000); turn++) {
        size_t slot = random_next(&random) % LIVE;
        size_t size = random_size(&random, turn % 200 == 0 ? 2 * MB : 16 * KB);

        if (blocks[slot] != NULL)
            dirty_and_free(blocks[slot]);
        blocks[slot] = turn % 3 == 0 ? opaque(malloc(size)) : zeroed(size);
        if (turn % 5000 == 4999)
            malloc_trim(0);
    }
    for (size_t slot = 0; slot < LIVE; slot++)
        free(blocks[slot]);
}
END_TEST

/* The usual life of small memory: dirtied as one size, freed, purged, cut anew as another. */
START_TEST(when_memory_changes_size)
{
    enum { BYTES = 16 * 1024 * 1024 };
    static const size_t sizes[] = {16, 4096, 48, 300000, 1000, 2000000, 128, 65536};
    void **blocks = map_table(BYTES / 16 * sizeof *blocks);

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t count = BYTES / sizes[i];

        for (size_t slot = 0; slot < count; slot++)
            blocks[slot] = zeroed(sizes[i]);
        for (size_t slot = 0; slot < count; slot++)
            dirty_and_free(blocks[slot]);
        if (i % 2 == 0)
            malloc_trim(0);
    }
}
END_TEST

START_TEST(big_blocks)
{
    static const size_t sizes[] = {MB, 2 * MB, 2 * MB + 1, 5 * MB, 32 * MB, 100 * MB, 3 * MB};

    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            dirty_and_free(zeroed(sizes[i]));
}
END_TEST

/* A block shrunk or grown by realloc leaves dirty remainders behind. */
START_TEST(beside_resized_blocks)
{
    uint64_t random = test_seed();

    for (size_t turn = 0; turn < scaled(3000); turn++) {
        size_t size = random_size(&random, 4 * MB);
        void *block = zeroed(size);

        memset(block, 0xA5, size);
        block = opaque(realloc(block, size / 2 + 1));
        ck_assert_ptr_nonnull(block);
        dirty_and_free(zeroed(size / 2 + 1));
        dirty_and_free(block);
    }
}
END_TEST

static void *dirty_in_a_thread(void *blocks_shared)
{
    void **blocks = blocks_shared;

    for (size_t slot = 0; slot < 1000; slot++)
        dirty_and_free(blocks[slot]);
    return NULL;
}

START_TEST(after_another_thread_freed)
{
    static void *blocks[1000];
    uint64_t random = test_seed();

    for (size_t turn = 0; turn < scaled(30); turn++) {
        pthread_t thread;

        for (size_t slot = 0; slot < 1000; slot++)
            blocks[slot] = zeroed(random_size(&random, 32 * KB));
        ck_assert_int_eq(pthread_create(&thread, NULL, dirty_in_a_thread, blocks), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
}
END_TEST

/* Programs calloc tables that they fill sparsely. */
START_TEST(fresh_pages_are_not_touched)
{
    size_t resident = resident_bytes();
    char *block = opaque(calloc(512, MB));

    ck_assert_ptr_nonnull(block);
    ck_assert_msg(resident_bytes() < resident + 64 * MB, "calloc of 512 MB made %zu MB resident",
                  (resident_bytes() - resident) / MB);
    ck_assert(is_zero(block + 300 * MB, 4 * KB));
    free(block);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("calloc");
    TCase *zeroes = timed_case("zeroes", 30);

    tcase_add_test(zeroes, after_a_dirty_free);
    tcase_add_test(zeroes, among_many_dirty_blocks);
    tcase_add_test(zeroes, when_memory_changes_size);
    tcase_add_test(zeroes, big_blocks);
    tcase_add_test(zeroes, beside_resized_blocks);
    tcase_add_test(zeroes, after_another_thread_freed);
    tcase_add_test(zeroes, fresh_pages_are_not_touched);
    suite_add_tcase(suite, zeroes);
    return suite;
}
