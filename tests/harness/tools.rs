//! The tools that the tests need, as `tests/tools.txt` lists them.

use super::{read, which};
use std::collections::BTreeSet;
use std::path::Path;

/// The file or command that a word of the table names; of several with | between them, one.
fn is_there(tools: &str) -> bool {
    tools.split('|').any(|tool| match tool.contains('/') {
        true => Path::new(tool).exists(),
        false => which(tool).is_some(),
    })
}

/// Fails with one line where a tool is missing that one of these trials needs.
pub fn find_tools(trials: &[String]) -> Result<(), String> {
    let table = read("tests/tools.txt");
    let (mut tools, mut packages, mut starts) = (Vec::new(), Vec::new(), BTreeSet::new());
    for row in table.lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let mut words = row.split_whitespace();
        let (Some(start), Some(tool)) = (words.next(), words.next()) else {
            return Err(format!("tests/tools.txt: {row:?} names no tool"));
        };
        let is_needed = start == "*" || trials.iter().any(|name| name.starts_with(start));
        if is_needed && !tools.contains(&tool) && !is_there(tool) {
            tools.push(tool);
            packages.extend(words);
            starts.insert(start);
        }
    }
    if tools.is_empty() {
        return Ok(());
    }
    starts.remove("*");
    let arguments = match starts.len() {
        0 => String::new(),
        1 => format!(" {} -- --ignored", starts.into_iter().collect::<String>()),
        _ => " -- --ignored".to_owned(),
    };
    Err(format!(
        "the tests need {}: run tests/run.sh{arguments}, which installs {}",
        tools.join(", "),
        packages.join(" ")
    ))
}
