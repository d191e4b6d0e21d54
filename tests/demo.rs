//! docs/demo.sh from end to end, as people have it: each nc, each netstat, with root and without,
//! where no namespace can be made, at a terminal of 80 columns, in tmux, and interrupted.

use crate::documents::is_current;
use crate::harness::{
    self, LIMIT, Process, Row, Scratch, Terminal, cargo_target, project, read, run, state, wait_for,
};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, killpg};
use std::collections::HashSet;
use std::fs;
use std::num::NonZero;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use vt100::Parser;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        harness::trial("demo_without_namespaces", without_namespaces), // the longest comes first
        harness::trial("demo_busy_port", busy_port),
        harness::trial("demo_busybox_netstat", busybox_netstat),
        harness::trial("demo_netstat_fails", netstat_fails),
        harness::trial("demo_ordinary_user", ordinary_user),
        harness::trial("demo_twice_from_elsewhere", twice_from_elsewhere),
        harness::trial("demo_no_home", no_home),
        harness::trial("demo_sudo", sudo),
        harness::trial("demo_pause", || pause(Pause::Short)),
        harness::trial("demo_pause_outlasts_time_wait", || pause(Pause::Long))
            .with_ignored_flag(true),
        harness::trial("demo_datagrams_late", datagrams_late).with_ignored_flag(true),
        harness::trial("demo_at_80_columns", at_80_columns),
        harness::trial("demo_at_60_columns", at_60_columns),
        harness::trial("demo_back_and_quit", back_and_quit),
        harness::trial("demo_stopped", stopped),
        harness::trial("demo_no_color", no_color),
        harness::trial("demo_split", split),
        harness::trial("demo_split_interrupted", split_interrupted),
        harness::trial("demo_by_hand", || by_hand("2")),
        harness::trial("demo_by_hand_elsewhere", by_hand_elsewhere),
        harness::trial("demo_by_hand_with_time_wait", || by_hand("1")).with_ignored_flag(true),
        harness::trial("demo_in_another_language", in_another_language),
        harness::trial("demo_words", words),
        harness::trial("demo_interrupted", interrupted),
        harness::trial("demo_interrupted_at_random", || interrupted_at_random(8)),
        harness::trial("demo_interrupted_200_times", || interrupted_at_random(200))
            .with_ignored_flag(true),
        harness::trial("demo_signals_ignored", signals_ignored),
        harness::trial("demo_ends_its_own", ends_its_own),
        harness::trial("demo_zombie", zombie),
        harness::trial("demo_output_closed", output_closed),
        harness::trial("demo_missing_tools", missing_tools),
        harness::trial("demo_noexec", noexec),
        harness::trial("demo_wrong_options", wrong_options),
        harness::trial("demo_help", help),
        harness::trial("demo_script", script),
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
    usize::from(harness::has_two_users())
}

/// The demo as it is started here, and what it must leave empty.
struct Demo {
    command: Command,
    /// In a scratch folder, and longer than the path of a socket may be.
    temporary: PathBuf,
    _scratch: Scratch,
    tools: Scratch,
}

