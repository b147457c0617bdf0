# scripts - tools around the library; none is installed.

EXTRA_DIST += \
	%D%/count-tests.sh \
	%D%/hugepages-demo \
	%D%/options-table
