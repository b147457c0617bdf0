/*
 * cache/advice: nothing is said of what is in order, each finding begins at its threshold, and the gravest
 * comes first.
 */
#include "tests/world.h"

enum { NODES = 4 };

#define MB_BYTES ((uint64_t)1 << 20)

static struct vl_audit audit;
static char line[256];

/* Four nodes, 2, 3, 5 and 7, one thread on each, 100 MB of heap that lies where it should. */
static void set_up(void)
{
    static const int ids[NODES] = {2, 3, 5, 7};
    memset(&audit, 0, sizeof audit);
    audit.count = NODES;
    audit.census.known = true;
    audit.caches = audit.threads = NODES;
    for (unsigned node = 0; node < NODES; node++) {
        audit.nodes[node] = (struct vl_audit_node){
            .id = ids[node], .threads = 1, .memory = {1600 * MB_BYTES, 800 * MB_BYTES, 0}};
        audit.census.nodes[node] = (struct vl_census_node){
            .held = 100 * MB_BYTES, .here = 100 * MB_BYTES, .away_node = -1};
    }
}

static enum vl_finding advised(void)
{
    struct vl_text text = vl_text_on(line, sizeof line);
    enum vl_finding finding = vl_advise(&audit, &text);
    ck_assert_uint_lt(text.len, 191); /* what valloc_numa_audit has room for */
    ck_assert_uint_eq(text.len == 0, finding == VL_FINDING_NONE);
    return finding;
}

static void check_advice(enum vl_finding finding, const char *expected)
{
    ck_assert_int_eq(advised(), finding);
    ck_assert_str_eq(line, expected);
}

START_TEST(nothing_is_wrong)
{
    check_advice(VL_FINDING_NONE, "");
    audit.freed = UINT32_MAX;
    audit.balances = true;
    check_advice(VL_FINDING_NONE, "");
}
END_TEST

static void put_away(unsigned node, uint64_t bytes, int to)
{
    audit.census.nodes[node].away = bytes;
    audit.census.nodes[node].away_node = to;
}

START_TEST(node_is_full)
{
    put_away(2, 10 * MB_BYTES - 1, 7);
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
    put_away(2, 10 * MB_BYTES, 7);
    put_away(1, 1 * MB_BYTES, 2);
    audit.nodes[2].memory.free_bytes = 50 * MB_BYTES - 1;
    check_advice(VL_FINDING_AWAY,
                 "10.0 MB of node 5's heap lie on node 7: node 5 is full (50.0 MB of "
                 "1.6 GB free), let fewer threads or processes allocate there");
}
END_TEST

/* Fewer threads would not help. */
START_TEST(node_is_full_of_files)
{
    put_away(2, 10 * MB_BYTES, 7);
    audit.nodes[2].memory = (struct vl_node_memory){1600 * MB_BYTES, 10 * MB_BYTES, 200 * MB_BYTES};
    check_advice(VL_FINDING_AWAY,
                 "10.0 MB of node 5's heap lie on node 7: node 5 is full, 200.0 MB of 1.6 GB hold "
                 "cached files: see vm.zone_reclaim_mode and vm.drop_caches");
    audit.nodes[2].memory.file_bytes--;
    ck_assert_int_eq(advised(), VL_FINDING_AWAY);
    ck_assert_ptr_nonnull(strstr(line, "let fewer threads"));
    audit.nodes[2].memory =
        (struct vl_node_memory){1600 * MB_BYTES, 50 * MB_BYTES, 1500 * MB_BYTES};
    ck_assert_int_eq(advised(), VL_FINDING_AWAY);
    ck_assert_ptr_nonnull(strstr(line, "has 50.0 MB free"));
}
END_TEST

START_TEST(node_was_full)
{
    put_away(2, 10 * MB_BYTES, 7);
    audit.nodes[2].memory.free_bytes = 50 * MB_BYTES;
    check_advice(
        VL_FINDING_AWAY,
        "10.0 MB of node 5's heap lie on node 7, though node 5 has 50.0 MB free: it was full "
        "then, or they were moved; migratepages(8) brings them back");
    audit.nodes[2].memory.bytes = audit.nodes[2].memory.free_bytes = 0;
    audit.census.nodes[2].away_node = -1;
    check_advice(VL_FINDING_AWAY, "10.0 MB of node 5's heap lie on nodes that are not allowed: see "
                                  "numastat(8)");
}
END_TEST

