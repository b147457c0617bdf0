#include "numa/traffic.h"

VL_SPARSE struct vl_traffic vl_traffic[VL_NODE_INDEX_MAX];

/* Puts a pair where it belongs among the `found` largest; how many there are then. */
static unsigned insert(struct vl_traffic_pair *pairs, unsigned found, unsigned count,
                       const struct vl_traffic_pair *pair)
{
    unsigned place = found;
    while (place > 0 && pairs[place - 1].blocks < pair->blocks)
        place--;
    if (place == count)
        return found;
    found = found < count ? found + 1 : count;
    for (unsigned i = found - 1; i > place; i--)
        pairs[i] = pairs[i - 1];
    pairs[place] = *pair;
    return found;
}

unsigned vl_traffic_largest(struct vl_traffic_pair *pairs, unsigned count)
{
    unsigned found = 0;
    for (unsigned from = 0; from < vl_topology.count; from++)
        for (unsigned to = 0; to < vl_topology.count; to++) {
            const struct vl_traffic_count *sum = &vl_traffic[from].to[to];
            struct vl_traffic_pair pair = {from, to, vl_get(&sum->batches), vl_get(&sum->blocks)};
            if (from != to && pair.blocks != 0)
                found = insert(pairs, found, count, &pair);
        }
    return found;
}
