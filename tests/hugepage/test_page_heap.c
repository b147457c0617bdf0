/* hugepage/page_heap over the false system: runs that are written to, purge by a clock set by hand,
 * calls that fail, a fork that tears the lists. */
#include "tests/api/support.h"

#include "hugepage/page_heap.h"

#include <errno.h>
#include <sys/mman.h>
#include "tests/fake_os.h"

enum { REGIONS = 36, RUNS = 400, DELAY_MS = 10 * 1000 };

static struct vl_page_heap heap;

/* Runs that this test holds; each page of them says whose it is. */
static struct vl_run held[RUNS];
static unsigned held_count;
static unsigned pages_held;

static void start_heap_on(struct vl_slice *slice)
{
    vl_page_heap_start(&heap, slice);
}

static void start_world(void)
{
    fake_os_install();
    vl_options.purge_delay_ms = DELAY_MS;
    struct vl_slice_plan plan = vl_page_heap_plan(0, REGIONS * VL_REGION_SIZE);
    plan.prepare = start_heap_on;
    ck_assert_ptr_nonnull(vl_slice_create(&plan));
    fake_os_forget();
}

/* --- Runs --- */

static bool take(struct vl_run *run, unsigned pages, unsigned align)
{
    bool taken = vl_page_heap_take(&heap, (struct vl_wish){.pages = pages, .align = align}, run);
    if (!taken)
        return false;
    ck_assert_ptr_eq(run->slice, heap.slice);
    ck_assert_uint_eq(run->pages, pages);
    ck_assert_uint_eq(run->page % align, 0);
    ck_assert_ptr_eq(run->start, vl_region_start(run->region) + run->page * VL_PAGE_SIZE);
    ck_assert_ptr_eq(vl_region_of(heap.slice, run->start), run->region);
    ck_assert_uint_eq(vl_page_in_region(heap.slice, run->start), run->page);
    ck_assert(!run->zeroed || is_zero(run->start, pages * VL_PAGE_SIZE));
    return true;
}

static struct vl_run must_take(unsigned pages)
{
    struct vl_run run;
    ck_assert(take(&run, pages, 1));
    return run;
}

static void give(const struct vl_run *run)
{
    vl_page_heap_give(&heap, run->region, run->page);
}

/* The first and the last word of each page of a run. */
static uint64_t *mark_of(const struct vl_run *run, unsigned number)
{
    char *page = run->start + number / 2 * VL_PAGE_SIZE;
    return (uint64_t *)(number % 2 == 0 ? page : page + VL_PAGE_SIZE - sizeof(uint64_t));
}

static bool hold(unsigned pages, unsigned align)
{
    struct vl_run *run = &held[held_count];
    if (held_count == RUNS || !take(run, pages, align))
        return false;
    for (unsigned i = 0; i < 2 * pages; i++)
        *mark_of(run, i) = (uintptr_t)run->start + i;
    held_count++;
    pages_held += pages;
    return true;
}

/* Nobody has written to a run but its holder. */
static void check_held(unsigned number)
{
    const struct vl_run *run = &held[number];
    for (unsigned i = 0; i < 2 * run->pages; i++)
        if (*mark_of(run, i) != (uintptr_t)run->start + i)
            ck_abort_msg("page %u of a run of %u was written to", i / 2, run->pages);
}

/* A run held gets so many pages more, if it can. */
static void lengthen(unsigned number, unsigned more)
{
    struct vl_run *run = &held[number];
    check_held(number);
    if (!vl_page_heap_lengthen(&heap, run->region, run->page, more))
        return;
    pages_held += more;
    for (unsigned i = 2 * run->pages; i < 2 * (run->pages + more); i++)
        *mark_of(run, i) = (uintptr_t)run->start + i;
    run->pages += more;
}

static void drop(unsigned number)
{
    struct vl_run run = held[number];
    check_held(number);
    held[number] = held[--held_count];
    pages_held -= run.pages;
    give(&run);
}

static void drop_all(void)
{
    while (held_count > 0)
        drop(held_count - 1);
}

static void check_counts(void)
{
    ck_assert_uint_eq(vl_get(&heap.pages_used), pages_held);
    ck_assert_uint_eq(vl_get(&heap.regions_active) + vl_get(&heap.regions_empty) +
                          vl_get(&heap.regions_clean),
                      heap.fresh);
    for (uint32_t i = 0; i < heap.fresh; i++)
        ck_assert(vl_region_valid(vl_slice_unit(heap.slice, i)));
}

/* All regions of the slice can be had, each as one run, and not one more. */
static void check_nothing_is_lost(void)
{
    drop_all();
    struct vl_run all[REGIONS], more;
    for (unsigned i = 0; i < REGIONS; i++)
        all[i] = must_take(VL_REGION_PAGES);
    ck_assert(!take(&more, 1, 1));
    for (unsigned i = 0; i < REGIONS; i++)
        give(&all[i]);
    check_counts();
}

