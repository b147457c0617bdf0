#include "cache/resident.h"

#include <string.h>

/* The slice whose tables or data hold an address; -1 if it is none's. */
static int slice_at(uintptr_t address)
{
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (uint32_t i = 0; i < count; i++) {
        const struct vl_slice *slice = &vl_slices[i];
        size_t size = vl_get_acquire(&slice->size);
        uintptr_t tables = (uintptr_t)slice->tables;
        if (size != 0 && address - tables < slice->start + size - tables)
            return (int)i;
    }
    return -1;
}

/* The mapping that the lines to come are about. */
struct reading {
    struct vl_residents *residents;
    int slice;
};

/* "7f00a000-7f00b000 rw-p ..." begins with a digit of hexadecimal, "Rss:  4 kB" with a capital. */
static bool is_heading(const char *line)
{
    return (*line >= '0' && *line <= '9') || (*line >= 'a' && *line <= 'f');
}

/* Bytes of a line "Name:   12 kB"; 0 if it is about something else. */
static uint64_t figure(const char *line, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(line, name, length) != 0 || line[length] != ':')
        return 0;
    for (line += length + 1; *line == ' '; line++) {
    }
    return vl_text_number(line, 10) << 10;
}

static void add(struct vl_resident *resident, uint64_t rss, uint64_t huge, uint64_t pool)
{
    resident->all += rss + pool;
    resident->huge += huge + pool;
}

static void read_line(const char *line, void *of_reading)
{
    struct reading *reading = of_reading;
    if (is_heading(line)) {
        reading->slice = slice_at(vl_text_number(line, 16));
        return;
    }
    uint64_t rss = figure(line, "Rss"), huge = figure(line, "AnonHugePages");
    uint64_t pool = figure(line, "Private_Hugetlb") + figure(line, "Shared_Hugetlb");
    add(&reading->residents->process, rss, huge, pool);
    if (reading->slice >= 0)
        add(&reading->residents->slices[reading->slice], rss, huge, pool);
}

void vl_residents_take(struct vl_residents *residents)
{
    struct reading reading = {residents, -1};
    memset(residents, 0, sizeof *residents);
    vl_os_read_lines("/proc/self/smaps", read_line, &reading);
    residents->peak = vl_max(vl_os_peak_bytes(), residents->process.all);
}
