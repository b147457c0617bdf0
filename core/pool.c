#include "core/pool.h"

#include "core/bits.h"
#include "core/os.h"

/* Memory is made writable in steps of this, doubling with the pool up to the larger one: few
 * system calls, and little that is writable but unused. */
enum { STEP_MIN = 64 << 10, STEP_MAX = 4 << 20 };

void vl_pool_start(struct vl_pool *pool, void *space, uint32_t item_shift, uint32_t id_end)
{
    pool->items = space;
    pool->item_shift = item_shift;
    pool->id_end = id_end;
    vl_set(&pool->next, 1);
    vl_set(&pool->writable, 0);
}

/* Makes [0, end) writable. Needs no lock: to make writable what already is does no harm. */
static bool grow(struct vl_pool *pool, size_t end)
{
    size_t have = vl_get_acquire(&pool->writable);
    if (end <= have)
        return true;
    size_t step = vl_min(vl_max(have, STEP_MIN), STEP_MAX);
    size_t space = vl_pool_space(pool->item_shift, pool->id_end);
    size_t goal = vl_round_up(vl_min(vl_max(end, have + step), space), vl_os_page_size);
    size_t start = vl_round_down(have, vl_os_page_size);
    if (vl_os->protect(pool->items + start, goal - start, VL_ACCESS_WRITE) != 0)
        return false;
    while (have < goal && !vl_swap_if(&pool->writable, &have, goal)) {
    }
    return true;
}

uint32_t vl_pool_take(struct vl_pool *pool, uint32_t count)
{
    uint32_t id = vl_get(&pool->next);
    do {
        if (pool->id_end - id < count || !grow(pool, (size_t)(id + count) << pool->item_shift))
            return 0;
    } while (!vl_swap_if(&pool->next, &id, id + count));
    return id;
}
