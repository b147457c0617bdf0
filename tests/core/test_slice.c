/* core/slice: what is reserved, readable and writable when, failures of each call, many at once. */
#include "tests/api/support.h"

#include "core/slice.h"
#include "tests/fake_os.h"

#include <pthread.h>

enum { UNIT_BYTES = 100, THREADS = 4 };

static struct vl_slice *prepared;
static uint32_t count_when_prepared;

static void note(struct vl_slice *slice)
{
    prepared = slice;
    count_when_prepared = vl_get(&vl_slice_count);
}

static struct vl_slice_plan node_plan(size_t size)
{
    return (struct vl_slice_plan){
        .kind = VL_SLICE_NODE,
        .node = 3,
        .size = size,
        .unit_shift = VL_REGION_SHIFT,
        .unit_bytes = UNIT_BYTES,
        .small_pages = 16 * MB,
        .huge = true,
        .bind = true,
        .bind_node = 7,
        .prepare = note,
    };
}

static struct vl_slice_plan big_plan(size_t size)
{
    return (struct vl_slice_plan){
        .kind = VL_SLICE_BIG,
        .size = size,
        .unit_shift = VL_GRAIN_SHIFT,
        .unit_bytes = UNIT_BYTES,
        .huge = true,
        .prepare = note,
    };
}

static struct vl_slice *create(struct vl_slice_plan plan)
{
    struct vl_slice *slice = vl_slice_create(&plan);
    ck_assert_ptr_nonnull(slice);
    return slice;
}

static char *data(const struct vl_slice *slice, size_t offset)
{
    return (char *)slice->start + offset;
}

/* Whether a call of this kind has dealt with all of [start, start+size) at once. */
static bool was_done(enum fake_os_call call, const void *start, size_t size)
{
    const struct fake_os_record *record = fake_os_last(call, start);
    return record != NULL && (const char *)start + size <= (char *)record->start + record->size;
}

/* --- Creation --- */

START_TEST(as_planned)
{
    struct vl_slice *slice = create(node_plan(GB));
    ck_assert_ptr_eq(slice, &vl_slices[0]);
    ck_assert_ptr_eq(prepared, slice);
    ck_assert_uint_eq(count_when_prepared, 0);
    ck_assert_uint_eq(vl_get(&vl_slice_count), 1);
    ck_assert_uint_eq(slice->start % VL_REGION_SIZE, 0);
    ck_assert_uint_eq(slice->size, GB);
    ck_assert_uint_eq(slice->number, 0);
    ck_assert_uint_eq(slice->node, 3);
    ck_assert_int_eq(slice->kind, VL_SLICE_NODE);
    ck_assert_uint_eq(slice->writable, 0);

    struct vl_slice *big = create(big_plan(GB));
    ck_assert_uint_eq(big->number, 1);
    ck_assert_int_eq(big->kind, VL_SLICE_BIG);
    ck_assert_uint_eq(vl_get(&vl_slice_count), 2);
}
END_TEST

/* A wild pointer is looked up in tables of which nothing is written yet. */
START_TEST(tables_read_as_zero)
{
    struct vl_slice *slice = create(node_plan(GB));
    for (size_t page = 0; page < GB >> VL_PAGE_SHIFT; page++)
        ck_assert_uint_eq(vl_get(&slice->class_map[page]), 0);
    for (size_t unit = 0; unit < GB >> VL_REGION_SHIFT; unit++)
        ck_assert(is_zero(vl_slice_unit(slice, unit), UNIT_BYTES));
    ck_assert_int_eq(fake_os_last(FAKE_PROTECT, slice->units)->access, VL_ACCESS_READ);
    ck_assert_ptr_null(fake_os_last(FAKE_PROTECT, data(slice, 0)));
}
END_TEST

