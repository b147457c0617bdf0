/*
 * os - every effect on the outside world, as one table.
 *
 * The library goes through `vl_os`; the true table is in core/os_linux.c, the only file with system
 * calls. Tests point `vl_os` at a false one (tests/fake_os.h): eight nodes, a failing mbind, no huge
 * pages, ENOMEM at the k-th call, a clock set by hand.
 *
 * Address space is changed through libc's own mmap, munmap, mprotect, madvise and mremap, never
 * through raw system calls: MPI and RDMA libraries watch those names to know which registrations
 * have gone stale. Their hooks may call malloc, so none of these is called with a lock of ours held.
 * `bind` is none of these.
 *
 * All return 0 or a negative errno value, and leave errno as it was.
 */
#ifndef VL_CORE_OS_H
#define VL_CORE_OS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vl_access { VL_ACCESS_NONE, VL_ACCESS_READ, VL_ACCESS_WRITE };

enum vl_advice {
    VL_ADVICE_HUGE,     /* use huge pages from the first touch */
    VL_ADVICE_SMALL,    /* never use huge pages */
    VL_ADVICE_DISCARD,  /* give the pages back now; they read as zero afterwards */
    VL_ADVICE_COLLAPSE, /* turn what is there into huge pages, now */
    VL_ADVICE_WIPE,     /* reads as zero in the child of a fork, which shares no memory */
    VL_ADVICE_POPULATE, /* get the memory now; an error where there is none */
};

enum { VL_WAKE_ALL = INT_MAX };

/* Bits of a set of NUMA nodes. */
enum { VL_NODES_MAX = 1024 };
struct vl_node_mask {
    unsigned long words[VL_NODES_MAX / (8 * sizeof(unsigned long))];
};

struct vl_os {
    /* Address space without memory; NULL where there is none. */
    void *(*reserve)(size_t size);
    int (*unreserve)(void *start, size_t size);
    int (*protect)(void *start, size_t size, enum vl_access access);
    int (*advise)(void *start, size_t size, enum vl_advice advice);
    /* Fresh writable memory in place of whatever is mapped there. */
    int (*renew)(void *start, size_t size);
    /* Fresh writable memory where nothing is mapped; what is, stays. */
    int (*plug)(void *start, size_t size);
    /* Moves the pages of [from, from+size) to `to`; both stay mapped, `from` reads as zero. */
    int (*move)(void *from, size_t size, void *to);
    /* Prefers `node` for pages first touched here; may move there those that are touched already. */
    int (*bind)(void *start, size_t size, unsigned node, bool move);

    /* A mapping of its own of the kernel's pool of huge pages of 1 << page_shift bytes, which are
     * set aside for it; NULL where the pool has too few. They are there once it is populated. */
    void *(*map_hugetlb)(size_t size, unsigned page_shift);
    /* Moves the mapping [from, from+size) over what is mapped at `to`; nothing stays at `from`. If
     * that fails, there may be a hole at `to`. */
    int (*replace)(void *to, void *from, size_t size);

    int (*where)(unsigned *cpu, unsigned *node);
    /* The node that holds the page at `address`, without touching it; -1 if there is none. */
    int (*node_of)(const void *address);
    /* The nodes this process may use. */
    int (*allowed_nodes)(struct vl_node_mask *mask);
    /* 1 if the user chose a NUMA policy for this process, 0 if it is the kernel's own. */
    int (*policy_chosen)(void);
    uint64_t (*memory_bytes)(void);
    /* Address space this process may have in all (ulimit -v), UINT64_MAX for no limit. */
    uint64_t (*address_limit)(void);
    uint64_t (*clock_ms)(void);

    /* Sleep while *word == expected; wake so many sleepers. */
    void (*wait)(const void *word, uint32_t expected);
    void (*wake)(const void *word, int count);
    void (*yield)(void);
};

extern const struct vl_os *vl_os;
extern const struct vl_os vl_os_linux;

/* Size of the machine's small pages. */
extern size_t vl_os_page_size;
void vl_os_start(void);

/* Calls of mmap and munmap so far. */
extern _Atomic uint64_t vl_os_maps, vl_os_unmaps;

/* Up to `size`-1 bytes of a file as a string; its length, 0 if it cannot be read. Reports only. */
size_t vl_os_read_file(const char *path, char *buffer, size_t size);

/* Largest resident size this process has had. */
uint64_t vl_os_peak_bytes(void);

/* A second number for what a file descriptor leads to, for later: the program may close the first.
 * False if it is not open now. */
struct vl_os_output {
    int fd;
    uint64_t device, file;
};
bool vl_os_keep_output(struct vl_os_output *output, int fd);

/* Whether the second number still leads there: a program may close all that it does not know. */
bool vl_os_is_output(const struct vl_os_output *output);

/* All of `data` to a file descriptor; errors are dropped. Usable before anything else is. */
long vl_os_write(int fd, const char *data, size_t size);

#endif
