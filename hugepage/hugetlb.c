#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "hugepage/hugetlb.h"

#include "hugepage/stock.h"

#ifdef HAVE_LIBHUGETLBFS
#include <dlfcn.h>
#include <hugetlbfs.h>
#include <sys/single_threaded.h>
#include <unistd.h>
#endif

/* Stretches of this process that there may be; each may cost two of its mappings. */
enum { STRETCHES_MAX = 1 << 14 };

static _Atomic uint32_t stretches;

/* There are no such pages, or the kernel cannot move them into place: no use to try. */
static _Atomic bool useless;

/* A hook of mmap that allocates comes back here: it gets ordinary memory. */
static _Thread_local bool taking __attribute__((tls_model("initial-exec")));

/* Pages of the pool with memory, of a slice but not in it yet; NULL where it is short. */
static void *pages_for(const struct vl_slice *slice, size_t size)
{
    void *pages = vl_stock_take(slice, size);
    if (pages != NULL)
        return pages;
    pages = vl_os->map_hugetlb(size, VL_REGION_SHIFT);
    if (pages == NULL)
        return NULL;
    vl_slice_bind(slice, pages, size);
    if (vl_os->advise(pages, size, VL_ADVICE_POPULATE) == 0)
        return pages;
    vl_os->unreserve(pages, size);
    return NULL;
}

static enum vl_hugetlb_result try(const struct vl_slice *slice, void *start, size_t size)
{
    void *pages = pages_for(slice, size);
    if (pages == NULL)
        return VL_HUGETLB_SHORT;
    if (vl_os->replace(start, pages, size) == 0)
        return VL_HUGETLB_TAKEN;
    vl_set(&useless, true); /* kernels before 5.16 */
    vl_os->unreserve(pages, size);
    bool plugged = vl_os->plug(start, size) == 0 && vl_slice_renew(slice, start, size);
    return plugged ? VL_HUGETLB_SHORT : VL_HUGETLB_LOST;
}

enum vl_hugetlb_result vl_hugetlb_take(const struct vl_slice *slice, void *start, size_t size)
{
    enum vl_hugetlb_result result = VL_HUGETLB_SHORT;
    if (vl_get(&useless) || taking)
        return result;
    taking = true;
    if (vl_add(&stretches, 1) < STRETCHES_MAX)
        result = try(slice, start, size);
    taking = false;
    if (result != VL_HUGETLB_TAKEN)
        vl_hugetlb_recount(-1);
    return result;
}

bool vl_hugetlb_give(const struct vl_slice *slice, void *start, size_t size)
{
    bool given = vl_slice_renew(slice, start, size);
    if (given)
        vl_hugetlb_recount(-1);
    return given;
}

void vl_hugetlb_recount(int more)
{
    vl_add(&stretches, (uint32_t)more);
}

void vl_hugetlb_set_sizes(const long *sizes, int count)
{
    bool found = false;
    for (int i = 0; i < count; i++)
        found = found || sizes[i] == (long)VL_REGION_SIZE;
    vl_set(&useless, !found);
}

#ifdef HAVE_LIBHUGETLBFS
/*
 * libhugetlbfs follows variables of its own when it is loaded (HUGETLB_*): it prints, and may remap
 * the program. It is to tell us sizes and no more, so it finds an environment that tells it to be
 * quiet. Other threads would find that, too; where there are any, nobody is asked.
 */
static void *load_quietly(void)
{
    static char quiet[] = "HUGETLB_VERBOSE=0";
    static char *quiet_environment[2];
    if (!__libc_single_threaded)
        return NULL;
    char **environment = environ;
    quiet_environment[0] = quiet;
    environ = quiet_environment;
    void *library = dlopen(VL_LIBHUGETLBFS_SONAME, RTLD_NOW | RTLD_LOCAL);
    environ = environment;
    return library; /* never closed, as somebody else may use it by then */
}
#endif

void vl_hugetlb_refine(void)
{
#ifdef HAVE_LIBHUGETLBFS
    enum { SIZES_MAX = 16 };
    long sizes[SIZES_MAX];
    void *library = load_quietly();
    __typeof__(gethugepagesizes) *get_sizes = NULL;
    if (library != NULL)
        *(void **)&get_sizes = dlsym(library, "gethugepagesizes");
    int count = get_sizes == NULL ? -1 : get_sizes(sizes, SIZES_MAX);
    if (count >= 0)
        vl_hugetlb_set_sizes(sizes, count);
#endif
}
