/*
 * cache/audit, cache/numa_audit: what is in use of each node's heap, to the last block; who lives where; who
 * frees whose; and what a caller of another version is told of it.
 */
#include "tests/world.h"

#include "valloc.h"

#include <limits.h>

enum { NODES = 8 };

static struct vl_audit audit;

static void set_up(void)
{
    begin_world(NODES);
}

struct batch {
    size_t size;
    unsigned count;
    void **blocks;
};

static void *take_batch(void *shared)
{
    const struct batch *batch = shared;
    for (unsigned i = 0; i < batch->count; i++)
        batch->blocks[i] = memset(vl_alloc(batch->size), 1, batch->size);
    return NULL;
}

static void *free_batch(void *shared)
{
    const struct batch *batch = shared;
    for (unsigned i = 0; i < batch->count; i++)
        vl_free(batch->blocks[i]);
    return NULL;
}

static uint64_t used(unsigned node)
{
    vl_audit_take(&audit);
    uint64_t sum = 0;
    struct vl_stats stats = stats_now();
    for (unsigned i = 0; i < NODES; i++)
        sum += audit.nodes[i].used_bytes;
    ck_assert_uint_eq(sum, stats.small_bytes + stats.run_bytes);
    return audit.nodes[node].used_bytes;
}

/* --- In use --- */

START_TEST(blocks_are_of_their_node)
{
    enum { COUNT = 1000 };
    void *blocks[NODES][COUNT], *runs[NODES];
    for (unsigned node = 0; node < NODES; node++) {
        run_on(node, take_batch, &(struct batch){64, COUNT - node, blocks[node]});
        run_on(node, take_batch, &(struct batch){VL_SMALL_MAX + 1, node % 2, &runs[node]});
    }
    for (unsigned node = 0; node < NODES; node++)
        ck_assert_uint_eq(used(node),
                          (COUNT - node) * 64 + node % 2 * vl_good_size(1, VL_SMALL_MAX + 1));
}
END_TEST

/* In the cache of a thread that lives, in its outbox, in an inbox, in parked caches and depots. */
START_TEST(what_is_on_its_way_is_not_in_use)
{
    enum { COUNT = 1000 };
    static void *blocks[COUNT];
    run_on(1, take_batch, &(struct batch){64, COUNT, blocks});
    for (unsigned i = 0; i < COUNT; i++) {
        vl_free(blocks[i]); /* on node 0 */
        require(used(1) == (COUNT - i - 1) * 64);
    }
    ck_assert_uint_eq(used(0), 0);
    void *own = vl_alloc(100);
    ck_assert_uint_eq(used(0), vl_usable_size(own));
    vl_free(own);
    ck_assert_uint_eq(used(0), 0);
}
END_TEST

START_TEST(objects_and_big_blocks_are_of_none)
{
    MemoryAllocator object;
    ck_assert_int_eq(valloc_init(&object, 100, 1), 0);
    ck_assert_ptr_nonnull(valloc_block(&object, 100));
    ck_assert_ptr_nonnull(vl_alloc(VL_BIG_MIN));
    size_t own = vl_usable_size(vl_alloc(1000));
    vl_audit_take(&audit);
    for (unsigned node = 0; node < NODES; node++)
        ck_assert_uint_eq(audit.nodes[node].used_bytes, node == 0 ? own : 0);
    valloc_destroy(&object);
}
END_TEST

/* --- Threads --- */

enum { TOGETHER = 11 };
static pthread_barrier_t all_here, all_go;

static void *live_here(void *number)
{
    vl_free(vl_alloc(64));
    pthread_barrier_wait(&all_here);
    if (number == NULL)
        vl_audit_take(&audit);
    pthread_barrier_wait(&all_go);
    return NULL;
}

START_TEST(threads_are_counted_where_they_live)
{
    vl_free(vl_alloc(64)); /* this one, on node 0 */
    pthread_barrier_init(&all_here, NULL, TOGETHER);
    pthread_barrier_init(&all_go, NULL, TOGETHER);
    run_together(TOGETHER, NODES, live_here);
    ck_assert_uint_eq(audit.threads, TOGETHER + 1);
    ck_assert_uint_eq(audit.caches, TOGETHER + 1);
    for (unsigned node = 0; node < NODES; node++)
        ck_assert_uint_eq(audit.nodes[node].threads,
                          (node < TOGETHER - NODES ? 2 : 1) + (node == 0));
    vl_audit_take(&audit);
    ck_assert_uint_eq(audit.threads, 1);
    ck_assert_uint_eq(audit.caches, TOGETHER + 1);
}
END_TEST

/* --- Frees --- */

