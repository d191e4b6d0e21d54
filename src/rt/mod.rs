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

/// printf(3) of a literal and what the programs have to say: nothing more, a descriptor as in
/// `printf!(c"client close: %d\n", cfd)`, or a process number, a port and bytes as in
/// `printf!(c"[%d] %d: %.*s\n", pid, port, text)`.
///
/// The literal is checked against the arguments at compile time. As in C, `%.*s` ends before a
/// NUL, and that the write may fail is ignored; a slice has the length that C passes beside it.
#[macro_export]
macro_rules! printf {
    ($format:literal) => {
        const { $crate::Format::new($format, "") }.print(&[])
    };
    ($format:literal, $fd:expr) => {
        const { $crate::Format::new($format, "%d") }.print(&[&$fd])
    };
    ($format:literal, $pid:expr, $port:expr, $text:expr) => {
        const { $crate::Format::new($format, "%d%d%.*s") }.print_received($pid, $port, $text)
    };
}

/// The first argument of [`printf!`], whose conversions are those of its other arguments.
#[doc(hidden)]
pub struct Format(&'static CStr);

impl Format {
    /// # Panics
    /// At compile time, where the conversions of `format`, one after the other, are not
    /// `conversions`.
    pub const fn new(format: &'static CStr, conversions: &str) -> Self {
        let (bytes, conversions) = (format.to_bytes(), conversions.as_bytes());
        let (mut i, mut done) = (0, 0);
        while i < bytes.len() {
            let mut is_conversion = bytes[i] == b'%';
            while is_conversion {
                assert!(done < conversions.len(), "fewer arguments than conversions");
                assert!(bytes[i] == conversions[done], "another conversion than the argument's");
                i += 1;
                done += 1;
                is_conversion = done < conversions.len() && conversions[done] != b'%';
            }
            i += 1;
        }
        assert!(done == conversions.len(), "more arguments than conversions");
        Self(format)
    }

    /// printf(3) with what `new` was promised: at most one descriptor.
    pub fn print(&self, fd: &[&OwnedFd]) {
        sys::printf(self.0, fd.first().map_or(0, |fd| fd.as_fd().as_raw_fd()), None);
    }

    /// The same: where a datagram has come to, from and what it says.
    pub fn print_received(&self, pid: Pid, port: u16, text: &[u8]) {
        sys::printf(self.0, pid.as_raw_nonzero().get(), Some((port.into(), text)));
    }
}

/// core's unwind tables name it; with `panic = "abort"` nothing calls it.
// SAFETY: no other object defines the symbol.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
