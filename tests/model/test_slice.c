/*
 * core/slice, core/rcu and the retiring of numa/place in every order of three threads: who looks at
 * a slice's tables in a section finds them mapped, and start and size are of one slice.
 */
#define VL_REGION_SHIFT 16

#include "tests/api/support.h"

#include <dlfcn.h>

/* liburcu is ours. */
/* Without liburcu the library asks for neither. */
__attribute__((unused)) static void *open_library(const char *name, int flags);
__attribute__((unused)) static void *find_symbol(void *library, const char *name);
#define dlopen open_library
#define dlsym  find_symbol

#include "core/core.h"

#include "core/rcu.c"
#include "core/slice.c"
#include "numa/place.c"

struct vl_traffic vl_traffic[VL_NODE_INDEX_MAX];

enum { SLICES = 3, SLICES_EVER = 5, GRAIN = 4096, REGION = 1 << VL_REGION_SHIFT };

/* --------------------------------------------------------------------------------------------
 * Address space: numbers, at which nothing is ever read or written. The nth slice ever made begins
 * a region after the nth of these stretches; none is handed out twice.
 * -------------------------------------------------------------------------------------------- */

enum { STRETCH = 6 * REGION };
#define SPACE ((uintptr_t)1 << 32)

static struct {
    unsigned reserved;
    bool mapped[SLICES_EVER * STRETCH / GRAIN];
} space;

static bool *grain_of(uintptr_t address)
{
    return &space.mapped[(address - SPACE) / GRAIN];
}

static bool is_mapped(uintptr_t address)
{
    return address - SPACE < SLICES_EVER * STRETCH && *grain_of(address);
}

static uintptr_t start_of(unsigned nth)
{
    return SPACE + nth * STRETCH + REGION;
}

static void *reserve_space(size_t size)
{
    if (size > STRETCH || space.reserved == SLICES_EVER)
        abort();
    uintptr_t start = SPACE + space.reserved++ * STRETCH;
    memset(grain_of(start), true, size / GRAIN);
    return (void *)start;
}

static int unreserve_space(void *start, size_t size)
{
    explore_point();
    for (size_t at = 0; at < size; at += GRAIN) {
        explore_assert(is_mapped((uintptr_t)start + at));
        *grain_of((uintptr_t)start + at) = false;
    }
    return 0;
}

static int accept_access(void *start, size_t size, enum vl_access access)
{
    return (void)start, (void)size, (void)access, 0;
}

/* Memory that is given back is ours still. */
static int accept_advice(void *start, size_t size, enum vl_advice advice)
{
    if (advice != VL_ADVICE_DISCARD || size == 0)
        return 0;
    explore_point();
    explore_assert(is_mapped((uintptr_t)start));
    return 0;
}

/* Nobody's patience ends. */
static uint64_t stopped_clock(void)
{
    return 0;
}

static const struct vl_os model_os = {.reserve = reserve_space,
                                      .unreserve = unreserve_space,
                                      .protect = accept_access,
                                      .advise = accept_advice,
                                      .clock_ms = stopped_clock,
                                      .yield = explore_yield,
                                      .wait = explore_wait,
                                      .wake = explore_wake};

/* --------------------------------------------------------------------------------------------
 * liburcu: sections are counted; who waits has seen none open
 * -------------------------------------------------------------------------------------------- */

static _Atomic uint32_t library_sections;

static void library_read_lock(void)
{
    vl_add(&library_sections, 1);
}

static void library_read_unlock(void)
{
    vl_add(&library_sections, -1);
}

static int library_read_ongoing(void)
{
    return 0;
}

static void library_synchronize(void)
{
    while (vl_get(&library_sections) != 0)
        explore_yield();
}

static void *open_library(const char *name, int flags)
{
    return (void)name, (void)flags, &library_sections;
}

static void *find_symbol(void *opened, const char *name)
{
    static const struct {
        const char *name;
        void *function;
    } symbols[] = {{"urcu_bp_read_lock", library_read_lock},
                   {"urcu_bp_read_unlock", library_read_unlock},
                   {"urcu_bp_read_ongoing", library_read_ongoing},
                   {"urcu_bp_synchronize_rcu", library_synchronize}};
    (void)opened;
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
        if (strcmp(symbols[i].name, name) == 0)
            return symbols[i].function;
    return NULL;
}

