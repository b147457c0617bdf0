/* core/cgroup on made-up folders: both versions, limits above the group, containers, nonsense. */
#include "tests/api/support.h"

#include "core/cgroup.h"
#include "tests/folders.h"

static void make_root(void)
{
    make_folders();
    vl_cgroup_root = folders_root;
}

static void expect(uint64_t limit, uint64_t used)
{
    struct vl_cgroup group = vl_cgroup_read();
    ck_assert_uint_eq(group.limit, limit);
    ck_assert_uint_eq(group.used, used);
}

START_TEST(nothing_there)
{
    expect(UINT64_MAX, 0);
    put_file("proc/self/cgroup", "nonsense\n\n:::::\n3\n");
    expect(UINT64_MAX, 0);
}
END_TEST

START_TEST(version_2)
{
    put_file("proc/self/cgroup", "0::/job/step\n");
    put_file("sys/fs/cgroup/job/step/memory.max", "1000000\n");
    put_file("sys/fs/cgroup/job/step/memory.stat", "anon 4096\nfile 999\nanon_thp 77\n");
    put_file("sys/fs/cgroup/job/memory.max", "max\n");
    expect(1000000, 4096);
}
END_TEST

START_TEST(the_lowest_limit_counts_and_what_is_used_under_it)
{
    put_file("proc/self/cgroup", "0::/job/step\n");
    put_file("sys/fs/cgroup/job/step/memory.max", "max\n");
    put_file("sys/fs/cgroup/job/step/memory.stat", "anon 4096\n");
    put_file("sys/fs/cgroup/job/memory.max", "500000\n");
    put_file("sys/fs/cgroup/job/memory.stat", "file 1\nanon 123456\n");
    put_file("sys/fs/cgroup/memory.max", "900000\n");
    expect(500000, 123456);
}
END_TEST

START_TEST(version_1)
{
    put_file("proc/self/cgroup", "5:cpu,cpuacct:/\n4:memory:/job\n3:cpuset:/\n0::/other\n");
    put_file("sys/fs/cgroup/memory/job/memory.stat",
             "cache 1\nrss 5\nhierarchical_memory_limit 65536\ntotal_cache 3\ntotal_rss 777\n");
    expect(65536, 777);
}
END_TEST

START_TEST(version_1_without_limit)
{
    put_file("proc/self/cgroup", "9:hugetlb,memory:/\n");
    put_file("sys/fs/cgroup/memory/memory.stat",
             "hierarchical_memory_limit 9223372036854771712\ntotal_rss 777\n");
    expect(UINT64_MAX, 777);
}
END_TEST

/* The path is that of the world outside. */
START_TEST(in_a_container)
{
    put_file("proc/self/cgroup", "0::/machine/box17\n");
    put_file("sys/fs/cgroup/memory.max", "800\n");
    put_file("sys/fs/cgroup/memory.stat", "anon 8\n");
    expect(800, 8);
}
END_TEST

/* The memory controller is not for the group itself. */
START_TEST(the_group_above_looks_after_memory)
{
    put_file("proc/self/cgroup", "0::/job/step/task\n");
    put_file("sys/fs/cgroup/job/step/task/cgroup.procs", "1\n");
    put_file("sys/fs/cgroup/job/memory.max", "5000\n");
    put_file("sys/fs/cgroup/job/memory.stat", "anon 50\n");
    expect(5000, 50);
}
END_TEST

START_TEST(a_name_that_only_begins_alike)
{
    put_file("proc/self/cgroup", "9:memorize:/a\n8:pids:/b\n0::/c\n");
    put_file("sys/fs/cgroup/c/memory.max", "70\n");
    put_file("sys/fs/cgroup/c/memory.stat", "anon 7\n");
    expect(70, 7);
}
END_TEST

START_TEST(of_this_machine)
{
    vl_cgroup_root = "";
    struct vl_cgroup group = vl_cgroup_read();
    ck_assert(group.limit == UINT64_MAX || group.used <= group.limit);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cgroup");
    TCase *all = tcase_create("cgroup");
    tcase_add_checked_fixture(all, make_root, remove_folders);
    tcase_add_test(all, nothing_there);
    tcase_add_test(all, version_2);
    tcase_add_test(all, the_lowest_limit_counts_and_what_is_used_under_it);
    tcase_add_test(all, version_1);
    tcase_add_test(all, version_1_without_limit);
    tcase_add_test(all, in_a_container);
    tcase_add_test(all, the_group_above_looks_after_memory);
    tcase_add_test(all, a_name_that_only_begins_alike);
    tcase_add_test(all, of_this_machine);
    suite_add_tcase(suite, all);
    return suite;
}
