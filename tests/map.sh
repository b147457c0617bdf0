#!/bin/sh
# valloc-map: that what it says of a process is what the process says of itself, however valloc got
# into it; that the picture is one; and that it refuses, in a line, what it cannot read.

: "${CC:=cc}"
build=$(cd "${VL_BUILD:-.}" && pwd) || exit 99
source=$(cd "${srcdir:-.}" && pwd) || exit 99
library=${VL_LIBRARY:-$build/.libs/libvalloc.so}
program=valloc-map
. "${0%/*}/judge.sh"
scratch=$(mktemp -d) || exit 99
started=
# shellcheck disable=SC2086 # a list
finish() {
    [ -z "$started" ] || kill $started 2>/dev/null
    rm -rf "$scratch"
}
trap finish EXIT
chmod 755 "$scratch"
cd "$scratch" || exit 99
unset LD_PRELOAD VALLOC_STATS VALLOC_HUGEPAGE VALLOC_HUGEPAGE_START
cp "${VL_MAP:-$build/map/valloc-map}" valloc-map || exit 99
tool=./valloc-map

if command -v xmllint >xml; then
    parse() { xmllint --noout "$1"; }
elif command -v python3 >xml; then
    parse() { python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$1"; }
else
    echo "neither xmllint nor python3: pictures are not parsed"
    parse() { grep -q '</svg>' "$1"; }
fi

is_picture() { # FILE
    is "$1 is XML" "" "$(parse "$1" 2>&1)"
    is "$1 is SVG" 1 "$(grep -c '^<svg xmlns="http://www.w3.org/2000/svg" ' "$1")"
}

# --- Programs to look at ---

# Fills a heap, tells what valloc_regions says of it, waits until its input ends.
cat >filler.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valloc.h>

#if defined LINKED || defined STATIC
#define ours(name) name
#else
#define ours(name) ((__typeof__(&name))dlsym(RTLD_DEFAULT, #name))
#endif

enum { SMALL = 60000, SIZE = 1000, BIG = 5 };

static struct { unsigned long regions, active, pages, blocks, bytes; } facts;
static void *small[SMALL];
static char *volatile big; /* a compiler leaves out blocks that nobody could see */

static int count(const struct valloc_region *region, void *unused)
{
    (void)unused;
    if (region->big) {
        facts.blocks++;
        facts.bytes += region->used;
        return 0;
    }
    facts.regions++;
    facts.active += region->used != 0;
    facts.pages += region->used >> 13;
    return 0;
}

/* All of the second half goes, so that regions are empty. */
static void fill(void)
{
    for (int i = 0; i < SMALL; i++)
        small[i] = memset(malloc(SIZE), 1, SIZE);
    for (int i = SMALL / 2; i < SMALL; i++)
        free(small[i]);
    for (size_t i = 1; i <= BIG; i++) {
        big = memset(malloc(i << 21), 1, i << 21);
        if (i == 3)
            free(big);
    }
}

static void fill_object(void)
{
    static MemoryAllocator mesh;
    struct valloc_opts opts = {.size = sizeof opts, .name = "mesh <&>"};
    ours(valloc_init_opts)(&mesh, &opts);
    for (int i = 0; i < SMALL / 10; i++)
        memset(ours(valloc_block)(&mesh, SIZE), 1, SIZE);
    memset(ours(valloc_block)(&mesh, 1 << 22), 1, 1 << 22);
}

static void tell(void)
{
#ifdef STATIC
    struct valloc_stat stat; /* questions would load a library, which is not for static programs */
    valloc_get_stat(&stat);
    printf("%lu\n", (unsigned long)stat.big_count);
#else
    ours(valloc_regions)(count, NULL); /* the first call loads a library */
    memset(&facts, 0, sizeof facts);
    ours(valloc_regions)(count, NULL);
    printf("%lu %lu %lu %lu %lu\n", facts.regions, facts.active, facts.pages, facts.blocks,
           facts.bytes);
#endif
}

int main(void)
{
    setbuf(stdin, NULL);
    setbuf(stdout, NULL);
    fill();
    fill_object();
    tell();
    fclose(stdout);
    while (getchar() != EOF)
        continue;
    return 0;
}
END

# Allocates and frees, with threads, until its input ends.
cat >churner.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void *churn(void *seed)
{
    unsigned long x = (unsigned long)seed;
    void *blocks[500] = {0};
    for (;;) {
        x = x * 6364136223846793005UL + 1442695040888963407UL;
        void **block = &blocks[(x >> 33) % 500];
        free(*block);
        *block = malloc((x >> 40) % 64 == 0 ? (x >> 35) % (8 << 20) : (x >> 40) % 5000);
    }
    return NULL;
}

int main(void)
{
    pthread_t thread;
    for (unsigned long i = 1; i <= 2; i++)
        pthread_create(&thread, NULL, churn, (void *)i);
    puts("ready");
    fclose(stdout);
    while (getchar() != EOF)
        continue;
    return 0;
}
END

# Has a child that has ended and stays a zombie, as it is not asked how; says its number.
cat >parent.c <<'END'
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    siginfo_t how;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    if (child < 0 || waitid(P_PID, (id_t)child, &how, WEXITED | WNOWAIT) != 0)
        return 1;
    printf("%d\n", (int)child);
    fclose(stdout);
    while (getchar() != EOF)
        continue;
    return 0;
}
END