/* --------------------------------------------------------------------------------------------
 * The world, and what threads do in it
 * -------------------------------------------------------------------------------------------- */

static void open_heap(struct vl_slice *slice)
{
    memset(&vl_big_heaps[slice->number], 0, sizeof *vl_big_heaps);
}

static struct vl_slice_plan plan_of(unsigned regions)
{
    return (struct vl_slice_plan){.kind = VL_SLICE_BIG,
                                  .size = (size_t)regions * REGION,
                                  .unit_shift = VL_GRAIN_SHIFT,
                                  .unit_bytes = 16,
                                  .prepare = open_heap};
}

static void make_slice_of(unsigned regions)
{
    struct vl_slice_plan plan = plan_of(regions);
    vl_slice_create(&plan);
}

static void start_world(void)
{
    vl_os = &model_os;
    vl_os_page_size = GRAIN;
    explore_watch(vl_slices, SLICES * sizeof *vl_slices);
    explore_watch(vl_big_heaps, SLICES * sizeof *vl_big_heaps);
    explore_watch(&space, sizeof space);
    explore_watch(&found, sizeof found);
    explore_thread_local(own, sizeof own);
}

static uintptr_t pointer; /* what readers ask about */

static void read_tables(const struct vl_slice *slice)
{
    uintptr_t tables = (uintptr_t)slice->tables;
    for (int i = 0; i < 2; i++) {
        explore_point();
        explore_assert(is_mapped(tables));
    }
}

static void ask(void)
{
    enum vl_rcu_section section = vl_rcu_read();
    const struct vl_slice *slice = vl_slice_of((void *)pointer);
    if (slice != NULL)
        read_tables(slice);
    vl_rcu_done(section);
}

static void load_and_ask(void)
{
    vl_rcu_load();
    ask();
}

static void retire(void)
{
    vl_place_retire(true);
}

static void make_another(void)
{
    make_slice_of(2);
}

static void retire_and_make(void)
{
    retire();
    make_another();
}

static bool no_wait(void)
{
    return true;
}

static void retire_at_once(void)
{
    retire_idle_slices(no_wait);
}

/* Looks at the readers of one turn only, and leaves it to them. */
static bool wait_for_one_turn(void)
{
    return wait_for_counted(vl_get(&turn));
}

static void retire_after_one_turn(void)
{
    retire_idle_slices(wait_for_one_turn);
}

/* What is live is mapped, what is retired is not, nothing is in between. */
static void check_slices(void)
{
    for (uint32_t i = 0; i < vl_slice_count; i++) {
        const struct vl_slice *slice = &vl_slices[i];
        bool live = slice->state == VL_SLICE_LIVE, retired = slice->state == VL_SLICE_RETIRED;
        explore_assert(live || retired);
        explore_assert(is_mapped((uintptr_t)slice->tables) == live);
        explore_assert((slice->size != 0) == live);
    }
    explore_assert(counted[0] == 0 && counted[1] == 0);
}

static struct explore scenario_of(const char *name, void (*a)(void), void (*b)(void),
                                  void (*c)(void))
{
    return (struct explore){.name = name,
                            .threads = {a, b, c},
                            .check = check_slices,
                            .preemptions = EXPLORE_EVERY_ORDER};
}

static void start_with_slice(unsigned regions)
{
    start_world();
    make_slice_of(regions);
    pointer = vl_slices[0].start;
}

static void assert_sound(struct explore scenario)
{
    ck_assert_pstr_eq(explore(&scenario).violation, NULL);
}

static void assert_found(struct explore scenario, const char *violation)
{
    ck_assert_pstr_eq(explore(&scenario).violation, violation);
}

static void assert_torn_is_found(struct explore scenario, const void *word)
{
    scenario.fault = (struct explore_fault){EXPLORE_TORN, word, 0};
    ck_assert_ptr_nonnull(explore(&scenario).violation);
}

