//! Refusals that are no socket's doing: what bind(2) says before it comes to the port's owners, or
//! after it has passed them.

use super::holders;
use super::finding::{Can, Case, Finding, Unseen, Verdict, Why};
use super::target::{Question, first_unprivileged};
use rustix::io::Errno;
use std::os::unix::fs::MetadataExt;
use std::fs::read_to_string;
use std::net::{IpAddr, Ipv6Addr};

impl Question {
    /// Whether bind needs a privilege that this process does not have.
    fn lacks_privilege(&self) -> bool {
        self.target.port < first_unprivileged() && !may_bind_privileged("thread-self")
    }

    /// Why bind says that of `ip`, if no socket has made it.
    pub fn why_refused(&self, ip: IpAddr, errno: Errno) -> Why {
        match errno {
            Errno::ADDRNOTAVAIL => match trouble(ip, self.target.device_at(ip)) {
                None => Why::NotThisMachine,
                Some(Ipv6Trouble::OtherInterface) => Why::OtherInterface,
                Some(Ipv6Trouble::Tentative { .. }) => Why::Tentative,
            },
            Errno::INVAL | Errno::NODEV => Why::Other,
            _ => self.why_denied(errno),
        }
    }

    /// Why bind says that, if neither a socket nor the address has made it. A policy may say anything, as
    /// EADDRINUSE (`bpf_set_retval`, seccomp's SECCOMP_RET_ERRNO).
    pub fn why_denied(&self, errno: Errno) -> Why {
        match errno {
            Errno::ACCESS if self.lacks_privilege() => Why::Privileged,
            _ => Why::Policy,
        }
    }
}

impl Finding {
    /// What a real bind of that verdict has said.
    pub fn take_note(&mut self, at: usize, tried: Result<(), Errno>) {
        let verdict = &mut self.verdicts[at];
        let address = verdict.address;
        verdict.probed = true;
        let errno = match tried {
            Ok(()) => return verdict.allow(),
            Err(Errno::ADDRINUSE) => {
                let why = verdict.suspected.unwrap_or(Why::Unseen);
                return verdict.refuse(why, Errno::ADDRINUSE);
            }
            Err(errno) if is_shortage(errno) => {
                let unseen = Unseen::Test { address, error: errno };
                if !self.unseen.contains(&unseen) {
                    self.unseen.push(unseen);
                }
                return verdict.fail(errno);
            }
            Err(errno) => errno,
        };
        // Whatever the option: it is not the port's owners that refuse; nor the address, if that has passed.
        let why = match verdict.why {
            Some(Why::Untested) => self.question.why_refused(address, errno),
            _ => self.question.why_denied(errno),
        };
        let its = self.verdicts.iter_mut().filter(|verdict| verdict.address == address);
        its.filter(|verdict| verdict.can != Can::No).for_each(|verdict| verdict.refuse(why, errno));
    }
}

impl Verdict {
    fn allow(&mut self) {
        (self.can, self.why, self.error, self.socket) = (Can::Yes, None, None, None);
    }

    pub fn refuse(&mut self, why: Why, errno: Errno) {
        (self.can, self.why, self.error) = (Can::No, Some(why), Some(errno));
    }

    pub fn fail(&mut self, errno: Errno) {
        (self.can, self.why, self.error) = (Can::Unknown, Some(Why::Untested), Some(errno));
    }
}

/// Whether it tells of this process or of the moment, and not of the address.
fn is_shortage(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS)
}

/// The case of a server that is refused so.
pub fn case(question: &Question, verdict: &Verdict) -> Option<Case> {
    let Verdict { address, why, error, .. } = *verdict;
    match why? {
        Why::Privileged => Some(Case::Privileged { first: first_unprivileged() }),
        Why::NotThisMachine => Some(Case::NotThisMachine { address }),
        Why::Tentative => match trouble(address, question.target.device_at(address)) {
            Some(Ipv6Trouble::Tentative { has_failed }) => {
                Some(Case::Tentative { address, has_failed })
            }
            _ => None,
        },
        Why::OtherInterface => Some(Case::OtherInterface { address }),
        Why::Policy => error.map(|error| Case::Policy { error }),
        Why::Other => error.map(|error| Case::Refused { address, error }),
        _ => None,
    }
}

