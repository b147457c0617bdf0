#include "tests/model/explore.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum {
    STACK_BYTES = 32 << 10,
    LOCALS_BYTES = 64,    /* of one thread */
    AREAS_MAX = 64,       /* words and watched memory */
    DECISIONS_MAX = 4096, /* in one schedule */
    STEPS_MAX = 20000,    /* of one schedule: it will not end */
};

enum thread_state { READY, YIELDED, ASLEEP, ENDED };

struct thread {
    ucontext_t context;
    enum thread_state state;
    const char *mark; /* from here up, its stack is in use while another runs */
    const void *sleeps_on;
    unsigned long changes; /* of memory, when it last yielded */
    char locals[LOCALS_BYTES];
    _Alignas(16) char stack[STACK_BYTES];
};

static struct thread threads[EXPLORE_THREADS_MAX];
static struct thread *current; /* NULL outside of model threads */
static ucontext_t home;
/* What a thread has in its registers when it begins: the same in each schedule, as it is a part of
 * the state. */
static ucontext_t beginning;
static jmp_buf check_failed;

static const struct explore *scenario;
static struct explore_result result;

/* How the schedule that runs is getting on. */
static struct {
    unsigned long changes; /* of memory */
    unsigned preemptions, spurious, steps;
    bool merged;
} now;

/* --------------------------------------------------------------------------------------------
 * Memory: put back before each schedule, hashed in each state
 * -------------------------------------------------------------------------------------------- */

struct area {
    char *start;
    size_t size;
    char *first; /* what it held when the exploration started */
};

static struct area areas[AREAS_MAX], locals[AREAS_MAX];
static unsigned areas_used, locals_used;

static void add_area(struct area *list, unsigned *used, void *start, size_t size)
{
    if (*used == AREAS_MAX)
        abort();
    list[(*used)++] = (struct area){start, size, malloc(size)};
}

void explore_watch(void *memory, size_t size)
{
    add_area(areas, &areas_used, memory, size);
}

void explore_thread_local(void *variable, size_t size)
{
    add_area(locals, &locals_used, variable, size);
}

static bool is_on_stack(const char *address)
{
    return address >= (const char *)threads &&
           address < (const char *)(threads + EXPLORE_THREADS_MAX);
}

/* A word that nobody has named is watched from its first access on. */
static void watch_word(const volatile void *word, size_t size)
{
    char *start = (char *)(uintptr_t)word;
    if (is_on_stack(start))
        return; /* a part of the state as it is */
    for (const struct area *area = areas; area < areas + areas_used; area++)
        if (start >= area->start && start < area->start + area->size)
            return;
    explore_watch(start, size);
    memcpy(areas[areas_used - 1].first, start, size);
}

static void remember_first(const struct area *list, unsigned used)
{
    for (const struct area *area = list; area < list + used; area++)
        memcpy(area->first, area->start, area->size);
}

static void put_back(const struct area *list, unsigned used)
{
    for (const struct area *area = list; area < list + used; area++)
        memcpy(area->start, area->first, area->size);
}

static void save_locals(struct thread *thread)
{
    char *to = thread->locals;
    for (const struct area *area = locals; area < locals + locals_used; to += area++->size)
        memcpy(to, area->start, area->size);
}

static void load_locals(const struct thread *thread)
{
    const char *from = thread->locals;
    for (const struct area *area = locals; area < locals + locals_used; from += area++->size)
        memcpy(area->start, from, area->size);
}

/* --------------------------------------------------------------------------------------------
 * States
 * -------------------------------------------------------------------------------------------- */

/* Those seen, by hash; 0: a free place. */
static struct {
    uint64_t *places;
    size_t size, used;
} seen;

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

static uint64_t mix_bytes(uint64_t hash, const char *bytes, size_t size)
{
    uint64_t word = 0;
    for (; size >= sizeof word; bytes += sizeof word, size -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, bytes, size);
    return mix(hash, word);
}

