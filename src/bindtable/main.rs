//! `bindtable`: which two sockets may share a port, on this kernel.
//!
//! `kernel` is the kernel's rule as a model. `table` tries each pairing and compares it with the
//! model; `port` looks at a port of this machine and judges it by the same model. `sockets` is what
//! the kernel lists. `why` runs a command, and explains its calls that fail by port's parts. Imports go
//! one way: main, cli; table and why; port; kernel and sockets; language, named and printable. table
//! never meets port or why.
#![deny(unsafe_code)] // why/raw.rs has what no library offers

mod cli;
mod kernel;
mod language;
mod named;
mod port;
mod printable;
mod sockets;
mod table;
mod why;

use crate::cli::{Arguments, Filter, Task};
use crate::kernel::Proto;
use crate::language::Language;
use crate::named::Format;
use crate::printable::printable;
use crate::table::cell::Cell;
use crate::table::questions::Question;
use crate::table::report::{self, Report, Run};
use crate::table::run;
use crate::table::world::Capabilities;
use crate::why::Trouble;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::num::NonZeroU8;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Language::choose_by(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(trouble) => return refuse(&trouble),
    };
    let arguments = match cli::parsed(arguments) {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => return print(&error.to_string(), 0),
        Err(error) => return refuse(&cli::one_line(&error)),
    };
    match answer(arguments) {
        Ok((text, status)) => print(&text, status),
        Err(Trouble { status, line }) => {
            refuse(&line);
            ExitCode::from(status)
        }
    }
}

/// One line on standard error, whatever was typed, and even if nothing can be written there.
fn refuse(trouble: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "bindtable: {}", printable(trouble));
    ExitCode::from(2)
}

fn print(text: &str, status: u8) -> ExitCode {
    // Rust's runtime has opened /dev/null where it was closed.
    let written = match why::was_closed(1) && !text.is_empty() {
        true => Err(nix::Error::EBADF.into()),
        false => std::io::stdout().write_all(text.as_bytes()),
    };
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            refuse(&say!("standard output: {error}", "标准输出：{error}"))
        }
        _ => ExitCode::from(status),
    }
}

/// What is to be printed, and the exit status.
fn answer(arguments: Arguments) -> Result<(String, u8), Trouble> {
    match arguments.task {
        None => {
            let report = table(&arguments.filter)?;
            Ok((report.print(arguments.output.format), status(&report)))
        }
        Some(Task::Explain { cells, output }) => {
            let results = run::run(cells, &Capabilities::find()?, jobs(None))?;
            let report = Report { kernel: kernel(), results, ..Report::default() };
            Ok((report.explain(output.format), status(&report)))
        }
        Some(Task::Port { target, udp, probe, output }) => {
            let proto = if udp { Proto::Udp } else { Proto::Tcp };
            if target.port == 0 {
                let finding = port::range::look(target, proto, probe)?;
                let text = match output.format {
                    Format::Json => port::range::json(&finding),
                    Format::Text => port::range::text(&finding),
                };
                return Ok((text, finding.status.exit()));
            }
            let finding = port::look(target, proto, probe)?;
            let text = match output.format {
                Format::Json => port::print::json(&finding),
                Format::Text => port::print::text(&finding),
            };
            Ok((text, finding.status.exit()))
        }
        Some(Task::Why(arguments)) => why::run(&arguments).map(|()| (String::new(), 0)),
        Some(Task::Diff { file, filter, output }) => Ok(diff(&file, &filter, output.format)?),
    }
}

/// This kernel against a saved run.
fn diff(file: &str, filter: &Filter, format: report::Format) -> Result<(String, u8), String> {
    let saved = Run::parse(&read_saved(file)?).map_err(|why| {
        say!(
            "{file} is no saved run ({why}): bindtable --format json > FILE makes one",
            "{file} 不是保存下来的结果（{why}）：请用 bindtable --format json > FILE 生成"
        )
    })?;
    let report = table(filter)?;
    let wants = |cell: &Cell| match filter.question {
        Some(_) => report.results.contains_key(cell),
        None => filter.wants(cell),
    };
    let diff = report.diff(&saved, wants);
    let status = if diff.differ.is_empty() { status(&report) } else { 1 };
    Ok((diff.print(format), status))
}

/// The text of a saved run. All cells take 1.2 MB.
fn read_saved(file: &str) -> Result<String, String> {
    const MOST: u64 = 16 << 20;
    let mut text = String::new();
    File::open(file)
        .and_then(|saved| saved.take(MOST + 1).read_to_string(&mut text))
        .map_err(|error| say!("{file}: {error}", "不能读取 {file}：{error}"))?;
    if text.len() as u64 > MOST {
        return Err(say!(
            "{file} has more than {most} MiB, so it is no saved run: bindtable --format json > FILE \
             makes one",
            "{file} 超过 {most} MiB，不是保存下来的结果：请用 bindtable --format json > FILE 生成",
            most = MOST >> 20
        ));
    }
    Ok(text)
}

/// 0, or 3 if any cell was not tried.
fn status(report: &Report) -> u8 {
    if report.is_whole() { 0 } else { 3 }
}

/// `Linux 6.18.0`, as this kernel says: uname(2).
fn kernel() -> String {
    let name = rustix::system::uname();
    format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy())
}

/// How many threads there are to be: four for each processor, since a cell mostly waits.
fn jobs(asked: Option<NonZeroU8>) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    asked.map_or(4 * processors, |jobs| usize::from(jobs.get()))
}

/// Tries all the cells that are wanted.
fn table(filter: &Filter) -> Result<Report, String> {
    let questions = filter.questions()?;
    let cells: Vec<Cell> = questions.iter().flat_map(Question::cells).cloned().collect();
    if cells.is_empty() {
        return Err(say!(
            "no cell of the table is so: see --help",
            "没有符合条件的格子：见 --help"
        ));
    }
    Ok(Report {
        kernel: kernel(),
        questions,
        results: run::run(cells, &Capabilities::find()?, jobs(filter.jobs))?,
        colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    })
}
