#include "hugepage/region.h"

#include <string.h>

/* A word of `further_used` that is full. */
#define FURTHER_MASK (~(uint64_t)0 >> (VL_REGION_PAGES < 64 ? 64 - VL_REGION_PAGES : 0))

/* The bits [first, first+count) of word `word` of a bitmap. */
static uint64_t word_mask(unsigned word, unsigned first, unsigned count)
{
    unsigned low = word * 64 > first ? 0 : first - word * 64;
    unsigned end = first + count - word * 64;
    uint64_t below_end = end >= 64 ? ~0ull : ((uint64_t)1 << end) - 1;
    return below_end & ~(((uint64_t)1 << low) - 1);
}

/* Calls for each word that holds a part of [first, first+count). */
#define FOR_WORDS(word, first, count)                                                             \
    for (unsigned word = (first) / 64; word <= ((first) + (count)-1) / 64; word++)

/* First page from `page` on whose `used` bit is `value`; VL_REGION_PAGES if there is none. */
static unsigned next_page(const struct vl_region *region, unsigned page, bool value)
{
    for (unsigned word = page / 64; word < VL_REGION_WORDS; word++) {
        uint64_t bits = value ? region->used[word] : ~region->used[word];
        if (word == page / 64)
            bits &= ~0ull << (page % 64);
        if (bits != 0) {
            unsigned found = word * 64 + vl_lowest_bit(bits);
            return found < VL_REGION_PAGES ? found : VL_REGION_PAGES;
        }
    }
    return VL_REGION_PAGES;
}

static unsigned longest_free_run(const struct vl_region *region)
{
    unsigned longest = 0;
    for (unsigned page = next_page(region, 0, false); page < VL_REGION_PAGES;) {
        unsigned end = next_page(region, page, true);
        if (end - page > longest)
            longest = end - page;
        page = next_page(region, end, false);
    }
    return longest;
}

static unsigned count_used(const struct vl_region *region)
{
    unsigned used = 0;
    for (unsigned word = 0; word < VL_REGION_WORDS; word++)
        used += vl_bit_count(region->used[word]);
    return used;
}

static unsigned count_runs(const struct vl_region *region)
{
    unsigned runs = 0;
    for (unsigned page = 0; page < VL_REGION_PAGES; page++)
        if (vl_region_is_used(region, page) && region->head[page] == page)
            runs++;
    return runs;
}

bool vl_region_valid(const struct vl_region *region)
{
    for (unsigned word = 0; word < VL_REGION_WORDS; word++)
        if ((region->used[word] & ~region->dirty[word]) != 0)
            return false;
    return count_used(region) == region->pages_used && count_runs(region) == region->run_count &&
           longest_free_run(region) == region->free_run_max;
}

bool vl_region_recount(struct vl_region *region)
{
    for (unsigned page = 0; page < VL_REGION_PAGES; page++)
        if (vl_region_is_used(region, page) && page > vl_get(&region->last[region->head[page]]))
            region->used[page / 64] &= ~((uint64_t)1 << (page % 64));
    region->pages_used = (uint16_t)count_used(region);
    region->run_count = (uint16_t)count_runs(region);
    region->free_run_max = (uint16_t)longest_free_run(region);
    return region->pages_used != 0;
}

void vl_region_reset(struct vl_region *region)
{
    memset(region->used, 0, sizeof region->used);
    region->pages_used = 0;
    region->run_count = 0;
    region->free_run_max = VL_REGION_PAGES;
    region->next = region->prev = NULL;
    /* A thread that a fork stopped may have left some. */
    for (unsigned word = 0; word < VL_REGION_WORDS; word++)
        vl_set(&region->further_used[word], 0);
}

unsigned vl_region_find_dirty(const struct vl_region *region, unsigned page, unsigned *first)
{
    unsigned count = 0;
    for (; page < VL_REGION_PAGES; page++) {
        uint64_t held = region->dirty[page / 64] & ~region->used[page / 64];
        bool found = held >> (page % 64) & 1;
        if (found && count++ == 0)
            *first = page;
        else if (!found && count != 0)
            break;
    }
    return count;
}

