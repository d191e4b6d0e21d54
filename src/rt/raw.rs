//! The runtime without a C library: x86-64 Linux, seven functions, no state.
//!
//! Calling convention, numbers and signal behaviour: syscall(2), and the kernel's
//! `arch/x86/entry/syscalls/syscall_64.tbl`.

use core::arch::asm;
use core::ffi::CStr;
use core::panic::PanicInfo;
use linux_raw_sys::general::{__NR_exit_group, __NR_fork};
use rustix::fd::{BorrowedFd, RawFd};
use rustix::io::{Errno, write};
use rustix::process::{Pid, Signal, getpid, kill_process};
use rustix::stdio::{raw_stderr, raw_stdout};

/// Makes `main`, a `fn() -> !`, the program's entry: where the kernel jumps to after execve(2).
#[macro_export]
macro_rules! start {
    ($main:ident) => {
        /// `_start` of crt1.o: the stack is aligned as a caller leaves it, and `main` is called.
        // SAFETY: no other object defines the symbol; execve(2) leaves rsp a multiple of 16.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            extern "C" fn start() -> ! {
                $main()
            }
            core::arch::naked_asm!("call {}", sym start)
        }
    };
}

/// exit_group(2), the call under exit(3).
pub fn exit(status: i32) -> ! {
    // SAFETY: the call takes a number and does not return.
    unsafe {
        asm!(
            "syscall",
            in("eax") __NR_exit_group,
            in("edi") status,
            options(noreturn, nomem, nostack),
        )
    }
}

/// fork(2).
pub fn fork() -> Result<Option<Pid>, Errno> {
    let result: i32;
    // SAFETY: the process has one thread, so the child is a whole copy of it, and what either
    // does with its memory the other does not see.
    unsafe {
        asm!(
            "syscall",
            inlateout("eax") __NR_fork => result,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    match result {
        0.. => Ok(Pid::from_raw(result)),
        _ => Err(Errno::from_raw_os_error(-result)),
    }
}

/// printf(3) of a format with at most one `%d`, or with one, a second one and a `%.*s`, in one
/// write(2).
pub fn printf(format: &CStr, d: i32, rest: Option<(i32, &[u8])>) {
    let mut message = Message::new();
    let mut texts = format.to_bytes().split(|&byte| byte == b'%');
    message.text(texts.next().unwrap_or_default());
    if let Some([_d, text @ ..]) = texts.next() {
        message.number(d.unsigned_abs());
        message.text(text);
    }
    if let Some((d, s)) = rest
        && let Some([_d, between @ ..]) = texts.next()
        && let Some([_point, _star, _s, end @ ..]) = texts.next()
    {
        message.number(d.unsigned_abs());
        message.text(between);
        message.text(s.split(|&byte| byte == 0).next().unwrap_or_default());
        message.text(end);
    }
    message.write(raw_stdout());
}

/// perror(3), in one write(2).
pub fn perror(s: &CStr, no: Errno) {
    /// The build machine's strerror(3), see build.rs: the texts one after the other, empty where
    /// a number has none; at 0 the text for these, which the number follows.
    static STRERROR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/strerror"));
    /// Where each text begins, and so where the one before has ended.
    static STARTS: &[u16] = &include!(concat!(env!("OUT_DIR"), "/strerror_starts"));

    let strerror = |no: usize| -> Option<&[u8]> {
        let (start, end) = (*STARTS.get(no)?, *STARTS.get(no + 1)?);
        STRERROR.get(start.into()..end.into())
    };
    let no = no.raw_os_error().unsigned_abs();
    let text = strerror(no as usize).unwrap_or_default();

    let mut message = Message::new();
    message.text(s.to_bytes());
    message.text(b": ");
    if text.is_empty() {
        message.text(strerror(0).unwrap_or_default());
        message.number(no);
    } else {
        message.text(text);
    }
    message.text(b"\n");
    message.write(raw_stderr());
}

/// What is written at once. Text beyond its room is left out: no message of the programs with any
/// text of strerror(3) comes near it, and a datagram's has 100 bytes of its own and 18 more.
struct Message {
    bytes: [u8; 128],
    len: usize,
}

impl Message {
    fn new() -> Self {
        Self { bytes: [0; 128], len: 0 }
    }

    #[inline(never)] // for size: otherwise it stands in the program seven times
    fn text(&mut self, text: &[u8]) {
        for (place, &byte) in self.bytes.iter_mut().skip(self.len).zip(text) {
            *place = byte;
            self.len += 1;
        }
    }

    fn number(&mut self, number: u32) {
        if number > 9 {
            self.number(number / 10);
        }
        self.text(&[b'0' + (number % 10) as u8]);
    }

    fn write(&self, fd: RawFd) {
        write_all(fd, self.bytes.get(..self.len).unwrap_or_default());
    }
}

/// As stdio does: what a short write(2) leaves is written next, and after an error the rest is lost.
fn write_all(fd: RawFd, mut bytes: &[u8]) {
    // SAFETY: the number is used for write(2) alone; where it is closed, that says EBADF, and
    // where another file has it, that file is this process's standard stream, as in C.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(_) => break,
        }
    }
}

/// Says where on standard error, then SIGABRT, as abort(3).
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    if let Some(location) = info.location() {
        let mut line = Message::new();
        line.text(b":");
        line.number(location.line());
        line.text(b"\n");
        write_all(raw_stderr(), b"panicked at ");
        write_all(raw_stderr(), location.file().as_bytes()); // of any length
        line.write(raw_stderr());
    }
    let _ = kill_process(getpid(), Signal::ABORT);
    exit(128 + Signal::ABORT.as_raw()) // where SIGABRT was blocked: as the shell would count it
}

/// memcpy(3): the compiler calls it for a copy.
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
