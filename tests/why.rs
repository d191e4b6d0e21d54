//! `bindtable why`: calls that fail, each explained while it fails; and the program notices nothing.

use crate::bindtable::{is_chinese, refusal};
use crate::port::{fits, states};
use crate::port_refused;
use crate::harness::{
    self, AS_NOBODY, Client, Need, Output, PORT, Process, Program, Runtime, Scratch, SharedFolder,
    Stream, Switches, Terminal, Variant, bindtable as program, close_server_first, has_two_users,
    hold_port, need, project, quoted, set_sysctl, state, wait_for, which,
};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReuseAddr;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TRIALS: [(&str, fn()); 89] = [
    ("why_input", input),
    ("why_exit_status", exit_status),
    ("why_quiet", quiet),
    ("why_four", four),
    ("why_time_wait", time_wait),
    ("why_time_wait_options", time_wait_options),
    ("why_two_binds", two_binds),
    ("why_inherited", inherited),
    ("why_no_ports", no_ports),
    ("why_same_connection", same_connection),
    ("why_without_sock_diag", without_sock_diag),
    ("why_option_elsewhere", option_elsewhere),
    ("why_probe_socket", probe_socket),
    ("why_two_families", two_families),
    ("why_worker", worker),
    ("why_siblings", siblings),
    ("why_other_process", other_process),
    ("why_master", master),
    ("why_inherited_by_two", inherited_by_two),
    ("why_inherited_by_exec", inherited_by_exec),
    ("why_connection", connection),
    ("why_outsider", outsider),
    ("why_beside_time_wait", beside_time_wait),
    ("why_own_and_left", own_and_left),
    ("why_another_address", another_address),
    ("why_both_protocols", both_protocols),
    ("why_other_user", other_user),
    ("why_workers", workers),
    ("why_first_thread_ended", first_thread_ended),
    ("why_process_1", process_1),
    ("why_several", several),
    ("why_long_command", long_command),
    ("why_moved", moved),
    ("why_udp_connected", udp_connected),
    ("why_v6only", v6only),
    ("why_port_range", port_range),
    ("why_no_ipv6", no_ipv6),
    ("why_tentative", tentative),
    ("why_unix_accepted", unix_accepted),
    ("why_unix_links", unix_links),
    ("why_unix_renamed", unix_renamed),
    ("why_listen", listen),
    ("why_udp", udp),
    ("why_mptcp", mptcp),
    ("why_unix", unix),
    ("why_unix_elsewhere", unix_elsewhere),
    ("why_unix_refused", unix_refused),
    ("why_addresses", addresses),
    ("why_privileged", privileged),
    ("why_retries", retries),
    ("why_changes", changes),
    ("why_retries_beside_clients", retries_beside_clients),
    ("why_threads", threads),
    ("why_other_namespace", other_namespace),
    ("why_socket_of_another_namespace", socket_of_another_namespace),
    ("why_namespaces_of_a_user", namespaces_of_a_user),
    ("why_ordinary_user", ordinary_user),
    ("why_setuid", setuid),
    ("why_file_capabilities", file_capabilities),
    ("why_chinese", chinese),
    ("why_json", json),
    ("why_output", output),
    ("why_running", running),
    ("why_running_again", running_again),
    ("why_other_leader_ended", other_leader_ended),
    ("why_no_ports_of_listeners", no_ports_of_listeners),
    ("why_no_ports_of_another", no_ports_of_another),
    ("why_running_threads", running_threads),
    ("why_running_leader_ended", running_leader_ended),
    ("why_signals", signals),
    ("why_restarted", restarted),
    ("why_terminal", terminal),
    ("why_streams", streams),
    ("why_closed_stderr", closed_stderr),
    ("why_full_stderr", full_stderr),
    ("why_lost", lost),
    ("why_daemon", daemon),
    ("why_ignored_child", ignored_child),
    ("why_shared", shared),
    ("why_second_tracer", second_tracer),
    ("why_tracer_killed", tracer_killed),
    ("why_tracer_ignores", tracer_ignores),
    ("why_32_bits", bits_32),
    ("why_x32", x32),
    ("why_sandbox", sandbox),
    ("why_sandbox_within", sandbox_within),
    ("why_yama", yama),
    ("why_order", order),
    ("why_many_processes", many_processes),
];

/// Other people's servers: a name, what builds it, and what runs it, as commands of the shell. $SRC is
/// `tests/programming_languages`, $TMP an empty folder, $BIN where the ports and the C twins are.
const PROGRAMS: [[&str; 3]; 20] = [
    ["python", "", "$PYTHON -m http.server 3459"],
    ["node", "", "node $SRC/listener.js"],
    ["java", "javac -d $TMP $SRC/Listener.java", "java -Xshare:auto -cp $TMP Listener"],
    ["go", "GOCACHE=$TMP/go-cache GO111MODULE=off go build -o $TMP/go $SRC/listener.go", "$TMP/go"],
    ["rust", "rustc --edition 2024 -o $TMP/rust $WHY/listener.rs", "$TMP/rust"],
    ["php", "", "php -S 127.0.0.1:3459 -t $TMP"],
    ["ruby", "", "ruby $SRC/listener.rb"],
    ["nginx", "", "nginx -p $TMP -c $SRC/nginx.conf"],
    ["redis", "", "redis-server --port 3459 --dir $TMP --save ''"],
    [
        "postgresql",
        "install -d -o nobody $TMP/data && chmod a+x $TMP && \
         $AS_NOBODY $POSTGRES/initdb -D $TMP/data -A trust --no-sync >&2",
        "$AS_NOBODY $POSTGRES/postgres -D $TMP/data -p 3459 -k $TMP/data",
    ],
    ["gunicorn", "", "gunicorn --workers 2 --bind 127.0.0.1:3459 --chdir $WHY app:application"],
    ["uvicorn", "", "uvicorn --reload --port 3459 --app-dir $WHY app:application"],
    [
        "haproxy",
        "printf 'defaults\\n timeout client 1s\\nfrontend f\\n mode tcp\\n bind 127.0.0.1:3459\\n' \
         >$TMP/haproxy.cfg",
        "haproxy -f $TMP/haproxy.cfg",
    ],
    ["memcached", "", "memcached -u root -l 127.0.0.1 -p 3459"],
    ["musl", "musl-gcc -static -o $TMP/musl $SRC/../../src/treuseaddr.c", "$TMP/musl"],
    ["treuseaddr", "", "$BIN/treuseaddr"],
    ["treuseaddr2", "", "$BIN/treuseaddr2"],
    ["nc_openbsd", "", "nc.openbsd -l 127.0.0.1 3459"],
    ["nc_traditional", "", "nc.traditional -l -s 127.0.0.1 -p 3459"],
    ["socat", "", "socat TCP-LISTEN:3459 -"],
];

pub fn trials() -> Vec<Trial> {
    let trial = |(name, check)| match UNTRACED.contains(&name) {
        true => harness::trial(name, check),
        false => traced(name, check),
    };
    let mut trials: Vec<Trial> = TRIALS.into_iter().map(trial).collect();
    for [name, build, start] in PROGRAMS {
        let trial = traced(&format!("why_program_{name}"), move || other_program(build, start));
        trials.push(trial.with_ignored_flag(true));
    }
    trials.push(traced("why_cost", cost).with_ignored_flag(true));
    trials
}

/// The trials in which no command is traced.
const UNTRACED: [&str; 2] = ["why_input", "why_yama"];

/// A trial in which a command is traced.
fn traced(name: &str, check: impl FnOnce() + Send + 'static) -> Trial {
    harness::trial(name, || {
        need(Need::Tracing);
        check();
    })
}

/// Python as a program of its own: a shim that is a script would be traced, too.
fn python() -> PathBuf {
    let usual = PathBuf::from("/usr/bin/python3");
    if usual.is_file() { usual } else { which("python3").expect("find_tools has found it") }
}

fn script() -> PathBuf {
    project("tests/why/fails.py")
}

/// `bindtable why` with these options, before a command.
fn why(options: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(["--lang", "en", "why"]).args(options).arg("--");
    command
}

/// Runs a command of seconds to its end: one that its tracer leaves standing has none.
fn run(command: &mut Command) -> Output {
    harness::run_at_most(harness::LIMIT, command)
}

/// The script with these words, under `bindtable why`.
fn fails(words: &[&str]) -> Output {
    run(why(&[]).arg(python()).arg(script()).args(words))
}

/// A program of these tests in C.
fn compiled(scratch: &Scratch, name: &str, options: &[&str]) -> PathBuf {
    let program = scratch.path().join(name);
    let source = project("tests/why").join(name).with_extension("c");
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-Werror"]).args(options).arg("-o").arg(&program).arg(source);
    let output = run(&mut cc);
    assert!(output.status.success(), "{}", output.stderr);
    program
}

