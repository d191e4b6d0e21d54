//! docs/demo.sh from end to end, as people have it: each nc, each netstat, with root and without,
//! where no namespace can be made, and interrupted.

use crate::harness::{self, Process, Scratch, Terminal, cargo_target, in_namespace, project, run};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        harness::trial("demo_without_namespaces", without_namespaces), // the longest comes first
        harness::trial("demo_busy_port", busy_port),
        harness::trial("demo_busybox_netstat", busybox_netstat),
        harness::trial("demo_ordinary_user", ordinary_user),
        harness::trial("demo_twice_from_elsewhere", twice_from_elsewhere),
        harness::trial("demo_pause_on_a_terminal", pause_on_a_terminal),
        harness::trial("demo_interrupted", interrupted),
        harness::trial("demo_output_closed", output_closed),
        harness::trial("demo_missing_tools", missing_tools),
        harness::trial("demo_wrong_options", wrong_options),
        harness::trial("demo_help", help),
    ];
    for nc in ["nc.openbsd", "nc.traditional", "ncat", "busybox"] {
        trials.push(harness::trial(format!("demo_{nc}"), move || with_nc(nc, &[])));
        for (who, is_user) in [("root", false), ("user", true)] {
            let name = format!("demo_datagrams_{nc}_{who}");
            trials.push(harness::trial(name, move || datagrams(nc, is_user)));
        }
    }
    for option in ["--c", "--libc"] {
        let name = format!("demo_{}", option.trim_start_matches('-'));
        trials.push(harness::trial(name, move || with_nc("nc.openbsd", &[option])));
    }
    trials
}

/// The outcomes of each experiment, where no other user may be tried.
const OUTCOMES: [usize; 3] = [4, 8, 13];

/// The theft by another user, where there is one.
fn thefts() -> usize {
    let map = fs::read_to_string("/proc/self/uid_map").expect("/proc is mounted");
    let has_nobody = map.lines().any(|line| {
        let mut numbers = line.split_whitespace().filter_map(|number| number.parse::<u32>().ok());
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        first.zip(count).is_some_and(|(first, count)| 65_534_u32.wrapping_sub(first) < count)
    });
    usize::from(has_nobody)
}

/// The demo as it is started here, and what it must leave empty.
struct Demo {
    command: Command,
    temporary: Scratch,
    tools: Scratch,
}

impl Demo {
    /// The demo, started by `wrapper`, its tools those of this machine.
    fn wrapped(wrapper: &[&str]) -> Self {
        let script = project("docs/demo.sh");
        let (program, arguments) = match wrapper {
            [program, arguments @ ..] => (Path::new(program), [arguments, &[""]].concat()),
            [] => (&*script, vec![]),
        };
        let mut command = Command::new(program);
        for argument in arguments {
            match argument {
                "" => command.arg(&script),
                _ => command.arg(argument),
            };
        }
        let (temporary, tools) = (Scratch::new(), Scratch::new());
        command
            .current_dir(temporary.path())
            .env("TMPDIR", temporary.path())
            .env("CARGO_TARGET_DIR", cargo_target("demo"))
            .env("CARGO_NET_OFFLINE", "true");
        Self { command, temporary, tools }
    }

    fn new() -> Self {
        Self::wrapped(&[])
    }

    /// A PATH on which `name` is `tool` alone.
    fn with_tool(mut self, name: &str, tool: &str) -> Self {
        let path = harness::which(tool).expect("prepare has found it");
        symlink(path, self.tools.path().join(name)).expect("it is ours");
        let mut path = self.tools.path().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        self.command.env("PATH", path);
        self
    }

