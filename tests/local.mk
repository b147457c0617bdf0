# tests - what `make check` runs.
#
#   unit programs   tests/FOLDER/test_NAME.c, one for each source file, or for each subject of one
#                   that has several (test_NAME_SUBJECT.c); run twice: against the objects as
#                   shipped, and as test_NAME.verify against those that check every invariant;
#                   tests/exhaustive/ has those that try everything in small
#   model programs  tests/model/test_NAME.c: sources compiled so that an explorer decides which
#                   thread goes on before each atomic access
#   api programs    tests/api/test_NAME.c, which know libc's names only; run with the library
#                   preloaded
#   C++ programs    the same in C++
#   scripts         on the sources and on the finished library
#   machines        tests/qemu/machines/NAME: some of these programs, and tests/qemu/placement.c, on
#                   machines with several nodes, which qemu emulates

UNIT_TESTS = \
	%D%/cache/test_advice \
	%D%/cache/test_audit \
	%D%/cache/test_boot \
	%D%/cache/test_central \
	%D%/cache/test_counters \
	%D%/cache/test_fork \
	%D%/cache/test_front \
	%D%/cache/test_large \
	%D%/cache/test_limit \
	%D%/cache/test_magazine \
	%D%/cache/test_object \
	%D%/cache/test_parking \
	%D%/cache/test_placed \
	%D%/cache/test_purger \
	%D%/cache/test_reserve \
	%D%/cache/test_query \
	%D%/cache/test_races \
	%D%/cache/test_remote \
	%D%/cache/test_resident \
	%D%/cache/test_span \
	%D%/cache/test_stats \
	%D%/cache/test_thread \
	%D%/cache/test_trim \
	%D%/cache/test_walk \
	%D%/core/test_bits \
	%D%/core/test_cgroup \
	%D%/core/test_idstack \
	%D%/core/test_lock \
	%D%/core/test_options \
	%D%/core/test_panic \
	%D%/core/test_pool \
	%D%/core/test_program \
	%D%/core/test_rcu \
	%D%/core/test_size_class \
	%D%/core/test_slice \
	%D%/core/test_text \
	%D%/core/test_turn \
	%D%/exhaustive/test_extent \
	%D%/exhaustive/test_region \
	%D%/hugepage/test_big_heap \
	%D%/hugepage/test_big_heap_failures \
	%D%/hugepage/test_big_heap_fork \
	%D%/hugepage/test_big_heap_giant \
	%D%/hugepage/test_big_heap_hugetlb \
	%D%/hugepage/test_big_heap_kept \
	%D%/hugepage/test_big_heap_move \
	%D%/hugepage/test_big_thp \
	%D%/hugepage/test_extent \
	%D%/hugepage/test_hugetlb \
	%D%/hugepage/test_limit \
	%D%/hugepage/test_move \
	%D%/hugepage/test_page_heap \
	%D%/hugepage/test_stall \
	%D%/hugepage/test_stock \
	%D%/hugepage/test_thp \
	%D%/hugepage/test_region \
	%D%/hugepage/test_region_set \
	%D%/numa/test_binding \
	%D%/numa/test_census \
	%D%/numa/test_place \
	%D%/numa/test_placement \
	%D%/numa/test_tier \
	%D%/numa/test_topology \
	%D%/numa/test_traffic

MODEL_TESTS = \
	%D%/model/test_cache \
	%D%/model/test_explore \
	%D%/model/test_idstack \
	%D%/model/test_slice \
	%D%/model/test_turn

API_TESTS = \
	%D%/api/test_alignment \
	%D%/api/test_calloc \
	%D%/api/test_contract \
	%D%/api/test_cxx \
	%D%/api/test_environment \
	%D%/api/test_fork \
	%D%/api/test_giant \
	%D%/api/test_hugetlb \
	%D%/api/test_misuse \
	%D%/api/test_model \
	%D%/api/test_realloc \
	%D%/api/test_reports \
	%D%/api/test_stopped \
	%D%/api/test_threads

if VL_HAVE_LIBURCU
API_TESTS += %D%/api/test_urcu
endif

# In C++, without check.
CXX_TESTS = \
	%D%/api/throws

VERIFY_TESTS = $(UNIT_TESTS:=.verify)

test_headers = \
	%D%/api/pool.h \
	%D%/api/support.h \
	%D%/fake_os.h \
	%D%/folders.h \
	%D%/hugepage/big_heap_world.h \
	%D%/hugepage/extent_model.h \
	%D%/hugepage/held_blocks.h \
	%D%/hugepage/node_slice.h \
	%D%/hugepage/region_model.h \
	%D%/model.h \
	%D%/world.h

