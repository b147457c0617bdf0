/* hugepage/thp over the false system: the front of small pages, promotion, holding back. */
#include "tests/api/support.h"

#include "hugepage/holding.h"
#include "hugepage/stall.h"
#include "tests/fake_os.h"

#include <errno.h>
#include <sys/mman.h>

enum { REGIONS = 400, FRONT = 4, EACH = 4, TIMED_EACH = 16, HOLD_MS = 1000 };

static struct vl_page_heap heap;

static void start_heap_on(struct vl_slice *slice)
{
    vl_page_heap_start(&heap, slice);
}

static void start_world_of(enum vl_hugepage_mode mode)
{
    fake_os_install();
    vl_options.hugepage_mode = mode;
    vl_options.huge_start_bytes = FRONT * VL_REGION_SIZE;
    vl_options.purge_delay_ms = VL_TIME_NEVER;
    struct vl_slice_plan plan = vl_page_heap_plan(0, REGIONS * VL_REGION_SIZE);
    plan.prepare = start_heap_on;
    ck_assert_ptr_nonnull(vl_slice_create(&plan));
    fake_os_forget();
}

static void start_world(void)
{
    start_world_of(VL_HUGEPAGE_AUTO);
}

static struct vl_run take(unsigned pages)
{
    struct vl_run run;
    ck_assert(vl_page_heap_take(&heap, vl_wish_for(pages), &run));
    return run;
}

static struct vl_region *open_region(void)
{
    struct vl_region *region = take(VL_REGION_PAGES).region;
    ck_assert_ptr_eq(region, vl_slice_unit(heap.slice, heap.fresh - 1));
    return region;
}

static void open_regions(unsigned count)
{
    while (count-- > 0)
        open_region();
}

static bool was_collapsed(uint32_t number)
{
    return fake_os_last(FAKE_ADVISE_COLLAPSE,
                        vl_region_start(vl_slice_unit(heap.slice, number))) != NULL;
}

START_TEST(small_programs_stay_small)
{
    for (unsigned i = 0; i < FRONT; i++)
        ck_assert(open_region()->small);
    ck_assert_uint_eq(vl_get(&heap.thp.small), FRONT);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE) + fake_os_count(FAKE_ADVISE_COLLAPSE), 0);
}
END_TEST

START_TEST(outgrown_all_is_huge_at_once)
{
    open_regions(FRONT);
    ck_assert(!open_region()->small);
    const struct fake_os_record *advice = fake_os_last(FAKE_ADVISE_HUGE, (void *)heap.slice->start);
    ck_assert_ptr_nonnull(advice);
    ck_assert_uint_eq(advice->size, REGIONS * VL_REGION_SIZE);
    open_regions(100);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 1);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 0);
}
END_TEST

START_TEST(one_is_promoted_with_each_fourth)
{
    open_regions(FRONT);
    for (unsigned i = 0; i < FRONT; i++) {
        ck_assert_uint_eq(vl_get(&heap.thp.promoted), i);
        open_regions(EACH);
    }
    for (uint32_t number = 0; number < FRONT; number++)
        ck_assert(was_collapsed(number));
    ck_assert_uint_eq(vl_get(&heap.thp.promoted), FRONT);
    ck_assert_uint_eq(vl_get(&heap.thp.small), 0);
    open_regions(2 * EACH);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), FRONT);
}
END_TEST

/* Its memory is there before: promotion takes little more. */
START_TEST(sparse_regions_are_not_promoted)
{
    struct vl_run half = take(VL_REGION_PAGES / 2);
    open_regions(FRONT + 6 * EACH);
    ck_assert_uint_eq(vl_get(&heap.thp.promoted), FRONT - 1);
    ck_assert(half.region->small);
    ck_assert(!was_collapsed(0));
    ck_assert_ptr_eq(take(VL_REGION_PAGES / 2).region, half.region);
    open_regions(EACH);
    ck_assert(!half.region->small);
    ck_assert(was_collapsed(0));
}
END_TEST

