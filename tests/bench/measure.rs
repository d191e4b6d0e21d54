//! The rows of the table. Each is measured in a network namespace of its own, and round by round:
//! in a round, every alternative has its turn.

use crate::alternatives::{Alternative, find};
use crate::net::{PORT, Row as State, hold_port, in_namespace, rows};
use crate::process::{Process, run};
use crate::{Counts, wait_for};
use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::socket::setsockopt;
use nix::unistd::Pid;
use nix::{setsockopt_impl, sockopt_impl};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

sockopt_impl!(QuickAck, SetOnly, libc::IPPROTO_TCP, libc::TCP_QUICKACK, bool);

/// What a server reads at once.
const BUFF: usize = 100;

pub struct Row {
    pub label: String,
    pub unit: Unit,
    /// For each alternative, in their order, a number for each round; none where it has no part.
    pub samples: Vec<Vec<f64>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Calls,
    Instructions,
    Faults,
    KibiBytes,
    Seconds,
    PerSecond,
}

/// What the processor executes outside the kernel, counted by valgrind's callgrind: from the start to
/// the failed bind, and for a round trip of 100 bytes. The same in every run.
pub fn instructions(alternatives: &[Alternative]) -> ([Row; 2], Option<String>) {
    let [mut starts, mut trips] = [(); 2].map(|()| vec![vec![]; alternatives.len()]);
    let mut trouble = None;
    for (i, alternative) in alternatives.iter().enumerate() {
        for program in servers(alternative) {
            let start = in_namespace(|| {
                let _holder = hold_port();
                instructions_of(program, 0)
            });
            let trip = |trips| in_namespace(|| instructions_of(program, trips));
            match start.and_then(|start| Ok((start, (trip(110)? - trip(10)?) / 100.0))) {
                Ok((start, trip)) => {
                    starts[i].push(start);
                    trips[i].push(trip.round());
                }
                Err(error) => trouble = Some(error),
            }
        }
    }
    let rows = [("instructions, failed `bind`", starts), ("instructions, round trip", trips)]
        .map(|(label, samples)| Row { label: label.into(), unit: Unit::Instructions, samples });
    (rows, trouble)
}

/// Of a process in which a client has made so many round trips, and of its threads.
fn instructions_of(program: &Path, trips: usize) -> Result<f64, String> {
    let mut valgrind = Command::new(find("valgrind", "valgrind")?);
    valgrind.env_clear().args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    let mut process = Process::start(&mut valgrind);
    if trips > 0 {
        let mut client = connect();
        for _ in 0..trips {
            exchange(&mut client, &mut [1; BUFF]);
        }
    }
    process.wait();
    let said = process.stderr.to_end();
    let count = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.ok_or_else(|| format!("callgrind counts nothing: {said}"))?;
    count.trim().parse().map_err(|_| format!("callgrind counts {count}"))
}

pub fn file_size(alternatives: &[Alternative]) -> Row {
    let samples = alternatives
        .iter()
        .map(|alternative| {
            let program = alternative.program.iter();
            program.map(|path| fs::metadata(path).expect("it is built").len() as f64).collect()
        })
        .collect();
    Row { label: "file size".into(), unit: Unit::Bytes, samples }
}

/// What each alternative asks of the kernel from execve(2) to its first socket(2); where that can't
/// be seen, why.
pub fn calls_before_socket(alternatives: &[Alternative]) -> (Row, Option<String>) {
    let count = |alternative| servers(alternative).map(calls_of).collect();
    let counts: Result<_, String> = in_namespace(|| {
        let _holder = hold_port();
        alternatives.iter().map(count).collect()
    });
    let (samples, trouble) = match counts {
        Ok(samples) => (samples, None),
        Err(trouble) => (vec![vec![]; alternatives.len()], Some(trouble)),
    };
    (Row { label: "calls before `socket`".into(), unit: Unit::Calls, samples }, trouble)
}

fn calls_of(program: &Path) -> Result<f64, String> {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench/strace");
    let mut strace = Command::new(find("strace", "strace")?);
    strace.env_clear().arg("--follow-forks").arg("--output").arg(&log).arg(program);
    let output = run(&mut strace);
    let trace = fs::read_to_string(&log).unwrap_or_default();
    match trace.lines().position(|line| line.contains(" socket(")) {
        Some(calls) => Ok(calls as f64 - 1.0), // execve(2)
        None => Err(output.stderr.lines().next().unwrap_or("it shows no socket(2)").into()),
    }
}

