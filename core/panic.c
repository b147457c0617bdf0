#include "core/panic.h"

#include "core/text.h"

#include <stdint.h>
#include <stdlib.h>

void (*vl_panic_hook)(const char *line);

/* The line stays in the caller's frame, where a debugger finds it next to its arguments. */
static _Noreturn void die(struct vl_text *line)
{
    vl_text_line_end(line);
    if (vl_panic_hook != NULL)
        vl_panic_hook(line->buf);
    vl_text_write(line, 2);
    abort();
}

_Noreturn void vl_panic(const char *function, const char *reason, const void *pointer,
                        const char *detail)
{
    char buf[VL_PANIC_LINE_MAX + 1];
    struct vl_text line = vl_text_on(buf, sizeof buf);
    vl_text_str(&line, "valloc: ");
    vl_text_str(&line, function);
    vl_text_str(&line, "(): ");
    vl_text_str(&line, reason);
    vl_text_char(&line, ' ');
    vl_text_hex(&line, (uintptr_t)pointer);
    if (detail != NULL) {
        vl_text_str(&line, " (");
        vl_text_str(&line, detail);
        vl_text_char(&line, ')');
    }
    die(&line);
}

_Noreturn void vl_fatal(const char *text)
{
    char buf[VL_PANIC_LINE_MAX + 1];
    struct vl_text line = vl_text_on(buf, sizeof buf);
    vl_text_str(&line, "valloc: ");
    vl_text_str(&line, text);
    die(&line);
}
