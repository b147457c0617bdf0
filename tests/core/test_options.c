/* core/options: each parser at its boundaries, the environment, the report, random environments. */
#include "core/options.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

Suite *vl_suite(void);

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))
#define KB              UINT64_C(1024)
#define MB              (KB * KB)
#define GB              (MB * KB)
#define TB              (GB * KB)

/* ---- helpers ---- */

/* The options after a load of an environment of one or more entries. */
#define LOADED(...) loaded((char *[]){__VA_ARGS__, NULL}, false)

static struct vl_options loaded(char *const *environment, bool secure)
{
    struct vl_options options;
    memset(&options, 0xa5, sizeof options); /* load must not rely on what was there */
    vl_options_load(&options, environment, secure);
    return options;
}

static const char *report_of(const struct vl_options *options)
{
    static char text[8192];
    int fd = memfd_create("report", 0);
    ck_assert_int_ge(fd, 0);
    vl_options_report(options, fd);
    ssize_t count = pread(fd, text, sizeof text - 1, 0);
    ck_assert_int_ge(count, 0);
    ck_assert_int_lt(count, (ssize_t)sizeof text - 1);
    text[count] = '\0';
    close(fd);
    return text;
}

static const char *printed(const struct vl_option *option, int64_t value)
{
    static char buffers[2][128];
    static unsigned turn;
    char *buf = buffers[turn++ % 2];
    struct vl_text text = vl_text_on(buf, sizeof buffers[0]);
    vl_option_print(option, value, &text);
    return buf;
}

static void no_amount(int node, uint64_t bytes, void *unused)
{
    (void)node, (void)bytes, (void)unused;
}

static void no_tier(enum vl_tier tier, uint64_t bytes, void *unused)
{
    (void)tier, (void)bytes, (void)unused;
}

/* Texts may be the same and lie in different places. */
static bool is_same(const struct vl_option *option, int64_t a, int64_t b)
{
    char text[128];
    strcpy(text, printed(option, a));
    return a == b || strcmp(text, printed(option, b)) == 0;
}

static bool is_value_of(const struct vl_option *option, int64_t value)
{
    bool word_beside = option->type >= VL_OPTION_UNSIGNED && option->words[0] != '\0';
    if (option->type == VL_OPTION_AMOUNTS) /* the text that stands for it */
        return value == 0 || vl_amounts_read((const char *)(intptr_t)value, no_amount, NULL);
    if (option->type == VL_OPTION_TIERS)
        return value == 0 || vl_tiers_read((const char *)(intptr_t)value, no_tier, NULL);
    return (value >= option->min && value <= option->max) || (word_beside && value == -1);
}

/* ---- parsers ---- */

static const struct vl_option sample_bool = {
    .type = VL_OPTION_BOOL, .words = "0|1|no|yes|off|on|false|true", .max = 1};
static const struct vl_option sample_word = {
    .type = VL_OPTION_WORD, .words = "auto|off|offline", .max = 2};
static const struct vl_option sample_unsigned = {.type = VL_OPTION_UNSIGNED, .min = 3, .max = 70};
static const struct vl_option sample_size = {
    .type = VL_OPTION_SIZE, .min = 4096, .max = (int64_t)(8 * TB)};
static const struct vl_option sample_size_auto = {
    .type = VL_OPTION_SIZE, .words = "auto", .max = INT64_MAX};
static const struct vl_option sample_time = {.type = VL_OPTION_TIME, .words = "-1", .max = 3600000};
static const struct vl_option sample_time_wide = {.type = VL_OPTION_TIME, .max = INT64_MAX};
static const struct vl_option sample_amounts = {.type = VL_OPTION_AMOUNTS};
static const struct vl_option sample_tiers = {.type = VL_OPTION_TIERS, .words = "none"};
static const struct vl_option sample_limit = {
    .type = VL_OPTION_LIMIT, .words = "none", .min = 4096, .max = (int64_t)(8 * TB)};

