//! A failed call, explained: which sockets were in the way, by which rule, and what helps.

use super::calls::{Address, Name};
use super::failure::{Failure, Relation};
use super::look::{self, Obstacle, Stop};
use super::records::SocketOption;
use super::socket::Protocol;
use super::words;
use crate::kernel::Proto;
use crate::kernel::bind::needs_scope;
use crate::port::binds;
use crate::port::finding::Who;
use crate::port::refusals::{self, Ipv6Trouble, has_capability, may_bind_privileged};
use crate::port::target::{Question, Range, first_unprivileged};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// The condition that made the call fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// The old socket listens.
    Listens,
    /// The new socket has SO_REUSEADDR, and the old one, which no process has, cannot have it.
    OldLacksOption { several: bool },
    /// The old one has SO_REUSEADDR; the new one does not.
    NewLacksOption,
    /// Neither has it.
    BothLackOption,
    /// The new one does not have it; of the old ones it is not known, or they differ.
    NewLacksOptionOldUnknown,
    /// Both have SO_REUSEPORT, of different users.
    OtherUser,
    /// What is not known of the old one decides.
    Unknown,
    /// No socket that is listed now explains it.
    Gone,
    /// bind to port 0: none of the range is left.
    NoPortLeft { first: u16, last: u16, ports: usize },
    /// connect: none of the range is left for this destination.
    NoPortToDestination { first: u16, last: u16, ports: usize, count: usize },
    /// connect of a bound socket: the same connection exists.
    SameConnection,
    /// connect: no address of this network namespace's leads there.
    NoSource { ip: IpAddr },
    /// The address is not one of this network namespace's.
    NotThisMachine { ip: IpAddr },
    /// It is, but duplicate address detection has not cleared it.
    Tentative { ip: IpAddr, has_failed: bool },
    /// It is another interface's than the one that was named.
    OtherInterface { ip: IpAddr },
    /// A port below `ip_unprivileged_port_start`.
    Privileged { first: u16 },
    /// UDP to a broadcast address.
    Broadcast,
    /// The socket is bound already.
    BoundAlready { local: Option<SocketAddr> },
    /// The socket is not bound.
    NotBound,
    /// The address is too short or too long.
    Length { given: u32, needed: u32 },
    /// A path that is too long.
    TooLong { given: u32, needed: u32 },
    /// A link-local address without its interface.
    NoScope { ip: IpAddr },
    /// The socket is connected.
    Connected,
    /// The socket is of IPv6, and the address of AF_INET.
    OtherFamily,
    /// TCP, and a group's address.
    NoGroup { ip: IpAddr },
    /// connect: the socket is bound to a loopback address, from which nothing leads elsewhere.
    LoopbackSource { source: IpAddr },
    /// An address of IPv4, mapped, and IPV6_V6ONLY.
    MappedAlone,
    /// A file that is a socket, or was one.
    PathTaken { listens: bool },
    /// A socket's file, of which this user cannot find out whether a process has it.
    PathUnknown,
    /// A file that is no socket.
    PathIsFile,
    /// A symbolic link, wherever it leads.
    PathIsLink,
    /// The abstract name is taken.
    NameTaken,
    /// The folder, or the socket's file, does not allow it.
    Permission { path: String, is_folder: bool },
    /// Something that decides before the socket is looked at.
    Policy,
}

/// What helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Help {
    BindOnce { descriptors: Vec<i32> },
    BindOnceShared { descriptors: Vec<i32> },
    CloseFirst { descriptors: Vec<i32> },
    BindPathOnce,
    UseInherited { descriptor: i32 },
    OneUser,
    V6Only { descriptor: i32 },
    ParentHasIt,
    SiblingHasIt,
    BindInOne,
    Stop { command: String, parent: Option<Who>, above: Option<Who> },
    StopContainer,
    Find { command: String },
    WaitAfter,
    SetAfter,
    CloseOnExec,
    CloseInChild,
    SetNow { option: SocketOption },
    Wait { seconds: u32, once: bool },
    WaitForPeer,
    SetBoth,
    OwnAddress { command: String },
    Addresses { command: String },
    Settle { command: String },
    TakeAddress { command: String },
    KeepOpen,
    ChooseLater,
    Widen { command: String },
    WidenOwn,
    Privilege { command: String },
    PrivilegeOutside { command: String },
    NoNewPrivs,
    SetBroadcast,
    NewSocket,
    OtherSource,
    NotAGroup,
    Mapped { ip: IpAddr },
    OtherPort,
    BindFirst,
    Scope,
    ClearV6Only,
    Unlink { path: Option<String> },
    UnlinkThere { path: String },
    UnlinkAsRoot { path: String },
    OtherPath,
    ShorterPath,
    Policy,
    Again { command: String },
    AsRoot,
}

