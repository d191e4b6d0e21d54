//! The processes that hold a socket, what they belong to, and the options of the socket.

use crate::printable::Outside;
use rustix::fd::OwnedFd;
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::net::ipproto;
use rustix::net::sockopt::{ipv6_v6only, socket_protocol, socket_reuseaddr, socket_reuseport};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open};
use serde::Serialize;
use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

/// A process that has a descriptor of a socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holder {
    /// Its number here.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// What ps(1) calls it: 15 bytes at most.
    pub name: Outside,
    /// Its command line, words between spaces.
    pub command: Outside,
    /// The first of those words: what it was started as.
    #[serde(skip)]
    pub started_as: Outside,
    /// Its descriptors of the socket; none, if a thread waits in accept on one that is closed.
    pub descriptors: Vec<i32>,
    /// The systemd unit, from its cgroup.
    pub unit: Option<Outside>,
    /// The user whose own systemd has that unit.
    #[serde(skip)]
    pub unit_user: Option<u32>,
    /// The container's name or number, from its cgroup.
    pub container: Option<Outside>,
    /// Whether the container is another one than this process's own.
    #[serde(skip)]
    pub is_elsewhere: bool,
    /// Whether it is stopped, as by Ctrl+Z: it does not see SIGTERM until it continues.
    #[serde(skip)]
    pub is_stopped: bool,
    /// Of one that is frozen with its cgroup: the command that thaws it. Until then it may not see SIGTERM.
    #[serde(skip)]
    pub thaw: Option<String>,
    /// Why SIGTERM does not end it.
    #[serde(skip)]
    pub resists: Option<Resists>,
    /// Whether it handles SIGTERM.
    #[serde(skip)]
    pub handles_term: bool,
    /// The lines of its cgroup file.
    #[serde(skip)]
    pub cgroups: String,
}

/// Why SIGTERM does not end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resists {
    /// It ignores SIGTERM.
    Ignores,
    /// Each of its threads blocks SIGTERM, and no signalfd(2) of it reads that.
    Blocks,
    /// It is process 1 of a PID namespace, and does not handle SIGTERM: pid_namespaces(7).
    IsInit,
    /// It stands still for the process that traces it, a debugger: ptrace(2).
    Traced,
}

/// SO_REUSEADDR, SO_REUSEPORT and, of IPv6, IPV6_V6ONLY of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub reuseaddr: bool,
    pub reuseport: bool,
    pub ipv6_only: Option<bool>,
}

/// What the processes have shown.
#[derive(Default)]
pub struct Holders {
    /// By the socket's inode.
    pub of: BTreeMap<u64, Vec<Holder>>,
    /// By the socket's inode, if some process let it be read.
    pub options: BTreeMap<u64, Options>,
    /// Why the options of some socket were not to be read, though its process was.
    pub no_options: Option<Errno>,
    /// The processes that did not let their descriptors be read.
    pub unreadable: usize,
    /// Those that were not looked at, though they may hold one of the sockets.
    pub left_out: usize,
    /// What keeps this process itself from reading `/proc`.
    pub trouble: Option<Trouble>,
    /// What thaws those of the same cgroups.
    thaws: BTreeMap<String, Option<String>>,
}

/// What keeps this process from reading `/proc`: then it has not seen the processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An error of its own: too many open files, no memory, no `/proc`.
    Error(String),
    /// `/proc` is that of another PID namespace, so its numbers are no process's here.
    OtherNamespace,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Error(error.to_string())
    }
}

/// Whether the process has ended meanwhile.
fn has_ended(error: &io::Error) -> bool {
    let ended = [Errno::NOENT, Errno::SRCH].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|number| ended.contains(&number))
}

/// Looks at every process, and at its descriptors of the sockets `inodes`: at its first thread's, and
/// for the sockets that nobody has shown then, at its other threads'.
///
/// A process that ends meanwhile is left out.
pub fn find(inodes: &BTreeSet<u64>) -> Holders {
    let mut holders = Holders::default();
    if let Err(trouble) = holders.search(inodes) {
        holders.trouble = Some(trouble);
    }
    holders.sort();
    holders
}

