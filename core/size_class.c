#include "core/size_class.h"

/* A magazine holds as many objects as 32 KB of them, 63 at most (its pointers fill 512 bytes, one
 * slot stays free as the floor), 1 at least. */
enum { CAPACITY_BYTES = 32 << 10, CAPACITY_MAX = 63, CAPACITY_MIN = 1 };

#define CAPACITY(bytes)                                                                           \
    (CAPACITY_BYTES / (bytes) > CAPACITY_MAX   ? CAPACITY_MAX                                     \
     : CAPACITY_BYTES / (bytes) < CAPACITY_MIN ? CAPACITY_MIN                                     \
                                               : CAPACITY_BYTES / (bytes))

#define RECIPROCAL(bytes) ((((uint64_t)1 << VL_RECIPROCAL_SHIFT) + (bytes) - 1) / (bytes))

#define ROW(bytes, pages)                                                                         \
    {                                                                                             \
        .size = (bytes), .span_pages = (pages), .capacity = (uint8_t)CAPACITY(bytes),             \
        .objects = (pages) * VL_PAGE_SIZE / (bytes), .reciprocal = RECIPROCAL(bytes),             \
    },

const struct vl_size_class vl_size_classes[VL_CLASSES] = {{0}, VL_SIZE_CLASS_TABLE(ROW)};

/* Eight or sixteen steps, of which the first has the number 8 or 16; `below`: the last class before. */
#define EIGHT(log, below)   [log] = {(log)-3, (below) + 1 - 8}
#define SIXTEEN(log, below) [log] = {(log)-4, (below) + 1 - 16}

const struct vl_doubling vl_doublings[] = {
    EIGHT(7, 8),   EIGHT(8, 16),  EIGHT(9, 24),  SIXTEEN(10, 32), SIXTEEN(11, 48), EIGHT(12, 64),
    EIGHT(13, 72), EIGHT(14, 80), EIGHT(15, 88), EIGHT(16, 96),   EIGHT(17, 104),
};

unsigned vl_class_of_aligned(size_t size, size_t align)
{
    unsigned class = vl_class_of_size(vl_max(size, align));
    if (class == VL_CLASS_NONE)
        return VL_CLASS_NONE;
    while (class < VL_CLASSES && vl_size_classes[class].size % align != 0)
        class++;
    return class < VL_CLASSES ? class : VL_CLASS_NONE;
}
