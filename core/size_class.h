/*
 * size_class - sizes of small objects, and how each is served.
 *
 * Steps of 16 bytes up to 128, then eight classes per doubling, but sixteen from 1 to 4 KB, where
 * structures of many programs lie: an object of a class is never more than 1/8 larger than the request,
 * or 15 bytes where that is more (proof: between b and 2b the step is b/8 at most, and a request that gets
 * b + k*b/8 is larger than b + (k-1)*b/8, so the waste is less than (b/8) / (b + b/8) = 1/9 of the
 * object). tests/core/test_size_class.c tries every size.
 *
 * Class 0 means "no small object here". Two more numbers exist only as bytes of the class map: the
 * first page of a run of pages, and its other pages.
 */
#ifndef VL_CORE_SIZE_CLASS_H
#define VL_CORE_SIZE_CLASS_H

#include "core/bits.h"
#include "core/geometry.h"

/* C(object size in bytes, span size in pages): short spans, as one goes back only when all of its objects
 * are free. Up to 1 KB the fewest pages that hold 16 objects, up to 8 KB 4, with at most 1/42 of them
 * left over; beyond, up to 128 KB, or one object that is whole pages, and at most 1/64. */
/* clang-format off */
#define VL_SIZE_CLASS_TABLE(C)                                                                                      \
    C(16, 1) C(32, 1) C(48, 1) C(64, 1) C(80, 1) C(96, 1) C(112, 1) C(128, 1)                                       \
    C(144, 1) C(160, 1) C(176, 1) C(192, 1) C(208, 1) C(224, 1) C(240, 1) C(256, 1)                                 \
    C(288, 1) C(320, 1) C(352, 1) C(384, 1) C(416, 2) C(448, 1) C(480, 1) C(512, 1)                                 \
    C(576, 2) C(640, 2) C(704, 2) C(768, 2) C(832, 3) C(896, 2) C(960, 2) C(1024, 2)                                \
    C(1088, 2) C(1152, 1) C(1216, 3) C(1280, 3) C(1344, 1) C(1408, 4) C(1472, 2) C(1536, 3)                         \
    C(1600, 1) C(1664, 6) C(1728, 3) C(1792, 2) C(1856, 3) C(1920, 4) C(1984, 8) C(2048, 1)                         \
    C(2176, 4) C(2304, 2) C(2432, 3) C(2560, 5) C(2688, 2) C(2816, 7) C(2944, 4) C(3072, 3)                         \
    C(3200, 2) C(3328, 7) C(3456, 3) C(3584, 4) C(3712, 5) C(3840, 8) C(3968, 16) C(4096, 2)                        \
    C(4608, 4) C(5120, 5) C(5632, 7) C(6144, 3) C(6656, 9) C(7168, 7) C(7680, 15) C(8192, 4)                        \
    C(9216, 8) C(10240, 10) C(11264, 11) C(12288, 9) C(13312, 13) C(14336, 14) C(15360, 15) C(16384, 8)             \
    C(18432, 9) C(20480, 10) C(22528, 11) C(24576, 9) C(26624, 13) C(28672, 14) C(30720, 15) C(32768, 4)            \
    C(36864, 9) C(40960, 5) C(45056, 11) C(49152, 6) C(53248, 13) C(57344, 7) C(61440, 15) C(65536, 8)              \
    C(73728, 9) C(81920, 10) C(90112, 11) C(98304, 12) C(106496, 13) C(114688, 14) C(122880, 15) C(131072, 16)      \
    C(147456, 18) C(163840, 20) C(180224, 22) C(196608, 24) C(212992, 26) C(229376, 28) C(245760, 30) C(262144, 32)
/* clang-format on */

#define VL_COUNT_ONE(size, pages) +1
enum {
    VL_CLASS_NONE = 0,
    VL_CLASSES = 1 VL_SIZE_CLASS_TABLE(VL_COUNT_ONE), /* real ones are 1 .. VL_CLASSES-1 */
    VL_CLASS_RUN_HEAD = VL_CLASSES,
    VL_CLASS_RUN_BODY,
    VL_BINS /* bytes of the class map are below this */
};
#undef VL_COUNT_ONE

/* Sizes up to this find their class in a table of bytes. */
#define VL_SIZE_TABLE_MAX ((size_t)1024)

struct vl_size_class {
    uint32_t size;       /* bytes of one object */
    uint8_t span_pages;  /* pages of one span */
    uint8_t capacity;    /* objects in one magazine */
    uint16_t objects;    /* objects in one span */
    uint64_t reciprocal; /* for vl_object_index */
};

extern const struct vl_size_class vl_size_classes[VL_CLASSES];

/* An object index is offset / size; as a product it takes no division. */
#define VL_RECIPROCAL_SHIFT 40

static inline unsigned vl_object_index(const struct vl_size_class *class, size_t offset)
{
    return (unsigned)((offset * class->reciprocal) >> VL_RECIPROCAL_SHIFT);
}

/* The classes of sizes whose logarithm is the same: their step, as a shift, and the class that the first
 * would have if their steps were counted from 0. */
struct vl_doubling {
    uint8_t shift, base;
};

extern const struct vl_doubling vl_doublings[];

/* Class that serves a request of `size` bytes, or VL_CLASS_NONE where it is not small. */
static inline unsigned vl_class_of_size(size_t size)
{
    if (size <= 128)
        return size == 0 ? 1 : (unsigned)((size + 15) / 16);
    if (size > VL_SMALL_MAX)
        return VL_CLASS_NONE;
    struct vl_doubling of = vl_doublings[vl_log2(size - 1)]; /* the 7th for 129 .. 256 */
    return of.base + (unsigned)((size - 1) >> of.shift);
}

/* Class that serves `size` bytes at a multiple of `align` (a power of two, at most a page), or
 * VL_CLASS_NONE. Spans begin on a page, so an object is aligned as its size is. */
unsigned vl_class_of_aligned(size_t size, size_t align);

#endif
