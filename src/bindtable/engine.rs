//! Tries a cell: makes the old sockets, brings the first to its state, and binds the new one.

use crate::cell::{Cell, Proto, Set, Socket, State};
use crate::netlink::LOOPBACK;
use crate::world::{self, Powers, Trouble, World, as_other_user, states, wait_for};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{
    set_ip_add_membership, set_ip_multicast_if, set_ipv6_add_membership, set_ipv6_multicast_if,
    set_ipv6_v6only, set_socket_broadcast, set_socket_linger, set_socket_reuseaddr,
    set_socket_reuseport,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, accept_with, bind,
    connect, getsockname, listen, recv, sendto, shutdown, socket_with,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

pub const BROADCAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);
pub const GROUP_IPV4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
pub const GROUP_IPV6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 0x123);

/// How often it is sent, or connected, where the kernel may share out by the sender's port.
const SHARES: usize = 40;

/// What became of the new socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    Failed { call: Call, errno: Errno },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Bind,
    Listen,
}

impl Verdict {
    /// In the words of an error's name: `ok`, `bind EADDRINUSE`.
    pub fn name(self) -> String {
        match self {
            Self::Ok => "ok".to_owned(),
            Self::Failed { call: Call::Bind, errno } => format!("bind {}", errno_name(errno)),
            Self::Failed { call: Call::Listen, errno } => format!("listen {}", errno_name(errno)),
        }
    }
}

fn errno_name(errno: Errno) -> String {
    let name = match errno {
        Errno::ACCESS => "EACCES",
        Errno::ADDRINUSE => "EADDRINUSE",
        Errno::ADDRNOTAVAIL => "EADDRNOTAVAIL",
        Errno::INVAL => "EINVAL",
        Errno::PERM => "EPERM",
        errno => return format!("errno {}", errno.raw_os_error()),
    };
    name.to_owned()
}

/// Who gets what is sent, or who accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    A,
    B,
    Both,
    /// One of the two, by the sender's address and port.
    Either,
    Nobody,
}

impl Receiver {
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::Both => "both",
            Self::Either => "A or B",
            Self::Nobody => "nobody",
        }
    }

    /// From who got each of them.
    fn of(each: &[(bool, bool)]) -> Self {
        let [only_a, only_b, both] =
            [(true, false), (false, true), (true, true)].map(|who| each.contains(&who));
        match (only_a, only_b, both) {
            (true, true, _) => Self::Either,
            (_, _, true) => Self::Both,
            (true, false, _) => Self::A,
            (false, true, _) => Self::B,
            _ => Self::Nobody,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// The states of A's sockets in the kernel's table, when B came; none of UDP.
    pub found: Vec<&'static str>,
    pub deliveries: Vec<(IpAddr, Receiver)>,
}

/// Whether this cell can be tried here.
///
/// # Errors
///
/// What is missing.
pub fn obstacle(cell: &Cell, powers: &Powers) -> Result<(), String> {
    let is_second = |socket: &Socket| socket.ip == IpAddr::V6(world::SECOND_IPV6);
    if cell.sockets().any(|socket| socket.ip.is_ipv6()) {
        powers.ipv6.clone()?;
    }
    if cell.state.is_exhausted() || cell.state == State::LastAck || cell.sockets().any(is_second) {
        powers.namespaces.clone()?;
    }
    if cell.has_two_users() {
        powers.two_users.clone()?;
    }
    Ok(())
}

/// Tries `cell`, on a port of its own.
pub fn measure(world: &mut World, cell: &Cell) -> Result<Outcome, Trouble> {
    let port = world.port()?;
    let is_exhausted = cell.state.is_exhausted();
    if is_exhausted {
        world.autobind_reuse(true)?;
        world.local_ports(port, port)?;
    }
    let outcome = Attempt { world, cell, port }.run();
    if is_exhausted {
        world.local_ports(32768, 60999)?;
    }
    outcome
}

struct Attempt<'a> {
    world: &'a World,
    cell: &'a Cell,
    port: u16,
}

/// What keeps A in its state; given up at once, with no trace on the network.
#[derive(Default)]
struct Stand {
    listener: Option<OwnedFd>,
    child: Option<OwnedFd>,
    client: Option<OwnedFd>,
}

