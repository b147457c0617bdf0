#!/bin/sh
# A program builds against the installed copy, by pkg-config, shared and static, and runs on it.

: "${MAKE:=make}" "${CC:=cc}" "${PKG_CONFIG:=pkg-config}" "${VL_BUILD:=.}"

scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
set -e

"$MAKE" -C "$VL_BUILD" install DESTDIR="$scratch/root" >"$scratch/log" 2>&1 || {
    cat "$scratch/log"
    exit 1
}
pc=$(find "$scratch/root" -name valloc.pc)
libdir=${pc%/pkgconfig/valloc.pc}
[ -n "$pc" ] && [ -e "$libdir/libvalloc.so" ] && [ -e "$libdir/libvalloc.a" ]

# pkg-config leaves out folders that compilers search anyway; under a DESTDIR none is.
PKG_CONFIG_SYSROOT_DIR=$scratch/root
PKG_CONFIG_PATH=${pc%/*}
PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
export PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_PATH
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS PKG_CONFIG_ALLOW_SYSTEM_LIBS

# Written as for valloc's forerunners. Only valloc's own malloc counts the calls.
cat >"$scratch/program.c" <<'END'
#include <hp_allocator.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valloc.h>

#include <valloc_version.h>

int main(void)
{
    struct valloc_stat before, after;
    MemoryAllocator allocator;
    ThreadCache *cache;
    void *block;
    if (strcmp(valloc_version(), VALLOC_VERSION) != 0 || valloc_init(&allocator, 1000, 4) != 0)
        return 1;
    valloc_get_stat(&before);
    block = valloc_block(&allocator, 1024);
    memset(block, 1, 1024);
    revalloc(&allocator, block);
    free_valloc(&allocator, valloc_block(&allocator, 1024));
    cache = get_thread_cache(&allocator);
    cache_free(cache, cache_allocate(cache, MAX_CACHE_BLOCKS), MAX_CACHE_BLOCKS);
    vfree(valloc(100), 100);
    free(realloc(malloc(1000), 2000));
    free(calloc(10, 10));
    block = hp_malloc(15 << 20);
    memset(block, 1, 15 << 20);
    hp_free(block);
    block = realloc(valloc_interleaved(3 << 20), 9 << 20);
    memset(block, 1, 9 << 20);
    free(block);
    free(valloc_local(100));
    if (valloc_onnode(100, -1) != NULL)
        return 3;
    valloc_get_stat(&after);
    valloc_cleanup(&allocator);
    valloc_destroy(&allocator);
    if (!after.counts || after.nb_malloc - before.nb_malloc != 8 ||
        after.nb_calloc - before.nb_calloc != 1 || after.nb_realloc - before.nb_realloc != 2 ||
        after.nb_free - before.nb_free != 9)
        return 2;
    get_stat();
    hp_malloc_stats();
    return 0;
}
END

# One that does not call get_stat is not slowed down.
cat >"$scratch/quiet.c" <<'END'
#include <stdlib.h>
#include <valloc.h>

int main(void)
{
    struct valloc_stat stat;
    free(malloc(1000));
    valloc_get_stat(&stat);
    return stat.counts != 0 || stat.nb_malloc != 0 || stat.nb_mmap == 0;
}
END

build() { # OUTPUT FLAGS...
    output=$1
    shift
    for program in program quiet; do
        # shellcheck disable=SC2086,SC2046 # lists of flags
        $CC $CFLAGS $($PKG_CONFIG --cflags valloc) -o "$scratch/$output-$program" \
            "$scratch/$program.c" "$@"
    done
}

check() { # NAME
    "$scratch/$1-program" >"$scratch/output"
    [ "$(cut -d: -f1 <"$scratch/output" | tr '\n' ' ')" = \
        "nb_malloc nb_free nb_realloc nb_calloc nb_recyclage nb_mmap nb_munmap hp_malloc hp_malloc " ]
    "$scratch/$1-quiet"
}

# shellcheck disable=SC2046
build shared $($PKG_CONFIG --libs valloc)
(LD_LIBRARY_PATH=$libdir && export LD_LIBRARY_PATH && check shared)

# shellcheck disable=SC2046
build static -Wl,-Bstatic $($PKG_CONFIG --static --libs valloc) -Wl,-Bdynamic
check static

# shellcheck disable=SC2046
build all-static -static $($PKG_CONFIG --static --libs valloc) 2>"$scratch/log" || {
    cat "$scratch/log"
    exit 1
}
check all-static
