//! What helps, easiest first. No command is run.

use super::cases::engine;
use super::finding::{
    Can, Case, Engine, Finding, Help, IfStill, ServerOption, Socket, Status, Unseen, User, Who, Why,
};
use super::holders::{self, Holder, variable};
use super::supervisors;
use super::target::{self, Question, Target, reserved_ports};
use crate::kernel::Proto;
use crate::language::Language;
use crate::printable::Outside;
use crate::sockets::State;
use std::os::unix::fs::MetadataExt;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// Says what helps.
pub fn advise(finding: &mut Finding) {
    let mut help = Vec::new();
    if finding.status == Status::InUse {
        against_sockets(finding, &mut help);
    }
    let Question { target, probe, .. } = &finding.question;
    for case in &finding.cases {
        let helps = match case {
            Case::Privileged { .. } => Help::Privilege {
                command: format!("sysctl net.ipv4.ip_unprivileged_port_start={}", target.port),
            },
            Case::NotThisMachine { .. } | Case::OtherInterface { .. } => {
                Help::OwnAddress { command: "ip -brief address".to_owned() }
            }
            Case::Tentative { has_failed, .. } => {
                let command = "ip -6 address show".to_owned();
                Help::Settle { command, has_failed: *has_failed }
            }
            Case::Policy { .. } => find_policy(),
            _ => continue,
        };
        if !help.contains(&helps) {
            help.push(helps);
        }
    }
    // Where each socket is listed, what refuses is none.
    let is_unseen = finding.verdicts.iter().any(|verdict| verdict.why == Some(Why::Unseen));
    if is_unseen && !finding.unseen.contains(&Unseen::Bound) && !help.contains(&find_policy()) {
        help.push(find_policy());
    }
    if finding.status == Status::Free {
        finding.if_still = if_still(&finding.question);
    }
    let is_unknown = finding.verdicts.iter().any(|verdict| verdict.can == Can::Unknown);
    if is_unknown && !probe {
        help.extend(finding.question.with_probe().map(|command| Help::Ask { command }));
    }
    finding.help = help;
}

fn find_policy() -> Help {
    let command = "ausearch -m avc -ts recent; journalctl -k -g apparmor; bpftool cgroup tree; grep \
                   Seccomp /proc/self/status";
    Help::FindPolicy { command: command.to_owned() }
}

/// What helps where a socket is in the way.
fn against_sockets(finding: &Finding, help: &mut Vec<Help>) {
    let question = &finding.question;
    let in_the_way: Vec<&Socket> =
        finding.in_the_way.iter().map(|at| &finding.sockets[*at]).collect();
    let nobody_has_it = !in_the_way.is_empty() && in_the_way.iter().all(|socket| !socket.has_inode);
    let options = [ServerOption::ReuseAddr, ServerOption::ReusePort];
    let set_now = options.into_iter().find(|option| finding.lets_in(*option));
    let set_now = set_now.map(|option| Help::SetNow { option });
    if nobody_has_it {
        help.extend(set_now.clone());
    }
    help.extend(free_address(finding));
    let own = holders::ancestors(std::process::id().cast_signed());
    let stop = stop(question, &own, &in_the_way);
    let is_stopped = stop.is_some();
    help.extend(stop);
    // What a process has of a connection stays for a while when that ends, unless the peer has closed.
    let open = |socket: &&&Socket| {
        let is_half = socket.state == State::CloseWait;
        socket.is_connection() && !is_half && !socket.processes.is_empty()
    };
    let open: Vec<&&Socket> = in_the_way.iter().filter(open).collect();
    if is_stopped && question.proto == Proto::Tcp && !open.is_empty() {
        let had_option = open.iter().all(|socket| socket.reuseaddr == Some(true));
        help.push(Help::WaitAfter { had_option });
    }
    if nobody_has_it {
        help.push(wait(&in_the_way));
    } else {
        help.extend(set_now);
    }
    // It helps neither against a listener, nor against a client's connection.
    let is_outgoing = finding
        .cases
        .iter()
        .any(|case| matches!(case, Case::Outgoing { .. } | Case::SelfConnect { .. }));
    let are_connections = in_the_way.iter().all(|socket| socket.is_connection());
    let lack_it = in_the_way.iter().any(|socket| socket.all_have[0] != Some(true));
    if question.proto == Proto::Tcp && are_connections && lack_it && !is_outgoing {
        help.push(Help::SetBoth);
    }
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    if question.target.ip == Some(any) && finding.v6only_helps() {
        help.push(Help::V6Only);
    }
    let outside = question.ephemeral_range();
    help.push(Help::OtherPort { outside });
    if outside.is_some() {
        help.push(reserve(question.target.port));
    }
}

