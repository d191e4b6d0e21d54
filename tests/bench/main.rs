//! What the raw port costs, compared with what a reader would use instead: `cargo bench`.

mod alternatives;
#[path = "../harness/block.rs"]
mod block;
#[path = "../harness/built.rs"]
mod built;
#[path = "../harness/lack.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod lack;
mod measure;
#[path = "../harness/net.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod net;
#[path = "../harness/process.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod process;
mod table;
#[path = "../harness/users.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod users;

use alternatives::Alternative;
use lack::{Need, need};
use process::run;
use std::env;
use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

const HELP: &str = "\
Usage: cargo bench [-- OPTIONS]

Builds the alternatives to the raw port, measures them round by round, and prints one table.

Options:
  --write  write the table into docs/performance.md too
  --quick  run a few rounds, to see that everything works: do not quote its numbers
  --help   print this";

/// The longest wait for any state.
const LIMIT: Duration = Duration::from_secs(30);

/// How often things are done.
struct Counts {
    /// Starts of each alternative that are timed.
    starts: usize,
    /// Starts of each alternative whose memory is read.
    starts_to_look_at: usize,
    /// Conversations with each alternative for each length of message.
    conversations: usize,
    /// Round trips of a short message and of a long one in a conversation.
    trips: [usize; 2],
}

impl Counts {
    const FULL: Self =
        Self { starts: 1000, starts_to_look_at: 50, conversations: 21, trips: [10_000, 150] };
    const QUICK: Self =
        Self { starts: 10, starts_to_look_at: 3, conversations: 3, trips: [200, 4] };

    fn trips(&self, len: usize) -> usize {
        self.trips[usize::from(len > 1024)]
    }
}

fn main() -> ExitCode {
    // cargo gives --bench to a benchmark, and nothing where it runs one as a test.
    let (mut write, mut quick) = (false, !env::args().any(|argument| argument == "--bench"));
    for argument in env::args().skip(1) {
        match &*argument {
            "--bench" => {}
            "--write" => write = true,
            "--quick" => quick = true,
            "--help" | "-h" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            _ => return fail(&format!("{argument}: no such option, see cargo bench -- --help")),
        }
    }
    if write && quick {
        return fail("--write is for the full number of rounds, not for --quick");
    }
    match bench(write, quick) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => fail(&trouble),
    }
}

fn fail(trouble: &str) -> ExitCode {
    eprintln!("bench: {trouble}");
    ExitCode::FAILURE
}

fn bench(write: bool, quick: bool) -> Result<(), String> {
    alternatives::find("busybox", "busybox")?; // the harness starts the loopback with it
    let start = Instant::now();
    eprintln!("building the alternatives");
    let alternatives = alternatives::build();
    if let Err(trouble) = &alternatives[0].program {
        return Err(format!("no raw port: {trouble}"));
    }
    measure::share_one_cpu();
    net::prepare()?; // after cargo, which may have to download

    let load = read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
    let counts = if quick { Counts::QUICK } else { Counts::FULL };
    let mut missing: Vec<String> = alternatives
        .iter()
        .filter_map(|alternative| {
            let trouble = alternative.program.as_ref().err()?;
            Some(format!("{}: {trouble}", alternative.name))
        })
        .collect();
    eprintln!("counting instructions");
    let (instructions, trouble) = measure::instructions(&alternatives);
    missing.extend(trouble.map(|trouble| format!("instructions: {trouble}")));
    let mut rows = Vec::from(instructions);
    rows.push(measure::file_size(&alternatives));
    let (row, trouble) = measure::calls_before_socket(&alternatives);
    missing.extend(trouble.map(|trouble| format!("{}: {trouble}", row.label)));
    rows.push(row);
    eprintln!("measuring memory");
    rows.extend(measure::memory(&alternatives, &counts));
    eprintln!("measuring {} starts of each, twice", counts.starts);
    rows.push(measure::failed_bind(&alternatives, &counts));
    rows.push(measure::first_accept(&alternatives, &counts));
    for len in [1, 100, 65_536] {
        eprintln!("measuring {} round trips of {len} bytes", counts.trips(len));
        let [rate, time] = measure::echo(&alternatives, &counts, len);
        rows.push(rate);
        if len == 65_536 {
            rows.push(time);
        }
    }

    let mut report = table::markdown(&alternatives, &rows);
    if !missing.is_empty() {
        report += &format!("\nMissing:\n\n- {}\n", missing.join("\n- "));
    }
    report += &format!("\n{}\n\n{}\n", machine(&alternatives, &load), rounds(&counts));
    println!("\n{report}");
    eprintln!("{} s in all", start.elapsed().as_secs());
    if write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        let recipe = |it: &Alternative| format!("- **{}**: {}\n", it.name, it.recipe);
        let recipes: String = alternatives.iter().map(recipe).collect();
        document(&path, &[("measured", &report), ("alternatives", &recipes)])?;
    }
    Ok(())
}

