# QEMU's emulator boots a disk with a program in its first sector, on two kinds of machine.
# needs: qemu-system-x86:/usr/bin/qemu-system-x86_64 gcc:/usr/bin/gcc binutils:/usr/bin/ld
# preloaded: qemu-system-x86_64
# limit: 60

prepare() {
    gcc -c -o boot.o "$CASE/boot.S"
    ld --oformat binary -Ttext 0x7c00 -e start -o boot.img boot.o
    truncate -s 1M boot.img  # a disk of one sector is too small for AHCI
}

# The guest ends the machine through the debug port with the value 16: status 16 * 2 + 1. The
# emulator translates to host code, in a thread per processor, so no KVM is needed.
boot() {
    local status=0
    qemu-system-x86_64 -machine "$1" -accel tcg,thread=multi -smp 2 -m 256 -nodefaults \
        -no-user-config -display none -drive file=boot.img,format=raw,if=ide \
        -serial file:serial -device isa-debug-exit,iobase=0xf4,iosize=4 || status=$?
    echo "machine $1: status $status"
    cat serial
    [[ $status == 33 ]]
}

program() {
    qemu-system-x86_64 -machine help
    qemu-system-x86_64 -cpu help | sha256sum
    boot pc
    boot q35
}
