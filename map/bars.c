/* bars - the section of big blocks: as long as they are, in the order of addresses. */
#include "map/canvas.h"

#include <inttypes.h>

enum { BAR_HEIGHT = 16, ROW_HEIGHT_MIN = 21 };

/* Neighbours narrower than this are one bar. */
static const double width_min = 3;

struct band {
    struct canvas *canvas;
    uint64_t origin; /* address where the first row begins */
    double top;      /* of that row */
    uint64_t rows;   /* begun, of this slice */
};

static double width_of(const struct band *band, uint64_t bytes)
{
    return (double)bytes / (double)band->canvas->unit * band->canvas->tile;
}

static uint64_t bytes_of_row(const struct band *band)
{
    return band->canvas->unit * (CANVAS_ROW / band->canvas->tile);
}

/* Whole tiles, so that the patterns of all rows begin alike: inside the frame of a bar. */
static double row_height(const struct band *band)
{
    unsigned tile = band->canvas->tile;
    return (ROW_HEIGHT_MIN + tile - 1) / tile * tile;
}

/* ---- one bar ---- */

static void draw_frame(const struct band *band, const struct mass *mass, double x, double y,
                       double width)
{
    static const char *const classes[PART_STATES] = {"used", "kept", "free", "lost"};
    fprintf(band->canvas->file,
            "<rect class=\"%s\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\">",
            classes[mass_state(mass)], x + 0.5, y + 0.5, width > 1.7 ? width - 1.2 : 0.5,
            BAR_HEIGHT - 1);
    canvas_describe(band->canvas, mass, true);
    fputs("</rect>\n", band->canvas->file);
}

/* Filled from below as far as it has memory, and marked by its pages. */
static void draw_level(const struct band *band, const struct mass *mass, double x, double y,
                       double width)
{
    double share = (double)mass->resident / (double)mass->size;
    double height = (BAR_HEIGHT - 2) * share;
    enum part_state state = mass_state(mass);
    bool known = band->canvas->heap->pages != PAGES_UNKNOWN;
    struct face face = face_of(mass, known);
    if (state != PART_USED && state != PART_KEPT)
        return;
    if (height < 1)
        return;
    face.fill = state == PART_USED ? FILLS - 1 : 0;
    for (unsigned layer = 0; layer < 2; layer++) {
        const char *mark = face_mark_class(&face);
        if (layer == 1 && mark == NULL)
            continue;
        fprintf(band->canvas->file,
                "<rect %s%s%s x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"/>\n",
                layer == 0 ? "class=\"m in" : "class=\"m\" fill=\"url(#",
                layer == 0 ? (state == PART_USED ? "used" : "kept") : mark,
                layer == 0 ? "\"" : ")\"", x + 1, y + BAR_HEIGHT - 1 - height,
                width > 2.2 ? width - 2.2 : width, height);
    }
}

static void draw_size(const struct band *band, uint64_t bytes, double x, double y, double width)
{
    char text[16];
    figures_bytes(bytes, text);
    if (width > 56)
        canvas_text(band->canvas, "size", x + width / 2, y + BAR_HEIGHT / 2.0 + 3.5, "%s", text);
}

static void begin_row(struct band *band, uint64_t row)
{
    for (; band->rows <= row; band->rows++)
        fprintf(band->canvas->file,
                "<text class=\"at\" x=\"-8\" y=\"%g\" text-anchor=\"end\">%" PRIx64 "</text>\n",
                band->top + (double)band->rows * row_height(band) + BAR_HEIGHT / 2.0 + 3,
                band->origin + band->rows * bytes_of_row(band));
}

/* One that is longer than what is left of its row goes on in the next. */
static void draw_bar(struct band *band, const struct mass *mass)
{
    uint64_t row_bytes = bytes_of_row(band), at = mass->start - band->origin;
    uint64_t end = at + mass->size;
    while (at < end) {
        uint64_t row = at / row_bytes, stop = vl_min(end, (row + 1) * row_bytes);
        double x = width_of(band, at % row_bytes), width = width_of(band, stop - at);
        double y = band->top + (double)row * row_height(band);
        begin_row(band, row);
        draw_frame(band, mass, x, y, width);
        draw_level(band, mass, x, y, width);
        if (mass->count == 1)
            draw_size(band, mass->size, x, y, width);
        at = stop;
    }
}

/* ---- all of them ---- */

static bool is_narrow(const struct band *band, uint64_t bytes)
{
    return width_of(band, bytes) < width_min;
}

static bool joins(const struct band *band, const struct mass *mass, const struct part *part)
{
    return mass->count == 0 || (is_narrow(band, mass->size) && is_narrow(band, part->size));
}

/* Parts of one slice, which have neither gaps nor overlaps but where the reading was torn. */
static void draw_slice(struct band *band, const struct part *const *parts, size_t count)
{
    struct mass mass = {0};
    for (size_t i = 0; i < count; i++) {
        bool gap = mass.count != 0 && mass.start + mass.size != parts[i]->start;
        if (gap || !joins(band, &mass, parts[i])) {
            draw_bar(band, &mass);
            mass = (struct mass){0};
        }
        mass_add(&mass, parts[i]);
    }
    if (mass.count != 0)
        draw_bar(band, &mass);
}

static size_t slice_length(const struct section *section, size_t first)
{
    const struct part *const *parts = (const struct part *const *)section->parts;
    size_t i = first + 1;
    while (i < section->count && parts[i]->start == parts[i - 1]->start + parts[i - 1]->size)
        i++;
    return i - first;
}

void bars_draw(struct canvas *canvas, const struct section *section)
{
    size_t count;
    fprintf(canvas->file, "<g transform=\"translate(%d,%g)\">\n", CANVAS_LEFT, canvas->y + 1);
    double top = -1; /* the frame's line lies before the first pattern */
    for (size_t i = 0; i < section->count; i += count) {
        struct band band = {.canvas = canvas, .origin = section->parts[i]->start, .top = top};
        count = slice_length(section, i);
        draw_slice(&band, (const struct part *const *)section->parts + i, count);
        top += (double)band.rows * row_height(&band);
    }
    fputs("</g>\n", canvas->file);
    canvas->y += top + 1;
}
