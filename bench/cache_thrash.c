/*
 * Active false sharing: does the allocator give parts of one cache line to several threads that
 * each ask for small objects of their own?
 */
#include "false_sharing.h"

int main(int argc, char **argv)
{
    struct bench bench = { .name = "cache_thrash", .scale = 1, .threads = 2, .seed = 1 };
    static struct sharing_worker workers[BENCH_THREADS_MAX];
    uint64_t rounds;

    bench_options(&bench, argc, argv, "", "");
    rounds = bench_scaled(&bench, SHARING_ROUNDS);
    for (unsigned i = 0; i < bench.threads; i++)
        workers[i].rounds = rounds;

    bench_begin(&bench);
    bench_run_threads(bench.threads, sharing_run, workers, sizeof workers[0]);
    bench_end(&bench, rounds * SHARING_OBJECTS * bench.threads);
    return 0;
}
