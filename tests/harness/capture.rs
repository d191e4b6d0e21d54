//! The packets of a namespace, as tcpdump would show them.

use super::{Need, PORT, need, set_sysctl, wait_for};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, eth, socket_with};
use std::collections::HashSet;
use std::net::Ipv4Addr;

/// Every segment of TCP and every datagram of UDP in this namespace from now on.
pub struct Capture {
    socket: OwnedFd,
    /// From the IP header on.
    seen: HashSet<Vec<u8>>,
    segments: Vec<Segment>,
    /// How many of `segments` `packets` has given out.
    given: usize,
}

/// A packet, as the documents and the page show it.
pub struct Packet {
    /// Whether it comes from the server.
    pub is_server: bool,
    /// `SYN, ACK: seq 0 ack 1`: its flags, its bytes, its numbers from each side's SYN on. Or
    /// `6 bytes to 127.0.0.1`.
    pub text: String,
}

struct Segment {
    is_server: bool,
    /// The destination of a datagram, which has no flags and no numbers; none for a segment of TCP.
    to: Option<Ipv4Addr>,
    sequence: u32,
    acknowledgment: u32,
    flags: u8,
    bytes: usize,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

impl Segment {
    fn opens_or_ends(&self) -> bool {
        self.flags & (SYN | FIN) != 0
    }

    /// Whether this acknowledges the SYN or FIN of `other`.
    fn answers(&self, other: &Self) -> bool {
        let length = u32::try_from(other.bytes).expect("it is a segment") + 1;
        self.is_server != other.is_server
            && self.flags & ACK != 0
            && self.acknowledgment == other.sequence.wrapping_add(length)
    }
}

impl Capture {
    /// Begins to capture: a packet socket, which needs CAP_NET_RAW in the namespace.
    pub fn start() -> Self {
        need(Need::Packets);
        // The kernel reports the membership of a group when a timer runs out. A report of IGMPv3 takes a buffer
        // of lo's MTU, 64 KiB and more: going out and coming in, it fills the socket's, and the packet after it
        // is missing. One of IGMPv2 is small.
        set_sysctl("net.ipv4.conf.lo.force_igmp_version", 2);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let all = Some(eth::ALL);
        let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, all);
        let socket = socket.expect("this is the root of its namespace");
        Self { socket, seen: HashSet::new(), segments: Vec::new(), given: 0 }
    }

    /// The packets since the last call. Waits until each SYN and FIN has its acknowledgment. A segment that
    /// acknowledges only data is left out: timing decides when the kernel sends it.
    pub fn packets(&mut self) -> Vec<Packet> {
        wait_for("the packets", || {
            self.take();
            let is_answered = |of: &Segment| self.segments.iter().any(|it| it.answers(of));
            self.segments.iter().all(|of| !of.opens_or_ends() || is_answered(of)).then_some(())
        });
        let mut packets = Vec::new();
        for (at, segment) in self.segments.iter().enumerate().skip(self.given) {
            let mut before = self.segments[..at].iter();
            let is_answer = before.any(|of| of.opens_or_ends() && segment.answers(of));
            if segment.bytes > 0 || segment.opens_or_ends() || is_answer {
                packets.push(Packet { is_server: segment.is_server, text: self.text(segment) });
            }
        }
        self.given = self.segments.len();
        packets
    }

    /// The sequence number after the client's SYN, or after its FIN once that has come.
    pub fn after_client(&mut self) -> Option<u32> {
        self.take();
        let last = self.segments.iter().rfind(|it| !it.is_server && it.opens_or_ends())?;
        let length = u32::try_from(last.bytes).expect("it is a segment") + 1;
        Some(last.sequence.wrapping_add(length))
    }

    fn text(&self, segment: &Segment) -> String {
        if let Some(to) = segment.to {
            return format!("{} bytes to {to}", segment.bytes);
        }
        let first = |is_server| {
            let mut opening = self.segments.iter().filter(|it| it.flags & SYN != 0);
            let opening = opening.rfind(|it| it.is_server == is_server);
            opening.map_or(0, |it| it.sequence)
        };
        let mut name: Vec<String> = [(SYN, "SYN"), (FIN, "FIN"), (ACK, "ACK")]
            .into_iter()
            .filter(|(flag, _)| segment.flags & flag != 0)
            .map(|(_, name)| name.to_owned())
            .collect();
        if segment.bytes > 0 {
            name.push(format!("{} bytes", segment.bytes));
        }
        let own = segment.sequence.wrapping_sub(first(segment.is_server));
        let mut text = format!("{}: seq {own}", name.join(", "));
        if segment.flags & ACK != 0 {
            let other = segment.acknowledgment.wrapping_sub(first(!segment.is_server));
            text.push_str(&format!(" ack {other}"));
        }
        text
    }

    /// Takes what has come. Loopback shows each packet twice: going out and coming in.
    fn take(&mut self) {
        let mut buffer = [0; 65_536];
        while let Ok(length) = rustix::io::read(&self.socket, &mut buffer) {
            let packet = &buffer[..length];
            let header = 4 * usize::from(packet[0] & 15);
            let is_new = packet[0] >> 4 == 4 && self.seen.insert(packet.to_vec());
            let segment = &packet[header..];
            let number = |at: usize| {
                u32::from_be_bytes(segment[at..at + 4].try_into().expect("it is four bytes"))
            };
            let is_server = segment[..2] == PORT.to_be_bytes();
            match packet[9] {
                TCP if is_new => self.segments.push(Segment {
                    is_server,
                    to: None,
                    sequence: number(4),
                    acknowledgment: number(8),
                    flags: segment[13],
                    bytes: segment.len() - 4 * usize::from(segment[12] >> 4),
                }),
                UDP if is_new => self.segments.push(Segment {
                    is_server,
                    to: Some(Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19])),
                    sequence: 0,
                    acknowledgment: 0,
                    flags: 0,
                    bytes: segment.len() - 8,
                }),
                _ => {}
            }
        }
    }
}