/// What was said, on one line; of an explanation no line is wider than a terminal, but for a command.
fn flat(text: &str) -> String {
    const LABELS: [&str; 4] = ["  this socket", "  in the way", "  the rule", "  what helps"];
    for line in text.lines() {
        let spaces = |label: &&str| " ".repeat(label.len());
        let its = LABELS.iter().find_map(|label| Some(spaces(label) + line.strip_prefix(label)?));
        let is_ours = its.is_some() || line.starts_with(&" ".repeat(16));
        assert!(!is_ours || fits(its.as_deref().unwrap_or(line)), "{text}");
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Each part has to be in the text, in this order.
fn has(text: &str, parts: &[&str]) {
    let text = flat(text);
    let mut rest = &*text;
    for part in parts {
        let at =
            rest.find(part).unwrap_or_else(|| panic!("{part:?} is not in {rest:?} of: {text}"));
        rest = &rest[at + part.len()..];
    }
}

/// The number in parentheses after the name of the program that failed.
fn pid_of(text: &str) -> i32 {
    let number = text.split_once('(').and_then(|(_, rest)| rest.split([')', ',']).next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no process in {text}"))
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

const IN_USE: &str = "[Errno 98] Address already in use\n";

/// A failure of a process on which another waits for nothing.
fn input() {
    let refused = |arguments: &[&str]| refusal(&[&["why"], arguments].concat());
    assert!(refused(&[]).contains("there is no command"));
    assert!(refused(&["--"]).contains("there is no command"));
    assert!(refused(&["ls", "-l"]).contains("as in: bindtable why -- ls"));
    assert!(refused(&["-l"]).contains("unexpected argument '-l'"));
    assert!(refused(&["--pid", "1", "--", "true"]).contains("--pid"));
    assert!(refused(&["--pid", "x"]).contains("--pid"));
    assert!(refused(&["--format", "markdown", "--", "true"]).contains("markdown"));
    assert!(refused(&["--output", "/etc/passwd/file", "--", "true"]).contains("/etc/passwd/file"));
    assert!(refused(&["--unknown", "--", "true"]).contains("--unknown"));
    let output = run(Command::new(program()).args(["why", "--pid", "2147483647"]));
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(output.stderr, "bindtable: there is no process 2147483647\n");
    for language in ["en", "zh"] {
        let output = run(Command::new(program()).args(["--lang", language, "why", "--help"]));
        assert_eq!(output.status.code(), Some(0));
        for word in ["KILL", "ENOSYS", "io_uring", "127", "126", "125", "--pid", "--output"] {
            assert!(output.stdout.contains(word), "{word}: {}", output.stdout);
        }
        assert!(!output.stdout.contains("--helper"), "{}", output.stdout);
        if language == "zh" {
            is_chinese(&output.stdout);
        }
    }
}

fn exit_status() {
    let status = |command: &[&str]| run(why(&[]).args(command)).status;
    assert_eq!(status(&["true"]).code(), Some(0));
    assert_eq!(status(&["sh", "-c", "exit 7"]).code(), Some(7));
    let killed = status(&["sh", "-c", "kill -KILL $$"]);
    assert_eq!(killed.signal(), Some(9));
    for (command, status) in [("/nonexistent", 127), ("no-such-command", 127), ("/etc/passwd", 126)]
    {
        let output = run(why(&[]).arg(command));
        assert_eq!(output.status.code(), Some(status), "{command}");
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        assert!(output.stderr.starts_with(&format!("bindtable: {command}: ")), "{}", output.stderr);
    }
    // A script without a first line is the shell's, as for every execvp.
    let scratch = Scratch::new();
    let script = scratch.path().join("script");
    fs::write(&script, "exit 3\n").expect("it is ours");
    run(Command::new("chmod").arg("+x").arg(&script));
    assert_eq!(run(why(&[]).arg(&script)).status.code(), Some(3));
}

/// What succeeds is not spoken of; nor what fails with another error.
fn quiet() {
    let output = run(why(&[]).args(["sh", "-c", "echo out; echo err >&2"]));
    assert_eq!((&*output.stdout, &*output.stderr), ("out\n", "err\n"));
    let output = run(why(&[]).arg(python()).args([
        "-c",
        "import socket\ns = socket.socket()\n\
        print(s.connect_ex(('127.0.0.1', 1)))",
    ]));
    assert_eq!((&*output.stdout, &*output.stderr), ("111\n", ""));
}

fn four() {
    let scratch = Scratch::new();
    are_explained(run(why(&[]).arg(compiled(&scratch, "four", &["-static"]))));
}

/// The four failures of `tests/why/four.c`, on any kernel.
pub fn are_explained(output: Output) {
    assert_eq!(output.status.code(), Some(0), "{}", output.stderr);
    let in_use = "bind: Address already in use";
    has(
        &output.stderr,
        &[
            "bind to 127.0.0.1:3459 fails: EADDRINUSE this socket descriptor 5, TCP, user",
            ": SO_REUSEADDR on, SO_REUSEPORT off in the way TIME_WAIT 127.0.0.1:3459 - 127.0.0.1:",
            ", no process,",
            "s left: SO_REUSEADDR off the rule Both must have SO_REUSEADDR. The server that left \
             this TIME_WAIT did not",
            in_use,
            "bind to 127.0.0.1:3460 fails: EADDRINUSE",
            "LISTEN 127.0.0.1:3460, this same process, descriptor 3, bound",
            "Bind once, or close descriptor 3 first.",
            in_use,
            "SO_REUSEADDR is set on descriptor 4 after its bind failed.",
            "bind to 127.0.0.1:3461 fails: EADDRINUSE",
            "LISTEN 127.0.0.1:3461: SO_REUSEADDR on.",
            "), descriptor 3, a child, has inherited it;",
            "ago and has closed its own",
            "In the program: close the listener in the child, after fork.",
            in_use,
            "connect to 127.0.0.1:3462 fails: EADDRNOTAVAIL",
            "in the way connections to 127.0.0.1:3462: 4 ESTABLISHED the rule",
            "connect takes one of 40000-40003: 4 ports, 4 connections",
            "connect: Cannot assign requested address",
        ],
    );
}

/// The programs of this project: the port beside its own TIME_WAIT.
fn time_wait() {
    for (old, new) in [(false, true), (true, false), (false, false), (true, true)] {
        harness::in_namespace(|| {
            let variant = |is_on: bool| {
                let switches = Switches { reuseaddr: is_on, ..Switches::default() };
                Variant::new(Program::Treuseaddr, Runtime::Raw).with(switches)
            };
            let server = Process::start(&mut Command::new(variant(old).path()));
            let client = Client::connect();
            close_server_first(server, client);
            let command = variant(new).path();
            if (old, new) == (true, true) {
                let mut started = Process::start(why(&[]).arg(&command));
                let mut client = Client::connect();
                client.exchange("hello\n");
                assert_eq!(started.ended(), None);
                assert_eq!(started.stderr.text(), "");
                // The TIME_WAIT is still there, and in nobody's way.
                let output = run(why(&[]).arg(&command));
                has(&output.stderr, &["in the way LISTEN 127.0.0.1:3459: SO_REUSEADDR on"]);
                assert!(!output.stderr.contains("TIME_WAIT"), "{}", output.stderr);
                return;
            }
            let output = run(why(&[]).arg(&command));
            assert_eq!(output.status.code(), Some(255));
            let text = &output.stderr;
            let own = text.find("bind: : Address already in use").expect("it says so itself");
            assert!(text.find("what helps").is_some_and(|help| help < own), "{text}");
            has(
                text,
                &[
                    "bindtable: treuseaddr",
                    "bind to 127.0.0.1:3459 fails: EADDRINUSE",
                    "this socket descriptor 3, TCP, user root: SO_REUSEADDR",
                ],
            );
            has(
                text,
                &["in the way TIME_WAIT 127.0.0.1:3459 - 127.0.0.1:", ", no process,", "s left"],
            );
            has(
                text,
                match (old, new) {
                    (false, true) => &[
                        "SO_REUSEADDR on, SO_REUSEPORT off",
                        "left: SO_REUSEADDR off",
                        "the rule Both must have SO_REUSEADDR. The server that left this TIME_WAIT did \
                     not (inet_bind_conflict). what helps Wait",
                        "seconds, once: what this server leaves will have it.",
                    ],
                    (true, _) => &[
                        "SO_REUSEADDR off, SO_REUSEPORT off",
                        "left: SO_REUSEADDR on",
                        "The old one has it, this socket does not",
                        "Set SO_REUSEADDR before bind: that \
                     is enough now.",
                    ],
                    (false, _) => &[
                        "left: SO_REUSEADDR off",
                        "Neither has it",
                        "For the next time: set \
                     SO_REUSEADDR before bind",
                    ],
                },
            );
        });
    }
}

/// The TIME_WAIT is in the way by what both have of the two options, not by what one of them has.
fn time_wait_options() {
    let all = [(false, false), (true, false), (false, true), (true, true)];
    for (old, new) in all.iter().flat_map(|old| all.iter().map(move |new| (*old, *new))) {
        harness::in_namespace(|| {
            let words = |(reuseaddr, reuseport): (bool, bool)| {
                let words = [(reuseaddr, "SO_REUSEADDR"), (reuseport, "SO_REUSEPORT")];
                words.map(|(on, word)| if on { word } else { "" }).join(" ")
            };
            let output = fails(&["time_wait", &words(old), &words(new)]);
            if old.0 && new.0 || old.1 && new.1 {
                assert_eq!((&*output.stdout, &*output.stderr), ("done\n", ""), "{old:?} {new:?}");
                return;
            }
            assert_eq!(output.stdout, IN_USE, "{old:?} {new:?}");
            let is = |on| if on { "on" } else { "off" };
            let rule = match (old.0, new.0) {
                (false, true) => "The server that left this TIME_WAIT did not",
                (true, _) => "The old one has it, this socket does not",
                _ => "Neither has it",
            };
            has(
                &output.stderr,
                &[
                    &format!("SO_REUSEADDR {}, SO_REUSEPORT {}", is(new.0), is(new.1)),
                    "in the way TIME_WAIT 127.0.0.1:3459 - 127.0.0.1:",
                    &format!("s left: SO_REUSEADDR {}", is(old.0)),
                    "the rule Both must have SO_REUSEADDR.",
                    rule,
                ],
            );
        });
    }
}

fn two_binds() {
    let output = fails(&["two_binds"]);
    assert_eq!(output.stdout, IN_USE);
    let pid = pid_of(&output.stderr);
    has(
        &output.stderr,
        &[
            &format!(
                "({pid}): bind to 127.0.0.1:3459 fails: EADDRINUSE this socket descriptor 4, TCP, \
                  user root: SO_REUSEADDR off, SO_REUSEPORT off in the way LISTEN 127.0.0.1:3459, \
                  this same process, descriptor 3, bound 0."
            ),
            "s ago the rule The old socket listens. SO_REUSEADDR would not go past it \
         (inet_bind_conflict). what helps Bind once, or close descriptor 3 first.",
            &format!(
                "({pid}): SO_REUSEADDR is set on descriptor 4 after its bind failed. bind reads it: \
                  set it before, on the same socket. Here it would not help."
            ),
        ],
    );
}

fn inherited() {
    let output = fails(&["inherited"]);
    let child =
        output.stdout.strip_prefix(IN_USE).and_then(|rest| rest.trim().strip_prefix("child "));
    let child = child.unwrap_or_else(|| panic!("{}", output.stdout));
    let pid = pid_of(&output.stderr);
    has(
        &output.stderr,
        &[
            "descriptor 3, TCP, user root: SO_REUSEADDR on, SO_REUSEPORT off in the way LISTEN \
         127.0.0.1:3459: SO_REUSEADDR on. sleep",
            &format!("({child}), descriptor 3, a child, has inherited it; {pid} bound it"),
            "s ago and has closed its own the rule The old socket listens. SO_REUSEADDR does not go \
         past a listener",
            &format!(
                "what helps kill {child}. In the program: open the listener with SOCK_CLOEXEC."
            ),
        ],
    );
    // A child that the tracer has stopped at this moment is no stopped job.
    let output = fails(&["busy"]);
    has(&output.stderr, &["a child, has inherited it", "what helps kill "]);
    assert!(!output.stderr.contains("CONT"), "{}", output.stderr);
}

fn no_ports() {
    let output = fails(&["no_ports"]);
    let expected = format!("[Errno 99] Cannot assign requested address\n{IN_USE}{IN_USE}");
    assert_eq!(output.stdout, expected);
    has(
        &output.stderr,
        &[
            "connect to 127.0.0.1:3459 fails: EADDRNOTAVAIL this socket descriptor",
            "TCP, user root: not bound, so connect chooses its port in the way connections to \
         127.0.0.1:3459: 3 ESTABLISHED, 1 TIME_WAIT the rule Each connection to one destination \
         has a port of its own, and connect takes one of 40000-40003: 4 ports, 4 connections \
         (__inet_hash_connect). what helps Wait",
            "sysctl net.ipv4.ip_local_port_range=",
            "bind to 127.0.0.1:0 fails: EADDRINUSE",
            "no free port in 40000-40003: 4 ports, the reserved ones left out (inet_csk_find_open_port)",
            "IP_BIND_ADDRESS_NO_PORT",
            "bind to 127.0.0.1:0 fails: EADDRINUSE this socket descriptor",
            "(udp_lib_get_port). what helps Widen the range: sysctl",
        ],
    );
    assert_eq!(count(&output.stderr, "IP_BIND_ADDRESS_NO_PORT"), 1, "{}", output.stderr);
}

/// Listeners have the whole range: connect does not share their ports.
fn no_ports_of_listeners() {
    need(Need::Sysctls);
    let told = fails(&["no_ports_of_listeners"]).stderr;
    has(
        &told,
        &[
            "bind to 127.0.0.1:0 fails",
            "no free port in 40000-40001",
            "Widen the range: sysctl",
            "listen fails: EADDRINUSE",
            "no free port in 40000-40001",
        ],
    );
    assert!(!told.contains("IP_BIND_ADDRESS_NO_PORT"), "{told}");
}

/// Of two addresses, one has used up the range; and the socket is bound to it, without a port.
fn no_ports_of_another() {
    need(Need::Sysctls);
    has(
        &fails(&["no_ports_of_another"]).stderr,
        &[
            "bound to 127.0.0.2 without a port, so connect chooses it",
            "connections to 127.0.0.1:3459: 2 ESTABLISHED",
            "40000-40001: 2 ports, 2 connections",
        ],
    );
}

/// Two sockets of one address and one destination: by its own address, and by a wildcard.
fn same_connection() {
    for ip in ["127.0.0.1", "0.0.0.0"] {
        let told = fails(&["same_connection", ip]).stderr;
        let parts =
            [&format!("bound to {ip}:40000"), "1 ESTABLISHED", "same four-tuple exists already"];
        has(&told, &parts);
    }
}

/// Where sock_diag is refused, `/proc/net` has the connections, and the Unix sockets.
fn without_sock_diag() {
    let (scratch, folder) = (Scratch::new(), SharedFolder::new());
    let deny = compiled(&scratch, "deny", &[]);
    let folder = folder.path().to_str().expect("it is a text");
    let fails = |words: &[&str]| {
        let mut command = Command::new(&deny);
        let call = format!("{}:{}", nix::libc::SYS_socket, nix::libc::AF_NETLINK);
        command.arg(call).arg(nix::libc::EPERM.to_string());
        command.arg(program()).args(["--lang", "en", "why", "--"]).arg(python()).arg(script());
        run(command.args(words)).stderr
    };
    has(
        &fails(&["no_ports"]),
        &[
            "connections to 127.0.0.1:3459: 3 ESTABLISHED, 1 TIME_WAIT the rule",
            "40000-40003: 4 ports, 4 connections",
        ],
    );
    has(
        &fails(&["unix", folder]),
        &[
            &format!("in the way LISTEN {folder}/socket, this same process, descriptor 3"),
            "bind to ./socket fails: EADDRINUSE",
            "No process has it: it was left behind",
            "BOUND @name, this same process",
        ],
    );
}

fn option_elsewhere() {
    let output = fails(&["elsewhere"]);
    has(
        &output.stderr,
        &[
            "descriptor 5, TCP",
            "BOUND 127.0.0.1:3459, this same process, descriptor 4",
            "Both must have SO_REUSEADDR. Neither has it",
            "SO_REUSEADDR is set on descriptor 3, another socket. bind was called on 5: there it would \
             not be enough.",
        ],
    );
}

/// The JDK sets SO_REUSEPORT on a socket that it closes: that is no mistake.
fn probe_socket() {
    let output = fails(&["probe"]);
    assert_eq!(count(&output.stderr, "fails: EADDRINUSE"), 1);
    assert!(!output.stderr.contains("another socket"), "{}", output.stderr);
}

fn two_families() {
    need(Need::Ipv6);
    let output = fails(&["families"]);
    has(
        &output.stderr,
        &[
            "bind to 0.0.0.0:3459",
            "LISTEN [::]:3459, this same process, descriptor 3",
            "A socket at :: takes IPv4, too, if IPV6_V6ONLY is off.",
            "Set IPV6_V6ONLY on descriptor 3 before its bind, or leave this bind out.",
        ],
    );
}

fn worker() {
    let output = fails(&["worker"]);
    has(&output.stderr, &["LISTEN 127.0.0.1:3459", "its parent", "The parent has the port"]);
    assert!(!flat(&output.stderr).contains("kill "), "{}", output.stderr);
    need(Need::SecondUser);
    let told = fails(&["worker", "of_another_user"]).stderr;
    has(
        &told,
        &["its parent", "what helps Let one process bind, and the others inherit the socket."],
    );
}

fn siblings() {
    let output = fails(&["siblings"]);
    has(&output.stderr, &["LISTEN 127.0.0.1:3459", "a sibling", "This command starts two"]);
    assert!(!flat(&output.stderr).contains("kill "), "{}", output.stderr);
}

/// A shell and what it runs are both to end; workers of one program are not.
fn inherited_by_two() {
    let output = fails(&["inherited_by_two"]);
    let both = output.stdout.lines().next().and_then(|line| line.strip_prefix("children "));
    let both = both.unwrap_or_else(|| panic!("{}", output.stdout)).split_whitespace();
    let mut both: Vec<i32> = both.map(|pid| pid.parse().expect("a number")).collect();
    both.sort_unstable();
    let kill = format!("what helps kill {} {}.", both[0], both[1]);
    has(&output.stderr, &["a child", &kill]);
}

/// What this process has got by exec it has not bound, and the parent has it, too.
fn inherited_by_exec() {
    let told = fails(&["inherited_by_exec"]).stderr;
    has(
        &told,
        &[
            "LISTEN 127.0.0.1:3459, this same process, descriptor 3, inherited: process",
            "bound it",
            "and one more process has it",
            "use descriptor 3, without bind",
        ],
    );
    for words in ["Bind once", "SOCK_CLOEXEC"] {
        assert!(!flat(&told).contains(words), "{told}");
    }
}

/// A connection has been accepted, and not bound: its end frees nothing, the option does.
fn connection() {
    let output = fails(&["connection"]);
    has(
        &output.stderr,
        &[
            "in the way ESTABLISHED 127.0.0.1:3459",
            "a child the rule",
            "The old one has it, this socket does not",
            "what helps Set SO_REUSEADDR before bind: that is enough now.",
        ],
    );
    assert!(output.stdout.ends_with("done\n"), "{}", output.stdout);
    for words in ["inherited", "SOCK_CLOEXEC", "Bind once", "kill"] {
        assert!(!flat(&output.stderr).contains(words), "{}", output.stderr);
    }
}

/// A bind that was seen made another socket: whoever has the port now has not inherited it.
fn outsider() {
    let mut command = why(&[]);
    command.arg(python()).arg(script()).arg("closed_and_told");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::start_with_stdin(&mut command, Stdio::piped());
    drop(command); // with its copies of the pipes
    process.stdout.wait_for("ready");
    let _listener = wait_for("the port", || TcpListener::bind("127.0.0.1:3459").ok());
    process.tell(b"\n");
    process.wait();
    let told = process.stderr.to_end();
    has(&told, &["LISTEN 127.0.0.1:3459", &format!("({})", std::process::id())]);
    assert!(!flat(&told).contains("inherited"), "{told}");
}

/// A listener, and what one of its connections has left: when the one is stopped, the other is still in the way.
fn beside_time_wait() {
    let listener = hold_port();
    let client = TcpStream::connect(("127.0.0.1", PORT)).expect("it listens");
    let (server, _) = listener.accept().expect("it came");
    server.shutdown(Shutdown::Write).expect("it is connected");
    drop((server, client));
    wait_for("TIME_WAIT", || states(PORT).contains(&6).then_some(()));
    let told = fails(&["once"]).stderr;
    has(
        &told,
        &[
            "LISTEN 127.0.0.1:3459",
            "TIME_WAIT 127.0.0.1:3459",
            "kill",
            "Then wait for what is left",
        ],
    );
}

/// A TIME_WAIT at another address than the listener's has options of its own, which a bind there tells.
fn another_address() {
    has(
        &fails(&["another_address"]).stderr,
        &[
            "LISTEN 127.0.0.2:3459",
            "TIME_WAIT 127.0.0.1:3459",
            "Bind once, or close descriptor 4 first. Then wait for what is left",
        ],
    );
}

/// The process has a listener and a TIME_WAIT of it, or a connection and a TIME_WAIT: what it closes is not enough,
/// where one of both had no SO_REUSEADDR.
fn own_and_left() {
    let option = |word: &str| -> &'static str { if word == "reuse" { "SO_REUSEADDR" } else { "" } };
    let left = |[what, old, new]: [&str; 3]| {
        let mut command = Command::new("unshare"); // where nothing is left of the one before
        command
            .args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""])
            .arg(program());
        command.args(["--lang", "en", "why", "--"]).args([python(), script()]);
        run(command.args(["left", what, option(old), option(new)])).stderr
    };
    let lacks = "TIME_WAIT 127.0.0.1:3459";
    let once = "Bind once, or close descriptor 3 first. Then wait for what is left";
    for (words, parts) in [
        (["stays", "none", "reuse"], ["LISTEN 127.0.0.1:3459", lacks, once]),
        (["stays", "none", "none"], ["LISTEN 127.0.0.1:3459", lacks, once]),
        (
            ["goes", "none", "reuse"],
            [lacks, "Close descriptor", "first. Then wait for what is left"],
        ),
        (
            ["goes", "none", "none"],
            [lacks, "Close descriptor", "first. Then wait for what is left"],
        ),
        (
            ["goes", "reuse", "none"],
            [lacks, "bind was called on", "Set SO_REUSEADDR before bind: that is enough now."],
        ),
    ] {
        let told = left(words);
        parts.iter().for_each(|part| has(&told, &[part]));
        assert!(!flat(&told).contains("kill "), "{told}");
    }
    // Where both have it, the listener alone is in the way.
    let told = left(["stays", "reuse", "reuse"]);
    assert!(!told.contains("TIME_WAIT") && !told.contains("wait"), "{told}");
}

/// Another protocol, or another option, is another failure.
fn both_protocols() {
    let told = fails(&["both_protocols"]).stderr;
    has(
        &told,
        &["TCP", "this same process, descriptor 3", "UDP", "descriptor 4", "SO_REUSEADDR on"],
    );
    assert!(!told.contains("again"), "{told}");
}

/// SO_REUSEPORT of two users: that rule decides, and not that the old one listens.
fn other_user() {
    need(Need::SecondUser);
    let told = fails(&["other_user"]).stderr;
    has(&told, &["SO_REUSEPORT on", "but their users differ", "what helps Run both as one user."]);
    assert!(!flat(&told).contains("set SO_REUSEPORT in"), "{told}");
}

/// Each worker has bound its own.
fn workers() {
    let told = fails(&["workers"]).stderr;
    has(&told, &["a child, bound", "a child, bound", "Set SO_REUSEPORT before bind"]);
    assert!(!flat(&told).contains("inherited it"), "{told}");
}

/// The first thread has ended, and the others have its descriptors.
fn first_thread_ended() {
    let scratch = Scratch::new();
    let output = run(why(&[]).arg(compiled(&scratch, "leader", &["-pthread"])));
    let own = "LISTEN 127.0.0.1:3459, this same process, descriptor 3";
    has(&output.stderr, &["EADDRINUSE", own, "Bind once"]);
}

/// Of another process, too.
fn other_leader_ended() {
    let scratch = Scratch::new();
    let server = Process::start(&mut Command::new(port_refused::compiled(&scratch, "leader")));
    let pid = server.pid();
    wait_for("its listener, and the end of its leader", || {
        (states(PORT) == [10] && state(pid) == Some('Z')).then_some(())
    });
    let held = format!("LISTEN 127.0.0.1:3459: SO_REUSEADDR off. leader ({pid}), descriptor 3");
    has(&fails(&["once"]).stderr, &[&held, &format!("kill {pid}")]);
}

/// Who bound a socket has it by another descriptor now, and has not inherited it.
fn moved() {
    let told = fails(&["moved"]).stderr;
    has(
        &told,
        &["LISTEN 127.0.0.1:3459", "descriptor 4, its parent, bound", "The parent has the port"],
    );
    assert!(!flat(&told).contains("inherited it"), "{told}");
}

/// A connected socket of UDP was bound, too.
fn udp_connected() {
    let told = fails(&["udp_connected"]).stderr;
    has(
        &told,
        &["this same process, descriptor 3, bound", "Bind once, or close descriptor 3 first."],
    );
}

/// The same bind, of a socket that has IPV6_V6ONLY now, is another failure.
fn v6only() {
    need(Need::Ipv6);
    let told = fails(&["v6only"]).stderr;
    has(&told, &["LISTEN 0.0.0.0:3459", "IPV6_V6ONLY on", "LISTEN [::1]:3459"]);
    assert!(!told.contains("again"), "{told}");
}

/// The range is the socket's own, as far as the kernel takes it.
fn port_range() {
    need(Need::Sysctls);
    let told = fails(&["port_range"]).stderr;
    if harness::kernel() < (6, 3) {
        return assert!(!told.contains("IP_LOCAL_PORT_RANGE"), "{told}");
    }
    has(
        &told,
        &[
            "no free port in 40002-40002: 1 port,",
            "Widen the socket's own range: IP_LOCAL_PORT_RANGE",
            "no free port in 40000-40003: 4 ports",
            "sysctl net.ipv4.ip_local_port_range='1024 40003'",
        ],
    );
}

/// Process 1 gets the tracer for a child, and is told so.
fn process_1() {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]).arg(program());
    let output = run(command.args(["--lang", "en", "why", "--", "true"]));
    assert!(output.status.success());
    has(&output.stderr, &["this command is process 1", "docker run --init"]);
    assert!(!run(why(&[]).arg("true")).stderr.contains("process 1"));
}

