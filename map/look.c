#include "map/look.h"

#include "map/find.h"
#include "map/page_kinds.h"
#include "run/message.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct look {
    struct remote remote;
    struct tables tables;
    struct heap *heap;
    uint64_t *holdings; /* of heap->objects, by index: addresses there */
};

/* ---- records ---- */

enum { RECORD_MAX = 4096 };

/* A number in a record; one that is wider than we can take, or lies outside, is 0. */
static uint64_t number_in(const unsigned char *record, struct vl_field field)
{
    uint64_t value = 0;
    if (field.bytes <= sizeof value && field.offset <= RECORD_MAX - sizeof value)
        memcpy(&value, record + field.offset, field.bytes); /* little-endian, as all we run on */
    return value;
}

static unsigned bits_in(const unsigned char *record, struct vl_field field)
{
    unsigned bits = 0;
    for (uint32_t i = 0; i < field.bytes && field.offset + i < RECORD_MAX; i++)
        bits += vl_bit_count(record[field.offset + i]);
    return bits;
}

static bool number_at(const struct look *look, uint64_t record, struct vl_field field,
                      uint64_t *value)
{
    *value = 0;
    return field.bytes <= sizeof *value &&
           remote_read(&look->remote, record + field.offset, value, field.bytes);
}

static uint32_t end_of(struct vl_field field)
{
    return field.offset + field.bytes;
}

/* ---- slices ---- */

struct slice {
    uint32_t index;
    uint64_t units;
    uint64_t unit_bytes;
    struct stretch stretch;
};

static bool is_kind(const struct vl_layout *layout, uint64_t kind, enum stretch_kind *stretch_kind)
{
    const uint32_t kinds[STRETCH_KINDS] = {
        [STRETCH_NODE] = layout->slice_node,
        [STRETCH_OBJECTS] = layout->slice_object,
        [STRETCH_BIG] = layout->slice_big,
    };
    if (kind == layout->slice_placed)
        kind = layout->slice_big;
    for (unsigned i = 0; i < STRETCH_KINDS; i++)
        if (kind == kinds[i]) {
            *stretch_kind = (enum stretch_kind)i;
            return true;
        }
    return false;
}

/* False if it is not in use, or makes no sense. */
static bool take_slice(const struct look *look, uint32_t index, struct slice *slice)
{
    const struct vl_layout *layout = &look->tables.layout;
    unsigned char record[RECORD_MAX] = {0};
    if (layout->slice_bytes > sizeof record ||
        !remote_read(&look->remote, look->tables.slices + (uint64_t)index * layout->slice_bytes,
                     record, layout->slice_bytes))
        return false;
    bool bound = number_in(record, layout->slice_bind) & 1;
    uint64_t size = number_in(record, layout->slice_size);
    *slice = (struct slice){
        .index = index,
        .units = number_in(record, layout->slice_units),
        .unit_bytes = number_in(record, layout->slice_unit_bytes),
        .stretch =
            {
                .node = bound ? (int)(uint16_t)number_in(record, layout->slice_bind_node) : -1,
                .start = number_in(record, layout->slice_start),
                .size = vl_min(number_in(record, layout->slice_writable), size),
            },
    };
    return size != 0 && number_in(record, layout->slice_number) == index &&
           is_kind(layout, number_in(record, layout->slice_kind), &slice->stretch.kind) &&
           slice->unit_bytes ==
               (slice->stretch.kind == STRETCH_BIG ? layout->extent_bytes : layout->region_bytes);
}

/* ---- objects ---- */

/* The object that a holding is of, by index plus one. */
static uint32_t object_of(struct look *look, uint64_t holding)
{
    const struct vl_layout *layout = &look->tables.layout;
    struct object object = {0};
    if (holding == 0)
        return 0;
    for (size_t i = look->heap->object_count; i > 0; i--)
        if (look->holdings[i - 1] == holding)
            return (uint32_t)i;
    uint64_t record = holding - layout->object_holding.offset;
    if (!number_at(look, record, layout->object_serial, &object.serial) ||
        !remote_read(&look->remote, record + layout->object_name.offset, object.name,
                     vl_min(layout->object_name.bytes, sizeof object.name)) ||
        !heap_add_object(look->heap, &object))
        return 0;
    look->holdings = heap_memory(look->holdings, look->heap->object_count * sizeof(uint64_t));
    look->holdings[look->heap->object_count - 1] = holding;
    return (uint32_t)look->heap->object_count;
}

