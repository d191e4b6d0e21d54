//! May a new server bind the port? The model of the kernel's rule, where some of what it needs may
//! be unknown; and the kernel's own answer, where it is asked.

use crate::kernel::Proto;
use crate::kernel::bind::{self, Rule, Sock};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The options that a new server may set before bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum With {
    /// No option.
    #[serde(rename = "none")]
    Nothing,
    /// SO_REUSEADDR.
    #[serde(rename = "SO_REUSEADDR")]
    ReuseAddr,
    /// SO_REUSEPORT.
    #[serde(rename = "SO_REUSEPORT")]
    ReusePort,
}

impl With {
    /// In the order of the table's columns.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::ReuseAddr, Self::ReusePort];
}

/// A socket that has the port, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// Its own address.
    pub ip: IpAddr,
    /// IPV6_V6ONLY.
    pub v6only: Option<bool>,
    /// SO_REUSEADDR.
    pub reuseaddr: Option<bool>,
    /// SO_REUSEPORT.
    pub reuseport: Option<bool>,
    /// Its user.
    pub user: u32,
    /// Whether it is in state LISTEN.
    pub listens: bool,
    /// Whether it is the small record that TIME_WAIT is.
    pub is_record: bool,
}

impl Owner {
    /// Everything that it may be.
    fn possible(&self) -> impl Iterator<Item = Sock> {
        let values = |known: Option<bool>| match known {
            Some(value) => vec![value],
            None => vec![false, true],
        };
        let mut all = Vec::new();
        for v6only in values(self.v6only) {
            for reuse in values(self.reuseaddr) {
                for reuseport in values(self.reuseport) {
                    let Self { ip, user, listens, is_record, .. } = *self;
                    let options = Sock { v6only, reuse, reuseport, ..Sock::default() };
                    all.push(Sock { ip, user, listens, is_record, ..options });
                }
            }
        }
        all.into_iter()
    }
}

/// What the model says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may bind.
    Yes,
    /// EADDRINUSE, for the sake of this owner, by this condition.
    No(usize, Rule),
    /// It depends on what is not known of this owner.
    Unknown(usize),
}

/// The new server's socket.
pub fn new_socket(ip: IpAddr, with: With, user: u32, v6only_default: bool) -> Sock {
    // __inet6_bind sets it for each IPv6 address that is neither wildcard nor mapped.
    let v6only = match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) if ip.is_unspecified() => v6only_default,
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_none() || v6only_default,
    };
    Sock {
        ip,
        v6only,
        reuse: with == With::ReuseAddr,
        reuseport: with == With::ReusePort,
        user,
        ..Sock::default()
    }
}

/// Whether the addresses of the two conflict.
pub fn meets(proto: Proto, new: &Sock, owner: &Owner) -> bool {
    owner.possible().any(|old| bind::bind(proto, &[old], new) != Ok(Rule::OtherAddress))
}

/// What the model says of `new`, where `owners` have the port. Of UDP, each family's owners have to
/// stand in the kernel's order, the one that came last first.
pub fn judge(proto: Proto, new: &Sock, owners: &[Owner]) -> Answer {
    match proto {
        Proto::Tcp => tcp(new, owners),
        Proto::Udp => udp(new, owners),
    }
}

fn tcp(new: &Sock, owners: &[Owner]) -> Answer {
    let mut answer = Answer::Yes;
    for (at, owner) in owners.iter().enumerate() {
        let (mut refusal, mut may) = (None, false);
        for old in owner.possible() {
            match bind::bind(Proto::Tcp, &[old], new) {
                Ok(_) => may = true,
                Err(rule) => refusal = Some(rule),
            }
        }
        answer = match (refusal, may, answer) {
            // A listener is the better reason, since no option of the new socket's goes past it.
            (Some(rule), false, Answer::No(first, of_first)) => {
                let better = owner.listens && !owners[first].listens;
                if better { Answer::No(at, rule) } else { Answer::No(first, of_first) }
            }
            (Some(rule), false, _) => Answer::No(at, rule),
            (Some(_), true, Answer::Yes) => Answer::Unknown(at),
            (_, _, answer) => answer,
        };
    }
    match answer {
        Answer::No(at, _) if owners.iter().any(|owner| may_be_remembered(new, owner)) => {
            Answer::Unknown(at)
        }
        answer => answer,
    }
}

/// Whether the port's bucket may remember `owner` as a member of the new socket's SO_REUSEPORT group
/// (`fastreuseport`): then nobody else is compared. It depends on which socket came last.
fn may_be_remembered(new: &Sock, owner: &Owner) -> bool {
    owner.possible().any(|old| {
        // A record has no user, but its server had one when the bucket took note of it.
        let user = if old.is_record { new.user } else { old.user };
        bind::bind(Proto::Tcp, &[Sock { user, ..old }], new) == Ok(Rule::FastReusePort)
    })
}

/// How the kernel's walk over the sockets of a list may end.
#[derive(Clone, Default)]
struct Ends {
    /// It may find a conflict, here.
    no: Option<(usize, Rule)>,
    /// It may find a member of the same SO_REUSEPORT group, and look no further.
    group: Option<usize>,
    /// It may find neither.
    nothing: bool,
}

