/*
 * Poor places to start in: little address space, no standard files, no /proc and /sys, a kernel
 * that refuses the calls valloc would like to make. It starts, works, and prints nothing.
 *
 * What a start does cannot be seen from a process that has long started. So the tests run this
 * program again, with a role in its environment, and the role is played in a constructor: before
 * main, while other constructors may still have to run.
 */
#include "support.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ROLE_VARIABLE "VL_TEST_ROLE"

/* --- What a new program does --- */

static void *use_memory(void *unused)
{
    enum { LIVE = 500 };
    char *blocks[LIVE] = {NULL};
    uint64_t random = test_seed();

    (void)unused;
    for (size_t turn = 0; turn < 20000; turn++) {
        size_t slot = random_next(&random) % LIVE;
        size_t size = random_size(&random, turn % 200 == 0 ? 4 * MB : 8 * KB);

        if (turn % 4 == 0) {
            blocks[slot] = realloc(blocks[slot], size);
            child_assert(blocks[slot] != NULL);
        } else {
            free(blocks[slot]);
            blocks[slot] = turn % 4 == 1 ? aligned_alloc(4 * KB, size) : calloc(1, size);
            child_assert(blocks[slot] != NULL);
            child_assert(turn % 4 == 1 || is_zero(blocks[slot], size));
        }
        memset(blocks[slot], 0xA5, size);
    }
    for (size_t slot = 0; slot < LIVE; slot++)
        free(blocks[slot]);
    malloc_trim(0);
    return NULL;
}

static void *block_for_the_destructor;

static void play_work(void)
{
    pthread_t thread;

    use_memory(NULL);
    child_assert(pthread_create(&thread, NULL, use_memory, NULL) == 0);
    child_assert(pthread_join(thread, NULL) == 0);
    /* dlsym callocs the text of its error, and dlopen much else. */
    child_assert(dlsym(RTLD_NEXT, "valloc_test_no_such_symbol") == NULL && dlerror() != NULL);
    child_assert(dlopen("valloc_test_no_such_library.so", RTLD_NOW) == NULL);
    block_for_the_destructor = malloc(1000);
}

/* A file that opened as number 0 to 2 would catch what the program prints. */
static void play_without_files(void)
{
    play_work();
    for (int file = 0; file <= 2; file++)
        if (fcntl(file, F_GETFD) != -1)
            _exit(10 + file);
}

/* Of the parent's, who looks at it afterwards. */
enum { FILE_OF_THE_PROGRAM = 100 };

static void play_report(void)
{
    child_assert(dup2(FILE_OF_THE_PROGRAM, STDERR_FILENO) == STDERR_FILENO);
    free(opaque(malloc(100)));
}

/* --- Out of memory and back --- */

struct link {
    struct link *next;
};

static size_t allocate_until_null(struct link **chain, size_t size)
{
    size_t count = 0;

    for (;;) {
        struct link *link;

        errno = 0;
        link = opaque(malloc(size));
        if (link == NULL)
            break;
        link->next = *chain;
        *chain = link;
        count++;
    }
    child_assert(errno == ENOMEM);
    return count;
}

static void free_chain(struct link *chain)
{
    while (chain != NULL) {
        struct link *next = chain->next;

        free(chain);
        chain = next;
    }
}

enum { EXHAUST_LIMIT = 512 * 1024 * 1024 };

/* Twice the same: at first at least a quarter of the limit is there for blocks of any size, and
 * the second time at least 95 % of what the first found. */
static void exhaust(size_t size)
{
    struct link *chain = NULL;
    size_t first = allocate_until_null(&chain, size);
    size_t second;

    free_chain(chain);
    chain = NULL;
    second = allocate_until_null(&chain, size);
    free_chain(chain);
    if (first * size < EXHAUST_LIMIT / 4 || second * 100 < first * 95)
        dprintf(STDERR_FILENO, "%zu-byte blocks: %zu at first, then %zu\n", size, first, second);
}

static void play_exhaust(void)
{
    exhaust(MB);
    exhaust(1000);
    exhaust(40000);
    exhaust(MB);
}

/* --- The stage --- */

static const struct role {
    const char *name;
    void (*play)(void);
} roles[] = {
    {"work", play_work},
    {"without-files", play_without_files},
    {"report", play_report},
    {"exhaust", play_exhaust},
};

__attribute__((constructor)) static void play_role(void)
{
    const char *name = getenv(ROLE_VARIABLE);

    for (size_t i = 0; name != NULL && i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(name, roles[i].name) == 0) {
            unsetenv(ROLE_VARIABLE);
            roles[i].play();
            exit(0);
        }
}

