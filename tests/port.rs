//! `bindtable port`: each puzzling case with real processes, and random situations in which every
//! verdict is compared with what a real bind then does.

use crate::harness::{
    self, Client, Need, PORT, Process, Program, Row, Runtime, Scratch, Switches, Tally, Variant,
    NOBODY, SharedFolder, bindtable as program, has_two_users, in_namespace, lacks_in, need,
    own_descriptors, read, run, set_sysctl, sockets, wait_for, wait_for_rows,
};
use crate::bindtable::{is_chinese, refusal};
use crate::documents::is_current;
use crate::port_refused::Policy;
use crate::{port_advice, port_hidden, port_refused};
use libtest_mimic::Trial;
use nix::libc::{EADDRINUSE, EADDRNOTAVAIL, EPERM};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    self as nix_socket, Backlog, SockFlag, SockType, SockaddrStorage, setsockopt, sockopt,
};
use nix::sys::signal::Signal;
use rustix::fd::OwnedFd as Fd;
use rustix::io::Errno;
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_linger, set_socket_reuseaddr, set_socket_reuseport,
};
use rustix::net::{
    AddressFamily, Protocol, SocketFlags, SocketType, accept_with, bind, connect, ipproto, listen,
    socket_with,
};
use rustix::process::{Uid, geteuid};
use rustix::thread::set_thread_res_uid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

/// How many random situations there are, in so many trials, and how many of these trials are in the
/// ordinary tests: of several users, of one alone, and those in which asking may change nothing.
const RANDOM: [u16; 3] = [3000, 30, 3];
const OF_ONE_USER: [u16; 3] = [1000, 10, 1];
const ASKED: [u16; 3] = [500, 10, 1];

static TALLY: Tally = Tally::new();
/// The verdicts without --probe, and the unknown ones among them.
struct Share([AtomicU32; 2]);

impl Share {
    const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; 2])
    }

    fn add(&self, verdicts: &[Value]) {
        let unknown = verdicts.iter().filter(|verdict| verdict["can"] == "unknown").count();
        for (count, new) in self.0.iter().zip([verdicts.len(), unknown]) {
            count.fetch_add(u32::try_from(new).expect("they are few"), Ordering::Relaxed);
        }
    }

    fn counts(&self) -> [u32; 2] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

/// Of root: where no option has changed after bind, where some has, and where all is one user's; and of
/// another user.
static CONSTANT: Share = Share::new();
static CHANGING: Share = Share::new();
static ONE_USER: Share = Share::new();
static OTHERS: Share = Share::new();
/// How many of a thousand may be unknown to root.
const MOST_UNKNOWN: u32 = 30;
/// How many of a thousand may be refusals that are false for the reason of [`UNTOLD`].
const MOST_UNTOLD: u32 = 4;
/// How many more may be, since they come by the eight of one situation.
const CHANCE: u32 = 64;
/// The refusals that a bind has contradicted: the group that let it in has gone or has cleared SO_REUSEPORT, so
/// that nothing which is listed tells of it; or it is of a later bind of bindtable's.
static UNTOLD: AtomicU32 = AtomicU32::new(0);
/// The answers of real binds that were compared before and after asking, and those that the help's
/// exception has changed: without --probe, and with it.
static ASKING: Tally = Tally::new();
static CHANGED: [AtomicU32; 2] = [AtomicU32::new(0), AtomicU32::new(0)];

const TRIALS: [(&str, fn()); 32] = [
    ("port_document", document),
    ("port_by_hand", by_hand),
    ("port_input", input),
    ("port_free", free),
    ("port_names", names),
    ("port_time_wait_without_the_option", time_wait_without_the_option),
    ("port_time_wait_with_the_option", time_wait_with_the_option),
    ("port_several_time_waits", several_time_waits),
    ("port_many_addresses", many_addresses),
    ("port_child", child),
    ("port_inherited", inherited),
    ("port_outgoing", outgoing),
    ("port_outgoing_over", outgoing_over),
    ("port_self_connect", self_connect),
    ("port_two_families", two_families),
    ("port_connections_of_two_families", connections_of_two_families),
    ("port_published", published),
    ("port_other_namespace", other_namespace),
    ("port_socket_activated", socket_activated),
    ("port_homes", homes),
    ("port_hostile_names", hostile_names),
    ("port_orphan", orphan),
    ("port_udp", udp),
    ("port_udp_crowd", udp_crowd),
    ("port_privileged", privileged),
    ("port_not_this_machine", not_this_machine),
    ("port_bound_only", bound_only),
    ("port_thousand", thousand),
    ("port_ordinary_user", ordinary_user),
    ("port_asks_the_same", asks_the_same),
    ("port_interface", interface),
    ("port_in_motion", in_motion),
];

pub fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = TRIALS
        .into_iter()
        .chain(port_hidden::TRIALS)
        .chain(port_refused::TRIALS)
        .chain(port_advice::TRIALS)
        .map(|(name, check)| harness::trial(name, check))
        .collect();
    let mut add = |name, [count, parts, sample]: [u16; 3], check: fn(Range<u16>)| {
        for part in 0..parts {
            let each = count / parts;
            let seeds = part * each..(part + 1) * each;
            let trial = harness::trial(format!("{name}_{part}"), move || check(seeds));
            trials.push(trial.with_ignored_flag(part >= sample));
        }
    };
    add("port_random", RANDOM, |seeds| random(seeds, has_two_users()));
    add("port_random_of_one_user", OF_ONE_USER, |seeds| random(seeds, false));
    add("port_asking", ASKED, asking);
    trials
}

/// What is to be said at the end, where any situation was tried.
pub fn summary() -> Option<String> {
    let of = |share: &Share| {
        let [all, unknown] = share.counts();
        format!("{unknown} of {all}")
    };
    let verdicts = TALLY.summary(&format!(
        "verdicts of bindtable port (unknown without --probe: to root {} where no option changes after \
         bind, {} where some does, and {} where all is one user's; to another user {}; {} refusals that a \
         group of which nothing tells has made false)",
        of(&CONSTANT),
        of(&CHANGING),
        of(&ONE_USER),
        of(&OTHERS),
        UNTOLD.load(Ordering::Relaxed),
    ));
    let [plain, probed] = CHANGED.each_ref().map(|count| count.load(Ordering::Relaxed));
    let asking = ASKING.summary(&format!(
        "answers of real binds before and after bindtable port (the help's exception changes {plain} \
         without --probe, {probed} with it)"
    ));
    let lines: Vec<String> = [verdicts, asking].into_iter().flatten().collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("it is a list")
}

/// What `bindtable port --format json` finds, and its exit status.
pub(crate) fn found(command: &mut Command) -> (i32, Value) {
    let output = run(command);
    assert_eq!(output.stderr, "", "{command:?}");
    let finding = serde_json::from_str(&output.stdout);
    let finding = finding.unwrap_or_else(|error| panic!("{error}: {}", output.stdout));
    (output.status.code().expect("it ends by itself"), finding)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("it is a text")
}

/// Written to where a process has a name of any characters, and read from where a text is checked: a
/// process is seen from the other trials' namespaces, too, and its name stands in their sentences.
pub(crate) static ODD_NAMES: RwLock<()> = RwLock::new(());

/// What it says of a target to a reader, as one line, and its exit status; and it says
/// the same in Chinese.
pub(crate) fn said(arguments: &[&str]) -> (i32, String) {
    let _guard = ODD_NAMES.read().unwrap_or_else(PoisonError::into_inner);
    let [english, chinese] = ["en", "zh"].map(|language| {
        let mut command = Command::new(program());
        let output = run(command.args(["--lang", language, "port"]).args(arguments));
        assert_eq!(output.stderr, "", "{command:?}");
        is_narrow(&output.stdout);
        output
    });
    is_chinese(&without_processes(&chinese.stdout));
    (english.status.code().expect("it ends by itself"), flat(&english.stdout))
}

/// The text without what stands of processes, each a line and those that go on with it: its end is
/// theirs, as a unit's name or a command may end in `;`.
fn without_processes(text: &str) -> String {
    let mut is_theirs = false;
    let mut ours = String::new();
    for line in text.lines() {
        let goes_on = line.starts_with("      ") && !line.starts_with("       ");
        is_theirs = line.starts_with("    进程") || is_theirs && goes_on;
        if !is_theirs {
            ours += &format!("{line}\n");
        }
    }
    ours
}

/// Each line fits, but for a word that is too long by itself, as the name of a unit may be; and for a command, which
/// begins a line and is whole.
pub(crate) fn is_narrow(text: &str) {
    assert_ne!(text, "");
    assert!(text.lines().all(fits), "{text}");
}

/// Whether it is narrow, or begins with a command, or has a very long word.
pub(crate) fn fits(line: &str) -> bool {
    const COMMANDS: [&str; 8] =
        ["(nft ", "ausearch ", "docker ", "kill ", "nsenter ", "podman ", "systemctl ", "sysctl "];
    let longest = line.split(' ').map(|word| word.width()).max().unwrap_or(0);
    let is_command = COMMANDS.iter().any(|name| line.trim_start().starts_with(name));
    line.width() <= 80 || longest > 50 || is_command
}

/// The words of a text, on one line.
pub(crate) fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same for a program.
pub(crate) fn asked(arguments: &[&str]) -> (i32, Value) {
    found(Command::new(program()).arg("port").args(arguments).args(["--format", "json"]))
}

/// The case of that name, which has to be there.
pub(crate) fn case<'a>(finding: &'a Value, name: &str) -> &'a Value {
    let case = list(&finding["cases"]).iter().find(|case| case["case"] == name);
    case.unwrap_or_else(|| panic!("no case {name}: {finding}"))
}

pub(crate) fn has_case(finding: &Value, name: &str) -> bool {
    list(&finding["cases"]).iter().any(|case| case["case"] == name)
}

/// What the advice of that name says.
pub(crate) fn help<'a>(finding: &'a Value, name: &str) -> &'a Value {
    let help = list(&finding["help"]).iter().find(|help| help["do"] == name);
    help.unwrap_or_else(|| panic!("no help {name}: {finding}"))
}

/// Whether a server may bind, by what was found.
pub(crate) fn can<'a>(finding: &'a Value, address: &str, option: &str) -> &'a str {
    if address.contains(':') {
        need(Need::Ipv6);
    }
    let verdict = list(&finding["verdicts"])
        .iter()
        .find(|verdict| verdict["address"] == address && verdict["option"] == option);
    text(&verdict.unwrap_or_else(|| panic!("no verdict on {address}: {finding}"))["can"])
}

const ADDRESSES: [&str; 3] = ["127.0.0.1", "0.0.0.0", "::"];
pub(crate) const OPTIONS: [&str; 4] =
    ["none", "SO_REUSEADDR", "SO_REUSEPORT", "SO_REUSEADDR+SO_REUSEPORT"];

/// The one socket that there is.
pub(crate) fn only(finding: &Value) -> &Value {
    match list(&finding["sockets"]) {
        [socket] => socket,
        _ => panic!("not one socket: {finding}"),
    }
}

pub(crate) fn local(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("it is an address"), PORT)
}