START_TEST(plan_by_mode)
{
    vl_options.huge_start_bytes = 3 * MB;
    vl_options.hugepage_mode = VL_HUGEPAGE_AUTO;
    struct vl_slice_plan plan = vl_page_heap_plan(5, GB);
    ck_assert_int_eq(plan.kind, VL_SLICE_NODE);
    ck_assert_uint_eq(plan.node, 5);
    ck_assert_uint_eq(plan.size, GB);
    ck_assert_uint_eq(plan.unit_bytes, sizeof(struct vl_region));
    ck_assert_uint_eq(plan.small_pages, 4 * MB);
    ck_assert(plan.huge);

    vl_options.hugepage_mode = VL_HUGEPAGE_ALWAYS;
    plan = vl_page_heap_plan(5, GB);
    ck_assert_uint_eq(plan.small_pages, 0);
    ck_assert(plan.huge);

    vl_options.hugepage_mode = VL_HUGEPAGE_NEVER;
    plan = vl_page_heap_plan(5, GB);
    ck_assert_uint_eq(plan.small_pages, SIZE_MAX);
    ck_assert(!plan.huge);
}
END_TEST

/* Takes and gives for a while, the clock running; true if memory ever came back zeroed. */
static bool churn(size_t steps)
{
    uint64_t random = test_seed();
    bool zeroed_again = false;
    for (size_t step = 0; step < steps; step++) {
        uint64_t choice = random_next(&random);
        /* Long stretches of giving let regions empty. */
        if (step / 200 % 2 == choice % 8 / 7) {
            unsigned pages = (unsigned)random_size(&random, 256);
            unsigned align = 1u << (choice >> 8) % 9;
            if (hold(pages, align))
                zeroed_again |= held[held_count - 1].zeroed && vl_get(&heap.purged_bytes) != 0 &&
                                heap.fresh == REGIONS;
        } else if (held_count > 0) {
            drop((unsigned)(random_next(&random) % held_count));
        }
        if (choice >> 16 & 1 && held_count > 0)
            lengthen((unsigned)(random_next(&random) % held_count),
                     (unsigned)random_size(&random, 256));
        fake_os_sleep(choice >> 24 & 0xff);
        if (step % 64 == 0)
            check_counts();
    }
    check_counts();
    for (unsigned i = 0; i < held_count; i++)
        check_held(i);
    return zeroed_again;
}

