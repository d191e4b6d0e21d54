//! A cell of the table: the sockets that are there, the state of the first, and the new socket.
//!
//! Its name is `PROTOCOL/THERE/STATE/NEW`, as in
//! `tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr`. The whole grammar: [`grammar`].

use crate::kernel::{Proto, Set};
use crate::named::{Named, named};
use crate::{say, words};
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A second address of IPv6, since `::1` is all that the loopback has.
pub const SECOND_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
/// Broadcast of IPv4 on `lo`.
pub const BROADCAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);
/// The group of IPv4 that the sockets join.
pub const GROUP_IPV4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
/// The group of IPv6 that the sockets join.
pub const GROUP_IPV6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 0x123);

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
    /// What a connection goes through, in its order; and before it, and after: all before `Exhausted`.
    pub const OF_TCP: &[Self] = Self::ALL.split_at(Self::Exhausted as usize).0;

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

    /// Whether B asks for any port while A has the last: `Exhausted`, and all after it.
    pub fn is_exhausted(self) -> bool {
        self >= Self::Exhausted
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
    pub fn is_bound(self) -> bool {
        matches!(self, Self::Bound | Self::Between) || self.is_exhausted()
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
    pub v6only: bool,
    pub device: Option<Device>,
    pub reuseaddr: Set,
    pub reuseport: Set,
    /// A program for the group of SO_REUSEPORT: SO_ATTACH_REUSEPORT_CBPF.
    pub program: Set,
    pub other_user: bool,
    /// The client of this listener, at `::`, comes over IPv4.
    pub ipv4_client: bool,
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

    /// Whether its address is the wildcard, of either family or mapped.
    pub fn is_wildcard(self) -> bool {
        self.ip.to_canonical().is_unspecified()
    }

    /// Whether IPv4 arrives here.
    pub fn takes_ipv4(self) -> bool {
        !self.takes_ipv6() || (self.ip.is_unspecified() && !self.v6only)
    }

    /// Whether IPv6 arrives here.
    pub fn takes_ipv6(self) -> bool {
        self.ip.to_canonical().is_ipv6()
    }

    /// An address of this machine that leads here.
    pub fn destination(self) -> IpAddr {
        match self.ip.to_canonical() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V6(_) if !self.ipv4_client => Ipv6Addr::LOCALHOST.into(),
            _ => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Where it connects, in its own family: a mapped address from a socket of IPv6.
    pub fn destination_on_own_family(self) -> IpAddr {
        match (self.ip, self.destination()) {
            (IpAddr::V6(_), IpAddr::V4(ip)) => ip.to_ipv6_mapped().into(),
            (_, ip) => ip,
        }
    }

    /// Whether such a socket can be.
    fn check(&self) -> Result<(), String> {
        let ip = self.ip.to_canonical();
        let is_group = self.ip.is_multicast(); // no mapped address is one
        if !(ip.is_loopback() || ip.is_unspecified() || is_group || ip == SECOND_IPV6) {
            return Err(say!(
                "{ip} is not an address here: there are 127.0.0.0/8, ::1, fd00::2, the wildcards \
                 and groups",
                "不能用地址 {ip}，可选：127.0.0.0/8、::1、fd00::2、通配地址和多播组",
                ip = self.ip
            ));
        }
        if self.v6only && ip.is_ipv4() {
            return Err(say!(
                "{self}: +v6only is for IPv6, and {ip} is IPv4",
                "{self}：+v6only 只能用于 IPv6，而 {ip} 是 IPv4",
                ip = self.ip
            ));
        }
        if self.program != Set::Never && self.reuseport != Set::Before {
            return Err(say!(
                "{self}: a program is for a group, which needs +reuseport",
                "{self}：BPF 程序挂在 reuseport 组上，所以还要有 +reuseport"
            ));
        }
        match self.route {
            Route::Bind if self.elsewhere => Err(say!(
                "{self}: +elsewhere is for a socket that connects",
                "{self}：+elsewhere 只能用于调用 connect 的套接字"
            )),
            Route::Bind => Ok(()),
            Route::Connect | Route::BindConnect => self.check_source(),
        }
    }

    /// Whether it can connect from its address.
    fn check_source(&self) -> Result<(), String> {
        let without_bind = self.route == Route::Connect;
        if self.ip.is_multicast() || (without_bind && self.is_wildcard()) {
            return Err(say!(
                "{self}: nothing connects from {ip}",
                "{self}：不能从 {ip} 发起 connect",
                ip = self.ip
            ));
        }
        if without_bind && !self.takes_ipv6() && self.ip.to_canonical() != Ipv4Addr::LOCALHOST {
            return Err(say!(
                "{self}: without bind, connect comes from 127.0.0.1; +bind-connects takes another",
                "{self}：不 bind 就 connect，源地址是 127.0.0.1；要用别的地址，请写 +bind-connects"
            ));
        }
        if self.device.is_some() {
            return Err(say!(
                "{self}: a socket with a device does not connect here",
                "{self}：套接字绑定了网络接口，又要调用 connect，这种情况这里不试"
            ));
        }
        Ok(())
    }
}

impl Display for Socket {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        MODIFIERS
            .iter()
            .filter(|modifier| (modifier.has)(self))
            .try_for_each(|modifier| write!(f, "+{}", modifier.name))
    }
}

/// A word after the address of a socket.
struct Modifier {
    name: &'static str,
    about: fn() -> &'static str,
    has: fn(&Socket) -> bool,
    give: fn(&mut Socket),
}

/// Each word, the field of [`Socket`] with the value that it gives it, and what `--help` says of it.
macro_rules! modifiers {
    ($($name:literal { $field:ident: $value:expr } $english:literal $chinese:literal)+) => {
        &[$(Modifier {
            name: $name,
            about: || words!($english, $chinese),
            has: |socket| socket.$field == $value,
            give: |socket| socket.$field = $value,
        },)+]
    };
}

/// In the order in which a name has them.
static MODIFIERS: &[Modifier] = modifiers! {
    "v6only" { v6only: true }
        "with IPV6_V6ONLY"
        "设置了 IPV6_V6ONLY"
    "device-lo" { device: Some(Device::Lo) }
        "SO_BINDTODEVICE: lo, where all arrives"
        "SO_BINDTODEVICE：lo，所有数据都从这个接口进来"
    "device-other" { device: Some(Device::Other) }
        "SO_BINDTODEVICE: another device"
        "SO_BINDTODEVICE：另一个网络接口"
    "reuseaddr" { reuseaddr: Set::Before }
        "SO_REUSEADDR, set before bind"
        "在 bind 之前设置 SO_REUSEADDR"
    "late-reuseaddr" { reuseaddr: Set::Late }
        "set after bind"
        "在 bind 之后设置"
    "cleared-reuseaddr" { reuseaddr: Set::Cleared }
        "set before bind, cleared after"
        "在 bind 之前设置，之后清除"
    "reuseport" { reuseport: Set::Before }
        "SO_REUSEPORT, set before bind"
        "在 bind 之前设置 SO_REUSEPORT"
    "late-reuseport" { reuseport: Set::Late }
        "set after bind"
        "在 bind 之后设置"
    "cleared-reuseport" { reuseport: Set::Cleared }
        "set before bind, cleared after"
        "在 bind 之前设置，之后清除"
    "program" { program: Set::Before }
        "SO_ATTACH_REUSEPORT_CBPF before bind: takes the first"
        "在 bind 之前用 SO_ATTACH_REUSEPORT_CBPF 挂上 BPF 程序：总是选第一个套接字"
    "late-program" { program: Set::Late }
        "attached after bind"
        "在 bind 之后挂上 BPF 程序"
    "other-user" { other_user: true }
        "another user's socket"
        "套接字属于别的用户"
    "ipv4-client" { ipv4_client: true }
        "A at ::, whose client comes over IPv4"
        "A 在 ::，它的客户端用 IPv4 连接"
    "connects" { route: Route::Connect }
        "no bind: connect chooses the port (A: a client's socket)"
        "不调用 bind：由 connect 选端口（A 带上它，就成了客户端的套接字）"
    "bind-connects" { route: Route::BindConnect }
        "bind, then connect in place of listen"
        "bind 之后调用 connect，不调用 listen"
    "elsewhere" { elsewhere: true }
        "B connects to another server than A"
        "B 连接的服务器与 A 的不同"
    "closed" { closed: true }
        "a third socket that is closed again before B comes"
        "第三个套接字，在 B 绑定之前就关闭了"
};

impl FromStr for Socket {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut parts = name.split('+');
        let ip = parts.next().unwrap_or_default();
        let ip = ip.parse().map_err(|_| say!("'{ip}' is no IP address", "“{ip}”不是 IP 地址"))?;
        let mut socket = Self::at(ip);
        for part in parts {
            let known = MODIFIERS.iter().find(|modifier| modifier.name == part);
            let modifier = known.ok_or_else(|| {
                let names: Vec<_> = MODIFIERS.iter().map(|modifier| modifier.name).collect();
                say!(
                    "'+{part}' is none of +{names}",
                    "没有“+{part}”，可选：+{names}",
                    names = names.join(" +")
                )
            })?;
            let before = socket;
            (modifier.give)(&mut socket);
            // Given twice, or in place of another: the field had a value.
            let others = MODIFIERS.iter().filter(|other| (other.has)(&before));
            if let Some(other) =
                others.into_iter().find(|other| !(other.has)(&socket) || other.name == part)
            {
                return Err(say!(
                    "'{name}' has +{other} and +{part}",
                    "“{name}”同时有 +{other} 和 +{part}",
                    other = other.name
                ));
            }
        }
        socket.check()?;
        Ok(socket)
    }
}

