/*
 * magazine - 64 slots of pointers to objects of one class, aligned to their 512 bytes.
 *
 *      slot   0    1    2    3    4  ...  c-1    c          c: the class's capacity, at most 63
 *           +----+----+----+----+----+---+----+------+
 *           |    |    | p  | q  | r  |...| z  | NULL |
 *           +----+----+----+----+----+---+----+------+
 *             ^         ^                       ^
 *           full       top: the next object   floor: empty
 *
 * The whole state of a magazine is the address `top`, kept by its holder. It is filled downwards;
 * *top is the next object. *top == NULL means empty, an aligned top means full: neither test reads
 * a second word, and both work for every capacity.
 *
 * A bin without a magazine points at the null magazine, whose first slot is NULL: empty and full at
 * once. So every odd case of malloc and free ends in the slow path by the ordinary tests.
 *
 * Magazines are numbered and never unmapped; one that is full or empty can lie in an idstack, linked
 * through its last slot. Per node there is a stack of empty ones, and per heap and class a depot: a stack
 * of full ones, by which threads pass objects on without a lock, 63 at a time.
 */
#ifndef VL_CACHE_MAGAZINE_H
#define VL_CACHE_MAGAZINE_H

#include "numa/numa.h"

enum { VL_MAGAZINE_SLOTS = 64, VL_MAGAZINE_SHIFT = 9, VL_MAGAZINE_CAPACITY_MAX = 63 };

_Static_assert(VL_MAGAZINE_SLOTS * sizeof(void *) == 1 << VL_MAGAZINE_SHIFT,
               "a magazine is aligned to its size");

extern void *vl_null_magazine[VL_MAGAZINE_SLOTS];

/* What the threads of a heap pass on of one class. */
struct vl_depot {
    _Alignas(VL_CACHE_LINE) struct vl_idstack full;
};

/* What the threads of a node share. */
struct vl_exchange {
    _Alignas(VL_CACHE_LINE) struct vl_idstack empty;
    _Alignas(VL_CACHE_LINE) struct vl_idstack inbox; /* freed on other nodes, all classes */
};

extern struct vl_exchange vl_exchanges[VL_NODE_INDEX_MAX];
extern struct vl_pool vl_magazine_pool;

static inline void **vl_magazine_of(void **top)
{
    return (void **)((uintptr_t)top & ~(uintptr_t)((1 << VL_MAGAZINE_SHIFT) - 1));
}

static inline bool vl_magazine_is_full(void **top)
{
    return top == vl_magazine_of(top);
}

static inline bool vl_magazine_is_empty(void **top)
{
    return *top == NULL;
}

static inline bool vl_magazine_is_null(void **top)
{
    return top == vl_null_magazine;
}

/* Objects in a magazine of `capacity`; the null magazine has none. */
static inline unsigned vl_magazine_count(void **top, unsigned capacity)
{
    return vl_magazine_is_null(top) ? 0 : (unsigned)(vl_magazine_of(top) + capacity - top);
}

/* Objects that lie in a depot, or in inboxes, as far as nobody takes them meanwhile. */
typedef void vl_visit_object(void *object, void *argument);
void vl_depot_visit(const struct vl_depot *depot, unsigned class, vl_visit_object *visit,
                    void *argument);
void vl_inboxes_visit(vl_visit_object *visit, void *argument);

/* The objects from `top` to the floor of a magazine, which may belong to another thread. */
void vl_magazine_visit(void **top, unsigned capacity, vl_visit_object *visit, void *argument);

/* An empty magazine for a class, as its top; the null magazine where there is no memory. */
void **vl_magazine_take(unsigned node, unsigned capacity);
/* Gives back an empty one. The null magazine may be given. */
void vl_magazine_give(unsigned node, void **top);

/* Exchanges with the depot: a full magazine for good. False, and still the caller's, if the depot
 * has enough; NULL if it has none. */
bool vl_depot_put(struct vl_depot *depot, unsigned class, void **top);
void **vl_depot_get(struct vl_depot *depot);

/* The same with the inbox of a node; such magazines are of full capacity and mixed classes. */
bool vl_inbox_put(unsigned node, void **top);
void **vl_inbox_get(unsigned node);

#endif
