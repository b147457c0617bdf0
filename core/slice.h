/*
 * slice - a long stretch of address space for one purpose, and the tables that describe it.
 *
 *      tables                                         data
 *      +-----------------+------------------+         +------------------+------------------+
 *      | class map       | units            |         | writable         | reserved         |
 *      | 1 byte per page | 1 entry per unit |         |                  |                  |
 *      +-----------------+------------------+         +------------------+------------------+
 *                                                     start              start + writable
 *
 * A NODE slice holds the small objects and runs of one NUMA node; its units are regions. So are those of
 * an OBJECT slice, which allocator objects lease. A BIG slice holds big blocks, bound to no node; its
 * units are grains, and it has no class map. A PLACED slice holds big blocks as well, all of which
 * belong on one node, or are spread over several: the kernel is told once, about all of it.
 *
 * Data is reserved without access and made writable from the front by vl_slice_extend, in growing
 * steps, so that resource limits, overcommit and core dumps see only what is used, in two or three
 * VMAs however large the heap. Tables are readable in full at all times: the entry of a page never
 * used reads as zero, so even a wild pointer can be looked up safely. They become writable together
 * with the data they describe, and stay mapped as long as the slice is not retired.
 *
 * A process normally has one slice per node and one for big blocks; two more per node if it has allocator
 * objects, and one for each place that big blocks are wanted at. More are made when one is full,
 * or small ones when address space is short (ulimit -v); they are found through vl_slice_of. One with
 * nothing in use can be taken away: it is hidden, so that no pointer leads into it, and unmapped when
 * nobody looks at its tables any more (core/rcu.h). Its number serves the next slice of its sort: of
 * the same kind and node, with the same pages.
 *
 *      LIVE --hide--> HIDDEN --unmap--> BUSY -> RETIRED --create--> BUSY -> LIVE
 */
#ifndef VL_CORE_SLICE_H
#define VL_CORE_SLICE_H

#include "core/atomic.h"
#include "core/bits.h"
#include "core/geometry.h"
#include "core/os.h"
#include "core/sections.h"

/* From BIG on they hold big blocks. */
enum vl_slice_kind { VL_SLICE_NODE, VL_SLICE_OBJECT, VL_SLICE_BIG, VL_SLICE_PLACED };

enum vl_slice_state { VL_SLICE_LIVE, VL_SLICE_HIDDEN, VL_SLICE_BUSY, VL_SLICE_RETIRED };

/* Plain fields are written before the slice is published. Where it lies changes when its slot is taken
 * up again after it was retired; of what sort it is does not. */
struct vl_slice {
    _Atomic uintptr_t start;
    /* 0 from the time it is hidden: it holds no pointer then. Written last, release. */
    _Atomic size_t size;
    char *tables; /* where its address space begins */
    _Atomic uint8_t *class_map; /* class of the objects on each page; docs/concurrency.md */
    char *units;
    uint16_t number; /* index in vl_slices */
    /* Its sort, as in the plan: */
    uint16_t
        node; /* NODE, OBJECT: index, as numa/ counts them; PLACED: the place (numa/placement.h) */
    uint16_t bind_node;
    uint16_t unit_bytes;
    uint8_t unit_shift;
    uint8_t kind; /* enum vl_slice_kind */
    bool huge, pool, bind;
    uint8_t how; /* enum vl_spread */
    _Atomic uint8_t state;
    const struct vl_node_mask *spread; /* NULL: over no nodes */
    /* Data that has small pages though the slice is to have huge ones. May be read in a moment when it
     * changes: advice is taken by what was there before or comes. */
    _Atomic size_t small_from, small_end;
    size_t mapped; /* bytes of address space, from `tables` on */
    _Atomic size_t writable; /* bytes of data that can be written; grows; release after protect */
};

/* Many paths find a slice by its number: three times a power of two is reached in few steps. */
_Static_assert(sizeof(struct vl_slice) == 96, "a slice of the size that was measured");

enum { VL_SLICES_MAX = 256 };
#define VL_SLICE_SIZE_MAX ((uint64_t)16 << 40)
extern struct vl_slice vl_slices[VL_SLICES_MAX];
extern _Atomic uint32_t vl_slice_count;

/* Times that the kernel would not have memory prefer a node, or spread: it is where it is touched first. */
extern _Atomic uint64_t vl_slice_refusals;

