#include "core/text.h"

#include "core/os.h"

/*
 * Characters are moved one by one: libc binds its memcpy and strlen to this CPU's when it relocates
 * itself, and a malloc may be called before that.
 */

static bool is_full(const struct vl_text *text)
{
    return text->len + 1 >= text->size;
}

void vl_text_char(struct vl_text *text, char c)
{
    if (is_full(text))
        return;
    text->buf[text->len++] = c;
    text->buf[text->len] = '\0';
}

void vl_text_str(struct vl_text *text, const char *string)
{
    for (; *string != '\0'; string++)
        vl_text_char(text, *string);
}

static void put_digits(struct vl_text *text, uint64_t value, unsigned base, unsigned count_min)
{
    char reversed[20]; /* 2^64 has 20 decimal digits */
    unsigned count = 0;
    do {
        reversed[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0 || count < count_min);
    while (count > 0)
        vl_text_char(text, reversed[--count]);
}

/* Writes the minus sign, if any, and returns what is left to write. */
static uint64_t put_sign(struct vl_text *text, int64_t value)
{
    if (value >= 0)
        return (uint64_t)value;
    vl_text_char(text, '-');
    return -(uint64_t)value;
}

void vl_text_u64(struct vl_text *text, uint64_t value)
{
    put_digits(text, value, 10, 1);
}

void vl_text_i64(struct vl_text *text, int64_t value)
{
    uint64_t magnitude = put_sign(text, value);
    put_digits(text, magnitude, 10, 1);
}

void vl_text_hex(struct vl_text *text, uint64_t value)
{
    vl_text_str(text, "0x");
    put_digits(text, value, 16, 1);
}

void vl_text_fixed(struct vl_text *text, int64_t value, unsigned decimals)
{
    uint64_t magnitude = put_sign(text, value);
    uint64_t one = 1;
    for (unsigned i = 0; i < decimals; i++)
        one *= 10;
    put_digits(text, magnitude / one, 10, 1);
    if (decimals > 0) {
        vl_text_char(text, '.');
        put_digits(text, magnitude % one, 10, decimals);
    }
}

void vl_text_bytes(struct vl_text *text, uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    if (bytes < 1024) {
        vl_text_u64(text, bytes);
        vl_text_str(text, " B");
        return;
    }
    unsigned unit = 0;
    for (; bytes >= 1024 * 1024; unit++)
        bytes /= 1024;
    /* `bytes` is now in 1024ths of the unit. */
    uint64_t tenths = (bytes * 10 + 512) / 1024;
    if (tenths == 10240) { /* 1023.96 KB is 1.0 MB */
        tenths = 10;
        unit++;
    }
    vl_text_fixed(text, (int64_t)tenths, 1);
    vl_text_char(text, ' ');
    vl_text_char(text, units[unit]);
    vl_text_char(text, 'B');
}

void vl_text_percent(struct vl_text *text, uint64_t part, uint64_t whole)
{
    if (whole == 0) {
        vl_text_char(text, '-');
        return;
    }
    /* Exact as long as part * 1000 fits; beyond, 13 digits of `whole` are more than is shown. */
    bool fits = part <= UINT64_MAX / 1000;
    uint64_t permille = fits ? part * 1000 / whole : part / (whole / 1000 + 1);
    put_digits(text, permille / 10, 10, 1);
    vl_text_char(text, '.');
    put_digits(text, permille % 10, 10, 1);
    vl_text_char(text, '%');
}

void vl_text_item(struct vl_text *text, const char *before, uint64_t bytes, const char *after)
{
    vl_text_str(text, before);
    vl_text_bytes(text, bytes);
    vl_text_str(text, after);
}

void vl_text_figure(struct vl_text *text, const char *before, uint64_t value, const char *after)
{
    vl_text_str(text, before);
    vl_text_u64(text, value);
    vl_text_str(text, after);
}

void vl_text_counted(struct vl_text *text, uint64_t count, const char *noun)
{
    vl_text_u64(text, count);
    vl_text_char(text, ' ');
    vl_text_str(text, noun);
    vl_text_str(text, count == 1 ? "" : "s");
}

static unsigned digit_value(char c)
{
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                  : UINT32_MAX;
}

uint64_t vl_text_number(const char *string, unsigned base)
{
    uint64_t number = 0;
    for (; digit_value(*string) < base; string++)
        number = number * base + digit_value(*string);
    return number;
}

static const char *after_number(const char *string)
{
    while (digit_value(*string) < 10)
        string++;
    return string;
}

void vl_text_list(const char *string, unsigned long *words, unsigned bits)
{
    const unsigned word_bits = 8 * sizeof *words;
    for (unsigned word = 0; word < bits / word_bits; word++)
        words[word] = 0;
    while (digit_value(*string) < 10) {
        uint64_t first = vl_text_number(string, 10), last = first;
        string = after_number(string);
        if (*string == '-') {
            last = vl_text_number(string + 1, 10);
            string = after_number(string + 1);
        }
        for (; first <= last && first < bits; first++)
            words[first / word_bits] |= 1ul << (first % word_bits);
        string += *string == ',';
    }
}

void vl_text_pad(struct vl_text *text, size_t column)
{
    size_t line = text->len;
    while (line > 0 && text->buf[line - 1] != '\n')
        line--;
    while (text->len - line < column && !is_full(text))
        vl_text_char(text, ' ');
}

void vl_text_line_end(struct vl_text *text)
{
    if (!is_full(text))
        vl_text_char(text, '\n');
    else if (text->len > 0)
        text->buf[text->len - 1] = '\n';
}

bool vl_text_write(const struct vl_text *text, int fd)
{
    return vl_os_write(fd, text->buf, text->len) == (long)text->len;
}
