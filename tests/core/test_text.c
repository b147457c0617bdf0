/* core/text: every appender at its boundaries, truncation at every length, writing. */
#include "core/text.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *vl_suite(void);

static char buffer[128];

static struct vl_text fresh(void)
{
    memset(buffer, '#', sizeof buffer);
    return vl_text_on(buffer, sizeof buffer);
}

START_TEST(starts_empty)
{
    struct vl_text text = fresh();
    ck_assert_str_eq(text.buf, "");
    ck_assert_uint_eq(text.len, 0);
}
END_TEST

START_TEST(appends_in_order)
{
    struct vl_text text = fresh();
    vl_text_str(&text, "one");
    vl_text_char(&text, ' ');
    vl_text_str(&text, "");
    vl_text_str(&text, "two");
    ck_assert_str_eq(text.buf, "one two");
    ck_assert_uint_eq(text.len, 7);
}
END_TEST

START_TEST(parts_of_sentences)
{
    struct vl_text text = fresh();
    vl_text_item(&text, "held ", 3 << 19, ", ");
    vl_text_figure(&text, "node ", 3, ": ");
    vl_text_counted(&text, 0, "block");
    vl_text_counted(&text, 1, " thread");
    ck_assert_str_eq(text.buf, "held 1.5 MB, node 3: 0 blocks1  thread");
}
END_TEST

static const uint64_t numbers[] = {
    0, 1, 9, 10, 15, 16, 255, 4096, UINT32_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX,
};

START_TEST(numbers_as_printf)
{
    char expected[32];
    struct vl_text text = fresh();
    vl_text_u64(&text, numbers[_i]);
    snprintf(expected, sizeof expected, "%" PRIu64, numbers[_i]);
    ck_assert_str_eq(text.buf, expected);

    text = fresh();
    vl_text_i64(&text, (int64_t)numbers[_i]);
    snprintf(expected, sizeof expected, "%" PRId64, (int64_t)numbers[_i]);
    ck_assert_str_eq(text.buf, expected);

    text = fresh();
    vl_text_hex(&text, numbers[_i]);
    snprintf(expected, sizeof expected, "0x%" PRIx64, numbers[_i]);
    ck_assert_str_eq(text.buf, expected);
}
END_TEST

static const struct {
    int64_t value;
    unsigned decimals;
    const char *expected;
} fixed[] = {
    {12345, 3, "12.345"},
    {12005, 3, "12.005"},
    {5, 3, "0.005"},
    {-5, 3, "-0.005"},
    {-12345, 1, "-1234.5"},
    {0, 2, "0.00"},
    {42, 0, "42"},
    {INT64_MIN, 3, "-9223372036854775.808"},
    {INT64_MAX, 18, "9.223372036854775807"},
    {INT64_MAX, 19, "0.9223372036854775807"},
};

START_TEST(fixed_point)
{
    struct vl_text text = fresh();
    vl_text_fixed(&text, fixed[_i].value, fixed[_i].decimals);
    ck_assert_str_eq(text.buf, fixed[_i].expected);
}
END_TEST

static const struct {
    uint64_t bytes;
    const char *expected;
} sizes[] = {
    {0, "0 B"},
    {1, "1 B"},
    {1023, "1023 B"},
    {1024, "1.0 KB"},
    {1024 + 51, "1.0 KB"},
    {1024 + 52, "1.1 KB"},
    {1536, "1.5 KB"},
    {UINT64_C(1288490189), "1.2 GB"},
    {UINT64_C(1023) << 10, "1023.0 KB"},
    {(UINT64_C(1) << 20) - 52, "1023.9 KB"},
    {(UINT64_C(1) << 20) - 51, "1.0 MB"},
    {(UINT64_C(1) << 20) - 1, "1.0 MB"},
    {UINT64_C(1) << 20, "1.0 MB"},
    {UINT64_C(1) << 40, "1.0 TB"},
    {UINT64_C(3) << 49, "1.5 PB"},
    {UINT64_C(1) << 60, "1.0 EB"},
    {UINT64_MAX, "16.0 EB"},
};

START_TEST(bytes_for_people)
{
    struct vl_text text = fresh();
    vl_text_bytes(&text, sizes[_i].bytes);
    ck_assert_str_eq(text.buf, sizes[_i].expected);
}
END_TEST

/* What is shown is within half a tenth of the truth, and a 1024th for what is cut off below. */
START_TEST(bytes_are_near_the_truth)
{
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 100000; round++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        uint64_t bytes = seed >> (round % 64);
        struct vl_text text = fresh();
        vl_text_bytes(&text, bytes);
        char *unit;
        long double shown = strtold(text.buf, &unit);
        const char *units = "BKMGTPE";
        const char *power = strchr(units, unit[1]);
        ck_assert_ptr_nonnull(power);
        long double truth = bytes;
        for (const char *u = units; u < power; u++)
            truth /= 1024;
        ck_assert_msg(shown - truth < 0.0512L && truth - shown < 0.0512L, "%" PRIu64 " as %s",
                      bytes, text.buf);
        ck_assert_msg(shown < 1024, "%" PRIu64 " as %s", bytes, text.buf);
    }
}
END_TEST

