#include "cache/trim.h"

#include "cache/central.h"
#include "cache/init.h"
#include "cache/thread.h"

static void drain_depot(struct vl_heap *heap, unsigned class)
{
    unsigned capacity = vl_size_classes[class].capacity;
    void **full;
    while ((full = vl_depot_get(&heap->classes[class].depot)) != NULL) {
        vl_central_give(class, full, capacity, "free");
        vl_magazine_give(heap->node, full + capacity);
    }
}

void vl_trim_depots(struct vl_heap *heap)
{
    for (unsigned class = 1; class < VL_CLASSES; class++)
        drain_depot(heap, class);
}

void vl_trim_spans(struct vl_heap *heap)
{
    for (unsigned class = 1; class < VL_CLASSES; class++)
        vl_central_release_empty(heap, class);
}

size_t vl_trim(void)
{
    if (!vl_start())
        return 0;
    struct vl_cache *cache = vl_cache_enter();
    if (cache != NULL)
        vl_cache_flush(cache);
    vl_cache_leave(cache);
    vl_cache_flush_parked();
    for (unsigned node = 0; node < vl_topology.count; node++) {
        vl_inbox_open(node);
        vl_trim_depots(&vl_node_heaps[node]);
    }
    /* After all of them: what comes out of one node's depots may be another's. */
    for (unsigned node = 0; node < vl_topology.count; node++)
        vl_trim_spans(&vl_node_heaps[node]);
    vl_place_unreserve();
    return vl_place_purge(0);
}

void vl_trim_for_want(void)
{
    vl_trim();
    vl_limit_refused();
    vl_place_retire(false);
}
