/*
 * rcu - how metadata is taken away under the eyes of those who look at it.
 *
 *      reader    section = vl_rcu_read()   ... slices, tables, records ...   vl_rcu_done(section)
 *      writer    makes it impossible to find  ->  vl_rcu_wait()  ->  gives the memory back
 *
 * Readers are queries about any pointer and walks over the heap. malloc and free are none: a block in
 * use keeps in place all that is said of it, so they pay nothing.
 *
 * Sections are liburcu's (bp) once it is loaded, which the functions of valloc.h that read do: it
 * takes malloc and a lock of the dynamic linker to do so, and is not for everybody. Without it, and
 * in the child of a fork, which cannot know what its locks were doing, they are counted, in the word
 * whose turn it is: a writer gives the turn to the other and waits until the first is 0, so that those
 * who come later do not keep it waiting. All kinds may be open at the same time; a section ends in the
 * way it began.
 *
 *               read    done    wait    quiet
 *      any      yes     yes     yes     yes      any number of threads, no lock of ours held
 */
#ifndef VL_CORE_RCU_H
#define VL_CORE_RCU_H

#include <stdbool.h>

enum vl_rcu_section { VL_RCU_EVEN, VL_RCU_ODD, VL_RCU_LIBRARY };

enum vl_rcu_section vl_rcu_read(void);
void vl_rcu_done(enum vl_rcu_section section);

/* Waits until every section open now has ended; what no section that begins later can find may then
 * be given back. False, after a second at the most, if a counted one does not end; and at once if
 * this thread has one open itself, of ours or, with liburcu, of the program's own. */
bool vl_rcu_wait(void);

/* The same without waiting, for malloc: true if certainly none is open. */
bool vl_rcu_quiet(void);

/* Loads liburcu, if it is there. Allocates. */
void vl_rcu_load(void);

/* Child of a fork: sections are counted from now on. */
void vl_rcu_after_fork(void);

#endif
