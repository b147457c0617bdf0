#include "run/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *message_name = "valloc-run";

__attribute__((format(printf, 1, 0))) static void say_list(const char *format, va_list list)
{
    fprintf(stderr, "%s: ", message_name);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
}

void say(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_list(format, list);
    va_end(list);
}

void give_up(int status, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_list(format, list);
    va_end(list);
    exit(status);
}
