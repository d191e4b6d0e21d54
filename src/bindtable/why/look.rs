//! A look at the sockets that can be in the way of one actual socket: its options, its user, its
//! device. One list of the kernel's, and one pass over the processes.

use super::calls::Address;
use super::failure::{Bind, Failure, Relation};
use super::socket::{Protocol, Subject, inode};
use super::unix;
use crate::kernel::{Options, Proto};
use crate::kernel::bind::{self, Rule, Sock};
use crate::port::advice;
use crate::port::binds;
use crate::port::finding::{Help, ServerOption, Socket, User, Who};
use crate::port::holders::{self, Holder, Holders, Resists};
use crate::port::judge::{self, Answer, Owner};
use crate::port::target::Question;
use crate::printable::Outside;
use crate::sockets::{self, Listed, State};
use rustix::process::geteuid;
use nix::net::if_::if_nametoindex;
use rustix::fs::{AtFlags, Mode, OFlags, getxattr, open, statat};
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A socket in the way.
#[derive(Clone, Debug, Serialize)]
pub struct Obstacle {
    /// As netstat(8) names it; of a Unix socket, `LISTEN` or `BOUND`.
    pub state: &'static str,
    pub address: IpAddr,
    /// The network interface that it is bound to.
    pub device: Option<Outside>,
    pub port: u16,
    pub peer: Option<SocketAddr>,
    /// Of a Unix socket: its path or name.
    pub path: Option<String>,
    pub reuseaddr: Option<bool>,
    pub reuseport: Option<bool>,
    pub ipv6_only: Option<bool>,
    pub user: Option<User>,
    /// Those that have it, as far as they can be seen.
    pub processes: Vec<Holder>,
    /// How many processes were not looked at; one of them may have it, too.
    #[serde(rename = "processes_left_out")]
    pub left_out: usize,
    /// What the first of them is to the one that failed.
    pub relation: Option<Relation>,
    /// Of a TIME_WAIT, and FIN_WAIT2 without a process.
    pub seconds_left: Option<u32>,
    /// The bind that made it, if it was seen.
    pub bound: Option<SeenBind>,
    #[serde(skip)]
    pub listens: bool,
    /// Of TCP: one end of a connection, or what is left of it.
    #[serde(skip)]
    pub is_connection: bool,
    #[serde(skip)]
    pub has_process: bool,
}

/// The bind of an old socket, as it was seen.
#[derive(Clone, Debug, Serialize)]
pub struct SeenBind {
    pub pid: i32,
    pub descriptor: i32,
    pub milliseconds_ago: u64,
    /// Whether that process still has this socket.
    pub still_has_it: bool,
}

/// What stops those who hold a socket.
pub enum Stop {
    /// A command, which is never run; what may start them again; and what of them has started the failed process.
    Command { command: String, parent: Option<Who>, above: Option<Who> },
    /// From outside: it is process 1.
    Container,
    /// A command that tells what it belongs to.
    Find(String),
}

/// What was found of a port.
pub struct Found {
    /// The one that decides comes first.
    pub in_the_way: Vec<Obstacle>,
    /// The model does not know what decides.
    pub is_unknown: bool,
    /// What decides is that the users differ.
    pub is_other_user: bool,
    /// What stops those who hold them.
    pub stop: Option<Stop>,
    /// Whether SO_REUSEADDR, and SO_REUSEPORT, would let the socket in.
    pub would_help: [Option<bool>; 2],
}

/// The kernel's table in which the protocol has its ports.
pub fn table_of(protocol: Protocol) -> Proto {
    match protocol {
        Protocol::Udp => Proto::Udp,
        _ => Proto::Tcp,
    }
}

