/*
 * big_heap_world - what the tests of big blocks share: a world with one heap of them, and
 * blocks that are looked at when they are taken.
 */
#ifndef VL_TESTS_HUGEPAGE_BIG_HEAP_WORLD_H
#define VL_TESTS_HUGEPAGE_BIG_HEAP_WORLD_H

#include "tests/api/support.h"
#include "tests/fake_os.h"

#include "hugepage/big_heap.h"

#include <string.h>

enum { DELAY_MS = 10 * 1000 };

#define SLICE_SIZE (256 * MB)

static struct vl_big_heap heap;

static inline void start_heap_on(struct vl_slice *slice)
{
    vl_big_heap_start(&heap, slice, false);
}

/* With the options as they are now. */
static inline void start_heap(void)
{
    vl_options.purge_delay_ms = DELAY_MS;
    struct vl_slice_plan plan = vl_big_heap_plan(SLICE_SIZE);
    plan.prepare = start_heap_on;
    ck_assert_ptr_nonnull(vl_slice_create(&plan));
    fake_os_forget();
}

/* One that is not small from the beginning on. */
static inline void start_world(void)
{
    fake_os_install();
    vl_options.huge_start_bytes = 0;
    start_heap();
}

static inline void start_world_of_many_nodes(void)
{
    start_world();
    heap.extents.dirty_apart = true;
}

/* --- Blocks --- */

static inline size_t whole_grains(size_t bytes)
{
    return vl_round_up(bytes, VL_GRAIN_SIZE);
}

/* Where a block at least begins: on a huge page, if not more than an eighth of it would lie idle behind it. */
static inline size_t least_align(size_t bytes)
{
    bool shares = !heap.extents.dirty_apart && vl_options.hugepage_mode != VL_HUGEPAGE_HUGETLB &&
                  vl_options.hugepage_mode != VL_HUGEPAGE_GIANT;
    bool packed = shares && vl_round_up(bytes, 2 * MB) - bytes > bytes / 8;
    return bytes >= 2 * MB && !packed ? 2 * MB : VL_GRAIN_SIZE;
}

static inline char *take_aligned(size_t bytes, size_t align, bool *zeroed)
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

static inline char *take(size_t bytes)
{
    bool zeroed;
    char *block = take_aligned(bytes, 1, &zeroed);
    ck_assert_ptr_nonnull(block);
    return block;
}

/* One whose memory has been written to. */
static inline char *take_dirty(size_t bytes)
{
    return memset(take(bytes), 1, bytes);
}

static inline bool take_zeroed(size_t bytes, char **block)
{
    bool zeroed;
    *block = take_aligned(bytes, 1, &zeroed);
    ck_assert_ptr_nonnull(*block);
    return zeroed;
}

static inline void give(void *block)
{
    ck_assert(vl_big_heap_give(&heap, block));
}

/* --- What the heap has done --- */

/* Discards are of whole huge pages. */
static inline void check_discards(void)
{
    const struct fake_os_record *records;
    for (unsigned i = fake_os_records(&records); i-- > 0;)
        if (records[i].call == FAKE_ADVISE_DISCARD) {
            ck_assert(is_aligned(records[i].start, VL_REGION_SIZE));
            ck_assert_uint_eq(records[i].size % VL_REGION_SIZE, 0);
        }
}

/* Grains written off: where a move failed, or a renewal and the discard in its place. */
static inline unsigned count_lost(void)
{
    unsigned lost = 0;
    for (uint32_t grain = 0; grain < heap.extents.fresh; grain += heap.extents.table[grain].grains)
        if (heap.extents.table[grain].state == VL_EXTENT_LOST)
            lost += heap.extents.table[grain].grains;
    return lost;
}

#endif
