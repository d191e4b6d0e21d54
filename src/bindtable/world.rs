//! Where the cells are tried: network namespaces, and the kernel's own table of sockets.

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use rustix::process::{Uid, getegid, geteuid};
use rustix::thread::{UnshareFlags, set_thread_res_uid};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

/// A second address of IPv6, since `::1` is all that the loopback has.
pub const SECOND_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// The addresses of clients that are to be out of reach one day: `vanish`.
const CLIENT_IPV4: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);
const CLIENT_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9);

/// The other user, where there may be one: any number serves, it needs no account.
const OTHER_USER: u32 = 65_534;

/// No state takes nearly as long.
const LIMIT: Duration = Duration::from_secs(10);

/// What this process may do, found once, before there are threads.
#[derive(Clone, Copy, Debug)]
pub struct Powers {
    pub namespaces: bool,
    pub two_users: bool,
    pub ipv6: bool,
}

impl Powers {
    /// Leaves the network of this machine, if it can.
    pub fn find() -> Self {
        let namespaces = enter().is_ok();
        // A socket table of their own for the namespaces that are made from here, so small that it
        // is quickly read (Linux 6.1).
        if namespaces {
            let _ = fs::write("/proc/sys/net/ipv4/tcp_child_ehash_entries", "1024");
        }
        let is_other = geteuid() == Uid::from_raw(OTHER_USER);
        Self {
            namespaces,
            two_users: !is_other && as_other_user(|| ()).is_ok(),
            ipv6: fs::exists("/proc/net/if_inet6").unwrap_or(false),
        }
    }
}

fn enter() -> Result<(), String> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    match unshare(UnshareFlags::NEWNET) {
        Err(Errno::PERM) => {}
        made => return made.map_err(words),
    }
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET).map_err(words)?;
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {uid} 1")),
        ("gid_map", format!("0 {gid} 1")),
    ] {
        fs::write(format!("/proc/self/{file}"), text).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// unshare(2). The call that rustix puts in its place is unsafe for the sake of another flag,
/// which takes file descriptors from a thread: `UnshareFlags::FILES`.
#[expect(deprecated)]
fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    rustix::thread::unshare(flags)
}

/// What strerror(3) says.
pub fn words(errno: Errno) -> String {
    std::io::Error::from_raw_os_error(errno.raw_os_error()).to_string()
}

/// Runs `action` with this thread as another user's.
pub fn as_other_user<T>(action: impl FnOnce() -> T) -> Result<T, Errno> {
    let user = geteuid();
    set_thread_res_uid(None, Uid::from_raw(OTHER_USER), None)?;
    let result = action();
    set_thread_res_uid(None, user, None)?;
    Ok(result)
}

/// The network of one thread. Each cell has a port of its own there.
pub struct World {
    pub has_namespace: bool,
    next_port: u16,
    netlink: Option<OwnedFd>,
}

impl World {
    pub fn new(powers: Powers) -> Result<Self, String> {
        let mut world = Self { has_namespace: powers.namespaces, next_port: 2000, netlink: None };
        if world.has_namespace {
            world.renew(powers)?;
        }
        Ok(world)
    }

    fn renew(&mut self, powers: Powers) -> Result<(), String> {
        let fail = |what: &str, errno: Errno| format!("{what}: {}", words(errno));
        unshare(UnshareFlags::NEWNET).map_err(|errno| fail("a network namespace", errno))?;
        let flags = SocketFlags::CLOEXEC;
        // NETLINK_ROUTE is protocol 0.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None);
        self.netlink = Some(socket.map_err(|errno| fail("netlink", errno))?);
        self.loopback_up().map_err(|errno| fail("the loopback", errno))?;
        if powers.ipv6 {
            self.add(SECOND_IPV6.into())?;
            self.route_groups().map_err(|errno| fail("a route for multicast", errno))?;
        }
        Ok(())
    }

