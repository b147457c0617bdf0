/* Moves of hugepage/big_heap over the false system: pages that go elsewhere, piece by piece,
 * seams of the kernel's, moves that fail, and moved memory that is renewed. */
#include "tests/hugepage/held_blocks.h"

#include <errno.h>
#include <sys/mman.h>

START_TEST(moved_pages)
{
    char *block = take(3 * MB), *fence = take(MB), *moved;
    pattern_fill(block, 3 * MB, 7);
    moved = vl_big_heap_move(&heap, block, 5 * MB);
    ck_assert_ptr_nonnull(moved);
    ck_assert_ptr_ne(moved, block);
    ck_assert_uint_eq(pattern_damage(moved, 3 * MB, 7), 3 * MB);
    ck_assert(is_zero(moved + 3 * MB, 2 * MB));
    ck_assert_uint_eq(fake_os_last(FAKE_MOVE, block)->size, 2 * MB); /* the rest is copied */
    ck_assert_uint_eq(vl_get(&heap.blocks_used), 2);
    ck_assert_ptr_eq(fake_os_last(FAKE_MOVE, block)->to, moved);
    ck_assert(!vl_big_heap_give(&heap, block));

    ck_assert_uint_eq(fake_os_count(FAKE_RENEW), 0);
    give(moved);
    const struct fake_os_record *renewed = fake_os_last(FAKE_RENEW, moved);
    ck_assert_ptr_nonnull(renewed);
    ck_assert_ptr_eq(renewed->start, moved);
    ck_assert_uint_eq(renewed->size, 5 * MB);
    ck_assert(is_zero(moved, 5 * MB));
    give(fence);
    check_counts();
}
END_TEST

/* Grows `block` from its `bytes` by 2 MB with something in its way, so that it has to move. */
static char *move_on(char *block, size_t bytes)
{
    char *moved = vl_big_heap_move(&heap, block, bytes + 2 * MB);
    ck_assert_ptr_nonnull(moved);
    ck_assert_uint_eq(pattern_damage(moved, bytes, 7), bytes);
    pattern_fill(moved, bytes + 2 * MB, 7);
    take(MB);
    return moved;
}

START_TEST(moved_again_piece_by_piece)
{
    enum { MOVES = VL_EXTENT_PIECES_MAX - 1 };
    size_t bytes = 2 * MB;
    char *block = take(bytes);
    take(MB);
    pattern_fill(block, bytes, 7);
    for (unsigned moves = 1; moves <= MOVES; moves++, bytes += 2 * MB) {
        unsigned before = fake_os_count(FAKE_MOVE);
        block = move_on(block, bytes);
        /* Each time it went, 2 MB more were the slice's own. */
        ck_assert_uint_eq(fake_os_count(FAKE_MOVE) - before, moves);
    }
    ck_assert_uint_eq(heap.pieces, VL_EXTENT_PIECES_MAX);
    ck_assert_ptr_null(vl_big_heap_move(&heap, block, bytes + MB));
    ck_assert_uint_eq(pattern_damage(block, bytes, 7), bytes);
    give(block);
    ck_assert_uint_eq(heap.pieces, 0);
}
END_TEST

/* What it grows into where it stands belongs to its rest. */
START_TEST(moved_then_grown_then_moved)
{
    char *block = take(2 * MB), *fence = take(MB);
    pattern_fill(block, 2 * MB, 7);
    block = vl_big_heap_move(&heap, block, 4 * MB);
    ck_assert(vl_big_heap_resize(&heap, block, 7 * MB));
    pattern_fill(block, 7 * MB, 7);
    unsigned before = fake_os_count(FAKE_MOVE);
    move_on(block, 7 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_MOVE) - before, 2);
    give(fence);
}
END_TEST

/* What is left of a block that was cut has lost its seams, and stays. */
START_TEST(moved_then_cut)
{
    char *block = take(4 * MB), *moved = vl_big_heap_move(&heap, block, 6 * MB);
    ck_assert(vl_big_heap_resize(&heap, moved, 3 * MB));
    ck_assert_ptr_null(vl_big_heap_move(&heap, moved, 8 * MB));
    give(moved);
    ck_assert_uint_eq(heap.pieces, 0);
    check_counts();
}
END_TEST

static const struct vl_os *real_os;
static unsigned moves_left;

