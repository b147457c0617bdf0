/* core/pool: consecutive ids, zeroed items, growth in steps, its end, and failures of memory. */
#include "tests/api/support.h"

#include "core/bits.h"
#include "core/pool.h"
#include "tests/fake_os.h"

#include <pthread.h>

enum { THREADS = 4, ITEM_SHIFT = 9, ITEM_BYTES = 1 << ITEM_SHIFT, SMALL_POOL = 1000 };

static struct vl_pool pool;

static void start_pool(uint32_t id_end)
{
    void *space = vl_os->reserve(vl_pool_space(ITEM_SHIFT, id_end));
    ck_assert_ptr_nonnull(space);
    vl_pool_start(&pool, space, ITEM_SHIFT, id_end);
}

static void start_small_pool(void)
{
    fake_os_install();
    start_pool(SMALL_POOL);
}

/* --- Items --- */

START_TEST(ids_follow_each_other)
{
    uint32_t expected = 1;
    for (uint32_t count = 1; expected + count < SMALL_POOL; count++) {
        ck_assert_uint_eq(vl_pool_end(&pool), expected);
        ck_assert_uint_eq(vl_pool_take(&pool, count), expected);
        for (uint32_t id = expected; id < expected + count; id++) {
            void *item = vl_pool_item(&pool, id);
            ck_assert(is_zero(item, ITEM_BYTES));
            ck_assert_uint_eq(vl_pool_id(&pool, item), id);
            ck_assert_uint_eq(vl_pool_id(&pool, (char *)item + ITEM_BYTES - 1), id);
            pattern_fill(item, ITEM_BYTES, id);
        }
        expected += count;
    }
    for (uint32_t id = 1; id < expected; id++)
        ck_assert_uint_eq(pattern_damage(vl_pool_item(&pool, id), ITEM_BYTES, id), ITEM_BYTES);
}
END_TEST

START_TEST(used_up)
{
    ck_assert_uint_eq(vl_pool_take(&pool, SMALL_POOL), 0); /* id 0 is never made */
    ck_assert_uint_eq(vl_pool_take(&pool, SMALL_POOL - 3), 1);
    ck_assert_uint_eq(vl_pool_take(&pool, 3), 0);
    ck_assert_uint_eq(vl_pool_take(&pool, 2), SMALL_POOL - 2);
    ck_assert_uint_eq(vl_pool_take(&pool, 1), 0);
    memset(vl_pool_item(&pool, SMALL_POOL - 1), 1, ITEM_BYTES);
}
END_TEST

/* --- Memory --- */

START_TEST(grows_in_doubling_steps)
{
    uint32_t id_end = (32 << 20) / ITEM_BYTES;
    start_pool(id_end);
    fake_os_forget();
    while (vl_pool_take(&pool, 1) != 0) {
    }
    ck_assert_uint_eq(vl_pool_end(&pool), id_end);

    const struct fake_os_record *records;
    unsigned calls = fake_os_records(&records);
    ck_assert_uint_eq(fake_os_count(FAKE_PROTECT), calls);
    size_t end = 0, step = 64 << 10;
    for (unsigned i = 0; i < calls; i++) {
        ck_assert_ptr_eq(records[i].start, pool.items + end);
        ck_assert_int_eq(records[i].access, VL_ACCESS_WRITE);
        size_t left = vl_pool_space(ITEM_SHIFT, id_end) - end;
        ck_assert_uint_eq(records[i].size, vl_min(step, left));
        end += records[i].size;
        step = vl_min(vl_max(end, 64 << 10), 4 << 20);
    }
    ck_assert_uint_eq(end, vl_pool_space(ITEM_SHIFT, id_end));
}
END_TEST

START_TEST(more_at_once_than_a_step)
{
    uint32_t count = (1 << 20) / ITEM_BYTES;
    start_pool(2 * count);
    ck_assert_uint_eq(vl_pool_take(&pool, count), 1);
    memset(vl_pool_item(&pool, 1), 1, (size_t)count * ITEM_BYTES);
}
END_TEST

