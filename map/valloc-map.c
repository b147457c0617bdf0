/*
 * valloc-map - a picture of the heap of a process that runs under valloc.
 *
 *      process --look--+                       +--> headline
 *                      +--> heap (the model) --+--> picture
 *      dump -----read--+                       +--> dump
 *
 *      remote.c, find.c, page_kinds.c, look.c     what another process has, read from outside
 *      heap.c, figures.c, sections.c, dump.c      the model, its sums, its order, its text
 *      picture.c, legend.c, tiles.c, bars.c       SVG
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "map/dump.h"
#include "map/figures.h"
#include "map/look.h"
#include "map/picture.h"
#include "run/message.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: valloc-map PID|DUMP [-o FILE.svg]\n"
    "       valloc-map --dump PID > DUMP\n"
    "\n"
    "Prints in one line what the heap of a process under valloc is made of, and draws it.\n"
    "\n"
    "  -o, --output=FILE   draw the heap, as SVG; -: to standard output, in place of the line\n"
    "      --dump          write what was read, as text, to be drawn elsewhere\n"
    "      --smaps         page kinds from /proc/PID/smaps, also where the kernel can tell them "
    "page\n"
    "                      by page (Linux 6.7)\n"
    "      --help, --version\n"
    "\n"
    "A word of digits is a process, any other a file. Exit status 1: it cannot be done, 2: a fault "
    "in\n"
    "the call.\n";

struct request {
    const char *subject;
    const char *output;
    bool dump;
    bool smaps;
};

/* ---- options ---- */

enum { DUMP = 1, SMAPS, HELP, TELL_VERSION };

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},     {"dump", no_argument, NULL, DUMP},
    {"smaps", no_argument, NULL, SMAPS},          {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, TELL_VERSION}, {NULL, 0, NULL, 0},
};

/* What was written to standard output arrives, or the tool has failed. */
static void finish(FILE *file, const char *name)
{
    bool written = !ferror(file);
    if (fclose(file) != 0 || !written)
        give_up(STATUS_FAILED, "%s: %s", name, strerror(errno != 0 ? errno : EIO));
}

static _Noreturn void print(const char *text)
{
    fputs(text, stdout);
    finish(stdout, "standard output");
    exit(0);
}

static struct request parsed(int argc, char **argv)
{
    struct request request = {0};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":o:", options, NULL)) != -1)
        switch (option) {
        case 'o':
            request.output = optarg;
            break;
        case DUMP:
            request.dump = true;
            break;
        case SMAPS:
            request.smaps = true;
            break;
        case HELP:
            print(usage);
        case TELL_VERSION:
            print("valloc-map (valloc) " PACKAGE_VERSION "\n");
        case ':':
            give_up(STATUS_USAGE, "option %s needs a value", argv[optind - 1]);
        default:
            give_up(STATUS_USAGE, "no such option: %s; see --help", argv[optind - 1]);
        }
    if (argc - optind != 1)
        give_up(STATUS_USAGE, "one process or one dump is needed; see --help");
    if (request.dump && request.output != NULL)
        give_up(STATUS_USAGE, "--dump draws nothing: -o is for another call, with the dump");
    request.subject = argv[optind];
    return request;
}

/* ---- the heap ---- */

static bool is_process(const char *subject)
{
    return *subject != '\0' && subject[strspn(subject, "0123456789")] == '\0';
}

static pid_t process_of(const char *subject)
{
    errno = 0;
    unsigned long pid = strtoul(subject, NULL, 10);
    if (errno != 0 || pid == 0 || pid > INT_MAX)
        give_up(STATUS_FAILED, "%s: no such process", subject);
    return (pid_t)pid;
}

static void read_file(const char *name, struct heap *heap)
{
    FILE *file = fopen(name, "re");
    struct stat about;
    if (file == NULL || fstat(fileno(file), &about) != 0)
        give_up(STATUS_FAILED, "%s: %s", name, strerror(errno));
    if (S_ISDIR(about.st_mode))
        give_up(STATUS_FAILED, "%s: %s", name, strerror(EISDIR));
    dump_read(file, name, heap);
    fclose(file);
}

static void take_heap(const struct request *request, struct heap *heap)
{
    if (is_process(request->subject))
        look_at_process(process_of(request->subject), !request->smaps, heap);
    else if (request->dump)
        give_up(STATUS_USAGE, "--dump is of a process: %s is none", request->subject);
    else
        read_file(request->subject, heap);
}

/* ---- what is made of it ---- */

static void print_headline(const struct heap *heap)
{
    char headline[SENTENCE];
    struct figures figures = figures_of(heap);
    figures_headline(&figures, heap->pages, headline);
    puts(headline);
    finish(stdout, "standard output");
}

static void draw_to(const char *name, const struct heap *heap)
{
    FILE *file = fopen(name, "we");
    if (file == NULL)
        give_up(STATUS_FAILED, "%s: %s", name, strerror(errno));
    picture_draw(heap, file);
    finish(file, name);
}

int main(int argc, char **argv)
{
    message_name = "valloc-map";
    struct request request = parsed(argc, argv);
    struct heap heap;
    take_heap(&request, &heap);
    if (request.dump) {
        dump_write(&heap, stdout);
        finish(stdout, "standard output");
    } else if (request.output != NULL && strcmp(request.output, "-") == 0) {
        picture_draw(&heap, stdout);
        finish(stdout, "standard output");
    } else {
        if (request.output != NULL)
            draw_to(request.output, &heap);
        print_headline(&heap);
    }
    heap_free(&heap);
}
