/*
 * The blocks that a trace has live, by id, and what they add up to. Traces allocate, resize and
 * free through it; at regular points, counted in operations, it prints what they ask for and what
 * the process has:
 *
 *     sample ops=4096 seconds=0.01 live_kb=800 resident_kb=... huge_kb=... vmas=... cgroup_kb=...
 *
 * A trace is played twice. First it is only counted, and nothing is allocated: then it is known
 * how many samples apart are how many operations, and how large a table must be that is outside
 * the heap and there from the start, so that it is in no figure. A trace must do the same both
 * times; it may look at live bytes and sizes, never at addresses.
 *
 * Blocks are written and checked as struct block says. For one thread.
 */
#ifndef VALLOC_BENCH_LEDGER_H
#define VALLOC_BENCH_LEDGER_H

#include "bench/bench.h"
#include "bench/memory.h"

enum {
    LEDGER_IDS_MAX = 1 << 24,
    LEDGER_SAMPLES = 120,
};

struct ledger {
    struct block *blocks;
    uint32_t ids; /* how many of them were ever used */
    bool counting;
    uint64_t live; /* bytes as requested */
    uint64_t operations;
    uint64_t operations_all; /* from the first time */
    unsigned samples;
    double start_s;
    double duration_s; /* samples are spread over as long, if that is not over before; 0: are not */
    struct memory start;
};

struct ledger ledger_count_first(void);

/* After the trace was counted. */
void ledger_play_next(struct ledger *ledger, double duration_s);

/* After it was played: ends the program if it was not what had been counted. */
void ledger_finish(const struct ledger *ledger);

/* Sizes below BLOCK_SIZE_MIN become that. */
void ledger_take(struct ledger *ledger, uint32_t id, uint32_t size);
void ledger_resize(struct ledger *ledger, uint32_t id, uint32_t size);
void ledger_drop(struct ledger *ledger, uint32_t id);

/* Whatever there was before; a drop is an operation of its own. */
void ledger_replace(struct ledger *ledger, uint32_t id, uint32_t size);

/* 0: there is no such block. */
uint32_t ledger_size(const struct ledger *ledger, uint32_t id);

#endif
