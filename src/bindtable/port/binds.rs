//! Every real bind that is made on this machine, in this order. Each socket is closed at once, and none
//! listens.
//!
//! 1. [`learn_options`], after the list: of the port itself, where a TIME_WAIT, or another connection
//!    without a process, has it. Two at each such address, one where there are many, and some aside.
//!    `bindtable why` makes these, too.
//! 2. [`lists_bound`]: to a port of the kernel's choice.
//! 3. [`before_the_port`], as each address is judged: to a port of the kernel's choice, and then once more,
//!    which fails before it comes to the port that was asked for; and at an address that is not this machine's.
//! 4. [`probe`]: of the port itself, for each verdict that is unknown then, and each refusal with
//!    SO_REUSEPORT that a memory of the port's may undo. With `--probe`, where the kernel does not list every
//!    socket, and beside a connection without a process.
//! 5. [`source`], of `bindtable why`: none by name, but connect gives a socket of UDP a port.

use super::finding::{self, Can, Finding, ServerOption, Unseen, Verdict, Why};
use super::judge;
use super::target::Question;
use super::words;
use crate::kernel::bind::Sock;
use crate::kernel::{Options, Proto, Version};
use crate::sockets::{self, State, errno_of};
use rustix::io::Errno;
use rustix::system::uname;
use socket2::{Domain, Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A socket of the family of `ip`, with that option set. It fails as socket(2) does, EAFNOSUPPORT
/// where the kernel has no IPv6, and as setsockopt(2).
fn new_socket(proto: Proto, ip: IpAddr, option: ServerOption) -> io::Result<Socket> {
    let domain = if ip.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let kind = if proto == Proto::Tcp { Type::STREAM } else { Type::DGRAM };
    let socket = Socket::new(domain, kind, None)?;
    let Options { reuseaddr, reuseport } = option.options();
    if reuseaddr {
        socket.set_reuse_address(true)?;
    }
    if reuseport {
        socket.set_reuse_port(true)?;
    }
    Ok(socket)
}

/// The same, bound to the network interface of the question if `ip` is the address that was asked for.
fn new_server(question: &Question, ip: IpAddr, option: ServerOption) -> io::Result<Socket> {
    let socket = new_socket(question.proto, ip, option)?;
    if let Some(name) = question.target.device_name_at(ip) {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    Ok(socket)
}

/// bind(2).
fn bind(socket: &Socket, address: SocketAddr) -> Result<(), Errno> {
    socket.bind(&address.into()).map_err(errno_of)
}

/// Binds as a server would, and closes at once.
fn try_bind(question: &Question, ip: IpAddr, option: ServerOption) -> Result<(), Errno> {
    let server = new_server(question, ip, option).map_err(errno_of)?;
    bind(&server, question.target.at(ip))
}

/// What bind says before it looks at the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Nothing: the port's owners decide.
    Passed,
    /// It refuses the address, whoever has the port.
    Refused(Errno),
    /// It refuses the port, whoever has it.
    Denied(Errno),
    /// This kernel does not have the address family.
    NoFamily,
    /// The test failed, so that nothing is known.
    Failed(Errno),
}

/// What bind says before it looks at the port: EADDRNOTAVAIL and the like of the address, EACCES of
/// a privileged port, what a policy says. Nobody's port is taken, but for an ephemeral one: a second
/// bind of one socket always fails, with EINVAL if nothing else is wrong, before it comes to the port.
pub fn before_the_port(question: &Question, ip: IpAddr) -> Test {
    let address = question.target.at(ip);
    let socket = match new_server(question, ip, ServerOption::Nothing) {
        Ok(socket) => socket,
        Err(error) => {
            return match errno_of(error) {
                Errno::AFNOSUPPORT if ip.is_ipv6() => Test::NoFamily,
                errno => Test::Failed(errno),
            };
        }
    };
    let mut any = address;
    any.set_port(0);
    match bind(&socket, any) {
        Ok(()) => {}
        // Of the address, unless the wildcard is refused so, too.
        Err(errno @ (Errno::ADDRNOTAVAIL | Errno::INVAL | Errno::NODEV)) => {
            any.set_ip(unspecified(ip));
            return match bind(&socket, any) {
                Err(of_all) if of_all == errno => Test::Denied(errno),
                _ => Test::Refused(errno),
            };
        }
        // No ephemeral port is left at this address; then another one may have some.
        Err(Errno::ADDRINUSE) if bind_elsewhere(&socket, address).is_ok() => {}
        // Of port 0, which says nothing of the port that is asked for.
        Err(errno) => return Test::Failed(errno),
    }
    match bind(&socket, address) {
        Err(Errno::INVAL) if is_denied_elsewhere(question, ip) => Test::Denied(Errno::INVAL),
        Err(Errno::INVAL) | Ok(()) => Test::Passed,
        Err(errno) => Test::Denied(errno),
    }
}

/// Whether bind says EINVAL of the port, and not of port 0, at an address that no machine should have
/// (RFC 5737, RFC 3849): then it is a policy that says so.
fn is_denied_elsewhere(question: &Question, ip: IpAddr) -> bool {
    let nowhere: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::new(203, 0, 113, 254).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0xfffe).into(),
    };
    let says = |port: u16, expected| {
        let socket = new_socket(question.proto, ip, ServerOption::Nothing);
        socket.is_ok_and(|it| bind(&it, SocketAddr::new(nowhere, port)) == Err(expected))
    };
    says(0, Errno::ADDRNOTAVAIL) && says(question.target.port, Errno::INVAL)
}

