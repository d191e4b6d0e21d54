//! `bindtable` on other kernels: Debian's, booted under QEMU by `tests/scripts/boot.sh`; and the same
//! cells on other network stacks, lwIP and gVisor.

use crate::bindtable::{bindtable, is_unpredicted, whole, with_statements};
use crate::documents::is_current;
use crate::harness::{
    self, Scratch, boot, cargo, cargo_target, download, download_kernel, downloaded, run,
};
use crate::why::are_explained;
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Each kernel: its trial, the Debian suites that have it, and how its version begins.
const KERNELS: [(&str, &str, &str); 4] = [
    ("kernel_5_10", "bullseye", "5.10."),
    ("kernel_6_1", "bookworm", "6.1."),
    ("kernel_6_12", "trixie", "6.12."),
    ("kernel_newest", "sid,experimental", ""),
];

const DOCUMENT: &str = "docs/kernels.md";

/// All but one are not among the ordinary trials: they download kernels, QEMU and the other stacks.
pub fn trials() -> Vec<Trial> {
    let trial =
        |(name, _, version)| harness::trial(name, move || predicted(name, program(), version));
    let why =
        |(name, _, _)| harness::trial(why_trial(name), move || explained(name, program(), "cc"));
    let others: [(&str, fn()); 3] =
        [("kernel_refused", refused), ("stack_lwip", lwip), ("stack_gvisor", gvisor)];
    let others = others.map(|(name, check)| harness::trial(name, check));
    let ignored = KERNELS.map(trial).into_iter().chain(KERNELS.map(why)).chain(others);
    let ordinary: [(&str, fn()); 2] =
        [("kernels_document", document), ("kernels_other_systems", other_systems)];
    let ordinary = ordinary.map(|(name, check)| harness::trial(name, check));
    ignored.map(|trial| trial.with_ignored_flag(true)).chain(ordinary).collect()
}

/// The trial of `bindtable why` on a kernel.
fn why_trial(kernel: &str) -> String {
    format!("{kernel}_why")
}

/// Starts the downloads that the wanted trials need: to be called before all networks are left.
pub fn prepare(wanted: &[String]) -> Result<(), String> {
    let is_wanted = |name: &str| wanted.iter().any(|wanted| wanted == name);
    for (name, suites, _) in KERNELS {
        if is_wanted(name)
            || is_wanted(&why_trial(name))
            || (name == KERNELS[2].0 && is_wanted("kernel_refused"))
        {
            download_kernel(name, suites, "amd64", "cloud-amd64");
        }
    }
    if is_wanted("stack_lwip") {
        download("lwip", &["bookworm", "amd64", "{}", "liblwip-dev", "liblwip0"]);
    }
    if is_wanted("stack_gvisor") {
        download("runsc", &["trixie", "amd64", "{}", "runsc"]);
    }
    Ok(())
}

/// A `bindtable` that needs no library.
fn program() -> &'static PathBuf {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let (target, machine) = (cargo_target("static"), "x86_64-unknown-linux-gnu");
        let mut cargo = cargo("build", &target);
        cargo.args(["--package", "bindtable", "--target", machine]);
        let output = run(cargo.env("RUSTFLAGS", "-C target-feature=+crt-static -C debuginfo=0"));
        assert!(output.status.success(), "{}", output.stderr);
        target.join(machine).join("debug/bindtable")
    });
    &PROGRAM
}

/// Each cell is measured there, and the model predicts it, and who receives, for that version.
pub fn predicted(kernel: &str, program: &Path, version: &str) {
    let mut boot = boot(kernel, &["dummy"], &[]);
    boot.env("LIMIT", "600"); // an emulated machine is slow
    let output = run(boot.arg(program).args(["--format", "json"]));
    assert!(output.status.success(), "{}", output.stderr);
    let table: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
    let release = table["kernel"].as_str().and_then(|kernel| kernel.strip_prefix("Linux "));
    let release = release.expect("it says which kernel it ran on");
    assert!(release.starts_with(version), "{release}");
    let cells = table["cells"].as_array().expect("they are a list");
    assert!(cells.len() > 1000);
    let different: Vec<_> = cells.iter().filter(|cell| is_unpredicted(cell)).collect();
    assert!(different.is_empty(), "{release}: {different:#?}");
}

/// `bindtable why` explains there what it explains here. `compiler`: C's for that machine.
pub fn explained(kernel: &str, program: &Path, compiler: &str) {
    let scratch = Scratch::new();
    let four = scratch.path().join("four");
    let source = harness::project("tests/why/four.c");
    let built = run(Command::new(compiler).args(["-static", "-o"]).arg(&four).arg(source));
    assert!(built.status.success(), "{}", built.stderr);
    let mut boot = boot(kernel, &["inet_diag", "tcp_diag"], &[program.to_owned()]);
    are_explained(run(boot.arg(four).arg("/bindtable")));
}

