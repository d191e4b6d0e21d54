//! The questions, each a table of cells. A table is a template of a cell's name, and what fills its
//! places along the rows and the columns.

use super::axis::{Axis, Choice, addresses, label, options, shared, sides, states, users};
use super::cell::{BROADCAST, Cell, GROUP_IPV4, GROUP_IPV6, State};
use super::words;
use crate::kernel::Proto;
use crate::kernel::receive::{Destination, Side};
use crate::{say, words};
use std::net::IpAddr;

pub struct Question {
    pub name: &'static str,
    pub title: String,
    pub note: &'static str,
    /// What stands at the head of the rows.
    pub corner: &'static str,
    /// The heads of the columns.
    pub columns: Vec<String>,
    pub rows: Vec<(String, Vec<Option<Cell>>)>,
    /// Where is sent or connected to, for each column: the table shows who gets it. Without any, it
    /// shows whether B binds, and listens.
    pub to: Vec<Destination>,
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

    /// For each row and each column the cell of the `template`.
    fn of(name: &'static str, template: &str, rows: Axis, columns: Axis) -> Self {
        let row = |row: &Choice| {
            let cells = columns.0.iter().map(|column| Some(cell(template, &[column, row])));
            (row.label.clone(), cells.collect())
        };
        Self {
            name,
            title: words::title(name),
            note: words::note(name),
            corner: words::corner(name),
            rows: rows.0.iter().map(row).collect(),
            columns: columns.0.into_iter().map(|column| column.label).collect(),
            to: Vec::new(),
        }
    }

    /// Who gets what is sent to each of `to`: a cell for each row.
    fn receivers(name: &'static str, rows: Vec<(String, Cell)>, to: &[Destination]) -> Self {
        let rows = rows.into_iter().map(|(label, cell)| (label, vec![Some(cell); to.len()]));
        Self {
            rows: rows.collect(),
            columns: to.iter().map(|to| words::destination(*to)).collect(),
            to: to.to_vec(),
            ..Self::of(name, "", Axis(Vec::new()), Axis(Vec::new()))
        }
    }
}

/// The cell of a template, with its places filled.
fn cell(template: &str, choices: &[&Choice]) -> Cell {
    let fills = choices.iter().flat_map(|choice| &choice.fills);
    let name = fills.fold(template.to_owned(), |name, (place, text)| name.replace(place, text));
    parsed(&name)
}

