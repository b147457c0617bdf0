#include "cache/fork.h"

#include "cache/central.h"
#include "cache/init.h"
#include "cache/purger.h"
#include "cache/thread.h"

#include <pthread.h>

/* Room for one page of any machine's size, and nothing else on it. Of it a single word is used. */
enum { PAGE_SIZE_MAX = 64 << 10 };
static VL_SPARSE char mark_space[2 * PAGE_SIZE_MAX];
_Atomic(_Atomic bool *) vl_fork_mark;

/* In a child that has noticed by itself, and whose handler may still come. */
static bool noticed;

void vl_fork_watch(void)
{
    static _Atomic bool done;
    if (vl_get(&done) || atomic_exchange(&done, true) || vl_os_page_size > PAGE_SIZE_MAX)
        return;
    char *page = (char *)vl_round_up((uintptr_t)mark_space, vl_os_page_size);
    if (vl_os->advise(page, vl_os_page_size, VL_ADVICE_WIPE) != 0)
        return; /* an old kernel: the handler alone has to do */
    _Atomic bool *mark = (_Atomic bool *)page;
    vl_set(mark, true);
    vl_set_release(&vl_fork_mark, mark);
}

static void set_mark(void)
{
    _Atomic bool *mark = vl_get(&vl_fork_mark);
    if (mark != NULL)
        vl_set(mark, true);
}

void vl_fork_notice_slow(void)
{
    vl_fork_child();
    noticed = true;
}

static void on_fork(void)
{
    vl_fork_notice();
    if (!noticed)
        vl_fork_child();
    else
        noticed = false;
}

void vl_fork_child(void)
{
    set_mark();
    vl_rcu_after_fork();
    vl_start_after_fork();
    vl_place_after_fork();
    struct vl_heap *heap;
    for (uint32_t number = 0; (heap = vl_heap_at(number)) != NULL; number++) {
        if (heap->holds)
            vl_holding_after_fork(&heap->holding);
        vl_central_after_fork(heap);
    }
    vl_cache_after_fork();
    vl_purger_after_fork();
    vl_binding_after_fork();
}

void vl_fork_start(void)
{
    static _Atomic bool done;
    if (!atomic_exchange(&done, true))
        pthread_atfork(NULL, NULL, on_fork);
}
