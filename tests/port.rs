//! `bindtable port`: each puzzling case with real processes, and random situations in which every
//! verdict is compared with what a real bind then does.

use crate::harness::{self, Tally, bindtable as program, run, wait_for};
use libtest_mimic::Trial;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_linger, set_socket_reuseaddr, set_socket_reuseport,
};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with,
};
use rustix::process::{Uid, geteuid};
use rustix::thread::set_thread_res_uid;
use serde_json::Value;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How many random situations there are, in so many trials, and how many of these trials are in the
/// ordinary tests.
const SITUATIONS: u64 = 500;
const PARTS: u64 = 10;
const SAMPLE: u64 = 2;

static TALLY: Tally = Tally::new();
static UNKNOWN: AtomicU32 = AtomicU32::new(0);

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for part in 0..PARTS {
        let each = SITUATIONS / PARTS;
        let seeds = part * each..(part + 1) * each;
        let trial = harness::trial(format!("port_random_{part}"), move || random(seeds));
        trials.push(trial.with_ignored_flag(part >= SAMPLE));
    }
    trials
}

/// What is to be said at the end, where any situation was tried.
pub fn summary() -> Option<String> {
    let unknown = UNKNOWN.load(Ordering::Relaxed);
    TALLY.summary(&format!("verdicts of bindtable port ({unknown} unknown without --probe)"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("it is a list")
}

/// What `bindtable port --format json` finds, and its exit status.
fn found(command: &mut Command) -> (i32, Value) {
    let output = run(command);
    assert_eq!(output.stderr, "", "{command:?}");
    let finding = serde_json::from_str(&output.stdout);
    let finding = finding.unwrap_or_else(|error| panic!("{error}: {}", output.stdout));
    (output.status.code().expect("it ends by itself"), finding)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is a text")
}

// Random situations.

/// The other user: any number serves, it needs no account.
const OTHER_USER: u32 = 65_534;

/// When an option is set.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Set {
    Never,
    Before,
    Late,
    Cleared,
}

/// What is done with a socket after bind. UDP has the first and the last.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Nothing,
    Listen,
    Connection,
    Established,
    CloseWait,
    FinWait2,
    TimeWait,
    Close,
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    ip: IpAddr,
    v6only: bool,
    reuseaddr: Set,
    reuseport: Set,
    other_user: bool,
    then: Then,
}

#[derive(Debug)]
struct Situation {
    is_udp: bool,
    sockets: Vec<Placed>,
    asked_by_other: bool,
}

impl Situation {
    fn new(seed: u64, two_users: bool) -> Self {
        use Then::*;
        let mut rng = fastrand::Rng::with_seed(seed);
        let is_udp = rng.u8(0..5) == 0;
        let most = if is_udp && rng.u8(0..4) == 0 { 14 } else { 4 };
        let sockets = (0..rng.usize(1..=most)).map(|_| {
            let addresses =
                ["127.0.0.1", "127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"];
            let ip: IpAddr =
                rng.choice(addresses).expect("it is not empty").parse().expect("it is one");
            let mut set = || match rng.u8(0..12) {
                0..6 => Set::Never,
                6..10 => Set::Before,
                10 => Set::Late,
                _ => Set::Cleared,
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
            Placed {
                ip,
                v6only: ip == IpAddr::from([0; 16]) && rng.bool(),
                reuseaddr,
                reuseport,
                other_user: two_users && rng.u8(0..4) == 0,
                then: then.expect("it is not empty"),
            }
        });
        let sockets = sockets.collect();
        Self { is_udp, sockets, asked_by_other: two_users && rng.u8(0..3) == 0 }
    }
}

impl Situation {
    /// Compares every verdict with what a real bind, and listen, then do; gives what was found.
    ///
    /// A difference has to be there again when everything is looked at once more: a process that
    /// another trial starts meanwhile holds a copy of each socket of this one until its exec.
    fn compare(&self, seed: u64, port: u16, command: &mut Command) -> Value {
        const TRIES: usize = 5;
        let mut is_first = !command.get_args().any(|argument| argument == "--probe");
        for left in (0..TRIES).rev() {
            let finding = found(command).1;
            let differences = self.differences(port, &finding, is_first);
            if differences.is_empty() || left == 0 {
                for difference in &differences {
                    TALLY.count(Err(format!("{seed}: {self:?}\n{difference}\n{finding}")));
                }
                for _ in list(&finding["verdicts"]) {
                    TALLY.count(Ok(()));
                }
                return finding;
            }
            is_first = false;
        }
        unreachable!("the last try returns")
    }

