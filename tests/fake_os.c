#include "fake_os.h"

#include "core/bits.h"
#include "core/slice.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { RECORDS_MAX = 1 << 16, FIRST_CLOCK_MS = 1000, FIRST_NODES = 8 };

/* Which of the calls to come fail: [first, end) by number. */
struct failures {
    unsigned first, end;
    int error;
};

static struct {
    pthread_mutex_t mutex; /* protects all below */
    unsigned counts[FAKE_CALLS];
    unsigned totals[FAKE_CALLS]; /* as counts, but never forgotten: failures go by these */
    struct failures failures[FAKE_CALLS];
    unsigned records_made;
    uint64_t clock_ms;
    struct vl_node_mask allowed;
    int (*where)(unsigned *cpu, unsigned *node);
    bool policy_chosen;
    uint64_t memory_bytes;
    uint64_t address_limit;
    uint64_t reserved_bytes;
} world = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static struct fake_os_record record_space[RECORDS_MAX];

static _Thread_local struct {
    bool known;
    unsigned cpu, node;
} here;

/* --- What happens --- */

static int failure_of(enum fake_os_call call)
{
    unsigned number = ++world.totals[call];
    const struct failures *failures = &world.failures[call];
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

static void record(struct fake_os_record what)
{
    if (world.records_made < RECORDS_MAX)
        record_space[world.records_made] = what;
    world.records_made++;
}

static int fake_where(unsigned *cpu, unsigned *node);

static void *fake_reserve(size_t size)
{
    pthread_mutex_lock(&world.mutex);
    int error = count(FAKE_RESERVE);
    if (error == 0 && size > world.address_limit - world.reserved_bytes)
        error = ENOMEM;
    void *start = error == 0 ? vl_os_linux.reserve(size) : NULL;
    if (start != NULL)
        world.reserved_bytes += size;
    else if (error == 0)
        error = ENOMEM;
    record((struct fake_os_record){
        .call = FAKE_RESERVE, .start = start, .size = size, .error = error});
    pthread_mutex_unlock(&world.mutex);
    return start;
}

/* Runs `act` unless the call is to fail, and records `what` in either case: 0 or -errno. */
#define CALL(what, act)                                                                           \
    ({                                                                                            \
        pthread_mutex_lock(&world.mutex);                                                         \
        struct fake_os_record made = what;                                                        \
        made.error = count(made.call);                                                            \
        if (made.error == 0)                                                                      \
            made.error = -(act);                                                                  \
        record(made);                                                                             \
        pthread_mutex_unlock(&world.mutex);                                                       \
        -made.error;                                                                              \
    })

static int unreserve(void *start, size_t size)
{
    world.reserved_bytes -= size;
    return vl_os_linux.unreserve(start, size);
}

static int fake_unreserve(void *start, size_t size)
{
    return CALL(((struct fake_os_record){.call = FAKE_UNRESERVE, .start = start, .size = size}),
                unreserve(start, size));
}

static int fake_protect(void *start, size_t size, enum vl_access access)
{
    return CALL(((struct fake_os_record){
                    .call = FAKE_PROTECT, .start = start, .size = size, .access = access}),
                vl_os_linux.protect(start, size, access));
}

/* Huge pages are made up: advice about them does nothing. */
static int fake_advise(void *start, size_t size, enum vl_advice advice)
{
    static const enum fake_os_call calls[] = {
        [VL_ADVICE_HUGE] = FAKE_ADVISE_HUGE,
        [VL_ADVICE_SMALL] = FAKE_ADVISE_SMALL,
        [VL_ADVICE_DISCARD] = FAKE_ADVISE_DISCARD,
        [VL_ADVICE_COLLAPSE] = FAKE_ADVISE_COLLAPSE,
    };
    return CALL(((struct fake_os_record){.call = calls[advice], .start = start, .size = size}),
                advice == VL_ADVICE_DISCARD ? vl_os_linux.advise(start, size, advice) : 0);
}

static int fake_renew(void *start, size_t size)
{
    return CALL(((struct fake_os_record){.call = FAKE_RENEW, .start = start, .size = size}),
                vl_os_linux.renew(start, size));
}

static int fake_move(void *from, size_t size, void *to)
{
    return CALL(
        ((struct fake_os_record){.call = FAKE_MOVE, .start = from, .size = size, .to = to}),
        vl_os_linux.move(from, size, to));
}

static int fake_bind(void *start, size_t size, unsigned node)
{
    return CALL(((struct fake_os_record){
                    .call = FAKE_BIND, .start = start, .size = size, .node = node}),
                0);
}

static int answer_where(unsigned *cpu, unsigned *node)
{
    if (world.where != NULL)
        return world.where(cpu, node);
    *cpu = here.known ? here.cpu : 0;
    *node = here.node;
    for (unsigned word = 0; !here.known; word++)
        if (world.allowed.words[word] != 0) {
            *node = word * 8 * (unsigned)sizeof world.allowed.words[0] +
                    vl_lowest_bit(world.allowed.words[word]);
            break;
        }
    return 0;
}

static int fake_where(unsigned *cpu, unsigned *node)
{
    return CALL(((struct fake_os_record){.call = FAKE_WHERE}), answer_where(cpu, node));
}

static int answer_allowed(struct vl_node_mask *mask)
{
    *mask = world.allowed;
    return 0;
}

static int fake_allowed_nodes(struct vl_node_mask *mask)
{
    return CALL(((struct fake_os_record){.call = FAKE_ALLOWED_NODES}), answer_allowed(mask));
}
