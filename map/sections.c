#include "map/sections.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct key {
    enum section_kind kind;
    int number;
};

static struct key key_of(const struct stretch *stretch, const struct part *part)
{
    if (stretch->kind == STRETCH_BIG)
        return (struct key){SECTION_BIG, 0};
    if (stretch->kind == STRETCH_NODE)
        return (struct key){SECTION_NODE, stretch->node};
    if (part->object == 0)
        return (struct key){SECTION_NOBODY, 0};
    return part->object <= SECTION_OBJECTS_MAX ? (struct key){SECTION_OBJECT, (int)part->object - 1}
                                               : (struct key){SECTION_OTHERS, 0};
}

static struct section *section_for(struct sections *sections, struct key key)
{
    for (size_t i = 0; i < sections->count; i++)
        if (sections->list[i].kind == key.kind && sections->list[i].number == key.number)
            return &sections->list[i];
    sections->list = heap_memory(sections->list, (sections->count + 1) * sizeof *sections->list);
    struct section *section = &sections->list[sections->count++];
    *section = (struct section){.kind = key.kind, .number = key.number};
    return section;
}

static void add(struct section *section, const struct part *part, enum stretch_kind kind)
{
    if ((section->count & (section->count - 1)) == 0)
        section->parts =
            heap_memory(section->parts,
                        (section->count == 0 ? 1 : 2 * section->count) * sizeof *section->parts);
    section->parts[section->count++] = part;
    figures_add(&section->figures, part, kind);
}

static int compare(const void *left, const void *right)
{
    const struct section *a = left, *b = right;
    return a->kind != b->kind ? (a->kind > b->kind) - (a->kind < b->kind)
                              : (a->number > b->number) - (a->number < b->number);
}

struct sections sections_of(const struct heap *heap)
{
    struct sections sections = {0};
    for (size_t i = 0; i < heap->stretch_count; i++) {
        const struct stretch *stretch = &heap->stretches[i];
        for (size_t k = 0; k < stretch->count; k++) {
            const struct part *part = &heap->parts[stretch->first + k];
            add(section_for(&sections, key_of(stretch, part)), part, stretch->kind);
        }
    }
    if (sections.count != 0)
        qsort(sections.list, sections.count, sizeof *sections.list, compare);
    return sections;
}

void sections_free(struct sections *sections)
{
    for (size_t i = 0; i < sections->count; i++)
        free(sections->list[i].parts);
    free(sections->list);
}

void section_title(const struct heap *heap, const struct section *section, char text[SECTION_TITLE])
{
    const struct object *object =
        section->kind == SECTION_OBJECT ? &heap->objects[section->number] : NULL;
    switch (section->kind) {
    case SECTION_NODE:
        if (section->number < 0)
            snprintf(text, SECTION_TITLE, "Heap of the process");
        else
            snprintf(text, SECTION_TITLE, "Node %d", section->number);
        break;
    case SECTION_OBJECT:
        if (object->name[0] != '\0')
            snprintf(text, SECTION_TITLE, "Object %s", object->name);
        else
            snprintf(text, SECTION_TITLE, "Object without a name, %" PRIu64, object->serial);
        break;
    case SECTION_OTHERS:
        snprintf(text, SECTION_TITLE, "Other objects");
        break;
    case SECTION_NOBODY:
        snprintf(text, SECTION_TITLE, "For objects, held by none");
        break;
    case SECTION_BIG:
        snprintf(text, SECTION_TITLE, "Big blocks");
        break;
    }
}
