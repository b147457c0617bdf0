/* allocator - the functions of valloc.h on allocator objects. */
#include "valloc.h"

#include "cache/counters.h"
#include "cache/front.h"
#include "cache/init.h"
#include "cache/misuse.h"
#include "cache/object.h"
#include "cache/report.h"
#include "cache/trim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The process's heap: no number of an object. */
static MemoryAllocator process_heap = {.serial = UINT64_MAX, .number = 0};

static bool is_process_heap(const MemoryAllocator *allocator)
{
    return allocator->serial == process_heap.serial && allocator->number == process_heap.number;
}

static struct vl_object *object_of(const MemoryAllocator *allocator)
{
    return allocator == NULL ? NULL : vl_object_named(allocator->serial, allocator->number);
}

MemoryAllocator *valloc_default(void)
{
    return &process_heap;
}

static int invalid(void)
{
    errno = EINVAL;
    return -1;
}

/* The index of a node as the program numbers it; -1 for any, -2 if we have no such. */
static int node_index(int node_plus_one)
{
    if (node_plus_one == 0)
        return -1;
    if (node_plus_one < 0 || node_plus_one > VL_NODES_MAX)
        return -2;
    unsigned node = (unsigned)node_plus_one - 1, index = vl_topology.index_of[node];
    return index < vl_topology.count && vl_topology.ids[index] == node ? (int)index : -2;
}

static const enum vl_hugepage_mode hugepage_modes[] = {
    [VALLOC_HUGEPAGES_AUTO] = VL_HUGEPAGE_AUTO,
    [VALLOC_HUGEPAGES_NEVER] = VL_HUGEPAGE_NEVER,
    [VALLOC_HUGEPAGES_ALWAYS] = VL_HUGEPAGE_ALWAYS,
    [VALLOC_HUGEPAGES_POOL] = VL_HUGEPAGE_HUGETLB,
};

/* What a caller does not know of yet is 0. */
static bool read_opts(const struct valloc_opts *given, struct valloc_opts *opts)
{
    *opts = (struct valloc_opts){0};
    if (given == NULL || given->size < sizeof given->size)
        return false;
    memcpy(opts, given, given->size < sizeof *opts ? given->size : sizeof *opts);
    return opts->initial_blocks >= 0 && opts->num_threads >= -1 &&
           (unsigned)opts->hugepages < sizeof hugepage_modes / sizeof hugepage_modes[0];
}

int valloc_init_opts(MemoryAllocator *allocator, const struct valloc_opts *given)
{
    struct valloc_opts opts;
    uint32_t number;
    if (allocator == NULL || !read_opts(given, &opts) || !vl_start())
        return invalid();
    if (object_of(allocator) != NULL || is_process_heap(allocator))
        vl_misuse("valloc_init", VL_MISUSE_LIVE, allocator);
    struct vl_object_plan plan = {
        .blocks = (size_t)opts.initial_blocks,
        .cached = opts.num_threads >= 0,
        .node = node_index(opts.node_plus_one),
        .hugepage_mode = hugepage_modes[opts.hugepages],
        .pages_max = opts.limit == 0 ? UINT64_MAX : opts.limit >> VL_PAGE_SHIFT,
        .name = opts.name,
    };
    if (plan.node < -1)
        return invalid();
    uint64_t serial = vl_object_make(&plan, &number);
    if (serial == 0) {
        errno = ENOMEM;
        return -1;
    }
    *allocator = (MemoryAllocator){.serial = serial, .number = number};
    return 0;
}

int valloc_init(MemoryAllocator *allocator, int initial_blocks, int num_threads)
{
    struct valloc_opts opts = {
        .size = sizeof opts,
        .initial_blocks = initial_blocks,
        .num_threads = num_threads == 0 ? -1 : num_threads,
    };
    return num_threads < 0 ? invalid() : valloc_init_opts(allocator, &opts);
}

/* --- The object of huge pages --- */

static MemoryAllocator hugepages_heap;
static _Atomic bool hugepages_made;

static void make_hugepages(void)
{
    static struct vl_turn turn;
    struct valloc_opts opts = {
        .size = sizeof opts, .hugepages = VALLOC_HUGEPAGES_POOL, .name = "huge pages"};
    if (!vl_turn_take(&turn))
        return; /* another thread has made it, or found no memory */
    if (!vl_get(&hugepages_made) && valloc_init_opts(&hugepages_heap, &opts) == 0)
        vl_set_release(&hugepages_made, true);
    vl_turn_end(&turn);
}

MemoryAllocator *valloc_hugepages(void)
{
    if (!vl_get_acquire(&hugepages_made))
        make_hugepages();
    return vl_get_acquire(&hugepages_made) ? &hugepages_heap : NULL;
}

/* --- Blocks --- */

static void *take(struct vl_object *object, size_t size)
{
    vl_note(VL_COUNT_MALLOC);
    return vl_fill_fresh(vl_object_take(object, size, VL_STAYS), size);
}

static void give(struct vl_object *object, void *block, const char *function)
{
    vl_note(VL_COUNT_FREE);
    vl_fill_freed(block, function);
    vl_object_give(object, block, function);
}

/* As malloc's, but for the way to the cache. */
static inline void *take_at_once(const MemoryAllocator *allocator, size_t size)
{
    if (allocator == NULL || size > VL_SIZE_TABLE_MAX)
        return NULL;
    struct vl_cache *cache = vl_object_cache_at_hand(allocator->serial);
    if (cache == NULL)
        return NULL;
    unsigned class = vl_cache_self->class_of[size];
    void **top = cache->top[class];
    if (*top != NULL)
        vl_own_set(&cache->top[class], top + 1);
    return *top;
}

