/*
 * look - a heap as it is in another process, at about this moment.
 *
 * Nobody is stopped and no lock is taken: a table may change while it is read. Each record says
 * little by itself, so what is torn is one region or block; a walk over big blocks that lost its
 * way is made again, and what is wrong after that is left out and said so (heap->torn).
 */
#ifndef VL_MAP_LOOK_H
#define VL_MAP_LOOK_H

#include "map/heap.h"
#include "map/remote.h"

/* `scan`: page kinds by PAGEMAP_SCAN, if the kernel has it. Ends the tool with a message if
 * there is no heap of ours to be seen. */
void look_at_process(pid_t pid, bool scan, struct heap *heap);

#endif
