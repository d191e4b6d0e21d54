//! Lays out what was found, for a reader with 80 columns.

use super::finding::{
    Can, Case, Finding, Help, IfStill, ServerOption, Socket, Status, Unseen, User, Verdict,
};
use super::words;
use crate::sockets::State;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use textwrap::core::{Word, display_width};

const WIDTH: usize = 80;

/// How many listeners in other namespaces are named, and how many groups of sockets are shown.
const NAMESPACES: usize = 3;
const GROUPS: usize = 20;

/// The text for a reader.
pub fn text(finding: &Finding) -> String {
    let mut text = String::new();
    if finding.question.probe {
        text += &wrapped(&words::probing(finding), "", "");
        text.push('\n');
    }
    text += &wrapped(&words::answer(finding), "", "");
    text += &sockets(finding);
    text.push('\n');
    text += &table(finding);
    if !finding.cases.is_empty() {
        text.push('\n');
    }
    text += &cases(finding);
    if !finding.help.is_empty() {
        text += &format!("\n{}\n", words::what_helps());
    }
    for (at, help) in finding.help.iter().enumerate() {
        text += &wrapped(&words::help(help, finding), &format!("{}. ", at + 1), "   ");
    }
    if !finding.if_still.is_empty() {
        text += &format!("\n{}\n", words::if_still_in_use());
    }
    for reason in &finding.if_still {
        text += &wrapped(&words::if_still(reason), "- ", "  ");
    }
    if !finding.unseen.is_empty() {
        text.push('\n');
    }
    for unseen in &finding.unseen {
        text += &wrapped(&words::unseen(unseen, finding), "", "");
    }
    text
}

/// The sockets: of very many, the listeners first.
fn sockets(finding: &Finding) -> String {
    let groups = groups(finding);
    let mut shown: Vec<usize> = (0..groups.len()).collect();
    shown.sort_by_key(|at| words::weight(groups[*at].0));
    shown.truncate(GROUPS);
    shown.sort_unstable();
    let mut text = String::from(if groups.is_empty() { "" } else { "\n" });
    let mut left: usize = groups.iter().map(|(_, count)| count).sum();
    for (socket, count) in shown.into_iter().map(|at| groups[at]) {
        left -= count;
        text += &header(socket, count, finding.question.target.port);
        for line in words::about(socket, count) {
            text += &wrapped(&line, "    ", "      ");
        }
    }
    if left > 0 {
        text += &wrapped(&words::more_sockets(left), "", "");
    }
    text
}

/// The puzzling cases, of which those of other namespaces may be many.
fn cases(finding: &Finding) -> String {
    let (mut text, mut namespaces) = (String::new(), 0);
    for case in &finding.cases {
        if matches!(case, Case::OtherNamespace { .. }) {
            namespaces += 1;
            if namespaces > NAMESPACES {
                continue;
            }
        }
        text += &wrapped(&words::case(case, finding), "- ", "  ");
    }
    if namespaces > NAMESPACES {
        text += &wrapped(&words::more_namespaces(namespaces - NAMESPACES), "- ", "  ");
    }
    text
}

/// What a program gets: the answer in a sentence, too.
#[derive(Serialize)]
struct Document<'a> {
    protocol: &'static str,
    port: u16,
    address: Option<IpAddr>,
    status: Status,
    answer: String,
    user: &'a User,
    sockets: &'a [Socket],
    verdicts: &'a [Verdict],
    cases: &'a [Case],
    help: &'a [Help],
    if_still: &'a [IfStill],
    unseen: &'a [Unseen],
    probed: bool,
}

/// The same for programs, on one line.
pub fn json(finding: &Finding) -> String {
    let question = &finding.question;
    let document = Document {
        protocol: question.proto.name(),
        port: question.target.port,
        address: question.target.ip,
        status: finding.status,
        answer: words::answer(finding),
        user: &question.user,
        sockets: &finding.sockets,
        verdicts: &finding.verdicts,
        cases: &finding.cases,
        help: &finding.help,
        if_still: &finding.if_still,
        unseen: &finding.unseen,
        probed: question.probe,
    };
    serde_json::to_string(&document).expect("it has no map with odd keys") + "\n"
}

