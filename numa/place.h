/*
 * place - where memory is taken from: the heaps of the nodes, and the order among them.
 *
 *      runs of pages:  own node's slice -> its further slices -> a new slice -> the other nodes,
 *                      nearest first
 *      big blocks:     the first-touch slice -> its further ones -> a new one
 *      placed ones:    the same with the slices of their place (placement.h) -> first touch, where there
 *                      is no address space for one
 *      objects' runs:  regions the object has -> one leased of a slice for objects, made like the
 *                      others, with small pages first, with huge pages for an object that has grown
 *
 * Slices are made when first needed: a process without big blocks has no slice for them.
 */
#ifndef VL_NUMA_PLACE_H
#define VL_NUMA_PLACE_H

#include "numa/placement.h"

/* Heaps by slice number: which of the two depends on the slice's kind. */
extern struct vl_page_heap vl_page_heaps[VL_SLICES_MAX];
extern struct vl_big_heap vl_big_heaps[VL_SLICES_MAX];

void vl_place_start(void);

bool vl_place_run(unsigned node, struct vl_wish wish, struct vl_run *run);

/* The two steps of it: from the node itself, and, where that has nothing left, from another, which
 * gets no new slice for a stranger. */
bool vl_place_run_own(unsigned node, struct vl_wish wish, struct vl_run *run);
bool vl_place_run_other(unsigned other, struct vl_wish wish, struct vl_run *run);

/* A run for an allocator object, from a region it has or leases. */
bool vl_place_run_held(struct vl_holding *holding, struct vl_wish wish, struct vl_run *run);

/* One more region for an object, to be used soon or not; false if there is none. */
bool vl_place_lease(struct vl_holding *holding, bool soon);

/* Gives back the run that begins at `start`, in a slice of regions, wherever it was taken from. */
void vl_place_give_run(const struct vl_slice *slice, const void *start);

/* It gets `more` pages behind it; false if they are not all free. */
bool vl_place_lengthen_run(const struct vl_slice *slice, const void *start, unsigned more);

/* `holder`: the holding of the object it is for, or NULL. Where the user's variables say, or the
 * caller. */
void *vl_place_big(size_t bytes, size_t align, struct vl_holding *holder, bool *zeroed);
void *vl_place_big_at(unsigned place, size_t bytes, size_t align, struct vl_holding *holder,
                      bool *zeroed);

/* What is in use of the big blocks of a place other than ANYWHERE. */
struct vl_place_use {
    uint64_t bytes, blocks;
};
struct vl_place_use vl_place_use_at(unsigned place);

/* Whether a slice is the first of such a place: by these, each place is met once. */
bool vl_place_begins(const struct vl_slice *slice);

/* A new object's memory comes from this node; -1: from that of the thread that asks. */
void vl_place_begin(struct vl_holding *holding, int node);

/* Moves what an object has to a node, and lets it get what it gets from there. 0 or a negative errno
 * value; in that case it may have been moved in part. */
int vl_place_migrate(struct vl_holding *holding, unsigned node);

/* Gives back all that an object has, blocks in use included: its regions with what the class map says
 * of them. Tells how many bytes went to the system. */
size_t vl_place_dissolve(struct vl_holding *holding);

/* The first slice of a node, made if there is none: its threads' home. NULL if that is impossible. */
struct vl_slice *vl_place_home(unsigned node);

/* Whether this thread is busy making a slice: called from a hook, it can get nothing. */
bool vl_place_is_making(void);

/* Returns memory of every heap that has been free for `age_ms`; tells how many bytes. */
size_t vl_place_purge(uint64_t age_ms);

/* There is no reserve from now on: a purge returns what was fetched ahead, too. */
void vl_place_unreserve(void);

/* Whether there is anything that a purge would give back, now or later. */
bool vl_place_has_free(void);

/* Returns memory of free pages in regions that are in use, of an object or, for NULL, of the nodes' heaps;
 * tells how many bytes. What is left of a huge page is small pages then. */
size_t vl_place_strip(struct vl_holding *holding);

/* Takes away slices of which nothing is in use, with their tables, once nobody looks at these any
 * more: waits for that, or else takes them only if nobody does now. Tells how much address space
 * that was. */
size_t vl_place_retire(bool wait);

void vl_place_after_fork(void);

#endif
