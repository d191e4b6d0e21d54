//! The page in headless Chromium and Firefox: what the files in `tests/browser/` do there, a trial
//! for each check, for the page in each language.

use crate::harness::{self, Scratch, project, read, run, which};
use crate::page::LANGUAGES;
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A browser: its name in a trial's, its checks, the names that the program may have.
struct Browser {
    name: &'static str,
    checks: &'static str,
    programs: &'static [&'static str],
}

const BROWSERS: [Browser; 2] = [
    Browser {
        name: "browser",
        checks: "checks.mjs",
        programs: &["chromium", "chromium-browser", "google-chrome"],
    },
    Browser { name: "firefox", checks: "firefox.mjs", programs: &["firefox-esr", "firefox"] },
];

const SHARED: [&str; 3] = ["open.mjs", "package.json", "package-lock.json"];

impl Browser {
    fn program(&self) -> Option<PathBuf> {
        self.programs.iter().find_map(|program| which(program))
    }

    fn checks(&self) -> Vec<String> {
        let checks = read(&format!("tests/browser/{}", self.checks));
        let names = checks.split("\nchecks.").skip(1);
        names.filter_map(|rest| Some(rest.split_once(" = ")?.0.to_owned())).collect()
    }
}

/// Not among the ordinary trials: they need browsers, and Node.js with its packages.
pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for language in &LANGUAGES {
        for browser in &BROWSERS {
            for check in browser.checks() {
                let name = format!("{}_{}_{check}", browser.name, language.code);
                let browse = move || browse(browser, language.page, &check);
                trials.push(harness::trial(name, browse).with_ignored_flag(true));
            }
        }
    }
    trials.push(harness::trial(FORMATTED, formatted).with_ignored_flag(true));
    trials
}

const FORMATTED: &str = "browser_scripts_are_formatted";

/// The page's modules and these checks, by Prettier.
fn formatted() {
    let is_update = std::env::var_os("TREUSEADDR_UPDATE").is_some();
    let mut prettier = Command::new("node");
    prettier.arg(folder().join("node_modules/prettier/bin/prettier.cjs"));
    prettier.args([
        "--no-config",
        "--print-width=120",
        if is_update { "--write" } else { "--check" },
    ]);
    prettier.args(["docs/page/*.js", "tests/browser/*.mjs"]).current_dir(project(""));
    let output = run(&mut prettier);
    assert!(
        output.status.success(),
        "{}{}TREUSEADDR_UPDATE=1 formats them",
        output.stdout,
        output.stderr
    );
}

/// From what npm has downloaded before, where it has.
const NPM: [&str; 5] = ["ci", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=5"];

/// The packages, where a trial of these is `wanted`: to be called before all networks are left.
pub fn prepare(wanted: &[String]) -> Result<(), String> {
    let is_ours =
        |name: &String| BROWSERS.iter().any(|it| name.starts_with(&format!("{}_", it.name)));
    if !wanted.iter().any(is_ours) {
        return Ok(());
    }
    fs::create_dir_all(folder()).map_err(|error| format!("{:?}: {error}", folder()))?;
    for file in BROWSERS.iter().map(|browser| browser.checks).chain(SHARED) {
        let (from, to) = (project("tests/browser").join(file), folder().join(file));
        fs::copy(&from, to).map_err(|error| format!("{from:?}: {error}"))?;
    }
    let output = run(Command::new("npm").args(NPM).current_dir(folder()));
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("npm ci in {:?}:\n{}{}", folder(), output.stdout, output.stderr)),
    }
}

/// Where the checks stand beside the packages that they import.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser")
}

fn browse(browser: &Browser, page: &str, check: &str) {
    let profile = Scratch::new();
    let mut node = Command::new("node");
    node.arg(folder().join(browser.checks)).arg(project(page));
    node.arg(browser.program().expect("prepare has seen it")).arg(check);
    let output = run(node.env("TMPDIR", profile.path()).env("HOME", profile.path()));
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
}
