/* hugepage/extent with a row of 6 grains: every sequence of changes, as deep as time allows, each
 * followed by every question. */
#define MODEL_GRAINS 6

#include "tests/api/support.h"

#include "tests/hugepage/extent_model.h"

enum { DEPTH = 6 };

static void change_everything(const struct extent_world *world, unsigned depth,
                              unsigned long *changes);

/* So few extents fit in a bin that the best is always found. */
static void ask_everything(struct extent_world *world)
{
    static const enum vl_extent_state states[] = {VL_EXTENT_DIRTY, VL_EXTENT_CLEAN};
    check_extents(world);
    check_ages(world);
    for (int i = 0; i < 2; i++)
        for (uint32_t grains = 1; grains <= MODEL_GRAINS; grains++) {
            const struct vl_extent *found = check_find(world, states[i], grains);
            model_assert((found == NULL ? 0 : found->grains) ==
                             model_best_fit(world, states[i], grains),
                         "%u grains", grains);
        }
}

/* Asks about a world that has just changed, and goes on from it. */
static void go_on(struct extent_world *world, unsigned depth, unsigned long *changes)
{
    ++*changes;
    ask_everything(world);
    change_everything(world, depth - 1, changes);
}

static void change_used(const struct extent_world *world, uint32_t first, unsigned depth,
                        unsigned long *changes)
{
    struct extent_world next = *world;
    free_both(&next, first, VL_EXTENT_DIRTY);
    go_on(&next, depth, changes);
    next = *world;
    free_both(&next, first, VL_EXTENT_CLEAN);
    go_on(&next, depth, changes);
    next = *world;
    if (join_both(&next, first))
        go_on(&next, depth, changes);
    for (uint32_t grains = 1; grains < model_grains(world, first); grains++) {
        next = *world;
        split_both(&next, first, grains);
        go_on(&next, depth, changes);
    }
}

static void change_free(const struct extent_world *world, uint32_t from, unsigned depth,
                        unsigned long *changes)
{
    uint32_t end = from + model_grains(world, from);
    uint32_t free_end = from + model_free_grains(world, from);
    for (uint32_t first = from; first < end; first++)
        for (uint32_t grains = 1; first + grains <= free_end; grains++) {
            struct extent_world next = *world;
            take_both(&next, from, first, grains);
            go_on(&next, depth, changes);
        }
}

static void change_everything(const struct extent_world *world, unsigned depth,
                              unsigned long *changes)
{
    struct extent_world later = *world;
    if (depth == 0)
        return;
    later.now_ms++;
    for (uint32_t grains = 1; world->fresh + grains <= MODEL_GRAINS; grains++) {
        struct extent_world next = later;
        unfold_both(&next, grains);
        go_on(&next, depth, changes);
    }
    for (uint32_t first = 0; first < world->fresh; first += model_grains(world, first)) {
        if (model_is_free(world, first))
            change_free(&later, first, depth, changes);
        else
            change_used(&later, first, depth, changes);
    }
}

/* From the beginning, and from a full row with everything still in use. */
static void every_sequence_in(struct extent_world world)
{
    unsigned long changes = 0;
    change_everything(&world, DEPTH, &changes);
    ck_assert_uint_gt(changes, 100000);

    unfold_both(&world, MODEL_GRAINS);
    take_both(&world, 0, 0, MODEL_GRAINS);
    for (uint32_t first = 0; first + 1 < MODEL_GRAINS; first++)
        split_both(&world, first, 1);
    change_everything(&world, DEPTH, &changes);
    ck_assert_uint_gt(changes, 200000);
}

START_TEST(every_sequence)
{
    every_sequence_in((struct extent_world){.now_ms = 1});
}
END_TEST

START_TEST(every_sequence_with_dirty_ones_apart)
{
    every_sequence_in((struct extent_world){.now_ms = 1, .extents.dirty_apart = true});
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("extent in small");
    TCase *everything = timed_case("everything", 120);

    tcase_add_test(everything, every_sequence);
    tcase_add_test(everything, every_sequence_with_dirty_ones_apart);
    suite_add_tcase(suite, everything);
    return suite;
}
