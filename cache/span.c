#include "cache/span.h"

#include <string.h>

static unsigned words_of(unsigned class)
{
    return (vl_size_classes[class].objects + 63u) / 64;
}

static bool has_further(unsigned class)
{
    size_t room =
        vl_size_classes[class].span_pages * VL_PAGE_NOTES - offsetof(struct vl_span, bits);
    return words_of(class) * sizeof(vl_span_word) > room;
}

vl_span_word *vl_span_bits(vl_span_id id, unsigned class)
{
    struct vl_span *span = vl_span_record(id);
    if (!has_further(class))
        return span->bits.here;
    /* Whoever looks while the region changes hands, under the lock of its former heap, may read garbage, but
     * memory. */
    return (vl_span_word *)vl_span_region(id)->further[span->bits.further % VL_REGION_PAGES];
}

static vl_span_id id_of(const struct vl_slice *slice, size_t page)
{
    return ((uint64_t)slice->number << VL_SPAN_PAGE_BITS | page) + 1;
}

vl_span_id vl_span_make(const struct vl_run *run, unsigned class)
{
    unsigned objects = vl_size_classes[class].objects;
    size_t page = ((uintptr_t)run->start - vl_get(&run->slice->start)) >> VL_PAGE_SHIFT;
    vl_span_id id = id_of(run->slice, page);
    struct vl_span *span = vl_span_record(id);
    span->next = span->prev = 0;
    span->free = objects;
    if (has_further(class))
        span->bits.further = vl_region_take_further(run->region);
    vl_span_word *bits = vl_span_bits(id, class);
    memset(bits, 0xff, objects / 64 * sizeof *bits);
    if (objects % 64 != 0)
        bits[objects / 64] = ((uint64_t)1 << (objects % 64)) - 1;
    return id;
}

void vl_span_unmake(vl_span_id id, unsigned class)
{
    if (has_further(class))
        vl_region_give_further(vl_span_region(id), vl_span_record(id)->bits.further);
    vl_place_give_run(vl_span_slice(id), vl_span_start(id));
}

static void mark(vl_span_id id, unsigned class, uint8_t as)
{
    vl_slice_mark(vl_span_slice(id), vl_span_start(id), vl_size_classes[class].span_pages, as, as);
}

void vl_span_enter(vl_span_id id, unsigned class)
{
    mark(id, class, (uint8_t) class);
}

void vl_span_wipe(vl_span_id id, unsigned class)
{
    mark(id, class, VL_CLASS_NONE);
}

vl_span_id vl_span_of(const struct vl_slice *slice, const void *object)
{
    size_t page = ((uintptr_t)object - slice->start) >> VL_PAGE_SHIFT;
    const struct vl_region *region = vl_slice_unit(slice, page / VL_REGION_PAGES);
    unsigned in_region = page % VL_REGION_PAGES;
    return id_of(slice, page - in_region + region->head[in_region]);
}

_Static_assert(VL_SPAN_GROUP == 32, "whole_groups looks for 32 bits in a row");

/* A bit for each group of 32 bits, aligned, that are all set: its lowest. */
static uint64_t whole_groups(uint64_t bits)
{
    for (unsigned run = 1; run < VL_SPAN_GROUP; run *= 2)
        bits &= bits >> run;
    return bits & 0x0000000100000001u;
}

static unsigned take_group(vl_span_word *bits, unsigned words, char *start, size_t size,
                           void **objects)
{
    for (unsigned word = 0; word < words; word++) {
        uint64_t groups = whole_groups(bits[word]);
        if (groups == 0)
            continue;
        unsigned first = vl_lowest_bit(groups);
        bits[word] &= ~((uint64_t)0xffffffff << first);
        for (unsigned i = 0; i < VL_SPAN_GROUP; i++)
            objects[i] = start + ((size_t)word * 64 + first + i) * size;
        return VL_SPAN_GROUP;
    }
    return 0;
}

/* Bits that are set in a row from `first` on, which is. */
static unsigned bits_in_a_row(uint64_t bits, unsigned first)
{
    uint64_t others = ~bits >> first;
    return others != 0 ? vl_lowest_bit(others) : 64 - first;
}

