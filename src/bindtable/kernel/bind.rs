//! The kernel's rule, as a small model: what a cell must give, and which condition decides it.
//!
//! Read from the kernel's source, and checked on Linux 5.10, 6.1, 6.12, 6.18 and later: a kernel with
//! another rule shows as cells that are not predicted.

use super::{Call, Proto, Verdict, Version};
use crate::table::cell::{Cell, Device, Route, Set, Socket, State};
use crate::{say, words};
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// When the verdict of a cell was another, in words; empty if it has always been the same.
pub fn history(cell: &Cell) -> Vec<String> {
    use Version as V;
    let starts = [V::OLDEST, V::ONE_LIST, V::ORPHANS_USER, V::CONNECT_AGAIN];
    let mut eras: Vec<(V, Verdict)> = Vec::new();
    for start in starts {
        let verdict = predict(cell, start).0;
        if eras.last().is_none_or(|last| last.1 != verdict) {
            eras.push((start, verdict));
        }
    }
    let mut changes = match eras[..] {
        [_] => Vec::new(),
        [(_, before), (start, _)] => vec![say!(
            "since {start}; before: {before}",
            "从 {start} 起；之前：{before}",
            before = before.name()
        )],
        _ => eras
            .iter()
            .map(|(start, verdict)| {
                say!("since {start}: {is}", "从 {start} 起：{is}", is = verdict.name())
            })
            .collect(),
    };
    let [(series, first), (_, second)] = V::HALF_OF_6_8;
    let verdict = predict(cell, series).0;
    if verdict != eras[0].1 {
        changes.push(say!(
            "only in two stable series, since {first} and {second}: {is}",
            "只在两个稳定版系列里，从 {first} 和 {second} 起：{is}",
            is = verdict.name()
        ));
    }
    changes
}

/// The condition that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    Empty,
    FastReuse,
    FastReusePort,
    OtherAddress,
    OtherDevice,
    BothReuse,
    BothReusePort,
    ReusePortTimeWait,
    Listens,
    NoOption,
    OtherUser,
    Program,
    LastPort,
    LastPortOnlyRound,
    LastPortReusePort,
    ConnectFree,
    ConnectOtherPeer,
    ConnectSamePeer,
    ConnectTimeWait,
    ConnectBound,
    UdpBothReuse,
    UdpBothReusePort,
    UdpNoOption,
    UdpOtherUser,
    UdpProgram,
}

