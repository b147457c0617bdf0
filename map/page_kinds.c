#include "map/page_kinds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct mapping {
    uint64_t start, end;
    uint64_t resident, huge; /* bytes */
};

struct page_kinds {
    const struct remote *remote;
    enum page_source source;
    int pagemap;              /* PAGES_SCANNED */
    struct mapping *mappings; /* PAGES_OF_MAPPINGS */
    size_t count;
};

/* ---- the kernel's interface, younger than many systems' headers ---- */

struct scan_range {
    uint64_t start, end, categories;
};

struct scan_request {
    uint64_t size, flags;
    uint64_t start, end, walk_end;
    uint64_t vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_COMMAND _IOWR('f', 16, struct scan_request)

enum { SCAN_PRESENT = 1 << 3, SCAN_ZERO = 1 << 5, SCAN_HUGE = 1 << 6 };

/* ---- parts and ranges, both in the order of addresses ---- */

struct cursor {
    struct part *part, *end;
};

static uint64_t common(uint64_t start, uint64_t end, const struct part *part)
{
    uint64_t from = start > part->start ? start : part->start;
    uint64_t to = vl_min(end, part->start + part->size);
    return from < to ? to - from : 0;
}

/* The first part that ends behind an address. */
static void go_to(struct cursor *cursor, uint64_t address)
{
    while (cursor->part < cursor->end && cursor->part->start + cursor->part->size <= address)
        cursor->part++;
}

/* ---- PAGEMAP_SCAN ---- */

static void note_range(struct cursor *cursor, const struct scan_range *range)
{
    go_to(cursor, range->start);
    for (struct part *part = cursor->part; part < cursor->end && part->start < range->end; part++) {
        uint64_t bytes = common(range->start, range->end, part);
        part->resident += vl_min(bytes, part->size - part->resident);
        if (range->categories & SCAN_HUGE)
            part->huge += vl_min(bytes, part->resident - part->huge);
    }
}

/* Of [start, end), from the page map. False if the kernel cannot, or refuses. */
static bool scan(int pagemap, uint64_t start, uint64_t end, struct cursor cursor)
{
    struct scan_range ranges[512];
    while (start < end) {
        struct scan_request request = {
            .size = sizeof request,
            .start = start,
            .end = end,
            .vec = (uintptr_t)ranges,
            .vec_len = sizeof ranges / sizeof ranges[0],
            /* The zero page, which reading alone gets, is nobody's memory. */
            .category_inverted = SCAN_ZERO,
            .category_mask = SCAN_PRESENT | SCAN_ZERO,
            .return_mask = SCAN_PRESENT | SCAN_HUGE,
        };
        int found = ioctl(pagemap, SCAN_COMMAND, &request);
        if (found < 0)
            return false;
        for (int i = 0; i < found; i++)
            note_range(&cursor, &ranges[i]);
        if (request.walk_end <= start)
            return false;
        start = request.walk_end;
    }
    return true;
}

/* ---- smaps ---- */

static void read_mapping(struct page_kinds *kinds, uint64_t start, uint64_t end)
{
    enum { STEP = 1024 };
    if (kinds->count % STEP == 0)
        kinds->mappings =
            heap_memory(kinds->mappings, (kinds->count + STEP) * sizeof kinds->mappings[0]);
    kinds->mappings[kinds->count++] = (struct mapping){.start = start, .end = end};
}

/* Pages of the pool are in huge pages, and not part of Rss. */
static void read_line(struct page_kinds *kinds, const char *line)
{
    uint64_t start, end, kilobytes;
    char title[32];
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2 && start < end) {
        read_mapping(kinds, start, end);
    } else if (kinds->count > 0 &&
               sscanf(line, "%31[^:]: %" SCNu64 " kB", title, &kilobytes) == 2) {
        struct mapping *last = &kinds->mappings[kinds->count - 1];
        bool pool = strcmp(title, "Private_Hugetlb") == 0 || strcmp(title, "Shared_Hugetlb") == 0;
        if (pool || strcmp(title, "Rss") == 0)
            last->resident += kilobytes << 10;
        if (pool || strcmp(title, "AnonHugePages") == 0)
            last->huge += kilobytes << 10;
    }
}

static bool read_mappings(struct page_kinds *kinds)
{
    int fd = remote_file(kinds->remote, "smaps");
    FILE *smaps = fd >= 0 ? fdopen(fd, "r") : NULL;
    char *line = NULL;
    size_t size = 0;
    if (smaps == NULL)
        return false;
    while (getline(&line, &size, smaps) > 0)
        read_line(kinds, line);
    free(line);
    fclose(smaps);
    return kinds->count > 0;
}

/* The share of the mapping's figure that falls to so many of its bytes. */
static uint64_t share(uint64_t figure, uint64_t bytes, const struct mapping *mapping)
{
    return (uint64_t)((double)figure * (double)bytes / (double)(mapping->end - mapping->start));
}

static void note_mapping(struct part *part, const struct mapping *mapping)
{
    uint64_t bytes = common(mapping->start, mapping->end, part);
    uint64_t resident = share(mapping->resident, bytes, mapping);
    part->resident += vl_min(resident, part->size - part->resident);
    part->huge += vl_min(share(mapping->huge, bytes, mapping), part->resident - part->huge);
}

static void note_mappings(const struct page_kinds *kinds, struct cursor cursor)
{
    for (size_t i = 0; i < kinds->count; i++) {
        const struct mapping *mapping = &kinds->mappings[i];
        go_to(&cursor, mapping->start);
        for (struct part *part = cursor.part; part < cursor.end && part->start < mapping->end;
             part++)
            note_mapping(part, mapping);
    }
}

/* ---- which of the two ---- */

/* The command on an empty range tells whether the kernel knows it. */
static bool can_scan(const struct page_kinds *kinds)
{
    return kinds->pagemap >= 0 && ioctl(kinds->pagemap, SCAN_COMMAND,
                                        &(struct scan_request){
                                            .size = sizeof(struct scan_request),
                                            .category_anyof_mask = SCAN_PRESENT,
                                            .return_mask = SCAN_PRESENT,
                                        }) >= 0;
}

struct page_kinds *page_kinds_open(const struct remote *remote, bool scan_wanted)
{
    struct page_kinds *kinds = heap_memory(NULL, sizeof *kinds);
    *kinds = (struct page_kinds){.remote = remote, .pagemap = remote_file(remote, "pagemap")};
    if (scan_wanted && can_scan(kinds))
        kinds->source = PAGES_SCANNED;
    else if (read_mappings(kinds))
        kinds->source = PAGES_OF_MAPPINGS;
    return kinds;
}

void page_kinds_close(struct page_kinds *kinds)
{
    if (kinds->pagemap >= 0)
        close(kinds->pagemap);
    free(kinds->mappings);
    free(kinds);
}

enum page_source page_kinds_source(const struct page_kinds *kinds)
{
    return kinds->source;
}

void page_kinds_note(struct page_kinds *kinds, struct part *parts, size_t count)
{
    struct cursor cursor = {parts, parts + count};
    if (count == 0)
        return;
    uint64_t start = parts[0].start, end = parts[count - 1].start + parts[count - 1].size;
    if (kinds->source == PAGES_SCANNED)
        scan(kinds->pagemap, start, end, cursor);
    else
        note_mappings(kinds, cursor);
}
