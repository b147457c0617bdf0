#include "cache/front.h"

#include "cache/boot.h"
#include "cache/central.h"
#include "cache/counters.h"
#include "cache/fork.h"
#include "cache/init.h"
#include "cache/large.h"
#include "cache/misuse.h"
#include "cache/object.h"
#include "cache/placed.h"
#include "cache/trim.h"

#include <errno.h>
#include <string.h>

/* What blocks are filled with under VALLOC_FILL=junk, fresh ones with its complement: no pointer, no
 * number anybody expects. */
static uint8_t freed_byte = 0x5a;

/* Larger objects of other nodes go home at once: outboxes and inboxes hold a number, not bytes. */
enum { SENT_MAX = 4096 };

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* The same for every block of a slow path; the fast path is closed then. */
void *vl_fill_fresh(void *block, size_t size)
{
    if (vl_likely(vl_options.fill_mode == VL_FILL_NONE) || block == NULL)
        return block;
    return memset(block, vl_options.fill_mode == VL_FILL_ZERO ? 0 : (uint8_t)~freed_byte, size);
}

static void follow_options(void)
{
    struct vl_cache *cache = vl_cache_enter();
    if (cache != NULL)
        vl_cache_follow_options(cache);
    vl_cache_leave(cache);
}

void vl_fill_with(uint8_t byte)
{
    if (byte != 0)
        freed_byte = byte;
    vl_options.fill_mode = byte != 0 ? VL_FILL_JUNK : VL_FILL_NONE;
    follow_options();
}

void vl_count_calls(bool on)
{
    vl_options.count = on;
    follow_options();
}

/* `cache`: NULL for a thread that has none. */
static void *take_small(struct vl_heap *heap, struct vl_cache *cache, unsigned class)
{
    void *object = NULL;
    if (cache == NULL)
        return vl_central_take(heap, class, &object, 1) == 1 ? object : NULL;
    object = vl_cache_take(cache, class);
    return object != NULL ? object : vl_cache_refill(cache, class);
}

/* The class that serves a request, or VL_CLASS_NONE for a large block. */
static unsigned class_for(size_t size, size_t align)
{
    return align <= VL_MIN_ALIGN   ? vl_class_of_size(size)
           : align <= VL_PAGE_SIZE ? vl_class_of_aligned(size, align)
                                   : VL_CLASS_NONE;
}

/* An object of a class also where what grows finds no pages. */
static void *take_any(size_t size, size_t align, enum vl_future future, bool *zeroed)
{
    unsigned class = class_for(size, align);
    *zeroed = false;
    struct vl_cache *cache = vl_cache_enter();
    struct vl_heap *heap =
        cache != NULL ? cache->heap : &vl_node_heaps[vl_topology_here(&vl_topology)];
    void *block = NULL;
    if (class == VL_CLASS_NONE || future == VL_GROWS)
        block = vl_large_take(heap, size, align, future, zeroed);
    if (block == NULL && class != VL_CLASS_NONE)
        block = take_small(heap, cache, class);
    vl_cache_leave(cache);
    return block;
}

/* A block of any size and alignment; *zeroed where it is known to be so. */
static void *allocate(size_t size, size_t align, enum vl_future future, bool *zeroed)
{
    if (vl_unlikely(size > PTRDIFF_MAX || align > PTRDIFF_MAX))
        return out_of_memory();
    if (vl_unlikely(!vl_start())) {
        *zeroed = true;
        void *early = vl_boot_take(size, align);
        return early != NULL ? early : out_of_memory();
    }
    void *block = take_any(size, align, future, zeroed);
    if (vl_unlikely(block == NULL)) {
        vl_trim_for_want();
        block = take_any(size, align, future, zeroed);
    }
    if (vl_unlikely(block == NULL) && vl_place_is_making()) {
        *zeroed = true; /* called from a hook of the mmap that is to give us memory */
        block = vl_boot_take(size, align);
    }
    return block != NULL ? block : out_of_memory();
}

/* From one of the thread's magazines, without more ado. NULL also where every call is to be counted. */
static inline void *take_at_once(size_t size)
{
    struct vl_cache *cache = vl_cache_self;
    return vl_likely(size <= VL_SMALL_MAX && vl_cache_is_open(cache))
               ? vl_cache_take(cache, vl_class_of_size(size))
               : NULL;
}

