//! Trouble beyond the rule for two sockets: what `docs/so_reuseaddr.md` says of it, measured on
//! this kernel.

use crate::harness::{
    self, Capture, Client, Need, PORT, Process, Program, Row, Runtime, Scratch, Switches, Variant,
    close_server_first, in_namespace, is_blocked, need, rows, run, set_sysctl, state, stop,
    time_wait_left, wait_for, wait_for_exactly, wait_for_rows,
};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use nix::sys::socket::sockopt::{IpBindAddressNoPort, ReusePort};
use nix::sys::socket::{self as nix_socket, SockaddrIn, setsockopt};
use nix::unistd::{Pid, gettid};
use nix::{libc, setsockopt_impl, sockopt_impl};
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{
    set_ip_freebind, set_ipv6_v6only, set_socket_keepalive, set_socket_linger,
    set_socket_recv_buffer_size, set_socket_reuseaddr, set_socket_reuseport,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
    accept_with, bind, connect, getpeername, getsockname, ipproto, listen, recv, send, sendto,
    shutdown, socket_with,
};
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::mem::MaybeUninit;
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, ToSocketAddrs,
    UdpSocket,
};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CLOEXEC: SocketFlags = SocketFlags::CLOEXEC;
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const LOCALHOST_6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const ANY_6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// A port of the range that outgoing connections get theirs from, where a trial says so.
const EPHEMERAL: u16 = 40_000;

const TRIALS: [(&str, fn()); 41] = [
    ("pitfall_other_namespace", other_namespace),
    ("pitfall_shutdown_keeps_the_descriptor", shutdown_keeps_the_descriptor),
    ("pitfall_not_accepted_yet", not_accepted_yet),
    ("pitfall_linger_0", linger_0),
    ("pitfall_settings", settings),
    ("pitfall_fin_timeout", fin_timeout),
    ("pitfall_ss_kill", ss_kill),
    ("pitfall_syn_reopens_time_wait", syn_reopens_time_wait),
    ("pitfall_reset_ends_time_wait", reset_ends_time_wait),
    ("pitfall_listener_shut_down", listener_shut_down),
    ("pitfall_inherited_listener_takes_clients", inherited_listener_takes_clients),
    ("pitfall_hand_over", hand_over),
    ("pitfall_two_families", two_families),
    ("pitfall_localhost", localhost),
    ("pitfall_outgoing_connection", outgoing_connection),
    ("pitfall_reserved_port", reserved_port),
    ("pitfall_self_connect", self_connect),
    ("pitfall_errors", errors),
    ("pitfall_errors_ipv6", errors_ipv6),
    ("pitfall_own_range", own_range),
    ("pitfall_udp_port_0", udp_port_0),
    ("pitfall_unix_socket", unix_socket),
    ("pitfall_restart_after_time_wait", restart_after_time_wait),
    ("pitfall_which_port", which_port),
    ("pitfall_bind_without_a_port", bind_without_a_port),
    ("pitfall_clients_time_wait", clients_time_wait),
    ("pitfall_many_time_waits", many_time_waits),
    ("pitfall_close_wait", close_wait),
    ("pitfall_kill_9", kill_9),
    ("pitfall_stopped_job", stopped_job),
    ("pitfall_binds_twice", binds_twice),
    ("pitfall_fin_wait_1", fin_wait_1),
    ("pitfall_fin_wait_1_ends", fin_wait_1_ends),
    ("pitfall_fin_wait_1_slow", fin_wait_1_slow),
    ("pitfall_mptcp", mptcp),
    ("pitfall_fchown", fchown),
    ("pitfall_queues", queues),
    ("pitfall_abort_on_overflow", abort_on_overflow),
    ("pitfall_thundering_herd", thundering_herd),
    ("pitfall_dnat", dnat),
    ("pitfall_sigpipe_ignored", sigpipe_ignored),
];

pub fn trials() -> Vec<Trial> {
    TRIALS.map(|(name, check)| harness::trial(name, check)).into()
}

fn socket(kind: SocketType, ip: IpAddr) -> OwnedFd {
    let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    if family == AddressFamily::INET6 {
        need(Need::Ipv6);
    }
    socket_with(family, kind, SocketFlags::CLOEXEC, None).expect("descriptors are left")
}

/// A TCP socket, with SO_REUSEADDR where that is asked for, and no address yet. It is closed at exec: a process
/// that another trial starts meanwhile does not hold it.
pub fn tcp(ip: IpAddr, reuseaddr: bool) -> OwnedFd {
    let fd = socket(SocketType::STREAM, ip);
    set_socket_reuseaddr(&fd, reuseaddr).expect("it is a socket");
    fd
}

/// A listener, if the kernel lets it bind and listen.
fn try_listen(ip: IpAddr, port: u16, reuseaddr: bool) -> Result<OwnedFd, Errno> {
    let fd = tcp(ip, reuseaddr);
    bind(&fd, &SocketAddr::new(ip, port))?;
    listen(&fd, 64)?;
    Ok(fd)
}

fn listener(reuseaddr: bool) -> OwnedFd {
    try_listen(LOCALHOST, PORT, reuseaddr).expect("nothing is there")
}

/// A listener of a group: all its members have SO_REUSEPORT.
fn member() -> OwnedFd {
    let fd = tcp(LOCALHOST, false);
    set_socket_reuseport(&fd, true).expect("it is a socket");
    bind(&fd, &SocketAddr::new(LOCALHOST, PORT)).expect("all are of one user");
    listen(&fd, 64).expect("all are of one user");
    fd
}

/// Connects from a port of the client's choice.
fn connect_from(port: u16) -> Result<OwnedFd, Errno> {
    let client = tcp(LOCALHOST, true);
    bind(&client, &SocketAddr::new(LOCALHOST, port))?;
    connect(&client, &SocketAddr::new(LOCALHOST, PORT))?;
    Ok(client)
}

/// Both ends of a connection whose listener, closed again, had the option or not, the server's first.
/// The client's port is EPHEMERAL.
fn connection(reuseaddr: bool) -> (OwnedFd, OwnedFd) {
    let listener = listener(reuseaddr);
    let client = connect_from(EPHEMERAL).expect("it listens");
    (accept_with(&listener, CLOEXEC).expect("it has connected"), client)
}

/// A TIME_WAIT, from such a connection.
fn time_wait(reuseaddr: bool) {
    let (server, client) = connection(reuseaddr);
    close_server_first(server, client);
}

/// Each namespace has its own ports: a listener in one is not in the way in another.
fn other_namespace() {
    let _old = listener(false);
    assert_eq!(try_listen(LOCALHOST, PORT, true).err(), Some(Errno::ADDRINUSE));
    in_namespace(|| listener(false));
}