static const struct {
    uint64_t part, whole;
    const char *expected;
} shares[] = {
    {0, 0, "-"},
    {1, 0, "-"},
    {0, 7, "0.0%"},
    {432, 1000, "43.2%"},
    {9999, 10000, "99.9%"},
    {7, 7, "100.0%"},
    {3, 2, "150.0%"},
    {1, UINT64_MAX, "0.0%"},
    {UINT64_MAX / 1000, UINT64_MAX / 1000, "100.0%"},
    {UINT64_MAX / 2, UINT64_MAX, "49.9%"},
    {UINT64_MAX / 10 * 9, UINT64_MAX, "89.9%"},
};

static unsigned long listed(const char *list)
{
    unsigned long words[2] = {~0ul, ~0ul};
    vl_text_list(list, words, 128);
    ck_assert_uint_eq(words[1], 0);
    return words[0];
}

START_TEST(lists_are_read_as_sets)
{
    unsigned long words[2];
    ck_assert_uint_eq(listed(""), 0);
    ck_assert_uint_eq(listed("\n"), 0);
    ck_assert_uint_eq(listed("0\n"), 1);
    ck_assert_uint_eq(listed("0-1,8\n"), 0x103);
    ck_assert_uint_eq(listed("3-2,4"), 0x10);
    ck_assert_uint_eq(listed("128,1000-2000,5"), 0x20);
    vl_text_list("62-65,127-200", words, 128);
    ck_assert_uint_eq(words[0], 3ul << 62);
    ck_assert_uint_eq(words[1], 3 | 1ul << 63);
}
END_TEST

START_TEST(numbers_are_read_as_far_as_they_go)
{
    ck_assert_uint_eq(vl_text_number("", 10), 0);
    ck_assert_uint_eq(vl_text_number("x1", 10), 0);
    ck_assert_uint_eq(vl_text_number("0012 kB", 10), 12);
    ck_assert_uint_eq(vl_text_number("18446744073709551615\n", 10), UINT64_MAX);
    ck_assert_uint_eq(vl_text_number("12ab", 10), 12);
    ck_assert_uint_eq(vl_text_number("7f0a-7f0b", 16), 0x7f0a);
    ck_assert_uint_eq(vl_text_number("g", 16), 0);
}
END_TEST

START_TEST(percentages)
{
    struct vl_text text = fresh();
    vl_text_percent(&text, shares[_i].part, shares[_i].whole);
    ck_assert_str_eq(text.buf, shares[_i].expected);
}
END_TEST

START_TEST(pads_to_a_column_of_the_line)
{
    struct vl_text text = fresh();
    vl_text_str(&text, "ab");
    vl_text_pad(&text, 4);
    vl_text_str(&text, "c\nlonger");
    vl_text_pad(&text, 4);
    vl_text_str(&text, "|\n");
    vl_text_pad(&text, 2);
    vl_text_str(&text, "d");
    ck_assert_str_eq(text.buf, "ab  c\nlonger|\n  d");
}
END_TEST

START_TEST(pad_stops_at_the_end)
{
    char small[8];
    struct vl_text text = vl_text_on(small, sizeof small);
    vl_text_pad(&text, SIZE_MAX);
    ck_assert_str_eq(small, "       ");
}
END_TEST

static void append_everything(struct vl_text *text)
{
    vl_text_str(text, "text ");
    vl_text_u64(text, 12345);
    vl_text_char(text, ' ');
    vl_text_i64(text, -678);
    vl_text_pad(text, 20);
    vl_text_hex(text, 0xabcdef);
    vl_text_bytes(text, 1536);
    vl_text_fixed(text, -12345, 3);
    vl_text_percent(text, 1, 3);
}

/* At every buffer size: a prefix of the whole, terminated, and nothing written behind it. */
START_TEST(truncates_at_any_size)
{
    struct vl_text whole = fresh();
    char whole_text[sizeof buffer];
    append_everything(&whole);
    ck_assert_uint_lt(whole.len, sizeof buffer - 1);
    strcpy(whole_text, whole.buf);
    size_t whole_len = whole.len;

    for (size_t size = 0; size <= whole_len + 2; size++) {
        memset(buffer, '#', sizeof buffer);
        struct vl_text text = vl_text_on(buffer, size);
        append_everything(&text);
        size_t len = size == 0 ? 0 : size - 1 < whole_len ? size - 1 : whole_len;
        ck_assert_uint_eq(text.len, len);
        ck_assert_int_eq(memcmp(buffer, whole_text, len), 0);
        if (size > 0)
            ck_assert_int_eq(buffer[len], '\0');
        for (size_t i = size; i < sizeof buffer; i++)
            ck_assert_int_eq(buffer[i], '#');
    }
}
END_TEST