/// Looks at the port of `address` for the failed socket; its own row is left out. It fails if
/// neither sock_diag(7) nor `/proc/net` can be read.
pub fn look(failure: &Failure, address: SocketAddr) -> std::io::Result<Found> {
    let subject = &failure.subject;
    let proto = table_of(subject.protocol);
    let listed = others(failure, proto, address.port())?;
    let inodes = listed.iter().map(|socket| socket.inode).filter(|inode| *inode != 0);
    let holders = holders_of(failure, &inodes.collect());
    let mut sockets: Vec<Socket> = listed.iter().map(|it| Socket::new(it, &holders)).collect();
    let new = new_socket(failure, address);
    let owner = |socket: &Socket| Owner::new(socket, ServerOption::Nothing);
    let question = Question::new(address.into(), proto, false);
    if proto == Proto::Tcp {
        learn_options(&mut sockets, subject, &new, &question);
    }
    let owners: Vec<Owner> = sockets.iter().map(owner).collect();
    let answer = judge::judge(proto, &new, &owners);
    let (decides, rule) = match answer {
        Answer::No(at, rule) | Answer::Unknown(at, rule, _) => (Some(at), Some(rule)),
        Answer::Yes => (None, None),
    };
    // Beside one that is in the way for certain, another that may not be is none.
    let is_another = |at: &usize| {
        Some(*at) != decides
            && match judge::judge(proto, &new, &owners[*at..=*at]) {
                Answer::Yes => false,
                Answer::No(..) => true,
                Answer::Unknown(..) => !matches!(answer, Answer::No(..)),
            }
    };
    let order = decides.into_iter().chain((0..owners.len()).filter(is_another));
    let order: Vec<usize> = order.collect();
    let left_out = holders.left_out;
    let obstacle = |at: &usize| Obstacle::new(failure, &sockets[*at], &listed[*at], left_out);
    let mut in_the_way: Vec<Obstacle> = order.iter().map(obstacle).collect();
    if let [only] = &mut in_the_way[..]
        && !only.has_process
        && subject.reuseaddr == Some(true)
        && proto == Proto::Tcp
    {
        only.reuseaddr = Some(false); // the failure itself says so
    }
    let with = |options| match judge::judge(proto, &Sock { options, ..new }, &owners) {
        Answer::Yes => Some(true),
        Answer::No(..) => Some(false),
        Answer::Unknown(..) => None,
    };
    let of_all: Vec<&Socket> = order.iter().map(|at| &sockets[*at]).collect();
    let own = holders::ancestors(failure.pid);
    let stop = stop(failure, &in_the_way, advice::stop(&question, &own, &of_all));
    Ok(Found {
        stop,
        in_the_way,
        is_unknown: answer == Answer::Yes && holders.unreadable > 0 && !owners.is_empty(),
        is_other_user: matches!(rule, Some(Rule::OtherUser)),
        would_help: [
            with(Options { reuseaddr: true, ..new.options }),
            with(Options { reuseport: true, ..new.options }),
        ],
    })
}

/// Nobody can read the options of a TIME_WAIT, but a bind decides by them. Where it is alone and the new socket has
/// SO_REUSEADDR, the failure itself tells.
fn learn_options(sockets: &mut [Socket], subject: &Subject, new: &Sock, question: &Question) {
    let owner = |socket: &Socket| Owner::new(socket, ServerOption::Nothing);
    let conflicts = |socket: &&Socket| owner(socket).conflicts_with(Proto::Tcp, new);
    let near: Vec<&Socket> = sockets.iter().filter(conflicts).collect();
    let is_told = near.len() == 1 && subject.reuseaddr == Some(true);
    if !is_told && near.iter().any(|old| old.is_nobodys()) {
        binds::learn_options(sockets, question);
    }
    infer_options(sockets);
}

/// What is left of a connection was of a server that could bind beside each socket of TCP that conflicts with it, or
/// that socket beside it: without SO_REUSEPORT, both have SO_REUSEADDR or neither has.
fn infer_options(sockets: &mut [Socket]) {
    let known = sockets.iter().filter(|it| it.has_inode && it.reuseport == Some(false));
    let owner = |it: &Socket| Some((Owner::new(it, ServerOption::Nothing), it.reuseaddr?));
    let known: Vec<(Owner, bool)> = known.filter_map(owner).collect();
    for socket in sockets.iter_mut().filter(|it| !it.has_inode && it.all_have[0].is_none()) {
        let server = judge::new_socket(socket.address, ServerOption::Nothing, 0, false);
        let server = Sock { device: socket.device_index.unwrap_or(0), ..server };
        let near = known.iter().filter(|(owner, _)| owner.conflicts_with(Proto::Tcp, &server));
        let mut near = near.map(|(_, has_it)| *has_it);
        let first = near.next();
        socket.all_have[0] = first.filter(|first| near.all(|other| other == *first));
    }
}

