/*
 * A trace that was recorded, as text with an operation on each line:
 *
 *     # what it is of
 *     a ID SIZE       allocate SIZE bytes, to be known as ID
 *     r ID SIZE       resize
 *     f ID            free
 *
 * Numbers are decimal. An ID is from 0 to 2^24 - 1 and may be used again after its block was
 * freed; a table has as many entries as the largest, so that small ones are better. SIZE is from
 * 0 to 2^32 - 1. Blank lines are nothing.
 */
#ifndef VALLOC_BENCH_TRACE_FILE_H
#define VALLOC_BENCH_TRACE_FILE_H

#include "bench/ledger.h"

/* Ends the program, naming the line, when the file is none. */
void trace_file_play(const char *path, struct ledger *ledger);

#endif
