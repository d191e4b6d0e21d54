//! What the hooked calls have shown so far: who bound what, which options were set, who is whose
//! child. Bounded: a program may bind for years.

use super::calls::Address;
use crate::named::named;
use nix::libc;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// How many successful binds are remembered, and how many failed ones.
const BINDS: usize = 4096;

/// How many processes are remembered, if so many have ended.
const PROCESSES: usize = 16_384;

named! {
    /// An option by which bind decides, as in its man page.
    SocketOption {
        ReuseAddr = "SO_REUSEADDR",
        ReusePort = "SO_REUSEPORT",
        V6Only = "IPV6_V6ONLY",
    }
}

impl SocketOption {
    /// From the arguments of setsockopt(2).
    pub fn new(level: i32, name: i32) -> Option<Self> {
        match (level, name) {
            (libc::SOL_SOCKET, libc::SO_REUSEADDR) => Some(Self::ReuseAddr),
            (libc::SOL_SOCKET, libc::SO_REUSEPORT) => Some(Self::ReusePort),
            (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY) => Some(Self::V6Only),
            _ => None,
        }
    }
}

/// A successful bind.
#[derive(Clone, Debug)]
pub struct Bound {
    pub process: i32,
    pub descriptor: i32,
    pub address: Address,
    pub at: Instant,
}

/// A bind that failed with EADDRINUSE.
#[derive(Clone, Debug)]
pub struct Refused {
    pub process: i32,
    pub descriptor: i32,
    /// Its socket's; 0 if it is not known.
    pub inode: u64,
    /// Whether it would have succeeded with SO_REUSEADDR, and with SO_REUSEPORT, if that is known.
    pub helps: [Option<bool>; 2],
}

/// What is kept.
#[derive(Default)]
pub struct Records {
    bound: VecDeque<Bound>,
    refused: VecDeque<Refused>,
    /// By process and descriptor, where setsockopt(2) is hooked.
    pub options: BTreeMap<(i32, i32), BTreeMap<SocketOption, bool>>,
    /// Domain, type and protocol by process and descriptor, where socket(2) is hooked.
    pub sockets: BTreeMap<(i32, i32), [i32; 3]>,
    /// The parent of each process that was started before these eyes.
    pub parents: BTreeMap<i32, i32>,
    /// Those of them that have ended, the first one first.
    gone: VecDeque<i32>,
}

impl Records {
    /// A process has started another: fork(2).
    pub fn forked(&mut self, parent: i32, child: i32) {
        if self.parents.insert(child, parent).is_some() {
            self.gone.retain(|gone| *gone != child); // its number is in use again
        }
        while self.parents.len() > PROCESSES
            && let Some(gone) = self.gone.pop_front()
        {
            self.parents.remove(&gone);
        }
        // The child has copies of the descriptors; what it has done with them meanwhile counts.
        let all = (parent, i32::MIN)..=(parent, i32::MAX);
        let options: Vec<_> =
            self.options.range(all.clone()).map(|(key, its)| (key.1, its.clone())).collect();
        for (fd, its) in options {
            self.options.entry((child, fd)).or_insert(its);
        }
        let sockets: Vec<_> = self.sockets.range(all).map(|(key, its)| (key.1, *its)).collect();
        for (fd, its) in sockets {
            self.sockets.entry((child, fd)).or_insert(its);
        }
    }

    /// A process has ended: its descriptors are gone.
    pub fn ended(&mut self, process: i32) {
        if self.parents.contains_key(&process) {
            self.gone.push_back(process);
        }
        self.options.retain(|(its, _), _| *its != process);
        self.sockets.retain(|(its, _), _| *its != process);
        self.refused.retain(|refused| refused.process != process);
    }

    /// socket(2) has returned `descriptor`. `kind`: domain, type and protocol.
    pub fn made_socket(&mut self, process: i32, descriptor: i32, kind: [i32; 3]) {
        self.options.remove(&(process, descriptor));
        self.sockets.insert((process, descriptor), kind);
    }

    /// setsockopt(2): whether the option is on now.
    pub fn set_option(&mut self, process: i32, fd: i32, option: SocketOption, value: bool) {
        self.options.entry((process, fd)).or_default().insert(option, value);
    }

    /// bind(2) has succeeded, just now.
    pub fn bound(&mut self, process: i32, descriptor: i32, address: Address) {
        if self.bound.len() >= BINDS {
            self.bound.pop_front();
        }
        self.bound.push_back(Bound { process, descriptor, address, at: Instant::now() });
    }

    /// bind(2) has failed with EADDRINUSE.
    pub fn refused(&mut self, refused: Refused) {
        if self.refused.len() >= BINDS {
            self.refused.pop_front();
        }
        self.refused.push_back(refused);
    }

    /// The last bind of this descriptor that failed, taken out.
    pub fn take_refused(&mut self, process: i32, descriptor: i32) -> Option<Refused> {
        let is_it =
            |refused: &Refused| refused.process == process && refused.descriptor == descriptor;
        let at = self.refused.iter().rposition(is_it)?;
        self.refused.remove(at)
    }

    /// The binds of that port, or of that name; of a path, those of the same name in any folder, which may be
    /// spelled otherwise; the latest last.
    pub fn binds(&self, address: &Address) -> impl Iterator<Item = &Bound> {
        let is_slash = |byte: &u8| *byte == b'/';
        let is_near = move |other: &Address| match (address, other) {
            (Address::Path(path), Address::Path(its)) => {
                path.rsplit(is_slash).next() == its.rsplit(is_slash).next()
            }
            _ => match (address.port(), other.port()) {
                (Some(port), Some(its)) => port == its,
                _ => address == other,
            },
        };
        self.bound.iter().filter(move |bound| is_near(&bound.address))
    }
}
