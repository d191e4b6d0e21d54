//! Can a new server listen while the old one's TIME_WAIT is left, or while its child still listens?

use crate::harness::{
    self, Client, Process, Program, Row, Runtime, Switches, Variant, rows, wait_for,
    wait_for_exactly,
};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use std::process::Command;

/// A program, and whether a new server listens: `listens[old][new]`, by the option of each server.
#[derive(Clone, Copy)]
pub struct Experiment {
    pub name: &'static str,
    pub program: Program,
    close_listener: bool,
    pub listens: [[bool; 2]; 2],
}

pub const EXPERIMENTS: [Experiment; 3] = [
    Experiment {
        name: "treuseaddr",
        program: Program::Treuseaddr,
        close_listener: false,
        listens: [[false, false], [false, true]],
    },
    Experiment {
        name: "treuseaddr2",
        program: Program::Treuseaddr2,
        close_listener: false,
        listens: [[false, false], [false, false]],
    },
    Experiment {
        name: "treuseaddr2_close_listener",
        program: Program::Treuseaddr2,
        close_listener: true,
        listens: [[false, false], [false, true]],
    },
];

/// Whether the old server has the option, and whether the new one has.
pub const PAIRS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for experiment in EXPERIMENTS {
        for runtime in Runtime::ALL {
            for (old, new) in PAIRS {
                let word = |reuseaddr| if reuseaddr { "yes" } else { "no" };
                let (name, runtime_name) = (experiment.name, runtime.name());
                let name = format!("outcome_{name}_{runtime_name}_{}_{}", word(old), word(new));
                let expected = experiment.listens[usize::from(old)][usize::from(new)];
                trials.push(harness::trial(name, move || {
                    let listens = listens(experiment, runtime, old, new);
                    assert_eq!(listens, expected, "whether the new server listens");
                }));
            }
        }
    }
    trials
}

/// Whether the new server listens.
pub fn listens(experiment: Experiment, runtime: Runtime, old: bool, new: bool) -> bool {
    let command = |switches| Variant::new(experiment.program, runtime).with(switches).command();
    let (is_listening, message) = listens_built(experiment, command, old, new);
    assert_eq!(message, if is_listening { "" } else { "bind: : Address already in use\n" });
    is_listening
}

/// Whether the new server listens, and what it says if it does not. `command` has the program.
pub fn listens_built(
    experiment: Experiment,
    command: impl Fn(Switches) -> Command,
    old: bool,
    new: bool,
) -> (bool, String) {
    let command =
        |reuseaddr| command(Switches { reuseaddr, close_listener: experiment.close_listener });
    let _old = leave(experiment, command(old)); // the child of the second program keeps running
    start_again(command(new))
}

/// Runs the old server until the article would start it again.
fn leave(experiment: Experiment, mut command: Command) -> (Process, Client) {
    let mut server = Process::start(&mut command);
    let mut client = Client::connect();
    client.exchange("hello\n");
    match experiment.program {
        Program::Treuseaddr => {
            server.signal(Signal::SIGINT);
            assert_eq!(server.wait(), -(Signal::SIGINT as i32));
            // If the client closed before the server's FIN is there, both would close at once, and both sides
            // would be left in TIME_WAIT.
            assert_eq!(client.receive_rest(), (vec![], false));
            client.shutdown();
            wait_for_exactly(&[Row::TIME_WAIT]);
        }
        _ => {
            assert_eq!(server.wait(), 0, "the parent exits");
            client.exchange("hello, child\n");
            let mut expected = vec![Row::client("ESTABLISHED"), Row::server("ESTABLISHED")];
            if !experiment.close_listener {
                expected.push(Row::LISTEN);
            }
            wait_for_exactly(&expected);
        }
    }
    (server, client)
}

/// Starts a server and waits until it listens or has ended. Returns whether it listens.
pub fn started(start: impl FnOnce() -> Process) -> (Process, bool) {
    let listeners = || rows().iter().filter(|row| **row == Row::LISTEN).count();
    let before = listeners();
    let mut server = start();
    let is_listening = wait_for("the new server to listen or end", || {
        match (server.ended(), listeners() > before) {
            (Some(_), _) => Some(false),
            (None, true) => Some(true),
            (None, false) => None,
        }
    });
    (server, is_listening)
}

/// Whether a new server listens, and what it says if it does not.
fn start_again(mut command: Command) -> (bool, String) {
    let (mut server, is_listening) = started(|| Process::start(&mut command));
    if is_listening {
        return (true, String::new());
    }
    assert_eq!(server.wait(), 255);
    let message = server.stderr.to_end();
    assert_eq!(server.stdout.to_end(), "");
    (false, message)
}
