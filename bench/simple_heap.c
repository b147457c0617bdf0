#include "bench/simple_heap.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

/* A tag, and the links of a free block, which lie in the memory that the program had. */
struct block {
    size_t size_before; /* of the neighbour in front, tag included; 0: there is none */
    size_t size;        /* of this one, tag included; the lowest bit says that it is in use */
    struct block *next, *prev;
};

enum {
    ALIGNMENT = 16,
    TAG_BYTES = offsetof(struct block, next),
    BLOCK_BYTES_MIN = sizeof(struct block), /* room for the links when it is free */
    USED = 1,

    PAGE_BYTES = 4096,
    CHUNK_BYTES = 4 << 20,

    BINS = 48, /* the logarithm of a size of user space is below this */

    CACHED_BYTES_MAX = 1024, /* what a program gets, without the tag */
    CACHE_LISTS = CACHED_BYTES_MAX / ALIGNMENT + 1,
    CACHE_LIST_BLOCKS = 64,
    REFILL_BLOCKS = 16,
};

_Static_assert(TAG_BYTES % ALIGNMENT == 0, "a block behind a tag is aligned");
_Static_assert(REFILL_BLOCKS <= CACHE_LIST_BLOCKS, "a refill fits into a list");

struct chunk {
    struct chunk *next;
    size_t bytes;
};

_Static_assert(sizeof(struct chunk) % ALIGNMENT == 0, "the first tag is aligned");

/* Blocks of one size, linked through `next`. Their tags say that they are in use. */
struct cache_list {
    struct block *first;
    unsigned count;
};

/* Touched by its thread alone, but for `next` and `prev`, which are under the heap's lock. */
struct simple_cache {
    struct cache_list lists[CACHE_LISTS]; /* by size in units of ALIGNMENT */
    struct simple_cache *next, *prev;
};

/* Everything under `lock`. */
struct simple_heap {
    pthread_mutex_t lock;
    struct chunk *chunks;
    struct simple_cache *caches;
    struct block *bins[BINS];
};

/* ---- blocks and their neighbours ---------------------------------------------------------- */

static size_t size_of(const struct block *block)
{
    return block->size & ~(size_t)USED;
}

static bool is_used(const struct block *block)
{
    return block->size & USED;
}

static bool is_end(const struct block *block)
{
    return size_of(block) == 0;
}

static struct block *block_at(void *base, size_t offset)
{
    return (struct block *)(void *)((char *)base + offset);
}

static struct block *behind(struct block *block)
{
    return block_at(block, size_of(block));
}

static struct block *before(struct block *block)
{
    return (struct block *)(void *)((char *)block - block->size_before);
}

static void *memory_of(struct block *block)
{
    return (char *)block + TAG_BYTES;
}

static struct block *block_of(void *memory)
{
    return (struct block *)(void *)((char *)memory - TAG_BYTES);
}

/* Both places where a size is kept: a block's own tag, and the one behind it. */
static void set_size(struct block *block, size_t size, size_t used)
{
    block->size = size | used;
    behind(block)->size_before = size;
}

/* ---- bins --------------------------------------------------------------------------------- */

static unsigned bin_of(size_t size)
{
    return 63 - (unsigned)__builtin_clzl(size);
}

static void bin_add(struct simple_heap *heap, struct block *block)
{
    struct block **bin = &heap->bins[bin_of(size_of(block))];

    block->prev = NULL;
    block->next = *bin;
    if (*bin)
        (*bin)->prev = block;
    *bin = block;
}

static void bin_remove(struct simple_heap *heap, struct block *block)
{
    if (block->prev)
        block->prev->next = block->next;
    else
        heap->bins[bin_of(size_of(block))] = block->next;
    if (block->next)
        block->next->prev = block->prev;
}

/* In its own bin a block may be too small; in those above, every one is large enough. */
static struct block *bin_find(const struct simple_heap *heap, size_t size)
{
    for (unsigned bin = bin_of(size); bin < BINS; bin++)
        for (struct block *block = heap->bins[bin]; block; block = block->next)
            if (size_of(block) >= size)
                return block;
    return NULL;
}

/* ---- chunks ------------------------------------------------------------------------------- */

static struct block *first_block(struct chunk *chunk)
{
    return block_at(chunk, sizeof *chunk);
}

/* What is left of a chunk when its own head and the end are taken away. */
static size_t chunk_room(const struct chunk *chunk)
{
    return chunk->bytes - sizeof *chunk - TAG_BYTES;
}

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static size_t rounded_up(size_t size, size_t unit)
{
    return (size + unit - 1) & ~(unit - 1);
}