/// A process that is not of this command is named, and nothing is said of kinship.
fn other_process() {
    let listener = hold_port();
    let output = fails(&["once", "reuse"]);
    let holder = std::process::id();
    has(
        &output.stderr,
        &["LISTEN 127.0.0.1:3459", &format!("({holder})"), &format!("kill {holder}")],
    );
    for word in ["sibling", "parent", "a child", "Then wait"] {
        assert!(!output.stderr.contains(word), "{}", output.stderr);
    }
    // An open connection leaves something, which the option of both goes past; one that nobody has accepted does not.
    let _client = TcpStream::connect("127.0.0.1:3459").expect("it listens");
    let told = fails(&["once"]).stderr;
    assert!(told.contains("ESTABLISHED") && !told.contains("Then "), "{told}");
    let (accepted, _) = listener.accept().expect("there is a client");
    let told = fails(&["once"]).stderr;
    has(&told, &["LISTEN", "ESTABLISHED", "Then set SO_REUSEADDR before bind: what is left"]);
    setsockopt(&accepted, ReuseAddr, &false).expect("it is a socket");
    let told = fails(&["once"]).stderr;
    has(&told, &["LISTEN", "ESTABLISHED", "Then wait for what is left", "set SO_REUSEADDR"]);
    setsockopt(&accepted, ReuseAddr, &true).expect("it is a socket");
    let told = fails(&["once", "reuse"]).stderr;
    assert!(!told.contains("ESTABLISHED") && !told.contains("Then wait"), "{told}");
}

