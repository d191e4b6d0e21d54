//! What is asked: a port and perhaps an address, of which protocol, for whose server.

use super::finding::{User, interface_name};
use super::words;
use crate::kernel::Proto;
use crate::language::Language;
use crate::printable::Outside;
use rustix::net::netdevice::{index_to_name_inlined, name_to_index};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::geteuid;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

/// A port, and perhaps an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The port; 0 is none, but the range from which the kernel chooses one.
    pub port: u16,
    /// The address; without one, every address.
    pub ip: Option<IpAddr>,
    /// The interface of a link-local address.
    pub interface: Option<Interface>,
}

/// A network interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, or its number, as it was typed.
    typed: Outside,
    index: u32,
}

impl FromStr for Interface {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        // Not from /sys, which may be another network namespace's. A name may be of digits alone.
        let find = || {
            let any = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
            name_to_index(&any, typed).ok().or_else(|| {
                let index = typed.parse().ok()?;
                index_to_name_inlined(&any, index).ok().map(|_| index)
            })
        };
        let index = find().ok_or_else(|| words::no_interface(typed))?;
        Ok(Self { typed: typed.into(), index })
    }
}

impl FromStr for Target {
    type Err = String;

    /// `3459`, `127.0.0.1:3459`, `[::1]:3459`, `[fe80::1%2]:3459`; and as `ss` and `netstat` write
    /// it, `*:3459` and `:::3459`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.parse::<IpAddr>().is_ok() {
            return Err(words::only_address(text));
        }
        let (host, port) = match text.rsplit_once(':') {
            None => ("", text),
            Some(parts) => parts,
        };
        if port.is_empty() || !port.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(words::no_port(text)); // parse takes a plus
        }
        let port = port.parse::<u16>().map_err(|_| words::port_too_large(port))?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host == "*" {
            return Ok(Self { port, ip: None, interface: None });
        }
        let (ip, interface) = match host.split_once('%') {
            None => (host, None),
            Some((ip, name)) => (ip, Some(name.parse()?)),
        };
        let ip = ip.parse().map_err(|_| words::no_address(host))?;
        Ok(Self { port, ip: Some(ip), interface })
    }
}

/// As it is asked for.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, ip, interface } = self;
        match (ip, interface) {
            (None, _) => write!(f, "{port}"),
            (Some(IpAddr::V4(ip)), Some(interface)) => write!(f, "{ip}%{}:{port}", interface.typed),
            (Some(ip), Some(interface)) => write!(f, "[{ip}%{}]:{port}", interface.typed),
            (Some(ip), None) => write!(f, "{}", SocketAddr::new(*ip, *port)),
        }
    }
}

impl From<SocketAddr> for Target {
    /// The scope of a link-local address is its interface's number.
    fn from(address: SocketAddr) -> Self {
        let interface = match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => {
                let index = v6.scope_id();
                Some(Interface { typed: index.to_string().into(), index })
            }
            _ => None,
        };
        Self { port: address.port(), ip: Some(address.ip()), interface }
    }
}

impl Target {
    /// The name of that interface for SO_BINDTODEVICE; none for a link-local address, whose scope is
    /// the interface.
    pub fn device_name_at(&self, ip: IpAddr) -> Option<OsString> {
        let is_link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let interface =
            self.interface.as_ref().filter(|_| Some(ip) == self.ip && !is_link_local)?;
        Some(interface_name(interface.index).raw().into())
    }

    /// The address, with the interface if it is the one that was asked for.
    pub fn place(&self, ip: IpAddr) -> String {
        let interface = self.interface.as_ref().filter(|_| Some(ip) == self.ip);
        interface.map_or(ip.to_string(), |interface| format!("{ip}%{}", interface.typed))
    }

    /// The number of the interface to which a server at `ip` is bound, 0 without one: that of a
    /// link-local address, or SO_BINDTODEVICE's.
    pub fn device_at(&self, ip: IpAddr) -> u32 {
        self.interface.as_ref().filter(|_| Some(ip) == self.ip).map_or(0, |it| it.index)
    }

