# Python runs 1300 of its own tests; PYTHONMALLOC=malloc takes its own allocator away.
# needs: python3:/usr/bin/python3 libpython3.11-testsuite:/usr/lib/python3.11/test/test_threading.py
# preloaded: python3
# limit: 150

prepare() { :; }

# Outcomes in $1.outcomes; what the tests themselves wrote in $1/chatter.
suite() {
    mkdir "$1"
    cd "$1"
    PYTHONMALLOC=malloc PYTHONHASHSEED=1 python3 "$CASE/suite.py" "${@:2}" >"../$1.outcomes"
}

# Of multiprocessing's tests, which come once for each way to start a process, the classes in
# which memory matters and little time is slept away; for fork, the hardest way for a malloc,
# more of them than for the others.
multiprocessing_tests() {
    printf 'test_multiprocessing_fork.%s\n' TestForkAwareThreadLock WithThreadsTestPool \
        WithManagerTest{Queue,Pool,Containers} \
        WithProcessesTest{Process,Queue,Pool,PoolWorkerLifetime,SharedMemory,Heap,Array}
    printf 'test_multiprocessing_forkserver.%s\n' TestSyncManagerTypes \
        WithProcessesTest{Heap,Connection,SharedCTypes}
    printf 'test_multiprocessing_spawn.%s\n' WithProcessesTest{Heap,Connection,SharedCTypes}
}

# The tests sleep more than they work, so two halves run at once.
program() {
    local multiprocessing first status=0
    mapfile -t multiprocessing < <(multiprocessing_tests)
    (suite one test_json test_re test_ctypes test_threading "${multiprocessing[@]}") &
    first=$!
    (suite two test_subprocess.{ProcessTestCase,POSIXProcessTestCase,ContextManagerTests}) ||
        status=1
    wait "$first" || status=1
    cat one.outcomes two.outcomes
    # Of the tests' own words only what a malloc says matters.
    grep -ah '^valloc' one/chatter two/chatter || true
    return "$status"
}
