/*
 * witness - preloaded beside the library under test, it testifies that a program really has it.
 *
 * At its start each process in which the object WITNESS_LIBRARY (a file name without folders) is
 * mapped adds a line to the file WITNESS_LOG: the name it was started by. A program that is
 * setuid, static, or was given a clean environment cannot have the library, and adds no line.
 *
 * Nothing here allocates, and errno is left as it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static int is_library(struct dl_phdr_info *object, size_t size, void *library)
{
    (void)size;
    return strcmp(file_name(object->dlpi_name), library) == 0;
}

/* One write of a short line to a file opened for appending: lines of many processes stay whole. */
static void testify(const char *log, const char *program)
{
    char line[256];
    int length = snprintf(line, sizeof line, "%.250s\n", program);
    int fd = open(log, O_WRONLY | O_APPEND | O_CLOEXEC);

    if (fd < 0)
        return;
    if (write(fd, line, (size_t)length) != length)
        abort();
    close(fd);
}

__attribute__((constructor)) static void witness(int argc, char **argv)
{
    int saved_errno = errno;
    char *library = getenv("WITNESS_LIBRARY");
    const char *log = getenv("WITNESS_LOG");

    if (argc > 0 && library != NULL && log != NULL && dl_iterate_phdr(is_library, library) != 0)
        testify(log, file_name(argv[0]));
    errno = saved_errno;
}
