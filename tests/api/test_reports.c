/*
 * What malloc tells of itself: mallinfo, mallinfo2, malloc_info, malloc_stats, and what it does
 * on request: malloc_trim, mallopt. The figures must be of this heap: they rise by what was
 * allocated and fall when it is freed.
 */
#include "support.h"

#include <ctype.h>
#include <malloc.h>
#include <pthread.h>

/* 48 MB in small blocks and 32 MB in big ones, all resident. */
enum { SMALL_SIZE = 1024, SMALL_COUNT = 48 * 1024, BIG_SIZE = 4 * 1024 * 1024, BIG_COUNT = 8 };

static const size_t load_bytes = (size_t)SMALL_SIZE * SMALL_COUNT + (size_t)BIG_SIZE * BIG_COUNT;

static struct {
    void *small[SMALL_COUNT];
    void *big[BIG_COUNT];
} load;

static void take_load(void)
{
    for (size_t i = 0; i < SMALL_COUNT; i++)
        load.small[i] = memset(malloc(SMALL_SIZE), 1, SMALL_SIZE);
    for (size_t i = 0; i < BIG_COUNT; i++)
        load.big[i] = memset(malloc(BIG_SIZE), 1, BIG_SIZE);
}

static void drop_load(void)
{
    for (size_t i = 0; i < SMALL_COUNT; i++)
        free(load.small[i]);
    for (size_t i = 0; i < BIG_COUNT; i++)
        free(load.big[i]);
}

/* Rounding, caches and tables may add this much, not more. */
static const size_t slack_bytes = 16 * MB;

static void expect_rise(const char *what, size_t before, size_t after)
{
    ck_assert_msg(after >= before + load_bytes && after <= before + load_bytes + slack_bytes,
                  "%s: %zu before and %zu after allocating %zu bytes", what, before, after,
                  load_bytes);
}

static void expect_fall(const char *what, size_t before, size_t after)
{
    ck_assert_msg(after <= before + slack_bytes, "%s: %zu before and %zu after freeing all", what,
                  before, after);
}

/* --- mallinfo --- */

/* glibc counts big blocks, mapped one by one, in hblkhd and all else in uordblks. */
static size_t bytes_in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

START_TEST(mallinfo2_follows_the_heap)
{
    size_t before, loaded;

    if (only_with_entry_point("mallinfo2", __func__) == NULL)
        return;
    before = bytes_in_use();
    take_load();
    loaded = bytes_in_use();
    expect_rise("mallinfo2", before, loaded);
    drop_load();
    expect_fall("mallinfo2", before, bytes_in_use());
}
END_TEST

START_TEST(mallinfo2_adds_up)
{
    struct mallinfo2 info;

    if (only_with_entry_point("mallinfo2", __func__) == NULL)
        return;
    take_load();
    info = mallinfo2();
    ck_assert_uint_ge(info.arena, info.uordblks);
    ck_assert_uint_eq(info.arena, info.uordblks + info.fordblks);
    drop_load();
    info = mallinfo2();
    ck_assert_uint_eq(info.arena, info.uordblks + info.fordblks);
}
END_TEST

START_TEST(mallinfo_agrees_with_mallinfo2)
{
    struct mallinfo info;
    struct mallinfo2 info2;

    if (only_with_entry_point("mallinfo", __func__) == NULL)
        return;
    take_load();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    info = mallinfo();
#pragma GCC diagnostic pop
    info2 = mallinfo2();
    ck_assert_int_eq(info.arena, (int)info2.arena);
    ck_assert_int_eq(info.uordblks, (int)info2.uordblks);
    ck_assert_int_eq(info.fordblks, (int)info2.fordblks);
    ck_assert_int_eq(info.hblkhd, (int)info2.hblkhd);
    drop_load();
}
END_TEST

/* --- Texts --- */

static char *text_of_malloc_info(void)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);

    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(malloc_info(0, stream), 0);
    fclose(stream);
    return text;
}

static size_t sum_of_numbers(const char *text)
{
    size_t sum = 0;

    while (*text != '\0') {
        char *end = (char *)text + 1;

        if (isdigit((unsigned char)*text))
            sum += strtoul(text, &end, 10);
        text = end;
    }
    return sum;
}

/* One element from its '<' on, with all inside it; returns what follows, or NULL if it is not
 * well formed: each tag is closed, by its own name, and attributes are quoted. */