/// After `shutdown(SHUT_WR)` a TIME_WAIT stands although the process still has the descriptor.
fn shutdown_keeps_the_descriptor() {
    let (server, client) = connection(false);
    shutdown(&server, Shutdown::Write).expect("it is connected");
    wait_for_exactly(&[Row::client("CLOSE_WAIT"), Row::server("FIN_WAIT2")]);
    drop(client);
    wait_for_exactly(&[Row::TIME_WAIT]);
    assert_eq!(recv(&server, &mut [0; 8], RecvFlags::empty()), Ok((0, 0)));
    assert_eq!(try_listen(LOCALHOST, PORT, true).err(), Some(Errno::ADDRINUSE));
}

/// A connection that waits to be accepted belongs to no process, even for root.
fn not_accepted_yet() {
    let _listener = listener(false);
    let _client = connect_from(EPHEMERAL).expect("it listens");
    let table = run(Command::new("netstat").arg("-tnap")).stdout;
    let rows: Vec<&str> = table.lines().filter(|row| row.contains("ESTABLISHED")).collect();
    let is_server = |row: &&&str| row.split_whitespace().nth(3) == Some("127.0.0.1:3459");
    let row = rows.iter().find(is_server).expect("the kernel has accepted it");
    assert!(row.trim_end().ends_with(" -"), "{table}");
}

/// SO_LINGER with 0 s: `close` resets the connection, and no TIME_WAIT is left.
fn linger_0() {
    let (server, client) = connection(false);
    set_socket_linger(&server, Some(Duration::ZERO)).expect("it is a socket");
    drop(server);
    wait_for_exactly(&[]);
    assert_eq!(recv(&client, &mut [0; 8], RecvFlags::empty()), Err(Errno::CONNRESET));
    listener(false);
}

/// Settings that do not shorten a TIME_WAIT, and one that forbids all of them.
fn settings() {
    for (name, value) in [("net.ipv4.tcp_fin_timeout", 10), ("net.ipv4.tcp_tw_reuse", 1)] {
        in_namespace(|| {
            set_sysctl(name, value);
            time_wait(false);
            let left = time_wait_left();
            assert!((3000..=6000).contains(&left), "{name}: {left} hundredths of a second");
            assert_eq!(try_listen(LOCALHOST, PORT, false).err(), Some(Errno::ADDRINUSE), "{name}");
        });
    }
    assert!(!fs::exists("/proc/sys/net/ipv4/tcp_tw_recycle").expect("/proc is mounted"));
    in_namespace(no_time_wait_at_all);
}

fn no_time_wait_at_all() {
    set_sysctl("net.ipv4.tcp_max_tw_buckets", 0);
    let (server, client) = connection(false);
    drop(server);
    // A full socket in FIN_WAIT2, which is rare, ends with the client.
    wait_for_rows("CLOSE_WAIT", |rows| rows.contains(&Row::client("CLOSE_WAIT")));
    drop(client);
    wait_for_exactly(&[]);
    listener(false);
}

/// `tcp_fin_timeout` ends a FIN_WAIT2 whose peer never closes; then the address is free.
fn fin_timeout() {
    set_sysctl("net.ipv4.tcp_fin_timeout", 3);
    let (server, _client) = connection(false);
    drop(server);
    wait_for_exactly(&[Row::client("CLOSE_WAIT"), Row::server("FIN_WAIT2")]);
    assert_eq!(try_listen(LOCALHOST, PORT, false).err(), Some(Errno::ADDRINUSE));
    // The client stays in CLOSE_WAIT; a full socket, which is rare, resets it.
    wait_for_rows("the end of FIN_WAIT2", |rows| !rows.contains(&Row::server("FIN_WAIT2")));
    listener(false);
}

/// `ss -K` removes a TIME_WAIT, if the kernel was built with CONFIG_INET_DIAG_DESTROY. Of a connection and a
/// listener the next call fails.
fn ss_kill() {
    time_wait(false);
    let killed = run(Command::new("ss").args(["-K", "state", "time-wait", "sport = :3459"]));
    assert!(killed.status.success(), "{}", killed.stderr);
    // It prints the sockets that it has removed, below a title.
    if killed.stdout.lines().count() > 1 {
        wait_for_exactly(&[]);
        let listener = listener(false);
        let _client = connect_from(EPHEMERAL).expect("it listens");
        let server = accept_with(&listener, CLOEXEC).expect("it has connected");
        run(Command::new("ss").args(["-aK", "sport = :3459"]));
        assert_eq!(recv(&server, &mut [0; 8], RecvFlags::empty()), Err(Errno::CONNABORTED));
        assert_eq!(accept_with(&listener, CLOEXEC).err(), Some(Errno::INVAL));
    } else {
        assert_eq!(rows(), [Row::TIME_WAIT]);
        eprintln!("ss -K removes nothing: this kernel was built without CONFIG_INET_DIAG_DESTROY");
    }
}

/// A newer SYN from the same client port opens the connection anew, over the TIME_WAIT.
fn syn_reopens_time_wait() {
    time_wait(true);
    let listener = listener(true);
    assert_eq!(rows(), [Row::LISTEN, Row::TIME_WAIT]);
    let _client = connect_from(EPHEMERAL).expect("it listens");
    let _server = accept_with(&listener, CLOEXEC).expect("it has connected");
    wait_for_exactly(&[Row::client("ESTABLISHED"), Row::server("ESTABLISHED"), Row::LISTEN]);
}

/// A RST ends a TIME_WAIT where `tcp_rfc1337` is 0, as it is unless changed, and only if its number is the
/// next in sequence. A FIN_WAIT2 without a process ends with any RST in the window, whatever the setting.
fn reset_ends_time_wait() {
    for (rfc1337, is_ended) in [("1", false), ("0", true)] {
        in_namespace(|| {
            set_sysctl("net.ipv4.tcp_rfc1337", rfc1337);
            let mut capture = Capture::start();
            time_wait(false);
            let sequence = wait_for("the client's FIN", || capture.after_client());
            reset(sequence + 1);
            assert_eq!(rows(), [Row::TIME_WAIT]);
            reset(sequence);
            if is_ended {
                wait_for_exactly(&[]);
            } else {
                assert_eq!(rows(), [Row::TIME_WAIT]);
            }
        });
    }
    in_namespace(|| {
        set_sysctl("net.ipv4.tcp_rfc1337", "1");
        let mut capture = Capture::start();
        let (server, _client) = connection(false);
        drop(server);
        wait_for_exactly(&[Row::client("CLOSE_WAIT"), Row::server("FIN_WAIT2")]);
        let sequence = wait_for("the client's SYN", || capture.after_client());
        reset(sequence.wrapping_add(1000));
        wait_for_exactly(&[Row::client("CLOSE_WAIT")]);
    });
}

