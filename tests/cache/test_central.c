/*
 * cache/central: which span serves next, what becomes of empty ones, mixed batches, what dies, and
 * many threads at one lock.
 */
#include "tests/world.h"

#include <setjmp.h>

enum { OBJECTS_MAX = 2048 };

static const struct vl_slice *home_slice(void)
{
    return vl_place_home(0);
}

static unsigned count_in_list(const struct vl_central *central, unsigned list)
{
    unsigned count = 0;
    for (vl_span_id id = central->lists[list]; id != 0; id = vl_span_record(id)->next)
        count++;
    return count;
}

static void take_exactly(unsigned node, unsigned class, void **objects, unsigned count)
{
    for (unsigned taken = 0; taken < count;) {
        unsigned got = vl_central_take(&vl_node_heaps[node], class, objects + taken, count - taken);
        ck_assert_uint_gt(got, 0);
        taken += got;
    }
}

static uint64_t pages_used(void)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++)
        pages += vl_get(&vl_page_heaps[i].pages_used);
    return pages;
}

static void set_up(void)
{
    begin_world(1);
}

/* --- Which span --- */

/* Three spans with 1/8, 3/8 and 6/8 of their objects free serve in this order, whatever the order
 * in which they became so; each its lowest objects first. */
START_TEST(fullest_span_serves_first)
{
    enum { PER_SPAN = 32, SPANS = 3 };
    static const unsigned free_in[SPANS] = {4, 12, 24};
    unsigned class = vl_class_of_size(256);
    void *objects[SPANS * PER_SPAN], *again[40];
    ck_assert_uint_eq(vl_size_classes[class].objects, PER_SPAN);
    take_exactly(0, class, objects, SPANS * PER_SPAN);
    for (unsigned turn = 0; turn < SPANS; turn++) {
        unsigned which = (turn + (unsigned)_i) % SPANS;
        vl_central_give(class, objects + which * PER_SPAN, free_in[which], "free");
    }
    take_exactly(0, class, again, 40);
    unsigned at = 0;
    for (unsigned which = 0; which < SPANS; which++)
        for (unsigned i = 0; i < free_in[which]; i++, at++)
            ck_assert_ptr_eq(again[at], objects[which * PER_SPAN + i]);
    ck_assert_uint_eq(vl_node_heaps[0].classes[class].central.spans, SPANS);
    ck_assert_uint_eq(vl_node_heaps[0].classes[class].central.objects_free, 0);
}
END_TEST

START_TEST(objects_of_a_take_ascend)
{
    unsigned class = (unsigned)_i, count = vl_size_classes[class].objects;
    void *objects[OBJECTS_MAX];
    take_exactly(0, class, objects, count);
    for (unsigned i = 1; i < count; i++)
        require((char *)objects[i] == (char *)objects[i - 1] + vl_size_classes[class].size);
    ck_assert_uint_eq(node_of(objects[0]), 0);
    ck_assert_uint_eq(vl_node_heaps[0].classes[class].central.objects_free, 0);
}
END_TEST

/* However objects come back, at most one empty span stays; the others' pages are free again. */
START_TEST(one_empty_span_stays_at_most)
{
    enum { SPANS = 5 };
    unsigned class = (unsigned)_i, count = SPANS * vl_size_classes[class].objects;
    struct vl_central *central = &vl_node_heaps[0].classes[class].central;
    void *objects[SPANS * 1024];
    take_exactly(0, class, objects, count);
    ck_assert_uint_eq(central->spans, SPANS);
    for (unsigned i = 0; i < count; i++) {
        vl_central_give(class, &objects[count - 1 - i], 1, "free");
        require(count_in_list(central, VL_SPAN_EMPTY) <= 1);
    }
    ck_assert_uint_le(central->spans, 1);
    ck_assert_uint_eq(central->objects_free, central->spans * vl_size_classes[class].objects);
    ck_assert_uint_eq(pages_used(), central->spans * vl_size_classes[class].span_pages);
    vl_central_release_empty(&vl_node_heaps[0], class);
    ck_assert_uint_eq(central->spans, 0);
    ck_assert_uint_eq(central->objects_free, 0);
    ck_assert_uint_eq(pages_used(), 0);
}
END_TEST

/* A random history: counts and lists always agree with the spans. */
static unsigned list_expected(vl_span_id span)
{
    unsigned objects = vl_size_classes[vl_span_class(span)].objects,
             free = vl_span_record(span)->free;
    return free == 0             ? VL_SPAN_FULL
           : free == objects     ? VL_SPAN_EMPTY
           : free * 4 <= objects ? 0
           : free * 2 <= objects ? 1
                                 : 2;
}