START_TEST(random_runs)
{
    ck_assert(churn(scaled(4000)));
    const struct fake_os_record *records;
    for (unsigned i = fake_os_records(&records); i-- > 0;)
        if (records[i].call == FAKE_ADVISE_DISCARD) {
            ck_assert_uint_eq(((uintptr_t)records[i].start - heap.slice->start) % VL_REGION_SIZE,
                              0);
            ck_assert_uint_eq(records[i].size, VL_REGION_SIZE);
        }
    ck_assert_uint_gt(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    check_nothing_is_lost();
}
END_TEST

/* --- Runs that grow --- */

static struct vl_run take_growing(unsigned pages, unsigned room)
{
    struct vl_run run;
    struct vl_wish wish = {.pages = pages, .align = 1, .room = room};
    ck_assert(vl_page_heap_take(&heap, wish, &run));
    ck_assert_uint_eq(run.pages, pages);
    return run;
}

START_TEST(a_run_grows_into_the_pages_behind_it)
{
    struct vl_run run = must_take(10), wall = must_take(10);
    ck_assert(!vl_page_heap_lengthen(&heap, run.region, run.page, 1));
    give(&wall);
    ck_assert(vl_page_heap_lengthen(&heap, run.region, run.page, 10));
    ck_assert_uint_eq(vl_get(&heap.pages_used), 20);
    ck_assert(!vl_page_heap_lengthen(&heap, run.region, run.page, VL_REGION_PAGES - 19));
    ck_assert(vl_page_heap_lengthen(&heap, run.region, run.page, VL_REGION_PAGES - 20));
    give(&run);
    ck_assert_uint_eq(vl_get(&heap.pages_used), 0);
    check_nothing_is_lost();
}
END_TEST

/* What is to grow goes past a gap in which it could not; what is not, fills it. */
START_TEST(room_is_looked_for)
{
    struct vl_run low = must_take(8), gap = must_take(12), high = must_take(8);
    give(&gap);
    struct vl_run growing = take_growing(8, 8), plain = must_take(8);
    ck_assert_ptr_eq(plain.start, gap.start);
    ck_assert_uint_gt(growing.page, high.page);
    ck_assert(vl_page_heap_lengthen(&heap, growing.region, growing.page, 8));
    give(&low);
    give(&high);
    give(&plain);
    give(&growing);
}
END_TEST

/* It opens no region for room, nor where much is free already. */
START_TEST(room_takes_no_memory)
{
    struct vl_run most = must_take(VL_REGION_PAGES - 12), growing = take_growing(10, 10);
    ck_assert_uint_eq(vl_get(&heap.regions_active), 1);
    ck_assert_ptr_eq(growing.region, most.region);
    give(&growing);
    struct vl_run all[REGIONS];
    for (unsigned i = 1; i < REGIONS; i++)
        all[i] = must_take(200);
    growing = take_growing(10, 10);
    ck_assert_ptr_eq(growing.region, most.region);
    for (unsigned i = 1; i < REGIONS; i++)
        give(&all[i]);
    give(&growing);
    give(&most);
}
END_TEST

/* --- Free pages of regions in use --- */

/* As many pages as go back hold memory afterwards no more, and nobody's run is touched. */
START_TEST(stripped_now_and_then)
{
    size_t stripped = 0;
    for (unsigned round = 0; round < 20; round++) {
        churn(scaled(200));
        uint64_t before = vl_get(&heap.purged_bytes);
        size_t bytes = vl_page_heap_strip(&heap, NULL);
        stripped += bytes;
        ck_assert_uint_eq(vl_get(&heap.purged_bytes) - before, bytes);
        check_counts();
        ck_assert_uint_eq(vl_page_heap_strip(&heap, NULL), 0);
        for (unsigned i = 0; i < held_count; i++)
            check_held(i);
    }
    ck_assert_uint_gt(stripped, 0);
    check_nothing_is_lost();
}
END_TEST

START_TEST(stripped_pages_are_clean)
{
    struct vl_run low = must_take(10), middle = must_take(20), high = must_take(10);
    memset(middle.start, 1, 20 * VL_PAGE_SIZE);
    give(&middle);
    ck_assert_uint_eq(vl_page_heap_strip(&heap, NULL), 20 * VL_PAGE_SIZE);
    struct vl_run again = must_take(20);
    ck_assert_ptr_eq(again.start, middle.start);
    ck_assert(again.zeroed);
    give(&low);
    give(&high);
    give(&again);
}
END_TEST

START_TEST(refused_stripping_does_no_harm)
{
    struct vl_run low = must_take(10), high = must_take(10);
    memset(low.start, 1, 10 * VL_PAGE_SIZE);
    give(&low);
    fake_os_fail_from(FAKE_ADVISE_DISCARD, 1, EINVAL);
    ck_assert_uint_eq(vl_page_heap_strip(&heap, NULL), 0);
    struct vl_run again = must_take(10);
    ck_assert_ptr_eq(again.start, low.start);
    ck_assert(!again.zeroed);
    give(&again);
    give(&high);
    check_counts();
}
END_TEST

/* Inner ones only, as far as the machine's pages go. */
START_TEST(stripped_with_large_pages)
{
    struct vl_run low = must_take(4), middle = must_take(16), high = must_take(10);
    size_t size_before = vl_os_page_size;
    vl_os_page_size = 64 << 10;
    give(&middle);
    ck_assert_uint_eq(vl_page_heap_strip(&heap, NULL), 64 << 10); /* [8, 16) of [4, 20) */
    vl_os_page_size = size_before;
    ck_assert(!must_take(16).zeroed);
    give(&low);
    give(&high);
}
END_TEST

static struct vl_run emptied;

/* The last block in use of a region is freed while its other pages are on their way. */
static int empty_meanwhile(void *start, size_t size, enum vl_advice advice)
{
    struct vl_run run = emptied;
    emptied.pages = 0;
    if (run.pages != 0)
        give(&run);
    return madvise(start, size, MADV_DONTNEED) == 0 && advice == VL_ADVICE_DISCARD ? 0 : -EINVAL;
}

START_TEST(a_region_emptied_meanwhile)
{
    struct vl_run free_soon = must_take(10);
    emptied = must_take(10);
    memset(free_soon.start, 1, 10 * VL_PAGE_SIZE);
    give(&free_soon);
    struct vl_os os = *vl_os;
    os.advise = empty_meanwhile;
    vl_os = &os;
    ck_assert_uint_eq(vl_page_heap_strip(&heap, NULL), 10 * VL_PAGE_SIZE);
    ck_assert_uint_eq(vl_get(&heap.regions_active), 0);
    ck_assert_uint_eq(vl_get(&heap.regions_empty), 1);
    check_counts();
}
END_TEST

START_TEST(a_full_slice)
{
    check_nothing_is_lost();
    struct vl_run run = must_take(VL_REGION_PAGES - 1), page = must_take(1);
    ck_assert_ptr_eq(run.region, page.region);
}
END_TEST

START_TEST(memory_that_is_there_comes_first)
{
    struct vl_run first = must_take(VL_REGION_PAGES), second = must_take(VL_REGION_PAGES);
    give(&first);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, 0), VL_REGION_SIZE);
    give(&second);
    ck_assert_ptr_eq(must_take(VL_REGION_PAGES).region, second.region); /* still has memory */
    ck_assert_ptr_eq(must_take(VL_REGION_PAGES).region, first.region);  /* was used before */
    ck_assert_uint_eq(heap.fresh, 2);
    must_take(1);
    ck_assert_uint_eq(heap.fresh, 3);
}
END_TEST

