//! Each call of a program fails with every error number, and each read and write is cut short to
//! every length. The port must then do what the C program does.
//!
//! strace replaces the call by its result. It counts the calls of each kind in each process. The start
//! of a C library makes calls of its own, so the trial attaches strace while the program waits: from
//! there on the counts are the same on every runtime.

use crate::differences::Met;
use crate::harness::{
    self, Client, Observation, Place, Process, Program, Row, Runtime, Sender, Strace, Switches,
    Tally, UNICAST, Variant, in_namespace, is_blocked, stop, wait_for, wait_for_rows,
};
use libtest_mimic::Trial;
use nix::libc::{EAGAIN, EINTR, SYS_accept, SYS_read, SYS_recvfrom};
use nix::sys::signal::{Signal, kill};
use std::io::Write;

/// Where the trace of a program begins, and what its client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// At the start. A client connects if the program reaches accept.
    Start,
    /// In accept, the first process alone. A client has connected.
    Accept,
    /// The same, and the process that it forks too.
    Both,
    /// In the first read of the process that serves. All that the client sends has arrived.
    Read,
}

/// A call at one place of the programs.
#[derive(Clone, Copy)]
struct Site {
    name: &'static str,
    stage: Stage,
    /// The errors of other calls that lead to this one, as options of strace.
    after: &'static str,
    /// The name of the call, or its two names, and its number, counted from the stage on.
    call: &'static str,
    when: usize,
    /// How many bytes it reads or writes.
    len: usize,
}

impl Site {
    const fn new(name: &'static str, stage: Stage, call: &'static str, when: usize) -> Self {
        Self { name, stage, after: "", call, when, len: 0 }
    }

    const fn after(self, after: &'static str) -> Self {
        Self { after, ..self }
    }

    const fn len(self, len: usize) -> Self {
        Self { len, ..self }
    }

    const fn writes(self, text: &str) -> Self {
        self.len(text.len())
    }
}

use Stage::{Accept, Both, Read, Start};

/// The calls that both programs have.
const SITES: [Site; 17] = [
    Site::new("socket", Start, "socket", 1),
    Site::new("socket_perror", Start, "write", 1)
        .after("socket:error=EMFILE")
        .writes("socket: : Too many open files\n"),
    Site::new("setsockopt", Start, "setsockopt", 1),
    Site::new("bind", Start, "bind", 1),
    Site::new("bind_perror", Start, "write", 1)
        .after("bind:error=EADDRINUSE")
        .writes("bind: : Address already in use\n"),
    Site::new("listen", Start, "listen", 1),
    Site::new("listen_perror", Start, "write", 1)
        .after("listen:error=EADDRINUSE")
        .writes("listen: : Address already in use\n"),
    Site::new("accept", Accept, "accept", 1),
    Site::new("accept_perror", Accept, "write", 1)
        .after("accept:error=EMFILE")
        .writes("accept: : Too many open files\n"),
    Site::new("first_read", Read, "read", 1).len(100),
    Site::new("first_write", Read, "write", 1).len(100),
    Site::new("second_read", Read, "read", 2).len(100),
    Site::new("second_write", Read, "write", 2).len(100),
    Site::new("third_write", Read, "write", 3).len(100),
    Site::new("last_read", Read, "read", 4).len(100), // without the fault: the end of file
    Site::new("close", Read, "close", 1),
    Site::new("close_after_error", Read, "close", 1).after("read:error=EIO:when=4"),
];

const TREUSEADDR: [Site; 3] = [
    Site::new("connected", Accept, "write", 1).writes("client connected: 4\n"),
    Site::new("close_message", Read, "write", 4).writes("client close: 4\n"),
    Site::new("error_message", Read, "write", 2)
        .after("read:error=EIO:when=2")
        .writes("client error: 4\n"),
];

const TREUSEADDR2: [Site; 8] = [
    Site::new("connected", Accept, "write", 1).writes("[PARENT] client connected: 4\n"),
    Site::new("fork", Accept, "fork,clone", 1),
    Site::new("fork_perror", Accept, "write", 2)
        .after("fork,clone:error=EAGAIN")
        .writes("fork: : Resource temporarily unavailable\n"),
    Site::new("close_in_parent", Accept, "close", 1),
    Site::new("close_in_both", Both, "close", 1), // in the child the close of lfd, with that switch
    Site::new("parent_exit", Accept, "write", 2).writes("[PARENT] parent exit\n"),
    Site::new("close_message", Read, "write", 4).writes("[CHILD] client close: 4\n"),
    Site::new("error_message", Read, "write", 2)
        .after("read:error=EIO:when=2")
        .writes("[CHILD] client error: 4\n"),
];

