//! The questions, each a table of cells: what is in the whole, and what is not.

use crate::cell::{Cell, Device, Proto, Route, Set, Socket, State};
use crate::engine::{BROADCAST, GROUP_IPV4, GROUP_IPV6};
use crate::world::SECOND_IPV6;
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

const WHO: [(&str, bool, bool); 4] =
    [("neither", false, false), ("A", true, false), ("B", false, true), ("both", true, true)];
const OPTIONS: [(&str, bool, bool); 4] = [
    ("none", false, false),
    ("SO_REUSEADDR", true, false),
    ("SO_REUSEPORT", false, true),
    ("both options", true, true),
];
const SHARED: [(&str, bool, bool); 3] = [
    ("neither has an option", false, false),
    ("both SO_REUSEADDR", true, false),
    ("both SO_REUSEPORT", false, true),
];

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
            "TCP, IPv4: which side must set SO_REUSEADDR?",
            "A is at 127.0.0.1 in the state of the row; B binds the same address and port, and \
             listens. The column says who has the option. The row TIME_WAIT is the restart of a \
             server.",
            |who, is_a| Socket::at(LOCALHOST).reuseaddr(if is_a { who.1 } else { who.2 }),
        ),
        who(
            "reuseport",
            "TCP, IPv4: which side must set SO_REUSEPORT?",
            "As before, for the other option.",
            |who, is_a| Socket::at(LOCALHOST).reuseport(if is_a { who.1 } else { who.2 }),
        ),
    ];
    let at = Socket::at(LOCALHOST);
    let mut options = Vec::new();
    for state in [State::Bound, State::Listening, State::Connected, State::TimeWait] {
        for a in OPTIONS {
            let cells =
                OPTIONS.map(|b| Some(Cell::new(Proto::Tcp, with(at, a), state, with(at, b))));
            options.push((format!("{}; A: {}", state.words(), a.0), cells.to_vec()));
        }
    }
    questions.push(Question {
        name: "options",
        title: "TCP, IPv4: the two options together",
        note: "Both at 127.0.0.1. Rows: A's options; columns: B's.",
        corner: "A's state and options",
        columns: names(&OPTIONS),
        rows: options,
        show: Show::Verdict,
    });

    let ipv4 = [Socket::at(ANY), Socket::at(LOCALHOST), Socket::at(SECOND)];
    let mut addresses = Vec::new();
    for state in [State::Bound, State::Listening, State::TimeWait] {
        for shared in SHARED {
            addresses.extend(pairs(Proto::Tcp, &ipv4, state, shared, state.words()));
        }
    }
    questions.push(Question {
        name: "addresses",
        title: "TCP, IPv4: which addresses conflict?",
        note: "Rows: A's address; columns: B's. A connection of a listener at 0.0.0.0 is at \
               127.0.0.1, where its client connected to.",
        corner: "A's state, options, A's address",
        columns: ipv4.iter().map(Socket::to_string).collect(),
        rows: addresses,
        show: Show::Verdict,
    });

    let at6 = Socket::at(LOCALHOST6);
    let ipv6_columns: Vec<_> = WHO
        .iter()
        .map(|who| (format!("SO_REUSEADDR: {}", who.0), at6.reuseaddr(who.1), at6.reuseaddr(who.2)))
        .chain(WHO[1..].iter().map(|who| {
            (format!("SO_REUSEPORT: {}", who.0), at6.reuseport(who.1), at6.reuseport(who.2))
        }))
        .collect();
    questions.push(states(
        "ipv6",
        "TCP, IPv6: the same at ::1",
        "The rule is one for both families.",
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
        ("families", "TCP: IPv6 against IPv4, no option", State::Bound, SHARED[0]),
        ("families-reuseaddr", "TCP: both SO_REUSEADDR, A bound", State::Bound, SHARED[1]),
        ("families-listening", "TCP: both SO_REUSEADDR, A in LISTEN", State::Listening, SHARED[1]),
        ("families-reuseport", "TCP: both SO_REUSEPORT, A in LISTEN", State::Listening, SHARED[2]),
    ] {
        questions.push(Question {
            name,
            title,
            note: "+v6only: with IPV6_V6ONLY. ::ffff:127.0.0.1 is IPv4's address on a socket of \
                   IPv6. Rows: A's address; columns: B's.",
            corner: "A's address",
            columns: families.iter().map(Socket::to_string).collect(),
            rows: pairs(Proto::Tcp, &families, state, shared, ""),
            show: Show::Verdict,
        });
    }

    let mut users = Vec::new();
    for other in [false, true] {
        for shared in [SHARED[0], SHARED[1], SHARED[2], OPTIONS[3]] {
            let words = format!(
                "{}: {}",
                if other { "another user" } else { "same user" },
                match shared {
                    (_, false, false) => "none",
                    (_, true, false) => "SO_REUSEADDR",
                    (_, false, true) => "SO_REUSEPORT",
                    (_, true, true) => "both",
                }
            );
            users.push((words, with(at, shared), with(at, shared).of(other)));
        }
    }
    questions.push(states(
        "users",
        "TCP, IPv4: does the user matter?",
        "A and B have the same options, those of the column. FIN_WAIT2 and TIME_WAIT are records \
         without a user.",
        users,
    ));

    questions.push(moments(
        "moments",
        "TCP, IPv4: when is the option set?",
        Proto::Tcp,
        &[State::Bound, State::Listening, State::TimeWait],
    ));
    questions.push(exhausted());

    questions.push(clients(
        "clients",
        "TCP, IPv4: A has connected, and connect has chosen its port",
        "A is a client's socket at 127.0.0.1, without bind. B comes to A's port: it binds and \
         listens; or it connects, and this port is the only one left; or it binds and connects. \
         'elsewhere' is another server than A's.",
        Route::Connect,
    ));
    questions.push(clients(
        "bound-clients",
        "TCP, IPv4: A has bound its port and connected",
        "As before, but A has bound the port before it connected.",
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
                (state.words().to_owned(), WHO.iter().map(cell).collect())
            })
            .collect(),
        ..who(
            "connects",
            "TCP, IPv4: B connects, and the only port left is A's",
            "A is a server's socket. ip_local_port_range has one port, A's.",
            |_, _| at,
        )
    });
    questions.push(ipv4_clients());
    questions.push(devices(
        "devices",
        "TCP, IPv4: sockets bound to a device",
        Proto::Tcp,
        &[State::Bound, State::Listening, State::TimeWait],
    ));
    questions.push(programs(
        "programs",
        "TCP, IPv4: SO_REUSEPORT with a program",
        Proto::Tcp,
        &[State::Bound, State::Listening],
    ));
    questions.push(three());

    let mut udp = Vec::new();
    for (state, others) in [(State::Bound, &OPTIONS[..]), (State::Closed, &OPTIONS[..1])] {
        for a in others {
            let b = |other: bool| {
                OPTIONS.map(|b| {
                    Some(Cell::new(Proto::Udp, with(at, *a), state, with(at, b).of(other)))
                })
            };
            udp.push((format!("{}; A: {}", state.words(), a.0), [b(false), b(true)].concat()));
        }
    }
    questions.push(Question {
        name: "udp",
        title: "UDP, IPv4: which side must set which option?",
        note: "Both at 127.0.0.1. Rows: A's options; columns: B's user and options.",
        corner: "A's state and options",
        columns: by_user(),
        rows: udp,
        show: Show::Verdict,
    });
    let udp_ipv4 = [ipv4[0], ipv4[1], ipv4[2], Socket::at(GROUP_IPV4.into())];
    questions.push(Question {
        name: "udp-addresses",
        title: "UDP, IPv4: which addresses conflict?",
        note: "239.1.2.3 is a multicast group. Rows: A's address; columns: B's.",
        corner: "options, A's address",
        columns: udp_ipv4.iter().map(Socket::to_string).collect(),
        rows: SHARED
            .into_iter()
            .flat_map(|shared| pairs(Proto::Udp, &udp_ipv4, State::Bound, shared, "bound"))
            .collect(),
        show: Show::Verdict,
    });
    let udp_families = [&families[..6], &[Socket::at(GROUP_IPV6.into())]].concat();
    for (name, title, shared) in [
        ("udp-families", "UDP: IPv6 against IPv4, no option", SHARED[0]),
        ("udp-families-reuseaddr", "UDP: both SO_REUSEADDR", SHARED[1]),
        ("udp-families-reuseport", "UDP: both SO_REUSEPORT", SHARED[2]),
    ] {
        questions.push(Question {
            name,
            title,
            note: "ff0e::123 is a multicast group. Rows: A's address; columns: B's.",
            corner: "A's address",
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
        "UDP, IPv4: sockets bound to a device",
        Proto::Udp,
        &[State::Bound],
    ));
    questions.push(programs(
        "udp-programs",
        "UDP, IPv4: SO_REUSEPORT with a program",
        Proto::Udp,
        &[State::Bound],
    ));
    questions.push(moments(
        "udp-moments",
        "UDP, IPv4: when is the option set?",
        Proto::Udp,
        &[State::Bound],
    ));

    questions.push(receivers());
    let udp_all: Vec<Socket> =
        udp_ipv4.into_iter().chain(udp_families[2..].iter().copied()).collect();
    questions.push(deliveries(
        "udp-delivery",
        "UDP: who receives?",
        "The pairs that bind with an option that they share. Both are members of the group, and B came last. The column is \
         where the datagram is sent to: unicast, broadcast (127.255.255.255), multicast. 'spread': \
         one of them, by a hash of the sender's address and port.",
        Proto::Udp,
        State::Bound,
        &udp_all,
        &[LOCALHOST, SECOND, BROADCAST.into(), GROUP_IPV4.into(), LOCALHOST6, SECOND6, GROUP_IPV6.into()],
    ));
    let tcp_all: Vec<Socket> = ipv4.into_iter().chain(families[2..6].iter().copied()).collect();
    questions.push(deliveries(
        "tcp-delivery",
        "TCP: who accepts?",
        "The pairs of listeners that there may be. The column is where the client connects to. \
         'spread': one of them, by a hash of the client's address and port.",
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
    shared: (&str, bool, bool),
    words: &str,
) -> Vec<(String, Vec<Option<Cell>>)> {
    let row = |a: &Socket| {
        let cell = |b: &Socket| Some(Cell::new(proto, with(*a, shared), state, with(*b, shared)));
        let words =
            if words.is_empty() { a.to_string() } else { format!("{words}; {}; {a}", shared.0) };
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
        corner: "A's state",
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
    states(name, title, note, WHO.iter().map(column).collect())
}

fn moments(name: &'static str, title: &'static str, proto: Proto, states: &[State]) -> Question {
    let at = Socket::at(LOCALHOST);
    let mut rows = Vec::new();
    for &state in states {
        for (words, a) in [
            ("A before bind", Set::Before),
            ("A after bind", Set::Late),
            ("A before bind, cleared after", Set::Cleared),
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
            rows.push((format!("{}; {words}", state.words()), cells));
        }
    }
    Question {
        name,
        title,
        note: "Both at 127.0.0.1, both set the option of the column. A's 'after bind' comes before \
               it listens.",
        corner: "A's state, and when A sets it",
        columns: [
            "SO_REUSEADDR: B before bind",
            "SO_REUSEADDR: B after bind",
            "SO_REUSEPORT: B before bind",
            "SO_REUSEPORT: B after bind",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
        show: Show::Verdict,
    }
}

fn by_user() -> Vec<String> {
    let columns = |user: &str| OPTIONS.map(|(name, ..)| format!("{user}: {name}"));
    [columns("same user"), columns("another user")].concat()
}

fn exhausted() -> Question {
    let at = Socket::at(LOCALHOST);
    let mut rows = Vec::new();
    for state in [State::ExhaustedReuse0, State::ExhaustedReuse1, State::ExhaustedReuse1Between] {
        for a in OPTIONS {
            let b = |other: bool| {
                let cell = |b| Cell::new(Proto::Tcp, with(at, a), state, with(at, b).of(other));
                OPTIONS.map(|b| Some(cell(b)))
            };
            rows.push((format!("{}; A: {}", state.words(), a.0), [b(false), b(true)].concat()));
        }
    }
    Question {
        name: "exhausted",
        title: "TCP, IPv4: B asks for any port, and none is left",
        note: "ip_local_port_range has one port, A's. ip_autobind_reuse is 0 unless changed. Both at 127.0.0.1.",
        corner: "A's state and options",
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
    let options = if proto == Proto::Tcp { &SHARED[2..] } else { &SHARED[1..] };
    for shared in options {
        for a in places {
            for b in places {
                let cell = Cell::new(proto, with(*a, *shared), state, with(*b, *shared));
                let overlap =
                    (a.takes_ipv4() && b.takes_ipv4()) || (a.takes_ipv6() && b.takes_ipv6());
                if overlap {
                    let words = format!("{}; A {a}, B {b}", shared.0);
                    rows.push((words, vec![Some(cell); columns.len()]));
                }
            }
        }
    }
    Question {
        name,
        title,
        note,
        corner: "options, addresses",
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
        ("binds", at),
        ("binds: SO_REUSEADDR", reuse),
        ("binds: SO_REUSEPORT", at.reuseport(true)),
        ("connects", connects),
        ("connects elsewhere", Socket { elsewhere: true, ..connects }),
        ("binds and connects", binds(at)),
        ("binds and connects: SO_REUSEADDR", binds(reuse)),
        ("binds and connects elsewhere: SO_REUSEADDR", Socket { elsewhere: true, ..binds(reuse) }),
    ];
    let mut rows = Vec::new();
    for state in State::OF_CLIENT {
        for options in &OPTIONS[..3] {
            let a = Socket { route, ..with(at, *options) };
            let cells = columns.map(|(_, b)| Some(Cell::new(Proto::Tcp, a, state, b)));
            let state = match state {
                State::Connected => "ESTABLISHED",
                state => state.words(),
            };
            rows.push((format!("{state}; A: {}", options.0), cells.to_vec()));
        }
    }
    Question {
        name,
        title,
        note,
        corner: "A's state and options",
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
    for shared in &SHARED[..2] {
        for state in [State::Connection, State::Connected, State::FinWait2, State::TimeWait] {
            for ipv4_client in [true, false] {
                let a = Socket { ipv4_client, ..with(Socket::at(ANY6), *shared) };
                let cell = |b: &Socket| Some(Cell::new(Proto::Tcp, a, state, with(*b, *shared)));
                let family = if ipv4_client { "IPv4" } else { "IPv6" };
                let words = format!("{}; client of {family}; {}", state.words(), shared.0);
                rows.push((words, places.iter().map(cell).collect()));
            }
        }
    }
    Question {
        name: "ipv4-clients",
        title: "TCP: a connection of IPv4 on a listener at ::",
        note: "A listens at ::. Its connection has the address to which the client connected: \
               ::ffff:127.0.0.1, or ::1. Columns: B's address.",
        corner: "A's state, its client, options",
        columns: places.iter().map(Socket::to_string).collect(),
        rows,
        show: Show::Verdict,
    }
}

fn devices(name: &'static str, title: &'static str, proto: Proto, states: &[State]) -> Question {
    const DEVICES: [(&str, Option<Device>); 3] =
        [("no device", None), ("lo", Some(Device::Lo)), ("another", Some(Device::Other))];
    let at = |device, shared| Socket { device, ..with(Socket::at(LOCALHOST), shared) };
    let mut rows = Vec::new();
    for &state in states {
        for shared in SHARED {
            // What arrives here arrives on lo, so no other device has a connection.
            let all = if state == State::TimeWait { &DEVICES[..2] } else { &DEVICES[..] };
            for (words, device) in all {
                let a = at(*device, shared);
                let b = |(_, device)| Some(Cell::new(proto, a, state, at(device, shared)));
                let words = format!("{}; {}; A: {words}", state.words(), shared.0);
                rows.push((words, DEVICES.map(b).to_vec()));
            }
        }
    }
    Question {
        name,
        title,
        note: "Both at 127.0.0.1; SO_BINDTODEVICE before bind. Columns: B's device.",
        corner: "A's state, options, A's device",
        columns: DEVICES.map(|(name, _)| format!("B: {name}")).to_vec(),
        rows,
        show: Show::Verdict,
    }
}

fn programs(name: &'static str, title: &'static str, proto: Proto, states: &[State]) -> Question {
    const MOMENTS: [(&str, Set); 3] =
        [("no program", Set::Never), ("before bind", Set::Before), ("after bind", Set::Late)];
    let at = |program| Socket { program, ..Socket::at(LOCALHOST).reuseport(true) };
    let mut rows = Vec::new();
    for &state in states {
        for (words, a) in MOMENTS {
            let b = |(_, b)| Some(Cell::new(proto, at(a), state, at(b)));
            rows.push((format!("{}; A: {words}", state.words()), MOMENTS.map(b).to_vec()));
        }
    }
    Question {
        name,
        title,
        note: "Both at 127.0.0.1, with SO_REUSEPORT; the program of a group \
               (SO_ATTACH_REUSEPORT_CBPF) is attached before bind, or after it.",
        corner: "A's state, and when A attaches",
        columns: MOMENTS.map(|(name, _)| format!("B: {name}")).to_vec(),
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
            "A SO_REUSEADDR, C both and closed again, B SO_REUSEPORT: the bucket remembers C \
             (fastreuseport)",
            (tcp, addr, bound, closed(both), port),
        ),
        ("the same over A's TIME_WAIT", (tcp, addr, State::TimeWait, closed(both), port)),
        (
            "the same, B another user's: C's user is remembered, too",
            (tcp, addr, bound, closed(both), port.of(true)),
        ),
        ("the same in UDP, which remembers nothing", (Proto::Udp, addr, bound, closed(both), port)),
        (
            "UDP, C not closed: the search ends at the first that shares SO_REUSEPORT",
            (Proto::Udp, addr, bound, both, port),
        ),
        (
            "A both, C SO_REUSEADDR, B SO_REUSEPORT: B shares nothing with C",
            (tcp, both, bound, addr, port),
        ),
        ("the same, C closed again: A and B are compared", (tcp, both, bound, closed(addr), port)),
        (
            "A SO_REUSEADDR, C none at 127.0.0.2, B SO_REUSEADDR at 0.0.0.0: B meets C, too",
            (tcp, addr, bound, second, Socket::at(ANY).reuseaddr(true)),
        ),
        (
            "A has connected, C binds 127.0.0.2 there, B connects elsewhere: a port that was bound \
             is not for connect",
            (tcp, connects, State::Connected, second, elsewhere),
        ),
        (
            "the same, C closed again: the port is for connect again",
            (tcp, connects, State::Connected, closed(second), elsewhere),
        ),
    ];
    Question {
        name: "three",
        title: "A third socket, C, between A and B",
        note: "C binds the same port after A, and before B comes. At 127.0.0.1, unless it says so.",
        corner: "A, C, B, and why",
        columns: ["without C", "with C"].map(str::to_owned).to_vec(),
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
        for a in OPTIONS {
            let b = |other: bool| {
                let cell =
                    |b| Cell::new(Proto::Udp, with(at, a), State::Bound, with(at, b).of(other));
                OPTIONS.map(|b| Some(cell(b)))
            };
            rows.push((format!("{group}; A: {}", a.0), [b(false), b(true)].concat()));
        }
    }
    Question {
        name: "udp-groups",
        title: "UDP: both bound to a group",
        note: "The option that both need is the same as for any other address.",
        corner: "group, A's options",
        columns: by_user(),
        rows,
        show: Show::Verdict,
    }
}

fn udp_connected() -> Question {
    let mut rows = Vec::new();
    for (words, a) in [
        ("bound to 127.0.0.1, connected", Socket::at(LOCALHOST)),
        ("bound to 0.0.0.0, connected", Socket::at(ANY)),
        ("connected, without bind", Socket { route: Route::Connect, ..Socket::at(LOCALHOST) }),
    ] {
        for shared in SHARED {
            let a = with(a, shared);
            let b = [
                Socket::at(LOCALHOST),
                Socket::at(SECOND),
                Socket::at(ANY),
                Socket { route: Route::BindConnect, ..Socket::at(LOCALHOST) },
                Socket { route: Route::Connect, ..Socket::at(LOCALHOST) },
            ];
            let cell = |b| Some(Cell::new(Proto::Udp, a, State::Connected, with(b, shared)));
            rows.push((format!("{words}; {}", shared.0), b.map(cell).to_vec()));
        }
    }
    Question {
        name: "udp-connected",
        title: "UDP, IPv4: A is connected to a peer",
        note: "A socket bound to 0.0.0.0 that connects has one address from then on. A B that \
               connects without bind asks for a port before it has an address, and only A's is \
               left.",
        corner: "A, options",
        columns: [
            "binds 127.0.0.1",
            "binds 127.0.0.2",
            "binds 0.0.0.0",
            "binds 127.0.0.1, connects",
            "connects",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
        show: Show::Verdict,
    }
}

fn udp_exhausted() -> Question {
    let at = Socket::at(LOCALHOST);
    let rows = OPTIONS.map(|a| {
        let b = |other: bool| {
            let cell =
                |b| Cell::new(Proto::Udp, with(at, a), State::Exhausted, with(at, b).of(other));
            OPTIONS.map(|b| Some(cell(b)))
        };
        (format!("A: {}", a.0), [b(false), b(true)].concat())
    });
    Question {
        name: "udp-exhausted",
        title: "UDP, IPv4: B asks for any port, and none is left",
        note: "ip_local_port_range has one port, A's. With an option that both have, bind to port 0 \
               hands out a port that is in use.",
        corner: "A's options",
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
        ("UDP, SO_REUSEADDR: the one bound last", Proto::Udp, addr, bound, addr),
        ("UDP, SO_REUSEPORT: a hash", Proto::Udp, port, bound, port),
        ("UDP, A's program takes the first", Proto::Udp, program(Set::Late), bound, port),
        ("UDP, A is connected", Proto::Udp, addr, connected, addr),
        (
            "UDP, A is connected, after it was bound to 0.0.0.0",
            Proto::Udp,
            any.reuseaddr(true),
            connected,
            addr,
        ),
        ("UDP, B is connected", Proto::Udp, addr, bound, connects(addr)),
        (
            "UDP, both are connected, each to its peer",
            Proto::Udp,
            addr,
            connected,
            Socket { elsewhere: true, ..connects(addr) },
        ),
        ("UDP, A is bound to lo", Proto::Udp, on_lo(addr), bound, addr),
        ("UDP, B is bound to lo", Proto::Udp, addr, bound, on_lo(addr)),
        ("UDP, SO_REUSEPORT, A is bound to lo", Proto::Udp, on_lo(port), bound, port),
        (
            "UDP, A at 0.0.0.0 is bound to lo, B at 127.0.0.1 is not",
            Proto::Udp,
            on_lo(any.reuseaddr(true)),
            bound,
            addr,
        ),
        (
            "UDP, A at 0.0.0.0, B at ::",
            Proto::Udp,
            any.reuseaddr(true),
            bound,
            any6.reuseaddr(true),
        ),
        (
            "UDP, A at ::, B at 0.0.0.0",
            Proto::Udp,
            any6.reuseaddr(true),
            bound,
            any.reuseaddr(true),
        ),
        ("TCP, SO_REUSEPORT: a hash", Proto::Tcp, port, listening, port),
        ("TCP, A's program takes the first", Proto::Tcp, program(Set::Late), listening, port),
        ("TCP, SO_REUSEPORT, A is bound to lo", Proto::Tcp, on_lo(port), listening, port),
        ("TCP, SO_REUSEPORT, B is bound to lo", Proto::Tcp, port, listening, on_lo(port)),
        (
            "TCP, A is bound to lo, B to another device",
            Proto::Tcp,
            on_lo(at),
            listening,
            Socket { device: Some(Device::Other), ..at },
        ),
        (
            "TCP, A at 0.0.0.0, B at ::",
            Proto::Tcp,
            any.reuseport(true),
            listening,
            any6.reuseport(true),
        ),
        (
            "TCP, A at ::, B at 0.0.0.0",
            Proto::Tcp,
            any6.reuseport(true),
            listening,
            any.reuseport(true),
        ),
        ("TCP, A at 127.0.0.1, B at ::1: localhost is both", Proto::Tcp, at, listening, {
            Socket::at(LOCALHOST6)
        }),
    ];
    let columns = ["127.0.0.1", "::1", "127.0.0.1 from A's peer", "127.0.0.1 from B's peer"]
        .map(str::to_owned);
    Question {
        name: "receivers",
        title: "Who receives, and who accepts? What decides beside the address",
        note: "A and B are at 127.0.0.1, unless it says so; B came last. The column is where a \
               datagram is sent to, or a client connects to; 'spread': one of them, by a hash of \
               the sender's address and port.",
        corner: "what decides",
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