includes="-I$source/include -I$build/include"
# shellcheck disable=SC2086 # lists of flags
build_programs() {
    $CC -O1 -o filler filler.c $includes -ldl && $CC -O1 -o parent parent.c &&
        $CC -O1 -o churner churner.c -lpthread || exit 99
    $CC -O1 -DLINKED -o linked filler.c $includes "$library" "-Wl,-rpath,${library%/*}" || exit 99
    rm -f archive static
    [ -f "${library%.so}.a" ] || return # --disable-static
    $CC -O1 -DLINKED -s -o archive filler.c $includes "${library%.so}.a" -ldl -lpthread || exit 99
    $CC -O1 -DSTATIC -static -s -Wl,--gc-sections -o static filler.c $includes \
        "${library%.so}.a" 2>log
}
build_programs

# Starts a program whose input stays open; its first line is in $facts then, its number in $pid.
begin() { # COMMAND...
    rm -f hold said
    mkfifo hold
    "$@" <hold >said 2>errors &
    pid=$!
    started="$started $pid"
    exec 9>hold
    for tries in $(seq 1000); do
        [ ! -s said ] || break
        sleep 0.02
    done
    is "start of $* before try $tries" yes "$([ -s said ] && echo yes)"
    facts=$(cat said)
}

end() {
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    exec 9>&-
}

# --- Facts ---

# What a dump says, in the form of the program's own facts.
facts_of() { # DUMP
    awk '$1 == "r" { regions += $3; pages += $3 * $5; if ($4 == "used") active += $3 }
        $1 == "b" && $4 == "used" { blocks++; bytes += $5 }
        END { print regions + 0, active + 0, pages + 0, blocks + 0, bytes + 0 }' "$1"
}

# The tiles of a picture: place and colour, without the pages' marks, which the kernel may change.
tiles_of() { # PICTURE
    grep -o '^<rect class="f[0-9]*" x="[0-9]*" y="[0-9]*" width="[0-9]*" height' "$1"
}

