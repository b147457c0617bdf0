/* hugepage/extent: bins, random changes against a model, and life after a fork.
 * tests/exhaustive/test_extent.c tries everything in small. */
#define MODEL_GRAINS 300

#include "tests/api/support.h"

#include "tests/hugepage/extent_model.h"

static struct extent_world world;

static void start_empty(void)
{
    memset(&world, 0, sizeof world);
}

/* --- Bins --- */

/* Eight bins per doubling: where bins meet, sizes differ by an eighth at most. */
static uint32_t bin_start(unsigned bin)
{
    return bin < 16 ? bin : (8 + bin % 8) << (bin / 8 - 1);
}

START_TEST(bins_hold_like_sizes)
{
    unsigned bin = 0;
    for (uint32_t grains = 0; grains < 100000; grains++) {
        if (bin_start(bin + 1) <= grains)
            bin++;
        if (vl_extent_bin(grains) != bin)
            ck_abort_msg("%u grains: bin %u, not %u", grains, vl_extent_bin(grains), bin);
    }
    for (bin = 16; bin < VL_EXTENT_BINS; bin++) {
        ck_assert_uint_eq(vl_extent_bin(bin_start(bin)), bin);
        ck_assert_uint_eq(vl_extent_bin(bin_start(bin) - 1), bin - 1);
    }
    ck_assert_uint_eq(vl_extent_bin(UINT32_MAX), VL_EXTENT_BINS - 1);
}
END_TEST

/* --- Random changes --- */

static uint32_t random_up_to(uint64_t *random, uint32_t most)
{
    return 1 + (uint32_t)(random_next(random) % most);
}

/* The first grain of the extent that a random grain is in. */
static uint32_t random_extent(uint64_t *random)
{
    uint32_t first = (uint32_t)(random_next(random) % world.fresh);
    while (!world.row[first].begins)
        first--;
    return first;
}

static void change_used(uint64_t *random, uint32_t first)
{
    uint32_t grains = model_grains(&world, first);
    uint64_t choice = random_next(random) % 5;
    if (choice == 0 && grains > 1)
        split_both(&world, first, random_up_to(random, grains - 1));
    else if (choice != 4 || !join_both(&world, first))
        free_both(&world, first, choice == 1 ? VL_EXTENT_CLEAN : VL_EXTENT_DIRTY);
}

static void change_free(uint64_t *random, uint32_t from)
{
    uint32_t skipped = random_up_to(random, model_grains(&world, from)) - 1;
    uint32_t most = model_free_grains(&world, from) - skipped;
    take_both(&world, from, from + skipped, random_up_to(random, (uint32_t)vl_min(most, 20)));
}

static void change_something(uint64_t *random)
{
    uint32_t left = MODEL_GRAINS - world.fresh;
    world.now_ms += random_next(random) % 3;
    if (world.fresh == 0 || (left > 0 && random_next(random) % 16 == 0)) {
        unfold_both(&world, random_up_to(random, (uint32_t)vl_min(left, 50)));
        return;
    }
    uint32_t first = random_extent(random);
    if (model_is_free(&world, first))
        change_free(random, first);
    else
        change_used(random, first);
}

/* A search may stop short in the bin of the size itself, never in a larger one. */
static void search(enum vl_extent_state state, uint32_t grains)
{
    const struct vl_extent *found = check_find(&world, state, grains);
    uint32_t sure = bin_start(vl_extent_bin(grains) + 1);
    if (found == NULL && model_best_fit(&world, state, sure) != 0)
        ck_abort_msg("%u grains are not found", grains);
    if (found != NULL && grains < 8 && model_best_fit(&world, state, grains) == grains)
        ck_assert_uint_eq(found->grains, grains);
}

START_TEST(random_changes)
{
    uint64_t random = test_seed();
    for (size_t step = 0; step < scaled(20000); step++) {
        change_something(&random);
        check_extents(&world);
        search(VL_EXTENT_DIRTY, random_up_to(&random, MODEL_GRAINS));
        search(VL_EXTENT_CLEAN, random_up_to(&random, 20));
    }
}
END_TEST

START_TEST(the_age_list_is_in_order)
{
    uint64_t random = test_seed();
    for (size_t step = 0; step < scaled(20000); step++) {
        change_something(&random);
        check_ages(&world);
    }
}
END_TEST

/* --- After a fork --- */

/* A used extent of its own at the end of the row. */
static struct vl_extent *unfold_used(uint32_t grains)
{
    struct vl_extents *extents = extents_of(&world);
    struct vl_extent *extent = vl_extent_unfold(extents, grains);
    uint32_t first = extents->fresh - grains;
    return vl_extent_carve(extents, extent, first, grains);
}

/* What was free is forgotten, with whatever its entries say; what is used is given back to lists
 * that are new, and joins nothing there. */
