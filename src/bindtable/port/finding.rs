//! The answer: the sockets, the verdicts, the puzzling cases, what helps, and what was not seen.

use super::holders::{self, Holder, Holders, Resists};
use super::target::Question;
use crate::kernel::{self, Options};
use crate::named::named;
use crate::printable::Outside;
use crate::sockets::{self, Listed, State};
use rustix::io::Errno;
use rustix::net::netdevice::index_to_name_inlined;
use rustix::net::{AddressFamily, SocketType, socket};
use serde::{Serialize, Serializer};
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

/// All that is found.
#[derive(Clone, Debug)]
pub struct Finding {
    pub question: Question,
    pub status: Status,
    pub sockets: Vec<Socket>,
    /// Whether the port remembers no SO_REUSEPORT group for certain: a bind of this process without the
    /// option was the last one.
    pub is_clear: bool,
    /// Those that are in the way of a server without an option, by their places in `sockets`.
    pub in_the_way: Vec<usize>,
    /// Whether a server may bind now.
    pub verdicts: Vec<Verdict>,
    /// The puzzling cases that are recognised.
    pub cases: Vec<Case>,
    pub help: Vec<Help>,
    /// Of a free port: why a server may still say that it is in use.
    pub if_still: Vec<IfStill>,
    pub unseen: Vec<Unseen>,
}

impl Finding {
    /// Who has a socket that no process has shown.
    pub fn nobody(&self) -> Nobody {
        let is_of_processes = |unseen: &Unseen| {
            use Unseen::*;
            matches!(unseen, Processes { .. } | Hidden | Proc { .. } | OtherPidNamespace)
        };
        let is_unread = |unseen: &Unseen| matches!(unseen, Unseen::Processes { .. });
        let mut unseen = self.unseen.iter().filter(|unseen| is_of_processes(unseen)).peekable();
        match unseen.peek().is_some() {
            true if self.question.user.uid == 0 && unseen.all(is_unread) => Nobody::Either,
            true => Nobody::Unseen,
            false if !holders::are_all_here() => Nobody::Outside,
            false => Nobody::Kernel,
        }
    }
}

/// Who has a socket that no process has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nobody {
    /// A process that was not to be read.
    Unseen,
    /// The kernel, or one of the processes that root was not to read.
    Either,
    /// The kernel, or a process outside this PID namespace.
    Outside,
    /// The kernel: every process of the machine was read.
    Kernel,
}

/// What keeps a socket in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InKernel {
    /// An endpoint of MPTCP, or a subflow.
    Mptcp,
    /// VXLAN, GENEVE, L2TP and other tunnels.
    Tunnel,
    Wireguard,
    /// A client or server of NFS.
    Nfs,
    /// A fixed file of an io_uring.
    IoUring,
    /// A descriptor that was sent and not received yet (SCM_RIGHTS).
    InFlight,
}

/// What may hold a socket, and the command that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    pub what: InKernel,
    pub command: &'static str,
}

/// What publishes a container's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Docker, for one container.
    Docker,
    /// Docker, for a service of a swarm, or for a container without the userland proxy.
    Swarm,
    Podman,
}

/// Whether the port, at the address that was asked for, is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Free,
    InUse,
}

impl Status {
    /// The exit status of the program.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Free => 0,
            Self::InUse => 1,
        }
    }
}

/// A user, by number and, if `/etc/passwd` has it, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct User {
    pub uid: u32,
    pub name: Option<Outside>,
}

impl User {
    /// The user of that number.
    pub fn new(uid: u32) -> Self {
        static ACCOUNTS: LazyLock<String> =
            LazyLock::new(|| std::fs::read_to_string("/etc/passwd").unwrap_or_default());
        let name = ACCOUNTS.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.into())
        });
        Self { uid, name }
    }
}

