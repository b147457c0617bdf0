# shellcheck shell=sh
# What the tests of tools judge by: they read this file, and set program and tool.

checks=0
failures=0

is() { # TITLE EXPECTED FOUND
    checks=$((checks + 1))
    [ "$2" = "$3" ] && return
    failures=$((failures + 1))
    printf '%s: %s:\n    expected %s\n    found    %s\n' "$tool" "$1" "$2" "$3"
}

has() { # TITLE PATTERN FOUND
    case $3 in
    *$2*) is "$1" yes yes ;;
    *) is "$1" "*$2*" "$3" ;;
    esac
}

# The command says one line of the program's, nothing else, and ends with the status.
refuses() { # STATUS PATTERN COMMAND...
    wanted=$1 pattern=$2
    shift 2
    said=$("$@" 2>&1 </dev/null)
    is "status of $*" "$wanted" $?
    has "message of $*" "$program: " "$said"
    has "message of $*" "$pattern" "$said"
    is "lines of $*" 1 "$(echo "$said" | wc -l)"
}