/* Kernels before 6.17: the target goes first, then the source is looked at. */
static int unmap_and_refuse(void *from, size_t size, void *to)
{
    if (moves_left-- != 0)
        return real_os->move(from, size, to);
    munmap(to, size);
    return -1;
}

static int refuse(void *from, size_t size, void *to)
{
    return moves_left-- != 0 ? real_os->move(from, size, to) : -1;
}

START_TEST(move_fails_half_way)
{
    static int (*const failing[])(void *, size_t, void *) = {unmap_and_refuse, refuse};
    struct vl_os os = *vl_os;
    size_t bytes = 2 * MB;
    char *block = take(bytes);
    pattern_fill(block, bytes, 7);
    for (; bytes < 8 * MB; bytes += 2 * MB)
        block = move_on(block, bytes);
    real_os = vl_os;
    moves_left = 2;
    os.move = failing[_i];
    vl_os = &os;
    char *moved = move_on(block, bytes);
    vl_os = real_os;
    ck_assert_ptr_ne(moved, block);
    ck_assert_ptr_null(vl_big_heap_move(&heap, moved, bytes + 2 * MB)); /* once is enough */
    give(moved);
    while (vl_big_heap_has_room(&heap, 4 * MB, 1))
        take(4 * MB); /* looks whether they are zero where they should be */
}
END_TEST

/* Where two mappings of the kernel's meet; two can, where both can be seen. */
static char *seams[2];
static unsigned seams_met;

static int refuse_seams(void *from, size_t size, void *to)
{
    for (unsigned i = 0; i < 2; i++)
        if (seams[i] > (char *)from && seams[i] < (char *)from + size)
            return seams_met++, -EFAULT;
    return real_os->move(from, size, to);
}

/* Moves a block of 6 MB that has them at these places. */
static char *move_over_seams(size_t first, size_t second)
{
    static struct vl_os os;
    char *block = take(6 * MB);
    pattern_fill(block, 6 * MB, 7);
    seams[0] = block + first;
    seams[1] = block + second;
    real_os = vl_os;
    os = *vl_os;
    os.move = refuse_seams;
    vl_os = &os;
    char *moved = move_on(block, 6 * MB);
    vl_os = real_os;
    ck_assert_ptr_ne(moved, block);
    return moved;
}

START_TEST(moved_over_seams_of_the_kernel)
{
    static const size_t places[][2] = {
        {2 * MB, 4 * MB}, {2 * MB, 2 * MB}, {4 * MB, 4 * MB}, {4 * MB, 5 * MB}};
    char *moved = move_over_seams(places[_i][0], places[_i][1]);
    ck_assert_uint_le(seams_met, 4);
    ck_assert(!heap.move_failed);
    ck_assert_uint_ge(heap.pieces, 3); /* one seam that is next to another may pass unnoticed */
    ck_assert_ptr_nonnull(vl_big_heap_move(&heap, moved, 9 * MB));
    ck_assert_uint_eq(count_lost(), 0);
}
END_TEST

/* In the middle of a huge page: that one is copied. */
START_TEST(moved_around_an_odd_seam)
{
    static const size_t places[] = {MB + VL_PAGE_SIZE, 3 * MB, 5 * MB};
    char *moved = move_over_seams(places[_i], places[_i]);
    ck_assert(!heap.move_failed);
    ck_assert_uint_le(heap.pieces, 4);
    ck_assert_uint_eq(count_lost(), 0);
    give(moved);
    while (vl_big_heap_has_room(&heap, 4 * MB, 1))
        take(4 * MB); /* looks whether they are zero where they should be */
}
END_TEST

/* It has no huge page of its own. */
START_TEST(a_block_below_2_mb_does_not_move)
{
    char *block = take_dirty(2 * MB - VL_GRAIN_SIZE);
    ck_assert_ptr_null(vl_big_heap_move(&heap, block, 4 * MB));
    ck_assert_uint_eq(fake_os_count(FAKE_MOVE), 0);
    ck_assert_uint_eq(vl_get(&heap.blocks_used), 1);
}
END_TEST

