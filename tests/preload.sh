#!/bin/sh
# Runs one test program, those of the public interface with the library inside.

case $1 in
*tests/api/*)
    VL_TEST_STRICT=1
    LD_PRELOAD=$VL_LIBRARY
    export VL_TEST_STRICT LD_PRELOAD
    ;;
esac
exec "$@"
