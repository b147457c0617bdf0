/*
 * placement - on which nodes the pages of a program's blocks lie.
 *
 *      placement small               blocks of threads that are pinned, one on each node
 *      placement big MEGABYTES       one block that these threads touch in parallel
 *      placement overflow MEGABYTES  more than the smallest node has, from a thread there
 *      placement policy              whatever numactl or a cpuset has ordered
 *      placement placed MEGABYTES    blocks that are asked for on a node, spread, or here
 *      placement spread MEGABYTES    one block that one thread touches, and as many small ones, that are to be
 *                                    on all nodes
 *      placement local MEGABYTES     blocks that others touch, and that are to be where they were taken
 *      placement tier MEGABYTES NODE,...   blocks from that size on, which are to be on these nodes
 *      placement changing            memory while the process's cpuset is cut, and made wide again
 *      placement unplugged           memory while a processor is taken away, and given back
 *      placement audit               what valloc says of all that, against what is so
 *      placement bound [N]           threads that VALLOC_BIND_THREADS has bound: to N nodes, or none
 *      placement reserve MEGABYTES...  what has been fetched ahead of the kernel's pools of pages of 2 MB,
 *                                    so much on each node, and who uses it
 *      placement giants              blocks in pages of 1 GB, of which each node's pool has one
 *      placement spread-giants       the same, on two nodes, under VALLOC_LARGE_POLICY=interleave
 *
 * It links no malloc, so any can be preloaded; `placed` and `audit` look for valloc's own functions. It asks
 * the kernel where pages are (move_pages), never the clock: an emulator's time means nothing. Each finding
 * is one line, "pass: TITLE: FIGURE, BOUND" or "fail: ..."; what it needs for itself is not malloc's.
 */
#include "valloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    NODES_MAX = 64, /* a bit each in a word */
    DISTANCE_MAX = 255,
    PAGE = 4096,
    /* Of one thread; some 900 pages on each node, so that one per cent is more than one page. */
    SMALL_BLOCKS = 20000,
    SMALL_MIN = 24,
    SMALL_MAX = 323,
    /* Room for twice the pages of a thread's blocks: the table is a hash. A power of two. */
    PAGE_TABLE = 1 << 17,
    PAGES_AT_ONCE = 1024,
};

#define KB ((size_t)1 << 10)
#define MB ((size_t)1 << 20)
#define GB ((size_t)1 << 30)

_Noreturn static void die(const char *what)
{
    perror(what);
    exit(2);
}

/* Compilers may drop a malloc whose block nobody looks at. */
static inline void *opaque(void *block)
{
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

/* Tables of our own, which must not lie among the blocks. */
static void *map_table(size_t bytes)
{
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED)
        die("mmap");
    return table;
}

/* --- The machine --- */

struct node {
    uint64_t memory_kb;
    uint64_t free_kb; /* when the program began */
    cpu_set_t cpus;
    unsigned distance[NODES_MAX];
};

static struct node nodes[NODES_MAX];
static unsigned node_count;
static uint64_t with_memory;      /* nodes of which this process may have memory: a bit each */
static uint64_t with_cpus;        /* nodes with processors that it may use */
static unsigned homes[NODES_MAX]; /* of the threads: the nodes with processors */
static unsigned thread_count;

static FILE *open_node_file(unsigned node, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/devices/system/node/node%u/%s", node, name);
    return fopen(path, "r");
}

static void read_cpus(unsigned node, const cpu_set_t *allowed)
{
    FILE *file = open_node_file(node, "cpulist");
    unsigned first, last;
    while (file != NULL && fscanf(file, "%u", &first) == 1) {
        last = first;
        if (fscanf(file, "-%u", &last) == 1)
            last = last < CPU_SETSIZE ? last : CPU_SETSIZE - 1;
        for (unsigned cpu = first; cpu <= last; cpu++)
            if (CPU_ISSET(cpu, allowed))
                CPU_SET(cpu, &nodes[node].cpus);
        if (fgetc(file) != ',')
            break;
    }
    if (file != NULL)
        fclose(file);
}

static void read_memory(unsigned node)
{
    FILE *file = open_node_file(node, "meminfo");
    char line[128];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "Node %*u MemTotal: %lu", &nodes[node].memory_kb);
        sscanf(line, "Node %*u MemFree: %lu", &nodes[node].free_kb);
    }
    if (file != NULL)
        fclose(file);
}

static void read_distances(unsigned node)
{
    FILE *file = open_node_file(node, "distance");
    for (unsigned other = 0; other < NODES_MAX; other++)
        if (file == NULL || fscanf(file, "%u", &nodes[node].distance[other]) != 1)
            nodes[node].distance[other] = DISTANCE_MAX;
    if (file != NULL)
        fclose(file);
}

static void read_machine(void)
{
    cpu_set_t cpus;
    unsigned long mems = 0;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        die("sched_getaffinity");
    if (syscall(SYS_get_mempolicy, NULL, &mems, NODES_MAX + 1, NULL, MPOL_F_MEMS_ALLOWED) != 0)
        die("get_mempolicy");
    for (unsigned node = 0; node < NODES_MAX; node++) {
        read_memory(node);
        read_cpus(node, &cpus);
        read_distances(node);
        if (nodes[node].memory_kb > 0 && (mems >> node & 1) != 0)
            with_memory |= (uint64_t)1 << node;
        if (CPU_COUNT(&nodes[node].cpus) > 0) {
            with_cpus |= (uint64_t)1 << node;
            homes[thread_count++] = node;
        }
        if (((with_memory | with_cpus) >> node & 1) != 0)
            node_count = node + 1;
    }
}

/* Of `choice`, the nodes that none is nearer to this one than. */
static uint64_t nearest(unsigned node, uint64_t choice)
{
    unsigned least = UINT32_MAX;
    uint64_t found = 0;
    for (unsigned other = 0; other < node_count; other++) {
        unsigned distance = nodes[node].distance[other];
        if ((choice >> other & 1) == 0 || distance > least)
            continue;
        found = distance < least ? 0 : found;
        found |= (uint64_t)1 << other;
        least = distance;
    }
    return found;
}

/* Where memory of a thread on this node belongs: there, or, if there is none, as near as may be. */
static uint64_t rightful(unsigned node)
{
    return nearest(node, with_memory);
}

