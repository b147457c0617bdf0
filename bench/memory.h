/*
 * What a process has of memory, as the kernel counts it. The figures need not agree:
 *
 *   resident   the pages in its page tables (RSS), and its hugetlb pages, which RSS leaves out
 *   huge       those of them that are in huge pages, transparent or hugetlb
 *   cgroup     what its control group is charged: all that its processes hold
 *
 * A part of a huge page that is given back leaves RSS at once, but the memory stays with the
 * process until the whole huge page is given back or split. Only the cgroup's figure shows that.
 * Other processes in the group count as well, and so does its page cache; charges come in batches
 * of up to 256 KB a CPU. hugetlb pages are not in it.
 *
 * Nothing here allocates. For one thread.
 */
#ifndef VALLOC_BENCH_MEMORY_H
#define VALLOC_BENCH_MEMORY_H

#include <limits.h>

#include "bench/bench.h"

#define MEMORY_UNKNOWN LONG_MIN

struct memory {
    long resident_kb;
    long huge_kb;
    long cgroup_kb; /* or MEMORY_UNKNOWN */
    long vmas;
};

/* ---- the control group -------------------------------------------------------------------- */

/* The group's path behind `key` in /proc/self/cgroup, up to the end of the line, or NULL. */
static inline char *memory_group_path(char *groups, const char *key)
{
    char *found = strstr(groups, key);

    if (!found)
        return NULL;
    found += strlen(key);
    found[strcspn(found, "\n")] = '\0';
    return found;
}

/*
 * The file with the group's memory. In a container the path may be the one outside; then the
 * group is where the controller is mounted. Empty: there is none.
 */
static inline void memory_find_group(char *file, size_t size)
{
    char groups[4096];
    const char *mount = "/sys/fs/cgroup/memory";
    const char *name = "memory.usage_in_bytes";
    char *path = NULL;

    if (bench_read_text("/proc/self/cgroup", groups, sizeof groups))
        path = memory_group_path(groups, ":memory:");
    if (!path) {
        mount = "/sys/fs/cgroup";
        name = "memory.current";
        path = memory_group_path(groups, "0::");
    }
    snprintf(file, size, "%s%s/%s", mount, path ? path : "", name);
    if (access(file, R_OK) != 0)
        snprintf(file, size, "%s/%s", mount, name);
    if (!path || access(file, R_OK) != 0)
        file[0] = '\0';
}

static inline long memory_cgroup_kb(void)
{
    static char file[4096 + 64];
    static bool searched;
    char text[64];

    if (!searched)
        memory_find_group(file, sizeof file);
    searched = true;
    return file[0] && bench_read_text(file, text, sizeof text)
               ? (long)(strtoull(text, NULL, 10) >> 10)
               : MEMORY_UNKNOWN;
}

/* ---- all of it ---------------------------------------------------------------------------- */

/* Areas of address space: lines of /proc/self/maps. */
static inline long memory_vmas(void)
{
    static char text[1 << 16];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    ssize_t length;
    long lines = 0;

    if (fd < 0)
        return -1;
    while ((length = read(fd, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < length; i++)
            lines += text[i] == '\n';
    close(fd);
    return lines;
}

static inline struct memory memory_now(void)
{
    char text[4096];
    long hugetlb_kb;

    if (!bench_read_text("/proc/self/smaps_rollup", text, sizeof text))
        bench_fail("/proc/self/smaps_rollup cannot be read");
    hugetlb_kb = bench_number_after(text, "Private_Hugetlb:");
    return (struct memory){
        .resident_kb = bench_number_after(text, "\nRss:") + hugetlb_kb,
        .huge_kb = bench_number_after(text, "AnonHugePages:") + hugetlb_kb,
        .cgroup_kb = memory_cgroup_kb(),
        .vmas = memory_vmas(),
    };
}

/* What has come since `start`; areas are all there are. */
static inline struct memory memory_since(const struct memory *start)
{
    struct memory now = memory_now();

    now.resident_kb -= start->resident_kb;
    now.huge_kb -= start->huge_kb;
    if (now.cgroup_kb != MEMORY_UNKNOWN)
        now.cgroup_kb -= start->cgroup_kb;
    return now;
}

/* As key=value pairs, without an end of line. A cgroup that cannot be read is "-". */
static inline void memory_print(const struct memory *memory)
{
    printf(" resident_kb=%ld huge_kb=%ld vmas=%ld cgroup_kb=", memory->resident_kb, memory->huge_kb,
           memory->vmas);
    if (memory->cgroup_kb != MEMORY_UNKNOWN)
        printf("%ld", memory->cgroup_kb);
    else
        printf("-");
}

/* A counter of the whole system, or -1. */
static inline long memory_vmstat(const char *name)
{
    static char text[1 << 15];
    char key[64];

    snprintf(key, sizeof key, "\n%s ", name);
    return bench_read_text("/proc/vmstat", text, sizeof text) ? bench_number_after(text, key) : -1;
}

#endif
