//! Trouble beyond the rule for two sockets: what `docs/so_reuseaddr.md` says of it, measured on
//! this kernel.

use crate::harness::{
    self, Capture, Client, Need, PORT, Process, Program, Row, Runtime, Scratch, Variant,
    close_server_first, in_namespace, need, rows, run, set_sysctl, time_wait_left, wait_for,
    wait_for_exactly, wait_for_rows,
};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_linger, set_socket_reuseaddr, set_socket_reuseport,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
    accept_with, bind, connect, getpeername, getsockname, ipproto, listen, recv, sendto, shutdown,
    socket_with,
};
use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpStream, ToSocketAddrs};
use std::process::Command;
use std::time::Duration;

const CLOEXEC: SocketFlags = SocketFlags::CLOEXEC;
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const LOCALHOST_6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const ANY_6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// A port of the range that outgoing connections get theirs from, where a trial says so.
const EPHEMERAL: u16 = 40_000;

const TRIALS: [(&str, fn()); 20] = [
    ("pitfall_other_namespace", other_namespace),
    ("pitfall_shutdown_keeps_the_descriptor", shutdown_keeps_the_descriptor),
    ("pitfall_not_accepted_yet", not_accepted_yet),
    ("pitfall_linger_0", linger_0),
    ("pitfall_settings", settings),
    ("pitfall_fin_timeout", fin_timeout),
    ("pitfall_ss_kill", ss_kill),
    ("pitfall_syn_reopens_time_wait", syn_reopens_time_wait),
    ("pitfall_reset_ends_time_wait", reset_ends_time_wait),
    ("pitfall_inherited_listener_takes_clients", inherited_listener_takes_clients),
    ("pitfall_hand_over", hand_over),
    ("pitfall_two_families", two_families),
    ("pitfall_localhost", localhost),
    ("pitfall_outgoing_connection", outgoing_connection),
    ("pitfall_reserved_port", reserved_port),
    ("pitfall_self_connect", self_connect),
    ("pitfall_errors", errors),
    ("pitfall_udp_port_0", udp_port_0),
    ("pitfall_unix_socket", unix_socket),
    ("pitfall_restart_after_time_wait", restart_after_time_wait),
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

/// `ss -K` removes a TIME_WAIT, if the kernel was built with CONFIG_INET_DIAG_DESTROY.
fn ss_kill() {
    time_wait(false);
    let killed = run(Command::new("ss").args(["-K", "state", "time-wait", "sport = :3459"]));
    assert!(killed.status.success(), "{}", killed.stderr);
    // It prints the sockets that it has removed, below a title.
    if killed.stdout.lines().count() > 1 {
        wait_for_exactly(&[]);
        listener(false);
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

/// A RST in sequence ends a TIME_WAIT where `tcp_rfc1337` is 0, as it is unless changed.
fn reset_ends_time_wait() {
    for (rfc1337, is_ended) in [("1", false), ("0", true)] {
        in_namespace(|| {
            set_sysctl("net.ipv4.tcp_rfc1337", rfc1337);
            let mut capture = Capture::start();
            time_wait(false);
            let sequence = wait_for("the client's FIN", || capture.after_clients_fin());
            reset(sequence);
            if is_ended {
                wait_for_exactly(&[]);
            } else {
                assert_eq!(rows(), [Row::TIME_WAIT]);
            }
        });
    }
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
/// `tcp_migrate_req` is 1.
fn hand_over() {
    for (migrate, is_lost) in [("0", true), ("1", false)] {
        in_namespace(|| {
            set_sysctl("net.ipv4.tcp_migrate_req", migrate);
            let (old, new) = (member(), member());
            let clients: Vec<TcpStream> = (0..64)
                .map(|_| TcpStream::connect((LOCALHOST, PORT)).expect("they listen"))
                .collect();
            drop(old);
            // Not at once: a process that another trial starts meanwhile holds a copy until its exec.
            wait_for("the old listener to end", || {
                let listeners = rows().iter().filter(|row| **row == Row::LISTEN).count();
                (listeners == 1).then_some(())
            });
            // Each client is reset, or moved to the other listener's queue.
            let is_reset =
                |client: &&TcpStream| client.take_error().expect("it is a socket").is_some();
            let (mut lost, mut served) = (0, 0);
            wait_for("64 clients", || {
                lost += clients.iter().filter(is_reset).count();
                served += accept_all(&new).len();
                (lost + served == 64).then_some(())
            });
            assert_eq!(lost > 0, is_lost, "{lost} of 64 clients are reset");
        });
    }
}

/// A listener at `::` holds the IPv4 addresses, too, unless it has IPV6_V6ONLY.
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

/// Which error it is: EADDRINUSE or EADDRNOTAVAIL.
fn errors() {
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)); // of no machine: RFC 5737
    assert_eq!(try_listen(elsewhere, PORT, true).err(), Some(Errno::ADDRNOTAVAIL));

    set_sysctl("net.ipv4.ip_local_port_range", format!("{EPHEMERAL} {EPHEMERAL}"));
    let listener = listener(false);
    let client = TcpStream::connect((LOCALHOST, PORT)).expect("a port is left");
    let no_port = TcpStream::connect((LOCALHOST, PORT)).expect_err("none is left");
    assert_eq!(no_port.raw_os_error(), Some(Errno::ADDRNOTAVAIL.raw_os_error()));
    assert_eq!(try_listen(LOCALHOST, 0, false).err(), Some(Errno::ADDRINUSE));
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

/// A Unix socket's file stays when its server has ended; no option helps, `unlink` does.
fn unix_socket() {
    let scratch = Scratch::new();
    let path = scratch.path().join("socket");
    let address =
        SocketAddrUnix::new(path.to_str().expect("it is UTF-8")).expect("it is short enough");
    let bound = || {
        let flags = SocketFlags::CLOEXEC;
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        set_socket_reuseaddr(&fd, true)?;
        bind(&fd, &address)
    };
    assert_eq!(bound(), Ok(()));
    assert_eq!(bound(), Err(Errno::ADDRINUSE));
    fs::remove_file(&path).expect("it is there");
    assert_eq!(bound(), Ok(()));
}

/// The option is too late for the TIME_WAIT that is there, however often the server is started; for
/// the next one it is in time.
fn restart_after_time_wait() {
    let command = |reuseaddr| {
        let switches = harness::Switches { reuseaddr, close_listener: false };
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
