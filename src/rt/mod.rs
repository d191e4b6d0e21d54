//! The little that stands in for the C runtime: entry, `printf`, `perror`, `fork`, `exit`.
//!
//! The programs see this module and do not know which runtime is behind it: `raw.rs`, on bare
//! system calls, or with `--features libc` `libc.rs`, on the system's C library.

#![cfg(not(test))] // `cargo test NAME` builds the library as a test, which has std's panic handler
#![no_std]

use core::ffi::CStr;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
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

/// printf(3) of a literal and at most one descriptor: `printf!(c"client close: %d\n", cfd)`.
///
/// The literal is checked against the arguments at compile time. That the write may fail is
/// ignored, as in the C.
#[macro_export]
macro_rules! printf {
    ($format:literal) => {
        const { $crate::Format::new($format, 0) }.print(&[])
    };
    ($format:literal, $fd:expr) => {
        const { $crate::Format::new($format, 1) }.print(&[&$fd])
    };
}

/// The first argument of [`printf!`]: at most one `%`, and it is `%d`.
#[doc(hidden)]
pub struct Format(&'static CStr);

impl Format {
    /// # Panics
    /// At compile time, where `format` asks for anything but `arguments` descriptors, 0 or 1.
    pub const fn new(format: &'static CStr, arguments: usize) -> Self {
        let bytes = format.to_bytes();
        let mut conversions = 0;
        let mut i = 0;
        while i < bytes.len() {
            if bytes[i] == b'%' {
                conversions += 1;
                assert!(bytes[i + 1] == b'd', "%d is the one conversion there is");
            }
            i += 1;
        }
        assert!(conversions == arguments && arguments <= 1, "one %d for each argument");
        Self(format)
    }

    /// printf(3) with what `new` was promised.
    pub fn print(&self, fd: &[&OwnedFd]) {
        sys::printf(self.0, fd.first().map_or(0, |fd| fd.as_fd().as_raw_fd()));
    }
}

/// core's unwind tables name it; with `panic = "abort"` nothing calls it.
// SAFETY: no other object defines the symbol.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