/// Sockets that are there, in the order in which they came, and a new one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    pub proto: Proto,
    pub a: Socket,
    /// In some cells: sockets that are bound after A.
    pub others: Vec<Socket>,
    pub state: State,
    /// B.
    pub new: Socket,
}

impl Cell {
    /// Each, B last.
    pub fn sockets(&self) -> impl Iterator<Item = &Socket> {
        [&self.a].into_iter().chain(&self.others).chain([&self.new])
    }

    /// Whether one of them is another user's.
    pub fn has_two_users(&self) -> bool {
        self.sockets().any(|socket| socket.other_user)
    }

    /// Whether B connects to A's server: it can where both have one address for it.
    pub fn is_same_server(&self) -> bool {
        !self.new.elsewhere && self.a.destination() == self.new.destination()
    }

    /// Whether there can be such a cell, or why not.
    pub fn check(&self) -> Result<(), String> {
        let (proto, state, a) = (self.proto, self.state, &self.a);
        self.check_connects()?;
        let is_of_udp = State::OF_UDP.contains(&state);
        if proto == Proto::Udp && !is_of_udp {
            let known = State::OF_UDP.map(State::name).join(", ");
            return Err(say!(
                "UDP has no state '{state}': it has {known}",
                "UDP 没有“{state}”状态，可选：{known}",
                state = state.name()
            ));
        }
        if proto == Proto::Tcp && state == State::Exhausted {
            return Err(say!(
                "TCP has exhausted-reuse-0 and exhausted-reuse-1, by ip_autobind_reuse",
                "TCP 要写 exhausted-reuse-0 或 exhausted-reuse-1，末尾是 ip_autobind_reuse 的值"
            ));
        }
        if proto == Proto::Tcp && self.sockets().any(|socket| socket.ip.is_multicast()) {
            return Err(say!("TCP has no multicast", "TCP 没有多播"));
        }
        if a.closed || self.new.closed {
            return Err(say!(
                "+closed is for a third socket: A's state says it of A",
                "+closed 只能用于第三个套接字：A 关没关闭，由 A 的状态表示"
            ));
        }
        if state == State::Closed && a.device.is_some() {
            return Err(say!(
                "a device of a closed socket decides nothing",
                "套接字已经关闭，绑定哪个网络接口都没有影响"
            ));
        }
        let has_client = !state.is_bound()
            && !matches!(state, State::Listening | State::ShutDown)
            && proto == Proto::Tcp;
        let is_dual = a.ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !a.v6only;
        if (a.ipv4_client && !(has_client && is_dual && a.route == Route::Bind))
            || self.sockets().skip(1).any(|socket| socket.ipv4_client)
        {
            return Err(say!(
                "+ipv4-client is for A at ::, with a connection",
                "+ipv4-client 只用于 :: 上有连接的 A"
            ));
        }
        Ok(())
    }