    /// A port that nothing has been on.
    pub fn port(&mut self) -> Result<u16, String> {
        for port in self.next_port..=u16::MAX {
            self.next_port = port + 1;
            if self.has_namespace {
                return Ok(port);
            }
            let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
            // std sets SO_REUSEADDR for TCP, so it is asked whether there is any row, too.
            let is_free = any.iter().any(|&ip| {
                let address = SocketAddr::new(ip, port);
                TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
            });
            if is_free && rows(port)?.is_empty() {
                return Ok(port);
            }
        }
        Err("no port is free".to_owned())
    }

    /// A client's address, which may vanish.
    pub fn client(&self, family: IpAddr) -> Result<IpAddr, String> {
        let ip = if family.is_ipv4() { CLIENT_IPV4.into() } else { CLIENT_IPV6.into() };
        self.add(ip)?;
        Ok(ip)
    }

    /// Gives the loopback an address, and waits until the kernel has a way there: of IPv6 it comes
    /// a little later.
    fn add(&self, ip: IpAddr) -> Result<(), String> {
        self.address(RTM_NEWADDR, ip).map_err(|errno| format!("{ip}: {}", words(errno)))?;
        let IpAddr::V6(ip) = ip else { return Ok(()) };
        let hex: String = ip.octets().iter().map(|octet| format!("{octet:02x}")).collect();
        wait_for(&format!("a way to {ip}"), || {
            let file = "/proc/thread-self/net/ipv6_route";
            let routes = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            let leads_here = |route: &str| {
                let flags = route.split_whitespace().nth(8);
                let flags = flags.and_then(|flags| u32::from_str_radix(flags, 16).ok());
                route.starts_with(&hex) && flags.is_some_and(|flags| flags & RTF_LOCAL != 0)
            };
            Ok(routes.lines().any(leads_here).then_some(()))
        })
    }

    /// From now on nothing reaches the client at `ip`.
    pub fn vanish(&self, ip: IpAddr) -> Result<(), String> {
        self.address(RTM_DELADDR, ip).map_err(|errno| format!("{ip}: {}", words(errno)))
    }

    /// ip_local_port_range (ip(7)), with `ip_autobind_reuse` (tcp(7)).
    pub fn local_ports(&self, first: u16, last: u16, autobind_reuse: bool) -> Result<(), String> {
        let folder = "/proc/sys/net/ipv4";
        let write = |file, text: String| {
            fs::write(format!("{folder}/{file}"), text).map_err(|error| format!("{file}: {error}"))
        };
        write("ip_autobind_reuse", u8::from(autobind_reuse).to_string())?;
        write("ip_local_port_range", format!("{first} {last}"))
    }

    fn loopback_up(&self) -> Result<(), Errno> {
        const IFF_UP: u32 = 1;
        let mut message = vec![0; 4]; // AF_UNSPEC, ARPHRD_NETROM: the kernel does not look
        message.extend(LOOPBACK.to_ne_bytes());
        message.extend(IFF_UP.to_ne_bytes());
        message.extend(IFF_UP.to_ne_bytes()); // which of them change
        self.request(RTM_NEWLINK, &message)
    }

    /// Gives the loopback an address, or takes it away: rtnetlink(7), struct ifaddrmsg.
    fn address(&self, request: u16, ip: IpAddr) -> Result<(), Errno> {
        const AF_INET: u8 = 2;
        const AF_INET6: u8 = 10;
        const IFA_ADDRESS: u16 = 1;
        const IFA_LOCAL: u16 = 2;
        const IFA_F_NODAD: u8 = 2;
        let (family, octets) = match ip {
            IpAddr::V4(ip) => (AF_INET, ip.octets().to_vec()),
            IpAddr::V6(ip) => (AF_INET6, ip.octets().to_vec()),
        };
        let bits = u8::try_from(8 * octets.len()).expect("it is an address");
        let mut message = vec![family, bits, IFA_F_NODAD, 0];
        message.extend(LOOPBACK.to_ne_bytes());
        for attribute in [IFA_LOCAL, IFA_ADDRESS] {
            let length = u16::try_from(4 + octets.len()).expect("it is an address");
            message.extend(length.to_ne_bytes());
            message.extend(attribute.to_ne_bytes());
            message.extend(&octets);
        }
        self.request(request, &message)
    }

