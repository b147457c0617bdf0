/*
 * page_kinds - how much of a part holds memory, and how much of that is in huge pages.
 *
 *      PAGES_SCANNED       the kernel's page tables say so, page by page: PAGEMAP_SCAN, Linux 6.7
 *      PAGES_OF_MAPPINGS   /proc/PID/smaps says how much of each mapping; its parts are taken to be
 *                          alike, so all of them show the mapping's share
 *      PAGES_UNKNOWN       neither may be read
 */
#ifndef VL_MAP_PAGE_KINDS_H
#define VL_MAP_PAGE_KINDS_H

#include "map/heap.h"
#include "map/remote.h"

struct page_kinds;

struct page_kinds *page_kinds_open(const struct remote *remote, bool scan);
void page_kinds_close(struct page_kinds *kinds);

/* What was used up to now. */
enum page_source page_kinds_source(const struct page_kinds *kinds);

/* Writes `resident` and `huge` of parts in the order of their addresses. */
void page_kinds_note(struct page_kinds *kinds, struct part *parts, size_t count);

#endif
