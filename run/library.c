#include "run/library.h"

#include "run/message.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What ld.so takes for the end of a path in LD_PRELOAD. */
static const char separators[] = " :";

static _Noreturn void give_up_memory(void)
{
    give_up(STATUS_OWN_FAULT, "out of memory");
}

/* A string of up to four parts. */
static char *joined(const char *a, const char *b, const char *c, const char *d)
{
    char *string;
    if (asprintf(&string, "%s%s%s%s", a, b, c, d) < 0)
        give_up_memory();
    return string;
}

static char *made_absolute(const char *path)
{
    char here[PATH_MAX];
    if (path[0] == '/')
        return joined(path, "", "", "");
    if (getcwd(here, sizeof here) == NULL)
        give_up(STATUS_OWN_FAULT, "working directory: %s", strerror(errno));
    return joined(here, "/", path, "");
}

/* The folder that the tool lies in, links to it followed. */
static const char *own_folder(void)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0)
        return "/nowhere";
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    return path;
}

/* How BINDIR and LIBDIR, as configured, begin alike: in whole names, with the last slash. */
static size_t common_length(void)
{
    size_t common = 0;
    for (size_t i = 0; BINDIR[i] != '\0' && BINDIR[i] == LIBDIR[i]; i++)
        if (BINDIR[i] == '/')
            common = i + 1;
    return common;
}

/* LIBDIR as it is reached from the tool's folder, which may have moved together with it. */
static char *folder_beside_the_tool(void)
{
    size_t common = common_length();
    char *path = joined(own_folder(), "/", "", "");
    for (const char *at = &BINDIR[common]; at != NULL; at = strchr(at + 1, '/'))
        path = joined(path, "../", "", "");
    return joined(path, &LIBDIR[common], "", "");
}

/* The library in a folder; NULL if there is none. The folder's name is made plain, the library's
 * is kept: which version it links to may change while programs run. */
static char *library_in(const char *folder)
{
    char *plain = realpath(folder, NULL);
    char *path = plain != NULL ? joined(plain, "/libvalloc.so", "", "") : NULL;
    free(plain);
    return path != NULL && access(path, F_OK) == 0 ? path : NULL;
}

static char *found(void)
{
    const char *named = getenv("VALLOC_LIBRARY");
    if (named != NULL && *named != '\0')
        return made_absolute(named);

    const char *folders[] = {
        joined(own_folder(), "/../.libs", "", ""),
        folder_beside_the_tool(),
        LIBDIR,
    };
    for (unsigned i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char *path = library_in(folders[i]);
        if (path != NULL)
            return path;
    }
    give_up(STATUS_OWN_FAULT, "no libvalloc.so in %s; VALLOC_LIBRARY can name it", LIBDIR);
}

struct library library_find(void)
{
    struct library library = {.path = found()};
    int fd = open(library.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        give_up(STATUS_OWN_FAULT, "library %s: %s", library.path, strerror(errno));
    if (!elf_file_read(fd, &library.elf) || !library.elf.is_shared)
        give_up(STATUS_OWN_FAULT, "%s is not a shared library", library.path);
    close(fd);
    if (strpbrk(library.path, separators) != NULL)
        give_up(STATUS_OWN_FAULT,
                "library %s: LD_PRELOAD cannot hold a path with a blank or colon; link to it from "
                "another place and name that in VALLOC_LIBRARY",
                library.path);
    return library;
}

/* What LD_PRELOAD has beside the library, each with a colon before it. */
static char *others(const struct library *library)
{
    const char *before = getenv("LD_PRELOAD");
    char *list = joined(before ? before : "", "", "", "");
    char *rest = "";
    for (char *path = strtok(list, separators); path != NULL; path = strtok(NULL, separators))
        if (strcmp(path, library->path) != 0)
            rest = joined(rest, ":", path, "");
    free(list);
    return rest;
}

static void set_preload(const char *list)
{
    int failed = *list == '\0' ? unsetenv("LD_PRELOAD") : setenv("LD_PRELOAD", list, 1);
    if (failed)
        give_up_memory();
}

void library_preload(const struct library *library)
{
    set_preload(joined(library->path, others(library), "", ""));
}

void library_unload(const struct library *library)
{
    const char *rest = others(library);
    set_preload(*rest == '\0' ? rest : rest + 1);
}