START_TEST(extents_from_before_a_fork_stay_alone)
{
    struct vl_extents *extents = extents_of(&world);
    struct vl_extent *used[6];
    for (int i = 0; i < 6; i++)
        used[i] = unfold_used(4);
    vl_extent_free(extents, used[1], VL_EXTENT_DIRTY, 1);
    vl_extent_free(extents, used[3], VL_EXTENT_CLEAN, 1);

    *extents = (struct vl_extents){.table = world.table,
                                   .fresh = extents->fresh,
                                   .lone_end = extents->fresh,
                                   .grains_used = extents->grains_used};
    ck_assert_ptr_null(check_find(&world, VL_EXTENT_DIRTY, 1));
    ck_assert_ptr_null(check_find(&world, VL_EXTENT_CLEAN, 1));
    ck_assert_ptr_null(vl_extent_after(extents, used[0]));

    ck_assert_ptr_eq(vl_extent_free(extents, used[0], VL_EXTENT_DIRTY, 2), used[0]);
    ck_assert_ptr_eq(vl_extent_free(extents, used[2], VL_EXTENT_CLEAN, 2), used[2]);
    ck_assert_ptr_eq(vl_extent_free(extents, used[4], VL_EXTENT_DIRTY, 2), used[4]);
    ck_assert_ptr_eq(vl_extent_free(extents, used[5], VL_EXTENT_DIRTY, 2), used[5]);
    ck_assert_uint_eq(used[0]->grains, 4);
    ck_assert_uint_eq(used[2]->grains, 4);
    ck_assert_uint_eq(used[4]->grains, 4);
    ck_assert_uint_eq(extents->grains_dirty, 12);
    ck_assert_ptr_null(check_find(&world, VL_EXTENT_DIRTY, 5));
    ck_assert_ptr_eq(check_find(&world, VL_EXTENT_CLEAN, 4), used[2]);
    ck_assert_ptr_eq(vl_extent_carve(extents, used[2], 9, 2), &world.table[9]);
    ck_assert_uint_eq(check_find(&world, VL_EXTENT_CLEAN, 1)->grains, 1);
}
END_TEST

START_TEST(extents_from_after_a_fork_join_as_ever)
{
    struct vl_extents *extents = extents_of(&world);
    unfold_used(4);
    extents->lone_end = extents->fresh;
    unfold_used(1); /* keeps what follows away from what was before */

    struct vl_extent *one = unfold_used(3), *two = unfold_used(3), *three = unfold_used(3);
    vl_extent_free(extents, one, VL_EXTENT_DIRTY, 1);
    vl_extent_free(extents, three, VL_EXTENT_DIRTY, 2);
    ck_assert_ptr_eq(vl_extent_free(extents, two, VL_EXTENT_DIRTY, 3), one);
    ck_assert_uint_eq(one->grains, 9);
    ck_assert_ptr_eq(vl_extent_at(extents, extents->newest), one);
    ck_assert_ptr_eq(vl_extent_at(extents, extents->oldest), one);
}
END_TEST

/* --- Pieces --- */

START_TEST(pieces_and_the_rest)
{
    uint32_t pieces[VL_EXTENT_PIECES_MAX], moved[] = {3, 1, 4};
    struct vl_extent *extent = unfold_used(20);
    ck_assert_uint_eq(vl_extent_pieces(extent, pieces), 1);
    ck_assert_uint_eq(pieces[0], 20);

    vl_extent_set_pieces(extent, moved, 3);
    ck_assert_uint_eq(vl_extent_pieces(extent, pieces), 4);
    ck_assert_mem_eq(pieces, moved, sizeof moved);
    ck_assert_uint_eq(pieces[3], 12);

    /* What it grows into belongs to the rest. */
    unfold_used(5);
    vl_extent_join(extents_of(&world), extent);
    ck_assert_uint_eq(vl_extent_pieces(extent, pieces), 4);
    ck_assert_uint_eq(pieces[3], 17);

    struct vl_extent *rest = vl_extent_split(extents_of(&world), extent, 10);
    ck_assert_uint_eq(extent->pieces, VL_EXTENT_PIECES_MAX);
    ck_assert_uint_eq(rest->pieces, VL_EXTENT_PIECES_MAX);
    vl_extent_free(extents_of(&world), rest, VL_EXTENT_CLEAN, 1);
    ck_assert_uint_eq(rest->pieces, 0);
}
END_TEST

/* Cut inside, at the end of, and behind what is of the pool. */
START_TEST(hugetlb_and_the_rest)
{
    struct vl_extent *extent = unfold_used(100);
    vl_extent_set_hugetlb(extent, 64, 0);
    ck_assert_uint_eq(extent->pieces, VL_EXTENT_PIECES_MAX);
    struct vl_extent *rest = vl_extent_split(extents_of(&world), extent, 80);
    ck_assert(!rest->hugetlb && rest->pieces == 0);
    ck_assert(extent->hugetlb && extent->seam == 64);

    rest = vl_extent_split(extents_of(&world), extent, 32);
    ck_assert(rest->hugetlb && rest->seam == 32 && rest->pieces == VL_EXTENT_PIECES_MAX);
    ck_assert(extent->hugetlb && extent->seam == 32 && extent->pieces == VL_EXTENT_PIECES_MAX);

    struct vl_extent *plain = vl_extent_split(extents_of(&world), rest, 32);
    ck_assert(!plain->hugetlb && plain->pieces == 0);
    ck_assert_uint_eq(rest->seam, 32);
    ck_assert(!vl_extent_free(extents_of(&world), rest, VL_EXTENT_CLEAN, 1)->hugetlb);
    ck_assert_uint_eq(rest->pieces, 0);
}
END_TEST