/// A socket of TCP that is bound to the port.
pub(crate) fn bound(ip: &str, reuseaddr: bool) -> Fd {
    let address = local(ip);
    let fd = fresh(false, address.ip(), false, reuseaddr, false).expect("it is a socket");
    bind(&fd, &address).expect("the port is free");
    fd
}

pub(crate) fn listener(ip: &str) -> Fd {
    let fd = bound(ip, false);
    listen(&fd, 8).expect("it is bound");
    fd
}

/// The same in std's hands, with SO_REUSEADDR.
pub(crate) fn std_listener(ip: &str) -> TcpListener {
    TcpListener::bind(local(ip)).expect("the port is free")
}

/// A process of that name, which has `socket` as its standard input, and the words in its command
/// line.
pub(crate) fn holder(
    scratch: &Scratch,
    name: &str,
    socket: TcpListener,
    words: &[&str],
) -> Process {
    let link = scratch.path().join(name);
    std::os::unix::fs::symlink("/bin/sh", &link).expect("the folder is empty");
    let mut command = Command::new(link);
    command.args(["-c", "kill -STOP $$", name]).args(words);
    let process = Process::start_with_stdin(&mut command, OwnedFd::from(socket).into());
    let file = format!("/proc/{}/comm", process.pid());
    wait_for(name, || (fs::read_to_string(&file).ok()?.trim() == name).then_some(()));
    drop(command); // with its copy of the socket; one that another trial is starting may have another
    wait_for("no other holder", || {
        let (_, finding) = asked(&["3459"]);
        let of = |socket: &Value| list(&socket["processes"]).len();
        list(&finding["sockets"]).iter().all(|socket| of(socket) == 1).then_some(())
    });
    process
}

const DOCUMENT: &str = "docs/in-use.md";
const IN_CHINESE: &str = "docs/zh-CN/in-use.md";

/// The document has what the command says of a TIME_WAIT, and fits on a screen. In a PID namespace of
/// its own the command sees no other trial's processes.
fn document() {
    need(Need::Ipv6);
    let listener = listener("127.0.0.1");
    let client = fresh(false, local("127.0.0.1").ip(), false, false, false);
    let client = client.expect("it is a socket");
    bind(&client, &SocketAddr::from(([127, 0, 0, 1], 40_000))).expect("nothing is there");
    connect(&client, &local("127.0.0.1")).expect("it listens");
    let server = accept_with(&listener, SocketFlags::CLOEXEC).expect("it came");
    drop((listener, server));
    wait_for("FIN_WAIT2", || (states(PORT) == [5]).then_some(()));
    drop(client);
    wait_for("TIME_WAIT", || (states(PORT) == [6]).then_some(()));
    for (language, document, seconds) in [("en", DOCUMENT, "seconds"), ("zh", IN_CHINESE, "秒")] {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc"]).arg(program());
        let output = run(command.args(["--lang", language, "port", "3459"]));
        assert_eq!(output.status.code(), Some(1), "{}", output.stderr);
        // However long it took.
        let late = (30..60).map(|left| format!("{left} {seconds}"));
        let text =
            late.fold(output.stdout, |text, left| text.replace(&left, &format!("60 {seconds}")));
        is_current(document, "in-use", &format!("```text\n{text}```\n"));
    }
    let document = read(DOCUMENT);
    assert!(document.lines().count() <= 66, "it fits on a screen");
}

/// What the document says to type on Linux shows the listener, and its process.
fn by_hand() {
    let _listener = listener("127.0.0.1");
    let document = read(DOCUMENT);
    let (_, commands) = document.split_once("## By hand on Linux\n\n```sh\n").expect("it is there");
    let (commands, _) = commands.split_once("```").expect("it ends");
    let pid = std::process::id().to_string();
    let mut tried = Vec::new();
    for line in commands.lines() {
        let command = line.split(" #").next().expect("a line has a start").trim();
        let tool = command.split(' ').next().expect("a line has a start");
        if tool == "docker" || command.contains("-tanpB") {
            continue; // needs a daemon; needs iproute2 6.8
        }
        let shown = run(Command::new("sh").args(["-c", command])).stdout;
        assert!(shown.contains(":3459") && shown.contains(&pid), "{command}: {shown}");
        tried.push(tool);
    }
    assert_eq!(tried, ["ss", "netstat", "lsof"]);
}

/// What is wrong gets one line, and status 2.
fn input() {
    for (target, word) in [
        ("65536", "ports end at 65535"),
        ("-1", "unexpected argument"),
        ("", "neither PORT nor ADDRESS:PORT"),
        ("http", "neither PORT nor ADDRESS:PORT"),
        ("+80", "neither PORT nor ADDRESS:PORT"),
        ("127.0.0.1", "an address without a port"),
        ("::1", "an address without a port"),
        ("127.0.0.1:", "neither PORT nor ADDRESS:PORT"),
        ("localhost:3459", "'localhost' is neither an IPv4 nor an IPv6 address"),
        ("127.0.0.256:3459", "'127.0.0.256' is neither"),
        ("[::1%none]:3459", "'none' is no network interface"),
        ("[fe80::1%99]:3459", "'99' is no network interface"),
    ] {
        assert!(refusal(&["port", target]).contains(word), "{target}");
    }
    assert!(refusal(&["port", "3459", "--format", "markdown"]).contains("text, json"));
    assert!(refusal(&["port", "0", "--probe"]).contains("port 0 takes no --probe"));
    // Without descriptors nothing can be found out, and the kernel is not to blame.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 4; exec \"$0\" --lang en port 3459"]).arg(program());
    let output = run(&mut command);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), ""));
    assert!(output.stderr.contains("Raise the limit"), "{}", output.stderr);
    // As ss and netstat write an address, and with an interface.
    for (target, ip) in [
        ("*:3459", Value::Null),
        (":::3459", "::".into()),
        ("[::1]:3459", "::1".into()),
        ("[fe80::1%lo]:3459", "fe80::1".into()),
    ] {
        assert_eq!(asked(&[target]).1["address"], ip, "{target}");
    }
}

fn free() {
    let (status, text) = said(&["3459"]);
    assert_eq!(status, 0);
    assert!(text.contains("TCP port 3459 is free: "), "{text}");
    let (_, finding) = asked(&["3459"]);
    for (address, option) in ADDRESSES.iter().flat_map(|ip| OPTIONS.map(|option| (ip, option))) {
        assert_eq!(can(&finding, address, option), "yes", "{address} {option}");
    }
    let (status, probed) = asked(&["3459", "--probe"]);
    assert_eq!((status, &probed["probed"]), (0, &true.into()));
    assert!(said(&["3459", "--probe"]).1.contains("It takes the port for that moment."));
    bound("127.0.0.1", false); // and it is free after that
}

/// The names that a program may rely on.
fn names() {
    let _listener = listener("127.0.0.1");
    let (status, finding) = asked(&["3459"]);
    assert_eq!((status, &finding["status"]), (1, &"in-use".into()));
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().expect("it is an object").keys().cloned().collect()
    };
    assert_eq!(
        keys(&finding),
        [
            "address", "answer", "cases", "help", "if_still", "port", "probed", "protocol",
            "sockets", "status", "unseen", "user", "verdicts",
        ]
    );
    assert_eq!(
        keys(only(&finding)),
        [
            "address",
            "backlog",
            "device",
            "ipv6_only",
            "peer",
            "processes",
            "record",
            "reuseaddr",
            "reuseport",
            "seconds_left",
            "state",
            "user",
            "waiting",
        ]
    );
    assert_eq!(
        keys(&only(&finding)["processes"][0]),
        ["command", "container", "descriptors", "name", "parent", "pid", "unit"]
    );
    assert_eq!(
        keys(&finding["verdicts"][0]),
        ["address", "can", "error", "option", "probed", "socket", "why"]
    );
    assert_eq!(only(&finding)["processes"][0]["pid"], std::process::id());
    assert_eq!(only(&finding)["backlog"], 8);
    let (_, chinese) = asked(&["3459", "--lang", "zh"]);
    assert!(text(&chinese["answer"]).contains("被占用"), "{chinese}");
    assert_eq!(keys(&chinese), keys(&finding));
    for part in ["status", "verdicts"] {
        assert_eq!(chinese[part], finding[part], "{part}");
    }
}

/// Leaves the TIME_WAIT of a server that was stopped while its client was connected.
pub(crate) fn time_wait(switches: Switches) {
    let variant = Variant::new(Program::Treuseaddr, Runtime::Raw).with(switches);
    let mut server = Process::start(&mut variant.command());
    let mut client = Client::connect();
    client.exchange("hello\n");
    server.signal(Signal::SIGINT);
    server.wait();
    drop(client);
    wait_for_rows("TIME_WAIT", |rows| rows == [Row::TIME_WAIT]);
}

fn time_wait_without_the_option() {
    time_wait(Switches::default());
    let (status, finding) = asked(&["3459"]);
    assert_eq!(status, 1);
    let socket = only(&finding);
    assert_eq!((&socket["state"], &socket["reuseaddr"]), (&"TIME_WAIT".into(), &false.into()));
    let left = socket["seconds_left"].as_u64().expect("it is a number");
    assert!((30..=60).contains(&left), "{left}");
    let seconds = &case(&finding, "lacks-option")["seconds_left"];
    assert_eq!(*seconds, left);
    assert_eq!(help(&finding, "wait")["seconds"], left);
    for (address, option) in ADDRESSES.iter().flat_map(|ip| OPTIONS.map(|option| (ip, option))) {
        assert_eq!(can(&finding, address, option), "no", "{address} {option}");
    }
    let (_, text) = said(&["3459"]);
    for words in [
        "in TIME_WAIT for",
        "The server that closed this connection did not have SO_REUSEADDR",
        "a new server fails with the option too, for",
        "1. Wait",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // A new server with the option does fail.
    let with = Switches { reuseaddr: true, ..Switches::default() };
    let variant = Variant::new(Program::Treuseaddr, Runtime::Raw).with(with);
    assert!(run(&mut variant.command()).stderr.contains("Address already in use"));
}

fn time_wait_with_the_option() {
    let with = Switches { reuseaddr: true, ..Switches::default() };
    time_wait(with);
    let (status, finding) = asked(&["127.0.0.1:3459"]);
    assert_eq!((status, &only(&finding)["reuseaddr"]), (1, &true.into()));
    case(&finding, "had-option");
    assert_eq!(help(&finding, "set-now")["option"], "SO_REUSEADDR");
    assert_eq!(can(&finding, "127.0.0.1", "none"), "no");
    assert_eq!(can(&finding, "127.0.0.1", "SO_REUSEADDR"), "yes");
    assert_eq!(can(&finding, "127.0.0.1", "SO_REUSEPORT"), "no");
    // The question to the kernel is in no server's way, while it is asked again and again. Asked by a
    // user who may not copy the server's descriptor, since a copy keeps a listener for that moment.
    let variant = Variant::new(Program::Treuseaddr, Runtime::Raw).with(with);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            for _ in 0..20 {
                let mut command = Command::new("unshare");
                command.arg("--user").arg(program()).args(["port", "3459"]);
                assert_eq!(run(&mut command).status.code(), Some(1));
            }
        });
        while !asking.is_finished() {
            let mut server = Process::start(&mut variant.command());
            wait_for("LISTEN, or the end", || {
                (states(PORT).contains(&10) || server.ended().is_some()).then_some(())
            });
            assert!(server.ended().is_none(), "{}", server.stderr.to_end());
        }
    });
}

