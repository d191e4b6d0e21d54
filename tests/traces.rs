//! A port makes the calls that the C program makes, with the arguments and results that it has,
//! and says what it says; docs/differences.md tells where not.

use crate::differences::Met;
use crate::harness::{
    self, BROADCAST, Client, MULTICAST, Place, Program, Row, Runtime, Sender, Strace, Switches,
    Tally, UNICAST, Variant, forbid_memberships, hold_port, hold_udp_port, in_namespace,
    wait_for_rows,
};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use std::io::{Read, Write};
use std::net::Ipv4Addr;

/// What happens to the server, from its start on. A scenario waits for a state before each step, so that
/// no result depends on whether the server or the client is faster.
type Scenario = fn(&dyn Fn() -> Strace) -> Strace;

const SCENARIOS: [(&str, Scenario); 17] = [
    ("echo_and_close", echo_and_close),
    ("several_reads", several_reads),
    ("client_resets", client_resets),
    ("client_resets_at_once", client_resets_at_once),
    ("client_closes_unread", client_closes_unread),
    ("client_half_closes", client_half_closes),
    ("client_closes_at_once", client_closes_at_once),
    ("port_in_use", port_in_use),
    ("sigint_in_accept", |start| ends_in_accept(start, Signal::SIGINT)),
    ("sigterm_in_accept", |start| ends_in_accept(start, Signal::SIGTERM)),
    ("sigint_in_read", |start| ends_in_read(start, Signal::SIGINT)),
    ("sigterm_in_read", |start| ends_in_read(start, Signal::SIGTERM)),
    ("peer_gone_while_writing", peer_gone_while_writing),
    ("peer_reset_while_writing", peer_reset_while_writing),
    ("stop_and_continue_in_accept", stop_and_continue_in_accept),
    ("stop_and_continue_in_read", stop_and_continue_in_read),
    ("second_client_waits", second_client_waits),
];

const RECEIVER_SCENARIOS: [(&str, Scenario); 8] = [
    ("datagrams", datagrams),
    ("lengths", lengths),
    ("texts", texts),
    ("port_in_use", udp_port_in_use),
    ("without_memberships", without_memberships),
    ("sigint", |start| receiver_ends(start, Signal::SIGINT)),
    ("sigterm", |start| receiver_ends(start, Signal::SIGTERM)),
    ("stop_and_continue", receiver_stops_and_continues),
];

/// C goes on for ever after an error: this many calls of close, and strace kills it.
const END: &str = "--inject=close:signal=SIGKILL:when=20";

static TALLY: Tally = Tally::new();

pub fn summary() -> Option<String> {
    TALLY.summary("scenarios, each on three runtimes, a terminal and pipes,")
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for program in Program::ALL {
        let scenarios = match program {
            Program::Ureuseaddr => &RECEIVER_SCENARIOS[..],
            _ => &SCENARIOS,
        };
        for &(name, scenario) in scenarios {
            let name = format!("trace_{}_{name}", program.name());
            trials.push(harness::trial(name.clone(), move || {
                let mut met = Met::default();
                for switches in Switches::ALL {
                    let result = compare(program, switches, scenario, &mut met);
                    TALLY.count(result.map_err(|difference| format!("{switches:?}: {difference}")));
                }
                met.check(&name);
            }));
        }
    }
    trials
}

