/*
 * Phases of threads that build and take apart small object graphs, grow their payloads with
 * realloc, and swap graphs through a table that all threads share. The threads of a phase end
 * with it; what they leave in the table is freed by threads of later phases.
 */
#include <stdatomic.h>

#include "bench.h"

enum {
    PHASES = 40,
    STEPS_PER_PHASE = 25000,
    KEPT_GRAPHS = 1000, /* of each thread */
    SHARED_GRAPHS = 1024,
    GRAPH_NODES_MAX = 8,
    PAYLOAD_SHIFT_MIN = 4, /* payloads of 16 bytes to 1 KB, and one of 64 up to 64 KB */
    PAYLOAD_SHIFT_MAX = 9,
    PAYLOAD_SHIFT_RARE = 15,
};

/* A graph is its newest node; every link leads to an older node of the same graph. */
struct node {
    struct node *next;
    struct node *other;
    uint32_t other_tag; /* what other's payload is tagged with */
    struct block payload;
};

struct worker {
    struct rng rng;
    uint64_t steps;
    uint64_t nodes_made;
    uint64_t nodes_freed;
    struct node *kept[KEPT_GRAPHS];
};

static _Atomic(struct node *) shared[SHARED_GRAPHS];

static uint32_t payload_size(struct rng *rng)
{
    uint32_t shift = rng_below(rng, 64) == 0
        ? PAYLOAD_SHIFT_RARE
        : rng_between(rng, PAYLOAD_SHIFT_MIN, PAYLOAD_SHIFT_MAX);

    return rng_between(rng, 1u << shift, 2u << shift);
}

static struct node *random_node(struct node *graph, struct rng *rng)
{
    for (uint32_t hops = rng_below(rng, GRAPH_NODES_MAX); hops > 0 && graph->next; hops--)
        graph = graph->next;
    return graph;
}

static struct node *node_new(struct node *graph, struct rng *rng)
{
    struct node *node = malloc(sizeof *node);

    if (!node)
        bench_fail("malloc(%zu) returned NULL", sizeof *node);
    node->next = graph;
    node->other = graph ? random_node(graph, rng) : NULL;
    node->other_tag = node->other ? node->other->payload.tag : 0;
    node->payload = block_new(payload_size(rng), (uint32_t)rng_next(rng));
    return node;
}

static struct node *graph_new(struct worker *worker)
{
    uint32_t nodes = rng_between(&worker->rng, 1, GRAPH_NODES_MAX);
    struct node *graph = NULL;

    for (uint32_t i = 0; i < nodes; i++)
        graph = node_new(graph, &worker->rng);
    worker->nodes_made += nodes;
    return graph;
}

/* Newest first, so that a node's older neighbours still live. Returns the number of nodes. */
static uint64_t graph_free(struct node *graph)
{
    uint64_t nodes = 0;

    for (struct node *next; graph; graph = next, nodes++) {
        next = graph->next;
        if (graph->other && graph->other->payload.tag != graph->other_tag)
            bench_fail("node %p was overwritten", (void *)graph->other);
        block_free(&graph->payload);
        free(graph);
    }
    return nodes;
}

/* Leaves a graph in the shared table and returns the one that was there, or NULL. */
static struct node *swap_shared(struct node *graph, struct rng *rng)
{
    return atomic_exchange(&shared[rng_below(rng, SHARED_GRAPHS)], graph);
}

static void step(struct worker *worker)
{
    struct node **graph = &worker->kept[rng_below(&worker->rng, KEPT_GRAPHS)];
    uint32_t choice = rng_below(&worker->rng, 8);

    if (!*graph) {
        *graph = graph_new(worker);
    } else if (choice < 5) {
        worker->nodes_freed += graph_free(*graph);
        *graph = NULL;
    } else if (choice < 7) {
        *graph = swap_shared(*graph, &worker->rng);
    } else {
        block_resize(&random_node(*graph, &worker->rng)->payload, payload_size(&worker->rng));
    }
}

static void *run_phase(void *argument)
{
    struct worker *worker = argument;

    for (uint64_t i = 0; i < worker->steps; i++)
        step(worker);
    for (unsigned i = 0; i < KEPT_GRAPHS; i++) {
        struct node *left = worker->kept[i];

        if (left && i % 2 == 0)
            left = swap_shared(left, &worker->rng);
        worker->nodes_freed += graph_free(left);
        worker->kept[i] = NULL;
    }
    return NULL;
}

static uint64_t shared_free_all(void)
{
    uint64_t nodes = 0;

    for (unsigned i = 0; i < SHARED_GRAPHS; i++)
        nodes += graph_free(atomic_exchange(&shared[i], NULL));
    return nodes;
}

int main(int argc, char **argv)
{
    struct bench bench = { .name = "mstress", .scale = 1, .threads = 2, .seed = 1 };
    struct worker *workers;
    uint64_t steps, made = 0, freed = 0;

    bench_options(&bench, argc, argv, "", "");
    steps = bench_scaled(&bench, STEPS_PER_PHASE);
    workers = bench_calloc(bench.threads, sizeof *workers);
    for (unsigned i = 0; i < bench.threads; i++) {
        workers[i].rng = rng_start(bench.seed, i);
        workers[i].steps = steps;
    }

    bench_begin(&bench);
    for (unsigned phase = 0; phase < PHASES; phase++) {
        bench_run_threads(bench.threads, run_phase, workers, sizeof workers[0]);
        if (phase % 4 == 3)
            freed += shared_free_all();
    }
    for (unsigned i = 0; i < bench.threads; i++) {
        made += workers[i].nodes_made;
        freed += workers[i].nodes_freed;
    }
    if (made != freed)
        bench_fail("%llu nodes were made and %llu freed", (unsigned long long)made,
                   (unsigned long long)freed);
    bench_end(&bench, steps * PHASES * bench.threads);
    free(workers);
    return 0;
}
