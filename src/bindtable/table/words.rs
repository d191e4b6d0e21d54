//! What a reader is told of the table, in both languages: questions, states, rules, reasons and
//! versions. The labels of rows and columns stand beside what they fill in, in
//! [`questions`](super::questions).

use super::cell::State;
use super::predict::History;
use crate::kernel::bind::Rule;
use crate::kernel::receive::{Destination, Reason, Receiver};
use crate::kernel::Proto;
use crate::{say, words};

/// What stands above a question.
pub fn title(question: &str) -> String {
    let proto = if question.starts_with("udp") { "UDP" } else { "TCP" };
    match question {
        "restart" => say!(
            "TCP, IPv4: which side must set SO_REUSEADDR?",
            "TCP，IPv4：哪一方必须设置 SO_REUSEADDR？"
        ),
        "reuseport" => say!(
            "TCP, IPv4: which side must set SO_REUSEPORT?",
            "TCP，IPv4：哪一方必须设置 SO_REUSEPORT？"
        ),
        "options" => say!("TCP, IPv4: the two options together", "TCP，IPv4：两个选项一起用"),
        "addresses" | "udp-addresses" => {
            say!("{proto}, IPv4: which addresses conflict?", "{proto}，IPv4：哪些地址冲突？")
        }
        "ipv6" => say!("TCP, IPv6: the same at ::1", "TCP，IPv6：在 ::1 上也一样"),
        "families" | "udp-families" => {
            say!("{proto}: IPv6 against IPv4, no option", "{proto}：IPv6 与 IPv4，不带选项")
        }
        "families-reuseaddr" => {
            say!("TCP: both SO_REUSEADDR, A bound", "TCP：双方都有 SO_REUSEADDR，A 已绑定")
        }
        "families-listening" => {
            say!("TCP: both SO_REUSEADDR, A in LISTEN", "TCP：双方都有 SO_REUSEADDR，A 处于 LISTEN")
        }
        "families-reuseport" => {
            say!("TCP: both SO_REUSEPORT, A in LISTEN", "TCP：双方都有 SO_REUSEPORT，A 处于 LISTEN")
        }
        "users" => say!("TCP, IPv4: does the user matter?", "TCP，IPv4：与用户有关吗？"),
        "moments" | "udp-moments" => {
            say!("{proto}, IPv4: when is the option set?", "{proto}，IPv4：什么时候设置选项？")
        }
        "exhausted" | "udp-exhausted" => say!(
            "{proto}, IPv4: B asks for any port, and none is left",
            "{proto}，IPv4：B 绑定端口 0，而端口已经用完"
        ),
        "clients" => say!(
            "TCP, IPv4: A has connected, and connect has chosen its port",
            "TCP，IPv4：A 是客户端，端口由 connect 选定"
        ),
        "bound-clients" => say!(
            "TCP, IPv4: A has bound its port and connected",
            "TCP，IPv4：A 是绑定过端口的客户端"
        ),
        "connects" => say!(
            "TCP, IPv4: B connects, and the only port left is A's",
            "TCP，IPv4：B 是客户端，只剩 A 的端口可用"
        ),
        "ipv4-clients" => say!(
            "TCP: a connection of IPv4 on a listener at ::",
            "TCP：监听套接字在 ::，连接是 IPv4 的"
        ),
        "devices" | "udp-devices" => say!(
            "{proto}, IPv4: sockets bound to a device",
            "{proto}，IPv4：绑定了网络接口的套接字"
        ),
        "programs" | "udp-programs" => say!(
            "{proto}, IPv4: SO_REUSEPORT with a program",
            "{proto}，IPv4：SO_REUSEPORT，挂了 BPF 程序"
        ),
        "three" => say!("A third socket, C, between A and B", "A 与 B 之间还有第三个套接字 C"),
        "udp" => say!(
            "UDP, IPv4: which side must set which option?",
            "UDP，IPv4：哪一方必须设置哪个选项？"
        ),
        "udp-families-reuseaddr" => say!("UDP: both SO_REUSEADDR", "UDP：双方都有 SO_REUSEADDR"),
        "udp-families-reuseport" => say!("UDP: both SO_REUSEPORT", "UDP：双方都有 SO_REUSEPORT"),
        "udp-groups" => say!("UDP: both bound to a group", "UDP：双方都绑定多播组地址"),
        "udp-connected" => {
            say!("UDP, IPv4: A is connected to a peer", "UDP，IPv4：A 已经 connect 到对端")
        }
        "receivers" => say!(
            "Who receives, and who accepts? What decides beside the address",
            "谁收到数据报，谁 accept 连接？除了地址，还由什么决定？"
        ),
        "udp-delivery" => say!("UDP: who receives?", "UDP：谁收到？"),
        "tcp-delivery" => say!("TCP: who accepts?", "TCP：谁 accept？"),
        _ => panic!("{question} has no title"),
    }
}

