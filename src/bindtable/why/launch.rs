//! How the command is started: in this process's own place, with the tracer beside it.
//!
//! ```text
//! bindtable why ──starts──▶ a middle process ──starts──▶ the tracer
//!      │                    ends at once                   setsid; ptrace(SEIZE)
//!      └─installs the filter, execs the command
//! ```
//!
//! So the command has the pid, the parent, the process group and the terminal that it would have had,
//! and no child that it does not know (`strace -D` does the same).

use super::socket::copy;
use super::{Format, filter, print, raw, words};
use crate::language::Language;
use crate::port::holders::numbers;
use crate::sockets::errno_of;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::SigSet;
use nix::unistd::{self, execvp};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{PTracer, Pid, getpid, set_child_subreaper, set_ptracer, setsid};
use rustix::stdio;
use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Why the command was not started: the exit status, and one line.
pub struct Trouble {
    pub status: u8,
    pub line: String,
}

impl From<String> for Trouble {
    /// A wrong argument.
    fn from(line: String) -> Self {
        Self { status: 2, line }
    }
}

/// As env(1) and nohup(1) have it.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
const NO_TRACE: u8 = 125;

/// The command cannot be traced.
pub fn no_trace(line: String) -> Trouble {
    Trouble { status: NO_TRACE, line }
}

/// Starts the tracer, then becomes the command. `output`: where the explanations go, if not to
/// standard error. It fails if the command cannot be traced, or cannot be started.
pub fn start(
    command: &[OsString],
    format: Format,
    output: Option<OwnedFd>,
) -> Result<Infallible, Trouble> {
    let failed = |what: &str, error: &dyn std::fmt::Display| no_trace(words::failed(what, error));
    let (mut channel, theirs) = UnixStream::pair().map_err(|error| failed("socketpair", &error))?;
    let output = match output {
        Some(output) => output,
        None => {
            std::io::stderr().as_fd().try_clone_to_owned().map_err(|error| failed("dup", &error))?
        }
    };
    if getpid().as_raw_nonzero().get() == 1 {
        let mut output = File::from(output.try_clone().map_err(|error| failed("dup", &error))?);
        let note = print::note(format, "process-1", 1, &words::first_process());
        let _ = output.write_all(note.as_bytes());
    }
    // A process that adopts orphans would have the tracer as its child.
    let adopts = nix::sys::prctl::get_child_subreaper().unwrap_or(false);
    if adopts {
        let _ = set_child_subreaper(None);
    }
    let own = getpid().to_string();
    let mut start_middle = of_this_program(format, &["--middle", "--trace", &own])?;
    let middle = start_middle.stdin(OwnedFd::from(theirs)).stdout(output).stderr(Stdio::null());
    let mut middle = middle.spawn().map_err(|error| failed("fork", &error))?;
    // Where SIGCHLD is ignored, it is not there any more when it has ended: ECHILD.
    let _ = middle.wait();
    if adopts {
        let _ = set_child_subreaper(Some(getpid()));
    }
    drop(start_middle); // with the tracer's end of the channel: if the tracer ends, this side has to see it
    let can_copy = agree(&mut channel)?;
    drop(channel);

    let program = filter::program(!can_copy);
    let installed = match raw::install(&program) {
        Err(Errno::ACCESS) => {
            nix::sys::prctl::set_no_new_privs()
                .map_err(|error| failed("PR_SET_NO_NEW_PRIVS", &error))?;
            raw::install(&program)
        }
        installed => installed,
    };
    installed.map_err(|errno| no_trace(words::no_filter(errno)))?;
    Err(exec(command))
}

/// The other side of [`attach`]: gives the tracer leave, and hears how it went. Whether
/// descriptors can be copied.
fn agree(channel: &mut UnixStream) -> Result<bool, Trouble> {
    let ended = |_| no_trace(words::no_tracer());
    let mut tracer = [0; 4];
    channel.read_exact(&mut tracer).map_err(ended)?;
    // Yama lets a process trace its descendants, and whoever it is allowed to by this. Without Yama
    // it is an error, and not needed.
    if let Some(tracer) = Pid::from_raw(i32::from_ne_bytes(tracer)) {
        let _ = set_ptracer(PTracer::ProcessID(tracer));
    }
    let mut answer = [0; 5];
    channel.write_all(&[0]).and_then(|()| channel.read_exact(&mut answer)).map_err(ended)?;
    let [a, b, c, d, can_copy] = answer;
    match i32::from_ne_bytes([a, b, c, d]) {
        0 => Ok(can_copy != 0),
        errno => {
            let errno = Errno::from_raw_os_error(errno);
            Err(no_trace(words::no_trace(getpid().as_raw_nonzero().get(), errno)))
        }
    }
}

