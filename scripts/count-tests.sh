#!/bin/sh
# Adds up a finished test run: prints "N passed, N failed".
#
#   count-tests.sh LOG ...      the .log files of make check, each with its .trs beside it
#
# A program made of check's cases counts as many as it ran, any other as one.  One that failed
# without a failed case (it crashed, or never came so far) counts as one failure more.  Skipped
# programs count as nothing.  The exit status tells whether all passed.

passed=0
failed=0
for log; do
    trs=${log%.log}.trs
    result=$(sed -n 's/^:test-result: \([A-Z]*\).*/\1/p' "$trs" 2>/dev/null)
    cases=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' \
        "$log" 2>/dev/null | tail -n 1)
    # shellcheck disable=SC2086 # three numbers, or none
    set -- ${cases:-0 0 0}
    bad=$(($2 + $3))
    good=$(($1 - bad))
    case $result in
    PASS | XFAIL) [ "$good" -gt 0 ] || good=1 ;;
    SKIP) ;;
    *) [ "$bad" -gt 0 ] || bad=1 ;;
    esac
    passed=$((passed + good))
    failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
