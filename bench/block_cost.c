/*
 * What blocks of one size cost, to allocate, to free and to give back to the system.
 *
 * Each thread allocates its blocks and writes the first word of each (or all of it, -f), then it
 * frees them in the order in which it got them, then one thread cleans up while the others wait.
 * Between these phases all meet at a barrier, and there what is not measured is done: the blocks
 * are looked at whether they still hold what was written, memory is counted. This is an iteration.
 *
 * A thread's time of a phase is from its own first block to its own last, so that the time in which
 * it wakes from the barrier is not in it; the time in which another thread has its processor is.
 * What is printed of an iteration is the mean of the threads, by block:
 *
 *   block_cost heap=malloc size=64 threads=4 blocks=1000 iteration=1 alloc_ns=61.5 free_ns=24.1
 *       alloc_cpu_ns=60.2 free_cpu_ns=24.0 cleanup_ns=7.1 alloc_faults=81 free_faults=0
 *       rss_kb=1844 rss_after_kb=1908                                           (in one line)
 *
 * `cpu` is the time in which the thread ran; `cleanup_ns` is by block as well; page faults are those
 * of all threads together; `rss_kb` is resident memory while all blocks are in use, `rss_after_kb`
 * that after the cleanup.
 */
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "bench/bench.h"
#include "bench/heaps.h"

enum {
    ITERATIONS_MAX = 1000,
    BLOCKS_MAX = 10000000,
    SIZE_MAX_MB = 1024,
};

struct plan {
    const struct heap_kind *kind;
    size_t size;
    unsigned threads, blocks, iterations;
    bool fill; /* write all of a block, not only its first word */
    bool keep; /* no cleanup but after the last iteration */
};

/* One thread in one phase. */
struct phase {
    double wall_s, cpu_s;
    long faults;
};

struct times {
    struct phase alloc, release;
};

/* What one thread, the first, measures for all. */
struct shared_times {
    double cleanup_s;
    long rss_kb, rss_after_kb;
};

struct worker {
    unsigned number;
    uint64_t **blocks;
    struct times *times; /* by iteration */
} __attribute__((aligned(BENCH_CACHE_LINE)));

static struct plan plan = {.size = 64, .threads = 4, .blocks = 1000, .iterations = 5};
static struct shared_times *shared;
static pthread_barrier_t barrier;

/* ---- one phase of one thread -------------------------------------------------------------- */

static double cpu_now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static long faults_now(void)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
}

/* The wall clock is read inside of the others, which are system calls. */
static struct phase phase_begin(void)
{
    struct phase begin = {.faults = faults_now(), .cpu_s = cpu_now_s()};

    begin.wall_s = bench_now_s();
    return begin;
}

static struct phase phase_end(const struct phase *begin)
{
    double wall_s = bench_now_s() - begin->wall_s;

    return (struct phase){wall_s, cpu_now_s() - begin->cpu_s, faults_now() - begin->faults};
}

static void phase_add(struct phase *sum, const struct phase *phase)
{
    sum->wall_s += phase->wall_s;
    sum->cpu_s += phase->cpu_s;
    sum->faults += phase->faults;
}

/* A value that no other block has. */
static uint64_t tag_of(const struct worker *worker, unsigned index)
{
    return (uint64_t)worker->number << 32 | index;
}

static struct phase allocate_all(const struct worker *worker, void *handle)
{
    const struct heap_kind *kind = plan.kind;
    size_t size = plan.size;
    struct phase begin = phase_begin();

    for (unsigned i = 0; i < plan.blocks; i++) {
        uint64_t *block = kind->take(handle, size);

        if (!block)
            bench_fail("%s: no block of %zu bytes", kind->name, size);
        if (plan.fill)
            memset(block, (int)i, size);
        *block = tag_of(worker, i);
        worker->blocks[i] = block;
    }
    return phase_end(&begin);
}

static void check_all(const struct worker *worker)
{
    for (unsigned i = 0; i < plan.blocks; i++)
        if (*worker->blocks[i] != tag_of(worker, i))
            bench_fail("%s: block %p was overwritten", plan.kind->name, (void *)worker->blocks[i]);
}

static struct phase free_all(const struct worker *worker, void *handle)
{
    const struct heap_kind *kind = plan.kind;
    size_t size = plan.size;
    struct phase begin = phase_begin();

    if (kind->give)
        for (unsigned i = 0; i < plan.blocks; i++)
            kind->give(handle, worker->blocks[i], size);
    return phase_end(&begin);
}

/* ---- an iteration ------------------------------------------------------------------------- */

/* Where blocks are not freed one by one, memory cannot be kept, either. */
static void clean_up(unsigned iteration)
{
    if (plan.keep && plan.kind->give && iteration + 1 < plan.iterations)
        return;
    double begin_s = bench_now_s();

    plan.kind->cleanup();
    shared[iteration].cleanup_s = bench_now_s() - begin_s;
    shared[iteration].rss_after_kb = bench_rss_kb();
}

