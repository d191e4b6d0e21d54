//! A cell of the table: the sockets that are there, the state of the first, and the new socket.
//!
//! Its name is `PROTOCOL/THERE/STATE/NEW`, as in
//! `tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr`.

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
                    format!("'{name}' is none of {}", names.join(", "))
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
    /// Where the first of the old sockets, A, is when the new one, B, binds.
    State {
        Bound = "bound",
        /// Bound, and listens between B's bind and B's listen.
        Between = "between",
        Listening = "listening",
        /// Listening, and one connection is accepted.
        Connection = "connection",
        /// The accepted connection alone: the listener is closed.
        Connected = "connected",
        FinWait2 = "fin-wait-2",
        CloseWait = "close-wait",
        LastAck = "last-ack",
        TimeWait = "time-wait",
        Closed = "closed",
        /// Bound to the last port that there is, and B asks for any: bind to port 0.
        Exhausted = "exhausted",
        /// As before, and A listens between B's bind and B's listen.
        ExhaustedBetween = "exhausted-between",
    }
}

impl State {
    /// What a connection goes through, in its order; and before it, and after.
    pub const OF_TCP: [Self; 10] = [
        Self::Bound,
        Self::Between,
        Self::Listening,
        Self::Connection,
        Self::Connected,
        Self::FinWait2,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Closed,
    ];

    pub const fn words(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Between => "bound, listens before B listens",
            Self::Listening => "LISTEN",
            Self::Connection => "LISTEN and ESTABLISHED",
            Self::Connected => "ESTABLISHED, listener closed",
            Self::FinWait2 => "FIN_WAIT2",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
            Self::Closed => "closed",
            Self::Exhausted => "bound to the last port",
            Self::ExhaustedBetween => "the last port, listens before B listens",
        }
    }

    pub const fn is_exhausted(self) -> bool {
        matches!(self, Self::Exhausted | Self::ExhaustedBetween)
    }

    pub const fn is_between(self) -> bool {
        matches!(self, Self::Between | Self::ExhaustedBetween)
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
    #[default]
    Never,
    Before,
    /// After bind.
    Late,
    /// Before bind, and cleared after it.
    Cleared,
}

impl Set {
    pub fn before(is_set: bool) -> Self {
        if is_set { Self::Before } else { Self::Never }
    }

    pub fn at_bind(self) -> bool {
        matches!(self, Self::Before | Self::Cleared)
    }

    pub fn after_bind(self) -> bool {
        matches!(self, Self::Before | Self::Late)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Socket {
    pub ip: IpAddr,
    pub v6only: bool,
    pub reuseaddr: Set,
    pub reuseport: Set,
    pub other_user: bool,
    /// Closed again, before the new one comes.
    pub closed: bool,
}

impl Socket {
    pub const fn at(ip: IpAddr) -> Self {
        Self {
            ip,
            v6only: false,
            reuseaddr: Set::Never,
            reuseport: Set::Never,
            other_user: false,
            closed: false,
        }
    }

    pub fn reuseaddr(self, is_set: bool) -> Self {
        Self { reuseaddr: Set::before(is_set), ..self }
    }

    pub fn reuseport(self, is_set: bool) -> Self {
        Self { reuseport: Set::before(is_set), ..self }
    }

    pub fn of(self, other_user: bool) -> Self {
        Self { other_user, ..self }
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
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(ip) => Self::at(ip.into()).destination(),
                None => ip.into(),
            },
            ip => ip,
        }
    }
}

impl Display for Socket {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let option = |f: &mut Formatter, name, set| match set {
            Set::Never => Ok(()),
            Set::Before => write!(f, "+{name}"),
            Set::Late => write!(f, "+late-{name}"),
            Set::Cleared => write!(f, "+cleared-{name}"),
        };
        match self.ip {
            IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some_and(|ip| ip.is_unspecified()) => {
                write!(f, "::ffff:0.0.0.0")?;
            }
            ip => write!(f, "{ip}")?,
        }
        if self.v6only {
            write!(f, "+v6only")?;
        }
        option(f, "reuseaddr", self.reuseaddr)?;
        option(f, "reuseport", self.reuseport)?;
        if self.other_user {
            write!(f, "+other-user")?;
        }
        if self.closed {
            write!(f, "+closed")?;
        }
        Ok(())
    }
}

impl FromStr for Socket {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut parts = name.split('+');
        let ip = parts.next().unwrap_or_default();
        let ip = ip.parse().map_err(|_| format!("'{ip}' is no IP address"))?;
        let mut socket = Self::at(ip);
        for part in parts {
            match part {
                "v6only" => socket.v6only = true,
                "other-user" => socket.other_user = true,
                "closed" => socket.closed = true,
                _ => {
                    let (set, option) = match part.split_once('-') {
                        None => (Set::Before, part),
                        Some(("late", option)) => (Set::Late, option),
                        Some(("cleared", option)) => (Set::Cleared, option),
                        Some(_) => (Set::Never, ""),
                    };
                    match option {
                        "reuseaddr" => socket.reuseaddr = set,
                        "reuseport" => socket.reuseport = set,
                        _ => {
                            return Err(format!(
                                "'+{part}' is none of +v6only, +reuseaddr, +reuseport, \
                                 +late-..., +cleared-..., +other-user, +closed"
                            ));
                        }
                    }
                }
            }
        }
        Ok(socket)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    pub proto: Proto,
    /// A, and in some cells others that are bound after it.
    pub there: Vec<Socket>,
    pub state: State,
    /// B.
    pub new: Socket,
}

impl Cell {
    pub fn new(proto: Proto, there: Socket, state: State, new: Socket) -> Self {
        Self { proto, there: vec![there], state, new }
    }

    pub fn sockets(&self) -> impl Iterator<Item = &Socket> {
        self.there.iter().chain([&self.new])
    }

    pub fn has_two_users(&self) -> bool {
        self.sockets().any(|socket| socket.other_user)
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
        if cell.proto == Proto::Udp && !matches!(cell.state, State::Bound | State::Closed) {
            return Err(format!("UDP has no state '{state}': it has bound and closed"));
        }
        let has_group = cell.sockets().any(|socket| socket.ip.is_multicast());
        if cell.proto == Proto::Tcp && has_group {
            return Err("TCP has no multicast".to_owned());
        }
        Ok(cell)
    }
}
