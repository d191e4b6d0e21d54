//! A program under strace: what each of its processes has called, and how it has ended.

use super::{Client, Process, Program, Scratch, Variant, wait_for};
use nix::libc::{SYS_accept, SYS_read, SYS_recvfrom, c_long};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::process::{self, Command};

/// Where standard output and error go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Terminal,
    Pipes,
}

impl Place {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Terminal, Self::Pipes];

    fn start(self, command: &mut Command) -> Process {
        match self {
            Self::Terminal => Process::start_on_terminal(command),
            Self::Pipes => Process::start(command),
        }
    }
}

/// A program with its strace.
pub struct Strace {
    program: Program,
    place: Place,
    /// strace where it has started the program, and otherwise the program.
    process: Process,
    /// strace where it was attached.
    attached: Option<Process>,
    logs: Scratch,
    /// The first process that is traced.
    pub first: Pid,
}

/// What a program has done.
#[derive(Debug)]
pub struct Observation {
    /// The calls before `socket`, as the next.
    pub before: Vec<String>,
    /// The calls, signals and end of each process that was traced, the first one's first; what
    /// differs from run to run has a name.
    pub processes: Vec<Vec<String>>,
    /// How the first process has ended: its status, or the negative number of its signal.
    pub status: i32,
    /// What the processes have written to standard output; on a terminal to both streams.
    pub stdout: String,
    /// What they have written to standard error; empty on a terminal.
    pub stderr: String,
}

impl Strace {
    /// An option of strace: getpid returns this number, which the receiver prints, in every process.
    pub const PID: &str = "--inject=getpid:retval=4321";

    /// Starts a program under strace.
    pub fn start(variant: Variant, place: Place, options: &[String]) -> Self {
        let logs = Scratch::new();
        let process = place.start(command(&logs, options).arg("-ff").arg(variant.path()));
        let first = wait_for("the trace of execve", || {
            let files = fs::read_dir(logs.path()).expect("it is ours");
            let mut names = files.map(|file| file.expect("it is ours").file_name());
            // Alone: the program has not got as far as fork.
            let pid = names.next()?.to_str()?.strip_prefix("log.")?.parse().ok()?;
            Some(Pid::from_raw(pid))
        });
        Self { program: variant.program, place, process, attached: None, logs, first }
    }

    /// Attaches strace to `first`, a process of `program` on a terminal that is stopped, and
    /// continues it. A process that it makes is traced too where `follows`.
    pub fn attach(
        program: Program,
        process: Process,
        first: Pid,
        follows: bool,
        options: &[String],
    ) -> Self {
        let logs = Scratch::new();
        let mut command = command(&logs, options);
        match follows {
            true => command.arg("-ff"),
            false => command.arg("-o").arg(logs.path().join(format!("log.{first}"))),
        };
        let attached = Process::start(command.arg("-p").arg(first.to_string()));
        attached.stderr.wait_for("attached");
        kill(first, Signal::SIGCONT).expect("it is there");
        Self { program, place: Place::Terminal, process, attached: Some(attached), logs, first }
    }

    /// Connects once the server waits for it.
    pub fn connect(&self) -> Client {
        self.wait_for_accept();
        Client::connect()
    }

    /// Waits until the first process sleeps in accept.
    pub fn wait_for_accept(&self) {
        wait_for("accept to wait", || is_blocked(self.first, SYS_accept).then_some(()));
    }

    /// Waits until the process that serves waits for data: treuseaddr2's parent has ended then.
    pub fn wait_for_read(&self) -> Pid {
        let pid = wait_for("the process that serves", || match self.program {
            Program::Treuseaddr | Program::Ureuseaddr => Some(self.first),
            Program::Treuseaddr2 => self.child().filter(|_| self.has_ended(self.first)),
        });
        let call = if self.program == Program::Ureuseaddr { SYS_recvfrom } else { SYS_read };
        wait_for("read to wait", || is_blocked(pid, call).then_some(()));
        pid
    }

    /// Stops a process, whether it is traced or not.
    pub fn stop(&self, pid: Pid) {
        kill(pid, Signal::SIGSTOP).expect("it is there");
        wait_for("the stop", || {
            let is_stopped = self.log(pid).ends_with("--- stopped by SIGSTOP ---\n");
            (is_stopped || state(pid) == Some('T')).then_some(())
        });
    }

    /// Whether a process that is traced has ended.
    pub fn has_ended(&self, pid: Pid) -> bool {
        let log = self.log(pid);
        log.ends_with(" +++\n") && log.lines().last().is_some_and(|line| line.starts_with("+++ "))
    }

    /// Waits for the end of every process.
    pub fn wait_for_end(&self) {
        self.process.stdout.to_end(); // it is closed with the last of them
    }

