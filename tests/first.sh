#!/bin/sh
# The functions that first.ld puts first are functions of ours.

: "${srcdir:=.}"
cd "$srcdir" || exit 99

names=$(sed -n 's/^ *\*(\(\.text\.[a-z].*\))$/\1/p' first.ld | tr ' ' '\n' |
    sed 's/^\.text\.//; /^startup/d')
[ "$(echo "$names" | wc -l)" -gt 100 ] || {
    echo "first.ld: found no names"
    exit 1
}

failed=0
for name in $names; do
    # Where it is defined its name is followed by what it takes, and a call is indented.
    grep -qE "^[A-Za-z].*\b$name\(" core/*.c hugepage/*.c numa/*.c cache/*.c || {
        echo "first.ld: $name is not a function"
        failed=1
    }
done
twice=$(echo "$names" | sort | uniq -d)
[ -z "$twice" ] || {
    echo "first.ld: listed twice:" $twice
    failed=1
}
exit $failed
