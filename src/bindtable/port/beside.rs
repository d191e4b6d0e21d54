//! What has the port elsewhere, and is in nobody's way: in another network namespace, or of the other
//! protocol.

use super::finding::{Case, Socket, Unseen};
use super::holders::{self, Holders};
use super::target::Question;
use crate::kernel::Proto;
use crate::sockets::{self, Listed, State};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::io;

/// How many other network namespaces are looked into. Where setns(2) is not allowed the kernel has to
/// write its whole tables for each, so only a few are.
const MOST: usize = 16;
const MOST_IN_PROC: usize = 4;

/// The sockets that have the port elsewhere, before their processes are known, and the cases that they
/// are with them.
#[derive(Default)]
pub struct Beside {
    other_protocol: Option<Listed>,
    namespaces: Vec<Listed>,
    /// How many namespaces were left out.
    unread: usize,
    /// The cases, once the processes are known.
    pub cases: Vec<Case>,
}

impl Beside {
    /// Other namespaces are looked into only if no socket of this one is listened to.
    pub fn find(question: &Question, listed: &[Listed]) -> Self {
        let is_listened_to = listed.iter().any(|socket| match question.proto {
            Proto::Tcp => socket.state == State::Listen,
            Proto::Udp => socket.peer.is_none(),
        });
        let (namespaces, unread) =
            if is_listened_to { Default::default() } else { in_namespaces(question) };
        let other = question.proto.other();
        let states = sockets::without_peer(other);
        let sockets = without_peer(other, question.target.port, states).unwrap_or_default();
        Self { other_protocol: sockets.into_iter().next(), namespaces, unread, cases: Vec::new() }
    }

    /// The inodes of all of them.
    pub fn inodes(&self) -> impl Iterator<Item = u64> {
        self.namespaces.iter().chain(&self.other_protocol).map(|socket| socket.inode)
    }

    /// Names the processes. One in another namespace is no case without its process.
    pub fn name(&mut self, holders: &Holders) {
        self.cases.extend(self.namespaces.iter().filter_map(|socket| {
            let holder = holders.of.get(&socket.inode)?.first()?;
            let (pid, name) = (holder.pid, holder.name.clone());
            Some(Case::OtherNamespace { pid, name, address: socket.local })
        }));
        let other = self.other_protocol.as_ref();
        self.cases.extend(other.map(|it| Case::OtherProtocol(Socket::new(it, holders).who())));
    }

    /// The namespaces that were left out.
    pub fn unseen(&self) -> Option<Unseen> {
        (self.unread > 0).then_some(Unseen::Namespaces { count: self.unread })
    }
}

/// Those that have no peer, and a process or the kernel.
fn without_peer(proto: Proto, port: u16, states: u32) -> io::Result<Vec<Listed>> {
    let mut sockets = sockets::listed(proto, port, states)?;
    sockets.retain(is_held_without_peer);
    Ok(sockets)
}

fn is_held_without_peer(socket: &Listed) -> bool {
    socket.peer.is_none() && socket.inode != 0
}

/// The sockets in other network namespaces, where processes show them; and how many were left out.
fn in_namespaces(question: &Question) -> (Vec<Listed>, usize) {
    let (proto, port) = (question.proto, question.target.port);
    let pids = holders::namespaces();
    let mut unread = pids.len().saturating_sub(MOST);
    let mut all = Vec::new();
    let mut refused = Vec::new();
    for &pid in pids.iter().take(MOST) {
        match in_namespace_of(pid, || without_peer(proto, port, sockets::receiving(proto))) {
            Ok(sockets) => all.extend(sockets),
            Err(_) => refused.push(pid),
        }
    }
    unread += refused.len().saturating_sub(MOST_IN_PROC);
    for pid in refused.into_iter().take(MOST_IN_PROC) {
        let sockets = sockets::in_proc(&format!("/proc/{pid}/net"), proto, [port, 0]);
        let sockets = sockets.unwrap_or_default().into_iter();
        all.extend(sockets.filter(is_held_without_peer));
    }
    (all, unread)
}

/// Does that in the network namespace of a process, by a thread that ends then: this one stays where it is. It fails
/// as [`enter`] and `work` do, and with EAGAIN where no thread may be started (RLIMIT_NPROC).
pub fn in_namespace_of<T: Send>(
    pid: i32,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new();
        let thread = thread.spawn_scoped(scope, || enter(pid).and_then(|()| work()))?;
        thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    })
}

/// Moves this thread into the network namespace of a process. It fails as open(2) or setns(2)
/// does: EPERM without CAP_SYS_ADMIN.
fn enter(pid: i32) -> io::Result<()> {
    let file = format!("/proc/{pid}/ns/net");
    let namespace = open(&*file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    namespace
        .and_then(|it| move_into_link_name_space(it.as_fd(), Some(LinkNameSpaceType::Network)))
        .map_err(sockets::std_error)
}
