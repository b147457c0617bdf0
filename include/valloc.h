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

    /* Calls so far. The first five are 0, and `counts` is, in a process that does not count calls. */
    uint64_t nb_malloc;       /* what gave a fresh block: malloc, new, aligned_alloc, valloc_block ... */
    uint64_t nb_free;         /* what took one: free, delete, free_valloc, revalloc ... */
    uint64_t nb_realloc;
    uint64_t nb_calloc;
    uint64_t nb_recyclage;    /* of nb_free: the block is kept for the thread's next request */
    uint64_t nb_mmap;         /* of valloc itself, to the system */
    uint64_t nb_munmap;
    int counts;               /* 1: calls are counted */
};

void valloc_get_stat(struct valloc_stat *stat);

/*
 * Counts every call from now on, or no more; other threads follow when they next run out of something.
 * A program that calls valloc_print_counters or get_stat, which print the seven to standard output, counts
 * from its start; so does any under VALLOC_COUNT=1. Counting costs some 10 ns a call.
 */
void valloc_count_calls(int on);
void valloc_print_counters(void);

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

/*
 * Blocks whose pages are to lie somewhere else than where they are touched first. They are given to
 * free, realloc and all else like any other block.
 *
 * valloc_onnode       on a NUMA node, by the kernel's number; it may have no processors (HBM, CXL). NULL
 *                     with EINVAL if there is no such node, or it has no memory for this process
 * valloc_interleaved  spread evenly over all nodes that this process may use
 * valloc_local        on the node where the caller runs, whoever touches it
 *
 * From 1 MB on, all of a block lies there, and realloc keeps it there as long as it has 1 MB. Smaller
 * blocks come from the heap of that node; interleaved ones are ordinary ones. It is a wish: what the
 * node has no memory for comes from another; and on a machine with one node, or where the kernel refuses
 * such wishes, memory is ordinary. They are granted under numactl, too, within the cpuset.
 */
void *valloc_onnode(size_t size, int node);
void *valloc_interleaved(size_t size);
void *valloc_local(size_t size);

/*
 * Where the heap's memory lies, and what goes from node to node: valloc_numa_audit(3). Bytes that lie on a
 * node are what the kernel says of a sample of pages, of a small heap of all.
 */
struct valloc_numa_node {
    int node;                 /* the kernel's number; -1: one heap for all nodes */
    uint32_t threads;         /* whose home it is */
    uint64_t used;            /* bytes of its heap in use by the program, without big blocks */
    uint64_t held;            /* bytes of memory that its heap has, wherever they lie */
    uint64_t away;            /* of these, on other nodes: there was no room, or they were moved */
    int away_node;            /* where most of that lies; -1: on none, or on some without a heap */
    uint64_t here;            /* bytes on this node, of all heaps and big blocks */
    uint64_t here_big;        /* of these, in big blocks */
    uint64_t freed_elsewhere; /* number of its blocks freed so far by threads of other nodes */
    uint64_t freed_of_others; /* number of blocks of other nodes freed by its threads */
    uint64_t rehomed;         /* times that a thread of another node has come to live here */
    uint64_t fallbacks;       /* requests of its threads served by another node's heap */
};

/* Blocks of one node freed by threads of another, and in how many hand-overs. */
struct valloc_numa_flow {
    uint64_t blocks, batches;
};

enum valloc_numa_finding {
    VALLOC_NUMA_FINE,
    VALLOC_NUMA_AWAY,      /* memory of a node's heap lies on another */
    VALLOC_NUMA_FALLBACKS, /* a node's heap cannot grow, and its threads take from others */
    VALLOC_NUMA_MOVING,    /* threads move between nodes */
    VALLOC_NUMA_REMOTE,    /* many frees are of blocks of other nodes */
    VALLOC_NUMA_ONE_SIDED  /* big blocks lie on one node, threads run on others */
};

/* The first six are the caller's; pointers may be NULL. What the caller's sizes have no room for is not told; what
 * they have room for and this library does not know is 0. */
struct valloc_numa_audit {
    size_t size;                   /* of this struct, for later versions */
    size_t node_size;              /* of struct valloc_numa_node, likewise, */
    size_t flow_size;              /* and of struct valloc_numa_flow */
    unsigned node_max;             /* for so many nodes there is room */
    struct valloc_numa_node *node; /* at `node`, and for their square */
    struct valloc_numa_flow
        *flow; /* at `flow`: [i * node_max + k] is of blocks of node[k], freed on node[i] */

    unsigned node_count;  /* nodes that have a heap */
    int known;            /* 0: the kernel does not say where pages lie; members about that are 0 */
    uint64_t pages_asked; /* about which it was asked, */
    uint64_t pages_found; /* and that are in memory */
    uint64_t frees;       /* blocks freed so far that no thread kept for itself */
    uint64_t frees_remote; /* of these, by threads of another node */
    int finding;           /* the gravest, enum valloc_numa_finding */
    char advice[192];      /* in one line; "" if it is fine */
};

/* 0; -1 with EINVAL if a size has not even room for the first member to be told. */
int valloc_numa_audit(struct valloc_numa_audit *audit);

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