fn parsed(name: &str) -> Cell {
    name.parse().unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// Rows of a table: each has a cell, and a label that says what is of interest in it.
macro_rules! labelled {
    ($($cell:literal $english:literal $chinese:literal)+) => {
        vec![$((words!($english, $chinese).to_owned(), parsed($cell)),)+]
    };
}

const IPV4: [&str; 4] = ["0.0.0.0", "127.0.0.1", "127.0.0.2", "239.1.2.3"];
const FAMILIES: [&str; 8] = [
    "0.0.0.0",
    "127.0.0.1",
    "::",
    "::+v6only",
    "::1",
    "fd00::2",
    "::ffff:0.0.0.0",
    "::ffff:127.0.0.1",
];
const UDP_FAMILIES: [&str; 7] =
    ["0.0.0.0", "127.0.0.1", "::", "::+v6only", "::1", "fd00::2", "ff0e::123"];

/// Both sockets of TCP at one address, each with what its side has.
const AT_LOCALHOST: &str = "tcp/127.0.0.1{a}/{state}/127.0.0.1{b}";

/// Every table, in the order in which they are shown.
pub fn all() -> Vec<Question> {
    let every = || states(State::OF_TCP);
    let mut all = vec![
        Question::of("restart", AT_LOCALHOST, every(), sides("+reuseaddr")),
        Question::of("reuseport", AT_LOCALHOST, every(), sides("+reuseport")),
        both_options(),
        ipv4_addresses("addresses", Proto::Tcp, &IPV4[..3]),
        Question::of(
            "ipv6",
            "tcp/::1{a}/{state}/::1{b}",
            every(),
            label("SO_REUSEADDR")
                .has(&sides("+reuseaddr"))
                .then(label("SO_REUSEPORT").has(&sides("+reuseport").some(1..))),
        ),
    ];
    all.extend(families());
    all.extend([
        Question::of(
            "users",
            "tcp/127.0.0.1{both}/{state}/127.0.0.1{both}{user}",
            every(),
            users().has(&options("{both}")),
        ),
        moments("moments", Proto::Tcp),
        exhausted(),
        of_clients("clients", "tcp/127.0.0.1{a}+connects/{state}/127.0.0.1{b}"),
        of_clients("bound-clients", "tcp/127.0.0.1{a}+bind-connects/{state}/127.0.0.1{b}"),
        connects(),
        ipv4_clients(),
        devices("devices", Proto::Tcp),
        programs("programs", Proto::Tcp),
        three(),
        udp(),
        ipv4_addresses("udp-addresses", Proto::Udp, &IPV4),
    ]);
    all.extend(udp_families());
    all.extend([
        Question::of(
            "udp-groups",
            "udp/{group}{a}/bound/{group}{b}{user}",
            addresses("{group}", &["239.1.2.3", "ff0e::123"]).by(&label("A").has(&options("{a}"))),
            users().has(&options("{b}")),
        ),
        udp_connected(),
        Question::of(
            "udp-exhausted",
            "udp/127.0.0.1{a}/exhausted/127.0.0.1{b}{user}",
            label("A").has(&options("{a}")),
            users().has(&options("{b}")),
        ),
        devices("udp-devices", Proto::Udp),
        programs("udp-programs", Proto::Udp),
        moments("udp-moments", Proto::Udp),
        receivers(),
        udp_delivery(),
        tcp_delivery(),
    ]);
    all
}

fn both_options() -> Question {
    let of_a = [State::Bound, State::Listening, State::Connected, State::TimeWait];
    Question::of(
        "options",
        AT_LOCALHOST,
        states(&of_a).by(&label("A").has(&options("{a}"))),
        options("{b}"),
    )
}

fn ipv4_addresses(name: &'static str, proto: Proto, places: &[&str]) -> Question {
    let of_a = of_proto(proto, &[State::Bound, State::Listening, State::TimeWait]);
    Question::of(
        name,
        &format!("{}/{{a}}{{both}}/{{state}}/{{b}}{{both}}", proto.name()),
        of_a.by(&shared()).by(&addresses("{a}", places)),
        addresses("{b}", places),
    )
}

/// Each address against each, where both have what is in one row of [`shared`].
fn of_families(name: &'static str, template: &str, places: &[&str], both: usize) -> Question {
    let nothing = |one: &str, _: &str| one.to_owned();
    Question::of(
        name,
        template,
        addresses("{a}", places).product(&shared().some(both..=both), nothing),
        addresses("{b}", places),
    )
}

fn families() -> [Question; 4] {
    [
        ("families", "bound", 0),
        ("families-reuseaddr", "bound", 1),
        ("families-listening", "listening", 1),
        ("families-reuseport", "listening", 2),
    ]
    .map(|(name, state, both)| {
        let template = format!("tcp/{{a}}{{both}}/{state}/{{b}}{{both}}");
        of_families(name, &template, &FAMILIES, both)
    })
}

/// For TCP the states that matter, for UDP its one.
fn of_proto(proto: Proto, of_tcp: &[State]) -> Axis {
    match proto {
        Proto::Tcp => states(of_tcp),
        Proto::Udp => states(&[State::Bound]),
    }
}

fn moments(name: &'static str, proto: Proto) -> Question {
    let of_a = [
        (words!("A before bind", "A 在 bind 之前"), ""),
        (words!("A after bind", "A 在 bind 之后"), "late-"),
        (words!("A before bind, cleared after", "A 在 bind 之前，后来清除"), "cleared-"),
    ];
    let of_b = [
        (words!("B before bind", "B 在 bind 之前"), ""),
        (words!("B after bind", "B 在 bind 之后"), "late-"),
    ];
    let option = [("SO_REUSEADDR", "reuseaddr"), ("SO_REUSEPORT", "reuseport")];
    Question::of(
        name,
        &format!("{}/127.0.0.1+{{a}}{{option}}/{{state}}/127.0.0.1+{{b}}{{option}}", proto.name()),
        of_proto(proto, &[State::Bound, State::Listening, State::TimeWait])
            .by(&Axis::new("{a}", &of_a)),
        Axis::new("{option}", &option).has(&Axis::new("{b}", &of_b)),
    )
}

fn exhausted() -> Question {
    let of_a = [State::ExhaustedReuse0, State::ExhaustedReuse1, State::ExhaustedReuse1Between];
    Question::of(
        "exhausted",
        "tcp/127.0.0.1{a}/{state}/127.0.0.1{b}{user}",
        states(&of_a).by(&label("A").has(&options("{a}"))),
        users().has(&options("{b}")),
    )
}

/// A has made a connection itself; rows: its state and options.
fn of_clients(name: &'static str, template: &str) -> Question {
    let mut states = states(&State::OF_CLIENT);
    states.0[0].label = "ESTABLISHED".to_owned();
    let columns = [
        (words!("binds", "绑定"), ""),
        (words!("binds: SO_REUSEADDR", "绑定：SO_REUSEADDR"), "+reuseaddr"),
        (words!("binds: SO_REUSEPORT", "绑定：SO_REUSEPORT"), "+reuseport"),
        (words!("connects", "connect"), "+connects"),
        (words!("connects elsewhere", "connect 到别处"), "+connects+elsewhere"),
        (words!("binds and connects", "绑定并 connect"), "+bind-connects"),
        (
            words!("binds and connects: SO_REUSEADDR", "绑定并 connect：SO_REUSEADDR"),
            "+reuseaddr+bind-connects",
        ),
        (
            words!(
                "binds and connects elsewhere: SO_REUSEADDR",
                "绑定并 connect 到别处：SO_REUSEADDR"
            ),
            "+reuseaddr+bind-connects+elsewhere",
        ),
    ];
    Question::of(
        name,
        template,
        states.by(&label("A").has(&options("{a}").some(..3))),
        Axis::new("{b}", &columns),
    )
}

fn connects() -> Question {
    let of_a: Vec<State> =
        State::OF_TCP.iter().copied().filter(|state| !state.is_between()).collect();
    Question::of(
        "connects",
        "tcp/127.0.0.1{a}/{state}/127.0.0.1{b}+connects",
        states(&of_a),
        sides("+reuseaddr"),
    )
}

fn ipv4_clients() -> Question {
    let of_a = [State::Connection, State::Connected, State::FinWait2, State::TimeWait];
    let clients = ["IPv4", "IPv6"].map(|family| say!("client of {family}", "{family} 客户端"));
    let clients = Axis::new("{client}", &[(&*clients[0], "+ipv4-client"), (&*clients[1], "")]);
    let rows = |both: usize| states(&of_a).by(&clients).by(&shared().some(both..=both));
    let places = ["0.0.0.0", "127.0.0.1", "::ffff:127.0.0.1", "::", "::+v6only", "::1"];
    Question::of(
        "ipv4-clients",
        "tcp/::{client}{both}/{state}/{b}{both}",
        rows(0).then(rows(1)),
        addresses("{b}", &places),
    )
}

fn devices(name: &'static str, proto: Proto) -> Question {
    let devices = [
        (words!("no device", "不绑定网络接口"), ""),
        ("lo", "+device-lo"),
        (words!("another", "另一个"), "+device-other"),
    ];
    let of_a = label("A").has(&Axis::new("{a}", &devices));
    let of_state = |state| of_proto(proto, &[state]).by(&shared());
    let rows = match proto {
        Proto::Tcp => of_state(State::Bound)
            .then(of_state(State::Listening))
            .by(&of_a)
            // What arrives here arrives on lo, so no other device has a connection.
            .then(of_state(State::TimeWait).by(&of_a.some(..2))),
        Proto::Udp => of_state(State::Bound).by(&of_a),
    };
    Question::of(
        name,
        &format!("{}/127.0.0.1{{a}}{{both}}/{{state}}/127.0.0.1{{b}}{{both}}", proto.name()),
        rows,
        label("B").has(&Axis::new("{b}", &devices)),
    )
}

fn programs(name: &'static str, proto: Proto) -> Question {
    let moments = [
        (words!("no program", "没有 BPF 程序"), ""),
        (words!("before bind", "bind 之前"), "+program"),
        (words!("after bind", "bind 之后"), "+late-program"),
    ];
    let socket = "127.0.0.1+reuseport";
    Question::of(
        name,
        &format!("{}/{socket}{{a}}/{{state}}/{socket}{{b}}", proto.name()),
        of_proto(proto, &[State::Bound, State::Listening])
            .by(&label("A").has(&Axis::new("{a}", &moments))),
        label("B").has(&Axis::new("{b}", &moments)),
    )
}

/// What a third socket, C, makes of what A and B may do: each row's cell, and the same without C.
fn three() -> Question {
    let rows = labelled! {
        "tcp/127.0.0.1+reuseaddr,127.0.0.1+reuseaddr+reuseport+closed/time-wait/127.0.0.1+reuseport"
            "A SO_REUSEADDR and in TIME_WAIT, C both and closed again, B SO_REUSEPORT: the bucket \
             remembers C (fastreuseport)"
            "A 有 SO_REUSEADDR，处于 TIME_WAIT；C 两个选项都有，绑定后关闭；B 有 SO_REUSEPORT：桶还记着 C（fastreuseport）"
        "tcp/127.0.0.1+reuseaddr,127.0.0.1+reuseaddr+reuseport+closed/time-wait/127.0.0.1+reuseport+other-user"
            "the same, B another user's: C's user is remembered, too"
            "同上，B 属于另一个用户：桶也记着 C 的用户"
        "udp/127.0.0.1+reuseaddr,127.0.0.1+reuseaddr+reuseport+closed/bound/127.0.0.1+reuseport"
            "the same in UDP, where A is bound: it remembers nothing"
            "同上，换成 UDP，A 已绑定：UDP 不保留这样的记录"
        "udp/127.0.0.1+reuseaddr,127.0.0.1+reuseaddr+reuseport/bound/127.0.0.1+reuseport"
            "UDP, C not closed: B shares SO_REUSEPORT with C"
            "UDP，C 没有关闭：B 与 C 都有 SO_REUSEPORT"
        "tcp/127.0.0.1+reuseaddr+reuseport,127.0.0.1+reuseaddr/bound/127.0.0.1+reuseport"
            "A both, C SO_REUSEADDR, B SO_REUSEPORT: B shares nothing with C"
            "A 两个选项都有，C 有 SO_REUSEADDR，B 有 SO_REUSEPORT：B 与 C 没有共同的选项"
        "tcp/127.0.0.1+reuseaddr+reuseport,127.0.0.1+reuseaddr+closed/bound/127.0.0.1+reuseport"
            "the same, C closed again: A and B are compared"
            "同上，C 绑定后关闭：只比较 A 和 B"
        "tcp/127.0.0.1+reuseaddr,127.0.0.2/bound/0.0.0.0+reuseaddr"
            "A SO_REUSEADDR, C none at 127.0.0.2, B SO_REUSEADDR at 0.0.0.0: B meets C, too"
            "A 有 SO_REUSEADDR；C 不带选项，在 127.0.0.2；B 有 SO_REUSEADDR，在 0.0.0.0：B 还要与 C 比较"
        "tcp/127.0.0.1+connects,127.0.0.2/connected/127.0.0.1+connects+elsewhere"
            "A has connected, C binds 127.0.0.2 there, B connects elsewhere: a port that was bound \
             is not for connect"
            "A 已经 connect，C 用这个端口绑定 127.0.0.2，B connect 到别处：绑定过的端口，connect 不选"
        "tcp/127.0.0.1+connects,127.0.0.2+closed/connected/127.0.0.1+connects+elsewhere"
            "the same, C closed again: the port is for connect again"
            "同上，C 绑定后关闭：connect 又能选这个端口"
    };
    let with_and_without = |(label, with): (String, Cell)| {
        let without = Cell { others: Vec::new(), ..with.clone() };
        (label, vec![Some(without), Some(with)])
    };
    Question {
        columns: [words!("without C", "没有 C"), words!("with C", "有 C")]
            .map(str::to_owned)
            .to_vec(),
        rows: rows.into_iter().map(with_and_without).collect(),
        ..Question::of("three", "", Axis(Vec::new()), Axis(Vec::new()))
    }
}

fn udp() -> Question {
    let rows = |state, options: &Axis| states(&[state]).by(&label("A").has(options));
    Question::of(
        "udp",
        "udp/127.0.0.1{a}/{state}/127.0.0.1{b}{user}",
        rows(State::Bound, &options("{a}")).then(rows(State::Closed, &options("{a}").some(..1))),
        users().has(&options("{b}")),
    )
}

fn udp_families() -> [Question; 3] {
    [("udp-families", 0), ("udp-families-reuseaddr", 1), ("udp-families-reuseport", 2)]
        .map(|(name, both)| of_families(name, "udp/{a}{both}/bound/{b}{both}", &UDP_FAMILIES, both))
}

fn udp_connected() -> Question {
    let of_a = [
        (words!("bound to 127.0.0.1, connected", "绑定 127.0.0.1，已 connect"), "127.0.0.1"),
        (words!("bound to 0.0.0.0, connected", "绑定 0.0.0.0，已 connect"), "0.0.0.0"),
        (words!("connected, without bind", "不 bind，已 connect"), "127.0.0.1+connects"),
    ];
    let of_b = [
        (words!("binds 127.0.0.1", "绑定 127.0.0.1"), "127.0.0.1"),
        (words!("binds 127.0.0.2", "绑定 127.0.0.2"), "127.0.0.2"),
        (words!("binds 0.0.0.0", "绑定 0.0.0.0"), "0.0.0.0"),
        (
            words!("binds 127.0.0.1, connects", "绑定 127.0.0.1，然后 connect"),
            "127.0.0.1+bind-connects",
        ),
        (words!("connects", "connect"), "127.0.0.1+connects"),
    ];
    Question::of(
        "udp-connected",
        "udp/{a}{both}/connected/{b}{both}",
        Axis::new("{a}", &of_a).by(&shared()),
        Axis::new("{b}", &of_b),
    )
}

/// The pairs whose addresses overlap, with an option that both have. A second listener needs
/// SO_REUSEPORT.
fn deliveries(
    name: &'static str,
    template: &str,
    places: &[&str],
    to: &[IpAddr],
    both: Axis,
) -> Question {
    let pairs = addresses("{a}", places)
        .product(&addresses("{b}", places), |a, b| say!("A {a}, B {b}", "A {a}，B {b}"));
    let rows = both.by(&pairs).0.into_iter().map(|row| {
        let cell = cell(template, &[&row]);
        (row.label, cell)
    });
    let overlap = |(_, cell): &(String, Cell)| {
        let (a, b) = (cell.a, cell.new);
        (a.takes_ipv4() && b.takes_ipv4()) || (a.takes_ipv6() && b.takes_ipv6())
    };
    let to: Vec<Destination> = to.iter().map(|ip| Destination::new(*ip)).collect();
    Question::receivers(name, rows.filter(overlap).collect(), &to)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("it is an address")
}

fn udp_delivery() -> Question {
    let places = [&IPV4[..], &UDP_FAMILIES[2..]].concat();
    deliveries(
        "udp-delivery",
        "udp/{a}{both}/bound/{b}{both}",
        &places,
        &[
            ip("127.0.0.1"),
            ip("127.0.0.2"),
            BROADCAST.into(),
            GROUP_IPV4.into(),
            ip("::1"),
            ip("fd00::2"),
            GROUP_IPV6.into(),
        ],
        shared().some(1..),
    )
}

fn tcp_delivery() -> Question {
    deliveries(
        "tcp-delivery",
        "tcp/{a}{both}/listening/{b}{both}",
        &[&IPV4[..3], &FAMILIES[2..6]].concat(),
        &["127.0.0.1", "127.0.0.2", "::1", "fd00::2"].map(ip),
        shared().some(2..),
    )
}

/// What beside the address decides who receives: one row each.
fn receivers() -> Question {
    let (local, local6) = (Destination::new(ip("127.0.0.1")), Destination::new(ip("::1")));
    let from = |side| Destination { from: Some(side), ..local };
    let rows = labelled! {
        "udp/127.0.0.1+reuseaddr/bound/127.0.0.1+reuseaddr"
            "UDP, SO_REUSEADDR: the one bound last"
            "UDP，SO_REUSEADDR：最后绑定的那个"
        "udp/127.0.0.1+reuseport/bound/127.0.0.1+reuseport"
            "UDP, SO_REUSEPORT: a hash"
            "UDP，SO_REUSEPORT：按哈希选出"
        "udp/127.0.0.1+reuseport+late-program/bound/127.0.0.1+reuseport"
            "UDP, A's program takes the first"
            "UDP，A 的 BPF 程序总是选第一个"
        "udp/127.0.0.1+reuseaddr/connected/127.0.0.1+reuseaddr"
            "UDP, A is connected"
            "UDP，A 已 connect"
        "udp/0.0.0.0+reuseaddr/connected/127.0.0.1+reuseaddr"
            "UDP, A is connected, after it was bound to 0.0.0.0"
            "UDP，A 先绑定 0.0.0.0，再 connect"
        "udp/127.0.0.1+reuseaddr/bound/127.0.0.1+reuseaddr+bind-connects"
            "UDP, B is connected"
            "UDP，B 已 connect"
        "udp/127.0.0.1+reuseaddr/connected/127.0.0.1+reuseaddr+bind-connects+elsewhere"
            "UDP, both are connected, each to its peer"
            "UDP，双方都已 connect，各有自己的对端"
        "udp/127.0.0.1+device-lo+reuseaddr/bound/127.0.0.1+reuseaddr"
            "UDP, A is bound to lo"
            "UDP，A 绑定 lo"
        "udp/127.0.0.1+reuseaddr/bound/127.0.0.1+device-lo+reuseaddr"
            "UDP, B is bound to lo"
            "UDP，B 绑定 lo"
        "udp/127.0.0.1+device-lo+reuseport/bound/127.0.0.1+reuseport"
            "UDP, SO_REUSEPORT, A is bound to lo"
            "UDP，SO_REUSEPORT，A 绑定 lo"
        "udp/0.0.0.0+device-lo+reuseaddr/bound/127.0.0.1+reuseaddr"
            "UDP, A at 0.0.0.0 is bound to lo, B at 127.0.0.1 is not"
            "UDP，A 在 0.0.0.0 并绑定 lo，B 在 127.0.0.1、不绑定网络接口"
        "udp/0.0.0.0+reuseaddr/bound/::+reuseaddr"
            "UDP, A at 0.0.0.0, B at ::"
            "UDP，A 在 0.0.0.0，B 在 ::"
        "udp/::+reuseaddr/bound/0.0.0.0+reuseaddr"
            "UDP, A at ::, B at 0.0.0.0"
            "UDP，A 在 ::，B 在 0.0.0.0"
        "tcp/127.0.0.1+reuseport/listening/127.0.0.1+reuseport"
            "TCP, SO_REUSEPORT: a hash"
            "TCP，SO_REUSEPORT：按哈希选出"
        "tcp/127.0.0.1+reuseport+late-program/listening/127.0.0.1+reuseport"
            "TCP, A's program takes the first"
            "TCP，A 的 BPF 程序总是选第一个"
        "tcp/127.0.0.1+device-lo+reuseport/listening/127.0.0.1+reuseport"
            "TCP, SO_REUSEPORT, A is bound to lo"
            "TCP，SO_REUSEPORT，A 绑定 lo"
        "tcp/127.0.0.1+reuseport/listening/127.0.0.1+device-lo+reuseport"
            "TCP, SO_REUSEPORT, B is bound to lo"
            "TCP，SO_REUSEPORT，B 绑定 lo"
        "tcp/127.0.0.1+device-lo/listening/127.0.0.1+device-other"
            "TCP, A is bound to lo, B to another device"
            "TCP，A 绑定 lo，B 绑定另一个接口"
        "tcp/0.0.0.0+reuseport/listening/::+reuseport"
            "TCP, A at 0.0.0.0, B at ::"
            "TCP，A 在 0.0.0.0，B 在 ::"
        "tcp/::+reuseport/listening/0.0.0.0+reuseport"
            "TCP, A at ::, B at 0.0.0.0"
            "TCP，A 在 ::，B 在 0.0.0.0"
        "tcp/127.0.0.1/listening/::1"
            "TCP, A at 127.0.0.1, B at ::1: localhost is both"
            "TCP，A 在 127.0.0.1，B 在 ::1：localhost 是这两个地址"
    };
    Question::receivers("receivers", rows, &[local, local6, from(Side::A), from(Side::B)])
}
