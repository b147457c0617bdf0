#include "core/cgroup.h"

#include "core/os.h"
#include "core/text.h"

#include <stdbool.h>
#include <string.h>

/* Longer paths are not found; they would not come as a whole, either. */
enum { PATH_SIZE = 512 };

const char *vl_cgroup_root = "";

/* Where the group is, as far as the lines of /proc/self/cgroup tell. */
struct place {
    char path[PATH_SIZE];
    bool version1;
};

/* What follows the second colon, if the first field between colons is `controllers`, or holds it. */
static const char *path_for(const char *line, const char *controller)
{
    const char *list = strchr(line, ':');
    const char *path = list == NULL ? NULL : strchr(list + 1, ':');
    if (path == NULL)
        return NULL;
    size_t length = strlen(controller);
    if (length == 0)
        return path == list + 1 ? path + 1 : NULL;
    for (const char *at = list + 1; at < path; at++)
        if (strncmp(at, controller, length) == 0 && (at[-1] == ':' || at[-1] == ',') &&
            (at[length] == ':' || at[length] == ','))
            return path + 1;
    return NULL;
}

/* Where version 1 has the memory, version 2 has not. */
static void find_place(const char *line, void *of_place)
{
    struct place *place = of_place;
    const char *path = path_for(line, "memory");
    bool version1 = path != NULL;
    if (!version1 && !place->version1)
        path = path_for(line, "");
    if (path == NULL || strlen(path) >= sizeof place->path)
        return;
    memcpy(place->path, path, strlen(path) + 1);
    place->version1 = version1;
}

static void name_file(char name[PATH_SIZE], const struct place *place, const char *file)
{
    struct vl_text text = vl_text_on(name, PATH_SIZE);
    vl_text_str(&text, vl_cgroup_root);
    vl_text_str(&text, place->version1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup");
    vl_text_str(&text, strcmp(place->path, "/") == 0 ? "" : place->path);
    vl_text_char(&text, '/');
    vl_text_str(&text, file);
}

/* A line "name 123" of memory.stat that is looked for. */
struct wanted {
    const char *name;
    uint64_t value;
    bool found;
};

static void look_at(const char *line, void *of_wanted)
{
    struct wanted *wanted = of_wanted;
    size_t length = strlen(wanted->name);
    if (strncmp(line, wanted->name, length) != 0 || line[length] != ' ')
        return;
    wanted->value = vl_text_number(line + length + 1, 10);
    wanted->found = true;
}

static bool read_stat(const struct place *place, const char *name, uint64_t *value)
{
    char file[PATH_SIZE];
    struct wanted wanted = {.name = name};
    name_file(file, place, "memory.stat");
    vl_os_read_lines(file, look_at, &wanted);
    *value = wanted.found ? wanted.value : *value;
    return wanted.found;
}

/* "max" is no number. */
static uint64_t read_max(const struct place *place)
{
    char file[PATH_SIZE], text[32];
    name_file(file, place, "memory.max");
    vl_os_read_file(file, text, sizeof text);
    return text[0] >= '0' && text[0] <= '9' ? vl_text_number(text, 10) : UINT64_MAX;
}

/* The group above; false if there is none. */
static bool go_up(struct place *place)
{
    char *last = strrchr(place->path, '/');
    if (last == NULL || last[1] == '\0')
        return false;
    last[last == place->path] = '\0';
    return true;
}

static struct vl_cgroup read_version2(struct place place)
{
    struct vl_cgroup group = {.limit = UINT64_MAX};
    struct place lowest = place;
    do {
        uint64_t max = read_max(&place);
        if (max < group.limit) {
            group.limit = max;
            lowest = place;
        }
    } while (go_up(&place));
    read_stat(&lowest, "anon", &group.used);
    return group;
}

/* Without a limit it gives the largest number of whole pages that it can hold. */
static struct vl_cgroup read_version1(const struct place *place)
{
    struct vl_cgroup group = {.limit = UINT64_MAX};
    read_stat(place, "hierarchical_memory_limit", &group.limit);
    read_stat(place, "total_rss", &group.used);
    if (group.limit >= (uint64_t)INT64_MAX / 2)
        group.limit = UINT64_MAX;
    return group;
}

struct vl_cgroup vl_cgroup_read(void)
{
    char file[PATH_SIZE];
    struct place place = {.path = "/"};
    struct vl_text text = vl_text_on(file, sizeof file);
    uint64_t unused;
    vl_text_str(&text, vl_cgroup_root);
    vl_text_str(&text, "/proc/self/cgroup");
    vl_os_read_lines(file, find_place, &place);
    /* A group may have no memory of its own to look after: then one above it has. */
    while (!read_stat(&place, place.version1 ? "total_rss" : "anon", &unused) && go_up(&place)) {
    }
    return place.version1 ? read_version1(&place) : read_version2(place);
}
