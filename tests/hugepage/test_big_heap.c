/* hugepage/big_heap over the false system: blocks that are written to, resized and moved, memory
 * kept and given back by a clock set by hand, calls that fail, a fork that tears the lists. */
#include "tests/api/support.h"

#include "hugepage/big_heap.h"
#include "hugepage/hugetlb.h"
#include "hugepage/stall.h"
#include "tests/fake_os.h"

#include <sys/mman.h>

enum { BLOCKS = 60, DELAY_MS = 10 * 1000 };

#define SLICE_SIZE   (256 * MB)
#define SLICE_GRAINS (SLICE_SIZE >> VL_GRAIN_SHIFT)

static struct vl_big_heap heap;

/* A block this test holds; each grain of it says whose it is. */
struct block {
    char *start;
    size_t bytes;
    uint64_t mark;
};

static struct block held[BLOCKS];
static unsigned held_count;

static void start_heap_on(struct vl_slice *slice)
{
    vl_big_heap_start(&heap, slice, false);
}

static void start_world(void)
{
    fake_os_install();
    vl_options.purge_delay_ms = DELAY_MS;
    struct vl_slice_plan plan = vl_big_heap_plan(SLICE_SIZE);
    plan.prepare = start_heap_on;
    ck_assert_ptr_nonnull(vl_slice_create(&plan));
    fake_os_forget();
}

static void start_world_of_many_nodes(void)
{
    start_world();
    heap.extents.dirty_apart = true;
}

/* --- Blocks --- */

static size_t whole_grains(size_t bytes)
{
    return vl_round_up(bytes, VL_GRAIN_SIZE);
}

/* Where a block at least begins: on a huge page, if not more than an eighth of it would lie idle behind it. */
static size_t least_align(size_t bytes)
{
    bool shares = !heap.extents.dirty_apart && vl_options.hugepage_mode != VL_HUGEPAGE_HUGETLB &&
                  vl_options.hugepage_mode != VL_HUGEPAGE_GIANT;
    bool packed = shares && vl_round_up(bytes, 2 * MB) - bytes > bytes / 8;
    return bytes >= 2 * MB && !packed ? 2 * MB : VL_GRAIN_SIZE;
}

static char *take_aligned(size_t bytes, size_t align, bool *zeroed)
{
    char *block = vl_big_heap_take(&heap, bytes, align, NULL, zeroed);
    if (block == NULL)
        return NULL;
    ck_assert(vl_slice_holds(heap.slice, block));
    ck_assert(vl_slice_holds(heap.slice, block + bytes - 1));
    ck_assert(is_aligned(block, vl_max(align, least_align(bytes))));
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), vl_round_up(bytes, vl_os_page_size));
    ck_assert(!*zeroed || is_zero(block, bytes));
    return block;
}

static char *take(size_t bytes)
{
    bool zeroed;
    char *block = take_aligned(bytes, 1, &zeroed);
    ck_assert_ptr_nonnull(block);
    return block;
}

/* One whose memory has been written to. */
static char *take_dirty(size_t bytes)
{
    return memset(take(bytes), 1, bytes);
}

static bool take_zeroed(size_t bytes, char **block)
{
    bool zeroed;
    *block = take_aligned(bytes, 1, &zeroed);
    ck_assert_ptr_nonnull(*block);
    return zeroed;
}

static void give(void *block)
{
    ck_assert(vl_big_heap_give(&heap, block));
}

/* --- Held blocks --- */

static void mark(struct block *block, size_t from)
{
    for (size_t at = vl_round_up(from, VL_GRAIN_SIZE); at < block->bytes; at += VL_GRAIN_SIZE)
        *(uint64_t *)(block->start + at) = block->mark + at;
    block->start[block->bytes - 1] = (char)block->mark;
}

static void check_marks(const struct block *block, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += VL_GRAIN_SIZE)
        if (*(uint64_t *)(block->start + at) != block->mark + at)
            ck_abort_msg("a block of %zu bytes was written to at %zu", block->bytes, at);
}

static void check_block(const struct block *block)
{
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block->start),
                      vl_round_up(block->bytes, vl_os_page_size));
    ck_assert_int_eq(block->start[block->bytes - 1], (char)block->mark);
    check_marks(block, block->bytes - 8);
}

/* What it takes of the slice: no page of the kernel's pool is cut in two. */
static size_t room_of(const struct block *block)
{
    size_t grain = (size_t)(block->start - (char *)heap.slice->start) >> VL_GRAIN_SHIFT;
    const struct vl_extent *extent = &heap.extents.table[grain];
    bool cut = extent->hugetlb && block->bytes < (size_t)extent->seam << VL_GRAIN_SHIFT;
    return cut ? vl_round_up(block->bytes, VL_REGION_SIZE) : whole_grains(block->bytes);
}

static void check_counts(void)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < held_count; i++)
        bytes += room_of(&held[i]);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), bytes);
    ck_assert_uint_eq(vl_get(&heap.blocks_used), held_count);
    ck_assert_uint_ge(vl_get(&heap.bytes_used_max), bytes);
    ck_assert(vl_extents_valid(&heap.extents));
}

/* True if there was room; odd sizes, so that no mark meets the last byte. */
static bool hold(size_t bytes, size_t align)
{
    bool zeroed;
    struct block *block = &held[held_count];
    if (held_count == BLOCKS || (block->start = take_aligned(bytes | 9, align, &zeroed)) == NULL)
        return false;
    block->bytes = bytes | 9;
    block->mark = (uintptr_t)block->start + bytes;
    mark(block, 0);
    held_count++;
    return true;
}

static void drop(unsigned number)
{
    struct block block = held[number];
    check_block(&block);
    held[number] = held[--held_count];
    give(block.start);
}

static void drop_all(void)
{
    while (held_count > 0)
        drop(held_count - 1);
}

/* A block has a new size or place: what was in it still is. */
static void resized(struct block *block, size_t bytes)
{
    size_t kept = vl_min(block->bytes, bytes);
    check_marks(block, kept - 8);
    block->bytes = bytes;
    mark(block, kept);
    check_block(block);
}

static void resize_in_place(unsigned number, size_t bytes)
{
    if (vl_big_heap_resize(&heap, held[number].start, bytes | 9))
        resized(&held[number], bytes | 9);
    else
        check_block(&held[number]);
}

static void move(unsigned number, size_t bytes)
{
    char *old = held[number].start, *moved = vl_big_heap_move(&heap, old, bytes | 9);
    if (moved == NULL) {
        check_block(&held[number]);
        return;
    }
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, old), 0);
    held[number].start = moved;
    resized(&held[number], bytes | 9);
}

/* Most a little more than 1 MB, or than 2: below that, none is moved. */
static size_t random_bytes(uint64_t *random)
{
    return (1 + random_next(random) % 2) * MB + random_size(random, 16 * MB);
}

