#include "cache/thread.h"

#include "cache/central.h"
#include "cache/fork.h"
#include "cache/parking.h"
#include "cache/purger.h"
#include "cache/reserve.h"
#include "cache/trim.h"

#include <pthread.h>
#include <string.h>

struct vl_pool vl_cache_pool;

/* Their magazines are the null magazine where it matters: top[0] is what a size or a pointer that
 * finds no class is looked up in. home_size 0 makes every pointer foreign. */
static struct vl_cache start_cache = {
    .state = VL_CACHE_START, .outbox = vl_null_magazine, .top[0] = vl_null_magazine};
static struct vl_cache gone_cache; /* made as that one before any thread can go */

_Thread_local struct vl_cache *vl_cache_self = &start_cache;

/* A thread whose cache cannot be parked at its exit gets none. */
static pthread_key_t exit_key;
static bool exit_key_made;

enum {
    REFILL_FIRST = 8, /* objects of a class's first refill, if not tiny; each next one doubles it */
    TICKS = 256,      /* slow paths between two looks at the clock */
    REHOME_AFTER = 3, /* slow paths in a row on another node */
    KEPT_MAX = 4096,  /* bytes; objects above it are not kept where they lie idle */
    STRANGERS = 16,   /* tiny objects of others that a new cache sends home */
};

static _Atomic uint32_t *link_of(uint32_t id)
{
    return &((struct vl_cache *)vl_pool_item(&vl_cache_pool, id))->below;
}

/* VALLOC_FILL and VALLOC_COUNT are seen to by the slow paths. */
static bool fast_path_wanted(void)
{
    return vl_options.fill_mode == VL_FILL_NONE && !vl_options.count;
}

static void set_home(struct vl_cache *cache, unsigned node)
{
    const struct vl_slice *home = vl_place_home(node);
    vl_own_set(&cache->node, (uint16_t)node);
    vl_own_set(&cache->heap, &vl_node_heaps[node]);
    cache->rehome_votes = 0;
    cache->home_size = 0;
    if (home == NULL || !fast_path_wanted())
        return; /* every free takes the slow path */
    cache->home_start = home->start;
    cache->home_map = home->class_map;
    cache->home_size = home->size;
}

static void fill_class_table(struct vl_cache *cache)
{
    size_t size = 0;
    for (unsigned class = 1; size < VL_SIZE_TABLE_MAX; class++) {
        size_t end = vl_size_classes[class].size;
        memset(&cache->class_of[size], (int)class, end + 1 - size);
        size = end + 1;
    }
}

void vl_cache_follow_options(struct vl_cache *cache)
{
    bool wanted = fast_path_wanted();
    if (vl_likely(vl_cache_is_open(cache) == wanted))
        return;
    if (wanted)
        fill_class_table(cache);
    else
        memset(cache->class_of, 0, sizeof cache->class_of);
    set_home(cache, cache->node);
}

/* One without magazines, and without a heap. */
static struct vl_cache *make_bare(void)
{
    uint32_t id = vl_pool_take(&vl_cache_pool, 1);
    if (id == 0)
        return NULL;
    struct vl_cache *cache = vl_pool_item(&vl_cache_pool, id);
    for (unsigned bin = 0; bin < VL_BINS; bin++)
        vl_own_set(&cache->top[bin], vl_null_magazine);
    for (unsigned class = 0; class < VL_CLASSES; class++)
        vl_own_set(&cache->spare[class], vl_null_magazine);
    vl_own_set(&cache->outbox, vl_null_magazine);
    cache->ticks = TICKS;
    cache->requests = vl_get(&vl_limit_requests);
    vl_set(&cache->identity, id);
    return cache;
}

static struct vl_cache *make_cache(unsigned node)
{
    struct vl_cache *cache = make_bare();
    if (cache == NULL)
        return NULL;
    if (vl_get(&cache->identity) > 1)
        vl_fork_watch(); /* a second thread, which a fork may find busy */
    set_home(cache, node);
    return cache;
}

static uint8_t refill_first(unsigned class)
{
    return class <= VL_TINY_CLASSES ? VL_SPAN_GROUP : REFILL_FIRST;
}

