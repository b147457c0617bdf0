/* hugepage - address space in 2 MB regions, handed out as runs of pages and as big blocks.
 * The layer's one header: others include only this. */
#ifndef VL_HUGEPAGE_HUGEPAGE_H
#define VL_HUGEPAGE_HUGEPAGE_H

#include "hugepage/big_heap.h"
#include "hugepage/big_thp.h"
#include "hugepage/extent.h"
#include "hugepage/holding.h"
#include "hugepage/hugetlb.h"
#include "hugepage/limit.h"
#include "hugepage/page_heap.h"
#include "hugepage/region.h"
#include "hugepage/region_set.h"
#include "hugepage/stall.h"
#include "hugepage/stock.h"
#include "hugepage/thp.h"

#endif
