//! The puzzling cases: each is recognised here, from what was found.

use super::beside::Beside;
use super::finding::{Candidate, Case, Engine, Finding, InKernel, Nobody, Socket};
use super::holders::Holder;
use super::refusals;
use super::target::Question;
use crate::kernel::Proto;
use crate::printable::Outside;
use crate::sockets::State;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Names the puzzling cases, each once; and those that are elsewhere.
pub fn recognise(finding: &mut Finding, beside: Beside) {
    let question = &finding.question;
    let is_listened_to = finding.sockets.iter().any(|socket| socket.receives(question.proto));
    let of_clients = question.ephemeral_range().filter(|_| !is_listened_to);
    let mut cases = Vec::new();
    for socket in &finding.sockets {
        of_socket(socket, finding, of_clients, &mut cases);
    }
    let count = finding.sockets.iter().filter(|socket| is_not_accepted(socket, finding)).count();
    if count > 0 {
        cases.push(Case::NotAccepted { count });
    }
    let is_outgoing = cases.iter().any(|case| matches!(case, Case::Outgoing { .. }));
    if !is_outgoing {
        cases.extend(of_records(finding, false)); // otherwise it was no server
    }
    cases.extend(of_records(finding, true));
    cases.extend(beside.cases);
    cases.extend(finding.verdicts.iter().filter_map(|it| refusals::case(question, it)));
    for case in cases {
        if !finding.cases.contains(&case) {
            finding.cases.push(case);
        }
    }
}

impl Socket {
    /// Whether clients reach it: a listener, or of UDP a socket without a peer.
    fn receives(&self, proto: Proto) -> bool {
        self.state == State::Listen || (proto == Proto::Udp && self.peer.is_none())
    }
}

/// Whether it is connected to itself.
fn is_self_connected(socket: &Socket, finding: &Finding) -> bool {
    socket.peer == Some(SocketAddr::new(socket.address, finding.question.target.port))
}

/// Whether it is a connection that waits in a listener's queue.
fn is_not_accepted(socket: &Socket, finding: &Finding) -> bool {
    !socket.has_inode
        && matches!(socket.state, State::Established | State::CloseWait)
        && !is_self_connected(socket, finding)
        && !socket.receives(finding.question.proto)
}

/// The cases of one socket, where clients may have the port from the range `of_clients`.
fn of_socket(
    socket: &Socket,
    finding: &Finding,
    of_clients: Option<(u16, u16)>,
    cases: &mut Vec<Case>,
) {
    let question = &finding.question;
    let is_over = !socket.has_inode;
    cases.extend(socket.processes.iter().filter_map(|holder| {
        let (pid, name) = (holder.pid, holder.name.clone());
        match holder.is_stopped {
            _ if holder.thaw.is_some() => Some(Case::Frozen { pid, name }),
            true => Some(Case::Stopped { pid, name }),
            false => holder.resists.map(|because| Case::Resists { pid, name, because }),
        }
    }));
    if socket.has_inode && socket.processes.is_empty() && finding.nobody() != Nobody::Unseen {
        let candidates = candidates(socket, question);
        cases.push(Case::NoProcess { address: socket.address, candidates });
    }
    if is_self_connected(socket, finding) {
        cases.push(Case::SelfConnect { who: socket.who(), is_over });
    } else if socket.receives(question.proto) {
        of_listener(socket, finding, cases);
    } else if socket.state == State::Bound && question.proto == Proto::Tcp {
        cases.push(Case::BoundOnly(socket.who()));
    } else if !is_not_accepted(socket, finding) && socket.is_connection() {
        // A client seldom sets SO_REUSEADDR: with it, a server has closed the connection.
        if let Some((first, last)) = of_clients
            && socket.all_have[0] != Some(true)
        {
            cases.push(Case::Outgoing { who: socket.who(), first, last, is_over });
        }
        if !socket.has_inode && !socket.record {
            cases.push(Case::Orphan { state: socket.state });
        }
    }
}

