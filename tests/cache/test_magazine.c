/*
 * cache/magazine: full, empty and null at every capacity; what depot, inbox and the stack of empty
 * magazines keep; and many threads at one depot.
 */
#include "tests/world.h"

#include <sched.h>

/* Depots and inboxes never look at what the pointers in a magazine point to. */
static void *token(uintptr_t number)
{
    return (void *)(number << 4);
}

static unsigned capacity_of(unsigned class)
{
    return vl_size_classes[class].capacity;
}

static void **full_magazine(unsigned node, unsigned capacity, uintptr_t first_token)
{
    void **top = vl_magazine_take(node, capacity);
    ck_assert(!vl_magazine_is_null(top));
    while (!vl_magazine_is_full(top)) {
        top--;
        *top = token(first_token + (uintptr_t)(top - vl_magazine_of(top)));
    }
    return top;
}

static void check_full_magazine(void **top, unsigned capacity, uintptr_t first_token)
{
    require(vl_magazine_is_full(top));
    for (unsigned i = 0; i < capacity; i++)
        require(top[i] == token(first_token + i));
    require(top[capacity] == NULL);
}

static void set_up(void)
{
    ck_assert(vl_start());
}

/* --- One magazine --- */

START_TEST(fills_and_empties_at_every_capacity)
{
    unsigned capacity = (unsigned)_i;
    void **floor = vl_magazine_take(0, capacity), **top = floor;
    ck_assert_ptr_eq(floor, vl_magazine_of(floor) + capacity);
    ck_assert_uint_eq((uintptr_t)vl_magazine_of(floor) % sizeof vl_null_magazine, 0);
    for (unsigned count = 0; count <= capacity; count++) {
        require(vl_magazine_count(top, capacity) == count);
        require(vl_magazine_is_empty(top) == (count == 0));
        require(vl_magazine_is_full(top) == (count == capacity));
        require(!vl_magazine_is_null(top));
        if (count < capacity)
            *--top = token(count + 1);
    }
    for (unsigned count = capacity; count > 0; count--)
        require(*top++ == token(count));
    ck_assert_ptr_eq(top, floor);
    ck_assert(vl_magazine_is_empty(top));
}
END_TEST

START_TEST(null_magazine_is_full_and_empty)
{
    void **null = vl_null_magazine;
    ck_assert(vl_magazine_is_null(null));
    ck_assert(vl_magazine_is_full(null));
    ck_assert(vl_magazine_is_empty(null));
    ck_assert_uint_eq(vl_magazine_count(null, 2), 0);
    ck_assert_uint_eq(vl_magazine_count(null, 63), 0);
    vl_magazine_give(0, null);
    ck_assert_ptr_ne(vl_magazine_take(0, 63), null);
    ck_assert(is_zero(vl_null_magazine, sizeof vl_null_magazine));
}
END_TEST

/* A magazine serves any capacity after any other, and whatever lay in its last slot meanwhile. */
START_TEST(floor_is_restored)
{
    unsigned before = (unsigned)_i;
    for (unsigned after = 1; after <= VL_MAGAZINE_CAPACITY_MAX; after++) {
        void **full = full_magazine(0, before, 1000);
        void **slots = vl_magazine_of(full);
        vl_magazine_give(0, full + before);
        void **top = vl_magazine_take(0, after);
        require(vl_magazine_of(top) == slots); /* the latest first: it is warm */
        require(top == slots + after && vl_magazine_is_empty(top));
        vl_magazine_give(0, top);
    }
}
END_TEST

