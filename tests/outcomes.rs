//! Who may bind while an old server is in TIME_WAIT, or its child still listens.

use crate::harness::{self, Client, Process, Program, Row, Runtime, Switches, Variant, rows, wait_for};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;

/// The new server listens: for each program, by the old server's option and the new one's.
const LISTENS: [(&str, Program, bool, [[bool; 2]; 2]); 3] = [
    ("treuseaddr", Program::Treuseaddr, false, [[false, false], [false, true]]),
    ("treuseaddr2", Program::Treuseaddr2, false, [[false, false], [false, false]]),
    ("treuseaddr2_close_listener", Program::Treuseaddr2, true, [[false, false], [false, true]]),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, program, close_listener, listens) in LISTENS {
        for runtime in Runtime::ALL {
            for (old, new) in [(false, false), (false, true), (true, false), (true, true)] {
                let variant = move |reuseaddr| {
                    Variant::new(program, runtime).with(Switches { reuseaddr, close_listener })
                };
                let word = |reuseaddr| if reuseaddr { "yes" } else { "no" };
                let name = format!("outcome_{name}_{}_{}_{}", runtime.name(), word(old), word(new));
                let expected = listens[usize::from(old)][usize::from(new)];
                trials.push(harness::trial(name, move || {
                    let _old = leave(variant(old)); // the child of the second program goes on
                    assert_eq!(start_again(variant(new)), expected, "the new server listens");
                }));
            }
        }
    }
    trials
}

/// Runs the old server to the point at which the article starts it again.
fn leave(variant: Variant) -> (Process, Client) {
    let mut server = Process::start(&mut variant.command());
    let mut client = Client::connect();
    client.exchange("hello\n");
    match variant.program {
        Program::Treuseaddr => {
            server.signal(Signal::SIGINT);
            assert_eq!(server.wait(), -(Signal::SIGINT as i32));
            client.shutdown();
            wait_for("TIME_WAIT alone", || (rows() == [Row::TIME_WAIT]).then_some(()));
        }
        Program::Treuseaddr2 => {
            assert_eq!(server.wait(), 0, "the parent exits");
            client.exchange("hello, child\n");
            let mut expected = vec![Row::client("ESTABLISHED"), Row::server("ESTABLISHED")];
            if !variant.switches.close_listener {
                expected.push(Row::LISTEN);
            }
            wait_for(&format!("{expected:?}"), || (rows() == expected).then_some(()));
        }
    }
    (server, client)
}

/// Whether a new server listens; where it does not, it has said what it must.
fn start_again(variant: Variant) -> bool {
    let listeners = || rows().iter().filter(|row| **row == Row::LISTEN).count();
    let before = listeners();
    let mut server = Process::start(&mut variant.command());
    let is_listening = wait_for("the new server to listen or end", || {
        match (server.ended(), listeners() > before) {
            (Some(_), _) => Some(false),
            (None, true) => Some(true),
            (None, false) => None,
        }
    });
    if !is_listening {
        assert_eq!(server.wait(), 255);
        wait_for("the message", || {
            (server.stderr.text() == "bind: : Address already in use\n").then_some(())
        });
        assert_eq!(server.stdout.text(), "");
    }
    is_listening
}