impl Demo {
    /// The demo, started by `wrapper`, its tools those of this machine. By bash, since a checkout may have
    /// lost its exec bits: to a shell script, `"$0" "$@"` is the demo.
    fn wrapped(wrapper: &[&str]) -> Self {
        let words = [wrapper, &["bash"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(project("docs/demo.sh"));
        let (scratch, tools) = (Scratch::new(), Scratch::new());
        let temporary = scratch.path().join("temporary".repeat(12));
        fs::create_dir(&temporary).expect("it is ours");
        command
            .current_dir(&temporary)
            .env("TMPDIR", &temporary)
            .env("CARGO_TARGET_DIR", cargo_target("variants")) // where prepare has built all of it
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_NET_OFFLINE", "true");
        Self { command, temporary, _scratch: scratch, tools }
    }

    fn new() -> Self {
        Self::wrapped(&[])
    }

    /// A PATH on which `name` is `tool` alone.
    fn with_tool(self, name: &str, tool: &str) -> Self {
        let path = harness::which(tool).expect("prepare has found it");
        symlink(path, self.tools.path().join(name)).expect("it is ours");
        self.with_tools_first()
    }

    fn with_tools_first(mut self) -> Self {
        let mut path = self.tools.path().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        self.command.env("PATH", path);
        self
    }

    /// A PATH on which `name` is this shell script.
    fn with_script(self, name: &str, script: &str) -> Self {
        // By another process: a file that is open for writing, in a child too, cannot be run.
        let mut make = Command::new("sh");
        make.args(["-c", "printf '#!/bin/sh\n%s' \"$1\" >\"$2\" && chmod +x \"$2\"", "sh", script]);
        assert!(run(make.arg(self.tools.path().join(name))).status.success());
        self.with_tools_first()
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
        let files: Vec<_> = fs::read_dir(&self.temporary).expect("it is ours").collect();
        assert!(files.is_empty(), "{files:?}");
        let mark = format!("TMPDIR={}", self.temporary.display());
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
    fn shows(self, count: usize) -> String {
        self.shows_in("ok", count, &format!("All {count} outcomes are as expected.\n"))
    }

    /// With so many lines of the table that end in the word `ok`, and with this `end`.
    fn shows_in(mut self, ok: &str, count: usize, end: &str) -> String {
        let output = run(&mut self.command);
        assert!(output.status.success(), "{}\n{}", output.stdout, output.stderr);
        assert_eq!(output.stderr, "");
        assert!(output.stdout.ends_with(end), "{}", output.stdout);
        assert_eq!(
            output.stdout.lines().filter(|line| line.ends_with(&format!(" {ok}"))).count(),
            count
        );
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

/// The default run, with each nc. With nc.openbsd it is the one that the README shows a part of.
fn with_nc(nc: &str, options: &[&str]) {
    let mut demo = Demo::new().with_tool("nc", nc);
    demo.command.args(options);
    let shown = demo.shows(OUTCOMES[0] + OUTCOMES[1]);
    assert!(shown.contains("bind: : Address already in use"));
    assert!(shown.contains("  TIME_WAIT    no process\n"));
    assert!(shown.lines().count() < 216, "{} lines", shown.lines().count());
    if nc == "nc.openbsd" && options.is_empty() {
        is_current("README.md", "demo", &heart(&shown));
        let mut demo = Demo::new().with_tool("nc", nc);
        demo.command.args(["--lang", "zh"]);
        let count = OUTCOMES[0] + OUTCOMES[1];
        let shown = demo.shows_in("符合", count, &format!("{count} 个结果全部符合预期。\n"));
        is_current("README.zh-CN.md", "demo", &heart(&shown));
    }
}

/// Steps 2 and 3 of experiment 1, from Ctrl+C to the first surprise.
fn heart(shown: &str) -> String {
    let is_start = |line: &&str| line.contains("2/4");
    let is_end = |line: &&str| line.contains("4/4");
    let lines = shown.lines().skip_while(|line| !is_start(line)).take_while(|line| !is_end(line));
    let heart = with_fixed_ports(&lines.collect::<Vec<_>>().join("\n"));
    assert!(heart.lines().count() < 39);
    format!("```text\n{}\n```\n", heart.trim_end())
}

/// The text with the client's port, which the kernel chooses, as 40000.
fn with_fixed_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut fixed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (port, rest) = part.split_at(digits);
        fixed.push_str("127.0.0.1:");
        fixed.push_str(if port == "3459" || port.is_empty() { port } else { "40000" });
        fixed.push_str(rest);
    }
    fixed
}

fn all() -> usize {
    OUTCOMES.iter().sum::<usize>() + thefts()
}

fn busybox_netstat() {
    let mut demo =
        Demo::new().with_tool("nc", "busybox").without_tools(&["netstat", "ifconfig", "ip"]);
    demo.command.arg("--all");
    assert!(demo.shows(all()).contains("$ busybox netstat -tna | grep 3459\n"));
}

/// With a status other than 0; or with 0, as busybox's does. No table of IPv6 is no failure.
fn netstat_fails() {
    let says = |what: &str, status| {
        let script = format!("echo 'netstat: {what}' >&2; busybox netstat \"$@\"{status}\n");
        let mut demo = Demo::new().with_script("netstat", &script);
        demo.command.args(["--only", "1"]);
        demo
    };
    let words = "netstat has failed: netstat: no support";
    says("no support for AF INET (tcp)", " && exit 1").refuses(1, words);
    let words = "netstat has failed: netstat: /proc/net/tcp: Permission denied";
    says("/proc/net/tcp: Permission denied", "").refuses(1, words);
    says("/proc/net/tcp6: No such file or directory", "").shows(OUTCOMES[0]);
}

/// The start of a command as an ordinary user.
const USER: [&str; 4] = ["unshare", "--user", "--map-user=1000", "--map-group=1000"];

/// Without any capability, which a namespace of the user's own then gives.
fn ordinary_user() {
    let mut demo = Demo::wrapped(&USER);
    demo.command.arg("--all");
    let shown = demo.shows(OUTCOMES.iter().sum());
    assert!(shown.contains("Whether another user can take it can't be tried here"), "{shown}");
}

/// Experiment 3 with each nc; where one cannot send to all, another one does, and
/// that is said.
fn datagrams(nc: &str, is_user: bool) {
    // The thief may run what root has built, whichever the umask: its stdbuf has no privilege.
    let root = ["sh", "-c", "umask 077 && exec \"$0\" \"$@\" --c"];
    let mut demo = Demo::wrapped(if is_user { &USER } else { &root }).with_tool("nc", nc);
    demo.command.args(["--only", "3"]);
    let shown = demo.shows(OUTCOMES[2] + if is_user { 0 } else { thefts() });
    let has_another = shown.contains("(nc cannot send to a group or to all: we take ");
    let is_its_own = shown.contains("| nc -u ");
    assert_eq!((is_its_own, has_another), (nc != "busybox", nc == "busybox"), "{shown}");
}

/// On a loopback so slow that a datagram is delivered some time after its sender has ended.
fn datagrams_late() {
    let ip = harness::which("ip").expect("iproute2 has it");
    let slow = "tc qdisc add dev lo root tbf rate 4000bit burst 100 limit 100000";
    let scratch = Scratch::new();
    let log = scratch.path().join("log");
    let script = format!("{} \"$@\" && {slow} 2>>{log:?} && echo slow >>{log:?}\n", ip.display());
    let mut demo = Demo::new().with_script("ip", &script);
    demo.command.args(["--only", "3"]);
    demo.shows(OUTCOMES[2] + thefts());
    let log = fs::read_to_string(log).unwrap_or_default();
    assert!(!log.is_empty() && log.lines().all(|line| line == "slow"), "no tbf(8) here: {log}");
}

/// Also by way of a link, from a folder with a space in its name.
fn twice_from_elsewhere() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("a folder");
    fs::create_dir(&folder).expect("it is ours");
    let link = folder.join("demo");
    symlink(project("docs/demo.sh"), &link).expect("it is ours");
    for (only, count) in [("1", OUTCOMES[0]), ("3", OUTCOMES[2] + thefts())] {
        let mut demo = Demo::wrapped(&["bash", "-c", "shift && exec bash ./demo \"$@\""]);
        demo.command.args(["--only", only]).current_dir(&folder);
        demo.shows(count);
    }
}

/// The name of the repository's folder is printed as a person writes it, and a shell understands it.
fn by_hand_elsewhere() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("it's 目录");
    fs::create_dir(&folder).expect("it is ours");
    let mut copy = Command::new("cp");
    copy.current_dir(project(""))
        .args(["-r", "--parents", "docs", "src", "tests/scripts"])
        .arg(&folder);
    assert!(run(&mut copy).status.success());
    let script = folder.join("docs/demo.sh");
    let mut bash = Command::new("bash");
    bash.arg(script).args(["--by-hand", "--c"]).current_dir(scratch.path());
    let output = run(&mut bash);
    let line = output.stdout.lines().find_map(|line| line.strip_prefix("1$ "));
    let line = line.unwrap_or_else(|| panic!("{}", output.stderr));
    assert!(line.contains("s 目录'"), "{line}");
    let output = run(Command::new("sh").args(["-c", &format!("{line} && pwd")]));
    assert_eq!(output.stdout, format!("{}\n", folder.display()), "{line}");
}

/// Without HOME, as in a service, cargo is found in the home that the system has for the user.
fn no_home() {
    let home = Scratch::new();
    let script = r#"mkdir -p "$2/.cargo/bin" && cp "$(type -P false)" "$2/.cargo/bin/cargo" &&
        echo "root:x:0:0::$2:/bin/sh" >"$2/passwd" && mount --bind "$2/passwd" /etc/passwd &&
        unset HOME CARGO_HOME && exec "$0" "$1" --only 1"#;
    let home = home.path().to_str().expect("it is text");
    let confined = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", script];
    let mut demo = Demo::wrapped(&confined).without_tools(&["cargo"]);
    demo.command.arg(home);
    let output = run(&mut demo.command);
    assert!(output.stderr.ends_with("demo.sh: \"cargo\" failed: see above\n"), "{}", output.stderr);
    demo.has_cleaned_up();
}

/// Under sudo, cargo is the one of the user who has typed that, and runs as that user.
fn sudo() {
    if thefts() == 0 {
        println!("demo_sudo: not tried, since this user can start no program as another");
        return;
    }
    let home = Scratch::new();
    let script = r#"mkdir -p "$2/.cargo/bin" && chmod 755 "$2" &&
        printf '#!/bin/sh\necho "I am $(id -u) of $HOME" >&2; exit 1\n' >"$2/.cargo/bin/cargo" &&
        chmod +x "$2/.cargo/bin/cargo" && echo "visitor:x:65534:65534::$2:/bin/sh" >"$2/passwd" &&
        mount --bind "$2/passwd" /etc/passwd &&
        SUDO_USER=visitor SUDO_UID=65534 SUDO_GID=65534 exec "$0" "$1" --only 1"#;
    let mut demo = Demo::wrapped(&["unshare", "--mount", "bash", "-c", script]);
    let target = home.path().join("target");
    fs::create_dir(&target).expect("it is ours");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o777)).expect("it is ours");
    demo.command.arg(home.path()).env("CARGO_TARGET_DIR", target);
    let output = run(&mut demo.command);
    let said = format!("I am 65534 of {}\n", home.path().display());
    assert!(output.stderr.starts_with(&said), "{}{}", output.stdout, output.stderr);
    assert!(output.stderr.ends_with("demo.sh: \"cargo\" failed: see above\n"), "{}", output.stderr);
    demo.has_cleaned_up();
}

