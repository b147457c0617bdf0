/*
 * A server after Larson and Krishnan: each thread serves from its own table of blocks of random
 * sizes, replacing a random one with each request. After some rounds it hands the table over to
 * a thread that it starts, and ends; so most blocks are freed by another thread than allocated
 * them, and that thread may be gone.
 */
#include "bench.h"

enum {
    SLOTS = 1000,
    BYTES_MIN = 16,
    BYTES_MAX = 1000,
    GENERATIONS = 100,
    REQUESTS_PER_GENERATION = 60000,
};

struct server {
    struct block slots[SLOTS];
    struct rng rng;
    uint64_t requests; /* of one generation */
    unsigned generations_left;
};

/* How many chains of threads still run; main waits for the last. */
static pthread_mutex_t running_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t running_none = PTHREAD_COND_INITIALIZER;
static unsigned running;

static void chain_ended(void)
{
    pthread_mutex_lock(&running_lock);
    if (--running == 0)
        pthread_cond_signal(&running_none);
    pthread_mutex_unlock(&running_lock);
}

static void wait_for_all_chains(void)
{
    pthread_mutex_lock(&running_lock);
    while (running > 0)
        pthread_cond_wait(&running_none, &running_lock);
    pthread_mutex_unlock(&running_lock);
}

static struct block random_block(struct rng *rng)
{
    uint32_t size = rng_between(rng, BYTES_MIN, BYTES_MAX);

    return block_new(size, (uint32_t)rng_next(rng));
}

static void *serve(void *argument)
{
    struct server *server = argument;

    for (uint64_t i = 0; i < server->requests; i++) {
        struct block *slot = &server->slots[rng_below(&server->rng, SLOTS)];

        block_free(slot);
        *slot = random_block(&server->rng);
    }
    if (--server->generations_left > 0)
        pthread_detach(bench_thread_start(serve, server));
    else
        chain_ended();
    return NULL;
}

static struct server *server_new(const struct bench *bench, unsigned index)
{
    struct server *server = bench_calloc(1, sizeof *server);

    server->rng = rng_start(bench->seed, index);
    server->requests = bench_scaled(bench, REQUESTS_PER_GENERATION);
    server->generations_left = GENERATIONS;
    for (unsigned i = 0; i < SLOTS; i++)
        server->slots[i] = random_block(&server->rng);
    return server;
}

static void server_free(struct server *server)
{
    for (unsigned i = 0; i < SLOTS; i++)
        block_free(&server->slots[i]);
    free(server);
}

int main(int argc, char **argv)
{
    struct bench bench = { .name = "larson", .scale = 1, .threads = 2, .seed = 1 };
    static struct server *servers[BENCH_THREADS_MAX];
    uint64_t requests;

    bench_options(&bench, argc, argv, "", "");
    requests = bench_scaled(&bench, REQUESTS_PER_GENERATION) * GENERATIONS * bench.threads;

    bench_begin(&bench);
    for (unsigned i = 0; i < bench.threads; i++)
        servers[i] = server_new(&bench, i);
    running = bench.threads;
    for (unsigned i = 0; i < bench.threads; i++)
        pthread_detach(bench_thread_start(serve, servers[i]));
    wait_for_all_chains();
    printf("%.0f requests/s\n", (double)requests / (bench_now_s() - bench.start_s));
    for (unsigned i = 0; i < bench.threads; i++)
        server_free(servers[i]);
    bench_end(&bench, requests);
    return 0;
}
