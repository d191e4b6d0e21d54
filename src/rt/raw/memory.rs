//! memcpy(3) and memset(3) for the machines that have no instruction for them.

use core::arch::asm;

/// memcpy(3): the compiler calls it for a copy.
// SAFETY: no other object defines the symbol. Its caller, the compiler, keeps memcpy(3)'s terms.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    for at in 0..n {
        // SAFETY: `n` bytes at `src` are readable, `n` at `dest` are writable, and they are apart.
        unsafe { dest.add(at).write(src.add(at).read()) };
        stay_a_loop();
    }
    dest
}

/// memset(3): the compiler calls it for an array made of one value.
// SAFETY: no other object defines the symbol. Its caller, the compiler, keeps memset(3)'s terms.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(dest: *mut u8, byte: i32, n: usize) -> *mut u8 {
    for at in 0..n {
        // SAFETY: `n` bytes at `dest` are writable.
        unsafe { dest.add(at).write(byte as u8) };
        stay_a_loop();
    }
    dest
}

/// Hides the loop around it from the compiler, which would make it a call of the same function.
#[inline(always)]
fn stay_a_loop() {
    // SAFETY: it is empty, so it executes nothing.
    unsafe { asm!("", options(nostack, preserves_flags)) };
}