/// Sends the server a RST as the client would have.
fn reset(sequence: u32) {
    need(Need::Packets);
    let kind = SocketType::RAW;
    let raw = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, Some(ipproto::TCP));
    let raw = raw.expect("this is the root of its namespace");
    const RST: u16 = 4;
    const HEADER_LENGTH: u16 = 20;
    let mut header = Vec::new();
    header.extend(EPHEMERAL.to_be_bytes());
    header.extend(PORT.to_be_bytes());
    header.extend(sequence.to_be_bytes());
    header.extend(0_u32.to_be_bytes());
    header.extend(((HEADER_LENGTH / 4) << 12 | RST).to_be_bytes());
    header.extend([0; 6]); // window, checksum, urgent pointer
    // RFC 9293, section 3.1: the checksum is over the addresses, the protocol and the length, too.
    let pseudo = [0x7f00, 1, 0x7f00, 1, 6, HEADER_LENGTH];
    let words = header.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).chain(pseudo);
    let mut sum: u32 = words.map(u32::from).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).expect("it is folded");
    header[16..18].copy_from_slice(&checksum.to_be_bytes());
    let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    sendto(&raw, &header, SendFlags::empty(), &to).expect("it is on loopback");
}

/// How many connections wait in the listener's queue; none is left there.
fn accept_all(listener: &OwnedFd) -> Vec<OwnedFd> {
    rustix::io::ioctl_fionbio(listener, true).expect("it is a socket");
    std::iter::from_fn(|| accept_with(listener, CLOEXEC).ok()).collect()
}

/// Any holder of a listener can end its LISTEN with `shutdown`, or with `connect` and AF_UNSPEC. The address
/// stays bound until the last one closes.
fn listener_shut_down() {
    let ends: [fn(&OwnedFd) -> rustix::io::Result<()>; 2] =
        [|fd| shutdown(fd, Shutdown::Both), |fd| rustix::net::connect_unspec(fd)];
    for end in ends {
        let listener = listener(true);
        let other = rustix::io::fcntl_dupfd_cloexec(&listener, 0).expect("descriptors are left");
        end(&other).expect("it listens");
        drop(other);
        assert_eq!(connect_from(EPHEMERAL).err(), Some(Errno::CONNREFUSED));
        assert_eq!(try_listen(LOCALHOST, PORT, false).err(), Some(Errno::ADDRINUSE));
        try_listen(LOCALHOST, PORT, true).expect("both have the option, and neither listens");
        drop(listener);
        wait_for("the last close", || try_listen(LOCALHOST, PORT, false).ok());
    }
}

/// With SO_REUSEPORT a second server can listen beside a forgotten listener. It loses the clients that the
/// kernel gives to the forgotten one.
fn inherited_listener_takes_clients() {
    let (forgotten, served) = (member(), member());
    let _clients: Vec<TcpStream> =
        (0..64).map(|_| TcpStream::connect((LOCALHOST, PORT)).expect("they listen")).collect();
    let served = accept_all(&served).len();
    assert!(0 < served && served < 64, "{served} of 64 clients are served");
    assert_eq!(accept_all(&forgotten).len(), 64 - served);
}

/// When a listener of a group is closed, the kernel resets the connections in its queue, unless
/// `tcp_migrate_req` is 1. A program that waits for the new listener is then woken.
fn hand_over() {
    for (migrate, is_lost) in [("0", true), ("1", false)] {
        in_namespace(|| {
            set_sysctl("net.ipv4.tcp_migrate_req", migrate);
            let (old, new) = (member(), member());
            let clients: Vec<TcpStream> = (0..64)
                .map(|_| TcpStream::connect((LOCALHOST, PORT)).expect("they listen"))
                .collect();
            let at_once = accept_all(&new).len();
            let waiting = epoll::create(epoll::CreateFlags::CLOEXEC).expect("descriptors are left");
            let edge = epoll::EventFlags::IN | epoll::EventFlags::ET; // what comes from now on
            epoll::add(&waiting, &new, epoll::EventData::new_u64(0), edge).expect("it is a socket");
            drop(old);
            // Not at once: a process that another trial starts meanwhile holds a copy until its exec.
            wait_for("the old listener to end", || {
                let listeners = rows().iter().filter(|row| **row == Row::LISTEN).count();
                (listeners == 1).then_some(())
            });
            // Each client is reset, or moved to the other listener's queue.
            let is_reset =
                |client: &&TcpStream| client.take_error().expect("it is a socket").is_some();
            let (mut lost, mut served) = (0, at_once);
            if !is_lost && harness::kernel() >= (6, 18) {
                assert_eq!(events(&waiting), 1, "the new listener wakes its program");
            }
            wait_for("64 clients", || {
                lost += clients.iter().filter(is_reset).count();
                served += accept_all(&new).len();
                (lost + served == 64).then_some(())
            });
            assert_eq!(lost > 0, is_lost, "{lost} of 64 clients are reset");
        });
    }
}

/// How many events come, at most 1 and within the limit.
fn events(epoll: &OwnedFd) -> usize {
    let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
    let mut room = [MaybeUninit::uninit()];
    let (come, _) =
        epoll::wait(epoll, &mut room, Some(&limit)).expect("no signal has a handler here");
    come.len()
}

/// A listener at `::` holds the IPv4 addresses, too, unless it has IPV6_V6ONLY; `bindv6only` sets that.
fn two_families() {
    // The local address of the one listener, as ss and netstat write it.
    let shown = || {
        [("ss", "-Htln", 3), ("netstat", "-tln", 3)].map(|(tool, options, column)| {
            let rows = run(Command::new(tool).arg(options)).stdout;
            let row = rows.lines().find(|row| row.contains(":3459"));
            let address = row.and_then(|row| row.split_whitespace().nth(column));
            address.unwrap_or_else(|| panic!("{tool}: {rows}")).to_owned()
        })
    };
    let dual = try_listen(ANY_6, PORT, true).expect("nothing is there");
    assert_eq!(shown(), ["*:3459", ":::3459"]);
    for ip in [ANY, LOCALHOST] {
        assert_eq!(try_listen(ip, PORT, true).err(), Some(Errno::ADDRINUSE), "{ip}");
    }
    drop(dual);
    let only = tcp(ANY_6, true);
    set_ipv6_v6only(&only, true).expect("it is not bound");
    // Another trial, in starting a process, may have a copy of the first listener for a moment.
    wait_for("the port", || bind(&only, &SocketAddr::new(ANY_6, PORT)).ok());
    listen(&only, 64).expect("nothing is there");
    assert_eq!(shown(), ["[::]:3459", ":::3459"]);
    try_listen(ANY, PORT, false).expect("IPv4 is free");
    in_namespace(|| {
        set_sysctl("net.ipv6.bindv6only", 1);
        let _only = try_listen(ANY_6, PORT, false).expect("nothing is there");
        assert_eq!(shown(), ["[::]:3459", ":::3459"]);
        try_listen(ANY, PORT, false).expect("IPv4 is free");
    });
}

/// A listener at 127.0.0.1 leaves `::1` to anybody, and a client that connects to `localhost` tries
/// `::1` first if the name has both addresses (RFC 6724).
fn localhost() {
    let victim = listener(false);
    let other = try_listen(LOCALHOST_6, PORT, false).expect("it is another address");
    let name = ("localhost", PORT);
    let found: Vec<SocketAddr> = name.to_socket_addrs().expect("it has an address").collect();
    if !found.iter().any(SocketAddr::is_ipv6) {
        eprintln!("which address of localhost is first is not tried: /etc/hosts gives it no ::1");
        return;
    }
    let _client = TcpStream::connect(name).expect("both listen");
    assert_eq!((accept_all(&victim).len(), accept_all(&other).len()), (0, 1), "{found:?}");
}

