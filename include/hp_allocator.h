/*
 * hp_allocator - memory in huge pages, as one of valloc's forerunners offered it.
 *
 * Pages of the kernel's pool (vm.nr_hugepages) as long as there are any, else transparent huge pages,
 * else whatever the kernel gives. Blocks of any size, each freed on its own, also by free(). See
 * valloc_init(3).
 */
#ifndef HP_ALLOCATOR_H
#define HP_ALLOCATOR_H

#include "valloc.h"

/* Inline, as the last names of valloc.h are. */

static inline void *hp_malloc(size_t size)
{
    return valloc_block(valloc_hugepages(), size);
}

static inline void hp_free(void *block)
{
    free_valloc(valloc_hugepages(), block);
}

static inline void hp_malloc_stats(void)
{
    valloc_print_hugepages();
}

#endif
