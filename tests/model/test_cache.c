/*
 * cache/magazine and cache/thread in every order of three threads: the depot's slots, the outbox
 * that is handed over, the cache that is parked. Whatever was freed arrives once.
 */
#include "tests/api/support.h"

#define VL_PARKING_STACKS 2
#include "cache/parking.c"
#include "cache/thread.c"

#include <sys/mman.h>

/* Objects are addresses in a slice of node 1; nothing is there. */
enum { CACHES = 5, MAGAZINES = 16, OBJECTS = 160, CLASS = 77, CAPACITY = 2 };

#define OBJECTS_START ((uintptr_t)1 << 32)

static struct {
    _Alignas(1 << VL_CACHE_SHIFT) char caches[CACHES << VL_CACHE_SHIFT];
    _Alignas(1 << VL_MAGAZINE_SHIFT) char magazines[MAGAZINES << VL_MAGAZINE_SHIFT];
    uint8_t arrived[OBJECTS];
    bool owned[CACHES]; /* by a thread that is alive */
} world;

static struct vl_depot *const depot = &vl_node_heaps[0].classes[CLASS].depot;

static void *object_of(unsigned number)
{
    return (void *)(OBJECTS_START + number * VL_MIN_ALIGN);
}

/* Slice 0 goes, with its tables, when so many objects have arrived; 0: it stays. */
static unsigned last_of_slice;
static unsigned arrived_in_all;
static void *tables;

enum { TABLE_BYTES = 4096 };

static void arrive(const void *object)
{
    size_t number = ((uintptr_t)object - OBJECTS_START) / VL_MIN_ALIGN;
    explore_assert(number < OBJECTS);
    explore_assert(world.arrived[number]++ == 0);
    if (++arrived_in_all == last_of_slice) {
        vl_slices[0].size = 0;
        mprotect(tables, TABLE_BYTES, PROT_NONE); /* not put back: nobody has seen them */
    }
}

/* --------------------------------------------------------------------------------------------
 * What is around: spans that take everything and have nothing, one cache of each kind of memory
 * -------------------------------------------------------------------------------------------- */

struct vl_heap vl_node_heaps[VL_NODE_INDEX_MAX];
struct vl_topology vl_topology = {.count = 2, .nearest = {{0, 1}, {1, 0}}};
struct vl_traffic vl_traffic[VL_NODE_INDEX_MAX];

unsigned vl_topology_here(const struct vl_topology *topology)
{
    return (void)topology, 0;
}

unsigned vl_central_take(struct vl_heap *heap, unsigned class, void **objects, unsigned count)
{
    return (void)heap, (void)class, (void)objects, (void)count, 0;
}

void vl_central_give_mixed(void *const *objects, unsigned count, const char *function)
{
    (void)function;
    explore_point();
    for (unsigned i = 0; i < count; i++)
        arrive(objects[i]);
    explore_point();
}

void vl_central_give(unsigned class, void *const *objects, unsigned count, const char *function)
{
    explore_assert(class == CLASS);
    vl_central_give_mixed(objects, count, function);
}

struct vl_slice *vl_place_home(unsigned node)
{
    return (void)node, NULL;
}

size_t vl_place_purge(uint64_t age_ms)
{
    return (void)age_ms, 0;
}

void vl_binding_come(void)
{
}

void vl_purger_wake(bool may_make)
{
    (void)may_make;
}

_Atomic bool vl_reserve_wanted;

void vl_reserve_look(uint64_t more)
{
    (void)more;
}

size_t vl_trim(void)
{
    return 0;
}

void vl_fork_watch(void)
{
}

static int accept_access(void *start, size_t size, enum vl_access access)
{
    return (void)start, (void)size, (void)access, 0;
}

/* All on one CPU, so that they meet at one stack; the other one is empty. */
static int run_there(unsigned *cpu, unsigned *node)
{
    return *cpu = *node = 0;
}

static const struct vl_os model_os = {
    .protect = accept_access, .yield = explore_yield, .where = run_there};