static void begin_small(struct vl_cache *cache)
{
    for (unsigned class = 1; class < VL_CLASSES; class++)
        cache->refill[class] = refill_first(class);
}

static struct vl_cache *take_cache(void)
{
    unsigned node = vl_topology_here(&vl_topology);
    struct vl_cache *cache = vl_parking_get(node);
    if (cache == NULL)
        cache = make_cache(node);
    if (cache == NULL)
        return NULL;
    vl_cache_follow_options(cache);
    begin_small(cache);
    vl_set_release(&cache->state, VL_CACHE_OWNED); /* from now on statistics look at it */
    return cache;
}

static void park(struct vl_cache *cache)
{
    vl_set(&cache->state, VL_CACHE_PARKED);
    vl_set(&cache->inside, 0);
    vl_set_release(&cache->identity, vl_get(&cache->identity) + ((uint64_t)1 << VL_ID_BITS));
    vl_parking_put(cache);
}

static void send_outbox(struct vl_cache *cache);
static int64_t weigh_all(struct vl_cache *cache);

static void on_thread_exit(void *own)
{
    struct vl_cache *cache = own;
    vl_set(&cache->inside, 1);
    vl_cache_self = &gone_cache;
    if (vl_parking_is_full(cache->node, weigh_all(cache)))
        vl_cache_flush(cache);
    else
        send_outbox(cache);
    park(cache);
}

void vl_cache_start(void)
{
    gone_cache.outbox = gone_cache.top[0] = vl_null_magazine;
    vl_set(&gone_cache.state, VL_CACHE_GONE);
    exit_key_made = pthread_key_create(&exit_key, on_thread_exit) == 0;
}

/* Gives the thread a cache, or, if it has none to lose any more, lends it one. */
static struct vl_cache *adopt(void)
{
    if (vl_cache_self == &start_cache)
        vl_binding_come(); /* before: its cache is of the node that it runs on */
    struct vl_cache *cache = take_cache();
    if (cache == NULL)
        return NULL;
    vl_count(&cache->inside, 1);
    if (vl_cache_self == &start_cache && exit_key_made) {
        vl_cache_self = cache;
        /* May call calloc, which finds the cache in place. */
        if (pthread_setspecific(exit_key, cache) != 0)
            vl_cache_self = &gone_cache;
    }
    return cache;
}

struct vl_cache *vl_cache_enter(void)
{
    struct vl_cache *cache = vl_cache_self;
    if (vl_unlikely(vl_get(&cache->state) != VL_CACHE_OWNED))
        return adopt();
    vl_count(&cache->inside, 1);
    return cache;
}

void vl_cache_leave(struct vl_cache *cache)
{
    if (vl_unlikely(cache == NULL))
        return;
    if (vl_unlikely(cache != vl_cache_self))
        park(cache); /* borrowed */
    else
        vl_count(&cache->inside, -1);
}

static void **empty_magazine(const struct vl_cache *cache, unsigned class)
{
    return vl_magazine_take(cache->node, vl_size_classes[class].capacity);
}

/* Sends a magazine's objects away: with it to the depot if it is full and there is room, else into the
 * spans. What is left to the caller: the magazine, empty, or the null magazine. */
static void **emptied(struct vl_cache *cache, unsigned class, void **top)
{
    unsigned capacity = vl_size_classes[class].capacity;
    unsigned count = vl_magazine_count(top, capacity);
    if (count == 0)
        return top;
    if (count == capacity && vl_depot_put(&cache->heap->classes[class].depot, class, top))
        return vl_null_magazine;
    vl_central_give(class, top, count, "free");
    return vl_magazine_of(top) + capacity;
}

/* Of what the program has freed, so many are not kept. What a flush sends away need not have been freed. */
static void note_passed(struct vl_cache *cache, unsigned blocks)
{
    if (vl_topology.count > 1 && !cache->heap->holds)
        vl_count(&cache->passed_blocks, blocks);
}

static void **unhook_spare(struct vl_cache *cache, unsigned class)
{
    void **spare = cache->spare[class];
    vl_own_set(&cache->spare[class], vl_null_magazine);
    return spare;
}

static void dispatch(struct vl_cache *cache, unsigned class, void **top)
{
    vl_magazine_give(cache->node, emptied(cache, class, top));
}

