#include "cache/large.h"

#include "cache/misuse.h"
#include "cache/reserve.h"

#include <string.h>

/* From here on, calloc has the kernel clear memory that was used before. */
#define CLEAR_BY_KERNEL ((size_t)32 << 20)

/* Runs are searched for at multiples of pages, within a region; everything beyond is a big block. */
static bool is_run(size_t bytes, size_t align)
{
    return bytes < VL_BIG_MIN && align <= VL_REGION_SIZE;
}

static unsigned pages_for(size_t bytes)
{
    return (unsigned)((bytes + VL_PAGE_SIZE - 1) >> VL_PAGE_SHIFT);
}

static void *take_run(struct vl_heap *heap, size_t bytes, size_t align, enum vl_future future,
                      bool *zeroed)
{
    struct vl_run run;
    struct vl_wish wish = {
        .pages = pages_for(bytes),
        .align = pages_for(align),
        .room = future == VL_GROWS ? pages_for(bytes) : 0,
        .soon = future == VL_GROWS, /* what it has grown from is copied */
    };
    if (!vl_heap_take_run(heap, wish, &run))
        return NULL;
    vl_slice_mark(run.slice, run.start, run.pages, VL_CLASS_RUN_HEAD, VL_CLASS_RUN_BODY);
    *zeroed = run.zeroed;
    return run.start;
}

static void *take_big(struct vl_heap *heap, size_t bytes, size_t align, enum vl_future future,
                      bool *zeroed)
{
    if (future == VL_GROWS && bytes >= VL_REGION_SIZE)
        align = vl_max(align, VL_REGION_SIZE);
    return vl_place_big(bytes, align, heap->holds ? &heap->holding : NULL, zeroed);
}

void *vl_large_take(struct vl_heap *heap, size_t bytes, size_t align, enum vl_future future,
                    bool *zeroed)
{
    bytes = vl_max(bytes, 1);
    vl_reserve_watch(bytes);
    return is_run(bytes, align) ? take_run(heap, bytes, align, future, zeroed)
                                : take_big(heap, bytes, align, future, zeroed);
}

void *vl_large_take_at(unsigned place, size_t bytes, bool *zeroed)
{
    vl_reserve_watch(bytes);
    return vl_place_big_at(place, bytes, VL_MIN_ALIGN, NULL, zeroed);
}

struct vl_heap *vl_large_heap(const struct vl_slice *slice, const void *block)
{
    if (vl_slice_has_regions(slice))
        return vl_heap_of(slice, block);
    struct vl_heap *heap = vl_heap_holding(vl_big_heap_holder(&vl_big_heaps[slice->number], block));
    return heap != NULL ? heap : &vl_node_heaps[0];
}

size_t vl_large_good_size(size_t bytes, size_t align)
{
    bytes = vl_max(bytes, 1);
    return vl_round_up(bytes, is_run(bytes, align) ? VL_PAGE_SIZE : vl_os_page_size);
}

/* The whole huge pages of a big block go back to the kernel, which clears them when they are touched:
 * an array of which little is used costs little, however large. */
void *vl_large_clear(void *block, size_t bytes)
{
    char *start = block, *end = start + bytes;
    char *inner = (char *)vl_round_up((uintptr_t)start, VL_REGION_SIZE);
    char *inner_end = (char *)vl_round_down((uintptr_t)end, VL_REGION_SIZE);
    if (bytes < CLEAR_BY_KERNEL ||
        vl_os->advise(inner, (size_t)(inner_end - inner), VL_ADVICE_DISCARD) != 0)
        return memset(block, 0, bytes);
    memset(start, 0, (size_t)(inner - start));
    memset(inner_end, 0, (size_t)(end - inner_end));
    return block;
}

/* What lies at a pointer of a NODE slice that is no small object. Dies if it is not a run's start. */
static struct vl_region *region_of_run(const struct vl_slice *slice, const void *block,
                                       unsigned *page, const char *function)
{
    size_t offset = (uintptr_t)block - slice->start;
    unsigned class = vl_get(vl_slice_class(slice, block));
    if (class == VL_CLASS_NONE)
        vl_misuse(function, VL_MISUSE_UNALLOCATED, block);
    if (class != VL_CLASS_RUN_HEAD || offset % VL_PAGE_SIZE != 0)
        vl_misuse(function, VL_MISUSE_INTERIOR, block);
    *page = vl_page_in_region(slice, block);
    return vl_region_of(slice, block);
}