impl Rule {
    /// The function of the kernel, and its condition.
    pub fn text(self) -> (&'static str, &'static str) {
        const GET_PORT: &str = "inet_csk_get_port, net/ipv4/inet_connection_sock.c";
        const CONFLICT: &str = "inet_bind_conflict, net/ipv4/inet_connection_sock.c";
        const ADDRESS: &str = "inet_rcv_saddr_equal, net/ipv4/inet_connection_sock.c";
        const OPEN_PORT: &str = "inet_csk_find_open_port, net/ipv4/inet_connection_sock.c";
        const CONNECT: &str = "__inet_hash_connect, net/ipv4/inet_hashtables.c";
        const ESTABLISHED: &str = "__inet_check_established, net/ipv4/inet_hashtables.c";
        const UDP: &str = "udp_lib_lport_inuse, net/ipv4/udp.c";
        match self {
            Self::Empty => (
                GET_PORT,
                words!(
                    "the port has no owner: there is nothing to compare",
                    "端口没有所有者：没有什么可比较"
                ),
            ),
            Self::FastReuse => (
                GET_PORT,
                words!(
                    "before Linux 6.8: the port's bucket remembers (fastreuse) that every owner had \
                 SO_REUSEADDR and none has listened; the new socket has it, too: nobody is compared",
                    "Linux 6.8 之前：端口的桶记得（fastreuse）每个所有者都有 SO_REUSEADDR，并且没有谁监听过；新套接字也有：不再比较"
                ),
            ),
            Self::FastReusePort => (
                "sk_reuseport_match, net/ipv4/inet_connection_sock.c",
                words!(
                    "the port's bucket remembers (fastreuseport) an owner with SO_REUSEPORT, its user and \
                 its address; the new socket has the same: nobody else is compared",
                    "端口的桶记得（fastreuseport）一个有 SO_REUSEPORT 的所有者，以及它的用户和地址；新套接字与它相同：不再与别的比较"
                ),
            ),
            Self::OtherAddress => (
                ADDRESS,
                words!(
                    "no owner of the port has the address, and neither is the wildcard's",
                    "端口的所有者都没有这个地址，双方也都不是通配地址"
                ),
            ),
            Self::OtherDevice => (
                CONFLICT,
                words!(
                    "both are bound to a device, each to another",
                    "双方各绑定一块网卡，而且不同"
                ),
            ),
            Self::BothReuse => (
                CONFLICT,
                words!(
                    "both have SO_REUSEADDR, and the old one is not in state LISTEN",
                    "双方都有 SO_REUSEADDR，并且旧的不在 LISTEN 状态"
                ),
            ),
            Self::BothReusePort => (
                CONFLICT,
                words!(
                    "both have SO_REUSEPORT, and the same user",
                    "双方都有 SO_REUSEPORT，并且用户相同"
                ),
            ),
            Self::ReusePortTimeWait => (
                CONFLICT,
                words!(
                    "both have SO_REUSEPORT, and the old one is a TIME_WAIT's record, which has no user",
                    "双方都有 SO_REUSEPORT，旧的是 TIME_WAIT 的记录，没有用户"
                ),
            ),
            Self::Listens => (
                CONFLICT,
                words!(
                    "both have SO_REUSEADDR, but the old one is in state LISTEN, and they do not both \
                 have SO_REUSEPORT",
                    "双方都有 SO_REUSEADDR，但旧的在 LISTEN 状态，并且不是双方都有 SO_REUSEPORT"
                ),
            ),
            Self::NoOption => (
                CONFLICT,
                words!(
                    "the addresses conflict, and the two have no option in common",
                    "地址冲突，双方没有共同的选项"
                ),
            ),
            Self::OtherUser => (
                CONFLICT,
                words!(
                    "both have SO_REUSEPORT, but they are different users'",
                    "双方都有 SO_REUSEPORT，但用户不同"
                ),
            ),
            Self::Program => (
                CONFLICT,
                words!(
                    "both have SO_REUSEPORT, but the new one has a group of its own: its program was \
                 attached before bind",
                    "双方都有 SO_REUSEPORT，但新的自成一组：它的程序在 bind 之前就挂上了"
                ),
            ),
            Self::LastPort => (
                OPEN_PORT,
                words!(
                    "every port has an owner; in the second round (ip_autobind_reuse) it is enough \
                 that both have SO_REUSEADDR and the owner is not in state LISTEN",
                    "每个端口都有所有者；在第二轮（ip_autobind_reuse）里，双方都有 SO_REUSEADDR 并且所有者不在 LISTEN 状态就够了"
                ),
            ),
            Self::LastPortOnlyRound => (
                OPEN_PORT,
                words!(
                    "every port has an owner, and there is no second round: ip_autobind_reuse is 0",
                    "每个端口都有所有者，也没有第二轮：ip_autobind_reuse 是 0"
                ),
            ),
            Self::LastPortReusePort => (
                OPEN_PORT,
                words!(
                    "every port has an owner, and no second round helps: not both have SO_REUSEADDR, \
                 or both have SO_REUSEPORT, too, and the same user",
                    "每个端口都有所有者，第二轮也没有用：不是双方都有 SO_REUSEADDR，或者双方还都有 SO_REUSEPORT 并且用户相同"
                ),
            ),
            Self::ConnectFree => (CONNECT, words!("the port has no owner", "端口没有所有者")),
            Self::ConnectOtherPeer => (
                ESTABLISHED,
                words!(
                    "the owner has its port by connect, too, and no connection has the same two \
                 addresses and ports",
                    "所有者的端口也来自 connect，并且没有两个地址和端口都相同的连接"
                ),
            ),
            Self::ConnectSamePeer => (
                ESTABLISHED,
                words!(
                    "a connection has the same two addresses and ports",
                    "已有一条两个地址和端口都相同的连接"
                ),
            ),
            Self::ConnectTimeWait => (
                "tcp_twsk_unique, net/ipv4/tcp_ipv4.c",
                words!(
                    "the connection with the same two addresses and ports is a TIME_WAIT's record, with \
                 timestamps, and the port was named by bind: it takes the record's place",
                    "两个地址和端口都相同的是 TIME_WAIT 的记录，带时间戳，而且端口由 bind 指定：它取代这个记录"
                ),
            ),
            Self::ConnectBound => (
                CONNECT,
                words!(
                    "the only port that there is has an owner by bind: connect takes none that was bound",
                    "唯一的端口由 bind 占着：connect 不用绑定过的端口"
                ),
            ),
            Self::UdpBothReuse => (UDP, words!("both have SO_REUSEADDR", "双方都有 SO_REUSEADDR")),
            Self::UdpBothReusePort => (
                UDP,
                words!(
                    "both have SO_REUSEPORT, and the same user",
                    "双方都有 SO_REUSEPORT，并且用户相同"
                ),
            ),
            Self::UdpNoOption => (
                UDP,
                words!(
                    "the addresses conflict, and the two have no option in common",
                    "地址冲突，双方没有共同的选项"
                ),
            ),
            Self::UdpOtherUser => (
                UDP,
                words!(
                    "both have SO_REUSEPORT, but they are different users'",
                    "双方都有 SO_REUSEPORT，但用户不同"
                ),
            ),
            Self::UdpProgram => (
                UDP,
                words!(
                    "both have SO_REUSEPORT, but the new one has a group of its own: its program was \
                 attached before bind",
                    "双方都有 SO_REUSEPORT，但新的自成一组：它的程序在 bind 之前就挂上了"
                ),
            ),
        }
    }
}