/// Of several at one address, the kernel tells whether all have the option, and of no single one
/// that it lacks it.
fn several_time_waits() {
    let known: [(&str, &[bool], Value); 3] = [
        ("127.0.0.1", &[false, true], Value::Null),
        ("127.0.0.2", &[true, true], true.into()),
        ("127.0.0.3", &[false], false.into()),
    ];
    let mut all = 0;
    for (ip, options, _) in &known {
        let listener = listener(ip);
        let connections = options.iter().map(|reuseaddr| {
            set_socket_reuseaddr(&listener, *reuseaddr).expect("it is a socket");
            let client = TcpStream::connect(local(ip)).expect("it listens");
            (accept_with(&listener, SocketFlags::CLOEXEC).expect("it came"), client)
        });
        let (servers, clients): (Vec<Fd>, Vec<TcpStream>) = connections.unzip();
        drop((listener, servers));
        let count = |state| states(PORT).iter().filter(|found| **found == state).count();
        wait_for("FIN_WAIT2", || (count(5) == options.len()).then_some(()));
        drop(clients);
        all += options.len();
        wait_for("TIME_WAIT", || (count(6) == all).then_some(()));
    }
    for (ip, options, reuseaddr) in &known {
        let (_, finding) = asked(&[&format!("{ip}:3459")]);
        let sockets = list(&finding["sockets"]).iter().filter(|socket| socket["address"] == *ip);
        let found: Vec<&Value> = sockets.map(|socket| &socket["reuseaddr"]).collect();
        assert_eq!(found, vec![reuseaddr; options.len()], "{finding}");
        let may = if *reuseaddr == Value::Bool(true) { "yes" } else { "no" };
        assert_eq!(can(&finding, ip, "SO_REUSEADDR"), may, "{finding}");
        let counts = ["lacks-option", "had-option"].map(|name| &case(&finding, name)["count"]);
        assert_eq!(counts, [3, 2], "{finding}");
    }
    let (_, text) = said(&["3459"]);
    for words in [
        "SO_REUSEADDR unknown, SO_REUSEPORT unknown",
        "Of these 3 closed connections, at least one did not have SO_REUSEADDR, and",
        "fails with the option too, for at most ",
        "All 2 closed connections had SO_REUSEADDR",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let chinese = run(Command::new(program()).args(["--lang", "zh", "port", "3459"])).stdout;
    for words in ["SO_REUSEADDR 未知", "这 3 条已关闭的连接中至少有一条没有 SO_REUSEADDR"]
    {
        assert!(chinese.lines().collect::<String>().replace("  ", "").contains(words), "{chinese}");
    }
}

/// TIME_WAITs at many addresses: where all had the option, and where one had not.
fn many_addresses() {
    let addresses: Vec<String> = (1..=20).map(|last| format!("127.0.1.{last}")).collect();
    for has_one_without in [false, true] {
        if has_one_without {
            connection_is_over(bound("127.0.2.1", false), "127.0.2.1");
        } else {
            addresses.iter().for_each(|ip| connection_is_over(bound(ip, true), ip));
        }
        let (_, finding) = asked(&["3459"]);
        for socket in list(&finding["sockets"]) {
            let had = socket["address"] != "127.0.2.1";
            assert_eq!((&socket["reuseaddr"], &socket["reuseport"]), (&had.into(), &Value::Null));
        }
        let (shown, told) = (20, said(&["3459"]).1);
        let left = list(&finding["sockets"]).len() - shown;
        assert_eq!(told.matches("TIME_WAIT 127.0.").count(), shown, "{told}");
        assert_eq!(told.contains("And one more socket: see --format json."), left == 1, "{told}");
        let may = if has_one_without { "no" } else { "yes" };
        assert_eq!(can(&finding, "0.0.0.0", "SO_REUSEADDR"), may, "{finding}");
        assert_eq!(can(&finding, "0.0.0.0", "SO_REUSEPORT"), "no", "{finding}");
    }
}

/// Leaves a TIME_WAIT of a server that is bound to `ip`.
pub(crate) fn connection_is_over(listener: Fd, ip: &str) {
    let before = states(PORT).len();
    listen(&listener, 8).expect("it is bound");
    let client = TcpStream::connect(local(ip)).expect("it listens");
    drop(accept_with(&listener, SocketFlags::CLOEXEC).expect("it came"));
    drop(listener);
    wait_for("FIN_WAIT2", || states(PORT).contains(&5).then_some(()));
    drop(client);
    wait_for("TIME_WAIT", || (states(PORT) == vec![6; before + 1]).then_some(()));
}

/// With treuseaddr2's child alive, it names the child, and its descriptor 3.
fn child() {
    need(Need::Ipv6);
    let variant = Variant::new(Program::Treuseaddr2, Runtime::Raw);
    let mut server = Process::start(&mut variant.command());
    let mut client = Client::connect();
    client.exchange("hello\n");
    server.wait();
    let child = server.descendant().expect("it serves").as_raw();
    let (status, finding) = asked(&["3459"]);
    assert_eq!(status, 1);
    let listener = list(&finding["sockets"]).iter().find(|socket| socket["state"] == "LISTEN");
    let listener = listener.expect("it is inherited");
    let [process] = list(&listener["processes"]) else { panic!("{listener}") };
    assert_eq!(process["pid"], child);
    assert_eq!(process["name"], "treuseaddr2");
    assert_eq!(process["descriptors"], serde_json::json!([3]));
    let (_, text) = said(&["3459"]);
    assert!(
        text.contains(&format!("process {child} (treuseaddr2) listens on 127.0.0.1.")),
        "{text}"
    );
    assert!(text.contains(&format!("process {child} (treuseaddr2), descriptor 3")), "{text}");
    in_each_home(&[child], &format!("kill {child}"));
}

/// A process and its child hold one listener.
fn inherited() {
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 1000; :"]);
    let parent =
        Process::start_with_stdin(&mut command, OwnedFd::from(std_listener("127.0.0.1")).into());
    drop(command); // with its copy of the listener
    let child = wait_for("the child", || parent.descendant()).as_raw();
    let comm = format!("/proc/{child}/comm");
    wait_for("sleep", || (fs::read_to_string(&comm).ok()? == "sleep\n").then_some(()));
    let mut expected = [parent.pid().as_raw(), child];
    expected.sort_unstable();
    // A process that another trial is starting may have a copy, too.
    let finding = wait_for("no other holder", || {
        let (_, finding) = asked(&["3459"]);
        let pids = &case(&finding, "inherited")["pids"];
        (*pids == serde_json::json!(expected)).then_some(finding)
    });
    assert_eq!(case(&finding, "inherited")["name"], "sh");
    let [first, second] = expected;
    in_each_home(&expected, &format!("kill {first} {second}"));
}

/// A client whose port is the one that a server wants.
fn outgoing() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    set_sysctl("net.ipv4.ip_local_port_range", "3459 3459");
    let address = server.local_addr().expect("it is bound");
    let client = TcpStream::connect(address).expect("it listens");
    assert_eq!(client.local_addr().expect("it is connected").port(), PORT);
    let (status, finding) = asked(&["3459"]);
    assert_eq!(status, 1);
    let case = case(&finding, "outgoing");
    assert_eq!((&case["pid"], &case["first"]), (&std::process::id().into(), &PORT.into()));
    assert_eq!(can(&finding, "127.0.0.1", "SO_REUSEADDR"), "no");
    assert_eq!(help(&finding, "other-port")["outside"], serde_json::json!([PORT, PORT]));
    assert!(text(&help(&finding, "reserve")["command"]).ends_with("ip_local_reserved_ports=3459"));
    assert!(!finding.to_string().contains("set-both"), "the option is no help here");
    // No ephemeral port is left, and so the kernel cannot be asked in the easiest way.
    assert_eq!(finding["probed"], !lists_bound());
    // The ports that are kept out of the range stay so.
    set_sysctl("net.ipv4.ip_local_reserved_ports", "50000-50010");
    let (_, finding) = asked(&["3459"]);
    let command = text(&help(&finding, "reserve")["command"]);
    assert!(command.ends_with("ip_local_reserved_ports=50000-50010,3459"), "{command}");
    set_sysctl("net.ipv4.ip_local_reserved_ports", "3458-3460,50000");
    let (_, finding) = asked(&["3459"]);
    assert!(!finding.to_string().contains(r#""do":"reserve""#), "it is kept out already");
    assert_eq!(help(&finding, "other-port")["outside"], Value::Null);
}

/// What a client has left behind; and what a server has, whose port is in the ephemeral range.
fn outgoing_over() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    set_sysctl("net.ipv4.ip_local_port_range", "3459 3459");
    let client = TcpStream::connect(server.local_addr().expect("it is bound"));
    let (accepted, _) = server.accept().expect("it came");
    drop(client.expect("it listens"));
    wait_for("FIN_WAIT2", || (states(PORT) == [5]).then_some(())); // no copy of it is left
    drop(accepted);
    wait_for("TIME_WAIT", || (states(PORT) == [6]).then_some(()));
    let (_, finding) = asked(&["3459"]);
    assert_eq!(case(&finding, "outgoing")["is_over"], true);
    assert!(!has_case(&finding, "lacks-option"), "it was no server");
    help(&finding, "wait");
    let (_, told) = said(&["3459"]);
    assert!(told.contains("An outgoing connection was here, it seems"), "{told}");

    in_namespace(|| {
        set_sysctl("net.ipv4.ip_local_port_range", "3459 3470");
        time_wait(Switches { reuseaddr: true, ..Switches::default() });
        let (_, finding) = asked(&["3459"]);
        assert!(!has_case(&finding, "outgoing"), "SO_REUSEADDR does help: {finding}");
        assert_eq!(help(&finding, "set-now")["option"], "SO_REUSEADDR");
    });
}

/// A client that was connected to itself.
fn self_connect() {
    let client = bound("127.0.0.1", false);
    connect(&client, &local("127.0.0.1")).expect("it meets itself");
    let (status, finding) = asked(&["3459"]);
    assert_eq!(status, 1);
    assert_eq!(case(&finding, "self-connect")["pid"], std::process::id());
    assert!(!has_case(&finding, "outgoing"));
}

/// A listener on `::` has IPv4 too.
fn two_families() {
    let listener = listener("::");
    let (status, finding) = asked(&["127.0.0.1:3459"]);
    assert_eq!((status, &only(&finding)["address"]), (1, &"::".into()));
    case(&finding, "holds-ipv4");
    assert_eq!(can(&finding, "0.0.0.0", "SO_REUSEADDR"), "no");
    drop(listener);
    let other = fresh(false, local("::").ip(), true, false, false).expect("it is a socket");
    wait_for("the port", || bind(&other, &local("::")).ok());
    listen(&other, 8).expect("it is bound");
    let (status, finding) = asked(&["127.0.0.1:3459"]);
    assert_eq!(status, 0, "of IPv6 alone it is in nobody's way: {finding}");
    assert!(!has_case(&finding, "holds-ipv4"));
    assert_eq!(can(&finding, "127.0.0.1", "none"), "yes");
}

/// The connections of a listener on `::`, after its end: those of IPv4 keep IPv4 out, and so do
/// those of IPv6 if it took both. Nothing about them is unknown.
fn connections_of_two_families() {
    for (peer, v6only, keeps_ipv4_out) in
        [("::1", true, false), ("::1", false, true), ("127.0.0.1", false, true)]
    {
        let server = fresh(false, local("::").ip(), v6only, true, false).expect("it is a socket");
        bind(&server, &local("::")).expect("the port is free");
        listen(&server, 8).expect("it is bound");
        let client = TcpStream::connect(local(peer)).expect("it listens");
        let connection = accept_with(&server, SocketFlags::CLOEXEC).expect("it came");
        drop(server);
        // Another trial, in starting a process, may have a copy of the listener for a moment.
        wait_for("the connection alone", || (!states(PORT).contains(&10)).then_some(()));
        let (_, finding) = asked(&["3459"]);
        let expected = if keeps_ipv4_out { "no" } else { "yes" };
        assert_eq!(can(&finding, "0.0.0.0", "none"), expected, "{peer} {v6only}: {finding}");
        assert_eq!(can(&finding, "0.0.0.0", "SO_REUSEPORT"), expected, "{peer} {v6only}");
        if peer == "127.0.0.1" {
            drop(connection);
            wait_for("FIN_WAIT2", || (states(PORT) == [5]).then_some(()));
            let (_, finding) = asked(&["3459"]);
            assert_eq!(can(&finding, "127.0.0.1", "none"), "no", "{finding}");
            assert_eq!(can(&finding, "0.0.0.0", "SO_REUSEPORT"), "no", "{finding}");
            assert_eq!(help(&finding, "set-now")["option"], "SO_REUSEADDR");
            drop(client);
            wait_for("TIME_WAIT", || (states(PORT) == [6]).then_some(()));
            let (_, finding) = asked(&["3459"]);
            assert_eq!(can(&finding, "127.0.0.1", "none"), "no", "{finding}");
            assert_eq!(can(&finding, "0.0.0.0", "SO_REUSEADDR"), "yes", "{finding}");
        } else {
            set_socket_linger(&connection, Some(Duration::ZERO)).expect("it is a socket");
            drop(connection); // and with a reset, nothing is left
            wait_for("nothing", || states(PORT).is_empty().then_some(()));
        }
    }
}

/// A container's published port.
fn published() {
    let scratch = Scratch::new();
    let words = [
        "-proto",
        "tcp",
        "-host-port",
        "3459",
        "-container-ip",
        "172.17.0.2",
        "-container-port",
        "80",
    ];
    let proxy = holder(&scratch, "docker-proxy", std_listener("0.0.0.0"), &words);
    let (status, finding) = asked(&["3459"]);
    assert_eq!(status, 1);
    let case = case(&finding, "published");
    assert_eq!(case["pid"], proxy.pid().as_raw());
    assert_eq!((&case["engine"], &case["container_ip"]), (&"docker".into(), &"172.17.0.2".into()));
    assert_eq!(case["container_port"], "80");
    let command = text(&help(&finding, "stop")["command"]);
    assert_eq!(command, "docker stop $(docker ps -q --filter publish=3459/tcp)");
    assert!(said(&["3459"]).1.contains("port is already allocated"));
}

/// A listener in another network namespace is named, and is in nobody's way. So is a receiver of UDP.
fn other_namespace() {
    need(Need::Ipv6);
    for (table, nc, asks, ss) in
        [("tcp", "-l", vec!["3459"], "-tanp"), ("udp", "-lu", vec!["3459", "--udp"], "-uanp")]
    {
        let mut command = Command::new("unshare");
        let other = Process::start(command.args(["--net", "nc.openbsd", nc, "3459"]));
        let table = format!("/proc/{}/net/{table}", other.pid());
        let is_there = || fs::read_to_string(&table).ok()?.contains(":0D83 ").then_some(());
        wait_for("its socket", is_there);
        let (status, finding) = asked(&asks);
        assert_eq!((status, list(&finding["sockets"]).len()), (0, 0));
        let pid = other.pid().as_raw();
        let cases = list(&finding["cases"]);
        let is_it = |case: &&Value| case["case"] == "other-namespace" && case["pid"] == pid;
        assert_eq!(cases.iter().find(is_it).expect("it is seen")["name"], "nc.openbsd");
        // Of many namespaces the text names the first few: some of these are said, of the same protocol.
        let (_, said) = said(&asks);
        assert!(said.contains(&format!(" -n ss {ss}")), "{said}");
    }
}

/// A super-server listens for a service.
fn socket_activated() {
    let scratch = Scratch::new();
    let systemd = holder(&scratch, "systemd", std_listener("0.0.0.0"), &[]);
    let (_, finding) = asked(&["3459"]);
    assert_eq!(case(&finding, "socket-activated")["pid"], systemd.pid().as_raw());
    assert!(text(&help(&finding, "stop")["command"]).contains("systemctl"));
}

/// bindtable, which in a mount namespace of its own finds these lines as the cgroup file of each
/// process.
pub(crate) fn in_cgroup(scratch: &Scratch, cgroup: &str, pids: &[i32]) -> Command {
    let file = scratch.path().join("cgroup");
    fs::write(&file, format!("{cgroup}\n")).expect("the folder is ours");
    let mut unshare = Command::new("unshare");
    let script = "for pid in $2; do mount --bind \"$1\" /proc/$pid/cgroup || exit 9; done
                  program=$0; shift 2; exec \"$program\" \"$@\"";
    let pids = pids.iter().map(i32::to_string).collect::<Vec<_>>().join(" ");
    unshare.args(["--mount", "sh", "-c", script]).arg(program()).arg(&file).arg(pids);
    unshare
}

/// Whoever chooses a name chooses neither what the terminal does, nor what the reader types.
fn hostile_names() {
    let _guard = ODD_NAMES.write().unwrap_or_else(PoisonError::into_inner);
    let scratch = Scratch::new();
    let words = ["\x1b[2J", "a\u{202e}b", "c\u{9b}1md\ne"];
    let server = holder(&scratch, "a;b\x1b[31m", std_listener("127.0.0.1"), &words);
    let pid = server.pid().as_raw();
    let kill = format!("kill -CONT {pid}; kill {pid}");
    for (unit, command) in [
        ("x;id;\x1b[31mRED.service", &*kill),
        ("a\u{202e}b.service", &kill),
        ("--force.service", &kill),
        ("x;id;.service", &kill),
        ("$(id)'`.service", &kill),
        // systemctl takes these for patterns, or for none of its names.
        ("*.service", &kill),
        ("[a-z]?.service", &kill),
        (".service", &kill),
        ("web@1.service", "systemctl stop web@1.service"),
        (r"dev-a\x2db.service", r#"systemctl stop "dev-a\\x2db.service""#),
    ] {
        let cgroup = format!("0::/{unit}");
        let ask = |format| {
            let mut command = in_cgroup(&scratch, &cgroup, &[pid]);
            let output = run(command.args(["port", "3459", "--format", format]));
            assert_eq!(output.stderr, "", "{unit:?}");
            let is_shown = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
            assert!(output.stdout.chars().all(is_shown), "{:?}", output.stdout);
            output.stdout
        };
        assert!(flat(&ask("text")).contains("(a;b [31m), descriptor 0, unit "));
        let finding: Value = serde_json::from_str(&ask("json")).expect("it is JSON");
        let advised = text(&help(&finding, "stop")["command"]);
        assert_eq!(advised, command);
        // A shell takes what is advised for as many words as it has.
        if let Some(words) = advised.strip_prefix("systemctl stop ") {
            let print = format!("printf '%s,' {words}");
            let printed = run(Command::new("sh").args(["-c", &print])).stdout;
            assert_eq!(printed, format!("{unit},"));
        }
    }
}

/// A place where a process may live, as its cgroup file tells it.
struct Home {
    cgroup: String,
    unit: Option<String>,
    container: Option<&'static str>,
    /// What stops the process, if that is not kill.
    stop: Option<&'static str>,
}

const DIGITS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn all_homes() -> Vec<Home> {
    let user = "0::/user.slice/user-54321.slice/user@54321.service/app.slice"; // nobody's
    let desktop = "app-gnome-Terminal@0a1b2c3d4e5f60718293a4b5c6d7e8f9.service";
    let home = |cgroup: &str, unit: Option<&str>, container, stop| Home {
        cgroup: cgroup.to_owned(),
        unit: unit.map(str::to_owned),
        container,
        stop,
    };
    let docker = format!("docker-{DIGITS}.scope");
    let number = Some(&DIGITS[..12]);
    let session = "session-3.scope";
    vec![
        home("0::/", None, None, None),
        home(
            "0::/system.slice/web.service",
            Some("web.service"),
            None,
            Some("systemctl stop web.service"),
        ),
        home(
            "1:name=systemd:/system.slice/old.service",
            Some("old.service"),
            None,
            Some("systemctl stop old.service"),
        ),
        home(&format!("0::/user.slice/user-0.slice/{session}"), Some(session), None, None),
        home(
            "0::/machine.slice/machine-x.scope",
            Some("machine-x.scope"),
            Some("x"),
            Some("machinectl poweroff x"),
        ),
        home(&format!("0::/docker/{DIGITS}"), None, number, Some("docker stop 0123456789ab")),
        home(
            &format!("0::/system.slice/{docker}"),
            Some(&docker),
            number,
            Some("docker stop 0123456789ab"),
        ),
        home(
            &format!("0::/machine.slice/libpod-{DIGITS}.scope"),
            Some(&format!("libpod-{DIGITS}.scope")),
            number,
            Some("podman stop 0123456789ab"),
        ),
        home(
            "0::/lxc.payload.box/init.scope",
            Some("init.scope"),
            Some("box"),
            Some("lxc-stop -n box"),
        ),
        home(&format!("{user}/run.scope"), Some("run.scope"), None, None),
        home(
            &format!("{user}/own.service"),
            Some("own.service"),
            None,
            Some("systemctl --user -M 54321@ stop own.service"),
        ),
        home(
            &format!("{user}/{desktop}"),
            Some(desktop),
            None,
            Some(
                "systemctl --user -M 54321@ stop app-gnome-Terminal@0a1b2c3d4e5f60718293a4b5c6d7e8f9.service",
            ),
        ),
    ]
}

/// In each home the processes' units and containers are named, and `kill` is advised, but for a
/// service's own command.
fn in_each_home(pids: &[i32], kill: &str) {
    let scratch = Scratch::new();
    for home in all_homes() {
        let Home { cgroup, unit, container, stop } = &home;
        let ask = |format| {
            let mut command = in_cgroup(&scratch, cgroup, pids);
            let output = run(command.args(["port", "3459", "--lang", "en", "--format", format]));
            assert_eq!((output.status.code(), &*output.stderr), (Some(1), ""), "{cgroup}");
            output.stdout
        };
        let finding: Value = serde_json::from_str(&ask("json")).expect("it is JSON");
        let listener = list(&finding["sockets"]).iter().find(|socket| socket["state"] == "LISTEN");
        for process in list(&listener.expect("it listens")["processes"]) {
            assert_eq!(process["unit"], Value::from(unit.clone()), "{cgroup}");
            assert_eq!(process["container"], Value::from(*container), "{cgroup}");
        }
        assert_eq!(help(&finding, "stop")["command"], stop.unwrap_or(kill), "{cgroup}");
        let told = ask("text");
        is_narrow(&told);
        let place = match (container, unit) {
            (Some(container), _) => format!(", container {container}"),
            (None, Some(unit)) => format!(", unit {unit}"),
            (None, None) => String::new(),
        };
        assert!(flat(&told).contains(&format!("{place}: ")), "{told}");
    }
}

/// The unit, or the container, that a process belongs to.
fn homes() {
    let scratch = Scratch::new();
    let server = holder(&scratch, "server", std_listener("127.0.0.1"), &[]);
    let pid = server.pid();
    // It has stopped itself, and would not see SIGTERM.
    in_each_home(&[pid.as_raw()], &format!("kill -CONT {pid}; kill {pid}"));
}

/// A connection in FIN_WAIT1 without a process: its peer does not read.
fn orphan() {
    let listener = std_listener("127.0.0.1");
    let client = TcpStream::connect(local("127.0.0.1")).expect("it listens");
    let (server, _) = listener.accept().expect("it came");
    server.set_nonblocking(true).expect("it is a socket");
    drop(listener);
    while (&server).write(&[0; 1 << 16]).is_ok() {}
    drop(server);
    wait_for("FIN_WAIT1", || (states(PORT) == [4]).then_some(()));
    let (status, finding) = asked(&["3459"]);
    assert_eq!((status, &only(&finding)["state"]), (1, &"FIN_WAIT1".into()));
    assert_eq!(case(&finding, "orphan")["state"], "FIN_WAIT1");
    case(&finding, "had-option");
    help(&finding, "wait-for-peer");
    drop(client);
}

/// UDP has its own ports.
fn udp() {
    let _socket = UdpSocket::bind("127.0.0.1:3459").expect("it is free");
    let (status, finding) = asked(&["3459"]);
    assert_eq!((status, list(&finding["sockets"]).len()), (0, 0));
    assert_eq!(case(&finding, "other-protocol")["pid"], std::process::id());
    let (status, finding) = asked(&["3459", "--udp"]);
    assert_eq!((status, &only(&finding)["state"]), (1, &"BOUND".into()));
    assert_eq!(can(&finding, "0.0.0.0", "SO_REUSEADDR"), "no");
    assert!(!has_case(&finding, "bound-only"), "that is how UDP receives");
    assert!(said(&["3459", "--udp"]).1.starts_with("UDP port 3459 is in use: process"));
}

/// With more than ten sockets of UDP on a port the kernel looks in another table.
fn udp_crowd() {
    for count in [10, 11, 12] {
        let sockets = (0..count).map(|at| Placed {
            reuseaddr: if at % 2 == 0 { Set::Before } else { Set::Never },
            ..Placed::at([127, 0, 0, 2 + at].into())
        });
        let sockets: Vec<Placed> = sockets.collect();
        for ip in ["127.0.0.2", "127.0.0.3", "127.0.0.99"] {
            let (sockets, target) = (sockets.clone(), Some(local(ip).ip()));
            let crowd = Situation { is_udp: true, sockets, target, ..Situation::default() };
            crowd.count(0, &program());
        }
    }
}

/// A port that needs a privilege, asked for by a user who has none: EACCES, and not EADDRINUSE.
fn privileged() {
    set_sysctl("net.ipv4.ip_unprivileged_port_start", 4000);
    let mut command = Command::new("unshare");
    command.arg("--user").arg(program()).args(["port", "3459", "--format", "json"]);
    let (status, finding) = found(&mut command);
    assert_eq!(status, 0, "nobody has it");
    assert_eq!(case(&finding, "privileged")["first"], 4000);
    assert!(list(&finding["verdicts"]).iter().all(|verdict| verdict["error"] == "EACCES"));
    help(&finding, "privilege");
    assert!(text(&finding["answer"]).contains("EACCES"));
    assert!(!has_case(&asked(&["3459"]).1, "privileged"), "the owner of the namespace may");
}

/// An address that this machine does not have: EADDRNOTAVAIL, and not EADDRINUSE.
fn not_this_machine() {
    need(Need::Ipv6);
    for (target, address) in
        [("192.0.2.1:3459", "192.0.2.1"), ("[2001:db8::1]:3459", "2001:db8::1")]
    {
        let (status, finding) = asked(&[target]);
        assert_eq!(status, 0, "nobody has it");
        assert_eq!(case(&finding, "not-this-machine")["address"], address);
        assert_eq!(can(&finding, address, "none"), "no");
        assert_eq!(can(&finding, "127.0.0.1", "none"), "yes");
        assert!(text(&finding["answer"]).contains("EADDRNOTAVAIL"));
    }
}

/// Whether this kernel lists sockets of TCP that are bound and do not listen. One that does not is always
/// asked by bind, as with `--probe`.
pub(crate) fn lists_bound() -> bool {
    harness::kernel() >= (6, 8)
}

/// A socket that is bound and does not listen, where no table shows anything.
fn bound_only() {
    let _bound = bound("127.0.0.1", true);
    // An ss of 2025 lists it, as UNCONN, and names no process.
    let table = run(Command::new("netstat").arg("-tan")).stdout;
    assert!(!table.contains(":3459"), "{table}");
    let (status, finding) = asked(&["3459"]);
    if !lists_bound() {
        assert_eq!((status, list(&finding["sockets"]).len()), (1, 0));
        assert_eq!(can(&finding, "127.0.0.1", "SO_REUSEADDR"), "yes");
        return;
    }
    assert_eq!((status, &only(&finding)["state"]), (1, &"BOUND".into()));
    assert_eq!(case(&finding, "bound-only")["pid"], std::process::id());
    assert_eq!(only(&finding)["reuseaddr"], true);
    assert_eq!(can(&finding, "127.0.0.1", "SO_REUSEADDR"), "yes");
    assert_eq!(can(&finding, "127.0.0.1", "none"), "no");
}

/// A thousand sockets: counted for a reader, listed for a program.
fn thousand() {
    const COUNT: usize = 1000;
    set_sysctl("net.ipv4.tcp_max_tw_buckets", 2 * COUNT);
    let listener = std_listener("127.0.0.1");
    // A client whose port another one has had replaces its TIME_WAIT: the kernel counts ports on for all
    // network namespaces together, but not exactly.
    let mut clients = BTreeSet::new();
    while clients.len() < COUNT {
        let client = TcpStream::connect(local("127.0.0.1")).expect("it listens");
        clients.insert(client.local_addr().expect("it is connected").port());
        // Not by dropping them, since a process that is just starting may hold a copy.
        let (server, _) = listener.accept().expect("it came");
        server.shutdown(Shutdown::Write).expect("it is connected");
        assert_eq!((&client).read(&mut [0]).expect("the server has closed first"), 0);
        client.shutdown(Shutdown::Write).expect("it is connected");
    }
    drop(listener);
    wait_for("TIME_WAIT", || (states(PORT) == [6; COUNT]).then_some(()));
    let (status, text) = said(&["3459"]);
    assert_eq!(status, 1);
    assert!(text.contains(&format!("{COUNT} sockets alike")), "{text}");
    assert!(text.contains("had SO_REUSEADDR"), "std sets it: {text}");
    assert!(text.len() < 2000, "{text}");
    assert_eq!(list(&asked(&["3459"]).1["sockets"]).len(), COUNT);
}

/// Without root it says what it can't see, and `--probe` finds it out.
fn ordinary_user() {
    let bound = bound("127.0.0.1", true);
    let ask = |options: &[&str]| {
        let mut command = Command::new("unshare");
        command.arg("--user").arg(program()).args(["port", "3459"]).args(options);
        command
    };
    let (status, finding) = found(&mut ask(&["--format", "json"]));
    assert_eq!(status, 1);
    assert_eq!(can(&finding, "127.0.0.1", "none"), "no");
    if lists_bound() {
        assert_eq!(only(&finding)["reuseaddr"], Value::Null);
        assert_eq!(finding["unseen"][0]["unseen"], "processes");
        assert_eq!(can(&finding, "127.0.0.1", "SO_REUSEADDR"), "unknown");
        assert_eq!(help(&finding, "ask")["command"], "bindtable port 3459 --probe");
        let told = flat(&run(&mut ask(&[])).stdout);
        assert!(told.contains("Not seen: the descriptors of "), "{told}");
    }
    let (_, finding) = found(&mut ask(&["--format", "json", "--probe"]));
    assert_eq!(can(&finding, "127.0.0.1", "SO_REUSEADDR"), "yes");
    assert_eq!(can(&finding, "127.0.0.1", "none"), "no");
    drop(bound);
}

/// What is advised asks the same question: with the interface, whatever its name is, and the protocol.
fn asks_the_same() {
    let _socket = UdpSocket::bind("127.0.0.1:3459").expect("it is free");
    for (interface, command) in [
        ("lo", "bindtable port '[fe80::1%lo]:3459' --udp --probe"),
        ("x;id>y", "bindtable port '[fe80::1%x;id>y]:3459' --udp --probe"),
    ] {
        for words in [&["lo", "down"][..], &["lo", "name", interface], &[interface, "up"]] {
            let output = run(Command::new("ip").args(["link", "set"]).args(words));
            assert!(interface == "lo" || output.stderr.is_empty(), "{}", output.stderr);
        }
        let target = format!("[fe80::1%{interface}]:3459");
        let mut unshare = Command::new("unshare");
        unshare.arg("--user").arg(program()).args(["port", &target, "--udp", "--format", "json"]);
        let (_, finding) = found(&mut unshare);
        let advised = text(&help(&finding, "ask")["command"]);
        assert_eq!(advised, command);
        let words = format!("printf '%s,' {advised}");
        let words = run(Command::new("sh").args(["-c", &words])).stdout;
        assert_eq!(words, format!("bindtable,port,{target},--udp,--probe,"));
    }
}

/// An interface is looked for in this network namespace, whatever /sys is mounted.
fn interface() {
    need(Need::Ipv6);
    let set = |words: &[&str]| {
        let output = run(Command::new("ip").args(["link", "set"]).args(words));
        assert_eq!(output.stderr, "", "{words:?}");
    };
    set(&["lo", "down"]);
    for name in ["here", "77"] {
        set(&[if name == "77" { "here" } else { "lo" }, "name", name]);
        let (_, finding) = asked(&[&format!("[fe80::1%{name}]:3459")]);
        assert_eq!(finding["address"], "fe80::1");
    }
    set(&["77", "up"]);
    // It is its name, and no number: of the interface with that number nothing is known.
    let output =
        run(Command::new("ip").args(["address", "add", "fe80::1/64", "dev", "77", "nodad"]));
    assert_eq!(output.stderr, "");
    assert_eq!(can(&asked(&["[fe80::1%77]:3459"]).1, "fe80::1", "none"), "yes");
    assert!(refusal(&["port", "[fe80::1%lo]:3459"]).contains("'lo' is no network interface"));
    let (_, told) = said(&["[fe80::1]:3459"]);
    assert!(told.contains("a link-local address needs one, as in [fe80::1%eth0]:3459"), "{told}");
}

/// While servers come and go, each answer is a whole one.
fn in_motion() {
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let moving = scope.spawn(|| {
            // A thread that is made here is in the same namespace.
            let variant = Variant::new(Program::Treuseaddr, Runtime::Raw);
            while !stop.load(Ordering::Relaxed) {
                drop(Process::start(&mut variant.command()));
            }
        });
        for _ in 0..30 {
            let (status, finding) = asked(&["3459"]);
            let is_there = !list(&finding["sockets"]).is_empty();
            // What bind meets may have come after the list.
            assert!(status == i32::from(is_there) || !lists_bound() && status == 1, "{finding}");
            for socket in list(&finding["sockets"]) {
                assert_eq!(socket["address"], "127.0.0.1", "{finding}");
            }
        }
        stop.store(true, Ordering::Relaxed);
        moving.join().expect("it has stopped");
    });
}

