# core - words every layer speaks.

VL_SOURCES += \
	%D%/atomic.h \
	%D%/bits.h \
	%D%/cgroup.c \
	%D%/cgroup.h \
	%D%/core.h \
	%D%/geometry.h \
	%D%/idstack.h \
	%D%/lock.c \
	%D%/lock.h \
	%D%/options.c \
	%D%/options.h \
	%D%/os.h \
	%D%/os_linux.c \
	%D%/panic.c \
	%D%/panic.h \
	%D%/pool.c \
	%D%/pool.h \
	%D%/program.c \
	%D%/program.h \
	%D%/rcu.c \
	%D%/rcu.h \
	%D%/sections.h \
	%D%/size_class.c \
	%D%/size_class.h \
	%D%/slice.c \
	%D%/slice.h \
	%D%/text.c \
	%D%/text.h \
	%D%/turn.c \
	%D%/turn.h \
	%D%/verify.h
