//! May a new server bind the port? The model of the kernel's rule, where some of what it needs may
//! be unknown.

use super::binds::{self, LAST_OF_LOOPBACK, Test};
use super::finding::{Can, Finding, ServerOption, Socket, Unseen, Verdict, Why};
use super::target::Question;
use crate::kernel::{Options, Proto};
use crate::kernel::bind::{self, Rule, Sock};
use crate::sockets::State;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A socket that has the port: everything that it may be, since some of its options may be unknown.
/// There is at least one.
#[derive(Clone, Debug)]
pub struct Owner(Vec<Sock>);

/// The number of a device that no other socket has.
const SOME_DEVICE: u32 = u32::MAX;

impl Owner {
    /// The owner that this socket is to a new one with that option. What a bind with one option has told of
    /// several sockets at once tells nothing of a bind with both: each may have another one of the two.
    pub fn new(socket: &Socket, option: ServerOption) -> Self {
        let has = match option {
            ServerOption::Both => [socket.reuseaddr, socket.reuseport],
            _ => socket.all_have,
        };
        let values = |known: Option<bool>| match known {
            Some(value) => vec![value],
            None => vec![false, true],
        };
        let devices = socket.device_index.map_or(vec![0, SOME_DEVICE], |index| vec![index]);
        let mut all = Vec::new();
        for v6only in values(socket.ipv6_only) {
            for reuseaddr in values(has[0]) {
                for reuseport in values(has[1]) {
                    all.extend(devices.iter().map(|device| Sock {
                        ip: socket.address,
                        v6only,
                        options: Options { reuseaddr, reuseport },
                        user: socket.user.as_ref().map_or(0, |user| user.uid),
                        device: *device,
                        listens: socket.state == State::Listen,
                        is_record: socket.record,
                        ..Sock::default()
                    }));
                }
            }
        }
        Self(all)
    }

    fn ip(&self) -> IpAddr {
        self.0[0].ip
    }

    fn listens(&self) -> bool {
        self.0[0].listens
    }

    /// Whether the addresses of the two conflict, on the same device.
    pub fn conflicts_with(&self, proto: Proto, new: &Sock) -> bool {
        let is_apart = |rule| matches!(rule, Ok(Rule::OtherAddress | Rule::OtherDevice));
        self.0.iter().any(|old| !is_apart(bind::bind(proto, &[*old], new)))
    }

    /// Whether a socket with SO_REUSEPORT may be among them.
    fn may_have_group(&self) -> bool {
        self.0.iter().any(|old| old.options.reuseport)
    }

    /// Whether the port's bucket may remember it as a member of the new socket's SO_REUSEPORT group
    /// (`fastreuseport`): then nobody else is compared. It depends on which socket came last.
    fn may_be_remembered(&self, new: &Sock) -> bool {
        self.0.iter().any(|&old| {
            // A record has no user, but its server had one when the bucket took note of it.
            let user = if old.is_record { new.user } else { old.user };
            remembers(&Sock { user, ..old }, new)
        })
    }
}

/// Whether `old`, if nobody else has the port, lets `new` in.
fn lets_in(old: &Sock, new: &Sock) -> bool {
    bind::bind(Proto::Tcp, &[*old], new).is_ok()
}

/// Whether a port that remembers `earlier` as the last one with SO_REUSEPORT (`fastreuseport`) lets `new` in,
/// whoever else has the port.
pub fn remembers(earlier: &Sock, new: &Sock) -> bool {
    bind::bind(Proto::Tcp, &[*earlier], new) == Ok(Rule::FastReusePort)
}

/// What the model says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    /// EADDRINUSE, for the sake of this owner, by this condition.
    No(usize, Rule),
    /// It depends on that; if bind refuses, for the sake of this owner, by this condition.
    Unknown(usize, Rule, On),
}

/// What an answer depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// What is not known of an owner.
    Owner,
    /// Whether the port remembers a SO_REUSEPORT group of the new socket's, which alone lets it in.
    Group,
}

