//! Every sentence that `bindtable why` says to its reader, in each language, and nothing else.

use super::calls::{Address, Name};
use super::explain::{Explanation, Help, Mistake, Reason};
use super::failure::{Failure, Relation, name_of};
use super::look::Obstacle;
use super::records::SocketOption;
use super::socket::Protocol;
use crate::port::finding::{User, Who, error_name};
use crate::port::holders::{Holder, status_field};
use crate::port::print::whole;
use crate::port::words::{option_is, seconds};
use crate::printable::{Outside, printable};
use crate::{say, words};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// What stands below the options of `why`.
pub fn notes() -> &'static str {
    words!(
        "\
It runs COMMAND as the shell would: the same process number, parent, group, terminal and exit status.
When a bind, listen or connect of it, or of what it starts, fails with EADDRINUSE, EADDRNOTAVAIL,
EACCES, EPERM or EINVAL, it says why on standard error, before the program itself hears of it. It says
nothing else. The same failure again is counted: \"again, N times\". If something else is in the way by
then, that is explained; of a program that tries again and again, once a second at most.

A tracer (ptrace) stands beside the command, and a filter (seccomp) stops these calls for it. The
tracer ignores TERM, INT and HUP, and stays until the last process that the command has started ends.
If it is killed with KILL, these calls fail with ENOSYS from then on: restart the command. If it runs
for an ordinary user, setuid programs and file capabilities have no effect, nor have they for a root
without CAP_SYS_ADMIN. If an old connection without a process is in the way, the tracer binds the port
itself for a moment, to learn which option that connection kept. If the path of a Unix socket is, it asks
by a connect, which makes no connection, whether a process has it. Within it strace and gdb cannot trace.
With --pid each system call stops, which is slow, and one that waits may return EINTR once; Ctrl+C ends
that, and while Ctrl+Z stops the tracer, the process stands still. If COMMAND is process 1, the tracer is a
child of it.

Not seen: calls that a filter of the program's own refuses, bind and connect by io_uring, what another
process does for COMMAND, as systemd does for systemctl and dockerd for docker, and with --pid the
processes that PID has started before.

If standard error is full for a second, or closed, explanations are lost, and so are those of a daemon
if standard error is a pipe or a socket that the daemon has closed; --output keeps them.
With --format json each line is one event, and null is what is unknown.

Exit status: that of COMMAND; 127 if it is not there, 126 if it cannot be executed, 125 if it cannot
be traced, 2 if the arguments are wrong.",
        "\
运行 COMMAND，与直接在 shell 里运行没有区别：进程号、父进程、进程组、终端和退出状态都不受影响。
COMMAND 或者它启动的进程调用 bind、listen、connect 失败，错误是 EADDRINUSE、EADDRNOTAVAIL、
EACCES、EPERM 或 EINVAL 时，先在标准错误上说明原因，再让程序得到这个错误；其余时候什么也不输出。
同样的失败再次发生，只计数：“又发生了 N 次”。如果冲突的对象变了，就重新说明；程序反复重试时，每秒最多一次。

命令由另一个进程跟踪（ptrace），过滤器（seccomp）只让上述调用停下来。跟踪进程忽略 TERM、INT 和 HUP，
等命令启动的最后一个进程结束才退出。如果它被 KILL 杀掉，此后这些调用都会失败，返回 ENOSYS：请重新启动命令。
以普通用户身份运行时，setuid 程序和文件的 capability 不生效；root 没有 CAP_SYS_ADMIN 时也一样。如果冲突的是
不属于任何进程的旧连接，跟踪进程会自己短暂绑定这个端口，随即释放，由此查出旧连接的选项；如果冲突的是
Unix 套接字的路径，就用一次不建立连接的 connect 查出还有没有进程在用。被跟踪的命令里不能再用 strace 和 gdb。
用 --pid 时，每个系统调用都要停一下，所以很慢；正在阻塞的调用可能返回一次 EINTR。按 Ctrl+C 停止跟踪；
如果按 Ctrl+Z 暂停跟踪进程，被跟踪的进程也会停住。COMMAND 是 1 号进程时，跟踪进程会成为它的子进程。

看不到的有：被程序自己的过滤器拒绝的调用，通过 io_uring 发起的 bind 和 connect，以及别的进程替
COMMAND 做的事（systemctl 背后是 systemd，docker 背后是 dockerd）。用 --pid 时，也看不到 PID
在跟踪开始之前启动的进程。

如果标准错误持续一秒以上写不进去，或者已经关闭，说明就会丢失；标准错误是管道或套接字时，命令启动的
守护进程如果关闭了它，有关该进程的说明也会丢失。用 --output 可以保存到文件。
用 --format json 时，每行一个事件，null 表示未知。

退出状态：与 COMMAND 相同；找不到是 127，不能执行是 126，无法跟踪是 125，参数有误是 2。"
    )
}

// What is wrong with the question, or with this machine.

/// Neither a command nor `--pid`.
pub fn no_command_given() -> String {
    say!(
        "there is no command: bindtable why -- COMMAND, or bindtable why --pid PID",
        "没有给出命令：用法是 bindtable why -- COMMAND，或者 bindtable why --pid PID"
    )
}

/// open(2) of `--output` has failed.
pub(super) fn no_output(path: &Path, error: &io::Error) -> String {
    say!(
        "--output: {path}: {error}",
        "--output：写不了 {path}：{error}",
        path = path.display(),
        error = without_number(error)
    )
}

/// execve(2) has failed.
pub(super) fn no_command(command: &str, errno: Errno) -> String {
    say!("{command}: {error}", "{command}：{error}", error = text_of(errno))
}

/// A call of this program's own, or a file that it needs, has failed.
pub(super) fn failed(what: &str, error: &dyn Display) -> String {
    say!("it cannot be traced: {what}: {error}", "无法跟踪：{what}：{error}")
}

/// The channel to the tracer has come to its end.
pub(super) fn no_tracer() -> String {
    say!(
        "it cannot be traced: the tracer has ended before it began",
        "无法跟踪：跟踪进程刚启动就结束了"
    )
}