/* --- Purge --- */

/* A region empties now; another is in use all the time. */
static void empty_a_region(void)
{
    struct vl_run run = must_take(VL_REGION_PAGES);
    give(&run);
}

/* Many regions in use, then none: how many may keep their memory. */
static unsigned kept_of(unsigned count)
{
    static struct vl_run runs[REGIONS];
    for (unsigned i = 0; i < count; i++)
        runs[i] = must_take(VL_REGION_PAGES);
    for (unsigned i = 0; i < count; i++)
        give(&runs[i]);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), vl_get(&heap.regions_clean));
    return vl_get(&heap.regions_empty);
}

START_TEST(all_are_kept_for_a_while)
{
    ck_assert_uint_eq(kept_of(30), 30);
    ck_assert_uint_eq(vl_get(&heap.purged_bytes), 0);
}
END_TEST

START_TEST(few_yield_nothing)
{
    kept_of(8);
    ck_assert_uint_eq(vl_page_heap_yield(&heap, SIZE_MAX), 0);
}
END_TEST

START_TEST(many_yield_but_a_third)
{
    kept_of(30);
    ck_assert_uint_eq(vl_page_heap_yield(&heap, 0), 0);
    ck_assert_uint_eq(vl_page_heap_yield(&heap, 3 * MB), 2 * VL_REGION_SIZE);
    ck_assert_uint_eq(vl_page_heap_yield(&heap, SIZE_MAX), 18 * VL_REGION_SIZE);
    ck_assert_uint_eq(vl_get(&heap.regions_empty), 10);
    ck_assert_uint_eq(vl_get(&heap.purged_bytes), 20 * VL_REGION_SIZE);
}
END_TEST

START_TEST(kept_for_ever_they_yield_nothing)
{
    vl_options.purge_delay_ms = -1;
    kept_of(30);
    ck_assert_uint_eq(vl_page_heap_yield(&heap, SIZE_MAX), 0);
}
END_TEST

START_TEST(purged_at_second_10)
{
    struct vl_run old = must_take(VL_REGION_PAGES), young = must_take(VL_REGION_PAGES);
    memset(old.start, 1, VL_REGION_SIZE);
    give(&old);
    fake_os_sleep(DELAY_MS - 1);
    give(&young);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, DELAY_MS), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    ck_assert_uint_eq(vl_get(&heap.regions_empty), 2);

    fake_os_sleep(1);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, DELAY_MS), VL_REGION_SIZE);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 1);
    const struct fake_os_record *discard = fake_os_last(FAKE_ADVISE_DISCARD, old.start);
    ck_assert_ptr_nonnull(discard);
    ck_assert_ptr_eq(discard->start, old.start);
    ck_assert_uint_eq(discard->size, VL_REGION_SIZE);
    ck_assert_uint_eq(vl_get(&heap.purged_bytes), VL_REGION_SIZE);
    ck_assert_uint_eq(vl_get(&heap.regions_empty), 1);
    ck_assert_uint_eq(vl_get(&heap.regions_clean), 1);
    ck_assert(is_zero(old.start, VL_REGION_SIZE));
}
END_TEST

START_TEST(an_emptied_region_purges_the_old_ones)
{
    struct vl_run old = must_take(VL_REGION_PAGES), young = must_take(VL_REGION_PAGES);
    give(&old);
    fake_os_sleep(DELAY_MS);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0); /* nobody looked */
    give(&young);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 1);
    ck_assert_ptr_nonnull(fake_os_last(FAKE_ADVISE_DISCARD, old.start));
}
END_TEST

START_TEST(a_region_in_use_is_not_purged)
{
    struct vl_run kept = must_take(1), run = must_take(64);
    ck_assert_ptr_eq(kept.region, run.region);
    give(&run);
    fake_os_sleep(100 * DELAY_MS);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, 0), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    give(&kept);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, 0), VL_REGION_SIZE);
}
END_TEST

START_TEST(reuse_begins_the_wait_anew)
{
    empty_a_region();
    fake_os_sleep(DELAY_MS - 1);
    empty_a_region();
    fake_os_sleep(DELAY_MS - 1);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, DELAY_MS), 0);
    fake_os_sleep(1);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, DELAY_MS), VL_REGION_SIZE);
}
END_TEST

START_TEST(never)
{
    vl_options.purge_delay_ms = VL_TIME_NEVER;
    empty_a_region();
    fake_os_sleep(1000 * DELAY_MS);
    empty_a_region();
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
}
END_TEST

START_TEST(at_once)
{
    vl_options.purge_delay_ms = 0;
    empty_a_region();
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 1);
}
END_TEST

