#include "cache/boot.h"

#include "core/core.h"

/* In front of each block lies its size. */
enum { HEADER = 16, SPACE = 16 << 10 };

static VL_SPARSE _Alignas(64) char space[SPACE];
static _Atomic size_t used;

void *vl_boot_take(size_t bytes, size_t align)
{
    size_t old = vl_get(&used), start, end;
    bytes = vl_round_up(vl_max(bytes, 1), HEADER); /* an address of its own for each */
    do {
        start = vl_round_up((uintptr_t)space + old + HEADER, vl_max(align, HEADER)) -
                (uintptr_t)space;
        end = start + bytes;
        if (bytes > SPACE || align > SPACE || end > SPACE)
            return NULL;
    } while (!vl_swap_if(&used, &old, end));
    *(size_t *)&space[start - HEADER] = bytes;
    return &space[start];
}

bool vl_boot_holds(const void *block)
{
    return (uintptr_t)block - (uintptr_t)space < SPACE;
}

size_t vl_boot_bytes(const void *block)
{
    return *(const size_t *)((const char *)block - HEADER);
}
