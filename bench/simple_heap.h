/*
 * simple_heap - an allocator as one would first write it, to hold valloc's times against.
 *
 * Memory comes from mmap in chunks, and a chunk is cut into blocks without a gap. In front of each
 * block is a tag with its size and that of the block before it, so that both neighbours can be found:
 *
 *     chunk                                                                      chunk + bytes
 *     +-------+-----+----------+-----+----------------+-----+-----------------+-----+
 *     | chunk | tag | block A  | tag | (free)         | tag | block B         | end |
 *     +-------+-----+----------+-----+----------------+-----+-----------------+-----+
 *               <---- size ---> <------- size -------> <------- size --------->
 *
 * The end is a tag of size 0, in use for ever. Free blocks are in bins by the logarithm of their
 * size, linked through their own memory. A request takes the first block that is large enough, and
 * what is left over becomes a free block again. A block that is freed is joined with the neighbours
 * that are free: so no two free blocks are ever next to each other. One lock protects all of this.
 *
 * A thread may have a list of blocks for each small size, which needs no lock. The shared part does
 * not know: there these blocks count as in use. An empty list is filled with some blocks under one
 * lock, and one that is full gives half of them back.
 *
 *                 take, list not empty                    refill: some at a time
 *     program  <------------------------  thread's list  <------------------------  bins  <--  mmap
 *              ------------------------>                 ------------------------>
 *                 give                                    half, when it is full
 *
 * What is simple here is paid for:
 *
 *  - Each block carries its tag: 16 bytes that a program of small objects feels, in memory and in
 *    cache lines. valloc keeps what it knows beside the objects.
 *  - A search in a bin may pass over any number of blocks that are too small.
 *  - One lock for all threads; above 1 KB each call takes it.
 *  - Blocks that were freed by one thread do not reach another's list before the list is full.
 *  - A chunk goes back only in simple_heap_trim, and only when all of it is free. One block, or one
 *    in a thread's list, holds the rest.
 *
 * The bins, and neighbours found by their sizes, are Knuth's (The Art of Computer Programming,
 * volume 1, section 2.5: boundary tags).
 */
#ifndef VALLOC_BENCH_SIMPLE_HEAP_H
#define VALLOC_BENCH_SIMPLE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct simple_heap;
struct simple_cache;

/* NULL if there is no memory. */
struct simple_heap *simple_heap_make(void);

/* Gives everything back, blocks in use and caches of threads included. No thread may use it. */
void simple_heap_destroy(struct simple_heap *heap);

/*
 * The lists of one thread, which only that thread may use from then on; NULL if there is no memory.
 * Detached, its blocks go to the shared part.
 */
struct simple_cache *simple_heap_attach(struct simple_heap *heap);
void simple_heap_detach(struct simple_heap *heap, struct simple_cache *cache);

/* A block of at least `size` bytes, aligned to 16, or NULL. `cache` may be NULL: no lists then. */
void *simple_heap_take(struct simple_heap *heap, struct simple_cache *cache, size_t size);
void simple_heap_give(struct simple_heap *heap, struct simple_cache *cache, void *block);

/* Chunks that are free as a whole go back to the system; tells how many bytes that were. */
size_t simple_heap_trim(struct simple_heap *heap);

/*
 * Walks all of the shared part: what is said above about tags, neighbours and bins must hold. NULL
 * if it does, else what is wrong. `bytes_used` gets what is in use with its tags, lists included.
 */
const char *simple_heap_fault(struct simple_heap *heap, size_t *bytes_used);

#endif
