#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "numa/topology.h"

#ifdef HAVE_LIBNUMA
#include <dlfcn.h>
#endif

VL_SPARSE_DATA struct vl_topology vl_topology = {.count = 1};

/* Where nothing better is known: neighbours in number are neighbours. */
static int distance_by_number(int from, int to)
{
    return 10 + (from < to ? to - from : from - to);
}

static void order_from(struct vl_topology *topology, unsigned from, vl_distance_fn *distance)
{
    uint8_t *order = topology->nearest[from];
    for (unsigned i = 0; i < topology->known; i++) {
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
    for (unsigned i = 0; i < topology->known; i++) {
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
    for (unsigned from = 0; from < topology->known; from++)
        order_from(topology, from, distance);
}

/* The nodes we may use; none where the kernel does not tell. */
static void find_allowed(enum vl_numa_mode mode, struct vl_node_mask *allowed)
{
    *allowed = (struct vl_node_mask){{0}};
    if (mode != VL_NUMA_OFF)
        (void)vl_os->allowed_nodes(allowed); /* what fails writes nothing */
}

/* The kernel's numbers of them, in `ids`; how many, at most VL_NODE_INDEX_MAX. */
static unsigned number_nodes(const struct vl_node_mask *allowed, uint16_t ids[VL_NODE_INDEX_MAX])
{
    const unsigned word_bits = 8 * sizeof allowed->words[0];
    unsigned count = 0;
    for (unsigned word = 0; word < VL_NODES_MAX / word_bits; word++)
        for (uint64_t left = allowed->words[word]; left != 0; left &= left - 1)
            if (count < VL_NODE_INDEX_MAX)
                ids[count++] = (uint16_t)(word * word_bits + vl_lowest_bit(left));
    return count;
}

bool vl_topology_has_several(enum vl_numa_mode mode)
{
    uint16_t ids[VL_NODE_INDEX_MAX];
    struct vl_node_mask allowed;
    find_allowed(mode, &allowed);
    return number_nodes(&allowed, ids) > 1;
}

void vl_topology_probe(struct vl_topology *topology, enum vl_numa_mode mode)
{
    find_allowed(mode, &topology->allowed);
    topology->known = number_nodes(&topology->allowed, topology->ids);
    topology->chosen = topology->known > 1 && vl_os->policy_chosen() != 0;
    topology->bind = topology->known > 1 && !topology->chosen;
    topology->count = topology->bind ? topology->known : 1;
    if (topology->known > 1)
        vl_topology_order(topology, distance_by_number);
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

unsigned vl_topology_near(const struct vl_topology *topology)
{
    unsigned cpu, node;
    if (vl_os->where(&cpu, &node) != 0 || node >= VL_NODES_MAX)
        return 0;
    return topology->index_of[node];
}

unsigned vl_topology_here(const struct vl_topology *topology)
{
    return topology->count == 1 ? 0 : vl_topology_near(topology);
}
