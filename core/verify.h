/*
 * verify - what we believe about our own structures.
 *
 * VL_CHECK(x) is compiled only into verify builds (VL_VERIFY=1): `make check` runs every test against
 * the objects as shipped and against their verified twins. It may recompute whole structures.
 * What a *program* can do wrong is never left to VL_CHECK: see core/panic.h.
 */
#ifndef VL_CORE_VERIFY_H
#define VL_CORE_VERIFY_H

#include "core/panic.h"

#ifdef VL_VERIFY
#define VL_TEXT_OF_(x) #x
#define VL_TEXT_OF(x) VL_TEXT_OF_(x)
#define VL_CHECK(x)                                                                               \
    ((x) ? (void)0 : vl_fatal("broken: " #x " at " __FILE__ ":" VL_TEXT_OF(__LINE__)))
#else
#define VL_CHECK(x) ((void)0)
#endif

#endif