/// Two are in the way of one: both are to be stopped. And both descriptors of one process are to be closed.
fn several() {
    let first = hold_port();
    let second = Process::start(Command::new("nc.openbsd").args(["-l", "127.0.0.2", "3459"]));
    let told = wait_for("both", || {
        let told = flat(&fails(&["any_address"]).stderr);
        told.contains("LISTEN 127.0.0.2:3459").then_some(told)
    });
    let kill = told.split_once("what helps kill ").expect("both are others").1;
    let pids: Vec<&str> = kill.split('.').next().unwrap_or_default().split(' ').collect();
    for pid in [std::process::id().to_string(), second.pid().to_string()] {
        assert!(pids.contains(&&*pid), "{told}");
    }
    drop((first, second));
    wait_for("a free port", || TcpListener::bind("127.0.0.1:3459").ok());
    let told = fails(&["two_own"]).stderr;
    has(&told, &["Bind once, or close descriptors 3, 4, 5 first."]);
    // A mapped address is one of IPv4: no IPV6_V6ONLY helps.
    let told = fails(&["mapped"]).stderr;
    has(&told, &["bind to [::ffff:127.0.0.1]:3459 fails", "close descriptor 3 first"]);
    assert!(!told.contains("Set IPV6_V6ONLY"), "{told}");
}

/// A command that has its line stands there alone, to be copied.
fn long_command() {
    let mut command = Command::new("sh");
    let words =
        "exec 3<&0; for i in $(seq 19); do sleep 1000 0<&3 3<&- & done; exec sleep 1000 3<&-";
    let listener = OwnedFd::from(hold_port());
    let server = Process::start_with_stdin(command.args(["-c", words]), listener.into());
    drop(command); // with its copy of the listener
    let told = wait_for("all of them", || {
        let mut command = Command::new(program());
        command.args(["--lang", "zh", "why", "--"]).args([python(), script()]).arg("once");
        let told = run(&mut command).stderr;
        told.contains("另外 17 个进程").then_some(told)
    });
    let kill = told.lines().find(|line| line.trim().starts_with("kill ")).expect("it is told");
    assert!(kill.ends_with(|last: char| last.is_ascii_digit()), "{told}");
    drop(server);
}

/// Of a parent and children that share a listener, each is to be stopped: not every program's workers end with it.
fn master() {
    let mut command = Command::new(python());
    let master = Process::start(command.arg(script()).arg("master"));
    master.stdout.wait_for("ready");
    let output = fails(&["once"]);
    has(
        &output.stderr,
        &[
            "LISTEN 127.0.0.1:3459",
            &format!("({}), descriptors 3, 4", master.pid()),
            &format!("what helps kill {} ", master.pid()),
        ],
    );
}

/// listen fails, and the failed socket's own row is no obstacle.
fn listen() {
    let output = fails(&["listen"]);
    has(
        &output.stderr,
        &[
            "listen on 127.0.0.1:3459 fails: EADDRINUSE this socket descriptor 4",
            "in the way LISTEN 127.0.0.1:3459, this same process, descriptor 3",
            "does not go past a listener",
        ],
    );
    assert_eq!(count(&output.stderr, "127.0.0.1:3459,"), 1);
}

fn udp() {
    let output = fails(&["udp"]);
    has(
        &output.stderr,
        &[
            "bind to 0.0.0.0:3459 fails: EADDRINUSE this socket descriptor 4, UDP, user root: \
         SO_REUSEADDR on",
            "BOUND 127.0.0.1:3459, this same process, descriptor 3",
            "udp_lib_lport_inuse",
        ],
    );
}

fn mptcp() {
    need(Need::Mptcp);
    let output = fails(&["mptcp"]);
    has(&output.stderr, &["descriptor 4, MPTCP", "LISTEN 127.0.0.1:3459, this same process"]);
}

fn unix() {
    let scratch = SharedFolder::new(); // a path that a Unix socket has room for
    let folder = scratch.path().to_str().expect("it is a text");
    let output = fails(&["unix", folder]);
    has(
        &output.stderr,
        &[
            &format!(
                "bind to {folder}/socket fails: EADDRINUSE this socket descriptor 4, Unix, user \
                  root in the way LISTEN {folder}/socket, this same process, descriptor 3"
            ),
            "Bind once. Closing the first socket leaves the path: unlink(2) removes it.",
            "bind to ./socket fails: EADDRINUSE",
            "No process has it: it was left behind",
            &format!("rm {folder}/socket"),
            "bind to @name fails: EADDRINUSE",
            "BOUND @name, this same process",
            "fails: EINVAL",
            "This socket is bound already",
        ],
    );
    assert_eq!(count(&flat(&output.stderr), "fails: "), 4, "{}", output.stderr); // not the ENOENT
}

/// What was accepted is in nobody's way, nor is a socket of another type with the same abstract name.
fn unix_accepted() {
    let folder = SharedFolder::new();
    let path = folder.path().join("socket");
    let told = fails(&["unix_accepted", path.to_str().expect("it is a text")]).stderr;
    for (name, descriptor) in [(path.to_str().expect("it is a text"), 4), ("@accepted", 4)] {
        has(
            &told,
            &[
                &format!("bind to {name} fails"),
                &format!("in the way LISTEN {name}, this same process, descriptor {descriptor}"),
                "the rule",
            ],
        );
    }
    assert_eq!(count(&told, "BOUND") + count(&told, "a child"), 0, "{told}");
    let told = fails(&["unix_bound"]).stderr;
    has(&told, &["in the way BOUND @both, this same process, descriptor 4,", "fails: EINVAL"]);
    assert_eq!(count(&told, "BOUND"), 1, "{told}");
    assert!(!flat(&told).contains("bound already"), "{told}");
}

/// bind follows no link, and what is to be removed is the link.
fn unix_links() {
    let folder = SharedFolder::new();
    let path = folder.path().to_str().expect("it is a text");
    let told = fails(&["unix_links", path]).stderr;
    for name in ["nothing", "link"] {
        has(
            &told,
            &[
                &format!("bind to {path}/{name} fails"),
                "does not follow the symbolic link that is there",
                &format!("Remove it: rm {path}/{name}."),
            ],
        );
    }
    has(&told, &[&format!("bind to {path}/live fails"), "symbolic link", "Use another path."]);
    let remove = format!("Remove it: rm '{path}/a  b'.");
    assert!(told.contains(&remove), "{told}"); // a command is told with its spaces
    has(&told, &["EINVAL", "The address is 202 bytes long"]);
    let mut command = why(&["--format", "json"]);
    let folder = SharedFolder::new();
    let told = run(command.arg(python()).arg(script()).arg("unix_links").arg(folder.path())).stderr;
    assert!(told.contains("/a  b\","), "{told}");
}

/// A file that was renamed since the bind has its socket still, and what is advised frees the path.
fn unix_renamed() {
    let folder = SharedFolder::new();
    let mut command = Command::new(python());
    let server = Process::start(command.arg(script()).arg("unix_renamed").arg(folder.path()));
    server.stdout.wait_for("ready");
    let path = folder.path().join("name");
    let words = ["unix_once", path.to_str().expect("it is in UTF-8")];
    let told = fails(&words).stderr;
    let kill = format!("kill {} && rm -f {}", server.pid(), path.display());
    has(&told, &["a process has it", &format!("what helps {kill}.")]);
    let output = run(Command::new("sh").args(["-c", &kill]));
    assert!(output.status.success(), "{}", output.stderr);
    assert_eq!(fails(&words).stderr, "", "the path is free");
    // What systemd holds is its unit's.
    let link = folder.path().join("systemd");
    std::os::unix::fs::symlink(python(), &link).expect("the folder is ours");
    let mut command = Command::new(&link);
    let server = Process::start(command.arg(script()).arg("unix_renamed").arg(folder.path()));
    server.stdout.wait_for("ready");
    let stop = format!("awk '$1 ~ \"^{}$\" {{print $3;", path.display());
    let told = fails(&words).stderr;
    has(&told, &["systemctl stop $(systemctl list-sockets --no-legend", &stop, "&& rm -f"]);
    drop(server);
    fs::remove_file(&path).expect("it is ours");
    // No option lets two have a path.
    let path = folder.path().join("other");
    let told = fails(&["unix_worker", path.to_str().expect("it is in UTF-8")]).stderr;
    has(&told, &["a process has it", "what helps Let one process bind the path"]);
}

