/*
 * Random operations on blocks of 16 bytes to 4 MB, of which no more than 1 GB are live: into how
 * many areas (VMAs) the address space falls, and whether huge pages are cut up.
 *
 * A slot of a table is taken at random: an empty one gets a block, a block is freed or, one time
 * in eight, resized. A size has a random number of bits, the smaller of two, so that small blocks
 * are most of the number and large ones most of the memory. One word of each page is written.
 */
#include "bench/bench.h"
#include "bench/memory.h"

enum {
    OPERATIONS = 1000000,
    SLOTS = 1 << 15,
    OCTAVES = 18, /* 16 bytes to 4 MB */
    BYTES_MIN = 16,
    LIVE_MB = 1024,
    LOOKS = 16, /* at the areas, on the way */
};

struct churn {
    struct rng rng;
    struct block *blocks;
    uint64_t live;
    uint64_t operations;
    long vmas_max;
    long resident_kb_max;
};

static uint32_t random_size(struct rng *rng)
{
    uint32_t one = rng_below(rng, OCTAVES), other = rng_below(rng, OCTAVES);
    uint32_t base = (uint32_t)BYTES_MIN << (one < other ? one : other);

    return base + rng_below(rng, base) + 1;
}

static void end_block(struct churn *churn, struct block *block)
{
    churn->live -= block->size;
    block_free(block);
    churn->operations++;
}

static void operate(struct churn *churn, struct block *block)
{
    uint32_t size = random_size(&churn->rng);

    if (!block->at) {
        *block = block_new_each(size, (uint32_t)rng_next(&churn->rng), BENCH_PAGE);
        churn->live += size;
        churn->operations++;
    } else if (rng_below(&churn->rng, 8) == 0) {
        churn->live += (uint64_t)size - block->size;
        block_resize_each(block, size, BENCH_PAGE);
        churn->operations++;
    } else {
        end_block(churn, block);
    }
}

static struct block *random_slot(struct churn *churn)
{
    return &churn->blocks[rng_below(&churn->rng, SLOTS)];
}

static void run_until(struct churn *churn, uint64_t operations)
{
    while (churn->operations < operations) {
        operate(churn, random_slot(churn));
        while (churn->live > (uint64_t)LIVE_MB << 20) {
            struct block *block = random_slot(churn);

            if (block->at)
                end_block(churn, block);
        }
    }
}

static struct memory look(struct churn *churn, const struct memory *start)
{
    struct memory now = memory_since(start);

    if (churn->vmas_max < now.vmas)
        churn->vmas_max = now.vmas;
    if (churn->resident_kb_max < now.resident_kb)
        churn->resident_kb_max = now.resident_kb;
    return now;
}

int main(int argc, char **argv)
{
    static char output[BUFSIZ];
    struct bench bench = {.name = "huge_churn", .scale = 1, .threads = 1, .seed = 1};
    struct churn churn = {0};
    struct memory start, now;

    bench_options(&bench, argc, argv, "", "");
    setvbuf(stdout, output, _IOFBF, sizeof output);
    uint64_t operations = bench_scaled(&bench, OPERATIONS);
    churn.rng = rng_start(bench.seed, 0);
    churn.blocks = bench_table(SLOTS, sizeof *churn.blocks);
    start = now = memory_now();
    long splits = memory_vmstat("thp_deferred_split_page");

    bench_begin(&bench);
    for (uint64_t part = 1; part <= LOOKS; part++) {
        run_until(&churn, operations * part / LOOKS);
        now = look(&churn, &start);
    }
    splits = memory_vmstat("thp_deferred_split_page") - splits;
    printf("churn live_kb=%llu vmas_start=%ld vmas_max=%ld resident_kb_max=%ld deferred_splits=%ld",
           (unsigned long long)(churn.live >> 10), start.vmas, churn.vmas_max,
           churn.resident_kb_max, splits);
    memory_print(&now);
    printf("\n");
    bench_end(&bench, churn.operations);
    return 0;
}
