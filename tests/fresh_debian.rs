//! The README's two commands on a fresh minimal Debian, word for word: as root where there is no sudo,
//! and as an ordinary user. `tests/fresh_debian.sh` makes the systems, with this machine's Rust.

use crate::harness::{self, Output, Scratch, project, read, return_to_first_network, run};
use libtest_mimic::Trial;
use std::path::Path;
use std::process::Command;

const SYSTEMS: [(&str, &str); 2] = [("debian_12", "bookworm"), ("debian_13", "trixie")];

/// Not among the ordinary trials: they download systems, and run all of those in each.
pub fn trials() -> Vec<Trial> {
    let trial =
        |(name, suite)| harness::trial(name, move || both_commands(suite)).with_ignored_flag(true);
    SYSTEMS.map(trial).into()
}

fn both_commands(suite: &str) {
    return_to_first_network().unwrap_or_else(|error| panic!("a fresh Debian needs root: {error}"));
    let scratch = Scratch::new();
    let folder = scratch.path().join(suite);
    // Where cargo has built this program, and with it the crates.
    let program = std::env::current_exe().expect("/proc is mounted");
    let target = program.ancestors().nth(3).expect("it is in target/debug/deps");
    let made = run(system("make", &folder).arg(suite).arg(target));
    assert!(made.status.success(), "{}", made.stderr);

    // Nothing is installed yet, and this user may not install it.
    for command in commands() {
        let refused = in_system(&folder, "user", &command);
        assert!(!refused.status.success());
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
        assert!(refused.stderr.contains("apt-get install"), "{}", refused.stderr);
    }
    for user in ["root", "user"] {
        for command in commands() {
            let output = in_system(&folder, user, &command);
            let text = [output.stdout, output.stderr].concat();
            let failures =
                text.split_once("\nfailures:\n").map_or(&*text, |(_, failures)| failures);
            assert!(output.status.success(), "{suite}, {user}, {command}:\n{failures}");
            let end = ["outcomes are as expected.\n", " 0 failed; "];
            assert!(
                end.iter().any(|end| text.contains(end)),
                "{suite}, {user}, {command}:\n{text}"
            );
        }
    }
}

/// The README's commands for the demo and for the tests.
fn commands() -> [String; 2] {
    let readme = read("README.md");
    ["docs/demo.sh", "tests/run.sh"].map(|script| {
        let mut lines = readme.lines().skip_while(|line| *line != "```sh");
        let command = lines.find(|line| line.starts_with(script));
        command.unwrap_or_else(|| panic!("README.md runs {script}")).to_owned()
    })
}

fn system(what: &str, folder: &Path) -> Command {
    let mut command = Command::new(project("tests/fresh_debian.sh"));
    command.arg(what).arg(folder);
    command
}

fn in_system(folder: &Path, user: &str, command: &str) -> Output {
    run(system("run", folder).args([user, command]))
}
