//! Every sentence that `bindtable port` says to its reader, in each language, and nothing else.

use super::refusals::{CAP_NET_BIND_SERVICE, has_capability};
use super::holders::{Holder, Resists};
use super::finding::{
    Can, Candidate, Case, Engine, Finding, Help, IfStill, InKernel, Nobody, ServerOption, Socket,
    Status, Unseen, User, Verdict, Who, Why, error_name,
};
use super::print::whole;
use super::range::{Left, RangeFinding, RangeHelp};
use super::target::{self, Question, Target};
use crate::kernel::Proto;
use crate::sockets::State;
use crate::{say, words};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

// What is wrong with the question.

pub(super) fn port_too_large(port: &str) -> String {
    say!("port {port} is too large: ports end at 65535", "端口 {port} 太大：最大的端口号是 65535")
}

pub(super) fn no_port(text: &str) -> String {
    say!(
        "'{text}' is neither PORT nor ADDRESS:PORT: write 3459, 127.0.0.1:3459 or [::1]:3459",
        "“{text}”既不是端口，也不是“地址:端口”：请写成 3459、127.0.0.1:3459 或 [::1]:3459"
    )
}

pub(super) fn only_address(text: &str) -> String {
    say!(
        "'{text}' is an address without a port: write 127.0.0.1:3459 or [::1]:3459",
        "“{text}”只有地址，没有端口：请写成 127.0.0.1:3459 或 [::1]:3459"
    )
}

pub(super) fn no_probe_of_a_range() -> String {
    say!(
        "port 0 takes no --probe: the ports of a range are counted, and not tried",
        "端口 0 不能加 --probe：只统计范围里的端口，不逐个试绑定"
    )
}

pub(super) fn no_address(host: &str) -> String {
    say!(
        "'{host}' is neither an IPv4 nor an IPv6 address: write 127.0.0.1:3459 or [::1]:3459",
        "“{host}”既不是 IPv4 地址，也不是 IPv6 地址：请写成 127.0.0.1:3459 或 [::1]:3459"
    )
}

pub(super) fn no_interface(name: &str) -> String {
    say!("'{name}' is no network interface of this machine", "本机没有名为“{name}”的网络接口")
}

pub(super) fn nothing_to_read(diag: &io::Error, proc: &io::Error) -> String {
    no_sock_diag(diag) + &say!("; /proc/net: {proc}", "；/proc/net：{proc}")
}

pub(super) fn no_sock_diag(error: &io::Error) -> String {
    say!(
        "the kernel does not list its sockets: sock_diag: {error}",
        "读不到套接字列表：sock_diag：{error}"
    )
}

pub(super) fn no_descriptor(error: &io::Error) -> String {
    say!(
        "no more descriptors are to be had: {error}. Raise the limit, as with ulimit -n 64",
        "文件描述符用完了：{error}。请提高上限，例如 ulimit -n 64"
    )
}

/// Said of the real binds, and why there are any.
pub fn probing(finding: &Finding) -> String {
    let why = match finding.unseen.contains(&Unseen::Bound) {
        true => words!("This kernel does not list every socket", "这个内核列不出全部套接字"),
        false => "--probe",
    };
    say!(
        "{why}: what the lists leave open is found by a real bind of port {port}, closed at once. It \
         takes the port for that moment.",
        "{why}：列表不能确定的答案，用真正的 bind 在端口 {port} 上试出，套接字随即关闭。\
         试的那一瞬间，端口会被占用。",
        port = finding.question.target.port
    )
}

// The answer.

/// The whole answer in one sentence.
pub(super) fn answer(finding: &Finding) -> String {
    let Question { target, proto, .. } = &finding.question;
    let (protocol, port) = (proto.name().to_uppercase(), target.port);
    let what = match target.ip {
        None => say!("{protocol} port {port}", "{protocol} 端口 {port} "),
        Some(_) => say!("{protocol} {target}", "{protocol} {target} "),
    };
    let sockets: Vec<&Socket> = finding.in_the_way.iter().map(|at| &finding.sockets[*at]).collect();
    let Some(first) = sockets.iter().min_by_key(|socket| weight(socket)) else {
        return match finding.status {
            Status::Free if target.ip.is_some() && !finding.sockets.is_empty() => say!(
                "{what} is free: the sockets on this port have other addresses.{but}",
                "{what}空闲：这个端口上的套接字绑定的是别的地址。{but}",
                but = but(finding)
            ),
            Status::Free => say!(
                "{what} is free: no socket in this network namespace has it.{but}",
                "{what}空闲：本网络命名空间里没有套接字占用它。{but}",
                but = but(finding)
            ),
            Status::InUse => say!(
                "{what} is in use: bind is refused, and no socket that the kernel lists is the reason.",
                "{what}被占用：bind 被拒绝，但不是内核列出的任何套接字造成的。"
            ),
        };
    };
    let others = match sockets.len() - 1 {
        0 => String::new(),
        1 => say!(" One more socket has the port.", "还有 1 个套接字也占用这个端口。"),
        count => {
            say!(" {count} more sockets have the port.", "还有 {count} 个套接字也占用这个端口。")
        }
    };
    say!(
        "{what} is in use: {holds}.{others}",
        "{what}被占用：{holds}。{others}",
        holds = holds(first, finding)
    )
}

/// What keeps a server from a port that nobody has.
fn but(finding: &Finding) -> String {
    let is = |wanted: Why| {
        let mut verdicts = finding
            .verdicts
            .iter()
            .filter(|verdict| finding.question.target.ip.is_none_or(|ip| ip == verdict.address));
        verdicts.any(|verdict| verdict.why == Some(wanted))
    };
    let user = user(&finding.question.user);
    if is(Why::NotThisMachine) {
        say!(
            " But the address is not one of this machine, so bind fails with EADDRNOTAVAIL.",
            "但这个地址不属于本机，bind 会返回 EADDRNOTAVAIL。"
        )
    } else if is(Why::Tentative) {
        say!(
            " But the address is still tentative, so bind fails with EADDRNOTAVAIL.",
            "但这个地址还处于 tentative 状态，bind 会返回 EADDRNOTAVAIL。"
        )
    } else if is(Why::OtherInterface) {
        say!(
            " But another interface has the address, so bind fails with EADDRNOTAVAIL.",
            "但这个地址属于另一个网络接口，bind 会返回 EADDRNOTAVAIL。"
        )
    } else if is(Why::Policy) {
        say!(" But a policy refuses it: bind fails.", "但有策略不允许绑定，bind 会失败。")
    } else if is(Why::Privileged) {
        say!(
            " But user {user} may not bind it: bind fails with EACCES.",
            "但 bind 会返回 EACCES：绑定它需要特权，而当前用户是 {user}。"
        )
    } else {
        String::new()
    }
}

/// Which socket the first sentence is about: a listener if there is any.
pub(super) fn weight(socket: &Socket) -> u8 {
    match socket.state {
        State::Listen => 0,
        State::Bound => 1,
        _ if socket.record => 4,
        _ if socket.has_inode => 2,
        _ => 3,
    }
}

