//! docs/differences.md: where a port differs from the C program, and its trace from the C's.
//!
//! In the table of the traces a cell holds lines of one, `<br>` between them. In a line `<name>`
//! stands for any text, the same wherever the name comes again in the row; `<_>` for any at all.

use crate::harness::{self, Observation, Runtime, read, run};
use libtest_mimic::Trial;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

struct Difference {
    name: String,
    runtimes: Vec<Runtime>,
    /// Whether it occurs with the C library and on the machine of this run.
    is_here: bool,
    change: Change,
    /// The trial that fails where the difference no longer occurs.
    shown_by: String,
}

enum Change {
    /// Lines that the C program has and the port has not.
    Extra(Vec<String>),
    /// A line of the C program, and the port's in its place.
    Instead(String, String),
    /// All lines from there on. The C program's come again and again where `is_endless`, until
    /// the test kills it.
    Rest { c: Vec<String>, is_endless: bool, rust: Vec<String> },
}

const DOCUMENT: &str = "docs/differences.md";

static TABLE: LazyLock<Vec<Difference>> =
    LazyLock::new(|| rows("In the trace").iter().map(|row| difference(row)).collect());

/// The rows of the table in a section of the document, cell by cell.
pub fn rows(section: &str) -> Vec<Vec<String>> {
    let document = read(DOCUMENT);
    let heading = format!("\n## {section}\n");
    let (_, text) = document.split_once(&heading).expect("the section is there");
    let text = text.split("\n## ").next().unwrap_or_default().replace("\\|", "\0");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = |row: &str| row.split(" | ").map(|cell| cell.replace('\0', "|")).collect();
    rows.skip(1).map(cells).collect()
}

fn difference(row: &[String]) -> Difference {
    let [name, ports, place, c, rust, shown_by, _why] = row else {
        panic!("{DOCUMENT}: seven cells in {row:?}");
    };
    let lines = |cell: &str| -> Vec<String> {
        cell.split("<br>").map(|line| line.trim_matches('`').to_owned()).collect()
    };
    let mut c = lines(c);
    let is_endless = c.pop_if(|last| last == "...").is_some();
    let rust = lines(rust);
    Difference {
        name: name.clone(),
        runtimes: ports.split(", ").map(runtime).collect(),
        is_here: is_here(place),
        change: match (&c[..], &rust[..]) {
            (_, [none]) if none == "none" => Change::Extra(c),
            ([c], [rust]) => Change::Instead(c.clone(), rust.clone()),
            _ => Change::Rest { c, is_endless, rust },
        },
        shown_by: shown_by.trim_matches('`').to_owned(),
    }
}

fn runtime(name: &str) -> Runtime {
    let runtimes = [Runtime::Raw, Runtime::Libc];
    let runtime = runtimes.into_iter().find(|runtime| runtime.name() == name);
    runtime.unwrap_or_else(|| panic!("{DOCUMENT}: raw or libc, not {name:?}"))
}