    /// The port at `ip`, with the interface if that is the address that was asked for.
    pub fn at(&self, ip: IpAddr) -> SocketAddr {
        match (ip, &self.interface) {
            (IpAddr::V6(v6), Some(interface)) if Some(ip) == self.ip => {
                SocketAddrV6::new(v6, self.port, 0, interface.index).into()
            }
            _ => SocketAddr::new(ip, self.port),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    pub target: Target,
    pub proto: Proto,
    /// Whether real binds are to answer.
    pub probe: bool,
    /// Who asks, and would be the new server's user.
    pub user: User,
    /// IPV6_V6ONLY of a new socket (`net.ipv6.bindv6only`).
    pub v6only_default: bool,
}

impl Question {
    /// A question of this process's user.
    pub fn new(target: Target, proto: Proto, probe: bool) -> Self {
        let v6only_default = sysctl_number("net/ipv6/bindv6only") == Some(1);
        Self { target, proto, probe, user: User::new(geteuid().as_raw()), v6only_default }
    }

    /// The command that asks the same, with real binds; none, if a shell cannot have it.
    pub fn with_probe(&self) -> Option<String> {
        Some(command(&self.target, self.proto)? + " --probe")
    }

    /// The range that connect(2) and bind(2) to port 0 choose from, if they may choose the port.
    pub fn ephemeral_range(&self) -> Option<(u16, u16)> {
        let Range { first, last, reserved } = Range::read();
        let port = self.target.port;
        ((first..=last).contains(&port) && !reserved.contains(&port)).then_some((first, last))
    }
}

/// The command that asks `bindtable port` for that, in the language that this one was asked for; none, if a
/// shell cannot have it.
pub fn command(target: &Target, proto: Proto) -> Option<String> {
    let interface = target.interface.as_ref();
    if interface.is_some_and(|interface| interface.typed.quoted().is_none()) {
        return None;
    }
    let target = Outside::from(target.to_string());
    let udp = (proto == Proto::Udp).then_some("--udp");
    let words = ["bindtable", "port", &target.quoted()?];
    let options = Language::option().into_iter().flatten().chain(udp);
    Some(words.into_iter().chain(options).collect::<Vec<_>>().join(" "))
}

/// The ports that connect(2) and bind(2) to port 0 choose from: ip(7).
pub struct Range {
    /// `ip_local_port_range`.
    pub first: u16,
    pub last: u16,
    /// `ip_local_reserved_ports`, inside it or outside.
    pub reserved: BTreeSet<u16>,
}

impl Range {
    /// As it is now.
    pub fn read() -> Self {
        let (first, last) = ephemeral_range();
        let reserved = reserved_ports();
        let reserved = reserved.split(',').filter_map(|ports| {
            let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
            Some(from.parse::<u16>().ok()?..=to.parse().ok()?)
        });
        Self { first, last, reserved: reserved.flatten().collect() }
    }

    /// The ports to choose from. Of an odd number of them, one call of TCP leaves out the first or the last, by chance:
    /// inet_csk_find_open_port.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        (self.first..=self.last).filter(|port| !self.reserved.contains(port))
    }

    /// The command that makes it as wide as may be downwards, or else upwards; none, if it has all ports. It may not
    /// reach into the privileged ones (ipv4_local_port_range), and should not into those below 1024.
    pub fn widen_command(&self) -> Option<String> {
        let (lowest, highest) = (first_unprivileged().max(1024), u16::MAX);
        let (first, last) = match self.first > lowest {
            true => (lowest, self.last),
            false => (self.first, highest),
        };
        let is_wider = (first, last) != (self.first, self.last);
        is_wider.then(|| format!("sysctl net.ipv4.ip_local_port_range='{first} {last}'"))
    }
}

/// The range that connect(2) and bind(2) to port 0 choose from.
pub fn ephemeral_range() -> (u16, u16) {
    let range = sysctl("net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ports = range.split_whitespace().map_while(|port| port.parse().ok());
    (ports.next().unwrap_or(32768), ports.next().unwrap_or(60999))
}

/// The ports of the range that are left out of it, as the kernel writes them: `50000-50010,50051`.
pub fn reserved_ports() -> String {
    sysctl("net/ipv4/ip_local_reserved_ports").unwrap_or_default()
}

/// The first port that every user may bind (`ip_unprivileged_port_start`, ip(7)).
pub fn first_unprivileged() -> u16 {
    let first = sysctl_number("net/ipv4/ip_unprivileged_port_start");
    first.and_then(|first| u16::try_from(first).ok()).unwrap_or(1024)
}

/// A number below `/proc/sys`.
fn sysctl_number(name: &str) -> Option<u32> {
    sysctl(name)?.parse().ok()
}

fn sysctl(name: &str) -> Option<String> {
    Some(std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().to_owned())
}
