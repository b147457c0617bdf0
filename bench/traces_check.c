/*
 * Checks the study of fragmentation: made traces do the same when they are counted and when they
 * are played, and keep to their bounds; a file is played as it says, and one that is none is
 * refused, with its line.
 */
#include <sys/wait.h>

#include "bench/ledger.h"
#include "bench/trace_file.h"
#include "bench/traces.h"

enum {
    LIVE_MAX = 1 << 20,
    LIVE_AT_MOST = 2 * LIVE_MAX, /* fields and scratch arrays of the mesh, one block too many */
};

#define FILE_NAME "traces_check.trace"

/* What a trace leaves alive stays so until the program ends: no leak for the address sanitizer to find. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void check_made(const char *name)
{
    struct ledger ledger = ledger_count_first();

    if (!traces_play(name, &ledger, 1, LIVE_MAX))
        bench_fail("there is no trace %s", name);
    if (ledger.operations < LEDGER_SAMPLES || ledger.live == 0 || ledger.live > LIVE_AT_MOST)
        bench_fail("%s: %llu operations, %llu bytes live", name,
                   (unsigned long long)ledger.operations, (unsigned long long)ledger.live);
    uint64_t live = ledger.live;
    ledger_play_next(&ledger, 0);
    traces_play(name, &ledger, 1, LIVE_MAX);
    ledger_finish(&ledger);
    if (ledger.live != live || ledger.samples != LEDGER_SAMPLES)
        bench_fail("%s: %llu bytes live instead of %llu, %u samples", name,
                   (unsigned long long)ledger.live, (unsigned long long)live, ledger.samples);
}

static void write_file(const char *text)
{
    FILE *file = fopen(FILE_NAME, "w");

    if (!file || fputs(text, file) == EOF || fclose(file) != 0)
        bench_fail(FILE_NAME " cannot be written");
}

static void check_file(void)
{
    struct ledger ledger = ledger_count_first();

    write_file("# three blocks\n\na 0 100\na 1 0\n r 0 300 \nf 1\na 1 4294967295\nf 1\na 1 8");
    trace_file_play(FILE_NAME, &ledger);
    if (ledger.operations != 7 || ledger.live != 308 || ledger_size(&ledger, 0) != 300)
        bench_fail("the file was played as %llu operations with %llu bytes live",
                   (unsigned long long)ledger.operations, (unsigned long long)ledger.live);
}

/* In a child, whose message is not to be seen. */
static void check_refused(const char *text)
{
    struct ledger ledger = ledger_count_first();
    int status = 0;
    pid_t child;

    write_file(text);
    child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        trace_file_play(FILE_NAME, &ledger);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        bench_fail("no child");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
        bench_fail("'%s' was not refused", text);
}

int main(void)
{
    static const char *const made[] = {"growth", "phases", "refill", "redis", "mesh"};
    static const char *const wrong[] = {"x 1 2\n",   "a 1\n",           "a 1 2\na 1 2\n",
                                        "f 1\n",     "a 16777216 1\n",  "r 1 2",
                                        "a 1 2 3\n", "a 1 4294967296\n"};

    if (!freopen("/dev/null", "w", stdout)) /* samples */
        bench_fail("/dev/null cannot be opened");
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        check_made(made[i]);
    check_file();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        check_refused(wrong[i]);
    unlink(FILE_NAME);
    return 0;
}
