#include "map/picture.h"

#include "map/canvas.h"

#include <stdlib.h>
#include <string.h>

/* The headline, a line for each kind of thing it is about. */
static void draw_headline(struct canvas *canvas, const char *headline)
{
    enum { LINE = 20 };
    char text[SENTENCE];
    memcpy(text, headline, sizeof text);
    char *rest = text, *line;
    while ((line = strsep(&rest, ";")) != NULL) {
        canvas_text(canvas, "lead", CANVAS_MARGIN, canvas->y, "%s", line + (*line == ' '));
        canvas->y += LINE;
    }
}

static void draw_scale(struct canvas *canvas)
{
    static const char *const sources[PAGE_SOURCES] = {
        "Page kinds could not be read.",
        "Each page was looked at (PAGEMAP_SCAN).",
        "Page kinds are the shares of each mapping (smaps).",
    };
    char row[16], tile[16], bars[16];
    figures_bytes((uint64_t)canvas->group * (CANVAS_ROW / canvas->tile) * VL_REGION_SIZE, row);
    figures_bytes((uint64_t)canvas->group * VL_REGION_SIZE, tile);
    figures_bytes(canvas->unit * (CANVAS_ROW / canvas->tile), bars);
    canvas_text(canvas, "note", CANVAS_MARGIN, canvas->y,
                "valloc %s. A tile is %s%s, a row of tiles %s; a row of big blocks is %s. %s%s",
                canvas->heap->version, canvas->group > 1 ? "the mean of " : "a region of ", tile,
                row, bars, sources[canvas->heap->pages],
                canvas->heap->torn ? " The heap changed while it was read: some of it may be wrong."
                                   : "");
    canvas->y += 18;
}

static void draw_section(struct canvas *canvas, const struct section *section)
{
    char title[SECTION_TITLE], sentence[SENTENCE];
    section_title(canvas->heap, section, title);
    figures_sentence(&section->figures, canvas->heap->pages, sentence);
    canvas->y += 36;
    canvas_text(canvas, "h2", CANVAS_MARGIN, canvas->y, "%s", title);
    canvas->y += 18;
    canvas_text(canvas, "note", CANVAS_MARGIN, canvas->y, "%s", sentence);
    canvas->y += 10;
    if (section->kind == SECTION_BIG)
        bars_draw(canvas, section);
    else
        tiles_draw(canvas, section);
}

/* All but the frame, whose height is known afterwards. */
static double draw_body(const struct heap *heap, const char *headline, FILE *file)
{
    struct sections sections = sections_of(heap);
    struct canvas canvas = canvas_for(file, heap, &sections);
    face_write_styles(file, canvas.tile);
    canvas_text(&canvas, "h1", CANVAS_MARGIN, 46, "Heap of %s, process %ld", heap->program,
                heap->pid);
    canvas.y = 74;
    draw_headline(&canvas, headline);
    draw_scale(&canvas);
    legend_draw(&canvas);
    for (size_t i = 0; i < sections.count; i++)
        draw_section(&canvas, &sections.list[i]);
    sections_free(&sections);
    return canvas.y + CANVAS_MARGIN;
}

void picture_draw(const struct heap *heap, FILE *file)
{
    char headline[SENTENCE], *body = NULL;
    size_t size = 0;
    struct figures figures = figures_of(heap);
    figures_headline(&figures, heap->pages, headline);
    FILE *memory = open_memstream(&body, &size);
    double height = memory != NULL ? draw_body(heap, headline, memory) : 0;
    if (memory == NULL || fclose(memory) != 0)
        heap_memory(NULL, SIZE_MAX); /* says so, and ends */
    fprintf(file,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
            "viewBox=\"0 0 %d %.0f\" role=\"img\">\n<title>Heap of ",
            CANVAS_WIDTH, height, CANVAS_WIDTH, height);
    canvas_escape(file, heap->program);
    fprintf(file, ", process %ld</title>\n<desc>", heap->pid);
    canvas_escape(file, headline);
    fprintf(file, "</desc>\n<rect width=\"%d\" height=\"%.0f\" fill=\"#fff\"/>\n", CANVAS_WIDTH,
            height);
    fwrite(body, 1, size, file);
    fputs("</svg>\n", file);
    free(body);
}
