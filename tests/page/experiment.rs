//! The experiments, recorded step by step.

use crate::harness::{
    BROADCAST, Capture, Client, MULTICAST, Packet, Process, Program, Row, Runtime, Sender,
    Switches, UNICAST, Variant, is_blocked, run, wait_for, wait_for_rows,
};
use crate::outcomes::started;
use nix::libc::SYS_recvfrom;
use nix::sys::signal::Signal;
use std::fs;
use std::process::Command;

/// What happens, and what is to be seen then.
#[derive(Default)]
pub struct Step {
    pub what: &'static str,
    /// What is typed at the server's terminal, and what comes out of it.
    pub typed: String,
    pub printed: String,
    /// The same at the terminal of a second receiver.
    pub typed_second: String,
    pub printed_second: String,
    /// What the client sends, and what comes back to it.
    pub sent: &'static str,
    pub received: &'static str,
    pub packets: Vec<Packet>,
    /// netstat's rows on the port.
    pub netstat: String,
}

/// What netstat is asked to show.
pub fn netstat_options(program: Program) -> &'static str {
    match program {
        Program::Ureuseaddr => "-una",
        _ => "-tna",
    }
}

/// A run with a capture beside it.
struct Recorder {
    program: Program,
    capture: Capture,
    steps: Vec<Step>,
}

impl Recorder {
    /// Waits for the rows, and records what has come since the last step.
    fn step(&mut self, rows: &[Row], mut step: Step) {
        wait_for_rows(step.what, |seen| seen == rows);
        step.netstat = wait_for("an answer to everything sent", || {
            let table = run(Command::new("netstat").arg(netstat_options(self.program))).stdout;
            let mut rows: Vec<&str> =
                table.lines().filter(|row| row.contains(":3459 ")).map(str::trim_end).collect();
            rows.sort_unstable();
            let is_answered = |row: &&str| row.split_whitespace().nth(2) == Some("0");
            rows.iter().all(is_answered).then(|| rows.join("\n"))
        });
        step.packets = self.capture.packets();
        self.steps.push(step);
    }
}

/// The experiment with a program: a server is left as the article leaves it, or a receiver is there,
/// and a new one is started, `again` with the option or without. The steps before that, and from
/// there on.
pub fn record(program: Program, switches: Switches, again: bool) -> [Vec<Step>; 2] {
    // A client has the one port that there is, the same in every run.
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40000").expect("it is our network");
    let mut recorder = Recorder { program, capture: Capture::start(), steps: Vec::new() };
    let variant = |switches| Variant::new(program, Runtime::Raw).with(switches);
    let [old, new] = [switches, Switches { reuseaddr: again, ..switches }].map(variant);
    let before = match program {
        Program::Ureuseaddr => receive(&mut recorder, old, new),
        _ => serve(&mut recorder, old, new),
    };
    let after = recorder.steps.split_off(before);
    [recorder.steps, after]
}

/// Gives the number of steps before the second server.
fn serve(recorder: &mut Recorder, old: Variant, new: Variant) -> usize {
    let established = [Row::client("ESTABLISHED"), Row::server("ESTABLISHED")];
    let listening = [&established[..], &[Row::LISTEN]].concat();
    let mut server = Process::start_on_terminal(&mut old.command());
    recorder.step(
        &[Row::LISTEN],
        Step { what: "The server starts, and listens.", typed: command(old), ..Step::default() },
    );
    let mut client = Client::connect();
    let printed = match old.program {
        Program::Treuseaddr2 => "[PARENT] client connected: 4\n[PARENT] parent exit\n",
        _ => "client connected: 4\n",
    };
    server.stdout.wait_for(printed);
    let left = if old.program == Program::Treuseaddr2 {
        assert_eq!(server.wait(), 0, "the parent exits");
        let (what, rows) = match old.switches.close_listener {
            true => (
                "A client connects. The parent forks and ends; its child has closed the listener.",
                established.to_vec(),
            ),
            false => (
                "A client connects. The parent forks and ends; its child has the connection, and \
                 still the listener.",
                listening,
            ),
        };
        recorder.step(&rows, Step { what, printed: printed.to_owned(), ..Step::default() });
        hello(recorder, &mut client, "The child echoes what the client says.", &rows);
        rows
    } else {
        let printed = printed.to_owned();
        recorder.step(&listening, Step { what: "A client connects.", printed, ..Step::default() });
        hello(recorder, &mut client, "The server echoes what the client says.", &listening);

        server.signal(Signal::SIGINT);
        server.wait();
        let half = [Row::client("CLOSE_WAIT"), Row::server("FIN_WAIT2")];
        let what = "Ctrl+C ends the server: its end of the connection is closed first.";
        recorder.step(&half, Step { what, typed: "^C".to_owned(), ..Step::default() });
        drop(client);
        let what = "The client closes, too. The server's row stays for 60 seconds, and belongs to no \
                    process.";
        recorder.step(&[Row::TIME_WAIT], Step { what, ..Step::default() });
        vec![Row::TIME_WAIT]
    };
    let before = recorder.steps.len();
    start_again(recorder, new, left);
    before
}

