#!/bin/sh
# valloc-run under the name that an older tool had: the one beside this file, else the one on PATH.

tool=${0%/*}/valloc-run
[ -x "$tool" ] || tool=valloc-run
exec "$tool" "$@"
