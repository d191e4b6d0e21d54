//! A cell of the table: the sockets that are there, the state of the first, and the new socket.
//!
//! Its name is `PROTOCOL/THERE/STATE/NEW`, as in
//! `tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr`. The whole grammar: [`grammar`].

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Values with a name each, in the order in which they are listed.
macro_rules! named {
    ($(#[$about:meta])* $kind:ident { $($(#[$note:meta])* $value:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)] // a name that says all
        pub enum $kind { $($(#[$note])* $value,)+ }

        impl $kind {
            /// Each, in the order in which they are listed.
            pub const ALL: &[Self] = &[$(Self::$value,)+];

            /// As it is written on the command line and in the name of a cell.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)+ }
            }
        }

        impl clap::ValueEnum for $kind {
            fn value_variants<'a>() -> &'a [Self] {
                Self::ALL
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                Some(self.name().into())
            }
        }

        impl std::str::FromStr for $kind {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|value| value.name() == name).ok_or_else(|| {
                    let names: Vec<&str> = Self::ALL.iter().map(|value| value.name()).collect();
                    $crate::say!(
                        "'{name}' is none of {names}",
                        "“{name}”不在 {names} 之中",
                        names = names.join(", ")
                    )
                })
            }
        }
    };
}

pub(crate) use named;

named! {
    /// The protocol of all sockets of a cell.
    Proto { Tcp = "tcp", Udp = "udp", }
}

named! {
    /// Where the first of the old sockets, A, is when the new one, B, comes.
    State {
        Bound = "bound",
        Between = "between",
        Listening = "listening",
        ShutDown = "shut-down",
        Connection = "connection",
        Connected = "connected",
        FinWait1 = "fin-wait-1",
        HalfClosed = "half-closed",
        FinWait2 = "fin-wait-2",
        CloseWait = "close-wait",
        LastAck = "last-ack",
        TimeWait = "time-wait",
        Closed = "closed",
        Exhausted = "exhausted",
        ExhaustedReuse0 = "exhausted-reuse-0",
        ExhaustedReuse1 = "exhausted-reuse-1",
        ExhaustedReuse1Between = "exhausted-reuse-1-between",
    }
}

impl State {
    /// What a connection goes through, in its order; and before it, and after.
    pub const OF_TCP: [Self; 13] = [
        Self::Bound,
        Self::Between,
        Self::Listening,
        Self::ShutDown,
        Self::Connection,
        Self::Connected,
        Self::FinWait1,
        Self::HalfClosed,
        Self::FinWait2,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Closed,
    ];

    /// What a socket can be in whose connection it has made itself.
    pub const OF_CLIENT: [Self; 6] = [
        Self::Connected,
        Self::HalfClosed,
        Self::FinWait2,
        Self::CloseWait,
        Self::TimeWait,
        Self::Closed,
    ];

    /// UDP has no others.
    pub const OF_UDP: [Self; 4] = [Self::Bound, Self::Connected, Self::Exhausted, Self::Closed];

    /// As a table shows it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Between => "bound, listens before B listens",
            Self::Listening => "LISTEN",
            Self::ShutDown => "listener after shutdown(SHUT_RD)",
            Self::Connection => "LISTEN and ESTABLISHED",
            Self::Connected => "ESTABLISHED, listener closed",
            Self::FinWait1 => "FIN_WAIT1, closed",
            Self::HalfClosed => "FIN_WAIT2, not closed",
            Self::FinWait2 => "FIN_WAIT2",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
            Self::Closed => "closed",
            Self::Exhausted => "bound to the last port",
            Self::ExhaustedReuse0 => "last port, ip_autobind_reuse 0",
            Self::ExhaustedReuse1 => "last port, ip_autobind_reuse 1",
            Self::ExhaustedReuse1Between => {
                "last port, ip_autobind_reuse 1, listens before B listens"
            }
        }
    }

    /// What `--help` says of it.
    const fn about(self) -> &'static str {
        match self {
            Self::Bound => "bound, and nothing more",
            Self::Between => "bound, and A listens between B's bind and B's listen",
            Self::Listening => "LISTEN",
            Self::ShutDown => "a listener after shutdown(SHUT_RD): bound still, not in LISTEN",
            Self::Connection => "LISTEN, and one connection is accepted",
            Self::Connected => "ESTABLISHED, the listener closed; UDP: connected to a peer",
            Self::FinWait1 => "FIN_WAIT1: A has closed, and nobody acknowledges it",
            Self::HalfClosed => "FIN_WAIT2 by shutdown(SHUT_WR): A's descriptor is open",
            Self::FinWait2 => "FIN_WAIT2: A has closed",
            Self::CloseWait => "CLOSE_WAIT: A's peer has closed",
            Self::LastAck => "LAST_ACK: the peer has closed first, then A has shut down",
            Self::TimeWait => "TIME_WAIT",
            Self::Closed => "closed, and nothing is left",
            Self::Exhausted => "UDP: A has the last port; B asks for any (port 0)",
            Self::ExhaustedReuse0 => "TCP: the same; the sysctl ip_autobind_reuse is 0",
            Self::ExhaustedReuse1 => "TCP: the same; the sysctl ip_autobind_reuse is 1",
            Self::ExhaustedReuse1Between => "as before, and as `between`",
        }
    }

    /// Whether B asks for any port while A has the last.
    pub const fn is_exhausted(self) -> bool {
        matches!(
            self,
            Self::Exhausted
                | Self::ExhaustedReuse0
                | Self::ExhaustedReuse1
                | Self::ExhaustedReuse1Between
        )
    }

    /// What ip_autobind_reuse must be.
    pub const fn autobind_reuse(self) -> Option<bool> {
        match self {
            Self::ExhaustedReuse0 => Some(false),
            Self::ExhaustedReuse1 | Self::ExhaustedReuse1Between => Some(true),
            _ => None,
        }
    }

    /// Whether A listens between B's bind and B's listen.
    pub const fn is_between(self) -> bool {
        matches!(self, Self::Between | Self::ExhaustedReuse1Between)
    }

    /// Whether A is bound, and has done no more.
    pub const fn is_bound(self) -> bool {
        matches!(self, Self::Bound | Self::Between) || self.is_exhausted()
    }
}