struct vl_slice_plan {
    enum vl_slice_kind kind;
    unsigned node;
    size_t size;
    uint32_t unit_shift;
    uint32_t unit_bytes;
    size_t small_pages; /* the first so many bytes of data get no huge pages */
    bool huge;          /* the rest gets huge pages */
    bool pool;          /* from the kernel's pool, as far as it has any */
    bool bind;          /* prefer the memory of bind_node, the kernel's number of the node */
    unsigned bind_node;
    const struct vl_node_mask *spread; /* nodes to spread memory over, for ever there, or NULL; */
    /* bind_node: one of them, for kernels that know no NEAREST */
    enum vl_spread how;
    void (*prepare)(struct vl_slice *slice); /* before anybody else can see it */
};

/* Reserves, describes and publishes a slice; NULL where there is no address space for it. */
struct vl_slice *vl_slice_create(const struct vl_slice_plan *plan);

/* Makes data [0, end) and the entries of its units writable; false if there is no memory. */
bool vl_slice_extend(struct vl_slice *slice, size_t end);

/* From now on memory that comes to any of the data has huge pages; or has small ones from `from` on. In one
 * call each, and one more mapping of the kernel's at most. False if that was refused. */
bool vl_slice_use_huge(struct vl_slice *slice);
bool vl_slice_use_small(struct vl_slice *slice, size_t from);

/* Has memory at [start, start+size), where nothing is touched yet, lie where the slice's should. */
void vl_slice_bind(const struct vl_slice *slice, void *start, size_t size);

/* Fresh memory in place of what is mapped at a part of the data, advised and bound as the slice is.
 * False if that was refused; there may be a hole then. */
bool vl_slice_renew(const struct vl_slice *slice, void *start, size_t size);

/* Hides a slice in which nothing is in use, nor ever will be. Its memory goes back at once. */
void vl_slice_hide(struct vl_slice *slice);

/* Gives up the address space of a slice that was hidden before all readers of today began; tells how
 * much that was, 0 if another thread is doing it. */
size_t vl_slice_unmap(struct vl_slice *slice);

/* Child of a fork: forgets a slice that another thread was about to publish. */
void vl_slices_after_fork(void);

static inline void *vl_slice_unit(const struct vl_slice *slice, size_t unit)
{
    return slice->units + unit * slice->unit_bytes;
}

/* Whether memory that comes to this place of the data has small pages. */
static inline bool vl_slice_is_small(const struct vl_slice *slice, size_t offset)
{
    size_t from = vl_get(&slice->small_from);
    return !slice->huge || offset - from < vl_get(&slice->small_end) - from;
}

/* Whether it consists of regions, and has a class map. */
static inline bool vl_slice_has_regions(const struct vl_slice *slice)
{
    return slice->kind < VL_SLICE_BIG;
}

/* The class map's byte for the page that `pointer` lies on. */
static inline _Atomic uint8_t *vl_slice_class(const struct vl_slice *slice, const void *pointer)
{
    return &slice->class_map[((uintptr_t)pointer - slice->start) >> VL_PAGE_SHIFT];
}

/* Writes the class map of a run of pages: its first page, and the others. */
static inline void vl_slice_mark(const struct vl_slice *slice, const void *start, unsigned pages,
                                 uint8_t head, uint8_t body)
{
    _Atomic uint8_t *map = vl_slice_class(slice, start);
    for (unsigned i = 0; i < pages; i++)
        vl_set(&map[i], i == 0 ? head : body);
}

/* Start and size are of one slice if the size is the same before and after: it is 0 in between. */
static inline bool vl_slice_holds(const struct vl_slice *slice, const void *pointer)
{
    size_t size = vl_get_acquire(&slice->size);
    bool within = (uintptr_t)pointer - vl_get_acquire(&slice->start) < size;
    return within && vl_get(&slice->size) == size;
}

/* The slice a pointer lies in, or NULL: the answer to "is it ours?". */
static inline struct vl_slice *vl_slice_of(const void *pointer)
{
    uint32_t count = vl_get_acquire(&vl_slice_count);
    for (uint32_t i = 0; i < count; i++)
        if (vl_slice_holds(&vl_slices[i], pointer))
            return &vl_slices[i];
    return NULL;
}

#endif
