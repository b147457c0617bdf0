#!/bin/sh
# What first.ld puts first are functions of ours, each named once.

: "${srcdir:=.}"
cd "$srcdir" || exit 99

names=$(sed -n 's/^ *\*(\(\.text\.[a-z].*\))$/\1/p' first.ld | tr ' ' '\n' |
    sed 's/^\.text\.//; /\*/d; /^startup$/d')
[ "$(echo "$names" | wc -l)" -gt 100 ] || {
    echo "first.ld: found no names"
    exit 1
}

failed=0
for name in $names; do
    # Where it is defined its name is at no indentation, as that of a call is.
    grep -qE "^[A-Za-z].*\b$name\(" core/*.c hugepage/*.c numa/*.c cache/*.c || {
        echo "first.ld: $name is not a function"
        failed=1
    }
done
twice=$(echo "$names" | sort | uniq -d)
[ -z "$twice" ] || {
    echo "first.ld: listed twice: $twice"
    failed=1
}
exit $failed