static const char *parse_element(const char *at)
{
    const char *name = at + 1;
    size_t length = strcspn(name, " />\n\t");

    if (*at != '<' || length == 0 || !isalpha((unsigned char)*name))
        return NULL;
    for (at = name + length; *at != '>' && *at != '/'; at++) {
        if (*at == '"')
            at = strchr(at + 1, '"');
        if (at == NULL || *at == '\0' || *at == '<')
            return NULL;
    }
    if (*at == '/')
        return at[1] == '>' ? at + 2 : NULL;
    for (at++; at != NULL; at = parse_element(at)) {
        at += strcspn(at, "<");
        if (strncmp(at, "</", 2) == 0)
            break;
    }
    if (at == NULL || strncmp(at + 2, name, length) != 0 || at[2 + length] != '>')
        return NULL;
    return at + 3 + length;
}

START_TEST(malloc_info_is_xml_with_figures)
{
    char *before, *loaded;
    const char *rest;

    if (only_with_entry_point("malloc_info", __func__) == NULL)
        return;
    before = text_of_malloc_info();
    take_load();
    loaded = text_of_malloc_info();
    drop_load();

    ck_assert_msg(strncmp(loaded, "<malloc version=\"", 17) == 0, "begins with %.40s", loaded);
    rest = parse_element(loaded);
    ck_assert_msg(rest != NULL, "not well formed: %s", loaded);
    ck_assert_msg(strspn(rest, "\n") == strlen(rest), "after the end: %s", rest);
    ck_assert_msg(sum_of_numbers(loaded) >= sum_of_numbers(before) + load_bytes,
                  "no figure rose by the %zu bytes allocated: before %s after %s", load_bytes,
                  before, loaded);
    free(before);
    free(loaded);
}
END_TEST

START_TEST(malloc_info_refuses_options)
{
    if (only_with_entry_point("malloc_info", __func__) == NULL)
        return;
    ck_assert_int_ne(malloc_info(1, stdout), 0);
}
END_TEST

static void print_stats(void *loaded)
{
    if (*(const bool *)loaded)
        take_load();
    malloc_stats();
}

START_TEST(malloc_stats_prints_figures_on_stderr)
{
    struct outcome empty, loaded;

    if (only_with_entry_point("malloc_stats", __func__) == NULL)
        return;
    run_child(&empty, print_stats, &(bool){false});
    run_child(&loaded, print_stats, &(bool){true});
    ck_assert_int_eq(empty.status, 0);
    ck_assert_int_eq(loaded.status, 0);
    ck_assert_str_eq(empty.out, "");
    ck_assert_str_eq(loaded.out, "");
    ck_assert_msg(strpbrk(empty.err, "0123456789") != NULL, "no figures: %s", empty.err);
    ck_assert_msg(strcmp(empty.err, loaded.err) != 0, "the same with %zu bytes more: %s",
                  load_bytes, loaded.err);
}
END_TEST

/* --- Requests --- */

START_TEST(malloc_trim_gives_memory_back)
{
    size_t before = resident_bytes();
    size_t after;
    int released;

    if (only_with_entry_point("malloc_trim", __func__) == NULL)
        return;
    take_load();
    ck_assert_uint_ge(resident_bytes(), before + load_bytes / 2);
    drop_load();
    released = malloc_trim(0);
    after = resident_bytes();
    ck_assert_msg(released == 0 || released == 1, "malloc_trim gave %d", released);
    ck_assert_msg(after <= before + slack_bytes, "%zu MB resident before, %zu MB after",
                  before / MB, after / MB);
    take_load();
    drop_load();
}
END_TEST

/* What a live block contains is not touched, whatever goes back around it. */
START_TEST(malloc_trim_spares_live_blocks)
{
    take_load();
    for (size_t i = 0; i < SMALL_COUNT; i++)
        if (i % 100 == 0)
            pattern_fill(load.small[i], SMALL_SIZE, i);
        else
            free(load.small[i]);
    malloc_trim(0);
    for (size_t i = 0; i < SMALL_COUNT; i += 100) {
        ck_assert_uint_eq(pattern_damage(load.small[i], SMALL_SIZE, i), SMALL_SIZE);
        free(load.small[i]);
    }
    for (size_t i = 0; i < BIG_COUNT; i++)
        free(load.big[i]);
}
END_TEST

static const struct {
    const char *name;
    int parameter;
    int value;
} settings[] = {
    {"M_MXFAST", M_MXFAST, 64},        {"M_TRIM_THRESHOLD", M_TRIM_THRESHOLD, 1 << 20},
    {"M_TOP_PAD", M_TOP_PAD, 1 << 16}, {"M_MMAP_THRESHOLD", M_MMAP_THRESHOLD, 1 << 20},
    {"M_MMAP_MAX", M_MMAP_MAX, 100},   {"M_CHECK_ACTION", M_CHECK_ACTION, 3},
    {"M_PERTURB", M_PERTURB, 0x5A},    {"M_ARENA_TEST", M_ARENA_TEST, 2},
    {"M_ARENA_MAX", M_ARENA_MAX, 2},
};

