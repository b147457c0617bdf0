# numa - which node, and one heap for each.

VL_SOURCES += \
	%D%/binding.c \
	%D%/binding.h \
	%D%/census.c \
	%D%/census.h \
	%D%/numa.h \
	%D%/place.c \
	%D%/place.h \
	%D%/placement.c \
	%D%/placement.h \
	%D%/tier.c \
	%D%/tier.h \
	%D%/topology.c \
	%D%/topology.h \
	%D%/traffic.c \
	%D%/traffic.h
