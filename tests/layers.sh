#!/bin/sh
# Each folder includes only folders below it, and each of these through its one header.

: "${srcdir:=.}"
cd "$srcdir" || exit 99

layers="core hugepage numa cache"

# Prints what is wrong with one #include: LAYER PLACE INCLUDED LAYERS-BELOW
judge() {
    folder=${3%%/*}
    case $3 in
    */*) ;;
    valloc.h | valloc_version.h | config.h) return ;;
    *)
        echo "$2: includes \"$3\" without its folder"
        return
        ;;
    esac
    [ "$folder" = "$1" ] && return
    case " $4 " in
    *" $folder "*)
        [ "$3" = "$folder/$folder.h" ] || echo "$2: includes \"$3\", not \"$folder/$folder.h\""
        ;;
    *) echo "$2: includes \"$3\", which is not below $1" ;;
    esac
}

wrongs=$(
    below=
    for layer in $layers; do
        grep -Hn '^ *# *include *"' "$layer"/*.[ch] |
            sed 's/^\([^:]*:[0-9]*\):.*"\(.*\)".*/\1 \2/' |
            while read -r place included; do
                judge "$layer" "$place" "$included" "$below"
            done
        below="$below $layer"
    done
)

# Were the pattern above to match nothing, this test would pass for ever.
grep -q '^ *# *include *"core/core.h"' cache/*.[ch] || wrongs="found no includes at all
$wrongs"

[ -z "$wrongs" ] && exit 0
echo "$wrongs"
exit 1
