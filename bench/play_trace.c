/*
 * Plays a trace of allocations, and prints live bytes and memory as it goes: a study of what
 * lasting change of sizes does to a heap. The trace is made (traces.c), or recorded from a program
 * (trace_file.h): -m file:PATH.
 */
#include "bench/bench.h"
#include "bench/ledger.h"
#include "bench/trace_file.h"
#include "bench/traces.h"

enum { LIVE_MB = 128 };

static const char usage[] =
    " [-m TRACE] [-d SECONDS]\n"
    "  -m TRACE    growth, phases, refill, redis, mesh, or file:PATH\n"
    "  -d SECONDS  spread over as long, for what an allocator does by the clock";

static void play(const struct bench *bench, struct ledger *ledger, uint64_t live_max)
{
    if (strncmp(bench->mode, "file:", 5) == 0)
        trace_file_play(bench->mode + 5, ledger);
    else if (!traces_play(bench->mode, ledger, bench->seed, live_max))
        bench_usage(bench, usage, 2);
}

int main(int argc, char **argv)
{
    static char output[BUFSIZ];
    struct bench bench = {
        .name = "play_trace", .mode = "growth", .scale = 1, .threads = 1, .seed = 1};
    struct ledger ledger;
    uint64_t live_max;

    bench_options(&bench, argc, argv, "m:d:", usage);
    setvbuf(stdout, output, _IOFBF, sizeof output);
    live_max = bench_scaled(&bench, (uint64_t)LIVE_MB << 20);
    ledger = ledger_count_first();
    play(&bench, &ledger, live_max);
    ledger_play_next(&ledger, bench.duration_s);
    bench_begin(&bench);
    play(&bench, &ledger, live_max);
    ledger_finish(&ledger);
    bench_end(&bench, ledger.operations);
    return 0;
}