static void churn(size_t steps, uint64_t *random)
{
    for (size_t step = 0; step < steps; step++) {
        uint64_t choice = random_next(random);
        unsigned number = held_count == 0 ? 0 : (unsigned)(choice >> 32) % held_count;
        if (held_count == 0 || choice % 8 < 3)
            hold(random_bytes(random), (size_t)1 << (choice >> 8) % 25);
        else if (choice % 8 == 3)
            resize_in_place(number, random_bytes(random));
        else if (choice % 8 == 4)
            move(number, random_bytes(random));
        else
            drop(number);
        fake_os_sleep(choice >> 16 & 0xff);
        check_counts();
    }
    for (unsigned i = 0; i < held_count; i++)
        check_block(&held[i]);
}

/* Discards are of whole huge pages. */
static void check_discards(void)
{
    const struct fake_os_record *records;
    for (unsigned i = fake_os_records(&records); i-- > 0;)
        if (records[i].call == FAKE_ADVISE_DISCARD) {
            ck_assert(is_aligned(records[i].start, VL_REGION_SIZE));
            ck_assert_uint_eq(records[i].size % VL_REGION_SIZE, 0);
        }
}

/* Grains written off: where a move failed, or a renewal and the discard in its place. */
static unsigned count_lost(void)
{
    unsigned lost = 0;
    for (uint32_t grain = 0; grain < heap.extents.fresh;
         grain += heap.extents.table[grain].grains)
        if (heap.extents.table[grain].state == VL_EXTENT_LOST)
            lost += heap.extents.table[grain].grains;
    return lost;
}

/* With everything given back, each grain of the slice can be had, once. */
static void check_nothing_is_lost(bool may_lose)
{
    static uint64_t *grains[SLICE_GRAINS];
    bool zeroed;
    drop_all();
    check_counts();
    unsigned lost = count_lost(), whole = SLICE_GRAINS - lost;
    ck_assert(may_lose || lost == 0);
    for (unsigned i = 0; i < whole; i++) {
        grains[i] = vl_big_heap_take(&heap, VL_GRAIN_SIZE, 1, NULL, &zeroed);
        ck_assert_ptr_nonnull(grains[i]);
        *grains[i] = i;
    }
    ck_assert_ptr_null(vl_big_heap_take(&heap, VL_GRAIN_SIZE, 1, NULL, &zeroed));
    for (unsigned i = 0; i < whole; i++) {
        ck_assert_uint_eq(*grains[i], i);
        give(grains[i]);
    }
    check_counts();
}

START_TEST(plan_by_mode)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_AUTO;
    struct vl_slice_plan plan = vl_big_heap_plan(GB);
    ck_assert_int_eq(plan.kind, VL_SLICE_BIG);
    ck_assert_uint_eq(plan.size, GB);
    ck_assert_uint_eq(plan.unit_bytes, sizeof(struct vl_extent));
    ck_assert_uint_eq(plan.small_pages, 0);
    ck_assert(plan.huge);
    ck_assert(!plan.bind);

    vl_options.hugepage_mode = VL_HUGEPAGE_NEVER;
    plan = vl_big_heap_plan(GB);
    ck_assert_uint_eq(plan.small_pages, SIZE_MAX);
    ck_assert(!plan.huge);
}
END_TEST

START_TEST(every_alignment)
{
    for (size_t align = 1; align <= 64 * MB; align *= 2) {
        bool zeroed;
        char *small = take_aligned(MB + 1, align, &zeroed);
        char *large = take_aligned(2 * MB + 1, align, &zeroed);
        if (small == NULL || large == NULL)
            ck_abort_msg("no block at a multiple of %zu", align);
        give(small);
        give(large);
    }
    check_counts();
}
END_TEST

/* Little more than a huge page each: two of them would lie in four huge pages, if each began on one. */
START_TEST(packed)
{
    enum { COUNT = 20 };
    char *first = take(2 * MB + 1), *block = first;
    for (unsigned i = 1; i < COUNT; i++) {
        block = take(2 * MB + 1);
        ck_assert_ptr_eq(block, first + i * (2 * MB + VL_GRAIN_SIZE));
    }
    ck_assert(is_aligned(take(16 * MB + 1), 2 * MB));
    ck_assert_ptr_null(vl_big_heap_move(&heap, block, 4 * MB)); /* it has no huge page to itself */
    ck_assert(vl_big_heap_resize(&heap, block, 2 * MB));
    ck_assert(vl_big_heap_resize(&heap, block, 2 * MB + 2));
    ck_assert(vl_big_heap_resize(&heap, block, MB));
    ck_assert(
        !vl_big_heap_resize(&heap, block, 2 * MB)); /* there is room, but it is on no huge page */
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), MB);
}
END_TEST

START_TEST(not_packed_on_many_nodes)
{
    for (unsigned i = 0; i < 4; i++)
        ck_assert(is_aligned(take(2 * MB + 1), 2 * MB));
}
END_TEST

START_TEST(random_blocks)
{
    uint64_t random = test_seed();
    churn(scaled(6000), &random);
    ck_assert_uint_gt(fake_os_count(FAKE_ADVISE_DISCARD), 10);
    ck_assert_uint_gt(fake_os_count(FAKE_RENEW), 10);
    check_discards();
    drop_all();
    vl_big_heap_purge(&heap, 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 0); /* nothing in use: no scrap is left */
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(too_large)
{
    bool zeroed;
    ck_assert_ptr_null(vl_big_heap_take(&heap, SLICE_SIZE + 1, 1, NULL, &zeroed));
    ck_assert_ptr_null(vl_big_heap_take(&heap, SIZE_MAX, 1, NULL, &zeroed));
    ck_assert_ptr_null(vl_big_heap_take(&heap, MB, 2 * SLICE_SIZE, NULL, &zeroed));
    ck_assert(!vl_big_heap_resize(&heap, take(MB), SIZE_MAX));
    check_discards();
}
END_TEST

START_TEST(room)
{
    size_t most = SLICE_SIZE; /* it begins on a huge page, as a block of this size must */
    ck_assert(vl_big_heap_has_room(&heap, most, 1));
    ck_assert(!vl_big_heap_has_room(&heap, most + 1, 1));
    ck_assert(!vl_big_heap_has_room(&heap, SIZE_MAX, 1));
    ck_assert(!vl_big_heap_has_room(&heap, MB, SLICE_SIZE * 2));
    give(take(most));
    ck_assert(!vl_big_heap_has_room(&heap, most, 1));
    ck_assert(vl_big_heap_has_room(&heap, VL_GRAIN_SIZE, 1) == (heap.extents.fresh < 4096));
}
END_TEST

START_TEST(what_is_no_block)
{
    char *block = take(3 * MB), *next = take(MB);
    const size_t offsets[] = {1, 16, 4096, VL_GRAIN_SIZE, 2 * MB, 3 * MB - VL_GRAIN_SIZE};
    for (unsigned i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        ck_assert_uint_eq(vl_big_heap_bytes(&heap, block + offsets[i]), 0);
        ck_assert(!vl_big_heap_give(&heap, block + offsets[i]));
    }
    ck_assert(!vl_big_heap_give(&heap, (char *)heap.slice->start + SLICE_SIZE - VL_GRAIN_SIZE));
    give(block);
    ck_assert(!vl_big_heap_give(&heap, block));
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 0);
    give(next);
    ck_assert(!vl_big_heap_give(&heap, next));
    check_counts();
}
END_TEST

