//! A run of these tests: whatever ends it, no process of it is left; and it is the same whatever the
//! shell has ignored or left open.

use crate::harness::{self, Process, SCRATCH, run, share_programs, wait_for};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, killpg};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn trials() -> Vec<Trial> {
    vec![
        harness::trial("run_ends_whole", || ends_whole(&[])),
        harness::trial("run_ends_whole_without_pid_namespace", || ends_whole(&CONFINED)),
        harness::trial("run_ends_with_cargo", ends_with_cargo),
        harness::trial("run_with_signals_ignored", with_signals_ignored),
    ]
}

/// A shell that can't make PID namespaces.
const CONFINED: [&str; 6] = [
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    "echo 0 >/proc/sys/user/max_pid_namespaces && exec \"$0\" \"$@\"",
];

/// A run of some trials, started by `wrapper`. Its processes have `mark` in their environment.
fn tests(wrapper: &[&str], trials: &[&str], mark: &str) -> Command {
    let program = std::env::current_exe().expect("/proc is mounted");
    let mut command = Command::new("env");
    command.args(wrapper).arg(program).args(trials).env("TREUSEADDR_MARK", mark);
    share_programs(&mut command).env_remove("CARGO");
    command
}

/// The environment of a process that has the mark in it, and whose name starts so.
fn environment(mark: &str, name: &str) -> Option<String> {
    let mark = format!("TREUSEADDR_MARK={mark}\0");
    let processes = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let mut environments = processes.filter_map(|process| {
        let read = |file| fs::read_to_string(process.path().join(file)).ok();
        read("environ").filter(|environment| {
            environment.contains(&mark) && read("comm").is_some_and(|comm| comm.starts_with(name))
        })
    });
    environments.next()
}

/// Waits for a server of the run. Gives the run's folder.
fn wait_for_server(mark: &str) -> PathBuf {
    let environment = wait_for("a server", || environment(mark, "treuseaddr"));
    let mut variables = environment.split('\0');
    let folder = variables.find_map(|variable| variable.strip_prefix(SCRATCH)?.strip_prefix('='));
    PathBuf::from(folder.expect("the keeper has set it"))
}

/// Waits until nothing of the run is left, no process and no file.
fn wait_for_end(mark: &str, folder: &Path) {
    wait_for("the end of every process", || environment(mark, "").is_none().then_some(()));
    assert!(!folder.exists(), "{folder:?} is left");
}

/// The signal reaches the first process alone, or all of its group, as from a terminal.
fn ends_whole(wrapper: &[&str]) {
    for signal in
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGKILL]
    {
        for is_group in [false, true] {
            let mark = format!("{}-{signal}-{is_group}", wrapper.len());
            let mut first = Process::start(&mut tests(wrapper, &["trace_treuseaddr"], &mark));
            let folder = wait_for_server(&mark);
            match is_group {
                true => killpg(first.pid(), signal).expect("it is there"),
                false => first.signal(signal),
            }
            assert_eq!(first.wait(), -(signal as i32));
            wait_for_end(&mark, &folder);
        }
    }
}

/// cargo is killed, and cannot tell what it has started.
fn ends_with_cargo() {
    let script = "\"$0\" \"$@\"; exit 1";
    let mut cargo = tests(&["sh", "-c", script], &["trace_treuseaddr"], "cargo");
    let mut cargo = Process::start(cargo.env("CARGO", "cargo"));
    let folder = wait_for_server("cargo");
    cargo.signal(Signal::SIGKILL);
    assert_eq!(cargo.wait(), -(Signal::SIGKILL as i32));
    wait_for_end("cargo", &folder);
}

/// As under `nohup`, as a background job of a script, and of a program that leaves its files open.
fn with_signals_ignored() {
    let script = "trap '' HUP INT PIPE QUIT TERM; exec \"$0\" \"$@\" 3</dev/null 7</dev/null";
    let wrapper = ["sh", "-c", script];
    for trial in ["stdout", "outcome_treuseaddr_raw", "messages_treuseaddr"] {
        let output = run(&mut tests(&wrapper, &[trial], "ignored"));
        assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
        assert!(!output.stdout.contains(" 0 passed"), "{}", output.stdout);
    }
}
