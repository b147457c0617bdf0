/*
 * The common part of cache_scratch and cache_thrash, after Berger's two programs: each thread
 * writes into small objects of its own, over and over. That is fast unless objects of two threads
 * lie in one cache line, which then travels between their CPUs with the writes.
 */
#ifndef VALLOC_FALSE_SHARING_H
#define VALLOC_FALSE_SHARING_H

#include "bench.h"

enum {
    SHARING_BYTES = 8, /* eight such objects would fit into a cache line */
    SHARING_OBJECTS = 8, /* of each thread: one may have a cache line to itself by luck */
    SHARING_PASSES = 2500, /* over all objects of a thread, byte by byte */
    SHARING_ROUNDS = 6000,
};

struct sharing_worker {
    unsigned char *objects[SHARING_OBJECTS];
    uint64_t rounds;
};

static inline void sharing_allocate(struct sharing_worker *worker, unsigned object)
{
    worker->objects[object] = malloc(SHARING_BYTES);
    if (!worker->objects[object])
        bench_fail("malloc(%d) returned NULL", SHARING_BYTES);
    memset(worker->objects[object], 0, SHARING_BYTES);
}

static inline void sharing_write(struct sharing_worker *worker)
{
    for (unsigned pass = 0; pass < SHARING_PASSES; pass++)
        for (unsigned i = 0; i < SHARING_OBJECTS; i++)
            for (unsigned byte = 0; byte < SHARING_BYTES; byte++)
                ((volatile unsigned char *)worker->objects[i])[byte]++;
}

/* Also checks that no other thread has written into them. */
static inline void sharing_free(struct sharing_worker *worker)
{
    for (unsigned i = 0; i < SHARING_OBJECTS; i++) {
        for (unsigned byte = 0; byte < SHARING_BYTES; byte++)
            if (worker->objects[i][byte] != (unsigned char)SHARING_PASSES)
                bench_fail("object %p was overwritten", (void *)worker->objects[i]);
        free(worker->objects[i]);
        worker->objects[i] = NULL;
    }
}

/* The first round uses the objects that main has allocated, if it has. */
static inline void *sharing_run(void *argument)
{
    struct sharing_worker *worker = argument;

    for (uint64_t round = 0; round < worker->rounds; round++) {
        for (unsigned i = 0; i < SHARING_OBJECTS; i++)
            if (!worker->objects[i])
                sharing_allocate(worker, i);
        sharing_write(worker);
        sharing_free(worker);
    }
    return NULL;
}

#endif
