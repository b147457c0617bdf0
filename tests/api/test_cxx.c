/*
 * The 20 C++ operators, called by their mangled names from a C program: they must be there,
 * and work, where no C++ runtime is loaded. What needs one, std::bad_alloc and the new-handler,
 * is in throws.cc.
 */
#include "support.h"

#include <malloc.h>

/* Which arguments follow the size or the pointer, in the order C++ puts them. */
enum { SIZED = 1, ALIGNED = 2, NOTHROW = 4 };

struct operator
{
    const char *name;
    bool array;
    int arguments;
};

static const struct operator news[] = {
    {"_Znwm", false, 0},
    {"_Znam", true, 0},
    {"_ZnwmRKSt9nothrow_t", false, NOTHROW},
    {"_ZnamRKSt9nothrow_t", true, NOTHROW},
    {"_ZnwmSt11align_val_t", false, ALIGNED},
    {"_ZnamSt11align_val_t", true, ALIGNED},
    {"_ZnwmSt11align_val_tRKSt9nothrow_t", false, ALIGNED | NOTHROW},
    {"_ZnamSt11align_val_tRKSt9nothrow_t", true, ALIGNED | NOTHROW},
};

static const struct operator deletes[] = {
    {"_ZdlPv", false, 0},
    {"_ZdaPv", true, 0},
    {"_ZdlPvm", false, SIZED},
    {"_ZdaPvm", true, SIZED},
    {"_ZdlPvRKSt9nothrow_t", false, NOTHROW},
    {"_ZdaPvRKSt9nothrow_t", true, NOTHROW},
    {"_ZdlPvSt11align_val_t", false, ALIGNED},
    {"_ZdaPvSt11align_val_t", true, ALIGNED},
    {"_ZdlPvmSt11align_val_t", false, SIZED | ALIGNED},
    {"_ZdaPvmSt11align_val_t", true, SIZED | ALIGNED},
    {"_ZdlPvSt11align_val_tRKSt9nothrow_t", false, ALIGNED | NOTHROW},
    {"_ZdaPvSt11align_val_tRKSt9nothrow_t", true, ALIGNED | NOTHROW},
};

enum {
    NEW_COUNT = sizeof news / sizeof news[0],
    DELETE_COUNT = sizeof deletes / sizeof deletes[0],
};

_Static_assert(NEW_COUNT + DELETE_COUNT == 20, "one of the operators is missing");
_Static_assert(sizeof(size_t) == sizeof(unsigned long), "size_t is mangled as m");

/* std::nothrow_t is an empty class, passed by reference. */
static const char nothrow;

static void *call_new(const struct operator* new, size_t size, size_t alignment)
{
    void *function = entry_point(new->name);

    switch (new->arguments) {
    case NOTHROW:
        return ((void *(*)(size_t, const void *))function)(size, &nothrow);
    case ALIGNED:
        return ((void *(*)(size_t, size_t))function)(size, alignment);
    case ALIGNED | NOTHROW:
        return ((void *(*)(size_t, size_t, const void *))function)(size, alignment, &nothrow);
    default:
        return ((void *(*)(size_t))function)(size);
    }
}

static void call_delete(const struct operator* delete, void *block, size_t size, size_t alignment)
{
    void *function = entry_point(delete->name);

    switch (delete->arguments) {
    case SIZED:
        ((void (*)(void *, size_t))function)(block, size);
        break;
    case NOTHROW:
        ((void (*)(void *, const void *))function)(block, &nothrow);
        break;
    case ALIGNED:
        ((void (*)(void *, size_t))function)(block, alignment);
        break;
    case SIZED | ALIGNED:
        ((void (*)(void *, size_t, size_t))function)(block, size, alignment);
        break;
    case ALIGNED | NOTHROW:
        ((void (*)(void *, size_t, const void *))function)(block, alignment, &nothrow);
        break;
    default:
        ((void (*)(void *))function)(block);
        break;
    }
}

/* C++ gives an aligned block only to an aligned delete, and an array only to delete[]. */
static bool fit(const struct operator* new, const struct operator* delete)
{
    return new->array == delete->array &&
           (new->arguments &ALIGNED) == (delete->arguments & ALIGNED);
}