/// The owners of the port but the failed socket. It fails as [`look`] does.
fn others(failure: &Failure, proto: Proto, port: u16) -> std::io::Result<Vec<Listed>> {
    let own = failure.subject.inode;
    let mut all = sockets::listed(proto, port, sockets::ALL)
        .or_else(|_| sockets::in_proc("/proc/thread-self/net", proto, [port, 0]))?;
    all.retain(|socket| socket.is_owner() && (socket.inode == 0 || socket.inode != own));
    Ok(all)
}

/// How much is looked at, once each socket has been found: so much are some 700 processes, in 18 ms.
/// It is counted and not timed, so that a busy machine sees no less.
const ENOUGH: usize = 800 * LOOK;
/// A look at a process's descriptors takes so many times as long as the question how many it has.
const LOOK: usize = 6;

/// The processes that hold the sockets.
///
/// The traced ones come first. If one of them was seen to bind the port, and each socket has been
/// found, no other is looked for: descriptors are mostly inherited. The others follow, from both ends: a server
/// was mostly started just now, or long ago; those with few descriptors come last. If each socket has been found
/// and enough time has gone, only the kin of those that hold it are looked at. For a socket that nobody has
/// shown then, their other threads are looked at, too.
fn holders_of(failure: &Failure, inodes: &BTreeSet<u64>) -> Holders {
    let mut holders = Holders::default();
    if inodes.is_empty() {
        return holders;
    }
    let mut seen: BTreeSet<i32> = failure.traced.iter().copied().collect();
    // The first thread, which is looked at below, may have ended.
    if failure.thread != failure.pid {
        holders.look_at_thread(failure.pid, failure.thread, inodes);
    }
    let mut readable: Vec<i32> = seen.iter().copied().collect();
    readable.retain(|pid| holders.look_at_process(*pid, inodes));
    // A path of the same name may be in another folder.
    let is_its =
        |bind: &Bind| !is_path(&bind.address) || Some(&bind.address) == failure.address.as_ref();
    if !failure.binds.iter().any(is_its) || !is_complete(&holders, inodes) {
        readable.extend(look_at_others(&mut holders, &mut seen, inodes));
        let _ = holders.look_at_threads(&readable, inodes); // what cannot be read is left out
    }
    // What the tracer has stopped for a moment is no stopped job.
    for holder in holders.of.values_mut().flatten() {
        let is_ours = failure.traced.contains(&holder.pid);
        holder.is_stopped &= !is_ours;
        holder.resists = holder.resists.filter(|it| !is_ours || *it != Resists::Traced);
    }
    holders.sort();
    holders
}

fn is_path(address: &Address) -> bool {
    matches!(address, Address::Path(_))
}

fn is_complete(holders: &Holders, inodes: &BTreeSet<u64>) -> bool {
    holders.of.len() == inodes.len()
}

