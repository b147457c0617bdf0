/*
 * span - a run of pages cut into objects of one size class.
 *
 *      +--------+--------+--------+--------+--------+--------+-----+
 *      | object | object | object | object | object | object | ... |     pages, untouched by us
 *      +--------+--------+--------+--------+--------+--------+-----+
 * free     0        1        1        0        0        1        ...     a bit per object
 *
 * A span's record lies in the notes of its first page (hugepage/region.h), its bitmap behind it or, if
 * that is too long, in the same page's further notes: a stray write into an object cannot reach either,
 * and giving an object back does not touch it. An
 * object counts as taken while it is in any cache; giving back one whose bit is set already is a
 * double free, one that is not at a multiple of the size an interior pointer.
 *
 * The functions are the facts of one span; the lock of its central (cache/central.h) is held.
 */
#ifndef VL_CACHE_SPAN_H
#define VL_CACHE_SPAN_H

#include "numa/numa.h"

struct vl_span {
    struct vl_span *next, *prev; /* in a list of its central */
    uint64_t *bits;              /* set: free */
    char *start;
    uint8_t class;
    uint8_t list;    /* of its central: VL_SPAN_FULL where it is in none */
    uint16_t free;   /* objects */
    uint16_t lowest; /* no word of the bitmap below this has a bit set */
    uint16_t pages;
    uint64_t bits_here[];
};

/* Words of the largest bitmap: a page of the smallest objects. */
enum { VL_SPAN_WORDS_MAX = VL_PAGE_SIZE / VL_MIN_ALIGN / 64 };

_Static_assert(VL_PAGE_SIZE / VL_MIN_ALIGN / 8 <= VL_PAGE_MORE_NOTES,
               "the bitmap of the smallest objects fits in the further notes of its pages");

/* Makes a fresh run a span of `class`, all objects free, and enters it into the class map. */
struct vl_span *vl_span_make(const struct vl_run *run, unsigned class);

/* Wipes the span from the class map and gives its pages back. All objects are free, no lock held. */
void vl_span_unmake(struct vl_span *span);

/* The span of an object that is in use: any pointer into it. */
struct vl_span *vl_span_of(const struct vl_slice *slice, const void *object);

/* As many tiny objects as this, side by side, fill a neighbourhood of cache lines. */
enum {
    VL_SPAN_GROUP = VL_NEIGHBOURHOOD / VL_MIN_ALIGN,
    VL_TINY_CLASSES = 7, /* up to 112 bytes */
};

/* Takes up to `count` objects, the lowest addresses first, ascending; returns how many. Where the count
 * is that of a group, and the objects are tiny, a whole one comes first: threads that begin with it do not
 * share lines. */
unsigned vl_span_take(struct vl_span *span, void **objects, unsigned count);

/* Whether an object begins at a pointer into the span, and is taken. */
bool vl_span_has_out(const struct vl_span *span, const void *pointer);

enum vl_span_verdict { VL_SPAN_OK, VL_SPAN_DOUBLE_FREE, VL_SPAN_INTERIOR };

enum vl_span_verdict vl_span_give(struct vl_span *span, const void *object);

static inline unsigned vl_span_objects(const struct vl_span *span)
{
    return vl_size_classes[span->class].objects;
}

#endif