void vl_region_clean(struct vl_region *region, unsigned first, unsigned pages)
{
    FOR_WORDS(word, first, pages)
    {
        region->dirty[word] &= ~word_mask(word, first, pages);
    }
    VL_CHECK(vl_region_valid(region));
}

int vl_region_find(const struct vl_region *region, unsigned pages, unsigned align)
{
    unsigned page = next_page(region, 0, false);
    while (page < VL_REGION_PAGES) {
        unsigned end = next_page(region, page, true);
        unsigned first = (unsigned)vl_round_up(page, align);
        if (first + pages <= end)
            return (int)first;
        page = next_page(region, end, false);
    }
    return -1;
}

int vl_region_find_last(const struct vl_region *region, unsigned pages, unsigned align)
{
    int last = -1;
    unsigned page = next_page(region, 0, false);
    while (page < VL_REGION_PAGES) {
        unsigned end = next_page(region, page, true);
        unsigned first = end < pages ? 0 : (unsigned)vl_round_down(end - pages, align);
        if (first >= page && first + pages <= end)
            last = (int)first;
        page = next_page(region, end, false);
    }
    return last;
}

/*
 * A fork may stop us anywhere, and its child has only the bitmaps to go by. A page in use always has a head:
 * that is written before `used`. The last page of a run that somebody has is always in use: where the run gets
 * longer, `last` is written after `used`.
 */

/* The free pages [first, first+count) become part of the run at `head`. True if they were all clean. */
static bool occupy(struct vl_region *region, unsigned head, unsigned first, unsigned count)
{
    uint64_t were_dirty = 0;
    memset(&region->head[first], (int)head, count);
    atomic_signal_fence(memory_order_release);
    FOR_WORDS(word, first, count)
    {
        uint64_t mask = word_mask(word, first, count);
        VL_CHECK((region->used[word] & mask) == 0);
        were_dirty |= region->dirty[word] & mask;
        region->dirty[word] |= mask;
        region->used[word] |= mask;
    }
    region->pages_used = (uint16_t)(region->pages_used + count);
    region->free_run_max = (uint16_t)longest_free_run(region);
    return were_dirty == 0;
}

bool vl_region_take(struct vl_region *region, unsigned first, unsigned pages)
{
    vl_set(&region->last[first], (uint8_t)(first + pages - 1)); /* nobody has it yet */
    bool clean = occupy(region, first, first, pages);
    region->run_count++;
    VL_CHECK(vl_region_valid(region));
    return clean;
}

unsigned vl_region_give(struct vl_region *region, unsigned first)
{
    unsigned pages = vl_region_run_pages(region, first);
    FOR_WORDS(word, first, pages)
    {
        region->used[word] &= ~word_mask(word, first, pages);
    }
    region->pages_used = (uint16_t)(region->pages_used - pages);
    region->run_count--;
    region->free_run_max = (uint16_t)longest_free_run(region);
    VL_CHECK(vl_region_valid(region));
    return pages;
}

bool vl_region_lengthen(struct vl_region *region, unsigned first, unsigned more)
{
    unsigned end = first + vl_region_run_pages(region, first);
    if (next_page(region, end, true) < end + more)
        return false;
    occupy(region, first, end, more);
    atomic_signal_fence(memory_order_release);
    vl_set(&region->last[first], (uint8_t)(end + more - 1));
    VL_CHECK(vl_region_valid(region));
    return true;
}

unsigned vl_region_take_further(struct vl_region *region)
{
    for (unsigned word = 0;; word = (word + 1) % VL_REGION_WORDS) {
        _Atomic uint64_t *used = &region->further_used[word];
        uint64_t bits = vl_get(used);
        while (bits != FURTHER_MASK) {
            uint64_t lowest = ~bits & (bits + 1);
            if (vl_swap_if(used, &bits, bits | lowest))
                return word * 64 + vl_lowest_bit(lowest);
        }
    }
}

void vl_region_give_further(struct vl_region *region, unsigned number)
{
    uint64_t bit = (uint64_t)1 << (number % 64);
    atomic_fetch_and_explicit(&region->further_used[number / 64], ~bit, memory_order_release);
}