/// The port of an outgoing connection is in use for a server, with the option and without.
fn outgoing_connection() {
    set_sysctl("net.ipv4.ip_local_port_range", format!("{EPHEMERAL} {EPHEMERAL}"));
    let _listener = listener(false);
    let _client = TcpStream::connect((LOCALHOST, PORT)).expect("it listens");
    for reuseaddr in [false, true] {
        let tried = try_listen(LOCALHOST, EPHEMERAL, reuseaddr);
        assert_eq!(tried.err(), Some(Errno::ADDRINUSE), "{reuseaddr}");
    }
    try_listen(LOCALHOST, EPHEMERAL + 1, false).expect("it is outside the range");
}

/// `ip_local_reserved_ports` keeps a port of the range from outgoing connections.
fn reserved_port() {
    let last = EPHEMERAL + 9;
    set_sysctl("net.ipv4.ip_local_port_range", format!("{EPHEMERAL} {last}"));
    set_sysctl("net.ipv4.ip_local_reserved_ports", EPHEMERAL);
    let _listener = listener(false);
    let clients: Vec<TcpStream> =
        (0..9).map(|_| TcpStream::connect((LOCALHOST, PORT)).expect("a port is left")).collect();
    let used = clients.iter().map(|client| client.local_addr().expect("it is connected").port());
    assert_eq!(used.collect::<HashSet<u16>>(), (EPHEMERAL + 1..=last).collect());
    try_listen(LOCALHOST, EPHEMERAL, false).expect("it is reserved");
}

/// A client that connects to a port of the range where nobody listens may become its own peer, and
/// then keeps the server out.
fn self_connect() {
    set_sysctl("net.ipv4.ip_local_port_range", format!("{EPHEMERAL} {EPHEMERAL}"));
    let client = tcp(LOCALHOST, false);
    connect(&client, &SocketAddr::new(LOCALHOST, EPHEMERAL)).expect("it meets itself");
    assert_eq!(getsockname(&client).ok(), getpeername(&client).expect("it is connected"));
    let tried = try_listen(LOCALHOST, EPHEMERAL, true);
    assert_eq!(tried.err(), Some(Errno::ADDRINUSE));
}

/// An IPv6 address that is not enough: of a link, without the interface, or of a group, for TCP.
fn errors_ipv6() {
    need(Need::Ipv6);
    let tcp = |address| TcpListener::bind((address, PORT)).err();
    let udp = |address| UdpSocket::bind((address, PORT)).err();
    for error in [tcp("fe80::1"), udp("fe80::1"), tcp("ff02::1")] {
        assert_eq!(error.and_then(|error| error.raw_os_error()), Some(libc::EINVAL));
    }
    UdpSocket::bind(("ff02::1%lo", PORT)).expect("UDP may have a group's address");
}

/// Which error it is: EADDRINUSE or EADDRNOTAVAIL.
fn errors() {
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)); // of no machine: RFC 5737
    assert_eq!(try_listen(elsewhere, PORT, true).err(), Some(Errno::ADDRNOTAVAIL));
    let free = tcp(elsewhere, false);
    set_ip_freebind(&free, true).expect("it is a socket");
    assert_eq!(bind(&free, &SocketAddr::new(elsewhere, PORT)), Ok(()));
    assert_eq!(bind(&free, &SocketAddr::new(elsewhere, PORT)), Err(Errno::INVAL), "a second bind");
    try_listen(IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9)), PORT, false).expect("it is lo's");

    set_sysctl("net.ipv4.ip_local_port_range", format!("{EPHEMERAL} {EPHEMERAL}"));
    let listener = listener(false);
    let client = TcpStream::connect((LOCALHOST, PORT)).expect("a port is left");
    let no_port = TcpStream::connect((LOCALHOST, PORT)).expect_err("none is left");
    assert_eq!(no_port.raw_os_error(), Some(Errno::ADDRNOTAVAIL.raw_os_error()));
    assert_eq!(try_listen(LOCALHOST, 0, false).err(), Some(Errno::ADDRINUSE));
    assert_eq!(listen(tcp(LOCALHOST, false), 8), Err(Errno::ADDRINUSE), "listen without bind");
    let _last = UdpSocket::bind((LOCALHOST, EPHEMERAL)).expect("no other is there");
    let udp = connect(socket(SocketType::DGRAM, LOCALHOST), &SocketAddr::new(LOCALHOST, PORT));
    assert_eq!(udp, Err(Errno::AGAIN), "UDP without a port left");
    shutdown(&listener, Shutdown::Read).expect("it listens");
    assert_eq!(accept_with(&listener, CLOEXEC).err(), Some(Errno::INVAL), "it listens no longer");
    drop((client, listener));

    in_namespace(|| {
        let _listener = self::listener(false);
        let _client = connect_from(EPHEMERAL).expect("it listens");
        let again = tcp(LOCALHOST, true);
        bind(&again, &SocketAddr::new(LOCALHOST, EPHEMERAL)).expect("both have the option");
        let connected = connect(&again, &SocketAddr::new(LOCALHOST, PORT));
        assert_eq!(connected, Err(Errno::ADDRNOTAVAIL), "the same four numbers");
    });
}

/// With SO_REUSEADDR, UDP's port 0 hands out ports that are in use.
fn udp_port_0() {
    const COUNT: u16 = 100;
    let distinct = |reuseaddr| {
        in_namespace(|| {
            let last = EPHEMERAL + COUNT - 1;
            set_sysctl("net.ipv4.ip_local_port_range", format!("{EPHEMERAL} {last}"));
            let sockets: Vec<OwnedFd> = (0..COUNT)
                .map(|_| {
                    let fd = socket(SocketType::DGRAM, LOCALHOST);
                    set_socket_reuseaddr(&fd, reuseaddr).expect("it is a socket");
                    bind(&fd, &SocketAddr::new(LOCALHOST, 0)).expect("a port is left");
                    fd
                })
                .collect();
            let port = |fd| {
                SocketAddr::try_from(getsockname(fd).expect("it is bound"))
                    .expect("it is UDP")
                    .port()
            };
            sockets.iter().map(port).collect::<HashSet<u16>>().len()
        })
    };
    assert_eq!(distinct(false), usize::from(COUNT));
    // The chance that 100 independent choices all differ is 10^-42.
    assert!(distinct(true) < usize::from(COUNT));
}