/// A sentence or two on what is in it.
pub fn note(question: &str) -> &'static str {
    match question {
        "restart" => words!(
            "A is at 127.0.0.1 in the state of the row; B binds the same address and port, and \
             listens. The column says who has the option. The row TIME_WAIT is the restart of a \
             server.",
            "A 在 127.0.0.1，处于行首所列的状态；B 绑定同一地址和端口，然后监听。列：哪一方设置了选项。TIME_WAIT 那一行就是重启服务器的情形。"
        ),
        "reuseport" => words!("As before, for the other option.", "同上，换成 SO_REUSEPORT。"),
        "options" => words!(
            "Both at 127.0.0.1. Rows: A's options; columns: B's.",
            "双方都在 127.0.0.1。行：A 的选项；列：B 的选项。"
        ),
        "addresses" => words!(
            "Rows: A's address; columns: B's. A connection of a listener at 0.0.0.0 is at \
             127.0.0.1, where its client connected to.",
            "行：A 的地址；列：B 的地址。监听套接字在 0.0.0.0 时，它的连接在 127.0.0.1，因为客户端连的是这个地址。"
        ),
        "ipv6" => words!("The rule is one for both families.", "两个地址族的规则相同。"),
        "families" | "families-reuseaddr" | "families-listening" | "families-reuseport" => words!(
            "+v6only: with IPV6_V6ONLY. ::ffff:127.0.0.1 is IPv4's address on a socket of \
             IPv6. Rows: A's address; columns: B's.",
            "+v6only：设置了 IPV6_V6ONLY。::ffff:127.0.0.1 是 IPv6 套接字上的 IPv4 地址。行：A 的地址；列：B 的地址。"
        ),
        "users" => words!(
            "A and B have the same options, those of the column. FIN_WAIT2 and TIME_WAIT are records \
             without a user.",
            "A 和 B 都设置列首所列的选项。FIN_WAIT2 和 TIME_WAIT 只是记录，没有用户。"
        ),
        "udp-moments" => words!(
            "Both at 127.0.0.1, both set the option of the column.",
            "双方都在 127.0.0.1，都设置列首所列的选项。"
        ),
        "moments" => words!(
            "Both at 127.0.0.1, both set the option of the column. A's 'after bind' comes before \
             it listens.",
            "双方都在 127.0.0.1，都设置列首所列的选项。A 在“bind 之后”设置时，还没有监听。"
        ),
        "exhausted" => words!(
            "ip_local_port_range has one port, A's. ip_autobind_reuse is 0 unless changed. Both at 127.0.0.1.",
            "ip_local_port_range 只有一个端口，就是 A 的。ip_autobind_reuse 默认为 0。双方都在 127.0.0.1。"
        ),
        "clients" => words!(
            "A is a client's socket at 127.0.0.1, without bind. B comes to A's port: it binds and \
             listens; or it connects, and this port is the only one left; or it binds and connects. \
             'elsewhere' is another server than A's.",
            "A 是客户端的套接字，在 127.0.0.1，没有调用过 bind。B 也要用 A 的端口：绑定并监听；或者调用 connect，而可用的端口只剩这一个；或者绑定之后 connect。“别处”指 A 没有连接的另一个服务器。"
        ),
        "bound-clients" => words!(
            "As before, but A has bound the port before it connected.",
            "同上，但是 A 先绑定了端口，再调用 connect。"
        ),
        "connects" => words!(
            "A is a server's socket. ip_local_port_range has one port, A's.",
            "A 是服务器的套接字。ip_local_port_range 只有一个端口，就是 A 的。"
        ),
        "ipv4-clients" => words!(
            "A listens at ::. Its connection has the address to which the client connected: \
             ::ffff:127.0.0.1, or ::1. Columns: B's address.",
            "A 在 :: 上监听。它的连接在客户端所连的地址上：::ffff:127.0.0.1 或 ::1。列：B 的地址。"
        ),
        "devices" | "udp-devices" => words!(
            "Both at 127.0.0.1; SO_BINDTODEVICE before bind. Columns: B's device.",
            "双方都在 127.0.0.1；bind 之前设置 SO_BINDTODEVICE。列：B 的网络接口。"
        ),
        "programs" | "udp-programs" => words!(
            "Both at 127.0.0.1, with SO_REUSEPORT; the program of a group \
             (SO_ATTACH_REUSEPORT_CBPF) is attached before bind, or after it.",
            "双方都在 127.0.0.1，都有 SO_REUSEPORT；reuseport 组的 BPF 程序用 SO_ATTACH_REUSEPORT_CBPF 挂上，在 bind 之前或者之后。"
        ),
        "three" => words!(
            "C binds the same port after A, and before B comes. At 127.0.0.1, unless it says so.",
            "C 在 A 之后、B 之前绑定同一个端口。没有写明地址的，都在 127.0.0.1。"
        ),
        "udp" => words!(
            "Both at 127.0.0.1. Rows: A's options; columns: B's user and options.",
            "双方都在 127.0.0.1。行：A 的选项；列：B 的用户和选项。"
        ),
        "udp-addresses" => words!(
            "239.1.2.3 is a multicast group. Rows: A's address; columns: B's.",
            "239.1.2.3 是多播组。行：A 的地址；列：B 的地址。"
        ),
        "udp-families" | "udp-families-reuseaddr" | "udp-families-reuseport" => words!(
            "ff0e::123 is a multicast group. Rows: A's address; columns: B's.",
            "ff0e::123 是多播组。行：A 的地址；列：B 的地址。"
        ),
        "udp-groups" => words!(
            "The option that both need is the same as for any other address.",
            "双方需要的选项，与绑定其他地址时相同。"
        ),
        "udp-connected" => words!(
            "A socket bound to 0.0.0.0 that connects has one address from then on. A B that \
             connects without bind asks for a port before it has an address, and only A's is \
             left.",
            "绑定 0.0.0.0 的套接字在 connect 之后，本地地址变成一个具体地址。如果 B 不 bind 就 connect，内核在 B 有地址之前先给它选端口，而可用的端口只剩 A 的。"
        ),
        "udp-exhausted" => words!(
            "ip_local_port_range has one port, A's. With an option that both have, bind to port 0 \
             hands out a port that is in use.",
            "ip_local_port_range 只有一个端口，就是 A 的。双方有共同的选项时，bind 端口 0 会分配到正在使用的端口。"
        ),
        "receivers" => words!(
            "A and B are at 127.0.0.1, unless it says so; B came last. The column is where a \
             datagram is sent to, or a client connects to; 'spread': one of them, by a hash of \
             the sender's address and port.",
            "没有写明地址的，A 和 B 都在 127.0.0.1；B 后绑定。列：数据报发往的地址，或者客户端连接的地址。“分散”：按发送者地址和端口的哈希选出其中一个。"
        ),
        "udp-delivery" => words!(
            "The pairs that bind with an option that they share. Both are members of the group, and B came last. The column is \
             where the datagram is sent to: unicast, broadcast (127.255.255.255), multicast. 'spread': \
             one of them, by a hash of the sender's address and port.",
            "这里列出靠共同的选项才能并存的组合。双方都加入了多播组，B 后绑定。列：数据报发往的地址，有单播、广播（127.255.255.255）和多播。“分散”：按发送者地址和端口的哈希选出其中一个。"
        ),
        "tcp-delivery" => words!(
            "The pairs of listeners that there may be. The column is where the client connects to. \
             'spread': one of them, by a hash of the client's address and port.",
            "这里列出能够并存的两个监听套接字。列：客户端连接的地址。“分散”：按客户端地址和端口的哈希选出其中一个。"
        ),
        _ => panic!("{question} has no note"),
    }
}