static bool all_here(const char *test)
{
    for (int i = 0; i < NEW_COUNT; i++)
        if (only_with_entry_point(news[i].name, test) == NULL)
            return false;
    for (int i = 0; i < DELETE_COUNT; i++)
        if (only_with_entry_point(deletes[i].name, test) == NULL)
            return false;
    return true;
}

/* --- The tests --- */

static void new_and_delete(const struct operator* new, const struct operator* delete, size_t size,
                           size_t alignment)
{
    char *block = opaque(call_new(new, size, alignment));

    ck_assert_msg(block != NULL, "%s of %zu bytes aligned to %zu: NULL", new->name, size,
                  alignment);
    ck_assert_msg(is_aligned(block, alignment) && is_aligned(block, natural_alignment(size)),
                  "%s of %zu bytes aligned to %zu: %p", new->name, size, alignment, (void *)block);
    ck_assert_uint_ge(malloc_usable_size(block), size);
    pattern_fill(block, size, size);
    ck_assert_uint_eq(pattern_damage(block, size, size), size);
    call_delete(delete, block, size, alignment);
}

START_TEST(every_new_with_every_fitting_delete)
{
    static const size_t sizes[] = {0, 1, 16, 100, 1000, 5000, 300000, 3000000};
    const struct operator* new = & news[_i];
    size_t alignment_max = new->arguments &ALIGNED ? 2 * MB : 1;

    if (!all_here(__func__))
        return;
    for (int d = 0; d < DELETE_COUNT; d++)
        for (size_t s = 0; fit(new, &deletes[d]) && s < sizeof sizes / sizeof sizes[0]; s++)
            for (size_t alignment = 1; alignment <= alignment_max; alignment *= 2)
                new_and_delete(new, &deletes[d], sizes[s], alignment);
}
END_TEST

START_TEST(size_zero_gives_a_block_of_its_own)
{
    const struct operator* new = & news[_i];
    void *first, *second;

    if (!all_here(__func__))
        return;
    first = call_new(new, 0, 64);
    second = call_new(new, 0, 64);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_ne(first, second);
    for (int d = 0; d < DELETE_COUNT; d++)
        if (fit(new, &deletes[d])) {
            call_delete(&deletes[d], first, 0, 64);
            call_delete(&deletes[d], second, 0, 64);
            break;
        }
}
END_TEST

START_TEST(deletes_free)
{
    const struct operator* delete = & deletes[_i];
    const struct operator* new = news;
    size_t resident = resident_bytes();

    if (!all_here(__func__))
        return;
    while (!fit(new, delete))
        new ++;
    for (size_t turn = 0; turn < 20000; turn++) {
        size_t size = turn % 50 == 0 ? MB : 2000;

        call_delete(delete, memset(call_new(new, size, 64), 1, size), size, 64);
    }
    ck_assert_msg(resident_bytes() < resident + 64 * MB, "%s: grown by %zu MB", delete->name,
                  (resident_bytes() - resident) / MB);
}
END_TEST

START_TEST(delete_of_null_does_nothing)
{
    if (!all_here(__func__))
        return;
    errno = 12345;
    for (size_t alignment = 1; alignment <= 4096; alignment *= 16)
        call_delete(&deletes[_i], NULL, 100, alignment);
    ck_assert_int_eq(errno, 12345);
}
END_TEST

START_TEST(nothrow_new_refuses_impossible_sizes)
{
    static const size_t sizes[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 64, SIZE_MAX};

    if (!all_here(__func__))
        return;
    for (int n = 0; n < NEW_COUNT; n++)
        for (size_t s = 0; (news[n].arguments & NOTHROW) && s < 4; s++)
            ck_assert_msg(call_new(&news[n], opaque_size(sizes[s]), 64) == NULL,
                          "%s of %zu bytes gave a block", news[n].name, sizes[s]);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cxx");
    TCase *operators = timed_case("operators", 20);

    tcase_add_loop_test(operators, every_new_with_every_fitting_delete, 0, NEW_COUNT);
    tcase_add_loop_test(operators, size_zero_gives_a_block_of_its_own, 0, NEW_COUNT);
    tcase_add_loop_test(operators, deletes_free, 0, DELETE_COUNT);
    tcase_add_loop_test(operators, delete_of_null_does_nothing, 0, DELETE_COUNT);
    tcase_add_test(operators, nothrow_new_refuses_impossible_sizes);
    suite_add_tcase(suite, operators);
    return suite;
}
