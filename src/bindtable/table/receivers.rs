//! Who of A and B receives: as the kernel's lookup says, and as it was seen.

use super::cell::{BROADCAST, Cell, GROUP_IPV4, GROUP_IPV6, Route, Set, Socket, State};
use super::attempt::{Attempt, Deliveries, failed, local_address, plain_socket};
use super::netlink::LOOPBACK;
use super::predict::{binding, number};
use super::world::{Trouble, wait_for};
use crate::kernel::receive::{self, Attached, Candidate, Destination, Reason, Receiver, Side};
use crate::kernel::{Proto, Version};
use crate::{say, words};
use socket2::{SockAddr, Socket as Fd, Type};
use std::fmt::{self, Display, Formatter};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How often it is sent, or connected, where the kernel may share out by the sender's port: that
/// one of two gets none of 40 happens once in 2^39 runs.
const SHARES: usize = 40;

impl Display for Destination {
    /// As a saved run has it.
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        self.from.map_or(Ok(()), |side| write!(f, " from {side:?}'s peer"))
    }
}

impl Receiver {
    /// From who got each of several: A, B.
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

/// Who gets what is sent or connected to `to`, where A and B both are there; and what decides.
pub fn predict(cell: &Cell, to: Destination, version: Version) -> (Receiver, Reason) {
    let a_is_connected = cell.proto == Proto::Udp && cell.state == State::Connected;
    let listens =
        matches!(cell.state, State::Listening | State::Connection) || cell.state.is_between();
    let a = Candidate {
        takes: cell.proto == Proto::Udp || listens,
        ..candidate(&cell.there[0], cell.proto, a_is_connected.then_some(Side::A))
    };
    let peer = if a_is_connected && cell.is_same_server() { Side::A } else { Side::B };
    let b_is_connected = cell.new.route != Route::Bind;
    let b = candidate(&cell.new, cell.proto, b_is_connected.then_some(peer));
    receive::receiver(a, b, to, version)
}

fn candidate(socket: &Socket, proto: Proto, peer: Option<Side>) -> Candidate {
    let ip = if peer.is_some() { socket.destination() } else { socket.ip };
    Candidate {
        proto,
        takes: true,
        is_ipv6: socket.ip.is_ipv6(),
        v6only: binding(socket).v6only,
        ip: ip.to_canonical(),
        device: number(socket.device),
        peer,
        has_moved: peer.is_some() && (socket.ip.is_unspecified() || socket.route == Route::Connect),
        came_with_reuseport: match proto {
            Proto::Tcp => socket.reuseport.after_bind(),
            Proto::Udp => socket.reuseport.at_bind(),
        },
        reuseport: socket.reuseport.after_bind(),
        program: match socket.program {
            Set::Never => None,
            Set::Before | Set::Cleared => Some(Attached::Before),
            Set::Late => Some(Attached::After),
        },
        member_of: Some(group(socket.ip)),
        user: u32::from(socket.other_user),
    }
}

impl Attempt<'_> {
    /// Where something may be sent so that one of the two could get it.
    fn destinations(&self) -> Vec<IpAddr> {
        let mut destinations: Vec<IpAddr> = Vec::new();
        let mut add = |ip: IpAddr| {
            if !destinations.contains(&ip) {
                destinations.push(ip);
            }
        };
        let pair = [&self.cell.there[0], &self.cell.new];
        if pair.iter().any(|socket| socket.takes_ipv4()) {
            add(Ipv4Addr::LOCALHOST.into());
        }
        if pair.iter().any(|socket| socket.takes_ipv6()) {
            add(Ipv6Addr::LOCALHOST.into());
        }
        for socket in pair {
            add(socket.destination());
        }
        if self.cell.proto == Proto::Udp {
            if pair.iter().any(|socket| socket.takes_ipv4()) {
                add(BROADCAST.into());
                add(GROUP_IPV4.into());
            }
            if pair.iter().any(|socket| socket.takes_ipv6()) {
                add(GROUP_IPV6.into());
            }
        }
        destinations
    }

    fn tries(&self) -> usize {
        let pair = [&self.cell.there[0], &self.cell.new];
        if pair.iter().all(|socket| socket.reuseport != Set::Never) { SHARES } else { 2 }
    }