static void iterate(const struct worker *worker, void *handle, unsigned iteration)
{
    struct times *times = &worker->times[iteration];

    pthread_barrier_wait(&barrier);
    times->alloc = allocate_all(worker, handle);
    check_all(worker);
    pthread_barrier_wait(&barrier);
    if (worker->number == 0)
        shared[iteration].rss_kb = bench_rss_kb();
    pthread_barrier_wait(&barrier);
    times->release = free_all(worker, handle);
    pthread_barrier_wait(&barrier);
    if (worker->number == 0)
        clean_up(iteration);
}

static void *run_worker(void *argument)
{
    const struct worker *worker = argument;
    void *handle = plan.kind->attach();

    for (unsigned i = 0; i < plan.iterations; i++)
        iterate(worker, handle, i);
    plan.kind->detach(handle);
    return NULL;
}

/* ---- the result --------------------------------------------------------------------------- */

static void print_iteration(const struct worker *workers, unsigned iteration)
{
    const struct shared_times *of_all = &shared[iteration];
    double each = 1e9 / ((double)plan.blocks * plan.threads); /* seconds of all to ns of a block */
    struct times sum = {0};

    for (unsigned i = 0; i < plan.threads; i++) {
        const struct times *times = &workers[i].times[iteration];

        phase_add(&sum.alloc, &times->alloc);
        phase_add(&sum.release, &times->release);
    }
    printf("block_cost heap=%s size=%zu threads=%u blocks=%u iteration=%u alloc_ns=%.2f "
           "free_ns=%.2f alloc_cpu_ns=%.2f free_cpu_ns=%.2f cleanup_ns=%.2f "
           "alloc_faults=%ld free_faults=%ld rss_kb=%ld rss_after_kb=%ld\n",
           plan.kind->name, plan.size, plan.threads, plan.blocks, iteration + 1,
           sum.alloc.wall_s * each, sum.release.wall_s * each, sum.alloc.cpu_s * each,
           sum.release.cpu_s * each, of_all->cleanup_s * each, sum.alloc.faults, sum.release.faults,
           of_all->rss_kb, of_all->rss_after_kb);
}

/* ---- options ------------------------------------------------------------------------------ */

static _Noreturn void usage(int status)
{
    FILE *out = status ? stderr : stdout;

    fprintf(out,
            "usage: block_cost [-a HEAP] [-s BYTES] [-t THREADS] [-n BLOCKS] [-i COUNT] [-fk]\n"
            "  -a HEAP    where blocks come from, see below (malloc)\n"
            "  -s BYTES   size of a block, 8 or more (%zu)\n"
            "  -t THREADS number of threads (%u)\n"
            "  -n BLOCKS  blocks of each thread (%u)\n"
            "  -i COUNT   number of iterations (%u)\n"
            "  -f         write all of each block, not only its first word\n"
            "  -k         keep memory from one iteration to the next: one cleanup, at the end\n",
            plan.size, plan.threads, plan.blocks, plan.iterations);
    if (status == 0)
        heap_kinds_print();
    exit(status);
}

static unsigned long number(const char *text, unsigned long min, unsigned long max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "block_cost: '%s' is not a number from %lu to %lu\n", text, min, max);
        usage(2);
    }
    return value;
}

static void read_options(int argc, char **argv)
{
    const char *name = "malloc";
    int option;

    while ((option = getopt(argc, argv, "a:s:t:n:i:fkh")) != -1) {
        switch (option) {
        case 'a':
            name = optarg;
            break;
        case 's':
            plan.size = number(optarg, sizeof(uint64_t), (size_t)SIZE_MAX_MB << 20);
            break;
        case 't':
            plan.threads = (unsigned)number(optarg, 1, BENCH_THREADS_MAX);
            break;
        case 'n':
            plan.blocks = (unsigned)number(optarg, 1, BLOCKS_MAX);
            break;
        case 'i':
            plan.iterations = (unsigned)number(optarg, 1, ITERATIONS_MAX);
            break;
        case 'f':
            plan.fill = true;
            break;
        case 'k':
            plan.keep = true;
            break;
        case 'h':
            usage(0);
        default:
            usage(2);
        }
    }
    plan.kind = heap_kind_find(name);
    if (optind != argc || !plan.kind)
        usage(2);
}

/* Its own tables are mapped, and touched before the first iteration. */
static void *table_new(size_t count, size_t size)
{
    void *table = mmap(NULL, count * size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (table == MAP_FAILED)
        bench_fail("no memory for %zu times %zu bytes", count, size);
    return table;
}

int main(int argc, char **argv)
{
    static struct worker workers[BENCH_THREADS_MAX];

    read_options(argc, argv);
    shared = table_new(plan.iterations, sizeof *shared);
    for (unsigned i = 0; i < plan.threads; i++)
        workers[i] = (struct worker){i, table_new(plan.blocks, sizeof(uint64_t *)),
                                     table_new(plan.iterations, sizeof(struct times))};
    pthread_barrier_init(&barrier, NULL, plan.threads);

    plan.kind->make(&(struct heap_plan){plan.threads, plan.threads * plan.blocks});
    bench_run_threads(plan.threads, run_worker, workers, sizeof workers[0]);
    plan.kind->destroy();
    for (unsigned i = 0; i < plan.iterations; i++)
        print_iteration(workers, i);
    return 0;
}
