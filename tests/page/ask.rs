//! "Ask the kernel": the bind table, made small enough for a page.
//!
//! Of each cell with one socket that is there, and options set before bind or not at all, the page
//! has the outcome. The rest is in `docs/bind-table.md`.

use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// In the order of their number: bit 0 SO_REUSEADDR, bit 1 SO_REUSEPORT.
const OPTIONS: [&str; 4] = ["", "+reuseaddr", "+reuseport", "+reuseaddr+reuseport"];

/// The number of an outcome as a character.
const FIRST: u32 = '0' as u32;

/// A socket as a cell names it: its address, the number of its options, whether of another user.
fn socket(text: &str) -> Option<(String, usize, bool)> {
    let (text, other) = match text.strip_suffix("+other-user") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let at = text.find("+reuse").unwrap_or(text.len());
    let number = OPTIONS.iter().position(|options| *options == &text[at..])?;
    let is_plain = !text[..at].replace("+v6only", "").contains(['+', ',']);
    is_plain.then(|| (text[..at].to_owned(), number, other))
}

/// The cells, the outcomes and the rules.
pub fn data(run: &Value) -> Value {
    let mut outcomes: Vec<Value> = Vec::new();
    let mut rules: Vec<Value> = Vec::new();
    let mut cells: BTreeMap<String, Vec<char>> = BTreeMap::new();
    let number = |list: &mut Vec<Value>, value: Value| {
        list.iter().position(|it| *it == value).unwrap_or_else(|| {
            list.push(value);
            list.len() - 1
        })
    };
    for cell in run["cells"].as_array().expect("they are a list") {
        let name = cell["cell"].as_str().expect("it has a name");
        let fields: Vec<&str> = name.split('/').collect();
        let [proto, there, state, new] = fields[..] else { continue };
        let (Some(a), Some(b)) = (socket(there), socket(new)) else { continue };
        if a.2 || cell["verdict"].is_null() {
            continue;
        }
        let rule = number(&mut rules, json!([cell["condition"], cell["function"]]));
        let outcome = json!([cell["verdict"], rule, cell["deliveries"]]);
        let outcome = u32::try_from(number(&mut outcomes, outcome)).expect("they are few");
        let row = cells.entry(format!("{proto}/{}/{state}/{}", a.0, b.0)).or_default();
        let at = a.1 * 4 + b.1 + if b.2 { 16 } else { 0 };
        row.resize(row.len().max(at + 1), ' ');
        row[at] = char::from_u32(FIRST + outcome).expect("they are few");
    }
    let elsewhere = elsewhere(run);
    let cells: BTreeMap<String, String> =
        cells.into_iter().map(|(name, row)| (name, row.into_iter().collect())).collect();
    json!({ "cells": cells, "outcomes": outcomes, "rules": rules, "elsewhere": elsewhere })
}

/// Where a cell is not the same: of which kernels, or in whose words, and what it is there.
fn elsewhere(run: &Value) -> BTreeMap<&str, Vec<[&str; 2]>> {
    let mut elsewhere: BTreeMap<&str, Vec<[&str; 2]>> = BTreeMap::new();
    let mut verdicts = BTreeMap::new();
    for cell in run["cells"].as_array().expect("they are a list") {
        let name = cell["cell"].as_str().expect("it has a name");
        if name.contains(',') {
            continue; // the page asks about two sockets
        }
        verdicts.insert(name, &cell["verdict"]);
        for text in cell["history"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            elsewhere.entry(name).or_default().push(["Linux", text]);
        }
    }
    for written in run["expectations"].as_array().into_iter().flatten() {
        let [source, name, verdict] =
            ["source", "cell", "verdict"].map(|field| written[field].as_str().unwrap_or_default());
        if verdicts.get(name).is_some_and(|measured| **measured != verdict) {
            elsewhere.entry(name).or_default().push([source, verdict]);
        }
    }
    elsewhere
}

/// The states that may be asked about.
pub fn states(data: &Value) -> BTreeSet<&str> {
    let cells = data["cells"].as_object().expect("they have names");
    cells.keys().filter_map(|name| name.split('/').nth(2)).collect()
}

/// A table of the bind table: a row for each state, a column for each who may have the option.
#[derive(Serialize)]
pub struct Table {
    name: &'static str,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    cells: Vec<String>,
}

/// The tables that stand on the page without JavaScript, and in print.
pub fn tables(run: &Value) -> Vec<Table> {
    ["restart", "reuseport"].map(|name| table(run, name)).into()
}

fn table(run: &Value, name: &'static str) -> Table {
    let list = |value: &Value| value.as_array().expect("it is a list").clone();
    let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
    let questions = list(&run["questions"]);
    let question = questions.iter().find(|question| question["name"] == name);
    let row = |row: &Value| Row {
        name: text(&row["name"]),
        cells: list(&row["cells"]).iter().map(|cell| text(&cell["text"])).collect(),
    };
    let rows = list(&question.expect("it is asked")["rows"]).iter().map(row).collect();
    Table { name, rows }
}
