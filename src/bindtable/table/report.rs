//! What a run has found: as text, as Markdown, and as the JSON that is saved and compared.

use super::attempt::Outcome;
use super::cell::Cell;
use super::expected::Expectation;
use super::questions::{Question, Show};
use super::run::Results;
use crate::kernel::bind::{Rule, history, predict};
use crate::kernel::receive::{self, Receiver};
use crate::kernel::{Verdict, Version};
use crate::named::named;
use crate::{say, words};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use textwrap::core::display_width;

named! {
    /// How a result is printed.
    Format { Text = "text", Markdown = "markdown", Json = "json", }
}

/// A run, and the tables in which it is shown.
#[derive(Default)]
pub struct Report {
    /// `Linux 6.18.0`.
    pub kernel: String,
    /// The tables.
    pub questions: Vec<Question>,
    /// What others have written of some of the cells.
    pub expectations: Vec<Expectation>,
    /// What was found of each cell.
    pub results: Results,
    /// Whether the text has colours, for a terminal.
    pub colour: bool,
}

/// A run as it is saved.
#[derive(Serialize, Deserialize)]
pub struct Run {
    /// The version of this form: [`VERSION`].
    pub bindtable: u32,
    /// `Linux 6.18.0`.
    pub kernel: String,
    /// The tables.
    #[serde(default)]
    pub questions: Vec<Table>,
    /// Every cell once.
    pub cells: Vec<SavedCell>,
    /// What others have written.
    #[serde(default)]
    pub expectations: Vec<SavedExpectation>,
}

/// The version of the form of [`Run`].
pub const VERSION: u32 = 2;

/// One table, as it is saved.
#[derive(Serialize, Deserialize)]
pub struct Table {
    /// What `--question` calls it.
    pub name: String,
    /// Its title.
    pub title: String,
    /// A sentence or two on what is in it.
    pub note: String,
    /// What stands at the head of the rows.
    pub corner: String,
    /// The heads of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

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
    /// The name of the cell.
    pub cell: String,
    /// `✓`, `✗ EADDRINUSE`, `A or B`, `–`.
    pub text: String,
}

/// What was found of one cell, as it is saved.
#[derive(Serialize, Deserialize)]
pub struct SavedCell {
    /// Its name.
    pub cell: String,
    /// What was measured; nothing, if it was not tried.
    #[serde(flatten)]
    pub measured: Option<Measured>,
    /// Why the cell was not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_tried: Option<String>,
    /// The verdict that the model predicts.
    pub predicted: String,
    /// The kernel's function that decides, and its file.
    pub function: String,
    /// The condition that decides.
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
    /// Who gets what is sent to an address.
    pub deliveries: BTreeMap<String, String>,
}

