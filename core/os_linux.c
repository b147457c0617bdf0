#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/os.h"

#include "core/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

const struct vl_os *vl_os = &vl_os_linux;
size_t vl_os_page_size = 4096;
_Atomic uint64_t vl_os_maps, vl_os_unmaps;

/* Runs `call`, gives 0 or -errno, and leaves errno as it was. */
#define QUIETLY(call)                                                                             \
    ({                                                                                            \
        int errno_before = errno;                                                                 \
        int result = (call) ? 0 : -errno;                                                         \
        errno = errno_before;                                                                     \
        result;                                                                                   \
    })

void vl_os_start(void)
{
    unsigned long size = getauxval(AT_PAGESZ);
    if (size != 0)
        vl_os_page_size = size;
}

/* Far from the numbers that programs choose, where that many are allowed. */
enum { OUTPUT_FD_MIN = 200 };

static bool identify(struct vl_os_output *output)
{
    struct stat file;
    if (QUIETLY(fstat(output->fd, &file) == 0) != 0)
        return false;
    output->device = file.st_dev;
    output->file = file.st_ino;
    return true;
}

bool vl_os_keep_output(struct vl_os_output *output, int fd)
{
    output->fd = -1;
    for (int least = OUTPUT_FD_MIN; output->fd < 0 && least > 2; least -= OUTPUT_FD_MIN - 3)
        (void)QUIETLY((output->fd = fcntl(fd, F_DUPFD_CLOEXEC, least)) >= 0);
    return output->fd >= 0 && identify(output);
}

bool vl_os_is_output(const struct vl_os_output *output)
{
    struct vl_os_output now = {.fd = output->fd};
    return identify(&now) && now.device == output->device && now.file == output->file;
}