/// What nobody has goes by itself.
fn wait(in_the_way: &[&Socket]) -> Help {
    match in_the_way.iter().filter_map(|socket| socket.seconds_left).max() {
        Some(seconds) if in_the_way.iter().all(|socket| socket.record) => {
            let peer_is_open = in_the_way.iter().any(|socket| socket.state == State::FinWait2);
            Help::Wait { seconds, peer_is_open }
        }
        _ => Help::WaitForPeer,
    }
}

fn reserve(port: u16) -> Help {
    let others = match &reserved_ports()[..] {
        "" => String::new(),
        ports => format!("{ports},"), // the new value takes the place of the old one
    };
    Help::Reserve { command: format!("sysctl net.ipv4.ip_local_reserved_ports={others}{port}") }
}

/// An address that a server without an option may bind right now: in place of a specific one another
/// specific one.
fn free_address(finding: &Finding) -> Option<Help> {
    let is_resolved = |socket: &Socket| {
        let is_it = |holder: &Holder| holder.name.raw() == "systemd-resolve";
        socket.processes.iter().any(is_it)
    };
    let Question { target, .. } = &finding.question;
    if target.port == 53 && finding.sockets.iter().any(is_resolved) {
        let file = "/etc/systemd/resolved.conf.d/no-stub.conf";
        return Some(Help::Resolved {
            command: format!(
                "mkdir -p /etc/systemd/resolved.conf.d && printf \
                 '[Resolve]\\nDNSStubListener=no\\n' > {file} && systemctl restart \
                 systemd-resolved"
            ),
        });
    }
    let is_wanted = |ip: IpAddr| {
        Some(ip) != target.ip
            && target.ip.is_none_or(|it| it.is_unspecified() || !ip.is_unspecified())
    };
    let free = finding.verdicts.iter().filter(|verdict| {
        verdict.option == ServerOption::Nothing
            && verdict.can == Can::Yes
            && is_wanted(verdict.address)
    });
    let address = free.map(|verdict| verdict.address).max_by_key(IpAddr::is_unspecified)?;
    Some(Help::BindAddress { address })
}

/// What stops what holds the port, asked by a process with its ancestors `own`.
pub fn stop<'a>(
    question: &Question,
    own: &BTreeSet<i32>,
    in_the_way: &[&'a Socket],
) -> Option<Help> {
    let listeners = in_the_way.iter().copied().filter(|socket| !socket.is_connection());
    let (port, proto) = (question.target.port, question.proto);
    let of_listener = |it: &'a Socket| {
        let engines = it.processes.iter().filter_map(move |holder| engine(holder, port));
        engines.map(|engine| (engine, it.user.as_ref()))
    };
    let published = format!("--filter publish={port}/{}", proto.name());
    match listeners.flat_map(of_listener).next() {
        Some((Engine::Swarm, _)) => {
            Some(Help::Find { command: format!("docker ps {published}; docker service ls") })
        }
        Some((engine, its)) => {
            let engine = if engine == Engine::Podman { "podman" } else { "docker" };
            let stop = format!("{engine} stop $({engine} ps -q {published})");
            let command = of_its_user(stop, its, &question.user);
            Some(Help::Stop { command, parent: None, above: None })
        }
        None => {
            let kind = if proto == Proto::Udp { "Datagram" } else { "Stream" };
            let is_listed = format!("$1 ~ /:{port}$/ && $2 == \"{kind}\"");
            // The sessions of sshd may stay: they let in who has SO_REUSEADDR, as sshd itself does.
            let is_sshd = |holder: &Holder| holder.name.raw().starts_with("sshd");
            let is_session = |it: &Socket| {
                let had_it = it.reuseaddr == Some(true);
                it.is_connection() && had_it && it.processes.iter().all(is_sshd)
            };
            let others = in_the_way.iter().filter(|socket| !is_session(socket));
            let mut holders: BTreeSet<&Holder> =
                others.flat_map(|socket| &socket.processes).collect();
            // What a worker has of a connection is not its master's.
            let has_listener = in_the_way.iter().any(|socket| !socket.is_connection());
            let master = has_listener.then(|| master(&holders)).flatten();
            holders.extend(&master);
            stop_processes(&question.user, own, &holders, &is_listed)
        }
    }
}