static void dispatch_spare(struct vl_cache *cache, unsigned class)
{
    dispatch(cache, class, unhook_spare(cache, class));
}

static void dispatch_loaded(struct vl_cache *cache, unsigned class)
{
    void **top = cache->top[class];
    vl_own_set(&cache->top[class], vl_null_magazine);
    dispatch(cache, class, top);
}

static void flush_class(struct vl_cache *cache, unsigned class)
{
    dispatch_loaded(cache, class);
    dispatch_spare(cache, class);
    cache->refill[class] = refill_first(class);
}

/* Brings held_bytes up to date for one class. */
static void count_in(struct vl_cache *cache, unsigned class)
{
    const struct vl_size_class *c = &vl_size_classes[class];
    unsigned count = vl_magazine_count(cache->top[class], c->capacity) +
                     vl_magazine_count(cache->spare[class], c->capacity);
    cache->held_bytes += ((int64_t)count - cache->counted[class]) * c->size;
    cache->counted[class] = (uint8_t)count;
}

static int64_t weigh_all(struct vl_cache *cache)
{
    for (unsigned class = 1; class < VL_CLASSES; class++)
        count_in(cache, class);
    return cache->held_bytes;
}

/* What a class loses where the cache is too heavy. */
typedef void lose_fn(struct vl_cache *cache, unsigned class);

static bool is_idle(const struct vl_cache *cache, unsigned class)
{
    return !cache->busy[class];
}

static bool is_large_and_idle(const struct vl_cache *cache, unsigned class)
{
    return vl_size_classes[class].size > KEPT_MAX && is_idle(cache, class);
}

static bool is_any(const struct vl_cache *cache, unsigned class)
{
    return (void)cache, (void)class, true;
}

/* Lets the classes that `which` names lose something, the largest first, until `goal` is reached. */
static void lighten(struct vl_cache *cache, int64_t goal, lose_fn *lose,
                    bool (*which)(const struct vl_cache *cache, unsigned class))
{
    for (unsigned class = VL_CLASSES - 1; class > 0 && cache->held_bytes > goal; class--) {
        if (cache->counted[class] == 0 || !which(cache, class))
            continue;
        unsigned before = cache->counted[class];
        lose(cache, class);
        count_in(cache, class);
        note_passed(cache, before - cache->counted[class]);
    }
}

/*
 * Keeps the cache within VALLOC_THREAD_CACHE, all of it weighed. If it is too heavy, the idle classes lose
 * everything, then the others their spare magazines, then everything, until half of the limit is left.
 */
static void trim(struct vl_cache *cache)
{
    int64_t limit = (int64_t)vl_options.thread_cache_bytes;
    if (cache->held_bytes <= limit)
        return;
    lighten(cache, limit / 2, flush_class, is_idle);
    lighten(cache, limit / 2, dispatch_spare, is_any);
    lighten(cache, limit / 2, flush_class, is_any);
}

/* Once in TICKS slow paths. A table that grows leaves a block of each class behind. */
static void tidy(struct vl_cache *cache)
{
    weigh_all(cache);
    lighten(cache, 0, flush_class, is_large_and_idle);
    trim(cache);
    memset(cache->busy, 0, sizeof cache->busy);
}

/* Weighs a class at the start of a slow path, which may add a magazine to it. */
static void weigh(struct vl_cache *cache, unsigned class)
{
    cache->busy[class] = true;
    count_in(cache, class);
    if (vl_likely(cache->held_bytes <= (int64_t)vl_options.thread_cache_bytes))
        return;
    weigh_all(cache);
    trim(cache);
}

void vl_cache_flush(struct vl_cache *cache)
{
    for (unsigned class = 1; class < VL_CLASSES; class++)
        flush_class(cache, class);
    weigh_all(cache);
    send_outbox(cache);
}

void vl_cache_flush_parked(void)
{
    for (unsigned node = 0; node < vl_topology.count; node++) {
        struct vl_idstack flushed = {0};
        struct vl_cache *cache;
        uint32_t id;
        while ((cache = vl_parking_get(node)) != NULL) {
            vl_cache_flush(cache);
            vl_idstack_push(&flushed, vl_pool_id(&vl_cache_pool, cache), link_of,
                            VL_IDSTACK_COUNT_MAX);
        }
        while ((id = vl_idstack_pop(&flushed, link_of)) != 0)
            park(vl_pool_item(&vl_cache_pool, id));
    }
}