    /// Who accepts, for each address that a client may connect to.
    pub(super) fn connections(&self, a: &Fd, b: &Fd) -> Result<Deliveries, Trouble> {
        let accepts = |fd: &Fd| match fd.accept() {
            Ok((child, _)) => child.set_linger(Some(Duration::ZERO)).is_ok(),
            Err(_) => false,
        };
        let mut deliveries = Vec::new();
        for ip in self.destinations() {
            let mut each = Vec::new();
            for _ in 0..self.tries() {
                let client = plain_socket(Type::STREAM, ip)?;
                match client.connect(&self.address(ip).into()) {
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        each.push((false, false));
                    }
                    Err(error) => return Err(failed("connect")(error).into()),
                    Ok(()) => each.push(wait_for("accept", || {
                        let who = (accepts(a), accepts(b));
                        Ok((who != (false, false)).then_some(who))
                    })?),
                }
            }
            deliveries.push((Destination::new(ip), Receiver::of(&each)));
        }
        Ok(deliveries)
    }

    /// Who receives, for each address that may be sent to, and from the peers. Both are members of
    /// the groups.
    pub(super) fn datagrams(
        &self,
        a: &Fd,
        b: &Fd,
        peers: [&Option<Fd>; 2],
    ) -> Result<Deliveries, String> {
        for (fd, socket) in [(a, &self.cell.there[0]), (b, &self.cell.new)] {
            join_group(fd, socket.ip).map_err(failed(words!("joining the group", "加入多播组")))?;
            fd.set_nonblocking(true).map_err(failed("O_NONBLOCK"))?;
        }
        let fence = Fence::new()?;
        let send = |sender: &Fd, ip| -> Result<_, String> {
            match sender.send_to(b"?", &self.address(ip).into()) {
                Ok(_) => Ok(Some(fence.received(a, b)?)),
                // There is no such route here.
                Err(error) if error.kind() == io::ErrorKind::NetworkUnreachable => Ok(None),
                Err(error) => {
                    Err(say!("a datagram to {ip}: {error}", "发往 {ip} 的数据报：{error}"))
                }
            }
        };

        let mut deliveries = Vec::new();
        for ip in self.destinations() {
            let try_once = |_| {
                let sender = plain_socket(Type::DGRAM, ip)?;
                route_to_loopback(&sender, ip).map_err(failed("setsockopt"))?;
                send(&sender, ip)
            };
            if let Some(each) = (0..self.tries()).map(try_once).collect::<Result<_, _>>()? {
                let each: Vec<_> = each;
                deliveries.push((Destination::new(ip), Receiver::of(&each)));
            }
        }
        for (peer, side) in peers.into_iter().zip([Side::A, Side::B]) {
            let Some(peer) = peer else { continue };
            let ip = local_address(peer)?.ip();
            route_to_loopback(peer, ip).map_err(failed("setsockopt"))?;
            let each: Option<Vec<_>> =
                (0..self.tries()).map(|_| send(peer, ip)).collect::<Result<_, String>>()?;
            let to = Destination { ip, from: Some(side) };
            deliveries.push((to, Receiver::of(&each.unwrap_or_default())));
        }
        Ok(deliveries)
    }
}

/// A datagram to itself, after the others on the same way from the same processor: when it is
/// there, they are.
struct Fence(Fd, SockAddr);

impl Fence {
    fn new() -> Result<Self, String> {
        let fd = plain_socket(Type::DGRAM, Ipv4Addr::LOCALHOST.into())?;
        fd.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).map_err(failed("bind"))?;
        let address = local_address(&fd)?.into();
        Ok(Self(fd, address))
    }

    /// Which of A and B have received what was sent before.
    fn received(&self, a: &Fd, b: &Fd) -> Result<(bool, bool), String> {
        let read = |mut fd: &Fd| fd.read(&mut [0; 1]);
        self.0.send_to(b"!", &self.1).map_err(failed("sendto"))?;
        read(&self.0).map_err(failed("recv"))?;
        Ok((read(a).is_ok(), read(b).is_ok()))
    }
}

/// The group that a socket at `ip` joins.
fn group(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => GROUP_IPV4.into(),
        IpAddr::V6(_) => GROUP_IPV6.into(),
    }
}

/// Makes a socket at `ip` a member of its family's group.
fn join_group(fd: &Fd, ip: IpAddr) -> io::Result<()> {
    match ip {
        IpAddr::V4(_) => fd.join_multicast_v4(&GROUP_IPV4, &Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => fd.join_multicast_v6(&GROUP_IPV6, LOOPBACK),
    }
}

/// Lets a socket send broadcasts, and multicast by way of `lo`.
fn route_to_loopback(fd: &Fd, ip: IpAddr) -> io::Result<()> {
    match ip {
        IpAddr::V4(_) => {
            fd.set_broadcast(true)?;
            fd.set_multicast_if_v4(&Ipv4Addr::LOCALHOST)
        }
        IpAddr::V6(_) => fd.set_multicast_if_v6(LOOPBACK),
    }
}