/// The middle process: starts the tracer, which loses its parent with the end of this one. It fails
/// as fork(2) and execve(2) do.
pub fn be_the_middle(traced: i32, format: Format) -> Result<(), Trouble> {
    let mut tracer = of_this_program(format, &["--trace", &traced.to_string()])?;
    tracer.spawn().map_err(|error| no_trace(words::failed("fork", &error)))?;
    Ok(())
}

/// `bindtable why` again, in another part. It fails if `/proc/self/exe` cannot be read.
pub fn of_this_program(format: Format, arguments: &[&str]) -> Result<Command, Trouble> {
    let program = std::env::current_exe()
        .map_err(|error| no_trace(words::failed("/proc/self/exe", &error)))?;
    let mut command = Command::new(program);
    command.args(Language::option().iter().flatten()).args(["why", "--format", format.name()]);
    command.args(arguments);
    Ok(command)
}

/// The tracer's first deed: out of the command's way, then ptrace. Its standard input is the channel
/// to the process that becomes the command, its standard output takes the explanations. It fails as
/// ptrace(2) does, and so the other side has heard.
pub fn attach(traced: i32) -> Result<(), Errno> {
    // No signal of a terminal or of a supervisor ends it: it stays until the last traced process ends,
    // for without a tracer the hooked calls fail.
    let _ = SigSet::all().thread_block();
    let _ = setsid();
    let _ = std::env::set_current_dir("/");
    let _ = nix::sys::prctl::set_name(c"bindtable-why");
    close_inherited();
    let mut channel =
        UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().map_err(errno_of)?);
    channel.write_all(&getpid().as_raw_nonzero().get().to_ne_bytes()).map_err(errno_of)?;
    channel.read_exact(&mut [0]).map_err(errno_of)?;
    let done = ptrace::seize(unistd::Pid::from_raw(traced), options());
    let errno = done.err().map_or(0, |errno| errno as i32);
    let can_copy = can_copy(traced);
    let [a, b, c, d] = errno.to_ne_bytes();
    channel.write_all(&[a, b, c, d, can_copy.into()]).map_err(errno_of)?;
    // Standard input is the same socket: the other side has to see an end of it.
    stdio::dup2_stdin(&rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty())?)?;
    done.map_err(|errno| Errno::from_raw_os_error(errno as i32))
}

/// What a tracer of `bindtable why` asks the kernel for.
pub fn options() -> Options {
    Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACESECCOMP
}

/// Whether a descriptor of the process can be copied: pidfd_getfd(2), which Docker's default profile
/// refuses.
fn can_copy(process: i32) -> bool {
    copy(process, i32::MAX).err() == Some(Errno::BADF) // it was allowed to look
}

/// Closes what the command has been given beside its standard streams: locks and pipes whose end
/// somebody waits for.
fn close_inherited() {
    let all = numbers("/proc/self/fd").into_iter().flatten().filter(|number| *number > 2);
    // Collected first: reading the folder takes a descriptor, too, which is closed by now.
    for number in all.collect::<Vec<_>>() {
        let _ = unistd::close(number);
    }
}

/// Becomes the command, as a shell would have started it.
fn exec(command: &[OsString]) -> Trouble {
    // Rust's runtime has opened /dev/null where a standard stream was closed.
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for (number, stream) in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()].iter().enumerate() {
        if raw::was_closed(number as u8) {
            let _ = fcntl(stream, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
        }
    }
    let errno = if raw::was_sigpipe_ignored() {
        // It still is; std would set it to its default.
        let strings: Result<Vec<CString>, _> =
            command.iter().map(|word| CString::new(word.as_bytes())).collect();
        match strings {
            Ok(words) => match execvp(&words[0], &words) {
                Ok(never) => match never {},
                Err(errno) => Errno::from_raw_os_error(errno as i32),
            },
            Err(_) => Errno::INVAL,
        }
    } else {
        errno_of(Command::new(&command[0]).args(&command[1..]).exec())
    };
    let status = if errno == Errno::NOENT { NOT_FOUND } else { NOT_EXECUTABLE };
    Trouble { status, line: words::no_command(&command[0].to_string_lossy(), errno) }
}
