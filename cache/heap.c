#include "cache/heap.h"

VL_SPARSE _Alignas(VL_TABLE_ALIGN) struct vl_heap vl_node_heaps[VL_NODE_INDEX_MAX];
struct vl_pool vl_heap_pool;

/* Allocator objects there may be at a time, and where address space is short. */
enum { HEAPS_MAX = 1 << 17, HEAPS_MIN = 1 << 6 };

void vl_heap_start(void)
{
    for (unsigned node = 1; node < vl_topology.count; node++)
        vl_node_heaps[node].node = node;
}

bool vl_heap_pool_start(void)
{
    for (uint32_t count = HEAPS_MAX; count >= HEAPS_MIN; count /= 2) {
        size_t bytes = vl_pool_space(VL_HEAP_SHIFT, count);
        void *space = bytes > vl_os->address_limit() / 32 && count > HEAPS_MIN
                          ? NULL
                          : vl_os->reserve(bytes);
        if (space == NULL)
            continue;
        vl_os->advise(space, bytes, VL_ADVICE_SMALL);
        vl_pool_start(&vl_heap_pool, space, VL_HEAP_SHIFT, count);
        return true;
    }
    return false;
}

struct vl_heap *vl_heap_at(uint32_t number)
{
    if (number < vl_topology.count)
        return &vl_node_heaps[number];
    uint32_t id = number - vl_topology.count + 1;
    return id < vl_pool_end(&vl_heap_pool) ? vl_pool_item(&vl_heap_pool, id) : NULL;
}

bool vl_heap_take_run(struct vl_heap *heap, struct vl_wish wish, struct vl_run *run)
{
    return heap->holds ? vl_place_run_held(&heap->holding, wish, run)
                       : vl_place_run(heap->node, wish, run);
}
