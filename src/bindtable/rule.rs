//! The kernel's rule, as a small model: what a cell must give, and which condition decides it.
//!
//! Read from the kernel's source, and checked on Linux 5.10, 6.1, 6.12, 6.18 and later: a kernel with
//! another rule shows as cells that are not predicted.

use crate::cell::{Cell, Proto, Socket, State};
use crate::engine::{Call, Verdict};
use rustix::io::Errno;
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr};

/// A version of Linux: the first two numbers of its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16);

impl Version {
    /// The kernel with which the bind table was made.
    pub const TODAY: Self = Self(6, 18);
    /// The oldest kernel on which the model was checked.
    const OLDEST: Self = Self(5, 10);
    /// A second hash table of owners, by port and address (bhash2).
    const BHASH2: Self = Self(6, 1);
    /// A port's bucket lists the owners of bhash2, and none of its own.
    const ONE_LIST: Self = Self(6, 8);
    /// A socket without a process keeps its user (`sk_uid`, in place of `sock_i_uid`).
    const ORPHANS_USER: Self = Self(6, 17);

    /// From a release, with or without the word before it: `Linux 6.1.0-50-cloud-amd64`.
    pub fn parse(release: &str) -> Option<Self> {
        let numbers = release.split_whitespace().last()?;
        let mut numbers = numbers.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(Self(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// The last one before this; there was a 5.19, and the series of 6 is not over before 6.19.
    fn before(self) -> Self {
        match self {
            Self(6, 0) => Self(5, 19),
            Self(major, minor) => Self(major, minor - 1),
        }
    }
}

impl Display for Version {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// When the verdict of a cell was another, in words; empty if it has always been the same.
pub fn history(cell: &Cell) -> Vec<String> {
    use Version as V;
    let starts = [V::OLDEST, V::BHASH2, V::ONE_LIST, V::ORPHANS_USER];
    let mut eras: Vec<(V, Verdict)> = Vec::new();
    for start in starts {
        let verdict = predict(cell, start).0;
        if eras.last().is_none_or(|last| last.1 != verdict) {
            eras.push((start, verdict));
        }
    }
    match eras[..] {
        [_] => Vec::new(),
        [(_, before), (start, _)] => vec![format!("since {start}; before: {}", before.name())],
        [(_, before), (from, between), (to, now)] if before == now => {
            vec![format!("{from} to {} only: {}", to.before(), between.name())]
        }
        _ => eras
            .iter()
            .map(|(start, verdict)| format!("since {start}: {}", verdict.name()))
            .collect(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Empty,
    FastReuse,
    FastReusePort,
    OtherAddress,
    BothReuse,
    BothReusePort,
    ReusePortTimeWait,
    Listens,
    NoOption,
    OtherUser,
    LastPort,
    LastPortReusePort,
    UdpBothReuse,
    UdpBothReusePort,
    UdpNoOption,
    UdpOtherUser,
}

impl Rule {
    /// The function of the kernel, and its condition.
    pub const fn text(self) -> (&'static str, &'static str) {
        const GET_PORT: &str = "inet_csk_get_port, net/ipv4/inet_connection_sock.c";
        const CONFLICT: &str = "inet_bind_conflict, net/ipv4/inet_connection_sock.c";
        const ADDRESS: &str = "inet_rcv_saddr_equal, net/ipv4/inet_connection_sock.c";
        const OPEN_PORT: &str = "inet_csk_find_open_port, net/ipv4/inet_connection_sock.c";
        const UDP: &str = "udp_lib_lport_inuse, net/ipv4/udp.c";
        match self {
            Self::Empty => (GET_PORT, "the port has no owner: there is nothing to compare"),
            Self::FastReuse => (
                GET_PORT,
                "before Linux 6.8: the port's bucket remembers (fastreuse) that every owner had \
                 SO_REUSEADDR and none has listened; the new socket has it, too: nobody is compared",
            ),
            Self::FastReusePort => (
                "sk_reuseport_match, net/ipv4/inet_connection_sock.c",
                "the port's bucket remembers (fastreuseport) an owner with SO_REUSEPORT, its user and \
                 its address; the new socket has the same: nobody else is compared",
            ),
            Self::OtherAddress => {
                (ADDRESS, "no owner of the port has the address, and neither is the wildcard's")
            }
            Self::BothReuse => {
                (CONFLICT, "both have SO_REUSEADDR, and the old one is not in state LISTEN")
            }
            Self::BothReusePort => (CONFLICT, "both have SO_REUSEPORT, and the same user"),
            Self::ReusePortTimeWait => (
                CONFLICT,
                "both have SO_REUSEPORT, and the old one is a TIME_WAIT's record, which has no user",
            ),
            Self::Listens => (
                CONFLICT,
                "both have SO_REUSEADDR, but the old one is in state LISTEN, and they do not both \
                 have SO_REUSEPORT",
            ),
            Self::NoOption => (CONFLICT, "the same address, and no option that both of them have"),
            Self::OtherUser => (CONFLICT, "both have SO_REUSEPORT, but they are different users'"),
            Self::LastPort => (
                OPEN_PORT,
                "every port has an owner; in the second round (ip_autobind_reuse) it is enough \
                 that both have SO_REUSEADDR and the owner is not in state LISTEN",
            ),
            Self::LastPortReusePort => (
                OPEN_PORT,
                "every port has an owner, and no second round helps: not both have SO_REUSEADDR, \
                 or both have SO_REUSEPORT, too, and the same user",
            ),
            Self::UdpBothReuse => (UDP, "both have SO_REUSEADDR"),
            Self::UdpBothReusePort => (UDP, "both have SO_REUSEPORT, and the same user"),
            Self::UdpNoOption => (UDP, "the same address, and no option that both of them have"),
            Self::UdpOtherUser => (UDP, "both have SO_REUSEPORT, but they are different users'"),
        }
    }
}

/// What the model says of a cell, on a kernel.
pub fn predict(cell: &Cell, version: Version) -> (Verdict, Rule) {
    let call = match cell.proto {
        Proto::Udp => return verdict(Call::Bind, udp(cell)),
        Proto::Tcp => tcp(cell, version),
    };
    match call {
        Ok(rule) => (Verdict::Ok, rule),
        Err((call, rule)) => verdict(call, Err(rule)),
    }
}

/// The user who runs this program, wherever there is another. Before Linux 6.17 a socket without a
/// process counts as root's.
const ROOT: u32 = 0;

fn verdict(call: Call, decided: Result<Rule, Rule>) -> (Verdict, Rule) {
    match decided {
        Ok(rule) => (Verdict::Ok, rule),
        Err(rule) => (Verdict::Failed { call, errno: Errno::ADDRINUSE }, rule),
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
    /// Whether it is in state LISTEN.
    pub listens: bool,
    /// TIME_WAIT, or FIN_WAIT2 without a process: `inet_timewait_sock`, which has no user.
    pub is_record: bool,
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
            listens: false,
            is_record: false,
        }
    }

    /// As it is afterwards.
    fn bound(socket: &Socket) -> Self {
        Self {
            reuse: socket.reuseaddr.after_bind(),
            reuseport: socket.reuseport.after_bind(),
            ..Self::binding(socket)
        }
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
}

impl Bucket {
    fn new(version: Version) -> Self {
        Self { version, owners: Vec::new(), fastreuse: false, fastreuseport: None, any: false }
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
            sock.reuseport && same_user && (self.any || same_address(&fast, sock, false))
        })
    }

    /// `inet_csk_update_fastreuse`.
    fn update(&mut self, sock: &Sock) {
        let reuse = sock.reuse && !sock.listens;
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

    /// Whether a conflict with this owner is overlooked: in Linux 6.1 to 6.7 a socket bound to a mapped
    /// address does not look into the wildcard's bucket of bhash2, if its first owner was bound to
    /// `::ffff:0.0.0.0` (`inet_bind2_bucket_match_addr_any`). The stable series 6.1 does so from
    /// 6.1.168 on, and is what the model knows of these versions.
    fn overlooks(&self, new: &Sock, old: &Sock) -> bool {
        let is_any = |sock: &Sock| sock.is_mapped() && sock.ipv4().is_unspecified();
        (Version::BHASH2..Version::ONE_LIST).contains(&self.version)
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
            let same_user = old.is_record || sock.user == old.user;
            let both_reuseport = sock.reuseport && old.reuseport;
            rule = if sock.reuse && old.reuse && !old.listens {
                if !relax || (!reuseport_ok && both_reuseport && same_user) {
                    return Err(Rule::LastPortReusePort);
                }
                Rule::BothReuse
            } else if reuseport_ok && both_reuseport && same_user {
                if old.is_record { Rule::ReusePortTimeWait } else { Rule::BothReusePort }
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
}

/// What the calls of A and of the others make of the books, and what B then meets.
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
    bind(&mut bucket, a);
    if !matches!(cell.state, Bound | Between | Exhausted | ExhaustedBetween) {
        let _ = listen(&mut bucket, 0);
        let destination = match (a.destination(), a.ip) {
            (IpAddr::V4(ip), IpAddr::V6(_)) => ip.to_ipv6_mapped().into(),
            (ip, _) => ip,
        };
        let child = Sock {
            ip: destination,
            listens: false,
            is_record: matches!(cell.state, FinWait2 | TimeWait),
            user: match cell.state {
                LastAck if version < Version::ORPHANS_USER => ROOT,
                _ => bucket.owners[0].user,
            },
            ..bucket.owners[0]
        };
        match cell.state {
            Listening => {}
            Connection => bucket.owners.push(child),
            _ => bucket.owners[0] = child,
        }
    }
    if cell.state == Closed {
        bucket = Bucket::new(version);
    }
    for socket in &cell.there[1..] {
        bind(&mut bucket, socket);
        if socket.closed {
            bucket.owners.pop();
        }
    }
    if bucket.owners.is_empty() {
        bucket = Bucket::new(version);
    }

    let new = Sock::binding(&cell.new);
    let rule = if cell.state.is_exhausted() {
        let found = bucket
            .conflict(&new, None, false, false)
            .or_else(|_| bucket.conflict(&new, None, true, false).map(|_| Rule::LastPort))
            .map_err(|_| (Call::Bind, Rule::LastPortReusePort))?;
        bucket.update(&new);
        found
    } else {
        bucket.get_port(&new, None).map_err(|rule| (Call::Bind, rule))?
    };
    bucket.owners.push(Sock::bound(&cell.new));
    if cell.state.is_between() {
        let _ = listen(&mut bucket, 0);
    }
    let last = bucket.owners.len() - 1;
    listen(&mut bucket, last).map_err(|rule| (Call::Listen, rule))?;
    Ok(rule)
}

fn udp(cell: &Cell) -> Result<Rule, Rule> {
    let a_is_closed = cell.state == State::Closed;
    let others = cell.there[1..].iter().filter(|socket| !socket.closed);
    let there: Vec<Sock> =
        cell.there[..1].iter().filter(|_| !a_is_closed).chain(others).map(Sock::bound).collect();
    udp_bind(&there, &Sock::binding(&cell.new))
}

/// `udp_lib_lport_inuse`, which begins with the one that came last.
fn udp_bind(there: &[Sock], new: &Sock) -> Result<Rule, Rule> {
    if there.is_empty() {
        return Ok(Rule::Empty);
    }
    let mut rule = Rule::OtherAddress;
    for old in there.iter().rev().filter(|old| same_address(new, old, true)) {
        if new.reuse && old.reuse {
            rule = Rule::UdpBothReuse;
        } else if new.reuseport && old.reuseport {
            return match new.user == old.user {
                true => Ok(Rule::UdpBothReusePort),
                false => Err(Rule::UdpOtherUser),
            };
        } else {
            return Err(Rule::UdpNoOption);
        }
    }
    Ok(rule)
}