/// A shell that can't make network namespaces, and its network.
const CONFINED: [&str; 6] = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"];

/// It waits out each TIME_WAIT then.
fn without_namespaces() {
    harness::need(harness::Need::Sysctls);
    let preparation = "busybox ifconfig lo up && echo 0 >/proc/sys/user/max_net_namespaces && exec \"$0\" \"$@\" --only 1";
    let demo = Demo::wrapped(&[&CONFINED[..], &[preparation]].concat());
    let shown = demo.shows(OUTCOMES[0]);
    assert!(shown.contains("No network namespace can be made here"), "{shown}");
    assert!(shown.contains("TIME_WAIT on port 3459: "), "{shown}");
}

fn busy_port() {
    harness::need(harness::Need::Sysctls);
    let preparation = "busybox ifconfig lo up && echo 0 >/proc/sys/user/max_net_namespaces
        busybox nc -l -p 3459 >/dev/null </dev/null & nc=$!
        for look in $(seq 300); do busybox netstat -tln | grep -q :3459 && break; sleep 0.1; done
        \"$0\" \"$@\"; status=$?; kill $nc; exit $status";
    Demo::wrapped(&[&CONFINED[..], &[preparation]].concat()).refuses(1, "port 3459 is in use");
}

/// The folder for the programs is on a file system whose programs may not be executed.
fn noexec() {
    let script = "mount -t tmpfs -o noexec none \"$TMPDIR\" && exec \"$0\" \"$@\" --only 3";
    let expected = "which may be mounted noexec: set TMPDIR";
    Demo::wrapped(&["unshare", "--mount", "sh", "-c", script]).refuses(1, expected);
}

// ---- at a terminal ----

/// The demo at a terminal of 80 columns and 24 lines.
struct Session {
    demo: Demo,
    terminal: Terminal,
    process: Process,
}

impl Session {
    fn start(mut demo: Demo, options: &[&str]) -> Self {
        let terminal = Terminal::new();
        let mut set = Command::new("stty");
        set.args(["rows", "24", "columns", "80", "opost", "onlcr"]);
        assert_eq!(Process::start_with_stdin(&mut set, terminal.end()).wait(), 0);
        demo.command.args(options).env("TERM", "xterm");
        let process = Process::start_at_terminal(&mut demo.command, &terminal);
        demo.command = Command::new("false"); // the started one has the terminal open
        Self { demo, terminal, process }
    }

    fn new(options: &[&str]) -> Self {
        Self::start(Demo::wrapped(&["setsid", "--ctty", "--wait"]), options)
    }

    /// The lines on a terminal so high that nothing has left it.
    fn lines(&self) -> Vec<String> {
        lines(&self.terminal.output.text())
    }

    /// The 24 lines that are to be seen.
    fn screen(&self) -> String {
        screen(&self.terminal.output.text(), 24).screen().contents()
    }

    /// Waits for the next wait for Enter after so many, and gives the line with the cursor; or for the
    /// end of the demo.
    fn next_wait(&mut self, answered: usize) -> Option<String> {
        wait_for("a wait for Enter", || {
            let text = self.terminal.output.text();
            let is_next = text.matches(ANSWERED).count() == answered;
            let line = is_next.then(|| {
                let parser = screen(&text, HIGH);
                let (row, _) = parser.screen().cursor_position();
                parser.screen().rows(0, 80).nth(usize::from(row)).unwrap_or_default()
            });
            let waits = line.filter(|line| line.starts_with("[Enter]")).map(Some);
            waits.or_else(|| self.process.ended().map(|_| None))
        })
    }

    /// Waits for the end, with this status, and gives all that was printed.
    fn ends(mut self, status: i32) -> String {
        let start = Instant::now();
        while self.process.ended().is_none() {
            let is_late = start.elapsed() > LIMIT;
            assert!(!is_late, "it goes on:\n{}\n{}", self.screen(), processes());
            thread::sleep(Duration::from_millis(1)); // between two looks
        }
        let ended = self.process.wait();
        let output = self.terminal.output.clone();
        drop(self.terminal); // the last one that has it open
        let text = output.to_end();
        assert_eq!(ended, status, "{text}");
        self.demo.has_cleaned_up();
        text
    }
}

/// Every process that is seen from here: what it runs, what it waits for, and what becomes of its signals.
fn processes() -> String {
    let folders = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let describe = |folder: fs::DirEntry| {
        let read = |file: &str| fs::read(folder.path().join(file)).ok();
        let text = |file| Some(String::from_utf8_lossy(&read(file)?).replace('\0', " "));
        let status = text("status")?;
        let kept = ["State", "Pid", "PPid", "NSpgid", "Sig", "ShdPnd"];
        let is_kept = |line: &&str| kept.iter().any(|start| line.starts_with(start));
        let lines: Vec<_> = status.lines().filter(is_kept).collect();
        let (command, call) = (text("cmdline")?, text("syscall").unwrap_or_default());
        Some(format!("{command}\n    {}\n    {call}", lines.join(", ").replace('\t', " ")))
    };
    folders.filter_map(describe).collect::<Vec<_>>().join("\n")
}

