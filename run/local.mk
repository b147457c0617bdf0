# run - valloc-run, which is installed: runs a program under valloc.

bin_PROGRAMS += %D%/valloc-run
dist_bin_SCRIPTS += %D%/run_with_hp_malloc.sh

%C%_valloc_run_SOURCES = \
	%D%/child.c \
	%D%/child.h \
	%D%/elf_file.c \
	%D%/elf_file.h \
	%D%/library.c \
	%D%/library.h \
	%D%/message.c \
	%D%/message.h \
	%D%/program.c \
	%D%/program.h \
	%D%/valloc-run.c
%C%_valloc_run_CPPFLAGS = $(AM_CPPFLAGS) -DBINDIR='"$(bindir)"' -DLIBDIR='"$(libdir)"'
# For the table of variables.
%C%_valloc_run_LDADD = libvalloc_core.la
