//! What is promised, checked: `cargo test` builds every variant of both programs and runs each
//! experiment in a network namespace of its own.

mod harness;

mod builds;
mod demo;
mod documents;
mod echo;
mod lines;
mod messages;
mod outcomes;
mod trouble;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        lines::trials(),
        builds::trials(),
        outcomes::trials(),
        echo::trials(),
        messages::trials(),
        trouble::trials(),
        demo::trials(),
        documents::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();

    if !arguments.list
        && let Err(trouble) = harness::prepare()
    {
        eprintln!("{trouble}");
        return ExitCode::FAILURE;
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