static void *take_slowly(size_t size)
{
    bool zeroed;
    return vl_fill_fresh(allocate(size, VL_MIN_ALIGN, VL_STAYS, &zeroed), size);
}

void *vl_take_block(size_t size)
{
    void *object = take_at_once(size);
    return object != NULL ? object : take_slowly(size);
}

void *vl_alloc_slow(size_t size)
{
    void *object = take_at_once(size);
    if (object != NULL)
        return object;
    object = take_slowly(size);
    vl_note(VL_COUNT_MALLOC); /* afterwards: the first call of all starts us, and is counted too */
    return object;
}

void *vl_alloc_aligned(size_t align, size_t size)
{
    bool zeroed;
    if (align <= VL_MIN_ALIGN)
        return vl_alloc(size);
    void *block = vl_fill_fresh(allocate(size, align, VL_STAYS, &zeroed), size);
    vl_note(VL_COUNT_MALLOC);
    return block;
}

static void *calloc_slow(size_t size)
{
    void *object = vl_take_block(size);
    vl_note(VL_COUNT_CALLOC);
    return object;
}

void *vl_alloc_zeroed(size_t count, size_t size)
{
    size_t bytes;
    if (vl_unlikely(__builtin_mul_overflow(count, size, &bytes)))
        return out_of_memory();
    if (vl_likely(bytes <= VL_SMALL_MAX)) {
        void *object = vl_alloc_or(calloc_slow, bytes);
        return object == NULL ? NULL : memset(object, 0, bytes);
    }
    bool zeroed;
    void *block = allocate(bytes, VL_MIN_ALIGN, VL_STAYS, &zeroed);
    vl_note(VL_COUNT_CALLOC);
    return block == NULL || zeroed ? block : vl_large_clear(block, bytes);
}

/* The slice of a pointer given to us, or NULL for one of our first moments. Dies for a stranger. */
static struct vl_slice *slice_of(const void *block, const char *function)
{
    vl_fork_notice();
    struct vl_slice *slice = vl_slice_of(block);
    if (vl_unlikely(slice == NULL) && !vl_boot_holds(block))
        vl_misuse(function, VL_MISUSE_FOREIGN, block);
    return slice;
}

/* Class of the small object at `block`, or VL_CLASS_NONE where there is a large block or nothing. */
static unsigned class_at(const struct vl_slice *slice, const void *block)
{
    if (!vl_slice_has_regions(slice))
        return VL_CLASS_NONE;
    unsigned class = vl_get(vl_slice_class(slice, block));
    return class < VL_CLASSES ? class : VL_CLASS_NONE;
}

/* Bytes of the block at `block`; dies in the name of `function` if there is none. */
static size_t bytes_at(const struct vl_slice *slice, const void *block, const char *function)
{
    if (slice == NULL)
        return vl_boot_bytes(block);
    unsigned class = class_at(slice, block);
    if (class == VL_CLASS_NONE)
        return vl_large_bytes(slice, block, function);
    if ((uintptr_t)block % VL_MIN_ALIGN != 0)
        vl_misuse(function, VL_MISUSE_INTERIOR, block);
    return vl_size_classes[class].size;
}

void vl_fill_freed(void *block, const char *function)
{
    if (vl_unlikely(vl_options.fill_mode == VL_FILL_JUNK))
        memset(block, freed_byte, bytes_at(slice_of(block, function), block, function));
}

static void give_small(struct vl_cache *cache, unsigned node, unsigned class, void *object)
{
    if (cache == NULL) {
        vl_central_give(class, &object, 1, "free");
    } else if (node != cache->node && vl_size_classes[class].size > SENT_MAX) {
        vl_traffic_freed(cache->node, node, 1);
        vl_central_give(class, &object, 1, "free");
    } else if (node != cache->node) {
        vl_cache_send(cache, node, class, object);
    } else {
        vl_note(VL_COUNT_RECYCLE);
        if (!vl_cache_give(cache, class, object))
            vl_cache_overflow(cache, class, object);
    }
}