fn walk(new: &Sock, owners: &[Owner], list: &[usize]) -> Ends {
    let mut ends = Ends::default();
    for &at in list {
        let mut goes_on = false;
        for old in owners[at].possible() {
            match bind::bind(Proto::Udp, &[old], new) {
                Ok(Rule::UdpBothReusePort) => ends.group = ends.group.or(Some(at)),
                Ok(_) => goes_on = true,
                Err(rule) => ends.no = ends.no.or(Some((at, rule))),
            }
        }
        if !goes_on {
            return ends;
        }
    }
    ends.nothing = true;
    ends
}

/// `udp_lib_lport_inuse`, one list of all. If more than ten are in it, and the new socket's address
/// is a specific one, `udp_lib_lport_inuse2`: a list of that address, and one of the wildcard address.
///
/// Until the spring of 2026 a wildcard address had `udp_lib_lport_inuse2` too, and so overlooked the
/// sockets on specific addresses ("udp: Fix wildcard bind conflict check when using hash2").
fn udp(new: &Sock, owners: &[Owner]) -> Answer {
    // The table knows an IPv4 address by its mapped form, and one wildcard for both families.
    let key = |ip: IpAddr| Some(ip.to_canonical()).filter(|ip| !ip.is_unspecified());
    let all = |wanted: &dyn Fn(&Owner) -> bool| -> Vec<usize> {
        (0..owners.len()).filter(|&at| wanted(&owners[at])).collect()
    };
    if owners.len() <= 10 || key(new.ip).is_none() {
        return both(new, owners, all(&|_| true));
    }
    let own = both(new, owners, all(&|owner| key(owner.ip) == key(new.ip)));
    let wildcard = both(new, owners, all(&|owner| key(owner.ip).is_none()));
    match (own, wildcard) {
        (no @ Answer::No(..), _) | (_, no @ Answer::No(..)) => no,
        (unknown @ Answer::Unknown(_), _) => unknown,
        (_, answer) => answer,
    }
}

/// A list, of which the order is known within each family alone.
fn both(new: &Sock, owners: &[Owner], list: Vec<usize>) -> Answer {
    let (ipv4, ipv6): (Vec<usize>, Vec<usize>) =
        list.into_iter().partition(|&at| owners[at].ip.is_ipv4());
    let (a, b) = (walk(new, owners, &ipv4), walk(new, owners, &ipv6));
    let may_succeed = (a.group.is_some() || b.group.is_some()) || (a.nothing && b.nothing);
    let may_fail = a.no.or(b.no);
    match may_fail {
        None => Answer::Yes,
        Some((at, _)) if may_succeed => Answer::Unknown(at),
        Some((at, rule)) => Answer::No(at, rule),
    }
}

/// A socket of the family of `ip`, with that set.
///
/// # Errors
///
/// socket(2): EAFNOSUPPORT where the kernel has no IPv6. setsockopt(2).
fn socket(proto: Proto, ip: IpAddr, with: With) -> Result<OwnedFd, Errno> {
    let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = if proto == Proto::Tcp { SocketType::STREAM } else { SocketType::DGRAM };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    match with {
        With::Nothing => {}
        With::ReuseAddr => set_socket_reuseaddr(&socket, true)?,
        With::ReusePort => set_socket_reuseport(&socket, true)?,
    }
    Ok(socket)
}

/// Binds, and closes at once.
///
/// # Errors
///
/// What socket(2) or bind(2) say.
pub fn probe(proto: Proto, address: SocketAddr, with: With) -> Result<(), Errno> {
    bind(&socket(proto, address.ip(), with)?, &address)
}

/// What bind says before it looks at the port: EADDRNOTAVAIL and the like of the address, EACCES of
/// a privileged port. Nobody's port is taken, but for an ephemeral one: a second bind of one socket
/// always fails, with EINVAL if nothing else is wrong, before it comes to the port.
///
/// # Errors
///
/// What a server's bind would say.
pub fn before_the_port(proto: Proto, address: SocketAddr) -> Result<(), Errno> {
    let socket = socket(proto, address.ip(), With::Nothing)?;
    let mut any = address;
    any.set_port(0);
    match bind(&socket, &any) {
        Ok(()) => {}
        Err(Errno::ADDRINUSE) => return Ok(()), // no ephemeral port is left: the privilege is unknown
        error => return error,
    }
    match bind(&socket, &address) {
        Err(Errno::ACCESS) => Err(Errno::ACCESS),
        _ => Ok(()),
    }
}

/// A socket of TCP that is bound to a port of the kernel's choice and does not listen.
///
/// # Errors
///
/// What socket(2), bind(2) or getsockname(2) say.
pub fn bound_somewhere() -> Result<(OwnedFd, u16), Errno> {
    let any = |ip: Ipv4Addr| SocketAddr::new(ip.into(), 0);
    let socket = socket(Proto::Tcp, Ipv4Addr::UNSPECIFIED.into(), With::Nothing)?;
    // Where clients have every ephemeral port at the addresses that they use, others have some left.
    bind(&socket, &any(Ipv4Addr::UNSPECIFIED))
        .or_else(|_| bind(&socket, &any(Ipv4Addr::new(127, 255, 255, 254))))?;
    let port = getsockname(&socket).and_then(SocketAddr::try_from)?.port();
    Ok((socket, port))
}
