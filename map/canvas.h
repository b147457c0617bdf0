/* canvas - what the parts of the picture have in common: the file, the place reached, the scale. */
#ifndef VL_MAP_CANVAS_H
#define VL_MAP_CANVAS_H

#include "map/face.h"
#include "map/sections.h"

enum {
    CANVAS_WIDTH = 1064,
    CANVAS_MARGIN = 32,
    CANVAS_LEFT = 128, /* of tiles and bars; addresses stand before it */
    CANVAS_ROW = 896,  /* width of a row */
};

struct canvas {
    FILE *file;
    const struct heap *heap;
    double y;       /* what is above it is done */
    unsigned tile;  /* pixels; a divisor of CANVAS_ROW */
    unsigned group; /* regions in a tile: a power of two */
    bool merge;     /* neighbours that look alike are one */
    uint64_t unit;  /* bytes of big blocks as long as a tile */
};

/* For a heap that is shown in these sections. */
struct canvas canvas_for(FILE *file, const struct heap *heap, const struct sections *sections);

/* What a section shows, and the legend; `canvas->y` moves on. */
void tiles_draw(struct canvas *canvas, const struct section *section);
void bars_draw(struct canvas *canvas, const struct section *section);
void legend_draw(struct canvas *canvas);

/* Text as XML has it. */
void canvas_escape(FILE *file, const char *text);
__attribute__((format(printf, 5, 6))) void canvas_text(const struct canvas *canvas,
                                                       const char *class, double x, double y,
                                                       const char *format, ...);

/* What appears on a part when it is pointed at. */
void canvas_describe(const struct canvas *canvas, const struct mass *mass, bool big);

#endif
