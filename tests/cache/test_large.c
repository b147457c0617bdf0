/*
 * cache/large: runs and big blocks: where one ends and the other begins, alignments, sizes, memory
 * that is said to be zero, resizing, and pointers that are no block.
 */
#include "tests/world.h"

#include <setjmp.h>

static void set_up(void)
{
    begin_world(1);
}

static void *take(size_t bytes, size_t align)
{
    bool zeroed;
    char *block = vl_large_take(&vl_node_heaps[0], bytes, align, VL_STAYS, &zeroed);
    ck_assert_ptr_nonnull(block);
    ck_assert(is_aligned(block, align));
    if (zeroed)
        ck_assert(is_zero(block, bytes));
    memset(block, 0x77, bytes);
    return block;
}

static void give(void *block)
{
    vl_large_give(vl_slice_of(block), block, "free");
}

static size_t bytes_of(const void *block)
{
    return vl_large_bytes(vl_slice_of(block), block, "realloc");
}

static bool is_big(const void *block)
{
    return vl_slice_of(block)->kind == VL_SLICE_BIG;
}

/* --- Sizes and places --- */

START_TEST(runs_below_a_megabyte_big_from_there)
{
    static const struct {
        size_t bytes, usable;
        bool big;
    } blocks[] = {
        {1, VL_PAGE_SIZE, false},
        {VL_PAGE_SIZE + 1, 2 * VL_PAGE_SIZE, false},
        {VL_SMALL_MAX + 1, VL_SMALL_MAX + VL_PAGE_SIZE, false},
        {VL_BIG_MIN - 1, VL_BIG_MIN, false},
        {VL_BIG_MIN, VL_BIG_MIN, true},
        {VL_BIG_MIN + 1, VL_BIG_MIN + 4096, true},
        {(size_t)100 << 20, (size_t)100 << 20, true},
    };
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        void *block = take(blocks[i].bytes, 16);
        ck_assert_uint_eq(bytes_of(block), blocks[i].usable);
        ck_assert_int_eq(is_big(block), blocks[i].big);
        give(block);
    }
}
END_TEST

START_TEST(every_alignment_is_kept)
{
    static const size_t sizes[] = {1, 10000, VL_SMALL_MAX + 1, VL_BIG_MIN - 1, VL_BIG_MIN, 5 << 20};
    size_t align = (size_t)1 << _i;
    void *blocks[12];
    for (unsigned i = 0; i < 12; i++) { /* two of each, as the first may lie well by chance */
        blocks[i] = take(sizes[i % 6], align);
        ck_assert_int_eq(is_big(blocks[i]), sizes[i % 6] >= VL_BIG_MIN || align > VL_REGION_SIZE);
    }
    for (unsigned i = 0; i < 12; i++)
        give(blocks[i]);
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
}
END_TEST

START_TEST(class_map_marks_the_run)
{
    char *block = take(5 * VL_PAGE_SIZE, 16);
    const struct vl_slice *slice = vl_slice_of(block);
    _Atomic uint8_t *map = vl_slice_class(slice, block);
    ck_assert_uint_eq(map[0], VL_CLASS_RUN_HEAD);
    for (int i = 1; i < 5; i++)
        ck_assert_uint_eq(map[i], VL_CLASS_RUN_BODY);
    ck_assert_uint_eq(map[5], VL_CLASS_NONE);
    give(block);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(map[i], VL_CLASS_NONE);
}
END_TEST

START_TEST(no_memory_is_null)
{
    bool zeroed;
    ck_assert_ptr_null(vl_large_take(&vl_node_heaps[0], (size_t)1 << 60, 16, VL_STAYS, &zeroed));
    ck_assert_ptr_null(
        vl_large_take(&vl_node_heaps[0], VL_BIG_MIN, (size_t)1 << 60, VL_STAYS, &zeroed));
    fake_os_fail_from(FAKE_ANY, 1, ENOMEM);
    ck_assert_ptr_null(vl_large_take(&vl_node_heaps[0], VL_BIG_MIN, 16, VL_STAYS, &zeroed));
    ck_assert_ptr_null(vl_large_take(&vl_node_heaps[0], VL_PAGE_SIZE, 16, VL_STAYS, &zeroed));
    fake_os_heal();
    give(take(VL_BIG_MIN, 16));
    give(take(VL_PAGE_SIZE, 16));
}
END_TEST

/* --- Memory that is zero --- */