static const struct {
    const struct vl_option *option;
    const char *string;
    int64_t value;
} good_values[] = {
    {&sample_bool, "0", 0},
    {&sample_bool, "1", 1},
    {&sample_bool, "no", 0},
    {&sample_bool, "yes", 1},
    {&sample_bool, "off", 0},
    {&sample_bool, "on", 1},
    {&sample_bool, "false", 0},
    {&sample_bool, "true", 1},
    {&sample_word, "auto", 0},
    {&sample_word, "off", 1},
    {&sample_word, "offline", 2},
    {&sample_unsigned, "3", 3},
    {&sample_unsigned, "70", 70},
    {&sample_unsigned, "0000000000000000000000042", 42},
    {&sample_size, "4096", 4096},
    {&sample_size, "4K", 4096},
    {&sample_size, "4k", 4096},
    {&sample_size, "5000", 5000},
    {&sample_size, "2M", (int64_t)(2 * MB)},
    {&sample_size, "3g", (int64_t)(3 * GB)},
    {&sample_size, "8T", (int64_t)(8 * TB)},
    {&sample_size, "8192G", (int64_t)(8 * TB)},
    {&sample_size_auto, "auto", -1},
    {&sample_size_auto, "0", 0},
    {&sample_size_auto, "0T", 0},
    {&sample_size_auto, "9223372036854775807", INT64_MAX},
    {&sample_size_auto, "8388607T", INT64_MAX - (int64_t)TB + 1},
    {&sample_time, "-1", -1},
    {&sample_time, "0", 0},
    {&sample_time, "0s", 0},
    {&sample_time, "250", 250},
    {&sample_time, "250ms", 250},
    {&sample_time, "10s", 10000},
    {&sample_time, "3600s", 3600000},
    {&sample_time, "3600000ms", 3600000},
    {&sample_time_wide, "9223372036854775s", INT64_C(9223372036854775000)},
    {&sample_limit, "none", VL_LIMIT_NONE},
    {&sample_limit, "4096", 4096},
    {&sample_limit, "2g", (int64_t)(2 * GB)},
    {&sample_limit, "1%cgroup", VL_LIMIT_NONE - 1},
    {&sample_limit, "100%cgroup", VL_LIMIT_NONE - 100},
};

START_TEST(good_value)
{
    int64_t value = INT64_MIN;
    ck_assert_msg(vl_option_parse(good_values[_i].option, good_values[_i].string, &value), "%s",
                  good_values[_i].string);
    ck_assert_msg(value == good_values[_i].value, "%s is %" PRId64, good_values[_i].string, value);
}
END_TEST

static const struct {
    const struct vl_option *option;
    const char *string;
} bad_values[] = {
    {&sample_bool, ""},
    {&sample_bool, "2"},
    {&sample_bool, "00"},
    {&sample_bool, "y"},
    {&sample_bool, "yess"},
    {&sample_bool, "0|1"},
    {&sample_bool, "|"},
    {&sample_word, ""},
    {&sample_word, "of"},
    {&sample_word, "offl"},
    {&sample_word, "offlines"},
    {&sample_word, "AUTO"},
    {&sample_word, "auto|off"},
    {&sample_word, " auto"},
    {&sample_word, "0"},
    {&sample_unsigned, ""},
    {&sample_unsigned, "2"},
    {&sample_unsigned, "71"},
    {&sample_unsigned, "-1"},
    {&sample_unsigned, "-5"},
    {&sample_unsigned, "+5"},
    {&sample_unsigned, " 5"},
    {&sample_unsigned, "5 "},
    {&sample_unsigned, "5K"},
    {&sample_unsigned, "5s"},
    {&sample_unsigned, "0x10"},
    {&sample_unsigned, "4294967301"},            /* 2^32 + 5 */
    {&sample_unsigned, "18446744073709551621"},  /* 2^64 + 5 */
    {&sample_unsigned, "184467440737095516160"}, /* more than 2^64 times ten */
    {&sample_size, ""},
    {&sample_size, "K"},
    {&sample_size, "4095"},
    {&sample_size, "3K"},
    {&sample_size, "8193G"},
    {&sample_size, "9T"},
    {&sample_size, "1.5G"},
    {&sample_size, "64KB"},
    {&sample_size, "64 K"},
    {&sample_size, "64KK"},
    {&sample_size, "64P"},
    {&sample_size, "64s"},
    {&sample_size, "-64K"},
    {&sample_size, "-1"},
    {&sample_size, "auto"},
    {&sample_size, "18014398509481985K"}, /* 2^64 + 1024 */
    {&sample_size, "16777217T"},          /* 2^64 + 2^40 */
    {&sample_size_auto, "aut"},
    {&sample_size_auto, "autos"},
    {&sample_size_auto, "9223372036854775808"},  /* 2^63 */
    {&sample_size_auto, "18446744073709551615"}, /* 2^64 - 1, that is -1 */
    {&sample_size_auto, "8388608T"},             /* 2^63 */
    {&sample_time, ""},
    {&sample_time, "s"},
    {&sample_time, "ms"},
    {&sample_time, "-2"},
    {&sample_time, "-1s"},
    {&sample_time, "--1"},
    {&sample_time, "10m"},
    {&sample_time, "10S"},
    {&sample_time, "10sec"},
    {&sample_time, "10 s"},
    {&sample_time, "10K"},
    {&sample_time, "0.5s"},
    {&sample_time, "3601s"},
    {&sample_time, "3600001"},
    {&sample_amounts, ""},
    {&sample_amounts, "G"},
    {&sample_amounts, "1x"},
    {&sample_amounts, "1GB"},
    {&sample_amounts, "65T"},
    {&sample_amounts, "99999999999999999999"},
    {&sample_amounts, "17179869184G"}, /* 2^64 */
    {&sample_amounts, "-1"},
    {&sample_amounts, "8G,"},
    {&sample_amounts, "8G,8G"},
    {&sample_amounts, "8G,1:8G"},
    {&sample_amounts, "0:"},
    {&sample_amounts, "0:8G,"},
    {&sample_amounts, "0:8G,8G"},
    {&sample_amounts, "0:8G 1:8G"},
    {&sample_amounts, ":8G"},
    {&sample_amounts, "-1:8G"},
    {&sample_amounts, "4294967296:8G"},
    {&sample_tiers, ""},
    {&sample_tiers, "0"},
    {&sample_tiers, "hbm"},
    {&sample_tiers, "64M"},
    {&sample_tiers, "hbm:64M"},
    {&sample_tiers, "hbm:>64M"},
    {&sample_tiers, "hbm:>="},
    {&sample_tiers, "HBM:>=64M"},
    {&sample_tiers, "hb:>=64M"},
    {&sample_tiers, "hbmm:>=64M"},
    {&sample_tiers, "dram:>=64M"},
    {&sample_tiers, "hbm:>=1023K"},
    {&sample_tiers, "hbm:>=65T"},
    {&sample_tiers, "hbm:>=64M,"},
    {&sample_tiers, "hbm:>=64M cxl:>=1G"},
    {&sample_tiers, "hbm:>=64M,hbm:>=1G"},
    {&sample_tiers, "none,hbm:>=64M"},
    {&sample_limit, "0"},
    {&sample_limit, "-1"},
    {&sample_limit, "9T"},
    {&sample_limit, "10s"},
    {&sample_limit, "0%cgroup"},
    {&sample_limit, "101%cgroup"},
    {&sample_limit, "90%"},
    {&sample_limit, "%cgroup"},
    {&sample_limit, "90%cgroups"},
    {&sample_limit, "90 %cgroup"},
    {&sample_size, "90%cgroup"},
    {&sample_time_wide, "9223372036854776s"},  /* 2^63 and more */
    {&sample_time_wide, "18446744073709552s"}, /* 2^64 and more */
    {&sample_time_wide, "-1"},
};