/// `boot.sh` refuses a file that is no kernel, with one line. If a kernel does not boot, or a program does
/// not end, it prints the console's last lines. It leaves nothing behind.
fn refused() {
    let kernel = boot(KERNELS[2].0, &[], &[]);
    let image = kernel.get_args().last().expect("it names the image").to_owned();
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path().join(name);
    std::os::unix::fs::symlink(downloaded("qemu"), path("qemu")).expect("the folder is empty");
    let mut fake = vec![0; 8192];
    fake[510..512].copy_from_slice(&[0x55, 0xaa]);
    fake[514..518].copy_from_slice(b"HdrS");
    fs::write(path("fake"), fake).expect("it is ours");
    let built = run(Command::new("cc")
        .args(["-static", "-o"])
        .arg(path("endless"))
        .arg(harness::project("tests/programming_languages/listener.c")));
    assert!(built.status.success(), "{}", built.stderr);

    let boot = |image: &Path, limit: &str, what: &str| {
        let mut script = Command::new(harness::project("tests/scripts/boot.sh"));
        script.arg("-w").arg(scratch.path()).arg(image).arg(path("endless"));
        let output = run(script.env("LIMIT", limit));
        assert_eq!(output.status.code(), Some(125), "{}", output.stderr);
        assert!(output.stderr.contains(what), "{}", output.stderr);
        output.stderr.lines().count()
    };
    assert_eq!(boot(Path::new("/bin/true"), "6", "is no kernel of x86-64, ARM64 or RISC-V"), 1);
    assert!(boot(&path("fake"), "30", "has not run") > 1);
    assert!(boot(Path::new(&image), "30", "to its end in 30 s") > 10, "the console has many lines");
    let mut left: Vec<_> = fs::read_dir(scratch.path()).expect("it is ours").flatten().collect();
    left.retain(|entry| {
        !["qemu", "fake", "endless"].contains(&&*entry.file_name().to_string_lossy())
    });
    assert!(left.is_empty(), "{left:?}");
    let ours = scratch.path().to_string_lossy().into_owned();
    for entry in fs::read_dir("/proc").expect("/proc is mounted").flatten() {
        let command = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        assert!(!command.contains(&ours), "{command:?} is left");
    }
}

/// A cell of a run: its name, what was measured if it was tried, and what is predicted.
type Cell<'a> = (&'a str, Option<&'a str>, &'a str);

/// The cells of a run.
fn cells(run: &Value) -> Vec<Cell<'_>> {
    let cells = run["cells"].as_array().expect("they are a list").iter();
    cells
        .map(|cell| {
            let text = |field: &str| cell[field].as_str();
            let (name, predicted) = (text("cell"), text("predicted"));
            (name.expect("it has a name"), text("verdict"), predicted.expect("it is predicted"))
        })
        .collect()
}

/// The document lists the cells whose verdict has changed from one version of Linux to another, as the
/// model has it; the trials of the kernels check the model.
fn document() {
    let table = with_statements("en");
    let mut eras: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for cell in table["cells"].as_array().expect("they are a list") {
        let name = cell["cell"].as_str().expect("it has a name");
        for era in cell["history"].as_array().into_iter().flatten() {
            eras.entry(era.as_str().expect("it is a text")).or_default().push(name);
        }
    }
    let mut text = String::from("\n| Linux | cells | which |\n|---|---|---|\n");
    for (era, cells) in eras {
        // A fault that is open is no example: the cell says where it is told.
        let (era, names) = match era.split_once(": docs/") {
            Some((era, _)) => (era, vec!["those of the second reason".to_owned()]),
            None => (era, cells.iter().map(|cell| format!("`{cell}`")).collect()),
        };
        let _ = writeln!(text, "| {era} | {} | {} |", cells.len(), names.join("<br>"));
    }
    is_current(DOCUMENT, "changes", &format!("{text}\n"));
}