/* The thread may have moved: look where it is, and after some times in a row follow it. */
static void consider_home(struct vl_cache *cache)
{
    if (vl_unlikely(cache->home_size == 0))
        set_home(cache, cache->node); /* there was none yet */
    if (vl_topology.count == 1)
        return;
    unsigned here = vl_topology_here(&vl_topology);
    if (here == cache->node) {
        cache->rehome_votes = 0;
    } else if (++cache->rehome_votes >= REHOME_AFTER) {
        vl_cache_flush(cache);
        set_home(cache, here);
        vl_add(&vl_traffic[here].rehomed, 1);
    }
}

void vl_inbox_open(unsigned node)
{
    void **magazine;
    while ((magazine = vl_inbox_get(node)) != NULL) {
        vl_central_give_mixed(magazine, VL_MAGAZINE_CAPACITY_MAX, "free");
        vl_magazine_give(node, magazine + VL_MAGAZINE_CAPACITY_MAX);
    }
}

/* At the beginning of each slow path, when nothing is under way. Threads are made only by who takes: glibc
 * frees with locks held that pthread_create wants. Where taking and giving alternate, each has its turn. */
static void tick(struct vl_cache *cache, bool takes)
{
    if (vl_unlikely(vl_limit_is_pressed(&cache->requests)))
        vl_trim();
    if (--cache->ticks != 0)
        return;
    cache->ticks = takes ? TICKS : TICKS - 1;
    tidy(cache);
    if (takes)
        vl_reserve_watch(0);
    if (vl_topology.count > 1)
        vl_inbox_open(cache->node);
    if (vl_options.purge_delay_ms >= 0)
        vl_place_purge((uint64_t)vl_options.purge_delay_ms);
    vl_purger_wake(takes);
}

/* A magazine filled from the spans, its count growing from refill to refill; the same magazine,
 * empty as it was, if there is no memory. */
static void **fill_from_spans(struct vl_cache *cache, unsigned class, void **top)
{
    unsigned capacity = vl_size_classes[class].capacity;
    unsigned want = cache->refill[class] < capacity ? cache->refill[class] : capacity;
    void **slots = vl_magazine_of(top);
    unsigned got = vl_central_take(cache->heap, class, slots, want);
    cache->refill[class] = (uint8_t)vl_min(2 * (size_t)want, VL_MAGAZINE_CAPACITY_MAX);
    if (got != capacity)
        memmove(slots + capacity - got, slots, got * sizeof *slots);
    return slots + capacity - got;
}

/* Makes the loaded magazine of a class not empty; false if there is no memory. */
static bool load(struct vl_cache *cache, unsigned class)
{
    void **top = cache->top[class], **spare = cache->spare[class];
    if (!vl_magazine_is_empty(spare)) {
        vl_own_set(&cache->top[class], spare);
        vl_own_set(&cache->spare[class], top);
        return true;
    }
    void **full = vl_depot_get(&cache->heap->classes[class].depot);
    if (full != NULL) {
        vl_own_set(&cache->top[class], full);
        if (vl_magazine_is_null(spare))
            vl_own_set(&cache->spare[class], top);
        else
            vl_magazine_give(cache->node, top);
        return true;
    }
    if (vl_magazine_is_null(top))
        top = empty_magazine(cache, class);
    if (vl_magazine_is_null(top))
        return false;
    top = fill_from_spans(cache, class, top);
    vl_own_set(&cache->top[class], top);
    return !vl_magazine_is_empty(top);
}

/* One object without a magazine to put others into. */
static void *take_single(struct vl_heap *heap, unsigned class)
{
    void *object;
    return vl_central_take(heap, class, &object, 1) == 1 ? object : NULL;
}

/* What a thread's own cache sees to when it needs objects. */
static void come_home(struct vl_cache *cache)
{
    vl_cache_follow_options(cache); /* mallopt may have changed them */
    consider_home(cache);
    if (vl_topology.count > 1)
        vl_inbox_open(cache->node);
}

