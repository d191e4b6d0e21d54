//! What a system may lack that some trials need: such a trial is not tried, and the run says so.

use nix::errno::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, eth, socket_with};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
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
    /// Sockets of IPv6.
    Ipv6,
}

impl Need {
    const ALL: [Self; 4] = [Self::Sysctls, Self::Packets, Self::Tracing, Self::Ipv6];

    /// Why this system does not have it; none, if it does.
    fn why_not(self) -> Option<String> {
        let socket = |family, kind, protocol| {
            let error = socket_with(family, kind, SocketFlags::CLOEXEC, protocol).err()?;
            Some(Errno::from_raw(error.raw_os_error()).desc())
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
            Self::Tracing => {
                // Not by `run`, which asks for what this finds out.
                let output = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
                let output = output.unwrap_or_else(|error| panic!("strace: {error}"));
                let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
                (!output.status.success()).then_some(said)
            }
            Self::Ipv6 => {
                let error = socket(AddressFamily::INET6, SocketType::STREAM, None)?;
                Some(format!("socket: {error}"))
            }
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
    let line = |(need, names): (&Need, &Vec<String>)| {
        format!("not tried without {need} ({}): {}", LACKS[need], names.join(" "))
    };
    not_tried.iter().map(line).collect()
}
