//! The page in headless Chromium: what `tests/browser/checks.mjs` does there, a trial for each.

use crate::harness::{self, Scratch, project, read, run, which};
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CHECKS: &str = "tests/browser/checks.mjs";
const FILES: [&str; 3] = ["checks.mjs", "package.json", "package-lock.json"];

/// Not among the ordinary trials: they need a browser, and Node.js with its packages.
pub fn trials() -> Vec<Trial> {
    let checks = read(CHECKS);
    let names = checks.split("\nchecks.").skip(1).filter_map(|rest| rest.split(" = ").next());
    let trial = |name: &str| {
        let check = name.to_owned();
        harness::trial(format!("browser_{name}"), move || browse(&check)).with_ignored_flag(true)
    };
    names.map(trial).collect()
}

/// The packages, where a trial of these is `wanted`: to be called before all networks are left.
pub fn prepare(wanted: &[String]) -> Result<(), String> {
    if !wanted.iter().any(|name| name.starts_with("browser_")) {
        return Ok(());
    }
    fs::create_dir_all(folder()).map_err(|error| format!("{:?}: {error}", folder()))?;
    for file in FILES {
        let (from, to) = (project("tests/browser").join(file), folder().join(file));
        fs::copy(&from, to).map_err(|error| format!("{from:?}: {error}"))?;
    }
    let output =
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder()));
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("npm ci in {:?}:\n{}{}", folder(), output.stdout, output.stderr)),
    }
}

/// Where the checks stand beside the packages that they import.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser")
}

fn chromium() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(which)
}

fn browse(check: &str) {
    let profile = Scratch::new();
    let mut node = Command::new("node");
    node.arg(folder().join("checks.mjs")).arg(project("docs/index.html"));
    node.arg(chromium().expect("prepare has seen it")).arg(check);
    let output = run(node.env("TMPDIR", profile.path()));
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
}
