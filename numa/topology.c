#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "numa/topology.h"

#ifdef HAVE_LIBNUMA
#include <dlfcn.h>
#endif

struct vl_topology vl_topology = {.count = 1};

/* Where nothing better is known: neighbours in number are neighbours. */
static int distance_by_number(int from, int to)
{
    return 10 + (from < to ? to - from : from - to);
}

static void order_from(struct vl_topology *topology, unsigned from, vl_distance_fn *distance)
{
    uint8_t *order = topology->nearest[from];
    for (unsigned i = 0; i < topology->count; i++) {
        unsigned place = i;
        int far = i == from ? -1 : distance(topology->ids[from], topology->ids[i]);
        for (; place > 0; place--) {
            unsigned other = order[place - 1];
            int other_far =
                other == from ? -1 : distance(topology->ids[from], topology->ids[other]);
            if (other_far <= far)
                break;
            order[place] = (uint8_t)other;
        }
        order[place] = (uint8_t)i;
    }
}

static unsigned nearest_index(const struct vl_topology *topology, unsigned node,
                              vl_distance_fn *distance)
{
    unsigned best = 0;
    for (unsigned i = 0; i < topology->count; i++) {
        if (topology->ids[i] == node)
            return i;
        if (distance((int)node, topology->ids[i]) < distance((int)node, topology->ids[best]))
            best = i;
    }
    return best;
}

void vl_topology_order(struct vl_topology *topology, vl_distance_fn *distance)
{
    for (unsigned node = 0; node < VL_NODES_MAX; node++)
        topology->index_of[node] = (uint8_t)nearest_index(topology, node, distance);
    for (unsigned from = 0; from < topology->count; from++)
        order_from(topology, from, distance);
}

/* The kernel's numbers of the nodes we may use, in `ids`; how many, at most VL_NODE_INDEX_MAX. */
static unsigned find_nodes(enum vl_numa_mode mode, uint16_t ids[VL_NODE_INDEX_MAX])
{
    struct vl_node_mask allowed = {{0}};
    const unsigned word_bits = 8 * sizeof allowed.words[0];
    unsigned count = 0;
    if (mode == VL_NUMA_OFF || vl_os->allowed_nodes(&allowed) != 0)
        return 0;
    for (unsigned node = 0; node < VL_NODES_MAX && count < VL_NODE_INDEX_MAX; node++)
        if (allowed.words[node / word_bits] >> (node % word_bits) & 1)
            ids[count++] = (uint16_t)node;
    return count;
}

bool vl_topology_has_several(enum vl_numa_mode mode)
{
    uint16_t ids[VL_NODE_INDEX_MAX];
    return find_nodes(mode, ids) > 1;
}

void vl_topology_probe(struct vl_topology *topology, enum vl_numa_mode mode)
{
    topology->count = find_nodes(mode, topology->ids);
    topology->bind = topology->count > 1 && !vl_os->policy_chosen();
    if (topology->bind)
        vl_topology_order(topology, distance_by_number);
    else
        topology->count = 1;
}

void vl_topology_refine(struct vl_topology *topology)
{
#ifdef HAVE_LIBNUMA
    if (topology->count == 1)
        return;
    void *libnuma = dlopen(VL_LIBNUMA_SONAME, RTLD_NOW | RTLD_LOCAL);
    if (libnuma == NULL)
        return;
    vl_distance_fn *distance;
    *(void **)&distance = dlsym(libnuma, "numa_distance");
    if (distance != NULL)
        vl_topology_order(topology, distance);
    /* Not closed: dlclose would run its destructors in a process that may use it by now. */
#else
    (void)topology;
#endif
}

unsigned vl_topology_here(const struct vl_topology *topology)
{
    unsigned cpu, node;
    if (topology->count == 1 || vl_os->where(&cpu, &node) != 0 || node >= VL_NODES_MAX)
        return 0;
    return topology->index_of[node];
}
