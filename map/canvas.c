#include "map/canvas.h"

#include <inttypes.h>
#include <stdarg.h>

/* Tiles up to the first are large ones; more than the second are grouped. */
enum { LARGE_MAX = 2048, TILES_MAX = 8192, LARGE = 14, SMALL = 7 };

/* Rows of big blocks at most. */
enum { BAR_ROWS_MAX = 64 };

static uint64_t most_regions(const struct sections *sections, uint64_t *extent_bytes)
{
    uint64_t regions = 0;
    for (size_t i = 0; i < sections->count; i++) {
        const struct section *section = &sections->list[i];
        regions += section->figures.regions;
        for (unsigned state = 0; state < PART_STATES; state++)
            *extent_bytes += section->figures.extent_size[state];
    }
    return regions;
}

struct canvas canvas_for(FILE *file, const struct heap *heap, const struct sections *sections)
{
    uint64_t extent_bytes = 0, regions = most_regions(sections, &extent_bytes);
    struct canvas canvas = {
        .file = file,
        .heap = heap,
        .tile = regions <= LARGE_MAX ? LARGE : SMALL,
        .group = 1,
        .merge = regions > LARGE_MAX,
        .unit = VL_REGION_SIZE,
    };
    while (regions / canvas.group > TILES_MAX)
        canvas.group *= 2;
    while (extent_bytes / canvas.unit > BAR_ROWS_MAX * (CANVAS_ROW / canvas.tile))
        canvas.unit *= 2;
    return canvas;
}

void canvas_escape(FILE *file, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '&':
            fputs("&amp;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        default:
            fputc(*text, file);
        }
}

void canvas_text(const struct canvas *canvas, const char *class, double x, double y,
                 const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    fprintf(canvas->file, "<text class=\"%s\" x=\"%g\" y=\"%g\">", class, x, y);
    canvas_escape(canvas->file, text);
    fputs("</text>\n", canvas->file);
}

/* ---- what appears when a part is pointed at ---- */

static void describe_owner(const struct canvas *canvas, const struct mass *mass)
{
    if (mass->object == 0)
        return;
    const struct object *object = &canvas->heap->objects[mass->object - 1];
    fprintf(canvas->file, "\nobject %" PRIu64 " ", object->serial);
    canvas_escape(canvas->file, object->name);
}

static void describe_pages(const struct canvas *canvas, const struct mass *mass)
{
    char resident[16];
    figures_bytes(mass->resident, resident);
    if (canvas->heap->pages == PAGES_UNKNOWN)
        return;
    if (mass->resident == 0)
        fputs("\nno memory", canvas->file);
    else
        fprintf(canvas->file, "\n%s%s of memory, %u %% in huge pages%s",
                canvas->heap->pages == PAGES_OF_MAPPINGS ? "about " : "", resident,
                figures_percent(mass->huge, mass->resident),
                mass->pool_size != 0 ? " of the kernel's pool" : "");
}

static void describe_regions(const struct canvas *canvas, const struct mass *mass)
{
    static const char *const states[PART_STATES] = {"active", "empty, with its memory",
                                                    "clean, without memory", "lost"};
    enum part_state state = mass_state(mass);
    if (mass->count > 1)
        fprintf(canvas->file, "\n%" PRIu64 " regions, ", mass->count);
    else
        fputc('\n', canvas->file);
    fputs(states[state], canvas->file);
    if (state != PART_USED)
        return;
    fprintf(canvas->file, ": %" PRIu64 " of %" PRIu64 " pages used in %" PRIu64 " run%s",
            mass->used >> VL_PAGE_SHIFT, mass->state_size[PART_USED] >> VL_PAGE_SHIFT, mass->runs,
            mass->runs == 1 ? "" : "s");
}

static void describe_blocks(const struct canvas *canvas, const struct mass *mass)
{
    static const char *const states[PART_STATES] = {"in use", "free, memory kept", "free", "lost"};
    char size[16];
    const char *before = "\n";
    if (mass->count > 1)
        fprintf(canvas->file, "\n%" PRIu64 " neighbours", mass->count);
    for (unsigned state = 0; state < PART_STATES; state++) {
        if (mass->state_size[state] == 0)
            continue;
        figures_bytes(mass->state_size[state], size);
        fprintf(canvas->file, "%s%s %s", before, size, states[state]);
        before = ", ";
    }
}

void canvas_describe(const struct canvas *canvas, const struct mass *mass, bool big)
{
    fprintf(canvas->file, "<title>0x%" PRIx64, mass->start);
    if (big)
        describe_blocks(canvas, mass);
    else
        describe_regions(canvas, mass);
    describe_pages(canvas, mass);
    describe_owner(canvas, mass);
    fputs("</title>", canvas->file);
}
