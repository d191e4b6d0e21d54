//! `docs/treuseaddr.md`, `treuseaddr2.md` and `ureuseaddr.md`: each call has a section or a row, and what
//! they quote is what the sources and the kernel say.
//! `TREUSEADDR_UPDATE=1 cargo test annotations` rewrites the quoted lines and traces.

use crate::documents::is_current;
use crate::harness::{
    self, Client, MULTICAST, Process, Program, Row, Runtime, Scratch, Sender, Strace, Switches,
    Variant, forbid_memberships, hold_port, hold_udp_port, in_namespace, is_blocked, project, read,
    rows, wait_for,
};
use crate::lines::{c_calls, printed};
use libtest_mimic::Trial;
use nix::libc::SYS_recvfrom;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for program in Program::ALL {
        let mut add = |what: &str, check: fn(Program)| {
            let name = format!("annotations_{}_{what}", program.name());
            trials.push(harness::trial(name, move || check(program)));
        };
        add("sections", sections);
        add("traces", traces);
        add("errors", errors);
    }
    trials.push(harness::trial("annotations_treuseaddr2_run", whole_run));
    trials
}

const SWITCHES: Switches = Switches { reuseaddr: true, close_listener: true };

/// The lines that a switch adds. treuseaddr has no call on the second one.
const SETSOCKOPT: usize = 24;
const CLOSE_LISTENER: usize = 51;

/// The document of the program.
fn page(program: Program) -> String {
    format!("docs/{}.md", program.name())
}

/// The first line that the document explains. The first program's document explains those before it.
pub fn first(program: Program) -> usize {
    match program {
        Program::Treuseaddr2 => 43,
        _ => 10,
    }
}

/// The calls of the C source, with their lines.
fn calls(program: Program) -> Vec<(usize, String)> {
    let source = read(&format!("src/{}.c", program.name()));
    let lines = source.lines().zip(1..).skip(first(program) - 1);
    let calls = lines.flat_map(|(line, number)| {
        c_calls(line).into_iter().map(move |call| (number, call.to_owned()))
    });
    calls.collect()
}

/// What the English document says of each call: line, call, text. A call has a section, or a row of
/// the table of what repeats the first program.
pub fn parts(program: Program) -> Vec<(usize, String, String)> {
    parts_in("docs", program, |repeat| repeat.here.clone())
}

/// The same of the documents in `folder`. `text` is what is said of a row.
pub fn parts_in(
    folder: &str,
    program: Program,
    text: impl Fn(&Repeat) -> String,
) -> Vec<(usize, String, String)> {
    let page = read(&format!("{folder}/{}.md", program.name()));
    let sections = page.split("\n## ").skip(1).filter_map(|part| {
        let (heading, text) = part.split_once('\n')?;
        let (number, call) = heading.split_once(' ')?;
        Some((number.parse().ok()?, call.to_owned(), text.to_owned()))
    });
    let repeats = repeats(&page).into_iter().map(|repeat| {
        let text = text(&repeat);
        (repeat.line, repeat.call, text)
    });
    let mut parts: Vec<_> = sections.chain(repeats).collect();
    parts.sort_by_key(|(line, ..)| *line);
    parts
}

/// A row of the table of what repeats the first program.
pub struct Repeat {
    pub line: usize,
    /// The article's line; none if the program is not the article's.
    pub article: Option<String>,
    call: String,
    /// The section of the first program that explains it.
    pub link: String,
    /// What is different.
    pub here: String,
}

/// The rows that lead to a section of the first program.
fn repeats(page: &str) -> Vec<Repeat> {
    let rows = page.lines().filter(|row| row.contains("](treuseaddr.md#"));
    let rows = rows.filter_map(|row| row.strip_prefix("| ")?.strip_suffix(" |"));
    let repeat = |row: &str| {
        let cells: Vec<&str> = row.split(" | ").collect();
        let (line, article, link, here) = match cells[..] {
            [line, article, link, here] => (line, Some(article.to_owned()), link, here),
            [line, link, here] => (line, None, link, here),
            _ => panic!("three or four cells: {row}"),
        };
        let (call, link) = link.split_once("](").expect("a link");
        Repeat {
            line: line.parse().expect("the field is a number"),
            article,
            call: call.trim_start_matches('[').to_owned(),
            link: link.trim_end_matches(')').to_owned(),
            here: here.to_owned(),
        }
    };
    rows.map(repeat).collect()
}

