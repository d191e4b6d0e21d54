//! How the documents speak: short sentences, plain words, and no phrase that has to be read twice.

use crate::bindtable::bindtable;
use crate::documents::documents;
use crate::harness::{self, project, read};
use libtest_mimic::Trial;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::fs;
use std::path::PathBuf;
use toml::Value;
use unicode_segmentation::UnicodeSegmentation;

pub fn trials() -> Vec<Trial> {
    vec![
        harness::trial("prose_documents", the_documents),
        harness::trial("prose_comments", the_comments),
        harness::trial("prose_words", the_words),
        harness::trial("prose_can_fail", can_fail),
    ]
}

/// No sentence has more words than this.
const LONGEST: usize = 40;

/// The median sentence of a document has fewer words than this.
const MEDIAN: usize = 18;

/// The reading ease of a document is at least this, by Flesch's formula: 206.835, less 1.015 for each
/// word in the average sentence, less 84.6 for each syllable in the average word. From 70 on a text
/// is called fairly easy.
const EASE: f64 = 75.0;

/// Phrases that readers had to read twice, in lower case.
const PHRASES: [&str; 31] = [
    "adds to a line costs no call",
    "and what is in it must",
    "argue with",
    "by who ",
    "definite address",
    "each has one of the two options or none",
    "for what passes over it",
    "for who ",
    "has notes",
    "in each other's way",
    "is no ornament",
    "it does not: the call",
    "nor may the whole system",
    "nor the whole system",
    "of tcp false",
    "of who ",
    "old connections are left",
    "rust that comes up here",
    "save the comparison",
    "states on the way there",
    "the books",
    "the judgement",
    "the judgment",
    "to who ",
    "what is found needs",
    "what is not in it must",
    "what is started last",
    "where it is so",
    "whose is the port",
    "with one, a second one",
    "words unread",
];

/// The prose of a document: its paragraphs, the items of its lists and the cells of its tables. Code in
/// them counts as one word.
#[derive(Default)]
struct Prose {
    paragraphs: Vec<String>,
    cells: Vec<String>,
}

impl Prose {
    fn of(markdown: &str) -> Self {
        let mut prose = Self::default();
        let mut text = String::new();
        let mut is_code = false;
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::CodeBlock(_)) => is_code = true,
                Event::End(TagEnd::CodeBlock) => is_code = false,
                Event::Text(part) if !is_code => text.push_str(&part),
                // At the head of a sentence it has to look like one.
                Event::Code(_) => text.push_str(match text.trim_end().chars().last() {
                    None | Some('.' | '?' | '!') => "Code",
                    _ => "code",
                }),
                Event::SoftBreak | Event::HardBreak => text.push(' '),
                Event::End(TagEnd::TableCell) => prose.cells.push(std::mem::take(&mut text)),
                // Within an item a list ends the item's own text.
                Event::Start(Tag::List(_)) | Event::End(TagEnd::Paragraph | TagEnd::Item) => {
                    prose.paragraphs.push(std::mem::take(&mut text));
                }
                Event::End(TagEnd::Heading(_)) => prose.cells.push(std::mem::take(&mut text)),
                _ => {}
            }
        }
        prose.paragraphs.retain(|paragraph| !paragraph.trim().is_empty());
        prose
    }

    /// What is wrong with it, a line for each fault.
    fn faults(&self) -> Vec<String> {
        let mut faults = long_sentences(&self.paragraphs);
        faults.extend(long_sentences(&self.cells));
        for text in self.paragraphs.iter().chain(&self.cells) {
            faults.extend(phrases(text));
        }
        let mut counts: Vec<usize> = sentences(&self.paragraphs).into_iter().map(words).collect();
        counts.sort_unstable();
        let median = counts.get(counts.len() / 2).copied().unwrap_or_default();
        if median >= MEDIAN {
            faults.push(format!("half the sentences have {median} words or more"));
        }
        let ease = textstat::flesch_reading_ease(&self.paragraphs.join("\n"));
        if ease < EASE {
            faults.push(format!("a reading ease of {ease:.1}, below {EASE}"));
        }
        faults
    }
}

fn sentences(texts: &[String]) -> Vec<&str> {
    texts.iter().flat_map(|text| text.unicode_sentences()).collect()
}

fn long_sentences(texts: &[String]) -> Vec<String> {
    let long = sentences(texts).into_iter().filter(|sentence| words(sentence) > LONGEST);
    long.map(|sentence| format!("a sentence of {} words: {sentence}", words(sentence))).collect()
}

fn words(sentence: &str) -> usize {
    sentence.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count()
}

