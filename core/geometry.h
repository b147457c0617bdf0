/*
 * geometry - the sizes everything is built from.
 *
 *      page     8 KB    what spans are measured in; one byte of class map each
 *      region   2 MB    one huge page: the unit in which memory comes and goes
 *      grain   64 KB    the unit of address space for big blocks
 *      giant    1 GB    the larger pages of the kernel's pool, for big blocks only
 *
 *      1 ............ small_max ............. big_min ...............
 *      |  objects of a size class  |  runs of pages  |  big blocks  |
 *
 * The exhaustive tests compile the pure parts with a smaller VL_REGION_SHIFT, so nothing below may
 * assume that a region has 256 pages. The page sizes of the machine are not here: they are read
 * at run time (core/os.h).
 */
#ifndef VL_CORE_GEOMETRY_H
#define VL_CORE_GEOMETRY_H

#include <stddef.h>
#include <stdint.h>

#define VL_PAGE_SHIFT 13
#ifndef VL_REGION_SHIFT
#define VL_REGION_SHIFT 21
#endif
#define VL_GRAIN_SHIFT 16
#define VL_GIANT_SHIFT 30

#define VL_PAGE_SIZE ((size_t)1 << VL_PAGE_SHIFT)
#define VL_REGION_SIZE ((size_t)1 << VL_REGION_SHIFT)
#define VL_REGION_PAGES (1u << (VL_REGION_SHIFT - VL_PAGE_SHIFT))
#define VL_GRAIN_SIZE ((size_t)1 << VL_GRAIN_SHIFT)
#define VL_GIANT_SIZE   ((size_t)1 << VL_GIANT_SHIFT)

/* Every block is aligned to this, whatever its size. */
#define VL_MIN_ALIGN ((size_t)16)

/* Largest object of a size class; above it, whole runs of pages; from VL_BIG_MIN, big blocks. */
#define VL_SMALL_MAX ((size_t)256 << 10)
#define VL_BIG_MIN ((size_t)1 << 20)

/* Parts of a table that are touched apart are apart by so much: the commonest small page. */
#define VL_TABLE_ALIGN 4096

#define VL_CACHE_LINE 64

/* Processors fetch the neighbours of a line with it, in pairs and ahead. Threads that write into
 * memory nearer to each other than this disturb each other as if it were one line. */
#define VL_NEIGHBOURHOOD (8 * VL_CACHE_LINE)

#endif
