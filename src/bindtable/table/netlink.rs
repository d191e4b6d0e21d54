//! rtnetlink(7): what a new network namespace needs before a socket can be tried in it.

use crate::sockets::std_error;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily as Family, RouteNetlinkMessage};
use rustix::fd::OwnedFd;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use std::io;
use std::net::{IpAddr, Ipv6Addr};

/// `lo` has the first number in each namespace.
pub const LOOPBACK: u32 = 1;

/// `include/uapi/linux/rtnetlink.h`.
const RT_TABLE_LOCAL: u8 = 255;

/// A socket to the kernel's table of links, addresses and routes.
pub struct Netlink(OwnedFd);

impl Netlink {
    /// Opens one in this thread's network namespace.
    pub fn new() -> io::Result<Self> {
        // NETLINK_ROUTE is protocol 0.
        let flags = SocketFlags::CLOEXEC;
        let made = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None);
        Ok(Self(made.map_err(std_error)?))
    }

    /// Starts `lo`.
    pub fn loopback_up(&self) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = LOOPBACK;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.request(RouteNetlinkMessage::NewLink(link))
    }

    /// Makes a second device, of any kind that this kernel has, and starts it.
    pub fn add_device(&self, name: &str) -> io::Result<()> {
        let mut made = Err(io::ErrorKind::Unsupported.into());
        for kind in [InfoKind::Dummy, InfoKind::Veth, InfoKind::Bridge, InfoKind::Ifb] {
            let mut link = LinkMessage::default();
            link.header.flags = LinkFlags::Up;
            link.header.change_mask = LinkFlags::Up;
            link.attributes = vec![
                LinkAttribute::IfName(name.to_owned()),
                LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]),
            ];
            made = self.request(RouteNetlinkMessage::NewLink(link));
            if made.is_ok() {
                break;
            }
        }
        made
    }

    /// Gives `lo` an address.
    pub fn add_address(&self, ip: IpAddr) -> io::Result<()> {
        self.request(RouteNetlinkMessage::NewAddress(address(ip)))
    }

    /// Takes the address away from `lo`.
    pub fn remove_address(&self, ip: IpAddr) -> io::Result<()> {
        self.request(RouteNetlinkMessage::DelAddress(address(ip)))
    }

    /// Sends IPv6's multicast, which `lo` does not do by itself, to `lo`.
    pub fn route_groups(&self) -> io::Result<()> {
        let mut route = RouteMessage::default();
        route.header = RouteHeader {
            address_family: Family::Inet6,
            destination_prefix_length: 8,
            table: RT_TABLE_LOCAL,
            protocol: RouteProtocol::Boot,
            scope: RouteScope::Universe,
            kind: RouteType::Local,
            ..RouteHeader::default()
        };
        let groups = Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0);
        route.attributes = vec![
            RouteAttribute::Destination(RouteAddress::Inet6(groups)),
            RouteAttribute::Oif(LOOPBACK),
        ];
        self.request(RouteNetlinkMessage::NewRoute(route))
    }

    /// One request, and the kernel's answer to it. What is there already is no error.
    fn request(&self, request: RouteNetlinkMessage) -> io::Result<()> {
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let to = SocketAddrNetlink::new(0, 0);
        sendto(&self.0, &bytes, SendFlags::empty(), &to).map_err(std_error)?;
        let mut answer = [0; 4096];
        let (_, length) = recv(&self.0, &mut answer[..], RecvFlags::empty()).map_err(std_error)?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer[..length])
            .map_err(|_| io::ErrorKind::InvalidData)?;
        match answer.payload {
            NetlinkPayload::Error(error) if error.code.is_none() => Ok(()),
            NetlinkPayload::Error(error) => match error.to_io() {
                error if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                error => Err(error),
            },
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The whole of `ip`, on `lo`, there at once: nobody else can have it.
fn address(ip: IpAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    (message.header.family, message.header.prefix_len) = match ip {
        IpAddr::V4(_) => (Family::Inet, 32),
        IpAddr::V6(_) => (Family::Inet6, 128),
    };
    message.header.flags = AddressHeaderFlags::Nodad;
    message.header.index = LOOPBACK;
    message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    message
}