static void give_run(const struct vl_slice *slice, void *block, const char *function)
{
    unsigned page;
    struct vl_region *region = region_of_run(slice, block, &page, function);
    uint8_t head = VL_CLASS_RUN_HEAD;
    /* Of two threads that free it at once, one finds it gone. */
    if (!atomic_compare_exchange_strong(vl_slice_class(slice, block), &head,
                                        (uint8_t)VL_CLASS_NONE))
        vl_misuse(function, VL_MISUSE_DOUBLE_FREE, block);
    vl_slice_mark(slice, block, vl_region_run_pages(region, page), VL_CLASS_NONE, VL_CLASS_NONE);
    vl_place_give_run(slice, block);
}

/* Not a big block in use: either its middle, or nothing any more. */
static _Noreturn void bad_big(const struct vl_big_heap *heap, const void *block,
                              const char *function)
{
    bool on_grain = ((uintptr_t)block - heap->slice->start) % VL_GRAIN_SIZE == 0;
    vl_misuse(function, on_grain ? VL_MISUSE_UNALLOCATED : VL_MISUSE_INTERIOR, block);
}

void vl_large_give(const struct vl_slice *slice, void *block, const char *function)
{
    struct vl_big_heap *heap = &vl_big_heaps[slice->number];
    if (vl_slice_has_regions(slice))
        give_run(slice, block, function);
    else if (!vl_big_heap_give(heap, block))
        bad_big(heap, block, function);
}

size_t vl_large_bytes(const struct vl_slice *slice, const void *block, const char *function)
{
    if (vl_slice_has_regions(slice)) {
        unsigned page;
        struct vl_region *region = region_of_run(slice, block, &page, function);
        return (size_t)vl_region_run_pages(region, page) << VL_PAGE_SHIFT;
    }
    struct vl_big_heap *heap = &vl_big_heaps[slice->number];
    size_t bytes = vl_big_heap_bytes(heap, block);
    if (bytes == 0)
        bad_big(heap, block, function);
    return bytes;
}

/* Within the limit, once what is free has gone back. */
static bool may_grow(size_t more)
{
    if (vl_limit_allows(more))
        return true;
    vl_place_unreserve();
    return vl_place_purge(0) != 0 && vl_limit_allows(more);
}

static void *resize_big(const struct vl_slice *slice, void *block, size_t have, size_t bytes)
{
    struct vl_big_heap *heap = &vl_big_heaps[slice->number];
    if (bytes < VL_BIG_MIN || (bytes > have && !may_grow(bytes - have)))
        return NULL;
    if (!vl_big_heap_resize(heap, block, bytes))
        block = vl_big_heap_move(heap, block, bytes);
    vl_limit_watch();
    return block;
}

/* Only longer: cut where it stands, it would leave pages that have memory and are too few for the next block of
 * its size. Its mark stays meanwhile, as the child of a fork that stops us shall be able to free it; who frees it
 * at the same time is told afterwards, unless the place is another block's by then. */
static void *resize_run(const struct vl_slice *slice, void *block, size_t have, size_t bytes)
{
    unsigned more = pages_for(bytes) - pages_for(have);
    if (bytes < have || bytes >= VL_BIG_MIN)
        return NULL;
    bool longer = vl_place_lengthen_run(slice, block, more);
    if (longer)
        vl_slice_mark(slice, (char *)block + have, more, VL_CLASS_RUN_BODY, VL_CLASS_RUN_BODY);
    if (vl_get(vl_slice_class(slice, block)) != VL_CLASS_RUN_HEAD)
        vl_misuse("realloc", VL_MISUSE_UNALLOCATED, block);
    return longer ? block : NULL;
}

void *vl_large_resize(const struct vl_slice *slice, void *block, size_t have, size_t bytes)
{
    return vl_slice_has_regions(slice) ? resize_run(slice, block, have, bytes)
                                       : resize_big(slice, block, have, bytes);
}
