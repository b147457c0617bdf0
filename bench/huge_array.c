/*
 * One array of 1 GB, allocated and written throughout, once: what its memory costs in page faults
 * and time.
 *
 *   forward   from its start to its end, as programs do
 *   ends      of each 2 MB the last byte first: the kernel clears a huge page towards what was touched
 */
#include <sys/resource.h>

#include "bench/bench.h"
#include "bench/memory.h"

enum { ARRAY_MB = 1024, HUGE_PAGE = 2 << 20 };

static long minor_faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static void write_array(char *array, uint64_t bytes, bool ends)
{
    char *end = array + bytes, *next;

    for (char *at = array; at < end; at = next) {
        next = at + HUGE_PAGE - (uintptr_t)at % HUGE_PAGE;
        if (next > end)
            next = end;
        if (ends)
            *(volatile char *)(next - 1) = 1;
        memset(at, 1, (size_t)(next - at));
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {
        .name = "huge_array", .mode = "forward", .scale = 1, .threads = 1, .seed = 1};
    static char output[BUFSIZ];
    struct memory start, memory;

    bench_options(&bench, argc, argv, "m:", " [-m forward|ends]");
    bool ends = strcmp(bench.mode, "ends") == 0;
    if (!ends && strcmp(bench.mode, "forward") != 0)
        bench_usage(&bench, " [-m forward|ends]", 2);
    setvbuf(stdout, output, _IOFBF, sizeof output);
    uint64_t bytes = bench_scaled(&bench, (uint64_t)ARRAY_MB << 20);
    start = memory_now();

    bench_begin(&bench);
    double start_s = bench_now_s();
    long faults = minor_faults();
    char *array = malloc(bytes);
    if (!array)
        bench_fail("malloc(%llu) returned NULL", (unsigned long long)bytes);
    write_array(array, bytes, ends);
    bench_keep(array);
    faults = minor_faults() - faults;
    double write_s = bench_now_s() - start_s;

    memory = memory_since(&start);
    printf("array live_kb=%llu write_s=%.6f minor_faults=%ld", (unsigned long long)(bytes >> 10),
           write_s, faults);
    memory_print(&memory);
    printf("\n");
    free(array);
    bench_end(&bench, 1);
    return 0;
}
