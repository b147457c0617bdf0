#include "cache/walk.h"

#include "cache/central.h"
#include "cache/fork.h"
#include "cache/init.h"
#include "cache/thread.h"

/* --- Parts --- */

static int walk_regions(const struct vl_slice *slice, vl_visit_part *visit, void *argument)
{
    struct vl_page_heap *heap = &vl_page_heaps[slice->number];
    struct vl_region_view view;
    for (uint32_t number = 0; vl_page_heap_view(heap, number, &view); number++) {
        struct vl_part part = {
            .kind = VL_PART_REGION,
            .start = (char *)slice->start + ((size_t)number << VL_REGION_SHIFT),
            .size = VL_REGION_SIZE,
            .used = (size_t)view.pages_used << VL_PAGE_SHIFT,
            .resident = view.state == VL_REGION_ACTIVE || view.state == VL_REGION_EMPTY,
            .node = vl_topology.count > 1 ? vl_topology.ids[slice->node] : -1,
        };
        int result = visit(&part, argument);
        if (result != 0)
            return result;
    }
    return 0;
}

static int walk_big(const struct vl_slice *slice, vl_visit_part *visit, void *argument)
{
    struct vl_big_heap *heap = &vl_big_heaps[slice->number];
    struct vl_part part = {.kind = VL_PART_BIG,
                           .start = (char *)slice->start,
                           .resident = true,
                           .node = slice->bind ? slice->bind_node : -1};
    while (vl_big_heap_next(heap, &part.start, &part.size, &part.used)) {
        int result = visit(&part, argument);
        if (result != 0)
            return result;
        part.start += part.size;
    }
    return 0;
}

int vl_walk_parts(vl_visit_part *visit, void *argument)
{
    if (!vl_started())
        return 0;
    vl_fork_notice();
    vl_rcu_load();
    enum vl_rcu_section section = vl_rcu_read();
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < vl_get_acquire(&vl_slice_count); i++)
        if (vl_get_acquire(&vl_slices[i].size) != 0)
            result = vl_slice_has_regions(&vl_slices[i])
                         ? walk_regions(&vl_slices[i], visit, argument)
                         : walk_big(&vl_slices[i], visit, argument);
    vl_rcu_done(section);
    return result;
}

/* --- Blocks --- */

/* What is being visited, and the bitmap of what magazines hold of one slice. */
struct block_walk {
    vl_visit_block *visit;
    void *argument;
    const struct vl_slice *slice;
    uint64_t *cached;
    size_t cached_bytes; /* of the slice: those writable when the walk came to it */
};

static void note_cached(void *object, void *argument)
{
    const struct block_walk *walk = argument;
    size_t offset = (uintptr_t)object - walk->slice->start;
    if (offset < walk->cached_bytes)
        walk->cached[offset / VL_MIN_ALIGN / 64] |= (uint64_t)1 << (offset / VL_MIN_ALIGN % 64);
}

static bool is_cached(const struct block_walk *walk, const char *object)
{
    size_t offset = (uintptr_t)object - walk->slice->start;
    return offset < walk->cached_bytes &&
           (walk->cached[offset / VL_MIN_ALIGN / 64] >> (offset / VL_MIN_ALIGN % 64) & 1);
}

static int walk_span(const struct block_walk *walk, char *start, unsigned class)
{
    uint64_t free[VL_SPAN_WORDS_MAX];
    unsigned objects = vl_central_copy(walk->slice, class, start, free);
    size_t size = vl_size_classes[class].size;
    int result = 0;
    for (unsigned i = 0; result == 0 && i < objects; i++)
        if ((free[i / 64] >> (i % 64) & 1) == 0 && !is_cached(walk, start + i * size))
            result = walk->visit(start + i * size, size, walk->argument);
    return result;
}

static int walk_run(const struct block_walk *walk, char *start, unsigned pages)
{
    unsigned class = vl_get(vl_slice_class(walk->slice, start));
    if (class == VL_CLASS_RUN_HEAD)
        return walk->visit(start, (size_t)pages << VL_PAGE_SHIFT, walk->argument);
    return class != VL_CLASS_NONE && class < VL_CLASSES ? walk_span(walk, start, class) : 0;
}

static int walk_region(const struct block_walk *walk, uint32_t number,
                       const struct vl_region_view *view)
{
    char *start = (char *)walk->slice->start + ((size_t)number << VL_REGION_SHIFT);
    int result = 0;
    for (unsigned page = 0; result == 0 && page < VL_REGION_PAGES; page++)
        if (view->run_pages[page] != 0)
            result = walk_run(walk, start + page * VL_PAGE_SIZE, view->run_pages[page]);
    return result;
}

static void visit_depots(struct block_walk *walk)
{
    struct vl_heap *heap;
    for (uint32_t number = 0; (heap = vl_heap_at(number)) != NULL; number++)
        for (unsigned class = 1; class < VL_CLASSES; class++)
            vl_depot_visit(&heap->classes[class].depot, class, note_cached, walk);
}

static int walk_node_slice(struct block_walk *walk)
{
    struct vl_region_view view;
    int result = 0;
    walk->cached_bytes = vl_get_acquire(&walk->slice->writable);
    if (walk->cached_bytes == 0)
        return 0; /* a home that nothing was taken from yet */
    size_t bitmap_bytes = vl_round_up(walk->cached_bytes / VL_MIN_ALIGN / 8, vl_os_page_size);
    walk->cached = vl_os->reserve(bitmap_bytes);
    if (walk->cached == NULL)
        return -1;
    vl_os->advise(walk->cached, bitmap_bytes, VL_ADVICE_SMALL); /* few of its pages are touched */
    if (vl_os->protect(walk->cached, bitmap_bytes, VL_ACCESS_WRITE) == 0) {
        visit_depots(walk);
        vl_inboxes_visit(note_cached, walk);
        vl_caches_visit(note_cached, walk);
        for (uint32_t number = 0;
             result == 0 && vl_page_heap_view(&vl_page_heaps[walk->slice->number], number, &view);
             number++)
            result = walk_region(walk, number, &view);
    } else {
        result = -1;
    }
    vl_os->unreserve(walk->cached, bitmap_bytes);
    return result;
}

static int walk_big_slice(const struct block_walk *walk)
{
    char *start = (char *)walk->slice->start;
    size_t size, bytes;
    int result = 0;
    while (result == 0 &&
           vl_big_heap_next(&vl_big_heaps[walk->slice->number], &start, &size, &bytes)) {
        result = walk->visit(start, bytes, walk->argument);
        start += size;
    }
    return result;
}

int vl_walk_blocks(vl_visit_block *visit, void *argument)
{
    struct block_walk walk = {.visit = visit, .argument = argument};
    if (!vl_started())
        return 0;
    vl_fork_notice();
    vl_rcu_load();
    enum vl_rcu_section section = vl_rcu_read();
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < vl_get_acquire(&vl_slice_count); i++) {
        walk.slice = &vl_slices[i];
        if (vl_get_acquire(&walk.slice->size) != 0)
            result = vl_slice_has_regions(walk.slice) ? walk_node_slice(&walk)
                                                      : walk_big_slice(&walk);
    }
    vl_rcu_done(section);
    return result;
}
