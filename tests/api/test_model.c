/*
 * A random program, and a model of what it may see.
 *
 * One to eight threads call every entry point at random. The model knows, without a single
 * malloc of its own, which bytes are taken (`claims`, a bitmap of the whole address space), and
 * what each block must contain (a pattern made from a number in its record). So it sees:
 *
 *   - two live blocks that overlap, in any threads      claim() finds a bit already set
 *   - contents that changed while the block was live    pattern_damage() in check_contents()
 *   - a block too small, misaligned, or not zeroed      admit()
 *
 * Blocks wander between the threads by way of a shelf: a thread swaps one of its blocks against
 * whatever lies there, so frees are local and remote, early and late, even after the allocating
 * thread has gone. One thread's run depends on the seed alone.
 */
#include "support.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    THREADS_MAX = 8,
    BLOCKS_PER_THREAD = 3000,
    SHELF_PLACES = 256,
    STEPS_PER_THREAD = 60000,
};

/* --- Which bytes are taken --- */

/* One bit for each 8 bytes below 2^48, in leaves of 1 GB that are mapped when first needed. */
enum { GRAIN_BITS = 3, LEAF_BITS = 30, ADDRESS_BITS = 48 };
enum { LEAF_WORDS = 1 << (LEAF_BITS - GRAIN_BITS - 6) };

static _Atomic(_Atomic(uint64_t) *) claims[1 << (ADDRESS_BITS - LEAF_BITS)];

static _Atomic(uint64_t) *leaf_of(uintptr_t address)
{
    size_t index = address >> LEAF_BITS;
    _Atomic(uint64_t) *leaf = atomic_load(&claims[index]);
    _Atomic(uint64_t) *none = NULL;

    if (leaf != NULL)
        return leaf;
    leaf = map_table(LEAF_WORDS * sizeof *leaf);
    /* Whoever loses the race leaves a mapping unused and untouched. */
    return atomic_compare_exchange_strong(&claims[index], &none, leaf) ? leaf : none;
}

/* Flips the bits of [block, block + size), a word at a time, and returns whether all were
 * `taken` before. */
static bool flip_claim(const void *block, size_t size, bool taken)
{
    uintptr_t grain = (uintptr_t)block >> GRAIN_BITS;
    uintptr_t end = ((uintptr_t)block + size + (1 << GRAIN_BITS) - 1) >> GRAIN_BITS;
    bool as_expected = true;

    while (grain < end) {
        unsigned int bit = grain % 64;
        unsigned int count = end - grain < 64 - bit ? (unsigned int)(end - grain) : 64 - bit;
        uint64_t mask = (count == 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1) << bit;
        _Atomic(uint64_t) *leaf = leaf_of(grain << GRAIN_BITS);
        uint64_t before = atomic_fetch_xor(&leaf[grain / 64 % LEAF_WORDS], mask);

        as_expected &= (before & mask) == (taken ? mask : 0);
        grain += count;
    }
    return as_expected;
}

/* --- The entry points --- */

/* A block is given back by a function that fits the one it came from. */
enum family { FROM_MALLOC, FROM_ALIGNED_ALLOC, FROM_MEMALIGN, FROM_NEW, FROM_NEW_ALIGNED };

struct block {
    char *start;
    size_t size;
    size_t usable;
    size_t alignment;
    uint64_t seed;
    enum family family;
};

static struct {
    void *(*pvalloc)(size_t);
    void *(*new)(size_t);
    void *(*new_aligned)(size_t, size_t);
    void (*cfree)(void *);
    void (*free_sized)(void *, size_t);
    void (*free_aligned_sized)(void *, size_t, size_t);
    void (*sdallocx)(void *, size_t, int);
    void (*delete)(void *);
    void (*delete_sized)(void *, size_t);
    void (*delete_aligned)(void *, size_t);
} optional;

static void find_optional_entry_points(void)
{
    optional.pvalloc = entry_point("pvalloc");
    optional.new = entry_point("_Znwm");
    optional.new_aligned = entry_point("_ZnwmSt11align_val_t");
    optional.cfree = entry_point("cfree");
    optional.free_sized = entry_point("free_sized");
    optional.free_aligned_sized = entry_point("free_aligned_sized");
    optional.sdallocx = entry_point("sdallocx");
    optional.delete = entry_point("_ZdlPv");
    optional.delete_sized = entry_point("_ZdlPvm");
    optional.delete_aligned = entry_point("_ZdlPvSt11align_val_t");
}

/* --- One thread of the random program --- */

struct player {
    uint64_t random;
    uint64_t step;
    struct block blocks[BLOCKS_PER_THREAD];
};

