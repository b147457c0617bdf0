#include "fake_os.h"

#include "core/bits.h"
#include "core/slice.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum {
    RECORDS_MAX = 1 << 16,
    FIRST_NODES = 8,
    FIRST_CLOCK_MS = 1000,
    NODES_KNOWN = 64,
    POOL_PAGES_MAX = 2048
};

#define HUGE_PAGE  ((size_t)2 << 20)
#define GIANT_PAGE ((size_t)1 << 30)

/* One of the kernel's pools: how many pages it has left. */
struct pool {
    size_t page_size;
    unsigned left;
};
enum { HUGE_POOL, GIANT_POOL, POOLS };

/* The calls that fail, by number: [first, end). */
struct failures {
    unsigned first, end;
    int error;
};

struct world {
    unsigned counts[FAKE_CALLS];
    unsigned totals[FAKE_CALLS]; /* as counts, but never forgotten: failures go by these */
    struct failures failures[FAKE_CALLS];
    unsigned records_made;
    uint64_t reserved_bytes;

    uint64_t clock_ms;
    uint64_t clock_ns, touch_ns; /* each look at the clock of ns comes that much after the one before */
    enum vl_thp_mode thp_mode;
    uint64_t compactions;
    struct vl_node_mask allowed;
    bool main_is_bound;
    struct vl_cpu_mask main_cpus;
    int (*where)(unsigned *cpu, unsigned *node);
    bool policy_chosen;
    uint64_t memory_bytes;
    unsigned (*lies)(const void *page);
    uint64_t node_bytes[NODES_KNOWN], node_free_bytes[NODES_KNOWN];
    bool balances;
    uint64_t available_bytes;
    uint64_t address_limit;

