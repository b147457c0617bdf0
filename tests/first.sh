#!/bin/sh
# shellcheck disable=SC2086 # NM and READELF may bring options of their own
#
# What first.ld puts first are functions of ours, each named once, and fit into the first 64 KB.

: "${NM:=nm}" "${READELF:=readelf}" "${srcdir:=.}" "${VL_LIBRARY:=.libs/libvalloc.so}"
bytes_max=65536

names=$(sed -n 's/^ *\*(\(\.text\.[a-z].*\))$/\1/p' "$srcdir/first.ld" | tr ' ' '\n' |
    sed 's/^\.text\.//; /\*/d; /^startup$/d')
[ "$(echo "$names" | wc -l)" -gt 100 ] || {
    echo "first.ld: found no names"
    exit 1
}

failed=0
complain() {
    echo "first.ld: $*"
    failed=1
}

for name in $names; do
    # Where it is defined its name is at no indentation, as that of a call is.
    (cd "$srcdir" && grep -qE "^[A-Za-z].*\b$name\(" core/*.c hugepage/*.c numa/*.c cache/*.c) ||
        complain "$name is not a function"
done
twice=$(echo "$names" | sort | uniq -d)
[ -z "$twice" ] || complain "listed twice:" $twice

# What lies before the code, constants included, and the code.
before=$($READELF -SW "$VL_LIBRARY" | sed -n 's/.* \.text  *PROGBITS  *[0-9a-f]* \([0-9a-f]*\) .*/\1/p')
code=$({
    echo "$names"
    $NM -S --defined-only "$VL_LIBRARY"
} | awk 'NF == 1 { listed[$1] } NF == 4 { sub(/\..*/, "", $4); if ($4 in listed) print "0x" $2 }' |
    while read -r size; do
        echo $((size))
    done | awk '{ sum += $1 } END { print sum + 0 }')
[ "$code" -gt 0 ] || complain "no function of it is in $VL_LIBRARY"
[ $((0x$before + code)) -le $bytes_max ] ||
    complain "$((0x$before)) bytes before the code, and $code of it: more than $bytes_max"

exit $failed
