#include "map/heap.h"

#include "run/message.h"

#include <stdlib.h>
#include <string.h>

void *heap_memory(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (memory == NULL)
        give_up(STATUS_FAILED, "out of memory");
    return memory;
}

/* An array with room for one more: for the next power of two at least. */
static void *grown(void *array, size_t count, size_t item_bytes)
{
    bool is_full = (count & (count - 1)) == 0; /* 0 and the powers of two */
    return is_full ? heap_memory(array, (count == 0 ? 1 : 2 * count) * item_bytes) : array;
}

bool heap_add_stretch(struct heap *heap, const struct stretch *stretch)
{
    if (heap->stretch_count == HEAP_STRETCHES_MAX || stretch->kind >= STRETCH_KINDS ||
        stretch->start % VL_REGION_SIZE != 0 || stretch->start > INT64_MAX ||
        stretch->size > INT64_MAX)
        return false;
    heap->stretches = grown(heap->stretches, heap->stretch_count, sizeof *stretch);
    struct stretch *added = &heap->stretches[heap->stretch_count++];
    *added = *stretch;
    added->first = heap->part_count;
    added->count = 0;
    return true;
}

static bool is_shaped(const struct stretch *stretch, const struct part *part)
{
    uint64_t unit = stretch->kind == STRETCH_BIG ? VL_GRAIN_SIZE : VL_REGION_SIZE;
    return part->size != 0 && part->start % unit == 0 && part->size % unit == 0 &&
           (stretch->kind == STRETCH_BIG || part->size == unit);
}

static bool is_sensible(const struct heap *heap, const struct stretch *stretch,
                        const struct part *part)
{
    uint64_t from = stretch->start;
    if (stretch->count != 0) {
        const struct part *last = &heap->parts[heap->part_count - 1];
        from = last->start + last->size;
    }
    return is_shaped(stretch, part) && part->start >= from &&
           part->start - stretch->start <= stretch->size &&
           part->size <= stretch->size - (part->start - stretch->start) &&
           part->used <= part->size && part->resident <= part->size &&
           part->huge <= part->resident && part->runs <= VL_REGION_PAGES &&
           part->object <= heap->object_count && part->state < PART_STATES;
}

bool heap_add_part(struct heap *heap, const struct part *part)
{
    if (heap->stretch_count == 0 || heap->part_count == HEAP_PARTS_MAX)
        return false;
    struct stretch *stretch = &heap->stretches[heap->stretch_count - 1];
    if (!is_sensible(heap, stretch, part))
        return false;
    heap->parts = grown(heap->parts, heap->part_count, sizeof *part);
    heap->parts[heap->part_count++] = *part;
    stretch->count++;
    return true;
}

bool heap_add_object(struct heap *heap, const struct object *object)
{
    if (heap->object_count == HEAP_OBJECTS_MAX)
        return false;
    heap->objects = grown(heap->objects, heap->object_count, sizeof *object);
    struct object *added = &heap->objects[heap->object_count++];
    *added = *object;
    heap_clean_name(added->name, sizeof added->name);
    return true;
}

void heap_empty_stretch(struct heap *heap)
{
    struct stretch *stretch = &heap->stretches[heap->stretch_count - 1];
    heap->part_count = stretch->first;
    stretch->count = 0;
}

void heap_free(struct heap *heap)
{
    free(heap->stretches);
    free(heap->parts);
    free(heap->objects);
    *heap = (struct heap){0};
}

void heap_clean_name(char *name, size_t size)
{
    name[size - 1] = '\0';
    for (; *name != '\0'; name++)
        if (*name < ' ' || *name > '~')
            *name = '?';
}
