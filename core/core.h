/* core - words every layer speaks. The layer's one header: others include only this. */
#ifndef VL_CORE_CORE_H
#define VL_CORE_CORE_H

#include "core/atomic.h"
#include "core/bits.h"
#include "core/cgroup.h"
#include "core/geometry.h"
#include "core/idstack.h"
#include "core/lock.h"
#include "core/options.h"
#include "core/os.h"
#include "core/panic.h"
#include "core/pool.h"
#include "core/program.h"
#include "core/rcu.h"
#include "core/sections.h"
#include "core/size_class.h"
#include "core/slice.h"
#include "core/text.h"
#include "core/turn.h"
#include "core/verify.h"

#endif