/// The new server's socket.
pub fn new_socket(ip: IpAddr, option: ServerOption, user: u32, v6only_default: bool) -> Sock {
    let sock = Sock::new(ip, v6only_default && ip.is_ipv6());
    Sock { options: option.options(), user, ..sock }
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
                // The first of them lacks the options that are not known.
                Err(rule) => refusal = refusal.or(Some(rule)),
            }
        }
        answer = match (refusal, may, answer) {
            // A listener is the better reason, since no option of the new socket's goes past it.
            (Some(rule), false, Answer::No(first, of_first)) => {
                let better = owner.listens() && !owners[first].listens();
                if better { Answer::No(at, rule) } else { Answer::No(first, of_first) }
            }
            (Some(rule), false, _) => Answer::No(at, rule),
            (Some(rule), true, Answer::Yes) => Answer::Unknown(at, rule, On::Owner),
            (_, _, answer) => answer,
        };
    }
    match answer {
        Answer::No(at, rule) if may_remember_group(new, owners) => {
            Answer::Unknown(at, rule, On::Group)
        }
        answer => answer,
    }
}

/// Whether the port's bucket may remember a SO_REUSEPORT group that lets the new socket in: one of the
/// owners, or a socket that has gone. Of the latter nothing tells but another one with SO_REUSEPORT.
fn may_remember_group(new: &Sock, owners: &[Owner]) -> bool {
    if !new.options.reuseport || !owners.iter().any(Owner::may_have_group) {
        return false;
    }
    let may_have_been = |gone: &Sock| {
        let may_let_in = |owner: &Owner| owner.0.iter().any(|old| lets_in(old, gone));
        remembers(gone, new) && owners.iter().all(may_let_in)
    };
    owners.iter().any(|owner| owner.may_be_remembered(new))
        || gone(new).any(|gone| may_have_been(&gone))
}

/// Whether a bind of `new` with SO_REUSEPORT, beside sockets that have it too, changes nothing for later
/// binds if it succeeds. The port then remembers what it did, where that has let it in. Otherwise it
/// remembers `new`: those that it lets in now, and those that it let in for the sake of a socket that is
/// there, must each be let in anyway, by all with whom `new` was compared.
pub fn leaves_groups(sockets: &[Socket], new: &Sock) -> bool {
    /// Of more that differ nothing is said, which would take too long.
    const MANY: usize = 100;
    let all = |is_wanted: fn(&Socket) -> bool| -> Vec<Sock> {
        let mut seen = BTreeSet::new();
        let wanted =
            sockets.iter().filter(|it| is_wanted(it) && seen.insert(traits(it, it.address)));
        wanted.flat_map(|it| Owner::new(it, ServerOption::Nothing).0).collect()
    };
    let options = ServerOption::ReusePort.options();
    let mut group = all(Socket::may_have_group);
    group.retain(|old| old.options.reuseport);
    // sk_reuseport_match looks neither at the device nor, of two wildcards, at the family and IPV6_V6ONLY.
    let (ip, v6only) = match new.ip.to_canonical().is_unspecified() {
        true => (Ipv6Addr::UNSPECIFIED.into(), false),
        false => (new.ip, new.v6only),
    };
    let widest = Sock { ip, v6only, device: 0, options, ..*new };
    let others: Vec<&Sock> = group.iter().filter(|it| !remembers(it, new)).collect();
    let mut not_compared = all(|it| it.is_owner);
    not_compared.retain(|old| lets_in(old, new));
    let is_let_in = |it: &Sock| not_compared.iter().all(|old| lets_in(old, it));
    !group.is_empty()
        && others.len() <= MANY
        && others.into_iter().chain([&widest]).all(|it| is_let_in(&Sock { options, ..*it }))
}