/* Of a region in use again, only pages that were touched since are dirty. */
START_TEST(zeroed_is_known_by_the_page)
{
    struct vl_run run = must_take(8);
    ck_assert(run.zeroed);
    memset(run.start, 1, 8 * VL_PAGE_SIZE);
    give(&run);
    struct vl_run again = must_take(9);
    ck_assert_ptr_eq(again.start, run.start);
    ck_assert(!again.zeroed);
    ck_assert(must_take(1).zeroed);
}
END_TEST

/* --- Failures --- */

START_TEST(discard_fails)
{
    struct vl_run run = must_take(VL_REGION_PAGES);
    memset(run.start, 1, VL_REGION_SIZE);
    fake_os_fail_from(FAKE_ADVISE_DISCARD, 1, EINVAL);
    give(&run);
    fake_os_sleep(DELAY_MS);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, DELAY_MS), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 1);
    ck_assert_uint_eq(vl_get(&heap.purged_bytes), 0);
    check_counts();

    /* Its memory was not given back, so it is not known to be zero. */
    struct vl_run again = must_take(VL_REGION_PAGES);
    ck_assert_ptr_eq(again.region, run.region);
    ck_assert(!again.zeroed);
    fake_os_heal();
    give(&again);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, 0), VL_REGION_SIZE);
    check_nothing_is_lost();
}
END_TEST

START_TEST(protect_fails)
{
    struct vl_run run;
    for (unsigned nth = 1; nth <= 3; nth++) {
        fake_os_fail_from(FAKE_PROTECT, nth, ENOMEM);
        ck_assert(!take(&run, VL_REGION_PAGES, 1));
        check_counts();
        fake_os_heal();
    }
    /* Each extension fails somewhere the first time round. */
    for (unsigned nth = 1; held_count < REGIONS; nth = nth % 6 + 1) {
        fake_os_fail(FAKE_PROTECT, nth, ENOMEM);
        hold(VL_REGION_PAGES, 1);
        check_counts();
    }
    fake_os_heal();
    check_nothing_is_lost();
}
END_TEST

START_TEST(any_call_fails)
{
    for (unsigned nth = 1; nth <= 20; nth++) {
        fake_os_fail(FAKE_ANY, nth, ENOMEM);
        churn(200);
        drop_all();
        fake_os_sleep(DELAY_MS);
        vl_page_heap_purge(&heap, DELAY_MS);
        check_counts();
    }
    fake_os_heal();
    check_nothing_is_lost();
}
END_TEST

/* --- After a fork --- */

START_TEST(fork_with_the_lock_free_changes_nothing)
{
    churn(300);
    struct vl_page_heap before = heap;
    vl_page_heap_after_fork(&heap);
    ck_assert_mem_eq(&heap, &before, sizeof heap);
}
END_TEST

/* As a thread may have left it that was stopped anywhere in its work. */
static void tear(uint64_t *random)
{
    heap.lock.word = random_next(random) % 2 == 0 ? VL_LOCK_HELD : VL_LOCK_CONTENDED;
    for (unsigned word = 0; word < VL_REGION_BUCKET_WORDS; word++)
        heap.active.occupied[word] = random_next(random);
    for (unsigned bucket = 0; bucket < VL_REGION_BUCKETS; bucket++)
        heap.active.buckets[bucket].first =
            vl_slice_unit(heap.slice, random_next(random) % REGIONS);
    heap.empty.first = heap.clean.last = vl_slice_unit(heap.slice, 0);
    vl_set(&heap.pages_used, random_next(random));
    vl_set(&heap.regions_active, 12345);
    for (uint32_t i = 0; i < heap.fresh; i++) {
        struct vl_region *region = vl_slice_unit(heap.slice, i);
        region->pages_used = (uint16_t)random_next(random);
        region->free_run_max = (uint16_t)random_next(random);
        region->run_count = (uint16_t)random_next(random);
        region->next = region->prev = vl_slice_unit(heap.slice, 0);
        region->slice = (uint16_t)random_next(random);
    }
}

START_TEST(fork_with_the_lock_held)
{
    uint64_t random = test_seed();
    for (int round = 0; round < 20; round++) {
        churn(300);
        tear(&random);
        vl_page_heap_after_fork(&heap);
        ck_assert_uint_eq(heap.lock.word, VL_LOCK_FREE);
        check_counts();
        churn(300);
    }
    check_nothing_is_lost();
}
END_TEST

/* Memory of a region that was free keeps its dirt. */
START_TEST(fork_forgets_no_dirt)
{
    struct vl_run run = must_take(VL_REGION_PAGES);
    memset(run.start, 1, VL_REGION_SIZE);
    give(&run);
    heap.lock.word = VL_LOCK_HELD;
    vl_page_heap_after_fork(&heap);
    ck_assert_uint_eq(vl_get(&heap.regions_empty), 1);
    ck_assert(!must_take(VL_REGION_PAGES).zeroed);
}
END_TEST

/* --- Huge pages of the kernel's pool --- */

static void start_world_of_hugetlb(void)
{
    vl_options.hugepage_mode = VL_HUGEPAGE_HUGETLB;
    start_world();
}

