//! The puzzling cases: each is recognised here, from what was found.

use super::finding::{Case, Finding, Socket, Unseen};
use super::target::Question;
use super::{holders, refusals};
use crate::kernel::Proto;
use crate::printable::Outside;
use crate::sockets::{self, Listed, State};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Names the puzzling cases, each once.
pub fn recognise(finding: &mut Finding) {
    let question = &finding.question;
    let is_listened_to = finding.sockets.iter().any(|socket| socket.receives(question.proto));
    let mut cases = Vec::new();
    for socket in &finding.sockets {
        of_socket(socket, finding, is_listened_to, &mut cases);
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
    if !is_listened_to {
        cases.extend(other_namespaces(question));
    }
    cases.extend(other_protocol(question));
    cases.extend(finding.verdicts.iter().filter_map(|it| refusals::case(it, question)));
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

fn of_socket(socket: &Socket, finding: &Finding, is_listened_to: bool, cases: &mut Vec<Case>) {
    let question = &finding.question;
    let is_over = !socket.has_inode;
    if is_self_connected(socket, finding) {
        cases.push(Case::SelfConnect { who: socket.who(), is_over });
    } else if socket.receives(question.proto) {
        of_listener(socket, finding, cases);
    } else if socket.state == State::Bound && question.proto == Proto::Tcp {
        cases.push(Case::BoundOnly(socket.who()));
    } else if !is_not_accepted(socket, finding) && socket.is_connection() {
        // A client seldom sets SO_REUSEADDR: with it, a server has closed the connection.
        if let Some((first, last)) = question.ephemeral_range()
            && !is_listened_to
            && socket.all_have[0] != Some(true)
        {
            cases.push(Case::Outgoing { who: socket.who(), first, last, is_over });
        }
        if !socket.has_inode && !socket.record {
            cases.push(Case::Orphan { state: socket.state });
        }
    }
}

/// Programs that listen for others: systemd(1), systemd-socket-activate(1), inetd(8).
const ACTIVATORS: [&str; 4] = ["systemd", "systemd-socket-", "inetd", "xinetd"];

/// Programs that hold a container's published port, by their 15 bytes.
const PROXIES: [&str; 6] =
    ["docker-proxy", "dockerd", "rootlesskit", "rootlessport", "slirp4netns", "pasta"];

fn of_listener(socket: &Socket, finding: &Finding, cases: &mut Vec<Case>) {
    let holders = &socket.processes;
    let is_one_of =
        |names: &[&str]| holders.iter().find(|holder| names.contains(&holder.name.raw()));
    if let Some(holder) = is_one_of(&ACTIVATORS) {
        cases.push(Case::SocketActivated { pid: holder.pid, name: holder.name.clone() });
    } else if let Some(holder) = is_one_of(&PROXIES) {
        let after = |option: &str| {
            let arguments = holder.command.raw().split_whitespace();
            arguments.skip_while(|argument| *argument != option).nth(1).map(Outside::from)
        };
        cases.push(Case::Published {
            pid: holder.pid,
            name: holder.name.clone(),
            container_ip: after("-container-ip"),
            container_port: after("-container-port"),
        });
    } else if let [first, _, ..] = &holders[..] {
        let pids = holders.iter().map(|holder| holder.pid).collect();
        cases.push(Case::Inherited { pids, name: first.name.clone() });
    } else if holders.is_empty() && all_readable(finding) {
        cases.push(Case::NoProcess { address: socket.address });
    }
    if socket.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && socket.ipv6_only == Some(false) {
        cases.push(Case::HoldsIpv4 { address: socket.address });
    }
}

/// Whether every process has shown its descriptors.
fn all_readable(finding: &Finding) -> bool {
    let is_of_processes =
        |unseen: &Unseen| matches!(unseen, Unseen::Processes { .. } | Unseen::Hidden);
    Path::new("/proc/self").exists() && !finding.unseen.iter().any(is_of_processes)
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

/// Listeners on the port in other network namespaces, where processes show them.
fn other_namespaces(question: &Question) -> Vec<Case> {
    let in_namespace = |pid| {
        let folder = format!("/proc/{pid}/net");
        sockets::in_proc(&folder, question.proto, question.target.port).unwrap_or_default()
    };
    let mut sockets: Vec<Listed> =
        holders::namespaces().into_iter().flat_map(in_namespace).collect();
    sockets.retain(|socket| socket.peer.is_none() && socket.inode != 0);
    if sockets.is_empty() {
        return Vec::new();
    }
    let holders = holders::find(&sockets.iter().map(|socket| socket.inode).collect());
    let first = |inode| holders.of.get(&inode).and_then(|holders| holders.first());
    let cases = sockets.iter().filter_map(|socket| {
        first(socket.inode).map(|holder| Case::OtherNamespace {
            pid: holder.pid,
            name: holder.name.clone(),
            address: socket.local,
        })
    });
    cases.collect()
}

/// Whether the other protocol has the port.
fn other_protocol(question: &Question) -> Option<Case> {
    let other = if question.proto == Proto::Tcp { Proto::Udp } else { Proto::Tcp };
    let sockets = sockets::listed(other, question.target.port, sockets::ALL).unwrap_or_default();
    let socket = sockets.iter().find(|socket| socket.peer.is_none() && socket.inode != 0)?;
    let holders = holders::find(&[socket.inode].into());
    Some(Case::OtherProtocol(Socket::new(socket, &holders).who()))
}
