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

cat >"$scratch/program.c" <<'END'
#include <stdlib.h>
#include <string.h>
#include <valloc.h>

#include <valloc_version.h>

/* Only valloc's own malloc counts the block. */
int main(void)
{
    char *block = malloc(1000);
    if (block == NULL)
        return 1;
    memset(block, 1, 1000);
    free(block);
    return strcmp(valloc_version(), VALLOC_VERSION) == 0 ? 0 : 2;
}
END

build() { # OUTPUT FLAGS...
    output=$1
    shift
    # shellcheck disable=SC2086,SC2046 # lists of flags
    $CC $CFLAGS $($PKG_CONFIG --cflags valloc) -o "$scratch/$output" "$scratch/program.c" "$@"
}

# shellcheck disable=SC2046
build shared $($PKG_CONFIG --libs valloc)
LD_LIBRARY_PATH=$libdir "$scratch/shared"

# shellcheck disable=SC2046
build static -Wl,-Bstatic $($PKG_CONFIG --static --libs valloc) -Wl,-Bdynamic
"$scratch/static"

# shellcheck disable=SC2046
build all-static -static $($PKG_CONFIG --static --libs valloc) 2>"$scratch/log" || {
    cat "$scratch/log"
    exit 1
}
"$scratch/all-static"
