//! The experiments, recorded step by step: after each step the sockets as the kernel has them, each
//! with its flag, what the processes have called and printed, the packets, and netstat's rows.
//!
//! The flag of a socket that a process holds is what getsockopt says of it, on a duplicate of the
//! process's descriptor. A TIME_WAIT has no descriptor: its flag is what a bind shows that has the
//! option itself, tried in a run of its own (`Probe`).

use crate::annotations::{Story, path, traced};
use crate::harness::{
    BROADCAST, Capture, Client, Listed, MULTICAST, PORT, Process, Program, Row, Runtime, Scratch,
    Sender, Strace, Switches, UNICAST, Variant, in_namespace, is_blocked, run, set_sysctl, sockets,
    wait_for, wait_for_rows,
};
use crate::pitfalls::tcp;
use nix::libc::{SYS_accept, SYS_read, SYS_recvfrom};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fd::OwnedFd;
use rustix::net::{bind, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use serde::Serialize;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;
use std::thread;

/// What a reader of the page may choose as the program: `treuseaddr2` twice, since its child keeps
/// the listener or closes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    pub name: &'static str,
    pub program: Program,
    pub close_listener: bool,
}

impl Choice {
    pub const ALL: [Self; 4] = [
        Self { name: "treuseaddr", program: Program::Treuseaddr, close_listener: false },
        Self { name: "treuseaddr2", program: Program::Treuseaddr2, close_listener: false },
        Self {
            name: "treuseaddr2-close-listener",
            program: Program::Treuseaddr2,
            close_listener: true,
        },
        Self { name: "ureuseaddr", program: Program::Ureuseaddr, close_listener: false },
    ];

    pub fn switches(self, reuseaddr: bool) -> Switches {
        Switches { reuseaddr, close_listener: self.close_listener }
    }
}

/// How the old server ends, and when the new one is started. Only the first program has a choice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Ctrl+C, and then the client closes: the server has closed first.
    Interrupt,
    /// The same, and the new server comes after the TIME_WAIT has ended by itself.
    Waited,
    /// The client closes first.
    ClientCloses,
    /// The client resets the connection.
    ClientResets,
    /// Ctrl+C, while data has come that the server has not read.
    Unread,
}

impl End {
    pub const ALL: [Self; 5] =
        [Self::Interrupt, Self::Waited, Self::ClientCloses, Self::ClientResets, Self::Unread];

    /// As the page's address has it; nothing for what every program does.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "",
            Self::Waited => "waited",
            Self::ClientCloses => "client",
            Self::ClientResets => "reset",
            Self::Unread => "unread",
        }
    }
}

/// What of the old server has the option.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Old {
    Without,
    With,
    /// The accepted connection alone, which gets it while the server serves it.
    Connection,
}

impl Old {
    /// The word in the names of steps, for a socket that has the flag or has not.
    fn word(is: bool) -> &'static str {
        if is { "with" } else { "without" }
    }
}

/// The runs of one program by the old server's option: the steps until the old server is left, and
/// for each option of the new server those from there on.
pub struct Runs {
    pub before: Vec<Step>,
    pub after: [Vec<Step>; 2],
}

impl Runs {
    /// Whether the new server of a run has got the port.
    pub fn binds(steps: &[Step]) -> bool {
        steps.iter().find_map(|step| step.binds).expect("the run has come to bind")
    }
}

/// What has happened, and what is to be seen then.
#[derive(Serialize, Default, Clone)]
pub struct Step {
    /// The step's name, under which the page's words have its caption.
    pub key: String,
    /// The processes that live.
    pub live: Vec<&'static str>,
    pub sockets: Vec<Socket>,
    /// The calls since the step before.
    pub calls: Vec<Call>,
    /// What is typed and printed at each of two terminals since the step before.
    pub typed: [String; 2],
    pub printed: [String; 2],
    /// What the client sends, and what comes back to it.
    pub sent: &'static str,
    pub received: &'static str,
    /// Packets since the step before: whether from the server, and the packet in words.
    pub packets: Vec<(bool, String)>,
    /// netstat's rows on the port, a space between two fields.
    pub netstat: Vec<String>,
    /// What the kernel asks about each socket that is there, where it is about to bind another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<Ask>,
    /// Whether the new server has the port, in the last step of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binds: Option<bool>,
}