/// Page faults and memory, while the process is in accept(2).
pub fn memory(alternatives: &[Alternative], counts: &Counts) -> [Row; 3] {
    let mut launchers = launchers(alternatives);
    let [mut faults, mut resident, mut shared] = [(); 3].map(|()| vec![vec![]; alternatives.len()]);
    in_namespace(|| {
        each_round(counts.starts_to_look_at, alternatives, |i, _| {
            let server = Server::start(&mut launchers[i]);
            let stat = wait_for("accept", || {
                let stat = server.stat();
                (stat[0] == "S" && rows().contains(&State::LISTEN)).then_some(stat)
            });
            let rollup = server.proc("smaps_rollup");
            let field = |name| -> f64 {
                let line = rollup.lines().find_map(|line| line.strip_prefix(name));
                let number = line.and_then(|line| line.split_whitespace().next());
                number.expect("proc(5) has it").parse().expect("proc(5) has a number")
            };
            faults[i].push(stat[7].parse().expect("proc(5) has a number"));
            resident[i].push(field("Rss:"));
            shared[i].push(field("Pss:"));
        });
    });
    [
        ("page faults, listening", Unit::Faults, faults),
        ("resident memory, listening", Unit::KibiBytes, resident),
        ("its share of it (Pss)", Unit::KibiBytes, shared),
    ]
    .map(|(label, unit, samples)| Row { label: label.into(), unit, samples })
}

/// From before the process is made until its end is seen; the port is in use.
pub fn failed_bind(alternatives: &[Alternative], counts: &Counts) -> Row {
    let mut launchers = launchers(alternatives);
    let mut samples = vec![vec![]; alternatives.len()];
    in_namespace(|| {
        let _holder = hold_port();
        each_program_round(counts.starts, alternatives, |i, alternative| {
            let start = Instant::now();
            let status = launchers[i].status().expect("it is a program");
            samples[i].push(start.elapsed().as_secs_f64());
            let expected = if alternative.serves { 255 } else { 0 };
            assert_eq!(status.code(), Some(expected), "{}", alternative.name);
        });
    });
    Row { label: "start to failed `bind`".into(), unit: Unit::Seconds, samples }
}

/// From before the process is made until a byte has come back through the accepted connection.
pub fn first_accept(alternatives: &[Alternative], counts: &Counts) -> Row {
    let mut launchers = launchers(alternatives);
    let mut samples = vec![vec![]; alternatives.len()];
    in_namespace(|| {
        each_round(counts.starts, alternatives, |i, _| {
            let start = Instant::now();
            let server = Server::start(&mut launchers[i]);
            let mut client = connect();
            exchange(&mut client, &mut [1]);
            samples[i].push(start.elapsed().as_secs_f64());
            server.end(client);
        });
    });
    Row { label: "start to first `accept`".into(), unit: Unit::Seconds, samples }
}

/// Round trips a second with messages of `len` bytes, and the server's CPU time for 10⁹ bytes.
pub fn echo(alternatives: &[Alternative], counts: &Counts, len: usize) -> [Row; 2] {
    let trips = counts.trips(len);
    let mut launchers = launchers(alternatives);
    let [mut rates, mut times] = [(); 2].map(|()| vec![vec![]; alternatives.len()]);
    let mut message: Vec<u8> = (0..len).map(|i| i as u8).collect();
    in_namespace(|| {
        each_round(counts.conversations, alternatives, |i, _| {
            let server = Server::start(&mut launchers[i]);
            let mut client = connect();
            exchange(&mut client, &mut message); // until it is accepted
            let (cpu, start) = (server.cpu_time(), Instant::now());
            for _ in 0..trips {
                exchange(&mut client, &mut message);
            }
            rates[i].push(trips as f64 / start.elapsed().as_secs_f64());
            let bytes = (trips * len) as f64;
            times[i].push((server.cpu_time() - cpu) * 1e9 / bytes);
            server.end(client);
        });
    });
    let size = if len < 1024 { format!("{len} B") } else { format!("{} KiB", len >> 10) };
    let label = format!("round trips of {size} ↑");
    let rate = Row { label, unit: Unit::PerSecond, samples: rates };
    let echoed = trips * len * counts.conversations;
    let label = format!("CPU time for 1 GB, of {:.2} GB", echoed as f64 / 1e9);
    [rate, Row { label, unit: Unit::Seconds, samples: times }]
}

