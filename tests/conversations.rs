//! Random conversations: on each runtime the client receives the same bytes, and the server prints the
//! same and ends in the same way.
//!
//! A schedule has one outcome, whichever side is quicker: where the client could race with the server,
//! it first stops the server, or waits for its answer.

use crate::harness::{
    self, Client, Process, Program, Row, Runtime, Switches, Tally, Variant, in_namespace, stop,
    wait_for, wait_for_rows,
};
use fastrand::Rng;
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::sync::LazyLock;

/// What a client does.
#[derive(Clone, Debug)]
enum Action {
    /// Sends messages of these lengths in one packet.
    Send(Vec<usize>),
    /// Waits until all that was sent has come back.
    Pause,
    /// Stops the server.
    Stop,
    /// Closes the sending side.
    Shutdown,
}

/// What a client does last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// Reads until the server closes.
    ReadToEnd,
    Close,
    /// Closes when the whole echo has arrived and is unread: the kernel sends a reset.
    CloseUnread,
    Reset,
}

#[derive(Debug)]
struct Schedule {
    switches: Switches,
    actions: Vec<Action>,
    last: Last,
}

/// The schedules of one trial, and the trials of each program: how many, and whether they are ignored.
const SCHEDULES: usize = 500;
const TRIALS: [(usize, bool); 2] = [(2, false), (8, true)];

/// The seed: `TREUSEADDR_SEED`, or a new one.
static SEED: LazyLock<u64> = LazyLock::new(|| match std::env::var("TREUSEADDR_SEED") {
    Ok(seed) => seed.parse().expect("TREUSEADDR_SEED is a number"),
    Err(_) => fastrand::u64(..),
});
static TALLY: Tally = Tally::new();

pub fn summary() -> Option<String> {
    let summary = TALLY.summary("conversations, each on three runtimes,")?;
    Some(format!("{summary}, TREUSEADDR_SEED={}", *SEED))
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for program in Program::SERVERS {
        let mut number = 0;
        for (count, is_ignored) in TRIALS {
            for _ in 0..count {
                let numbers = number * SCHEDULES..(number + 1) * SCHEDULES;
                let name = format!("conversation_{}_{number}", program.name());
                let trial = harness::trial(name, move || {
                    for number in numbers {
                        compare(program, number);
                    }
                });
                trials.push(trial.with_ignored_flag(is_ignored));
                number += 1;
            }
        }
    }
    trials
}

impl Schedule {
    fn new(random: &mut Rng) -> Self {
        let mut actions = Vec::new();
        for _ in 0..random.usize(..8) {
            actions.push(match random.u8(..3) {
                0 => Action::Pause,
                _ => Action::Send(lengths(random)),
            });
        }
        let last = match random.u8(..6) {
            0 | 1 => {
                actions.push(Action::Shutdown);
                Last::ReadToEnd
            }
            // The server's next call reports the reset, whichever call that is.
            2 => Last::Reset,
            3 => {
                actions.push(Action::Pause); // with nothing unread, close sends no reset
                Last::Close
            }
            4 => {
                actions.extend([Action::Pause, Action::Send(lengths(random))]);
                Last::CloseUnread
            }
            // Without a shutdown the server then gets an error. With one it gets SIGPIPE if data is
            // waiting, and the end of file if not.
            _ => {
                actions.extend([Action::Pause, Action::Stop]);
                actions.extend(random.bool().then(|| Action::Send(lengths(random))));
                actions.extend(random.bool().then_some(Action::Shutdown));
                Last::Reset
            }
        };
        Self { switches: random.choice(Switches::ALL).expect("there are four sets"), actions, last }
    }
}

/// The lengths of messages sent together: shorter than the buffer, as long and longer.
fn lengths(random: &mut Rng) -> Vec<usize> {
    let length = |random: &mut Rng| match random.u8(..3) {
        0 => random.usize(1..10),
        1 => random.usize(98..=102),
        _ => random.usize(1..1_000),
    };
    (0..random.usize(1..4)).map(|_| length(random)).collect()
}