/// A call: its process, its line in both sources, and what strace shows.
#[derive(Serialize, Clone)]
pub struct Call {
    pub by: &'static str,
    pub line: usize,
    pub text: String,
}

#[derive(Serialize, Clone, PartialEq)]
pub struct Socket {
    /// The same in every step: `listener`, `connection`, `new`.
    pub id: &'static str,
    /// netstat's word, `CLOSED` for a TCP socket that neither listens nor is connected, `UDP` for UDP.
    pub state: String,
    /// Its own address, once it is bound, and the peer's, if it has one.
    pub local: Option<String>,
    pub peer: Option<String>,
    /// Whether it has SO_REUSEADDR.
    pub flag: bool,
    /// The processes that hold it, each with its descriptor.
    pub held: Vec<(&'static str, i32)>,
    /// The seconds until the kernel removes it, rounded up to a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
}

/// The kernel's three questions about an old socket; the next is not asked where one is answered.
#[derive(Serialize, Clone)]
pub struct Ask {
    pub id: &'static str,
    pub same: bool,
    pub both: Option<bool>,
    pub listens: Option<bool>,
}

impl Ask {
    /// The condition of `inet_bind_conflict`, for sockets without SO_REUSEPORT; UDP has no LISTEN.
    fn of(old: &Socket, new: &Socket, address: &str) -> Self {
        let same = old.local.as_deref() == Some(address);
        let both = same.then_some(old.flag && new.flag);
        let listens = (both == Some(true) && old.state != "UDP").then(|| old.state == "LISTEN");
        Self { id: old.id, same, both, listens }
    }

    fn is_conflict(&self) -> bool {
        self.both == Some(false) || self.listens == Some(true)
    }
}

/// What netstat is asked to show.
pub fn netstat_options(program: Program) -> &'static str {
    if program == Program::Ureuseaddr { "-una" } else { "-tna" }
}

/// What starts the program, at the shell's prompt.
fn command(variant: Variant) -> String {
    let mut features = variant.switches.features();
    let has_child = variant.program == Program::Treuseaddr2;
    features.retain(|feature| *feature != "close-listener" || has_child);
    let features = match features.is_empty() {
        true => String::new(),
        false => format!(" --features {}", features.join(",")),
    };
    format!("$ cargo run --bin {}{features}\n", variant.program.name())
}

/// The runs of the program, by what of the old server has the option.
pub fn record(choice: Choice, end: End) -> Vec<Runs> {
    let record = |old: Old| {
        // No other end leaves what no process holds.
        let probed =
            in_namespace(|| Recorder::start(choice, End::Interrupt).run(old, None)).orphans;
        let [without, with] = at_once([false, true], |new| {
            in_namespace(|| {
                let recorder = Recorder { is_probed: true, ..Recorder::start(choice, end) };
                Recorder { orphans: probed.clone(), ..recorder }.run(old, Some(new))
            })
        });
        Runs { before: with.before, after: [without.steps, with.steps] }
    };
    match end {
        End::Interrupt if choice.program == Program::Treuseaddr => {
            at_once([Old::Without, Old::With, Old::Connection], record).into()
        }
        _ => at_once([Old::Without, Old::With], record).into(),
    }
}

/// What comes of each, all at the same time.
fn at_once<T: Copy + Send, R: Send, const N: usize>(
    of: [T; N],
    make: impl Fn(T) -> R + Sync,
) -> [R; N] {
    thread::scope(|scope| {
        let make = &make;
        let threads = of.map(|it| scope.spawn(move || make(it)));
        threads.map(|thread| thread.join().expect("it has succeeded"))
    })
}

