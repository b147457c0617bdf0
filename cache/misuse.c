#include "cache/misuse.h"

#include "numa/numa.h"

static const char *const reasons[] = {
    [VL_MISUSE_FOREIGN] = "not a pointer of this allocator:",
    [VL_MISUSE_UNALLOCATED] = "freed already or never allocated:",
    [VL_MISUSE_INTERIOR] = "not the start of a block:",
    [VL_MISUSE_DOUBLE_FREE] = "double free of",
    [VL_MISUSE_OTHER] = "a block of another allocator:",
    [VL_MISUSE_LIVE] = "in use already, not destroyed:",
};

/* What the class map says of the pointer. */
static void describe(struct vl_text *text, const void *pointer)
{
    const struct vl_slice *slice = vl_slice_of(pointer);
    if (slice == NULL)
        return vl_text_str(text, "outside of the heap");
    if (!vl_slice_has_regions(slice))
        return vl_text_str(text, "among big blocks");
    unsigned class = vl_get(vl_slice_class(slice, pointer));
    if (class == VL_CLASS_NONE)
        return vl_text_str(text, "in an unused page");
    if (class >= VL_CLASSES)
        return vl_text_str(text, "in a run of pages");
    vl_text_u64(text, vl_size_classes[class].size);
    vl_text_str(text, "-byte class");
}

void vl_misuse(const char *function, enum vl_misuse what, const void *pointer)
{
    char detail[64];
    struct vl_text text = vl_text_on(detail, sizeof detail);
    describe(&text, pointer);
    vl_panic(function, reasons[what], pointer, detail);
}
