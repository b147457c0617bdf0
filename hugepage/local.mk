# hugepage - address space in 2 MB regions, given out as runs of pages.

VL_SOURCES += \
	%D%/big_heap.c \
	%D%/big_heap.h \
	%D%/big_thp.c \
	%D%/big_thp.h \
	%D%/extent.c \
	%D%/extent.h \
	%D%/holding.c \
	%D%/holding.h \
	%D%/hugepage.h \
	%D%/hugetlb.c \
	%D%/hugetlb.h \
	%D%/limit.c \
	%D%/limit.h \
	%D%/move.c \
	%D%/move.h \
	%D%/page_heap.c \
	%D%/page_heap.h \
	%D%/region.c \
	%D%/region.h \
	%D%/region_set.c \
	%D%/region_set.h \
	%D%/stall.c \
	%D%/stall.h \
	%D%/stock.c \
	%D%/stock.h \
	%D%/thp.c \
	%D%/thp.h