/* 41 % of node 1's blocks are freed on node 2. */
static void free_41_percent_remotely(void)
{
    enum { COUNT = 100000, REMOTE = 41000 };
    static void *blocks[COUNT];
    run_on(1, take_batch, &(struct batch){64, COUNT, blocks});
    run_on(2, free_batch, &(struct batch){64, REMOTE, blocks});
    run_on(1, free_batch, &(struct batch){64, COUNT - REMOTE, blocks + REMOTE});
}

START_TEST(frees_elsewhere_are_told)
{
    free_41_percent_remotely();
    vl_audit_take(&audit);
    ck_assert_uint_eq(audit.freed_remotely, 41000);
    ck_assert_uint_ge(audit.freed, 99800);  /* but for what caches keep, */
    ck_assert_uint_le(audit.freed, 100100); /* or had never given out */
    ck_assert_uint_eq(audit.nodes[1].freed_elsewhere, 41000);
    ck_assert_uint_eq(audit.nodes[2].freed_of_others, 41000);
    ck_assert_uint_eq(audit.nodes[1].freed_of_others, 0);
    ck_assert_uint_eq(audit.nodes[2].freed_elsewhere, 0);
    ck_assert_uint_eq(audit.worst.from, 2);
    ck_assert_uint_eq(audit.worst.to, 1);
}
END_TEST

/* --- Beside threads at work --- */

enum { WORKERS = 4, WORK = 200 };
static pthread_barrier_t round_over;
static void *work[WORKERS][WORK];
static _Atomic unsigned at_work;

/* Each frees what the next one has allocated, on another node. */
static void work_together(unsigned self)
{
    for (size_t round = scaled(100); round > 0; round--) {
        for (unsigned i = 0; i < WORK; i++)
            work[self][i] = vl_alloc(1 + i * 37);
        pthread_barrier_wait(&round_over);
        for (unsigned i = 0; i < WORK; i++)
            vl_free(work[(self + 1) % WORKERS][i]);
        pthread_barrier_wait(&round_over);
    }
    at_work--;
}

static void audit_meanwhile(void)
{
    struct vl_audit now;
    while (vl_get(&at_work) != 0) {
        vl_audit_take(&now);
        require(now.freed_remotely <= now.freed);
        require(now.threads <= WORKERS + 2);
        for (unsigned node = 0; node < WORKERS; node++)
            require(now.nodes[node].used_bytes < 64 * MB && now.nodes[node].threads <= WORKERS + 2);
    }
}

static void *work_or_audit(void *number)
{
    if ((uintptr_t)number < WORKERS)
        work_together((unsigned)(uintptr_t)number);
    else
        audit_meanwhile();
    return NULL;
}

START_TEST(nobody_is_disturbed)
{
    begin_bare_world(WORKERS);
    vl_free(vl_alloc(64));
    at_work = WORKERS;
    pthread_barrier_init(&round_over, NULL, WORKERS);
    run_together(WORKERS + 1, WORKERS, work_or_audit);
    vl_audit_take(&audit);
    uint64_t blocks = (uint64_t)WORKERS * WORK * scaled(100);
    ck_assert_uint_eq(audit.freed_remotely, blocks);
    for (unsigned node = 0; node < WORKERS; node++) {
        ck_assert_uint_eq(audit.nodes[node].used_bytes, 0);
        ck_assert_uint_eq(audit.nodes[node].freed_elsewhere, blocks / WORKERS);
        ck_assert_uint_eq(audit.nodes[node].freed_of_others, blocks / WORKERS);
    }
}
END_TEST

/* --- valloc_numa_audit --- */

static struct valloc_numa_node nodes[NODES + 1];
static struct valloc_numa_flow flows[NODES * NODES];

static struct valloc_numa_audit ask(void)
{
    struct valloc_numa_audit asked = {.size = sizeof asked,
                                      .node_size = sizeof *nodes,
                                      .flow_size = sizeof *flows,
                                      .node_max = NODES,
                                      .node = nodes,
                                      .flow = flows};
    memset(nodes, 0xa5, sizeof nodes);
    memset(flows, 0xa5, sizeof flows);
    ck_assert_int_eq(valloc_numa_audit(&asked), 0);
    return asked;
}

