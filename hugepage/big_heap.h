/*
 * big_heap - blocks of 1 MB and more, in a BIG or PLACED slice.
 *
 * A BIG slice prefers no node: a page goes where it is first written, which is where a program that
 * initialises its arrays in parallel wants it. Nothing is ever written into a block by us: its
 * bookkeeping is beside it (extent.h), and fresh memory is known to be zero.
 *
 *      +--------------------+--------------------+--------------------+--------------------+
 *      |      aligned block, 2.9 huge pages                         | packed, 1.1 | packed, ...
 *      +--------------------+--------------------+--------------------+--------------------+
 *
 * A block of 2 MB or more begins on a huge page, so that it can grow by having its huge pages moved
 * instead of copied; what is behind its end is free for others. What it has of the last huge page is copied:
 * moved, it would be cut out of a page that others use. But where much of that page would lie idle, as
 * under blocks of just above 2 MB, a block is packed: it begins where another ends, shares huge pages with
 * it, and is copied if it has to move. On a machine with several nodes none is, where pages go to who
 * touches them first: that may be another block's thread. A freed block keeps its memory for
 * VALLOC_PURGE_DELAY, as long as all of them together stay below a limit. On a machine with
 * several nodes, kept memory of a BIG slice serves only blocks of the very same size (the program's next
 * time step); any other gets untouched pages, so that first touch decides anew.
 *
 * As long as the heap is small, and where huge pages are slow to come, memory that blocks touch first has
 * small pages (big_thp.h). Advice to the kernel is about all of the slice at once, and leaves huge pages that
 * are there. Blocks take no part in finding out what is slow: only their owners know when they touch them.
 *
 * With VALLOC_HUGEPAGE=hugetlb, the whole huge pages of a new block are taken to the kernel's pool,
 * and go back to it when the block is freed. Such a block does not move. With hugetlb:1G, its whole
 * gigabytes are first taken to the pool of such pages, as many as that has, if it begins at a multiple
 * of 1 GB (numa/place.c sees to that).
 */
#ifndef VL_HUGEPAGE_BIG_HEAP_H
#define VL_HUGEPAGE_BIG_HEAP_H

#include "hugepage/big_thp.h"
#include "hugepage/extent.h"
#include "hugepage/holding.h"

struct vl_big_heap {
    struct vl_slice *slice;

    _Alignas(VL_CACHE_LINE) struct vl_lock lock; /* protects all below, and the extents */
    struct vl_extents extents;
    uint64_t told;       /* to limit.h */
    uint32_t away; /* threads that extend the slice meanwhile, without the lock */
    uint32_t pieces; /* of all blocks whose pages were moved */
    bool move_failed; /* once is enough: blocks are copied from then on */
    bool closed;   /* nothing is taken any more: the slice is retired */
    struct vl_big_thp thp;

    /* Written under the lock, read by anybody as statistics. */
    _Atomic uint64_t bytes_used;
    _Atomic uint64_t bytes_dirty;
    _Atomic uint64_t blocks_used;
    _Atomic uint64_t bytes_used_max;
    _Atomic uint64_t purged_bytes;
    _Atomic uint64_t hugetlb_bytes;
    _Atomic uint64_t hugetlb_refused; /* blocks that did without */
    _Atomic uint64_t giant_bytes;     /* of hugetlb_bytes, in pages of 1 GB */
    _Atomic uint64_t giant_refused;   /* blocks that got fewer of these than they have gigabytes */
};

/* `slice` was made with vl_big_heap_plan. `reuse_exact`: there are several nodes, and first touch decides. */
void vl_big_heap_start(struct vl_big_heap *heap, struct vl_slice *slice, bool reuse_exact);
struct vl_slice_plan vl_big_heap_plan(size_t size);

/* A block of `bytes` at a multiple of `align` (a power of two), or NULL. *zeroed tells whether it is
 * known to read as zero. An allocator object's is noted in its `holder`; else that is NULL. */
void *vl_big_heap_take(struct vl_big_heap *heap, size_t bytes, size_t align,
                       struct vl_holding *holder, bool *zeroed);

/* Whether such a block is to be in pages of 1 GB, as far as there are any. */
bool vl_big_heap_wants_giants(size_t bytes, const struct vl_holding *holder);

/* Whether the slice has address space for such a block: if so and none was got, memory is short. */
bool vl_big_heap_has_room(struct vl_big_heap *heap, size_t bytes, size_t align);

/* False if `block` is not the start of a block in use. */
bool vl_big_heap_give(struct vl_big_heap *heap, void *block);

/* Bytes the owner of `block` may use; 0 if it is not the start of a block in use. */
size_t vl_big_heap_bytes(struct vl_big_heap *heap, const void *block);

/* Changes a block's size where it stands; false, with nothing done, if its neighbour is in the way. */
bool vl_big_heap_resize(struct vl_big_heap *heap, void *block, size_t bytes);

/* A block of `bytes`, no fewer than `block` has, that takes over the pages of `block`, which is given
 * back; NULL, with nothing done, if the kernel cannot or there is no room. The caller has asked the limit
 * (limit.h) for what is added. */
void *vl_big_heap_move(struct vl_big_heap *heap, void *block, size_t bytes);

/* The first block in use from *start on: its place, its size with what follows it, and the bytes its
 * owner may use. False if there is none. */
bool vl_big_heap_next(struct vl_big_heap *heap, char **start, size_t *size, size_t *bytes);

/* The holder of the block that begins there; NULL if it has none. */
struct vl_holding *vl_big_heap_holder(struct vl_big_heap *heap, const void *block);

/* Where the block of a record lies. */
void *vl_big_heap_address(const struct vl_big_heap *heap, const struct vl_extent *extent);

/* A block of an object that is no more: its memory goes to the system. */
size_t vl_big_heap_drop(struct vl_big_heap *heap, struct vl_extent *extent);

/* Returns memory that has been free for `age_ms`; tells how many bytes. */
size_t vl_big_heap_purge(struct vl_big_heap *heap, uint64_t age_ms);

/* Closes a heap of which nothing is in use, for its slice to be retired; false if something is. */
bool vl_big_heap_close(struct vl_big_heap *heap);

/* Child of a fork: frees the lock; if it was held, starts afresh behind all that was in use. Takes pages
 * of 1 GB away that the kernel has not given it. */
void vl_big_heap_after_fork(struct vl_big_heap *heap);

#endif