START_TEST(advised_and_bound_once)
{
    struct vl_slice *slice = create(node_plan(GB));
    ck_assert(was_done(FAKE_ADVISE_SMALL, slice->units, UNIT_BYTES));
    ck_assert(was_done(FAKE_ADVISE_SMALL, data(slice, 0), 16 * MB));
    ck_assert(was_done(FAKE_ADVISE_HUGE, data(slice, 16 * MB), GB - 16 * MB));
    ck_assert_ptr_null(fake_os_last(FAKE_ADVISE_HUGE, data(slice, 16 * MB - 1)));
    ck_assert(was_done(FAKE_BIND, data(slice, 0), GB));
    ck_assert(was_done(FAKE_BIND, slice->units, UNIT_BYTES));
    ck_assert_uint_eq(fake_os_last(FAKE_BIND, data(slice, 0))->node, 7);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 1);
}
END_TEST

static const struct vl_node_mask nodes_0_and_2 = {{5}};

static struct vl_slice *create_spread(enum vl_spread how)
{
    struct vl_slice_plan plan = big_plan(GB);
    plan.kind = VL_SLICE_PLACED;
    plan.spread = &nodes_0_and_2;
    plan.bind_node = 2;
    plan.how = how;
    return create(plan);
}

START_TEST(spread_once)
{
    const struct vl_slice *slice = create_spread(VL_SPREAD_EVENLY);
    ck_assert(!vl_slice_has_regions(slice));
    ck_assert(was_done(FAKE_SPREAD, data(slice, 0), GB));
    ck_assert(was_done(FAKE_SPREAD, slice->units, UNIT_BYTES));
    const struct fake_os_record *record = fake_os_last(FAKE_SPREAD, data(slice, 0));
    ck_assert_uint_eq(record->nodes, 5);
    ck_assert_int_eq(record->how, VL_SPREAD_EVENLY);
    ck_assert_uint_eq(fake_os_count(FAKE_SPREAD), 1);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 0);
    ck_assert_uint_eq(vl_get(&vl_slice_refusals), 0);
}
END_TEST

/* A kernel before 6.9 spreads evenly what is to be spread by weight; what is made anew, too. */
START_TEST(spread_without_weights)
{
    struct vl_slice *weighted = create_spread(VL_SPREAD_WEIGHTED);
    ck_assert_int_eq(fake_os_last(FAKE_SPREAD, data(weighted, 0))->how, VL_SPREAD_WEIGHTED);
    ck_assert_uint_eq(fake_os_count(FAKE_SPREAD), 1);
    ck_assert(vl_slice_extend(weighted, 2 * MB));
    fake_os_fail(FAKE_SPREAD, 1, EINVAL);
    ck_assert(vl_slice_renew(weighted, data(weighted, 0), 2 * MB));
    ck_assert_uint_eq(fake_os_count(FAKE_SPREAD), 3);
    ck_assert_int_eq(fake_os_last(FAKE_SPREAD, data(weighted, 0))->how, VL_SPREAD_EVENLY);
    ck_assert_uint_eq(vl_get(&vl_slice_refusals), 0);
}
END_TEST

/* A kernel before 5.15 prefers one node at most. */
START_TEST(nearest_of_several)
{
    struct vl_slice *slice = create_spread(VL_SPREAD_NEAREST);
    ck_assert_int_eq(fake_os_last(FAKE_SPREAD, data(slice, 0))->how, VL_SPREAD_NEAREST);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 0);
    ck_assert(vl_slice_extend(slice, 2 * MB));
    fake_os_fail(FAKE_SPREAD, 1, EINVAL);
    ck_assert(vl_slice_renew(slice, data(slice, 0), 2 * MB));
    ck_assert_uint_eq(fake_os_last(FAKE_BIND, data(slice, 0))->node, 2);
    ck_assert_uint_eq(vl_get(&vl_slice_refusals), 0);
}
END_TEST

