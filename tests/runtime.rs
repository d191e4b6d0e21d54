//! The runtime by itself: its memcpy and memset, its words for an error, and the formats it refuses.

use crate::harness::{self, Output, built, cargo_target, project, read, run};
use libtest_mimic::Trial;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

pub fn trials() -> Vec<Trial> {
    vec![
        harness::trial("runtime_memory", memory),
        harness::trial("runtime_formats", formats),
        harness::trial("runtime_strerror", strerror),
    ]
}

/// Runs cargo on a package of the programs in `tests/runtime`, linked as the ports are. Each run
/// writes the package anew, so that no two may be at it.
pub fn run_on_package(cargo: &mut Command) -> Output {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rt");
    fs::create_dir_all(&folder).expect("the target folder is writable");
    let itself = File::open(&folder).expect("it is a folder");
    let lock = Flock::lock(itself, FlockArg::LockExclusive).map_err(|(_, errno)| errno);
    let _lock = lock.expect("the target folder can be locked");
    let write = |path: &str, text: &str| {
        fs::write(folder.join(path), text).expect("the target folder is writable");
    };
    let bin = |name: &str| {
        format!(
            "[[bin]]\nname = {name:?}\npath = {:?}\n",
            project(&format!("tests/runtime/{name}.rs"))
        )
    };
    let manifest = read("Cargo.toml");
    let (_, profiles) = manifest.split_once("\n[profile.").expect("it has profiles");
    let manifest = format!(
        "[package]\nname = \"rt-tests\"\nedition = \"2024\"\nbuild = {:?}\n\n{}\n{}\n\
         [features]\nlibc = [\"treuseaddr/libc\"]\n\n\
         [dependencies]\ntreuseaddr = {{ path = {:?} }}\n\n[workspace]\n\n[profile.{profiles}",
        project("build.rs"),
        bin("memory"),
        bin("formats"),
        project("")
    );
    write("Cargo.toml", &manifest);
    write("Cargo.lock", &read("Cargo.lock"));
    run(cargo.current_dir(folder))
}

fn build(arguments: &[&str]) -> Output {
    let mut cargo = harness::cargo("build", &cargo_target("rt"));
    run_on_package(cargo.args(["--offline", "--release"]).args(arguments))
}

fn memory() {
    let output = build(&["--bin", "memory"]);
    assert!(output.status.success(), "{}", output.stderr);
    let output = run(&mut Command::new(built(&cargo_target("rt"), "release").join("memory")));
    assert!(output.status.success(), "{}: {}", output.status, output.stderr);
}

/// printf(3) with a wrong format is undefined behaviour; here it does not compile.
fn formats() {
    let expected =
        read("tests/runtime/formats.rs").lines().filter(|line| line.contains("new(")).count();
    for features in ["", "libc"] {
        let output = build(&["--bin", "formats", "--features", features]);
        let refused = output.stderr.matches("error[E0080]: evaluation panicked").count();
        assert_eq!(refused, expected, "{}", output.stderr);
    }
}

/// Line N of strerror.txt has glibc's words for error N; a number without words has an empty line.
fn strerror() {
    let words = read("src/rt/strerror.txt");
    let mut words = words.lines();
    for number in 1..4096 {
        let said = io::Error::from_raw_os_error(number).to_string();
        let said = said.strip_suffix(&format!(" (os error {number})")).unwrap_or(&said);
        let expected = match words.next().unwrap_or_default() {
            "" => format!("Unknown error {number}"),
            words => words.to_owned(),
        };
        assert_eq!(said, expected, "error {number}, src/rt/strerror.txt beside this C library");
    }
}