/// So many lines that nothing leaves the terminal.
const HIGH: u16 = 1000;

/// The terminal on which this was printed.
fn screen(text: &str, lines: u16) -> Parser {
    let size = |count| NonZero::new(count).expect("a terminal has lines and columns");
    let mut parser = Parser::new(size(lines), size(80), 0);
    parser.process(text.as_bytes());
    parser
}

fn lines(text: &str) -> Vec<String> {
    screen(text, HIGH).screen().contents().lines().map(str::to_owned).collect()
}

/// No line was too long for the terminal.
fn is_not_wrapped(text: &str) {
    let parser = screen(text, HIGH);
    for (number, line) in (0..).zip(parser.screen().rows(0, 80)) {
        assert!(!parser.screen().row_wrapped(number), "{line}");
    }
}

/// How the demo removes its prompt once Enter was typed.
const ANSWERED: &str = "\x1b[A\r\x1b[K";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// The seconds of the TIME_WAIT are seen to run.
    Short,
    /// Until it has run out.
    Long,
}

/// At each wait the screen has the question and the command, and nothing of what comes out.
fn pause(length: Pause) {
    let mut session = Session::new(&[]);
    let mut waits: Vec<Vec<String>> = Vec::new();
    let (mut has_waited, mut seconds) = (false, HashSet::new());
    while let Some(prompt) = session.next_wait(waits.len()) {
        waits.push(session.lines());
        if prompt.contains("TIME_WAIT") && !has_waited {
            has_waited = true;
            let ending = "[Enter]  TIME_WAIT has run out: Enter makes a new one";
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(90) {
                let prompt = session.next_wait(waits.len() - 1).expect("it waits");
                if let Some((number, _)) = prompt
                    .strip_prefix("[Enter]  TIME_WAIT: ")
                    .and_then(|it| it.split_once(" s left"))
                {
                    seconds.insert(number.to_owned());
                }
                if length == Pause::Short && seconds.len() > 1 || prompt == ending {
                    break;
                }
                thread::sleep(Duration::from_millis(50)); // between two looks
            }
            assert_eq!(seconds.len() > 40, length == Pause::Long, "{seconds:?}");
        }
        session.terminal.type_in(b"\n");
    }
    assert!(seconds.len() > 1, "{seconds:?}");
    let text = session.ends(0);
    is_not_wrapped(&text);
    let shown = lines(&text);
    let anew = shown.iter().filter(|line| line.contains("we have made it anew")).count();
    assert_eq!(anew, usize::from(length == Pause::Long));
    assert!(shown.iter().any(|line| line == "All 12 outcomes are as expected."), "{shown:#?}");

    // The last wait is before the table, or the last answer would leave the screen.
    let last = waits.pop().expect("it waits");
    assert!(shown[last.len()].starts_with("Every outcome"), "{last:#?}");
    assert!(waits.len() > 20, "{}", waits.len());
    for wait in &waits {
        let at = wait.len() - 1; // of the prompt, in whose place the first line comes
        assert!(wait[at - 1].starts_with("$ "), "{wait:#?}"); // what is to be run
        let is_sentence = |line: &&String| !line.starts_with("$ ") && !line.starts_with("  ");
        let start =
            wait[..at].iter().rposition(|line| line.is_empty()).expect("a line before it") + 1;
        let question = &wait[start..at];
        let asked: String =
            question.iter().filter(is_sentence).map(|line| format!("{line} ")).collect();
        assert!(asked.trim_end().ends_with('?'), "{question:#?}");
        let outcome: Vec<&String> =
            shown[at..].iter().take_while(|line| !line.is_empty()).collect();
        assert!(!outcome.is_empty(), "{question:#?}");
        let answer: Vec<&&String> = outcome.iter().filter(|line| is_sentence(line)).collect();
        assert!(!answer.is_empty(), "{question:#?}");
        let on_screen = &wait[wait.len().saturating_sub(24)..];
        for line in answer {
            assert!(!on_screen.contains(line), "{line}: {on_screen:#?}");
        }
        // What the last command prints comes after the wait; only of two new servers the first has printed.
        let servers = question.iter().filter(|line| line.starts_with("$ ./")).count();
        let printed = question.iter().filter(|line| line.starts_with("  ")).count();
        assert!(printed == 0 || servers > 1, "{question:#?}");
    }
}

/// Every option, and every language.
fn at_80_columns() {
    for language in languages() {
        for options in [&["--all"][..], &["--all", "--c"], &["--help"], &["--by-hand", "--all"]] {
            let session = Session::new(&[options, &["--no-pause", "--lang", &language]].concat());
            is_not_wrapped(&session.ends(0));
        }
    }
}

/// Of the table nothing is wider than 60 columns, in any language.
fn at_60_columns() {
    for language in languages() {
        let mut demo = Demo::new();
        demo.command.args(["--all", "--c", "--lang", &language]);
        let output = run(&mut demo.command);
        let parser = screen(&output.stdout.replace('\n', "\r\n"), HIGH);
        let rows = parser.screen().rows(0, 80).zip(parser.screen().rows(60, 20));
        let table: Vec<_> = rows
            .skip_while(|(row, _)| !row.contains("(old, new") && !row.contains("（旧、新"))
            .collect();
        assert!(table.len() > 26, "{}", output.stdout);
        assert!(table.iter().all(|(_, rest)| rest.trim().is_empty()), "{table:#?}");
        demo.has_cleaned_up();
    }
}

/// b goes back to the question before, over the start of an experiment too, and q ends it.
fn back_and_quit() {
    let mut session = Session::new(&["--c"]);
    // Types at the next wait, and gives the command that waits there.
    let mut answer = |key: &[u8]| {
        let answered = session.terminal.output.text().matches(ANSWERED).count();
        let prompt = session.next_wait(answered).expect("it waits");
        let lines = session.lines();
        session.terminal.type_in(key);
        wait_for("the answer to be read", || {
            (session.terminal.output.text().matches(ANSWERED).count() > answered).then_some(())
        });
        (prompt, lines[lines.len() - 2].clone())
    };
    let (prompt, first) = answer(b"b\n");
    assert_eq!(prompt.trim_end(), "[Enter]  (b: back, q: quit)");
    let mut commands = vec![answer(b"\n").1];
    assert_eq!(commands[0], first, "there is none before it");
    while commands.last().is_some_and(|command| command != "$ ./treuseaddr2 &") {
        commands.push(answer(b"\n").1);
    }
    let start = commands.len() - 1;
    let second = answer(b"b\n").1;
    assert_eq!(answer(b"b\n").1, commands[start]);
    assert_eq!(answer(b"\n").1, commands[start - 1], "the last one of experiment 1");
    assert_eq!(answer(b"\n").1, commands[start]);
    assert_eq!(answer(b"\n").1, second);
    while !answer(b"\n").1.starts_with("- If the child closes") {} // before the table
    let text = session.ends(0);
    assert!(text.contains("All 12 outcomes are as expected."), "{text}");

    let mut session = Session::new(&["--c"]);
    session.terminal.output.wait_for("[Enter]");
    session.terminal.type_in(b"q\n");
    session.ends(0);
}

