#include "cache/parking.h"

#ifndef VL_PARKING_STACKS /* fewer in tests/model */
#define VL_PARKING_STACKS 32
#endif

enum {
    WARM_OF_CPU = 4,      /* caches that keep what they hold, */
    WARM_BYTES = 4 << 20, /* if all of a node hold no more than this */
};

static VL_SPARSE struct vl_parking {
    _Alignas(VL_CACHE_LINE) struct vl_idstack of_cpu[VL_PARKING_STACKS];
    /* What they hold. Added to before a cache is parked and taken from after it was taken: a child of a
     * fork may find too much, never too little. */
    _Atomic int64_t bytes;
} parkings[VL_NODE_INDEX_MAX];

static _Atomic uint32_t *below_of(uint32_t id)
{
    return &((struct vl_cache *)vl_pool_item(&vl_cache_pool, id))->below;
}

static unsigned stack_here(void)
{
    unsigned cpu, node;
    return vl_os->where(&cpu, &node) == 0 ? cpu % VL_PARKING_STACKS : 0;
}

void vl_parking_put(struct vl_cache *cache)
{
    struct vl_parking *parking = &parkings[cache->node];
    vl_add(&parking->bytes, cache->held_bytes);
    vl_idstack_push(&parking->of_cpu[stack_here()], vl_pool_id(&vl_cache_pool, cache), below_of,
                    VL_IDSTACK_COUNT_MAX);
}

struct vl_cache *vl_parking_get(unsigned node)
{
    struct vl_parking *parking = &parkings[node];
    uint32_t id = 0;
    for (unsigned i = 0, first = stack_here(); i < VL_PARKING_STACKS && id == 0; i++)
        id = vl_idstack_pop(&parking->of_cpu[(first + i) % VL_PARKING_STACKS], below_of);
    if (id == 0)
        return NULL;
    struct vl_cache *cache = vl_pool_item(&vl_cache_pool, id);
    vl_add(&parking->bytes, -cache->held_bytes);
    return cache;
}

bool vl_parking_is_full(unsigned node, int64_t bytes)
{
    const struct vl_parking *parking = &parkings[node];
    return vl_idstack_count(vl_get(&parking->of_cpu[stack_here()].word)) >= WARM_OF_CPU ||
           vl_get(&parking->bytes) + bytes > WARM_BYTES;
}

unsigned vl_parking_count(unsigned node)
{
    unsigned count = 0;
    for (unsigned i = 0; i < VL_PARKING_STACKS; i++)
        count += vl_idstack_count(vl_get(&parkings[node].of_cpu[i].word));
    return count;
}