/// The wildcard address of the family of `ip`.
fn unspecified(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Gives the socket a port at an address that no client uses.
fn bind_elsewhere(socket: &Socket, address: SocketAddr) -> Result<(), Errno> {
    let ip = LAST_OF_LOOPBACK;
    match address {
        SocketAddr::V4(_) => bind(socket, SocketAddr::new(ip.into(), 0)),
        SocketAddr::V6(_) => bind(socket, SocketAddr::new(ip.to_ipv6_mapped().into(), 0)),
    }
}

/// Finds out the options that a TIME_WAIT, or another socket of TCP without a process, has kept:
/// nobody can read them, but a bind at its address decides by them.
///
/// It is made without `--probe`, once for each option, and only where everything else at the address
/// is known. A server with the same option may bind, and listen, while it stands: it does not listen.
/// A server without an option fails for the sake of the TIME_WAIT itself. Kept out for that instant is
/// a server with one option alone where the TIME_WAIT has both, one with SO_REUSEPORT of another user, and
/// by a bind aside one with SO_REUSEPORT at a wildcard.
///
/// Returns whether the last bind that has succeeded was without SO_REUSEPORT: then the port remembers no
/// group.
pub fn learn_options(sockets: &mut [finding::Socket], question: &Question) -> bool {
    let is_asked = |socket: &finding::Socket| socket.is_nobodys() && socket.reuseaddr.is_none();
    // An address of IPv4 is one, mapped or not; a link-local one has its interface.
    let key = |socket: &finding::Socket| {
        let ip = socket.address.to_canonical();
        let is_link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let scope = socket.device_index.filter(|_| is_link_local);
        (ip, scope.unwrap_or_default())
    };
    let addresses: BTreeSet<(IpAddr, u32)> =
        sockets.iter().filter(|socket| is_asked(socket)).map(key).collect();
    // What may conflict at an address: what is there, and at a wildcard.
    let mut places: BTreeMap<(IpAddr, u32), Vec<usize>> = BTreeMap::new();
    for (at, socket) in sockets.iter().enumerate() {
        places.entry(key(socket)).or_default().push(at);
    }
    let at_wildcards = places.iter().filter(|((ip, _), _)| ip.is_unspecified());
    let wildcards: Vec<usize> = at_wildcards.flat_map(|(_, at)| at).copied().collect();
    let all_have = learn_at_wildcards(&addresses, sockets, question);
    let (spare, is_clear) = (Spare::default(), all_have.contains(&true));
    let has_group = sockets.iter().any(finding::Socket::may_have_group);
    let has_many = addresses.len() > MANY;
    let mut learning = Learning { sockets, question, spare, is_clear, has_group, has_many };
    for (ip, scope) in addresses {
        let own = &places[&(ip, scope)];
        let near: Vec<usize> = match ip.is_unspecified() {
            true => (0..learning.sockets.len()).collect(),
            false => own.iter().chain(&wildcards).copied().collect(),
        };
        let address = match ip {
            IpAddr::V6(ip) => SocketAddrV6::new(ip, question.target.port, 0, scope).into(),
            IpAddr::V4(_) => SocketAddr::new(ip, question.target.port),
        };
        learning.at(address, &near, own, all_have[usize::from(ip.is_ipv6())]);
    }
    learning.is_clear
}

/// Beyond so many addresses of a family its wildcard is asked first; and beyond so many in all, none is asked
/// for SO_REUSEPORT.
const MANY: usize = 16;

/// Finds out by one bind at a wildcard whether all have SO_REUSEADDR: for IPv4, and for IPv6. If it is
/// refused, nothing is known.
fn learn_at_wildcards(
    addresses: &BTreeSet<(IpAddr, u32)>,
    sockets: &mut [finding::Socket],
    question: &Question,
) -> [bool; 2] {
    let option = ServerOption::ReuseAddr;
    [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()].map(|any: IpAddr| {
        let is_of_family = |ip: IpAddr| ip.to_canonical().is_ipv4() == any.is_ipv4();
        if addresses.iter().filter(|(ip, _)| is_of_family(*ip)).count() <= MANY {
            return false;
        }
        let tried = new_socket(Proto::Tcp, any, option).and_then(|socket| {
            if any.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.bind(&SocketAddr::new(any, question.target.port).into())
        });
        if tried.is_ok() {
            let its = sockets.iter_mut().filter(|it| it.is_nobodys() && is_of_family(it.address));
            its.for_each(|socket| socket.learn(option, true, false));
        }
        tried.is_ok()
    })
}

/// Sockets whose bind was refused: each is as it was before.
#[derive(Default)]
struct Spare(Vec<(bool, ServerOption, Socket)>);

impl Spare {
    /// bind(2) at `address`, of one of them or of a new one.
    fn bind(&mut self, address: SocketAddr, option: ServerOption) -> Result<(), Errno> {
        let is_ipv4 = address.is_ipv4();
        let place = self.0.iter().position(|(is, has, _)| (*is, *has) == (is_ipv4, option));
        let socket = match place {
            Some(at) => self.0.swap_remove(at).2,
            None => new_socket(Proto::Tcp, address.ip(), option).map_err(errno_of)?,
        };
        let tried = bind(&socket, address);
        // bind has taken the scope of a link-local address for the socket's device.
        let has_scope = matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0);
        if tried.is_err() && !has_scope {
            self.0.push((is_ipv4, option, socket));
        }
        tried
    }
}

