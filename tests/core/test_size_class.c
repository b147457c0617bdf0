/* core/size_class: every size, every offset of every span, every alignment, against the table. */
#include "tests/api/support.h"

#include "core/size_class.h"

enum { MAGAZINE_BYTES = 32 << 10, MAGAZINE_SLOTS = 63 };

/* --- The table --- */

START_TEST(sizes_rise)
{
    ck_assert_uint_eq(vl_size_classes[VL_CLASS_NONE].size, 0);
    ck_assert_uint_eq(vl_size_classes[VL_CLASS_NONE].capacity, 0);
    for (unsigned class = 1; class < VL_CLASSES; class ++) {
        ck_assert_uint_gt(vl_size_classes[class].size, vl_size_classes[class - 1].size);
        ck_assert_uint_eq(vl_size_classes[class].size % VL_MIN_ALIGN, 0);
    }
    ck_assert_uint_eq(vl_size_classes[VL_CLASSES - 1].size, VL_SMALL_MAX);
    ck_assert_uint_le(VL_BINS, UINT8_MAX + 1);
    ck_assert_uint_gt(VL_CLASS_RUN_BODY, VL_CLASS_RUN_HEAD);
}
END_TEST

START_TEST(spans_waste_little)
{
    for (unsigned class = 1; class < VL_CLASSES; class ++) {
        const struct vl_size_class *row = &vl_size_classes[class];
        size_t span = row->span_pages * VL_PAGE_SIZE;
        ck_assert_uint_eq(row->objects, span / row->size);
        size_t left_over = span - row->objects * (size_t)row->size;
        ck_assert_uint_le(left_over * (row->size <= 8 * KB ? 42 : 64), span);
        ck_assert_uint_ge(row->objects, row->size <= KB ? 16 : row->size <= 8 * KB ? 4 : 1);
        bool lone = row->objects == 1 && row->size == span && span >= 32 * KB;
        ck_assert_msg(lone || (row->objects > 1 && span <= 128 * KB),
                      "class of %u bytes: spans of %zu", row->size, span);
    }
}
END_TEST

START_TEST(magazines_hold_32_KB)
{
    for (unsigned class = 1; class < VL_CLASSES; class ++) {
        const struct vl_size_class *row = &vl_size_classes[class];
        size_t fit = MAGAZINE_BYTES / row->size;
        size_t expected = fit > MAGAZINE_SLOTS ? MAGAZINE_SLOTS : fit == 0 ? 1 : fit;
        ck_assert_uint_eq(row->capacity, expected);
    }
}
END_TEST

/* --- Requests --- */

START_TEST(every_size_gets_the_smallest_class)
{
    unsigned expected = 1;
    for (size_t size = 0; size <= VL_SMALL_MAX; size++) {
        while (vl_size_classes[expected].size < size)
            expected++;
        ck_assert_uint_eq(vl_class_of_size(size), expected);

        size_t object = vl_size_classes[expected].size;
        size_t waste = object - vl_max(size, 1);
        if (size <= 128)
            ck_assert_uint_le(waste, 15);
        else
            ck_assert_uint_lt(waste * 9, object);
        ck_assert_uint_le(waste, vl_max(size / 8, 15));
    }
    ck_assert_uint_eq(vl_class_of_size(VL_SMALL_MAX + 1), VL_CLASS_NONE);
    ck_assert_uint_eq(vl_class_of_size(PTRDIFF_MAX), VL_CLASS_NONE);
    ck_assert_uint_eq(vl_class_of_size(SIZE_MAX), VL_CLASS_NONE);
}
END_TEST

static unsigned slow_class_of_aligned(size_t size, size_t align)
{
    for (unsigned class = 1; class < VL_CLASSES; class ++)
        if (vl_size_classes[class].size >= vl_max(size, align) &&
            vl_size_classes[class].size % align == 0)
            return class;
    return VL_CLASS_NONE;
}

START_TEST(every_alignment_up_to_a_page)
{
    for (size_t align = 1; align <= VL_PAGE_SIZE; align *= 2) {
        ck_assert_uint_eq(vl_class_of_aligned(0, align), slow_class_of_aligned(0, align));
        for (unsigned class = 1; class < VL_CLASSES; class ++) {
            size_t size = vl_size_classes[class].size;
            for (size_t near = size - 1; near <= size + 1; near++)
                ck_assert_uint_eq(vl_class_of_aligned(near, align),
                                  slow_class_of_aligned(near, align));
        }
        ck_assert_uint_eq(vl_class_of_aligned(SIZE_MAX, align), VL_CLASS_NONE);
    }
}
END_TEST

/* --- Objects --- */

START_TEST(every_offset_finds_its_object)
{
    for (unsigned class = 1; class < VL_CLASSES; class ++) {
        const struct vl_size_class *row = &vl_size_classes[class];
        size_t offset = 0, span = row->span_pages * VL_PAGE_SIZE;
        for (unsigned index = 0; offset < span; index++)
            for (size_t end = vl_min(offset + row->size, span); offset < end; offset++)
                if (vl_object_index(row, offset) != index)
                    ck_abort_msg("class of %u bytes: offset %zu is in object %u, not %u", row->size,
                                 offset, index, vl_object_index(row, offset));
    }
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("size_class");
    TCase *table = tcase_create("table");
    TCase *requests = timed_case("requests", 60);
    TCase *objects = timed_case("objects", 60);

    tcase_add_test(table, sizes_rise);
    tcase_add_test(table, spans_waste_little);
    tcase_add_test(table, magazines_hold_32_KB);
    suite_add_tcase(suite, table);

    tcase_add_test(requests, every_size_gets_the_smallest_class);
    tcase_add_test(requests, every_alignment_up_to_a_page);
    suite_add_tcase(suite, requests);

    tcase_add_test(objects, every_offset_finds_its_object);
    suite_add_tcase(suite, objects);
    return suite;
}
