//! The two experiments, recorded step by step.

use crate::harness::{
    Capture, Client, Packet, Process, Program, Row, Runtime, Switches, Variant, run, wait_for,
    wait_for_rows,
};
use nix::sys::signal::Signal;
use std::fs;
use std::process::Command;

/// What happens, and what is to be seen then.
pub struct Step {
    pub what: &'static str,
    /// What is typed at the server's terminal, and what comes out of it.
    pub typed: String,
    pub printed: String,
    /// What the client sends, and what comes back to it.
    pub sent: &'static str,
    pub received: &'static str,
    pub packets: Vec<Packet>,
    /// netstat's rows on the port.
    pub netstat: String,
}

/// A run with a capture beside it.
struct Recorder {
    capture: Capture,
    steps: Vec<Step>,
}

impl Recorder {
    /// Waits for the rows, and records what has come since the last step.
    fn step(&mut self, what: &'static str, typed: String, printed: &str, rows: &[Row]) {
        wait_for_rows(what, |seen| seen == rows);
        let netstat = wait_for("an answer to everything sent", || {
            let table = run(Command::new("netstat").arg("-tna")).stdout;
            let mut rows: Vec<&str> =
                table.lines().filter(|row| row.contains(":3459 ")).map(str::trim_end).collect();
            rows.sort_unstable();
            let is_answered = |row: &&str| row.split_whitespace().nth(2) == Some("0");
            rows.iter().all(is_answered).then(|| rows.join("\n"))
        });
        let (printed, packets) = (printed.to_owned(), self.capture.packets());
        let (sent, received) = Default::default();
        self.steps.push(Step { what, typed, printed, sent, received, packets, netstat });
    }
}

/// The experiment with a program: a server is left as the article leaves it, and a new one is
/// started, `again` with the option or without.
pub fn record(program: Program, switches: Switches, again: bool) -> Vec<Step> {
    // A client has the one port that there is, the same in every run.
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40000").expect("it is our network");
    let variant = |switches| Variant::new(program, Runtime::Raw).with(switches);
    let established = [Row::client("ESTABLISHED"), Row::server("ESTABLISHED")];
    let listening = [&established[..], &[Row::LISTEN]].concat();
    let mut recorder = Recorder { capture: Capture::start(), steps: Vec::new() };

    let mut old = Process::start_on_terminal(&mut variant(switches).command());
    let start = "The server starts, and listens.";
    recorder.step(start, command(program, switches), "", &[Row::LISTEN]);
    let mut client = Client::connect();
    let left = match program {
        Program::Treuseaddr => {
            let connected = "client connected: 4\n";
            old.stdout.wait_for(connected);
            recorder.step("A client connects.", String::new(), connected, &listening);
            hello(
                &mut recorder,
                &mut client,
                "The server echoes what the client says.",
                &listening,
            );

            old.signal(Signal::SIGINT);
            old.wait();
            let half = [Row::client("CLOSE_WAIT"), Row::server("FIN_WAIT2")];
            let what = "Ctrl+C ends the server: its end of the connection is closed first.";
            recorder.step(what, "^C".to_owned(), "", &half);
            drop(client);
            let what = "The client closes, too. The server's row stays for 60 seconds, and belongs \
                        to no process.";
            recorder.step(what, String::new(), "", &[Row::TIME_WAIT]);
            vec![Row::TIME_WAIT]
        }
        Program::Treuseaddr2 => {
            assert_eq!(old.wait(), 0, "the parent exits");
            let (what, rows) = match switches.close_listener {
                true => (
                    "A client connects. The parent forks and ends; its child has closed the \
                     listener.",
                    established.to_vec(),
                ),
                false => (
                    "A client connects. The parent forks and ends; its child has the connection, \
                     and still the listener.",
                    listening,
                ),
            };
            let connected = "[PARENT] client connected: 4\n[PARENT] parent exit\n";
            old.stdout.wait_for(connected);
            recorder.step(what, String::new(), connected, &rows);
            hello(&mut recorder, &mut client, "The child echoes what the client says.", &rows);
            rows
        }
    };
    start_again(&mut recorder, variant(Switches { reuseaddr: again, ..switches }), left);
    recorder.steps
}

fn hello(recorder: &mut Recorder, client: &mut Client, what: &'static str, rows: &[Row]) {
    client.exchange("hello\n");
    recorder.step(what, String::new(), "", rows);
    if let Some(step) = recorder.steps.last_mut() {
        (step.sent, step.received) = ("hello\n", "hello\n");
    }
}

fn start_again(recorder: &mut Recorder, variant: Variant, left: Vec<Row>) {
    const IN_USE: &str = "bind: : Address already in use\n";
    let listeners = |rows: &[Row]| rows.iter().filter(|row| **row == Row::LISTEN).count();
    let typed = command(variant.program, variant.switches);
    let mut new = Process::start_on_terminal(&mut variant.command());
    let has_ended = wait_for("the new server to listen or end", || {
        match (new.ended(), listeners(&crate::harness::rows()) > listeners(&left)) {
            (Some(_), _) => Some(true),
            (None, true) => Some(false),
            (None, false) => None,
        }
    });
    if has_ended {
        assert_eq!((new.wait(), &*new.stdout.to_end()), (255, IN_USE));
        recorder.step("The server is started again: the address is in use.", typed, IN_USE, &left);
    } else {
        let mut rows = [left, vec![Row::LISTEN]].concat();
        rows.sort();
        recorder.step("The server is started again: it listens.", typed, "", &rows);
    }
}

/// What starts the server, at the shell's prompt.
fn command(program: Program, switches: Switches) -> String {
    let mut command = format!("$ cargo run --bin {}", program.name());
    let mut features = switches.features();
    if program == Program::Treuseaddr {
        features.retain(|feature| *feature != "close-listener");
    }
    if !features.is_empty() {
        command.push_str(" --features ");
        command.push_str(&features.join(","));
    }
    command
}
