/*
 * held_blocks - big blocks that a test holds, each grain of which says whose it is: taken, resized,
 * moved and given back at random, and the counts of their heap.
 */
#ifndef VL_TESTS_HUGEPAGE_HELD_BLOCKS_H
#define VL_TESTS_HUGEPAGE_HELD_BLOCKS_H

#include "tests/hugepage/big_heap_world.h"

enum { BLOCKS = 60 };

#define SLICE_GRAINS (SLICE_SIZE >> VL_GRAIN_SHIFT)

/* A block this test holds; each grain of it says whose it is. */
struct block {
    char *start;
    size_t bytes;
    uint64_t mark;
};

static struct block held[BLOCKS];
static unsigned held_count;

static inline void mark(struct block *block, size_t from)
{
    for (size_t at = vl_round_up(from, VL_GRAIN_SIZE); at < block->bytes; at += VL_GRAIN_SIZE)
        *(uint64_t *)(block->start + at) = block->mark + at;
    block->start[block->bytes - 1] = (char)block->mark;
}

static inline void check_marks(const struct block *block, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += VL_GRAIN_SIZE)
        if (*(uint64_t *)(block->start + at) != block->mark + at)
            ck_abort_msg("a block of %zu bytes was written to at %zu", block->bytes, at);
}

static inline void check_block(const struct block *block)
{
    ck_assert_uint_eq(vl_big_heap_bytes(&heap, block->start),
                      vl_round_up(block->bytes, vl_os_page_size));
    ck_assert_int_eq(block->start[block->bytes - 1], (char)block->mark);
    check_marks(block, block->bytes - 8);
}

/* What it takes of the slice: no page of the kernel's pool is cut in two. */
static inline size_t room_of(const struct block *block)
{
    size_t grain = (size_t)(block->start - (char *)heap.slice->start) >> VL_GRAIN_SHIFT;
    const struct vl_extent *extent = &heap.extents.table[grain];
    bool cut = extent->hugetlb && block->bytes < (size_t)extent->seam << VL_GRAIN_SHIFT;
    return cut ? vl_round_up(block->bytes, VL_REGION_SIZE) : whole_grains(block->bytes);
}

static inline void check_counts(void)
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
static inline bool hold(size_t bytes, size_t align)
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

static inline void drop(unsigned number)
{
    struct block block = held[number];
    check_block(&block);
    held[number] = held[--held_count];
    give(block.start);
}

static inline void drop_all(void)
{
    while (held_count > 0)
        drop(held_count - 1);
}

/* A block has a new size or place: what was in it still is. */
static inline void resized(struct block *block, size_t bytes)
{
    size_t kept = vl_min(block->bytes, bytes);
    check_marks(block, kept - 8);
    block->bytes = bytes;
    mark(block, kept);
    check_block(block);
}

static inline void resize_in_place(unsigned number, size_t bytes)
{
    if (vl_big_heap_resize(&heap, held[number].start, bytes | 9))
        resized(&held[number], bytes | 9);
    else
        check_block(&held[number]);
}

static inline void move(unsigned number, size_t bytes)
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
static inline size_t random_bytes(uint64_t *random)
{
    return (1 + random_next(random) % 2) * MB + random_size(random, 16 * MB);
}

static inline void churn(size_t steps, uint64_t *random)
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

/* With everything given back, each grain of the slice can be had, once. */
static inline void check_nothing_is_lost(bool may_lose)
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

#endif