/// Gives every server its turn in each round, and begins each round with another one.
fn each_round(rounds: usize, all: &[Alternative], mut turn: impl FnMut(usize, &Alternative)) {
    each_program_round(rounds, all, |i, alternative| {
        if alternative.serves {
            turn(i, alternative);
        }
    });
}

/// The same with the floor.
fn each_program_round(
    rounds: usize,
    all: &[Alternative],
    mut turn: impl FnMut(usize, &Alternative),
) {
    for round in 0..rounds {
        for i in (0..all.len()).map(|i| (i + round) % all.len()) {
            if all[i].program.is_ok() {
                turn(i, &all[i]);
            }
        }
    }
}

fn servers(alternative: &Alternative) -> impl Iterator<Item = &Path> {
    alternative.program.iter().map(AsRef::as_ref).filter(|_| alternative.serves)
}

/// For each alternative what starts it, with its standard streams on /dev/null.
fn launchers(alternatives: &[Alternative]) -> Vec<Command> {
    let null = File::options().read(true).write(true).open("/dev/null").expect("it is there");
    let stream = || Stdio::from(null.try_clone().expect("descriptors are left"));
    alternatives
        .iter()
        .map(|alternative| {
            let mut command = Command::new(alternative.program.as_deref().unwrap_or(Path::new("")));
            // cargo's LD_LIBRARY_PATH would send the loader on a search.
            command.env_clear().stdin(stream()).stdout(stream()).stderr(stream());
            command
        })
        .collect()
}

/// From here on the bench and what it starts share one CPU: on two, whether and how fast the second
/// one wakes up is most of what is measured.
pub fn share_one_cpu() {
    let this = Pid::from_raw(0);
    let all = sched_getaffinity(this).expect("it is a thread");
    let mut one = CpuSet::new();
    let last = (0..CpuSet::count()).rfind(|&cpu| all.is_set(cpu) == Ok(true));
    one.set(last.expect("it has a CPU")).expect("it is in the set of all");
    sched_setaffinity(this, &one).expect("it is in the set of all");
}

/// A connection as soon as there is one to be had.
fn connect() -> TcpStream {
    let client = wait_for("LISTEN", || TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).ok());
    client.set_nodelay(true).expect("TCP has it");
    client.set_read_timeout(Some(crate::LIMIT)).expect("a limit is given");
    client
}

/// Sends `message`, and waits until it has come back.
fn exchange(client: &mut TcpStream, message: &mut [u8]) {
    client.write_all(message).expect("the server reads");
    if message.len() > BUFF {
        // The server sends 100 bytes, and the rest once these are acknowledged (tcp(7), TCP_NODELAY):
        // without this, a timer of 40 ms would be all that is measured.
        setsockopt(client, QuickAck, &true).expect("TCP has it");
    }
    client.read_exact(message).expect("the server writes");
}

/// A server that ends when this is dropped.
struct Server(Child);

impl Server {
    fn start(launcher: &mut Command) -> Self {
        Self(launcher.spawn().expect("it is a program"))
    }

    /// Closes the connection, and waits for the end of the server: the client closes first, so
    /// that no TIME_WAIT is left on the server's port.
    fn end(mut self, client: TcpStream) {
        drop(client);
        let status = self.0.wait().expect("it is ours");
        assert!(status.success(), "{status}");
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.0.id());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The fields of proc_pid_stat(5) from the third on, the state.
    fn stat(&self) -> Vec<String> {
        let stat = self.proc("stat");
        let (_, fields) = stat.rsplit_once(')').expect("proc(5): the name in parentheses");
        fields.split_whitespace().map(str::to_owned).collect()
    }

    /// In seconds, exactly: proc_pid_stat(5) counts in hundredths.
    fn cpu_time(&self) -> f64 {
        let schedstat = self.proc("schedstat");
        let time = schedstat.split_whitespace().next().expect("the kernel has CONFIG_SCHED_INFO");
        time.parse::<f64>().expect("it is a number") / 1e9
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