/// The phrases that are in a text, a line for each.
fn phrases(text: &str) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase() + " ";
    let is_whole = |phrase: &str, after: &str| {
        phrase.ends_with(' ') || !after.starts_with(char::is_alphabetic) // "so" is not in "some"
    };
    let mut found = Vec::new();
    for phrase in PHRASES {
        for (at, _) in text.match_indices(phrase) {
            let (before, after) = (&text[..at], &text[at + phrase.len()..]);
            if is_whole(phrase, after) {
                let start: String = before.chars().rev().take(40).collect();
                let start: String = start.chars().rev().collect();
                found.push(format!("the phrase {phrase:?}: ...{start}{phrase}{after:.40}"));
            }
        }
    }
    found
}

/// The English documents.
fn the_documents() {
    let is_english = |path: &PathBuf| !path.to_string_lossy().contains("zh-CN");
    let mut report = String::new();
    for document in documents().into_iter().filter(is_english) {
        let prose = Prose::of(&fs::read_to_string(&document).expect("the file is UTF-8"));
        for fault in prose.faults() {
            report.push_str(&format!("{}: {fault}\n", document.display()));
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// The comments of the sources, of the tests and of the scripts have none of the phrases.
fn the_comments() {
    let mut folders = ["src", "tests", "docs"].map(project).to_vec();
    let mut report = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder is readable") {
            let path = entry.expect("the folder is readable").path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            let mark = match extension {
                Some("rs" | "c" | "js" | "mjs") => "//",
                Some("sh") => "#",
                None if path.is_dir() && !path.ends_with("node_modules") => {
                    folders.push(path);
                    continue;
                }
                _ => continue,
            };
            let text = fs::read_to_string(&path).expect("the file is UTF-8");
            let comments: Vec<&str> = text.lines().filter_map(|line| comment(line, mark)).collect();
            for phrase in phrases(&comments.join(" ")) {
                report.push_str(&format!("{}: {phrase}\n", path.display()));
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// The help of bindtable, the words of the demo and those of the page.
fn the_words() {
    let mut texts = Vec::new();
    for command in [&[][..], &["explain"], &["port"], &["diff"]] {
        texts.push(bindtable(&[command, &["--help"]].concat()));
    }
    // A bash array: [key]="words".
    let demo = read("docs/demo/words.en.sh");
    let words = demo.split("]=\"").skip(1).filter_map(|rest| rest.split("\"\n").next());
    texts.extend(words.map(str::to_owned));
    strings(&Value::Table(read("docs/page/words.en.toml").parse().expect("TOML")), &mut texts);
    assert!(texts.len() > 200, "the words of both: {}", texts.len());

    let mut report = String::new();
    for text in texts {
        let paragraphs = text.split("\n\n").filter(|it| !it.contains("\n  ")); // no list of options
        let prose = Prose::of(&paragraphs.collect::<Vec<_>>().join("\n\n"));
        for fault in long_sentences(&prose.paragraphs).into_iter().chain(phrases(&text)) {
            report.push_str(&format!("{fault}\n"));
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

fn strings(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| strings(value, texts)),
        Value::Table(table) => table.values().for_each(|value| strings(value, texts)),
        _ => {}
    }
}

/// The comment of a line of code, if it has one.
fn comment<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let (code, comment) = line.split_once(mark)?;
    let is_comment = code.trim().is_empty() || code.ends_with(' ');
    is_comment.then(|| comment.trim_start_matches(['/', '!', '#']))
}

/// Each rule finds a text that breaks it, and none finds fault with a text that does not.
fn can_fail() {
    let faults = |markdown: &str| Prose::of(markdown).faults();
    let has = |markdown: &str, fault: &str| faults(markdown).iter().any(|it| it.starts_with(fault));
    let plain =
        "# The words unrelated\n\nThe server calls `bind`. It fails.\n\n- It ends. `x` is 1.0.\n";
    assert_eq!(faults(plain), Vec::<String>::new());
    assert_eq!(Prose::of(plain).paragraphs.len(), 2);
    assert_eq!(sentences(&Prose::of(plain).paragraphs).len(), 4);

    let of = |count: usize| format!("{}end.", "go ".repeat(count - 1));
    assert!(!has(&of(LONGEST), "a sentence of"));
    assert!(has(&of(LONGEST + 1), "a sentence of 41 words"));
    assert!(has(&format!("| a |\n|---|\n| {} |\n", of(LONGEST + 1)), "a sentence of"), "a cell");
    assert!(has(&of(MEDIAN), "half the sentences"));
    assert!(!has(&of(MEDIAN - 1), "half the sentences"));
    assert!(has("A server ends with\nwords unread.", "the phrase"), "over the end of a line");
    assert!(has(
        "Unidirectional synchronization necessitates immediate acknowledgment.",
        "a reading"
    ));
    let line = ["let x = 1; ", " What is found needs it."].join("//");
    assert_eq!(comment(&line, "//").map(|it| phrases(it).len()), Some(1));
    assert_eq!(comment("let x = \"http://there\";", "//"), None);
}
