# numa - which node, and one heap for each.

VL_SOURCES += \
	%D%/census.c \
	%D%/census.h \
	%D%/numa.h \
	%D%/place.c \
	%D%/place.h \
	%D%/topology.c \
	%D%/topology.h \
	%D%/traffic.c \
	%D%/traffic.h