fn hello(recorder: &mut Recorder, client: &mut Client, what: &'static str, rows: &[Row]) {
    client.exchange("hello\n");
    recorder.step(rows, Step { what, sent: "hello\n", received: "hello\n", ..Step::default() });
}

const IN_USE: &str = "bind: : Address already in use\n";

fn start_again(recorder: &mut Recorder, new: Variant, left: Vec<Row>) {
    let start = || Process::start_on_terminal(&mut new.command());
    let (mut server, is_listening) = started(start);
    let mut step = Step { typed: command(new), ..Step::default() };
    let mut rows = left;
    if !is_listening {
        assert_eq!((server.wait(), &*server.stdout.to_end()), (255, IN_USE));
        step.what = "The server is started again: the address is in use.";
        step.printed = IN_USE.to_owned();
    } else {
        rows.push(Row::LISTEN);
        rows.sort();
        step.what = "The server is started again: it listens.";
    }
    recorder.step(&rows, step);
}

/// Gives the number of steps before the second receiver.
fn receive(recorder: &mut Recorder, old: Variant, new: Variant) -> usize {
    let sender = Sender::new();
    let is_waiting = |receiver: &Process| is_blocked(receiver.pid(), SYS_recvfrom);
    let first = Process::start_on_terminal(&mut old.command());
    wait_for("the receiver to wait", || is_waiting(&first).then_some(()));
    let what = "A receiver starts, and joins the group 239.255.34.59.";
    recorder.step(&[], Step { what, typed: command(old), ..Step::default() });
    sender.send(MULTICAST, b"multicast\n");
    first.stdout.wait_for("multicast\n");
    let what = "A datagram to the group: the receiver prints it.";
    let mut seen = [String::new(), String::new()];
    let printed = news(&first, "4321", &mut seen[0]);
    recorder.step(&[], Step { what, sent: "multicast\n", printed, ..Step::default() });

    let mut second = Process::start_on_terminal(&mut new.command());
    let has_ended = wait_for("the second one to wait or end", || match second.ended() {
        Some(_) => Some(true),
        None => is_waiting(&second).then_some(false),
    });
    let mut step = Step { typed_second: command(new), ..Step::default() };
    if has_ended {
        assert_eq!((second.wait(), &*second.stdout.to_end()), (255, IN_USE));
        step.what = "A second one is started: the address is in use.";
        step.printed_second = IN_USE.to_owned();
        recorder.step(&[], step);
        return 2;
    }
    step.what = "A second one is started: it has the port, too.";
    recorder.step(&[], step);
    for (what, to, sent) in [
        ("Another datagram to the group reaches both.", MULTICAST, "multicast again\n"),
        ("One to every address reaches both.", BROADCAST, "broadcast\n"),
        (
            "One to 127.0.0.1 reaches the last one alone. The first has lost it.",
            UNICAST,
            "unicast\n",
        ),
    ] {
        sender.send(to, sent.as_bytes());
        second.stdout.wait_for(sent);
        // What it was sent it has printed when it waits again: on loopback sending is delivering.
        wait_for("the first to wait", || is_waiting(&first).then_some(()));
        let printed = news(&first, "4321", &mut seen[0]);
        let printed_second = news(&second, "4322", &mut seen[1]);
        assert_eq!(printed.is_empty(), to == UNICAST, "whether the first prints {sent}");
        recorder.step(&[], Step { what, sent, printed, printed_second, ..Step::default() });
    }
    2
}

/// What a receiver has printed since, with a number in place of its own.
fn news(receiver: &Process, number: &str, seen: &mut String) -> String {
    let text =
        receiver.stdout.text().replace(&format!("[{}]", receiver.pid()), &format!("[{number}]"));
    let news = text.strip_prefix(&**seen).expect("nothing is taken back").to_owned();
    *seen = text;
    news
}

/// What starts the program, at the shell's prompt.
fn command(variant: Variant) -> String {
    let mut command = format!("$ cargo run --bin {}", variant.program.name());
    let mut features = variant.switches.features();
    features
        .retain(|feature| *feature != "close-listener" || variant.program == Program::Treuseaddr2);
    if !features.is_empty() {
        command.push_str(" --features ");
        command.push_str(&features.join(","));
    }
    command
}