/// The machine and the tools behind the numbers, in one line.
fn machine(alternatives: &[Alternative], load: &str) -> String {
    let cpuinfo = read("/proc/cpuinfo");
    let mut models = cpuinfo.lines().filter_map(|line| line.strip_prefix("model name\t: "));
    let said = |tool: &str, option: &str| {
        let found = alternatives::find(tool, "");
        let output = found.map(|_| run(Command::new(tool).args(option.split(' '))).stdout);
        output.ok()?.lines().next().map(str::to_owned)
    };
    let has_tokio = alternatives.iter().any(|it| it.name == "Rust tokio" && it.program.is_ok());
    let tools = [
        said("cc", "--version"),
        said("getconf", "GNU_LIBC_VERSION"),
        said("rustc", "--version"),
        has_tokio.then(alternatives::tokio_version).flatten(),
    ];
    let tools: Vec<String> = tools.into_iter().flatten().collect();
    format!(
        "Linux {} on {} × {}; {}; load average {load} before the first row.",
        read("/proc/sys/kernel/osrelease").trim().split('-').next().unwrap_or_default(),
        cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        models.next().unwrap_or("an unnamed CPU"),
        tools.join("; "),
    )
}

/// How often each row was measured, in one line.
fn rounds(counts: &Counts) -> String {
    let Counts { starts, starts_to_look_at, conversations, trips: [short, long] } = counts;
    format!(
        "Rounds: {starts} of the starts, {starts_to_look_at} of the memory, {conversations} of the \
         round trips, each with {short} of them, or {long} of 64 KiB."
    )
}

/// Puts the blocks into the document.
fn document(path: &Path, blocks: &[(&str, &str)]) -> Result<(), String> {
    let trouble = |error: &dyn Display| format!("{}: {error}", path.display());
    let mut document = fs::read_to_string(path).map_err(|error| trouble(&error))?;
    for (name, block) in blocks {
        let found = block::block(&document, name);
        let [before, _, after] = found.ok_or_else(|| trouble(&format!("no block {name}")))?;
        document = [before, block, after].concat();
    }
    fs::write(path, document).map_err(|error| trouble(&error))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Waits until `state` gives something, and between two looks leaves the CPU to the server: the
/// wait is what is measured.
fn wait_for<T>(what: &str, state: impl FnMut() -> Option<T>) -> T {
    wait_showing(what, String::new, state)
}

/// The same, and a failed wait shows the `screen`.
fn wait_showing<T>(
    what: &str,
    screen: impl FnOnce() -> String,
    state: impl FnMut() -> Option<T>,
) -> T {
    wait(LIMIT, what, screen, state, std::thread::yield_now)
}

/// The same with another limit, for `run`, whose commands are not measured.
fn wait_at_most<T>(
    limit: Duration,
    what: &str,
    screen: impl FnOnce() -> String,
    state: impl FnMut() -> Option<T>,
) -> T {
    wait(limit, what, screen, state, || std::thread::sleep(Duration::from_millis(1)))
}

fn wait<T>(
    limit: Duration,
    what: &str,
    screen: impl FnOnce() -> String,
    mut state: impl FnMut() -> Option<T>,
    pause: fn(),
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = state() {
            return value;
        }
        if start.elapsed() >= limit {
            panic!("waited {limit:?} for {what}\n{}", screen());
        }
        pause();
    }
}
