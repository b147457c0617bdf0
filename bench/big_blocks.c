/*
 * Work arrays of 1 to 64 MB, each written in full: a random one of a window of eight is freed and
 * replaced by one of another size. As many are between 1 and 2 MB as between 32 and 64 MB.
 */
#include "bench.h"

enum {
    WINDOW = 8, /* of each thread */
    REPLACEMENTS = 60,
    MEGABYTE = 1 << 20,
    DOUBLINGS = 6, /* from 1 MB to 64 MB */
};

struct worker {
    struct rng rng;
    uint64_t replacements;
};

/* Any number of bytes: sizes are seldom round. */
static struct block random_block(struct rng *rng)
{
    uint32_t octave = (uint32_t)MEGABYTE << rng_below(rng, DOUBLINGS);

    return block_new(rng_between(rng, octave, 2 * octave), (uint32_t)rng_next(rng));
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    struct block window[WINDOW] = { { 0 } };

    for (uint64_t i = 0; i < worker->replacements; i++) {
        struct block *block = &window[rng_below(&worker->rng, WINDOW)];

        block_free(block);
        *block = random_block(&worker->rng);
    }
    for (unsigned i = 0; i < WINDOW; i++)
        block_free(&window[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench bench = { .name = "big_blocks", .scale = 1, .threads = 2, .seed = 1 };
    static struct worker workers[BENCH_THREADS_MAX];
    uint64_t replacements;

    bench_options(&bench, argc, argv, "", "");
    replacements = bench_scaled(&bench, REPLACEMENTS);
    for (unsigned i = 0; i < bench.threads; i++)
        workers[i] = (struct worker){ rng_start(bench.seed, i), replacements };

    bench_begin(&bench);
    bench_run_threads(bench.threads, run, workers, sizeof workers[0]);
    bench_end(&bench, replacements * bench.threads);
    return 0;
}
