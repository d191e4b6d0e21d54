//! The little that stands in for the C runtime: entry, `printf`, `perror`, `fork`, `exit`.
//!
//! The programs see this module and do not know which runtime is behind it: `raw.rs`, on bare
//! system calls, or with `--features libc` `libc.rs`, on the system's C library. Line N of a program
//! answers line N of its C twin: `treuseaddr.rs`, `treuseaddr.c`.

#![cfg(not(test))] // `cargo test NAME` builds the library as a test, which has std's panic handler
#![no_std]

use core::ffi::CStr;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Pid;

#[cfg_attr(feature = "libc", path = "libc.rs")]
#[cfg_attr(not(feature = "libc"), path = "raw.rs")]
mod sys;

/// close(2): gives `fd` back to the kernel.
///
/// The descriptor is moved in, so the lines after cannot use it: what C learns at run time, as
/// `EBADF`, is E0382 at compile time. The result of the call is ignored, as in the C.
pub fn close(fd: OwnedFd) {
    drop(fd);
}

/// exit(3): ends the process with `status`, of which its parent sees the low eight bits.
///
/// C's `return` from `main` is this call. A Rust `return` would first run destructors, and so
/// make a close(2), which the C does not make, for each descriptor still owned.
pub fn exit(status: i32) -> ! {
    sys::exit(status)
}

/// fork(2): `None` in the child, the child's process number in the parent.
///
/// # Errors
/// `EAGAIN` at a limit on processes, `ENOMEM` without memory for one: see fork(2).
pub fn fork() -> Result<Option<Pid>, Errno> {
    sys::fork()
}

/// perror(3): writes `s`, a colon and a space, the words for `no`, and a newline to standard
/// error.
///
/// `no` is what the call just before has returned, so it is also what C's `errno` holds. That the
/// write may fail is ignored, as in C.
pub fn perror(s: &'static CStr, no: Errno) {
    sys::perror(s, no);
}

/// printf(3) of a literal and what the programs have to say: nothing more, a descriptor as in
/// `printf!(c"client close: %d\n", cfd)`, or a process number, a port and bytes as in
/// `printf!(c"[%d] %d: %.*s\n", pid, port, text)`.
///
/// The literal is checked against the arguments at compile time. As in C, `%.*s` ends before a
/// NUL, and that the write may fail is ignored; a slice has the length that C passes beside it.
#[macro_export]
macro_rules! printf {
    ($format:literal) => {
        const { $crate::Format::<0>::new($format) }.print()
    };
    ($format:literal, $fd:expr) => {
        const { $crate::Format::<1>::new($format) }.print(&$fd)
    };
    ($format:literal, $pid:expr, $port:expr, $text:expr) => {
        const { $crate::Format::<3>::new($format) }.print($pid, $port, $text)
    };
}

/// A format of [`printf!`] with this many arguments: none; a descriptor for `%d`; or a process number
/// for `%d`, a port for `%d` and a text for `%.*s`.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Format<const ARGUMENTS: usize>(&'static CStr);

impl<const ARGUMENTS: usize> Format<ARGUMENTS> {
    /// # Panics
    /// If `format` has other conversions: at compile time, as [`printf!`] calls it.
    pub const fn new(format: &'static CStr) -> Self {
        let conversions: &[u8] = match ARGUMENTS {
            0 => b"",
            1 => b"d",
            _ => b"dds",
        };
        assert!(
            has_conversions(format.to_bytes(), conversions),
            "a format has no conversion, or one %d, or %d, %d and %.*s in this order: as it has arguments"
        );
        Self(format)
    }
}

impl Format<0> {
    /// printf(3).
    pub fn print(self) {
        sys::printf(self);
    }
}

impl Format<1> {
    /// printf(3) with the number of `fd`.
    pub fn print(self, fd: &OwnedFd) {
        sys::printf_d(self, fd.as_raw_fd());
    }
}

impl Format<3> {
    /// printf(3) with who has received the datagram, the sender's port, and its bytes.
    pub fn print(self, pid: Pid, port: u16, text: &[u8]) {
        sys::printf_d_d_s(self, pid, port, text);
    }
}

/// Whether `format` has these conversions in this order, and no other `%`: `d` stands for `%d`, `s`
/// for `%.*s`.
const fn has_conversions(format: &[u8], conversions: &[u8]) -> bool {
    match (format, conversions) {
        ([], []) => true,
        ([b'%', b'd', rest @ ..], [b'd', conversions @ ..])
        | ([b'%', b'.', b'*', b's', rest @ ..], [b's', conversions @ ..]) => {
            has_conversions(rest, conversions)
        }
        ([], _) | ([b'%', ..], _) => false,
        ([_, rest @ ..], _) => has_conversions(rest, conversions),
    }
}

/// core's unwind tables name it; with `panic = "abort"` nothing calls it.
// SAFETY: no other object defines the symbol.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// ARM's unwind tables name these two in place of it.
#[cfg(target_arch = "arm")]
mod arm {
    // SAFETY: no other object defines the symbol.
    #[unsafe(no_mangle)]
    extern "C" fn __aeabi_unwind_cpp_pr0() {}

    // SAFETY: as above.
    #[unsafe(no_mangle)]
    extern "C" fn __aeabi_unwind_cpp_pr1() {}
}
