//! `bindtable port`: who holds a port, whether a new server may bind it, and what would help.
//!
//! [`look`] asks the kernel for the sockets ([`sockets`]) and the processes that hold them
//! ([`holders`]), applies the kernel's rule to them ([`verdict`]), and names the puzzling cases.
//! [`print`] lays it out; every sentence that a reader sees is in [`words`].

pub mod holders;
pub mod print;
pub mod verdict;
pub mod words;

use crate::kernel::Proto;
use crate::kernel::bind::Rule;
use crate::printable::Outside;
use holders::{Holder, Holders};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::geteuid;
use serde::Serialize;
use crate::sockets::{self, Listed, State};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;
use std::sync::LazyLock;
use verdict::{Answer, Owner, With};

/// What is asked: a port, and perhaps an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The port, from 1.
    pub port: u16,
    /// The address; without one, every address.
    pub ip: Option<IpAddr>,
    /// The interface of a link-local address, by its number; 0 without one.
    pub scope: u32,
}

impl FromStr for Target {
    type Err = String;

    /// `3459`, `127.0.0.1:3459`, `[::1]:3459`, `[fe80::1%2]:3459`; and as `ss` and `netstat` write
    /// it, `*:3459` and `:::3459`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.parse::<IpAddr>().is_ok() {
            return Err(words::only_address(text));
        }
        let (host, port) = match text.rsplit_once(':') {
            None => ("", text),
            Some(parts) => parts,
        };
        let port = match port.parse::<u16>() {
            Ok(0) => return Err(words::port_zero()),
            Ok(port) => port,
            Err(_) if port.bytes().all(|digit| digit.is_ascii_digit()) && !port.is_empty() => {
                return Err(words::port_too_large(port));
            }
            Err(_) => return Err(words::no_port(text)),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host == "*" {
            return Ok(Self { port, ip: None, scope: 0 });
        }
        let (ip, scope) = match host.split_once('%') {
            None => (host, 0),
            Some((ip, name)) => (ip, interface(name)?),
        };
        let ip = ip.parse().map_err(|_| words::no_address(host))?;
        Ok(Self { port, ip: Some(ip), scope })
    }
}

impl Target {
    /// The port at `ip`, with the interface if that is the address that was asked for.
    fn at(self, ip: IpAddr) -> SocketAddr {
        match ip {
            IpAddr::V6(v6) if Some(ip) == self.ip => {
                SocketAddrV6::new(v6, self.port, 0, self.scope).into()
            }
            ip => SocketAddr::new(ip, self.port),
        }
    }
}

/// The number of an interface, by number or by name.
fn interface(name: &str) -> Result<u32, String> {
    name.parse().or_else(|_| {
        // Not from /sys, which may be another network namespace's.
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None);
        let index = any.and_then(|any| name_to_index(any, name));
        index.map_err(|_| words::no_interface(name))
    })
}

/// Whether the port, at the address that was asked for, is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// No socket has it.
    Free,
    /// Some socket has it.
    InUse,
}

impl Status {
    /// The exit status of the program.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Free => 0,
            Self::InUse => 1,
        }
    }
}

/// A user, by number and, if `/etc/passwd` has it, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// Its name.
    pub name: Option<Outside>,
}

impl User {
    fn new(uid: u32) -> Self {
        static ACCOUNTS: LazyLock<String> =
            LazyLock::new(|| std::fs::read_to_string("/etc/passwd").unwrap_or_default());
        let name = ACCOUNTS.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.into())
        });
        Self { uid, name }
    }
}

/// A socket on the port.
#[derive(Clone, Debug, Serialize)]
pub struct Socket {
    /// Its state.
    pub state: State,
    /// Its own address.
    pub address: IpAddr,
    /// The other end.
    pub peer: Option<SocketAddr>,
    /// IPV6_V6ONLY, if it is known.
    pub ipv6_only: Option<bool>,
    /// Its user; none for a TIME_WAIT.
    pub user: Option<User>,
    /// The processes that hold it, as far as they can be seen.
    pub processes: Vec<Holder>,
    /// Of a TIME_WAIT or FIN_WAIT2 that only the kernel holds: the seconds that are left.
    pub seconds_left: Option<u32>,
    /// Of a listener: the connections that wait to be accepted.
    pub waiting: Option<u32>,
    /// Of a listener: how many may wait.
    pub backlog: Option<u32>,
    /// SO_REUSEADDR, if it is known.
    pub reuseaddr: Option<bool>,
    /// SO_REUSEPORT, if it is known.
    pub reuseport: Option<bool>,
    /// Whether it is the small record that the kernel keeps of a closed connection.
    pub record: bool,
    /// SO_REUSEADDR and SO_REUSEPORT, as a bind decides by them. Of several sockets without a
    /// process at one address, the kernel tells whether all have the option.
    #[serde(skip)]
    all_have: [Option<bool>; 2],
    /// Whether some process, or a queue, still has it (its inode is not 0).
    #[serde(skip)]
    pub has_inode: bool,
    #[serde(skip)]
    is_owner: bool,
}