/// A program under strace, which stops it after each call that changes a socket.
struct Server {
    name: &'static str,
    variant: Variant,
    process: Process,
    logs: Scratch,
    /// How much has been told of the calls of the process and of its child, and of its output.
    told: [usize; 2],
    printed: String,
}

impl Server {
    fn start(name: &'static str, variant: Variant, end: End) -> Self {
        let logs = Scratch::new();
        let mut strace = Command::new("strace");
        strace.args(["-D", "-ff", "-n", "-s48"]);
        // The numbers that two receivers print.
        strace.arg(if name == "old" { Strace::PID } else { "--inject=getpid:retval=4322" });
        strace.arg("--inject=socket,setsockopt,bind,listen:signal=SIGSTOP");
        if variant.program == Program::Treuseaddr2 {
            // The first fork does nothing but stop: the kernel makes no process while a signal waits.
            strace.args(["fork", "close"].map(|it| format!("--inject={it}:signal=SIGSTOP:when=1")));
        }
        if end == End::ClientCloses && name == "old" {
            // Before it says, as the third thing, that its client has closed.
            strace.arg("--inject=write:signal=SIGSTOP:when=3");
        }
        strace.arg("-o").arg(logs.path().join("trace")).arg(variant.path());
        let process = Process::start_on_terminal(&mut strace);
        Self { name, variant, process, logs, told: [0; 2], printed: String::new() }
    }

    /// The child, once strace has seen it.
    fn child(&self) -> Option<Pid> {
        let files = fs::read_dir(self.logs.path()).expect("it is ours").filter_map(Result::ok);
        let mut pids = files.filter_map(|file| {
            let name = file.file_name();
            Some(Pid::from_raw(name.to_str()?.strip_prefix("trace.")?.parse().ok()?))
        });
        pids.find(|pid| *pid != self.process.pid())
    }

    /// The processes, each with its name, that have not ended.
    fn processes(&mut self) -> Vec<(&'static str, Pid)> {
        let first = (self.name, self.process.pid());
        let has_ended = self.process.ended().is_some();
        let child = self.child().map(|child| ("child", child));
        (!has_ended).then_some(first).into_iter().chain(child).collect()
    }

    fn log(&self, pid: Pid) -> String {
        fs::read_to_string(self.logs.path().join(format!("trace.{pid}"))).unwrap_or_default()
    }

    /// What a process has called, each call with its line.
    fn calls(&self, pid: Pid) -> Vec<(usize, String)> {
        let is_child = pid != self.process.pid();
        let texts = traced(&self.log(pid));
        let has =
            |call: &str, error| texts.iter().any(|it| it.starts_with(call) && it.contains(error));
        let is_refused = has("bind(", "EADDRINUSE");
        let story = match has("read(", "ECONNRESET") {
            _ if is_refused => Story::InUse,
            true => Story::Reset,
            false => Story::Served,
        };
        let [first, child] = path(self.variant, story);
        let mut lines = if is_child { child } else { first };
        if self.variant.program == Program::Ureuseaddr && !is_refused {
            lines.extend([44, 53].repeat(3)); // a receiver comes to the next datagram
        }
        assert!(texts.len() <= lines.len(), "{lines:?} and {texts:?}");
        lines.into_iter().zip(texts).collect()
    }

    /// Waits until the process has made the call of that line, and gives what it has said.
    fn wait_for_call(&self, pid: Pid, line: usize) -> String {
        wait_for(&format!("{}, line {line}", self.variant.name()), || {
            let calls = self.calls(pid);
            let (at, text) = calls.last()?;
            (*at == line).then(|| text.clone())
        })
    }

    /// Waits until the process is stopped behind that line.
    fn wait_for_stop(&self, pid: Pid, line: usize) -> String {
        let text = self.wait_for_call(pid, line);
        self.wait_until_stopped(pid);
        text
    }

    fn wait_until_stopped(&self, pid: Pid) {
        let is_stopped = || self.log(pid).ends_with("--- stopped by SIGSTOP ---\n");
        wait_for("the stop", || is_stopped().then_some(()));
    }

