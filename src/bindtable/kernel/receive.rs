//! Who of two sockets gets what is sent to their port, as a model: the kernel's lookup.

use super::{Proto, Version};
use crate::table::cell::{Cell, Device, Route, Set, Socket, State};
use crate::{say, words};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who gets what is sent, or who accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// The old socket.
    A,
    /// The new one.
    B,
    /// Both get each.
    Both,
    /// One of the two, by a hash of the sender's address and port.
    Spread,
    /// Neither.
    Nobody,
}

impl Receiver {
    /// As a table shows it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Both => words!("both", "都收到"),
            Self::Spread => words!("spread", "分散"),
            Self::Nobody => words!("nobody", "都没有"),
            one => one.name(),
        }
    }

    /// As it is saved.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::Both => "both",
            Self::Spread => "spread",
            Self::Nobody => "nobody",
        }
    }

    /// From who got each of them.
    pub fn of(each: &[(bool, bool)]) -> Self {
        let [only_a, only_b, both] =
            [(true, false), (false, true), (true, true)].map(|who| each.contains(&who));
        match (only_a, only_b, both) {
            (true, true, _) => Self::Spread,
            (_, _, true) => Self::Both,
            (true, false, _) => Self::A,
            (false, true, _) => Self::B,
            _ => Self::Nobody,
        }
    }
}

/// Who gets what is sent or connected to `to` (an address, perhaps with ` from A's peer`), where A
/// and B both are there, on a kernel; and what decides.
///
/// Read from `udp4_lib_lookup2` and `udp6_lib_lookup2`, `__udp4_lib_mcast_deliver`, and
/// `inet_lhash2_lookup`, and checked on the kernels of the rule.
pub fn predict(cell: &Cell, to: &str, version: Version) -> Option<(Receiver, &'static str)> {
    let (ip, from) = to.split_once(" from ").map_or((to, None), |(ip, from)| (ip, Some(from)));
    let packet = Packet { ip: ip.parse().ok()?, from: from.and_then(|who| who.chars().next()) };
    let a = cell.there.first()?;
    let a_is_connected = cell.proto == Proto::Udp && cell.state == State::Connected;
    let b_is_connected = cell.new.route != Route::Bind;
    // `udp_lib_rehash`: with its new address a socket that connects leaves its group, which then
    // does not know that one of it is connected.
    let a_has_left = version < Version::CONNECTED_LIST
        && a_is_connected
        && (a.ip.is_unspecified() || a.route == Route::Connect);
    let a = Taker::of(a, cell.proto, a_is_connected.then_some('A'));
    let peer = if a_is_connected && !cell.new.elsewhere { 'A' } else { 'B' };
    let b = Taker::of(&cell.new, cell.proto, b_is_connected.then_some(peer));
    let a_listens =
        matches!(cell.state, State::Listening | State::Connection) || cell.state.is_between();
    let a_takes = cell.proto == Proto::Udp || a_listens;

    if cell.proto == Proto::Udp && packet.goes_to_all() {
        let [a, b] = [a, b].map(|taker| taker.is_among(packet));
        let who = match (a, b) {
            (true, true) => Receiver::Both,
            (true, false) => Receiver::A,
            (false, true) => Receiver::B,
            _ => Receiver::Nobody,
        };
        return Some((
            who,
            words!(
                "each socket whose address and group it is gets a copy",
                "地址和组相符的套接字各得一份"
            ),
        ));
    }
    // The newest comes first; of IPv6, with SO_REUSEPORT, last.
    let b_is_last = b.is_ipv6 && cell.new.reuseport.at_bind();
    let mut order = vec![(b, Receiver::B), (a, Receiver::A)];
    if b_is_last {
        order.reverse();
    }
    order.retain(|(_, who)| a_takes || *who == Receiver::B);
    let has_connected = a.is_of_group(&b) && (a.peer.is_some() && !a_has_left || b.peer.is_some());
    for is_exact in [true, false] {
        let mut best: Option<(Taker, Receiver, i32)> = None;
        for &(taker, who) in &order {
            let Some(score) = taker.score(packet, is_exact) else { continue };
            if best.is_some_and(|(.., highest)| score <= highest) {
                continue;
            }
            best = Some((taker, who, score));
            // The first of a group ends the search, unless the group has connected sockets.
            if taker.reuseport && taker.peer.is_none() && !has_connected {
                break;
            }
        }
        let Some((taker, who, _)) = best else { continue };
        let is_group = a_takes && a.is_of_group(&b) && taker.reuseport && taker.peer.is_none();
        if is_group && a.peer.is_none() && b.peer.is_none() {
            let has_program = cell.there[0].program != Set::Never || cell.new.program != Set::Never;
            return Some(match has_program {
                true => {
                    (Receiver::A, words!("the group's program takes the first", "组的程序取第一个"))
                }
                false => (
                    Receiver::Spread,
                    words!(
                        "a hash of both addresses and ports chooses in the group",
                        "由两个地址和端口的哈希在组里选出"
                    ),
                ),
            });
        }
        let others = order.iter().any(|(other, _)| other.score(packet, is_exact).is_some())
            && order.iter().all(|(other, _)| other.score(packet, is_exact).is_some());
        let why = match (others && order.len() == 2, is_exact) {
            (true, _) if taker.peer.is_some() => words!(
                "a connected socket gets all that its peer sends",
                "已经 connect 的套接字收下对方发来的一切"
            ),
            (true, _) if a.peer.is_some() => {
                words!("the first of a group ends the search", "遇到组里的第一个套接字，查找就结束")
            }
            (true, _) if a.is_on_lo != b.is_on_lo && cell.proto == Proto::Udp => {
                words!("a socket that is bound to the device wins", "绑定了网卡的套接字优先")
            }
            (true, _) if a.is_ipv6 != b.is_ipv6 => {
                words!("for IPv4 a socket of IPv4 comes first", "对 IPv4 来说，IPv4 套接字优先")
            }
            (true, _) => words!(
                "of equals, the one that comes first in the list",
                "条件相同，取列表里的第一个"
            ),
            (false, true) => {
                words!("its address is the one that is sent to", "它的地址就是发往的地址")
            }
            (false, false) => words!("nobody has the address itself", "没有套接字正好在这个地址"),
        };
        return Some((who, why));
    }
    Some((
        Receiver::Nobody,
        words!("neither has the address, the device or the peer", "双方都没有这个地址、网卡或对方"),
    ))
}

