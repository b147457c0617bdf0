/* The explorer itself: it runs every schedule there is, once, and loses no outcome by merging. */
#include "tests/api/support.h"

#include "core/atomic.h"
#include "core/bits.h"

static _Atomic uint32_t word, other;

static void nothing_to_check(void)
{
}

static struct explore_result explore_sound(struct explore scenario)
{
    if (scenario.check == NULL)
        scenario.check = nothing_to_check;
    struct explore_result result = explore(&scenario);
    ck_assert_pstr_eq(result.violation, NULL);
    return result;
}

/* --- Counts that are known --- */

static void load_twice(void)
{
    vl_get(&word);
    vl_get(&word);
}

/* Each thread is in three pieces: two accesses, and what comes before them, between and after. */
START_TEST(every_schedule_is_run_once)
{
    struct explore scenario = {.name = "loads",
                               .threads = {load_twice, load_twice, load_twice},
                               .preemptions = EXPLORE_EVERY_ORDER,
                               .unmerged = true};
    ck_assert_uint_eq(explore_sound(scenario).schedules, 1680); /* 9! / (3! 3! 3!) */
    scenario.threads[2] = NULL;
    ck_assert_uint_eq(explore_sound(scenario).schedules, 20); /* 6! / (3! 3!) */
}
END_TEST

START_TEST(preemptions_are_bounded)
{
    struct explore scenario = {
        .name = "bounded", .threads = {load_twice, load_twice, load_twice}, .unmerged = true};
    ck_assert_uint_eq(explore_sound(scenario).schedules, 6); /* one after the other */
    scenario.threads[2] = NULL;
    scenario.preemptions = 1; /* and one, stopped in one of two places, with the other in between */
    ck_assert_uint_eq(explore_sound(scenario).schedules, 2 + 2 * 2);
}
END_TEST

START_TEST(alike_schedules_are_merged)
{
    struct explore scenario = {.name = "merged",
                               .threads = {load_twice, load_twice, load_twice},
                               .preemptions = EXPLORE_EVERY_ORDER};
    struct explore_result result = explore_sound(scenario);
    ck_assert_uint_lt(result.schedules, 20);
    /* Not begun, before one of two loads, ended; and one word is known a step earlier or later. */
    ck_assert_uint_le(result.states, 2 * 4 * 4 * 4);
}
END_TEST

/* --- Outcomes --- */

/* What the word came to hold in the ends of all schedules. */
static uint8_t outcomes[1 << 16];

static void note_outcome(void)
{
    outcomes[word % sizeof outcomes] = 1;
}

static unsigned count_outcomes(uint8_t *copy)
{
    unsigned count = 0;
    for (size_t i = 0; i < sizeof outcomes; i++)
        count += outcomes[i];
    memcpy(copy, outcomes, sizeof outcomes);
    memset(outcomes, 0, sizeof outcomes);
    return count;
}

/* What was loaded is kept in a register or on the stack while others run. */
static void multiply(void)
{
    uint32_t loaded = vl_get(&word);
    vl_set(&word, loaded * 3 + 1);
    vl_set(&word, vl_get(&other) + loaded);
}

static void shift(void)
{
    uint32_t loaded = vl_get(&word);
    vl_set(&other, loaded + 7);
    vl_set(&word, (vl_get(&word) << 2) + loaded);
}

static void add(void)
{
    uint32_t seen = vl_get(&word);
    while (!vl_swap_if(&word, &seen, seen + 5)) {
    }
    vl_add(&word, seen);
}

START_TEST(merging_loses_no_outcome)
{
    static uint8_t with[sizeof outcomes], without[sizeof outcomes];
    struct explore scenario = {.name = "outcomes",
                               .threads = {multiply, shift, add},
                               .check = note_outcome,
                               .preemptions = EXPLORE_EVERY_ORDER,
                               .unmerged = true};
    unsigned long unmerged = explore_sound(scenario).schedules;
    unsigned count = count_outcomes(without);
    scenario.unmerged = false;
    ck_assert_uint_lt(explore_sound(scenario).schedules, unmerged);
    ck_assert_uint_gt(count, 20);
    ck_assert_uint_eq(count_outcomes(with), count);
    ck_assert_mem_eq(with, without, sizeof with);
}
END_TEST

/* --- Violations --- */

static void add_one(void)
{
    vl_add(&word, 1);
}

static void check_sum(void)
{
    explore_assert(word == 3);
}

START_TEST(a_torn_addition_is_found)
{
    struct explore scenario = {.name = "sum",
                               .threads = {add_one, add_one, add_one},
                               .check = check_sum,
                               .preemptions = EXPLORE_EVERY_ORDER};
    explore_sound(scenario);
    scenario.fault = (struct explore_fault){.kind = EXPLORE_TORN, .word = &word};
    struct explore_result result = explore(&scenario);
    ck_assert_str_eq(result.violation, "word == 3");
}
END_TEST

static void wait_for_other(void)
{
    while (vl_get(&other) == 0)
        explore_yield();
}

static void let_others_go(void)
{
    vl_set(&other, 1);
}

START_TEST(waiting_ends_or_is_a_violation)
{
    struct explore scenario = {.name = "waiting",
                               .threads = {wait_for_other, let_others_go, wait_for_other},
                               .check = nothing_to_check,
                               .preemptions = EXPLORE_EVERY_ORDER};
    explore_sound(scenario);
    scenario.threads[1] = NULL;
    ck_assert_str_eq(explore(&scenario).violation, "nobody can go on");
}
END_TEST

/* --- Swaps --- */

static unsigned most_tries;

static void count_tries(void)
{
    uint32_t seen = vl_get(&word);
    unsigned tries = 1;
    while (!vl_swap_if(&word, &seen, seen + 1))
        tries++;
    most_tries = tries > most_tries ? tries : most_tries;
}

START_TEST(weak_swaps_fail_for_no_reason)
{
    struct explore scenario = {
        .name = "spurious", .threads = {count_tries}, .preemptions = EXPLORE_EVERY_ORDER};
    explore_sound(scenario);
    ck_assert_uint_eq(most_tries, 1);
    scenario.spurious = 2;
    explore_sound(scenario);
    ck_assert_uint_eq(most_tries, 3);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("explore");
    TCase *counts = timed_case("counts", 60);
    TCase *outcomes_case = timed_case("outcomes", 60);
    TCase *violations = timed_case("violations", 60);

    tcase_add_test(counts, every_schedule_is_run_once);
    tcase_add_test(counts, preemptions_are_bounded);
    tcase_add_test(counts, alike_schedules_are_merged);
    suite_add_tcase(suite, counts);

    tcase_add_test(outcomes_case, merging_loses_no_outcome);
    tcase_add_test(outcomes_case, weak_swaps_fail_for_no_reason);
    suite_add_tcase(suite, outcomes_case);

    tcase_add_test(violations, a_torn_addition_is_found);
    tcase_add_test(violations, waiting_ends_or_is_a_violation);
    suite_add_tcase(suite, violations);
    return suite;
}