/// In both languages the row's line is the same as the line of the first program that the row links to,
/// except for the prefix of a message and the name of the descriptor.
fn is_repeated(program: Program, repeat: &Repeat) {
    let first = Program::Treuseaddr;
    let Repeat { line, article, call, link, .. } = repeat;
    let anchor = link.strip_prefix("treuseaddr.md#").expect("a section of the first program");
    let (number, name) = anchor.split_once('-').expect("a line and a call");
    assert_eq!(name, call, "line {line}");
    assert_eq!(*article, printed(program, *line).map(|line| line.to_string()), "line {line}");
    for extension in ["c", "rs"] {
        let [here, there] =
            [(program, *line), (first, number.parse().expect("the field is a number"))].map(
                |(program, line): (Program, usize)| {
                    let source = read(&format!("src/{}.{extension}", program.name()));
                    let text =
                        source.lines().nth(line - 1).expect("the source has the line").trim();
                    text.replace(program.prefix(), "").replace("lfd", "fd")
                },
            );
        assert_eq!(here, there, "{}: line {line} and the first program's {number}", page(program));
    }
}

/// Each call has its section or row, in program order, and there are no others.
fn sections(program: Program) {
    let page = page(program);
    let parts = parts(program);
    let headings: Vec<_> = parts.iter().map(|(number, call, _)| (*number, call.clone())).collect();
    assert_eq!(headings, calls(program), "{page}: its sections and the calls of the source");
    for (number, call, text) in &parts {
        let prose = text.split("```").step_by(2).flat_map(str::lines);
        let prose = prose.filter(|line| !line.is_empty() && !line.starts_with(['|', '<']));
        let count = prose.count();
        assert!((1..=20).contains(&count), "{page}: {count} lines on {number} {call}");
    }
    // The documents say of both languages that lines 1 to 42 are the same.
    for extension in ["c", "rs"] {
        let [one, two] = Program::SERVERS.map(|program| {
            let source = read(&format!("src/{}.{extension}", program.name()));
            source.lines().take(42).map(|line| line.replace("fork, ", "")).collect::<Vec<_>>()
        });
        assert_eq!(one, two, "{page}");
    }
}

/// What happens to a server. It decides which lines make calls, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// The client says hello and closes.
    Served,
    /// The client says hello and resets.
    Reset,
    /// The client says hello and resets before the server accepts it.
    Gone,
    /// The client says hello, closes its side and resets, all before the server accepts it.
    Closed,
    /// The server may open no descriptor.
    NoSocket,
    /// Another server listens, and has the option too.
    InUse,
    /// `listen` fails as if another server had listened meanwhile.
    NoListen,
    /// The server may open no descriptor for the client.
    NoAccept,
    /// `fork` fails as if there were too many processes.
    NoFork,
    /// The receiver may not join another group.
    NoMembership,
    /// `recvfrom` fails as if there were no memory for a datagram.
    NoDatagram,
}

impl Story {
    const RECEIVER: [Self; 5] =
        [Self::Served, Self::NoSocket, Self::InUse, Self::NoMembership, Self::NoDatagram];
    const SERVERS: [Self; 9] = [
        Self::Served,
        Self::NoSocket,
        Self::InUse,
        Self::NoListen,
        Self::NoAccept,
        Self::NoFork,
        Self::Reset,
        Self::Gone,
        Self::Closed,
    ];

