/* trim - everything free that can go back to the system, now. */
#ifndef VL_CACHE_TRIM_H
#define VL_CACHE_TRIM_H

#include <stddef.h>

/* Empties the caller's cache, parked ones and the depots into spans, spans into regions, and returns
 * the memory of empty regions and free big blocks; tells how many bytes. Caches of other live
 * threads stay as they are. */
size_t vl_trim(void);

#endif
