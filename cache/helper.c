#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cache/helper.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#define STACK_BYTES ((size_t)128 << 10)

bool vl_helper_start(void *(*run)(void *argument), void *argument)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool made = pthread_create(&thread, &attributes, run, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return made;
}