/// seccomp(2) has refused the filter.
pub(super) fn no_filter(errno: Errno) -> String {
    say!(
        "it cannot be traced: seccomp: {error}. This kernel has no filters, or a sandbox refuses them",
        "无法跟踪：seccomp：{error}。这个内核不支持 seccomp 过滤器，或者沙箱不允许",
        error = text_of(errno)
    )
}

/// ptrace(2) has refused to trace `process`.
pub(super) fn no_trace(process: i32, errno: Errno) -> String {
    let field = |name| status_field(&process.to_string(), name);
    let tracer = field("TracerPid:").and_then(|id| id.parse().ok());
    let is_kernels = field("State:").is_some() && field("VmSize:").is_none(); // it has no memory of its own
    let yama = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    match (errno, tracer, yama.trim()) {
        (Errno::SRCH, ..) => say!("there is no process {process}", "没有进程号为 {process} 的进程"),
        (Errno::PERM, Some(tracer @ 1..), _) => say!(
            "it cannot be traced: {name} ({tracer}) traces it already, and a process has one tracer",
            "无法跟踪：{name}（{tracer}）已经在跟踪它，一个进程只能有一个跟踪者",
            name = name_of(tracer)
        ),
        (Errno::PERM, ..) if is_kernels => say!(
            "it cannot be traced: {process} is a thread of the kernel, which makes no system calls",
            "无法跟踪：{process} 是内核线程，不会发起系统调用"
        ),
        (Errno::PERM, _, scope @ ("1" | "2" | "3")) if scope == "3" || !geteuid().is_root() => {
            say!(
                "it cannot be traced: /proc/sys/kernel/yama/ptrace_scope is {scope}. Run it as root{lower}",
                "无法跟踪：/proc/sys/kernel/yama/ptrace_scope 是 {scope}。{lower}请以 root 身份运行",
                lower = if scope == "3" {
                    words!(
                        ", after a restart with a lower one",
                        "这个值在运行时改不了：先在启动配置里把它改小，再重启系统。然后"
                    )
                } else {
                    ""
                }
            )
        }
        (Errno::PERM, ..) => say!(
            "it cannot be traced: ptrace: {error}. Run it as the process's user or as root; in a \
             container, with --cap-add=SYS_PTRACE",
            "无法跟踪：ptrace：{error}。请以该进程的用户身份或者 root 身份运行；\
             在容器里加 --cap-add=SYS_PTRACE",
            error = text_of(errno)
        ),
        (Errno::NOSYS, ..) => say!(
            "it cannot be traced: ptrace: {error}. Run it without the emulator: qemu-user has no ptrace",
            "无法跟踪：ptrace：{error}。请不要在模拟器里运行：qemu-user 没有 ptrace",
            error = text_of(errno)
        ),
        _ => failed("ptrace", &text_of(errno)),
    }
}

fn text_of(errno: Errno) -> String {
    without_number(&io::Error::from_raw_os_error(errno.raw_os_error()))
}

/// The C library's words for the error.
fn without_number(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

// The notes beside the explanations.

/// ptrace(2) of a traced process has failed with EPERM.
pub(super) fn second_tracer(name: &str, pid: i32) -> String {
    say!(
        "{name} ({pid}) cannot trace: bindtable why is the tracer of everything here. Use one at a time.",
        "{name}（{pid}）不能跟踪别的进程：这里的进程都已由 bindtable why 跟踪。{name} 和 bindtable why 不能同时使用。"
    )
}

/// The command is process 1, to which every orphan comes.
pub(super) fn first_process() -> String {
    say!(
        "this command is process 1, so bindtable's tracer is a child of it: a program that waits for the \
         last of its children waits forever. An init before it avoids that: docker run --init",
        "这条命令是 1 号进程，所以 bindtable 的跟踪进程会成为它的子进程；\
         如果程序要等所有子进程都结束，就会一直等下去。让 init 当 1 号进程就能避免：\
         docker run --init"
    )
}

/// A setuid program, or one with capabilities, has started without them.
pub(super) fn lost_privilege(name: &str, pid: i32) -> String {
    say!(
        "{name} ({pid}) starts without the privilege that its file gives: whoever traces it may not give \
         that. If it fails for that reason, run bindtable why as root, with CAP_SYS_ADMIN.",
        "{name}（{pid}）启动时没有获得文件赋予的特权，因为跟踪者没有权限给它。如果它因此失败，\
         请以拥有 CAP_SYS_ADMIN 的 root 身份运行 bindtable why。"
    )
}

/// How many texts could not be written.
pub(super) fn lost(count: usize) -> String {
    match count {
        1 => say!(
            "one explanation is lost: nobody took it for a second. A file keeps them: --output FILE.",
            "丢失了 1 条说明：超过一秒没有人读取。可以用 --output FILE 保存到文件。"
        ),
        _ => say!(
            "{count} explanations are lost: nobody took them for a second. A file keeps them: --output FILE.",
            "丢失了 {count} 条说明：超过一秒没有人读取。可以用 --output FILE 保存到文件。"
        ),
    }
}

/// How often the failure of that first line has come again.
pub(super) fn again(headline: &str, count: usize) -> String {
    match count {
        1 => say!("{headline}: again, once", "{headline}：又发生了 1 次"),
        _ => say!("{headline}: again, {count} times", "{headline}：又发生了 {count} 次"),
    }
}

/// setsockopt(2) after the bind that has failed. `helps`: whether it would have succeeded with the option,
/// if that is known.
pub(super) fn late_option(
    name: &str,
    pid: i32,
    descriptor: i32,
    option: SocketOption,
    helps: Option<bool>,
) -> String {
    let option = option.name();
    let helps = match helps {
        Some(true) => words!(" Then it would succeed.", "提前设置就会成功。"),
        Some(false) => words!(" Here it would not help.", "不过这里提前设置也没有用。"),
        None => "",
    };
    say!(
        "{name} ({pid}): {option} is set on descriptor {descriptor} after its bind failed. bind reads \
         it: set it before, on the same socket.{helps}",
        "{name}（{pid}）：文件描述符 {descriptor} 在 bind 失败之后才设置 {option}。\
         内核在 bind 时检查它：要在 bind 之前、在同一个套接字上设置。{helps}"
    )
}

// The labels.

pub(super) fn this_socket() -> &'static str {
    words!("this socket", "本套接字")
}

