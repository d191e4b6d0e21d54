//! "Ask the kernel": the bind table, made small enough for a page.
//!
//! The form offers the addresses and states of the bind table's cells with one socket that is there.
//! To each of them come all options and both users, and each question is asked when the page is made.

use crate::bindtable::bindtable;
use crate::harness::in_namespace;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::thread;

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
    let plain = ["+v6only", "+device-lo", "+device-other"];
    let rest = plain.iter().fold(text[..at].to_owned(), |text, part| text.replace(part, ""));
    let is_plain = !rest.contains(['+', ',']);
    is_plain.then(|| (text[..at].to_owned(), number, other))
}

/// A TCP listener, or a bound socket, with a device or without: no table of `bindtable` has them all.
const DEVICES: [&str; 3] = ["127.0.0.1", "127.0.0.1+device-lo", "127.0.0.1+device-other"];

/// What the form offers: protocol, A's address, A's state, B's address.
fn offered(run: &Value) -> BTreeSet<[String; 4]> {
    let mut offered = BTreeSet::new();
    for cell in list(&run["cells"]) {
        let name = text(&cell["cell"]);
        let fields: Vec<&str> = name.split('/').collect();
        let [proto, there, state, new] = fields[..] else { continue };
        let (Some(a), Some(b)) = (socket(there), socket(new)) else { continue };
        if !a.2 {
            offered.insert([proto.to_owned(), a.0, state.to_owned(), b.0]);
        }
    }
    for [proto, state] in [["tcp", "bound"], ["tcp", "listening"], ["udp", "bound"]] {
        for (a, b) in DEVICES.iter().flat_map(|a| DEVICES.map(|b| (a, b))) {
            offered.insert([proto, a, state, b].map(str::to_owned));
        }
    }
    offered
}

/// The questions about those addresses, in the order in which the page has their outcomes: B's user,
/// A's options, B's.
fn questions([proto, a, state, b]: &[String; 4]) -> Vec<String> {
    let mut names = Vec::new();
    for user in ["", "+other-user"] {
        for of_a in OPTIONS {
            names.extend(OPTIONS.map(|of_b| format!("{proto}/{a}{of_a}/{state}/{b}{of_b}{user}")));
        }
    }
    names
}

/// What the kernel says to each question that the form can ask: measured once for both languages.
fn measured(offered: &BTreeSet<[String; 4]>) -> &'static BTreeMap<String, Value> {
    static MEASURED: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    MEASURED.get_or_init(|| {
        let names: Vec<String> = offered.iter().flat_map(questions).collect();
        let cells = explain("en", names.iter().map(String::as_str));
        assert_eq!(cells.len(), names.len(), "each question has its cell");
        cells
    })
}

fn explain<'a>(language: &'a str, names: impl Iterator<Item = &'a str>) -> BTreeMap<String, Value> {
    let mut arguments = vec!["--lang", language, "explain", "--format", "json"];
    arguments.extend(names);
    // In a network of its own: the trial that asks first may have changed its own.
    let run = thread::scope(|scope| {
        let run = scope.spawn(|| in_namespace(|| bindtable(&arguments)));
        run.join().expect("it has succeeded")
    });
    let run: Value = serde_json::from_str(&run).expect("it is JSON");
    list(&run["cells"]).into_iter().map(|cell| (text(&cell["cell"]), cell)).collect()
}

/// What the kernel's three questions come to, where this condition decides: same port and a conflicting
/// address, an option that counts in both, A in LISTEN. The next is not asked where one has answered.
fn answers(condition: &str) -> [Option<bool>; 3] {
    let starts: [(&str, [Option<bool>; 3]); 13] = [
        ("no owner of the port has the address", [Some(false), None, None]),
        ("the port has no owner", [Some(false), None, None]),
        ("both are bound to a device, each to another", [Some(false), None, None]),
        ("the addresses conflict, and the two have no option", [Some(true), Some(false), None]),
        ("the port's bucket remembers", [None, Some(true), None]),
        ("both have SO_REUSEADDR, and the old one", [Some(true), Some(true), Some(false)]),
        ("both have SO_REUSEADDR, but the old one", [Some(true), Some(true), Some(true)]),
        ("both have SO_REUSEADDR", [Some(true), Some(true), None]),
        ("both have SO_REUSEPORT, but they", [Some(true), Some(false), None]),
        ("both have SO_REUSEPORT, and", [Some(true), Some(true), None]),
        ("every port has an owner, and there is no second round", [Some(true), None, None]),
        ("every port has an owner, and no second round helps", [Some(true), Some(false), None]),
        ("every port has an owner; in the second round", [Some(true), Some(true), Some(false)]),
    ];
    let found = starts.iter().find(|(start, _)| condition.starts_with(start));
    found.unwrap_or_else(|| panic!("which question answers: {condition}?")).1
}