// Random situations.

/// Two network interfaces, both with this address.
pub(crate) const DEVICES: [&str; 2] = ["one", "other"];
const LINK_LOCAL: &str = "fe80::1";

pub(crate) fn link_local() -> IpAddr {
    LINK_LOCAL.parse().expect("it is an address")
}

/// The port at `ip`, on that interface if the address is a link-local one.
pub(crate) fn address(ip: IpAddr, port: u16, device: &str) -> SocketAddr {
    let mut address = SocketAddr::new(ip, port);
    if let SocketAddr::V6(address) = &mut address
        && ip == link_local()
    {
        address.set_scope_id(if_nametoindex(device).expect("there is such an interface"));
    }
    address
}

/// When an option is set: never, before bind, only after it, or before it and not after. The last two
/// are as these, but when the socket already listens, or is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Set {
    #[default]
    Never,
    Before,
    Late,
    Cleared,
    OnAtLast,
    ClearedAtLast,
}

impl Set {
    fn is_before_bind(self) -> bool {
        matches!(self, Self::Before | Self::Cleared | Self::ClearedAtLast)
    }

    /// Whether it is no longer as it was at bind.
    fn is_changed(self) -> bool {
        !matches!(self, Self::Never | Self::Before)
    }

    /// What is changed after bind, or at last.
    fn changes(self, at_last: bool) -> Option<bool> {
        match (self, at_last) {
            (Self::Late, false) | (Self::OnAtLast, true) => Some(true),
            (Self::Cleared, false) | (Self::ClearedAtLast, true) => Some(false),
            _ => None,
        }
    }
}

