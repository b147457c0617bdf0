/*
 * One thread only allocates, the other only frees what it is handed. A thread that never
 * allocates must not keep what it frees: the program prints its resident memory after each fifth
 * of the work. With -d it runs for so many seconds instead of a fixed number of blocks.
 */
#include <sched.h>
#include <stdatomic.h>

#include "bench.h"

enum {
    BLOCKS = 4000000,
    PARTS = 5,
    BYTES_MIN = 16,
    BYTES_MAX = 1024,
    RING_SLOTS = 4096,
    CLOCK_EVERY = 4096, /* blocks */
};

/*
 * A ring with one thread at each end. `put` and `taken` count all blocks ever; each is written
 * by one thread alone, and its release makes the slot's contents, or its emptiness, visible.
 */
static struct {
    struct block slots[RING_SLOTS];
    _Alignas(BENCH_CACHE_LINE) atomic_uint_fast64_t put;
    _Alignas(BENCH_CACHE_LINE) atomic_uint_fast64_t taken;
    _Alignas(BENCH_CACHE_LINE) atomic_bool closed;
} ring;

static void ring_put(struct block block, uint64_t index)
{
    while (index - atomic_load_explicit(&ring.taken, memory_order_acquire) == RING_SLOTS)
        sched_yield();
    ring.slots[index % RING_SLOTS] = block;
    atomic_store_explicit(&ring.put, index + 1, memory_order_release);
}

/* Frees whatever is in the ring until it is empty and closed. */
static void *free_all(void *unused)
{
    uint64_t taken = 0;

    (void)unused;
    for (;;) {
        /* Closed before put: nothing is put in after the ring is closed. */
        int closed = atomic_load(&ring.closed);
        uint64_t put = atomic_load_explicit(&ring.put, memory_order_acquire);

        if (taken == put && closed)
            return NULL;
        if (taken == put)
            sched_yield();
        for (; taken < put; taken++) {
            block_free(&ring.slots[taken % RING_SLOTS]);
            atomic_store_explicit(&ring.taken, taken + 1, memory_order_release);
        }
    }
}

/* Allocates one part of the work; returns the number of blocks ever allocated. */
static uint64_t allocate_part(const struct bench *bench, struct rng *rng, uint64_t index)
{
    double end_s = bench_now_s() + bench->duration_s / PARTS;
    uint64_t blocks = bench->duration_s > 0 ? UINT64_MAX : bench_scaled(bench, BLOCKS / PARTS);

    for (uint64_t i = 0; i < blocks; i++, index++) {
        if (bench->duration_s > 0 && i % CLOCK_EVERY == 0 && bench_now_s() >= end_s)
            break;
        ring_put(block_new(rng_between(rng, BYTES_MIN, BYTES_MAX), (uint32_t)rng_next(rng)), index);
    }
    return index;
}

int main(int argc, char **argv)
{
    struct bench bench = { .name = "free_only", .scale = 1, .threads = 2, .seed = 1 };
    struct rng rng;
    pthread_t freer;
    uint64_t blocks = 0;
    long rss_kb[PARTS];

    bench_options(&bench, argc, argv, "d:", " [-d SECONDS]");
    bench.threads = 2;
    rng = rng_start(bench.seed, 0);

    bench_begin(&bench);
    freer = bench_thread_start(free_all, NULL);
    for (unsigned part = 0; part < PARTS; part++) {
        blocks = allocate_part(&bench, &rng, blocks);
        rss_kb[part] = bench_rss_kb();
    }
    atomic_store(&ring.closed, 1);
    pthread_join(freer, NULL);
    printf("rss after each fifth: %ld %ld %ld %ld %ld kB\n", rss_kb[0], rss_kb[1], rss_kb[2],
           rss_kb[3], rss_kb[4]);
    bench_end(&bench, blocks);
    return 0;
}
