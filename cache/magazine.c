#include "cache/magazine.h"

_Alignas(1 << VL_MAGAZINE_SHIFT) void *vl_null_magazine[VL_MAGAZINE_SLOTS];
VL_SPARSE struct vl_exchange vl_exchanges[VL_NODE_INDEX_MAX];
struct vl_pool vl_magazine_pool;

/* Made in groups that fill a page: neighbours are used, and first touched, by one node. */
enum { GROUP = 8 };

/* What a depot may hold, per heap and class. Objects that are larger take much longer to fill than a turn
 * at the central's lock: of them it would hold much and save little. */
#ifndef VL_DEPOT_BYTES /* fewer in tests/model */
#define VL_DEPOT_BYTES (64 << 10)
#endif

enum { DEPOT_OBJECT_MAX = 32 << 10 };

/* What may wait in an inbox until a thread of its node comes by; beyond, frees go all the way. */
enum { INBOX_MAGAZINES = 32 };

static _Atomic uint32_t *link_of(uint32_t id)
{
    void **slots = vl_pool_item(&vl_magazine_pool, id);
    return (_Atomic uint32_t *)&slots[VL_MAGAZINE_SLOTS - 1];
}

static uint32_t id_of(void **top)
{
    return vl_pool_id(&vl_magazine_pool, top);
}

/* The slots of a magazine that was in a stack, its link wiped: the slot may be the floor. No pointer
 * is ever in that slot, so its other half is zero. A stale pop may read it meanwhile. */
static void **slots_of(uint32_t id)
{
    vl_set(link_of(id), 0);
    return vl_pool_item(&vl_magazine_pool, id);
}

static uint32_t make_group(unsigned node)
{
    uint32_t id = vl_pool_take(&vl_magazine_pool, GROUP);
    if (id == 0)
        return vl_pool_take(&vl_magazine_pool, 1);
    for (uint32_t i = 1; i < GROUP; i++)
        if (!vl_idstack_push(&vl_exchanges[node].empty, id + i, link_of, VL_IDSTACK_COUNT_MAX))
            break; /* 65,535 empty ones: these few are lost */
    return id;
}

void **vl_magazine_take(unsigned node, unsigned capacity)
{
    uint32_t id = vl_idstack_pop(&vl_exchanges[node].empty, link_of);
    /* Outboxes carry empties from the nodes that free to those that allocate. */
    for (unsigned i = 1; id == 0 && i < vl_topology.count; i++)
        id = vl_idstack_pop(&vl_exchanges[vl_topology.nearest[node][i]].empty, link_of);
    if (id == 0)
        id = make_group(node);
    if (id == 0)
        return vl_null_magazine;
    void **slots = slots_of(id);
    if (capacity < VL_MAGAZINE_SLOTS - 1)
        slots[capacity] = NULL;
    return slots + capacity;
}

void vl_magazine_give(unsigned node, void **top)
{
    if (!vl_magazine_is_null(top))
        vl_idstack_push(&vl_exchanges[node].empty, id_of(top), link_of, VL_IDSTACK_COUNT_MAX);
}

static uint32_t depot_limit(unsigned class)
{
    const struct vl_size_class *c = &vl_size_classes[class];
    if (c->size > DEPOT_OBJECT_MAX)
        return 0;
    return (uint32_t)vl_max(VL_DEPOT_BYTES / (c->size * c->capacity), 1);
}

bool vl_depot_put(struct vl_depot *depot, unsigned class, void **top)
{
    return vl_idstack_push(&depot->full, id_of(top), link_of, depot_limit(class));
}

void **vl_depot_get(struct vl_depot *depot)
{
    uint32_t id = vl_idstack_pop(&depot->full, link_of);
    return id == 0 ? NULL : slots_of(id);
}

bool vl_inbox_put(unsigned node, void **top)
{
    return vl_idstack_push(&vl_exchanges[node].inbox, id_of(top), link_of, INBOX_MAGAZINES);
}

void **vl_inbox_get(unsigned node)
{
    uint32_t id = vl_idstack_pop(&vl_exchanges[node].inbox, link_of);
    return id == 0 ? NULL : slots_of(id);
}

/* What another thread puts in or takes out meanwhile is seen or not: each slot is one word, and no
 * pointer is followed. */
__attribute__((no_sanitize("thread"))) void
vl_magazine_visit(void **top, unsigned capacity, vl_visit_object *visit, void *argument)
{
    void **floor = vl_magazine_of(top) + capacity;
    for (; !vl_magazine_is_null(top) && top < floor; top++)
        visit(vl_peek(top), argument);
}

/* Magazines that leave or come meanwhile may lead into another stack: no further than there were. */
static void visit_stack(const struct vl_idstack *stack, unsigned capacity, vl_visit_object *visit,
                        void *argument)
{
    vl_idstack_word word = vl_get_acquire(&stack->word);
    uint32_t id = vl_idstack_top(word);
    for (uint32_t i = vl_idstack_count(word); i > 0 && id != 0; i--) {
        vl_magazine_visit(vl_pool_item(&vl_magazine_pool, id), capacity, visit, argument);
        id = vl_get(link_of(id));
    }
}

void vl_depot_visit(const struct vl_depot *depot, unsigned class, vl_visit_object *visit,
                    void *argument)
{
    visit_stack(&depot->full, vl_size_classes[class].capacity, visit, argument);
}

void vl_inboxes_visit(vl_visit_object *visit, void *argument)
{
    for (unsigned node = 0; node < vl_topology.count; node++)
        visit_stack(&vl_exchanges[node].inbox, VL_MAGAZINE_CAPACITY_MAX, visit, argument);
}
