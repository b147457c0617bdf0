/*
 * Sizes and lifetimes by Pareto's law, as programs have them: most blocks are small and die
 * young, a few are large, a few live long, and neither says anything about the other. Time is
 * counted in allocations; a wheel of lists holds what is to die at each instant.
 */
#include "bench.h"

enum {
    ALLOCATIONS = 6000000, /* of each thread */
    BYTES_MIN = 32,
    BYTES_MAX = 256 << 10,
    LIFETIME_MIN = 128,
    LIFETIME_MAX = 1 << 18, /* the number of instants on the wheel */
};

/* The head of each block; its list runs through the blocks themselves. */
struct item {
    struct item *next;
    uint32_t size;
    uint32_t tag; /* also in the last word of the block */
};

_Static_assert(BYTES_MIN >= sizeof(struct item) + 2 * sizeof(uint32_t),
               "the smallest block must hold its head and its tag");

struct worker {
    struct rng rng;
    uint64_t allocations;
    uint64_t freed;
    struct item **wheel;
};

/* Shape 1: half as many blocks with each doubling of the size. */
static uint32_t random_size(struct rng *rng)
{
    double size = BYTES_MIN / rng_unit(rng);

    return size < BYTES_MAX ? (uint32_t)size : BYTES_MAX;
}

/* Shape 1/2: a longer tail, so that about 6000 blocks live at a time. */
static uint32_t random_lifetime(struct rng *rng)
{
    double unit = rng_unit(rng);
    double lifetime = LIFETIME_MIN / (unit * unit);

    return lifetime < LIFETIME_MAX ? (uint32_t)lifetime : LIFETIME_MAX - 1;
}

static uint32_t *item_last_word(struct item *item)
{
    return (uint32_t *)(void *)((char *)item + (item->size & ~3u) - sizeof(uint32_t));
}

static struct item *item_new(struct rng *rng)
{
    uint32_t size = random_size(rng);
    struct item *item = malloc(size);

    if (!item)
        bench_fail("malloc(%u) returned NULL", size);
    for (uint32_t offset = 0; offset < size; offset += BENCH_CACHE_LINE)
        *((volatile char *)item + offset) = 0;
    item->size = size;
    item->tag = (uint32_t)rng_next(rng);
    *item_last_word(item) = item->tag;
    return item;
}

static uint64_t list_free(struct item *item)
{
    uint64_t freed = 0;

    for (struct item *next; item; item = next, freed++) {
        next = item->next;
        if (item->size < BYTES_MIN || item->size > BYTES_MAX || *item_last_word(item) != item->tag)
            bench_fail("block %p was overwritten", (void *)item);
        free(item);
    }
    return freed;
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    struct item **wheel = worker->wheel = bench_calloc(LIFETIME_MAX, sizeof *wheel);

    for (uint64_t now = 0; now < worker->allocations; now++) {
        struct item **dying = &wheel[now % LIFETIME_MAX];
        struct item *item = item_new(&worker->rng);
        struct item **instant = &wheel[(now + random_lifetime(&worker->rng)) % LIFETIME_MAX];

        item->next = *instant;
        *instant = item;
        worker->freed += list_free(*dying);
        *dying = NULL;
    }
    for (uint32_t i = 0; i < LIFETIME_MAX; i++)
        worker->freed += list_free(wheel[i]);
    free(wheel);
    /* A block that was given out twice has cut a list short. */
    if (worker->freed != worker->allocations)
        bench_fail("%llu of %llu blocks were freed", (unsigned long long)worker->freed,
                   (unsigned long long)worker->allocations);
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench bench = { .name = "pareto", .scale = 1, .threads = 2, .seed = 1 };
    static struct worker workers[BENCH_THREADS_MAX];
    uint64_t allocations;

    bench_options(&bench, argc, argv, "", "");
    allocations = bench_scaled(&bench, ALLOCATIONS);
    for (unsigned i = 0; i < bench.threads; i++)
        workers[i] = (struct worker){ .rng = rng_start(bench.seed, i), .allocations = allocations };

    bench_begin(&bench);
    bench_run_threads(bench.threads, run, workers, sizeof workers[0]);
    bench_end(&bench, allocations * bench.threads);
    return 0;
}