START_TEST(all_is_told)
{
    free_41_percent_remotely();
    struct valloc_numa_audit asked = ask();
    ck_assert_uint_eq(asked.node_count, NODES);
    ck_assert_int_eq(asked.known, 1);
    ck_assert_uint_gt(asked.pages_found, 0);
    ck_assert_uint_le(asked.pages_found, asked.pages_asked);
    ck_assert_uint_eq(asked.frees_remote, 41000);
    ck_assert_int_eq(asked.finding, VALLOC_NUMA_REMOTE);
    ck_assert_ptr_nonnull(strstr(asked.advice,
                                 "% of frees are remote, most of them on node 2 of blocks of "
                                 "node 1"));
    for (unsigned node = 0; node < NODES; node++) {
        ck_assert_int_eq(nodes[node].node, (int)node);
        ck_assert_uint_eq(nodes[node].used, 0);
        ck_assert_uint_eq(nodes[node].away, 0);
        ck_assert_int_eq(nodes[node].away_node, -1);
        ck_assert_uint_eq(nodes[node].held > 100000 * 64 / 2, node == 1);
        ck_assert_uint_eq(nodes[node].here, nodes[node].held);
        for (unsigned to = 0; to < NODES; to++)
            ck_assert_uint_eq(flows[node * NODES + to].blocks, node == 2 && to == 1 ? 41000 : 0);
    }
    ck_assert_uint_eq(flows[2 * NODES + 1].batches, (41000 + 62) / 63);
    ck_assert_uint_eq(nodes[1].freed_elsewhere, 41000);
    ck_assert_uint_eq(nodes[2].freed_of_others, 41000);
    ck_assert_int_eq((unsigned char)*(char *)&nodes[NODES], 0xa5);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__ /* which makes frames several times as large */
static void *ask_alone(void *asked)
{
    valloc_numa_audit(asked);
    return NULL;
}

START_TEST(smallest_stack_is_enough)
{
    pthread_attr_t attributes;
    pthread_t thread;
    struct valloc_numa_audit asked = {.size = sizeof asked};
    free_41_percent_remotely();
    memset(vl_alloc(8 * MB), 1, 8 * MB);
    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, ask_alone, &asked), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(asked.node_count, NODES);
    ck_assert_int_eq(asked.known, 1);
}
END_TEST
#endif

START_TEST(unknown_is_not_zero)
{
    void *block;
    run_on(1, take_batch, &(struct batch){5000, 1, &block});
    fake_os_fail_from(FAKE_NODES_OF, 1, EPERM);
    struct valloc_numa_audit asked = ask();
    ck_assert_int_eq(asked.known, 0);
    ck_assert_uint_eq(asked.pages_asked, 0);
    ck_assert_uint_eq(nodes[1].held, 0);
    ck_assert_int_eq(nodes[1].away_node, -1);
    ck_assert_uint_ge(nodes[1].used, 5000);
    fake_os_heal();
    ck_assert_int_eq(ask().known, 1);
    ck_assert_uint_gt(nodes[1].held, 0);
}
END_TEST

static unsigned on_node_3(const void *page)
{
    (void)page;
    return 3;
}

START_TEST(full_node_is_told)
{
    void *blocks[16];
    run_on(1, take_batch, &(struct batch){512 << 10, 16, blocks});
    fake_os_set_lies_function(on_node_3);
    fake_os_set_node_memory(1, (uint64_t)64 << 20, (uint64_t)1 << 20);
    struct valloc_numa_audit asked = ask();
    ck_assert_int_eq(asked.finding, VALLOC_NUMA_AWAY);
    ck_assert_str_eq(asked.advice,
                     "8.0 MB of node 1's heap lie on node 3: node 1 is full (1.0 MB of 64.0 MB "
                     "free), let fewer threads or processes allocate there");
    ck_assert_uint_eq(nodes[1].away, 8 << 20);
    ck_assert_int_eq(nodes[1].away_node, 3);
    ck_assert_uint_eq(nodes[3].here, 8 << 20);
}
END_TEST

START_TEST(what_says_nothing_is_refused)
{
    struct valloc_numa_audit asked = {.size = 0};
    errno = 0;
    ck_assert_int_eq(valloc_numa_audit(NULL), -1);
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_int_eq(valloc_numa_audit(&asked), -1);
    ck_assert_int_eq(errno, EINVAL);
    asked = (struct valloc_numa_audit){.size = sizeof asked, .node_max = 1, .node = nodes};
    ck_assert_int_eq(valloc_numa_audit(&asked), -1); /* node_size */
    asked.node = NULL;
    asked.flow = flows;
    ck_assert_int_eq(valloc_numa_audit(&asked), -1); /* flow_size */
    asked.flow = NULL;
    ck_assert_int_eq(valloc_numa_audit(&asked), 0);
    ck_assert_uint_eq(asked.node_count, NODES);
}
END_TEST

