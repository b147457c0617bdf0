// What operator new does when memory is short, and what only a C++ program can see of it:
// std::bad_alloc, the new-handler, and exceptions that pass through the allocator unharmed.
//
// A program of its own, without libcheck: exit status 0, or 1 and one line for each mismatch.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace
{

int failures;

#define EXPECT(actual, expected)                                                                  \
    do {                                                                                          \
        const long actual_ = static_cast<long>(actual);                                           \
        const long expected_ = static_cast<long>(expected);                                       \
        if (actual_ != expected_) {                                                               \
            std::fprintf(stderr, "%s:%d: %s is %ld, expected %ld\n", __FILE__, __LINE__, #actual, \
                         actual_, expected_);                                                     \
            failures++;                                                                           \
        }                                                                                         \
    } while (0)

// The compiler would refuse a constant of this size, or drop the allocation.
volatile std::size_t impossible = PTRDIFF_MAX;
void *volatile sink;

struct alignas(4096) Page {
    char bytes[4096];
};

enum Outcome { GAVE_NULL, GAVE_BLOCK, THREW_BAD_ALLOC, THREW_OTHER };

template <typename Allocate> Outcome outcome_of(Allocate allocate)
{
    try {
        sink = allocate();
        return sink == nullptr ? GAVE_NULL : GAVE_BLOCK;
    } catch (const std::bad_alloc &) {
        return THREW_BAD_ALLOC;
    } catch (...) {
        return THREW_OTHER;
    }
}

const std::align_val_t aligned{256};

void without_a_handler()
{
    std::set_new_handler(nullptr);
    EXPECT(outcome_of([] { return ::operator new(impossible); }), THREW_BAD_ALLOC);
    EXPECT(outcome_of([] { return ::operator new[](impossible); }), THREW_BAD_ALLOC);
    EXPECT(outcome_of([] { return ::operator new(impossible, aligned); }), THREW_BAD_ALLOC);
    EXPECT(outcome_of([] { return ::operator new[](impossible, aligned); }), THREW_BAD_ALLOC);
    EXPECT(outcome_of([] { return ::operator new(impossible, std::nothrow); }), GAVE_NULL);
    EXPECT(outcome_of([] { return ::operator new[](impossible, std::nothrow); }), GAVE_NULL);
    EXPECT(outcome_of([] { return ::operator new(impossible, aligned, std::nothrow); }), GAVE_NULL);
    EXPECT(outcome_of([] { return ::operator new[](impossible, aligned, std::nothrow); }),
           GAVE_NULL);
}

int handler_calls;

// Called again and again until it gives up: the third time it takes itself away.
void handler_that_gives_up()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

void handler_that_throws()
{
    handler_calls++;
    throw std::bad_alloc();
}

template <typename Allocate> void with_each_handler(Allocate allocate, Outcome when_refused)
{
    handler_calls = 0;
    std::set_new_handler(handler_that_gives_up);
    EXPECT(outcome_of(allocate), when_refused);
    EXPECT(handler_calls, 3);

    handler_calls = 0;
    std::set_new_handler(handler_that_throws);
    EXPECT(outcome_of(allocate), when_refused);
    EXPECT(handler_calls, 1);
    std::set_new_handler(nullptr);
}

void with_handlers()
{
    with_each_handler([] { return ::operator new(impossible); }, THREW_BAD_ALLOC);
    with_each_handler([] { return ::operator new[](impossible); }, THREW_BAD_ALLOC);
    with_each_handler([] { return ::operator new(impossible, aligned); }, THREW_BAD_ALLOC);
    with_each_handler([] { return ::operator new[](impossible, aligned); }, THREW_BAD_ALLOC);
    with_each_handler([] { return ::operator new(impossible, std::nothrow); }, GAVE_NULL);
    with_each_handler([] { return ::operator new[](impossible, std::nothrow); }, GAVE_NULL);
    with_each_handler([] { return ::operator new(impossible, aligned, std::nothrow); }, GAVE_NULL);
    with_each_handler([] { return ::operator new[](impossible, aligned, std::nothrow); },
                      GAVE_NULL);
}

// malloc knows nothing of the new-handler.
void malloc_calls_no_handler()
{
    handler_calls = 0;
    std::set_new_handler(handler_that_throws);
    EXPECT(outcome_of([] { return std::malloc(impossible); }), GAVE_NULL);
    EXPECT(handler_calls, 0);
    std::set_new_handler(nullptr);
}

struct Thrower {
    char bytes[1000];
    Thrower()
    {
        throw std::runtime_error("constructor");
    }
};

// The language itself frees the block of an object whose constructor throws.
void throwing_constructors()
{
    int caught = 0;

    for (int i = 0; i < 10000; i++) {
        try {
            sink = new Thrower;
        } catch (const std::runtime_error &) {
            caught++;
        }
        try {
            sink = new Thrower[10];
        } catch (const std::runtime_error &) {
            caught++;
        }
    }
    EXPECT(caught, 20000);
}

void over_aligned_objects()
{
    for (int i = 0; i < 1000; i++) {
        Page *one = new Page;
        Page *some = new Page[3];

        EXPECT(reinterpret_cast<std::uintptr_t>(one) % alignof(Page), 0);
        EXPECT(reinterpret_cast<std::uintptr_t>(some) % alignof(Page), 0);
        std::memset(one, 1, sizeof *one);
        std::memset(some, 2, 3 * sizeof *some);
        delete one;
        delete[] some;
    }
}

void containers_in_threads()
{
    std::vector<std::thread> threads;
    std::vector<std::size_t> totals(4);

    for (std::size_t t = 0; t < totals.size(); t++)
        threads.emplace_back([t, &totals] {
            std::vector<std::string> words;

            for (std::size_t i = 0; i < 50000; i++)
                words.push_back(std::string(i % 100, 'x'));
            for (const std::string &word : words)
                totals[t] += word.size();
        });
    for (std::thread &thread : threads)
        thread.join();
    for (std::size_t total : totals)
        EXPECT(total, 500 * 99 * 100 / 2);
}

} // namespace

int main()
{
    without_a_handler();
    with_handlers();
    malloc_calls_no_handler();
    throwing_constructors();
    over_aligned_objects();
    containers_in_threads();
    return failures == 0 ? 0 : 1;
}
