# man - manual pages.  There is no valloc.3: that name is the C library's.

dist_man_MANS = \
	%D%/valloc-map.1 \
	%D%/valloc-run.1 \
	%D%/valloc.7 \
	%D%/valloc_count_calls.3 \
	%D%/valloc_get_stat.3 \
	%D%/valloc_init.3 \
	%D%/valloc_interleaved.3 \
	%D%/valloc_local.3 \
	%D%/valloc_node_of.3 \
	%D%/valloc_numa_audit.3 \
	%D%/valloc_onnode.3 \
	%D%/valloc_owns.3 \
	%D%/valloc_print_counters.3 \
	%D%/valloc_print_stat.3 \
	%D%/valloc_regions.3 \
	%D%/valloc_usable_size.3 \
	%D%/valloc_version.3 \
	%D%/valloc_walk.3
