/*
 * The main() of every test program that is written with check.
 *
 *      test_NAME [TEST-CASE]
 *
 * runs the program's suite, or one test case of it. check's own CK_FORK, CK_VERBOSITY and the rest
 * of its variables work as documented there.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

Suite *vl_suite(void);

/* What a failed run of random numbers is repeated with. */
static void print_seed(void)
{
    const char *seed = getenv("VL_TEST_SEED");
    printf("VL_TEST_SEED=%s\n", seed != NULL ? seed : "(as built in)");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL;
    SRunner *runner = srunner_create(vl_suite());
    int ran, failed;

    print_seed();
    srunner_run(runner, NULL, only, CK_ENV);
    ran = srunner_ntests_run(runner);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (ran == 0)
        fprintf(stderr, "%s: no test case %s\n", argv[0], only != NULL ? only : "at all");
    return ran == 0 || failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
