/* cache/resident: what the kernel says of memory that was touched, given back, and is of one slice or
 * another; lines of a file. */
#include "tests/world.h"

#include <sys/mman.h>

static struct vl_residents residents;

static void set_up(void)
{
    begin_world(2);
}

static const struct vl_resident *of_block(const void *block)
{
    vl_residents_take(&residents);
    return &residents.slices[vl_slice_of(block)->number];
}

/* Tables, and the first pages of whatever is beside it, come on top. */
#define SLACK (256 << 10)

static void check_resident(const void *block, size_t bytes)
{
    const struct vl_resident *slice = of_block(block);
    ck_assert_uint_ge(slice->all, bytes);
    ck_assert_uint_le(slice->all, bytes + SLACK);
    ck_assert_uint_le(slice->huge, slice->all);
    ck_assert_uint_ge(residents.process.all, slice->all);
    ck_assert_uint_ge(residents.process.huge, slice->huge);
    ck_assert_uint_ge(residents.peak, residents.process.all);
}

START_TEST(memory_is_there_once_it_is_touched)
{
    char *block = vl_alloc(24 * MB);
    check_resident(block, 0);
    memset(block, 1, 12 * MB);
    check_resident(block, 12 * MB);
    memset(block, 1, 24 * MB);
    check_resident(block, 24 * MB);
    ck_assert_int_eq(madvise(block, 16 * MB, MADV_DONTNEED), 0);
    check_resident(block, 8 * MB);
}
END_TEST

static void *allocate_runs(void *unused)
{
    (void)unused;
    for (int i = 0; i < 8; i++)
        memset(vl_alloc(512 << 10), 1, 512 << 10);
    return vl_alloc(512 << 10);
}

static void *first_of_node[2];

static void *begin_on(void *number)
{
    first_of_node[*(unsigned *)number] = allocate_runs(NULL);
    return NULL;
}

START_TEST(each_slice_has_its_own)
{
    void *big = memset(vl_alloc(6 * MB), 1, 6 * MB);
    for (unsigned node = 0; node < 2; node++)
        run_on(node, begin_on, &node);
    check_resident(big, 6 * MB);
    for (unsigned node = 0; node < 2; node++) {
        check_resident(first_of_node[node], 4 * MB);
        struct vl_node_stats stats;
        vl_stats_take_node(&stats, node, &residents);
        ck_assert_uint_eq(stats.resident.all, of_block(first_of_node[node])->all);
        ck_assert_uint_eq(stats.regions_active, 3);
    }
}
END_TEST

START_TEST(faults_avoided)
{
    struct vl_resident resident = {.all = 64 * MB, .huge = 10 * MB};
    ck_assert_uint_eq(vl_resident_faults_avoided(&resident), 5 * (2 * MB / vl_os_page_size - 1));
}
END_TEST

/* --- Lines --- */

static char told[1 << 16];
static unsigned lines;

static void tell(const char *line, void *unused)
{
    (void)unused;
    lines++;
    strcat(strcat(told, line), "|");
}

static void read_lines_of(const char *text, size_t length)
{
    char path[] = "/tmp/test_resident.XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, length), (ssize_t)length);
    close(fd);
    told[0] = '\0';
    lines = 0;
    vl_os_read_lines(path, tell, NULL);
    unlink(path);
}

START_TEST(lines_come_one_by_one)
{
    read_lines_of("a\n\nbc\n", 6);
    ck_assert_str_eq(told, "a||bc|");
}
END_TEST

START_TEST(lines_across_the_ends_of_reads)
{
    static char text[20000 + 1], expected[20000];
    for (int i = 0; i < 2000; i++)
        snprintf(text + 10 * i, 11, "%9d\n", i);
    memcpy(expected, text, sizeof expected);
    for (size_t i = 0; i < sizeof expected; i++)
        expected[i] = expected[i] == '\n' ? '|' : expected[i];
    read_lines_of(text, sizeof expected);
    ck_assert_uint_eq(lines, 2000);
    ck_assert_mem_eq(told, expected, sizeof expected);
}
END_TEST

START_TEST(a_line_too_long_is_passed_over)
{
    static char text[10000];
    memset(text, 'x', sizeof text);
    memcpy(text, "first\n", 6);
    memcpy(text + sizeof text - 6, "\nlast\n", 6);
    read_lines_of(text, sizeof text);
    ck_assert_int_eq(strncmp(told, "first|", 6), 0);
    ck_assert_str_eq(told + strlen(told) - 6, "|last|");
}
END_TEST

START_TEST(no_file)
{
    lines = 0;
    vl_os_read_lines("/nonexistent", tell, NULL);
    ck_assert_uint_eq(lines, 0);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/resident");
    TCase *memory = tcase_create("memory"), *text = tcase_create("lines");
    tcase_add_checked_fixture(memory, set_up, NULL);
    tcase_add_test(memory, memory_is_there_once_it_is_touched);
    tcase_add_test(memory, each_slice_has_its_own);
    tcase_add_test(memory, faults_avoided);
    suite_add_tcase(suite, memory);
    tcase_add_test(text, lines_come_one_by_one);
    tcase_add_test(text, lines_across_the_ends_of_reads);
    tcase_add_test(text, a_line_too_long_is_passed_over);
    tcase_add_test(text, no_file);
    suite_add_tcase(suite, text);
    return suite;
}
