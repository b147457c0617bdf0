# man - manual pages.  There is no valloc.3: that name is the C library's.

dist_man_MANS =
