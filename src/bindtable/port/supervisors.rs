//! Servers that a supervisor has started, and would start again after a kill: of runit, s6, daemontools and
//! supervisord; and what else may do so.

use super::advice::{is_worker, kill};
use super::finding::Who;
use super::holders::{self, Holder, variable};
use crate::printable::Outside;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Their names: supervisord(1), runsv(8), s6-supervise, supervise(8).
const SUPERVISORS: [&str; 4] = ["supervisord", "runsv", "s6-supervise", "supervise"];

/// Programs that give what they run a session of its own, and are no login: a script, too, by setsid(1).
const PASSING_ON: [&str; 8] = ["su", "runuser", "sudo", "doas", "setsid", "sh", "bash", "dash"];

/// A supervisor, and what stands between it and a holder.
struct Line {
    supervisor: Holder,
    /// From the holder up to the process that the supervisor has started.
    members: Vec<Holder>,
}

/// The commands for the supervisors of the holders, and for those that these do not reach.
pub fn stop(holders: &BTreeSet<&Holder>, own: &BTreeSet<i32>) -> Option<String> {
    let lines = lines(holders, own);
    let mut commands: Vec<String> = Vec::new();
    let mut reached = BTreeSet::new();
    for Line { supervisor, members } in &lines {
        let supervised = members.last()?;
        if reached.insert(supervised.pid) {
            commands.push(command(supervised, supervisor)?);
        }
        reached.insert(supervisor.pid); // supervisord may hold a socket for its programs
    }
    if commands.is_empty() {
        return None;
    }
    // SIGTERM goes to the process that was started alone; and of runsv, s6 and daemontools no SIGKILL follows it. What
    // stands between it and the holder may start that again, so it ends first.
    let is_holder = |it: &&Holder| holders.iter().any(|holder| holder.pid == it.pid);
    let between = lines.iter().flat_map(|line| &line.members).filter(|it| !is_holder(it));
    for those in [between.collect::<Vec<_>>(), holders.iter().copied().collect()] {
        let is_left = |it: &&Holder| !reached.contains(&it.pid) && !is_worker(it, holders);
        let those: BTreeSet<&Holder> = those.into_iter().filter(is_left).collect();
        commands.extend((!those.is_empty()).then(|| kill(&those)));
    }
    Some(commands.join("; "))
}

/// The lines of the holders. Of thousands with one parent one tells for all, unless the parent is the supervisor itself.
fn lines(holders: &BTreeSet<&Holder>, own: &BTreeSet<i32>) -> Vec<Line> {
    let mut seen = BTreeSet::new();
    let name = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let is_direct = |pid| SUPERVISORS.contains(&name(pid).trim_end());
    let firsts = holders.iter().filter(|it| seen.insert(it.parent) || is_direct(it.parent));
    firsts.filter_map(|it| line(it, own)).collect()
}

/// The line of the holder, if a supervisor is above it: the holder itself, or what runs it, as a script. All of them
/// are without a terminal, and of one session, but for what passes it on. A login and a job of cron are not the
/// service's whose daemon has started them; nor is any of `own`, which have started the asker.
fn line(holder: &Holder, own: &BTreeSet<i32>) -> Option<Line> {
    let mut members = vec![holder.clone()];
    loop {
        let child = members.last()?;
        let parent = holders::process(child.parent)?;
        if SUPERVISORS.contains(&parent.name.raw()) {
            return Some(Line { supervisor: parent, members });
        }
        let [(its, its_terminal), (above, terminal)] =
            [holders::session(child.pid)?, holders::session(parent.pid)?];
        // A script has its own name, but the program of its shell.
        let program = fs::read_link(format!("/proc/{}/exe", parent.pid)).unwrap_or_default();
        let program = program.file_name().and_then(|name| name.to_str());
        let is_one = its == above || program.is_some_and(|it| PASSING_ON.contains(&it));
        if !is_one || own.contains(&parent.pid) || its_terminal != 0 || terminal != 0 {
            return None;
        }
        members.push(parent);
    }
}