    /// The verdicts that a real bind contradicts.
    fn differences(&self, port: u16, finding: &Value, is_first: bool) -> Vec<String> {
        let mut verdicts: Vec<&Value> = list(&finding["verdicts"]).iter().collect();
        // In the order of bindtable's own probes: a success with SO_REUSEPORT has effects on later
        // binds.
        let rank = |ip: &str| match ip {
            "::" => 0,
            "0.0.0.0" => 1,
            _ => 2,
        };
        verdicts.sort_by_key(|verdict| rank(text(&verdict["address"])));
        let mut differences = Vec::new();
        for verdict in verdicts {
            let real = real(self.is_udp, verdict, port, self.asked_by_other);
            let agrees = match text(&verdict["can"]) {
                "yes" => real.is_none(),
                "no" => real == verdict["error"].as_str(),
                _ => self.may_be_unknown(verdict, finding),
            };
            let is_explained = real.is_none() && self.explains(verdict, is_first);
            if !(agrees || is_explained) {
                differences.push(format!("{verdict}\nreal: {real:?}"));
            }
        }
        differences
    }

    /// Whether what the verdict needs can't be seen: the options of another user's sockets,
    /// IPV6_V6ONLY of a TIME_WAIT, which of two families' sockets of UDP came last, and whether
    /// the bucket remembers a SO_REUSEPORT group.
    fn may_be_unknown(&self, verdict: &Value, finding: &Value) -> bool {
        self.asked_by_other
            || self.is_udp
            || verdict["option"] == "SO_REUSEPORT"
            || list(&finding["sockets"]).iter().any(|socket| socket["ipv6_only"].is_null())
    }

    /// Whether the kernel may let the new socket in for the sake of one that nobody can see any more:
    /// it had SO_REUSEPORT, and since then has cleared it, or was closed (`fastreuseport`). After the
    /// first look, binds of this test itself are among them.
    fn explains(&self, verdict: &Value, is_first: bool) -> bool {
        // Of an accepted connection the user is who accepted it, here always this one.
        let is_gone = |socket: &Placed| {
            socket.reuseport == Set::Cleared
                || socket.then == Then::Close
                || (socket.other_user && !matches!(socket.then, Then::Nothing | Then::Listen))
        };
        let was_of_group = |socket: &Placed| {
            is_on(socket.reuseport) && socket.other_user == self.asked_by_other && is_gone(socket)
        };
        !self.is_udp
            && text(&verdict["can"]) == "no"
            && text(&verdict["option"]) == "SO_REUSEPORT"
            && (!is_first || self.sockets.iter().any(was_of_group))
    }
}

fn is_on(set: Set) -> bool {
    matches!(set, Set::Before | Set::Cleared)
}

/// A new socket with what is set before bind.
fn fresh(
    is_udp: bool,
    ip: IpAddr,
    v6only: bool,
    reuseaddr: bool,
    reuseport: bool,
) -> Result<OwnedFd, Errno> {
    let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = if is_udp { SocketType::DGRAM } else { SocketType::STREAM };
    let fd = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
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
fn as_user<T>(other: bool, action: impl FnOnce() -> T) -> T {
    if !other {
        return action();
    }
    let user = geteuid();
    set_thread_res_uid(None, Uid::from_raw(OTHER_USER), None).expect("there may be two users");
    let result = action();
    set_thread_res_uid(None, user, None).expect("it was this one");
    result
}

/// Whether there may be two users: as the root of a machine, not of a user namespace.
fn has_two_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").expect("/proc is mounted");
    map.split_whitespace().nth(2) != Some("1")
}

/// The states in which the kernel's tables have the port as a local one, as numbers.
fn states(port: u16) -> Vec<u8> {
    let end = format!(":{port:04X}");
    let mut states = Vec::new();
    for table in ["tcp", "tcp6"] {
        let table = fs::read_to_string(format!("/proc/thread-self/net/{table}"));
        for line in table.unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields[1].ends_with(&end) {
                states.push(u8::from_str_radix(fields[3], 16).expect("it is a state"));
            }
        }
    }
    states.sort_unstable();
    states
}

/// What stays open of a placed socket; its end is a reset, and no TIME_WAIT.
#[derive(Default)]
struct Standing(Vec<OwnedFd>);

impl Drop for Standing {
    fn drop(&mut self) {
        for fd in &self.0 {
            let _ = set_socket_linger(fd, Some(Duration::ZERO));
        }
    }
}

