/*
 * sections - which data lie beside which in the library. (Of code, first.ld says that.)
 *
 *      .data, .bss      words that every process writes: on few pages
 *      .data.sparse     what only a process writes that allocates,
 *      .bss.sparse      and tables with room for more than it uses
 *
 * The kernel copies written data by pages: what is used together costs less when it lies together; so a
 * table of large entries begins on a page, too. GNU's linker sorts these sections by name (configure.ac). In
 * a program that holds us as objects (libvalloc.a), and with other linkers, they lie in the order of the
 * objects.
 */
#ifndef VL_CORE_SECTIONS_H
#define VL_CORE_SECTIONS_H

#define VL_SPARSE_DATA __attribute__((section(".data.sparse")))
#define VL_SPARSE      __attribute__((section(".bss.sparse")))

#endif