/// Who has a socket that no process has shown.
fn nobody(finding: &Finding) -> &'static str {
    match finding.nobody() {
        Nobody::Either => {
            words!("the kernel, or a process that cannot be seen,", "内核或者某个看不到的进程")
        }
        Nobody::Unseen => words!("a process that cannot be seen", "一个看不到的进程"),
        Nobody::Outside => words!(
            "the kernel, or a process of another PID namespace,",
            "内核或者另一个 PID 命名空间里的进程"
        ),
        Nobody::Kernel => words!("the kernel", "内核"),
    }
}

fn holds(socket: &Socket, finding: &Finding) -> String {
    let (address, state) = (place(socket), socket.state.name());
    let who = match &socket.processes[..] {
        [] if socket.record => return record(socket),
        [] if socket.has_inode => nobody(finding).to_owned(),
        [] => {
            return say!(
                "the kernel holds a connection of {address} that no process has, in {state}",
                "{address} 有一条连接处于 {state}，只在内核里，不属于任何进程"
            );
        }
        [holder] => named(holder),
        holders => {
            let names: BTreeSet<String> = holders.iter().map(|it| it.name.to_string()).collect();
            let names: Vec<String> = names.into_iter().collect();
            say!(
                "processes {pids} ({names})",
                "进程 {pids}（{names}）",
                pids = list(holders.iter().map(|holder| holder.pid)),
                names = names.join(words!(", ", "、"))
            )
        }
    };
    let several = socket.processes.len() > 1;
    match (socket.state, socket.peer) {
        (State::Listen, _) if several => {
            say!("{who} listen on {address}", "{who}正在监听 {address}")
        }
        (State::Listen, _) => say!("{who} listens on {address}", "{who}正在监听 {address}"),
        (State::Bound, _) if several => {
            say!("{who} have bound {address}", "{who}绑定了 {address}")
        }
        (State::Bound, _) => say!("{who} has bound {address}", "{who}绑定了 {address}"),
        (_, Some(peer)) if several => say!(
            "{who} have a connection of {address} with {peer}, in {state}",
            "{who}有一条 {address} 与 {peer} 之间的连接，处于 {state}"
        ),
        (_, Some(peer)) => say!(
            "{who} has a connection of {address} with {peer}, in {state}",
            "{who}有一条 {address} 与 {peer} 之间的连接，处于 {state}"
        ),
        (_, None) => say!("{who} has {address}, in {state}", "{who}占用了 {address}，处于 {state}"),
    }
}

fn record(socket: &Socket) -> String {
    let (address, state) = (place(socket), socket.state.name());
    match socket.seconds_left {
        Some(left) => say!(
            "the kernel remembers a closed connection of {address}, in {state} for {left} more",
            "{address} 的一条已关闭的连接还处于 {state}，由内核保留，还剩 {left}",
            left = seconds(left)
        ),
        None => say!(
            "the kernel remembers a closed connection of {address}, in {state}",
            "{address} 的一条已关闭的连接还处于 {state}，由内核保留"
        ),
    }
}

pub fn seconds(count: u32) -> String {
    match count {
        1 => say!("1 second", "1 秒"),
        count => say!("{count} seconds", "{count} 秒"),
    }
}

/// Its address, with the network interface that it is bound to.
fn place(socket: &Socket) -> String {
    let address = match socket.address {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            say!("0.0.0.0 (every IPv4 address)", "0.0.0.0（所有 IPv4 地址）")
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            say!(":: (every address)", "::（所有地址）")
        }
        ip => ip.to_string(),
    };
    match &socket.device {
        None => address,
        Some(device) => {
            say!("{address} on the interface {device}", "网络接口 {device} 上的 {address}")
        }
    }
}

/// `root (0)`, or the number.
pub fn user(user: &User) -> String {
    let uid = user.uid;
    match &user.name {
        Some(name) => say!("{name} ({uid})", "{name}（{uid}）"),
        None => uid.to_string(),
    }
}

/// How many processes or descriptors are named.
const NAMED: usize = 8;

/// Numbers, one after the other.
fn list(numbers: impl ExactSizeIterator<Item = i32>) -> String {
    let left = numbers.len().saturating_sub(NAMED);
    let first: Vec<String> = numbers.take(NAMED).map(|number| number.to_string()).collect();
    let first = first.join(words!(", ", "、"));
    match left {
        0 => first,
        _ => say!("{first} and {left} more", "{first} 和另外 {left} 个"),
    }
}

fn named(holder: &Holder) -> String {
    let Holder { pid, name, .. } = holder;
    say!("process {pid} ({name})", "进程 {pid}（{name}）")
}

// The sockets.

/// The lines below a socket.
pub(super) fn about(socket: &Socket, count: usize) -> Vec<String> {
    let all = &socket.processes;
    let shown = if all.len() > NAMED + 1 { NAMED } else { all.len() };
    let mut lines: Vec<String> = all.iter().take(shown).map(process).collect();
    if all.len() > shown {
        lines.push(say!(
            "and {left} more processes: see --format json",
            "还有 {left} 个进程，见 --format json",
            left = all.len() - shown
        ));
    }
    if let (Some(waiting), Some(backlog)) = (socket.waiting, socket.backlog) {
        lines.push(say!(
            "{waiting} waiting to be accepted, backlog {backlog}",
            "全连接队列里有 {waiting} 条连接等待 accept，backlog 为 {backlog}"
        ));
    }
    if let Some(left) = socket.seconds_left {
        let left = seconds(left);
        lines.push(match count {
            1 => say!("no process; {left} left", "没有进程，还剩 {left}"),
            _ => say!("no process; at most {left} left", "没有进程，最多还剩 {left}"),
        });
    } else if !socket.has_inode {
        lines.push(say!("no process", "没有进程"));
    }
    lines.push(say!(
        "{reuseaddr}, {reuseport}",
        "{reuseaddr}，{reuseport}",
        reuseaddr = option_is("SO_REUSEADDR", socket.reuseaddr),
        reuseport = option_is("SO_REUSEPORT", socket.reuseport)
    ));
    if socket.ipv6_only == Some(true) && socket.address.is_unspecified() {
        lines.push(say!("IPV6_V6ONLY on: it takes no IPv4", "IPV6_V6ONLY 已开启：不接受 IPv4"));
    }
    lines
}

/// Whether an option is set, if that is known.
pub fn option_is(name: &str, is_set: Option<bool>) -> String {
    match is_set {
        Some(true) => say!("{name} on", "{name} 已开启"),
        Some(false) => say!("{name} off", "{name} 未开启"),
        None => say!("{name} unknown", "{name} 未知"),
    }
}

fn process(holder: &Holder) -> String {
    let (who, descriptors) = (named(holder), list(holder.descriptors.iter().copied()));
    let mut line = match holder.descriptors.len() {
        0 => say!("{who}, in accept", "{who}，正在调用 accept"),
        1 => say!("{who}, descriptor {descriptors}", "{who}，文件描述符 {descriptors}"),
        _ => say!("{who}, descriptors {descriptors}", "{who}，文件描述符 {descriptors}"),
    };
    if let Some(container) = &holder.container {
        line += &say!(", container {container}", "，容器 {container}");
    } else if let Some(unit) = &holder.unit {
        line += &say!(", unit {unit}", "，systemd 单元 {unit}");
    }
    match short(&holder.command.to_string()) {
        command if command.is_empty() => line,
        command => say!("{line}: {command}", "{line}：{command}"),
    }
}