    /// Sends IPv6's multicast, which the loopback does not do by itself, to the loopback:
    /// rtnetlink(7), struct rtmsg.
    fn route_groups(&self) -> Result<(), Errno> {
        let mut message = vec![10, 8, 0, 0, 255, 3, 0, 2]; // AF_INET6, 8 bits; RT_TABLE_LOCAL,
        message.extend([0; 4]); //                            RTPROT_BOOT, RTN_LOCAL
        message.extend(20_u16.to_ne_bytes());
        message.extend(1_u16.to_ne_bytes()); // RTA_DST
        message.extend(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0).octets());
        message.extend(8_u16.to_ne_bytes());
        message.extend(4_u16.to_ne_bytes()); // RTA_OIF
        message.extend(LOOPBACK.to_ne_bytes());
        self.request(RTM_NEWROUTE, &message)
    }

    /// netlink(7): one request, and the kernel's answer to it.
    fn request(&self, kind: u16, payload: &[u8]) -> Result<(), Errno> {
        const NLM_F_REQUEST: u16 = 1;
        const NLM_F_ACK: u16 = 4;
        const NLM_F_CREATE: u16 = 0x400;
        const HEADER: usize = 16;
        let socket = self.netlink.as_ref().ok_or(Errno::PERM)?;
        let length = u32::try_from(HEADER + payload.len()).expect("it is short");
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend((NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE).to_ne_bytes());
        message.extend([0; 8]); // no sequence number, no port
        message.extend(payload);
        sendto(socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut answer = [0; 256];
        recv(socket, &mut answer[..], RecvFlags::empty())?;
        let error = answer[HEADER..HEADER + 4].try_into().expect("it is four bytes");
        match i32::from_ne_bytes(error) {
            0 => Ok(()),
            error => match Errno::from_raw_os_error(-error) {
                Errno::EXIST => Ok(()),
                errno => Err(errno),
            },
        }
    }
}

/// `lo` has the first number in each namespace.
pub const LOOPBACK: u32 = 1;

/// `include/uapi/linux/ipv6_route.h`.
const RTF_LOCAL: u32 = 0x8000_0000;

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;

/// A row of the kernel's table that has the port on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub state: &'static str,
    /// Whether the port is the local one.
    pub is_server: bool,
}

/// The rows of /proc/net/tcp and tcp6 on that port, sorted.
pub fn rows(port: u16) -> Result<Vec<Row>, String> {
    /// By number from 1, `include/net/tcp_states.h`.
    const STATES: [&str; 12] = [
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "TIME_WAIT",
        "CLOSE",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "CLOSING",
        "NEW_SYN_RECV",
    ];
    let port = format!(":{port:04X}");
    let mut rows = Vec::new();
    for file in ["tcp", "tcp6"] {
        let file = format!("/proc/thread-self/net/{file}");
        let table = match fs::read_to_string(&file) {
            Err(_) if file.ends_with('6') => continue, // a kernel without IPv6
            table => table.map_err(|error| format!("{file}: {error}"))?,
        };
        rows.extend(table.lines().skip(1).filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, remote) = (fields.next()?, fields.next()?);
            let state = usize::from_str_radix(fields.next()?, 16).ok()?;
            let is_server = local.ends_with(&port);
            let state = STATES.get(state.checked_sub(1)?)?;
            (is_server || remote.ends_with(&port)).then_some(Row { state, is_server })
        }));
    }
    rows.sort();
    Ok(rows)
}

/// The states of the sockets that have the port as their own.
pub fn states(port: u16) -> Result<Vec<&'static str>, String> {
    Ok(rows(port)?.into_iter().filter(|row| row.is_server).map(|row| row.state).collect())
}

/// Waits until `state` gives something.
pub fn wait_for<T>(
    what: &str,
    mut state: impl FnMut() -> Result<Option<T>, String>,
) -> Result<T, String> {
    let start = Instant::now();
    loop {
        if let Some(value) = state()? {
            return Ok(value);
        }
        if start.elapsed() > LIMIT {
            return Err(format!("waited {LIMIT:?} for {what}"));
        }
        std::thread::sleep(Duration::from_micros(200)); // between two looks
    }
}
