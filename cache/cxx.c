/*
 * cxx - the operators new and delete of C++, by their mangled names, in C.
 *
 * The C++ runtime is not linked: its new-handler and its way to throw std::bad_alloc are weak
 * references, there in every C++ program and absent in C ones, which never call these. Compiled
 * with -fexceptions, so that what is thrown passes through.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT */
#endif
#include "cache/front.h"
#include "core/core.h"

#include <dlfcn.h>

#define EXPORT __attribute__((visibility("default")))

typedef void new_handler(void);

extern new_handler *get_new_handler(void) __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
extern _Noreturn void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv")
    __attribute__((weak));

static void *take(size_t size, size_t align)
{
    return align <= VL_MIN_ALIGN ? vl_alloc(size) : vl_alloc_aligned(align, size);
}

/* Memory was refused: the program's handler may find some, or throw; NULL when there is no handler. */
static void *take_with_handler(size_t size, size_t align)
{
    for (;;) {
        new_handler *handler = get_new_handler != NULL ? get_new_handler() : NULL;
        if (handler == NULL)
            return NULL;
        handler();
        void *block = take(size, align);
        if (block != NULL)
            return block;
    }
}

static __attribute__((noinline, cold)) void *take_or_throw(size_t size, size_t align)
{
    void *block = take_with_handler(size, align);
    if (block != NULL)
        return block;
    if (throw_bad_alloc != NULL)
        throw_bad_alloc();
    vl_fatal("operator new: out of memory");
}

#define NEW(name, size_and_align, align)                                                          \
    EXPORT void *name size_and_align;                                                             \
    EXPORT void *name size_and_align                                                              \
    {                                                                                             \
        void *block = take(size, align);                                                          \
        return vl_likely(block != NULL) ? block : take_or_throw(size, align);                     \
    }

/* A handler that throws must not be noticed by the caller of a nothrow operator, and C cannot catch.
 * The C++ runtime's own operator can: it calls the throwing one, which is ours again. */
#define NEW_NOTHROW(name, parameters, align, ...)                                                 \
    EXPORT void *name parameters;                                                                 \
    EXPORT void *name parameters                                                                  \
    {                                                                                             \
        void *block = take(size, align);                                                          \
        if (vl_likely(block != NULL))                                                             \
            return block;                                                                         \
        void *(*catching) parameters;                                                             \
        *(void **)&catching = dlsym(RTLD_NEXT, #name);                                            \
        return catching != NULL ? catching(__VA_ARGS__) : take_with_handler(size, align);         \
    }

#define DELETE(name, ...)                                                                         \
    EXPORT void name(void *block, ##__VA_ARGS__);                                                 \
    EXPORT void name(void *block, ##__VA_ARGS__)                                                  \
    {                                                                                             \
        vl_free(block);                                                                           \
    }

#pragma GCC diagnostic ignored "-Wunused-parameter"

NEW(_Znwm, (size_t size), 1)
NEW(_Znam, (size_t size), 1)
NEW(_ZnwmSt11align_val_t, (size_t size, size_t align), align)
NEW(_ZnamSt11align_val_t, (size_t size, size_t align), align)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t, (size_t size, const void *nothrow), 1, size, nothrow)
NEW_NOTHROW(_ZnamRKSt9nothrow_t, (size_t size, const void *nothrow), 1, size, nothrow)
NEW_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t align, const void *nothrow),
            align, size, align, nothrow)
NEW_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t align, const void *nothrow),
            align, size, align, nothrow)

DELETE(_ZdlPv)
DELETE(_ZdaPv)
DELETE(_ZdlPvm, size_t size)
DELETE(_ZdaPvm, size_t size)
DELETE(_ZdlPvSt11align_val_t, size_t align)
DELETE(_ZdaPvSt11align_val_t, size_t align)
DELETE(_ZdlPvmSt11align_val_t, size_t size, size_t align)
DELETE(_ZdaPvmSt11align_val_t, size_t size, size_t align)
DELETE(_ZdlPvRKSt9nothrow_t, const void *nothrow)
DELETE(_ZdaPvRKSt9nothrow_t, const void *nothrow)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, size_t align, const void *nothrow)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, size_t align, const void *nothrow)