impl Holders {
    /// Looks at one process, and at its first thread's descriptors of the sockets `inodes`. Whether it let them be
    /// read.
    pub fn look_at_process(&mut self, pid: i32, inodes: &BTreeSet<u64>) -> bool {
        self.look_at_thread(pid, pid, inodes)
    }

    /// The same of another of its threads.
    pub fn look_at_thread(&mut self, pid: i32, tid: i32, inodes: &BTreeSet<u64>) -> bool {
        let looked = self.look_at(Thread { pid, tid }, inodes);
        looked.unwrap_or_else(|trouble| {
            self.trouble = Some(trouble);
            false
        })
    }

    /// Sorts each socket's processes by their numbers.
    pub fn sort(&mut self) {
        self.of.values_mut().for_each(|holders| holders.sort());
    }

    fn search(&mut self, inodes: &BTreeSet<u64>) -> Result<(), Trouble> {
        if inodes.is_empty() {
            return Ok(());
        }
        let mut readable = Vec::new();
        for pid in processes()? {
            if self.look_at(Thread { pid, tid: pid }, inodes)? {
                readable.push(pid);
            }
        }
        self.look_at_threads(&readable, inodes)
    }

    /// Looks at the other threads of those processes for the sockets that nobody has shown: a leader that has ended
    /// has no table, and a thread may have its own (CLONE_FILES).
    pub fn look_at_threads(&mut self, pids: &[i32], inodes: &BTreeSet<u64>) -> Result<(), Trouble> {
        let is_hidden = |inode: &u64| !self.of.contains_key(inode);
        let rest: BTreeSet<u64> = inodes.iter().copied().filter(is_hidden).collect();
        if rest.is_empty() {
            return Ok(());
        }
        for &pid in pids {
            for tid in threads(pid)?.filter(|tid| *tid != pid) {
                self.look_at(Thread { pid, tid }, &rest)?;
            }
        }
        Ok(())
    }

    /// Whether the thread let its descriptors be read.
    fn look_at(&mut self, thread: Thread, inodes: &BTreeSet<u64>) -> Result<bool, Trouble> {
        let of_thread = match descriptors(thread, inodes) {
            Ok(of_thread) => of_thread,
            // A user namespace may list them and no more.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                // One that was not waited for has none, whoever may look; its threads may go on.
                if thread.is_zombie() {
                    return Ok(true);
                }
                self.unreadable += 1;
                return Ok(false);
            }
            Err(error) if has_ended(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if of_thread.is_empty() || is_this_program(thread.pid) {
            return Ok(true);
        }
        let Some(mut holder) = holder(thread) else { return Ok(false) };
        let thaws = self.thaws.entry(holder.cgroups.clone());
        holder.thaw = thaws.or_insert_with(|| holder.cgroups.lines().find_map(thaw)).clone();
        let process = thread.open();
        for (inode, mut descriptors) in of_thread {
            let all = self.of.entry(inode).or_default();
            if all.iter().any(|other| other.pid == holder.pid) {
                continue; // another thread has shown it
            }
            descriptors.sort_unstable();
            if let Entry::Vacant(its_options) = self.options.entry(inode) {
                let process = process.as_ref().map_err(|errno| *errno);
                match process.and_then(|process| options(process, descriptors[0], inode)) {
                    Ok(options) => _ = its_options.insert(options),
                    Err(Errno::BADF | Errno::SRCH) => {} // it has closed it, or has ended
                    Err(errno) => self.no_options = Some(errno),
                }
            }
            all.push(Holder { descriptors, ..holder.clone() });
        }
        Ok(true)
    }
}

/// Whether the process runs this program too. Such a one holds no port here: it has copied a descriptor for a
/// moment, to read the options.
fn is_this_program(pid: i32) -> bool {
    let file = |pid: &str| {
        let its = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        Some((its.dev(), its.ino()))
    };
    file(&pid.to_string()).is_some_and(|program| file("self") == Some(program))
}

/// A thread, and its process.
#[derive(Clone, Copy)]
struct Thread {
    pid: i32,
    tid: i32,
}

impl Thread {
    fn file(self, name: &str) -> String {
        let Self { pid, tid } = self;
        match tid == pid {
            true => format!("/proc/{pid}/{name}"),
            false => format!("/proc/{pid}/task/{tid}/{name}"),
        }
    }