/// What stands at the head of its rows.
pub fn corner(question: &str) -> &'static str {
    match question {
        "restart" | "reuseport" | "ipv6" | "users" | "connects" => words!("A's state", "A 的状态"),
        "options" | "exhausted" | "clients" | "bound-clients" | "udp" => {
            words!("A's state and options", "A 的状态和选项")
        }
        "addresses" => words!("A's state, options, A's address", "A 的状态、选项、A 的地址"),
        "families"
        | "families-reuseaddr"
        | "families-listening"
        | "families-reuseport"
        | "udp-families"
        | "udp-families-reuseaddr"
        | "udp-families-reuseport" => words!("A's address", "A 的地址"),
        "moments" | "udp-moments" => {
            words!("A's state, and when A sets it", "A 的状态、A 何时设置")
        }
        "ipv4-clients" => words!("A's state, its client, options", "A 的状态、A 的客户端、选项"),
        "devices" | "udp-devices" => {
            words!("A's state, options, A's device", "A 的状态、选项、A 的网络接口")
        }
        "programs" | "udp-programs" => {
            words!("A's state, and when A attaches", "A 的状态、A 何时挂上 BPF 程序")
        }
        "three" => words!("A, C, B, and why", "A、C、B，以及原因"),
        "udp-addresses" => words!("options, A's address", "选项、A 的地址"),
        "udp-groups" => words!("group, A's options", "多播组、A 的选项"),
        "udp-connected" => words!("A, options", "A、选项"),
        "udp-exhausted" => words!("A's options", "A 的选项"),
        "receivers" => words!("what decides", "由什么决定"),
        "udp-delivery" | "tcp-delivery" => words!("options, addresses", "选项、地址"),
        _ => panic!("{question} has no corner"),
    }
}

