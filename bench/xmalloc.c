/*
 * Producers and consumers: one half of the threads allocates batches of blocks, the other half
 * frees them. Every block changes its thread, always in the same direction, so that an allocator
 * that keeps freed blocks with the thread that freed them grows and grows.
 */
#include "bench.h"

enum {
    BATCH_BLOCKS = 512,
    QUEUE_BATCHES = 16,
    BYTES_MIN = 16,
    BYTES_MAX = 512,
    BATCHES = 20000, /* of each producer */
};

/* The batch is itself a block that the consumer frees. */
struct batch {
    struct block blocks[BATCH_BLOCKS];
};

/* A bounded queue between all producers and all consumers, under one lock. */
static struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    pthread_cond_t not_full;
    struct batch *batches[QUEUE_BATCHES];
    unsigned first;
    unsigned count;
    unsigned producers; /* that will still put something in */
} queue = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .not_empty = PTHREAD_COND_INITIALIZER,
    .not_full = PTHREAD_COND_INITIALIZER,
};

struct worker {
    void *(*run)(void *);
    struct rng rng;
    uint64_t batches;
};

static void queue_put(struct batch *batch)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.count == QUEUE_BATCHES)
        pthread_cond_wait(&queue.not_full, &queue.lock);
    queue.batches[(queue.first + queue.count++) % QUEUE_BATCHES] = batch;
    pthread_cond_signal(&queue.not_empty);
    pthread_mutex_unlock(&queue.lock);
}

/* NULL when the queue is empty and no producer is left. */
static struct batch *queue_take(void)
{
    struct batch *batch = NULL;

    pthread_mutex_lock(&queue.lock);
    while (queue.count == 0 && queue.producers > 0)
        pthread_cond_wait(&queue.not_empty, &queue.lock);
    if (queue.count > 0) {
        batch = queue.batches[queue.first];
        queue.first = (queue.first + 1) % QUEUE_BATCHES;
        queue.count--;
        pthread_cond_signal(&queue.not_full);
    }
    pthread_mutex_unlock(&queue.lock);
    return batch;
}

static void queue_producer_done(void)
{
    pthread_mutex_lock(&queue.lock);
    queue.producers--;
    pthread_cond_broadcast(&queue.not_empty);
    pthread_mutex_unlock(&queue.lock);
}

static void *produce(void *argument)
{
    struct worker *worker = argument;

    for (uint64_t i = 0; i < worker->batches; i++) {
        struct batch *batch = malloc(sizeof *batch);

        if (!batch)
            bench_fail("malloc(%zu) returned NULL", sizeof *batch);
        for (unsigned j = 0; j < BATCH_BLOCKS; j++)
            batch->blocks[j] = block_new(rng_between(&worker->rng, BYTES_MIN, BYTES_MAX),
                                         (uint32_t)rng_next(&worker->rng));
        queue_put(batch);
    }
    queue_producer_done();
    return NULL;
}

static void *consume(void *argument)
{
    struct worker *worker = argument;
    struct batch *batch;

    while ((batch = queue_take()) != NULL) {
        for (unsigned i = 0; i < BATCH_BLOCKS; i++)
            block_free(&batch->blocks[i]);
        free(batch);
        worker->batches++;
    }
    return NULL;
}

static void *run_worker(void *argument)
{
    struct worker *worker = argument;

    return worker->run(worker);
}

int main(int argc, char **argv)
{
    struct bench bench = { .name = "xmalloc", .scale = 1, .threads = 2, .seed = 1 };
    static struct worker workers[BENCH_THREADS_MAX];
    uint64_t batches_each, consumed = 0;

    bench_options(&bench, argc, argv, "", "");
    if (bench.threads < 2)
        bench.threads = 2; /* one of each */
    batches_each = bench_scaled(&bench, BATCHES);
    queue.producers = bench.threads / 2;
    for (unsigned i = 0; i < bench.threads; i++)
        workers[i] = i < queue.producers
            ? (struct worker){ produce, rng_start(bench.seed, i), batches_each }
            : (struct worker){ .run = consume };

    bench_begin(&bench);
    bench_run_threads(bench.threads, run_worker, workers, sizeof workers[0]);
    for (unsigned i = bench.threads / 2; i < bench.threads; i++)
        consumed += workers[i].batches;
    if (consumed != batches_each * (bench.threads / 2))
        bench_fail("%llu batches were consumed", (unsigned long long)consumed);
    bench_end(&bench, consumed * BATCH_BLOCKS);
    return 0;
}
