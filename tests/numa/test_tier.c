/*
 * numa/tier on made-up folders: bandwidth before the kernel's tiers, these before distance, machines that
 * say nothing, and what big blocks come of it.
 */
#include "tests/folders.h"
#include "tests/world.h"

static void make_root(void)
{
    make_folders();
    vl_tier_root = folders_root;
}

static void put(const char *path, const char *text)
{
    char name[256];
    snprintf(name, sizeof name, "sys/devices/%s", path);
    put_file(name, text);
}

static void put_nodes(const char *online, const char *has_cpu)
{
    put("system/node/online", online);
    put("system/node/has_cpu", has_cpu);
}

static void put_node(unsigned node, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "system/node/node%u/%s", node, name);
    put(path, text);
}

static void put_bandwidth(unsigned node, unsigned megabytes)
{
    char text[32];
    snprintf(text, sizeof text, "%u\n", megabytes);
    put_node(node, "access1/initiators/read_bandwidth", text);
}

static void put_tier(unsigned tier, const char *nodes)
{
    char path[128];
    snprintf(path, sizeof path, "virtual/memory_tiering/memory_tier%u/nodelist", tier);
    put(path, nodes);
}

/* Nodes as bits. */
static void expect(unsigned long allowed, unsigned long hbm, unsigned long cxl)
{
    struct vl_node_mask mask = {{allowed}};
    struct vl_tiers tiers;
    vl_tiers_find(&tiers, &mask);
    ck_assert_uint_eq(tiers.nodes[VL_TIER_HBM].words[0], hbm);
    ck_assert_uint_eq(tiers.nodes[VL_TIER_CXL].words[0], cxl);
    for (unsigned i = 1; i < sizeof mask / sizeof mask.words[0]; i++)
        ck_assert_uint_eq(tiers.nodes[VL_TIER_HBM].words[i] | tiers.nodes[VL_TIER_CXL].words[i], 0);
}

START_TEST(nothing_there)
{
    expect(0xff, 0, 0);
    put_nodes("nonsense", "0-\n");
    expect(0xff, 0, 0);
    put_nodes("0-3\n", "0-3\n");
    expect(0xff, 0, 0);
}
END_TEST

/* Only nodes that are there, that we may use, and that have no processors. */
START_TEST(nodes_that_count)
{
    put_nodes("0-2,5\n", "0-1\n");
    expect(0x2f, 0, 1 << 2 | 1 << 5);
    expect(0x20, 0, 1 << 5);
    expect(0x3, 0, 0);
}
END_TEST

START_TEST(bandwidth_comes_first)
{
    put_nodes("0-5\n", "0-1\n");
    put_bandwidth(0, 200000);
    put_bandwidth(1, 250000);
    put_bandwidth(2, 250001);
    put_bandwidth(3, 250000);
    put_bandwidth(4, 30000);
    put_node(5, "access0/initiators/read_bandwidth", "800000\n"); /* the only figure there is */
    put_tier(2, "4\n");
    put_tier(4, "0-1\n");
    put_tier(5, "2,5\n");
    expect(0x3f, 1 << 2 | 1 << 5, 1 << 3 | 1 << 4);
}
END_TEST

START_TEST(tiers_of_the_kernel_come_next)
{
    put_nodes("0-5\n", "0-1\n");
    put_bandwidth(2, 900000); /* compared with nothing */
    put_tier(3, "4\n");
    put_tier(4, "0-1\n");
    put_tier(22, "2-3,5\n");
    expect(0x3f, 1 << 4, 1 << 2 | 1 << 3 | 1 << 5);
}
END_TEST

/* Flat: all memory is one tier, as it is where the firmware has no table. The files of distances have
 * no number for nodes 0 and 3, which are not there. */
START_TEST(distance_is_a_guess)
{
    put_nodes("1-2,4-7\n", "1-2\n");
    put_tier(4, "1-2,4-7\n");
    put_node(4, "distance", "13 23 10 40 40 40\n");
    put_node(5, "distance", "23 13 40 10 40 40\n");
    put_node(6, "distance", "14 24 11 11 10 40\n");
    put_node(7, "distance", "30 31 40 40 40 10\n");
    expect(0xff, 1 << 4 | 1 << 5, 1 << 6 | 1 << 7);
    expect(0x3f, 0, 1 << 4 | 1 << 5); /* one distance only: no reason to think them fast */
}
END_TEST

START_TEST(each_by_what_is_known_of_it)
{
    put_nodes("0-4\n", "0\n");
    put_bandwidth(0, 100000);
    put_bandwidth(1, 400000);
    put_tier(4, "0\n");
    put_tier(9, "2\n");
    put_node(3, "distance", "17 40 40 10 40\n");
    put_node(4, "distance", "31 40 40 40 10\n");
    expect(0x1f, 1 << 1 | 1 << 3, 1 << 2 | 1 << 4);
}
END_TEST

/* --- Big blocks --- */

/* Two nodes with processors, two of fast memory, one of slow. */
static void begin_tiered_world(const char *option)
{
    put_nodes("0-4\n", "0-1\n");
    put_tier(2, "2-3\n");
    put_tier(4, "0-1\n");
    put_tier(5, "4\n");
    vl_options.tier = option;
    begin_world(5);
}