static unsigned pages_of_pool(void)
{
    return fake_os_hugetlb_pages((char *)heap.slice->start, REGIONS * VL_REGION_SIZE);
}

static void check_pool(unsigned pages, unsigned refused)
{
    ck_assert_uint_eq(pages_of_pool(), pages);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_bytes), pages * VL_REGION_SIZE);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_refused), refused);
    check_counts();
}

/* None, one, enough, and one that ends half-way: what is missing is ordinary memory. */
START_TEST(pools_of_all_sizes)
{
    static const unsigned pools[] = {0, 1, 64, REGIONS / 2};
    unsigned pool = pools[_i], got = pool < REGIONS ? pool : REGIONS;
    fake_os_set_pool(pool);
    for (unsigned i = 0; i < REGIONS; i++)
        ck_assert(hold(VL_REGION_PAGES, 1));
    check_pool(got, REGIONS - got);
    ck_assert_uint_eq(fake_os_pool(), pool - got);
    for (unsigned i = 0; i < REGIONS; i++)
        check_held(i);
    drop_all();
    vl_page_heap_purge(&heap, 0);
    check_pool(0, REGIONS - got);
    ck_assert_uint_eq(fake_os_pool(), pool);
    check_nothing_is_lost();
}
END_TEST

START_TEST(one_page_for_a_region)
{
    fake_os_set_pool(64);
    struct vl_run first = must_take(1), second = must_take(1);
    ck_assert_ptr_eq(first.region, second.region);
    ck_assert(first.zeroed && second.zeroed);
    ck_assert_uint_eq(pages_of_pool(), 1);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_bytes), VL_REGION_SIZE);
}
END_TEST

START_TEST(a_region_that_keeps_its_page)
{
    fake_os_set_pool(64);
    struct vl_run run = must_take(VL_REGION_PAGES);
    memset(run.start, 1, VL_REGION_SIZE);
    give(&run);
    check_pool(1, 0);
    struct vl_run again = must_take(VL_REGION_PAGES);
    ck_assert_ptr_eq(again.start, run.start);
    ck_assert(!again.zeroed);
    ck_assert_uint_eq(fake_os_count(FAKE_MAP_HUGETLB), 1);
}
END_TEST

/* The page goes back to the pool; the region gets another when it is used again. */
START_TEST(a_purged_region)
{
    fake_os_set_pool(1);
    struct vl_run run = must_take(VL_REGION_PAGES);
    memset(run.start, 1, VL_REGION_SIZE);
    give(&run);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, 0), VL_REGION_SIZE);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    ck_assert_uint_eq(vl_get(&heap.regions_clean), 1);
    check_pool(0, 0);
    ck_assert_uint_eq(fake_os_pool(), 1);
    ck_assert(is_zero(run.start, VL_REGION_SIZE));

    struct vl_run again = must_take(VL_REGION_PAGES);
    ck_assert_ptr_eq(again.start, run.start);
    ck_assert(again.zeroed);
    ck_assert_uint_eq(pages_of_pool(), 1);
    give(&again);
}
END_TEST

START_TEST(a_page_that_does_not_come)
{
    fake_os_set_pool(64);
    fake_os_fail(FAKE_ADVISE_POPULATE, 2, EFAULT);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(hold(VL_REGION_PAGES, 1));
    check_pool(2, 1);
    ck_assert_uint_eq(fake_os_pool(), 62);
    drop_all();
}
END_TEST

/* There may be a hole: nobody gets that region any more. */
START_TEST(a_lost_region)
{
    struct vl_run run;
    fake_os_set_pool(64);
    fake_os_fail(FAKE_REPLACE, 1, ENOMEM);
    fake_os_fail(FAKE_PLUG, 1, EEXIST);
    for (unsigned i = 1; i < REGIONS; i++) {
        run = must_take(VL_REGION_PAGES);
        ck_assert_ptr_ne(run.start, (char *)heap.slice->start);
    }
    ck_assert(!take(&run, 1, 1));
    ck_assert_uint_eq(vl_get(&heap.hugetlb_refused), REGIONS);
    heap.lock.word = VL_LOCK_HELD;
    vl_page_heap_after_fork(&heap);
    ck_assert_uint_eq(vl_get(&heap.regions_active), REGIONS - 1);
    ck_assert(!take(&run, 1, 1));
}
END_TEST

START_TEST(a_lost_page)
{
    fake_os_set_pool(1);
    struct vl_run run = must_take(VL_REGION_PAGES);
    give(&run);
    fake_os_fail(FAKE_RENEW, 1, ENOMEM);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, 0), 0);
    ck_assert_uint_eq(vl_get(&heap.hugetlb_bytes), 0);
    ck_assert_uint_eq(vl_get(&heap.regions_empty) + vl_get(&heap.regions_clean), 0);
    ck_assert(!vl_page_heap_close(&heap)); /* another thread may have mapped something there */
    ck_assert_ptr_ne(must_take(1).start, run.start);
}
END_TEST