/// A socket on the port.
#[derive(Clone, Debug, Serialize)]
pub struct Socket {
    pub state: State,
    pub address: IpAddr,
    /// The network interface that it is bound to.
    pub device: Option<Outside>,
    pub peer: Option<SocketAddr>,
    pub ipv6_only: Option<bool>,
    /// Its user; none for a TIME_WAIT.
    pub user: Option<User>,
    /// The processes that hold it, as far as they can be seen.
    pub processes: Vec<Holder>,
    /// Of a TIME_WAIT or FIN_WAIT2 that only the kernel holds: the seconds that are left.
    pub seconds_left: Option<u32>,
    /// Of a listener: the connections that wait to be accepted.
    pub waiting: Option<u32>,
    /// Of a listener: how many may wait.
    pub backlog: Option<u32>,
    pub reuseaddr: Option<bool>,
    pub reuseport: Option<bool>,
    /// Whether it is the small record that the kernel keeps of a closed connection.
    pub record: bool,
    /// SO_REUSEADDR and SO_REUSEPORT, as a bind decides by them. Of several sockets without a
    /// process at one address, the kernel tells whether all have the option.
    #[serde(skip)]
    pub all_have: [Option<bool>; 2],
    /// Whether some process, or a queue, still has it (its inode is not 0).
    #[serde(skip)]
    pub has_inode: bool,
    /// The number of the network interface that it is bound to, 0 without one, if it is known.
    #[serde(skip)]
    pub device_index: Option<u32>,
    /// Whether the port's bucket has it.
    #[serde(skip)]
    pub is_owner: bool,
}

impl Socket {
    /// What the kernel has listed, with what the processes have shown.
    pub fn new(listed: &Listed, holders: &Holders) -> Self {
        let options = holders.options.get(&listed.inode);
        let reuseaddr = options.map(|options| options.reuseaddr);
        let reuseport = options.map(|options| options.reuseport);
        let listens = listed.state == State::Listen;
        Self {
            state: listed.state,
            address: listed.local,
            device: listed.device.filter(|index| *index != 0).map(interface_name),
            peer: listed.peer.map(|(ip, port)| SocketAddr::new(ip, port)),
            ipv6_only: listed.v6only.or(options.and_then(|options| options.ipv6_only)),
            user: listed.has_user().then(|| User::new(listed.uid)),
            processes: holders.of.get(&listed.inode).cloned().unwrap_or_default(),
            seconds_left: listed
                .timer_ms
                .filter(|_| listed.is_record)
                .map(|milliseconds| milliseconds.div_ceil(1000)),
            waiting: listens.then_some(listed.recv_queue),
            backlog: listens.then_some(listed.send_queue),
            reuseaddr,
            reuseport,
            record: listed.is_record,
            all_have: [reuseaddr, reuseport],
            has_inode: listed.inode != 0,
            device_index: listed.device,
            is_owner: listed.is_owner(),
        }
    }

    /// Takes note of an option that a bind has told of all sockets at its address.
    pub fn learn(&mut self, option: ServerOption, had: bool, is_alone: bool) {
        let (at, its_own) = match option {
            ServerOption::ReusePort => (1, &mut self.reuseport),
            _ => (0, &mut self.reuseaddr),
        };
        self.all_have[at] = Some(had);
        *its_own = (had || is_alone).then_some(had);
    }

    /// Its address and port, with its network interface as ss(8) writes it.
    pub fn place_with(&self, port: u16) -> String {
        match (&self.device, self.address) {
            (None, ip) => SocketAddr::new(ip, port).to_string(),
            (Some(device), IpAddr::V4(ip)) => format!("{ip}%{device}:{port}"),
            (Some(device), IpAddr::V6(ip)) => format!("[{ip}%{device}]:{port}"),
        }
    }

    /// Whether it is one end of a connection, or what is left of it.
    pub fn is_connection(&self) -> bool {
        self.peer.is_some() && self.state != State::Listen
    }

    /// Whether it is a connection, or what is left of one, that no process has.
    pub fn is_nobodys(&self) -> bool {
        self.is_owner && !self.has_inode && self.state != State::Listen
    }

    /// Whether it may be of a SO_REUSEPORT group that is there.
    pub fn may_have_group(&self) -> bool {
        self.is_owner && self.has_inode && self.reuseport != Some(false)
    }

    /// The first process that holds it.
    pub fn who(&self) -> Who {
        let holder = self.processes.first();
        Who { pid: holder.map(|holder| holder.pid), name: holder.map(|holder| holder.name.clone()) }
    }
}

named! {
    /// The options that a new server may set before bind, in the order of the table's columns.
    ServerOption {
        Nothing = "none",
        ReuseAddr = "SO_REUSEADDR",
        ReusePort = "SO_REUSEPORT",
        Both = "SO_REUSEADDR+SO_REUSEPORT",
    }
}

impl ServerOption {
    /// What is set.
    pub fn options(self) -> Options {
        Options {
            reuseaddr: matches!(self, Self::ReuseAddr | Self::Both),
            reuseport: matches!(self, Self::ReusePort | Self::Both),
        }
    }
}

/// Whether a server may bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Can {
    Yes,
    No,
    /// It depends on what could not be seen.
    Unknown,
}

