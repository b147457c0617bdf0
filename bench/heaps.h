/*
 * heaps - the ways to get memory that block_cost compares, behind one set of functions.
 *
 * Each thread gets a handle when it begins, and takes and gives through it. Every call goes through a
 * pointer of the table, so that all pay for one such call alike.
 *
 *     make              before there are threads
 *       attach            each thread, once
 *         take, give        over and over
 *         cleanup           one thread, while the others wait
 *       detach            each thread, once
 *     destroy           after all threads
 */
#ifndef VALLOC_BENCH_HEAPS_H
#define VALLOC_BENCH_HEAPS_H

#include <stdbool.h>
#include <stddef.h>

struct heap_plan {
    unsigned threads;
    unsigned blocks; /* that all of them will have at a time */
};

struct heap_kind {
    const char *name;
    const char *what; /* for the help */

    void (*make)(const struct heap_plan *plan);
    void *(*attach)(void);
    void *(*take)(void *handle, size_t size);             /* NULL if there is no memory */
    void (*give)(void *handle, void *block, size_t size); /* NULL: cleanup does that for all */
    void (*detach)(void *handle);
    void (*cleanup)(void); /* gives back to the system what it can */
    void (*destroy)(void);
};

/* The kind of this name, or NULL. */
const struct heap_kind *heap_kind_find(const char *name);

/* Lines of names and what they are. */
void heap_kinds_print(void);

#endif
