/* Allocator objects, by the functions of valloc.h: what they give and take back, what they do with names
 * of no object and with blocks that are not theirs, and threads that come, go and destroy. */
#include "tests/world.h"

#include "hp_allocator.h"

#include <setjmp.h>
#include <unistd.h>

enum { NODES = 3, THREADS = 4 };

static void set_up(void)
{
    begin_world(NODES);
}

static void set_up_bare(void)
{
    begin_bare_world(2);
}

static MemoryAllocator make(void)
{
    MemoryAllocator made;
    memset(&made, 0x5a, sizeof made); /* as a stack may be */
    ck_assert_int_eq(valloc_init(&made, 1000, 4), 0);
    return made;
}

static struct vl_object *object_of(const MemoryAllocator *allocator)
{
    struct vl_object *object = vl_object_named(allocator->serial, allocator->number);
    ck_assert_ptr_nonnull(object);
    return object;
}

static const size_t sizes[] = {0,      1,      16,      100,    1024,    5000,   32768,
                               200000, 262144, 300000, 900000, 1 << 20, 5 << 20};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* --- One thread --- */

START_TEST(blocks_of_every_size)
{
    MemoryAllocator mesh = make();
    char *blocks[SIZES];
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < SIZES; i++) {
            blocks[i] = valloc_block(&mesh, sizes[i]);
            ck_assert_ptr_nonnull(blocks[i]);
            ck_assert_uint_ge(vl_usable_size(blocks[i]), sizes[i]);
            memset(blocks[i], (int)i, sizes[i]);
        }
        for (unsigned i = 0; i < SIZES; i++) {
            for (size_t at = 0; at < sizes[i]; at += 509)
                require(blocks[i][at] == (char)i);
            (i % 2 == 0 ? revalloc : free_valloc)(&mesh, blocks[i]);
        }
    }
    valloc_destroy(&mesh);
}
END_TEST

/* All that an object had is to be had by another, and nothing of it is in use. */
START_TEST(destroyed_with_all_its_blocks)
{
    MemoryAllocator mesh = make();
    struct vl_object *object = object_of(&mesh);
    void *small = valloc_block(&mesh, 100), *big = valloc_block(&mesh, 5 << 20);
    for (unsigned i = 0; i < 5000; i++)
        ck_assert_ptr_nonnull(valloc_block(&mesh, sizes[i % 9]));
    ck_assert_uint_gt(object->heap.holding.regions, 2);
    ck_assert_uint_eq(object->heap.holding.big_blocks, 1);
    ck_assert_uint_ge(stats_now().big_bytes, 5 << 20);
    valloc_destroy(&mesh);
    ck_assert_uint_eq(object->heap.holding.regions, 0);
    ck_assert_uint_eq(object->heap.holding.pages_used, 0);
    ck_assert_uint_eq(vl_query_bytes(small), 0);
    ck_assert_uint_eq(vl_query_bytes(big), 0);
    struct vl_stats stats = stats_now();
    ck_assert_uint_eq(vl_stats_used(&stats), 0);
    ck_assert_uint_eq(stats.regions_active + stats.regions_empty + stats.big_kept_bytes, 0);
    valloc_destroy(&mesh); /* once is enough */
}
END_TEST

START_TEST(names_of_no_object)
{
    MemoryAllocator mesh = make(), dead = mesh, blank = {0}, *no_objects[] = {NULL, &blank, &dead};
    char block[16];
    valloc_destroy(&mesh);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_ptr_null(valloc_block(no_objects[i], 100));
        ck_assert_ptr_null(valloc_thread_cache(no_objects[i]));
        revalloc(no_objects[i], block);
        free_valloc(no_objects[i], block);
        valloc_destroy(no_objects[i]);
        if (i > 0)
            ck_assert_uint_eq(valloc_cleanup_level(no_objects[i], 3), 0);
    }
    ck_assert_int_eq(valloc_init(NULL, 10, 1), -1);
    ck_assert_int_eq(valloc_init(&blank, 10, -1), -1);
    ck_assert_int_eq(valloc_init(&blank, -1, 1), -1);
    ck_assert_int_eq(valloc_init_opts(&blank, NULL), -1);
    ck_assert_ptr_null(valloc_cache_allocate(NULL, 10));
    valloc_cache_free(NULL, block, 16);
}
END_TEST