/// A Unix socket's file stays when its server has ended; no option helps, `unlink` does. `connect` tells
/// whether a server lives there. An abstract name is no file, and ends with its socket.
fn unix_socket() {
    let scratch = Scratch::new();
    let path = scratch.path().join("socket");
    let file =
        SocketAddrUnix::new(path.to_str().expect("it is UTF-8")).expect("it is short enough");
    let socket = || {
        socket_with(AddressFamily::UNIX, SocketType::STREAM, CLOEXEC, None).expect("it is there")
    };
    let bound = |address| {
        let fd = socket();
        set_socket_reuseaddr(&fd, true)?;
        bind(&fd, address)?;
        listen(&fd, 8)?;
        Ok(fd)
    };
    let server = bound(&file).expect("nothing is there");
    assert_eq!(connect(socket(), &file), Ok(()));
    drop(server);
    // Not at once: a process that another trial starts meanwhile holds a copy until its exec.
    let refused = || (connect(socket(), &file) == Err(Errno::CONNREFUSED)).then_some(());
    wait_for("the server to end", refused);
    assert_eq!(bound(&file).err(), Some(Errno::ADDRINUSE));
    fs::remove_file(&path).expect("it is there");
    let starting = socket();
    bind(&starting, &file).expect("the file is gone");
    assert_eq!(connect(socket(), &file), Err(Errno::CONNREFUSED), "it does not listen yet");

    let name = SocketAddrUnix::new_abstract_name(b"treuseaddr").expect("it is short enough");
    let server = bound(&name).expect("nothing is there");
    assert_eq!(bound(&name).err(), Some(Errno::ADDRINUSE));
    drop(server);
    wait_for("the name", || bound(&name).ok());
}

/// The option is too late for the TIME_WAIT that is there, however often the server is started; for
/// the next one it is in time.
fn restart_after_time_wait() {
    let command = |reuseaddr| {
        let switches = Switches { reuseaddr, close_listener: false };
        Variant::new(Program::Treuseaddr, Runtime::Raw).with(switches).command()
    };
    let serve_and_stop = |mut server: Process| {
        let mut client = Client::connect();
        client.exchange("hello\n");
        server.signal(Signal::SIGINT);
        server.wait();
        drop(client);
        wait_for_rows("TIME_WAIT", |rows| rows.contains(&Row::TIME_WAIT));
    };
    serve_and_stop(Process::start(&mut command(false)));
    for _ in 0..3 {
        assert_eq!(Process::start(&mut command(true)).wait(), 255);
    }
    in_namespace(|| {
        // As after the 60 seconds.
        serve_and_stop(Process::start(&mut command(true)));
        serve_and_stop(Process::start(&mut command(true)));
    });
}

fn port(fd: &OwnedFd) -> u16 {
    SocketAddr::try_from(getsockname(fd).expect("it is bound"))
        .expect("it is of the internet")
        .port()
}

/// In the range as it is unless changed, `bind` to port 0 gets an odd port while one is left, and `connect` an
/// even one. With SO_REUSEADDR, `bind` stays in the lower half.
fn which_port() {
    const COUNT: usize = 50;
    let [low, high] = [32_768, 60_999];
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("it is there");
    assert_eq!(range.split_whitespace().collect::<Vec<_>>(), [low.to_string(), high.to_string()]);
    let bound = |reuseaddr| {
        [(); COUNT].map(|()| {
            let fd = tcp(LOCALHOST, reuseaddr);
            bind(&fd, &SocketAddr::new(LOCALHOST, 0)).expect("a port is left");
            fd
        })
    };
    let (plain, reuse) = (bound(false), bound(true));
    assert!(plain.iter().chain(&reuse).all(|fd| port(fd) % 2 == 1));
    assert!(reuse.iter().all(|fd| port(fd) < low + (high - low) / 2));
    assert!(plain.iter().any(|fd| port(fd) >= low + (high - low) / 2), "the chance is 2^-50");
    let _listener = listener(false);
    let clients = [(); COUNT].map(|()| TcpStream::connect((LOCALHOST, PORT)).expect("it listens"));
    let is_even =
        |client: &TcpStream| client.local_addr().expect("it is connected").port().is_multiple_of(2);
    assert!(clients.iter().all(is_even));
}

/// `include/uapi/linux/in.h`; the crate libc lacks it.
const IP_LOCAL_PORT_RANGE: libc::c_int = 51;

sockopt_impl!(
    /// The first port of the range in the lower 16 bits, the last in the upper (ip(7), Linux 6.3).
    IpLocalPortRange,
    SetOnly,
    libc::IPPROTO_IP,
    IP_LOCAL_PORT_RANGE,
    u32
);

/// A client that binds only its address leaves the choice of the port to `connect`: two of them share one port
/// to different servers. Without IP_BIND_ADDRESS_NO_PORT the second `bind` fails.
fn bind_without_a_port() {
    set_sysctl("net.ipv4.ip_local_port_range", format!("{EPHEMERAL} {EPHEMERAL}"));
    let servers = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)];
    let _listeners = servers.map(|ip| TcpListener::bind((ip, PORT)).expect("nothing is there"));
    for without_a_port in [false, true] {
        let clients = [(); 2].map(|()| another_tcp());
        let bound = clients.each_ref().map(|client| {
            if without_a_port {
                setsockopt(client, IpBindAddressNoPort, &true).expect("it is a socket");
            }
            bind_to_0(client)
        });
        if !without_a_port {
            assert_eq!(bound, [Ok(()), Err(nix::Error::EADDRINUSE)]);
            continue;
        }
        assert_eq!(bound, [Ok(()); 2]);
        for (client, server) in clients.iter().zip(servers) {
            let server = SockaddrIn::from(SocketAddrV4::new(server, PORT));
            // A process that another trial is starting may have a copy of the socket before.
            wait_for("the port", || nix_socket::connect(client.as_raw_fd(), &server).ok());
        }
        let ports = clients.map(|client| TcpStream::from(client).local_addr().map(|it| it.port()));
        assert!(ports.iter().all(|port| matches!(port, Ok(EPHEMERAL))), "{ports:?}");
    }
}

/// IP_LOCAL_PORT_RANGE narrows the range of one socket; what is outside the system's is ignored.
fn own_range() {
    if harness::kernel() < (6, 3) {
        eprintln!("IP_LOCAL_PORT_RANGE is not tried: it needs Linux 6.3");
        return;
    }
    set_sysctl("net.ipv4.ip_local_port_range", "40000 50000");
    for ([first, last], expected) in
        [([45_001, 45_010], 45_001..=45_010), ([20_001, 20_010], 40_000..=50_000)]
    {
        let client = another_tcp();
        setsockopt(&client, IpLocalPortRange, &(last << 16 | first)).expect("it is a socket");
        bind_to_0(&client).expect("a port is left");
        let bound: SockaddrIn = nix_socket::getsockname(client.as_raw_fd()).expect("it is bound");
        assert!(expected.contains(&bound.port()), "{}", bound.port());
    }
}

fn bind_to_0(client: &std::os::fd::OwnedFd) -> nix::Result<()> {
    nix_socket::bind(client.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))
}

/// A TCP socket to which nix sets what rustix does not.
fn another_tcp() -> std::os::fd::OwnedFd {
    use nix_socket::{AddressFamily, SockFlag, SockType};
    let made =
        nix_socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    made.expect("descriptors are left")
}

