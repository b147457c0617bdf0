/* print_counters - alone in its file: a program that links the archive has it if it calls it, and then
 * calls are counted (counters.h). */
#include "valloc.h"

#include "core/core.h"

#include <stdio.h>

void valloc_print_counters(void)
{
    char buffer[512];
    struct vl_text text = vl_text_on(buffer, sizeof buffer);
    struct valloc_stat stat;
    valloc_get_stat(&stat);
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"nb_malloc", stat.nb_malloc}, {"nb_free", stat.nb_free},
        {"nb_realloc", stat.nb_realloc}, {"nb_calloc", stat.nb_calloc},
        {"nb_recyclage", stat.nb_recyclage}, {"nb_mmap", stat.nb_mmap},
        {"nb_munmap", stat.nb_munmap},
    };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        vl_text_str(&text, counters[i].name);
        vl_text_str(&text, ": ");
        vl_text_u64(&text, counters[i].value);
        vl_text_char(&text, '\n');
    }
    if (!stat.counts)
        vl_text_str(&text, "(calls were not counted: set VALLOC_COUNT=1)\n");
    fputs(buffer, stdout);
}
