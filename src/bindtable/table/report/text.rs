//! A run as text for a terminal.

use super::Report;
use super::saved::Row;
use crate::table::attempt::Outcome;
use crate::table::cell::Cell;
use crate::table::questions::Question;
use crate::table::{predict, words};
use crate::{say, words};
use std::fmt::Write;
use textwrap::core::display_width;

impl Report {
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.head(), words::legend());
        for question in &self.questions {
            let corner = [question.corner.to_owned()].into_iter();
            let mut lines: Vec<Vec<String>> =
                vec![corner.chain(question.columns.iter().cloned()).collect()];
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

    pub(super) fn explanations(&self) -> String {
        let lines = self.results.iter().flat_map(|(cell, its)| self.explanation(cell, its));
        lines.map(|line| line + "\n").collect()
    }

    /// What was seen of a cell, and what decides it, line by line.
    fn explanation(&self, cell: &Cell, result: &Result<Outcome, String>) -> Vec<String> {
        let (predicted, rule) = self.predict(cell);
        let (function, condition) = words::rule(rule, cell.proto);
        let mut lines = vec![cell.to_string()];
        match result {
            Err(reason) => lines.push(say!(
                "{kernel}: not tried: {reason}",
                "{kernel}：没有试：{reason}",
                kernel = self.kernel
            )),
            Ok(outcome) => lines.extend(self.seen(cell, outcome)),
        }
        lines.push(say!("rule: {function}: {condition}", "规则：{function}：{condition}"));
        let history = words::history(&predict::history(cell));
        lines.extend(history.iter().map(|era| say!("version: {era}", "版本：{era}")));
        let predicted_name = predicted.name();
        match result {
            Err(_) => lines.push(say!(
                "By that rule it would be: {predicted_name}.",
                "按这条规则，结果应为 {predicted_name}。"
            )),
            Ok(outcome) if predicted != outcome.verdict => lines.push(say!(
                "But by that rule, of Linux {version}, it would be: {predicted_name}. This kernel \
                 has another.",
                "但是按 Linux {version} 的这条规则，结果应为 {predicted_name}：这个内核的规则不同。",
                version = self.version()
            )),
            Ok(_) => {}
        }
        lines
    }

    /// The verdict, A's states, and who received.
    fn seen(&self, cell: &Cell, outcome: &Outcome) -> Vec<String> {
        let mut lines = vec![say!(
            "{kernel}: {is}",
            "{kernel}：{is}",
            kernel = self.kernel,
            is = outcome.verdict.name()
        )];
        if !outcome.found.is_empty() {
            let found: Vec<&str> = outcome.found.iter().map(|state| state.name()).collect();
            lines.push(say!(
                "A, when B came: {found}",
                "B 绑定时，A 处于 {found}",
                found = found.join(words!(", ", "、"))
            ));
        }
        lines.extend(outcome.deliveries.iter().map(|&(to, who)| {
            let why = match self.predict_receiver(cell, to) {
                (predicted, why) if predicted == who => words::reason(why),
                _ => words!("the model has another", "与模型的预测不同"),
            };
            say!(
                "to {to}: {who} ({why})",
                "发往 {to}：{who}（{why}）",
                to = words::destination(to),
                who = words::receiver(who)
            )
        }));
        lines
    }
}
