//! What others have written of the rule, as data: `expected.tsv`.

use super::cell::{Cell, Socket};

/// One statement: of a cell, with who has made it.
pub struct Expectation {
    pub source: &'static str,
    pub cell: Cell,
    /// As `Verdict::name` says it.
    pub verdict: String,
}

pub fn all() -> Vec<Expectation> {
    let mut expectations = Vec::new();
    for line in include_str!("expected.tsv").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [source, proto, state, sockets, verdicts] = fields[..] else {
            panic!("expected.tsv: {line}");
        };
        let sockets: Vec<Socket> =
            sockets.split(' ').map(|name| name.parse().expect("expected.tsv: a socket")).collect();
        let mut there = vec![sockets[0]];
        for (&new, verdict) in sockets[1..].iter().zip(verdicts.split(' ')) {
            expectations.push(Expectation {
                source,
                cell: Cell {
                    proto: proto.parse().expect("expected.tsv: a protocol"),
                    there: there.clone(),
                    state: state.parse().expect("expected.tsv: a state"),
                    new: Socket { closed: false, ..new },
                },
                verdict: verdict.replace(':', " "),
            });
            if verdict == "ok" {
                there.push(new);
            }
        }
    }
    expectations
}