/* Of a small one the kernel leaves a larger share. */
START_TEST(small_node_is_full)
{
    put_away(2, 10 * MB_BYTES, 7);
    audit.nodes[2].memory.bytes = 64 * MB_BYTES;
    audit.nodes[2].memory.free_bytes = 16 * MB_BYTES;
    ck_assert_int_eq(advised(), VL_FINDING_AWAY);
    ck_assert_ptr_null(strstr(line, "is full"));
    audit.nodes[2].memory.free_bytes--;
    ck_assert_int_eq(advised(), VL_FINDING_AWAY);
    ck_assert_ptr_nonnull(strstr(line, "node 5 is full (16.0 MB of 64.0 MB free)"));
}
END_TEST

/* A few pages of a heap that is small. */
START_TEST(little_is_no_matter)
{
    audit.census.nodes[2].held = 4 * MB_BYTES;
    put_away(2, 4 * MB_BYTES - 1, 7);
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
    put_away(2, 4 * MB_BYTES, 7);
    ck_assert_int_eq(advised(), VL_FINDING_AWAY);
}
END_TEST

/* Whose share is small is not in the way of one that has most of its memory elsewhere. */
START_TEST(smaller_heap_may_be_worse_off)
{
    audit.census.nodes[1].held = 1000 * MB_BYTES;
    put_away(1, 20 * MB_BYTES, 7);
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
    put_away(2, 10 * MB_BYTES, 7);
    ck_assert_int_eq(advised(), VL_FINDING_AWAY);
    ck_assert_ptr_nonnull(strstr(line, "10.0 MB of node 5's heap"));
}
END_TEST

START_TEST(heap_cannot_grow)
{
    audit.nodes[3].fallbacks = 12;
    audit.nodes[1].fallbacks = 11;
    check_advice(
        VL_FINDING_FALLBACKS,
        "the heap of node 7 could not grow, and took from other nodes 12 times: see ulimit -v, "
        "ulimit -d, vm.overcommit_memory and VALLOC_LIMIT_HARD");
}
END_TEST

START_TEST(threads_move)
{
    audit.nodes[0].rehomed = 10;
    audit.nodes[3].rehomed = 5;
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
    audit.nodes[3].rehomed = 6;
    check_advice(VL_FINDING_MOVING,
                 "threads have moved to another node 16 times, and left their memory: "
                 "bind threads, see valloc(7)");
    audit.caches = 9; /* so many threads may each have moved once */
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
    audit.caches = 8;
    audit.balances = true;
    ck_assert_int_eq(advised(), VL_FINDING_MOVING);
    ck_assert_ptr_null(strstr(line, "kernel"));
    audit.census.nodes[1].here_big = 1; /* bound: the kernel leaves it */
    ck_assert_int_eq(advised(), VL_FINDING_MOVING);
    ck_assert_ptr_null(strstr(line, "kernel"));
    audit.census.nodes[1].here_free = 1;
    check_advice(
        VL_FINDING_MOVING,
        "threads have moved to another node 16 times, and left their memory, which the kernel "
        "moves after them (numa_balancing): bind threads, see valloc(7)");
}
END_TEST

static void free_remotely(uint64_t blocks, uint64_t in_all)
{
    audit.freed = in_all;
    audit.freed_remotely = blocks;
    audit.worst = (struct vl_traffic_pair){.from = 1, .to = 3, .blocks = blocks, .batches = 1};
}

START_TEST(frees_are_remote)
{
    free_remotely(9999, 9999);
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
    free_remotely(10000, 50001);
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
    free_remotely(10000, 50000);
    ck_assert_int_eq(advised(), VL_FINDING_REMOTE);
    free_remotely(41000, 100000);
    check_advice(
        VL_FINDING_REMOTE,
        "41.0% of frees are remote, most of them on node 3 of blocks of node 7: bind threads that "
        "share blocks to one node, see valloc(7)");
}
END_TEST

static void put_big(unsigned node, uint64_t bytes)
{
    audit.census.nodes[node].here_big = audit.census.nodes[node].here_free = bytes;
}