long vl_os_write(int fd, const char *data, size_t size)
{
    int errno_before = errno;
    size_t done = 0;
    while (done < size) {
        ssize_t count = write(fd, data + done, size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    errno = errno_before;
    return (long)done;
}

size_t vl_os_read_file(const char *path, char *buffer, size_t size)
{
    int errno_before = errno;
    size_t done = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && done < size - 1) {
        ssize_t count = read(fd, buffer + done, size - 1 - done);
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    if (fd >= 0)
        close(fd);
    buffer[done] = '\0';
    errno = errno_before;
    return done;
}

uint64_t vl_os_peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

static void *map(void *start, size_t size, int access, int flags)
{
    vl_add(&vl_os_maps, 1);
    return mmap(start, size, access, flags, -1, 0);
}

static void *os_reserve(size_t size)
{
    void *start = MAP_FAILED;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    (void)QUIETLY((start = map(NULL, size, PROT_NONE, flags)) != MAP_FAILED);
    return start == MAP_FAILED ? NULL : start;
}

static int os_unreserve(void *start, size_t size)
{
    vl_add(&vl_os_unmaps, 1);
    return QUIETLY(munmap(start, size) == 0);
}

static int os_protect(void *start, size_t size, enum vl_access access)
{
    static const int bits[] = {
        [VL_ACCESS_NONE] = PROT_NONE,
        [VL_ACCESS_READ] = PROT_READ,
        [VL_ACCESS_WRITE] = PROT_READ | PROT_WRITE,
    };
    return QUIETLY(mprotect(start, size, bits[access]) == 0);
}

static int os_advise(void *start, size_t size, enum vl_advice advice)
{
    static const int names[] = {
        [VL_ADVICE_HUGE] = MADV_HUGEPAGE,
        [VL_ADVICE_SMALL] = MADV_NOHUGEPAGE,
        [VL_ADVICE_DISCARD] = MADV_DONTNEED,
        [VL_ADVICE_COLLAPSE] = MADV_COLLAPSE,
        [VL_ADVICE_WIPE] = MADV_WIPEONFORK,
        [VL_ADVICE_POPULATE] = MADV_POPULATE_WRITE,
    };
    return QUIETLY(madvise(start, size, names[advice]) == 0);
}

static int os_renew(void *start, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    return QUIETLY(map(start, size, PROT_READ | PROT_WRITE, flags) != MAP_FAILED);
}

static int os_plug(void *start, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    return QUIETLY(map(start, size, PROT_READ | PROT_WRITE, flags) == start);
}

static int os_move(void *from, size_t size, void *to)
{
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    return QUIETLY(mremap(from, size, size, flags, to) != MAP_FAILED);
}

static int os_bind(void *start, size_t size, unsigned node, bool move)
{
    struct vl_node_mask mask = {{0}};
    const unsigned word_bits = 8 * sizeof mask.words[0];
    if (node >= VL_NODES_MAX)
        return -EINVAL;
    mask.words[node / word_bits] = 1ul << (node % word_bits);
    /* The kernel takes one bit less than it is told. */
    return QUIETLY(syscall(SYS_mbind, start, size, MPOL_PREFERRED, mask.words,
                           (unsigned long)VL_NODES_MAX + 1, move ? MPOL_MF_MOVE : 0) == 0);
}

/* Not with MAP_NORESERVE: after a fork, the parent could not write without more pages. */
static void *os_map_hugetlb(size_t size, unsigned page_shift)
{
    void *start = MAP_FAILED;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (int)(page_shift << MAP_HUGE_SHIFT);
    (void)QUIETLY((start = map(NULL, size, PROT_READ | PROT_WRITE, flags)) != MAP_FAILED);
    return start == MAP_FAILED ? NULL : start;
}

static int os_replace(void *to, void *from, size_t size)
{
    return QUIETLY(mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED);
}

static int os_where(unsigned *cpu, unsigned *node)
{
    return QUIETLY(getcpu(cpu, node) == 0);
}

static int os_node_of(const void *address)
{
    int node = -1;
    const void *page = address;
    if (QUIETLY(syscall(SYS_move_pages, 0, 1ul, &page, NULL, &node, 0) == 0) != 0)
        return -1;
    return node < 0 ? -1 : node;
}

static int os_allowed_nodes(struct vl_node_mask *mask)
{
    return QUIETLY(syscall(SYS_get_mempolicy, NULL, mask->words, (unsigned long)VL_NODES_MAX, NULL,
                           MPOL_F_MEMS_ALLOWED) == 0);
}

static int os_policy_chosen(void)
{
    int mode = MPOL_DEFAULT;
    if (QUIETLY(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) == 0) != 0)
        return 0;
    return mode != MPOL_DEFAULT && mode != MPOL_LOCAL;
}

static uint64_t os_memory_bytes(void)
{
    struct sysinfo info;
    return QUIETLY(sysinfo(&info) == 0) == 0 ? (uint64_t)info.totalram * info.mem_unit : 0;
}

static uint64_t os_address_limit(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    (void)QUIETLY(getrlimit(RLIMIT_AS, &limit) == 0);
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

static uint64_t os_clock_ms(void)
{
    struct timespec now = {0, 0};
    (void)QUIETLY(clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void os_wait(const void *word, uint32_t expected)
{
    (void)QUIETLY(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0) == 0);
}

static void os_wake(const void *word, int count)
{
    (void)QUIETLY(syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0) == 0);
}

static void os_yield(void)
{
    (void)QUIETLY(sched_yield() == 0);
}

const struct vl_os vl_os_linux = {
    .reserve = os_reserve,
    .unreserve = os_unreserve,
    .protect = os_protect,
    .advise = os_advise,
    .renew = os_renew,
    .plug = os_plug,
    .move = os_move,
    .bind = os_bind,
    .map_hugetlb = os_map_hugetlb,
    .replace = os_replace,
    .where = os_where,
    .node_of = os_node_of,
    .allowed_nodes = os_allowed_nodes,
    .policy_chosen = os_policy_chosen,
    .memory_bytes = os_memory_bytes,
    .address_limit = os_address_limit,
    .clock_ms = os_clock_ms,
    .wait = os_wait,
    .wake = os_wake,
    .yield = os_yield,
};
