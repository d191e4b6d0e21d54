//! What no library offers safely: some requests of ptrace(2), seccomp(2), one option of a socket, and what this
//! process was given at its start. The only `unsafe` of `bindtable`.
#![allow(unsafe_code)]

use nix::libc;
use rustix::fd::{AsFd, AsRawFd, IntoRawFd};
use rustix::io::Errno;
use rustix::net::sockopt::socket_type;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU8, Ordering};

/// How a stopped thread goes on: a request of ptrace(2).
#[derive(Clone, Copy, Debug)]
pub enum Resume {
    /// `PTRACE_CONT`: to its next stop.
    Continue = 7,
    /// `PTRACE_SYSCALL`: to the entry or the exit of a system call, too.
    ToCall = 24,
    /// `PTRACE_LISTEN`: it stays stopped, as its group is, until SIGCONT.
    Listen = 0x4208,
}

/// Lets `thread` go on, and gives it `signal`; 0 is none. nix knows no real-time signal. It fails as ptrace(2)
/// does: ESRCH if it has been killed meanwhile.
pub fn resume(thread: i32, how: Resume, signal: i32) -> Result<(), Errno> {
    let data = signal as usize as *mut libc::c_void;
    // SAFETY: these requests touch no memory of this process: `addr` is ignored, `data` is a number.
    match unsafe { libc::ptrace(how as _, thread, null_mut::<libc::c_void>(), data) } {
        -1 => Err(last_error()),
        _ => Ok(()),
    }
}

/// `struct ptrace_syscall_info` of a stopped thread, as words. nix gives a union. It fails as
/// ptrace(2) does: ESRCH if it has been killed meanwhile, EIO before Linux 5.3.
pub fn syscall_info(thread: i32) -> Result<[u64; 11], Errno> {
    const PTRACE_GET_SYSCALL_INFO: i32 = 0x420e;
    let mut info = [0_u64; 11];
    let size = size_of_val(&info) as *mut libc::c_void;
    // SAFETY: the kernel writes `size` bytes at most, and `info` has as many.
    match unsafe { libc::ptrace(PTRACE_GET_SYSCALL_INFO as _, thread, size, info.as_mut_ptr()) } {
        -1 => Err(last_error()),
        _ => Ok(info),
    }
}

/// Installs a filter for this thread and all that it starts. Unlike a library's, it does not set
/// no_new_privs, so that root's setuid programs stay what they are. Nor does it make the processor
/// slower for them: before Linux 5.16 a filter turned speculation off (PR_SPEC_STORE_BYPASS). It
/// fails as seccomp(2) does: EACCES without CAP_SYS_ADMIN and no_new_privs; EINVAL on a kernel
/// without filters.
pub fn install(filter: &[libc::sock_filter]) -> Result<(), Errno> {
    let len = u16::try_from(filter.len()).map_err(|_| Errno::INVAL)?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW);
    // SAFETY: the kernel copies the `len` instructions that `program` points to.
    match unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// IP_LOCAL_PORT_RANGE of a socket, its first and last port, if one of them is set: ip(7), Linux 6.3. nix and
/// rustix do not have it.
pub fn port_range(socket: &impl AsFd) -> Option<[u16; 2]> {
    const IP_LOCAL_PORT_RANGE: i32 = 51;
    let (mut range, mut length) = (0_u32, size_of::<u32>() as libc::socklen_t);
    let (level, fd) = (libc::IPPROTO_IP, socket.as_fd().as_raw_fd());
    let (to, size) = ((&raw mut range).cast(), &raw mut length);
    // SAFETY: the kernel writes `length` bytes at most, and `range` has as many.
    let done = unsafe { libc::getsockopt(fd, level, IP_LOCAL_PORT_RANGE, to, size) };
    (done == 0 && range != 0).then_some([range as u16, (range >> 16) as u16])
}

/// The network namespace of a socket: SIOCGSKNS of `include/uapi/linux/sockios.h`. It fails as ioctl(2) does: EPERM
/// without CAP_NET_ADMIN there; and with ENOTSOCK for what is none.
pub fn network_of(socket: &impl AsFd) -> Result<OwnedFd, Errno> {
    const SIOCGSKNS: u32 = 0x894c;
    socket_type(socket)?;
    // SAFETY: it is a socket, so the request is this one, which takes no argument.
    match unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), SIOCGSKNS as _, 0) } {
        -1 => Err(last_error()),
        // SAFETY: the kernel has made this descriptor for the call, so nobody else owns it.
        made => Ok(unsafe { OwnedFd::from_raw_fd(made) }),
    }
}

/// Lets SIGCHLD tell of traced threads, which it does not where it is ignored: wait(2).
pub fn hear_children() {
    // SAFETY: no handler is set, and none is replaced that this program has.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// The errno of the C library's last call.
fn last_error() -> Errno {
    Errno::from_raw_os_error(nix::Error::last_raw())
}

/// The same descriptor under std's type. rustix has one of its own where it does without std.
pub fn into_std(descriptor: rustix::fd::OwnedFd) -> OwnedFd {
    // SAFETY: the descriptor is open, and nobody else owns it: `into_raw_fd` gives it away.
    unsafe { OwnedFd::from_raw_fd(descriptor.into_raw_fd()) }
}

/// What Rust's runtime changes before `main`: bit 0, 1 and 2 for a standard stream that was closed,
/// bit 3 if SIGPIPE was ignored.
static AT_START: AtomicU8 = AtomicU8::new(0);

/// Whether the standard stream `descriptor` was closed when this process was started.
pub fn was_closed(descriptor: u8) -> bool {
    AT_START.load(Ordering::Relaxed) & (1 << descriptor) != 0
}

/// Whether SIGPIPE was ignored when this process was started.
pub fn was_sigpipe_ignored() -> bool {
    AT_START.load(Ordering::Relaxed) & 8 != 0
}

// SAFETY: the C library calls each function of this section once, before `main`. The arguments that it gives stay in
// registers by the calling conventions of all three machines, so a function may take none; and this one calls nothing
// that needs Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_AT_START: extern "C" fn() = look_at_start;

extern "C" fn look_at_start() {
    let mut found = 0;
    // SAFETY: both calls only ask, and `action`, which may be all zeros, has room for the answer.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGPIPE, null_mut(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
        {
            found |= 8;
        }
        for descriptor in 0..3 {
            if libc::fcntl(descriptor, libc::F_GETFD) == -1 {
                found |= 1 << descriptor;
            }
        }
    }
    AT_START.store(found, Ordering::Relaxed);
}