/// The beginning of a command line.
fn short(command: &str) -> String {
    const MOST: usize = 60;
    match command.char_indices().nth(MOST) {
        None => command.to_owned(),
        Some((end, _)) => format!("{}...", &command[..end]),
    }
}

pub(super) fn of_user(socket: &Socket) -> String {
    let whose = socket.user.as_ref().map(user);
    whose.map_or(String::new(), |whose| say!("user {whose}", "用户 {whose}"))
}

pub(super) fn alike(count: usize) -> String {
    say!("{count} sockets alike", "{count} 个相同的套接字")
}

pub(super) fn more_sockets(count: usize) -> String {
    match count {
        1 => say!("And one more socket: see --format json.", "还有 1 个套接字，见 --format json。"),
        count => say!(
            "And {count} more sockets: see --format json.",
            "还有 {count} 个套接字，见 --format json。"
        ),
    }
}

pub(super) fn more_processes(count: usize) -> String {
    match count {
        1 => say!(
            "A plain kill alone does not end one more process either: see --format json.",
            "另外还有 1 个进程，单用普通的 kill 也停不掉，见 --format json。"
        ),
        _ => say!(
            "A plain kill alone does not end {count} more processes either: see --format json.",
            "另外还有 {count} 个进程，单用普通的 kill 也停不掉，见 --format json。"
        ),
    }
}

pub(super) fn more_namespaces(count: usize) -> String {
    match count {
        1 => say!(
            "One more socket has this port in another network namespace.",
            "其他网络命名空间里，还有 1 个套接字占用同号端口。"
        ),
        count => say!(
            "{count} more sockets have this port in other network namespaces.",
            "其他网络命名空间里，还有 {count} 个套接字占用同号端口。"
        ),
    }
}

// The table.

pub(super) fn can_a_server(finding: &Finding) -> String {
    say!(
        "Can a new server of user {user} bind it now, with which option?",
        "新服务器现在能绑定吗？要带哪个选项？假定用户是 {user}。",
        user = user(&finding.question.user)
    )
}

pub(super) fn option(with: ServerOption) -> &'static str {
    match with {
        ServerOption::Nothing => words!("no option", "不带选项"),
        ServerOption::ReuseAddr => "SO_REUSEADDR",
        ServerOption::ReusePort => "SO_REUSEPORT",
        ServerOption::Both => words!("both", "两个选项"),
    }
}

pub(super) fn can(can: Can) -> &'static str {
    match can {
        Can::Yes => words!("yes", "能"),
        Can::No => words!("no", "不能"),
        Can::Unknown => words!("unknown", "未知"),
    }
}

/// Why not, with the kernel's function.
pub(super) fn why(verdict: &Verdict) -> String {
    let error = verdict.error.map(error_name).unwrap_or_default();
    match verdict.why {
        Some(Why::Policy) => say!(
            "{error}: a policy refuses, and no socket is the reason.",
            "{error}：被策略拒绝，与其他套接字无关。"
        ),
        Some(Why::Tentative) => say!(
            "{error}: the address is there, but still tentative.",
            "{error}：地址已配置，但还处于 tentative 状态（尚未通过重复地址检测）。"
        ),
        Some(Why::OtherInterface) => {
            say!("{error}: another interface has the address.", "{error}：地址属于另一个网络接口。")
        }
        Some(Why::Untested) => {
            say!("A bind could not be tested: {error}.", "无法用 bind 试验：{error}。")
        }
        Some(Why::NoOption) => say!(
            "The addresses conflict, and no option is set in both sockets.",
            "地址冲突，双方又没有共同的选项。"
        ),
        Some(Why::Listens) => say!(
            "The old socket listens. SO_REUSEADDR does not go past a listener, even if both servers \
             have it.",
            "旧套接字正在监听。只要它还在监听，双方都设置 SO_REUSEADDR 也绑定不了。"
        ),
        Some(Why::OtherUser) => say!(
            "SO_REUSEPORT helps sockets of one user alone, and these belong to different users.",
            "SO_REUSEPORT 要求双方属于同一用户，而这里的用户不同。"
        ),
        Some(Why::Privileged) => {
            say!("{error}: the port needs a privilege.", "{error}：绑定这个端口需要特权。")
        }
        Some(Why::NotThisMachine) => {
            say!("{error}: this machine does not have the address.", "{error}：本机没有这个地址。")
        }
        Some(Why::Unseen) => say!(
            "{error}: the kernel refuses, and no socket that is listed explains it.",
            "{error}：内核拒绝绑定，但从列出的套接字看不出原因。"
        ),
        Some(Why::Other) => say!("bind: {error}.", "bind：{error}。"),
        None => say!(
            "It depends on what cannot be read: an option of the old socket, or which socket was \
             bound last.",
            "无法确定：取决于读不到的信息（旧套接字的某个选项，或者各套接字绑定的先后）。"
        ),
    }
}

// The cases.

fn who(who: &Who, finding: &Finding) -> String {
    match (who.pid, &who.name) {
        (Some(pid), Some(name)) => say!("Process {pid} ({name})", "进程 {pid}（{name}）"),
        _ => {
            let mut nobody = nobody(finding).to_owned();
            if let Some(first) = nobody.get_mut(..1) {
                first.make_ascii_uppercase(); // a Chinese letter has more bytes
            }
            nobody
        }
    }
}

/// What may hold it, each with its command.
fn candidates(candidates: &[Candidate]) -> String {
    let names = candidates.iter().map(|Candidate { what, command }| {
        let what = match what {
            InKernel::Mptcp => words!("an endpoint of MPTCP", "MPTCP 端点"),
            InKernel::Tunnel => words!("VXLAN or another tunnel", "VXLAN 等隧道"),
            InKernel::Wireguard => "WireGuard",
            InKernel::Nfs => "NFS",
            InKernel::IoUring => words!("an io_uring", "io_uring"),
            InKernel::InFlight => words!(
                "a message with the descriptor, not received yet (SCM_RIGHTS)",
                "一条尚未接收的消息，里面带着它的文件描述符（SCM_RIGHTS）"
            ),
        };
        say!("{what}: {command}", "{what}：{command}", command = whole(command))
    });
    names.collect::<Vec<_>>().join(words!("; or ", "；或者 "))
}

