/*
 * boot - a few KB for a malloc that is called from within the start of this one.
 *
 * Starting maps memory through libc's mmap, and what hooks that may call malloc. Such calls get
 * their memory here; it is never reused, and freeing it does nothing.
 */
#ifndef VL_CACHE_BOOT_H
#define VL_CACHE_BOOT_H

#include <stdbool.h>
#include <stddef.h>

void *vl_boot_take(size_t bytes, size_t align);
bool vl_boot_holds(const void *block);
size_t vl_boot_bytes(const void *block);

#endif