START_TEST(bad_value)
{
    int64_t value = 77;
    ck_assert_msg(!vl_option_parse(bad_values[_i].option, bad_values[_i].string, &value), "'%s'",
                  bad_values[_i].string);
    ck_assert_int_eq(value, 77);
}
END_TEST

static void add_amount(int node, uint64_t bytes, void *text)
{
    vl_text_i64(text, node);
    vl_text_char(text, '=');
    vl_text_u64(text, bytes);
    vl_text_char(text, ' ');
}

static const char *const amounts[][2] = {
    {"0", "-1=0 "},
    {"8g", "-1=8589934592 "},
    {"64T", "-1=70368744177664 "},
    {"0:1K", "0=1024 "},
    {"3:2M,1:1G,12:7", "3=2097152 1=1073741824 12=7 "},
};

static void set_tier(enum vl_tier tier, uint64_t bytes, void *sizes)
{
    ((uint64_t *)sizes)[tier] = bytes;
}

static const struct {
    const char *text;
    uint64_t hbm, cxl;
} tiers[] = {
    {"hbm:>=64M", 64 * MB, 0},
    {"cxl:>=1g", 0, GB},
    {"hbm:>=64M,cxl:>=1G", 64 * MB, GB},
    {"cxl:>=64T,hbm:>=1048576", MB, 64 * TB},
};

START_TEST(tiers_with_sizes)
{
    uint64_t sizes[VL_TIERS] = {0};
    int64_t value;
    ck_assert(vl_tiers_read(tiers[_i].text, set_tier, sizes));
    ck_assert_uint_eq(sizes[VL_TIER_HBM], tiers[_i].hbm);
    ck_assert_uint_eq(sizes[VL_TIER_CXL], tiers[_i].cxl);
    ck_assert(vl_option_parse(&sample_tiers, tiers[_i].text, &value));
    ck_assert_str_eq(printed(&sample_tiers, value), tiers[_i].text);
    ck_assert(vl_option_parse(&sample_tiers, "none", &value));
    ck_assert_int_eq(value, 0);
}
END_TEST

START_TEST(amounts_for_nodes)
{
    char found[200];
    struct vl_text text = vl_text_on(found, sizeof found);
    int64_t value;
    ck_assert(vl_amounts_read(amounts[_i][0], add_amount, &text));
    vl_text_char(&text, '\0');
    ck_assert_str_eq(found, amounts[_i][1]);
    ck_assert(vl_option_parse(&sample_amounts, amounts[_i][0], &value));
    ck_assert_str_eq(printed(&sample_amounts, value), amounts[_i][0]);
}
END_TEST