__attribute__((destructor)) static void free_in_destructor(void)
{
    free(block_for_the_destructor);
    free(opaque(malloc(100)));
}

/* A program to start, and what to do to its process before that. Where the machine does not
 * permit it, prepare() returns false, with the reason in errno. */
struct stage {
    const char *role; /* NULL: /bin/true instead of a role */
    bool (*prepare)(const struct stage *stage);
    int resource;
    size_t limit;
    int error;
};

/* Found beforehand, as /proc may be gone when it is needed. */
static char own_path[4096];

static void enter_stage(void *stage_shared)
{
    const struct stage *stage = stage_shared;

    if (!stage->prepare(stage)) {
        dprintf(STDERR_FILENO, "%s", strerror(errno));
        _exit(CHILD_CANNOT);
    }
    if (stage->role == NULL) {
        execl("/bin/true", "true", (char *)NULL);
    } else {
        setenv(ROLE_VARIABLE, stage->role, 1);
        execl(own_path, own_path, (char *)NULL);
    }
    _exit(126);
}

static void run_on_stage(struct stage *stage, struct outcome *outcome)
{
    ssize_t length = readlink("/proc/self/exe", own_path, sizeof own_path - 1);

    ck_assert_int_gt(length, 0);
    own_path[length] = '\0';
    run_child(outcome, enter_stage, stage);
}

static void expect_quiet_success(struct stage *stage, const char *test)
{
    struct outcome outcome;

    run_on_stage(stage, &outcome);
    if (WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == CHILD_CANNOT) {
        skip(test, outcome.err);
        return;
    }
    ck_assert_msg(outcome.status == 0, "expected exit status 0, ended with %s: %s",
                  describe_status(outcome.status), outcome.err);
    ck_assert_msg(outcome.out[0] == '\0', "printed on stdout: %s", outcome.out);
    ck_assert_msg(outcome.err[0] == '\0', "printed on stderr: %s", outcome.err);
}

/* --- The tests --- */

static bool change_nothing(const struct stage *stage)
{
    (void)stage;
    return true;
}

START_TEST(before_main)
{
    struct stage stage = {.role = "work", .prepare = change_nothing};

    expect_quiet_success(&stage, __func__);
}
END_TEST

static bool limit_resource(const struct stage *stage)
{
    struct rlimit limit = {stage->limit, stage->limit};

    return setrlimit((__rlimit_resource_t)stage->resource, &limit) == 0;
}

static bool limit_without_preload(const struct stage *stage)
{
    unsetenv("LD_PRELOAD");
    return limit_resource(stage);
}

/* The least address space, in steps of 1 MB, in which /bin/true starts with libc's malloc. */
static size_t least_address_space(void)
{
    struct stage stage = {.prepare = limit_without_preload, .resource = RLIMIT_AS};
    struct outcome outcome;

    do {
        stage.limit += MB;
        ck_assert_msg(stage.limit < GB, "/bin/true does not start in 1 GB");
        run_on_stage(&stage, &outcome);
    } while (outcome.status != 0);
    return stage.limit;
}

/* Batch systems set ulimit -v: whatever starts there without valloc starts with 64 MB more. */
START_TEST(little_address_space)
{
    size_t least = least_address_space();

    for (size_t more = 64 * MB; more < 128 * GB; more += more / 4) {
        struct stage stage = {
            .prepare = limit_resource, .resource = RLIMIT_AS, .limit = least + more};

        expect_quiet_success(&stage, __func__);
    }
}
END_TEST

START_TEST(work_in_little_address_space)
{
    static const size_t limits[] = {192 * MB, 300 * MB, 512 * MB, GB, 5 * GB};
    struct stage stage = {
        .role = "work", .prepare = limit_resource, .resource = RLIMIT_AS, .limit = limits[_i]};

    expect_quiet_success(&stage, __func__);
}
END_TEST

START_TEST(work_with_little_data)
{
    struct stage stage = {
        .role = "work", .prepare = limit_resource, .resource = RLIMIT_DATA, .limit = 192 * MB};

    expect_quiet_success(&stage, __func__);
}
END_TEST

START_TEST(out_of_memory_and_back)
{
    struct stage stage = {.role = "exhaust",
                          .prepare = limit_resource,
                          .resource = RLIMIT_AS,
                          .limit = EXHAUST_LIMIT};

    expect_quiet_success(&stage, __func__);
}
END_TEST

static bool close_standard_files(const struct stage *stage)
{
    (void)stage;
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    return true;
}

