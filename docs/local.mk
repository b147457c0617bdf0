# docs - how it works; read in the source tree.

EXTRA_DIST += \
	%D%/concurrency.md \
	%D%/design.md \
	%D%/numbers.md \
	%D%/plots/phases.png \
	%D%/plots/redis.png \
	%D%/plots/refill.png \
	%D%/testing.md \
	CHANGELOG.md \
	CONTRIBUTING.md

# The variables in README.md and valloc(7), from the library's own list: `true` by way of env, as a
# shell's built-in one is not preloaded.
options-tables: all
	@set -e; table=$$(mktemp); trap 'rm -f "$$table"' EXIT; \
	for place in markdown:README.md man:man/valloc.7; do \
	    env VALLOC_HELP=1 LD_PRELOAD='$(abs_builddir)/.libs/libvalloc.so' true 2>&1 | \
	        $(srcdir)/scripts/options-table $${place%%:*} >"$$table"; \
	    sed -i -e '/begin options/,/end options/{//!d}' -e "/begin options/r $$table" \
	        $(srcdir)/$${place#*:}; \
	done

.PHONY: options-tables
