# tar, xz with two threads, gzip, sort and openssl on 12 MB of text.
# needs: tar:/bin/tar xz-utils:/usr/bin/xz gzip:/bin/gzip coreutils:/usr/bin/sort
# needs: openssl:/usr/bin/openssl
# preloaded: gzip openssl sort tar xz
# limit: 60

prepare() {
    mkdir tree
    awk 'BEGIN {
        seed = 1
        for (i = 0; i < 250000; i++) {
            seed = (seed * 16807) % 2147483647
            printf "%d %x word%d some text that repeats\n", seed, seed % 65536, seed % 1000 \
                >("tree/part" i % 50)
        }
    }'
}

program() {
    sort --parallel=2 --buffer-size=8M tree/* >sorted
    sort -n -k1,1 -u --buffer-size=4M sorted | sha256sum
    tar --create --sort=name --mtime=@0 tree >tree.tar
    xz -T2 -3 --block-size=4MiB --keep tree.tar
    gzip -n -9 --keep tree.tar
    sha256sum tree.tar tree.tar.xz tree.tar.gz
    xz -d --stdout tree.tar.xz | cmp - tree.tar
    gzip -d --stdout tree.tar.gz | tar --list | sha256sum

    openssl dgst -sha3-256 tree.tar
    openssl enc -aes-256-cbc -pbkdf2 -S 0011223344556677 -pass pass:word -in tree.tar |
        openssl enc -d -aes-256-cbc -pbkdf2 -S 0011223344556677 -pass pass:word | cmp - tree.tar
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -subj /CN=example.org -out cert.pem \
        2>/dev/null
    openssl verify -CAfile cert.pem cert.pem
}
