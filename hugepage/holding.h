/*
 * holding - the regions that one allocator object has leased: runs of pages in and out.
 *
 *      page heaps of slices for objects        one object's holding
 *      +------+------+------+------+           +--------+--------+
 *      | free | X's  | Y's  | X's  |  --lease->| region | region |  --take-> runs
 *      +------+------+------+------+  <-return-+--------+--------+ <-give--
 *
 * So are big blocks, which it keeps a list of.
 *
 * Memory of an object is together, and goes back together: an object that is destroyed returns its
 * regions whole, however many blocks are in use. Regions may be of several slices: small pages first,
 * huge pages once the object is large.
 *
 * One lock per holding; regions are leased and returned with it released. A holding is type-stable, so
 * that who looks at a region may look at its holder.
 */
#ifndef VL_HUGEPAGE_HOLDING_H
#define VL_HUGEPAGE_HOLDING_H

#include "hugepage/extent.h"
#include "hugepage/page_heap.h"

/* Memory that has been told to prefer a node that is not its slice's, or where its slice has none. It is
 * made anew when it goes back, so that its next user finds it as the slice is. */
enum vl_stray {
    VL_STRAY_NOT,
    VL_STRAY,
    VL_STRAY_DUE /* to be moved, by a migration under way */
};

struct vl_holding {
    struct vl_lock lock; /* protects all below, and every region held */
    uint32_t away;       /* regions on their way from or to a page heap */
    struct vl_region_set active;

    struct vl_extent *big; /* its big blocks, by held_next */

    /* Set before anybody uses it: how much it may use, and the kind of pages. */
    uint64_t pages_max;
    enum vl_hugepage_mode hugepage_mode;

    /* Changed by a migration. */
    _Atomic int node;      /* index; -1: the one of the thread that asks */
    _Atomic int bind_node; /* the kernel's number of it, for what is not bound anyway; -1: none */

    /* Written under the lock, read by anybody as statistics. */
    _Atomic uint32_t regions;
    _Atomic uint64_t pages_used;
    _Atomic uint64_t big_blocks, big_pages; /* the latter are among pages_used */
};

/* Of its regions and big blocks. */
static inline uint64_t vl_holding_bytes(const struct vl_holding *holding)
{
    return ((uint64_t)vl_get(&holding->regions) << VL_REGION_SHIFT) +
           (vl_get(&holding->big_pages) << VL_PAGE_SHIFT);
}

/* A run from the regions it has; false if none has room, or it may not use as much. */
bool vl_holding_take(struct vl_holding *holding, struct vl_wish wish, struct vl_run *run);

/* The run that begins at `page` gets `more` pages behind it; false if they are not all free, or it may not use
 * as much. */
bool vl_holding_lengthen(struct vl_holding *holding, struct vl_region *region, unsigned page,
                         unsigned more);

/* Gives back the run that begins at `page` of a region; `clean`: its memory went to the system. If the
 * region is empty then, it leaves: returned, else NULL. */
struct vl_region *vl_holding_give(struct vl_holding *holding, struct vl_region *region,
                                  unsigned page, bool clean);

/* Takes the next free pages of a region that hold memory, from `page` on, as a run. False if there are
 * none, or the region is not held. */
bool vl_holding_take_dirty(struct vl_holding *holding, struct vl_region *region, unsigned page,
                           struct vl_run *run);

/* Whether it may use so many pages more. */
bool vl_holding_has_room(struct vl_holding *holding, size_t pages);

/* A big block that it has got; that it has no longer; whose size has changed. */
void vl_holding_note(struct vl_holding *holding, struct vl_extent *extent);
void vl_holding_forget(struct vl_holding *holding, struct vl_extent *extent);
void vl_holding_resized(struct vl_holding *holding, int64_t grains_more);

/* A big block that it has got, forgotten now; NULL if there is none. */
struct vl_extent *vl_holding_pop_big(struct vl_holding *holding);

/* Any region leaves, whatever is in use in it; NULL if there is none. */
struct vl_region *vl_holding_pop(struct vl_holding *holding);

/* A big block that it has got prefers its node, if it has one; so do the pages there already. */
void vl_holding_settle(struct vl_holding *holding, struct vl_extent *extent, void *start,
                       size_t size);

/* Moves all it has to a node. 0 or a negative errno value: then it may be in part. `locate` tells where a
 * big block lies. */
typedef void *vl_locate_big(const struct vl_extent *extent);
int vl_holding_migrate(struct vl_holding *holding, int bind_node, vl_locate_big *locate);

/* Before a region is leased; and when it is there, or NULL. */
void vl_holding_expect(struct vl_holding *holding);
void vl_holding_add(struct vl_holding *holding, struct vl_region *region);

/* A region that has left is back in its page heap. */
void vl_holding_returned(struct vl_holding *holding);

/* Calls for each region held, under the lock. */
typedef void vl_visit_region(struct vl_region *region, void *argument);
void vl_holding_visit(struct vl_holding *holding, vl_visit_region *visit, void *argument);

/* Child of a fork: frees the lock; if it was held, or a region on its way, builds the sets anew. */
void vl_holding_after_fork(struct vl_holding *holding);

#endif
