/*
 * Mistakes of the program that valloc finds: the process dies by SIGABRT, after one line on
 * stderr that begins "valloc: ", names the function that was called and the pointer it was given.
 *
 * Each mistake is made in a child of its own.
 */
#include "support.h"

#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* --- Making a mistake --- */

/* Tells the parent which pointer the message must name. */
static void announce(const void *pointer)
{
    dprintf(STDOUT_FILENO, "%p", pointer);
}

static void free_wrongly(void *pointer)
{
    announce(pointer);
    free(opaque(pointer));
}

static void *fresh(size_t size)
{
    return opaque(memset(malloc(size), 1, size));
}

/* A free that the compiler does not see, so that it has nothing to say about what follows. */
static void rightly_free(void *block)
{
    free(opaque(block));
}

/* A small block goes into the thread's cache with no look at its span. That it is wrong shows at
 * the latest when the cache returns it there, which malloc_trim makes it do. */
static void free_small_wrongly(void *pointer)
{
    free_wrongly(pointer);
    malloc_trim(0);
}

/* --- Pointers that malloc never gave --- */

static void free_on_the_stack(void)
{
    _Alignas(64) char variable[64];

    free_wrongly(variable);
}

static void free_a_global(void)
{
    static _Alignas(64) char variable[64];

    free_wrongly(variable);
}

static void free_a_mapping(void)
{
    free_wrongly(map_table(MB));
}

static void free_nothing_mapped(void)
{
    void *pointer = map_table(MB);

    munmap(pointer, MB);
    free_wrongly(pointer);
}

static void free_a_small_number(void)
{
    free_wrongly((void *)0x10);
}

static void free_beyond_user_space(void)
{
    free_wrongly((void *)0xffff800000000000u);
}

static void free_text(void)
{
    free_wrongly((void *)(uintptr_t) "a constant");
}

static void free_the_program_break(void)
{
    free_wrongly(sbrk((intptr_t)MB));
}

/* --- Pointers into a block --- */

static void free_small_off_by_one(void)
{
    free_small_wrongly((char *)fresh(100) + 1);
}

static void free_small_second_half(void)
{
    free_small_wrongly((char *)fresh(1024) + 512);
}

static void free_medium_interior_page(void)
{
    free_small_wrongly((char *)fresh(100000) + 8 * KB);
}

static void free_large_off_by_one(void)
{
    free_wrongly((char *)fresh(3 * MB) + 1);
}

static void free_large_interior_page(void)
{
    free_wrongly((char *)fresh(3 * MB) + MB);
}

static void free_large_interior_huge_page(void)
{
    free_wrongly((char *)fresh(9 * MB) + 4 * MB);
}

/* --- Blocks that are free already --- */

static void free_twice(size_t size)
{
    void *block = fresh(size);

    rightly_free(block);
    free_wrongly(block);
}

static void free_large_twice(void)
{
    free_twice(300 * KB);
}

static void free_huge_twice(void)
{
    free_twice(3 * MB);
}

static void free_a_trimmed_block_twice(void)
{
    void *block = fresh(3 * MB);

    rightly_free(block);
    malloc_trim(0);
    free_wrongly(block);
}

/* The same small block twice in the thread's cache: seen when both return to their span. */
static void free_small_twice(size_t size)
{
    enum { COUNT = 100000 };
    void **others = map_table(COUNT * sizeof *others);
    void *block;

    for (size_t i = 0; i < COUNT; i++)
        others[i] = fresh(size);
    block = fresh(size);
    announce(block);
    rightly_free(block);
    free(opaque(block));
    for (size_t i = 0; i < COUNT; i++)
        rightly_free(others[i]);
    malloc_trim(0);
}

static void free_64_bytes_twice(void)
{
    free_small_twice(64);
}

static void free_1000_bytes_twice(void)
{
    free_small_twice(1000);
}

/* --- Other functions than free --- */

static void realloc_a_global(void)
{
    static _Alignas(64) char variable[64];

    announce(variable);
    opaque(realloc(opaque(variable), 100));
}

static void realloc_interior(void)
{
    char *block = (char *)fresh(3 * MB) + MB;

    announce(block);
    opaque(realloc(block, 100));
}

static void realloc_off_by_one(void)
{
    char *block = (char *)fresh(100) + 1;

    announce(block);
    opaque(realloc(block, 200));
}

static void realloc_freed(void)
{
    void *block = fresh(3 * MB);

    rightly_free(block);
    announce(block);
    opaque(realloc(opaque(block), 4 * MB));
}

static void reallocarray_a_global(void)
{
    static _Alignas(64) char variable[64];

    announce(variable);
    opaque(reallocarray(opaque(variable), 10, 10));
}

static void usable_size_of_a_global(void)
{
    static _Alignas(64) char variable[64];

    announce(variable);
    malloc_usable_size(opaque(variable));
}

static void usable_size_of_freed(void)
{
    void *block = fresh(3 * MB);

    rightly_free(block);
    announce(block);
    malloc_usable_size(opaque(block));
}

static void free_sized_of_a_global(void)
{
    static _Alignas(64) char variable[64];
    void (*free_sized)(void *, size_t) = entry_point("free_sized");

    announce(variable);
    free_sized(variable, 64);
}