/// Why a server may not bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// No option that both have.
    NoOption,
    /// The old one listens, which no SO_REUSEADDR goes past.
    Listens,
    /// For SO_REUSEPORT both would have to be of one user.
    OtherUser,
    /// A port below `ip_unprivileged_port_start`.
    Privileged,
    /// Not an address of this machine.
    NotThisMachine,
    /// Another interface has the address.
    OtherInterface,
    /// A policy refuses: a security module, a cgroup's program, Landlock, seccomp.
    Policy,
    /// An address that duplicate address detection has not cleared.
    Tentative,
    /// What bind says in other words, in `error`.
    Other,
    /// The test itself failed, with `error`.
    Untested,
    /// The kernel refuses, and no socket is seen that explains it.
    Unseen,
}

/// May a server with this option bind at this address now?
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    pub address: IpAddr,
    /// The option that it sets before bind.
    pub option: ServerOption,
    pub can: Can,
    pub why: Option<Why>,
    #[serde(serialize_with = "name_if_any")]
    pub error: Option<Errno>,
    /// The socket that decides, or one of several that may, by its place in `sockets`.
    pub socket: Option<usize>,
    /// Whether a real bind has said so, and not the model.
    pub probed: bool,
    /// Of an unknown one: why not, if bind refuses.
    #[serde(skip)]
    pub suspected: Option<Why>,
    /// Of an unknown one: whether bind succeeds only where the port remembers a SO_REUSEPORT group.
    #[serde(skip)]
    pub hangs_on_group: bool,
}

/// The name of a network interface, or its number where it is gone.
pub fn interface_name(index: u32) -> Outside {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None);
    let name = any.and_then(|any| index_to_name_inlined(any, index));
    name.map_or_else(|_| index.to_string().into(), |name| name.as_str().into())
}

/// The errors of bind by their names; others in the system's words.
pub fn error_name(errno: Errno) -> String {
    let name = kernel::error_name(errno);
    name.map_or_else(|| sockets::std_error(errno).to_string(), str::to_owned)
}

fn name<S: Serializer>(error: &Errno, serializer: S) -> Result<S::Ok, S::Error> {
    error_name(*error).serialize(serializer)
}

fn name_if_any<S: Serializer>(error: &Option<Errno>, serializer: S) -> Result<S::Ok, S::Error> {
    error.map(error_name).serialize(serializer)
}

/// A process, if one can be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Who {
    pub pid: Option<i32>,
    /// What ps(1) calls it.
    pub name: Option<Outside>,
}

impl From<&Holder> for Who {
    fn from(holder: &Holder) -> Self {
        Self { pid: Some(holder.pid), name: Some(holder.name.clone()) }
    }
}

/// A case that is known to puzzle. The fields are named as in [`Holder`] and [`Socket`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "case", rename_all = "kebab-case")]
pub enum Case {
    /// Several processes hold one listener: a child has inherited it.
    Inherited { pids: Vec<i32>, name: Outside },
    /// A socket that no process has, as seen from here.
    NoProcess { address: IpAddr, candidates: Vec<Candidate> },
    /// A thread waits in accept on a listener whose descriptor has been closed.
    InAccept { pid: i32, name: Outside },
    /// The process is stopped, as by Ctrl+Z.
    Stopped { pid: i32, name: Outside },
    /// SIGTERM does not end the process.
    Resists { pid: i32, name: Outside, because: Resists },
    /// A connection on a port of the ephemeral range, where nobody listens; or what is left of it.
    Outgoing {
        #[serde(flatten)]
        who: Who,
        first: u16,
        last: u16,
        is_over: bool,
    },
    /// A client that has connected to itself.
    SelfConnect {
        #[serde(flatten)]
        who: Who,
        is_over: bool,
    },
    /// A listener on `::` that takes IPv4 too.
    HoldsIpv4 { address: IpAddr },
    /// A container's published port.
    Published {
        engine: Engine,
        pid: i32,
        name: Outside,
        container_ip: Option<Outside>,
        container_port: Option<Outside>,
    },
    /// A listener in another network namespace.
    OtherNamespace { pid: i32, name: Outside, address: IpAddr },
    /// TIME_WAIT, or what comes before it, of a server without the option: at least one of them.
    LacksOption { count: usize, seconds_left: Option<u32> },
    /// TIME_WAIT of a server with the option.
    HadOption { count: usize, seconds_left: Option<u32> },
    /// systemd, or another super-server, listens for a service.
    SocketActivated { pid: i32, name: Outside },
    /// It is frozen with its cgroup, and may not see SIGTERM.
    Frozen { pid: i32, name: Outside },
    /// A connection that no process has any more.
    Orphan { state: State },
    /// Connections that no process has accepted.
    NotAccepted { count: usize },
    /// A socket that is bound and does not listen.
    BoundOnly(Who),
    /// The other protocol has the port, which is of no account.
    OtherProtocol(Who),
    /// EACCES: a privileged port.
    Privileged { first: u16 },
    /// EADDRNOTAVAIL: not an address of this machine.
    NotThisMachine { address: IpAddr },
    /// EADDRNOTAVAIL: another interface has the address than the one that was named.
    OtherInterface { address: IpAddr },
    /// EACCES, EPERM or another error that no socket and no missing privilege explains.
    Policy {
        #[serde(serialize_with = "name")]
        error: Errno,
    },
    /// EADDRNOTAVAIL of an address that is there: duplicate address detection runs, or has failed.
    Tentative { address: IpAddr, has_failed: bool },
    /// Another error.
    Refused {
        address: IpAddr,
        #[serde(serialize_with = "name")]
        error: Errno,
    },
}

