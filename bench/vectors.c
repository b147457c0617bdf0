/*
 * Vectors that grow by an eighth of what they hold, a hundred of a thread by turns, each up to a size of its
 * own; then it is freed and another begins: lists of an interpreter, buffers that are appended to. Whoever gives
 * each step a block of its own copies all of a vector nine times, and has many sizes of blocks.
 */
#include "bench/bench.h"

enum {
    VECTORS = 100,
    ITEMS_FIRST = 8,
    ITEMS_MAX = (800 << 10) / sizeof(uint64_t),
    STEPS = 160000,
    CHECKED_EACH = 64, /* items of which one is read again */
};

struct vector {
    uint64_t *items;
    uint32_t count, wanted;
};

struct worker {
    struct rng rng;
    uint64_t steps;
    uint64_t key; /* what this thread's items are made of */
};

static void vector_grow(struct vector *vector, uint32_t count, uint64_t key)
{
    uint64_t *items = realloc(vector->items, count * sizeof *items);

    if (!items)
        bench_fail("realloc to %zu bytes returned NULL", count * sizeof *items);
    for (uint32_t i = vector->count; i < count; i++)
        items[i] = key + i;
    vector->items = items;
    vector->count = count;
}

static void vector_free(struct vector *vector, uint64_t key)
{
    for (uint32_t i = 0; i < vector->count; i += CHECKED_EACH)
        if (vector->items[i] != key + i)
            bench_fail("item %u of %u was lost", i, vector->count);
    free(vector->items);
    *vector = (struct vector){0};
}

static void step(struct vector *vector, struct worker *worker)
{
    uint32_t count = vector->count + vector->count / 8 + 1;

    if (!vector->items)
        *vector = (struct vector){.wanted = rng_between(&worker->rng, ITEMS_FIRST, ITEMS_MAX)};
    if (count <= vector->wanted)
        vector_grow(vector, count < ITEMS_FIRST ? ITEMS_FIRST : count, worker->key);
    else
        vector_free(vector, worker->key);
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    struct vector vectors[VECTORS] = {0};

    for (uint64_t i = 0; i < worker->steps; i++)
        step(&vectors[rng_below(&worker->rng, VECTORS)], worker);
    for (size_t i = 0; i < VECTORS; i++)
        vector_free(&vectors[i], worker->key);
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench bench = {.name = "vectors", .scale = 1, .threads = 2, .seed = 1};
    static struct worker workers[BENCH_THREADS_MAX];
    uint64_t steps;

    bench_options(&bench, argc, argv, "", "");
    steps = bench_scaled(&bench, STEPS);
    for (unsigned i = 0; i < bench.threads; i++)
        workers[i] =
            (struct worker){rng_start(bench.seed, i), steps, bench_mix(bench.seed + i + 1)};

    bench_begin(&bench);
    bench_run_threads(bench.threads, run, workers, sizeof workers[0]);
    bench_end(&bench, steps * bench.threads);
    return 0;
}