static void pin(unsigned node)
{
    if (sched_setaffinity(0, sizeof nodes[node].cpus, &nodes[node].cpus) != 0)
        die("sched_setaffinity");
}

/* --- Where pages are --- */

struct census {
    size_t pages;
    size_t on[NODES_MAX];
};

static void count_pages(struct census *census, void **pages, size_t count)
{
    int where[PAGES_AT_ONCE];
    for (size_t done = 0; done < count; done += PAGES_AT_ONCE) {
        size_t step = count - done < PAGES_AT_ONCE ? count - done : PAGES_AT_ONCE;
        if (syscall(SYS_move_pages, 0, step, pages + done, NULL, where, 0) != 0)
            die("move_pages");
        for (size_t i = 0; i < step; i++)
            if (where[i] >= 0 && where[i] < NODES_MAX)
                census->on[where[i]]++;
    }
    census->pages += count;
}

static void count_range(struct census *census, char *start, size_t bytes)
{
    void *pages[PAGES_AT_ONCE];
    size_t count = 0;
    for (size_t offset = 0; offset < bytes; offset += PAGE) {
        pages[count++] = start + offset;
        if (count == PAGES_AT_ONCE || offset + PAGE >= bytes) {
            count_pages(census, pages, count);
            count = 0;
        }
    }
}

struct block {
    char *start;
    size_t bytes;
};

/* Each page once, however many blocks lie in it. */
static void count_blocks(struct census *census, const struct block *blocks, size_t block_count)
{
    void **table = map_table(PAGE_TABLE * sizeof *table);
    for (size_t i = 0; i < block_count; i++) {
        uintptr_t last = (uintptr_t)(blocks[i].start + blocks[i].bytes - 1) / PAGE;
        for (uintptr_t page = (uintptr_t)blocks[i].start / PAGE; page <= last; page++) {
            size_t slot = page % PAGE_TABLE;
            while (table[slot] != NULL && (uintptr_t)table[slot] != page * PAGE)
                slot = (slot + 1) % PAGE_TABLE;
            table[slot] = (void *)(page * PAGE);
        }
    }
    size_t count = 0;
    for (size_t slot = 0; slot < PAGE_TABLE; slot++)
        if (table[slot] != NULL)
            table[count++] = table[slot];
    count_pages(census, table, count);
    munmap(table, PAGE_TABLE * sizeof *table);
}

static size_t pages_on(const struct census *census, uint64_t choice)
{
    size_t pages = 0;
    for (unsigned node = 0; node < node_count; node++)
        if ((choice >> node & 1) != 0)
            pages += census->on[node];
    return pages;
}

