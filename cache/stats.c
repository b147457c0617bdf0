#include "cache/stats.h"

#include "cache/central.h"
#include "cache/thread.h"

#include <string.h>

/* Objects of `class` that lie in the depots and caches of all threads. */
static uint64_t cached_objects(unsigned class)
{
    uint64_t objects = 0;
    const struct vl_heap *heap;
    for (uint32_t number = 0; (heap = vl_heap_at(number)) != NULL; number++)
        objects += vl_idstack_count(vl_get(&heap->classes[class].depot.full.word)) *
                   (uint64_t)vl_size_classes[class].capacity;
    for (uint32_t id = 1; id < vl_pool_end(&vl_cache_pool); id++)
        objects += vl_cache_count(vl_pool_item(&vl_cache_pool, id), class);
    return objects;
}

static uint64_t below_zero_is_zero(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0; /* sums taken at different moments may cross */
}

static void add_class(struct vl_stats *stats, unsigned class, uint64_t *span_pages)
{
    const struct vl_size_class *c = &vl_size_classes[class];
    uint64_t taken = 0;
    const struct vl_heap *heap;
    for (uint32_t number = 0; (heap = vl_heap_at(number)) != NULL; number++) {
        const struct vl_central *central = &heap->classes[class].central;
        uint64_t spans = vl_get(&central->spans), free = vl_get(&central->objects_free);
        taken += below_zero_is_zero(spans * c->objects, free);
        stats->span_free_bytes += free * c->size;
        *span_pages += spans * c->span_pages;
    }
    if (taken == 0)
        return;
    uint64_t cached = cached_objects(class);
    uint64_t used = below_zero_is_zero(taken, cached);
    stats->small_blocks += used;
    stats->small_bytes += used * c->size;
    stats->cached_blocks += cached;
    stats->cached_bytes += cached * c->size;
}

/* Objects that are free, but still on the way to their node. */
static void add_remote(struct vl_stats *stats)
{
    uint64_t blocks = 0, bytes = 0;
    for (uint32_t id = 1; id < vl_pool_end(&vl_cache_pool); id++) {
        const struct vl_cache *cache = vl_pool_item(&vl_cache_pool, id);
        blocks += vl_get(&cache->sent_blocks);
        bytes += vl_get(&cache->sent_bytes);
    }
    blocks = below_zero_is_zero(blocks, vl_get(&vl_arrived_blocks));
    bytes = below_zero_is_zero(bytes, vl_get(&vl_arrived_bytes));
    stats->cached_blocks += blocks;
    stats->cached_bytes += bytes;
    stats->small_blocks = below_zero_is_zero(stats->small_blocks, blocks);
    stats->small_bytes = below_zero_is_zero(stats->small_bytes, bytes);
}

static void add_page_heap(struct vl_stats *stats, const struct vl_page_heap *heap,
                          uint64_t *pages_used)
{
    *pages_used += vl_get(&heap->pages_used);
    stats->regions_active += vl_get(&heap->regions_active);
    stats->regions_empty += vl_get(&heap->regions_empty);
    stats->regions_clean += vl_get(&heap->regions_clean);
    stats->purged_bytes += vl_get(&heap->purged_bytes);
    stats->hugetlb_bytes += vl_get(&heap->hugetlb_bytes);
    stats->hugetlb_refused += vl_get(&heap->hugetlb_refused);
    stats->regions_small += vl_get(&heap->thp.small);
    stats->promoted += vl_get(&heap->thp.promoted);
    stats->promotions_refused += vl_get(&heap->thp.refused);
}

static void add_big_heap(struct vl_stats *stats, const struct vl_big_heap *heap)
{
    stats->big_bytes += vl_get(&heap->bytes_used);
    stats->big_blocks += vl_get(&heap->blocks_used);
    stats->big_kept_bytes += vl_get(&heap->bytes_dirty);
    stats->purged_bytes += vl_get(&heap->purged_bytes);
    stats->hugetlb_bytes += vl_get(&heap->hugetlb_bytes);
    stats->hugetlb_refused += vl_get(&heap->hugetlb_refused);
    stats->giant_bytes += vl_get(&heap->giant_bytes);
    stats->giant_refused += vl_get(&heap->giant_refused);
    stats->promoted += vl_get(&heap->thp.promoted);
    stats->promotions_refused += vl_get(&heap->thp.refused);
}