static uint64_t mix_thread(uint64_t hash, const struct thread *thread)
{
    hash = mix(hash, (uint64_t)thread->state << 1 | (thread->changes != now.changes));
    if (thread->state == ENDED)
        return hash;
    hash = mix(hash, (uintptr_t)thread->sleeps_on);
    hash = mix_bytes(hash, thread->locals, sizeof thread->locals);
    if (thread->mark == NULL)
        return hash; /* has not begun */
    size_t size = (size_t)(thread->stack + STACK_BYTES - thread->mark);
    return mix_bytes(hash, thread->mark, size);
}

/* Who ran last is part of it only where that decides what a preemption is. */
static uint64_t hash_state(void)
{
    bool bounded = scenario->preemptions != EXPLORE_EVERY_ORDER;
    uint64_t hash = mix(now.spurious, bounded ? now.preemptions : 0);
    hash = mix(hash, bounded ? (uintptr_t)current : 0);
    for (const struct area *area = areas; area < areas + areas_used; area++)
        hash = mix_bytes(hash, area->start, area->size);
    for (const struct thread *thread = threads; thread < threads + EXPLORE_THREADS_MAX; thread++)
        hash = mix_thread(hash, thread);
    return hash != 0 ? hash : 1;
}

/* The hash's place, or the free one where it belongs. */
static uint64_t *place_of(uint64_t hash)
{
    size_t i = hash & (seen.size - 1);
    while (seen.places[i] != 0 && seen.places[i] != hash)
        i = (i + 1) & (seen.size - 1);
    return &seen.places[i];
}

static void grow_seen(void)
{
    uint64_t *old = seen.places;
    size_t old_size = seen.size;
    seen.size = old_size == 0 ? 1 << 16 : 2 * old_size;
    seen.places = calloc(seen.size, sizeof *seen.places);
    if (seen.places == NULL)
        abort();
    for (size_t i = 0; i < old_size; i++)
        if (old[i] != 0)
            *place_of(old[i]) = old[i];
    free(old);
}

/* True if the search has not been in this state. */
static bool is_new(uint64_t hash)
{
    if (2 * seen.used >= seen.size)
        grow_seen();
    uint64_t *place = place_of(hash);
    if (*place == hash)
        return false;
    *place = hash;
    seen.used++;
    return true;
}

/* --------------------------------------------------------------------------------------------
 * Decisions
 * -------------------------------------------------------------------------------------------- */

/* Those that had more than one answer, in the order of the schedule. */
static struct {
    uint8_t answers, taken;
} decisions[DECISIONS_MAX];
static unsigned decided; /* noted */
static unsigned made;    /* of these, in this schedule so far */

static unsigned decide(unsigned answers)
{
    if (answers == 1)
        return 0;
    if (made == decided) {
        if (decided == DECISIONS_MAX)
            abort();
        decisions[decided].answers = (uint8_t)answers;
        decisions[decided++].taken = 0;
    }
    return decisions[made++].taken;
}

/* Makes the latest decision that has another answer differently; false if all were tried. */
static bool decide_otherwise(void)
{
    while (decided > 0 && decisions[decided - 1].taken + 1 == decisions[decided - 1].answers)
        decided--;
    if (decided == 0)
        return false;
    decisions[decided - 1].taken++;
    return true;
}

/* The schedule repeats an earlier one. */
static bool is_replayed(void)
{
    return made < decided;
}

/* --------------------------------------------------------------------------------------------
 * Threads
 * -------------------------------------------------------------------------------------------- */

_Noreturn static void end_schedule(void)
{
    current = NULL;
    setcontext(&home);
    abort();
}

void explore_fail(const char *violation)
{
    result.violation = violation;
    if (current != NULL)
        end_schedule();
    longjmp(check_failed, 1);
}

static bool can_run(const struct thread *thread)
{
    return thread->state == READY || (thread->state == YIELDED && thread->changes != now.changes);
}

/* To let another run instead is a preemption. */
static bool is_running(void)
{
    return current != NULL && current->state == READY;
}

static unsigned candidates(struct thread **list)
{
    unsigned count = 0;
    if (current != NULL && can_run(current))
        list[count++] = current;
    if (is_running() && now.preemptions == scenario->preemptions)
        return count;
    for (struct thread *thread = threads; thread < threads + EXPLORE_THREADS_MAX; thread++)
        if (thread != current && can_run(thread))
            list[count++] = thread;
    return count;
}

