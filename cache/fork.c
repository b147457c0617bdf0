#include "cache/fork.h"

#include "cache/central.h"
#include "cache/init.h"
#include "cache/thread.h"

#include <pthread.h>

void vl_fork_child(void)
{
    vl_rcu_after_fork();
    vl_start_after_fork();
    vl_place_after_fork();
    vl_central_after_fork();
    vl_cache_after_fork();
}

void vl_fork_start(void)
{
    static _Atomic bool done;
    if (!atomic_exchange(&done, true))
        pthread_atfork(NULL, NULL, vl_fork_child);
}