/* take() checks what is said; here, that it is said where it can be, and not of used memory. */
START_TEST(fresh_memory_is_known_to_be_zero)
{
    size_t bytes = _i == 0 ? 500000 : 3 << 20;
    bool zeroed;
    char *block = vl_large_take(&vl_node_heaps[0], bytes, 16, VL_STAYS, &zeroed);
    ck_assert(zeroed);
    memset(block, 0x77, bytes);
    give(block);
    char *again = vl_large_take(&vl_node_heaps[0], bytes, 16, VL_STAYS, &zeroed);
    ck_assert_ptr_eq(again, block);
    ck_assert(!zeroed);
    give(again);
    vl_place_purge(0);
    again = vl_large_take(&vl_node_heaps[0], bytes, 16, VL_STAYS, &zeroed);
    ck_assert(zeroed);
    ck_assert(is_zero(again, bytes));
}
END_TEST

START_TEST(what_is_said_to_be_zero_is)
{
    enum { BLOCKS = 40 };
    void *blocks[BLOCKS] = {NULL};
    uint64_t state = test_seed();
    for (size_t step = 0; step < scaled(3000); step++) {
        void **block = &blocks[random_next(&state) % BLOCKS];
        if (*block != NULL)
            give(*block);
        *block = take(1 + random_next(&state) % (step % 8 == 0 ? 4 << 20 : 600000), 16);
        if (step % 100 == 0)
            vl_place_purge(0);
    }
}
END_TEST

/* --- Memory that is kept --- */

/* The figure of a moment: big blocks in use, and how much they may leave behind. */
static void check_kept(size_t in_use_max)
{
    struct vl_stats stats = stats_now();
    size_t kept_max = vl_max((size_t)64 << 20, in_use_max);
    ck_assert_msg(stats.big_kept_bytes <= kept_max,
                  "%lu MB are kept of big blocks, of which there were never more than %zu MB",
                  (unsigned long)stats.big_kept_bytes >> 20, in_use_max >> 20);
    ck_assert_uint_le(stats.heap_bytes, 16 * kept_max);
}

/* Sizes of all kinds, over and over: neither memory nor address space grows without end. */
START_TEST(kept_memory_is_bounded)
{
    enum { BLOCKS = 10, BYTES_MAX = 6 << 20 };
    void *blocks[BLOCKS] = {NULL};
    uint64_t state = test_seed();
    bool zeroed;
    for (size_t step = 0; step < scaled(5000); step++) {
        void **block = &blocks[random_next(&state) % BLOCKS];
        if (*block != NULL)
            give(*block);
        size_t bytes = VL_BIG_MIN + random_next(&state) % (BYTES_MAX - VL_BIG_MIN);
        *block = vl_large_take(&vl_node_heaps[0], bytes, 16, VL_STAYS, &zeroed);
        require(*block != NULL);
        if (step % 100 == 0)
            check_kept(BLOCKS * BYTES_MAX);
    }
}
END_TEST

/* --- Resizing --- */

START_TEST(big_block_keeps_its_contents)
{
    static const size_t sizes[] = {3 << 20, 5 << 20,    64 << 20, 65 << 20,
                                   2 << 20, VL_BIG_MIN, 20 << 20};
    size_t have = 2 << 20;
    unsigned moves = 0;
    void *block = take(have, 16);
    pattern_fill(block, have, 1);
    if (_i == 1)
        fake_os_fail_from(FAKE_MOVE, 1, ENOMEM);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *wall = take(VL_BIG_MIN, 16); /* may be in the way, so that growth means moving */
        void *resized = vl_large_resize(vl_slice_of(block), block, vl_usable_size(block), sizes[i]);
        moves += resized != NULL && resized != block;
        if (resized == NULL) {
            ck_assert_uint_eq(bytes_of(block), have); /* nothing was done */
            /* The kernel would not move it, or it is less than a huge page. */
            ck_assert(_i == 1 || (moves > 0 && have == VL_BIG_MIN));
        } else {
            ck_assert_ptr_nonnull(resized);
            block = resized;
            size_t kept = vl_min(have, sizes[i]);
            ck_assert_uint_eq(pattern_damage(block, kept, 1), kept);
            have = sizes[i];
            ck_assert_uint_eq(bytes_of(block), have);
            pattern_fill(block, have, 1);
        }
        give(wall);
    }
    ck_assert(_i == 1 ? moves == 0 : moves > 0);
    give(block);
    ck_assert_uint_eq(stats_now().big_blocks, 0);
    ck_assert_uint_eq(stats_now().big_bytes, 0);
}
END_TEST