/// What [`learn_options`] has come to, from address to address.
struct Learning<'a> {
    sockets: &'a mut [finding::Socket],
    question: &'a Question,
    spare: Spare,
    /// Whether the port remembers no group, for certain.
    is_clear: bool,
    /// Whether a group may be there.
    has_group: bool,
    /// Whether there are too many addresses to ask for SO_REUSEPORT at each.
    has_many: bool,
}

impl Learning<'_> {
    /// Finds out the options of the sockets at one address, `own`, where those `near` may conflict; not
    /// SO_REUSEADDR, if it is known. SO_REUSEPORT, only where the port remembers no group, of which a success
    /// could be the doing: it is made to forget one that has gone. What this plants is forgotten again.
    fn at(&mut self, address: SocketAddr, near: &[usize], own: &[usize], knows: bool) {
        let scope = if let SocketAddr::V6(address) = address { address.scope_id() } else { 0 };
        let options = [ServerOption::ReuseAddr, ServerOption::ReusePort];
        for option in options.into_iter().skip(knows.into()) {
            let reuseport = option.options().reuseport;
            if reuseport && self.has_many {
                break;
            }
            let those: Vec<&finding::Socket> = near.iter().map(|at| &self.sockets[*at]).collect();
            let new = judge::new_socket(address.ip(), option, self.question.user.uid, false);
            let new = Sock { device: scope, ..new };
            let Some(asked) = judge::can_be_learned(&those, &new, option) else {
                continue;
            };
            if reuseport && !self.is_clear && !self.has_group {
                self.is_clear = bind_aside(self.question);
            }
            if reuseport && self.has_group && !judge::leaves_groups(self.sockets, &new) {
                continue;
            }
            let had = match self.spare.bind(address, option) {
                Ok(()) => true,
                Err(Errno::ADDRINUSE) => false,
                Err(_) => break, // a privileged port, or an address that is gone
            };
            if had && reuseport && !self.is_clear {
                continue; // it may be the doing of a group
            }
            if had {
                self.is_clear = !reuseport || bind_aside(self.question);
            }
            for at in own {
                let socket = &mut self.sockets[*at];
                if socket.is_owner && !socket.has_inode {
                    socket.learn(option, had, asked == 1);
                }
            }
        }
    }
}