static void check_central(const struct vl_central *central)
{
    uint64_t free = 0;
    for (unsigned list = 0; list < VL_SPAN_LISTS; list++)
        for (vl_span_id id = central->lists[list]; id != 0; id = vl_span_record(id)->next) {
            const struct vl_span *span = vl_span_record(id);
            require(span->list == list && list_expected(id) == list);
            require(span->next == 0 || vl_span_record(span->next)->prev == id);
            require(span->free == vl_span_count_free(id, vl_span_class(id)));
            free += span->free;
        }
    require(free == vl_get(&central->objects_free));
}

START_TEST(lists_agree_with_spans)
{
    unsigned class = vl_class_of_size(1024), held = 0;
    uint64_t state = test_seed();
    void *objects[OBJECTS_MAX];
    for (size_t step = 0; step < scaled(3000); step++) {
        unsigned count = 1 + (unsigned)(random_next(&state) % 40);
        bool growing = step / 300 % 2 == 0;
        if (held + count <= OBJECTS_MAX && random_next(&state) % 4 > (growing ? 0 : 2)) {
            held += vl_central_take(&vl_node_heaps[0], class, objects + held, count);
        } else {
            count = count > held ? held : count;
            for (unsigned i = 0; i < count; i++) { /* the last ones become random ones */
                unsigned other = (unsigned)(random_next(&state) % held);
                void *swapped = objects[other];
                objects[other] = objects[held - 1 - i];
                objects[held - 1 - i] = swapped;
            }
            held -= count;
            vl_central_give(class, objects + held, count, "free");
        }
        check_central(&vl_node_heaps[0].classes[class].central);
    }
    vl_central_give(class, objects, held, "free");
    vl_central_release_empty(&vl_node_heaps[0], class);
    ck_assert_uint_eq(pages_used(), 0);
}
END_TEST

/* --- Several classes and nodes --- */

static uint64_t objects_out(unsigned node, unsigned class)
{
    const struct vl_central *central = &vl_node_heaps[node].classes[class].central;
    return (uint64_t)central->spans * vl_size_classes[class].objects - central->objects_free;
}

START_TEST(mixed_batches_find_their_way)
{
    enum { NODES = 3, CLASSES = 4, EACH = 5, COUNT = NODES * CLASSES * EACH };
    static const size_t sizes[CLASSES] = {16, 100, 5000, 100000};
    void *objects[COUNT];
    uint64_t state = test_seed();
    unsigned at = 0;
    begin_world(NODES);
    for (unsigned node = 0; node < NODES; node++)
        for (unsigned i = 0; i < CLASSES; i++, at += EACH) {
            take_exactly(node, vl_class_of_size(sizes[i]), objects + at, EACH);
            ck_assert_uint_eq(objects_out(node, vl_class_of_size(sizes[i])), EACH);
        }
    /* Two objects of each kind stay out. */
    unsigned given = 0;
    for (unsigned i = 0; i < COUNT; i++)
        if (i % EACH >= 2)
            objects[given++] = objects[i];
    for (unsigned i = given; i > 1; i--) {
        unsigned other = (unsigned)(random_next(&state) % i);
        void *swapped = objects[other];
        objects[other] = objects[i - 1];
        objects[i - 1] = swapped;
    }
    vl_central_give_mixed(objects, given, "free");
    for (unsigned node = 0; node < NODES; node++)
        for (unsigned i = 0; i < CLASSES; i++)
            ck_assert_uint_eq(objects_out(node, vl_class_of_size(sizes[i])), 2);
}
END_TEST

/* One class, nodes in turn: each object into the central of its own node. */
START_TEST(give_sorts_by_node)
{
    enum { NODES = 4, EACH = 10 };
    unsigned class = vl_class_of_size(64);
    void *of_node[NODES][EACH], *objects[NODES * EACH];
    uint64_t free_before[NODES];
    begin_world(NODES);
    for (unsigned node = 0; node < NODES; node++) {
        take_exactly(node, class, of_node[node], EACH);
        free_before[node] = vl_node_heaps[node].classes[class].central.objects_free;
        for (unsigned i = 0; i < EACH; i++)
            objects[i * NODES + node] = of_node[node][i];
    }
    vl_central_give(class, objects, NODES * EACH, "free");
    for (unsigned node = 0; node < NODES; node++)
        ck_assert_uint_eq(vl_node_heaps[node].classes[class].central.objects_free,
                          free_before[node] + EACH);
}
END_TEST

