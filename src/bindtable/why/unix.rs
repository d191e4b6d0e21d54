//! The Unix sockets that this network namespace has: sock_diag(7).

use netlink_packet_core::{Emitable, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::unix::nlas::{Nla, UnixDiagName};
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags, UnixRequest, UnixResponse};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use std::path::Path;

/// A Unix socket: its inode, and whether it listens.
pub type Found = (u64, bool);

/// The sockets that were bound to the file with this number and name.
pub fn at_file(inode: u64, path: &Path) -> Vec<Found> {
    let is_it = |found: &UnixResponse| {
        // The library keeps `struct unix_diag_vfs` to itself: the inode's number comes first in it.
        let number = found.nlas.iter().find_map(|nla| match nla {
            Nla::Vfs(vfs) => {
                let mut bytes = [0; 8];
                vfs.emit(&mut bytes);
                bytes.first_chunk().map(|number| u32::from_ne_bytes(*number))
            }
            _ => None,
        });
        // Of a file system without a device of its own, only the name tells it from another's.
        let name = match found.name() {
            Some(UnixDiagName::Pathname(name)) => Path::new(name).file_name(),
            _ => None,
        };
        number.map(u64::from) == Some(inode & 0xffff_ffff) && name == path.file_name()
    };
    dump(is_it).unwrap_or_default()
}

/// The sockets with this name of the abstract namespace.
pub fn named(name: &[u8]) -> Vec<Found> {
    let is_it = |found: &UnixResponse| match found.name() {
        Some(UnixDiagName::Abstract(its)) => its == name,
        _ => false,
    };
    dump(is_it).unwrap_or_default()
}

fn dump(is_wanted: impl Fn(&UnixResponse) -> bool) -> Result<Vec<Found>, Errno> {
    const LISTENS: u8 = 10;
    let request = UnixRequest {
        state_flags: StateFlags::from_bits_retain(!0),
        inode: 0,
        show_flags: ShowFlags::NAME | ShowFlags::VFS,
        cookie: [0xff; 8],
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::UnixRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let (kind, protocol) = (SocketType::RAW, Some(netlink::SOCK_DIAG));
    let kernel = socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, protocol)?;
    sendto(&kernel, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let (mut found, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let (_, length) = recv(&kernel, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(|_| Errno::BADMSG)?;
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(found),
                NetlinkPayload::Error(_) => return Err(Errno::BADMSG),
                NetlinkPayload::InnerMessage(SockDiagMessage::UnixResponse(its))
                    if is_wanted(&its) =>
                {
                    found.push((its.header.inode.into(), its.header.state == LISTENS));
                }
                _ => {}
            }
            let length = message.header.length.next_multiple_of(4) as usize;
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}
