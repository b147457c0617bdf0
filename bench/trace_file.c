#include "bench/trace_file.h"

#include <errno.h>

/* Read in pieces into here: stdio would allocate, and a mapping be resident. */
struct reader {
    const char *path;
    int fd;
    int next; /* the character that is to be read, or EOF */
    uint64_t line;
    size_t at;
    size_t length;
    char text[1 << 16];
};

static void advance(struct reader *reader)
{
    if (reader->next == '\n')
        reader->line++;
    if (reader->at == reader->length) {
        ssize_t got = read(reader->fd, reader->text, sizeof reader->text);

        if (got < 0)
            bench_fail("%s: %s", reader->path, strerror(errno));
        reader->length = (size_t)got;
        reader->at = 0;
    }
    reader->next = reader->length ? (unsigned char)reader->text[reader->at++] : EOF;
}

static _Noreturn void refuse(const struct reader *reader, const char *why)
{
    bench_fail("%s, line %llu: %s", reader->path, (unsigned long long)reader->line, why);
}

static void skip_blanks(struct reader *reader)
{
    while (reader->next == ' ' || reader->next == '\t' || reader->next == '\r')
        advance(reader);
}

static void skip_line(struct reader *reader)
{
    while (reader->next != '\n' && reader->next != EOF)
        advance(reader);
}

static uint32_t read_number(struct reader *reader)
{
    uint64_t number = 0;

    skip_blanks(reader);
    if (reader->next < '0' || reader->next > '9')
        refuse(reader, "there is no number");
    for (; reader->next >= '0' && reader->next <= '9'; advance(reader)) {
        number = number * 10 + (uint64_t)(reader->next - '0');
        if (number > UINT32_MAX)
            refuse(reader, "a number is too large");
    }
    return (uint32_t)number;
}

static void play_operation(struct reader *reader, struct ledger *ledger)
{
    int what = reader->next;

    advance(reader);
    if (what != 'a' && what != 'r' && what != 'f')
        refuse(reader, "begins with none of a, r, f, #");
    uint32_t id = read_number(reader);
    if (id >= LEDGER_IDS_MAX)
        refuse(reader, "the id is too large");
    if ((what == 'a') == (ledger_size(ledger, id) != 0))
        refuse(reader, what == 'a' ? "the id is in use" : "there is no such block");
    if (what == 'a')
        ledger_take(ledger, id, read_number(reader));
    else if (what == 'r')
        ledger_resize(ledger, id, read_number(reader));
    else
        ledger_drop(ledger, id);
    skip_blanks(reader);
    if (reader->next != '\n' && reader->next != EOF)
        refuse(reader, "goes on after its end");
}

void trace_file_play(const char *path, struct ledger *ledger)
{
    static struct reader reader;

    reader = (struct reader){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC), .line = 1};
    if (reader.fd < 0)
        bench_fail("%s: %s", path, strerror(errno));
    for (advance(&reader); reader.next != EOF; advance(&reader)) {
        skip_blanks(&reader);
        if (reader.next == '#')
            skip_line(&reader);
        else if (reader.next != '\n' && reader.next != EOF)
            play_operation(&reader, ledger);
    }
    close(reader.fd);
}
