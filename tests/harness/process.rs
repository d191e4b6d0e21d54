//! Processes that end with the trial, and what they say on their standard streams.

use super::{Need, need, wait_at_most, wait_showing};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::termios::{OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgid};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How a command has ended, and what it has printed.
pub struct Output {
    /// Its exit status or signal.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// The longest that `run` waits: in a fresh system, one command builds and runs all ordinary trials.
const RUN_LIMIT: Duration = Duration::from_secs(3600);

/// Runs `command` to its end, with nothing on its standard input. What it has started ends with it.
pub fn run(command: &mut Command) -> Output {
    run_at_most(RUN_LIMIT, command)
}

/// As `run`, and panics if it takes longer.
pub fn run_at_most(limit: Duration, command: &mut Command) -> Output {
    let mut process = Process::start(command);
    let what = format!("the end of {command:?}");
    let (stdout, stderr) = (process.stdout.clone(), process.stderr.clone());
    let screen = || stdout.text() + &stderr.text();
    let status = wait_at_most(limit, &what, screen, || process.ended());
    Output { status, stdout: process.stdout.to_end(), stderr: process.stderr.to_end() }
}

/// What processes have written to a pipe or terminal so far, and whether all have closed it.
#[derive(Clone, Default)]
pub struct Stream(Arc<Mutex<(Vec<u8>, bool)>>);

impl Stream {
    /// Reads `source` to its end, from now on.
    pub fn of(mut source: impl Read + Send + 'static) -> Self {
        let stream = Self::default();
        let state = stream.0.clone();
        thread::spawn(move || {
            let mut buffer = [0; 65_536];
            let mut is_closed = false;
            loop {
                match source.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        state.lock().expect("no panic holds it").0.extend(&buffer[..count]);
                    }
                    // A terminal whose other end is closed says EIO, and that is its end of file.
                    // Where it was closed during the read, its last text may still be on its way
                    // (n_tty_read looks at TTY_OTHER_CLOSED after it has waited for the text):
                    // the next read waits for it.
                    Err(_) if is_closed => break,
                    Err(_) => is_closed = true,
                }
            }
            state.lock().expect("no panic holds it").1 = true;
        });
        stream
    }

    /// What has been written so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic holds it").0).into_owned()
    }

    /// Waits until the text is there.
    pub fn wait_for(&self, text: &str) {
        let what = format!("{text:?} on a stream");
        wait_showing(&what, || self.text(), || self.text().contains(text).then_some(()));
    }

    /// Waits until every process has closed its end, and gives all that was said.
    pub fn to_end(&self) -> String {
        let is_closed = || self.0.lock().expect("no panic holds it").1.then_some(());
        wait_showing("the end of a stream", || self.text(), is_closed);
        self.text()
    }
}

/// Processes start one after another: until the end of its exec, a new one holds a copy of each socket of this
/// process, also of what another trial has just closed and now asks about.
static STARTS: Mutex<()> = Mutex::new(());

/// Starts `command`, and waits for the end of its exec. The standard library waits less: its child, a vfork's, lets
/// its parent go on in the midst of exec (`exec_mmap`), before the descriptors are closed (`do_close_on_exec`).
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let _alone = STARTS.lock();
    let (mut end, copied) = io::pipe()?;
    let child = command.spawn();
    drop(copied);
    end.read_to_end(&mut Vec::new())?;
    child
}

/// Gives this thread a descriptor table of its own. It is a copy: of no process that is being started, whose start
/// would wait until this thread has ended.
pub fn own_descriptors() {
    let _alone = STARTS.lock();
    unshare(CloneFlags::CLONE_FILES).expect("it needs no privilege");
}

/// A process with its descendants, which end when this is dropped.
pub struct Process {
    child: Child,
    /// Standard output, if it is a pipe or a terminal.
    pub stdout: Stream,
    /// Standard error, if it is a pipe.
    pub stderr: Stream,
}

impl Process {
    /// Starts `command` in a process group of its own, its standard output and error into pipes.
    pub fn start(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::start_as_is(command)
    }

    /// Starts `command` with its standard output and error on a terminal; both come as `stdout`.
    pub fn start_on_terminal(command: &mut Command) -> Self {
        let terminal = Terminal::new();
        command.stdout(terminal.end()).stderr(terminal.end());
        let mut process = Self::start_as_is(command);
        process.stdout = terminal.output;
        process
    }

    /// Starts `command` with its three standard streams on `terminal`, to be typed at; what is written to it comes
    /// as `stdout` too.
    pub fn start_at_terminal(command: &mut Command, terminal: &Terminal) -> Self {
        command.stdout(terminal.end()).stderr(terminal.end());
        let mut process = Self::start_with_stdin(command, terminal.end());
        process.stdout = terminal.output.clone();
        process
    }

    /// Starts `command` with the standard output and error that it has been given.
    pub fn start_as_is(command: &mut Command) -> Self {
        Self::start_with_stdin(command, Stdio::null())
    }

