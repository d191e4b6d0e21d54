//! Where the cells are tried: network namespaces, what this process may do in them, and sockets
//! without any option.

use super::cell::SECOND_IPV6;
use super::netlink::Netlink;
use crate::sockets::std_error;
use crate::{say, words};
use rustix::io::Errno;
use rustix::process::{Uid, getegid, geteuid};
use rustix::thread::{
    CpuSet, UnshareFlags, sched_getaffinity, sched_getcpu, sched_setaffinity, set_thread_res_uid,
};
use socket2::{Domain, Socket as Fd, Type};
use std::fmt::Display;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// The second device, beside `lo`.
pub const OTHER_DEVICE: &str = "other";

/// The addresses of clients that are to be out of reach one day: `vanish`.
const CLIENT_IPV4: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);
const CLIENT_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9);

/// The other user, where there may be one: any number serves, it needs no account.
const OTHER_USER: u32 = 65_534;

/// No state takes nearly as long.
const LIMIT: Duration = Duration::from_secs(10);

/// What this process may do, found once, before there are threads. What it may not has its reason.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Each thread may have a network namespace of its own.
    pub namespaces: Result<(), String>,
    /// Sockets may be another user's.
    pub two_users: Result<(), String>,
    /// There is IPv6, and it is switched on.
    pub ipv6: Result<(), String>,
    /// A socket may be bound to `lo`, and to a second device.
    pub devices: Result<(), String>,
}

impl Capabilities {
    /// Leaves the network of this machine, if it can. It fails if the new one can't be used.
    pub fn find() -> Result<Self, String> {
        let ipv6 = has_ipv6(); // as this machine has it: a new namespace would have it anew
        let namespaces = leave_network();
        let mut capabilities =
            Self { namespaces, two_users: has_two_users(), ipv6, devices: Ok(()) };
        match &capabilities.namespaces {
            Ok(()) => {
                // A socket table of their own for the namespaces that are made from here, so small
                // that it is quickly read (Linux 6.1).
                let _ = fs::write("/proc/sys/net/ipv4/tcp_child_ehash_entries", "1024");
                capabilities.devices = ready_network()?.add_device(OTHER_DEVICE).map_err(|error| {
                    say!(
                        "this kernel makes no device of the kinds dummy, veth, bridge or ifb: {error}",
                        "这个内核不能创建 dummy、veth、bridge、ifb 中任何一种网络接口：{error}"
                    )
                });
            }
            Err(reason) => capabilities.devices = Err(reason.clone()),
        }
        if capabilities.ipv6.is_ok() && !may_bind(Type::STREAM, Ipv6Addr::LOCALHOST.into(), 0) {
            capabilities.ipv6 = Err(say!("::1 can't be bound here", "这里不能绑定 ::1"));
        }
        Ok(capabilities)
    }
}

/// Whether this machine has IPv6.
fn has_ipv6() -> Result<(), String> {
    plain(Ipv6Addr::UNSPECIFIED.into(), Type::STREAM)
        .map_err(|error| say!("this kernel has no IPv6: {error}", "这个内核没有 IPv6：{error}"))?;
    for name in ["all", "lo"] {
        let is_off = fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"));
        if is_off.is_ok_and(|is_off| is_off.trim() == "1") {
            return Err(say!(
                "IPv6 is switched off: net.ipv6.conf.{name}.disable_ipv6 is 1",
                "IPv6 已停用：net.ipv6.conf.{name}.disable_ipv6 为 1"
            ));
        }
    }
    Ok(())
}

fn has_two_users() -> Result<(), String> {
    let reason =
        words!("two users are needed: run it as root", "需要两个用户：请以 root 身份重新运行");
    if geteuid() == Uid::from_raw(OTHER_USER) {
        return Err(reason.to_owned());
    }
    as_other_user(|| ()).map_err(|_| reason.to_owned())
}

