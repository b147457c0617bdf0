/*
 * Preloaded, it writes down what a program asks of the C library's malloc, one operation a line,
 * with hexadecimal addresses, into the file that RECORD_TO names:
 *
 *     m ADDRESS SIZE      allocated
 *     r OLD NEW SIZE      resized
 *     f ADDRESS           freed
 *
 * bench/fragments --record makes a trace with ids of it. The file must not be there: so the first
 * process writes it, and its children, who find it there, write nothing. Nor does a child that was
 * forked. What a program did in its last 64 KB of lines is lost if it ends without exit().
 *
 * Lines are in the order of events: an allocation is written after it was made, a free before,
 * and a resizing, which frees and allocates, is made while no other thread can write. Nothing here
 * allocates or uses stdio. Alignment is not recorded.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

/* The C library's own, under the names by which others can build on them. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

enum { LINE_MAX_BYTES = 64 };

/* The lock protects all of it; `recording` is also looked at without. */
static struct {
    atomic_flag lock;
    atomic_bool recording;
    int fd;
    size_t length;
    char text[1 << 16];
} record = {.lock = ATOMIC_FLAG_INIT};

static void lock(void)
{
    while (atomic_flag_test_and_set_explicit(&record.lock, memory_order_acquire))
        sched_yield();
}

static void unlock(void)
{
    atomic_flag_clear_explicit(&record.lock, memory_order_release);
}

static bool recording(void)
{
    return atomic_load_explicit(&record.recording, memory_order_relaxed);
}

/* ---- lines, under the lock ---------------------------------------------------------------- */

/* Stops recording if the file cannot be written. */
static void flush(void)
{
    int error = errno;
    size_t done = 0;

    while (done < record.length) {
        ssize_t written = write(record.fd, record.text + done, record.length - done);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            atomic_store(&record.recording, false);
            break;
        }
        done += (size_t)written;
    }
    record.length = 0;
    errno = error;
}

static void put_number(uintptr_t number)
{
    unsigned shift = 0;

    while (shift + 4 < sizeof number * 8 && number >> (shift + 4) != 0)
        shift += 4;
    record.text[record.length++] = ' ';
    for (;; shift -= 4) {
        record.text[record.length++] = "0123456789abcdef"[number >> shift & 15];
        if (shift == 0)
            break;
    }
}

static void put_line(char what, const uintptr_t *numbers, unsigned count)
{
    if (record.length + LINE_MAX_BYTES > sizeof record.text)
        flush();
    record.text[record.length++] = what;
    for (unsigned i = 0; i < count; i++)
        put_number(numbers[i]);
    record.text[record.length++] = '\n';
}

/* ---- operations --------------------------------------------------------------------------- */

static void *allocated(void *block, size_t size)
{
    uintptr_t numbers[] = {(uintptr_t)block, size};

    if (block && recording()) {
        lock();
        put_line('m', numbers, 2);
        unlock();
    }
    return block;
}

static void freed(void *block)
{
    uintptr_t number = (uintptr_t)block;

    if (block && recording()) {
        lock();
        put_line('f', &number, 1);
        unlock();
    }
}

static void *resized(void *block, size_t size)
{
    uintptr_t numbers[] = {(uintptr_t)block, 0, size};

    lock();
    block = __libc_realloc(block, size);
    numbers[1] = (uintptr_t)block;
    if (block)
        put_line('r', numbers, 3);
    unlock();
    return block;
}

/* ---- what programs call ------------------------------------------------------------------- */

PUBLIC void *malloc(size_t size)
{
    return allocated(__libc_malloc(size), size);
}

PUBLIC void *calloc(size_t count, size_t size)
{
    return allocated(__libc_calloc(count, size), count * size);
}

PUBLIC void free(void *block)
{
    freed(block);
    __libc_free(block);
}

/* The C library's realloc of nothing allocates, and to nothing frees. */
PUBLIC void *realloc(void *block, size_t size)
{
    if (!block)
        return malloc(size);
    if (size == 0) {
        free(block);
        return NULL;
    }
    return recording() ? resized(block, size) : __libc_realloc(block, size);
}

PUBLIC void *memalign(size_t alignment, size_t size)
{
    return allocated(__libc_memalign(alignment, size), size);
}

PUBLIC void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

PUBLIC int posix_memalign(void **block, size_t alignment, size_t size)
{
    int before = errno;
    void *made;

    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    made = memalign(alignment, size);
    if (made)
        *block = made;
    errno = before;
    return made ? 0 : ENOMEM;
}

/* ---- beginning and end -------------------------------------------------------------------- */

/* The parent's lines are the parent's; its lock may be held by a thread that is not here. */
static void stop_in_child(void)
{
    atomic_store(&record.recording, false);
    unlock();
}

static __attribute__((constructor)) void begin(void)
{
    const char *path = getenv("RECORD_TO");

    record.fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (record.fd < 0)
        return;
    pthread_atfork(NULL, NULL, stop_in_child);
    atomic_store(&record.recording, true);
}

static __attribute__((destructor)) void end(void)
{
    lock();
    if (recording())
        flush();
    atomic_store(&record.recording, false);
    unlock();
}