named! {
    /// Which of the two families the sockets of a cell have.
    Family { Ipv4 = "ipv4", Ipv6 = "ipv6", Mixed = "mixed", }
}

impl Family {
    /// The one that all sockets of `cell` have, or `Mixed`.
    pub fn of(cell: &Cell) -> Self {
        let is_ipv4 = |socket: &Socket| socket.ip.is_ipv4();
        match (cell.sockets().all(is_ipv4), cell.sockets().any(is_ipv4)) {
            (true, _) => Self::Ipv4,
            (_, false) => Self::Ipv6,
            _ => Self::Mixed,
        }
    }
}

/// When an option is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Set {
    /// Not at all.
    #[default]
    Never,
    /// Before bind.
    Before,
    /// After bind.
    Late,
    /// Before bind, and cleared after it.
    Cleared,
}

impl Set {
    /// Before bind, or never.
    pub fn before(is_set: bool) -> Self {
        if is_set { Self::Before } else { Self::Never }
    }

    /// Whether it is set while the socket binds.
    pub fn at_bind(self) -> bool {
        matches!(self, Self::Before | Self::Cleared)
    }

    /// Whether it is set afterwards.
    pub fn after_bind(self) -> bool {
        matches!(self, Self::Before | Self::Late)
    }
}

/// How a socket gets its port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Route {
    /// bind(2) names it; TCP listens then.
    #[default]
    Bind,
    /// connect(2) chooses it.
    Connect,
    /// bind(2) names it, and then the socket connects.
    BindConnect,
}

/// SO_BINDTODEVICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Device {
    /// `lo`, on which everything arrives here.
    Lo,
    /// Another one.
    Other,
}

