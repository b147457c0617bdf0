#include "cache/query.h"

#include "cache/boot.h"
#include "cache/central.h"
#include "cache/fork.h"
#include "cache/init.h"

/* The run of pages that a pointer lies in. Whoever unmakes it meanwhile leaves its record readable. */
static size_t run_bytes(const struct vl_slice *slice, const void *pointer)
{
    const struct vl_region *region = vl_region_of(slice, pointer);
    unsigned first = vl_page_in_region(slice, pointer), last = vl_get(&region->last[first]);
    return last < first ? 0 : (size_t)(last - first + 1) << VL_PAGE_SHIFT; /* it may be going */
}

static size_t bytes_in(const struct vl_slice *slice, const void *pointer)
{
    if (!vl_slice_has_regions(slice))
        return vl_big_heap_bytes(&vl_big_heaps[slice->number], pointer);
    unsigned class = vl_get(vl_slice_class(slice, pointer));
    if (class == VL_CLASS_RUN_HEAD && (uintptr_t)pointer % VL_PAGE_SIZE == 0)
        return run_bytes(slice, pointer);
    bool small = class != VL_CLASS_NONE && class < VL_CLASSES;
    return small && vl_central_has_out(slice, class, pointer) ? vl_size_classes[class].size : 0;
}

bool vl_query_owns(const void *pointer)
{
    const struct vl_slice *slice = vl_started() ? vl_slice_of(pointer) : NULL;
    if (slice == NULL)
        return vl_boot_holds(pointer);
    return (uintptr_t)pointer - vl_get_acquire(&slice->start) < vl_get_acquire(&slice->writable);
}

size_t vl_query_bytes(const void *pointer)
{
    if (!vl_started())
        return 0;
    vl_fork_notice();
    vl_rcu_load();
    enum vl_rcu_section section = vl_rcu_read();
    const struct vl_slice *slice = vl_slice_of(pointer);
    size_t bytes = slice != NULL ? bytes_in(slice, pointer) : 0;
    vl_rcu_done(section);
    return bytes;
}

int vl_query_node(const void *pointer)
{
    return vl_query_owns(pointer) ? vl_os->node_of(pointer) : -1;
}