/// Linux does what the test suites of other systems expect, or the table gives the reason for the difference.
fn other_systems() {
    let run = whole();
    let table: BTreeMap<&str, Option<&str>> =
        cells(&run).into_iter().map(|(name, verdict, _)| (name, verdict)).collect();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let (mut text, mut untried) = (String::new(), 0);
    let rows = harness::read("tests/other-systems.tsv");
    for row in rows.lines().filter(|row| !row.starts_with('#')) {
        let fields: Vec<&str> = row.split('\t').collect();
        let [system, place, cell, expected, reason] = fields[..] else { panic!("{row:?}") };
        let linux = match table.get(cell) {
            Some(verdict) => verdict.map(str::to_owned),
            None => {
                let run = bindtable(&["explain", cell, "--format", "json"]);
                let run: Value = serde_json::from_str(&run).expect("it is JSON");
                run["cells"][0]["verdict"].as_str().map(str::to_owned)
            }
        };
        let Some(linux) = linux else {
            assert!(
                cell.contains("+other-user") && !harness::has_two_users(),
                "{cell} is not tried"
            );
            untried += 1;
            continue;
        };
        let count = counts.entry(system).or_default();
        count.1 += 1;
        if linux == expected {
            assert_eq!(reason, "", "{row:?}: Linux does the same");
            count.0 += 1;
        } else {
            assert_ne!(reason, "", "{row:?}: Linux gives {linux}");
            let _ = writeln!(
                text,
                "| {system} | `{place}` | `{cell}` | {expected} | {linux} | {reason} |"
            );
        }
    }
    let mut whole =
        String::from("\n| system | statements | Linux does the same in |\n|---|---|---|\n");
    for (system, (same, all)) in counts {
        let _ = writeln!(whole, "| {system} | {all} | {same} |");
    }
    let head = "| system | test | cell | there | Linux | why |\n|---|---|---|---|---|---|";
    let text = format!("{whole}\nThe others:\n\n{head}\n{text}\n");
    match harness::has_two_users() {
        true => is_current(DOCUMENT, "other systems", &text),
        false => eprintln!(
            "{DOCUMENT}: other systems is not compared: {untried} statements need two users: run as root"
        ),
    }
}

