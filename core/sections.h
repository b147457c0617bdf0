/*
 * sections - what lies beside what in the library.
 *
 *      .text.startup    what runs in every process, also in one that allocates nothing
 *      .text            the rest
 *      .data, .bss      words that every process writes: on few pages
 *      .data.sparse     what only a process writes that allocates,
 *      .bss.sparse      and tables with room for more than it uses
 *
 * The kernel reads code by 64 KB and copies written data by pages: what is used together costs less when it
 * lies together; so a table of large entries begins on a page, too. GNU's linker sorts the sections of data by
 * name (configure.ac), and puts the start first by itself. In a program that holds us as objects
 * (libvalloc.a), and with other linkers, data lie in the order of the objects.
 */
#ifndef VL_CORE_SECTIONS_H
#define VL_CORE_SECTIONS_H

#define VL_AT_START    __attribute__((section(".text.startup")))
#define VL_SPARSE_DATA __attribute__((section(".data.sparse")))
#define VL_SPARSE      __attribute__((section(".bss.sparse")))

#endif
