/*
 * Checks bench/simple_heap.c, as a baseline that is wrong is none: random blocks hold what was
 * written into them, the heap's own verifier finds no fault, neighbours are joined, and in the end
 * nothing is left in use.
 */
#include "bench/bench.h"
#include "bench/simple_heap.h"

enum {
    SLOTS = 256,
    STEPS = 20000,
    STEPS_BETWEEN_WALKS = 500,
    THREADS = 4,
    PASSED_ON = 500, /* blocks that one thread allocates and the next one frees */
};

struct worker {
    struct simple_heap *heap;
    struct simple_cache *cache; /* NULL: without lists */
    uint64_t seed;
    void *passed_on[PASSED_ON];
};

static pthread_barrier_t all_passed_on;
static struct worker workers[THREADS];

static size_t expect_sound(struct simple_heap *heap)
{
    size_t bytes_used;
    const char *fault = simple_heap_fault(heap, &bytes_used);

    if (fault)
        bench_fail("simple_heap: %s", fault);
    return bytes_used;
}

/* Mostly small, seldom larger than a chunk: each power of two is as likely. */
static uint32_t random_size(struct rng *rng)
{
    uint32_t top = UINT32_C(8) << rng_below(rng, rng_below(rng, 64) == 0 ? 21 : 12);

    return rng_between(rng, BLOCK_SIZE_MIN, top);
}

static struct block take(struct worker *worker, struct rng *rng)
{
    struct block block = {NULL, random_size(rng), (uint32_t)rng_next(rng)};

    block.at = simple_heap_take(worker->heap, worker->cache, block.size);
    if (!block.at || (uintptr_t)block.at % _Alignof(max_align_t) != 0)
        bench_fail("simple_heap: %u bytes at %p", block.size, (void *)block.at);
    block_write(&block);
    return block;
}

static void give(struct worker *worker, struct block *block)
{
    if (!block->at)
        return;
    block_check(block);
    simple_heap_give(worker->heap, worker->cache, block->at);
    block->at = NULL;
}

static void random_steps(struct worker *worker)
{
    struct rng rng = rng_start(worker->seed, 0);
    struct block slots[SLOTS] = {0};

    for (unsigned step = 0; step < STEPS; step++) {
        struct block *slot = &slots[rng_below(&rng, SLOTS)];

        give(worker, slot);
        if (rng_below(&rng, 4) != 0)
            *slot = take(worker, &rng);
        if (step % STEPS_BETWEEN_WALKS == 0)
            expect_sound(worker->heap);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        give(worker, &slots[i]);
}

static void *run_thread(void *argument)
{
    struct worker *worker = argument;
    struct worker *neighbour = &workers[(worker - workers + 1) % THREADS];

    worker->cache = simple_heap_attach(worker->heap);
    if (!worker->cache)
        bench_fail("simple_heap: no cache");
    random_steps(worker);
    for (unsigned i = 0; i < PASSED_ON; i++)
        worker->passed_on[i] = simple_heap_take(worker->heap, worker->cache, i);
    pthread_barrier_wait(&all_passed_on);
    for (unsigned i = 0; i < PASSED_ON; i++)
        simple_heap_give(worker->heap, worker->cache, neighbour->passed_on[i]);
    simple_heap_detach(worker->heap, worker->cache);
    return NULL;
}

/* All was given back: so all is joined again, and every chunk goes. */
static void expect_empty(struct simple_heap *heap)
{
    if (expect_sound(heap) != 0)
        bench_fail("simple_heap: bytes in use, and nobody has them");
    if (simple_heap_trim(heap) == 0)
        bench_fail("simple_heap: no chunk was free");
    expect_sound(heap);
    if (simple_heap_trim(heap) != 0)
        bench_fail("simple_heap: a second trim found more");
}

static void check_neighbours(struct simple_heap *heap)
{
    void *first = simple_heap_take(heap, NULL, 1000);
    void *second = simple_heap_take(heap, NULL, 1000);
    void *third = simple_heap_take(heap, NULL, 1000);

    simple_heap_give(heap, NULL, first);
    simple_heap_give(heap, NULL, third);
    simple_heap_give(heap, NULL, second);
    void *joined = simple_heap_take(heap, NULL, 3000);
    if (joined != first)
        bench_fail("simple_heap: three neighbours did not become one block");
    simple_heap_give(heap, NULL, joined);
    if (simple_heap_take(heap, NULL, SIZE_MAX - 8))
        bench_fail("simple_heap: gave more than there is");
    expect_empty(heap);
}

int main(void)
{
    struct simple_heap *heap = simple_heap_make();

    if (!heap)
        bench_fail("simple_heap: no memory");
    check_neighbours(heap);
    random_steps(&(struct worker){.heap = heap, .seed = 1});
    expect_empty(heap);

    pthread_barrier_init(&all_passed_on, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        workers[i] = (struct worker){.heap = heap, .seed = i + 1};
    bench_run_threads(THREADS, run_thread, workers, sizeof workers[0]);
    expect_empty(heap);
    simple_heap_destroy(heap);
    return 0;
}
