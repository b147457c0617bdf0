/* bits - rounding, logarithms, and the two branch hints. */
#ifndef VL_CORE_BITS_H
#define VL_CORE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define vl_likely(x) __builtin_expect(!!(x), 1)
#define vl_unlikely(x) __builtin_expect(!!(x), 0)

static inline bool vl_is_power_of_two(size_t x)
{
    return x != 0 && (x & (x - 1)) == 0;
}

static inline size_t vl_round_up(size_t x, size_t unit)
{
    return (x + unit - 1) & ~(unit - 1);
}

static inline size_t vl_round_down(size_t x, size_t unit)
{
    return x & ~(unit - 1);
}

/* floor(log2(x)); x is not 0. */
static inline unsigned vl_log2(uint64_t x)
{
    return 63u - (unsigned)__builtin_clzll(x);
}

/* Number of the lowest bit that is set; x is not 0. */
static inline unsigned vl_lowest_bit(uint64_t x)
{
    return (unsigned)__builtin_ctzll(x);
}

static inline unsigned vl_bit_count(uint64_t x)
{
    return (unsigned)__builtin_popcountll(x);
}

static inline size_t vl_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t vl_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
