#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/os.h"

#include "core/atomic.h"
#include "core/geometry.h"
#include "core/sections.h"
#include "core/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
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
/* Enumerators of newer kernels' headers. */
enum { MODE_PREFERRED_MANY = 5, MODE_WEIGHTED_INTERLEAVE = 6 };

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

/* A pipe without a reader raises SIGPIPE; one that was pending before stays so. */
void vl_os_say(int fd, const char *data, size_t size)
{
    int errno_before = errno;
    sigset_t pipe, before, pending;
    struct pollfd output = {.fd = fd, .events = POLLOUT};
    struct timespec now = {0, 0};
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    if (syscall(SYS_ppoll, &output, 1ul, &now, NULL, 0ul) == 1 && (output.revents & POLLOUT) != 0 &&
        syscall(SYS_write, fd, data, size) < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE))
        syscall(SYS_rt_sigtimedwait, &pipe, NULL, &now, 8ul);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = errno_before;
}

/* Not libc's functions, which are points where a thread may be cancelled: malloc is none. */
static int open_to_read(const char *path)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

static ssize_t read_some(int fd, char *buffer, size_t size)
{
    return (ssize_t)syscall(SYS_read, fd, buffer, size);
}

static void close_read(int fd)
{
    if (fd >= 0)
        syscall(SYS_close, fd);
}

