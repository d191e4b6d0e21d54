//! The socket of the failed call: its options, user, device and protocol, from a copy of its
//! descriptor; or, where the process does not let it be copied, from what the calls have shown.

use super::raw;
use super::records::{Records, SocketOption};
use crate::port::holders;
use nix::libc;
use nix::sys::socket::{getsockopt, sockopt::BindToDevice};
use rustix::fd::OwnedFd;
use rustix::fs::{fstat, getxattr};
use rustix::io::Errno;
use rustix::net::sockopt::{
    ipv6_v6only, socket_broadcast, socket_domain, socket_protocol, socket_reuseaddr,
    socket_reuseport, socket_type,
};
use rustix::net::{AddressFamily, getpeername, getsockname};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// What the socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Mptcp,
    Unix,
    Other,
}

impl Protocol {
    fn new(domain: i32, kind: i32, protocol: i32) -> Self {
        match (domain, kind, protocol) {
            (libc::AF_UNIX, ..) => Self::Unix,
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_MPTCP) => Self::Mptcp,
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM, 0 | libc::IPPROTO_TCP) => Self::Tcp,
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM, 0 | libc::IPPROTO_UDP) => Self::Udp,
            _ => Self::Other,
        }
    }

    /// As a reader knows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Mptcp => "MPTCP",
            Self::Unix => "Unix",
            Self::Other => "?",
        }
    }
}

/// The failed call's socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subject {
    pub descriptor: i32,
    pub protocol: Protocol,
    /// Whether it is of AF_INET6, if that is known.
    pub is_ipv6: Option<bool>,
    /// 0 if it is not known.
    pub inode: u64,
    /// The user who has made it.
    pub uid: Option<u32>,
    pub reuseaddr: Option<bool>,
    pub reuseport: Option<bool>,
    pub ipv6_only: Option<bool>,
    /// SO_BROADCAST: socket(7).
    pub broadcast: Option<bool>,
    /// SO_BINDTODEVICE: the interface's name, in the socket's network namespace.
    pub device: Option<String>,
    /// Where it is bound already.
    pub local: Option<SocketAddr>,
    /// Whether the socket itself could be asked: pidfd_getfd(2).
    pub is_read: bool,
    /// Whether it has a peer: getpeername(2).
    pub is_connected: bool,
    /// Of a Unix socket: whether it has neither a path nor a name.
    pub is_unnamed: bool,
    /// The address that it is bound to without a port: IP_BIND_ADDRESS_NO_PORT of ip(7).
    pub source: Option<IpAddr>,
    /// IP_LOCAL_PORT_RANGE, if it is set: ip(7).
    pub port_range: Option<[u16; 2]>,
}

impl Subject {
    /// Reads what can be read of a descriptor: the thread's, which may have a table of its own, or the last one.
    pub fn new(process: i32, thread: i32, descriptor: i32, records: &Records) -> Self {
        let read = copy_in(process, thread, descriptor).ok().and_then(|copy| {
            let read = Self::of_copy(descriptor, &copy)?;
            let port_range = raw::port_range(&copy);
            Some(Self { device: device(raw::into_std(copy)), port_range, ..read })
        });
        read.unwrap_or_else(|| {
            let inode = inode(thread, descriptor).unwrap_or(0);
            Self { inode, ..Self::of_records(process, descriptor, records) }
        })
    }

    fn of_copy(descriptor: i32, copy: &OwnedFd) -> Option<Self> {
        let domain = socket_domain(copy).ok()?;
        let kind = socket_type(copy).ok()?.as_raw().cast_signed();
        let protocol = socket_protocol(copy).ok()?;
        let protocol = protocol.map_or(0, |protocol| protocol.as_raw().get().cast_signed());
        let stat = fstat(copy).ok()?;
        let name = getsockname(copy).ok();
        // No more than its family: unix_getname.
        let is_unnamed = name
            .as_ref()
            .is_some_and(|name| name.addr_len() as usize == size_of::<libc::sa_family_t>());
        let local = name.and_then(|name| SocketAddr::try_from(name).ok());
        Some(Self {
            descriptor,
            protocol: Protocol::new(i32::from(domain.as_raw()), kind, protocol),
            is_ipv6: Some(domain == AddressFamily::INET6),
            inode: stat.st_ino,
            uid: Some(stat.st_uid),
            reuseaddr: socket_reuseaddr(copy).ok(),
            reuseport: socket_reuseport(copy).ok(),
            ipv6_only: ipv6_v6only(copy).ok(),
            broadcast: socket_broadcast(copy).ok(),
            device: None,
            local: local.filter(|local| local.port() != 0),
            is_read: true,
            is_connected: getpeername(copy).is_ok_and(|peer| peer.is_some()),
            is_unnamed: domain == AddressFamily::UNIX && is_unnamed,
            source: local
                .filter(|local| local.port() == 0 && !local.ip().is_unspecified())
                .map(|local| local.ip()),
            port_range: None,
        })
    }

