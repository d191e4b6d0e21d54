//! Tries a cell: makes the old sockets, brings the first to its state, and lets the new one come.

use super::cell::{Cell, Device, Route, SECOND_IPV6, Socket, State};
use super::receivers::{Deliveries, Pair};
use super::world::{self, Capabilities, OTHER_DEVICE, Trouble, World, as_other_user};
use super::world::{failed, local_address, plain, plain_socket, wait_for};
use crate::kernel::{Call, Proto, Set, Verdict};
use crate::sockets::{self, State as TcpState};
use crate::{say, words};
use nix::libc::{BPF_K, BPF_RET, sock_filter, sock_fprog};
use nix::sys::socket::{setsockopt, sockopt};
use rustix::io::Errno;
use socket2::{Socket as Fd, Type};
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::time::Duration;

/// How often A is brought to FIN_WAIT2, until it is the small record. A few in 100,000 are not: if
/// the acknowledgement of A's FIN comes while close still has the socket, the kernel keeps that
/// (`tcp_rcv_state_process`), with its user. The last one is taken as it is, for
/// `net.ipv4.tcp_fin_timeout` above 60, and for other stacks, which have no records.
const TRIES: usize = 3;

/// What was measured of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What became of B.
    pub verdict: Verdict,
    /// The states of A's sockets in the kernel's table, when B came; none of UDP.
    pub found: Vec<TcpState>,
    pub deliveries: Deliveries,
}

/// Whether this cell can be tried here, or what is missing.
pub fn check_possible(cell: &Cell, capabilities: &Capabilities) -> Result<(), String> {
    let any = |has: &dyn Fn(&Socket) -> bool| cell.sockets().any(has);
    if any(&|socket| socket.ip.is_ipv6()) {
        capabilities.ipv6.clone()?;
    }
    if any(&|socket| socket.device.is_some()) {
        capabilities.devices.clone()?;
    }
    if cell.state.is_exhausted()
        || matches!(cell.state, State::LastAck | State::FinWait1)
        || any(&|socket| socket.ip == IpAddr::V6(SECOND_IPV6))
        || any(&|socket| socket.route == Route::Connect)
    {
        capabilities.namespaces.clone()?;
    }
    if cell.has_two_users() {
        capabilities.two_users.clone()?;
    }
    Ok(())
}

/// Tries `cell`, on a port of its own.
pub fn measure(world: &mut World, cell: &Cell) -> Result<Outcome, Trouble> {
    if let Some(is_on) = cell.state.autobind_reuse() {
        world.autobind_reuse(is_on)?;
    }
    if cell.proto == Proto::Tcp && cell.sockets().any(|socket| socket.route == Route::Connect) {
        world.no_tw_reuse()?;
    }
    let is_connected = cell.sockets().any(|socket| socket.route != Route::Bind)
        || (cell.proto == Proto::Udp && cell.state == State::Connected);
    let mut tries = TRIES;
    loop {
        tries -= 1;
        let port = world.port()?;
        let [peer, elsewhere] = match is_connected {
            true => [world.port()?, world.port()?],
            false => [0, 0],
        };
        let attempt = Attempt { world, cell, port, peer, elsewhere };
        let tried = attempt.run(tries == 0);
        if matches!(cell.state, State::LastAck | State::FinWait1) {
            world.forget_clients();
        }
        if let Some(outcome) = tried? {
            return Ok(outcome);
        }
    }
}

struct Attempt<'a> {
    world: &'a World,
    cell: &'a Cell,
    /// Where A and B meet.
    port: u16,
    /// The port of A's peer, and of B's.
    peer: u16,
    /// Of B's, where it is to be another.
    elsewhere: u16,
}

/// What keeps A in its state; given up at once, with no trace on the network.
#[derive(Default)]
struct KeptOpen {
    /// A, if it takes what comes: a listener, or a socket of UDP.
    a: Option<Fd>,
    /// To whom A is connected.
    peer: Option<Fd>,
    /// Both ends of A's connection.
    connection: Vec<Fd>,
}

