//! The questions, each a table of cells: what is in the whole, and what is not.

use super::cell::{
    BROADCAST, Cell, Device, GROUP_IPV4, GROUP_IPV6, Route, SECOND_IPV6, Set, Socket, State,
};
use crate::kernel::Proto;
use crate::{say, words};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is shown of a cell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Whether B binds, and listens.
    Verdict,
    /// Who gets what is sent to the address at the head of the column; or who accepts.
    Deliveries,
}

pub struct Question {
    pub name: &'static str,
    pub title: &'static str,
    pub note: &'static str,
    /// What stands at the head of the rows.
    pub corner: &'static str,
    /// The heads of the columns; of [`Show::Deliveries`], where is sent to, as an outcome has it.
    pub columns: Vec<String>,
    pub rows: Vec<(String, Vec<Option<Cell>>)>,
    pub show: Show,
}

impl Question {
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.rows.iter().flat_map(|(_, cells)| cells).flatten()
    }

    /// The question with what is `wanted` alone.
    pub fn narrowed(mut self, wanted: impl Fn(&Cell) -> bool) -> Self {
        for cell in self.rows.iter_mut().flat_map(|(_, cells)| cells) {
            *cell = cell.take().filter(&wanted);
        }
        self.rows.retain(|(_, cells)| cells.iter().any(Option::is_some));
        self
    }
}

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const ANY6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
const LOCALHOST6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const SECOND6: IpAddr = IpAddr::V6(SECOND_IPV6);
const MAPPED_ANY: IpAddr = IpAddr::V6(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped());
const MAPPED: IpAddr = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());