/// After Ctrl+Z and fg it shows again that it waits.
fn stopped() {
    let script = r#""$0" "$@"; echo "the shell: $?"; read -r; fg"#;
    let shell = ["setsid", "--ctty", "--wait", "bash", "--norc", "--noprofile", "-ic", script];
    let mut session = Session::start(Demo::wrapped(&shell), &["--c"]);
    let terminal = &mut session.terminal;
    terminal.output.wait_for("[Enter]");
    terminal.type_in(b"\x1a");
    terminal.output.wait_for("the shell: 148"); // 128 and SIGTSTP
    terminal.type_in(b"\n");
    wait_for("the prompt again", || {
        let text = terminal.output.text();
        text.rsplit_once("the shell: ")?.1.contains("[Enter]").then_some(())
    });
    terminal.type_in(b"q\n");
    session.ends(0);
}

/// On a terminal there is colour, unless NO_COLOR says otherwise.
fn no_color() {
    for no_color in [false, true] {
        let mut demo = Demo::wrapped(&["setsid", "--ctty", "--wait"]);
        if no_color {
            demo.command.env("NO_COLOR", "1");
        }
        let text = Session::start(demo, &["--only", "1", "--no-pause"]).ends(0);
        assert_eq!(text.contains("\x1b[3"), !no_color);
    }
}

/// In tmux: the story at the top, below it the server and nc, and netstat at the bottom; and at the end the
/// table where it was started.
fn split() {
    let mut session = Session::new(&["--only", "1", "--split"]);
    let mut seen = HashSet::new();
    let mut typed = String::new();
    let status = wait_for("the end of the demo", || {
        let screen = session.screen();
        for line in screen.lines() {
            match line.split_once('│') {
                Some((left, right)) => {
                    seen.insert(format!("left: {}", left.trim_end()));
                    seen.insert(format!("right: {}", right.trim_end()));
                }
                None => {
                    seen.insert(line.trim_end().to_owned());
                }
            }
        }
        // A new question, or the end of the table; not the seconds that count down beside the prompt.
        let is_prompt = |line: &&str| line.starts_with("[Enter]");
        let asked: Vec<&str> = screen.lines().filter(|line| !is_prompt(line)).collect();
        if screen.lines().any(|line| is_prompt(&line)) && asked.join("\n") != typed {
            session.terminal.type_in(b"\n");
            typed = asked.join("\n");
        }
        session.process.ended()
    });
    assert!(status.success(), "{}", session.screen());
    for line in [
        "Experiment 1, step 3/4: start it again",
        "left: $ ./treuseaddr-reuseaddr",
        "left: client connected: 4",
        "left: bind: : Address already in use",
        "right: $ nc 127.0.0.1 3459",
        "right: hello",
        "$ netstat -tna | grep 3459",
        "tcp  127.0.0.1:3459   0.0.0.0:*        LISTEN       server",
        "$ bindtable port 3459",
        "    SO_REUSEADDR on, SO_REUSEPORT off",
        "$ bindtable why -- ./treuseaddr-reuseaddr",
        "  the rule      The old socket listens. SO_REUSEADDR does not go past a listener",
    ] {
        assert!(seen.contains(line), "{line}: {seen:#?}");
    }
    let text = session.ends(0);
    assert!(text.trim_end().ends_with("All 4 outcomes are as expected."), "{text}");
}

/// Ctrl+C in tmux; a signal to the demo that has started tmux; and a terminal that is gone or too small.
fn split_interrupted() {
    let is_split = |session: &Session| {
        wait_for("the first question", || session.screen().contains("[Enter]").then_some(()));
    };
    let mut session = Session::new(&["--split"]);
    is_split(&session);
    session.terminal.type_in(b"\x03");
    session.ends(130);

    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGINT, 130)] {
        let session = Session::start(Demo::new(), &["--split"]); // itself, not setsid
        is_split(&session);
        session.process.signal(signal);
        session.ends(status);
    }

    // As where the terminal is closed: tmux, too, gets the signal.
    for _ in 0..3 {
        let session = Session::start(Demo::new(), &["--split"]);
        is_split(&session);
        killpg(session.process.pid(), Signal::SIGHUP).expect("it runs");
        session.ends(129);
    }

    // What fails in tmux is to be read when tmux has gone.
    let mut demo = Demo::wrapped(&["setsid", "--ctty", "--wait"]);
    demo.command.env("CARGO_TARGET_DIR", "/proc/none");
    let text = Session::start(demo, &["--split"]).ends(1);
    assert!(
        text.trim_end().ends_with("demo.sh: cannot write to /proc/none: set CARGO_TARGET_DIR"),
        "{text}"
    );

    let demo =
        Demo::wrapped(&["setsid", "--ctty", "--wait"]).without_tools(&PACKAGE_MANAGERS_AND_TMUX);
    let session = Session::start(demo, &["--split"]);
    assert!(session.ends(1).contains("demo.sh: missing: tmux"));
}

// ---- by hand ----

