/*
 * world - what the tests of nodes, threads and objects share: a world with some nodes, and threads
 * that live on one of them.
 *
 * The library starts with its first call, in the world that begin_world or begin_bare_world makes.
 */
#ifndef VL_TESTS_WORLD_H
#define VL_TESTS_WORLD_H

#include "tests/api/support.h"
#include "tests/fake_os.h"

#include "cache/cache.h"

#include <pthread.h>

/* check notes each of its assertions in a file: too slow for inner loops, and not for threads. */
#define require(condition)                           \
    do {                                             \
        if (!(condition))                            \
            ck_abort_msg("expected %s", #condition); \
    } while (0)

/* Places twice: when they are first started, libnuma is asked for the distances of this machine. And where
 * a fixture has made another world before, the library has started in that one. */
static inline void start_here(void)
{
    ck_assert(vl_start());
    vl_place_start();
    vl_heap_start();
}

/* Nodes 0 .. nodes-1 of the false OS; the caller is on node 0. */
static inline void begin_world(unsigned nodes)
{
    unsigned ids[VL_NODE_INDEX_MAX];
    for (unsigned i = 0; i < nodes; i++)
        ids[i] = i;
    fake_os_install();
    fake_os_set_nodes(ids, nodes);
    start_here();
    ck_assert_uint_eq(vl_topology.count, nodes);
}

/* --- The true OS but for the nodes: it has no lock, so it hides no race, and a fork in the middle
 * of it does no harm --- */

static unsigned bare_nodes;
static _Thread_local unsigned bare_node_here;

static inline int bare_where(unsigned *cpu, unsigned *node)
{
    *cpu = 0;
    *node = bare_node_here;
    return 0;
}

static inline int bare_allowed_nodes(struct vl_node_mask *mask)
{
    mask->words[0] = (1ul << bare_nodes) - 1;
    return 0;
}

static inline int bare_bind(void *start, size_t size, unsigned node, bool move)
{
    (void)start;
    (void)size;
    (void)node;
    (void)move;
    return 0;
}

static inline int bare_spread(void *start, size_t size, const struct vl_node_mask *nodes,
                              enum vl_spread how)
{
    (void)start, (void)size, (void)nodes, (void)how;
    return 0;
}

static inline void begin_bare_world(unsigned nodes)
{
    static struct vl_os os;
    os = vl_os_linux;
    os.where = bare_where;
    os.allowed_nodes = bare_allowed_nodes;
    os.bind = bare_bind;
    os.spread = bare_spread;
    bare_nodes = nodes;
    vl_os = &os;
    start_here();
    ck_assert_uint_eq(vl_topology.count, nodes);
}

/* Where the calling thread is from now on, in either world. */
static inline void move_to(unsigned node)
{
    bare_node_here = node;
    fake_os_set_where(node, node);
}

/* --- Threads --- */

struct visit {
    unsigned node;
    void *(*body)(void *);
    void *argument;
};

static inline void *visit_node(void *visit_shared)
{
    struct visit *visit = visit_shared;
    move_to(visit->node);
    return visit->body(visit->argument);
}

/* Runs body(argument) in a thread born on `node`, to its end; gives what that returns. */
static inline void *run_on(unsigned node, void *(*body)(void *), void *argument)
{
    struct visit visit = {node, body, argument};
    pthread_t thread;
    void *result;
    ck_assert_int_eq(pthread_create(&thread, NULL, visit_node, &visit), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    return result;
}

enum { TOGETHER_MAX = 16 };

/* The same with `count` threads at a time, on nodes 0, 1, ... in turn; the argument of each is its
 * number. */
static inline void run_together(unsigned count, unsigned nodes, void *(*body)(void *))
{
    pthread_t threads[TOGETHER_MAX];
    struct visit visits[TOGETHER_MAX];
    ck_assert_uint_le(count, TOGETHER_MAX);
    for (uintptr_t i = 0; i < count; i++) {
        visits[i] = (struct visit){(unsigned)i % nodes, body, (void *)i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, visit_node, &visits[i]), 0);
    }
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

/* --- Blocks --- */

static inline unsigned node_of(const void *block)
{
    const struct vl_slice *slice = vl_slice_of(block);
    ck_assert_ptr_nonnull(slice);
    return slice->node;
}

static inline unsigned count_slices(enum vl_slice_kind kind)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++)
        count += vl_slices[i].kind == kind;
    return count;
}

static inline struct vl_stats stats_now(void)
{
    struct vl_stats stats;
    vl_stats_take(&stats);
    return stats;
}

#endif
