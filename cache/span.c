#include "cache/span.h"

#include <string.h>

static uint64_t *place_for_bits(struct vl_span *span, const struct vl_run *run, unsigned objects)
{
    size_t room = run->pages * VL_PAGE_NOTES - sizeof *span;
    bool fits = (objects + 63) / 64 * sizeof(uint64_t) <= room;
    return fits ? span->bits_here : (uint64_t *)run->region->more_notes[run->page];
}

struct vl_span *vl_span_make(const struct vl_run *run, unsigned class)
{
    struct vl_span *span = (struct vl_span *)run->region->notes[run->page];
    unsigned objects = vl_size_classes[class].objects;
    span->next = span->prev = NULL;
    span->bits = place_for_bits(span, run, objects);
    span->start = run->start;
    span->class = (uint8_t)class;
    span->free = (uint16_t)objects;
    span->lowest = 0;
    span->pages = (uint16_t)run->pages;
    memset(span->bits, 0xff, objects / 64 * 8);
    if (objects % 64 != 0)
        span->bits[objects / 64] = ((uint64_t)1 << (objects % 64)) - 1;
    vl_slice_mark(run->slice, run->start, run->pages, (uint8_t)class, (uint8_t)class);
    return span;
}

void vl_span_unmake(struct vl_span *span)
{
    struct vl_slice *slice = vl_slice_of(span->start);
    vl_slice_mark(slice, span->start, span->pages, VL_CLASS_NONE, VL_CLASS_NONE);
    vl_place_give_run(slice, span->start);
}

struct vl_span *vl_span_of(const struct vl_slice *slice, const void *object)
{
    struct vl_region *region = vl_region_of(slice, object);
    return (struct vl_span *)region->notes[region->head[vl_page_in_region(slice, object)]];
}

_Static_assert(VL_SPAN_GROUP == 32, "whole_groups looks for 32 bits in a row");

/* A bit for each group of 32 bits, aligned, that are all set: its lowest. */
static uint64_t whole_groups(uint64_t bits)
{
    for (unsigned run = 1; run < VL_SPAN_GROUP; run *= 2)
        bits &= bits >> run;
    return bits & 0x0000000100000001u;
}

static unsigned take_group(struct vl_span *span, void **objects)
{
    const struct vl_size_class *class = &vl_size_classes[span->class];
    for (unsigned word = span->lowest; word <= (class->objects - 1u) / 64; word++) {
        uint64_t groups = whole_groups(span->bits[word]);
        if (groups == 0)
            continue;
        unsigned first = vl_lowest_bit(groups);
        span->bits[word] &= ~((uint64_t)0xffffffff << first);
        span->free = (uint16_t)(span->free - VL_SPAN_GROUP);
        for (unsigned i = 0; i < VL_SPAN_GROUP; i++)
            objects[i] = span->start + ((size_t)word * 64 + first + i) * class->size;
        return VL_SPAN_GROUP;
    }
    return 0;
}

unsigned vl_span_take(struct vl_span *span, void **objects, unsigned count)
{
    size_t size = vl_size_classes[span->class].size;
    unsigned taken = 0, word = span->lowest;
    if (span->class <= VL_TINY_CLASSES && count == VL_SPAN_GROUP)
        taken = take_group(span, objects);
    if (taken != 0)
        return taken;
    if (count > span->free)
        count = span->free;
    while (taken < count) {
        uint64_t bits = span->bits[word];
        char *base = span->start + (size_t)word * 64 * size;
        for (; bits != 0 && taken < count; bits &= bits - 1)
            objects[taken++] = base + vl_lowest_bit(bits) * size;
        span->bits[word] = bits;
        if (bits == 0)
            word++;
    }
    span->lowest = (uint16_t)word;
    span->free = (uint16_t)(span->free - taken);
    return taken;
}

bool vl_span_has_out(const struct vl_span *span, const void *pointer)
{
    const struct vl_size_class *class = &vl_size_classes[span->class];
    const uint64_t *bits = vl_peek(&span->bits);
    size_t offset = (size_t)((const char *)pointer - span->start);
    unsigned index = vl_object_index(class, offset);
    if (bits == NULL)
        return false; /* its record went back while it was looked for */
    return offset == (size_t)index * class->size && index < class->objects &&
           (bits[index / 64] >> (index % 64) & 1) == 0;
}

enum vl_span_verdict vl_span_give(struct vl_span *span, const void *object)
{
    const struct vl_size_class *class = &vl_size_classes[span->class];
    size_t offset = (size_t)((const char *)object - span->start);
    unsigned index = vl_object_index(class, offset);
    uint64_t bit = (uint64_t)1 << (index % 64);
    if (offset != (size_t)index * class->size || index >= class->objects)
        return VL_SPAN_INTERIOR;
    if (span->bits[index / 64] & bit)
        return VL_SPAN_DOUBLE_FREE;
    span->bits[index / 64] |= bit;
    span->free++;
    if (index / 64 < span->lowest)
        span->lowest = (uint16_t)(index / 64);
    return VL_SPAN_OK;
}