pub(super) fn in_the_way() -> &'static str {
    words!("in the way", "冲突对象")
}

pub(super) fn the_rule() -> &'static str {
    words!("the rule", "规则")
}

pub(super) fn what_helps() -> &'static str {
    words!("what helps", "怎么办")
}

// The parts.

/// What failed, in one line.
pub(super) fn headline(failure: &Failure) -> String {
    let (name, pid, call) = (&failure.name, failure.pid, failure.call.name());
    let pid = match failure.pid_inside {
        None => pid.to_string(),
        Some(inside) => {
            say!("{pid}, {inside} in its PID namespace", "{pid}，在它的 PID 命名空间里是 {inside}")
        }
    };
    let error = error_name(failure.errno());
    match (failure.call, place(failure)) {
        (_, None) => {
            say!("{name} ({pid}): {call} fails: {error}", "{name}（{pid}）：{call} 失败：{error}")
        }
        (Name::Listen, Some(place)) => say!(
            "{name} ({pid}): {call} on {place} fails: {error}",
            "{name}（{pid}）：在 {place} 上 {call} 失败：{error}"
        ),
        (_, Some(place)) => say!(
            "{name} ({pid}): {call} to {place} fails: {error}",
            "{name}（{pid}）：{call} {place} 失败：{error}"
        ),
    }
}

fn place(failure: &Failure) -> Option<String> {
    match &failure.address {
        Some(Address::Path(path)) => Some(printable(&String::from_utf8_lossy(path))),
        Some(Address::Abstract(name)) => {
            Some(printable(&format!("@{}", String::from_utf8_lossy(name))))
        }
        Some(Address::Other { .. }) => None,
        _ => failure.inet().map(|address| address.to_string()),
    }
}

fn user(user: &User) -> String {
    user.name.clone().map_or_else(|| user.uid.to_string(), |name| name.to_string())
}

/// The failed socket: its descriptor, protocol, user, device, and what decides its call.
pub(super) fn subject(explanation: &Explanation) -> String {
    let failure = explanation.failure;
    let subject = &failure.subject;
    let mut text = say!(
        "descriptor {fd}, {protocol}",
        "fd {fd}，{protocol}",
        fd = subject.descriptor,
        protocol = subject.protocol.name()
    );
    if let Some(owner) = subject.uid.map(User::new) {
        text += &say!(", user {user}", "，用户 {user}", user = user(&owner));
    }
    if let Some(device) = &subject.device {
        let device = printable(device);
        text += &say!(", interface {device}", "，网络接口 {device}");
    }
    if matches!(subject.protocol, Protocol::Unix | Protocol::Other) {
        return text;
    }
    if failure.call == Name::Connect {
        return text
            + &match (subject.local, subject.source) {
                (Some(local), _) => say!(": bound to {local}", "：已绑定 {local}"),
                (None, Some(ip)) => say!(
                    ": bound to {ip} without a port, so connect chooses it",
                    "：只绑定了地址 {ip}，端口由 connect 选择"
                ),
                (None, None) if !subject.is_read => String::new(),
                (None, None) => say!(
                    ": not bound, so connect chooses its port",
                    "：尚未绑定，端口由 connect 选择"
                ),
            };
    }
    let mut options = vec![SocketOption::ReuseAddr, SocketOption::ReusePort];
    if failure
        .inet()
        .is_some_and(|address| matches!(address.ip(), IpAddr::V6(ip) if ip.is_unspecified()))
    {
        options.push(SocketOption::V6Only);
    }
    let options: Vec<String> = options
        .into_iter()
        .filter_map(|option| Some(option_is(option.name(), Some(subject.has(option)?))))
        .collect();
    if options.is_empty() {
        return text + words!(": its options cannot be read", "：读不到它的选项");
    }
    text + words!(": ", "：") + &options.join(words!(", ", "，"))
}

/// A time in seconds, as long ago as a reader wants to know.
fn ago(milliseconds: u64) -> String {
    let seconds = milliseconds.max(100) as f64 / 1000.0;
    if milliseconds < 60_000 {
        say!("{seconds:.1} s", "{seconds:.1} 秒")
    } else {
        say!("{minutes:.0} min", "{minutes:.0} 分钟", minutes = seconds / 60.0)
    }
}

fn relation(relation: Relation) -> &'static str {
    match relation {
        Relation::Same => words!("this same process", "就是本进程"),
        Relation::Child => words!("a child", "子进程"),
        Relation::Parent => words!("its parent", "父进程"),
        Relation::Sibling => words!("a sibling", "兄弟进程"),
        Relation::Started => words!("of the same command", "同一条命令启动的进程"),
    }
}

fn descriptors(holder: &Holder) -> String {
    let numbers: Vec<String> = holder.descriptors.iter().map(i32::to_string).collect();
    let (is_one, numbers) = (numbers.len() == 1, numbers.join(words!(", ", "、")));
    match is_one {
        true => say!("descriptor {numbers}", "fd {numbers}"),
        false => say!("descriptors {numbers}", "fd {numbers}"),
    }
}