void *valloc_block(MemoryAllocator *allocator, size_t size)
{
    void *block = take_at_once(allocator, size);
    if (block != NULL)
        return block;
    struct vl_object *object = object_of(allocator);
    if (object != NULL)
        return take(object, size);
    return allocator != NULL && is_process_heap(allocator) ? vl_alloc(size) : NULL;
}

static void release(MemoryAllocator *allocator, void *block, const char *function)
{
    struct vl_cache *cache =
        allocator == NULL ? NULL : vl_object_cache_at_hand(allocator->serial);
    if (cache != NULL && vl_object_give_at_once(cache, block))
        return;
    struct vl_object *object = object_of(allocator);
    if (block == NULL)
        return;
    if (object != NULL)
        give(object, block, function);
    else if (allocator != NULL && is_process_heap(allocator))
        vl_free(block);
}

void revalloc(MemoryAllocator *allocator, void *block)
{
    release(allocator, block, "revalloc");
}

void free_valloc(MemoryAllocator *allocator, void *block)
{
    release(allocator, block, "free_valloc");
}

static size_t clean_process(int level)
{
    size_t returned = 0;
    if (!vl_start() || level < 1)
        return 0;
    if (level == 1) {
        struct vl_cache *cache = vl_cache_enter();
        if (cache != NULL)
            vl_cache_flush(cache);
        vl_cache_leave(cache);
        vl_cache_flush_parked();
    } else {
        returned = vl_trim();
    }
    if (level >= 3)
        vl_place_retire(true);
    if (level >= 4)
        returned += vl_place_strip(NULL);
    return returned;
}

size_t valloc_cleanup_level(MemoryAllocator *allocator, int level)
{
    struct vl_object *object = object_of(allocator);
    if (object != NULL)
        return vl_object_clean(object, level);
    return allocator == NULL || is_process_heap(allocator) ? clean_process(level) : 0;
}

void valloc_cleanup(MemoryAllocator *allocator)
{
    valloc_cleanup_level(allocator, 3);
}

int valloc_migrate(MemoryAllocator *allocator, int node)
{
    struct vl_object *object = object_of(allocator);
    int index = node < 0 || node >= VL_NODES_MAX ? -1 : node_index(node + 1);
    if (object == NULL || index < 0)
        return invalid();
    int error = vl_place_migrate(&object->heap.holding, (unsigned)index);
    if (error != 0)
        errno = -error;
    return error == 0 ? 0 : -1;
}

void valloc_destroy(MemoryAllocator *allocator)
{
    struct vl_object *object = object_of(allocator);
    if (object == NULL)
        return;
    if (allocator == &hugepages_heap)
        vl_set(&hugepages_made, false); /* the next who asks makes another */
    vl_object_destroy(object, allocator->serial);
    *allocator = (MemoryAllocator){0};
}

void valloc_print_hugepages(void)
{
    char buffer[512];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    const struct vl_object *object = object_of(valloc_hugepages());
    if (object == NULL)
        return;
    vl_report_hugepages(&text, &object->heap.holding);
    fputs(buffer, stdout);
}

static uint64_t bytes_of(uint64_t pages)
{
    return pages << VL_PAGE_SHIFT;
}

int valloc_get_object_stat(MemoryAllocator *allocator, struct valloc_object_stat *stat)
{
    const struct vl_object *object = object_of(allocator);
    if (object == NULL || stat == NULL)
        return invalid();
    const struct vl_holding *holding = &object->heap.holding;
    int node = vl_get(&holding->node);
    *stat = (struct valloc_object_stat){
        .used = bytes_of(vl_get(&holding->pages_used)),
        .held = vl_holding_bytes(holding),
        .limit = holding->pages_max == UINT64_MAX ? 0 : bytes_of(holding->pages_max),
        .big_count = vl_get(&holding->big_blocks),
        .node = node < 0 ? -1 : vl_topology.ids[node],
    };
    memcpy(stat->name, object->name, sizeof stat->name);
    return 0;
}

/* A thread's cache, or NULL if this is not the one of the calling thread. */
static struct vl_cache *checked(ThreadCache *thread_cache)
{
    struct vl_cache *cache = (struct vl_cache *)thread_cache, *own = vl_cache_self;
    bool mine = cache != NULL && (cache == own || (cache->heap->holds &&
                                                   vl_get(&cache->holder) == vl_get(&own->identity)));
    return mine ? cache : NULL;
}

ThreadCache *valloc_thread_cache(MemoryAllocator *allocator)
{
    struct vl_object *object = object_of(allocator);
    if (object != NULL)
        return (ThreadCache *)vl_object_cache(object);
    if (allocator == NULL || !is_process_heap(allocator) || !vl_start())
        return NULL;
    vl_cache_leave(vl_cache_enter());
    return vl_get(&vl_cache_self->state) == VL_CACHE_OWNED ? (ThreadCache *)vl_cache_self : NULL;
}

void *valloc_cache_allocate(ThreadCache *thread_cache, size_t size)
{
    struct vl_cache *cache = checked(thread_cache);
    if (cache == NULL)
        return NULL;
    return cache->heap->holds ? take((struct vl_object *)cache->heap, size) : vl_alloc(size);
}

void valloc_cache_free(ThreadCache *thread_cache, void *block, size_t size)
{
    struct vl_cache *cache = checked(thread_cache);
    (void)size;
    if (cache == NULL || block == NULL)
        return;
    if (cache->heap->holds)
        give((struct vl_object *)cache->heap, block, "cache_free");
    else
        vl_free(block);
}

void valloc_free_sized(void *block, size_t size)
{
    (void)size;
    vl_free(block);
}