/* --- Resize --- */

START_TEST(smaller_and_larger_in_place)
{
    char *block = take_dirty(6 * MB), *fence = take(MB);
    ck_assert(vl_big_heap_resize(&heap, block, 2 * MB + 1));
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 2 * MB + vl_os_page_size);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 2 * MB + VL_GRAIN_SIZE + MB);

    /* Within the grain it has, then into what it gave up, then into the fence. */
    ck_assert(vl_big_heap_resize(&heap, block, 2 * MB + VL_GRAIN_SIZE));
    ck_assert(vl_big_heap_resize(&heap, block, 5 * MB));
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 5 * MB);
    ck_assert(vl_big_heap_resize(&heap, block, 6 * MB));
    ck_assert(!vl_big_heap_resize(&heap, block, 6 * MB + 1));
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 6 * MB);
    for (size_t i = 0; i < 2 * MB; i++)
        if (block[i] != 1)
            ck_abort_msg("byte %zu was lost", i);
    memset(block, 2, 6 * MB);

    give(fence);
    ck_assert(vl_big_heap_resize(&heap, block, 6 * MB + 1));
    ck_assert(!vl_big_heap_give(&heap, fence));
    give(block);
    check_counts();
}
END_TEST

START_TEST(the_rest_of_a_smaller_one_is_free)
{
    char *block = take_dirty(8 * MB);
    ck_assert(vl_big_heap_resize(&heap, block, 4 * MB));
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 4 * MB);
    ck_assert_ptr_eq(take(4 * MB), block + 4 * MB);
}
END_TEST

/* --- Move --- */

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

/* --- Huge pages that are slow to come --- */

enum { HOLD_MS = 1000 };

/* A touch that the kernel has compacted memory for. */
static void stall(void)
{
    static char memory;
    fake_os_set_touch(1000, 1);
    vl_stall_watch_touch(&memory);
    for (uint64_t i = 0; !vl_stall_is_held() && i < 100; i++) {
        fake_os_set_touch(5000000, 2);
        vl_stall_watch_touch(&memory);
    }
}

static bool covers_all(const struct fake_os_record *advice)
{
    return advice != NULL && advice->start == (void *)heap.slice->start &&
           advice->size == SLICE_SIZE;
}

START_TEST(done_without_for_a_while)
{
    char *before = take(4 * MB);
    stall();
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 0);
    char *block = take(4 * MB);
    ck_assert(covers_all(fake_os_last(FAKE_ADVISE_SMALL, block)));
    take(4 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 1);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0);
    give(before);

    fake_os_sleep(HOLD_MS);
    block = take(4 * MB);
    ck_assert(covers_all(fake_os_last(FAKE_ADVISE_HUGE, block)));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 1);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 1);
}
END_TEST

/* Memory that comes anew meanwhile is as all other. */
START_TEST(renewed_without_for_a_while)
{
    char *moved = vl_big_heap_move(&heap, take_dirty(4 * MB), 4 * MB);
    stall();
    take(2 * MB);
    give(moved);
    ck_assert_uint_eq(fake_os_last(FAKE_ADVISE_SMALL, moved)->size, 4 * MB);
}
END_TEST

START_TEST(thp_does_not_hold_back)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_THP;
    stall();
    take(4 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 0);
}
END_TEST

/* --- Memory that is kept --- */

START_TEST(kept_for_any_size)
{
    char *block = take_dirty(4 * MB), *again;
    give(block);
    ck_assert(!take_zeroed(2 * MB, &again));
    ck_assert_ptr_eq(again, block);
    ck_assert(!take_zeroed(2 * MB, &again));
    ck_assert_ptr_eq(again, block + 2 * MB);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 0);
}
END_TEST

START_TEST(kept_for_the_same_size_only)
{
    char *block = take_dirty(4 * MB), *fence = take(MB), *other;
    give(block);
    ck_assert(take_zeroed(2 * MB, &other));
    ck_assert(take_zeroed(4 * MB + 1, &other));
    ck_assert(take_zeroed(4 * MB - VL_GRAIN_SIZE, &other));
    ck_assert(!take_zeroed(4 * MB - 1, &other)); /* the same in grains */
    ck_assert_ptr_eq(other, block);
    give(fence);
}
END_TEST

/* A program that frees all its arrays and takes them again, as in each of its time steps. */
START_TEST(kept_for_the_next_time_step)
{
    char *arrays[3], *again;
    for (int i = 0; i < 3; i++)
        arrays[i] = take_dirty(4 * MB);
    for (int i = 0; i < 3; i++)
        give(arrays[i]);
    for (int i = 0; i < 3; i++)
        ck_assert(!take_zeroed(4 * MB, &again));
}
END_TEST

/* Two blocks that shared a huge page: neither could go back alone. */
START_TEST(both_halves_of_a_huge_page_go_back)
{
    char *fence = take(2 * MB), *first = take_dirty(MB), *second = take_dirty(MB);
    ck_assert_ptr_eq(first, fence + 2 * MB);
    ck_assert_ptr_eq(second, first + MB);
    give(first);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, 0), 0);
    give(second);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, 0), 2 * MB);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 0);
    check_discards();
}
END_TEST

START_TEST(kept_until_second_10)
{
    char *block = take_dirty(4 * MB), *again;
    give(block);
    fake_os_sleep(DELAY_MS - 1);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, DELAY_MS), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 4 * MB);
    fake_os_sleep(1);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, DELAY_MS), 4 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 1);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 0);
    ck_assert_uint_eq(vl_get(&heap.purged_bytes), 4 * MB);
    ck_assert(is_zero(block, 4 * MB));
    ck_assert(take_zeroed(4 * MB, &again));
}
END_TEST

START_TEST(a_freed_block_purges_the_old_ones)
{
    char *old = take_dirty(4 * MB), *fence = take(MB), *young = take_dirty(4 * MB);
    give(old);
    fake_os_sleep(DELAY_MS);
    give(young);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_DISCARD, old));
    ck_assert_ptr_null(fake_os_last(FAKE_ADVISE_DISCARD, young));
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 4 * MB);
    give(fence);
}
END_TEST

/* What is left of an old extent is as old as it was. */
START_TEST(a_rest_keeps_its_age)
{
    char *old = take_dirty(8 * MB), *fence = take(2 * MB), *young = take_dirty(4 * MB);
    give(old);
    fake_os_sleep(DELAY_MS / 2);
    give(young);
    char *part = take(6 * MB);
    ck_assert_ptr_eq(part, old);
    fake_os_sleep(DELAY_MS / 2);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, DELAY_MS), 2 * MB);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_DISCARD, old + 6 * MB));
    give(fence);
}
END_TEST

