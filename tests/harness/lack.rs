//! What a system may lack that some trials need: such a trial is not tried, and the run says so.

use nix::errno::Errno;
use super::process::spawn;
use super::users::{AS_NOBODY, SharedFolder, has_two_users};
use rustix::net::{AddressFamily, SocketFlags, SocketType, eth, ipproto, socket_with};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::net::{Ipv6Addr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};

/// What not every system allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// To set sysctls of a network namespace: a container has /proc/sys read-only.
    Sysctls,
    /// To capture or forge packets: CAP_NET_RAW.
    Packets,
    /// To trace a process: strace(1).
    Tracing,
    /// Sockets and addresses of IPv6.
    Ipv6,
    /// Sockets of MPTCP.
    Mptcp,
    /// A second user, whom this process can become.
    SecondUser,
    /// That this user may make a namespace of users.
    UserNamespaces,
    /// That a file gives its program a user or a capability.
    FilePrivileges,
    /// Programs of 32 bits on x86-64.
    Bits32,
    /// The system calls of x32: few kernels are built with them.
    X32,
    /// A cgroup of version 2, whose BPF programs this process may set.
    CgroupPrograms,
    /// Landlock with rules for ports.
    Landlock,
    /// A filter of seccomp(2).
    Seccomp,
    /// A VXLAN device.
    Vxlan,
    /// A WireGuard device, and wg(8).
    Wireguard,
    /// An io_uring(7).
    IoUring,
    /// runit, s6 and supervisord.
    Supervisors,
    /// Docker or Podman, and that it can start a container.
    Engine,
}

impl Need {
    const ALL: [Self; 14] = [
        Self::Sysctls,
        Self::Packets,
        Self::Tracing,
        Self::Ipv6,
        Self::Mptcp,
        Self::SecondUser,
        Self::UserNamespaces,
        Self::FilePrivileges,
        Self::Bits32,
        Self::X32,
        Self::Vxlan,
        Self::Wireguard,
        Self::IoUring,
        Self::Supervisors,
    ];

    /// Why this system does not have it; none, if it does. Of those that are not in `ALL` a trial itself
    /// finds it out.
    fn why_not(self) -> Option<String> {
        let socket = |family, kind, protocol| {
            let error = socket_with(family, kind, SocketFlags::CLOEXEC, protocol).err()?;
            Some(Errno::from_raw(error.raw_os_error()).desc())
        };
        // Not by `run`, which asks for what this finds out.
        let said = |command: &[&str]| {
            let mut asked = Command::new(command[0]);
            asked.args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::piped());
            let output = spawn(&mut asked).and_then(Child::wait_with_output);
            let output = output.unwrap_or_else(|error| panic!("{}: {error}", command[0]));
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or_default().to_owned();
            (!output.status.success()).then_some(said)
        };
        let no_second_user = || {
            let why = "this process cannot become nobody: /proc/self/uid_map";
            (!has_two_users()).then(|| why.to_owned())
        };
        match self {
            Self::Sysctls => {
                let file = "/proc/sys/net/ipv4/tcp_fin_timeout";
                let error = File::options().append(true).open(file).err()?;
                Some(format!("{file}: {error}"))
            }
            Self::Packets => {
                let error = socket(AddressFamily::PACKET, SocketType::DGRAM, Some(eth::ALL))?;
                Some(format!("a packet socket: {error}"))
            }
            Self::Tracing => said(&["strace", "-o", "/dev/null", "true"]),
            Self::Ipv6 => {
                // Where net.ipv6.conf.all.disable_ipv6 is set there are sockets, but no address.
                let error = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).err()?;
                Some(format!("bind to [::1]: {error}"))
            }
            Self::Mptcp => {
                let error = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::MPTCP))?;
                Some(format!("socket: {error}"))
            }
            Self::SecondUser => no_second_user(),
            Self::UserNamespaces => no_second_user()
                .or_else(|| said(&[&AS_NOBODY[..], &["unshare", "--user", "true"]].concat())),
            Self::FilePrivileges => no_second_user().or_else(|| {
                // Such a program, which does not get its user on a file system that is mounted nosuid.
                let folder = SharedFolder::new();
                let id = folder.path().join("id");
                let copied = ["sh", "-c", "cp \"$(command -v id)\" $0 && chmod 4755 $0"];
                let id = id.to_str().expect("it is a text");
                let seen = [
                    "sh",
                    "-c",
                    "[ \"$($0 --user)\" = 0 ] || { echo its setuid bit is ignored >&2; exit 1; }",
                ];
                let seen = [&AS_NOBODY[..], &seen, &[id]].concat();
                said(&[&copied[..], &[id]].concat()).or_else(|| said(&seen))
            }),
            Self::Bits32 => (!cfg!(target_arch = "x86_64"))
                .then(|| format!("this machine is {}", std::env::consts::ARCH)),
            Self::X32 => {
                let getpid = "import ctypes, os; c = ctypes.CDLL(None, use_errno=True); \
                    c.syscall(0x40000000 + 39) == os.getpid() or exit(os.strerror(ctypes.get_errno()))";
                said(&["python3", "-c", getpid])
            }
            Self::Vxlan => {
                let link = "ip link add v type vxlan id 1 dstport 1";
                said(&["unshare", "--net", "sh", "-c", link])
            }
            Self::Wireguard => {
                let link = "ip link add w type wireguard && wg show w";
                said(&["unshare", "--net", "sh", "-c", link])
            }
            Self::IoUring => {
                let setup = "import ctypes, os; c = ctypes.CDLL(None, use_errno=True); \
                    c.syscall(425, 1, bytes(120)) >= 0 or exit(os.strerror(ctypes.get_errno()))";
                said(&["python3", "-c", setup])
            }
            Self::Supervisors => {
                let all = "for tool in runsv sv s6-supervise s6-svc supervisord supervisorctl; do \
                    command -v $tool >/dev/null || { echo there is no $tool >&2; exit 1; }; done";
                said(&["sh", "-c", all])
            }
            Self::CgroupPrograms | Self::Landlock | Self::Seccomp | Self::Engine => None,
        }
    }
}