    /// Whether those that connect can.
    fn check_connects(&self) -> Result<(), String> {
        let (proto, state, a) = (self.proto, self.state, &self.a);
        let may_connect = match proto {
            Proto::Tcp => State::OF_CLIENT.contains(&state),
            Proto::Udp => matches!(state, State::Connected | State::Closed),
        };
        if a.route != Route::Bind && !may_connect {
            return Err(say!(
                "a socket that connects is never '{state}'",
                "调用 connect 的套接字不会处于“{state}”状态",
                state = state.name()
            ));
        }
        if self.new.route != Route::Bind && (state.is_exhausted() || state.is_between()) {
            return Err(say!(
                "'{state}' is for a B that binds",
                "“{state}”状态只能用于调用 bind 的 B",
                state = state.name()
            ));
        }
        if self.others.iter().any(|socket| socket.route != Route::Bind) {
            return Err(say!(
                "a third socket binds, and does not connect",
                "第三个套接字只能绑定，不能 connect"
            ));
        }
        if a.elsewhere {
            return Err(say!(
                "+elsewhere is B's: elsewhere than A",
                "+elsewhere 只能用于 B，表示 B 连接的服务器与 A 的不同"
            ));
        }
        Ok(())
    }
}

impl Display for Cell {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let others: String = self.others.iter().map(|socket| format!(",{socket}")).collect();
        let (proto, state) = (self.proto.name(), self.state.name());
        write!(f, "{proto}/{}{others}/{state}/{}", self.a, self.new)
    }
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let parts: Vec<&str> = name.split('/').collect();
        let [proto, there, state, new] = parts[..] else {
            return Err(say!(
                "'{name}' is not of the form PROTOCOL/THERE/STATE/NEW",
                "“{name}”不是 PROTOCOL/THERE/STATE/NEW 这样的格式"
            ));
        };
        let (proto, mut there) = (by_name(proto)?, there.split(','));
        let a = there.next().unwrap_or_default().parse()?;
        let others = there.map(str::parse).collect::<Result<_, _>>()?;
        let cell = Self { proto, a, others, state: by_name(state)?, new: new.parse()? };
        cell.check()?;
        Ok(cell)
    }
}

