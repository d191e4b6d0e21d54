//! The kernel's rule: may a socket bind a port that others have, and which condition decides?
//!
//! Read from the kernel's source, and checked on Linux 5.10, 6.1, 6.12, 6.18 and later: a kernel with
//! another rule shows as cells that are not predicted.

use super::{Options, Proto, Version};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The condition that decides. For UDP the function that has it is another one.
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
    NotOnDevice,
    NoScope,
    Broadcast,
}

/// What of a socket counts: `struct sock`.
#[derive(Clone, Copy, Debug)]
pub struct Sock {
    /// The address that it is bound to.
    pub ip: IpAddr,
    /// IPV6_V6ONLY; the kernel sets it, too, for an address that is neither wildcard nor IPv4.
    pub v6only: bool,
    /// SO_REUSEADDR and SO_REUSEPORT.
    pub options: Options,
    /// Whether it had SO_REUSEPORT when it came to the port: that decides its place among UDP's.
    pub came_with_reuseport: bool,
    /// The user (fsuid) of the process that made the socket, or for a connection accepted it.
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
        Self::new(Ipv4Addr::UNSPECIFIED.into(), false)
    }
}

/// May `new` bind the port where `owners` are, in the order in which they came? `Ok` and `Err` have
/// the condition that decides.
pub fn bind(proto: Proto, owners: &[Sock], new: &Sock) -> Result<Rule, Rule> {
    match proto {
        Proto::Tcp => {
            let mut bucket = Bucket::new(Version::NEWEST);
            for owner in owners {
                let _ = bucket.bind(owner);
                bucket.owners.push(*owner);
            }
            bucket.bind(new)
        }
        Proto::Udp => udp_bind(owners, new, false),
    }
}

impl Sock {
    /// One that binds `ip`, with no other option than IPV6_V6ONLY. `__inet6_bind` sets that by itself
    /// for an address that is neither the wildcard nor IPv4's.
    pub fn new(ip: IpAddr, v6only: bool) -> Self {
        let implies_v6only = !ip.is_unspecified() && ip.to_canonical().is_ipv6();
        Self {
            ip,
            v6only: v6only || implies_v6only,
            options: Options::default(),
            came_with_reuseport: false,
            user: 0,
            device: 0,
            has_group: false,
            listens: false,
            is_record: false,
            by_connect: false,
        }
    }

    /// `sk_rcv_saddr`: of IPv6, what stands in for the address.
    fn rcv_saddr(&self) -> Ipv4Addr {
        match self.ip {
            IpAddr::V4(ip) => ip,
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::UNSPECIFIED,
            IpAddr::V6(ip) => ip.to_ipv4_mapped().unwrap_or(Ipv4Addr::new(127, 0, 0, 6)),
        }
    }

    /// Whether its address is IPv4's, mapped or not.
    fn is_ipv4_address(&self) -> bool {
        self.ip.to_canonical().is_ipv4()
    }

    /// Whether both are bound to a device, each to another.
    fn is_apart(&self, other: &Self) -> bool {
        self.device != 0 && other.device != 0 && self.device != other.device
    }
}

/// Whether the address says nothing without its interface, a group of one link or one interface among them:
/// `__ipv6_addr_needs_scope_id`.
pub fn needs_scope(ip: Ipv6Addr) -> bool {
    // Of groups, the scope is the second half of the second byte: RFC 4291, section 2.7.
    let is_local_group = ip.is_multicast() && matches!(ip.octets()[1] & 0xf, 1 | 2);
    ip.is_unicast_link_local() || is_local_group
}

/// `inet_rcv_saddr_equal`, where the wildcard is every address: of the new one, and of the old one
/// if `old_too`.
fn same_address(new: &Sock, old: &Sock, old_too: bool) -> bool {
    let any = Ipv4Addr::UNSPECIFIED;
    if new.ip.is_ipv4() || (new.is_ipv4_address() && old.is_ipv4_address()) {
        let (new, old, v6only) = (new.rcv_saddr(), old.rcv_saddr(), old.v6only);
        return !v6only && (new == old || new == any || (old_too && old == any));
    }
    let is_any = |sock: &Sock| sock.ip.is_ipv6() && sock.ip.is_unspecified();
    (is_any(new) && is_any(old))
        || (is_any(old) && old_too && !(old.v6only && new.is_ipv4_address()))
        || (is_any(new) && !(new.v6only && old.is_ipv4_address()))
        || new.ip == old.ip
}