/// What stops the processes, asked by `user` and a process with its ancestors `own`. If systemd itself is one of them,
/// the condition of awk(1) holds for the lines of `systemctl list-sockets --show-types` that are to be stopped.
pub fn stop_processes(
    user: &User,
    own: &BTreeSet<i32>,
    holders: &BTreeSet<&Holder>,
    is_listed: &str,
) -> Option<Help> {
    if holders.is_empty() {
        return None;
    }
    if holders.iter().any(|it| it.pid == 1 && !is_systemd(it) && !ends(it)) {
        return Some(Help::StopContainer);
    }
    let whole = stop_activated(user, holders, is_listed).or_else(|| stop_container(user, holders));
    if let Some(daemon) = supervisors::pm2(holders).filter(|_| whole.is_none()) {
        let its = std::fs::metadata(format!("/proc/{daemon}")).ok();
        let its = its.map(|file| User::new(file.uid()));
        let command = of_its_user("pm2 list".to_owned(), its.as_ref(), user);
        return Some(Help::Find { command });
    }
    let whole =
        whole.or_else(|| supervisors::stop(holders, own)).or_else(|| stop_unit(user, holders));
    let parent = supervisors::starts_again(holders, own).filter(|_| whole.is_none());
    // What listens for sshd leaves the sessions alone.
    let is_above = |it: &&&Holder| {
        let listens = || it.name.raw() == "sshd" && parent_of(it).as_deref() != Some("sshd");
        own.contains(&it.pid) && !is_worker(it, holders) && !listens()
    };
    let above = holders.iter().find(is_above).map(|it| Who::from(*it));
    Some(Help::Stop { command: whole.unwrap_or_else(|| kill(holders)), parent, above })
}

/// The name of its parent.
fn parent_of(it: &Holder) -> Option<String> {
    Some(holders::process(it.parent)?.name.raw().to_owned())
}

/// The engine's command, for root as the user who has started the container: an engine knows its own user's alone.
fn of_its_user(command: String, its: Option<&User>, user: &User) -> String {
    let is_other = |its: &&User| its.uid != 0 && user.uid == 0;
    match its.filter(is_other).and_then(|its| plain(its.name.as_ref()?)) {
        Some(name) => format!("runuser -l -s /bin/sh {name} -c '{command}'"),
        None => command,
    }
}

/// The command that talks to the systemd of the holder's unit.
fn systemctl(user: &User, holder: &Holder) -> String {
    match holder.unit_user.map(User::new) {
        None => "systemctl".to_owned(),
        Some(its) if its.uid == user.uid => "systemctl --user".to_owned(),
        Some(its) => {
            let name = its.name.as_ref().and_then(plain);
            format!("systemctl --user -M {}@", name.unwrap_or(its.uid.to_string().into()))
        }
    }
}

/// Whether SIGTERM reaches it, though it is process 1.
fn ends(holder: &Holder) -> bool {
    holder.handles_term && holder.resists.is_none()
}

fn is_systemd(holder: &Holder) -> bool {
    holder.name.raw() == "systemd"
}

/// The command that stops the socket unit of systemd, and the service that it has started.
fn stop_activated(user: &User, holders: &BTreeSet<&Holder>, is_listed: &str) -> Option<String> {
    let is_here = |holder: &Holder| holder.container.is_none() || !holder.is_elsewhere;
    let systemd = holders.iter().find(|holder| is_systemd(holder) && is_here(holder))?;
    let systemctl = systemctl(user, systemd);
    let others = holders.iter().filter(|holder| !is_systemd(holder));
    let services = others.filter_map(|it| plain(it.unit.as_ref().filter(|it| is_service(it))?));
    let services: BTreeSet<String> = services.map(|unit| format!(" {unit}")).collect();
    Some(format!(
        "{systemctl} stop $({systemctl} list-sockets --no-legend --show-types | awk '{is_listed} {{print $3; \
         if ($4 != \"-\") print $4}}'){}",
        services.into_iter().collect::<String>()
    ))
}

/// The name of a unit or a container as one word for a shell; none where it is no such name: systemctl takes others
/// for patterns (systemctl(1), VALID_CHARS of systemd's unit-name.h).
fn plain(name: &Outside) -> Option<Cow<'_, str>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ":_.\\@-".contains(c);
    let is_name = name.raw().chars().all(is_plain) && !name.raw().starts_with('.');
    name.quoted().filter(|_| is_name)
}

/// Whether it is a service, and not the one in which a user's systemd runs.
fn is_service(unit: &Outside) -> bool {
    unit.raw().ends_with(".service") && !unit.raw().starts_with("user@")
}

