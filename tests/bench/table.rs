//! Samples to medians, medians to Markdown.

use crate::alternatives::Alternative;
use crate::measure::{Row, Unit};

/// The middle of the sorted samples, and half the distance of their quartiles.
struct Summary {
    median: f64,
    spread: f64,
    is_single: bool,
}

impl Summary {
    fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let last = samples.len().checked_sub(1)?;
        let quartile = |i: usize| {
            let (at, weight) = (last * i / 4, (last * i % 4) as f64 / 4.0);
            samples[at] * (1.0 - weight) + samples[(at + 1).min(last)] * weight
        };
        let spread = (quartile(3) - quartile(1)) / 2.0;
        Some(Self { median: quartile(2), spread, is_single: last == 0 })
    }

    /// With as many digits as `median` needs for three that count.
    fn text(&self, unit: &str) -> String {
        let digits = match self.median {
            ..10.0 => 2,
            ..100.0 => 1,
            _ => 0,
        };
        let median = grouped(format!("{:.digits$}", self.median));
        match self.is_single {
            true => format!("{median}{unit}"),
            false => {
                let spread = grouped(format!("{:.digits$}", self.spread));
                format!("{median}{unit} ±{spread}")
            }
        }
    }
}

/// The first column names the row, the second has the raw port's numbers, the others are ratios.
pub fn markdown(alternatives: &[Alternative], rows: &[Row]) -> String {
    let mut heads = vec!["".to_owned()];
    heads.extend(alternatives.iter().map(|alternative| alternative.name.to_owned()));
    heads[1] += " = 1";
    let mut lines = vec![heads];
    for row in rows {
        let mut line = vec![row.label.clone(), absolute(row)];
        line.extend((1..alternatives.len()).map(|i| ratio(row, i)));
        lines.push(line);
    }

    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=alternatives.len()).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (i, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            text += &match i {
                0 => format!("| {cell:width$} |"),
                _ => format!(" {cell:>width$} |"),
            };
        }
        text += "\n";
        if number == 0 {
            for (i, width) in widths.iter().enumerate() {
                text += &match i {
                    0 => format!("|{}|", "-".repeat(width + 2)),
                    _ => format!("{}:|", "-".repeat(width + 1)),
                };
            }
            text += "\n";
        }
    }
    text
}

fn absolute(row: &Row) -> String {
    let (scale, unit) = match row.unit {
        Unit::Bytes => (1.0, " B"),
        Unit::Calls | Unit::Instructions | Unit::Faults => (1.0, ""),
        Unit::KibiBytes => (1.0, " KiB"),
        Unit::PerSecond => (1.0, " /s"),
        Unit::Seconds if Summary::of(row.samples[0].clone()).is_some_and(|s| s.median < 0.1) => {
            (1e6, " µs")
        }
        Unit::Seconds => (1.0, " s"),
    };
    let samples = row.samples[0].iter().map(|sample| sample * scale).collect();
    match row.unit {
        Unit::Bytes | Unit::Calls | Unit::Instructions => whole(&row.samples[0], unit),
        _ => Summary::of(samples).map_or("-".into(), |summary| summary.text(unit)),
    }
}

/// To the raw port's number of the same round, so that a slower minute of the machine cancels out;
/// of what is counted and never differs, the number itself.
fn ratio(row: &Row, i: usize) -> String {
    if matches!(row.unit, Unit::Calls | Unit::Instructions) {
        return whole(&row.samples[i], "");
    }
    let ratios = row.samples[i].iter().zip(&row.samples[0]).map(|(it, raw)| it / raw);
    Summary::of(ratios.collect()).map_or("-".into(), |summary| summary.text(""))
}

fn whole(samples: &[f64], unit: &str) -> String {
    samples.first().map_or("-".into(), |count| grouped(format!("{count}")) + unit)
}

/// With a comma before every three digits.
fn grouped(number: String) -> String {
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut text = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}