/* Two mappings that the kernel does not join, with pages of both in a block. */
START_TEST(seams_that_the_kernel_makes)
{
    enum { FAULTED_APART = 4 };
    char *block = take(8 * MB), *old = block;
    for (size_t i = 0; i < FAULTED_APART; i++)
        ck_assert_int_eq(
            mprotect(block + i * 2 * MB, 2 * MB, i % 2 == 0 ? PROT_READ : PROT_READ | PROT_WRITE),
            0);
    for (size_t i = 1; i < FAULTED_APART; i += 2)
        memset(block + i * 2 * MB, 1, 2 * MB);
    for (size_t i = 0; i < FAULTED_APART; i += 2) {
        ck_assert_int_eq(mprotect(block + i * 2 * MB, 2 * MB, PROT_READ | PROT_WRITE), 0);
        memset(block + i * 2 * MB, 1, 2 * MB);
    }
    pattern_fill(block, 8 * MB, 7);
    block = move_on(block, 8 * MB);
    ck_assert_ptr_ne(block, old);
    ck_assert(!heap.move_failed);
    ck_assert_uint_eq(count_lost(), 0);
}
END_TEST

START_TEST(the_rest_of_a_moved_block_is_renewed)
{
    char *block = take_dirty(6 * MB), *moved = vl_big_heap_move(&heap, block, 6 * MB);
    ck_assert(vl_big_heap_resize(&heap, moved, 2 * MB));
    ck_assert_ptr_eq(fake_os_last(FAKE_RENEW, moved + 2 * MB)->start, moved + 2 * MB);
    ck_assert_uint_eq(fake_os_last(FAKE_RENEW, moved + 2 * MB)->size, 4 * MB);
    ck_assert_int_eq(moved[2 * MB - 1], 1);
    give(moved);
    ck_assert_uint_eq(fake_os_last(FAKE_RENEW, moved)->size, 2 * MB);
}
END_TEST

START_TEST(move_fails)
{
    char *block = take(3 * MB);
    pattern_fill(block, 3 * MB, 7);
    fake_os_fail(FAKE_MOVE, 1, ENOMEM);
    ck_assert_ptr_null(vl_big_heap_move(&heap, block, 5 * MB));
    ck_assert_uint_eq(pattern_damage(block, 3 * MB, 7), 3 * MB);
    ck_assert_uint_eq(vl_get(&heap.blocks_used), 1);

    ck_assert_ptr_null(vl_big_heap_move(&heap, block, SLICE_SIZE));
    ck_assert_uint_eq(pattern_damage(block, 3 * MB, 7), 3 * MB);
    give(block);
    check_counts();
}
END_TEST

START_TEST(renew_fails)
{
    char *moved = vl_big_heap_move(&heap, take_dirty(4 * MB), 4 * MB);
    fake_os_fail(FAKE_RENEW, 1, ENOMEM);
    give(moved);
    ck_assert_uint_eq(fake_os_last(FAKE_ADVISE_DISCARD, moved)->size, 4 * MB);
    ck_assert(is_zero(moved, 4 * MB));
}
END_TEST

/* What could not be given back in any way is not taken for zero. take_aligned looks. */
START_TEST(renew_and_discard_fail)
{
    char *moved = vl_big_heap_move(&heap, take_dirty(4 * MB), 4 * MB);
    fake_os_fail_from(FAKE_RENEW, 1, ENOMEM);
    fake_os_fail_from(FAKE_ADVISE_DISCARD, 1, EINVAL);
    give(moved);
    while (vl_big_heap_has_room(&heap, 4 * MB, 1))
        take(4 * MB);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("big_heap_move");
    TCase *moves = tcase_create("move");

    tcase_add_checked_fixture(moves, start_world, NULL);
    tcase_add_test(moves, moved_pages);
    tcase_add_test(moves, moved_again_piece_by_piece);
    tcase_add_test(moves, moved_then_grown_then_moved);
    tcase_add_test(moves, moved_then_cut);
    tcase_add_loop_test(moves, move_fails_half_way, 0, 2);
    tcase_add_loop_test(moves, moved_over_seams_of_the_kernel, 0, 4);
    tcase_add_loop_test(moves, moved_around_an_odd_seam, 0, 3);
    tcase_add_test(moves, a_block_below_2_mb_does_not_move);
    tcase_add_test(moves, seams_that_the_kernel_makes);
    tcase_add_test(moves, the_rest_of_a_moved_block_is_renewed);
    tcase_add_test(moves, move_fails);
    tcase_add_test(moves, renew_fails);
    tcase_add_test(moves, renew_and_discard_fail);
    suite_add_tcase(suite, moves);
    return suite;
}