/* Blocks on their way from one thread to another. */
static struct {
    pthread_mutex_t lock;
    struct block places[SHELF_PLACES];
} shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define fail_at_step(player, ...)                                                 \
    do {                                                                          \
        char what_[200];                                                          \
        snprintf(what_, sizeof what_, __VA_ARGS__);                               \
        ck_abort_msg("seed %llu, step %llu: %s", (unsigned long long)test_seed(), \
                     (unsigned long long)(player)->step, what_);                  \
    } while (0)

static void check_contents(struct player *player, const struct block *block, size_t length)
{
    size_t damage = pattern_damage(block->start, length, block->seed);

    if (damage != length)
        fail_at_step(player, "byte %zu of the %zu at %p has changed", damage, block->size,
                     (void *)block->start);
    if (malloc_usable_size(block->start) != block->usable)
        fail_at_step(player, "%p had %zu usable bytes, now %zu", (void *)block->start,
                     block->usable, malloc_usable_size(block->start));
}

/* Takes a block just allocated into the model. */
static void admit(struct player *player, struct block *block)
{
    if (block->start == NULL)
        fail_at_step(player, "no block of %zu bytes, errno %d", block->size, errno);
    if (!is_aligned(block->start, block->alignment))
        fail_at_step(player, "%p is not aligned to %zu", (void *)block->start, block->alignment);
    block->usable = malloc_usable_size(block->start);
    if (block->usable < block->size)
        fail_at_step(player, "%zu bytes asked, %zu usable", block->size, block->usable);
    if (!flip_claim(block->start, block->usable, false))
        fail_at_step(player, "%p of %zu bytes overlaps a live block", (void *)block->start,
                     block->usable);
    block->seed = random_next(&player->random);
    pattern_fill(block->start, block->size, block->seed);
}

/* Takes a block out of the model; from here on any thread may get its memory. */
static void dismiss(struct player *player, const struct block *block)
{
    if (!flip_claim(block->start, block->usable, true))
        fail_at_step(player, "the claim on %p of %zu bytes is lost", (void *)block->start,
                     block->usable);
}

static void allocate(struct player *player, struct block *block)
{
    size_t limit = player->step % 500 == 0 ? 4 * MB : player->step % 20 == 0 ? 64 * KB : 2 * KB;
    size_t size = random_size(&player->random, limit) - 1;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t alignment = (size_t)8 << random_next(&player->random) % (size < 2 * KB ? 8 : 18);
    void *aligned = NULL;

    *block = (struct block){.size = size, .alignment = natural_alignment(size)};
    switch (random_next(&player->random) % 12) {
    case 0:
        block->start = calloc(1, size);
        if (block->start != NULL && !is_zero(block->start, size))
            fail_at_step(player, "calloc of %zu bytes is not zero", size);
        break;
    case 1:
        block->start = realloc(NULL, size);
        break;
    case 2:
        block->start = reallocarray(NULL, size, 1);
        break;
    case 3:
        block->start = posix_memalign(&aligned, alignment, size) == 0 ? aligned : NULL;
        block->alignment = alignment;
        block->family = FROM_MEMALIGN;
        break;
    case 4:
        block->start = aligned_alloc(alignment, size);
        block->alignment = alignment;
        block->family = FROM_ALIGNED_ALLOC;
        break;
    case 5:
        block->start = memalign(alignment, size);
        block->alignment = alignment;
        block->family = FROM_MEMALIGN;
        break;
    case 6:
        block->start = optional.pvalloc != NULL ? optional.pvalloc(size) : valloc(size);
        block->alignment = page;
        block->family = FROM_MEMALIGN;
        break;
    case 7:
        block->start = optional.new != NULL ? optional.new(size) : malloc(size);
        block->family = optional.new != NULL ? FROM_NEW : FROM_MALLOC;
        break;
    case 8:
        block->start = optional.new_aligned != NULL ? optional.new_aligned(size, alignment)
                                                    : aligned_alloc(alignment, size);
        block->alignment = alignment;
        block->family = optional.new_aligned != NULL ? FROM_NEW_ALIGNED : FROM_ALIGNED_ALLOC;
        break;
    case 9:
        block->start = valloc(size);
        block->alignment = page;
        block->family = FROM_MEMALIGN;
        break;
    default:
        block->start = malloc(size);
        break;
    }
    admit(player, block);
}

/* One of the three ways to free a block of malloc that know no alignment. */
static void release_plain(const struct block *block, unsigned int way)
{
    if (way == 0 && optional.free_sized != NULL)
        optional.free_sized(block->start, block->size);
    else if (way == 1 && optional.sdallocx != NULL && block->size > 0)
        optional.sdallocx(block->start, block->size, 0);
    else if (way == 2 && optional.cfree != NULL)
        optional.cfree(block->start);
    else
        free(block->start);
}

