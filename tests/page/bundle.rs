//! The page's modules as one script, since a page in one file cannot import.
//!
//! Each module becomes a function that returns what the module exports, and stands behind those
//! that it imports from. A bundler from npm would do the same, and need a network where the
//! ordinary tests need none.

use crate::harness::read;
use std::collections::BTreeMap;

const FOLDER: &str = "docs/page";

/// The script that begins with that module. Panics if a module imports what no module exports, or
/// if modules import each other.
pub fn bundle(main: &str) -> String {
    let mut bundle = Bundle { modules: BTreeMap::new(), script: "\"use strict\";\n".to_owned() };
    bundle.add(main);
    bundle.script
}

struct Bundle {
    /// What each module exports; nothing yet, while it is read.
    modules: BTreeMap<String, Option<Vec<String>>>,
    script: String,
}

impl Bundle {
    fn add(&mut self, name: &str) {
        match self.modules.insert(name.to_owned(), None) {
            Some(None) => panic!("{name} imports itself, over others"),
            Some(done) => return drop(self.modules.insert(name.to_owned(), done)),
            None => {}
        }
        let text = read(&format!("{FOLDER}/{name}"));
        let mut body = String::new();
        let mut exports = Vec::new();
        for statement in statements(&text) {
            if let Some(import) = statement.strip_prefix("import ") {
                let (names, from) = parse(import);
                self.add(from);
                let exported = self.modules[from].as_ref().expect("it was read");
                for wanted in &names {
                    assert!(exported.contains(wanted), "{from} has no {wanted} for {name}");
                }
                if !names.is_empty() {
                    body.push_str(&format!("const {{ {} }} = {};\n", names.join(", "), id(from)));
                }
                continue;
            }
            let statement = match statement.strip_prefix("export ") {
                Some(statement) => {
                    exports.extend(declared(statement));
                    statement
                }
                None => statement,
            };
            body.push_str(&bare(statement));
        }
        let end = format!("return {{ {} }};\n", exports.join(", "));
        self.script.push_str(&format!("const {} = (() => {{\n{body}{end}}})();\n", id(name)));
        self.modules.insert(name.to_owned(), Some(exports));
    }
}

/// A statement without its comments and indentation, which nobody reads there.
fn bare(statement: &str) -> String {
    let lines = statement.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.filter(|line| !line.starts_with("//")).map(|line| line.to_owned() + "\n").collect()
}

/// The text, cut before each line that is not indented and begins with a word: at that a statement
/// of a formatted module begins.
fn statements(text: &str) -> Vec<&str> {
    let is_start =
        |at: usize| text[at..].starts_with("import ") || text[at..].starts_with("export ");
    let mut starts: Vec<usize> =
        text.match_indices('\n').map(|(at, _)| at + 1).filter(|at| is_start(*at)).collect();
    starts.insert(0, 0);
    // What stands behind an import is no part of it.
    let mut cuts = Vec::new();
    for at in starts {
        cuts.push(at);
        if text[at..].starts_with("import ") {
            cuts.push(at + text[at..].find(";\n").expect("an import ends") + 2);
        }
    }
    cuts.push(text.len());
    cuts.dedup();
    cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect()
}

/// `{ a, b } from "./x.js";` or `"./x.js";`: the names, and the module.
fn parse(import: &str) -> (Vec<String>, &str) {
    let (names, from) = import.split_once(" from ").unwrap_or(("", import));
    let names = names.trim_matches(['{', '}', ' ', '\n']).split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let from = from.trim().trim_matches(['"', ';']);
    (names, from.strip_prefix("./").expect("a module of the page"))
}

/// The names that an exported statement declares.
fn declared(statement: &str) -> Vec<String> {
    let rest = statement.split_once(' ').expect("it declares something").1;
    let (names, _) = rest.split_once(['=', '(']).expect("a constant or a function");
    let own = |name: &str| name.rsplit(':').next().unwrap_or(name).trim().to_owned();
    let names = names.trim().trim_matches(['{', '}']).split(',').map(own);
    names.filter(|name| !name.is_empty()).collect()
}

fn id(name: &str) -> String {
    format!("{}Module", name.trim_end_matches(".js"))
}