impl Drop for Stand {
    fn drop(&mut self) {
        for socket in [&self.child, &self.client].into_iter().flatten() {
            // A reset, and no TIME_WAIT.
            let _ = set_socket_linger(socket, Some(Duration::ZERO));
        }
    }
}

impl Attempt<'_> {
    fn run(&self) -> Result<Outcome, Trouble> {
        let (a, others) = self.cell.there.split_first().ok_or("there is nobody")?;
        let mut stand = Stand::default();
        let first = self.bound(a)?;
        match self.cell.proto {
            Proto::Tcp => self.bring(a, first, &mut stand)?,
            Proto::Udp if self.cell.state == State::Closed => drop(first),
            Proto::Udp => stand.listener = Some(first),
        }
        let mut rest = Vec::new();
        for socket in others {
            rest.push((socket, self.bound(socket)?));
        }
        rest.retain(|(socket, _)| !socket.closed);
        let found = self.states()?;

        let new = &self.cell.new;
        let socket = self.socket(new)?;
        let mut verdict = self.bind(&socket, new);
        if self.cell.proto == Proto::Tcp && verdict == Verdict::Ok {
            self.set_after(&socket, new).map_err(failed("setsockopt"))?;
            if self.cell.state.is_between() {
                let a = stand.listener.as_ref().ok_or("A is gone")?;
                listen(a, 64).map_err(failed("A's listen"))?;
            }
            if let Err(errno) = listen(&socket, 64) {
                verdict = Verdict::Failed { call: Call::Listen, errno };
            }
        }
        if self.cell.proto == Proto::Tcp && !self.cell.state.is_between() {
            let mut after = self.states()?;
            if verdict == Verdict::Ok {
                let listening = after.iter().position(|state| *state == "LISTEN");
                after.remove(listening.ok_or("B does not listen")?);
            }
            if after != found {
                return Err(format!("A was in {found:?}, and when B had come, in {after:?}").into());
            }
        }

        let delivers = verdict == Verdict::Ok && others.is_empty();
        let deliveries = match (&stand.listener, self.cell.proto) {
            (Some(a), Proto::Udp) if delivers => self.datagrams(a, &socket)?,
            (Some(a), Proto::Tcp) if delivers && !self.cell.state.is_exhausted() => {
                self.connections(a, &socket)?
            }
            _ => Vec::new(),
        };
        Ok(Outcome { verdict, found, deliveries })
    }

    /// The states in which the kernel has this port's own sockets.
    fn states(&self) -> Result<Vec<&'static str>, String> {
        states(self.cell.proto, self.port)
    }

    fn address(&self, ip: IpAddr) -> SocketAddr {
        SocketAddr::new(ip, self.port)
    }

    /// A socket with what is set before bind.
    fn socket(&self, socket: &Socket) -> Result<OwnedFd, String> {
        let family = match socket.ip {
            IpAddr::V4(_) => AddressFamily::INET,
            IpAddr::V6(_) => AddressFamily::INET6,
        };
        let make = || {
            let fd = socket_with(family, self.kind(), FLAGS, None)?;
            if socket.ip.is_ipv6() {
                set_ipv6_v6only(&fd, socket.v6only)?;
            }
            if socket.reuseaddr.at_bind() {
                set_socket_reuseaddr(&fd, true)?;
            }
            if socket.reuseport.at_bind() {
                set_socket_reuseport(&fd, true)?;
            }
            Ok(fd)
        };
        let made = match socket.other_user {
            true => as_other_user(make).map_err(failed("another user"))?,
            false => make(),
        };
        made.map_err(failed("socket"))
    }

    fn kind(&self) -> SocketType {
        match self.cell.proto {
            Proto::Tcp => SocketType::STREAM,
            Proto::Udp => SocketType::DGRAM,
        }
    }

    fn bind(&self, fd: &OwnedFd, socket: &Socket) -> Verdict {
        let mut address = self.address(socket.ip);
        if self.cell.state.is_exhausted() {
            address.set_port(0);
        }
        match bind(fd, &address) {
            Ok(()) => Verdict::Ok,
            Err(errno) => Verdict::Failed { call: Call::Bind, errno },
        }
    }

    fn set_after(&self, fd: &OwnedFd, socket: &Socket) -> Result<(), Errno> {
        let is_late = |set| matches!(set, Set::Late | Set::Cleared);
        if is_late(socket.reuseaddr) {
            set_socket_reuseaddr(fd, socket.reuseaddr.after_bind())?;
        }
        if is_late(socket.reuseport) {
            set_socket_reuseport(fd, socket.reuseport.after_bind())?;
        }
        Ok(())
    }

    /// One of the old sockets, bound to the port: asked from the kernel.
    fn bound(&self, socket: &Socket) -> Result<OwnedFd, String> {
        let fd = self.socket(socket)?;
        let verdict = self.bind(&fd, socket);
        if verdict != Verdict::Ok {
            return Err(format!("{socket} should be there, but: {}", verdict.name()));
        }
        self.set_after(&fd, socket).map_err(failed("setsockopt"))?;
        let name =
            getsockname(&fd).and_then(SocketAddr::try_from).map_err(failed("getsockname"))?;
        if name.port() != self.port {
            return Err(format!("{socket} is bound to port {}", name.port()));
        }
        Ok(fd)
    }

    /// Brings A, which is bound, to its state, and sees it in the kernel's table.
    fn bring(&self, a: &Socket, fd: OwnedFd, stand: &mut Stand) -> Result<(), Trouble> {
        use State::*;
        let state = self.cell.state;
        let is = |expected: &[&str]| {
            let what = format!("{state:?}: {expected:?}");
            wait_for(&what, || Ok((self.states()? == expected).then_some(())))
        };
        if matches!(state, Bound | Between | Exhausted | ExhaustedBetween) {
            stand.listener = Some(fd);
            return is(&[]);
        }
        listen(&fd, 64).map_err(failed("A's listen"))?;
        is(&["LISTEN"])?;
        if state == Listening {
            stand.listener = Some(fd);
            return Ok(());
        }

        let client_ip = match state {
            LastAck => Some(self.world.client(a.destination())?),
            _ => None,
        };
        let client = self.connected(a.destination(), client_ip)?;
        let accept = || match a.other_user {
            true => as_other_user(|| accept_with(&fd, FLAGS)).and_then(|child| child),
            false => accept_with(&fd, FLAGS),
        };
        // The client's last acknowledgment may still be on its way.
        let child = wait_for("accept", || match accept() {
            Err(Errno::AGAIN) => Ok(None),
            child => child.map(Some).map_err(failed("accept")),
        })?;
        is(&["ESTABLISHED", "LISTEN"])?;
        if state == Connection {
            *stand = Stand { listener: Some(fd), child: Some(child), client: Some(client) };
            return Ok(());
        }
        drop(fd);
        is(&["ESTABLISHED"])?;
        match state {
            Connected => {
                *stand = Stand { listener: None, child: Some(child), client: Some(client) };
            }
            FinWait2 => {
                drop(child);
                is(&["FIN_WAIT2"])?;
                stand.client = Some(client);
            }
            TimeWait => {
                drop(child);
                is(&["FIN_WAIT2"])?;
                drop(client);
                is(&["TIME_WAIT"])?;
            }
            // In what is left the client has closed first.
            _ => {
                drop(client);
                is(&["CLOSE_WAIT"])?;
                if let Some(ip) = client_ip {
                    // A's FIN goes nowhere, so nobody acknowledges it.
                    self.world.vanish(ip)?;
                    shutdown(&child, Shutdown::Write).map_err(failed("shutdown"))?;
                    is(&["LAST_ACK"])?;
                }
                if state == Closed {
                    drop(child);
                    is(&[])?;
                } else {
                    stand.child = Some(child);
                }
            }
        }
        Ok(())
    }

    /// A client that has connected to `ip`, from an address of its own or from any.
    fn connected(&self, ip: IpAddr, from: Option<IpAddr>) -> Result<OwnedFd, String> {
        let client = self.outside(SocketType::STREAM, ip)?;
        if let Some(from) = from {
            bind(&client, &SocketAddr::new(from, 0)).map_err(failed("the client's bind"))?;
        }
        connect(&client, &self.address(ip)).map_err(failed("connect"))?;
        Ok(client)
    }

    fn outside(&self, kind: SocketType, ip: IpAddr) -> Result<OwnedFd, String> {
        let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        socket_with(family, kind, SocketFlags::CLOEXEC, None).map_err(failed("socket"))
    }

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
        if pair.iter().all(|socket| socket.reuseport.after_bind()) { SHARES } else { 2 }
    }

    /// Who accepts, for each address that a client may connect to.
    fn connections(&self, a: &OwnedFd, b: &OwnedFd) -> Result<Vec<(IpAddr, Receiver)>, Trouble> {
        let mut deliveries = Vec::new();
        for ip in self.destinations() {
            let mut each = Vec::new();
            for _ in 0..self.tries() {
                let client = self.outside(SocketType::STREAM, ip)?;
                match connect(&client, &self.address(ip)) {
                    Err(Errno::CONNREFUSED) => each.push((false, false)),
                    Err(errno) => return Err(failed("connect")(errno).into()),
                    Ok(()) => each.push(wait_for("accept", || {
                        let accepted = |fd: &OwnedFd| match accept_with(fd, FLAGS) {
                            Ok(child) => set_socket_linger(&child, Some(Duration::ZERO)).is_ok(),
                            Err(_) => false,
                        };
                        let who = (accepted(a), accepted(b));
                        Ok((who != (false, false)).then_some(who))
                    })?),
                }
            }
            deliveries.push((ip, Receiver::of(&each)));
        }
        Ok(deliveries)
    }

    /// Who receives, for each address that may be sent to. Both are members of the groups.
    fn datagrams(&self, a: &OwnedFd, b: &OwnedFd) -> Result<Vec<(IpAddr, Receiver)>, String> {
        for (fd, socket) in [(a, &self.cell.there[0]), (b, &self.cell.new)] {
            let joined = if socket.ip.is_ipv4() {
                set_ip_add_membership(fd, &GROUP_IPV4, &Ipv4Addr::LOCALHOST)
            } else {
                set_ipv6_add_membership(fd, &GROUP_IPV6, LOOPBACK)
            };
            joined.map_err(failed("joining the group"))?;
        }
        // A datagram to itself, after the others on the same way: when it is there, they are.
        let fence = self.outside(SocketType::DGRAM, Ipv4Addr::LOCALHOST.into())?;
        bind(&fence, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(failed("bind"))?;
        let fence_address =
            getsockname(&fence).and_then(SocketAddr::try_from).map_err(failed("getsockname"))?;

        let mut deliveries = Vec::new();
        'destinations: for ip in self.destinations() {
            let mut each = Vec::new();
            for _ in 0..self.tries() {
                let sender = self.outside(SocketType::DGRAM, ip)?;
                let prepared = match ip {
                    IpAddr::V4(_) => set_socket_broadcast(&sender, true)
                        .and_then(|()| set_ip_multicast_if(&sender, &Ipv4Addr::LOCALHOST)),
                    IpAddr::V6(_) => set_ipv6_multicast_if(&sender, LOOPBACK),
                };
                prepared.map_err(failed("setsockopt"))?;
                let none = SendFlags::empty();
                match sendto(&sender, b"?", none, &self.address(ip)) {
                    Ok(_) => {}
                    Err(Errno::NETUNREACH) => continue 'destinations, // no such route here
                    Err(errno) => {
                        return Err(format!("a datagram to {ip}: {}", world::words(errno)));
                    }
                }
                sendto(&fence, b"!", none, &fence_address).map_err(failed("sendto"))?;
                recv(&fence, &mut [0; 1][..], RecvFlags::empty()).map_err(failed("recv"))?;
                let received = |fd| recv(fd, &mut [0; 1][..], RecvFlags::DONTWAIT).is_ok();
                each.push((received(a), received(b)));
            }
            deliveries.push((ip, Receiver::of(&each)));
        }
        Ok(deliveries)
    }
}

/// No listener waits for a client that is gone.
const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

fn failed(what: &'static str) -> impl Fn(Errno) -> String {
    move |errno| format!("{what}: {}", world::words(errno))
}
