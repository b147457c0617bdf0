/*
 * An allocator's own way to give memory back to the system: malloc_trim if it has that, else what
 * it has instead. The C library's malloc_trim is there under any preloaded malloc, but knows only
 * the C library's own heap, so that it counts only if malloc comes from the same library.
 */
#ifndef VALLOC_BENCH_GIVE_BACK_H
#define VALLOC_BENCH_GIVE_BACK_H

#include <dlfcn.h>

#include "bench/bench.h"

/* The address of a function of malloc's own library, or NULL. */
static inline void *give_back_function(const char *name)
{
    void *allocate = dlsym(RTLD_DEFAULT, "malloc");
    void *function = dlsym(RTLD_DEFAULT, name);
    Dl_info of_malloc, of_function;

    if (!function || !dladdr(allocate, &of_malloc) || !dladdr(function, &of_function))
        return NULL;
    return of_malloc.dli_fbase == of_function.dli_fbase ? function : NULL;
}

/* Gives back; returns how, without blanks. */
static inline const char *give_back(void)
{
    union {
        void *found;
        int (*trim)(size_t);                                            /* malloc_trim */
        void (*collect)(bool);                                          /* mimalloc */
        void (*release)(void);                                          /* tcmalloc */
        int (*control)(const char *, void *, size_t *, void *, size_t); /* jemalloc */
    } function;

    if ((function.found = give_back_function("malloc_trim"))) {
        function.trim(0);
        return "malloc_trim";
    }
    if ((function.found = give_back_function("mi_collect"))) {
        function.collect(true);
        return "mi_collect";
    }
    if ((function.found = give_back_function("MallocExtension_ReleaseFreeMemory"))) {
        function.release();
        return "ReleaseFreeMemory";
    }
    if ((function.found = give_back_function("mallctl"))) {
        /* Blocks of this thread's cache first; 4096 stands for all arenas. */
        function.control("thread.tcache.flush", NULL, NULL, NULL, 0);
        function.control("arena.4096.purge", NULL, NULL, NULL, 0);
        return "arena.purge";
    }
    return "-";
}

#endif