/// Why a stack differs from Linux, and in which cells: those of which this is true.
type Reason = (&'static str, fn(&str) -> bool);

/// Compares the verdicts of another stack with Linux's: an example of each reason, or what has no reason.
fn compare_stack(
    reasons: &[Reason],
    verdicts: &BTreeMap<String, String>,
) -> Result<String, String> {
    let table = whole();
    let linux: BTreeMap<&str, &str> =
        cells(&table).into_iter().map(|(name, _, predicted)| (name, predicted)).collect();
    let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut unexplained = Vec::new();
    for (cell, verdict) in verdicts {
        let predicted = linux[cell.as_str()];
        if predicted != verdict {
            match reasons.iter().position(|(_, is_it)| is_it(cell)) {
                Some(reason) => {
                    found.entry(reason).or_default().push(format!("`{cell}`: {verdict}"))
                }
                None => unexplained.push(format!("{cell}: {verdict}, on Linux {predicted}")),
            }
        }
    }
    if !unexplained.is_empty() {
        return Err(unexplained.join("\n"));
    }
    let mut text = String::from("\n| what | for example |\n|---|---|\n");
    for (at, (reason, _)) in reasons.iter().enumerate() {
        let cells = found.get(&at).ok_or_else(|| format!("no cell is so: {reason}"))?;
        let _ = writeln!(text, "| {reason} | {} |", cells[0]);
    }
    Ok(format!("{text}\n"))
}

/// The cells that lwIP can express, tried in a process of its own.
fn lwip() {
    let (scratch, folder) = (Scratch::new(), downloaded("lwip").join("usr"));
    let program = scratch.path().join("lwip");
    let library = folder.join("lib/x86_64-linux-gnu");
    let built = run(Command::new("cc")
        .args(["-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(harness::project("tests/kernels/lwip.c"))
        .arg("-I")
        .arg(folder.join("include/lwip"))
        .arg(library.join("liblwip.so.0")));
    assert!(built.status.success(), "{}", built.stderr);
    let table = whole();
    let is_expressible = |cell: &&str| {
        let parts: Vec<&str> = cell.split('/').collect();
        let is_socket = |name: &str| {
            let ip = name.strip_suffix("+reuseaddr").unwrap_or(name);
            ["0.0.0.0", "127.0.0.1"].contains(&ip)
        };
        let states = [
            "bound",
            "listening",
            "connection",
            "connected",
            "fin-wait-2",
            "close-wait",
            "time-wait",
            "closed",
        ];
        is_socket(parts[1])
            && states.contains(&parts[2])
            && is_socket(parts[3])
            && !(parts[0] == "udp" && ["closed", "connected"].contains(&parts[2]))
    };
    let names: Vec<&str> =
        cells(&table).into_iter().map(|cell| cell.0).filter(is_expressible).collect();
    assert!(names.len() > 40, "{names:?}");
    let output = run(Command::new(&program).args(&names).env("LD_LIBRARY_PATH", &library));
    assert!(output.status.success(), "{}", output.stderr);
    let verdict = |line: &str| {
        let (cell, verdict) = line.split_once('\t').expect("it has two columns");
        (cell.to_owned(), verdict.replace(" 98", " EADDRINUSE"))
    };
    let verdicts: BTreeMap<String, String> = output.stdout.lines().map(verdict).collect();
    assert_eq!(verdicts.len(), names.len());
    let is_restart = |cell: &str| cell == "tcp/127.0.0.1/time-wait/127.0.0.1+reuseaddr";
    let is_listener = |cell: &str| cell.contains("+reuseaddr/listening/");
    let is_connection = |cell: &str| cell.contains("+reuseaddr/connection/");
    let text = compare_stack(
        &[
            (
                "after TIME_WAIT the option in the new server alone is enough: with it, `tcp_bind` does not look at TIME_WAIT",
                is_restart,
            ),
            (
                "if both have the option, a listener at the wildcard address and a listener at a specific address stand side by side; two at one address fail at listen: `tcp_listen_with_backlog_and_err` compares the addresses alone",
                is_listener,
            ),
            ("a listener with a connection: the same", is_connection),
        ],
        &verdicts,
    );
    is_current(DOCUMENT, "lwip", &text.unwrap_or_else(|trouble| panic!("{trouble}")));
}

/// The unchanged `bindtable` on gVisor's network stack. It finds out by itself what it cannot try.
fn gvisor() {
    let (scratch, runsc) = (Scratch::new(), downloaded("runsc").join("usr/bin/runsc"));
    let measured = || -> Value {
        let output = run(Command::new(&runsc)
            .arg("--root")
            .arg(scratch.path())
            .args(["--platform=ptrace", "--network=none", "--ignore-cgroups", "do"])
            .arg(program())
            .args(["--format", "json", "--jobs", "2"])); // with more, some states come late there
        assert_eq!(output.status.code(), Some(3), "not all can be tried there: {}", output.stderr);
        serde_json::from_str(&output.stdout).expect("it is JSON")
    };
    let is_other_family = |cell: &str| cell == "tcp/::/connected/0.0.0.0";
    let tried = |(cell, verdict, _): Cell| {
        // A closed socket's port is free a little later there.
        let is_closed = cell.contains("/closed/");
        // Which port connect may share is another rule there.
        let is_compared = !is_closed && !cell.contains("connects");
        verdict.filter(|_| is_compared).map(|verdict| (cell.to_owned(), verdict.to_owned()))
    };
    let is_user = |cell: &str| cell.contains("+other-user");
    let is_late = |cell: &str| cell.contains("+late-") || cell.contains("+cleared-");
    let is_listener = |cell: &str| {
        (cell.contains("/listening/") || cell.contains("/connection/"))
            && cell.ends_with("+reuseaddr")
    };
    let is_wildcard = |cell: &str| cell.starts_with("udp/0.0.0.0/connected/");
    let is_connected = |cell: &str| cell.ends_with("+reuseport");
    let is_program = |cell: &str| cell.contains("+program");
    let reasons: &[Reason] = &[
        ("SO_REUSEPORT ignores the user", is_user),
        ("a connection of a listener at `::` leaves `0.0.0.0` free", is_other_family),
        ("a UDP socket at the wildcard address keeps it when it connects", is_wildcard),
        ("a program that is attached before bind does not found a group of its own", is_program),
        (
            "an option counts as it was at bind: one that is set or cleared afterwards changes nothing",
            is_late,
        ),
        (
            "with SO_REUSEADDR in both, a specific address binds beside a listening wildcard, and the other way round",
            is_listener,
        ),
        (
            "once the listener is closed, its connection does not keep a new socket with SO_REUSEPORT out",
            is_connected,
        ),
    ];
    // Where this machine is busy, a port is free too late for some cells, and a few are not tried. So a
    // run that is not as the document has it gets another: what was ok in one is ok.
    let mut verdicts: BTreeMap<String, String> = BTreeMap::new();
    let mut compared = Err(String::new());
    for run in 1..=5 {
        for (cell, verdict) in cells(&measured()).into_iter().filter_map(tried) {
            let known = verdicts.entry(cell).or_insert_with(|| verdict.clone());
            if verdict == "ok" {
                *known = verdict;
            }
        }
        compared = compare_stack(reasons, &verdicts);
        let is_enough = |text: &String| run > 1 || harness::read(DOCUMENT).contains(text);
        if compared.as_ref().is_ok_and(is_enough) {
            break;
        }
    }
    assert!(verdicts.len() > 900, "{}", verdicts.len());
    is_current(DOCUMENT, "gvisor", &compared.unwrap_or_else(|trouble| panic!("{trouble}")));
}