START_TEST(never_purged)
{
    vl_options.purge_delay_ms = VL_TIME_NEVER;
    give(take_dirty(4 * MB));
    fake_os_sleep(1000 * DELAY_MS);
    give(take_dirty(2 * MB));
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
}
END_TEST

/* The huge page in which a block ends is free as a whole, though the block used a part of it. */
START_TEST(the_last_huge_page_goes_back)
{
    char *block = take_dirty(3 * MB), *fence = take(2 * MB);
    give(block);
    vl_big_heap_purge(&heap, 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 0);
    check_discards();

    /* Nothing is left between the two that would keep them from being one again. */
    give(fence);
    vl_big_heap_purge(&heap, 0);
    ck_assert_ptr_eq(take(6 * MB), block);
}
END_TEST

/* As much as VALLOC_LARGE_CACHE says; beyond it, the oldest goes back. */
START_TEST(no_more_than_the_limit)
{
    char *blocks[3];
    vl_options.large_cache_bytes = 8 * MB;
    for (int i = 0; i < 3; i++) {
        blocks[i] = take_dirty(4 * MB);
        take(2 * MB); /* keeps them apart */
    }
    give(blocks[1]);
    fake_os_sleep(1);
    give(blocks[0]);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 8 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    fake_os_sleep(1);
    give(blocks[2]);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 8 * MB);
    ck_assert_uint_eq(vl_get(&heap.purged_bytes), 4 * MB);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_DISCARD, blocks[1]));
}
END_TEST

/* What is in use and what is kept, together: as much as ever was in use. */
START_TEST(kept_up_to_the_most_in_use)
{
    char *all[6];
    vl_options.large_cache_bytes = VL_SIZE_AUTO;
    for (int i = 0; i < 6; i++)
        all[i] = take(32 * MB);
    ck_assert_uint_eq(vl_get(&heap.bytes_used_max), 192 * MB);
    for (int i = 0; i < 6; i++)
        give(all[i]);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 192 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
}
END_TEST

/* At the peak an eighth of it, where other memory than what was kept had to be taken. */
START_TEST(kept_at_the_peak)
{
    char *all[5];
    vl_options.large_cache_bytes = VL_SIZE_AUTO;
    heap.extents.dirty_apart = true; /* only for the same size */
    for (int i = 0; i < 5; i++)
        all[i] = take(32 * MB);
    give(all[1]);
    give(all[3]);
    take(60 * MB);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 156 * MB);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 64 * MB);
    give(take(2 * MB));
    ck_assert_uint_le(vl_get(&heap.bytes_dirty), 20 * MB);
    ck_assert_uint_ge(vl_get(&heap.purged_bytes), 46 * MB);
}
END_TEST

/* --- Failures --- */

START_TEST(discard_fails)
{
    char *block = take_dirty(4 * MB), *again;
    give(block);
    fake_os_fail_from(FAKE_ADVISE_DISCARD, 1, EINVAL);
    ck_assert_uint_eq(vl_big_heap_purge(&heap, 0), 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_dirty), 4 * MB);
    ck_assert_uint_eq(vl_get(&heap.purged_bytes), 0);
    ck_assert(!take_zeroed(4 * MB, &again));
    ck_assert_ptr_eq(again, block);
    give(again);
    fake_os_heal();
    ck_assert_uint_eq(vl_big_heap_purge(&heap, 0), 4 * MB);
}
END_TEST

START_TEST(protect_fails)
{
    bool zeroed;
    for (unsigned nth = 1; nth <= 2; nth++) { /* units, data */
        fake_os_fail_from(FAKE_PROTECT, nth, ENOMEM);
        ck_assert_ptr_null(take_aligned(8 * MB, 1, &zeroed));
        check_counts();
        fake_os_heal();
    }
    for (unsigned nth = 1; held_count < 10; nth = nth % 4 + 1) {
        fake_os_fail(FAKE_PROTECT, nth, ENOMEM);
        hold(8 * MB, 1);
        check_counts();
    }
    fake_os_heal();
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(any_call_fails)
{
    uint64_t random = test_seed();
    for (unsigned nth = 1; nth <= 30; nth++) {
        fake_os_fail(FAKE_ANY, nth, ENOMEM);
        churn(150, &random);
        drop_all();
        vl_big_heap_purge(&heap, 0);
        check_counts();
    }
    fake_os_heal();
    check_nothing_is_lost(true);
}
END_TEST

/* --- After a fork --- */

START_TEST(fork_with_the_lock_free_changes_nothing)
{
    uint64_t random = test_seed();
    churn(300, &random);
    struct vl_big_heap before = heap;
    vl_big_heap_after_fork(&heap);
    ck_assert_mem_eq(&heap, &before, sizeof heap);
}
END_TEST

/* As a thread may have left the lists that was stopped anywhere in its work. */
static void tear(uint64_t *random)
{
    struct vl_extent_bins *both[] = {&heap.extents.dirty, &heap.extents.clean};
    heap.lock.word = random_next(random) % 2 == 0 ? VL_LOCK_HELD : VL_LOCK_CONTENDED;
    for (int i = 0; i < 2; i++) {
        for (unsigned word = 0; word < VL_EXTENT_BIN_WORDS; word++)
            both[i]->occupied[word] = random_next(random);
        for (unsigned bin = 0; bin < VL_EXTENT_BINS; bin++)
            both[i]->first[bin].plus_one = (uint32_t)random_next(random);
    }
    heap.extents.newest.plus_one = heap.extents.oldest.plus_one = 0x7fffffff;
    heap.extents.grains_dirty = random_next(random);
    for (uint32_t grain = 0; grain < heap.extents.fresh; grain++) {
        struct vl_extent *extent = &heap.extents.table[grain];
        if (extent->state == VL_EXTENT_USED)
            continue; /* links are those of free ones */
        extent->next.plus_one = extent->prev.plus_one = (uint32_t)random_next(random);
        extent->older.plus_one = extent->newer.plus_one = (uint32_t)random_next(random);
    }
}

START_TEST(fork_with_the_lock_held)
{
    uint64_t random = test_seed();
    churn(300, &random);
    while (held_count > 10)
        drop(held_count - 1);
    tear(&random);
    vl_big_heap_after_fork(&heap);
    ck_assert_uint_eq(heap.lock.word, VL_LOCK_FREE);
    for (unsigned i = 0; i < held_count; i++)
        check_block(&held[i]);
    churn(1000, &random);
    drop_all();
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 0);
    ck_assert_uint_eq(vl_get(&heap.blocks_used), 0);
}
END_TEST

/* --- Huge pages of the kernel's pool --- */

enum { POOL = 64 };

static void start_world_of_hugetlb(void)
{
    start_world();
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    fake_os_set_pool(POOL);
}

