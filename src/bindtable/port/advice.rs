//! What helps, easiest first. No command is run.

use super::finding::{Can, Case, Finding, Help, ServerOption, Socket, Status};
use super::holders::Holder;
use super::target::{Question, reserved_ports};
use crate::kernel::Proto;
use crate::printable::Outside;
use crate::sockets::State;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// Says what helps.
pub fn advise(finding: &mut Finding) {
    let mut help = Vec::new();
    if finding.status == Status::InUse {
        against_sockets(finding, &mut help);
    }
    let Question { target, probe, .. } = &finding.question;
    for case in &finding.cases {
        let helps = match case {
            Case::Privileged { .. } => Help::Privilege {
                command: format!("sysctl net.ipv4.ip_unprivileged_port_start={}", target.port),
            },
            Case::NotThisMachine { .. } => {
                Help::OwnAddress { command: "ip -brief address".to_owned() }
            }
            Case::Tentative { .. } => Help::Settle { command: "ip -6 address show".to_owned() },
            Case::Policy { .. } => Help::FindPolicy {
                command: "ausearch -m avc -ts recent; journalctl -k -g apparmor; bpftool cgroup \
                          tree; grep Seccomp /proc/self/status"
                    .to_owned(),
            },
            _ => continue,
        };
        if !help.contains(&helps) {
            help.push(helps);
        }
    }
    let is_unknown = finding.verdicts.iter().any(|verdict| verdict.can == Can::Unknown);
    if is_unknown && !probe {
        help.extend(finding.question.with_probe().map(|command| Help::Ask { command }));
    }
    finding.help = help;
}

/// What helps where a socket is in the way.
fn against_sockets(finding: &Finding, help: &mut Vec<Help>) {
    let question = &finding.question;
    let in_the_way: Vec<&Socket> =
        finding.in_the_way.iter().map(|at| &finding.sockets[*at]).collect();
    let nobody_has_it = !in_the_way.is_empty() && in_the_way.iter().all(|socket| !socket.has_inode);
    let options = [ServerOption::ReuseAddr, ServerOption::ReusePort];
    let set_now = options.into_iter().find(|option| finding.lets_in(*option));
    let set_now = set_now.map(|option| Help::SetNow { option });
    if nobody_has_it {
        help.extend(set_now.clone());
    }
    help.extend(stop(question, &in_the_way).map(|command| Help::Stop { command }));
    if nobody_has_it {
        help.push(wait(&in_the_way));
    } else {
        help.extend(set_now);
    }
    let is_outgoing = finding.cases.iter().any(|case| {
        matches!(case, Case::Outgoing { is_over: false, .. } | Case::SelfConnect { .. })
    });
    if question.proto == Proto::Tcp && !in_the_way.is_empty() && !is_outgoing {
        help.push(Help::SetBoth);
    }
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    if question.target.ip == Some(any) && finding.v6only_helps() {
        help.push(Help::V6Only);
    }
    let outside = question.ephemeral_range();
    help.push(Help::OtherPort { outside });
    if outside.is_some() {
        help.push(reserve(question.target.port));
    }
}

/// What nobody has goes by itself.
fn wait(in_the_way: &[&Socket]) -> Help {
    match in_the_way.iter().filter_map(|socket| socket.seconds_left).max() {
        Some(seconds) if in_the_way.iter().all(|socket| socket.record) => {
            let peer_is_open = in_the_way.iter().any(|socket| socket.state == State::FinWait2);
            Help::Wait { seconds, peer_is_open }
        }
        _ => Help::WaitForPeer,
    }
}

fn reserve(port: u16) -> Help {
    let others = match &reserved_ports()[..] {
        "" => String::new(),
        ports => format!("{ports},"), // the new value takes the place of the old one
    };
    Help::Reserve { command: format!("sysctl net.ipv4.ip_local_reserved_ports={others}{port}") }
}

/// The command that stops what holds the port.
pub fn stop(question: &Question, in_the_way: &[&Socket]) -> Option<String> {
    let holders: BTreeSet<&Holder> =
        in_the_way.iter().flat_map(|socket| &socket.processes).collect();
    let is_named = |name: &str| holders.iter().any(|holder| holder.name.raw() == name);
    if holders.is_empty() {
        return None;
    }
    if is_named("docker-proxy") || is_named("dockerd") {
        let (port, proto) = (question.target.port, question.proto.name());
        return Some(format!("docker stop $(docker ps -q --filter publish={port}/{proto})"));
    }
    if is_named("systemd") {
        return Some("systemctl list-sockets; systemctl stop NAME.socket".to_owned());
    }
    stop_unit(&holders).or_else(|| {
        let pids: BTreeSet<i32> = holders.iter().map(|holder| holder.pid).collect();
        let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
        Some(format!("kill {}", pids.join(" ")))
    })
}

/// The command that stops the one service in which all of them run.
fn stop_unit(holders: &BTreeSet<&Holder>) -> Option<String> {
    let units: BTreeSet<Option<&Outside>> =
        holders.iter().map(|holder| holder.unit.as_ref()).collect();
    let unit = units.first().copied().flatten().filter(|_| units.len() == 1)?;
    let is_service = unit.raw().ends_with(".service") && !unit.raw().starts_with("user@");
    if !is_service || holders.iter().any(|holder| holder.container.is_some()) {
        return None;
    }
    let is_users = holders.iter().all(|holder| holder.is_users_unit);
    let option = if is_users { " --user" } else { "" };
    Some(format!("systemctl{option} stop {}", unit.quoted()?))
}