pub(super) fn case(case: &Case, finding: &Finding) -> String {
    let port = finding.question.target.port;
    match case {
        Case::Inherited { pids, name } => say!(
            "{count} processes hold this one socket ({pids}, {name}): a child inherited it from its \
             parent. The socket stays until the last of them closes it. A child that does not serve \
             should close the listener.",
            "{count} 个进程（{pids}，{name}）持有同一个套接字：子进程从父进程继承了它。\
             所有进程都关闭它之后，套接字才会释放。不负责 accept 的子进程应当关闭监听套接字。",
            count = pids.len(),
            pids = list(pids.iter().copied())
        ),
        Case::NoProcess { address, candidates } if finding.nobody() == Nobody::Either => say!(
            "No process that was to be read has the socket on {address}. If the kernel holds it, it may be \
             {which}.",
            "查遍了读得到的进程，都没有 {address} 上的这个套接字。如果它由内核持有，可能的来源：{which}。",
            which = self::candidates(candidates)
        ),
        Case::NoProcess { address, candidates } => {
            let outside = match finding.nobody() {
                Nobody::Outside => words!(
                    " Or a process in another PID namespace has it: look from the host, outside the \
                     container.",
                    "也可能由另一个 PID 命名空间里的进程持有：请在宿主机上（容器之外）查看。"
                ),
                _ => "",
            };
            say!(
                "Each process has shown its descriptors, and none has the socket on {address}: the \
                 kernel holds it. It may be {which}.{outside}",
                "查遍所有进程的文件描述符，都没有 {address} 上的这个套接字：它由内核持有。\
                 可能的来源：{which}。{outside}",
                which = self::candidates(candidates)
            )
        }
        Case::InAccept { pid, name } => say!(
            "A thread of process {pid} ({name}) waits in accept, and another thread has closed the \
             descriptor. The listener stays until accept returns. A program should call shutdown \
             before close: that ends the wait.",
            "进程 {pid}（{name}）的一个线程还阻塞在 accept 里，\
             文件描述符却已被另一个线程关闭。accept 返回之前，监听套接字不会释放。\
             程序应当先 shutdown 再 close：shutdown 会让 accept 返回。"
        ),
        Case::Stopped { pid, name } => say!(
            "Process {pid} ({name}) is stopped, as by Ctrl+Z: it still has the socket, and does not \
             see a signal like SIGTERM until it continues. In its terminal, fg continues it.",
            "进程 {pid}（{name}）已暂停（例如按了 Ctrl+Z）：套接字还在它手里；恢复运行之前，\
             它也不会处理 SIGTERM 这样的信号。在它的终端里用 fg 恢复。"
        ),
        Case::Resists { pid, name, because: Resists::Traced } => say!(
            "Process {pid} ({name}) stands still under a debugger, as gdb is one: until that lets it go \
             on, it sees no signal but SIGKILL.",
            "进程 {pid}（{name}）已被调试器（例如 gdb）暂停：调试器让它恢复运行之前，\
             除 SIGKILL 外，它不处理任何信号。"
        ),
        Case::Resists { pid, name, because: Resists::Ignores } => say!(
            "Process {pid} ({name}) ignores SIGTERM, so a plain kill does not end it.",
            "进程 {pid}（{name}）忽略 SIGTERM，普通的 kill 停不掉它。"
        ),
        Case::Resists { pid, name, because: Resists::Blocks } => say!(
            "Process {pid} ({name}) blocks SIGTERM, so a plain kill does not end it.",
            "进程 {pid}（{name}）屏蔽了 SIGTERM，普通的 kill 停不掉它。"
        ),
        Case::Resists { pid, name, because: Resists::IsInit } => say!(
            "Process {pid} ({name}) is process 1 of its PID namespace, and does not handle SIGTERM: so a \
             plain kill does not end it.",
            "进程 {pid}（{name}）是所在 PID 命名空间的 1 号进程，又没有给 SIGTERM 设置处理函数，\
             普通的 kill 停不掉它。"
        ),
        Case::Outgoing { is_over: true, first, last, .. } => say!(
            "An outgoing connection was here, it seems: no socket listens on port {port}, and the \
             kernel chooses ports from {first} to {last} for outgoing connections. SO_REUSEADDR in \
             the server does not help now. A server should have a port outside that range.",
            "看来是一条出站连接留下的：端口 {port} 上没有套接字在监听，而内核在 {first} 到 \
             {last} 之间为出站连接分配端口。现在给服务器设置 SO_REUSEADDR 没有用。\
             服务器的端口应当选在这个范围之外。"
        ),
        Case::Outgoing { who, first, last, .. } => say!(
            "{who} has an outgoing connection here, it seems: no socket listens on port {port}, and \
             the kernel chooses ports from {first} to {last} for outgoing connections. SO_REUSEADDR \
             in the server does not help. A server should have a port outside that range.",
            "{who}持有的看来是一条出站连接：端口 {port} 上没有套接字在监听，\
             而内核在 {first} 到 {last} 之间为出站连接分配端口。给服务器设置 SO_REUSEADDR \
             没有用。服务器的端口应当选在这个范围之外。",
            who = self::who(who, finding)
        ),
        Case::SelfConnect { is_over: true, .. } => say!(
            "A client was connected to itself: it tried to reach a server on port {port} that did \
             not run, and the kernel gave the client the same port.",
            "曾有客户端发生自连接：它要连接端口 {port} 上的服务器，服务器没有运行，\
             内核恰好又把这个端口分配给了客户端。"
        ),
        Case::SelfConnect { who, .. } => say!(
            "{who} is connected to itself: a client tried to reach a server on port {port} that did \
             not run, and the kernel gave the client the same port. It holds the port until the \
             client closes.",
            "{who}发生了自连接：客户端要连接端口 {port} 上的服务器，服务器没有运行，\
             内核恰好又把这个端口分配给了客户端。客户端关闭之前，端口一直被占用。",
            who = self::who(who, finding)
        ),
        Case::HoldsIpv4 { .. } => say!(
            "The socket on :: takes IPv4 too. That is why 0.0.0.0:{port} and 127.0.0.1:{port} are \
             in use, though no row of IPv4 shows it. To have both, a program sets IPV6_V6ONLY on \
             the socket of IPv6.",
            ":: 上的套接字也接受 IPv4，所以 0.0.0.0:{port} 和 127.0.0.1:{port} 也被占用，\
             尽管列表里没有 IPv4 的行。两个地址族都要绑定的程序，应当在 IPv6 套接字上设置 \
             IPV6_V6ONLY。"
        ),
        Case::Published { engine, pid, name, container_ip, container_port } => say!(
            "Process {pid} ({name}) holds the port for a container that publishes it.{says}{to}",
            "这个端口由容器发布，进程 {pid}（{name}）代容器占用它。{says}{to}",
            says = match engine {
                Engine::Docker => say!(
                    " Docker says \"port is already allocated\".",
                    "Docker 会报错 port is already allocated。"
                ),
                Engine::Swarm => say!(
                    " Docker's userland proxy is off, or the container is of a service of a \
                     swarm: docker service update --publish-rm takes the port back.",
                    "可能是关掉了 Docker 的用户态代理，也可能是容器属于 swarm 的某个服务：\
                     用 docker service update --publish-rm 收回端口。"
                ),
                Engine::Podman => say!(
                    " Podman knows it, for the user who has started it. A kill would leave the \
                     container without its port.",
                    "要以启动容器的用户身份运行 podman，才能看到这个容器。\
                     直接 kill 这个进程，只会让容器失去端口。"
                ),
            },
            to = match (container_ip, container_port) {
                (Some(ip), Some(port)) => say!(
                    " It leads to {ip}:{port} in the container.",
                    "流量转发到容器里的 {ip}:{port}。"
                ),
                _ => String::new(),
            }
        ),
        Case::OtherNamespace { pid, name, address } => say!(
            "Process {pid} ({name}) has port {port} on {address} in another network namespace. It \
             is in nobody's way here. To look there: {look}",
            "进程 {pid}（{name}）在另一个网络命名空间里占用了 {address} 的端口 {port}，\
             与这里的套接字不冲突。进入那个命名空间查看：{look}",
            look = whole(&match finding.question.proto {
                Proto::Udp => format!("nsenter -t {pid} -n ss -uanp"),
                Proto::Tcp => format!("nsenter -t {pid} -n ss -tanp"),
            })
        ),
        Case::LacksOption { count, seconds_left } => {
            let until = match seconds_left.map(seconds) {
                Some(left) if *count == 1 => say!("for {left} more", "接下来 {left}内"),
                Some(left) => {
                    say!("for at most {left} more", "在接下来的一段时间里（最多 {left}）")
                }
                None => say!("until it is gone", "在它消失之前"),
            };
            let whose = match count {
                1 => say!(
                    "The server that closed this connection did not have SO_REUSEADDR",
                    "关闭这条连接的服务器没有设置 SO_REUSEADDR"
                ),
                count => say!(
                    "Of these {count} closed connections, at least one did not have SO_REUSEADDR",
                    "这 {count} 条已关闭的连接中至少有一条没有 SO_REUSEADDR"
                ),
            };
            say!(
                "{whose}, and the kernel remembers that: a new server fails with the option too, \
                 {until}. (Seen by a bind that was closed at once.)",
                "{whose}，而且事后无法补上：{until}，新服务器设置了这个选项也会失败。\
                 （这是用 bind 试出来的，试完随即关闭了套接字。）"
            )
        }
        Case::HadOption { count, .. } => {
            let whose = match count {
                1 => say!(
                    "The server that closed this connection had SO_REUSEADDR",
                    "关闭这条连接的服务器设置了 SO_REUSEADDR"
                ),
                count => say!(
                    "All {count} closed connections had SO_REUSEADDR",
                    "这 {count} 条已关闭的连接都有 SO_REUSEADDR"
                ),
            };
            say!(
                "{whose}: a new server with the option may bind now, if nothing else is in the way. \
                 (Seen by a bind that was closed at once.)",
                "{whose}：没有别的冲突的话，新服务器设置这个选项，现在就能绑定。\
                 （这是用 bind 试出来的，试完随即关闭了套接字。）"
            )
        }
        Case::SocketActivated { pid, name } if name.raw().ends_with("inetd") => say!(
            "Process {pid} ({name}) listens for a service that it starts when a client comes, and may \
             listen for others, which end with it. To end this one alone, take it out of its \
             configuration, and then: {reload}",
            "进程 {pid}（{name}）替一个服务监听，有客户端连接时才启动该服务。它可能还替别的服务监听，\
             停掉这个进程，别的服务也会受影响。如果只想停这一个服务，就从 {name} 的配置里删掉它，\
             再运行：{reload}",
            reload = whole(&format!("kill -HUP {pid}"))
        ),
        Case::SocketActivated { pid, name } if name.raw() != "systemd" => say!(
            "Process {pid} ({name}) listens for a service that it starts when a client comes.",
            "进程 {pid}（{name}）替一个服务监听，有客户端连接时才启动该服务。"
        ),
        Case::Frozen { pid, name } => say!(
            "Process {pid} ({name}) is frozen with its cgroup, as by docker pause: until it is thawed it \
             may not see a signal like SIGTERM.",
            "进程 {pid}（{name}）所在的 cgroup 已被冻结（例如执行了 docker pause）：解冻之前，\
             它可能不处理 SIGTERM 这样的信号。"
        ),
        Case::SocketActivated { pid, name } => say!(
            "Process {pid} ({name}) listens for a service that it starts when a client comes. Stop \
             the socket unit, and not the service alone.",
            "进程 {pid}（{name}）替一个服务监听，有客户端连接时才启动该服务。\
             要停掉的是 .socket 单元，只停服务不够。"
        ),
        Case::Orphan { state } => say!(
            "A connection in {state} has no process any more (an orphan): the kernel alone finishes \
             it, when the peer answers or a timer expires.",
            "有一条处于 {state} 的连接已经没有进程持有（孤儿连接，orphan）：由内核收尾，\
             等对端应答或者定时器超时。",
            state = state.name()
        ),
        Case::NotAccepted { count: 1 } => say!(
            "One connection has not been accepted yet, so no process has it.",
            "有 1 条连接还在等待 accept，所以没有进程持有它。"
        ),
        Case::NotAccepted { count } => say!(
            "{count} connections have not been accepted yet, so no process has them.",
            "有 {count} 条连接还在等待 accept，所以没有进程持有它们。"
        ),
        Case::BoundOnly(who) => say!(
            "{who} has bound the port and does not listen. netstat and ss -tan do not show such a \
             socket; ss -tanB does (iproute2 6.8).",
            "{who}绑定了端口，但没有监听。netstat 和 ss -tan 都不显示这样的套接字，\
             要用 ss -tanB（iproute2 6.8 起）。",
            who = self::who(who, finding)
        ),
        Case::OtherProtocol(who) => {
            let other = finding.question.proto.other();
            let every = Target { port, ip: None, interface: None };
            say!(
                "{who} has {other} port {port}, which does not matter here: see {see}",
                "{who}占用的是 {other} 端口 {port}，与这里无关。查看：{see}",
                who = self::who(who, finding),
                other = other.name().to_uppercase(),
                see = whole(&target::command(&every, other).unwrap_or_default())
            )
        }
        Case::Privileged { first } => say!(
            "bind fails with EACCES (Permission denied), which is another error than \"Address \
             already in use\": ports below {first} need the capability CAP_NET_BIND_SERVICE, \
             whoever has them.",
            "bind 会返回 EACCES（Permission denied，权限不够），与 Address already in use \
             是两回事：绑定小于 {first} 的端口需要 CAP_NET_BIND_SERVICE，不论端口是否被占用。"
        ),
        Case::NotThisMachine { address } => say!(
            "bind fails with EADDRNOTAVAIL (Cannot assign requested address), which is another \
             error than \"Address already in use\": {address} is no address of this machine, or of \
             this network namespace.",
            "bind 会返回 EADDRNOTAVAIL（Cannot assign requested address，\
             无法指定被请求的地址），与 Address already in use 是两回事：\
             {address} 不是本机的地址，或者不属于本网络命名空间。"
        ),
        Case::OtherInterface { address } => say!(
            "bind fails with EADDRNOTAVAIL (Cannot assign requested address): {address} is an address \
             of another interface than the one that was named.",
            "bind 会返回 EADDRNOTAVAIL（Cannot assign requested address，无法指定被请求的地址）：\
             {address} 属于另一个网络接口，不是命令里指定的那个。"
        ),
        Case::Policy { error } => say!(
            "bind fails with {error}, and neither a socket nor a missing privilege is \
             the reason: a policy refuses. It may be SELinux or AppArmor, a program of this cgroup \
             (systemd's SocketBindDeny=, Cilium), Landlock, or a seccomp filter (containers; WSL's \
             mirrored network). Ask in the server's own unit, as the server's user.",
            "bind 返回 {error}，原因既不是套接字冲突，也不是缺少特权，而是被策略拒绝：\
             可能是 SELinux 或 AppArmor，本 cgroup 的 BPF 程序（systemd 的 SocketBindDeny=、\
             Cilium），Landlock，或者 seccomp 过滤器（容器、WSL 的镜像网络）。\
             请在服务器所在的单元里、以服务器的用户身份再查一次。",
            error = error_name(*error)
        ),
        Case::Tentative { address, has_failed: false } => say!(
            "bind fails with EADDRNOTAVAIL, though {address} is there: the kernel is still checking \
             that no other machine has it (duplicate address detection). That takes a second or two; \
             ip -brief does not show it.",
            "bind 返回 EADDRNOTAVAIL，尽管 {address} 已经配置：\
             内核还在检测链路上有没有别的机器使用这个地址（重复地址检测）。这需要一两秒；ip -brief 不显示这个状态。"
        ),
        Case::Tentative { address, has_failed: true } => say!(
            "bind fails with EADDRNOTAVAIL, though {address} is there: duplicate address detection \
             has failed. Another machine on the link has this address.",
            "bind 返回 EADDRNOTAVAIL，尽管 {address} 已经配置：它没有通过重复地址检测，链路上另一台机器也在用这个地址。"
        ),
        Case::Refused { address: IpAddr::V6(ip), .. } if ip.is_unicast_link_local() => say!(
            "bind to {ip} fails without an interface: a link-local address needs one, as in \
             [{ip}%eth0]:{port}.",
            "绑定 {ip} 失败：链路本地地址必须指明网络接口，例如 [{ip}%eth0]:{port}。"
        ),
        Case::Refused { address, error } => say!(
            "bind to {address} fails: {error}.",
            "绑定 {address} 失败：{error}。",
            error = error_name(*error)
        ),
    }
}