static void delete_on_the_stack(void)
{
    _Alignas(64) char variable[64];
    void (*delete)(void *) = entry_point("_ZdlPv");

    announce(variable);
    delete (opaque(variable));
}

/* --- Expecting the diagnosis --- */

/* The function that the message must name; NULL where it may be another, called later. */
static const struct mistake {
    const char *name;
    void (*make)(void);
    const char *function;
} mistakes[] = {
    {"free of a variable on the stack", free_on_the_stack, "free()"},
    {"free of a global variable", free_a_global, "free()"},
    {"free of a mapping", free_a_mapping, "free()"},
    {"free of an unmapped address", free_nothing_mapped, "free()"},
    {"free of address 16", free_a_small_number, "free()"},
    {"free of a kernel address", free_beyond_user_space, "free()"},
    {"free of a constant text", free_text, "free()"},
    {"free of memory from sbrk", free_the_program_break, "free()"},
    {"free one byte into a small block", free_small_off_by_one, NULL},
    {"free halfway into a small block", free_small_second_half, NULL},
    {"free of a page inside 100 kB", free_medium_interior_page, NULL},
    {"free one byte into 3 MB", free_large_off_by_one, "free()"},
    {"free of a page inside 3 MB", free_large_interior_page, "free()"},
    {"free of 2 MB page inside 9 MB", free_large_interior_huge_page, "free()"},
    {"double free of 300 kB", free_large_twice, "free()"},
    {"double free of 3 MB", free_huge_twice, "free()"},
    {"double free of 3 MB after a trim", free_a_trimmed_block_twice, "free()"},
    {"double free of 64 bytes", free_64_bytes_twice, NULL},
    {"double free of 1000 bytes", free_1000_bytes_twice, NULL},
    {"realloc of a global variable", realloc_a_global, "realloc()"},
    {"realloc of a page inside 3 MB", realloc_interior, "realloc()"},
    {"realloc one byte into a small block", realloc_off_by_one, "realloc()"},
    {"realloc of freed 3 MB", realloc_freed, "realloc()"},
    {"reallocarray of a global variable", reallocarray_a_global, "realloc"},
    {"usable size of a global variable", usable_size_of_a_global, "malloc_usable_size()"},
    {"usable size of freed 3 MB", usable_size_of_freed, "malloc_usable_size()"},
    {"free_sized of a global variable", free_sized_of_a_global, "free"},
    {"delete of a variable on the stack", delete_on_the_stack, NULL},
};

/* No core file for a death that is wanted. */
static void leave_no_core(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

static void make_mistake(void *mistake_shared)
{
    const struct mistake *mistake = mistake_shared;

    leave_no_core();
    mistake->make();
}

static void expect_one_line(const struct mistake *mistake, const char *text)
{
    const char *end = strchr(text, '\n');
    char start[40];

    snprintf(start, sizeof start, "valloc: %s", mistake->function ? mistake->function : "");
    ck_assert_msg(strncmp(text, start, strlen(start)) == 0, "%s: expected \"%s...\", got \"%s\"",
                  mistake->name, start, text);
    ck_assert_msg(end != NULL && end[1] == '\0', "%s: expected one line, got \"%s\"", mistake->name,
                  text);
    ck_assert_msg(strlen(text) <= 256, "%s: the line has %zu bytes, expected at most 256",
                  mistake->name, strlen(text));
}

START_TEST(dies_with_one_line)
{
    const struct mistake *mistake = &mistakes[_i];
    struct outcome outcome;

    if (!only_on_valloc(__func__))
        return;
    run_child(&outcome, make_mistake, (void *)mistake);
    ck_assert_msg(WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGABRT,
                  "%s: expected SIGABRT, got %s; stderr \"%s\"", mistake->name,
                  describe_status(outcome.status), outcome.err);
    expect_one_line(mistake, outcome.err);
    ck_assert_msg(outcome.out[0] != '\0' && strstr(outcome.err, outcome.out) != NULL,
                  "%s: expected pointer %s in \"%s\"", mistake->name, outcome.out, outcome.err);
}
END_TEST

/* With nowhere to print the line, it dies all the same, and prints nothing elsewhere. */
static void free_wrongly_without_stderr(void *unused)
{
    static _Alignas(64) char variable[64];

    (void)unused;
    leave_no_core();
    close(STDERR_FILENO);
    free(opaque(variable));
}

START_TEST(dies_without_stderr)
{
    struct outcome outcome;

    if (!only_on_valloc(__func__))
        return;
    run_child(&outcome, free_wrongly_without_stderr, NULL);
    ck_assert_msg(WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGABRT,
                  "expected SIGABRT, got %s", describe_status(outcome.status));
    ck_assert_str_eq(outcome.out, "");
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("misuse");
    TCase *deaths = timed_case("deaths", 30);

    tcase_add_loop_test(deaths, dies_with_one_line, 0, sizeof mistakes / sizeof mistakes[0]);
    tcase_add_test(deaths, dies_without_stderr);
    suite_add_tcase(suite, deaths);
    return suite;
}