    /// Whether it is a zombie, which has no descriptors.
    fn is_zombie(self) -> bool {
        stat_of(&self.file("stat")).is_some_and(|its| matches!(its.state, 'Z' | 'X'))
    }

    /// A descriptor of it: pidfd_open(2). Before Linux 6.9 there is none of a single thread.
    fn open(self) -> Result<OwnedFd, Errno> {
        /// `O_EXCL`, which has no name of its own in the library.
        const PIDFD_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(0o200);
        let flags = if self.tid == self.pid { PidfdFlags::empty() } else { PIDFD_THREAD };
        pidfd_open(Pid::from_raw(self.tid).ok_or(Errno::SRCH)?, flags)
    }
}

/// The descriptors of those of the sockets that the thread has.
fn descriptors(thread: Thread, inodes: &BTreeSet<u64>) -> io::Result<BTreeMap<u64, Vec<i32>>> {
    let mut of_thread: BTreeMap<u64, Vec<i32>> = BTreeMap::new();
    for descriptor in fs::read_dir(thread.file("fd"))? {
        let descriptor = descriptor?;
        let target = match fs::read_link(descriptor.path()) {
            Err(error) if has_ended(&error) => continue, // it is closed
            target => target?,
        };
        let inode = inode(&target);
        let number = descriptor.file_name().to_str().and_then(|name| name.parse().ok());
        if let (Some(inode), Some(number)) = (inode, number)
            && inodes.contains(&inode)
        {
            of_thread.entry(inode).or_default().push(number);
        }
    }
    Ok(of_thread)
}

/// The number of a socket, from what the link of its descriptor in `/proc/PID/fd` names: `socket:[NUMBER]`,
/// proc_pid_fd(5).
pub fn inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A field of `/proc/THREAD/status`, whose name ends with a colon: proc_pid_status(5).
pub fn status_field(thread: &str, name: &str) -> Option<String> {
    field(&fs::read_to_string(format!("/proc/{thread}/status")).ok()?, name)
}

fn field(status: &str, name: &str) -> Option<String> {
    status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
}

/// A process with a thread that waits in accept(2) on a descriptor that its table does not have: the
/// call keeps the listener until it returns. Of this network namespace, and the only one.
pub fn in_accept() -> Option<Holder> {
    let here = fs::read_link("/proc/thread-self/ns/net").ok()?;
    let mut found = BTreeMap::new();
    for pid in processes().ok()? {
        for tid in threads(pid).into_iter().flatten() {
            let thread = Thread { pid, tid };
            let is_here = || fs::read_link(thread.file("ns/net")).is_ok_and(|its| its == here);
            if is_waiting(thread) && is_here() {
                found.insert(pid, thread);
            }
        }
    }
    let (_, thread) = found.pop_first().filter(|_| found.is_empty())?;
    holder(thread)
}

/// Whether the thread waits in accept on a closed descriptor: proc_pid_syscall(5).
fn is_waiting(thread: Thread) -> bool {
    /// accept and accept4, by `asm/unistd.h`.
    const ACCEPT: [&str; 2] =
        if cfg!(target_arch = "x86_64") { ["43", "288"] } else { ["202", "242"] };
    let call = fs::read_to_string(thread.file("syscall")).unwrap_or_default();
    let mut words = call.split_whitespace();
    let is_accept = words.next().is_some_and(|number| ACCEPT.contains(&number));
    let descriptor = words.next().and_then(|word| word.strip_prefix("0x"));
    let descriptor = descriptor.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let file = |descriptor| thread.file(&format!("fd/{descriptor}"));
    is_accept
        && descriptor.is_some_and(|descriptor| {
            fs::symlink_metadata(file(descriptor)).is_err_and(|error| has_ended(&error))
        })
}

/// One process of each network namespace that is not this one's.
pub fn namespaces() -> Vec<i32> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let mut seen: BTreeSet<_> = namespace("thread-self").into_iter().collect();
    let is_new = |pid: &i32| namespace(&pid.to_string()).is_some_and(|its| seen.insert(its));
    processes().into_iter().flatten().filter(is_new).collect()
}

