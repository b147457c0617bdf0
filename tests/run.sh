#!/bin/sh
# valloc-run: each of its errors, and that a program does not notice it. Tried in the build tree and
# in an installed one that lies elsewhere than it was made for; VL_RUN names another to try instead.

: "${CC:=cc}" "${MAKE:=make}"
build=$(cd "${VL_BUILD:-.}" && pwd) || exit 99
source=$(cd "${srcdir:-.}" && pwd) || exit 99
program=valloc-run
. "${0%/*}/judge.sh"
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
cd "$scratch" || exit 99
unset LD_PRELOAD VALLOC_LIBRARY VALLOC_STATS VALLOC_STATS_PID

# --- Programs to run ---

cat >ended.c <<'END'
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs a program and prints how it ended. */
int main(int argc, char **argv)
{
    int status = 0;
    if (argc > 1 && fork() == 0) {
        execvp(argv[1], argv + 1);
        _exit(99);
    }
    if (argc > 1 && wait(&status) > 0)
        printf("%s %d\n", WIFSIGNALED(status) ? "signal" : "status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return 0;
}
END
$CC -o ended ended.c || exit 99
$CC -static -o static ended.c 2>/dev/null || rm -f static

file() { # NAME, the content from standard input
    cat >"$1"
    chmod +x "$1"
}

file script <<'END'
#!/bin/sh
printf '%s|' "$@"
END
file wordless <<'END'
printf '%s|' "$@"
END
file lost <<'END'
#!/nowhere/interpreter
END
file waiter <<'END'
#!/bin/sh
trap 'echo told >>said; exit 3' TERM
echo $$ >pid
for tries in $(seq 500); do sleep 0.02; done
END

# The head of an ELF file that starts: CLASS MACHINE, as octal escapes of one and two bytes.
elf_head() {
    # shellcheck disable=SC2059
    printf "\\177ELF$1\\001\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000\\002\\000$2"
    head -c 100 /dev/zero
}
elf_head '\001' '\003\000' | file narrow
elf_head '\002' '\026\000' | file foreign

newline='
'

# --- What a program sees ---

try_transparency() {
    has "valloc is inside" libvalloc.so "$("$tool" cat /proc/self/maps)"
    is "arguments" "a b|$newline||*|-x|" "$("$tool" printf '%s|' 'a b' "$newline" '' '*' -x)"
    is "options behind the program" "--stats" "$("$tool" printf %s --stats)"
    is "end of options" "x" "$("$tool" -- printf x)"
    printf 'a\0b\n\n' >bytes
    "$tool" cat <bytes >copy
    is "input and output" "" "$(cmp bytes copy 2>&1)"
    is "errors" "e" "$("$tool" sh -c 'echo e >&2' 2>&1)"
    is "script" "a b|c|" "$("$tool" ./script 'a b' c)"
    is "script without its first line" "a b|c|" "$("$tool" ./wordless 'a b' c)"
    is "what no shell can name" "x%%=1" "$(env 'x%%=1' "$tool" env | grep '^x%%')"
    is "program by PATH" "a|" "$(PATH=$scratch:$PATH "$tool" script a)"
    for figures in '' --time; do
        is "exit status $figures" "status 7" \
            "$(./ended "$tool" $figures sh -c 'exit 7' 2>/dev/null)"
        is "signal $figures" "signal 9" \
            "$(./ended "$tool" $figures sh -c 'kill -KILL $$' 2>/dev/null)"
        try_signal $figures
    done
}

# A signal sent to the tool is the program's, which answers as it likes.
try_signal() { # [--time]
    rm -f pid said
    "$tool" "$@" ./waiter 2>/dev/null &
    waiting=$!
    for tries in $(seq 500); do
        ! [ -s pid ] || break
        sleep 0.02
    done
    is "start before try $tries" yes "$([ -s pid ] && echo yes)"
    [ $# -gt 0 ] || is "process id" "$waiting" "$(cat pid)"
    kill -TERM "$waiting"
    wait "$waiting"
    is "status after SIGTERM $*" 3 $?
    is "SIGTERM $*" told "$(cat said)"
}

# --- LD_PRELOAD and the library ---

# shellcheck disable=SC2016 # for the inner shells
try_library() { # FOLDER that it is to be found under
    library=$("$tool" sh -c 'echo "$LD_PRELOAD"')
    has "place of the library" "$1/" "$library"
    has "name of the library" "/libvalloc.so" "$library"
    is "what was preloaded before" "$library:libm.so.6:libdl.so.2" \
        "$(LD_PRELOAD='libm.so.6 libdl.so.2' "$tool" sh -c 'echo "$LD_PRELOAD"')"
    is "run in a run" "$library:libm.so.6" \
        "$(LD_PRELOAD=libm.so.6 "$tool" "$tool" sh -c 'echo "$LD_PRELOAD"')"
    ln -sf "$library" other.so
    is "VALLOC_LIBRARY" "$scratch/other.so" \
        "$(VALLOC_LIBRARY=other.so "$tool" sh -c 'echo "$LD_PRELOAD"' 2>&1)"
    mkdir -p "a b"
    ln -sf "$library" "a b/other.so"
    refuses 125 "blank" env VALLOC_LIBRARY="a b/other.so" "$tool" true
    refuses 125 "No such file" env VALLOC_LIBRARY=nowhere.so "$tool" true
    refuses 125 "not a shared library" env VALLOC_LIBRARY=script "$tool" true
    refuses 125 "not a shared library" env VALLOC_LIBRARY=foreign "$tool" true
}

# A tool that lies alone, unless there is a library where configure was told.
try_lost_tool() {
    mkdir -p alone/bin
    cp "$tool" alone/bin
    alone/bin/valloc-run true 2>/dev/null && return
    refuses 125 "no libvalloc.so in" alone/bin/valloc-run true
}

# --- Options ---

# shellcheck disable=SC2016
try_options() {
    is "variables" "off never 1s junk" "$("$tool" --numa=off --hugepages never \
        --set PURGE_DELAY=1s --set=VALLOC_FILL=junk \
        sh -c 'echo $VALLOC_NUMA $VALLOC_HUGEPAGE $VALLOC_PURGE_DELAY $VALLOC_FILL')"
    is "patterns" junk "$("$tool" --check sh -c 'echo $VALLOC_FILL')"
    is "statistics" 4 "$("$tool" --stats ./ended 2>&1 | grep -c '^valloc')"
    has "statistics for programs" '{"valloc"' "$("$tool" --stats=json ./ended 2>&1)"
    is "statistics of one process" 4 "$("$tool" --stats ./ended ./ended 2>&1 | grep -c '^valloc')"
    is "statistics of every process" 8 \
        "$("$tool" --stats --set STATS_PID=0 ./ended ./ended 2>&1 | grep -c '^valloc')"
    has "help" "usage: valloc-run" "$("$tool" --help)"
    has "version" "valloc-run (valloc) " "$("$tool" --version)"

    refuses 125 "no program" "$tool"
    refuses 125 "no program" "$tool" --stats
    refuses 125 "--nonsense" "$tool" --nonsense true
    refuses 125 "-x" "$tool" -x true
    refuses 125 "needs a value" "$tool" --set
    refuses 125 "not NAME=VALUE" "$tool" --set NUMA true
    refuses 125 "not NAME=VALUE" "$tool" --set =1 true
    refuses 125 "did you mean VALLOC_STATS?" "$tool" --set STAT=1 true
    refuses 125 "did you mean VALLOC_NUMA?" "$tool" --set VALLOC_numa=1 true
    refuses 125 "unknown variable VALLOC_LIBRARY" "$tool" --set LIBRARY=x true
    refuses 125 "VALLOC_NUMA=some is not one of auto|off" "$tool" --numa=some true
    refuses 125 "VALLOC_HUGEPAGE=no is not one of" "$tool" --hugepages=no true
    refuses 125 "VALLOC_STATS=2 is not one of" "$tool" --stats=2 true
}

# --- Programs that cannot be run ---

try_refusals() {
    refuses 127 "nowhere: No such file" "$tool" nowhere
    refuses 127 "./nowhere/x: No such file" "$tool" ./nowhere/x
    refuses 127 ": No such file" "$tool" ""
    refuses 127 "its interpreter /nowhere/interpreter" "$tool" ./lost
    refuses 126 "Permission denied" "$tool" ./ended.c
    refuses 126 "Is a directory" "$tool" .
    refuses 126 "narrow is a 32-bit program" "$tool" ./narrow
    refuses 126 "another kind of machine" "$tool" ./foreign
    if [ -f static ]; then
        refuses 126 "statically linked" "$tool" ./static
        printf '#!%s/static\n' "$scratch" | file by-static
        refuses 126 "statically linked" "$tool" ./by-static
    fi
    try_rights
}

# Only the superuser can make programs that give rights, and not everywhere.
try_rights() {
    [ "$(id -u)" -eq 0 ] && grep -q 'NoNewPrivs:.0' /proc/self/status || return
    findmnt -n -o OPTIONS -T "$scratch" | grep -q nosuid && return
    cp ended setuid && chown 65534 setuid && chmod 4755 setuid
    cp ended setgid && chgrp 65534 setgid && chmod 2755 setgid
    cp ended harmless && chmod 4755 harmless
    refuses 126 "(setuid)" "$tool" ./setuid
    refuses 126 "(setgid)" "$tool" ./setgid
    is "setuid to who it is already" "" "$("$tool" ./harmless 2>&1)"
    cp ended capable
    setcap cap_net_raw+ep capable 2>/dev/null || return
    cp "$tool" valloc-run && cp "$library" libvalloc.so || return
    refuses 126 "(file capabilities)" env VALLOC_LIBRARY=libvalloc.so \
        setpriv --reuid=65534 --regid=65534 --clear-groups ./valloc-run ./capable
}

# --- Figures ---

# shellcheck disable=SC2016
try_figures() {
    said=$("$tool" --time printf x 2>errors)
    is "output under --time" x "$said"
    has "wall time" "valloc-run: wall time 0." "$(cat errors)"
    has "peak memory" ", peak memory " "$(cat errors)"
    has "another name" "somebody: wall time" "$("$tool" --as=somebody --time true 2>&1)"
    refuses 127 "nowhere" "$tool" --time nowhere

    printf 'first\nsecond\n' >lines
    file reader <<'END'
#!/bin/sh
read -r line
echo "${LD_PRELOAD:+preloaded} $line" | tee -a lines-read
echo "error $line" >&2
END
    : >lines-read
    said=$("$tool" --compare ./reader <lines 2>errors)
    is "output of the first run" "preloaded first" "$said"
    is "input of both runs" "preloaded first$newline first" "$(cat lines-read)"
    is "errors of the first run" 1 "$(grep -c '^error' errors)"
    for title in 'wall time ' 'CPU time ' 'peak memory ' 'page faults '; do
        has "table of both" "valloc-run: $title" "$(cat errors)"
    done
    : >lines-read
    echo piped | "$tool" --compare ./reader >/dev/null 2>&1
    is "input that is read once" "preloaded piped$newline " "$(cat lines-read)"
    : >lines-read
    (
        read -r _
        "$tool" --compare ./reader >/dev/null 2>&1
    ) <lines
    is "input from where it stood" "preloaded second$newline second" "$(cat lines-read)"

    "$tool" --compare sh -c '[ -z "$LD_PRELOAD" ]' 2>errors
    is "exit status of the first run" 1 $?
    has "runs that end differently" "ended otherwise: exit status 0" "$(cat errors)"
    "$tool" --compare sh -c 'echo x >>ran; kill -TERM $$' 2>errors
    is "no second run after a signal" x "$(cat ran)"
    rm -f ran
    is "signal under --compare" "signal 15" \
        "$(./ended "$tool" --compare sh -c 'kill -TERM $$' 2>/dev/null)"
}

# --- All of it ---

try_alias() { # FILE
    is "the alias" "a b|" "$(PATH=${tool%/*}:$PATH "$1" printf '%s|' 'a b')"
    PATH=${tool%/*}:$PATH "$1" sh -c 'exit 5'
    is "status of the alias" 5 $?
}

try_demo() {
    shown=$(VALLOC_RUN=$tool "$source/scripts/hugepages-demo" sh -c 'echo unseen; exit 5' 2>&1)
    is "status of the demo" 5 $?
    is "runs of the demo" 2 "$(echo "$shown" | grep -c '^--- ')"
    is "figures of the demo" 2 "$(echo "$shown" | grep -c 'wall time .*peak memory')"
    is "the demo's program" 0 "$(echo "$shown" | grep -c unseen)"
    VALLOC_RUN=./no-such PATH=/nowhere /bin/sh "$source/scripts/hugepages-demo" 2>/dev/null
    is "status of the demo without valloc-run" 127 $?
}

try() { # TOOL FOLDER-OF-LIBRARY ALIAS
    tool=$1
    try_transparency
    try_library "$2"
    try_lost_tool
    try_options
    try_refusals
    try_figures
    try_alias "$3"
}

installed() {
    "$MAKE" -C "$build" install DESTDIR="$scratch/root" >log 2>&1 || cat log
    find "$scratch/root" -name valloc-run -type f -perm -u+x | head -n 1
}

if [ -n "$VL_RUN" ]; then
    try "$VL_RUN" "${VL_LIBRARY%/*}" "${VL_RUN%/*}/run_with_hp_malloc.sh"
else
    try "$build/run/valloc-run" "$build/.libs" "$source/run/run_with_hp_malloc.sh"
    try_demo # which is not installed
    tool=$(installed)
    try "$tool" "$scratch/root" "${tool%/*}/run_with_hp_malloc.sh"
fi

# In the form that scripts/count-tests.sh reads.
echo "$(((checks - failures) * 100 / checks))%: Checks: $checks, Failures: $failures, Errors: 0"
[ $failures -eq 0 ]