/// The commands, typed into two shells as a person types them, show what the demo shows.
fn by_hand(only: &str) {
    let scratch = Scratch::new();
    let output = run(Command::new("bash")
        .arg(project("docs/demo.sh"))
        .args(["--by-hand", "--c", "--only", only])
        .current_dir(project("")));
    assert!(output.status.success(), "{}", output.stderr);
    assert!(output.stdout.starts_with("1 and 2 are terminals"), "{}", output.stdout);
    let questions = output.stdout.lines().filter(|line| line.ends_with('?')).count();
    assert!(questions > 6, "{}", output.stdout);
    let script = output.stdout.replace("/tmp/", "\"$SCRATCH\"/"); // it may have a space in its name
    let is_typed = |line: &&str| ["1$ ", "2$ ", "2  "].iter().any(|at| line.starts_with(at));

    let mut shells = [(); 2].map(|()| {
        let terminal = Terminal::new();
        let mut command = Command::new("setsid");
        command.args(["--ctty", "bash", "--norc", "--noprofile", "-i"]).env("TERM", "dumb");
        command
            .current_dir(project(""))
            .env_remove("PROMPT_COMMAND")
            .env("SCRATCH", scratch.path());
        let process = Process::start_at_terminal(&mut command, &terminal);
        (terminal, process)
    });
    let listeners = || harness::rows().iter().filter(|row| **row == Row::LISTEN).count();
    let established = Row::client("ESTABLISHED");
    // A server that listens beside the client of the one before it, and goes on when that client ends.
    let mut newcomers = 0;
    let are_gone = |listeners: usize| {
        harness::wait_for_rows("the end", |rows| {
            let left = rows.iter().filter(|row| row.state != "TIME_WAIT");
            left.clone().count() == listeners && left.into_iter().all(|row| *row == Row::LISTEN)
        });
    };
    let (mut hellos, mut started) = (0, 0);
    for (number, line) in script.lines().filter(is_typed).enumerate() {
        let (at, typed) = line.split_at(3);
        let (terminal, _) = &mut shells[usize::from(at.starts_with('2'))];
        let output = terminal.output.clone();
        let refused = || output.text().matches("bind: : Address already in use").count();
        let before = (refused(), listeners());
        match (at, typed) {
            ("1$ ", command) => {
                terminal.type_in(format!("{command}\necho do''ne {number}\n").as_bytes());
                let done = format!("done {number}\n");
                let start = Instant::now(); // it may wait for the end of TIME_WAIT
                while !output.text().contains(&done) {
                    let has_time = start.elapsed() < Duration::from_secs(90);
                    assert!(has_time, "{line}: {}", output.text());
                    thread::sleep(Duration::from_millis(5)); // between two looks
                }
                if command.ends_with('&') {
                    started += 1;
                    let has_client = harness::rows().contains(&established);
                    wait_for("a server", || {
                        (refused() > before.0 || listeners() > before.1).then_some(())
                    });
                    newcomers += usize::from(has_client && listeners() > before.1);
                } else if command.starts_with("kill -INT") {
                    // Before the client closes: the one that closes first has the TIME_WAIT.
                    harness::wait_for_rows("the server's end", |rows| {
                        !rows.contains(&Row::server("ESTABLISHED"))
                    });
                } else if command.starts_with("kill $(") {
                    newcomers = 0;
                    are_gone(0);
                }
            }
            ("2$ ", command) => {
                terminal.type_in(format!("{command}\n").as_bytes());
                harness::wait_for_rows("a client", |rows| rows.contains(&established));
            }
            ("2  ", "hello") => {
                terminal.type_in(b"hello\n");
                hellos += 1;
                wait_for("the echo", || {
                    (output.text().matches("hello").count() == 2 * hellos).then_some(())
                });
            }
            ("2  ", "Ctrl+C") => {
                terminal.type_in(format!("\x03echo do''ne {number}\n").as_bytes());
                output.wait_for(&format!("done {number}\n"));
                are_gone(newcomers);
            }
            _ => panic!("{line}"),
        }
    }
    let text = shells[0].0.output.text();
    let refused = text.matches("bind: : Address already in use").count();
    let expected = if only == "1" { (3, 6) } else { (7, 12) };
    assert_eq!((refused, started), expected, "{text}");
}

// ---- languages ----

/// The languages in which the demo has words.
fn languages() -> Vec<String> {
    let files = fs::read_dir(project("docs/demo")).expect("it is a folder").flatten();
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let languages =
        names.filter_map(|name| Some(name.strip_prefix("words.")?.strip_suffix(".sh")?.to_owned()));
    languages.collect()
}

/// The keys of the words of a language, in their order.
fn keys(language: &str) -> Vec<String> {
    let text = read(&format!("docs/demo/words.{language}.sh"));
    let keys = text.lines().filter_map(|line| line.strip_prefix("    [")?.split_once("]=\""));
    keys.map(|(key, _)| key.to_owned()).collect()
}

/// The `%s` and `%d` of each word of a language, with the word's key.
fn fields(language: &str) -> Vec<(String, Vec<char>)> {
    let text = read(&format!("docs/demo/words.{language}.sh"));
    let words =
        text.split("\n    [").skip(1).map(|word| word.split_once("]=").expect("it has a key"));
    let fields =
        |text: &str| text.split('%').skip(1).filter_map(|rest| rest.chars().next()).collect();
    words.map(|(key, text)| (key.to_owned(), fields(text))).collect()
}

/// Each language has each word, with the same fields to fill in, and the story and the errors have no other.
fn words() {
    let english = keys("en");
    for language in languages() {
        assert_eq!(keys(&language), english, "{language}");
        assert_eq!(fields(&language), fields("en"), "{language}");
    }
    let mut scripts = read("docs/demo.sh");
    for file in fs::read_dir(project("docs/demo")).expect("it is a folder").flatten() {
        if !file.file_name().to_string_lossy().starts_with("words.") {
            scripts += &fs::read_to_string(file.path()).expect("it is a text");
        }
    }
    let is_used = |key: &String| {
        let (name, end) = key.rsplit_once('-').unwrap_or((key, ""));
        let mut uses =
            ["words[{}]", " {}\n", " {} ", "={} "].map(|use_| use_.replace("{}", key)).to_vec();
        if ["1", "2", "3"].contains(&end) {
            uses.push(format!("{name} {end}\n"));
        }
        uses.iter().any(|it| scripts.contains(it))
    };
    let unused: Vec<_> = english.iter().filter(|key| !is_used(key)).collect();
    assert!(unused.is_empty(), "{unused:?}");
    let said = scripts.lines().filter_map(|line| {
        let fails = ["fail ", "misuse ", "format "].iter().find_map(|verb| {
            let (before, rest) = line.split_once(verb)?;
            before.ends_with(' ').then(|| rest.split([' ', '"', ';']).next())?
        });
        let (verb, rest) = line.trim().split_once(' ').unwrap_or_default();
        match verb {
            _ if fails.is_some_and(|key| !key.is_empty()) => fails,
            "ask" | "tell" => Some(rest),
            "step" => rest.split_once(' ').map(|(_, title)| title),
            _ => None,
        }
    });
    for key in said {
        assert!(english.iter().any(|it| it == key), "no words for {key}");
    }
}