/* Pages come and go, and calls fail. */
START_TEST(hugetlb_at_random)
{
    fake_os_set_pool(REGIONS / 2);
    churn(scaled(2000));
    for (unsigned nth = 1; nth <= 20; nth++) {
        fake_os_fail(FAKE_MAP_HUGETLB, nth, ENOMEM);
        fake_os_fail(FAKE_ADVISE_POPULATE, nth, EFAULT);
        churn(200);
        ck_assert_uint_eq(vl_get(&heap.hugetlb_bytes), pages_of_pool() * VL_REGION_SIZE);
    }
    fake_os_heal();
    drop_all();
    vl_page_heap_purge(&heap, 0);
    ck_assert_uint_eq(fake_os_pool(), REGIONS / 2);
    check_nothing_is_lost();
}
END_TEST

START_TEST(fork_with_pages_of_the_pool)
{
    fake_os_set_pool(5);
    for (unsigned i = 0; i < 8; i++)
        hold(VL_REGION_PAGES, 1);
    drop(3);
    heap.lock.word = VL_LOCK_HELD;
    vl_set(&heap.hugetlb_bytes, 12345);
    vl_page_heap_after_fork(&heap);
    check_pool(5, 3);
    drop_all();
    vl_page_heap_purge(&heap, 0);
    check_pool(0, 3);
}
END_TEST

START_TEST(closed_with_pages_of_the_pool)
{
    fake_os_set_pool(64);
    struct vl_run run = must_take(1);
    give(&run);
    ck_assert(vl_page_heap_close(&heap));
    ck_assert_uint_eq(vl_get(&heap.hugetlb_bytes), 0);
    vl_slice_hide(heap.slice);
    ck_assert_uint_ne(vl_slice_unmap(heap.slice), 0);
    ck_assert_uint_eq(fake_os_pool(), 64);
}
END_TEST

/* --- The end --- */

START_TEST(closed)
{
    struct vl_run run = must_take(3);
    ck_assert(!vl_page_heap_close(&heap));
    give(&run);
    ck_assert(vl_page_heap_close(&heap));
    ck_assert(!vl_page_heap_close(&heap));
    ck_assert(!take(&run, 1, 1));
    ck_assert_uint_eq(vl_page_heap_purge(&heap, 0), 0);
    ck_assert_uint_eq(fake_os_count(FAKE_ADVISE_DISCARD), 0);
    check_counts();
}
END_TEST

/* --- Records of regions --- */

static void take_all_regions(struct vl_run runs[REGIONS])
{
    for (unsigned i = 0; i < REGIONS; i++)
        memset((runs[i] = must_take(VL_REGION_PAGES)).start, 1, VL_REGION_SIZE);
}

/* All but one, the sixth: those before it keep their records. */
START_TEST(records_at_the_end_go_back)
{
    struct vl_run runs[REGIONS];
    take_all_regions(runs);
    for (unsigned i = 0; i < REGIONS; i++)
        if (i != 5)
            give(&runs[i]);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, 0), (REGIONS - 1) * VL_REGION_SIZE);
    ck_assert_uint_eq(heap.fresh, 6);
    ck_assert_uint_eq(vl_get(&heap.regions_clean), 5);
    ck_assert(is_zero(vl_slice_unit(heap.slice, 7), (REGIONS - 7) * sizeof(struct vl_region)));
    give(&runs[5]);
    vl_page_heap_purge(&heap, 0);
    ck_assert_uint_eq(heap.fresh, 6); /* so few are not worth it */
    check_nothing_is_lost();
}
END_TEST

/* What another thread does while records go back. */
static void (*meanwhile)(void);
static struct vl_run taken_meanwhile;

static int do_meanwhile(void *start, size_t size, enum vl_advice advice)
{
    void (*action)(void) = meanwhile;
    if (action != NULL && advice == VL_ADVICE_DISCARD && start >= (void *)heap.slice->units &&
        start < (void *)heap.slice->start) {
        meanwhile = NULL;
        action();
    }
    return vl_os_linux.advise(start, size, advice);
}

static void purge_and(void (*action)(void))
{
    static struct vl_os hooked;
    hooked = *vl_os;
    hooked.advise = do_meanwhile;
    vl_os = &hooked;
    meanwhile = action;
    vl_page_heap_purge(&heap, 0);
    ck_assert(meanwhile == NULL);
}

static void take_a_region(void)
{
    taken_meanwhile = must_take(VL_REGION_PAGES);
}