/// What is done with a socket after bind. UDP has the first and the last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Then {
    #[default]
    Nothing,
    Listen,
    Connection,
    Established,
    CloseWait,
    FinWait2,
    TimeWait,
    Close,
}

impl Then {
    /// Whether no process has it in the end: its options have to change before its client comes.
    fn is_over(self) -> bool {
        matches!(self, Self::FinWait2 | Self::TimeWait)
    }
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    ip: IpAddr,
    v6only: bool,
    reuseaddr: Set,
    reuseport: Set,
    /// Its user; none for this one.
    user: Option<u32>,
    /// The scope of a link-local address, to which the kernel then binds the socket; SO_BINDTODEVICE
    /// of another one.
    device: Option<&'static str>,
    is_mptcp: bool,
    /// Whether a thread with a descriptor table of its own has it.
    in_thread: bool,
    /// Whether the client of a socket of both families is of IPv6.
    is_reached_by_ipv6: bool,
    then: Then,
}

impl Placed {
    /// One without an option.
    fn at(ip: IpAddr) -> Self {
        Self {
            ip,
            v6only: false,
            reuseaddr: Set::Never,
            reuseport: Set::Never,
            user: None,
            device: None,
            is_mptcp: false,
            in_thread: false,
            is_reached_by_ipv6: false,
            then: Then::Nothing,
        }
    }
}

