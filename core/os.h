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
 * `bind` and `spread` are none of these.
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
    VL_ADVICE_ALONE,    /* the child of a fork has nothing there */
    VL_ADVICE_INHERIT,  /* it has it, too, as it has all else */
    VL_ADVICE_POPULATE, /* get the memory now, best from a multiple of 2 MB on; an error where there is none */
};

/* What the machine does about transparent huge pages. */
enum vl_thp_mode { VL_THP_MODE_UNKNOWN, VL_THP_MODE_NEVER, VL_THP_MODE_MADVISE, VL_THP_MODE_ALWAYS };

enum { VL_WAKE_ALL = INT_MAX };

/* Bits of a set of NUMA nodes. */
enum { VL_NODES_MAX = 1024 };
struct vl_node_mask {
    unsigned long words[VL_NODES_MAX / (8 * sizeof(unsigned long))];
};

static inline bool vl_node_mask_has(const struct vl_node_mask *mask, unsigned node)
{
    const unsigned word_bits = 8 * sizeof mask->words[0];
    return mask->words[node / word_bits] >> (node % word_bits) & 1;
}

static inline void vl_node_mask_add(struct vl_node_mask *mask, unsigned node)
{
    const unsigned word_bits = 8 * sizeof mask->words[0];
    mask->words[node / word_bits] |= 1ul << (node % word_bits);
}

/* How pages go to several nodes. */
enum vl_spread {
    VL_SPREAD_EVENLY,   /* one after the other */
    VL_SPREAD_WEIGHTED, /* likewise, by the weights that the kernel gives them; since 6.9 */
    VL_SPREAD_NEAREST,  /* to that which is nearest to who touches them and has room; since 5.15 */
};

/* What a node has, what of it is free, and what holds files that could be read again. */
struct vl_node_memory {
    uint64_t bytes, free_bytes, file_bytes;
};

/* Bits of a set of CPUs. */
enum { VL_CPUS_MAX = 1024 };
struct vl_cpu_mask {
    unsigned long words[VL_CPUS_MAX / (8 * sizeof(unsigned long))];
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
    /* Moves the pages of [from, from+size) to `to`; both stay mapped, `from` reads as zero. -EFAULT,
     * with nothing done: they lie in several of the kernel's mappings. */
    int (*move)(void *from, size_t size, void *to);
    /* Prefers `node` for pages first touched here; may move there those that are touched already. */
    int (*bind)(void *start, size_t size, unsigned node, bool move);
    /* Spreads pages first touched here over some nodes. -EINVAL also from a kernel that cannot. */
    int (*spread)(void *start, size_t size, const struct vl_node_mask *nodes, enum vl_spread how);

    /* A mapping of its own of the kernel's pool of huge pages of 1 << page_shift bytes, which are
     * set aside for it; NULL where the pool has too few. They are there once it is populated. What is
     * spread gets the nodes that pages at `place`, a multiple of their size, would get. */
    void *(*map_hugetlb)(size_t size, unsigned page_shift, const void *place);
    /* Moves the mapping [from, from+size) over what is mapped at `to`; nothing stays at `from`. If
     * that fails, there may be a hole at `to`. */
    int (*replace)(void *to, void *from, size_t size);

    int (*where)(unsigned *cpu, unsigned *node);
    /* How many CPUs of a node this thread may run on; and from now on it runs on those only, if there are any. */
    unsigned (*node_cpus)(unsigned node);
    void (*run_on)(unsigned node);
    bool (*is_main_thread)(void);
    /* The CPUs that this thread, or the main one, may run on. */
    int (*affinity)(bool of_main, struct vl_cpu_mask *cpus);
    int (*set_affinity)(bool of_main, const struct vl_cpu_mask *cpus);
    /* Those that this thread could be allowed: what its cpuset leaves it. */
    int (*allowed_cpus)(struct vl_cpu_mask *cpus);
    /* Nodes that have CPUs, and which. */
    int (*cpu_nodes)(struct vl_node_mask *nodes);
    int (*cpus_of_node)(unsigned node, struct vl_cpu_mask *cpus);
    /* 1 if this process has a page at `address`, the beginning of one; 0 if it has none so far; negative
     * if the kernel does not say. */
    int (*present)(const void *address);
    /* The node that holds the page at `address`, without touching it; -1 if there is none. */
    int (*node_of)(const void *address);
    /* The same of many pages in one call: nodes[i] is negative where there is none. */
    int (*nodes_of)(const void *const *pages, int *nodes, size_t count);
    int (*node_memory)(unsigned node, struct vl_node_memory *memory);
    /* Whether the kernel moves pages to the threads that use them, by itself. */
    bool (*balances)(void);
    /* The nodes this process may use. */
    int (*allowed_nodes)(struct vl_node_mask *mask);
    /* 1 if the user chose a NUMA policy for this process, 0 if it is the kernel's own. */
    int (*policy_chosen)(void);
    uint64_t (*memory_bytes)(void);
    /* Of that, what could still be had. */
    uint64_t (*available_bytes)(void);
    /* Address space this process may have in all (ulimit -v), UINT64_MAX for no limit. */
    uint64_t (*address_limit)(void);
    /* The same for what can be written (ulimit -d). */
    uint64_t (*data_limit)(void);
    uint64_t (*clock_ms)(void); /* cheap, and as exact as the kernel's tick */
    uint64_t (*clock_ns)(void);
    enum vl_thp_mode (*thp_mode)(void);
    /* How often the kernel has compacted memory for somebody who waited; UINT64_MAX if it does not say. */
    uint64_t (*compactions)(void);

    /* Sleep while *word == expected; wake so many sleepers. */
    void (*wait)(const void *word, uint32_t expected);
    void (*wake)(const void *word, int count);
    void (*yield)(void);
    void (*sleep_ms)(uint64_t ms);
};

extern const struct vl_os *vl_os;
extern const struct vl_os vl_os_linux;

/* Size of the machine's small pages. */
extern size_t vl_os_page_size;
void vl_os_start(void);

/* Calls of mmap and munmap so far. */
extern _Atomic uint64_t vl_os_maps, vl_os_unmaps;

/* Up to `size`-1 bytes of a file as a string; its length, 0 if it cannot be read. Neither this nor the next
 * is a point where a thread may be cancelled, and both are content with a small stack. */
size_t vl_os_read_file(const char *path, char *buffer, size_t size);

/* Calls a function for each line of a file that has ended, without its end; of one of more than 510
 * characters the beginning comes. */
void vl_os_read_lines(const char *path, void (*line)(const char *line, void *argument), void *argument);

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

/* The same for a line that a program does not wait for: nothing is said where nobody reads, no signal comes, no
 * thread is cancelled. */
void vl_os_say(int fd, const char *data, size_t size);

#endif
