#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cache/stats.h"

#include "cache/central.h"
#include "cache/init.h"
#include "cache/thread.h"

#include <string.h>
#include <unistd.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unversioned"
#endif

/* Objects of `class` that lie in the depots and caches of all threads. */
static uint64_t cached_objects(unsigned class)
{
    uint64_t objects = 0;
    const struct vl_heap *heap;
    for (uint32_t number = 0; (heap = vl_heap_at(number)) != NULL; number++)
        objects += vl_idstack_count(vl_get(&heap->depots[class].full.word)) *
                   (uint64_t)vl_size_classes[class].capacity;
    for (uint32_t id = 1; id < vl_pool_end(&vl_cache_pool); id++)
        objects += vl_cache_count(vl_pool_item(&vl_cache_pool, id), class);
    return objects;
}

static uint64_t below_zero_is_zero(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0; /* sums taken at different moments may cross */
}

static void add_class(struct vl_stats *stats, unsigned class, uint64_t *span_pages)
{
    const struct vl_size_class *c = &vl_size_classes[class];
    uint64_t taken = 0;
    const struct vl_heap *heap;
    for (uint32_t number = 0; (heap = vl_heap_at(number)) != NULL; number++) {
        const struct vl_central *central = &heap->centrals[class];
        uint64_t spans = vl_get(&central->spans), free = vl_get(&central->objects_free);
        taken += below_zero_is_zero(spans * c->objects, free);
        stats->span_free_bytes += free * c->size;
        *span_pages += spans * c->span_pages;
    }
    if (taken == 0)
        return;
    uint64_t cached = cached_objects(class);
    uint64_t used = below_zero_is_zero(taken, cached);
    stats->small_blocks += used;
    stats->small_bytes += used * c->size;
    stats->cached_blocks += cached;
    stats->cached_bytes += cached * c->size;
}

/* Objects that are free, but still on the way to their node. */
static void add_remote(struct vl_stats *stats)
{
    uint64_t blocks = 0, bytes = 0;
    for (uint32_t id = 1; id < vl_pool_end(&vl_cache_pool); id++) {
        const struct vl_cache *cache = vl_pool_item(&vl_cache_pool, id);
        blocks += vl_get(&cache->sent_blocks);
        bytes += vl_get(&cache->sent_bytes);
    }
    blocks = below_zero_is_zero(blocks, vl_get(&vl_arrived_blocks));
    bytes = below_zero_is_zero(bytes, vl_get(&vl_arrived_bytes));
    stats->cached_blocks += blocks;
    stats->cached_bytes += bytes;
    stats->small_blocks = below_zero_is_zero(stats->small_blocks, blocks);
    stats->small_bytes = below_zero_is_zero(stats->small_bytes, bytes);
}

static void add_page_heap(struct vl_stats *stats, const struct vl_page_heap *heap,
                          uint64_t *pages_used)
{
    *pages_used += vl_get(&heap->pages_used);
    stats->regions_active += vl_get(&heap->regions_active);
    stats->regions_empty += vl_get(&heap->regions_empty);
    stats->regions_clean += vl_get(&heap->regions_clean);
    stats->purged_bytes += vl_get(&heap->purged_bytes);
    stats->hugetlb_bytes += vl_get(&heap->hugetlb_bytes);
    stats->hugetlb_refused += vl_get(&heap->hugetlb_refused);
}

static void add_big_heap(struct vl_stats *stats, const struct vl_big_heap *heap)
{
    stats->big_bytes += vl_get(&heap->bytes_used);
    stats->big_blocks += vl_get(&heap->blocks_used);
    stats->big_kept_bytes += vl_get(&heap->bytes_dirty);
    stats->purged_bytes += vl_get(&heap->purged_bytes);
    stats->hugetlb_bytes += vl_get(&heap->hugetlb_bytes);
    stats->hugetlb_refused += vl_get(&heap->hugetlb_refused);
}

void vl_stats_take(struct vl_stats *stats)
{
    uint64_t pages_used = 0, span_pages = 0;
    memset(stats, 0, sizeof *stats);
    for (unsigned class = 1; class < VL_CLASSES; class++)
        add_class(stats, class, &span_pages);
    add_remote(stats);
    for (uint32_t i = 0; i < vl_get_acquire(&vl_slice_count); i++) {
        stats->heap_bytes += vl_get(&vl_slices[i].writable);
        if (vl_slice_has_regions(&vl_slices[i]))
            add_page_heap(stats, &vl_page_heaps[i], &pages_used);
        else
            add_big_heap(stats, &vl_big_heaps[i]);
    }
    const struct vl_heap *heap;
    for (uint32_t number = 0; (heap = vl_heap_at(number)) != NULL; number++)
        pages_used += below_zero_is_zero(vl_get(&heap->holding.pages_used),
                                         vl_get(&heap->holding.big_pages));
    stats->run_bytes = below_zero_is_zero(pages_used, span_pages) << VL_PAGE_SHIFT;
    uint32_t end = vl_pool_end(&vl_cache_pool);
    stats->caches = end == 0 ? 0 : end - 1;
    stats->nodes = vl_topology.count;
}

/* A figure in kB from /proc/self/smaps_rollup, in bytes. */
static uint64_t rollup_figure(const char *rollup, const char *name)
{
    const char *at = strstr(rollup, name);
    uint64_t kb = 0;
    if (at == NULL)
        return 0;
    for (at += strlen(name); *at == ' '; at++) {
    }
    for (; *at >= '0' && *at <= '9'; at++)
        kb = kb * 10 + (uint64_t)(*at - '0');
    return kb << 10;
}

