/*
 * 512 MB of small objects, and how well the allocator packs them into memory:
 *
 *   full        every object is written whole; then a pointer is chased through all of them
 *   quarter     3 of 4 objects are freed, at random: what is left pins pages everywhere
 *   refilled    random objects are freed or absent, and get another size, until 512 MB are live
 *   freed       nothing is live
 *   given_back  the allocator was told to give memory back
 *
 * Figures of memory are above what the process had before its first object; the program's own
 * tables are outside the heap.
 */
#include "bench/bench.h"
#include "bench/give_back.h"
#include "bench/memory.h"

enum {
    HEAP_MB = 512,
    READS = 4000000,
    SMALL_OF_8 = 7,    /* objects of 8 that have less than 512 bytes */
    OCTAVES_SMALL = 4, /* 32 to 511 bytes */
    OCTAVES_LARGE = 3, /* 512 to 4095 bytes */
    BYTES_MIN = 32,
    BYTES_LARGE = BYTES_MIN << OCTAVES_SMALL,
    BYTES_MEAN_MIN = 256, /* bounds the number of objects */
    OTHER_BYTES_MIN = 48,
    OTHER_BYTES_MAX = 1500,
};

struct heap {
    struct rng rng;
    uint64_t live_max;
    uint64_t live;
    uint32_t count;
    struct block *blocks;
    uint32_t *order; /* in which the objects are read */
    struct memory start;
};

static uint32_t random_size(struct rng *rng)
{
    return rng_below(rng, 8) < SMALL_OF_8 ? rng_octaves(rng, BYTES_MIN, OCTAVES_SMALL)
                                          : rng_octaves(rng, BYTES_LARGE, OCTAVES_LARGE);
}

static void object_make(struct heap *heap, struct block *block, uint32_t size)
{
    block->at = malloc(size);
    if (!block->at)
        bench_fail("malloc(%u) returned NULL", size);
    block->size = size;
    block->tag = (uint32_t)(block - heap->blocks) + 1;
    memset(block->at, (int)block->tag, size);
    block_write(block);
    heap->live += size;
}

static void object_end(struct heap *heap, struct block *block)
{
    if (block->at)
        heap->live -= block->size;
    block_free(block);
}

static void stage(const struct heap *heap, const char *name)
{
    struct memory memory = memory_since(&heap->start);

    printf("stage name=%s live_kb=%llu", name, (unsigned long long)(heap->live >> 10));
    memory_print(&memory);
    printf("\n");
}

/* ---- stages ------------------------------------------------------------------------------- */

static double fill(struct heap *heap, uint32_t blocks_max)
{
    double start_s = bench_now_s();

    while (heap->live < heap->live_max && heap->count < blocks_max)
        object_make(heap, &heap->blocks[heap->count++], random_size(&heap->rng));
    return bench_now_s() - start_s;
}

/* A ring of all objects in random order: the first word of each becomes a pointer to the next. */
static void **link_ring(struct heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++) {
        uint32_t other = rng_below(&heap->rng, i + 1);

        heap->order[i] = heap->order[other];
        heap->order[other] = i;
    }
    for (uint32_t i = 0; i < heap->count; i++) {
        uint32_t next = heap->order[i + 1 == heap->count ? 0 : i + 1];

        *(void **)(void *)heap->blocks[heap->order[i]].at = heap->blocks[next].at;
    }
    return (void **)(void *)heap->blocks[heap->order[0]].at;
}

/* Nanoseconds for a read that must wait for the one before. */
static double chase(struct heap *heap, uint64_t reads)
{
    void **at = link_ring(heap);
    double start_s = bench_now_s();

    for (uint64_t i = 0; i < reads; i++)
        at = *at;
    bench_keep(at);
    double seconds = bench_now_s() - start_s;
    for (uint32_t i = 0; i < heap->count; i++)
        block_write(&heap->blocks[i]);
    return seconds * 1e9 / (double)reads;
}

static void free_three_of_four(struct heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++)
        if (rng_below(&heap->rng, 4) != 0)
            object_end(heap, &heap->blocks[i]);
}

static void refill(struct heap *heap)
{
    while (heap->live < heap->live_max) {
        struct block *block = &heap->blocks[rng_below(&heap->rng, heap->count)];

        object_end(heap, block);
        object_make(heap, block, rng_between(&heap->rng, OTHER_BYTES_MIN, OTHER_BYTES_MAX));
    }
}

static void free_all(struct heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++)
        object_end(heap, &heap->blocks[i]);
}

int main(int argc, char **argv)
{
    static char output[BUFSIZ];
    struct bench bench = {.name = "huge_heap", .scale = 1, .threads = 1, .seed = 1};
    struct heap heap = {0};
    uint32_t blocks_max;
    double fill_s, read_ns;

    bench_options(&bench, argc, argv, "", "");
    setvbuf(stdout, output, _IOFBF, sizeof output);
    heap.rng = rng_start(bench.seed, 0);
    heap.live_max = bench_scaled(&bench, (uint64_t)HEAP_MB << 20);
    blocks_max = (uint32_t)(heap.live_max / BYTES_MEAN_MIN) + 1;
    heap.blocks = bench_table(blocks_max, sizeof *heap.blocks);
    heap.order = bench_table(blocks_max, sizeof *heap.order);
    heap.start = memory_now();
    stage(&heap, "start");

    bench_begin(&bench);
    fill_s = fill(&heap, blocks_max);
    stage(&heap, "full");
    read_ns = chase(&heap, READS);
    free_three_of_four(&heap);
    stage(&heap, "quarter");
    refill(&heap);
    stage(&heap, "refilled");
    free_all(&heap);
    stage(&heap, "freed");
    const char *way = give_back();
    stage(&heap, "given_back");
    printf("heap fill_s=%.6f read_ns=%.3f give_back=%s\n", fill_s, read_ns, way);
    bench_end(&bench, heap.count);
    return 0;
}