// What helps.

pub(super) fn what_helps() -> &'static str {
    words!("What helps, easiest first:", "怎么办（从易到难）：")
}

pub(super) fn help(help: &Help, finding: &Finding) -> String {
    match help {
        Help::SetNow { option: ServerOption::ReusePort } => say!(
            "Set SO_REUSEPORT in the new server: the old one has it, so both may have the port. At \
             the same address, the kernel spreads the clients over them. Otherwise the more specific \
             address gets them.",
            "给新服务器设置 SO_REUSEPORT：旧服务器已经设置了，双方可以共用端口。地址相同时，\
             内核把客户端分给双方；地址不同时，客户端归地址更具体的一方。"
        ),
        Help::SetNow { .. } if finding.question.proto == Proto::Udp => say!(
            "Set SO_REUSEADDR in the new server: the old one has it. But then, at the same address, \
             the last one that binds gets the unicast datagrams, and otherwise the more specific \
             address does. Multicast and broadcast reach all that may receive them.",
            "给新服务器设置 SO_REUSEADDR：旧服务器已经设置了。但这样一来，地址相同时，\
             单播数据报归最后绑定的一方；地址不同时，归地址更具体的一方。多播和广播，\
             凡是能收的套接字都会收到。"
        ),
        Help::SetNow { .. } => say!(
            "Set SO_REUSEADDR in the new server: the old socket has it, so bind succeeds now.",
            "给新服务器设置 SO_REUSEADDR：旧套接字已经有了，现在 bind 就能成功。"
        ),
        Help::BindAddress { address } => {
            let instead = match finding.question.target.ip {
                Some(ip) => ip.to_string(),
                None => say!("every address", "所有地址"),
            };
            say!(
                "Bind {address} instead of {instead}: it is free right now, without any option.",
                "把绑定的地址从“{instead}”改为 {address}：它现在空闲，不需要任何选项。"
            )
        }
        Help::Resolved { command } => say!(
            "Bind 127.0.0.1, or the machine's own address, instead of 0.0.0.0: systemd-resolved has \
             only 127.0.0.53 and 127.0.0.54. Or take the port from it, as root: {command}",
            "绑定 127.0.0.1 或者本机自己的地址，不要绑定 0.0.0.0：systemd-resolved 只占用 \
             127.0.0.53 和 127.0.0.54。或者以 root 身份让它释放端口：{command}",
            command = whole(command)
        ),
        Help::Find { command } => say!(
            "Find out what it belongs to, and stop that: {command}",
            "先查出占用者属于哪个容器、服务或应用，再停掉那一个。查看命令：{command}",
            command = whole(command)
        ),
        Help::StopContainer => say!(
            "Stop the container, from its host: process 1 of a PID namespace gets no signal from \
             inside that it does not handle.",
            "在宿主机上停掉容器：容器里的 1 号进程如果没有给某个信号设置处理函数，\
             内核就忽略容器内发给它的这个信号。"
        ),
        Help::WaitAfter { had_option: true } => say!(
            "Then set SO_REUSEADDR before bind in the new server; without it, that has to wait until the \
             last connection is gone, and its TIME_WAIT, too.",
            "然后在新服务器里，bind 之前设置 SO_REUSEADDR；否则就要等所有连接都消失，包括 TIME_WAIT。"
        ),
        Help::WaitAfter { had_option: false } => say!(
            "Then wait for what is left of the connections: two minutes at most, if the peer answers.",
            "然后等内核释放残留的连接（例如 TIME_WAIT）：通常不超过两分钟，对端不应答时会更久。"
        ),
        Help::Stop { command, above: Some(Who { pid: Some(pid), name: Some(name) }), .. } => say!(
            "Stop what holds it. Of that, process {pid} ({name}) has started this session, which may end with \
             it: {command}",
            "停掉占用者。注意：其中的进程 {pid}（{name}）启动了当前会话，停掉它，当前会话可能也会结束。\
             命令：{command}",
            command = whole(command)
        ),
        Help::Stop { command, parent: Some(Who { pid: Some(pid), name: Some(name) }), .. } => say!(
            "Stop what holds it; process {pid} ({name}), which has started it, may start it again: \
             {command}",
            "停掉占用者，不过启动它的进程 {pid}（{name}）可能会再次启动它：{command}",
            command = whole(command)
        ),
        Help::Stop { command, .. } => {
            say!("Stop what holds it: {command}", "停掉占用者：{command}", command = whole(command))
        }
        Help::Wait { seconds: left, peer_is_open: false } => {
            say!("Wait {left}.", "等 {left}。", left = seconds(*left))
        }
        Help::Wait { seconds: left, peer_is_open: true } => say!(
            "Wait {left}. If the peer closes before that, TIME_WAIT begins, and lasts 60 seconds.",
            "等 {left}。如果对端在这之前关闭，连接就进入 TIME_WAIT，再保留 60 秒。",
            left = seconds(*left)
        ),
        Help::WaitForPeer => say!(
            "Wait until the peer answers or a timer of the kernel expires.",
            "等对端应答，或者等内核的定时器超时。"
        ),
        Help::SetBoth => say!(
            "For later restarts: set SO_REUSEADDR before bind in both servers.",
            "为了以后能立刻重启：新旧服务器都要在 bind 之前设置 SO_REUSEADDR。"
        ),
        Help::V6Only => say!(
            "If the new server needs IPv6 alone: set IPV6_V6ONLY, and bind :: beside it.",
            "如果新服务器只用 IPv6：设置 IPV6_V6ONLY，就能绑定 ::，与现有的套接字并存。"
        ),
        Help::OtherPort { outside: None } => say!("Choose another port.", "换一个端口。"),
        Help::OtherPort { outside: Some((first, last)) } => say!(
            "Choose another port, outside {first} to {last}: the kernel takes ports of that range \
             for outgoing connections.",
            "换一个端口，避开 {first} 到 {last}：内核从这个范围里为出站连接选端口。"
        ),
        Help::Reserve { command } => say!(
            "Or keep this port out of that range, as root: {command}",
            "或者以 root 身份把这个端口设为保留端口，内核就不再把它分配给出站连接：{command}",
            command = whole(command)
        ),
        Help::Privilege { command }
            if finding.question.user.uid == 0
                && !has_capability("thread-self", CAP_NET_BIND_SERVICE) =>
        {
            say!(
                "Give the server CAP_NET_BIND_SERVICE, which this root lacks, or allow all users: {command}",
                "给服务器授予 CAP_NET_BIND_SERVICE（这里的 root 没有），或者允许所有用户绑定这个端口：\
             {command}",
                command = whole(command)
            )
        }
        Help::Privilege { command } if finding.question.user.uid == 0 => say!(
            "Give the server CAP_NET_BIND_SERVICE, which this root lacks: the root of a user \
             namespace has it only over a network namespace that was made there. Or allow all users, \
             as root of the machine: {command}",
            "给服务器授予 CAP_NET_BIND_SERVICE（这里的 root 没有：用户命名空间里的 root，\
             只在该用户命名空间里新建的网络命名空间中才有这项 capability）；\
             或者以宿主机的 root 身份，允许所有用户绑定这个端口：{command}",
            command = whole(command)
        ),
        Help::Privilege { command } => say!(
            "Run the server as root, give it CAP_NET_BIND_SERVICE, or allow all users: {command}",
            "以 root 身份运行服务器，或者给它 CAP_NET_BIND_SERVICE，或者允许所有用户绑定这个端口：\
             {command}",
            command = whole(command)
        ),
        Help::OwnAddress { command } => say!(
            "Bind an address that this machine has. This lists them: {command}. To bind one that is \
             still to come, set IP_FREEBIND in the server (IPV6_FREEBIND of IPv6), or \
             net.ipv4.ip_nonlocal_bind (net.ipv6.ip_nonlocal_bind).",
            "绑定本机已有的地址，可以用 {command} 列出。要绑定将来才有的地址，\
             就在服务器里设置 IP_FREEBIND（IPv6 是 IPV6_FREEBIND），\
             或者开启内核参数 net.ipv4.ip_nonlocal_bind（IPv6 是 net.ipv6.ip_nonlocal_bind）。",
            command = whole(command)
        ),
        Help::Settle { command, has_failed: true } => say!(
            "Take the address from the other machine, and then delete it here and add it again \
             ({command} shows it); or set IPV6_FREEBIND in the server.",
            "从另一台机器上删除这个地址，再在本机删除并重新添加（地址状态用 {command} 查看）；\
             或者在服务器里设置 IPV6_FREEBIND。",
            command = whole(command)
        ),
        Help::Settle { command, has_failed: false } => say!(
            "Wait until the address is no longer tentative ({command}), or set IPV6_FREEBIND in the \
             server.",
            "等地址不再处于 tentative 状态（用 {command} 查看），或者在服务器里设置 IPV6_FREEBIND。",
            command = whole(command)
        ),
        Help::FindPolicy { command } => say!(
            "Find the policy that refuses, as root: {command}",
            "以 root 身份查出是哪个策略拒绝的：{command}",
            command = whole(command)
        ),
        Help::Ask { command } => say!(
            "To find out what is unknown, by a real bind: {command}",
            "未知的部分，用一次真正的 bind 查清：{command}",
            command = whole(command)
        ),
    }
}