harness_sources = \
	%D%/api/pool.c \
	%D%/api/support.c \
	%D%/fake_os.c \
	%D%/main.c

EXTRA_DIST += \
	%D%/docs.sh \
	%D%/exports.sh \
	%D%/first.sh \
	%D%/install.sh \
	%D%/judge.sh \
	%D%/layers.sh \
	%D%/map.sh \
	%D%/mutations \
	%D%/preload.sh \
	%D%/programs \
	%D%/qemu.sh \
	%D%/qemu/guest \
	%D%/qemu/machines \
	%D%/qemu/run \
	%D%/run.sh

# ---------------------------------------------------------------------------
# Building
# ---------------------------------------------------------------------------

AM_CFLAGS += $(CHECK_CFLAGS)
LDADD = %D%/libharness.a libvalloc_core.la $(CHECK_LIBS)
TWIN_LIBS = %D%/libharness_verify.a libvalloc_verify.a $(CHECK_LIBS)

if VL_HAVE_CHECK
check_PROGRAMS += $(UNIT_TESTS) $(API_TESTS)
check_LIBRARIES += %D%/libharness.a %D%/libharness_verify.a
endif

if VL_CAN_EXPLORE
check_PROGRAMS += $(MODEL_TESTS)
endif

if VL_HAVE_CXX
check_PROGRAMS += $(CXX_TESTS)
endif

# It knows libc's names only, and is run by tests/qemu/run.
check_PROGRAMS += %D%/qemu/placement
%C%_qemu_placement_SOURCES = %D%/qemu/placement.c
%C%_qemu_placement_LDADD =

%C%_api_throws_SOURCES = %D%/api/throws.cc
%C%_api_throws_LDADD =

%C%_api_test_urcu_LDADD = $(LDADD) -lurcu-bp

%C%_libharness_a_SOURCES = $(harness_sources) $(test_headers)
%C%_libharness_verify_a_SOURCES = $(harness_sources) $(test_headers)
%C%_libharness_verify_a_CPPFLAGS = $(AM_CPPFLAGS) -DVL_VERIFY=1

# The folder with the other core/atomic.h comes before that of the sources.
MODEL_CPPFLAGS = -iquote $(srcdir)/%D%/model/shim $(AM_CPPFLAGS)
model_sources = %D%/model/explore.c %D%/model/explore.h %D%/model/shim/core/atomic.h
%C%_model_test_cache_SOURCES = %D%/model/test_cache.c $(model_sources) cache/magazine.c core/pool.c
%C%_model_test_cache_CPPFLAGS = $(MODEL_CPPFLAGS) -DVL_DEPOT_BYTES=32768
%C%_model_test_explore_SOURCES = %D%/model/test_explore.c $(model_sources)
%C%_model_test_explore_CPPFLAGS = $(MODEL_CPPFLAGS)
%C%_model_test_idstack_SOURCES = %D%/model/test_idstack.c $(model_sources)
%C%_model_test_idstack_CPPFLAGS = $(MODEL_CPPFLAGS)
%C%_model_test_slice_SOURCES = %D%/model/test_slice.c $(model_sources)
%C%_model_test_slice_CPPFLAGS = $(MODEL_CPPFLAGS)
%C%_model_test_turn_SOURCES = %D%/model/test_turn.c $(model_sources)
%C%_model_test_turn_CPPFLAGS = $(MODEL_CPPFLAGS)

# A twin needs no objects of its own.  Its headers are the library's, a change
# of which makes the archive anew, or the tests'.
SUFFIXES = .verify
.c.verify:
	@$(MKDIR_P) $(@D)
	$(AM_V_CCLD)$(CC) $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) -DVL_VERIFY=1 $(CPPFLAGS) \
	    $(AM_CFLAGS) $(CFLAGS) $(AM_LDFLAGS) $(LDFLAGS) -o $@ $< $(TWIN_LIBS) $(LIBS)

$(VERIFY_TESTS): $(test_headers) %D%/libharness_verify.a libvalloc_verify.a

