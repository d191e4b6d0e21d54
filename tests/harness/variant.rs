//! Every variant of the programs: which, on what, with which switches.

use super::{Scratch, built, project, run};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of `src`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Treuseaddr,
    Treuseaddr2,
    Ureuseaddr,
}

impl Program {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Treuseaddr, Self::Treuseaddr2, Self::Ureuseaddr];

    /// The two that serve a client over a connection.
    pub const SERVERS: [Self; 2] = [Self::Treuseaddr, Self::Treuseaddr2];

    /// The name of its executable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Treuseaddr => "treuseaddr",
            Self::Treuseaddr2 => "treuseaddr2",
            Self::Ureuseaddr => "ureuseaddr",
        }
    }

    /// How each message of the process that serves begins.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Treuseaddr2 => "[CHILD] ",
            _ => "",
        }
    }
}

/// What a program runs on: the C twin, or the port with one of the two runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    C,
    Raw,
    Libc,
}

impl Runtime {
    /// All three.
    pub const ALL: [Self; 3] = [Self::C, Self::Raw, Self::Libc];

    /// Its name in the names of trials and folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Raw => "raw",
            Self::Libc => "libc",
        }
    }
}

/// The compile-time switches of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Switches {
    /// The server sets SO_REUSEADDR.
    pub reuseaddr: bool,
    /// treuseaddr2's child closes the listener.
    pub close_listener: bool,
}

impl Switches {
    /// Every set of switches.
    pub const ALL: [Self; 4] = [
        Self { reuseaddr: false, close_listener: false },
        Self { reuseaddr: true, close_listener: false },
        Self { reuseaddr: false, close_listener: true },
        Self { reuseaddr: true, close_listener: true },
    ];

    /// The switches that are on, as features of cargo.
    pub fn features(self) -> Vec<&'static str> {
        [(self.reuseaddr, "reuseaddr"), (self.close_listener, "close-listener")]
            .into_iter()
            .filter_map(|(on, feature)| on.then_some(feature))
            .collect()
    }
}

/// A program, as it is built.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Which program.
    pub program: Program,
    /// What it runs on.
    pub runtime: Runtime,
    /// Which switches are on.
    pub switches: Switches,
}

impl Variant {
    /// The program with all switches off.
    pub fn new(program: Program, runtime: Runtime) -> Self {
        Self { program, runtime, switches: Switches::default() }
    }

    /// Each server on each runtime, all switches off.
    pub fn servers() -> impl Iterator<Item = Self> {
        Program::SERVERS.into_iter().flat_map(|program| {
            Runtime::ALL.into_iter().map(move |runtime| Self::new(program, runtime))
        })
    }

    /// The same program with these switches.
    pub fn with(self, switches: Switches) -> Self {
        Self { switches, ..self }
    }

    /// Its name in the names of trials.
    pub fn name(self) -> String {
        [&[self.program.name(), self.runtime.name()][..], &self.switches.features()]
            .concat()
            .join("_")
    }

    /// Where its executable is, once `build_all` has built it.
    pub fn path(self) -> PathBuf {
        folder(self.runtime, self.switches).join(self.program.name())
    }

    /// A command that starts it.
    pub fn command(self) -> Command {
        Command::new(self.path())
    }
}

/// Where the programs of one build are.
fn folder(runtime: Runtime, switches: Switches) -> PathBuf {
    let name = [&[runtime.name()][..], &switches.features()].concat().join("-");
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bin").join(name)
}

/// A target folder for the tests' builds, so that the reader's own stay as they are.
pub fn cargo_target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("target").join(name)
}

/// cargo in the project, building below `target`.
pub fn cargo(subcommand: &str, target: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([subcommand, "--quiet"]).current_dir(project(""));
    cargo.env("CARGO_TARGET_DIR", target).env("CARGO_INCREMENTAL", "0");
    cargo
}

/// Where the number of the run stands for which the programs have been built.
const RUN: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/run");