// What to look at, if the port is free.

pub(super) fn if_still_in_use() -> &'static str {
    words!(
        "If your server still says \"Address already in use\":",
        "如果服务器仍然报错 Address already in use（地址已在使用）："
    )
}

pub(super) fn if_still(reason: &IfStill) -> String {
    match reason {
        IfStill::BindsTwice => say!(
            "It binds the port twice itself: 0.0.0.0 and then ::, two listen lines, or a second \
             worker.",
            "它自己绑定了两次：例如先 0.0.0.0 再 ::，配置里有两行 listen，\
             或者又启动了一个工作进程。"
        ),
        IfStill::OtherProtocol { command } => {
            say!(
                "It means the other protocol: {command}",
                "它用的是另一个协议。查看：{command}",
                command = whole(command)
            )
        }
        IfStill::OtherNamespace { command } => say!(
            "It runs in a container or another network namespace, which has its own ports. Ask \
             there. This lists them: {command}",
            "它运行在容器或者另一个网络命名空间里，那里的端口是独立的，请进到里面查。\
             列出这些命名空间：{command}",
            command = whole(command)
        ),
        IfStill::Policy { command } => say!(
            "A policy refuses it (SELinux, a cgroup's program, Landlock), or under WSL Windows has \
             the port.{ask}",
            "被策略拒绝（SELinux、cgroup 的 BPF 程序、Landlock）；在 WSL 里，\
             也可能是 Windows 占用了端口。{ask}",
            ask = command.as_ref().map_or(String::new(), |command| say!(
                " Ask as its user, in its unit: {command}",
                "请以服务器的用户身份、在服务器所在的单元里再查一次：{command}",
                command = whole(command)
            ))
        ),
        IfStill::PortZero { command } => say!(
            "It asks for port 0, any port, and none of the range is left: {command}",
            "它绑定的是端口 0（由内核选端口），而可选范围里的端口已经用完。查看：{command}",
            command = whole(command)
        ),
        IfStill::UnixSocket { command } => say!(
            "It means a Unix socket. If no process has it, delete its file: {command}",
            "它绑定的是 Unix 套接字。用 {command} 查看：如果没有进程持有，就删除套接字文件。",
            command = whole(command)
        ),
        IfStill::Forwarded { command } => say!(
            "Or it binds, and gets no clients: a rule may forward the port to a container, with no \
             socket here. As root: {command}",
            "或者绑定成功了，却没有客户端连上来：可能有规则把这个端口转发到了容器，\
             这种转发在这里没有对应的套接字。以 root 身份查看：{command}",
            command = whole(command)
        ),
        IfStill::Why { command } => {
            say!(
                "This finds out which call fails: {command}",
                "查出失败的是哪个调用：{command}",
                command = whole(command)
            )
        }
    }
}