/// The TIME_WAIT of a client keeps its port from another connection to the same server: with a
/// loopback address for a second, with any other for the whole minute, on this machine, too. `tcp_tw_reuse`
/// decides: 2 is for loopback addresses, 1 for all, 0 for none.
fn clients_time_wait() {
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let left = |ip: IpAddr, reuse: &str| {
        set_sysctl("net.ipv4.tcp_tw_reuse", reuse);
        set_sysctl("net.ipv4.ip_local_port_range", format!("{EPHEMERAL} {EPHEMERAL}"));
        if ip != LOCALHOST {
            run(Command::new("ip").args(["address", "add", "192.0.2.1/32", "dev", "lo"]));
        }
        let listener = try_listen(ip, PORT, true).expect("nothing is there");
        let client = TcpStream::connect((ip, PORT)).expect("it listens");
        let server = accept_with(&listener, CLOEXEC).expect("it has connected");
        drop(client);
        wait_for_rows("CLOSE_WAIT", |rows| rows.contains(&Row::server("CLOSE_WAIT")));
        drop(server);
        wait_for_exactly(&[Row::LISTEN, Row::client("TIME_WAIT")]);
        listener
    };
    let again = |ip: IpAddr| TcpStream::connect((ip, PORT)).map_err(|no| no.raw_os_error());
    for (ip, reuse, is_reused) in [
        (LOCALHOST, "2", true),
        (LOCALHOST, "0", false),
        (elsewhere, "2", false),
        (elsewhere, "1", true),
    ] {
        in_namespace(|| {
            let _listener = left(ip, reuse);
            let start = Instant::now();
            let refused = Err(Some(Errno::ADDRNOTAVAIL.raw_os_error()));
            assert_eq!(again(ip).map(drop), refused, "{ip}, {reuse}");
            if is_reused {
                wait_for("the port", || again(ip).ok());
                assert!(start.elapsed() > Duration::from_millis(900), "{ip}, {reuse}");
            } else {
                // As long as the other takes.
                wait_for("more than a second", || {
                    assert_eq!(again(ip).map(drop), refused, "{ip}, {reuse}");
                    (start.elapsed() > Duration::from_millis(1500)).then_some(())
                });
            }
        });
    }
}

/// A server's TIME_WAITs take nothing from its new clients; above `tcp_max_tw_buckets` the kernel keeps no more.
fn many_time_waits() {
    const MOST: usize = 10;
    set_sysctl("net.ipv4.tcp_max_tw_buckets", MOST);
    let listener = listener(false);
    for _ in 0..2 * MOST {
        let client = TcpStream::connect((LOCALHOST, PORT)).expect("it listens");
        let server = accept_with(&listener, CLOEXEC).expect("it has connected");
        shutdown(&server, Shutdown::Write).expect("it is connected");
        drop(client);
        wait_for_rows("the end", |rows| !rows.contains(&Row::client("CLOSE_WAIT")));
    }
    let rows = wait_for_rows("TIME_WAIT alone", |rows| {
        rows.iter().all(|row| [Row::LISTEN, Row::TIME_WAIT].contains(row))
    });
    assert_eq!(rows.len(), 1 + MOST, "{rows:?}");
}

/// CLOSE_WAIT ends with the program's `close`. With SO_KEEPALIVE the row ends before, since nobody answers
/// for the client; the program still has its descriptor.
fn close_wait() {
    set_sysctl("net.ipv4.tcp_fin_timeout", 1);
    set_sysctl("net.ipv4.tcp_keepalive_time", 3); // later than the client's end
    set_sysctl("net.ipv4.tcp_keepalive_intvl", 1);
    let listener = listener(false);
    let [kept, other] = [(EPHEMERAL, true), (EPHEMERAL + 1, false)].map(|(from, is_kept_alive)| {
        let client = connect_from(from).expect("it listens");
        let server = accept_with(&listener, CLOEXEC).expect("it has connected");
        set_socket_keepalive(&server, is_kept_alive).expect("it is a socket");
        drop(client);
        server
    });
    wait_for_exactly(&[Row::server("CLOSE_WAIT"), Row::LISTEN]); // of two, and no client's end
    assert_eq!(send(&kept, b"x", SendFlags::NOSIGNAL), Err(Errno::PIPE));
    drop(other);
    wait_for_exactly(&[Row::LISTEN]);
}

/// SIGKILL is an end as any other: the kernel closes the sockets, and TIME_WAIT is left.
fn kill_9() {
    let mut old = Process::start(&mut treuseaddr(Runtime::Raw, false));
    let mut client = Client::connect();
    client.exchange("hello\n");
    old.signal(Signal::SIGKILL);
    assert_eq!(old.wait(), -(Signal::SIGKILL as i32));
    drop(client);
    wait_for_exactly(&[Row::TIME_WAIT]);
    assert_eq!(Process::start(&mut treuseaddr(Runtime::Raw, true)).wait(), 255);
}

fn treuseaddr(runtime: Runtime, reuseaddr: bool) -> Command {
    let switches = Switches { reuseaddr, close_listener: false };
    Variant::new(Program::Treuseaddr, runtime).with(switches).command()
}

/// A stopped job (Ctrl+Z) listens on: the kernel lets clients in. SIGTERM waits until the job continues.
fn stopped_job() {
    let mut old = Process::start(&mut treuseaddr(Runtime::Raw, true));
    wait_for_exactly(&[Row::LISTEN]);
    stop(old.pid());
    let _client = TcpStream::connect((LOCALHOST, PORT)).expect("it listens");
    assert_eq!(Process::start(&mut treuseaddr(Runtime::Raw, true)).wait(), 255);
    old.signal(Signal::SIGTERM);
    assert_eq!((state(old.pid()), rows().contains(&Row::LISTEN)), (Some('T'), true));
    old.signal(Signal::SIGCONT);
    assert_eq!(old.wait(), -(Signal::SIGTERM as i32));
    wait_for_rows("the port", |rows| !rows.contains(&Row::LISTEN));
}

/// A program that listens at both wildcard addresses, without IPV6_V6ONLY, refuses itself. It ends, and no tool
/// finds anything.
fn binds_twice() {
    for [first, second] in [[ANY, ANY_6], [ANY_6, ANY], [ANY, ANY]] {
        in_namespace(|| {
            let listener = try_listen(first, PORT, true).expect("nothing is there");
            assert_eq!(try_listen(second, PORT, true).err(), Some(Errno::ADDRINUSE));
            drop(listener);
            wait_for("the end", || {
                let found = run(Command::new("ss").args(["-Htuna", "sport = :3459"])).stdout;
                found.is_empty().then_some(())
            });
        });
    }
}

