//! A run of these tests: whatever ends it, no process of it is left; and it is the same whatever the
//! shell has ignored or left open. `tests/run.sh` starts it, and installs what it needs.

use crate::harness::{
    self, Need, Process, SCRATCH, Scratch, Terminal, need, project, read, run, share_programs,
    wait_for, which,
};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, killpg};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

pub fn trials() -> Vec<Trial> {
    vec![
        harness::trial("run_ends_whole", || ends_whole(&[])),
        harness::trial("run_ends_whole_without_pid_namespace", || ends_whole(&CONFINED)),
        harness::trial("run_ends_with_cargo", ends_with_cargo),
        harness::trial("run_with_signals_ignored", with_signals_ignored),
        harness::trial("run_without_namespaces", without_namespaces),
        harness::trial("run_without_sysctls", || lacks("sysctls", &SYSCTLS, "pitfall_fin_timeout")),
        harness::trial("run_without_raw_sockets", || {
            lacks("raw sockets", &PACKETS, "pitfall_reset")
        }),
        harness::trial("run_without_ptrace", || {
            lacks("ptrace", &without("ptrace"), "trace_treuseaddr_echo_and_close")
        }),
        harness::trial("run_without_ipv6", || lacks("IPv6", &without("ipv6"), "pitfall_localhost")),
        harness::trial("run_without_tools", without_tools),
        harness::trial("run_script_installs", script_installs),
        harness::trial("run_script_asks", script_asks),
        harness::trial("run_script_refuses", script_refuses),
        harness::trial("run_script_probes", script_probes),
        harness::trial("run_script_words", script_words),
        harness::trial("run_script_shellcheck", script_shellcheck),
        harness::trial("run_script_finds_rust", script_finds_rust),
        harness::trial("run_without_temporary_folder", without_temporary_folder),
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

/// A shell that finds /proc/sys read-only, as in a container, and can make no PID namespace with a /proc of
/// its own.
const SYSCTLS: [&str; 7] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    "echo 0 >/proc/sys/user/max_pid_namespaces && mount --bind /proc/sys /proc/sys \
     && mount -o remount,bind,ro /proc/sys && exec \"$0\" \"$@\"",
];

/// A shell without CAP_NET_RAW, which it cannot get in a user namespace either.
const PACKETS: [&str; 6] = [
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    "echo 0 >/proc/sys/user/max_user_namespaces \
     && exec setpriv --bounding-set=-net_raw --inh-caps=-net_raw \"$0\" \"$@\"",
];

/// The start of a command on a system that lacks this: `tests/runs/without.c`.
fn without(lack: &'static str) -> Vec<&'static str> {
    static PROGRAM: LazyLock<String> = LazyLock::new(|| {
        let program = concat!(env!("CARGO_TARGET_TMPDIR"), "/without");
        // Where another run may be using it, it is replaced in one step.
        let script = "cc -Wall -Wextra -Werror -o \"$1-$$\" \"$0\" && mv \"$1-$$\" \"$1\"";
        let mut cc = Command::new("sh");
        cc.args(["-c", script]).arg(project("tests/runs/without.c")).arg(program);
        let output = run(&mut cc);
        assert!(output.status.success(), "{}", output.stderr);
        program.to_owned()
    });
    vec![&PROGRAM, lack]
}

/// A run on a system that lacks something passes, and names the trials that it has not tried.
fn lacks(what: &str, wrapper: &[&str], trial: &str) {
    needs_of(wrapper);
    let output = run(&mut tests(wrapper, &[trial], what));
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains(" 0 passed; 0 failed; "), "{}", output.stdout);
    let line =
        output.stdout.lines().find(|line| line.starts_with(&format!("not tried without {what}")));
    let line = line.unwrap_or_else(|| panic!("{}", output.stdout));
    assert!(line.contains(trial), "{line}");
    // What needs nothing of it runs.
    let output = run(&mut tests(wrapper, &["outcome_treuseaddr_raw"], what));
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
    assert!(!output.stdout.contains(" 0 passed"), "{}", output.stdout);
    assert!(!output.stdout.contains("not tried"), "{}", output.stdout);
}

/// A wrapper that takes something away sets a sysctl of its user namespace.
fn needs_of(wrapper: &[&str]) {
    if wrapper.iter().any(|word| word.contains("/proc/sys")) {
        need(Need::Sysctls);
    }
}

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
    needs_of(wrapper);
    need(Need::Tracing); // for the trials that it starts
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
    need(Need::Tracing); // as `ends_whole`
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

/// One line says what to do.
fn refuses(command: &mut Command, words: &[&str]) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(1), "{}{}", output.stdout, output.stderr);
    let lines: Vec<&str> = output.stderr.lines().filter(|line| !is_notice(line)).collect();
    let [line] = lines[..] else { panic!("{}", output.stderr) };
    for word in words {
        assert!(line.contains(word), "{word:?} in {line}");
    }
    line.to_owned()
}

