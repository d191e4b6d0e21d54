//! The Unix sockets of this network namespace, and of others at a file: sock_diag(7), or else `/proc/net/unix`.

use crate::port::beside::in_namespace_of;
use crate::port::holders;
use crate::sockets::{ask, errno_of};
use netlink_packet_core::Emitable;
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::unix::nlas::{Nla, UnixDiagName};
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags, UnixRequest, UnixResponse};
use rustix::fs::{major, minor};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// A Unix socket: its inode, and what it does.
pub type Found = (u64, State);

/// What a Unix socket does. One that was accepted has its listener's address, and is in nobody's way: of those with
/// one address, the first of this order has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Listens,
    Bound,
    Connected,
}

/// Those of the first state that one of them has.
fn without_accepted(mut all: Vec<Found>) -> Vec<Found> {
    let first = all.iter().map(|(_, state)| *state).min();
    all.retain(|(_, state)| Some(*state) == first);
    all
}

/// The sockets that were bound to this file, which had that name: it may have been renamed since, as haproxy does.
/// Those of other network namespaces, if this one has none.
pub fn at_file(file: &Metadata, name: Option<&OsStr>) -> Vec<Found> {
    without_accepted(all_at_file(file, name))
}

fn all_at_file(file: &Metadata, name: Option<&OsStr>) -> Vec<Found> {
    // Of what a relative name was relative to, nothing is told.
    let listed = |process: &str| {
        in_proc(process, |its| {
            let is_the_file = || {
                let other = std::fs::metadata(format!("/proc/{process}/root{its}"));
                other.is_ok_and(|other| (other.dev(), other.ino()) == (file.dev(), file.ino()))
            };
            let has_name = Path::new(its).file_name() == name;
            has_name && if its.starts_with('/') { is_the_file() } else { process == HERE }
        })
    };
    let here = listed_at(file, name).unwrap_or_else(|_| listed(HERE));
    if !here.is_empty() {
        return here;
    }
    let there = |pid: i32| -> Vec<Found> {
        let found = in_namespace_of(pid, || listed_at(file, name));
        found.unwrap_or_else(|_| listed(&pid.to_string()))
    };
    holders::namespaces().into_iter().flat_map(there).collect()
}

/// This thread, in `/proc`.
const HERE: &str = "thread-self";

/// The sockets that sock_diag(7) lists at that file. It fails as that does.
fn listed_at(file: &Metadata, name: Option<&OsStr>) -> io::Result<Vec<Found>> {
    let device = (major(file.dev()) << 20) | minor(file.dev()); // as the kernel has it: MKDEV
    // The library keeps `struct unix_diag_vfs` to itself: the inode's number, and the device's.
    let of = |found: &UnixResponse| {
        found.nlas.iter().find_map(|nla| match nla {
            Nla::Vfs(vfs) => {
                let mut bytes = [0; 8];
                vfs.emit(&mut bytes);
                let [number, device] = [0, 4].map(|at| bytes[at..].first_chunk().copied());
                Some((u32::from_ne_bytes(number?), u32::from_ne_bytes(device?)))
            }
            _ => None,
        })
    };
    let is_number = |number: u32| u64::from(number) == file.ino() & 0xffff_ffff;
    let exact =
        dump(|found| of(found).is_some_and(|(number, its)| is_number(number) && its == device))?;
    if !exact.is_empty() {
        return Ok(exact);
    }
    // A file system may tell users another device than its own: then its name tells.
    dump(|found| {
        let has_name = match found.name() {
            Some(UnixDiagName::Pathname(its)) => Path::new(its).file_name() == name,
            _ => false,
        };
        has_name && of(found).is_some_and(|(number, _)| is_number(number))
    })
}

/// Whether a socket is bound to the file, in whatever namespace: unix_find_bsd. A connect of a datagram socket
/// makes no connection. None, if that is not to be told.
pub fn is_bound(file: &File) -> Option<bool> {
    let short = format!("/proc/self/fd/{}", file.as_raw_fd()); // 108 bytes at most
    let tried = UnixDatagram::unbound().ok()?.connect(short);
    match tried.map_err(errno_of) {
        Ok(()) | Err(Errno::PROTOTYPE | Errno::PERM) => Some(true),
        Err(Errno::CONNREFUSED) => Some(false),
        Err(_) => None,
    }
}

/// The sockets with this name of the abstract namespace, of the type of the socket `own`: each type has names of its
/// own (unix_abstract_hash).
pub fn named(name: &[u8], own: u64) -> Vec<Found> {
    let is_it = |found: &UnixResponse| match found.name() {
        Some(UnixDiagName::Abstract(its)) => its == name,
        _ => false,
    };
    let mut kind = None;
    let found = rows(|its| {
        if u64::from(its.header.inode) == own {
            kind = Some(its.header.kind);
        }
        is_it(its)
    });
    without_accepted(match found {
        Ok(found) => {
            let found = found.into_iter().filter(|its| kind.is_none_or(|kind| its.0 == kind));
            found.map(|(_, its)| its).collect()
        }
        Err(_) => {
            let shown = String::from_utf8_lossy(name).replace('\0', "@");
            in_proc(HERE, |name| name.strip_prefix('@') == Some(&shown))
        }
    })
}

fn dump(is_wanted: impl Fn(&UnixResponse) -> bool) -> io::Result<Vec<Found>> {
    Ok(rows(is_wanted)?.into_iter().map(|(_, found)| found).collect())
}

/// With the type of each: `SOCK_STREAM` and so on.
fn rows(mut is_wanted: impl FnMut(&UnixResponse) -> bool) -> io::Result<Vec<(u8, Found)>> {
    // As those of TCP: tcp_states.h
    const ESTABLISHED: u8 = 1;
    const LISTEN: u8 = 10;
    let request = UnixRequest {
        state_flags: StateFlags::from_bits_retain(!0),
        inode: 0,
        show_flags: ShowFlags::NAME | ShowFlags::VFS,
        cookie: [0xff; 8],
    };
    let mut found = Vec::new();
    ask(SockDiagMessage::UnixRequest(request), &mut |answer, _| match answer {
        SockDiagMessage::UnixResponse(its) if is_wanted(&its) => {
            let state = match its.header.state {
                LISTEN => State::Listens,
                ESTABLISHED => State::Connected,
                _ => State::Bound,
            };
            found.push((its.header.kind, (its.header.inode.into(), state)));
        }
        _ => {}
    })?;
    Ok(found)
}

/// The rows of unix_seq_show: address, count, protocol, flags, type, state, inode, name.
fn in_proc(process: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<Found> {
    const SO_ACCEPTCON: &str = "00010000";
    const SS_CONNECTED: &str = "03";
    let table = std::fs::read(format!("/proc/{process}/net/unix")).unwrap_or_default();
    let row = |line: &str| {
        let (mut fields, mut rest) = ([""; 7], line);
        for field in &mut fields {
            (*field, rest) = rest.trim_start().split_once(' ')?;
        }
        let [_, _, _, flags, _, state, inode] = fields;
        let state = match (flags, state) {
            (SO_ACCEPTCON, _) => State::Listens,
            (_, SS_CONNECTED) => State::Connected,
            _ => State::Bound,
        };
        Some((inode.parse().ok()?, state)).filter(|_| is_wanted(rest))
    };
    String::from_utf8_lossy(&table).lines().filter_map(row).collect()
}