START_TEST(options)
{
    MemoryAllocator mesh;
    struct valloc_opts opts = {.size = sizeof opts, .node_plus_one = 3, .name = "mesh"};
    ck_assert_int_eq(valloc_init_opts(&mesh, &opts), 0);
    ck_assert_str_eq(object_of(&mesh)->name, "mesh");
    ck_assert_uint_eq(node_of(valloc_block(&mesh, 100)), 2);
    valloc_destroy(&mesh);

    opts = (struct valloc_opts){.size = sizeof opts, .node_plus_one = NODES + 1};
    ck_assert_int_eq(valloc_init_opts(&mesh, &opts), -1); /* no such node */

    opts = (struct valloc_opts){.size = sizeof opts, .limit = 4 << 20};
    ck_assert_int_eq(valloc_init_opts(&mesh, &opts), 0);
    ck_assert_ptr_null(valloc_block(&mesh, 5 << 20));
    size_t got = 0;
    while (valloc_block(&mesh, 1000) != NULL)
        got += 1000;
    ck_assert_uint_gt(got, 3 << 20);
    ck_assert_uint_le(got, 4 << 20);
    valloc_destroy(&mesh);

    opts = (struct valloc_opts){.size = sizeof opts, .hugepages = VALLOC_HUGEPAGES_ALWAYS};
    ck_assert_int_eq(valloc_init_opts(&mesh, &opts), 0);
    ck_assert(vl_slice_of(valloc_block(&mesh, 100))->huge);
    valloc_destroy(&mesh);
}
END_TEST

