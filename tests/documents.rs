//! The documents say what is: what is quoted is current, and what is linked is there.
//! `TREUSEADDR_UPDATE=1 cargo test documents` rewrites what is quoted.

use crate::harness::{
    self, Client, Process, Program, Runtime, Scratch, Switches, Variant, project, read, words,
};
use crate::outcomes::{EXPERIMENTS, listens};
use libtest_mimic::Trial;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

pub fn trials() -> Vec<Trial> {
    vec![
        harness::trial("documents_picture", || is_current("README.md", "picture", &picture())),
        harness::trial("documents_outcomes", || is_current("README.md", "outcomes", &outcomes())),
        harness::trial("documents_links", links),
        harness::trial("documents_commands", commands),
    ]
}

/// The block of that name in the file is `text`, or is made so.
pub fn is_current(file: &str, name: &str, text: &str) {
    static REWRITING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = REWRITING.lock();
    let document = read(file);
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let (before, rest) = document.split_once(&start).expect("the block is there");
    let (block, after) = rest.split_once(&end).expect("the block ends");
    if std::env::var_os("TREUSEADDR_UPDATE").is_some() {
        fs::write(project(file), [before, &start, text, &end, after].concat()).expect("it is ours");
    } else {
        assert_eq!(block, text, "{file}: {name} (TREUSEADDR_UPDATE=1 cargo test rewrites it)");
    }
}

/// The file is `text`, or is made so.
pub fn is_whole(file: &str, text: &str) {
    if std::env::var_os("TREUSEADDR_UPDATE").is_some() {
        fs::write(project(file), text).expect("it is ours");
        return;
    }
    let found = fs::read_to_string(project(file)).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).position(|(found, made)| found != made);
    let at = differs.unwrap_or_else(|| found.lines().count().min(text.lines().count()));
    let line = |text: &str| text.lines().nth(at).unwrap_or("nothing").to_owned();
    assert!(
        found == text,
        "{file}, line {}: there is\n  {}\nand should be\n  {}\n(TREUSEADDR_UPDATE=1 cargo test \
         rewrites it)",
        at + 1,
        line(&found),
        line(text)
    );
}

/// The heart of the first program in both languages, and the calls that the whole of it makes.
fn picture() -> String {
    const FIRST: usize = 22;
    const LAST: usize = 34;
    let lines = |path: &str| -> Vec<String> {
        let source = read(path);
        let lines = source.lines().skip(FIRST - 1).take(LAST + 1 - FIRST);
        lines.map(|line| line.strip_prefix("    ").unwrap_or(line).to_owned()).collect()
    };
    let (c, rust) = (lines("src/treuseaddr.c"), lines("src/treuseaddr.rs"));
    let width = c.iter().map(String::len).max().unwrap_or_default();
    let mut picture = format!("```text\n    {:width$}   src/treuseaddr.rs\n", "src/treuseaddr.c");
    for (number, (c, rust)) in (FIRST..).zip(c.iter().zip(rust)) {
        let line = format!("{number}  {c:width$}   {rust}");
        picture.push_str(line.trim_end());
        picture.push('\n');
    }
    picture.push_str("\n    strace target/release/treuseaddr, and the lines that make the calls\n");
    for call in trace() {
        picture.push_str(&format!("{}  {call}\n", line_of(&call)));
    }
    picture + "```\n"
}

/// The calls of the default build with `reuseaddr`, while a client says hello and closes.
fn trace() -> Vec<String> {
    let switches = Switches { reuseaddr: true, close_listener: false };
    let server = Variant::new(Program::Treuseaddr, Runtime::Raw).with(switches);
    let scratch = Scratch::new();
    let file = scratch.path().join("trace");
    let mut server = Process::start(Command::new("strace").arg("-o").arg(&file).arg(server.path()));
    let mut client = Client::connect();
    client.exchange("hello\n");
    client.shutdown();
    assert_eq!(server.wait(), 0);
    let trace = fs::read_to_string(file).expect("strace has written it");
    let calls =
        trace.lines().filter(|line| !line.starts_with("execve(") && !line.starts_with("+++"));
    let port = format!("htons({})", client.0.local_addr().expect("it is connected").port());
    calls.map(|call| call.replace(&port, "htons(...)")).collect()
}

/// The line of the C source that makes the call.
fn line_of(call: &str) -> usize {
    let name = match call.split_once('(').expect("it is a call") {
        ("write", arguments) if arguments.starts_with("1, \"client connected") => {
            "printf(\"client connected"
        }
        ("write", arguments) if arguments.starts_with("1, \"client close") => {
            "printf(\"client close"
        }
        ("exit_group", _) => "return 0",
        (name, _) => name,
    };
    let is_call = |line: &str| match words(name).count() {
        1 => line.contains(&format!("{name}(")),
        _ => line.contains(name),
    };
    1 + read("src/treuseaddr.c").lines().position(is_call).expect("the call has its line")
}

/// The table of who may bind, measured.
fn outcomes() -> String {
    let mut table = "| old server | new server |".to_owned();
    for experiment in EXPERIMENTS {
        table.push_str(&format!(
            " {} |",
            experiment.name.replace("_close_listener", ", `close-listener`")
        ));
    }
    table.push_str("\n|---|---|---|---|---|\n");
    for (old, new) in [(false, false), (false, true), (true, false), (true, true)] {
        let word = |reuseaddr| if reuseaddr { "`reuseaddr`" } else { "no option" };
        table.push_str(&format!("| {} | {} |", word(old), word(new)));
        for experiment in EXPERIMENTS {
            let listens = harness::in_namespace(|| listens(experiment, Runtime::Raw, old, new));
            table.push_str(if listens { " **listens** |" } else { " Address already in use |" });
        }
        table.push('\n');
    }
    table
}

/// Every Markdown file of the project.
fn documents() -> Vec<PathBuf> {
    let files = ["", "docs"].into_iter().flat_map(|folder| {
        fs::read_dir(project(folder))
            .expect("it is a folder")
            .map(|entry| entry.expect("it is a folder").path())
    });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Each relative link leads to a file, each reference to a definition.
fn links() {
    for document in documents() {
        let text = fs::read_to_string(&document).expect("it is a text");
        let folder = document.parent().expect("it is in a folder");
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, _anchor) = target.split_once('#').unwrap_or((target, ""));
            assert!(folder.join(file).exists(), "{document:?} links to {target}");
        }
        let prose: String = text.split("```").step_by(2).collect();
        for name in prose.split('[').skip(1).filter_map(|rest| rest.split_once(']')) {
            let (name, after) = name;
            let is_reference = !after.starts_with('(') && !after.starts_with(':');
            let is_defined = text.contains(&format!("\n[{name}]: "));
            assert!(!is_reference || is_defined, "{document:?} refers to [{name}]");
        }
    }
}

/// The README's commands name features that there are, and CI runs its test command.
fn commands() {
    let (readme, manifest) = (read("README.md"), read("Cargo.toml"));
    for features in readme.split("--features ").skip(1) {
        let features =
            features.split(|c: char| c.is_whitespace() || c == '`').next().unwrap_or_default();
        for feature in features.split(',') {
            assert!(manifest.contains(&format!("\n{feature} = [")), "no feature {feature:?}");
        }
    }
    let test = "&& cargo test\n";
    assert_eq!(readme.matches(test).count(), 1);
    assert!(read(".ci/run").contains("grep -m1 '&& cargo test$' README.md"));
}