    /// The lines of the process and of its child.
    fn lines(self, program: Program) -> [Vec<usize>; 2] {
        let start = |count, end: &[usize]| [&[11, 24, 26, 31, 38, 43, 45][..count], end].concat();
        match (program, self) {
            (_, Self::NoSocket) => [vec![11, 13, 14], vec![]],
            (_, Self::InUse) => [start(3, &[27, 28]), vec![]],
            (Program::Ureuseaddr, _) => {
                let end = match self {
                    Self::NoMembership => &[34, 35, 36][..],
                    Self::NoDatagram => &[34, 39, 44, 46, 47],
                    _ => &[34, 39, 44, 53],
                };
                [start(3, end), vec![]]
            }
            (_, Self::NoListen) => [start(4, &[32, 33]), vec![]],
            (_, Self::NoAccept) => [start(5, &[40, 41]), vec![]],
            (Program::Treuseaddr, _) => {
                let end = match self {
                    Self::Reset => &[47, 59, 47, 55, 56, 65][..],
                    Self::Gone => &[47, 59, 60, 61, 65],
                    Self::Closed => &[47, 59],
                    _ => &[47, 59, 47, 49, 50, 65],
                };
                [start(6, end), vec![]]
            }
            (_, Self::NoFork) => [start(7, &[47, 48]), vec![]],
            (Program::Treuseaddr2, _) => {
                let child = match self {
                    Self::Reset => &[51, 55, 67, 55, 63, 64, 77][..],
                    Self::Gone => &[51, 55, 67, 68, 69, 77],
                    Self::Closed => &[51, 55, 67],
                    _ => &[51, 55, 67, 55, 57, 58, 77],
                };
                [start(7, &[74, 75, 77]), child.to_vec()]
            }
        }
    }

    /// Whether C goes on with a closed descriptor after a client's error.
    fn is_endless_in_c(self) -> bool {
        [Self::Reset, Self::Gone].contains(&self)
    }
}

/// A system call as strace shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    text: String,
    number: u32,
}

impl Call {
    /// A line of `strace -n`: `[  49] bind(...) = 0`. Dots replace what differs from run to run.
    fn parse(line: &str) -> Option<Self> {
        let (number, text) = line.strip_prefix('[')?.split_once("] ")?;
        let is_call = !text.starts_with("execve(") && !text.starts_with(['+', '-']);
        if !is_call || text.contains("= ? ERESTART") {
            return None;
        }
        let mut text = text.replace(" (INJECTED)", "");
        if text.starts_with("accept(") {
            text = dotted(&text, "htons(");
        }
        text = dotted(&text, "0x");
        if text.starts_with("fork(") || text.starts_with("clone(") {
            text = dotted(&text, " = ");
        }
        let (call, result) = text.rsplit_once(" = ")?;
        let text = format!("{:39} = {result}", call.trim_end());
        Some(Self { text, number: number.trim().parse().ok()? })
    }

    fn name(&self) -> &str {
        self.text.split('(').next().unwrap_or_default()
    }

    /// Whether `c` is the C program's form of this call. C's perror writes to a duplicate of descriptor 2.
    fn is(&self, c: &Self) -> bool {
        let message = |call: &Self| call.text.split_once('"').map(|(_, text)| text.to_owned());
        let is_perror = self.text.starts_with("write(2,") && c.name() == "write";
        let is_fork = self.name() == "fork" && c.name() == "clone";
        self == c || is_fork || (is_perror && message(self) == message(c))
    }
}

/// The text with dots for each number, decimal or hexadecimal, that follows `before`.
fn dotted(text: &str, before: &str) -> String {
    let dot = |part: &str| match part.trim_start_matches(|c: char| c.is_ascii_hexdigit()) {
        rest if rest.len() < part.len() => format!("...{rest}"),
        _ => part.to_owned(),
    };
    let (start, rest) = text.split_once(before).unwrap_or((text, ""));
    if start == text {
        return text.to_owned();
    }
    rest.split(before).fold(start.to_owned(), |text, part| text + before + &dot(part))
}

/// The calls of a program and of its child while a client says hello and closes, with their lines.
pub fn served(program: Program, switches: Switches) -> [Vec<(usize, String)>; 2] {
    let variant = Variant::new(program, Runtime::Raw).with(switches);
    let mut calls = run(variant, Story::Served).into_iter();
    path(variant, Story::Served).map(|lines| {
        let calls = calls.next().expect("a parent and a child");
        assert_eq!(lines.len(), calls.len(), "{lines:?} and {calls:#?}");
        lines.into_iter().zip(calls.into_iter().map(|call| call.text)).collect()
    })
}

/// The lines whose calls a program and its child make while they serve, in their order, or where
/// the address is in use.
pub fn path(variant: Variant, story: Story) -> [Vec<usize>; 2] {
    story.lines(variant.program).map(|mut lines| {
        lines.retain(|line| variant.switches.reuseaddr || *line != SETSOCKOPT);
        lines.retain(|line| variant.switches.close_listener || *line != CLOSE_LISTENER);
        lines
    })
}

