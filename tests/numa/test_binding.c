/*
 * numa/binding: which node each thread is bound to, who is left alone, and who else binds.
 */
#include "tests/world.h"

#include <stdlib.h>
#include <fcntl.h>
#include <unistd.h>

/* Of the false OS: nodes of 2 and 3 CPUs in turn. */
enum { NODES = 4, CPUS = 10 };

static char *const empty[] = {NULL};
static int said;

/* Standard error is read by the test. */
static void begin(enum vl_bind_mode mode, char *const *environment)
{
    int ends[2];
    begin_world(NODES);
    vl_options.bind_mode = mode;
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[1], 2), 0);
    close(ends[1]);
    said = ends[0];
    vl_binding_start(environment);
}

static const char *what_was_said(void)
{
    static char text[512];
    close(2);
    ssize_t length = fcntl(said, F_SETFL, O_NONBLOCK) == 0 ? read(said, text, sizeof text - 1) : -1;
    text[length > 0 ? length : 0] = '\0';
    return text;
}

/* --- The order --- */

static const uint16_t cpus[NODES] = {2, 3, 2, 3};

START_TEST(spread_goes_round)
{
    for (unsigned first = 0; first < NODES; first++)
        for (uint32_t nth = 0; nth < 3 * NODES; nth++)
            ck_assert_uint_eq(vl_binding_place(VL_BIND_SPREAD, nth, cpus, NODES, first),
                              (first + nth) % NODES);
}
END_TEST

START_TEST(compact_fills_one_after_the_other)
{
    static const unsigned from_0[CPUS] = {0, 0, 1, 1, 1, 2, 2, 3, 3, 3};
    static const unsigned from_3[CPUS] = {3, 3, 3, 0, 0, 1, 1, 1, 2, 2};
    for (uint32_t nth = 0; nth < 3 * CPUS; nth++) {
        ck_assert_uint_eq(vl_binding_place(VL_BIND_COMPACT, nth, cpus, NODES, 0),
                          from_0[nth % CPUS]);
        ck_assert_uint_eq(vl_binding_place(VL_BIND_COMPACT, nth, cpus, NODES, 3),
                          from_3[nth % CPUS]);
    }
}
END_TEST

/* --- Others that bind --- */

static const struct {
    const char *entry, *other; /* of an environment */
    const char *rival;
} environments[] = {
    {"PATH=/bin", NULL, NULL},
    {"OMP_PROC_BIND=true", NULL, "OMP_PROC_BIND"},
    {"OMP_PROC_BIND=spread,close", NULL, "OMP_PROC_BIND"},
    {"OMP_PROC_BIND=FALSE", NULL, NULL},
    {"OMP_PROC_BIND=", NULL, NULL},
    {"OMP_PLACES=cores", NULL, "OMP_PLACES"},
    {"OMP_PLACES=cores", "OMP_PROC_BIND=false", NULL},
    {"OMP_PLACES_OF_MINE=cores", NULL, NULL},
    {"GOMP_CPU_AFFINITY=0 3 1-2", NULL, "GOMP_CPU_AFFINITY"},
    {"GOMP_CPU_AFFINITY=0", "OMP_PROC_BIND=false", NULL},
    {"KMP_AFFINITY=verbose,compact", NULL, "KMP_AFFINITY"},
    {"KMP_AFFINITY=verbose,none", NULL, NULL},
    {"KMP_AFFINITY=disabled", NULL, NULL},
    {"KMP_AFFINITY=compact", "OMP_PROC_BIND=false", "KMP_AFFINITY"},
    {"SLURM_CPU_BIND=quiet,mask_cpu:0x3", NULL, "SLURM_CPU_BIND"},
    {"SLURM_CPU_BIND=quiet,none", NULL, NULL},
    {"I_MPI_PIN_DOMAIN=omp", NULL, "I_MPI_PIN_DOMAIN"},
    {"MV2_CPU_BINDING_POLICY=bunch", NULL, "MV2_CPU_BINDING_POLICY"},
    {"MV2_CPU_MAPPING=0:1", NULL, "MV2_CPU_MAPPING"},
};

enum { ENVIRONMENTS = sizeof environments / sizeof *environments };

START_TEST(rival_is_found)
{
    char *const environment[] = {(char *)environments[_i].entry, (char *)environments[_i].other,
                                 NULL};
    const char *rival = vl_binding_rival(environment);
    if (environments[_i].rival == NULL)
        ck_assert_ptr_null(rival);
    else
        ck_assert_str_eq(rival, environments[_i].rival);
    ck_assert_ptr_null(vl_binding_rival(NULL));
}
END_TEST

/* --- Threads that come --- */

/* The node whose CPUs these are; NODES: all of them, or others. */
static unsigned node_of_cpus(struct vl_cpu_mask mask)
{
    unsigned node = 0;
    for (; node < NODES; node++) {
        struct vl_cpu_mask of_node = fake_os_node_cpus(node);
        if (memcmp(&mask, &of_node, sizeof mask) == 0)
            break;
    }
    return node;
}

