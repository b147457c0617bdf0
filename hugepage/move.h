/*
 * move - the pages of a big block, from one place of its slice to another.
 *
 *      from  | piece 1      | piece 2              | rest |      a piece is one mapping of the kernel
 *               mremap         mremap, in steps      copy
 *      to    | piece 1      | piece 2a  | piece 2b | rest |
 *
 * Only whole huge pages move: of one that is cut the kernel keeps what nobody uses. The rest is copied. A
 * kernel before 6.17 moves no more at once than lies in one mapping, and mappings may meet anywhere, as
 * it does not join all that it could: a piece goes in as many steps as it takes.
 *
 * No lock, no record: who calls owns both places.
 */
#ifndef VL_HUGEPAGE_MOVE_H
#define VL_HUGEPAGE_MOVE_H

#include "hugepage/extent.h"

/* What lies in the new place: first what was moved, in pieces. A seam between two of these is one between
 * two huge pages. */
struct vl_moved {
    uint32_t pieces[VL_EXTENT_PIECES_MAX]; /* grains of each */
    unsigned count;
    uint32_t grains; /* all of them */
    bool copied;     /* some of them were, as the kernel does not move them */
    bool failed;     /* it does not move what is behind them either, which was copied */
};

/* Takes the `grains` of a block, of which `pieces` lie in a mapping each, to where nothing has been touched.
 * False if the kernel moves nothing: then the old place is as it was, and in the new one may be a hole. */
bool vl_move(char *from, char *to, const uint32_t *pieces, uint32_t grains, struct vl_moved *moved);

#endif
