/*
 * report - what the heap holds, printed: for people, and for programs.
 *
 * Lines are put together on the stack and written as wholes, the summary at once, and the object, too, if there are
 * not very many nodes: so those of several processes do not mix.
 */
#ifndef VL_CACHE_REPORT_H
#define VL_CACHE_REPORT_H

#include "cache/resident.h"
#include "hugepage/hugepage.h"

/* The summary that VALLOC_STATS=1 prints, and the object that VALLOC_STATS=json does (report_json.c). */
void vl_report_print(int fd);
void vl_report_print_json(int fd);

/* Of the summary: lines of each node's heap, of frees between nodes, and advice; and of the places of big
 * blocks (report_nodes.c). */
void vl_report_nodes(int fd, const struct vl_residents *residents);
void vl_report_places(int fd);

/* For people: what an object of huge pages holds, and how many of them the process got. */
void vl_report_hugepages(struct vl_text *text, const struct vl_holding *holding);

/* Lines that say why VALLOC_LARGE_POLICY or VALLOC_TIER has no effect, if it has none, and what tiers there
 * are, if that is of interest. */
void vl_report_policy(int fd);

/* As VALLOC_STATS says. */
void vl_report_at_exit(int fd);

#endif