/// The path is the reader's, whatever it is for the program; if the reader has none, it is the program's.
fn unix_elsewhere() {
    let shared = SharedFolder::new();
    let folder = shared.path().to_str().expect("it is a text");
    fs::create_dir(shared.path().join("real")).expect("it is ours");
    std::os::unix::fs::symlink("/real", shared.path().join("linked")).expect("it is ours");
    // A link that begins with a slash, and more than one step up, end in the process's root folder.
    for (how, real) in [("linked", "real/linked"), ("up", "up")] {
        let told = fails(&["unix_left", folder, how]).stderr;
        has(&told, &["left behind", &format!("rm {folder}/{real}.")]);
    }
    for how in ["path", "chroot", "link"] {
        has(
            &fails(&["unix_left", folder, how]).stderr,
            &["left behind", &format!("rm {folder}/{how}.")],
        );
    }
    let mut command = why(&[]);
    let mount = "mount -t tmpfs none \"$3\" && exec \"$0\" \"$@\"";
    command.args(["unshare", "--mount", "sh", "-c", mount]).args([python(), script()]);
    let told = run(command.args(["unix_left", folder, "mounted"])).stderr;
    has(&told, &["left behind", &format!("Remove {folder}/mounted where this program runs")]);
    // A holder in another network namespace shares the folder.
    let path = shared.path().join("first");
    let mut command = Command::new("unshare");
    command.arg("--net").args([python(), script()]).arg("unix_renamed").arg(shared.path());
    let holder = Process::start(&mut command);
    holder.stdout.wait_for("ready");
    let told =
        fails(&["unix_once", path.with_file_name("name").to_str().expect("it is a text")]).stderr;
    let pid = holder.pid();
    has(
        &told,
        &["LISTEN", &format!("({pid})"), "a process has it", &format!("kill {pid} && rm -f")],
    );
    let told = fails(&["unix_elsewhere", folder]).stderr;
    has(&told, &["LISTEN", "a child", "a process has it"]);
    if harness::kernel() < (5, 9) {
        return; // of which two tmpfs share no number
    }
    // Another file system has a file with that name and number.
    let mut command = why(&[]);
    let mount = "mkdir \"$3/a\" \"$3/b\" && mount -t tmpfs none \"$3/a\" && mount -t tmpfs none \"$3/b\" && \
                 exec \"$0\" \"$@\"";
    command.args(["unshare", "--mount", "sh", "-c", mount]).args([python(), script()]);
    let told = run(command.args(["unix_alike", folder])).stderr;
    has(&told, &["left behind", &format!("{folder}/b/same")]);
    assert!(!flat(&told).contains("kill "), "{told}");
}

fn unix_refused() {
    need(Need::SecondUser); // in a namespace of one user, root may do everything
    let folder = SharedFolder::new();
    let listener = std::os::unix::net::UnixListener::bind(folder.path().join("socket"));
    let _listener = listener.expect("the folder is ours");
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("left")));
    let copy = folder.copy(&program());
    let mut command = Command::new(AS_NOBODY[0]);
    command.args(&AS_NOBODY[1..]).arg(copy).args(["--lang", "en", "why", "--"]);
    let script = folder.copy(&script());
    let output = run(command.arg(python()).arg(script).arg("closed_unix").arg(folder.path()));
    has(
        &output.stderr,
        &[
            "/other fails: EACCES",
            "bind makes the file, and this user may not write in",
            "connect to",
            "/socket fails: EACCES",
            "connect needs write permission for",
            "/left fails: EADDRINUSE",
            "This user cannot find out whether a process has it",
            "as root",
        ],
    );
    // In a sticky folder, only its owner may remove it.
    let left = folder.path().join("left");
    for (mode, path) in [("1777", folder.path()), ("777", &left)] {
        assert!(run(Command::new("chmod").arg(mode).arg(path)).status.success());
    }
    let mut command = Command::new(AS_NOBODY[0]);
    command.args(&AS_NOBODY[1..]).arg(folder.path().join("bindtable"));
    command.args(["--lang", "en", "why", "--"]).arg(python());
    let told = run(command.arg(folder.path().join("fails.py")).arg("unix_once").arg(&left)).stderr;
    has(&told, &["No process has it", &format!("as root, rm {}. Or use another", left.display())]);
}

fn addresses() {
    need(Need::Ipv6);
    let output = fails(&["addresses"]);
    has(
        &output.stderr,
        &[
            "bind to 192.0.2.1:3459 fails: EADDRNOTAVAIL",
            "No interface of this network namespace has the address 192.0.2.1",
            "ip -brief address",
            "bind to [fe80::1]:3459 fails: EINVAL",
            "fe80::1 is link-local",
            "bind to 127.0.0.1:3460 fails: EINVAL",
            "This socket is bound to 127.0.0.1:3459 already",
            "connect to 127.255.255.255:3459 fails: EACCES",
            "SO_BROADCAST",
            "fails: EINVAL",
            "This socket is connected, or is connecting, and so it cannot listen (inet_listen)",
            "bind to [::ffff:127.0.0.1]:3461 fails: EINVAL",
            "IPV6_V6ONLY keeps this socket from it",
            "bind to [ff02::1]:3461 fails: EINVAL",
            "ff02::1 is link-local",
            "bind to [ff02::1]:3461 fails: EINVAL",
            "TCP has no groups",
            "listen fails: EINVAL",
            "this one is not bound (unix_listen)",
            "connect to [fe80::1]:3459 fails: EINVAL",
            "fe80::1 is link-local",
            "bind to 127.0.0.1:3462 fails: EINVAL",
            "Use ::ffff:127.0.0.1 in a sockaddr_in6",
            "connect to 192.0.2.2:3459 fails: EINVAL this socket descriptor",
            "bound to 127.0.0.1, from which nothing leads to another machine",
            "connect to 192.0.2.2:3459 fails: EINVAL this socket descriptor",
            "Leave bind out: then connect chooses the address.",
        ],
    );
}

/// No address leads there: that is no lack of ports.
fn no_ipv6() {
    need(Need::Ipv6);
    need(Need::Sysctls);
    let told = fails(&["no_ipv6"]).stderr;
    let none = "No address of this network namespace leads to ::1";
    has(&told, &["connect to [::1]:3459", "TCP", none, "connect to [::1]:3459", "UDP", none]);
    has(&told, &["bind to [::1]:3459 fails: EADDRNOTAVAIL", "has the address ::1", "or ::."]);
    assert!(!told.contains("__inet_hash_connect"), "{told}");
}

/// An address that is there, and that bind refuses, since duplicate address detection waits for its link.
fn tentative() {
    need(Need::Ipv6);
    set_sysctl("net.ipv6.conf.default.accept_dad", 1);
    for words in [
        "link add one type veth peer name other",
        "link set one up",
        "address add 2001:db8::5/64 dev one",
    ] {
        assert_eq!(run(Command::new("ip").args(words.split(' '))).stderr, "", "{words}");
    }
    let told = fails(&["one_address", "2001:db8::5"]).stderr;
    has(&told, &["EADDRNOTAVAIL", "2001:db8::5 is there, but still tentative", "ip -6 address"]);
}

fn privileged() {
    let mut command = harness::unprivileged(why(&[]).arg(python()).arg(script()).arg("privileged"));
    let folder = SharedFolder::new();
    if has_two_users() {
        command = Command::new(AS_NOBODY[0]);
        command.args(&AS_NOBODY[1..]).arg(folder.copy(&program()));
        command.args(["--lang", "en", "why", "--"]).arg(python());
        command.arg(folder.copy(&script())).arg("privileged");
    }
    let output = run(&mut command);
    let refused = ["bind to 127.0.0.1:80 fails: EACCES", "CAP_NET_BIND_SERVICE"];
    has(&output.stderr, &refused);
    // A user namespace's root has the capability, but not over this network.
    need(Need::UserNamespaces);
    let mut command = why(&[]);
    command.args(["unshare", "--user", "--map-root-user"]).arg(python()).arg(script());
    has(&run(command.arg("privileged")).stderr, &refused);
}

/// A thousand failures: one explanation, and one line.
fn retries() {
    let start = Instant::now();
    let output = fails(&["retries"]);
    assert_eq!(output.stdout, "done\n");
    assert_eq!(count(&output.stderr, "this socket"), 1, "{}", output.stderr);
    assert_eq!(count(&flat(&output.stderr), "fails: EADDRINUSE: again, 999 times"), 1);
    assert!(start.elapsed() < Duration::from_secs(30));
}

fn retries_beside_clients() {
    let told = fails(&["retries_beside_clients"]).stderr;
    assert_eq!(count(&told, "the rule"), 1, "{told}");
    has(&told, &["LISTEN 0.0.0.0:3459", "fails: EADDRINUSE: again, 4 times"]);
}

/// A failure that has come again with another reason is explained anew.
fn changes() {
    let output = fails(&["changes"]);
    has(
        &output.stderr,
        &[
            "this same process, descriptor 3",
            "fails: EADDRINUSE: again, 2 times",
            "descriptor 3, a child, has inherited it",
            "close the listener in the child",
            "fails: EADDRINUSE: again, once",
            "BOUND 127.0.0.1:3459",
            "this same process, descriptor",
        ],
    );
    assert_eq!(count(&output.stderr, "the rule"), 3, "{}", output.stderr);
}

fn threads() {
    let output = fails(&["thread"]);
    has(&output.stderr, &["bind to 127.0.0.1:3459", "this same process, descriptor 3"]);
    let output = fails(&["threads_exec"]);
    has(&output.stderr, &["bind to 127.0.0.1:3459", "this same process", "after its bind failed"]);
}

/// Root's command in a network namespace and a PID namespace of its own.
fn other_namespace() {
    let script_of = |name: &str| {
        let (python, script) = (python(), script());
        format!("busybox ifconfig lo up && exec {} {} {name}", quoted(&python), quoted(&script))
    };
    let script = script_of("two_binds");
    let mut command = why(&[]);
    let output = run(command
        .args(["unshare", "--net", "--pid", "--fork", "--mount-proc"])
        .args(["sh", "-c", &script]));
    has(
        &output.stderr,
        &[
            "in its PID namespace): bind to 127.0.0.1:3459 fails: EADDRINUSE",
            "this same process, descriptor 3",
            "after its bind failed",
        ],
    );
    // What is advised of its range is for its namespace.
    need(Need::Sysctls);
    let script = script_of("no_ports_of_listeners");
    let told = run(why(&[]).args(["unshare", "--net", "sh", "-c", &script])).stderr;
    let pid = pid_of(&told);
    has(&told, &[&format!("Widen the range: nsenter -t {pid} -n sysctl net.ipv4.ip_local")]);
}

/// A socket is looked for where it is, and not where its process is now.
fn socket_of_another_namespace() {
    let output = fails(&["two_namespaces"]);
    assert_eq!(output.stdout, format!("{IN_USE}done\n"), "{}", output.stderr);
    has(
        &output.stderr,
        &["LISTEN 127.0.0.1:3459, this same process, descriptor 3, bound", "Bind once"],
    );
}

/// A user's namespaces: the tracer is outside.
fn namespaces_of_a_user() {
    need(Need::UserNamespaces); // or this process is in one already
    let folder = SharedFolder::new();
    let script = format!(
        "busybox ifconfig lo up && exec {} {} inherited",
        quoted(&python()),
        quoted(&folder.copy(&script()))
    );
    let mut command = Command::new(AS_NOBODY[0]);
    command.args(&AS_NOBODY[1..]).arg(folder.copy(&program()));
    command.args(["--lang", "en", "why", "--", "unshare", "--user", "--map-root-user", "--net"]);
    let output = run(command.args(["sh", "-c", &script]));
    has(&output.stderr, &["LISTEN 127.0.0.1:3459: SO_REUSEADDR on", "a child, has inherited it"]);
}

fn ordinary_user() {
    need(Need::SecondUser);
    let folder = SharedFolder::new();
    let mut command = Command::new(AS_NOBODY[0]);
    command.args(&AS_NOBODY[1..]).arg(folder.copy(&program())).args(["--lang", "en", "why", "--"]);
    let output = run(command.arg(python()).arg(folder.copy(&script())).arg("two_binds"));
    has(
        &output.stderr,
        &[
            "descriptor 4, TCP, user nobody",
            "this same process, descriptor 3",
            "after its bind failed",
        ],
    );
    // Another user's listener: its process cannot be seen.
    let _listener = hold_port();
    let mut command = Command::new(AS_NOBODY[0]);
    command.args(&AS_NOBODY[1..]).arg(folder.path().join("bindtable"));
    command.args(["--lang", "en", "why", "--"]).arg(python());
    let output = run(command.arg(folder.path().join("fails.py")).arg("once"));
    has(&output.stderr, &["LISTEN 127.0.0.1:3459. Its process cannot be seen (user root)"]);
    // Nor can its options: that both had SO_REUSEPORT is not known.
    let mut command = Command::new(AS_NOBODY[0]);
    command.args(&AS_NOBODY[1..]).arg(folder.path().join("bindtable"));
    command.args(["--lang", "en", "why", "--"]).arg(python());
    let output = run(command.arg(folder.path().join("fails.py")).args(["once", "share"]));
    has(&output.stderr, &["SO_REUSEPORT on", "The old socket listens"]);
}