static void check_pool(unsigned pages, unsigned refused)
{
    ck_assert_uint_eq(fake_os_hugetlb_pages((char *)heap.slice->start, SLICE_SIZE), pages);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_bytes), pages * VL_REGION_SIZE);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_refused), refused);
    ck_assert_uint_eq(heap.pieces, 0);
    ck_assert(vl_extents_valid(&heap.extents));
}

/* Whole huge pages only: the slack behind a block is not the block's. */
START_TEST(whole_pages_of_the_pool)
{
    char *small = take(2 * MB - 1), *whole = take(2 * MB), *more = take(7 * MB);
    check_pool(4, 0);
    ck_assert_uint_eq(fake_os_hugetlb_pages(whole, 2 * MB), 1);
    ck_assert_uint_eq(fake_os_hugetlb_pages(more, 6 * MB), 3);
    memset(more, 1, 7 * MB);
    give(small);
    give(more);
    check_pool(1, 0);
    ck_assert_uint_eq(fake_os_pool(), POOL - 1);
    ck_assert_uint_eq(fake_os_last(FAKE_RENEW, more)->size, 7 * MB);
    char *again;
    ck_assert(take_zeroed(7 * MB, &again)); /* take_aligned looks */
    check_pool(4, 0);
    give(again);
    give(whole);
    check_pool(0, 0);
    ck_assert_uint_eq(fake_os_pool(), POOL);
    check_nothing_is_lost(false);
}
END_TEST

/* All of a block or nothing: half of it would leave the other half where it was not asked for. */
START_TEST(a_pool_that_is_short)
{
    static const unsigned pools[] = {0, 1, 3};
    fake_os_set_pool(pools[_i]);
    char *block = take_dirty(8 * MB);
    check_pool(0, 1);
    ck_assert_uint_eq(fake_os_pool(), pools[_i]);
    give(block);
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(a_pool_that_ends_half_way)
{
    fake_os_set_pool(10);
    for (unsigned i = 0; i < 8; i++)
        ck_assert(hold(4 * MB, 1));
    check_pool(10, 3);
    for (unsigned i = 0; i < held_count; i++)
        check_block(&held[i]);
    drop_all();
    check_pool(0, 3);
    ck_assert_uint_eq(fake_os_pool(), 10);
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(memory_that_is_kept_is_used_first)
{
    fake_os_set_pool(0);
    char *block = take_dirty(4 * MB);
    give(block);
    fake_os_set_pool(POOL);
    ck_assert_ptr_eq(take(4 * MB), block);
    check_pool(0, 1);
}
END_TEST

/* It is cut between two pages of the pool, if at all. */
START_TEST(a_block_on_hugetlb_gets_smaller)
{
    char *block = take_dirty(11 * MB);
    check_pool(5, 0);
    ck_assert(vl_big_heap_resize(&heap, block, 5 * MB));
    check_pool(3, 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 6 * MB);
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 5 * MB);
    ck_assert_uint_eq(fake_os_last(FAKE_RENEW, block + 6 * MB)->size, 5 * MB);
    ck_assert(vl_big_heap_resize(&heap, block, 5 * MB - 1));
    check_pool(3, 0);
    ck_assert(!is_zero(block, 5 * MB - 1));
    give(block);
    check_pool(0, 0);
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(a_block_is_cut_behind_hugetlb)
{
    char *block = take_dirty(3 * MB);
    ck_assert(vl_big_heap_resize(&heap, block, 2 * MB));
    check_pool(1, 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 2 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_RENEW), 0); /* the rest was the slice's own */
    give(block);
    check_nothing_is_lost(false);
}
END_TEST

/* It grows where it stands, into ordinary memory, and is copied where it cannot. */
START_TEST(a_block_on_hugetlb_grows)
{
    char *block = take(2 * MB);
    pattern_fill(block, 2 * MB, 7);
    ck_assert(vl_big_heap_resize(&heap, block, 6 * MB));
    check_pool(1, 0);
    ck_assert_ptr_null(vl_big_heap_move(&heap, block, 8 * MB));
    ck_assert_uint_eq(fake_os_count(FAKE_MOVE), 0);
    ck_assert_uint_eq(pattern_damage(block, 2 * MB, 7), 2 * MB);
    memset(block, 1, 6 * MB);
    give(block);
    check_pool(0, 0);
    check_nothing_is_lost(false);
}
END_TEST

/* The target of a move gets the pages of its source. */
START_TEST(a_block_of_ordinary_memory_moves)
{
    fake_os_set_pool(0);
    char *block = take(4 * MB), *fence = take(2 * MB);
    pattern_fill(block, 4 * MB, 7);
    fake_os_set_pool(POOL);
    char *moved = vl_big_heap_move(&heap, block, 6 * MB);
    ck_assert_ptr_nonnull(moved);
    ck_assert_uint_eq(pattern_damage(moved, 4 * MB, 7), 4 * MB);
    ck_assert_uint_eq(fake_os_count(FAKE_MAP_HUGETLB), 2); /* the two that got nothing */
    give(moved);
    give(fence);
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(a_block_whose_pages_do_not_come)
{
    fake_os_fail(FAKE_ADVISE_POPULATE, 1, EFAULT);
    char *block = take_dirty(4 * MB);
    check_pool(0, 1);
    ck_assert_uint_eq(fake_os_pool(), POOL);
    give(block);
}
END_TEST

START_TEST(a_block_that_is_lost)
{
    fake_os_fail(FAKE_REPLACE, 1, ENOMEM);
    fake_os_fail(FAKE_PLUG, 1, EEXIST);
    char *block = take_dirty(4 * MB);
    ck_assert_ptr_ne(block, (char *)heap.slice->start);
    ck_assert_uint_eq(vl_get(&heap.blocks_used), 1);
    give(block);
    ck_assert_uint_eq(count_lost(), 4 * MB >> VL_GRAIN_SHIFT);
    check_nothing_is_lost(true);
}
END_TEST

/* Pages that do not go back are no memory for anybody. */
START_TEST(a_block_that_does_not_go_back)
{
    char *block = take_dirty(4 * MB);
    fake_os_fail(FAKE_RENEW, 1, ENOMEM);
    give(block);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    ck_assert_uint_eq(count_lost(), 4 * MB >> VL_GRAIN_SHIFT);
    check_nothing_is_lost(true);
}
END_TEST

START_TEST(hugetlb_at_random)
{
    uint64_t random = test_seed();
    fake_os_set_pool(POOL / 16);
    churn(scaled(2000), &random);
    drop_all();
    check_pool(0, (unsigned)vl_get(&heap.hugetlb_refused));
    ck_assert_uint_gt(vl_get(&heap.hugetlb_refused), 0);
    ck_assert_uint_eq(fake_os_pool(), POOL / 16);
    check_nothing_is_lost(false);
}
END_TEST

START_TEST(hugetlb_with_failures)
{
    uint64_t random = test_seed();
    for (unsigned nth = 1; nth <= 20; nth++) {
        fake_os_fail(FAKE_MAP_HUGETLB, nth, ENOMEM);
        fake_os_fail(FAKE_ADVISE_POPULATE, nth, EFAULT);
        fake_os_fail(FAKE_PROTECT, nth, ENOMEM);
        churn(100, &random);
    }
    fake_os_heal();
    drop_all();
    ck_assert_uint_eq(fake_os_pool(), POOL);
    check_nothing_is_lost(false);
}
END_TEST

/* --- Pages of 1 GB --- */

enum { GIANTS = 3 };

#define GIANT_SLICE (12 * GB)

static void start_world_of_giants(void)
{
    fake_os_install();
    vl_options.purge_delay_ms = DELAY_MS;
    vl_options.hugepage_mode = VL_HUGEPAGE_GIANT;
    struct vl_slice_plan plan = vl_big_heap_plan(GIANT_SLICE);
    plan.prepare = start_heap_on;
    ck_assert_ptr_nonnull(vl_slice_create(&plan));
    fake_os_set_giants(GIANTS);
    fake_os_set_pool(1000);
    fake_os_forget();
}

/* Few places are looked at: all of a gigabyte would take its time. */
static void mark_sparsely(char *block, size_t bytes, char mark)
{
    for (size_t at = 0; at < bytes; at += GB / 4)
        block[at] = mark;
    block[bytes - 1] = mark;
}

static void check_sparsely(const char *block, size_t bytes, char mark)
{
    for (size_t at = 0; at < bytes; at += GB / 4)
        ck_assert_int_eq(block[at], mark);
}

/* At a multiple of 1 GB, known to be zero, marked with 1; NULL if there is no room. */
static char *take_giant(size_t bytes)
{
    bool zeroed;
    char *block = vl_big_heap_take(&heap, bytes, GB, NULL, &zeroed);
    if (block == NULL)
        return NULL;
    ck_assert(is_aligned(block, GB));
    if (zeroed)
        check_sparsely(block, bytes, 0);
    mark_sparsely(block, bytes, 1);
    return block;
}

static void check_pools(unsigned giants, unsigned pages)
{
    char *start = (char *)heap.slice->start;
    ck_assert_uint_eq(fake_os_giant_pages(start, GIANT_SLICE), giants);
    ck_assert_uint_eq(fake_os_hugetlb_pages(start, GIANT_SLICE), pages);
    ck_assert_uint_eq(vl_get(&heap.giant_bytes), giants * GB);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_bytes), giants * GB + pages * VL_REGION_SIZE);
    ck_assert(vl_extents_valid(&heap.extents));
}