/// Looks at the processes that are not in `seen`, in the order that [`holders_of`] says. Returns those that let their
/// descriptors be read.
fn look_at_others(
    holders: &mut Holders,
    seen: &mut BTreeSet<i32>,
    inodes: &BTreeSet<u64>,
) -> Vec<i32> {
    let all = holders::processes().into_iter().flatten();
    let mut others: Vec<i32> = all.filter(|pid| !seen.contains(pid)).collect();
    others.sort_unstable();
    let from_both_ends = others.iter().rev().zip(&others).flat_map(|(new, old)| [*new, *old]);
    let mut queue: VecDeque<i32> = from_both_ends.take(others.len()).collect();
    // No more than the three that each process starts with, as far as Linux 6.2 and newer tell.
    let folder = open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let has_few = |pid: &i32| {
        let size =
            |folder| Some(statat(folder, &*format!("{pid}/fd"), AtFlags::empty()).ok()?.st_size);
        folder.as_ref().ok().and_then(size).is_some_and(|count| (1..=3).contains(&count))
    };
    let mut few = BTreeSet::new();
    let mut readable = Vec::new();
    let mut looked = 0;
    while let Some(pid) = queue.pop_front() {
        if is_complete(holders, inodes) && looked > ENOUGH {
            let is_late = |pid: &i32| few.contains(pid) || has_few(pid);
            // Once the late ones have their turn, no other sibling is left.
            look_at_kin(holders, seen, (!few.contains(&pid)).then_some(is_late), inodes);
            let left = std::iter::once(&pid).chain(&queue);
            holders.left_out = left.filter(|pid| !seen.contains(pid)).count();
            break;
        }
        if !few.contains(&pid) {
            looked += 1;
            if has_few(&pid) {
                few.insert(pid);
                queue.push_back(pid);
                continue;
            }
        }
        looked += LOOK;
        if holders.look_at_process(pid, inodes) {
            readable.push(pid);
        }
        seen.insert(pid);
    }
    readable
}

/// Looks at the parents and the children of those that hold a socket, and at their siblings, if asked to, but the
/// late ones.
fn look_at_kin(
    holders: &mut Holders,
    seen: &mut BTreeSet<i32>,
    siblings_but: Option<impl Fn(&i32) -> bool>,
    inodes: &BTreeSet<u64>,
) {
    let mut asked = BTreeSet::new();
    loop {
        let all = holders.of.values().flatten();
        let all: BTreeSet<[i32; 2]> = all.map(|it| [it.pid, it.parent]).collect();
        let mut new = BTreeSet::new();
        for [pid, parent] in all {
            if asked.insert((pid, "holder")) {
                new.extend(holders::children(pid));
            }
            // What all of a machine's orphans have in common is no kinship.
            if parent > 1 && asked.insert((parent, "parent")) {
                new.insert(parent);
                if let Some(is_late) = &siblings_but {
                    new.extend(holders::children(parent).filter(|pid| !is_late(pid)));
                }
            }
        }
        new.retain(|pid| seen.insert(*pid));
        if new.is_empty() {
            break;
        }
        for pid in new {
            holders.look_at_process(pid, inodes);
        }
    }
}

/// The failed socket, as the rule sees it.
fn new_socket(failure: &Failure, address: SocketAddr) -> Sock {
    let subject = &failure.subject;
    let user = subject.uid.unwrap_or_else(|| user_of(failure.thread));
    let v6only = subject.ipv6_only.unwrap_or(false);
    Sock {
        options: Options {
            reuseaddr: subject.reuseaddr.unwrap_or(false),
            reuseport: subject.reuseport.unwrap_or(false),
        },
        device: device(subject, address),
        ..judge::new_socket(address.ip(), ServerOption::Nothing, user, v6only)
    }
}

/// The number of the socket's network interface in this network namespace, 0 without one: SO_BINDTODEVICE's, or the
/// scope of an address that needs one.
pub fn device(subject: &Subject, address: SocketAddr) -> u32 {
    let scope = match address {
        SocketAddr::V6(v6) if bind::needs_scope(*v6.ip()) => v6.scope_id(),
        _ => 0,
    };
    let name = subject.device.as_deref();
    name.and_then(|name| if_nametoindex(name).ok()).unwrap_or(scope)
}

fn user_of(thread: i32) -> u32 {
    std::fs::metadata(format!("/proc/{thread}/stat")).map_or(0, |stat| stat.uid())
}