impl Display for Need {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sysctls => "sysctls",
            Self::Packets => "raw sockets",
            Self::Tracing => "ptrace",
            Self::Ipv6 => "IPv6",
            Self::Mptcp => "MPTCP",
            Self::SecondUser => "a second user",
            Self::UserNamespaces => "users' namespaces",
            Self::FilePrivileges => "setuid programs",
            Self::Bits32 => "programs of 32 bits",
            Self::X32 => "x32",
            Self::CgroupPrograms => "programs of a cgroup",
            Self::Landlock => "Landlock",
            Self::Seccomp => "seccomp",
            Self::Vxlan => "VXLAN",
            Self::Wireguard => "WireGuard",
            Self::IoUring => "io_uring",
            Self::Supervisors => "supervisors",
            Self::Engine => "a container engine",
        })
    }
}

static LACKS: LazyLock<BTreeMap<Need, String>> = LazyLock::new(|| {
    Need::ALL.into_iter().filter_map(|need| Some((need, need.why_not()?))).collect()
});

/// The trials that were not tried, by what they need.
static NOT_TRIED: Mutex<BTreeMap<Need, Vec<String>>> = Mutex::new(BTreeMap::new());

/// Ends the trial here if this system does not have what it needs: it counts as ignored.
pub fn need(need: Need) {
    if LACKS.contains_key(&need) {
        resume_unwind(Box::new(need)); // no panic: nothing is printed
    }
}

/// What a trial has found that this system lacks, and why.
static FOUND: Mutex<BTreeMap<Need, String>> = Mutex::new(BTreeMap::new());

/// Ends the trial here, which has found that this system does not have what it needs.
pub fn lacks(need: Need, why: &str) -> ! {
    FOUND.lock().expect("no panic holds it").insert(need, why.to_owned());
    resume_unwind(Box::new(need))
}

/// Takes note that a part of a trial, of that name, was not tried.
pub fn lacks_in(name: &str, need: Need, why: &str) {
    FOUND.lock().expect("no panic holds it").insert(need, why.to_owned());
    let mut not_tried = NOT_TRIED.lock().expect("no panic holds it");
    let names = not_tried.entry(need).or_default();
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// Runs a trial. If it ends because this system lacks something, what that is.
pub fn try_all(name: &str, check: impl FnOnce()) -> Option<Need> {
    let payload = catch_unwind(AssertUnwindSafe(check)).err()?;
    let need = *payload.downcast().unwrap_or_else(|payload| resume_unwind(payload));
    NOT_TRIED.lock().expect("no panic holds it").entry(need).or_default().push(name.to_owned());
    Some(need)
}

/// For the end of the run, a line for each need that this system has not met.
pub fn not_tried() -> Vec<String> {
    let not_tried = NOT_TRIED.lock().expect("no panic holds it");
    let found = FOUND.lock().expect("no panic holds it");
    let line = |(need, names): (&Need, &Vec<String>)| {
        let why = LACKS.get(need).unwrap_or_else(|| &found[need]);
        format!("not tried without {need} ({why}): {}", names.join(" "))
    };
    not_tried.iter().map(line).collect()
}
