/*
 * remote - the memory of another process, read without stopping it.
 *
 * What is read may change meanwhile, and be torn. The process may end, too: then nothing can be
 * read any more. What was opened stays that of this process and its program: of no later process of
 * the same id, nor of what the process becomes by exec.
 */
#ifndef VL_MAP_REMOTE_H
#define VL_MAP_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct remote {
    pid_t pid;
    int memory;    /* /proc/PID/mem */
    char name[32]; /* of its program, as the kernel has it */
};

/* Ends the tool with a message if there is no such process, or no permission. */
struct remote remote_open(pid_t pid);

/* A file of /proc/PID, for reading; negative: -errno. */
int remote_file(const struct remote *remote, const char *name);

/* False if not all of it can be read. */
bool remote_read(const struct remote *remote, uint64_t address, void *to, size_t size);

/* Whether it still runs, as far as its memory tells. */
bool remote_lives(const struct remote *remote);

/* A part of its address space that begins with the first byte of a file. */
typedef void visit_image(const struct remote *remote, uint64_t start, void *argument);
void remote_visit_images(const struct remote *remote, visit_image *visit, void *argument);

#endif
