#include "support.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* --- Which malloc is this? --- */

bool on_valloc(void)
{
    return dlsym(RTLD_DEFAULT, "valloc_version") != NULL;
}

void skip(const char *test, const char *reason)
{
    size_t suffix = strlen("_fn"); /* START_TEST appends it */

    dprintf(STDERR_FILENO, "%.*s: skipped: %s\n", (int)(strlen(test) - suffix), test, reason);
}

/* Skips, or fails where valloc was promised. */
static void skip_unless_strict(const char *test, const char *missing)
{
    const char *strict = getenv("VL_TEST_STRICT");
    char reason[200];

    snprintf(reason, sizeof reason, "%s is not in this process", missing);
    if (strict != NULL && strcmp(strict, "1") == 0)
        ck_abort_msg("%s: %s", test, reason);
    skip(test, reason);
}

bool only_on_valloc(const char *test)
{
    if (on_valloc())
        return true;
    skip_unless_strict(test, "valloc");
    return false;
}

static const void *home_of(const void *function)
{
    Dl_info info;

    return dladdr(function, &info) != 0 ? info.dli_fbase : NULL;
}

void *entry_point(const char *name)
{
    void *function = dlsym(RTLD_DEFAULT, name);

    if (function == NULL || home_of(function) != home_of(dlsym(RTLD_DEFAULT, "malloc")))
        return NULL;
    return function;
}

void *only_with_entry_point(const char *name, const char *test)
{
    void *function = entry_point(name);

    if (function == NULL)
        skip_unless_strict(test, name);
    return function;
}

/* --- How long, and which random numbers? --- */

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    char *end;
    unsigned long long value;

    if (text == NULL)
        return otherwise;
    value = strtoull(text, &end, 0);
    ck_assert_msg(end != text && *end == '\0' && value > 0, "%s=%s: expected a positive number",
                  name, text);
    return value;
}

size_t scaled(size_t count)
{
    return count * (size_t)number_from_environment("VL_TEST_LENGTH", 1);
}

TCase *timed_case(const char *name, int timeout_s)
{
    TCase *test_case = tcase_create(name);

    tcase_set_timeout(test_case, timeout_s);
    return test_case;
}

uint64_t test_seed(void)
{
    return number_from_environment("VL_TEST_SEED", 20261121);
}

uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Du;
}

size_t random_size(uint64_t *state, size_t limit)
{
    unsigned int bits = (unsigned int)__builtin_ctzll(limit);
    size_t power = (size_t)1 << random_next(state) % bits;

    return power + (size_t)(random_next(state) % power);
}

/* --- What is in a block? --- */

static uint64_t pattern_word(uint64_t seed, size_t index)
{
    return (seed + index) * 0x9E3779B97F4A7C15u;
}

void pattern_fill(void *block, size_t size, uint64_t seed)
{
    char *bytes = block;

    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = pattern_word(seed, at / sizeof word);
        size_t left = size - at;

        memcpy(bytes + at, &word, left < sizeof word ? left : sizeof word);
    }
}

size_t pattern_damage(const void *block, size_t size, uint64_t seed)
{
    const char *bytes = block;

    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = pattern_word(seed, at / sizeof word);
        size_t left = size - at;
        size_t length = left < sizeof word ? left : sizeof word;

        if (memcmp(bytes + at, &word, length) == 0)
            continue;
        for (size_t i = 0; i < length; i++)
            if (bytes[at + i] != ((const char *)&word)[i])
                return at + i;
    }
    return size;
}

/* Word by word where they are aligned, and seen by no sanitizer of threads, which would take seconds
 * for a big block. */
__attribute__((no_sanitize("thread"))) bool is_zero(const void *block, size_t size)
{
    const char *byte = block, *end = byte + size;
    char found = 0;
    uint64_t words = 0;

    for (; byte < end && (uintptr_t)byte % sizeof words != 0; byte++)
        found |= *byte;
    for (; end - byte >= (ptrdiff_t)sizeof words; byte += sizeof words)
        words |= *(const uint64_t *)(const void *)byte;
    for (; byte < end; byte++)
        found |= *byte;
    return found == 0 && words == 0;
}

bool is_aligned(const void *block, size_t alignment)
{
    return (uintptr_t)block % alignment == 0;
}

size_t natural_alignment(size_t size)
{
    return on_valloc() || size >= 16 ? 16 : 8;
}

/* --- What does it cost? --- */

size_t resident_bytes(void)
{
    char text[128];
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(file, text, sizeof text - 1);
    unsigned long pages_mapped, pages_resident;

    close(file);
    ck_assert_msg(length > 0, "cannot read /proc/self/statm");
    text[length] = '\0';
    ck_assert_int_eq(sscanf(text, "%lu %lu", &pages_mapped, &pages_resident), 2);
    return pages_resident * (size_t)sysconf(_SC_PAGESIZE);
}

void *map_table(size_t bytes)
{
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ck_assert_msg(table != MAP_FAILED, "no memory for a table of %zu bytes", bytes);
    return table;
}

/* --- Children --- */

/* Files rather than pipes, so that a child that prints much cannot block. */
static int capture_file(const char *name)
{
    int file = memfd_create(name, MFD_CLOEXEC);

    ck_assert_msg(file >= 0, "memfd_create: %s", strerror(errno));
    return file;
}

static void take_text(int file, char *text, size_t size)
{
    ssize_t length = pread(file, text, size - 1, 0);

    ck_assert_msg(length >= 0, "cannot read back what the child printed");
    text[length] = '\0';
    close(file);
}

/* check's own handler, which children inherit, would kill the whole test without a word. A machine that
 * is slow for check is slow for them, too. */
void limit_child_time(void)
{
    const char *multiplier = getenv("CK_TIMEOUT_MULTIPLIER");
    double seconds = CHILD_SECONDS_MAX * (multiplier != NULL ? strtod(multiplier, NULL) : 1);
    signal(SIGALRM, SIG_DFL);
    alarm(seconds < 1 ? 1 : (unsigned)seconds);
}

void run_child(struct outcome *outcome, void (*body)(void *), void *argument)
{
    int out = capture_file("stdout");
    int err = capture_file("stderr");
    pid_t child = fork();

    ck_assert_msg(child >= 0, "fork: %s", strerror(errno));
    if (child == 0) {
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        limit_child_time();
        body(argument);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &outcome->status, 0), child);
    take_text(out, outcome->out, sizeof outcome->out);
    take_text(err, outcome->err, sizeof outcome->err);
}

void expect_success(pid_t child)
{
    int status;

    ck_assert_msg(child > 0, "no child: %s", strerror(errno));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "child ended with %s, expected exit status 0",
                  describe_status(status));
}

const char *describe_status(int status)
{
    static _Thread_local char text[80];

    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, sizeof text, "exit status %d", WEXITSTATUS(status));
    return text;
}

void child_fail(const char *file, int line, const char *condition)
{
    dprintf(STDERR_FILENO, "%s:%d: expected %s\n", file, line, condition);
    _exit(1);
}