void *vl_cache_refill(struct vl_cache *cache, unsigned class)
{
    tick(cache, true);
    if (!cache->heap->holds)
        come_home(cache);
    weigh(cache, class);
    cache->consumes[class] = false;
    if (!load(cache, class))
        return take_single(cache->heap, class);
    void **top = cache->top[class];
    vl_own_set(&cache->top[class], top + 1);
    return *top;
}

/* Makes room in the loaded magazine of a class, which is full or the null magazine; false if there
 * is no memory for a magazine. */
static bool unload(struct vl_cache *cache, unsigned class)
{
    void **next = vl_null_magazine; /* to be loaded, empty */
    unsigned capacity = vl_size_classes[class].capacity;
    if (cache->consumes[class]) {
        note_passed(cache, vl_magazine_count(cache->top[class], capacity));
        dispatch_loaded(cache, class);
    }
    if (cache->consumes[class] || vl_magazine_is_full(cache->spare[class])) {
        note_passed(cache, vl_magazine_count(cache->spare[class], capacity));
        next = emptied(cache, class, unhook_spare(cache, class));
    }
    if (vl_magazine_is_null(next) && vl_magazine_is_null(cache->spare[class]))
        next = empty_magazine(cache, class);
    cache->consumes[class] = true;
    /* A hook in there may have called us: look anew. From here on there is none. */
    void **top = cache->top[class], **spare = cache->spare[class];
    bool room = !vl_magazine_is_full(top);
    if (!room && !vl_magazine_is_full(spare)) {
        vl_own_set(&cache->spare[class], top);
        vl_own_set(&cache->top[class], spare);
        room = true;
    } else if (!room && vl_magazine_is_null(spare) && !vl_magazine_is_null(next)) {
        vl_own_set(&cache->spare[class], top);
        vl_own_set(&cache->top[class], next);
        return true;
    }
    vl_magazine_give(cache->node, next);
    return room;
}

/*
 * Whether a tiny object should rather not be kept. The first ones that a thread frees before it has
 * allocated any are another thread's, which uses their neighbours: handed out again here, the two
 * would share cache lines for good. A thread that frees more of them than this is a consumer.
 */
static bool is_stranger(struct vl_cache *cache, unsigned class)
{
    return class <= VL_TINY_CLASSES && vl_magazine_is_null(cache->top[class]) &&
           cache->strangers[class] < STRANGERS && ++cache->strangers[class];
}

void vl_cache_overflow(struct vl_cache *cache, unsigned class, void *object)
{
    if (is_stranger(cache, class)) {
        vl_central_give(class, &object, 1, "free");
        return;
    }
    tick(cache, false);
    weigh(cache, class);
    if (!unload(cache, class)) {
        vl_central_give(class, &object, 1, "free");
        return;
    }
    void **top = cache->top[class] - 1;
    *top = object;
    vl_own_set(&cache->top[class], top);
}

/* Counts what is about to go home. Before it goes: the sender does not look at it afterwards. */
static void note_outgoing(struct vl_cache *cache)
{
    for (unsigned node = 0; node < vl_topology.count; node++)
        if (cache->outgoing[node] != 0) {
            vl_traffic_freed(cache->node, node, cache->outgoing[node]);
            cache->outgoing[node] = 0;
        }
}

/* Hands the outbox over to the node of its first object, or sorts it in where nobody fetches. Others
 * in it may be of other nodes; the inbox is opened pointer by pointer. */
static void send_outbox(struct vl_cache *cache)
{
    void **top = cache->outbox;
    unsigned count = vl_magazine_count(top, VL_MAGAZINE_CAPACITY_MAX);
    if (count == 0)
        return;
    vl_own_set(&cache->outbox,
               vl_null_magazine); /* before: what follows may call a hook that calls us */
    note_outgoing(cache);
    if (vl_magazine_is_full(top) && vl_inbox_put(vl_slice_of(*top)->node, top))
        return;
    vl_central_give_mixed(top, count, "free");
    vl_magazine_give(cache->node, vl_magazine_of(top) + VL_MAGAZINE_CAPACITY_MAX);
}

