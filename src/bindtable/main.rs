//! `bindtable`: the table of this kernel, one cell explained, or two kernels compared.
#![forbid(unsafe_code)]

use bindtable::cell::{self, Cell, Family, Proto, State};
use bindtable::questions::{self, Question};
use bindtable::report::{Format, Report, Run};
use bindtable::world::Powers;
use bindtable::port::Target;
use bindtable::language::Language;
use bindtable::{expected, port, run};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use std::io::{IsTerminal, Write};
use std::num::NonZeroU8;
use std::process::ExitCode;

/// May a socket B bind where a socket A is? Each pairing, tried on this kernel
#[derive(Parser)]
#[command(version, after_help = notes(), args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    output: Output,
}

#[derive(Subcommand)]
enum Task {
    /// Try one cell or several, and say which condition of the kernel decides each
    #[command(after_help = notes())]
    Explain {
        /// As in tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr
        #[arg(required = true, value_name = "CELL")]
        cells: Vec<Cell>,
        #[command(flatten)]
        output: Output,
    },
    /// Who holds this port, may a new server bind it, and what would help
    #[command(after_help = PORT_STATUS)]
    Port {
        /// PORT, ADDRESS:PORT or [ADDRESS]:PORT, as in 3459, 127.0.0.1:3459, [::1]:3459
        target: Target,
        /// UDP in place of TCP
        #[arg(long)]
        udp: bool,
        /// Find out the rest by real binds, each closed at once; that takes the port for a moment
        #[arg(long)]
        probe: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Compare this kernel with a saved run; status 1 if any cell differs
    Diff {
        /// Made by `bindtable --format json > FILE`, here or on another kernel
        file: String,
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
struct Filter {
    /// The cells of this protocol
    #[arg(long)]
    proto: Option<Proto>,
    /// The cells whose sockets are all of this family, or of both
    #[arg(long)]
    family: Option<Family>,
    /// The cells with A in this state
    #[arg(long)]
    state: Option<State>,
    /// One table; its name stands beside its title
    #[arg(long, value_name = "NAME")]
    question: Option<String>,
    /// How many cells are tried at once, each thread in a network namespace of its own; as many as
    /// there are processors by default
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroU8>,
}

#[derive(Args)]
struct Output {
    /// JSON has one cell a line
    #[arg(long, default_value = "text")]
    format: Format,
}

const PORT_STATUS: &str = "\
It stops nothing. Without --probe it binds the port only where a TIME_WAIT holds it: the answer tells
whether that had the option, and the socket is closed at once. To read the options of a socket it
copies its descriptor, and closes the copy at once. With --format json, null is what is unknown.

Exit status: 0 if the port is free, 1 if a socket holds it, 2 if that could not be found out.";

const NOTES: &str = "\
Each cell has a port of its own, in a network namespace of this program's: made as root, or by a
user where user namespaces are allowed. Otherwise it is done on the real loopback, without what
needs a namespace, and TIME_WAITs stay there for a minute. Two users' cells need root.
What can't be tried is named with its reason.

Exit status: 0; 1 if a cell differs (diff); 2 after an error; 3 if a cell was not tried.";

/// What stands below the options.
fn notes() -> String {
    format!("{}\n{NOTES}", cell::grammar())
}

fn main() -> ExitCode {
    let arguments = match Language::choose_by(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(trouble) => return refuse(&trouble),
    };
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => return print(&error.to_string(), 0),
        Err(error) => return refuse(&one_line(&error)),
    };
    match answer(arguments) {
        Ok((text, status)) => print(&text, status),
        Err(trouble) => refuse(&trouble),
    }
}

fn refuse(trouble: &str) -> ExitCode {
    eprintln!("bindtable: {trouble}");
    ExitCode::from(2)
}

fn print(text: &str, status: u8) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            refuse(&format!("standard output: {error}"))
        }
        _ => ExitCode::from(status),
    }
}

/// What clap says in several lines, without the usage.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty())
        .map(|line| match line.starts_with("tip:") {
            true => format!("({line})"),
            false => line.to_owned(),
        });
    let line = lines.collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    match error.kind() {
        ErrorKind::ValueValidation => line.to_owned(),
        _ => format!("{line}; see --help"),
    }
}

impl Filter {
    fn wants(&self, cell: &Cell) -> bool {
        self.proto.is_none_or(|proto| proto == cell.proto)
            && self.family.is_none_or(|family| family == Family::of(cell))
            && self.state.is_none_or(|state| state == cell.state)
    }

    /// The tables with what is wanted of them.
    fn questions(&self) -> Result<Vec<Question>, String> {
        let mut questions = questions::all();
        if let Some(name) = &self.question {
            if !questions.iter().any(|question| question.name == name) {
                let names: Vec<&str> = questions.iter().map(|question| question.name).collect();
                return Err(format!("--question: '{name}' is none of {}", names.join(", ")));
            }
            questions.retain(|question| question.name == name);
        }
        let questions =
            questions.into_iter().map(|question| question.narrowed(|cell| self.wants(cell)));
        Ok(questions.filter(|question| !question.rows.is_empty()).collect())
    }
}

/// What is to be printed, and the exit status.
fn answer(arguments: Arguments) -> Result<(String, u8), String> {
    match arguments.task {
        None => {
            let report = table(&arguments.filter)?;
            Ok((report.print(arguments.output.format), status(&report)))
        }
        Some(Task::Explain { cells, output }) => {
            let mut report = Report { kernel: kernel(), ..Report::default() };
            report.results = run::run(cells, &Powers::find()?, jobs(None))?;
            Ok((report.explain(output.format), status(&report)))
        }
        Some(Task::Port { target, udp, probe, output }) => {
            let proto = if udp { Proto::Udp } else { Proto::Tcp };
            let print = match output.format {
                Format::Text => port::print::text,
                Format::Json => port::print::json,
                Format::Markdown => return Err(port::words::two_formats()),
            };
            let finding = port::look(target, proto, probe)?;
            let text = print(&finding);
            Ok((text, finding.status.exit()))
        }
        Some(Task::Diff { file, filter, output }) => {
            let saved =
                std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
            let saved: Run = serde_json::from_str(&saved).map_err(|error| {
                format!(
                    "{file} is no saved run ({error}): bindtable --format json > FILE makes one"
                )
            })?;
            let report = table(&filter)?;
            let wants = |cell: &Cell| match filter.question {
                Some(_) => report.results.contains_key(cell),
                None => filter.wants(cell),
            };
            let diff = report.diff(&saved, wants);
            let status = if diff.differ.is_empty() { status(&report) } else { 1 };
            Ok((diff.print(output.format), status))
        }
    }
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

/// How many threads there are to be.
fn jobs(asked: Option<NonZeroU8>) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    asked.map_or(processors, |jobs| usize::from(jobs.get()))
}

/// Tries all the cells that are wanted.
fn table(filter: &Filter) -> Result<Report, String> {
    let questions = filter.questions()?;
    let mut expectations = expected::all();
    expectations.retain(|expectation| filter.wants(&expectation.cell) && filter.question.is_none());
    let cells = questions.iter().flat_map(|question| question.cells().cloned());
    let cells: Vec<Cell> =
        cells.chain(expectations.iter().map(|expectation| expectation.cell.clone())).collect();
    if cells.is_empty() {
        return Err("no cell of the table is so: see --help".to_owned());
    }
    Ok(Report {
        kernel: kernel(),
        questions,
        expectations,
        results: run::run(cells, &Powers::find()?, jobs(filter.jobs))?,
        colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    })
}
