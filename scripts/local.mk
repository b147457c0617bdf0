# scripts - tools around the library; none is installed.

noinst_PROGRAMS += %D%/measure
%C%_measure_SOURCES = %D%/measure.c
%C%_measure_LDADD =

EXTRA_DIST += \
	%D%/count-tests.sh \
	%D%/options-table
