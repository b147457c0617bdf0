#include "run/program.h"

#include "run/message.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- where it is ---- */

/* 0, or why the file cannot be executed. */
static int refusal(const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return errno;
    if (S_ISDIR(file.st_mode))
        return EISDIR;
    return access(path, X_OK) == 0 ? 0 : errno;
}

static _Noreturn void give_up_program(const char *name, int error)
{
    bool absent = error == ENOENT || error == ENOTDIR;
    give_up(absent ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN, "%s: %s", name, strerror(error));
}

/* As execvp(3) looks: the first on PATH that can be executed. */
static void search(const char *name, char path[static PATH_MAX])
{
    const char *folder = getenv("PATH");
    int worst = ENOENT;
    for (folder = folder ? folder : "/bin:/usr/bin";; folder++) {
        size_t length = strcspn(folder, ":");
        snprintf(path, PATH_MAX, "%.*s%s%s", (int)length, folder, length > 0 ? "/" : "", name);
        int error = refusal(path);
        if (error == 0)
            return;
        if (error != ENOENT && error != ENOTDIR)
            worst = error;
        folder += length;
        if (*folder == '\0')
            give_up_program(name, worst);
    }
}

/* ---- what it is ---- */

/* Whether the kernel heeds the file's setuid and setgid bits and capabilities. */
static bool rights_are_heeded(const char *path)
{
    struct statvfs mount;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 &&
           (statvfs(path, &mount) != 0 || !(mount.f_flag & ST_NOSUID));
}

/* What makes the process gain rights; NULL if nothing does. The superuser has all capabilities. */
static const char *rights_gained(const char *path, const struct stat *file)
{
    char capabilities[64];
    if (!rights_are_heeded(path))
        return NULL;
    if ((file->st_mode & S_ISUID) && file->st_uid != getuid())
        return "setuid";
    if ((file->st_mode & S_ISGID) && (file->st_mode & S_IXGRP) && file->st_gid != getgid())
        return "setgid";
    if (getuid() != 0 &&
        getxattr(path, "security.capability", capabilities, sizeof capabilities) > 0)
        return "file capabilities";
    return NULL;
}

/* The dynamic linker called as a program has none itself, and preloads all the same. */
static bool is_dynamic_linker(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base != NULL ? base + 1 : path;
    return strncmp(base, "ld-", 3) == 0 || strncmp(base, "ld.so", 5) == 0;
}

static void check_elf(const char *path, int fd, const struct elf_file *elf,
                      const struct library *library)
{
    struct stat file;
    const char *gained = fstat(fd, &file) == 0 ? rights_gained(path, &file) : NULL;
    if (gained != NULL)
        give_up(STATUS_CANNOT_RUN,
                "%s gains rights when it starts (%s), so nothing is preloaded to it: run a copy "
                "without them, or link it with libvalloc",
                path, gained);
    if (elf->bits != library->elf.bits)
        give_up(STATUS_CANNOT_RUN, "%s is a %u-bit program, and %s is for %u-bit ones", path,
                elf->bits, library->path, library->elf.bits);
    if (elf->machine != library->elf.machine)
        give_up(STATUS_CANNOT_RUN, "%s is for another kind of machine than %s", path,
                library->path);
    if (!elf->has_linker && !is_dynamic_linker(path))
        give_up(STATUS_CANNOT_RUN,
                "%s is statically linked, so nothing can be preloaded to it: link it with "
                "libvalloc.a (pkg-config --static --libs valloc)",
                path);
}

/* The interpreter named in the first line of a script, in place of `line`; NULL if there is none. */
static const char *interpreter_of(int fd, char *line, size_t size)
{
    static const char blanks[] = " \t";
    ssize_t length = pread(fd, line, size - 1, 0);
    if (length < 2 || line[0] != '#' || line[1] != '!')
        return NULL;
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    line += 2 + strspn(line + 2, blanks);
    line[strcspn(line, blanks)] = '\0';
    return *line != '\0' ? line : NULL;
}

/* A file that cannot be read, or is of a kind we do not know, is left to the kernel. `nested`: as
 * many interpreters of interpreters as the kernel takes. */
static void check_file(const char *path, const struct library *library, unsigned nested)
{
    enum { NESTED_MAX = 4, LINE_MAX_KERNEL = 256 };
    char line[LINE_MAX_KERNEL];
    struct elf_file elf;
    const char *interpreter;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (elf_file_read(fd, &elf)) {
        check_elf(path, fd, &elf, library);
    } else if (nested < NESTED_MAX &&
               (interpreter = interpreter_of(fd, line, sizeof line)) != NULL) {
        int error = refusal(interpreter);
        if (error != 0)
            give_up(error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN,
                    "%s: its interpreter %s: %s", path, interpreter, strerror(error));
        check_file(interpreter, library, nested + 1);
    }
    close(fd);
}

void program_check(const char *name, const struct library *library)
{
    char path[PATH_MAX];
    if (strchr(name, '/') == NULL && *name != '\0') {
        search(name, path);
    } else {
        int error = refusal(name);
        if (error != 0)
            give_up_program(name, error);
        snprintf(path, sizeof path, "%s", name);
    }
    check_file(path, library, 0);
}