#[derive(Debug, Default)]
struct Situation {
    is_udp: bool,
    sockets: Vec<Placed>,
    /// The address that is asked for; none for the port alone.
    target: Option<IpAddr>,
    /// The interface to which the new server is bound at that address.
    device: Option<&'static str>,
    /// The new server's user; none for this one.
    asked_by: Option<u32>,
    /// The error by which a policy refuses the port.
    refusal: Option<i32>,
    /// Whether all is one user's.
    is_of_one_user: bool,
}

/// Users beside this one.
const USERS: [u32; 2] = [NOBODY, 1];

impl Situation {
    fn new(seed: u64, two_users: bool) -> Self {
        use Then::*;
        let mut rng = fastrand::Rng::with_seed(seed);
        let is_udp = rng.u8(0..5) == 0;
        let most = if is_udp && rng.u8(0..4) == 0 { 14 } else { 4 };
        let sockets = (0..rng.usize(1..=most)).map(|_| {
            let addresses = [
                "127.0.0.1",
                "127.0.0.1",
                "127.0.0.2",
                "0.0.0.0",
                "::1",
                "::",
                "::ffff:127.0.0.1",
                LINK_LOCAL,
            ];
            let ip: IpAddr =
                rng.choice(addresses).expect("it is not empty").parse().expect("it is one");
            let mut set = || match rng.u8(0..14) {
                0..6 => Set::Never,
                6..10 => Set::Before,
                10 => Set::Late,
                11 => Set::Cleared,
                12 => Set::OnAtLast,
                _ => Set::ClearedAtLast,
            };
            let (reuseaddr, reuseport) = (set(), set());
            let then = match is_udp {
                true => rng.choice([Nothing, Nothing, Nothing, Close]),
                false => rng.choice([
                    Nothing,
                    Listen,
                    Connection,
                    Established,
                    CloseWait,
                    FinWait2,
                    TimeWait,
                    TimeWait,
                    Close,
                ]),
            };
            let device = match ip == link_local() {
                true => rng.choice(DEVICES),
                // A client reaches what is bound to the loopback's interface.
                false => rng.choice(["lo", DEVICES[0]]).filter(|_| rng.u8(0..8) == 0),
            };
            Placed {
                v6only: ip == IpAddr::from([0; 16]) && rng.bool(),
                reuseaddr,
                reuseport,
                user: rng.choice(USERS).filter(|_| two_users && rng.u8(0..4) == 0),
                device,
                is_mptcp: !is_udp && rng.u8(0..8) == 0,
                in_thread: rng.u8(0..16) == 0,
                is_reached_by_ipv6: rng.bool(),
                then: then.expect("it is not empty"),
                ..Placed::at(ip)
            }
        });
        let sockets = sockets.collect();
        let asked_by = Some(NOBODY).filter(|_| two_users && rng.u8(0..3) == 0);
        let errors = [EPERM, EPERM, EADDRINUSE, EADDRNOTAVAIL];
        let refusal = rng.choice(errors).filter(|_| two_users && rng.u8(0..16) == 0);
        let is_of_one_user = !two_users;
        if refusal.is_some() {
            return Self { is_udp, sockets, refusal, is_of_one_user, ..Self::default() };
        }
        let target = [
            None,
            None,
            Some("::1"),
            Some("127.0.0.2"),
            Some("::ffff:127.0.0.1"),
            Some(LINK_LOCAL),
        ];
        let target = rng.choice(target).expect("it is not empty");
        let target: Option<IpAddr> = target.map(|ip| ip.parse().expect("it is an address"));
        let device = match target {
            Some(ip) if ip == link_local() => Some(DEVICES[0]),
            Some(IpAddr::V4(_)) => rng.choice([None, Some("lo"), Some(DEVICES[0])]).flatten(),
            _ => None,
        };
        Self { is_udp, sockets, target, device, asked_by, refusal, is_of_one_user }
    }
}

impl Situation {
    /// Whether some socket's options change after bind.
    fn changes(&self) -> bool {
        self.sockets.iter().any(|it| it.reuseaddr.is_changed() || it.reuseport.is_changed())
    }

