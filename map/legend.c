/* legend - what colours and marks mean. */
#include "map/canvas.h"

enum { LINE = 26, BOX = 14 };

/* A sample tile at a place; patterns begin at its corner. */
static void draw_sample(const struct canvas *canvas, double x, double y, unsigned fill,
                        const char *mark)
{
    fprintf(canvas->file,
            "<g transform=\"translate(%g,%g)scale(%g)\"><rect class=\"f%u\" width=\"%u\" "
            "height=\"%u\"/>",
            x, y, (double)BOX / canvas->tile, fill, canvas->tile, canvas->tile);
    if (mark != NULL)
        fprintf(canvas->file, "<rect fill=\"url(#%s)\" width=\"%u\" height=\"%u\"/>", mark,
                canvas->tile, canvas->tile);
    fputs("</g>\n", canvas->file);
}

struct entry {
    double x;
    unsigned fill;
    const char *mark;
    const char *text;
};

static void draw_entries(const struct canvas *canvas, double y, const struct entry *entries,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        draw_sample(canvas, entries[i].x, y - 11, entries[i].fill, entries[i].mark);
        canvas_text(canvas, "note", entries[i].x + BOX + 6, y, "%s", entries[i].text);
    }
}

static void draw_regions(const struct canvas *canvas, double y)
{
    static const struct entry others[] = {
        {CANVAS_LEFT + 360, FILL_KEPT, NULL, "empty, with its memory"},
        {CANVAS_LEFT + 546, FILL_CLEAN, NULL, "clean: no memory"},
        {CANVAS_LEFT + 692, FILL_LOST, NULL, "lost"},
    };
    canvas_text(canvas, "note", CANVAS_MARGIN + 12, y, "Regions");
    canvas_text(canvas, "note", CANVAS_LEFT, y, "in use, a little");
    for (unsigned i = 0; i < FILLS; i++)
        draw_sample(canvas, CANVAS_LEFT + 96 + i * (BOX + 1.0), y - 11, i, NULL);
    canvas_text(canvas, "note", CANVAS_LEFT + 102 + FILLS * (BOX + 1.0), y, "full");
    draw_entries(canvas, y, others, sizeof others / sizeof others[0]);
}

static void draw_pages(const struct canvas *canvas, double y)
{
    static const struct entry kinds[] = {
        {CANVAS_LEFT, 7, NULL, "huge"},
        {CANVAS_LEFT + 72, 7, "m1p", "mixed"},
        {CANVAS_LEFT + 150, 7, "m2p", "small"},
        {CANVAS_LEFT + 226, 7, "m3p", "of the kernel's pool"},
        {CANVAS_LEFT + 382, 7, "m4p", "none: never touched, or swapped"},
    };
    canvas_text(canvas, "note", CANVAS_MARGIN + 12, y, "Pages");
    draw_entries(canvas, y, kinds, sizeof kinds / sizeof kinds[0]);
}

static void draw_block(const struct canvas *canvas, double x, double y, const char *class,
                       double level, const char *text)
{
    fprintf(canvas->file, "<rect class=\"%s\" x=\"%g\" y=\"%g\" width=\"30\" height=\"13\"/>",
            class, x + 0.5, y - 10.5);
    if (level > 0)
        fprintf(canvas->file, "<rect class=\"in%s\" x=\"%g\" y=\"%g\" width=\"29\" height=\"%g\"/>",
                class, x + 1, y + 2 - 12 * level, 12 * level);
    canvas_text(canvas, "note", x + 37, y, "%s", text);
}

static void draw_blocks(const struct canvas *canvas, double y)
{
    canvas_text(canvas, "note", CANVAS_MARGIN + 12, y, "Big blocks");
    draw_block(canvas, CANVAS_LEFT, y, "used", 0.6, "in use, filled as far as it has memory");
    draw_block(canvas, CANVAS_LEFT + 282, y, "kept", 1, "free, memory kept");
    draw_block(canvas, CANVAS_LEFT + 440, y, "free", 0, "free");
    draw_block(canvas, CANVAS_LEFT + 520, y, "lost", 0, "lost");
    canvas_text(canvas, "note", CANVAS_LEFT + 600, y, "marked as regions are");
}

void legend_draw(struct canvas *canvas)
{
    double height = 3 * LINE + 10;
    fprintf(canvas->file,
            "<rect x=\"%d\" y=\"%g\" width=\"%d\" height=\"%g\" rx=\"6\" fill=\"#f5f7f8\"/>\n",
            CANVAS_MARGIN, canvas->y, CANVAS_WIDTH - 2 * CANVAS_MARGIN + 8, height);
    draw_regions(canvas, canvas->y + 22);
    draw_pages(canvas, canvas->y + 22 + LINE);
    draw_blocks(canvas, canvas->y + 22 + 2 * LINE);
    canvas->y += height;
}