static double percent(size_t part, size_t whole)
{
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static double percent_on(const struct census *census, uint64_t choice)
{
    return percent(pages_on(census, choice), census->pages);
}

static double lesser(double a, double b)
{
    return a < b ? a : b;
}

/* --- Judging --- */

static bool all_passed = true;

static bool judge(bool passed, const char *title, double found, const char *bound, double limit,
                  const char *unit)
{
    printf("%s: %s: %.2f %s, %s %g\n", passed ? "pass" : "fail", title, found, unit, bound, limit);
    all_passed = all_passed && passed;
    return passed;
}

static bool at_least(double limit, double found, const char *unit, const char *title)
{
    return judge(found >= limit, title, found, "at least", limit, unit);
}

static bool at_most(double limit, double found, const char *unit, const char *title)
{
    return judge(found <= limit, title, found, "at most", limit, unit);
}

/* For the log, under what failed. */
static void show(const char *whose, unsigned number, const struct census *census)
{
    printf("    %s %u, pages on each node:", whose, number);
    for (unsigned node = 0; node < node_count; node++)
        printf(" %zu", census->on[node]);
    printf("; of %zu\n", census->pages);
}

/* --- Threads --- */

/* Runs the function on one thread for each node with processors, pinned there. */
static void in_parallel(void *(*body)(void *))
{
    pthread_t threads[NODES_MAX];
    for (uintptr_t i = 0; i < thread_count; i++)
        if ((errno = pthread_create(&threads[i], NULL, body, (void *)i)) != 0)
            die("pthread_create");
    for (unsigned i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
}

/* --- Small blocks --- */

enum { FRESH, FREED_BY_OTHERS, MOVED, ROUNDS };

static const struct {
    const char *title;
    double limit;
} small_rounds[ROUNDS] = {
    {"small blocks, fresh, on the thread's node", 99},
    {"small blocks, another node's freed before, on the thread's node", 99},
    {"small blocks, the thread moved before, on its new node", 95},
};

static struct block *small_blocks[NODES_MAX];
static struct census small_census[ROUNDS][NODES_MAX];
static pthread_barrier_t barrier;

static struct block allocate(size_t bytes)
{
    struct block block = {opaque(malloc(bytes)), bytes};
    if (block.start == NULL)
        die("malloc");
    memset(block.start, 1, bytes);
    return block;
}

static void allocate_small(struct block *blocks, unsigned seed)
{
    for (size_t i = 0; i < SMALL_BLOCKS; i++)
        blocks[i] = allocate(SMALL_MIN + (size_t)rand_r(&seed) % (SMALL_MAX - SMALL_MIN + 1));
}

static void free_all(struct block *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(blocks[i].start);
}

static void *play_small(void *argument)
{
    unsigned self = (unsigned)(uintptr_t)argument, other = (self + 1) % thread_count;
    pin(homes[self]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (round == FREED_BY_OTHERS)
            free_all(small_blocks[other], SMALL_BLOCKS);
        if (round == MOVED) {
            free_all(small_blocks[self], SMALL_BLOCKS);
            pin(homes[other]);
        }
        pthread_barrier_wait(&barrier);
        allocate_small(small_blocks[self], 1 + self);
        count_blocks(&small_census[round][self], small_blocks[self], SMALL_BLOCKS);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void start_small(void)
{
    for (unsigned i = 0; i < thread_count; i++)
        small_blocks[i] = map_table(SMALL_BLOCKS * sizeof *small_blocks[i]);
    pthread_barrier_init(&barrier, NULL, thread_count);
}

static void judge_small(unsigned round)
{
    double least = 100;
    for (unsigned i = 0; i < thread_count; i++) {
        unsigned home = homes[round == MOVED ? (i + 1) % thread_count : i];
        double found = percent_on(&small_census[round][i], rightful(home));
        least = found < least ? found : least;
    }
    if (!at_least(small_rounds[round].limit, least, "%", small_rounds[round].title))
        for (unsigned i = 0; i < thread_count; i++)
            show("thread", i, &small_census[round][i]);
}

/* No thread runs there, so nothing belongs there, unless a node has no memory and they are near. */
static void judge_strangers(void)
{
    uint64_t strangers = with_memory & ~with_cpus;
    size_t pages = 0;
    for (unsigned i = 0; i < thread_count; i++)
        strangers &= ~rightful(homes[i]);
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < thread_count; i++)
            pages += pages_on(&small_census[round][i], strangers);
    if (strangers != 0)
        at_most(0, (double)pages, "pages", "small blocks, on nodes without processors");
}

static void small(void)
{
    start_small();
    in_parallel(play_small);
    for (unsigned round = 0; round < ROUNDS; round++)
        judge_small(round);
    judge_strangers();
}

/* --- A big block --- */

/* What threads touch in parallel, each its part: a whole block, or what it has grown by. */
enum { PIECES_MAX = 3 };

static char *big_block;
static struct piece {
    size_t offset;
    size_t bytes;
} pieces[PIECES_MAX];
static unsigned piece_count;
static struct census big_census[NODES_MAX];
static uint64_t big_choice; /* nodes on the nearest of which its pages belong */

static size_t part_bytes(const struct piece *piece)
{
    return piece->bytes / thread_count;
}

static void *touch_part(void *argument)
{
    unsigned self = (unsigned)(uintptr_t)argument;
    const struct piece *piece = &pieces[piece_count - 1];
    char *start = big_block + piece->offset + self * part_bytes(piece);
    pin(homes[self]);
    for (size_t offset = 0; offset < part_bytes(piece); offset += PAGE)
        start[offset] = 1;
    return NULL;
}

static void touch(size_t offset, size_t bytes)
{
    pieces[piece_count++] = (struct piece){offset, bytes};
    in_parallel(touch_part);
}

/* By how much the worst thread's parts of all pieces are not on its node. A huge page at the border
 * of two parts can be on the node of one only. */
static void judge_big(const char *title)
{
    double worst = 0;
    memset(big_census, 0, sizeof big_census);
    for (unsigned i = 0; i < thread_count; i++) {
        for (unsigned k = 0; k < piece_count; k++)
            count_range(&big_census[i], big_block + pieces[k].offset + i * part_bytes(&pieces[k]),
                        part_bytes(&pieces[k]));
        size_t strays =
            big_census[i].pages - pages_on(&big_census[i], nearest(homes[i], big_choice));
        double stray_mb = (double)(strays * PAGE) / (double)MB;
        worst = stray_mb > worst ? stray_mb : worst;
    }
    if (!at_most(2, worst, "MB", title))
        for (unsigned i = 0; i < thread_count; i++)
            show("thread", i, &big_census[i]);
    piece_count = 0;
}

/* What malloc, calloc or realloc has returned becomes the big block. */
static void take(void *block)
{
    if (block == NULL)
        die("malloc");
    big_block = opaque(block);
}

static void touch_and_judge(void *block, size_t bytes, const char *title)
{
    take(block);
    touch(0, bytes);
    judge_big(title);
    free(big_block);
}

/* Touched in parallel, grown, and touched in parallel where it is new; twice. */
static void grow(size_t bytes)
{
    size_t quarter = bytes / 4;
    take(malloc(2 * quarter));
    touch(0, 2 * quarter);
    take(realloc(big_block, 3 * quarter));
    touch(2 * quarter, quarter);
    take(realloc(big_block, 4 * quarter));
    touch(3 * quarter, quarter);
    judge_big("big block, grown twice, off the threads' nodes");
    free(big_block);
}

static void big(size_t megabytes)
{
    /* Parts of whole huge pages, also of a quarter. */
    size_t unit = 8 * MB * thread_count, bytes = megabytes * MB / unit * unit;
    if (bytes == 0)
        bytes = unit;
    size_t less = bytes / 4 * 3;
    touch_and_judge(malloc(bytes), bytes, "big block, fresh, off the threads' nodes");
    touch_and_judge(malloc(bytes), bytes, "big block, the same size again, off the threads' nodes");
    touch_and_judge(malloc(less), less, "big block, another size, off the threads' nodes");
    touch_and_judge(calloc(1, less), less,
                    "big block, calloc of the same size, off the threads' nodes");
    touch_and_judge(calloc(1, bytes), bytes,
                    "big block, calloc of another size, off the threads' nodes");
    grow(bytes);
}

/* --- What valloc says --- */

static struct valloc_numa_node audited[NODES_MAX];

/* False under another malloc. */
static bool ask_valloc(struct valloc_numa_audit *audit)
{
    int (*numa_audit)(struct valloc_numa_audit *);
    *(void **)&numa_audit = dlsym(RTLD_DEFAULT, "valloc_numa_audit");
    *audit = (struct valloc_numa_audit){.size = sizeof *audit,
                                        .node_size = sizeof *audited,
                                        .node_max = NODES_MAX,
                                        .node = audited};
    if (numa_audit == NULL)
        return false;
    if (numa_audit(audit) != 0)
        die("valloc_numa_audit");
    return true;
}

/* What it says of a node of the kernel's. */
static const struct valloc_numa_node *audited_node(const struct valloc_numa_audit *audit,
                                                   unsigned node)
{
    static const struct valloc_numa_node none;
    for (unsigned i = 0; i < audit->node_count; i++)
        if (audited[i].node == (int)node)
            return &audited[i];
    return &none;
}

static void show_audit(const struct valloc_numa_audit *audit)
{
    for (unsigned i = 0; i < audit->node_count; i++)
        printf("    node %d: used %lu, held %lu, away %lu (node %d), here %lu, threads %u\n",
               audited[i].node, audited[i].used, audited[i].held, audited[i].away,
               audited[i].away_node, audited[i].here, audited[i].threads);
    printf("    frees %lu, remote %lu; %s\n", audit->frees, audit->frees_remote, audit->advice);
}

/* Small blocks of the threads are in use, each set on its node. */
static void judge_audit_of_places(const struct valloc_numa_audit *audit)
{
    size_t found = 0, in_use = 0, away = 0, held = 0;
    for (unsigned i = 0; i < thread_count; i++) {
        const struct valloc_numa_node *node = audited_node(audit, homes[i]);
        struct census census = {0};
        count_blocks(&census, small_blocks[i], SMALL_BLOCKS);
        in_use += pages_on(&census, (uint64_t)1 << homes[i]) * PAGE;
        found += node->here;
        away += node->away;
        held += node->held;
    }
    bool passed = audit->known;
    passed = at_least(99, percent(found, in_use), "%",
                      "audit: of what lies on the nodes, found there") &&
             passed;
    passed =
        at_most(115, percent(found, in_use), "%", "audit: and not much more than blocks in use") &&
        passed;
    passed =
        at_most(1, percent(away, held), "%", "audit: of the heaps, found on other nodes") && passed;
    if (!passed)
        show_audit(audit);
}

/* 41 % of each thread's blocks are freed by that of the next node. */
static void *play_audit(void *argument)
{
    enum { REMOTE = SMALL_BLOCKS * 41 / 100 };
    unsigned self = (unsigned)(uintptr_t)argument, other = (self + 1) % thread_count;
    struct valloc_numa_audit audit;
    pin(homes[self]);
    allocate_small(small_blocks[self], 1 + self);
    pthread_barrier_wait(&barrier);
    if (self == 0 && ask_valloc(&audit)) {
        judge_audit_of_places(&audit);
        at_most(0, audit.known && audit.advice[0] == '\0' ? 0 : 1, "faults",
                "audit: found where there is none");
    }
    pthread_barrier_wait(&barrier);
    free_all(small_blocks[other], REMOTE);
    free_all(small_blocks[self] + REMOTE, SMALL_BLOCKS - REMOTE);
    return NULL;
}

static void audit(void)
{
    struct valloc_numa_audit audit;
    if (!ask_valloc(&audit)) {
        printf("skip: audit: only valloc tells\n");
        return;
    }
    start_small();
    in_parallel(play_audit);
    malloc_trim(0); /* caches keep nothing */
    ask_valloc(&audit);
    double share = 100 * (double)audit.frees_remote / (double)audit.frees;
    bool passed = at_most(2, share > 41 ? share - 41 : 41 - share, "%",
                          "audit: share of frees on another node, off 41 %");
    bool said = audit.finding == VALLOC_NUMA_REMOTE &&
                strstr(audit.advice, "% of frees are remote") != NULL;
    if (!at_least(1, said, "lines", "audit: advice about these frees") || !passed)
        show_audit(&audit);
}

/* --- Threads that valloc binds --- */

static cpu_set_t cpus_before; /* of the process */
static cpu_set_t
    bound_cpus[NODES_MAX]; /* of each thread, once it has allocated; 0 is the main one */
static struct census bound_census[NODES_MAX];

static void look_at_self(unsigned self)
{
    allocate_small(small_blocks[self], 1 + self);
    count_blocks(&bound_census[self], small_blocks[self], SMALL_BLOCKS);
}

static void *play_bound(void *argument)
{
    unsigned self = 1 + (unsigned)(uintptr_t)argument;
    look_at_self(self);
    if (sched_getaffinity(0, sizeof bound_cpus[self], &bound_cpus[self]) != 0)
        die("sched_getaffinity");
    pthread_barrier_wait(&barrier); /* nobody goes before all have come */
    return NULL;
}

/* As many threads as there are nodes with processors, the main one included. */
static void run_bound(void)
{
    pthread_t threads[NODES_MAX];
    start_small();
    if (sched_getaffinity(0, sizeof cpus_before, &cpus_before) != 0)
        die("sched_getaffinity");
    look_at_self(0);
    for (uintptr_t i = 0; i + 1 < thread_count; i++)
        if ((errno = pthread_create(&threads[i], NULL, play_bound, (void *)i)) != 0)
            die("pthread_create");
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i + 1 < thread_count; i++)
        pthread_join(threads[i], NULL);
    sched_getaffinity(0, sizeof bound_cpus[0], &bound_cpus[0]);
}

static void bound(unsigned nodes_expected)
{
    unsigned nodes_found = 0, changed = 0;
    double least = 100;
    run_bound();
    for (unsigned i = 0; i < thread_count; i++) {
        changed += !CPU_EQUAL(&bound_cpus[i], &cpus_before);
        bool found = false;
        for (unsigned k = 0; k < thread_count; k++) {
            if (!CPU_EQUAL(&bound_cpus[k], &nodes[homes[i]].cpus))
                continue;
            double share = percent_on(&bound_census[k], rightful(homes[i]));
            least = share < least ? share : least;
            found = true;
        }
        nodes_found += found;
    }
    if (nodes_expected == 0) {
        at_most(0, changed, "threads", "bound threads: bound by valloc all the same");
        return;
    }
    bool passed =
        at_least(nodes_expected, nodes_found, "nodes", "bound threads: nodes they are on");
    passed = at_most(nodes_expected, nodes_found, "nodes", "bound threads: and no more") && passed;
    passed = at_least(thread_count, changed, "threads", "bound threads: all of them") && passed;
    passed = at_least(99, least, "%", "bound threads: small blocks on their nodes") && passed;
    for (unsigned i = 0; i < thread_count && !passed; i++)
        show("thread", i, &bound_census[i]);
}

/* --- A node that overflows --- */

static unsigned smallest_home(void)
{
    unsigned found = homes[0];
    for (unsigned i = 1; i < thread_count; i++)
        if (nodes[homes[i]].memory_kb > 0 && nodes[homes[i]].memory_kb < nodes[found].memory_kb)
            found = homes[i];
    return found;
}

/* What does not fit there must be on the nearest of the others. */
static void judge_overflow(unsigned home, const struct census *census, const char *title)
{
    uint64_t own = (uint64_t)1 << home, others = with_memory & ~own;
    size_t beyond = census->pages - pages_on(census, own);
    if (!at_least(99, percent(pages_on(census, nearest(home, others)), beyond), "%", title))
        show("node", home, census);
}

static void judge_audit_of_overflow(unsigned home, const struct census *census)
{
    struct valloc_numa_audit audit;
    if (!ask_valloc(&audit))
        return;
    size_t beyond = (census->pages - pages_on(census, (uint64_t)1 << home)) * PAGE;
    uint64_t away = audited_node(&audit, home)->away;
    bool passed = at_most(5, percent(away > beyond ? away - beyond : beyond - away, beyond), "%",
                          "full node, audit: what lies elsewhere, off what does");
    bool said = audit.finding == VALLOC_NUMA_AWAY && strstr(audit.advice, "is full") != NULL;
    if (!at_least(1, said, "lines", "full node, audit: advice that says so") || !passed)
        show_audit(&audit);
}

static void overflow(size_t megabytes)
{
    enum { BLOCK_MAX = 64 << 10 };
    unsigned home = smallest_home(), seed = 1;
    uint64_t own = (uint64_t)1 << home;
    struct block *blocks = map_table(megabytes * MB / SMALL_MIN * sizeof *blocks);
    struct census census = {0};
    size_t count = 0;
    pin(home);
    for (size_t bytes = 0; bytes < megabytes * MB; bytes += blocks[count++].bytes)
        blocks[count] = allocate(SMALL_MIN + (size_t)rand_r(&seed) % BLOCK_MAX);
    for (size_t i = 0; i < count; i++)
        count_range(&census, blocks[i].start, blocks[i].bytes);
    at_least(50, percent(pages_on(&census, own), nodes[home].free_kb * KB / PAGE), "%",
             "full node, small blocks in what was free there");
    judge_overflow(home, &census, "full node, small blocks beyond it on the nearest other");
    judge_audit_of_overflow(home, &census);
    free_all(blocks, count);

    memset(&census, 0, sizeof census);
    struct block block = allocate(megabytes * MB);
    count_range(&census, block.start, block.bytes);
    judge_overflow(home, &census, "full node, big block beyond it on the nearest other");
    free(block.start);
}

/* --- The user's policy --- */

/* Where it allows pages, and how much of them must be there: preferred nodes may be full. */
static uint64_t policy_nodes(int *mode, double *limit)
{
    unsigned long mask = 0;
    if (syscall(SYS_get_mempolicy, mode, &mask, NODES_MAX + 1, NULL, 0) != 0)
        die("get_mempolicy");
    *limit = *mode == MPOL_PREFERRED ? 99 : 100;
    return mask != 0 ? mask & with_memory : with_memory;
}

/* "0,2,3"; it is short, or cut. */
static const char *name_nodes(uint64_t choice)
{
    static char text[64];
    int length = 0;
    text[0] = '\0';
    for (unsigned node = 0; node < node_count && length < (int)sizeof text - 4; node++)
        if ((choice >> node & 1) != 0)
            length += sprintf(text + length, "%s%u", length == 0 ? "" : ",", node);
    return text;
}

static void judge_policy(const struct census *census, const char *what)
{
    char title[96];
    int mode;
    double limit;
    uint64_t choice = policy_nodes(&mode, &limit);
    snprintf(title, sizeof title, "%s, policy: on %s", what, name_nodes(choice));
    bool passed = at_least(limit, percent_on(census, choice), "%", title);
    if (mode == MPOL_INTERLEAVE) {
        double least = 100, fair = 100.0 / __builtin_popcountll(choice);
        for (unsigned node = 0; node < node_count; node++)
            if ((choice >> node & 1) != 0 && percent_on(census, (uint64_t)1 << node) < least)
                least = percent_on(census, (uint64_t)1 << node);
        snprintf(title, sizeof title, "%s, policy: least share of a node", what);
        passed = at_least(fair / 2, least, "%", title) && passed;
    }
    if (!passed)
        show("policy", (unsigned)mode, census);
}

static void policy(void)
{
    enum { BIG = 64 << 20 };
    struct census census = {0};
    start_small();
    in_parallel(play_small);
    for (unsigned i = 0; i < thread_count; i++)
        count_blocks(&census, small_blocks[i], SMALL_BLOCKS);
    judge_policy(&census, "small blocks");

    memset(&census, 0, sizeof census);
    take(malloc(BIG));
    touch(0, BIG);
    count_range(&census, big_block, part_bytes(&pieces[0]) * thread_count);
    judge_policy(&census, "big block");
    free(big_block);
}

/* --- Places that the program names --- */

static __typeof__(&valloc_onnode) get_onnode;
static __typeof__(&valloc_interleaved) get_interleaved;
static __typeof__(&valloc_local) get_local;

static bool find_functions(void)
{
    *(void **)&get_onnode = dlsym(RTLD_DEFAULT, "valloc_onnode");
    *(void **)&get_interleaved = dlsym(RTLD_DEFAULT, "valloc_interleaved");
    *(void **)&get_local = dlsym(RTLD_DEFAULT, "valloc_local");
    return get_onnode != NULL && get_interleaved != NULL && get_local != NULL;
}

/* How much of the big block, which all threads touch in parallel, is where it should be. */
static double touched_on(uint64_t choice, size_t offset, size_t bytes)
{
    struct census census = {0};
    piece_count = 0;
    touch(offset, bytes);
    count_range(&census, big_block + offset, part_bytes(&pieces[0]) * thread_count);
    if (percent_on(&census, choice) < 99)
        show("wanted", (unsigned)__builtin_ctzll(choice), &census);
    return percent_on(&census, choice);
}

/* Blocks on each node in turn, also on those without processors, from 1 MB on and below. */
static void judge_nodes(size_t bytes)
{
    double fresh = 100, grown = 100, again = 100;
    for (unsigned node = 0; node < node_count; node++) {
        uint64_t own = (uint64_t)1 << node;
        if ((with_memory & own) == 0)
            continue;
        take(get_onnode(bytes, (int)node));
        fresh = lesser(fresh, touched_on(own, 0, bytes));
        void *wall = get_onnode(2 * MB, (int)node);
        take(realloc(big_block, 2 * bytes));
        grown = lesser(grown, touched_on(own, bytes, bytes));
        free(big_block);
        take(get_onnode(bytes / 2, (int)node));
        again = lesser(again, touched_on(own, 0, bytes / 2));
        free(big_block);
        free(wall);
    }
    at_least(99, fresh, "%", "valloc_onnode, big block touched by all, on its node");
    at_least(99, grown, "%", "valloc_onnode, grown by realloc, on its node");
    at_least(99, again, "%", "valloc_onnode, another size of kept memory, on its node");
}

static void judge_small_on_nodes(void)
{
    double least = 100;
    struct block *blocks = map_table(SMALL_BLOCKS * sizeof *blocks);
    for (unsigned node = 0; node < node_count; node++) {
        struct census census = {0};
        unsigned seed = node;
        if ((with_memory >> node & 1) == 0)
            continue;
        for (size_t i = 0; i < SMALL_BLOCKS; i++) {
            blocks[i].bytes = SMALL_MIN + (size_t)rand_r(&seed) % (SMALL_MAX - SMALL_MIN + 1);
            blocks[i].start = opaque(get_onnode(blocks[i].bytes, (int)node));
            if (blocks[i].start == NULL)
                die("valloc_onnode");
            memset(blocks[i].start, 1, blocks[i].bytes);
        }
        count_blocks(&census, blocks, SMALL_BLOCKS);
        free_all(blocks, SMALL_BLOCKS);
        least = lesser(least, percent_on(&census, (uint64_t)1 << node));
    }
    at_least(99, least, "%", "valloc_onnode, small blocks, on their node");
}

/* By how much the node that has least has less than its share. Huge pages may not come out even. */
static void judge_shares(const char *title, const struct census *census, size_t bytes)
{
    size_t nodes_wanted = (size_t)__builtin_popcountll(with_memory), least = bytes / PAGE;
    for (unsigned node = 0; node < node_count; node++)
        if ((with_memory >> node & 1) != 0 && census->on[node] < least)
            least = census->on[node];
    double lack = (double)bytes / (double)nodes_wanted - (double)(least * PAGE);
    if (!at_most(2, lack < 0 ? 0 : lack / (double)MB, "MB below a node's share", title))
        show("spread over", (unsigned)nodes_wanted, census);
}

static void judge_spread(const char *title, size_t bytes)
{
    struct census census = {0};
    memset(big_block, 1, bytes);
    count_range(&census, big_block, bytes);
    judge_shares(title, &census, bytes);
    free(big_block);
}

/* Blocks of a huge page each, which are as even as one large block. */
static void judge_spread_blocks(const char *title, size_t count)
{
    static struct block blocks[64];
    struct census census = {0};
    if (count > sizeof blocks / sizeof *blocks)
        die("too many blocks");
    for (size_t i = 0; i < count; i++) {
        blocks[i] = allocate(2 * MB);
        count_range(&census, blocks[i].start, blocks[i].bytes);
    }
    judge_shares(title, &census, count * 2 * MB);
    free_all(blocks, count);
}

static void *(*local_function)(size_t size);
static size_t local_bytes;
static char *local_blocks[NODES_MAX];
static double local_percent[NODES_MAX];

/* Touches what the thread before has taken. */
static void *play_local(void *argument)
{
    unsigned self = (unsigned)(uintptr_t)argument, before = (self + 1) % thread_count;
    struct census census = {0};
    pin(homes[self]);
    local_blocks[self] = opaque(local_function(local_bytes));
    pthread_barrier_wait(&barrier);
    if (local_blocks[before] == NULL)
        die("malloc");
    memset(local_blocks[before], 1, local_bytes);
    count_range(&census, local_blocks[before], local_bytes);
    local_percent[self] = percent_on(&census, rightful(homes[before]));
    pthread_barrier_wait(&barrier);
    free(local_blocks[self]);
    return NULL;
}

static void judge_local(const char *title, void *(*function)(size_t), size_t bytes)
{
    double least = 100;
    local_function = function;
    local_bytes = bytes;
    pthread_barrier_init(&barrier, NULL, thread_count);
    in_parallel(play_local);
    for (unsigned i = 0; i < thread_count; i++)
        least = lesser(least, local_percent[i]);
    at_least(99, least, "%", title);
}

static void judge_no_such_node(void)
{
    unsigned given = 0;
    for (int node = -1; node <= NODES_MAX; node++) {
        bool there = node >= 0 && node < NODES_MAX && (with_memory >> node & 1) != 0;
        errno = 0;
        given += !there && (opaque(get_onnode(100, node)) != NULL || errno != EINVAL);
    }
    at_most(0, given, "nodes", "valloc_onnode, nodes that are not there or not allowed");
}

static bool has_policy(void)
{
    int mode;
    double limit;
    policy_nodes(&mode, &limit);
    return mode != MPOL_DEFAULT;
}

static void placed(size_t megabytes)
{
    size_t unit = 2 * MB * thread_count, bytes = (megabytes * MB + unit - 1) / unit * unit;
    if (!find_functions()) {
        printf("skip: named places: this malloc has none\n");
        return;
    }
    judge_nodes(bytes);
    if (!has_policy())
        judge_small_on_nodes();
    take(get_interleaved(megabytes * MB));
    judge_spread("valloc_interleaved, touched by one thread", megabytes * MB);
    judge_local("valloc_local, touched by others, on the caller's node", get_local,
                megabytes * MB / 2);
    judge_no_such_node();
}

static void spread(size_t megabytes)
{
    take(malloc(megabytes * MB));
    judge_spread("big block, touched by one thread", megabytes * MB);
    judge_spread_blocks("blocks of 2 MB, touched by one thread", megabytes / 2);
}

static void local(size_t megabytes)
{
    judge_local("big blocks, touched by others, on the node of who took them", malloc,
                megabytes * MB);
}

/* --- Memory without processors --- */

/* The user wants blocks of that size there. */
static void tier(size_t megabytes, const char *list)
{
    size_t unit = 4 * MB * thread_count, bytes = (megabytes * MB + unit - 1) / unit * unit;
    uint64_t fitting = 0;
    for (char *end = NULL; *list != '\0'; list = *end == ',' ? end + 1 : end)
        fitting |= (uint64_t)1 << strtoul(list, &end, 10);
    big_choice = fitting;
    touch_and_judge(malloc(bytes), bytes,
                    "tier, a block of its size, off the nearest of its nodes");
    big_choice = with_memory;
    touch_and_judge(malloc(bytes / 2), bytes / 2, "tier, a smaller block, off the threads' nodes");

    struct census census = {0};
    size_t there = 0;
    malloc_trim(0);
    for (unsigned node = 0; node < node_count; node++)
        there += (fitting >> node & 1) != 0 ? nodes[node].free_kb * KB : 0;
    bytes = (there + 64 * MB) / unit * unit;
    take(malloc(bytes));
    memset(big_block, 1, bytes);
    count_range(&census, big_block, bytes);
    if (!at_least(90, percent(pages_on(&census, fitting) * PAGE, there), "%",
                  "full tier, a block larger than it, in what was free there"))
        show("free megabytes there", (unsigned)(there / MB), &census);
    at_least(100, percent_on(&census, with_memory), "%",
             "full tier, all of the block is somewhere");
    free(big_block);
}

/* --- A machine that changes while the program runs --- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0)
        die(path);
}

/* The nodes of the group that this process is in. */
static void set_own_mems(unsigned first, unsigned last)
{
    char group[64], path[128], list[32];
    FILE *file = fopen("/proc/self/cgroup", "r");
    if (file == NULL || fscanf(file, "0::%63s", group) != 1)
        die("/proc/self/cgroup");
    fclose(file);
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpuset.mems", group);
    snprintf(list, sizeof list, "%u-%u\n", first, last);
    write_file(path, list);
}

static struct census changing_census[NODES_MAX];

/* So many times a thread's blocks, nearly 4 MB each time, have room in what regions in use have left over. */
enum { LEFT_OVER = 4 };
static struct block *kept_blocks[NODES_MAX];

static void *live_once(void *argument)
{
    unsigned self = (unsigned)(uintptr_t)argument;
    pin(homes[self]);
    for (unsigned i = 0; i < LEFT_OVER; i++)
        allocate_small(kept_blocks[self] + i * SMALL_BLOCKS, 1 + self);
    allocate_small(small_blocks[self], 1 + self);
    memset(&changing_census[self], 0, sizeof changing_census[self]);
    count_blocks(&changing_census[self], small_blocks[self], SMALL_BLOCKS);
    free_all(small_blocks[self], SMALL_BLOCKS);
    free_all(kept_blocks[self], LEFT_OVER * SMALL_BLOCKS);
    return NULL;
}

/* New threads on new memory, once they have used up what was left over: each thread's blocks are where they
 * belong now, and what is spread is spread over all nodes that there are now. */
static void judge_now(const char *when)
{
    char title[96];
    double least = 100;
    malloc_trim(0);
    in_parallel(live_once);
    for (unsigned i = 0; i < thread_count; i++)
        least = lesser(least, percent_on(&changing_census[i], rightful(homes[i])));
    snprintf(title, sizeof title, "%s, small blocks where they belong", when);
    if (!at_least(99, least, "%", title))
        for (unsigned i = 0; i < thread_count; i++)
            show("thread", i, &changing_census[i]);
    malloc_trim(0);
    snprintf(title, sizeof title, "%s, a block that is spread", when);
    take(get_interleaved(64 * MB));
    judge_spread(title, 64 * MB);
}

/* One block that is spread stays in use, and with it what is known of its like. */
static void start_changing(void)
{
    if (!find_functions() || opaque(get_interleaved(2 * MB)) == NULL)
        die("valloc_interleaved");
    start_small();
    for (unsigned i = 0; i < thread_count; i++)
        kept_blocks[i] = map_table(LEFT_OVER * SMALL_BLOCKS * sizeof *kept_blocks[i]);
}

/* From all nodes to the last one, and back. */
static void changing(void)
{
    uint64_t all = with_memory;
    unsigned last = node_count - 1;
    start_changing();
    judge_now("all nodes");
    set_own_mems(last, last);
    with_memory = (uint64_t)1 << last;
    judge_now("the cpuset cut to one node");
    set_own_mems(0, last);
    with_memory = all;
    judge_now("the cpuset wide again");
}

static void set_online(unsigned cpu, bool online)
{
    char path[64];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/online", cpu);
    write_file(path, online ? "1\n" : "0\n");
}

/* The last node's only processor goes, under a thread that is pinned to it. */
static void *lose_processor(void *unused)
{
    unsigned last = homes[thread_count - 1], cpu = 0, node;
    (void)unused;
    pin(last);
    while (!CPU_ISSET(cpu, &nodes[last].cpus))
        cpu++;
    allocate_small(small_blocks[0], 1);
    set_online(cpu, false);
    free_all(small_blocks[0], SMALL_BLOCKS);
    pin(homes[0]); /* where it is now is the kernel's choice, and may change */
    allocate_small(small_blocks[0], 1);
    syscall(SYS_getcpu, NULL, &node, NULL);
    count_blocks(&changing_census[0], small_blocks[0], SMALL_BLOCKS);
    if (!at_least(95, percent_on(&changing_census[0], rightful(node)), "%",
                  "a processor less, small blocks on the thread's new node"))
        show("node", node, &changing_census[0]);
    free_all(small_blocks[0], SMALL_BLOCKS);
    set_online(cpu, true);
    return NULL;
}

static void unplugged(void)
{
    pthread_t thread;
    start_changing();
    if ((errno = pthread_create(&thread, NULL, lose_processor, NULL)) != 0)
        die("pthread_create");
    pthread_join(thread, NULL);
    judge_now("the processor back");
}

/* --- The kernel's pools of huge pages --- */

static long read_pool(unsigned node, size_t page_bytes, const char *name)
{
    char path[64];
    long pages = -1;
    snprintf(path, sizeof path, "hugepages/hugepages-%zukB/%s", page_bytes / KB, name);
    FILE *file = open_node_file(node, path);
    if (file == NULL || fscanf(file, "%ld", &pages) != 1)
        die(path);
    fclose(file);
    return pages;
}

/* What somebody has of a node's pool. */
static size_t pool_used(unsigned node, size_t page_bytes)
{
    return (size_t)(read_pool(node, page_bytes, "nr_hugepages") -
                    read_pool(node, page_bytes, "free_hugepages")) *
           page_bytes;
}

static void judge_pool(unsigned node, size_t found, size_t least, size_t most, const char *what)
{
    char title[96];
    snprintf(title, sizeof title, "%s, from the pool of node %u", what, node);
    if (found < least)
        at_least((double)(least / MB), (double)(found / MB), "MB", title);
    else
        at_most((double)(most / MB), (double)(found / MB), "MB", title);
}

enum { RESERVED_BLOCK = 8 << 20 };

static struct census reserved_census[NODES_MAX];

static void *use_reserve(void *argument)
{
    unsigned self = (unsigned)(uintptr_t)argument;
    pin(homes[self]);
    allocate_small(small_blocks[self], 1 + self);
    struct block big = allocate(RESERVED_BLOCK);
    count_blocks(&reserved_census[self], small_blocks[self], SMALL_BLOCKS);
    count_range(&reserved_census[self], big.start, big.bytes);
    return NULL;
}

static void judge_reserved_blocks(void)
{
    double least = 100;
    for (unsigned i = 0; i < thread_count; i++) {
        double found = percent_on(&reserved_census[i], rightful(homes[i]));
        least = found < least ? found : least;
    }
    if (!at_least(99, least, "%", "reserve, blocks on the thread's node"))
        for (unsigned i = 0; i < thread_count; i++)
            show("thread", i, &reserved_census[i]);
}

/* What was fetched is there before threads want it, and serves them: no page beside it is taken. A region
 * or two may have been before. */
static void reserve(char **megabytes, int count)
{
    size_t fetched[NODES_MAX];
    allocate(MB / 2);
    for (int i = 0; i < count; i++) {
        size_t wished = strtoul(megabytes[i], NULL, 10) * MB;
        fetched[i] = pool_used((unsigned)i, 2 * MB);
        judge_pool((unsigned)i, fetched[i], wished, wished + 4 * MB, "reserve, fetched");
    }
    start_small();
    in_parallel(use_reserve);
    judge_reserved_blocks();
    for (int i = 0; i < count; i++)
        judge_pool((unsigned)i, pool_used((unsigned)i, 2 * MB), fetched[i], fetched[i],
                   "reserve, used");
}

/* The size of the kernel's pages at an address. */
static size_t page_size_at(const char *address)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[256];
    size_t kilobytes = 0, found = 0;
    uintptr_t start = 1, end = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx-%lx ", &start, &end) != 2 &&
            sscanf(line, "KernelPageSize: %zu kB", &kilobytes) == 1 &&
            (uintptr_t)address - start < end - start)
            found = kilobytes * KB;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* A bit for each node of whose pool the page is used. */
static void judge_giants(size_t expected, const char *what)
{
    for (unsigned i = 0; i < thread_count; i++) {
        size_t bytes = (expected >> i & 1) * GB;
        judge_pool(homes[i], pool_used(homes[i], GB), bytes, bytes, what);
    }
}

/* A block's page is its thread's node's; a larger block has those of all. */
static void play_giants(void)
{
    for (unsigned i = 0; i < thread_count; i++)
        if (read_pool(homes[i], GB, "nr_hugepages") != 1)
            die("a node has not one page of 1 GB");
    for (unsigned i = 0; i < thread_count; i++) {
        pin(homes[i]);
        struct block block = allocate(GB);
        judge_giants((size_t)1 << i, "1 GB");
        at_least(1024, (double)(page_size_at(block.start + GB / 2) / MB), "MB",
                 "1 GB, size of its page");
        free(block.start);
        judge_giants(0, "1 GB, freed");
    }
    struct block block = allocate(thread_count * GB);
    judge_giants(((size_t)1 << thread_count) - 1, "a page of each node");
    free(block.start);
    judge_giants(0, "a page of each node, freed");
}

/* Of two gigabytes side by side, one after the other, with both pools full: their addresses tell the nodes. */
static void play_spread_giants(void)
{
    struct block block = allocate(GB);
    unsigned other = pool_used(homes[0], GB) != 0 ? 1 : 0;
    judge_giants((size_t)2 >> other, "spread, 1 GB");
    free(block.start);
    take(malloc(GB - 64 * KB)); /* too small for such a page, and in the way */
    block = allocate(GB);
    judge_giants((size_t)1 << other, "spread, the next 1 GB");
    free(block.start);
    free(big_block);
}

int main(int argc, char **argv)
{
    const char *scenario = argc > 1 ? argv[1] : "";
    size_t megabytes = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    read_machine();
    big_choice = with_memory;
    if (strcmp(scenario, "small") == 0)
        small();
    else if (strcmp(scenario, "big") == 0 && megabytes > 0)
        big(megabytes);
    else if (strcmp(scenario, "overflow") == 0 && megabytes > 0)
        overflow(megabytes);
    else if (strcmp(scenario, "policy") == 0)
        policy();
    else if (strcmp(scenario, "placed") == 0 && megabytes > 0)
        placed(megabytes);
    else if (strcmp(scenario, "spread") == 0 && megabytes > 0)
        spread(megabytes);
    else if (strcmp(scenario, "local") == 0 && megabytes > 0)
        local(megabytes);
    else if (strcmp(scenario, "tier") == 0 && megabytes > 0 && argc > 3)
        tier(megabytes, argv[3]);
    else if (strcmp(scenario, "changing") == 0)
        changing();
    else if (strcmp(scenario, "unplugged") == 0)
        unplugged();
    else if (strcmp(scenario, "audit") == 0)
        audit();
    else if (strcmp(scenario, "bound") == 0)
        bound((unsigned)megabytes);
    else if (strcmp(scenario, "reserve") == 0 && megabytes > 0)
        reserve(argv + 2, argc - 2);
    else if (strcmp(scenario, "giants") == 0)
        play_giants();
    else if (strcmp(scenario, "spread-giants") == 0)
        play_spread_giants();
    else {
        fprintf(stderr, "usage: placement small|policy|changing|unplugged|audit|giants|spread-giants\n"
                        "       placement big|overflow|placed|spread|local MEGABYTES\n"
                        "       placement tier MEGABYTES NODE,...\n"
                        "       placement bound [N]\n"
                        "       placement reserve MEGABYTES...\n");
        return 2;
    }
    return all_passed ? 0 : 1;
}
