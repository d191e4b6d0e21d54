//! What the model says of a cell: its calls, one after the other, on the kernel's bucket; and who of
//! A and B receives.

use super::cell::{BROADCAST, Cell, Device, GROUP_IPV4, GROUP_IPV6, Route, Socket, State};
use super::netlink::LOOPBACK;
use crate::kernel::bind::{Bucket, Rule, Sock, needs_scope, udp_bind};
use crate::kernel::receive::{self, Candidate, Destination, Reason, Receiver, Side};
use crate::kernel::{Call, Options, Proto, Set, Verdict, Version};
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The user who runs this program, wherever there is another. Before Linux 6.17 a socket without a
/// process counts as root's.
const ROOT: u32 = 0;

/// What the model says of a cell, on a kernel.
pub fn predict(cell: &Cell, version: Version) -> (Verdict, Rule) {
    let decide = || {
        check_address(&cell.new)?;
        let rule = match cell.proto {
            Proto::Udp => udp(cell)?,
            Proto::Tcp => tcp(cell, version)?,
        };
        check_destination(cell)?;
        Ok(rule)
    };
    match decide() {
        Ok(rule) => (Verdict::Ok, rule),
        Err((call, rule)) => {
            let is_ipv4 = cell.new.ip.is_ipv4();
            let errno = match (cell.proto, call, rule) {
                (.., Rule::NoScope) => Errno::INVAL,
                (.., Rule::NotOnDevice) => Errno::ADDRNOTAVAIL,
                // A socket at a mapped address keeps it as its source, which there is no way from:
                // ip_route_output_key_hash_rcu.
                (Proto::Udp, _, Rule::Broadcast) if is_ipv4 => Errno::ACCESS,
                (.., Rule::Broadcast) => Errno::NETUNREACH,
                (Proto::Tcp, Call::Connect, _) => Errno::ADDRNOTAVAIL,
                (Proto::Udp, Call::Connect, _) => Errno::AGAIN,
                _ => Errno::ADDRINUSE,
            };
            (Verdict::Failed { call, errno }, rule)
        }
    }
}

/// What bind asks of the address, before it looks at the port: `__inet6_bind`. `__inet_bind` does not
/// ask on which device an address is.
fn check_address(new: &Socket) -> Result<(), (Call, Rule)> {
    let IpAddr::V6(ip) = new.ip else { return Ok(()) };
    // ipv6_chk_addr: an address of global scope may be on any device. ::1 has the scope of the host.
    match new.device {
        _ if new.route == Route::Connect => Ok(()),
        None if ip.is_multicast() && needs_scope(ip) => Err((Call::Bind, Rule::NoScope)),
        Some(Device::Other) if ip.is_loopback() => Err((Call::Bind, Rule::NotOnDevice)),
        _ => Ok(()),
    }
}

/// Nobody connects to a broadcast address without SO_BROADCAST, nor with TCP: `tcp_v4_connect`,
/// `__ip4_datagram_connect`.
fn check_destination(cell: &Cell) -> Result<(), (Call, Rule)> {
    let is_broadcast = cell.new.destination() == IpAddr::V4(BROADCAST);
    match cell.new.route != Route::Bind && is_broadcast {
        true => Err((Call::Connect, Rule::Broadcast)),
        false => Ok(()),
    }
}

/// When the verdict of a cell was another.
pub struct History {
    /// The versions since which it has a verdict, the oldest first.
    pub eras: Vec<(Version, Verdict)>,
    /// The two stable series that have half of 6.8 have another.
    pub is_other_in_half: bool,
}

/// The verdict of a cell in each version.
pub fn history(cell: &Cell) -> History {
    use Version as V;
    let mut eras: Vec<(V, Verdict)> = Vec::new();
    for start in [V::OLDEST, V::ADDRESS_BUCKETS, V::ONE_LIST, V::ORPHANS_USER, V::CONNECT_AGAIN] {
        // Before its patch release 6.1 was as 6.2.
        let version = if start.has_half_of_6_8() { V(start.0, start.1 + 1, 0) } else { start };
        let verdict = predict(cell, version).0;
        if eras.last().is_none_or(|last| last.1 != verdict) {
            eras.push((start, verdict));
        }
    }
    let of_half = predict(cell, V::HALF_OF_6_8[0]).0;
    History { is_other_in_half: of_half != eras[0].1, eras }
}

/// The number of a device, as far as a cell tells devices apart; 0 without one.
fn device_number(device: Option<Device>) -> u32 {
    match device {
        None => 0,
        Some(Device::Lo) => LOOPBACK,
        Some(Device::Other) => LOOPBACK + 1,
    }
}

/// A socket of a cell as it is at bind. connect, which binds to no address, sets no IPV6_V6ONLY.
fn binding(socket: &Socket) -> Sock {
    let sock = Sock::new(socket.ip, socket.v6only);
    Sock {
        v6only: if socket.route == Route::Connect { socket.v6only } else { sock.v6only },
        came_with_reuseport: socket.reuseport.at_bind(),
        options: Options {
            reuseaddr: socket.reuseaddr.at_bind(),
            reuseport: socket.reuseport.at_bind(),
        },
        user: u32::from(socket.other_user),
        device: device_number(socket.device),
        has_group: socket.program == Set::Before,
        by_connect: socket.route == Route::Connect,
        ..sock
    }
}

/// As it is afterwards.
fn bound(socket: &Socket) -> Sock {
    Sock {
        has_group: socket.program != Set::Never,
        options: Options {
            reuseaddr: socket.reuseaddr.after_bind(),
            reuseport: socket.reuseport.after_bind(),
        },
        ..binding(socket)
    }
}

