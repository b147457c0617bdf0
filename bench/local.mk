# bench - programs whose time and memory the runners of this folder put side by side.

EXTRA_PROGRAMS = \
	%D%/big_blocks \
	%D%/block_cost \
	%D%/cache_scratch \
	%D%/cache_thrash \
	%D%/free_only \
	%D%/huge_array \
	%D%/huge_churn \
	%D%/huge_heap \
	%D%/larson \
	%D%/measure \
	%D%/mstress \
	%D%/pairs \
	%D%/pareto \
	%D%/play_trace \
	%D%/realloc_growth \
	%D%/thread_storm \
	%D%/vectors \
	%D%/xmalloc

# They get their malloc by preloading, and link nothing.
%C%_big_blocks_LDADD =
%C%_block_cost_SOURCES = \
	%D%/block_cost.c \
	%D%/heaps.c \
	%D%/heaps.h \
	%D%/simple_heap.c \
	%D%/simple_heap.h
%C%_block_cost_LDADD =
%C%_cache_scratch_LDADD =
%C%_cache_thrash_LDADD =
%C%_free_only_LDADD =
%C%_huge_array_LDADD =
%C%_huge_churn_LDADD =
%C%_huge_heap_SOURCES = %D%/huge_heap.c %D%/give_back.h
%C%_huge_heap_LDADD =
%C%_larson_LDADD =
%C%_measure_SOURCES = %D%/measure.c run/child.c run/child.h
%C%_measure_LDADD =
%C%_mstress_LDADD =
%C%_pairs_LDADD =
%C%_pareto_LDADD =
%C%_play_trace_SOURCES = \
	%D%/play_trace.c \
	%D%/ledger.c \
	%D%/ledger.h \
	%D%/trace_file.c \
	%D%/trace_file.h \
	%D%/traces.c \
	%D%/traces.h
%C%_play_trace_LDADD =
%C%_realloc_growth_LDADD =
%C%_thread_storm_LDADD =
%C%_vectors_LDADD =
%C%_xmalloc_LDADD =

# Preloaded to record what a program allocates.
EXTRA_LTLIBRARIES += %D%/record.la
%C%_record_la_SOURCES = %D%/record.c
%C%_record_la_CFLAGS = $(AM_CFLAGS) $(VL_NO_BUILTIN_CFLAGS)
%C%_record_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath $(libdir)
%C%_record_la_LIBADD =

# The baseline of block_cost is itself right.
check_PROGRAMS += %D%/simple_heap_check
TESTS += %D%/simple_heap_check
%C%_simple_heap_check_SOURCES = \
	%D%/simple_heap.c \
	%D%/simple_heap.h \
	%D%/simple_heap_check.c
%C%_simple_heap_check_LDADD =

# So are the traces of bench/fragments what they say.
check_PROGRAMS += %D%/traces_check
TESTS += %D%/traces_check
%C%_traces_check_SOURCES = \
	%D%/ledger.c \
	%D%/ledger.h \
	%D%/trace_file.c \
	%D%/trace_file.h \
	%D%/traces.c \
	%D%/traces.h \
	%D%/traces_check.c
%C%_traces_check_LDADD =

# What ./quickstart shows.
noinst_PROGRAMS += %D%/demo
%C%_demo_LDADD =

EXTRA_DIST += \
	%D%/README.md \
	%D%/bench.h \
	%D%/benchlib.py \
	%D%/compare \
	%D%/false_sharing.h \
	%D%/fragments \
	%D%/hugepages \
	%D%/memory.h \
	%D%/seeds

# BENCH_FLAGS are options of bench/compare, and other mallocs: NAME=lib.so.
bench: all $(EXTRA_PROGRAMS)
	$(srcdir)/%D%/compare --programs %D% $(BENCH_FLAGS)

# SEEDS_FLAGS are options of bench/seeds.
bench-seeds: all %D%/block_cost %D%/measure
	$(srcdir)/%D%/seeds --programs %D% $(SEEDS_FLAGS)

# HUGEPAGES_FLAGS are options of bench/hugepages, and other mallocs: NAME=lib.so.
bench-hugepages: all %D%/huge_array %D%/huge_churn %D%/huge_heap %D%/measure
	$(srcdir)/%D%/hugepages --programs %D% $(HUGEPAGES_FLAGS)

# FRAGMENTS_FLAGS are options of bench/fragments, and other mallocs: NAME=lib.so.
bench-fragments: all %D%/play_trace %D%/measure %D%/record.la
	$(srcdir)/%D%/fragments --programs %D% $(FRAGMENTS_FLAGS)

CLEANFILES += $(EXTRA_PROGRAMS) %D%/record.la

.PHONY: bench bench-fragments bench-hugepages bench-seeds
