#include "map/dump.h"

#include "run/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char first_line[] = "valloc-map dump 1";
static const char *const state_names[PART_STATES] = {"used", "kept", "clean", "lost"};
static const char *const kind_names[STRETCH_KINDS] = {"node", "objects", "big"};
static const char *const page_names[PAGE_SOURCES] = {"unknown", "scanned", "mappings"};

/* ---- writing ---- */

static bool is_alike(const struct part *a, const struct part *b)
{
    return a->used == b->used && a->resident == b->resident && a->huge == b->huge &&
           a->runs == b->runs && a->object == b->object && a->state == b->state &&
           a->pool == b->pool;
}

/* How many regions from here on are neighbours and alike. */
static size_t alike(const struct part *parts, size_t count)
{
    size_t n = 1;
    while (n < count && parts[n].start == parts[n - 1].start + VL_REGION_SIZE &&
           is_alike(&parts[n], &parts[0]))
        n++;
    return n;
}

static void write_regions(const struct stretch *stretch, const struct part *part, size_t count,
                          FILE *file)
{
    fprintf(file, "r %" PRIu64 " %zu %s %" PRIu64 " %u",
            (part->start - stretch->start) >> VL_REGION_SHIFT, count, state_names[part->state],
            part->used >> VL_PAGE_SHIFT, part->runs);
}

static void write_block(const struct stretch *stretch, const struct part *part, FILE *file)
{
    fprintf(file, "b %" PRIu64 " %" PRIu64 " %s %" PRIu64,
            (part->start - stretch->start) >> VL_GRAIN_SHIFT, part->size >> VL_GRAIN_SHIFT,
            state_names[part->state], part->used);
}

static void write_parts(const struct heap *heap, const struct stretch *stretch, FILE *file)
{
    size_t count = 1;
    for (size_t i = 0; i < stretch->count; i += count) {
        const struct part *part = &heap->parts[stretch->first + i];
        count = stretch->kind == STRETCH_BIG ? 1 : alike(part, stretch->count - i);
        if (stretch->kind == STRETCH_BIG)
            write_block(stretch, part, file);
        else
            write_regions(stretch, part, count, file);
        fprintf(file, " %" PRIu64 " %" PRIu64 " %d %u\n", part->resident, part->huge, part->pool,
                part->object);
    }
}

void dump_write(const struct heap *heap, FILE *file)
{
    fprintf(file, "%s\nlibrary %s\nprocess %ld %s\npages %s\n%s", first_line, heap->version,
            heap->pid, heap->program, page_names[heap->pages], heap->torn ? "torn\n" : "");
    for (size_t i = 0; i < heap->object_count; i++)
        fprintf(file, "object %" PRIu64 " %s\n", heap->objects[i].serial, heap->objects[i].name);
    for (size_t i = 0; i < heap->stretch_count; i++) {
        const struct stretch *stretch = &heap->stretches[i];
        fprintf(file, "stretch %s %d %" PRIx64 " %" PRIx64 "\n", kind_names[stretch->kind],
                stretch->node, stretch->start, stretch->size);
        write_parts(heap, stretch, file);
    }
    fprintf(file, "end %zu\n", heap->part_count);
}

/* ---- reading: a line is taken word by word ---- */

struct line {
    char *rest;
    bool wrong; /* a word was missing, or not what it had to be */
};

static char *word(struct line *line)
{
    char *found = strsep(&line->rest, " ");
    if (found == NULL)
        line->wrong = true;
    return found != NULL ? found : "";
}

static uint64_t number_of(struct line *line, int base)
{
    const char *text = word(line);
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, base);
    /* strtoull would take signs, blanks and 0x. */
    if (*text == '\0' || *end != '\0' || errno != 0 ||
        text[strspn(text, "0123456789abcdef")] != '\0')
        line->wrong = true;
    return value;
}

static uint64_t number(struct line *line)
{
    return number_of(line, 10);
}

/* Below `limit`. */
static uint64_t number_below(struct line *line, uint64_t limit)
{
    uint64_t value = number(line);
    if (value < limit)
        return value;
    line->wrong = true;
    return 0;
}

