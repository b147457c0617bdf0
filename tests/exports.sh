#!/bin/sh
# shellcheck disable=SC2086 # NM and READELF may bring options of their own
#
# What the two libraries show to the world is what valloc.map lists, and costs what we promise.

: "${NM:=nm}" "${READELF:=readelf}" "${srcdir:=.}" "${VL_LIBRARY:=.libs/libvalloc.so}"
archive=${VL_LIBRARY%.so}.a
tls_bytes_max=128

scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT

failed=0
complain() {
    echo "$*"
    failed=1
}

same() { # MESSAGE WANTED FOUND
    diff "$2" "$3" >"$scratch/diff" || complain "$1 (< wanted, > found):
$(sed -n 's/^[<>]/  &/p' "$scratch/diff")"
}

# Names listed in the map, without comments.
sed -n 's/#.*//; s/^ *\([A-Za-z_][A-Za-z0-9_]*\);.*/\1/p' "$srcdir/valloc.map" |
    sort >"$scratch/listed"
[ -s "$scratch/listed" ] || complain "valloc.map lists nothing"
uniq -d "$scratch/listed" >"$scratch/twice"
[ -s "$scratch/twice" ] && complain "listed twice: $(cat "$scratch/twice")"

# A symbol with a version (name@VERSION) would show here as a name that is not listed.
$NM -D --defined-only "$VL_LIBRARY" | awk '{ print $NF }' | sort >"$scratch/exported"
same "exports of the shared library" "$scratch/listed" "$scratch/exported"

if [ -f "$archive" ]; then
    $NM -g --defined-only "$archive" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u |
        grep -v '^vl_' >"$scratch/globals"
    same "names in the static library" "$scratch/listed" "$scratch/globals"
fi

$READELF -dW "$VL_LIBRARY" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' |
    grep -v -e '^libc\.so' -e '^ld-linux' >"$scratch/needed"
[ -s "$scratch/needed" ] && complain "needs more than libc: $(cat "$scratch/needed")"

# Thread-local data: in the static block, and little of it, for dlopen to find room there.
$READELF -rW "$VL_LIBRARY" | grep -E 'DTPMOD|TLSDESC' >"$scratch/dynamic_tls"
[ -s "$scratch/dynamic_tls" ] && complain "dynamic TLS: $(cat "$scratch/dynamic_tls")"
tls_bytes=$($READELF -lW "$VL_LIBRARY" | awk '$1 == "TLS" { print $6 }')
[ "$((${tls_bytes:-0}))" -le "$tls_bytes_max" ] ||
    complain "TLS of $((tls_bytes)) bytes, more than $tls_bytes_max"

exit "$failed"
