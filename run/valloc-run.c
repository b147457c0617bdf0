/*
 * valloc-run - runs a program under valloc.
 *
 * It sets the environment and becomes the program, so that process id, signals, input and output
 * are the program's own; only where figures of the run are asked for does it stay, as the parent
 * (child.h). It is no shell script, because a shell may drop what it cannot name: dash drops
 * exported functions of bash, without which the `module` of many clusters is gone.
 *
 *      library.c   where libvalloc.so is; LD_PRELOAD
 *      program.c   whether the program can be run with it
 *      child.c     a run as a child, and its figures
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/core.h"
#include "run/child.h"
#include "run/library.h"
#include "run/message.h"
#include "run/program.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct request {
    bool compare;
    bool time;
    bool stats;
    bool pid_given; /* VALLOC_STATS_PID, by --set */
    char **command;
};

/* ---- options ---- */

static const char usage[] =
    "usage: valloc-run [OPTION]... [--] PROGRAM [ARG]...\n"
    "\n"
    "Runs a program under valloc; its input, outputs and exit status are its own.\n"
    "\n"
    "  --stats[=json]      print what valloc holds when the program ends\n"
    "  --hugepages=MODE    huge pages, as VALLOC_HUGEPAGE in valloc(7)\n"
    "  --numa=MODE         NUMA nodes, as VALLOC_NUMA\n"
    "  --check             fill fresh and freed blocks with patterns, so that a program that reads\n"
    "                      them shows it (VALLOC_FILL=junk)\n"
    "  --set NAME=VALUE    any variable of valloc(7), with or without VALLOC_\n"
    "  --time              print wall time and peak memory of the run\n"
    "  --compare           run it again under the system's malloc, with its outputs dropped, and\n"
    "                      print the figures of both\n"
    "  --as=NAME           begin messages with NAME in place of valloc-run\n"
    "  --help, --version\n"
    "\n"
    "VALLOC_LIBRARY names another libvalloc.so than the installed one. Exit status 125: a fault "
    "in\n"
    "the call, 126: the program cannot be run under valloc, 127: it is not there.\n";

enum { STATS = 1, HUGEPAGES, NUMA, CHECK, SET, TIME, COMPARE, AS, HELP, TELL_VERSION };

static const struct option options[] = {
    {"stats", optional_argument, NULL, STATS},
    {"hugepages", required_argument, NULL, HUGEPAGES},
    {"numa", required_argument, NULL, NUMA},
    {"check", no_argument, NULL, CHECK},
    {"set", required_argument, NULL, SET},
    {"time", no_argument, NULL, TIME},
    {"compare", no_argument, NULL, COMPARE},
    {"as", required_argument, NULL, AS},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, TELL_VERSION},
    {NULL, 0, NULL, 0},
};

/* An entry of the environment that the library itself would take. */
static void set_variable(char *entry)
{
    char line[256];
    struct vl_text mistake = vl_text_on(line, sizeof line);
    if (!vl_option_check(entry, &mistake))
        give_up(STATUS_OWN_FAULT, "%s", line);
    char *value = strchr(entry, '=');
    *value = '\0';
    if (setenv(entry, value + 1, 1) != 0)
        give_up(STATUS_OWN_FAULT, "%s", strerror(errno));
}

static void set_named(const char *name, const char *value)
{
    char *entry;
    if (asprintf(&entry, "VALLOC_%s=%s", name, value) < 0)
        give_up(STATUS_OWN_FAULT, "out of memory");
    set_variable(entry);
    free(entry);
}

static void set_given(struct request *request, const char *text)
{
    static const char prefix[] = "VALLOC_";
    if (strncmp(text, prefix, strlen(prefix)) == 0)
        text += strlen(prefix);
    const char *value = strchr(text, '=');
    if (value == NULL || value == text)
        give_up(STATUS_OWN_FAULT, "--set %s: not NAME=VALUE", text);
    if (strncmp(text, "STATS_PID=", (size_t)(value - text) + 1) == 0)
        request->pid_given = true;
    char *name = strndup(text, (size_t)(value - text));
    set_named(name ? name : "", value + 1);
    free(name);
}

static void take_option(struct request *request, int option)
{
    switch (option) {
    case STATS:
        request->stats = true;
        set_named("STATS", optarg ? optarg : "1");
        break;
    case HUGEPAGES:
        set_named("HUGEPAGE", optarg);
        break;
    case NUMA:
        set_named("NUMA", optarg);
        break;
    case CHECK:
        set_named("FILL", "junk");
        break;
    case SET:
        set_given(request, optarg);
        break;
    case TIME:
        request->time = true;
        break;
    case COMPARE:
        request->compare = true;
        break;
    case AS:
        message_name = optarg;
        break;
    case HELP:
        fputs(usage, stdout);
        exit(0);
    case TELL_VERSION:
        puts("valloc-run (valloc) " PACKAGE_VERSION);
        exit(0);
    }
}

