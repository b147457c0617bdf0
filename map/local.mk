# map - valloc-map, which is installed: a picture of a heap.

bin_PROGRAMS += %D%/valloc-map

%C%_valloc_map_SOURCES = \
	%D%/bars.c \
	%D%/canvas.c \
	%D%/canvas.h \
	%D%/dump.c \
	%D%/dump.h \
	%D%/face.c \
	%D%/face.h \
	%D%/figures.c \
	%D%/figures.h \
	%D%/find.c \
	%D%/find.h \
	%D%/heap.c \
	%D%/heap.h \
	%D%/legend.c \
	%D%/look.c \
	%D%/look.h \
	%D%/page_kinds.c \
	%D%/page_kinds.h \
	%D%/picture.c \
	%D%/picture.h \
	%D%/remote.c \
	%D%/remote.h \
	%D%/sections.c \
	%D%/sections.h \
	%D%/tiles.c \
	%D%/valloc-map.c \
	run/message.c \
	run/message.h
%C%_valloc_map_LDADD =