START_TEST(refusals_are_counted)
{
    fake_os_fail_from(FAKE_SPREAD, 1, EPERM);
    fake_os_fail_from(FAKE_BIND, 1, ENOSYS);
    ck_assert_ptr_nonnull(create_spread(VL_SPREAD_WEIGHTED));
    ck_assert_uint_eq(vl_get(&vl_slice_refusals), 1);
    create(big_plan(GB));
    ck_assert_uint_eq(vl_get(&vl_slice_refusals), 1);
    create(node_plan(GB));
    ck_assert_uint_eq(vl_get(&vl_slice_refusals), 2);
}
END_TEST

START_TEST(no_advice_that_was_not_planned)
{
    struct vl_slice_plan plan = big_plan(GB);
    create(plan);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 1);

    fake_os_forget();
    plan.huge = false;
    plan.small_pages = SIZE_MAX;
    struct vl_slice *slice = create(plan);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0);
    ck_assert(was_done(FAKE_ADVISE_SMALL, data(slice, 0), GB));
}
END_TEST

START_TEST(advice_may_fail)
{
    fake_os_fail_from(FAKE_ADVISE_HUGE, 1, EINVAL);
    fake_os_fail_from(FAKE_ADVISE_SMALL, 1, EINVAL);
    fake_os_fail_from(FAKE_BIND, 1, EPERM);
    struct vl_slice *slice = create(node_plan(GB));
    ck_assert(vl_slice_extend(slice, MB));
    memset(data(slice, 0), 1, MB);
}
END_TEST

/* Memory is as the slice's was, on either side of where huge pages begin. */
START_TEST(renewed)
{
    struct vl_slice *node = create(node_plan(GB)), *big = create(big_plan(GB));
    ck_assert(vl_slice_extend(node, 64 * MB) && vl_slice_extend(big, 64 * MB));
    memset(data(node, 16 * MB), 1, 2 * MB);
    fake_os_forget();
    ck_assert(vl_slice_renew(node, data(node, 14 * MB), 2 * MB));
    ck_assert(vl_slice_renew(node, data(node, 16 * MB), 2 * MB));
    ck_assert(vl_slice_renew(big, data(big, 0), 2 * MB));
    ck_assert(is_zero(data(node, 16 * MB), 2 * MB));
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_SMALL, data(node, 14 * MB)));
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_HUGE, data(node, 16 * MB)));
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_HUGE, data(big, 0)));
    ck_assert_uint_eq(fake_os_last(FAKE_BIND, data(node, 16 * MB))->node, 7);
    ck_assert_uint_eq(fake_os_count(FAKE_BIND), 2);
    fake_os_fail(FAKE_RENEW, 1, ENOMEM);
    ck_assert(!vl_slice_renew(big, data(big, 0), 2 * MB));
}
END_TEST

static void expect_refused(struct vl_slice_plan plan)
{
    uint64_t reserved = fake_os_reserved();
    uint32_t count = vl_get(&vl_slice_count);
    ck_assert_ptr_null(vl_slice_create(&plan));
    ck_assert_uint_eq(fake_os_reserved(), reserved);
    ck_assert_uint_eq(vl_get(&vl_slice_count), count);
}

START_TEST(failure_leaves_nothing_behind)
{
    fake_os_fail(FAKE_RESERVE, 1, ENOMEM);
    expect_refused(node_plan(GB));
    fake_os_fail(FAKE_PROTECT, 1, ENOMEM);
    expect_refused(node_plan(GB));
    fake_os_fail(FAKE_PROTECT, 1, ENOMEM);
    expect_refused(node_plan(64 * MB));
    fake_os_set_address_limit(GB);
    expect_refused(node_plan(GB));
    ck_assert_ptr_eq(create(node_plan(512 * MB)), &vl_slices[0]);
}
END_TEST

START_TEST(no_more_than_fit)
{
    for (unsigned i = 0; i < VL_SLICES_MAX; i++)
        ck_assert_uint_eq(create(big_plan(2 * MB))->number, i);
    expect_refused(big_plan(2 * MB));
    for (unsigned i = 0; i < VL_SLICES_MAX; i++)
        ck_assert_ptr_eq(vl_slice_of(data(&vl_slices[i], i)), &vl_slices[i]);
}
END_TEST