/* ---- regions ---- */

static bool region_state(const struct vl_layout *layout, uint64_t state, uint8_t *part_state)
{
    if (state == layout->region_active)
        *part_state = PART_USED;
    else if (state == layout->region_empty)
        *part_state = PART_KEPT;
    else if (state == layout->region_clean)
        *part_state = PART_CLEAN;
    else if (state == layout->region_lost)
        *part_state = PART_LOST;
    else
        return false;
    return true;
}

static void take_region(struct look *look, const struct slice *slice, uint64_t number,
                        const unsigned char *record)
{
    const struct vl_layout *layout = &look->tables.layout;
    uint64_t state = number_in(record, layout->region_state);
    struct part part = {
        .start = slice->stretch.start + (number << VL_REGION_SHIFT),
        .size = VL_REGION_SIZE,
        .pool = number_in(record, layout->region_hugetlb) & 1,
        .object = object_of(look, number_in(record, layout->region_holder)),
    };
    if (state == layout->region_fresh)
        return; /* about to be used */
    bool known = region_state(layout, state, &part.state);
    if (known && part.state == PART_USED) {
        part.used =
            vl_min((uint64_t)bits_in(record, layout->region_used) << VL_PAGE_SHIFT, VL_REGION_SIZE);
        part.runs = (uint32_t)vl_min(number_in(record, layout->region_run_count), VL_REGION_PAGES);
    }
    if (!known || !heap_add_part(look->heap, &part))
        look->heap->torn = true;
}

/* Only the head of each record is read: the rest is notes about spans. */
static uint32_t region_head_bytes(const struct vl_layout *layout)
{
    uint32_t ends[] = {
        end_of(layout->region_used),   end_of(layout->region_run_count),
        end_of(layout->region_state),  end_of(layout->region_hugetlb),
        end_of(layout->region_holder),
    };
    uint32_t last = 0;
    for (unsigned i = 0; i < sizeof ends / sizeof ends[0]; i++)
        last = ends[i] > last ? ends[i] : last;
    return last;
}

static void take_regions(struct look *look, const struct slice *slice)
{
    const struct vl_layout *layout = &look->tables.layout;
    unsigned char record[RECORD_MAX] = {0};
    uint32_t head_bytes = region_head_bytes(layout);
    uint64_t fresh, limit = slice->stretch.size >> VL_REGION_SHIFT;
    uint64_t heap = look->tables.page_heaps + (uint64_t)slice->index * layout->page_heap_bytes;
    if (head_bytes > sizeof record || !number_at(look, heap, layout->page_heap_fresh, &fresh))
        return;
    for (uint64_t number = 0; number < vl_min(fresh, limit); number++) {
        if (!remote_read(&look->remote, slice->units + number * slice->unit_bytes, record,
                         head_bytes)) {
            look->heap->torn = true;
            return;
        }
        take_region(look, slice, number, record);
    }
}

/* ---- big blocks ---- */

/* Records are read a page at a time: neighbours are often in one. */
struct window {
    uint64_t start; /* 0: nothing was read yet */
    unsigned char bytes[4096];
};

static bool read_window(const struct look *look, struct window *window, uint64_t at,
                        unsigned char *to, size_t size)
{
    while (size != 0) {
        uint64_t start = at - at % sizeof window->bytes;
        size_t offset = at - start, part = vl_min(sizeof window->bytes - offset, size);
        if (window->start != start &&
            !remote_read(&look->remote, start, window->bytes, sizeof window->bytes)) {
            window->start = 0;
            return false;
        }
        window->start = start;
        memcpy(to, window->bytes + offset, part);
        to += part;
        at += part;
        size -= part;
    }
    return true;
}