/// What of a socket counts: `struct sock`.
#[derive(Clone, Copy, Debug)]
pub struct Sock {
    /// The address that it is bound to.
    pub ip: IpAddr,
    /// IPV6_V6ONLY; the kernel sets it, too, for an address that is neither wildcard nor IPv4.
    pub v6only: bool,
    /// SO_REUSEADDR.
    pub reuse: bool,
    /// SO_REUSEPORT.
    pub reuseport: bool,
    /// The effective user when the socket was made.
    pub user: u32,
    /// The number of the device that it is bound to, or 0.
    pub device: u32,
    /// A program for its group was attached before bind, so it has a group of its own.
    pub has_group: bool,
    /// Whether it is in state LISTEN.
    pub listens: bool,
    /// TIME_WAIT, or FIN_WAIT2 without a process: `inet_timewait_sock`, which has no user.
    pub is_record: bool,
    /// connect has chosen the port.
    pub by_connect: bool,
}

impl Default for Sock {
    /// One at the wildcard of IPv4, without any option.
    fn default() -> Self {
        Self::binding(&Socket::at(Ipv4Addr::UNSPECIFIED.into()))
    }
}

/// May `new` bind the port where `owners` are, in the order in which they came? `Ok` and `Err` have
/// the condition that decides.
pub fn bind(proto: Proto, owners: &[Sock], new: &Sock) -> Result<Rule, Rule> {
    match proto {
        Proto::Tcp => {
            let mut bucket = Bucket::new(Version::TODAY);
            for owner in owners {
                let _ = bucket.get_port(owner, None);
                bucket.owners.push(*owner);
            }
            bucket.get_port(new, None)
        }
        Proto::Udp => udp_bind(owners, new),
    }
}

/// The user who runs this program, wherever there is another. Before Linux 6.17 a socket without a
/// process counts as root's.
const ROOT: u32 = 0;

/// What the model says of a cell, on a kernel.
pub fn predict(cell: &Cell, version: Version) -> (Verdict, Rule) {
    let decided = match cell.proto {
        Proto::Udp => udp(cell),
        Proto::Tcp => tcp(cell, version),
    };
    match decided {
        Ok(rule) => (Verdict::Ok, rule),
        Err((call, rule)) => {
            let errno = match (cell.proto, call) {
                (Proto::Tcp, Call::Connect) => Errno::ADDRNOTAVAIL,
                (Proto::Udp, Call::Connect) => Errno::AGAIN,
                _ => Errno::ADDRINUSE,
            };
            (Verdict::Failed { call, errno }, rule)
        }
    }
}

impl Sock {
    /// As it is at bind.
    fn binding(socket: &Socket) -> Self {
        Self {
            ip: socket.ip,
            // __inet6_bind sets it for what is no wildcard and no IPv4.
            v6only: socket.v6only || (socket.takes_ipv6() && !socket.ip.is_unspecified()),
            reuse: socket.reuseaddr.at_bind(),
            reuseport: socket.reuseport.at_bind(),
            user: u32::from(socket.other_user),
            device: match socket.device {
                None => 0,
                Some(Device::Lo) => 1,
                Some(Device::Other) => 2,
            },
            has_group: socket.program == Set::Before,
            listens: false,
            is_record: false,
            by_connect: socket.route == Route::Connect,
        }
    }