/// The cells, the outcomes and the rules, with the texts in that language.
pub fn data(run: &Value, language: &str) -> Value {
    let offered = offered(run);
    let measured = measured(&offered);
    let mut outcomes: Vec<Value> = Vec::new();
    let mut rules: Vec<(Value, &str)> = Vec::new();
    let mut cells: BTreeMap<String, BTreeMap<&str, String>> = BTreeMap::new();
    for addresses in &offered {
        let mut row = String::new();
        for name in questions(addresses) {
            let cell = &measured[&name];
            assert!(cell["verdict"].is_string(), "{name} was not tried: {cell}");
            let rule = [&cell["condition"], &cell["function"]];
            let known = rules.iter().position(|(it, _)| it[0] == *rule[0] && it[1] == *rule[1]);
            let rule = known.unwrap_or_else(|| {
                rules.push((json!(rule), cell["cell"].as_str().expect("it has a name")));
                rules.len() - 1
            });
            let outcome = json!([cell["verdict"], rule, cell["deliveries"]]);
            let known = outcomes.iter().position(|it| *it == outcome);
            let number = known.unwrap_or_else(|| {
                outcomes.push(outcome);
                outcomes.len() - 1
            });
            let number = u32::try_from(number).expect("they are few");
            row.push(char::from_u32(FIRST + number).expect("they are few"));
        }
        let (b, a) = addresses.split_last().expect("they are four words");
        cells.entry(a.join("/")).or_default().insert(b, row);
    }
    // A rule's sentence in the page's language is that of a cell which it decides.
    let said = explain(language, rules.iter().map(|(_, name)| *name));
    let rules: Vec<Value> = rules
        .iter()
        .map(|(rule, name)| {
            let condition = rule[0].as_str().expect("a rule has its condition");
            json!([said[*name]["condition"], rule[1], answers(condition)])
        })
        .collect();
    let elsewhere = elsewhere(run);
    json!({ "cells": cells, "outcomes": outcomes, "rules": rules, "elsewhere": elsewhere })
}

/// A question that people ask, which the page has a link for.
#[derive(Serialize)]
pub struct Preset {
    name: &'static str,
    cell: &'static str,
}

pub const PRESETS: [Preset; 6] = [
    Preset { name: "restart", cell: "tcp/127.0.0.1/time-wait/127.0.0.1+reuseaddr" },
    Preset { name: "both", cell: "tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr" },
    Preset { name: "reuseport", cell: "tcp/127.0.0.1+reuseport/listening/127.0.0.1+reuseport" },
    Preset {
        name: "user",
        cell: "tcp/127.0.0.1+reuseport/listening/127.0.0.1+reuseport+other-user",
    },
    Preset { name: "wildcard", cell: "tcp/127.0.0.1+reuseaddr/listening/0.0.0.0+reuseaddr" },
    Preset { name: "udp", cell: "udp/0.0.0.0+reuseaddr/bound/0.0.0.0+reuseaddr" },
];

fn list(value: &Value) -> Vec<Value> {
    value.as_array().expect("it is a list").clone()
}

fn text(value: &Value) -> String {
    value.as_str().expect("it is a text").to_owned()
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
    let questions = list(&run["questions"]);
    let question = questions.iter().find(|question| question["name"] == name);
    let row = |row: &Value| Row {
        name: text(&row["name"]),
        cells: list(&row["cells"]).iter().map(|cell| text(&cell["text"])).collect(),
    };
    let rows = list(&question.expect("it is asked")["rows"]).iter().map(row).collect();
    Table { name, rows }
}
