/* core/bits: every small number, and the neighbours of every power of two, the slow way. */
#include "tests/api/support.h"

#include "core/bits.h"

static unsigned slow_log2(uint64_t x)
{
    unsigned log = 0;
    while (x > 1) {
        x /= 2;
        log++;
    }
    return log;
}

static unsigned slow_bit_count(uint64_t x)
{
    unsigned count = 0;
    for (; x != 0; x /= 2)
        count += x % 2;
    return count;
}

static unsigned slow_lowest_bit(uint64_t x)
{
    unsigned bit = 0;
    for (; x % 2 == 0; x /= 2)
        bit++;
    return bit;
}

static void check_word(uint64_t x)
{
    ck_assert_uint_eq(vl_log2(x), slow_log2(x));
    ck_assert_uint_eq(vl_bit_count(x), slow_bit_count(x));
    ck_assert_uint_eq(vl_lowest_bit(x), slow_lowest_bit(x));
    ck_assert_int_eq(vl_is_power_of_two(x), slow_bit_count(x) == 1);
}

START_TEST(words)
{
    for (uint64_t x = 1; x <= 4096; x++)
        check_word(x);
    for (unsigned shift = 12; shift < 64; shift++) {
        uint64_t power = (uint64_t)1 << shift;
        check_word(power - 1);
        check_word(power);
        check_word(power + 1);
    }
    check_word(UINT64_MAX);
    ck_assert(!vl_is_power_of_two(0));
}
END_TEST

START_TEST(rounding)
{
    for (size_t unit = 1; unit <= 256; unit *= 2)
        for (size_t x = 0; x <= 1024; x++) {
            ck_assert_uint_eq(vl_round_down(x, unit), x / unit * unit);
            ck_assert_uint_eq(vl_round_up(x, unit), (x + unit - 1) / unit * unit);
        }
    ck_assert_uint_eq(vl_round_up(SIZE_MAX - 4095, 4096), SIZE_MAX - 4095);
    ck_assert_uint_eq(vl_round_down(SIZE_MAX, 4096), SIZE_MAX - 4095);
}
END_TEST

START_TEST(smaller_and_larger)
{
    ck_assert_uint_eq(vl_min(3, 5), 3);
    ck_assert_uint_eq(vl_min(5, 3), 3);
    ck_assert_uint_eq(vl_min(0, SIZE_MAX), 0);
    ck_assert_uint_eq(vl_max(3, 5), 5);
    ck_assert_uint_eq(vl_max(5, 3), 5);
    ck_assert_uint_eq(vl_max(0, SIZE_MAX), SIZE_MAX);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("bits");
    TCase *numbers = tcase_create("numbers");

    tcase_add_test(numbers, words);
    tcase_add_test(numbers, rounding);
    tcase_add_test(numbers, smaller_and_larger);
    suite_add_tcase(suite, numbers);
    return suite;
}
