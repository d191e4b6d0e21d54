//! Which of two sockets gets what is sent to their port: the kernel's lookup.
//!
//! Read from `udp4_lib_lookup2` and `udp6_lib_lookup2`, `__udp4_lib_mcast_deliver`, and
//! `inet_lhash2_lookup`, and checked on the kernels of the rule.

use super::{Proto, Set, Version};
use crate::named::named;
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The old socket, or the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    A,
    B,
}

named! {
    /// Who gets what is sent, or who accepts: one of the two, each of them, one by a hash of the
    /// sender's address and port, or neither.
    Receiver { A = "A", B = "B", Both = "both", Spread = "spread", Nobody = "nobody", }
}

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Copies,
    Program,
    Hash,
    Connected,
    FirstOfGroup,
    Device,
    Family,
    FirstInList,
    OwnAddress,
    Wildcard,
    Nobody,
}

/// What is sent: to an address, by the peer of a socket or else by somebody whom both do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    pub ip: IpAddr,
    pub from: Option<Side>,
}

impl Destination {
    /// From somebody whom both do not know.
    pub fn new(ip: IpAddr) -> Self {
        Self { ip, from: None }
    }

    fn is_of_all(self) -> bool {
        self.ip.is_multicast() || self.ip == IpAddr::V4(Ipv4Addr::new(127, 255, 255, 255))
    }
}

impl Display for Destination {
    /// As a saved run has it.
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        self.from.map_or(Ok(()), |side| write!(f, " from {side:?}'s peer"))
    }
}

/// What of a socket counts.
#[derive(Clone, Copy)]
pub struct Candidate {
    pub proto: Proto,
    /// Whether it is a listener, or a socket of UDP.
    pub takes: bool,
    pub is_ipv6: bool,
    pub v6only: bool,
    /// Its address, an IPv4 one where it is mapped; of a connected socket, no wildcard.
    pub ip: IpAddr,
    /// The number of the device that it is bound to, or 0; `lo`, where all arrives, is 1.
    pub device: u32,
    /// Whose peer it is connected to.
    pub peer: Option<Side>,
    /// It connected from another address than it was bound to (`udp_lib_rehash`).
    pub has_moved: bool,
    /// SO_REUSEPORT when it came to the list, by bind or (TCP) by listen, and now.
    pub came_with_reuseport: bool,
    pub reuseport: bool,
    /// When a program was attached.
    pub program: Set,
    /// The multicast group that it has joined.
    pub member_of: IpAddr,
    pub user: u32,
}

/// Who gets what is sent or connected to `to`, where `a` came first and then `b`; and what decides.
pub fn receiver(
    a: Candidate,
    b: Candidate,
    to: Destination,
    version: Version,
) -> (Receiver, Reason) {
    if b.proto == Proto::Udp && to.is_of_all() {
        let has_host = [a, b].iter().any(|each| each.member_of == to.ip) || is_joined_by_all(to.ip);
        let who = match [a, b].map(|each| has_host && each.gets_copy(to)) {
            [true, true] => Receiver::Both,
            [true, false] => Receiver::A,
            [false, true] => Receiver::B,
            [false, false] => Receiver::Nobody,
        };
        return (who, Reason::Copies);
    }
    // The newest comes first; of IPv6, with SO_REUSEPORT, last. A socket that moves comes anew.
    let mut order = vec![(b, Receiver::B), (a, Receiver::A)];
    if b.is_ipv6 && b.came_with_reuseport && !b.has_moved {
        order.reverse();
    }
    order.retain(|(each, _)| each.takes);
    let group = Group::new(&a, &b, version);
    // udp4_lib_lookup4, udp6_lib_lookup4: a list of the connected sockets, the newest first.
    let is_connected = |(each, _): &(Candidate, Receiver)| {
        each.peer.is_some() && each.score(to, true).is_some() && version >= Version::CONNECTED_LIST
    };
    let connected = [(b, Receiver::B), (a, Receiver::A)].into_iter().find(is_connected);
    let lookup = |is_exact| Some((group.lookup(&order, to, is_exact)?, is_exact));
    let found = connected.map(|each| (each, true));
    let found = found.or_else(|| [true, false].into_iter().find_map(lookup));
    let Some(((best, who), is_exact)) = found else { return (Receiver::Nobody, Reason::Nobody) };
    if who == Receiver::Spread {
        return (who, Reason::Hash);
    }
    let score = |each: &Candidate| each.score(to, is_exact);
    let matches = order.iter().filter(|(each, _)| score(each).is_some()).count();
    let is_best = order.iter().all(|(each, _)| score(each) <= score(&best));
    let why = match (matches, is_exact) {
        _ if group.is_chosen_by_program(&best) => Reason::Program,
        (1, true) => Reason::OwnAddress,
        (1, false) => Reason::Wildcard,
        _ if best.peer.is_some() => Reason::Connected,
        _ if !is_best => Reason::FirstOfGroup,
        _ if a.is_on_lo() != b.is_on_lo() && b.proto == Proto::Udp => Reason::Device,
        _ if a.is_ipv6 != b.is_ipv6 => Reason::Family,
        _ => Reason::FirstInList,
    };
    (who, why)
}