impl Socket {
    fn new(listed: &Listed, holders: &Holders) -> Self {
        let options = holders.options.get(&listed.inode);
        let reuseaddr = options.map(|options| options.reuseaddr);
        let reuseport = options.map(|options| options.reuseport);
        let listens = listed.state == State::Listen;
        Self {
            state: listed.state,
            address: listed.local,
            peer: listed.peer.map(|(ip, port)| SocketAddr::new(ip, port)),
            ipv6_only: listed.v6only.or(options.and_then(|options| options.ipv6_only)),
            user: (!listed.is_record).then(|| User::new(listed.uid)),
            processes: holders.of.get(&listed.inode).cloned().unwrap_or_default(),
            seconds_left: listed
                .timer_ms
                .filter(|_| listed.is_record)
                .map(|milliseconds| milliseconds.div_ceil(1000)),
            waiting: listens.then_some(listed.waiting),
            backlog: listens.then_some(listed.room),
            reuseaddr,
            reuseport,
            record: listed.is_record,
            all_have: [reuseaddr, reuseport],
            has_inode: listed.inode != 0,
            is_owner: listed.is_owner(),
        }
    }

    /// As the rule sees it.
    fn owner(&self) -> Owner {
        Owner {
            ip: self.address,
            v6only: self.ipv6_only,
            reuseaddr: self.all_have[0],
            reuseport: self.all_have[1],
            user: self.user.as_ref().map_or(0, |user| user.uid),
            listens: self.state == State::Listen,
            is_record: self.record,
        }
    }

    /// Whether it is one end of a connection, or what is left of it.
    fn is_connection(&self) -> bool {
        self.peer.is_some() && self.state != State::Listen
    }
}

/// Whether a server may bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Can {
    /// It may.
    Yes,
    /// It may not.
    No,
    /// It depends on what could not be seen.
    Unknown,
}

/// Why a server may not bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// No option that both have.
    NoOption,
    /// The old one listens, which no SO_REUSEADDR goes past.
    Listens,
    /// For SO_REUSEPORT both would have to be of one user.
    OtherUser,
    /// A port below `ip_unprivileged_port_start`.
    Privileged,
    /// Not an address of this machine.
    NotThisMachine,
    /// What bind says in other words, in `error`.
    Other,
    /// The kernel refuses, and no socket is seen that explains it.
    Unseen,
}

impl Why {
    fn new(rule: Rule, owner: &Owner) -> Self {
        match rule {
            _ if owner.listens && rule != Rule::OtherUser => Self::Listens,
            Rule::OtherUser | Rule::UdpOtherUser => Self::OtherUser,
            _ => Self::NoOption,
        }
    }
}

/// May a server with this option bind at this address now?
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The server's address.
    pub address: IpAddr,
    /// The option that it sets before bind.
    pub option: With,
    /// Whether it may.
    pub can: Can,
    /// Why it may not.
    pub why: Option<Why>,
    /// The error of bind, by name.
    pub error: Option<String>,
    /// The socket that decides, or one of several that may, by its place in `sockets`.
    pub socket: Option<usize>,
    /// Whether a real bind has said so, and not the model.
    pub probed: bool,
}

/// A case that is known to puzzle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "case", rename_all = "kebab-case")]
pub enum Case {
    /// Several processes hold one listener: a child has inherited it.
    Inherited { pids: Vec<i32>, name: Outside },
    /// A listener that no process has, as seen from here.
    NoProcess { address: IpAddr },
    /// A connection on a port of the ephemeral range, where nobody listens; or what is left of it.
    Outgoing { pid: Option<i32>, name: Option<Outside>, first: u16, last: u16, is_over: bool },
    /// A client that has connected to itself.
    SelfConnect { pid: Option<i32>, name: Option<Outside>, is_over: bool },
    /// A listener on `::` that takes IPv4 too.
    HoldsIpv4 { address: IpAddr },
    /// A container's published port.
    Published {
        pid: i32,
        name: Outside,
        container_ip: Option<Outside>,
        container_port: Option<Outside>,
    },
    /// A listener in another network namespace.
    OtherNamespace { pid: i32, name: Outside, address: IpAddr },
    /// TIME_WAIT, or what comes before it, of a server without the option: at least one of them.
    LacksOption { count: usize, seconds_left: Option<u32> },
    /// TIME_WAIT of a server with the option.
    HadOption { count: usize, seconds_left: Option<u32> },
    /// systemd, or another super-server, listens for a service.
    SocketActivated { pid: i32, name: Outside },
    /// A connection that no process has any more.
    Orphan { state: State },
    /// Connections that no process has accepted.
    NotAccepted { count: usize },
    /// A socket that is bound and does not listen.
    BoundOnly { pid: Option<i32>, name: Option<Outside> },
    /// The other protocol has the port, which is of no account.
    OtherProtocol { pid: Option<i32>, name: Option<Outside> },
    /// EACCES: a privileged port.
    Privileged { first: u16 },
    /// EADDRNOTAVAIL: not an address of this machine.
    NotThisMachine { address: IpAddr },
    /// Another error, by its text.
    Refused { address: IpAddr, error: String },
}