START_TEST(big_blocks_are_on_one_side)
{
    put_big(1, 64 * MB_BYTES - 1);
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
    put_big(1, 90 * MB_BYTES - 1);
    put_big(0, 10 * MB_BYTES + 1);
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
    put_big(1, 90 * MB_BYTES);
    put_big(0, 10 * MB_BYTES);
    check_advice(
        VL_FINDING_ONE_SIDED,
        "90.0% of 100.0 MB in big blocks lie on node 3, threads run on 4 nodes: let each thread "
        "write first what it will use, see valloc(7)");
    audit.nodes[1].threads = 3; /* half of six */
    audit.threads = 6;
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
}
END_TEST

/* Most threads are on one other node: then it is not for the others to write first. */
START_TEST(one_node_with_threads_is_not_several)
{
    put_big(1, 100 * MB_BYTES);
    for (unsigned node = 0; node < NODES; node++)
        audit.nodes[node].threads = node == 2 ? 4 : 0;
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
    audit.nodes[0].threads = 1;
    ck_assert_int_eq(advised(), VL_FINDING_ONE_SIDED);
}
END_TEST

/* Who has named a node has his reasons. */
START_TEST(named_places_are_not_one_sided)
{
    audit.census.nodes[1].here_big = 1000 * MB_BYTES;
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
    audit.census.nodes[1].here_free = 100 * MB_BYTES;
    ck_assert_int_eq(advised(), VL_FINDING_ONE_SIDED);
}
END_TEST

START_TEST(gravest_comes_first)
{
    put_big(1, 100 * MB_BYTES);
    ck_assert_int_eq(advised(), VL_FINDING_ONE_SIDED);
    free_remotely(41000, 100000);
    ck_assert_int_eq(advised(), VL_FINDING_REMOTE);
    audit.nodes[0].rehomed = 100;
    ck_assert_int_eq(advised(), VL_FINDING_MOVING);
    audit.nodes[0].fallbacks = 1;
    ck_assert_int_eq(advised(), VL_FINDING_FALLBACKS);
    put_away(0, 50 * MB_BYTES, 7);
    ck_assert_int_eq(advised(), VL_FINDING_AWAY);
    audit.count = 1;
    ck_assert_int_eq(advised(), VL_FINDING_NONE);
}
END_TEST

/* The longest line there can be fits. */
START_TEST(long_numbers_fit)
{
    uint64_t most = UINT64_MAX / 200;
    for (unsigned node = 0; node < NODES; node++) {
        audit.nodes[node].id = 1023;
        audit.nodes[node].memory.bytes = audit.nodes[node].memory.free_bytes = most;
    }
    put_away(1, most, 1022);
    ck_assert_int_eq(advised(), VL_FINDING_AWAY);
    audit.nodes[1].memory.free_bytes = most / 40;
    ck_assert_int_eq(advised(), VL_FINDING_AWAY);
    audit.nodes[1].memory.file_bytes = most;
    ck_assert_int_eq(advised(), VL_FINDING_AWAY);
    put_away(1, 0, -1);
    put_big(1, most);
    ck_assert_int_eq(advised(), VL_FINDING_ONE_SIDED);
    free_remotely(most, most);
    ck_assert_int_eq(advised(), VL_FINDING_REMOTE);
    audit.nodes[1].rehomed = most;
    audit.balances = true;
    ck_assert_int_eq(advised(), VL_FINDING_MOVING);
    audit.nodes[1].fallbacks = most;
    ck_assert_int_eq(advised(), VL_FINDING_FALLBACKS);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/advice");
    TCase *advice = tcase_create("advice");
    tcase_add_checked_fixture(advice, set_up, NULL);
    tcase_add_test(advice, nothing_is_wrong);
    tcase_add_test(advice, node_is_full);
    tcase_add_test(advice, node_is_full_of_files);
    tcase_add_test(advice, node_was_full);
    tcase_add_test(advice, small_node_is_full);
    tcase_add_test(advice, little_is_no_matter);
    tcase_add_test(advice, smaller_heap_may_be_worse_off);
    tcase_add_test(advice, heap_cannot_grow);
    tcase_add_test(advice, threads_move);
    tcase_add_test(advice, frees_are_remote);
    tcase_add_test(advice, big_blocks_are_on_one_side);
    tcase_add_test(advice, one_node_with_threads_is_not_several);
    tcase_add_test(advice, named_places_are_not_one_sided);
    tcase_add_test(advice, gravest_comes_first);
    tcase_add_test(advice, long_numbers_fit);
    suite_add_tcase(suite, advice);
    return suite;
}