/// Leaves the network for a new one; if it can't, the network is still the machine's.
fn leave_network() -> Result<(), String> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let refused = |what: &str, error: io::Error| {
        let mut reason = say!(
            "a network namespace is needed: {what}: {error}; run it as root",
            "需要网络命名空间：{what}：{error}；请以 root 身份重新运行"
        );
        for (sysctl, forbidding, allowing) in [
            ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
            ("kernel/unprivileged_userns_clone", "0", "1"),
            ("user/max_user_namespaces", "0", "10000"),
        ] {
            let value = fs::read_to_string(format!("/proc/sys/{sysctl}")).unwrap_or_default();
            if value.trim() == forbidding {
                reason += &say!(
                    ", or set {sysctl}={allowing}",
                    "，或者设置 {sysctl}={allowing}",
                    sysctl = sysctl.replace('/', ".")
                );
            }
        }
        Err(reason)
    };
    match unshare(UnshareFlags::NEWNET) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
        Err(error) => return refused("unshare", error),
    }
    // The user namespace alone comes first: until its users are mapped, it allows nothing.
    if let Err(error) = unshare(UnshareFlags::NEWUSER) {
        return refused("unshare", error);
    }
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {uid} 1")),
        ("gid_map", format!("0 {gid} 1")),
    ] {
        match fs::write(format!("/proc/self/{file}"), text) {
            Err(error) if (file, error.kind()) == ("setgroups", ErrorKind::NotFound) => {}
            Err(error) => return refused(&format!("/proc/self/{file}"), error),
            Ok(()) => {}
        }
    }
    unshare(UnshareFlags::NEWNET).or_else(|error| refused("unshare", error))
}

/// Starts the loopback of a network that is new.
fn ready_network() -> Result<Netlink, String> {
    let netlink = Netlink::new().map_err(failed("netlink"))?;
    netlink.loopback_up().map_err(failed(words!("the loopback", "回环接口")))?;
    Ok(netlink)
}

/// unshare(2). The call that rustix puts in its place is unsafe for the sake of another flag,
/// which takes file descriptors from a thread: `UnshareFlags::FILES`.
#[expect(deprecated)]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    rustix::thread::unshare(flags).map_err(std_error)
}

/// Runs `action` with this thread as another user's.
pub fn as_other_user<T>(action: impl FnOnce() -> T) -> Result<T, Errno> {
    let user = geteuid();
    set_thread_res_uid(None, Uid::from_raw(OTHER_USER), None)?;
    let result = action();
    set_thread_res_uid(None, user, None)?;
    Ok(result)
}

/// Runs `action` with this thread on one processor.
pub fn on_one_processor<T>(action: impl FnOnce() -> T) -> T {
    let all = sched_getaffinity(None);
    let (mut one, processor) = (CpuSet::new(), sched_getcpu());
    if processor < CpuSet::MAX_CPU {
        one.set(processor);
        let _ = sched_setaffinity(None, &one); // where that is refused, it stays on one nearly always
    }
    let result = action();
    if let Ok(all) = all {
        let _ = sched_setaffinity(None, &all);
    }
    result
}

/// Whether nobody holds that address and port; without any option.
fn may_bind(kind: Type, ip: IpAddr, port: u16) -> bool {
    plain(ip, kind).and_then(|fd| fd.bind(&SocketAddr::new(ip, port).into())).is_ok()
}

/// A socket of `ip`'s family, without any option.
pub fn plain(ip: IpAddr, kind: Type) -> io::Result<Fd> {
    Fd::new(if ip.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 }, kind, None)
}

/// The same, with the trouble in words.
pub fn plain_socket(kind: Type, ip: IpAddr) -> Result<Fd, String> {
    plain(ip, kind).map_err(failed("socket"))
}

pub fn local_address(fd: &Fd) -> Result<SocketAddr, String> {
    let address = fd.local_addr().map_err(failed("getsockname"))?;
    address
        .as_socket()
        .ok_or_else(|| say!("getsockname: no address of IP", "getsockname：不是 IP 地址"))
}

/// What is said of a call that has failed.
pub fn failed(what: impl Display) -> impl Fn(io::Error) -> String {
    move |error| say!("{what}: {error}", "{what}：{error}")
}

/// The network of one thread. Each cell has a port of its own there.
pub struct World {
    /// The ports that no cell has had yet.
    ports: RangeInclusive<u16>,
    has_ipv6: bool,
    netlink: Option<Netlink>,
}

impl World {
    /// A network for this thread: a namespace, or the machine's own.
    pub fn new(capabilities: &Capabilities) -> Result<Self, String> {
        let mut world =
            Self { ports: 2000..=u16::MAX, has_ipv6: capabilities.ipv6.is_ok(), netlink: None };
        if capabilities.namespaces.is_err() {
            return Ok(world);
        }
        unshare(UnshareFlags::NEWNET)
            .map_err(failed(words!("a network namespace", "网络命名空间")))?;
        let netlink = ready_network()?;
        if capabilities.devices.is_ok() {
            netlink
                .add_device(OTHER_DEVICE)
                .map_err(failed(words!("a second device", "第二个网络接口")))?;
        }
        world.netlink = Some(netlink);
        if world.has_ipv6 {
            world.add(SECOND_IPV6.into())?;
            let netlink = world.netlink()?;
            netlink.route_groups().map_err(failed(words!("a route for multicast", "多播路由")))?;
        }
        Ok(world)
    }

