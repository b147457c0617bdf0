/*
 * Made traces: what programs do to a heap over hours, in seconds. Each is a function of the seed
 * and of the bytes that are live at most.
 */
#ifndef VALLOC_BENCH_TRACES_H
#define VALLOC_BENCH_TRACES_H

#include "bench/ledger.h"

/* False: there is none of that name. */
bool traces_play(const char *name, struct ledger *ledger, uint64_t seed, uint64_t live_max);

#endif
