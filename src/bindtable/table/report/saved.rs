//! A run as JSON: what is saved, and what two of them are compared by.

use super::{Format, Report};
use crate::kernel::receive::{Destination, Receiver};
use crate::printable::make_printable;
use crate::table::attempt::Outcome;
use crate::table::cell::Cell;
use crate::table::questions::Question;
use crate::table::{predict, words};
use crate::{say, words};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A run as it is saved.
#[derive(Serialize, Deserialize)]
pub struct Run {
    /// The version of this form: [`VERSION`].
    pub bindtable: u32,
    /// `Linux 6.18.0`.
    pub kernel: String,
    /// The tables, for a reader: nothing is compared by them.
    #[serde(default)]
    pub questions: Vec<Value>,
    /// Every cell once.
    pub cells: Vec<SavedCell>,
}

/// The version of the form of [`Run`].
pub const VERSION: u32 = 2;

/// A row of a table.
#[derive(Serialize, Deserialize)]
pub struct Row {
    /// What stands at its head.
    pub name: String,
    /// For each column the name of a cell and what the table shows of it, or nothing.
    pub cells: Vec<Option<Entry>>,
}

/// What stands in one place of a table.
#[derive(Serialize, Deserialize)]
pub struct Entry {
    pub cell: String,
    /// `✓`, `✗ EADDRINUSE`, `A or B`, `–`.
    pub text: String,
}

/// What was found of one cell, as it is saved.
#[derive(Serialize, Deserialize)]
pub struct SavedCell {
    pub cell: String,
    /// What was measured; nothing, if it was not tried.
    #[serde(flatten)]
    pub measured: Option<Measured>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_tried: Option<String>,
    pub predicted: String,
    /// The kernel's function that decides, and its file.
    pub function: String,
    pub condition: String,
    /// Who gets what is sent, as the model predicts it, of what was measured.
    #[serde(default)]
    pub predicted_deliveries: BTreeMap<String, String>,
    /// In which versions of Linux the verdict was another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<String>,
}

/// What was measured of one cell: what two runs are compared by.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// `ok`, `bind EADDRINUSE`.
    pub verdict: String,
    /// The states of A's sockets in the kernel's table, when B came.
    pub found: Vec<String>,
    pub deliveries: BTreeMap<String, String>,
}

impl Measured {
    fn of(outcome: &Outcome) -> Self {
        let text = |(to, who): &(Destination, Receiver)| (to.to_string(), who.name().to_owned());
        Self {
            verdict: outcome.verdict.name(),
            found: outcome.found.iter().map(|state| state.name().to_owned()).collect(),
            deliveries: outcome.deliveries.iter().map(text).collect(),
        }
    }

    /// `ok (LISTEN; 127.0.0.1: B)`.
    fn words(&self) -> String {
        let deliveries = self.deliveries.iter().map(|(ip, who)| format!("{ip}: {who}"));
        let notes = [self.found.join(" "), deliveries.collect::<Vec<_>>().join(", ")];
        let notes: Vec<String> = notes.into_iter().filter(|note| !note.is_empty()).collect();
        match notes.is_empty() {
            true => self.verdict.clone(),
            false => format!("{} ({})", self.verdict, notes.join("; ")),
        }
    }
}

impl Report {
    /// The run as it is saved.
    pub fn saved(&self) -> Run {
        let cell = |(cell, result): (&Cell, &Result<Outcome, String>)| {
            let (predicted, rule) = self.predict(cell);
            let (function, condition) = words::rule(rule, cell.proto);
            let measured = result.iter().flat_map(|outcome| &outcome.deliveries);
            let predicted_receiver = |&(to, _): &(Destination, Receiver)| {
                (to.to_string(), self.predict_receiver(cell, to).0.name().to_owned())
            };
            SavedCell {
                cell: cell.to_string(),
                measured: result.as_ref().ok().map(Measured::of),
                not_tried: result.as_ref().err().cloned(),
                predicted: predicted.name(),
                function: function.to_owned(),
                condition: condition.to_owned(),
                predicted_deliveries: measured.map(predicted_receiver).collect(),
                history: words::history(&predict::history(cell)),
            }
        };
        let table = |question: &Question| {
            let rows: Vec<Row> = self.rows(question).collect();
            let Question { name, title, note, corner, columns, .. } = question;
            json!({
                "name": name, "title": title, "note": note,
                "corner": corner, "columns": columns, "rows": rows,
            })
        };
        Run {
            bindtable: VERSION,
            kernel: self.kernel.clone(),
            questions: self.questions.iter().map(table).collect(),
            cells: self.results.iter().map(cell).collect(),
        }
    }