impl Drop for KeptOpen {
    fn drop(&mut self) {
        for socket in &self.connection {
            // A reset, and no TIME_WAIT.
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }
}

impl Attempt<'_> {
    /// What becomes of B; or nothing, if A is not quite what it should be and `is_last` is not set.
    fn run(&self, is_last: bool) -> Result<Option<Outcome>, Trouble> {
        let Cell { a, others, .. } = self.cell;
        let mut kept = KeptOpen::default();
        match (self.cell.proto, a.route) {
            (Proto::Tcp, Route::Bind) => self.make_server(a, self.bound(a)?, &mut kept)?,
            (Proto::Tcp, _) => self.make_client(a, &mut kept)?,
            (Proto::Udp, _) => self.make_udp(a, &mut kept)?,
        }
        let mut rest = Vec::new();
        for socket in others {
            rest.push((socket, self.bound(socket)?));
        }
        rest.retain(|(socket, _)| !socket.closed);
        let found = self.states()?;
        let may_repeat = self.cell.state == State::FinWait2 && !is_last;
        if may_repeat && !self.listed()?.iter().any(|socket| socket.is_record) {
            return Ok(None);
        }

        let new = &self.cell.new;
        let mut own_peer = None;
        let is_with_a = kept.peer.is_some() && self.cell.is_same_server();
        if new.route != Route::Bind && !is_with_a {
            own_peer = Some(self.peer(new.destination(), self.peer_port(new))?);
        }
        let socket = self.socket(new)?;
        let verdict = self.try_new(&socket, new, &kept)?;
        if new.route == Route::Bind && !self.cell.state.is_between() {
            self.check_still(&found, verdict)?;
        }

        let delivers = verdict == Verdict::Ok && others.is_empty();
        let pair = |a| Pair { cell: self.cell, port: self.port, a, b: &socket };
        let deliveries = match (&kept.a, self.cell.proto) {
            (Some(a), Proto::Udp) if delivers => {
                world::on_one_processor(|| pair(a).datagrams([&kept.peer, &own_peer]))?
            }
            (Some(a), Proto::Tcp) if delivers && new.route == Route::Bind => {
                pair(a).connections()?
            }
            _ => Vec::new(),
        };
        // B has no TIME_WAIT, either.
        let _ = socket.set_linger(Some(Duration::ZERO));
        Ok(Some(Outcome { verdict, found, deliveries }))
    }

    /// Whether A is still in the states in which it was `found` when B came.
    fn check_still(&self, found: &[TcpState], verdict: Verdict) -> Result<(), String> {
        let mut after = self.states()?;
        if self.cell.proto == Proto::Tcp && verdict == Verdict::Ok {
            let listening = after.iter().position(|state| *state == TcpState::Listen);
            after.remove(listening.ok_or(words!("B does not listen", "B 没有监听"))?);
        }
        if after != found {
            return Err(say!(
                "A was in [{found}], and when B had come, in [{after}]",
                "A 原来处于 [{found}]，B 绑定之后却处于 [{after}]",
                found = names(found),
                after = names(&after)
            ));
        }
        Ok(())
    }

    /// B's calls, one after the other.
    fn try_new(&self, fd: &Fd, new: &Socket, kept: &KeptOpen) -> Result<Verdict, Trouble> {
        if new.route != Route::Connect {
            let verdict = self.bind(fd, new)?;
            if verdict != Verdict::Ok {
                return Ok(verdict);
            }
            self.set_after(fd, new)?;
        }
        if new.route != Route::Bind {
            let peer = SocketAddr::new(new.destination_on_own_family(), self.peer_port(new));
            let connected = match new.route {
                Route::Connect => self.with_one_port(|| fd.connect(&peer.into()))?,
                _ => fd.connect(&peer.into()),
            };
            let verdict = verdict(Call::Connect, connected);
            if matches!(verdict, Verdict::Failed { errno: Errno::INPROGRESS, .. }) {
                return Err(
                    words!("B's connect takes too long", "B 的 connect 花的时间太长").into()
                );
            }
            // Without bind, what is set late is set after connect, as of A.
            if verdict == Verdict::Ok && new.route == Route::Connect {
                self.set_after(fd, new)?;
            }
            return Ok(verdict);
        }
        if self.cell.proto == Proto::Udp {
            return Ok(Verdict::Ok);
        }
        if self.cell.state.is_between() {
            let a = kept.a.as_ref().ok_or(words!("A is gone", "A 不见了"))?;
            a.listen(64).map_err(failed(words!("A's listen", "A 的 listen")))?;
        }
        Ok(verdict(Call::Listen, fd.listen(64)))
    }

