/*
 * model - blocks that know what they should hold, and random work with them through every entry
 * point: whatever is handed out twice, moved wrongly or overwritten shows as damage.
 *
 * A block begins with a note of its size and of the number its contents are made from, so that any
 * thread can check any block.
 */
#ifndef VL_TESTS_MODEL_H
#define VL_TESTS_MODEL_H

#include "tests/world.h"

struct note {
    size_t size;
    uint64_t seed;
};

enum { MODEL_MIN = sizeof(struct note), MODEL_STEP = 4096, MODEL_PIECE = 64 };

/* Contents behind the note: all of a small block, of a large one a piece of every page. */
#define FOR_PIECES(at, length, size)                                                         \
    for (size_t at = MODEL_MIN, length;                                                      \
         at < (size) &&                                                                      \
         (length = (size) <= MODEL_STEP ? (size)-at : vl_min(MODEL_PIECE, (size)-at), true); \
         at = (size) <= MODEL_STEP ? (size) : vl_round_down(at, MODEL_STEP) + MODEL_STEP)

static inline void *model_fill(void *block, size_t size, uint64_t seed)
{
    *(struct note *)block = (struct note){size, seed};
    FOR_PIECES(at, length, size)
    pattern_fill((char *)block + at, length, seed + at);
    return block;
}

/* The block is whole up to `size` bytes, which may be less than it was filled with. */
static inline bool model_is_whole_to(const void *block, size_t size)
{
    struct note note = *(const struct note *)block;
    FOR_PIECES(at, length, note.size)
    {
        size_t checked = at >= size ? 0 : vl_min(length, size - at);
        if (pattern_damage((const char *)block + at, checked, note.seed + at) != checked)
            return false;
    }
    return true;
}

static inline bool model_is_whole(const void *block)
{
    return model_is_whole_to(block, ((const struct note *)block)->size);
}

/* Largest size, a power of two. */
static size_t model_size_max = 4 << 20;

static inline size_t model_random_size(uint64_t *state)
{
    uint64_t kind = random_next(state) % 64;
    size_t limit = kind == 0 ? 4 << 20 : kind < 4 ? 1 << 20 : kind < 16 ? 64 << 10 : 1 << 10;
    return MODEL_MIN + random_size(state, vl_min(limit, model_size_max));
}

static inline void *model_take(uint64_t *state)
{
    size_t size = model_random_size(state);
    uint64_t seed = random_next(state);
    unsigned char *block;
    if (seed % 4 == 0) {
        block = vl_alloc_zeroed(1, size);
        require(block == NULL || is_zero(block, size));
    } else if (seed % 8 == 1) {
        size_t align = (size_t)1 << (4 + random_next(state) % 12);
        block = vl_alloc_aligned(align, size);
        require(is_aligned(block, align));
    } else {
        block = vl_alloc(size);
    }
    require(block == NULL || (is_aligned(block, 16) && vl_usable_size(block) >= size));
    return block == NULL ? NULL : model_fill(block, size, seed);
}

static inline void model_give(void *block)
{
    require(block == NULL || model_is_whole(block));
    vl_free(block);
}

static inline void *model_resize(void *block, uint64_t *state)
{
    size_t size = model_random_size(state);
    if (block == NULL)
        return model_take(state);
    size_t kept = vl_min(size, ((const struct note *)block)->size);
    void *resized = vl_resize(block, size);
    if (resized == NULL)
        return block;
    require(vl_usable_size(resized) >= size);
    require(model_is_whole_to(resized, kept));
    return model_fill(resized, size, random_next(state));
}

/* One random thing done to the block of `place`, which may be NULL. */
static inline void model_step(void **place, uint64_t *state)
{
    if (random_next(state) % 4 == 0) {
        *place = model_resize(*place, state);
    } else {
        model_give(*place);
        *place = random_next(state) % 3 == 0 ? NULL : model_take(state);
    }
}

#endif