void vl_stats_take(struct vl_stats *stats)
{
    uint64_t pages_used = 0, span_pages = 0;
    memset(stats, 0, sizeof *stats);
    for (unsigned class = 1; class < VL_CLASSES; class++)
        add_class(stats, class, &span_pages);
    add_remote(stats);
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++) {
        stats->heap_bytes += vl_get(&vl_slices[i].writable);
        if (vl_slice_has_regions(&vl_slices[i]))
            add_page_heap(stats, &vl_page_heaps[i], &pages_used);
        else
            add_big_heap(stats, &vl_big_heaps[i]);
    }
    const struct vl_heap *heap;
    for (uint32_t number = 0; (heap = vl_heap_at(number)) != NULL; number++)
        pages_used += below_zero_is_zero(vl_get(&heap->holding.pages_used),
                                         vl_get(&heap->holding.big_pages));
    stats->run_bytes = below_zero_is_zero(pages_used, span_pages) << VL_PAGE_SHIFT;
    uint32_t end = vl_pool_end(&vl_cache_pool);
    stats->caches = end == 0 ? 0 : end - 1;
    stats->nodes = vl_topology.count;
    stats->holds = vl_get(&vl_stall_holds);
}

static void add_slice(struct vl_node_stats *stats, const struct vl_slice *slice,
                      const struct vl_resident *resident)
{
    const struct vl_page_heap *heap = &vl_page_heaps[slice->number];
    stats->regions_active += vl_get(&heap->regions_active);
    stats->regions_empty += vl_get(&heap->regions_empty);
    stats->regions_clean += vl_get(&heap->regions_clean);
    stats->regions_small += vl_get(&heap->thp.small);
    stats->purged_bytes += vl_get(&heap->purged_bytes);
    stats->resident.all += resident->all;
    stats->resident.huge += resident->huge;
}

void vl_stats_take_node(struct vl_node_stats *stats, unsigned node,
                        const struct vl_residents *residents)
{
    memset(stats, 0, sizeof *stats);
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++)
        if (vl_slices[i].node == node && vl_slice_has_regions(&vl_slices[i]))
            add_slice(stats, &vl_slices[i], &residents->slices[i]);
}

/* --- By nodes --- */

/* Sums that cross may go below zero for a moment. */
typedef int64_t node_bytes[VL_NODE_INDEX_MAX];

static void add_heap(int64_t *bytes, const struct vl_heap *heap)
{
    for (unsigned class = 1; class < VL_CLASSES; class ++) {
        const struct vl_size_class *c = &vl_size_classes[class];
        const struct vl_central *central = &heap->classes[class].central;
        uint64_t spans = vl_get(&central->spans);
        uint64_t free =
            vl_get(&central->objects_free) +
            vl_idstack_count(vl_get(&heap->classes[class].depot.full.word)) * (uint64_t)c->capacity;
        *bytes += (int64_t)(spans * c->objects - free) * c->size;
        *bytes -= (int64_t)(spans * c->span_pages) << VL_PAGE_SHIFT; /* among the pages in use */
    }
}

/* On its way home. Of a slot that has just changed, anything may come. */
static void subtract_object(void *object, void *of_nodes)
{
    int64_t *bytes = of_nodes;
    const struct vl_slice *slice = vl_slice_of(object);
    if (slice == NULL || slice->kind != VL_SLICE_NODE)
        return;
    unsigned class = vl_get(vl_slice_class(slice, object));
    if (class != VL_CLASS_NONE && class < VL_CLASSES)
        bytes[slice->node] -= vl_size_classes[class].size;
}

static void subtract_cache(node_bytes bytes, const struct vl_cache *cache)
{
    uint8_t state = vl_get_acquire(&cache->state);
    unsigned node = vl_peek(&cache->node);
    if (state != VL_CACHE_OWNED && state != VL_CACHE_PARKED)
        return;
    for (unsigned class = 1; class < VL_CLASSES; class ++)
        bytes[node] -= (int64_t)vl_cache_count(cache, class) * vl_size_classes[class].size;
    vl_magazine_visit(vl_peek(&cache->outbox), VL_MAGAZINE_CAPACITY_MAX, subtract_object, bytes);
}

void vl_stats_used_by_node(uint64_t used[VL_NODE_INDEX_MAX])
{
    node_bytes bytes = {0};
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++)
        if (vl_slices[i].kind == VL_SLICE_NODE)
            bytes[vl_slices[i].node] += (int64_t)vl_get(&vl_page_heaps[i].pages_used)
                                        << VL_PAGE_SHIFT;
    for (unsigned node = 0; node < vl_topology.count; node++)
        add_heap(&bytes[node], &vl_node_heaps[node]);
    for (uint32_t id = 1; id < vl_pool_end(&vl_cache_pool); id++)
        subtract_cache(bytes, vl_pool_item(&vl_cache_pool, id));
    vl_inboxes_visit(subtract_object, bytes);
    for (unsigned node = 0; node < VL_NODE_INDEX_MAX; node++)
        used[node] = bytes[node] > 0 ? (uint64_t)bytes[node] : 0;
}