/// One socket of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Socket {
    /// The address to which it binds, or from which it connects.
    pub ip: IpAddr,
    /// IPV6_V6ONLY.
    pub v6only: bool,
    /// SO_BINDTODEVICE.
    pub device: Option<Device>,
    /// SO_REUSEADDR.
    pub reuseaddr: Set,
    /// SO_REUSEPORT.
    pub reuseport: Set,
    /// A program for the group of SO_REUSEPORT: SO_ATTACH_REUSEPORT_CBPF.
    pub program: Set,
    /// Another user's.
    pub other_user: bool,
    /// The client of this listener, at `::`, comes over IPv4.
    pub ipv4_client: bool,
    /// How it gets its port.
    pub route: Route,
    /// B connects to another server than A.
    pub elsewhere: bool,
    /// Closed again, before the new one comes.
    pub closed: bool,
}

impl Socket {
    /// A socket without any option that binds to `ip`.
    pub const fn at(ip: IpAddr) -> Self {
        Self {
            ip,
            v6only: false,
            device: None,
            reuseaddr: Set::Never,
            reuseport: Set::Never,
            program: Set::Never,
            other_user: false,
            ipv4_client: false,
            route: Route::Bind,
            elsewhere: false,
            closed: false,
        }
    }

    /// With SO_REUSEADDR, set before bind.
    pub fn reuseaddr(self, is_set: bool) -> Self {
        Self { reuseaddr: Set::before(is_set), ..self }
    }

    /// With SO_REUSEPORT, set before bind.
    pub fn reuseport(self, is_set: bool) -> Self {
        Self { reuseport: Set::before(is_set), ..self }
    }

    /// Another user's.
    pub fn of(self, other_user: bool) -> Self {
        Self { other_user, ..self }
    }

    /// Whether its address is the wildcard, of either family or mapped.
    pub fn is_wildcard(self) -> bool {
        match self.ip {
            IpAddr::V4(ip) => ip.is_unspecified(),
            IpAddr::V6(ip) => {
                ip.is_unspecified() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_unspecified())
            }
        }
    }

    /// Whether IPv4 arrives here.
    pub fn takes_ipv4(self) -> bool {
        match self.ip {
            IpAddr::V4(_) => true,
            IpAddr::V6(ip) => {
                ip.to_ipv4_mapped().is_some() || (ip.is_unspecified() && !self.v6only)
            }
        }
    }

    /// Whether IPv6 arrives here.
    pub fn takes_ipv6(self) -> bool {
        matches!(self.ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_none())
    }

    /// An address of this machine that leads here.
    pub fn destination(self) -> IpAddr {
        match self.ip {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() && self.ipv4_client => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(ip) => Self::at(ip.into()).destination(),
                None => ip.into(),
            },
            ip => ip,
        }
    }

    /// Whether such a socket can be.
    fn check(&self) -> Result<(), String> {
        let is_mapped = matches!(self.ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
        let is_here = match self.ip {
            IpAddr::V4(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_multicast(),
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(ip) => ip.is_loopback() || ip.is_unspecified(),
                None => {
                    ip.is_loopback()
                        || ip.is_unspecified()
                        || ip.is_multicast()
                        || ip == crate::world::SECOND_IPV6
                }
            },
        };
        if !is_here {
            return Err(format!(
                "{} is not an address here: there are 127.0.0.0/8, ::1, fd00::2, the wildcards \
                 and groups",
                self.ip
            ));
        }
        if self.v6only && (self.ip.is_ipv4() || is_mapped) {
            return Err(format!("{self}: +v6only is for IPv6, and {} is IPv4", self.ip));
        }
        if self.program != Set::Never && self.reuseport != Set::Before {
            return Err(format!("{self}: a program is for a group, which needs +reuseport"));
        }
        if self.route != Route::Bind {
            if self.ip.is_multicast() || (self.route == Route::Connect && self.is_wildcard()) {
                return Err(format!("{self}: nothing connects from {}", self.ip));
            }
            if self.device.is_some() {
                return Err(format!("{self}: a socket with a device does not connect here"));
            }
        } else if self.elsewhere {
            return Err(format!("{self}: +elsewhere is for a socket that connects"));
        }
        Ok(())
    }
}