/// What run.sh says on a system that lacks something.
fn is_notice(line: &str) -> bool {
    line.starts_with("run.sh: not tried here: ") || line.starts_with("run.sh: to try all: ")
}

/// A shell that can't make network namespaces.
fn confined() -> [&'static str; 6] {
    let mut wrapper = CONFINED;
    wrapper[5] = "echo 0 >/proc/sys/user/max_net_namespaces && exec \"$0\" \"$@\"";
    wrapper
}

/// The line names what is in the way, and does not send root to root.
fn without_namespaces() {
    needs_of(&confined());
    let advice = ["the tests need network namespaces", "sysctl user.max_net_namespaces="];
    let line = refuses(&mut tests(&confined(), &["outcome"], "namespaces"), &advice);
    assert!(!line.contains("as root"), "{line}");
}

/// `tests/run.sh` finds out before it installs or compiles anything.
fn script_probes() {
    needs_of(&SYSCTLS);
    let mut script = Script::new(&confined(), &["strace"]);
    refuses(&mut script.command, &["network namespaces", "sysctl user.max_net_namespaces="]);
    assert_eq!(script.log(), "");

    let mut script = Script::new(&SYSCTLS, &[]);
    let output = run(&mut script.command);
    assert!(output.status.success(), "{}", output.stderr);
    let line =
        "run.sh: not tried here: the tests that set sysctls (/proc/sys/net cannot be written)\n";
    assert!(output.stderr.starts_with(line), "{}", output.stderr);
    assert!(output.stderr.lines().all(is_notice), "{}", output.stderr);
    assert_eq!(script.log(), "cargo test\n");
}

/// Fills a folder, to be the whole PATH, with the tools of the table but `absent`, and some more.
fn link_tools(folder: &Path, absent: &[&str]) {
    let table = read("tests/tools.txt");
    let rows = table.lines().filter(|row| !row.is_empty() && !row.starts_with('#'));
    let tools = rows.filter_map(|row| row.split_whitespace().nth(1)?.split('|').next());
    let tools = tools.filter(|tool| !tool.contains('/')); // a file is where it is
    let others = [
        "bash", "cat", "env", "grep", "id", "mktemp", "mount", "readlink", "rm", "sed", "sh",
        "tail",
    ];
    let tools: BTreeSet<&str> = tools.chain(others).collect(); // some have two rows
    for tool in tools.into_iter().filter(|tool| !absent.contains(tool)) {
        // A tool that this machine lacks gets a link all the same: the programs under test look only for its
        // name.
        let path = which(tool).unwrap_or_else(|| "/bin/true".into());
        symlink(path, folder.join(tool)).expect("the folder is empty");
    }
}

fn without_tools() {
    let tools = Scratch::new();
    link_tools(tools.path(), &["strace", "nc.openbsd"]);
    let mut tests = tests(&[], &["outcome"], "tools");
    let words = ["nc.openbsd, strace: run tests/run.sh, which installs netcat-openbsd strace"];
    refuses(tests.env("PATH", tools.path()), &words);

    let tools = Scratch::new();
    link_tools(tools.path(), &["mold"]);
    let mut tests = self::tests(&[], &["link_mold", "--ignored"], "tools");
    let words = ["need mold: run tests/run.sh link_mold -- --ignored, which installs mold"];
    refuses(tests.env("PATH", tools.path()), &words);
}

/// Makes a script that may be executed: by another process, see `SharedFolder::copy`.
fn make_script(path: &Path, text: &str) {
    let mut make = Command::new("sh");
    make.args(["-c", "printf %s \"$1\" >\"$2\" && chmod +x \"$2\"", "sh", text]).arg(path);
    assert!(run(&mut make).status.success(), "{path:?}");
}