    /// As it is afterwards.
    fn bound(socket: &Socket) -> Self {
        Self {
            has_group: socket.program != Set::Never,
            reuse: socket.reuseaddr.after_bind(),
            reuseport: socket.reuseport.after_bind(),
            ..Self::binding(socket)
        }
    }

    /// As it is when it has connected, or a connection of it: at one address.
    fn connected(socket: &Socket) -> Self {
        let ip = match (socket.destination(), socket.ip) {
            (IpAddr::V4(ip), IpAddr::V6(_)) => ip.to_ipv6_mapped().into(),
            (ip, _) => ip,
        };
        Self { ip, ..Self::bound(socket) }
    }

    /// `sk_rcv_saddr`: of IPv6, what stands in for the address.
    fn ipv4(&self) -> Ipv4Addr {
        match self.ip {
            IpAddr::V4(ip) => ip,
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::UNSPECIFIED,
            IpAddr::V6(ip) => ip.to_ipv4_mapped().unwrap_or(Ipv4Addr::new(127, 0, 0, 6)),
        }
    }

    fn is_mapped(&self) -> bool {
        match self.ip {
            IpAddr::V4(_) => true,
            IpAddr::V6(ip) => ip.to_ipv4_mapped().is_some(),
        }
    }

    /// Whether both are bound to a device, each to another.
    fn is_apart(&self, other: &Self) -> bool {
        self.device != 0 && other.device != 0 && self.device != other.device
    }
}

/// `inet_rcv_saddr_equal`, where the wildcard is every address: of the new one, and of the old one
/// if `old_too`.
fn same_address(new: &Sock, old: &Sock, old_too: bool) -> bool {
    let any = Ipv4Addr::UNSPECIFIED;
    if new.ip.is_ipv4() || (new.is_mapped() && old.is_mapped()) {
        let (new, old, v6only) = (new.ipv4(), old.ipv4(), old.v6only);
        return !v6only && (new == old || new == any || (old_too && old == any));
    }
    let is_any = |sock: &Sock| sock.ip.is_ipv6() && sock.ip.is_unspecified();
    (is_any(new) && is_any(old))
        || (is_any(old) && old_too && !(old.v6only && new.is_mapped()))
        || (is_any(new) && !(new.v6only && old.is_mapped()))
        || new.ip == old.ip
}

/// What the kernel notes of one port: `struct inet_bind_bucket`.
///
/// Since Linux 6.8 `inet_csk_update_fastreuse` finds the first owner's address entered already. Since
/// then `fastreuse` is never set, and a socket that has cleared SO_REUSEADDR after bind keeps the next
/// one out; for the same reason `fastreuseport` always is `FASTREUSEPORT_STRICT`.
struct Bucket {
    version: Version,
    owners: Vec<Sock>,
    fastreuse: bool,
    fastreuseport: Option<Sock>,
    /// `FASTREUSEPORT_ANY`: each owner so far had SO_REUSEPORT, so the address does not matter.
    any: bool,
    /// Every owner has its port by connect: both flags are -1.
    by_connect: bool,
}

impl Bucket {
    fn new(version: Version) -> Self {
        Self {
            version,
            owners: Vec::new(),
            fastreuse: false,
            fastreuseport: None,
            any: false,
            by_connect: false,
        }
    }

    /// `inet_csk_get_port` for a port that is named; `is_owner` at listen, when it has it already.
    fn get_port(&mut self, sock: &Sock, is_owner: Option<usize>) -> Result<Rule, Rule> {
        let rule = if self.owners.is_empty() {
            Rule::Empty
        } else if self.fastreuse && sock.reuse && !sock.listens {
            Rule::FastReuse
        } else if self.matches(sock) {
            Rule::FastReusePort
        } else {
            self.conflict(sock, is_owner, true, true)?
        };
        self.update(sock);
        Ok(rule)
    }

    /// `sk_reuseport_match`.
    fn matches(&self, sock: &Sock) -> bool {
        self.fastreuseport.is_some_and(|fast| {
            let same_user = fast.user == sock.user;
            let may_join = sock.reuseport && !sock.has_group && same_user;
            may_join && (self.any || same_address(&fast, sock, false))
        })
    }

