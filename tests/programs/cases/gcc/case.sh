# GCC compiles a large C file and a C++ file; objects and programs are the same to the byte.
# needs: gcc:/usr/bin/gcc g++:/usr/bin/g++ binutils:/usr/bin/ld
# preloaded: as cc1 cc1plus collect2 g++ gcc ld
# limit: 90

source "$CASE/../compile.sh"

program() {
    compile_all gcc g++
}