void vl_cache_send(struct vl_cache *cache, unsigned node, unsigned class, void *object)
{
    vl_count(&cache->sent_blocks, 1);
    vl_count(&cache->sent_bytes, vl_size_classes[class].size);
    if (vl_magazine_is_full(cache->outbox)) { /* the null magazine is, too */
        send_outbox(cache);
        if (vl_magazine_is_null(cache->outbox))
            vl_own_set(&cache->outbox, vl_magazine_take(cache->node, VL_MAGAZINE_CAPACITY_MAX));
        if (vl_magazine_is_null(cache->outbox)) {
            vl_traffic_freed(cache->node, node, 1);
            vl_central_give_mixed(&object, 1, "free");
            return;
        }
    }
    void **top = cache->outbox - 1;
    *top = object;
    vl_own_set(&cache->outbox, top);
    cache->outgoing[node]++;
}

/* Taken back, for the next object. */
static struct vl_idstack spares;

struct vl_cache *vl_cache_lend(struct vl_heap *heap, unsigned node)
{
    uint32_t id = vl_idstack_pop(&spares, link_of);
    struct vl_cache *cache = id != 0 ? vl_pool_item(&vl_cache_pool, id) : make_bare();
    if (cache == NULL)
        return NULL;
    vl_own_set(&cache->node, (uint16_t)node);
    vl_own_set(&cache->heap, heap);
    cache->slice = NULL;
    begin_small(cache);
    vl_set_release(&cache->state, VL_CACHE_LENT);
    return cache;
}

static void **forgotten(const struct vl_cache *cache, unsigned class, void **top)
{
    if (!vl_magazine_is_null(top))
        vl_magazine_give(cache->node, vl_magazine_of(top) + vl_size_classes[class].capacity);
    return vl_null_magazine;
}

void vl_cache_take_back(struct vl_cache *cache)
{
    vl_set(&cache->state, VL_CACHE_START);
    vl_set(&cache->holder, 0);
    vl_set(&cache->serial, 0);
    for (unsigned class = 1; class < VL_CLASSES; class++) {
        vl_own_set(&cache->top[class], forgotten(cache, class, cache->top[class]));
        vl_own_set(&cache->spare[class], forgotten(cache, class, cache->spare[class]));
    }
    memset(cache->consumes, 0, sizeof cache->consumes);
    weigh_all(cache);
    vl_idstack_push(&spares, vl_pool_id(&vl_cache_pool, cache), link_of, VL_IDSTACK_COUNT_MAX);
}

void vl_cache_after_fork(void)
{
#if defined(__x86_64__) || defined(__i386__)
    /* Elsewhere a store to `top` may be seen before the one to its slot: those caches are lost. */
    for (uint32_t id = 1; id < vl_pool_end(&vl_cache_pool); id++) {
        struct vl_cache *cache = vl_pool_item(&vl_cache_pool, id);
        if (vl_get(&cache->state) == VL_CACHE_OWNED && cache != vl_cache_self &&
            !vl_get(&cache->inside))
            park(cache);
    }
#endif
}

unsigned vl_cache_count(const struct vl_cache *cache, unsigned class)
{
    if (vl_get_acquire(&cache->state) == VL_CACHE_START)
        return 0; /* just being made */
    unsigned capacity = vl_size_classes[class].capacity;
    return vl_magazine_count(vl_peek(&cache->top[class]), capacity) +
           vl_magazine_count(vl_peek(&cache->spare[class]), capacity);
}

void vl_caches_visit(vl_visit_object *visit, void *argument)
{
    for (uint32_t id = 1; id < vl_pool_end(&vl_cache_pool); id++) {
        const struct vl_cache *cache = vl_pool_item(&vl_cache_pool, id);
        if (vl_get_acquire(&cache->state) == VL_CACHE_START)
            continue; /* just being made */
        for (unsigned class = 1; class < VL_CLASSES; class++) {
            unsigned capacity = vl_size_classes[class].capacity;
            vl_magazine_visit(vl_peek(&cache->top[class]), capacity, visit, argument);
            vl_magazine_visit(vl_peek(&cache->spare[class]), capacity, visit, argument);
        }
        vl_magazine_visit(vl_peek(&cache->outbox), VL_MAGAZINE_CAPACITY_MAX, visit, argument);
    }
}
