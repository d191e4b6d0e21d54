//! Network namespaces, the kernel's socket table, and a client.

use super::{LIMIT, Need, need, run, wait_for};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{setsockopt, sockopt::Linger};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::OnceLock;

/// The port of the programs.
pub const PORT: u16 = 3459;

/// The network in which this process was started.
static FIRST: OnceLock<File> = OnceLock::new();

/// Leaves the network in which this process was started: no trial may disturb it.
pub fn prepare() -> Result<(), String> {
    File::open("/proc/self/ns/net")
        .map(|first| FIRST.get_or_init(|| first))
        .and_then(|_| Ok(unshare(CloneFlags::CLONE_NEWNET)?))
        .and_then(|()| set_up())
        .map_err(|error| format!("a network namespace: {error}"))
}

/// Runs `check` with the thread in a network namespace of its own, where nothing has happened yet.
pub fn in_namespace<T>(check: impl FnOnce() -> T) -> T {
    unshare(CloneFlags::CLONE_NEWNET).expect("prepare has made one");
    // An answer is acknowledged at once, not 40 ms later (Linux 6.3).
    let _ = try_sysctl("net.ipv4.tcp_pingpong_thresh", 255);
    set_up().expect("prepare has done it");
    check()
}

/// Takes the thread back to the network in which this process was started, to download. As root.
pub fn return_to_first_network() -> Result<(), String> {
    let first = FIRST.get().expect("prepare has kept it");
    setns(first, CloneFlags::CLONE_NEWNET).map_err(|error| format!("setns: {error}"))
}

/// The loopback of a new namespace. A namespace that is made in it has a socket table of its own, so
/// small that it is quickly read (Linux 6.1).
fn set_up() -> std::io::Result<()> {
    let _ = try_sysctl("net.ipv4.tcp_child_ehash_entries", 1024);
    let output = run(Command::new("busybox").args(["ifconfig", "lo", "up"]));
    match output.status.success() {
        true => Ok(()),
        false => Err(std::io::Error::other(output.stderr)),
    }
}

/// Sets a sysctl of this network namespace, by its name in sysctl(8).
pub fn set_sysctl(name: &str, value: impl Display) {
    need(Need::Sysctls);
    try_sysctl(name, value).unwrap_or_else(|error| panic!("{name}: {error}"));
}

fn try_sysctl(name: &str, value: impl Display) -> std::io::Result<()> {
    fs::write(format!("/proc/sys/{}", name.replace('.', "/")), value.to_string())
}

/// Listens on the port, so that no server can bind.
pub fn hold_port() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).expect("the port is free")
}

/// Binds the port for datagrams, without the option, so that no receiver can.
pub fn hold_udp_port() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).expect("the port is free")
}

/// Has the kernel refuse each membership of a group, in this namespace alone.
pub fn forbid_memberships() {
    set_sysctl("net.ipv4.igmp_max_memberships", 0);
}

/// The address to which a datagram for one receiver is sent.
pub const UNICAST: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The group that the receivers join.
pub const MULTICAST: Ipv4Addr = Ipv4Addr::new(239, 255, 34, 59);
/// The broadcast address of the loopback.
pub const BROADCAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);

/// A socket that sends datagrams, always from one port, which a receiver prints.
pub struct Sender(UdpSocket);

impl Sender {
    /// The port that it sends from.
    pub const PORT: u16 = 40_000;

    /// Binds the socket, and waits for the port if another process still holds it.
    pub fn new() -> Self {
        // Not at once: a process that another trial starts meanwhile holds a copy of the last one
        // until its exec.
        let address = (Ipv4Addr::LOCALHOST, Self::PORT);
        let socket = wait_for("the sender's port", || UdpSocket::bind(address).ok());
        socket.set_broadcast(true).expect("it is a socket");
        socket.set_read_timeout(Some(LIMIT)).expect("it is a socket");
        Self(socket)
    }

    /// Sends a datagram, which is in its receivers' buffers when `send` returns. Before Linux 6.4 the
    /// call itself does not wait for that while ksoftirqd runs. What a processor sends is delivered in
    /// order, so the sender waits for a second datagram, to itself.
    pub fn send(&self, to: Ipv4Addr, bytes: &[u8]) {
        self.0.send_to(bytes, (to, PORT)).expect("it is on loopback");
        self.0.send_to(&[], (Ipv4Addr::LOCALHOST, Self::PORT)).expect("it is on loopback");
        self.0.recv(&mut []).expect("it comes");
    }
}

/// A row of netstat that has the port on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The state, in netstat's word.
    pub state: &'static str,
    /// Whether the port is the local one: the server's side of a connection.
    pub is_server: bool,
}

impl Row {
    /// The row of a listener.
    pub const LISTEN: Self = Self::server("LISTEN");
    /// The row of a TIME_WAIT on the server's port.
    pub const TIME_WAIT: Self = Self::server("TIME_WAIT");

    /// The server's row of a connection in `state`.
    pub const fn server(state: &'static str) -> Self {
        Self { state, is_server: true }
    }

    /// The client's row of a connection in `state`.
    pub const fn client(state: &'static str) -> Self {
        Self { state, is_server: false }
    }
}

/// By number from 1, `include/net/tcp_states.h`.
const STATES: [&str; 12] = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
];

/// The name of a state of TCP, by its number.
pub fn state_name(state: u8) -> &'static str {
    STATES[usize::from(state) - 1]
}

