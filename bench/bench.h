/*
 * What every benchmark program shares: options, a clock, random numbers, blocks that are
 * checked when they are freed, threads, and the machine-readable last line.
 *
 * A program does a fixed amount of work, so that its wall time is the figure. It allocates
 * through libc's interface alone, so that any malloc can be preloaded. Nothing in this file
 * allocates: what is measured is the program's own pattern.
 */
#ifndef VALLOC_BENCH_H
#define VALLOC_BENCH_H

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BENCH_CACHE_LINE 64
#define BENCH_PAGE 4096
#define BENCH_THREADS_MAX 1024

/* ---- failing ------------------------------------------------------------------------------ */

/* The allocator broke its contract, or the system refused: say so and leave with an error. */
static inline _Noreturn void __attribute__((format(printf, 1, 2)))
bench_fail(const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "benchmark failed: %s\n", text);
    /* Not exit(): destructors may trip over the heap that was just found broken. */
    _exit(1);
}

/* ---- options ------------------------------------------------------------------------------ */

struct bench {
    const char *name;   /* the name in the result line */
    const char *mode;   /* one of the program's modes, NULL if it has none */
    double scale;       /* multiplies the amount of work */
    double duration_s;  /* run for this long instead of a fixed amount of work; 0: do not */
    uint64_t seed;
    unsigned threads;
    double start_s;
};

static inline _Noreturn void bench_usage(const struct bench *bench, const char *extra, int status)
{
    fprintf(status ? stderr : stdout,
            "usage: %s [-s SCALE] [-t THREADS] [-r SEED]%s\n"
            "  -s SCALE    amount of work, 1 is a second or less\n"
            "  -t THREADS  number of threads, here %u\n"
            "  -r SEED     seed of the random numbers\n",
            bench->name, extra, bench->threads);
    exit(status);
}

static inline double bench_number(const struct bench *bench, const char *extra, const char *text,
                                  double min, double max)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= min && value <= max)) {
        fprintf(stderr, "%s: '%s' is not a number from %g to %g\n", bench->name, text, min, max);
        bench_usage(bench, extra, 2);
    }
    return value;
}

/* Reads the common options; `extra_options` is a getopt string and `extra` their help. */
static inline void bench_options(struct bench *bench, int argc, char **argv,
                                 const char *extra_options, const char *extra)
{
    char accepted[32];
    int option;

    snprintf(accepted, sizeof accepted, "s:t:r:h%s", extra_options);
    while ((option = getopt(argc, argv, accepted)) != -1) {
        switch (option) {
        case 's': bench->scale = bench_number(bench, extra, optarg, 1e-6, 1e6); break;
        case 't': bench->threads = (unsigned)bench_number(bench, extra, optarg, 1,
                                                          BENCH_THREADS_MAX); break;
        case 'r': bench->seed = (uint64_t)bench_number(bench, extra, optarg, 0, 1e15); break;
        case 'd': bench->duration_s = bench_number(bench, extra, optarg, 0.1, 1e6); break;
        case 'm': bench->mode = optarg; break;
        case 'h': bench_usage(bench, extra, 0);
        default: bench_usage(bench, extra, 2);
        }
    }
    if (optind != argc)
        bench_usage(bench, extra, 2);
}

/* `count` times the scale, at least 1. */
static inline uint64_t bench_scaled(const struct bench *bench, uint64_t count)
{
    double scaled = (double)count * bench->scale;

    return scaled < 1 ? 1 : (uint64_t)scaled;
}

/* ---- clock and memory --------------------------------------------------------------------- */

static inline double bench_now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The beginning of a file as a string, read into the caller's memory, as stdio would allocate. */
static inline bool bench_read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t got = 0;

    while (fd >= 0 && length < size - 1 && (got = read(fd, text + length, size - 1 - length)) > 0)
        length += (size_t)got;
    if (fd >= 0)
        close(fd);
    text[length] = '\0';
    return fd >= 0 && got >= 0;
}