/* What a new thread inherits of one that is bound to node 0, or of none. */
static bool inherits;

struct arrival {
    unsigned bound; /* to which node */
    unsigned home;  /* of its cache */
};

static void *arrive(void *arrival_shared)
{
    struct arrival *arrival = arrival_shared;
    struct vl_cpu_mask of_node = fake_os_node_cpus(0);
    if (inherits)
        fake_os_set_cpus(false, &of_node);
    void *block = vl_alloc(64);
    arrival->bound = node_of_cpus(fake_os_cpus(false));
    arrival->home = node_of(block);
    vl_free(block);
    vl_free(vl_alloc(1000));
    ck_assert_uint_eq(node_of_cpus(fake_os_cpus(false)), arrival->bound);
    return NULL;
}

static struct arrival arrive_from(unsigned node)
{
    struct arrival arrival;
    run_on(node, arrive, &arrival);
    return arrival;
}

START_TEST(threads_are_spread)
{
    begin(VL_BIND_SPREAD, empty);
    vl_free(vl_alloc(64));
    ck_assert_uint_eq(node_of_cpus(fake_os_cpus(true)), NODES); /* alone, it is left alone */
    ck_assert_uint_eq(fake_os_count(FAKE_SET_AFFINITY), 0);
    for (unsigned i = 1; i <= 2 * NODES; i++) {
        inherits = _i != 0 && i > 1;
        struct arrival arrival = arrive_from(2);
        ck_assert_uint_eq(arrival.bound, i % NODES);
        ck_assert_uint_eq(arrival.home, i % NODES);
        ck_assert_uint_eq(node_of_cpus(fake_os_cpus(true)), 0);
    }
    ck_assert_uint_eq(fake_os_count(FAKE_SET_AFFINITY), 2 * NODES + 1);
    ck_assert_str_eq(what_was_said(), "");
}
END_TEST

START_TEST(threads_are_packed)
{
    static const unsigned nodes[CPUS] = {3, 3, 3, 0, 0, 1, 1, 1, 2, 2};
    begin(VL_BIND_COMPACT, empty);
    move_to(3); /* where the main thread is */
    vl_free(vl_alloc(64));
    for (unsigned i = 1; i <= 2 * CPUS; i++) {
        struct arrival arrival = arrive_from(1);
        ck_assert_uint_eq(arrival.bound, nodes[i % CPUS]);
        ck_assert_uint_eq(arrival.home, nodes[i % CPUS]);
    }
    ck_assert_uint_eq(node_of_cpus(fake_os_cpus(true)), 3);
}
END_TEST

START_TEST(nobody_is_bound_unless_asked)
{
    begin(VL_BIND_NONE, empty);
    vl_free(vl_alloc(64));
    ck_assert_uint_eq(arrive_from(2).bound, NODES);
    ck_assert_uint_eq(arrive_from(2).home, 2);
    ck_assert_uint_eq(fake_os_count(FAKE_SET_AFFINITY), 0);
}
END_TEST

static void *arrive_bound(void *unused)
{
    struct vl_cpu_mask one = {{1ul << 9}};
    fake_os_set_cpus(false, &one);
    vl_free(vl_alloc(64));
    struct vl_cpu_mask now = fake_os_cpus(false);
    ck_assert_mem_eq(&now, &one, sizeof one);
    return unused;
}

/* Nor does it take another's place. */
START_TEST(thread_with_an_affinity_is_left_alone)
{
    begin(VL_BIND_SPREAD, empty);
    vl_free(vl_alloc(64));
    ck_assert_uint_eq(arrive_from(0).bound, 1);
    run_on(0, arrive_bound, NULL);
    ck_assert_uint_eq(arrive_from(0).bound, 2);
}
END_TEST

/* As it comes before all others, it would have to change its CPUs to see what could be had. */
START_TEST(thread_with_an_affinity_does_not_decide)
{
    begin(VL_BIND_SPREAD, empty);
    vl_free(vl_alloc(64));
    run_on(0, arrive_bound, NULL);
    ck_assert_uint_eq(node_of_cpus(fake_os_cpus(true)), NODES);
    ck_assert_uint_eq(fake_os_count(FAKE_SET_AFFINITY), 0);
    ck_assert_uint_eq(arrive_from(0).bound, 1);
    ck_assert_uint_eq(node_of_cpus(fake_os_cpus(true)), 0);
}
END_TEST

static void check_refusal(const char *reason)
{
    char expected[160];
    vl_free(vl_alloc(64));
    for (int i = 0; i < 3; i++) {
        struct arrival arrival = arrive_from(2);
        ck_assert_uint_eq(arrival.bound, NODES);
        ck_assert_uint_eq(arrival.home, 2);
    }
    ck_assert_uint_eq(node_of_cpus(fake_os_cpus(true)), NODES);
    snprintf(expected, sizeof expected, "valloc: VALLOC_BIND_THREADS: %s; no thread is bound\n",
             reason);
    ck_assert_str_eq(what_was_said(), expected); /* once */
}