/// The calls in a log of `strace -n`; what differs from run to run is left out.
pub fn traced(log: &str) -> Vec<String> {
    log.lines().filter_map(Call::parse).map(|call| call.text).collect()
}

/// The calls of the process and of its child, from `socket` on.
fn run(variant: Variant, story: Story) -> [Vec<Call>; 2] {
    in_namespace(|| {
        let scratch = Scratch::new();
        let mut strace = Command::new("strace");
        // With -D strace is the child and the program its parent, so a signal reaches the program.
        strace
            .args(["-D", "-ff", "-n", "-s48", Strace::PID, "-o"])
            .arg(scratch.path().join("trace"));
        let is_c = variant.runtime == Runtime::C;
        let mut limit = None;
        match story {
            Story::NoSocket if is_c => drop(strace.arg("--inject=socket:error=EMFILE")),
            Story::NoSocket => limit = Some(3), // with that limit C's loader would fail
            Story::NoAccept => limit = Some(4),
            Story::NoListen => drop(strace.arg("--inject=listen:error=EADDRINUSE")),
            Story::NoMembership => forbid_memberships(),
            Story::NoDatagram => drop(strace.arg("--inject=recvfrom:error=ENOMEM")),
            Story::NoFork => drop(strace.arg("--inject=fork,clone:error=EAGAIN")),
            _ => {}
        }
        if let Some(limit) = limit {
            strace.args(["sh", "-c", &format!("ulimit -n {limit}; exec \"$0\"")]);
        }
        strace.arg(variant.path());
        let is_receiver = variant.program == Program::Ureuseaddr;
        let other = (story == Story::InUse).then(|| match is_receiver {
            true => OwnedFd::from(hold_udp_port()),
            false => OwnedFd::from(hold_port()),
        });
        let server = Process::start_on_terminal(&mut strace);
        let logs = || logs(scratch.path());
        match story {
            Story::Served if is_receiver => {
                wait_for("recvfrom", || is_blocked(server.pid(), SYS_recvfrom).then_some(()));
                Sender::new().send(MULTICAST, b"hello\n");
                server.stdout.wait_for("hello\n");
                server.signal(Signal::SIGTERM);
            }
            Story::Served | Story::Reset | Story::NoFork => {
                let mut client = Client::connect();
                if story != Story::NoFork {
                    client.exchange("hello\n");
                    if story == Story::Reset {
                        client.reset();
                    } else {
                        client.shutdown();
                    }
                }
            }
            Story::Gone | Story::Closed => {
                wait_for("LISTEN", || rows().contains(&Row::LISTEN).then_some(()));
                server.signal(Signal::SIGSTOP);
                wait_for("SIGSTOP to stop the server", || {
                    logs().iter().any(|log| log.contains("stopped by SIGSTOP")).then_some(())
                });
                let mut client = Client::connect();
                client.0.write_all(b"hello\n").expect("the client is connected");
                if story == Story::Closed {
                    client.shutdown();
                    wait_for("the client's FIN", || {
                        rows().contains(&Row::server("CLOSE_WAIT")).then_some(())
                    });
                }
                client.reset();
                wait_for("the client's reset", || (rows() == [Row::LISTEN]).then_some(()));
                server.signal(Signal::SIGCONT);
            }
            _ => {}
        }
        let has_child = !story.lines(variant.program)[1].is_empty();
        let end = match is_c && story.is_endless_in_c() {
            true => "EBADF (Bad file descriptor)\n",
            false => "+++\n",
        };
        let logs = wait_for("the whole trace", || {
            let logs = logs();
            let ends = logs.iter().filter(|log| log.contains(end) || log.contains("+++\n"));
            (ends.count() == 1 + usize::from(has_child)).then_some(logs)
        });
        drop((server, other));
        let (child, parent): (Vec<_>, _) =
            logs.into_iter().partition(|log| !log.contains(" execve("));
        [parent, child].map(|logs| {
            // The calls of the shell and of the loader come before the last execve.
            let log = logs.concat();
            let log = log.rsplit("execve(").next().unwrap_or_default();
            let calls = log.lines().filter_map(Call::parse);
            calls.skip_while(|call| is_c && !has_begun(call)).collect()
        })
    })
}