/// The function of the kernel that decides, and its condition.
pub fn rule(rule: Rule, proto: Proto) -> (&'static str, &'static str) {
    (function(rule, proto), condition(rule, proto))
}

fn function(rule: Rule, proto: Proto) -> &'static str {
    use Proto::{Tcp, Udp};
    use Rule as R;
    match (rule, proto) {
        (R::Empty, Udp) => "udp_lib_get_port, net/ipv4/udp.c",
        (R::Empty | R::FastReuse, _) => "inet_csk_get_port, net/ipv4/inet_connection_sock.c",
        (R::FastReusePort, _) => "sk_reuseport_match, net/ipv4/inet_connection_sock.c",
        (R::OtherAddress, _) => "inet_rcv_saddr_equal, net/ipv4/inet_connection_sock.c",
        (
            R::OtherDevice
            | R::BothReuse
            | R::BothReusePort
            | R::NoOption
            | R::OtherUser
            | R::Program,
            Udp,
        ) => "udp_lib_lport_inuse, net/ipv4/udp.c",
        (R::BothReuse | R::BothReusePort | R::NoOption | R::OtherUser | R::Program, Tcp)
        | (R::OtherDevice | R::ReusePortTimeWait | R::Listens, _) => {
            "inet_bind_conflict, net/ipv4/inet_connection_sock.c"
        }
        (R::LastPort | R::LastPortOnlyRound | R::LastPortReusePort, _) => {
            "inet_csk_find_open_port, net/ipv4/inet_connection_sock.c"
        }
        (R::ConnectFree | R::ConnectBound, _) => "__inet_hash_connect, net/ipv4/inet_hashtables.c",
        (R::ConnectOtherPeer | R::ConnectSamePeer, _) => {
            "__inet_check_established, net/ipv4/inet_hashtables.c"
        }
        (R::ConnectTimeWait, _) => "tcp_twsk_unique, net/ipv4/tcp_ipv4.c",
        (R::NotOnDevice | R::NoScope, _) => "__inet6_bind, net/ipv6/af_inet6.c",
        (R::Broadcast, Tcp) => "tcp_v4_connect, net/ipv4/tcp_ipv4.c",
        (R::Broadcast, Udp) => "__ip4_datagram_connect, net/ipv4/datagram.c",
    }
}