/// What helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Help {
    /// Set the option in the new server: the old socket had it.
    SetNow { option: With },
    /// Stop what holds it.
    Stop { command: String },
    /// Wait; in FIN_WAIT2 the peer has not closed yet, and when it does, TIME_WAIT begins.
    Wait { seconds: u32, peer_is_open: bool },
    /// Wait until the peer answers, or the kernel gives up.
    WaitForPeer,
    /// SO_REUSEADDR in both servers from now on.
    SetBoth,
    /// Each family by itself.
    V6Only,
    /// Another port; outside this range, if it is given.
    OtherPort { outside: Option<(u16, u16)> },
    /// Keep the port out of the ephemeral range.
    Reserve { command: String },
    /// The privilege for a port below 1024.
    Privilege { command: String },
    /// One of this machine's addresses.
    OwnAddress { command: String },
    /// Ask with `--probe`, or as root.
    Ask { command: String },
}

/// What could not be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "unseen", rename_all = "kebab-case")]
pub enum Unseen {
    /// Processes of other users: whether they hold a socket, and its options.
    Processes { count: usize },
    /// The processes of other users, all of them: `/proc` is mounted with `hidepid`.
    Hidden,
    /// sock_diag is missing or refused: IPV6_V6ONLY, and what `BoundOnly` says.
    SockDiag { error: String },
    /// Sockets that are bound and do not listen: before Linux 6.8.
    Bound,
    /// This kernel has no IPv6.
    Ipv6,
}

/// All that is found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// The port.
    pub port: u16,
    /// The address that was asked for.
    pub address: Option<IpAddr>,
    /// Whether it is free.
    pub status: Status,
    /// The same in a sentence.
    pub answer: String,
    /// Who asks, and would be the new server's user.
    pub user: User,
    /// The sockets on the port.
    pub sockets: Vec<Socket>,
    /// Whether a server may bind now.
    pub verdicts: Vec<Verdict>,
    /// The puzzling cases that are recognised.
    pub cases: Vec<Case>,
    /// What helps, easiest first.
    pub help: Vec<Help>,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
    /// Whether `--probe` was given.
    pub probed: bool,
}

/// Looks at the port; with `probe`, by real binds too.
///
/// # Errors
///
/// In words, where neither sock_diag nor `/proc/net` can be read.
pub fn look(target: Target, proto: Proto, probe: bool) -> Result<Finding, String> {
    let mut unseen = Vec::new();
    let user = User::new(geteuid().as_raw());
    let v6only_default = proc_number("net/ipv6/bindv6only") == Some(1);
    let (sockets, unreadable) = settled(target, proto, &user, &mut unseen)?;
    if sockets.iter().any(|socket| socket.has_inode && socket.processes.is_empty()) {
        // In each PID namespace there is a process 1.
        let is_there = |process: &str| std::path::Path::new(process).exists();
        if is_there("/proc/self") && !is_there("/proc/1") {
            unseen.push(Unseen::Hidden);
        } else if unreadable > 0 {
            unseen.push(Unseen::Processes { count: unreadable });
        }
    }
    if proto == Proto::Tcp && !lists_bound()? {
        unseen.push(Unseen::Bound);
    }
    let probe = probe || unseen.contains(&Unseen::Bound); // nothing but bind finds such a socket

    let mut finding = Finding {
        protocol: proto.name(),
        port: target.port,
        address: target.ip,
        status: Status::Free,
        answer: String::new(),
        user,
        sockets,
        verdicts: Vec::new(),
        cases: Vec::new(),
        help: Vec::new(),
        unseen,
        probed: probe,
    };
    finding.judge(target, proto, v6only_default);
    let in_the_way = finding.in_the_way(target, proto, v6only_default);
    // With --probe, bind may have found what no list has.
    let is_refused = |verdict: &Verdict| {
        verdict.why == Some(Why::Unseen) && target.ip.is_none_or(|ip| ip == verdict.address)
    };
    finding.status = if !in_the_way.is_empty() || finding.verdicts.iter().any(is_refused) {
        Status::InUse
    } else {
        Status::Free
    };
    finding.recognise(target, proto);
    finding.advise(target, proto, &in_the_way, v6only_default);
    finding.answer = words::answer(&finding, &in_the_way);
    Ok(finding)
}

