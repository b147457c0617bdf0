/*
 * cache/span: all short histories of small spans, random ones of large spans, the verdict on every
 * offset of every class, and the class map.
 */
#include "tests/world.h"

enum { OBJECTS_MAX = 1024 };

static vl_span_id make_span(unsigned class)
{
    struct vl_run run;
    ck_assert(vl_start());
    ck_assert(vl_place_run(0, vl_wish_for(vl_size_classes[class].span_pages), &run));
    vl_span_id span = vl_span_make(&run, class);
    vl_span_enter(span, class);
    return span;
}

static void unmake_span(vl_span_id span)
{
    unsigned class = vl_span_class(span);
    vl_span_wipe(span, class);
    vl_span_unmake(span, class);
}

static unsigned objects_of(vl_span_id span)
{
    return vl_size_classes[vl_span_class(span)].objects;
}

static char *object_at(vl_span_id span, unsigned index)
{
    return vl_span_start(span) + (size_t)index * vl_size_classes[vl_span_class(span)].size;
}

static unsigned index_of(vl_span_id span, const void *object)
{
    return (unsigned)((size_t)((const char *)object - vl_span_start(span)) /
                      vl_size_classes[vl_span_class(span)].size);
}

static enum vl_span_verdict give_one(vl_span_id span, unsigned class, char *object)
{
    void *objects[] = {object};
    enum vl_span_verdict verdict;
    unsigned given = vl_span_give(span, class, objects, 1, &verdict);
    require(given == (verdict == VL_SPAN_OK));
    return verdict;
}

static void give_all(vl_span_id span)
{
    for (unsigned i = 0; i < objects_of(span); i++)
        give_one(span, vl_span_class(span), object_at(span, i));
    ck_assert_uint_eq(vl_span_record(span)->free, objects_of(span));
}

/* --- A model: one byte per object --- */

static bool is_free[OBJECTS_MAX];

static void model_begin(vl_span_id span)
{
    memset(is_free, 1, objects_of(span));
    ck_assert_uint_eq(vl_span_record(span)->free, objects_of(span));
}

enum { GROUP = VL_SPAN_GROUP };

/* Objects, aligned, that fill a neighbourhood of lines, if all of them are free. */
static bool is_group(vl_span_id span, unsigned first)
{
    unsigned free = 0;
    for (unsigned i = first; i < first + GROUP && i < objects_of(span); i++)
        free += is_free[i];
    return free == GROUP;
}

/* Of tiny objects, a whole group goes first where as many are asked for. */
static unsigned expect_group(vl_span_id span, void *const *objects, unsigned count)
{
    unsigned first = 0;
    if (vl_span_class(span) > VL_TINY_CLASSES || count != GROUP)
        return 0;
    while (first < objects_of(span) && !is_group(span, first))
        first += GROUP;
    if (first >= objects_of(span))
        return 0;
    for (unsigned i = 0; i < GROUP; i++) {
        require(objects[i] == object_at(span, first + i));
        is_free[first + i] = false;
    }
    return GROUP;
}

/* A group, or else the lowest free ones, ascending, as many as there are. */
static void take_and_compare(vl_span_id span, unsigned count)
{
    void *objects[OBJECTS_MAX];
    unsigned taken = vl_span_take(span, vl_span_class(span), objects, count);
    unsigned expected = expect_group(span, objects, count);
    if (expected != 0) {
        require(taken == expected);
        return;
    }
    for (unsigned i = 0; i < objects_of(span) && expected < count; i++)
        if (is_free[i]) {
            require(expected < taken && objects[expected] == object_at(span, i));
            is_free[i] = false;
            expected++;
        }
    require(taken == expected);
}

static void give_and_compare(vl_span_id span, unsigned index)
{
    enum vl_span_verdict verdict = give_one(span, vl_span_class(span), object_at(span, index));
    require(verdict == (is_free[index] ? VL_SPAN_DOUBLE_FREE : VL_SPAN_OK));
    is_free[index] = true;
}

static void compare_count(vl_span_id span)
{
    unsigned free = 0;
    for (unsigned i = 0; i < objects_of(span); i++)
        free += is_free[i];
    require(free == vl_span_record(span)->free);
}

