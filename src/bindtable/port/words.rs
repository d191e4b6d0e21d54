//! Every sentence that `bindtable port` says to its reader, and nothing else.

use super::holders::Holder;
use super::sockets::State;
use super::verdict::With;
use super::{Can, Case, Finding, Help, Socket, Status, Unseen, User, Verdict, Why};
use std::io;
use std::net::IpAddr;

// What is wrong with the question.

pub(super) fn port_zero() -> String {
    "port 0 is no port: bind takes it for \"any free port\". Give a number from 1 to 65535"
        .to_owned()
}

pub(super) fn port_too_large(port: &str) -> String {
    format!("port {port} is too large: ports end at 65535")
}

pub(super) fn no_port(text: &str) -> String {
    format!("'{text}' is neither PORT nor ADDRESS:PORT: write 3459, 127.0.0.1:3459 or [::1]:3459")
}

pub(super) fn only_address(text: &str) -> String {
    format!("'{text}' is an address without a port: write 127.0.0.1:3459 or [::1]:3459")
}

pub(super) fn no_address(host: &str) -> String {
    format!("'{host}' is neither an IPv4 nor an IPv6 address: write 127.0.0.1:3459 or [::1]:3459")
}

pub(super) fn no_interface(name: &str) -> String {
    format!("'{name}' is no network interface of this machine")
}

pub(super) fn nothing_to_read(diag: &io::Error, proc: &io::Error) -> String {
    format!("the kernel does not list its sockets: sock_diag: {diag}; /proc/net: {proc}")
}

/// What `--format` may be.
pub fn two_formats() -> String {
    "--format: port has text and json".to_owned()
}

/// Said before `--probe` binds.
pub fn probing(finding: &Finding) -> String {
    format!(
        "--probe: each answer below is a real bind of port {}, closed at once. It takes the port for \
         that moment.",
        finding.port
    )
}

// The answer.

/// The whole answer in one sentence.
pub(super) fn answer(finding: &Finding, in_the_way: &[usize]) -> String {
    let protocol = finding.protocol.to_uppercase();
    let what = match finding.address {
        None => format!("{protocol} port {}", finding.port),
        Some(IpAddr::V4(ip)) => format!("{protocol} {ip}:{}", finding.port),
        Some(IpAddr::V6(ip)) => format!("{protocol} [{ip}]:{}", finding.port),
    };
    let sockets: Vec<&Socket> = in_the_way.iter().map(|at| &finding.sockets[*at]).collect();
    let Some(first) = sockets.iter().min_by_key(|socket| weight(socket)) else {
        return match finding.status {
            Status::Free if finding.address.is_some() && !finding.sockets.is_empty() => {
                format!("{what} is free: the sockets on this port have other addresses.")
            }
            Status::Free => {
                format!(
                    "{what} is free: no socket in this network namespace has it.{}",
                    but(finding)
                )
            }
            Status::InUse => format!(
                "{what} is in use: bind is refused, but the kernel does not list the socket that \
                 holds it."
            ),
            Status::Unknown => format!(
                "No socket is listed on {what}, but this kernel does not list a socket that is bound \
                 and does not listen."
            ),
        };
    };
    let others = match sockets.len() - 1 {
        0 => String::new(),
        1 => " One more socket has the port.".to_owned(),
        count => format!(" {count} more sockets have the port."),
    };
    format!("{what} is in use: {}.{others}", holds(first))
}

/// What keeps a server from a port that nobody has.
fn but(finding: &Finding) -> String {
    let is = |wanted: Why| {
        let mut verdicts = finding
            .verdicts
            .iter()
            .filter(|verdict| finding.address.is_none_or(|address| address == verdict.address));
        verdicts.any(|verdict| verdict.why == Some(wanted))
    };
    let user = user(&finding.user);
    if is(Why::NotThisMachine) {
        " But the address is not one of this machine, so bind fails with EADDRNOTAVAIL.".to_owned()
    } else if is(Why::Privileged) {
        format!(" But user {user} may not bind it: bind fails with EACCES.")
    } else {
        String::new()
    }
}

/// Which socket the first sentence is about: a listener if there is any.
fn weight(socket: &Socket) -> u8 {
    match socket.state {
        State::Listen => 0,
        State::Bound => 1,
        _ if socket.record => 4,
        _ if socket.has_inode => 2,
        _ => 3,
    }
}

