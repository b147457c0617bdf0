/*
 * text - lines put together in a caller's buffer.
 *
 * A malloc cannot use stdio: these appenders need no memory, no locale and no lock, call nothing
 * outside this file, and work at any time, in a signal handler or before libc is ready.
 *
 *      char line[128];
 *      struct vl_text text = vl_text_on(line, sizeof line);
 *      vl_text_str(&text, "heap ");
 *      vl_text_bytes(&text, heap_bytes);
 *      vl_text_line_end(&text);
 *      vl_text_write(&text, 2);
 *
 * What does not fit is dropped. Invariant: buf[len] == '\0' and len < size (unless size is 0).
 */
#ifndef VL_CORE_TEXT_H
#define VL_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vl_text {
    char *buf;
    size_t size, len;
};

static inline struct vl_text vl_text_on(char *buf, size_t size)
{
    if (size > 0)
        buf[0] = '\0';
    return (struct vl_text){.buf = buf, .size = size, .len = 0};
}

void vl_text_char(struct vl_text *text, char c);
void vl_text_str(struct vl_text *text, const char *string);

void vl_text_u64(struct vl_text *text, uint64_t value);
void vl_text_i64(struct vl_text *text, int64_t value);
void vl_text_hex(struct vl_text *text, uint64_t value); /* 0x7f00 */

/* For people: "512 B", "1.2 GB". K, M, G are powers of 1024, here as in the VALLOC_ variables. */
void vl_text_bytes(struct vl_text *text, uint64_t bytes);

/* `value` in units of 10^-decimals, decimals <= 19: 12345 with 3 decimals is "12.345". */
void vl_text_fixed(struct vl_text *text, int64_t value, unsigned decimals);

/* "43.2%", rounded down so that only all of it is "100.0%"; "-" for a share of nothing. */
void vl_text_percent(struct vl_text *text, uint64_t part, uint64_t whole);

/* Parts of sentences for people: "held 1.2 GB,", "node 3 has", "1 block", "2 blocks". */
void vl_text_item(struct vl_text *text, const char *before, uint64_t bytes, const char *after);
void vl_text_figure(struct vl_text *text, const char *before, uint64_t value, const char *after);
void vl_text_counted(struct vl_text *text, uint64_t count, const char *noun);

/* The way back: the number that a string begins with, 0 if with none; in decimal, or in hexadecimal. */
uint64_t vl_text_number(const char *string, unsigned base);

/* A list of numbers as the kernel writes it ("0-1,8"), as bits of a set that is empty before; what is not below
 * `bits` is passed over. */
void vl_text_list(const char *string, unsigned long *words, unsigned bits);

/* Spaces up to `column` of the current line, counted from 0. */
void vl_text_pad(struct vl_text *text, size_t column);

/* Ends the line; where there is no room, the newline replaces the last character. */
void vl_text_line_end(struct vl_text *text);

/* One write(2) of it all, more only if the kernel takes less. False if some of it was not taken. */
bool vl_text_write(const struct vl_text *text, int fd);

#endif
