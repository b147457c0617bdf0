/*
 * folders - made-up files, in the place of those that the kernel has below /sys and /proc.
 */
#ifndef VL_TESTS_FOLDERS_H
#define VL_TESTS_FOLDERS_H

#include "tests/api/support.h"

#include <sys/stat.h>

static char folders_root[64];

static inline void make_folders(void)
{
    snprintf(folders_root, sizeof folders_root, "/tmp/test_folders.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folders_root));
}

static inline void remove_folders(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folders_root);
    ck_assert_int_eq(system(command), 0);
}

/* A file below the root, with the folders it needs. */
static inline void put_file(const char *path, const char *text)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", folders_root, path);
    for (char *at = name + strlen(folders_root) + 1; (at = strchr(at, '/')) != NULL; *at++ = '/') {
        *at = '\0';
        mkdir(name, 0700);
    }
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

#endif