/// The command that stops the container, of which the engine is known, from outside.
fn stop_container(user: &User, holders: &BTreeSet<&Holder>) -> Option<String> {
    let containers: BTreeSet<(Option<&Outside>, &str)> =
        holders.iter().map(|holder| (holder.container.as_ref(), &*holder.cgroups)).collect();
    let (container, cgroups) = containers.first().filter(|_| containers.len() == 1)?;
    let container = container.filter(|_| holders.iter().all(|holder| holder.is_elsewhere))?;
    let stop = [
        ("libpod-", "podman stop"),
        ("docker", "docker stop"),
        ("cri-containerd", "crictl stop"),
        ("crio-", "crictl stop"),
        ("lxc.payload.", "lxc-stop -n"),
        ("machine-", "machinectl poweroff"),
        ("systemd-nspawn@", "machinectl poweroff"),
    ];
    let &(_, stop) = stop.iter().find(|(part, _)| cgroups.contains(part))?;
    let container = plain(container)?;
    let unpause = match stop {
        "docker stop" | "podman stop" if holders.iter().any(|it| it.thaw.is_some()) => {
            format!("{}unpause {container}; ", stop.trim_end_matches("stop"))
        }
        _ => String::new(),
    };
    let stop = format!("{unpause}{stop} {container}");
    // The cgroup tells whose engine it is; the user of a process may be one of the container's.
    let its = holders.iter().find_map(|holder| holder.unit_user).map(User::new);
    Some(of_its_user(stop, its.as_ref(), user))
}

/// The command that stops the one service in which all of them run, if its main process is one of
/// them: a session of ssh, a job of cron or the terminal of an editor is no service of theirs.
fn stop_unit(user: &User, holders: &BTreeSet<&Holder>) -> Option<String> {
    let units: BTreeSet<Option<&Outside>> =
        holders.iter().map(|holder| holder.unit.as_ref()).collect();
    let unit = units.first().copied().flatten().filter(|_| units.len() == 1)?;
    if !is_service(unit) || holders.iter().any(|holder| holder.container.is_some()) {
        return None;
    }
    let first = holders.first()?;
    let main = holders::main_of_unit(first)?;
    // systemd.kill(5), systemd.unit(5)
    let files = unit_files(first, unit);
    let is_reached = match setting(&files, "KillMode") {
        Some("none") => false,
        Some("process") => holders.len() == 1,
        _ => true,
    };
    let refuses = setting(&files, "RefuseManualStop").map(str::to_ascii_lowercase);
    let refuses = refuses.is_some_and(|it| ["1", "yes", "y", "true", "t", "on"].contains(&&*it));
    if !is_reached || refuses || !holders.iter().any(|holder| holder.pid == main) {
        return None;
    }
    Some(format!("{} stop {}", systemctl(user, first), plain(unit)?))
}

/// What the holder's unit has in its file, and then in its drop-ins: systemd.unit(5).
fn unit_files(holder: &Holder, unit: &Outside) -> String {
    let folders = match holder.unit_user {
        None => {
            let all = [
                "/etc/systemd/system.control",
                "/run/systemd/system.control",
                "/run/systemd/transient",
                "/run/systemd/generator.early",
                "/etc/systemd/system",
                "/etc/systemd/system.attached",
                "/run/systemd/system",
                "/run/systemd/system.attached",
                "/run/systemd/generator",
                "/usr/local/lib/systemd/system",
                "/usr/lib/systemd/system",
                "/run/systemd/generator.late",
            ];
            all.map(str::to_owned).to_vec()
        }
        Some(uid) => {
            let own = format!("/run/user/{uid}/systemd");
            let home = variable(holder.pid, "HOME=").unwrap_or_default();
            vec![
                format!("{home}/.config/systemd/user.control"),
                format!("{own}/user.control"),
                format!("{own}/transient"),
                format!("{home}/.config/systemd/user"),
                "/etc/systemd/user".to_owned(),
                format!("{own}/user"),
                "/run/systemd/user".to_owned(),
                format!("{home}/.local/share/systemd/user"),
                "/usr/local/lib/systemd/user".to_owned(),
                "/usr/lib/systemd/user".to_owned(),
            ]
        }
    };
    let template = unit.raw().split_once('@').map(|(name, _)| format!("{name}@.service"));
    let names: Vec<String> = std::iter::once(unit.raw().to_owned()).chain(template).collect();
    let files: Vec<String> = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| format!("{folder}/{name}")))
        .collect();
    let own = files.iter().find_map(|file| std::fs::read_to_string(file).ok());
    // Of drop-ins with one name, that of the first folder counts; the last name has the last word.
    let mut drop_ins = BTreeMap::new();
    for file in &files {
        for entry in std::fs::read_dir(format!("{file}.d")).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|end| end == "conf") {
                drop_ins.entry(entry.file_name()).or_insert(path);
            }
        }
    }
    let drop_ins = drop_ins.values().filter_map(|file| std::fs::read_to_string(file).ok());
    own.into_iter().chain(drop_ins).map(|text| text + "\n").collect()
}