/// A user traces a setuid program: that is said, once. Root's tracer changes nothing.
fn setuid() {
    need(Need::FilePrivileges);
    let folder = SharedFolder::new();
    let copy = folder.copy(&program());
    let id = folder.copy(&which("id").expect("coreutils"));
    let run_id = |start: &[&str], traced: bool| {
        let mut command = Command::new(start[0]);
        command.args(&start[1..]);
        if traced {
            command.arg(&copy).args(["--lang", "en", "why", "--"]);
        }
        run(command.arg(&id).arg("--user"))
    };
    run(Command::new("chmod").arg("4755").arg(&id));
    assert_eq!(run_id(&AS_NOBODY, false).stdout, "0\n");
    let output = run_id(&AS_NOBODY, true);
    assert_eq!(output.stdout, "65534\n");
    has(&output.stderr, &["id (", "starts without the privilege that its file gives"]);
    assert_eq!(count(&output.stderr, "privilege"), 1);
    let as_root = ["setpriv", "--reuid=0"];
    let output = run_id(&as_root, true);
    assert_eq!((&*output.stdout, &*output.stderr), ("0\n", ""));
    // Root's filter leaves the privilege to what root starts for a user.
    let mut command = why(&[]);
    let output = run(command.args(AS_NOBODY).arg(&id).arg("--user"));
    assert_eq!((&*output.stdout, &*output.stderr), ("0\n", ""));
}

/// The same of capabilities: a program that may bind low ports alone may not under a user's tracer.
fn file_capabilities() {
    need(Need::FilePrivileges);
    let folder = SharedFolder::new();
    let (copy, script) = (folder.copy(&program()), folder.copy(&script()));
    let python = folder.copy(&python());
    // struct vfs_cap_data of capability.h: revision 2, effective; CAP_NET_BIND_SERVICE is permitted.
    let set = "import os, struct, sys; \
        os.setxattr(sys.argv[1], 'security.capability', struct.pack('<5I', 0x02000001, 1 << 10, 0, 0, 0))";
    let set = run(Command::new("python3").args(["-c", set]).arg(&python));
    assert!(set.status.success(), "{}", set.stderr);
    let bind = |command: &mut Command| run(command.arg(&python).arg(&script).arg("privileged"));
    let as_nobody = || {
        let mut command = Command::new(AS_NOBODY[0]);
        command.args(&AS_NOBODY[1..]);
        command
    };
    assert_eq!(bind(&mut as_nobody()).stdout, "done\n");
    let output = bind(as_nobody().arg(&copy).args(["--lang", "en", "why", "--"]));
    has(
        &output.stderr,
        &[
            "starts without the privilege that its file gives",
            "bind to 127.0.0.1:80 fails: EACCES",
            "The program's file has capabilities, which are void while an ordinary user traces: run \
             bindtable why as root.",
        ],
    );
    let output = bind(why(&[]).args(AS_NOBODY));
    assert_eq!((&*output.stdout, &*output.stderr), ("done\n", ""));
}

fn chinese() {
    need(Need::Ipv6); // of two of them
    for mode in [
        "two_binds",
        "inherited",
        "no_ports",
        "elsewhere",
        "families",
        "worker",
        "siblings",
        "listen",
        "udp",
        "addresses",
        "retries",
    ] {
        harness::in_namespace(|| {
            let mut command = Command::new(program());
            command.args(["--lang", "zh", "why", "--"]).arg(python());
            let output = run(command.arg(script()).arg(mode));
            flat(&output.stderr);
            assert!(output.stderr.contains("失败：E"), "{mode}: {}", output.stderr);
            is_chinese(&output.stderr);
        });
    }
}

fn json() {
    let output = run(why(&["--format", "json"]).arg(python()).arg(script()).arg("two_binds"));
    let events: Vec<Value> = output
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let [failure, mistake] = &events[..] else { panic!("{events:?}") };
    assert_eq!(failure["event"], "failure");
    assert_eq!(failure["call"], "bind");
    assert_eq!(failure["error"], "EADDRINUSE");
    assert_eq!(failure["protocol"], "tcp");
    assert_eq!((&failure["address"], &failure["port"]), (&"127.0.0.1".into(), &3459.into()));
    assert_eq!((&failure["descriptor"], &failure["reuseaddr"]), (&4.into(), &false.into()));
    assert_eq!(failure["rule"]["reason"], "listens");
    assert_eq!(failure["mistakes"][0]["mistake"], "bound-twice");
    let old = &failure["sockets"][0];
    assert_eq!((&old["state"], &old["relation"]), (&"LISTEN".into(), &"same".into()));
    assert_eq!(old["processes"][0]["pid"], failure["pid"]);
    assert_eq!(
        (&mistake["event"], &mistake["pid"]),
        (&"option-after-bind".into(), &failure["pid"])
    );
}

fn output() {
    let scratch = Scratch::new();
    let file = scratch.path().join("explanations");
    let mut command = Command::new(program());
    command.current_dir(scratch.path()).args(["why", "--lang", "en", "--output", "explanations"]);
    let output = run(command.arg("--").arg(python()).arg(script()).arg("two_binds"));
    assert_eq!((&*output.stdout, &*output.stderr), (IN_USE, ""));
    let text = fs::read_to_string(file).expect("it was made");
    has(&text, &["this same process, descriptor 3", "after its bind failed"]);
}

/// `--pid`: a process that runs already.
fn running() {
    let mut command = Command::new(python());
    command.arg(script()).arg("until_told").stdout(Stdio::piped());
    let mut process = Process::start_with_stdin(&mut command, Stdio::piped());
    process.stdout.wait_for("ready");
    let pid = process.pid().to_string();
    let mut traced =
        Process::start(Command::new(program()).args(["--lang", "en", "why", "--pid", &pid]));
    wait_for("the tracer", || tracer_of(process.pid()));
    process.tell(b"\n");
    assert_eq!((process.wait(), traced.wait()), (0, 0));
    has(
        &traced.stderr.to_end(),
        &[
            &format!("({pid}): bind to 127.0.0.1:3459"),
            "this same process",
            "after its bind failed",
        ],
    );
}

/// Ctrl+C ends `--pid`, which says before how often a failure has come again; an ignored signal does not end it.
fn running_again() {
    let mut command = Command::new(python());
    command.arg(script()).arg("until_told_again").stdout(Stdio::piped());
    let mut process = Process::start_with_stdin(&mut command, Stdio::piped());
    process.stdout.wait_for("ready");
    let script = "trap '' HUP CHLD; exec \"$0\" --lang en why --pid \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(program()).arg(process.pid().to_string());
    let mut traced = Process::start(&mut command);
    wait_for("the tracer", || tracer_of(process.pid()));
    process.tell(b"\n");
    process.stdout.wait_for("told");
    traced.signal(Signal::SIGHUP);
    traced.signal(Signal::SIGINT);
    assert_eq!(traced.wait(), -2);
    has(&traced.stderr.to_end(), &["this same process", "fails: EADDRINUSE: again, 2 times"]);
    assert_ne!(state(process.pid()), Some('Z'), "it runs on");
}

/// `--pid` of a process whose first thread has ended, and by the number of another thread.
fn running_leader_ended() {
    let scratch = Scratch::new();
    let server = Process::start(&mut Command::new(port_refused::compiled(&scratch, "leader")));
    let pid = server.pid();
    wait_for("the end of its first thread", || (state(pid) == Some('Z')).then_some(()));
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let numbers = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers {
        let mut command = Command::new(program());
        let mut traced = Process::start(command.args(["why", "--pid", &number.to_string()]));
        wait_for("the tracer", || {
            let mut tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
            let is_traced = |task: fs::DirEntry| {
                let task = task.file_name().to_str()?.parse().ok()?;
                tracer_of(Pid::from_raw(task)).filter(|tracer| *tracer == traced.pid())
            };
            tasks.find_map(|task| is_traced(task.ok()?))
        });
        traced.signal(Signal::SIGINT);
        assert_eq!(traced.wait(), -2);
    }
}

/// Ctrl+C ends `--pid`, and the process runs on.
fn running_threads() {
    let code = "import threading, time\n\
        for i in range(20): threading.Thread(target=time.sleep, args=(100,), daemon=True).start()\n\
        print('ready', flush=True)\ninput()";
    let mut command = Command::new(python());
    command.args(["-c", code]).stdout(Stdio::piped());
    let mut process = Process::start_with_stdin(&mut command, Stdio::piped());
    process.stdout.wait_for("ready");
    let pid = process.pid().to_string();
    let mut traced = Process::start(Command::new(program()).args(["why", "--pid", &pid]));
    let tracers = || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
        let tracer = |task: fs::DirEntry| {
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let its = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
            its.trim().parse::<i32>().ok()
        };
        tasks.filter_map(Result::ok).filter_map(tracer).collect::<Vec<i32>>()
    };
    wait_for("21 traced threads", || {
        let all = tracers();
        (all.len() == 21 && all.iter().all(|tracer| *tracer == traced.pid().as_raw())).then_some(())
    });
    traced.signal(Signal::SIGINT);
    assert_eq!(traced.wait(), -2);
    wait_for("no tracer", || tracers().iter().all(|tracer| *tracer == 0).then_some(()));
    process.tell(b"\n");
    assert_eq!(process.wait(), 0);
}

/// Every signal with its value, stops and waits: the same with and without a tracer.
fn signals() {
    let scratch = Scratch::new();
    let program = compiled(&scratch, "signals", &[]);
    let log = |command: &mut Command| {
        let mut process = Process::start(command);
        let (pid, screen, mut stops) = (process.pid(), process.stdout.clone(), 0);
        let screen = || screen.text();
        let status = harness::wait_showing("the end", screen, || {
            // Its parent sees that it has stopped, once, and continues it.
            let stopped = waitid(Id::Pid(pid), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG);
            if stopped == Ok(WaitStatus::Stopped(pid, Signal::SIGSTOP)) {
                stops += 1;
                kill(pid, Signal::SIGCONT).expect("it stands still");
            }
            process.ended()
        });
        (status, stops, process.stdout.to_end())
    };
    let alone = log(&mut Command::new(&program));
    assert_eq!((alone.0.signal(), alone.1), (Some(Signal::SIGUSR1 as i32), 1), "{}", alone.2);
    assert!(alone.2.contains("queued 40: got 40 code -1 value 1040"), "{}", alone.2);
    assert!(alone.2.contains("wait: -1 No child processes"), "{}", alone.2);
    assert_eq!(log(why(&[]).arg(&program)), alone);
}

/// ERESTARTSYS is no failure: the call goes on after the signal.
fn restarted() {
    let output = fails(&["restarted"]);
    assert_eq!((&*output.stdout, &*output.stderr), ("done\nsignals 1\n", ""));
}

