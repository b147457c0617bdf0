/*
 * One thread against the allocator's fast path, in three modes:
 *
 *   pair    malloc and free of 64 bytes, over and over
 *   batch   64 blocks of 48 bytes, then their 64 frees
 *   window  a random one of 512 slots is freed and refilled with 16 to 1023 bytes
 *
 * The loops do as little else as they can: `bench/compare --instructions` counts what malloc and
 * free execute in them. With -t each thread runs the same loop.
 */
#include "bench.h"

enum {
    PAIR_BYTES = 64,
    BATCH_BYTES = 48,
    BATCH_BLOCKS = 64,
    WINDOW_SLOTS = 512,
    WINDOW_BYTES_MIN = 16,
    WINDOW_BYTES_MAX = 1023,
};

struct worker {
    uint64_t pairs;
    struct rng rng;
};

/* A value that only this round can have left in the block. */
static uint64_t *take(size_t size, uint64_t value)
{
    uint64_t *at = malloc(size);

    if (!at)
        bench_fail("malloc(%zu) returned NULL", size);
    *at = value;
    bench_keep(at);
    return at;
}

static void give(uint64_t *at, uint64_t value)
{
    if (*at != value)
        bench_fail("block %p was overwritten", (void *)at);
    free(at);
}

static void *run_pair(void *argument)
{
    const struct worker *worker = argument;

    for (uint64_t i = 0; i < worker->pairs; i++)
        give(take(PAIR_BYTES, i), i);
    return NULL;
}

static void *run_batch(void *argument)
{
    const struct worker *worker = argument;
    uint64_t *blocks[BATCH_BLOCKS];

    for (uint64_t done = 0; done < worker->pairs; done += BATCH_BLOCKS) {
        for (unsigned i = 0; i < BATCH_BLOCKS; i++)
            blocks[i] = take(BATCH_BYTES, done + i);
        for (unsigned i = 0; i < BATCH_BLOCKS; i++)
            give(blocks[i], done + i);
    }
    return NULL;
}

static void *run_window(void *argument)
{
    struct worker *worker = argument;
    uint64_t *slots[WINDOW_SLOTS];

    for (unsigned i = 0; i < WINDOW_SLOTS; i++)
        slots[i] = take(WINDOW_BYTES_MIN, i);
    for (uint64_t done = 0; done < worker->pairs; done++) {
        unsigned slot = rng_below(&worker->rng, WINDOW_SLOTS);

        give(slots[slot], slot);
        slots[slot] = take(rng_between(&worker->rng, WINDOW_BYTES_MIN, WINDOW_BYTES_MAX), slot);
    }
    for (unsigned i = 0; i < WINDOW_SLOTS; i++)
        give(slots[i], i);
    return NULL;
}

static const struct mode {
    const char *name;
    void *(*run)(void *);
    uint64_t pairs;
} modes[] = {
    { "pair", run_pair, 50000000 },
    { "batch", run_batch, 50000000 },
    { "window", run_window, 30000000 },
};

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    fprintf(stderr, "pairs: no mode '%s': it is pair, batch or window\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    struct bench bench = { .name = "pairs", .mode = "pair", .scale = 1, .threads = 1, .seed = 1 };
    static struct worker workers[BENCH_THREADS_MAX];
    const struct mode *mode;

    bench_options(&bench, argc, argv, "m:", " [-m pair|batch|window]");
    mode = find_mode(bench.mode);
    for (unsigned i = 0; i < bench.threads; i++)
        workers[i] = (struct worker){ bench_scaled(&bench, mode->pairs), rng_start(bench.seed, i) };

    bench_begin(&bench);
    bench_run_threads(bench.threads, mode->run, workers, sizeof workers[0]);
    bench_end(&bench, workers[0].pairs * bench.threads);
    return 0;
}