/// The number of every process. It fails if `/proc` cannot be read, or is another PID namespace's.
pub fn processes() -> Result<impl Iterator<Item = i32>, Trouble> {
    is_own()?;
    Ok(numbers("/proc")?)
}

/// The number of every thread of a process; of none, if it has ended.
fn threads(pid: i32) -> io::Result<impl Iterator<Item = i32>> {
    let all = match numbers(&format!("/proc/{pid}/task")) {
        Err(error) if has_ended(&error) => None,
        all => Some(all?),
    };
    Ok(all.into_iter().flatten())
}

/// The children of a process, whichever of its threads has started them: proc_tid_children(5).
pub fn children(pid: i32) -> impl Iterator<Item = i32> {
    threads(pid).into_iter().flatten().flat_map(move |tid| {
        let all = fs::read_to_string(format!("/proc/{pid}/task/{tid}/children"));
        let all = all.unwrap_or_default();
        all.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
    })
}

/// The numbers in a folder of `/proc`: of processes, threads or descriptors.
pub fn numbers(folder: &str) -> io::Result<impl Iterator<Item = i32> + use<>> {
    let entries = fs::read_dir(folder)?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

/// Whether `/proc` has this process under the number that it has here: `NSpid` in
/// proc_pid_status(5) is its number in the PID namespace of `/proc`, and in each one below.
fn is_own() -> Result<(), Trouble> {
    let status = match fs::read_to_string("/proc/self/status") {
        Err(error) if has_ended(&error) && fs::exists("/proc/1").unwrap_or(false) => {
            return Err(Trouble::OtherNamespace);
        }
        status => status?,
    };
    let numbers = field(&status, "NSpid:");
    let own = std::process::id().to_string();
    match numbers.is_none_or(|numbers| numbers.split_whitespace().eq([&*own])) {
        true => Ok(()),
        false => Err(Trouble::OtherNamespace),
    }
}

/// Whether this is the first PID namespace, which shows every process of the machine
/// (`PROC_PID_INIT_INO` in `include/linux/proc_ns.h`).
pub fn are_all_here() -> bool {
    OWN_PID_NAMESPACE.as_deref() == Some(Path::new("pid:[4026531836]"))
}

/// This process's own cgroups.
static OWN_CGROUPS: LazyLock<String> =
    LazyLock::new(|| fs::read_to_string("/proc/thread-self/cgroup").unwrap_or_default());

/// What a process is.
pub fn process(pid: i32) -> Option<Holder> {
    holder(Thread { pid, tid: pid })
}

/// The process, before its descriptors are known.
fn holder(thread: Thread) -> Option<Holder> {
    let its = stat_of(&format!("/proc/{}/stat", thread.pid))?;
    let (resists, handles_term) = (resists(thread, &its), its.caught & TERM != 0);
    let Stat { name, state, parent, .. } = its;
    // Of a leader that has ended its threads still have the memory.
    let command = fs::read(thread.file("cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command);
    let lines = fs::read(thread.file("cgroup")).unwrap_or_default();
    let lines = String::from_utf8_lossy(&lines).into_owned();
    let cgroups: Vec<&str> = lines.lines().filter_map(home).collect();
    let in_cgroups = |find: fn(&str) -> Option<Outside>| cgroups.iter().find_map(|path| find(path));
    Some(Holder {
        pid: thread.pid,
        parent,
        name,
        started_as: command.split('\0').next().unwrap_or_default().into(),
        command: command.replace('\0', " ").into(),
        descriptors: Vec::new(),
        unit: in_cgroups(unit),
        unit_user: cgroups.iter().find_map(|path| {
            let (_, rest) = path.split_once("/user@")?;
            rest.split_once(".service")?.0.parse().ok()
        }),
        container: in_cgroups(container),
        is_elsewhere: lines != *OWN_CGROUPS,
        is_stopped: state == 'T',
        thaw: None,
        resists,
        handles_term,
        cgroups: lines,
    })
}

/// The command that thaws the cgroup of a line of `/proc/PID/cgroup`, if it is frozen, or one above it: of version 2, or
/// of the freezer of version 1, cgroups(7).
fn thaw(line: &str) -> Option<String> {
    let (kind, path) = line.split_once("::").or_else(|| line.split_once(":freezer:"))?;
    let (folders, own, thaw) = match kind {
        "0" => (&["", "/unified"][..], "cgroup.freeze", "echo 0 > {}/cgroup.freeze"),
        _ => (&["/freezer"][..], "freezer.self_freezing", "echo THAWED > {}/freezer.state"),
    };
    let all = folders.iter().flat_map(|folder| {
        let paths = Path::new(path).ancestors().map(Path::display);
        paths.map(move |path| Outside::from(format!("/sys/fs/cgroup{folder}{path}")))
    });
    let commands = all.filter_map(|folder| {
        let its = fs::read_to_string(format!("{}/{own}", folder.raw())).ok()?;
        Some(thaw.replace("{}", &folder.quoted().filter(|_| its.trim() == "1")?))
    });
    let commands: Vec<String> = commands.collect();
    (!commands.is_empty()).then(|| commands.join("; "))
}

/// SIGTERM as a bit of a set.
const TERM: u64 = 1 << (Signal::TERM.as_raw() - 1);

/// Why SIGTERM does not end the process of that thread.
fn resists(thread: Thread, its: &Stat) -> Option<Resists> {
    let Thread { pid, .. } = thread;
    let is_of = |set: u64| set & TERM != 0;
    let may_wait = !is_of(its.caught); // what has a handler may block the signal for a moment
    if is_of(its.ignored) && !(is_of(its.blocked) && reads_signals(pid)) {
        Some(Resists::Ignores)
    } else if may_wait && is_of(its.blocked) && are_all_blocked(pid) && !reads_signals(pid) {
        Some(Resists::Blocks)
    } else if may_wait && is_in_other_pid_namespace(pid) && is_init(pid) && !reads_signals(pid) {
        Some(Resists::IsInit)
    } else {
        (its.state == 't' && stands_still(thread)).then_some(Resists::Traced)
    }
}

/// Its numbers in the PID namespaces, from the outermost one that is seen here to its own: proc_pid_status(5).
pub fn numbers_of(pid: i32) -> Vec<i32> {
    let numbers = status_field(&pid.to_string(), "NSpid:").unwrap_or_default();
    numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// Whether it is process 1 of another PID namespace than this one.
fn is_init(pid: i32) -> bool {
    numbers_of(pid).into_iter().skip(1).last() == Some(1)
}

/// This process's own PID namespace.
static OWN_PID_NAMESPACE: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| fs::read_link("/proc/self/ns/pid").ok());

/// Whether its PID namespace is for certain not this process's own.
fn is_in_other_pid_namespace(pid: i32) -> bool {
    let its = fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    its.is_some() && OWN_PID_NAMESPACE.is_some() && its != *OWN_PID_NAMESPACE
}

/// Whether every thread blocks SIGTERM.
fn are_all_blocked(pid: i32) -> bool {
    threads(pid).into_iter().flatten().all(|tid| blocks(pid, tid))
}

/// Whether the thread blocks SIGTERM: not while it waits for it, sigwaitinfo(2).
fn blocks(pid: i32, tid: i32) -> bool {
    let set = status_field(&format!("{pid}/task/{tid}"), "SigBlk:");
    set.is_none_or(|set| u64::from_str_radix(&set, 16).is_ok_and(|set| set & TERM != 0))
}

/// Whether it may take SIGTERM without a handler: by a descriptor, signalfd(2), or in a thread that waits for it.
fn reads_signals(pid: i32) -> bool {
    /// rt_sigtimedwait, by `asm/unistd.h`.
    const WAIT: &str = if cfg!(target_arch = "x86_64") { "128 " } else { "137 " };
    let is_signalfd = |fd: i32| {
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap_or_default();
        let set = field(&info, "sigmask:").and_then(|set| u64::from_str_radix(&set, 16).ok());
        set.is_some_and(|set| set & TERM != 0)
    };
    let waits = |tid: i32| {
        let call = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall"));
        call.is_ok_and(|call| call.starts_with(WAIT)) && !blocks(pid, tid)
    };
    numbers(&format!("/proc/{pid}/fd")).is_ok_and(|mut all| all.any(is_signalfd))
        || threads(pid).into_iter().flatten().any(waits)
}

/// Whether a debugger holds the thread: strace stops it, too, at each call, and lets it go on at once; and so
/// does `bindtable why`.
fn stands_still(thread: Thread) -> bool {
    const A_WHILE: Duration = Duration::from_millis(20);
    let look = || {
        let status = fs::read_to_string(thread.file("status")).ok()?;
        let tracer = field(&status, "TracerPid:")?;
        let tracer = stat_of(&format!("/proc/{tracer}/stat"))?;
        // One that is to let it go on at once may be waiting for a processor.
        let waits = tracer.state != 'R' && tracer.name.raw() != "bindtable-why";
        let is_held = waits && field(&status, "State:")?.starts_with('t');
        is_held.then(|| field(&status, "voluntary_ctxt_switches:")).flatten()
    };
    look().is_some_and(|before| {
        std::thread::sleep(A_WHILE);
        look() == Some(before)
    })
}

/// `PID (NAME) STATE PARENT ...`, where the name may have spaces and parentheses: proc_pid_stat(5).
struct Stat {
    name: Outside,
    state: char,
    parent: i32,
    session: i32,
    /// The number of its terminal; 0 without one.
    terminal: i32,
    /// When the process began, in clock ticks.
    began: u64,
    /// The signals that its first thread blocks, and those that it ignores and handles, as bits.
    blocked: u64,
    ignored: u64,
    caught: u64,
}

/// A process or thread, from its file; its name may be in no encoding.
fn stat_of(file: &str) -> Option<Stat> {
    let line = fs::read(file).ok()?;
    let line = String::from_utf8_lossy(&line);
    stat(&line)
}

fn stat(stat: &str) -> Option<Stat> {
    let (start, rest) = stat.rsplit_once(')')?;
    let (_, name) = start.split_once('(')?;
    let mut fields = rest.split_whitespace();
    Some(Stat {
        name: name.into(),
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        session: fields.nth(1)?.parse().ok()?,
        terminal: fields.next()?.parse().ok()?,
        began: fields.nth(14)?.parse().ok()?,
        blocked: fields.nth(9)?.parse().ok()?,
        ignored: fields.next()?.parse().ok()?,
        caught: fields.next()?.parse().ok()?,
    })
}

/// The main process of the holder's unit: the one of its cgroup that began first. A server that an
/// ssh session, cron or an editor has started is not it.
pub fn main_of_unit(holder: &Holder) -> Option<i32> {
    let began = |pid: &i32| {
        let lines = fs::read(format!("/proc/{pid}/cgroup")).ok()?;
        if String::from_utf8_lossy(&lines) != holder.cgroups {
            return None;
        }
        Some((stat_of(&format!("/proc/{pid}/stat"))?.began, *pid))
    };
    processes().ok()?.filter_map(|pid| began(&pid)).min().map(|(_, pid)| pid)
}

/// The folder in which a process or thread runs, from its own root folder; none, if it is not below that.
pub fn folder(id: i32) -> Option<PathBuf> {
    let [root, folder] =
        ["root", "cwd"].map(|link| fs::read_link(format!("/proc/{id}/{link}")).ok());
    let (root, folder) = (root?, folder?);
    Some(Path::new("/").join(folder.strip_prefix(root).ok()?))
}

/// The process, the one that has started it, and so on.
pub fn ancestors(process: i32) -> BTreeSet<i32> {
    let its = |pid: &i32| stat_of(&format!("/proc/{pid}/stat"));
    let parent = |pid: &i32| Some(its(pid)?.parent).filter(|parent| *parent > 0);
    std::iter::successors(Some(process), parent).collect()
}

/// A variable of the environment with which the process was started: its name ends with `=`.
pub fn variable(pid: i32, name: &str) -> Option<String> {
    let all = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let all = String::from_utf8_lossy(&all);
    all.split('\0').find_map(|variable| variable.strip_prefix(name).map(str::to_owned))
}

/// The session of a process, and the number of its terminal, 0 without one.
pub fn session(pid: i32) -> Option<(i32, i32)> {
    stat_of(&format!("/proc/{pid}/stat")).map(|its| (its.session, its.terminal))
}

/// The path of a cgroup that tells where a process belongs, from a line of `/proc/PID/cgroup`:
/// version 2 has one hierarchy, number 0; of version 1, systemd keeps the units in its own.
/// See cgroups(7).
fn home(line: &str) -> Option<&str> {
    let (hierarchy, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let is_systemds = controllers.split(',').any(|name| name == "name=systemd");
    // One outside of this process's own cgroup namespace tells nothing of its units here.
    ((hierarchy == "0" || is_systemds) && !path.starts_with("/../")).then_some(path)
}

/// The innermost service or scope of a cgroup's path.
fn unit(path: &str) -> Option<Outside> {
    let is_unit =
        |part: &&str| [".service", ".scope", ".socket"].iter().any(|end| part.ends_with(end));
    path.rsplit('/').find(is_unit).map(Outside::from)
}

/// The container of a cgroup's path: Docker, containerd, CRI-O and Podman use 64 hexadecimal
/// digits, as in `/docker/ID` and `docker-ID.scope`; LXC has `lxc.payload.NAME`, and
/// systemd-nspawn `machine-NAME.scope` or `systemd-nspawn@NAME.service`.
fn container(path: &str) -> Option<Outside> {
    path.rsplit('/').find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let id = part.rsplit(['-', ':']).next()?;
        if id.len() == 64 && id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Some(id[..12].into());
        }
        let of_template =
            part.strip_prefix("systemd-nspawn@").and_then(|it| it.strip_suffix(".service"));
        let name = ["lxc.payload.", "machine-"].iter().find_map(|start| part.strip_prefix(start));
        name.or(of_template).map(|name| Outside::from(name.replace("\\x2d", "-"))) // systemd-escape(1)
    })
}

/// The options of a socket, by a copy of the descriptor (pidfd_getfd(2), Linux 5.6) that is closed
/// at once. It fails with EBADF, if the process has closed it, or the descriptor is another
/// socket's by now; ESRCH, if it has ended; EPERM and ENOSYS, if the copy is not allowed.
fn options(process: &OwnedFd, descriptor: i32, inode: u64) -> Result<Options, Errno> {
    let socket = pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty())?;
    if fstat(&socket)?.st_ino != inode {
        return Err(Errno::BADF);
    }
    // A process has the socket of MPTCP, and the port its subflow. What is set on the one is set on the other, too,
    // but not what bind sets on the subflow at an address of IPv6.
    let is_mptcp = socket_protocol(&socket)? == Some(ipproto::MPTCP);
    Ok(Options {
        reuseaddr: socket_reuseaddr(&socket)?,
        reuseport: socket_reuseport(&socket)?,
        ipv6_only: ipv6_v6only(&socket).ok().filter(|is_set| *is_set || !is_mptcp),
    })
}
