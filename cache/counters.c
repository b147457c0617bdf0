#include "cache/counters.h"

#include "cache/thread.h"

enum { LINES = 64 };

/* All that one line holds is written by about as many threads as share it. */
static VL_SPARSE struct line {
    _Alignas(VL_CACHE_LINE) _Atomic uint64_t counts[VL_COUNTERS];
} lines[LINES];

void vl_counter_add(enum vl_counter counter)
{
    uintptr_t number = (uintptr_t)vl_cache_self >> VL_CACHE_SHIFT;
    vl_add(&lines[number % LINES].counts[counter], 1);
}

uint64_t vl_counter_sum(enum vl_counter counter)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < LINES; i++)
        sum += vl_get(&lines[i].counts[counter]);
    return sum;
}

void valloc_print_counters(void) __attribute__((weak));

void vl_counters_start(void)
{
    /* Of an archive, it is only there if something else in the program calls it. */
    bool in_program = vl_program_holds(&lines);
    if (in_program ? valloc_print_counters != NULL : vl_program_needs("valloc_print_counters"))
        vl_options.count = true;
}