static void start_world(void)
{
    vl_os = &model_os;
    vl_slices[0].start = OBJECTS_START;
    vl_slices[0].size = OBJECTS * VL_MIN_ALIGN;
    vl_slices[0].node = 1;
    vl_slice_count = 1;
    vl_pool_start(&vl_cache_pool, world.caches, VL_CACHE_SHIFT, CACHES);
    vl_pool_start(&vl_magazine_pool, world.magazines, VL_MAGAZINE_SHIFT, MAGAZINES);
    vl_cache_start();
    explore_watch(&world, sizeof world);
    explore_watch(&arrived_in_all, sizeof arrived_in_all);
    explore_watch(&vl_traffic[0].to[1], sizeof vl_traffic[0].to[1]);
    explore_watch(vl_slices, 2 * sizeof *vl_slices);
    explore_thread_local(&vl_cache_self, sizeof vl_cache_self);
}

static struct explore scenario_of(const char *name, void (*a)(void), void (*b)(void),
                                  void (*c)(void), void (*check)(void))
{
    return (struct explore){
        .name = name, .threads = {a, b, c}, .check = check, .preemptions = EXPLORE_EVERY_ORDER};
}

static void assert_sound(struct explore scenario)
{
    ck_assert_pstr_eq(explore(&scenario).violation, NULL);
}

static void assert_found(struct explore scenario)
{
    ck_assert_ptr_nonnull(explore(&scenario).violation);
}

static void assert_torn_is_found(struct explore scenario, const void *word)
{
    scenario.fault = (struct explore_fault){EXPLORE_TORN, word, 0};
    assert_found(scenario);
}

/* --- What there must be in the end --- */

static void empty_depot(void)
{
    void **top;
    while ((top = vl_depot_get(depot)) != NULL) {
        for (unsigned i = 0; i < CAPACITY; i++)
            arrive(top[i]);
        vl_magazine_give(0, top + CAPACITY);
    }
}

static void check_arrived(unsigned objects)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        explore_assert(world.arrived[i] == (i < objects));
}

/* All that were ever made are empty, and in one stack of empty ones each. */
static void check_magazines(void)
{
    bool found[MAGAZINES] = {false};
    unsigned count = 0;
    for (unsigned node = 0; node < 2; node++) {
        uint32_t left = vl_idstack_count(vl_exchanges[node].empty.word);
        for (; left > 0; left--, count++) {
            void **top = vl_magazine_take(node, VL_MAGAZINE_CAPACITY_MAX);
            explore_assert(vl_magazine_is_empty(top));
            uint32_t id = vl_pool_id(&vl_magazine_pool, top);
            explore_assert(!found[id]);
            found[id] = true;
        }
    }
    explore_assert(count == vl_pool_end(&vl_magazine_pool) - 1);
}

/* --------------------------------------------------------------------------------------------
 * The depot: room for one full magazine of this class
 * -------------------------------------------------------------------------------------------- */

static void fill_and_put(unsigned first)
{
    void **top = vl_magazine_take(0, CAPACITY);
    explore_assert(!vl_magazine_is_null(top));
    for (unsigned i = 0; i < CAPACITY; i++)
        *--top = object_of(first + i);
    if (vl_depot_put(depot, CLASS, top))
        return;
    vl_central_give(CLASS, top, CAPACITY, "free");
    vl_magazine_give(0, top + CAPACITY);
}

static void get_and_use(void)
{
    void **top = vl_depot_get(depot);
    for (unsigned i = 0; top != NULL && i < CAPACITY; i++)
        arrive(top[i]);
    if (top != NULL)
        vl_magazine_give(0, top + CAPACITY);
}

static void put_0_get(void)
{
    fill_and_put(0);
    get_and_use();
}

static void put_2(void)
{
    fill_and_put(2);
}

static void get_put_4(void)
{
    get_and_use();
    fill_and_put(4);
}

static void check_depot(void)
{
    explore_assert(vl_idstack_count(depot->full.word) <= 1);
    empty_depot();
    check_arrived(3 * CAPACITY);
    check_magazines();
}

/* As many empty magazines as can be in use at a time. */
static struct explore passing(void)
{
    start_world();
    uint32_t first = vl_pool_take(&vl_magazine_pool, 3);
    for (uint32_t id = first; id < first + 3; id++)
        vl_magazine_give(0, vl_pool_item(&vl_magazine_pool, id));
    return scenario_of("depot", put_0_get, put_2, get_put_4, check_depot);
}

