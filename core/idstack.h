/*
 * idstack - a lock-free stack of numbered, type-stable items, in one word.
 *
 *      63          40 39        24 23           0
 *      +-------------+------------+--------------+
 *      |     tag     |   count    |   top's id   |        id 0: the stack is empty
 *      +-------------+------------+--------------+
 *
 * Each item has a word for the id of the item below it. Items are never unmapped, so a pop may read
 * that word of an item that another thread has popped meanwhile: what it reads is then wrong, but
 * the tag, which every transition changes, makes its compare-and-swap fail. (A tag comes round
 * after 16 million transitions between one load and its swap.)
 *
 * The transitions are pure functions of the word; vl_idstack_push and _pop lift them. Linearisation
 * point: the successful swap. Push releases what was written to the item; pop acquires it.
 *
 *               push    pop
 *      push     yes     yes      any number of threads, no lock
 *      pop      yes     yes
 */
#ifndef VL_CORE_IDSTACK_H
#define VL_CORE_IDSTACK_H

#include "core/atomic.h"
#include "core/bits.h"

#define VL_ID_BITS 24
#define VL_ID_MAX ((1u << VL_ID_BITS) - 1)
#define VL_IDSTACK_COUNT_MAX 0xffffu

typedef uint64_t vl_idstack_word;

static inline uint32_t vl_idstack_top(vl_idstack_word word)
{
    return (uint32_t)word & VL_ID_MAX;
}

static inline uint32_t vl_idstack_count(vl_idstack_word word)
{
    return (uint32_t)(word >> VL_ID_BITS) & VL_IDSTACK_COUNT_MAX;
}

static inline vl_idstack_word vl_idstack_make(uint32_t top, uint32_t count, uint64_t tag)
{
    return (uint64_t)top | (uint64_t)count << VL_ID_BITS | tag << (VL_ID_BITS + 16);
}

static inline uint64_t vl_idstack_tag(vl_idstack_word word)
{
    return word >> (VL_ID_BITS + 16);
}

/* Pure: `id` on top of `word`. */
static inline vl_idstack_word vl_idstack_with(vl_idstack_word word, uint32_t id)
{
    return vl_idstack_make(id, vl_idstack_count(word) + 1, vl_idstack_tag(word) + 1);
}

/* Pure: `word` without its top, whose lower neighbour is `below`. */
static inline vl_idstack_word vl_idstack_without(vl_idstack_word word, uint32_t below)
{
    return vl_idstack_make(below, vl_idstack_count(word) - 1, vl_idstack_tag(word) + 1);
}

struct vl_idstack {
    _Atomic vl_idstack_word word;
};

/* Where the id of the item below `id` is kept. */
typedef _Atomic uint32_t *vl_idstack_link(uint32_t id);

/* False where the stack holds `limit` items already; the item's link is 0 then. */
static inline bool vl_idstack_push(struct vl_idstack *stack, uint32_t id, vl_idstack_link *link,
                                   uint32_t limit)
{
    vl_idstack_word old = vl_get(&stack->word);
    do {
        if (vl_idstack_count(old) >= limit) {
            vl_set(link(id), 0); /* an earlier turn may have written it: others were faster */
            return false;
        }
        vl_set(link(id), vl_idstack_top(old));
    } while (!vl_swap_if(&stack->word, &old, vl_idstack_with(old, id)));
    return true;
}

/* Id of the item taken, 0 where there is none. */
static inline uint32_t vl_idstack_pop(struct vl_idstack *stack, vl_idstack_link *link)
{
    vl_idstack_word old = vl_get_acquire(&stack->word);
    uint32_t top;
    do {
        top = vl_idstack_top(old);
        if (top == 0)
            return 0;
    } while (!vl_swap_if(&stack->word, &old, vl_idstack_without(old, vl_get(link(top)))));
    return top;
}

#endif