    /// A PATH with everything of this machine but `absent`.
    fn without_tools(mut self, absent: &[&str]) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).map(fs::read_dir).filter_map(Result::ok);
        for tool in folders.flatten().map(|entry| entry.expect("it is a folder")) {
            if !absent.iter().any(|absent| tool.file_name() == *absent) {
                let _ = symlink(tool.path(), self.tools.path().join(tool.file_name())); // the first
            }
        }
        self.command.env("PATH", self.tools.path());
        self
    }

    /// Nothing is left: no file, and no process that has its temporary folder as TMPDIR.
    fn has_cleaned_up(&self) {
        let files: Vec<_> = fs::read_dir(self.temporary.path()).expect("it is ours").collect();
        assert!(files.is_empty(), "{files:?}");
        let mark = format!("TMPDIR={}", self.temporary.path().display());
        harness::wait_for("the end of every process of the demo", || {
            let processes = fs::read_dir("/proc").expect("/proc is mounted").filter_map(Result::ok);
            let environments =
                processes.filter_map(|process| fs::read(process.path().join("environ")).ok());
            let mut marked = environments
                .filter(|environment| String::from_utf8_lossy(environment).contains(&mark));
            marked.next().is_none().then_some(())
        });
    }

    /// Runs to the end, with `count` outcomes, all as expected.
    fn shows(mut self, count: usize) -> String {
        let output = run(&mut self.command);
        assert!(output.status.success(), "{}\n{}", output.stdout, output.stderr);
        assert_eq!(output.stderr, "");
        assert!(output.stdout.ends_with(&format!("All {count} outcomes are as expected.\n")));
        assert_eq!(output.stdout.lines().filter(|line| line.ends_with(" ok")).count(), count);
        assert!(!output.stdout.contains('\x1b'), "colour into a pipe");
        self.has_cleaned_up();
        output.stdout
    }

    /// Ends with `status`, and one line on standard error, which has `words`.
    fn refuses(mut self, status: i32, words: &str) {
        let output = run(&mut self.command);
        assert_eq!(output.status.code(), Some(status), "{}\n{}", output.stdout, output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        assert!(output.stderr.starts_with("demo.sh: "), "{}", output.stderr);
        assert!(output.stderr.contains(words), "{}", output.stderr);
        self.has_cleaned_up();
    }
}

fn all() -> usize {
    OUTCOMES.iter().sum::<usize>() + thefts()
}

fn with_nc(nc: &str, options: &[&str]) {
    let mut demo = Demo::new().with_tool("nc", nc);
    demo.command.args(options);
    let shown = demo.shows(all());
    assert!(shown.contains("bind: : Address already in use"));
    assert!(shown.contains("TIME_WAIT"));
}

fn busybox_netstat() {
    let demo = Demo::new().with_tool("nc", "busybox").without_tools(&["netstat", "ifconfig", "ip"]);
    assert!(demo.shows(all()).contains("$ busybox netstat -tna | grep 3459\n"));
}

/// The start of a command as an ordinary user.
const USER: [&str; 4] = ["unshare", "--user", "--map-user=1000", "--map-group=1000"];

/// Without any capability, which a namespace of the user's own then gives.
fn ordinary_user() {
    let shown = Demo::wrapped(&USER).shows(OUTCOMES.iter().sum());
    assert!(shown.contains("Whether another user can take it can't be tried here"), "{shown}");
}

/// Experiment 3 with each nc; where one cannot send to all, another one does, and that is said.
fn datagrams(nc: &str, is_user: bool) {
    let mut demo = Demo::wrapped(if is_user { &USER } else { &[] }).with_tool("nc", nc);
    demo.command.args(["--only", "3"]);
    let shown = demo.shows(OUTCOMES[2] + if is_user { 0 } else { thefts() });
    let own = shown.contains("| nc -u ");
    assert_eq!((own, shown.contains("nc lacks -u")), (nc != "busybox", nc == "busybox"), "{shown}");
}

/// Also by way of a link, from a folder with a space in its name.
fn twice_from_elsewhere() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("a folder");
    fs::create_dir(&folder).expect("it is ours");
    let link = folder.join("demo");
    symlink(project("docs/demo.sh"), &link).expect("it is ours");
    for (only, count) in [("1", OUTCOMES[0]), ("3", OUTCOMES[2] + thefts())] {
        let mut demo = Demo::wrapped(&["bash", "-c", "exec ./demo \"$@\""]);
        demo.command.args(["--only", only]).current_dir(&folder);
        demo.shows(count);
    }
}

/// A shell that can't make network namespaces, and its network.
const CONFINED: [&str; 6] = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"];

/// It waits out each TIME_WAIT then.
fn without_namespaces() {
    let preparation = "busybox ifconfig lo up && echo 0 >/proc/sys/user/max_net_namespaces && exec \"$0\" --only 1";
    let demo = Demo::wrapped(&[&CONFINED[..], &[preparation]].concat());
    let shown = demo.shows(OUTCOMES[0]);
    assert!(shown.contains("No network namespace can be made here"), "{shown}");
    assert!(shown.contains("TIME_WAIT on port 3459: "), "{shown}");
}

fn busy_port() {
    let preparation = "busybox ifconfig lo up && echo 0 >/proc/sys/user/max_net_namespaces
        busybox nc -l -p 3459 >/dev/null </dev/null & nc=$!
        until busybox netstat -tln | grep -q :3459; do :; done
        \"$0\"; status=$?; kill $nc; exit $status";
    Demo::wrapped(&[&CONFINED[..], &[preparation]].concat()).refuses(1, "port 3459 is in use");
}