START_TEST(magazines_are_disjoint)
{
    enum { COUNT = 100 };
    void **tops[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        tops[i] = full_magazine(0, 63, 100 * i);
    for (unsigned i = 0; i < COUNT; i++)
        check_full_magazine(tops[i], 63, 100 * i);
}
END_TEST

START_TEST(empty_ones_are_used_before_new_ones_are_made)
{
    enum { COUNT = 100 };
    void **tops[COUNT];
    for (int round = 0; round < 3; round++) {
        uint32_t end = vl_pool_end(&vl_magazine_pool);
        for (unsigned i = 0; i < COUNT; i++)
            tops[i] = vl_magazine_take(0, 10);
        for (unsigned i = 0; i < COUNT; i++)
            vl_magazine_give(0, tops[i]);
        if (round > 0)
            ck_assert_uint_eq(vl_pool_end(&vl_magazine_pool), end);
    }
}
END_TEST

static int refuse_protect(void *start, size_t size, enum vl_access access)
{
    (void)start;
    (void)size;
    (void)access;
    return -ENOMEM;
}

START_TEST(null_magazine_where_memory_is_short)
{
    struct vl_os os = vl_os_linux;
    void **top;
    os.protect = refuse_protect;
    vl_os = &os;
    for (uint32_t taken = 0; !vl_magazine_is_null(top = vl_magazine_take(0, 63)); taken++)
        ck_assert_uint_lt(taken, 1 << 20);
    vl_os = &vl_os_linux;
    top = vl_magazine_take(0, 63);
    ck_assert(!vl_magazine_is_null(top));
    ck_assert(vl_magazine_is_empty(top));
}
END_TEST

/* --- Depot and inbox --- */

START_TEST(depot_keeps_contents)
{
    unsigned class = (unsigned)_i, capacity = capacity_of(class);
    void **first = full_magazine(0, capacity, 100), **second = full_magazine(0, capacity, 200);
    ck_assert_ptr_null(vl_depot_get(&vl_node_heaps[0].classes[class].depot));
    if (!vl_depot_put(&vl_node_heaps[0].classes[class].depot, class, first)) {
        check_full_magazine(first, capacity, 100);
        return;
    }
    if (vl_depot_put(&vl_node_heaps[0].classes[class].depot, class,
                     second)) { /* some depots have room for one alone */
        ck_assert_ptr_eq(vl_depot_get(&vl_node_heaps[0].classes[class].depot), second);
        check_full_magazine(second, capacity, 200);
    }
    ck_assert_ptr_eq(vl_depot_get(&vl_node_heaps[0].classes[class].depot), first);
    check_full_magazine(first, capacity, 100);
    ck_assert_ptr_null(vl_depot_get(&vl_node_heaps[0].classes[class].depot));
}
END_TEST

START_TEST(depots_are_apart)
{
    unsigned class = vl_class_of_size(64), capacity = capacity_of(class);
    ck_assert(vl_depot_put(&vl_node_heaps[3].classes[class].depot, class,
                           full_magazine(0, capacity, 100)));
    ck_assert_ptr_null(vl_depot_get(&vl_node_heaps[0].classes[class].depot));
    ck_assert_ptr_null(vl_depot_get(&vl_node_heaps[3].classes[class + 1].depot));
    ck_assert_ptr_null(vl_inbox_get(3));
    ck_assert_ptr_nonnull(vl_depot_get(&vl_node_heaps[3].classes[class].depot));
}
END_TEST

/* A depot takes one magazine at least, and no more than makes 64 KB of objects, but none of objects above
 * 32 KB; it leaves the next to the caller. */
START_TEST(depot_has_a_limit)
{
    unsigned class = (unsigned)_i, capacity = capacity_of(class);
    size_t magazine_bytes = (size_t)vl_size_classes[class].size * capacity;
    unsigned put = 0;
    for (;;) {
        void **top = full_magazine(0, capacity, 100 * put);
        if (!vl_depot_put(&vl_node_heaps[0].classes[class].depot, class, top)) {
            check_full_magazine(top, capacity, 100 * put);
            break;
        }
        put++;
        ck_assert(put == 1 || put * magazine_bytes <= 64 << 10);
    }
    ck_assert_uint_eq(put != 0, vl_size_classes[class].size <= 32 << 10);
    ck_assert(put == 0 || (put + 1) * magazine_bytes > 64 << 10);
    while (put > 0)
        check_full_magazine(vl_depot_get(&vl_node_heaps[0].classes[class].depot), capacity,
                            100 * --put);
    ck_assert_ptr_null(vl_depot_get(&vl_node_heaps[0].classes[class].depot));
}
END_TEST

START_TEST(inbox_has_a_limit)
{
    unsigned put = 0;
    for (;; put++) {
        void **top = full_magazine(1, VL_MAGAZINE_CAPACITY_MAX, 100 * put);
        if (!vl_inbox_put(5, top)) {
            check_full_magazine(top, VL_MAGAZINE_CAPACITY_MAX, 100 * put);
            break;
        }
        ck_assert_uint_lt(put, 1000);
    }
    ck_assert_uint_gt(put, 0);
    ck_assert_ptr_null(vl_inbox_get(1));
    while (put > 0)
        check_full_magazine(vl_inbox_get(5), VL_MAGAZINE_CAPACITY_MAX, 100 * --put);
    ck_assert_ptr_null(vl_inbox_get(5));
}
END_TEST

/* --- Many threads --- */

enum { THREADS = 4, CLASS_BYTES = 64, MAGAZINES = 6, TOKENS = MAGAZINES * 63 };

static _Atomic uint8_t held[TOKENS]; /* 1 while somebody has the token */
static _Atomic uint32_t doubles, passes;

static void claim(void **top, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (atomic_exchange(&held[(uintptr_t)top[i] >> 4], 1) != 0)
            vl_add(&doubles, 1);
}

static void let_go(void **top, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        atomic_store(&held[(uintptr_t)top[i] >> 4], 0);
}

/* Moves a full magazine's tokens into another magazine, from the stack of empty ones. */
static void **repack(void **full, unsigned capacity)
{
    void **top = vl_magazine_take(0, capacity);
    if (vl_magazine_is_null(top) || !vl_magazine_is_empty(top))
        vl_add(&doubles, 1);
    for (unsigned i = 0; i < capacity; i++)
        *--top = full[i];
    vl_magazine_give(0, full + capacity);
    return top;
}

static void *exchange(void *unused)
{
    unsigned class = vl_class_of_size(CLASS_BYTES), capacity = capacity_of(class);
    (void)unused;
    for (size_t i = 0; i < scaled(20000); i++) {
        void **full = vl_depot_get(&vl_node_heaps[0].classes[class].depot);
        if (full == NULL) {
            sched_yield();
            continue;
        }
        claim(full, capacity);
        full = repack(full, capacity);
        let_go(full, capacity);
        while (!vl_depot_put(&vl_node_heaps[0].classes[class].depot, class, full))
            sched_yield();
        vl_add(&passes, 1);
    }
    return NULL;
}

START_TEST(threads_exchange_without_loss)
{
    unsigned class = vl_class_of_size(CLASS_BYTES), capacity = capacity_of(class);
    pthread_t threads[THREADS];
    ck_assert_uint_eq(capacity, 63);
    for (unsigned i = 0; i < MAGAZINES; i++)
        ck_assert(vl_depot_put(&vl_node_heaps[0].classes[class].depot, class,
                               full_magazine(0, capacity, i * capacity)));
    uint32_t end = vl_pool_end(&vl_magazine_pool);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, exchange, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(doubles, 0);
    ck_assert_uint_gt(passes, 0);
    for (unsigned i = 0; i < MAGAZINES; i++) {
        void **full = vl_depot_get(&vl_node_heaps[0].classes[class].depot);
        ck_assert_ptr_nonnull(full);
        claim(full, capacity);
    }
    ck_assert_uint_eq(doubles, 0);
    ck_assert_ptr_null(vl_depot_get(&vl_node_heaps[0].classes[class].depot));
    ck_assert_uint_le(vl_pool_end(&vl_magazine_pool), end + 8 * THREADS);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/magazine");

    TCase *one = tcase_create("one");
    tcase_add_checked_fixture(one, set_up, NULL);
    tcase_add_loop_test(one, fills_and_empties_at_every_capacity, 1, VL_MAGAZINE_CAPACITY_MAX + 1);
    tcase_add_test(one, null_magazine_is_full_and_empty);
    tcase_add_loop_test(one, floor_is_restored, 1, VL_MAGAZINE_CAPACITY_MAX + 1);
    tcase_add_test(one, magazines_are_disjoint);
    tcase_add_test(one, empty_ones_are_used_before_new_ones_are_made);
    tcase_add_test(one, null_magazine_where_memory_is_short);
    suite_add_tcase(suite, one);

    TCase *stacks = tcase_create("stacks");
    tcase_add_checked_fixture(stacks, set_up, NULL);
    tcase_add_loop_test(stacks, depot_keeps_contents, 1, VL_CLASSES);
    tcase_add_test(stacks, depots_are_apart);
    tcase_add_loop_test(stacks, depot_has_a_limit, 1, VL_CLASSES);
    tcase_add_test(stacks, inbox_has_a_limit);
    suite_add_tcase(suite, stacks);

    TCase *threads = timed_case("threads", 30);
    tcase_add_checked_fixture(threads, set_up, NULL);
    tcase_add_test(threads, threads_exchange_without_loss);
    suite_add_tcase(suite, threads);
    return suite;
}
