#include "cache/central.h"

#include "cache/heap.h"
#include "cache/misuse.h"

#include <string.h>

_Atomic uint64_t vl_arrived_blocks, vl_arrived_bytes;

static unsigned list_for(const struct vl_span *span, unsigned class)
{
    unsigned free = span->free, objects = vl_size_classes[class].objects;
    if (free == 0)
        return VL_SPAN_FULL;
    if (free == objects)
        return VL_SPAN_EMPTY;
    return free * 4 <= objects ? 0 : free * 2 <= objects ? 1 : 2;
}

static void link_span(struct vl_central *central, vl_span_id id, unsigned class)
{
    struct vl_span *span = vl_span_record(id);
    span->list = list_for(span, class);
    if (span->list == VL_SPAN_FULL)
        return;
    vl_span_id *first = &central->lists[span->list];
    span->prev = 0;
    span->next = *first;
    if (*first != 0)
        vl_span_record(*first)->prev = id;
    *first = id;
}

static void unlink_span(struct vl_central *central, vl_span_id id)
{
    const struct vl_span *span = vl_span_record(id);
    if (span->list == VL_SPAN_FULL)
        return;
    if (span->next != 0)
        vl_span_record(span->next)->prev = span->prev;
    if (span->prev != 0)
        vl_span_record(span->prev)->next = span->next;
    else
        central->lists[span->list] = span->next;
}

static void relink_span(struct vl_central *central, vl_span_id id, unsigned class)
{
    const struct vl_span *span = vl_span_record(id);
    if (list_for(span, class) == span->list)
        return;
    unlink_span(central, id);
    link_span(central, id, class);
}

/* 0 where none has a free object. */
static vl_span_id fullest_span(const struct vl_central *central)
{
    for (unsigned list = 0; list < VL_SPAN_LISTS; list++)
        if (central->lists[list] != 0)
            return central->lists[list];
    return 0;
}

static unsigned take_locked(struct vl_central *central, unsigned class, void **objects,
                            unsigned count)
{
    unsigned taken = 0;
    while (taken < count) {
        vl_span_id span = fullest_span(central);
        if (span == 0)
            break;
        taken += vl_span_take(span, class, objects + taken, count - taken);
        relink_span(central, span, class);
    }
    vl_count(&central->objects_free, -(uint64_t)taken);
    return taken;
}

static unsigned take_from_spans(struct vl_heap *heap, unsigned class, void **objects,
                                unsigned count)
{
    struct vl_central *central = &heap->classes[class].central;
    vl_lock(&central->lock);
    unsigned taken = take_locked(central, class, objects, count);
    vl_unlock(&central->lock);
    return taken;
}

/* Where a heap's span is taken from: place_held, or vl_place_run_own or vl_place_run_other. */
typedef bool place_run_fn(struct vl_heap *heap, struct vl_wish wish, struct vl_run *run);

static bool place_held(struct vl_heap *heap, struct vl_wish wish, struct vl_run *run)
{
    return vl_place_run_held(&heap->holding, wish, run);
}

static bool place_own(struct vl_heap *heap, struct vl_wish wish, struct vl_run *run)
{
    return vl_place_run_own(heap->node, wish, run);
}

static bool place_other(struct vl_heap *heap, struct vl_wish wish, struct vl_run *run)
{
    return vl_place_run_other(heap->node, wish, run);
}

/* A new span of `class`, linked into the heap's central, and objects of it. */
static unsigned take_from_new_span(place_run_fn *place_run, struct vl_heap *heap, unsigned class,
                                   void **objects, unsigned count)
{
    struct vl_run run;
    const struct vl_size_class *c = &vl_size_classes[class];
    if (!place_run(heap, vl_wish_for(c->span_pages), &run))
        return 0;
    vl_span_id span = vl_span_make(&run, class);
    struct vl_central *central = &heap->classes[class].central;
    vl_lock(&central->lock);
    vl_span_enter(span, class);
    unsigned taken = vl_span_take(span, class, objects, count);
    link_span(central, span, class);
    vl_count(&central->spans, 1);
    vl_count(&central->objects_free, c->objects - taken);
    vl_unlock(&central->lock);
    return taken;
}

/* For a node that is exhausted: of each other, what its spans have left before it gives new ones. */
static unsigned take_elsewhere(unsigned node, unsigned class, void **objects, unsigned count)
{
    unsigned taken = 0;
    for (unsigned i = 1; i < vl_topology.count && taken == 0; i++) {
        struct vl_heap *other = &vl_node_heaps[vl_topology.nearest[node][i]];
        taken = take_from_spans(other, class, objects, count);
        if (taken == 0)
            taken = take_from_new_span(place_other, other, class, objects, count);
    }
    if (taken != 0)
        vl_add(&vl_traffic[node].fallbacks, 1);
    return taken;
}