try_program() { # COMMAND...
    begin "$@"
    line=$("$tool" "$pid" -o map.svg)
    is "status of a map of $*" 0 $?
    "$tool" --dump "$pid" >dump
    is "status of a dump of $*" 0 $?
    is "facts of $*" "$facts" "$(facts_of dump)"
    # shellcheck disable=SC2086 # words
    set -- $facts
    has "headline" "; $1 regions: $2 active (" "$line"
    has "headline" "; $4 big blocks (" "$line"
    has "headline" " in huge pages; " "$line"
    is_picture map.svg
    is "tiles" "$1" "$(tiles_of map.svg | wc -l)"
    is "section of blocks" 1 "$(grep -c 'class="h2".*>Big blocks</text>' map.svg)"
    is "section of the object" 1 "$(grep -c 'class="h2".*>Object mesh &lt;&amp;&gt;</text>' map.svg)"
    is "tiles of the object" yes "$([ "$(grep -c '^object [0-9]* mesh &lt;' map.svg)" -gt 1 ] && echo yes)"
    is "empty regions" yes "$([ "$(grep -c '^empty, with its memory' map.svg)" -gt 1 ] && echo yes)"
    "$tool" dump -o drawn.svg >drawn.line
    is "status of drawing a dump" 0 $?
    is_picture drawn.svg
    is "tiles of the dump" "$(tiles_of map.svg)" "$(tiles_of drawn.svg)"
    is "headline of the dump" "${line#*;}" "$(sed 's/^[^;]*;//' drawn.line)"
}

# A program without a dynamic linker, and without symbols.
try_static() {
    begin ./static
    line=$("$tool" "$pid" -o map.svg)
    is "status of a map of a static program" 0 $?
    has "headline of a static program" "; $facts big blocks (" "$line"
    is_picture map.svg
    end
}

# Huge pages as /proc/PID/smaps has them: those of the heap are all there are.
huge_bytes() {
    awk '/^AnonHugePages:/ { sum += $2 * 1024 } END { print sum + 0 }' "/proc/$pid/smaps"
}

dump_huge_bytes() { # DUMP
    awk '$1 == "r" { sum += $3 * $8 } $1 == "b" { sum += $7 } END { print sum + 0 }' "$1"
}

try_pages() {
    begin env VALLOC_HUGEPAGE=never LD_PRELOAD="$library" ./filler
    "$tool" --dump "$pid" >dump
    is "no huge pages" 0 "$(dump_huge_bytes dump)"
    is "memory in small pages" yes "$(awk '$1 == "r" && $4 == "used" && $7 == 0 { none++ }
        $1 == "r" && $7 > 0 { some++ } END { print (some && !none ? "yes" : "no") }' dump)"
    "$tool" --smaps "$pid" -o map.svg >line
    is "status with smaps" 0 $?
    has "source" "(smaps)" "$(cat map.svg)"
    has "headline with smaps" "0 % of " "$(cat line)"
    end
    begin env VALLOC_HUGEPAGE=always LD_PRELOAD="$library" ./filler
    "$tool" --dump "$pid" >dump
    is "huge pages if the system gives them" \
        "$([ "$(huge_bytes)" -gt 0 ] && echo some)" \
        "$([ "$(dump_huge_bytes dump)" -gt 0 ] && echo some)"
    "$tool" --smaps --dump "$pid" >dump
    is "huge pages by smaps" \
        "$([ "$(huge_bytes)" -gt 0 ] && echo some)" \
        "$([ "$(dump_huge_bytes dump)" -gt 0 ] && echo some)"
    end
}

# What changes while it is read: every answer is whole.
try_churn() {
    begin env LD_PRELOAD="$library" ./churner
    for round in $(seq 10); do
        "$tool" "$pid" -o churn.svg >line 2>&1
        is "status of a map of what changes, $round" 0 $?
        is "lines of a map of what changes, $round" 1 "$(wc -l <line)"
        is_picture churn.svg
        "$tool" --dump "$pid" >dump
        "$tool" dump >line 2>&1
        is "dump of what changes, $round: $(cat line)" 0 $?
    done
    end
}

# --- Refusals ---

try_usage() {
    refuses 2 "one process or one dump" "$tool"
    refuses 2 "one process or one dump" "$tool" 1 2
    refuses 2 "no such option: --nonsense" "$tool" --nonsense 1
    refuses 2 "needs a value" "$tool" 1 -o
    refuses 2 "--dump draws nothing" "$tool" --dump 1 -o x.svg
    refuses 2 "--dump is of a process" "$tool" --dump some.dump
    has "help" "usage: valloc-map PID" "$("$tool" --help)"
    has "version" "valloc-map (valloc) " "$("$tool" --version)"
}