    fn netlink(&self) -> Result<&Netlink, String> {
        self.netlink
            .as_ref()
            .ok_or_else(|| say!("a network namespace is needed", "需要网络命名空间"))
    }

    /// A port that nothing is on: neither protocol, neither family.
    pub fn port(&mut self) -> Result<u16, String> {
        let mut families: Vec<IpAddr> = vec![Ipv4Addr::UNSPECIFIED.into()];
        if self.has_ipv6 {
            families.push(Ipv6Addr::UNSPECIFIED.into());
        }
        let is_free = |port: &u16| {
            families
                .iter()
                .all(|&ip| may_bind(Type::STREAM, ip, *port) && may_bind(Type::DGRAM, ip, *port))
        };
        let port = self.ports.find(|port| self.netlink.is_some() || is_free(port));
        port.ok_or_else(|| say!("no port is free", "没有空闲端口"))
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
        self.netlink()?.add_address(ip).map_err(failed(ip))?;
        let IpAddr::V6(ip) = ip else { return Ok(()) };
        // Then a port without a listener, and 1 is none of ours, refuses a connection at once. What comes
        // before that is lost, so nobody waits for it.
        let what = say!("a way to {ip}", "通向 {ip} 的路由");
        let waited = wait_for(&what, || {
            use ErrorKind as Kind;
            let tried = TcpStream::connect_timeout(&(ip, 1).into(), Duration::from_millis(2));
            match tried.map_err(|error| (error.kind(), error)) {
                Err((Kind::ConnectionRefused, _)) => Ok(Some(())),
                Ok(_)
                | Err((Kind::TimedOut | Kind::NetworkUnreachable | Kind::AddrNotAvailable, _)) => {
                    Ok(None)
                }
                Err((_, error)) => Err(say!("{what}: {error}", "{what}：{error}")),
            }
        });
        waited.map_err(|trouble| trouble.text)
    }

    /// Takes the clients' addresses away, where a cell has left them: each changes the source of what is
    /// sent from another device.
    pub fn forget_clients(&self) {
        for ip in [CLIENT_IPV4.into(), CLIENT_IPV6.into()] {
            let _ = self.vanish(ip); // mostly it is gone
        }
    }

    /// From now on nothing reaches the client at `ip`.
    pub fn vanish(&self, ip: IpAddr) -> Result<(), String> {
        self.netlink()?.remove_address(ip).map_err(failed(ip))
    }

    /// ip_local_port_range (ip(7)): bind to port 0 and connect take a port from `first` to `last`.
    pub fn local_ports(&self, first: u16, last: u16) -> Result<(), String> {
        write_sysctl("ip_local_port_range", format!("{first} {last}"))
    }

    /// tcp_tw_reuse off (tcp(7)): its default lets connect take the port of a TIME_WAIT on the loopback
    /// that is a second old, so that the verdict depends on the time.
    pub fn no_tw_reuse(&self) -> Result<(), String> {
        write_sysctl("tcp_tw_reuse", "0".to_owned())
    }

    /// ip_autobind_reuse (tcp(7)).
    pub fn autobind_reuse(&self, is_on: bool) -> Result<(), String> {
        write_sysctl("ip_autobind_reuse", u8::from(is_on).to_string())
    }
}

fn write_sysctl(sysctl: &str, text: String) -> Result<(), String> {
    let file = format!("/proc/sys/net/ipv4/{sysctl}");
    fs::write(&file, text).map_err(|error| say!("{file}: {error}", "{file}：{error}"))
}

/// Why a cell could not be measured.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// In words.
    pub text: String,
    /// A state did not come in the time that it has.
    pub is_late: bool,
}

impl From<String> for Trouble {
    fn from(text: String) -> Self {
        Self { text, is_late: false }
    }
}

impl From<&str> for Trouble {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// Waits until `state` gives something.
pub fn wait_for<T>(
    what: &str,
    mut state: impl FnMut() -> Result<Option<T>, String>,
) -> Result<T, Trouble> {
    let start = Instant::now();
    loop {
        if let Some(value) = state()? {
            return Ok(value);
        }
        if start.elapsed() > LIMIT {
            return Err(Trouble {
                text: say!("waited {LIMIT:?} for {what}", "等了 {LIMIT:?}，没有等到：{what}"),
                is_late: true,
            });
        }
        std::thread::sleep(Duration::from_micros(200)); // between two looks
    }
}
