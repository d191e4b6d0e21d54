//! Where a failure is explained: in the network namespace of its socket.

use super::explain::{explain, without_look};
use super::failure::Failure;
use super::print::{self, Report};
use super::socket::copy_in;
use super::{Format, launch, raw};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

/// Explains a failure, in the network namespace of its socket.
pub fn report(failure: &Failure, format: Format) -> Report {
    let here = std::fs::metadata("/proc/thread-self/ns/net").map(|file| file.ino()).ok();
    let network = network_of(failure).ok();
    let there = network.as_ref().and_then(|file| Some(file.metadata().ok()?.ino()));
    match network.filter(|_| here.is_some() && here != there) {
        None => print::report(&explain(failure), format),
        Some(network) => report_there(failure, format, network)
            .unwrap_or_else(|| print::report(&without_look(failure), format)),
    }
}

/// The network namespace of the socket, which may be another one than its process is in now; or the process's, where
/// the socket does not tell. It fails as open(2) does.
fn network_of(failure: &Failure) -> std::io::Result<File> {
    let Failure { pid, thread, subject, .. } = failure;
    let its = copy_in(*pid, *thread, subject.descriptor).and_then(|copy| raw::network_of(&copy));
    its.map(File::from).or_else(|_| File::open(format!("/proc/{thread}/ns/net")))
}

/// A helper joins the network namespace, which it gets as its standard error, and explains there.
fn report_there(failure: &Failure, format: Format, network: File) -> Option<Report> {
    let its = std::fs::metadata(format!("/proc/{}/ns/net", failure.thread)).ok()?;
    let is_elsewhere = network.metadata().ok()?.ino() == its.ino();
    let failure = Failure { is_elsewhere, ..failure.clone() };
    let mut helper = launch::of_this_program(format, &["--helper"]).ok()?;
    let helper = helper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(network);
    let mut helper = helper.spawn().ok()?;
    let written = serde_json::to_vec(&failure).ok().and_then(|failure| {
        let mut input = helper.stdin.take()?;
        input.write_all(&failure).ok()
    });
    let output = helper.wait_with_output().ok()?;
    written?;
    serde_json::from_slice(&output.stdout).ok()
}

/// The helper: reads a failure, and writes its report. It fails if the input is no failure, or if the
/// namespace cannot be joined.
pub fn help(format: Format) -> Result<(), String> {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).map_err(|error| error.to_string())?;
    let failure: Failure = serde_json::from_slice(&input).map_err(|error| error.to_string())?;
    let network = std::io::stderr();
    let user = File::open(format!("/proc/{}/ns/user", failure.thread));
    let user = user.map_err(|error| error.to_string())?;
    // A user may join a network that is owned by a user namespace of his own.
    setns(&network, CloneFlags::CLONE_NEWNET)
        .or_else(|_| {
            setns(&user, CloneFlags::CLONE_NEWUSER)?;
            setns(&network, CloneFlags::CLONE_NEWNET)
        })
        .map_err(|errno| errno.to_string())?;
    let report = print::report(&explain(&failure), format);
    let report = serde_json::to_vec(&report).map_err(|error| error.to_string())?;
    std::io::stdout().write_all(&report).map_err(|error| error.to_string())
}