START_TEST(magazines_pass_through_the_depot)
{
    ck_assert_uint_eq(vl_size_classes[CLASS].capacity, CAPACITY);
    assert_sound(passing());
}
END_TEST

START_TEST(a_torn_depot_loses_some)
{
    assert_torn_is_found(passing(), &depot->full.word);
}
END_TEST

START_TEST(torn_empty_ones_are_used_twice)
{
    assert_torn_is_found(passing(), &vl_exchanges[0].empty.word);
}
END_TEST

/* --------------------------------------------------------------------------------------------
 * The outbox: two threads of node 0 hand one over to node 1, where there is room for one
 * -------------------------------------------------------------------------------------------- */

enum { INBOX_FULL = 32, IN_OUTBOX = VL_MAGAZINE_CAPACITY_MAX };

static struct vl_cache *senders[2];

static void send_one_more(struct vl_cache *cache, unsigned object)
{
    vl_cache_send(cache, 1, 1, object_of(object));
}

static void send_first(void)
{
    send_one_more(senders[0], 2 * IN_OUTBOX);
}

static void send_second(void)
{
    send_one_more(senders[1], 2 * IN_OUTBOX + 1);
}

static void open_inbox(void)
{
    vl_inbox_open(1);
}

static void check_sent(void)
{
    vl_inbox_open(1);
    for (unsigned i = 0; i < 2; i++) {
        vl_cache_flush(senders[i]);
        explore_assert(vl_magazine_is_null(senders[i]->outbox));
    }
    vl_inbox_open(1);
    check_arrived(2 * IN_OUTBOX + 2);
    explore_assert(vl_traffic[0].to[1].blocks == 2 * IN_OUTBOX + 2);
    explore_assert(vl_traffic[0].to[1].batches == 4);
    check_magazines();
}

static struct vl_cache *make_sender(unsigned first)
{
    struct vl_cache *cache = make_cache(0);
    cache->outbox = vl_magazine_take(0, IN_OUTBOX);
    for (unsigned i = 0; i < IN_OUTBOX; i++)
        *--cache->outbox = object_of(first + i);
    cache->outgoing[1] = IN_OUTBOX;
    return cache;
}

/* The count is as if all but one of the places were taken by others, which nobody fetches. */
static struct explore outboxes(void)
{
    start_world();
    senders[0] = make_sender(0);
    senders[1] = make_sender(IN_OUTBOX);
    vl_exchanges[1].inbox.word = vl_idstack_make(0, INBOX_FULL - 1, 0);
    return scenario_of("outbox", send_first, send_second, open_inbox, check_sent);
}

START_TEST(what_is_sent_arrives_once)
{
    assert_sound(outboxes());
}
END_TEST

START_TEST(a_torn_inbox_loses_some)
{
    assert_torn_is_found(outboxes(), &vl_exchanges[1].inbox.word);
}
END_TEST

/* --- The slice of what was sent goes: who has sent it must not look at it any more --- */

static void check_last_sent(void)
{
    vl_inbox_open(1);
    explore_assert(vl_slices[0].size == 0);
    vl_cache_flush(senders[0]);
    check_arrived(IN_OUTBOX + 1);
    check_magazines();
}

static void send_from_slice_1(void)
{
    send_one_more(senders[0], IN_OUTBOX);
}

static struct explore last_outbox(void)
{
    start_world();
    senders[0] = make_sender(0);
    last_of_slice = IN_OUTBOX;
    tables = map_table(TABLE_BYTES);
    vl_slices[0].size = IN_OUTBOX * VL_MIN_ALIGN;
    vl_slices[0].class_map = tables;
    vl_slices[1].start = OBJECTS_START + IN_OUTBOX * VL_MIN_ALIGN;
    vl_slices[1].size = (OBJECTS - IN_OUTBOX) * VL_MIN_ALIGN;
    vl_slices[1].node = 1;
    vl_slice_count = 2;
    return scenario_of("last outbox", send_from_slice_1, open_inbox, open_inbox, check_last_sent);
}

START_TEST(what_was_sent_is_not_looked_at)
{
    assert_sound(last_outbox());
}
END_TEST

/* --------------------------------------------------------------------------------------------
 * Parked caches: one thread ends, one begins and ends, one empties those that are parked
 * -------------------------------------------------------------------------------------------- */

static struct vl_cache *ending;
static void (*leave_cache)(void *cache);

