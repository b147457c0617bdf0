#include "cache/object.h"

#include "cache/central.h"
#include "cache/counters.h"
#include "cache/fork.h"
#include "cache/init.h"
#include "cache/large.h"
#include "cache/misuse.h"
#include "cache/trim.h"

#include <errno.h>

/* Freed blocks that a free is compared with: a quarter of a nanosecond each, and most double frees are found
 * at once. */
enum { RECENT_FREES = 4 };

/* What is set aside for a block of unknown size. */
enum { BLOCK_BYTES = 64 };

/* Of a cache that nobody holds, or that is being cleaned. Identities are larger. */
enum { NOBODY = 0, CLEANER = VL_ID_MAX };

static struct vl_idstack destroyed;

static struct vl_object *object_at(uint32_t number)
{
    return vl_pool_item(&vl_heap_pool, number);
}

static _Atomic uint32_t *link_of(uint32_t number)
{
    return &object_at(number)->below;
}

/* --- Names --- */

/* Odd multiples of a number never used before: what lies about in memory is none of them. */
static uint64_t next_serial(void)
{
    static _Atomic uint64_t made;
    return (vl_add(&made, 1) + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

struct vl_object *vl_object_named(uint64_t serial, uint64_t number)
{
    if (serial == 0 || number == 0 || number >= vl_pool_end(&vl_heap_pool))
        return NULL;
    vl_fork_notice();
    struct vl_object *object = object_at((uint32_t)number);
    return vl_get_acquire(&object->serial) == serial ? object : NULL;
}

struct vl_object *vl_object_of(const struct vl_slice *slice, const void *block)
{
    struct vl_heap *heap = vl_large_heap(slice, block);
    return heap != NULL && heap->holds ? (struct vl_object *)heap : NULL;
}

/* --- Birth --- */

static bool start_pool(void)
{
    static struct vl_turn turn;
    if (vl_pool_end(&vl_heap_pool) != 0)
        return true;
    if (vl_turn_take(&turn)) {
        if (vl_pool_end(&vl_heap_pool) == 0)
            vl_heap_pool_start();
        vl_turn_end(&turn);
    }
    return vl_pool_end(&vl_heap_pool) != 0;
}

static uint32_t take_number(void)
{
    uint32_t number = vl_idstack_pop(&destroyed, link_of);
    return number != 0 ? number : vl_pool_take(&vl_heap_pool, 1);
}

static void copy_name(struct vl_object *object, const char *name)
{
    size_t length = 0;
    while (name != NULL && length < VL_OBJECT_NAME - 1 && name[length] != '\0') {
        object->name[length] = name[length];
        length++;
    }
    object->name[length] = '\0';
}

/* Regions for the blocks that are expected. Only their records are touched. */
static bool set_aside(struct vl_object *object, size_t blocks)
{
    size_t regions = (blocks * BLOCK_BYTES + VL_REGION_SIZE - 1) >> VL_REGION_SHIFT;
    for (size_t i = 0; i < regions; i++)
        if (!vl_place_lease(&object->heap.holding, false))
            return false;
    return true;
}

uint64_t vl_object_make(const struct vl_object_plan *plan, uint32_t *number)
{
    *number = start_pool() ? take_number() : 0;
    if (*number == 0)
        return 0;
    struct vl_object *object = object_at(*number);
    object->heap.holds = true;
    vl_place_begin(&object->heap.holding, plan->node);
    object->heap.holding.hugepage_mode = plan->hugepage_mode;
    object->heap.holding.pages_max = plan->pages_max;
    object->cached = plan->cached;
    copy_name(object, plan->name);
    vl_set(&object->caches, 0);
    uint64_t serial = next_serial();
    vl_set_release(&object->serial, serial);
    if (set_aside(object, plan->blocks))
        return serial;
    vl_object_destroy(object, serial);
    return 0;
}

/* --- Caches --- */

static struct vl_cache *cache_at(uint32_t id)
{
    return vl_pool_item(&vl_cache_pool, id);
}

/* The thread's own cache, which it gets here if it has none yet and can have one. */
static struct vl_cache *own_cache(void)
{
    if (vl_get(&vl_cache_self->state) != VL_CACHE_OWNED)
        vl_cache_leave(vl_cache_enter());
    struct vl_cache *own = vl_cache_self;
    return vl_get(&own->state) == VL_CACHE_OWNED ? own : NULL;
}

/* Whether the thread that held a cache is gone. In the child of a fork it may have been busy with it:
 * then nobody knows what is in there. */
static bool is_orphan(const struct vl_cache *cache, uint64_t holder)
{
    if (holder == NOBODY)
        return true;
    return holder != CLEANER && vl_get_acquire(&cache_at(holder & VL_ID_MAX)->identity) != holder &&
           vl_get(&cache->inside) == 0;
}

static bool take_over(struct vl_cache *cache, uint64_t holder, uint64_t for_whom)
{
    return is_orphan(cache, holder) &&
           atomic_compare_exchange_strong(&cache->holder, &holder, for_whom);
}

static void link_cache(struct vl_object *object, struct vl_cache *cache)
{
    uint32_t first = vl_get(&object->caches);
    do
        cache->next_of_object = first;
    while (!vl_swap_if(&object->caches, &first, vl_pool_id(&vl_cache_pool, cache)));
}

static struct vl_cache *new_cache(struct vl_object *object, uint64_t serial,
                                  const struct vl_cache *own)
{
    struct vl_cache *cache = vl_cache_lend(&object->heap, own->node);
    if (cache == NULL)
        return NULL;
    vl_set(&cache->holder, vl_get(&own->identity));
    vl_set(&cache->serial, serial);
    link_cache(object, cache);
    return cache;
}

/* The thread's cache among all of the object's, or one that a thread that is gone has left, or a new one. */
static struct vl_cache *find_cache(struct vl_object *object, uint64_t serial,
                                   const struct vl_cache *own)
{
    uint64_t me = vl_get(&own->identity);
    struct vl_cache *cache;
    for (uint32_t id = vl_get_acquire(&object->caches); id != 0; id = cache->next_of_object) {
        cache = cache_at(id);
        if (vl_get(&cache->holder) == me)
            return cache;
    }
    for (uint32_t id = vl_get_acquire(&object->caches); id != 0; id = cache->next_of_object) {
        cache = cache_at(id);
        if (take_over(cache, vl_get_acquire(&cache->holder), me))
            return cache;
    }
    return new_cache(object, serial, own);
}

struct vl_cache *vl_object_cache(struct vl_object *object)
{
    struct vl_cache *own = object->cached ? own_cache() : NULL;
    if (own == NULL)
        return NULL;
    uint64_t serial = vl_get(&object->serial);
    struct vl_cache **recent = &own->recent[serial % VL_CACHE_RECENT], *cache = *recent;
    if (cache == NULL || vl_get(&cache->serial) != serial ||
        vl_get(&cache->holder) != vl_get(&own->identity))
        cache = *recent = find_cache(object, serial, own);
    return cache;
}

/* --- Blocks --- */

static void *take_small(struct vl_object *object, unsigned class)
{
    struct vl_cache *cache = vl_object_cache(object);
    void *block = NULL;
    if (cache == NULL)
        return vl_central_take(&object->heap, class, &block, 1) == 1 ? block : NULL;
    block = vl_cache_take(cache, class);
    if (block == NULL) {
        vl_count(&cache->inside, 1);
        block = vl_cache_refill(cache, class);
        vl_count(&cache->inside, -1);
    }
    return block;
}

static void *take(struct vl_object *object, size_t size, enum vl_future future)
{
    bool zeroed;
    unsigned class = vl_class_of_size(size);
    void *block = NULL;
    if (class == VL_CLASS_NONE || future == VL_GROWS)
        block = vl_large_take(&object->heap, size, VL_MIN_ALIGN, future, &zeroed);
    return block != NULL || class == VL_CLASS_NONE ? block : take_small(object, class);
}

void *vl_object_take(struct vl_object *object, size_t size, enum vl_future future)
{
    void *block = size > PTRDIFF_MAX ? NULL : take(object, size, future);
    if (vl_unlikely(block == NULL) && size <= PTRDIFF_MAX) {
        vl_object_clean(object, 2); /* what is kept may be what is missing */
        block = take(object, size, future);
    }
    if (vl_unlikely(block == NULL))
        errno = ENOMEM;
    return block;
}

static bool freed_lately(const struct vl_cache *cache, unsigned class, const void *block)
{
    void **top = cache->top[class];
    for (unsigned i = 0; i < RECENT_FREES && top[i] != NULL; i++)
        if (top[i] == block)
            return true;
    return false;
}

static bool is_interior(const struct vl_slice *slice, unsigned class, const void *block)
{
    size_t offset = (size_t)((const char *)block - vl_span_start(vl_span_of(slice, block)));
    return vl_object_index(&vl_size_classes[class], offset) * vl_size_classes[class].size != offset;
}

bool vl_object_give_at_once(struct vl_cache *cache, void *block)
{
    const struct vl_slice *slice = cache->slice;
    if (slice == NULL || !vl_slice_holds(slice, block))
        return false;
    unsigned class = vl_get(vl_slice_class(slice, block));
    return class != VL_CLASS_NONE && class < VL_CLASSES &&
           vl_get(&vl_region_of(slice, block)->holder) == &cache->heap->holding &&
           !is_interior(slice, class, block) && !freed_lately(cache, class, block) &&
           vl_cache_give(cache, class, block);
}

static void give_small(struct vl_object *object, const struct vl_slice *slice, unsigned class,
                       void *block, const char *function)
{
    if (is_interior(slice, class, block))
        vl_misuse(function, VL_MISUSE_INTERIOR, block);
    struct vl_cache *cache = vl_object_cache(object);
    if (cache == NULL) {
        vl_central_give(class, &block, 1, function);
        return;
    }
    cache->slice = slice;
    if (freed_lately(cache, class, block))
        vl_misuse(function, VL_MISUSE_DOUBLE_FREE, block);
    vl_note(VL_COUNT_RECYCLE);
    if (vl_cache_give(cache, class, block))
        return;
    vl_count(&cache->inside, 1);
    vl_cache_overflow(cache, class, block);
    vl_count(&cache->inside, -1);
}

void vl_object_give(struct vl_object *object, void *block, const char *function)
{
    struct vl_slice *slice = vl_slice_of(block);
    if (slice == NULL)
        vl_misuse(function, VL_MISUSE_FOREIGN, block);
    unsigned class =
        vl_slice_has_regions(slice) ? vl_get(vl_slice_class(slice, block)) : VL_CLASS_RUN_HEAD;
    if (class == VL_CLASS_NONE)
        vl_misuse(function, VL_MISUSE_UNALLOCATED, block);
    if (object == NULL || vl_object_of(slice, block) != object) {
        if (class >= VL_CLASSES)
            vl_large_bytes(slice, block, function); /* dies if none begins there */
        vl_misuse(function, VL_MISUSE_OTHER, block);
    }
    if (class < VL_CLASSES)
        give_small(object, slice, class, block, function);
    else
        vl_large_give(slice, block, function);
}

/* --- Cleaning and end --- */

static void flush(struct vl_cache *cache)
{
    vl_count(&cache->inside, 1);
    vl_cache_flush(cache);
    vl_count(&cache->inside, -1);
}

/* The caller's cache and those of threads that are gone. */
static void flush_caches(struct vl_object *object)
{
    struct vl_cache *own = own_cache(), *cache;
    uint64_t me = own != NULL ? vl_get(&own->identity) : CLEANER;
    for (uint32_t id = vl_get_acquire(&object->caches); id != 0; id = cache->next_of_object) {
        cache = cache_at(id);
        uint64_t holder = vl_get_acquire(&cache->holder);
        if (holder == me) {
            flush(cache);
        } else if (take_over(cache, holder, CLEANER)) {
            flush(cache);
            vl_set_release(&cache->holder, NOBODY);
        }
    }
}

size_t vl_object_clean(struct vl_object *object, int level)
{
    if (level >= 1)
        flush_caches(object);
    if (level < 2)
        return 0;
    vl_trim_depots(&object->heap);
    vl_trim_spans(&object->heap);
    size_t returned = vl_place_purge(0);
    if (level >= 3)
        vl_place_retire(true);
    if (level >= 4)
        returned += vl_place_strip(&object->heap.holding);
    return returned;
}

static void forget_depots(struct vl_object *object)
{
    for (unsigned class = 1; class < VL_CLASSES; class++) {
        void **full;
        while ((full = vl_depot_get(&object->heap.classes[class].depot)) != NULL)
            vl_magazine_give(object->heap.node, full + vl_size_classes[class].capacity);
    }
}

void vl_object_destroy(struct vl_object *object, uint64_t serial)
{
    if (!atomic_compare_exchange_strong(&object->serial, &serial, 0))
        return;
    for (uint32_t id = vl_get(&object->caches), next; id != 0; id = next) {
        next = cache_at(id)->next_of_object;
        vl_cache_take_back(cache_at(id));
    }
    vl_set(&object->caches, 0);
    forget_depots(object);
    vl_central_forget(&object->heap);
    vl_place_dissolve(&object->heap.holding);
    vl_idstack_push(&destroyed, vl_pool_id(&vl_heap_pool, object), link_of, VL_IDSTACK_COUNT_MAX);
}
