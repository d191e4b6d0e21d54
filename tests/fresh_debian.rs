//! The README's two commands on a fresh minimal Debian, word for word, and in a container of one: as root
//! where there is no sudo, and as an ordinary user. `tests/fresh_debian.sh` makes the systems, with this
//! machine's Rust.

use crate::harness::{
    self, Need, Output, Process, Scratch, lacks, project, quoted, read, return_to_first_network,
    run, wait_for,
};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::Command;

const SYSTEMS: [(&str, &str); 2] = [("debian_12", "bookworm"), ("debian_13", "trixie")];
const ENGINES: [(&str, &str); 2] = [("engine_docker", "docker"), ("engine_podman", "podman")];

/// Not among the ordinary trials: they download systems, and run all of those in each.
pub fn trials() -> Vec<Trial> {
    let system = |(name, suite)| harness::trial(name, move || both_commands(suite));
    let container = |(name, engine)| harness::trial(name, move || in_containers(engine));
    let trials = SYSTEMS.into_iter().map(system).chain(ENGINES.into_iter().map(container));
    trials.map(|trial| trial.with_ignored_flag(true)).collect()
}

fn both_commands(suite: &str) {
    return_to_first_network().unwrap_or_else(|error| panic!("a fresh Debian needs root: {error}"));
    let scratch = Scratch::new();
    let folder = scratch.path().join(suite);
    make(&folder, suite);

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
            let text = passed(output, &format!("{suite}, {user}, {command}"));
            let end = ["outcomes are as expected.\n", " 0 failed; "];
            assert!(
                end.iter().any(|end| text.contains(end)),
                "{suite}, {user}, {command}:\n{text}"
            );
        }
    }
}

fn make(folder: &Path, suite: &str) {
    // Where cargo has built this program, and with it the crates.
    let program = std::env::current_exe().expect("/proc is mounted");
    let target = program.ancestors().nth(3).expect("it is in target/debug/deps");
    let made = run(system("make", folder).arg(suite).arg(target));
    assert!(made.status.success(), "{}", made.stderr);
}

/// By default the demo shows its outcomes, and the tests say at once which flags they need; with these, all
/// that can be tried passes.
fn in_containers(engine: &str) {
    return_to_first_network().unwrap_or_else(|error| panic!("a fresh Debian needs root: {error}"));
    let scratch = Scratch::new();
    let engine = Engine::start(engine, scratch.path());
    let folder = scratch.path().join("system");
    make(&folder, SYSTEMS[0].1);
    let built = in_system(&folder, "root", "tests/run.sh -- --list"); // installs the tools, too
    assert!(built.status.success(), "{}", built.stderr);
    engine.import(&folder);
    let [demo, tests] = commands();
    for user in ["root", "user"] {
        let shown = engine.run(&[], user, &demo);
        assert!(shown.stdout.contains("outcomes are as expected.\n"), "{user}: {}", shown.stderr);
        let refused = engine.run(&[], user, &format!("timeout 10 {tests}"));
        assert!(!refused.status.success());
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
        let flags = refused.stderr.split_once("start the container with ");
        let flags: Vec<&str> =
            flags.map(|(_, flags)| flags.split_whitespace().collect()).unwrap_or_default();
        assert_eq!(flags.first(), Some(&"--security-opt"), "{user}: {}", refused.stderr);
        let text = passed(engine.run(&flags, user, &tests), &format!("{user}, {flags:?}"));
        assert!(text.contains(" 0 failed; "), "{user}, {flags:?}:\n{text}");
    }
}

/// Docker or Podman.
struct Engine {
    /// The command, with what it needs in front of each of its own.
    words: Vec<String>,
    /// A dockerd that was started for this trial.
    daemon: Option<Process>,
}

impl Engine {
    const IMAGE: &str = "treuseaddr-test";

    /// The machine's Docker or Podman; a dockerd of this trial's own, if none runs, in `folder`.
    fn start(name: &str, folder: &Path) -> Self {
        let at = |file: &str| folder.join(file).display().to_string();
        let mut engine = Self { words: vec![name.to_owned()], daemon: None };
        let why_not = |engine: &Self| {
            let output = run(engine.command().arg("info"));
            (!output.status.success()).then_some(output.stderr)
        };
        let Some(why) = why_not(&engine) else { return engine };
        if name != "docker" || harness::which("dockerd").is_none() {
            lacks(Need::Engine, why.lines().next().unwrap_or_default());
        }
        let socket = format!("unix://{}", at("docker.sock"));
        let mut dockerd = Command::new("dockerd");
        dockerd.args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
        dockerd.args(["--storage-driver=vfs", "--host", &socket, "--pidfile", &at("docker.pid")]);
        dockerd.args(["--data-root", &at("data"), "--exec-root", &at("exec")]);
        let mut daemon = Process::start(&mut dockerd);
        engine.words.extend(["--host".to_owned(), socket]);
        wait_for("dockerd", || {
            if daemon.ended().is_some() {
                let said = daemon.stderr.to_end();
                lacks(Need::Engine, said.lines().last().unwrap_or_default());
            }
            why_not(&engine).is_none().then_some(())
        });
        engine.daemon = Some(daemon);
        engine
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        command
    }

    /// Makes an image of the system in `folder`.
    fn import(&self, folder: &Path) {
        let engine = self.words.iter().map(|word| quoted(Path::new(word))).collect::<Vec<_>>();
        let pipe = format!(
            "tar -C {} -c . | {} import - {}",
            quoted(folder),
            engine.join(" "),
            Self::IMAGE
        );
        let imported = run(Command::new("sh").args(["-c", &pipe]));
        assert!(imported.status.success(), "{}", imported.stderr);
        let started =
            run(self.command().args(["run", "--rm", "--network=none", Self::IMAGE, "true"]));
        if !started.status.success() {
            lacks(Need::Engine, started.stderr.lines().next().unwrap_or_default());
        }
    }

    /// Runs `command` in a container, in the project's folder. It has a network of its own, with loopback alone.
    fn run(&self, flags: &[&str], user: &str, command: &str) -> Output {
        let sysroot = run(Command::new("rustc").args(["--print", "sysroot"])).stdout;
        let rust = format!("{}:/usr/local/rust:ro", sysroot.trim());
        let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| {
            format!("{}/.cargo", std::env::var("HOME").expect("a user has a home"))
        });
        let script = "/srv/a path with spaces/treuseaddr/tests/fresh_debian.sh";
        let mut container = self.command();
        container.args(["run", "--rm", "--network=none", "--volume", &rust]).args(flags);
        run(container.args([Self::IMAGE, script, "as", user, &cargo, command]))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        run(self.command().args(["rmi", "--force", Self::IMAGE]));
        if let Some(daemon) = &mut self.daemon {
            // It has mounted its folder on itself, so that only then nothing is left of it.
            daemon.signal(Signal::SIGTERM);
            daemon.wait();
        }
    }
}

/// All that a command has printed, which must have succeeded; else panics with `what` and the failures.
fn passed(output: Output, what: &str) -> String {
    let text = [output.stdout, output.stderr].concat();
    let failures = text.split_once("\nfailures:\n").map_or(&*text, |(_, failures)| failures);
    assert!(output.status.success(), "{what}:\n{failures}");
    text
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