static const struct {
    const struct vl_option *option;
    int64_t value;
    const char *string;
} prints[] = {
    {&sample_amounts, 0, "0"},
    {&sample_tiers, 0, "none"},
    {&sample_limit, VL_LIMIT_NONE, "none"},
    {&sample_limit, VL_LIMIT_NONE - 90, "90%cgroup"},
    {&sample_limit, 3 << 20, "3M"},
    {&sample_bool, 0, "0"},
    {&sample_bool, 1, "1"},
    {&sample_word, 0, "auto"},
    {&sample_word, 2, "offline"},
    {&sample_unsigned, 42, "42"},
    {&sample_unsigned, 1024, "1024"},
    {&sample_size, 0, "0"},
    {&sample_size, 1023, "1023"},
    {&sample_size, 1024, "1K"},
    {&sample_size, 1025, "1025"},
    {&sample_size, (int64_t)(1536 * MB), "1536M"},
    {&sample_size, (int64_t)(2 * GB), "2G"},
    {&sample_size, (int64_t)(4096 * TB), "4096T"},
    {&sample_size_auto, -1, "auto"},
    {&sample_time, -1, "-1"},
    {&sample_time, 0, "0"},
    {&sample_time, 999, "999ms"},
    {&sample_time, 1000, "1s"},
    {&sample_time, 1001, "1001ms"},
    {&sample_time, 90000, "90s"},
};

START_TEST(prints_in_the_largest_unit)
{
    ck_assert_str_eq(printed(prints[_i].option, prints[_i].value), prints[_i].string);
}
END_TEST

/* ---- the table ---- */

START_TEST(row_is_sound)
{
    const struct vl_option *option = &vl_option_table[_i];
    int64_t value;
    ck_assert_msg(is_value_of(option, option->initial), "%s", option->name);
    ck_assert_msg(vl_option_parse(option, printed(option, option->initial), &value), "%s",
                  option->name);
    ck_assert_msg(value == option->initial, "%s", option->name);
    ck_assert_msg(option->help[0] != '\0' && strcspn(option->help, ".'") > 0, "%s", option->name);
    ck_assert_msg(vl_option_get(option, &vl_options) == option->initial, "%s: static default",
                  option->name);
    for (int other = 0; other < _i; other++)
        ck_assert_str_ne(option->name, vl_option_table[other].name);
}
END_TEST

START_TEST(nothing_given_is_the_defaults)
{
    struct vl_options options = loaded(NULL, false);
    for (unsigned i = 0; i < vl_option_count; i++)
        ck_assert_int_eq(vl_option_get(&vl_option_table[i], &options), vl_option_table[i].initial);
    ck_assert_uint_eq(options.given, 0);
    ck_assert_uint_eq(options.rejected_count, 0);
    ck_assert_str_eq(report_of(&options), "");

    ck_assert(!options.help);
    ck_assert(!options.verbose);
    ck_assert_int_eq(options.stats_mode, VL_STATS_OFF);
    ck_assert_int_eq(options.hugepage_mode, VL_HUGEPAGE_AUTO);
    ck_assert_int_eq(options.numa_mode, VL_NUMA_AUTO);
    ck_assert_int_eq(options.large_policy, VL_LARGE_FIRST_TOUCH);
    ck_assert_int_eq(options.fill_mode, VL_FILL_NONE);
    ck_assert_uint_eq(options.huge_start_bytes, 8 * MB);
    ck_assert_uint_eq(options.thread_cache_bytes, MB);
    ck_assert_uint_eq(options.large_cache_bytes, VL_SIZE_AUTO);
    ck_assert_uint_eq(options.va_reserve_bytes, VL_SIZE_AUTO);
    ck_assert_int_eq(options.purge_delay_ms, 10000);
}
END_TEST