/// cargo-nextest gives the number of its run to each of the processes in which it runs a trial.
const RUN_VARIABLE: &str = "NEXTEST_RUN_ID";

/// Has a run that a trial starts use the programs as they are.
pub fn share_programs(command: &mut Command) -> &mut Command {
    command.env(RUN_VARIABLE, fs::read_to_string(RUN).expect("build_all has written it"))
}

/// Builds all variants, once a run: Rust in release, the C twins as `cc` does by itself.
pub fn build_all() -> Result<(), String> {
    let trouble = |error| format!("{RUN}: {error}");
    // Another process of the run, or another run in this folder, may be building.
    let file = File::options().create(true).write(true).truncate(false).open(RUN);
    let file = file.map_err(|error| trouble(error.to_string()))?;
    let _lock = Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| trouble(error.to_string()))?;
    let run = std::env::var(RUN_VARIABLE).unwrap_or_else(|_| format!("{:x}", fastrand::u128(..)));
    if fs::read_to_string(RUN).is_ok_and(|built| built == run) {
        return Ok(());
    }
    for switches in Switches::ALL {
        for runtime in Runtime::ALL {
            let folder = folder(runtime, switches);
            fs::create_dir_all(&folder).map_err(|error| format!("{folder:?}: {error}"))?;
            match runtime {
                Runtime::C => build_c(&folder, switches)?,
                Runtime::Raw => build_rust(&folder, switches.features())?,
                Runtime::Libc => build_rust(&folder, [switches.features(), vec!["libc"]].concat())?,
            }
        }
    }
    bindtable_builds()?;
    fs::write(RUN, run).map_err(|error| trouble(error.to_string()))
}

/// `bindtable`, which is a package of its own and has no variants.
pub fn bindtable() -> PathBuf {
    built(&cargo_target("variants"), "debug").join("bindtable")
}

fn bindtable_builds() -> Result<(), String> {
    succeed(cargo("build", &cargo_target("variants")).args(["--package", "bindtable"]))
}

fn build_c(folder: &Path, switches: Switches) -> Result<(), String> {
    let made = Scratch::new();
    compile("cc", &[], made.path(), switches)?;
    place(made.path(), folder)
}

/// Compiles the C twins into a folder. A warning is an error.
pub fn compile(
    compiler: &str,
    options: &[&str],
    folder: &Path,
    switches: Switches,
) -> Result<(), String> {
    for program in Program::ALL {
        let mut cc = Command::new(compiler);
        cc.args(["-Wall", "-Wextra", "-Werror"]).args(options);
        for feature in switches.features() {
            cc.arg(format!("-D{}", feature.to_uppercase().replace('-', "_")));
        }
        cc.arg("-o").arg(folder.join(program.name()));
        succeed(cc.arg(project("src").join(program.name()).with_extension("c")))?;
    }
    Ok(())
}

fn build_rust(folder: &Path, features: Vec<&str>) -> Result<(), String> {
    let target = cargo_target("variants");
    let mut cargo = cargo("build", &target);
    cargo.args(["--release", "--features", &features.join(",")]);
    for program in Program::ALL {
        cargo.args(["--bin", program.name()]);
    }
    succeed(&mut cargo)?;
    place(&built(&target, "release"), folder)
}

/// Puts the programs of one folder into another. What is the same stays: it may be running. What is
/// not is replaced by one step, so that no other run finds half of it.
fn place(from: &Path, to: &Path) -> Result<(), String> {
    for program in Program::ALL {
        let (from, to) = (from.join(program.name()), to.join(program.name()));
        let trouble = |error| format!("{to:?}: {error}");
        let made = fs::read(&from).map_err(trouble)?;
        if fs::read(&to).is_ok_and(|placed| placed == made) {
            continue;
        }
        let new = to.with_extension("new");
        fs::copy(&from, &new).and_then(|_| fs::rename(&new, &to)).map_err(trouble)?;
    }
    Ok(())
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let output = run(command);
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}\n{}{}", output.status, output.stdout, output.stderr)),
    }
}
