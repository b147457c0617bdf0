/* cache - objects: size classes, threads, and the front door. The layer's one header. */
#ifndef VL_CACHE_CACHE_H
#define VL_CACHE_CACHE_H

#include "cache/advice.h"
#include "cache/audit.h"
#include "cache/central.h"
#include "cache/counters.h"
#include "cache/fork.h"
#include "cache/front.h"
#include "cache/heap.h"
#include "cache/init.h"
#include "cache/large.h"
#include "cache/layout.h"
#include "cache/magazine.h"
#include "cache/misuse.h"
#include "cache/object.h"
#include "cache/parking.h"
#include "cache/query.h"
#include "cache/report.h"
#include "cache/resident.h"
#include "cache/span.h"
#include "cache/stats.h"
#include "cache/thread.h"
#include "cache/trim.h"
#include "cache/walk.h"

#endif