/// The last value of a setting.
fn setting<'a>(files: &'a str, name: &str) -> Option<&'a str> {
    let mut values = files.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then_some(value.trim())
    });
    values.next_back()
}

/// Servers whose workers end with their master.
const MASTERS: [&str; 6] = ["nginx", "haproxy", "apache2", "httpd", "gunicorn", "postgres"];

/// The master of these workers of a listener, which does not hold the socket itself, as that of haproxy.
fn master(holders: &BTreeSet<&Holder>) -> Option<Holder> {
    let first = holders.first()?;
    let master = holders::process(first.parent)?;
    let is_worker = |it: &&Holder| it.parent == master.pid && it.name == master.name;
    let is_one = MASTERS.contains(&master.name.raw()) && holders.iter().all(is_worker);
    is_one.then(|| Holder { thaw: first.thaw.clone(), ..master })
}

/// Whether it ends with its master, which is one of the others and gets SIGTERM. One with workers of its own is a
/// second master, as of nginx while it takes a new program.
pub fn is_worker(it: &Holder, holders: &BTreeSet<&Holder>) -> bool {
    let is_master = |other: &&Holder| {
        other.pid == it.parent && other.name == it.name && other.resists.is_none()
    };
    let is_of_it = |other: &&Holder| other.parent == it.pid && other.name == it.name;
    MASTERS.contains(&it.name.raw())
        && holders.iter().any(is_master)
        && !holders.iter().any(is_of_it)
}

/// The command that ends them; of workers, their master alone where that ends them, too. A stopped process meets
/// SIGTERM only when it continues, and a frozen one when it is thawed.
pub fn kill(holders: &BTreeSet<&Holder>) -> String {
    let command = |kill: &str, are_wanted: &dyn Fn(&Holder) -> bool| {
        let those = holders.iter().filter(|it| are_wanted(it) && !is_worker(it, holders));
        let pids: BTreeSet<i32> = those.map(|holder| holder.pid).collect();
        let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
        (!pids.is_empty()).then(|| format!("{kill} {}", pids.join(" ")))
    };
    // PostgreSQL's first process waits for its clients after SIGTERM, and ends at SIGINT.
    let is_postgres = |it: &Holder| {
        let is_it = it.name.raw() == "postgres" && it.resists.is_none();
        is_it && parent_of(it).as_deref() != Some("postgres")
    };
    let commands = [
        command("kill -KILL", &|it| it.resists.is_some()),
        command("kill -CONT", &|it| it.is_stopped && it.resists.is_none()),
        command("kill -INT", &is_postgres),
        command("kill", &|it| it.resists.is_none() && !is_postgres(it)),
    ];
    let thaw: BTreeSet<String> = holders.iter().filter_map(|it| it.thaw.clone()).collect();
    let commands = thaw.into_iter().chain(commands.into_iter().flatten());
    commands.collect::<Vec<_>>().join("; ")
}

/// Why a server may say that the port is in use, though it is free.
fn if_still(question: &Question) -> Vec<IfStill> {
    let Question { target, proto, probe, .. } = question;
    let port = target.port;
    let other = target::command(target, proto.other());
    let any = target::command(&Target { port: 0, ..target.clone() }, *proto);
    // Only where the kernel follows connections is there a rule that sends them elsewhere.
    let follows = std::path::Path::new("/proc/thread-self/net/stat/nf_conntrack").exists();
    let forwarded = follows.then(|| IfStill::Forwarded {
        command: format!("(nft list ruleset; iptables -t nat -S) | grep -w {port}"),
    });
    let why = Language::option().map_or(String::new(), |option| option.join(" ") + " ");
    let mut all = vec![IfStill::BindsTwice];
    all.extend(other.map(|command| IfStill::OtherProtocol { command }));
    all.push(IfStill::OtherNamespace { command: "lsns -t net".to_owned() });
    all.push(IfStill::Policy { command: question.with_probe().filter(|_| !probe) });
    all.extend(any.map(|command| IfStill::PortZero { command }));
    all.push(IfStill::UnixSocket { command: "ss -xlp".to_owned() });
    all.extend(forwarded);
    all.push(IfStill::Why { command: format!("bindtable why {why}-- COMMAND") });
    all
}
