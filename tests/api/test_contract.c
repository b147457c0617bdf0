/*
 * What malloc and its kin promise to whoever calls them: which sizes succeed, which
 * fail and with what errno, and that no success and no free touches errno.
 */
#include "support.h"

#include <malloc.h>

/* --- Every way to ask for `size` bytes --- */

static void *ask_malloc(size_t size)
{
    return malloc(size);
}
static void *ask_calloc_one(size_t size)
{
    return calloc(1, size);
}
static void *ask_calloc_many(size_t size)
{
    return calloc(size, 1);
}
static void *ask_realloc(size_t size)
{
    return realloc(NULL, size);
}
static void *ask_reallocarray(size_t size)
{
    return reallocarray(NULL, size, 1);
}
static void *ask_aligned_alloc(size_t size)
{
    return aligned_alloc(64, size);
}
static void *ask_memalign(size_t size)
{
    return memalign(4 * KB, size);
}
static void *ask_valloc(size_t size)
{
    return valloc(size);
}
static void *ask_pvalloc(size_t size)
{
    return pvalloc(size);
}

static void *ask_posix_memalign(size_t size)
{
    void *block = NULL;
    int error = posix_memalign(&block, 64, size);

    if (error != 0)
        errno = error;
    return block;
}

static const struct request {
    const char *name;
    void *(*ask)(size_t size);
} requests[] = {
    {"malloc", ask_malloc},
    {"calloc", ask_calloc_one},
    {"calloc", ask_calloc_many},
    {"realloc", ask_realloc},
    {"reallocarray", ask_reallocarray},
    {"aligned_alloc", ask_aligned_alloc},
    {"memalign", ask_memalign},
    {"valloc", ask_valloc},
    {"pvalloc", ask_pvalloc},
    {"posix_memalign", ask_posix_memalign},
};

enum { REQUEST_COUNT = sizeof requests / sizeof requests[0] };

/* A malloc may lack pvalloc; libc's would then hand out blocks that its free does not know. */
static void *ask(const struct request *request, size_t size)
{
    return opaque(request->ask(opaque_size(size)));
}

static bool is_missing(const struct request *request)
{
    return entry_point(request->name) == NULL;
}

/* --- Sizes --- */

START_TEST(size_zero_gives_a_block_of_its_own)
{
    const struct request *request = &requests[_i];
    void *blocks[100];

    if (is_missing(request)) {
        skip(__func__, request->name);
        return;
    }
    for (int i = 0; i < 100; i++) {
        blocks[i] = ask(request, 0);
        ck_assert_msg(blocks[i] != NULL, "%s of 0 bytes: expected a block", request->name);
        for (int j = 0; j < i; j++)
            ck_assert_msg(blocks[i] != blocks[j], "%s of 0 bytes gave %p twice", request->name,
                          blocks[i]);
    }
    for (int i = 0; i < 100; i++)
        free(blocks[i]);
}
END_TEST

static void try_size(const struct request *request, size_t size)
{
    char *block;

    errno = 0;
    block = ask(request, size);
    if (block == NULL) {
        ck_assert_msg(size > 256 * MB, "%s of %zu bytes: expected a block, errno %d", request->name,
                      size, errno);
        ck_assert_msg(errno == ENOMEM, "%s of %zu bytes: errno %d, expected ENOMEM", request->name,
                      size, errno);
        return;
    }
    ck_assert_msg(is_aligned(block, natural_alignment(size)), "%s of %zu bytes: %p", request->name,
                  size, (void *)block);
    ck_assert_msg(malloc_usable_size(block) >= size, "%s of %zu bytes: only %zu usable",
                  request->name, size, malloc_usable_size(block));
    block[0] = 1;
    block[size - 1] = 1;
    free(block);
}

START_TEST(sizes_around_every_power_of_two)
{
    const struct request *request = &requests[_i];

    if (is_missing(request)) {
        skip(__func__, request->name);
        return;
    }
    for (int k = 1; k <= 46; k++)
        for (int off = -1; off <= 1; off++)
            try_size(request, ((size_t)1 << k) + (size_t)off);
}
END_TEST

static void refuse_size(const struct request *request, size_t size)
{
    void *block;
    int error;

    errno = 0;
    block = ask(request, size);
    error = errno;
    ck_assert_msg(block == NULL && error == ENOMEM,
                  "%s of %zu bytes: %p, errno %d, expected NULL and ENOMEM", request->name, size,
                  block, error);
}