const UREUSEADDR: [Site; 8] = [
    Site::new("membership", Start, "setsockopt", 2),
    Site::new("membership_perror", Start, "write", 1)
        .after("setsockopt:error=ENODEV:when=2")
        .writes("setsockopt: : No such device\n"),
    Site::new("first_recvfrom", Start, "recvfrom", 1).len(100),
    Site::new("second_recvfrom", Start, "recvfrom", 2).len(100),
    Site::new("recvfrom_perror", Start, "write", 1)
        .after("recvfrom:error=ENOMEM")
        .writes("recvfrom: : Cannot allocate memory\n"),
    Site::new("first_message", Start, "write", 1).writes("[4321] 40000: hello\n"),
    Site::new("second_message", Start, "write", 2).len(100),
    Site::new("third_message", Start, "write", 3).writes("[4321] 40000: \n"),
];

/// All switches off, and all on.
const SWITCHES: [Switches; 2] = [Switches::ALL[0], Switches::ALL[3]];

/// Ranges of error numbers: the kernel's errors; a number without a text; a number that the kernel never
/// returns to a program; and the highest number that a call can return.
const ERRORS: [(i32, i32); 4] = [(1, 133), (134, 134), (512, 512), (4095, 4095)];

/// One in so many faults of a site is in the sample; the others are in the full set.
const STRIDE: usize = 40;

static TALLY: Tally = Tally::new();

pub fn summary() -> Option<String> {
    TALLY.summary("faults, each on three runtimes,")
}

/// The result that replaces that of the call.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Error(i32),
    Short(usize),
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut offset = 0; // so that the sites have different samples
    for (program, shared, own) in [
        (Program::Treuseaddr, &SITES[..], &TREUSEADDR[..]),
        (Program::Treuseaddr2, &SITES, &TREUSEADDR2),
        (Program::Ureuseaddr, &SITES[..5], &UREUSEADDR), // up to bind
    ] {
        for site in shared.iter().chain(own) {
            let mut cases = Vec::new();
            for switches in SWITCHES {
                // The count assumes that the option is on: its call is the first setsockopt.
                if site.call == "setsockopt" && !switches.reuseaddr {
                    continue;
                }
                let errors = ERRORS.into_iter().flat_map(|(first, last)| first..=last);
                let short = (0..site.len).map(Fault::Short);
                let faults = errors.map(Fault::Error).chain(short);
                cases.extend(faults.map(|fault| (switches, fault)));
            }
            let is_sample = |(index, (_, fault)): &(usize, (Switches, Fault))| {
                (index + offset).is_multiple_of(STRIDE)
                    || matches!(fault, Fault::Error(EINTR | EAGAIN)) // the programs test for these two
            };
            let (sample, rest): (Vec<_>, Vec<_>) =
                cases.into_iter().enumerate().partition(is_sample);
            offset += 7;
            let name = format!("fault_{}_{}", program.name(), site.name);
            for (name, cases, is_ignored) in
                [(name.clone(), sample, false), (name + "_all", rest, true)]
            {
                let check = {
                    let name = name.clone();
                    move || {
                        let mut met = Met::default();
                        for (_, (switches, fault)) in cases {
                            compare(program, switches, *site, fault, &mut met);
                        }
                        met.check(&name);
                    }
                };
                trials.push(harness::trial(name, check).with_ignored_flag(is_ignored));
            }
        }
    }
    trials
}

fn compare(program: Program, switches: Switches, site: Site, fault: Fault, met: &mut Met) {
    let observe = |runtime| observe(Variant::new(program, runtime).with(switches), site, fault);
    let c = observe(Runtime::C);
    let mut equal = |runtime| {
        let port = observe(runtime);
        met.compare(&c.observation, &port.observation, runtime)?;
        match (&c.reply, &c.rows) == (&port.reply, &port.rows) {
            true => Ok(()),
            false => Err(format!("C {c:?}, {} {port:?}", runtime.name())),
        }
    };
    let result = [Runtime::Raw, Runtime::Libc].into_iter().try_for_each(&mut equal);
    TALLY.count(result.map_err(|difference| format!("{switches:?}, {fault:?}: {difference}")));
}

/// What a program does when a call fails or is cut short.
#[derive(Debug)]
struct Outcome {
    observation: Observation,
    /// What the client received, and whether a reset ended it.
    reply: Option<(Vec<u8>, bool)>,
    /// What the server leaves in the kernel's table.
    rows: Vec<Row>,
}

fn observe(variant: Variant, site: Site, fault: Fault) -> Outcome {
    let options = options(site, fault);
    let (strace, mut client) = match site.stage {
        Start if variant.program == Program::Ureuseaddr => (receive(variant, &options), None),
        Start => start(variant, &options),
        Accept | Both => attach_in_accept(variant, site.stage == Both, &options),
        Read => attach_in_read(variant, &options),
    };
    let reply = client.as_mut().map(Client::receive_rest);
    let observation = strace.end();
    // The client closes only now: a late packet could end a TIME_WAIT too early.
    wait_for_rows("the client's answer", |rows| !rows.contains(&Row::server("FIN_WAIT1")));
    drop(client);
    let mut rows = wait_for_rows("nothing but TIME_WAIT", |rows| {
        rows.iter().all(|row| row.state == "TIME_WAIT")
    });
    let is_long = rows.len() > 100;
    rows.retain(|row| row.is_server); // the trace shows the client's side
    if is_long || !rows.is_empty() {
        in_namespace(|| ()); // a new one, where the next server can bind
    }
    Outcome { observation, reply, rows }
}