/* What is around the block stays as it is; so does everything where the kernel refuses. */
START_TEST(cleared)
{
    static const size_t sizes[] = {1, 300000, VL_BIG_MIN, 31 << 20, 32 << 20, (33 << 20) + 12345};
    char *block = take(40 << 20, 16);
    if (_i == 1)
        fake_os_fail_from(FAKE_ADVISE_DISCARD, 1, EINVAL);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t before = 4096 * (i + 1);
        memset(block, 1, 40 << 20);
        ck_assert_ptr_eq(vl_large_clear(block + before, sizes[i]), block + before);
        ck_assert(is_zero(block + before, sizes[i]));
        ck_assert_int_eq(block[before - 1], 1);
        ck_assert_int_eq(block[before + sizes[i]], 1);
    }
    give(block);
}
END_TEST

static void *resized(void *block, size_t bytes)
{
    return vl_large_resize(vl_slice_of(block), block, bytes_of(block), bytes);
}

/* What the class map says of the pages from `block` on: so many are of its run, and one that is not. */
static void check_run(const char *block, unsigned pages)
{
    const struct vl_slice *slice = vl_slice_of(block);
    ck_assert_uint_eq(bytes_of(block), pages * VL_PAGE_SIZE);
    ck_assert_uint_eq(vl_get(vl_slice_class(slice, block)), VL_CLASS_RUN_HEAD);
    for (unsigned page = 1; page < pages; page++)
        ck_assert_uint_eq(vl_get(vl_slice_class(slice, block + page * VL_PAGE_SIZE)),
                          VL_CLASS_RUN_BODY);
    ck_assert_uint_ne(vl_get(vl_slice_class(slice, block + pages * VL_PAGE_SIZE)),
                      VL_CLASS_RUN_BODY);
}

START_TEST(a_run_grows_where_it_stands)
{
    void *block = take(300000, 16);
    for (size_t bytes = 300001; bytes < VL_BIG_MIN; bytes += bytes / 8) {
        size_t have = bytes_of(block);
        pattern_fill(block, have, bytes);
        if (bytes <= have)
            continue;
        ck_assert_ptr_eq(resized(block, bytes), block);
        ck_assert_uint_eq(pattern_damage(block, have, bytes), have);
        check_run(block, (unsigned)((bytes + VL_PAGE_SIZE - 1) / VL_PAGE_SIZE));
    }
    give(block);
    ck_assert_uint_eq(vl_get(&vl_page_heaps[vl_slice_of(block)->number].pages_used), 0);
}
END_TEST

START_TEST(what_cannot_stay_is_left_alone)
{
    void *run = take(500000, 16), *wall = take(300000, 16), *big = take(2 << 20, 16);
    ck_assert_ptr_null(resized(run, 600000));
    ck_assert_ptr_null(resized(run, VL_BIG_MIN));
    ck_assert_ptr_null(resized(run, 40000)); /* shorter by so much, it moves */
    ck_assert_ptr_null(resized(big, VL_BIG_MIN - 1));
    check_run(run, 62);
    check_run(wall, 37);
    give(wall);
    ck_assert_ptr_eq(resized(run, 600000), run);
    give(run);
    give(big);
}
END_TEST

/* What comes after one that grows does not stand in its way. */
START_TEST(what_grows_has_room)
{
    bool zeroed;
    void *block = vl_large_take(&vl_node_heaps[0], VL_GROWN_MIN, 16, VL_GROWS, &zeroed);
    void *next = take(VL_GROWN_MIN, 16);
    ck_assert_ptr_eq(resized(block, 2 * VL_GROWN_MIN), block);
    give(next);
    give(block);
}
END_TEST

/* --- Pointers that are no block --- */

static jmp_buf after_panic;
static char caught[256];

static void catch_line(const char *line)
{
    snprintf(caught, sizeof caught, "%s", line);
    longjmp(after_panic, 1);
}

static const char *line_of_giving(void *block)
{
    vl_panic_hook = catch_line;
    caught[0] = '\0';
    if (setjmp(after_panic) == 0)
        give(block);
    vl_panic_hook = NULL;
    return caught;
}

static const char *line_of_measuring(const void *block)
{
    vl_panic_hook = catch_line;
    caught[0] = '\0';
    if (setjmp(after_panic) == 0)
        bytes_of(block);
    vl_panic_hook = NULL;
    return caught;
}