/* Two pages of 1 GB, three of 2 MB, and a rest. */
START_TEST(giants_and_others)
{
    enum { POOL = 2 * VL_GIANT_GRAINS + 3 * VL_HUGE_GRAINS, ALL = POOL + 5 };
    static struct vl_extent table[ALL];
    struct vl_extents extents = {.table = table};
    struct vl_extent *extent = vl_extent_unfold(&extents, ALL);
    extent = vl_extent_carve(&extents, extent, 0, ALL);
    vl_extent_set_hugetlb(extent, POOL, 2 * VL_GIANT_GRAINS);
    ck_assert_uint_eq(vl_extent_giant(extent), 2 * VL_GIANT_GRAINS);
    ck_assert_uint_eq(vl_extent_stretches(extent), 3);

    ck_assert_uint_eq(vl_extent_cut(extent, 1), VL_GIANT_GRAINS);
    ck_assert_uint_eq(vl_extent_cut(extent, VL_GIANT_GRAINS + 1), 2 * VL_GIANT_GRAINS);
    ck_assert_uint_eq(vl_extent_cut(extent, 2 * VL_GIANT_GRAINS + 1), POOL - 2 * VL_HUGE_GRAINS);
    ck_assert_uint_eq(vl_extent_cut(extent, POOL + 1), POOL + 1);

    struct vl_extent *rest = vl_extent_split(&extents, extent, POOL - VL_HUGE_GRAINS);
    ck_assert(rest->hugetlb && rest->seam == VL_HUGE_GRAINS);
    ck_assert_uint_eq(vl_extent_giant(rest), 0);
    ck_assert_uint_eq(vl_extent_stretches(rest), 1);
    ck_assert_uint_eq(vl_extent_stretches(extent), 3);

    rest = vl_extent_split(&extents, extent, VL_GIANT_GRAINS);
    ck_assert_uint_eq(vl_extent_giant(extent), VL_GIANT_GRAINS);
    ck_assert_uint_eq(extent->seam, VL_GIANT_GRAINS);
    ck_assert_uint_eq(vl_extent_stretches(extent), 1);
    ck_assert_uint_eq(vl_extent_giant(rest), VL_GIANT_GRAINS);
    ck_assert_uint_eq(rest->seam, VL_GIANT_GRAINS + 2 * VL_HUGE_GRAINS);
    ck_assert_uint_eq(vl_extent_stretches(rest), 2);

    extent = vl_extent_free(&extents, rest, VL_EXTENT_CLEAN, 1);
    ck_assert_uint_eq(vl_extent_giant(extent), 0);
    ck_assert_uint_eq(vl_extent_stretches(extent), 0);
    ck_assert_uint_eq(vl_extent_cut(extent, 7), 7);
}
END_TEST

START_TEST(pieces_without_a_rest)
{
    struct vl_extent *extent = unfold_used(8);
    vl_extent_set_pieces(extent, (uint32_t[]){5, 3}, 2);
    ck_assert_uint_eq(extent->pieces, VL_EXTENT_PIECES_MAX);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("extent");
    TCase *bins = tcase_create("bins");
    TCase *changes = timed_case("random", 60);
    TCase *ages = timed_case("ages", 60);
    TCase *pieces = tcase_create("pieces");
    TCase *fork = tcase_create("fork");

    tcase_add_test(bins, bins_hold_like_sizes);
    suite_add_tcase(suite, bins);

    tcase_add_checked_fixture(changes, start_empty, NULL);
    tcase_add_test(changes, random_changes);
    suite_add_tcase(suite, changes);

    tcase_add_checked_fixture(ages, start_empty, NULL);
    tcase_add_test(ages, the_age_list_is_in_order);
    suite_add_tcase(suite, ages);

    tcase_add_checked_fixture(pieces, start_empty, NULL);
    tcase_add_test(pieces, pieces_and_the_rest);
    tcase_add_test(pieces, hugetlb_and_the_rest);
    tcase_add_test(pieces, giants_and_others);
    tcase_add_test(pieces, pieces_without_a_rest);
    suite_add_tcase(suite, pieces);

    tcase_add_checked_fixture(fork, start_empty, NULL);
    tcase_add_test(fork, extents_from_before_a_fork_stay_alone);
    tcase_add_test(fork, extents_from_after_a_fork_join_as_ever);
    suite_add_tcase(suite, fork);
    return suite;
}