/// A socket in the way: where it is, its options, and who has it.
pub(super) fn obstacle(old: &Obstacle, failure: &Failure) -> String {
    let mut text = match &old.path {
        Some(path) => format!("{} {}", old.state, printable(path)),
        None => format!("{} {}", old.state, SocketAddr::new(old.address, old.port)),
    };
    if let Some(device) = &old.device {
        text += &say!(" on {device}", "（网络接口 {device}）");
    }
    if let Some(peer) = old.peer {
        text += &format!(" - {peer}");
    }
    if !old.has_process {
        text += words!(", no process", "，没有进程");
    }
    if let Some(seconds) = old.seconds_left {
        text += &say!(", {seconds} s left", "，还剩 {seconds} 秒");
    }
    let own = old.processes.iter().find(|holder| holder.pid == failure.pid);
    if let Some(own) = own {
        text += &say!(
            ", this same process, {descriptors}",
            "，属于本进程，{descriptors}",
            descriptors = descriptors(own)
        );
        match &old.bound {
            Some(bound) if bound.pid == failure.pid => {
                text +=
                    &say!(", bound {ago} ago", "，{ago}前绑定", ago = ago(bound.milliseconds_ago));
            }
            Some(bound) => {
                text += &say!(
                    ", inherited: process {pid} bound it {ago} ago",
                    "，是继承来的：进程 {pid} 在 {ago}前绑定了它",
                    pid = bound.pid,
                    ago = ago(bound.milliseconds_ago)
                );
            }
            None => {}
        }
        let others = old.processes.len() - 1;
        if others > 0 {
            text += &match others {
                1 => say!(", and one more process has it", "；另外还有 1 个进程持有它"),
                _ => {
                    say!(
                        ", and {others} more processes have it",
                        "；另外还有 {others} 个进程持有它"
                    )
                }
            };
        }
    }
    let options =
        [(SocketOption::ReuseAddr, old.reuseaddr), (SocketOption::ReusePort, old.reuseport)];
    let is_of_interest = |(option, is_on): &(SocketOption, Option<bool>)| {
        // An option that neither has says nothing.
        *option == SocketOption::ReuseAddr
            || *is_on == Some(true)
            || failure.subject.reuseport == Some(true)
    };
    let options: Vec<String> = options
        .into_iter()
        .filter(|option| own.is_none() && is_of_interest(option))
        .filter_map(|(option, is_on)| Some(option_is(option.name(), Some(is_on?))))
        .collect();
    if !options.is_empty() {
        text += &format!("{}{}", words!(": ", "："), options.join(words!(", ", "，")));
    }
    if own.is_some() {
        return text;
    }
    let mut holders: Vec<String> = Vec::new();
    const SHOWN: usize = 3;
    for holder in old.processes.iter().take(SHOWN) {
        let mut its = say!(
            "{name} ({pid}), {descriptors}",
            "{name}（{pid}），{descriptors}",
            name = holder.name,
            pid = holder.pid,
            descriptors = descriptors(holder)
        );
        if let Some(related) = failure.relation(holder.pid) {
            its += &format!("{}{}", words!(", ", "，"), relation(related));
        }
        holders.push(its);
    }
    if old.processes.len() > SHOWN {
        let count = old.processes.len() - SHOWN;
        holders.push(say!("{count} more", "另外 {count} 个进程"));
    }
    if holders.is_empty() {
        if old.has_process {
            text += &match &old.user {
                Some(owner) => say!(
                    ". Its process cannot be seen (user {user})",
                    "。看不到它的进程（用户 {user}）",
                    user = user(owner)
                ),
                None => say!(". Its process cannot be seen", "。看不到它的进程"),
            };
        }
        return text;
    }
    text += &format!("{}{}", words!(". ", "。"), holders.join(words!("; ", "；")));
    match &old.bound {
        Some(bound) if !bound.still_has_it => {
            text += &say!(
                ", has inherited it; {pid} bound it {ago} ago and has closed its own",
                "，是继承来的；进程 {pid} 在 {ago}前绑定了它，自己那一份已经关闭",
                pid = bound.pid,
                ago = ago(bound.milliseconds_ago)
            );
        }
        Some(bound) => {
            text += &say!(", bound {ago} ago", "，{ago}前绑定", ago = ago(bound.milliseconds_ago));
        }
        None => {}
    }
    if old.left_out > 0 {
        text += &say!(
            ". Not looked at: other processes ({count}); one of them may have it, too",
            "。还有 {count} 个进程未检查，其中可能也有进程持有它",
            count = old.left_out
        );
    }
    text
}

/// How many sockets in the way are not named.
pub(super) fn more(count: usize) -> String {
    match count {
        1 => say!("and one more", "还有 1 个套接字"),
        _ => say!("and {count} more", "还有 {count} 个套接字"),
    }
}

/// The connections to one destination, by state.
pub(super) fn connections(old: &[Obstacle]) -> Option<String> {
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for socket in old {
        *states.entry(socket.state).or_default() += 1;
    }
    let peer = old.first()?.peer?;
    let states: Vec<String> =
        states.iter().map(|(state, count)| say!("{count} {state}", "{count} 条 {state}")).collect();
    let states = states.join(words!(", ", "，"));
    Some(say!("connections to {peer}: {states}", "到 {peer} 的连接：{states}"))
}

fn count_of_ports(count: usize) -> String {
    match count {
        1 => say!("1 port", "1 个端口"),
        _ => say!("{count} ports", "{count} 个端口"),
    }
}