    /// What differs between `saved` and this run, of the cells that are `wanted`.
    pub fn diff(&self, saved: &Run, wants: impl Fn(&Cell) -> bool) -> Diff {
        let here = self.saved();
        let mut now: BTreeMap<&str, Option<&Measured>> =
            here.cells.iter().map(|cell| (&*cell.cell, cell.measured.as_ref())).collect();
        let mut diff =
            Diff { saved: saved.kernel.clone(), here: here.kernel.clone(), ..Diff::default() };
        for SavedCell { cell, measured: was, .. } in &saved.cells {
            // A cell that another version of this program has is not here.
            if cell.parse().is_ok_and(|cell| !wants(&cell)) {
                continue;
            }
            match (was, now.remove(&**cell)) {
                (_, None) => diff.only_saved.push(cell.clone()),
                (Some(was), Some(Some(is))) if was == is => diff.equal += 1,
                (Some(was), Some(Some(is))) => diff.differ.push(Difference {
                    cell: cell.clone(),
                    was: was.clone(),
                    is: is.clone(),
                }),
                _ => diff.not_tried.push(cell.clone()),
            }
        }
        diff.only_here = now.into_keys().map(str::to_owned).collect();
        diff
    }
}

impl Run {
    /// A saved run, or why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let run = serde_json::from_str(text).and_then(|mut run| {
            make_printable(&mut run);
            serde_json::from_value(run)
        });
        let run: Self = run.map_err(|error: serde_json::Error| error.to_string())?;
        if run.bindtable != VERSION {
            return Err(say!(
                "version {theirs} of the form, and not {VERSION}",
                "格式版本是 {theirs}，应为 {VERSION}",
                theirs = run.bindtable
            ));
        }
        let is_void = |cell: &&SavedCell| cell.measured.is_none() && cell.not_tried.is_none();
        if let Some(SavedCell { cell, .. }) = run.cells.iter().find(is_void) {
            return Err(say!(
                "{cell} has neither a verdict nor a reason",
                "{cell} 既没有结果，也没有原因"
            ));
        }
        Ok(run)
    }

    /// As it is saved: a cell and a table on one line each.
    pub(super) fn json(&self) -> String {
        fn lines<T: Serialize>(list: &[T]) -> String {
            let line = |item| serde_json::to_string(item).expect("it has texts and numbers alone");
            list.iter().map(line).collect::<Vec<_>>().join(",\n")
        }
        format!(
            "{{\"bindtable\":{},\"kernel\":{},\"questions\":[\n{}\n],\"cells\":[\n{}\n]}}\n",
            self.bindtable,
            serde_json::Value::from(&*self.kernel),
            lines(&self.questions),
            lines(&self.cells)
        )
    }
}

/// What differs between two runs.
#[derive(Default, Serialize)]
pub struct Diff {
    /// The kernel of the saved run.
    pub saved: String,
    /// This kernel.
    pub here: String,
    pub equal: usize,
    pub differ: Vec<Difference>,
    /// The cells that one of the two has not tried.
    pub not_tried: Vec<String>,
    pub only_saved: Vec<String>,
    pub only_here: Vec<String>,
}

/// A cell that two kernels do not treat alike.
#[derive(Serialize)]
pub struct Difference {
    pub cell: String,
    pub was: Measured,
    pub is: Measured,
}

impl Diff {
    /// The differences, and how many cells are equal.
    pub fn print(&self, format: Format) -> String {
        let Self { saved, here, equal, differ, not_tried, only_saved, only_here } = self;
        let mut text = say!(
            "saved: {saved}; here: {here}\n{equal} cells are equal, {differ} differ, {not_tried} were \
             not tried in one of the two, {only_saved} are in the saved run alone, {only_here} here \
             alone\n",
            "保存的结果：{saved}；本机：{here}\n相同 {equal} 格，不同 {differ} 格；至少有一方没有试的 {not_tried} 格；\
             只有保存的结果里有的 {only_saved} 格，只有本机有的 {only_here} 格\n",
            differ = differ.len(),
            not_tried = not_tried.len(),
            only_saved = only_saved.len(),
            only_here = only_here.len()
        );
        match format {
            Format::Json => {
                return serde_json::to_string_pretty(self).expect("it has texts alone") + "\n";
            }
            Format::Text => {
                for Difference { cell, was, is } in differ {
                    let (was, is) = (was.words(), is.words());
                    text +=
                        &say!("{cell}: was {was}, is {is}\n", "{cell}：原来 {was}，现在 {is}\n");
                }
            }
            Format::Markdown => {
                let cell = words!("cell", "格");
                let _ = write!(text, "\n| {cell} | {saved} | {here} |\n|---|---|---|\n");
                for Difference { cell, was, is } in differ {
                    let _ = writeln!(text, "| `{cell}` | {} | {} |", was.words(), is.words());
                }
            }
        }
        text
    }
}