/// `tests/run.sh` on a machine that lacks some tools. Its apt-get and its cargo write down what they
/// are told; the former knows no package before it has been told to update.
struct Script {
    tools: Scratch,
    command: Command,
}

impl Script {
    fn new(wrapper: &[&str], absent: &[&str]) -> Self {
        let tools = Scratch::new();
        link_tools(tools.path(), absent);
        let script = "#!/bin/sh\ncd \"${0%/*}\" && echo \"${0##*/} $*\" >>log\n";
        let apt_get = script.to_owned() + "[ $1 = update ] && : >lists || [ -e lists ]\n";
        // The names of the trials, which cargo would have this program print.
        let tests = std::env::current_exe().expect("/proc is mounted");
        let path = std::env::var("PATH").expect("it is set");
        let cargo = format!(
            "{script}case $* in *--list) PATH='{path}' exec {tests:?} ${{2%--}} --ignored --list ;; esac\n"
        );
        for (name, text) in [("cargo", &cargo), ("apt-get", &apt_get)] {
            make_script(&tools.path().join(name), text);
        }
        let mut command = Command::new("env");
        command.args(wrapper).arg("bash").arg(project("tests/run.sh"));
        command.env("PATH", tools.path()).env("CARGO_HOME", tools.path());
        Self { tools, command }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.tools.path().join("log")).unwrap_or_default()
    }
}

/// Also from an empty list of packages; and nothing where nothing is missing.
fn script_installs() {
    let mut script = Script::new(&[], &["busybox", "strace"]);
    let output = run(script.command.arg("outcome"));
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
    assert!(
        output.stdout.starts_with("Missing: busybox strace. Installing:\n"),
        "{}",
        output.stdout
    );
    let install = "apt-get install -y busybox strace\n";
    let log = [install, "apt-get update\n", install, "cargo test outcome\n"].concat();
    assert_eq!(script.log(), log);

    let mut script = Script::new(&[], &["node"]);
    assert!(run(&mut script.command).status.success());
    assert_eq!(script.log(), "cargo test\n");

    let mut script = Script::new(&[], &["node"]);
    let output = run(script.command.args(["--", "--ignored"]));
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
    // Other tools of the long tests may be missing here, too.
    let start = "cargo test -- --ignored --list\napt-get install -y nodejs";
    assert!(script.log().starts_with(start), "{}", script.log());
    assert!(script.log().ends_with("cargo test -- --ignored\n"), "{}", script.log());

    // Only what the named trials need.
    let mut script = Script::new(&[], &["mold", "ld.lld", "node", "qemu-riscv64"]);
    let output = run(script.command.args(["link_mold", "--", "--ignored"]));
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
    let list = "cargo test link_mold -- --ignored --list\n";
    let install = "apt-get install -y mold\n";
    let test = "cargo test link_mold -- --ignored\n";
    assert_eq!(script.log(), [list, install, "apt-get update\n", install, test].concat());
}

/// A person at a terminal.
fn script_asks() {
    for (answer, is_yes) in [("\n", true), ("y\n", true), ("n\n", false), ("\x04", false)] {
        let mut script = Script::new(&["setsid", "--ctty", "--wait"], &["strace"]);
        let mut terminal = Terminal::new();
        let mut process = Process::start_at_terminal(&mut script.command, &terminal);
        terminal.output.wait_for("apt-get install -y strace\" now? [Y/n] ");
        terminal.type_in(answer.as_bytes());
        assert_eq!(process.wait(), if is_yes { 0 } else { 1 }, "{answer:?}");
        assert_eq!(script.log().contains("apt-get"), is_yes, "{answer:?}");
        assert_eq!(script.log().contains("cargo test"), is_yes, "{answer:?}");
    }
}

/// A user without the right to install reads in one line what to do.
fn script_refuses() {
    const USER: [&str; 4] = ["unshare", "--user", "--map-user=1000", "--map-group=1000"];
    let command = "apt-get update && apt-get install -y strace\"";
    refuses(
        &mut Script::new(&USER, &["strace"]).command,
        &["missing: strace: as root, run", command],
    );
    let mut script = Script::new(&USER, &["strace"]);
    symlink("/bin/false", script.tools.path().join("sudo")).expect("it is ours");
    let command = "sudo apt-get update && sudo apt-get install -y strace\"";
    refuses(&mut script.command, &["missing: strace: run", command]);
    assert_eq!(script.log(), "");
    let script = Script::new(&[], &[]);
    fs::remove_file(script.tools.path().join("cargo")).expect("it is ours");
    let Script { mut command, .. } = script;
    refuses(&mut command, &["missing: cargo"]);
}