static const struct vl_slice *slice_for(size_t bytes)
{
    return vl_slice_of(vl_alloc(bytes));
}

START_TEST(blocks_of_a_size_and_more)
{
    begin_tiered_world("hbm:>=8M,cxl:>=64M");
    ck_assert_int_eq(slice_for(8 * MB - 1)->kind, VL_SLICE_BIG);
    const struct vl_slice *fast = slice_for(8 * MB), *slow = slice_for(64 * MB);
    ck_assert_int_eq(fast->kind, VL_SLICE_PLACED);
    ck_assert_int_eq(fake_os_last(FAKE_SPREAD, (void *)fast->start)->how, VL_SPREAD_NEAREST);
    ck_assert_uint_eq(fake_os_last(FAKE_SPREAD, (void *)fast->start)->nodes, 1 << 2 | 1 << 3);
    ck_assert_uint_eq(fake_os_last(FAKE_BIND, (void *)slow->start)->node, 4);
    ck_assert_ptr_eq(slice_for(64 * MB - 1), fast);
    ck_assert_ptr_eq(slice_for(500 * MB), slow);
    ck_assert_uint_eq(vl_placement_order(8 * MB, NULL), VL_PLACE_TIER + VL_TIER_HBM);
    ck_assert_uint_eq(vl_placement_order(64 * MB, NULL), 4);
}
END_TEST

START_TEST(the_larger_size_counts_whatever_the_order)
{
    begin_tiered_world("cxl:>=2M,hbm:>=32M");
    ck_assert_uint_eq(vl_placement_order(2 * MB - 1, NULL), VL_PLACE_ANYWHERE);
    ck_assert_uint_eq(vl_placement_order(32 * MB - 1, NULL), 4);
    ck_assert_uint_eq(vl_placement_order(32 * MB, NULL), VL_PLACE_TIER + VL_TIER_HBM);
}
END_TEST

START_TEST(below_it_the_policy_holds)
{
    vl_options.large_policy = VL_LARGE_INTERLEAVE;
    begin_tiered_world("cxl:>=2M");
    ck_assert_uint_eq(vl_placement_order(MB, NULL), VL_PLACE_EVENLY);
    ck_assert_uint_eq(vl_placement_order(2 * MB, NULL), 4);
}
END_TEST

START_TEST(kernel_that_prefers_one_node)
{
    begin_tiered_world("hbm:>=2M");
    fake_os_fail_from(FAKE_SPREAD, 1, EINVAL);
    ck_assert_uint_eq(fake_os_last(FAKE_BIND, (void *)slice_for(2 * MB)->start)->node, 2);
    ck_assert_uint_eq(vl_get(&vl_slice_refusals), 0);
}
END_TEST

START_TEST(tier_that_is_not_there)
{
    put_nodes("0-2\n", "0-1\n");
    vl_options.tier = "hbm:>=2M";
    begin_world(3);
    ck_assert(!vl_placement_ordered);
    ck_assert_str_eq(vl_placement_idle(), "there are no such nodes");
    ck_assert_int_eq(slice_for(8 * MB)->kind, VL_SLICE_BIG);
}
END_TEST

START_TEST(policy_of_the_process_comes_first)
{
    put_nodes("0-2\n", "0-1\n");
    vl_options.tier = "cxl:>=2M";
    fake_os_install();
    fake_os_set_policy_chosen(true);
    start_here();
    ck_assert(!vl_placement_ordered);
    ck_assert_str_eq(vl_placement_idle(), "this process has a memory policy of its own");
    ck_assert_int_eq(slice_for(8 * MB)->kind, VL_SLICE_BIG);
}
END_TEST

START_TEST(names_of_tiers)
{
    char buffer[32];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    vl_placement_name(VL_PLACE_TIER + VL_TIER_HBM, &text);
    vl_placement_name(VL_PLACE_TIER + VL_TIER_CXL, &text);
    ck_assert_str_eq(buffer, "hbmcxl");
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("numa/tier");

    TCase *nodes = tcase_create("nodes");
    tcase_add_checked_fixture(nodes, make_root, remove_folders);
    tcase_add_test(nodes, nothing_there);
    tcase_add_test(nodes, nodes_that_count);
    tcase_add_test(nodes, bandwidth_comes_first);
    tcase_add_test(nodes, tiers_of_the_kernel_come_next);
    tcase_add_test(nodes, distance_is_a_guess);
    tcase_add_test(nodes, each_by_what_is_known_of_it);
    suite_add_tcase(suite, nodes);

    TCase *blocks = tcase_create("blocks");
    tcase_add_checked_fixture(blocks, make_root, remove_folders);
    tcase_add_test(blocks, blocks_of_a_size_and_more);
    tcase_add_test(blocks, the_larger_size_counts_whatever_the_order);
    tcase_add_test(blocks, below_it_the_policy_holds);
    tcase_add_test(blocks, kernel_that_prefers_one_node);
    tcase_add_test(blocks, tier_that_is_not_there);
    tcase_add_test(blocks, policy_of_the_process_comes_first);
    tcase_add_test(blocks, names_of_tiers);
    suite_add_tcase(suite, blocks);
    return suite;
}
