# GDB debugs a program with threads: breakpoints, stacks, printed structures, Python inside.
# needs: gdb:/usr/bin/gdb gcc:/usr/bin/gcc libc6-dev:/usr/include/stdlib.h
# preloaded: gdb tree
# limit: 60

prepare() {
    gcc -std=gnu11 -Wall -Wextra -O0 -g -pthread -o tree "$CASE/tree.c"
}

# No addresses or thread ids are printed by the commands; the lines of thread births are switched
# off. "Couldn't" and "warning" lines of a container that forbids personality(2) are in both runs.
program() {
    gdb -batch -nx -x "$CASE/commands.gdb" ./tree
}

# The id that the kernel gave a thread is part of the lines about it.
normalise() {
    sed -E 's/LWP [0-9]+/LWP/; s/Thread 0x[0-9a-f]+/Thread/; s/process [0-9]+/process/'
}
