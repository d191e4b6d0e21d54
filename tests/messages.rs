//! What the programs print, on a terminal and into a pipe.

use crate::harness::{self, Client, Process, Program, Runtime, Variant, in_namespace};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for variant in Variant::servers() {
        for (place, is_terminal) in [("terminal", true), ("pipe", false)] {
            let name = format!("messages_{}_{place}", variant.name());
            trials.push(harness::trial(name, move || close(variant, is_terminal)));
        }
        if variant.program == Program::Treuseaddr {
            let name = format!("messages_{}_sigint", variant.name());
            trials.push(harness::trial(name, move || sigint(variant)));
        }
    }
    trials
}

fn start(variant: Variant, is_terminal: bool) -> Process {
    match is_terminal {
        true => Process::start_on_terminal(&mut variant.command()),
        false => Process::start(&mut variant.command()),
    }
}

/// The client closes.
fn close(variant: Variant, is_terminal: bool) {
    let mut server = start(variant, is_terminal);
    let mut client = Client::connect();
    client.exchange("hello\n");
    if variant.program == Program::Treuseaddr2 {
        assert_eq!(server.wait(), 0, "the parent exits");
    }
    client.shutdown();
    assert_eq!(server.wait(), 0);
    // Into a pipe, stdio keeps the text until exit, and fork copies the kept text.
    let connected = "[PARENT] client connected: 4\n";
    let doubled = match !is_terminal && variant.runtime != Runtime::Raw {
        true => connected,
        false => "",
    };
    assert_eq!(
        server.stdout.to_end(),
        match variant.program {
            Program::Treuseaddr => "client connected: 4\nclient close: 4\n".to_owned(),
            _ => {
                format!("{connected}[PARENT] parent exit\n{doubled}[CHILD] client close: 4\n")
            }
        }
    );
}

/// A signal ends the server, and the text that stdio keeps is lost.
fn sigint(variant: Variant) {
    for is_terminal in [true, false] {
        in_namespace(|| {
            let mut server = start(variant, is_terminal);
            let mut client = Client::connect();
            client.exchange("hello\n");
            server.signal(Signal::SIGINT);
            assert_eq!(server.wait(), -(Signal::SIGINT as i32));
            assert_eq!(
                server.stdout.to_end(),
                match !is_terminal && variant.runtime != Runtime::Raw {
                    true => "",
                    false => "client connected: 4\n",
                }
            );
        });
    }
}