static void release(struct player *player, struct block *block)
{
    unsigned int way = random_next(&player->random) % 6;

    check_contents(player, block, block->size);
    dismiss(player, block);
    switch (block->family) {
    case FROM_MALLOC:
        release_plain(block, way);
        break;
    case FROM_ALIGNED_ALLOC:
        if (way < 2 && optional.free_aligned_sized != NULL)
            optional.free_aligned_sized(block->start, block->alignment, block->size);
        else
            free(block->start);
        break;
    case FROM_MEMALIGN:
        free(block->start);
        break;
    case FROM_NEW:
        if (way < 3 && optional.delete_sized != NULL)
            optional.delete_sized(block->start, block->size);
        else
            optional.delete(block->start);
        break;
    case FROM_NEW_ALIGNED:
        optional.delete_aligned(block->start, block->alignment);
        break;
    }
    block->start = NULL;
}

static void resize_to(struct player *player, struct block *block, size_t size)
{
    size_t kept = size < block->size ? size : block->size;
    bool as_array = random_next(&player->random) % 2 == 0;

    dismiss(player, block);
    block->start = as_array ? reallocarray(block->start, 1, size) : realloc(block->start, size);
    block->size = size;
    block->usable = malloc_usable_size(block->start);
    block->alignment = natural_alignment(size);
    block->family = FROM_MALLOC;
    if (block->start != NULL)
        check_contents(player, block, kept);
    admit(player, block);
}

static void resize(struct player *player, struct block *block)
{
    size_t limit = player->step % 100 == 0 ? 4 * MB : 8 * KB;

    resize_to(player, block, random_size(&player->random, limit));
}

/* By eighths, as a vector that is appended to; then it is cut, and may go on or not. */
static void grow(struct player *player, struct block *block)
{
    for (uint64_t steps = random_next(&player->random) % 40; steps > 0 && block->size < MB; steps--)
        resize_to(player, block, block->size + block->size / 8 + 64);
    resize_to(player, block, block->size / (1 + random_next(&player->random) % 4) + 1);
}

static void swap_with_shelf(struct player *player, struct block *block)
{
    struct block *place = &shelf.places[random_next(&player->random) % SHELF_PLACES];
    struct block taken;

    pthread_mutex_lock(&shelf.lock);
    taken = *place;
    *place = *block;
    pthread_mutex_unlock(&shelf.lock);
    *block = taken;
}

static void take_step(struct player *player)
{
    struct block *block = &player->blocks[random_next(&player->random) % BLOCKS_PER_THREAD];

    if (block->start == NULL)
        allocate(player, block);
    else
        switch (random_next(&player->random) % 8) {
        case 0:
            if (block->family < FROM_NEW && player->step % 16 == 0)
                grow(player, block);
            else if (block->family < FROM_NEW)
                resize(player, block);
            break;
        case 1:
            swap_with_shelf(player, block);
            break;
        case 2:
            check_contents(player, block, block->size);
            break;
        default:
            release(player, block);
            break;
        }
    if (player->step % 20000 == 19999)
        malloc_trim(0);
}

static void *play(void *player_shared)
{
    struct player *player = player_shared;

    for (player->step = 0; player->step < scaled(STEPS_PER_THREAD); player->step++)
        take_step(player);
    return NULL;
}

/* --- The tests --- */

static void release_all(struct player *player, struct block *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (blocks[i].start != NULL)
            release(player, &blocks[i]);
}

static void play_together(size_t thread_count)
{
    struct player *players = map_table(thread_count * sizeof *players);
    pthread_t threads[THREADS_MAX];

    find_optional_entry_points();
    for (size_t i = 0; i < thread_count; i++) {
        players[i].random = test_seed() * (2 * i + 1);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, play, &players[i]), 0);
    }
    for (size_t i = 0; i < thread_count; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < thread_count; i++)
        release_all(&players[i], players[i].blocks, BLOCKS_PER_THREAD);
    release_all(&players[0], shelf.places, SHELF_PLACES);
}

START_TEST(one_thread)
{
    play_together(1);
}
END_TEST

START_TEST(two_threads)
{
    play_together(2);
}
END_TEST

START_TEST(eight_threads)
{
    play_together(THREADS_MAX);
}
END_TEST

/* The threads that allocated are gone when others free. */
START_TEST(generations_of_threads)
{
    for (int generation = 0; generation < 4; generation++)
        play_together(3);
}
END_TEST

Suite *vl_suite(void)
{
    Suite *suite = suite_create("model");
    TCase *random = timed_case("random", 60);

    tcase_add_test(random, one_thread);
    tcase_add_test(random, two_threads);
    tcase_add_test(random, eight_threads);
    tcase_add_test(random, generations_of_threads);
    suite_add_tcase(suite, random);
    return suite;
}