    fn resume(&self, pid: Pid) {
        kill(pid, Signal::SIGCONT).expect("it is there");
    }

    /// Goes on to the call of that line.
    fn go_to(&self, line: usize) -> String {
        self.resume(self.process.pid());
        self.wait_for_stop(self.process.pid(), line)
    }

    /// What has been called since the last time.
    fn news(&mut self) -> Vec<Call> {
        let pids = [(self.name, Some(self.process.pid())), ("child", self.child())];
        let mut news = Vec::new();
        for (at, (by, pid)) in pids.into_iter().enumerate() {
            let calls = pid.map(|pid| self.calls(pid)).unwrap_or_default();
            let new = calls[self.told[at]..].iter();
            news.extend(new.map(|(line, text)| Call { by, line: *line, text: squeeze(text) }));
            self.told[at] = calls.len();
        }
        news
    }

    /// What has been printed since the last time.
    fn output(&mut self) -> String {
        let text = self.process.stdout.text();
        let news = text.strip_prefix(&*self.printed).expect("nothing is taken back").to_owned();
        self.printed = text;
        news
    }
}

/// A call without the spaces by which strace brings the results into one column.
fn squeeze(call: &str) -> String {
    let (call, result) = call.rsplit_once(" = ").expect("a call has a result");
    format!("{} = {result}", call.trim_end())
}

struct Recorder {
    choice: Choice,
    end: End,
    capture: Capture,
    servers: Vec<Server>,
    /// The flag of each state that no process holds; tried out where it is not yet known.
    orphans: Vec<(String, bool)>,
    is_probed: bool,
    steps: Vec<Step>,
    before: Vec<Step>,
}

impl Recorder {
    fn start(choice: Choice, end: End) -> Self {
        // A client has the one port that there is, the same in every run.
        set_sysctl("net.ipv4.ip_local_port_range", "40000 40000");
        Self {
            choice,
            end,
            capture: Capture::start(),
            servers: Vec::new(),
            orphans: Vec::new(),
            is_probed: false,
            steps: Vec::new(),
            before: Vec::new(),
        }
    }

    /// Runs the old server, and then a new one where its option is given.
    fn run(mut self, old: Old, new: Option<bool>) -> Self {
        match self.choice.program {
            Program::Ureuseaddr => self.receive(old, new),
            _ => self.serve(old, new),
        }
        self
    }

    /// Records what has come since the last step, once netstat's rows are these.
    fn step(&mut self, key: impl Into<String>, rows: &[Row], step: Step) {
        let key = key.into();
        wait_for_rows(&key, |seen| seen == rows);
        let options = netstat_options(self.choice.program);
        let netstat = wait_for("an answer to everything sent", || {
            let table = run(Command::new("netstat").arg(options)).stdout;
            let mut rows: Vec<Vec<String>> = table
                .lines()
                .filter(|row| row.contains(":3459 "))
                .map(|row| row.split_whitespace().map(str::to_owned).collect())
                .collect();
            rows.sort_unstable();
            let is_acknowledged = rows.iter().all(|row| row[2] == "0");
            is_acknowledged.then(|| rows.iter().map(|row| row.join(" ")).collect())
        });
        let sockets = self.sockets();
        let packets = self.capture.packets();
        let processes = self.servers.iter_mut().flat_map(Server::processes);
        let live = processes.map(|(name, _)| name).collect();
        let calls = self.servers.iter_mut().flat_map(Server::news).collect();
        let mut printed = [String::new(), String::new()];
        for server in &mut self.servers {
            // Two servers have one terminal, two receivers two.
            let at =
                usize::from(server.name == "new" && self.choice.program == Program::Ureuseaddr);
            printed[at].push_str(&server.output());
        }
        let packets = packets.into_iter().map(|it| (it.is_server, it.text)).collect();
        self.steps.push(Step { key, live, sockets, calls, printed, packets, netstat, ..step });
    }

