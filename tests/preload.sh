#!/bin/sh
# Runs one test program, those of the public interface with the library inside.

case $1 in
*tests/api/*)
    VL_TEST_STRICT=1
    LD_PRELOAD=$VL_LIBRARY
    export VL_TEST_STRICT LD_PRELOAD
    ;;
esac
case $1 in
*/test_model) # small programs, which shall see all that becomes of large ones
    VALLOC_HUGEPAGE_START=2M
    export VALLOC_HUGEPAGE_START
    ;;
esac
exec "$@"