static void check_refusals(unsigned giants, unsigned pages)
{
    ck_assert_uint_eq(vl_get(&heap.giant_refused), giants);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_refused), pages);
}

/* All is free, and no stretch is counted that is not there, or not counted that is. */
static void check_giants_are_back(void)
{
    check_pools(0, 0);
    ck_assert_uint_eq(fake_os_giants(), GIANTS);
    ck_assert_uint_eq(vl_get(&heap.blocks_used), 0);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 0);
    vl_big_heap_purge(&heap, 0);
    vl_hugetlb_recount((1 << 14) - GIANTS);
    char *block = take_giant(GIANTS * GB), *beyond = take(2 * MB);
    check_pools(GIANTS, 0);
    give(block);
    give(beyond);
    vl_hugetlb_recount(GIANTS - (1 << 14));
}

START_TEST(whole_gigabytes_and_the_rest)
{
    size_t bytes = 2 * GB + 100 * MB + 4096;
    char *block = take_giant(bytes);
    check_pools(2, 50);
    check_refusals(0, 0);
    ck_assert_uint_eq(fake_os_giant_pages(block, 2 * GB), 2);
    ck_assert_uint_eq(fake_os_hugetlb_pages(block + 2 * GB, 100 * MB), 50);
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), bytes);
    give(block);
    check_giants_are_back();
    ck_assert_uint_eq(fake_os_pool(), 1000);
}
END_TEST

/* Of two gigabytes and 100 MB. */
static const struct {
    unsigned giants, pages;         /* in the pools */
    unsigned giants_got, pages_got; /* by the block */
} pools[] = {
    {0, 0, 0, 0},   {1, 0, 1, 0},     {2, 0, 2, 0},  {3, 0, 2, 0},   {0, 1000, 0, 0},
    {1, 561, 1, 0}, {1, 562, 1, 562}, {2, 49, 2, 0}, {2, 50, 2, 50}, {0, 1023, 0, 0},
};

START_TEST(pools_of_all_sizes)
{
    fake_os_set_giants(pools[_i].giants);
    fake_os_set_pool(pools[_i].pages);
    char *block = take_giant(2 * GB + 100 * MB);
    check_pools(pools[_i].giants_got, pools[_i].pages_got);
    check_refusals(pools[_i].giants_got < 2, pools[_i].pages_got == 0);
    ck_assert_uint_eq(fake_os_giants(), pools[_i].giants - pools[_i].giants_got);
    check_sparsely(block, 2 * GB, 1);
    give(block);
    check_pools(0, 0);
    ck_assert_uint_eq(fake_os_giants(), pools[_i].giants);
    ck_assert_uint_eq(fake_os_pool(), pools[_i].pages);
}
END_TEST

/* Nothing is left for pages of 2 MB, and nobody asks for any. */
START_TEST(nothing_but_gigabytes)
{
    fake_os_set_pool(0);
    char *block = take_giant(2 * GB);
    check_pools(2, 0);
    check_refusals(0, 0);
    ck_assert_uint_eq(fake_os_count(FAKE_MAP_HUGETLB), 2);
    give(block);
    check_giants_are_back();
}
END_TEST

START_TEST(a_block_below_a_gigabyte)
{
    char *block = take(GB - 2 * MB);
    check_pools(0, 511);
    check_refusals(0, 0);
    give(block);
    check_giants_are_back();
}
END_TEST

/* It could have pages of 1 GB, but for where it lies. */
START_TEST(a_gigabyte_that_begins_elsewhere)
{
    bool zeroed;
    char *first = take(2 * MB);
    char *block = is_aligned(first + 2 * MB, GB) ? take(2 * MB) : first;
    block = vl_big_heap_take(&heap, GB, 1, NULL, &zeroed);
    ck_assert(!is_aligned(block, GB));
    ck_assert_uint_eq(fake_os_giants(), GIANTS);
    ck_assert_uint_eq(fake_os_hugetlb_pages(block, GB), 512);
    check_refusals(1, 0);
}
END_TEST

START_TEST(asked_for_pages_of_2_mb_only)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    char *block = take_giant(GB);
    check_pools(0, 512);
    check_refusals(0, 0);
    give(block);
    ck_assert(!vl_big_heap_wants_giants(GB, NULL));
    vl_options.hugepage_mode = VL_HUGEPAGE_GIANT;
    ck_assert(vl_big_heap_wants_giants(GB, NULL));
    ck_assert(!vl_big_heap_wants_giants(GB - 1, NULL));
    ck_assert(
        !vl_big_heap_wants_giants(GB, &(struct vl_holding){.hugepage_mode = VL_HUGEPAGE_NEVER}));
    ck_assert(
        vl_big_heap_wants_giants(GB, &(struct vl_holding){.hugepage_mode = VL_HUGEPAGE_HUGETLB}));
}
END_TEST