/// Words of wide characters: chosen by the locale, and in columns.
fn in_another_language() {
    let start = |variables: &[(&str, &str)], options: &[&str]| {
        let mut demo = Demo::wrapped(&["setsid", "--ctty", "--wait"]);
        demo.command.env_remove("LC_ALL").env_remove("LC_MESSAGES").env_remove("LANG");
        demo.command.envs(variables.iter().copied());
        Session::start(demo, &[options, &["--no-pause"]].concat()).ends(0)
    };
    for (variables, options, is_translated) in [
        (&[("LANG", "zh_CN.UTF-8")][..], &[][..], true),
        (&[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "zh.utf8")], &[], true),
        (&[], &["--lang", "zh"], true),
        (&[("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")], &[], false),
        (&[("LANG", "zh_CN.GB18030")], &[], false), // not the encoding of the words
        (&[("LANG", "zh_CN.UTF-8")], &["--lang", "en"], false),
        (&[("LANG", "xx_XX.UTF-8")], &[], false),
        (&[], &[], false),
    ] {
        let help = start(variables, &[options, &["--help"]].concat());
        assert_eq!(help.starts_with("用法："), is_translated, "{variables:?} {options:?}");
    }

    // What goes wrong, too, as soon as the language is known.
    let mut demo = Demo::new();
    demo.command.env_remove("LC_ALL").env_remove("LC_MESSAGES").env("LANG", "zh_CN.UTF-8");
    demo.command.arg("--speed");
    demo.refuses(2, "不认识的参数“--speed”");
    for (options, status, words) in
        [(&["--only", "4"][..], 2, "--only 只能是 1、2 或 3"), (&["--c"], 1, "缺少 netstat")]
    {
        let mut demo =
            Demo::new().without_tools(&[&["netstat", "busybox"], &PACKAGE_MANAGERS[..]].concat());
        demo.command.args(["--lang", "zh"]).args(options);
        demo.refuses(status, words);
    }

    let shown = start(&[], &["--lang", "zh", "--c", "--only", "1"]);
    is_not_wrapped(&shown);
    let parser = screen(&shown, HIGH);
    let screen = parser.screen();
    let lines: Vec<String> = screen.rows(0, 80).collect();
    let is_row = |line: &str| line.ends_with(" 符合") || line.starts_with("实验  ");
    let rows: Vec<u16> =
        (0..).zip(&lines).filter(|(_, line)| is_row(line)).map(|(row, _)| row).collect();
    assert_eq!(rows.len(), 1 + OUTCOMES[0]);
    for row in rows {
        for column in [0, 20, 29, 38, 47] {
            let cell = |column| screen.cell(row, column).expect("a cell");
            let is_empty = |column| !cell(column).has_contents() || cell(column).contents() == " ";
            assert!(!is_empty(column) && !cell(column).is_wide_continuation(), "{column}");
            let is_first = column == 0 || is_empty(column - 1);
            assert!(
                is_first && !(column > 0 && cell(column - 1).is_wide_continuation()),
                "{column}"
            );
        }
    }
}

// ---- signals ----

/// Ctrl+C while it builds, while servers run, while it waits for Enter, and before the end.
fn interrupted() {
    for text in ["cargo build", "$ nc", "[Enter]", "kill -INT", "echo multicast"] {
        let options: &[&str] = match text {
            "[Enter]" => &[],
            "echo multicast" => &["--only", "3", "--no-pause"],
            _ => &["--no-pause"],
        };
        let mut session = Session::new(options);
        session.terminal.output.wait_for(text);
        session.terminal.type_in(b"\x03");
        session.ends(130);
    }
    // Before it has a folder of its own.
    let mut demo = Demo::new().with_script("mkdir", "kill -INT $PPID; exit 1\n");
    let output = run(&mut demo.command);
    assert_eq!((output.status.code(), &*output.stderr), (Some(130), ""));
    demo.has_cleaned_up();
    // A second Ctrl+C comes as soon as it begins to clean up.
    let script = r#"set -u && folder=$0 && . "$0/main.sh" && clean_up() { kill -INT $$; echo clean; }
        trap_signals; kill -INT $$; echo late"#;
    let output = run(Command::new("bash").args(["-c", script]).arg(project("docs/demo")));
    assert_eq!((output.status.code(), &*output.stdout), (Some(130), "clean\n"));
    // A timer of bash's own may run out while it cleans up.
    let mut demo = Demo::new().with_script("rm", "kill -ALRM $PPID; exec busybox rm \"$@\"\n");
    demo.command.arg("--by-hand");
    let output = run(&mut demo.command);
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""));
    demo.has_cleaned_up();
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let mut demo = Demo::new();
        let mut process = Process::start(&mut demo.command);
        process.stdout.wait_for("Address already in use");
        process.signal(signal);
        assert_eq!(process.wait(), status);
        demo.has_cleaned_up();
    }
}

/// SIGINT at any moment, to the script alone or, as a terminal sends it, to its process group.
fn interrupted_at_random(count: usize) {
    let start = Instant::now();
    Demo::new().shows(OUTCOMES[0] + OUTCOMES[1]);
    let length = start.elapsed();
    thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || {
                for number in (worker..count).step_by(4) {
                    let is_group = number % 8 < 4;
                    while !interrupted_after(length.mul_f64(fastrand::f64()), is_group) {}
                }
            });
        }
    });
}

/// Whether the signal came before all was done.
fn interrupted_after(time: Duration, is_group: bool) -> bool {
    let mut demo = Demo::new();
    let mut process = Process::start(&mut demo.command);
    thread::sleep(time); // the moment is the input
    if process.ended().is_none() {
        match is_group {
            true => killpg(process.pid(), Signal::SIGINT).expect("it has not been waited for"),
            false => process.signal(Signal::SIGINT),
        }
    }
    let status = process.wait();
    let shown = process.stdout.to_end();
    let is_done = status == 0 && shown.ends_with("outcomes are as expected.\n");
    // Before bash has read the script, the signal itself ends it, for which a shell says 130 too.
    let is_early = status == -(Signal::SIGINT as i32) && shown.is_empty();
    let errors = process.stderr.to_end();
    let is_fine = (status == 130 || is_early || is_done) && errors.is_empty();
    assert!(is_fine, "{status} after {time:?}, {errors:?}: {shown}");
    demo.has_cleaned_up();
    !is_done
}

