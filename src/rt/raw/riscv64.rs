//! riscv64. Registers: the RISC-V psABI; the system call: syscall(2), and the kernel's
//! `include/uapi/asm-generic/unistd.h`.

use core::arch::asm;
use linux_raw_sys::general::{__NR_clone, SIGCHLD};

/// The instruction that calls a function. execve(2) leaves sp a multiple of 16, as a caller does.
#[doc(hidden)]
#[macro_export]
macro_rules! call {
    () => {
        "call {}"
    };
}

/// The system call that makes a process, and its argument: there is no fork(2) here, and
/// clone(2) with the signal for the parent does the same.
pub const FORK: (u32, i32) = (__NR_clone, SIGCHLD as i32);

/// syscall(2) with one argument: the result, or the negative number of an error.
///
/// # Safety
/// The call may have the argument.
pub unsafe fn syscall(number: u32, argument: i32) -> i32 {
    let result: usize;
    // SAFETY: syscall(2) names the registers that are read and written.
    unsafe {
        asm!(
            "ecall",
            in("a7") number as usize,
            inlateout("a0") argument as usize => result,
            in("a1") 0usize, // clone(2): the child goes on with the stack as it is
            options(nostack),
        );
    }
    result as i32
}

/// memcpy(3): the compiler calls it for a copy.
// SAFETY: no other object defines the symbol. Its caller, the compiler, keeps memcpy(3)'s terms.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: `n` bytes at `src` are readable, `n` at `dest` are writable, and they are apart.
    unsafe {
        asm!(
            "beqz {n}, 3f",
            "2:",
            "lbu {byte}, 0({src})",
            "sb {byte}, 0({dest})",
            "addi {src}, {src}, 1",
            "addi {dest}, {dest}, 1",
            "addi {n}, {n}, -1",
            "bnez {n}, 2b",
            "3:",
            dest = inout(reg) dest => _,
            src = inout(reg) src => _,
            n = inout(reg) n => _,
            byte = out(reg) _,
            options(nostack, preserves_flags),
        );
    }
    dest
}

/// memset(3): the compiler calls it for an array made of one value.
// SAFETY: no other object defines the symbol. Its caller, the compiler, keeps memset(3)'s terms.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(dest: *mut u8, byte: i32, n: usize) -> *mut u8 {
    // SAFETY: `n` bytes at `dest` are writable.
    unsafe {
        asm!(
            "beqz {n}, 3f",
            "2:",
            "sb {byte}, 0({dest})",
            "addi {dest}, {dest}, 1",
            "addi {n}, {n}, -1",
            "bnez {n}, 2b",
            "3:",
            dest = inout(reg) dest => _,
            byte = in(reg) byte,
            n = inout(reg) n => _,
            options(nostack, preserves_flags),
        );
    }
    dest
}