/// Has a real bind say each verdict that is unknown. Where the kernel does not list every socket, that
/// is each one but a refusal; and of a port that nobody has, one at each address, since a policy may
/// refuse after all else (`BPF_CGROUP_INET4_POST_BIND`), and if it does with EADDRINUSE, the others. Without `--probe`, none that may change what the
/// port remembers of a group which is there ([`judge::leaves_groups`]), or plant one which cannot be cleared.
///
/// First those that hang on a remembered group, and each refusal with SO_REUSEPORT unless the port remembers
/// none for certain: it may be a group of which no list tells, since its sockets have gone, or have cleared
/// the option. If such a bind fails nothing changes. If it succeeds the group is what it was, unless a
/// socket has ended meanwhile, and it stays: only such binds follow.
///
/// Any other bind with SO_REUSEPORT lets a later one in by `fastreuseport`, even after its end, and one
/// without ends that. So the binds without it come first, and those with both options last; and of the
/// addresses, those whose success promises the later ones': `::` first, which meets every socket, then
/// 0.0.0.0, then the others. Where an earlier bind would let in a later one of which it promises nothing,
/// the kernel has to forget it first, and so it has to forget what it may remember of others; if it cannot be
/// made to, a success proves nothing. At the end, too, it is made to forget.
pub fn probe(finding: &mut Finding) {
    let mut probing = Probing::new(finding);
    let mut order: Vec<usize> = (0..finding.verdicts.len()).collect();
    order.sort_by_key(|at| probing.rank(&finding.verdicts[*at]));
    for at in order {
        match probing.asks_a_group(&finding.verdicts[at]) {
            true => probing.ask_group(finding, at),
            false => probing.ask(finding, at),
        }
    }
    if probing.planted.0.is_some() && probing.may_plant {
        forget_group(finding);
    }
    let Finding { verdicts, unseen, .. } = finding;
    let is_untested = |ip| {
        let mut its = verdicts.iter().filter(|verdict| verdict.address == ip);
        its.any(|verdict| verdict.why == Some(Why::Untested))
    };
    unseen.retain(|unseen| match unseen {
        Unseen::Test { address, .. } => is_untested(*address),
        _ => true,
    });
}

/// What [`probe`] has come to, from verdict to verdict.
struct Probing {
    /// `--probe`.
    is_probe: bool,
    has_owners: bool,
    /// Whether the kernel lists every socket.
    lists_all: bool,
    /// Whether the port may have remembered a group when this began, and whether it still may.
    may_remember: bool,
    is_others: bool,
    /// Whether a bind with SO_REUSEPORT may follow: any, or one that leaves a group what it is.
    may_plant: bool,
    may_join: bool,
    planted: Planted,
}

impl Probing {
    fn new(finding: &Finding) -> Self {
        let Finding { question, sockets, is_clear, .. } = finding;
        let may_remember = question.proto == Proto::Tcp && !is_clear;
        let is_harmless = *is_clear || !sockets.iter().any(finding::Socket::may_have_group);
        let may_plant = question.probe || (is_harmless && may_forget_group(finding));
        Self {
            is_probe: question.probe,
            has_owners: sockets.iter().any(|socket| socket.is_owner),
            lists_all: !finding.unseen.contains(&Unseen::Bound),
            may_remember,
            is_others: may_remember,
            may_plant,
            may_join: !may_plant,
            planted: Planted::default(),
        }
    }

