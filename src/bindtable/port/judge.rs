//! May a new server bind the port? The model of the kernel's rule, where some of what it needs may
//! be unknown.

use super::binds;
use super::finding::{Can, Finding, ServerOption, Socket, Unseen, Verdict, Why};
use super::target::Question;
use crate::kernel::{Options, Proto};
use crate::kernel::bind::{self, Rule, Sock};
use crate::sockets::State;
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A socket that has the port: everything that it may be, since some of its options may be unknown.
/// There is at least one.
#[derive(Clone, Debug)]
pub struct Owner(Vec<Sock>);

impl From<&Socket> for Owner {
    fn from(socket: &Socket) -> Self {
        let values = |known: Option<bool>| match known {
            Some(value) => vec![value],
            None => vec![false, true],
        };
        let mut all = Vec::new();
        for v6only in values(socket.ipv6_only) {
            for reuseaddr in values(socket.all_have[0]) {
                for reuseport in values(socket.all_have[1]) {
                    all.push(Sock {
                        ip: socket.address,
                        v6only,
                        options: Options { reuseaddr, reuseport },
                        user: socket.user.as_ref().map_or(0, |user| user.uid),
                        listens: socket.state == State::Listen,
                        is_record: socket.record,
                        ..Sock::default()
                    });
                }
            }
        }
        Self(all)
    }
}

impl Owner {
    fn ip(&self) -> IpAddr {
        self.0[0].ip
    }

    fn listens(&self) -> bool {
        self.0[0].listens
    }

    /// Whether the addresses of the two conflict.
    pub fn conflicts_with(&self, proto: Proto, new: &Sock) -> bool {
        self.0.iter().any(|old| bind::bind(proto, &[*old], new) != Ok(Rule::OtherAddress))
    }

    /// Whether the port's bucket may remember it as a member of the new socket's SO_REUSEPORT group
    /// (`fastreuseport`): then nobody else is compared. It depends on which socket came last.
    fn may_be_remembered(&self, new: &Sock) -> bool {
        self.0.iter().any(|&old| {
            // A record has no user, but its server had one when the bucket took note of it.
            let user = if old.is_record { new.user } else { old.user };
            bind::bind(Proto::Tcp, &[Sock { user, ..old }], new) == Ok(Rule::FastReusePort)
        })
    }
}

/// What the model says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may bind.
    Yes,
    /// EADDRINUSE, for the sake of this owner, by this condition.
    No(usize, Rule),
    /// It depends on what is not known of this owner.
    Unknown(usize),
}

/// The new server's socket.
pub fn new_socket(ip: IpAddr, option: ServerOption, user: u32, v6only_default: bool) -> Sock {
    // __inet6_bind sets it for each IPv6 address that is neither wildcard nor mapped.
    let v6only = match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) if ip.is_unspecified() => v6only_default,
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_none() || v6only_default,
    };
    Sock {
        ip,
        v6only,
        options: Options {
            reuseaddr: option == ServerOption::ReuseAddr,
            reuseport: option == ServerOption::ReusePort,
        },
        user,
        ..Sock::default()
    }
}

/// What the model says of `new`, where `owners` have the port. Of UDP, each family's owners have to
/// stand in the kernel's order, the one that came last first.
pub fn judge(proto: Proto, new: &Sock, owners: &[Owner]) -> Answer {
    match proto {
        Proto::Tcp => judge_tcp(new, owners),
        Proto::Udp => judge_udp(new, owners),
    }
}

fn judge_tcp(new: &Sock, owners: &[Owner]) -> Answer {
    let mut answer = Answer::Yes;
    for (at, owner) in owners.iter().enumerate() {
        let (mut refusal, mut may) = (None, false);
        for old in &owner.0 {
            match bind::bind(Proto::Tcp, &[*old], new) {
                Ok(_) => may = true,
                Err(rule) => refusal = Some(rule),
            }
        }
        answer = match (refusal, may, answer) {
            // A listener is the better reason, since no option of the new socket's goes past it.
            (Some(rule), false, Answer::No(first, of_first)) => {
                let better = owner.listens() && !owners[first].listens();
                if better { Answer::No(at, rule) } else { Answer::No(first, of_first) }
            }
            (Some(rule), false, _) => Answer::No(at, rule),
            (Some(_), true, Answer::Yes) => Answer::Unknown(at),
            (_, _, answer) => answer,
        };
    }
    match answer {
        Answer::No(at, _) if owners.iter().any(|owner| owner.may_be_remembered(new)) => {
            Answer::Unknown(at)
        }
        answer => answer,
    }
}