static uint32_t cache_id(const struct vl_cache *cache)
{
    return vl_pool_id(&vl_cache_pool, cache);
}

static void end_thread(void)
{
    vl_cache_self = ending;
    world.owned[cache_id(ending)] = false;
    leave_cache(ending);
}

static void begin_and_end(void)
{
    struct vl_cache *cache = vl_cache_enter();
    explore_assert(cache == vl_cache_self);
    explore_assert(!world.owned[cache_id(cache)]);
    world.owned[cache_id(cache)] = true;
    explore_point();
    explore_assert(cache->state == VL_CACHE_OWNED);
    void *object = vl_cache_take(cache, CLASS);
    if (object != NULL)
        arrive(object);
    vl_cache_leave(cache);
    world.owned[cache_id(cache)] = false;
    leave_cache(cache);
}

/* All caches are parked, and what they hold is nowhere else. */
static void check_parked(void)
{
    bool found[CACHES] = {false};
    struct vl_cache *cache;
    uint32_t count = 0;
    for (; (cache = vl_parking_get(0)) != NULL; count++) {
        explore_assert(!found[cache_id(cache)]);
        found[cache_id(cache)] = true;
        vl_cache_flush(cache);
    }
    explore_assert(count == vl_pool_end(&vl_cache_pool) - 1);
    empty_depot();
    check_arrived(2 * CAPACITY);
    check_magazines();
}

static struct vl_cache *make_owned(unsigned first)
{
    struct vl_cache *cache = take_cache();
    cache->top[CLASS] = vl_magazine_take(0, CAPACITY);
    for (unsigned i = 0; i < CAPACITY; i++)
        *--cache->top[CLASS] = object_of(first + i);
    return cache;
}

/* Two are parked, one of which holds something, as does that of the thread that ends. */
static struct explore parking(void (*leave)(void *cache))
{
    start_world();
    leave_cache = leave;
    struct vl_cache *parked[2] = {take_cache(), make_owned(0)};
    ending = make_owned(CAPACITY);
    world.owned[cache_id(ending)] = true;
    park(parked[0]);
    park(parked[1]);
    return scenario_of("parking", end_thread, begin_and_end, vl_cache_flush_parked, check_parked);
}

/* What the cache holds is sent away when it may have another owner. */
static void park_first(void *own)
{
    struct vl_cache *cache = own;
    void **top = cache->top[CLASS];
    park(cache);
    dispatch(cache, CLASS, top);
    cache->top[CLASS] = vl_null_magazine;
}

START_TEST(a_cache_has_one_owner)
{
    assert_sound(parking(on_thread_exit));
}
END_TEST

START_TEST(one_that_is_parked_too_early_has_two)
{
    assert_found(parking(park_first));
}
END_TEST

START_TEST(a_torn_stack_of_parked_ones_loses_some)
{
    assert_torn_is_found(parking(on_thread_exit), &parkings[0].of_cpu[0].word);
}
END_TEST

START_TEST(the_top_alone_does_not_tell)
{
    struct explore scenario = parking(on_thread_exit);
    scenario.fault = (struct explore_fault){EXPLORE_BLIND, &parkings[0].of_cpu[0].word, VL_ID_MAX};
    assert_found(scenario);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("model of caches");
    TCase *depot_case = timed_case("depot", 120);
    TCase *outbox = timed_case("outbox", 120);
    TCase *parked = timed_case("parked", 120);

    tcase_add_test(depot_case, magazines_pass_through_the_depot);
    tcase_add_test(depot_case, a_torn_depot_loses_some);
    tcase_add_test(depot_case, torn_empty_ones_are_used_twice);
    suite_add_tcase(suite, depot_case);

    tcase_add_test(outbox, what_is_sent_arrives_once);
    tcase_add_test(outbox, a_torn_inbox_loses_some);
    tcase_add_test(outbox, what_was_sent_is_not_looked_at);
    suite_add_tcase(suite, outbox);

    tcase_add_test(parked, a_cache_has_one_owner);
    tcase_add_test(parked, one_that_is_parked_too_early_has_two);
    tcase_add_test(parked, a_torn_stack_of_parked_ones_loses_some);
    tcase_add_test(parked, the_top_alone_does_not_tell);
    suite_add_tcase(suite, parked);
    return suite;
}