impl Obstacle {
    fn new(failure: &Failure, socket: &Socket, listed: &Listed, left_out: usize) -> Self {
        let is_its = |bind: &&Bind| match &bind.address {
            Address::Inet(address) => {
                address.ip().to_canonical() == socket.address.to_canonical()
                    && address.port() == listed.port
            }
            _ => false,
        };
        let binds = failure.binds.iter().filter(is_its);
        // A connection has its address from its listener, if nobody still has the descriptor that was bound.
        let is_connection =
            socket.is_connection() && table_of(failure.subject.protocol) == Proto::Tcp;
        let processes = if is_connection { &[][..] } else { &socket.processes };
        Self {
            state: socket.state.name(),
            address: socket.address,
            device: socket.device.clone(),
            port: listed.port,
            peer: socket.peer,
            path: None,
            reuseaddr: socket.reuseaddr,
            reuseport: socket.reuseport,
            ipv6_only: socket.ipv6_only,
            user: socket.user.clone(),
            relation: socket.processes.iter().find_map(|holder| failure.relation(holder.pid)),
            seconds_left: socket.seconds_left,
            bound: seen(failure, binds, listed.inode, processes),
            listens: socket.state == State::Listen,
            is_connection,
            has_process: socket.has_inode,
            processes: socket.processes.clone(),
            left_out: if socket.has_inode { left_out } else { 0 },
        }
    }
}

/// Which of the binds has made the socket with this inode, 0 if nobody has it: of one that still has its
/// descriptor it is certain; of one that has not, only if a holder comes from it.
fn seen<'a>(
    failure: &Failure,
    binds: impl Iterator<Item = &'a Bind>,
    its: u64,
    holders: &[Holder],
) -> Option<SeenBind> {
    let seen = |bind: &Bind| SeenBind {
        pid: bind.pid,
        descriptor: bind.descriptor,
        milliseconds_ago: bind.milliseconds_ago,
        still_has_it: its != 0 && inode(bind.pid, bind.descriptor) == Some(its),
    };
    let has_it = |bind: &SeenBind| holders.iter().any(|it| it.pid == bind.pid);
    let mut all: Vec<SeenBind> = binds.map(seen).collect();
    let comes_from =
        |bind: &SeenBind| holders.iter().any(|it| failure.comes_from(it.pid, bind.pid));
    let at = all.iter().rposition(|bind| bind.still_has_it);
    let at = at.or_else(|| all.iter().rposition(comes_from))?;
    let bind = all.swap_remove(at);
    Some(SeenBind { still_has_it: bind.still_has_it || has_it(&bind), ..bind }) // by another descriptor
}

/// The ports of sockets that are no connections; none, if they cannot be listed.
pub fn without_peer(failure: &Failure) -> BTreeSet<u16> {
    let proto = table_of(failure.subject.protocol);
    let listed = sockets::listed(proto, 0, sockets::without_peer(proto));
    listed.into_iter().flatten().map(|socket| socket.port).collect()
}

/// The connections to the destination that connect(2) could not reach. It fails as [`look`] does.
pub fn to_destination(failure: &Failure, to: SocketAddr) -> std::io::Result<Vec<Obstacle>> {
    let listed = sockets::connections_to(table_of(failure.subject.protocol), to)?;
    let obstacle =
        |its: &Listed| Obstacle::new(failure, &Socket::new(its, &Holders::default()), its, 0);
    Ok(listed.iter().map(obstacle).collect())
}

/// The Unix sockets that have the path, or the abstract name, of the failed bind.
pub fn unix_sockets(failure: &Failure, file: Option<&File>) -> Vec<Obstacle> {
    let listed = match (&failure.address, file) {
        (Some(Address::Path(path)), Some(file)) => {
            let Ok(found) = file.metadata() else { return Vec::new() };
            unix::at_file(&found, Path::new(OsStr::from_bytes(path)).file_name())
        }
        (Some(Address::Abstract(name)), _) => unix::named(name, failure.subject.inode),
        _ => return Vec::new(),
    };
    let inodes: BTreeSet<u64> = listed.iter().map(|(inode, _)| *inode).collect();
    let holders = holders_of(failure, &inodes);
    let path = match &failure.address {
        Some(Address::Path(path)) => String::from_utf8_lossy(path).into_owned(),
        Some(Address::Abstract(name)) => format!("@{}", String::from_utf8_lossy(name)),
        _ => String::new(),
    };
    let obstacles = listed.into_iter().map(|(its, state)| {
        let listens = state == unix::State::Listens;
        let processes = holders.of.get(&its).cloned().unwrap_or_default();
        let is_its = |bind: &&Bind| {
            Some(&bind.address) == failure.address.as_ref()
                || inode(bind.pid, bind.descriptor) == Some(its)
        };
        Obstacle {
            state: if listens { "LISTEN" } else { "BOUND" },
            address: Ipv4Addr::UNSPECIFIED.into(),
            device: None,
            port: 0,
            peer: None,
            path: Some(path.clone()),
            reuseaddr: None,
            reuseport: None,
            ipv6_only: None,
            user: None,
            relation: processes.iter().find_map(|holder| failure.relation(holder.pid)),
            seconds_left: None,
            bound: seen(failure, failure.binds.iter().filter(is_its), its, &processes),
            listens,
            is_connection: false,
            has_process: true,
            left_out: holders.left_out,
            processes,
        }
    });
    obstacles.collect()
}