/* --- Whose is this pointer? --- */

START_TEST(slice_of_a_pointer)
{
    int local;
    ck_assert_ptr_null(vl_slice_of(&local));
    struct vl_slice *first = create(node_plan(64 * MB));
    struct vl_slice *second = create(big_plan(64 * MB));
    struct vl_slice *both[] = {first, second};
    for (int i = 0; i < 2; i++) {
        struct vl_slice *slice = both[i];
        ck_assert_ptr_eq(vl_slice_of(data(slice, 0)), slice);
        ck_assert_ptr_eq(vl_slice_of(data(slice, 64 * MB - 1)), slice);
        ck_assert_ptr_ne(vl_slice_of(data(slice, 64 * MB)), slice);
        ck_assert_ptr_ne(vl_slice_of((char *)slice->start - 1), slice);
    }
    ck_assert_ptr_null(vl_slice_of(NULL));
    ck_assert_ptr_null(vl_slice_of((void *)UINTPTR_MAX));
    ck_assert_ptr_null(vl_slice_of(&local));
}
END_TEST

START_TEST(retired)
{
    struct vl_slice *first = create(node_plan(64 * MB));
    struct vl_slice *second = create(node_plan(64 * MB));
    ck_assert(vl_slice_extend(second, MB));
    char *start = data(second, 0);

    vl_slice_hide(second);
    ck_assert_ptr_null(vl_slice_of(start));
    ck_assert(!vl_slice_extend(second, MB));
    ck_assert_uint_eq(*start, 0); /* still there */
    ck_assert_uint_eq(create(node_plan(64 * MB))->number, 2);
    uint64_t reserved = fake_os_reserved() - second->mapped;
    ck_assert_uint_eq(vl_slice_unmap(second), second->mapped);
    ck_assert_uint_eq(vl_slice_unmap(second), 0);
    ck_assert_uint_eq(fake_os_reserved(), reserved);
    ck_assert_ptr_eq(vl_slice_of(data(first, 0)), first);
    /* The slot serves again, under its number. */
    struct vl_slice *again = create(node_plan(64 * MB));
    ck_assert_ptr_eq(again, second);
    ck_assert_uint_eq(again->number, 1);
    ck_assert(vl_slice_extend(again, MB));
    ck_assert_ptr_eq(vl_slice_of(data(again, 0)), again);
    ck_assert_uint_eq(create(node_plan(64 * MB))->number, 3);
}
END_TEST

/* --- Extension --- */

/* Everything that should be writable is written to: first and last bytes of data and tables. */
static void write_everywhere(struct vl_slice *slice)
{
    size_t end = vl_get(&slice->writable);
    *data(slice, 0) = 1;
    *data(slice, end - 1) = 1;
    memset(vl_slice_unit(slice, (end >> slice->unit_shift) - 1), 1, UNIT_BYTES);
    if (slice->kind == VL_SLICE_NODE)
        vl_set(&slice->class_map[(end >> VL_PAGE_SHIFT) - 1], 1);
}

static void extends_in_doubling_steps(struct vl_slice *slice)
{
    size_t expected = 4 * MB;
    while (expected < slice->size) {
        ck_assert(vl_slice_extend(slice, vl_get(&slice->writable) + 1));
        ck_assert_uint_eq(vl_get(&slice->writable), expected);
        write_everywhere(slice);

        unsigned calls = fake_os_count(FAKE_PROTECT);
        ck_assert(vl_slice_extend(slice, expected)); /* that much there is */
        ck_assert_uint_eq(fake_os_count(FAKE_PROTECT), calls);
        expected += vl_min(expected, GB);
    }
    ck_assert(vl_slice_extend(slice, slice->size));
    ck_assert_uint_eq(vl_get(&slice->writable), slice->size);
    write_everywhere(slice);
    ck_assert(!vl_slice_extend(slice, slice->size + 1));
}