START_TEST(large_pages)
{
    vl_os_page_size = 64 << 10;
    start_pool(1024);
    fake_os_forget();
    ck_assert_uint_eq(vl_pool_take(&pool, 200), 1);
    ck_assert_uint_eq(vl_pool_take(&pool, 200), 201);
    const struct fake_os_record *records;
    for (unsigned i = fake_os_records(&records); i-- > 0;) {
        ck_assert_uint_eq((size_t)((char *)records[i].start - pool.items) % vl_os_page_size, 0);
        ck_assert_uint_eq(records[i].size % vl_os_page_size, 0);
    }
}
END_TEST

/* Each step fails once and is then tried again. */
START_TEST(failure_loses_nothing)
{
    unsigned refused = 0;
    fake_os_forget();
    for (uint32_t next = 1; next < SMALL_POOL; next++) {
        fake_os_fail(FAKE_PROTECT, 1, ENOMEM);
        uint32_t id = vl_pool_take(&pool, 1);
        if (id == 0) {
            refused++;
            ck_assert_uint_eq(vl_pool_end(&pool), next);
            id = vl_pool_take(&pool, 1);
        }
        ck_assert_uint_eq(id, next);
        memset(vl_pool_item(&pool, id), 1, ITEM_BYTES);
    }
    ck_assert_uint_gt(refused, 2);
    ck_assert_uint_eq(fake_os_count(FAKE_PROTECT), 2 * refused);
}
END_TEST

/* --- Many threads --- */

struct taker {
    pthread_t thread;
    uint64_t random;
    uint32_t taken;
};

/* Marks each item it gets, without atomics: nobody else may have got it. */
static void *take_all(void *argument)
{
    struct taker *taker = argument;
    uint32_t count, first;
    do {
        count = 1 + (uint32_t)(random_next(&taker->random) % 3);
        first = vl_pool_take(&pool, count);
        for (uint32_t i = 0; first != 0 && i < count; i++)
            ++*(unsigned *)vl_pool_item(&pool, first + i);
        taker->taken += first != 0 ? count : 0;
    } while (first != 0);
    return NULL;
}

START_TEST(each_id_once)
{
    struct taker takers[THREADS] = {0};
    uint32_t id_end = 20000, taken = 0;
    start_pool(id_end);
    for (int i = 0; i < THREADS; i++) {
        takers[i].random = test_seed() + (uint64_t)i;
        ck_assert_int_eq(pthread_create(&takers[i].thread, NULL, take_all, &takers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(takers[i].thread, NULL);
        taken += takers[i].taken;
    }
    ck_assert_uint_eq(vl_pool_end(&pool), taken + 1);
    ck_assert_uint_ge(taken + 1, id_end - 2);
    for (uint32_t id = 1; id <= taken; id++)
        ck_assert_uint_eq(*(unsigned *)vl_pool_item(&pool, id), 1);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("pool");
    TCase *items = tcase_create("items");
    TCase *memory = tcase_create("memory");
    TCase *threads = timed_case("threads", 60);

    tcase_add_checked_fixture(items, start_small_pool, NULL);
    tcase_add_test(items, ids_follow_each_other);
    tcase_add_test(items, used_up);
    suite_add_tcase(suite, items);

    tcase_add_checked_fixture(memory, start_small_pool, NULL);
    tcase_add_test(memory, grows_in_doubling_steps);
    tcase_add_test(memory, more_at_once_than_a_step);
    tcase_add_test(memory, large_pages);
    tcase_add_test(memory, failure_loses_nothing);
    suite_add_tcase(suite, memory);

    tcase_add_checked_fixture(threads, start_small_pool, NULL);
    tcase_add_test(threads, each_id_once);
    suite_add_tcase(suite, threads);
    return suite;
}
