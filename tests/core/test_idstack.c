/* core/idstack: the word's transitions, the stack's order and bound, and tokens kept by threads. */
#include "tests/api/support.h"

#include "core/idstack.h"

#include <pthread.h>

enum { ITEMS = 64, THREADS = 4 };

static _Atomic uint32_t links[ITEMS + 1];

static _Atomic uint32_t *link_of(uint32_t id)
{
    return &links[id];
}

/* --- The word --- */

START_TEST(fields_do_not_touch)
{
    const uint32_t tops[] = {0, 1, 0x5a5a5a, VL_ID_MAX};
    const uint32_t counts[] = {0, 1, 0x5a5a, VL_IDSTACK_COUNT_MAX};
    const uint64_t tags[] = {0, 1, 0x5a5a5a, 0xffffff};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            for (int k = 0; k < 4; k++) {
                vl_idstack_word word = vl_idstack_make(tops[i], counts[j], tags[k]);
                ck_assert_uint_eq(vl_idstack_top(word), tops[i]);
                ck_assert_uint_eq(vl_idstack_count(word), counts[j]);
                ck_assert_uint_eq(vl_idstack_tag(word), tags[k]);
            }
}
END_TEST

START_TEST(transitions_are_inverse_but_for_the_tag)
{
    const uint64_t tags[] = {0, 77, 0xfffffe, 0xffffff};
    for (int i = 0; i < 4; i++) {
        vl_idstack_word word = vl_idstack_make(9, 41, tags[i]);
        vl_idstack_word with = vl_idstack_with(word, VL_ID_MAX);
        vl_idstack_word without = vl_idstack_without(with, 9);
        ck_assert(with == vl_idstack_make(VL_ID_MAX, 42, (tags[i] + 1) & 0xffffff));
        ck_assert(without == vl_idstack_make(9, 41, (tags[i] + 2) & 0xffffff));
    }
}
END_TEST

/* --- One thread --- */

START_TEST(last_in_first_out)
{
    struct vl_idstack stack = {0};
    ck_assert_uint_eq(vl_idstack_pop(&stack, link_of), 0);
    for (uint32_t id = 1; id <= ITEMS; id++) {
        ck_assert(vl_idstack_push(&stack, id, link_of, ITEMS));
        ck_assert_uint_eq(vl_idstack_count(stack.word), id);
    }
    for (uint32_t id = ITEMS; id >= 1; id--)
        ck_assert_uint_eq(vl_idstack_pop(&stack, link_of), id);
    ck_assert_uint_eq(vl_idstack_pop(&stack, link_of), 0);
    ck_assert_uint_eq(vl_idstack_count(stack.word), 0);
}
END_TEST

/* A refused push may have written the link in an earlier turn, which others won. The link may be the
 * floor of a magazine, which the caller goes on to use. */
START_TEST(refused_items_have_no_link)
{
    struct vl_idstack stack = {0};
    ck_assert(vl_idstack_push(&stack, 1, link_of, 1));
    vl_set(link_of(2), 1);
    ck_assert(!vl_idstack_push(&stack, 2, link_of, 1));
    ck_assert_uint_eq(vl_get(link_of(2)), 0);
}
END_TEST

START_TEST(full_at_its_limit)
{
    struct vl_idstack stack = {0};
    ck_assert(!vl_idstack_push(&stack, 1, link_of, 0));
    ck_assert(vl_idstack_push(&stack, 1, link_of, 2));
    ck_assert(vl_idstack_push(&stack, 2, link_of, 2));

    vl_idstack_word before = stack.word;
    ck_assert(!vl_idstack_push(&stack, 3, link_of, 2));
    ck_assert(stack.word == before);
    ck_assert(vl_idstack_push(&stack, 3, link_of, 3));

    /* The count's last value is not run over. */
    stack.word = vl_idstack_make(1, VL_IDSTACK_COUNT_MAX, 0);
    ck_assert(!vl_idstack_push(&stack, 2, link_of, VL_IDSTACK_COUNT_MAX));
}
END_TEST