/* The number behind the first occurrence of a key, or -1. */
static inline long bench_number_after(const char *text, const char *key)
{
    const char *found = strstr(text, key);

    return found ? strtol(found + strlen(key), NULL, 10) : -1;
}

/* A figure in kB of /proc/self/status. */
static inline long bench_status_kb(const char *key)
{
    char text[4096];

    return bench_read_text("/proc/self/status", text, sizeof text) ? bench_number_after(text, key)
                                                                   : -1;
}

static inline long bench_rss_kb(void)
{
    return bench_status_kb("VmRSS:");
}

static inline long bench_rss_peak_kb(void)
{
    return bench_status_kb("VmHWM:");
}

/* ---- random numbers ----------------------------------------------------------------------- */

/* Marsaglia's xorshift with a multiplication behind it; the state is never zero. */
struct rng {
    uint64_t state;
};

/* One finaliser round that spreads a small number over all 64 bits. */
static inline uint64_t bench_mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}

/* Streams of one seed are independent: one for each thread. */
static inline struct rng rng_start(uint64_t seed, uint64_t stream)
{
    return (struct rng){ bench_mix(seed * 1000003 + stream + 1) | 1 };
}

static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t x = rng->state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    rng->state = x;
    return x * 0x2545f4914f6cdd1du;
}

/* Uniform in [0, bound). */
static inline uint32_t rng_below(struct rng *rng, uint32_t bound)
{
    return (uint32_t)(((rng_next(rng) >> 32) * bound) >> 32);
}

/* Uniform in [low, high]. */
static inline uint32_t rng_between(struct rng *rng, uint32_t low, uint32_t high)
{
    return low + rng_below(rng, high - low + 1);
}

/* From `low` to just below low * 2^octaves, with as many in each doubling. */
static inline uint32_t rng_octaves(struct rng *rng, uint32_t low, uint32_t octaves)
{
    uint32_t base = low << rng_below(rng, octaves);

    return base + rng_below(rng, base);
}

/* Uniform in (0, 1]: never zero, so that it can be divided by. */
static inline double rng_unit(struct rng *rng)
{
    return (double)((rng_next(rng) >> 11) + 1) * 0x1p-53;
}

/* ---- checked blocks ----------------------------------------------------------------------- */

/* The compiler must believe that someone looks at the block, or it drops malloc and free. */
static inline void bench_keep(const void *at)
{
    __asm__ volatile("" : : "r"(at) : "memory");
}

/*
 * A block that is written as a program would (each cache line once) and checked when it is
 * freed. The tag is kept outside the block as well: a block given out twice at a time, or
 * overlapped by another, has lost its tag by then.
 */
struct block {
    unsigned char *at;
    uint32_t size; /* at least BLOCK_SIZE_MIN */
    uint32_t tag;
};

#define BLOCK_SIZE_MIN 4

static inline uint32_t *block_last_word(const struct block *block)
{
    return (uint32_t *)(void *)(block->at + ((block->size & ~3u) - sizeof(uint32_t)));
}

/* One word of each `stride` bytes: of a cache line, or of a page, which is enough to have it. */
static inline void block_write_each(const struct block *block, uint32_t stride)
{
    for (uint64_t offset = 0; offset + sizeof(uint32_t) < block->size; offset += stride)
        *(uint32_t *)(void *)(block->at + offset) = block->tag;
    *block_last_word(block) = ~block->tag;
}

static inline void block_write(const struct block *block)
{
    block_write_each(block, BENCH_CACHE_LINE);
}

static inline void block_check(const struct block *block)
{
    uint32_t first = *(uint32_t *)(void *)block->at;

    if (*block_last_word(block) != ~block->tag || (block->size >= 8 && first != block->tag))
        bench_fail("block %p of %u bytes was overwritten", (void *)block->at, block->size);
}