/* A new chunk with one free block of at least `size` bytes, which is in no bin yet. */
static struct block *grow(struct simple_heap *heap, size_t size)
{
    size_t needed = rounded_up(size + sizeof(struct chunk) + TAG_BYTES, PAGE_BYTES);
    size_t bytes = needed > CHUNK_BYTES ? needed : CHUNK_BYTES;
    struct chunk *chunk = map(bytes);

    if (!chunk)
        return NULL;
    *chunk = (struct chunk){heap->chunks, bytes};
    heap->chunks = chunk;

    struct block *block = first_block(chunk);
    block->size_before = 0;
    set_size(block, chunk_room(chunk), 0);
    behind(block)->size = USED;
    return block;
}

size_t simple_heap_trim(struct simple_heap *heap)
{
    size_t bytes = 0;

    pthread_mutex_lock(&heap->lock);
    for (struct chunk **link = &heap->chunks; *link;) {
        struct chunk *chunk = *link;
        struct block *block = first_block(chunk);

        if (is_used(block) || size_of(block) != chunk_room(chunk)) {
            link = &chunk->next;
            continue;
        }
        bin_remove(heap, block);
        *link = chunk->next;
        bytes += chunk->bytes;
        munmap(chunk, chunk->bytes);
    }
    pthread_mutex_unlock(&heap->lock);
    return bytes;
}

/* ---- the shared part, under the lock ------------------------------------------------------ */

/* Cuts off what is more than `size`, if a block can be made of it. */
static void split(struct simple_heap *heap, struct block *block, size_t size)
{
    size_t left = size_of(block) - size;

    if (left < BLOCK_BYTES_MIN)
        return;
    set_size(block, size, 0);
    set_size(behind(block), left, 0);
    bin_add(heap, behind(block));
}

static struct block *shared_take(struct simple_heap *heap, size_t size)
{
    struct block *block = bin_find(heap, size);

    if (block)
        bin_remove(heap, block);
    else
        block = grow(heap, size);
    if (!block)
        return NULL;
    split(heap, block, size);
    block->size |= USED;
    return block;
}

static void shared_give(struct simple_heap *heap, struct block *block)
{
    size_t size = size_of(block);
    struct block *next = behind(block);

    if (!is_used(next)) {
        bin_remove(heap, next);
        size += size_of(next);
    }
    if (block->size_before != 0 && !is_used(before(block))) {
        block = before(block);
        bin_remove(heap, block);
        size += size_of(block);
    }
    set_size(block, size, 0);
    bin_add(heap, block);
}

/* ---- a thread's lists --------------------------------------------------------------------- */

/* The list for blocks of this size with their tag, or NULL. */
static struct cache_list *list_for(struct simple_cache *cache, size_t block_bytes)
{
    size_t index = (block_bytes - TAG_BYTES) / ALIGNMENT;

    return cache && index < CACHE_LISTS ? &cache->lists[index] : NULL;
}

static void push(struct cache_list *list, struct block *block)
{
    block->next = list->first;
    list->first = block;
    list->count++;
}

static struct block *pop(struct cache_list *list)
{
    struct block *block = list->first;

    list->first = block->next;
    list->count--;
    return block;
}

/* Leaves the list empty if there is no memory. */
static void refill(struct simple_heap *heap, struct cache_list *list, size_t size)
{
    pthread_mutex_lock(&heap->lock);
    for (unsigned i = 0; i < REFILL_BLOCKS; i++) {
        struct block *block = shared_take(heap, size);

        if (!block)
            break;
        push(list, block);
    }
    pthread_mutex_unlock(&heap->lock);
}

static void drain(struct simple_heap *heap, struct cache_list *list, unsigned count_left)
{
    pthread_mutex_lock(&heap->lock);
    while (list->count > count_left)
        shared_give(heap, pop(list));
    pthread_mutex_unlock(&heap->lock);
}

struct simple_cache *simple_heap_attach(struct simple_heap *heap)
{
    struct simple_cache *cache = map(sizeof *cache); /* all lists are empty */

    if (!cache)
        return NULL;
    pthread_mutex_lock(&heap->lock);
    cache->next = heap->caches;
    if (cache->next)
        cache->next->prev = cache;
    heap->caches = cache;
    pthread_mutex_unlock(&heap->lock);
    return cache;
}

void simple_heap_detach(struct simple_heap *heap, struct simple_cache *cache)
{
    for (size_t i = 0; i < CACHE_LISTS; i++)
        drain(heap, &cache->lists[i], 0);
    pthread_mutex_lock(&heap->lock);
    if (cache->prev)
        cache->prev->next = cache->next;
    else
        heap->caches = cache->next;
    if (cache->next)
        cache->next->prev = cache->prev;
    pthread_mutex_unlock(&heap->lock);
    munmap(cache, sizeof *cache);
}

/* ---- the front door ----------------------------------------------------------------------- */