START_TEST(impossible_sizes_are_refused)
{
    const struct request *request = &requests[_i];

    if (is_missing(request)) {
        skip(__func__, request->name);
        return;
    }
    for (size_t below = 0; below <= 4096; below++)
        refuse_size(request, SIZE_MAX - below);
    for (size_t off = 0; off <= 64; off++) {
        refuse_size(request, (size_t)PTRDIFF_MAX - off);
        refuse_size(request, (size_t)PTRDIFF_MAX + 1 + off);
    }
    for (int k = 48; k <= 63; k++)
        refuse_size(request, (size_t)1 << k);
}
END_TEST

static const struct {
    size_t count;
    size_t size;
} overflows[] = {
    {SIZE_MAX, 2},
    {2, SIZE_MAX},
    {SIZE_MAX, SIZE_MAX},
    {SIZE_MAX / 2 + 1, 2},
    {2, SIZE_MAX / 2 + 1},
    {SIZE_MAX / 16 + 1, 16},
    {SIZE_MAX / 16 + 2, 16},            /* wraps to 16 */
    {(size_t)1 << 32, (size_t)1 << 32}, /* wraps to 0 */
    {((size_t)1 << 32) + 1, (size_t)1 << 32},
    {(size_t)1 << 63, 3},
    {SIZE_MAX / 3 + 1, 3}, /* wraps to 2 */
};

START_TEST(products_that_overflow_are_refused)
{
    size_t count = opaque_size(overflows[_i].count);
    size_t size = opaque_size(overflows[_i].size);
    char *block = malloc(100);

    assert_refused(calloc(count, size), ENOMEM);
    assert_refused(reallocarray(NULL, count, size), ENOMEM);
    pattern_fill(block, 100, 1);
    assert_refused(reallocarray(opaque(block), count, size), ENOMEM);
    ck_assert_uint_eq(pattern_damage(block, 100, 1), 100);
    free(block);
}
END_TEST

/* --- malloc_usable_size --- */

START_TEST(usable_size_is_stable_and_writable)
{
    enum { LIVE = 64 };
    uint64_t random = test_seed();
    char *blocks[LIVE] = {NULL};
    size_t usable[LIVE] = {0};

    ck_assert_uint_eq(malloc_usable_size(NULL), 0);
    for (size_t turn = 0; turn < scaled(20000); turn++) {
        size_t slot = turn % LIVE;
        size_t size = random_size(&random, turn % 100 == 0 ? 4 * MB : 64 * KB);

        if (blocks[slot] != NULL) {
            size_t damage = pattern_damage(blocks[slot], usable[slot], turn - LIVE);

            ck_assert_msg(damage == usable[slot], "block of %zu usable bytes damaged at %zu",
                          usable[slot], damage);
            ck_assert_uint_eq(malloc_usable_size(blocks[slot]), usable[slot]);
            free(blocks[slot]);
        }
        blocks[slot] = opaque(malloc(size));
        ck_assert_ptr_nonnull(blocks[slot]);
        usable[slot] = malloc_usable_size(blocks[slot]);
        ck_assert_uint_ge(usable[slot], size);
        pattern_fill(opaque(blocks[slot]), usable[slot], turn);
    }
    for (int slot = 0; slot < LIVE; slot++)
        free(blocks[slot]);
}
END_TEST

/* --- errno --- */

START_TEST(free_keeps_errno)
{
    uint64_t random = test_seed();

    errno = 12345;
    free(opaque(NULL));
    ck_assert_int_eq(errno, 12345);
    for (size_t turn = 0; turn < scaled(100000); turn++) {
        size_t size = random_size(&random, turn % 100 == 0 ? 8 * MB : 64 * KB);
        void *block = opaque(malloc(size));

        errno = (int)turn;
        free(block);
        if (errno != (int)turn)
            ck_abort_msg("free of %zu bytes: errno %d, expected %d", size, errno, (int)turn);
    }
}
END_TEST

START_TEST(success_keeps_errno)
{
    const struct request *request = &requests[_i];
    uint64_t random = test_seed();

    if (is_missing(request)) {
        skip(__func__, request->name);
        return;
    }
    for (size_t turn = 0; turn < scaled(10000); turn++) {
        size_t size = random_size(&random, turn % 100 == 0 ? 8 * MB : 64 * KB);
        void *block;

        errno = (int)turn;
        block = opaque(realloc(ask(request, size), size * 2));
        if (block == NULL || errno != (int)turn)
            ck_abort_msg("%s of %zu bytes and realloc: %p, errno %d, expected %d", request->name,
                         size, block, errno, (int)turn);
        free(block);
    }
}
END_TEST

/* --- Frees that are told the size, and sizes without a block --- */

