//! The sources, side by side, and what is said of each call.

use super::experiment::Choice;
use super::highlight;
use super::markdown::markdown;
use super::words::Language;
use crate::annotations::{Repeat, first, parts, parts_in, served};
use crate::harness::{Program, read};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A program in both languages.
#[derive(Serialize)]
pub struct Listing {
    name: &'static str,
    lines: Vec<Line>,
    /// The longest line of each column that is no import: the page gives them room.
    widths: [usize; 2],
    title: String,
    notes: Vec<Note>,
}

#[derive(Serialize)]
struct Line {
    number: usize,
    /// C and Rust, as HTML.
    code: [Code; 2],
    /// The switch without which the line is not there, and whether it is the one that asks for it.
    switch: Option<&'static str>,
    is_first: bool,
    /// What is called, and the notes on that.
    calls: Vec<String>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Code {
    indent: usize,
    html: String,
}

#[derive(Serialize)]
struct Note {
    id: String,
    line: usize,
    call: String,
    html: String,
    /// The note of the first program that the line repeats: the page shows it below.
    like: Option<String>,
}

impl Listing {
    pub fn of(program: Program, language: &Language) -> Self {
        let name = program.name();
        let texts = ["c", "rs"].map(|extension| read(&format!("src/{name}.{extension}")));
        let html = [0, 1].map(|at| highlight::lines(&texts[at], ["c", "rs"][at]));
        let explained = explained(program);
        let mut switch = None;
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(texts[0].lines()) {
            let opens = line.strip_prefix("#ifdef ").map(switch_of);
            switch = opens.or(switch);
            let of_line = explained.iter().filter(|(of, _)| *of == number);
            let notes: Vec<String> = of_line.map(|(_, id)| id.clone()).collect();
            let call = |id: &String| id.rsplit('-').next().unwrap_or_default().to_owned();
            lines.push(Line {
                number,
                code: [0, 1].map(|at| Code::of(&html[at][number - 1])),
                switch,
                is_first: opens.is_some(),
                calls: notes.iter().map(call).collect(),
                notes,
            });
            if line == "#endif" {
                switch = None;
            }
        }
        let file = format!("{}/{name}.md", language.documents);
        let document = read(&file);
        let (title, _) = document.split_once("\n\n").expect("a title stands first");
        let likes = RefCell::new(BTreeMap::new());
        let repeated = |Repeat { line, link, here, .. }: &Repeat| {
            let like = link.replace(".md#", "-");
            likes.borrow_mut().insert(*line, like);
            here.clone()
        };
        let parts = parts_in(language.documents, program, repeated);
        let likes = likes.into_inner();
        let notes = parts.into_iter().map(|(line, call, text)| Note {
            id: format!("{name}-{line}-{call}"),
            line,
            call,
            html: point_first(&markdown(&file, &text)),
            like: likes.get(&line).cloned(),
        });
        Self {
            name,
            lines,
            widths: texts.each_ref().map(|text| width(text)),
            title: title.trim_start_matches("# ").to_owned(),
            notes: notes.collect(),
        }
    }
}

/// A note with its first sentence before the trace.
fn point_first(html: &str) -> String {
    let parts = html.strip_prefix("<pre>").and_then(|rest| {
        let (trace, rest) = rest.split_once("</pre>\n")?;
        let (first, rest) = rest.trim_start().strip_prefix("<p>")?.split_once("</p>")?;
        let end = sentence(first);
        let more = match first[end..].trim_start() {
            "" => String::new(),
            more => format!("<p>{more}</p>"),
        };
        Some(format!("<p class=\"point\">{}</p><pre>{trace}</pre>\n{more}{rest}", &first[..end]))
    });
    parts.unwrap_or_else(|| html.to_owned())
}

/// Where the first sentence of a paragraph ends, outside of any element.
fn sentence(html: &str) -> usize {
    let ends = html.match_indices(['.', ':', '。', '：', '<']);
    let mut depth = 0;
    for (at, what) in ends {
        match what {
            "<" if html[at..].starts_with("</") => depth -= 1,
            "<" => depth += 1,
            "." | ":" if depth == 0 && !html[at + 1..].starts_with([' ', '\n']) => {}
            ":" | "：" => {}
            end if depth == 0 => return at + end.len(),
            _ => {}
        }
    }
    html.len()
}

/// The feature of cargo of a name of the preprocessor.
fn switch_of(name: &str) -> &'static str {
    match name {
        "REUSEADDR" => "reuseaddr",
        "CLOSE_LISTENER" => "close-listener",
        _ => panic!("no switch {name}"),
    }
}

/// The longest line that is no import, in characters; a comment behind the code is set smaller.
fn width(source: &str) -> usize {
    let is_code = |line: &&str| !line.starts_with("use ") && !line.starts_with("#!");
    let width = |line: &str| match line.split_once(" // ") {
        Some((code, comment)) => code.len() + (comment.len() + 4) * 9 / 10,
        None => line.len(),
    };
    source.lines().filter(is_code).map(width).max().unwrap_or_default()
}

impl Code {
    fn of(html: &str) -> Self {
        let code = html.trim_start();
        Self { indent: html.len() - code.len(), html: code.to_owned() }
    }
}

/// The lines that are explained, and where: the first lines of the second program are the first's.
pub fn explained(program: Program) -> Vec<(usize, String)> {
    let mut explained = Vec::new();
    for other in Program::ALL {
        let is_shared = |number| other == Program::Treuseaddr && number < first(program);
        let is_said = |number| other == program || is_shared(number);
        for (number, call, _) in parts(other).into_iter().filter(|part| is_said(part.0)) {
            explained.push((number, format!("{}-{number}-{call}", other.name())));
        }
    }
    explained
}

/// The order of the calls while a client is served: by program, for the option off and on, the
/// lines of the process and of its child.
pub fn order() -> BTreeMap<&'static str, [[Vec<usize>; 2]; 2]> {
    let lines = |calls: Vec<(usize, String)>| calls.into_iter().map(|(line, _)| line).collect();
    let of = |choice: Choice| {
        [false, true].map(|option| served(choice.program, choice.switches(option)).map(lines))
    };
    Choice::ALL.into_iter().map(|choice| (choice.name, of(choice))).collect()
}
