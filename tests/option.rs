//! What `docs/so_reuseaddr.md` says about the option, measured on this kernel.

use crate::bindtable::bindtable;
use crate::documents::{compare, is_current};
use crate::harness::{
    self, Capture, Client, PORT, Process, Program, Row, Runtime, Sender, Switches, Variant,
    close_server_first, read, rows, run, time_wait_left, wait_for, wait_for_exactly, words,
};
use crate::outcomes;
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, write};
use rustix::net::sockopt::{set_ip_add_membership, set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, accept_with, bind, listen, recv, socket_with,
};
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::process::Command;

const DOCUMENT: &str = "docs/so_reuseaddr.md";
const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

const TRIALS: [(&str, fn()); 21] = [
    ("option_drawing", || is_current(DOCUMENT, "drawing", &drawing())),
    ("option_rule", || is_current(DOCUMENT, "rule", &rule())),
    ("option_addresses", addresses),
    ("option_is_the_connections", is_the_connections),
    ("option_client_closes_first", client_closes_first),
    ("option_reset_leaves_nothing", reset_leaves_nothing),
    ("option_client_resets", client_resets),
    ("option_time_wait_lasts", time_wait_lasts),
    ("option_who_listens_first", who_listens_first),
    ("option_tcp_takeover", tcp_takeover),
    ("option_nobody_accepts", nobody_accepts),
    ("option_udp_unicast", udp_unicast),
    ("option_udp_same_peer", udp_same_peer),
    ("option_udp_order", udp_order),
    ("option_udp_groups", udp_groups),
    ("option_udp_multicast", udp_multicast),
    ("option_udp_multicast_all", udp_multicast_all),
    ("option_udp_broadcast", udp_broadcast),
    ("option_culprit", culprit),
    ("option_names", names),
    ("option_cells", cells),
];

pub fn trials() -> Vec<Trial> {
    TRIALS.map(|(name, check)| harness::trial(name, check)).into()
}

