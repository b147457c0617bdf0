/* numa - places: which node memory comes from. The layer's one header: others include only this. */
#ifndef VL_NUMA_NUMA_H
#define VL_NUMA_NUMA_H

#include "numa/binding.h"
#include "numa/census.h"
#include "numa/place.h"
#include "numa/placement.h"
#include "numa/tier.h"
#include "numa/topology.h"
#include "numa/traffic.h"

#endif