START_TEST(empty_regions_are_not_promoted)
{
    struct vl_run runs[FRONT];
    for (unsigned i = 0; i < FRONT; i++)
        runs[i] = take(VL_REGION_PAGES);
    open_regions(1);
    unsigned before = fake_os_count(FAKE_ADVISE_COLLAPSE);
    for (unsigned i = 0; i < FRONT; i++)
        vl_page_heap_give(&heap, runs[i].region, runs[i].page);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, 0), FRONT * VL_REGION_SIZE);
    ck_assert_uint_eq(vl_get(&heap.thp.small), 0);
    for (unsigned i = 0; i < FRONT; i++) /* they come back, with huge pages */
        ck_assert(!take(VL_REGION_PAGES).region->small);
    open_regions(4 * EACH);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), before);
}
END_TEST

START_TEST(leased_regions_are_left_alone)
{
    static struct vl_holding *nobody = (struct vl_holding *)&heap; /* it is never looked into */
    for (unsigned i = 0; i < FRONT; i++) {
        struct vl_region *region = vl_page_heap_lease(&heap, nobody, false);
        ck_assert_ptr_nonnull(region);
        memset(region->dirty, 0xff, sizeof region->dirty);
    }
    open_regions(4 * EACH);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), 0);
}
END_TEST

START_TEST(refused_it_is_tried_again_but_not_for_ever)
{
    fake_os_fail_from(FAKE_ADVISE_COLLAPSE, 1, EAGAIN);
    open_regions(FRONT + 2 * EACH);
    ck_assert_uint_eq(vl_get(&heap.thp.refused), 2);
    ck_assert_uint_eq(vl_get(&heap.thp.small), FRONT);
    fake_os_heal();
    open_regions(EACH);
    ck_assert_uint_eq(vl_get(&heap.thp.promoted), 1);
    fake_os_fail_from(FAKE_ADVISE_COLLAPSE, 1, EINVAL);
    open_regions(60 * EACH);
    ck_assert_uint_le(fake_os_count(FAKE_ADVISE_COLLAPSE), 20);
}
END_TEST

START_TEST(never_is_respected)
{
    fake_os_set_thp_mode(VL_THP_MODE_NEVER);
    open_regions(FRONT + 10 * EACH);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 0);
}
END_TEST

/* --- Holding back --- */

static void open_slowly(unsigned count, uint64_t compactions)
{
    fake_os_set_touch(5000000, compactions);
    open_regions(count);
    fake_os_set_touch(1000, compactions);
}

START_TEST(slow_huge_pages_are_done_without_for_a_while)
{
    open_regions(FRONT + 1);
    open_slowly(TIMED_EACH, 1);
    ck_assert(vl_stall_is_held());
    struct vl_region *plain = open_region();
    ck_assert(plain->small);
    const struct fake_os_record *advice =
        fake_os_last(FAKE_ADVISE_SMALL, vl_region_start(plain));
    ck_assert_ptr_nonnull(advice);
    ck_assert_ptr_eq((char *)advice->start + advice->size,
                     (char *)heap.slice->start + REGIONS * VL_REGION_SIZE);
    open_regions(5);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 1);
    unsigned collapses = fake_os_count(FAKE_ADVISE_COLLAPSE);
    open_regions(2 * EACH);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_COLLAPSE), collapses);

    fake_os_sleep(HOLD_MS);
    open_region(); /* notices that the time is over */
    ck_assert(!open_region()->small);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE), 2);
    open_regions(20 * EACH);
    ck_assert_uint_eq(vl_get(&heap.thp.small), 0);
    ck_assert(!plain->small);
}
END_TEST

/* A thread that takes the rest of the region while another is about to touch it, and allows nobody to write. */
static const struct vl_os *os_below;
static char *taken_meanwhile;

static uint64_t clock_while_others_take(void)
{
    if (taken_meanwhile == NULL) {
        taken_meanwhile = take(VL_REGION_PAGES - 1).start;
        memset(taken_meanwhile, 1, (VL_REGION_PAGES - 1) * VL_PAGE_SIZE);
        mprotect(taken_meanwhile, (VL_REGION_PAGES - 1) * VL_PAGE_SIZE, PROT_READ);
    }
    return os_below->clock_ns();
}

