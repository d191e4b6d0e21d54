//! `bindtable port 0`: how full the range is from which the kernel chooses a port.

use super::finding::Status;
use crate::kernel::Proto;
use super::target::Range;
use super::words;
use crate::sockets::{self, State};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What is found of the range.
#[derive(Debug, Serialize)]
pub struct RangeFinding {
    pub protocol: Proto,
    port: u16,
    /// The address that a server would bind; without one, every address.
    address: Option<IpAddr>,
    /// Whether a port is left that no socket has.
    pub status: Status,
    answer: String,
    /// The first and the last port of `ip_local_port_range`.
    pub first: u16,
    pub last: u16,
    /// How many of them `ip_local_reserved_ports` keeps out.
    pub reserved: usize,
    /// How many of the others have a socket that would be in the way at the address.
    pub in_use: usize,
    pub free: usize,
    /// The sockets on them, by state.
    pub states: BTreeMap<State, usize>,
    /// What helps where few are left.
    pub help: Vec<RangeHelp>,
}

/// What helps where the range is full.
#[derive(Debug, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum RangeHelp {
    /// A client that binds an address sets IP_BIND_ADDRESS_NO_PORT: connect(2) chooses the port, and
    /// may choose one that another connection has.
    BindAddressNoPort,
    /// A wider range.
    Widen { command: String },
}

/// Counts the ports of the range. It fails if sock_diag(7) cannot be asked.
pub fn look(address: Option<IpAddr>, proto: Proto) -> Result<RangeFinding, String> {
    let range = Range::read();
    let (first, last) = (range.first, range.last);
    let is_near = |local: IpAddr| match (address.map(|ip| ip.to_canonical()), local.to_canonical())
    {
        (None, _) => true,
        (Some(ip), local) => ip == local || ip.is_unspecified() || local.is_unspecified(),
    };
    let sockets =
        sockets::listed(proto, 0, sockets::ALL).map_err(|error| words::no_sock_diag(&error))?;
    let ports: BTreeSet<u16> = range.ports().collect();
    let mut states = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for socket in sockets.iter().filter(|it| ports.contains(&it.port) && is_near(it.local)) {
        taken.insert(socket.port);
        *states.entry(socket.state).or_default() += 1;
    }
    let (in_use, free) = (taken.len(), ports.len() - taken.len());
    let mut help = Vec::new();
    if free <= ports.len() / 4 {
        if proto == Proto::Tcp {
            help.push(RangeHelp::BindAddressNoPort);
        }
        if first > Range::lowest() {
            help.push(RangeHelp::Widen { command: range.widen_command() });
        }
    }
    let mut finding = RangeFinding {
        protocol: proto,
        port: 0,
        address,
        status: if free == 0 { Status::InUse } else { Status::Free },
        answer: String::new(),
        first,
        last,
        reserved: usize::from(last - first) + 1 - ports.len(),
        in_use,
        free,
        states,
        help,
    };
    finding.answer = words::range_answer(&finding);
    Ok(finding)
}

/// The text for a reader.
pub fn text(finding: &RangeFinding) -> String {
    let mut text = super::print::wrapped(&finding.answer, "", "");
    for (state, count) in &finding.states {
        text += &format!("    {:12}{count}\n", state.name());
    }
    text.push('\n');
    text += &super::print::wrapped(words::range_rule(finding.protocol), "", "");
    let help = super::print::numbered(finding.help.iter().map(words::range_help));
    if help.is_empty() { text } else { text + "\n" + &help }
}

/// The same for programs, on one line.
pub fn json(finding: &RangeFinding) -> String {
    serde_json::to_string(finding).expect("it has no map with odd keys") + "\n"
}