    /// Waits for the end of every process, and tells what they did.
    pub fn end(mut self) -> Observation {
        let stdout = self.process.stdout.to_end();
        let stderr = match self.place {
            Place::Terminal => String::new(), // it has come as stdout
            Place::Pipes => self.process.stderr.to_end(),
        };
        let status = self.process.wait();
        // Where it was attached, its first lines are about the signal that has continued it.
        let mut start = "socket(";
        if let Some(mut attached) = self.attached.take() {
            assert_eq!(attached.wait(), 0, "{}", attached.stderr.to_end());
            start = "--- SIGCONT";
        }
        let child = self.child();
        let mut before = Vec::new();
        let mut processes = Vec::new();
        for pid in [Some(self.first), child].into_iter().flatten() {
            let log = self.log(pid);
            let mut lines: Vec<&str> = log.lines().collect();
            if pid == self.first {
                let start = lines.iter().position(|line| line.starts_with(start));
                let rest = lines.split_off(start.expect("strace has seen it"));
                before = self.named(&lines, child);
                lines = rest;
            }
            processes.push(self.named(&lines, child));
        }
        Observation { before, processes, status, stdout, stderr }
    }

    fn log(&self, pid: Pid) -> String {
        fs::read_to_string(self.logs.path().join(format!("log.{pid}"))).unwrap_or_default()
    }

    /// The first process's child, once fork has returned in the parent.
    pub fn child(&self) -> Option<Pid> {
        let log = self.log(self.first);
        let mut forks = log.lines().filter(|line| is_fork(line));
        forks.find_map(|fork| Some(Pid::from_raw(fork.rsplit_once("= ")?.1.parse().ok()?)))
    }

    /// The lines of a log with names in place of what differs from run to run.
    fn named(&self, lines: &[&str], child: Option<Pid>) -> Vec<String> {
        let name = |pid: &str| {
            let is = |known: Pid| pid == known.to_string();
            match () {
                () if is(self.first) => "FIRST",
                () if child.is_some_and(is) => "CHILD",
                () if is(Pid::from_raw(process::id().cast_signed())) => "TEST",
                () => "STRANGER",
            }
        };
        let is_digit = |c: char| c.is_ascii_digit();
        let mut duplicate = None;
        let mut named = Vec::new();
        for line in lines {
            let mut line = (*line).to_owned();
            rename(
                &mut line,
                "0x",
                |c| c.is_ascii_hexdigit(),
                |number| (number.len() > 5).then(|| "ADDRESS".to_owned()),
            );
            rename(&mut line, "htons(", is_digit, |port| {
                (port != "3459").then(|| "htons(EPHEMERAL".to_owned())
            });
            rename(&mut line, "makedev(", |c| c != ')', |_| Some("makedev(TERMINAL".to_owned()));
            rename(&mut line, "getrandom(", |c| c != ',', |_| Some("getrandom(RANDOM".to_owned()));
            rename(&mut line, "si_pid=", is_digit, |pid| Some(format!("si_pid={}", name(pid))));
            if is_fork(&line) {
                rename(&mut line, ") = ", is_digit, |pid| Some(format!(") = {}", name(pid))));
            }
            // From 2.39 on, glibc says it so.
            if let Some(rest) = line.strip_prefix("newfstatat(") {
                line =
                    format!("fstat({}", rest.replace("\"\", ", "").replace(", AT_EMPTY_PATH", ""));
            }
            if let Some(number) = line.strip_prefix("dup(2) = ") {
                duplicate = number.parse::<u32>().ok();
                line = "dup(2) = DUP".to_owned();
            } else if let Some(number) = duplicate
                && let Some((call, rest)) = line.split_once(&format!("({number}"))
                && !call.contains('(')
                && !rest.starts_with(|c: char| c.is_ascii_digit())
            {
                if call == "close" {
                    duplicate = None;
                }
                line = format!("{call}(DUP{rest}");
            }
            named.push(line);
        }
        named
    }
}

fn command(logs: &Scratch, options: &[String]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-a1", "-s4096", "-o"]).arg(logs.path().join("log")).args(options);
    command
}

fn is_fork(line: &str) -> bool {
    line.starts_with("fork(") || line.starts_with("clone(")
}

/// Gives `mark` with the longest run of characters after it that `belongs` another text.
fn rename(
    line: &mut String,
    mark: &str,
    belongs: impl Fn(char) -> bool,
    name: impl Fn(&str) -> Option<String>,
) {
    let mut start = 0;
    while let Some(found) = line[start..].find(mark) {
        let found = start + found;
        let rest = &line[found + mark.len()..];
        let run = rest.find(|c| !belongs(c)).map_or(rest, |end| &rest[..end]);
        let end = found + mark.len() + run.len();
        start = end;
        if let Some(name) = Some(run).filter(|run| !run.is_empty()).and_then(&name) {
            line.replace_range(found..end, &name);
            start = found + name.len();
        }
    }
}

/// Whether a process sleeps in a call.
pub fn is_blocked(pid: Pid, call: c_long) -> bool {
    let is_in_call = fs::read_to_string(format!("/proc/{pid}/syscall"))
        .is_ok_and(|syscall| syscall.starts_with(&format!("{call} ")));
    is_in_call && state(pid) == Some('S')
}

/// Stops a process that is not traced.
pub fn stop(pid: Pid) {
    kill(pid, Signal::SIGSTOP).expect("it is there");
    wait_for("the stop", || (state(pid) == Some('T')).then_some(()));
}

/// The state of a process, in the letter of proc(5); none where there is no process.
pub fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