impl From<Stop> for Help {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Command { command, parent, above } => Self::Stop { command, parent, above },
            Stop::Container => Self::StopContainer,
            Stop::Find(command) => Self::Find { command },
        }
    }
}

/// What only the calls show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "mistake", rename_all = "kebab-case")]
pub enum Mistake {
    /// The option was set on another socket. On this one it may have been enough.
    OptionElsewhere { option: SocketOption, descriptor: i32, is_enough: bool },
    /// This process has bound the port itself.
    BoundTwice { descriptor: i32 },
    /// `::`, and then 0.0.0.0; or the other way round.
    TwoFamilies { descriptor: i32 },
    /// A process of the same command has it.
    SecondWorker { pid: i32 },
    /// A process has inherited the listener of one that has closed its own, or has ended.
    Inherited { pid: i32, from: i32 },
}

/// Everything that is said of one failure.
#[derive(Debug)]
pub struct Explanation<'a> {
    pub failure: &'a Failure,
    /// The one that decides comes first.
    pub in_the_way: Vec<Obstacle>,
    /// None if nothing is known that would make the call fail.
    pub reason: Option<Reason>,
    /// The best comes first.
    pub help: Vec<Help>,
    pub mistakes: Vec<Mistake>,
    /// Whether SO_REUSEADDR, and whether SO_REUSEPORT, would have helped.
    pub would_help: [Option<bool>; 2],
}

/// What can be said without a look at other sockets.
pub fn without_look(failure: &Failure) -> Explanation<'_> {
    Explanation {
        failure,
        in_the_way: Vec::new(),
        reason: None,
        help: Vec::new(),
        mistakes: Vec::new(),
        would_help: [None; 2],
    }
}

/// Why it failed, as seen from this process's network namespace.
pub fn explain(failure: &Failure) -> Explanation<'_> {
    let mut explanation = without_look(failure);
    let is_named = matches!(failure.address, Some(Address::Path(_) | Address::Abstract(_)));
    let is_unix =
        is_named || (failure.subject.protocol == Protocol::Unix && failure.call != Name::Listen);
    match failure.errno() {
        _ if is_unix => explanation.of_unix(),
        Errno::ADDRINUSE => explanation.in_use(),
        Errno::ADDRNOTAVAIL => explanation.not_available(),
        Errno::ACCESS | Errno::PERM => explanation.refused(),
        _ => explanation.invalid(),
    }
    explanation
}