/// Enter goes on; on a terminal there is colour, unless NO_COLOR says otherwise.
fn pause_on_a_terminal() {
    for no_color in [false, true] {
        in_namespace(|| {
            let mut terminal = Terminal::new();
            let mut demo = Demo::wrapped(&["setsid", "--ctty", "--wait"]);
            demo.command.args(["--only", "1", "--pause"]).env("TERM", "xterm");
            if no_color {
                demo.command.env("NO_COLOR", "1");
            }
            let mut process = Process::start_at_terminal(&mut demo.command, &terminal);
            terminal.output.wait_for("[Enter]");
            let mut typed = 0;
            harness::wait_for("the table", || {
                let asked = terminal.output.text().matches("[Enter]").count();
                if asked > typed {
                    terminal.type_in(b"\n");
                    typed += 1;
                }
                process.ended()
            });
            assert_eq!(process.wait(), 0);
            assert!(typed > 4);
            assert_eq!(terminal.output.text().contains("\x1b["), !no_color);
            demo.has_cleaned_up();
        });
    }
}

/// Ctrl+C while it builds, while servers run, while it waits for Enter, and before the end.
fn interrupted() {
    for text in ["cargo build", "$ nc", "[Enter]", "kill -INT", "echo multicast"] {
        in_namespace(|| {
            let mut terminal = Terminal::new();
            let mut demo = Demo::wrapped(&["setsid", "--ctty", "--wait"]);
            if text == "[Enter]" {
                demo.command.arg("--pause");
            }
            if text.starts_with("echo") {
                demo.command.args(["--only", "3"]);
            }
            let mut process = Process::start_at_terminal(&mut demo.command, &terminal);
            terminal.output.wait_for(text);
            terminal.type_in(b"\x03");
            assert_eq!(process.wait(), 130, "at {text}: {}", terminal.output.text());
            demo.has_cleaned_up();
        });
    }
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let mut demo = Demo::new();
        let mut process = Process::start(&mut demo.command);
        process.stdout.wait_for("Address already in use");
        process.signal(signal);
        assert_eq!(process.wait(), status);
        demo.has_cleaned_up();
    }
}

/// `docs/demo.sh | head -3`
fn output_closed() {
    let mut demo =
        Demo::wrapped(&["bash", "-c", "\"$0\" | head -3 >/dev/null; exit ${PIPESTATUS[0]}"]);
    let output = run(&mut demo.command);
    assert!(!output.status.success());
    demo.has_cleaned_up();
}

/// One line names them and the command that installs them; nobody is at the terminal to ask.
fn missing_tools() {
    let nc = ["nc", "ncat", "nc.openbsd", "nc.traditional", "busybox"];
    let rest = ["apt-get", "dnf", "apk", "pacman"];
    Demo::new().without_tools(&[&nc[..], &rest].concat()).refuses(1, "missing: nc");
    Demo::new().without_tools(&[&nc[..4], &rest].concat()).refuses(1, "missing: nc with -u");
    Demo::new()
        .without_tools(&[&["netstat", "busybox"], &rest[..]].concat())
        .refuses(1, "missing: netstat");
    let mut demo = Demo::new().without_tools(&["cargo"]);
    demo.command.env("CARGO_HOME", "/nonexistent");
    demo.refuses(1, "missing: cargo");
    let mut demo = Demo::new().without_tools(&["cc", rest[0], rest[1], rest[2], rest[3]]);
    demo.command.arg("--c");
    demo.refuses(1, "missing: cc");
    // A user who is not root is told the command.
    let demo = Demo::wrapped(&USER);
    demo.without_tools(&[&nc[..], &["netstat"]].concat()).refuses(1, "install");
}

fn wrong_options() {
    for (options, words) in [
        (&["--speed"][..], "unknown argument \"--speed\""),
        (&["--only"], "--only takes 1, 2 or 3"),
        (&["--only", "4"], "--only takes 1, 2 or 3"),
        (&["--c", "--libc"], "exclude each other"),
        (&["--pause"], "--pause needs a terminal"),
        (&["treuseaddr"], "unknown argument \"treuseaddr\""),
    ] {
        let mut demo = Demo::new();
        demo.command.args(options);
        demo.refuses(2, words);
    }
}

fn help() {
    let output = run(Command::new(project("docs/demo.sh")).arg("--help"));
    assert!(output.status.success());
    for option in ["--c ", "--libc", "--only", "--pause", "--help"] {
        assert!(output.stdout.contains(option), "{option}");
    }
}