struct resident {
    uint64_t peak, now, huge;
};

static struct resident resident(void)
{
    char rollup[2048];
    vl_os_read_file("/proc/self/smaps_rollup", rollup, sizeof rollup);
    uint64_t now = rollup_figure(rollup, "\nRss:");
    return (struct resident){vl_max(vl_os_peak_bytes(), now), now,
                             rollup_figure(rollup, "\nAnonHugePages:")};
}

static void item(struct vl_text *text, const char *before, uint64_t bytes, const char *after)
{
    vl_text_str(text, before);
    vl_text_bytes(text, bytes);
    vl_text_str(text, after);
}

static void counted(struct vl_text *text, uint64_t count, const char *noun)
{
    vl_text_u64(text, count);
    vl_text_char(text, ' ');
    vl_text_str(text, noun);
    vl_text_str(text, count == 1 ? "" : "s");
}

void vl_stats_print(int fd)
{
    char buffer[1024];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct resident r = resident();
    struct vl_stats s;
    vl_stats_take(&s);
    item(&text, "valloc " PACKAGE_VERSION ": peak ", r.peak, " resident; now ");
    item(&text, "", r.now, ", ");
    vl_text_percent(&text, r.huge, r.now);
    vl_text_str(&text, " of it in huge pages; ");
    counted(&text, s.nodes, "node");
    vl_text_str(&text, ", ");
    counted(&text, s.caches, "thread cache");
    item(&text, "\nvalloc: in use ", vl_stats_used(&s), ": small ");
    item(&text, "", s.small_bytes, " in ");
    counted(&text, s.small_blocks, "block");
    item(&text, ", runs ", s.run_bytes, ", big ");
    item(&text, "", s.big_bytes, " in ");
    counted(&text, s.big_blocks, "block");
    item(&text, "\nvalloc: free: in caches ", s.cached_bytes, ", in spans ");
    item(&text, "", s.span_free_bytes, ", in empty regions ");
    item(&text, "", s.regions_empty << VL_REGION_SHIFT, ", of big blocks ");
    item(&text, "", s.big_kept_bytes, "; returned so far ");
    item(&text, "", s.purged_bytes, "");
    if (vl_hugetlb_wanted() || s.hugetlb_bytes != 0) {
        item(&text, "\nvalloc: hugetlb: ", s.hugetlb_bytes, ", ");
        counted(&text, s.hugetlb_refused, "fallback");
    }
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
}

void vl_stats_tell_hugepages(struct vl_text *text, const struct vl_holding *holding)
{
    struct resident r = resident();
    struct vl_stats s;
    vl_stats_take(&s);
    item(text, "hp_malloc: ", vl_get(&holding->pages_used) << VL_PAGE_SHIFT, " in use of ");
    item(text, "", vl_holding_bytes(holding), ", ");
    counted(text, vl_get(&holding->big_blocks), "big block");
    item(text, "\nhp_malloc: the process has ", s.hugetlb_bytes, " of the kernel's pool (");
    counted(text, s.hugetlb_refused, "fallback");
    item(text, ") and ", r.huge, " in transparent huge pages, of ");
    item(text, "", r.now + s.hugetlb_bytes, "\n");
}

void vl_stats_print_json(int fd)
{
    char buffer[1536];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct resident r = resident();
    struct vl_stats s;
    vl_stats_take(&s);
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {
        {"peak_resident_bytes", r.peak}, {"resident_bytes", r.now}, {"huge_bytes", r.huge},
        {"used_bytes", vl_stats_used(&s)}, {"small_bytes", s.small_bytes},
        {"small_blocks", s.small_blocks}, {"run_bytes", s.run_bytes}, {"big_bytes", s.big_bytes},
        {"big_blocks", s.big_blocks}, {"cached_bytes", s.cached_bytes},
        {"cached_blocks", s.cached_blocks}, {"span_free_bytes", s.span_free_bytes},
        {"big_kept_bytes", s.big_kept_bytes}, {"regions_active", s.regions_active},
        {"regions_empty", s.regions_empty}, {"regions_clean", s.regions_clean},
        {"heap_bytes", s.heap_bytes}, {"purged_bytes", s.purged_bytes},
        {"hugetlb_bytes", s.hugetlb_bytes}, {"hugetlb_fallbacks", s.hugetlb_refused},
        {"thread_caches", s.caches}, {"nodes", s.nodes},
    };
    vl_text_str(&text, "{\"valloc\": \"" PACKAGE_VERSION "\"");
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        vl_text_str(&text, ", \"");
        vl_text_str(&text, figures[i].name);
        vl_text_str(&text, "\": ");
        vl_text_u64(&text, figures[i].value);
    }
    vl_text_str(&text, "}");
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
}

void vl_stats_at_exit(int fd)
{
    bool asked = vl_options.stats_pid == 0 || vl_options.stats_pid == (uint32_t)getpid();
    if (!asked || !vl_start())
        return;
    if (vl_options.stats_mode == VL_STATS_SUMMARY)
        vl_stats_print(fd);
    else if (vl_options.stats_mode == VL_STATS_JSON)
        vl_stats_print_json(fd);
}