START_TEST(sized_frees_free)
{
    void (*free_sized)(void *, size_t) = only_with_entry_point("free_sized", __func__);
    void (*free_aligned_sized)(void *, size_t, size_t) = entry_point("free_aligned_sized");
    void (*sdallocx)(void *, size_t, int) = entry_point("sdallocx");
    size_t resident;

    if (free_sized == NULL)
        return;
    ck_assert_ptr_nonnull(free_aligned_sized);
    ck_assert_ptr_nonnull(sdallocx);

    free_sized(NULL, 10);
    free_aligned_sized(NULL, 64, 10);
    resident = resident_bytes();
    for (size_t turn = 0; turn < 3000; turn++) {
        size_t size = turn * 100;

        errno = (int)turn;
        free_sized(memset(malloc(size), 1, size), size);
        free_aligned_sized(memset(aligned_alloc(256, size), 1, size), 256, size);
        sdallocx(memset(malloc(size), 1, size), size, 0);
        sdallocx(memset(aligned_alloc(4 * KB, size), 1, size), size, 12);
        ck_assert_int_eq(errno, (int)turn);
    }
    ck_assert_msg(resident_bytes() < resident + 64 * MB, "1.8 GB freed, yet %zu MB grown",
                  (resident_bytes() - resident) / MB);
}
END_TEST

START_TEST(nallocx_tells_the_size_that_malloc_gives)
{
    size_t (*nallocx)(size_t, int) = only_with_entry_point("nallocx", __func__);

    if (nallocx == NULL)
        return;
    for (size_t size = 1; size < 4 * MB; size += size / 7 + 1) {
        void *block = malloc(size);

        ck_assert_msg(nallocx(size, 0) == malloc_usable_size(block),
                      "nallocx(%zu, 0) = %zu, but malloc gives %zu", size, nallocx(size, 0),
                      malloc_usable_size(block));
        free(block);
        for (int log = 0; log <= 22; log += 1 + log % 3) {
            block = aligned_alloc((size_t)1 << log, size);
            ck_assert_msg(nallocx(size, log) == malloc_usable_size(block),
                          "nallocx(%zu, %d) = %zu, but aligned_alloc gives %zu", size, log,
                          nallocx(size, log), malloc_usable_size(block));
            free(block);
        }
    }
    ck_assert_uint_eq(nallocx(opaque_size(SIZE_MAX), 0), 0);
}
END_TEST

/* --- All names --- */

/* One name left to libc gives a block that our free does not know, or a report of an empty heap. */
static const char *const names[] = {
    "malloc",          "free",
    "calloc",          "realloc",
    "reallocarray",    "posix_memalign",
    "aligned_alloc",   "memalign",
    "valloc",          "pvalloc",
    "cfree",           "malloc_usable_size",
    "free_sized",      "free_aligned_sized",
    "sdallocx",        "nallocx",
    "malloc_trim",     "mallinfo",
    "mallinfo2",       "malloc_info",
    "malloc_stats",    "mallopt",
    "__libc_malloc",   "__libc_free",
    "__libc_calloc",   "__libc_realloc",
    "__libc_memalign", "__libc_valloc",
    "__libc_pvalloc",
};

START_TEST(valloc_supplies_every_name)
{
    if (!only_on_valloc(__func__))
        return;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(entry_point(names[i]) != NULL, "%s is not valloc's", names[i]);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("contract");
    TCase *sizes = timed_case("sizes", 20);
    TCase *errors = timed_case("errno", 20);
    TCase *entry_points = timed_case("names", 20);

    tcase_add_loop_test(sizes, size_zero_gives_a_block_of_its_own, 0, REQUEST_COUNT);
    tcase_add_loop_test(sizes, sizes_around_every_power_of_two, 0, REQUEST_COUNT);
    tcase_add_loop_test(sizes, impossible_sizes_are_refused, 0, REQUEST_COUNT);
    tcase_add_loop_test(sizes, products_that_overflow_are_refused, 0,
                        sizeof overflows / sizeof overflows[0]);
    tcase_add_test(sizes, usable_size_is_stable_and_writable);
    tcase_add_test(errors, free_keeps_errno);
    tcase_add_loop_test(errors, success_keeps_errno, 0, REQUEST_COUNT);
    tcase_add_test(entry_points, sized_frees_free);
    tcase_add_test(entry_points, nallocx_tells_the_size_that_malloc_gives);
    tcase_add_test(entry_points, valloc_supplies_every_name);
    suite_add_tcase(suite, sizes);
    suite_add_tcase(suite, errors);
    suite_add_tcase(suite, entry_points);
    return suite;
}