/// The sockets, with the processes that hold them: looked at again until nothing has changed
/// meanwhile, a few times at most. And how many processes could not be read.
fn settled(
    target: Target,
    proto: Proto,
    user: &User,
    unseen: &mut Vec<Unseen>,
) -> Result<(Vec<Socket>, usize), String> {
    const TRIES: usize = 5;
    let mut refusal = None;
    let mut list = || -> Result<Vec<Listed>, String> {
        sockets::listed(proto, target.port, sockets::ALL).or_else(|error| {
            let sockets = sockets::in_proc("/proc/thread-self/net", proto, target.port);
            let sockets = sockets.map_err(|second| words::nothing_to_read(&error, &second))?;
            refusal = Some(error.to_string());
            Ok(sockets)
        })
    };
    let mut sockets: Vec<Listed> = list()?;
    let mut found = (Vec::new(), 0);
    for _ in 0..TRIES {
        let inodes: BTreeSet<u64> =
            sockets.iter().map(|socket| socket.inode).filter(|inode| *inode != 0).collect();
        let holders = if inodes.is_empty() { Holders::default() } else { holders::find(&inodes) };
        found.0 = sockets.iter().map(|socket| Socket::new(socket, &holders)).collect();
        found.1 = holders.unreadable;
        let again = list()?;
        let key = |socket: &Listed| {
            (socket.cookie, socket.state, socket.local, socket.peer, socket.inode)
        };
        if again.iter().map(key).eq(sockets.iter().map(key)) {
            break;
        }
        sockets = again;
    }
    ask_the_kernel(&mut found.0, target.port, user.uid);
    unseen.extend(refusal.map(|error| Unseen::SockDiag { error }));
    Ok(found)
}

/// Finds out the options that a TIME_WAIT, or another socket without a process, has kept: nobody
/// can read them, but a bind at its address decides by them.
///
/// It is made without `--probe`, once for each option, and only where everything else at the address
/// is known. A server with the same option may bind, and listen, while it stands: it does not listen.
/// A server without an option fails for the sake of the TIME_WAIT itself. Kept out for that instant is
/// a server with one option alone where the TIME_WAIT has both, and one with SO_REUSEPORT of another
/// user.
fn ask_the_kernel(sockets: &mut [Socket], port: u16, user: u32) {
    let is_asked = |socket: &Socket| {
        socket.is_owner
            && !socket.has_inode
            && socket.state != State::Listen
            && socket.reuseaddr.is_none()
    };
    let addresses: BTreeSet<IpAddr> =
        sockets.iter().filter(|socket| is_asked(socket)).map(|socket| socket.address).collect();
    for ip in addresses {
        for (at, with) in [With::ReuseAddr, With::ReusePort].into_iter().enumerate() {
            let new = verdict::new_socket(ip, with, user, false);
            let near = sockets.iter().filter(|socket| {
                socket.is_owner && verdict::meets(Proto::Tcp, &new, &socket.owner())
            });
            let (asked, others): (Vec<&Socket>, Vec<&Socket>) =
                near.partition(|socket| !socket.has_inode && socket.address == ip);
            let judge = |sockets: &[&Socket]| {
                let owners: Vec<Owner> = sockets.iter().map(|socket| socket.owner()).collect();
                verdict::judge(Proto::Tcp, &new, &owners)
            };
            // The others decide, whatever these have; or these do, by their user.
            if judge(&others) != Answer::Yes || matches!(judge(&asked), Answer::No(..)) {
                continue;
            }
            let had = match verdict::probe(Proto::Tcp, SocketAddr::new(ip, port), with) {
                Ok(()) => true,
                Err(Errno::ADDRINUSE) => false,
                Err(_) => break, // a privileged port, or an address that is gone
            };
            let is_known = had || asked.len() == 1;
            for socket in sockets.iter_mut().filter(|socket| socket.address == ip) {
                if socket.is_owner && !socket.has_inode {
                    socket.all_have[at] = Some(had);
                    let option = match with {
                        With::ReusePort => &mut socket.reuseport,
                        _ => &mut socket.reuseaddr,
                    };
                    *option = is_known.then_some(had);
                }
            }
        }
    }
}

