//! Lays out what was found, for a reader with 80 columns.

use super::finding::{Can, Case, Finding, ServerOption, Socket, Verdict};
use super::words;
use crate::sockets::State;
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use textwrap::core::{Word, display_width};

const WIDTH: usize = 80;

/// How many cases of one kind are told, and how many groups of sockets are shown.
const ALIKE: usize = 3;
const GROUPS: usize = 20;

/// The text for a reader: what there is of these parts, an empty line before each but the first.
pub fn text(finding: &Finding) -> String {
    let probing = finding.question.probe.then(|| wrapped(&words::probing(finding), "", ""));
    let if_still: String =
        finding.if_still.iter().map(|it| wrapped(&words::if_still(it), "- ", "  ")).collect();
    let parts = [
        probing.unwrap_or_default(),
        wrapped(&words::answer(finding), "", ""),
        sockets(finding),
        table(finding),
        cases(finding),
        numbered(finding.help.iter().map(|help| words::help(help, finding))),
        below(words::if_still_in_use(), if_still),
        finding.unseen.iter().map(|it| wrapped(&words::unseen(it, finding), "", "")).collect(),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// What helps, easiest first.
pub fn numbered(help: impl Iterator<Item = String>) -> String {
    let help = help.enumerate();
    let help = help.map(|(at, help)| wrapped(&help, &format!("{}. ", at + 1), "   "));
    below(words::what_helps(), help.collect())
}

/// The text below its title, if there is any.
fn below(title: &str, text: String) -> String {
    if text.is_empty() { text } else { format!("{title}\n{text}") }
}

/// The sockets: of very many, the listeners first.
fn sockets(finding: &Finding) -> String {
    let groups = groups(finding);
    let mut shown: Vec<usize> = (0..groups.len()).collect();
    shown.sort_by_key(|at| words::weight(groups[*at].0));
    shown.truncate(GROUPS);
    shown.sort_unstable();
    let mut text = String::new();
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

/// The puzzling cases. Those of processes that a signal does not end, and those of other namespaces, may be many.
fn cases(finding: &Finding) -> String {
    let (mut text, mut counts) = (String::new(), [0, 0]);
    for case in &finding.cases {
        let count = match case {
            Case::Stopped { .. } | Case::Resists { .. } => &mut counts[0],
            Case::OtherNamespace { .. } => &mut counts[1],
            _ => &mut 0,
        };
        *count += 1;
        if *count <= ALIKE {
            text += &wrapped(&words::case(case, finding), "- ", "  ");
        }
    }
    for (count, more) in counts.into_iter().zip([words::more_processes, words::more_namespaces]) {
        if count > ALIKE {
            text += &wrapped(&more(count - ALIKE), "- ", "  ");
        }
    }
    text
}

/// The same for programs, on one line; the answer in a sentence, too.
pub fn json(finding: &Finding) -> String {
    let question = &finding.question;
    let document = json!({
        "protocol": question.proto,
        "port": question.target.port,
        "address": question.target.ip,
        "status": finding.status,
        "answer": words::answer(finding),
        "user": question.user,
        "sockets": finding.sockets,
        "verdicts": finding.verdicts,
        "cases": finding.cases,
        "help": finding.help,
        "if_still": finding.if_still,
        "unseen": finding.unseen,
        "probed": question.probe,
    });
    format!("{document}\n")
}

/// A command in a sentence for [`wrapped`]: it stays on one line, so that a reader can copy it.
pub fn whole(command: &str) -> String {
    format!("{START}{command}{END}")
}

/// Around a command, where nothing printable is.
const START: char = '\u{1}';
const END: char = '\u{2}';

/// The text in lines of 80 columns at most, the first one after `first`, and each other after `others`; only a
/// command or a word may be longer.
pub fn wrapped(text: &str, first: &str, others: &str) -> String {
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(first)
        .subsequent_indent(others)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::Custom(parts))
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let line = |line: Cow<'_, str>| {
        // A command that has its line is copied with all that stands there.
        let is_alone = line.trim_start().starts_with(START) || !line.contains(START);
        let end = line.strip_suffix(['.', '。']).filter(|line| is_alone && line.ends_with(END));
        end.unwrap_or(&line).replace([START, END], "") + "\n"
    };
    textwrap::wrap(text, options).into_iter().map(line).collect()
}

/// Where a line may end: at a space, or beside a Chinese character where Unicode allows it (UAX 14); in no command.
fn parts(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let may_end = move |at: &usize| {
        let (before, after) = line.split_at(*at);
        let words = before.trim_end_matches([START, END]);
        // Before its first character a line may end, and after its last one.
        let is_inside = before.matches(START).count() > before.matches(END).count();
        (!is_inside || before.ends_with(START))
            && (words.ends_with(|c: char| c == ' ' || !c.is_ascii())
                || !after.starts_with(|c: char| c.is_ascii()))
    };
    let ends = unicode_linebreak::linebreaks(line).map(|(at, _)| at).filter(may_end);
    let mut start = 0;
    Box::new(ends.map(move |end| Word::from(&line[std::mem::replace(&mut start, end)..end])))
}

/// Sockets that differ in their peer alone, counted.
fn groups(finding: &Finding) -> Vec<(&Socket, usize)> {
    let mut groups: Vec<(&Socket, usize)> = Vec::new();
    let mut places = BTreeMap::new();
    let key = |its: &Socket| {
        let pids: Vec<i32> = its.processes.iter().map(|holder| holder.pid).collect();
        let place = (its.address, its.device_index);
        let options = (its.reuseaddr, its.reuseport, its.ipv6_only);
        (its.state, place, its.record, its.has_inode, options, its.user.clone(), pids)
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
    // Each address has a verdict for each option, in the order of the columns.
    let rows = finding.verdicts.chunks(ServerOption::ALL.len());
    let names: Vec<String> =
        rows.clone().map(|row| finding.question.target.place(row[0].address)).collect();
    let wide = names.iter().map(String::len).max().unwrap_or(0).max(9);
    let row = |name: &str, cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| padded(cell, 12)).collect();
        format!("    {name:wide$}  {}", cells.join("  ")).trim_end().to_owned() + "\n"
    };
    let options = ServerOption::ALL.iter().map(|option| words::option(*option).to_owned());
    text += &row("", &options.collect::<Vec<_>>());
    for (name, verdicts) in names.iter().zip(rows) {
        text += &row(name, &verdicts.iter().map(&mut cell).collect::<Vec<_>>());
    }
    for (at, reason) in reasons.iter().enumerate() {
        text += &wrapped(reason, &format!("    [{}] ", at + 1), "        ");
    }
    text
}