/*
 * Allocator objects: heaps of their own, beside the process's. What was taken from one is together in
 * memory, on one node if so wished, and goes back in one call. Any number of threads may use one at
 * the same time; none may while it is destroyed. A block of an object may also be given to free,
 * realloc and the like.
 *
 *     MemoryAllocator mesh;
 *     if (valloc_init(&mesh, 1000, 4) != 0) ...
 *     double *cell = valloc_block(&mesh, 1024);
 *     revalloc(&mesh, cell);          kept for quick reuse
 *     valloc_cleanup(&mesh);          gives back to the system what is not in use
 *     valloc_destroy(&mesh);          gives everything back, blocks in use included
 *
 * The struct is a name for the object, and may be copied. Functions given NULL, an object never
 * initialised or one that was destroyed return -1, NULL or 0 and do nothing. What cannot be right ends
 * the program with one line: to initialise an object that lives, to free a block that is another's,
 * that begins elsewhere, or that is free already (that is found when it is the thread's latest
 * few, or when it comes back to its span).
 */
typedef struct MemoryAllocator {
    uint64_t serial; /* these are valloc's own */
    uint64_t number;
} MemoryAllocator;

/* A thread's cache of an object's blocks; for that thread only. */
typedef struct ThreadCache ThreadCache;

/* Once limits, kept for source that names them. */
#define MAX_THREADS 64
#define MAX_CACHE_BLOCKS 64

/* 0, or -1 if there is no memory or an argument is negative. `initial_blocks`: address space for so
 * many small blocks is set aside. `num_threads`: a hint; 0: threads get no caches. */
int valloc_init(MemoryAllocator *allocator, int initial_blocks, int num_threads);

enum valloc_hugepages {
    VALLOC_HUGEPAGES_AUTO,   /* as VALLOC_HUGEPAGE says, once the object has grown */
    VALLOC_HUGEPAGES_NEVER,
    VALLOC_HUGEPAGES_ALWAYS, /* transparent ones, from the first byte */
    VALLOC_HUGEPAGES_POOL    /* of the kernel's pool; where that is short, as ALWAYS */
};

/* Zeroed but for `size`, this is what valloc_init takes. */
struct valloc_opts {
    size_t size;        /* of this struct, for later versions */
    int initial_blocks; /* these two as in valloc_init, but */
    int num_threads;    /* -1: no caches; 0: any number of threads */
    int node_plus_one;  /* NUMA node whose memory is preferred; 0: the one of the thread that asks */
    enum valloc_hugepages hugepages;
    size_t limit;       /* bytes of memory in blocks and caches; 0: none */
    const char *name;   /* for reports; up to 31 characters are kept */
};
int valloc_init_opts(MemoryAllocator *allocator, const struct valloc_opts *opts);

void *valloc_block(MemoryAllocator *allocator, size_t size);
void revalloc(MemoryAllocator *allocator, void *block);
void free_valloc(MemoryAllocator *allocator, void *block);
void valloc_destroy(MemoryAllocator *allocator);

/* Moves all memory of the object to a NUMA node, and takes what it takes later from there; others may use
 * it meanwhile. -1 if there is no such node, or the system refuses: then it may have moved in part. */
int valloc_migrate(MemoryAllocator *allocator, int node);

/*
 * Gives back what is not in use, and tells how many bytes of memory went to the system.
 *
 *     1    the calling thread's cache, and those of threads that are gone, go to the spans
 *     2    and what lies between threads; regions and big blocks that are free go to the system
 *     3    and address space of slices in which nothing is in use, once nobody looks at their tables
 *     4    and free pages among those in use: resident memory shrinks, but huge pages come apart
 *
 * valloc_cleanup is level 3. NULL, or valloc_default(): of the process's heap.
 */
void valloc_cleanup(MemoryAllocator *allocator);
size_t valloc_cleanup_level(MemoryAllocator *allocator, int level);

/* The process's heap, that malloc and free work on, as an object; it cannot be destroyed. */
MemoryAllocator *valloc_default(void);

/* One object for all who want memory in huge pages, of the kernel's pool where there is one: hp_malloc
 * of hp_allocator.h takes from it. NULL if there is no memory. */
MemoryAllocator *valloc_hugepages(void);

/* What an object holds; the figures of valloc_get_stat include it. -1 if it is none. */
struct valloc_object_stat {
    uint64_t used;      /* bytes of pages with blocks, in use or in caches; what `limit` bounds */
    uint64_t held;      /* bytes of its regions and big blocks */
    uint64_t limit;     /* 0: none */
    uint64_t big_count; /* number of big blocks */
    int node;           /* the NUMA node that it prefers; -1: those of the threads that ask */
    char name[32];
};
int valloc_get_object_stat(MemoryAllocator *allocator, struct valloc_object_stat *stat);

/* The same of valloc_hugepages(), for people, in two lines to standard output. */
void valloc_print_hugepages(void);

/* The calling thread's cache of an object, or NULL if it has none. A size to cache_free may be 0. */
ThreadCache *valloc_thread_cache(MemoryAllocator *allocator);
void *valloc_cache_allocate(ThreadCache *cache, size_t size);
void valloc_cache_free(ThreadCache *cache, void *block, size_t size);

/* Frees what valloc(size), malloc or another of the family gave. */
void valloc_free_sized(void *block, size_t size);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

/*
 * Names of valloc's forerunners. They are here and not in the library, where they would take the place
 * of functions of that name in any program that it is preloaded into. `valloc(size)` is libc's, which
 * maps whole pages as theirs did.
 */
static inline ThreadCache *get_thread_cache(MemoryAllocator *allocator)
{
    return valloc_thread_cache(allocator);
}

static inline void *cache_allocate(ThreadCache *cache, size_t size)
{
    return valloc_cache_allocate(cache, size);
}

static inline void cache_free(ThreadCache *cache, void *block, size_t size)
{
    valloc_cache_free(cache, block, size);
}

static inline void get_stat(void)
{
    valloc_print_counters();
}

static inline void vfree(void *block, size_t size)
{
    valloc_free_sized(block, size);
}

#ifdef __cplusplus
}
#endif

#endif