/// How the kernel's walk over the sockets of a list may end.
#[derive(Clone, Default)]
struct Ends {
    /// It may find a conflict, here.
    no: Option<(usize, Rule)>,
    /// It may find a member of the same SO_REUSEPORT group, and look no further.
    group: Option<usize>,
    /// It may find neither.
    nothing: bool,
}

fn walk(new: &Sock, owners: &[Owner], list: &[usize]) -> Ends {
    let mut ends = Ends::default();
    for &at in list {
        let mut goes_on = false;
        for old in &owners[at].0 {
            match bind::bind(Proto::Udp, &[*old], new) {
                Ok(Rule::BothReusePort) => ends.group = ends.group.or(Some(at)),
                Ok(_) => goes_on = true,
                Err(rule) => ends.no = ends.no.or(Some((at, rule))),
            }
        }
        if !goes_on {
            return ends;
        }
    }
    ends.nothing = true;
    ends
}

/// `udp_lib_lport_inuse`, one list of all. If more than ten are in it, and the new socket's address
/// is a specific one, `udp_lib_lport_inuse2`: a list of that address, and one of the wildcard address.
///
/// Until the spring of 2026 a wildcard address had `udp_lib_lport_inuse2` too, and so overlooked the
/// sockets on specific addresses ("udp: Fix wildcard bind conflict check when using hash2").
fn judge_udp(new: &Sock, owners: &[Owner]) -> Answer {
    // The table knows an IPv4 address by its mapped form, and one wildcard for both families.
    let key = |ip: IpAddr| Some(ip.to_canonical()).filter(|ip| !ip.is_unspecified());
    let all = |wanted: &dyn Fn(&Owner) -> bool| -> Vec<usize> {
        (0..owners.len()).filter(|&at| wanted(&owners[at])).collect()
    };
    if owners.len() <= 10 || key(new.ip).is_none() {
        return judge_both_families(new, owners, all(&|_| true));
    }
    let own = judge_both_families(new, owners, all(&|owner| key(owner.ip()) == key(new.ip)));
    let wildcard = judge_both_families(new, owners, all(&|owner| key(owner.ip()).is_none()));
    match (own, wildcard) {
        (no @ Answer::No(..), _) | (_, no @ Answer::No(..)) => no,
        (unknown @ Answer::Unknown(_), _) => unknown,
        (_, answer) => answer,
    }
}

/// A list, of which the order is known within each family alone.
fn judge_both_families(new: &Sock, owners: &[Owner], list: Vec<usize>) -> Answer {
    let (ipv4, ipv6): (Vec<usize>, Vec<usize>) =
        list.into_iter().partition(|&at| owners[at].ip().is_ipv4());
    let (a, b) = (walk(new, owners, &ipv4), walk(new, owners, &ipv6));
    let may_succeed = (a.group.is_some() || b.group.is_some()) || (a.nothing && b.nothing);
    let may_fail = a.no.or(b.no);
    match may_fail {
        None => Answer::Yes,
        Some((at, _)) if may_succeed => Answer::Unknown(at),
        Some((at, rule)) => Answer::No(at, rule),
    }
}

/// How many sockets without a process would decide a bind at `ip`; none, if others decide, whatever
/// these have, or if these do by their user.
pub fn can_be_learned(
    sockets: &[Socket],
    ip: IpAddr,
    option: ServerOption,
    user: u32,
) -> Option<usize> {
    let new = new_socket(ip, option, user, false);
    let near = sockets
        .iter()
        .filter(|socket| socket.is_owner && Owner::from(*socket).conflicts_with(Proto::Tcp, &new));
    let (asked, others): (Vec<&Socket>, Vec<&Socket>) =
        near.partition(|socket| !socket.has_inode && socket.address == ip);
    let answer = |sockets: &[&Socket]| {
        let owners: Vec<Owner> = sockets.iter().map(|socket| Owner::from(*socket)).collect();
        judge(Proto::Tcp, &new, &owners)
    };
    let may = answer(&others) == Answer::Yes && !matches!(answer(&asked), Answer::No(..));
    may.then_some(asked.len())
}

