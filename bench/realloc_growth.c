/*
 * Vectors that grow as they are filled, element by element, with a capacity that grows twofold or
 * by one half: one that reaches 64 MB, as a program reads a file; and many that grow side by side
 * to 64 KB, so that none can simply be extended.
 */
#include "bench.h"

enum {
    ROUNDS = 4,
    LARGE_ITEMS = (64 << 20) / sizeof(uint64_t),
    SMALL_VECTORS = 256,
    SMALL_ITEMS = (64 << 10) / sizeof(uint64_t),
    CAPACITY_FIRST = 4,
};

struct vector {
    uint64_t *items;
    size_t count;
    size_t capacity;
};

struct worker {
    uint64_t rounds;
    uint64_t key; /* what this thread's elements are made of */
};

static size_t grow_twofold(size_t capacity)
{
    return capacity * 2;
}

static size_t grow_by_half(size_t capacity)
{
    return capacity + capacity / 2;
}

static void vector_append(struct vector *vector, uint64_t item, size_t (*grow)(size_t))
{
    if (vector->count == vector->capacity) {
        size_t capacity = vector->capacity ? grow(vector->capacity) : CAPACITY_FIRST;
        uint64_t *items = realloc(vector->items, capacity * sizeof *items);

        if (!items)
            bench_fail("realloc to %zu bytes returned NULL", capacity * sizeof *items);
        vector->items = items;
        vector->capacity = capacity;
    }
    vector->items[vector->count++] = item;
}

/* Checks every element, then frees. */
static void vector_free(struct vector *vector, uint64_t key)
{
    for (size_t i = 0; i < vector->count; i++)
        if (vector->items[i] != key + i)
            bench_fail("element %zu of %zu was lost", i, vector->count);
    free(vector->items);
}

static void fill_large(uint64_t key, size_t (*grow)(size_t))
{
    struct vector vector = { 0 };

    for (size_t i = 0; i < LARGE_ITEMS; i++)
        vector_append(&vector, key + i, grow);
    vector_free(&vector, key);
}

static void fill_small(uint64_t key, size_t (*grow)(size_t))
{
    struct vector vectors[SMALL_VECTORS] = { 0 };

    for (size_t i = 0; i < SMALL_ITEMS; i++)
        for (size_t v = 0; v < SMALL_VECTORS; v++)
            vector_append(&vectors[v], key + v + i, grow);
    for (size_t v = 0; v < SMALL_VECTORS; v++)
        vector_free(&vectors[v], key + v);
}

static void *run(void *argument)
{
    const struct worker *worker = argument;

    for (uint64_t round = 0; round < worker->rounds; round++) {
        fill_large(worker->key, grow_twofold);
        fill_small(worker->key, grow_twofold);
        fill_large(worker->key, grow_by_half);
        fill_small(worker->key, grow_by_half);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench bench = { .name = "realloc_growth", .scale = 1, .threads = 2, .seed = 1 };
    static struct worker workers[BENCH_THREADS_MAX];
    uint64_t rounds;

    bench_options(&bench, argc, argv, "", "");
    rounds = bench_scaled(&bench, ROUNDS);
    for (unsigned i = 0; i < bench.threads; i++)
        workers[i] = (struct worker){ rounds, bench_mix(bench.seed + i + 1) };

    bench_begin(&bench);
    bench_run_threads(bench.threads, run, workers, sizeof workers[0]);
    bench_end(&bench, rounds * bench.threads * 2 * (LARGE_ITEMS + SMALL_VECTORS * SMALL_ITEMS));
    return 0;
}
