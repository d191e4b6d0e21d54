//! The restart outcomes and the claims, on the kernel of another machine: the program that
//! `tests/machines.rs` boots it with. Each program is in the root folder, as `VARIANT~PROGRAM`.

#[path = "../claims.rs"]
mod claims;
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../outcomes.rs"]
mod outcomes;

use libtest_mimic::Arguments;
use nix::mount::{MsFlags, mount};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Where the harness looks for the programs.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// The run for which it finds them built.
const RUN: (&str, &str) = ("NEXTEST_RUN_ID", "guest");

fn main() -> ExitCode {
    if std::env::args().next().is_some_and(|name| name.ends_with("setpriv")) {
        panic!("{}", as_other_user());
    }
    if std::env::var_os(RUN.0).is_none() {
        panic!("{}", prepare().expect_err("exec does not return"));
    }
    harness::prepare().expect("this is the root of its machine");
    let mut trials = outcomes::trials();
    trials.extend(claims::trials());
    trials.retain(|trial| !trial.name().contains("libc")); // it is built on Rust's std
    // Most of the time a trial waits; one at a time would take three times as long.
    libtest_mimic::run(&Arguments { test_threads: Some(4), ..Arguments::default() }, trials)
        .exit_code()
}

/// setpriv(1), as the claims call it: three options and a command.
fn as_other_user() -> std::io::Error {
    const OTHER_USER: u32 = 65534;
    let mut words = std::env::args().skip(4);
    let mut command = Command::new(words.next().expect("a command follows the options"));
    command.args(words).uid(OTHER_USER).gid(OTHER_USER).exec()
}

/// Puts everything where it belongs, and starts this program again.
fn prepare() -> std::io::Result<()> {
    for entry in fs::read_dir("/")? {
        let name = entry?.file_name();
        if let Some((variant, program)) = name.to_string_lossy().split_once('~') {
            let folder = Path::new(FOLDER).join("bin").join(variant);
            fs::create_dir_all(&folder)?;
            fs::rename(Path::new("/").join(&name), folder.join(program))?;
        }
    }
    fs::write(Path::new(FOLDER).join("run"), RUN.1)?;
    for folder in ["/bin", "/scratch", "/dev/pts"] {
        fs::create_dir_all(folder)?;
    }
    fs::rename("/busybox", "/bin/busybox")?;
    symlink("/bin/busybox", "/bin/true")?;
    symlink("/program", "/bin/setpriv")?;
    let none = None::<&str>;
    mount(none, "/dev/pts", Some("devpts"), MsFlags::empty(), none)?;
    let mut again = Command::new("/proc/self/exe");
    again.env(RUN.0, RUN.1).env(harness::SCRATCH, "/scratch").env("PATH", "/bin");
    Err(again.exec())
}