/// The condition in a sentence, and the kernel's function.
pub(super) fn reason(explanation: &Explanation) -> Option<String> {
    let failure = explanation.failure;
    let subject = &failure.subject;
    let is_udp = subject.protocol == Protocol::Udp;
    let first = explanation.in_the_way.first();
    let function = if is_udp { "udp_lib_lport_inuse" } else { "inet_bind_conflict" };
    let state = first.map_or("", |old| old.state);
    let left = || match first {
        Some(old) if !old.has_process => {
            say!("The server that left this {state}", "留下这条 {state} 的服务器")
        }
        _ => say!("The old socket", "旧套接字"),
    };
    let text = match explanation.reason.as_ref()? {
        Reason::Listens if subject.reuseaddr == Some(true) => say!(
            "The old socket listens. SO_REUSEADDR does not go past a listener ({function}).",
            "旧套接字正在监听：SO_REUSEADDR 对监听套接字不起作用（{function}）。"
        ),
        Reason::Listens => say!(
            "The old socket listens. SO_REUSEADDR would not go past it ({function}).",
            "旧套接字正在监听：设置了 SO_REUSEADDR 也绑定不了（{function}）。"
        ),
        Reason::OldLacksOption { several: false } => say!(
            "Both must have SO_REUSEADDR. {left} did not ({function}).",
            "双方都要有 SO_REUSEADDR，而{left}没有（{function}）。",
            left = left()
        ),
        Reason::OldLacksOption { several: true } => say!(
            "Both must have SO_REUSEADDR. At least one of the servers that left these did not \
             ({function}).",
            "双方都要有 SO_REUSEADDR，而留下这些连接的服务器里至少有一个没有（{function}）。"
        ),
        Reason::NewLacksOption => say!(
            "Both must have SO_REUSEADDR. The old one has it, this socket does not ({function}).",
            "双方都要有 SO_REUSEADDR：旧套接字有，本套接字没有（{function}）。"
        ),
        Reason::BothLackOption => say!(
            "Both must have SO_REUSEADDR. Neither has it ({function}).",
            "双方都要有 SO_REUSEADDR，而现在双方都没有（{function}）。"
        ),
        Reason::NewLacksOptionOldUnknown => say!(
            "Both must have SO_REUSEADDR. This socket does not ({function}).",
            "双方都要有 SO_REUSEADDR，而本套接字没有（{function}）。"
        ),
        Reason::OtherUser => say!(
            "Both have SO_REUSEPORT, but their users differ ({function}).",
            "双方都有 SO_REUSEPORT，但属于不同的用户（{function}）。"
        ),
        Reason::Unknown => say!(
            "It depends on what this user cannot read.",
            "无法确定：取决于当前用户读不到的信息。"
        ),
        Reason::Gone => say!(
            "No socket that the kernel lists now explains it. The one that was in the way has gone \
             meanwhile, or a policy refuses.",
            "从内核现在列出的套接字看不出原因：冲突的套接字可能已经消失，也可能是被策略拒绝。"
        ),
        Reason::NoPortLeft { first, last, ports } => say!(
            "The program leaves the choice to the kernel, which found no free port in {first}-{last}: \
             {count}, the reserved ones left out ({any}).",
            "程序让内核选端口，而 {first} 到 {last} 之间，除去保留端口，共有 {count}，\
             没有空闲的（{any}）。",
            count = count_of_ports(*ports),
            any = if is_udp { "udp_lib_get_port" } else { "inet_csk_find_open_port" }
        ),
        Reason::NoPortToDestination { first, last, ports, count } => say!(
            "Each connection to one destination has a port of its own, and connect takes one of \
             {first}-{last}: {all}, {connections}{others} (__inet_hash_connect).",
            "到同一目的地的连接各占一个端口，connect 在 {first} 到 {last} 之间选：共 {all}，\
             已有 {connections}{others}（__inet_hash_connect）。",
            all = count_of_ports(*ports),
            connections = match count {
                1 => say!("1 connection", "1 条连接"),
                _ => say!("{count} connections", "{count} 条连接"),
            },
            others = match count < ports {
                true =>
                    words!(", and bound sockets have others", "，另一些端口由已绑定的套接字占用"),
                false => "",
            }
        ),
        Reason::NoSource { ip } => say!(
            "No address of this network namespace leads to {ip}, as where IPv6 is off \
             (ipv6_dev_get_saddr).",
            "本网络命名空间里没有可用来访问 {ip} 的源地址，IPv6 关闭时就会这样（\
             ipv6_dev_get_saddr）。"
        ),
        Reason::Tentative { ip, has_failed: false } => say!(
            "{ip} is there, but still tentative: the kernel checks that no other machine has it \
             (duplicate address detection).",
            "{ip} 已经配置，但还处于 tentative 状态：内核还在检测有没有别的机器使用它（重复地址检测）。"
        ),
        Reason::Tentative { ip, has_failed: true } => say!(
            "{ip} is there, but duplicate address detection has failed: another machine has it.",
            "{ip} 已经配置，但没有通过重复地址检测：另一台机器也在用它。"
        ),
        Reason::OtherInterface { ip } => say!(
            "{ip} is an address of another interface than the one that was named.",
            "地址 {ip} 属于另一个网络接口，不是程序指定的那个。"
        ),
        Reason::SameConnection => say!(
            "A connection with the same four-tuple exists already (__inet_check_established).",
            "四元组相同的连接已经存在（__inet_check_established）。"
        ),
        Reason::NotThisMachine { ip } => say!(
            "No interface of this network namespace has the address {ip} ({function}).",
            "本网络命名空间里的网络接口都没有配置地址 {ip}（{function}）。",
            function = if subject.is_ipv6 == Some(true) { "inet6_bind" } else { "inet_bind" }
        ),
        Reason::Privileged { first } => say!(
            "A port below {first} needs CAP_NET_BIND_SERVICE (ip_unprivileged_port_start).",
            "绑定小于 {first} 的端口需要 CAP_NET_BIND_SERVICE（ip_unprivileged_port_start）。"
        ),
        Reason::Broadcast => say!(
            "A broadcast address needs SO_BROADCAST, which is off (ip4_datagram_connect).",
            "广播地址需要 SO_BROADCAST，而它没有开启（ip4_datagram_connect）。"
        ),
        Reason::BoundAlready { local: Some(local) } => say!(
            "This socket is bound to {local} already, and a socket binds once (inet_bind).",
            "本套接字已经绑定了 {local}，一个套接字只能绑定一次（inet_bind）。"
        ),
        Reason::BoundAlready { local: None } => say!(
            "This socket is bound already, and a socket binds once (unix_bind).",
            "本套接字已经绑定，一个套接字只能绑定一次（unix_bind）。"
        ),
        Reason::NotBound => say!(
            "A Unix socket listens at a path, and this one is not bound (unix_listen).",
            "Unix 套接字要先绑定路径才能监听，而本套接字没有绑定（unix_listen）。"
        ),
        Reason::Length { given, needed } => say!(
            "The address is {given} bytes long, and its family needs {needed}.",
            "传入的地址长 {given} 字节，而这个地址族需要 {needed} 字节。"
        ),
        Reason::TooLong { given, needed } => say!(
            "The address is {given} bytes long, and a Unix socket's has {needed} at most: 108 for the \
             path (unix_validate_addr).",
            "传入的地址长 {given} 字节，而 Unix 套接字的地址最长 {needed} 字节，其中路径占 108 字节\
             （unix_validate_addr）。"
        ),
        Reason::NoScope { ip } => say!(
            "{ip} is link-local: without its interface (sin6_scope_id) it says nothing.",
            "{ip} 是链路本地地址：必须指明网络接口（sin6_scope_id）。"
        ),
        Reason::Connected => say!(
            "This socket is connected, or is connecting, and so it cannot listen ({function}).",
            "本套接字已经连接，或者正在连接，所以不能监听（{function}）。",
            function = match explanation.failure.subject.protocol {
                Protocol::Unix => "unix_listen",
                _ => "inet_listen",
            }
        ),
        Reason::OtherFamily => say!(
            "This socket is of IPv6, and the address of IPv4 (AF_INET).",
            "本套接字是 IPv6 的，而传入的地址是 IPv4 的（AF_INET），地址族不匹配。"
        ),
        Reason::NoGroup { ip } => say!(
            "{ip} is a multicast address, and TCP has no groups (__inet6_bind).",
            "{ip} 是多播地址，而 TCP 不支持多播（__inet6_bind）。"
        ),
        Reason::LoopbackSource { source } => say!(
            "The socket is bound to {source}, from which nothing leads to another machine \
             (__mkroute_output).",
            "本套接字绑定了 {source}，从这个地址到不了别的机器（__mkroute_output）。"
        ),
        Reason::MappedAlone => say!(
            "The address is a mapped one of IPv4, and IPV6_V6ONLY keeps this socket from it (inet6_bind).",
            "这个地址是 IPv4 映射地址，而本套接字开启了 IPV6_V6ONLY，只能使用 IPv6（\
             inet6_bind）。"
        ),
        Reason::PathTaken { listens: true } => say!(
            "A Unix socket makes its path, and the path is there: a process has it (unix_bind_bsd).",
            "Unix 套接字绑定时要在这个路径上创建文件，而文件已经存在，\
             还有进程在用（unix_bind_bsd）。"
        ),
        Reason::PathTaken { listens: false } => say!(
            "A Unix socket makes its path, and the path is there. No process has it: it was left \
             behind (unix_bind_bsd).",
            "Unix 套接字绑定时要在这个路径上创建文件，而文件已经存在。没有进程在用，\
             是残留下来的（unix_bind_bsd）。"
        ),
        Reason::PathUnknown => say!(
            "A Unix socket makes its path, and the path is there (unix_bind_bsd). This user cannot find \
             out whether a process has it.",
            "Unix 套接字绑定时要在这个路径上创建文件，而文件已经存在（unix_bind_bsd）。\
             当前用户查不出还有没有进程在用。"
        ),
        Reason::PathIsFile => say!(
            "A Unix socket makes its path, and a file of another kind is there (unix_bind_bsd).",
            "Unix 套接字绑定时要在这个路径上创建文件，而那里已有别的文件（unix_bind_bsd）。"
        ),
        Reason::PathIsLink => say!(
            "A Unix socket makes its path, and does not follow the symbolic link that is there \
             (unix_bind_bsd).",
            "Unix 套接字绑定时要在这个路径上创建文件，而那里已有一个符号链接，bind 不会跟随它\
             （unix_bind_bsd）。"
        ),
        Reason::NameTaken => say!(
            "An abstract name belongs to one socket (unix_bind_abstract).",
            "一个抽象名只能属于一个套接字（unix_bind_abstract）。"
        ),
        Reason::Permission { path, is_folder: true } => say!(
            "bind makes the file, and this user may not write in {path}.",
            "bind 要创建文件，而这个用户对 {path} 没有写权限。",
            path = printable(path)
        ),
        Reason::Permission { path, is_folder: false } => say!(
            "connect needs write permission for {path}, and for each folder on the way to enter it.",
            "connect 需要 {path} 的写权限，以及路径上每个目录的搜索权限（x）。",
            path = printable(path)
        ),
        Reason::Policy => say!(
            "No socket refuses this, a policy does: a security module, a cgroup's BPF program, \
             Landlock, a packet filter, or a route (prohibit).",
            "拒绝的原因不是套接字冲突，而是策略：安全模块、cgroup 的 BPF 程序、Landlock、\
             包过滤规则，或者路由（prohibit）。"
        ),
    };
    let is_of_options = matches!(
        explanation.reason,
        Some(
            Reason::OldLacksOption { .. }
                | Reason::NewLacksOption
                | Reason::BothLackOption
                | Reason::NewLacksOptionOldUnknown
        )
    );
    let or_share = match is_of_options && explanation.would_help[1] == Some(true) {
        true => words!(
            " Or both must have SO_REUSEPORT, of one user: the old one has it.",
            "或者双方都有 SO_REUSEPORT，而且属于同一个用户：旧套接字已经有了。"
        ),
        false => "",
    };
    Some(text + or_share)
}

