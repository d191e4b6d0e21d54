//! What is promised, checked: `cargo test` builds every variant of the programs and runs each
//! experiment in a network namespace of its own.

mod harness;

mod annotations;
mod bindtable;
mod browser;
mod builds;
mod claims;
mod compilers;
mod conversations;
mod demo;
mod differences;
mod documents;
mod echo;
mod faults;
mod fresh_debian;
mod kernels;
mod lines;
mod machines;
mod messages;
mod option;
mod outcomes;
mod page;
mod pitfalls;
mod port;
mod port_advice;
mod port_hidden;
mod port_refused;
mod programming_languages;
mod prose;
mod runs;
mod runtime;
mod traces;
mod translations;
mod trouble;
mod why;

use harness::Stage;
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// A file of trials.
struct Suite {
    trials: fn() -> Vec<Trial>,
    /// What those of the `wanted` trials need that are its own: called before all networks are left.
    prepare: fn(wanted: &[String]) -> Result<(), String>,
    /// A line for the end of the run.
    summary: fn() -> Option<String>,
}

impl Suite {
    /// One that needs nothing and sums nothing up.
    const fn of(trials: fn() -> Vec<Trial>) -> Self {
        Self { trials, prepare: |_| Ok(()), summary: || None }
    }
}

const SUITES: [Suite; 30] = [
    Suite::of(lines::trials),
    Suite::of(builds::trials),
    Suite::of(runtime::trials),
    Suite::of(outcomes::trials),
    Suite { summary: compilers::summary, ..Suite::of(compilers::trials) },
    Suite::of(echo::trials),
    Suite::of(messages::trials),
    Suite::of(trouble::trials),
    Suite { summary: traces::summary, ..Suite::of(traces::trials) },
    Suite { summary: faults::summary, ..Suite::of(faults::trials) },
    Suite { summary: conversations::summary, ..Suite::of(conversations::trials) },
    Suite { summary: differences::summary, ..Suite::of(differences::trials) },
    Suite::of(demo::trials),
    Suite::of(documents::trials),
    Suite::of(prose::trials),
    Suite::of(annotations::trials),
    Suite::of(option::trials),
    Suite::of(pitfalls::trials),
    Suite::of(translations::trials),
    Suite::of(bindtable::trials),
    Suite { summary: port::summary, ..Suite::of(port::trials) },
    Suite::of(why::trials),
    Suite::of(claims::trials),
    Suite::of(page::trials),
    Suite::of(runs::trials),
    Suite { prepare: browser::prepare, ..Suite::of(browser::trials) },
    Suite::of(fresh_debian::trials),
    Suite { prepare: kernels::prepare, ..Suite::of(kernels::trials) },
    Suite { prepare: programming_languages::prepare, ..Suite::of(programming_languages::trials) },
    Suite { prepare: machines::prepare, ..Suite::of(machines::trials) },
];

/// The trials of all suites.
fn trials() -> Vec<Trial> {
    SUITES.iter().flat_map(|suite| (suite.trials)()).collect()
}

/// How the names of the longest trials start, the longest first: that is the order in which they run.
const LONGEST: [&str; 11] = [
    "debian_",
    "kernel_",
    "machine_riscv64_bindtable",
    "machine_aarch64_bindtable",
    "machine_aarch64_kernel",
    "page_",
    "demo_without_namespaces",
    "demo_",
    "bindtable_",
    "conversation_",
    "builds_",
];

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(trouble) => {
            eprintln!("{trouble}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let mut words: Vec<String> = std::env::args().collect();
    let stage = Stage::take_from(&mut words);
    if stage == Stage::Keeper {
        return harness::keep(&words);
    }
    let mut arguments = Arguments::from_iter(&words);
    // Two for each processor: most of the time a trial waits, for a state or for another program.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(2 * processors);
    let mut trials = trials();
    let place = |trial: &Trial| LONGEST.iter().position(|start| trial.name().starts_with(start));
    trials.sort_by_key(|trial| place(trial).unwrap_or(LONGEST.len()));

    let is_wanted =
        |trial: &&Trial| !arguments.is_filtered_out(trial) && !arguments.is_ignored(trial);
    let wanted: Vec<String> =
        trials.iter().filter(is_wanted).map(|trial| trial.name().to_owned()).collect();
    match stage {
        _ if arguments.list => {}
        Stage::Tests => {
            SUITES.iter().try_for_each(|suite| (suite.prepare)(&wanted))?;
            harness::prepare()?;
        }
        _ => {
            harness::find_tools(&wanted)?;
            return harness::start(&words);
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let summaries = SUITES.iter().filter_map(|suite| (suite.summary)());
    for summary in summaries.chain(harness::not_tried()) {
        println!("{summary}");
    }
    Ok(conclusion.exit_code())
}
