/*
 * support - what the tests of the malloc interface share.
 *
 * These tests know valloc only as a program does: by libc's names, in a process
 * into which the build preloads libvalloc.so. They run on any other malloc too,
 * and there skip what only valloc promises.
 *
 * Include this header before any other: it asks libc for its extensions.
 */
#ifndef VL_TESTS_API_SUPPORT_H
#define VL_TESTS_API_SUPPORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KB ((size_t)1024)
#define MB (1024 * KB)
#define GB (1024 * MB)

/* The suite of one test program; tests/main.c runs it. */
Suite *vl_suite(void);

/* Compilers know malloc by name: they drop a malloc/free pair, warn of absurd sizes and of
 * pointers used after free. Of what has passed through these two they know nothing. */
static inline void *opaque(void *block)
{
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

static inline size_t opaque_size(size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

/* --- Which malloc is this? --- */

/* Whether this process runs on valloc. */
bool on_valloc(void);

/* The same for a test that has no meaning elsewhere: where the answer is no, the test says that
 * it is skipped, or fails if VL_TEST_STRICT=1 promised that valloc is there. */
bool only_on_valloc(const char *test);

/* The function of this name if the malloc under test supplies it, else NULL. A function that
 * another library supplies, say glibc's pvalloc beside a foreign free, does not count. */
void *entry_point(const char *name);

/* entry_point() for a test of that function alone; skips or fails as only_on_valloc() does. */
void *only_with_entry_point(const char *name, const char *test);

/* Says on stderr that a test, named by its __func__, did not run. */
void skip(const char *test, const char *reason);

/* That `call` gives NULL and this errno, read before anything else can touch it. */
#define assert_refused(call, expected)                                                            \
    do {                                                                                          \
        errno = 0;                                                                                \
        const void *refused_ = opaque(call);                                                      \
        int error_ = errno;                                                                       \
        ck_assert_msg(refused_ == NULL && error_ == (expected),                                   \
                      "%s: %p, errno %d, expected NULL and " #expected, #call, refused_, error_); \
    } while (0)

/* --- How long, and which random numbers? --- */

/* `count` times VL_TEST_LENGTH, a whole number of 1 unless set. */
size_t scaled(size_t count);

/* A test case with its own time limit, which check multiplies by CK_TIMEOUT_MULTIPLIER. */
TCase *timed_case(const char *name, int timeout_s);

/* VL_TEST_SEED, or a constant: a run without it repeats the last one. */
uint64_t test_seed(void);

/* xorshift64*; the state must not be 0. */
uint64_t random_next(uint64_t *state);

/* A size in [1, limit), each power of two as likely as any other; limit is a power of two. */
size_t random_size(uint64_t *state, size_t limit);

/* --- What is in a block? --- */

void pattern_fill(void *block, size_t size, uint64_t seed);

/* Offset of the first byte that pattern_fill() did not leave so, or `size` if all are right. */
size_t pattern_damage(const void *block, size_t size, uint64_t seed);

bool is_zero(const void *block, size_t size);
bool is_aligned(const void *block, size_t alignment);

/* The alignment every block of `size` bytes has: 16 from valloc; from others only what fits it. */
size_t natural_alignment(size_t size);

/* --- What does it cost? --- */

/* Resident memory of this process; allocates nothing. */
size_t resident_bytes(void);

/* Memory for a test's own tables, which must not come from the malloc under test. */
void *map_table(size_t bytes);

/* --- Children --- */

enum { CHILD_SECONDS_MAX = 20, CHILD_CANNOT = 77 };

struct outcome {
    int status;     /* as from waitpid() */
    char out[4096]; /* what it wrote to stdout, cut to fit */
    char err[4096];
};

/* In a child: if it hangs, it dies of SIGALRM, which its parent can tell. */
void limit_child_time(void);

/* Runs body(argument) in a forked child that then exits with 0, and collects what it printed.
 * The child's time is limited. */
void run_child(struct outcome *outcome, void (*body)(void *), void *argument);

/* Waits for a child and fails the test unless it exited with 0. */
void expect_success(pid_t child);

/* "exit status 3", "signal 6 (Aborted)". */
const char *describe_status(int status);

/* In a child, where a failed ck_assert would be reported to the wrong process. */
#define child_assert(condition)                         \
    do {                                                \
        if (!(condition))                               \
            child_fail(__FILE__, __LINE__, #condition); \
    } while (0)

_Noreturn void child_fail(const char *file, int line, const char *condition);

#endif