    /// Starts `command` with `stdin` as its standard input.
    pub fn start_with_stdin(command: &mut Command, stdin: Stdio) -> Self {
        if command.get_args().chain([command.get_program()]).any(|word| word == "strace") {
            need(Need::Tracing);
        }
        let command = command.stdin(stdin).process_group(0);
        let mut child = spawn(command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            stdout: child.stdout.take().map(Stream::of).unwrap_or_default(),
            stderr: child.stderr.take().map(Stream::of).unwrap_or_default(),
            child,
        }
    }

    /// Writes to its standard input, a pipe, and closes it.
    pub fn tell(&mut self, text: &[u8]) {
        let mut stdin = self.child.stdin.take().expect("it is a pipe that is open");
        stdin.write_all(text).expect("its other side is open");
    }

    /// The status of a descendant whose parent has ended, as `wait` returns it; none while it runs.
    pub fn descendant_ended(&self, pid: Pid) -> Option<i32> {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)).expect("it has become ours, see prepare") {
            WaitStatus::Exited(_, status) => Some(status),
            WaitStatus::Signaled(_, signal, _) => Some(-(signal as i32)),
            _ => None,
        }
    }

    /// The process number.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Another process of the group, if the group has one.
    pub fn descendant(&self) -> Option<Pid> {
        let names = fs::read_dir("/proc").expect("/proc is mounted").filter_map(Result::ok);
        let mut pids =
            names.filter_map(|name| Some(Pid::from_raw(name.file_name().to_str()?.parse().ok()?)));
        pids.find(|pid| *pid != self.pid() && getpgid(Some(*pid)) == Ok(self.pid()))
    }

    /// Sends `signal` to the process alone.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it has not been waited for");
    }

    /// The status of the process; none while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is ours")
    }

    /// Waits for the end of the process: its status, or the negative number of its signal.
    pub fn wait(&mut self) -> i32 {
        let (stdout, stderr) = (self.stdout.clone(), self.stderr.clone());
        let screen = || stdout.text() + &stderr.text();
        let status = wait_showing("the end of a process", screen, || self.ended());
        status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = killpg(self.pid(), Signal::SIGKILL); // ESRCH: all have ended
        let _ = self.child.wait();
        let group = Pid::from_raw(-self.pid().as_raw());
        while waitpid(group, None).is_ok() {} // descendants whose parent has ended, see prepare
    }
}

/// The trial's processes, those in its network namespace and their descendants, for a failed wait: a line
/// for each, with its parent, its state and the kernel's function in which it sleeps.
pub fn listed() -> String {
    let read = |pid: i32, file: &str| {
        fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
    };
    let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut others: Vec<(i32, i32, char)> = pids
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = read(pid, "stat");
            let mut fields = stat.rsplit_once(") ")?.1.split(' ');
            let state = fields.next()?.chars().next()?;
            Some((pid, fields.next()?.parse().ok()?, state))
        })
        .collect();
    let here = network("thread-self");
    let (mut listed, mut text) = (Vec::new(), String::new());
    loop {
        let is_ours = |(pid, parent, _): &mut (i32, i32, char)| {
            listed.contains(parent) || network(&pid.to_string()) == here
        };
        let found: Vec<_> = others.extract_if(.., is_ours).collect();
        if found.is_empty() {
            return text;
        }
        for (pid, parent, state) in found {
            let command = read(pid, "cmdline").replace('\0', " ");
            let sleeps = read(pid, "wchan");
            text += &format!("{pid} (of {parent}) {state} {sleeps}: {command}\n");
            listed.push(pid);
        }
    }
}

/// A pseudoterminal that leaves a newline as it is.
pub struct Terminal {
    keyboard: File,
    end: File,
    /// What the processes have written to it.
    pub output: Stream,
}

impl Terminal {
    /// Opens a new one.
    pub fn new() -> Self {
        // Not openpty(3): what it opens would stay open in every process started meanwhile.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let keyboard = posix_openpt(flags).expect("/dev/ptmx is there");
        grantpt(&keyboard).and_then(|()| unlockpt(&keyboard)).expect("it is a new one");
        let path = ptsname_r(&keyboard).expect("it is a terminal");
        let mut options = File::options();
        options.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits());
        let end = options.open(path).expect("it is unlocked");
        let mut settings = tcgetattr(&end).expect("it is a terminal");
        settings.output_flags.remove(OutputFlags::OPOST);
        tcsetattr(&end, SetArg::TCSANOW, &settings).expect("it is a terminal");
        let keyboard = File::from(OwnedFd::from(keyboard));
        let output = Stream::of(keyboard.try_clone().expect("descriptors are left"));
        Self { keyboard, end, output }
    }

    /// The side that a process has as its standard streams.
    pub fn end(&self) -> Stdio {
        Stdio::from(self.end.try_clone().expect("descriptors are left"))
    }

    /// Types `keys`.
    pub fn type_in(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).expect("its other side is open");
    }
}
