/*
 * message - what the tool says, a line at a time, on standard error.
 *
 * Each line begins with the tool's name, or the name of the script around it (--as).
 */
#ifndef VL_RUN_MESSAGE_H
#define VL_RUN_MESSAGE_H

/* As env(1) and nohup(1) have them; any other status is the program's. */
enum { STATUS_OWN_FAULT = 125, STATUS_CANNOT_RUN = 126, STATUS_NOT_FOUND = 127 };

extern const char *message_name;

__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
__attribute__((format(printf, 2, 3))) _Noreturn void give_up(int status, const char *format, ...);

#endif