/* It is cut between two pages, if at all, and what it gives up goes back to the pool. */
/* A page less than 1 GB is no gigabyte, though it takes as many grains as one. */
START_TEST(almost_a_gigabyte)
{
    char *block = take(GB - 4096);
    check_pools(0, (unsigned)(GB / VL_REGION_SIZE));
    check_refusals(0, 0);
    give(block);
    check_giants_are_back();
}
END_TEST

START_TEST(a_giant_block_gets_smaller)
{
    char *block = take_giant(3 * GB + 100 * MB);
    check_pools(3, 50);
    ck_assert(vl_big_heap_resize(&heap, block, 3 * GB + 50 * MB - 1));
    check_pools(3, 25);
    ck_assert(vl_big_heap_resize(&heap, block, GB + GB / 2));
    check_pools(2, 0);
    ck_assert_uint_eq(fake_os_giants(), 1);
    ck_assert_uint_eq(vl_get(&heap.bytes_used), 2 * GB);
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), GB + GB / 2);
    check_sparsely(block, GB + GB / 2, 1);
    ck_assert(vl_big_heap_resize(&heap, block, GB / 2));
    check_pools(1, 0);
    give(block);
    check_giants_are_back();
}
END_TEST

/* For the tenth of a gigabyte it would keep all of it: let it be copied. */
START_TEST(a_giant_block_gets_too_small)
{
    char *block = take_giant(2 * GB);
    ck_assert(!vl_big_heap_resize(&heap, block, GB / 2 - VL_GRAIN_SIZE));
    ck_assert(!vl_big_heap_resize(&heap, block, 2 * MB));
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block), 2 * GB);
    check_pools(2, 0);
    check_sparsely(block, 2 * GB, 1);
    ck_assert_ptr_null(vl_big_heap_move(&heap, block, 3 * GB));
    give(block);
    check_giants_are_back();
}
END_TEST

START_TEST(a_giant_block_grows)
{
    char *block = take_giant(GB);
    ck_assert(vl_big_heap_resize(&heap, block, 2 * GB + 7 * MB));
    check_pools(1, 0);
    mark_sparsely(block, 2 * GB, 2);
    ck_assert(vl_big_heap_resize(&heap, block, GB + 3 * MB));
    check_pools(1, 0);
    check_sparsely(block, GB, 2);
    give(block);
    check_giants_are_back();
}
END_TEST

/* What it had got goes back; it is another block that the program has. */
START_TEST(a_giant_block_that_is_lost)
{
    fake_os_fail(FAKE_REPLACE, (unsigned)_i, EINVAL);
    fake_os_fail(FAKE_PLUG, 1, EEXIST);
    char *block = take_giant(2 * GB + 100 * MB);
    ck_assert(heap.extents.lost);
    ck_assert_uint_eq(vl_get(&heap.blocks_used), 1);
    bool giants_move = _i == 3; /* it was a page of 2 MB that did not */
    check_pools(giants_move ? 2 : 0, 0);
    check_sparsely(block, 2 * GB, 1);
    give(block);
    check_pools(0, 0);
    ck_assert_uint_eq(fake_os_giants(), GIANTS);
    ck_assert_uint_eq(fake_os_pool(), 1000);
}
END_TEST

START_TEST(giants_that_do_not_go_back)
{
    char *block = take_giant(2 * GB);
    fake_os_fail(FAKE_RENEW, 1, ENOMEM);
    give(block);
    ck_assert(heap.extents.lost);
    ck_assert_uint_eq(vl_get(&heap.giant_bytes), 0);
    ck_assert_ptr_nonnull(take_giant(2 * GB));
}
END_TEST

static bool is_accessible(char *page)
{
    const struct fake_os_record *made;
    for (unsigned i = fake_os_records(&made); i-- > 0;)
        if (made[i].call == FAKE_PROTECT && made[i].start == page)
            return made[i].access != VL_ACCESS_NONE;
    return true;
}

/* A page that the kernel has not given to the child is not read as zero there, but not at all. Where it
 * does not say, nothing is done. */
START_TEST(a_child_without_its_giants)
{
    char *plain = take(4 * MB), *block = take_giant(2 * GB + 100 * MB), *other = take_giant(GB);
    fake_os_forget();
    fake_os_fail(FAKE_PRESENT, 2, _i == 0 ? ENOENT : EPERM);
    vl_big_heap_after_fork(&heap);
    ck_assert_uint_eq(fake_os_count(FAKE_PRESENT), 3);
    ck_assert_uint_eq(fake_os_count(FAKE_PROTECT), _i == 0);
    ck_assert_int_eq(is_accessible(block + GB), _i != 0);
    ck_assert(is_accessible(block) && is_accessible(other) && is_accessible(plain));
    check_sparsely(block, GB, 1);
    give(block);
    give(other);
    give(plain);
    ck_assert_int_eq(block[GB], 0); /* ordinary memory */
    check_giants_are_back();
}
END_TEST

/* Another thread was about to note how long a free extent is. */
START_TEST(a_child_of_half_an_extent)
{
    char *block = take_giant(GB), *gap = take(4 * MB), *behind = take_giant(GB);
    give(gap);
    heap.extents.table[(size_t)(gap - (char *)heap.slice->start) >> VL_GRAIN_SHIFT].grains = 0;
    heap.lock.word = VL_LOCK_HELD;
    fake_os_forget();
    fake_os_fail(FAKE_PRESENT, 2, ENOENT);
    vl_big_heap_after_fork(&heap);
    ck_assert(is_accessible(block) && !is_accessible(behind));
}
END_TEST

/* One of those that a test holds is changed or given back, or there is one more. */
static void change_giants(char *blocks[4], size_t bytes[4], uint64_t *random)
{
    size_t i = random_next(random) % 4, size = (1 + random_next(random) % 12) * (GB / 4);
    if (blocks[i] == NULL) {
        blocks[i] = take_giant(bytes[i] = size);
        return;
    }
    check_sparsely(blocks[i], bytes[i], 1);
    if (random_next(random) % 2 == 0) {
        give(blocks[i]);
        blocks[i] = NULL;
    } else if (vl_big_heap_resize(&heap, blocks[i], size)) {
        bytes[i] = size;
        mark_sparsely(blocks[i], size, 1);
    }
}

