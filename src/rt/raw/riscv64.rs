//! riscv64. Registers: the RISC-V psABI; the system call: syscall(2), and the kernel's
//! `include/uapi/asm-generic/unistd.h`. gp stays unset: `raw.ld` defines no `__global_pointer$`, and
//! without that no linker addresses anything by gp.

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
pub const FORK: (u32, u32) = (__NR_clone, SIGCHLD);

/// syscall(2) with one argument: the result, or the negative number of an error.
///
/// # Safety
/// The call may have the argument.
pub unsafe fn syscall(number: u32, argument: u32) -> i32 {
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