/// Each test that the document names exists.
fn names() {
    let trials = [trials(), crate::pitfalls::trials(), crate::claims::trials(), outcomes::trials()];
    let trials: Vec<&str> = trials.iter().flatten().map(Trial::name).collect();
    for name in words(&read(DOCUMENT)) {
        let is_test = ["option_", "pitfall_", "claim_", "outcome_"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        let exists = trials.iter().any(|trial| trial.starts_with(name));
        assert!(!is_test || exists, "{DOCUMENT} names {name}");
    }
}

/// Each cell of the bind table that the document names has the outcome that stands behind it.
fn cells() {
    let document = read(DOCUMENT).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut count = 0;
    for (at, _) in document.match_indices("`tcp/").chain(document.match_indices("`udp/")) {
        let (cell, rest) = document[at + 1..].split_once('`').expect("the cell ends");
        let said = rest.strip_prefix(": ").and_then(|said| said.split([')', ';']).next());
        if cell.contains("+other-user") && !harness::has_two_users() {
            eprintln!("{cell} is not tried: it needs root");
            continue;
        }
        let tried = bindtable(&["explain", cell]);
        let measured = tried.lines().nth(1).and_then(|line| line.split_once(": "));
        let (_, measured) = measured.unwrap_or_else(|| panic!("{tried}"));
        let [said, measured] = [said.unwrap_or("?"), measured].map(|line| format!("{line}\n"));
        compare(&format!("{DOCUMENT}: {cell}"), &said, &measured);
        count += 1;
    }
    assert!(count > 0, "{DOCUMENT} names no cell");
}

/// The option that a socket sets before it binds.
#[derive(Clone, Copy, PartialEq)]
enum Flag {
    None,
    ReuseAddr,
    ReusePort,
}

impl Flag {
    const ALL: [Self; 3] = [Self::None, Self::ReuseAddr, Self::ReusePort];
}

/// A socket with `flag` set, bound to `ip`; or the error of `bind`.
fn bound(kind: SocketType, flag: Flag, ip: Ipv4Addr) -> Result<OwnedFd, Errno> {
    let fd = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
    match flag {
        Flag::None => {}
        Flag::ReuseAddr => set_socket_reuseaddr(&fd, true)?,
        Flag::ReusePort => set_socket_reuseport(&fd, true)?,
    }
    bind(&fd, &SocketAddrV4::new(ip, PORT))?;
    Ok(fd)
}

fn bound_tcp(flag: Flag, ip: Ipv4Addr) -> Result<OwnedFd, Errno> {
    bound(SocketType::STREAM, flag, ip)
}

fn start_listening(fd: &OwnedFd) -> Result<(), Errno> {
    listen(fd, 8)
}

fn listener(flag: Flag) -> OwnedFd {
    let fd = bound_tcp(flag, LOCALHOST).expect("the address is free");
    start_listening(&fd).expect("the address is free");
    fd
}

/// Both ends of a connection, the server's first.
fn connection(listener: &OwnedFd) -> (OwnedFd, TcpStream) {
    let client = TcpStream::connect((LOCALHOST, PORT)).expect("the server listens");
    let server = accept_with(listener, SocketFlags::CLOEXEC).expect("the client has connected");
    (server, client)
}

/// Whether a new socket can bind and listen at the address.
fn may_listen(flag: Flag) -> bool {
    match bound_tcp(flag, LOCALHOST) {
        Err(no) => {
            assert_eq!(no, Errno::ADDRINUSE);
            false
        }
        Ok(fd) => {
            start_listening(&fd).expect("the socket is bound");
            true
        }
    }
}

fn may_bind_udp(old: Flag, new: Flag) -> bool {
    let _old = bound(SocketType::DGRAM, old, LOCALHOST).expect("the address is free");
    bound(SocketType::DGRAM, new, LOCALHOST).is_ok()
}

/// The table of the rule: can a new socket bind and listen, by the state of the old socket?
fn rule() -> String {
    const TCP: [&str; 5] =
        ["TCP, bound, not listening", "LISTEN", "ESTABLISHED", "FIN_WAIT2", "TIME_WAIT"];
    const UDP: &str = "UDP, bound";
    let mut table =
        "| there already | `SO_REUSEADDR` on both | `SO_REUSEPORT` on both |".to_owned();
    table.push_str(" any of the 7 other pairs |\n|---|---|---|---|\n");
    for state in TCP.into_iter().chain([UDP]) {
        let may = |old, new| {
            harness::in_namespace(|| {
                if state == UDP {
                    return may_bind_udp(old, new);
                }
                let _old = stand(state, old);
                may_listen(new)
            })
        };
        let pairs = Flag::ALL.into_iter().flat_map(|old| Flag::ALL.map(|new| (old, new)));
        let is_same = |(old, new): &(Flag, Flag)| old == new && *new != Flag::None;
        let others =
            pairs.filter(|pair| !is_same(pair)).filter(|&(old, new)| may(old, new)).count();
        let word = |may| match (may, state == UDP) {
            (true, true) => "**binds**",
            (true, false) => "**listens**",
            (false, _) => "in use",
        };
        table.push_str(&format!(
            "| {state} | {} | {} | {} |\n",
            word(may(Flag::ReuseAddr, Flag::ReuseAddr)),
            word(may(Flag::ReusePort, Flag::ReusePort)),
            word(others > 0),
        ));
    }
    table
}

/// The sockets that leave the address in `state`.
fn stand(state: &str, flag: Flag) -> (Option<OwnedFd>, Option<TcpStream>) {
    if state.ends_with("not listening") {
        return (bound_tcp(flag, LOCALHOST).ok(), None);
    }
    let listener = listener(flag);
    if state == "LISTEN" {
        return (Some(listener), None);
    }
    let (server, client) = connection(&listener);
    drop(listener);
    match state {
        "ESTABLISHED" => {
            wait_for_exactly(&[Row::client("ESTABLISHED"), Row::server("ESTABLISHED")]);
            (Some(server), Some(client))
        }
        "FIN_WAIT2" => {
            drop(server);
            wait_for_exactly(&[Row::client("CLOSE_WAIT"), Row::server("FIN_WAIT2")]);
            (None, Some(client))
        }
        _ => {
            close_server_first(server, client);
            (None, None)
        }
    }
}

/// The wildcard address conflicts with a specific address. Two specific addresses do not conflict.
fn addresses() {
    for flag in [Flag::None, Flag::ReuseAddr] {
        for (there, new) in [(LOCALHOST, ANY), (ANY, LOCALHOST)] {
            harness::in_namespace(|| {
                let there = bound_tcp(flag, there).expect("the address is free");
                start_listening(&there).expect("the address is free");
                assert_eq!(bound_tcp(flag, new).err(), Some(Errno::ADDRINUSE));
            });
        }
        harness::in_namespace(|| {
            let _listener = listener(flag);
            let other =
                bound_tcp(flag, Ipv4Addr::new(127, 0, 0, 2)).expect("the other address is free");
            start_listening(&other).expect("the other address is free");
        });
    }
}

/// A TIME_WAIT keeps the flag that the connection itself had when it ended.
fn is_the_connections() {
    for flag in [Flag::None, Flag::ReuseAddr] {
        let is_set = flag == Flag::ReuseAddr;
        let after = |change: fn(&OwnedFd, &OwnedFd, bool)| {
            harness::in_namespace(|| {
                let listener = listener(flag);
                let (server, client) = connection(&listener);
                change(&listener, &server, !is_set);
                drop(listener);
                close_server_first(server, client);
                bound_tcp(Flag::ReuseAddr, LOCALHOST).is_ok()
            })
        };
        let of_listener = after(|listener, _, on| {
            set_socket_reuseaddr(listener, on).expect("the descriptor is a socket");
        });
        let of_connection = after(|_, connection, on| {
            set_socket_reuseaddr(connection, on).expect("the descriptor is a socket");
        });
        let before_accept = harness::in_namespace(|| {
            let listener = listener(flag);
            let client = TcpStream::connect((LOCALHOST, PORT)).expect("the server listens");
            set_socket_reuseaddr(&listener, !is_set).expect("the descriptor is a socket");
            let server = accept_with(&listener, SocketFlags::CLOEXEC).expect("it has connected");
            drop(listener);
            close_server_first(server, client);
            bound_tcp(Flag::ReuseAddr, LOCALHOST).is_ok()
        });
        assert_eq!(before_accept, is_set, "the connection gets it when the handshake ends");
        assert_eq!(of_listener, is_set, "the connection keeps what it got from its listener");
        assert_eq!(of_connection, !is_set, "the connection's own flag is what TIME_WAIT keeps");
    }
}

fn server(reuseaddr: bool) -> Process {
    let switches = Switches { reuseaddr, close_listener: false };
    let variant = Variant::new(Program::Treuseaddr, Runtime::Raw).with(switches);
    Process::start(&mut variant.command())
}

/// The side that closes first has the TIME_WAIT. If that is the client, no server needs the option.
fn client_closes_first() {
    let mut old = server(false);
    let mut client = Client::connect();
    client.exchange("hello\n");
    client.shutdown();
    assert_eq!(old.wait(), 0);
    wait_for_exactly(&[Row::client("TIME_WAIT")]);
    let _new = server(false);
    wait_for("LISTEN", || rows().contains(&Row::LISTEN).then_some(()));
}

/// A server that exits with unread data resets the connection, and leaves no TIME_WAIT.
fn reset_leaves_nothing() {
    let listener = listener(Flag::None);
    let (server, client) = connection(&listener);
    (&client).write_all(b"unread").expect("the client is connected");
    wait_for("unread data", || waiting(&server).then_some(()));
    drop(listener);
    drop(server);
    wait_for_exactly(&[]);
    bound_tcp(Flag::None, LOCALHOST).expect("nothing is left");
}

/// A client that sends after the server's end, or ends with unread data, leaves nothing, TIME_WAIT neither.
fn client_resets() {
    for sends in [false, true] {
        let listener = listener(Flag::None);
        let (server, client) = connection(&listener);
        write(&server, b"unread").expect("the client is connected");
        drop(listener);
        drop(server);
        wait_for_exactly(&[Row::client("CLOSE_WAIT"), Row::server("FIN_WAIT2")]);
        if sends {
            (&client).write_all(b"more").expect("its half is open");
        } else {
            drop(client);
        }
        wait_for_exactly(&[]);
        bound_tcp(Flag::None, LOCALHOST).expect("nothing is left");
    }
}

/// TIME_WAIT begins with 60 seconds.
fn time_wait_lasts() {
    stand("TIME_WAIT", Flag::None);
    let left = time_wait_left();
    assert!((5000..=6000).contains(&left), "{left} hundredths of a second");
}

/// Two sockets can bind one address, and only the first that calls `listen` can listen.
fn who_listens_first() {
    let first = bound_tcp(Flag::ReuseAddr, LOCALHOST).expect("the address is free");
    let second = bound_tcp(Flag::ReuseAddr, LOCALHOST).expect("both have the option");
    assert_eq!(rows(), [], "no table shows what is bound and does not listen");
    start_listening(&second).expect("the other does not listen");
    assert_eq!(start_listening(&first), Err(Errno::ADDRINUSE));
    drop(second);
    // Not at once: a process that another trial forks meanwhile has a copy until its exec.
    wait_for("the other to end", || start_listening(&first).ok());
}

/// Of two sockets, the second takes no clients from a listener: not at the same address, a specific one or
/// the wildcard, whichever has SO_REUSEADDR; nor if it was bound before and both have it.
fn tcp_takeover() {
    for (first, second) in [(LOCALHOST, LOCALHOST), (ANY, LOCALHOST), (LOCALHOST, ANY)] {
        for (old, new) in [
            (Flag::None, Flag::None),
            (Flag::None, Flag::ReuseAddr),
            (Flag::ReuseAddr, Flag::None),
            (Flag::ReuseAddr, Flag::ReuseAddr),
        ] {
            harness::in_namespace(|| {
                let listener = bound_tcp(old, first).expect("the address is free");
                start_listening(&listener).expect("the address is free");
                assert_eq!(bound_tcp(new, second).err(), Some(Errno::ADDRINUSE));
                connection(&listener); // the first socket answers
            });
        }
        harness::in_namespace(|| {
            let listener = bound_tcp(Flag::ReuseAddr, first).expect("the address is free");
            let other = bound_tcp(Flag::ReuseAddr, second).expect("both have the option");
            start_listening(&listener).expect("the other does not listen");
            assert_eq!(start_listening(&other), Err(Errno::ADDRINUSE));
            connection(&listener);
        });
    }
}

/// The listener that treuseaddr2's child inherits lets clients connect, and no process accepts them.
fn nobody_accepts() {
    let mut server =
        Process::start(&mut Variant::new(Program::Treuseaddr2, Runtime::Raw).command());
    let mut client = Client::connect();
    client.exchange("hello\n");
    assert_eq!(server.wait(), 0, "the parent exits");
    let _second = TcpStream::connect((LOCALHOST, PORT)).expect("the server listens");
    let established = [Row::client("ESTABLISHED"), Row::server("ESTABLISHED")];
    let expected = [established[0], established[0], established[1], established[1], Row::LISTEN];
    wait_for_exactly(&expected);
    let no_file = harness::sockets("tcp").into_iter().filter(|socket| socket.inode == 0);
    assert_eq!(no_file.count(), 1);
}

fn bound_udp(flag: Flag, ip: Ipv4Addr) -> OwnedFd {
    bound(SocketType::DGRAM, flag, ip).expect("bind succeeds")
}

/// Whether there is something to read.
fn waiting(socket: &OwnedFd) -> bool {
    received(socket, RecvFlags::PEEK)
}

fn received(socket: &OwnedFd, flags: RecvFlags) -> bool {
    match recv(socket, &mut [0; 8], flags | RecvFlags::DONTWAIT) {
        Ok(_) => true,
        Err(no) => {
            assert_eq!(no, Errno::AGAIN);
            false
        }
    }
}

/// Which sockets receive a datagram sent to `to`.
fn receivers<const N: usize>(to: Ipv4Addr, sockets: [&OwnedFd; N]) -> [bool; N] {
    Sender::new().send(to, b"hello");
    sockets.map(|socket| received(socket, RecvFlags::empty()))
}

/// A datagram to one address goes to one socket: the one bound to that address, and among several of
/// them the one bound last.
fn udp_unicast() {
    let first = bound_udp(Flag::ReuseAddr, LOCALHOST);
    assert_eq!(receivers(LOCALHOST, [&first]), [true]);
    let any = bound_udp(Flag::ReuseAddr, ANY);
    assert_eq!(receivers(LOCALHOST, [&first, &any]), [true, false]);
    let second = bound_udp(Flag::ReuseAddr, LOCALHOST);
    assert_eq!(receivers(LOCALHOST, [&first, &any, &second]), [false, false, true]);
}

/// Of two sockets with SO_REUSEADDR at one address, the one that is connected to the sender, or bound to the
/// device, gets the datagrams; of two such, the last.
fn udp_same_peer() {
    use nix::sys::socket::sockopt::{BindToDevice, ReuseAddr};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket};
    use std::os::fd::AsRawFd;

    let receiver = || {
        // Without SOCK_CLOEXEC, processes of other trials would keep the socket, and get its datagrams.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)
            .expect("descriptors are left");
        setsockopt(&socket, ReuseAddr, &true).expect("the descriptor is a socket");
        let address = SockaddrIn::from(SocketAddrV4::new(LOCALHOST, PORT));
        bind(socket.as_raw_fd(), &address).expect("both have the option");
        UdpSocket::from(socket)
    };
    let connected = |socket: &UdpSocket, peer| socket.connect(peer).expect("it is on loopback");
    let on_device = |socket: &UdpSocket, _| {
        setsockopt(socket, BindToDevice, &"lo".into()).expect("the device exists");
    };
    // Before 6.13 the kernel prefers, of two connected sockets, the one that it has served last on the same
    // processor (`sk_incoming_cpu`); since then they have a table of their own, and the last comes first.
    let has_table = harness::kernel() >= (6, 13);
    for (narrow, the_last_wins) in
        [(&connected as &dyn Fn(&UdpSocket, SocketAddr), has_table), (&on_device, true)]
    {
        harness::in_namespace(|| {
            let peer = Sender::new();
            let address = (LOCALHOST, Sender::PORT).into();
            let sockets = [(); 2].map(|()| receiver());
            narrow(&sockets[0], address);
            for expected in [[true, false], [false, true]] {
                peer.send(LOCALHOST, b"hello");
                let received = sockets.each_ref().map(|socket| socket.recv(&mut [0; 8]).is_ok());
                if the_last_wins || expected[0] {
                    assert_eq!(received, expected);
                } else {
                    assert_ne!(received[0], received[1]);
                    eprintln!(
                        "before Linux 6.13 the second of two connected sockets may get nothing"
                    );
                }
                narrow(&sockets[1], address);
            }
        });
    }
}