    /// The sockets that have the port, or are about to.
    fn sockets(&mut self) -> Vec<Socket> {
        let table = table(self.choice.program);
        let mut sockets: Vec<(u64, Socket)> = Vec::new();
        let name = ["old", "new"];
        for server in &mut self.servers {
            for (process, pid) in server.processes() {
                for (descriptor, inode) in descriptors(pid) {
                    if let Some((_, socket)) = sockets.iter_mut().find(|it| it.0 == inode) {
                        socket.held.push((process, descriptor));
                        continue;
                    }
                    let row = table.iter().find(|row| row.inode == inode);
                    let peer = row.and_then(|row| row.peer.clone());
                    let (flag, local) = ask(pid, descriptor);
                    let unlisted = match self.choice.program {
                        Program::Ureuseaddr => "UDP",
                        _ => "CLOSED",
                    };
                    let socket = Socket {
                        id: if peer.is_some() {
                            "connection"
                        } else {
                            name[usize::from(server.name == "new")]
                        },
                        state: row.map_or(unlisted, |row| row.state).to_owned(),
                        local,
                        peer,
                        flag,
                        held: vec![(process, descriptor)],
                        seconds: None,
                    };
                    sockets.push((inode, socket));
                }
            }
        }
        for row in table.into_iter().filter(|row| row.inode == 0) {
            let state = row.state.to_owned();
            let known = self.orphans.iter().find(|(known, _)| *known == state);
            let flag = match known {
                Some((_, flag)) => *flag,
                None => {
                    assert!(!self.is_probed, "{state} has been tried");
                    let flag = may_bind_with_option();
                    self.orphans.push((state.clone(), flag));
                    flag
                }
            };
            let socket = Socket {
                id: "connection",
                state,
                local: Some(row.local),
                peer: row.peer,
                flag,
                held: Vec::new(),
                seconds: row.seconds.map(|seconds| seconds.div_ceil(60) * 60),
            };
            sockets.push((0, socket));
        }
        sockets.into_iter().map(|(_, socket)| socket).collect()
    }

    fn start_server(&mut self, name: &'static str, reuseaddr: bool) -> &Server {
        let switches = self.choice.switches(reuseaddr);
        let variant = Variant::new(self.choice.program, Runtime::Raw).with(switches);
        self.servers.push(Server::start(name, variant, self.end));
        self.servers.last().expect("it was pushed")
    }

    fn last(&self) -> &Server {
        self.servers.last().expect("one was started")
    }

    /// A server's first steps: its socket, and the option or none.
    fn begin(&mut self, name: &'static str, reuseaddr: bool, rows: &[Row]) {
        let with = Old::word(reuseaddr);
        let server = self.start_server(name, reuseaddr);
        server.wait_for_stop(server.process.pid(), 11);
        let typed = command(server.variant);
        let at = usize::from(name == "new" && self.choice.program == Program::Ureuseaddr);
        let mut step = Step::default();
        step.typed[at] = typed;
        if name == "old" {
            self.step("socket", rows, step);
            step = Step::default();
        }
        if reuseaddr {
            self.last().go_to(24);
        }
        let key = if name == "old" { "option" } else { "again" };
        self.step(format!("{key}-{with}"), rows, step);
    }