// Port 0.

/// How full the range is.
pub(super) fn range_answer(finding: &RangeFinding) -> String {
    let RangeFinding { first, last, reserved, addresses, .. } = finding;
    let kept = match reserved {
        0 => String::new(),
        1 => say!(", of which one is reserved", "（其中 1 个保留）"),
        count => say!(", of which {count} are reserved", "（其中 {count} 个保留）"),
    };
    let differ = addresses.iter().any(|left| left.free != finding.fewest.free);
    let has_place = differ || finding.address.is_some();
    let left = |Left { address, ipv6_only, in_use, free }: &Left| match has_place {
        true if *ipv6_only => say!(
            " At {address} with IPV6_V6ONLY, in use: {in_use}; free: {free}.",
            "绑定 {address} 且设置 IPV6_V6ONLY 时：占用 {in_use} 个，空闲 {free} 个。"
        ),
        true => say!(
            " At {address}, in use: {in_use}; free: {free}.",
            "绑定 {address} 时：占用 {in_use} 个，空闲 {free} 个。"
        ),
        false => say!(" In use: {in_use}; free: {free}.", "占用 {in_use} 个，空闲 {free} 个。"),
    };
    let shown = if differ { &addresses[..] } else { &addresses[..1] };
    say!(
        "{protocol} port 0 is no port: the kernel chooses one from {first} to {last}{kept}.{left}",
        "{protocol} 端口 0 不是真正的端口：内核会从 {first} 到 {last} 的范围{kept}里选一个。{left}",
        protocol = finding.protocol.name().to_uppercase(),
        left = shown.iter().map(left).collect::<String>()
    )
}