START_TEST(rival_is_told)
{
    char *const environment[] = {"OMP_PLACES=cores", NULL};
    begin(VL_BIND_SPREAD, environment);
    check_refusal("OMP_PLACES has threads bound already");
    ck_assert_uint_eq(fake_os_count(FAKE_SET_AFFINITY), 0);
}
END_TEST

/* taskset, mpirun --bind-to, numactl --cpunodebind, or the program itself. */
START_TEST(bound_process_is_told)
{
    struct vl_cpu_mask some = {{0x33}}; /* of two nodes */
    begin(VL_BIND_SPREAD, empty);
    fake_os_set_cpus(true, &some);
    check_refusal("the process is bound to some of its CPUs already");
    ck_assert_uint_eq(fake_os_count(FAKE_SET_AFFINITY), 0);
}
END_TEST

START_TEST(kernel_that_refuses_is_told)
{
    begin(VL_BIND_SPREAD, empty);
    fake_os_fail_from(FAKE_SET_AFFINITY, 1, EPERM);
    check_refusal("the kernel does not let it");
}
END_TEST

/* Who waits for the line to be said would hang in a program without threads. */
START_TEST(program_without_threads_hears_nothing)
{
    char *const environment[] = {"OMP_PLACES=cores", NULL};
    begin(VL_BIND_SPREAD, environment);
    for (int i = 0; i < 1000; i++)
        vl_free(vl_alloc((size_t)i * 100));
    ck_assert_str_eq(what_was_said(), "");
}
END_TEST

/* Whoever else would bind there. */
START_TEST(one_node_is_all_places)
{
    char *const environment[] = {_i == 0 ? "PATH=/bin" : "OMP_PLACES=cores", NULL};
    begin(VL_BIND_SPREAD, environment);
    fake_os_set_nodes((unsigned[]){5}, 1);
    ck_assert_uint_eq(arrive_from(5).bound, NODES);
    ck_assert_uint_eq(fake_os_count(FAKE_SET_AFFINITY), 0);
    ck_assert_str_eq(what_was_said(), "");
}
END_TEST

static pthread_barrier_t together;
static _Atomic unsigned on_node[NODES];

static void *arrive_together(void *unused)
{
    struct arrival arrival;
    pthread_barrier_wait(&together);
    arrive(&arrival);
    on_node[arrival.bound]++;
    return (void)unused, NULL;
}

/* One decides, the others wait for it. */
START_TEST(threads_that_come_together_are_spread)
{
    begin(VL_BIND_SPREAD, empty);
    vl_free(vl_alloc(64));
    pthread_barrier_init(&together, NULL, TOGETHER_MAX);
    run_together(TOGETHER_MAX, NODES, arrive_together);
    for (unsigned node = 0; node < NODES; node++)
        ck_assert_uint_eq(on_node[node], TOGETHER_MAX / NODES);
}
END_TEST

START_TEST(threads_of_a_child_come_anew)
{
    begin(VL_BIND_SPREAD, empty);
    vl_free(vl_alloc(64));
    ck_assert_uint_eq(arrive_from(0).bound, 1);
    ck_assert_uint_eq(arrive_from(0).bound, 2);
    vl_binding_after_fork();
    ck_assert_uint_eq(arrive_from(0).bound, 1);
    ck_assert_str_eq(what_was_said(), "");
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("numa/binding");

    TCase *order = tcase_create("order");
    tcase_add_test(order, spread_goes_round);
    tcase_add_test(order, compact_fills_one_after_the_other);
    tcase_add_loop_test(order, rival_is_found, 0, ENVIRONMENTS);
    suite_add_tcase(suite, order);

    TCase *threads = tcase_create("threads");
    tcase_add_loop_test(threads, threads_are_spread, 0, 2);
    tcase_add_test(threads, threads_are_packed);
    tcase_add_test(threads, nobody_is_bound_unless_asked);
    tcase_add_test(threads, thread_with_an_affinity_is_left_alone);
    tcase_add_test(threads, thread_with_an_affinity_does_not_decide);
    tcase_add_test(threads, threads_that_come_together_are_spread);
    tcase_add_test(threads, threads_of_a_child_come_anew);
    suite_add_tcase(suite, threads);

    TCase *refused = tcase_create("refused");
    tcase_add_test(refused, rival_is_told);
    tcase_add_test(refused, bound_process_is_told);
    tcase_add_test(refused, kernel_that_refuses_is_told);
    tcase_add_test(refused, program_without_threads_hears_nothing);
    tcase_add_loop_test(refused, one_node_is_all_places, 0, 2);
    suite_add_tcase(suite, refused);
    return suite;
}
