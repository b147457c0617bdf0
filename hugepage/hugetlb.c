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

/* The sizes of pages that we use. */
struct kind {
    unsigned shift;
    _Atomic bool useless; /* there are none, or the kernel cannot move them into place */
};
static struct kind huge = {VL_REGION_SHIFT, false}, giant = {VL_GIANT_SHIFT, false};

/* A hook of mmap that allocates comes back here: it gets ordinary memory. */
static _Thread_local bool taking __attribute__((tls_model("initial-exec")));

bool vl_hugetlb_wants_giants(void)
{
    return vl_options.hugepage_mode == VL_HUGEPAGE_GIANT && !vl_get(&giant.useless);
}

/* Pages of the pool with memory, which are to go to a place in a slice; NULL where it is short. */
static void *pages_for(const struct kind *kind, const struct vl_slice *slice, const void *start,
                       size_t size)
{
    void *pages = kind == &huge ? vl_stock_take(slice, size) : NULL;
    if (pages != NULL)
        return pages;
    pages = vl_os->map_hugetlb(size, kind->shift, slice->spread != NULL ? start : NULL);
    if (pages == NULL)
        return NULL;
    vl_slice_bind(slice, pages, size);
    if (vl_os->advise(pages, size, VL_ADVICE_POPULATE) == 0)
        return pages;
    vl_os->unreserve(pages, size);
    return NULL;
}

static enum vl_hugetlb_result try(struct kind *kind, const struct vl_slice *slice, void *start,
                                  size_t size)
{
    void *pages = pages_for(kind, slice, start, size);
    if (pages == NULL)
        return VL_HUGETLB_SHORT;
    if (vl_os->replace(start, pages, size) == 0)
        return VL_HUGETLB_TAKEN;
    vl_set(&kind->useless, true); /* kernels before 5.16 */
    vl_os->unreserve(pages, size);
    bool plugged = vl_os->plug(start, size) == 0 && vl_slice_renew(slice, start, size);
    return plugged ? VL_HUGETLB_SHORT : VL_HUGETLB_LOST;
}

static enum vl_hugetlb_result take(struct kind *kind, const struct vl_slice *slice, void *start,
                                   size_t size)
{
    enum vl_hugetlb_result result = VL_HUGETLB_SHORT;
    if (vl_get(&kind->useless) || taking)
        return result;
    taking = true;
    if (vl_add(&stretches, 1) < STRETCHES_MAX)
        result = try(kind, slice, start, size);
    taking = false;
    if (result != VL_HUGETLB_TAKEN)
        vl_hugetlb_recount(-1);
    return result;
}

enum vl_hugetlb_result vl_hugetlb_take(const struct vl_slice *slice, void *start, size_t size)
{
    return take(&huge, slice, start, size);
}

enum vl_hugetlb_result vl_hugetlb_take_giants(const struct vl_slice *slice, char *start,
                                              size_t size, size_t *got)
{
    enum vl_hugetlb_result result = VL_HUGETLB_SHORT;
    *got = 0;
    if ((uintptr_t)start % VL_GIANT_SIZE != 0)
        return result;
    while (size - *got >= VL_GIANT_SIZE) {
        result = take(&giant, slice, start + *got, VL_GIANT_SIZE);
        if (result != VL_HUGETLB_TAKEN)
            break;
        *got += VL_GIANT_SIZE;
    }
    return result;
}

bool vl_hugetlb_give(const struct vl_slice *slice, void *start, size_t size, unsigned given)
{
    bool renewed = vl_slice_renew(slice, start, size);
    if (renewed)
        vl_hugetlb_recount(-(int)given);
    return renewed;
}

void vl_hugetlb_recount(int more)
{
    vl_add(&stretches, (uint32_t)more);
}

static void set_sizes(struct kind *kind, const long *sizes, int count)
{
    bool found = false;
    for (int i = 0; i < count; i++)
        found = found || sizes[i] == 1l << kind->shift;
    vl_set(&kind->useless, !found);
}

void vl_hugetlb_set_sizes(const long *sizes, int count)
{
    set_sizes(&huge, sizes, count);
    set_sizes(&giant, sizes, count);
}

void vl_hugetlb_report(int fd)
{
    static const char line[] =
        "valloc: VALLOC_HUGEPAGE=hugetlb:1G: this machine has no pages of 1 GB; using hugetlb\n";
    if (vl_options.hugepage_mode == VL_HUGEPAGE_GIANT && vl_get(&giant.useless))
        vl_os_write(fd, line, sizeof line - 1);
}

enum { SIZES_MAX = 16 };

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

/* -1: it cannot be asked. */
static int ask_library(long sizes[SIZES_MAX])
{
    void *library = load_quietly();
    __typeof__(gethugepagesizes) *get_sizes = NULL;
    if (library != NULL)
        *(void **)&get_sizes = dlsym(library, "gethugepagesizes");
    return get_sizes == NULL ? -1 : get_sizes(sizes, SIZES_MAX);
}
#else
static int ask_library(long sizes[SIZES_MAX])
{
    (void)sizes;
    return -1;
}
#endif

/* The kernel has a folder for each size. */
static bool kernel_has(const struct kind *kind)
{
    char path[80], pages[24];
    struct vl_text text = vl_text_on(path, sizeof path);
    vl_text_str(&text, "/sys/kernel/mm/hugepages/hugepages-");
    vl_text_u64(&text, (uint64_t)1 << (kind->shift - 10));
    vl_text_str(&text, "kB/nr_hugepages");
    return vl_os_read_file(path, pages, sizeof pages) != 0;
}

/* -1: it shows none, which may be because that folder is not mounted. */
static int ask_kernel(long sizes[SIZES_MAX])
{
    int count = 0;
    if (kernel_has(&huge))
        sizes[count++] = 1l << huge.shift;
    if (kernel_has(&giant))
        sizes[count++] = 1l << giant.shift;
    return count == 0 ? -1 : count;
}

void vl_hugetlb_refine(void)
{
    long sizes[SIZES_MAX];
    int count = ask_library(sizes);
    if (count < 0)
        count = ask_kernel(sizes);
    if (count >= 0)
        vl_hugetlb_set_sizes(sizes, count);
}
