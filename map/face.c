#include "map/face.h"

static const char *const fills[FILLS] = {"#e9ee9c", "#d2e49c", "#abd6a4", "#7cc7b2", "#4bb8c4",
                                         "#2795c1", "#2268ae", "#253d97", "#0b1f5e"};
static const char orange[] = "#d9730d", grey[] = "#a3a3a3", ink[] = "#26303a";

enum { DARK_FROM = 5 };

void mass_add(struct mass *mass, const struct part *part)
{
    if (mass->count++ == 0) {
        mass->start = part->start;
        mass->object = part->object;
    }
    mass->size += part->size;
    mass->state_size[part->state] += part->size;
    mass->used += part->used;
    mass->resident += part->resident;
    mass->huge += part->huge;
    mass->runs += part->runs;
    mass->pool_size += part->pool ? part->size : 0;
}

enum part_state mass_state(const struct mass *mass)
{
    enum part_state most = PART_USED;
    for (unsigned state = 0; state < PART_STATES; state++)
        if (mass->state_size[state] > mass->state_size[most])
            most = (enum part_state)state;
    return most;
}

static unsigned fill_of(const struct mass *mass)
{
    enum part_state state = mass_state(mass);
    if (state != PART_USED)
        return FILLS + (unsigned)state - 1;
    double full = (double)mass->used / (double)mass->state_size[PART_USED];
    unsigned level = (unsigned)(full * FILLS);
    return level < FILLS ? level : FILLS - 1;
}

/* Nearly all is all: what begins small has grown, and a huge page may have come apart at an end. */
static enum mark mark_of(const struct mass *mass)
{
    if (mass->resident == 0)
        return MARK_NONE;
    if (mass->pool_size * 2 > mass->size)
        return MARK_POOL;
    double huge = (double)mass->huge / (double)mass->resident;
    return huge > 0.85 ? MARK_HUGE : huge < 0.15 ? MARK_SMALL : MARK_MIXED;
}

struct face face_of(const struct mass *mass, bool known)
{
    struct face face = {.fill = fill_of(mass)};
    bool has_pages = face.fill < FILLS || face.fill == FILL_KEPT;
    face.mark = known && has_pages ? mark_of(mass) : MARK_HUGE;
    return face;
}

static bool is_dark(const struct face *face)
{
    return face->fill >= DARK_FROM && face->fill < FILLS;
}

const char *face_mark_class(const struct face *face)
{
    static const char *const dark[MARKS] = {NULL, "m1d", "m2d", "m3d", "m4d"};
    static const char *const pale[MARKS] = {NULL, "m1p", "m2p", "m3p", "m4p"};
    return is_dark(face) ? pale[face->mark] : dark[face->mark];
}

/* ---- patterns ---- */

static void write_pattern(FILE *file, const char *id, double tile, const char *content)
{
    fprintf(file,
            "<pattern id=\"%s\" width=\"14\" height=\"14\" patternUnits=\"userSpaceOnUse\" "
            "patternTransform=\"scale(%g)\">%s</pattern>\n",
            id, tile / 14, content);
}

/* A mark in one tone of its colour, which stands between two pieces of its drawing. Drawn on tiles of 14
 * pixels, and scaled. */
static void write_mark(FILE *file, double tile, const char *name, char tone, const char *before,
                       const char *colour, const char *after)
{
    char id[8], content[400];
    snprintf(id, sizeof id, "%s%c", name, tone);
    snprintf(content, sizeof content, "<%s=\"%s\"%s/>", before, colour, after);
    write_pattern(file, id, tile, content);
}

static void write_marks(FILE *file, double tile, char tone, const char *colour)
{
    static const char *const marks[][3] = {
        {"m1", "circle cx=\"7\" cy=\"7\" r=\"2.2\" fill", ""},
        {"m2", "path d=\"M-2,2L2,-2M-2,9L9,-2M-2,16L16,-2M5,16L16,5M12,16L16,12\" stroke",
         " stroke-width=\"1.1\" fill=\"none\""},
        {"m3", "rect x=\"3\" y=\"3\" width=\"8\" height=\"8\" fill=\"none\" stroke",
         " stroke-width=\"1.6\""},
        {"m4", "path d=\"M2.5,3H11.5V11H2.5Z\" fill=\"#fff\" stroke", " stroke-width=\"0.8\""},
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        write_mark(file, tile, marks[i][0], tone, marks[i][1], colour, marks[i][2]);
}

static void write_states(FILE *file, double tile)
{
    char content[400];
    snprintf(content, sizeof content,
             "<rect width=\"14\" height=\"14\" fill=\"#fff\"/><rect x=\"2\" y=\"2\" width=\"10\" "
             "height=\"10\" fill=\"#fdebd7\" stroke=\"%s\" stroke-width=\"2\"/>",
             orange);
    write_pattern(file, "kept", tile, content);
    snprintf(content, sizeof content,
             "<rect width=\"14\" height=\"14\" fill=\"#fff\"/><rect x=\"1.5\" y=\"1.5\" "
             "width=\"11\" height=\"11\" fill=\"none\" stroke=\"%s\" stroke-width=\"0.8\"/>",
             grey);
    write_pattern(file, "clean", tile, content);
    snprintf(content, sizeof content,
             "<rect width=\"14\" height=\"14\" fill=\"%s\"/>"
             "<path d=\"M4,4L10,10M10,4L4,10\" stroke=\"#fff\" stroke-width=\"1.6\"/>",
             ink);
    write_pattern(file, "lost", tile, content);
}

void face_write_styles(FILE *file, double tile)
{
    fputs(
        "<style>\n"
        "text{font-family:\"Helvetica Neue\",Helvetica,Arial,\"DejaVu Sans\",sans-serif;"
        "fill:#26303a}\n"
        ".h1{font-size:22px;font-weight:bold}.h2{font-size:15px;font-weight:bold}\n"
        ".lead{font-size:14px}.note{font-size:12px;fill:#5b6670}\n"
        ".at{font-size:9px;font-family:\"DejaVu Sans Mono\",Menlo,Consolas,monospace;"
        "fill:#7a858f}\n"
        ".size{font-size:10px;text-anchor:middle;paint-order:stroke;stroke:#fff;stroke-width:3px}\n"
        ".grid{stroke:#fff;stroke-width:1;fill:none}.m,.grid,.size{pointer-events:none}\n",
        file);
    for (unsigned i = 0; i < FILLS; i++)
        fprintf(file, ".f%u{fill:%s}", i, fills[i]);
    fprintf(file,
            "\n.f%u{fill:url(#kept)}.f%u{fill:url(#clean)}.f%u{fill:url(#lost)}\n"
            ".used{fill:#e6eef7;stroke:#2268ae}.kept{fill:#fff;stroke:%s}"
            ".free{fill:#fff;stroke:%s;stroke-dasharray:2 2}.lost{fill:%s}\n"
            ".inused{fill:#2268ae}.inkept{fill:#fbcfa0}\n</style>\n<defs>\n",
            FILL_KEPT, FILL_CLEAN, FILL_LOST, orange, grey, ink);
    write_marks(file, tile, 'd', ink);
    write_marks(file, tile, 'p', "#fff");
    write_states(file, tile);
    fputs("</defs>\n", file);
}