/// A socket in the kernel's table, as proc(5) has it.
pub struct Listed {
    /// Its own address.
    pub local: SocketAddr,
    /// Its peer's; port 0, if it has none.
    pub peer: SocketAddr,
    /// The number of its state.
    pub state: u8,
    /// Which timer runs: 2 is keepalive's or that of FIN_WAIT2, 3 that of TIME_WAIT.
    pub timer: u8,
    /// How long the timer will still run, in hundredths of a second.
    pub left: u32,
    /// Its inode; 0, if it has no file.
    pub inode: u64,
}

impl Listed {
    fn of(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (timer, left) = fields.get(5)?.split_once(':')?;
        Some(Self {
            local: address(fields[1])?,
            peer: address(fields[2])?,
            state: u8::from_str_radix(fields[3], 16).ok()?,
            timer: u8::from_str_radix(timer, 16).ok()?,
            left: u32::from_str_radix(left, 16).ok()?,
            inode: fields.get(9)?.parse().ok()?,
        })
    }
}

/// `0100007F:0D83`, as the kernel's table has an address: words of 32 bits, in the order of this machine.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words = (0..ip.len() / 8).map(|at| u32::from_str_radix(&ip[8 * at..8 * at + 8], 16));
    let bytes: Vec<u8> = words.flatten().flat_map(u32::to_ne_bytes).collect();
    let ip = match <[u8; 4]>::try_from(&*bytes) {
        Ok(bytes) => IpAddr::from(bytes),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// The namespace's sockets of a table, by its name in /proc/net: `tcp`, `udp6`. In as few reads as may be:
/// what two of them give is of two moments. None, if the kernel has no such table.
pub fn sockets(table: &str) -> Vec<Listed> {
    let mut text = String::with_capacity(1 << 16);
    let file = File::open(format!("/proc/thread-self/net/{table}"));
    match file.and_then(|mut file| file.read_to_string(&mut text)) {
        Err(error) if error.kind() == ErrorKind::NotFound => {} // a kernel without IPv6
        read => drop(read.expect("/proc is mounted")),
    }
    let socket = |line| Listed::of(line).unwrap_or_else(|| panic!("{table}: {line:?}"));
    text.lines().skip(1).map(socket).collect()
}

/// The namespace's rows on the port, sorted.
pub fn rows() -> Vec<Row> {
    let row = |socket: Listed| {
        let is_server = socket.local.port() == PORT;
        let row = Row { state: state_name(socket.state), is_server };
        (is_server || socket.peer.port() == PORT).then_some(row)
    };
    let mut rows: Vec<Row> = sockets("tcp").into_iter().filter_map(row).collect();
    rows.sort();
    rows
}

/// A line for each row of the namespace, for a failed wait.
pub fn listed() -> String {
    let line =
        |socket: Listed| format!("{} {} {}\n", socket.local, socket.peer, state_name(socket.state));
    ["tcp", "tcp6"].into_iter().flat_map(sockets).map(line).collect()
}

/// Waits until `are_so` is true of the namespace's rows, and returns them; `what` names the state.
pub fn wait_for_rows(what: &str, mut are_so: impl FnMut(&[Row]) -> bool) -> Vec<Row> {
    wait_for(what, || Some(rows()).filter(|rows| are_so(rows)))
}

/// Waits until the namespace's rows are these; `expected` is sorted.
pub fn wait_for_exactly(expected: &[Row]) {
    wait_for_rows(&format!("{expected:?}"), |rows| rows == expected);
}

/// Closes both ends of a connection, the server's first: a TIME_WAIT on the server's port is left, alone.
pub fn close_server_first(server: impl Sized, client: impl Sized) {
    drop(server);
    wait_for_exactly(&[Row::client("CLOSE_WAIT"), Row::server("FIN_WAIT2")]);
    drop(client);
    wait_for_exactly(&[Row::TIME_WAIT]);
}

/// How long the only row, a TIME_WAIT, will still last: in hundredths of a second.
pub fn time_wait_left() -> u32 {
    let [socket] = &sockets("tcp")[..] else { panic!("one row") };
    assert_eq!(socket.timer, 3, "the timer of a TIME_WAIT");
    socket.left
}

/// A connection to the server.
pub struct Client(pub TcpStream);

impl Client {
    /// Connects as soon as the server listens.
    pub fn connect() -> Self {
        wait_for("LISTEN", || rows().contains(&Row::LISTEN).then_some(()));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(super::LIMIT)).expect("a limit is given");
        stream.set_nodelay(true).expect("TCP has it");
        Self(stream)
    }

    /// Sends `text`, and waits until it has come back.
    pub fn exchange(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("the server reads");
        let mut echo = vec![0; text.len()];
        self.0.read_exact(&mut echo).expect("the server writes");
        assert_eq!(String::from_utf8_lossy(&echo), text);
    }

    /// Reads until the server's end: what has come, and whether the end was a reset.
    pub fn receive_rest(&mut self) -> (Vec<u8>, bool) {
        let mut received = Vec::new();
        match self.0.read_to_end(&mut received) {
            Ok(_) => (received, false),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => (received, true),
            Err(error) => panic!("{error}"),
        }
    }

    /// Ends the sending half: the server's next read is the end of file.
    pub fn shutdown(&self) {
        self.0.shutdown(Shutdown::Write).expect("it is connected");
    }

    /// Closes with a reset in place of a FIN.
    pub fn reset(self) {
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        setsockopt(&self.0, Linger, &linger).expect("SOL_SOCKET has it");
    }
}
