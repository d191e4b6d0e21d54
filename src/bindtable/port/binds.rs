//! Every real bind that is made on this machine. Each socket is closed at once, and none listens.
//!
//! - [`before_the_port`]: for each address of the answer, to a port of the kernel's choice, and then
//!   once more, which fails before it comes to the port that was asked for.
//! - [`learn_options`]: of the port itself, where a TIME_WAIT, or another connection without a process,
//!   has it.
//! - [`probe`]: of the port itself, for each verdict that is unknown; with `--probe`, and where the kernel
//!   does not list every socket.
//! - [`lists_bound`]: to a port of the kernel's choice.

use super::finding::{self, Can, Finding, ServerOption, Unseen, Verdict, Why};
use super::judge;
use super::target::Question;
use super::words;
use crate::kernel::{Options, Proto, Version};
use crate::sockets::{self, State};
use rustix::io::Errno;
use rustix::system::uname;
use socket2::{Domain, Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A socket of the family of `ip`, with that option set.
///
/// # Errors
///
/// socket(2): EAFNOSUPPORT where the kernel has no IPv6. setsockopt(2).
fn new_socket(proto: Proto, ip: IpAddr, option: ServerOption) -> io::Result<Socket> {
    let domain = if ip.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let kind = if proto == Proto::Tcp { Type::STREAM } else { Type::DGRAM };
    let socket = Socket::new(domain, kind, None)?;
    let Options { reuseaddr, reuseport } = option.options();
    if reuseaddr {
        socket.set_reuse_address(true)?;
    }
    if reuseport {
        socket.set_reuse_port(true)?;
    }
    Ok(socket)
}

/// The same, bound to the network interface of the question if `ip` is the address that was asked for.
fn new_server(question: &Question, ip: IpAddr, option: ServerOption) -> io::Result<Socket> {
    let socket = new_socket(question.proto, ip, option)?;
    if let Some(name) = question.target.device_name_at(ip) {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    Ok(socket)
}

/// bind(2).
fn bind(socket: &Socket, address: SocketAddr) -> Result<(), Errno> {
    socket.bind(&address.into()).map_err(errno)
}

fn errno(error: io::Error) -> Errno {
    Errno::from_raw_os_error(error.raw_os_error().unwrap_or_default())
}

/// Binds as a server would, and closes at once.
///
/// # Errors
///
/// What socket(2) or bind(2) say.
fn try_bind(question: &Question, ip: IpAddr, option: ServerOption) -> Result<(), Errno> {
    let server = new_server(question, ip, option).map_err(errno)?;
    bind(&server, question.target.at(ip))
}

/// What bind says before it looks at the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Nothing: the port's owners decide.
    Passed,
    /// It refuses, whoever has the port.
    Refused(Errno),
    /// This kernel does not have the address family.
    NoFamily,
    /// The test failed, so that nothing is known.
    Failed(Errno),
}

/// What bind says before it looks at the port: EADDRNOTAVAIL and the like of the address, EACCES of
/// a privileged port, what a policy says. Nobody's port is taken, but for an ephemeral one: a second
/// bind of one socket always fails, with EINVAL if nothing else is wrong, before it comes to the port.
pub fn before_the_port(question: &Question, ip: IpAddr) -> Test {
    let address = question.target.at(ip);
    let socket = match new_server(question, ip, ServerOption::Nothing) {
        Ok(socket) => socket,
        Err(error) => {
            return match errno(error) {
                Errno::AFNOSUPPORT => Test::NoFamily,
                errno => Test::Failed(errno),
            };
        }
    };
    let mut any = address;
    any.set_port(0);
    match bind(&socket, any) {
        Ok(()) => {}
        // Of the address.
        Err(errno @ (Errno::ADDRNOTAVAIL | Errno::INVAL | Errno::NODEV)) => {
            return Test::Refused(errno);
        }
        // No ephemeral port is left at this address; then another one may have some.
        Err(Errno::ADDRINUSE) if bind_elsewhere(&socket, address).is_ok() => {}
        // Of port 0, which says nothing of the port that is asked for.
        Err(errno) => return Test::Failed(errno),
    }
    match bind(&socket, address) {
        Err(Errno::INVAL) | Ok(()) => Test::Passed,
        Err(errno) => Test::Refused(errno),
    }
}

/// Gives the socket a port at the last address of the loopback, which no client uses.
fn bind_elsewhere(socket: &Socket, address: SocketAddr) -> Result<(), Errno> {
    let ip = Ipv4Addr::new(127, 255, 255, 254);
    match address {
        SocketAddr::V4(_) => bind(socket, SocketAddr::new(ip.into(), 0)),
        SocketAddr::V6(_) => bind(socket, SocketAddr::new(ip.to_ipv6_mapped().into(), 0)),
    }
}

/// Finds out the options that a TIME_WAIT, or another socket of TCP without a process, has kept:
/// nobody can read them, but a bind at its address decides by them.
///
/// It is made without `--probe`, once for each option, and only where everything else at the address
/// is known. A server with the same option may bind, and listen, while it stands: it does not listen.
/// A server without an option fails for the sake of the TIME_WAIT itself. Kept out for that instant is
/// a server with one option alone where the TIME_WAIT has both, and one with SO_REUSEPORT of another
/// user.
pub fn learn_options(sockets: &mut [finding::Socket], question: &Question) {
    let is_asked = |socket: &finding::Socket| {
        socket.is_owner
            && !socket.has_inode
            && socket.state != State::Listen
            && socket.reuseaddr.is_none()
    };
    let addresses: BTreeSet<IpAddr> =
        sockets.iter().filter(|socket| is_asked(socket)).map(|socket| socket.address).collect();
    // What may conflict at an address: what is there, and at a wildcard.
    let mut places: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
    for (at, socket) in sockets.iter().enumerate() {
        places.entry(socket.address).or_default().push(at);
    }
    let is_wildcard = |ip: &IpAddr| ip.to_canonical().is_unspecified();
    let wildcards: Vec<usize> =
        places.iter().filter(|(ip, _)| is_wildcard(ip)).flat_map(|(_, at)| at).copied().collect();
    for ip in addresses {
        let near: Vec<usize> = match is_wildcard(&ip) {
            true => (0..sockets.len()).collect(),
            false => places[&ip].iter().chain(&wildcards).copied().collect(),
        };
        learn_at(ip, &near, sockets, question);
    }
}

/// Finds out the options at one address, where the sockets that may conflict have these places.
fn learn_at(ip: IpAddr, near: &[usize], sockets: &mut [finding::Socket], question: &Question) {
    let mut forgets_group = false;
    for option in [ServerOption::ReuseAddr, ServerOption::ReusePort] {
        let those: Vec<&finding::Socket> = near.iter().map(|at| &sockets[*at]).collect();
        let Some(asked) = judge::can_be_learned(&those, ip, option, question.user.uid) else {
            continue;
        };
        let any_device = SocketAddr::new(ip, question.target.port);
        let socket = new_socket(Proto::Tcp, ip, option).map_err(errno);
        let tried = socket.and_then(|socket| bind(&socket, any_device));
        let had = match tried {
            Ok(()) => true,
            Err(Errno::ADDRINUSE) => false,
            Err(_) => break, // a privileged port, or an address that is gone
        };
        // A success with SO_REUSEPORT may be the doing of a group that the port's bucket remembers.
        // It does not, after a success without.
        if option.options().reuseport && had && !forgets_group {
            continue;
        }
        forgets_group = had;
        for at in near {
            let socket = &mut sockets[*at];
            if socket.is_owner && !socket.has_inode && socket.address == ip {
                socket.learn(option, had, asked == 1);
            }
        }
    }
}

/// Has a real bind say each verdict that is unknown. Where the kernel does not list every socket, that
/// is each one but a refusal; and of a port that nobody has, one at each address, since a policy may
/// refuse after all else (`BPF_CGROUP_INET4_POST_BIND`).
///
/// A bind with SO_REUSEPORT lets a later one in by `fastreuseport`, even after its end, and one without
/// ends that. So the binds without it come first, and those with both options last; and of the addresses,
/// those whose success promises the later ones': `::` first, which meets every socket, then 0.0.0.0,
/// then the others.
pub fn probe(finding: &mut Finding) {
    let rank = |verdict: &Verdict| {
        let place = match verdict.address {
            IpAddr::V6(ip) if ip.is_unspecified() => 0,
            IpAddr::V4(ip) if ip.is_unspecified() => 1,
            _ => 2,
        };
        (ServerOption::ALL.iter().position(|option| *option == verdict.option), place)
    };
    let has_owners = finding.sockets.iter().any(|socket| socket.is_owner);
    let lists_all = !finding.unseen.contains(&Unseen::Bound);
    let mut order: Vec<usize> = (0..finding.verdicts.len()).collect();
    order.sort_by_key(|at| rank(&finding.verdicts[*at]));
    for at in order {
        let verdict = &finding.verdicts[at];
        let is_asked = match verdict.can {
            Can::Unknown => true,
            Can::Yes if lists_all => !has_owners && verdict.option == ServerOption::Nothing,
            Can::Yes => true,
            Can::No => false,
        };
        if !is_asked {
            continue;
        }
        let tried = try_bind(&finding.question, verdict.address, verdict.option);
        finding.take_note(at, tried);
    }
    let Finding { verdicts, unseen, .. } = finding;
    let is_untested = |ip| {
        let mut its = verdicts.iter().filter(|verdict| verdict.address == ip);
        its.any(|verdict| verdict.why == Some(Why::Untested))
    };
    unseen.retain(|unseen| match unseen {
        Unseen::Test { address, .. } => is_untested(*address),
        _ => true,
    });
}

/// Whether this kernel lists sockets of TCP that are bound and do not listen: Linux 6.8 and later. Tried,
/// since others have taken it over; where that is refused, the release tells.
///
/// # Errors
///
/// In words, where this process may not have one more descriptor.
pub fn lists_bound() -> Result<bool, String> {
    let is_limit = |error: &io::Error| {
        let limits = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
        error.raw_os_error().is_some_and(|number| limits.contains(&number))
    };
    let lists = || -> io::Result<bool> {
        let (_socket, port) = match bound_somewhere() {
            Err(error) if !is_limit(&error) => return Ok(is_6_8()),
            made => made?,
        };
        let sockets = sockets::listed(Proto::Tcp, port, sockets::ALL)?;
        Ok(sockets.iter().any(|socket| socket.state == State::Bound))
    };
    match lists() {
        Err(error) if is_limit(&error) => Err(words::no_descriptor(&error)),
        lists => Ok(lists.unwrap_or(false)),
    }
}

/// Whether this kernel is Linux 6.8 or later, by its own word (uname(2)).
fn is_6_8() -> bool {
    let name = uname();
    Version::parse(&name.release().to_string_lossy()).is_some_and(|it| it >= Version(6, 8))
}

/// A socket of TCP that is bound to a port of the kernel's choice and does not listen.
///
/// # Errors
///
/// What socket(2), bind(2) or getsockname(2) say.
fn bound_somewhere() -> io::Result<(Socket, u16)> {
    let any = |ip: Ipv4Addr| SocketAddr::new(ip.into(), 0).into();
    let socket = new_socket(Proto::Tcp, Ipv4Addr::UNSPECIFIED.into(), ServerOption::Nothing)?;
    // Where clients have every ephemeral port at the addresses that they use, others have some left.
    socket
        .bind(&any(Ipv4Addr::UNSPECIFIED))
        .or_else(|_| socket.bind(&any(Ipv4Addr::new(127, 255, 255, 254))))?;
    let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
    Ok((socket, port))
}