    fn serve(&mut self, old: Old, new: Option<bool>) {
        let has_child = self.choice.program == Program::Treuseaddr2;
        let established = [Row::client("ESTABLISHED"), Row::server("ESTABLISHED")];
        let listening = [&established[..], &[Row::LISTEN]].concat();
        self.begin("old", old == Old::With, &[]);
        self.last().go_to(26);
        self.last().go_to(31);
        self.step("listen", &[Row::LISTEN], Step::default());

        let server = self.last();
        let pid = server.process.pid();
        server.resume(pid);
        wait_for("accept", || is_blocked(pid, SYS_accept).then_some(()));
        let mut client = Client::connect();
        if has_child {
            server.wait_for_stop(pid, 43);
        } else {
            server.wait_for_call(pid, 43);
        }
        server.process.stdout.wait_for("client connected: 4\n");
        self.step(format!("accept-{}", Old::word(old == Old::With)), &listening, Step::default());
        if old == Old::Connection {
            // As setsockopt(cfd, ...) in the server would, on a duplicate of its descriptor.
            sockopt::set_socket_reuseaddr(duplicate(pid, 4), true).expect("it is a socket");
            self.step("connection", &listening, Step::default());
        }
        let mut rows = listening.clone();
        let mut serving = pid;
        if has_child {
            let closes = self.choice.close_listener;
            let server = self.last();
            server.go_to(74);
            serving = wait_for("the child", || server.child());
            if closes {
                server.wait_for_stop(serving, 51);
                server.resume(serving);
            }
            wait_for("read", || is_blocked(serving, SYS_read).then_some(()));
            let kept = if closes { "closed" } else { "kept" };
            self.step(format!("fork-{kept}"), &listening, Step::default());
            self.last().resume(pid);
            let server = self.servers.last_mut().expect("one was started");
            assert_eq!(server.process.wait(), 0, "the parent exits");
            wait_for_call_of_exit(server, pid);
            server.process.stdout.wait_for("parent exit\n");
            if closes {
                rows = established.to_vec();
            }
            self.step(format!("exit-{kept}"), &rows, Step::default());
        }
        client.exchange("hello\n");
        self.last().wait_for_call(serving, if has_child { 67 } else { 59 });
        wait_for("read", || is_blocked(serving, SYS_read).then_some(()));
        let step = Step { sent: "hello\n", received: "hello\n", ..Step::default() };
        self.step("echo", &rows, step);
        if !has_child {
            rows = self.end(old != Old::Without, client);
        }
        self.before = std::mem::take(&mut self.steps);
        if let Some(new) = new {
            self.start_again(new, rows);
        }
    }

    /// The first program's end, with the flag on its connection or without: the rows that are left.
    fn end(&mut self, flag: bool, mut client: Client) -> Vec<Row> {
        let server = self.servers.last_mut().expect("one was started");
        let pid = server.process.pid();
        let interrupt = || Step { typed: ["^C\n".to_owned(), String::new()], ..Step::default() };
        let mut rows = Vec::new();
        match self.end {
            End::Interrupt | End::Waited => {
                server.process.signal(Signal::SIGINT);
                server.process.wait();
                let half = [Row::client("CLOSE_WAIT"), Row::server("FIN_WAIT2")];
                self.step(format!("stop-{}", Old::word(flag)), &half, interrupt());
                drop(client);
                rows.push(Row::TIME_WAIT);
                self.step(format!("close-{}", Old::word(flag)), &rows, Step::default());
                if self.end == End::Waited {
                    // Two waits, since no wait is as long as a TIME_WAIT.
                    let left = || table(Program::Treuseaddr).first().and_then(|row| row.seconds);
                    wait_for("its first half", || {
                        left().is_none_or(|left| left < 25).then_some(())
                    });
                    rows.clear();
                    self.step("waited", &rows, Step::default());
                }
            }
            End::ClientCloses => {
                drop(client);
                server.wait_until_stopped(pid);
                let half = [Row::server("CLOSE_WAIT"), Row::client("FIN_WAIT2"), Row::LISTEN];
                self.step("client-closes", &half, Step::default());
                let server = self.servers.last_mut().expect("one was started");
                server.resume(pid);
                assert_eq!(server.process.wait(), 0);
                server.process.stdout.to_end(); // its last line belongs to this step
                wait_for_call_of_exit(server, pid);
                rows.push(Row::client("TIME_WAIT"));
                self.step("client-first", &rows, Step::default());
            }
            End::ClientResets => {
                client.reset();
                assert_eq!(server.process.wait(), 0);
                server.process.stdout.to_end(); // its last line belongs to this step
                wait_for_call_of_exit(server, pid);
                self.step("reset", &rows, Step::default());
            }
            End::Unread => {
                server.process.signal(Signal::SIGSTOP);
                server.wait_until_stopped(pid);
                client.0.write_all(b"unread\n").expect("it is connected");
                server.process.signal(Signal::SIGINT);
                server.resume(pid);
                server.process.wait();
                let step = Step { sent: "unread\n", ..interrupt() };
                self.step("unread", &rows, step);
            }
        }
        rows
    }

