#!/bin/sh
# What the documents name is there: paths of the repository, and the variables of core/options.c and run/.

: "${srcdir:=.}"
cd "$srcdir" || exit 99
[ -f README.md ] || exit 77

documents=README.md
for document in docs/*.md; do
    [ -f "$document" ] && documents="$documents $document"
done
folders='core|hugepage|numa|cache|include|run|map|tests|bench|man|docs|scripts|m4'

scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT

# Words that begin with one of our folders; a trailing dot or colon belongs to the sentence.  The
# part of a longer path, such as /usr/include/x.h, is none of ours.
# shellcheck disable=SC2086 # a list
grep -oE "(^|[^A-Za-z0-9_./~-])($folders)/[A-Za-z0-9_./*{},-]*" $documents |
    sed -E "s/^([^:]*):[^A-Za-z0-9]?/\1 /; s/[.,]*\$//" | sort -u >"$scratch/paths"
# shellcheck disable=SC2086
grep -ohE 'VALLOC_[A-Z0-9_]*[A-Z0-9]' $documents | grep -v '^VALLOC_\(TEST\|VERSION\)' |
    sort -u >"$scratch/named"
# The rows of the table: o(NAME, field, ...); and what valloc-run asks for.
{
    sed -n 's/^ *o(\([A-Z0-9_]*\),.*/VALLOC_\1/p' core/options.c
    sed -n 's/.*getenv("\(VALLOC_[A-Z0-9_]*\)").*/\1/p' run/*.c
} | sort -u >"$scratch/known"

failed=0
while read -r document path; do
    case $path in
    *'*'* | *'{'*) continue ;; # a pattern, not a path
    esac
    [ -e "$path" ] && continue
    echo "$document names $path, which is not there"
    failed=1
done <"$scratch/paths"

if ! diff "$scratch/known" "$scratch/named" >"$scratch/diff"; then
    sed -n 's/^</in the sources, in no document: /p; s/^>/in a document, not in the sources: /p' \
        "$scratch/diff"
    failed=1
fi
exit "$failed"
