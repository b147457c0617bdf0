#include "cache/layout.h"

#include "cache/object.h"
#include "valloc_version.h"

#include <stddef.h>

#define NUMBER(name, value)       .name = (value),
#define FIELD(name, type, member) .name = {offsetof(type, member), sizeof(((type *)0)->member)},

/* clang-format off */

/* Named by the note only. */
__attribute__((used)) const struct vl_layout vl_layout = {
    .magic = VL_LAYOUT_MAGIC,
    .bytes = sizeof(struct vl_layout),
    .format = VL_LAYOUT_FORMAT,
    .version = VALLOC_VERSION,
    VL_LAYOUT_NUMBERS(NUMBER)
    VL_LAYOUT_FIELDS(FIELD)
};