/// A connection whose client has not read what the server has sent: the server's end, and the client's.
fn unread(listener: &OwnedFd) -> (OwnedFd, OwnedFd) {
    let client = tcp(LOCALHOST, true);
    set_socket_recv_buffer_size(&client, 4096).expect("it is a socket");
    bind(&client, &SocketAddr::new(LOCALHOST, EPHEMERAL)).expect("it is free");
    connect(&client, &SocketAddr::new(LOCALHOST, PORT)).expect("it listens");
    let server = accept_with(listener, CLOEXEC).expect("it has connected");
    while send(&server, &[0; 4096], SendFlags::DONTWAIT).is_ok() {}
    (server, client)
}

/// The client of a server that is gone, whose end is in FIN_WAIT1, since the client has not read.
fn closed_unread() -> OwnedFd {
    let listener = listener(false);
    let (server, client) = unread(&listener);
    drop((server, listener));
    wait_for_rows("FIN_WAIT1", |rows| rows.contains(&Row::server("FIN_WAIT1")));
    client
}

/// FIN_WAIT1 lasts while the client does not read: no setting of FIN_WAIT2 ends it.
fn fin_wait_1() {
    set_sysctl("net.ipv4.tcp_fin_timeout", 1);
    let listener = listener(false);
    let (full, reader) = unread(&listener);
    let _other = connect_from(EPHEMERAL + 1).expect("it listens");
    let empty = accept_with(&listener, CLOEXEC).expect("it has connected");
    drop((full, empty, listener));
    let [waits, ends] = ["FIN_WAIT1", "FIN_WAIT2"].map(Row::server);
    wait_for_rows("both", |rows| rows.contains(&waits) && rows.contains(&ends));
    let rows = wait_for_rows("the end of FIN_WAIT2", |rows| !rows.contains(&ends));
    assert!(rows.contains(&waits), "{rows:?}");
    assert_eq!(try_listen(LOCALHOST, PORT, true).err(), Some(Errno::ADDRINUSE));
    while recv(&reader, &mut [0; 4096], RecvFlags::empty()).is_ok_and(|(_, count)| count > 0) {}
    wait_for_rows("the end of FIN_WAIT1", |rows| !rows.contains(&waits));
}

/// FIN_WAIT1 ends when the wait between two probes has reached its most, 2 minutes unless changed
/// (`tcp_probe_timer`). The client that then reads is reset, and loses what it has not got.
fn fin_wait_1_ends() {
    if !fs::exists("/proc/sys/net/ipv4/tcp_rto_max_ms").expect("/proc is mounted") {
        return eprintln!("the end of FIN_WAIT1 is not tried: it needs Linux 6.15");
    }
    set_sysctl("net.ipv4.tcp_rto_max_ms", 1000);
    let client = closed_unread();
    wait_for_exactly(&[Row::client("ESTABLISHED")]);
    let read = || recv(&client, &mut [0; 4096], RecvFlags::empty());
    let last = std::iter::repeat_with(read).find(|it| !matches!(it, Ok((_, 1..))));
    assert_eq!(last, Some(Err(Errno::CONNRESET)));
}

/// A client that reads slowly keeps the server's end in FIN_WAIT1 for longer than one that reads nothing: each
/// window that opens ends the back-off (`tcp_ack_probe`).
fn fin_wait_1_slow() {
    if !fs::exists("/proc/sys/net/ipv4/tcp_rto_max_ms").expect("/proc is mounted") {
        return eprintln!("a slow reader in FIN_WAIT1 is not tried: it needs Linux 6.15");
    }
    set_sysctl("net.ipv4.tcp_rto_max_ms", 1000);
    let waits = Row::server("FIN_WAIT1");
    let client = closed_unread();
    let begin = Instant::now();
    wait_for_rows("its end", |rows| !rows.contains(&waits));
    let without_reading = begin.elapsed();
    drop(client);
    wait_for_exactly(&[]);
    let client = closed_unread();
    let begin = Instant::now();
    let mut reads = 0;
    wait_for_rows("twice as long", |rows| {
        let elapsed = begin.elapsed();
        assert!(rows.contains(&waits), "after {elapsed:?} of {without_reading:?}: {rows:?}");
        if elapsed > without_reading.mul_f64(0.2 * f64::from(reads)) {
            reads += 1;
            recv(&client, &mut [0; 4096], RecvFlags::empty()).expect("there is more");
        }
        elapsed > 2 * without_reading
    });
}

/// MPTCP has the ports of TCP, and its rule; the TIME_WAIT of an MPTCP listener's connection has the option.
/// If the client speaks MPTCP, too, the accepted socket's option cannot be changed.
fn mptcp() {
    need(Need::Mptcp);
    let mptcp = |reuseaddr| {
        let protocol = Some(ipproto::MPTCP);
        let fd = socket_with(AddressFamily::INET, SocketType::STREAM, CLOEXEC, protocol)?;
        set_socket_reuseaddr(&fd, reuseaddr).map(|()| fd)
    };
    let listener = mptcp(true).expect("it was there");
    bind(&listener, &SocketAddr::new(LOCALHOST, PORT)).expect("nothing is there");
    listen(&listener, 8).expect("nothing is there");
    assert_eq!(try_listen(LOCALHOST, PORT, true).err(), Some(Errno::ADDRINUSE));
    let shown = run(Command::new("ss").args(["-HlnM"])).stdout;
    assert!(shown.contains("127.0.0.1:3459"), "ss -M: {shown:?}");
    let client = connect_from(EPHEMERAL).expect("it listens");
    let server = accept_with(&listener, CLOEXEC).expect("it has connected");
    set_socket_reuseaddr(&server, true).expect("with this client it is a socket of TCP");
    let speaks_mptcp = mptcp(false).expect("it was there");
    connect(&speaks_mptcp, &SocketAddr::new(LOCALHOST, PORT)).expect("it listens");
    let other = accept_with(&listener, CLOEXEC).expect("it has connected");
    assert_eq!(set_socket_reuseaddr(&other, true), Err(Errno::INVAL));
    // Both ends go at once, without a TIME_WAIT.
    for end in [&other, &speaks_mptcp] {
        set_socket_linger(end, Some(Duration::ZERO)).expect("it is a socket");
    }
    drop((other, speaks_mptcp));
    drop(listener);
    close_server_first(server, client);
    assert_eq!(try_listen(LOCALHOST, PORT, false).err(), Some(Errno::ADDRINUSE));
    try_listen(LOCALHOST, PORT, true).expect("the TIME_WAIT has the option");
}

/// For SO_REUSEPORT the user of a socket is that of the process which made it, until `fchown` changes it.
fn fchown() {
    need(Need::SecondUser);
    let _member = member();
    let other = another_tcp();
    setsockopt(&other, ReusePort, &true).expect("it is a socket");
    nix::unistd::fchown(&other, Some(65_534.into()), None).expect("this is root");
    let bound = nix_socket::bind(other.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, PORT));
    assert_eq!(bound, Err(nix::Error::EADDRINUSE));
}

/// The two numbers of `ss -lnt` for the listener: how many wait to be accepted, and the backlog.
fn queue() -> [usize; 2] {
    let shown = run(Command::new("ss").args(["-Hlnt", "sport = :3459"])).stdout;
    let mut fields = shown.split_whitespace().skip(1).map(|field| field.parse().expect("a number"));
    [(); 2].map(|()| fields.next().expect("it is shown"))
}