/* --- All histories --- */

struct moment {
    unsigned char span[sizeof(struct vl_span)];
    bool is_free[64];
};

static void save(struct moment *moment, vl_span_id span)
{
    memcpy(moment->span, vl_span_record(span), sizeof moment->span);
    memcpy(moment->is_free, is_free, sizeof moment->is_free);
}

static void restore(const struct moment *moment, vl_span_id span)
{
    memcpy(vl_span_record(span), moment->span, sizeof moment->span);
    memcpy(is_free, moment->is_free, sizeof moment->is_free);
}

static unsigned long histories;

static void try_everything(vl_span_id span, int depth)
{
    struct moment before;
    unsigned objects = objects_of(span);
    histories++;
    if (depth == 0)
        return;
    save(&before, span);
    for (unsigned count = 1; count <= objects + 1; count++) {
        take_and_compare(span, count);
        compare_count(span);
        try_everything(span, depth - 1);
        restore(&before, span);
    }
    for (unsigned index = 0; index < objects; index++) {
        give_and_compare(span, index);
        compare_count(span);
        try_everything(span, depth - 1);
        restore(&before, span);
    }
}

static const struct {
    size_t size;
    int depth;
} small_spans[] = {{262144, 9}, {24576, 7}, {16384, 6}, {14336, 5}, {7168, 5}};

START_TEST(all_histories_of_small_spans)
{
    vl_span_id span = make_span(vl_class_of_size(small_spans[_i].size));
    model_begin(span);
    try_everything(span, small_spans[_i].depth);
    ck_assert_uint_gt(histories, 1000);
}
END_TEST

/* --- Random histories of every class --- */

START_TEST(random_histories)
{
    uint64_t state = test_seed() + (uint64_t)_i;
    vl_span_id span = make_span((unsigned)_i);
    unsigned objects = objects_of(span);
    model_begin(span);
    for (size_t step = 0; step < scaled(1000); step++) {
        /* In turns mostly full and mostly empty, so that every word runs out and fills again. */
        bool filling = step / 100 % 2 == 0;
        if (random_next(&state) % 4 == (filling ? 0 : 1))
            take_and_compare(span, 1 + (unsigned)(random_next(&state) % (filling ? 2 : 80)));
        else
            give_and_compare(span, (unsigned)(random_next(&state) % objects));
        compare_count(span);
    }
    take_and_compare(span, objects);
    ck_assert_uint_eq(vl_span_record(span)->free, 0);
    take_and_compare(span, 1);
    give_all(span);
}
END_TEST

/* --- Verdicts --- */

/* Every offset of the span, twice over; `start` of an object is told from all the rest. */
START_TEST(verdict_on_every_offset)
{
    vl_span_id span = make_span((unsigned)_i);
    size_t size = vl_size_classes[_i].size,
           end = (size_t)vl_size_classes[_i].span_pages << VL_PAGE_SHIFT;
    void *objects[OBJECTS_MAX], *again;
    unsigned count = vl_span_take(span, vl_span_class(span), objects, OBJECTS_MAX);
    count += vl_span_take(span, vl_span_class(span), objects + count,
                          OBJECTS_MAX - count); /* what is no group */
    ck_assert_uint_eq(count, objects_of(span));
    for (size_t offset = 0; offset < end; offset++) {
        char *pointer = vl_span_start(span) + offset;
        if (offset % size != 0 || offset / size >= count) {
            require(give_one(span, vl_span_class(span), pointer) == VL_SPAN_INTERIOR);
            continue;
        }
        require(give_one(span, vl_span_class(span), pointer) == VL_SPAN_OK);
        require(give_one(span, vl_span_class(span), pointer) == VL_SPAN_DOUBLE_FREE);
        require(vl_span_record(span)->free == 1);
        require(vl_span_take(span, vl_span_class(span), &again, 1) == 1 && again == pointer);
    }
    ck_assert_uint_eq(vl_span_record(span)->free, 0);
}
END_TEST

/* --- The class map --- */