try_processes() {
    refuses 1 "no such process" "$tool" 0
    refuses 1 "no such process" "$tool" 99999999999999999999
    sh -c : &
    gone=$!
    wait "$gone"
    refuses 1 "no such process" "$tool" "$gone"
    begin ./parent
    is "state of its child" Z "$(sed 's/.*) \(.\).*/\1/' "/proc/$facts/stat")"
    refuses 1 "valloc-map: $facts: " "$tool" "$facts"
    end
    refuses 1 "does not run under valloc" "$tool" $$
    if [ "$(id -u)" -ne 0 ]; then
        refuses 1 "no permission" "$tool" 1
    elif command -v setpriv >/dev/null; then
        refuses 1 "no permission" setpriv --reuid=65534 --regid=65534 --clear-groups "$tool" $$
    fi
    for round in $(seq 12); do # it ends as it likes; so do we
        LD_PRELOAD=$library ./filler </dev/null >/dev/null 2>&1 &
        racer=$!
        "$tool" "$racer" >line 2>&1
        is "status of a race $round: $(cat line)" yes "$([ $? -le 1 ] && echo yes)"
        is "lines of a race $round" 1 "$(wc -l <line)"
        wait "$racer"
    done
}

# The library with another number where its format stands: eight bytes of magic, four of size.
try_other_format() {
    at=$(LC_ALL=C grep -abo 'vlayout' "$library" | head -n 1 | cut -d: -f1)
    cp "$library" other.so
    printf '\143' | dd of=other.so bs=1 seek=$((at + 12)) conv=notrunc 2>/dev/null
    begin env LD_PRELOAD=./other.so ./filler
    refuses 1 "has tables that this valloc-map" "$tool" "$pid"
    end
}

try_outputs() { # with a program that runs
    refuses 1 "nowhere/x.svg: No such file" "$tool" "$pid" -o nowhere/x.svg
    refuses 1 "No space left" "$tool" "$pid" -o /dev/full
    refuses 1 "No space left" sh -c "$tool --dump $pid >/dev/full"
    refuses 1 "No space left" sh -c "$tool $pid -o - >/dev/full"
    refuses 1 "No space left" sh -c "$tool $pid >/dev/full"
    "$tool" "$pid" -o - >whole.svg
    is_picture whole.svg
}

# --- Dumps that are none ---

try_files() {
    refuses 1 "nowhere.dump: No such file" "$tool" nowhere.dump
    refuses 1 "Is a directory" "$tool" .
    : >bad
    refuses 1 "not a dump" "$tool" ./bad
    head -c 5000 /dev/urandom >bad
    refuses 1 "not a dump" "$tool" ./bad
    echo 'valloc-map dump 2' >bad
    refuses 1 "not a dump" "$tool" ./bad
}

# `good`: a short dump that is whole.
try_cuts() {
    lines=$(wc -l <good)
    for count in $(seq 1 $((lines - 1))); do
        head -n "$count" good >bad
        refuses 1 "not whole" "$tool" ./bad
    done
    head -c "$(($(wc -c <good) - 1))" good >bad
    refuses 1 "not whole" "$tool" ./bad
    cat good good >bad
    refuses 1 "something after its end" "$tool" ./bad
    printf 'valloc-map dump 1\n%05000d\n' 0 >bad
    refuses 1 "not whole" "$tool" ./bad
}

# Each line is nonsense in its place, which is after the lines of a good beginning.
try_lines() {
    stretch='stretch node 0 200000000000 40000000'
    big='stretch big -1 200000000000 40000000'
    while IFS='|' read -r before wrong; do
        case $before in node) before=$stretch ;; big) before=$big ;; esac
        { head -n 4 good && echo "$before" && echo "$wrong" && echo "end 1"; } >bad
        refuses 1 "line 6 makes no sense" "$tool" ./bad
    done <<'END'