    /// Whether a remembered group alone lets it in.
    fn asks_a_group(&self, verdict: &Verdict) -> bool {
        let is_refused = verdict.error == Some(Errno::ADDRINUSE);
        (verdict.can == Can::Unknown && verdict.hangs_on_group)
            || (self.may_remember && is_refused && verdict.option.options().reuseport)
    }

    /// The place in the order.
    fn rank(&self, verdict: &Verdict) -> impl Ord + use<> {
        let place = match verdict.address {
            IpAddr::V6(ip) if ip.is_unspecified() => 0,
            IpAddr::V4(ip) if ip.is_unspecified() => 1,
            _ => 2,
        };
        let option = ServerOption::ALL.iter().position(|option| *option == verdict.option);
        let ends_a_group = self.is_probe && !verdict.option.options().reuseport;
        (!ends_a_group, !self.asks_a_group(verdict), option, place)
    }

    /// Binds what a remembered group alone lets in. If it does, the group is to stay.
    fn ask_group(&mut self, finding: &mut Finding, at: usize) {
        let Verdict { address, option, can, .. } = finding.verdicts[at];
        let tried = try_bind(&finding.question, address, option);
        if tried.is_ok() {
            (self.may_plant, self.may_join) = (false, false);
        }
        match (can, tried) {
            (Can::No, Err(Errno::ADDRINUSE)) => finding.verdicts[at].probed = true,
            (Can::No, Err(_)) => {}
            _ => finding.take_note(at, tried),
        }
    }

    /// Whether any other one is bound.
    fn is_asked(&self, finding: &Finding, verdict: &Verdict, new: &Sock) -> bool {
        match verdict.can {
            Can::Unknown if self.may_plant => true,
            Can::Unknown if self.may_join && new.options.reuseport => {
                judge::leaves_groups(&finding.sockets, new) || finding.is_joined(verdict)
            }
            Can::Yes if self.lists_all => {
                let is_refused =
                    |it: &Verdict| it.address == verdict.address && it.why == Some(Why::Unseen);
                !self.has_owners
                    && (verdict.option == ServerOption::Nothing
                        || finding.verdicts.iter().any(is_refused))
            }
            can => can == Can::Yes,
        }
    }

    /// Binds any other one, if it is to be.
    fn ask(&mut self, finding: &mut Finding, at: usize) {
        let Verdict { address, option, .. } = finding.verdicts[at];
        let new = finding.question.server(address, option);
        if !self.is_asked(finding, &finding.verdicts[at], &new) {
            return;
        }
        let reuseport = new.options.reuseport;
        let misleads = self.planted.misleads(&new) || (self.is_others && reuseport);
        if misleads && self.may_plant && forget_group(finding) {
            (self.planted, self.is_others) = (Planted::default(), false);
        }
        let tried = try_bind(&finding.question, address, option);
        if tried.is_ok() {
            if self.planted.misleads(&new) {
                return;
            }
            self.is_others &= reuseport;
            self.planted.take_note(new, finding.question.proto);
        }
        finding.take_note(at, tried);
    }
}

/// What the port's bucket remembers of the probe's own binds (`fastreuseport`).
#[derive(Default)]
struct Planted(Option<Sock>);

impl Planted {
    /// A bind of this socket has succeeded.
    fn take_note(&mut self, sock: Sock, proto: Proto) {
        if proto == Proto::Tcp && !(sock.options.reuseport && self.lets_in(&sock)) {
            self.0 = sock.options.reuseport.then_some(sock);
        }
    }

    fn lets_in(&self, new: &Sock) -> bool {
        self.0.is_some_and(|earlier| judge::remembers(&earlier, new))
    }