/* Ties each word to its enumerator and each name to its field. */
START_TEST(each_variable_reaches_its_field)
{
    ck_assert(LOADED("VALLOC_HELP=yes").help);
    ck_assert(LOADED("VALLOC_VERBOSE=1").verbose);
    ck_assert_int_eq(LOADED("VALLOC_STATS=0").stats_mode, VL_STATS_OFF);
    ck_assert_int_eq(LOADED("VALLOC_STATS=1").stats_mode, VL_STATS_SUMMARY);
    ck_assert_int_eq(LOADED("VALLOC_STATS=json").stats_mode, VL_STATS_JSON);
    ck_assert_int_eq(LOADED("VALLOC_HUGEPAGE=auto").hugepage_mode, VL_HUGEPAGE_AUTO);
    ck_assert_int_eq(LOADED("VALLOC_HUGEPAGE=never").hugepage_mode, VL_HUGEPAGE_NEVER);
    ck_assert_int_eq(LOADED("VALLOC_HUGEPAGE=thp").hugepage_mode, VL_HUGEPAGE_THP);
    ck_assert_int_eq(LOADED("VALLOC_HUGEPAGE=always").hugepage_mode, VL_HUGEPAGE_ALWAYS);
    ck_assert_int_eq(LOADED("VALLOC_HUGEPAGE=hugetlb").hugepage_mode, VL_HUGEPAGE_HUGETLB);
    ck_assert_int_eq(LOADED("VALLOC_HUGEPAGE=hugetlb:1G").hugepage_mode, VL_HUGEPAGE_GIANT);
    ck_assert_int_eq(LOADED("VALLOC_NUMA=auto").numa_mode, VL_NUMA_AUTO);
    ck_assert_int_eq(LOADED("VALLOC_NUMA=off").numa_mode, VL_NUMA_OFF);
    ck_assert_int_eq(LOADED("VALLOC_LARGE_POLICY=local").large_policy, VL_LARGE_LOCAL);
    ck_assert_int_eq(LOADED("VALLOC_LARGE_POLICY=interleave").large_policy, VL_LARGE_INTERLEAVE);
    ck_assert_int_eq(LOADED("VALLOC_LARGE_POLICY=weighted").large_policy, VL_LARGE_WEIGHTED);
    ck_assert_int_eq(LOADED("VALLOC_FILL=none").fill_mode, VL_FILL_NONE);
    ck_assert_int_eq(LOADED("VALLOC_FILL=junk").fill_mode, VL_FILL_JUNK);
    ck_assert_int_eq(LOADED("VALLOC_FILL=zero").fill_mode, VL_FILL_ZERO);
    ck_assert_uint_eq(LOADED("VALLOC_HUGEPAGE_START=1G").huge_start_bytes, GB);
    ck_assert_uint_eq(LOADED("VALLOC_THREAD_CACHE=0").thread_cache_bytes, 0);
    ck_assert_uint_eq(LOADED("VALLOC_LARGE_CACHE=3G").large_cache_bytes, 3 * GB);
    ck_assert_uint_eq(LOADED("VALLOC_LARGE_CACHE=auto").large_cache_bytes, VL_SIZE_AUTO);
    ck_assert_uint_eq(LOADED("VALLOC_VA_RESERVE=128M").va_reserve_bytes, 128 * MB);
    ck_assert_int_eq(LOADED("VALLOC_PURGE_DELAY=-1").purge_delay_ms, VL_TIME_NEVER);
    ck_assert_int_eq(LOADED("VALLOC_PURGE_DELAY=0").purge_delay_ms, 0);
    ck_assert_int_eq(LOADED("VALLOC_PURGE_DELAY=1500ms").purge_delay_ms, 1500);
}
END_TEST

/* ---- the environment ---- */

START_TEST(other_variables_are_passed_over)
{
    struct vl_options options =
        LOADED("", "=", "PATH=/bin", "VALLOC", "VALLOC=1", "VALLOC_STATS", "VALLOCX_STATS=1",
               "MY_VALLOC_STATS=1", "valloc_stats=1", "VALLOC_LIBRARY=/lib/libvalloc.so");
    ck_assert_int_eq(options.stats_mode, VL_STATS_OFF);
    ck_assert_uint_eq(options.given, 0);
    ck_assert_uint_eq(options.rejected_count, 0);
}
END_TEST

START_TEST(first_of_two_counts)
{
    struct vl_options options = LOADED("VALLOC_STATS=json", "A=b", "VALLOC_STATS=1");
    ck_assert_int_eq(options.stats_mode, VL_STATS_JSON);
    options = LOADED("VALLOC_STATS=bad", "VALLOC_STATS=1", "VALLOC_STATS=worse");
    ck_assert_int_eq(options.stats_mode, VL_STATS_OFF);
    ck_assert_uint_eq(options.rejected_count, 1);
    options = LOADED("VALLOC_STATS=", "VALLOC_STATS=1");
    ck_assert_int_eq(options.stats_mode, VL_STATS_OFF);
}
END_TEST

START_TEST(empty_value_is_no_value)
{
    struct vl_options options = LOADED("VALLOC_PURGE_DELAY=", "VALLOC_HELP=");
    ck_assert_int_eq(options.purge_delay_ms, 10000);
    ck_assert_uint_eq(options.given, 0);
    ck_assert_uint_eq(options.rejected_count, 0);
}
END_TEST

