//! Every real bind that is made on this machine. Each socket is closed at once, and none listens.
//!
//! - [`before_the_port`]: for each address of the answer, to a port of the kernel's choice, and then
//!   once more, which fails before it comes to the port that was asked for.
//! - [`learn_options`]: of the port itself, where a TIME_WAIT, or another connection without a process,
//!   has it.
//! - [`probe`]: of the port itself, for each verdict; with `--probe`, and where the kernel does not list
//!   every socket.
//! - [`lists_bound`]: to a port of the kernel's choice.

use super::finding::{Can, Finding, ServerOption, Socket};
use super::judge;
use super::target::Question;
use super::words;
use crate::kernel::Proto;
use crate::sockets::{self, State};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A socket of the family of `ip`, with that option set.
///
/// # Errors
///
/// socket(2): EAFNOSUPPORT where the kernel has no IPv6. setsockopt(2).
fn new_socket(proto: Proto, ip: IpAddr, option: ServerOption) -> Result<OwnedFd, Errno> {
    let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = if proto == Proto::Tcp { SocketType::STREAM } else { SocketType::DGRAM };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    match option {
        ServerOption::Nothing => {}
        ServerOption::ReuseAddr => set_socket_reuseaddr(&socket, true)?,
        ServerOption::ReusePort => set_socket_reuseport(&socket, true)?,
    }
    Ok(socket)
}

/// Binds, and closes at once.
///
/// # Errors
///
/// What socket(2) or bind(2) say.
fn try_bind(proto: Proto, address: SocketAddr, option: ServerOption) -> Result<(), Errno> {
    bind(&new_socket(proto, address.ip(), option)?, &address)
}

/// What bind says before it looks at the port: EADDRNOTAVAIL and the like of the address, EACCES of
/// a privileged port. Nobody's port is taken, but for an ephemeral one: a second bind of one socket
/// always fails, with EINVAL if nothing else is wrong, before it comes to the port.
///
/// # Errors
///
/// What a server's bind would say.
pub fn before_the_port(proto: Proto, address: SocketAddr) -> Result<(), Errno> {
    let socket = new_socket(proto, address.ip(), ServerOption::Nothing)?;
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

/// Finds out the options that a TIME_WAIT, or another socket of TCP without a process, has kept:
/// nobody can read them, but a bind at its address decides by them.
///
/// It is made without `--probe`, once for each option, and only where everything else at the address
/// is known. A server with the same option may bind, and listen, while it stands: it does not listen.
/// A server without an option fails for the sake of the TIME_WAIT itself. Kept out for that instant is
/// a server with one option alone where the TIME_WAIT has both, and one with SO_REUSEPORT of another
/// user.
pub fn learn_options(sockets: &mut [Socket], question: &Question) {
    let is_asked = |socket: &Socket| {
        socket.is_owner
            && !socket.has_inode
            && socket.state != State::Listen
            && socket.reuseaddr.is_none()
    };
    let addresses: BTreeSet<IpAddr> =
        sockets.iter().filter(|socket| is_asked(socket)).map(|socket| socket.address).collect();
    for ip in addresses {
        for option in [ServerOption::ReuseAddr, ServerOption::ReusePort] {
            let Some(asked) = judge::can_be_learned(sockets, ip, option, question.user.uid) else {
                continue;
            };
            let address = SocketAddr::new(ip, question.target.port);
            let had = match try_bind(Proto::Tcp, address, option) {
                Ok(()) => true,
                Err(Errno::ADDRINUSE) => false,
                Err(_) => break, // a privileged port, or an address that is gone
            };
            for socket in sockets.iter_mut().filter(|socket| socket.address == ip) {
                if socket.is_owner && !socket.has_inode {
                    socket.learn(option, had, asked == 1);
                }
            }
        }
    }
}

/// Has a real bind say each verdict.
///
/// A bind with SO_REUSEPORT lets a later one in by `fastreuseport`, even after its end. So the
/// addresses come in an order in which an earlier success promises the later one: `::` first,
/// which meets every socket, then 0.0.0.0, then the others.
pub fn probe(finding: &mut Finding) {
    let rank = |ip: IpAddr| match ip {
        IpAddr::V6(ip) if ip.is_unspecified() => 0,
        IpAddr::V4(ip) if ip.is_unspecified() => 1,
        _ => 2,
    };
    let Question { target, proto, .. } = &finding.question;
    let mut order: Vec<usize> = (0..finding.verdicts.len()).collect();
    order.sort_by_key(|at| rank(finding.verdicts[*at].address));
    for at in order {
        let verdict = &mut finding.verdicts[at];
        if verdict.can == Can::No && verdict.error != Some(Errno::ADDRINUSE) {
            continue; // bind has said so already
        }
        verdict.probed = true;
        match try_bind(*proto, target.at(verdict.address), verdict.option) {
            Ok(()) => {
                (verdict.can, verdict.why, verdict.error) = (Can::Yes, None, None);
                verdict.socket = None;
            }
            Err(Errno::ADDRINUSE) if verdict.can == Can::No => {}
            Err(errno) => verdict.refuse(errno),
        }
    }
}

/// Whether this kernel lists sockets of TCP that are bound and do not listen.
///
/// # Errors
///
/// In words, where this process may not have one more descriptor.
pub fn lists_bound() -> Result<bool, String> {
    let lists = || -> io::Result<bool> {
        let (_socket, port) = bound_somewhere().map_err(sockets::std_error)?;
        let sockets = sockets::listed(Proto::Tcp, port, sockets::ALL)?;
        Ok(sockets.iter().any(|socket| socket.state == State::Bound))
    };
    let is_limit = |error: &io::Error| {
        let limits = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
        error.raw_os_error().is_some_and(|number| limits.contains(&number))
    };
    match lists() {
        Err(error) if is_limit(&error) => Err(words::no_descriptor(&error)),
        lists => Ok(lists.unwrap_or(false)),
    }
}

/// A socket of TCP that is bound to a port of the kernel's choice and does not listen.
///
/// # Errors
///
/// What socket(2), bind(2) or getsockname(2) say.
fn bound_somewhere() -> Result<(OwnedFd, u16), Errno> {
    let any = |ip: Ipv4Addr| SocketAddr::new(ip.into(), 0);
    let socket = new_socket(Proto::Tcp, Ipv4Addr::UNSPECIFIED.into(), ServerOption::Nothing)?;
    // Where clients have every ephemeral port at the addresses that they use, others have some left.
    bind(&socket, &any(Ipv4Addr::UNSPECIFIED))
        .or_else(|_| bind(&socket, &any(Ipv4Addr::new(127, 255, 255, 254))))?;
    let port = getsockname(&socket).and_then(SocketAddr::try_from)?.port();
    Ok((socket, port))
}