/// Whether this is the first call of C's `main`, or of its child; the loader's calls come before.
fn has_begun(call: &Call) -> bool {
    ["socket", "close"].contains(&call.name()) && !call.text.contains("SOCK_CLOEXEC")
}

/// The logs of strace, a text for each process.
fn logs(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("the folder is readable");
    files
        .map(|file| {
            fs::read_to_string(file.expect("the folder is readable").path()).unwrap_or_default()
        })
        .collect()
}

/// The calls that the runs have shown on a line.
#[derive(Default)]
struct Shown {
    calls: Vec<Call>,
    c_calls: Vec<Call>,
    c_then: Vec<Call>,
}

fn add(calls: &mut Vec<Call>, call: &Call) {
    if !calls.contains(call) {
        calls.push(call.clone());
    }
}

/// Checks that every run of the port makes the calls of its lines and no others, and that C makes them
/// too. Returns them by line.
fn shown(program: Program) -> BTreeMap<usize, Shown> {
    let mut shown: BTreeMap<usize, Shown> = BTreeMap::new();
    let stories = match program {
        Program::Ureuseaddr => &Story::RECEIVER[..],
        _ => &Story::SERVERS,
    };
    for &story in stories {
        if story == Story::NoFork && program == Program::Treuseaddr {
            continue;
        }
        let variant = |runtime| Variant::new(program, runtime).with(SWITCHES);
        let (rust, c) = (run(variant(Runtime::Raw), story), run(variant(Runtime::C), story));
        for ((lines, rust), c) in story.lines(program).into_iter().zip(rust).zip(c) {
            let page = page(program);
            assert_eq!(lines.len(), rust.len(), "{page}: {story:?}: {lines:?} and {rust:#?}");
            let mut rest = c.iter();
            let is_endless =
                story.is_endless_in_c() && rust.iter().any(|call| call.name() == "read");
            for (&line, call) in lines.iter().zip(&rust) {
                let shown = shown.entry(line).or_default();
                add(&mut shown.calls, call);
                if is_endless && call.name() == "exit_group" {
                    continue;
                }
                let Some(c_call) = rest.find(|c| call.is(c)) else {
                    panic!(
                        "{page}: {story:?}: line {line}: {call:?} is not in the trace of the C: {c:#?}"
                    );
                };
                if call.name() == "fork" {
                    add(&mut shown.c_calls, c_call);
                }
                let is_last = lines.iter().rev().nth(1) == Some(&line);
                if is_endless
                    && is_last
                    && let Some(next) = rest.next()
                {
                    add(&mut shown.c_then, next);
                }
            }
        }
    }
    shown
}

/// Each section quotes the C line, the Rust line, the trace of both and the kernel's entry.
fn traces(program: Program) {
    let shown = shown(program);
    let source = |extension| read(&format!("src/{}.{extension}", program.name()));
    let (c, rust) = (source("c"), source("rs"));
    let repeats = repeats(&read(&page(program)));
    for (number, call) in calls(program) {
        let needs_none =
            ["memset", "htons", "ntohs", "inet_pton", "errno", "memchr"].contains(&&*call);
        assert_eq!(shown.contains_key(&number), !needs_none, "line {number} makes a system call");
        if let Some(repeat) = repeats.iter().find(|repeat| repeat.line == number) {
            is_repeated(program, repeat);
            continue;
        }
        let line = |source: &str| source.lines().nth(number - 1).map(|line| line.trim().to_owned());
        let mut block = String::from("```text\n");
        let mut row = |label: &str, text: &str| block.push_str(&format!("{label:9}{text}\n"));
        match printed(program, number) {
            _ if program == Program::Ureuseaddr => {} // the article does not have it
            None => row("article", "not there"),
            Some(article) if article != number => row("article", &format!("line {article}")),
            Some(_) => {}
        }
        row("C", &line(&c).expect("the source has the line"));
        row("Rust", &line(&rust).expect("the source has the line"));
        match shown.get(&number) {
            None => row("trace", "no system call"),
            Some(shown) => {
                let mut rows = |trace: &str, kernel: &str, calls: &[Call]| {
                    for (call, label) in calls.iter().zip([trace].into_iter().chain([""; 9])) {
                        row(label, &call.text);
                    }
                    if let (Some(call), false) = (calls.first(), kernel.is_empty()) {
                        let name = call.name();
                        let elsewhere = elsewhere(name);
                        row(kernel, &format!("{} __x64_sys_{name}; {elsewhere}", call.number));
                    }
                };
                rows("trace", "kernel", &shown.calls);
                rows("C trace", "C kernel", &shown.c_calls);
                rows("C then", "", &shown.c_then);
            }
        }
        is_current(&page(program), &number.to_string(), &(block + "```\n"));
    }
}

