#include "bench/ledger.h"

/* ---- counting, and playing ---------------------------------------------------------------- */

/* Memory of the table comes as it is used; there is none of it left when it counts. */
struct ledger ledger_count_first(void)
{
    struct ledger ledger = {.counting = true};
    void *table = mmap(NULL, LEDGER_IDS_MAX * sizeof *ledger.blocks, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (table == MAP_FAILED)
        bench_fail("no address space for the ledger");
    ledger.blocks = table;
    return ledger;
}

void ledger_play_next(struct ledger *ledger, double duration_s)
{
    munmap(ledger->blocks, LEDGER_IDS_MAX * sizeof *ledger->blocks);
    *ledger = (struct ledger){
        .blocks = bench_table(ledger->ids ? ledger->ids : 1, sizeof *ledger->blocks),
        .ids = ledger->ids,
        .operations_all = ledger->operations,
        .duration_s = duration_s,
        .start = memory_now(),
        .start_s = bench_now_s(),
    };
}

void ledger_finish(const struct ledger *ledger)
{
    if (ledger->operations != ledger->operations_all)
        bench_fail("%llu operations were counted, %llu played",
                   (unsigned long long)ledger->operations_all,
                   (unsigned long long)ledger->operations);
}

/* ---- samples ------------------------------------------------------------------------------ */

static void wait_until(double instant_s)
{
    double left_s = instant_s - bench_now_s();
    struct timespec left = {.tv_sec = (time_t)left_s};

    if (left_s <= 0)
        return;
    left.tv_nsec = (long)((left_s - (double)left.tv_sec) * 1e9);
    nanosleep(&left, NULL);
}

static void sample(struct ledger *ledger)
{
    struct memory memory;

    ledger->samples++;
    wait_until(ledger->start_s + ledger->duration_s * ledger->samples / LEDGER_SAMPLES);
    memory = memory_since(&ledger->start);
    printf("sample ops=%llu seconds=%.3f live_kb=%llu", (unsigned long long)ledger->operations,
           bench_now_s() - ledger->start_s, (unsigned long long)(ledger->live >> 10));
    memory_print(&memory);
    printf("\n");
}

/* No more than one sample by operation: a short trace has fewer. */
static void operation_done(struct ledger *ledger)
{
    ledger->operations++;
    if (!ledger->counting &&
        ledger->operations * LEDGER_SAMPLES >= ledger->operations_all * (ledger->samples + 1))
        sample(ledger);
}

/* ---- blocks ------------------------------------------------------------------------------- */

uint32_t ledger_size(const struct ledger *ledger, uint32_t id)
{
    return id < ledger->ids ? ledger->blocks[id].size : 0;
}

static struct block *new_entry(struct ledger *ledger, uint32_t id)
{
    if (id >= LEDGER_IDS_MAX || (!ledger->counting && id >= ledger->ids))
        bench_fail("id %u is too large", id);
    if (ledger->ids <= id)
        ledger->ids = id + 1;
    if (ledger->blocks[id].size)
        bench_fail("id %u is taken twice", id);
    return &ledger->blocks[id];
}

static struct block *live_entry(struct ledger *ledger, uint32_t id)
{
    if (ledger_size(ledger, id) == 0)
        bench_fail("id %u is not live", id);
    return &ledger->blocks[id];
}

static uint32_t at_least_min(uint32_t size)
{
    return size < BLOCK_SIZE_MIN ? BLOCK_SIZE_MIN : size;
}

void ledger_take(struct ledger *ledger, uint32_t id, uint32_t size)
{
    struct block *block = new_entry(ledger, id);

    size = at_least_min(size);
    if (ledger->counting)
        block->size = size;
    else
        *block = block_new(size, id);
    ledger->live += size;
    operation_done(ledger);
}

void ledger_resize(struct ledger *ledger, uint32_t id, uint32_t size)
{
    struct block *block = live_entry(ledger, id);

    size = at_least_min(size);
    ledger->live += (uint64_t)size - block->size;
    if (ledger->counting)
        block->size = size;
    else
        block_resize(block, size);
    operation_done(ledger);
}

void ledger_drop(struct ledger *ledger, uint32_t id)
{
    struct block *block = live_entry(ledger, id);

    ledger->live -= block->size;
    if (!ledger->counting)
        block_free(block);
    block->size = 0;
    operation_done(ledger);
}

void ledger_replace(struct ledger *ledger, uint32_t id, uint32_t size)
{
    if (ledger_size(ledger, id))
        ledger_drop(ledger, id);
    ledger_take(ledger, id, size);
}
