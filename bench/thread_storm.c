/*
 * Threads are born in groups of 32 (-t), each allocates some blocks, frees all but one, and ends;
 * main frees the last. What a thread leaves behind must be used by the threads after it: the
 * program prints its resident memory after a tenth of the births and after all.
 */
#include "bench.h"

enum {
    BIRTHS = 20000, /* 100000 with -s 5 */
    GROUP = 32,
    BLOCKS = 64,
    BYTES_MIN = 16,
    BYTES_MAX = 1024,
};

struct worker {
    struct rng rng;
    struct block left; /* for main to free */
};

static void *live_once(void *argument)
{
    struct worker *worker = argument;
    struct block blocks[BLOCKS];

    for (unsigned i = 0; i < BLOCKS; i++)
        blocks[i] = block_new(rng_between(&worker->rng, BYTES_MIN, BYTES_MAX),
                              (uint32_t)rng_next(&worker->rng));
    for (unsigned i = 1; i < BLOCKS; i++)
        block_free(&blocks[i]);
    worker->left = blocks[0];
    return NULL;
}

static void run_group(struct worker *workers, unsigned count)
{
    bench_run_threads(count, live_once, workers, sizeof workers[0]);
    for (unsigned i = 0; i < count; i++)
        block_free(&workers[i].left);
}

/* Whole groups, at least one. */
static void run_births(struct worker *workers, unsigned group, uint64_t births)
{
    for (uint64_t born = 0; born < births; born += group)
        run_group(workers, group);
}

int main(int argc, char **argv)
{
    struct bench bench = { .name = "thread_storm", .scale = 1, .threads = GROUP, .seed = 1 };
    static struct worker workers[BENCH_THREADS_MAX];
    uint64_t births;
    long rss_tenth_kb;

    bench_options(&bench, argc, argv, "", "");
    births = bench_scaled(&bench, BIRTHS);
    for (unsigned i = 0; i < bench.threads; i++)
        workers[i].rng = rng_start(bench.seed, i);

    bench_begin(&bench);
    run_births(workers, bench.threads, births / 10);
    rss_tenth_kb = bench_rss_kb();
    run_births(workers, bench.threads, births - births / 10);
    printf("rss after a tenth of the births: %ld kB, after all: %ld kB\n", rss_tenth_kb,
           bench_rss_kb());
    bench_end(&bench, births);
    return 0;
}