static bool all_have_ended(void)
{
    for (unsigned i = 0; i < EXPLORE_THREADS_MAX; i++)
        if (threads[i].state != ENDED)
            return false;
    return true;
}

static void note_order(const struct thread *thread)
{
    if (now.steps < sizeof result.order - 1) {
        result.order[now.steps] = (char)('A' + (thread - threads));
        result.order[now.steps + 1] = '\0';
    }
    if (now.steps++ == STEPS_MAX)
        explore_fail("a schedule does not end");
}

static void run_thread(struct thread *next)
{
    struct thread *before = current;
    next->changes = next->state == YIELDED ? now.changes : next->changes;
    next->state = READY;
    note_order(next);
    if (next == before)
        return;
    load_locals(next);
    current = next;
    swapcontext(before != NULL ? &before->context : &home, &next->context);
}

/* Lets one of those go on who can. */
static void schedule(void)
{
    struct thread *list[EXPLORE_THREADS_MAX];
    unsigned count = candidates(list);
    if (count == 0 && !all_have_ended())
        explore_fail("nobody can go on");
    if (count == 0)
        end_schedule();
    if (!is_replayed() && !is_new(hash_state()) && !scenario->unmerged) {
        now.merged = true;
        end_schedule();
    }
    struct thread *next = list[decide(count)];
    now.preemptions += is_running() && next != current;
    run_thread(next);
}

/* Its frame is below all of its caller's. */
__attribute__((noinline)) static void schedule_below(const jmp_buf *registers)
{
    (void)registers;
    current->mark = __builtin_frame_address(0);
    save_locals(current);
    schedule();
}

/* What the thread keeps in registers is a part of its state: it is written to the stack. */
void explore_point(void)
{
    jmp_buf registers;
    if (current == NULL)
        return;
    memset(&registers, 0, sizeof registers);
    (void)_setjmp(registers);
    schedule_below(&registers);
    __asm__ volatile("" ::"r"(&registers) : "memory"); /* no tail call: they stay */
}

static void thread_main(void)
{
    scenario->threads[current - threads]();
    current->state = ENDED;
    explore_point();
}

/* On a clean stack: what an earlier schedule has left would look like a state. */
static void start_thread(struct thread *thread)
{
    thread->state = scenario->threads[thread - threads] != NULL ? READY : ENDED;
    thread->mark = thread->sleeps_on = NULL;
    thread->changes = 0;
    memset(thread->stack, 0, STACK_BYTES);
    save_locals(thread);
    thread->context = beginning;
    thread->context.uc_link = NULL;
    thread->context.uc_stack.ss_sp = thread->stack;
    thread->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&thread->context, thread_main, 0);
}

/* --------------------------------------------------------------------------------------------
 * The search
 * -------------------------------------------------------------------------------------------- */

static void run_schedule(void)
{
    put_back(areas, areas_used);
    put_back(locals, locals_used);
    memset(&now, 0, sizeof now);
    made = 0;
    for (unsigned i = 0; i < EXPLORE_THREADS_MAX; i++)
        start_thread(&threads[i]);
    schedule();
    put_back(locals, locals_used);
    if (now.merged) {
        result.merged++;
    } else {
        result.schedules++;
        if (result.violation == NULL && setjmp(check_failed) == 0)
            scenario->check();
    }
}

static void report(void)
{
    printf(
        "%s: %lu schedules to the end, %lu merged, %zu states%s%s%s%s\n", scenario->name,
        result.schedules, result.merged, seen.used, result.violation != NULL ? ", violates " : "",
        result.violation != NULL ? result.violation : "",
        result.violation != NULL ? ", order " : "", result.violation != NULL ? result.order : "");
    fflush(stdout);
}