static void expect_both(void *pointer, const char *reason)
{
    const char *line = line_of_giving(pointer);
    ck_assert_msg(strstr(line, "free(): ") != NULL && strstr(line, reason) != NULL, "%s", line);
    line = line_of_measuring(pointer);
    ck_assert_msg(strstr(line, "realloc(): ") != NULL && strstr(line, reason) != NULL, "%s", line);
}

START_TEST(interior_pointers_are_told)
{
    static const size_t sizes[] = {500000, 5 << 20};
    char *block = take(sizes[_i], 16);
    static const size_t offsets[] = {1, 16, 4096, VL_PAGE_SIZE, VL_PAGE_SIZE + 8, 400000};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
        expect_both(block + offsets[i], "not the start of a block:");
    ck_assert_uint_ge(bytes_of(block), sizes[_i]);
    give(block);
}
END_TEST

START_TEST(freed_blocks_are_told)
{
    static const size_t sizes[] = {500000, 5 << 20};
    char *block = take(sizes[_i], 16), *wall = take(sizes[_i], 16);
    give(block);
    expect_both(block, "freed already or never allocated:");
    vl_place_purge(0);
    expect_both(block, "freed already or never allocated:");
    ck_assert_uint_ge(bytes_of(wall), sizes[_i]);
}
END_TEST

/* Freed by one thread after another has looked how large it is. */
START_TEST(what_is_free_does_not_grow)
{
    char *block = take(500000, 16);
    size_t have = bytes_of(block);
    give(block);
    vl_panic_hook = catch_line;
    if (setjmp(after_panic) == 0)
        vl_large_resize(vl_slice_of(block), block, have, 600000);
    vl_panic_hook = NULL;
    ck_assert_msg(strstr(caught, "realloc(): ") != NULL &&
                      strstr(caught, "freed already or never allocated:") != NULL,
                  "%s", caught);
}
END_TEST

/* Far behind everything that was ever handed out: nothing is there, and looking faults not. */
START_TEST(wild_pointers_are_told)
{
    static const size_t sizes[] = {500000, 5 << 20};
    char *block = take(sizes[_i], 16);
    const struct vl_slice *slice = vl_slice_of(block);
    ck_assert_ptr_nonnull(slice);
    char *start = (char *)slice->start;
    size_t size = vl_get(&slice->size);
    expect_both(start + size / 2, "freed already or never allocated:");
    expect_both(start + size - VL_GRAIN_SIZE, "freed already or never allocated:");
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/large");

    TCase *places = timed_case("places", 20);
    tcase_add_checked_fixture(places, set_up, NULL);
    tcase_add_test(places, runs_below_a_megabyte_big_from_there);
    tcase_add_loop_test(places, every_alignment_is_kept, 4, 31);
    tcase_add_test(places, class_map_marks_the_run);
    tcase_add_test(places, no_memory_is_null);
    suite_add_tcase(suite, places);

    TCase *zero = timed_case("zero", 20);
    tcase_add_checked_fixture(zero, set_up, NULL);
    tcase_add_loop_test(zero, fresh_memory_is_known_to_be_zero, 0, 2);
    tcase_add_test(zero, what_is_said_to_be_zero_is);
    suite_add_tcase(suite, zero);

    TCase *kept = timed_case("kept", 20);
    tcase_add_checked_fixture(kept, set_up, NULL);
    tcase_add_test(kept, kept_memory_is_bounded);
    suite_add_tcase(suite, kept);

    TCase *resize = timed_case("resize", 20);
    tcase_add_checked_fixture(resize, set_up, NULL);
    tcase_add_loop_test(resize, big_block_keeps_its_contents, 0, 2);
    tcase_add_test(resize, a_run_grows_where_it_stands);
    tcase_add_test(resize, what_cannot_stay_is_left_alone);
    tcase_add_test(resize, what_grows_has_room);
    tcase_add_loop_test(resize, cleared, 0, 2);
    suite_add_tcase(suite, resize);

    TCase *misuse = tcase_create("misuse");
    tcase_add_checked_fixture(misuse, set_up, NULL);
    tcase_add_loop_test(misuse, interior_pointers_are_told, 0, 2);
    tcase_add_loop_test(misuse, freed_blocks_are_told, 0, 2);
    tcase_add_test(misuse, what_is_free_does_not_grow);
    tcase_add_loop_test(misuse, wild_pointers_are_told, 0, 2);
    suite_add_tcase(suite, misuse);
    return suite;
}
