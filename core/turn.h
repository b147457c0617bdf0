/*
 * turn - one thread does something long, once for all; who comes meanwhile sleeps until it is done.
 *
 *      FREE --take--> TAKEN --take by another--> AWAITED        end: -> FREE, and wakes all sleepers
 *
 * Unlike a lock (core/lock.h) it is held across system calls, and who has waited does not get it: what
 * it wanted may be there now. The thread that has the turn must not ask for it again; its caller
 * knows, by a thread-local word, and answers without.
 *
 * Sleepers leave the processor to the thread they wait for, whatever the priorities.
 *
 * Fork: the thread that had the turn may not be there in the child, where `reset` frees it.
 */
#ifndef VL_CORE_TURN_H
#define VL_CORE_TURN_H

#include "core/atomic.h"

#include <stdbool.h>
#include <stdint.h>

enum { VL_TURN_FREE, VL_TURN_TAKEN, VL_TURN_AWAITED };

struct vl_turn {
    _Atomic uint32_t word;
};

/* True: the turn is the caller's, who ends it. False: it was another's, and is over. */
bool vl_turn_take(struct vl_turn *turn);
void vl_turn_end(struct vl_turn *turn);

/* Child of a fork: nobody has the turn, unless it is `mine`. */
static inline void vl_turn_reset(struct vl_turn *turn, bool mine)
{
    uint32_t word = mine ? VL_TURN_TAKEN : VL_TURN_FREE;
    vl_set_if_other(&turn->word, word);
}

#endif