/// As it is when it has connected, or a connection of it: at one address.
fn connected(socket: &Socket) -> Sock {
    // By way of a device without an address there is no source (inet_select_addr): it stays where it is.
    let has_no_source = socket.device == Some(Device::Other) && socket.is_wildcard();
    let ip = if has_no_source { socket.ip } else { socket.destination_on_own_family() };
    Sock { ip, ..bound(socket) }
}

/// The old sockets come to the port, and A gets to its state.
fn old_sockets(cell: &Cell, version: Version) -> Bucket {
    let mut bucket = Bucket::new(version);
    let bind = |bucket: &mut Bucket, socket: &Socket| {
        let _ = bucket.bind(&binding(socket));
        bucket.owners.push(bound(socket));
    };
    let a = &cell.a;
    match a.route {
        Route::Connect => bucket.connected(bound(a)),
        _ => bind(&mut bucket, a),
    }
    if !cell.state.is_bound() {
        bring(&mut bucket, a, cell.state, version);
    }
    if cell.state == State::Closed {
        bucket.remove(0);
    }
    for socket in &cell.others {
        bind(&mut bucket, socket);
    }
    let mut is_closed = cell.others.iter().map(|socket| socket.closed).rev();
    for at in (0..bucket.owners.len()).rev() {
        if is_closed.next() == Some(true) {
            bucket.remove(at);
        }
    }
    bucket
}

/// A, the first owner, gets to its state.
fn bring(bucket: &mut Bucket, a: &Socket, state: State, version: Version) {
    use State as S;
    if a.route == Route::Bind {
        let _ = bucket.listen(0);
    }
    let mut child = Sock { is_record: matches!(state, S::FinWait2 | S::TimeWait), ..connected(a) };
    if matches!(state, S::FinWait1 | S::LastAck) && version < Version::ORPHANS_USER {
        child.user = ROOT;
    }
    match state {
        S::Listening => {}
        S::ShutDown => bucket.owners[0].listens = false,
        S::Connection => bucket.owners.push(child),
        S::Connected | S::FinWait1 | S::HalfClosed | S::FinWait2 | S::CloseWait => {
            bucket.owners[0] = child;
        }
        S::LastAck | S::TimeWait | S::Closed => bucket.owners[0] = child,
        // A is bound, and has done no more.
        S::Bound | S::Between | S::Exhausted => {}
        S::ExhaustedReuse0 | S::ExhaustedReuse1 | S::ExhaustedReuse1Between => {}
    }
}

/// B's calls, and what they find.
fn tcp(cell: &Cell, version: Version) -> Result<Rule, (Call, Rule)> {
    use State::{Closed, FinWait2, TimeWait};
    let mut bucket = old_sockets(cell, version);
    let (a, b) = (&cell.a, &cell.new);
    let is_same = a.route != Route::Bind && cell.state != Closed && cell.is_same_server();
    if b.route == Route::Connect {
        return bucket.connect(is_same).map_err(|rule| (Call::Connect, rule));
    }
    let found = match cell.state.autobind_reuse() {
        Some(autobind_reuse) => bucket.bind_any(&binding(b), autobind_reuse),
        None => bucket.bind(&binding(b)),
    };
    let rule = found.map_err(|rule| (Call::Bind, rule))?;
    if b.route == Route::BindConnect {
        return match (is_same, cell.state) {
            (true, TimeWait | FinWait2) => Ok(Rule::ConnectTimeWait),
            (true, _) => Err((Call::Connect, Rule::ConnectSamePeer)),
            _ => Ok(rule),
        };
    }
    bucket.owners.push(bound(b));
    if cell.state.is_between() {
        let _ = bucket.listen(0);
    }
    let last = bucket.owners.len() - 1;
    bucket.listen(last).map_err(|rule| (Call::Listen, rule))?;
    Ok(rule)
}

fn udp(cell: &Cell) -> Result<Rule, (Call, Rule)> {
    let a = match cell.state {
        State::Closed => None,
        State::Connected => Some(connected(&cell.a)),
        _ => Some(bound(&cell.a)),
    };
    let others = cell.others.iter().filter(|socket| !socket.closed);
    let there: Vec<Sock> = a.into_iter().chain(others.map(bound)).collect();
    let mut new = binding(&cell.new);
    let call = match cell.new.route {
        Route::Connect => {
            // inet_autobind comes first, when there is no address yet.
            new.ip = match new.ip {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            Call::Connect
        }
        _ => Call::Bind,
    };
    let is_any_port = call == Call::Connect || cell.state.is_exhausted();
    udp_bind(&there, &new, is_any_port).map_err(|rule| (call, rule))
}

/// Who gets what is sent or connected to `to`, where A and B both are there; and what decides.
pub fn receiver(cell: &Cell, to: Destination, version: Version) -> (Receiver, Reason) {
    let a_is_connected = cell.proto == Proto::Udp && cell.state == State::Connected;
    let listens =
        matches!(cell.state, State::Listening | State::Connection) || cell.state.is_between();
    let a = Candidate {
        takes: cell.proto == Proto::Udp || listens,
        ..candidate(&cell.a, cell.proto, a_is_connected.then_some(Side::A))
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
        device: device_number(socket.device),
        peer,
        has_moved: peer.is_some() && (socket.ip.is_unspecified() || socket.route == Route::Connect),
        came_with_reuseport: match proto {
            Proto::Tcp => socket.reuseport.after_bind(),
            Proto::Udp => socket.reuseport.at_bind(),
        },
        reuseport: socket.reuseport.after_bind(),
        program: socket.program,
        member_of: group(socket.ip),
        user: u32::from(socket.other_user),
    }
}

/// The group that a socket at `ip` joins.
fn group(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => GROUP_IPV4.into(),
        IpAddr::V6(_) => GROUP_IPV6.into(),
    }
}