impl Explanation<'_> {
    pub fn say(&mut self, reason: Reason, help: impl IntoIterator<Item = Help>) {
        self.reason = Some(reason);
        self.help.extend(help);
    }

    /// EADDRINUSE.
    fn in_use(&mut self) {
        let failure = self.failure;
        if failure.subject.protocol == Protocol::Other {
            return; // as UDP-Lite, which has ports of its own
        }
        // listen binds to port 0 what is not bound.
        let port = failure.inet().map(|address| address.port());
        if port == Some(0)
            || (port.is_none() && failure.call == Name::Listen && failure.subject.is_read)
        {
            return self.no_port_left();
        }
        let Some(address) = failure.inet() else { return };
        let Ok(found) = look::look(failure, address) else { return };
        self.would_help = found.would_help;
        self.in_the_way = found.in_the_way;
        if let Some((descriptor, option)) = failure.elsewhere {
            let at = usize::from(option == SocketOption::ReusePort);
            self.mistakes.extend(self.would_help[at].map(|is_enough| Mistake::OptionElsewhere {
                option,
                descriptor,
                is_enough,
            }));
        }
        let Some(first) = self.in_the_way.first() else {
            let proto = look::table_of(failure.subject.protocol);
            let again = Question::new(address.into(), proto, true).with_probe();
            let again = again.map(|command| Help::Again { command: failure.there(command) });
            match found.is_unknown {
                true => self.say(Reason::Unknown, [Help::AsRoot]),
                false => self.say(Reason::Gone, again),
            }
            return;
        };
        let subject = &failure.subject;
        let reason = if found.is_other_user {
            Reason::OtherUser
        } else if first.listens {
            Reason::Listens
        } else {
            match (subject.reuseaddr, first.reuseaddr) {
                (None, _) if self.would_help[0] != Some(true) => Reason::Unknown,
                (Some(true), Some(false) | None) if !first.has_process => {
                    Reason::OldLacksOption { several: self.in_the_way.len() > 1 }
                }
                (Some(true), Some(false)) => Reason::OldLacksOption { several: false },
                (Some(true), _) => Reason::Unknown,
                (_, known) if self.in_the_way.iter().any(|old| old.reuseaddr != known) => {
                    Reason::NewLacksOptionOldUnknown
                }
                (_, Some(true)) => Reason::NewLacksOption,
                (_, Some(false)) => Reason::BothLackOption,
                (_, None) => Reason::NewLacksOptionOldUnknown,
            }
        };
        self.reason = Some(reason);
        self.advise(found.stop);
    }

    /// What helps against the sockets in the way.
    pub fn advise(&mut self, stop: Option<Stop>) {
        let failure = self.failure;
        let first = &self.in_the_way[0];
        let stop = stop.map(Help::from);
        let mut help = Vec::new();
        if self.would_help[0] == Some(true) {
            help.push(Help::SetNow { option: SocketOption::ReuseAddr });
        }
        let share = self.would_help[1] == Some(true) && help.is_empty();
        let share = share.then_some(Help::SetNow { option: SocketOption::ReusePort });
        let own = first.processes.iter().find(|holder| holder.pid == failure.pid);
        let relation = first
            .processes
            .iter()
            .find_map(|holder| Some((holder.pid, failure.relation(holder.pid)?)));
        // Another process bound it, and has closed its own or is gone, or this one has its descriptor by exec.
        let bound = first.bound.as_ref();
        let from = bound
            .filter(|bound| !bound.still_has_it || (own.is_some() && bound.pid != failure.pid));
        match (relation, from) {
            _ if first.is_connection || (relation.is_none() && !first.has_process) => {
                if help.is_empty() && share.is_none() {
                    help.extend(self.end_connections(stop));
                }
                help.extend(share);
                help.extend(self.wait());
            }
            _ if self.reason == Some(Reason::OtherUser) => {
                help.push(Help::OneUser);
                help.extend(stop);
            }
            (Some((pid, _)), Some(bound)) if own.is_none() || bound.pid != failure.pid => {
                let pid = own.map_or(pid, |own| own.pid);
                self.mistakes.push(Mistake::Inherited { pid, from: bound.pid });
                if let Some(own) = own {
                    help.push(Help::UseInherited { descriptor: own.descriptors[0] });
                } else {
                    help.extend(stop);
                    help.push(match failure.has_executed(pid, bound.pid) {
                        true => Help::CloseOnExec,
                        false => Help::CloseInChild,
                    });
                }
            }
            (Some(_), _) if own.is_some() => return self.advise_itself(),
            (Some((pid, relation)), _) => {
                self.mistakes.push(Mistake::SecondWorker { pid });
                help.extend(self.beside_worker(relation));
            }
            (None, _) => {
                help.extend(self.against_others(stop));
                help.extend(share);
            }
        }
        self.help = help;
    }

    /// What helps against a listener of others, or what is only bound.
    fn against_others(&self, stop: Option<Help>) -> Vec<Help> {
        let is_unseen = stop.is_none() && self.in_the_way[0].processes.is_empty();
        let after = if stop.is_some() { self.after_stop() } else { Vec::new() };
        let as_root = (is_unseen && !geteuid().is_root()).then_some(Help::AsRoot);
        stop.into_iter().chain(after).chain(as_root).collect()
    }

    /// What follows where a listener in the way has ended: what it leaves of its connections.
    fn after_stop(&self) -> Vec<Help> {
        // What was not accepted ends with the listener, and what the peer has closed at once.
        let is_left = |old: &&Obstacle| match old.state {
            "ESTABLISHED" if old.is_connection => old.has_process,
            "CLOSE_WAIT" => false,
            _ => old.is_connection || !old.has_process,
        };
        let left: Vec<&Obstacle> = self.in_the_way.iter().filter(is_left).collect();
        let lacks_it = self.failure.subject.reuseaddr != Some(true);
        match left.iter().all(|old| old.reuseaddr == Some(true)) {
            _ if left.is_empty() => Vec::new(),
            true if lacks_it => vec![Help::SetAfter],
            _ if lacks_it => vec![Help::WaitAfter, Help::SetBoth],
            _ => vec![Help::WaitAfter],
        }
    }

    /// What ends connections in the way, this process's own among them; and what is left of them takes its time.
    fn end_connections(&self, stop: Option<Help>) -> Vec<Help> {
        let descriptors = self.own_descriptors();
        let close = (!descriptors.is_empty()).then_some(Help::CloseFirst { descriptors });
        let mut ends: Vec<Help> = close.into_iter().chain(stop).collect();
        if !ends.is_empty() {
            ends.push(Help::WaitAfter);
        }
        ends
    }

    /// What helps where another process of the same command has the port or the path.
    fn beside_worker(&self, relation: Relation) -> Vec<Help> {
        let mut help = Vec::new();
        if self.would_help[1] == Some(true) {
            help.push(Help::SetNow { option: SocketOption::ReusePort });
        }
        let (failure, first) = (self.failure, &self.in_the_way[0]);
        // A path is no port: nothing lets two have it.
        let is_unix = failure.subject.protocol == Protocol::Unix;
        let users = first.user.as_ref().map(|user| user.uid).zip(failure.subject.uid);
        let is_other_user = users.is_some_and(|(its, own)| its != own);
        help.push(match relation {
            _ if is_unix || is_other_user => Help::BindInOne,
            Relation::Parent => Help::ParentHasIt,
            _ => Help::SiblingHasIt,
        });
        help
    }

    /// What is left of a connection goes by itself, and then the option of both counts.
    fn wait(&self) -> Vec<Help> {
        let mut help = Vec::new();
        let had = self.failure.subject.reuseaddr == Some(true);
        if !self.in_the_way.iter().any(|old| old.has_process) {
            let seconds = self.in_the_way.iter().map(|old| old.seconds_left);
            let longest = seconds.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
            help.push(match longest {
                Some(seconds) => Help::Wait { seconds, once: had },
                None => Help::WaitForPeer,
            });
        }
        if !had && self.would_help[0] != Some(true) {
            help.push(Help::SetBoth);
        }
        help
    }

    /// The descriptors of the process itself that are in the way.
    fn own_descriptors(&self) -> Vec<i32> {
        let all = self.in_the_way.iter().flat_map(|old| &old.processes);
        let own = all.filter(|holder| holder.pid == self.failure.pid);
        let mut descriptors: Vec<i32> = own.flat_map(|own| own.descriptors.clone()).collect();
        descriptors.sort_unstable();
        descriptors
    }

    /// What helps where the process has the port or the path itself, by the first socket in the way.
    fn advise_itself(&mut self) {
        let failure = self.failure;
        let first = &self.in_the_way[0];
        let descriptors = self.own_descriptors();
        let is_left = self.in_the_way.iter().any(|old| !old.has_process);
        let own = first.processes.iter().find(|holder| holder.pid == failure.pid);
        let Some(descriptor) = own.and_then(|own| own.descriptors.first().copied()) else { return };
        // An address of IPv4 is one, mapped or not.
        let is_ipv4 = |ip: IpAddr| ip.to_canonical().is_ipv4();
        let differ = failure.inet().is_some_and(|new| is_ipv4(new.ip()) != is_ipv4(first.address));
        if differ {
            self.mistakes.push(Mistake::TwoFamilies { descriptor });
            let descriptor = match first.address {
                IpAddr::V6(_) => descriptor,
                IpAddr::V4(_) => failure.subject.descriptor,
            };
            self.help = vec![Help::V6Only { descriptor }];
            self.help.extend(is_left.then_some(Help::WaitAfter));
            return;
        }
        let is_path = matches!(failure.address, Some(Address::Path(_)));
        self.mistakes.push(Mistake::BoundTwice { descriptor });
        self.help = vec![match first.processes.len() {
            _ if is_path => Help::BindPathOnce,
            1 => Help::BindOnce { descriptors },
            _ => Help::BindOnceShared { descriptors },
        }];
        self.help.extend(is_left.then_some(Help::WaitAfter));
    }

    fn no_port_left(&mut self) {
        let range = self.range();
        let ports = range.ports().count();
        let held = look::without_peer(self.failure);
        // connect shares a port with connections alone.
        let may_share = self.failure.call == Name::Bind
            && look::table_of(self.failure.subject.protocol) == Proto::Tcp
            && !range.ports().all(|port| held.contains(&port));
        let help =
            may_share.then_some(Help::ChooseLater).into_iter().chain(widen(&range, self.failure));
        let Range { first, last, .. } = range;
        self.say(Reason::NoPortLeft { first, last, ports }, help);
    }

    /// EADDRNOTAVAIL of bind.
    fn no_such_address(&mut self, address: SocketAddr) {
        let (failure, ip) = (self.failure, address.ip());
        let command = failure.there("ip -brief address".to_owned());
        match refusals::trouble(ip, look::device(&failure.subject, address)) {
            None => self.say(Reason::NotThisMachine { ip }, [Help::OwnAddress { command }]),
            Some(Ipv6Trouble::OtherInterface) => {
                self.say(Reason::OtherInterface { ip }, [Help::Addresses { command }]);
            }
            Some(Ipv6Trouble::Tentative { has_failed }) => {
                let command = failure.there("ip -6 address show".to_owned());
                let help = match has_failed {
                    true => Help::TakeAddress { command },
                    false => Help::Settle { command },
                };
                self.say(Reason::Tentative { ip, has_failed }, [help]);
            }
        }
    }

    /// EADDRNOTAVAIL.
    fn not_available(&mut self) {
        let failure = self.failure;
        let Some(address) = failure.inet() else { return };
        let ip = address.ip();
        if failure.call != Name::Connect {
            return self.no_such_address(address);
        }
        let is_udp = look::table_of(failure.subject.protocol) == Proto::Udp;
        let Ok(source) = binds::source(address) else {
            let commands = ["ip address".to_owned(), format!("ip route get {ip}")];
            let command = commands.map(|command| failure.there(command)).join("; ");
            self.say(Reason::NoSource { ip }, [Help::Addresses { command }]);
            return;
        };
        if is_udp {
            return;
        }
        self.in_the_way = look::to_destination(failure, address).unwrap_or_default();
        if let Some(local) = failure.subject.local {
            // At a wildcard, connect would have taken the source.
            let ip = Some(local.ip()).filter(|ip| !ip.is_unspecified()).or(source);
            let own = (ip.map(|ip| ip.to_canonical()), local.port());
            self.in_the_way.retain(|old| (Some(old.address.to_canonical()), old.port) == own);
            self.say(Reason::SameConnection, [Help::OtherPort]);
            return;
        }
        if !failure.subject.is_read {
            return; // whether it is bound is not known
        }
        let range = self.range();
        let ports: BTreeSet<u16> = range.ports().collect();
        self.in_the_way.retain(|old| ports.contains(&old.port));
        // A connection from another address has a four-tuple of its own. A device or a mark may lead elsewhere.
        let source = failure.subject.source.or(source).map(|ip| ip.to_canonical());
        let is_from_there = |old: &Obstacle| Some(old.address.to_canonical()) == source;
        if self.in_the_way.iter().any(is_from_there) {
            self.in_the_way.retain(is_from_there);
        }
        let (count, ports) = (self.in_the_way.len(), ports.len());
        let seconds = self.in_the_way.iter().filter_map(|old| old.seconds_left).min();
        let wait = seconds.map(|seconds| Help::Wait { seconds, once: false });
        let help = wait.into_iter().chain([Help::KeepOpen]).chain(widen(&range, self.failure));
        let Range { first, last, .. } = range;
        self.say(Reason::NoPortToDestination { first, last, ports, count }, help);
    }

    /// The range from which the kernel chooses a port for this socket (IP_LOCAL_PORT_RANGE).
    fn range(&self) -> Range {
        let mut range = Range::read();
        let all = range.first..=range.last;
        // inet_sk_get_local_port_range: a bound outside of the range does not count.
        let [first, last] = self.failure.subject.port_range.unwrap_or_default();
        if all.contains(&first) {
            range.first = first;
        }
        if all.contains(&last) {
            range.last = last;
        }
        range
    }

    /// EACCES and EPERM.
    fn refused(&mut self) {
        let failure = self.failure;
        let first = first_unprivileged();
        match failure.inet() {
            Some(address)
                if failure.call == Name::Bind
                    && failure.errno() == Errno::ACCESS
                    && (1..first).contains(&address.port())
                    && !may_bind_privileged(&failure.thread.to_string()) =>
            {
                let command = failure.there(words::privilege_command(address.port()));
                let is_void = !geteuid().is_root() && look::file_has_capability(failure.pid);
                let thread = failure.thread.to_string();
                let help = match has_capability(&thread, refusals::CAP_NET_BIND_SERVICE) {
                    true => Help::PrivilegeOutside { command },
                    false => Help::Privilege { command },
                };
                let first_help = is_void.then_some(Help::NoNewPrivs);
                self.say(Reason::Privileged { first }, first_help.into_iter().chain([help]));
            }
            Some(address)
                if failure.call == Name::Connect
                    && failure.errno() == Errno::ACCESS
                    && failure.subject.broadcast == Some(false)
                    && look::is_broadcast(address.ip()) =>
            {
                self.say(Reason::Broadcast, [Help::SetBroadcast]);
            }
            _ if failure.subject.protocol == Protocol::Other => {}
            Some(address)
                if failure.call == Name::Connect
                    && failure.subject.broadcast.is_none()
                    && look::is_broadcast(address.ip()) => {}
            _ => self.say(Reason::Policy, [Help::Policy]),
        }
    }

    /// The loopback address of IPv4 that a connect to elsewhere cannot leave from.
    fn loopback_source(&self) -> Option<IpAddr> {
        let subject = &self.failure.subject;
        let is_loopback =
            |ip: &IpAddr| matches!(ip.to_canonical(), IpAddr::V4(ip) if ip.is_loopback());
        let source = subject.local.map(|local| local.ip()).or(subject.source);
        let to = self.failure.inet()?.ip();
        source.filter(|source| is_loopback(source) && !is_loopback(&to))
    }

    /// EINVAL.
    fn invalid(&mut self) {
        let failure = self.failure;
        if let (Name::Connect, Some(source)) = (failure.call, self.loopback_source()) {
            return self.say(Reason::LoopbackSource { source }, [Help::OtherSource]);
        }
        let local = failure.subject.local;
        // SIN6_LEN_RFC2133, struct sockaddr_in
        let needed = if failure.subject.is_ipv6 == Some(true) { 24 } else { 16 };
        let is_tcp = matches!(failure.subject.protocol, Protocol::Tcp | Protocol::Mptcp);
        let is_short = failure.call != Name::Listen
            && (is_tcp || failure.subject.protocol == Protocol::Udp)
            // Of IPv6, a connect of UDP takes both families.
            && (is_tcp || needed == 16 || failure.call == Name::Bind)
            && failure.address_length < needed;
        let ipv6 = match failure.inet() {
            Some(SocketAddr::V6(v6)) => Some((*v6.ip(), v6.scope_id())),
            _ => None,
        };
        let is_ipv6_alone = failure.subject.ipv6_only == Some(true);
        match failure.call {
            _ if is_short && needed == 24 && matches!(failure.inet(), Some(SocketAddr::V4(_))) => {
                let ip = failure.inet().map(|address| Help::Mapped { ip: address.ip() });
                self.say(Reason::OtherFamily, ip);
            }
            _ if is_short => {
                let given = failure.address_length;
                self.say(Reason::Length { given, needed }, []);
            }
            Name::Bind if local.is_some() => {
                self.say(Reason::BoundAlready { local }, [Help::NewSocket]);
            }
            Name::Listen if failure.subject.is_unnamed => {
                self.say(Reason::NotBound, [Help::BindFirst]);
            }
            Name::Listen if failure.subject.is_connected => {
                self.say(Reason::Connected, [Help::NewSocket]);
            }
            Name::Listen if is_tcp => self.say(Reason::Connected, [Help::NewSocket]),
            _ => match ipv6 {
                Some((ip, _)) if ip.is_multicast() && is_tcp => {
                    self.say(Reason::NoGroup { ip: ip.into() }, [Help::NotAGroup]);
                }
                Some((ip, 0)) if needs_scope(ip) => {
                    self.say(Reason::NoScope { ip: ip.into() }, [Help::Scope]);
                }
                Some((ip, _)) if ip.to_ipv4_mapped().is_some() && is_ipv6_alone => {
                    self.say(Reason::MappedAlone, [Help::ClearV6Only]);
                }
                _ => {}
            },
        }
    }
}

/// What widens the range; of a range of the socket's own, the option.
fn widen(range: &Range, failure: &Failure) -> Option<Help> {
    let all = Range::read();
    let widen = |command| Help::Widen { command: failure.there(command) };
    match (range.first, range.last) == (all.first, all.last) {
        true => range.widen_command().map(widen),
        false => Some(Help::WidenOwn),
    }
}