START_TEST(line_end_is_always_there)
{
    struct vl_text text = fresh();
    vl_text_str(&text, "abc");
    vl_text_line_end(&text);
    ck_assert_str_eq(text.buf, "abc\n");

    text = vl_text_on(buffer, 4);
    vl_text_str(&text, "abc");
    vl_text_line_end(&text);
    ck_assert_str_eq(text.buf, "ab\n");

    text = vl_text_on(buffer, 1);
    vl_text_line_end(&text);
    ck_assert_str_eq(text.buf, "");

    text = vl_text_on(NULL, 0);
    vl_text_line_end(&text);
    ck_assert_uint_eq(text.len, 0);
}
END_TEST

START_TEST(writes_to_a_descriptor)
{
    int pipe_ends[2];
    char got[sizeof buffer];
    ck_assert_int_eq(pipe(pipe_ends), 0);
    struct vl_text text = fresh();
    vl_text_str(&text, "a line\n");
    ck_assert(vl_text_write(&text, pipe_ends[1]));
    ck_assert_int_eq(read(pipe_ends[0], got, sizeof got), 7);
    ck_assert_int_eq(memcmp(got, "a line\n", 7), 0);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}
END_TEST

START_TEST(failed_write_keeps_errno)
{
    struct vl_text text = fresh();
    vl_text_str(&text, "lost");
    errno = EDOM;
    ck_assert(!vl_text_write(&text, -1));
    ck_assert_int_eq(errno, EDOM);
}
END_TEST

static volatile sig_atomic_t interruptions;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interruptions++;
}

/* Interrupts its parent before each read; its exit status says whether all was as expected. */
static void read_slowly(int fd, size_t size)
{
    size_t done = 0;
    char chunk[4096];
    for (;;) {
        kill(getppid(), SIGUSR1);
        ssize_t count = read(fd, chunk, sizeof chunk);
        if (count <= 0)
            _exit(count == 0 && done == size ? 0 : 1);
        for (ssize_t i = 0; i < count; i++, done++)
            if (chunk[i] != (char)('a' + done % 26))
                _exit(2);
    }
}

/* Much more than a pipe holds, so that signals meet the write half done. */
START_TEST(write_goes_on_after_signals)
{
    enum { SIZE = 1 << 20 };
    char *large = malloc(SIZE + 1);
    ck_assert_ptr_nonnull(large);
    struct vl_text text = vl_text_on(large, SIZE + 1);
    for (size_t i = 0; i < SIZE; i++)
        vl_text_char(&text, (char)('a' + i % 26));

    int pipe_ends[2], status;
    struct sigaction action = {.sa_handler = interrupt}; /* no SA_RESTART */
    ck_assert_int_eq(pipe(pipe_ends), 0);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    pid_t reader = fork();
    ck_assert_int_ge(reader, 0);
    if (reader == 0) {
        close(pipe_ends[1]);
        read_slowly(pipe_ends[0], SIZE);
    }
    close(pipe_ends[0]);
    ck_assert(vl_text_write(&text, pipe_ends[1]));
    close(pipe_ends[1]);
    while (waitpid(reader, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(status, 0);
    ck_assert_int_gt(interruptions, 0);
    free(large);
}
END_TEST

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

Suite *vl_suite(void)
{
    Suite *suite = suite_create("core/text");

    TCase *append = tcase_create("append");
    tcase_add_test(append, starts_empty);
    tcase_add_test(append, appends_in_order);
    tcase_add_test(append, parts_of_sentences);
    tcase_add_loop_test(append, numbers_as_printf, 0, COUNT_OF(numbers));
    tcase_add_loop_test(append, fixed_point, 0, COUNT_OF(fixed));
    tcase_add_loop_test(append, bytes_for_people, 0, COUNT_OF(sizes));
    tcase_add_test(append, bytes_are_near_the_truth);
    tcase_add_test(append, numbers_are_read_as_far_as_they_go);
    tcase_add_test(append, lists_are_read_as_sets);
    tcase_add_loop_test(append, percentages, 0, COUNT_OF(shares));
    tcase_add_test(append, pads_to_a_column_of_the_line);
    suite_add_tcase(suite, append);

    TCase *truncate = tcase_create("truncate");
    tcase_add_test(truncate, pad_stops_at_the_end);
    tcase_add_test(truncate, truncates_at_any_size);
    tcase_add_test(truncate, line_end_is_always_there);
    suite_add_tcase(suite, truncate);

    TCase *write_out = tcase_create("write");
    tcase_add_test(write_out, writes_to_a_descriptor);
    tcase_add_test(write_out, failed_write_keeps_errno);
    tcase_add_test(write_out, write_goes_on_after_signals);
    suite_add_tcase(suite, write_out);

    return suite;
}