    /// While the kernel has no other port to give than ours.
    fn with_one_port<T>(&self, call: impl FnOnce() -> T) -> Result<T, String> {
        self.world.local_ports(self.port, self.port)?;
        let result = call();
        self.world.local_ports(32768, 60999)?; // as in a new namespace
        Ok(result)
    }

    fn peer_port(&self, socket: &Socket) -> u16 {
        if socket.elsewhere { self.elsewhere } else { self.peer }
    }

    /// The sockets of TCP that have the port as their own: from sock_diag(7), which is quicker, or else
    /// from /proc/net/tcp and tcp6.
    fn listed(&self) -> Result<Vec<sockets::Listed>, String> {
        let folder = "/proc/thread-self/net";
        sockets::listed(Proto::Tcp, self.port, sockets::ALL_BUT_BOUND)
            .or_else(|_| sockets::in_proc(folder, Proto::Tcp, [self.port, 0]))
            .map_err(|error| say!("{folder}/tcp: {error}", "{folder}/tcp：{error}"))
    }

    /// Their states, sorted; of UDP, which has none, nothing.
    fn states(&self) -> Result<Vec<TcpState>, String> {
        if self.cell.proto == Proto::Udp {
            return Ok(Vec::new());
        }
        let mut states: Vec<_> = self.listed()?.iter().map(|socket| socket.state).collect();
        states.retain(|state| *state != TcpState::Bound); // gVisor lists what is bound, too
        states.sort_unstable_by_key(|state| state.name());
        Ok(states)
    }

    fn address(&self, ip: IpAddr) -> SocketAddr {
        SocketAddr::new(ip, self.port)
    }

    fn kind(&self) -> Type {
        match self.cell.proto {
            Proto::Tcp => Type::STREAM,
            Proto::Udp => Type::DGRAM,
        }
    }

    /// A socket with what is set before bind.
    fn socket(&self, socket: &Socket) -> Result<Fd, String> {
        let make = || -> io::Result<Fd> {
            let fd = plain(socket.ip, self.kind())?;
            match socket.route {
                // No listener waits for a client that is gone.
                Route::Bind => fd.set_nonblocking(true)?,
                _ => fd.set_write_timeout(Some(Duration::from_secs(2)))?,
            }
            if socket.ip.is_ipv6() {
                fd.set_only_v6(socket.v6only)?;
            }
            if let Some(device) = socket.device {
                let name = match device {
                    Device::Lo => "lo",
                    Device::Other => OTHER_DEVICE,
                };
                fd.bind_device(Some(name.as_bytes()))?;
            }
            if socket.reuseaddr.at_bind() {
                fd.set_reuse_address(true)?;
            }
            if socket.reuseport.at_bind() {
                fd.set_reuse_port(true)?;
            }
            if socket.program.at_bind() {
                attach_program(&fd)?;
            }
            Ok(fd)
        };
        let made = if socket.other_user { by_other_user(make) } else { make() };
        made.map_err(failed("socket"))
    }

    fn bind(&self, fd: &Fd, socket: &Socket) -> Result<Verdict, String> {
        let mut address = self.address(socket.ip);
        let bound = match self.cell.state.is_exhausted() {
            true => {
                address.set_port(0);
                self.with_one_port(|| fd.bind(&address.into()))?
            }
            false => fd.bind(&address.into()),
        };
        Ok(verdict(Call::Bind, bound))
    }

    fn set_after(&self, fd: &Fd, socket: &Socket) -> Result<(), String> {
        let is_late = |set| matches!(set, Set::Late | Set::Cleared);
        let set = || -> io::Result<()> {
            if is_late(socket.reuseaddr) {
                fd.set_reuse_address(socket.reuseaddr.after_bind())?;
            }
            if is_late(socket.reuseport) {
                fd.set_reuse_port(socket.reuseport.after_bind())?;
            }
            if socket.program == Set::Late {
                attach_program(fd)?;
            }
            Ok(())
        };
        set().map_err(failed("setsockopt"))
    }

