/*
 * fake_os - an outside world made to measure.
 *
 * Address space is real: what is reserved, protected, discarded, renewed and moved really is, so a
 * test can write to what it was given. All else is made up: the nodes, where a thread runs, the
 * clock, the limits, the pool of huge pages, and which call fails when. Every call is counted and
 * recorded. Nothing is left to chance: the same test sees the same world each time.
 *
 *      fake_os_install();                                  8 nodes, node 0, clock 1 s, no limit
 *      fake_os_fail(FAKE_PROTECT, 3, ENOMEM);              the third from here, once
 *      fake_os_fail_from(FAKE_ADVISE_DISCARD, 1, EINVAL);  the next and all after it
 *      fake_os_sleep(10 * 1000);                           ten seconds later
 *      ck_assert_uint_eq(fake_os_count(FAKE_RENEW), 1);
 *
 * Slices are never unmapped, so a process has one world for life: fake_os_install refuses one that
 * has slices already. check runs each test in a process of its own unless CK_FORK=no, under which
 * only the first test of a program that makes slices can run.
 *
 * Calls may come from any thread; failures, clock and nodes are set by one thread at a time.
 */
#ifndef VL_TESTS_FAKE_OS_H
#define VL_TESTS_FAKE_OS_H

#include "core/os.h"

/* A kind of advice is a call of its own. */
enum fake_os_call {
    FAKE_RESERVE,
    FAKE_UNRESERVE,
    FAKE_PROTECT,
    FAKE_ADVISE_HUGE,
    FAKE_ADVISE_SMALL,
    FAKE_ADVISE_DISCARD,
    FAKE_ADVISE_COLLAPSE,
    FAKE_ADVISE_WIPE,
    FAKE_ADVISE_ALONE,
    FAKE_ADVISE_INHERIT,
    FAKE_ADVISE_POPULATE,
    FAKE_RENEW,
    FAKE_PLUG,
    FAKE_MOVE,
    FAKE_BIND,
    FAKE_SPREAD,
    FAKE_MAP_HUGETLB,
    FAKE_REPLACE,
    FAKE_PRESENT, /* from here on not recorded, as they change nothing; ENOENT: there is no page */
    FAKE_WHERE,
    FAKE_ALLOWED_NODES,
    FAKE_NODES_OF,
    FAKE_SET_AFFINITY,
    FAKE_WAIT, /* cannot fail, as the next two */
    FAKE_WAKE,
    FAKE_YIELD,
    FAKE_ANY, /* all of those that can fail, counted together */
    FAKE_CALLS
};

struct fake_os_record {
    enum fake_os_call call;
    void *start;
    size_t size;
    enum vl_access access; /* PROTECT */
    unsigned node;         /* BIND: the kernel's number */
    enum vl_spread how;    /* SPREAD */
    unsigned long nodes;   /* SPREAD: a bit each, of the first */
    void *to;              /* MOVE, REPLACE; MAP_HUGETLB: where it is to go */
    size_t page_size;      /* MAP_HUGETLB */
    int error;             /* 0, or why it failed */
};

/* Makes the false world, in its first state, the one that valloc sees. */
void fake_os_install(void);

/* First state: nothing counted or recorded, no failures, 8 nodes, no limit. Address space that is
 * reserved stays so. */
void fake_os_reset(void);

/* --- What happens --- */

/* The nth call from here (1 is the next) fails with `error`; _from: so do all after it. One plan
 * per kind of call; a later one replaces it. */
void fake_os_fail(enum fake_os_call call, unsigned nth, int error);
void fake_os_fail_from(enum fake_os_call call, unsigned nth, int error);
/* From here on nothing fails. */
void fake_os_heal(void);

void fake_os_set_clock(uint64_t ms);
void fake_os_sleep(uint64_t ms);

/* What a first touch that is timed seems to take, and how often the kernel is to have compacted memory. */
void fake_os_set_touch(uint64_t ns, uint64_t compactions);
void fake_os_set_thp_mode(enum vl_thp_mode mode);

/* The nodes this process is allowed, by the kernel's numbers: in any order, with gaps. */
void fake_os_set_nodes(const unsigned *ids, unsigned count);

/* Where the calling thread runs from now on; a thread that never said so runs on CPU 0 of the
 * lowest node allowed. */
void fake_os_set_where(unsigned cpu, unsigned node);
/* A function that answers for every thread instead; NULL: none. */
void fake_os_set_where_function(int (*where)(unsigned *cpu, unsigned *node));

/* Memory that was touched lies where it was bound to last, else on the lowest node; with a function, on the
 * node that this says of a page. */
void fake_os_set_lies_function(unsigned (*node)(const void *page));

/* Of a node below 64; at first each has 8 GB, all of it free. */
void fake_os_set_node_memory(unsigned node, uint64_t bytes, uint64_t free_bytes);
void fake_os_set_balances(bool balances);

/* Node n has the CPUs 4n, 4n+1 and, if it is odd, 4n+2. Threads may run on all of them, until they, or the test,
 * say otherwise; the main thread's CPUs are what all see of it. */
struct vl_cpu_mask fake_os_node_cpus(unsigned node);
struct vl_cpu_mask fake_os_cpus(bool of_main);
void fake_os_set_cpus(bool of_main, const struct vl_cpu_mask *cpus);

/* Pages of 2 MB, and of 1 GB, in the kernel's pools beside those that are mapped; none at first. As in
 * the kernel, a call that would cut one of them in two fails with EINVAL, as does one that would put
 * one of 1 GB anywhere but at a multiple of its size. */
void fake_os_set_pool(unsigned pages);
void fake_os_set_giants(unsigned pages);

void fake_os_set_policy_chosen(bool chosen);
void fake_os_set_memory(uint64_t bytes);
void fake_os_set_available(uint64_t bytes);
/* What `ulimit -v` would say: no more than this can be reserved at a time. */
void fake_os_set_address_limit(uint64_t bytes);

/* --- What has happened --- */

unsigned fake_os_count(enum fake_os_call call);

/* Pages that are in the pool of each size, and pages of it mapped at [start, start+size). */
unsigned fake_os_pool(void);
unsigned fake_os_giants(void);
unsigned fake_os_hugetlb_pages(const void *start, size_t size);
unsigned fake_os_giant_pages(const void *start, size_t size);

/* Bytes that are reserved now. */
uint64_t fake_os_reserved(void);

/* Every recorded call, oldest first; how many. */
unsigned fake_os_records(const struct fake_os_record **records);

/* The latest successful call of this kind about memory that `address` lies in (for a move or
 * a replacement: what came from there), or NULL. */
const struct fake_os_record *fake_os_last(enum fake_os_call call, const void *address);

/* Counts and records begin anew; failures that were planned stay planned. */
void fake_os_forget(void);

#endif