/// Places a socket, if the kernel lets it.
fn place(socket: &Placed, is_udp: bool, port: u16) -> Option<Standing> {
    let fd = as_user(socket.other_user, || {
        fresh(is_udp, socket.ip, socket.v6only, is_on(socket.reuseaddr), is_on(socket.reuseport))
    });
    let fd = fd.expect("the kernel has both families");
    let address = SocketAddr::new(socket.ip, port);
    bind(&fd, &address).ok()?;
    let late = |set| matches!(set, Set::Late | Set::Cleared);
    if late(socket.reuseaddr) {
        set_socket_reuseaddr(&fd, socket.reuseaddr == Set::Late).expect("it is a socket");
    }
    if late(socket.reuseport) {
        set_socket_reuseport(&fd, socket.reuseport == Set::Late).expect("it is a socket");
    }
    match socket.then {
        Then::Nothing => return Some(Standing(vec![fd])),
        Then::Close => return None,
        _ => {}
    }
    listen(&fd, 8).ok()?;
    if socket.then == Then::Listen {
        return Some(Standing(vec![fd]));
    }
    let mut to = match socket.ip {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], port)),
        IpAddr::V6(ip) if ip.is_unspecified() && !socket.v6only && port.is_multiple_of(2) => {
            SocketAddr::from(([127, 0, 0, 1], port))
        }
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)),
        ip => SocketAddr::new(ip, port),
    };
    to.set_port(port);
    let client = fresh(false, to.ip(), false, false, false).expect("the kernel has both families");
    // The client's own port is none of those that are asked for.
    bind(&client, &SocketAddr::new(to.ip(), 0)).expect("a port is left");
    connect(&client, &to).ok()?;
    // With SO_REUSEPORT another listener may have got it: then it stays as a connection there.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::io::ioctl_fionbio(&fd, true).expect("it is a socket");
    let Ok(child) = accept_with(&fd, flags) else {
        return Some(Standing(vec![fd, client]));
    };
    let before = states(port);
    let changes = || wait_for("a change of state", || (states(port) != before).then_some(()));
    match socket.then {
        Then::Connection => return Some(Standing(vec![fd, child, client])),
        Then::Established => {
            drop(fd);
            return Some(Standing(vec![child, client]));
        }
        Then::CloseWait => {
            drop((fd, client));
            changes();
            return Some(Standing(vec![child]));
        }
        _ => {}
    }
    drop((fd, child));
    wait_for("FIN_WAIT2", || states(port).contains(&5).then_some(()));
    if socket.then == Then::FinWait2 {
        return Some(Standing(vec![client]));
    }
    let before = states(port);
    drop(client);
    wait_for("TIME_WAIT", || (states(port) != before).then_some(()));
    Some(Standing::default())
}

/// A copy of the program that another user may execute.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str) -> Self {
        let file = format!("bindtable-port-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(file);
        // By another process, see `Copy` in bindtable.rs.
        let output = run(Command::new("cp").arg(program()).arg(&path));
        assert!(output.status.success(), "{}", output.stderr);
        Self(path)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What a real server's bind and listen say: nothing, or the error's name.
fn real(is_udp: bool, verdict: &Value, port: u16, by_other: bool) -> Option<&'static str> {
    let ip: IpAddr = text(&verdict["address"]).parse().expect("an address");
    let option = text(&verdict["option"]);
    let bound = as_user(by_other, || {
        let fd = fresh(is_udp, ip, false, option == "SO_REUSEADDR", option == "SO_REUSEPORT")?;
        bind(&fd, &SocketAddr::new(ip, port))?;
        match is_udp {
            true => Ok(()),
            false => listen(&fd, 1),
        }
    });
    match bound {
        Ok(()) => None,
        Err(Errno::ADDRINUSE) => Some("EADDRINUSE"),
        Err(Errno::ADDRNOTAVAIL) => Some("EADDRNOTAVAIL"),
        Err(other) => panic!("{verdict}: {other}"),
    }
}

fn random(seeds: std::ops::Range<u64>) {
    let copy = Copy::new(&format!("random-{}", seeds.end));
    let two_users = has_two_users();
    for seed in seeds {
        let situation = Situation::new(seed, two_users);
        let port = 2000 + u16::try_from(seed).expect("they are few");
        let standing: Vec<Standing> = situation
            .sockets
            .iter()
            .filter_map(|socket| place(socket, situation.is_udp, port))
            .collect();
        let mut command = Command::new(&copy.0);
        command.args(["port", &port.to_string(), "--format", "json"]);
        if situation.is_udp {
            command.arg("--udp");
        }
        if situation.asked_by_other {
            command.uid(OTHER_USER).gid(OTHER_USER);
        }
        let finding = situation.compare(seed, port, &mut command);
        let is_unknown = |verdict: &&Value| verdict["can"] == "unknown";
        let unknown = list(&finding["verdicts"]).iter().filter(is_unknown).count();
        UNKNOWN.fetch_add(u32::try_from(unknown).expect("they are few"), Ordering::Relaxed);
        if unknown > 0 {
            let probed = situation.compare(seed, port, command.arg("--probe"));
            assert!(list(&probed["verdicts"]).iter().all(|verdict| verdict["can"] != "unknown"));
        }
        drop(standing);
    }
}