static unsigned choice(struct line *line, const char *const names[], unsigned count)
{
    const char *text = word(line);
    for (unsigned i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    line->wrong = true;
    return 0;
}

/* All that is left of a line, blanks included. */
static void name(struct line *line, char *to, size_t size)
{
    const char *text = line->rest != NULL ? line->rest : "";
    if (line->rest == NULL || strlen(text) >= size)
        line->wrong = true;
    snprintf(to, size, "%s", text);
    heap_clean_name(to, size);
    line->rest = NULL;
}

static bool is_done(const struct line *line)
{
    return !line->wrong && line->rest == NULL;
}

/* ---- reading: lines ---- */

static int node(struct line *line)
{
    if (line->rest != NULL && strncmp(line->rest, "-1 ", 3) == 0) {
        word(line);
        return -1;
    }
    return (int)number_below(line, 1 << 16);
}

static bool take_stretch(struct heap *heap, struct line *line)
{
    struct stretch stretch = {0};
    stretch.kind = (enum stretch_kind)choice(line, kind_names, STRETCH_KINDS);
    stretch.node = node(line);
    stretch.start = number_of(line, 16);
    stretch.size = number_of(line, 16);
    return is_done(line) && heap_add_stretch(heap, &stretch);
}

static bool take_object(struct heap *heap, struct line *line)
{
    struct object object = {.serial = number(line)};
    name(line, object.name, sizeof object.name);
    return is_done(line) && heap_add_object(heap, &object);
}

/* How the lines of both kinds of parts end. */
static void take_rest(struct line *line, struct part *part)
{
    part->resident = number(line);
    part->huge = number(line);
    part->pool = number_below(line, 2) != 0;
    part->object = (uint32_t)number_below(line, (uint64_t)HEAP_OBJECTS_MAX + 1);
}

static const struct stretch *last_stretch(const struct heap *heap)
{
    return heap->stretch_count != 0 ? &heap->stretches[heap->stretch_count - 1] : NULL;
}

static bool take_regions(struct heap *heap, struct line *line)
{
    const struct stretch *stretch = last_stretch(heap);
    if (stretch == NULL || stretch->kind == STRETCH_BIG)
        return false;
    uint64_t index = number_below(line, (uint64_t)1 << 42);
    uint64_t count = number_below(line, HEAP_PARTS_MAX);
    struct part part = {
        .start = stretch->start + (index << VL_REGION_SHIFT),
        .size = VL_REGION_SIZE,
    };
    part.state = (uint8_t)choice(line, state_names, PART_STATES);
    part.used = number_below(line, VL_REGION_PAGES + 1) << VL_PAGE_SHIFT;
    part.runs = (uint32_t)number_below(line, VL_REGION_PAGES + 1);
    take_rest(line, &part);
    bool sensible = is_done(line) && count != 0;
    for (; sensible && count != 0; count--) {
        sensible = heap_add_part(heap, &part);
        part.start += VL_REGION_SIZE;
    }
    return sensible;
}

static bool take_block(struct heap *heap, struct line *line)
{
    const struct stretch *stretch = last_stretch(heap);
    if (stretch == NULL || stretch->kind != STRETCH_BIG)
        return false;
    struct part part = {0};
    part.start = stretch->start + (number_below(line, (uint64_t)1 << 47) << VL_GRAIN_SHIFT);
    part.size = number_below(line, (uint64_t)1 << 47) << VL_GRAIN_SHIFT;
    part.state = (uint8_t)choice(line, state_names, PART_STATES);
    part.used = number(line);
    take_rest(line, &part);
    return is_done(line) && heap_add_part(heap, &part);
}

static bool take_process(struct heap *heap, struct line *line)
{
    heap->pid = (long)number_below(line, INT32_MAX);
    name(line, heap->program, sizeof heap->program);
    return is_done(line);
}

/* False if the line makes no sense. */
static bool take_line(struct heap *heap, char *text, bool *end)
{
    struct line line = {.rest = text};
    const char *title = word(&line);
    if (strcmp(title, "r") == 0)
        return take_regions(heap, &line);
    if (strcmp(title, "b") == 0)
        return take_block(heap, &line);
    if (strcmp(title, "stretch") == 0)
        return take_stretch(heap, &line);
    if (strcmp(title, "object") == 0)
        return take_object(heap, &line);
    if (strcmp(title, "library") == 0) {
        name(&line, heap->version, sizeof heap->version);
        return is_done(&line);
    }
    if (strcmp(title, "process") == 0)
        return take_process(heap, &line);
    if (strcmp(title, "pages") == 0) {
        heap->pages = (enum page_source)choice(&line, page_names, PAGE_SOURCES);
        return is_done(&line);
    }
    if (strcmp(title, "torn") == 0)
        return heap->torn = is_done(&line);
    *end = strcmp(title, "end") == 0;
    return *end && number(&line) == heap->part_count && is_done(&line);
}

/* The next line without its end; NULL if there is none, or none that is whole. */
static char *next_line(FILE *file, char *line, int size)
{
    char *end = fgets(line, size, file) != NULL ? strchr(line, '\n') : NULL;
    if (end == NULL)
        return NULL;
    *end = '\0';
    return line;
}

void dump_read(FILE *file, const char *name, struct heap *heap)
{
    char line[256];
    unsigned long number = 1;
    bool end = false;
    *heap = (struct heap){0};
    if (next_line(file, line, sizeof line) == NULL || strcmp(line, first_line) != 0)
        give_up(STATUS_FAILED, "%s: not a dump of valloc-map, or of another version of it", name);
    while (!end && next_line(file, line, sizeof line) != NULL) {
        number++;
        if (!take_line(heap, line, &end))
            give_up(STATUS_FAILED, "%s: line %lu makes no sense", name, number);
    }
    if (!end)
        give_up(STATUS_FAILED, "%s: not whole: no end after line %lu", name, number);
    if (fgetc(file) != EOF)
        give_up(STATUS_FAILED, "%s: something after its end", name);
}