static bool extent_state(const struct vl_layout *layout, uint64_t state, uint8_t *part_state)
{
    if (state == layout->extent_used)
        *part_state = PART_USED;
    else if (state == layout->extent_dirty)
        *part_state = PART_KEPT;
    else if (state == layout->extent_clean)
        *part_state = PART_CLEAN;
    else if (state == layout->extent_lost)
        *part_state = PART_LOST;
    else
        return false;
    return true;
}

/* Takes the extent that begins at a grain, and goes to the next; false if there is none. */
static bool take_extent(struct look *look, const struct slice *slice, const unsigned char *record,
                        uint64_t *grain)
{
    const struct vl_layout *layout = &look->tables.layout;
    uint64_t grains = number_in(record, layout->extent_grains);
    struct part part = {
        .start = slice->stretch.start + (*grain << VL_GRAIN_SHIFT),
        .size = grains << VL_GRAIN_SHIFT,
    };
    if (!extent_state(layout, number_in(record, layout->extent_state), &part.state))
        return false;
    if (part.state == PART_USED) {
        part.used = number_in(record, layout->extent_used_bytes);
        part.pool = number_in(record, layout->extent_hugetlb) & 1;
        part.object = object_of(look, number_in(record, layout->extent_holder));
    }
    *grain += grains;
    return heap_add_part(look->heap, &part);
}

/* True if it came to the end of what was ever used. */
static bool walk_extents(struct look *look, const struct slice *slice)
{
    const struct vl_layout *layout = &look->tables.layout;
    unsigned char record[RECORD_MAX] = {0};
    struct window window = {0};
    uint64_t fresh, limit = slice->stretch.size >> VL_GRAIN_SHIFT;
    uint64_t heap = look->tables.big_heaps + (uint64_t)slice->index * layout->big_heap_bytes;
    if (layout->extent_bytes > sizeof record ||
        !number_at(look, heap, layout->big_heap_fresh, &fresh))
        return false;
    for (uint64_t grain = 0; grain < vl_min(fresh, limit);)
        if (!read_window(look, &window, slice->units + grain * slice->unit_bytes, record,
                         layout->extent_bytes) ||
            !take_extent(look, slice, record, &grain))
            return false;
    return true;
}

static void take_extents(struct look *look, const struct slice *slice)
{
    enum { TRIES = 5 };
    for (unsigned i = 0; i < TRIES; i++) {
        heap_empty_stretch(look->heap);
        if (walk_extents(look, slice))
            return;
    }
    look->heap->torn = true;
}

/* ---- all of it ---- */

static void take_slices(struct look *look, struct page_kinds *kinds)
{
    struct slice slice;
    for (uint32_t i = 0; i < look->tables.slice_count; i++) {
        if (!take_slice(look, i, &slice) || !heap_add_stretch(look->heap, &slice.stretch))
            continue; /* it was given up, or is being made */
        if (slice.stretch.kind == STRETCH_BIG)
            take_extents(look, &slice);
        else
            take_regions(look, &slice);
        const struct stretch *stretch = &look->heap->stretches[look->heap->stretch_count - 1];
        page_kinds_note(kinds, look->heap->parts + stretch->first, stretch->count);
    }
}

void look_at_process(pid_t pid, bool scan, struct heap *heap)
{
    struct look look = {.remote = remote_open(pid), .heap = heap};
    find_tables(&look.remote, &look.tables);
    *heap = (struct heap){.pid = pid};
    memcpy(heap->version, look.tables.layout.version, sizeof look.tables.layout.version);
    memcpy(heap->program, look.remote.name, sizeof heap->program);
    heap_clean_name(heap->version, sizeof heap->version);
    struct page_kinds *kinds = page_kinds_open(&look.remote, scan);
    take_slices(&look, kinds);
    heap->pages = page_kinds_source(kinds);
    page_kinds_close(kinds);
    free(look.holdings);
    if (!remote_lives(&look.remote))
        give_up(STATUS_FAILED, "%ld: the process has ended", (long)pid);
    close(look.remote.memory);
}
