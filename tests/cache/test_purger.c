/* cache/purger: free memory goes back while the program does nothing; who asks for no thread gets none. */
#include "tests/world.h"

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 20000, SIZE = 1000, DELAY_MS = 50 };

static void set_up(void)
{
    vl_options.purge_thread = true;
    vl_options.purge_delay_ms = DELAY_MS;
    begin_bare_world(1);
}

static void set_up_without(void)
{
    vl_options.purge_delay_ms = DELAY_MS;
    begin_bare_world(1);
}

/* 20 MB in small blocks and 8 in a big one. */
static void come_and_go(void)
{
    static void *blocks[BLOCKS];
    void *big = vl_alloc(8 * MB);
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = vl_alloc(SIZE);
    for (int i = 0; i < BLOCKS; i++)
        vl_free(blocks[i]);
    vl_free(big);
}

/* As long as it may take: a thread that never comes fails the test by its time limit. */
static void wait_until_purged(void)
{
    while (vl_place_has_free())
        usleep(1000);
}

/* A line of the status of the thread of that name: "SigBlk". False if there is no such thread. */
static bool thread_status(const char *name, const char *field, char *value, size_t size)
{
    bool found = false;
    DIR *tasks = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(tasks);
    for (struct dirent *task; !found && (task = readdir(tasks)) != NULL;) {
        char path[300], line[256], wanted[64];
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        snprintf(wanted, sizeof wanted, "Name:\t%s\n", name);
        FILE *status = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (status == NULL)
            continue;
        found = fgets(line, sizeof line, status) != NULL && strcmp(line, wanted) == 0;
        while (found && fgets(line, sizeof line, status) != NULL)
            if (strncmp(line, field, strlen(field)) == 0)
                snprintf(value, size, "%.60s", line + strlen(field) + 2);
        fclose(status);
    }
    closedir(tasks);
    return found;
}

START_TEST(memory_goes_back_while_nobody_calls)
{
    for (int round = 0; round < 3; round++) {
        come_and_go();
        wait_until_purged();
    }
    ck_assert_uint_gt(stats_now().purged_bytes, 3 * 16 * MB);
}
END_TEST

/* But for KILL and STOP, which nobody can block. The two that glibc keeps for itself may be, or not. */
START_TEST(it_takes_no_signals)
{
    char blocked[64] = "";
    come_and_go();
    while (!thread_status("valloc-purge", "SigBlk", blocked, sizeof blocked))
        usleep(1000);
    ck_assert_uint_eq(strtoul(blocked, NULL, 16) | 0x180000000, 0xfffffffffffbfeff);
    sigset_t own;
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &own), 0);
    ck_assert_int_eq(sigismember(&own, SIGUSR1), 0);
}
END_TEST

START_TEST(a_child_has_its_own)
{
    come_and_go();
    wait_until_purged();
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            alarm(60);
            come_and_go();
            wait_until_purged();
            _exit(0);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
    }
}
END_TEST

START_TEST(nobody_gets_one_unasked)
{
    char unused[64];
    come_and_go();
    ck_assert(!thread_status("valloc-purge", "SigBlk", unused, sizeof unused));
    ck_assert(vl_place_has_free());
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/purger");
    TCase *asked = tcase_create("asked for"), *not_asked = tcase_create("not asked for");
    tcase_add_checked_fixture(asked, set_up, NULL);
    tcase_set_timeout(asked, 60);
    tcase_add_test(asked, memory_goes_back_while_nobody_calls);
    tcase_add_test(asked, it_takes_no_signals);
    tcase_add_test(asked, a_child_has_its_own);
    suite_add_tcase(suite, asked);
    tcase_add_checked_fixture(not_asked, set_up_without, NULL);
    tcase_add_test(not_asked, nobody_gets_one_unasked);
    suite_add_tcase(suite, not_asked);
    return suite;
}
