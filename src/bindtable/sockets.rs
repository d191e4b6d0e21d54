//! The sockets that have a port as their own, as the kernel lists them.
//!
//! sock_diag(7) is asked first, for both families and for every state, sockets that are bound and
//! do not listen among them (Linux 6.8). Where it is missing or refused, `/proc/net/*` is read.

use crate::kernel::Proto;
use crate::named::named;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, Timer,
};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

named! {
    /// The state of a socket, under the name that netstat(8) has for it.
    State {
        Listen = "LISTEN",
        /// Bound, and neither listening nor connected: `CLOSE` in the kernel, `UNCONN` in ss(8).
        Bound = "BOUND",
        Established = "ESTABLISHED",
        SynSent = "SYN_SENT",
        SynRecv = "SYN_RECV",
        CloseWait = "CLOSE_WAIT",
        FinWait1 = "FIN_WAIT1",
        FinWait2 = "FIN_WAIT2",
        Closing = "CLOSING",
        LastAck = "LAST_ACK",
        TimeWait = "TIME_WAIT",
    }
}

impl State {
    /// From the number in `include/net/tcp_states.h`. UDP has two of them.
    fn new(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynRecv,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 | 13 => Self::Bound,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => return None,
        })
    }
}

/// A socket as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub state: State,
    /// Its own address, and its port.
    pub local: IpAddr,
    pub port: u16,
    /// The other end, if it has one.
    pub peer: Option<(IpAddr, u16)>,
    /// IPV6_V6ONLY, if the kernel tells: not of a connection or a TIME_WAIT, and not in `/proc/net`.
    /// A socket at a mapped address never has it: bind and connect refuse that.
    pub v6only: Option<bool>,
    /// Whether it is the small record that TIME_WAIT is, and FIN_WAIT2 without a process.
    pub is_record: bool,
    /// The user; 0 for a record, which has none.
    pub uid: u32,
    /// What `/proc/PID/fd` calls it; 0 if no process has it.
    pub inode: u64,
    /// How long its timer still runs, in milliseconds.
    pub timer_ms: Option<u32>,
    /// Of a listener: the connections that wait to be accepted. Of others: bytes to be read.
    pub recv_queue: u32,
    /// Of a listener: its backlog. Of others: bytes that are not acknowledged.
    pub send_queue: u32,
    /// The number of the device that it is bound to (SO_BINDTODEVICE, or the scope of a link-local
    /// address), 0 without one; none if the kernel does not tell: in `/proc/net`.
    pub device: Option<u32>,
    /// The number by which the kernel tells it from every other one.
    pub cookie: [u8; 8],
}

impl Listed {
    /// Whether the port's bucket has it. A handshake that is under way (`request_sock`) is not
    /// in the bucket.
    pub fn is_owner(&self) -> bool {
        self.state != State::SynRecv || self.inode != 0
    }

    /// Whether it has a user: a record has none, nor has a handshake that is under way.
    pub fn has_user(&self) -> bool {
        !self.is_record && self.is_owner()
    }
}

/// The states in which sock_diag lists sockets: all but `Bound`, for which it looks at every port.
pub const ALL_BUT_BOUND: u32 = 0x1fff;

/// Every state: `TCPF_BOUND_INACTIVE` too, which has no name in the library.
pub const ALL: u32 = !0;

/// The states of a socket without a peer: of TCP, those for which the kernel need not go through its
/// connections.
pub const fn without_peer(proto: Proto) -> u32 {
    match proto {
        Proto::Tcp => 1 << 10 | 1 << 13, // LISTEN, TCPF_BOUND_INACTIVE
        Proto::Udp => 1 << 7,            // TCP_CLOSE
    }
}

/// The states in which clients reach a socket: of TCP, LISTEN.
pub const fn receiving(proto: Proto) -> u32 {
    match proto {
        Proto::Tcp => 1 << 10,
        Proto::Udp => without_peer(proto),
    }
}

/// Every socket on `port`, 0 for any, in one of the `states`, or why the kernel does not list them. It
/// fails with what socket(2), send(2) or recv(2) on sock_diag(7) say, or an answer that is not understood.
pub fn listed(proto: Proto, port: u16, states: u32) -> io::Result<Vec<Listed>> {
    let mut all = dump(proto, AF_INET, [port, 0], states)?;
    match dump(proto, AF_INET6, [port, 0], states) {
        // A kernel without IPv6 has no such table.
        Err(error) if error.raw_os_error() == Some(2) => {}
        more => all.extend(more?),
    }
    Ok(all)
}

/// The number of the error; EIO's if it has none.
pub fn errno_of(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}

/// The same error as std's: rustix does that itself only with std, which the ports must not get.
pub fn std_error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

/// Every connection to that address: as the kernel lists them, or else as [`in_proc`] has it. It fails with what
/// reading the tables says.
pub fn connections_to(proto: Proto, peer: SocketAddr) -> io::Result<Vec<Listed>> {
    let ports = [0, peer.port()];
    let all = dump(proto, AF_INET, ports, ALL_BUT_BOUND).map(|mut all| {
        all.extend(dump(proto, AF_INET6, ports, ALL_BUT_BOUND).unwrap_or_default());
        all
    });
    let mut all = all.or_else(|_| in_proc("/proc/thread-self/net", proto, ports))?;
    // An address of IPv4 is one, mapped or not.
    let is_there = |ip: IpAddr| ip.to_canonical() == peer.ip().to_canonical();
    all.retain(|socket| socket.peer.is_some_and(|(ip, _)| is_there(ip)));
    Ok(all)
}