struct explore_result explore(const struct explore *what)
{
    scenario = what;
    memset(&result, 0, sizeof result);
    decided = 0;
    getcontext(&beginning);
    remember_first(areas, areas_used);
    remember_first(locals, locals_used);
    do
        run_schedule();
    while (result.violation == NULL && decide_otherwise());
    put_back(areas, areas_used);
    result.states = seen.used;
    report();
    free(seen.places);
    memset(&seen, 0, sizeof seen);
    return result;
}

/* --------------------------------------------------------------------------------------------
 * Accesses
 * -------------------------------------------------------------------------------------------- */

static uint64_t fetch(const volatile void *word, size_t size)
{
    switch (size) {
    case 1:
        return *(const volatile uint8_t *)word;
    case 2:
        return *(const volatile uint16_t *)word;
    case 4:
        return *(const volatile uint32_t *)word;
    default:
        return *(const volatile uint64_t *)word;
    }
}

static void put_quietly(volatile void *word, size_t size, uint64_t value)
{
    switch (size) {
    case 1:
        *(volatile uint8_t *)word = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)word = (uint16_t)value;
        break;
    case 4:
        *(volatile uint32_t *)word = (uint32_t)value;
        break;
    default:
        *(volatile uint64_t *)word = value;
    }
}

static void put(volatile void *word, size_t size, uint64_t value)
{
    uint64_t before = fetch(word, size);
    put_quietly(word, size, value);
    now.changes += fetch(word, size) != before;
}

/* Others may run, then the access follows. */
static void before_access(const volatile void *word, size_t size)
{
    if (current == NULL)
        return;
    watch_word(word, size);
    explore_point();
}

static bool has_fault(enum explore_fault_kind kind, const volatile void *word)
{
    return current != NULL && scenario->fault.kind == kind && scenario->fault.word == word;
}

/* Between the load and the store of a read-modify-write. */
static void inside_access(const volatile void *word)
{
    if (has_fault(EXPLORE_TORN, word))
        explore_point();
}

uint64_t explore_load(const volatile void *word, size_t size)
{
    before_access(word, size);
    return fetch(word, size);
}

void explore_store(volatile void *word, size_t size, uint64_t value)
{
    before_access(word, size);
    put(word, size, value);
}

uint64_t explore_exchange(volatile void *word, size_t size, uint64_t value)
{
    before_access(word, size);
    uint64_t before = fetch(word, size);
    inside_access(word);
    put(word, size, value);
    return before;
}

uint64_t explore_add(volatile void *word, size_t size, uint64_t value)
{
    before_access(word, size);
    uint64_t before = fetch(word, size);
    inside_access(word);
    put(word, size, before + value);
    return before;
}

static bool fails_for_no_reason(bool weak)
{
    if (!weak || current == NULL || now.spurious == scenario->spurious || decide(2) == 0)
        return false;
    now.spurious++;
    return true;
}

bool explore_swap_if(volatile void *word, size_t size, void *expected, uint64_t desired, bool weak)
{
    before_access(word, size);
    uint64_t before = fetch(word, size);
    uint64_t mask = has_fault(EXPLORE_BLIND, word) ? scenario->fault.mask : UINT64_MAX;
    bool same = ((before ^ fetch(expected, size)) & mask) == 0;
    if (!same || fails_for_no_reason(weak)) {
        put_quietly(expected, size, before);
        return false;
    }
    inside_access(word);
    put(word, size, desired);
    return true;
}

/* --------------------------------------------------------------------------------------------
 * Waiting
 * -------------------------------------------------------------------------------------------- */

void explore_yield(void)
{
    if (current == NULL)
        return;
    current->state = YIELDED;
    explore_point();
}

void explore_wait(const void *word, uint32_t expected)
{
    before_access(word, sizeof expected);
    if (current == NULL || fetch(word, sizeof expected) != expected)
        return;
    current->state = ASLEEP;
    current->sleeps_on = word;
    explore_point();
}

void explore_wake(const void *word, int count)
{
    explore_point();
    for (struct thread *thread = threads; thread < threads + EXPLORE_THREADS_MAX; thread++)
        if (thread->state == ASLEEP && thread->sleeps_on == word && count-- > 0) {
            thread->state = READY;
            thread->sleeps_on = NULL;
        }
}
