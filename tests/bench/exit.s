# The floor: what the kernel takes to start a process and to end it.
    .globl _start
_start:
    mov $231, %eax      # exit_group(2)
    xor %edi, %edi
    syscall
    .section .note.GNU-stack, "", @progbits