    /// Makes the situation on the port, and while it stands does this.
    fn with<T>(&self, port: u16, action: impl FnOnce() -> T) -> T {
        let mut standing: Vec<Standing> = Vec::new();
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for socket in &self.sockets {
                if !socket.in_thread {
                    standing.extend(place(socket, self.is_udp, port));
                    continue;
                }
                let ((said, hears), (stop, waits)) = (channel(), channel::<()>());
                scope.spawn(move || {
                    own_descriptors();
                    let standing = place(socket, self.is_udp, port);
                    said.send(()).expect("the trial waits");
                    let _ = waits.recv();
                    drop(standing);
                });
                hears.recv().expect("it has placed it");
                threads.push(stop);
            }
            let result = action();
            drop(standing);
            result
        })
    }

    /// The command that asks about the port.
    fn command(&self, program: &Path, port: u16) -> Command {
        let target = match (self.target, self.device) {
            (None, _) => port.to_string(),
            (Some(ip @ IpAddr::V4(_)), Some(device)) => format!("{ip}%{device}:{port}"),
            (Some(ip), Some(device)) => format!("[{ip}%{device}]:{port}"),
            (Some(ip), None) => SocketAddr::new(ip, port).to_string(),
        };
        let mut command = Command::new(program);
        command.args(["port", &target, "--format", "json"]);
        if self.is_udp {
            command.arg("--udp");
        }
        if let Some(user) = self.asked_by {
            command.uid(user).gid(user);
        }
        command
    }

    /// Makes the situation, and compares every verdict with what a real bind, and listen, then do; and
    /// if some are unknown, with `--probe` too. Gives what differs, and how many were compared.
    fn compare(&self, program: &Path, port: u16) -> (Vec<String>, usize) {
        let policy = match self.refusal {
            None => None,
            Some(errno) => match Policy::cgroup("bind", port, errno) {
                Err(why) => {
                    lacks_in("port_random: some situations", Need::CgroupPrograms, &why);
                    return (Vec::new(), 0);
                }
                Ok(policy) => Some(policy),
            },
        };
        self.with(port, || {
            let mut command = self.command(program, port);
            if let Some(policy) = &policy {
                let mut under = policy.command(program);
                under.args(command.get_args());
                command = under;
            }
            let finding = found(&mut command).1;
            // The binds of the one would change what the other one finds.
            let wrong = |finding: &Value| match port / 10 % 3 {
                0 => self.unkept(port, finding).into_iter().collect(),
                _ => self.differences(port, finding, policy.as_ref()),
            };
            let mut differences = wrong(&finding);
            let verdicts = list(&finding["verdicts"]);
            let mut compared = verdicts.len();
            let unknown = verdicts.iter().filter(|verdict| verdict["can"] == "unknown").count();
            if unknown > 0 {
                // The real binds so far are no trace of bindtable's: they are forgotten, if that may be.
                let is_fresh = self.is_udp || forget_group(port);
                let probed = found(command.arg("--probe")).1;
                if !is_fresh {
                    return (differences, compared);
                }
                differences.extend(wrong(&probed));
                compared += list(&probed["verdicts"]).len();
            }
            if differences.is_empty() {
                let share = match self.asked_by {
                    Some(_) => &OTHERS,
                    None if self.is_of_one_user => &ONE_USER,
                    None if self.changes() => &CHANGING,
                    None => &CONSTANT,
                };
                share.add(verdicts);
            }
            (differences, compared)
        })
    }

    /// The same, where a difference has to be there again when the situation is made anew: a process
    /// that another trial starts meanwhile holds a copy of each socket of this one until its exec.
    fn count(&self, seed: u16, program: &Path) {
        const TRIES: u16 = 10;
        let mut last = Vec::new();
        for attempt in 0..TRIES {
            let (differences, compared) = self.compare(program, 2000 + TRIES * seed + attempt);
            last = differences;
            if last.is_empty() {
                (0..compared).for_each(|_| TALLY.count(Ok(())));
                return;
            }
        }
        for difference in last {
            TALLY.count(Err(format!("{seed}: {self:?}\n{difference}")));
        }
    }

    /// One of the verdicts that a bind of bindtable's with SO_REUSEPORT has told, if the first bind afterwards
    /// contradicts it, which meets all that the port remembers.
    fn unkept(&self, port: u16, finding: &Value) -> Option<String> {
        let told: Vec<&Value> =
            list(&finding["verdicts"]).iter().filter(|it| is_told(it)).collect();
        let verdict = told.get(usize::from(port) % told.len().max(1))?;
        let real = self.real(text(&verdict["address"]), text(&verdict["option"]), port, false);
        real.map(|real| format!("{verdict}\nreal, at once: {real}\n{finding}"))
    }

    /// The verdicts that a real bind contradicts.
    fn differences(&self, port: u16, finding: &Value, policy: Option<&Policy>) -> Vec<String> {
        let is_probed = finding["probed"] == true;
        let mut verdicts: Vec<&Value> = list(&finding["verdicts"]).iter().collect();
        // In the order of bindtable's own probes: a success with SO_REUSEPORT has effects on later
        // binds.
        let rank = |verdict: &Value| {
            let ip = text(&verdict["address"]);
            let place = ["::", "0.0.0.0"].iter().position(|any| *any == ip).unwrap_or(2);
            (OPTIONS.iter().position(|option| verdict["option"] == *option), place)
        };
        verdicts.sort_by_key(|verdict| rank(verdict));
        // A bind that is refused changes nothing, so the refusals are tried first: with all that the port
        // remembers.
        verdicts.sort_by_key(|verdict| verdict["can"] != "no");
        let mut differences = Vec::new();
        for verdict in verdicts {
            let [ip, option] = ["address", "option"].map(|name| text(&verdict[name]));
            let real = match policy {
                None => self.real(ip, option, port, verdict["can"] != "no"),
                Some(policy) => {
                    let proto = if self.is_udp { "udp" } else { "tcp" };
                    name_of(policy.real(proto, ip, port, option))
                }
            };
            let agrees = match text(&verdict["can"]) {
                "yes" => real.is_none(),
                "no" => real == verdict["error"].as_str(),
                // Where the kernel cannot be made to forget an earlier bind of the probe, with
                // SO_REUSEPORT, a success proves nothing.
                _ if is_probed => verdict["probed"] == false && self.may_be_of_group(verdict),
                _ => self.may_be_unknown(verdict, finding),
            };
            // The memory of a group is lost, too, by a bind without SO_REUSEPORT, as some here are.
            let is_explained = match text(&verdict["can"]) {
                "no" => {
                    let explains = real.is_none() && self.explains(verdict, finding);
                    UNTOLD.fetch_add(explains.into(), Ordering::Relaxed);
                    explains
                }
                "yes" => verdict["probed"] == true && self.may_be_remembered(verdict),
                _ => false,
            };
            if !(agrees || is_explained) {
                differences.push(format!("{verdict}\nreal: {real:?}\n{finding}"));
            }
        }
        differences
    }

    /// Whether what the verdict needs can't be seen: the options of another user's sockets,
    /// IPV6_V6ONLY of a TIME_WAIT, which of two families' sockets of UDP came last, and whether
    /// the bucket remembers a SO_REUSEPORT group.
    fn may_be_unknown(&self, verdict: &Value, finding: &Value) -> bool {
        self.asked_by.is_some()
            || self.is_udp
            || text(&verdict["option"]).contains("SO_REUSEPORT")
            || list(&finding["sockets"]).iter().any(|socket| socket["ipv6_only"].is_null())
    }

    /// Whether the kernel may let the new socket in for the sake of one that came with SO_REUSEPORT,
    /// which a real bind here makes it forget.
    fn may_be_remembered(&self, verdict: &Value) -> bool {
        // At listen the kernel takes note of it, too.
        let had = |set: Set| set.is_before_bind() || set == Set::Late;
        let is_of_group = |socket: &Placed| had(socket.reuseport) && socket.user == self.asked_by;
        self.may_be_of_group(verdict) && self.sockets.iter().any(is_of_group)
    }

    fn may_be_of_group(&self, verdict: &Value) -> bool {
        !self.is_udp && text(&verdict["option"]).contains("SO_REUSEPORT")
    }

    /// Whether the kernel may let the new socket in for the sake of one that nobody can see any more:
    /// it had SO_REUSEPORT, and since then has cleared it, or was closed (`fastreuseport`). Where bindtable
    /// has bound the port, only for the sake of such a bind, which is later than the refusal.
    fn explains(&self, verdict: &Value, finding: &Value) -> bool {
        if !self.may_be_of_group(verdict) {
            return false;
        }
        if finding["probed"] == true
            || list(&finding["sockets"]).iter().any(|it| it["record"] == true)
        {
            // A group at a wildcard lets in what is at an address, and the other wildcard.
            let lets_in = |ip: &Value| *ip == verdict["address"] || *ip == "::" || *ip == "0.0.0.0";
            let is_planted = |it: &Value| is_told(it) && lets_in(&it["address"]);
            return list(&finding["verdicts"]).iter().any(is_planted);
        }
        // Of an accepted connection the user is who accepted it, here always this one.
        let is_gone = |socket: &Placed| {
            matches!(socket.reuseport, Set::Cleared | Set::ClearedAtLast)
                || socket.then == Then::Close
                || (socket.user.is_some() && !matches!(socket.then, Then::Nothing | Then::Listen))
        };
        let was_of_group = |socket: &Placed| {
            socket.reuseport.is_before_bind() && socket.user == self.asked_by && is_gone(socket)
        };
        self.sockets.iter().any(was_of_group)
    }
}

/// Whether a bind of bindtable's with SO_REUSEPORT has told the verdict, and succeeded.
fn is_told(verdict: &Value) -> bool {
    let has_option = text(&verdict["option"]).contains("SO_REUSEPORT");
    verdict["probed"] == true && verdict["can"] == "yes" && has_option
}

/// A new socket with what is set before bind.
pub(crate) fn fresh(
    is_udp: bool,
    ip: IpAddr,
    v6only: bool,
    reuseaddr: bool,
    reuseport: bool,
) -> Result<Fd, Errno> {
    fresh_of(None, is_udp, ip, v6only, reuseaddr, reuseport)
}

/// The same, of that protocol.
fn fresh_of(
    protocol: Option<Protocol>,
    is_udp: bool,
    ip: IpAddr,
    v6only: bool,
    reuseaddr: bool,
    reuseport: bool,
) -> Result<Fd, Errno> {
    if ip.is_ipv6() {
        need(Need::Ipv6);
    }
    let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = if is_udp { SocketType::DGRAM } else { SocketType::STREAM };
    let fd = socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?;
    if v6only {
        set_ipv6_v6only(&fd, true)?;
    }
    if reuseaddr {
        set_socket_reuseaddr(&fd, true)?;
    }
    if reuseport {
        set_socket_reuseport(&fd, true)?;
    }
    Ok(fd)
}

/// Runs `action` with this thread as another user's, if that is asked for.
pub(crate) fn as_user<T>(other: Option<u32>, action: impl FnOnce() -> T) -> T {
    let Some(other) = other else { return action() };
    let user = geteuid();
    set_thread_res_uid(None, Uid::from_raw(other), None).expect("there may be two users");
    let result = action();
    set_thread_res_uid(None, user, None).expect("it was this one");
    result
}

/// The states in which the kernel's tables have the port as a local one, as numbers.
pub(crate) fn states(port: u16) -> Vec<u8> {
    let sockets = ["tcp", "tcp6"].into_iter().flat_map(sockets);
    let mut states: Vec<u8> =
        sockets.filter(|socket| socket.local.port() == port).map(|socket| socket.state).collect();
    states.sort_unstable();
    states
}

/// What stays open of a placed socket; its end is a reset, and no TIME_WAIT.
#[derive(Default)]
struct Standing {
    fds: Vec<Fd>,
    /// Kept, and no more.
    _on_device: Option<OwnedFd>,
}

impl Standing {
    fn of(fds: Vec<Fd>) -> Self {
        Self { fds, _on_device: None }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        for fd in &self.fds {
            let _ = set_socket_linger(fd, Some(Duration::ZERO));
        }
    }
}

/// Places a socket, if the kernel lets it.
fn place(socket: &Placed, is_udp: bool, port: u16) -> Option<Standing> {
    let Placed { reuseaddr, reuseport, .. } = *socket;
    if let Some(device) = socket.device.filter(|_| socket.ip != link_local()) {
        return place_on(device, socket, is_udp, port);
    }
    let protocol = socket.is_mptcp.then_some(ipproto::MPTCP);
    let fd = as_user(socket.user, || {
        let [reuseaddr, reuseport] = [reuseaddr, reuseport].map(Set::is_before_bind);
        fresh_of(protocol, is_udp, socket.ip, socket.v6only, reuseaddr, reuseport)
    });
    let fd = match fd {
        Err(_) if socket.is_mptcp => return None, // a kernel without it
        fd => fd.expect("the kernel has both families"),
    };
    let address = address(socket.ip, port, socket.device.unwrap_or_default());
    bind(&fd, &address).ok()?;
    change(&fd, socket, false);
    let standing = place_bound(socket, fd, address);
    let first = standing.as_ref().and_then(|standing| standing.fds.first());
    if let Some(first) = first.filter(|_| !socket.then.is_over()) {
        change(first, socket, true);
    }
    standing
}

/// Sets or clears the options after bind, or at last. MPTCP may refuse that.
fn change(fd: &Fd, socket: &Placed, at_last: bool) {
    for (set, option) in [
        (socket.reuseaddr, set_socket_reuseaddr as fn(_, bool) -> _),
        (socket.reuseport, set_socket_reuseport),
    ] {
        let changed = set.changes(at_last).map_or(Ok(()), |is_on| option(fd, is_on));
        assert!(changed.is_ok() || socket.is_mptcp, "{changed:?}");
    }
}

/// Places a socket with SO_BINDTODEVICE, and listens; what is done later with others is not done.
fn place_on(device: &str, socket: &Placed, is_udp: bool, port: u16) -> Option<Standing> {
    let Placed { reuseaddr, reuseport, .. } = *socket;
    let options = [reuseaddr, reuseport].map(Set::is_before_bind);
    let address = SocketAddr::new(socket.ip, port);
    let fd = as_user(socket.user, || bound_on(device, is_udp, address, options)).ok()?;
    let change = |at_last| {
        let [first, second] = [reuseaddr, reuseport].map(|set| set.changes(at_last));
        if let Some(is_on) = first {
            setsockopt(&fd, sockopt::ReuseAddr, &is_on).expect("it is a socket");
        }
        if let Some(is_on) = second {
            setsockopt(&fd, sockopt::ReusePort, &is_on).expect("it is a socket");
        }
    };
    change(false);
    match socket.then {
        Then::Nothing => {}
        Then::Close => return None,
        _ => nix_socket::listen(&fd, Backlog::MAXCONN).ok()?,
    }
    change(true);
    Some(Standing { fds: Vec::new(), _on_device: Some(fd) })
}