/// The value of that name, or which names there are.
fn by_name<T: Named>(name: &str) -> Result<T, String> {
    T::of_name(name).ok_or_else(|| {
        let names: Vec<&str> = T::ALL.iter().map(|value| value.name()).collect();
        say!("'{name}' is none of {names}", "没有“{name}”，可选：{names}", names = names.join(", "))
    })
}

/// The names of cells, for `--help`.
pub fn grammar() -> String {
    let mut text = say!(
        "\
A cell is PROTOCOL/THERE/STATE/NEW, as in tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr.
THERE is socket A; or A, a comma, and more sockets, each bound to the same port after A.
NEW is socket B, which comes last. TCP listens after its bind.
A socket is an address, with any of:
",
        "\
格子的写法是 PROTOCOL/THERE/STATE/NEW，例如 tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr。
THERE 是套接字 A；后面可以再写几个套接字，用逗号隔开，它们在 A 之后绑定同一个端口。
NEW 是套接字 B，最后绑定。TCP 套接字在 bind 之后还会 listen。
套接字的写法是地址，后面可以加：
"
    );
    for Modifier { name, about, .. } in MODIFIERS {
        text += &format!("  +{name:<18}  {}\n", about());
    }
    text += words!(
        "\
The addresses are 127.0.0.0/8, ::1, fd00::2, ::ffff:127.0.0.1, the wildcards 0.0.0.0, :: and
::ffff:0.0.0.0; for UDP groups, too.
STATE is A's, when B comes:
",
        "\
地址有 127.0.0.0/8、::1、fd00::2、::ffff:127.0.0.1，以及通配地址 0.0.0.0、:: 和 ::ffff:0.0.0.0；
UDP 还可以用多播组。
STATE 是 B 绑定时 A 的状态：
"
    );
    for state in State::ALL {
        text += &format!("  {:<26} {}\n", state.name(), state.about());
    }
    text
}