/* Where a node has no memory the objects are another node's, and counted there. */
START_TEST(objects_of_a_fallback_belong_to_their_node)
{
    unsigned class = vl_class_of_size(64);
    void *object;
    begin_world(2);
    ck_assert_ptr_nonnull(home_slice());
    fake_os_fail_from(FAKE_RESERVE, 1, ENOMEM);
    ck_assert_uint_eq(vl_central_take(&vl_node_heaps[1], class, &object, 1), 1);
    ck_assert_uint_eq(node_of(object), 0);
    ck_assert_uint_eq(vl_node_heaps[0].classes[class].central.spans, 1);
    ck_assert_uint_eq(vl_node_heaps[1].classes[class].central.spans, 0);
    vl_central_give(class, &object, 1, "free");
    ck_assert_uint_eq(vl_node_heaps[0].classes[class].central.objects_free,
                      vl_size_classes[class].objects);
}
END_TEST

/* An exhausted node's threads do not make a new span with every refill, and get the last object. */
START_TEST(fallback_uses_the_spans_there_are)
{
    unsigned class = vl_class_of_size(64), objects = vl_size_classes[class].objects;
    void *object;
    begin_world(3);
    ck_assert_ptr_nonnull(home_slice());
    fake_os_fail_from(FAKE_RESERVE, 1, ENOMEM);
    for (unsigned i = 0; i < objects; i++)
        ck_assert_uint_eq(vl_central_take(&vl_node_heaps[1 + i % 2], class, &object, 1), 1);
    ck_assert_uint_eq(vl_node_heaps[0].classes[class].central.spans, 1);
    ck_assert_uint_eq(vl_node_heaps[0].classes[class].central.objects_free, 0);
    vl_central_give(class, &object, 1, "free");
    while (vl_place_run_other(0, vl_wish_for(1), &(struct vl_run){0}))
        fake_os_fail_from(FAKE_PROTECT, 1, ENOMEM);
    void *again;
    ck_assert_uint_eq(vl_central_take(&vl_node_heaps[2], class, &again, 1), 1);
    ck_assert_ptr_eq(again, object);
    ck_assert_uint_eq(vl_central_take(&vl_node_heaps[2], class, &again, 1), 0);
}
END_TEST

START_TEST(no_memory_gives_no_object)
{
    unsigned class = vl_class_of_size(64);
    void *objects[8];
    fake_os_fail_from(FAKE_ANY, 1, ENOMEM);
    ck_assert_uint_eq(vl_central_take(&vl_node_heaps[0], class, objects, 8), 0);
    ck_assert_uint_eq(vl_node_heaps[0].classes[class].central.spans, 0);
    fake_os_heal();
    ck_assert_uint_eq(vl_central_take(&vl_node_heaps[0], class, objects, 8), 8);
}
END_TEST

/* --- Misuse --- */

static jmp_buf after_panic;
static char caught[256];

static void catch_line(const char *line)
{
    snprintf(caught, sizeof caught, "%s", line);
    longjmp(after_panic, 1);
}

static const char *line_of_giving(unsigned class, void *const *objects, unsigned count)
{
    vl_panic_hook = catch_line;
    caught[0] = '\0';
    if (setjmp(after_panic) == 0)
        vl_central_give(class, objects, count, "free");
    vl_panic_hook = NULL;
    return caught;
}

static void expect_line(const char *line, const char *what, const void *pointer)
{
    char expected[256];
    snprintf(expected, sizeof expected, "valloc: free(): %s 0x%lx (64-byte class)\n", what,
             (unsigned long)pointer);
    ck_assert_str_eq(line, expected);
}

/* The line names the culprit; the lock is free afterwards, and the others are where they were. */
START_TEST(misuse_is_told_and_leaves_the_lock_free)
{
    unsigned class = vl_class_of_size(64);
    struct vl_central *central = &vl_node_heaps[0].classes[class].central;
    void *objects[4];
    take_exactly(0, class, objects, 4);
    void *const twice[] = {objects[0], objects[1], objects[0]};
    expect_line(line_of_giving(class, twice, 3), "double free of", objects[0]);
    void *interior = (char *)objects[2] + 16;
    expect_line(line_of_giving(class, &interior, 1), "not the start of a block:", interior);
    expect_line(line_of_giving(class + 1, &objects[3], 1), "double free of", objects[3]);
    ck_assert_uint_eq(central->lock.word, VL_LOCK_FREE);
    check_central(central);
    vl_central_give(class, &objects[2], 2, "free");
    check_central(central);
}
END_TEST

/* What a free page says of the first page of its run is out of date: that may be the inside of another span of
 * the class by now, and what lies in its notes no record. */