/// The number of a call on the two other machines of the raw runtime, from the kernel's tables as
/// linux-raw-sys has them.
fn elsewhere(call: &str) -> String {
    static TABLES: LazyLock<[String; 2]> = LazyLock::new(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--offline", "--format-version", "1"]).current_dir(project(""));
        // No packages of other systems: nothing has downloaded them.
        cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
        let output = harness::run(&mut cargo);
        assert!(output.status.success(), "{}", output.stderr);
        let metadata: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
        let packages = metadata["packages"].as_array().expect("they are a list");
        let package = packages.iter().find(|package| package["name"] == "linux-raw-sys");
        let manifest = package.and_then(|package| package["manifest_path"].as_str());
        let folder = Path::new(manifest.expect("the ports use it")).with_file_name("src");
        ["aarch64", "riscv64"].map(|machine| {
            let path = folder.join(machine).join("general.rs");
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
        })
    });
    let start = format!("pub const __NR_{call}: u32 = ");
    let [aarch64, riscv64] = TABLES
        .each_ref()
        .map(|table| table.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix(';')));
    assert_eq!(aarch64, riscv64, "{call}: both have the table of include/uapi/asm-generic");
    format!("{} on aarch64, riscv64", aarch64.unwrap_or("no number"))
}

/// Both processes of the second program, from end to end.
fn whole_run() {
    let program = Program::Treuseaddr2;
    let mut block = String::from("```text\nours article\n");
    for (calls, process) in served(program, SWITCHES).into_iter().zip(["the parent", "the child"]) {
        block.push_str(&format!("             {process}\n"));
        for (line, call) in calls {
            let article = printed(program, line).map_or("-".to_owned(), |line| line.to_string());
            block.push_str(&format!("{line:4} {article:>7} {call}\n"));
        }
    }
    is_current(&page(program), "run", &(block + "```\n"));
}

/// For each row of a table of errors: if the call fails with that error, the program prints what the
/// document says.
fn errors(program: Program) {
    let mut count = 0;
    for (number, call, text) in parts(program) {
        for row in text.lines().filter(|line| line.starts_with("| `E")) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [_, error, _, message, _] = cells[..] else { panic!("{row}") };
            let what = said(program, number, &call, error.trim_matches('`'));
            assert_eq!(what, message, "{}: {number} {call}: {error}", page(program));
            count += 1;
        }
    }
    assert!(count > 1, "{} says what can go wrong", page(program));
}

/// What the program prints if the call fails.
fn said(program: Program, number: usize, call: &str, error: &str) -> String {
    in_namespace(|| {
        // The first write prints a message, and the first setsockopt sets the option.
        let when = if call == "write" || number == 34 { 2 } else { 1 };
        let mut strace = Command::new("strace");
        strace.args(["-o", "/dev/null", &format!("--inject={call}:error={error}:when={when}")]);
        strace.arg(Variant::new(program, Runtime::Raw).with(SWITCHES).path());
        let mut server = Process::start(&mut strace);
        if program != Program::Ureuseaddr
            && ["setsockopt", "fork", "read", "write", "close"].contains(&call)
        {
            let client = Client::connect();
            // The server may have ended by then.
            let _ = (&client.0).write_all(b"hello\n");
            let _ = client.0.shutdown(Shutdown::Write);
        }
        let status = server.wait();
        let (stdout, stderr) = (server.stdout.to_end(), server.stderr.to_end());
        let mut usual = vec!["client connected: 4\n", "client close: 4\n"];
        if program == Program::Treuseaddr2 {
            usual[0] = "[PARENT] client connected: 4\n";
        }
        let news = usual.into_iter().fold(stdout + &stderr, |text, usual| text.replace(usual, ""));
        assert_eq!(status, if stderr.is_empty() { 0 } else { 255 });
        match news.trim_end() {
            "" => "nothing".to_owned(),
            news => format!("`{news}`"),
        }
    })
}
