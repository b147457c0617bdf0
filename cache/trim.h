/* trim - everything free that can go back to the system, now. */
#ifndef VL_CACHE_TRIM_H
#define VL_CACHE_TRIM_H

#include "cache/heap.h"

/* Empties the caller's cache, parked ones and the depots into spans, spans into regions, and returns
 * the memory of empty regions and free big blocks; tells how many bytes. Caches of other live
 * threads stay as they are. */
size_t vl_trim(void);

/* The same where a request has found nothing: what is kept for later may be what is missing now. Address space
 * goes as well, as what can be written counts against a limit, used or not. */
void vl_trim_for_want(void);

/* Empties a heap's depots into its spans, and gives back those that are empty. */
void vl_trim_depots(struct vl_heap *heap);
void vl_trim_spans(struct vl_heap *heap);

#endif