fn holds(socket: &Socket) -> String {
    let address = place(socket.address);
    let who = match &socket.processes[..] {
        [] if socket.record => return record(socket),
        [] if socket.has_inode => "a process that cannot be seen".to_owned(),
        [] => {
            return format!(
                "the kernel holds a connection of {address} that no process has, in {}",
                socket.state.name()
            );
        }
        [holder] => format!("process {} ({})", holder.pid, holder.name),
        [holder, others @ ..] => {
            let others: Vec<String> = others.iter().map(|other| other.pid.to_string()).collect();
            format!("processes {} and {} ({})", holder.pid, others.join(", "), holder.name)
        }
    };
    let several = socket.processes.len() > 1;
    match (socket.state, socket.peer) {
        (State::Listen, _) if several => format!("{who} listen on {address}"),
        (State::Listen, _) => format!("{who} listens on {address}"),
        (State::Bound, _) if several => format!("{who} have bound {address}"),
        (State::Bound, _) => format!("{who} has bound {address}"),
        (state, Some(peer)) if several => {
            format!("{who} have a connection of {address} with {peer}, in {}", state.name())
        }
        (state, Some(peer)) => {
            format!("{who} has a connection of {address} with {peer}, in {}", state.name())
        }
        (state, None) => format!("{who} has {address}, in {}", state.name()),
    }
}

fn record(socket: &Socket) -> String {
    let address = place(socket.address);
    let state = socket.state.name();
    match socket.seconds_left {
        Some(seconds) => format!(
            "the kernel remembers a closed connection of {address}, in {state} for {} more",
            self::seconds(seconds)
        ),
        None => format!("the kernel remembers a closed connection of {address}, in {state}"),
    }
}

fn seconds(count: u32) -> String {
    if count == 1 { "1 second".to_owned() } else { format!("{count} seconds") }
}

fn place(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => "0.0.0.0 (every IPv4 address)".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => ":: (every address)".to_owned(),
        ip => ip.to_string(),
    }
}

/// `root (0)`, or the number.
pub fn user(user: &User) -> String {
    match &user.name {
        Some(name) => format!("{name} ({})", user.uid),
        None => user.uid.to_string(),
    }
}

// The sockets.

/// The lines below a socket.
pub(super) fn about(socket: &Socket, count: usize) -> Vec<String> {
    let mut lines: Vec<String> = socket.processes.iter().map(process).collect();
    if let (Some(waiting), Some(backlog)) = (socket.waiting, socket.backlog) {
        lines.push(format!("{waiting} waiting to be accepted, backlog {backlog}"));
    }
    if let Some(left) = socket.seconds_left {
        let most = if count > 1 { "at most " } else { "" };
        lines.push(format!("no process; {most}{} left", seconds(left)));
    } else if !socket.has_inode {
        lines.push("no process".to_owned());
    }
    let option = |name: &str, is_set: Option<bool>| match is_set {
        Some(true) => format!("{name} on"),
        Some(false) => format!("{name} off"),
        None => format!("{name} unknown"),
    };
    lines.push(format!(
        "{}, {}",
        option("SO_REUSEADDR", socket.reuseaddr),
        option("SO_REUSEPORT", socket.reuseport)
    ));
    if socket.ipv6_only == Some(true) && socket.address.is_unspecified() {
        lines.push("IPV6_V6ONLY on: it takes no IPv4".to_owned());
    }
    lines
}

fn process(holder: &Holder) -> String {
    let descriptors: Vec<String> = holder.descriptors.iter().map(i32::to_string).collect();
    let word = if descriptors.len() == 1 { "descriptor" } else { "descriptors" };
    let mut line =
        format!("process {} ({}), {word} {}", holder.pid, holder.name, descriptors.join(", "));
    if let Some(container) = &holder.container {
        line += &format!(", container {container}");
    } else if let Some(unit) = &holder.unit {
        line += &format!(", unit {unit}");
    }
    match short(&holder.command) {
        command if command.is_empty() => line,
        command => format!("{line}: {command}"),
    }
}

/// The beginning of a command line.
fn short(command: &str) -> String {
    const MOST: usize = 60;
    match command.char_indices().nth(MOST) {
        None => command.to_owned(),
        Some((end, _)) => format!("{}...", &command[..end]),
    }
}

pub(super) fn of_user(socket: &Socket) -> String {
    socket.user.as_ref().map_or(String::new(), |whose| format!("user {}", user(whose)))
}

pub(super) fn alike(count: usize) -> String {
    format!("{count} sockets alike")
}

pub(super) fn more_namespaces(count: usize) -> String {
    format!("{count} more sockets have this port in other network namespaces.")
}

// The table.

pub(super) fn can_a_server(finding: &Finding) -> String {
    format!("Can a new server of user {} bind it now, with which option?", user(&finding.user))
}

pub(super) fn option(with: With) -> &'static str {
    match with {
        With::Nothing => "no option",
        With::ReuseAddr => "SO_REUSEADDR",
        With::ReusePort => "SO_REUSEPORT",
    }
}

