/*
 * measure [-l LIBRARY] PROGRAM [ARGUMENT]...
 *
 * Runs the program, with LIBRARY preloaded if there is one, and prints what it cost:
 *
 *   measured wall_s=0.412345 user_s=0.398000 sys_s=0.012000 rss_kb=9876 minor_faults=2345
 *            major_faults=0 exit=0 signal=0                            (all in one line)
 *
 * It exists because the peak RSS that the kernel keeps for a process starts at the size of the
 * process that started it: under a large parent, such as an interpreter, every small program
 * would seem to be as large. This parent is smaller than any program that it measures.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double timeval_s(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static int usage(void)
{
    fputs("usage: measure [-l LIBRARY] PROGRAM [ARGUMENT]...\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const char *library = NULL;
    struct rusage used;
    double start_s;
    pid_t child;
    int option, error, status;

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

    start_s = now_s();
    error = posix_spawnp(&child, argv[optind], NULL, NULL, &argv[optind], environ);
    if (error) {
        fprintf(stderr, "measure: %s: %s\n", argv[optind], strerror(error));
        return 2;
    }
    while (wait4(child, &status, 0, &used) < 0)
        if (errno != EINTR)
            return 2;

    printf("measured wall_s=%.6f user_s=%.6f sys_s=%.6f rss_kb=%ld minor_faults=%ld "
           "major_faults=%ld exit=%d signal=%d\n",
           now_s() - start_s, timeval_s(used.ru_utime), timeval_s(used.ru_stime), used.ru_maxrss,
           used.ru_minflt, used.ru_majflt, WIFEXITED(status) ? WEXITSTATUS(status) : 0,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return 0;
}
