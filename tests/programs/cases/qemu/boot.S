/*
 * A boot sector: computes for a while, so that the emulator has code to translate, then writes
 * the result to the first serial port and ends the machine with the value 16.
 *
 * The loop rewrites one of its own instructions each time round the outer loop: the emulator must
 * throw its translation away and allocate another.
 */
    .code16
    .globl start
start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7c00, %sp
    movl $12345, %eax
    movw $20000, %cx
outer:
    incl changing + 2
    movw $2000, %dx
inner:
    imull $16807, %eax
changing:
    .byte 0x66, 0x05                /* addl $0, %eax, with all four bytes of the number */
    .long 0
    xorl %edx, %eax
    decw %dx
    jnz inner
    loop outer

    movl %eax, %ebx
    movw $0x3f8, %dx
    movw $8, %cx
digit:
    roll $4, %ebx
    movb %bl, %al
    andb $15, %al
    cmpb $10, %al
    jb print
    addb $'a' - '0' - 10, %al
print:
    addb $'0', %al
    outb %al, %dx
    loop digit
    movb $'\n', %al
    outb %al, %dx

    movw $0xf4, %dx
    movl $16, %eax
    outl %eax, %dx
halt:
    hlt
    jmp halt

    .org 510
    .word 0xaa55