size_t vl_os_read_file(const char *path, char *buffer, size_t size)
{
    int errno_before = errno;
    size_t done = 0;
    int fd = open_to_read(path);
    while (fd >= 0 && done < size - 1) {
        ssize_t count = read_some(fd, buffer + done, size - 1 - done);
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    close_read(fd);
    buffer[done] = '\0';
    errno = errno_before;
    return done;
}

/* A file's lines as they come. On the stack of whoever allocates: it may be small. */
struct line_reader {
    char text[512];
    size_t length;
    bool skips; /* what is left of a line of which the beginning was told */
    void (*tell)(const char *line, void *argument);
    void *argument;
};

static void tell_line(struct line_reader *reader, size_t start, size_t end)
{
    reader->text[end] = '\0';
    if (!reader->skips)
        reader->tell(reader->text + start, reader->argument);
}

/* Tells the lines that have ended, and of one that does not fit its beginning. */
static void tell_lines(struct line_reader *reader)
{
    size_t start = 0;
    for (size_t at = 0; at < reader->length; at++)
        if (reader->text[at] == '\n') {
            tell_line(reader, start, at);
            reader->skips = false;
            start = at + 1;
        }
    if (start == 0 && reader->length == sizeof reader->text - 1) {
        tell_line(reader, 0, reader->length);
        reader->skips = true;
        start = reader->length;
    }
    memmove(reader->text, reader->text + start, reader->length -= start);
}

void vl_os_read_lines(const char *path, void (*line)(const char *, void *), void *argument)
{
    struct line_reader reader = {.tell = line, .argument = argument};
    ssize_t count = 0;
    int errno_before = errno;
    int fd = open_to_read(path);
    while (fd >= 0 && (count = read_some(fd, reader.text + reader.length,
                                         sizeof reader.text - 1 - reader.length)) > 0) {
        reader.length += (size_t)count;
        tell_lines(&reader);
    }
    close_read(fd);
    errno = errno_before;
}

uint64_t vl_os_peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

static void *map_with(void *start, size_t size, int access, int flags, off_t offset)
{
    vl_add(&vl_os_maps, 1);
    return mmap(start, size, access, flags, -1, offset);
}

static void *map(void *start, size_t size, int access, int flags)
{
    return map_with(start, size, access, flags, 0);
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

/*
 * Huge pages by their ends first. The kernel clears last what was touched of one, and works towards that: up
 * through memory if it is the end, down if it is the start, which takes an AMD EPYC twice as long
 * (docs/numbers.md).
 */
static bool populate_ends(char *start, size_t size)
{
    size_t page = vl_os_page_size;
    for (size_t end = VL_REGION_SIZE; end <= size; end += VL_REGION_SIZE)
        if (madvise(start + end - page, page, MADV_POPULATE_WRITE) != 0)
            return false;
    return true;
}

static int os_advise(void *start, size_t size, enum vl_advice advice)
{
    static const int names[] = {
        [VL_ADVICE_HUGE] = MADV_HUGEPAGE,    [VL_ADVICE_SMALL] = MADV_NOHUGEPAGE,
        [VL_ADVICE_DISCARD] = MADV_DONTNEED, [VL_ADVICE_COLLAPSE] = MADV_COLLAPSE,
        [VL_ADVICE_WIPE] = MADV_WIPEONFORK,  [VL_ADVICE_ALONE] = MADV_DONTFORK,
        [VL_ADVICE_INHERIT] = MADV_DOFORK,   [VL_ADVICE_POPULATE] = MADV_POPULATE_WRITE,
    };
    return QUIETLY((advice != VL_ADVICE_POPULATE || populate_ends(start, size)) &&
                   madvise(start, size, names[advice]) == 0);
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

/*
 * Whether they lie in one mapping. Before 6.17 the kernel moves from one at a time, and finds out
 * only after it has unmapped the target, where another thread may map something then. To grow where
 * there is no room fails in any case, but first if what is to grow is not one mapping.
 */
static bool is_one_mapping(void *start, size_t size)
{
    return QUIETLY(mremap(start, size - vl_os_page_size, size, 0) != MAP_FAILED) != -EFAULT;
}

static int os_move(void *from, size_t size, void *to)
{
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    if (!is_one_mapping(from, size))
        return -EFAULT;
    return QUIETLY(mremap(from, size, size, flags, to) != MAP_FAILED);
}

/* The nodes are meant by their numbers, also after the process's cpuset was cut and made wide again: else the
 * kernel would count them anew each time, and all of them would have become the first. */
static int prefer(void *start, size_t size, int mode, const struct vl_node_mask *nodes,
                  unsigned flags)
{
    /* The kernel takes one bit less than it is told. */
    return QUIETLY(syscall(SYS_mbind, start, size, mode | MPOL_F_STATIC_NODES, nodes->words,
                           (unsigned long)VL_NODES_MAX + 1, flags) == 0);
}

static int os_bind(void *start, size_t size, unsigned node, bool move)
{
    struct vl_node_mask mask = {{0}};
    if (node >= VL_NODES_MAX)
        return -EINVAL;
    vl_node_mask_add(&mask, node);
    return prefer(start, size, MPOL_PREFERRED, &mask, move ? MPOL_MF_MOVE : 0);
}

static int os_spread(void *start, size_t size, const struct vl_node_mask *nodes, enum vl_spread how)
{
    static const int modes[] = {
        [VL_SPREAD_EVENLY] = MPOL_INTERLEAVE,
        [VL_SPREAD_WEIGHTED] = MODE_WEIGHTED_INTERLEAVE,
        [VL_SPREAD_NEAREST] = MODE_PREFERRED_MANY,
    };
    return prefer(start, size, modes[how], nodes, 0);
}

/* Not with MAP_NORESERVE: after a fork, the parent could not write without more pages. Such a mapping is of a
 * file that the kernel makes for it, and pages are spread by their offset in that, not by their address. */
static void *os_map_hugetlb(size_t size, unsigned page_shift, const void *place)
{
    void *start = MAP_FAILED;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (int)(page_shift << MAP_HUGE_SHIFT);
    off_t offset = (off_t)(uintptr_t)place;
    (void)QUIETLY((start = map_with(NULL, size, PROT_READ | PROT_WRITE, flags, offset)) !=
                  MAP_FAILED);
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

/* What a list takes that has every other CPU, or two of three, as machines number them that count their
 * processors in turn. */
enum { CPU_LIST_MAX = 3 * VL_CPUS_MAX };

_Static_assert(sizeof(struct vl_cpu_mask) == sizeof(cpu_set_t), "both are bits of CPUs");

static int os_cpus_of_node(unsigned node, struct vl_cpu_mask *cpus)
{
    char path[64], list[CPU_LIST_MAX];
    struct vl_text text = vl_text_on(path, sizeof path);
    vl_text_str(&text, "/sys/devices/system/node/node");
    vl_text_u64(&text, node);
    vl_text_str(&text, "/cpulist");
    vl_os_read_file(path, list, sizeof list);
    vl_text_list(list, cpus->words, VL_CPUS_MAX);
    return 0;
}

static bool os_is_main_thread(void)
{
    return syscall(SYS_gettid) == getpid();
}

static int os_affinity(bool of_main, struct vl_cpu_mask *cpus)
{
    memset(cpus, 0, sizeof *cpus);
    return QUIETLY(sched_getaffinity(of_main ? getpid() : 0, sizeof *cpus, (cpu_set_t *)cpus) == 0);
}

static int os_set_affinity(bool of_main, const struct vl_cpu_mask *cpus)
{
    return QUIETLY(
        sched_setaffinity(of_main ? getpid() : 0, sizeof *cpus, (const cpu_set_t *)cpus) == 0);
}

/* The kernel takes of all CPUs those that the cpuset has; then all is as it was. */
static int os_allowed_cpus(struct vl_cpu_mask *cpus)
{
    struct vl_cpu_mask before, all;
    memset(&all, 0xff, sizeof all);
    int error = os_affinity(false, &before);
    if (error != 0 || (error = os_set_affinity(false, &all)) != 0)
        return error;
    error = os_affinity(false, cpus);
    int restored = os_set_affinity(false, &before);
    return error != 0 ? error : restored;
}

static int os_cpu_nodes(struct vl_node_mask *nodes)
{
    char list[CPU_LIST_MAX];
    vl_os_read_file("/sys/devices/system/node/has_cpu", list, sizeof list);
    vl_text_list(list, nodes->words, VL_NODES_MAX);
    return list[0] != '\0' ? 0 : -ENOENT;
}

/* Those of a node that this thread may run on. */
static int cpus_of(unsigned node, cpu_set_t *cpus)
{
    cpu_set_t allowed;
    os_cpus_of_node(node, (struct vl_cpu_mask *)cpus);
    if (QUIETLY(sched_getaffinity(0, sizeof allowed, &allowed) == 0) != 0)
        return 0;
    CPU_AND(cpus, cpus, &allowed);
    return CPU_COUNT(cpus);
}

static unsigned os_node_cpus(unsigned node)
{
    cpu_set_t cpus;
    return (unsigned)cpus_of(node, &cpus);
}

static void os_run_on(unsigned node)
{
    cpu_set_t cpus;
    if (cpus_of(node, &cpus) > 0)
        (void)QUIETLY(sched_setaffinity(0, sizeof cpus, &cpus) == 0);
}

static int os_present(const void *address)
{
    unsigned char page = 1;
    int error = QUIETLY(mincore((void *)(uintptr_t)address, vl_os_page_size, &page) == 0);
    return error != 0 ? error : page & 1;
}

static int os_node_of(const void *address)
{
    int node = -1;
    const void *page = address;
    if (QUIETLY(syscall(SYS_move_pages, 0, 1ul, &page, NULL, &node, 0) == 0) != 0)
        return -1;
    return node < 0 ? -1 : node;
}

static int os_nodes_of(const void *const *pages, int *nodes, size_t count)
{
    return QUIETLY(syscall(SYS_move_pages, 0, count, pages, NULL, nodes, 0) == 0);
}

/* The number in "Node 0 MemTotal:  1024 kB", if the line is of that name; else `other`. */
static uint64_t node_figure(const char *line, const char *name, uint64_t other)
{
    const char *at = strstr(line, name);
    return at != NULL ? vl_text_number(at + strcspn(at, "0123456789"), 10) << 10 : other;
}

static void find_node_memory(const char *line, void *of_memory)
{
    struct vl_node_memory *memory = of_memory;
    memory->bytes = node_figure(line, " MemTotal:", memory->bytes);
    memory->free_bytes = node_figure(line, " MemFree:", memory->free_bytes);
    memory->file_bytes = node_figure(line, " FilePages:", memory->file_bytes);
}

static int os_node_memory(unsigned node, struct vl_node_memory *memory)
{
    char path[64];
    *memory = (struct vl_node_memory){0, 0, 0};
    struct vl_text text = vl_text_on(path, sizeof path);
    vl_text_str(&text, "/sys/devices/system/node/node");
    vl_text_u64(&text, node);
    vl_text_str(&text, "/meminfo");
    vl_os_read_lines(path, find_node_memory, memory);
    return memory->bytes != 0 ? 0 : -ENOENT;
}

static bool os_balances(void)
{
    char text[16];
    vl_os_read_file("/proc/sys/kernel/numa_balancing", text, sizeof text);
    return vl_text_number(text, 10) != 0;
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

static void find_available(const char *line, void *bytes)
{
    static const char name[] = "MemAvailable:";
    if (strncmp(line, name, sizeof name - 1) != 0)
        return;
    line += sizeof name - 1;
    *(uint64_t *)bytes = vl_text_number(line + strspn(line, " "), 10) << 10;
}

static uint64_t os_available_bytes(void)
{
    uint64_t bytes = UINT64_MAX;
    vl_os_read_lines("/proc/meminfo", find_available, &bytes);
    return bytes;
}

static uint64_t limit_of(__rlimit_resource_t resource)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    (void)QUIETLY(getrlimit(resource, &limit) == 0);
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

static uint64_t os_address_limit(void)
{
    return limit_of(RLIMIT_AS);
}

static uint64_t os_data_limit(void)
{
    return limit_of(RLIMIT_DATA);
}

static uint64_t os_clock_ms(void)
{
    struct timespec now = {0, 0};
    (void)QUIETLY(clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t os_clock_ns(void)
{
    struct timespec now = {0, 0};
    (void)QUIETLY(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static enum vl_thp_mode os_thp_mode(void)
{
    char text[64];
    vl_os_read_file("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text);
    return strstr(text, "[never]") != NULL     ? VL_THP_MODE_NEVER
           : strstr(text, "[madvise]") != NULL ? VL_THP_MODE_MADVISE
           : strstr(text, "[always]") != NULL  ? VL_THP_MODE_ALWAYS
                                               : VL_THP_MODE_UNKNOWN;
}

static void find_compactions(const char *line, void *number)
{
    static const char name[] = "compact_stall ";
    if (strncmp(line, name, sizeof name - 1) == 0)
        *(uint64_t *)number = vl_text_number(line + sizeof name - 1, 10);
}

static uint64_t os_compactions(void)
{
    uint64_t number = UINT64_MAX;
    vl_os_read_lines("/proc/vmstat", find_compactions, &number);
    return number;
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

static void os_sleep_ms(uint64_t ms)
{
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    (void)QUIETLY(nanosleep(&time, NULL) == 0);
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
    .spread = os_spread,
    .map_hugetlb = os_map_hugetlb,
    .replace = os_replace,
    .where = os_where,
    .node_cpus = os_node_cpus,
    .run_on = os_run_on,
    .is_main_thread = os_is_main_thread,
    .affinity = os_affinity,
    .set_affinity = os_set_affinity,
    .allowed_cpus = os_allowed_cpus,
    .cpu_nodes = os_cpu_nodes,
    .cpus_of_node = os_cpus_of_node,
    .present = os_present,
    .node_of = os_node_of,
    .nodes_of = os_nodes_of,
    .node_memory = os_node_memory,
    .balances = os_balances,
    .allowed_nodes = os_allowed_nodes,
    .policy_chosen = os_policy_chosen,
    .memory_bytes = os_memory_bytes,
    .available_bytes = os_available_bytes,
    .address_limit = os_address_limit,
    .data_limit = os_data_limit,
    .clock_ms = os_clock_ms,
    .clock_ns = os_clock_ns,
    .thp_mode = os_thp_mode,
    .compactions = os_compactions,
    .wait = os_wait,
    .wake = os_wake,
    .yield = os_yield,
    .sleep_ms = os_sleep_ms,
};