/// The sockets with SO_REUSEPORT, of the same user, that may have had the port.
fn gone(new: &Sock) -> impl Iterator<Item = Sock> {
    let (any, any6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
    let places = [(any, false), (any6, false), (any6, true), (new.ip, new.v6only)];
    places.into_iter().flat_map(move |(ip, v6only)| {
        [false, true].into_iter().flat_map(move |reuseaddr| {
            [0, new.device, SOME_DEVICE].map(|device| Sock {
                ip,
                v6only,
                options: Options { reuseaddr, reuseport: true },
                device,
                user: new.user,
                ..Sock::default()
            })
        })
    })
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

/// `udp_lib_lport_inuse`, one list of all; or, for a specific address, `udp_lib_lport_inuse2`: a list of
/// that address, and one of the wildcard address. The kernel takes the second if more than ten sockets
/// are in the port's hash slot, which has other ports, too. So where the two differ nothing is known.
///
/// Until the spring of 2026 a wildcard address had `udp_lib_lport_inuse2` too, and so overlooked the
/// sockets on specific addresses ("udp: Fix wildcard bind conflict check when using hash2").
fn judge_udp(new: &Sock, owners: &[Owner]) -> Answer {
    // The table knows an IPv4 address by its mapped form, and one wildcard for both families.
    let key = |ip: IpAddr| Some(ip.to_canonical()).filter(|ip| !ip.is_unspecified());
    let all = |wanted: &dyn Fn(&Owner) -> bool| -> Vec<usize> {
        (0..owners.len()).filter(|&at| wanted(&owners[at])).collect()
    };
    let whole = judge_both_families(new, owners, all(&|_| true));
    if key(new.ip).is_none() {
        return whole;
    }
    let own = judge_both_families(new, owners, all(&|owner| key(owner.ip()) == key(new.ip)));
    let wildcard = judge_both_families(new, owners, all(&|owner| key(owner.ip()).is_none()));
    let by_address = match (own, wildcard) {
        (no @ Answer::No(..), _) | (_, no @ Answer::No(..)) => no,
        (unknown @ Answer::Unknown(..), _) => unknown,
        (_, answer) => answer,
    };
    match (whole, by_address) {
        (Answer::Yes, Answer::No(at, rule)) | (Answer::No(at, rule), Answer::Yes) => {
            Answer::Unknown(at, rule, On::Owner)
        }
        (_, unknown @ Answer::Unknown(..)) => unknown,
        (whole, _) => whole,
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
        Some((at, rule)) if may_succeed => Answer::Unknown(at, rule, On::Owner),
        Some((at, rule)) => Answer::No(at, rule),
    }
}

/// How many sockets without a process would decide a bind of `new`; none, if others decide, whatever
/// these have, or if these do by their user. Its address is not a mapped one.
pub fn can_be_learned(sockets: &[&Socket], new: &Sock, option: ServerOption) -> Option<usize> {
    let is_near = |socket: &Socket| Owner::new(socket, option).conflicts_with(Proto::Tcp, new);
    let near = sockets.iter().filter(|socket| socket.is_owner && is_near(socket));
    let (asked, others): (Vec<&Socket>, Vec<&Socket>) =
        near.partition(|socket| !socket.has_inode && socket.address.to_canonical() == new.ip);
    let answer = |sockets: &[&Socket]| {
        let owners: Vec<Owner> = sockets.iter().map(|it| Owner::new(it, option)).collect();
        judge(Proto::Tcp, new, &owners)
    };
    let may = answer(&others) == Answer::Yes && !matches!(answer(&asked), Answer::No(..));
    may.then_some(asked.len())
}

/// All of a socket at that place that the rule looks at.
fn traits<P: Ord>(socket: &Socket, place: P) -> impl Ord + use<P> {
    (
        (place, socket.ipv6_only, socket.all_have, socket.device_index),
        (socket.reuseaddr, socket.reuseport),
        (socket.user.as_ref().map(|user| user.uid), socket.state == State::Listen, socket.record),
    )
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
        Self {
            address,
            option,
            can: Can::Yes,
            why: None,
            error: None,
            socket: None,
            probed: false,
            suspected: None,
            hangs_on_group: false,
        }
    }
}

impl Question {
    /// The new server's socket at `ip`.
    pub fn server(&self, ip: IpAddr, option: ServerOption) -> Sock {
        let device = self.target.device_at(ip);
        Sock { device, ..new_socket(ip, option, self.user.uid, self.v6only_default) }
    }
}

impl Finding {
    /// All of a socket by which it differs from others for a server at an address that is judged: one at any
    /// other specific address is like each such one of its family.
    fn traits(&self, socket: &Socket) -> impl Ord + use<> {
        let ip = socket.address.to_canonical();
        let judged = [LAST_OF_LOOPBACK.into(), Ipv4Addr::LOCALHOST.into()];
        let asked = self.question.target.ip.map(|ip| ip.to_canonical());
        let matters = ip.is_unspecified() || judged.contains(&ip) || asked == Some(ip);
        let is_ipv4 = (socket.address.is_ipv4(), ip.is_ipv4());
        traits(socket, (Some(socket.address).filter(|_| matters), is_ipv4))
    }

    /// The owners of the port, with their places in `sockets`. Of those that are alike, the first one
    /// decides for all.
    fn owners(&self, option: ServerOption) -> (Vec<Owner>, Vec<usize>) {
        let mut seen = BTreeSet::new();
        let mut is_first = |socket: &Socket| seen.insert(self.traits(socket));
        let owners = self.sockets.iter().enumerate().filter(|(_, socket)| socket.is_owner);
        let first = owners.filter(|(_, socket)| is_first(socket));
        first.map(|(at, socket)| (Owner::new(socket, option), at)).unzip()
    }

    /// The sockets that are in the way of a server without an option, at the address that was asked
    /// for or anywhere: their places in `sockets`. None, if a real bind has passed them.
    pub fn find_in_the_way(&self) -> Vec<usize> {
        let asked = self.question.target.ip;
        let mut without = self.verdicts.iter().filter(|verdict| {
            verdict.option == ServerOption::Nothing && asked.is_none_or(|ip| ip == verdict.address)
        });
        if without.clone().next().is_some() && without.all(|it| it.can == Can::Yes && it.probed) {
            return Vec::new();
        }
        let new = asked.map(|ip| self.question.server(ip, ServerOption::Nothing));
        let mut known = BTreeMap::new();
        let mut is_near = |socket: &Socket| {
            let owner = Owner::new(socket, ServerOption::Nothing);
            let conflicts = |new| owner.conflicts_with(self.question.proto, new);
            *known.entry(self.traits(socket)).or_insert_with(|| new.as_ref().is_none_or(conflicts))
        };
        let owners = self.sockets.iter().enumerate().filter(|(_, socket)| socket.is_owner);
        owners.filter(|(_, socket)| is_near(socket)).map(|(place, _)| place).collect()
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
        let options = ServerOption::ALL.iter().map(|&option| (option, self.owners(option)));
        let owners: Vec<_> = options.collect();
        for ip in addresses {
            let test = binds::before_the_port(&self.question, ip);
            match test {
                Test::NoFamily => {
                    self.unseen.push(Unseen::Ipv6);
                    continue;
                }
                Test::Failed(error) => self.unseen.push(Unseen::Test { address: ip, error }),
                _ => {}
            }
            for (option, owners) in &owners {
                let mut verdict = Verdict::yes(ip, *option);
                self.apply_rule(&mut verdict, owners);
                match test {
                    Test::Refused(errno) => {
                        verdict.refuse(self.question.why_refused(ip, errno), errno);
                    }
                    Test::Denied(errno) => verdict.refuse(self.question.why_denied(errno), errno),
                    Test::Failed(errno) if verdict.can != Can::No => verdict.fail(errno),
                    _ => {}
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
            Answer::Unknown(at, rule, on) => {
                verdict.can = Can::Unknown;
                verdict.hangs_on_group = on == On::Group;
                verdict.suspected = Some(Why::new(rule, &owners[at]));
                verdict.socket = Some(places[at]);
            }
        }
    }

    /// Whether a server with that option may bind at `ip`, by the model.
    pub fn allows(&self, ip: IpAddr, option: ServerOption) -> bool {
        let new = self.question.server(ip, option);
        judge(self.question.proto, &new, &self.owners(option).0) == Answer::Yes
    }

    /// Whether a bind with SO_REUSEPORT alone has succeeded at the address of one with both options: whatever
    /// the port remembers now lets it in.
    pub fn is_joined(&self, both: &Verdict) -> bool {
        let is_alone = |it: &&Verdict| {
            it.address == both.address && it.option == ServerOption::ReusePort && it.probed
        };
        let mut alone = self.verdicts.iter().filter(is_alone);
        both.option == ServerOption::Both && alone.any(|it| it.can == Can::Yes)
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
        let (owners, _) = self.owners(ServerOption::Nothing);
        is_kept_out && judge(self.question.proto, &new, &owners) == Answer::Yes
    }
}