/* --------------------------------------------------------------------------------------------
 * Sections
 * -------------------------------------------------------------------------------------------- */

START_TEST(tables_stay_while_they_are_read)
{
    start_with_slice(1);
    assert_sound(scenario_of("ask, retire, make", ask, retire, make_another));
}
END_TEST

START_TEST(two_readers_and_the_slot_made_anew)
{
    start_with_slice(1);
    assert_sound(scenario_of("ask, ask, retire and make", ask, ask, retire_and_make));
}
END_TEST

START_TEST(the_library_is_loaded_meanwhile)
{
    start_with_slice(1);
    assert_sound(scenario_of("load and ask, ask, retire", load_and_ask, ask, retire));
}
END_TEST

START_TEST(without_the_wait_they_do_not)
{
    start_with_slice(1);
    assert_found(scenario_of("no wait", ask, retire_at_once, make_another), "is_mapped(tables)");
}
END_TEST

START_TEST(one_turn_is_not_enough)
{
    start_with_slice(1);
    assert_found(scenario_of("one turn", ask, retire, retire_after_one_turn), "is_mapped(tables)");
}
END_TEST

START_TEST(a_torn_count_of_readers_is_not_enough)
{
    start_with_slice(1);
    assert_torn_is_found(scenario_of("torn count", ask, ask, retire), &counted[0]);
}
END_TEST

/* --------------------------------------------------------------------------------------------
 * Two who retire
 * -------------------------------------------------------------------------------------------- */

static void start_with_two(void)
{
    start_with_slice(1);
    make_slice_of(1);
    vl_slices[0].writable = vl_slices[1].writable = REGION;
    vl_big_heaps[1].extents.grains_used = 1;
    pointer = vl_slices[1].start;
}

static void idle_and_retire(void)
{
    vl_big_heaps[1].extents.grains_used = 0;
    retire();
}

/* Unmaps whatever is hidden after it has waited. */
static void retire_without_notes(void)
{
    if (!vl_big_heap_close(&vl_big_heaps[0]))
        return;
    vl_slice_hide(&vl_slices[0]);
    if (!vl_rcu_wait())
        return;
    vl_slice_unmap(&vl_slices[0]);
    vl_slice_unmap(&vl_slices[1]);
}

START_TEST(each_slice_is_unmapped_once)
{
    start_with_two();
    assert_sound(scenario_of("retire, retire", retire, idle_and_retire, NULL));
}
END_TEST

START_TEST(another_hides_more_meanwhile)
{
    start_with_two();
    assert_sound(scenario_of("ask, retire, retire", ask, retire, idle_and_retire));
}
END_TEST

START_TEST(what_was_not_noted_stays)
{
    start_with_two();
    assert_found(scenario_of("no notes", ask, retire_without_notes, idle_and_retire),
                 "is_mapped(tables)");
}
END_TEST

START_TEST(a_torn_state_unmaps_twice)
{
    start_with_two();
    assert_torn_is_found(scenario_of("torn state", retire, retire, NULL), &vl_slices[0].state);
}
END_TEST

/* --------------------------------------------------------------------------------------------
 * Start and size, as whoever frees reads them: in no section
 * -------------------------------------------------------------------------------------------- */

typedef bool holds_fn(const struct vl_slice *slice, const void *pointer);

static bool holds_with_one_look(const struct vl_slice *slice, const void *address)
{
    size_t size = vl_get_acquire(&slice->size);
    return (uintptr_t)address - vl_get_acquire(&slice->start) < size;
}

static bool holds_with_start_first(const struct vl_slice *slice, const void *address)
{
    uintptr_t start = vl_get_acquire(&slice->start);
    return (uintptr_t)address - start < vl_get_acquire(&slice->size);
}

/* Sizes in regions: of the slice there is, and of those made later in its slot. */
static struct {
    unsigned before, after;
    holds_fn *holds;
} look;

/* Addresses that lie in no slice, but in one with the start of one and the size of another. */
static void look_behind(void)
{
    uintptr_t behind_first = start_of(0) + look.before * REGION;
    uintptr_t behind_later = start_of(1) + look.after * REGION;
    bool first = look.before < look.after;
    explore_assert(!look.holds(&vl_slices[0], (void *)(first ? behind_first : behind_later)));
}

