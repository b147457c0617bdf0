/*
 * object - an allocator object: a heap of its own for whoever asks for one (valloc_init).
 *
 *      record        a heap, that is centrals, depots, and a holding of leased regions and big blocks
 *      caches        one for each thread that uses the object, of the same kind as a thread's own
 *
 *      serial 0 --make--> a serial number of its own --destroy--> 0        by an exchange: of two who
 *                                                                          destroy it, one does
 *
 * The program holds a number and a serial number, which together name a live object or none. Records are
 * type-stable: a name of an object long gone is compared with what is there now.
 *
 * A cache of an object names its thread by an identity (thread.h), which no thread has any more when that
 * one is gone. So thread exit has nothing to do: the cache is an orphan from then on, and the object's
 * next new thread takes it over, by an exchange of the identity. Nor has destroying an object to do with
 * threads: their notes of its caches carry a serial number that is no more.
 *
 *               take    give    clean    destroy
 *      any      yes     yes     yes      no, of the same object
 */
#ifndef VL_CACHE_OBJECT_H
#define VL_CACHE_OBJECT_H

#include "cache/large.h"
#include "cache/thread.h"

enum { VL_OBJECT_NAME = 32 };

struct vl_object {
    struct vl_heap heap; /* first: vl_heap_pool is of these */
    _Atomic uint64_t serial;
    /* Written before the serial number. */
    bool cached; /* its threads have caches */
    char name[VL_OBJECT_NAME];
    _Atomic uint32_t caches; /* id of the first; they stay in the list until it is destroyed */
    _Atomic uint32_t below;  /* destroyed: number of the next */
};

_Static_assert(sizeof(struct vl_object) <= 1 << VL_HEAP_SHIFT, "a record fits its place in the pool");

struct vl_object_plan {
    size_t blocks; /* small ones to set address space aside for */
    bool cached;
    int node;      /* index; -1: any */
    enum vl_hugepage_mode hugepage_mode;
    uint64_t pages_max;
    const char *name; /* or NULL */
};

/* A new object: its serial number, and its number; 0 if there is no memory. */
uint64_t vl_object_make(const struct vl_object_plan *plan, uint32_t *number);

/* The live object of this name, or NULL. */
struct vl_object *vl_object_named(uint64_t serial, uint64_t number);

/* The object that a block in use is of, or NULL. */
struct vl_object *vl_object_of(const struct vl_slice *slice, const void *block);

/* The calling thread's cache of the object with this serial number, where a look finds it. NULL also where
 * blocks are filled or calls counted. */
static inline struct vl_cache *vl_object_cache_at_hand(uint64_t serial)
{
    struct vl_cache *own = vl_cache_self, *cache = own->recent[serial % VL_CACHE_RECENT];
    bool found = cache != NULL && vl_get(&cache->serial) == serial &&
                 vl_get(&cache->holder) == vl_get(&own->identity) && vl_cache_is_open(own);
    return found ? cache : NULL;
}

void *vl_object_take(struct vl_object *object, size_t size, enum vl_future future);

/* Gives a block back if nothing stands in the way; false: it is for vl_object_give to say what does. */
bool vl_object_give_at_once(struct vl_cache *cache, void *block);

/* A block of any size. Dies if it is none of this object. */
void vl_object_give(struct vl_object *object, void *block, const char *function);

/* The calling thread's cache of the object, or NULL. */
struct vl_cache *vl_object_cache(struct vl_object *object);

/* Levels 1 to 4 as in valloc.h; tells how many bytes went to the system. */
size_t vl_object_clean(struct vl_object *object, int level);

void vl_object_destroy(struct vl_object *object, uint64_t serial);

#endif