START_TEST(records_go_back_while_others_take_regions)
{
    struct vl_run runs[REGIONS - 1];
    for (unsigned i = 0; i < REGIONS - 1; i++)
        runs[i] = must_take(VL_REGION_PAGES);
    for (unsigned i = 0; i < REGIONS - 1; i++)
        give(&runs[i]);
    purge_and(take_a_region);
    ck_assert_ptr_eq(taken_meanwhile.region, vl_slice_unit(heap.slice, REGIONS - 1));
    ck_assert_uint_eq(heap.fresh, REGIONS);
    ck_assert_uint_eq(vl_get(&heap.regions_clean), REGIONS - 1);
    give(&taken_meanwhile);
    check_counts();
    check_nothing_is_lost();
}
END_TEST

static struct vl_run given_meanwhile;

static void give_and_purge(void)
{
    give(&given_meanwhile);
    ck_assert_uint_eq(vl_page_heap_purge(&heap, 0), VL_REGION_SIZE);
}

START_TEST(two_give_records_back_at_the_same_time)
{
    struct vl_run runs[REGIONS];
    take_all_regions(runs);
    for (unsigned i = 1; i < REGIONS; i++)
        give(&runs[i]);
    given_meanwhile = runs[0];
    purge_and(give_and_purge);
    check_counts();
    ck_assert_uint_eq(vl_get(&heap.regions_clean), heap.fresh);
    check_nothing_is_lost();
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("page_heap");
    TCase *runs = timed_case("runs", 60);
    TCase *strip = timed_case("strip", 60);
    TCase *purge = tcase_create("purge");
    TCase *failures = timed_case("failures", 60);
    TCase *fork = timed_case("fork", 60);
    TCase *hugetlb = timed_case("hugetlb", 60);
    TCase *end = tcase_create("end");

    tcase_add_checked_fixture(runs, start_world, NULL);
    tcase_add_test(runs, plan_by_mode);
    tcase_add_test(runs, random_runs);
    tcase_add_test(runs, a_run_grows_into_the_pages_behind_it);
    tcase_add_test(runs, room_is_looked_for);
    tcase_add_test(runs, room_takes_no_memory);
    tcase_add_test(runs, a_full_slice);
    tcase_add_test(runs, memory_that_is_there_comes_first);
    suite_add_tcase(suite, runs);

    tcase_add_checked_fixture(strip, start_world, NULL);
    tcase_add_test(strip, stripped_now_and_then);
    tcase_add_test(strip, stripped_pages_are_clean);
    tcase_add_test(strip, refused_stripping_does_no_harm);
    tcase_add_test(strip, stripped_with_large_pages);
    tcase_add_test(strip, a_region_emptied_meanwhile);
    suite_add_tcase(suite, strip);

    tcase_add_checked_fixture(purge, start_world, NULL);
    tcase_add_test(purge, all_are_kept_for_a_while);
    tcase_add_test(purge, few_yield_nothing);
    tcase_add_test(purge, many_yield_but_a_third);
    tcase_add_test(purge, kept_for_ever_they_yield_nothing);
    tcase_add_test(purge, purged_at_second_10);
    tcase_add_test(purge, an_emptied_region_purges_the_old_ones);
    tcase_add_test(purge, a_region_in_use_is_not_purged);
    tcase_add_test(purge, reuse_begins_the_wait_anew);
    tcase_add_test(purge, never);
    tcase_add_test(purge, at_once);
    tcase_add_test(purge, zeroed_is_known_by_the_page);
    tcase_add_test(purge, records_at_the_end_go_back);
    tcase_add_test(purge, records_go_back_while_others_take_regions);
    tcase_add_test(purge, two_give_records_back_at_the_same_time);
    suite_add_tcase(suite, purge);

    tcase_add_checked_fixture(failures, start_world, NULL);
    tcase_add_test(failures, discard_fails);
    tcase_add_test(failures, protect_fails);
    tcase_add_test(failures, any_call_fails);
    suite_add_tcase(suite, failures);

    tcase_add_checked_fixture(fork, start_world, NULL);
    tcase_add_test(fork, fork_with_the_lock_free_changes_nothing);
    tcase_add_test(fork, fork_with_the_lock_held);
    tcase_add_test(fork, fork_forgets_no_dirt);
    suite_add_tcase(suite, fork);

    tcase_add_checked_fixture(hugetlb, start_world_of_hugetlb, NULL);
    tcase_add_loop_test(hugetlb, pools_of_all_sizes, 0, 4);
    tcase_add_test(hugetlb, one_page_for_a_region);
    tcase_add_test(hugetlb, a_region_that_keeps_its_page);
    tcase_add_test(hugetlb, a_purged_region);
    tcase_add_test(hugetlb, a_page_that_does_not_come);
    tcase_add_test(hugetlb, a_lost_region);
    tcase_add_test(hugetlb, a_lost_page);
    tcase_add_test(hugetlb, hugetlb_at_random);
    tcase_add_test(hugetlb, fork_with_pages_of_the_pool);
    tcase_add_test(hugetlb, closed_with_pages_of_the_pool);
    suite_add_tcase(suite, hugetlb);

    tcase_add_checked_fixture(end, start_world, NULL);
    tcase_add_test(end, closed);
    suite_add_tcase(suite, end);
    return suite;
}