/// Which of A and B have the option.
fn sides() -> [(&'static str, bool, bool); 4] {
    [
        (words!("neither", "都没有"), false, false),
        (words!("A", "只有 A"), true, false),
        (words!("B", "只有 B"), false, true),
        (words!("both", "都有"), true, true),
    ]
}

/// What a socket may have.
fn options() -> [(&'static str, bool, bool); 4] {
    [
        (words!("none", "没有选项"), false, false),
        ("SO_REUSEADDR", true, false),
        ("SO_REUSEPORT", false, true),
        (words!("both options", "两个选项"), true, true),
    ]
}

/// What both sockets may have.
fn shared() -> [(&'static str, bool, bool); 3] {
    [
        (words!("neither has an option", "双方都没有选项"), false, false),
        (words!("both SO_REUSEADDR", "双方都有 SO_REUSEADDR"), true, false),
        (words!("both SO_REUSEPORT", "双方都有 SO_REUSEPORT"), false, true),
    ]
}

/// The parts of a row's name.
fn joined(parts: &[&str]) -> String {
    parts.join(words!("; ", "；"))
}

/// A socket, and what is said of it.
fn of(socket: &str, what: &str) -> String {
    say!("{socket}: {what}", "{socket}：{what}")
}

fn with(socket: Socket, (_, reuseaddr, reuseport): (&str, bool, bool)) -> Socket {
    socket.reuseaddr(reuseaddr).reuseport(reuseport)
}

fn names(all: &[(&str, bool, bool)]) -> Vec<String> {
    all.iter().map(|(name, ..)| (*name).to_owned()).collect()
}

pub fn all() -> Vec<Question> {
    let mut questions = vec![
        who(
            "restart",
            words!(
                "TCP, IPv4: which side must set SO_REUSEADDR?",
                "TCP，IPv4：哪一方必须设置 SO_REUSEADDR？"
            ),
            words!(
                "A is at 127.0.0.1 in the state of the row; B binds the same address and port, and \
             listens. The column says who has the option. The row TIME_WAIT is the restart of a \
             server.",
                "A 在 127.0.0.1，处于该行的状态；B 绑定同一地址和端口，然后监听。每一列写明哪一方有选项。TIME_WAIT 那一行就是服务器重启。"
            ),
            |who, is_a| Socket::at(LOCALHOST).reuseaddr(if is_a { who.1 } else { who.2 }),
        ),
        who(
            "reuseport",
            words!(
                "TCP, IPv4: which side must set SO_REUSEPORT?",
                "TCP，IPv4：哪一方必须设置 SO_REUSEPORT？"
            ),
            words!("As before, for the other option.", "同上，换成另一个选项。"),
            |who, is_a| Socket::at(LOCALHOST).reuseport(if is_a { who.1 } else { who.2 }),
        ),
    ];
    let at = Socket::at(LOCALHOST);
    let mut rows = Vec::new();
    for state in [State::Bound, State::Listening, State::Connected, State::TimeWait] {
        for a in options() {
            let cells =
                options().map(|b| Some(Cell::new(Proto::Tcp, with(at, a), state, with(at, b))));
            rows.push((joined(&[state.words(), &of("A", a.0)]), cells.to_vec()));
        }
    }
    questions.push(Question {
        name: "options",
        title: words!("TCP, IPv4: the two options together", "TCP，IPv4：两个选项一起"),
        note: words!(
            "Both at 127.0.0.1. Rows: A's options; columns: B's.",
            "双方都在 127.0.0.1。行：A 的选项；列：B 的选项。"
        ),
        corner: words!("A's state and options", "A 的状态和选项"),
        columns: names(&options()),
        rows,
        show: Show::Verdict,
    });

    let ipv4 = [Socket::at(ANY), Socket::at(LOCALHOST), Socket::at(SECOND)];
    let mut addresses = Vec::new();
    for state in [State::Bound, State::Listening, State::TimeWait] {
        for both in shared() {
            addresses.extend(pairs(Proto::Tcp, &ipv4, state, both, state.words()));
        }
    }
    questions.push(Question {
        name: "addresses",
        title: words!("TCP, IPv4: which addresses conflict?", "TCP，IPv4：哪些地址冲突？"),
        note: words!("Rows: A's address; columns: B's. A connection of a listener at 0.0.0.0 is at \
               127.0.0.1, where its client connected to.", "行：A 的地址；列：B 的地址。0.0.0.0 上的监听套接字的连接在 127.0.0.1，因为客户端连的是这个地址。"),
        corner: words!("A's state, options, A's address", "A 的状态、选项、A 的地址"),
        columns: ipv4.iter().map(Socket::to_string).collect(),
        rows: addresses,
        show: Show::Verdict,
    });

    let at6 = Socket::at(LOCALHOST6);
    let ipv6_columns: Vec<_> = sides()
        .iter()
        .map(|who| (of("SO_REUSEADDR", who.0), at6.reuseaddr(who.1), at6.reuseaddr(who.2)))
        .chain(
            sides()[1..]
                .iter()
                .map(|who| (of("SO_REUSEPORT", who.0), at6.reuseport(who.1), at6.reuseport(who.2))),
        )
        .collect();
    questions.push(states(
        "ipv6",
        words!("TCP, IPv6: the same at ::1", "TCP，IPv6：::1 上同样"),
        words!("The rule is one for both families.", "两个地址族的规则相同。"),
        ipv6_columns,
    ));

    let families = [
        Socket::at(ANY),
        Socket::at(LOCALHOST),
        Socket::at(ANY6),
        Socket { v6only: true, ..Socket::at(ANY6) },
        Socket::at(LOCALHOST6),
        Socket::at(SECOND6),
        Socket::at(MAPPED_ANY),
        Socket::at(MAPPED),
    ];
    for (name, title, state, shared) in [
        (
            "families",
            words!("TCP: IPv6 against IPv4, no option", "TCP：IPv6 对 IPv4，没有选项"),
            State::Bound,
            shared()[0],
        ),
        (
            "families-reuseaddr",
            words!("TCP: both SO_REUSEADDR, A bound", "TCP：双方都有 SO_REUSEADDR，A 已绑定"),
            State::Bound,
            shared()[1],
        ),
        (
            "families-listening",
            words!(
                "TCP: both SO_REUSEADDR, A in LISTEN",
                "TCP：双方都有 SO_REUSEADDR，A 在 LISTEN"
            ),
            State::Listening,
            shared()[1],
        ),
        (
            "families-reuseport",
            words!(
                "TCP: both SO_REUSEPORT, A in LISTEN",
                "TCP：双方都有 SO_REUSEPORT，A 在 LISTEN"
            ),
            State::Listening,
            shared()[2],
        ),
    ] {
        questions.push(Question {
            name,
            title,
            note: words!("+v6only: with IPV6_V6ONLY. ::ffff:127.0.0.1 is IPv4's address on a socket of \
                   IPv6. Rows: A's address; columns: B's.", "+v6only：设置了 IPV6_V6ONLY。::ffff:127.0.0.1 是 IPv6 套接字上的 IPv4 地址。行：A 的地址；列：B 的地址。"),
            corner: words!("A's address", "A 的地址"),
            columns: families.iter().map(Socket::to_string).collect(),
            rows: pairs(Proto::Tcp, &families, state, shared, ""),
            show: Show::Verdict,
        });
    }

    let mut users = Vec::new();
    for other in [false, true] {
        for both in options() {
            users.push((of(user(other), both.0), with(at, both), with(at, both).of(other)));
        }
    }
    questions.push(states(
        "users",
        words!("TCP, IPv4: does the user matter?", "TCP，IPv4：用户有关系吗？"),
        words!("A and B have the same options, those of the column. FIN_WAIT2 and TIME_WAIT are records \
         without a user.", "A 和 B 的选项相同，就是该列的选项。FIN_WAIT2 和 TIME_WAIT 是没有用户的记录。"),
        users,
    ));

    questions.push(moments(
        "moments",
        words!("TCP, IPv4: when is the option set?", "TCP，IPv4：什么时候设置？"),
        Proto::Tcp,
        &[State::Bound, State::Listening, State::TimeWait],
    ));
    questions.push(exhausted());

    questions.push(clients(
        "clients",
        words!("TCP, IPv4: A has connected, and connect has chosen its port", "TCP，IPv4：A 已 connect，端口由 connect 选"),
        words!("A is a client's socket at 127.0.0.1, without bind. B comes to A's port: it binds and \
         listens; or it connects, and this port is the only one left; or it binds and connects. \
         'elsewhere' is another server than A's.", "A 是客户端的套接字，在 127.0.0.1，没有 bind。B 来到 A 的端口：它绑定并监听；或者去 connect，而只剩这一个端口；或者绑定后 connect。“别处”是 A 的服务器以外的服务器。"),
        Route::Connect,
    ));
    questions.push(clients(
        "bound-clients",
        words!(
            "TCP, IPv4: A has bound its port and connected",
            "TCP，IPv4：A 绑定了端口并已 connect"
        ),
        words!(
            "As before, but A has bound the port before it connected.",
            "同上，但 A 在 connect 之前绑定了端口。"
        ),
        Route::BindConnect,
    ));
    questions.push(Question {
        rows: State::OF_TCP
            .iter()
            .filter(|state| !state.is_between())
            .map(|&state| {
                let cell = |who: &(&str, bool, bool)| {
                    let b = Socket { route: Route::Connect, ..at.reuseaddr(who.2) };
                    Some(Cell::new(Proto::Tcp, at.reuseaddr(who.1), state, b))
                };
                (state.words().to_owned(), sides().iter().map(cell).collect())
            })
            .collect(),
        ..who(
            "connects",
            words!(
                "TCP, IPv4: B connects, and the only port left is A's",
                "TCP，IPv4：B 去 connect，只剩 A 的端口"
            ),
            words!(
                "A is a server's socket. ip_local_port_range has one port, A's.",
                "A 是服务器的套接字。ip_local_port_range 只有一个端口，就是 A 的。"
            ),
            |_, _| at,
        )
    });
    questions.push(ipv4_clients());
    questions.push(devices(
        "devices",
        words!("TCP, IPv4: sockets bound to a device", "TCP，IPv4：绑定网卡的套接字"),
        Proto::Tcp,
        &[State::Bound, State::Listening, State::TimeWait],
    ));
    questions.push(programs(
        "programs",
        words!("TCP, IPv4: SO_REUSEPORT with a program", "TCP，IPv4：带程序的 SO_REUSEPORT"),
        Proto::Tcp,
        &[State::Bound, State::Listening],
    ));
    questions.push(three());

    let mut udp = Vec::new();
    for (state, others) in [(State::Bound, &options()[..]), (State::Closed, &options()[..1])] {
        for a in others {
            let b = |other: bool| {
                options().map(|b| {
                    Some(Cell::new(Proto::Udp, with(at, *a), state, with(at, b).of(other)))
                })
            };
            udp.push((joined(&[state.words(), &of("A", a.0)]), [b(false), b(true)].concat()));
        }
    }
    questions.push(Question {
        name: "udp",
        title: words!(
            "UDP, IPv4: which side must set which option?",
            "UDP，IPv4：哪一方必须设置哪个选项？"
        ),
        note: words!(
            "Both at 127.0.0.1. Rows: A's options; columns: B's user and options.",
            "双方都在 127.0.0.1。行：A 的选项；列：B 的用户和选项。"
        ),
        corner: words!("A's state and options", "A 的状态和选项"),
        columns: by_user(),
        rows: udp,
        show: Show::Verdict,
    });
    let udp_ipv4 = [ipv4[0], ipv4[1], ipv4[2], Socket::at(GROUP_IPV4.into())];
    questions.push(Question {
        name: "udp-addresses",
        title: words!("UDP, IPv4: which addresses conflict?", "UDP，IPv4：哪些地址冲突？"),
        note: words!(
            "239.1.2.3 is a multicast group. Rows: A's address; columns: B's.",
            "239.1.2.3 是多播组。行：A 的地址；列：B 的地址。"
        ),
        corner: words!("options, A's address", "选项、A 的地址"),
        columns: udp_ipv4.iter().map(Socket::to_string).collect(),
        rows: shared()
            .into_iter()
            .flat_map(|both| pairs(Proto::Udp, &udp_ipv4, State::Bound, both, State::Bound.words()))
            .collect(),
        show: Show::Verdict,
    });
    let udp_families = [&families[..6], &[Socket::at(GROUP_IPV6.into())]].concat();
    for (name, title, shared) in [
        (
            "udp-families",
            words!("UDP: IPv6 against IPv4, no option", "UDP：IPv6 对 IPv4，没有选项"),
            shared()[0],
        ),
        (
            "udp-families-reuseaddr",
            words!("UDP: both SO_REUSEADDR", "UDP：双方都有 SO_REUSEADDR"),
            shared()[1],
        ),
        (
            "udp-families-reuseport",
            words!("UDP: both SO_REUSEPORT", "UDP：双方都有 SO_REUSEPORT"),
            shared()[2],
        ),
    ] {
        questions.push(Question {
            name,
            title,
            note: words!(
                "ff0e::123 is a multicast group. Rows: A's address; columns: B's.",
                "ff0e::123 是多播组。行：A 的地址；列：B 的地址。"
            ),
            corner: words!("A's address", "A 的地址"),
            columns: udp_families.iter().map(Socket::to_string).collect(),
            rows: pairs(Proto::Udp, &udp_families, State::Bound, shared, ""),
            show: Show::Verdict,
        });
    }
    questions.push(udp_groups());
    questions.push(udp_connected());
    questions.push(udp_exhausted());
    questions.push(devices(
        "udp-devices",
        words!("UDP, IPv4: sockets bound to a device", "UDP，IPv4：绑定网卡的套接字"),
        Proto::Udp,
        &[State::Bound],
    ));
    questions.push(programs(
        "udp-programs",
        words!("UDP, IPv4: SO_REUSEPORT with a program", "UDP，IPv4：带程序的 SO_REUSEPORT"),
        Proto::Udp,
        &[State::Bound],
    ));
    questions.push(moments(
        "udp-moments",
        words!("UDP, IPv4: when is the option set?", "UDP，IPv4：什么时候设置？"),
        Proto::Udp,
        &[State::Bound],
    ));

    questions.push(receivers());
    let udp_all: Vec<Socket> =
        udp_ipv4.into_iter().chain(udp_families[2..].iter().copied()).collect();
    questions.push(deliveries(
        "udp-delivery",
        words!("UDP: who receives?", "UDP：谁收到？"),
        words!("The pairs that bind with an option that they share. Both are members of the group, and B came last. The column is \
         where the datagram is sent to: unicast, broadcast (127.255.255.255), multicast. 'spread': \
         one of them, by a hash of the sender's address and port.", "靠双方都有的选项才能并存的组合。双方都加入了组，B 后到。列是数据报发往的地址：单播、广播（127.255.255.255）、多播。“分散”：由发送者地址和端口的哈希选出其中一个。"),
        Proto::Udp,
        State::Bound,
        &udp_all,
        &[LOCALHOST, SECOND, BROADCAST.into(), GROUP_IPV4.into(), LOCALHOST6, SECOND6, GROUP_IPV6.into()],
    ));
    let tcp_all: Vec<Socket> = ipv4.into_iter().chain(families[2..6].iter().copied()).collect();
    questions.push(deliveries(
        "tcp-delivery",
        words!("TCP: who accepts?", "TCP：谁 accept？"),
        words!("The pairs of listeners that there may be. The column is where the client connects to. \
         'spread': one of them, by a hash of the client's address and port.", "能够并存的两个监听套接字。列是客户端连接的地址。“分散”：由客户端地址和端口的哈希选出其中一个。"),
        Proto::Tcp,
        State::Listening,
        &tcp_all,
        &[LOCALHOST, SECOND, LOCALHOST6, SECOND6],
    ));
    questions
}

/// Each address against each: rows A's, columns B's.
fn pairs(
    proto: Proto,
    places: &[Socket],
    state: State,
    both: (&str, bool, bool),
    words: &str,
) -> Vec<(String, Vec<Option<Cell>>)> {
    let row = |a: &Socket| {
        let cell = |b: &Socket| Some(Cell::new(proto, with(*a, both), state, with(*b, both)));
        let words = match words {
            "" => a.to_string(),
            words => joined(&[words, both.0, &a.to_string()]),
        };
        (words, places.iter().map(cell).collect())
    };
    places.iter().map(row).collect()
}

/// TCP's states against what is in the columns.
fn states(
    name: &'static str,
    title: &'static str,
    note: &'static str,
    columns: Vec<(String, Socket, Socket)>,
) -> Question {
    let row = |state: &State| {
        let cells = columns.iter().map(|&(_, a, b)| Some(Cell::new(Proto::Tcp, a, *state, b)));
        (state.words().to_owned(), cells.collect())
    };
    Question {
        name,
        title,
        note,
        corner: words!("A's state", "A 的状态"),
        rows: State::OF_TCP.iter().map(row).collect(),
        columns: columns.into_iter().map(|(words, ..)| words).collect(),
        show: Show::Verdict,
    }
}

fn who(
    name: &'static str,
    title: &'static str,
    note: &'static str,
    socket: impl Fn((&str, bool, bool), bool) -> Socket,
) -> Question {
    let column =
        |who: &(&str, bool, bool)| (who.0.to_owned(), socket(*who, true), socket(*who, false));
    states(name, title, note, sides().iter().map(column).collect())
}

fn moments(name: &'static str, title: &'static str, proto: Proto, states: &[State]) -> Question {
    let at = Socket::at(LOCALHOST);
    let mut rows = Vec::new();
    for &state in states {
        for (words, a) in [
            (words!("A before bind", "A 在 bind 之前"), Set::Before),
            (words!("A after bind", "A 在 bind 之后"), Set::Late),
            (words!("A before bind, cleared after", "A 在 bind 之前，之后清除"), Set::Cleared),
        ] {
            let mut cells = Vec::new();
            for b in [Set::Before, Set::Late] {
                let (a, b) = (Socket { reuseaddr: a, ..at }, Socket { reuseaddr: b, ..at });
                cells.push(Some(Cell::new(proto, a, state, b)));
            }
            for b in [Set::Before, Set::Late] {
                let (a, b) = (Socket { reuseport: a, ..at }, Socket { reuseport: b, ..at });
                cells.push(Some(Cell::new(proto, a, state, b)));
            }
            rows.push((joined(&[state.words(), words]), cells));
        }
    }
    Question {
        name,
        title,
        note: words!(
            "Both at 127.0.0.1, both set the option of the column. A's 'after bind' comes before \
               it listens.",
            "双方都在 127.0.0.1，都设置该列的选项。A 的“bind 之后”在它监听之前。"
        ),
        corner: words!("A's state, and when A sets it", "A 的状态，A 何时设置"),
        columns: [
            words!("SO_REUSEADDR: B before bind", "SO_REUSEADDR：B 在 bind 之前"),
            words!("SO_REUSEADDR: B after bind", "SO_REUSEADDR：B 在 bind 之后"),
            words!("SO_REUSEPORT: B before bind", "SO_REUSEPORT：B 在 bind 之前"),
            words!("SO_REUSEPORT: B after bind", "SO_REUSEPORT：B 在 bind 之后"),
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
        show: Show::Verdict,
    }
}

fn user(is_other: bool) -> &'static str {
    if is_other {
        words!("another user", "别的用户")
    } else {
        words!("same user", "同一用户")
    }
}

fn by_user() -> Vec<String> {
    let columns = |is_other| options().map(|(name, ..)| of(user(is_other), name));
    [columns(false), columns(true)].concat()
}

fn exhausted() -> Question {
    let at = Socket::at(LOCALHOST);
    let mut rows = Vec::new();
    for state in [State::ExhaustedReuse0, State::ExhaustedReuse1, State::ExhaustedReuse1Between] {
        for a in options() {
            let b = |other: bool| {
                let cell = |b| Cell::new(Proto::Tcp, with(at, a), state, with(at, b).of(other));
                options().map(|b| Some(cell(b)))
            };
            rows.push((joined(&[state.words(), &of("A", a.0)]), [b(false), b(true)].concat()));
        }
    }
    Question {
        name: "exhausted",
        title: words!(
            "TCP, IPv4: B asks for any port, and none is left",
            "TCP，IPv4：B 要任意端口，而端口已用完"
        ),
        note: words!(
            "ip_local_port_range has one port, A's. ip_autobind_reuse is 0 unless changed. Both at 127.0.0.1.",
            "ip_local_port_range 只有一个端口，就是 A 的。ip_autobind_reuse 默认为 0。双方都在 127.0.0.1。"
        ),
        corner: words!("A's state and options", "A 的状态和选项"),
        columns: by_user(),
        rows,
        show: Show::Verdict,
    }
}

/// The pairs whose addresses overlap, with an option that both have; and where is sent or connected
/// to. A second listener needs SO_REUSEPORT.
fn deliveries(
    name: &'static str,
    title: &'static str,
    note: &'static str,
    proto: Proto,
    state: State,
    places: &[Socket],
    columns: &[IpAddr],
) -> Question {
    let mut rows = Vec::new();
    for both in &shared()[if proto == Proto::Tcp { 2 } else { 1 }..] {
        for a in places {
            for b in places {
                let cell = Cell::new(proto, with(*a, *both), state, with(*b, *both));
                let overlap =
                    (a.takes_ipv4() && b.takes_ipv4()) || (a.takes_ipv6() && b.takes_ipv6());
                if overlap {
                    let pair = say!("A {a}, B {b}", "A {a}，B {b}");
                    rows.push((joined(&[both.0, &pair]), vec![Some(cell); columns.len()]));
                }
            }
        }
    }
    Question {
        name,
        title,
        note,
        corner: words!("options, addresses", "选项、地址"),
        columns: columns.iter().map(IpAddr::to_string).collect(),
        rows,
        show: Show::Deliveries,
    }
}

/// A has made a connection itself; rows: its state and options.
fn clients(name: &'static str, title: &'static str, note: &'static str, route: Route) -> Question {
    let at = Socket::at(LOCALHOST);
    let reuse = at.reuseaddr(true);
    let binds = |socket: Socket| Socket { route: Route::BindConnect, ..socket };
    let connects = Socket { route: Route::Connect, ..at };
    let columns: [(&str, Socket); 8] = [
        (words!("binds", "绑定"), at),
        (words!("binds: SO_REUSEADDR", "绑定：SO_REUSEADDR"), reuse),
        (words!("binds: SO_REUSEPORT", "绑定：SO_REUSEPORT"), at.reuseport(true)),
        (words!("connects", "connect"), connects),
        (words!("connects elsewhere", "connect 别处"), Socket { elsewhere: true, ..connects }),
        (words!("binds and connects", "绑定并 connect"), binds(at)),
        (words!("binds and connects: SO_REUSEADDR", "绑定并 connect：SO_REUSEADDR"), binds(reuse)),
        (
            words!(
                "binds and connects elsewhere: SO_REUSEADDR",
                "绑定并 connect 别处：SO_REUSEADDR"
            ),
            Socket { elsewhere: true, ..binds(reuse) },
        ),
    ];
    let mut rows = Vec::new();
    for state in State::OF_CLIENT {
        for option in &options()[..3] {
            let a = Socket { route, ..with(at, *option) };
            let cells = columns.map(|(_, b)| Some(Cell::new(Proto::Tcp, a, state, b)));
            let state = match state {
                State::Connected => "ESTABLISHED",
                state => state.words(),
            };
            rows.push((joined(&[state, &of("A", option.0)]), cells.to_vec()));
        }
    }
    Question {
        name,
        title,
        note,
        corner: words!("A's state and options", "A 的状态和选项"),
        columns: columns.map(|(name, _)| name.to_owned()).to_vec(),
        rows,
        show: Show::Verdict,
    }
}

fn ipv4_clients() -> Question {
    let places = [
        Socket::at(ANY),
        Socket::at(LOCALHOST),
        Socket::at(MAPPED),
        Socket::at(ANY6),
        Socket { v6only: true, ..Socket::at(ANY6) },
        Socket::at(LOCALHOST6),
    ];
    let mut rows = Vec::new();
    for both in &shared()[..2] {
        for state in [State::Connection, State::Connected, State::FinWait2, State::TimeWait] {
            for ipv4_client in [true, false] {
                let a = Socket { ipv4_client, ..with(Socket::at(ANY6), *both) };
                let cell = |b: &Socket| Some(Cell::new(Proto::Tcp, a, state, with(*b, *both)));
                let family = if ipv4_client { "IPv4" } else { "IPv6" };
                let client = say!("client of {family}", "{family} 客户端");
                rows.push((
                    joined(&[state.words(), &client, both.0]),
                    places.iter().map(cell).collect(),
                ));
            }
        }
    }
    Question {
        name: "ipv4-clients",
        title: words!(
            "TCP: a connection of IPv4 on a listener at ::",
            "TCP：:: 上监听套接字的 IPv4 连接"
        ),
        note: words!(
            "A listens at ::. Its connection has the address to which the client connected: \
               ::ffff:127.0.0.1, or ::1. Columns: B's address.",
            "A 在 :: 上监听。它的连接用客户端所连的地址：::ffff:127.0.0.1 或 ::1。列：B 的地址。"
        ),
        corner: words!("A's state, its client, options", "A 的状态、它的客户端、选项"),
        columns: places.iter().map(Socket::to_string).collect(),
        rows,
        show: Show::Verdict,
    }
}

fn devices(name: &'static str, title: &'static str, proto: Proto, states: &[State]) -> Question {
    let devices = [
        (words!("no device", "没有绑定网卡"), None),
        ("lo", Some(Device::Lo)),
        (words!("another", "另一块"), Some(Device::Other)),
    ];
    let at = |device, both| Socket { device, ..with(Socket::at(LOCALHOST), both) };
    let mut rows = Vec::new();
    for &state in states {
        for both in shared() {
            // What arrives here arrives on lo, so no other device has a connection.
            let all = if state == State::TimeWait { &devices[..2] } else { &devices[..] };
            for (words, device) in all {
                let a = at(*device, both);
                let b = |(_, device)| Some(Cell::new(proto, a, state, at(device, both)));
                let words = joined(&[state.words(), both.0, &of("A", words)]);
                rows.push((words, devices.map(b).to_vec()));
            }
        }
    }
    Question {
        name,
        title,
        note: words!(
            "Both at 127.0.0.1; SO_BINDTODEVICE before bind. Columns: B's device.",
            "双方都在 127.0.0.1；bind 之前设置 SO_BINDTODEVICE。列：B 的网卡。"
        ),
        corner: words!("A's state, options, A's device", "A 的状态、选项、A 的网卡"),
        columns: devices.map(|(name, _)| of("B", name)).to_vec(),
        rows,
        show: Show::Verdict,
    }
}

fn programs(name: &'static str, title: &'static str, proto: Proto, states: &[State]) -> Question {
    let moments = [
        (words!("no program", "没有程序"), Set::Never),
        (words!("before bind", "bind 之前"), Set::Before),
        (words!("after bind", "bind 之后"), Set::Late),
    ];
    let at = |program| Socket { program, ..Socket::at(LOCALHOST).reuseport(true) };
    let mut rows = Vec::new();
    for &state in states {
        for (words, a) in moments {
            let b = |(_, b)| Some(Cell::new(proto, at(a), state, at(b)));
            rows.push((joined(&[state.words(), &of("A", words)]), moments.map(b).to_vec()));
        }
    }
    Question {
        name,
        title,
        note: words!(
            "Both at 127.0.0.1, with SO_REUSEPORT; the program of a group \
               (SO_ATTACH_REUSEPORT_CBPF) is attached before bind, or after it.",
            "双方都在 127.0.0.1，都有 SO_REUSEPORT；组的程序（SO_ATTACH_REUSEPORT_CBPF）在 bind 之前或之后挂上。"
        ),
        corner: words!("A's state, and when A attaches", "A 的状态，A 何时挂上程序"),
        columns: moments.map(|(name, _)| of("B", name)).to_vec(),
        rows,
        show: Show::Verdict,
    }
}

/// What a third socket, C, makes of what A and B may do.
fn three() -> Question {
    let at = Socket::at(LOCALHOST);
    let (addr, port) = (at.reuseaddr(true), at.reuseport(true));
    let both = addr.reuseport(true);
    let second = Socket::at(SECOND);
    let closed = |socket: Socket| Socket { closed: true, ..socket };
    let connects = Socket { route: Route::Connect, ..at };
    let elsewhere = Socket { elsewhere: true, ..connects };
    let (tcp, bound) = (Proto::Tcp, State::Bound);
    let rows = [
        (
            words!(
                "A SO_REUSEADDR, C both and closed again, B SO_REUSEPORT: the bucket remembers C \
             (fastreuseport)",
                "A 有 SO_REUSEADDR，C 两个都有、随后关闭，B 有 SO_REUSEPORT：桶记着 C（fastreuseport）"
            ),
            (tcp, addr, bound, closed(both), port),
        ),
        (
            words!("the same over A's TIME_WAIT", "同上，A 处于 TIME_WAIT"),
            (tcp, addr, State::TimeWait, closed(both), port),
        ),
        (
            words!(
                "the same, B another user's: C's user is remembered, too",
                "同上，B 属于别的用户：桶也记着 C 的用户"
            ),
            (tcp, addr, bound, closed(both), port.of(true)),
        ),
        (
            words!("the same in UDP, which remembers nothing", "同上，换成 UDP：它什么也不记"),
            (Proto::Udp, addr, bound, closed(both), port),
        ),
        (
            words!(
                "UDP, C not closed: the search ends at the first that shares SO_REUSEPORT",
                "UDP，C 没有关闭：遇到第一个同样有 SO_REUSEPORT 的套接字就不再找"
            ),
            (Proto::Udp, addr, bound, both, port),
        ),
        (
            words!(
                "A both, C SO_REUSEADDR, B SO_REUSEPORT: B shares nothing with C",
                "A 两个都有，C 有 SO_REUSEADDR，B 有 SO_REUSEPORT：B 与 C 没有共同的选项"
            ),
            (tcp, both, bound, addr, port),
        ),
        (
            words!(
                "the same, C closed again: A and B are compared",
                "同上，C 随后关闭：比较的是 A 和 B"
            ),
            (tcp, both, bound, closed(addr), port),
        ),
        (
            words!(
                "A SO_REUSEADDR, C none at 127.0.0.2, B SO_REUSEADDR at 0.0.0.0: B meets C, too",
                "A 有 SO_REUSEADDR，C 没有选项、在 127.0.0.2，B 有 SO_REUSEADDR、在 0.0.0.0：B 也遇到 C"
            ),
            (tcp, addr, bound, second, Socket::at(ANY).reuseaddr(true)),
        ),
        (
            words!(
                "A has connected, C binds 127.0.0.2 there, B connects elsewhere: a port that was bound \
             is not for connect",
                "A 已 connect，C 用这个端口绑定 127.0.0.2，B 去 connect 别处：绑定过的端口，connect 不用"
            ),
            (tcp, connects, State::Connected, second, elsewhere),
        ),
        (
            words!(
                "the same, C closed again: the port is for connect again",
                "同上，C 随后关闭：connect 又能用这个端口"
            ),
            (tcp, connects, State::Connected, closed(second), elsewhere),
        ),
    ];
    Question {
        name: "three",
        title: words!("A third socket, C, between A and B", "第三个套接字 C，在 A 与 B 之间"),
        note: words!(
            "C binds the same port after A, and before B comes. At 127.0.0.1, unless it says so.",
            "C 在 A 之后、B 到来之前绑定同一端口。没有另外写明的，都在 127.0.0.1。"
        ),
        corner: words!("A, C, B, and why", "A、C、B，以及原因"),
        columns: [words!("without C", "没有 C"), words!("with C", "有 C")]
            .map(str::to_owned)
            .to_vec(),
        rows: rows
            .map(|(words, (proto, a, state, c, b))| {
                let without = Cell::new(proto, a, state, b);
                let with = Cell { there: vec![a, c], ..without.clone() };
                (words.to_owned(), vec![Some(without), Some(with)])
            })
            .to_vec(),
        show: Show::Verdict,
    }
}

fn udp_groups() -> Question {
    let mut rows = Vec::new();
    for group in [IpAddr::from(GROUP_IPV4), IpAddr::from(GROUP_IPV6)] {
        let at = Socket::at(group);
        for a in options() {
            let b = |other: bool| {
                let cell =
                    |b| Cell::new(Proto::Udp, with(at, a), State::Bound, with(at, b).of(other));
                options().map(|b| Some(cell(b)))
            };
            rows.push((joined(&[&group.to_string(), &of("A", a.0)]), [b(false), b(true)].concat()));
        }
    }
    Question {
        name: "udp-groups",
        title: words!("UDP: both bound to a group", "UDP：双方绑定一个组"),
        note: words!(
            "The option that both need is the same as for any other address.",
            "双方需要的选项与其他地址相同。"
        ),
        corner: words!("group, A's options", "组、A 的选项"),
        columns: by_user(),
        rows,
        show: Show::Verdict,
    }
}

fn udp_connected() -> Question {
    let mut rows = Vec::new();
    for (words, a) in [
        (
            words!("bound to 127.0.0.1, connected", "绑定 127.0.0.1，已 connect"),
            Socket::at(LOCALHOST),
        ),
        (words!("bound to 0.0.0.0, connected", "绑定 0.0.0.0，已 connect"), Socket::at(ANY)),
        (
            words!("connected, without bind", "没有 bind，已 connect"),
            Socket { route: Route::Connect, ..Socket::at(LOCALHOST) },
        ),
    ] {
        for both in shared() {
            let a = with(a, both);
            let b = [
                Socket::at(LOCALHOST),
                Socket::at(SECOND),
                Socket::at(ANY),
                Socket { route: Route::BindConnect, ..Socket::at(LOCALHOST) },
                Socket { route: Route::Connect, ..Socket::at(LOCALHOST) },
            ];
            let cell = |b| Some(Cell::new(Proto::Udp, a, State::Connected, with(b, both)));
            rows.push((joined(&[words, both.0]), b.map(cell).to_vec()));
        }
    }
    Question {
        name: "udp-connected",
        title: words!("UDP, IPv4: A is connected to a peer", "UDP，IPv4：A 已 connect 到对方"),
        note: words!(
            "A socket bound to 0.0.0.0 that connects has one address from then on. A B that \
               connects without bind asks for a port before it has an address, and only A's is \
               left.",
            "绑定 0.0.0.0 的套接字在 connect 之后，只剩一个地址。B 没有 bind 就去 connect，会先要端口，那时它还没有地址，而只剩 A 的端口。"
        ),
        corner: words!("A, options", "A、选项"),
        columns: [
            words!("binds 127.0.0.1", "绑定 127.0.0.1"),
            words!("binds 127.0.0.2", "绑定 127.0.0.2"),
            words!("binds 0.0.0.0", "绑定 0.0.0.0"),
            words!("binds 127.0.0.1, connects", "绑定 127.0.0.1，然后 connect"),
            words!("connects", "connect"),
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
        show: Show::Verdict,
    }
}

fn udp_exhausted() -> Question {
    let at = Socket::at(LOCALHOST);
    let rows = options().map(|a| {
        let b = |other: bool| {
            let cell =
                |b| Cell::new(Proto::Udp, with(at, a), State::Exhausted, with(at, b).of(other));
            options().map(|b| Some(cell(b)))
        };
        (of("A", a.0), [b(false), b(true)].concat())
    });
    Question {
        name: "udp-exhausted",
        title: words!(
            "UDP, IPv4: B asks for any port, and none is left",
            "UDP，IPv4：B 要任意端口，而端口已用完"
        ),
        note: words!(
            "ip_local_port_range has one port, A's. With an option that both have, bind to port 0 \
               hands out a port that is in use.",
            "ip_local_port_range 只有一个端口，就是 A 的。有双方都有的选项时，bind 端口 0 会分配正在使用的端口。"
        ),
        corner: words!("A's options", "A 的选项"),
        columns: by_user(),
        rows: rows.to_vec(),
        show: Show::Verdict,
    }
}

/// What beside the address decides who receives: one row each.
fn receivers() -> Question {
    let at = Socket::at(LOCALHOST);
    let (addr, port) = (at.reuseaddr(true), at.reuseport(true));
    let (any, any6) = (Socket::at(ANY), Socket::at(ANY6));
    let on_lo = |socket| Socket { device: Some(Device::Lo), ..socket };
    let connects = |socket| Socket { route: Route::BindConnect, ..socket };
    let (bound, connected, listening) = (State::Bound, State::Connected, State::Listening);
    let program = |program| Socket { program, ..port };
    let rows = [
        (
            words!("UDP, SO_REUSEADDR: the one bound last", "UDP，SO_REUSEADDR：最后绑定的那个"),
            Proto::Udp,
            addr,
            bound,
            addr,
        ),
        (
            words!("UDP, SO_REUSEPORT: a hash", "UDP，SO_REUSEPORT：由哈希决定"),
            Proto::Udp,
            port,
            bound,
            port,
        ),
        (
            words!("UDP, A's program takes the first", "UDP，A 的程序取第一个"),
            Proto::Udp,
            program(Set::Late),
            bound,
            port,
        ),
        (words!("UDP, A is connected", "UDP，A 已 connect"), Proto::Udp, addr, connected, addr),
        (
            words!(
                "UDP, A is connected, after it was bound to 0.0.0.0",
                "UDP，A 绑定 0.0.0.0 之后已 connect"
            ),
            Proto::Udp,
            any.reuseaddr(true),
            connected,
            addr,
        ),
        (
            words!("UDP, B is connected", "UDP，B 已 connect"),
            Proto::Udp,
            addr,
            bound,
            connects(addr),
        ),
        (
            words!(
                "UDP, both are connected, each to its peer",
                "UDP，双方已 connect，各有自己的对方"
            ),
            Proto::Udp,
            addr,
            connected,
            Socket { elsewhere: true, ..connects(addr) },
        ),
        (
            words!("UDP, A is bound to lo", "UDP，A 绑定网卡 lo"),
            Proto::Udp,
            on_lo(addr),
            bound,
            addr,
        ),
        (
            words!("UDP, B is bound to lo", "UDP，B 绑定网卡 lo"),
            Proto::Udp,
            addr,
            bound,
            on_lo(addr),
        ),
        (
            words!("UDP, SO_REUSEPORT, A is bound to lo", "UDP，SO_REUSEPORT，A 绑定网卡 lo"),
            Proto::Udp,
            on_lo(port),
            bound,
            port,
        ),
        (
            words!(
                "UDP, A at 0.0.0.0 is bound to lo, B at 127.0.0.1 is not",
                "UDP，A 在 0.0.0.0 并绑定网卡 lo，B 在 127.0.0.1、没有绑定网卡"
            ),
            Proto::Udp,
            on_lo(any.reuseaddr(true)),
            bound,
            addr,
        ),
        (
            words!("UDP, A at 0.0.0.0, B at ::", "UDP，A 在 0.0.0.0，B 在 ::"),
            Proto::Udp,
            any.reuseaddr(true),
            bound,
            any6.reuseaddr(true),
        ),
        (
            words!("UDP, A at ::, B at 0.0.0.0", "UDP，A 在 ::，B 在 0.0.0.0"),
            Proto::Udp,
            any6.reuseaddr(true),
            bound,
            any.reuseaddr(true),
        ),
        (
            words!("TCP, SO_REUSEPORT: a hash", "TCP，SO_REUSEPORT：由哈希决定"),
            Proto::Tcp,
            port,
            listening,
            port,
        ),
        (
            words!("TCP, A's program takes the first", "TCP，A 的程序取第一个"),
            Proto::Tcp,
            program(Set::Late),
            listening,
            port,
        ),
        (
            words!("TCP, SO_REUSEPORT, A is bound to lo", "TCP，SO_REUSEPORT，A 绑定网卡 lo"),
            Proto::Tcp,
            on_lo(port),
            listening,
            port,
        ),
        (
            words!("TCP, SO_REUSEPORT, B is bound to lo", "TCP，SO_REUSEPORT，B 绑定网卡 lo"),
            Proto::Tcp,
            port,
            listening,
            on_lo(port),
        ),
        (
            words!(
                "TCP, A is bound to lo, B to another device",
                "TCP，A 绑定网卡 lo，B 绑定另一块"
            ),
            Proto::Tcp,
            on_lo(at),
            listening,
            Socket { device: Some(Device::Other), ..at },
        ),
        (
            words!("TCP, A at 0.0.0.0, B at ::", "TCP，A 在 0.0.0.0，B 在 ::"),
            Proto::Tcp,
            any.reuseport(true),
            listening,
            any6.reuseport(true),
        ),
        (
            words!("TCP, A at ::, B at 0.0.0.0", "TCP，A 在 ::，B 在 0.0.0.0"),
            Proto::Tcp,
            any6.reuseport(true),
            listening,
            any.reuseport(true),
        ),
        (
            words!(
                "TCP, A at 127.0.0.1, B at ::1: localhost is both",
                "TCP，A 在 127.0.0.1，B 在 ::1：localhost 两个都是"
            ),
            Proto::Tcp,
            at,
            listening,
            { Socket::at(LOCALHOST6) },
        ),
    ];
    let columns = ["127.0.0.1", "::1", "127.0.0.1 from A's peer", "127.0.0.1 from B's peer"]
        .map(str::to_owned);
    Question {
        name: "receivers",
        title: words!(
            "Who receives, and who accepts? What decides beside the address",
            "谁收到，谁 accept？地址之外由什么决定"
        ),
        note: words!(
            "A and B are at 127.0.0.1, unless it says so; B came last. The column is where a \
               datagram is sent to, or a client connects to; 'spread': one of them, by a hash of \
               the sender's address and port.",
            "没有另外写明的，A 和 B 都在 127.0.0.1；B 后到。列是数据报发往的地址，或者客户端连接的地址；“分散”：由发送者地址和端口的哈希选出其中一个。"
        ),
        corner: words!("what decides", "由什么决定"),
        rows: rows
            .map(|(words, proto, a, state, b)| {
                let cell = Cell::new(proto, a, state, b);
                (words.to_owned(), vec![Some(cell); columns.len()])
            })
            .to_vec(),
        columns: columns.to_vec(),
        show: Show::Deliveries,
    }
}
