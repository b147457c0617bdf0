/*
 * advice - what is wrong with where memory lies, in one line, and what helps.
 *
 * A pure function of an audit. It speaks only of what the figures show, and of the gravest thing alone:
 * memory that did not fit comes before threads that move, these before frees on another node, which may
 * come from that. docs/numbers.md has the thresholds.
 */
#ifndef VL_CACHE_ADVICE_H
#define VL_CACHE_ADVICE_H

#include "cache/audit.h"

enum vl_finding {
    VL_FINDING_NONE,
    VL_FINDING_AWAY,      /* memory of a node's heap lies on another */
    VL_FINDING_FALLBACKS, /* a heap cannot grow, and takes from others */
    VL_FINDING_MOVING,    /* threads move between nodes */
    VL_FINDING_REMOTE,    /* many frees are of another node's blocks */
    VL_FINDING_ONE_SIDED, /* big blocks lie on one node, threads run on others */
};

/* The line goes to `text`, without its end; nothing does if nothing is wrong. */
enum vl_finding vl_advise(const struct vl_audit *audit, struct vl_text *text);

#endif
