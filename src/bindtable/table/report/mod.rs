//! What a run has found: as text, as Markdown, and as the JSON that is saved and compared.

mod markdown;
mod saved;
mod text;

pub use saved::Run;

use super::cell::Cell;
use super::questions::Question;
use super::run::Results;
use super::{predict, words};
use crate::kernel::bind::Rule;
use crate::kernel::receive::{Destination, Reason, Receiver};
use crate::kernel::{Verdict, Version};
use crate::named::{self, named};
use crate::say;
use saved::{Entry, Row};
use std::collections::BTreeMap;

named! {
    /// How a run is laid out.
    Format { Text = "text", Markdown = "markdown", Json = "json", }
}

/// A run, and the tables in which it is shown.
#[derive(Default)]
pub struct Report {
    /// `Linux 6.18.0`.
    pub kernel: String,
    pub questions: Vec<Question>,
    pub results: Results,
    /// Whether the text has colours, for a terminal.
    pub colour: bool,
}

impl Report {
    /// The tables, and what is to be said beside them.
    pub fn print(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Markdown => self.markdown(),
            Format::Json => self.saved().json(),
        }
    }

    /// Each cell with what decides it, as JSON or as text.
    pub fn explain(&self, format: named::Format) -> String {
        match format {
            named::Format::Json => self.saved().json(),
            named::Format::Text => self.explanations(),
        }
    }

    /// Whether every cell was tried.
    pub fn is_whole(&self) -> bool {
        self.results.values().all(Result::is_ok)
    }

    /// The version whose rule is the model's here.
    fn version(&self) -> Version {
        Version::parse(&self.kernel).unwrap_or(Version::NEWEST)
    }

    fn predict(&self, cell: &Cell) -> (Verdict, Rule) {
        predict::predict(cell, self.version())
    }

    fn predict_receiver(&self, cell: &Cell, to: Destination) -> (Receiver, Reason) {
        predict::receiver(cell, to, self.version())
    }

    fn head(&self) -> String {
        let cells = self.results.values().filter(|result| result.is_ok()).count();
        say!("{kernel}: {cells} cells", "{kernel}：{cells} 格", kernel = self.kernel)
    }

    /// What a table shows of a cell.
    fn entry(&self, question: &Question, column: usize, cell: &Cell) -> Entry {
        let text = match (self.results.get(cell), question.to.get(column)) {
            (Some(Ok(outcome)), Some(to)) if outcome.verdict == Verdict::Ok => {
                let mut deliveries = outcome.deliveries.iter();
                let delivery = deliveries.find(|delivery| delivery.0 == *to);
                delivery.map_or("", |(_, who)| words::receiver(*who)).to_owned()
            }
            (Some(Ok(outcome)), _) => match outcome.verdict {
                Verdict::Ok => "✓".to_owned(),
                verdict => {
                    let name = verdict.name();
                    format!("✗ {}", name.strip_prefix("bind ").unwrap_or(&name))
                }
            },
            _ => "–".to_owned(),
        };
        Entry { cell: cell.to_string(), text }
    }

    /// The rows of a table, each with its name.
    fn rows(&self, question: &Question) -> impl Iterator<Item = Row> {
        question.rows.iter().map(move |(name, cells)| {
            let entry = |(column, cell): (usize, &Option<Cell>)| {
                cell.as_ref().map(|cell| self.entry(question, column, cell))
            };
            Row { name: name.clone(), cells: cells.iter().enumerate().map(entry).collect() }
        })
    }

    /// What is to be said beside the tables: each title, and its lines.
    fn remarks(&self) -> Vec<(String, Vec<String>)> {
        let of_verdicts = self.results.iter().filter_map(|(cell, result)| {
            let (predicted, measured) = (self.predict(cell).0, result.as_ref().ok()?.verdict);
            (predicted != measured).then(|| {
                say!(
                    "{cell}: predicted {predicted}, measured {measured}",
                    "{cell}：预测 {predicted}，实测 {measured}",
                    predicted = predicted.name(),
                    measured = measured.name()
                )
            })
        });
        let of_receivers = self.results.iter().flat_map(|(cell, result)| {
            let deliveries = result.iter().flat_map(|outcome| &outcome.deliveries);
            deliveries.filter_map(move |&(to, who)| {
                let (predicted, _) = self.predict_receiver(cell, to);
                (predicted != who).then(|| {
                    say!(
                        "{cell}: to {to}: predicted {predicted}, measured {who}",
                        "{cell}：发往 {to}：预测 {predicted}，实测 {who}",
                        to = words::destination(to),
                        predicted = words::receiver(predicted),
                        who = words::receiver(who)
                    )
                })
            })
        });
        let unpredicted = say!(
            "Not as the rule of Linux {version} predicts",
            "与 Linux {version} 的规则所预测的不同",
            version = self.version()
        );
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in self.results.values().filter_map(|result| result.as_ref().err()) {
            *reasons.entry(reason).or_default() += 1;
        }
        let not_tried = reasons
            .into_iter()
            .map(|(reason, count)| say!("{count} cells: {reason}", "{count} 格：{reason}"));
        let mut remarks = vec![
            (unpredicted, of_verdicts.chain(of_receivers).collect::<Vec<_>>()),
            (say!("Not tried here", "这里没有试"), not_tried.collect()),
        ];
        remarks.retain(|(_, lines)| !lines.is_empty());
        remarks
    }
}
