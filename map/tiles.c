/* tiles - a section of regions: the grid. */
#include "map/canvas.h"

#include <inttypes.h>
#include <stdlib.h>

/* Neighbouring tiles of one row that are drawn as one. */
struct tile_run {
    unsigned column, row, tiles;
    struct mass mass;
    struct face face;
};

struct grid {
    struct canvas *canvas;
    struct tile_run *runs;
    size_t count;
    unsigned columns, row, column; /* where the next tile comes */
};

static bool looks_alike(const struct face *a, const struct face *b)
{
    return a->fill == b->fill && a->mark == b->mark;
}

static struct tile_run *run_to_extend(const struct grid *grid, const struct face *face,
                                      uint32_t object)
{
    struct tile_run *last = grid->count != 0 ? &grid->runs[grid->count - 1] : NULL;
    bool extends = last != NULL && grid->canvas->merge && last->row == grid->row &&
                   looks_alike(&last->face, face) && last->mass.object == object;
    return extends ? last : NULL;
}

static struct tile_run *new_run(struct grid *grid, const struct face *face)
{
    if ((grid->count & (grid->count - 1)) == 0)
        grid->runs =
            heap_memory(grid->runs, (grid->count == 0 ? 1 : 2 * grid->count) * sizeof *grid->runs);
    struct tile_run *run = &grid->runs[grid->count++];
    *run = (struct tile_run){.column = grid->column, .row = grid->row, .face = *face};
    return run;
}

static void next_row(struct grid *grid)
{
    if (grid->column != 0)
        grid->row++;
    grid->column = 0;
}

static void add_tile(struct grid *grid, const struct part *const *parts, size_t count)
{
    struct mass mass = {0};
    for (size_t i = 0; i < count; i++)
        mass_add(&mass, parts[i]);
    struct face face = face_of(&mass, grid->canvas->heap->pages != PAGES_UNKNOWN);
    struct tile_run *run = run_to_extend(grid, &face, mass.object);
    if (run == NULL)
        run = new_run(grid, &face);
    for (size_t i = 0; i < count; i++)
        mass_add(&run->mass, parts[i]);
    run->tiles++;
    if (++grid->column == grid->columns)
        next_row(grid);
}

/* A node's slices begin a row each; what an object has lies here and there. */
static size_t tile_size(const struct grid *grid, const struct section *section, size_t first)
{
    size_t size = 1;
    while (size < grid->canvas->group && first + size < section->count &&
           section->parts[first + size]->start > section->parts[first]->start)
        size++;
    return size;
}

static void fill_grid(struct grid *grid, const struct section *section)
{
    const struct part *const *parts = (const struct part *const *)section->parts;
    size_t size;
    for (size_t i = 0; i < section->count; i += size) {
        bool apart = i > 0 && parts[i]->start != parts[i - 1]->start + VL_REGION_SIZE;
        if (apart && section->kind == SECTION_NODE)
            next_row(grid);
        size = tile_size(grid, section, i);
        add_tile(grid, parts + i, size);
    }
    next_row(grid);
}

/* ---- drawing ---- */

static void draw_fill(const struct canvas *canvas, const struct tile_run *run)
{
    fprintf(canvas->file, "<rect class=\"f%u\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\">",
            run->face.fill, run->column * canvas->tile, run->row * canvas->tile,
            run->tiles * canvas->tile, canvas->tile);
    canvas_describe(canvas, &run->mass, false);
    fputs("</rect>\n", canvas->file);
}

static void draw_pattern(const struct canvas *canvas, const struct tile_run *run,
                         const char *pattern)
{
    fprintf(canvas->file,
            "<rect class=\"m\" fill=\"url(#%s)\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\"/>\n",
            pattern, run->column * canvas->tile, run->row * canvas->tile, run->tiles * canvas->tile,
            canvas->tile);
}

static void draw_marks(const struct canvas *canvas, const struct tile_run *run)
{
    const char *mark = face_mark_class(&run->face);
    if (mark != NULL)
        draw_pattern(canvas, run, mark);
}

/* The address of each row's first tile; of large pictures each second one, as small as they are. */
static void draw_addresses(const struct grid *grid)
{
    unsigned step = grid->canvas->tile < 10 ? 2 : 1, row = UINT32_MAX;
    for (size_t i = 0; i < grid->count; i++) {
        const struct tile_run *run = &grid->runs[i];
        if (run->row == row || run->row % step != 0)
            continue;
        row = run->row;
        fprintf(grid->canvas->file,
                "<text class=\"at\" x=\"-8\" y=\"%g\" text-anchor=\"end\">%" PRIx64 "</text>\n",
                row * grid->canvas->tile + grid->canvas->tile / 2.0 + 3, run->mass.start);
    }
}

static void draw_lines(const struct grid *grid)
{
    unsigned tile = grid->canvas->tile, height = grid->row * tile;
    unsigned width = grid->row > 1 ? CANVAS_ROW : 0;
    for (size_t i = 0; i < grid->count; i++) {
        unsigned end = (grid->runs[i].column + grid->runs[i].tiles) * tile;
        width = end > width ? end : width;
    }
    fputs("<path class=\"grid\" d=\"", grid->canvas->file);
    for (unsigned x = 0; x <= width; x += tile)
        fprintf(grid->canvas->file, "M%u,0v%u", x, height);
    for (unsigned y = 0; y <= height; y += tile)
        fprintf(grid->canvas->file, "M0,%uh%u", y, width);
    fputs("\"/>\n", grid->canvas->file);
}

void tiles_draw(struct canvas *canvas, const struct section *section)
{
    struct grid grid = {.canvas = canvas, .columns = CANVAS_ROW / canvas->tile};
    fill_grid(&grid, section);
    fprintf(canvas->file, "<g transform=\"translate(%d,%g)\">\n", CANVAS_LEFT, canvas->y);
    for (size_t i = 0; i < grid.count; i++)
        draw_fill(canvas, &grid.runs[i]);
    for (size_t i = 0; i < grid.count; i++)
        draw_marks(canvas, &grid.runs[i]);
    draw_lines(&grid);
    draw_addresses(&grid);
    fputs("</g>\n", canvas->file);
    canvas->y += grid.row * canvas->tile;
    free(grid.runs);
}
