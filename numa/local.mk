# numa - which node, and one heap for each.

VL_SOURCES += \
	%D%/numa.h \
	%D%/place.c \
	%D%/place.h \
	%D%/placement.c \
	%D%/placement.h \
	%D%/tier.c \
	%D%/tier.h \
	%D%/topology.c \
	%D%/topology.h