/// What the supervisor is told; from another namespace, there.
fn command(supervised: &Holder, supervisor: &Holder) -> Option<String> {
    let control = control(supervised, supervisor)?;
    if !is_elsewhere(supervisor.pid) {
        return Some(control);
    }
    let control = Outside::from(control);
    Some(format!("nsenter -t {} -a -r sh -c {}", supervisor.pid, control.quoted()?))
}

/// What the supervisor is told, where it runs.
fn control(supervised: &Holder, supervisor: &Holder) -> Option<String> {
    let stop = match (supervisor.name.raw(), supervised.resists.is_some()) {
        ("supervisord", _) => return supervisorctl(supervised, supervisor),
        ("runsv", false) => "sv down",
        ("runsv", true) => "sv kill", // after down
        ("s6-supervise", false) => "s6-svc -d",
        ("s6-supervise", true) => "s6-svc -dk",
        (_, false) => "svc -d",
        (_, true) => "svc -dk",
    };
    // Each runs in the folder of its service.
    let folder = Outside::from(holders::folder(supervisor.pid)?.to_str()?);
    let folder = folder.quoted()?;
    let first = if stop == "sv kill" { format!("sv down {folder}; ") } else { String::new() };
    Some(format!("{first}{stop} {folder}"))
}

/// supervisorctl, with the file of this supervisord; none, if that has nothing to talk to.
fn supervisorctl(supervised: &Holder, supervisor: &Holder) -> Option<String> {
    let folder = holders::folder(supervisor.pid)?;
    let inside = |file: &Path| {
        let file = file.strip_prefix("/").unwrap_or(file);
        PathBuf::from(format!("/proc/{}/root", supervisor.pid)).join(file)
    };
    let usual = [
        "supervisord.conf",
        "etc/supervisord.conf",
        "/etc/supervisord.conf",
        "/etc/supervisor/supervisord.conf",
    ];
    let usual = usual.map(|file| folder.join(file));
    let file = named_file(supervisor.pid).map(|file| folder.join(file));
    let file = file.or_else(|| usual.into_iter().find(|file| inside(file).exists()));
    let text = file.as_ref().and_then(|file| fs::read_to_string(inside(file)).ok());
    let can_talk = |text: &String| {
        let has = |section: &str| text.lines().any(|line| line.starts_with(section));
        has("[include]")
            || has("[supervisorctl]") && (has("[unix_http_server") || has("[inet_http_server"))
    };
    if text.is_some_and(|text| !can_talk(&text)) {
        return None;
    }
    let ctl = match file {
        Some(file) => format!("supervisorctl -c {}", Outside::from(file.to_str()?).quoted()?),
        None => "supervisorctl".to_owned(),
    };
    // supervisord tells its programs their names; one that has written over them has its number in the list.
    if let [Some(group), Some(name)] = ["GROUP", "PROCESS"]
        .map(|kind| variable(supervised.pid, &format!("SUPERVISOR_{kind}_NAME=")))
    {
        let name = Outside::from(format!("{group}:{name}"));
        return Some(format!("{ctl} stop {}", name.quoted()?));
    }
    let pid = number_in(supervisor, supervised)?;
    Some(format!("{ctl} stop $({ctl} status | awk '/ pid {pid},/ {{print $1}}')"))
}

/// The configuration file that supervisord(1) was given: `-c FILE`, `-cFILE`, `-nc FILE`, `--conf=FILE`.
fn named_file(pid: i32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line);
    let mut words = line.split('\0');
    while let Some(word) = words.next() {
        // It may be cut short: not to `--c`, with which `--childlogdir` begins, too.
        let (long, value) = word.split_once('=').unwrap_or((word, ""));
        let is_long = long.starts_with("--co") && "--configuration".starts_with(long);
        let letters = word.strip_prefix('-').unwrap_or_default();
        let short = letters.trim_start_matches(['n', 'h', 'k', 's', 't', 'v']).strip_prefix('c');
        let Some(rest) = is_long.then_some(value).or(short) else { continue };
        return if rest.is_empty() { words.next() } else { Some(rest) }.map(str::to_owned);
    }
    None
}

/// The number of the process in the PID namespace of another one.
fn number_in(other: &Holder, process: &Holder) -> Option<i32> {
    let depth = holders::numbers_of(other.pid).len();
    holders::numbers_of(process.pid).get(depth.checked_sub(1)?).copied()
}

