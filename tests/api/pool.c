#include "tests/api/pool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int lock = -1;

bool pool_lock(void)
{
    lock = open("/proc/sys/vm/nr_hugepages", O_RDONLY | O_CLOEXEC);
    return lock >= 0 && flock(lock, LOCK_EX) == 0;
}

void pool_unlock(void)
{
    if (lock >= 0)
        close(lock);
    lock = -1;
}

static char group_mount[] = "/tmp/valloc-hugetlb-XXXXXX";
static bool group_is_mounted;

static bool write_to_group(const char *file, long value)
{
    char path[100];
    snprintf(path, sizeof path, "%s/valloc-test/%s", group_mount, file);
    int group = open(path, O_WRONLY);
    bool written = group >= 0 && dprintf(group, "%ld", value) > 0;
    if (group >= 0)
        close(group);
    return written;
}

void pool_group_make(void)
{
    char path[100];
    if (mkdtemp(group_mount) == NULL)
        return;
    group_is_mounted = mount("none", group_mount, "cgroup", 0, "hugetlb") == 0;
    snprintf(path, sizeof path, "%s/valloc-test", group_mount);
    if (group_is_mounted && mkdir(path, 0700) != 0)
        ck_abort_msg("cannot make a group");
}

void pool_group_remove(void)
{
    char path[100];
    snprintf(path, sizeof path, "%s/valloc-test", group_mount);
    if (group_is_mounted) {
        rmdir(path);
        umount(group_mount);
    }
    rmdir(group_mount);
}

bool pool_group_limit(const char *file, long value)
{
    return group_is_mounted && write_to_group(file, value);
}

bool pool_group_enter(void)
{
    return write_to_group("cgroup.procs", getpid());
}

unsigned long pool_told(const struct outcome *outcome, const char *name)
{
    const char *at = strstr(outcome->err, name);
    ck_assert_msg(at != NULL, "no %s in: %s", name, outcome->err);
    return strtoul(at + strlen(name) + strlen("\": "), NULL, 10);
}
