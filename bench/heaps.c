#include "bench/heaps.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/bench.h"
#include "bench/simple_heap.h"
#include "valloc.h"

/* ---- for kinds that need no such function ------------------------------------------------- */

static void make_nothing(const struct heap_plan *plan)
{
    (void)plan;
}

static void *attach_nothing(void)
{
    return NULL;
}

static void detach_nothing(void *handle)
{
    (void)handle;
}

static void do_nothing(void)
{
}

/* ---- libc's interface, which may be preloaded --------------------------------------------- */

static void *libc_malloc(void *handle, size_t size)
{
    (void)handle;
    return malloc(size);
}

static void *libc_calloc(void *handle, size_t size)
{
    (void)handle;
    return calloc(1, size);
}

static void libc_free(void *handle, void *block, size_t size)
{
    (void)handle;
    (void)size;
    free(block);
}

static void libc_trim(void)
{
    malloc_trim(0);
}

/* ---- a mapping for each block ------------------------------------------------------------- */

static void *mapping_take(void *handle, size_t size)
{
    (void)handle;
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

static void mapping_give(void *handle, void *block, size_t size)
{
    (void)handle;
    munmap(block, size);
}

/* ---- simple_heap -------------------------------------------------------------------------- */

static struct simple_heap *simple;

static void simple_make(const struct heap_plan *plan)
{
    (void)plan;
    simple = simple_heap_make();
    if (!simple)
        bench_fail("simple_heap: no memory");
}

static void *simple_attach(void)
{
    struct simple_cache *cache = simple_heap_attach(simple);

    if (!cache)
        bench_fail("simple_heap: no memory for a thread's lists");
    return cache;
}

static void *simple_take(void *handle, size_t size)
{
    return simple_heap_take(simple, handle, size);
}

static void simple_give(void *handle, void *block, size_t size)
{
    (void)size;
    simple_heap_give(simple, handle, block);
}

static void simple_detach(void *handle)
{
    simple_heap_detach(simple, handle);
}

static void simple_cleanup(void)
{
    simple_heap_trim(simple);
}

static void simple_destroy(void)
{
    simple_heap_destroy(simple);
}

/* ---- valloc's objects --------------------------------------------------------------------- */

/*
 * The program is not linked with valloc, as then its malloc would be valloc's. These functions are
 * there if the library was preloaded.
 */
static struct {
    __typeof__(&valloc_init) init;
    __typeof__(&valloc_block) block;
    __typeof__(&free_valloc) free;
    __typeof__(&valloc_cleanup) cleanup;
    __typeof__(&valloc_destroy) destroy;
} library;

static MemoryAllocator object;
static int object_blocks, object_threads; /* arguments of valloc_init */

/* POSIX has pointers to functions and to objects in the same form, C does not. */
static void find_function(const char *name, void *function)
{
    void *found = dlsym(RTLD_DEFAULT, name);

    if (!found)
        bench_fail("objects need valloc: preload libvalloc.so (no %s)", name);
    memcpy(function, &found, sizeof found);
}

static void object_init(void)
{
    if (library.init(&object, object_blocks, object_threads) != 0)
        bench_fail("valloc_init(%d, %d): %s", object_blocks, object_threads, strerror(errno));
}

static void object_make_for(const struct heap_plan *plan, unsigned threads)
{
    find_function("valloc_init", &library.init);
    find_function("valloc_block", &library.block);
    find_function("free_valloc", &library.free);
    find_function("valloc_cleanup", &library.cleanup);
    find_function("valloc_destroy", &library.destroy);
    object_blocks = (int)plan->blocks;
    object_threads = (int)threads;
    object_init();
}

static void object_make(const struct heap_plan *plan)
{
    object_make_for(plan, plan->threads);
}

static void object_make_uncached(const struct heap_plan *plan)
{
    object_make_for(plan, 0);
}

static void *object_attach(void)
{
    return &object;
}

static void *object_take(void *handle, size_t size)
{
    return library.block(handle, size);
}

static void object_give(void *handle, void *block, size_t size)
{
    (void)size;
    library.free(handle, block);
}

static void object_cleanup(void)
{
    library.cleanup(&object);
}

static void object_destroy(void)
{
    library.destroy(&object);
}

/* Instead of a free for each block; an object to go on with is part of it. */
static void object_renew(void)
{
    library.destroy(&object);
    object_init();
}

/* ---- the table ---------------------------------------------------------------------------- */

#define NO_MAKE   .make = make_nothing, .destroy = do_nothing
#define NO_HANDLE .attach = attach_nothing, .detach = detach_nothing
#define OBJECT    .attach = object_attach, .detach = detach_nothing, .take = object_take

static const struct heap_kind kinds[] = {
    {"malloc", "malloc and free; malloc_trim", NO_MAKE, NO_HANDLE, .take = libc_malloc,
     .give = libc_free, .cleanup = libc_trim},
    {"calloc", "calloc and free; malloc_trim", NO_MAKE, NO_HANDLE, .take = libc_calloc,
     .give = libc_free, .cleanup = libc_trim},
    {"mmap", "a mapping for each block", NO_MAKE, NO_HANDLE, .take = mapping_take,
     .give = mapping_give, .cleanup = do_nothing},
    {"simple", "bench/simple_heap.h, with lists for each thread; simple_heap_trim", simple_make,
     simple_attach, simple_take, simple_give, simple_detach, simple_cleanup, simple_destroy},
    {"simple-uncached", "the same without lists", simple_make, attach_nothing, simple_take,
     simple_give, detach_nothing, simple_cleanup, simple_destroy},
    {"object", "a valloc object with caches for threads; valloc_cleanup", OBJECT,
     .make = object_make, .give = object_give, .cleanup = object_cleanup,
     .destroy = object_destroy},
    {"object-uncached", "the same without caches", OBJECT, .make = object_make_uncached,
     .give = object_give, .cleanup = object_cleanup, .destroy = object_destroy},
    {"object-destroy", "the first, and nothing is freed; valloc_destroy and valloc_init", OBJECT,
     .make = object_make, .give = NULL, .cleanup = object_renew, .destroy = object_destroy},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

const struct heap_kind *heap_kind_find(const char *name)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

void heap_kinds_print(void)
{
    for (size_t i = 0; i < KINDS; i++)
        printf("    %-16s  %s\n", kinds[i].name, kinds[i].what);
}
