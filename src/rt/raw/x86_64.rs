//! x86-64. Registers: the System V psABI for AMD64; the system call: syscall(2), and the kernel's
//! `arch/x86/entry/syscalls/syscall_64.tbl`.

use core::arch::asm;
use linux_raw_sys::general::__NR_fork;

/// The instruction that calls a function. execve(2) leaves rsp a multiple of 16, as a caller does.
#[doc(hidden)]
#[macro_export]
macro_rules! call {
    () => {
        "call {}"
    };
}

/// The system call that makes a process, and its argument: fork(2) has none.
pub const FORK: (u32, u32) = (__NR_fork, 0);

/// syscall(2) with one argument: the result, or the negative number of an error.
///
/// # Safety
/// The call may have the argument.
pub unsafe fn syscall(number: u32, argument: u32) -> i32 {
    let result: usize;
    // SAFETY: syscall(2) names the registers that are read and written.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as usize => result,
            in("rdi") argument as usize,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result as i32
}

/// memcpy(3): the compiler calls it for a copy. A loop would execute five instructions for a byte.
// SAFETY: no other object defines the symbol. Its caller, the compiler, keeps memcpy(3)'s terms.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: `n` bytes at `src` are readable, `n` at `dest` are writable, and they are apart.
    unsafe {
        asm!(
            "rep movsb",
            inout("rdi") dest => _,
            inout("rsi") src => _,
            inout("rcx") n => _,
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
            "rep stosb",
            inout("rdi") dest => _,
            in("eax") byte,
            inout("rcx") n => _,
            options(nostack, preserves_flags),
        );
    }
    dest
}
