/*
 * explore - runs a few threads in every order that their atomic accesses can take.
 *
 * The library's own sources are compiled against tests/model/shim/core/atomic.h, in which every
 * atomic access calls the explorer first. A model thread is a coroutine with a stack of its own;
 * all run on one real thread. Before an access the explorer decides who goes on:
 *
 *                   +--> A: load      +--> A: swap      +--> ...
 *      everybody ---+--> B: load -----+--> B: load -----+--> ...        a schedule is one way
 *      at the start +--> C: store     +--> C: store     +--> ...        from left to right
 *
 * The search is depth-first and keeps no copies: it notes what was decided, and for the next
 * schedule puts the memory back, starts all threads anew and decides the same up to the last
 * decision that has another answer.
 *
 * *States.* A state is what the watched memory, each thread's stack and its thread-local words
 * hold. Schedules that lead to a state where the search has been are given up: what can follow is
 * known. A state is remembered as 64 bits of hash; of a million states, two are taken for one with
 * a chance of less than one in ten million. So the search ends even without a bound on preemptions,
 * and has then seen every order. With a bound, a thread is taken off the processor at most so often
 * where it could have gone on, and the search is one of all such schedules.
 *
 * *Waiting.* A thread that calls the library's yield is not run again before some word has changed
 * since it last did; one that sleeps, before it is woken. If nobody can run and not all have ended,
 * that is a violation: a wake-up was lost.
 *
 * *Faults.* To show that a scenario would notice, one protection can be taken away: a word's
 * compare-and-swap may look at some bits only, or a read-modify-write come apart into a load and a
 * store.
 *
 * *What this does not prove.* Accesses happen one after the other, as if all were sequentially
 * consistent: whether acquire and release are enough is argued in docs/concurrency.md and watched
 * by the thread sanitizer. Plain accesses happen together with the atomic access before them; where
 * another order of them matters, a scenario calls explore_point.
 */
#ifndef VL_TESTS_MODEL_EXPLORE_H
#define VL_TESTS_MODEL_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXPLORE_THREADS_MAX = 3, EXPLORE_EVERY_ORDER = 1000 };

enum explore_fault_kind {
    EXPLORE_SOUND,
    EXPLORE_BLIND, /* compare-and-swap of the word compares only the bits of `mask` */
    EXPLORE_TORN,  /* read-modify-write of the word is a load and, later, a store */
};

struct explore_fault {
    enum explore_fault_kind kind;
    const void *word;
    uint64_t mask;
};

struct explore {
    const char *name;
    void (*threads[EXPLORE_THREADS_MAX])(void); /* fewer: the last are NULL */
    void (*check)(void);                        /* after each schedule: what must hold in the end */
    unsigned preemptions;                       /* at most so many, or EXPLORE_EVERY_ORDER */
    unsigned spurious; /* so many weak swaps of a schedule may fail for no reason */
    bool unmerged;     /* go on in states that are known, too: for small scenarios */
    struct explore_fault fault;
};

struct explore_result {
    unsigned long schedules; /* that ran to their ends */
    unsigned long merged;    /* given up in a state that was known */
    unsigned long states;
    const char *violation; /* NULL: none */
    char order[512];       /* whose access came when, in the schedule that violates */
};

/* --- Before --- */

/* Shared plain memory. It is part of the state, and is put back before each schedule to what it
 * holds when the exploration starts. Words that the shim accesses need not be named. */
void explore_watch(void *memory, size_t size);

/* A thread-local variable of the library, which every model thread is to have for itself. */
void explore_thread_local(void *variable, size_t size);

/* --- The search --- */

struct explore_result explore(const struct explore *scenario);

/* --- For the code of a scenario, in its threads and its check --- */

#define explore_assert(condition) ((condition) ? (void)0 : explore_fail(#condition))

/* Ends the schedule, and the search, with a violation. */
_Noreturn void explore_fail(const char *violation);

/* Others may run here. */
void explore_point(void);

/* --- For the shim and the false OS. Outside of model threads they do what they say at once. --- */

uint64_t explore_load(const volatile void *word, size_t size);
void explore_store(volatile void *word, size_t size, uint64_t value);
uint64_t explore_exchange(volatile void *word, size_t size, uint64_t value);
uint64_t explore_add(volatile void *word, size_t size, uint64_t value);
bool explore_swap_if(volatile void *word, size_t size, void *expected, uint64_t desired, bool weak);

void explore_yield(void);
void explore_wait(const void *word, uint32_t expected);
void explore_wake(const void *word, int count);

#endif