static unsigned mapped(const struct vl_slice *slice, const char *pointer)
{
    return vl_get(vl_slice_class(slice, pointer));
}

START_TEST(class_map_is_set_and_wiped)
{
    unsigned neighbour_class = _i == 1 ? 2 : 1;
    vl_span_id before = make_span(neighbour_class);
    vl_span_id span = make_span((unsigned)_i);
    vl_span_id after = make_span(neighbour_class);
    const struct vl_slice *slice = vl_slice_of(vl_span_start(span));
    char *start = vl_span_start(span), *end = start + vl_size_classes[_i].span_pages * VL_PAGE_SIZE;
    for (char *page = start; page < end; page += VL_PAGE_SIZE) {
        require(mapped(slice, page) == (unsigned)_i);
        require(mapped(slice, page + VL_PAGE_SIZE - 1) == (unsigned)_i);
        require(vl_span_of(slice, page) == span);
        require(vl_span_of(slice, page + VL_PAGE_SIZE - 1) == span);
    }
    unmake_span(span);
    for (char *page = start; page < end; page += VL_PAGE_SIZE)
        require(mapped(slice, page) == VL_CLASS_NONE);
    ck_assert_uint_eq(mapped(slice, vl_span_start(before)), neighbour_class);
    ck_assert_uint_eq(mapped(slice, vl_span_start(after)), neighbour_class);
    ck_assert_uint_eq(vl_span_of(slice, vl_span_start(before)), before);
    ck_assert_uint_eq(vl_span_of(slice, vl_span_start(after)), after);
}
END_TEST

/* Pages come back with the next run, whatever its class. */
START_TEST(pages_of_an_unmade_span_are_used_again)
{
    vl_span_id first = make_span(vl_class_of_size(16));
    char *start = vl_span_start(first);
    make_span(vl_class_of_size(32)); /* the region stays in use */
    unmake_span(first);
    vl_span_id second = make_span(vl_class_of_size(64));
    ck_assert_ptr_eq(vl_span_start(second), start);
    model_begin(second);
    take_and_compare(second, OBJECTS_MAX);
}
END_TEST

/* Where its bitmap lies apart, that place is given back with it: many more come and go than there are, a
 * bitmap of a neighbour's among them that stays as it was. */
START_TEST(bitmaps_come_and_go)
{
    enum { SPANS = 3 * VL_REGION_PAGES };
    unsigned class = (unsigned)_i;
    vl_span_id stays = make_span(class);
    void *objects[OBJECTS_MAX];
    unsigned half = objects_of(stays) / 2;
    ck_assert_uint_eq(vl_span_take(stays, class, objects, half), half);
    for (unsigned i = 0; i < SPANS; i++) {
        vl_span_id goes = make_span(class);
        require(vl_span_bits(goes, class) != vl_span_bits(stays, class));
        require(vl_span_count_free(goes, class) == objects_of(goes));
        unmake_span(goes);
    }
    ck_assert_uint_eq(vl_span_count_free(stays, class), objects_of(stays) - half);
}
END_TEST

/* A span that has gone, or become one of another class, knows none of its objects. */
START_TEST(a_span_that_has_gone)
{
    unsigned class = vl_class_of_size(64), other = vl_class_of_size(8192);
    make_span(class); /* the region stays in use */
    vl_span_id span = make_span(class);
    char *object = vl_span_start(span);
    unmake_span(span);
    ck_assert_uint_eq(vl_span_class(span), VL_CLASS_NONE);
    ck_assert(!vl_span_has_out(span, class, object));
    ck_assert_int_eq(give_one(span, class, object), VL_SPAN_DOUBLE_FREE);
    ck_assert_uint_eq(make_span(other), span);
    ck_assert(!vl_span_has_out(span, class, object));
    ck_assert_int_eq(give_one(span, class, object), VL_SPAN_DOUBLE_FREE);
    ck_assert_uint_eq(vl_span_count_free(span, other), objects_of(span));
}
END_TEST

