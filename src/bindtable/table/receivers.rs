//! Who of A and B receives, as it was seen.

use super::cell::{BROADCAST, Cell, GROUP_IPV4, GROUP_IPV6};
use super::netlink::LOOPBACK;
use super::world::{Trouble, failed, local_address, plain_socket, wait_for};
use crate::kernel::receive::{Destination, Receiver, Side};
use crate::kernel::{Proto, Set};
use crate::{say, words};
use socket2::{SockAddr, Socket as Fd, Type};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How often it is sent, or connected, where the kernel may share out by the sender's port: that
/// one of two gets none of 40 happens once in 2^39 runs.
const SHARES: usize = 40;

/// Where was sent or connected to, and who got it.
pub type Deliveries = Vec<(Destination, Receiver)>;

/// From who got each of several: A, B.
fn receiver(each: &[(bool, bool)]) -> Receiver {
    let [only_a, only_b, both] =
        [(true, false), (false, true), (true, true)].map(|who| each.contains(&who));
    match (only_a, only_b, both) {
        (true, true, _) => Receiver::Spread,
        (_, _, true) => Receiver::Both,
        (true, false, _) => Receiver::A,
        (false, true, _) => Receiver::B,
        _ => Receiver::Nobody,
    }
}

/// A and B, which both take what comes to the port.
pub struct Pair<'a> {
    pub cell: &'a Cell,
    pub port: u16,
    pub a: &'a Fd,
    pub b: &'a Fd,
}

impl Pair<'_> {
    /// Where something may be sent so that one of the two could get it.
    fn destinations(&self) -> Vec<IpAddr> {
        let pair = [self.cell.a, self.cell.new];
        let takes_ipv4 = pair.iter().any(|socket| socket.takes_ipv4());
        let takes_ipv6 = pair.iter().any(|socket| socket.takes_ipv6());
        let is_udp = self.cell.proto == Proto::Udp;
        let all = [
            (takes_ipv4, Ipv4Addr::LOCALHOST.into()),
            (takes_ipv6, Ipv6Addr::LOCALHOST.into()),
            (true, pair[0].destination()),
            (true, pair[1].destination()),
            (is_udp && takes_ipv4, BROADCAST.into()),
            (is_udp && takes_ipv4, GROUP_IPV4.into()),
            (is_udp && takes_ipv6, GROUP_IPV6.into()),
        ];
        let mut seen = BTreeSet::new();
        let all = all.into_iter().filter(|(takes, ip)| *takes && seen.insert(*ip));
        all.map(|(_, ip)| ip).collect()
    }

    fn tries(&self) -> usize {
        let pair = [&self.cell.a, &self.cell.new];
        if pair.iter().all(|socket| socket.reuseport != Set::Never) { SHARES } else { 2 }
    }

    fn address(&self, ip: IpAddr) -> SockAddr {
        SocketAddr::new(ip, self.port).into()
    }

    /// Who accepts, for each address that a client may connect to.
    pub fn connections(&self) -> Result<Deliveries, Trouble> {
        let accepts = |fd: &Fd| match fd.accept() {
            Ok((child, _)) => child.set_linger(Some(Duration::ZERO)).is_ok(),
            Err(_) => false,
        };
        let mut deliveries = Vec::new();
        for ip in self.destinations() {
            let mut each = Vec::new();
            for _ in 0..self.tries() {
                let client = plain_socket(Type::STREAM, ip)?;
                match client.connect(&self.address(ip)) {
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        each.push((false, false));
                    }
                    Err(error) => return Err(failed("connect")(error).into()),
                    Ok(()) => each.push(wait_for("accept", || {
                        let who = (accepts(self.a), accepts(self.b));
                        Ok((who != (false, false)).then_some(who))
                    })?),
                }
            }
            deliveries.push((Destination::new(ip), receiver(&each)));
        }
        Ok(deliveries)
    }

    /// Who receives, for each address that may be sent to, and from the peers. Both are members of
    /// the groups.
    pub fn datagrams(&self, peers: [&Option<Fd>; 2]) -> Result<Deliveries, String> {
        for (fd, socket) in [(self.a, &self.cell.a), (self.b, &self.cell.new)] {
            join_group(fd, socket.ip).map_err(failed(words!("joining the group", "加入多播组")))?;
            fd.set_nonblocking(true).map_err(failed("O_NONBLOCK"))?;
        }
        let fence = Fence::new()?;
        let send = |sender: &Fd, ip| -> Result<_, String> {
            match sender.send_to(b"?", &self.address(ip)) {
                Ok(_) => Ok(Some(fence.received(self.a, self.b)?)),
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
                deliveries.push((Destination::new(ip), receiver(&each)));
            }
        }
        for (peer, side) in peers.into_iter().zip([Side::A, Side::B]) {
            let Some(peer) = peer else { continue };
            let ip = local_address(peer)?.ip();
            route_to_loopback(peer, ip).map_err(failed("setsockopt"))?;
            let each: Option<Vec<_>> =
                (0..self.tries()).map(|_| send(peer, ip)).collect::<Result<_, String>>()?;
            let to = Destination { ip, from: Some(side) };
            deliveries.push((to, receiver(&each.unwrap_or_default())));
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
