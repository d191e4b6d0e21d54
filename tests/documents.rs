//! The documents are true: each quotation is current, and each link leads somewhere.
//! `TREUSEADDR_UPDATE=1 cargo test documents` rewrites the quotations.

use crate::annotations::served;
use crate::harness::{self, Program, Runtime, Switches, block, project, read, words};
use crate::outcomes::{EXPERIMENTS, PAIRS, listens};
use libtest_mimic::Trial;
use pulldown_cmark::{BrokenLink, Event, Options, Parser, Tag, TagEnd};
use similar::TextDiff;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub fn trials() -> Vec<Trial> {
    vec![
        harness::trial("documents_picture", || {
            is_current("README.md", "picture", &picture());
        }),
        harness::trial("documents_outcomes", || {
            is_current("README.md", "outcomes", &outcomes());
        }),
        harness::trial("documents_snapshots", snapshots),
        harness::trial("documents_links", links),
        harness::trial("documents_spelling", spelling),
        harness::trial("documents_commands", commands),
    ]
}

/// Held while a document is read and written.
pub static REWRITING: Mutex<()> = Mutex::new(());

/// The kernel on which everything was recorded that the documents and the page quote.
const KERNEL: &str = "6.18";

/// Fails if what was recorded is not what is measured. On another kernel it prints what differs.
pub fn compare(place: &str, recorded: &str, measured: &str) {
    let (major, minor) = harness::kernel();
    let kernel = format!("{major}.{minor}");
    match difference(&kernel, recorded, measured) {
        None => {}
        Some((difference, true)) => {
            panic!("{place} (TREUSEADDR_UPDATE=1 cargo test rewrites it):\n{difference}")
        }
        Some((difference, false)) => eprintln!(
            "{place} was recorded on Linux {KERNEL}. On {kernel} this differs:\n{difference}"
        ),
    }
}

/// What differs, if anything does, and whether this is the kernel on which it must not.
fn difference(kernel: &str, recorded: &str, measured: &str) -> Option<(String, bool)> {
    let difference = TextDiff::from_lines(recorded, measured);
    let difference = difference.unified_diff().context_radius(0).to_string();
    (recorded != measured).then(|| (difference, kernel == KERNEL))
}

/// A snapshot may differ on another kernel than its own.
fn snapshots() {
    let [one, two] = ["one\ntwo\n", "one\nthree\n"];
    for (kernel, must_be_equal) in [(KERNEL, true), ("6.1", false)] {
        assert_eq!(difference(kernel, one, one), None);
        let (text, is_failure) = difference(kernel, one, two).expect("it differs");
        assert!(text.ends_with("-two\n+three\n"), "{text}");
        assert_eq!(is_failure, must_be_equal, "{kernel}");
    }
}

/// Whether what is measured replaces what was recorded.
fn is_update() -> bool {
    std::env::var_os("TREUSEADDR_UPDATE").is_some()
}

/// Compares the block of that name in the file with `text`, or with `TREUSEADDR_UPDATE` replaces it.
pub fn is_current(file: &str, name: &str, text: &str) {
    let _one_at_a_time = REWRITING.lock();
    let document = read(file);
    let [before, block, after] = block(&document, name).expect("the block is there, and ends");
    match is_update() {
        true => write(file, &[before, text, after].concat()),
        false => compare(&format!("{file}: {name}"), block, text),
    }
}

/// Compares the file with `text`, or with `TREUSEADDR_UPDATE` replaces it.
pub fn is_whole(file: &str, text: &str) {
    match is_update() {
        true => write(file, text),
        false => compare(file, &fs::read_to_string(project(file)).unwrap_or_default(), text),
    }
}

fn write(file: &str, text: &str) {
    fs::write(project(file), text).unwrap_or_else(|error| panic!("{file}: {error}"));
}

/// Lines 22 to 34 of the first program in both languages, and the system calls of a whole run.
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
    let switches = Switches { reuseaddr: true, close_listener: false };
    let [calls, _no_child] = served(Program::Treuseaddr, switches);
    for (line, call) in calls {
        picture.push_str(&format!("{line}  {call}\n"));
    }
    picture + "```\n"
}