/// What the program does wrong, where the calls show it and the help does not say it anyway.
pub(super) fn mistakes(explanation: &Explanation) -> Vec<String> {
    let new = explanation.failure.subject.descriptor;
    let say = |mistake: &Mistake| match mistake {
        Mistake::OptionElsewhere { option, descriptor, is_enough } => Some(say!(
            "{option} is set on descriptor {descriptor}, another socket. bind was called on {new}: {there}",
            "{option} 设置在文件描述符 {descriptor} 上，那是另一个套接字。\
             调用 bind 的是 {new}：{there}",
            option = option.name(),
            there = match is_enough {
                true => words!("set it there.", "应当设置在这里。"),
                false => words!("there it would not be enough.", "就算设置在这里，也还不够。"),
            }
        )),
        Mistake::TwoFamilies { .. } => Some(say!(
            "A socket at :: takes IPv4, too, if IPV6_V6ONLY is off.",
            "IPV6_V6ONLY 未开启时，:: 上的套接字也接受 IPv4。"
        )),
        _ => None,
    };
    explanation.mistakes.iter().filter_map(say).collect()
}

/// Descriptors, by their numbers.
fn those(descriptors: &[i32]) -> String {
    let numbers: Vec<String> = descriptors.iter().map(i32::to_string).collect();
    let numbers = numbers.join(words!(", ", "、"));
    match descriptors.len() {
        1 => say!("descriptor {numbers}", "{numbers}"),
        _ => say!("descriptors {numbers}", "{numbers}"),
    }
}