/// Where is sent to, and perhaps by whom, in words.
pub fn place(to: &str) -> String {
    match to.split_once(" from ") {
        None => to.to_owned(),
        Some((ip, from)) => {
            let who = from.trim_end_matches("'s peer");
            say!("{ip} from {who}'s peer", "{ip}，来自 {who} 的对方")
        }
    }
}

/// What is sent, and by whom: nobody that they know, or the peer of A or B.
#[derive(Clone, Copy)]
struct Packet {
    ip: IpAddr,
    from: Option<char>,
}

impl Packet {
    fn goes_to_all(self) -> bool {
        self.ip.is_multicast() || self.ip == IpAddr::V4(Ipv4Addr::new(127, 255, 255, 255))
    }
}

/// What of a socket counts.
#[derive(Clone, Copy)]
struct Taker {
    proto: Proto,
    is_ipv6: bool,
    v6only: bool,
    ip: IpAddr,
    device: Option<Device>,
    is_on_lo: bool,
    peer: Option<char>,
    reuseport: bool,
    other_user: bool,
}

impl Taker {
    fn of(socket: &Socket, proto: Proto, peer: Option<char>) -> Self {
        // A mapped address is IPv4's; a socket that has connected has one.
        let mut ip = if peer.is_some() { socket.destination() } else { socket.ip };
        if let IpAddr::V6(mapped) = ip
            && let Some(mapped) = mapped.to_ipv4_mapped()
        {
            ip = mapped.into();
        }
        Self {
            proto,
            is_ipv6: socket.ip.is_ipv6(),
            v6only: socket.v6only,
            ip,
            device: socket.device,
            is_on_lo: socket.device == Some(Device::Lo),
            peer,
            reuseport: socket.reuseport.after_bind(),
            other_user: socket.other_user,
        }
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
    fn score(&self, packet: Packet, is_exact: bool) -> Option<i32> {
        let is_here = if is_exact { self.ip == packet.ip } else { self.is_wildcard_for(packet.ip) };
        if !is_here || self.device == Some(Device::Other) {
            return None;
        }
        if self.peer.is_some() && self.peer != packet.from {
            return None;
        }
        let family = i32::from(packet.ip.is_ipv4() && !self.is_ipv6);
        Some(match self.proto {
            Proto::Tcp => 1 + i32::from(self.is_on_lo) + family,
            Proto::Udp => {
                family + 8 * i32::from(self.peer.is_some()) + 4 * i32::from(self.is_on_lo)
            }
        })
    }

    /// Whether it gets a copy of what goes to all: of IPv4's groups, a socket of IPv4.
    fn is_among(&self, packet: Packet) -> bool {
        let has_joined = !(packet.ip.is_multicast() && packet.ip.is_ipv4() && self.is_ipv6);
        has_joined
            && self.peer.is_none()
            && self.device != Some(Device::Other)
            && (self.ip == packet.ip || self.is_wildcard_for(packet.ip))
    }

    /// Whether both are in one group of SO_REUSEPORT.
    fn is_of_group(&self, other: &Self) -> bool {
        self.reuseport
            && other.reuseport
            && (self.ip, self.is_ipv6, self.v6only) == (other.ip, other.is_ipv6, other.v6only)
            && self.device == other.device
            && self.other_user == other.other_user
    }
}
