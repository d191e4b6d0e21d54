//! `bindtable` on other kernels: Debian's, booted under QEMU by `tests/kernels/boot.sh`.

use crate::harness::{self, boot, cargo, cargo_target, download_kernel, run};
use libtest_mimic::Trial;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// Each kernel: its trial, the Debian suites that have it, and how its version begins.
const KERNELS: [(&str, &str, &str); 4] = [
    ("kernel_5_10", "bullseye", "5.10."),
    ("kernel_6_1", "bookworm", "6.1."),
    ("kernel_6_12", "trixie", "6.12."),
    ("kernel_newest", "sid,experimental", ""),
];

/// Not among the ordinary trials: they download kernels and QEMU.
pub fn trials() -> Vec<Trial> {
    let trial = |(name, _, version)| {
        harness::trial(name, move || predicted(name, version)).with_ignored_flag(true)
    };
    let refused = harness::trial("kernel_refused", refused).with_ignored_flag(true);
    KERNELS.map(trial).into_iter().chain([refused]).collect()
}

/// Starts the downloads that the wanted trials need: to be called before all networks are left.
pub fn prepare(wanted: &[String]) {
    for (name, suites, ..) in KERNELS {
        if wanted.iter().any(|wanted| wanted == name) {
            download_kernel(name, suites, "amd64");
        }
    }
}

/// A `bindtable` that needs no library.
fn bindtable() -> &'static PathBuf {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let (target, machine) = (cargo_target("static"), "x86_64-unknown-linux-gnu");
        let mut cargo = cargo("build", &target);
        cargo.args(["--release", "--package", "bindtable", "--target", machine]);
        let output = run(cargo.env("RUSTFLAGS", "-C target-feature=+crt-static"));
        assert!(output.status.success(), "{}", output.stderr);
        target.join(machine).join("release/bindtable")
    });
    &PROGRAM
}

/// Each cell is measured there, and the model predicts it for that version.
fn predicted(kernel: &str, version: &str) {
    let output = run(boot(kernel, &[]).arg(bindtable()).args(["--format", "json"]));
    assert!(output.status.success(), "{}", output.stderr);
    let table: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
    let release = table["kernel"].as_str().and_then(|kernel| kernel.strip_prefix("Linux "));
    let release = release.expect("it says which kernel it ran on");
    assert!(release.starts_with(version), "{release}");
    let cells = table["cells"].as_array().expect("they are a list");
    assert!(cells.len() > 1000);
    let different: Vec<_> =
        cells.iter().filter(|cell| cell["verdict"] != cell["predicted"]).collect();
    assert!(different.is_empty(), "{release}: {different:#?}");
}

/// What is no kernel gets one line, and so does a program that does not end.
fn refused() {
    let boot = || Command::new(harness::project("tests/kernels/boot.sh"));
    let output = run(boot().arg(bindtable()).arg("/bin/true"));
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stderr.contains("is a kernel neither of"), "{}", output.stderr);
}