impl Why {
    fn new(rule: Rule, owner: &Owner) -> Self {
        match rule {
            _ if owner.listens() && rule != Rule::OtherUser => Self::Listens,
            Rule::OtherUser => Self::OtherUser,
            _ => Self::NoOption,
        }
    }
}

impl Verdict {
    /// A server may bind.
    fn yes(address: IpAddr, option: ServerOption) -> Self {
        Self { address, option, can: Can::Yes, why: None, error: None, socket: None, probed: false }
    }
}

impl Question {
    /// The new server's socket at `ip`.
    pub fn server(&self, ip: IpAddr, option: ServerOption) -> Sock {
        new_socket(ip, option, self.user.uid, self.v6only_default)
    }
}

impl Finding {
    /// The owners of the port, with their places in `sockets`.
    fn owners(&self) -> (Vec<Owner>, Vec<usize>) {
        let owners = self.sockets.iter().enumerate().filter(|(_, socket)| socket.is_owner);
        owners.map(|(at, socket)| (Owner::from(socket), at)).unzip()
    }

    /// The sockets that are in the way of a server without an option, at the address that was asked
    /// for or anywhere: their places in `sockets`.
    pub fn find_in_the_way(&self) -> Vec<usize> {
        let (owners, places) = self.owners();
        let Some(ip) = self.question.target.ip else { return places };
        let new = self.question.server(ip, ServerOption::Nothing);
        let is_near = |owner: &Owner| owner.conflicts_with(self.question.proto, &new);
        let near = owners.iter().zip(places).filter(|(owner, _)| is_near(owner));
        near.map(|(_, place)| place).collect()
    }

    /// Judges a server at each address of the table: the one that was asked for, and the usual ones.
    pub fn judge(&mut self) {
        let mut addresses: Vec<IpAddr> = vec![
            Ipv4Addr::LOCALHOST.into(),
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv6Addr::UNSPECIFIED.into(),
        ];
        if let Some(ip) = self.question.target.ip {
            addresses.retain(|address| *address != ip);
            addresses.insert(0, ip);
        }
        let owners = self.owners();
        for ip in addresses {
            let address = self.question.target.at(ip);
            let refusal = binds::before_the_port(self.question.proto, address).err();
            if refusal == Some(Errno::AFNOSUPPORT) {
                self.unseen.push(Unseen::Ipv6);
                continue;
            }
            for option in ServerOption::ALL {
                let mut verdict = Verdict::yes(ip, option);
                match refusal {
                    Some(errno) => verdict.refuse(errno),
                    None => self.apply_rule(&mut verdict, &owners),
                }
                self.verdicts.push(verdict);
            }
        }
    }

    fn apply_rule(&self, verdict: &mut Verdict, (owners, places): &(Vec<Owner>, Vec<usize>)) {
        let new = self.question.server(verdict.address, verdict.option);
        match judge(self.question.proto, &new, owners) {
            Answer::Yes => {}
            Answer::No(at, rule) => {
                verdict.can = Can::No;
                verdict.why = Some(Why::new(rule, &owners[at]));
                verdict.error = Some(Errno::ADDRINUSE);
                verdict.socket = Some(places[at]);
            }
            Answer::Unknown(at) => {
                verdict.can = Can::Unknown;
                verdict.socket = Some(places[at]);
            }
        }
    }

    /// Whether this option lets a new server in wherever it is kept out without one.
    pub fn lets_in(&self, option: ServerOption) -> bool {
        let of = |option: ServerOption| {
            self.verdicts.iter().filter(move |verdict| verdict.option == option)
        };
        let kept_out = of(ServerOption::Nothing)
            .zip(of(option))
            .filter(|(without, _)| without.error == Some(Errno::ADDRINUSE));
        let let_in: Vec<bool> = kept_out.map(|(_, with)| with.can == Can::Yes).collect();
        !let_in.is_empty() && !let_in.contains(&false)
    }

    /// Whether a server on `::` may bind if it takes IPv6 alone, and otherwise not.
    pub fn v6only_helps(&self) -> bool {
        let any = Ipv6Addr::UNSPECIFIED.into();
        let mut of_any = self.verdicts.iter().filter(|verdict| verdict.address == any);
        let is_kept_out =
            of_any.any(|verdict| verdict.option == ServerOption::Nothing && verdict.can == Can::No);
        let new = Sock { v6only: true, ..self.question.server(any, ServerOption::Nothing) };
        is_kept_out && judge(self.question.proto, &new, &self.owners().0) == Answer::Yes
    }
}