/// The table of outcomes, measured: does the new server listen?
fn outcomes() -> String {
    let mut table = "| old server | new server |".to_owned();
    for experiment in EXPERIMENTS {
        table.push_str(&format!(
            " {} |",
            experiment.name.replace("_close_listener", ", `close-listener`")
        ));
    }
    table.push_str("\n|---|---|---|---|---|\n");
    for (old, new) in PAIRS {
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
pub fn documents() -> Vec<PathBuf> {
    let files = ["", "docs", "docs/zh-CN"].into_iter().flat_map(|folder| {
        fs::read_dir(project(folder))
            .expect("the folder is readable")
            .map(|entry| entry.expect("the folder is readable").path())
    });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Each relative link leads to a file, each anchor to a heading in it, and each reference to a definition.
fn links() {
    for document in documents() {
        let text = fs::read_to_string(&document).expect("the file is UTF-8");
        let folder = document.parent().expect("the program is in a folder");
        let mut undefined =
            |link: BrokenLink| panic!("{document:?} refers to [{}]", link.reference);
        let options = Options::ENABLE_TABLES;
        for event in Parser::new_with_broken_link_callback(&text, options, Some(&mut undefined)) {
            let Event::Start(Tag::Link { dest_url: target, .. }) = event else { continue };
            if target.contains("://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() { document.clone() } else { folder.join(path) };
            assert!(file.exists(), "{document:?} links to {target}");
            let is_there = anchor.is_empty() || anchors(&file).contains(anchor);
            assert!(is_there, "{document:?} links to {target}");
        }
    }
}

fn ids(text: &str) -> HashSet<String> {
    let ids = text.split("id=\"").skip(1).filter_map(|rest| rest.split('"').next());
    ids.map(str::to_owned).collect()
}

/// The anchor that GitHub makes of a heading, its code with or without the ticks.
pub fn anchor(heading: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || ['-', '_'].contains(c);
    heading.to_lowercase().replace(' ', "-").chars().filter(is_kept).collect()
}

/// Where a link may lead in a document: its headings, as GitHub makes anchors of them, or in a page
/// whatever has an id.
fn anchors(file: &Path) -> HashSet<String> {
    let text = fs::read_to_string(file).expect("the file is UTF-8");
    if file.extension().is_some_and(|extension| extension == "html") {
        return ids(&text);
    }
    let mut anchors = ids(&text);
    let mut heading = None;
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let anchor = anchor(&heading.take().unwrap_or_default());
                let others = (1..).map(|count| format!("{anchor}-{count}"));
                let mut anchors_of_it = std::iter::once(anchor.clone()).chain(others);
                anchors.extend(anchors_of_it.find(|anchor| !anchors.contains(anchor)));
            }
            _ => {}
        }
    }
    anchors
}

/// The documents are in British English: "colour", "neighbour", "initialise".
fn spelling() {
    const AMERICAN: [&str; 14] = [
        "analyz", "behavior", "cancele", "catalog", "center", "color", "defense", "favor", "gray",
        "honor", "labele", "modele", "neighbor", "travele",
    ];
    const Z: [&str; 5] = ["ize", "izes", "ized", "izing", "ization"];
    const BRITISH: [&str; 4] = ["prize", "seize", "size", "sized"];
    for document in documents() {
        let text = fs::read_to_string(&document).expect("the file is UTF-8");
        let mut is_code = false;
        for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::CodeBlock(_)) => is_code = true,
                Event::End(TagEnd::CodeBlock) => is_code = false,
                Event::Text(text) if !is_code => {
                    for word in words(&text.to_lowercase()) {
                        let is_american = AMERICAN.iter().any(|part| word.contains(part))
                            || Z.iter().any(|end| word.ends_with(end)) && !BRITISH.contains(&word);
                        assert!(!is_american, "{document:?}: {word}");
                    }
                }
                _ => {}
            }
        }
    }
}

/// The features in the README's commands exist, and CI runs its test command. `cargo test` takes one name.
fn commands() {
    let (readme, manifest) = (read("README.md"), read("Cargo.toml"));
    for features in readme.split("--features ").skip(1) {
        let features =
            features.split(|c: char| c.is_whitespace() || c == '`').next().unwrap_or_default();
        for feature in features.split(',') {
            assert!(manifest.contains(&format!("\n{feature} = [")), "no feature {feature:?}");
        }
    }
    for document in documents() {
        let text = fs::read_to_string(&document).expect("the file is UTF-8");
        for command in text.split("cargo test ").skip(1) {
            let end = |c| matches!(c, '`' | '\n' | '&');
            let words = command.split(end).next().unwrap_or_default().split_whitespace();
            let names = words.filter(|word| !word.starts_with('-')).count();
            assert!(names <= 1, "{document:?}: cargo test {command:.60}");
        }
    }
    assert!(readme.contains("```sh\ntests/run.sh\n```\n"));
    assert!(read(".ci/run").contains("\ntests/run.sh\n"));
}