fn compare(
    program: Program,
    switches: Switches,
    scenario: Scenario,
    met: &mut Met,
) -> Result<(), String> {
    let observe = |runtime| {
        let variant = Variant::new(program, runtime).with(switches);
        Place::ALL.map(|place| {
            in_namespace(|| {
                let options = [END, Strace::PID].map(str::to_owned);
                scenario(&|| Strace::start(variant, place, &options)).end()
            })
        })
    };
    let [c, c_pipes] = observe(Runtime::C);
    let [raw, raw_pipes] = observe(Runtime::Raw);
    let [libc, libc_pipes] = observe(Runtime::Libc);
    met.compare(&c, &raw, Runtime::Raw)?;
    met.compare(&c, &libc, Runtime::Libc)?;
    met.compare(&c_pipes, &libc_pipes, Runtime::Libc)?;

    // Where C goes on for ever, SIGKILL destroys what the process that serves still has in its buffer.
    // The libc port writes the same buffer when it exits: its messages on a terminal, without the
    // parent's last one, which treuseaddr2's parent prints after fork has copied the buffer.
    let is_killed = c_pipes.processes.iter().flatten().any(|line| line.ends_with("SIGKILL +++"));
    let kept =
        if is_killed { libc.stdout.replace("[PARENT] parent exit\n", "") } else { String::new() };
    if libc_pipes.stdout != [&*c_pipes.stdout, &kept].concat() {
        return Err(format!("C into pipes {c_pipes:?}, kept {kept:?}, libc {libc_pipes:?}"));
    }

    // The raw port makes no call before socket. It does not buffer its messages, and does not ask whether
    // descriptor 1 is a terminal.
    let is_first = matches!(&raw.before[..], [execve] if execve.starts_with("execve("));
    let is_same = (&raw.processes, raw.status) == (&raw_pipes.processes, raw_pipes.status)
        && raw.stdout == [&*raw_pipes.stdout, &raw_pipes.stderr].concat();
    match is_first && is_same {
        true => Ok(()),
        false => Err(format!("raw on a terminal {raw:?}, into pipes {raw_pipes:?}")),
    }
}

fn echo_and_close(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    let mut client = server.connect();
    server.wait_for_read();
    client.exchange("hello\n");
    server
}

/// The client sends up to 1,000 bytes at once, and the server reads them 100 at a time.
fn several_reads(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    let mut client = server.connect();
    server.wait_for_read();
    for size in [1, 99, 100, 101, 250, 1_000] {
        client.exchange(&"x".repeat(size));
    }
    server
}

fn client_resets(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    let mut client = server.connect();
    server.wait_for_read();
    client.exchange("hello\n");
    server.wait_for_read();
    client.reset();
    server
}

fn client_resets_at_once(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    let client = server.connect();
    server.wait_for_read();
    client.reset();
    server
}

/// Closed with an echo that nobody has read, a connection is reset.
fn client_closes_unread(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    let mut client = server.connect();
    server.wait_for_read();
    client.0.write_all(b"hello\n").expect("the server reads");
    client.0.peek(&mut [0]).expect("the server writes");
    server.wait_for_read();
    drop(client);
    server
}

fn client_half_closes(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    let mut client = server.connect();
    server.wait_for_read();
    client.0.write_all(&[b'x'; 250]).expect("the server reads");
    client.shutdown();
    let mut echo = String::new();
    client.0.read_to_string(&mut echo).expect("the server writes and closes");
    assert_eq!(echo.len(), 250);
    server
}

fn client_closes_at_once(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    let _client = server.connect();
    server.wait_for_read(); // the parent and the child do not speak at the same time
    server
}

fn port_in_use(start: &dyn Fn() -> Strace) -> Strace {
    let _listener = hold_port();
    let server = start();
    server.wait_for_end();
    server
}

fn ends_in_accept(start: &dyn Fn() -> Strace, signal: Signal) -> Strace {
    let server = start();
    server.wait_for_accept();
    kill(server.first, signal).expect("it is there");
    server
}

fn ends_in_read(start: &dyn Fn() -> Strace, signal: Signal) -> Strace {
    let server = start();
    let mut client = server.connect();
    server.wait_for_read();
    client.exchange("hello\n");
    kill(server.wait_for_read(), signal).expect("it is there");
    server.wait_for_end();
    server
}

/// The stopped server finds data to read, and a peer that has closed and then reset: SIGPIPE.
fn peer_gone_while_writing(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    let mut client = server.connect();
    let pid = server.wait_for_read();
    server.stop(pid);
    client.0.write_all(b"hello\n").expect("it is connected");
    client.shutdown();
    wait_for_rows("the end of file", |rows| rows.contains(&Row::server("CLOSE_WAIT")));
    client.reset();
    wait_for_reset();
    kill(pid, Signal::SIGCONT).expect("it is there");
    server
}

/// The same without the close: no SIGPIPE.
fn peer_reset_while_writing(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    let mut client = server.connect();
    let pid = server.wait_for_read();
    server.stop(pid);
    client.0.write_all(b"hello\n").expect("it is connected");
    client.reset();
    wait_for_reset();
    kill(pid, Signal::SIGCONT).expect("it is there");
    server
}

