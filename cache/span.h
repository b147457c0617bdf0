/*
 * span - a run of pages cut into objects of one size class.
 *
 *      +--------+--------+--------+--------+--------+--------+-----+
 *      | object | object | object | object | object | object | ... |     pages, untouched by us
 *      +--------+--------+--------+--------+--------+--------+-----+
 * free     0        1        1        0        0        1        ...     a bit per object
 *
 * A span's record lies in the notes of its pages (hugepage/region.h), its bitmap behind it or, if that is
 * too long, in further notes: a stray write into an object cannot reach either, and giving an object back
 * does not touch it. Of a heap of small objects most of what is not objects are these records, so they
 * are short: a span is known by its number, which tells where it lies, and of which class it is the class
 * map tells.
 *
 * An object counts as taken while it is in any cache; giving back one whose bit is set already is a
 * double free, one that is not at a multiple of the size an interior pointer.
 *
 * The functions are the facts of one span; the lock of its central (cache/central.h) is held.
 */
#ifndef VL_CACHE_SPAN_H
#define VL_CACHE_SPAN_H

#include "numa/numa.h"

/* The number of a span: that of its first page among those of its slice, and that of the slice, and 1, as
 * 0 is none. */
typedef uint64_t vl_span_id;
enum { VL_SPAN_PAGE_BITS = 31, VL_SPAN_ID_BITS = 40 };

/* A word of a bitmap. Records lie as close as they can. */
typedef uint64_t vl_span_word __attribute__((aligned(4)));

struct vl_span {
    uint64_t next : VL_SPAN_ID_BITS, prev : VL_SPAN_ID_BITS; /* in a list of its central */
    uint64_t list : 3;  /* of its central: VL_SPAN_FULL where it is in none */
    uint64_t free : 10; /* objects */
    union {
        uint32_t further;     /* which further notes hold the bitmap */
        vl_span_word here[1]; /* the bitmap, a word or more, set: free */
    } bits;
} __attribute__((packed, aligned(4)));

_Static_assert(offsetof(struct vl_span, bits) == 12, "room for 128 objects in the notes of a page");

/* Words of the largest bitmap: a page of the smallest objects. */
enum { VL_SPAN_WORDS_MAX = VL_PAGE_SIZE / VL_MIN_ALIGN / 64 };

_Static_assert(VL_SPAN_WORDS_MAX * sizeof(vl_span_word) <= VL_FURTHER_NOTES,
               "the bitmap of the smallest objects fits in further notes");

_Static_assert(VL_SLICE_SIZE_MAX >> VL_PAGE_SHIFT <= (uint64_t)1 << VL_SPAN_PAGE_BITS &&
                   (uint64_t)VL_SLICES_MAX << VL_SPAN_PAGE_BITS < (uint64_t)1 << VL_SPAN_ID_BITS,
               "a number for every page of every slice");

static inline struct vl_slice *vl_span_slice(vl_span_id id)
{
    return &vl_slices[(id - 1) >> VL_SPAN_PAGE_BITS];
}

static inline size_t vl_span_page(vl_span_id id)
{
    return (id - 1) & (((uint64_t)1 << VL_SPAN_PAGE_BITS) - 1);
}

static inline char *vl_span_start(vl_span_id id)
{
    return (char *)vl_get(&vl_span_slice(id)->start) + (vl_span_page(id) << VL_PAGE_SHIFT);
}

static inline struct vl_region *vl_span_region(vl_span_id id)
{
    return vl_slice_unit(vl_span_slice(id), vl_span_page(id) / VL_REGION_PAGES);
}

static inline struct vl_span *vl_span_record(vl_span_id id)
{
    return (struct vl_span *)vl_span_region(id)->notes[vl_span_page(id) % VL_REGION_PAGES];
}

/* VL_CLASS_NONE where there is no span any more. */
static inline unsigned vl_span_class(vl_span_id id)
{
    return vl_get(&vl_span_slice(id)->class_map[vl_span_page(id)]);
}

/* Makes a fresh run a span of `class`, all objects free. No lock is held. */
vl_span_id vl_span_make(const struct vl_run *run, unsigned class);

/* Gives the pages of a span back, which is in no map any more. No lock is held. */
void vl_span_unmake(vl_span_id id, unsigned class);

/* Enters it into the class map, where it may be already, and wipes it out. Under the lock of the central: who
 * holds that and finds the class on a page has a span there, whose record and bitmap are its own. */
void vl_span_enter(vl_span_id id, unsigned class);
void vl_span_wipe(vl_span_id id, unsigned class);

/* The span of an object that is in use: any pointer into it. */
vl_span_id vl_span_of(const struct vl_slice *slice, const void *object);

/* As many tiny objects as this, side by side, fill a neighbourhood of cache lines. */
enum {
    VL_SPAN_GROUP = VL_NEIGHBOURHOOD / VL_MIN_ALIGN,
    VL_TINY_CLASSES = 7, /* up to 112 bytes */
};

/* Takes up to `count` objects of a span of `class`, the lowest addresses first, ascending; returns how
 * many. Where the count is that of a group, and the objects are tiny, a whole one comes first: threads
 * that begin with it do not share lines. */
unsigned vl_span_take(vl_span_id id, unsigned class, void **objects, unsigned count);

enum vl_span_verdict { VL_SPAN_OK, VL_SPAN_DOUBLE_FREE, VL_SPAN_INTERIOR };

/* Gives back objects of `class`, the first of which lies in the span, up to one that does not, or is none;
 * returns how many. *verdict is OK, or that of the next. It was given before where no span of that class is
 * on its page. What is freed in a row mostly lies in a row. */
unsigned vl_span_give(vl_span_id id, unsigned class, void *const *objects, unsigned count,
                      enum vl_span_verdict *verdict);

/* Whether a span of `class` is where a pointer leads, and an object begins there, and is taken. */
bool vl_span_has_out(vl_span_id id, unsigned class, const void *pointer);

/* The bitmap of a span of `class`. */
vl_span_word *vl_span_bits(vl_span_id id, unsigned class);

/* Objects of a span of `class` that are free by its bitmap. */
unsigned vl_span_count_free(vl_span_id id, unsigned class);

#endif
