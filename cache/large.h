/*
 * large - blocks without a size class: runs of pages up to 1 MB, big blocks above.
 *
 * `free` tells them by the class map: the first page of a run is marked VL_CLASS_RUN_HEAD, the others
 * VL_CLASS_RUN_BODY; big blocks lie in slices of their own.
 */
#ifndef VL_CACHE_LARGE_H
#define VL_CACHE_LARGE_H

#include "cache/heap.h"

/* What is known of a block's future: one that grows (realloc) will do so again. */
enum vl_future { VL_STAYS, VL_GROWS };

/* A block that was larger than this and grows is a large one from then on, though there may be a class for it:
 * objects of a class cannot grow, and each class that a block grows through is left with a span. */
#define VL_GROWN_MIN ((size_t)32 << 10)

static inline enum vl_future vl_future_of(size_t have, size_t size)
{
    return size > have && (have > VL_GROWN_MIN || size > VL_SMALL_MAX) ? VL_GROWS : VL_STAYS;
}

/* A block of `bytes` at a multiple of `align`; NULL if there is no memory. One that grows gets a place where
 * it can: free pages behind it, or whole huge pages, which the kernel can move. */
void *vl_large_take(struct vl_heap *heap, size_t bytes, size_t align, enum vl_future future,
                    bool *zeroed);

/* A big block of a place (numa/placement.h). */
void *vl_large_take_at(unsigned place, size_t bytes, bool *zeroed);

/* The heap it is of: a node's for all big blocks but those of allocator objects. */
struct vl_heap *vl_large_heap(const struct vl_slice *slice, const void *block);

/* Makes a block of any size read as zero. */
void *vl_large_clear(void *block, size_t bytes);

/* Gives back a block that begins at `block`, in `slice`; dies if none does. */
void vl_large_give(const struct vl_slice *slice, void *block, const char *function);

/* What vl_large_take gives for a request, and so vl_large_bytes tells. */
size_t vl_large_good_size(size_t bytes, size_t align);

/* Bytes a block's owner may use; dies if none begins at `block`. */
size_t vl_large_bytes(const struct vl_slice *slice, const void *block, const char *function);

/* Changes the size of a block where it stands, or by moving a big block's pages: its new place, or NULL,
 * with nothing done. */
void *vl_large_resize(const struct vl_slice *slice, void *block, size_t have, size_t bytes);

#endif