/// What kind of port is compared: `relax` and `reuseport_ok` of `inet_csk_bind_conflict`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// A port that the caller names.
    Named,
    /// Port 0: one that nobody has.
    First,
    /// Port 0 again, if ip_autobind_reuse is 1: one that may be shared by SO_REUSEADDR.
    Second,
}

/// What the kernel notes of one port: `struct inet_bind_bucket`.
///
/// Since Linux 6.8 `inet_csk_update_fastreuse` finds the first owner's address entered already. Since
/// then `fastreuse` is never set, and a socket that has cleared SO_REUSEADDR after bind keeps the next
/// one out; for the same reason `fastreuseport` always is `FASTREUSEPORT_STRICT`.
pub struct Bucket {
    version: Version,
    /// The sockets that have the port, in the order in which they came.
    pub owners: Vec<Sock>,
    fastreuse: bool,
    fastreuseport: Option<Sock>,
    /// `FASTREUSEPORT_ANY`: each owner so far had SO_REUSEPORT, so the address does not matter.
    any: bool,
    /// Every owner has its port by connect: both flags are -1.
    by_connect: bool,
}

impl Bucket {
    /// Of a port that nobody has.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            owners: Vec::new(),
            fastreuse: false,
            fastreuseport: None,
            any: false,
            by_connect: false,
        }
    }

    /// bind(2) with this port, which the caller then adds to the owners.
    pub fn bind(&mut self, sock: &Sock) -> Result<Rule, Rule> {
        self.get_port(sock, None)
    }

    /// listen(2) of the owner that is `at`: the kernel compares it once more.
    pub fn listen(&mut self, at: usize) -> Result<Rule, Rule> {
        self.owners[at].listens = true;
        let sock = self.owners[at];
        self.get_port(&sock, Some(at))
    }

    /// bind(2) with port 0, where this is the only port: `inet_csk_find_open_port`.
    pub fn bind_any(&mut self, sock: &Sock, autobind_reuse: bool) -> Result<Rule, Rule> {
        let rule = match self.conflict(sock, None, Round::First) {
            Ok(rule) => rule,
            Err(_) if !autobind_reuse => return Err(Rule::LastPortOnlyRound),
            Err(_) => match self.conflict(sock, None, Round::Second) {
                Ok(_) => Rule::LastPort,
                Err(_) => return Err(Rule::LastPortReusePort),
            },
        };
        self.update(sock);
        Ok(rule)
    }

    /// connect(2) has given the port to its first owner.
    pub fn connected(&mut self, sock: Sock) {
        self.owners.push(sock);
        self.by_connect = true;
    }

    /// `inet_csk_get_port` for a port that is named; `own_index` at listen, when it has it already.
    fn get_port(&mut self, sock: &Sock, own_index: Option<usize>) -> Result<Rule, Rule> {
        let rule = if self.owners.is_empty() {
            Rule::Empty
        } else if self.fastreuse && sock.options.reuseaddr && !sock.listens {
            Rule::FastReuse
        } else if self.matches(sock) {
            Rule::FastReusePort
        } else {
            self.conflict(sock, own_index, Round::Named)?
        };
        self.update(sock);
        Ok(rule)
    }

    /// `sk_reuseport_match`.
    fn matches(&self, sock: &Sock) -> bool {
        self.fastreuseport.is_some_and(|fast| {
            let same_user = fast.user == sock.user;
            let may_join = sock.options.reuseport && !sock.has_group && same_user;
            may_join && (self.any || same_address(&fast, sock, false))
        })
    }

    /// `inet_csk_update_fastreuse`.
    fn update(&mut self, sock: &Sock) {
        let reuse = sock.options.reuseaddr && !sock.listens;
        self.by_connect = false;
        if self.owners.is_empty() && self.version < Version::ONE_LIST {
            (self.fastreuse, self.any) = (reuse, true);
            self.fastreuseport = sock.options.reuseport.then_some(*sock);
            return;
        }
        self.fastreuse &= reuse;
        if !sock.options.reuseport {
            self.fastreuseport = None;
        } else if !self.matches(sock) {
            (self.fastreuseport, self.any) = (Some(*sock), false);
        }
    }

    /// The owner that is `at` goes: `inet_bind_bucket_destroy`.
    pub fn remove(&mut self, at: usize) {
        self.owners.remove(at);
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
        let is_any = |sock: &Sock| sock.is_ipv4_address() && sock.rcv_saddr().is_unspecified();
        self.version.has_half_of_6_8()
            && (new.ip.is_ipv6() && new.is_ipv4_address() && !is_any(new))
            && is_any(old)
            && self
                .owners
                .iter()
                .find(|owner| is_any(owner))
                .is_some_and(|owner| owner.ip.is_ipv6())
    }

    /// Whether the two are in different buckets of bhash2, where the addresses themselves are compared:
    /// `inet_use_hash2_on_bind`, `inet_bind2_bucket_match`. Of IPv6, `inet_rcv_saddr_equal` takes what
    /// stands in for the address, which is an address of IPv4, too.
    fn is_elsewhere(&self, new: &Sock, old: &Sock) -> bool {
        let has_own_bucket = |sock: &Sock| !sock.ip.to_canonical().is_unspecified();
        self.version >= Version::ADDRESS_BUCKETS
            && (has_own_bucket(new) && has_own_bucket(old))
            && new.is_ipv4_address() != old.is_ipv4_address()
    }

    /// `inet_csk_bind_conflict`, with `inet_bind_conflict` for each owner.
    fn conflict(&self, sock: &Sock, own_index: Option<usize>, round: Round) -> Result<Rule, Rule> {
        let mut rule = Rule::OtherAddress;
        for (_, old) in self.owners.iter().enumerate().filter(|(at, _)| Some(*at) != own_index) {
            if !same_address(sock, old, true)
                || self.overlooks(sock, old)
                || self.is_elsewhere(sock, old)
            {
                continue;
            }
            if sock.is_apart(old) {
                rule = Rule::OtherDevice;
                continue;
            }
            let same_user = old.is_record || sock.user == old.user;
            let both_reuseport = sock.options.reuseport && old.options.reuseport;
            let may_join = both_reuseport && !sock.has_group && same_user;
            // A TIME_WAIT is an owner that does not listen, with the options that its socket had.
            rule = if sock.options.reuseaddr && old.options.reuseaddr && !old.listens {
                if round == Round::First || (round == Round::Second && may_join) {
                    return Err(Rule::LastPortReusePort);
                }
                Rule::BothReuse
            } else if round == Round::Named && may_join {
                if old.is_record { Rule::ReusePortTimeWait } else { Rule::BothReusePort }
            } else if both_reuseport && sock.has_group {
                return Err(Rule::Program);
            } else if both_reuseport && !same_user {
                return Err(Rule::OtherUser);
            } else if sock.options.reuseaddr && old.options.reuseaddr {
                return Err(Rule::Listens);
            } else {
                return Err(Rule::NoOption);
            };
        }
        Ok(rule)
    }

    /// `__inet_hash_connect` with a port of its choice; `is_same` if the owner has the same peer.
    pub fn connect(&self, is_same: bool) -> Result<Rule, Rule> {
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

/// `udp_lib_lport_inuse`. Of a port that is named, the first member of the new one's group ends the
/// search; of port 0, where each that conflicts marks its port in a bitmap, everyone is compared.
pub fn udp_bind(came: &[Sock], new: &Sock, is_any_port: bool) -> Result<Rule, Rule> {
    if came.is_empty() {
        return Ok(Rule::Empty);
    }
    let mut rule = Rule::OtherAddress;
    for old in udp_list(came).into_iter().filter(|old| same_address(new, old, true)) {
        if new.is_apart(old) {
            rule = Rule::OtherDevice;
        } else if new.options.reuseaddr && old.options.reuseaddr {
            rule = Rule::BothReuse;
        } else if new.options.reuseport && old.options.reuseport {
            match (new.has_group, new.user == old.user) {
                (true, _) => return Err(Rule::Program),
                (_, false) => return Err(Rule::OtherUser),
                (_, true) => rule = Rule::BothReusePort,
            }
            if !is_any_port {
                break;
            }
        } else {
            return Err(Rule::NoOption);
        }
    }
    Ok(rule)
}

/// The port's list in the kernel's order, from those that came one after the other. The newest is the
/// first; one of IPv6 with SO_REUSEPORT is the last (`sk_add_node_rcu`).
fn udp_list(came: &[Sock]) -> VecDeque<&Sock> {
    let mut list = VecDeque::new();
    for sock in came {
        match sock.ip.is_ipv6() && sock.came_with_reuseport {
            true => list.push_back(sock),
            false => list.push_front(sock),
        }
    }
    list
}