MOSTLYCLEANFILES += $(VERIFY_TESTS) %D%/qemu/initramfs.* %D%/qemu/*.log

# ---------------------------------------------------------------------------
# Running
# ---------------------------------------------------------------------------

if VL_HAVE_CHECK
TESTS += $(UNIT_TESTS) $(VERIFY_TESTS)
endif
if VL_CAN_EXPLORE
TESTS += $(MODEL_TESTS)
endif
TESTS += %D%/layers.sh %D%/first.sh %D%/docs.sh
if VL_CAN_PRELOAD
TESTS += %D%/run.sh %D%/map.sh
if VL_HAVE_CHECK
TESTS += $(API_TESTS)
endif
if VL_HAVE_CXX
TESTS += $(CXX_TESTS)
endif
endif
if VL_PRISTINE
TESTS += %D%/exports.sh %D%/install.sh
if VL_CAN_PRELOAD
if VL_HAVE_CHECK
TESTS += %D%/qemu.sh
endif
endif
endif

TEST_EXTENSIONS = .sh
SH_LOG_COMPILER = $(SHELL)
LOG_COMPILER = $(SHELL) $(srcdir)/%D%/preload.sh
# Time limits are for what hangs, not for what a slow machine takes; and children of programs with
# threads may have threads of their own, whatever the thread sanitizer holds of it.
AM_TESTS_ENVIRONMENT = \
	CK_TIMEOUT_MULTIPLIER=$${CK_TIMEOUT_MULTIPLIER-5}; export CK_TIMEOUT_MULTIPLIER; \
	TSAN_OPTIONS=die_after_fork=0:$$TSAN_OPTIONS; export TSAN_OPTIONS; \
	VL_BUILD='$(abs_builddir)'; export VL_BUILD; \
	VL_LIBRARY='$(abs_builddir)/.libs/libvalloc.so'; export VL_LIBRARY; \
	CC='$(CC)'; export CC; \
	MAKE='$(MAKE)'; export MAKE; \
	NM='$(NM)'; export NM; \
	PKG_CONFIG='$(PKG_CONFIG)'; export PKG_CONFIG; \
	READELF='$(READELF)'; export READELF;

# In place of automake's rule, to end with the count over all programs' cases.
check-TESTS: $(check_PROGRAMS) $(check_LIBRARIES)
	@rm -f $(TEST_SUITE_LOG) $(TEST_LOGS) $(TEST_LOGS:.log=.trs)
	@status=0; \
	$(MAKE) $(AM_MAKEFLAGS) $(TEST_SUITE_LOG) || status=$$?; \
	$(SHELL) $(srcdir)/scripts/count-tests.sh $(TEST_LOGS); \
	exit $$status

# valloc-run and valloc-map where they were installed.
if VL_CAN_PRELOAD
installcheck-local:
	VL_RUN='$(DESTDIR)$(bindir)/valloc-run' VL_LIBRARY='$(DESTDIR)$(libdir)/libvalloc.so' \
	CC='$(CC)' $(SHELL) $(srcdir)/%D%/run.sh
	srcdir='$(srcdir)' VL_MAP='$(DESTDIR)$(bindir)/valloc-map' VL_LIBRARY='$(DESTDIR)$(libdir)/libvalloc.so' \
	CC='$(CC)' $(SHELL) $(srcdir)/%D%/map.sh
endif

# The same with more random work, and over again until something fails.
check-long:
	@VL_TEST_LENGTH=20; export VL_TEST_LENGTH; \
	CK_TIMEOUT_MULTIPLIER=20; export CK_TIMEOUT_MULTIPLIER; \
	$(MAKE) $(AM_MAKEFLAGS) check && $(MAKE) $(AM_MAKEFLAGS) check-mutations

check-loop:
	@round=0; \
	while VL_TEST_SEED=$$((1 + round)) $(MAKE) $(AM_MAKEFLAGS) check; do \
	    round=$$((round + 1)); \
	    echo "check-loop: $$round rounds passed"; \
	done; \
	echo "check-loop: failed with VL_TEST_SEED=$$((1 + round))"; \
	exit 1

# A copy of the sources, in which one protection after the other is taken away: tests must fail.
if VL_CAN_EXPLORE
check-mutations:
	$(srcdir)/%D%/mutations --configure="`./config.status --config`"
else
check-mutations:
	@echo 'check-mutations: not in this build, which has no tests/model'
endif

# Real programs, their output compared with that of a run without the library.
check-programs: all
	$(srcdir)/%D%/programs/run --library .libs/libvalloc.so

# All machines of tests/qemu, or MACHINES="NAME ...".
check-numa: all $(check_PROGRAMS)
	$(srcdir)/%D%/qemu/run $(MACHINES)

.PHONY: check-long check-loop check-mutations check-numa check-programs
