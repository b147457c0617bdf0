/*
 * node_slice - what the tests of the kernel's pools share: one slice of node 5, writable to its end.
 */
#ifndef VL_TESTS_HUGEPAGE_NODE_SLICE_H
#define VL_TESTS_HUGEPAGE_NODE_SLICE_H

#include "tests/api/support.h"
#include "tests/fake_os.h"

#include "core/core.h"

static struct vl_slice *slice;

static inline void note_slice(struct vl_slice *made)
{
    slice = made;
}

/* In a world of its own. */
static inline void begin_slice(size_t size, size_t small_pages)
{
    fake_os_install();
    ck_assert_ptr_nonnull(vl_slice_create(&(struct vl_slice_plan){
        .kind = VL_SLICE_NODE,
        .size = size,
        .unit_shift = VL_REGION_SHIFT,
        .unit_bytes = 64,
        .small_pages = small_pages,
        .huge = true,
        .bind = true,
        .bind_node = 5,
        .prepare = note_slice,
    }));
    ck_assert(vl_slice_extend(slice, size));
}

#endif