/// A client from which nothing is waited for.
fn hurried_client() -> OwnedFd {
    let client = tcp(LOCALHOST, false);
    rustix::io::ioctl_fionbio(&client, true).expect("it is a socket");
    let begun = connect(&client, &SocketAddr::new(LOCALHOST, PORT));
    assert_eq!(begun, Err(Errno::INPROGRESS));
    client
}

/// The accept queue holds one more than the backlog. While it is full, the kernel drops each SYN: the client
/// stays in SYN_SENT, and tries again.
fn queues() {
    let listener = listener(false);
    listen(&listener, 1).expect("it listens");
    assert_eq!(queue(), [0, 1]);
    let _clients = [(); 3].map(|()| hurried_client());
    wait_for("a full queue", || (queue() == [2, 1]).then_some(()));
    assert!(rows().contains(&Row::client("SYN_SENT")), "{:?}", rows());
    let counters = fs::read_to_string("/proc/thread-self/net/netstat").expect("it is there");
    let mut lines = counters.lines().filter(|line| line.starts_with("TcpExt:"));
    let mut next = || lines.next().expect("two lines").split_whitespace();
    let found = next().zip(next()).find(|(name, _)| *name == "ListenOverflows");
    assert!(found.is_some_and(|(_, count)| count != "0"), "{found:?}");
    let _server = accept_with(&listener, CLOEXEC).expect("two wait");
    wait_for("the third, which tries again after a second", || (queue()[0] == 2).then_some(()));
}

sockopt_impl!(
    /// The kernel leaves a connection in SYN_RECV until its first data come (tcp(7)).
    TcpDeferAccept,
    SetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    u32
);

/// A handshake that ends while the accept queue is full: the kernel ignores the last ACK, and the client waits.
/// With `tcp_abort_on_overflow` it resets the client.
fn abort_on_overflow() {
    for (abort, is_reset) in [("0", false), ("1", true)] {
        in_namespace(|| {
            set_sysctl("net.ipv4.tcp_abort_on_overflow", abort);
            let listener = TcpListener::bind((LOCALHOST, PORT)).expect("nothing is there");
            setsockopt(&listener, TcpDeferAccept, &30).expect("it is a socket");
            let shorter = nix_socket::Backlog::new(0).expect("it is a number");
            nix_socket::listen(&listener, shorter).expect("it listens");
            let clients = [(); 2]
                .map(|()| TcpStream::connect((LOCALHOST, PORT)).expect("the queue is empty"));
            for mut client in &clients {
                client.write_all(b"hello").expect("it has connected");
            }
            wait_for("a full queue", || (queue() == [1, 0]).then_some(()));
            let counts = |state| rows().iter().filter(|row| **row == Row::client(state)).count();
            if is_reset {
                wait_for("the reset", || (counts("ESTABLISHED") == 1).then_some(()));
            } else {
                assert_eq!(counts("ESTABLISHED"), 2);
            }
        });
    }
}

/// A new client wakes every epoll that watches the listener; with EPOLLEXCLUSIVE it wakes one.
fn thundering_herd() {
    const WORKERS: usize = 8;
    for (is_exclusive, expected) in [(false, WORKERS), (true, 1)] {
        in_namespace(|| {
            let listener = listener(false);
            let (woken, workers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
            let work = || {
                let mut flags = epoll::EventFlags::IN;
                flags.set(epoll::EventFlags::EXCLUSIVE, is_exclusive);
                let own = epoll::create(epoll::CreateFlags::CLOEXEC).expect("descriptors are left");
                epoll::add(&own, &listener, epoll::EventData::new_u64(0), flags).expect("a socket");
                workers.lock().expect("no panic holds it").push(gettid());
                woken.fetch_add(events(&own), Ordering::SeqCst);
            };
            let asleep = || {
                let workers = workers.lock().expect("no panic holds it");
                let calls = [libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2];
                let is_asleep = |it: &&Pid| calls.iter().any(|call| is_blocked(**it, *call));
                workers.iter().filter(is_asleep).count()
            };
            thread::scope(|scope| {
                for _ in 0..WORKERS {
                    scope.spawn(work);
                }
                wait_for("the workers", || (asleep() == WORKERS).then_some(()));
                let mut clients = vec![TcpStream::connect((LOCALHOST, PORT)).expect("it listens")];
                wait_for("the first", || (woken.load(Ordering::SeqCst) > 0).then_some(()));
                assert_eq!(asleep(), WORKERS - expected);
                wait_for("the others", || {
                    clients.push(TcpStream::connect((LOCALHOST, PORT)).expect("it listens"));
                    (woken.load(Ordering::SeqCst) == WORKERS).then_some(())
                });
            });
        });
    }
}

/// A rule that sends a port's clients elsewhere is no socket: no tool shows one, `bind` succeeds, and the
/// clients go where the rule says.
fn dnat() {
    let rules = "add table ip t
        add chain ip t output { type nat hook output priority -100 ; }
        add rule ip t output tcp dport 3459 dnat to 127.0.0.1:40000";
    let output = run(Command::new("nft").arg(rules));
    if !output.status.success() {
        return eprintln!("DNAT is not tried: nft: {}", output.stderr);
    }
    let elsewhere = try_listen(LOCALHOST, EPHEMERAL, false).expect("nothing is there");
    assert_eq!(run(Command::new("ss").args(["-Htan", "sport = :3459"])).stdout, "");
    let here = listener(false);
    let _client = TcpStream::connect((LOCALHOST, PORT)).expect("one of them listens");
    assert_eq!((accept_all(&here).len(), accept_all(&elsewhere).len()), (0, 1));
}

/// Where the parent ignores SIGPIPE, a write to a client that is gone fails with EPIPE: the C program prints
/// `client error` without end, and Rust's ends.
fn sigpipe_ignored() {
    for runtime in [Runtime::C, Runtime::Raw] {
        in_namespace(|| {
            let path = Variant::new(Program::Treuseaddr, runtime).path();
            let mut env = Command::new("env");
            let mut server = Process::start_on_terminal(env.arg("--ignore-signal=PIPE").arg(path));
            let mut client = Client::connect();
            client.exchange("hello\n");
            stop(server.pid());
            client.0.write_all(b"again\n").expect("it is connected");
            client.shutdown();
            client.reset();
            wait_for_rows("the reset", |rows| {
                !rows.iter().any(|row| ["ESTABLISHED", "CLOSE_WAIT"].contains(&row.state))
            });
            server.signal(Signal::SIGCONT);
            if runtime == Runtime::C {
                server.stdout.wait_for(&"client error: 4\n".repeat(3));
            } else {
                assert_eq!(server.wait(), 0);
                server.stdout.wait_for("client error: 4\n");
                assert_eq!(server.stdout.text().matches("error").count(), 1);
            }
        });
    }
}