    fn of_records(process: i32, descriptor: i32, records: &Records) -> Self {
        let name = protocol_name(process, descriptor);
        let kind = records.sockets.get(&(process, descriptor)).copied();
        let options = records.options.get(&(process, descriptor));
        // What was not set is off, if the socket was seen from its beginning.
        let option = |option| {
            let set = options.and_then(|options| options.get(&option)).copied();
            set.or(kind.map(|_| false))
        };
        let from_name = match name.as_deref() {
            Some("TCP" | "TCPv6") => Protocol::Tcp,
            Some("UDP" | "UDPv6") => Protocol::Udp,
            Some("MPTCP" | "MPTCPv6") => Protocol::Mptcp,
            Some(name) if name.starts_with("UNIX") => Protocol::Unix,
            _ => Protocol::Other,
        };
        let from_call = kind.map(|[domain, kind, protocol]| {
            let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            Protocol::new(domain, kind & !flags, protocol)
        });
        let is_ipv6 = name.as_ref().map(|name| name.ends_with("v6"));
        Self {
            descriptor,
            protocol: from_call.unwrap_or(from_name),
            is_ipv6: kind.map(|kind| kind[0] == libc::AF_INET6).or(is_ipv6),
            inode: 0,
            uid: None,
            reuseaddr: option(SocketOption::ReuseAddr),
            reuseport: option(SocketOption::ReusePort),
            ipv6_only: options.and_then(|options| options.get(&SocketOption::V6Only)).copied(),
            broadcast: None,
            device: None,
            local: None,
            is_read: false,
            is_connected: false,
            is_unnamed: false,
            source: None,
            port_range: None,
        }
    }

    /// Whether the option is on, if that is known.
    pub fn has(&self, option: SocketOption) -> Option<bool> {
        match option {
            SocketOption::ReuseAddr => self.reuseaddr,
            SocketOption::ReusePort => self.reuseport,
            SocketOption::V6Only => self.ipv6_only,
        }
    }
}

/// SO_BINDTODEVICE.
fn device(copy: std::os::fd::OwnedFd) -> Option<String> {
    let name = getsockopt(&copy, BindToDevice).ok()?.into_string().ok()?;
    let name = name.trim_end_matches('\0');
    (!name.is_empty()).then(|| name.to_owned())
}

/// A copy of the descriptor: pidfd_getfd(2).
pub fn copy(process: i32, descriptor: i32) -> Result<OwnedFd, Errno> {
    copy_of(process, PidfdFlags::empty(), descriptor)
}

/// The same of the thread's descriptor, which may be of a table of its own; or of the last thread's.
pub fn copy_in(process: i32, thread: i32, descriptor: i32) -> Result<OwnedFd, Errno> {
    copy_of(thread, THREAD, descriptor).or_else(|_| copy(process, descriptor))
}

/// PIDFD_THREAD: Linux 6.9.
const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned());

fn copy_of(id: i32, kind: PidfdFlags, descriptor: i32) -> Result<OwnedFd, Errno> {
    let pidfd = pidfd_open(Pid::from_raw(id).ok_or(Errno::SRCH)?, kind)?;
    pidfd_getfd(pidfd, descriptor, PidfdGetfdFlags::empty())
}

/// The descriptors of the process that are sockets.
pub fn sockets_of(process: i32) -> Vec<i32> {
    let all = holders::numbers(&format!("/proc/{process}/fd")).into_iter().flatten();
    all.filter(|descriptor| inode(process, *descriptor).is_some()).collect()
}

/// The number by which `/proc` knows the descriptor's socket.
pub fn inode(process: i32, descriptor: i32) -> Option<u64> {
    let link = std::fs::read_link(format!("/proc/{process}/fd/{descriptor}")).ok()?;
    holders::inode(&link)
}

/// The name of the socket's `struct proto`: `TCP`, `TCPv6`, `UNIX-STREAM` (xattr(7) of sockfs).
fn protocol_name(process: i32, descriptor: i32) -> Option<String> {
    let mut name = [0; 64];
    let path = format!("/proc/{process}/fd/{descriptor}");
    let length = getxattr(&*path, "system.sockprotoname", &mut name[..]).ok()?;
    let name = String::from_utf8_lossy(&name[..length]);
    Some(name.trim_end_matches('\0').to_owned())
}
