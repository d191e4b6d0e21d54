//! Lays an explanation out: for a reader with 80 columns, or one line of JSON.

use super::calls::{Address, Name};
use super::explain::Explanation;
use super::look::Obstacle;
use super::socket::Protocol;
use super::{Format, words};
use crate::port::finding::{User, error_name};
use crate::port::print::{padded, wrapped};
use crate::printable::make_printable;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use textwrap::core::display_width;

/// How many sockets in the way are named.
const SHOWN: usize = 3;

/// The text of one failure, its first line, and which option would have helped.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub text: String,
    pub headline: String,
    /// What the text rests on: the condition, and the sockets in the way with the first process of each; of connections, only the
    /// one that decides. If it is the same once more, nothing is said but how often.
    pub gist: String,
    /// SO_REUSEADDR, and SO_REUSEPORT, if it is known.
    pub helps: [Option<bool>; 2],
}

/// The text of an explanation, and what the tracer keeps of it.
pub fn report(explanation: &Explanation, format: Format) -> Report {
    let headline = words::headline(explanation.failure);
    let text = match format {
        Format::Json => format!("{}\n", json(explanation)),
        Format::Text => text(explanation, &headline),
    };
    Report { text, headline, gist: gist(explanation), helps: explanation.would_help }
}

/// The condition, and what sort of sockets are in the way, with the first process of each. Connections come and go:
/// one of them decides, or none counts.
fn gist(explanation: &Explanation) -> String {
    let reason = serde_json::to_value(&explanation.reason).unwrap_or_default();
    let socket = |old: &Obstacle| {
        let first = old.processes.first().map(|holder| holder.pid);
        let options = [old.reuseaddr, old.reuseport];
        match old.is_connection {
            true => json!([first, options]),
            false => json!([old.state, old.address, old.device, old.path, options, first]),
        }
    };
    let counts = |(at, old): &(usize, &Obstacle)| *at == 0 || !old.is_connection;
    let sockets = explanation.in_the_way.iter().enumerate().filter(counts);
    let sockets: BTreeSet<String> = match explanation.failure.call {
        Name::Connect => BTreeSet::new(),
        _ => sockets.map(|(_, old)| socket(old).to_string()).collect(),
    };
    json!([reason["reason"], sockets]).to_string()
}

/// One paragraph that begins with the program's name.
pub fn paragraph(text: &str) -> String {
    wrapped(&format!("bindtable: {text}"), "", "                ")
}

/// A note beside the explanations.
pub fn note(format: Format, event: &str, pid: i32, text: &str) -> String {
    match format {
        Format::Json => format!("{}\n", json!({ "event": event, "pid": pid, "note": text })),
        Format::Text => paragraph(text),
    }
}

/// That a failure has come again.
pub fn again(format: Format, pid: i32, headline: &str, count: usize) -> String {
    match format {
        Format::Json => {
            let line = json!({ "event": "again", "pid": pid, "failure": headline, "count": count });
            format!("{line}\n")
        }
        Format::Text => paragraph(&words::again(headline, count)),
    }
}

fn text(explanation: &Explanation, headline: &str) -> String {
    let mut text = paragraph(headline);
    let mut part = |label: &str, lines: Vec<String>| {
        let first = format!("  {}", padded(label, 14));
        let others = " ".repeat(display_width(&first));
        for (at, line) in lines.iter().enumerate() {
            text += &wrapped(line, if at == 0 { &first } else { &others }, &others);
        }
    };
    part(words::this_socket(), vec![words::subject(explanation)]);
    let old = &explanation.in_the_way;
    let mut lines: Vec<String> = Vec::new();
    if explanation.failure.call == Name::Connect {
        lines.extend(words::connections(old));
    } else {
        lines.extend(old.iter().take(SHOWN).map(|old| words::obstacle(old, explanation.failure)));
        if old.len() > SHOWN {
            lines.push(words::more(old.len() - SHOWN));
        }
    }
    part(words::in_the_way(), lines);
    part(words::the_rule(), words::reason(explanation).into_iter().collect());
    let mut help = words::mistakes(explanation);
    help.extend(explanation.help.iter().map(|help| words::help(help, explanation)));
    part(words::what_helps(), help);
    text
}

/// The names are those of `bindtable port --format json`; null is unknown.
fn json(explanation: &Explanation) -> Value {
    let failure = explanation.failure;
    let subject = &failure.subject;
    let inet = failure.inet();
    let path = match &failure.address {
        Some(Address::Path(path)) => Some(String::from_utf8_lossy(path).into_owned()),
        Some(Address::Abstract(name)) => Some(format!("@{}", String::from_utf8_lossy(name))),
        _ => None,
    };
    // Of a Unix socket these say nothing.
    let sockets = explanation.in_the_way.iter().map(|old| {
        let mut old = json!(old);
        if !old["path"].is_null() {
            (old["address"], old["port"]) = (Value::Null, Value::Null);
        }
        old
    });
    let mut value = json!({
        "event": "failure",
        "pid": failure.pid,
        "name": failure.name,
        "pid_inside": failure.pid_inside,
        "call": failure.call,
        "error": error_name(failure.errno()),
        "protocol": (subject.protocol != Protocol::Other).then_some(subject.protocol),
        "address": inet.map(|address| address.ip()),
        "port": inet.map(|address| address.port()),
        "path": path,
        "descriptor": subject.descriptor,
        "user": subject.uid.map(User::new),
        "reuseaddr": subject.reuseaddr,
        "reuseport": subject.reuseport,
        "ipv6_only": subject.ipv6_only,
        "device": subject.device,
        "sockets": sockets.collect::<Vec<Value>>(),
        "rule": explanation.reason,
        "answer": words::reason(explanation),
        "mistakes": explanation.mistakes,
        "help": explanation.help,
    });
    make_printable(&mut value);
    value
}
