#!/bin/sh
# The machine with four nodes of tests/qemu. `make check-numa` has the others.

said=$("${0%/*}/qemu/run" --build "${VL_BUILD:-.}" four)
status=$?
echo "$said"

# In the form that scripts/count-tests.sh reads.
echo "$said" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' | while read -r good bad; do
    echo "$((good * 100 / (good + bad)))%: Checks: $((good + bad)), Failures: $bad, Errors: 0"
done
exit $status