/// What helps, in a sentence or two.
pub(super) fn help(help: &Help, explanation: &Explanation) -> String {
    let new = explanation.failure.subject.descriptor;
    let protocol = explanation.failure.subject.protocol;
    match help {
        Help::BindOnceShared { descriptors } => say!(
            "Bind once. Closing {those} is not enough: other processes have the same socket.",
            "只绑定一次。关闭文件描述符 {those} 还不够：别的进程也持有同一个套接字。",
            those = those(descriptors)
        ),
        Help::CloseFirst { descriptors } => {
            say!("Close {those} first.", "先关闭文件描述符 {those}。", those = those(descriptors))
        }
        Help::BindPathOnce => say!(
            "Bind once. Closing the first socket leaves the path: unlink(2) removes it.",
            "只绑定一次。第一个套接字关闭之后，路径仍然存在：要用 unlink(2) 删除。"
        ),
        Help::UseInherited { descriptor } => say!(
            "This process has inherited it: use descriptor {descriptor}, without bind.",
            "本进程已经继承了这个套接字：直接使用文件描述符 {descriptor}，不要再 bind。"
        ),
        Help::OneUser => say!("Run both as one user.", "让双方以同一用户的身份运行。"),
        Help::BindOnce { descriptors } => say!(
            "Bind once, or close {those} first.",
            "只绑定一次，或者先关闭文件描述符 {those}。",
            those = those(descriptors)
        ),
        Help::V6Only { descriptor } if *descriptor == new => say!(
            "Set IPV6_V6ONLY on descriptor {descriptor} before its bind, or leave the other out.",
            "在文件描述符 {descriptor} 上，bind 之前先设置 IPV6_V6ONLY，或者去掉另一次 bind。"
        ),
        Help::V6Only { descriptor } => say!(
            "Set IPV6_V6ONLY on descriptor {descriptor} before its bind, or leave this bind out.",
            "在文件描述符 {descriptor} 上，bind 之前先设置 IPV6_V6ONLY，或者去掉这次 bind。"
        ),
        Help::BindInOne if protocol == Protocol::Unix => say!(
            "Let one process bind the path, and the others inherit the socket.",
            "只让一个进程绑定路径，其余进程继承这个套接字。"
        ),
        Help::BindInOne => say!(
            "Let one process bind, and the others inherit the socket.",
            "只让一个进程绑定，其余进程继承这个套接字。"
        ),
        Help::ParentHasIt => say!(
            "The parent has the port: let this process use what it inherits, or set SO_REUSEPORT in \
             both before bind.",
            "父进程占用了端口：让本进程使用继承来的套接字，或者双方都在 bind 之前设置 \
             SO_REUSEPORT。"
        ),
        Help::SiblingHasIt => say!(
            "This command starts two that bind the same port. Let one process bind, and the others \
             inherit the socket; or set SO_REUSEPORT in each before bind.",
            "这条命令启动了两个进程，绑定同一个端口。只让一个进程绑定，其余进程继承这个套接字；\
             或者每个都在 bind 之前设置 SO_REUSEPORT。"
        ),
        Help::Stop { command, above: Some(Who { pid: Some(pid), name: Some(name) }), .. } => say!(
            "{command}. Of that, process {pid} ({name}) has started this session, which may end with it.",
            "停掉占用者：{command}。注意：其中的进程 {pid}（{name}）启动了当前会话，停掉它，\
             当前会话可能也会结束。",
            command = whole(command)
        ),
        Help::Stop { command, parent: Some(Who { pid: Some(pid), name: Some(name) }), .. } => say!(
            "{command}. Process {pid} ({name}), which has started it, may start it again.",
            "停掉占用者：{command}。启动它的进程 {pid}（{name}）可能会再次启动它。",
            command = whole(command)
        ),
        Help::Stop { command, .. } => {
            say!("{command}.", "停掉占用者：{command}。", command = whole(command))
        }
        Help::SetAfter => say!(
            "Then set SO_REUSEADDR before bind: what is left of the connections has it, too.",
            "然后在 bind 之前设置 SO_REUSEADDR：连接留下的状态也有这个选项。"
        ),
        Help::Find { command } => say!(
            "Find out what it belongs to, and stop that: {command}.",
            "先查出占用者属于哪个容器、服务或应用，再停掉那一个。用 {command} 查看。",
            command = whole(command)
        ),
        Help::StopContainer => say!(
            "Stop the container, from its host: this process is its process 1.",
            "在宿主机上停掉容器：这个进程是容器的 1 号进程。"
        ),
        Help::WaitAfter => say!(
            "Then wait for what is left of the connection: two minutes at most, if the peer answers.",
            "然后等内核释放残留的连接（例如 TIME_WAIT）：通常不超过两分钟，对端不应答时会更久。"
        ),
        Help::CloseInChild => say!(
            "In the program: close the listener in the child, after fork.",
            "在程序里：fork 之后，子进程要关闭监听套接字。"
        ),
        Help::PrivilegeOutside { command } => say!(
            "Use another port. This capability is a user namespace's, and counts only over network \
             namespaces that were made there; or, as root of the machine: {command}.",
            "这项 capability 属于用户命名空间，只在该用户命名空间里新建的网络命名空间中有效。\
             换一个端口；或者以宿主机的 root 身份运行：{command}。",
            command = whole(command)
        ),
        Help::ShorterPath => say!("Use a shorter path.", "换一个更短的路径。"),
        Help::CloseOnExec => say!(
            "In the program: open the listener with SOCK_CLOEXEC.",
            "在程序里：创建监听套接字时加上 SOCK_CLOEXEC。"
        ),
        Help::SetNow { option } => say!(
            "Set {option} before bind: that is enough now.",
            "在 bind 之前设置 {option}：现在就能成功。",
            option = option.name()
        ),
        Help::Wait { seconds: left, once: true } => say!(
            "Wait {left}, once: what this server leaves will have it.",
            "等 {left}，只此一次：以后这个服务器留下的连接都有这个选项。",
            left = seconds(*left)
        ),
        Help::Wait { seconds: left, once: false } => {
            say!("Wait {left}.", "等 {left}。", left = seconds(*left))
        }
        Help::WaitForPeer => say!(
            "Wait until the other end closes, or the kernel gives up.",
            "等对端关闭，或者等内核超时放弃。"
        ),
        Help::SetBoth => say!(
            "For the next time: set SO_REUSEADDR before bind, in each server that uses this port.",
            "为了以后能立刻重启：使用这个端口的每个服务器，都要在 bind 之前设置 SO_REUSEADDR。"
        ),
        Help::OwnAddress { command } => say!(
            "Bind one of this machine's addresses ({command}), or {any}.",
            "绑定本机的某个地址（用 {command} 查看），或者 {any}。",
            any = match explanation.failure.subject.is_ipv6 {
                Some(true) => "::",
                _ => "0.0.0.0",
            },
            command = whole(command)
        ),
        Help::Addresses { command } => {
            say!(
                "Look at the addresses: {command}.",
                "查看地址：{command}。",
                command = whole(command)
            )
        }
        Help::TakeAddress { command } => say!(
            "Take it from the other machine, and then delete it here and add it again ({command} shows \
             it); or set IPV6_FREEBIND.",
            "从另一台机器上删除这个地址，再在本机删除并重新添加（地址状态用 {command} 查看）；\
             或者设置 IPV6_FREEBIND。",
            command = whole(command)
        ),
        Help::Settle { command } => say!(
            "Wait until it is no longer tentative ({command} shows it), or set IPV6_FREEBIND.",
            "等这个地址不再处于 tentative 状态（用 {command} 查看），或者设置 IPV6_FREEBIND。",
            command = whole(command)
        ),
        Help::ChooseLater => say!(
            "If connect follows, set IP_BIND_ADDRESS_NO_PORT before bind.",
            "如果接着调用 connect，就在 bind 之前设置 IP_BIND_ADDRESS_NO_PORT。"
        ),
        Help::KeepOpen => {
            say!("Keep connections open and use them again.", "使用长连接，复用已有的连接。")
        }
        Help::Widen { command } => say!(
            "Widen the range: {command}.",
            "扩大端口范围：{command}。",
            command = whole(command)
        ),
        Help::WidenOwn => say!(
            "Widen the socket's own range: IP_LOCAL_PORT_RANGE.",
            "用 IP_LOCAL_PORT_RANGE 选项扩大本套接字自己的端口范围。"
        ),
        Help::Privilege { command } => say!(
            "Use another port, give the program the capability (setcap \
             cap_net_bind_service=+ep FILE), or: {command}.",
            "换一个端口；或者给程序文件加上这项 capability（setcap cap_net_bind_service=+ep FILE）；\
             或者允许所有用户绑定这个端口：{command}。",
            command = whole(command)
        ),
        Help::NoNewPrivs => say!(
            "The program's file has capabilities, which are void while an ordinary user traces: run \
             bindtable why as root.",
            "程序文件带有 capability，跟踪者是普通用户时不生效：\
             请以 root 身份运行 bindtable why。"
        ),
        Help::SetBroadcast => {
            say!("Set SO_BROADCAST before connect.", "在 connect 之前设置 SO_BROADCAST。")
        }
        Help::NewSocket => say!("Use a new socket.", "改用新的套接字。"),
        Help::OtherSource => say!(
            "Leave bind out: then connect chooses the address.",
            "去掉这次 bind，由 connect 选择源地址。"
        ),
        Help::NotAGroup => say!(
            "Bind an address of this machine, or ::; or use a socket of UDP.",
            "绑定本机的地址或者 ::；需要多播就改用 UDP 套接字。"
        ),
        Help::Mapped { ip } => say!(
            "Use ::ffff:{ip} in a sockaddr_in6, or a socket of AF_INET.",
            "用 sockaddr_in6 传入 ::ffff:{ip}，或者改用 AF_INET 套接字。"
        ),
        Help::OtherPort => say!(
            "Bind another port, or leave bind out: then connect chooses.",
            "绑定别的端口，或者不 bind，由 connect 选端口。"
        ),
        Help::BindFirst => say!("Call bind before listen.", "先调用 bind，再调用 listen。"),
        Help::Scope => say!(
            "Name the interface: sin6_scope_id, as in fe80::1%eth0.",
            "指明网络接口：sin6_scope_id，例如 fe80::1%eth0。"
        ),
        Help::Unlink { path } => {
            match path.clone().map(Outside::from).as_ref().and_then(Outside::quoted) {
                Some(path) => say!(
                    "Remove it: {remove}. In the program: unlink(2) before bind.",
                    "删除它：{remove}。程序里，应当在 bind 之前先调用 unlink(2)。",
                    remove = whole(&format!("rm {path}"))
                ),
                None => say!(
                    "Remove it. In the program: unlink(2) before bind.",
                    "删除它。程序里，应当在 bind 之前先调用 unlink(2)。"
                ),
            }
        }
        Help::UnlinkAsRoot { path } => match Outside::from(&**path).quoted() {
            Some(path) => say!(
                "This user may not remove it: as root, {remove}. Or use another path.",
                "当前用户无权删除它，请以 root 身份删除：{remove}；或者换一个路径。",
                remove = whole(&format!("rm {path}"))
            ),
            None => say!(
                "This user may not remove it, and root may. Or use another path.",
                "当前用户无权删除它，请以 root 身份删除，或者换一个路径。"
            ),
        },
        Help::UnlinkThere { path } => say!(
            "Remove {path} where this program runs, in its mount namespace. In the program: unlink(2) \
             before bind.",
            "在这个程序所在的挂载命名空间里删除 {path}。程序里，应当在 bind 之前先调用 unlink(2)。",
            path = printable(path)
        ),
        Help::ClearV6Only => say!(
            "Clear IPV6_V6ONLY before bind, or use a socket of IPv4.",
            "bind 之前关闭 IPV6_V6ONLY，或者改用 IPv4 的套接字。"
        ),
        Help::OtherPath => say!("Use another path.", "换一个路径。"),
        Help::Policy => say!(
            "Look at the logs: ausearch -m avc; journalctl -k | grep -i apparmor; systemctl show -p \
             SocketBindDeny,IPAddressDeny UNIT; nft list ruleset.",
            "查看日志：ausearch -m avc；journalctl -k | grep -i apparmor；systemctl show -p \
             SocketBindDeny,IPAddressDeny UNIT；nft list ruleset。"
        ),
        Help::Again { command } => say!(
            "Start it again. If it still fails: {command}.",
            "重新启动一次。如果仍然失败，就运行：{command}。",
            command = whole(command)
        ),
        Help::AsRoot => say!("Run bindtable why as root.", "请以 root 身份运行 bindtable why。"),
    }
}

// The commands that are advised; none is ever run.

pub(super) fn privilege_command(port: u16) -> String {
    format!("sysctl net.ipv4.ip_unprivileged_port_start={port}")
}
