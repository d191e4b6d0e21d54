//! What a run has found, in words: a reader's text, Markdown, JSON, HTML.

use crate::cell::Cell;
use crate::engine::{Outcome, Verdict};
use crate::expected::Expectation;
use crate::options::Format;
use crate::questions::{Question, Show};
use crate::rule::{Rule, predict};
use crate::run::Results;
use std::collections::BTreeMap;
use std::fmt::Write;

pub struct Report {
    pub kernel: String,
    pub questions: Vec<Question>,
    pub expectations: Vec<Expectation>,
    pub results: Results,
    pub colour: bool,
}

const LEGEND: &str = "\
    A is there first, then B comes. ✓ B binds, and listens if it is TCP; ✗ it does not: the call \
    that failed, if it is not bind, and its error. – not tried here.";

/// What stands in one place of a table.
struct Entry<'a> {
    cell: &'a Cell,
    text: String,
    is_good: bool,
}

impl Report {
    pub fn print(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Markdown => self.markdown(),
            Format::Json => self.json(),
            Format::Html => self.html(),
        }
    }

    fn head(&self) -> String {
        let cells = self.results.values().filter(|result| result.is_ok()).count();
        format!("{}: {cells} cells", self.kernel)
    }

    fn entry<'a>(&self, question: &Question, column: &str, cell: &'a Cell) -> Entry<'a> {
        let (text, is_good) = match self.results.get(cell) {
            Some(Ok(outcome)) => match (question.show, outcome.verdict) {
                (Show::Deliveries, Verdict::Ok) => {
                    let is_here = |(ip, _): &&(std::net::IpAddr, _)| ip.to_string() == column;
                    let who = outcome.deliveries.iter().find(is_here);
                    (who.map_or("", |(_, who)| who.name()).to_owned(), true)
                }
                (_, Verdict::Ok) => ("✓".to_owned(), true),
                (_, verdict) => {
                    let name = verdict.name();
                    (format!("✗ {}", name.strip_prefix("bind ").unwrap_or(&name)), false)
                }
            },
            _ => ("–".to_owned(), true),
        };
        Entry { cell, text, is_good }
    }

    /// The rows of a table, each with its name.
    fn rows<'a>(
        &'a self,
        question: &'a Question,
    ) -> impl Iterator<Item = (&'a str, Vec<Option<Entry<'a>>>)> {
        question.rows.iter().map(move |(name, cells)| {
            let entries = cells
                .iter()
                .zip(&question.columns)
                .map(|(cell, column)| cell.as_ref().map(|cell| self.entry(question, column, cell)));
            (&**name, entries.collect())
        })
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n{LEGEND}\n", self.head());
        for question in &self.questions {
            let mut lines: Vec<Vec<(String, Option<bool>)>> = vec![
                [&question.corner.to_owned()]
                    .into_iter()
                    .chain(&question.columns)
                    .map(|name| (name.clone(), None))
                    .collect(),
            ];
            for (name, entries) in self.rows(question) {
                let entries = entries.into_iter().map(|entry| match entry {
                    Some(entry) if entry.text.starts_with(['✓', '✗']) => {
                        (entry.text, Some(entry.is_good))
                    }
                    entry => (entry.map_or(String::new(), |entry| entry.text), None),
                });
                lines.push([(name.to_owned(), None)].into_iter().chain(entries).collect());
            }
            let width = |column: usize| {
                lines.iter().map(|line| line[column].0.chars().count()).max().unwrap_or_default()
            };
            let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
            let _ = writeln!(text, "\n{} ({})\n{}\n", question.title, question.name, question.note);
            for line in &lines {
                let mut written = String::new();
                for ((entry, is_good), width) in line.iter().zip(&widths) {
                    let padding = " ".repeat(width - entry.chars().count() + 2);
                    let _ = match is_good.filter(|_| self.colour) {
                        Some(true) => write!(written, "\x1b[32m{entry}\x1b[0m{padding}"),
                        Some(false) => write!(written, "\x1b[31m{entry}\x1b[0m{padding}"),
                        None => write!(written, "{entry}{padding}"),
                    };
                }
                text += written.trim_end();
                text.push('\n');
            }
        }
        for (title, lines) in self.remarks() {
            let _ = writeln!(text, "\n{title}\n");
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }

    fn markdown(&self) -> String {
        let mut text = format!("{}.\n\n{LEGEND}\n", self.head());
        for question in &self.questions {
            let _ = writeln!(
                text,
                "\n## {}\n\n`{}`. {}\n",
                question.title, question.name, question.note
            );
            let _ = writeln!(text, "| {} | {} |", question.corner, question.columns.join(" | "));
            let _ = writeln!(text, "|---|{}", "---|".repeat(question.columns.len()));
            for (name, entries) in self.rows(question) {
                let _ = write!(text, "| {name} |");
                for entry in entries {
                    let _ = write!(text, " {} |", entry.map_or(String::new(), |entry| entry.text));
                }
                text.push('\n');
            }
        }
        for (title, lines) in self.remarks() {
            let _ = writeln!(text, "\n## {title}\n");
            for line in lines {
                let _ = writeln!(text, "- {line}");
            }
        }
        text
    }

    /// What is to be said beside the tables.
    fn remarks(&self) -> Vec<(String, Vec<String>)> {
        let mut remarks = Vec::new();
        let mut sources: BTreeMap<&str, (usize, Vec<String>)> = BTreeMap::new();
        for expectation in &self.expectations {
            let Some(Ok(outcome)) = self.results.get(&expectation.cell) else { continue };
            let (count, differences) = sources.entry(expectation.source).or_default();
            *count += 1;
            let measured = outcome.verdict.name();
            if measured != expectation.verdict {
                let Expectation { cell, verdict, .. } = expectation;
                differences.push(format!("{cell}: written {verdict}, measured {measured}"));
            }
        }
        if !sources.is_empty() {
            let mut lines = Vec::new();
            for (source, (count, differences)) in sources {
                let agree = count - differences.len();
                lines.push(format!("{source}: {agree} of {count} agree"));
                lines.extend(differences.into_iter().map(|line| format!("{source}: {line}")));
            }
            remarks
                .push(("What is written elsewhere, and what is measured here".to_owned(), lines));
        }

        let unpredicted: Vec<String> = self
            .results
            .iter()
            .filter_map(|(cell, result)| {
                let (predicted, measured) = (predict(cell).0, result.as_ref().ok()?.verdict);
                (predicted != measured).then(|| {
                    format!("{cell}: predicted {}, measured {}", predicted.name(), measured.name())
                })
            })
            .collect();
        if !unpredicted.is_empty() {
            remarks.push(("Not as the rule of Linux 6.18 predicts".to_owned(), unpredicted));
        }

        let mut obstacles: BTreeMap<&str, usize> = BTreeMap::new();
        for obstacle in self.results.values().filter_map(|result| result.as_ref().err()) {
            *obstacles.entry(obstacle).or_default() += 1;
        }
        if !obstacles.is_empty() {
            let lines =
                obstacles.into_iter().map(|(obstacle, count)| format!("{count} cells: {obstacle}"));
            remarks.push(("Not tried here".to_owned(), lines.collect()));
        }
        remarks
    }

    fn json(&self) -> String {
        let mut text = format!("{{\"bindtable\":1,\"kernel\":{},\"cells\":[", quoted(&self.kernel));
        let mut separator = '\n';
        for (cell, result) in &self.results {
            let (predicted, rule) = predict(cell);
            let (function, condition) = rule.text();
            let (verdict, found, deliveries) = match result {
                Ok(outcome) => {
                    (outcome.verdict.name(), outcome.found.join(" "), deliveries(outcome))
                }
                Err(obstacle) => (format!("not tried: {obstacle}"), String::new(), String::new()),
            };
            let questions: Vec<String> = self
                .questions
                .iter()
                .filter(|question| question.cells().any(|other| other == cell))
                .map(|question| quoted(question.name))
                .collect();
            text.push(separator);
            separator = ',';
            let _ = writeln!(
                text,
                "{{\"cell\":{},\"verdict\":{},\"found\":{},\"deliveries\":{{{deliveries}}},\
                 \"predicted\":{},\"function\":{},\"condition\":{},\"questions\":[{}]}}",
                quoted(&cell.to_string()),
                quoted(&verdict),
                quoted(&found),
                quoted(&predicted.name()),
                quoted(function),
                quoted(condition),
                questions.join(","),
            );
        }
        text += "],\"expectations\":[";
        let mut separator = '\n';
        for Expectation { source, cell, verdict } in &self.expectations {
            text.push(separator);
            separator = ',';
            let _ = writeln!(
                text,
                "{{\"source\":{},\"cell\":{},\"verdict\":{}}}",
                quoted(source),
                quoted(&cell.to_string()),
                quoted(verdict)
            );
        }
        text + "]}\n"
    }

    /// One element, for a page: every place has the number of its rule in the list at the end.
    fn html(&self) -> String {
        let mut text = format!("{HTML_HEAD}<p>{}. {LEGEND}</p>\n", escaped(&self.head()));
        let mut rules = Vec::new();
        for question in &self.questions {
            let _ = write!(
                text,
                "<details id=\"bindtable-{}\"{}><summary>{}</summary>\n<p>{}</p>\n\
                 <div><table>\n<thead><tr><th scope=\"col\">{}</th>",
                question.name,
                if question.name == "restart" { " open" } else { "" },
                escaped(question.title),
                escaped(question.note),
                escaped(question.corner)
            );
            for column in &question.columns {
                let _ = write!(text, "<th scope=\"col\">{}</th>", escaped(column));
            }
            text += "</tr></thead>\n<tbody>\n";
            for (name, entries) in self.rows(question) {
                let _ = write!(text, "<tr><th scope=\"row\">{}</th>", escaped(name));
                for entry in entries {
                    let Some(Entry { cell, text: entry, is_good }) = entry else {
                        text += "<td></td>";
                        continue;
                    };
                    let rule = predict(cell).1;
                    let known = rules.iter().position(|other| *other == rule);
                    let number = known.unwrap_or_else(|| {
                        rules.push(rule);
                        rules.len() - 1
                    });
                    let class = if is_good { "ok" } else { "no" };
                    let _ = write!(text, "<td class={class} data-rule={}>{entry}</td>", number + 1);
                }
                text += "</tr>\n";
            }
            text += "</tbody></table></div>\n</details>\n";
        }
        text += "<h3>The rules by number</h3>\n<ol>\n";
        for (function, condition) in rules.into_iter().map(Rule::text) {
            let (function, condition) = (escaped(function), escaped(condition));
            let _ = writeln!(text, "<li>{condition} (<code>{function}</code>)</li>");
        }
        text += "</ol>\n";
        for (title, lines) in self.remarks() {
            let _ = writeln!(text, "<h3>{}</h3>\n<ul>", escaped(&title));
            for line in lines {
                let _ = writeln!(text, "<li>{}</li>", escaped(&line));
            }
            text += "</ul>\n";
        }
        text + "</section>\n"
    }
}