START_TEST(steps_of_a_node_slice)
{
    extends_in_doubling_steps(create(node_plan(5 * GB + 6 * MB)));
}
END_TEST

START_TEST(steps_of_a_big_slice)
{
    extends_in_doubling_steps(create(big_plan(5 * GB + 6 * MB)));
}
END_TEST

START_TEST(more_than_a_step)
{
    struct vl_slice *slice = create(big_plan(GB));
    ck_assert(vl_slice_extend(slice, 100 * MB + 1));
    ck_assert_uint_eq(vl_get(&slice->writable), 102 * MB);
    write_everywhere(slice);
}
END_TEST

START_TEST(large_pages)
{
    vl_os_page_size = 64 * KB;
    struct vl_slice *slice = create(node_plan(64 * MB));
    ck_assert(vl_slice_extend(slice, 1));
    ck_assert(vl_slice_extend(slice, 10 * MB));
    write_everywhere(slice);
    const struct fake_os_record *records;
    for (unsigned i = fake_os_records(&records); i-- > 0;)
        if (records[i].call == FAKE_PROTECT)
            ck_assert_uint_eq(records[i].size % vl_os_page_size, 0);
}
END_TEST

/* With memory short, the step that doubles is refused and what is needed is asked for. */
START_TEST(short_memory_gives_what_is_needed)
{
    struct vl_slice *slice = create(node_plan(GB));
    ck_assert(vl_slice_extend(slice, 64 * MB));
    fake_os_fail(FAKE_PROTECT, 3, ENOMEM); /* map, units, data */
    ck_assert(vl_slice_extend(slice, 64 * MB + 1));
    ck_assert_uint_eq(vl_get(&slice->writable), 66 * MB);
    write_everywhere(slice);
}
END_TEST

/* An extension is three calls: map, units, data. */
START_TEST(any_call_may_fail)
{
    struct vl_slice *slice = create(node_plan(4 * GB));
    for (unsigned nth = 1; nth <= 3; nth++) {
        size_t before = vl_get(&slice->writable);
        fake_os_fail_from(FAKE_PROTECT, nth, ENOMEM);
        ck_assert(!vl_slice_extend(slice, before + 1));
        ck_assert_uint_eq(vl_get(&slice->writable), before);

        fake_os_heal();
        fake_os_fail(FAKE_PROTECT, nth, ENOMEM);
        ck_assert(vl_slice_extend(slice, before + 1));
        ck_assert_uint_eq(vl_get(&slice->writable), before + 2 * MB);
        write_everywhere(slice);
        ck_assert(vl_slice_extend(slice, before + 2 * MB + 1));
        write_everywhere(slice);
    }
}
END_TEST

/* --- Many threads --- */

static struct vl_slice *shared;
static _Atomic size_t claimed;

/* Claims one MB after the other, makes it writable, writes to it. */
static void *extend_and_write(void *unused)
{
    (void)unused;
    for (;;) {
        size_t mine = vl_add(&claimed, MB);
        if (mine >= shared->size)
            return NULL;
        if (!vl_slice_extend(shared, mine + MB))
            return "refused";
        *data(shared, mine) = 1;
        *data(shared, mine + MB - 1) = 1;
    }
}

START_TEST(extended_by_many)
{
    pthread_t threads[THREADS];
    void *complaint;
    shared = create(node_plan(256 * MB));
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, extend_and_write, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &complaint);
        ck_assert_ptr_null(complaint);
    }
    ck_assert_uint_eq(vl_get(&shared->writable), shared->size);
}
END_TEST

static void prepare_nothing(struct vl_slice *slice)
{
    (void)slice;
}

/* Makes slices until there are no more; each is found as soon as it is there. */
static void *create_all(void *unused)
{
    (void)unused;
    struct vl_slice_plan plan = big_plan(2 * MB);
    plan.prepare = prepare_nothing;
    for (struct vl_slice *slice; (slice = vl_slice_create(&plan)) != NULL;)
        if (vl_slice_of(data(slice, MB)) != slice)
            return "not found";
    return NULL;
}