pub(super) fn range_rule(proto: Proto) -> &'static str {
    match proto {
        Proto::Tcp => words!(
            "bind to port 0 needs a port that no socket has at its address, TIME_WAIT included. \
             connect without bind needs less: it may take a port that has a connection to another \
             peer.",
            "绑定端口 0 时，内核选的端口在所绑定的地址上不能有任何套接字，\
             处于 TIME_WAIT 的也不行。不 bind、直接 connect 时要求低一些：\
             端口上即使已有到其他对端的连接，也可以选用。"
        ),
        Proto::Udp => words!(
            "bind to port 0, and connect or sendto without bind, need a port that no socket has at \
             their address; or one whose sockets share with the new one (SO_REUSEADDR in all, or \
             SO_REUSEPORT in all and one user), and then they share it.",
            "绑定端口 0 时，以及不 bind、直接 connect 或 sendto 时，\
             内核选的端口在所用的地址上不能有任何套接字，除非已有的套接字都能与新套接字共用（\
             全部设置了 SO_REUSEADDR，或者全部设置了 SO_REUSEPORT 且属于同一用户），\
             这时它们共用这个端口。"
        ),
    }
}

pub(super) fn range_help(help: &RangeHelp) -> String {
    match help {
        RangeHelp::BindAddressNoPort => say!(
            "In a client that binds an address before connect: set IP_BIND_ADDRESS_NO_PORT. Then \
             connect chooses the port.",
            "如果客户端先绑定地址再 connect：设置 IP_BIND_ADDRESS_NO_PORT，\
             就推迟到 connect 时再选端口。"
        ),
        RangeHelp::Widen { command } => say!(
            "Make the range wider, as root; reserve the ports of your servers in it: {command}",
            "以 root 身份扩大端口范围，并把其中服务器要用的端口设为保留端口：{command}",
            command = whole(command)
        ),
    }
}

// What could not be seen.

pub(super) fn not_listed() -> String {
    say!(
        "Not seen: sockets of TCP that are bound and do not listen. Linux 6.8 and later list them by \
         sock_diag.",
        "看不到只绑定、不监听的 TCP 套接字：Linux 6.8 起，sock_diag 才列出它们。"
    )
}

pub(super) fn unseen(unseen: &Unseen, finding: &Finding) -> String {
    match unseen {
        Unseen::Processes { count } if finding.question.user.uid == 0 => say!(
            "Not seen: the descriptors of some processes ({count}). Root needs the capability \
             CAP_SYS_PTRACE to read them, and in a container or under a policy (Landlock) it may lack \
             that: ask on the host.",
            "看不到 {count} 个进程的文件描述符：root 也要有 CAP_SYS_PTRACE 才能读取，而在容器里，或者受 Landlock 之类的策略限制时，\
             可能没有这项 capability。请在宿主机上重新运行。"
        ),
        Unseen::Proc { error } => say!(
            "Not seen: the processes, since this command could not read /proc ({error}).",
            "看不到进程：读不了 /proc（{error}）。"
        ),
        Unseen::OtherPidNamespace => say!(
            "Not seen: the processes. /proc is that of another PID namespace, so its numbers mean \
             nothing here. Mount its own: {mount}",
            "看不到进程：/proc 属于另一个 PID 命名空间，其中的进程号在这里没有意义。\
             请挂载本命名空间的 /proc：{mount}",
            mount = whole("mount -t proc proc /proc")
        ),
        Unseen::Options { error } => say!(
            "Not seen: the options of a socket, whose descriptor could not be copied (pidfd_getfd: \
             {error}). A container's rules may forbid that: ask as root, or on the host.",
            "看不到某个套接字的选项：无法复制它的文件描述符（pidfd_getfd：{error}）。\
             可能是容器的规则不允许：请以 root 身份重新运行，或者在宿主机上查。"
        ),
        Unseen::Namespaces { count } => say!(
            "Not seen: {count} other network namespaces. They do not matter to a server here.",
            "看不到另外 {count} 个网络命名空间，它们不影响这里的服务器。"
        ),
        Unseen::Hidden => say!(
            "Not seen: the processes of other users, which hidepid of /proc hides. Ask as root.",
            "看不到其他用户的进程：/proc 的 hidepid 把它们隐藏了。请以 root 身份重新运行。"
        ),
        Unseen::Processes { count: 1 } => say!(
            "Not seen: the descriptors of one process of another user. Ask as root.",
            "看不到另一个用户的 1 个进程的文件描述符。请以 root 身份重新运行。"
        ),
        Unseen::Processes { count } => say!(
            "Not seen: the descriptors of {count} processes of other users. Ask as root.",
            "看不到其他用户的 {count} 个进程的文件描述符。请以 root 身份重新运行。"
        ),
        Unseen::SockDiag { error } => say!(
            "Not seen: sock_diag is not to be had ({error}), so this is from /proc/net. That does \
             not show IPV6_V6ONLY.",
            "sock_diag 不可用（{error}），结果来自 /proc/net，从中看不到 IPV6_V6ONLY。"
        ),
        Unseen::Bound => not_listed(),
        Unseen::Test { address, error } => say!(
            "Not tested: a bind to {address}, since the test itself failed ({error}).",
            "未能试验 {address} 能否绑定：试验本身失败了（{error}）。",
            error = error_name(*error)
        ),
        Unseen::Ipv6 => say!("This kernel has no IPv6.", "这个内核没有 IPv6。"),
    }
}
