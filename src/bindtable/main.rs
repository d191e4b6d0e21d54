//! `bindtable`: what this kernel allows. For each pairing of two sockets on one port it makes A,
//! brings it to a state, and then binds B; and it says what happened, and by which rule.
//!
//! `cell` says what a pairing is, `questions` which of them are tried, `world` where, `engine`
//! how, and `run` that all are. `rule` predicts, `expected` says what others have written, and
//! `report` prints.
#![forbid(unsafe_code)]

mod cell;
mod engine;
mod expected;
mod options;
mod questions;
mod report;
mod rule;
mod run;
mod world;

use cell::Cell;
use options::{Format, HELP, Options};
use report::Report;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use world::Powers;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into());
    let (text, status) = match Options::parse(arguments).and_then(|options| answer(&options)) {
        Ok(answer) => answer,
        Err(trouble) => {
            eprintln!("bindtable: {trouble}");
            return ExitCode::from(2);
        }
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("bindtable: standard output: {error}");
            ExitCode::from(2)
        }
        _ => ExitCode::from(status),
    }
}

/// What is to be printed, and the exit status.
fn answer(options: &Options) -> Result<(String, u8), String> {
    if options.help {
        return Ok((HELP.to_owned(), 0));
    }
    let mut questions = questions::all();
    if let Some(name) = &options.question {
        if !questions.iter().any(|question| question.name == name) {
            let names: Vec<&str> = questions.iter().map(|question| question.name).collect();
            return Err(format!("--question: '{name}' is none of {}", names.join(", ")));
        }
        questions.retain(|question| question.name == name);
    }
    let saved = match &options.diff {
        None => None,
        Some(file) => {
            Some(std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?)
        }
    };
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_err(|error| format!("/proc/sys/kernel/osrelease: {error}"))?;
    let powers = Powers::find();
    if let Some(cell) = &options.explain {
        return explain(cell, powers, release.trim());
    }

    let wants = |cell: &Cell| options.wants(cell);
    let questions: Vec<_> = questions
        .into_iter()
        .map(|question| question.narrowed(wants))
        .filter(|question| !question.rows.is_empty())
        .collect();
    let mut expectations = expected::all();
    expectations.retain(|expectation| wants(&expectation.cell) && options.question.is_none());
    let cells = questions.iter().flat_map(|question| question.cells().cloned());
    let cells: Vec<Cell> =
        cells.chain(expectations.iter().map(|expectation| expectation.cell.clone())).collect();
    if cells.is_empty() {
        return Err("no cell of the table is so: see --help".to_owned());
    }
    let report = Report {
        kernel: format!("Linux {}", release.trim()),
        questions,
        expectations,
        results: run::run(cells, powers)?,
        colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    match (saved, &options.diff) {
        (Some(saved), Some(file)) => {
            let wants = |cell: &Cell| {
                report.results.contains_key(cell) || (options.question.is_none() && wants(cell))
            };
            let (text, is_same) = report::diff(&report, &saved, wants).ok_or_else(|| {
                format!("{file} is no saved run: bindtable --format json > FILE makes one")
            })?;
            Ok((text, u8::from(!is_same)))
        }
        _ => Ok((report.print(options.format.unwrap_or(Format::Text)), 0)),
    }
}

/// One cell, and what decides it.
fn explain(cell: &Cell, powers: Powers, release: &str) -> Result<(String, u8), String> {
    if let Some(obstacle) = engine::obstacle(cell, powers) {
        return Err(format!("{cell}: {obstacle}"));
    }
    let outcome = engine::measure(&mut world::World::new(powers)?, cell)?;
    let (predicted, rule) = rule::predict(cell);
    let (function, condition) = rule.text();
    let mut text = format!("{cell}\nLinux {release}: {}\n", outcome.verdict.name());
    if !outcome.found.is_empty() {
        text += &format!("A, when B came: {}\n", outcome.found.join(", "));
    }
    for (ip, who) in &outcome.deliveries {
        text += &format!("to {ip}: {}\n", who.name());
    }
    text += &format!("rule: {function}\n      {condition}\n");
    if predicted != outcome.verdict {
        text += &format!(
            "But by that rule, of Linux 6.18, it would be: {}. This kernel has another.\n",
            predicted.name()
        );
    }
    Ok((text, 0))
}
