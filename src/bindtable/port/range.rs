//! `bindtable port 0`: how full the range is from which the kernel chooses a port.

use super::binds;
use super::finding::{ServerOption, Socket, Status};
use super::holders::Holders;
use super::judge::Owner;
use super::target::{Question, Range, Target};
use super::words;
use crate::kernel::Proto;
use crate::kernel::bind::Sock;
use crate::sockets::{self, Listed, State};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is found of the range.
#[derive(Debug, Serialize)]
pub struct RangeFinding {
    pub protocol: Proto,
    port: u16,
    /// The address that a server would bind; without one, the wildcards.
    pub address: Option<IpAddr>,
    /// Whether a port is left where the fewest are.
    pub status: Status,
    answer: String,
    /// The first and the last port of `ip_local_port_range`.
    pub first: u16,
    pub last: u16,
    /// How many of them `ip_local_reserved_ports` keeps out.
    pub reserved: usize,
    /// Those that are left at the address; without one, at the wildcard that has fewer.
    #[serde(flatten)]
    pub fewest: Left,
    /// At each of those addresses, and at `::` with IPV6_V6ONLY, too.
    pub addresses: Vec<Left>,
    /// Whether sockets that are bound and do not listen are among those in use: Linux 6.8, and all of UDP.
    pub has_bound: bool,
    /// The sockets on them, by state.
    pub states: BTreeMap<State, usize>,
    /// What helps where few are left.
    pub help: Vec<RangeHelp>,
}

/// How many ports of the range are left.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Left {
    /// Where a server would bind.
    #[serde(rename = "at")]
    pub address: IpAddr,
    /// Whether it takes IPv6 alone.
    pub ipv6_only: bool,
    /// How many ports have a socket that would be in its way.
    pub in_use: usize,
    pub free: usize,
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

/// Counts the ports of the range. It fails if sock_diag(7) cannot be asked, and with `probe`:
/// the ports of a range are not tried.
pub fn look(target: Target, proto: Proto, probe: bool) -> Result<RangeFinding, String> {
    if probe {
        return Err(words::no_probe_of_a_range());
    }
    let question = Question::new(target, proto, false);
    let address = question.target.ip;
    let range = Range::read();
    let (first, last) = (range.first, range.last);
    let sockets =
        sockets::listed(proto, 0, sockets::ALL).map_err(|error| words::no_sock_diag(&error))?;
    let ports: BTreeSet<u16> = range.ports().collect();
    let is_inside = |socket: &&Listed| socket.is_owner() && ports.contains(&socket.port);
    let inside: Vec<&Listed> = sockets.iter().filter(is_inside).collect();
    let places = places(&question);
    let in_the_way: Vec<Vec<&Listed>> =
        places.iter().map(|place| in_the_way(&inside, &question, *place)).collect();
    let left = |((address, ipv6_only), sockets): ((IpAddr, bool), &Vec<&Listed>)| {
        let in_use = sockets.iter().map(|socket| socket.port).collect::<BTreeSet<u16>>().len();
        Left { address, ipv6_only, in_use, free: ports.len() - in_use }
    };
    let addresses: Vec<Left> = places.into_iter().zip(&in_the_way).map(left).collect();
    let all = in_the_way.iter().flatten();
    let all: BTreeMap<[u8; 8], State> = all.map(|socket| (socket.cookie, socket.state)).collect();
    let mut states = BTreeMap::new();
    all.into_values().for_each(|state| *states.entry(state).or_default() += 1);
    // connect shares a port with connections alone.
    let bound: BTreeSet<u16> =
        inside.iter().filter(|it| it.peer.is_none()).map(|it| it.port).collect();
    let fewest = *addresses.iter().min_by_key(|left| left.free).expect("there is one");
    let free = fewest.free;
    let mut help = Vec::new();
    if free <= ports.len() / 4 {
        if proto == Proto::Tcp && bound.len() < ports.len() {
            help.push(RangeHelp::BindAddressNoPort);
        }
        help.extend(range.widen_command().map(|command| RangeHelp::Widen { command }));
    }
    let mut finding = RangeFinding {
        protocol: proto,
        port: 0,
        address,
        status: if free == 0 { Status::InUse } else { Status::Free },
        answer: String::new(),
        first,
        last,
        reserved: range.reserved.range(first..=last).count(),
        fewest,
        addresses,
        has_bound: proto == Proto::Udp || binds::lists_bound()?,
        states,
        help,
    };
    finding.answer = words::range_answer(&finding);
    Ok(finding)
}

/// Where a server would bind, and whether it takes IPv6 alone.
fn places(question: &Question) -> Vec<(IpAddr, bool)> {
    let any = IpAddr::from(Ipv6Addr::UNSPECIFIED);
    let ip = question.target.ip.unwrap_or(any);
    let mut places = vec![(ip, question.v6only_default && ip.is_ipv6())];
    if question.target.ip.is_none() {
        places.insert(0, (Ipv4Addr::UNSPECIFIED.into(), false));
    }
    if places.contains(&(any, false)) {
        places.push((any, true));
    }
    places
}

/// Those that are in the way of a server at that address, which takes IPv6 alone or not.
fn in_the_way<'a>(
    sockets: &[&'a Listed],
    question: &Question,
    (ip, v6only): (IpAddr, bool),
) -> Vec<&'a Listed> {
    let new = Sock { v6only, ..question.server(ip, ServerOption::Nothing) };
    let conflicts = |it: &Listed| {
        // Of options that the new socket lacks nothing depends.
        let socket = Socket::new(it, &Holders::default());
        Owner::new(&socket, ServerOption::Nothing).conflicts_with(question.proto, &new)
    };
    let mut known = BTreeMap::new();
    let mut is_known = |it: &Listed| {
        let key = (it.local, it.v6only, it.device);
        *known.entry(key).or_insert_with(|| conflicts(it))
    };
    sockets.iter().copied().filter(|socket| is_known(socket)).collect()
}

/// The text for a reader.
pub fn text(finding: &RangeFinding) -> String {
    let mut text = super::print::wrapped(&finding.answer, "", "");
    for (state, count) in &finding.states {
        text += &format!("    {:12}{count}\n", state.name());
    }
    text.push('\n');
    if !finding.has_bound {
        text += &super::print::wrapped(&words::not_listed(), "", "");
    }
    text += &super::print::wrapped(words::range_rule(finding.protocol), "", "");
    let help = super::print::numbered(finding.help.iter().map(words::range_help));
    if help.is_empty() { text } else { text + "\n" + &help }
}

/// The same for programs, on one line.
pub fn json(finding: &RangeFinding) -> String {
    serde_json::to_string(finding).expect("it has no map with odd keys") + "\n"
}