/* Up to the first word that is none: what follows is the program's. */
static struct request parsed(int argc, char **argv)
{
    struct request request = {0};
    int option;
    while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
        if (option == ':')
            give_up(STATUS_OWN_FAULT, "option %s needs a value", argv[optind - 1]);
        if (option == '?')
            give_up(STATUS_OWN_FAULT, "no option, or one without a value: %s; see --help",
                    argv[optind - 1]);
        take_option(&request, option);
    }
    request.command = argv + optind;
    if (*request.command == NULL)
        give_up(STATUS_OWN_FAULT, "no program; usage: valloc-run [OPTION]... PROGRAM [ARG]...");
    return request;
}

/* ---- the program in our place ---- */

static _Noreturn void give_up_exec(const char *name, int error)
{
    give_up(error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN, "%s: %s", name,
            strerror(error));
}

static _Noreturn void become(const struct request *request)
{
    if (request->stats && !request->pid_given) {
        char pid[24];
        snprintf(pid, sizeof pid, "%ld", (long)getpid());
        setenv(CHILD_PID_VARIABLE, pid, 1);
    }
    execvp(*request->command, request->command);
    give_up_exec(*request->command, errno);
}

/* ---- the program as a child ---- */

static struct child_figures run_child(const struct request *request)
{
    struct child_figures figures = child_run(request->command, !request->pid_given);
    if (figures.error != 0)
        give_up_exec(*request->command, figures.error);
    return figures;
}

/* The input as the first run got it, if it can be read twice; else an empty one. */
static int input_again(off_t start)
{
    struct stat input;
    int fd = -1;
    if (fstat(0, &input) == 0 && S_ISREG(input.st_mode))
        fd = open("/proc/self/fd/0", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && lseek(fd, start, SEEK_SET) >= 0)
        return fd;
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* `input_start`: where our input stood before the first run read of it. */
static struct child_figures run_with_system(const struct request *request,
                                            const struct library *library, off_t input_start)
{
    int errors = fcntl(2, F_DUPFD_CLOEXEC, 3);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    library_unload(library);
    dup2(input_again(input_start), 0);
    dup2(nowhere, 1);
    dup2(nowhere, 2);
    struct child_figures figures = child_run(request->command, false);
    dup2(errors, 2);
    if (figures.error != 0)
        give_up_exec(*request->command, figures.error);
    return figures;
}

static double megabytes(const struct child_figures *figures)
{
    return (double)figures->rss_peak_kb / 1024;
}

static void say_one(const struct child_figures *figures)
{
    say("wall time %.3f s, peak memory %.1f MB", figures->wall_s, megabytes(figures));
}

static void say_row(const char *title, int decimals, const char *unit, double with_valloc,
                    double with_system)
{
    char left[32], right[32];
    snprintf(left, sizeof left, "%.*f%s", decimals, with_valloc, unit);
    snprintf(right, sizeof right, "%.*f%s", decimals, with_system, unit);
    say("%-12s %12s %16s", title, left, right);
}

static double faults(const struct child_figures *figures)
{
    return (double)(figures->minor_faults + figures->major_faults);
}

static const char *ending(const struct child_figures *figures)
{
    return WIFSIGNALED(figures->status) ? "signal" : "exit status";
}

static int ended(const struct child_figures *figures)
{
    int status = figures->status;
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void say_both(const struct child_figures *ours, const struct child_figures *systems)
{
    say("%-12s %12s %16s", "", "valloc", "system malloc");
    say_row("wall time", 3, " s", ours->wall_s, systems->wall_s);
    say_row("CPU time", 3, " s", ours->user_s + ours->sys_s, systems->user_s + systems->sys_s);
    say_row("peak memory", 1, " MB", megabytes(ours), megabytes(systems));
    say_row("page faults", 0, "", faults(ours), faults(systems));
    if (ours->status != systems->status)
        say("under the system malloc it ended otherwise: %s %d", ending(systems), ended(systems));
}

/* A program that a signal ended is not run again: it may have been somebody's wish. */
static _Noreturn void measure(const struct request *request, const struct library *library)
{
    off_t input_start = lseek(0, 0, SEEK_CUR);
    struct child_figures ours = run_child(request);
    if (request->compare && !WIFSIGNALED(ours.status)) {
        struct child_figures systems = run_with_system(request, library, input_start);
        say_both(&ours, &systems);
    } else {
        say_one(&ours);
    }
    child_end_like(ours.status);
}

int main(int argc, char **argv)
{
    struct request request = parsed(argc, argv);
    struct library library = library_find();
    program_check(*request.command, &library);
    library_preload(&library);
    if (request.time || request.compare)
        measure(&request, &library);
    become(&request);
}
