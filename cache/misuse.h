/*
 * misuse - what a program can do wrong with a pointer, and the line it dies with.
 *
 *      valloc: free(): double free of 0x7f3b40012340 (64-byte class)
 *
 * Objects come back to their spans in batches, so a double free or an interior pointer of a small
 * block is found later than it happened: the line then says so.
 */
#ifndef VL_CACHE_MISUSE_H
#define VL_CACHE_MISUSE_H

enum vl_misuse {
    VL_MISUSE_FOREIGN,     /* not from this allocator */
    VL_MISUSE_UNALLOCATED, /* from our address space, where nothing is allocated */
    VL_MISUSE_INTERIOR,    /* not the start of a block */
    VL_MISUSE_DOUBLE_FREE,
    VL_MISUSE_OTHER, /* of another allocator object, or of the process's heap */
    VL_MISUSE_LIVE,  /* an allocator object that is to be initialised a second time */
};

_Noreturn void vl_misuse(const char *function, enum vl_misuse what, const void *pointer);

#endif