START_TEST(secure_process_reads_nothing)
{
    char *environment[] = {"VALLOC_HELP=1", "VALLOC_STATS=1", "VALLOC_NONSENSE=1", NULL};
    struct vl_options options = loaded(environment, true);
    ck_assert(!options.help);
    ck_assert_int_eq(options.stats_mode, VL_STATS_OFF);
    ck_assert_str_eq(report_of(&options), "");
}
END_TEST

/* ---- the report ---- */

static const struct {
    char *entry;
    const char *warning;
} warnings[] = {
    {"VALLOC_STAT=1", "valloc: unknown variable VALLOC_STAT, did you mean VALLOC_STATS?\n"},
    {"VALLOC_STAST=1", "valloc: unknown variable VALLOC_STAST, did you mean VALLOC_STATS?\n"},
    {"VALLOC_NMUA=1", "valloc: unknown variable VALLOC_NMUA, did you mean VALLOC_NUMA?\n"},
    {"VALLOC_HUGE=1", "valloc: unknown variable VALLOC_HUGE, did you mean VALLOC_HUGEPAGE?\n"},
    {"VALLOC_stats=1", "valloc: unknown variable VALLOC_stats, did you mean VALLOC_STATS?\n"},
    {"VALLOC_HUGE_PAGE=1",
     "valloc: unknown variable VALLOC_HUGE_PAGE, did you mean VALLOC_HUGEPAGE?\n"},
    {"VALLOC_HUGEPAGE_STRAT=1",
     "valloc: unknown variable VALLOC_HUGEPAGE_STRAT, did you mean VALLOC_HUGEPAGE_START?\n"},
    {"VALLOC_PURGE=1", "valloc: unknown variable VALLOC_PURGE, did you mean VALLOC_PURGE_DELAY?\n"},
    {"VALLOC_QXZ=1", "valloc: unknown variable VALLOC_QXZ, VALLOC_HELP=1 lists those there are\n"},
    {"VALLOC_=1", "valloc: unknown variable VALLOC_, VALLOC_HELP=1 lists those there are\n"},
    {"VALLOC_NUMANUMANUMANUMANUMANUMANUMANUMANUMANUMAN=1",
     "valloc: unknown variable VALLOC_NUMANUMANUMANUMANUMANUMANUMANUMANUMANUMA..., "
     "VALLOC_HELP=1 lists those there are\n"},
    {"VALLOC_PURGE_DELAY=abc",
     "valloc: VALLOC_PURGE_DELAY=abc is not a time (for example 500ms, 10s or -1); using 10s\n"},
    {"VALLOC_PURGE_DELAY=366000000s",
     "valloc: VALLOC_PURGE_DELAY=366000000s is not a time (for example 500ms, 10s or -1); "
     "using 10s\n"},
    {"VALLOC_HUGEPAGE=huge", "valloc: VALLOC_HUGEPAGE=huge is not one of "
                             "auto|never|thp|always|hugetlb|hugetlb:1G; using auto\n"},
    {"VALLOC_VERBOSE=2", "valloc: VALLOC_VERBOSE=2 is not 0 or 1; using 0\n"},
    {"VALLOC_THREAD_CACHE=2MB",
     "valloc: VALLOC_THREAD_CACHE=2MB is not a size from 0 to 1T; using 1M\n"},
    {"VALLOC_VA_RESERVE=63M",
     "valloc: VALLOC_VA_RESERVE=63M is not auto or a size from 64M to 64T; using auto\n"},
    {"VALLOC_NUMA=a\nb\033c\177\xff",
     "valloc: VALLOC_NUMA=a?b?c?? is not one of auto|off; using auto\n"},
    {"VALLOC_TIER=dram:>=1G",
     "valloc: VALLOC_TIER=dram:>=1G is not none, or hbm, cxl with sizes from 1M "
     "on (hbm:>=64M,cxl:>=1G); using none\n"},
    {"VALLOC_LARGE_POLICY=bind",
     "valloc: VALLOC_LARGE_POLICY=bind is not one of firsttouch|local|interleave|weighted; "
     "using firsttouch\n"},
    {"VALLOC_NUMA=0123456789012345678901234567890123456789x",
     "valloc: VALLOC_NUMA=0123456789012345678901234567890123456789... is not one of auto|off; "
     "using auto\n"},
};

START_TEST(one_line_for_a_mistake)
{
    struct vl_options options = LOADED(warnings[_i].entry);
    ck_assert_str_eq(report_of(&options), warnings[_i].warning);
}
END_TEST

/* The same words without the beginning and the default, which is for whoever asks to say. */
START_TEST(check_tells_the_mistake)
{
    char line[256];
    struct vl_text text = vl_text_on(line, sizeof line);
    ck_assert(!vl_option_check(warnings[_i].entry, &text));
    ck_assert_uint_eq(strncmp(warnings[_i].warning + strlen("valloc: "), line, text.len), 0);
    ck_assert_uint_gt(text.len, strlen("VALLOC_X=y is not"));
}
END_TEST