START_TEST(second_free_into_a_free_page)
{
    unsigned class = vl_class_of_size(576), between = vl_class_of_size(2048);
    unsigned count = vl_size_classes[class].objects;
    void *objects[OBJECTS_MAX];
    struct vl_run run;
    ck_assert_uint_eq(vl_size_classes[class].span_pages, 2);
    ck_assert_uint_eq(vl_size_classes[between].span_pages, 1);
    ck_assert(vl_start());
    ck_assert(vl_place_run(0, vl_wish_for(1), &run)); /* page 0 */
    take_exactly(0, class, objects, count); /* pages 1 and 2 */
    void *twice = objects[count / 2 + 1];
    vl_central_give(class, objects, count, "free");
    vl_central_release_empty(&vl_node_heaps[0], class);
    take_exactly(0, between, objects, 1); /* page 1: its bitmap is in the notes */
    vl_central_give(between, objects, 1, "free");
    vl_central_release_empty(&vl_node_heaps[0], between);
    vl_place_give_run(run.slice, run.start);
    take_exactly(0, class, objects, count); /* pages 0 and 1 */
    ck_assert_ptr_eq(objects[0], run.start);
    ck_assert_ptr_nonnull(strstr(line_of_giving(class, &twice, 1), "double free of"));
    check_central(&vl_node_heaps[0].classes[class].central);
}
END_TEST

/* --- Many threads --- */

static _Atomic uint32_t doubles;

/* The first word of every free object is 0; who takes one writes something else there. */
static void mark(void *const *objects, unsigned count, uintptr_t before, uintptr_t after)
{
    for (unsigned i = 0; i < count; i++) {
        uintptr_t *word = objects[i];
        if (*word != before)
            vl_add(&doubles, 1);
        *word = after;
    }
}

static void *take_and_give(void *number)
{
    enum { HELD_MAX = 400, BATCH_MAX = 40 };
    static const size_t sizes[] = {64, 1024, 16384};
    uintptr_t tag = (uintptr_t)number + 1;
    uint64_t state = test_seed() + tag;
    void *held[3][HELD_MAX];
    unsigned counts[3] = {0};
    for (size_t step = 0; step < scaled(3000); step++) {
        unsigned kind = (unsigned)(random_next(&state) % 3);
        unsigned class = vl_class_of_size(sizes[kind]);
        unsigned *count = &counts[kind], batch = 1 + (unsigned)(random_next(&state) % BATCH_MAX);
        if (random_next(&state) % 2 == 0 && *count + batch <= HELD_MAX) {
            unsigned got = vl_central_take(&vl_node_heaps[0], class, held[kind] + *count, batch);
            mark(held[kind] + *count, got, 0, tag);
            *count += got;
        } else {
            batch = batch > *count ? *count : batch;
            *count -= batch;
            mark(held[kind] + *count, batch, tag, 0);
            vl_central_give(class, held[kind] + *count, batch, "free");
        }
    }
    for (unsigned kind = 0; kind < 3; kind++) {
        mark(held[kind], counts[kind], tag, 0);
        vl_central_give(vl_class_of_size(sizes[kind]), held[kind], counts[kind], "free");
    }
    return NULL;
}

START_TEST(every_object_has_one_holder)
{
    begin_bare_world(1);
    run_together(4, 1, take_and_give);
    ck_assert_uint_eq(doubles, 0);
    for (unsigned class = 1; class < VL_CLASSES; class ++) {
        check_central(&vl_node_heaps[0].classes[class].central);
        vl_central_release_empty(&vl_node_heaps[0], class);
        ck_assert_uint_eq(vl_node_heaps[0].classes[class].central.spans, 0);
    }
    ck_assert_uint_eq(pages_used(), 0);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/central");

    TCase *spans = timed_case("spans", 20);
    tcase_add_checked_fixture(spans, set_up, NULL);
    tcase_add_loop_test(spans, fullest_span_serves_first, 0, 3);
    tcase_add_loop_test(spans, objects_of_a_take_ascend, 1, VL_CLASSES);
    tcase_add_loop_test(spans, one_empty_span_stays_at_most, 1, VL_CLASSES);
    tcase_add_test(spans, lists_agree_with_spans);
    tcase_add_test(spans, no_memory_gives_no_object);
    tcase_add_test(spans, misuse_is_told_and_leaves_the_lock_free);
    tcase_add_test(spans, second_free_into_a_free_page);
    suite_add_tcase(suite, spans);

    TCase *nodes = tcase_create("nodes");
    tcase_add_test(nodes, mixed_batches_find_their_way);
    tcase_add_test(nodes, give_sorts_by_node);
    tcase_add_test(nodes, objects_of_a_fallback_belong_to_their_node);
    tcase_add_test(nodes, fallback_uses_the_spans_there_are);
    suite_add_tcase(suite, nodes);

    TCase *threads = timed_case("threads", 30);
    tcase_add_test(threads, every_object_has_one_holder);
    suite_add_tcase(suite, threads);
    return suite;
}
