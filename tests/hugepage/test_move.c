/* hugepage/move over the real system's mremap: pieces and rests, kernels that refuse at any place, and
 * those that leave a hole behind. */
#include "tests/api/support.h"

#include "hugepage/move.h"
#include "tests/fake_os.h"

#include <errno.h>
#include <sys/mman.h>

enum { HUGE_PAGES = 4, REST = 3 * VL_GRAIN_SIZE };

#define WHOLE ((size_t)HUGE_PAGES * VL_REGION_SIZE)
#define BYTES (WHOLE + REST)

static const struct vl_os *real_os;
static struct vl_os os;
static char *from, *to;
static struct vl_moved moved;

static void start_world(void)
{
    fake_os_install();
    real_os = vl_os;
    os = *vl_os;
    vl_os = &os;
    size_t size = 2 * (WHOLE + VL_REGION_SIZE);
    char *room = mmap(NULL, size + VL_REGION_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(room, MAP_FAILED);
    from = (char *)vl_round_up((uintptr_t)room, VL_REGION_SIZE);
    to = from + size / 2;
    pattern_fill(from, BYTES, 7);
}

/* Moves all of it, of which the kernel has the first huge pages in a mapping of their own. */
static bool move(unsigned first)
{
    uint32_t total = (uint32_t)(BYTES >> VL_GRAIN_SHIFT);
    uint32_t pieces[VL_EXTENT_PIECES_MAX] = {first * VL_HUGE_GRAINS,
                                             total - first * VL_HUGE_GRAINS};
    return vl_move(from, to, pieces, total, &moved);
}

static void check_arrived(void)
{
    ck_assert_uint_eq(pattern_damage(to, BYTES, 7), BYTES);
    uint32_t grains = 0;
    for (unsigned i = 0; i < moved.count; i++) {
        ck_assert_uint_eq(moved.pieces[i] % VL_HUGE_GRAINS, 0);
        grains += moved.pieces[i];
    }
    ck_assert_uint_eq(grains, moved.grains);
}

START_TEST(piece_by_piece)
{
    unsigned first = (unsigned)_i;
    ck_assert(move(first));
    check_arrived();
    ck_assert_uint_eq(moved.grains << VL_GRAIN_SHIFT, WHOLE);
    ck_assert_uint_eq(moved.count, first == HUGE_PAGES ? 1 : 2);
    ck_assert_uint_eq(fake_os_count(FAKE_MOVE), moved.count);
    ck_assert(!moved.copied && !moved.failed);
}
END_TEST

/* --- Mappings of the kernel's that meet within a piece --- */

static char *seams[2];

static int refuse_seams(void *start, size_t size, void *target)
{
    for (unsigned i = 0; i < 2; i++)
        if (seams[i] > (char *)start && seams[i] < (char *)start + size)
            return -EFAULT;
    return real_os->move(start, size, target);
}

/* Any two, at the ends of huge pages and in their middle. */
START_TEST(over_seams)
{
    enum { PLACES = 2 * HUGE_PAGES + 1 };
    unsigned places[2] = {(unsigned)_i / PLACES, (unsigned)_i % PLACES}, middles = 0;
    os.move = refuse_seams;
    for (unsigned i = 0; i < 2; i++) {
        seams[i] = from + places[i] * (VL_REGION_SIZE / 2);
        middles += places[i] % 2;
    }
    ck_assert(move(HUGE_PAGES));
    check_arrived();
    ck_assert(!moved.failed);
    ck_assert_uint_eq(moved.copied, middles != 0);
    ck_assert_uint_eq(moved.grains << VL_GRAIN_SHIFT, WHOLE);
}
END_TEST

/* --- Kernels that refuse --- */

static unsigned moves_left;

static int refuse(void *start, size_t size, void *target)
{
    return moves_left != 0 ? (moves_left--, real_os->move(start, size, target)) : -EINVAL;
}

/* Kernels before 6.17: the target goes first, then the source is looked at. */
static int unmap_and_refuse(void *start, size_t size, void *target)
{
    if (moves_left == 0)
        munmap(target, size);
    return refuse(start, size, target);
}

static int (*const refusing[])(void *, size_t, void *) = {refuse, unmap_and_refuse};

START_TEST(refused_half_way)
{
    os.move = refusing[_i];
    moves_left = 1;
    ck_assert(move(1));
    check_arrived();
    ck_assert(moved.failed);
    ck_assert_uint_eq(moved.grains, VL_HUGE_GRAINS);
}
END_TEST

START_TEST(refused_at_once)
{
    os.move = refusing[_i];
    moves_left = 0;
    ck_assert(!move(1));
    ck_assert_uint_eq(pattern_damage(from, BYTES, 7), BYTES);
}
END_TEST

/* There are no more pieces than a record has room for: the last place is the rest's. */
START_TEST(too_many_pieces)
{
    enum { MANY = VL_EXTENT_PIECES_MAX };
    uint32_t pieces[MANY];
    size_t bytes = MANY * VL_REGION_SIZE;
    for (unsigned i = 0; i < MANY; i++)
        pieces[i] = VL_HUGE_GRAINS;
    char *room = mmap(NULL, 2 * bytes + VL_REGION_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(room, MAP_FAILED);
    char *many = (char *)vl_round_up((uintptr_t)room, VL_REGION_SIZE);
    pattern_fill(many, bytes, 7);
    ck_assert(vl_move(many, many + bytes, pieces, MANY * VL_HUGE_GRAINS, &moved));
    ck_assert_uint_eq(pattern_damage(many + bytes, bytes, 7), bytes);
    ck_assert_uint_eq(moved.count, MANY - 1);
    ck_assert_uint_eq(moved.grains, (MANY - 1) * VL_HUGE_GRAINS);
    ck_assert(!moved.failed);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("move");
    TCase *pieces = tcase_create("pieces"), *seamed = tcase_create("seams"),
          *refused = tcase_create("refused");

    tcase_add_checked_fixture(pieces, start_world, NULL);
    tcase_add_loop_test(pieces, piece_by_piece, 1, HUGE_PAGES + 1);
    tcase_add_test(pieces, too_many_pieces);
    suite_add_tcase(suite, pieces);

    tcase_add_checked_fixture(seamed, start_world, NULL);
    tcase_add_loop_test(seamed, over_seams, 0, 81);
    suite_add_tcase(suite, seamed);

    tcase_add_checked_fixture(refused, start_world, NULL);
    tcase_add_loop_test(refused, refused_half_way, 0, 2);
    tcase_add_loop_test(refused, refused_at_once, 0, 2);
    suite_add_tcase(suite, refused);
    return suite;
}