torn|r 0 1 used 1 1 0 0 0 0
torn|b 0 1 used 1 0 0 0 0
torn|stretch heap 0 200000000000 40000000
torn|stretch node 0 200000000001 40000000
torn|stretch node 0 f00000000000000000 40000000
torn|stretch node 0 200000000000 ffffffffffffffff
torn|stretch node 99999999 200000000000 40000000
torn|pages many
torn|torn now
torn|end
torn|nonsense
torn|
torn|library 0123456789012345678901234567890123456789
node|b 0 1 used 1 0 0 0 0
node|r 0 1 used 1 1 0 0 0
node|r 0 1 used 1 1 0 0 0 0 0
node|r 0 1 used 1 1 0 0 0  0
node|r -1 1 used 1 1 0 0 0 0
node|r 0 0 used 1 1 0 0 0 0
node|r 0 513 used 1 1 0 0 0 0
node|r 512 1 used 1 1 0 0 0 0
node|r 4398046511103 1 used 1 1 0 0 0 0
node|r 0 18446744073709551615 used 1 1 0 0 0 0
node|r 0 99999999999999999999 used 1 1 0 0 0 0
node|r 0 1 busy 1 1 0 0 0 0
node|r 0 1 used many 1 1 0 0 0 0
node|r 0 1 used 257 1 0 0 0 0
node|r 0 1 used 1 257 0 0 0 0
node|r 0 1 used 1 1 2097153 0 0 0
node|r 0 1 used 1 1 4096 8192 0 0
node|r 0 1 used 1 1 0 0 2 0
node|r 0 1 used 1 1 0 0 0 3
big|r 0 1 used 1 1 0 0 0 0
big|b 0 0 used 1 0 0 0 0
big|b 0 16385 used 1 0 0 0 0
big|b 16384 1 used 1 0 0 0 0
big|b 140737488355327 140737488355327 used 1 0 0 0 0
big|b 0 1 used 65537 0 0 0 0
big|b 0 1 used 1 65537 0 0 0
END
}

# A heap of 100 GB in regions and 100 GB in big blocks, no two neighbours alike.
try_large() {
    awk 'BEGIN {
        print "valloc-map dump 1\nlibrary 0\nprocess 7 large\npages scanned"
        print "stretch node 0 200000000000 1900000000"
        for (i = 0; i < 51200; i++)
            print "r", i, 1, "used", 1 + i * 37 % 256, 1, 2097152, i % 3 * 1048576, 0, 0
        print "stretch big -1 400000000000 1900000000"
        for (i = 0; i < 102400; i++)
            print "b", i * 16, 16, i % 2 ? "used" : "clean", 0, 0, 0, 0, 0
        print "end", 51200 + 102400
    }' >large
    line=$("$tool" ./large -o large.svg)
    is "status of a large heap" 0 $?
    has "headline of a large heap" "; 51200 regions: 51200 active" "$line"
    has "headline of a large heap" "; 51200 big blocks (50.0 GB), 50.0 GB free" "$line"
    is_picture large.svg
    is "size of the picture of a large heap" small \
        "$([ "$(wc -c <large.svg)" -lt 8000000 ] && echo small)"
}

# --- All of it ---

try_program env LD_PRELOAD="$library" ./filler
try_outputs
{
    # Short, and with each kind of line.
    grep -v '^[rb] \|^stretch\|^end\|^torn' dump
    echo 'stretch node 0 200000000000 40000000'
    echo 'r 0 3 used 5 2 2097152 0 0 0'
    echo 'stretch big -1 400000000000 40000000'
    echo 'b 0 32 used 2000000 2097152 2097152 0 1'
    echo 'end 4'
} >good
is "a good dump" "25 % of 8.0 MB in huge pages; 3 regions: 3 active (2 % full), 0 empty, 0 clean; 1 big block (2.0 MB)" \
    "$("$tool" ./good)"
end
try_program ./linked
end
if [ -x archive ]; then
    try_program ./archive
    end
fi
if [ -x static ]; then
    try_static
else
    echo "no static program could be made: not tried"
fi
try_pages
try_churn
try_usage
try_processes
try_other_format
try_files
try_cuts
try_lines
try_large

# In the form that scripts/count-tests.sh reads.
echo "$(((checks - failures) * 100 / checks))%: Checks: $checks, Failures: $failures, Errors: 0"
[ $failures -eq 0 ]
