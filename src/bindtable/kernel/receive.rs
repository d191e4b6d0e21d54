//! Which of two sockets gets what is sent to their port: the kernel's lookup.
//!
//! Read from `udp4_lib_lookup2` and `udp6_lib_lookup2`, `__udp4_lib_mcast_deliver`, and
//! `inet_lhash2_lookup`, and checked on the kernels of the rule.

use super::{Proto, Version};
use crate::named::named;
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
    /// SO_REUSEPORT at bind, and now.
    pub reuseport_at_bind: bool,
    pub reuseport: bool,
    pub has_program: bool,
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
        let who = match [a, b].map(|each| each.gets_copy(to)) {
            [true, true] => Receiver::Both,
            [true, false] => Receiver::A,
            [false, true] => Receiver::B,
            [false, false] => Receiver::Nobody,
        };
        return (who, Reason::Copies);
    }
    // The newest comes first; of IPv6, with SO_REUSEPORT, last.
    let mut order = vec![(b, Receiver::B), (a, Receiver::A)];
    if b.is_ipv6 && b.reuseport_at_bind {
        order.reverse();
    }
    order.retain(|(each, _)| each.takes);
    // A socket that has moved left its group, which does not know that one of it is connected.
    let forgets = version < Version::CONNECTED_LIST && a.has_moved;
    let has_connected = a.shares_group(&b) && (a.peer.is_some() && !forgets || b.peer.is_some());
    for is_exact in [true, false] {
        let Some((best, who)) = best(&order, to, is_exact, has_connected) else { continue };
        let is_group = a.takes && a.shares_group(&b) && best.reuseport;
        if is_group && a.peer.is_none() && b.peer.is_none() {
            return match a.has_program || b.has_program {
                true => (Receiver::A, Reason::Program),
                false => (Receiver::Spread, Reason::Hash),
            };
        }
        let matches = order.iter().filter(|(each, _)| each.score(to, is_exact).is_some()).count();
        let why = match (matches, is_exact) {
            (1, true) => Reason::OwnAddress,
            (1, false) => Reason::Wildcard,
            _ if best.peer.is_some() => Reason::Connected,
            _ if a.peer.is_some() => Reason::FirstOfGroup,
            _ if a.is_on_lo() != b.is_on_lo() && b.proto == Proto::Udp => Reason::Device,
            _ if a.is_ipv6 != b.is_ipv6 => Reason::Family,
            _ => Reason::FirstInList,
        };
        return (who, why);
    }
    (Receiver::Nobody, Reason::Nobody)
}

/// The first of the highest score. The first of a group ends the search, unless the group has
/// connected sockets.
fn best(
    order: &[(Candidate, Receiver)],
    to: Destination,
    is_exact: bool,
    has_connected: bool,
) -> Option<(Candidate, Receiver)> {
    let mut best: Option<(Candidate, Receiver, i32)> = None;
    for &(each, who) in order {
        let Some(score) = each.score(to, is_exact) else { continue };
        if best.is_some_and(|(.., highest)| score <= highest) {
            continue;
        }
        best = Some((each, who, score));
        if each.reuseport && each.peer.is_none() && !has_connected {
            break;
        }
    }
    best.map(|(each, who, _)| (each, who))
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

    /// Whether it gets a copy of what goes to all: of IPv4's groups, a socket of IPv4.
    fn gets_copy(&self, to: Destination) -> bool {
        let has_joined = !(to.ip.is_multicast() && to.ip.is_ipv4() && self.is_ipv6);
        has_joined
            && self.peer.is_none()
            && self.device <= 1
            && (self.ip == to.ip || self.is_wildcard_for(to.ip))
    }

    /// Whether both are in one group of SO_REUSEPORT.
    fn shares_group(&self, other: &Self) -> bool {
        self.reuseport
            && other.reuseport
            && (self.ip, self.is_ipv6, self.v6only) == (other.ip, other.is_ipv6, other.v6only)
            && self.device == other.device
            && self.user == other.user
    }
}
