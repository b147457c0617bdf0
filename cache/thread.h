/*
 * thread - a thread's own cache: for each class a loaded magazine and a spare one.
 *
 * One pointer of `top`, one byte of `class_of` or the home fields are all that malloc and free touch
 * of it in the ordinary case. Everything is written by the owner alone, without atomics; `top` and `spare`
 * are peeked at by others for statistics (vl_own_set, vl_peek).
 *
 *      START  --first use-->  own cache  --thread exit-->  GONE
 *
 * START and GONE are shared caches without magazines and with an impossible home: whatever is tried
 * with them ends in the slow path, which gives the thread a cache of its own, or, for the last
 * frees of a thread that is gone, borrows one for the single call.
 *
 * A thread that exits parks its cache, magazines and all, for the next thread born on its node
 * (parking.h).
 * Records are type-stable and numbered: whoever sums up statistics walks the pool, with no lock.
 */
#ifndef VL_CACHE_THREAD_H
#define VL_CACHE_THREAD_H

#include "cache/heap.h"

enum { VL_CACHE_SHIFT = 12, VL_CACHE_RECENT = 16 };

enum vl_cache_state {
    VL_CACHE_START,    /* the shared one before, */
    VL_CACHE_GONE,     /* and the one after a thread's own */
    VL_CACHE_OWNED,    /* by a live thread */
    VL_CACHE_PARKED,   /* in its node's stack */
    VL_CACHE_LENT,     /* to an allocator object, for one of its threads (object.h) */
};

struct vl_cache {
    void **top[VL_BINS]; /* first: indexing it takes no addition */

    /* Is a pointer ours, of this node, and of which class? */
    uintptr_t home_start;
    size_t home_size;
    _Atomic uint8_t *home_map;

    uint16_t node;        /* where it is, and where it gets empty magazines */
    uint8_t rehome_votes; /* slow paths in a row that ran on another node */
    uint32_t ticks;       /* slow paths until the next look at the clock */
    uint32_t requests;    /* to flush, seen so far (hugepage/limit.h) */
    _Atomic uint8_t state;
    /* Slow paths under way, which may nest: what they work on may be torn. Read after a fork. */
    _Atomic uint8_t inside;
    _Atomic uint32_t below; /* parked: id of the next */
    /* In its magazines, as far as slow paths have seen: the fast path may since have changed each
     * loaded one. */
    int64_t held_bytes;
    struct vl_heap *heap; /* whose objects it caches */
    void **outbox;          /* magazine of objects of other nodes, or the null magazine */

    /* All that was ever put into the outbox: less what has arrived, it is on its way. */
    _Atomic uint64_t sent_blocks, sent_bytes;

    /* A thread's own: its number, and how many threads had it before. Who is gone has no cache of that
     * identity any more. Release when it goes: what it left in the caches that were lent to it is seen
     * by who finds, with acquire, that it has gone, and takes them over. */
    _Atomic uint64_t identity;
    struct vl_cache *recent[VL_CACHE_RECENT]; /* of its caches for objects, by their serial numbers */

    /* One that is lent: to which object, for the thread of which identity, and the id of the object's
     * next. */
    _Atomic uint64_t serial, holder;
    uint32_t next_of_object;
    const struct vl_slice *slice; /* where the block lay that came last; or NULL */

    void **spare[VL_CLASSES];
    uint8_t strangers[VL_TINY_CLASSES + 1]; /* tiny objects sent home before any was allocated */
    uint8_t refill[VL_CLASSES];                   /* objects to ask a central for next time */
    bool consumes[VL_CLASSES]; /* a magazine has overflowed, none has run empty since */
    uint8_t counted[VL_CLASSES];                  /* objects that are in held_bytes */
    bool busy[VL_CLASSES];                   /* had a slow path since the cache was last tidied */
    uint8_t class_of[VL_SIZE_TABLE_MAX + 1]; /* size -> class; all 0: every malloc is slow */

    /* With several nodes: the objects in the outbox, by their nodes; and those so far that were freed, and
     * not kept, but passed on within the node. */
    uint8_t outgoing[VL_NODE_INDEX_MAX];
    _Atomic uint64_t passed_blocks;
};

