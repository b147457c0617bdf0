#include "hugepage/move.h"

#include <errno.h>
#include <string.h>

static void copy_grains(char *from, char *to, uint32_t first, uint32_t end)
{
    size_t offset = (size_t)first << VL_GRAIN_SHIFT;
    memcpy(to + offset, from + offset, (size_t)(end - first) << VL_GRAIN_SHIFT);
}

/*
 * Moves as much of [first, end), whole huge pages, as the kernel does not refuse to move at once: before
 * 6.17, what lies in one mapping of its own. Two may meet anywhere, as it does not join all that it
 * could. Where they meet within the first huge page, that one is copied. Returns how much went.
 */
static uint32_t move_mapping(char *from, char *to, uint32_t first, uint32_t end,
                             struct vl_moved *moved)
{
    uint32_t went = 0, step = end - first;
    while (step > 0) {
        size_t offset = (size_t)(first + went) << VL_GRAIN_SHIFT;
        int error = vl_os->move(from + offset, (size_t)step << VL_GRAIN_SHIFT, to + offset);
        if (error == 0)
            went += step;
        else if (error == -EFAULT)
            end = first + went + step; /* there is a seam before this */
        else
            return moved->failed = true, went;
        step = (uint32_t)vl_round_down((end - first - went) / 2, VL_HUGE_GRAINS);
    }
    if (went != 0)
        return went;
    copy_grains(from, to, first, first + VL_HUGE_GRAINS);
    moved->copied = true;
    return VL_HUGE_GRAINS;
}

/* Moves the first `whole` grains of a block piece by piece, and stops where a piece does not go, or
 * there are too many. */
static void move_pieces(char *from, char *to, const uint32_t *pieces, uint32_t whole,
                        struct vl_moved *moved)
{
    uint32_t end = 0;
    for (unsigned i = 0; end < whole; i++) {
        end = (uint32_t)vl_min(end + pieces[i], whole);
        while (moved->grains < end) {
            if (moved->failed || moved->count == VL_EXTENT_PIECES_MAX - 1)
                return;
            uint32_t went = move_mapping(from, to, moved->grains, end, moved);
            moved->pieces[moved->count] = went;
            moved->count += went != 0;
            moved->grains += went;
        }
    }
}

/* Mends what the kernel may have unmapped of the target before it refused. */
static void plug(char *to, uint32_t first, uint32_t end)
{
    for (; first < end; first++)
        vl_os->plug(to + ((size_t)first << VL_GRAIN_SHIFT), VL_GRAIN_SIZE);
}

bool vl_move(char *from, char *to, const uint32_t *pieces, uint32_t grains, struct vl_moved *moved)
{
    uint32_t whole = (uint32_t)vl_round_down(grains, VL_HUGE_GRAINS);
    *moved = (struct vl_moved){.count = 0};
    move_pieces(from, to, pieces, whole, moved);
    if (moved->grains == 0)
        return false;
    if (moved->failed)
        plug(to, moved->grains, whole);
    copy_grains(from, to, moved->grains, grains);
    return true;
}