/// Whether each host is a member of the group: `ip_mc_up`, `ipv6_add_dev`.
fn is_joined_by_all(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_multicast() || ip == Ipv4Addr::new(224, 0, 0, 1),
        IpAddr::V6(ip) => {
            [0xff01, 0xff02].iter().any(|&scope| ip == Ipv6Addr::new(scope, 0, 0, 0, 0, 0, 0, 1))
        }
    }
}

/// The group of SO_REUSEPORT: `struct sock_reuseport`. A socket comes to it when it binds (TCP: when
/// it listens), and leaves it when it connects.
struct Group {
    a: Candidate,
    version: Version,
    /// A and B are in one group, whose first is A.
    is_shared: bool,
    /// It has a program, which takes the first.
    has_program: bool,
    /// A member has connected: `reuseport_has_conns`.
    has_connected: bool,
}

impl Group {
    /// `udp_reuseport_add_sock`, `inet_reuseport_add_sock`: B looks for one to join. The one that it
    /// has already, with its program, is given up (`reuseport_add_sock`).
    fn new(a: &Candidate, b: &Candidate, version: Version) -> Self {
        let is_shared = a.takes && b.stays(version) && b.joins(a);
        let a_stays = a.stays(version);
        Self {
            a: *a,
            version,
            is_shared,
            has_program: (a_stays && a.program != Set::Never) || b.program == Set::Late,
            has_connected: (a_stays && a.came_with_reuseport && a.peer.is_some())
                || b.peer.is_some(),
        }
    }

    /// `reuseport_select_sock`, asked of a member. A program does not ask who is connected.
    fn select(&self, each: (Candidate, Receiver)) -> (Candidate, Receiver) {
        let (member, who) = each;
        match (self.is_shared, self.has_program) {
            (false, _) => (member, who),
            (true, true) => (self.a, Receiver::A),
            (true, false) if self.has_connected || self.a.peer.is_some() => (member, who),
            (true, false) => (member, Receiver::Spread),
        }
    }

    fn is_chosen_by_program(&self, best: &Candidate) -> bool {
        self.is_shared && self.has_program && best.reuseport && best.peer.is_none()
    }

    /// `udp4_lib_lookup2`, `udp6_lib_lookup2`, `inet_lhash2_lookup`: the first of the highest score. The
    /// first of a group ends the search, unless the group has connected sockets.
    fn lookup(
        &self,
        order: &[(Candidate, Receiver)],
        to: Destination,
        is_exact: bool,
    ) -> Option<(Candidate, Receiver)> {
        let mut best: Option<(Candidate, Receiver)> = None;
        let mut highest = None;
        for &each in order {
            let score = each.0.score(to, is_exact);
            if score <= highest {
                continue;
            }
            highest = score;
            best = Some(each);
            if each.0.peer.is_some() || !self.has(&each) {
                continue;
            }
            let selected = self.select(each);
            best = Some(selected);
            if !(self.is_shared && self.has_connected) {
                break;
            }
            highest = highest.max(selected.0.score(to, is_exact));
        }
        best
    }

    /// Whether this socket asks its group: SO_REUSEPORT is set still, and it is a member.
    fn has(&self, (each, who): &(Candidate, Receiver)) -> bool {
        let is_joined = self.is_shared && *who == Receiver::A;
        each.reuseport && (is_joined || (each.came_with_reuseport && each.stays(self.version)))
    }
}

impl Candidate {
    fn is_on_lo(&self) -> bool {
        self.device == 1
    }

    fn is_wildcard_for(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(_) => {
                self.ip == IpAddr::V4(Ipv4Addr::UNSPECIFIED)
                    || (self.ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !self.v6only)
            }
            IpAddr::V6(_) => self.ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }

    /// `compute_score`: nothing, if it gets none.
    fn score(&self, to: Destination, is_exact: bool) -> Option<i32> {
        let is_here = if is_exact { self.ip == to.ip } else { self.is_wildcard_for(to.ip) };
        if !is_here || self.device > 1 || (self.peer.is_some() && self.peer != to.from) {
            return None;
        }
        let family = i32::from(to.ip.is_ipv4() && !self.is_ipv6);
        let on_lo = i32::from(self.is_on_lo());
        Some(match self.proto {
            Proto::Tcp => 1 + on_lo + family,
            Proto::Udp => family + 8 * i32::from(self.peer.is_some()) + 4 * on_lo,
        })
    }

    /// Whether it gets a copy of what goes to all: of IPv4's groups, a socket of IPv4 (IP_MULTICAST_ALL,
    /// which inet6_create does not set).
    fn gets_copy(&self, to: Destination) -> bool {
        let is_let_in = !(to.ip.is_multicast() && to.ip.is_ipv4() && self.is_ipv6);
        is_let_in
            && self.peer.is_none()
            && self.device <= 1
            && (self.ip == to.ip || self.is_wildcard_for(to.ip))
    }

    /// Whether it stays in its group: `udp_lib_rehash` takes out a socket that moves, and since Linux 6.13
    /// `udp_lib_hash4` each that connects.
    fn stays(&self, version: Version) -> bool {
        !self.has_moved && (self.peer.is_none() || version < Version::CONNECTED_LIST)
    }

    /// Whether it joins the group of another when it comes.
    fn joins(&self, other: &Self) -> bool {
        self.came_with_reuseport
            && other.reuseport
            && (self.ip, self.is_ipv6, self.v6only) == (other.ip, other.is_ipv6, other.v6only)
            && self.device == other.device
            && self.user == other.user
    }
}