START_TEST(check_finds_nothing)
{
    static const char *const entries[] = {"VALLOC_NUMA=off", "VALLOC_NUMA=", "PATH=/bin", "",
                                          "VALLOC"};
    for (unsigned i = 0; i < COUNT_OF(entries); i++) {
        struct vl_text none = vl_text_on(NULL, 0);
        ck_assert(vl_option_check(entries[i], &none));
    }
}
END_TEST

START_TEST(only_so_many_mistakes_are_listed)
{
    enum { MISTAKES = VL_OPTIONS_REJECTED_MAX + 3 };
    char *environment[MISTAKES + 1] = {NULL};
    char expected[MISTAKES * 80] = "";
    for (int i = 0; i < MISTAKES; i++)
        environment[i] = "VALLOC_QXZ=1";
    for (int i = 0; i < VL_OPTIONS_REJECTED_MAX; i++)
        strcat(expected,
               "valloc: unknown variable VALLOC_QXZ, VALLOC_HELP=1 lists those there are\n");
    strcat(expected, "valloc: and 3 more VALLOC_ variables that are not understood\n");
    struct vl_options options = loaded(environment, false);
    ck_assert_str_eq(report_of(&options), expected);
}
END_TEST

START_TEST(changed_environment_is_passed_over)
{
    char entry[] = "VALLOC_QXZ=1";
    struct vl_options options = LOADED(entry);
    memset(entry, 'x', sizeof entry - 1);
    ck_assert_str_eq(report_of(&options), "");
}
END_TEST

START_TEST(help_lists_every_variable)
{
    struct vl_options options =
        LOADED("VALLOC_HELP=1", "VALLOC_VERBOSE=1", "VALLOC_PURGE_DELAY=500ms");
    const char *report = report_of(&options);
    const char *purge_delay = "VALLOC_PURGE_DELAY=500ms (environment)\n"
                              "    a time (for example 500ms, 10s or -1), default 10s\n"
                              "    how long free memory is kept";
    ck_assert_ptr_nonnull(strstr(report, purge_delay));
    ck_assert_ptr_nonnull(strstr(report, "VALLOC_HELP=1 (environment)\n    0 or 1, default 0\n"));
    unsigned lines = 0;
    for (const char *c = report; *c != '\0'; c++)
        lines += *c == '\n';
    ck_assert_uint_eq(lines, 3 * vl_option_count);
    for (unsigned i = 0; i < vl_option_count; i++) {
        const char *entry = strstr(report, vl_option_table[i].help);
        ck_assert_msg(entry != NULL && entry[strlen(vl_option_table[i].help)] == '\n', "%s",
                      vl_option_table[i].name);
    }
}
END_TEST

START_TEST(verbose_says_what_is_in_force)
{
    struct vl_options options = LOADED("VALLOC_VERBOSE=on", "VALLOC_THREAD_CACHE=1536k");
    char expected[2048] = "";
    for (unsigned i = 0; i < vl_option_count; i++) {
        const struct vl_option *option = &vl_option_table[i];
        bool given =
            strcmp(option->name, "VERBOSE") == 0 || strcmp(option->name, "THREAD_CACHE") == 0;
        size_t length = strlen(expected);
        snprintf(expected + length, sizeof expected - length, "valloc: VALLOC_%s=%s (%s)\n",
                 option->name, printed(option, vl_option_get(option, &options)),
                 given ? "environment" : "default");
    }
    ck_assert_ptr_nonnull(strstr(expected, "VALLOC_THREAD_CACHE=1536K (environment)\n"));
    ck_assert_str_eq(report_of(&options), expected);
}
END_TEST

/* ---- random environments ---- */

static uint64_t seed;

static uint64_t random_below(uint64_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % limit;
}

static char *append_random(char *at, size_t length_max, const char *letters)
{
    size_t letter_count = letters == NULL ? 255 : strlen(letters);
    for (size_t length = random_below(length_max + 1); length > 0; length--) {
        size_t letter = random_below(letter_count);
        *at++ = letters == NULL ? (char)(letter + 1) : letters[letter];
    }
    return at;
}

static char *append(char *at, const char *string)
{
    size_t length = strlen(string);
    memcpy(at, string, length);
    return at + length;
}