/// Whether this kernel lists sockets of TCP that are bound and do not listen.
///
/// # Errors
///
/// In words, where this process may not have one more descriptor.
fn lists_bound() -> Result<bool, String> {
    let lists = || -> io::Result<bool> {
        let (_socket, port) = verdict::bound_somewhere().map_err(sockets::std_error)?;
        let sockets = sockets::listed(Proto::Tcp, port, sockets::ALL)?;
        Ok(sockets.iter().any(|socket| socket.state == State::Bound))
    };
    match lists() {
        Err(error)
            if [Errno::MFILE, Errno::NFILE]
                .iter()
                .any(|none_left| error.raw_os_error() == Some(none_left.raw_os_error())) =>
        {
            Err(words::no_descriptor(&error))
        }
        lists => Ok(lists.unwrap_or(false)),
    }
}

/// A number below `/proc/sys`.
fn proc_number(name: &str) -> Option<u32> {
    std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok()
}

/// The ports that connect(2) and bind(2) to port 0 choose from.
fn ephemeral() -> (u16, u16) {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let range = range.unwrap_or_default();
    let mut ports = range.split_whitespace().map_while(|port| port.parse().ok());
    (ports.next().unwrap_or(32768), ports.next().unwrap_or(60999))
}

/// The ports below that connect(2) and bind(2) to port 0 leave out, as the kernel writes them:
/// `50000-50010,50051`.
fn reserved() -> String {
    let ports = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports");
    ports.unwrap_or_default().trim().to_owned()
}

/// The range that connect(2) and bind(2) to port 0 choose from, if they may choose `port`.
fn range_of(port: u16) -> Option<(u16, u16)> {
    let (first, last) = ephemeral();
    let is_reserved = reserved().split(',').any(|ports| {
        let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
        matches!((from.parse(), to.parse()), (Ok(from), Ok(to)) if (from..=to).contains(&port))
    });
    ((first..=last).contains(&port) && !is_reserved).then_some((first, last))
}

impl Finding {
    /// The owners of the port, with their places in `sockets`.
    fn owners(&self) -> (Vec<Owner>, Vec<usize>) {
        let owners = self.sockets.iter().enumerate().filter(|(_, socket)| socket.is_owner);
        owners.map(|(at, socket)| (socket.owner(), at)).unzip()
    }

    /// The sockets that are in the way of a server without an option, at the address that was asked
    /// for or anywhere.
    fn in_the_way(&self, target: Target, proto: Proto, v6only_default: bool) -> Vec<usize> {
        let is_owner = |at: &usize| self.sockets[*at].is_owner;
        let all = (0..self.sockets.len()).filter(is_owner);
        let Some(ip) = target.ip else { return all.collect() };
        let new = verdict::new_socket(ip, With::Nothing, self.user.uid, v6only_default);
        all.filter(|at| verdict::meets(proto, &new, &self.sockets[*at].owner())).collect()
    }

    fn judge(&mut self, target: Target, proto: Proto, v6only_default: bool) {
        let mut addresses: Vec<IpAddr> = vec![
            Ipv4Addr::LOCALHOST.into(),
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv6Addr::UNSPECIFIED.into(),
        ];
        if let Some(ip) = target.ip {
            addresses.retain(|address| *address != ip);
            addresses.insert(0, ip);
        }
        let (owners, places) = self.owners();
        for ip in addresses {
            let refusal = verdict::before_the_port(proto, target.at(ip)).err();
            if refusal == Some(Errno::AFNOSUPPORT) {
                self.unseen.push(Unseen::Ipv6);
                continue;
            }
            for with in With::ALL {
                let mut verdict = Verdict {
                    address: ip,
                    option: with,
                    can: Can::Yes,
                    why: None,
                    error: None,
                    socket: None,
                    probed: false,
                };
                if let Some(errno) = refusal {
                    verdict.refuse(errno);
                    self.verdicts.push(verdict);
                    continue;
                }
                let new = verdict::new_socket(ip, with, self.user.uid, v6only_default);
                match verdict::judge(proto, &new, &owners) {
                    Answer::Yes => {}
                    Answer::No(at, rule) => {
                        verdict.can = Can::No;
                        verdict.why = Some(Why::new(rule, &owners[at]));
                        verdict.error = Some("EADDRINUSE".to_owned());
                        verdict.socket = Some(places[at]);
                    }
                    Answer::Unknown(at) => {
                        verdict.can = Can::Unknown;
                        verdict.socket = Some(places[at]);
                    }
                }
                self.verdicts.push(verdict);
            }
        }
        if self.probed {
            self.probe(target, proto);
        }
    }

