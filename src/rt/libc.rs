//! The runtime on the system's C library: any machine that has one and that rustix serves.

use crate::Format;
use core::ffi::{CStr, c_int};
use core::panic::PanicInfo;
use rustix::io::Errno;
use rustix::process::Pid;

/// Makes `main`, a `fn() -> !`, the C library's `main`.
#[macro_export]
macro_rules! start {
    ($main:ident) => {
        mod start {
            /// What crt1.o's `_start` calls, once the C library has set itself up.
            // SAFETY: no other object defines the symbol; C lets `main` ignore its arguments.
            #[unsafe(no_mangle)]
            extern "C" fn main() -> core::ffi::c_int {
                super::$main()
            }
        }
    };
}

// SAFETY: it declares nothing.
#[link(name = "c")]
unsafe extern "C" {} // the libc crate leaves the linking to std where any crate of a build asks it to

/// exit(3).
pub fn exit(status: i32) -> ! {
    // SAFETY: safe code without std can neither start a thread nor register with atexit(3).
    unsafe { libc::exit(status) }
}

/// fork(3).
pub fn fork() -> Result<Option<Pid>, Errno> {
    // SAFETY: safe code without std cannot start a thread, so the child is a whole copy of the
    // process.
    match unsafe { libc::fork() } {
        -1 => Err(Errno::from_raw_os_error(errno::errno().0)),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// printf(3).
pub fn printf(format: Format<0>) {
    // SAFETY: the format ends in a NUL and asks for nothing, as `Format` has checked.
    unsafe { libc::printf(format.0.as_ptr()) };
}

/// printf(3) with one `%d`.
pub fn printf_d(format: Format<1>, d: c_int) {
    // SAFETY: the format ends in a NUL and asks for one number, as `Format` has checked.
    unsafe { libc::printf(format.0.as_ptr(), d) };
}

/// printf(3) with `%d`, `%d` and `%.*s`.
pub fn printf_d_d_s(format: Format<3>, pid: Pid, port: u16, s: &[u8]) {
    let len = c_int::try_from(s.len()).unwrap_or(c_int::MAX);
    let (pid, port) = (pid.as_raw_nonzero().get(), c_int::from(port));
    // SAFETY: the format ends in a NUL and asks for two numbers, and for no more bytes than `len`
    // at an address that has them, as `Format` has checked.
    unsafe { libc::printf(format.0.as_ptr(), pid, port, len, s.as_ptr()) };
}

/// perror(3), which looks at `errno`.
pub fn perror(s: &CStr, no: Errno) {
    errno::set_errno(errno::Errno(no.raw_os_error()));
    // SAFETY: the text ends in a NUL.
    unsafe { libc::perror(s.as_ptr()) };
}

/// Writes the place to standard error, then abort(3).
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    if let Some(location) = info.location() {
        let (file, line) = (location.file(), location.line());
        let mut message = [0; 128];
        // SAFETY: `%.*s` takes a length and that many bytes, `%u` the line; snprintf(3) ends what
        // it writes, no more than `message` holds, in a NUL, which strlen(3) finds.
        unsafe {
            let format = c"panicked at %.*s:%u\n".as_ptr();
            let start = message.as_mut_ptr();
            libc::snprintf(start, message.len(), format, file.len() as c_int, file.as_ptr(), line);
            libc::write(libc::STDERR_FILENO, start.cast(), libc::strlen(start));
        }
    }
    // SAFETY: it may be called at any time.
    unsafe { libc::abort() }
}