/// Whether a path or a number there is another one here.
fn is_elsewhere(pid: i32) -> bool {
    let differ = |namespace: &str| {
        let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).ok();
        of(&pid.to_string()) != of("self")
    };
    let root = |pid: &str| {
        let folder = fs::metadata(format!("/proc/{pid}/root")).ok()?;
        Some((folder.dev(), folder.ino()))
    };
    differ("mnt") || differ("pid") || root(&pid.to_string()) != root("self")
}

/// PM2's daemon, if it holds the socket for its programs, or has started what does.
pub fn pm2(holders: &BTreeSet<&Holder>) -> Option<i32> {
    let is_it = |it: &Holder| it.name.raw().starts_with("PM2 v");
    let itself = holders.iter().find(|it| is_it(it)).map(|it| it.pid);
    itself.or_else(|| {
        let mut parents = parents(holders).filter_map(holders::process);
        parents.find(is_it).map(|daemon| daemon.pid)
    })
}

/// The parents of the holders that are none themselves, each once.
fn parents(holders: &BTreeSet<&Holder>) -> impl Iterator<Item = i32> {
    let parents: BTreeSet<i32> = holders.iter().map(|holder| holder.parent).collect();
    parents.into_iter().filter(|pid| !holders.iter().any(|it| it.pid == *pid))
}

/// The parent that may start them again, or what has started that; it has not started the asker, too.
pub fn starts_again(holders: &BTreeSet<&Holder>, own: &BTreeSet<i32>) -> Option<Who> {
    let [pid] = parents(holders).collect::<Vec<_>>()[..] else { return None };
    let mut parent = holders::process(pid)?;
    while is_wrapper(&parent) {
        parent = holders::process(parent.parent)?;
    }
    let name = parent.name.raw();
    let is_it = |it: &&str| {
        name.strip_prefix(*it).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ':']))
    };
    let is_once = ONCE.iter().any(is_it);
    (parent.pid > 1 && !is_once && !is_interactive(&parent) && !own.contains(&parent.pid))
        .then(|| Who::from(&parent))
}

/// Programs that start another one once, or systemd, whose units are what starts it again. Other words may follow a
/// name: `npm start`, `tmux: server`.
const ONCE: [&str; 15] = [
    "cargo",
    "gdb",
    "go",
    "init",
    "login",
    "make",
    "npm",
    "screen",
    "script",
    "sshd",
    "sshd-session",
    "systemd",
    "tmux",
    "xargs",
    "yarn",
];

/// Programs that run another one, and end with it: who has started them may do so again.
const WRAPPERS: [&str; 11] = [
    "doas", "ltrace", "nsenter", "runuser", "setpriv", "strace", "su", "sudo", "time", "timeout",
    "unshare",
];

/// Whether it runs one command: one of those, or a shell whose -c has no loop.
fn is_wrapper(it: &Holder) -> bool {
    let words = || it.command.raw().split(|c: char| c != '-' && !c.is_alphanumeric());
    let has = |all: &[&str]| words().any(|word| all.contains(&word));
    let is_loop = has(&["do"]) && has(&["while", "until", "for"]);
    WRAPPERS.contains(&it.name.raw()) || takes_command(it) && !is_loop
}

/// Whether it is a shell with -c, alone or at the end of other letters.
fn takes_command(it: &Holder) -> bool {
    let first = it.command.raw().split_whitespace().skip(1).find(|word| word.starts_with('-'));
    let is_it = first.is_some_and(|word| !word.starts_with("--") && word.ends_with('c'));
    SHELLS.contains(&it.name.raw()) && is_it
}

const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "zsh", "fish", "ksh", "tcsh"];

/// Whether it is a shell that somebody types into: the first of the session of its terminal, without a script.
fn is_interactive(it: &Holder) -> bool {
    let (session, terminal) = holders::session(it.pid).unwrap_or_default();
    let mut words = it.command.raw().split_whitespace().skip(1);
    let has_script = words.next().is_some_and(|word| !word.starts_with('-'));
    let is_first = session == it.pid && terminal != 0;
    SHELLS.contains(&it.name.raw()) && is_first && !has_script && !takes_command(it)
}
