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
mod programming_languages;
mod prose;
mod runs;
mod runtime;
mod traces;
mod translations;
mod trouble;

use harness::Stage;
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// How the names of the longest trials start, the longest first: that is the order in which they run.
const LONGEST: [&str; 9] = [
    "debian_",
    "kernel_",
    "machine_aarch64_bindtable",
    "machine_aarch64_kernel",
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
    let mut trials: Vec<Trial> = [
        lines::trials(),
        builds::trials(),
        runtime::trials(),
        outcomes::trials(),
        compilers::trials(),
        echo::trials(),
        messages::trials(),
        trouble::trials(),
        traces::trials(),
        faults::trials(),
        conversations::trials(),
        demo::trials(),
        documents::trials(),
        prose::trials(),
        annotations::trials(),
        option::trials(),
        pitfalls::trials(),
        translations::trials(),
        bindtable::trials(),
        port::trials(),
        claims::trials(),
        page::trials(),
        runs::trials(),
        browser::trials(),
        fresh_debian::trials(),
        kernels::trials(),
        programming_languages::trials(),
        machines::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    trials.push(differences::trial(&trials));
    let place = |trial: &Trial| LONGEST.iter().position(|start| trial.name().starts_with(start));
    trials.sort_by_key(|trial| place(trial).unwrap_or(LONGEST.len()));

    let wanted = wanted(&arguments, &trials);
    match stage {
        _ if arguments.list => {}
        Stage::Tests => {
            browser::prepare(&wanted)?;
            kernels::prepare(&wanted);
            programming_languages::prepare(&wanted);
            machines::prepare(&wanted);
            harness::prepare()?;
        }
        _ => {
            harness::find_tools(&wanted)?;
            return harness::start(&words);
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let summaries = [
        traces::summary(),
        faults::summary(),
        conversations::summary(),
        port::summary(),
        compilers::summary(),
        differences::summary(),
    ];
    for summary in summaries.into_iter().flatten() {
        println!("{summary}");
    }
    Ok(conclusion.exit_code())
}

/// The names of the trials that the arguments ask for.
fn wanted(arguments: &Arguments, trials: &[Trial]) -> Vec<String> {
    let matches = |trial: &Trial, filter: &String| match arguments.exact {
        true => trial.name() == filter,
        false => trial.name().contains(filter),
    };
    let is_wanted = |trial: &&Trial| {
        arguments.filter.iter().all(|filter| matches(trial, filter))
            && !arguments.skip.iter().any(|filter| matches(trial, filter))
            && (arguments.include_ignored || arguments.ignored == trial.has_ignored_flag())
    };
    trials.iter().filter(is_wanted).map(|trial| trial.name().to_owned()).collect()
}