    /// `inet_csk_update_fastreuse`.
    fn update(&mut self, sock: &Sock) {
        let reuse = sock.reuse && !sock.listens;
        self.by_connect = false;
        if self.owners.is_empty() && self.version < Version::ONE_LIST {
            (self.fastreuse, self.any) = (reuse, true);
            self.fastreuseport = sock.reuseport.then_some(*sock);
            return;
        }
        self.fastreuse &= reuse;
        if !sock.reuseport {
            self.fastreuseport = None;
        } else if !self.matches(sock) {
            (self.fastreuseport, self.any) = (Some(*sock), false);
        }
    }

    /// `inet_bind_bucket_destroy`: an owner has gone.
    fn removed(&mut self) {
        if self.owners.is_empty() {
            *self = Self::new(self.version);
        } else if self.version >= Version::CONNECT_AGAIN
            && self.owners.iter().all(|sock| sock.by_connect)
        {
            (self.fastreuse, self.fastreuseport, self.by_connect) = (false, None, true);
        }
    }

    /// Whether a conflict with this owner is overlooked: in two stable series a socket bound to a mapped
    /// address does not look into the wildcard's bucket of bhash2, if its first owner was bound to
    /// `::ffff:0.0.0.0` (`inet_bind2_bucket_match_addr_any`).
    fn overlooks(&self, new: &Sock, old: &Sock) -> bool {
        let is_any = |sock: &Sock| sock.is_mapped() && sock.ipv4().is_unspecified();
        self.version.has_half_of_6_8()
            && (new.ip.is_ipv6() && new.is_mapped() && !is_any(new))
            && is_any(old)
            && self
                .owners
                .iter()
                .find(|owner| is_any(owner))
                .is_some_and(|owner| owner.ip.is_ipv6())
    }

    /// `inet_csk_bind_conflict`, with `inet_bind_conflict` for each owner.
    fn conflict(
        &self,
        sock: &Sock,
        is_owner: Option<usize>,
        relax: bool,
        reuseport_ok: bool,
    ) -> Result<Rule, Rule> {
        let mut rule = Rule::OtherAddress;
        for (_, old) in self.owners.iter().enumerate().filter(|(at, _)| Some(*at) != is_owner) {
            if !same_address(sock, old, true) || self.overlooks(sock, old) {
                continue;
            }
            if sock.is_apart(old) {
                rule = Rule::OtherDevice;
                continue;
            }
            let same_user = old.is_record || sock.user == old.user;
            let both_reuseport = sock.reuseport && old.reuseport;
            let may_join = both_reuseport && !sock.has_group && same_user;
            rule = if sock.reuse && old.reuse && !old.listens {
                if !relax || (!reuseport_ok && may_join) {
                    return Err(Rule::LastPortReusePort);
                }
                Rule::BothReuse
            } else if reuseport_ok && may_join {
                if old.is_record { Rule::ReusePortTimeWait } else { Rule::BothReusePort }
            } else if both_reuseport && sock.has_group {
                return Err(Rule::Program);
            } else if both_reuseport && !same_user {
                return Err(Rule::OtherUser);
            } else if sock.reuse && old.reuse {
                return Err(Rule::Listens);
            } else {
                return Err(Rule::NoOption);
            };
        }
        Ok(rule)
    }

    /// `__inet_hash_connect` with a port of its choice; `is_same` if the owner has the same peer.
    fn connect(&self, is_same: bool) -> Result<Rule, Rule> {
        if self.owners.is_empty() {
            Ok(Rule::ConnectFree)
        } else if !self.by_connect {
            Err(Rule::ConnectBound)
        } else if is_same {
            Err(Rule::ConnectSamePeer)
        } else {
            Ok(Rule::ConnectOtherPeer)
        }
    }
}

