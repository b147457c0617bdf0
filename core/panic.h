/*
 * panic - the last line: what went wrong, on stderr, then SIGABRT.
 *
 *      valloc: free(): double free of 0x7f3b40012340 (64-byte class)
 *
 * One line of at most VL_PANIC_LINE_MAX bytes in one write(2), so that the lines of threads dying
 * together do not mix. The heap may be in any state: nothing here reads it, allocates or takes a
 * lock of ours, and a closed stderr changes nothing but that the line is lost.
 */
#ifndef VL_CORE_PANIC_H
#define VL_CORE_PANIC_H

enum { VL_PANIC_LINE_MAX = 256 };

/* For what the program did: `reason` reads on into the pointer ("double free of"); `detail`, which
 * may be NULL, comes in parentheses. */
__attribute__((cold, noinline)) _Noreturn void vl_panic(const char *function, const char *reason,
                                                        const void *pointer, const char *detail);

/* For what we did, or what the system would not do: "valloc: <text>". */
__attribute__((cold, noinline)) _Noreturn void vl_fatal(const char *text);

/* For unit tests, else NULL: gets the line first, and may leave with longjmp instead of dying. */
extern void (*vl_panic_hook)(const char *line);

#endif