/* Free objects mostly lie side by side, and all do in a span that is new. */
static unsigned take_lowest(vl_span_word *bits, unsigned words, char *start, size_t size,
                            void **objects, unsigned count)
{
    unsigned taken = 0;
    for (unsigned word = 0; word < words && taken < count; word++) {
        uint64_t left = bits[word];
        while (left != 0 && taken < count) {
            unsigned first = vl_lowest_bit(left);
            unsigned row = (unsigned)vl_min(bits_in_a_row(left, first), count - taken);
            char *object = start + ((size_t)word * 64 + first) * size;
            for (unsigned i = 0; i < row; i++, object += size)
                objects[taken++] = object;
            left &= ~(~(uint64_t)0 >> (64 - row) << first);
        }
        bits[word] = left;
    }
    return taken;
}

unsigned vl_span_take(vl_span_id id, unsigned class, void **objects, unsigned count)
{
    struct vl_span *span = vl_span_record(id);
    vl_span_word *bits = vl_span_bits(id, class);
    size_t size = vl_size_classes[class].size;
    unsigned words = words_of(class), taken = 0;
    if (class <= VL_TINY_CLASSES && count == VL_SPAN_GROUP)
        taken = take_group(bits, words, vl_span_start(id), size, objects);
    if (taken == 0)
        taken = take_lowest(bits, words, vl_span_start(id), size, objects, count);
    span->free -= taken;
    return taken;
}

/* The object of `class` that begins so far into a span; or one beyond the last. */
static unsigned object_at(unsigned class, size_t offset)
{
    const struct vl_size_class *c = &vl_size_classes[class];
    unsigned index = vl_object_index(c, offset);
    return offset == (size_t)index * c->size && index < c->objects ? index : c->objects;
}

/* Asked of the page itself: what a free page says of its first one is out of date. */
static bool is_of_class(vl_span_id id, unsigned class, const void *pointer)
{
    return vl_get(vl_slice_class(vl_span_slice(id), pointer)) == class;
}

bool vl_span_has_out(vl_span_id id, unsigned class, const void *pointer)
{
    if (!is_of_class(id, class, pointer))
        return false;
    unsigned index = object_at(class, (size_t)((const char *)pointer - vl_span_start(id)));
    return index < vl_size_classes[class].objects &&
           (vl_span_bits(id, class)[index / 64] >> (index % 64) & 1) == 0;
}

static enum vl_span_verdict give(vl_span_word *bits, unsigned class, size_t offset)
{
    unsigned index = object_at(class, offset);
    if (index == vl_size_classes[class].objects)
        return VL_SPAN_INTERIOR;
    vl_span_word *word = &bits[index / 64];
    uint64_t bit = (uint64_t)1 << (index % 64);
    if (*word & bit)
        return VL_SPAN_DOUBLE_FREE;
    *word |= bit;
    return VL_SPAN_OK;
}

unsigned vl_span_give(vl_span_id id, unsigned class, void *const *objects, unsigned count,
                      enum vl_span_verdict *verdict)
{
    *verdict = VL_SPAN_DOUBLE_FREE;
    if (!is_of_class(id, class, objects[0]))
        return 0;
    vl_span_word *bits = vl_span_bits(id, class);
    uintptr_t start = (uintptr_t)vl_span_start(id), offset;
    size_t bytes = vl_size_classes[class].span_pages * VL_PAGE_SIZE;
    unsigned given = 0;
    *verdict = VL_SPAN_OK;
    while (given < count && (offset = (uintptr_t)objects[given] - start) < bytes) {
        *verdict = give(bits, class, offset);
        if (*verdict != VL_SPAN_OK)
            break;
        given++;
    }
    vl_span_record(id)->free += given;
    return given;
}

unsigned vl_span_count_free(vl_span_id id, unsigned class)
{
    const vl_span_word *bits = vl_span_bits(id, class);
    unsigned free = 0;
    for (unsigned word = 0; word < words_of(class); word++)
        free += vl_bit_count(bits[word]);
    return free;
}