impl Display for Socket {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match self.ip {
            IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some_and(|ip| ip.is_unspecified()) => {
                write!(f, "::ffff:0.0.0.0")?;
            }
            ip => write!(f, "{ip}")?,
        }
        MODIFIERS
            .iter()
            .filter(|modifier| (modifier.has)(self))
            .try_for_each(|modifier| write!(f, "+{}", modifier.name))
    }
}

/// A word after the address of a socket.
struct Modifier {
    name: &'static str,
    about: &'static str,
    has: fn(&Socket) -> bool,
    give: fn(&mut Socket),
}

/// A flag of [`Socket`], or a value of one of its fields.
macro_rules! modifier {
    ($name:literal, $field:ident, $value:expr, $about:literal) => {
        Modifier {
            name: $name,
            about: $about,
            has: |socket| socket.$field == $value,
            give: |socket| socket.$field = $value,
        }
    };
}

/// In the order in which a name has them.
static MODIFIERS: [Modifier; 17] = [
    modifier!("v6only", v6only, true, "with IPV6_V6ONLY"),
    modifier!("device-lo", device, Some(Device::Lo), "SO_BINDTODEVICE: lo, where all arrives"),
    modifier!("device-other", device, Some(Device::Other), "SO_BINDTODEVICE: another device"),
    modifier!("reuseaddr", reuseaddr, Set::Before, "SO_REUSEADDR, set before bind"),
    modifier!("late-reuseaddr", reuseaddr, Set::Late, "set after bind"),
    modifier!("cleared-reuseaddr", reuseaddr, Set::Cleared, "set before bind, cleared after"),
    modifier!("reuseport", reuseport, Set::Before, "SO_REUSEPORT, set before bind"),
    modifier!("late-reuseport", reuseport, Set::Late, "set after bind"),
    modifier!("cleared-reuseport", reuseport, Set::Cleared, "set before bind, cleared after"),
    modifier!(
        "program",
        program,
        Set::Before,
        "SO_ATTACH_REUSEPORT_CBPF before bind: takes the first"
    ),
    modifier!("late-program", program, Set::Late, "attached after bind"),
    modifier!("other-user", other_user, true, "another user's socket"),
    modifier!("ipv4-client", ipv4_client, true, "A at ::, whose client comes over IPv4"),
    modifier!(
        "connects",
        route,
        Route::Connect,
        "no bind: connect chooses the port (A: a client's socket)"
    ),
    modifier!("bind-connects", route, Route::BindConnect, "bind, then connect in place of listen"),
    modifier!("elsewhere", elsewhere, true, "B connects to another server than A"),
    modifier!("closed", closed, true, "a third socket that is closed again before B comes"),
];

impl FromStr for Socket {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut parts = name.split('+');
        let ip = parts.next().unwrap_or_default();
        let ip = ip.parse().map_err(|_| format!("'{ip}' is no IP address"))?;
        let mut socket = Self::at(ip);
        for part in parts {
            let known = MODIFIERS.iter().find(|modifier| modifier.name == part);
            let modifier = known.ok_or_else(|| {
                let names: Vec<_> = MODIFIERS.iter().map(|modifier| modifier.name).collect();
                format!("'+{part}' is none of +{}", names.join(" +"))
            })?;
            let before = socket;
            (modifier.give)(&mut socket);
            // Given twice, or in place of another: the field had a value.
            let others = MODIFIERS.iter().filter(|other| (other.has)(&before));
            if let Some(other) =
                others.into_iter().find(|other| !(other.has)(&socket) || other.name == part)
            {
                return Err(format!("'{name}' has +{} and +{part}", other.name));
            }
        }
        socket.check()?;
        Ok(socket)
    }
}

/// Sockets that are there, in the order in which they came, and a new one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    /// Of all its sockets.
    pub proto: Proto,
    /// A, and in some cells others that are bound after it.
    pub there: Vec<Socket>,
    /// Where A is.
    pub state: State,
    /// B.
    pub new: Socket,
}

impl Cell {
    /// A pair.
    pub fn new(proto: Proto, there: Socket, state: State, new: Socket) -> Self {
        Self { proto, there: vec![there], state, new }
    }

    /// Each, B last.
    pub fn sockets(&self) -> impl Iterator<Item = &Socket> {
        self.there.iter().chain([&self.new])
    }

