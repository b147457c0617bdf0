/*
 * stock - pages of the kernel's pool fetched ahead of need (VALLOC_HUGEPAGE_RESERVE).
 *
 *      node 0   [ used up          |  populated, bound to the node       ]   one mapping each, outside
 *      node 1   [ used  |  populated                                     ]   all slices
 *
 * hugetlb.h takes pages from here before it asks the kernel, and moves them into place. What goes back goes
 * to the kernel's pool, not here. The child of a fork has no stock: a page that two processes know costs
 * another one of the pool when either writes to it.
 *
 * A piece is made a mapping of its own before it is moved, by the advice that children shall have it: of a
 * mapping that is moved in part, the kernel forgets that what stays is the owner's, and a write to
 * that after a fork, with the pool used up, would be a SIGBUS for the parent instead of the child.
 */
#ifndef VL_HUGEPAGE_STOCK_H
#define VL_HUGEPAGE_STOCK_H

#include "core/core.h"

/* A mapping, not in children, for as much of `bytes` as the pool allows now: whole huge pages, which are not
 * there yet. *got: how much that is. NULL if there is nothing. */
char *vl_stock_map(uint64_t bytes, size_t *got);

/* The first `populated` bytes of it, which were bound to a node, become its stock, by the kernel's number; the
 * rest is unmapped. -1: they lie wherever the kernel had them. */
void vl_stock_add(int node, char *start, size_t size, size_t populated);

/* Populated pages for a slice: of its node; or, for one that is not bound, of the node that the thread runs on or
 * of none. NULL if there are not so many. */
char *vl_stock_take(const struct vl_slice *slice, size_t size);

/* Gives back what is left. */
void vl_stock_release(void);

/* Bytes that nobody has taken. They do not count as held (limit.h): whatever takes from them will. */
uint64_t vl_stock_left(void);

/* Child of a fork: there is none. */
void vl_stock_after_fork(void);

#endif
