/* core/program: what this very test program needs, and where it is. */
#include "tests/api/support.h"

#include "core/program.h"

#include <stdio.h>
#include <stdlib.h>

static int own_data;

START_TEST(functions_of_libraries_are_needed)
{
    ck_assert(vl_program_needs("strtoul"));
    ck_assert_uint_eq(strtoul("12", NULL, 10), 12);
}
END_TEST

/* Not called, but its address is taken: another kind of relocation. */
START_TEST(so_is_what_only_an_address_is_taken_of)
{
    static int (*volatile function)(const char *) = puts;
    ck_assert_ptr_nonnull(function);
    ck_assert(vl_program_needs("puts"));
}
END_TEST

START_TEST(others_are_not)
{
    ck_assert(!vl_program_needs("strtou"));
    ck_assert(!vl_program_needs("strtoull_of_nobody"));
    ck_assert(!vl_program_needs(""));
    ck_assert(!vl_program_needs("vl_suite")); /* its own */
}
END_TEST

START_TEST(it_holds_its_own_data_and_code)
{
    ck_assert(vl_program_holds(&own_data));
    ck_assert(vl_program_holds((const void *)vl_suite));
    ck_assert(!vl_program_holds(stdout));
    ck_assert(!vl_program_holds(&(int){0}));
    ck_assert(!vl_program_holds(NULL));
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("core/program");
    TCase *program = tcase_create("program");
    tcase_add_test(program, functions_of_libraries_are_needed);
    tcase_add_test(program, so_is_what_only_an_address_is_taken_of);
    tcase_add_test(program, others_are_not);
    tcase_add_test(program, it_holds_its_own_data_and_code);
    suite_add_tcase(suite, program);
    return suite;
}