/* Smaller structs are filled as far as they go, larger ones as far as we know, and with zeros. */
START_TEST(other_versions_are_served)
{
    enum { BEFORE_ADVICE = offsetof(struct valloc_numa_audit, advice) };
    struct later {
        struct valloc_numa_node node;
        uint64_t more;
    } later[2];
    struct valloc_numa_audit asked = {
        .size = BEFORE_ADVICE, .node_size = sizeof *later, .node_max = 2, .node = &later[0].node};
    memset(asked.advice, 'x', sizeof asked.advice);
    memset(later, 0xa5, sizeof later);
    free_41_percent_remotely();
    ck_assert_int_eq(valloc_numa_audit(&asked), 0);
    ck_assert_int_eq(asked.finding, VALLOC_NUMA_REMOTE);
    ck_assert_int_eq(asked.advice[0], 'x');
    ck_assert_int_eq(later[1].node.node, 1);
    ck_assert_uint_eq(later[1].node.freed_elsewhere, 41000);
    ck_assert_uint_eq(later[0].more, 0);
    ck_assert_uint_eq(later[1].more, 0);
    struct {
        struct valloc_numa_audit audit;
        uint64_t more;
    } larger = {.audit.size = sizeof larger, .more = 5};
    ck_assert_int_eq(valloc_numa_audit(&larger.audit), 0);
    ck_assert_uint_eq(larger.more, 0);
    uint64_t first[2 * offsetof(struct valloc_numa_node, used) / sizeof(uint64_t) + 1];
    first[2] = 17;
    asked = (struct valloc_numa_audit){.size = sizeof asked,
                                       .node_size = offsetof(struct valloc_numa_node, used),
                                       .node_max = 2,
                                       .node = (struct valloc_numa_node *)first};
    ck_assert_int_eq(valloc_numa_audit(&asked), 0);
    ck_assert_uint_eq(first[2], 17);
}
END_TEST

START_TEST(flows_of_other_versions_are_served)
{
    struct later {
        struct valloc_numa_flow flow;
        uint64_t more;
    } later[4 * 4];
    uint64_t first[3 * 3 + 1];
    struct valloc_numa_audit asked = {
        .size = sizeof asked, .flow_size = sizeof *later, .node_max = 4, .flow = &later[0].flow};
    free_41_percent_remotely();
    memset(later, 0xa5, sizeof later);
    ck_assert_int_eq(valloc_numa_audit(&asked), 0);
    for (unsigned i = 0; i < 4 * 4; i++) {
        ck_assert_uint_eq(later[i].flow.blocks, i == 2 * 4 + 1 ? 41000 : 0);
        ck_assert_uint_eq(later[i].more, 0);
    }
    first[3 * 3] = 17;
    asked = (struct valloc_numa_audit){.size = sizeof asked,
                                       .flow_size = sizeof *first,
                                       .node_max = 3,
                                       .flow = (struct valloc_numa_flow *)first};
    ck_assert_int_eq(valloc_numa_audit(&asked), 0);
    for (unsigned i = 0; i < 3 * 3; i++)
        ck_assert_uint_eq(first[i], i == 2 * 3 + 1 ? 41000 : 0);
    ck_assert_uint_eq(first[3 * 3], 17);
}
END_TEST

/* Nobody asks the kernel anything. */
START_TEST(one_node_is_soon_told)
{
    begin_world(1);
    void *block = vl_alloc(100);
    struct valloc_numa_audit asked = ask();
    ck_assert_uint_eq(asked.node_count, 1);
    ck_assert_int_eq(asked.finding, VALLOC_NUMA_FINE);
    ck_assert_str_eq(asked.advice, "");
    ck_assert_int_eq(nodes[0].node, -1);
    ck_assert_uint_eq(nodes[0].used, vl_usable_size(block));
    ck_assert_uint_eq(nodes[0].threads, 1);
    ck_assert_uint_eq(fake_os_count(FAKE_NODES_OF), 0);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/audit");

    TCase *sums = timed_case("sums", 20);
    tcase_add_checked_fixture(sums, set_up, NULL);
    tcase_add_test(sums, blocks_are_of_their_node);
    tcase_add_test(sums, what_is_on_its_way_is_not_in_use);
    tcase_add_test(sums, objects_and_big_blocks_are_of_none);
    tcase_add_test(sums, threads_are_counted_where_they_live);
    tcase_add_test(sums, frees_elsewhere_are_told);
    suite_add_tcase(suite, sums);

    TCase *beside = timed_case("beside", 30);
    tcase_add_test(beside, nobody_is_disturbed);
    suite_add_tcase(suite, beside);

    TCase *api = tcase_create("api");
    tcase_add_checked_fixture(api, set_up, NULL);
    tcase_add_test(api, all_is_told);
#ifndef __SANITIZE_ADDRESS__
    tcase_add_test(api, smallest_stack_is_enough);
#endif
    tcase_add_test(api, unknown_is_not_zero);
    tcase_add_test(api, full_node_is_told);
    tcase_add_test(api, what_says_nothing_is_refused);
    tcase_add_test(api, other_versions_are_served);
    tcase_add_test(api, flows_of_other_versions_are_served);
    suite_add_tcase(suite, api);

    TCase *one = tcase_create("one node");
    tcase_add_test(one, one_node_is_soon_told);
    suite_add_tcase(suite, one);
    return suite;
}
