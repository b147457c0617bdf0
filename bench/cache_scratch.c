/*
 * Passive false sharing: main allocates small objects, which lie side by side, and deals them out
 * to the threads, which free them. Does the allocator hand these pieces of one cache line out
 * again to the threads that freed them? Then the threads share cache lines for good.
 */
#include "false_sharing.h"

int main(int argc, char **argv)
{
    struct bench bench = { .name = "cache_scratch", .scale = 1, .threads = 2, .seed = 1 };
    static struct sharing_worker workers[BENCH_THREADS_MAX];
    uint64_t rounds;

    bench_options(&bench, argc, argv, "", "");
    rounds = bench_scaled(&bench, SHARING_ROUNDS);
    for (unsigned i = 0; i < bench.threads; i++)
        workers[i].rounds = rounds;
    for (unsigned object = 0; object < SHARING_OBJECTS; object++)
        for (unsigned i = 0; i < bench.threads; i++)
            sharing_allocate(&workers[i], object);

    bench_begin(&bench);
    bench_run_threads(bench.threads, sharing_run, workers, sizeof workers[0]);
    bench_end(&bench, rounds * SHARING_OBJECTS * bench.threads);
    return 0;
}