    /// One of the old sockets, bound to the port.
    fn bound(&self, socket: &Socket) -> Result<Fd, String> {
        let fd = self.socket(socket)?;
        let verdict = self.bind(&fd, socket)?;
        if verdict != Verdict::Ok {
            return Err(say!(
                "{socket} should be there, but: {is}",
                "{socket} 本应占用端口，结果却是 {is}",
                is = verdict.name()
            ));
        }
        self.set_after(&fd, socket)?;
        self.check_port(&fd, socket)?;
        Ok(fd)
    }

    /// Whether it is the port of this cell: asked from the kernel.
    fn check_port(&self, fd: &Fd, socket: &Socket) -> Result<(), String> {
        match local_address(fd)?.port() {
            port if port == self.port => Ok(()),
            port => Err(say!("{socket} has port {port}", "{socket} 的端口是 {port}")),
        }
    }

    /// Waits until A is in these states in the kernel's table.
    fn wait_for_states(&self, expected: &[TcpState]) -> Result<(), Trouble> {
        let what = format!("{}: {}", self.cell.state.name(), names(expected));
        wait_for(&what, || Ok((self.states()? == expected).then_some(())))
    }

    /// Brings A, which is bound, to its state, and sees it in the kernel's table.
    fn make_server(&self, a: &Socket, fd: Fd, kept: &mut KeptOpen) -> Result<(), Trouble> {
        let state = self.cell.state;
        if state.is_bound() {
            kept.a = Some(fd);
            return self.wait_for_states(&[]);
        }
        fd.listen(64).map_err(failed(words!("A's listen", "A 的 listen")))?;
        self.wait_for_states(&[TcpState::Listen])?;
        if state == State::ShutDown {
            fd.shutdown(Shutdown::Read).map_err(failed("shutdown"))?;
            kept.a = Some(fd);
            return self.wait_for_states(&[]);
        }
        if state == State::Listening {
            kept.a = Some(fd);
            return Ok(());
        }

        let client_ip = match state {
            State::LastAck | State::FinWait1 => Some(self.world.client(a.destination())?),
            _ => None,
        };
        let client = plain_socket(Type::STREAM, a.destination())?;
        if let Some(ip) = client_ip {
            client
                .bind(&SocketAddr::new(ip, 0).into())
                .map_err(failed(words!("the client's bind", "客户端的 bind")))?;
        }
        client.connect(&self.address(a.destination()).into()).map_err(failed("connect"))?;
        let child = self.accepted(&fd, a.other_user)?;
        self.wait_for_states(&[TcpState::Established, TcpState::Listen])?;
        if state == State::Connection {
            *kept = KeptOpen { a: Some(fd), peer: None, connection: vec![child, client] };
            return Ok(());
        }
        drop(fd);
        self.wait_for_states(&[TcpState::Established])?;
        self.close(child, client, client_ip, kept)
    }

    /// A's connection, `own` and `peer`, in the state that is asked for.
    fn close(
        &self,
        own: Fd,
        peer: Fd,
        peer_ip: Option<IpAddr>,
        kept: &mut KeptOpen,
    ) -> Result<(), Trouble> {
        match self.cell.state {
            State::Connected => kept.connection = vec![own, peer],
            State::FinWait1 => {
                self.world.vanish(peer_ip.ok_or(words!(
                    "the client has no address of its own",
                    "客户端没有自己的地址"
                ))?)?;
                drop(own);
                self.wait_for_states(&[TcpState::FinWait1])?;
                kept.connection = vec![peer];
            }
            State::HalfClosed => {
                own.shutdown(Shutdown::Write).map_err(failed("shutdown"))?;
                self.wait_for_states(&[TcpState::FinWait2])?;
                kept.connection = vec![own, peer];
            }
            State::FinWait2 => {
                drop(own);
                self.wait_for_states(&[TcpState::FinWait2])?;
                kept.connection = vec![peer];
            }
            State::TimeWait => {
                drop(own);
                self.wait_for_states(&[TcpState::FinWait2])?;
                drop(peer);
                self.wait_for_states(&[TcpState::TimeWait])?;
            }
            state @ (State::CloseWait | State::LastAck | State::Closed) => {
                drop(peer);
                self.wait_for_states(&[TcpState::CloseWait])?;
                if let Some(ip) = peer_ip {
                    // A's FIN goes nowhere, so nobody acknowledges it.
                    self.world.vanish(ip)?;
                    own.shutdown(Shutdown::Write).map_err(failed("shutdown"))?;
                    self.wait_for_states(&[TcpState::LastAck])?;
                }
                if state == State::Closed {
                    drop(own);
                    self.wait_for_states(&[])?;
                } else {
                    kept.connection = vec![own];
                }
            }
            // Here A has no connection, or keeps its listener beside it.
            State::Bound | State::Between | State::Listening | State::ShutDown => {}
            State::Connection | State::Exhausted | State::ExhaustedReuse0 => {}
            State::ExhaustedReuse1 | State::ExhaustedReuse1Between => {}
        }
        Ok(())
    }

