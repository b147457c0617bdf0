# This project configures and builds itself in a folder of its own, two jobs at a time.
# needs: make:/usr/bin/make gcc:/usr/bin/gcc g++:/usr/bin/g++ binutils:/usr/bin/ld
# needs: autoconf:/usr/bin/autoconf automake:/usr/bin/automake libtool:/usr/bin/libtoolize
# needs: pkgconf:/usr/bin/pkg-config libnuma-dev:/usr/include/numa.h
# needs: libhugetlbfs-dev:/usr/include/hugetlbfs.h liburcu-dev:/usr/include/*/urcu
# needs: check:/usr/include/check.h
# preloaded: as bash cc1 gcc ld make sed
# limit: 120

# The files of a checkout, tracked or about to be, or those of an unpacked release.
source_files() {
    if git -c safe.directory='*' -C "$SOURCE" rev-parse --git-dir >/dev/null 2>&1; then
        git -c safe.directory='*' -C "$SOURCE" ls-files -z --cached --others --exclude-standard
    else
        (cd "$SOURCE" && find . -type f -print0)
    fi
}

# In a tree that was configured where it lies, these would stop a build from elsewhere.
forget_configuration() {
    rm -f tree/Makefile tree/config.status tree/config.h
    find tree \( -name '*.o' -o -name '*.lo' -o -name '*.la' -o -name '*.a' \) -delete
}

prepare() {
    mkdir tree build
    source_files >list
    tar -C "$SOURCE" --null --ignore-failed-read -T list -cf - | tar -C tree -xf -
    forget_configuration
    if [[ ! -x tree/configure ]]; then
        (cd tree && autoreconf -fi) >autoreconf.log 2>&1 || { cat autoreconf.log >&2; return 1; }
    fi
}

# Configure's answers, make's lines, and every object file and library are compared.
program() {
    cd build
    CONFIG_SHELL=/bin/bash /bin/bash ../tree/configure --disable-dependency-tracking
    # Two jobs end in any order, so their lines are sorted.
    make -j2 2>&1 | sort
    find . \( -name '*.o' -o -name '*.so' -o -name '*.a' \) -type f -print0 | sort -z |
        xargs -0 sha256sum
}