/// A UDP socket with SO_REUSEADDR and, if asked for, SO_REUSEPORT, a device, or SO_INCOMING_CPU for a processor.
fn udp(ip: IpAddr, reuseport: bool, device: bool, processor: Option<usize>) -> UdpSocket {
    let made = || {
        let address = SocketAddr::new(ip, PORT);
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(reuseport)?;
        if device {
            socket.bind_device(Some(b"lo"))?;
        }
        if let Some(processor) = processor {
            socket.set_cpu_affinity(processor)?;
        }
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(socket.into())
    };
    made().expect("both are one user's")
}

/// Which of two sockets receives, apart from the addresses: the one that is bound to the device; but on IPv4
/// the last one with SO_REUSEPORT is found first, and on IPv6, with SO_REUSEPORT in both, the first. Of 0.0.0.0
/// and `::` the former, unless SO_INCOMING_CPU makes the latter as good, and it bound last.
fn udp_order() {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
    harness::need(harness::Need::Ipv6);
    let [v4, v6] = [IpAddr::V4(LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let [any4, any6] = [IpAddr::V4(ANY), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let before = sched_getaffinity(None).expect("it is this thread");
    let processor = sched_getcpu();
    let mut alone = CpuSet::new();
    alone.set(processor);
    sched_setaffinity(None, &alone).expect("it runs there");
    let cpu = Some(processor);
    type Made = (IpAddr, bool, bool, Option<usize>);
    let cases: [([Made; 2], usize); 9] = [
        ([(v4, false, true, None), (v4, false, false, None)], 0),
        ([(v4, true, true, None), (v4, true, false, None)], 1),
        ([(v4, true, false, None), (v4, true, true, None)], 1),
        ([(v4, false, true, None), (v4, true, false, None)], 1),
        ([(v6, true, true, None), (v6, true, false, None)], 0),
        ([(v6, true, false, None), (v6, true, true, None)], 0),
        ([(any4, false, false, None), (any6, false, false, None)], 0),
        ([(any4, false, false, None), (any6, false, false, cpu)], 1),
        ([(any6, false, false, cpu), (any4, false, false, None)], 1),
    ];
    for (made, winner) in cases {
        harness::in_namespace(|| {
            let sockets = made.map(|(ip, reuseport, device, cpu)| udp(ip, reuseport, device, cpu));
            let to = if made[0].0 == v6 { v6 } else { v4 };
            let sender = UdpSocket::bind((to, 0)).expect("a port is left");
            sender.send_to(b"hello", (to, PORT)).expect("it is on loopback");
            wait_for("the datagram", || sockets[winner].recv(&mut [0; 8]).ok());
            assert!(sockets[1 - winner].recv(&mut [0; 8]).is_err(), "{made:?}");
        });
    }
    sched_setaffinity(None, &before).expect("it is what it was");
}

/// Of three at one address, some with SO_REUSEPORT: on IPv4 the last one's group shares the senders, and a last
/// one without it has all; on IPv6 that option puts a socket behind the others, so that one without it has all.
fn udp_groups() {
    harness::need(harness::Need::Ipv6);
    let cases: [([bool; 3], [[bool; 3]; 2]); 4] = [
        ([true, true, false], [[false, false, true]; 2]),
        ([false, true, true], [[false, true, true], [true, false, false]]),
        ([true, false, true], [[true, false, true], [false, true, false]]),
        ([true, true, true], [[true; 3]; 2]),
    ];
    for (reuseport, receivers) in cases {
        let families = [IpAddr::V4(LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        for (ip, receivers) in families.into_iter().zip(receivers) {
            harness::in_namespace(|| {
                let sockets = reuseport.map(|has| udp(ip, has, false, None));
                for _ in 0..100 {
                    let sender = UdpSocket::bind((ip, 0)).expect("a port is left");
                    sender.send_to(b"hello", (ip, PORT)).expect("it is on loopback");
                }
                let mut left = 100;
                let mut has = [false; 3];
                wait_for("the datagrams", || {
                    for (socket, has) in sockets.iter().zip(&mut has) {
                        while socket.recv(&mut [0; 8]).is_ok() {
                            (*has, left) = (true, left - 1);
                        }
                    }
                    (left == 0).then_some(())
                });
                assert_eq!(has, receivers, "{ip}: {reuseport:?}");
            });
        }
    }
}

/// A datagram to a group goes to all sockets at the wildcard address while one of them is a member, even
/// to those that have not joined.
fn udp_multicast() {
    let group = Ipv4Addr::new(239, 1, 2, 3);
    for flag in [Flag::ReuseAddr, Flag::ReusePort] {
        harness::in_namespace(|| {
            let [member, also, outsider] = [0; 3].map(|_| bound_udp(flag, ANY));
            for socket in [&member, &also] {
                set_ip_add_membership(socket, &group, &LOCALHOST).expect("the socket may join");
            }
            let one_address = bound_udp(flag, LOCALHOST);
            assert_eq!(
                receivers(group, [&member, &also, &outsider, &one_address]),
                [true, true, true, false]
            );
        });
    }
}

/// A socket of IPv6 has IP_MULTICAST_ALL off at first: at `::` it gets no datagram to a group that it has not joined.
fn udp_multicast_all() {
    harness::need(harness::Need::Ipv6);
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let [any4, any6] = [IpAddr::V4(ANY), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let [member, outsider, both] = [any4, any4, any6].map(|ip| udp(ip, false, false, None));
    member.join_multicast_v4(&group, &LOCALHOST).expect("the socket may join");
    Sender::new().send(group, b"hello");
    let receive = [&member, &outsider, &both].map(|socket| socket.recv(&mut [0; 8]).is_ok());
    assert_eq!(receive, [true, true, false]);
}

/// A broadcast goes to all that are bound to the wildcard address, and to no other.
fn udp_broadcast() {
    for flag in [Flag::ReuseAddr, Flag::ReusePort] {
        harness::in_namespace(|| {
            let [first, second] = [0; 2].map(|_| bound_udp(flag, ANY));
            let one_address = bound_udp(flag, LOCALHOST);
            let to = Ipv4Addr::new(127, 255, 255, 255);
            assert_eq!(receivers(to, [&first, &second, &one_address]), [true, true, false]);
        });
    }
}

/// netstat names the process of a listener, and none for a TIME_WAIT.
fn culprit() {
    let netstat = || run(Command::new("netstat").arg("-tnap")).stdout;
    let mut server = server(false);
    let mut client = Client::connect();
    client.exchange("hello\n");
    let table = netstat();
    let row = table.lines().find(|row| row.contains("LISTEN")).expect("the server listens");
    assert!(row.trim_end().ends_with("/treuseaddr"), "{table}");
    server.signal(Signal::SIGINT);
    server.wait();
    drop(client);
    wait_for_exactly(&[Row::TIME_WAIT]);
    let table = netstat();
    let row = table.lines().find(|row| row.contains("TIME_WAIT")).expect("the TIME_WAIT is left");
    assert!(row.trim_end().ends_with(" -"), "{table}");
}

/// The drawing: packets and states of experiment 1.
fn drawing() -> String {
    let mut capture = Capture::start();
    let mut text = "```text\n".to_owned();
    let mut draw = |text: &mut String, what: &str, expected: &[Row]| {
        let line = |left: &str, middle: &str, right: &str| {
            format!("{left:21}{middle:45}{right}").trim_end().to_owned() + "\n"
        };
        let states = |is_server| {
            let rows = expected.iter().rev().filter(|row| row.is_server == is_server);
            let states: Vec<&str> = rows.map(|row| row.state).collect();
            if states.is_empty() { "-".to_owned() } else { states.join(", ") }
        };
        text.push_str(&line("", what, ""));
        wait_for_exactly(expected);
        for packet in capture.packets() {
            let label = format!(" {} ", packet.text);
            let arrow = match packet.is_server {
                true => format!("---{label:-<39}>"),
                false => format!("<--{label:-<40}"),
            };
            text.push_str(&line("", &arrow, ""));
        }
        text.push_str(&line(&states(true), "", &states(false)));
    };

    text.push_str("server               packets                                      client\n");
    let mut old = server(false);
    draw(&mut text, "the server calls socket, bind, listen", &[Row::LISTEN]);
    let mut client = Client::connect();
    let established = [Row::client("ESTABLISHED"), Row::server("ESTABLISHED"), Row::LISTEN];
    draw(&mut text, "the client calls connect", &established);
    client.exchange("hello\n");
    draw(&mut text, "the client says hello, the server echoes it", &established);
    old.signal(Signal::SIGINT);
    old.wait();
    let half = [Row::client("CLOSE_WAIT"), Row::server("FIN_WAIT2")];
    draw(&mut text, "Ctrl+C on the server: it is gone", &half);
    drop(client);
    draw(&mut text, "the client closes", &[Row::TIME_WAIT]);
    let mut new = server(false);
    assert_eq!(new.wait(), 255);
    draw(&mut text, "the server is started again: bind fails", &[Row::TIME_WAIT]);
    assert_eq!(new.stderr.to_end(), "bind: : Address already in use\n");
    text + "```\n"
}