/// `glibc 2.41`, as a pair of numbers.
fn version(library: &str) -> Option<(u32, u32)> {
    let (major, minor) = library.strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether a place is this one: `any`, `glibc 2.41 and later`, or machines, as `aarch64, riscv64`.
fn is_here(place: &str) -> bool {
    static GLIBC: LazyLock<(u32, u32)> = LazyLock::new(|| {
        let getconf = run(Command::new("getconf").arg("GNU_LIBC_VERSION"));
        version(getconf.stdout.trim()).unwrap_or_else(|| panic!("no glibc: {}", getconf.stderr))
    });
    const MACHINES: [&str; 3] = ["x86-64", "aarch64", "riscv64"];
    if let Some(library) = place.strip_suffix(" and later") {
        return version(library).unwrap_or_else(|| panic!("{DOCUMENT}: {place:?}")) <= *GLIBC;
    }
    let machines: Vec<&str> = place.split(", ").collect();
    let is_known = machines.iter().all(|machine| MACHINES.contains(machine));
    assert!(place == "any" || is_known, "{DOCUMENT}: {place:?}");
    place == "any" || machines.contains(&&*std::env::consts::ARCH.replace('_', "-"))
}

/// What the trials have met, all together.
static ALL_MET: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

pub fn summary() -> Option<String> {
    let met = ALL_MET.lock().expect("no panic holds it").len();
    let here = TABLE.iter().filter(|difference| difference.is_here).count();
    (met > 0).then(|| format!("{met} of the {here} differences in {DOCUMENT} met"))
}

pub fn trials() -> Vec<Trial> {
    vec![harness::trial("differences_are_shown", are_shown)]
}

/// Every row names an ordinary trial as what shows it.
fn are_shown() {
    let ordinary = crate::trials().into_iter().filter(|trial| !trial.has_ignored_flag());
    let names: BTreeSet<String> = ordinary.map(|trial| trial.name().to_owned()).collect();
    for Difference { name, shown_by, .. } in TABLE.iter() {
        assert!(names.contains(shown_by), "{DOCUMENT}: {name:?}: no trial is {shown_by}");
    }
    for row in rows("In the source") {
        let shown_by = row.last().map(|cell| cell.trim_matches('`')).unwrap_or_default();
        let is_shown = !shown_by.is_empty() && names.iter().any(|name| name.contains(shown_by));
        assert!(is_shown, "{DOCUMENT}: no trial has {shown_by:?} in its name");
    }
}

/// The differences that a trial has met, with the runtime of the port.
#[derive(Default)]
pub struct Met(BTreeSet<(&'static str, &'static str)>);

impl Met {
    /// Fails where the table has a difference that `trial` must show and has not.
    pub fn check(self, trial: &str) {
        let must_occur = |row: &&Difference| row.shown_by == trial && row.is_here;
        for difference in TABLE.iter().filter(must_occur) {
            for runtime in &difference.runtimes {
                assert!(
                    self.0.contains(&(&*difference.name, runtime.name())),
                    "{DOCUMENT}: {:?} no longer occurs in the {} port",
                    difference.name,
                    runtime.name()
                );
            }
        }
        ALL_MET.lock().expect("no panic holds it").extend(self.0.iter().map(|(name, _)| name));
    }

    /// Compares what a port has done with what the C program has done, and fails at the first
    /// difference that is not in the table.
    pub fn compare(
        &mut self,
        c: &Observation,
        rust: &Observation,
        runtime: Runtime,
    ) -> Result<(), String> {
        let name = runtime.name();
        if c.processes.len() != rust.processes.len() {
            return Err(format!("C {:?}, {name} {:?}", c.processes, rust.processes));
        }
        let mut is_whole = true;
        for (c, rust) in c.processes.iter().zip(&rust.processes) {
            is_whole &= self.align(c, rust, runtime)?;
        }
        // Where C goes on, it prints more than the port; or less, if SIGKILL took the messages in its buffer.
        let is_same = |c: &str, rust: &str| {
            c == rust || !is_whole && (c.starts_with(rust) || rust.starts_with(c))
        };
        if !is_same(&c.stdout, &rust.stdout)
            || !is_same(&c.stderr, &rust.stderr)
            || is_whole && c.status != rust.status
        {
            return Err(format!(
                "C {:?}, {:?}, {}, {name} {:?}, {:?}, {}",
                c.stdout, c.stderr, c.status, rust.stdout, rust.stderr, rust.status
            ));
        }
        Ok(())
    }

    /// Compares the lines of a process. Returns whether both programs' lines were compared to the end.
    fn align(
        &mut self,
        mut c: &[String],
        mut rust: &[String],
        runtime: Runtime,
    ) -> Result<bool, String> {
        loop {
            match (c, rust) {
                ([], []) => return Ok(true),
                ([c_line, c_rest @ ..], [rust_line, rust_rest @ ..]) if c_line == rust_line => {
                    (c, rust) = (c_rest, rust_rest);
                    continue;
                }
                _ => {}
            }
            let applies = |row: &&Difference| row.runtimes.contains(&runtime) && row.is_here;
            let found = TABLE
                .iter()
                .filter(applies)
                .find_map(|difference| Some((difference, difference.change.explain(c, rust)?)));
            let Some((difference, lines)) = found else {
                return Err(format!("C {:?}, {} {:?}", c.first(), runtime.name(), rust.first()));
            };
            self.0.insert((&difference.name, runtime.name()));
            match lines {
                Some((c_lines, rust_lines)) => (c, rust) = (&c[c_lines..], &rust[rust_lines..]),
                None => return Ok(false),
            }
        }
    }
}

impl Change {
    /// Whether this is what differs here: the number of lines of each that it covers, none for
    /// all.
    fn explain(&self, c: &[String], rust: &[String]) -> Option<Option<(usize, usize)>> {
        match self {
            Self::Extra(lines) => {
                let c = c.first()?;
                let is_extra = |line: &String| matches(line, c, &mut BTreeMap::new());
                lines.iter().any(is_extra).then_some(Some((1, 0)))
            }
            Self::Instead(c_line, rust_line) => {
                let mut names = BTreeMap::new();
                (matches(c_line, c.first()?, &mut names)
                    && matches(rust_line, rust.first()?, &mut names))
                .then_some(Some((1, 1)))
            }
            Self::Rest { c: c_lines, is_endless, rust: rust_lines } => {
                let mut names = BTreeMap::new();
                let is_rest = rust.len() == rust_lines.len()
                    && rust_lines
                        .iter()
                        .zip(rust)
                        .all(|(line, rust)| matches(line, rust, &mut names))
                    && match is_endless {
                        false => {
                            c.len() == c_lines.len()
                                && c_lines
                                    .iter()
                                    .zip(c)
                                    .all(|(line, c)| matches(line, c, &mut names))
                        }
                        true => is_repeated(c_lines, c, &mut names),
                    };
                is_rest.then_some(None)
            }
        }
    }
}

/// Whether `lines` are `round` at least three times over, cut off by SIGKILL.
fn is_repeated<'a>(
    round: &[String],
    lines: &'a [String],
    names: &mut BTreeMap<String, &'a str>,
) -> bool {
    let [lines @ .., last_call, end] = lines else { return false };
    let last = &round[lines.len() % round.len()];
    let is_cut = |call: &str| {
        last.split_once(" = ").is_some_and(|(last, _)| matches(last, call, &mut names.clone()))
    };
    lines.len() >= 3 * round.len()
        && end == "+++ killed by SIGKILL +++"
        && last_call.strip_suffix(" = ?").is_some_and(is_cut)
        && round.iter().cycle().zip(lines).all(|(line, c)| matches(line, c, names))
}

/// Whether `line` is as `pattern` says, each name the text that it has in `names`.
fn matches<'a>(pattern: &str, line: &'a str, names: &mut BTreeMap<String, &'a str>) -> bool {
    let Some((text, rest)) = pattern.split_once('<') else { return pattern == line };
    let (name, rest) = rest.split_once('>').expect("docs/differences.md: a name ends in >");
    let Some(line) = line.strip_prefix(text) else { return false };
    let ends = (0..=line.len()).filter(|end| line.is_char_boundary(*end));
    for (this, after) in ends.map(|end| line.split_at(end)) {
        let mut tried = names.clone();
        let is_known = name != "_" && *tried.entry(name.to_owned()).or_insert(this) != this;
        if !is_known && matches(rest, after, &mut tried) {
            *names = tried;
            return true;
        }
    }
    false
}
