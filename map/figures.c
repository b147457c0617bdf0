#include "map/figures.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void figures_add(struct figures *figures, const struct part *part, enum stretch_kind kind)
{
    figures->resident += part->resident;
    figures->huge += part->huge;
    if (part->pool)
        figures->pool += part->huge;
    if (kind == STRETCH_BIG) {
        figures->extents++;
        figures->extent[part->state]++;
        figures->extent_size[part->state] += part->size;
        return;
    }
    figures->regions++;
    figures->region[part->state]++;
    if (part->state == PART_USED) {
        figures->region_used += part->used;
        figures->region_size += part->size;
    }
}

struct figures figures_of(const struct heap *heap)
{
    struct figures figures = {0};
    for (size_t i = 0; i < heap->stretch_count; i++) {
        const struct stretch *stretch = &heap->stretches[i];
        for (size_t k = 0; k < stretch->count; k++)
            figures_add(&figures, &heap->parts[stretch->first + k], stretch->kind);
    }
    return figures;
}

unsigned figures_percent(uint64_t part, uint64_t whole)
{
    if (whole == 0 || part == 0)
        return 0;
    if (part >= whole)
        return 100;
    double percent = 100.0 * (double)part / (double)whole;
    return percent < 1 ? 1 : percent > 99 ? 99 : (unsigned)(percent + 0.5);
}

void figures_bytes(uint64_t bytes, char text[16])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
    double value = (double)bytes / 1024;
    unsigned unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    bool is_short = value < 9.95 && bytes % 1024 != 0;
    snprintf(text, 16, "%.*f %s",
             unit > 0 && value < 99.95 ? 1
             : is_short                ? 1
                                       : 0,
             value, units[unit]);
}

/* ---- sentences ---- */

__attribute__((format(printf, 2, 3))) static void append(char text[SENTENCE], const char *format,
                                                         ...)
{
    size_t length = strlen(text);
    va_list list;
    va_start(list, format);
    vsnprintf(text + length, SENTENCE - length, format, list);
    va_end(list);
}

static void append_memory(const struct figures *figures, enum page_source pages,
                          char text[SENTENCE])
{
    char bytes[16];
    figures_bytes(figures->resident, bytes);
    if (pages == PAGES_UNKNOWN)
        append(text, "page kinds not known");
    else if (figures->resident == 0)
        append(text, "no memory");
    else
        append(text, "%u %% of %s in huge pages", figures_percent(figures->huge, figures->resident),
               bytes);
    if (figures->pool != 0)
        append(text, " (%u %% of the kernel's pool)",
               figures_percent(figures->pool, figures->resident));
}

/* `rest`: also where there are none. */
static void append_regions(const struct figures *figures, bool rest, char text[SENTENCE])
{
    append(text, "; %" PRIu64 " region%s: %" PRIu64 " active", figures->regions,
           figures->regions == 1 ? "" : "s", figures->region[PART_USED]);
    if (figures->region_size != 0)
        append(text, " (%u %% full)", figures_percent(figures->region_used, figures->region_size));
    if (rest || figures->region[PART_KEPT] != 0)
        append(text, ", %" PRIu64 " empty", figures->region[PART_KEPT]);
    if (rest || figures->region[PART_CLEAN] != 0)
        append(text, ", %" PRIu64 " clean", figures->region[PART_CLEAN]);
    if (figures->region[PART_LOST] != 0)
        append(text, ", %" PRIu64 " lost", figures->region[PART_LOST]);
}

static void append_blocks(const struct figures *figures, char text[SENTENCE])
{
    char used[16], bytes[16];
    figures_bytes(figures->extent_size[PART_USED], used);
    append(text, "; %" PRIu64 " big block%s (%s)", figures->extent[PART_USED],
           figures->extent[PART_USED] == 1 ? "" : "s", used);
    figures_bytes(figures->extent_size[PART_KEPT], bytes);
    if (figures->extent[PART_KEPT] != 0)
        append(text, ", %s kept", bytes);
    figures_bytes(figures->extent_size[PART_CLEAN], bytes);
    if (figures->extent[PART_CLEAN] != 0)
        append(text, ", %s free", bytes);
    figures_bytes(figures->extent_size[PART_LOST], bytes);
    if (figures->extent[PART_LOST] != 0)
        append(text, ", %s lost", bytes);
}

void figures_headline(const struct figures *figures, enum page_source pages, char text[SENTENCE])
{
    *text = '\0';
    append_memory(figures, pages, text);
    append_regions(figures, true, text);
    if (figures->extents != 0)
        append_blocks(figures, text);
}

void figures_sentence(const struct figures *figures, enum page_source pages, char text[SENTENCE])
{
    *text = '\0';
    append_memory(figures, pages, text);
    if (figures->regions != 0)
        append_regions(figures, false, text);
    if (figures->extents != 0)
        append_blocks(figures, text);
}