fn compare(program: Program, number: usize) {
    if number.is_multiple_of(50) {
        in_namespace(|| ()); // a new one, before TIME_WAIT fills the table
    }
    let schedule = Schedule::new(&mut Rng::with_seed(SEED.wrapping_add(number as u64)));
    let converse = |runtime| converse(program, runtime, &schedule);
    let c = converse(Runtime::C);
    let mut ports =
        [Runtime::Raw, Runtime::Libc].map(|runtime| (runtime, converse(runtime))).into_iter();
    let is_other = |port: &Outcome| c != *port && !(c.is_endless && c.begins_with(port, program));
    TALLY.count(match ports.find(|(_, port)| is_other(port)) {
        None => Ok(()),
        Some((runtime, port)) => Err(format!(
            "TREUSEADDR_SEED={}, schedule {number}, {schedule:?}: C {c:?}, {} {port:?}",
            *SEED,
            runtime.name()
        )),
    });
}

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// What the client has received.
    received: Vec<u8>,
    /// What the server has printed on its terminal.
    said: String,
    /// How the server has ended: its status, or the negative number of its signal.
    status: i32,
    /// Whether the test killed it, because it printed the same line without end.
    is_endless: bool,
}

impl Outcome {
    /// Whether this is C after an error: it repeats the message where the port ends.
    fn begins_with(&self, port: &Self, program: Program) -> bool {
        let error = error(program);
        let rest = self.said.strip_prefix(&port.said);
        let rest = rest.is_some_and(|rest| {
            rest.split_inclusive('\n')
                .all(|line| line == error || !line.ends_with('\n') && error.starts_with(line))
        });
        self.received == port.received && rest && port.said.ends_with(&error) && port.status == 0
    }
}

fn error(program: Program) -> String {
    format!("{}client error: 4\n", program.prefix())
}

fn converse(program: Program, runtime: Runtime, schedule: &Schedule) -> Outcome {
    let variant = Variant::new(program, runtime).with(schedule.switches);
    let mut server = Process::start_on_terminal(&mut variant.command());
    let client = Client::connect();
    let pid = match program {
        Program::Treuseaddr => {
            server.stdout.wait_for("client connected: 4\n");
            server.pid()
        }
        _ => {
            assert_eq!(server.wait(), 0, "the parent exits");
            server.descendant().expect("the child serves")
        }
    };
    let received = talk(client, pid, schedule);

    let error = error(program);
    let mut is_endless = false;
    let status = wait_for("the end of the server, or its error twice", || {
        if !is_endless && server.stdout.text().matches(&error).count() > 1 {
            is_endless = true;
            kill(pid, Signal::SIGKILL).expect("the server still runs");
        }
        match program {
            Program::Treuseaddr => server.ended().map(|_| server.wait()),
            _ => server.descendant_ended(pid),
        }
    });
    // The server's side is gone too, LAST_ACK included: otherwise the next server could not bind.
    wait_for_rows("nothing of the server", |rows| rows.iter().all(|row| !row.is_server));
    Outcome { received, said: server.stdout.to_end(), status, is_endless }
}

/// Goes through the schedule. Returns what the client has received.
fn talk(mut client: Client, server: Pid, schedule: &Schedule) -> Vec<u8> {
    let mut received = Vec::new();
    let mut sent = 0;
    let mut is_stopped = false;
    let mut is_shut_down = false;
    for action in &schedule.actions {
        match action {
            Action::Send(lengths) => {
                let messages = lengths.iter().enumerate();
                let messages: Vec<u8> = messages
                    .flat_map(|(i, length)| std::iter::repeat_n(b'a' + i as u8, *length))
                    .collect();
                client.0.write_all(&messages).expect("the client is connected");
                sent += messages.len();
            }
            Action::Pause => {
                let mut echo = vec![0; sent - received.len()];
                client.0.read_exact(&mut echo).expect("the server writes");
                received.extend(echo);
            }
            Action::Stop => {
                is_stopped = true;
                stop(server);
            }
            Action::Shutdown => {
                client.shutdown();
                is_shut_down = true;
            }
        }
    }
    match schedule.last {
        Last::ReadToEnd => {
            let (echo, is_reset) = client.receive_rest();
            assert!(!is_reset);
            received.extend(echo);
        }
        Last::Close => drop(client),
        Last::CloseUnread => {
            let mut echo = vec![0; sent - received.len()];
            wait_for("the whole echo", || {
                let count = client.0.peek(&mut echo).expect("the server writes");
                (count == echo.len()).then_some(())
            });
            drop(client);
        }
        Last::Reset => {
            if is_stopped && is_shut_down {
                let end = Row::server("CLOSE_WAIT");
                wait_for_rows("the end of file", |rows| rows.contains(&end));
            }
            client.reset();
        }
    }
    if is_stopped {
        wait_for_rows("the reset", |rows| {
            rows.iter().all(|row| row.state == "TIME_WAIT" || *row == Row::LISTEN)
        });
        kill(server, Signal::SIGCONT).expect("the server is stopped");
    }
    received
}