/// The text in lines of 80 columns at most, the first one after `first`, and each other after `others`.
pub fn wrapped(text: &str, first: &str, others: &str) -> String {
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(first)
        .subsequent_indent(others)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::Custom(parts))
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(text, options) + "\n"
}

/// Where a line may end: at a space, or beside a Chinese character where Unicode allows it (UAX 14).
fn parts(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let may_end = move |at: &usize| {
        let (before, after) = line.split_at(*at);
        before.ends_with(|c: char| c == ' ' || !c.is_ascii())
            || !after.starts_with(|c: char| c.is_ascii())
    };
    let ends = unicode_linebreak::linebreaks(line).map(|(at, _)| at).filter(may_end);
    let mut start = 0;
    Box::new(ends.map(move |end| Word::from(&line[std::mem::replace(&mut start, end)..end])))
}

/// Sockets that differ in their peer alone, counted.
fn groups(finding: &Finding) -> Vec<(&Socket, usize)> {
    let mut groups: Vec<(&Socket, usize)> = Vec::new();
    let mut places = BTreeMap::new();
    let key = |socket: &Socket| {
        let pids: Vec<i32> = socket.processes.iter().map(|holder| holder.pid).collect();
        (
            (socket.state, socket.address, socket.device_index, socket.user.clone(), pids),
            (socket.record, socket.has_inode),
            (socket.reuseaddr, socket.reuseport, socket.ipv6_only),
        )
    };
    for socket in &finding.sockets {
        let at = match socket.state {
            State::Listen => groups.len(), // each by itself
            _ => *places.entry(key(socket)).or_insert(groups.len()),
        };
        match groups.get_mut(at) {
            None => groups.push((socket, 1)),
            Some((other, count)) => {
                *count += 1;
                if socket.seconds_left > other.seconds_left {
                    *other = socket;
                }
            }
        }
    }
    groups
}

/// The text, and spaces up to `width` columns: a Chinese character takes two.
pub fn padded(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(display_width(text)))
}

fn header(socket: &Socket, count: usize, port: u16) -> String {
    let mut line = format!("{}  {}", socket.state.name(), socket.place_with(port));
    match socket.peer {
        Some(peer) if count == 1 => line += &format!(" - {peer}"),
        _ if count > 1 => line += &format!("  {}", words::alike(count)),
        _ => {}
    }
    let user = words::of_user(socket);
    if !user.is_empty() {
        line += &format!("  {user}");
    }
    line + "\n"
}

fn table(finding: &Finding) -> String {
    let mut text = wrapped(&words::can_a_server(finding), "", "");
    let mut reasons: Vec<String> = Vec::new();
    let mut cell = |verdict: &Verdict| {
        let word = words::can(verdict.can);
        if verdict.can == Can::Yes {
            return word.to_owned();
        }
        let reason = words::why(verdict);
        let at = reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
            reasons.push(reason);
            reasons.len() - 1
        });
        format!("{word} [{}]", at + 1)
    };
    let mut addresses: Vec<IpAddr> = Vec::new();
    for verdict in &finding.verdicts {
        if !addresses.contains(&verdict.address) {
            addresses.push(verdict.address);
        }
    }
    let names: Vec<String> =
        addresses.iter().map(|ip| finding.question.target.place(*ip)).collect();
    let wide = names.iter().map(String::len).max().unwrap_or(0).max(9);
    let row = |name: &str, cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| padded(cell, 12)).collect();
        format!("    {name:wide$}  {}", cells.join("  ")).trim_end().to_owned() + "\n"
    };
    text += &row("", &ServerOption::ALL.map(|option| words::option(option).to_owned()));
    for (address, name) in addresses.iter().zip(&names) {
        let of = |option: ServerOption| {
            let verdict = finding
                .verdicts
                .iter()
                .find(|verdict| verdict.address == *address && verdict.option == option);
            verdict.map_or(String::new(), &mut cell)
        };
        text += &row(name, &ServerOption::ALL.map(of));
    }
    for (at, reason) in reasons.iter().enumerate() {
        text += &wrapped(reason, &format!("    [{}] ", at + 1), "        ");
    }
    text
}
