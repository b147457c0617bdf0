/*
 * measure [-l LIBRARY] [-w MEGABYTES] PROGRAM [ARGUMENT]...
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
 *
 * -w has another child use and give back so much memory first. Under a hypervisor, memory that
 * nobody has used for seconds may have gone back to the host: who gets it pays for the host's page
 * faults, and who gets what the last program has just given back does not. This way all get that.
 */
#include "run/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_FAULT = 2 };

static int usage(void)
{
    fputs("usage: measure [-l LIBRARY] [-w MEGABYTES] PROGRAM [ARGUMENT]...\n", stderr);
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

/* Huge pages, so that those are at hand, too. In a child: this process is to stay small. */
static void warm_memory(size_t bytes)
{
    pid_t child = fork();

    if (child == 0) {
        char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
            _exit(1);
        madvise(memory, bytes, MADV_HUGEPAGE);
        for (size_t i = 0; i < bytes; i += 4096)
            memory[i] = 1;
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    const char *library = NULL;
    size_t warm_mb = 0;
    int option;

    while ((option = getopt(argc, argv, "+l:w:")) != -1) {
        if (option == 'l')
            library = optarg;
        else if (option == 'w')
            warm_mb = strtoul(optarg, NULL, 10);
        else
            return usage();
    }
    if (optind == argc)
        return usage();
    unsetenv("LD_PRELOAD");
    if (library)
        setenv("LD_PRELOAD", library, 1);

    if (warm_mb != 0)
        warm_memory(warm_mb << 20);
    struct child_figures figures = child_run(argv + optind, false);
    if (figures.error != 0) {
        fprintf(stderr, "measure: %s: %s\n", argv[optind], strerror(figures.error));
        return STATUS_FAULT;
    }
    print(&figures);
    return 0;
}
