/* core/panic: the exact line, its bound, one write, SIGABRT, and a stderr that is not there. */
#include "core/panic.h"

#include <check.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *vl_suite(void);

static jmp_buf after_panic;
static char caught[1024];

static void catch_line(const char *line)
{
    snprintf(caught, sizeof caught, "%s", line);
    longjmp(after_panic, 1);
}

static void set_up(void)
{
    caught[0] = '\0';
    vl_panic_hook = catch_line;
}

static void tear_down(void)
{
    vl_panic_hook = NULL;
}

static const char *panic_line(const char *function, const char *reason, uintptr_t pointer,
                              const char *detail)
{
    if (setjmp(after_panic) == 0)
        vl_panic(function, reason, (const void *)pointer, detail);
    return caught;
}

static const char *fatal_line(const char *text)
{
    if (setjmp(after_panic) == 0)
        vl_fatal(text);
    return caught;
}

START_TEST(line_with_detail)
{
    ck_assert_str_eq(panic_line("free", "double free of", 0x7f3b40012340, "64-byte class"),
                     "valloc: free(): double free of 0x7f3b40012340 (64-byte class)\n");
}
END_TEST

START_TEST(line_without_detail)
{
    ck_assert_str_eq(panic_line("realloc", "not allocated:", 0, NULL),
                     "valloc: realloc(): not allocated: 0x0\n");
}
END_TEST

START_TEST(highest_pointer)
{
    ck_assert_str_eq(panic_line("free", "wild pointer", UINTPTR_MAX, ""),
                     "valloc: free(): wild pointer 0xffffffffffffffff ()\n");
}
END_TEST

START_TEST(fatal_text)
{
    ck_assert_str_eq(fatal_line("no address space"), "valloc: no address space\n");
}
END_TEST

/* `length` more characters make the line one longer each, until it is full; it always ends well. */
START_TEST(line_is_bounded)
{
    char detail[2 * VL_PANIC_LINE_MAX] = "";
    const size_t rest = strlen("valloc: free(): reason 0x10 ()\n");
    for (size_t length = 0; length < sizeof detail - 1; length++) {
        const char *line = panic_line("free", "reason", 0x10, detail);
        size_t expected = rest + length;
        if (expected > VL_PANIC_LINE_MAX)
            expected = VL_PANIC_LINE_MAX;
        ck_assert_uint_eq(strlen(line), expected);
        ck_assert_ptr_eq(strchr(line, '\n'), line + expected - 1);
        ck_assert_int_eq(strncmp(line, "valloc: free(): reason 0x10 (", rest - 2), 0);
        detail[length] = 'd';
    }
}
END_TEST

START_TEST(fatal_text_is_bounded)
{
    char text[2 * VL_PANIC_LINE_MAX];
    memset(text, 't', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    const char *line = fatal_line(text);
    ck_assert_uint_eq(strlen(line), VL_PANIC_LINE_MAX);
    ck_assert_int_eq(line[VL_PANIC_LINE_MAX - 1], '\n');
}
END_TEST

/* ---- dying, in a child whose stderr is `stderr_fd`, or is closed if that is -1 ---- */

static void hook_that_returns(const char *line)
{
    (void)line;
}

static int status_of_panic(int stderr_fd, void (*hook)(const char *line))
{
    int status;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        if (stderr_fd >= 0)
            dup2(stderr_fd, 2);
        else
            close(2);
        vl_panic_hook = hook;
        vl_panic("free", "double free of", (const void *)0x1230, "16-byte class");
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

/* A datagram is what one write(2) wrote. */
static void check_line_and_death(void (*hook)(const char *line))
{
    const char *expected = "valloc: free(): double free of 0x1230 (16-byte class)\n";
    char got[512];
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    int status = status_of_panic(ends[1], hook);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);

    ssize_t count = recv(ends[0], got, sizeof got - 1, MSG_DONTWAIT);
    ck_assert_int_eq(count, (ssize_t)strlen(expected));
    got[count] = '\0';
    ck_assert_str_eq(got, expected);
    ck_assert_int_eq(recv(ends[0], got, sizeof got, MSG_DONTWAIT), -1);
    close(ends[0]);
    close(ends[1]);
}

START_TEST(dies_with_one_write)
{
    check_line_and_death(NULL);
}
END_TEST

START_TEST(dies_after_a_hook_that_returns)
{
    check_line_and_death(hook_that_returns);
}
END_TEST

START_TEST(dies_with_stderr_closed)
{
    int status = status_of_panic(-1, NULL);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("core/panic");

    TCase *line = tcase_create("line");
    tcase_add_checked_fixture(line, set_up, tear_down);
    tcase_add_test(line, line_with_detail);
    tcase_add_test(line, line_without_detail);
    tcase_add_test(line, highest_pointer);
    tcase_add_test(line, fatal_text);
    tcase_add_test(line, line_is_bounded);
    tcase_add_test(line, fatal_text_is_bounded);
    suite_add_tcase(suite, line);

    TCase *death = tcase_create("death");
    tcase_add_test(death, dies_with_one_write);
    tcase_add_test(death, dies_after_a_hook_that_returns);
    tcase_add_test(death, dies_with_stderr_closed);
    suite_add_tcase(suite, death);

    return suite;
}