START_TEST(blocks_are_filled_where_all_are)
{
    MemoryAllocator mesh = make();
    for (unsigned i = 1; i < SIZES; i++) {
        free_valloc(&mesh, valloc_block(&mesh, sizes[i])); /* the way is short from now on */
        vl_fill_with(0x11);
        unsigned char *block = valloc_block(&mesh, sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            require(block[at] == 0xee);
        unsigned char *grown = vl_resize(block, sizes[i] * 3);
        require(grown[sizes[i] - 1] == 0xee);
        free_valloc(&mesh, grown);
        if (sizes[i] * 3 <= VL_SMALL_MAX) /* its memory is still there */
            require(grown[0] == 0x11 && grown[sizes[i] - 1] == 0x11);
        vl_fill_with(0);
    }
    valloc_destroy(&mesh);
}
END_TEST

START_TEST(without_caches)
{
    MemoryAllocator mesh;
    ck_assert_int_eq(valloc_init(&mesh, 0, 0), 0);
    ck_assert_ptr_null(valloc_thread_cache(&mesh));
    void *block = valloc_block(&mesh, 100);
    free_valloc(&mesh, block);
    ck_assert_ptr_eq(valloc_block(&mesh, 100), block);
    valloc_destroy(&mesh);
}
END_TEST

/* free, realloc and the like know an object's block. */
START_TEST(the_other_functions_know_its_blocks)
{
    MemoryAllocator mesh = make();
    struct vl_object *object = object_of(&mesh);
    char *block = valloc_block(&mesh, 100);
    strcpy(block, "mesh");
    for (size_t size = 1000; size < 20 << 20; size *= 3) {
        block = vl_resize(block, size);
        ck_assert_ptr_nonnull(block);
        ck_assert_str_eq(block, "mesh");
        ck_assert_ptr_eq(vl_object_of(vl_slice_of(block), block), object);
    }
    ck_assert_uint_eq(object->heap.holding.big_blocks, 1);
    vl_free(block);
    ck_assert_uint_eq(object->heap.holding.big_blocks, 0);
    ck_assert_uint_eq(object->heap.holding.big_pages, 0);
    vl_free(valloc_block(&mesh, 100));
    valloc_free_sized(valloc_block(&mesh, 300000), 300000);
    valloc_destroy(&mesh);
}
END_TEST

/* A block that grows by eighths moves seldom; it grows no further than the object may. */
START_TEST(a_block_grows_in_its_object)
{
    enum { LIMIT = 600 << 10 };
    MemoryAllocator mesh = make();
    struct vl_object *object = object_of(&mesh);
    char *block = valloc_block(&mesh, 20000);
    unsigned moves = 0, steps = 0;
    for (size_t size = 40000; size < VL_BIG_MIN; size += size / 8, steps++) {
        char *resized = vl_resize(block, size);
        moves += resized != block;
        block = resized;
        ck_assert_ptr_eq(vl_object_of(vl_slice_of(block), block), object);
    }
    ck_assert_uint_gt(steps, 20);
    ck_assert_uint_lt(moves, 6);
    block = vl_resize(block, 100000);
    ck_assert_ptr_nonnull(block);
    object->heap.holding.pages_max = LIMIT >> VL_PAGE_SHIFT;
    ck_assert_ptr_null(vl_resize(block, LIMIT + 1));
    block = vl_resize(block, LIMIT / 2);
    ck_assert_ptr_nonnull(block);
    vl_free(block);
    valloc_destroy(&mesh);
}
END_TEST

START_TEST(cleanup_gives_memory_back)
{
    enum { BLOCKS = 40000 };
    static void *blocks[BLOCKS];
    MemoryAllocator mesh = make();
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = valloc_block(&mesh, 1000);
    for (int i = 1; i < BLOCKS; i++)
        revalloc(&mesh, blocks[i]);
    ck_assert_uint_eq(valloc_cleanup_level(&mesh, 1), 0);
    ck_assert_uint_gt(valloc_cleanup_level(&mesh, 2), 0); /* part of it has gone before */
    ck_assert_uint_eq(stats_now().regions_empty, 0);
    ck_assert_uint_eq(object_of(&mesh)->heap.holding.regions, 1);
    valloc_cleanup(&mesh);
    memset(blocks[0], 1, 1000);
    valloc_destroy(&mesh);
}
END_TEST

/* Level 4: what is free beside blocks in use, and nothing of these. */
START_TEST(cleanup_of_what_is_half_used)
{
    enum { BLOCKS = 4000, KEPT = 50, SIZE = 8000 };
    static char *blocks[BLOCKS];
    MemoryAllocator mesh = make(), *heaps[] = {&mesh, valloc_default()};
    for (unsigned heap = 0; heap < 2; heap++) {
        for (int i = 0; i < BLOCKS; i++)
            memset(blocks[i] = valloc_block(heaps[heap], SIZE), i, SIZE);
        for (int i = 0; i < BLOCKS; i++)
            if (i % KEPT != 0)
                revalloc(heaps[heap], blocks[i]);
        valloc_cleanup(heaps[heap]);
        ck_assert_uint_gt(valloc_cleanup_level(heaps[heap], 4), BLOCKS / 2 * SIZE);
        for (int i = 0; i < BLOCKS; i += KEPT)
            ck_assert(blocks[i][0] == (char)i && blocks[i][SIZE - 1] == (char)i);
        ck_assert_uint_lt(valloc_cleanup_level(heaps[heap], 4), VL_REGION_SIZE);
    }
    valloc_destroy(&mesh);
}
END_TEST

START_TEST(the_process_s_heap_is_one)
{
    MemoryAllocator *heap = valloc_default();
    char *block = valloc_block(heap, 100);
    ck_assert_int_eq(vl_slice_of(block)->kind, VL_SLICE_NODE);
    ThreadCache *cache = valloc_thread_cache(heap);
    ck_assert_ptr_eq((void *)cache, vl_cache_self);
    valloc_cache_free(cache, block, 100);
    ck_assert_ptr_eq(valloc_cache_allocate(cache, 100), block);
    revalloc(heap, block);
    valloc_cleanup(heap);
    valloc_cleanup(NULL);
    valloc_destroy(heap);
    ck_assert_ptr_nonnull(valloc_block(heap, 100));
}
END_TEST

static int count_blocks(void *block, size_t size, void *found)
{
    const struct vl_slice *slice = vl_slice_of(block);
    *(unsigned *)found += size >= 100 && vl_object_of(slice, block) != NULL;
    return 0;
}

/* A walk over the heap finds what is in use of objects, too, and nothing that is not. */
START_TEST(walks_find_its_blocks)
{
    unsigned found = 0;
    MemoryAllocator mesh = make();
    void *given = valloc_block(&mesh, 100);
    for (unsigned i = 0; i < 50; i++)
        valloc_block(&mesh, 100);
    valloc_block(&mesh, 500000);
    valloc_block(&mesh, 5 << 20);
    revalloc(&mesh, given);
    ck_assert_int_eq(valloc_walk(count_blocks, &found), 0);
    ck_assert_uint_eq(found, 52);
    valloc_destroy(&mesh);
    found = 0;
    ck_assert_int_eq(valloc_walk(count_blocks, &found), 0);
    ck_assert_uint_eq(found, 0);
}
END_TEST

/* --- Nodes --- */

/* What a block that was freed leaves behind prefers what its slice does: it was made anew after it
 * was bound last, and bound then as the slice is. */
static void check_left(const void *block)
{
    const struct vl_slice *slice = vl_slice_of(block);
    const struct fake_os_record *bound = fake_os_last(FAKE_BIND, block);
    const struct fake_os_record *renewed = fake_os_last(FAKE_RENEW, block);
    ck_assert_ptr_nonnull(renewed);
    if (slice->bind)
        ck_assert_int_eq(vl_os->node_of(block), slice->bind_node);
    else
        ck_assert(bound < renewed);
}

START_TEST(migrates_to_a_node)
{
    MemoryAllocator mesh = make(), other = make();
    void *blocks[SIZES], *others[SIZES];
    for (unsigned i = 0; i < SIZES; i++) {
        blocks[i] = valloc_block(&mesh, sizes[i]);
        others[i] = valloc_block(&other, sizes[i]);
        ck_assert_int_eq(vl_os->node_of(blocks[i]), 0);
    }
    ck_assert_int_eq(valloc_migrate(&mesh, 2), 0);
    for (unsigned i = 0; i < SIZES; i++) {
        ck_assert_int_eq(vl_os->node_of(blocks[i]), 2);
        ck_assert_int_eq(vl_os->node_of(valloc_block(&mesh, sizes[i])), 2);
        ck_assert_int_eq(vl_os->node_of(others[i]), 0);
    }
    struct valloc_object_stat stat;
    ck_assert_int_eq(valloc_get_object_stat(&mesh, &stat), 0);
    ck_assert_int_eq(stat.node, 2);
    void *grown = vl_resize(vl_resize(blocks[SIZES - 1], 7 << 20), 3 << 20);
    ck_assert_int_eq(vl_os->node_of((char *)grown + (3 << 20) - 1), 2);
    ck_assert_int_eq(valloc_migrate(&mesh, 1), 0);
    ck_assert_int_eq(vl_os->node_of(grown), 1);
    ck_assert_int_eq(vl_os->node_of(blocks[0]), 1);
    valloc_destroy(&mesh);
    check_left(blocks[0]);
    check_left(grown);
    ck_assert_int_eq(vl_os->node_of(others[0]), 0);
    valloc_destroy(&other);
}
END_TEST

START_TEST(big_blocks_go_to_the_object_s_node)
{
    MemoryAllocator mesh;
    struct valloc_opts opts = {.size = sizeof opts, .node_plus_one = 2};
    ck_assert_int_eq(valloc_init_opts(&mesh, &opts), 0);
    for (unsigned i = 0; i < 3; i++) {
        char *block = valloc_block(&mesh, 5 << 20);
        ck_assert_int_eq(vl_os->node_of(block), 1);
        ck_assert_int_eq(vl_os->node_of(block + (5 << 20) - 1), 1);
        revalloc(&mesh, block);
        check_left(block);
    }
    valloc_destroy(&mesh);
}
END_TEST

START_TEST(migrations_that_cannot_be)
{
    MemoryAllocator mesh = make(), none = {0};
    valloc_block(&mesh, 100);
    ck_assert_int_eq(valloc_migrate(&mesh, NODES), -1);
    ck_assert_int_eq(valloc_migrate(&mesh, -1), -1);
    ck_assert_int_eq(valloc_migrate(&mesh, INT_MAX), -1);
    ck_assert_int_eq(valloc_migrate(&none, 1), -1);
    ck_assert_int_eq(valloc_migrate(NULL, 1), -1);
    ck_assert_int_eq(valloc_migrate(valloc_default(), 1), -1);
    ck_assert_int_eq(errno, EINVAL);
    fake_os_fail(FAKE_BIND, 1, EPERM);
    ck_assert_int_eq(valloc_migrate(&mesh, 1), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(valloc_migrate(&mesh, 1), 0);
    valloc_destroy(&mesh);
}
END_TEST

/* --- Huge pages --- */

START_TEST(hugepages_of_the_pool_while_it_lasts)
{
    fake_os_set_pool(3);
    char *small = hp_malloc(100), *big = hp_malloc(4 << 20), *more = hp_malloc(4 << 20);
    memset(more, 1, 4 << 20);
    ck_assert_uint_eq(fake_os_hugetlb_pages((void *)((uintptr_t)small & -VL_REGION_SIZE),
                                            VL_REGION_SIZE), 1);
    ck_assert_uint_eq(fake_os_hugetlb_pages(big, 4 << 20), 2);
    ck_assert_uint_eq(fake_os_hugetlb_pages(more, 4 << 20), 0);
    ck_assert_uint_eq(stats_now().hugetlb_bytes, 3 * VL_REGION_SIZE);
    ck_assert_uint_eq(stats_now().hugetlb_refused, 1);
    ck_assert(vl_slice_of(small)->huge && vl_slice_of(more)->huge);
    hp_free(big);
    hp_free(NULL);
    vl_free(more);
    hp_free(small);
    valloc_cleanup(valloc_hugepages());
    ck_assert_uint_eq(fake_os_pool(), 3);
}
END_TEST

START_TEST(hugepages_can_be_destroyed_at_once)
{
    MemoryAllocator *before = valloc_hugepages();
    void *block = hp_malloc(100);
    ck_assert_ptr_eq(valloc_hugepages(), before);
    valloc_destroy(valloc_hugepages());
    ck_assert_uint_eq(vl_query_bytes(block), 0);
    ck_assert_ptr_nonnull(hp_malloc(100));
}
END_TEST

/* --- Misuse --- */

static jmp_buf after_panic;
static char panic_line[VL_PANIC_LINE_MAX + 1];

static void catch_line(const char *line)
{
    strcpy(panic_line, line);
    longjmp(after_panic, 1);
}

#define expect_death(call, why)                                  \
    do {                                                         \
        vl_panic_hook = catch_line;                              \
        panic_line[0] = '\0';                                    \
        if (setjmp(after_panic) == 0)                            \
            call;                                                \
        vl_panic_hook = NULL;                                    \
        if (strstr(panic_line, why) == NULL)                     \
            ck_abort_msg("%s: '%s', not: " why, #call, panic_line); \
    } while (0)

START_TEST(misuse)
{
    static MemoryAllocator mesh, other;
    static char *block, *big, local[64];
    mesh = make();
    other = make();
    block = valloc_block(&mesh, 100);
    big = valloc_block(&mesh, 2 << 20);
    expect_death(valloc_init(&mesh, 1, 1), "valloc_init(): in use already");
    expect_death(free_valloc(&mesh, local), "free_valloc(): not a pointer of this allocator");
    expect_death(revalloc(&other, block), "revalloc(): a block of another allocator");
    expect_death(free_valloc(&other, big), "a block of another allocator");
    expect_death(free_valloc(&mesh, vl_alloc(100)), "a block of another allocator");
    expect_death(free_valloc(&mesh, block + 16), "not the start of a block");
    expect_death(free_valloc(&mesh, big + VL_PAGE_SIZE), "not the start of a block");
    revalloc(&mesh, block);
    expect_death(revalloc(&mesh, block), "revalloc(): double free of");
    expect_death(vl_free(block), "free(): double free of");
    free_valloc(&mesh, big);
    expect_death(free_valloc(&mesh, big), "freed already or never allocated");
    valloc_destroy(&other);
    expect_death(vl_free(block + 8), "not the start of a block");
}
END_TEST

/* --- Threads --- */

static MemoryAllocator shared;

static void *use_shared(void *number)
{
    void *blocks[200];
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 200; i++) {
            blocks[i] = valloc_block(&shared, 16 + (i * 37 + round) % 2000);
            require(blocks[i] != NULL);
            memset(blocks[i], (int)(uintptr_t)number, 16);
        }
        for (unsigned i = 0; i < 200; i++) {
            require(*(char *)blocks[i] == (char)(uintptr_t)number);
            (i % 2 == 0 ? revalloc : free_valloc)(&shared, blocks[i]);
        }
    }
    return NULL;
}

static void *clean_or_use(void *number)
{
    if ((uintptr_t)number == 0) {
        for (int i = 0; i < 200; i++) {
            valloc_cleanup_level(&shared, 1 + i % 4);
            require(valloc_migrate(&shared, i % 2) == 0);
        }
    } else if ((uintptr_t)number == 1) {
        for (int i = 0; i < 100; i++) {
            MemoryAllocator own = make();
            for (int block = 0; block < 100; block++)
                require(valloc_block(&own, 200) != NULL);
            valloc_destroy(&own);
        }
    } else {
        use_shared(number);
    }
    return NULL;
}

START_TEST(some_use_it_one_cleans_one_destroys_others)
{
    shared = make();
    for (int i = 0; i < 3; i++)
        run_together(THREADS, 1, clean_or_use);
    valloc_cleanup(&shared);
    struct vl_object *object = object_of(&shared);
    for (unsigned class = 1; class < VL_CLASSES; class++)
        ck_assert_uint_eq(object->heap.classes[class].central.spans, 0);
    ck_assert_uint_eq(object->heap.holding.pages_used, 0);
    valloc_destroy(&shared);
}
END_TEST

/* Threads that are gone leave their caches to those that come: there are as many as threads at a time. */
START_TEST(caches_of_threads_that_are_gone)
{
    shared = make();
    struct vl_object *object = object_of(&shared);
    uint32_t caches = 0;
    for (int i = 0; i < 50; i++)
        run_together(THREADS, 1, use_shared);
    for (uint32_t id = object->caches; id != 0; caches++)
        id = ((struct vl_cache *)vl_pool_item(&vl_cache_pool, id))->next_of_object;
    ck_assert_uint_le(caches, THREADS);
    valloc_destroy(&shared);
}
END_TEST

/* A cache of an object that is no more serves another one, and the thread's note of it is not believed. */
START_TEST(objects_come_and_go)
{
    for (int i = 0; i < 1000; i++) {
        MemoryAllocator a = make(), b = make();
        char *of_a = valloc_block(&a, 100), *of_b = valloc_block(&b, 100);
        ck_assert_ptr_eq(vl_object_of(vl_slice_of(of_a), of_a), object_of(&a));
        ck_assert_ptr_eq(vl_object_of(vl_slice_of(of_b), of_b), object_of(&b));
        revalloc(&a, of_a);
        valloc_destroy(i % 2 == 0 ? &a : &b);
        valloc_destroy(i % 2 == 0 ? &b : &a);
    }
    ck_assert_uint_le(vl_pool_end(&vl_heap_pool), 4);
    ck_assert_uint_le(vl_pool_end(&vl_cache_pool), 5);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__
START_TEST(ten_thousand_are_cheap)
{
    enum { MANY = 10000 };
    static MemoryAllocator many[MANY];
    size_t before = resident_bytes();
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(valloc_init(&many[i], 1000, 4), 0);
    size_t each = (resident_bytes() - before) / MANY;
    ck_assert_uint_le(each, 64 << 10);
    for (int i = 0; i < MANY; i++)
        valloc_destroy(&many[i]);
}
END_TEST
#endif

static void in_child(void *argument)
{
    (void)argument;
    void *block = valloc_block(&shared, 100);
    child_assert(block != NULL);
    revalloc(&shared, block);
    use_shared((void *)7);
    valloc_destroy(&shared);
    MemoryAllocator own;
    child_assert(valloc_init(&own, 0, 1) == 0);
    child_assert(valloc_block(&own, 100) != NULL);
}

static void *fork_or_use(void *number)
{
    struct outcome outcome;
    if ((uintptr_t)number != 0)
        return use_shared(number);
    for (int i = 0; i < 10; i++) {
        run_child(&outcome, in_child, NULL);
        require(outcome.status == 0);
    }
    return NULL;
}

START_TEST(children_of_a_busy_process)
{
    shared = make();
    run_together(THREADS, 1, fork_or_use);
    valloc_destroy(&shared);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("cache/object");
    TCase *single = timed_case("single", 60), *threads = timed_case("threads", 60);

    tcase_add_checked_fixture(single, set_up, NULL);
    tcase_add_test(single, blocks_of_every_size);
    tcase_add_test(single, destroyed_with_all_its_blocks);
    tcase_add_test(single, names_of_no_object);
    tcase_add_test(single, options);
    tcase_add_test(single, blocks_are_filled_where_all_are);
    tcase_add_test(single, without_caches);
    tcase_add_test(single, the_other_functions_know_its_blocks);
    tcase_add_test(single, a_block_grows_in_its_object);
    tcase_add_test(single, cleanup_gives_memory_back);
    tcase_add_test(single, cleanup_of_what_is_half_used);
    tcase_add_test(single, the_process_s_heap_is_one);
    tcase_add_test(single, walks_find_its_blocks);
    tcase_add_test(single, migrates_to_a_node);
    tcase_add_test(single, big_blocks_go_to_the_object_s_node);
    tcase_add_test(single, migrations_that_cannot_be);
    tcase_add_test(single, hugepages_of_the_pool_while_it_lasts);
    tcase_add_test(single, hugepages_can_be_destroyed_at_once);
    tcase_add_test(single, misuse);
    suite_add_tcase(suite, single);

    tcase_add_checked_fixture(threads, set_up_bare, NULL);
    tcase_add_test(threads, some_use_it_one_cleans_one_destroys_others);
    tcase_add_test(threads, caches_of_threads_that_are_gone);
    tcase_add_test(threads, objects_come_and_go);
#ifndef __SANITIZE_ADDRESS__
    tcase_add_test(threads, ten_thousand_are_cheap);
#endif
    tcase_add_test(threads, children_of_a_busy_process);
    suite_add_tcase(suite, threads);
    return suite;
}