/// The options of strace.
fn options(site: Site, fault: Fault) -> Vec<String> {
    let result = match fault {
        Fault::Error(error) => format!("error={error}"),
        // The kernel never sees the call, so strace fills the buffer.
        Fault::Short(count @ 1..) if site.call == "read" => {
            format!("retval={count}:poke_exit=@arg2={}", "78".repeat(count))
        }
        // strace also writes the sender's address: 127.0.0.1, port 40000.
        Fault::Short(count) if site.call == "recvfrom" => {
            let text =
                if count > 0 { format!("@arg2={},", "78".repeat(count)) } else { String::new() };
            let from = "@arg5=02009c407f0000010000000000000000,@arg6=10000000";
            format!("retval={count}:poke_exit={text}{from}")
        }
        Fault::Short(count) => format!("retval={count}"),
    };
    let mut options =
        vec![Strace::PID.to_owned(), format!("--inject={}:{result}:when={}", site.call, site.when)];
    if !site.after.is_empty() {
        options.push(format!("--inject={}", site.after));
    }
    // After an error C never ends. No port reaches the twelfth of these calls.
    let last = if site.call == "close" { "write" } else { "close" };
    options.push(format!("--inject={last}:signal=SIGKILL:when=12"));
    options
}

/// Traces from the start on.
fn start(variant: Variant, options: &[String]) -> (Strace, Option<Client>) {
    let strace = Strace::start(variant, Place::Terminal, options);
    let first = strace.first;
    let has_ended = wait_for("accept or the end", || match strace.has_ended(first) {
        true => Some(true),
        false => is_blocked(first, SYS_accept).then_some(false),
    });
    let mut client = (!has_ended).then(Client::connect);
    if let Some(client) = &mut client {
        serve(&strace, variant.program, client);
    }
    (strace, client)
}

/// Traces from the start on, until the receiver ends or has printed three datagrams.
fn receive(variant: Variant, options: &[String]) -> Strace {
    let strace = Strace::start(variant, Place::Terminal, options);
    let first = strace.first;
    let sender = Sender::new();
    let is_waiting = || {
        wait_for("recvfrom or the end", || match strace.has_ended(first) {
            true => Some(false),
            false => is_blocked(first, SYS_recvfrom).then_some(true),
        })
    };
    for text in [b"hello\n", &[b'x'; 150][..], b""] {
        if is_waiting() {
            sender.send(UNICAST, text);
        }
    }
    if is_waiting() {
        kill(first, Signal::SIGTERM).expect("the process waits");
    }
    strace.wait_for_end();
    strace
}

/// Traces from accept on. The client connects while the server is stopped there.
fn attach_in_accept(
    variant: Variant,
    follows: bool,
    options: &[String],
) -> (Strace, Option<Client>) {
    let server = Process::start_on_terminal(&mut variant.command());
    let first = server.pid();
    wait_for("accept to wait", || is_blocked(first, SYS_accept).then_some(()));
    stop(first);
    let mut client = Client::connect();
    let strace = Strace::attach(variant.program, server, first, follows, options);
    serve(&strace, variant.program, &mut client);
    (strace, Some(client))
}

/// Lets the client send once the parent has ended, or once the only process waits in read. So the order
/// of the server's calls is always the same. A server that ends without reading is sent nothing.
fn serve(strace: &Strace, program: Program, client: &mut Client) {
    let first = strace.first;
    let reader = wait_for("a server that reads, or the end", || match program {
        Program::Treuseaddr if is_blocked(first, SYS_read) => Some(Some(first)),
        Program::Treuseaddr => strace.has_ended(first).then_some(None),
        _ => strace.has_ended(first).then(|| strace.child()),
    });
    if let Some(reader) = reader {
        wait_for("read to wait", || is_blocked(reader, SYS_read).then_some(()));
        strace.stop(reader);
        send(client);
        kill(reader, Signal::SIGCONT).expect("the server is stopped");
    }
}

/// Traces from the first read on.
fn attach_in_read(variant: Variant, options: &[String]) -> (Strace, Option<Client>) {
    let mut server = Process::start_on_terminal(&mut variant.command());
    let mut client = Client::connect();
    let reader = match variant.program {
        Program::Treuseaddr => server.pid(),
        _ => {
            assert_eq!(server.wait(), 0);
            server.descendant().expect("the child serves")
        }
    };
    wait_for("read to wait", || is_blocked(reader, SYS_read).then_some(()));
    stop(reader);
    send(&mut client);
    (Strace::attach(variant.program, server, reader, false, options), Some(client))
}

/// Sends three full buffers and the end of file. The server is stopped meanwhile.
fn send(client: &mut Client) {
    let bytes = ["a", "b", "c"].map(|text| text.repeat(100)).concat();
    client.0.write_all(bytes.as_bytes()).expect("the client is connected");
    client.shutdown();
    wait_for_rows("the end of file", |rows| rows.contains(&Row::server("CLOSE_WAIT")));
}