/// What may hold a socket that no process has, the likeliest first.
fn candidates(socket: &Socket, question: &Question) -> Vec<Candidate> {
    use InKernel::*;
    let is_nfs = |port: u16| port == 2049 || port == 111;
    let peer = socket.peer.map(|peer| peer.port());
    let nfs = Candidate {
        what: Nfs,
        command: match peer {
            Some(port) if is_nfs(port) => "mount -t nfs,nfs4",
            _ => "rpcinfo -p",
        },
    };
    let of_proto: &[Candidate] = match question.proto {
        Proto::Tcp => &[Candidate { what: Mptcp, command: "ip mptcp endpoint; ss -Man" }],
        Proto::Udp => &[
            Candidate { what: Tunnel, command: "ip -d link" },
            Candidate { what: Wireguard, command: "wg show" },
        ],
    };
    let of_any = [
        Candidate {
            what: IoUring,
            command: r"find /proc/[0-9]*/fd -lname 'anon_inode:\[io_uring\]'",
        },
        Candidate { what: InFlight, command: "ss -xap" },
    ];
    let is_first = peer.is_some_and(is_nfs) || is_nfs(question.target.port);
    let (before, after) = if is_first { (Some(nfs), None) } else { (None, Some(nfs)) };
    before.into_iter().chain(of_proto.iter().copied()).chain(after).chain(of_any).collect()
}

/// Programs that listen for others: systemd(1), systemd-socket-activate(1), inetd(8).
const ACTIVATORS: [&str; 4] = ["systemd", "systemd-socket-", "inetd", "xinetd"];

/// Programs that hold a published port for Podman, by their 15 bytes. pasta is a link to passt, which
/// runs the file for the machine's processor in its place.
const OF_PODMAN: [&str; 8] = [
    "conmon",
    "rootlessport",
    "rootlessport-ch",
    "slirp4netns",
    "pasta",
    "pasta.avx2",
    "passt",
    "passt.avx2",
];

/// The ports of dockerd itself: its API, and what a swarm's nodes say to each other.
const OF_DOCKERD: [u16; 4] = [2375, 2376, 2377, 7946];

/// What publishes the port, if this holder of a listener does so.
pub fn engine(holder: &Holder, port: u16) -> Option<Engine> {
    match holder.name.raw() {
        "docker-proxy" => {
            let host_port = argument(holder, "-host-port")?;
            (host_port.raw() == port.to_string()).then_some(Engine::Docker)
        }
        "dockerd" if !OF_DOCKERD.contains(&port) => Some(Engine::Swarm),
        "rootlesskit" => Some(Engine::Docker),
        name => {
            // The same program serves a virtual machine, under its own name.
            let is_passt = holder.started_as.raw().rsplit('/').next() == Some("passt");
            (OF_PODMAN.contains(&name) && !is_passt).then_some(Engine::Podman)
        }
    }
}

/// The word after that option in the command line.
pub fn argument(holder: &Holder, option: &str) -> Option<Outside> {
    let arguments = holder.command.raw().split_whitespace();
    arguments.skip_while(|argument| *argument != option).nth(1).map(Outside::from)
}

fn of_listener(socket: &Socket, finding: &Finding, cases: &mut Vec<Case>) {
    let holders = &socket.processes;
    let activator = holders.iter().find(|holder| ACTIVATORS.contains(&holder.name.raw()));
    let engine = |holder| engine(holder, finding.question.target.port).map(|it| (it, holder));
    if let Some(holder) = activator {
        cases.push(Case::SocketActivated { pid: holder.pid, name: holder.name.clone() });
    } else if let Some((engine, holder)) = holders.iter().find_map(engine) {
        cases.push(Case::Published {
            engine,
            pid: holder.pid,
            name: holder.name.clone(),
            container_ip: argument(holder, "-container-ip"),
            container_port: argument(holder, "-container-port"),
        });
    } else if let [first, _, ..] = &holders[..] {
        let pids = holders.iter().map(|holder| holder.pid).collect();
        cases.push(Case::Inherited { pids, name: first.name.clone() });
    } else if let [holder] = &holders[..]
        && holder.descriptors.is_empty()
    {
        cases.push(Case::InAccept { pid: holder.pid, name: holder.name.clone() });
    }
    if socket.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && socket.ipv6_only == Some(false) {
        cases.push(Case::HoldsIpv4 { address: socket.address });
    }
}

/// What closed connections tell of SO_REUSEADDR: those that had it, or those that had not.
fn of_records(finding: &Finding, had: bool) -> Option<Case> {
    let records = finding
        .sockets
        .iter()
        .filter(|socket| !socket.has_inode && socket.is_owner && socket.all_have[0] == Some(had));
    let seconds: Vec<Option<u32>> = records.map(|socket| socket.seconds_left).collect();
    let (count, seconds_left) = (seconds.len(), seconds.into_iter().flatten().max());
    (count > 0).then_some(match had {
        false => Case::LacksOption { count, seconds_left },
        true => Case::HadOption { count, seconds_left },
    })
}
