/*
 * libc - the names of the C library, with its semantics.
 *
 * Only this file and cxx.c define names that take the place of others: unit tests link everything
 * else. Arguments that the standards call undefined get what glibc gives; aligned_alloc follows
 * C23 and wants no multiple of the alignment.
 */
#include "cache/front.h"
#include "cache/init.h"
#include "cache/report.h"
#include "cache/stats.h"
#include "cache/trim.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#if __has_attribute(copy)
#define ALIAS(of) __attribute__((alias(#of), visibility("default"), copy(of)))
#else
#define ALIAS(of) __attribute__((alias(#of), visibility("default")))
#endif

/* On a cache line of its own: no instruction of the fast path shares one with a stranger, and no branch
 * of it crosses 32 bytes, which some processors decode slowly. */
#define HOT __attribute__((aligned(VL_CACHE_LINE)))

/* No header of glibc 2.36 declares these. */
void cfree(void *block);
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t align, size_t size);
void sdallocx(void *block, size_t size, int flags);
size_t nallocx(size_t size, int flags);

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* mallinfo */

EXPORT HOT void *malloc(size_t size)
{
    return vl_alloc(size);
}

EXPORT HOT void free(void *block)
{
    vl_free(block);
}

EXPORT void *calloc(size_t count, size_t size)
{
    return vl_alloc_zeroed(count, size);
}

