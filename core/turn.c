#include "core/turn.h"

#include "core/os.h"

bool vl_turn_take(struct vl_turn *turn)
{
    uint32_t seen = VL_TURN_FREE;
    if (atomic_compare_exchange_strong_explicit(&turn->word, &seen, VL_TURN_TAKEN,
                                                memory_order_acquire, memory_order_acquire))
        return true;
    while (seen != VL_TURN_FREE) {
        if (seen == VL_TURN_TAKEN && !vl_swap_if(&turn->word, &seen, VL_TURN_AWAITED))
            continue;
        vl_os->wait(&turn->word, VL_TURN_AWAITED);
        seen = vl_get_acquire(&turn->word);
    }
    return false;
}

void vl_turn_end(struct vl_turn *turn)
{
    if (atomic_exchange_explicit(&turn->word, VL_TURN_FREE, memory_order_release) ==
        VL_TURN_AWAITED)
        vl_os->wake(&turn->word, VL_WAKE_ALL);
}
