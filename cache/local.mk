# cache - objects: spans, magazines, threads, and the front door.

VL_SOURCES += \
	%D%/advice.c \
	%D%/advice.h \
	%D%/allocator.c \
	%D%/audit.c \
	%D%/audit.h \
	%D%/boot.c \
	%D%/boot.h \
	%D%/cache.h \
	%D%/central.c \
	%D%/central.h \
	%D%/counters.c \
	%D%/counters.h \
	%D%/fork.c \
	%D%/fork.h \
	%D%/front.c \
	%D%/front.h \
	%D%/heap.c \
	%D%/heap.h \
	%D%/helper.c \
	%D%/helper.h \
	%D%/init.c \
	%D%/init.h \
	%D%/large.c \
	%D%/large.h \
	%D%/layout.c \
	%D%/layout.h \
	%D%/magazine.c \
	%D%/magazine.h \
	%D%/misuse.c \
	%D%/misuse.h \
	%D%/numa_audit.c \
	%D%/object.c \
	%D%/object.h \
	%D%/parking.c \
	%D%/parking.h \
	%D%/placed.c \
	%D%/placed.h \
	%D%/print_counters.c \
	%D%/purger.c \
	%D%/purger.h \
	%D%/query.c \
	%D%/query.h \
	%D%/report.c \
	%D%/report.h \
	%D%/report_json.c \
	%D%/report_nodes.c \
	%D%/reserve.c \
	%D%/reserve.h \
	%D%/resident.c \
	%D%/resident.h \
	%D%/span.c \
	%D%/span.h \
	%D%/stats.c \
	%D%/stats.h \
	%D%/thread.c \
	%D%/thread.h \
	%D%/trim.c \
	%D%/trim.h \
	%D%/valloc.c \
	%D%/walk.c \
	%D%/walk.h

# The names that programs call; nothing that a test links holds them.
VL_INTERPOSING_SOURCES += \
	%D%/cxx.c \
	%D%/libc.c