/* Bytes of a block with its tag, or 0 if there can be no such block. */
static size_t bytes_for(size_t size)
{
    if (size > (size_t)PTRDIFF_MAX / 2)
        return 0;
    size_t bytes = rounded_up(size, ALIGNMENT) + TAG_BYTES;
    return bytes < BLOCK_BYTES_MIN ? BLOCK_BYTES_MIN : bytes;
}

void *simple_heap_take(struct simple_heap *heap, struct simple_cache *cache, size_t size)
{
    size_t bytes = bytes_for(size);
    struct block *block = NULL;

    if (bytes == 0)
        return NULL;
    struct cache_list *list = list_for(cache, bytes);
    if (list) {
        if (list->count == 0)
            refill(heap, list, bytes);
        if (list->count != 0)
            block = pop(list);
    } else {
        pthread_mutex_lock(&heap->lock);
        block = shared_take(heap, bytes);
        pthread_mutex_unlock(&heap->lock);
    }
    return block ? memory_of(block) : NULL;
}

void simple_heap_give(struct simple_heap *heap, struct simple_cache *cache, void *memory)
{
    struct block *block = block_of(memory);
    struct cache_list *list = list_for(cache, size_of(block));

    if (list) {
        if (list->count == CACHE_LIST_BLOCKS)
            drain(heap, list, CACHE_LIST_BLOCKS / 2);
        push(list, block);
    } else {
        pthread_mutex_lock(&heap->lock);
        shared_give(heap, block);
        pthread_mutex_unlock(&heap->lock);
    }
}

struct simple_heap *simple_heap_make(void)
{
    struct simple_heap *heap = map(sizeof *heap); /* nothing in it */

    if (heap)
        pthread_mutex_init(&heap->lock, NULL);
    return heap;
}

void simple_heap_destroy(struct simple_heap *heap)
{
    for (struct simple_cache *cache = heap->caches, *next; cache; cache = next) {
        next = cache->next;
        munmap(cache, sizeof *cache);
    }
    for (struct chunk *chunk = heap->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        munmap(chunk, chunk->bytes);
    }
    pthread_mutex_destroy(&heap->lock);
    munmap(heap, sizeof *heap);
}

/* ---- the verifier ------------------------------------------------------------------------- */

struct walk {
    size_t bytes_used;
    size_t free_in_chunks, free_in_bins; /* numbers of blocks */
};

static const char *fault_in_chunk(struct chunk *chunk, struct walk *walk)
{
    const char *end = (const char *)chunk + chunk->bytes - TAG_BYTES;
    bool free_before = false;
    size_t size_before = 0;
    struct block *block = first_block(chunk);

    for (; !is_end(block); block = behind(block)) {
        if (size_of(block) % ALIGNMENT != 0 || size_of(block) < BLOCK_BYTES_MIN)
            return "a block has no possible size";
        if (size_of(block) > (size_t)(end - (const char *)block))
            return "a block reaches over the end of its chunk";
        if (block->size_before != size_before)
            return "a tag has the wrong size of the block before it";
        if (free_before && !is_used(block))
            return "two free blocks are neighbours";
        free_before = !is_used(block);
        size_before = size_of(block);
        if (is_used(block))
            walk->bytes_used += size_of(block);
        else
            walk->free_in_chunks++;
    }
    if ((const char *)block != end || !is_used(block) || block->size_before != size_before)
        return "the end of a chunk is not where it was";
    return NULL;
}

static const char *fault_in_bin(const struct simple_heap *heap, unsigned bin, struct walk *walk)
{
    const struct block *prev = NULL;

    for (const struct block *block = heap->bins[bin]; block; prev = block, block = block->next) {
        if (is_used(block))
            return "a block in a bin is in use";
        if (bin_of(size_of(block)) != bin)
            return "a block is in the wrong bin";
        if (block->prev != prev)
            return "a bin's links do not meet";
        walk->free_in_bins++;
    }
    return NULL;
}

static const char *fault_of(struct simple_heap *heap, struct walk *walk)
{
    const char *fault = NULL;

    for (struct chunk *chunk = heap->chunks; chunk && !fault; chunk = chunk->next)
        fault = fault_in_chunk(chunk, walk);
    for (unsigned bin = 0; bin < BINS && !fault; bin++)
        fault = fault_in_bin(heap, bin, walk);
    if (!fault && walk->free_in_bins != walk->free_in_chunks)
        fault = "a free block is in no bin";
    return fault;
}

const char *simple_heap_fault(struct simple_heap *heap, size_t *bytes_used)
{
    struct walk walk = {0};

    pthread_mutex_lock(&heap->lock);
    const char *fault = fault_of(heap, &walk);
    pthread_mutex_unlock(&heap->lock);
    *bytes_used = walk.bytes_used;
    return fault;
}
