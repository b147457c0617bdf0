/*
 * exchange - two ranks pass messages of 1 byte to 16 MB in fresh, reused and MPI's own memory.
 *
 * Rank 0 prints one checksum for each part. Message buffers are allocated anew every time: a
 * library that remembers a buffer's pages (registration caches, cross-process copies) and does
 * not learn that the allocator gave them back would deliver wrong bytes.
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_LOG2 = 24, ROUNDS = 8, WINDOW_WORDS = 1 << 18, SMALL_MESSAGES = 20000 };

static int rank;

static void *allocate(size_t size)
{
    void *block = malloc(size);

    if (block == NULL)
        MPI_Abort(MPI_COMM_WORLD, 1);
    return block;
}

static void fill(unsigned char *bytes, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(seed >> 24);
    }
}

static uint64_t checksum(const unsigned char *bytes, size_t size)
{
    uint64_t sum = 14695981039346656037u;

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}

/* The sum over both ranks, printed by the first. */
static void report(const char *part, uint64_t sum)
{
    uint64_t total = 0;

    MPI_Reduce(&sum, &total, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0)
        printf("%s: %016llx\n", part, (unsigned long long)total);
}

static uint64_t swap_fresh(size_t size, uint32_t seed)
{
    unsigned char *sent = allocate(size);
    unsigned char *received = allocate(size);
    uint64_t sum;

    fill(sent, size, seed + (uint32_t)rank);
    MPI_Sendrecv(sent, (int)size, MPI_BYTE, 1 - rank, 0, received, (int)size, MPI_BYTE, 1 - rank, 0,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    sum = checksum(received, size);
    free(sent);
    free(received);
    return sum;
}

static void all_sizes(void)
{
    uint64_t sum = 0;

    for (int log2 = 0; log2 <= SIZE_MAX_LOG2; log2++)
        for (uint32_t round = 0; round < ROUNDS; round++)
            sum += swap_fresh(((size_t)1 << log2) - (log2 > 0 ? round % 2 : 0), round);
    report("all sizes", sum);
}

/* Many requests at once: the library's own free lists grow, and shrink at MPI_Finalize. */
static void many_small(void)
{
    MPI_Request *requests = allocate(2 * SMALL_MESSAGES * sizeof *requests);
    uint32_t *sent = allocate(SMALL_MESSAGES * sizeof *sent);
    uint32_t *received = allocate(SMALL_MESSAGES * sizeof *received);

    for (int i = 0; i < SMALL_MESSAGES; i++) {
        sent[i] = (uint32_t)(i * 7919 + rank);
        MPI_Irecv(&received[i], 1, MPI_UINT32_T, 1 - rank, i, MPI_COMM_WORLD, &requests[2 * i]);
        MPI_Isend(&sent[i], 1, MPI_UINT32_T, 1 - rank, i, MPI_COMM_WORLD, &requests[2 * i + 1]);
    }
    MPI_Waitall(2 * SMALL_MESSAGES, requests, MPI_STATUSES_IGNORE);
    report("many small", checksum((unsigned char *)received, SMALL_MESSAGES * sizeof *received));
    free(requests);
    free(sent);
    free(received);
}

static void growing(void)
{
    uint64_t *values = NULL;
    uint64_t sum = 0;

    for (int count = 1000; count <= 1000000; count *= 10) {
        values = realloc(values, (size_t)count * sizeof *values);
        if (values == NULL)
            MPI_Abort(MPI_COMM_WORLD, 1);
        for (int i = 0; i < count; i++)
            values[i] = (uint64_t)i * (uint64_t)(rank + 1);
        MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
        sum += checksum((unsigned char *)values, (size_t)count * sizeof *values);
    }
    free(values);
    report("growing", sum);
}

static void window(void)
{
    uint32_t *own;
    uint32_t *values = allocate(WINDOW_WORDS * sizeof *values);
    MPI_Win shared;
    uint64_t sum;

    MPI_Win_allocate(WINDOW_WORDS * sizeof *own, sizeof *own, MPI_INFO_NULL, MPI_COMM_WORLD, &own,
                     &shared);
    for (int i = 0; i < WINDOW_WORDS; i++)
        values[i] = (uint32_t)(i * (rank + 3));
    MPI_Win_fence(0, shared);
    MPI_Put(values, WINDOW_WORDS, MPI_UINT32_T, 1 - rank, 0, WINDOW_WORDS, MPI_UINT32_T, shared);
    MPI_Win_fence(0, shared);
    sum = checksum((unsigned char *)own, WINDOW_WORDS * sizeof *own);
    MPI_Win_free(&shared);
    free(values);
    report("window", sum);
}

static void own_memory(void)
{
    unsigned char *block;
    uint64_t sum = 0;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        MPI_Alloc_mem(1 << 20, MPI_INFO_NULL, &block);
        fill(block, 1 << 20, round * 2 + (uint32_t)rank);
        MPI_Sendrecv_replace(block, 1 << 20, MPI_BYTE, 1 - rank, 0, 1 - rank, 0, MPI_COMM_WORLD,
                             MPI_STATUS_IGNORE);
        sum += checksum(block, 1 << 20);
        MPI_Free_mem(block);
    }
    report("own memory", sum);
}

int main(int argc, char **argv)
{
    int size;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size != 2)
        MPI_Abort(MPI_COMM_WORLD, 1);
    all_sizes();
    many_small();
    growing();
    window();
    own_memory();
    MPI_Finalize();
    return 0;
}