fn condition(rule: Rule, proto: Proto) -> &'static str {
    match rule {
        Rule::Empty => words!(
            "the port has no owner: there is nothing to compare",
            "端口上没有套接字，无须比较"
        ),
        Rule::FastReuse => words!(
            "before Linux 6.8: the port's bucket remembers (fastreuse) that every owner had \
             SO_REUSEADDR and none has listened; the new socket has it, too: nobody is compared",
            "Linux 6.8 之前：端口上的套接字都有 SO_REUSEADDR，也都没有监听过，端口的桶用 fastreuse 记下了这一点；新套接字也有 SO_REUSEADDR，于是跳过比较"
        ),
        Rule::FastReusePort => words!(
            "the port's bucket remembers (fastreuseport) the user and the address of the last \
             socket that was compared, if that had SO_REUSEPORT; the new socket has the option, \
             the user and a covered address: nobody is compared",
            "如果最后一个比较过的套接字有 SO_REUSEPORT，端口的桶就用 fastreuseport 记下它的用户和地址；新套接字也有 SO_REUSEPORT，用户相同，地址又被记下的地址涵盖，于是跳过比较"
        ),
        Rule::OtherAddress => words!(
            "no owner of the port has the address, and neither is the wildcard's",
            "端口上的套接字都不在这个地址上，双方也都没有绑定通配地址"
        ),
        Rule::OtherDevice => words!(
            "both are bound to a device, each to another",
            "双方都绑定了网络接口，而且不是同一个"
        ),
        Rule::BothReuse if proto == Proto::Udp => {
            words!("both have SO_REUSEADDR", "双方都有 SO_REUSEADDR")
        }
        Rule::BothReuse => words!(
            "both have SO_REUSEADDR, and the old one is not in state LISTEN",
            "双方都有 SO_REUSEADDR，并且旧套接字不在 LISTEN 状态"
        ),
        Rule::BothReusePort => words!(
            "both have SO_REUSEPORT, and the same user",
            "双方都有 SO_REUSEPORT，并且用户相同"
        ),
        Rule::ReusePortTimeWait => words!(
            "both have SO_REUSEPORT, and the old one is a TIME_WAIT's record, which has no user",
            "双方都有 SO_REUSEPORT，旧套接字只剩 TIME_WAIT 的记录，没有用户"
        ),
        Rule::Listens => words!(
            "both have SO_REUSEADDR, but the old one is in state LISTEN, and they do not both \
             have SO_REUSEPORT",
            "双方都有 SO_REUSEADDR，但是旧套接字在 LISTEN 状态，而且不是双方都有 SO_REUSEPORT"
        ),
        Rule::NoOption => words!(
            "the addresses conflict, and the two have no option in common",
            "地址冲突，双方没有共同的选项"
        ),
        Rule::OtherUser => words!(
            "both have SO_REUSEPORT, but they are different users'",
            "双方都有 SO_REUSEPORT，但是用户不同"
        ),
        Rule::Program => words!(
            "both have SO_REUSEPORT, but the new one has a group of its own: its program was \
             attached before bind",
            "双方都有 SO_REUSEPORT，但是新套接字在 bind 之前就挂上了 BPF 程序，自成一个 reuseport 组"
        ),
        Rule::LastPort => words!(
            "every port has an owner; in the second round (ip_autobind_reuse) it is enough \
             that both have SO_REUSEADDR and the owner is not in state LISTEN",
            "所有端口都被占用；第二轮查找（ip_autobind_reuse）里，只要双方都有 SO_REUSEADDR、旧套接字不在 LISTEN 状态，就能共用"
        ),
        Rule::LastPortOnlyRound => words!(
            "every port has an owner, and there is no second round: ip_autobind_reuse is 0",
            "所有端口都被占用，也没有第二轮查找：ip_autobind_reuse 是 0"
        ),
        Rule::LastPortReusePort => words!(
            "every port has an owner, and no second round helps: not both have SO_REUSEADDR, \
             or both have SO_REUSEPORT, too, and the same user",
            "所有端口都被占用，第二轮查找也没有用：要么不是双方都有 SO_REUSEADDR；要么双方除了 SO_REUSEADDR，又都有 SO_REUSEPORT，而且用户相同"
        ),
        Rule::ConnectFree => words!("the port has no owner", "端口上没有套接字"),
        Rule::ConnectOtherPeer => words!(
            "the owner has its port by connect, too, and no connection has the same two \
             addresses and ports",
            "旧套接字的端口也是由 connect 选定的，而且没有四元组相同的连接"
        ),
        Rule::ConnectSamePeer => words!(
            "a connection has the same two addresses and ports",
            "已经有一条四元组相同的连接"
        ),
        Rule::ConnectTimeWait => words!(
            "the connection with the same two addresses and ports is a TIME_WAIT's record, with \
             timestamps, and the port was named by bind: it takes the record's place",
            "四元组相同的连接只剩 TIME_WAIT 的记录，带有时间戳，而且新套接字的端口由 bind 指定：新连接取代这条记录"
        ),
        Rule::NotOnDevice => words!(
            "the socket is bound to a device, and the address, which has the scope of this host, is on another",
            "套接字绑定了一个网络接口，而地址（作用域限于本机）在另一个接口上"
        ),
        Rule::NoScope => words!(
            "a group of an interface or of a link needs a device",
            "作用域为接口本地或链路本地的多播组，必须指明网络接口"
        ),
        Rule::Broadcast => words!(
            "the address is a broadcast address, and the socket has no SO_BROADCAST",
            "这是广播地址，而套接字没有 SO_BROADCAST"
        ),
        Rule::ConnectBound => words!(
            "the only port that there is has an owner by bind: connect takes none that was bound",
            "只剩一个端口，而它是用 bind 绑定的：connect 不选这样的端口"
        ),
    }
}

