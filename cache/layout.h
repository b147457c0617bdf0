/*
 * layout - what a reader outside the process must know of our tables (valloc-map).
 *
 *      program headers -> PT_NOTE -> note "valloc" -+-> vl_layout       sizes, offsets, values
 *                                                   +-> vl_slices, vl_slice_count
 *                                                   +-> vl_page_heaps, vl_big_heaps
 *
 * The note is found in the memory of the process, so the library needs no symbol for it, may be
 * linked statically or stripped, and its file may be gone. Places stand in it as distances from the
 * note, and vl_layout has no address in it: nothing is relocated, and nothing is touched unless
 * somebody looks.
 *
 * vl_layout comes from sizeof and offsetof, so it cannot be wrong about its own library. What
 * fields mean is not in it: when that changes, VL_LAYOUT_FORMAT does, and a reader of another
 * format refuses.
 */
#ifndef VL_CACHE_LAYOUT_H
#define VL_CACHE_LAYOUT_H

#include <stdint.h>

enum { VL_LAYOUT_FORMAT = 2 };

/* clang-format off */

/* A number that is called so, and its value here. */
#define VL_LAYOUT_NUMBERS(number)                           \
    number(page_shift, VL_PAGE_SHIFT)                       \
    number(region_shift, VL_REGION_SHIFT)                   \
    number(grain_shift, VL_GRAIN_SHIFT)                     \
    number(slices_max, VL_SLICES_MAX)                       \
    number(slice_bytes, sizeof(struct vl_slice))            \
    number(slice_node, VL_SLICE_NODE)                       \
    number(slice_object, VL_SLICE_OBJECT)                   \
    number(slice_big, VL_SLICE_BIG)                         \
    number(slice_placed, VL_SLICE_PLACED)                   \
    number(page_heap_bytes, sizeof(struct vl_page_heap))    \
    number(big_heap_bytes, sizeof(struct vl_big_heap))      \
    number(region_bytes, sizeof(struct vl_region))          \
    number(region_fresh, VL_REGION_FRESH)                   \
    number(region_active, VL_REGION_ACTIVE)                 \
    number(region_empty, VL_REGION_EMPTY)                   \
    number(region_clean, VL_REGION_CLEAN)                   \
    number(region_lost, VL_REGION_LOST)                     \
    number(extent_bytes, sizeof(struct vl_extent))          \
    number(extent_used, VL_EXTENT_USED)                     \
    number(extent_dirty, VL_EXTENT_DIRTY)                   \
    number(extent_clean, VL_EXTENT_CLEAN)                   \
    number(extent_lost, VL_EXTENT_LOST)

/* A field that is called so, its struct, and its name there. */
#define VL_LAYOUT_FIELDS(field)                                   \
    field(slice_start, struct vl_slice, start)                    \
    field(slice_size, struct vl_slice, size)                      \
    field(slice_units, struct vl_slice, units)                    \
    field(slice_unit_bytes, struct vl_slice, unit_bytes)          \
    field(slice_number, struct vl_slice, number)                  \
    field(slice_node_index, struct vl_slice, node)                \
    field(slice_kind, struct vl_slice, kind)                      \
    field(slice_bind, struct vl_slice, bind)                      \
    field(slice_bind_node, struct vl_slice, bind_node)            \
    field(slice_writable, struct vl_slice, writable)              \
    field(page_heap_fresh, struct vl_page_heap, fresh)            \
    field(big_heap_fresh, struct vl_big_heap, extents.fresh)      \
    field(region_used, struct vl_region, used)                    \
    field(region_run_count, struct vl_region, run_count)          \
    field(region_state, struct vl_region, state)                  \
    field(region_hugetlb, struct vl_region, hugetlb)              \
    field(region_holder, struct vl_region, holder)                \
    field(extent_grains, struct vl_extent, grains)                \
    field(extent_state, struct vl_extent, state)                  \
    field(extent_hugetlb, struct vl_extent, hugetlb)              \
    field(extent_used_bytes, struct vl_extent, bytes)             \
    field(extent_holder, struct vl_extent, holder)                \
    field(object_holding, struct vl_object, heap.holding)         \
    field(object_serial, struct vl_object, serial)                \
    field(object_name, struct vl_object, name)

/* clang-format on */

struct vl_field {
    uint32_t offset, bytes;
};

struct vl_layout {
    char magic[8];
    uint32_t bytes; /* of this struct */
    uint32_t format;
    char version[16]; /* of the library */
#define VL_LAYOUT_NUMBER(name, value)       uint32_t name;
#define VL_LAYOUT_FIELD(name, type, member) struct vl_field name;
    VL_LAYOUT_NUMBERS(VL_LAYOUT_NUMBER)
    VL_LAYOUT_FIELDS(VL_LAYOUT_FIELD)
#undef VL_LAYOUT_NUMBER
#undef VL_LAYOUT_FIELD
};

#define VL_LAYOUT_MAGIC "vlayout"

extern const struct vl_layout vl_layout;

/* The note's owner, and the content: distances from each word to what it is about. Its type is the
 * format. */
#define VL_LAYOUT_OWNER "valloc"

struct vl_layout_note {
    int64_t layout, slices, slice_count, page_heaps, big_heaps;
};

/*
 * Puts the note into the file that is being compiled: one that every program with valloc in it
 * links. Only an assembler can write such distances, and 64 bits of them, as there are programs of
 * more than 2 GB.
 */
#define VL_LAYOUT_NOTE                                  \
    __asm__(".pushsection .note.valloc, \"a\", %note\n" \
            ".balign 4\n"                               \
            ".long 7, 5 * 8, 2\n"                       \
            ".asciz \"" VL_LAYOUT_OWNER "\"\n"          \
            ".balign 4\n"                               \
            ".quad vl_layout - .\n"                     \
            ".quad vl_slices - .\n"                     \
            ".quad vl_slice_count - .\n"                \
            ".quad vl_page_heaps - .\n"                 \
            ".quad vl_big_heaps - .\n"                  \
            ".popsection\n")

_Static_assert(sizeof VL_LAYOUT_OWNER == 7 && sizeof(struct vl_layout_note) == 5 * 8 &&
                   VL_LAYOUT_FORMAT == 2,
               "the note's three numbers");

#endif