impl Measured {
    fn of(outcome: &Outcome) -> Self {
        let text = |(to, who): &(String, Receiver)| (to.clone(), who.name().to_owned());
        Self {
            verdict: outcome.verdict.name(),
            found: outcome.found.iter().map(|&state| state.to_owned()).collect(),
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

/// A statement of others, as it is saved.
#[derive(Serialize, Deserialize)]
pub struct SavedExpectation {
    /// Who has written it.
    pub source: String,
    /// Of which cell.
    pub cell: String,
    /// The verdict.
    pub verdict: String,
}

fn legend() -> &'static str {
    words!(
        "Socket A is there first, then socket B comes. ✓ B can bind (TCP: and listen). ✗ B cannot: \
         the cell gives the error, and the failing call if it was not bind. – The cell was not tried \
         here.",
        "套接字 A 先在那里，然后套接字 B 到来。✓ B 能绑定（TCP：并且监听）。✗ B 不能：格子里是错误，\
         如果失败的不是 bind，还有失败的调用。– 这一格没有试。"
    )
}

/// What the cells of a document have in addition.
fn numbers() -> &'static str {
    words!(
        " A cell without an error has EADDRINUSE. The number is that of the rule that decides; 0 if \
         the kernel did not do what the rules predict.",
        "没有写错误的格子是 EADDRINUSE。数字是起决定作用的规则；内核没有照规则的预测去做时是 0。"
    )
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

    /// Each cell with what decides it.
    pub fn explain(&self, format: Format) -> String {
        if format == Format::Json {
            return self.saved().json();
        }
        let mut text = String::new();
        for (cell, result) in &self.results {
            let (predicted, rule) = self.predict(cell);
            let (function, condition) = rule.text();
            let (item, code) = if format == Format::Markdown { ("- ", "`") } else { ("", "") };
            let mut line = |line: String| {
                let _ = writeln!(text, "{item}{line}");
            };
            line(format!("{code}{cell}{code}"));
            match result {
                Err(obstacle) => line(say!(
                    "{kernel}: not tried: {obstacle}",
                    "{kernel}：没有试：{obstacle}",
                    kernel = self.kernel
                )),
                Ok(outcome) => {
                    line(say!(
                        "{kernel}: {is}",
                        "{kernel}：{is}",
                        kernel = self.kernel,
                        is = outcome.verdict.name()
                    ));
                    if !outcome.found.is_empty() {
                        line(say!(
                            "A, when B came: {found}",
                            "B 到来时，A 处于：{found}",
                            found = outcome.found.join(words!(", ", "、"))
                        ));
                    }
                    for (to, who) in &outcome.deliveries {
                        let why = match self.predict_delivery(cell, to) {
                            Some((predicted, why)) if predicted == *who => why,
                            _ => words!("the model has another", "与模型的预测不同"),
                        };
                        line(say!(
                            "to {to}: {who} ({why})",
                            "发往 {to}：{who}（{why}）",
                            to = receive::place(to),
                            who = who.words()
                        ));
                    }
                }
            }
            line(say!(
                "rule: {code}{function}{code}: {condition}",
                "规则：{code}{function}{code}：{condition}"
            ));
            for era in history(cell) {
                line(say!("version: {era}", "版本：{era}"));
            }
            let predicted_name = predicted.name();
            match result {
                Err(_) => line(say!(
                    "By that rule it would be: {predicted_name}.",
                    "按这条规则，结果会是：{predicted_name}。"
                )),
                Ok(outcome) if predicted != outcome.verdict => line(say!(
                    "But by that rule, of Linux {version}, it would be: {predicted_name}. This kernel \
                     has another.",
                    "但是按 Linux {version} 的这条规则，结果会是：{predicted_name}。这个内核与它不同。",
                    version = self.version()
                )),
                Ok(_) => {}
            }
        }
        text
    }

    /// Whether every cell was tried.
    pub fn is_whole(&self) -> bool {
        self.results.values().all(Result::is_ok)
    }

    /// The version whose rule is the model's here.
    fn version(&self) -> Version {
        Version::parse(&self.kernel).unwrap_or(Version::TODAY)
    }

    fn predict(&self, cell: &Cell) -> (Verdict, Rule) {
        predict(cell, self.version())
    }

    fn predict_delivery(&self, cell: &Cell, to: &str) -> Option<(Receiver, &'static str)> {
        receive::predict(cell, to, self.version())
    }

    /// Who receives, as the model says, for each address that something was sent to.
    fn predicted_deliveries(
        &self,
        cell: &Cell,
        result: &Result<Outcome, String>,
    ) -> BTreeMap<String, String> {
        let measured = result.iter().flat_map(|outcome| &outcome.deliveries);
        let predicted = |(to, _): &(String, Receiver)| {
            let (who, _) = self.predict_delivery(cell, to)?;
            Some((to.clone(), who.name().to_owned()))
        };
        measured.filter_map(predicted).collect()
    }

    fn head(&self) -> String {
        let cells = self.results.values().filter(|result| result.is_ok()).count();
        say!("{kernel}: {cells} cells", "{kernel}：{cells} 格", kernel = self.kernel)
    }

    fn entry(&self, question: &Question, column: &str, cell: &Cell) -> Entry {
        let text = match self.results.get(cell) {
            Some(Ok(outcome)) => match (question.show, outcome.verdict) {
                (Show::Deliveries, Verdict::Ok) => {
                    let is_here = |(to, _): &&(String, _)| to == column;
                    let who = outcome.deliveries.iter().find(is_here);
                    who.map_or("", |(_, who)| who.words()).to_owned()
                }
                (_, Verdict::Ok) => "✓".to_owned(),
                (_, verdict) => {
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
            let entries = cells
                .iter()
                .zip(&question.columns)
                .map(|(cell, column)| cell.as_ref().map(|cell| self.entry(question, column, cell)));
            Row { name: name.clone(), cells: entries.collect() }
        })
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.head(), legend());
        for question in &self.questions {
            let corner = [question.corner.to_owned()].into_iter();
            let mut lines: Vec<Vec<String>> = vec![corner.chain(columns(question)).collect()];
            for Row { name, cells } in self.rows(question) {
                let entries =
                    cells.into_iter().map(|entry| entry.map_or(String::new(), |entry| entry.text));
                lines.push([name].into_iter().chain(entries).collect());
            }
            let width = |column: usize| {
                lines.iter().map(|line| display_width(&line[column])).max().unwrap_or_default()
            };
            let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
            let Question { name, title, note, .. } = question;
            text += &say!("\n{title} ({name})\n{note}\n\n", "\n{title}（{name}）\n{note}\n\n");
            for line in &lines {
                let mut written = String::new();
                for (entry, width) in line.iter().zip(&widths) {
                    let padding = " ".repeat(width - display_width(entry) + 2);
                    let _ = match entry.chars().next().filter(|_| self.colour) {
                        Some('✓') => write!(written, "\x1b[32m{entry}\x1b[0m{padding}"),
                        Some('✗') => write!(written, "\x1b[31m{entry}\x1b[0m{padding}"),
                        _ => write!(written, "{entry}{padding}"),
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

    /// The rules, what others have written, and the tables, folded: each in a section of its own.
    fn markdown(&self) -> String {
        let rules: BTreeSet<Rule> = self.results.keys().map(|cell| self.predict(cell).1).collect();
        let number = |rule| rules.iter().position(|other| *other == rule).map_or(0, |at| at + 1);
        let mut text =
            say!("{head}.\n\n## The rules\n\n", "{head}。\n\n## 规则\n\n", head = self.head());
        for rule in &rules {
            let (function, condition) = rule.text();
            let (first, rest) =
                condition.split_at(condition.chars().next().map_or(0, char::len_utf8));
            let condition = first.to_uppercase() + rest;
            let number = number(*rule);
            text += &say!(
                "{number}. {condition}. (`{function}`)\n",
                "{number}. {condition}。（`{function}`）\n"
            );
        }
        for (title, lines) in self.remarks() {
            let _ = writeln!(text, "\n## {title}\n");
            for line in lines {
                let _ = writeln!(text, "- {line}");
            }
        }
        let tables = words!("The tables", "表格");
        let _ = writeln!(text, "\n## {tables}\n\n{}{}", legend(), numbers());
        for question in &self.questions {
            let Question { name, title, note, corner, columns, .. } = question;
            let _ = writeln!(text, "\n<details>\n<summary>{title}</summary>\n");
            text += &say!("`{name}`. {note}\n\n", "`{name}`。{note}\n\n");
            let heads: Vec<String> = self::columns(question).collect();
            let _ = writeln!(text, "| {corner} | {} |", heads.join(" | "));
            let _ = writeln!(text, "|---|{}", "---|".repeat(columns.len()));
            for (name, cells) in &question.rows {
                let _ = write!(text, "| {name} |");
                for (cell, column) in cells.iter().zip(columns) {
                    let entry = cell.as_ref().map(|cell| {
                        let shown = self.entry(question, column, cell).text;
                        let shown = shown.strip_suffix(" EADDRINUSE").unwrap_or(&shown);
                        let (predicted, rule) = self.predict(cell);
                        match self.results.get(cell) {
                            Some(Ok(outcome)) if question.show == Show::Verdict => {
                                let is_predicted = outcome.verdict == predicted;
                                format!("{shown} {}", if is_predicted { number(rule) } else { 0 })
                            }
                            _ => shown.to_owned(),
                        }
                    });
                    let _ = write!(text, " {} |", entry.unwrap_or_default());
                }
                text.push('\n');
            }
            text.push_str("\n</details>\n");
        }
        text
    }

    /// What is to be said beside the tables.
    fn remarks(&self) -> Vec<(String, Vec<String>)> {
        let mut remarks = Vec::new();
        let mut sources: BTreeMap<&str, (usize, Vec<String>)> = BTreeMap::new();
        for Expectation { source, cell, verdict } in &self.expectations {
            let Some(Ok(outcome)) = self.results.get(cell) else { continue };
            let (count, differences) = sources.entry(source).or_default();
            *count += 1;
            let measured = outcome.verdict.name();
            if measured != *verdict {
                differences.push(say!(
                    "`{cell}`: {verdict}, here {measured}",
                    "`{cell}`：{verdict}，这里是 {measured}"
                ));
            }
        }
        let (bsd, linux): (Vec<_>, Vec<_>) =
            sources.into_iter().partition(|(source, _)| source.ends_with("of BSD"));
        let titles = [
            (words!("Where Linux differs from BSD", "Linux 与 BSD 的不同"), bsd, true),
            (words!("What others have written about Linux", "别人怎样写 Linux"), linux, false),
        ];
        for (title, sources, is_of_bsd) in titles {
            if sources.is_empty() {
                continue;
            }
            let mut lines = Vec::new();
            for (source, (count, differences)) in sources {
                let agree = count - differences.len();
                let source = match source.split_once(", of ") {
                    Some((source, of)) => say!("{source}, of {of}", "{source}（关于 {of}）"),
                    None => source.to_owned(),
                };
                lines.push(match is_of_bsd {
                    true => say!(
                        "{source}: {agree} of {count} statements are true of this kernel too",
                        "{source}：{count} 条说法中，有 {agree} 条对这个内核也成立"
                    ),
                    false => say!(
                        "{source}: {agree} of {count} statements are true here",
                        "{source}：{count} 条说法中，有 {agree} 条在这里成立"
                    ),
                });
                lines.extend(differences);
            }
            remarks.push((title.to_owned(), lines));
        }

        let unpredicted: Vec<String> = self
            .results
            .iter()
            .filter_map(|(cell, result)| {
                let (predicted, measured) = (self.predict(cell).0, result.as_ref().ok()?.verdict);
                (predicted != measured).then(|| {
                    say!(
                        "{cell}: predicted {predicted}, measured {measured}",
                        "{cell}：预测 {predicted}，实测 {measured}",
                        predicted = predicted.name(),
                        measured = measured.name()
                    )
                })
            })
            .collect();
        let unpredicted =
            unpredicted.into_iter().chain(self.results.iter().flat_map(|(cell, result)| {
                let deliveries = result.iter().flat_map(|outcome| &outcome.deliveries);
                deliveries.filter_map(move |(to, who)| {
                    let (predicted, _) = self.predict_delivery(cell, to)?;
                    (predicted != *who).then(|| {
                        say!(
                            "{cell}: to {to}: predicted {predicted}, measured {who}",
                            "{cell}：发往 {to}：预测 {predicted}，实测 {who}",
                            to = receive::place(to),
                            predicted = predicted.words(),
                            who = who.words()
                        )
                    })
                })
            }));
        let unpredicted: Vec<String> = unpredicted.collect();
        if !unpredicted.is_empty() {
            let title = say!(
                "Not as the rule of Linux {version} predicts",
                "与 Linux {version} 规则的预测不同",
                version = self.version()
            );
            remarks.push((title, unpredicted));
        }

        let mut obstacles: BTreeMap<&str, usize> = BTreeMap::new();
        for obstacle in self.results.values().filter_map(|result| result.as_ref().err()) {
            *obstacles.entry(obstacle).or_default() += 1;
        }
        if !obstacles.is_empty() {
            let lines = obstacles.into_iter().map(|(obstacle, count)| {
                say!("{count} cells: {obstacle}", "{count} 格：{obstacle}")
            });
            remarks.push((say!("Not tried here", "这里没有试"), lines.collect()));
        }
        remarks
    }

    /// The run as it is saved.
    pub fn saved(&self) -> Run {
        let cell = |(cell, result): (&Cell, &Result<Outcome, _>)| {
            let (predicted, rule) = self.predict(cell);
            let (function, condition) = rule.text();
            SavedCell {
                cell: cell.to_string(),
                measured: result.as_ref().ok().map(Measured::of),
                not_tried: result.as_ref().err().cloned(),
                predicted: predicted.name(),
                function: function.to_owned(),
                condition: condition.to_owned(),
                predicted_deliveries: self.predicted_deliveries(cell, result),
                history: history(cell),
            }
        };
        let table = |question: &Question| Table {
            name: question.name.to_owned(),
            title: question.title.to_owned(),
            note: question.note.to_owned(),
            corner: question.corner.to_owned(),
            columns: columns(question).collect(),
            rows: self.rows(question).collect(),
        };
        let expectation = |Expectation { source, cell, verdict }: &Expectation| SavedExpectation {
            source: (*source).to_owned(),
            cell: cell.to_string(),
            verdict: verdict.clone(),
        };
        Run {
            bindtable: VERSION,
            kernel: self.kernel.clone(),
            questions: self.questions.iter().map(table).collect(),
            cells: self.results.iter().map(cell).collect(),
            expectations: self.expectations.iter().map(expectation).collect(),
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
    /// As it is saved: a cell, a table and a statement on one line each.
    fn json(&self) -> String {
        fn lines<T: Serialize>(list: &[T]) -> String {
            let line = |item| serde_json::to_string(item).expect("it has texts and numbers alone");
            list.iter().map(line).collect::<Vec<_>>().join(",\n")
        }
        format!(
            "{{\"bindtable\":{},\"kernel\":{},\"questions\":[\n{}\n],\"cells\":[\n{}\n],\
             \"expectations\":[\n{}\n]}}\n",
            self.bindtable,
            serde_json::Value::from(&*self.kernel),
            lines(&self.questions),
            lines(&self.cells),
            lines(&self.expectations)
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
    /// How many cells are equal.
    pub equal: usize,
    /// The cells that are not.
    pub differ: Vec<Difference>,
    /// The cells that one of the two has not tried.
    pub not_tried: Vec<String>,
    /// The cells of the saved run alone.
    pub only_saved: Vec<String>,
    /// The cells of this run alone.
    pub only_here: Vec<String>,
}

/// A cell that two kernels do not treat alike.
#[derive(Serialize)]
pub struct Difference {
    /// Its name.
    pub cell: String,
    /// In the saved run.
    pub was: Measured,
    /// Here.
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
            "保存的：{saved}；这里：{here}\n{equal} 格相同，{differ} 格不同，{not_tried} 格至少有一边没有试，\
             {only_saved} 格只在保存的运行里，{only_here} 格只在这里\n",
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

/// The heads of a question's columns, in words.
fn columns(question: &Question) -> impl Iterator<Item = String> {
    question.columns.iter().map(|column| match question.show {
        Show::Deliveries => receive::place(column),
        Show::Verdict => column.clone(),
    })
}