    /// Has a real bind say each verdict.
    ///
    /// A bind with SO_REUSEPORT lets a later one in by `fastreuseport`, even after its end. So the
    /// addresses come in an order in which an earlier success promises the later one: `::` first,
    /// which meets every socket, then 0.0.0.0, then the others.
    fn probe(&mut self, target: Target, proto: Proto) {
        let rank = |ip: IpAddr| match ip {
            IpAddr::V6(ip) if ip.is_unspecified() => 0,
            IpAddr::V4(ip) if ip.is_unspecified() => 1,
            _ => 2,
        };
        let mut order: Vec<usize> = (0..self.verdicts.len()).collect();
        order.sort_by_key(|at| rank(self.verdicts[*at].address));
        for at in order {
            let verdict = &mut self.verdicts[at];
            if verdict.can == Can::No && verdict.error.as_deref() != Some("EADDRINUSE") {
                continue; // bind has said so already
            }
            verdict.probed = true;
            match verdict::probe(proto, target.at(verdict.address), verdict.option) {
                Ok(()) => {
                    (verdict.can, verdict.why, verdict.error) = (Can::Yes, None, None);
                    verdict.socket = None;
                }
                Err(Errno::ADDRINUSE) if verdict.can == Can::No => {}
                Err(errno) => verdict.refuse(errno),
            }
        }
    }

    /// Names the puzzling cases.
    fn recognise(&mut self, target: Target, proto: Proto) {
        let range = range_of(target.port);
        let mut cases = Vec::new();
        let listens = |socket: &Socket| {
            socket.state == State::Listen || (proto == Proto::Udp && socket.peer.is_none())
        };
        let is_listened_to = self.sockets.iter().any(listens);
        let first_of = |socket: &Socket| {
            let holder = socket.processes.first();
            (holder.map(|holder| holder.pid), holder.map(|holder| holder.name.clone()))
        };
        let all_readable = std::path::Path::new("/proc/self").exists()
            && !self
                .unseen
                .iter()
                .any(|unseen| matches!(unseen, Unseen::Processes { .. } | Unseen::Hidden));
        let mut not_accepted = 0;
        for socket in &self.sockets {
            let (pid, name) = first_of(socket);
            if socket.peer == Some(SocketAddr::new(socket.address, target.port)) {
                let is_over = !socket.has_inode;
                cases.push(Case::SelfConnect { pid, name, is_over });
            } else if listens(socket) {
                self.recognise_listener(socket, all_readable, &mut cases);
            } else if socket.state == State::Bound && proto == Proto::Tcp {
                cases.push(Case::BoundOnly { pid, name });
            } else if !socket.has_inode
                && matches!(socket.state, State::Established | State::CloseWait)
            {
                not_accepted += 1;
            } else if socket.is_connection() {
                // A client seldom sets SO_REUSEADDR: with it, a server has closed the connection.
                if let Some((first, last)) = range
                    && !is_listened_to
                    && socket.all_have[0] != Some(true)
                {
                    let is_over = !socket.has_inode;
                    cases.push(Case::Outgoing { pid, name, first, last, is_over });
                }
                if !socket.has_inode && !socket.record {
                    cases.push(Case::Orphan { state: socket.state });
                }
            }
        }
        if not_accepted > 0 {
            cases.push(Case::NotAccepted { count: not_accepted });
        }
        let is_outgoing = cases.iter().any(|case| matches!(case, Case::Outgoing { .. }));
        for had in [false, true] {
            let records = self.sockets.iter().filter(|socket| {
                !socket.has_inode && socket.is_owner && socket.all_have[0] == Some(had)
            });
            let seconds: Vec<Option<u32>> = records.map(|socket| socket.seconds_left).collect();
            let (count, seconds_left) = (seconds.len(), seconds.into_iter().flatten().max());
            match had {
                _ if count == 0 => {}
                false if is_outgoing => {} // then it was no server
                false => cases.push(Case::LacksOption { count, seconds_left }),
                true => cases.push(Case::HadOption { count, seconds_left }),
            }
        }
        if !is_listened_to {
            cases.extend(elsewhere(target, proto));
        }
        cases.extend(other_protocol(target, proto));
        for verdict in self.verdicts.iter().filter(|verdict| verdict.option == With::Nothing) {
            let address = verdict.address;
            cases.extend(match verdict.why {
                Some(Why::Privileged) => {
                    let first = proc_number("net/ipv4/ip_unprivileged_port_start");
                    let first = first.and_then(|first| u16::try_from(first).ok()).unwrap_or(1024);
                    Some(Case::Privileged { first })
                }
                Some(Why::NotThisMachine) => Some(Case::NotThisMachine { address }),
                Some(Why::Other) => {
                    let error = verdict.error.clone().unwrap_or_default();
                    Some(Case::Refused { address, error })
                }
                _ => None,
            });
        }
        for case in cases {
            if !self.cases.contains(&case) {
                self.cases.push(case);
            }
        }
    }