    struct pool pools[POOLS];
    unsigned pages_mapped; /* of the pools, and where */
    struct page {
        uintptr_t start;
        struct pool *pool;
    } pages[POOL_PAGES_MAX];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* protects the world and its records */
static struct world world;
static struct fake_os_record records[RECORDS_MAX];

static _Thread_local struct {
    bool known;
    unsigned cpu, node;
    bool bound;
    struct vl_cpu_mask cpus;
} here;

/* --- Calls --- */

static int failure_of(enum fake_os_call call)
{
    const struct failures *failures = &world.failures[call];
    unsigned number = ++world.totals[call];
    world.counts[call]++;
    return number >= failures->first && number < failures->end ? failures->error : 0;
}

/* Counts a call, and decides: 0, or the error it is to fail with. */
static int count(enum fake_os_call call)
{
    int own = failure_of(call);
    int any = failure_of(FAKE_ANY);
    return own != 0 ? own : any;
}

static int reserve(struct fake_os_record *what)
{
    if (world.reserved_bytes + what->size > world.address_limit)
        return -ENOMEM;
    what->start = vl_os_linux.reserve(what->size);
    if (what->start == NULL)
        return -ENOMEM;
    world.reserved_bytes += what->size;
    return 0;
}

static int unreserve(const struct fake_os_record *what)
{
    world.reserved_bytes -= what->size;
    return vl_os_linux.unreserve(what->start, what->size);
}

/* --- The pool of huge pages: real memory, of which it is known that it counts as the pool's --- */

static bool overlaps(const struct page *page, const void *start, size_t size)
{
    return page->start < (uintptr_t)start + size &&
           (uintptr_t)start < page->start + page->pool->page_size;
}

static bool contains(const void *start, size_t size, const struct page *page)
{
    return page->start - (uintptr_t)start < size &&
           page->start + page->pool->page_size - (uintptr_t)start <= size;
}

static bool cuts_a_page(const void *start, size_t size)
{
    for (unsigned i = 0; i < world.pages_mapped; i++)
        if (overlaps(&world.pages[i], start, size) && !contains(start, size, &world.pages[i]))
            return true;
    return false;
}

static unsigned count_pages(const struct pool *pool, const void *start, size_t size)
{
    unsigned pages = 0;
    for (unsigned i = 0; i < world.pages_mapped; i++)
        pages += world.pages[i].pool == pool && contains(start, size, &world.pages[i]);
    return pages;
}

static void return_pages(const void *start, size_t size)
{
    for (unsigned i = world.pages_mapped; i-- > 0;)
        if (contains(start, size, &world.pages[i])) {
            world.pages[i].pool->left++;
            world.pages[i] = world.pages[--world.pages_mapped];
        }
}

static int map_hugetlb(struct fake_os_record *what)
{
    struct pool *pool = &world.pools[what->page_size == GIANT_PAGE ? GIANT_POOL : HUGE_POOL];
    unsigned pages = (unsigned)(what->size / pool->page_size);
    ck_assert_uint_eq(what->page_size, pool->page_size);
    ck_assert_uint_eq(what->size % pool->page_size, 0);
    ck_assert_uint_eq((uintptr_t)what->to % pool->page_size, 0);
    if (pages > pool->left)
        return -ENOMEM;
    ck_assert_uint_le(world.pages_mapped + pages, POOL_PAGES_MAX);
    int error = reserve(what);
    if (error != 0 || (error = vl_os_linux.protect(what->start, what->size, VL_ACCESS_WRITE)) != 0)
        return error;
    pool->left -= pages;
    for (unsigned i = 0; i < pages; i++)
        world.pages[world.pages_mapped++] =
            (struct page){(uintptr_t)what->start + i * pool->page_size, pool};
    return 0;
}

/* What is replaced goes; it is from here on that the address space is in use only once. */
static int replace(const struct fake_os_record *what)
{
    if (count_pages(&world.pools[GIANT_POOL], what->start, what->size) != 0 &&
        (uintptr_t)what->to % GIANT_PAGE != 0)
        return -EINVAL;
    int error = vl_os_linux.replace(what->to, what->start, what->size);
    if (error != 0)
        return error;
    return_pages(what->to, what->size);
    for (unsigned i = 0; i < world.pages_mapped; i++)
        if (contains(what->start, what->size, &world.pages[i]))
            world.pages[i].start += (uintptr_t)what->to - (uintptr_t)what->start;
    world.reserved_bytes -= what->size;
    return 0;
}

/* What a call really does. Huge pages and nodes are made up, so there is nothing to do for them. */
static int perform(struct fake_os_record *what)
{
    if (what->start != NULL && cuts_a_page(what->start, what->size))
        return -EINVAL;
    if (what->call == FAKE_UNRESERVE || what->call == FAKE_RENEW)
        return_pages(what->start, what->size);
    switch (what->call) {
    case FAKE_RESERVE:
        return reserve(what);
    case FAKE_UNRESERVE:
        return unreserve(what);
    case FAKE_PROTECT:
        return vl_os_linux.protect(what->start, what->size, what->access);
    case FAKE_ADVISE_DISCARD:
        return vl_os_linux.advise(what->start, what->size, VL_ADVICE_DISCARD);
    case FAKE_ADVISE_ALONE:
        return vl_os_linux.advise(what->start, what->size, VL_ADVICE_ALONE);
    case FAKE_ADVISE_INHERIT:
        return vl_os_linux.advise(what->start, what->size, VL_ADVICE_INHERIT);
    case FAKE_ADVISE_WIPE:
        return vl_os_linux.advise(what->start, what->size, VL_ADVICE_WIPE);
    case FAKE_RENEW:
        return vl_os_linux.renew(what->start, what->size);
    case FAKE_PLUG:
        return vl_os_linux.plug(what->start, what->size);
    case FAKE_MOVE:
        return vl_os_linux.move(what->start, what->size, what->to);
    case FAKE_MAP_HUGETLB:
        return map_hugetlb(what);
    case FAKE_REPLACE:
        return replace(what);
    default:
        return 0;
    }
}

static void record(const struct fake_os_record *what)
{
    ck_assert_msg(world.records_made < RECORDS_MAX, "more calls than fake_os can remember");
    records[world.records_made++] = *what;
}

/* A call about memory, from beginning to end: 0 or a negative errno value. */
static int call(struct fake_os_record *what)
{
    pthread_mutex_lock(&mutex);
    what->error = count(what->call);
    if (what->error == 0)
        what->error = -perform(what);
    else if (what->call == FAKE_REPLACE) /* kernels that look at the target first leave a hole */
        vl_os_linux.unreserve(what->to, what->size);
    record(what);
    pthread_mutex_unlock(&mutex);
    return -what->error;
}

static void *fake_reserve(size_t size)
{
    struct fake_os_record what = {.call = FAKE_RESERVE, .size = size};
    return call(&what) == 0 ? what.start : NULL;
}

static int fake_unreserve(void *start, size_t size)
{
    return call(&(struct fake_os_record){.call = FAKE_UNRESERVE, .start = start, .size = size});
}

static int fake_protect(void *start, size_t size, enum vl_access access)
{
    return call(&(struct fake_os_record){
        .call = FAKE_PROTECT, .start = start, .size = size, .access = access});
}

static int fake_advise(void *start, size_t size, enum vl_advice advice)
{
    static const enum fake_os_call calls[] = {
        [VL_ADVICE_HUGE] = FAKE_ADVISE_HUGE,
        [VL_ADVICE_SMALL] = FAKE_ADVISE_SMALL,
        [VL_ADVICE_DISCARD] = FAKE_ADVISE_DISCARD,
        [VL_ADVICE_COLLAPSE] = FAKE_ADVISE_COLLAPSE,
        [VL_ADVICE_WIPE] = FAKE_ADVISE_WIPE,
        [VL_ADVICE_ALONE] = FAKE_ADVISE_ALONE,
        [VL_ADVICE_INHERIT] = FAKE_ADVISE_INHERIT,
        [VL_ADVICE_POPULATE] = FAKE_ADVISE_POPULATE,
    };
    return call(&(struct fake_os_record){.call = calls[advice], .start = start, .size = size});
}

static int fake_renew(void *start, size_t size)
{
    return call(&(struct fake_os_record){.call = FAKE_RENEW, .start = start, .size = size});
}

static int fake_plug(void *start, size_t size)
{
    return call(&(struct fake_os_record){.call = FAKE_PLUG, .start = start, .size = size});
}

static int fake_move(void *from, size_t size, void *to)
{
    return call(&(struct fake_os_record){.call = FAKE_MOVE, .start = from, .size = size, .to = to});
}

/* What is there counts as moved either way. */
static int fake_bind(void *start, size_t size, unsigned node, bool move)
{
    (void)move;
    return call(
        &(struct fake_os_record){.call = FAKE_BIND, .start = start, .size = size, .node = node});
}

static int fake_spread(void *start, size_t size, const struct vl_node_mask *nodes,
                       enum vl_spread how)
{
    return call(&(struct fake_os_record){
        .call = FAKE_SPREAD, .start = start, .size = size, .how = how, .nodes = nodes->words[0]});
}

static void *fake_map_hugetlb(size_t size, unsigned page_shift, const void *place)
{
    struct fake_os_record what = {.call = FAKE_MAP_HUGETLB,
                                  .size = size,
                                  .page_size = (size_t)1 << page_shift,
                                  .to = (void *)(uintptr_t)place};
    return call(&what) == 0 ? what.start : NULL;
}

static int fake_replace(void *to, void *from, size_t size)
{
    return call(&(struct fake_os_record){
        .call = FAKE_REPLACE, .start = from, .size = size, .to = to});
}

static unsigned lowest_node(void)
{
    const unsigned word_bits = 8 * sizeof world.allowed.words[0];
    unsigned word = 0;
    while (world.allowed.words[word] == 0)
        word++;
    return word * word_bits + vl_lowest_bit(world.allowed.words[word]);
}

/* Memory lies where it was bound to last, or on the lowest node. */
static int fake_node_of(const void *address)
{
    pthread_mutex_lock(&mutex);
    unsigned node = lowest_node();
    for (unsigned i = 0; i < world.records_made && i < RECORDS_MAX; i++)
        if (records[i].call == FAKE_BIND && records[i].error == 0 &&
            (uintptr_t)address - (uintptr_t)records[i].start < records[i].size)
            node = records[i].node;
    pthread_mutex_unlock(&mutex);
    return (int)node;
}

/* Only what was really touched is there. */
static bool is_touched(const void *page)
{
    unsigned char resident = 0;
    uintptr_t start = (uintptr_t)page & ~(uintptr_t)(vl_os_page_size - 1);
    return mincore((void *)start, vl_os_page_size, &resident) == 0 && (resident & 1) != 0;
}

static int fake_nodes_of(const void *const *pages, int *nodes, size_t page_count)
{
    pthread_mutex_lock(&mutex);
    int error = count(FAKE_NODES_OF);
    unsigned (*lies)(const void *page) = world.lies;
    pthread_mutex_unlock(&mutex);
    for (size_t i = 0; i < page_count && error == 0; i++)
        nodes[i] = !is_touched(pages[i]) ? -ENOENT
                   : lies != NULL        ? (int)lies(pages[i])
                                         : fake_node_of(pages[i]);
    return -error;
}

static int fake_node_memory(unsigned node, struct vl_node_memory *memory)
{
    if (node >= NODES_KNOWN)
        return -ENOENT;
    pthread_mutex_lock(&mutex);
    memory->file_bytes = 0;
    memory->bytes = world.node_bytes[node] != 0 ? world.node_bytes[node] : (uint64_t)8 << 30;
    memory->free_bytes = world.node_bytes[node] != 0 ? world.node_free_bytes[node] : memory->bytes;
    pthread_mutex_unlock(&mutex);
    return 0;
}

/* All memory is there, unless it is to fail. */
static int fake_present(const void *address)
{
    (void)address;
    pthread_mutex_lock(&mutex);
    int error = count(FAKE_PRESENT);
    pthread_mutex_unlock(&mutex);
    return error == 0 ? 1 : error == ENOENT ? 0 : -error;
}

static int fake_where(unsigned *cpu, unsigned *node)
{
    pthread_mutex_lock(&mutex);
    int error = count(FAKE_WHERE);
    int (*where)(unsigned *, unsigned *) = world.where;
    unsigned lowest = lowest_node();
    pthread_mutex_unlock(&mutex);
    if (error != 0)
        return -error;
    if (where != NULL)
        return where(cpu, node);
    *cpu = here.known ? here.cpu : 0;
    *node = here.known ? here.node : lowest;
    return 0;
}

static int fake_allowed_nodes(struct vl_node_mask *mask)
{
    pthread_mutex_lock(&mutex);
    int error = count(FAKE_ALLOWED_NODES);
    if (error == 0)
        *mask = world.allowed;
    pthread_mutex_unlock(&mutex);
    return -error;
}

/* Reads one fact of the world, or changes it, as seen by every thread. */
#define WITH_WORLD(action)            \
    do {                              \
        pthread_mutex_lock(&mutex);   \
        action;                       \
        pthread_mutex_unlock(&mutex); \
    } while (0)

static int fake_policy_chosen(void)
{
    int chosen;
    WITH_WORLD(chosen = world.policy_chosen);
    return chosen;
}

static bool fake_balances(void)
{
    bool balances;
    WITH_WORLD(balances = world.balances);
    return balances;
}

static uint64_t fake_memory_bytes(void)
{
    uint64_t bytes;
    WITH_WORLD(bytes = world.memory_bytes);
    return bytes;
}

static uint64_t fake_address_limit(void)
{
    uint64_t bytes;
    WITH_WORLD(bytes = world.address_limit);
    return bytes;
}

static uint64_t fake_clock_ms(void)
{
    uint64_t now;
    WITH_WORLD(now = world.clock_ms);
    return now;
}

static uint64_t fake_clock_ns(void)
{
    uint64_t now;
    WITH_WORLD(now = world.clock_ns += world.touch_ns);
    return now;
}

static enum vl_thp_mode fake_thp_mode(void)
{
    enum vl_thp_mode mode;
    WITH_WORLD(mode = world.thp_mode);
    return mode;
}

static uint64_t fake_compactions(void)
{
    uint64_t compactions;
    WITH_WORLD(compactions = world.compactions);
    return compactions;
}

static void fake_wait(const void *word, uint32_t expected)
{
    WITH_WORLD(world.counts[FAKE_WAIT]++);
    vl_os_linux.wait(word, expected);
}

static void fake_wake(const void *word, int count)
{
    WITH_WORLD(world.counts[FAKE_WAKE]++);
    vl_os_linux.wake(word, count);
}

static void fake_yield(void)
{
    WITH_WORLD(world.counts[FAKE_YIELD]++);
    vl_os_linux.yield();
}

static void fake_sleep_ms(uint64_t ms)
{
    WITH_WORLD(world.clock_ms += ms);
    vl_os_linux.yield();
}

static uint64_t fake_data_limit(void)
{
    return UINT64_MAX;
}

enum { CPUS_PER_NODE = 4 };

static unsigned fake_node_cpus(unsigned node)
{
    return 2 + node % 2;
}

struct vl_cpu_mask fake_os_node_cpus(unsigned node)
{
    struct vl_cpu_mask cpus = {{0}};
    const unsigned word_bits = 8 * sizeof cpus.words[0];
    unsigned first = node * CPUS_PER_NODE;
    for (unsigned cpu = first; cpu < first + fake_node_cpus(node) && cpu < VL_CPUS_MAX; cpu++)
        cpus.words[cpu / word_bits] |= 1ul << cpu % word_bits;
    return cpus;
}

static bool is_node_allowed(unsigned node)
{
    const unsigned word_bits = 8 * sizeof world.allowed.words[0];
    return world.allowed.words[node / word_bits] >> (node % word_bits) & 1;
}

static struct vl_cpu_mask all_cpus(void)
{
    struct vl_cpu_mask all = {{0}};
    for (unsigned node = 0; node < VL_CPUS_MAX / CPUS_PER_NODE; node++) {
        struct vl_cpu_mask cpus = fake_os_node_cpus(node);
        for (size_t i = 0; is_node_allowed(node) && i < sizeof all.words / sizeof *all.words; i++)
            all.words[i] |= cpus.words[i];
    }
    return all;
}

static bool fake_is_main_thread(void)
{
    return vl_os_linux.is_main_thread();
}

struct vl_cpu_mask fake_os_cpus(bool of_main)
{
    struct vl_cpu_mask cpus;
    WITH_WORLD(cpus = all_cpus(); if (of_main && world.main_is_bound) cpus = world.main_cpus);
    return !of_main && here.bound ? here.cpus : cpus;
}

/* Runs on the first of them from now on. */
void fake_os_set_cpus(bool of_main, const struct vl_cpu_mask *cpus)
{
    if (of_main) {
        WITH_WORLD(world.main_is_bound = true; world.main_cpus = *cpus);
        return;
    }
    here.bound = true;
    here.cpus = *cpus;
    unsigned word = 0;
    while (cpus->words[word] == 0)
        word++;
    here.known = true;
    here.cpu = word * 8 * (unsigned)sizeof cpus->words[0] + vl_lowest_bit(cpus->words[word]);
    here.node = here.cpu / CPUS_PER_NODE;
}

static int fake_affinity(bool of_main, struct vl_cpu_mask *cpus)
{
    *cpus = fake_os_cpus(of_main);
    return 0;
}

static int fake_set_affinity(bool of_main, const struct vl_cpu_mask *cpus)
{
    int error;
    WITH_WORLD(error = count(FAKE_SET_AFFINITY));
    if (error == 0)
        fake_os_set_cpus(of_main, cpus);
    return -error;
}

static int fake_allowed_cpus(struct vl_cpu_mask *cpus)
{
    WITH_WORLD(*cpus = all_cpus());
    return 0;
}

static int fake_cpu_nodes(struct vl_node_mask *nodes)
{
    WITH_WORLD(*nodes = world.allowed);
    return 0;
}

static int fake_cpus_of_node(unsigned node, struct vl_cpu_mask *cpus)
{
    *cpus = fake_os_node_cpus(node);
    return 0;
}

static void fake_run_on(unsigned node)
{
    fake_os_set_where(2 * node, node);
}

static uint64_t fake_available_bytes(void)
{
    uint64_t bytes;
    WITH_WORLD(bytes = world.available_bytes);
    return bytes;
}

static const struct vl_os fake_os = {
    .reserve = fake_reserve,
    .unreserve = fake_unreserve,
    .protect = fake_protect,
    .advise = fake_advise,
    .renew = fake_renew,
    .plug = fake_plug,
    .move = fake_move,
    .bind = fake_bind,
    .spread = fake_spread,
    .map_hugetlb = fake_map_hugetlb,
    .replace = fake_replace,
    .where = fake_where,
    .node_cpus = fake_node_cpus,
    .run_on = fake_run_on,
    .is_main_thread = fake_is_main_thread,
    .affinity = fake_affinity,
    .set_affinity = fake_set_affinity,
    .allowed_cpus = fake_allowed_cpus,
    .cpu_nodes = fake_cpu_nodes,
    .cpus_of_node = fake_cpus_of_node,
    .present = fake_present,
    .node_of = fake_node_of,
    .nodes_of = fake_nodes_of,
    .node_memory = fake_node_memory,
    .balances = fake_balances,
    .allowed_nodes = fake_allowed_nodes,
    .policy_chosen = fake_policy_chosen,
    .memory_bytes = fake_memory_bytes,
    .available_bytes = fake_available_bytes,
    .address_limit = fake_address_limit,
    .data_limit = fake_data_limit,
    .clock_ms = fake_clock_ms,
    .clock_ns = fake_clock_ns,
    .thp_mode = fake_thp_mode,
    .compactions = fake_compactions,
    .wait = fake_wait,
    .wake = fake_wake,
    .yield = fake_yield,
    .sleep_ms = fake_sleep_ms,
};

/* --- What tests say --- */

void fake_os_install(void)
{
    ck_assert_msg(vl_get(&vl_slice_count) == 0,
                  "this process has slices already: each test needs its own (no CK_FORK=no)");
    fake_os_reset();
    vl_os_start();
    vl_os = &fake_os;
}

void fake_os_reset(void)
{
    uint64_t reserved = world.reserved_bytes;
    world = (struct world){
        .reserved_bytes = reserved,
        .pools = {{.page_size = HUGE_PAGE}, {.page_size = GIANT_PAGE}},
        .clock_ms = FIRST_CLOCK_MS,
        .touch_ns = 1000,
        .thp_mode = VL_THP_MODE_MADVISE,
        .memory_bytes = (uint64_t)64 << 30,
        .available_bytes = UINT64_MAX,
        .address_limit = UINT64_MAX,
    };
    world.allowed.words[0] = (1ul << FIRST_NODES) - 1;
    here.known = here.bound = false;
}

static void plan(enum fake_os_call call, unsigned nth, unsigned calls, int error)
{
    unsigned first = world.totals[call] + nth;
    unsigned end = calls == 0 ? UINT32_MAX : first + calls;
    WITH_WORLD(world.failures[call] = ((struct failures){first, end, error}));
}

void fake_os_fail(enum fake_os_call call, unsigned nth, int error)
{
    plan(call, nth, 1, error);
}

void fake_os_fail_from(enum fake_os_call call, unsigned nth, int error)
{
    plan(call, nth, 0, error);
}

void fake_os_heal(void)
{
    WITH_WORLD(memset(world.failures, 0, sizeof world.failures));
}

void fake_os_set_clock(uint64_t ms)
{
    WITH_WORLD(world.clock_ms = ms);
}

void fake_os_sleep(uint64_t ms)
{
    WITH_WORLD(world.clock_ms += ms);
}

void fake_os_set_touch(uint64_t ns, uint64_t compactions)
{
    WITH_WORLD(world.touch_ns = ns; world.compactions = compactions);
}

void fake_os_set_thp_mode(enum vl_thp_mode mode)
{
    WITH_WORLD(world.thp_mode = mode);
}

void fake_os_set_nodes(const unsigned *ids, unsigned id_count)
{
    const unsigned word_bits = 8 * sizeof world.allowed.words[0];
    struct vl_node_mask mask = {{0}};
    ck_assert_uint_gt(id_count, 0);
    for (unsigned i = 0; i < id_count; i++)
        mask.words[ids[i] / word_bits] |= 1ul << ids[i] % word_bits;
    WITH_WORLD(world.allowed = mask);
}

void fake_os_set_where(unsigned cpu, unsigned node)
{
    here.known = true;
    here.cpu = cpu;
    here.node = node;
}

void fake_os_set_where_function(int (*where)(unsigned *cpu, unsigned *node))
{
    WITH_WORLD(world.where = where);
}

void fake_os_set_lies_function(unsigned (*node)(const void *page))
{
    WITH_WORLD(world.lies = node);
}

void fake_os_set_node_memory(unsigned node, uint64_t bytes, uint64_t free_bytes)
{
    ck_assert_uint_lt(node, NODES_KNOWN);
    WITH_WORLD(world.node_bytes[node] = bytes; world.node_free_bytes[node] = free_bytes);
}

void fake_os_set_balances(bool balances)
{
    WITH_WORLD(world.balances = balances);
}

void fake_os_set_pool(unsigned pages)
{
    WITH_WORLD(world.pools[HUGE_POOL].left = pages);
}

void fake_os_set_giants(unsigned pages)
{
    WITH_WORLD(world.pools[GIANT_POOL].left = pages);
}

unsigned fake_os_pool(void)
{
    unsigned pages;
    WITH_WORLD(pages = world.pools[HUGE_POOL].left);
    return pages;
}

unsigned fake_os_giants(void)
{
    unsigned pages;
    WITH_WORLD(pages = world.pools[GIANT_POOL].left);
    return pages;
}

unsigned fake_os_hugetlb_pages(const void *start, size_t size)
{
    unsigned pages;
    WITH_WORLD(pages = count_pages(&world.pools[HUGE_POOL], start, size));
    return pages;
}

unsigned fake_os_giant_pages(const void *start, size_t size)
{
    unsigned pages;
    WITH_WORLD(pages = count_pages(&world.pools[GIANT_POOL], start, size));
    return pages;
}

void fake_os_set_policy_chosen(bool chosen)
{
    WITH_WORLD(world.policy_chosen = chosen);
}

void fake_os_set_memory(uint64_t bytes)
{
    WITH_WORLD(world.memory_bytes = bytes);
}

void fake_os_set_available(uint64_t bytes)
{
    WITH_WORLD(world.available_bytes = bytes);
}

void fake_os_set_address_limit(uint64_t bytes)
{
    WITH_WORLD(world.address_limit = bytes);
}

unsigned fake_os_count(enum fake_os_call call)
{
    unsigned calls;
    WITH_WORLD(calls = world.counts[call]);
    return calls;
}

uint64_t fake_os_reserved(void)
{
    uint64_t bytes;
    WITH_WORLD(bytes = world.reserved_bytes);
    return bytes;
}

unsigned fake_os_records(const struct fake_os_record **all)
{
    *all = records;
    return world.records_made;
}

const struct fake_os_record *fake_os_last(enum fake_os_call call, const void *address)
{
    for (unsigned i = world.records_made; i-- > 0;) {
        const struct fake_os_record *made = &records[i];
        if (made->call == call && made->error == 0 &&
            (uintptr_t)address - (uintptr_t)made->start < made->size)
            return made;
    }
    return NULL;
}

void fake_os_forget(void)
{
    WITH_WORLD(memset(world.counts, 0, sizeof world.counts); world.records_made = 0);
}