/* Size 0 frees, as in glibc. */
EXPORT void *realloc(void *block, size_t size)
{
    if (vl_unlikely(size == 0) && block != NULL) {
        vl_free(block);
        return NULL;
    }
    return vl_resize(block, size);
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

static void *aligned_or_einval(size_t align, size_t size)
{
    if (!vl_is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return vl_alloc_aligned(align, size);
}

/* glibc rounds an alignment that is no power of two up to one. */
EXPORT void *memalign(size_t align, size_t size)
{
    if (align > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (!vl_is_power_of_two(align))
        align = align < VL_MIN_ALIGN ? VL_MIN_ALIGN : (size_t)2 << vl_log2(align);
    return vl_alloc_aligned(align, size);
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
    return aligned_or_einval(align, size);
}

EXPORT int posix_memalign(void **block, size_t align, size_t size)
{
    if (!vl_is_power_of_two(align) || align % sizeof(void *) != 0)
        return EINVAL;
    int errno_before = errno;
    void *taken = vl_alloc_aligned(align, size);
    errno = errno_before;
    if (taken == NULL)
        return ENOMEM;
    *block = taken;
    return 0;
}

EXPORT void *valloc(size_t size)
{
    return vl_alloc_aligned(vl_os_page_size, size);
}

EXPORT void *pvalloc(size_t size)
{
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return vl_alloc_aligned(vl_os_page_size, vl_round_up(vl_max(size, 1), vl_os_page_size));
}

EXPORT void cfree(void *block)
{
    vl_free(block);
}

EXPORT size_t malloc_usable_size(void *block)
{
    return vl_usable_size(block);
}

EXPORT void free_sized(void *block, size_t size)
{
    (void)size;
    vl_free(block);
}

EXPORT void free_aligned_sized(void *block, size_t align, size_t size)
{
    (void)align;
    (void)size;
    vl_free(block);
}

/* jemalloc's sized free; its flags only say how the block was aligned. */
EXPORT void sdallocx(void *block, size_t size, int flags)
{
    (void)size;
    (void)flags;
    vl_free(block);
}

EXPORT size_t nallocx(size_t size, int flags)
{
    size_t align = (size_t)1 << (flags & 63); /* MALLOCX_LG_ALIGN */
    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX)
        return 0;
    return vl_good_size(align, size);
}

EXPORT int malloc_trim(size_t pad)
{
    (void)pad;
    size_t returned = vl_trim();
    return vl_place_retire(false) + returned != 0;
}

static struct vl_stats take_stats(void)
{
    struct vl_stats stats = {0};
    if (vl_start())
        vl_stats_take(&stats);
    return stats;
}

/* glibc's fields: arena is what small blocks and runs come from, hblk* are the big ones. */
EXPORT struct mallinfo2 mallinfo2(void)
{
    struct vl_stats s = take_stats();
    size_t used = s.small_bytes + s.run_bytes;
    size_t free_bytes = s.cached_bytes + s.span_free_bytes +
                        (s.regions_empty << VL_REGION_SHIFT);
    return (struct mallinfo2){
        .arena = used + free_bytes,
        .ordblks = s.cached_blocks,
        .hblks = s.big_blocks,
        .hblkhd = s.big_bytes,
        .uordblks = used,
        .fordblks = free_bytes,
        .keepcost = (s.regions_empty << VL_REGION_SHIFT) + s.big_kept_bytes,
    };
}

static int to_int(size_t value)
{
    return (int)value; /* wraps, as documented: mallinfo2 is there for larger heaps */
}

EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    return (struct mallinfo){
        .arena = to_int(wide.arena),
        .ordblks = to_int(wide.ordblks),
        .hblks = to_int(wide.hblks),
        .hblkhd = to_int(wide.hblkhd),
        .uordblks = to_int(wide.uordblks),
        .fordblks = to_int(wide.fordblks),
        .keepcost = to_int(wide.keepcost),
    };
}

static void xml_total(struct vl_text *text, const char *type, uint64_t count, uint64_t bytes)
{
    vl_text_str(text, "<total type=\"");
    vl_text_str(text, type);
    vl_text_str(text, "\" count=\"");
    vl_text_u64(text, count);
    vl_text_str(text, "\" size=\"");
    vl_text_u64(text, bytes);
    vl_text_str(text, "\"/>\n");
}

static void xml_system(struct vl_text *text, const char *type, uint64_t bytes)
{
    vl_text_str(text, "<system type=\"");
    vl_text_str(text, type);
    vl_text_str(text, "\" size=\"");
    vl_text_u64(text, bytes);
    vl_text_str(text, "\"/>\n");
}

/* The element names of glibc's malloc_info, so that what reads those reads these. */
EXPORT int malloc_info(int options, FILE *stream)
{
    char buffer[1024];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct vl_stats s = take_stats();
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    vl_text_str(&text, "<malloc version=\"1\">\n");
    xml_total(&text, "small", s.small_blocks, s.small_bytes);
    xml_total(&text, "run", s.run_bytes != 0, s.run_bytes);
    xml_total(&text, "mmap", s.big_blocks, s.big_bytes);
    xml_total(&text, "cached", s.cached_blocks, s.cached_bytes);
    xml_total(&text, "rest", s.regions_empty,
              s.span_free_bytes + (s.regions_empty << VL_REGION_SHIFT));
    xml_system(&text, "current", s.heap_bytes);
    xml_system(&text, "returned", s.purged_bytes);
    vl_text_str(&text, "</malloc>\n");
    return fwrite(text.buf, 1, text.len, stream) == text.len ? 0 : -1;
}

EXPORT void malloc_stats(void)
{
    if (vl_start())
        vl_report_print(2);
}

/* Those of glibc's parameters that mean something here: 1 where the value is taken. */
EXPORT int mallopt(int parameter, int value)
{
    if (!vl_start())
        return 0;
    switch (parameter) {
    case M_TRIM_THRESHOLD: /* memory above it goes back at once; -1: never */
        vl_options.purge_delay_ms = value < 0 ? VL_TIME_NEVER : vl_options.purge_delay_ms;
        vl_options.large_cache_bytes = value < 0 ? VL_SIZE_AUTO : (size_t)value;
        return 1;
    case M_MMAP_MAX: /* 0: the job script asks never to give memory back */
        if (value == 0)
            vl_options.purge_delay_ms = VL_TIME_NEVER;
        return 1;
    case M_PERTURB: /* 0: no more */
        vl_fill_with((uint8_t)value);
        return 1;
    case M_MXFAST:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
        return 1; /* nothing here depends on them */
    default:
        return 0;
    }
}

/* glibc's own names for the same, which some programs call. */
EXPORT void *__libc_malloc(size_t size) ALIAS(malloc);
EXPORT void __libc_free(void *block) ALIAS(free);
EXPORT void *__libc_calloc(size_t count, size_t size) ALIAS(calloc);
EXPORT void *__libc_realloc(void *block, size_t size) ALIAS(realloc);
EXPORT void *__libc_memalign(size_t align, size_t size) ALIAS(memalign);
EXPORT void *__libc_valloc(size_t size) ALIAS(valloc);
EXPORT void *__libc_pvalloc(size_t size) ALIAS(pvalloc);
EXPORT int __posix_memalign(void **block, size_t align, size_t size) ALIAS(posix_memalign);
EXPORT struct mallinfo __libc_mallinfo(void) ALIAS(mallinfo);
EXPORT int __libc_mallopt(int parameter, int value) ALIAS(mallopt);
