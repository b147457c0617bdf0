/*
 * dump - a heap as lines of text, to be drawn elsewhere. valloc-map(1) describes the format.
 *
 *      valloc-map dump 1
 *      library VERSION
 *      process PID PROGRAM
 *      pages scanned|mappings|unknown
 *      torn                                                    only if it was
 *      stretch node|objects|big NODE START SIZE                hexadecimal; node -1: none
 *      object SERIAL NAME                                      before the first part that is of it
 *      r INDEX COUNT STATE PAGES RUNS RESIDENT HUGE POOL OBJECT
 *      b GRAIN GRAINS STATE BYTES RESIDENT HUGE POOL OBJECT
 *      end PARTS
 *
 * A version of the format that is not known is refused, and so is any line that is not understood.
 */
#ifndef VL_MAP_DUMP_H
#define VL_MAP_DUMP_H

#include "map/heap.h"

#include <stdio.h>

void dump_write(const struct heap *heap, FILE *file);

/* Ends the tool with a message if the file is none, or not whole. */
void dump_read(FILE *file, const char *name, struct heap *heap);

#endif