    fn start_again(&mut self, new: bool, mut rows: Vec<Row>) {
        self.begin("new", new, &rows);
        let (why, asks) = self.ask("127.0.0.1:3459");
        let conflicts = asks.iter().any(Ask::is_conflict);
        let is_refused = self.last().go_to(26).contains("EADDRINUSE");
        assert_eq!(is_refused, conflicts, "what the three questions say");
        if is_refused {
            return self.refused(why, asks, &rows);
        }
        self.last().go_to(31);
        self.last().resume(self.last().process.pid());
        rows.push(Row::LISTEN);
        rows.sort();
        let step = Step { asks, binds: Some(true), ..Step::default() };
        self.step(format!("verdict-{why}"), &rows, step);
    }

    /// What the kernel is about to ask, and what of it decides.
    fn ask(&mut self, address: &str) -> (&'static str, Vec<Ask>) {
        let sockets = self.steps.last().expect("the new server has its socket").sockets.clone();
        let (new, old): (Vec<_>, Vec<_>) = sockets.iter().partition(|socket| socket.id == "new");
        let asks: Vec<Ask> = old.iter().map(|old| Ask::of(old, new[0], address)).collect();
        let listens = asks.iter().any(|ask| ask.listens == Some(true));
        let why = match (old.iter().any(|old| old.flag), new[0].flag) {
            _ if old.is_empty() => "none",
            (false, false) => "neither",
            (false, true) => "old",
            (true, false) => "new",
            (true, true) if listens => "listens",
            (true, true) => "free",
        };
        (why, asks)
    }

    /// `bind` has failed, and the server still has its socket. The message belongs to that step; then
    /// comes the end.
    fn refused(&mut self, why: &str, asks: Vec<Ask>, rows: &[Row]) {
        let step = Step { asks, binds: Some(false), ..Step::default() };
        self.step(format!("verdict-{why}"), rows, step);
        let server = self.servers.last_mut().expect("one was started");
        let pid = server.process.pid();
        server.resume(pid);
        assert_eq!(server.process.wait(), 255);
        assert_eq!(server.process.stdout.to_end(), "bind: : Address already in use\n");
        wait_for_call_of_exit(server, pid);
        self.step("end", rows, Step::default());
        let [.., verdict, end] = &mut self.steps[..] else { panic!("two were recorded") };
        std::mem::swap(&mut verdict.printed, &mut end.printed);
        let is_message = |call: &mut Call| call.line == 27;
        verdict.calls.extend(end.calls.extract_if(.., is_message));
    }

    fn receive(&mut self, old: Old, new: Option<bool>) {
        let sender = Sender::new();
        let is_waiting = |server: &Server| {
            let pid = server.process.pid();
            wait_for("recvfrom", || is_blocked(pid, SYS_recvfrom).then_some(()));
        };
        self.begin("old", old == Old::With, &[]);
        let join = |recorder: &Self| {
            recorder.last().go_to(34);
            recorder.last().resume(recorder.last().process.pid());
            is_waiting(recorder.last());
        };
        self.last().go_to(26);
        join(self);
        self.step("join", &[], Step::default());
        sender.send(MULTICAST, b"multicast\n");
        let first = self.last().process.stdout.clone();
        first.wait_for("multicast\n");
        is_waiting(self.last());
        self.step("multicast", &[], Step { sent: "multicast\n", ..Step::default() });
        self.before = std::mem::take(&mut self.steps);
        let Some(new) = new else { return };

        self.begin("new", new, &[]);
        let (why, asks) = self.ask("0.0.0.0:3459");
        let conflicts = asks.iter().any(Ask::is_conflict);
        let is_refused = self.last().go_to(26).contains("EADDRINUSE");
        assert_eq!(is_refused, conflicts, "what the questions say");
        if is_refused {
            return self.refused(why, asks, &[]);
        }
        join(self);
        let step = Step { asks, binds: Some(true), ..Step::default() };
        self.step(format!("verdict-{why}"), &[], step);
        for (key, to, sent) in [
            ("both", MULTICAST, "multicast again\n"),
            ("broadcast", BROADCAST, "broadcast\n"),
            ("unicast", UNICAST, "unicast\n"),
        ] {
            sender.send(to, sent.as_bytes());
            // One address is one receiver's: the one that came last.
            let gets = if to == UNICAST { &self.servers[1..] } else { &self.servers[..] };
            for server in gets {
                server.process.stdout.wait_for(sent);
                is_waiting(server);
            }
            self.step(key, &[], Step { sent, ..Step::default() });
            let is_first = !self.steps.last().expect("it was pushed").printed[0].is_empty();
            assert_eq!(is_first, to != UNICAST, "whether the first prints {sent}");
        }
    }
}