    /// Whether the new socket is let in by an earlier one that did not meet all that it meets.
    fn misleads(&self, new: &Sock) -> bool {
        let meets_all = |earlier: Sock| {
            let any6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            earlier.device == new.device
                && (earlier.ip == new.ip
                    || (earlier.ip == any6 && !earlier.v6only)
                    || new.ip.to_canonical().is_ipv4())
        };
        self.lets_in(new) && !self.0.is_some_and(meets_all)
    }
}

/// Whether [`forget_group`] is to succeed, by the model.
fn may_forget_group(finding: &Finding) -> bool {
    let mut places = finding.verdicts.iter().map(|verdict| verdict.address);
    places.any(|ip| {
        let without = [ServerOption::Nothing, ServerOption::ReuseAddr];
        without.into_iter().any(|option| finding.allows(ip, option))
    }) || finding.allows(LAST_OF_LOOPBACK.into(), ServerOption::Nothing)
}

/// Makes the port forget the group of an earlier bind, by one without SO_REUSEPORT where that may be;
/// whether it has.
fn forget_group(finding: &Finding) -> bool {
    let may_bind =
        |verdict: &&Verdict| verdict.can == Can::Yes && !verdict.option.options().reuseport;
    let mut verdicts = finding.verdicts.iter().filter(may_bind);
    verdicts.any(|it| try_bind(&finding.question, it.address, it.option).is_ok())
        || bind_aside(&finding.question)
}

/// Binds the port without an option at an address that no client uses; whether that may be.
fn bind_aside(question: &Question) -> bool {
    try_bind(question, LAST_OF_LOOPBACK.into(), ServerOption::Nothing).is_ok()
}

/// The address of this network namespace that leads there, if that is to be found out. It fails with EADDRNOTAVAIL
/// if none does. A connect of UDP sends nothing.
pub fn source(to: SocketAddr) -> Result<Option<IpAddr>, Errno> {
    let tried = || {
        let socket = new_socket(Proto::Udp, to.ip(), ServerOption::Nothing)?;
        socket.connect(&to.into())?;
        Ok(socket.local_addr()?.as_socket().map(|own| own.ip()))
    };
    match tried().map_err(errno_of) {
        Err(Errno::ADDRNOTAVAIL) => Err(Errno::ADDRNOTAVAIL),
        tried => Ok(tried.ok().flatten()),
    }
}

/// The last address of the loopback, which no client uses.
pub const LAST_OF_LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 254);

/// Whether this kernel lists sockets of TCP that are bound and do not listen: Linux 6.8 and later. Tried,
/// since others have taken it over; where that is refused, the release tells. It fails where this process
/// may not have one more descriptor.
pub fn lists_bound() -> Result<bool, String> {
    let is_limit = |error: &io::Error| {
        let limits = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
        error.raw_os_error().is_some_and(|number| limits.contains(&number))
    };
    let lists = || -> io::Result<bool> {
        let (_socket, port) = match bound_somewhere() {
            Err(error) if !is_limit(&error) => return Ok(is_6_8()),
            made => made?,
        };
        let sockets = sockets::listed(Proto::Tcp, port, sockets::ALL)?;
        Ok(sockets.iter().any(|socket| socket.state == State::Bound))
    };
    match lists() {
        Err(error) if is_limit(&error) => Err(words::no_descriptor(&error)),
        lists => Ok(lists.unwrap_or(false)),
    }
}

/// Whether this kernel is Linux 6.8 or later, by its own word (uname(2)).
fn is_6_8() -> bool {
    let name = uname();
    Version::parse(&name.release().to_string_lossy()).is_some_and(|it| it >= Version::ONE_LIST)
}

/// A socket of TCP that is bound to a port of the kernel's choice and does not listen.
fn bound_somewhere() -> io::Result<(Socket, u16)> {
    let any = |ip: Ipv4Addr| SocketAddr::new(ip.into(), 0).into();
    let socket = new_socket(Proto::Tcp, Ipv4Addr::UNSPECIFIED.into(), ServerOption::Nothing)?;
    // Where clients have every ephemeral port at the addresses that they use, others have some left.
    socket.bind(&any(Ipv4Addr::UNSPECIFIED)).or_else(|_| socket.bind(&any(LAST_OF_LOOPBACK)))?;
    let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
    Ok((socket, port))
}
