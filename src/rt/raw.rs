//! The runtime without a C library: Linux on the machines of which `raw/` has a file; no state.

use crate::Format;
use core::ffi::CStr;
use core::panic::PanicInfo;
use linux_raw_sys::general::__NR_exit_group;
use rustix::fd::{BorrowedFd, RawFd};
use rustix::io::{Errno, write};
use rustix::process::{Pid, Signal, getpid, kill_process};
use rustix::stdio::{raw_stderr, raw_stdout};

#[cfg_attr(target_arch = "x86_64", path = "raw/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "raw/aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "raw/riscv64.rs")]
mod machine;
#[cfg(not(target_arch = "x86_64"))] // it has an instruction for each of the two
#[path = "raw/memory.rs"]
mod memory;

/// Makes `main`, a `fn() -> !`, the program's entry: where the kernel jumps to after execve(2).
#[macro_export]
macro_rules! start {
    ($main:ident) => {
        mod start {
            /// Calls `main` on the stack that execve(2) has left. The linker is given the name:
            /// `_start` is in the start files that rustc links for some targets all the same.
            // SAFETY: no other object defines the symbol, and no other code can name the function.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            extern "C" fn rt_start() -> ! {
                extern "C" fn main() -> ! {
                    super::$main()
                }
                core::arch::naked_asm!($crate::call!(), sym main)
            }
        }
    };
}

/// exit_group(2), the call under exit(3).
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: the call takes a number.
        unsafe { machine::syscall(__NR_exit_group, status.cast_unsigned()) };
    }
}

/// fork(2), or clone(2) as fork(2).
pub fn fork() -> Result<Option<Pid>, Errno> {
    let (number, argument) = machine::FORK;
    // SAFETY: safe code without std cannot start a thread, so the child is a whole copy of the
    // process.
    match unsafe { machine::syscall(number, argument) } {
        result @ 0.. => Ok(Pid::from_raw(result)),
        error => Err(Errno::from_raw_os_error(-error)),
    }
}

/// printf(3), in one write(2).
pub fn printf(format: Format<0>) {
    write_all(raw_stdout(), format.0.to_bytes());
}

/// printf(3) with one `%d`, in one write(2). A descriptor is never negative.
pub fn printf_d(format: Format<1>, d: RawFd) {
    dprintf_d(raw_stdout(), format.0, d.cast_unsigned());
}

/// dprintf(3) with one `%d`, of a number that is not negative, in one write(2).
fn dprintf_d(fd: RawFd, format: &CStr, d: u32) {
    let mut message = Message::new();
    let end = message.text_before("%d", format.to_bytes());
    message.number(d);
    message.text(end);
    message.write(fd);
}

/// printf(3) with `%d`, `%d` and `%.*s`, in one write(2).
pub fn printf_d_d_s(format: Format<3>, pid: Pid, port: u16, s: &[u8]) {
    let mut message = Message::new();
    let rest = message.text_before("%d", format.0.to_bytes());
    message.number(pid.as_raw_nonzero().get().cast_unsigned());
    let rest = message.text_before("%d", rest);
    message.number(port.into());
    let end = message.text_before("%.*s", rest);
    message.text(s.split(|&byte| byte == 0).next().unwrap_or_default());
    message.text(end);
    message.write(raw_stdout());
}

/// perror(3), in one write(2).
pub fn perror(s: &CStr, no: Errno) {
    let no = no.raw_os_error().cast_unsigned();
    let mut message = Message::new();
    message.text(s.to_bytes());
    message.text(b": ");
    match strerror(no as usize) {
        Some(words) => message.text(words),
        None => {
            message.text(b"Unknown error ");
            message.number(no);
        }
    }
    message.text(b"\n");
    message.write(raw_stderr());
}

/// strerror(3) of a number that has words of its own: line `no` of strerror.txt.
fn strerror(no: usize) -> Option<&'static [u8]> {
    const LINES: &[u8] = include_bytes!("strerror.txt");
    const LAST: usize = 133;
    /// The lines without their newlines, and where each ends. To search the lines would take
    /// more instructions than all that a program executes before.
    static WORDS: ([u8; LINES.len() - LAST], [u16; LAST + 1]) = {
        let (mut words, mut ends) = ([0; LINES.len() - LAST], [0; LAST + 1]);
        let (mut at, mut len, mut line) = (0, 0, 0);
        while at < LINES.len() {
            if LINES[at] == b'\n' {
                line += 1;
                ends[line] = len as u16;
            } else {
                words[len] = LINES[at];
                len += 1;
            }
            at += 1;
        }
        (words, ends)
    };

    let (words, ends) = &WORDS;
    let (start, end) = (*ends.get(no.wrapping_sub(1))?, *ends.get(no)?);
    words.get(start.into()..end.into()).filter(|words| !words.is_empty())
}

/// The room of a message. A datagram's is the longest, with its 100 bytes; an error's has up to 50
/// bytes of strerror(3). A process number is below `PID_MAX_LIMIT` (`include/linux/threads.h`).
const ROOM: usize = 120;
const _: () = assert!("[4194304] 65535: \n".len() + 100 <= ROOM);

/// The bytes of one write(2). Text beyond its room is left out, and no message is that long.
struct Message {
    bytes: [u8; ROOM],
    len: usize,
}

impl Message {
    fn new() -> Self {
        Self { bytes: [0; ROOM], len: 0 }
    }

    #[inline(never)] // for size, as `write` and `write_all`: inlined, each is there several times
    fn text(&mut self, text: &[u8]) {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        self.len += text.len().min(room.len());
        for (place, &byte) in room.iter_mut().zip(text) {
            *place = byte;
        }
    }

    /// Adds the text before the first conversion of `format`; returns what stands behind that one.
    fn text_before<'a>(&mut self, conversion: &str, format: &'a [u8]) -> &'a [u8] {
        let at = format.iter().position(|&byte| byte == b'%').unwrap_or(format.len());
        self.text(format.get(..at).unwrap_or_default());
        format.get(at + conversion.len()..).unwrap_or_default()
    }

    fn number(&mut self, number: u32) {
        let (tens, digit) = (number / 10, number % 10);
        if tens > 0 {
            self.number(tens);
        }
        self.text(&[b'0' + digit as u8]);
    }

    #[inline(never)]
    fn write(&self, fd: RawFd) {
        write_all(fd, self.bytes.get(..self.len).unwrap_or_default());
    }
}

/// write(2) as stdio calls it: again after a short write, and not after an error.
#[inline(never)]
fn write_all(fd: RawFd, mut bytes: &[u8]) {
    // SAFETY: only write(2) gets the number. If it is closed, write(2) says EBADF; if another file
    // has it, that file is this process's standard stream, as in C.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(_) => break,
        }
    }
}

/// Writes the place to standard error, then abort(3).
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    if let Some(location) = info.location() {
        write_all(raw_stderr(), b"panicked at ");
        write_all(raw_stderr(), location.file().as_bytes()); // of any length
        dprintf_d(raw_stderr(), c":%d\n", location.line());
    }
    let _ = kill_process(getpid(), Signal::ABORT);
    exit(128 + Signal::ABORT.as_raw()) // if SIGABRT is blocked: the shell's number for it
}