START_TEST(a_stale_word_is_refused)
{
    struct vl_idstack stack = {0};
    vl_idstack_push(&stack, 1, link_of, ITEMS);
    vl_idstack_push(&stack, 2, link_of, ITEMS);
    vl_idstack_word seen = stack.word;

    /* The classic ABA: the same top and the same count again, but 1 is no longer below it. */
    ck_assert_uint_eq(vl_idstack_pop(&stack, link_of), 2);
    ck_assert_uint_eq(vl_idstack_pop(&stack, link_of), 1);
    vl_idstack_push(&stack, 3, link_of, ITEMS);
    vl_idstack_push(&stack, 2, link_of, ITEMS);
    ck_assert_uint_eq(vl_idstack_top(stack.word), vl_idstack_top(seen));
    ck_assert_uint_eq(vl_idstack_count(stack.word), vl_idstack_count(seen));
    ck_assert(!vl_swap_if(&stack.word, &seen, vl_idstack_without(seen, 1)));
}
END_TEST

/* --- Many threads --- */

/* Tokens wander between two stacks; whoever popped one holds it alone, and what is written to it
 * while it is held, without atomics, is seen by the next holder. */
static struct vl_idstack stacks[2];
static _Atomic int holders[ITEMS + 1];
static unsigned long moves[ITEMS + 1];

struct mover {
    pthread_t thread;
    uint64_t random;
    unsigned long moved;
    unsigned long broken;
};

static void *move_tokens(void *argument)
{
    struct mover *mover = argument;
    for (size_t round = 0; round < scaled(100000); round++) {
        uint64_t choice = random_next(&mover->random);
        uint32_t id = vl_idstack_pop(&stacks[choice & 1], link_of);
        if (id == 0)
            continue;
        mover->broken += vl_add(&holders[id], 1) != 0; /* relaxed: the stack alone orders */
        moves[id]++;
        mover->moved++;
        vl_add(&holders[id], -1);
        if (!vl_idstack_push(&stacks[choice >> 1 & 1], id, link_of, ITEMS))
            mover->broken++;
    }
    return NULL;
}

START_TEST(no_token_is_lost_or_doubled)
{
    struct mover movers[THREADS] = {0};
    for (uint32_t id = 1; id <= ITEMS; id++)
        ck_assert(vl_idstack_push(&stacks[id & 1], id, link_of, ITEMS));
    for (int i = 0; i < THREADS; i++) {
        movers[i].random = test_seed() + (uint64_t)i;
        ck_assert_int_eq(pthread_create(&movers[i].thread, NULL, move_tokens, &movers[i]), 0);
    }
    unsigned long moved = 0, counted = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(movers[i].thread, NULL);
        ck_assert_uint_eq(movers[i].broken, 0);
        moved += movers[i].moved;
    }
    bool seen[ITEMS + 1] = {false};
    uint32_t left = vl_idstack_count(stacks[0].word) + vl_idstack_count(stacks[1].word);
    ck_assert_uint_eq(left, ITEMS);
    for (int i = 0; i < 2; i++)
        for (uint32_t id; (id = vl_idstack_pop(&stacks[i], link_of)) != 0;) {
            ck_assert(!seen[id]);
            seen[id] = true;
            counted += moves[id];
            left--;
        }
    ck_assert_uint_eq(left, 0);
    ck_assert_uint_eq(counted, moved);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("idstack");
    TCase *word = tcase_create("word");
    TCase *order = tcase_create("order");
    TCase *threads = timed_case("threads", 60);

    tcase_add_test(word, fields_do_not_touch);
    tcase_add_test(word, transitions_are_inverse_but_for_the_tag);
    suite_add_tcase(suite, word);

    tcase_add_test(order, last_in_first_out);
    tcase_add_test(order, full_at_its_limit);
    tcase_add_test(order, refused_items_have_no_link);
    tcase_add_test(order, a_stale_word_is_refused);
    suite_add_tcase(suite, order);

    tcase_add_test(threads, no_token_is_lost_or_doubled);
    suite_add_tcase(suite, threads);
    return suite;
}