/// A shell with job control: Ctrl+C, Ctrl+Z and fg, as without a tracer.
fn terminal() {
    let mut terminal = Terminal::new();
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", "bash", "--norc", "-i"]).env("PS1", "").env("TERM", "dumb");
    let _shell = Process::start_at_terminal(&mut command, &terminal);
    let output = terminal.output.clone();
    let path = quoted(&program());
    let line = format!("{path} why -- sh -c 'echo p''id $$.; exec sleep 1000'\n");
    terminal.type_in(line.as_bytes());
    let pid = wait_for("the command", || {
        let said = output.text();
        let number = said.split_once("\npid ")?.1.split_once('.')?.0;
        number.parse().ok().map(Pid::from_raw)
    });
    wait_for("its sleep", || (state(pid) == Some('S')).then_some(()));
    terminal.type_in(b"\x1a");
    output.wait_for("Stopped");
    terminal.type_in(b"echo sto''pped $?\n");
    output.wait_for("stopped 148");
    assert!(matches!(state(pid), Some('T' | 't')), "its parent was told so, but it runs");
    terminal.type_in(b"fg\n");
    wait_for("its sleep", || (state(pid) == Some('S')).then_some(()));
    terminal.type_in(b"\x03");
    terminal.type_in(b"echo en''ded $?\n");
    output.wait_for("ended 130");
    wait_for("the end", || state(pid).is_none().then_some(()));
}

/// The command has the streams, the descriptors, the signals and the folder that it would have had.
fn streams() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let (alone, traced) = (folder.join("alone"), folder.join("traced"));
    for redirection in ["", "<&-", ">&-", "2>&-", "<&- >&- 2>&-", "9</dev/null"] {
        for ignored in ["", "trap '' PIPE; ", "trap '' HUP INT; "] {
            let seen = |before: &str, file: &Path| {
                let line = format!(
                    "{ignored}{before}{} {} streams {} {redirection}",
                    quoted(&python()),
                    quoted(&script()),
                    quoted(file)
                );
                let output = run(Command::new("sh").args(["-c", &line]).current_dir(folder));
                assert!(output.status.success(), "{line}: {}", output.stderr);
                fs::read_to_string(file).expect("it was written")
            };
            let before = format!("{} why -- ", quoted(&program()));
            assert_eq!(seen("", &alone), seen(&before, &traced), "{ignored} {redirection}");
        }
    }
}

fn closed_stderr() {
    let line = format!(
        "{} why -- {} {} two_binds 2>&-",
        quoted(&program()),
        quoted(&python()),
        quoted(&script())
    );
    let output = run(Command::new("sh").args(["-c", &line]));
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), IN_USE));
    // A reader that has gone.
    let line = format!(
        "{} why -- {} {} two_binds 2>&1 >&3 | true",
        quoted(&program()),
        quoted(&python()),
        quoted(&script())
    );
    let output = run(Command::new("sh").args(["-c", &format!("{{ {line}; }} 3>&1")]));
    assert_eq!(output.stdout, IN_USE);
}

/// A pipe that nobody reads, blocking or not: the program runs on.
fn full_stderr() {
    for nonblocking in [false, true] {
        let (reader, writer) =
            nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("descriptors are left");
        let flags = nix::fcntl::OFlag::O_NONBLOCK;
        nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(flags)).expect("it is a pipe");
        let mut writing = File::from(writer.try_clone().expect("descriptors are left"));
        while writing.write(&[b'.'; 4096]).is_ok() {}
        if !nonblocking {
            let none = nix::fcntl::OFlag::empty();
            nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(none)).expect("it is a pipe");
        }
        let mut command = why(&[]);
        command.arg(python()).arg(script()).arg("two_binds").stderr(writer).stdout(Stdio::piped());
        let mut process = Process::start_as_is(&mut command);
        assert_eq!((process.wait(), &*process.stdout.to_end()), (0, IN_USE));
        drop(reader);
    }
}

/// What was lost is counted, and said once there is room again.
fn lost() {
    let (reader, writer) = std::io::pipe().expect("descriptors are left");
    let mut filler = writer.try_clone().expect("descriptors are left");
    let filled = nix::fcntl::fcntl(&filler, nix::fcntl::FcntlArg::F_GETPIPE_SZ);
    let filled = filled.expect("it is a pipe") as usize;
    filler.write_all(&vec![b'.'; filled]).expect("there is room");
    drop(filler);
    let mut command = why(&[]);
    command.arg(python()).arg(script()).arg("told_twice").stdout(Stdio::piped()).stderr(writer);
    let (stdin, mut typed) = std::io::pipe().expect("descriptors are left");
    let mut process = Process::start_with_stdin(&mut command, stdin.into());
    drop(command); // with its copies of the pipes
    let says = |what: &str| process.stdout.wait_for(what);
    says("ready");
    typed.write_all(b"\n").expect("it reads");
    says(&format!("ready\n{IN_USE}ready"));
    let told = Stream::of(reader);
    wait_for("room", || (told.text().len() == filled).then_some(()));
    typed.write_all(b"\n").expect("it reads");
    assert_eq!(process.wait(), 0);
    has(
        &told.to_end()[filled..],
        &[
            "2 explanations are lost: nobody took them for a second. A file keeps them: --output FILE.",
            "this same process, descriptor 3",
            "after its bind failed",
        ],
    );
}

/// Whoever has started it may ignore SIGCHLD, so that no child is waited for.
fn ignored_child() {
    let start = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = Command::new(python());
    command.args(["-c", start]).arg(program()).args(["--lang", "en", "why", "--"]);
    let output = run(command.arg(python()).arg(script()).arg("two_binds"));
    has(&output.stderr, &["fails: EADDRINUSE"]);
    assert_eq!(output.status.code(), Some(0));
}

/// What a group lets in is told.
fn shared() {
    let mut command = Command::new(python());
    let holder = Process::start(command.arg(script()).arg("hold_shared"));
    holder.stdout.wait_for("ready");
    let kill = format!("what helps kill {}.", holder.pid());
    let told = fails(&["once"]).stderr;
    has(&told, &["Or both must have SO_REUSEPORT", &kill, "Set SO_REUSEPORT before bind"]);
    assert_eq!(fails(&["once", "share"]).stderr, "", "it helps");
}

/// The command ends, and a daemon of it goes on: the reader of its pipe sees an end, and the daemon is
/// traced all the same.
fn daemon() {
    let scratch = Scratch::new();
    let (told, file) = (scratch.path().join("told"), scratch.path().join("explanations"));
    let output = fails(&["daemon", told.to_str().expect("it is a text")]);
    assert_eq!(output.status.code(), Some(0));
    fs::write(&told, "").expect("it is ours");
    wait_for("the end of the daemon", || (!told.exists()).then_some(()));

    let path = file.to_str().expect("it is a text");
    let mut command = why(&["--output", path]);
    let output = run(command.arg(python()).arg(script()).arg("daemon").arg(&told));
    assert_eq!(output.status.code(), Some(0));
    fs::write(&told, "").expect("it is ours");
    wait_for("the explanation", || {
        let text = fs::read_to_string(&file).expect("it was made");
        flat(&text).contains("Bind once, or close descriptor").then_some(())
    });
}

fn second_tracer() {
    // Within: strace is told, and the reader why.
    let output = run(why(&[]).args(["strace", "true"]));
    assert_eq!(output.status.code(), Some(1));
    has(
        &output.stderr,
        &["strace (", "cannot trace: bindtable why is the tracer of everything here"],
    );
    // Around it.
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "/dev/null"]).arg(program()).args(["why", "--", "true"]);
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(125), "{}", output.stderr);
    has(&output.stderr, &["bindtable: it cannot be traced: strace (", "traces it already"]);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
}

/// The tracer of a process.
fn tracer_of(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
    tracer.trim().parse().ok().filter(|tracer| *tracer != 0).map(Pid::from_raw)
}

fn until_told() -> (Process, Pid) {
    let mut command = why(&[]);
    command.arg(python()).arg(script()).arg("until_told");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = Process::start_with_stdin(&mut command, Stdio::piped());
    process.stdout.wait_for("ready");
    let tracer = tracer_of(process.pid()).expect("it is traced");
    (process, tracer)
}

/// As `--help` says: the calls fail, and nothing is left standing.
fn tracer_killed() {
    let (mut process, tracer) = until_told();
    kill(tracer, Signal::SIGKILL).expect("it runs");
    wait_for("no tracer", || tracer_of(process.pid()).is_none().then_some(()));
    process.tell(b"\n");
    process.wait();
    let said = process.stderr.to_end();
    assert!(said.contains("Function not implemented"), "{said}");
}

fn tracer_ignores() {
    let (mut process, tracer) = until_told();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        kill(tracer, signal).expect("it runs");
    }
    process.tell(b"\n");
    assert_eq!(process.wait(), 0);
    has(&process.stderr.to_end(), &["this same process, descriptor 3"]);
}

/// A program of 32 bits, without a C library: the calls by their numbers, and by socketcall.
fn bits_32() {
    need(Need::Bits32);
    let scratch = Scratch::new();
    let options =
        ["-m32", "-static", "-nostdlib", "-fno-pie", "-no-pie", "-O1", "-fno-stack-protector"];
    let program = compiled(&scratch, "bits_32", &options);
    let output = run(why(&[]).arg(&program));
    assert_eq!(output.status.code(), Some(98), "{}", output.stderr); // EADDRINUSE
    has(
        &output.stderr,
        &[
            "bits_32 (",
            "bind to 127.0.0.1:3459 fails: EADDRINUSE",
            "descriptor 4, TCP",
            "SO_REUSEADDR \
         on",
            "in the way BOUND 127.0.0.1:3459, this same process, descriptor 3",
            "bind to 127.0.0.1:3460 fails: EADDRINUSE",
            "this same process, descriptor 5",
        ],
    );
}

/// The third ABI of x86-64. A kernel without it gives ENOSYS, with a tracer as without.
fn x32() {
    need(Need::Bits32);
    let alone = run(Command::new(python()).arg(script()).arg("x32"));
    let output = fails(&["x32"]);
    assert_eq!((output.status, &output.stdout), (alone.status, &alone.stdout));
    if alone.stdout.contains("Function not implemented") {
        assert_eq!(output.stderr, "");
    }
    need(Need::X32);
    has(
        &output.stderr,
        &["bind to 127.0.0.1:3459 fails: EADDRINUSE", "this same process, descriptor 3"],
    );
}