/// Until the kernel has no connection of the server left.
fn wait_for_reset() {
    wait_for_rows("the reset", |rows| rows.iter().all(|row| !row.is_server || *row == Row::LISTEN));
}

fn stop_and_continue_in_accept(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    server.wait_for_accept();
    server.stop(server.first);
    kill(server.first, Signal::SIGCONT).expect("it is there");
    let mut client = server.connect();
    server.wait_for_read();
    client.exchange("hello\n");
    server
}

fn stop_and_continue_in_read(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    let mut client = server.connect();
    let pid = server.wait_for_read();
    server.stop(pid);
    kill(pid, Signal::SIGCONT).expect("it is there");
    server.wait_for_read();
    client.exchange("hello\n");
    server
}

/// The server accepts one client. The other client waits in the backlog until the server closes its listener.
fn second_client_waits(start: &dyn Fn() -> Strace) -> Strace {
    let server = start();
    server.wait_for_accept();
    server.stop(server.first);
    let mut client = Client::connect();
    wait_for_rows("the first", |rows| rows.contains(&Row::server("ESTABLISHED")));
    let mut second = Client::connect();
    kill(server.first, Signal::SIGCONT).expect("it is there");
    server.wait_for_read();
    client.exchange("hello\n");
    drop(client);
    assert_eq!(second.receive_rest(), (vec![], true));
    server
}

/// Has the receiver print what is sent to it, each before the next, and ends it.
fn receive(receiver: Strace, sender: &Sender, datagrams: &[(Ipv4Addr, &[u8])]) -> Strace {
    receiver.wait_for_read();
    for (to, bytes) in datagrams {
        sender.send(*to, bytes);
        receiver.wait_for_read();
    }
    kill(receiver.first, Signal::SIGTERM).expect("it is there");
    receiver.wait_for_end();
    receiver
}

fn datagrams(start: &dyn Fn() -> Strace) -> Strace {
    receive(
        start(),
        &Sender::new(),
        &[UNICAST, MULTICAST, BROADCAST].map(|to| (to, &b"hello\n"[..])),
    )
}

/// The kernel discards the bytes of a datagram that do not fit into the receiver's buffer.
fn lengths(start: &dyn Fn() -> Strace) -> Strace {
    let bytes = [b'x'; 65_507]; // the longest there is
    let lengths = [0, 1, 99, 100, 101, 1_000, bytes.len()];
    receive(start(), &Sender::new(), &lengths.map(|length| (UNICAST, &bytes[..length])))
}

/// A datagram is a line, whatever its bytes: a newline or a NUL ends what is printed of it.
fn texts(start: &dyn Fn() -> Strace) -> Strace {
    let texts: [&[u8]; 7] =
        [b"\n", b"\0", b"one\ntwo\n", b"one\0two", b"caf\xc3\xa9 \xff", b"%d%s%n", b"\r\n"];
    receive(start(), &Sender::new(), &texts.map(|text| (UNICAST, text)))
}

fn udp_port_in_use(start: &dyn Fn() -> Strace) -> Strace {
    let _other = hold_udp_port();
    let receiver = start();
    receiver.wait_for_end();
    receiver
}

fn without_memberships(start: &dyn Fn() -> Strace) -> Strace {
    forbid_memberships();
    let receiver = start();
    receiver.wait_for_end();
    receiver
}

fn receiver_ends(start: &dyn Fn() -> Strace, signal: Signal) -> Strace {
    let receiver = start();
    receiver.wait_for_read();
    kill(receiver.first, signal).expect("it is there");
    receiver.wait_for_end();
    receiver
}

/// Datagrams for a stopped receiver wait in its socket.
fn receiver_stops_and_continues(start: &dyn Fn() -> Strace) -> Strace {
    let receiver = start();
    receiver.wait_for_read();
    receiver.stop(receiver.first);
    let sender = Sender::new();
    for text in [&b"one\n"[..], b"two\n"] {
        sender.send(MULTICAST, text);
    }
    kill(receiver.first, Signal::SIGCONT).expect("it is there");
    receive(receiver, &sender, &[(UNICAST, b"three\n")])
}