static void retire_and_make_after(void)
{
    retire();
    make_slice_of(look.after);
}

static struct explore looking(unsigned before, unsigned after, holds_fn *holds)
{
    look.before = before;
    look.after = after;
    look.holds = holds;
    start_with_slice(before);
    return scenario_of(before < after ? "look, a larger one" : "look, a smaller one", look_behind,
                       retire_and_make_after, retire_and_make_after);
}

START_TEST(a_larger_slice_in_the_slot)
{
    assert_sound(looking(1, 3, vl_slice_holds));
}
END_TEST

START_TEST(a_smaller_slice_in_the_slot)
{
    assert_sound(looking(3, 1, vl_slice_holds));
}
END_TEST

START_TEST(one_look_at_the_size_is_not_enough)
{
    struct explore scenario = looking(3, 1, holds_with_one_look);
    ck_assert_ptr_nonnull(explore(&scenario).violation);
}
END_TEST

START_TEST(nor_is_the_start_before_it)
{
    struct explore scenario = looking(1, 3, holds_with_start_first);
    ck_assert_ptr_nonnull(explore(&scenario).violation);
}
END_TEST

/* --------------------------------------------------------------------------------------------
 * Blocks in use are found
 * -------------------------------------------------------------------------------------------- */

static void free_a_block(void)
{
    explore_assert(vl_slice_of((void *)pointer) == &vl_slices[1]);
}

START_TEST(a_block_in_use_is_found)
{
    start_with_slice(1);
    make_slice_of(1);
    vl_big_heaps[1].extents.grains_used = 1;
    pointer = vl_slices[1].start;
    assert_sound(scenario_of("free, retire, make", free_a_block, retire_and_make, make_another));
}
END_TEST

static void make_and_find(void)
{
    struct vl_slice_plan plan = plan_of(1);
    const struct vl_slice *slice = vl_slice_create(&plan);
    explore_assert(vl_slice_of((void *)slice->start) == slice);
}

static struct explore making_three(void)
{
    start_world();
    return scenario_of("make, make, make", make_and_find, make_and_find, make_and_find);
}

START_TEST(who_makes_a_slice_finds_it)
{
    assert_sound(making_three());
}
END_TEST

START_TEST(a_torn_claim_gives_a_slot_twice)
{
    assert_torn_is_found(making_three(), &slots_taken);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("model of slices");
    TCase *sections = timed_case("sections", 120);
    TCase *two = timed_case("two", 120);
    TCase *holds = timed_case("holds", 120);
    TCase *in_use = timed_case("in use", 120);

    tcase_add_test(sections, tables_stay_while_they_are_read);
    tcase_add_test(sections, two_readers_and_the_slot_made_anew);
    tcase_add_test(sections, the_library_is_loaded_meanwhile);
    tcase_add_test(sections, without_the_wait_they_do_not);
    tcase_add_test(sections, one_turn_is_not_enough);
    tcase_add_test(sections, a_torn_count_of_readers_is_not_enough);
    suite_add_tcase(suite, sections);

    tcase_add_test(two, each_slice_is_unmapped_once);
    tcase_add_test(two, another_hides_more_meanwhile);
    tcase_add_test(two, what_was_not_noted_stays);
    tcase_add_test(two, a_torn_state_unmaps_twice);
    suite_add_tcase(suite, two);

    tcase_add_test(holds, a_larger_slice_in_the_slot);
    tcase_add_test(holds, a_smaller_slice_in_the_slot);
    tcase_add_test(holds, one_look_at_the_size_is_not_enough);
    tcase_add_test(holds, nor_is_the_start_before_it);
    suite_add_tcase(suite, holds);

    tcase_add_test(in_use, a_block_in_use_is_found);
    tcase_add_test(in_use, who_makes_a_slice_finds_it);
    tcase_add_test(in_use, a_torn_claim_gives_a_slot_twice);
    suite_add_tcase(suite, in_use);
    return suite;
}
