/*
 * cgroup - how much memory the kernel allows the group of processes that this one is in.
 *
 *      /proc/self/cgroup    0::/job/step             version 2, or     4:memory:/job/step    version 1
 *
 *      /sys/fs/cgroup/job/step/memory.max            /sys/fs/cgroup/memory/job/step/memory.stat
 *      /sys/fs/cgroup/job/memory.max                     hierarchical_memory_limit
 *      ... the lowest counts, as does its group's        total_rss
 *          "anon" in memory.stat
 *
 * In a container the path may lead nowhere, as it is seen from outside: then the mount itself is the
 * group. What files are cached does not count as used: the kernel takes that back when it wants to.
 */
#ifndef VL_CORE_CGROUP_H
#define VL_CORE_CGROUP_H

#include <stdint.h>

struct vl_cgroup {
    uint64_t limit; /* bytes; UINT64_MAX: none */
    uint64_t used;  /* by all processes under that limit */
};

/* Reads some files. */
struct vl_cgroup vl_cgroup_read(void);

/* "", or for tests a folder that holds proc and sys. */
extern const char *vl_cgroup_root;

#endif
