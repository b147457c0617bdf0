/*
 * picture - a heap as one SVG file.
 *
 *      title, headline, legend
 *      Node 0      a grid of tiles, one for each region, in the order of addresses
 *      Object x    the same
 *      Big blocks  bars as long as the blocks
 *
 * A tile stands for more regions, and a pixel for more bytes, where the heap is large, so that the
 * file stays below some megabytes however large that is.
 */
#ifndef VL_MAP_PICTURE_H
#define VL_MAP_PICTURE_H

#include "map/heap.h"

#include <stdio.h>

void picture_draw(const struct heap *heap, FILE *file);

#endif
