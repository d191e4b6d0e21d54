//! A run as Markdown: `docs/bind-table.md`.

use super::Report;
use crate::table::cell::Cell;
use crate::table::questions::Question;
use crate::table::words;
use crate::{say, words};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The function of the kernel that decides, and its condition.
type Rule = (&'static str, &'static str);

impl Report {
    /// The rules and the tables, folded: each in a section of its own.
    pub(super) fn markdown(&self) -> String {
        let rules = self.rules();
        let number = |rule| rules.iter().position(|other| *other == rule).map_or(0, |at| at + 1);
        let mut text =
            say!("{head}.\n\n## The rules\n\n", "{head}。\n\n## 规则\n\n", head = self.head());
        for rule in &rules {
            let (function, condition) = rule;
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
        let _ = writeln!(text, "\n## {tables}\n\n{}{}", words::legend(), words::numbers());
        for question in &self.questions {
            let Question { name, title, note, corner, columns, .. } = question;
            let _ = writeln!(text, "\n<details>\n<summary>{title}</summary>\n");
            text += &say!("`{name}`. {note}\n\n", "`{name}`。{note}\n\n");

            let _ = writeln!(text, "| {corner} | {} |", columns.join(" | "));
            let _ = writeln!(text, "|---|{}", "---|".repeat(columns.len()));
            for (name, cells) in &question.rows {
                let _ = write!(text, "| {name} |");
                for (column, cell) in cells.iter().enumerate() {
                    let shown =
                        cell.as_ref().map(|cell| self.shown(question, column, cell, number));
                    let _ = write!(text, " {} |", shown.unwrap_or_default());
                }
                text.push('\n');
            }
            text.push_str("\n</details>\n");
        }
        text
    }

    /// The rules of all cells, TCP's first. A rule in the same function is the same for both.
    fn rules(&self) -> Vec<Rule> {
        let all: BTreeSet<_> =
            self.results.keys().map(|cell| (cell.proto, self.predict(cell).1)).collect();
        let mut rules = Vec::new();
        for (proto, rule) in all {
            let rule = words::rule(rule, proto);
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        rules
    }

    /// What a table shows of a cell, and the number of its rule.
    fn shown(
        &self,
        question: &Question,
        column: usize,
        cell: &Cell,
        number: impl Fn(Rule) -> usize,
    ) -> String {
        let shown = self.entry(question, column, cell).text;
        let shown = shown.strip_suffix(" EADDRINUSE").unwrap_or(&shown);
        let (predicted, rule) = self.predict(cell);
        match self.results.get(cell) {
            Some(Ok(outcome)) if question.to.is_empty() => {
                let is_predicted = outcome.verdict == predicted;
                let number = if is_predicted { number(words::rule(rule, cell.proto)) } else { 0 };
                format!("{shown} {number}")
            }
            _ => shown.to_owned(),
        }
    }
}