/// A socket with SO_BINDTODEVICE, and SO_REUSEADDR and SO_REUSEPORT, that is bound.
pub(crate) fn bound_on(
    device: &str,
    is_udp: bool,
    address: SocketAddr,
    [reuseaddr, reuseport]: [bool; 2],
) -> nix::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        nix_socket::AddressFamily::Inet
    } else {
        nix_socket::AddressFamily::Inet6
    };
    let kind = if is_udp { SockType::Datagram } else { SockType::Stream };
    let fd = nix_socket::socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &reuseaddr)?;
    setsockopt(&fd, sockopt::ReusePort, &reuseport)?;
    setsockopt(&fd, sockopt::BindToDevice, &device.into())?;
    nix_socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(fd)
}

/// What is done with a socket that is bound.
fn place_bound(socket: &Placed, fd: Fd, address: SocketAddr) -> Option<Standing> {
    let port = address.port();
    match socket.then {
        Then::Nothing => return Some(Standing::of(vec![fd])),
        Then::Close => return None,
        _ => {}
    }
    listen(&fd, 8).ok()?;
    if socket.then == Then::Listen {
        return Some(Standing::of(vec![fd]));
    }
    if socket.then.is_over() {
        change(&fd, socket, true);
    }
    let mut to = match socket.ip {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], port)),
        IpAddr::V6(ip) if ip.is_unspecified() && !socket.v6only && !socket.is_reached_by_ipv6 => {
            SocketAddr::from(([127, 0, 0, 1], port))
        }
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)),
        _ => address,
    };
    to.set_port(port);
    // A connection of MPTCP, whose other end is one, too, has states of its own.
    let is_mptcp = socket.is_mptcp && matches!(socket.then, Then::Connection | Then::Established);
    let protocol = is_mptcp.then_some(ipproto::MPTCP);
    let client = fresh_of(protocol, false, to.ip(), false, false, false);
    let client = client.expect("the kernel has both families");
    // The client's own port is none of those that are asked for.
    let mut own = to;
    own.set_port(0);
    bind(&client, &own).expect("a port is left");
    connect(&client, &to).ok()?;
    // With SO_REUSEPORT another listener may have got it: then it stays as a connection there.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::io::ioctl_fionbio(&fd, true).expect("it is a socket");
    let Ok(child) = accept_with(&fd, flags) else {
        return Some(Standing::of(vec![fd, client]));
    };
    let before = states(port);
    let changes = || wait_for("a change of state", || (states(port) != before).then_some(()));
    match socket.then {
        Then::Connection => return Some(Standing::of(vec![fd, child, client])),
        Then::Established => {
            drop(fd);
            return Some(Standing::of(vec![child, client]));
        }
        Then::CloseWait => {
            drop((fd, client));
            changes();
            return Some(Standing::of(vec![child]));
        }
        _ => {}
    }
    drop((fd, child));
    wait_for("FIN_WAIT2", || states(port).contains(&5).then_some(()));
    if socket.then == Then::FinWait2 {
        return Some(Standing::of(vec![client]));
    }
    let before = states(port);
    drop(client);
    wait_for("TIME_WAIT", || (states(port) != before).then_some(()));
    Some(Standing::default())
}

/// Makes the port forget the SO_REUSEPORT group of the bind before (`fastreuseport`): one without the
/// option, where it conflicts with nothing. Whether it has: all may be in use.
fn forget_group(port: u16) -> bool {
    ["127.0.0.77", "::1"].into_iter().fold(false, |has_forgotten, ip| {
        let ip = ip.parse().expect("it is an address");
        let fd = fresh(false, ip, false, true, false).expect("the kernel has both families");
        bind(&fd, &SocketAddr::new(ip, port)).is_ok() || has_forgotten
    })
}

impl Situation {
    /// What a real server's bind and listen say: nothing, or the error's name. With `forgets` the port
    /// forgets the group of the bind before.
    fn real(&self, ip: &str, option: &str, port: u16, forgets: bool) -> Option<&'static str> {
        let ip: IpAddr = ip.parse().expect("an address");
        let [reuseaddr, reuseport] = ["ADDR", "PORT"].map(|it| option.contains(it));
        if forgets && reuseport && !self.is_udp {
            forget_group(port);
        }
        let device = self.device.filter(|_| self.target == Some(ip) && ip != link_local());
        let on_device = |device| {
            let options = [reuseaddr, reuseport];
            let fd = bound_on(device, self.is_udp, SocketAddr::new(ip, port), options)?;
            match self.is_udp {
                true => Ok(()),
                false => nix_socket::listen(&fd, Backlog::MAXCONN),
            }
        };
        let bound = as_user(self.asked_by, || {
            if let Some(device) = device {
                let bound = on_device(device);
                return bound.map_err(|errno| Errno::from_raw_os_error(errno as i32));
            }
            let fd = fresh(self.is_udp, ip, false, reuseaddr, reuseport)?;
            bind(&fd, &address(ip, port, DEVICES[0]))?;
            match self.is_udp {
                true => Ok(()),
                false => listen(&fd, 1),
            }
        });
        bound.map_or_else(|errno| name_of(errno.raw_os_error()), |()| None)
    }
}

/// The name of an error of bind.
fn name_of(errno: i32) -> Option<&'static str> {
    match Errno::from_raw_os_error(errno) {
        Errno::ADDRINUSE => Some("EADDRINUSE"),
        Errno::ADDRNOTAVAIL => Some("EADDRNOTAVAIL"),
        Errno::PERM => Some("EPERM"),
        _ if errno == 0 => None,
        other => panic!("{other}"),
    }
}

/// Two interfaces, each with the same link-local address.
pub(crate) fn two_interfaces() {
    let [one, other] = DEVICES;
    for line in [
        format!("link add {one} type veth peer name {other}"),
        format!("link set {one} up"),
        format!("link set {other} up"),
        format!("address add {LINK_LOCAL}/64 dev {one} nodad"),
        format!("address add {LINK_LOCAL}/64 dev {other} nodad"),
    ] {
        let output = run(Command::new("ip").args(line.split(' ')));
        assert_eq!(output.stderr, "", "ip {line}");
    }
}

fn random(seeds: Range<u16>, two_users: bool) {
    let folder = SharedFolder::new();
    let copy = folder.copy(&program());
    two_interfaces();
    for seed in seeds {
        let of_one_user = if two_users { 0 } else { 200_000 };
        Situation::new(u64::from(seed) + of_one_user, two_users).count(seed, &copy);
    }
    for share in [&CONSTANT, &CHANGING, &ONE_USER] {
        let [all, unknown] = share.counts();
        assert!(unknown <= CHANCE + all * MOST_UNKNOWN / 1000, "{unknown} of {all} are unknown");
    }
    let untold = UNTOLD.load(Ordering::Relaxed);
    let all: u32 =
        [&CONSTANT, &CHANGING, &ONE_USER, &OTHERS].map(|share| share.counts()[0]).iter().sum();
    let most = CHANCE + all * MOST_UNTOLD / 1000;
    assert!(untold <= most, "{untold} refusals of {all} answers are false");
}

/// What real binds say of a port is the same before bindtable has been asked and after it, but for what its
/// help says. Each time in the same situation, made anew, by the same binds; those with SO_REUSEPORT come
/// first, since they meet what the kernel remembers of the binds before.
fn asking(seeds: Range<u16>) {
    const TRIES: u16 = 10;
    let folder = SharedFolder::new();
    let copy = folder.copy(&program());
    let two_users = has_two_users();
    two_interfaces();
    for seed in seeds.clone() {
        let situation = Situation::new(u64::from(seed) + 100_000, two_users);
        if situation.refusal.is_some() {
            continue; // the policy is not this process's
        }
        let first = 2000 + (seed - seeds.start) * 3 * TRIES;
        let mut last = (Vec::new(), [0; 2], 0);
        for attempt in 0..TRIES {
            last = situation.compare_asking(&copy, first + 3 * attempt);
            if last.0.is_empty() {
                break;
            }
        }
        let (differences, changed, compared) = last;
        CHANGED
            .iter()
            .zip(changed)
            .for_each(|(count, new)| _ = count.fetch_add(new, Ordering::Relaxed));
        (0..compared).for_each(|_| ASKING.count(Ok(())));
        for difference in differences {
            ASKING.count(Err(format!("{seed}: {situation:?}\n{difference}")));
        }
    }
}

impl Situation {
    /// Compares what real binds say without asking, after asking, and after asking with --probe, on three
    /// ports: what differs, how many do for the reason that the help gives, and how many were compared.
    fn compare_asking(&self, program: &Path, port: u16) -> (Vec<String>, [u32; 2], usize) {
        let mut addresses: Vec<String> = ADDRESSES.map(str::to_owned).into();
        addresses.extend(self.target.map(|ip| ip.to_string()));
        addresses.sort_by_key(|ip| ["::", "0.0.0.0"].iter().position(|any| any == ip).unwrap_or(2));
        addresses.dedup();
        let first = usize::from(port / 3) % (2 * addresses.len());
        let answers = |port| -> Vec<(String, &str, Option<&str>)> {
            let options = OPTIONS.iter().rev();
            let mut all: Vec<_> =
                options.flat_map(|option| addresses.iter().map(move |ip| (ip, *option))).collect();
            // Those with SO_REUSEPORT first, each of them the very first in some situation.
            all[..2 * addresses.len()].rotate_left(first);
            let all = all.into_iter();
            all.map(|(ip, option)| (ip.clone(), option, self.real(ip, option, port, false)))
                .collect()
        };
        let before = self.with(port, || answers(port));
        let (mut differences, mut changed) = (Vec::new(), [0; 2]);
        for (at, probe) in [None, Some("--probe")].into_iter().enumerate() {
            let port = port + 1 + u16::try_from(at).expect("there are two");
            let (finding, after) = self
                .with(port, || (found(self.command(program, port).args(probe)).1, answers(port)));
            // The bind that learns the options of a connection that no process has.
            let is_nobodys = |socket: &Value| {
                socket["state"] != "LISTEN" && list(&socket["processes"]).is_empty()
            };
            let has_bound = list(&finding["sockets"]).iter().any(is_nobodys)
                || list(&finding["verdicts"]).iter().any(|verdict| verdict["probed"] == true);
            for (number, (before, after)) in before.iter().zip(&after).enumerate() {
                if before == after {
                    continue;
                }
                // The very first finds what bindtable has left, and may not be let in by that.
                let is_let_in = number == 0 && probe.is_none() && after.2.is_none();
                match !self.is_udp && before.1.contains("SO_REUSEPORT") && has_bound && !is_let_in {
                    true => changed[at] += 1,
                    false => differences.push(format!("{before:?} {after:?}\n{finding}")),
                }
            }
        }
        (differences, changed, 2 * before.len())
    }
}
