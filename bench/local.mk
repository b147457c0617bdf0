# bench - programs whose time and memory bench/compare and bench/seeds put side by side.

EXTRA_PROGRAMS = \
	%D%/big_blocks \
	%D%/block_cost \
	%D%/cache_scratch \
	%D%/cache_thrash \
	%D%/free_only \
	%D%/larson \
	%D%/measure \
	%D%/mstress \
	%D%/pairs \
	%D%/pareto \
	%D%/realloc_growth \
	%D%/thread_storm \
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
%C%_larson_LDADD =
%C%_measure_SOURCES = %D%/measure.c run/child.c run/child.h
%C%_measure_LDADD =
%C%_mstress_LDADD =
%C%_pairs_LDADD =
%C%_pareto_LDADD =
%C%_realloc_growth_LDADD =
%C%_thread_storm_LDADD =
%C%_xmalloc_LDADD =

# The baseline of block_cost is itself right.
check_PROGRAMS += %D%/simple_heap_check
TESTS += %D%/simple_heap_check
%C%_simple_heap_check_SOURCES = \
	%D%/simple_heap.c \
	%D%/simple_heap.h \
	%D%/simple_heap_check.c
%C%_simple_heap_check_LDADD =

# What ./quickstart shows.
noinst_PROGRAMS += %D%/demo
%C%_demo_LDADD =

EXTRA_DIST += \
	%D%/README.md \
	%D%/bench.h \
	%D%/benchlib.py \
	%D%/compare \
	%D%/false_sharing.h \
	%D%/seeds

# BENCH_FLAGS are options of bench/compare, and other mallocs: NAME=lib.so.
bench: all $(EXTRA_PROGRAMS)
	$(srcdir)/%D%/compare --programs %D% $(BENCH_FLAGS)

# SEEDS_FLAGS are options of bench/seeds.
bench-seeds: all %D%/block_cost %D%/measure
	$(srcdir)/%D%/seeds --programs %D% $(SEEDS_FLAGS)

CLEANFILES += $(EXTRA_PROGRAMS)

.PHONY: bench bench-seeds