pub(super) fn can(can: Can) -> &'static str {
    match can {
        Can::Yes => "yes",
        Can::No => "no",
        Can::Unknown => "unknown",
    }
}

/// Why not, with the kernel's function.
pub(super) fn why(verdict: &Verdict) -> String {
    let error = verdict.error.as_deref().unwrap_or_default();
    match verdict.why {
        Some(Why::NoOption) => {
            "The addresses conflict, and no option is set in both sockets.".to_owned()
        }
        Some(Why::Listens) => {
            "The old socket listens. SO_REUSEADDR does not go past a listener, even if both servers \
             have it."
                .to_owned()
        }
        Some(Why::OtherUser) => {
            "Both have SO_REUSEPORT, but they belong to different users.".to_owned()
        }
        Some(Why::Privileged) => format!("{error}: the port needs a privilege."),
        Some(Why::NotThisMachine) => format!("{error}: this machine does not have the address."),
        Some(Why::Unseen) => {
            format!("{error}: the kernel refuses, and no socket that is listed explains it.")
        }
        Some(Why::Other) => format!("bind: {error}."),
        None => "It depends on options that could not be read.".to_owned(),
    }
}

// The cases.

pub(super) fn case(case: &Case, finding: &Finding) -> String {
    let port = finding.port;
    let who = |pid: &Option<i32>, name: &Option<String>| match (pid, name) {
        (Some(pid), Some(name)) => format!("Process {pid} ({name})"),
        _ => "A process that cannot be seen".to_owned(),
    };
    match case {
        Case::Inherited { pids, name } => format!(
            "{} processes hold this one socket ({}, {name}): a child inherited it from its parent. \
             The socket stays until the last of them closes it. A child that does not serve \
             should close the listener.",
            pids.len(),
            pids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
        ),
        Case::NoProcess { address } => format!(
            "No process that can be seen from here has the socket on {address}. Either the kernel \
             itself holds it (NFS does), or a process in another PID namespace: look from the host, \
             outside the container."
        ),
        Case::Outgoing { pid, name, first, last } => format!(
            "{} has an outgoing connection here, it seems: no socket listens on port {port}, and \
             the kernel chooses ports from {first} to {last} for outgoing connections. SO_REUSEADDR \
             in the server does not help. A server should have a port outside that range.",
            who(pid, name)
        ),
        Case::SelfConnect { is_over: true, .. } => format!(
            "A client was connected to itself: it tried to reach a server on port {port} that did \
             not run, and the kernel gave the client the same port."
        ),
        Case::SelfConnect { pid, name, .. } => format!(
            "{} is connected to itself: a client tried to reach a server on port {port} that did \
             not run, and the kernel gave the client the same port. It holds the port until the \
             client closes.",
            who(pid, name)
        ),
        Case::HoldsIpv4 { .. } => format!(
            "The socket on :: takes IPv4 too. That is why 0.0.0.0:{port} and 127.0.0.1:{port} are \
             in use, though no row of IPv4 shows it. To have both, a program sets IPV6_V6ONLY on \
             the socket of IPv6."
        ),
        Case::Published { pid, name, container_ip, container_port } => {
            let to = match (container_ip, container_port) {
                (Some(ip), Some(port)) => format!(" It leads to {ip}:{port} in the container."),
                _ => String::new(),
            };
            format!(
                "Process {pid} ({name}) holds the port for a container that publishes it. Docker \
                 says \"port is already allocated\".{to}"
            )
        }
        Case::OtherNamespace { pid, name, address } => format!(
            "Process {pid} ({name}) has port {port} on {address} in another network namespace. It \
             is in nobody's way here. To look there: nsenter -t {pid} -n ss -tanp"
        ),
        Case::LacksOption { count, seconds_left } => {
            let until = match seconds_left {
                Some(left) => format!("for {} more", seconds(*left)),
                None => "until it is gone".to_owned(),
            };
            let whose = match count {
                1 => "The server that closed this connection did not have SO_REUSEADDR".to_owned(),
                count => format!("Of these {count} closed connections, not all had SO_REUSEADDR"),
            };
            format!(
                "{whose}, and the kernel remembers that: a new server fails with the option too, \
                 {until}. (Seen by a bind that was closed at once.)"
            )
        }
        Case::HadOption { count, .. } => {
            let whose = match count {
                1 => "The server that closed this connection had SO_REUSEADDR".to_owned(),
                count => format!("All {count} closed connections had SO_REUSEADDR"),
            };
            format!(
                "{whose}: a new server with the option may bind now, if nothing else is in the \
                     way. (Seen by a bind that was closed at once.)"
            )
        }
        Case::SocketActivated { pid, name } => format!(
            "Process {pid} ({name}) listens for a service that it starts when a client comes. Stop \
             the socket unit, and not the service alone."
        ),
        Case::Orphan { state } => format!(
            "A connection in {} has no process any more (an orphan): the kernel alone finishes it, \
             when the peer answers or a timer expires.",
            state.name()
        ),
        Case::NotAccepted { count: 1 } => {
            "One connection has not been accepted yet, so no process has it.".to_owned()
        }
        Case::NotAccepted { count } => {
            format!("{count} connections have not been accepted yet, so no process has them.")
        }
        Case::BoundOnly { pid, name } => format!(
            "{} has bound the port and does not listen. netstat and ss -tan do not show such a \
             socket; ss -tanB does (iproute2 6.8).",
            who(pid, name)
        ),
        Case::OtherProtocol { pid, name } => {
            let (other, udp) = match finding.protocol {
                "tcp" => ("UDP", " --udp"),
                _ => ("TCP", ""),
            };
            format!(
                "{} has {other} port {port}, which does not matter here: see bindtable port \
                 {port}{udp}",
                who(pid, name)
            )
        }
        Case::Privileged { first } => format!(
            "bind fails with EACCES (Permission denied), which is another error than \"Address \
             already in use\": ports below {first} need the capability CAP_NET_BIND_SERVICE, \
             whoever has them."
        ),
        Case::NotThisMachine { address } => format!(
            "bind fails with EADDRNOTAVAIL (Cannot assign requested address), which is another \
             error than \"Address already in use\": {address} is no address of this machine, or of \
             this network namespace."
        ),
        Case::Refused { address, error } => format!("bind to {address} fails: {error}."),
    }
}