START_TEST(created_by_many)
{
    pthread_t threads[THREADS];
    void *complaint;
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, create_all, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &complaint);
        ck_assert_ptr_null(complaint);
    }
    ck_assert_uint_eq(vl_get(&vl_slice_count), VL_SLICES_MAX);
    for (unsigned i = 0; i < VL_SLICES_MAX; i++) {
        ck_assert_uint_eq(vl_slices[i].number, i);
        ck_assert_ptr_eq(vl_slice_of(data(&vl_slices[i], 0)), &vl_slices[i]);
    }
}
END_TEST

/* --- After a fork --- */

static pid_t child;

static void prepare_and_fork(struct vl_slice *slice)
{
    (void)slice;
    child = fork();
    if (child != 0)
        return;
    /* The number of this slice is taken and, in this process, never published. */
    limit_child_time();
    vl_slices_after_fork();
    struct vl_slice *next = vl_slice_create(&(struct vl_slice_plan){
        .kind = VL_SLICE_BIG,
        .size = 2 * MB,
        .unit_shift = VL_GRAIN_SHIFT,
        .unit_bytes = UNIT_BYTES,
        .prepare = prepare_nothing,
    });
    child_assert(next == &vl_slices[1]);
    child_assert(vl_get(&vl_slice_count) == 2);
    child_assert(vl_slice_of(data(next, 0)) == next);
    _exit(0);
}

START_TEST(a_slice_nobody_publishes)
{
    struct vl_slice_plan plan = big_plan(2 * MB);
    create(plan);
    plan.prepare = prepare_and_fork;
    ck_assert_ptr_eq(create(plan), &vl_slices[1]);
    ck_assert_int_gt(child, 0);
    expect_success(child);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("slice");
    TCase *creation = tcase_create("creation");
    TCase *pointers = tcase_create("pointers");
    TCase *extension = tcase_create("extension");
    TCase *threads = timed_case("threads", 60);
    TCase *forks = timed_case("fork", 60);

    tcase_add_checked_fixture(creation, fake_os_install, NULL);
    tcase_add_test(creation, as_planned);
    tcase_add_test(creation, tables_read_as_zero);
    tcase_add_test(creation, advised_and_bound_once);
    tcase_add_test(creation, spread_once);
    tcase_add_test(creation, spread_without_weights);
    tcase_add_test(creation, nearest_of_several);
    tcase_add_test(creation, refusals_are_counted);
    tcase_add_test(creation, no_advice_that_was_not_planned);
    tcase_add_test(creation, advice_may_fail);
    tcase_add_test(creation, renewed);
    tcase_add_test(creation, failure_leaves_nothing_behind);
    tcase_add_test(creation, no_more_than_fit);
    suite_add_tcase(suite, creation);

    tcase_add_checked_fixture(pointers, fake_os_install, NULL);
    tcase_add_test(pointers, slice_of_a_pointer);
    tcase_add_test(pointers, retired);
    suite_add_tcase(suite, pointers);

    tcase_add_checked_fixture(extension, fake_os_install, NULL);
    tcase_add_test(extension, steps_of_a_node_slice);
    tcase_add_test(extension, steps_of_a_big_slice);
    tcase_add_test(extension, more_than_a_step);
    tcase_add_test(extension, large_pages);
    tcase_add_test(extension, short_memory_gives_what_is_needed);
    tcase_add_test(extension, any_call_may_fail);
    suite_add_tcase(suite, extension);

    tcase_add_checked_fixture(threads, fake_os_install, NULL);
    tcase_add_test(threads, extended_by_many);
    tcase_add_test(threads, created_by_many);
    suite_add_tcase(suite, threads);

    tcase_add_checked_fixture(forks, fake_os_install, NULL);
    tcase_add_test(forks, a_slice_nobody_publishes);
    suite_add_tcase(suite, forks);
    return suite;
}