    /// Brings A to its state, where A has connected to a server.
    fn make_client(&self, a: &Socket, kept: &mut KeptOpen) -> Result<(), Trouble> {
        let server = self.peer(a.destination(), self.peer)?;
        let fd = self.connected(a)?;
        let child = self.accepted(&server, false)?;
        self.wait_for_states(&[TcpState::Established])?;
        self.close(fd, child, None, kept)?;
        kept.peer = Some(server);
        Ok(())
    }

    /// A that has connected to its peer, with or without a bind.
    fn connected(&self, a: &Socket) -> Result<Fd, String> {
        let peer = SocketAddr::new(a.destination_on_own_family(), self.peer);
        let fd = match a.route {
            Route::Connect => {
                let fd = self.socket(a)?;
                self.with_one_port(|| fd.connect(&peer.into()))?
                    .map_err(failed(words!("A's connect", "A 的 connect")))?;
                self.set_after(&fd, a)?;
                fd
            }
            _ => {
                let fd = self.bound(a)?;
                fd.connect(&peer.into()).map_err(failed(words!("A's connect", "A 的 connect")))?;
                fd
            }
        };
        self.check_port(&fd, a)?;
        Ok(fd)
    }

    fn make_udp(&self, a: &Socket, kept: &mut KeptOpen) -> Result<(), Trouble> {
        if self.cell.state == State::Connected || a.route != Route::Bind {
            kept.peer = Some(self.peer(a.destination(), self.peer)?);
            kept.a = Some(self.connected(a)?);
        } else {
            kept.a = Some(self.bound(a)?);
        }
        if self.cell.state == State::Closed {
            kept.a = None;
        }
        Ok(())
    }

    /// The next connection of a listener, which has been made. It belongs to the user who accepts it
    /// (`sock_graft`).
    fn accepted(&self, listener: &Fd, as_other: bool) -> Result<Fd, Trouble> {
        let accept = || match as_other {
            true => by_other_user(|| listener.accept()),
            false => listener.accept(),
        };
        wait_for("accept", || match accept() {
            Ok((child, _)) => Ok(Some(child)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(failed("accept")(error)),
        })
    }

    /// To whom a socket connects: a listener, or a socket of UDP.
    fn peer(&self, ip: IpAddr, port: u16) -> Result<Fd, String> {
        let fd = plain_socket(self.kind(), ip)?;
        fd.bind(&SocketAddr::new(ip, port).into())
            .map_err(failed(words!("the peer's bind", "对端的 bind")))?;
        if self.cell.proto == Proto::Tcp {
            fd.listen(64).map_err(failed(words!("the peer's listen", "对端的 listen")))?;
        }
        Ok(fd)
    }
}

fn by_other_user<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    as_other_user(call).map_err(sockets::std_error)?
}

/// A program for the socket's group that always takes the first: one instruction.
fn attach_program(fd: &Fd) -> io::Result<()> {
    let code = u16::try_from(BPF_RET | BPF_K).expect("it is small");
    let mut takes_the_first = [sock_filter { code, jt: 0, jf: 0, k: 0 }];
    let program = sock_fprog { len: 1, filter: takes_the_first.as_mut_ptr() };
    Ok(setsockopt(fd, sockopt::AttachReusePortCbpf, &program)?)
}

/// `ESTABLISHED, LISTEN`.
fn names(states: &[TcpState]) -> String {
    states.iter().map(|state| state.name()).collect::<Vec<_>>().join(", ")
}

fn verdict(call: Call, result: io::Result<()>) -> Verdict {
    Verdict::of(call, result.map_err(sockets::errno_of))
}
