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

unsigned vl_class_of_aligned(size_t size, size_t align)
{
    unsigned class = vl_class_of_size(vl_max(size, align));
    if (class == VL_CLASS_NONE)
        return VL_CLASS_NONE;
    while (class < VL_CLASSES && vl_size_classes[class].size % align != 0)
        class++;
    return class < VL_CLASSES ? class : VL_CLASS_NONE;
}
