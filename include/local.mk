# include - what programs see.

include_HEADERS = %D%/hp_allocator.h %D%/valloc.h
nodist_include_HEADERS = %D%/valloc_version.h