// What helps.

pub(super) fn what_helps() -> &'static str {
    "What helps, easiest first:"
}

pub(super) fn help(help: &Help, finding: &Finding) -> String {
    match help {
        Help::SetNow { option: With::ReusePort } => {
            "Set SO_REUSEPORT in the new server: the old one has it, so both may listen, and the \
             kernel spreads the clients over them."
                .to_owned()
        }
        Help::SetNow { .. } if finding.protocol == "udp" => {
            "Set SO_REUSEADDR in the new server: the old one has it. But then the last one that \
             binds gets the datagrams."
                .to_owned()
        }
        Help::SetNow { .. } => {
            "Set SO_REUSEADDR in the new server: the old socket has it, so bind succeeds now."
                .to_owned()
        }
        Help::Stop { command } => format!("Stop what holds it: {command}"),
        Help::Wait { seconds: left, peer_is_open: false } => format!("Wait {}.", seconds(*left)),
        Help::Wait { seconds: left, peer_is_open: true } => format!(
            "Wait {}. If the peer closes before that, TIME_WAIT begins, and lasts 60 seconds.",
            seconds(*left)
        ),
        Help::WaitForPeer => {
            "Wait until the peer answers or a timer of the kernel expires.".to_owned()
        }
        Help::SetBoth => {
            "For later restarts: set SO_REUSEADDR before bind in both servers.".to_owned()
        }
        Help::V6Only => {
            "If the new server needs IPv6 alone: set IPV6_V6ONLY, and bind :: beside it.".to_owned()
        }
        Help::OtherPort { outside: None } => "Choose another port.".to_owned(),
        Help::OtherPort { outside: Some((first, last)) } => format!(
            "Choose another port, outside {first} to {last}: the kernel takes ports of that range \
             for outgoing connections."
        ),
        Help::Reserve { command } => {
            format!("Or keep this port out of that range, as root: {command}")
        }
        Help::Privilege { command } => {
            format!(
                "Run the server as root, give it CAP_NET_BIND_SERVICE, or allow all users: {command}"
            )
        }
        Help::OwnAddress { command } => {
            format!("Bind an address that this machine has. This lists them: {command}")
        }
        Help::Ask { command } => {
            format!("To find out what is unknown, by a real bind: {command}")
        }
    }
}

// What could not be seen.

pub(super) fn unseen(unseen: &Unseen) -> String {
    match unseen {
        Unseen::Processes { count: 1 } => {
            "Not seen: the descriptors of one process of another user. Ask as root.".to_owned()
        }
        Unseen::Processes { count } => {
            format!("Not seen: the descriptors of {count} processes of other users. Ask as root.")
        }
        Unseen::SockDiag { error } => format!(
            "Not seen: sock_diag is not to be had ({error}), so this is from /proc/net. That does \
             not show IPV6_V6ONLY."
        ),
        Unseen::Bound => {
            "Not seen: sockets of TCP that are bound and do not listen. Linux 6.8 and later list \
             them by sock_diag."
                .to_owned()
        }
        Unseen::Ipv6 => "This kernel has no IPv6.".to_owned(),
    }
}