/* From plain noise to what is nearly right: name and value are each made in one of three ways. */
static void random_entry(char *entry, size_t noise_max)
{
    const struct vl_option *option = &vl_option_table[random_below(vl_option_count)];
    char *at = append(entry, random_below(16) == 0 ? "VALLOC" : "VALLOC_");
    switch (random_below(4)) {
    case 0:
        at = append_random(at, noise_max, NULL);
        break;
    case 1: /* a name with something wrong in it */
        at = append(at, option->name);
        at[-1 - (int)random_below(strlen(option->name))] = (char)('A' + random_below(26));
        at = append_random(at, 2, "_S=");
        break;
    default:
        at = append(at, option->name);
    }
    if (random_below(16) != 0)
        *at++ = '=';
    switch (random_below(3)) {
    case 0:
        at = append_random(at, noise_max, NULL);
        break;
    case 1:
        at = append_random(at, 22, "0123456789");
        at = append_random(at, 2, "kKmMgGtTs-");
        break;
    default:
        for (const char *word = option->words; *word != '\0' && random_below(8) != 0; word++)
            at = *word == '|' ? entry + strcspn(entry, "=") + 1 : append(at, (char[]){*word, '\0'});
    }
    *at = '\0';
}

START_TEST(random_environments)
{
    enum { ROUNDS = 1000000, ENTRIES = 3, NOISE_MAX = 64 };
    static char entries[ENTRIES][256];
    char *environment[ENTRIES + 1] = {NULL};
    uint64_t given = 0, rejected = 0;
    int64_t value;
    int null = memfd_create("null", 0);
    seed = 88172645463325252u;

    for (int round = 0; round < ROUNDS; round++) {
        size_t count = 1 + random_below(ENTRIES);
        for (size_t i = 0; i < count; i++) {
            random_entry(entries[i], NOISE_MAX);
            environment[i] = entries[i];
        }
        environment[count] = NULL;
        struct vl_options options = loaded(environment, false);
        for (unsigned i = 0; i < vl_option_count; i++) {
            const struct vl_option *option = &vl_option_table[i];
            int64_t now = vl_option_get(option, &options);
            bool is_given = options.given >> i & 1;
            if (!is_given && now == option->initial)
                continue;
            ck_assert_msg(is_given && is_value_of(option, now), "round %d: %s=%s", round,
                          option->name, entries[0]);
            ck_assert_msg(vl_option_parse(option, printed(option, now), &value) &&
                              is_same(option, value, now),
                          "round %d: %s=%s", round, option->name, printed(option, now));
        }
        ck_assert_uint_le(options.rejected_count, count);
        given += options.given != 0;
        rejected += options.rejected_count != 0;
        if (round % 64 == 0) {
            vl_options_report(&options, null);
            ck_assert_int_eq(ftruncate(null, 0), 0);
        }
    }
    /* The noise must not be such that nothing is ever accepted, or refused. */
    ck_assert_uint_gt(given, ROUNDS / 10);
    ck_assert_uint_gt(rejected, ROUNDS / 10);
    close(null);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("core/options");

    TCase *values = tcase_create("values");
    tcase_add_loop_test(values, good_value, 0, COUNT_OF(good_values));
    tcase_add_loop_test(values, bad_value, 0, COUNT_OF(bad_values));
    tcase_add_loop_test(values, amounts_for_nodes, 0, COUNT_OF(amounts));
    tcase_add_loop_test(values, tiers_with_sizes, 0, COUNT_OF(tiers));
    tcase_add_loop_test(values, prints_in_the_largest_unit, 0, COUNT_OF(prints));
    suite_add_tcase(suite, values);

    TCase *table = tcase_create("table");
    tcase_add_loop_test(table, row_is_sound, 0, (int)vl_option_count);
    tcase_add_test(table, nothing_given_is_the_defaults);
    tcase_add_test(table, each_variable_reaches_its_field);
    suite_add_tcase(suite, table);

    TCase *environment = tcase_create("environment");
    tcase_add_test(environment, other_variables_are_passed_over);
    tcase_add_test(environment, first_of_two_counts);
    tcase_add_test(environment, empty_value_is_no_value);
    tcase_add_test(environment, secure_process_reads_nothing);
    suite_add_tcase(suite, environment);

    TCase *report = tcase_create("report");
    tcase_add_loop_test(report, one_line_for_a_mistake, 0, COUNT_OF(warnings));
    tcase_add_loop_test(report, check_tells_the_mistake, 0, COUNT_OF(warnings));
    tcase_add_test(report, check_finds_nothing);
    tcase_add_test(report, only_so_many_mistakes_are_listed);
    tcase_add_test(report, changed_environment_is_passed_over);
    tcase_add_test(report, help_lists_every_variable);
    tcase_add_test(report, verbose_says_what_is_in_force);
    suite_add_tcase(suite, report);

    TCase *fuzz = tcase_create("random");
    tcase_set_timeout(fuzz, 120);
    tcase_add_test(fuzz, random_environments);
    suite_add_tcase(suite, fuzz);

    return suite;
}