/// How the calls of A and of the others change the bind buckets, and what B then finds.
fn tcp(cell: &Cell, version: Version) -> Result<Rule, (Call, Rule)> {
    use State::*;
    let mut bucket = Bucket::new(version);
    let bind = |bucket: &mut Bucket, socket: &Socket| {
        let _ = bucket.get_port(&Sock::binding(socket), None);
        bucket.owners.push(Sock::bound(socket));
    };
    let listen = |bucket: &mut Bucket, at: usize| {
        bucket.owners[at].listens = true;
        let sock = bucket.owners[at];
        bucket.get_port(&sock, Some(at))
    };
    let a = &cell.there[0];
    if a.route == Route::Connect {
        bucket.owners.push(Sock::bound(a));
        bucket.by_connect = true;
    } else {
        bind(&mut bucket, a);
    }
    if !cell.state.is_bound() {
        if a.route == Route::Bind {
            let _ = listen(&mut bucket, 0);
        }
        let mut child =
            Sock { is_record: matches!(cell.state, FinWait2 | TimeWait), ..Sock::connected(a) };
        if matches!(cell.state, FinWait1 | LastAck) && version < Version::ORPHANS_USER {
            child.user = ROOT;
        }
        match cell.state {
            Listening => {}
            ShutDown => bucket.owners[0].listens = false,
            Connection => bucket.owners.push(child),
            _ => bucket.owners[0] = child,
        }
    }
    if cell.state == Closed {
        bucket.owners.clear();
        bucket.removed();
    }
    for socket in &cell.there[1..] {
        bind(&mut bucket, socket);
    }
    let mut is_closed = cell.there[1..].iter().map(|socket| socket.closed).rev();
    for at in (0..bucket.owners.len()).rev() {
        if is_closed.next() == Some(true) {
            bucket.owners.remove(at);
            bucket.removed();
        }
    }

    let new = Sock::binding(&cell.new);
    let is_same = a.route != Route::Bind
        && cell.state != Closed
        && !cell.new.elsewhere
        && a.destination() == cell.new.destination();
    if cell.new.route == Route::Connect {
        return bucket.connect(is_same).map_err(|rule| (Call::Connect, rule));
    }
    let rule = if let Some(has_second_round) = cell.state.autobind_reuse() {
        let found = match bucket.conflict(&new, None, false, false) {
            Ok(rule) => Ok(rule),
            Err(_) if !has_second_round => Err(Rule::LastPortOnlyRound),
            Err(_) => match bucket.conflict(&new, None, true, false) {
                Ok(_) => Ok(Rule::LastPort),
                Err(_) => Err(Rule::LastPortReusePort),
            },
        };
        bucket.update(&new);
        found.map_err(|rule| (Call::Bind, rule))?
    } else {
        bucket.get_port(&new, None).map_err(|rule| (Call::Bind, rule))?
    };
    if cell.new.route == Route::BindConnect {
        return match (is_same, cell.state) {
            (true, TimeWait | FinWait2) => Ok(Rule::ConnectTimeWait),
            (true, _) => Err((Call::Connect, Rule::ConnectSamePeer)),
            _ => Ok(rule),
        };
    }
    bucket.owners.push(Sock::bound(&cell.new));
    if cell.state.is_between() {
        let _ = listen(&mut bucket, 0);
    }
    let last = bucket.owners.len() - 1;
    listen(&mut bucket, last).map_err(|rule| (Call::Listen, rule))?;
    Ok(rule)
}

fn udp(cell: &Cell) -> Result<Rule, (Call, Rule)> {
    let is_closed = |(at, socket): &(usize, &Socket)| match at {
        0 => cell.state == State::Closed,
        _ => socket.closed,
    };
    let there = cell.there.iter().enumerate().filter(|each| !is_closed(each));
    let there: Vec<Sock> = there
        .map(|(at, socket)| match at {
            0 if cell.state == State::Connected => Sock::connected(socket),
            _ => Sock::bound(socket),
        })
        .collect();
    let mut new = Sock::binding(&cell.new);
    let call = match cell.new.route {
        Route::Connect => {
            // inet_autobind comes first, when there is no address yet.
            new.ip = match new.ip {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            new.v6only = cell.new.v6only;
            Call::Connect
        }
        _ => Call::Bind,
    };
    udp_bind(&there, &new).map_err(|rule| (call, rule))
}

/// `udp_lib_lport_inuse`, which begins with the one that came last.
fn udp_bind(there: &[Sock], new: &Sock) -> Result<Rule, Rule> {
    if there.is_empty() {
        return Ok(Rule::Empty);
    }
    let mut rule = Rule::OtherAddress;
    for old in there.iter().rev().filter(|old| same_address(new, old, true)) {
        if new.is_apart(old) {
            rule = Rule::OtherDevice;
        } else if new.reuse && old.reuse {
            rule = Rule::UdpBothReuse;
        } else if new.reuseport && old.reuseport {
            return match (new.has_group, new.user == old.user) {
                (true, _) => Err(Rule::UdpProgram),
                (_, true) => Ok(Rule::UdpBothReusePort),
                (_, false) => Err(Rule::UdpOtherUser),
            };
        } else {
            return Err(Rule::UdpNoOption);
        }
    }
    Ok(rule)
}