    fn recognise_listener(&self, socket: &Socket, all_readable: bool, cases: &mut Vec<Case>) {
        /// Programs that listen for others: systemd(1), systemd-socket-activate(1), inetd(8).
        const ACTIVATORS: [&str; 4] = ["systemd", "systemd-socket-", "inetd", "xinetd"];
        /// Programs that hold a container's published port, by their 15 bytes.
        const PROXIES: [&str; 6] =
            ["docker-proxy", "dockerd", "rootlesskit", "rootlessport", "slirp4netns", "pasta"];
        let holders = &socket.processes;
        let is_one_of =
            |names: &[&str]| holders.iter().find(|holder| names.contains(&holder.name.raw()));
        if let Some(holder) = is_one_of(&ACTIVATORS) {
            cases.push(Case::SocketActivated { pid: holder.pid, name: holder.name.clone() });
        } else if let Some(holder) = is_one_of(&PROXIES) {
            let after = |option: &str| {
                let words = holder.command.raw().split_whitespace();
                words.skip_while(|word| *word != option).nth(1).map(Outside::from)
            };
            cases.push(Case::Published {
                pid: holder.pid,
                name: holder.name.clone(),
                container_ip: after("-container-ip"),
                container_port: after("-container-port"),
            });
        } else if let [first, _, ..] = &holders[..] {
            let pids = holders.iter().map(|holder| holder.pid).collect();
            cases.push(Case::Inherited { pids, name: first.name.clone() });
        } else if holders.is_empty() && all_readable {
            cases.push(Case::NoProcess { address: socket.address });
        }
        if socket.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && socket.ipv6_only == Some(false) {
            cases.push(Case::HoldsIpv4 { address: socket.address });
        }
    }

    /// Says what helps, easiest first.
    fn advise(&mut self, target: Target, proto: Proto, in_the_way: &[usize], v6only_default: bool) {
        let range = range_of(target.port);
        let mut help = Vec::new();
        let in_the_way: Vec<&Socket> = in_the_way.iter().map(|at| &self.sockets[*at]).collect();
        if self.status != Status::Free {
            let by_itself: Vec<&&Socket> =
                in_the_way.iter().filter(|socket| !socket.has_inode).collect();
            let nobody_has_it = !by_itself.is_empty() && by_itself.len() == in_the_way.len();
            let options = [With::ReuseAddr, With::ReusePort];
            let set_now = options.into_iter().find(|option| self.opens(*option));
            let set_now = set_now.map(|option| Help::SetNow { option });
            if nobody_has_it {
                help.extend(set_now.clone());
            }
            help.extend(stop(target, proto, &in_the_way).map(|command| Help::Stop { command }));
            if nobody_has_it {
                match by_itself.iter().filter_map(|socket| socket.seconds_left).max() {
                    Some(seconds) if by_itself.iter().all(|socket| socket.record) => {
                        let peer_is_open =
                            by_itself.iter().any(|socket| socket.state == State::FinWait2);
                        help.push(Help::Wait { seconds, peer_is_open });
                    }
                    _ => help.push(Help::WaitForPeer),
                }
            } else {
                help.extend(set_now);
            }
            let is_outgoing = self.cases.iter().any(|case| {
                matches!(case, Case::Outgoing { is_over: false, .. } | Case::SelfConnect { .. })
            });
            if proto == Proto::Tcp && !in_the_way.is_empty() && !is_outgoing {
                help.push(Help::SetBoth);
            }
            let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            if target.ip == Some(any) && self.v6only_helps(proto, v6only_default) {
                help.push(Help::V6Only);
            }
            if self.status == Status::InUse {
                help.push(Help::OtherPort { outside: range });
                if range.is_some() {
                    let others = match &reserved()[..] {
                        "" => String::new(),
                        ports => format!("{ports},"), // the new value takes the place of the old one
                    };
                    let command =
                        format!("sysctl net.ipv4.ip_local_reserved_ports={others}{}", target.port);
                    help.push(Help::Reserve { command });
                }
            }
        }
        for case in &self.cases {
            match case {
                Case::Privileged { .. } => help.push(Help::Privilege {
                    command: format!("sysctl net.ipv4.ip_unprivileged_port_start={}", target.port),
                }),
                Case::NotThisMachine { .. } => {
                    help.push(Help::OwnAddress { command: "ip -brief address".to_owned() });
                }
                _ => {}
            }
        }
        let is_unknown = self.verdicts.iter().any(|verdict| verdict.can == Can::Unknown);
        if is_unknown && !self.probed {
            let what = target
                .ip
                .map_or(target.port.to_string(), |ip| SocketAddr::new(ip, target.port).to_string());
            let udp = if proto == Proto::Udp { " --udp" } else { "" };
            help.push(Help::Ask { command: format!("bindtable port {what}{udp} --probe") });
        }
        self.help = help;
    }

    /// Whether this option lets a new server in wherever it is kept out without one.
    fn opens(&self, option: With) -> bool {
        let of = |with: With| self.verdicts.iter().filter(move |verdict| verdict.option == with);
        let mut is_open = false;
        for (without, verdict) in of(With::Nothing).zip(of(option)) {
            if without.error.as_deref() == Some("EADDRINUSE") {
                if verdict.can != Can::Yes {
                    return false;
                }
                is_open = true;
            }
        }
        is_open
    }