/* Programs set glibc's parameters and go on whatever the answer; the heap must go on too. */
START_TEST(mallopt_answers_and_the_heap_goes_on)
{
    int answer;

    if (only_with_entry_point("mallopt", __func__) == NULL)
        return;
    answer = mallopt(settings[_i].parameter, settings[_i].value);
    ck_assert_msg(answer == 0 || answer == 1, "mallopt(%s) = %d, expected 0 or 1",
                  settings[_i].name, answer);
    for (size_t size = 1; size < 8 * MB; size *= 3) {
        char *block = opaque(calloc(1, size));

        ck_assert_msg(block != NULL && is_zero(block, size), "calloc of %zu bytes after mallopt",
                      size);
        pattern_fill(block, size, size);
        block = opaque(realloc(block, size * 2));
        ck_assert_uint_eq(pattern_damage(block, size, size), size);
        free(block);
    }
}
END_TEST

/* Who answers 1 to M_PERTURB must fill: fresh blocks with the inverse of the byte. */
START_TEST(mallopt_perturb_fills_if_it_says_so)
{
    unsigned char *block;

    if (only_with_entry_point("mallopt", __func__) == NULL)
        return;
    if (mallopt(M_PERTURB, 0x5A) == 0) {
        skip(__func__, "M_PERTURB is not supported");
        return;
    }
    block = opaque(malloc(5000));
    for (size_t i = 0; i < 5000; i++)
        ck_assert_msg(block[i] == 0xA5, "byte %zu is %#x, expected 0xa5", i, block[i]);
    free(block);
}
END_TEST

enum { PERTURBED_MAX = 2000, PERTURB = 0x5A };

static bool holds_only(const unsigned char *block, size_t size, unsigned char byte)
{
    for (size_t i = 0; i < size; i++)
        if (block[i] != byte)
            return false;
    return true;
}

/* Also blocks that a cache has ready, in whose way nothing is done otherwise. */
static void check_perturbed(void)
{
    for (size_t size = 1; size < PERTURBED_MAX; size += size / 4 + 1) {
        unsigned char *block = opaque(malloc(size)), *freed = opaque(block);

        ck_assert_msg(holds_only(block, size, (unsigned char)~PERTURB), "malloc(%zu)", size);
        free(block);
        ck_assert_msg(holds_only(freed, size, PERTURB), "free of %zu bytes", size);
        block = opaque(calloc(1, size));
        ck_assert_msg(is_zero(block, size), "calloc of %zu bytes", size);
        free(block);
    }
}

static void *touch_all_sizes(void *unused)
{
    for (size_t size = 1; size < PERTURBED_MAX; size += size / 4 + 1)
        free(opaque(malloc(size)));
    return unused;
}

static void *check_perturbed_in_thread(void *unused)
{
    check_perturbed();
    return unused;
}

/* Caches that were there before, the next thread's, which takes over an old one, and new ones. */
START_TEST(mallopt_perturb_holds_for_warm_caches)
{
    pthread_t threads[2];

    if (!only_on_valloc(__func__))
        return;
    touch_all_sizes(NULL);
    ck_assert_int_eq(pthread_create(&threads[0], NULL, touch_all_sizes, NULL), 0);
    ck_assert_int_eq(pthread_join(threads[0], NULL), 0);
    ck_assert_int_eq(mallopt(M_PERTURB, PERTURB), 1);
    check_perturbed();
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, check_perturbed_in_thread, NULL), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);

    unsigned char *block = opaque(malloc(100)), *freed = opaque(block);
    ck_assert_int_eq(mallopt(M_PERTURB, 0), 1);
    memset(block, 1, 100);
    free(opaque(block));
    ck_assert(holds_only(freed, 100, 1));
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("reports");
    TCase *figures = timed_case("figures", 20);
    TCase *requests = timed_case("requests", 20);

    tcase_add_test(figures, mallinfo2_follows_the_heap);
    tcase_add_test(figures, mallinfo2_adds_up);
    tcase_add_test(figures, mallinfo_agrees_with_mallinfo2);
    tcase_add_test(figures, malloc_info_is_xml_with_figures);
    tcase_add_test(figures, malloc_info_refuses_options);
    tcase_add_test(figures, malloc_stats_prints_figures_on_stderr);
    tcase_add_test(requests, malloc_trim_gives_memory_back);
    tcase_add_test(requests, malloc_trim_spares_live_blocks);
    tcase_add_loop_test(requests, mallopt_answers_and_the_heap_goes_on, 0,
                        sizeof settings / sizeof settings[0]);
    tcase_add_test(requests, mallopt_perturb_fills_if_it_says_so);
    tcase_add_test(requests, mallopt_perturb_holds_for_warm_caches);
    suite_add_tcase(suite, figures);
    suite_add_tcase(suite, requests);
    return suite;
}