START_TEST(what_others_have_got_meanwhile_is_not_changed)
{
    static struct vl_os watched;
    open_regions(FRONT);
    os_below = vl_os;
    watched = *vl_os;
    watched.clock_ns = clock_while_others_take;
    vl_os = &watched;
    struct vl_run run = take(1);
    ck_assert_ptr_nonnull(taken_meanwhile);
    ck_assert_ptr_eq(vl_region_of(heap.slice, taken_meanwhile), run.region);
    for (size_t i = 0; i < (VL_REGION_PAGES - 1) * VL_PAGE_SIZE; i++)
        ck_assert_int_eq(taken_meanwhile[i], 1);
}
END_TEST

/* --- First touches --- */

static bool was_touched(const struct vl_region *region)
{
    char *end = vl_region_start(region) + VL_REGION_SIZE;
    return fake_os_last(FAKE_ADVISE_POPULATE, end - vl_os_page_size) != NULL;
}

/* Neither what may never be used, nor what has small pages. */
START_TEST(what_is_used_soon_is_touched)
{
    struct vl_wish wish = vl_wish_for(VL_REGION_PAGES);
    struct vl_run run;
    for (unsigned i = 0; i < FRONT; i++)
        ck_assert(!was_touched(open_region()));
    ck_assert(was_touched(open_region()));
    wish.soon = false;
    ck_assert(vl_page_heap_take(&heap, wish, &run));
    ck_assert(!was_touched(run.region));
    for (int soon = 0; soon < 2; soon++) {
        static struct vl_holding holder;
        struct vl_region *leased = vl_page_heap_lease(&heap, &holder, soon);
        ck_assert_ptr_nonnull(leased);
        ck_assert_int_eq(was_touched(leased), soon);
    }
}
END_TEST

START_TEST(thp_does_not_hold_back)
{
    start_world_of(VL_HUGEPAGE_THP);
    open_regions(FRONT + 1);
    open_slowly(2 * TIMED_EACH, 1);
    ck_assert(!open_region()->small);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_SMALL), 0);
}
END_TEST

START_TEST(always_has_no_front)
{
    start_world_of(VL_HUGEPAGE_ALWAYS);
    for (unsigned i = 0; i < 5 * EACH; i++)
        ck_assert(!open_region()->small);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_HUGE) + fake_os_count(FAKE_ADVISE_COLLAPSE), 0);
}
END_TEST

START_TEST(a_fork_counts_anew)
{
    open_regions(FRONT + EACH);
    uint32_t small = vl_get(&heap.thp.small);
    ck_assert_uint_eq(small, FRONT - 1);
    heap.lock.word = VL_LOCK_HELD;
    vl_count(&heap.thp.small, 5);
    vl_page_heap_after_fork(&heap);
    ck_assert_uint_eq(vl_get(&heap.thp.small), small);
    open_regions(4 * EACH);
    ck_assert_uint_eq(vl_get(&heap.thp.small), 0);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("thp");
    TCase *promotion = tcase_create("front and promotion"), *hold = tcase_create("holding back"),
          *modes = tcase_create("modes");
    tcase_add_checked_fixture(promotion, start_world, NULL);
    tcase_add_test(promotion, small_programs_stay_small);
    tcase_add_test(promotion, outgrown_all_is_huge_at_once);
    tcase_add_test(promotion, one_is_promoted_with_each_fourth);
    tcase_add_test(promotion, sparse_regions_are_not_promoted);
    tcase_add_test(promotion, empty_regions_are_not_promoted);
    tcase_add_test(promotion, leased_regions_are_left_alone);
    tcase_add_test(promotion, refused_it_is_tried_again_but_not_for_ever);
    tcase_add_test(promotion, never_is_respected);
    tcase_add_test(promotion, a_fork_counts_anew);
    suite_add_tcase(suite, promotion);

    tcase_add_checked_fixture(hold, start_world, NULL);
    tcase_add_test(hold, what_others_have_got_meanwhile_is_not_changed);
    tcase_add_test(hold, what_is_used_soon_is_touched);
    tcase_add_test(hold, slow_huge_pages_are_done_without_for_a_while);
    suite_add_tcase(suite, hold);

    tcase_add_test(modes, thp_does_not_hold_back);
    tcase_add_test(modes, always_has_no_front);
    suite_add_tcase(suite, modes);
    return suite;
}
