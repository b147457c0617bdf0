#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cache/init.h"

#include "cache/counters.h"
#include "cache/fork.h"
#include "cache/layout.h"
#include "cache/report.h"
#include "cache/reserve.h"
#include "cache/thread.h"

#include <stdlib.h>
#include <sys/auxv.h>

extern char **environ;

VL_LAYOUT_NOTE;

static _Atomic bool ready;
static struct vl_turn start_turn;
static _Thread_local bool starting __attribute__((tls_model("initial-exec")));
static bool options_loaded;

/* Caches that can be made, and magazines for each; as many as fit into 1/32 of the address space
 * where ulimit -v bounds that. Only address space is spent on those never made. */
enum { CACHES_MAX = 1 << 18, CACHES_MIN = 1 << 6, MAGAZINES_PER_CACHE = 16, POOLS_SHARE = 32 };

static void load_options(void)
{
    if (options_loaded || environ == NULL)
        return;
    vl_options_load(&vl_options, environ, getauxval(AT_SECURE) != 0);
    if (vl_options.bind_mode != VL_BIND_NONE)
        vl_binding_start(environ);
    options_loaded = true;
}

static bool reserve_pools(uint32_t caches)
{
    uint32_t magazines = caches * MAGAZINES_PER_CACHE;
    size_t magazine_space = vl_pool_space(VL_MAGAZINE_SHIFT, magazines);
    size_t total = magazine_space + vl_pool_space(VL_CACHE_SHIFT, caches);
    char *space = vl_os->reserve(total);
    if (space == NULL)
        return false;
    vl_os->advise(space, total, VL_ADVICE_SMALL); /* used from the front, and little of it */
    vl_pool_start(&vl_magazine_pool, space, VL_MAGAZINE_SHIFT, magazines);
    vl_pool_start(&vl_cache_pool, space + magazine_space, VL_CACHE_SHIFT, caches);
    return true;
}

static void start_pools(void)
{
    size_t per_cache = vl_pool_space(VL_CACHE_SHIFT, 1) +
                       vl_pool_space(VL_MAGAZINE_SHIFT, MAGAZINES_PER_CACHE);
    uint64_t share = vl_os->address_limit() / POOLS_SHARE / per_cache;
    uint32_t caches = (uint32_t)vl_max(CACHES_MIN, vl_min(share, CACHES_MAX));
    while (!reserve_pools(caches) && caches > CACHES_MIN)
        caches /= 2;
}

static void start_everything(void)
{
    vl_os_start();
    load_options();
    vl_counters_start();
    start_pools();
    vl_place_start();
    vl_reserve_start();
    vl_heap_start();
    vl_cache_start();
}

static bool start_slowly(void)
{
    if (starting)
        return false;
    if (vl_turn_take(&start_turn)) {
        starting = true;
        if (!vl_started()) /* another's turn may have come and gone since the caller looked */
            start_everything();
        starting = false;
        vl_set_release(&ready, true);
        vl_turn_end(&start_turn);
        vl_fork_start();
    }
    return true;
}

bool vl_started(void)
{
    return vl_get_acquire(&ready);
}

bool vl_start(void)
{
    vl_fork_notice();
    return vl_likely(vl_started()) || start_slowly();
}

void vl_start_after_fork(void)
{
    vl_turn_reset(&start_turn, starting);
}

/* Standard error as it was at the start: a program may have closed it by its end, as coreutils do, and
 * its number may be a file's. */
static struct vl_os_output report_output;

static void on_exit_report(void)
{
    if (vl_os_is_output(&report_output))
        vl_report_at_exit(report_output.fd);
}

void vl_start_late(void)
{
    static _Atomic bool done;
    if (atomic_exchange(&done, true))
        return;
    load_options();
    /* Several nodes: libnuma is asked now, before there are threads that read the answers. */
    if (vl_topology_has_several(vl_options.numa_mode) && vl_start())
        vl_topology_refine(&vl_topology);
    if (vl_hugetlb_wanted() && vl_start())
        vl_hugetlb_refine();
    vl_fork_start();
    /* What has nothing to say is not called: its code need not come into memory. */
    bool talks = vl_options.help || vl_options.verbose;
    if (talks || vl_options.rejected_count != 0)
        vl_options_report(&vl_options, 2);
    if (talks && vl_placement_is_asked() && vl_start())
        vl_report_policy(2);
    if (vl_hugetlb_wanted())
        vl_hugetlb_report(2);
    if (vl_options.stats_mode != VL_STATS_OFF && vl_os_keep_output(&report_output, 2))
        atexit(on_exit_report);
}

__attribute__((constructor)) static void construct(void)
{
    vl_start_late();
}