/// Where a sandbox refuses what the tracer needs: descriptors to copy, or tracing at all.
fn sandbox() {
    use nix::libc::{EINVAL, ENOSYS, EPERM, SYS_pidfd_getfd, SYS_ptrace, SYS_seccomp, SYS_sendto};
    let scratch = Scratch::new();
    let deny = compiled(&scratch, "deny", &[]);
    let denied = |call: i64, errno: i32, mode: &[&str]| {
        let mut command = Command::new(&deny);
        command.arg(call.to_string()).arg(errno.to_string()).arg(program());
        command.args(["--lang", "en", "why", "--"]).arg(python()).arg(script());
        run(command.args(mode))
    };
    // The options come from the calls that were seen.
    let output = denied(SYS_pidfd_getfd, EPERM, &["two_binds"]);
    has(
        &output.stderr,
        &[
            "descriptor 4, TCP: SO_REUSEADDR off, SO_REUSEPORT off in the way LISTEN 127.0.0.1:3459, \
         this same process, descriptor 3",
            "after its bind failed",
        ],
    );
    let output = denied(SYS_pidfd_getfd, EPERM, &["inherited"]);
    has(&output.stderr, &["descriptor 3, TCP: SO_REUSEADDR on, SO_REUSEPORT off"]);
    for (call, errno, word) in [
        (SYS_ptrace, EPERM, "SYS_PTRACE"),
        (SYS_ptrace, ENOSYS, "qemu-user"),
        (SYS_seccomp, EINVAL, "seccomp"),
        (SYS_sendto, EPERM, "the tracer has ended before it began"), // as what they agree through
    ] {
        let output = denied(call, errno, &["two_binds"]);
        assert_eq!((output.status.code(), &*output.stdout), (Some(125), ""), "{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        has(&output.stderr, &["bindtable: it cannot be traced: ", word]);
    }
}

/// A call that the program's own filter refuses never begins: as `--help` says, nothing is said of it.
fn sandbox_within() {
    use nix::libc::{EACCES, SYS_bind};
    let scratch = Scratch::new();
    let mut command = why(&[]);
    command.arg(compiled(&scratch, "deny", &[])).arg(SYS_bind.to_string()).arg(EACCES.to_string());
    let output = run(command.arg(python()).arg(script()).arg("once"));
    assert_eq!((&*output.stdout, &*output.stderr), ("[Errno 13] Permission denied\n", ""));
}

/// Yama, played by its file and by a filter that refuses ptrace(2): one line says who may trace.
fn yama() {
    need(Need::SecondUser);
    let folder = SharedFolder::new();
    let scratch = Scratch::new();
    let deny = folder.copy(&compiled(&scratch, "deny", &[]));
    let copy = folder.copy(&program());
    let play = "mount -t tmpfs none /proc/sys/kernel && mkdir /proc/sys/kernel/yama && \
        echo $0 >/proc/sys/kernel/yama/ptrace_scope && exec \"$@\"";
    let said = |scope: &str, start: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", play, scope]).args(start).arg(&deny);
        command.arg(nix::libc::SYS_ptrace.to_string()).arg(nix::libc::EPERM.to_string());
        let output = run(command.arg(&copy).args(["--lang", "en", "why", "--", "true"]));
        assert_eq!((output.status.code(), &*output.stdout), (Some(125), ""), "{}", output.stderr);
        let line = output.stderr.strip_suffix('\n').expect("it is a line").to_owned();
        assert!(!line.contains('\n'), "{line}");
        line
    };
    let scope = "bindtable: it cannot be traced: /proc/sys/kernel/yama/ptrace_scope is";
    for number in ["1", "2"] {
        assert_eq!(said(number, &AS_NOBODY), format!("{scope} {number}. Run it as root"));
        assert!(said(number, &[]).ends_with("in a container, with --cap-add=SYS_PTRACE"));
    }
    for start in [&AS_NOBODY[..], &[]] {
        let last = "Run it as root, after a restart with a lower one";
        assert_eq!(said("3", start), format!("{scope} 3. {last}"));
    }
}

/// The explanation comes before the program's own message, however busy the machine is.
fn order() {
    let _listener = hold_port();
    let busy = Command::new("sh");
    let busy: Vec<Process> = std::iter::repeat_with(|| {
        let mut busy = Command::new(busy.get_program());
        Process::start(busy.args(["-c", "while :; do :; done"]))
    })
    .take(4)
    .collect();
    let server = Variant::new(Program::Treuseaddr, Runtime::Raw).path();
    for _ in 0..20 {
        let output = run(why(&[]).arg(&server));
        let (before, after) = output.stderr.split_once("bind: : Address").expect("it says so");
        assert!(before.ends_with(".\n"), "it does not stand before: {}", output.stderr);
        has(before, &["fails: EADDRINUSE", "what helps"]);
        assert_eq!(after, " already in use\n");
    }
    drop(busy);
}

/// Beside many processes: the holder is found, and so is a worker that has inherited the socket.
fn many_processes() {
    let listener = hold_port();
    let sleepers: Vec<Process> =
        std::iter::repeat_with(|| Process::start_as_is(Command::new("sleep").arg("1000")))
            .take(300)
            .collect();
    // Both find it: by the list of all, and among the traced ones.
    let output = fails(&["once"]);
    has(&output.stderr, &["LISTEN 127.0.0.1:3459", &format!("({})", std::process::id())]);
    drop(listener);
    // As inetd(8) starts a server: two have no more descriptors than any process. And of two, one: an orphan.
    for (start, ends) in [
        ("exec 3<&0; sleep 1000 <&3 3<&- >&2 & echo $!; exec sleep 1000 3<&-", "descriptor 0"),
        (
            "exec 3<&0 4<&0; (sleep 1000 <&3 3<&- 4<&- >&2 & echo $!); exec sleep 1000",
            "descriptors 0, 3, 4",
        ),
    ] {
        let listener = wait_for("no copy", || TcpListener::bind("127.0.0.1:3459").ok());
        let mut shell = Command::new("sh");
        shell.args(["-c", start]).stdout(Stdio::piped());
        let first = Process::start_with_stdin(&mut shell, OwnedFd::from(listener).into());
        drop(shell); // it has the listener, too
        first.stdout.wait_for("\n");
        let other = first.stdout.text();
        let both = format!("what helps kill {} {}.", first.pid(), other.trim());
        wait_for("both, and no copy for a moment", || {
            let told = flat(&fails(&["once"]).stderr);
            (told.contains(ends) && told.contains(&both)).then_some(())
        });
        let other = other.trim().parse().expect("its number");
        kill(Pid::from_raw(other), Signal::SIGKILL).expect("it is there");
    }
    drop(sleepers);
    let output = fails(&["worker"]);
    has(&output.stderr, &["LISTEN 127.0.0.1:3459", "its parent"]);
}

/// The culprit, the error and the condition are right, whatever the program is made of.
fn other_program(build: &str, start: &str) {
    let scratch = SharedFolder::new();
    let raw = Variant::new(Program::Treuseaddr, Runtime::Raw).path();
    let postgres = fs::read_dir("/usr/lib/postgresql").ok().and_then(|mut all| all.next()?.ok());
    let postgres = postgres.map(|version| version.path().join("bin")).unwrap_or_default();
    let shell = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env("SRC", project("tests/programming_languages"));
        shell.env("WHY", project("tests/why")).env("TMP", scratch.path());
        shell.env("BIN", raw.parent().expect("it is in a folder")).env("PYTHON", python());
        shell.env("POSTGRES", &postgres).env("AS_NOBODY", AS_NOBODY.join(" "));
        shell
    };
    let built = harness::run(&mut shell(build));
    assert!(built.status.success(), "{build}: {}", built.stderr);
    let _listener = hold_port();
    let line = format!("exec {} --lang en why -- {start}", quoted(&program()));
    let mut process = Process::start(&mut shell(&line));
    let holder = std::process::id();
    let told = wait_for("the explanation", || {
        let text = process.stderr.text();
        let is_whole = flat(&text).contains("what helps kill");
        (is_whole || process.ended().is_some()).then_some(text)
    });
    let told = if told.contains("what helps") { told } else { process.stderr.to_end() };
    has(
        &told,
        &[
            ":3459 fails: EADDRINUSE this socket descriptor",
            ", TCP, user",
            "in the way LISTEN \
         127.0.0.1:3459: SO_REUSEADDR on",
            &format!("({holder})"),
            "the rule The old socket listens.",
            &format!("what helps kill {holder}."),
        ],
    );
}

/// What it costs, as ratios in one run: each line is a promise. Where this may be, each is started before
/// all others of the machine (SCHED_FIFO), and on one processor: what else runs does not count then.
fn cost() {
    let target = harness::cargo_target("release");
    let built = harness::run(harness::cargo("build", &target).args([
        "--release",
        "--package",
        "bindtable",
    ]));
    assert!(built.status.success(), "{}", built.stderr);
    let bindtable = target.join("release/bindtable");
    let scratch = Scratch::new();
    let loops = compiled(&scratch, "loops", &["-O2", "-pthread"]);
    let bare = compiled(&scratch, "bare", &["-O2"]);
    let sources = scratch.path().join("sources");
    fs::create_dir(&sources).expect("it is ours");
    for number in 0..40 {
        let text = format!("#include <stdio.h>\nint f{number}(void) {{ return printf(\"x\"); }}\n");
        fs::write(sources.join(format!("{number}.c")), text).expect("it is ours");
    }
    let compile = format!("cd {}; for file in *.c; do cc -O2 -c $file; done", quoted(&sources));
    let commands = [
        ("getpid", vec![loops.display().to_string(), "getpid".to_owned()], 1.3),
        ("fork and exec", vec![loops.display().to_string(), "fork".to_owned()], 1.2),
        ("threads", vec![loops.display().to_string(), "thread".to_owned()], 2.5),
        (
            "socket, setsockopt, bind, close",
            vec![loops.display().to_string(), "socket".to_owned()],
            4.0,
        ),
        ("40 compilers", vec!["sh".to_owned(), "-c".to_owned(), compile], 1.1),
    ];
    let first = ["chrt", "--fifo", "50", "taskset", "--cpu-list", "0"];
    let is_first = run(Command::new(first[0]).args(&first[1..]).arg("true")).status.success();
    let first = if is_first { &first[..] } else { &["env"] };
    println!("started by {first:?}");
    let mut missed = Vec::new();
    for (what, command, most) in commands {
        // Alone; under a tracer that only lets it go on; and under this one.
        let starts =
            [vec!["env".as_ref()], vec![&*bare], vec![&bindtable, "why".as_ref(), "--".as_ref()]];
        let time = |start: &[&Path]| {
            let begin = Instant::now();
            let output = run(Command::new(first[0]).args(&first[1..]).args(start).args(&command));
            assert!(output.status.success() && output.stderr.is_empty(), "{}", output.stderr);
            begin.elapsed().as_secs_f64()
        };
        // In turn, since a machine's speed changes; the best of each.
        let mut best = [f64::INFINITY; 3];
        for _ in 0..9 {
            for (best, start) in best.iter_mut().zip(&starts) {
                *best = best.min(time(start));
            }
        }
        let [alone, bare, traced] = best;
        // Where tracing itself costs as much, a tenth above that is the limit.
        let most = f64::max(most, bare / alone * 1.1);
        println!(
            "{what}: {:.2} x, at most {most:.2} x; a bare tracer {:.2} x ({:.0} ms alone)",
            traced / alone,
            bare / alone,
            alone * 1e3
        );
        if traced / alone > most {
            missed.push(what);
        }
    }
    // One explanation beside 5,000 processes: what the failing bind takes, less what it takes alone.
    let sleepers = Process::start_as_is(Command::new(&loops).arg("sleepers"));
    wait_for("5,000 processes", || {
        let children = format!("/proc/{0}/task/{0}/children", sleepers.pid());
        let children = fs::read_to_string(children).unwrap_or_default();
        (children.split_whitespace().count() == 5000).then_some(())
    });
    let traced = [&*bindtable, "why".as_ref(), "--".as_ref()];
    let best = |start: &[&Path], mode: &str, says: &[&str]| -> f64 {
        let took = || -> f64 {
            let mut command = Command::new(first[0]);
            let output = run(command.args(&first[1..]).args(start).arg(&loops).arg(mode));
            has(&output.stderr, says);
            assert!(!output.stderr.contains(": again,"), "{}", output.stderr); // it was not explained here
            output.stdout.trim().parse().unwrap_or_else(|_| panic!("{}", output.stdout))
        };
        (0..9).map(|_| took()).fold(f64::INFINITY, f64::min)
    };
    let mut explained = |what, mode, says: &[&str]| {
        let took = best(&traced, mode, says);
        let pass = best(&["env".as_ref()], "pass", &[]);
        // On a slower machine, a third of what one pass takes.
        let most = f64::max(30.0, pass / 3.0);
        println!(
            "one explanation beside 5,000 processes, {what}: {took:.1} ms, at most {most:.1} ms; a bare pass \
             over all descriptors {pass:.1} ms"
        );
        if took > most {
            missed.push(what);
        }
    };
    let own = ["LISTEN 127.0.0.1:3459, this same process"];
    explained("its own listener", "binds", &own);
    explained("a listener in their midst", "midst", &["LISTEN 127.0.0.1:3460", "Not looked at: "]);
    let listener = hold_port();
    let holder = format!("({})", std::process::id());
    explained("an older listener", "bind", &["LISTEN 127.0.0.1:3459", &holder]);
    drop(listener);
    drop(sleepers);
    assert!(missed.is_empty(), "above: {missed:?}");
}