/// As bits: capability.h.
pub const CAP_SYS_ADMIN: u64 = 1 << 21;
pub const CAP_NET_BIND_SERVICE: u64 = 1 << 10;

/// Whether that thread in `/proc` has CAP_NET_BIND_SERVICE over its network namespace, which a user
/// namespace's root does not have over its parent's: capabilities(7), user_namespaces(7).
pub fn may_bind_privileged(thread: &str) -> bool {
    /// `PROC_USER_INIT_INO` of `include/linux/proc_ns.h`.
    const FIRST: u64 = 0xEFFF_FFFD;
    let namespace = std::fs::metadata(format!("/proc/{thread}/ns/user")).map(|file| file.ino());
    // Another user's cannot be told so; the first one has each user under his own number.
    let map = || read_to_string(format!("/proc/{thread}/uid_map")).unwrap_or_default();
    let has_all = || map().split_whitespace().eq(["0", "0", "4294967295"]);
    namespace.map_or_else(|_| has_all(), |number| number == FIRST)
        && has_capability(thread, CAP_NET_BIND_SERVICE)
}

/// Whether that thread of `/proc` has the capability, over whatever user namespace.
pub fn has_capability(thread: &str, capability: u64) -> bool {
    effective_capabilities(thread).is_some_and(|set| set & capability != 0)
}

/// The effective capabilities of that thread of `/proc`, as bits.
pub fn effective_capabilities(thread: &str) -> Option<u64> {
    u64::from_str_radix(&holders::status_field(thread, "CapEff:")?, 16).ok()
}

/// An interface that has an IPv6 address.
struct Ipv6Of {
    /// Its number.
    index: u32,
    /// Duplicate address detection (RFC 4862) has not cleared it.
    is_tentative: bool,
    /// And it has failed.
    has_failed: bool,
}

/// The interfaces that have it. `if_inet6_seq_show`: address, index, prefix length, scope, flags,
/// name.
fn interfaces_of(ip: IpAddr) -> Vec<Ipv6Of> {
    const IFA_F_DADFAILED: u32 = 0x08;
    const IFA_F_TENTATIVE: u32 = 0x40;
    let list = read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
    let its = list.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let bits = u128::from_str_radix(fields.first()?, 16).ok()?;
        let [index, flags] = [1, 4].map(|at| u32::from_str_radix(fields.get(at)?, 16).ok());
        let (index, flags) = (index?, flags?);
        let has_failed = flags & IFA_F_DADFAILED != 0;
        let is_tentative = has_failed || flags & IFA_F_TENTATIVE != 0;
        (IpAddr::from(Ipv6Addr::from(bits)) == ip).then_some(Ipv6Of {
            index,
            is_tentative,
            has_failed,
        })
    });
    its.collect()
}

/// What bind has against an IPv6 address that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv6Trouble {
    /// Another interface has it than the one that was named.
    OtherInterface,
    /// Duplicate address detection runs, or has failed.
    Tentative { has_failed: bool },
}

/// What it is, at the interface with that number, or with 0 at any. None, if no interface has the address.
pub fn trouble(ip: IpAddr, device: u32) -> Option<Ipv6Trouble> {
    let all = interfaces_of(ip);
    let mut named = all.iter().filter(|its| device == 0 || its.index == device).peekable();
    if named.peek().is_none() {
        return (!all.is_empty()).then_some(Ipv6Trouble::OtherInterface);
    }
    let tentative = named.find(|its| its.is_tentative)?;
    Some(Ipv6Trouble::Tentative { has_failed: tentative.has_failed })
}