/// What stands above the tables.
pub fn legend() -> &'static str {
    words!(
        "Socket A is there first, then socket B comes. ✓ B can bind (TCP: and listen). ✗ B cannot: \
         the cell gives the error, and the failing call if it was not bind. – The cell was not tried \
         here.",
        "端口已被套接字 A 占用，套接字 B 再来绑定。✓ 表示 B 能绑定（TCP 还要能监听）。✗ 表示 B 不能，\
         后面是错误；失败的如果不是 bind，还写出是哪个调用。– 表示这一格没有试。"
    )
}

/// What the cells of a document have in addition.
pub fn numbers() -> &'static str {
    words!(
        " A cell without an error has EADDRINUSE. The number is that of the rule that decides; 0 if \
         the kernel did not do what the rules predict.",
        "格子里只有 ✗ 和编号的，错误都是 EADDRINUSE。编号指起决定作用的那条规则；内核的结果与规则的预测不同，编号就是 0。"
    )
}

/// When the verdict was another; empty if it has always been the same.
pub fn history(history: &History) -> Vec<String> {
    let mut changes = match history.eras[..] {
        [_] => Vec::new(),
        [(_, before), (start, _)] => vec![say!(
            "since {start}; before: {before}",
            "从 {start} 起；之前：{before}",
            before = before.name()
        )],
        _ => history
            .eras
            .iter()
            .map(|(start, verdict)| {
                say!("since {start}: {is}", "从 {start} 起：{is}", is = verdict.name())
            })
            .collect(),
    };
    if history.is_other_in_half {
        changes.push(say!(
            "another in two stable series: docs/kernels.md, the second reason",
            "在两个稳定版系列里不同：见 docs/kernels.md，第二个变化"
        ));
    }
    changes
}

/// Where is sent to, and perhaps by whom.
pub fn destination(to: Destination) -> String {
    match to.from {
        None => to.to_string(),
        Some(side) => say!("{ip} from {side:?}'s peer", "{ip}，来自 {side:?} 的对端", ip = to.ip),
    }
}

/// Who receives.
pub fn receiver(who: Receiver) -> &'static str {
    match who {
        Receiver::Both => words!("both", "都收到"),
        Receiver::Spread => words!("spread", "分散"),
        Receiver::Nobody => words!("nobody", "都收不到"),
        side => side.name(),
    }
}

/// Why.
pub fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Copies => words!(
            "each socket whose address and group it is gets a copy",
            "地址和多播组都相符的套接字才收到，各收一份"
        ),
        Reason::Program => {
            words!("the group's program takes the first", "reuseport 组的 BPF 程序总是选第一个")
        }
        Reason::Hash => words!(
            "a hash of both addresses and ports chooses in the group",
            "在 reuseport 组里，按四元组的哈希选出"
        ),
        Reason::Connected => words!(
            "a connected socket gets all that its peer sends",
            "已经 connect 的套接字收下对端发来的全部数据报"
        ),
        Reason::FirstOfGroup => words!(
            "the first of a group ends the search",
            "找到 reuseport 组里的第一个套接字，查找就结束"
        ),
        Reason::Device => {
            words!("a socket that is bound to the device wins", "绑定了这个网络接口的套接字优先")
        }
        Reason::Family => {
            words!("for IPv4 a socket of IPv4 comes first", "发来的是 IPv4，所以 IPv4 套接字优先")
        }
        Reason::FirstInList => {
            words!("of equals, the one that comes first in the list", "条件相同，选列表里的第一个")
        }
        Reason::OwnAddress => {
            words!("its address is the one that is sent to", "它的地址正是目的地址")
        }
        Reason::Wildcard => words!("nobody has the address itself", "没有套接字绑定这个具体地址"),
        Reason::Nobody => words!(
            "neither has the address, the device or the peer",
            "双方的地址、网络接口和对端都不符合"
        ),
    }
}

