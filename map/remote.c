#include "map/remote.h"

#include "map/heap.h"
#include "run/message.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int remote_file(const struct remote *remote, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/%s", (long)remote->pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

static _Noreturn void refuse(pid_t pid, int error)
{
    if (error == ENOENT || error == ESRCH)
        give_up(STATUS_FAILED, "%ld: no such process, or none with memory of its own", (long)pid);
    if (error == EACCES || error == EPERM)
        give_up(
            STATUS_FAILED,
            "%ld: no permission to read its memory (ptrace(2) has the rules: the same user, and "
            "kernel.yama.ptrace_scope=0)",
            (long)pid);
    give_up(STATUS_FAILED, "%ld: memory: %s", (long)pid, strerror(error));
}

static void read_name(struct remote *remote)
{
    int fd = remote_file(remote, "comm");
    ssize_t length = fd >= 0 ? read(fd, remote->name, sizeof remote->name - 1) : 0;
    if (length > 0 && remote->name[length - 1] == '\n')
        remote->name[length - 1] = '\0';
    heap_clean_name(remote->name, sizeof remote->name);
    if (fd >= 0)
        close(fd);
}

struct remote remote_open(pid_t pid)
{
    struct remote remote = {.pid = pid};
    remote.memory = remote_file(&remote, "mem");
    if (remote.memory < 0)
        refuse(pid, -remote.memory);
    read_name(&remote);
    return remote;
}

bool remote_read(const struct remote *remote, uint64_t address, void *to, size_t size)
{
    return address <= INT64_MAX - size &&
           pread(remote->memory, to, size, (off_t)address) == (ssize_t)size;
}

/* Of a process that has ended, /proc/PID/mem is empty; in one that lives, an address that nobody
 * has is an error. */
bool remote_lives(const struct remote *remote)
{
    char byte;
    return pread(remote->memory, &byte, 1, 0) != 0;
}

void remote_visit_images(const struct remote *remote, visit_image *visit, void *argument)
{
    int fd = remote_file(remote, "maps");
    FILE *maps = fd >= 0 ? fdopen(fd, "r") : NULL;
    char *line = NULL;
    size_t size = 0;
    while (maps != NULL && getline(&line, &size, maps) > 0) {
        uint64_t start, offset, inode;
        char rights[8];
        if (sscanf(line, "%" SCNx64 "-%*x %7s %" SCNx64 " %*s %" SCNu64, &start, rights, &offset,
                   &inode) == 4 &&
            rights[0] == 'r' && offset == 0 && inode != 0)
            visit(remote, start, argument);
    }
    free(line);
    if (maps != NULL)
        fclose(maps);
}
