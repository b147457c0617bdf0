# Clang compiles a large C file and a C++ file; objects and programs are the same to the byte.
# needs: clang:/usr/bin/clang g++:/usr/bin/g++ binutils:/usr/bin/ld
# preloaded: clang clang++ ld
# limit: 90

source "$CASE/../compile.sh"

program() {
    compile_all clang clang++
}