/// Under nohup, as a background job of a script, and with signals ignored from the start it is the same.
fn signals_ignored() {
    let ignoring: &[&str] = &["sh", "-c", "trap '' HUP INT PIPE && exec \"$0\" \"$@\""];
    let background: &[&str] = &["sh", "-c", "\"$0\" \"$@\" & wait $!"];
    let start = |wrapper: &[&str]| {
        let mut demo = Demo::wrapped(wrapper);
        demo.command.args(["--only", "1"]);
        demo
    };
    for wrapper in [&["nohup"][..], background, ignoring] {
        start(wrapper).shows(OUTCOMES[0]);
    }
    for wrapper in [&["nohup"][..], ignoring] {
        let mut demo = Demo::wrapped(wrapper); // all of it, so that it does not end before the signal
        let mut process = Process::start(&mut demo.command);
        process.stdout.wait_for("Address already in use");
        process.signal(Signal::SIGINT);
        assert_eq!(process.wait(), 130);
        demo.has_cleaned_up();
    }
    // What nohup is for.
    let mut demo = start(&["nohup"]);
    let mut process = Process::start(&mut demo.command);
    process.stdout.wait_for("$ nc");
    process.signal(Signal::SIGHUP);
    assert_eq!(process.wait(), 0);
    demo.has_cleaned_up();
}

/// At its end it kills its own processes, an orphan too, and says if one does not end. It kills no
/// process group that has got the number of one of its own.
fn ends_its_own() {
    let script = r#"
        set -u && folder=$0 && . "$0/main.sh" && trap clean_up EXIT && read_words en && make_folder && limit=0
        launch own sh -c 'tail -f /dev/null &'
        wait "$launched" && own=("$launched") && launch own tail -f /dev/null && own+=("$launched" "$1")
        kill() { :; }
        jobs=("${own[@]}") && end_jobs && exit 2
        unset -f kill && limit=20
        jobs=("${own[@]}") && end_jobs && ! in_state ^ZX "${own[0]}" && ! in_state ^ZX "${own[1]}""#;
    let mut stranger = Process::start(Command::new("tail").args(["-f", "/dev/null"]));
    let mut bash = Command::new("bash");
    bash.args(["-c", script]).arg(project("docs/demo")).arg(stranger.pid().to_string());
    let output = run(&mut bash);
    assert_eq!(output.status.code(), Some(0), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    assert!(output.stderr.starts_with("demo.sh: waited 0 s for"), "{}", output.stderr);
    assert!(stranger.ended().is_none(), "it has killed a stranger");
}

/// A process that has ended is gone, whether its parent has waited for it or not.
fn zombie() {
    let mut process = Process::start(&mut Command::new("true"));
    wait_for("a zombie", || (state(process.pid()) == Some('Z')).then_some(()));
    let script = r#". "$0/processes.sh" && gone "$1" && ! gone "$$""#;
    let mut bash = Command::new("bash");
    bash.args(["-c", script]).arg(project("docs/demo")).arg(process.pid().to_string());
    assert!(run(&mut bash).status.success(), "a zombie");
    process.wait();
    assert!(run(&mut bash).status.success(), "no process");
}

/// `docs/demo.sh | head -3`
fn output_closed() {
    let mut demo =
        Demo::wrapped(&["bash", "-c", "\"$0\" \"$@\" | head -3 >/dev/null; exit ${PIPESTATUS[0]}"]);
    let output = run(&mut demo.command);
    assert_eq!((output.status.code(), &*output.stderr), (Some(141), ""));
    demo.has_cleaned_up();
}

/// One line names them and the command that installs them; nobody is at the terminal to ask.
fn missing_tools() {
    let nc = ["nc", "ncat", "nc.openbsd", "nc.traditional", "busybox"];
    let rest = PACKAGE_MANAGERS;
    Demo::new().without_tools(&[&nc[..], &rest].concat()).refuses(1, "missing: nc");
    let mut demo = Demo::new().without_tools(&[&nc[..4], &rest].concat());
    demo.command.arg("--all");
    demo.refuses(1, "missing: nc with -u");
    Demo::new()
        .without_tools(&[&["netstat", "busybox"], &rest[..]].concat())
        .refuses(1, "missing: netstat");
    let mut demo = Demo::new().without_tools(&["netstat", "busybox"]);
    demo.command.args(["--by-hand", "--only", "3"]);
    let output = run(&mut demo.command);
    assert!(
        output.stdout.contains("$ nc"),
        "its commands are known all the same: {}",
        output.stdout
    );
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
        (&["--only", "3", "--all"], "give one of them"),
        (&["--c", "--libc"], "exclude each other"),
        (&["--split"], "needs a terminal"),
        (&["--split", "--no-pause"], "--split waits for Enter"),
        (&["--by-hand", "--split"], "exclude each other"),
        (&["--lang"], "--lang takes one of: en"),
        (&["--lang", "q"], "--lang takes one of: en"),
        (&["treuseaddr"], "unknown argument \"treuseaddr\""),
    ] {
        let mut demo = Demo::new();
        demo.command.args(options);
        demo.refuses(2, words);
    }
}

fn help() {
    let output = run(Command::new("bash").arg(project("docs/demo.sh")).arg("--help"));
    assert!(output.status.success());
    let options = [
        "--c ",
        "--libc",
        "--only",
        "--all",
        "--no-pause",
        "--split",
        "--by-hand",
        "--lang",
        "--help",
    ];
    for option in options {
        assert!(output.stdout.contains(option), "{option}");
    }
}

/// It is short, shellcheck finds nothing in it, and it has no command substitution, in which bash can
/// lose a SIGINT, nor a process substitution once signals are trapped: such a SIGINT is lost in its parser.
fn script() {
    let lines = read("docs/demo.sh").lines().count();
    assert!(lines < 200, "{lines} lines");
    let folder = fs::read_dir(project("docs/demo")).expect("it is a folder").flatten();
    let mut files: Vec<PathBuf> = folder.map(|file| file.path()).collect();
    files.push(project("docs/demo.sh"));
    for file in &files {
        let text = fs::read_to_string(file).expect("it is a text");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let line = line.replace("\\$(", "").replace("$((", ""); // printed, and computed
            assert!(!line.contains("$(") && !line.contains('`'), "{}: {line}", file.display());
            let is_early = line.starts_with("read ") || line.starts_with("IFS= read ");
            assert!(is_early || !line.contains("<("), "{}: {line}", file.display());
        }
    }
    // The files together: a variable that one sets and another reads is one.
    let words = languages().into_iter().map(|language| format!("docs/demo/words.{language}.sh"));
    for options in [vec!["-x".into(), "-a".into(), "docs/demo.sh".into()], words.collect()] {
        let output = run(Command::new("shellcheck").args(options).current_dir(project("")));
        assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
    }
}

const PACKAGE_MANAGERS: [&str; 4] = ["apt-get", "dnf", "apk", "pacman"];
const PACKAGE_MANAGERS_AND_TMUX: [&str; 5] = ["apt-get", "dnf", "apk", "pacman", "tmux"];
