//! Network namespaces, the kernel's socket table, and a client.

use super::{LIMIT, run, wait_for};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{setsockopt, sockopt::Linger};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
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
    let _ = fs::write("/proc/sys/net/ipv4/tcp_pingpong_thresh", "255");
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
    let _ = fs::write("/proc/sys/net/ipv4/tcp_child_ehash_entries", "1024");
    let output = run(Command::new("busybox").args(["ifconfig", "lo", "up"]));
    match output.status.success() {
        true => Ok(()),
        false => Err(std::io::Error::other(output.stderr)),
    }
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
    fs::write("/proc/sys/net/ipv4/igmp_max_memberships", "0").expect("the namespace is ours");
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

/// The namespace's table of sockets, by its name in /proc/net: `tcp`, `udp6`. In as few reads as may be:
/// what two of them give is of two moments.
pub fn socket_table(name: &str) -> String {
    let mut table = String::with_capacity(1 << 16);
    let file = File::open(format!("/proc/thread-self/net/{name}"));
    file.and_then(|mut file| file.read_to_string(&mut table)).expect("/proc is mounted");
    table
}

/// The namespace's rows on the port, sorted.
pub fn rows() -> Vec<Row> {
    let table = socket_table("tcp");
    let port = format!(":{PORT:04X}");
    let mut rows: Vec<Row> = table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, remote) = (fields.next()?, fields.next()?);
            let state = state_name(u8::from_str_radix(fields.next()?, 16).ok()?);
            let is_server = local.ends_with(&port);
            (is_server || remote.ends_with(&port)).then_some(Row { state, is_server })
        })
        .collect();
    rows.sort();
    rows
}

/// Waits until `are_so` is true of the namespace's rows, and returns them; `what` names the state.
pub fn wait_for_rows(what: &str, are_so: impl Fn(&[Row]) -> bool) -> Vec<Row> {
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

/// How long the only row, a TIME_WAIT, will still last: in hundredths of a second, as proc(5) shows it.
pub fn time_wait_left() -> u32 {
    let table = socket_table("tcp");
    let field = table.lines().nth(1).and_then(|row| row.split_whitespace().nth(5));
    let (kind, left) = field.and_then(|timer| timer.split_once(':')).expect("the row has a timer");
    assert_eq!(kind, "03", "the timer of a TIME_WAIT");
    u32::from_str_radix(left, 16).expect("the field is a number")
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