unsigned vl_central_take(struct vl_heap *heap, unsigned class, void **objects, unsigned count)
{
    unsigned taken = take_from_spans(heap, class, objects, count);
    if (taken == 0)
        taken = take_from_new_span(heap->holds ? place_held : place_own, heap, class, objects, count);
    return taken != 0 || heap->holds ? taken : take_elsewhere(heap->node, class, objects, count);
}

/* An empty span up to this is kept, one for each class: the next object may come at once. */
enum { KEPT_PAGES = 4 };

/* Takes an empty span out of its central and puts it before those that have gone already. */
static void retire(struct vl_central *central, unsigned class, vl_span_id id, vl_span_id *retired)
{
    struct vl_span *span = vl_span_record(id);
    unlink_span(central, id);
    vl_span_wipe(id, class);
    vl_count(&central->spans, -1u);
    vl_count(&central->objects_free, -(uint64_t)span->free);
    span->next = *retired;
    *retired = id;
}

/* Whether a span is empty and not the one that is kept. */
static bool is_spare(vl_span_id id, unsigned class)
{
    const struct vl_span *span = vl_span_record(id);
    bool alone = span->next == 0 && span->prev == 0;
    return span->list == VL_SPAN_EMPTY &&
           (!alone || vl_size_classes[class].span_pages > KEPT_PAGES);
}

/* What one turn at a central's lock leaves to be done after it. */
struct give_result {
    vl_span_id retired; /* by their `next` */
    const void *bad;
    enum vl_span_verdict verdict;
};

/* Gives back the first of the objects, and those behind it that lie in its span; returns how many. */
static unsigned give_locked(struct vl_central *central, vl_span_id span, unsigned class,
                            void *const *objects, unsigned count, struct give_result *result)
{
    unsigned given = vl_span_give(span, class, objects, count, &result->verdict);
    if (result->verdict != VL_SPAN_OK)
        result->bad = objects[given];
    if (given == 0)
        return 0;
    vl_count(&central->objects_free, given);
    relink_span(central, span, class);
    if (is_spare(span, class))
        retire(central, class, span, &result->retired);
    return given;
}

static void unmake_all(vl_span_id span, unsigned class)
{
    while (span != 0) {
        vl_span_id next = vl_span_record(span)->next;
        vl_span_unmake(span, class);
        span = next;
    }
}

/* Gives objects back as long as they are of one heap; returns how many that was. */
static unsigned give_run(unsigned class, void *const *objects, unsigned count,
                         struct give_result *result, const char *function)
{
    const struct vl_slice *slice = vl_slice_of(objects[0]);
    struct vl_heap *heap = vl_heap_of(slice, objects[0]);
    unsigned given = 0;
    if (heap == NULL) /* of an allocator object that was destroyed since */
        vl_misuse(function, VL_MISUSE_DOUBLE_FREE, objects[0]);
    struct vl_central *central = &heap->classes[class].central;
    vl_lock(&central->lock);
    while (given < count && result->bad == NULL) {
        const void *object = objects[given];
        if (!vl_slice_holds(slice, object))
            slice = vl_slice_of(object);
        if (vl_heap_of(slice, object) != heap)
            break;
        /* Where its span has gone, or another come, it was in a cache twice. */
        given += give_locked(central, vl_span_of(slice, object), class, objects + given,
                             count - given, result);
    }
    vl_unlock(&central->lock);
    if (result->bad != NULL)
        vl_misuse(function, result->verdict == VL_SPAN_INTERIOR ? VL_MISUSE_INTERIOR
                                                                : VL_MISUSE_DOUBLE_FREE,
                  result->bad);
    return given;
}

void vl_central_give(unsigned class, void *const *objects, unsigned count, const char *function)
{
    struct give_result result = {0, NULL, VL_SPAN_OK};
    while (count > 0) {
        unsigned given = give_run(class, objects, count, &result, function);
        objects += given;
        count -= given;
    }
    unmake_all(result.retired, class);
}

static unsigned class_of_object(const void *object)
{
    const struct vl_slice *slice = vl_slice_of(object);
    return vl_get(vl_slice_class(slice, object));
}

void vl_central_give_mixed(void *const *objects, unsigned count, const char *function)
{
    void *rest[VL_MIXED_MAX], *same[VL_MIXED_MAX];
    memcpy(rest, objects, count * sizeof *rest);
    while (count > 0) {
        unsigned class = class_of_object(rest[0]), chosen = 0, kept = 0;
        for (unsigned i = 0; i < count; i++)
            if (class_of_object(rest[i]) == class)
                same[chosen++] = rest[i];
            else
                rest[kept++] = rest[i];
        if (class == VL_CLASS_NONE || class >= VL_CLASSES)
            vl_misuse(function, VL_MISUSE_DOUBLE_FREE, same[0]);
        vl_central_give(class, same, chosen, function);
        vl_add(&vl_arrived_blocks, chosen);
        vl_add(&vl_arrived_bytes, (uint64_t)chosen * vl_size_classes[class].size);
        count = kept;
    }
}

