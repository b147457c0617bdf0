/*
 * measure - runs a program and notes what it took.
 *
 *      measure FILE [NAME=VALUE ...] PROGRAM [ARGUMENT ...]
 *
 * The program gets measure's input, outputs and environment, with the variables added that stand
 * before its name. Its wall time and the highest resident memory of it and of the children it
 * waited for go to FILE. It ends as the program did: same exit status, same signal.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* As shells and env(1) have it. */
enum { STATUS_USAGE = 125, STATUS_CANNOT_RUN = 126, STATUS_NOT_FOUND = 127 };

struct figures {
    long wall_ms;
    long rss_peak_kb;
    int status; /* as from wait4() */
};

static _Noreturn void give_up(const char *what, int status)
{
    fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
    exit(status);
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static _Noreturn void become(char **command)
{
    while (*command != NULL && strchr(*command, '=') != NULL)
        putenv(*command++);
    if (*command == NULL) {
        errno = EINVAL;
        give_up("no program", STATUS_USAGE);
    }
    /* Statistics of the program itself, not of each process it starts. */
    static char only_this[64];
    snprintf(only_this, sizeof only_this, "VALLOC_STATS_PID=%ld", (long)getpid());
    putenv(only_this);
    execvp(*command, command);
    give_up(*command, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN);
}

/* An interrupt from the terminal is for the program; we only wait for its end. */
static void ignore_keyboard(struct sigaction *before)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &ignore, &before[0]);
    sigaction(SIGQUIT, &ignore, &before[1]);
}

static void heed_keyboard(const struct sigaction *before)
{
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGQUIT, &before[1], NULL);
}

static struct figures run(char **command)
{
    struct figures figures = {0};
    struct sigaction before[2];
    struct rusage usage;
    long start_ms = now_ms();
    pid_t child;

    ignore_keyboard(before);
    child = fork();
    if (child < 0)
        give_up("fork", STATUS_USAGE);
    if (child == 0) {
        heed_keyboard(before);
        become(command);
    }
    while (wait4(child, &figures.status, 0, &usage) < 0)
        if (errno != EINTR)
            give_up("wait4", STATUS_USAGE);
    heed_keyboard(before);
    figures.wall_ms = now_ms() - start_ms;
    figures.rss_peak_kb = usage.ru_maxrss;
    return figures;
}

static void note(const char *path, const struct figures *figures)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        give_up(path, STATUS_USAGE);
    fprintf(file, "wall_ms=%ld\nrss_peak_kb=%ld\n", figures->wall_ms, figures->rss_peak_kb);
    if (fclose(file) != 0)
        give_up(path, STATUS_USAGE);
}

/* The program has left its core file; another of ours would be in its way. */
static int end_like(int status)
{
    struct rlimit no_core = {0, 0};
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    setrlimit(RLIMIT_CORE, &no_core);
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    return 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    struct figures figures;
    if (argc < 3) {
        fputs("usage: measure FILE [NAME=VALUE ...] PROGRAM [ARGUMENT ...]\n", stderr);
        return STATUS_USAGE;
    }
    figures = run(argv + 2);
    note(argv[1], &figures);
    return end_like(figures.status);
}