/// Asks for the sockets with these ports, the socket's own and its peer's, where 0 is any.
fn dump(proto: Proto, family: u8, ports: [u16; 2], states: u32) -> io::Result<Vec<Listed>> {
    let mut socket_id = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
    [socket_id.source_port, socket_id.destination_port] = ports;
    let request = InetRequest {
        family,
        protocol: if proto == Proto::Tcp { IPPROTO_TCP } else { IPPROTO_UDP },
        extensions: ExtensionFlags::empty(),
        states: StateFlags::from_bits_retain(states),
        socket_id,
    };
    let mut all = Vec::new();
    ask(SockDiagMessage::InetRequest(request), &mut |answer, bytes| {
        if let SockDiagMessage::InetResponse(found) = answer {
            all.extend(to_listed(&found, bytes));
        }
    })?;
    all.retain(|socket| [0, socket.port].contains(&ports[0])); // bound sockets are listed whatever their port
    Ok(all)
}

/// Asks sock_diag(7) for a dump, and gives each message of the answer, with the bytes from its
/// start. It fails with what socket(2), send(2) or recv(2) say, and the kernel in its answer: ENOENT
/// without the table's module; or with an answer that is not understood.
pub fn ask(
    request: SockDiagMessage,
    each: &mut dyn FnMut(SockDiagMessage, &[u8]),
) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, request.into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )
    .map_err(std_error)?;
    let to = SocketAddrNetlink::new(0, 0);
    sendto(&kernel, &bytes, SendFlags::empty(), &to).map_err(std_error)?;

    let mut buffer = vec![0; 1 << 16];
    loop {
        let (_, length) = recv(&kernel, &mut buffer[..], RecvFlags::empty()).map_err(std_error)?;
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(answer) => each(answer, rest),
                _ => {}
            }
            let length = message.header.length.next_multiple_of(4) as usize;
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn to_listed(found: &InetResponse, message: &[u8]) -> Option<Listed> {
    /// Where `idiag_expires` is, after `struct nlmsghdr`: `struct inet_diag_msg`. By hand, since
    /// the library has no room for the time that a TIME_WAIT has left.
    const EXPIRES: std::ops::Range<usize> = 16 + 52..16 + 56;
    let header = &found.header;
    let timer_ms = message.get(EXPIRES)?.try_into().map(u32::from_ne_bytes).ok()?;
    let id = &header.socket_id;
    let v6only = found.nlas.iter().find_map(|nla| match nla {
        Nla::SkV6Only(is_set) => Some(*is_set),
        _ => None,
    });
    Some(Listed {
        state: State::new(header.state)?,
        local: id.source_address,
        port: id.source_port,
        peer: (id.destination_port != 0).then_some((id.destination_address, id.destination_port)),
        v6only: v6only.or(v6only_by_address(id.source_address)),
        is_record: header.timer == Some(Timer::TimeWait),
        uid: header.uid,
        inode: header.inode.into(),
        timer_ms: header.timer.as_ref().map(|_| timer_ms),
        recv_queue: header.recv_queue,
        send_queue: header.send_queue,
        device: Some(id.interface_id),
        cookie: id.cookie,
    })
}

/// The sockets with these ports, its own and its peer's, where 0 is any, in the tables below `folder`,
/// `/proc/net` or that of another process. Bound sockets of TCP that do not listen are not there.
pub fn in_proc(folder: &str, proto: Proto, ports: [u16; 2]) -> io::Result<Vec<Listed>> {
    let mut all = Vec::new();
    for family in ["", "6"] {
        // In as few reads as may be: what two of them give is of two moments.
        let mut table = String::with_capacity(1 << 16);
        let file = File::open(format!("{folder}/{}{family}", proto.name()));
        match file.and_then(|mut file| file.read_to_string(&mut table)) {
            Err(error) if family == "6" && error.kind() == io::ErrorKind::NotFound => continue,
            read => read?,
        };
        all.extend(table.lines().skip(1).filter_map(|line| row(line, ports)));
    }
    Ok(all)
}

/// A row of proc_net_tcp: `sl local remote st tx:rx tr:when retrnsmt uid timeout inode ...`.
fn row(line: &str, ports: [u16; 2]) -> Option<Listed> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, port) = address(fields.get(1)?)?;
    let (peer, peer_port) = address(fields.get(2)?)?;
    if ![0, port].contains(&ports[0]) || ![0, peer_port].contains(&ports[1]) {
        return None;
    }
    let (sent, received) = fields.get(4)?.split_once(':')?;
    let (timer, expires) = fields.get(5)?.split_once(':')?;
    let hex = |text| u32::from_str_radix(text, 16).ok();
    let (timer, hundredths) = (hex(timer)?, hex(expires)?);
    Some(Listed {
        state: State::new(u8::try_from(hex(fields.get(3)?)?).ok()?)?,
        local,
        port,
        peer: (peer_port != 0).then_some((peer, peer_port)),
        v6only: v6only_by_address(local),
        is_record: timer == 3,
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
        timer_ms: (timer != 0).then_some(hundredths.saturating_mul(10)),
        recv_queue: hex(received)?,
        send_queue: hex(sent)?,
        device: None,
        cookie: [0; 8],
    })
}

/// IPV6_V6ONLY of a socket at `local`, where the address itself tells: it is off at an IPv4 address,
/// mapped or not.
fn v6only_by_address(local: IpAddr) -> Option<bool> {
    local.to_canonical().is_ipv4().then_some(false)
}

/// `0100007F:0D83`: words of 32 bits in this machine's order, a port in hexadecimal digits.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let mut octets = Vec::new();
    for start in (0..ip.len()).step_by(8) {
        let word = u32::from_str_radix(ip.get(start..start + 8)?, 16).ok()?;
        octets.extend(word.to_ne_bytes());
    }
    let ip = match octets.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into(),
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?))
}
