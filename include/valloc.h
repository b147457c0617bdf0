/*
 * valloc - a memory allocator for HPC.
 *
 * Preload or link the library and malloc, free, new, delete and their relatives are valloc's; no
 * header is needed for that. This one is what valloc offers beyond them. See valloc(7).
 */
#ifndef VALLOC_H
#define VALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "valloc_version.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* Version of the library in use, like VALLOC_VERSION of the header: "0.1.0". */
const char *valloc_version(void);

/*
 * What the heap holds, in bytes where the name does not say otherwise. Taken without stopping any
 * thread: exact when others are quiet, a moment's approximation when they are not.
 */
struct valloc_stat {
    uint64_t used;            /* in use by the program; the sum of the next three */
    uint64_t used_small;      /*   blocks up to 256 KB */
    uint64_t used_runs;       /*   blocks up to 1 MB */
    uint64_t used_big;        /*   blocks from 1 MB */
    uint64_t small_count;     /* number of small blocks in use */
    uint64_t big_count;       /* number of big blocks in use */
    uint64_t free_cached;     /* free, in caches of threads and between threads */
    uint64_t free_spans;      /* free, among small blocks in use */
    uint64_t free_regions;    /* free, whole regions that hold memory */
    uint64_t free_big;        /* free, former big blocks that hold memory */
    uint64_t returned;        /* given back to the system so far */
    uint64_t heap;            /* address space that can be written */
    uint32_t nodes;           /* heaps, one per NUMA node in use */
    uint32_t thread_caches;   /* made so far; those of threads that are gone are used again */
    uint64_t hugetlb;         /* with VALLOC_HUGEPAGE=hugetlb: of the kernel's pool */
    uint64_t fallbacks;       /* regions and big blocks so far that the pool had no pages for */
};

void valloc_get_stat(struct valloc_stat *stat);

/* The same and the resident memory for people, in a few lines to a file descriptor. */
void valloc_print_stat(int fd);

/*
 * Questions about any pointer, ours or not, in use or not. They take no lock that a thread could be
 * stopped with for long, and may be asked while others free. Not in signal handlers: the first
 * question loads a library (liburcu).
 *
 * valloc_owns         1 if it points into the heap, in use or free; 0 if not
 * valloc_usable_size  bytes of the block that begins there, 0 if none does; a block that was freed
 *                     lately may still count
 * valloc_node_of      number of the NUMA node that holds the memory there; -1 if it is not of the
 *                     heap or was never touched
 */
int valloc_owns(const void *pointer);
size_t valloc_usable_size(const void *pointer);
int valloc_node_of(const void *pointer);

/* A piece of the heap: 2 MB for small blocks and runs of pages, or one big block. */
struct valloc_region {
    const void *start;
    size_t size;
    size_t used;   /* bytes that are given out, to the program or to caches */
    int big;       /* 1: a big block */
    int resident;  /* 1: it holds memory, as far as valloc knows */
    int node;      /* the NUMA node it prefers; -1: none */
};

/*
 * Calls a function for each region of the heap, or for each block in use, until one returns something
 * other than 0, and returns that. Nobody is stopped meanwhile: what is there all the time is visited
 * once, what comes or goes may be or not. The function may use the heap. -1 if there is no memory.
 */
int valloc_regions(int (*visit)(const struct valloc_region *region, void *argument),
                   void *argument);
int valloc_walk(int (*visit)(void *block, size_t size, void *argument), void *argument);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