START_TEST(giants_at_random)
{
    static const enum fake_os_call calls[] = {FAKE_MAP_HUGETLB, FAKE_ADVISE_POPULATE, FAKE_PROTECT,
                                              FAKE_ADVISE_HUGE};
    uint64_t random = test_seed();
    char *blocks[4] = {NULL};
    size_t bytes[4];
    for (unsigned i = 0; i < scaled(400); i++) {
        if (i % 4 == 0)
            fake_os_fail(calls[random_next(&random) % 4], 1 + random_next(&random) % 4, ENOMEM);
        change_giants(blocks, bytes, &random);
        unsigned there = fake_os_giant_pages((char *)heap.slice->start, GIANT_SLICE);
        ck_assert_uint_eq(fake_os_giants() + there, GIANTS);
        check_pools(there, 1000 - fake_os_pool());
    }
    fake_os_heal();
    for (unsigned i = 0; i < 4; i++)
        if (blocks[i] != NULL)
            give(blocks[i]);
    ck_assert_uint_gt(vl_get(&heap.giant_refused), 0);
    check_giants_are_back();
    ck_assert_uint_eq(fake_os_pool(), 1000);
}
END_TEST

/* --- The end --- */

START_TEST(closed)
{
    bool zeroed;
    char *block = take(2 * MB);
    ck_assert(!vl_big_heap_close(&heap));
    give(block);
    ck_assert(vl_big_heap_close(&heap));
    ck_assert(!vl_big_heap_close(&heap));
    ck_assert_ptr_null(vl_big_heap_take(&heap, MB, 1, NULL, &zeroed));
    ck_assert(!vl_big_heap_give(&heap, block));
    ck_assert_uint_eq(vl_big_heap_purge(&heap, 0), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("big_heap");
    TCase *blocks = timed_case("blocks", 60);
    TCase *resize = tcase_create("resize");
    TCase *moves = tcase_create("move");
    TCase *kept = timed_case("kept", 30);
    TCase *hold = tcase_create("hold");
    TCase *exact = tcase_create("exact");
    TCase *failures = timed_case("failures", 60);
    TCase *fork = timed_case("fork", 60);
    TCase *hugetlb = timed_case("hugetlb", 60);
    TCase *end = tcase_create("end");

    tcase_add_checked_fixture(blocks, start_world, NULL);
    tcase_add_test(blocks, plan_by_mode);
    tcase_add_test(blocks, every_alignment);
    tcase_add_test(blocks, packed);
    tcase_add_test(blocks, random_blocks);
    tcase_add_test(blocks, too_large);
    tcase_add_test(blocks, room);
    tcase_add_test(blocks, what_is_no_block);
    suite_add_tcase(suite, blocks);

    tcase_add_checked_fixture(resize, start_world, NULL);
    tcase_add_test(resize, smaller_and_larger_in_place);
    tcase_add_test(resize, the_rest_of_a_smaller_one_is_free);
    suite_add_tcase(suite, resize);

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

    tcase_add_checked_fixture(hold, start_world, NULL);
    tcase_add_test(hold, done_without_for_a_while);
    tcase_add_test(hold, renewed_without_for_a_while);
    tcase_add_test(hold, thp_does_not_hold_back);
    suite_add_tcase(suite, hold);

    tcase_add_checked_fixture(kept, start_world, NULL);
    tcase_add_test(kept, kept_for_any_size);
    tcase_add_test(kept, kept_until_second_10);
    tcase_add_test(kept, a_freed_block_purges_the_old_ones);
    tcase_add_test(kept, a_rest_keeps_its_age);
    tcase_add_test(kept, never_purged);
    tcase_add_test(kept, both_halves_of_a_huge_page_go_back);
    tcase_add_test(kept, the_last_huge_page_goes_back);
    tcase_add_test(kept, no_more_than_the_limit);
    tcase_add_test(kept, kept_up_to_the_most_in_use);
    tcase_add_test(kept, kept_at_the_peak);
    suite_add_tcase(suite, kept);

    tcase_add_checked_fixture(exact, start_world_of_many_nodes, NULL);
    tcase_add_test(exact, not_packed_on_many_nodes);
    tcase_add_test(exact, kept_for_the_same_size_only);
    tcase_add_test(exact, kept_for_the_next_time_step);
    tcase_add_test(exact, both_halves_of_a_huge_page_go_back);
    suite_add_tcase(suite, exact);

    tcase_add_checked_fixture(failures, start_world, NULL);
    tcase_add_test(failures, discard_fails);
    tcase_add_test(failures, protect_fails);
    tcase_add_test(failures, any_call_fails);
    suite_add_tcase(suite, failures);

    tcase_add_checked_fixture(fork, start_world, NULL);
    tcase_add_test(fork, fork_with_the_lock_free_changes_nothing);
    tcase_add_test(fork, fork_with_the_lock_held);
    suite_add_tcase(suite, fork);

    tcase_add_checked_fixture(hugetlb, start_world_of_hugetlb, NULL);
    tcase_add_test(hugetlb, whole_pages_of_the_pool);
    tcase_add_loop_test(hugetlb, a_pool_that_is_short, 0, 3);
    tcase_add_test(hugetlb, a_pool_that_ends_half_way);
    tcase_add_test(hugetlb, memory_that_is_kept_is_used_first);
    tcase_add_test(hugetlb, a_block_on_hugetlb_gets_smaller);
    tcase_add_test(hugetlb, a_block_is_cut_behind_hugetlb);
    tcase_add_test(hugetlb, a_block_on_hugetlb_grows);
    tcase_add_test(hugetlb, a_block_of_ordinary_memory_moves);
    tcase_add_test(hugetlb, a_block_whose_pages_do_not_come);
    tcase_add_test(hugetlb, a_block_that_is_lost);
    tcase_add_test(hugetlb, a_block_that_does_not_go_back);
    tcase_add_test(hugetlb, hugetlb_at_random);
    tcase_add_test(hugetlb, hugetlb_with_failures);
    suite_add_tcase(suite, hugetlb);

    TCase *giants = timed_case("giants", 60);
    tcase_add_checked_fixture(giants, start_world_of_giants, NULL);
    tcase_add_test(giants, whole_gigabytes_and_the_rest);
    tcase_add_loop_test(giants, pools_of_all_sizes, 0, sizeof pools / sizeof pools[0]);
    tcase_add_test(giants, nothing_but_gigabytes);
    tcase_add_test(giants, a_block_below_a_gigabyte);
    tcase_add_test(giants, a_gigabyte_that_begins_elsewhere);
    tcase_add_test(giants, asked_for_pages_of_2_mb_only);
    tcase_add_test(giants, almost_a_gigabyte);
    tcase_add_test(giants, a_giant_block_gets_smaller);
    tcase_add_test(giants, a_giant_block_gets_too_small);
    tcase_add_test(giants, a_giant_block_grows);
    tcase_add_loop_test(giants, a_giant_block_that_is_lost, 1, 4);
    tcase_add_test(giants, giants_that_do_not_go_back);
    tcase_add_loop_test(giants, a_child_without_its_giants, 0, 2);
    tcase_add_test(giants, a_child_of_half_an_extent);
    tcase_add_test(giants, giants_at_random);
    suite_add_tcase(suite, giants);

    tcase_add_checked_fixture(end, start_world, NULL);
    tcase_add_test(end, closed);
    suite_add_tcase(suite, end);
    return suite;
}
