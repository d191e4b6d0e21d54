//! The three processes of a run: whatever ends it, no process of it is left.
//!
//! 1. cargo starts the first one. It stays in the terminal's foreground, and ignores what the user's
//!    shell has told it to ignore: SIGHUP under `nohup`, SIGINT as a background job of a script.
//! 2. The first one starts the keeper, in a session of its own, where no key of the terminal reaches it.
//!    Where a PID namespace can be made, the keeper is its process 1: when it ends, the kernel kills all
//!    others there. Where none can be made, it adopts each process that has lost its parent
//!    (PR_SET_CHILD_SUBREAPER), and kills them itself before it ends.
//! 3. The keeper starts the tests, every signal at its default.
//!
//! The first one ends with cargo, the keeper with the first one, the tests with the keeper.

use super::{project, run};
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, setsid};
use rustix::fd::OwnedFd;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, getppid, pidfd_open, pidfd_send_signal};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;

/// Where cargo has the tests put their files.
const TMPDIR: &str = env!("CARGO_TARGET_TMPDIR");

/// The variable that tells the tests their folder.
pub const SCRATCH: &str = "TREUSEADDR_SCRATCH";

/// The three processes of a run, in the order in which they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    First,
    Keeper,
    Tests,
}

impl Stage {
    /// Which of the three this process is: its first argument says so, and is removed.
    pub fn take_from(arguments: &mut Vec<String>) -> Self {
        let stages = [Self::Keeper, Self::Tests];
        let named = |stage: &Self| arguments.get(1).is_some_and(|first| first == stage.option());
        let stage = stages.into_iter().find(named).unwrap_or(Self::First);
        if stage != Self::First {
            arguments.remove(1);
        }
        stage
    }

    fn option(self) -> &'static str {
        match self {
            Self::First => "--first",
            Self::Keeper => "--keeper",
            Self::Tests => "--tests",
        }
    }
}

/// The first process: starts the keeper with these arguments, and ends as it does.
pub fn start(arguments: &[String]) -> Result<ExitCode, String> {
    // A program's first descriptor is 3, whatever the shell or the editor has left open.
    close_fds::set_fds_cloexec(3, &[]);
    let mut command = Command::new("env");
    // The tests read the programs' messages in English, whatever the user's locale is.
    command.args(["--default-signal", "LC_ALL=C.UTF-8"]).args(unshare()?);
    let cargo = cargo(); // before there is anything that should end with it
    let mut keeper = spawn(&mut command, Stage::Keeper, arguments, Stdio::piped())?;
    let _open_while_this_process_lives = keeper.stdin.take();
    if let Some(cargo) = cargo {
        thread::spawn(move || {
            let _ = poll(&mut [PollFd::new(&cargo, PollFlags::IN)], None);
            std::process::exit(1)
        });
    }
    Ok(code(keeper.wait()))
}

/// The start of a command that may make network namespaces, in a PID namespace where there can be one.
fn unshare() -> Result<Vec<String>, String> {
    let output = run(Command::new("sh").arg(project("tests/probe.sh")));
    match output.status.success() {
        true => Ok(output
            .stdout
            .lines()
            .next()
            .into_iter()
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect()),
        false => Err(output.stderr.trim_end().to_owned()),
    }
}

/// The parent, if that is cargo or cargo-nextest: they tell where cargo is. A shell may end before what
/// it has started.
fn cargo() -> Option<OwnedFd> {
    std::env::var_os("CARGO")?;
    pidfd_open(getppid()?, PidfdFlags::empty()).ok()
}

/// The keeper: starts the tests with these arguments, and ends as they do, and earlier where the
/// process that has started it ends.
pub fn keep(arguments: &[String]) -> Result<ExitCode, String> {
    setsid().map_err(|error| format!("setsid: {error}"))?;
    set_child_subreaper(true).map_err(|error| format!("PR_SET_CHILD_SUBREAPER: {error}"))?;
    let scratch = scratch().map_err(|error| format!("{TMPDIR}: {error}"))?;
    let mut command = Command::new("env");
    // The user's own TMPDIR may be missing, or mounted noexec.
    command.env(SCRATCH, &scratch).env("TMPDIR", &scratch);
    let tests = spawn(&mut command, Stage::Tests, arguments, Stdio::null())?;
    let pid = rustix::process::Pid::from_raw(tests.id().cast_signed()).expect("it is no 0");
    let pidfd =
        pidfd_open(pid, PidfdFlags::empty()).map_err(|error| format!("pidfd_open: {error}"))?;
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink()); // to the end of the first process
        let _ = pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
    });
    let tests = Pid::from_raw(tests.id().cast_signed());
    let code = loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == tests => break u8::try_from(code).ok(),
            Ok(WaitStatus::Signaled(pid, ..)) if pid == tests => break None,
            Ok(_) | Err(Errno::EINTR) => {} // a process that had lost its parent
            Err(errno) => return Err(format!("waitpid: {errno}")),
        }
    };
    end_children();
    if let Err(error) = fs::remove_dir_all(&scratch) {
        eprintln!("{} stays: {error}", scratch.display());
    }
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A new folder for the files of the tests, which the keeper removes.
fn scratch() -> io::Result<PathBuf> {
    let path = Path::new(TMPDIR).join(format!("run-{:x}", fastrand::u64(..)));
    fs::create_dir_all(TMPDIR)?;
    fs::create_dir(&path)?;
    Ok(path)
}

/// Starts this program again with `command` as it is so far.
fn spawn(
    command: &mut Command,
    stage: Stage,
    arguments: &[String],
    stdin: Stdio,
) -> Result<std::process::Child, String> {
    let program = std::env::current_exe().map_err(|error| format!("/proc/self/exe: {error}"))?;
    command.arg(program).arg(stage.option()).args(&arguments[1..]).stdin(stdin);
    command.spawn().map_err(|error| format!("{command:?}: {error}"))
}

fn code(status: io::Result<ExitStatus>) -> ExitCode {
    let code = status.ok().and_then(|status| u8::try_from(status.code()?).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Kills every child of this process, and those that it thereby becomes the parent of.
fn end_children() {
    let own = std::process::id().to_string();
    let parent = |stat: &str| stat.rsplit_once(") ")?.1.split(' ').nth(1).map(str::to_owned);
    loop {
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            let name = process.file_name();
            let pid = name.to_str().and_then(|name| name.parse().ok()).map(Pid::from_raw);
            if let Some(pid) = pid.filter(|_| parent(&stat).as_ref() == Some(&own)) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
        if waitpid(None, None).is_err() {
            return; // ECHILD: none is left
        }
    }
}