/* Objects of two spans in turns of three: each row ends where the other span begins. */
START_TEST(rows_end_with_the_span)
{
    vl_span_id spans[2] = {make_span(vl_class_of_size(64)), make_span(vl_class_of_size(64))};
    void *objects[2][OBJECTS_MAX], *mixed[12];
    enum vl_span_verdict verdict;
    for (int s = 0; s < 2; s++)
        vl_span_take(spans[s], vl_span_class(spans[s]), objects[s], OBJECTS_MAX);
    for (unsigned i = 0; i < 12; i++)
        mixed[i] = objects[i / 3 % 2][i];
    for (unsigned i = 0; i < 12; i += 3) {
        vl_span_id span = spans[i / 3 % 2];
        ck_assert_uint_eq(vl_span_give(span, vl_span_class(span), mixed + i, 12 - i, &verdict), 3);
        ck_assert_int_eq(verdict, VL_SPAN_OK);
        ck_assert_uint_eq(vl_span_count_free(span, vl_span_class(span)),
                          vl_span_record(span)->free);
    }
    ck_assert_uint_eq(vl_span_record(spans[0])->free, 6);
    ck_assert_uint_eq(vl_span_record(spans[1])->free, 6);
}
END_TEST

/* A row stops at what is wrong; what came before has been given back. */
START_TEST(rows_stop_at_what_is_wrong)
{
    vl_span_id span = make_span(vl_class_of_size(64));
    unsigned class = vl_span_class(span);
    void *objects[OBJECTS_MAX];
    enum vl_span_verdict verdict;
    vl_span_take(span, class, objects, OBJECTS_MAX);
    objects[4] = objects[2];
    ck_assert_uint_eq(vl_span_give(span, class, objects, 8, &verdict), 4);
    ck_assert_int_eq(verdict, VL_SPAN_DOUBLE_FREE);
    objects[6] = (char *)objects[6] + 16;
    ck_assert_uint_eq(vl_span_give(span, class, objects + 5, 3, &verdict), 1);
    ck_assert_int_eq(verdict, VL_SPAN_INTERIOR);
    ck_assert_uint_eq(vl_span_count_free(span, class), 5);
    ck_assert_uint_eq(vl_span_record(span)->free, 5);
}
END_TEST

/* The record and its bitmap lie beside the pages: objects are never touched. */
START_TEST(objects_stay_untouched)
{
    vl_span_id span = make_span((unsigned)_i);
    size_t bytes = (size_t)vl_size_classes[_i].span_pages << VL_PAGE_SHIFT;
    void *objects[OBJECTS_MAX];
    pattern_fill(vl_span_start(span), bytes, 7);
    unsigned count = vl_span_take(span, vl_span_class(span), objects, OBJECTS_MAX);
    for (unsigned i = 0; i < count; i++) {
        require(index_of(span, objects[i]) == i);
        require(give_one(span, vl_span_class(span), objects[i]) == VL_SPAN_OK);
    }
    ck_assert_uint_eq(pattern_damage(vl_span_start(span), bytes, 7), bytes);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/span");

    TCase *history = timed_case("history", 20);
    tcase_add_loop_test(history, all_histories_of_small_spans, 0,
                        sizeof small_spans / sizeof small_spans[0]);
    tcase_add_loop_test(history, random_histories, 1, VL_CLASSES);
    suite_add_tcase(suite, history);

    TCase *verdict = tcase_create("verdict");
    tcase_add_loop_test(verdict, verdict_on_every_offset, 1, VL_CLASSES);
    tcase_add_test(verdict, rows_end_with_the_span);
    tcase_add_test(verdict, rows_stop_at_what_is_wrong);
    suite_add_tcase(suite, verdict);

    TCase *map = tcase_create("map");
    tcase_add_loop_test(map, class_map_is_set_and_wiped, 1, VL_CLASSES);
    tcase_add_test(map, pages_of_an_unmade_span_are_used_again);
    tcase_add_loop_test(map, bitmaps_come_and_go, 1, VL_CLASSES);
    tcase_add_test(map, a_span_that_has_gone);
    tcase_add_loop_test(map, objects_stay_untouched, 1, VL_CLASSES);
    suite_add_tcase(suite, map);
    return suite;
}