impl State {
    /// As a table shows it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Bound => words!("bound", "已绑定"),
            Self::Between => words!("bound, listens before B listens", "已绑定，抢在 B 之前监听"),
            Self::Listening => "LISTEN",
            Self::ShutDown => {
                words!("listener after shutdown(SHUT_RD)", "shutdown(SHUT_RD) 之后的监听套接字")
            }
            Self::Connection => words!("LISTEN and ESTABLISHED", "LISTEN 和 ESTABLISHED"),
            Self::Connected => {
                words!("ESTABLISHED, listener closed", "ESTABLISHED，监听套接字已关闭")
            }
            Self::FinWait1 => words!("FIN_WAIT1, closed", "FIN_WAIT1，已关闭"),
            Self::HalfClosed => words!("FIN_WAIT2, not closed", "FIN_WAIT2，未关闭"),
            Self::FinWait2 => "FIN_WAIT2",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
            Self::Closed => words!("closed", "已关闭"),
            Self::Exhausted => words!("bound to the last port", "绑定了最后一个端口"),
            Self::ExhaustedReuse0 => {
                words!("last port, ip_autobind_reuse 0", "最后一个端口，ip_autobind_reuse 为 0")
            }
            Self::ExhaustedReuse1 => {
                words!("last port, ip_autobind_reuse 1", "最后一个端口，ip_autobind_reuse 为 1")
            }
            Self::ExhaustedReuse1Between => words!(
                "last port, ip_autobind_reuse 1, listens before B listens",
                "最后一个端口，ip_autobind_reuse 为 1，抢在 B 之前监听"
            ),
        }
    }

    /// What `--help` says of it.
    pub fn about(self) -> &'static str {
        match self {
            Self::Bound => words!("bound, and nothing more", "只绑定，没有监听"),
            Self::Between => words!(
                "bound, and A listens between B's bind and B's listen",
                "已绑定；在 B 的 bind 与 listen 之间，A 开始监听"
            ),
            Self::Listening => "LISTEN",
            Self::ShutDown => words!(
                "a listener after shutdown(SHUT_RD): bound still, not in LISTEN",
                "shutdown(SHUT_RD) 之后的监听套接字：仍然绑定，但不处于 LISTEN"
            ),
            Self::Connection => {
                words!("LISTEN, and one connection is accepted", "LISTEN，并且已经 accept 一条连接")
            }
            Self::Connected => words!(
                "ESTABLISHED, the listener closed; UDP: connected to a peer",
                "ESTABLISHED，监听套接字已关闭；UDP：已经 connect 到对端"
            ),
            Self::FinWait1 => words!(
                "FIN_WAIT1: A has closed, and nobody acknowledges it",
                "FIN_WAIT1：A 已关闭，它的 FIN 没有得到确认"
            ),
            Self::HalfClosed => words!(
                "FIN_WAIT2 by shutdown(SHUT_WR): A's descriptor is open",
                "FIN_WAIT2，由 shutdown(SHUT_WR) 引起：A 的文件描述符没有关闭"
            ),
            Self::FinWait2 => words!("FIN_WAIT2: A has closed", "FIN_WAIT2：A 已关闭"),
            Self::CloseWait => {
                words!("CLOSE_WAIT: A's peer has closed", "CLOSE_WAIT：A 的对端已关闭")
            }
            Self::LastAck => words!(
                "LAST_ACK: the peer has closed first, then A has shut down",
                "LAST_ACK：对端先关闭，A 随后也 shutdown"
            ),
            Self::TimeWait => "TIME_WAIT",
            Self::Closed => words!("closed, and nothing is left", "已关闭，什么也没有留下"),
            Self::Exhausted => words!(
                "UDP: A has the last port; B asks for any (port 0)",
                "UDP：A 占用最后一个端口；B 绑定端口 0"
            ),
            Self::ExhaustedReuse0 => words!(
                "TCP: the same; the sysctl ip_autobind_reuse is 0",
                "TCP：同上；sysctl ip_autobind_reuse 为 0"
            ),
            Self::ExhaustedReuse1 => words!(
                "TCP: the same; the sysctl ip_autobind_reuse is 1",
                "TCP：同上；sysctl ip_autobind_reuse 为 1"
            ),
            Self::ExhaustedReuse1Between => words!(
                "as before, and as `between`",
                "同上；在 B 的 bind 与 listen 之间，A 开始监听"
            ),
        }
    }
}