_Static_assert(sizeof(struct vl_cache) <= 1 << VL_CACHE_SHIFT, "a cache fits its place in the pool");

extern struct vl_pool vl_cache_pool;

/* The one thread-local variable. Initial-exec: no call to reach it, in a preloaded library or out. */
extern _Thread_local struct vl_cache *vl_cache_self __attribute__((tls_model("initial-exec")));

/* Key whose destructor parks a thread's cache. Once, at the start of the process. */
void vl_cache_start(void);

/* The cache to work with in a slow path, between enter and leave: the thread's own, given to it if
 * need be, or a borrowed one. NULL if there is none: go without. */
struct vl_cache *vl_cache_enter(void);
void vl_cache_leave(struct vl_cache *cache);

/* Closes the fast path where every block is filled or every call counted, or opens it. */
void vl_cache_follow_options(struct vl_cache *cache);

/* Whether malloc and free may use the cache without more ado: it is the thread's own, and nothing is to
 * be done to each block. */
static inline bool vl_cache_is_open(const struct vl_cache *cache)
{
    return cache->class_of[0] != 0;
}

/* The loaded magazine and the spare change places, at the end of the loaded one; not when the clock is
 * due to be looked at, which a real slow path does. */
static inline void vl_cache_swap(struct vl_cache *cache, unsigned class, bool consumes)
{
    void **top = cache->top[class];
    vl_count(&cache->inside, 1);
    atomic_signal_fence(memory_order_seq_cst); /* for the child of a fork, as in vl_free */
    vl_own_set(&cache->top[class], cache->spare[class]);
    vl_own_set(&cache->spare[class], top);
    atomic_signal_fence(memory_order_seq_cst);
    vl_count(&cache->inside, -1);
    cache->consumes[class] = consumes;
    cache->ticks--;
}

/* An object from one of the two magazines of an open cache; NULL if that takes a slow path. */
static inline void *vl_cache_take(struct vl_cache *cache, unsigned class)
{
    if (vl_magazine_is_empty(cache->top[class])) {
        if (vl_magazine_is_empty(cache->spare[class]) || cache->ticks == 1)
            return NULL;
        vl_cache_swap(cache, class, false);
    }
    void **top = cache->top[class];
    vl_own_set(&cache->top[class], top + 1);
    return *top;
}

/* An object into one of them; false if that takes a slow path. */
static inline bool vl_cache_give(struct vl_cache *cache, unsigned class, void *object)
{
    if (vl_magazine_is_full(cache->top[class])) {
        if (cache->consumes[class] || vl_magazine_is_full(cache->spare[class]) || cache->ticks == 1)
            return false;
        vl_cache_swap(cache, class, true);
    }
    void **top = cache->top[class] - 1;
    *top = object;
    atomic_signal_fence(memory_order_release); /* as in vl_free */
    vl_own_set(&cache->top[class], top);
    return true;
}

/* Slow paths of the two operations; the loaded magazine is empty, or full. */
void *vl_cache_refill(struct vl_cache *cache, unsigned class);
void vl_cache_overflow(struct vl_cache *cache, unsigned class, void *object);

/* Sends an object of another node home, some time. */
void vl_cache_send(struct vl_cache *cache, unsigned node, unsigned class, void *object);

/* Sorts what other nodes' threads have freed, as far as it has arrived, into the spans. */
void vl_inbox_open(unsigned node);

/* Empties every magazine into depots and spans. */
void vl_cache_flush(struct vl_cache *cache);

/* Empties the parked caches of every node. */
void vl_cache_flush_parked(void);

/* A cache for the blocks of an object's heap, which gets its magazines from `node`; NULL if there is
 * none. And back: what is in it is forgotten. */
struct vl_cache *vl_cache_lend(struct vl_heap *heap, unsigned node);
void vl_cache_take_back(struct vl_cache *cache);

/* Child of a fork: parks the caches of the threads that are not there any more. */
void vl_cache_after_fork(void);

/* Objects in the magazines of all threads; approximate while these run. */
void vl_caches_visit(vl_visit_object *visit, void *argument);

/* Objects of `class` in the magazines of a cache; approximate while its owner runs. */
unsigned vl_cache_count(const struct vl_cache *cache, unsigned class);

#endif