bool vl_central_has_out(const struct vl_slice *slice, unsigned class, const void *pointer)
{
    struct vl_heap *heap = vl_heap_of(slice, pointer);
    if (heap == NULL)
        return false; /* an object's that has just gone */
    struct vl_central *central = &heap->classes[class].central;
    vl_lock(&central->lock);
    bool out = vl_span_has_out(vl_span_of(slice, pointer), class, pointer);
    vl_unlock(&central->lock);
    return out;
}

unsigned vl_central_copy(const struct vl_slice *slice, unsigned class, const char *start,
                         uint64_t free[VL_SPAN_WORDS_MAX])
{
    struct vl_heap *heap = vl_heap_of(slice, start);
    if (heap == NULL)
        return 0;
    struct vl_central *central = &heap->classes[class].central;
    unsigned objects = vl_size_classes[class].objects;
    vl_lock(&central->lock);
    vl_span_id span = vl_span_of(slice, start);
    bool there = vl_span_class(span) == class && vl_span_start(span) == start;
    if (there)
        memcpy(free, vl_span_bits(span, class), (objects + 63) / 64 * sizeof *free);
    vl_unlock(&central->lock);
    return there ? objects : 0;
}

void vl_central_release_empty(struct vl_heap *heap, unsigned class)
{
    struct vl_central *central = &heap->classes[class].central;
    vl_span_id retired = 0;
    vl_lock(&central->lock);
    while (central->lists[VL_SPAN_EMPTY] != 0)
        retire(central, class, central->lists[VL_SPAN_EMPTY], &retired);
    vl_unlock(&central->lock);
    unmake_all(retired, class);
}

void vl_central_forget(struct vl_heap *heap)
{
    for (unsigned class = 1; class < VL_CLASSES; class++) {
        struct vl_central *central = &heap->classes[class].central;
        vl_lock(&central->lock);
        memset(central->lists, 0, sizeof central->lists);
        vl_set(&central->spans, 0);
        vl_set(&central->objects_free, 0);
        vl_unlock(&central->lock);
    }
}

/* Links again every span of a region whose class is in the set of torn ones. */
static void relink_region(struct vl_heap *heap, struct vl_region *region, const bool *torn)
{
    const struct vl_slice *slice = &vl_slices[region->slice];
    for (unsigned page = 0; page < VL_REGION_PAGES; page++) {
        const char *start = vl_region_start(region) + page * VL_PAGE_SIZE;
        unsigned class = vl_get(vl_slice_class(slice, start));
        if (!vl_region_is_used(region, page) || region->head[page] != page ||
            class >= VL_CLASSES || !torn[class])
            continue;
        struct vl_central *central = &heap->classes[class].central;
        vl_span_id id = vl_span_of(slice, start);
        struct vl_span *span = vl_span_record(id);
        vl_span_enter(id, class); /* that may have been half done */
        span->free = vl_span_count_free(id, class);
        link_span(central, id, class);
        vl_count(&central->spans, 1);
        vl_count(&central->objects_free, span->free);
    }
}

/* Those of a heap's regions that may hold spans. */
static void relink_regions(struct vl_heap *heap, const struct vl_slice *slice, const bool *torn)
{
    for (uint32_t number = 0; number < vl_page_heaps[slice->number].fresh; number++) {
        struct vl_region *region = vl_slice_unit(slice, number);
        bool of_heap = heap->holds ? vl_get(&region->holder) == &heap->holding
                                   : slice->node == heap->node;
        if (of_heap)
            relink_region(heap, region, torn);
    }
}

void vl_central_after_fork(struct vl_heap *heap)
{
    bool torn[VL_CLASSES] = {false}, any = false;
    for (unsigned class = 1; class < VL_CLASSES; class++) {
        struct vl_central *central = &heap->classes[class].central;
        torn[class] = vl_lock_reset(&central->lock);
        any = any || torn[class];
        if (torn[class])
            *central = (struct vl_central){0};
    }
    enum vl_slice_kind kind = heap->holds ? VL_SLICE_OBJECT : VL_SLICE_NODE;
    for (uint32_t i = 0; any && i < vl_get(&vl_slice_count); i++)
        if (vl_slices[i].kind == kind)
            relink_regions(heap, &vl_slices[i], torn);
}