const HTML_HEAD: &str = "\
<section class=\"bindtable\">
<style>
.bindtable div { overflow-x: auto }
.bindtable table { border-collapse: collapse; font-size: .85em }
.bindtable th, .bindtable td { padding: .2em .6em; text-align: left; border: 1px solid #8884 }
.bindtable td.ok { color: #1a7f37 }
.bindtable td.no { color: #cf222e; background: #cf222e14 }
.bindtable [data-rule]::after { content: attr(data-rule); vertical-align: super; font-size: .7em; margin-left: .3em }
.bindtable summary { cursor: pointer; font-weight: bold }
</style>
";

fn deliveries(outcome: &Outcome) -> String {
    let each = outcome.deliveries.iter().map(|(ip, who)| format!("\"{ip}\":\"{}\"", who.name()));
    each.collect::<Vec<_>>().join(",")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What of two runs differs, as lines; `None` where `saved` is no run.
pub fn diff(report: &Report, saved: &str, wants: impl Fn(&Cell) -> bool) -> Option<(String, bool)> {
    let rest = saved.strip_prefix("{\"bindtable\":1,\"kernel\":\"")?;
    let (old_kernel, rest) = rest.split_once("\",\"cells\":[")?;
    let (cells, _) = rest.split_once("],\"expectations\":[")?;
    let here = report.json();
    let mut now = lines_by_cell(&here);
    let mut differences = Vec::new();
    let mut same = 0;
    let mut missing = 0;
    for line in cells.lines().filter(|line| !line.is_empty()) {
        let (cell, was) = saved_line(line)?;
        if !wants(&cell.parse().ok()?) {
            continue;
        }
        match now.remove(cell) {
            None => missing += 1,
            Some(is) if is == was => same += 1,
            Some(is) => differences.push(format!("{cell}: was {}, is {}", words(was), words(is))),
        }
    }
    let is_same = differences.is_empty();
    let mut text = format!("saved: {old_kernel}; here: {}\n", report.kernel);
    let _ = writeln!(
        text,
        "{same} cells are equal, {} differ, {} are in one of the two alone",
        differences.len(),
        missing + now.len()
    );
    for difference in differences {
        text += &difference;
        text.push('\n');
    }
    Some((text, is_same))
}

fn lines_by_cell(json: &str) -> BTreeMap<&str, &str> {
    let cells = json.split("],\"expectations\":[").next().unwrap_or_default();
    cells.lines().skip(1).filter_map(saved_line).collect()
}

/// The name of a cell, and its verdict, its states and who receives, as they stand in the line.
fn saved_line(line: &str) -> Option<(&str, &str)> {
    let rest = line.trim_start_matches(',').strip_prefix("{\"cell\":\"")?;
    let (cell, rest) = rest.split_once("\",\"verdict\":\"")?;
    Some((cell, rest.split_once(",\"predicted\":")?.0))
}

/// `ok (LISTEN; 127.0.0.1: B)`, from the line.
fn words(saved: &str) -> String {
    let (verdict, rest) = saved.split_once("\",\"found\":\"").unwrap_or((saved, ""));
    let (found, deliveries) = rest.split_once("\",\"deliveries\":").unwrap_or((rest, ""));
    let deliveries = deliveries.trim_matches(['{', '}']).replace("\":\"", ": ").replace('"', "");
    let notes = [found, &deliveries.replace(',', ", ")].map(str::to_owned);
    let notes: Vec<String> = notes.into_iter().filter(|note| !note.is_empty()).collect();
    match notes.is_empty() {
        true => verdict.to_owned(),
        false => format!("{verdict} ({})", notes.join("; ")),
    }
}