/// What helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Help {
    /// Set the option in the new server: the old socket had it.
    SetNow { option: ServerOption },
    /// An address that is free right now, without any option.
    BindAddress { address: IpAddr },
    /// An address beside systemd-resolved, or its listener off.
    Resolved { command: String },
    /// Stop what holds it.
    Stop {
        command: String,
        /// What may start it again.
        parent: Option<Who>,
        /// What it ends, too: the one that has started this process, with its terminal or its session.
        above: Option<Who>,
    },
    /// Then wait for what is left of the connections; or, if their server had SO_REUSEADDR, set it in the new one.
    WaitAfter { had_option: bool },
    /// Find out what it belongs to, and stop that.
    Find { command: String },
    /// Stop the container from outside: the holder is its process 1.
    StopContainer,
    /// Wait; in FIN_WAIT2 the peer has not closed yet, and when it does, TIME_WAIT begins.
    Wait { seconds: u32, peer_is_open: bool },
    /// Wait until the peer answers, or the kernel gives up.
    WaitForPeer,
    /// SO_REUSEADDR in both servers from now on.
    SetBoth,
    /// Each family by itself.
    V6Only,
    /// Another port; outside this range, if it is given.
    OtherPort { outside: Option<(u16, u16)> },
    /// Keep the port out of the ephemeral range.
    Reserve { command: String },
    /// The privilege for a port below 1024.
    Privilege { command: String },
    /// One of this machine's addresses.
    OwnAddress { command: String },
    /// Wait until the address is no longer tentative; or, where detection has failed, take it from one of both.
    Settle { command: String, has_failed: bool },
    /// Find the policy that refuses.
    FindPolicy { command: String },
    /// Ask with `--probe`, or as root.
    Ask { command: String },
}

/// Why a server may say that a free port is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "if", rename_all = "kebab-case")]
pub enum IfStill {
    /// It binds the port twice itself.
    BindsTwice,
    /// It means the other protocol.
    OtherProtocol { command: String },
    /// It runs in another network namespace.
    OtherNamespace { command: String },
    /// A policy refuses it, or Windows, of which WSL is a guest.
    Policy { command: Option<String> },
    /// It asks for any port, and none is left.
    PortZero { command: String },
    /// It means a Unix socket.
    UnixSocket { command: String },
    /// It binds, and a rule sends its clients elsewhere.
    Forwarded { command: String },
    /// The command that finds out.
    Why { command: String },
}

/// What could not be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "unseen", rename_all = "kebab-case")]
pub enum Unseen {
    /// Processes of other users: whether they hold a socket, and its options.
    Processes { count: usize },
    /// The processes of other users, all of them: `/proc` is mounted with `hidepid`.
    Hidden,
    /// The processes: this process could not read `/proc`, for a reason of its own.
    Proc { error: String },
    /// The processes: `/proc` is that of another PID namespace.
    OtherPidNamespace,
    /// The options of a socket, of which the process was read.
    Options { error: String },
    /// Other network namespaces, of which there are too many.
    Namespaces { count: usize },
    /// sock_diag is missing or refused: IPV6_V6ONLY, and what `BoundOnly` says.
    SockDiag { error: String },
    /// Sockets that are bound and do not listen: before Linux 6.8.
    Bound,
    /// This kernel has no IPv6.
    Ipv6,
    /// What a server's bind would say, because the test failed.
    Test {
        address: IpAddr,
        #[serde(serialize_with = "name")]
        error: Errno,
    },
}