/* Whether the block is a small one of the thread's own node that has found room in its cache. */
static bool give_at_home(void *block)
{
    struct vl_cache *cache = vl_cache_self;
    uintptr_t offset = (uintptr_t)block - cache->home_start;
    if (offset >= cache->home_size || offset % VL_MIN_ALIGN != 0)
        return false;
    unsigned class = vl_get(&cache->home_map[offset >> VL_PAGE_SHIFT]);
    return class != VL_CLASS_NONE && class < VL_CLASSES && vl_cache_give(cache, class, block);
}

static unsigned home(void)
{
    bool own = vl_get(&vl_cache_self->state) == VL_CACHE_OWNED;
    return own ? vl_cache_self->node : vl_topology_here(&vl_topology);
}

/* No cache keeps it: it has gone back to the heap of its node, from that of the thread. */
static void note_run(const struct vl_slice *slice)
{
    if (vl_topology.count > 1 && slice->kind == VL_SLICE_NODE)
        vl_traffic_freed(home(), slice->node, 1);
}

/* What a call of any kind comes to; who calls this counts it. */
static void give_block(void *block)
{
    struct vl_slice *slice = slice_of(block, "free");
    if (slice == NULL)
        return; /* from cache/boot */
    unsigned class = class_at(slice, block);
    vl_fill_freed(block, "free");
    if (class == VL_CLASS_NONE) {
        vl_large_give(slice, block, "free");
        note_run(slice);
        return;
    }
    if ((uintptr_t)block % VL_MIN_ALIGN != 0)
        vl_misuse("free", VL_MISUSE_INTERIOR, block);
    if (slice->kind == VL_SLICE_OBJECT) {
        vl_object_give(vl_object_of(slice, block), block, "free");
        return;
    }
    struct vl_cache *cache = vl_cache_enter();
    give_small(cache, slice->node, class, block);
    vl_cache_leave(cache);
}

void vl_free_slow(void *block)
{
    if (block == NULL || give_at_home(block))
        return;
    vl_note(VL_COUNT_FREE);
    give_block(block);
}

size_t vl_usable_size(const void *block)
{
    return block == NULL ? 0
                         : bytes_at(slice_of(block, "malloc_usable_size"), block,
                                    "malloc_usable_size");
}

size_t vl_good_size(size_t align, size_t size)
{
    unsigned class = class_for(size, align);
    return class != VL_CLASS_NONE ? vl_size_classes[class].size : vl_large_good_size(size, align);
}

static void *take_grown(size_t size)
{
    bool zeroed;
    return vl_fill_fresh(allocate(size, VL_MIN_ALIGN, VL_GROWS, &zeroed), size);
}

/* A block of the allocator object that another one is of, or of its place, or of neither. */
static void *alloc_beside(const struct vl_slice *slice, const void *block, size_t have, size_t size)
{
    enum vl_future future = vl_future_of(have, size);
    bool of_node = slice == NULL || slice->kind == VL_SLICE_NODE;
    struct vl_object *object = of_node ? NULL : vl_object_of(slice, block);
    if (object != NULL)
        return vl_fill_fresh(vl_object_take(object, size, future), size);
    bool placed = slice != NULL && slice->kind == VL_SLICE_PLACED;
    if (placed)
        return vl_placed_take(slice->node, size);
    return future == VL_GROWS ? take_grown(size) : vl_alloc_or(vl_take_block, size);
}

static void *resize(void *block, size_t size)
{
    if (block == NULL)
        return vl_alloc_or(vl_take_block, size);
    struct vl_slice *slice = slice_of(block, "realloc");
    size_t have = bytes_at(slice, block, "realloc");
    if (size > PTRDIFF_MAX)
        return out_of_memory();
    /* It stays where it fits and does not waste half. */
    if (size <= have && size >= have / 2)
        return block;
    if (slice != NULL && class_at(slice, block) == VL_CLASS_NONE) {
        char *resized = vl_large_resize(slice, block, have, size);
        if (resized != NULL) {
            if (size > have)
                vl_fill_fresh(resized + have, size - have);
            return resized;
        }
    }
    int errno_before = errno;
    void *moved = alloc_beside(slice, block, have, size);
    if (moved == NULL && size <= have) {
        errno = errno_before; /* a block can always shrink */
        return block;
    }
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, vl_min(have, size));
    if (!give_at_home(block))
        give_block(block);
    return moved;
}

void *vl_resize(void *block, size_t size)
{
    void *resized = resize(block, size);
    vl_note(VL_COUNT_REALLOC);
    return resized;
}