static inline struct block block_new_each(uint32_t size, uint32_t tag, uint32_t stride)
{
    struct block block = { malloc(size), size, tag };

    if (!block.at)
        bench_fail("malloc(%u) returned NULL", size);
    if ((uintptr_t)block.at % _Alignof(max_align_t) != 0 && size >= _Alignof(max_align_t))
        bench_fail("malloc(%u) returned the misaligned %p", size, (void *)block.at);
    block_write_each(&block, stride);
    return block;
}

static inline struct block block_new(uint32_t size, uint32_t tag)
{
    return block_new_each(size, tag, BENCH_CACHE_LINE);
}

/* Does nothing with an empty block, like free(NULL); leaves the block empty. */
static inline void block_free(struct block *block)
{
    if (block->at)
        block_check(block);
    free(block->at);
    block->at = NULL;
}

/* realloc: what both sizes have in common must still be there. */
static inline void block_resize_each(struct block *block, uint32_t size, uint32_t stride)
{
    unsigned char *moved = realloc(block->at, size);

    if (!moved)
        bench_fail("realloc to %u bytes returned NULL", size);
    block->at = moved;
    if (size >= block->size)
        block_check(block);
    else if (size >= 8 && *(uint32_t *)(void *)moved != block->tag)
        bench_fail("realloc to %u bytes lost the contents", size);
    block->size = size;
    block_write_each(block, stride);
}

static inline void block_resize(struct block *block, uint32_t size)
{
    block_resize_each(block, size, BENCH_CACHE_LINE);
}

/* For the program's own tables: a NULL ends the benchmark. */
static inline void *bench_calloc(size_t count, size_t size)
{
    void *table = calloc(count, size);

    if (!table)
        bench_fail("calloc(%zu, %zu) returned NULL", count, size);
    return table;
}

/* A table outside the heap, of small pages that it has from the start: no figure of the heap's. */
static inline void *bench_table(size_t count, size_t size)
{
    size_t bytes = count * size;
    char *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (table == MAP_FAILED)
        bench_fail("no memory for a table of %zu bytes", bytes);
    madvise(table, bytes, MADV_NOHUGEPAGE);
    for (size_t offset = 0; offset < bytes; offset += BENCH_PAGE)
        *(volatile char *)(table + offset) = 0;
    return table;
}

/* ---- threads ------------------------------------------------------------------------------ */

/*
 * Small stacks, which libc keeps for the next thread. It would unmap most of the usual 8 MB ones,
 * and programs that start many threads would measure that.
 */
#define BENCH_STACK_BYTES (256 << 10)

static inline pthread_t bench_thread_start(void *(*body)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, BENCH_STACK_BYTES);
    error = pthread_create(&thread, &attributes, body, argument);
    pthread_attr_destroy(&attributes);
    if (error)
        bench_fail("pthread_create: %s", strerror(error));
    return thread;
}

/*
 * Runs `body` once per element of an array, each in its own thread, and waits for all. One
 * element runs in the caller: a single-threaded program is what it says.
 */
static inline void bench_run_threads(unsigned threads, void *(*body)(void *), void *elements,
                                     size_t element_size)
{
    pthread_t started[BENCH_THREADS_MAX];

    if (threads == 1) {
        body(elements);
        return;
    }
    for (unsigned i = 0; i < threads; i++)
        started[i] = bench_thread_start(body, (char *)elements + i * element_size);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
}

/* ---- the result --------------------------------------------------------------------------- */

static inline void bench_begin(struct bench *bench)
{
    bench->start_s = bench_now_s();
}

static inline void bench_end(const struct bench *bench, uint64_t ops)
{
    double seconds = bench_now_s() - bench->start_s;

    printf("result name=%s%s%s seconds=%.6f ops=%llu rss_kb=%ld\n", bench->name,
           bench->mode ? "-" : "", bench->mode ? bench->mode : "", seconds,
           (unsigned long long)ops, bench_rss_peak_kb());
}

#endif
