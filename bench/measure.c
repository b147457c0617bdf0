/*
 * measure [-l LIBRARY] PROGRAM [ARGUMENT]...
 *
 * Runs the program, with LIBRARY preloaded if there is one and nothing else, and prints what it
 * cost:
 *
 *   measured wall_s=0.412345 user_s=0.398000 sys_s=0.012000 rss_kb=9876 minor_faults=2345
 *            major_faults=0 exit=0 signal=0                            (all in one line)
 *
 * It exists because the peak RSS that the kernel keeps for a process starts at the size of the
 * process that started it: under a large parent, such as an interpreter, every small program
 * would seem to be as large. This parent is smaller than any program that it measures. Unlike
 * valloc-run it preloads any library and looks at nothing.
 */
#include "run/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_FAULT = 2 };

static int usage(void)
{
    fputs("usage: measure [-l LIBRARY] PROGRAM [ARGUMENT]...\n", stderr);
    return STATUS_FAULT;
}

static void print(const struct child_figures *figures)
{
    int status = figures->status;
    printf("measured wall_s=%.6f user_s=%.6f sys_s=%.6f rss_kb=%ld minor_faults=%ld "
           "major_faults=%ld exit=%d signal=%d\n",
           figures->wall_s, figures->user_s, figures->sys_s, figures->rss_peak_kb,
           figures->minor_faults, figures->major_faults,
           WIFEXITED(status) ? WEXITSTATUS(status) : 0, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int main(int argc, char **argv)
{
    const char *library = NULL;
    int option;

    while ((option = getopt(argc, argv, "+l:")) != -1) {
        if (option != 'l')
            return usage();
        library = optarg;
    }
    if (optind == argc)
        return usage();
    unsetenv("LD_PRELOAD");
    if (library)
        setenv("LD_PRELOAD", library, 1);

    struct child_figures figures = child_run(argv + optind, false);
    if (figures.error != 0) {
        fprintf(stderr, "measure: %s: %s\n", argv[optind], strerror(figures.error));
        return STATUS_FAULT;
    }
    print(&figures);
    return 0;
}