/// What stops those who hold the sockets: as `bindtable port` advises it, a service or a container as a whole, if
/// that is not the one in which the failed call was made.
fn stop(failure: &Failure, in_the_way: &[Obstacle], advised: Option<Help>) -> Option<Stop> {
    let own = holders::process(failure.pid);
    let is_shared = |holder: &Holder| {
        let is_where = |own: &Holder| {
            (own.unit.is_some() || own.container.is_some())
                && (&own.unit, &own.container) == (&holder.unit, &holder.container)
        };
        failure.relation(holder.pid).is_some() || own.as_ref().is_some_and(is_where)
    };
    let holders = || in_the_way.iter().flat_map(|old| &old.processes);
    let is_shared = holders().any(is_shared);
    match advised {
        Some(Help::StopContainer) => Some(Stop::Container),
        Some(Help::Find { command }) if !is_shared => Some(Stop::Find(command)),
        Some(Help::Stop { command, parent, above }) if !is_shared => {
            Some(Stop::Command { command, parent, above })
        }
        _ => {
            let others: BTreeSet<_> = holders().filter(|it| it.pid != failure.pid).collect();
            let kill = (!others.is_empty()).then(|| advice::kill(&others));
            kill.map(|command| Stop::Command { command, parent: None, above: None })
        }
    }
}

/// The same of a Unix socket, which has that name for a reader's shell.
pub fn stop_unix(failure: &Failure, name: &str, in_the_way: &[Obstacle]) -> Option<Stop> {
    // As systemd has it, not through a link such as /var/run.
    let path = Path::new(name);
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    let path = folder.zip(path.file_name()).map(|(folder, name)| folder.join(name));
    let name = path.map_or(name.into(), |path| path.to_string_lossy().into_owned());
    // A pattern for a string of awk, in single quotes of a shell.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_-@:".contains(c);
    let parts: Vec<&str> = name.split(|c| c != '.' && !is_plain(c)).collect();
    let pattern = parts.join("\n").replace('.', "[.]").replace('\n', ".+");
    let holders = in_the_way.iter().flat_map(|old| &old.processes).collect();
    let user = User::new(geteuid().as_raw());
    let own = holders::ancestors(failure.pid);
    let is_listed = format!("$1 ~ \"^{pattern}$\"");
    let advised = advice::stop_processes(&user, &own, &holders, &is_listed);
    stop(failure, in_the_way, advised)
}

/// Whether the program's file has capabilities (setcap(8)).
pub fn file_has_capability(process: i32) -> bool {
    let mut value = [0; 64];
    getxattr(&*format!("/proc/{process}/exe"), "security.capability", &mut value[..]).is_ok()
}

/// Whether it is the address of all hosts, of the whole network or of one of this machine's.
pub fn is_broadcast(ip: IpAddr) -> bool {
    let IpAddr::V4(ip) = ip.to_canonical() else { return false };
    let table = std::fs::read_to_string("/proc/thread-self/net/fib_trie").unwrap_or_default();
    let mut last = String::new();
    for line in table.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.to_owned();
        } else if line.contains("link BROADCAST") && last == ip.to_string() {
            return true;
        }
    }
    ip.is_broadcast()
}