/// What `tests/scripts/install.sh` says stands there in both languages, with the same fields to fill in.
fn script_words() {
    let text = read("tests/scripts/install.sh");
    let words = |language: &str| -> Vec<(String, usize)> {
        let (_, rest) = text.split_once(&format!("install_{language}=(")).expect("it is there");
        let (words, _) = rest.split_once("\n)").expect("it ends");
        let words = words.lines().filter_map(|line| line.trim().split_once("]="));
        words.map(|(key, word)| (key.to_owned(), word.matches("%s").count())).collect()
    };
    assert!(words("en").len() > 5);
    assert_eq!(words("en"), words("zh"));
    let uses = |key: &str| text.contains(&format!(" {key} ")) || text.contains(&format!("={key} "));
    for (key, _) in words("en") {
        let key = key.trim_start_matches('[');
        assert!(uses(key) || text.contains(&format!("says[{key}]")), "{key}");
    }
}

/// shellcheck finds nothing in the scripts beside the demo's.
fn script_shellcheck() {
    let mut shellcheck = Command::new("shellcheck");
    shellcheck.arg("-x").arg(".ci/run").current_dir(project(""));
    for folder in ["tests/scripts", "tests"] {
        let entries = fs::read_dir(project(folder)).expect("it is a folder").flatten();
        let files = entries.map(|entry| entry.path());
        shellcheck.args(files.filter(|file| file.extension().is_some_and(|it| it == "sh")));
    }
    let output = run(&mut shellcheck);
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
}

/// Under sudo it finds the Rust of the user who called it, and of a Rust that is too old it says so.
fn script_finds_rust() {
    let home = Scratch::new();
    let bin = home.path().join(".cargo/bin");
    fs::create_dir_all(&bin).expect("it is ours");
    let mut script = Script::new(&[], &[]);
    fs::rename(script.tools.path().join("cargo"), bin.join("cargo")).expect("it is ours");
    let home = home.path().display();
    let getent = format!(
        "#!/bin/sh\n[ \"$*\" = 'passwd ann' ] && echo 'ann:x:1000:1000:Ann:{home}:/bin/sh'\n"
    );
    make_script(&script.tools.path().join("getent"), &getent);
    let output = run(script.command.env("SUDO_USER", "ann"));
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
    assert_eq!(fs::read_to_string(bin.join("log")).expect("cargo has run"), "cargo test\n");

    let manifest = read("Cargo.toml");
    let (_, needed) = manifest.split_once("rust-version = \"1.").expect("it has one");
    let needed: u32 = needed.split('"').next().and_then(|n| n.parse().ok()).expect("a number");
    for (minor, is_refused) in [(63, true), (needed - 1, true), (needed, false)] {
        let mut script = Script::new(&[], &[]);
        let rustc = format!("#!/bin/sh\necho 'rustc 1.{minor}.0 (built from a source tarball)'\n");
        make_script(&script.tools.path().join("rustc"), &rustc);
        match is_refused {
            true => drop(refuses(
                &mut script.command,
                &[&format!("Rust 1.{needed} or newer is needed")],
            )),
            false => assert!(run(&mut script.command).status.success()),
        }
    }
}

/// The user's TMPDIR is missing, or its programs may not be executed.
fn without_temporary_folder() {
    need(Need::Tracing); // for the second trial
    let trials = ["run_script_installs", "bindtable_user_not_mapped"];
    let noexec = "mount -t tmpfs -o noexec none \"$TMPDIR\" && exec \"$0\" \"$@\"";
    let folder = Scratch::new();
    let missing = folder.path().join("missing");
    let wrappers: [(&[&str], &Path); 2] =
        [(&[], &missing), (&["unshare", "--mount", "sh", "-c", noexec], folder.path())];
    for (wrapper, folder) in wrappers {
        for trial in trials {
            let output = run(tests(wrapper, &[trial], "temporary").env("TMPDIR", folder));
            assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
            assert!(!output.stdout.contains(" 0 passed"), "{}", output.stdout);
        }
    }
}
