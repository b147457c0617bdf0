#include "numa/census.h"

#include <string.h>

enum {
    PAGES_ASKED = 16384,      /* in all; beyond, a heap is known by samples */
    PAGES_OF_SLICE_MIN = 256, /* of a slice that is a small part of it */
    PAGES_AT_ONCE = 64,       /* in one call; their addresses lie on the stack */
};

/* Pages that lie on each node; the last: on one that has no heap. */
struct tally {
    uint64_t on[VL_NODE_INDEX_MAX + 1];
};

size_t vl_census_page(size_t nth, size_t count, size_t pages)
{
    size_t first = nth * pages / count, end = (nth + 1) * pages / count;
    /* Not at equal distances: these might be those of something in the heap. */
    size_t spread = (uint32_t)nth * UINT32_C(2654435761) >> 8;
    return first + spread % (end - first);
}

static size_t pages_of(const struct vl_slice *slice)
{
    bool hidden = vl_get_acquire(&slice->size) == 0;
    return hidden ? 0 : vl_get_acquire(&slice->writable) / vl_os_page_size;
}

static size_t pages_of_all(void)
{
    size_t pages = 0;
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++)
        pages += pages_of(&vl_slices[i]);
    return pages;
}

/* How many pages of a slice are asked about. */
static size_t sample_of(size_t pages, size_t in_all)
{
    size_t share =
        in_all <= PAGES_ASKED ? pages : (size_t)((double)pages / (double)in_all * PAGES_ASKED);
    return vl_min(pages, vl_max(share, PAGES_OF_SLICE_MIN));
}

/* Index of one of the kernel's nodes, if that has a heap. */
static unsigned index_of(int node)
{
    unsigned index = node < VL_NODES_MAX ? vl_topology.index_of[node] : 0;
    return vl_topology.ids[index] == node ? index : VL_NODE_INDEX_MAX;
}

static bool ask(struct vl_census *census, const void *const *pages, size_t count,
                struct tally *tally)
{
    int nodes[PAGES_AT_ONCE];
    if (vl_os->nodes_of(pages, nodes, count) != 0)
        return false;
    census->pages_asked += count;
    for (size_t i = 0; i < count; i++)
        if (nodes[i] >= 0) {
            census->pages_found++;
            tally->on[index_of(nodes[i])]++;
        }
    return true;
}

/* Adds the bytes of a slice that lie on each node; each page asked about stands for as many as the others. */
static bool ask_slice(struct vl_census *census, const struct vl_slice *slice, size_t in_all,
                      struct tally *bytes)
{
    const void *pages[PAGES_AT_ONCE];
    struct tally found = {{0}};
    size_t size = pages_of(slice), count = sample_of(size, in_all), step;
    const char *start = (const char *)vl_get(&slice->start);
    for (size_t done = 0; done < count; done += step) {
        step = vl_min(count - done, PAGES_AT_ONCE);
        for (size_t i = 0; i < step; i++)
            pages[i] = start + vl_census_page(done + i, count, size) * vl_os_page_size;
        if (!ask(census, pages, step, &found))
            return false;
    }
    for (unsigned i = 0; count != 0 && i <= VL_NODE_INDEX_MAX; i++)
        bytes->on[i] += found.on[i] * (size * vl_os_page_size) / count;
    return true;
}

/* All slices of a kind, and of a node where those have one. */
static bool ask_slices(struct vl_census *census, enum vl_slice_kind kind, unsigned node,
                       size_t in_all, struct tally *bytes)
{
    memset(bytes, 0, sizeof *bytes);
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++) {
        const struct vl_slice *slice = &vl_slices[i];
        if (slice->kind == kind && (!vl_slice_has_regions(slice) || slice->node == node) &&
            !ask_slice(census, slice, in_all, bytes))
            return false;
    }
    for (unsigned i = 0; i < vl_topology.count; i++)
        census->nodes[i].here += bytes->on[i];
    return true;
}

static void note_away(struct vl_census_node *node, unsigned self, const struct tally *bytes)
{
    uint64_t most = 0;
    for (unsigned i = 0; i <= VL_NODE_INDEX_MAX; i++) {
        node->held += bytes->on[i];
        node->away += i != self ? bytes->on[i] : 0;
        if (i != self && bytes->on[i] > most) {
            most = bytes->on[i];
            node->away_node = i < VL_NODE_INDEX_MAX ? vl_topology.ids[i] : -1;
        }
    }
}

static bool ask_big(struct vl_census *census, size_t in_all, struct tally *bytes)
{
    if (!ask_slices(census, VL_SLICE_BIG, 0, in_all, bytes))
        return false;
    for (unsigned node = 0; node < vl_topology.count; node++)
        census->nodes[node].here_free = bytes->on[node];
    if (!ask_slices(census, VL_SLICE_PLACED, 0, in_all, bytes))
        return false;
    for (unsigned node = 0; node < vl_topology.count; node++)
        census->nodes[node].here_big = census->nodes[node].here_free + bytes->on[node];
    return true;
}

static bool ask_all(struct vl_census *census)
{
    struct tally bytes;
    size_t in_all = pages_of_all();
    for (unsigned node = 0; node < vl_topology.count; node++) {
        census->nodes[node].away_node = -1;
        if (!ask_slices(census, VL_SLICE_OBJECT, node, in_all, &bytes) ||
            !ask_slices(census, VL_SLICE_NODE, node, in_all, &bytes))
            return false;
        note_away(&census->nodes[node], node, &bytes);
    }
    return ask_big(census, in_all, &bytes);
}

void vl_census_take(struct vl_census *census)
{
    memset(census, 0, sizeof *census);
    if (ask_all(census))
        census->known = true;
    else
        memset(census, 0, sizeof *census);
}
