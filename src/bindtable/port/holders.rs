//! The processes that hold a socket, what they belong to, and the options of the socket.

use crate::printable::Outside;
use rustix::fs::fstat;
use rustix::net::sockopt::{ipv6_v6only, socket_reuseaddr, socket_reuseport};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

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
    /// Its descriptors of the socket.
    pub descriptors: Vec<i32>,
    /// The systemd unit, from its cgroup.
    pub unit: Option<Outside>,
    /// Whether that is a unit of a user's systemd.
    #[serde(skip)]
    pub is_users_unit: bool,
    /// The container's name or number, from its cgroup.
    pub container: Option<Outside>,
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
    /// The processes that did not let their descriptors be read.
    pub unreadable: usize,
}

/// Looks at every process, and at its descriptors of the sockets `inodes`.
pub fn find(inodes: &BTreeSet<u64>) -> Holders {
    let mut holders = Holders::default();
    processes().for_each(|pid| holders.look_at(pid, inodes));
    holders.sort();
    holders
}

impl Holders {
    /// Looks at one process, and at its descriptors of the sockets `inodes`.
    ///
    /// A process that ends meanwhile is left out.
    pub fn look_at(&mut self, pid: i32, inodes: &BTreeSet<u64>) {
        let descriptors = match std::fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(descriptors) => descriptors,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                self.unreadable += 1;
                return;
            }
            Err(_) => return, // it has ended
        };
        let mut of_process: BTreeMap<u64, Vec<i32>> = BTreeMap::new();
        for descriptor in descriptors.filter_map(Result::ok) {
            let target = match std::fs::read_link(descriptor.path()) {
                Ok(target) => target,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    self.unreadable += 1; // a user namespace may list them and no more
                    break;
                }
                Err(_) => continue,
            };
            let inode = target.to_str().and_then(|target| {
                target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
            });
            let number = descriptor.file_name().to_str().and_then(|name| name.parse().ok());
            if let (Some(inode), Some(number)) = (inode, number)
                && inodes.contains(&inode)
            {
                of_process.entry(inode).or_default().push(number);
            }
        }
        for (inode, mut descriptors) in of_process {
            descriptors.sort_unstable();
            if !self.options.contains_key(&inode)
                && let Some(options) = options(pid, descriptors[0], inode)
            {
                self.options.insert(inode, options);
            }
            let Some(holder) = holder(pid, descriptors) else { continue };
            self.of.entry(inode).or_default().push(holder);
        }
    }

    /// Puts the holders of each socket in the order of their numbers.
    pub fn sort(&mut self) {
        self.of.values_mut().for_each(|holders| holders.sort());
    }
}

/// One process of each network namespace that is not this one's.
pub fn namespaces() -> Vec<i32> {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let mut seen: BTreeSet<_> = namespace("thread-self").into_iter().collect();
    let is_new = |pid: &i32| namespace(&pid.to_string()).is_some_and(|its| seen.insert(its));
    processes().filter(is_new).collect()
}

/// The number of every process.
pub fn processes() -> impl Iterator<Item = i32> {
    let folders = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok())
}

/// What a process is, that has these descriptors of a socket.
pub fn holder(pid: i32, descriptors: Vec<i32>) -> Option<Holder> {
    let read = |file| std::fs::read(format!("/proc/{pid}/{file}")).ok();
    let read = |file| Some(String::from_utf8_lossy(&read(file)?).into_owned());
    let (name, parent) = name_and_parent(&read("stat")?)?;
    let command = read("cmdline").unwrap_or_default().replace('\0', " ");
    let cgroups = read("cgroup").unwrap_or_default();
    let cgroups: Vec<&str> = cgroups.lines().filter_map(home).collect();
    let in_cgroups = |find: fn(&str) -> Option<Outside>| cgroups.iter().find_map(|path| find(path));
    Some(Holder {
        pid,
        parent,
        name,
        command: command.into(),
        descriptors,
        unit: in_cgroups(unit),
        is_users_unit: cgroups.iter().any(|path| path.contains("/user@")),
        container: in_cgroups(container),
    })
}

/// `PID (NAME) STATE PARENT ...`, where the name may have spaces and parentheses:
/// proc_pid_stat(5).
fn name_and_parent(stat: &str) -> Option<(Outside, i32)> {
    let (start, rest) = stat.rsplit_once(')')?;
    let (_, name) = start.split_once('(')?;
    Some((name.into(), rest.split_whitespace().nth(1)?.parse().ok()?))
}

/// The path of a cgroup that tells where a process belongs, from a line of `/proc/PID/cgroup`:
/// version 2 has one hierarchy, number 0; of version 1, systemd keeps the units in its own.
/// See cgroups(7).
fn home(line: &str) -> Option<&str> {
    let (hierarchy, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let is_systemds = controllers.split(',').any(|name| name == "name=systemd");
    (hierarchy == "0" || is_systemds).then_some(path)
}

/// The innermost service or scope of a cgroup's path.
fn unit(path: &str) -> Option<Outside> {
    let is_unit =
        |part: &&str| [".service", ".scope", ".socket"].iter().any(|end| part.ends_with(end));
    path.rsplit('/').find(is_unit).map(Outside::from)
}

/// The container of a cgroup's path: Docker, containerd, CRI-O and Podman use 64 hexadecimal
/// digits, as in `/docker/ID` and `docker-ID.scope`; LXC has `lxc.payload.NAME`, and
/// systemd-nspawn `machine-NAME.scope`.
fn container(path: &str) -> Option<Outside> {
    path.rsplit('/').find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let id = part.rsplit(['-', ':']).next()?;
        if id.len() == 64 && id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Some(id[..12].into());
        }
        let name = ["lxc.payload.", "machine-"].iter().find_map(|start| part.strip_prefix(start));
        name.map(Outside::from)
    })
}

/// The options of a socket, by a copy of the descriptor (pidfd_getfd(2), Linux 5.6) that is closed
/// at once; nothing where the process has ended, has closed it, or does not allow it.
fn options(pid: i32, descriptor: i32, inode: u64) -> Option<Options> {
    let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let socket = pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty()).ok()?;
    if fstat(&socket).ok()?.st_ino != inode {
        return None; // the descriptor is another socket's by now
    }
    Some(Options {
        reuseaddr: socket_reuseaddr(&socket).ok()?,
        reuseport: socket_reuseport(&socket).ok()?,
        ipv6_only: ipv6_v6only(&socket).ok(),
    })
}