    /// Whether a server on `::` may bind if it takes IPv6 alone.
    fn v6only_helps(&self, proto: Proto, v6only_default: bool) -> bool {
        let any = Ipv6Addr::UNSPECIFIED.into();
        let of_any = |verdict: &&Verdict| verdict.address == any && verdict.option == With::Nothing;
        let (owners, _) = self.owners();
        let mut new = verdict::new_socket(any, With::Nothing, self.user.uid, v6only_default);
        new.v6only = true;
        self.verdicts.iter().find(of_any).is_some_and(|verdict| verdict.can == Can::No)
            && verdict::judge(proto, &new, &owners) == Answer::Yes
    }
}

impl Verdict {
    fn refuse(&mut self, errno: Errno) {
        self.can = Can::No;
        let (why, error) = match errno {
            Errno::ADDRINUSE => (Why::Unseen, "EADDRINUSE".to_owned()),
            Errno::ACCESS => (Why::Privileged, "EACCES".to_owned()),
            Errno::ADDRNOTAVAIL => (Why::NotThisMachine, "EADDRNOTAVAIL".to_owned()),
            errno => (Why::Other, sockets::std_error(errno).to_string()),
        };
        (self.why, self.error) = (Some(why), Some(error));
    }
}

/// The command that stops what holds the port; it is never run.
fn stop(target: Target, proto: Proto, in_the_way: &[&Socket]) -> Option<String> {
    let holders: BTreeSet<&Holder> =
        in_the_way.iter().flat_map(|socket| &socket.processes).collect();
    let is_named = |name: &str| holders.iter().any(|holder| holder.name.raw() == name);
    if holders.is_empty() {
        return None;
    }
    if is_named("docker-proxy") || is_named("dockerd") {
        let (port, proto) = (target.port, proto.name());
        return Some(format!("docker stop $(docker ps -q --filter publish={port}/{proto})"));
    }
    if is_named("systemd") {
        return Some("systemctl list-sockets; systemctl stop NAME.socket".to_owned());
    }
    let units: BTreeSet<&Outside> =
        holders.iter().filter_map(|holder| holder.unit.as_ref()).collect();
    let in_units = holders.iter().all(|holder| {
        holder.unit.as_ref().is_some_and(|unit| {
            let unit = unit.raw();
            unit.ends_with(".service") && !unit.starts_with("user@") && holder.container.is_none()
        })
    });
    if in_units
        && units.len() == 1
        && let Some(unit) = units.first().and_then(|unit| unit.quoted())
    {
        let is_users = holders.iter().all(|holder| holder.is_users_unit);
        let option = if is_users { " --user" } else { "" };
        return Some(format!("systemctl{option} stop {unit}"));
    }
    let pids: BTreeSet<i32> = holders.iter().map(|holder| holder.pid).collect();
    let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
    Some(format!("kill {}", pids.join(" ")))
}

/// Listeners on the port in other network namespaces, where processes show them.
fn elsewhere(target: Target, proto: Proto) -> Vec<Case> {
    let in_namespace =
        |pid| sockets::in_proc(&format!("/proc/{pid}/net"), proto, target.port).unwrap_or_default();
    let mut sockets: Vec<Listed> =
        holders::namespaces().into_iter().flat_map(in_namespace).collect();
    sockets.retain(|socket| socket.peer.is_none() && socket.inode != 0);
    if sockets.is_empty() {
        return Vec::new();
    }
    let holders = holders::find(&sockets.iter().map(|socket| socket.inode).collect());
    let first = |inode| holders.of.get(&inode).and_then(|holders| holders.first());
    let cases = sockets.iter().filter_map(|socket| {
        first(socket.inode).map(|holder| Case::OtherNamespace {
            pid: holder.pid,
            name: holder.name.clone(),
            address: socket.local,
        })
    });
    cases.collect()
}

/// Whether the other protocol has the port.
fn other_protocol(target: Target, proto: Proto) -> Option<Case> {
    let other = if proto == Proto::Tcp { Proto::Udp } else { Proto::Tcp };
    let sockets = sockets::listed(other, target.port, sockets::ALL).unwrap_or_default();
    let socket = sockets.iter().find(|socket| socket.peer.is_none() && socket.inode != 0)?;
    let holders = holders::find(&[socket.inode].into());
    let holder = holders.of.get(&socket.inode).and_then(|holders| holders.first());
    Some(Case::OtherProtocol {
        pid: holder.map(|holder| holder.pid),
        name: holder.map(|holder| holder.name.clone()),
    })
}