START_TEST(without_standard_files)
{
    struct stage stage = {.role = "without-files", .prepare = close_standard_files};

    expect_quiet_success(&stage, __func__);
}
END_TEST

static FILE *file_of_the_program;

static bool ask_for_report(const struct stage *stage)
{
    (void)stage;
    setenv("VALLOC_STATS", "1", 1);
    return dup2(fileno(file_of_the_program), FILE_OF_THE_PROGRAM) == FILE_OF_THE_PROGRAM;
}

static bool ask_for_report_without_files(const struct stage *stage)
{
    return ask_for_report(stage) && close_standard_files(stage);
}

/* The program makes a file of its own standard error; what gets into that, and what is printed where
 * standard error led before. */
static long report_size(bool (*prepare)(const struct stage *), size_t *printed)
{
    struct stage stage = {.role = "report", .prepare = prepare};
    struct outcome outcome;

    file_of_the_program = tmpfile();
    ck_assert_ptr_nonnull(file_of_the_program);
    run_on_stage(&stage, &outcome);
    ck_assert_msg(outcome.status == 0, "ended with %s: %s", describe_status(outcome.status),
                  outcome.err);
    *printed = strlen(outcome.err);
    ck_assert_int_eq(fseek(file_of_the_program, 0, SEEK_END), 0);
    return ftell(file_of_the_program);
}

/* A report goes to where stderr led at the start, if there was one then; what has its number at the
 * exit is the program's own. */
START_TEST(report_goes_to_no_other_file)
{
    size_t printed;

    if (!only_on_valloc(__func__))
        return;
    ck_assert_int_eq(report_size(ask_for_report, &printed), 0);
    ck_assert_uint_gt(printed, 0);
    ck_assert_int_eq(report_size(ask_for_report_without_files, &printed), 0);
    ck_assert_uint_eq(printed, 0);
}
END_TEST

/* An empty file system over each; the rest of the machine does not see it. */
static bool hide_proc_and_sys(const struct stage *stage)
{
    (void)stage;
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/proc", "tmpfs", 0, NULL) == 0 &&
           mount("none", "/sys", "tmpfs", 0, NULL) == 0;
}

START_TEST(without_proc_and_sys)
{
    struct stage stage = {.role = "work", .prepare = hide_proc_and_sys};

    expect_quiet_success(&stage, __func__);
}
END_TEST

/* As containers do it. No look at the architecture: the program makes native calls only. */
static bool refuse_system_calls(const struct stage *stage)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mbind, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_set_mempolicy, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_get_mempolicy, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)stage->error),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

START_TEST(refused_system_calls)
{
    static const int errors[] = {EPERM, ENOSYS, EINVAL};
    struct stage stage = {.role = "work", .prepare = refuse_system_calls, .error = errors[_i]};

    expect_quiet_success(&stage, __func__);
}
END_TEST

/* --- Plugins --- */

static void *use_memory_again_and_again(void *count)
{
    for (size_t i = 0; i < (size_t)count; i++)
        use_memory(NULL);
    return NULL;
}

/* What the machine has of libraries that few programs load; libstdc++ has thread-local data. */
static const char *const plugins[] = {"libresolv.so.2", "libanl.so.1", "libthread_db.so.1",
                                      "libstdc++.so.6", "libgcc_s.so.1"};

START_TEST(plugins_come_and_go)
{
    pthread_t threads[2];
    size_t opened = 0;

    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, use_memory_again_and_again, (void *)scaled(5)), 0);
    for (size_t turn = 0; turn < scaled(200); turn++) {
        void *plugin = dlopen(plugins[turn % (sizeof plugins / sizeof plugins[0])], RTLD_NOW);

        if (plugin != NULL) {
            opened++;
            ck_assert_int_eq(dlclose(plugin), 0);
        }
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_msg(opened > 0, "none of the plugins is installed");
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("environment");
    TCase *start = timed_case("start", 60);

    tcase_add_test(start, before_main);
    tcase_add_test(start, little_address_space);
    tcase_add_loop_test(start, work_in_little_address_space, 0, 5);
    tcase_add_test(start, work_with_little_data);
    tcase_add_test(start, out_of_memory_and_back);
    tcase_add_test(start, without_standard_files);
    tcase_add_test(start, report_goes_to_no_other_file);
    tcase_add_test(start, without_proc_and_sys);
    tcase_add_loop_test(start, refused_system_calls, 0, 3);
    tcase_add_test(start, plugins_come_and_go);
    suite_add_tcase(suite, start);
    return suite;
}