    /// Whether one of them is another user's.
    pub fn has_two_users(&self) -> bool {
        self.sockets().any(|socket| socket.other_user)
    }

    /// Whether there can be such a cell.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self) -> Result<(), String> {
        let (proto, state) = (self.proto, self.state);
        let Some((a, others)) = self.there.split_first() else {
            return Err("nobody is there".to_owned());
        };
        self.sockets().try_for_each(Socket::check)?;
        let is_of_udp = State::OF_UDP.contains(&state);
        if proto == Proto::Udp && !is_of_udp {
            let known = State::OF_UDP.map(State::name).join(", ");
            return Err(format!("UDP has no state '{}': it has {known}", state.name()));
        }
        if proto == Proto::Tcp && state == State::Exhausted {
            return Err(
                "TCP has exhausted-reuse-0 and exhausted-reuse-1, by ip_autobind_reuse".into()
            );
        }
        if proto == Proto::Tcp && self.sockets().any(|socket| socket.ip.is_multicast()) {
            return Err("TCP has no multicast".to_owned());
        }
        if a.closed || self.new.closed {
            return Err("+closed is for a third socket: A's state says it of A".to_owned());
        }
        if state == State::Closed && a.device.is_some() {
            return Err("a device of a closed socket decides nothing".to_owned());
        }
        let may_connect = match proto {
            Proto::Tcp => State::OF_CLIENT.contains(&state),
            Proto::Udp => matches!(state, State::Connected | State::Closed),
        };
        if a.route != Route::Bind && !may_connect {
            return Err(format!("a socket that connects is never '{}'", state.name()));
        }
        if self.new.route != Route::Bind && (state.is_exhausted() || state.is_between()) {
            return Err(format!("'{}' is for a B that binds", state.name()));
        }
        if others.iter().any(|socket| socket.route != Route::Bind) {
            return Err("a third socket binds, and does not connect".to_owned());
        }
        if a.elsewhere {
            return Err("+elsewhere is B's: elsewhere than A".to_owned());
        }
        let has_client = !state.is_bound()
            && !matches!(state, State::Listening | State::ShutDown)
            && proto == Proto::Tcp;
        let is_dual = a.ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !a.v6only;
        if (a.ipv4_client && !(has_client && is_dual && a.route == Route::Bind))
            || self.sockets().skip(1).any(|socket| socket.ipv4_client)
        {
            return Err("+ipv4-client is for A at ::, with a connection".to_owned());
        }
        Ok(())
    }
}

impl Display for Cell {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let there: Vec<String> = self.there.iter().map(Socket::to_string).collect();
        let (proto, state) = (self.proto.name(), self.state.name());
        write!(f, "{proto}/{}/{state}/{}", there.join(","), self.new)
    }
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let parts: Vec<&str> = name.split('/').collect();
        let [proto, there, state, new] = parts[..] else {
            return Err(format!("'{name}' is not of the form PROTOCOL/THERE/STATE/NEW"));
        };
        let cell = Self {
            proto: proto.parse()?,
            there: there.split(',').map(str::parse).collect::<Result<_, _>>()?,
            state: state.parse()?,
            new: new.parse()?,
        };
        cell.check()?;
        Ok(cell)
    }
}

/// The names of cells, for `--help`.
pub fn grammar() -> String {
    let mut text = "\
A cell is PROTOCOL/THERE/STATE/NEW, as in tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr.
THERE is socket A; or A, a comma, and more sockets, each bound to the same port after A.
NEW is socket B, which comes last. TCP listens after its bind.
A socket is an address, with any of:
"
    .to_owned();
    for Modifier { name, about, .. } in &MODIFIERS {
        text += &format!("  +{name:<18}  {about}\n");
    }
    text += "The addresses are 127.0.0.0/8, ::1, fd00::2, ::ffff:127.0.0.1, the wildcards 0.0.0.0, :: and\n\
             ::ffff:0.0.0.0; for UDP groups, too.\n\
             STATE is A's, when B comes:\n";
    for state in State::ALL {
        text += &format!("  {:<26} {}\n", state.name(), state.about());
    }
    text
}