/// Waits until strace has seen the end of a process.
fn wait_for_call_of_exit(server: &Server, pid: Pid) {
    wait_for("the end of the trace", || server.log(pid).ends_with(" +++\n").then_some(()));
}

/// A row of the kernel's table whose own port is the one.
struct Entry {
    inode: u64,
    state: &'static str,
    local: String,
    peer: Option<String>,
    seconds: Option<u32>,
}

/// The kernel's table, `/proc/net/tcp` or `/proc/net/udp`.
fn table(program: Program) -> Vec<Entry> {
    let is_udp = program == Program::Ureuseaddr;
    let file = if is_udp { "udp" } else { "tcp" };
    let entry = |socket: Listed| Entry {
        inode: socket.inode,
        state: if is_udp { "UDP" } else { crate::harness::state_name(socket.state) },
        local: socket.local.to_string(),
        peer: (socket.peer.port() != 0).then(|| socket.peer.to_string()),
        // A record in TIME_WAIT, or FIN_WAIT2 without a process, has timer 3; a FIN_WAIT2 that is a full
        // socket, which is rare, has timer 2.
        seconds: matches!(socket.timer, 2 | 3).then(|| socket.left.div_ceil(100)),
    };
    let is_ours = |socket: &Listed| socket.local.port() == PORT;
    sockets(file).into_iter().filter(is_ours).map(entry).collect()
}

/// The descriptors of a process that are sockets, with their inodes, in order.
fn descriptors(pid: Pid) -> Vec<(i32, u64)> {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let mut descriptors: Vec<(i32, u64)> = files
        .filter_map(|file| {
            let file = file.ok()?;
            let target = fs::read_link(file.path()).ok()?;
            let inode =
                target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()?;
            Some((file.file_name().to_str()?.parse().ok()?, inode))
        })
        .collect();
    descriptors.sort_unstable();
    descriptors
}

/// The socket of a process's descriptor.
fn duplicate(pid: Pid, descriptor: i32) -> OwnedFd {
    let pid = rustix::process::Pid::from_raw(pid.as_raw()).expect("it is a process");
    let process = pidfd_open(pid, PidfdFlags::empty()).expect("it is there");
    let socket = pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty());
    socket.expect("it is our own descendant")
}

/// Whether a process's socket has SO_REUSEADDR, and its address, if it has one.
fn ask(pid: Pid, descriptor: i32) -> (bool, Option<String>) {
    let socket = duplicate(pid, descriptor);
    let flag = sockopt::socket_reuseaddr(&socket).expect("it is a socket");
    let local = rustix::net::getsockname(&socket).expect("it is a socket");
    let local = SocketAddrV4::try_from(local).expect("it is IPv4");
    (flag, (local.port() != 0).then(|| local.to_string()))
}

/// Whether a socket with the option may bind the servers' address: the one that is left has it, too.
fn may_bind_with_option() -> bool {
    let probe = tcp(Ipv4Addr::LOCALHOST.into(), true);
    bind(probe, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT)).is_ok()
}
